/* SPDX-License-Identifier: Apache-2.0 */
#include "fault/fail_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "secure/crypto.h"
#include "store/schema.h"
#include "store/store_ops.h"

struct fail_store {
    struct msy_store head;
    struct msy_store *inner; /* Owned. */
    struct fail_plan *plan;
};

struct fail_txn {
    struct msy_store_txn head;
    struct msy_store_txn *inner;
    struct fail_plan *plan;
};

struct fail_iter {
    struct msy_store_iter head;
    struct msy_store_iter *inner;
    struct fail_plan *plan;
};

/* What each operation can fail with in the store over LMDB. */
static const struct {
    const char *name;
    uint32_t count;
    meshsync_status statuses[4];
} fail_ops[FAIL_OPS] = {
    [FAIL_BEGIN] = {"begin", 3, {MESHSYNC_E_IO, MESHSYNC_E_NO_MEMORY, MESHSYNC_E_RESOURCE}},
    [FAIL_COMMIT] = {"commit", 3, {MESHSYNC_E_IO, MESHSYNC_E_DISK_FULL, MESHSYNC_E_STORE_FULL}},
    [FAIL_GET] = {"get", 2, {MESHSYNC_E_STORE_CORRUPT, MESHSYNC_E_IO}},
    [FAIL_PUT] = {"put",
                  4,
                  {MESHSYNC_E_STORE_FULL, MESHSYNC_E_IO, MESHSYNC_E_NO_MEMORY,
                   MESHSYNC_E_STORE_CORRUPT}},
    [FAIL_DEL] = {"del", 2, {MESHSYNC_E_IO, MESHSYNC_E_STORE_CORRUPT}},
    [FAIL_CURSOR] = {"cursor", 1, {MESHSYNC_E_NO_MEMORY}},
    [FAIL_MOVE] = {"move", 2, {MESHSYNC_E_STORE_CORRUPT, MESHSYNC_E_IO}},
};

const char *fail_op_name(enum fail_op op)
{
    return fail_ops[op].name;
}

void fail_plan_at(struct fail_plan *plan, uint64_t n, uint32_t pick)
{
    plan->left = n;
    plan->pick = pick;
    plan->fired = false;
    plan->counted = 0;
}

/* OK, or what the operation is to fail with. */
static meshsync_status fail_now(struct fail_plan *plan, enum fail_op op, enum msy_txn_mode mode)
{
    if (!plan->armed || (mode == MSY_TXN_READ && !plan->reads)) {
        return MESHSYNC_OK;
    }
    plan->counted += 1;
    if (plan->fired && plan->stays) {
        return plan->status;
    }
    if (plan->left == 0 || --plan->left > 0) {
        return MESHSYNC_OK;
    }
    plan->fired = true;
    plan->op = op;
    plan->status = fail_ops[op].statuses[plan->pick % fail_ops[op].count];
    plan->fired_of[op] += 1;
    return plan->status;
}

static struct fail_txn *fail_txn(struct msy_store_txn *base)
{
    return (struct fail_txn *)base;
}

static void fail_close(struct msy_store *base)
{
    struct fail_store *store = (struct fail_store *)base;
    msy_store_close(store->inner);
    free(store);
}

static meshsync_status fail_begin(struct msy_store *base, enum msy_txn_mode mode,
                                  struct msy_store_txn **out)
{
    struct fail_store *store = (struct fail_store *)base;
    meshsync_status status = fail_now(store->plan, FAIL_BEGIN, mode);
    if (status != MESHSYNC_OK) {
        return status;
    }
    struct fail_txn *txn = calloc(1, sizeof *txn);
    assert_non_null(txn);
    status = msy_store_begin(store->inner, mode, &txn->inner);
    if (status != MESHSYNC_OK) {
        free(txn);
        return status;
    }
    txn->inner->sealed = false; /* This store's callers get the checksums, once. */
    txn->plan = store->plan;
    *out = &txn->head;
    return MESHSYNC_OK;
}

static void fail_abort(struct msy_store_txn *base)
{
    msy_store_abort(fail_txn(base)->inner);
    free(base);
}

static meshsync_status fail_commit(struct msy_store_txn *base)
{
    struct fail_txn *txn = fail_txn(base);
    meshsync_status status = fail_now(txn->plan, FAIL_COMMIT, base->mode);
    if (status != MESHSYNC_OK) {
        fail_abort(base);
        return status;
    }
    status = msy_store_commit(txn->inner);
    free(txn);
    return status;
}

static meshsync_status fail_get(struct msy_store_txn *base, enum msy_table table,
                                meshsync_bytes key, meshsync_bytes *value)
{
    struct fail_txn *txn = fail_txn(base);
    meshsync_status status = fail_now(txn->plan, FAIL_GET, base->mode);
    return status != MESHSYNC_OK ? status : msy_store_get(txn->inner, table, key, value);
}

/* As with LMDB: all but a full store break the transaction. */
static meshsync_status fail_break(struct msy_store_txn *base, enum fail_op op)
{
    meshsync_status status = fail_now(fail_txn(base)->plan, op, base->mode);
    if (status != MESHSYNC_OK && status != MESHSYNC_E_STORE_FULL) {
        base->failed = status;
    }
    return status;
}

