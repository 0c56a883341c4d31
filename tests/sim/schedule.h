/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happens to a simulated mesh and when, as a list: drawn from a seed, or read from a file. A
 * step brings its own random number, so that it does the same when others are left out.
 */
#ifndef TESTS_SIM_SCHEDULE_H
#define TESTS_SIM_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum trouble {
    TROUBLE_CUT = 0,
    TROUBLE_ONE_WAY,
    TROUBLE_FLAP,
    TROUBLE_HEAL,
    TROUBLE_RESET,
    TROUBLE_HALF_OPEN,
    TROUBLE_CORRUPT,
    TROUBLE_SLOW,
    TROUBLE_TAIL,
    TROUBLE_KILL,
    TROUBLE_POWER,
    TROUBLE_KILL_BEFORE,
    TROUBLE_KILL_AFTER,
    TROUBLE_KILL_AT,
    TROUBLE_RESTART,
    TROUBLE_FULL,
    TROUBLE_IO,
    TROUBLE_SLOW_STORE,
    TROUBLE_MEMORY,
    TROUBLE_GOOD,
    TROUBLE_DISK_KEPT,
    TROUBLE_DISK_NEW,
    TROUBLE_BACKUP,
    TROUBLE_RESTORE,
    TROUBLE_CLONE,
    TROUBLE_JUMP,
    TROUBLE_SKEW,
    TROUBLE_DRIFT,
    TROUBLE_NEWCOMER,
    TROUBLE_RETIRE,
    TROUBLE_LEAVE,
    TROUBLE_PROTOCOL,
    TROUBLE_COUNT,
    STEP_ACT = TROUBLE_COUNT, /* A client does something in the first space. */
    STEP_ACT_BESIDE,          /* In the second. */
    STEP_SAMPLE,              /* The laws are looked at. */
    STEP_COUNT
};

/* As node: all of them. */
#define STEP_NODE_ALL UINT32_MAX

struct step {
    uint64_t at_ms; /* Since the beginning was over. */
    uint32_t kind;
    uint32_t node; /* Modulo the nodes that there are. */
    uint64_t random;
};

enum schedule_profile {
    SCHEDULE_SHORT = 0, /* Some hundred steps in some ten seconds. */
    SCHEDULE_LONG = 1   /* At least a thousand ops in at least an hour. */
};

struct schedule {
    uint64_t seed;
    uint32_t nodes;
    uint32_t spaces; /* 1 or 2. */
    uint64_t keepalive_ms;
    struct step *steps; /* Owned. */
    uint32_t count, cap;
};

void schedule_draw(struct schedule *schedule, uint64_t seed, enum schedule_profile profile);
void schedule_fini(struct schedule *schedule);
void schedule_copy(struct schedule *to, const struct schedule *from);
void schedule_write(const struct schedule *schedule, FILE *out);
/* False: not a schedule; says where on standard error. */
bool schedule_read(struct schedule *schedule, const char *path);

#endif
