/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store_ops.h"

#include <pthread.h>
#include <string.h>

#include "base/error.h"
#include "store/treap.h"

/*
 * Each commit is a version: one immutable tree for each table. A snapshot shares the version's
 * trees, the writer changes copies of what it touches, and a clone begins with another store's.
 */
struct memory_version {
    struct msy_treap tables[MSY_TABLE_COUNT];
};

struct memory_iter {
    struct msy_store_iter head;
    meshsync_bytes key; /* Where it is; lent by the transaction's tree. */
    struct memory_iter *next;
};

struct memory_txn {
    struct msy_store_txn head;
    struct memory_store *store;    /* Borrowed: outlives it. */
    struct memory_version version; /* Owned: a share of each tree. */
    struct memory_iter *idle;      /* Owned: closed by their users. */
    uint32_t iters_open;
    struct memory_txn *next; /* In the store's idle list. */
};

struct memory_store {
    struct msy_store head;
    struct msy_alloc *alloc; /* Borrowed. */
    pthread_mutex_t lock;    /* Guards the rest but the writer's trees. */
    struct memory_version committed;
    struct memory_txn *idle; /* Owned: ended transactions, for reuse. */
    uint32_t readers_count;
    bool writing;
    uint64_t last_txn_id;
    enum msy_store_fault fault;
    uint64_t fail_at; /* Actions of the writer until one fails, and all after it; 0: never. */
    bool failed;
    struct msy_treap_pool pool; /* Of the writer: nodes that its next change may need. */
};

static struct memory_store *memory_store(struct msy_store *store)
{
    return (struct memory_store *)store;
}

static struct memory_txn *memory_txn(struct msy_store_txn *txn)
{
    return (struct memory_txn *)txn;
}

static void version_share(struct memory_version *to, const struct memory_version *from)
{
    for (unsigned i = 0; i < MSY_TABLE_COUNT; i++) {
        to->tables[i] = msy_treap_share(&from->tables[i]);
    }
}

static void version_drop(struct memory_version *version, struct msy_alloc *alloc)
{
    for (unsigned i = 0; i < MSY_TABLE_COUNT; i++) {
        msy_treap_drop(&version->tables[i], alloc);
    }
}

/* An idle transaction, or a new one. */
static struct memory_txn *memory_take_txn(struct memory_store *store)
{
    (void)pthread_mutex_lock(&store->lock);
    struct memory_txn *txn = store->idle;
    if (txn != NULL) {
        store->idle = txn->next;
    }
    (void)pthread_mutex_unlock(&store->lock);
    if (txn == NULL) {
        txn = msy_new(store->alloc, sizeof *txn);
    }
    if (txn != NULL) {
        txn->store = store;
        txn->next = NULL;
    }
    return txn;
}

/* Gives the trees back, and the transaction for reuse. */
static void memory_end(struct memory_txn *txn)
{
    struct memory_store *store = txn->store;
    version_drop(&txn->version, store->alloc);
    (void)pthread_mutex_lock(&store->lock);
    if (txn->head.mode == MSY_TXN_WRITE) {
        store->writing = false;
    } else {
        store->readers_count--;
    }
    /* A cursor that is still open would be used after it was freed: leave it all in place. */
    MSY_ASSERT(txn->iters_open == 0);
    if (txn->iters_open == 0) {
        txn->next = store->idle;
        store->idle = txn;
    }
    (void)pthread_mutex_unlock(&store->lock);
}

static meshsync_status memory_begin(struct msy_store *base, enum msy_txn_mode mode,
                                    struct msy_store_txn **out)
{
    struct memory_store *store = memory_store(base);
    struct memory_txn *txn = memory_take_txn(store);
    if (txn == NULL) {
        return MESHSYNC_E_NO_MEMORY;
    }
    bool busy = false;
    (void)pthread_mutex_lock(&store->lock);
    if (mode == MSY_TXN_WRITE) {
        busy = store->writing;
        store->writing = true;
    } else {
        store->readers_count++;
    }
    if (busy) {
        txn->next = store->idle;
        store->idle = txn;
    } else {
        version_share(&txn->version, &store->committed);
    }
    (void)pthread_mutex_unlock(&store->lock);
    if (busy) {
        return MESHSYNC_E_BUSY;
    }
    *out = &txn->head;
    return MESHSYNC_OK;
}

static void memory_abort(struct msy_store_txn *base)
{
    memory_end(memory_txn(base));
}

/* Counts an action that changes something; false when the process ends at it. */
static bool memory_acts(struct memory_store *store)
{
    (void)pthread_mutex_lock(&store->lock);
    if (store->fail_at > 0) {
        store->fail_at -= 1;
        store->failed = store->failed || store->fail_at == 0;
    }
    bool good = !store->failed;
    (void)pthread_mutex_unlock(&store->lock);
    return good;
}