static meshsync_status fail_reserve(struct msy_store_txn *base, enum msy_table table,
                                    meshsync_bytes key, size_t value_len, enum msy_put_mode mode,
                                    uint8_t **value)
{
    meshsync_status status = fail_break(base, FAIL_PUT);
    return status != MESHSYNC_OK
               ? status
               : msy_store_reserve(fail_txn(base)->inner, table, key, value_len, mode, value);
}

static meshsync_status fail_del(struct msy_store_txn *base, enum msy_table table,
                                meshsync_bytes key)
{
    meshsync_status status = fail_break(base, FAIL_DEL);
    return status != MESHSYNC_OK ? status : msy_store_del(fail_txn(base)->inner, table, key);
}

static meshsync_status fail_iter_open(struct msy_store_txn *base, enum msy_table table,
                                      struct msy_store_iter **out)
{
    struct fail_txn *txn = fail_txn(base);
    meshsync_status status = fail_now(txn->plan, FAIL_CURSOR, base->mode);
    if (status != MESHSYNC_OK) {
        return status;
    }
    struct fail_iter *iter = calloc(1, sizeof *iter);
    assert_non_null(iter);
    status = msy_store_iter_open(txn->inner, table, &iter->inner);
    if (status != MESHSYNC_OK) {
        free(iter);
        return status;
    }
    iter->plan = txn->plan;
    *out = &iter->head;
    return MESHSYNC_OK;
}

static void fail_iter_close(struct msy_store_iter *base)
{
    msy_store_iter_close(((struct fail_iter *)base)->inner);
    free(base);
}

static meshsync_status fail_move(struct msy_store_iter *base, enum msy_store_move move,
                                 meshsync_bytes key, meshsync_bytes *found_key,
                                 meshsync_bytes *value)
{
    struct fail_iter *iter = (struct fail_iter *)base;
    meshsync_bytes none = {NULL, 0};
    meshsync_status status = fail_now(iter->plan, FAIL_MOVE, base->txn->mode);
    if (status != MESHSYNC_OK) {
        return status;
    }
    switch (move) {
    case MSY_MOVE_FIRST: return msy_store_seek(iter->inner, none, found_key, value);
    case MSY_MOVE_LAST: return msy_store_seek_before(iter->inner, none, found_key, value);
    case MSY_MOVE_AT_LEAST: return msy_store_seek(iter->inner, key, found_key, value);
    case MSY_MOVE_BEFORE: return msy_store_seek_before(iter->inner, key, found_key, value);
    case MSY_MOVE_NEXT: return msy_store_next(iter->inner, found_key, value);
    case MSY_MOVE_PREV: return msy_store_prev(iter->inner, found_key, value);
    }
    return MESHSYNC_E_INTERNAL;
}

static meshsync_status fail_get_stats(struct msy_store *base, struct msy_store_stats *stats)
{
    return msy_store_get_stats(((struct fail_store *)base)->inner, stats);
}

static meshsync_status fail_copy(struct msy_store *base, int fd)
{
    return msy_store_copy(((struct fail_store *)base)->inner, fd);
}

static meshsync_status fail_sweep(struct msy_store *base, uint32_t *freed)
{
    return msy_store_sweep_readers(((struct fail_store *)base)->inner, freed);
}

static const struct msy_store_ops fail_store_ops = {
    .close = fail_close,
    .begin = fail_begin,
    .commit = fail_commit,
    .abort = fail_abort,
    .get = fail_get,
    .reserve = fail_reserve,
    .del = fail_del,
    .iter_open = fail_iter_open,
    .iter_close = fail_iter_close,
    .move = fail_move,
    .get_stats = fail_get_stats,
    .copy = fail_copy,
    .sweep_readers = fail_sweep,
};

struct msy_store *fail_store_open(struct msy_store *inner, struct fail_plan *plan)
{
    struct fail_store *store = calloc(1, sizeof *store);
    assert_non_null(store);
    store->head.ops = &fail_store_ops;
    store->head.sealed = inner->sealed;
    store->inner = inner;
    store->plan = plan;
    return &store->head;
}

struct msy_store *fail_store_inner(struct msy_store *store)
{
    assert_ptr_equal(store->ops, &fail_store_ops);
    return ((struct fail_store *)store)->inner;
}

void fail_store_sum(struct msy_store *store, uint8_t sum[32])
{
    struct msy_store_txn *txn = NULL;
    memset(sum, 0, 32);
    assert_int_equal(msy_store_begin(store, MSY_TXN_READ, &txn), MESHSYNC_OK);
    for (uint32_t table = 0; table < MSY_TABLE_COUNT; table++) {
        struct msy_store_iter *iter = NULL;
        meshsync_bytes key = {NULL, 0};
        meshsync_bytes value = {NULL, 0};
        assert_int_equal(msy_store_iter_open(txn, (enum msy_table)table, &iter), MESHSYNC_OK);
        while (msy_store_next(iter, &key, &value) == MESHSYNC_OK) {
            const size_t head[3] = {table, key.len, value.len};
            const meshsync_bytes parts[4] = {msy_bytes(sum, 32), msy_bytes(head, sizeof head), key,
                                             value};
            uint8_t next[32];
            msy_hash(next, sizeof next, parts, 4);
            memcpy(sum, next, sizeof next);
        }
        msy_store_iter_close(iter);
    }
    msy_store_abort(txn);
}
