/* SPDX-License-Identifier: Apache-2.0 */
/* A small real store with a bit of everything in it, the same in every run: what the targets start
 * from that need true changes and true records. */
#ifndef TESTS_FUZZ_SMALL_STORE_H
#define TESTS_FUZZ_SMALL_STORE_H

#include "replica/read.h"
#include "replica/replica.h"
#include "store/history.h"

enum { SMALL_NOW_MS = 1700000, SMALL_SPACE = 1, SMALL_EARLY_LSN = 6 };

struct small_store {
    struct msy_alloc alloc;
    struct msy_identity *identity;
    struct msy_store *store; /* All of it. */
    struct msy_store *early; /* As it was after SMALL_EARLY_LSN changes. */
    struct msy_prng prng;
};

/* Aborts when not good. */
void small_must(bool good);
/* Made at the first call; lives as long as the process. */
struct small_store *small_store(void);
meshsync_status small_open(struct msy_alloc *alloc, struct msy_store *store,
                           const struct msy_identity *identity, struct msy_prng *prng,
                           struct msy_replica **replica);
/* One event, with id 1: status of the step, and of its answer in *answer. */
meshsync_status small_step(struct msy_alloc *alloc, struct msy_replica *replica,
                           struct msy_replica_event *event, meshsync_status *answer);
/* A put of a value into "things", which must not make the machine break. */
meshsync_status small_put(struct msy_alloc *alloc, struct msy_replica *replica, uint8_t name,
                          meshsync_status *answer);

#endif
