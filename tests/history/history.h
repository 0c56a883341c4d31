/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What clients asked of a mesh and were told, in the form that the checker judges. Everything is a
 * number: sessions, replicas, keys, and values, each of which is written at most once. The text
 * form is in docs/simulation.md: one line per transaction.
 */
#ifndef TESTS_HISTORY_HISTORY_H
#define TESTS_HISTORY_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { HISTORY_ID_MAX = 1 << 22, HISTORY_NONE = -1 };

enum history_outcome {
    HISTORY_OK = 0,
    HISTORY_FAIL = 1,    /* Refused: nothing of it may ever be seen. */
    HISTORY_UNKNOWN = 2, /* The client was told nothing. */
    HISTORY_MAYBE = 3,   /* Acknowledged, but its only copies were on a disk that was lost. */
    HISTORY_FINAL = 4    /* Reads when all is quiet and all have all. */
};

enum history_kind {
    HISTORY_READ = 0,     /* r key: the siblings of a register. */
    HISTORY_WRITE = 1,    /* w key: over all that lives there. */
    HISTORY_REMOVE = 2,   /* d key: the same, leaving nothing; its value is never shown. */
    HISTORY_ELEMENTS = 3, /* e key: the elements of a set. */
    HISTORY_ADD = 4,      /* s key: a new element of a set. */
    HISTORY_TAKE = 5,     /* x key: removes an element. */
    HISTORY_SUM = 6,      /* c key: what a counter shows. */
    HISTORY_DELTA = 7     /* a key: an addition to a counter. */
};

struct history_op {
    enum history_kind kind;
    uint32_t key;
    int64_t value;    /* Of writes, additions and sums. */
    uint32_t values;  /* Index of the first of those read, or of the context. */
    uint32_t count;   /* Of these. */
    bool conditional; /* WRITE: only when exactly the context lives there. */
};

/* Reads of a transaction show one state, from before its own writes. */
struct history_txn {
    uint32_t session, replica;
    enum history_outcome outcome;
    uint32_t ops, ops_count;
};

struct history {
    struct history_txn *txns; /* In the order of each session. Owned, as the others. */
    struct history_op *ops;
    uint32_t *values;
    uint32_t txns_count, ops_count, values_count;
    uint32_t txns_cap, ops_cap, values_cap;
    uint32_t sessions, replicas, keys, numbers; /* One more than the highest of each. */
};

void history_init(struct history *history);
void history_fini(struct history *history);
void history_clear(struct history *history);
/* Begins a transaction; ops that are added belong to the last one. */
uint32_t history_begin(struct history *history, uint32_t session, uint32_t replica,
                       enum history_outcome outcome);
struct history_op *history_op(struct history *history, enum history_kind kind, uint32_t key,
                              int64_t value);
/* One more value read by, or in the context of, the last op. */
void history_value(struct history *history, uint32_t value);
/* Adds a copy of another history's transaction. */
uint32_t history_copy(struct history *history, const struct history *from, uint32_t txn);
/* Writes the text; NULL out: to nowhere. */
void history_write(const struct history *history, FILE *out);
/* Reads text; the number of the line that is wrong, or 0. */
uint32_t history_read(struct history *history, FILE *in);

#endif
