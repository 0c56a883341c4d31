/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store whose n-th operation fails, once, between a machine and a real store: what code does with
 * an error of any call of store/store.h can so be tried at every place where it calls.
 */
#ifndef TESTS_FAULT_FAIL_STORE_H
#define TESTS_FAULT_FAIL_STORE_H

#include "store/store.h"

enum fail_op {
    FAIL_BEGIN = 0,
    FAIL_COMMIT = 1,
    FAIL_GET = 2,
    FAIL_PUT = 3,
    FAIL_DEL = 4,
    FAIL_CURSOR = 5, /* Opening one. */
    FAIL_MOVE = 6,
    FAIL_OPS = 7
};

/* When to fail, and what came of it; shared by any number of stores of one thread. */
struct fail_plan {
    bool armed;       /* Operations count, and may fail, only while this is set. */
    bool reads;       /* Read transactions count, too. */
    uint64_t left;    /* Operations until the one that fails; 0: none fails. */
    bool stays;       /* All operations after the one that failed fail with its status. */
    uint32_t pick;    /* Chooses among the statuses that the operation can have. */
    uint64_t counted; /* Operations while armed. */
    bool fired;       /* It failed, with: */
    enum fail_op op;
    meshsync_status status;
    uint64_t fired_of[FAIL_OPS]; /* How often each operation failed, over the plan's life. */
};

/* Takes over inner, which is closed with it. plan outlives it. */
struct msy_store *fail_store_open(struct msy_store *inner, struct fail_plan *plan);
struct msy_store *fail_store_inner(struct msy_store *store);
/* A sum over all that a store holds, to see that nothing changed. */
void fail_store_sum(struct msy_store *store, uint8_t sum[32]);
/* Readies the plan for one failure at operation n from now. */
void fail_plan_at(struct fail_plan *plan, uint64_t n, uint32_t pick);
const char *fail_op_name(enum fail_op op);

#endif