static meshsync_status memory_commit(struct msy_store_txn *base)
{
    struct memory_txn *txn = memory_txn(base);
    struct memory_store *store = txn->store;
    meshsync_status status = MESHSYNC_OK;
    if (base->mode == MSY_TXN_WRITE) {
        bool acts = memory_acts(store);
        (void)pthread_mutex_lock(&store->lock);
        if (store->fault == MSY_STORE_FAULT_COMMIT_IO || !acts) {
            status = MESHSYNC_E_IO;
        } else {
            /* The old version goes with the transaction. */
            struct memory_version old = store->committed;
            store->committed = txn->version;
            txn->version = old;
            store->last_txn_id++;
        }
        (void)pthread_mutex_unlock(&store->lock);
    }
    memory_end(txn);
    return status;
}

static meshsync_status memory_get(struct msy_store_txn *base, enum msy_table table,
                                  meshsync_bytes key, meshsync_bytes *value)
{
    return msy_treap_get(&memory_txn(base)->version.tables[table], key, value)
               ? MESHSYNC_OK
               : MESHSYNC_E_NOT_FOUND;
}

static enum msy_store_fault memory_fault(struct memory_store *store)
{
    (void)pthread_mutex_lock(&store->lock);
    enum msy_store_fault fault = store->fault;
    (void)pthread_mutex_unlock(&store->lock);
    return fault;
}

static meshsync_status memory_reserve(struct msy_store_txn *base, enum msy_table table,
                                      meshsync_bytes key, size_t value_len, enum msy_put_mode mode,
                                      uint8_t **value)
{
    struct memory_txn *txn = memory_txn(base);
    struct msy_treap *tree = &txn->version.tables[table];
    if (!memory_acts(txn->store)) {
        return MESHSYNC_E_IO;
    }
    /* The reserve of a real store is what this fault leaves. */
    if (memory_fault(txn->store) == MSY_STORE_FAULT_FULL && !base->uses_reserve) {
        return MESHSYNC_E_STORE_FULL;
    }
    if (mode == MSY_PUT_APPEND) {
        meshsync_bytes last;
        meshsync_bytes none = {NULL, 0};
        meshsync_bytes last_value;
        if (msy_treap_find(tree, MSY_MOVE_LAST, none, &last, &last_value) &&
            msy_bytes_compare(key, last) <= 0) {
            return MESHSYNC_E_INVALID;
        }
    }
    return msy_treap_put(tree, &txn->store->pool, key, value_len, value);
}

static meshsync_status memory_del(struct msy_store_txn *base, enum msy_table table,
                                  meshsync_bytes key)
{
    struct memory_txn *txn = memory_txn(base);
    if (!memory_acts(txn->store)) {
        return MESHSYNC_E_IO;
    }
    return msy_treap_del(&txn->version.tables[table], &txn->store->pool, key);
}

static meshsync_status memory_iter_open(struct msy_store_txn *base, enum msy_table table,
                                        struct msy_store_iter **out)
{
    struct memory_txn *txn = memory_txn(base);
    (void)table; /* Kept in the cursor's head. */
    struct memory_iter *iter = txn->idle;
    if (iter != NULL) {
        txn->idle = iter->next;
    } else {
        iter = msy_new(txn->store->alloc, sizeof *iter);
        if (iter == NULL) {
            return MESHSYNC_E_NO_MEMORY;
        }
    }
    txn->iters_open++;
    *out = &iter->head;
    return MESHSYNC_OK;
}

static void memory_iter_close(struct msy_store_iter *base)
{
    struct memory_iter *iter = (struct memory_iter *)base;
    struct memory_txn *txn = memory_txn(base->txn);
    iter->next = txn->idle;
    txn->idle = iter;
    txn->iters_open--;
}

static meshsync_status memory_move(struct msy_store_iter *base, enum msy_store_move move,
                                   meshsync_bytes key, meshsync_bytes *found_key,
                                   meshsync_bytes *value)
{
    struct memory_iter *iter = (struct memory_iter *)base;
    const struct msy_treap *tree = &memory_txn(base->txn)->version.tables[base->table];
    bool steps = move == MSY_MOVE_NEXT || move == MSY_MOVE_PREV;
    if (!msy_treap_find(tree, move, steps ? iter->key : key, found_key, value)) {
        return MESHSYNC_E_END;
    }
    iter->key = *found_key;
    return MESHSYNC_OK;
}

static meshsync_status memory_get_stats(struct msy_store *base, struct msy_store_stats *stats)
{
    struct memory_store *store = memory_store(base);
    (void)pthread_mutex_lock(&store->lock);
    for (unsigned i = 0; i < MSY_TABLE_COUNT; i++) {
        stats->entries[i] = store->committed.tables[i].entries_count;
        stats->used_bytes += store->committed.tables[i].bytes;
    }
    stats->readers_count = store->readers_count;
    stats->last_txn_id = store->last_txn_id;
    (void)pthread_mutex_unlock(&store->lock);
    return MESHSYNC_OK;
}

