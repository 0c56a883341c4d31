/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Judges a history: finds what a causally consistent store with atomic transactions could not have
 * told its clients.
 *
 * Each transaction gets a vector over the sessions: what happened before it, by the order of its
 * session and by what was read. A read is then held against the last write of each session in its
 * past. Where a read shows one value of a register that nobody ever removes, all other writes in
 * its past came before that value; such orders are added until nothing new is learnt. The work is
 * (operations x sessions x log), not the square of the operations.
 */
#ifndef TESTS_HISTORY_CHECKER_H
#define TESTS_HISTORY_CHECKER_H

#include "history/history.h"

enum anomaly {
    ANOMALY_MALFORMED = 0,    /* The history itself: a value written twice. */
    ANOMALY_THIN_AIR = 1,     /* Read, and written by nobody. */
    ANOMALY_ABORTED = 2,      /* Read, and its transaction was refused. */
    ANOMALY_INTERMEDIATE = 3, /* Read, and its transaction wrote over it. */
    ANOMALY_CYCLE = 4,        /* A transaction happened before itself. */
    ANOMALY_READ_YOUR_WRITES = 5,
    ANOMALY_MONOTONIC_READS = 6,
    ANOMALY_FRACTURED = 7, /* Half of a transaction. */
    ANOMALY_MONOTONIC_WRITES = 8,
    ANOMALY_WRITES_FOLLOW_READS = 9,
    ANOMALY_CAUSAL = 10,       /* Overwritten, or missing, by a longer chain of causes. */
    ANOMALY_LOST_UPDATE = 11,  /* Two conditional writes on one context at one replica. */
    ANOMALY_LOST_WRITE = 12,   /* Acknowledged, and gone at the end. */
    ANOMALY_COUNTER_LOW = 13,  /* Additions that do not count. */
    ANOMALY_COUNTER_HIGH = 14, /* Additions that count twice. */
    ANOMALY_DIVERGED = 15,     /* Different at the end. */
    ANOMALY_COUNT = 16
};
const char *anomaly_name(enum anomaly anomaly);

struct verdict {
    uint32_t count; /* Of all that was found. */
    uint32_t counts[ANOMALY_COUNT];
    char words[256];                /* The first, with where it is. */
    uint64_t txns, reads, inferred; /* What was looked at. */
};

void history_check(const struct history *history, struct verdict *verdict);

#endif