static meshsync_status memory_copy(struct msy_store *base, int fd)
{
    (void)base;
    (void)fd;
    return MESHSYNC_E_UNSUPPORTED;
}

static meshsync_status memory_sweep_readers(struct msy_store *base, uint32_t *freed)
{
    (void)base;
    *freed = 0; /* Readers live in this process and end with it. */
    return MESHSYNC_OK;
}

static void memory_close(struct msy_store *base)
{
    struct memory_store *store = memory_store(base);
    struct msy_alloc *alloc = store->alloc;
    MSY_ASSERT(store->readers_count == 0 && !store->writing);
    if (store->readers_count != 0 || store->writing) {
        return; /* Somebody may still use it. */
    }
    version_drop(&store->committed, alloc);
    msy_treap_pool_fini(&store->pool);
    while (store->idle != NULL) {
        struct memory_txn *txn = store->idle;
        store->idle = txn->next;
        while (txn->idle != NULL) {
            struct memory_iter *iter = txn->idle;
            txn->idle = iter->next;
            msy_free(alloc, iter, sizeof *iter);
        }
        msy_free(alloc, txn, sizeof *txn);
    }
    (void)pthread_mutex_destroy(&store->lock);
    msy_free(alloc, store, sizeof *store);
}

static const struct msy_store_ops memory_ops = {
    .close = memory_close,
    .begin = memory_begin,
    .commit = memory_commit,
    .abort = memory_abort,
    .get = memory_get,
    .reserve = memory_reserve,
    .del = memory_del,
    .iter_open = memory_iter_open,
    .iter_close = memory_iter_close,
    .move = memory_move,
    .get_stats = memory_get_stats,
    .copy = memory_copy,
    .sweep_readers = memory_sweep_readers,
};

meshsync_status msy_store_open_memory(struct msy_alloc *alloc, struct msy_store **out,
                                      meshsync_error *error)
{
    *out = NULL;
    struct memory_store *store = msy_new(alloc, sizeof *store);
    if (store == NULL) {
        return msy_fail(error, MESHSYNC_E_NO_MEMORY, "store: no memory to open it");
    }
    if (pthread_mutex_init(&store->lock, NULL) != 0) {
        msy_free(alloc, store, sizeof *store);
        return msy_fail(error, MESHSYNC_E_RESOURCE, "store: no mutex");
    }
    store->head.ops = &memory_ops;
    store->head.sealed = true;
    store->alloc = alloc;
    msy_treap_pool_init(&store->pool, alloc);
    *out = &store->head;
    return MESHSYNC_OK;
}

void msy_store_memory_fault(struct msy_store *base, enum msy_store_fault fault)
{
    MSY_ASSERT(base->ops == &memory_ops);
    if (base->ops != &memory_ops) {
        return;
    }
    struct memory_store *store = memory_store(base);
    (void)pthread_mutex_lock(&store->lock);
    store->fault = fault;
    (void)pthread_mutex_unlock(&store->lock);
}

void msy_store_memory_fail_at(struct msy_store *base, uint64_t actions)
{
    MSY_ASSERT(base->ops == &memory_ops);
    if (base->ops != &memory_ops) {
        return;
    }
    struct memory_store *store = memory_store(base);
    (void)pthread_mutex_lock(&store->lock);
    store->fail_at = actions;
    store->failed = false;
    (void)pthread_mutex_unlock(&store->lock);
}

bool msy_store_memory_failed(struct msy_store *base)
{
    if (base->ops != &memory_ops) {
        return false;
    }
    struct memory_store *store = memory_store(base);
    (void)pthread_mutex_lock(&store->lock);
    bool failed = store->failed;
    (void)pthread_mutex_unlock(&store->lock);
    return failed;
}

meshsync_status msy_store_memory_clone(struct msy_store *base, struct msy_store **clone)
{
    *clone = NULL;
    if (base->ops != &memory_ops) {
        return MESHSYNC_E_UNSUPPORTED;
    }
    struct memory_store *store = memory_store(base);
    struct msy_store *made = NULL;
    /* The same allocator: the trees are shared, and whoever drops a node last frees it. */
    meshsync_status status = msy_store_open_memory(store->alloc, &made, NULL);
    if (status != MESHSYNC_OK) {
        return status;
    }
    (void)pthread_mutex_lock(&store->lock);
    version_share(&memory_store(made)->committed, &store->committed);
    memory_store(made)->last_txn_id = store->last_txn_id;
    (void)pthread_mutex_unlock(&store->lock);
    *clone = made;
    return MESHSYNC_OK;
}
