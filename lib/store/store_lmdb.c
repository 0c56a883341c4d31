/* SPDX-License-Identifier: Apache-2.0 */
#include "store/lmdb_store.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "store/lmdb_check.h"
#include "store/lmdb_page.h"

/* LMDB's own tables: the one of free pages, and the one that holds the roots of the others. */
enum { LMDB_TABLE_FREE = 0, LMDB_TABLE_MAIN = 1, LMDB_META_PAGES = 2 };
/* What a small entry may take: a node's head, its place in the page, and half-full pages. */
enum { LMDB_ENTRY_HEAD_BYTES = 16, LMDB_ENTRY_SPREAD = 2 };
/* Starts of a reader that commits may overtake, two each. */
enum { LMDB_RENEWS_MAX = 64 };

static struct msy_lmdb_store *lmdb_store(struct msy_store *store)
{
    return (struct msy_lmdb_store *)store;
}

static struct msy_lmdb_txn *lmdb_txn(struct msy_store_txn *txn)
{
    return (struct msy_lmdb_txn *)txn;
}

static struct msy_lmdb_iter *lmdb_iter(struct msy_store_iter *iter)
{
    return (struct msy_lmdb_iter *)iter;
}

/* LMDB takes keys as mutable memory, but only reads it. */
static MDB_val lmdb_val(meshsync_bytes bytes)
{
    union {
        const uint8_t *read;
        void *any;
    } data = {.read = bytes.data};
    return (MDB_val){bytes.len, data.any};
}

static meshsync_bytes lmdb_bytes(const MDB_val *val)
{
    return (meshsync_bytes){val->mv_data, val->mv_size};
}

static bool lmdb_broken(struct msy_lmdb_store *store)
{
    return __atomic_load_n(&store->broken, __ATOMIC_ACQUIRE);
}

/* Status of a guarded call within a transaction; notes what leaves the transaction unusable. */
static meshsync_status lmdb_result(struct msy_lmdb_txn *txn, int result)
{
    meshsync_status status = msy_lmdb_status(result);
    if (txn->head.mode != MSY_TXN_WRITE) {
        return status;
    }
    if (result == MSY_LMDB_ASSERTED) {
        __atomic_store_n(&txn->store->broken, true, __ATOMIC_RELEASE);
    }
    if (status != MESHSYNC_OK && result != MDB_NOTFOUND && result != MDB_KEYEXIST) {
        txn->head.failed = status;
    }
    return status;
}

static uint64_t lmdb_stat_pages(const MDB_stat *stat)
{
    return (uint64_t)stat->ms_branch_pages + stat->ms_leaf_pages + stat->ms_overflow_pages;
}

/* Counting what the tables hold is exact within a transaction too, and costs no walk of the free
 * list: what is neither meta page nor part of a tree is free. */
meshsync_status msy_lmdb_used_bytes(struct msy_lmdb_store *store, MDB_txn *txn, uint64_t *used)
{
    uint64_t pages = LMDB_META_PAGES;
    MDB_stat stat;
    int result = msy_lmdb_stat(txn, LMDB_TABLE_FREE, &stat);
    if (result == MDB_SUCCESS) {
        pages += lmdb_stat_pages(&stat);
        result = msy_lmdb_stat(txn, LMDB_TABLE_MAIN, &stat);
    }
    if (result == MDB_SUCCESS) {
        pages += lmdb_stat_pages(&stat);
    }
    for (unsigned i = 0; i < MSY_TABLE_COUNT && result == MDB_SUCCESS; i++) {
        result = msy_lmdb_stat(txn, store->tables[i], &stat);
        if (result == MDB_SUCCESS) {
            pages += lmdb_stat_pages(&stat);
        }
    }
    *used = pages * store->page_bytes;
    return msy_lmdb_status(result);
}

/* Takes a put off the room that is left, and looks at the pages again when that estimate, which is
 * never too low by more than a few pages, says that it is used up. */
static meshsync_status lmdb_take_room(struct msy_lmdb_txn *txn, size_t key_len, size_t value_len)
{
    struct msy_lmdb_store *store = txn->store;
    uint64_t entry = (uint64_t)key_len + value_len + LMDB_ENTRY_HEAD_BYTES;
    uint64_t need = entry > store->page_bytes / 2
                        ? (entry / store->page_bytes + 2) * store->page_bytes
                        : entry * LMDB_ENTRY_SPREAD;
    if (need <= txn->room_bytes) {
        txn->room_bytes -= need;
        return MESHSYNC_OK;
    }
    uint64_t cap = store->bytes_max;
    if (!txn->head.uses_reserve) {
        cap -= cap / 20;
    }
    uint64_t used = 0;
    meshsync_status status = msy_lmdb_used_bytes(store, txn->txn, &used);
    if (status != MESHSYNC_OK) {
        txn->head.failed = status;
        if (status == MESHSYNC_E_STORE_CORRUPT) {
            __atomic_store_n(&store->broken, true, __ATOMIC_RELEASE);
        }
        return status;
    }
    txn->room_bytes = 0;
    if (used >= cap || need > cap - used) {
        return MESHSYNC_E_STORE_FULL;
    }
    txn->room_bytes = cap - used - need;
    return MESHSYNC_OK;
}

static void lmdb_free_iters(struct msy_alloc *alloc, struct msy_lmdb_iter **list)
{
    while (*list != NULL) {
        struct msy_lmdb_iter *iter = *list;
        *list = iter->next;
        if (iter->cursor != NULL) {
            mdb_cursor_close(iter->cursor);
        }
        msy_free(alloc, iter, sizeof *iter);
    }
}

static void lmdb_free_reader(struct msy_lmdb_txn *txn)
{
    struct msy_alloc *alloc = txn->store->alloc;
    for (unsigned i = 0; i < MSY_TABLE_COUNT; i++) {
        lmdb_free_iters(alloc, &txn->idle[i]);
    }
    if (txn->txn != NULL) {
        mdb_txn_abort(txn->txn);
    }
    msy_free(alloc, txn, sizeof *txn);
}

/* Takes over the map of a writer who has a larger one. LMDB maps anew under the feet of whoever
 * reads, so only while nobody else does. */
static int lmdb_map_again(struct msy_lmdb_store *store)
{
    int result = MDB_MAP_RESIZED;
    (void)pthread_mutex_lock(&store->lock);
    if (store->active_count == 1) {
        result = mdb_env_set_mapsize(store->env, 0);
        store->unmapped = result != MDB_SUCCESS;
    }
    (void)pthread_mutex_unlock(&store->lock);
    return result;
}

static int lmdb_renew(struct msy_lmdb_txn *txn)
{
    return txn->txn != NULL ? mdb_txn_renew(txn->txn)
                            : mdb_txn_begin(txn->store->env, NULL, MDB_RDONLY, &txn->txn);
}

/* LMDB's reader notes the number n of the last commit, then copies the roots of the tables from
 * that commit's page, which commit n + 2 writes over. Whoever is held up in between copies roots
 * newer than n says, and the next snapshot of its thread could be older than this one. So a start
 * counts only when commit n + 2 is not there after the copy; n + 1 is, while it is being synced. */
static int lmdb_renew_whole(struct msy_lmdb_txn *txn)
{
    int result = MDB_SUCCESS;
    for (unsigned tries = 0; tries < LMDB_RENEWS_MAX; tries++) {
        MDB_envinfo info;
        result = lmdb_renew(txn);
        if (result != MDB_SUCCESS) {
            return result;
        }
        result = mdb_env_info(txn->store->env, &info);
        if (result == MDB_SUCCESS && info.me_last_txnid <= mdb_txn_id(txn->txn) + 1) {
            return MDB_SUCCESS;
        }
        mdb_txn_reset(txn->txn);
    }
    return result != MDB_SUCCESS ? result : EAGAIN;
}

/* Begins or renews; once more after what was in the way could be removed. */
static int lmdb_start_reader(struct msy_lmdb_txn *txn)
{
    MDB_env *env = txn->store->env;
    int result = MDB_SUCCESS;
    for (unsigned tries = 0; tries < 2; tries++) {
        result = lmdb_renew_whole(txn);
        if (result == MDB_READERS_FULL) {
            int dead = 0;
            (void)mdb_reader_check(env, &dead); /* If it fails, the slots stay full. */
        } else if (result == MDB_MAP_RESIZED) {
            int mapped = lmdb_map_again(txn->store);
            if (mapped != MDB_SUCCESS) {
                return mapped;
            }
        } else {
            return result;
        }
    }
    return result;
}

/* Back to the idle ones, or freed when there are enough. */
static void lmdb_release_reader(struct msy_lmdb_txn *txn, bool reusable)
{
    struct msy_lmdb_store *store = txn->store;
    (void)pthread_mutex_lock(&store->lock);
    store->active_count--;
    bool keep = reusable && store->idle_count < MSY_LMDB_IDLE_MAX;
    if (keep) {
        txn->next = store->idle;
        store->idle = txn;
        store->idle_count++;
    }
    (void)pthread_mutex_unlock(&store->lock);
    if (!keep) {
        lmdb_free_reader(txn);
    }
}

/* An idle one or NULL, counted as active. */
static struct msy_lmdb_txn *lmdb_take_reader(struct msy_lmdb_store *store, bool *unmapped)
{
    (void)pthread_mutex_lock(&store->lock);
    struct msy_lmdb_txn *txn = store->idle;
    *unmapped = store->unmapped;
    if (*unmapped) {
        txn = NULL;
    } else {
        store->active_count++;
    }
    if (txn != NULL) {
        store->idle = txn->next;
        store->idle_count--;
    }
    (void)pthread_mutex_unlock(&store->lock);
    return txn;
}

static meshsync_status lmdb_begin_read(struct msy_lmdb_store *store, struct msy_store_txn **out)
{
    bool unmapped = false;
    struct msy_lmdb_txn *txn = lmdb_take_reader(store, &unmapped);
    if (unmapped) {
        return MESHSYNC_E_RESOURCE;
    }
    if (txn == NULL) {
        txn = msy_new(store->alloc, sizeof *txn);
        if (txn == NULL) {
            (void)pthread_mutex_lock(&store->lock);
            store->active_count--;
            (void)pthread_mutex_unlock(&store->lock);
            return MESHSYNC_E_NO_MEMORY;
        }
        txn->store = store;
    }
    txn->next = NULL;
    int result = lmdb_start_reader(txn);
    if (result != MDB_SUCCESS) {
        lmdb_release_reader(txn, false);
        return msy_lmdb_status(result);
    }
    *out = &txn->head;
    return MESHSYNC_OK;
}

static void lmdb_stop_writing(struct msy_lmdb_store *store)
{
    (void)pthread_mutex_lock(&store->lock);
    store->writing = false;
    (void)pthread_mutex_unlock(&store->lock);
}

static meshsync_status lmdb_begin_write(struct msy_lmdb_store *store, struct msy_store_txn **out)
{
    if (lmdb_broken(store)) {
        return MESHSYNC_E_STORE_CORRUPT;
    }
    /* LMDB would wait for the other writer, for ever if that is this thread. */
    (void)pthread_mutex_lock(&store->lock);
    bool busy = store->writing;
    store->writing = true;
    (void)pthread_mutex_unlock(&store->lock);
    if (busy) {
        return MESHSYNC_E_BUSY;
    }
    if (store->distrusted) {
        lmdb_stop_writing(store);
        return MESHSYNC_E_IO;
    }
    struct msy_lmdb_txn *txn = &store->writer;
    txn->store = store;
    txn->room_bytes = 0;
    int result = mdb_txn_begin(store->env, NULL, 0, &txn->txn);
    if (result != MDB_SUCCESS) {
        txn->txn = NULL;
        lmdb_stop_writing(store);
        return msy_lmdb_status(result);
    }
    *out = &txn->head;
    return MESHSYNC_OK;
}

static meshsync_status lmdb_begin(struct msy_store *store, enum msy_txn_mode mode,
                                  struct msy_store_txn **txn)
{
    return mode == MSY_TXN_WRITE ? lmdb_begin_write(lmdb_store(store), txn)
                                 : lmdb_begin_read(lmdb_store(store), txn);
}

static void lmdb_end_read(struct msy_lmdb_txn *txn)
{
    mdb_txn_reset(txn->txn);
    /* A cursor that is still open would be used after it was freed: leave it all in place. */
    MSY_ASSERT(txn->iters_open == 0);
    if (txn->iters_open == 0) {
        lmdb_release_reader(txn, true);
    }
}

/* LMDB frees a writer's cursors when the transaction ends, so they go first; their shells stay. */
static void lmdb_close_writer_iters(struct msy_lmdb_txn *txn)
{
    MSY_ASSERT(txn->iters_open == 0);
    for (unsigned i = 0; i < MSY_TABLE_COUNT; i++) {
        while (txn->idle[i] != NULL) {
            struct msy_lmdb_iter *iter = txn->idle[i];
            txn->idle[i] = iter->next;
            mdb_cursor_close(iter->cursor);
            iter->cursor = NULL;
            iter->next = txn->spare;
            txn->spare = iter;
        }
    }
}

static void lmdb_abort(struct msy_store_txn *base)
{
    struct msy_lmdb_txn *txn = lmdb_txn(base);
    if (base->mode != MSY_TXN_WRITE) {
        lmdb_end_read(txn);
        return;
    }
    if (!lmdb_broken(txn->store)) {
        lmdb_close_writer_iters(txn);
        mdb_txn_abort(txn->txn);
        txn->txn = NULL;
    }
    lmdb_stop_writing(txn->store);
}

/* The page that a commit's root goes to, as it was before; len 0: it could not be read. */
struct lmdb_root_page {
    uint8_t bytes[MSY_PAGE_ROOT_BYTES];
    size_t len;
    off_t at;
    int fd;
};

static void lmdb_keep_root(const struct msy_lmdb_txn *txn, struct lmdb_root_page *kept)
{
    kept->len = 0;
    kept->at = (off_t)((mdb_txn_id(txn->txn) & 1) * txn->store->page_bytes);
    if (mdb_env_get_fd(txn->store->env, &kept->fd) == MDB_SUCCESS &&
        pread(kept->fd, kept->bytes, sizeof kept->bytes, kept->at) == (ssize_t)sizeof kept->bytes) {
        kept->len = sizeof kept->bytes;
    }
}

/* When its root could not be written, LMDB puts the old number back, in front of the new tables:
 * such a root looks like one whose number went wrong. So the whole of it is put back. */
static void lmdb_put_root_back(const struct lmdb_root_page *kept)
{
    uint8_t now[MSY_PAGE_ROOT_BYTES];
    if (kept->len > 0 && pread(kept->fd, now, sizeof now, kept->at) == (ssize_t)sizeof now &&
        memcmp(now, kept->bytes, sizeof now) != 0) {
        /* If this fails, too, the next opening finds the store damaged, and says so. */
        (void)(pwrite(kept->fd, kept->bytes, kept->len, kept->at) == (ssize_t)kept->len &&
               fdatasync(kept->fd) == 0);
    }
}

/* LMDB says EIO when less was written than it gave, which is how a disk gets full. Whether that was
 * it, one more page behind the end of the file tells. */
static int lmdb_why(const struct lmdb_root_page *kept, int result)
{
    static const uint8_t page[4096];
    struct stat file;
    if (result != EIO || kept->len == 0 || fstat(kept->fd, &file) != 0) {
        return result;
    }
    ssize_t wrote = pwrite(kept->fd, page, sizeof page, file.st_size);
    int errno_value = errno;
    /* What stays behind the last page when this fails is in nobody's way. */
    (void)!ftruncate(kept->fd, file.st_size);
    if (wrote < 0) {
        return errno_value == ENOSPC || errno_value == EDQUOT || errno_value == EFBIG ? errno_value
                                                                                      : EIO;
    }
    return wrote < (ssize_t)sizeof page ? ENOSPC : EIO;
}

static meshsync_status lmdb_commit(struct msy_store_txn *base)
{
    struct msy_lmdb_txn *txn = lmdb_txn(base);
    if (base->mode != MSY_TXN_WRITE) {
        lmdb_end_read(txn);
        return MESHSYNC_OK;
    }
    struct lmdb_root_page kept;
    lmdb_close_writer_iters(txn);
    lmdb_keep_root(txn, &kept);
    int result = msy_lmdb_commit(txn->txn);
    if (result == MSY_LMDB_ASSERTED) {
        __atomic_store_n(&txn->store->broken, true, __ATOMIC_RELEASE);
    } else {
        txn->txn = NULL;
    }
    if (result != MDB_SUCCESS) {
        lmdb_put_root_back(&kept);
        result = lmdb_why(&kept, result);
        /* What the system still has in memory may not be what is on disk: nothing is built on it.
         * Only an opening, which reads the disk, knows what came of this commit. */
        txn->store->distrusted = txn->store->distrusted || msy_lmdb_status(result) == MESHSYNC_E_IO;
    }
    if (result == EIO || result == MDB_PANIC) {
        __atomic_store_n(&txn->store->unsure, true, __ATOMIC_RELEASE);
    }
    lmdb_stop_writing(txn->store);
    return msy_lmdb_status(result);
}

static meshsync_status lmdb_get(struct msy_store_txn *base, enum msy_table table,
                                meshsync_bytes key, meshsync_bytes *value)
{
    struct msy_lmdb_txn *txn = lmdb_txn(base);
    MDB_val key_val = lmdb_val(key);
    MDB_val value_val;
    int result = msy_lmdb_get(txn->txn, txn->store->tables[table], &key_val, &value_val);
    if (result == MDB_SUCCESS) {
        *value = lmdb_bytes(&value_val);
    }
    return lmdb_result(txn, result);
}

static meshsync_status lmdb_reserve(struct msy_store_txn *base, enum msy_table table,
                                    meshsync_bytes key, size_t value_len, enum msy_put_mode mode,
                                    uint8_t **value)
{
    struct msy_lmdb_txn *txn = lmdb_txn(base);
    meshsync_status status = lmdb_take_room(txn, key.len, value_len);
    if (status != MESHSYNC_OK) {
        return status;
    }
    MDB_val key_val = lmdb_val(key);
    MDB_val value_val = {value_len, NULL};
    unsigned flags = mode == MSY_PUT_APPEND ? MDB_RESERVE | MDB_APPEND : MDB_RESERVE;
    int result = msy_lmdb_put(txn->txn, txn->store->tables[table], &key_val, &value_val, flags);
    if (result == MDB_SUCCESS) {
        *value = value_val.mv_data;
    }
    return lmdb_result(txn, result);
}

static meshsync_status lmdb_del(struct msy_store_txn *base, enum msy_table table,
                                meshsync_bytes key)
{
    struct msy_lmdb_txn *txn = lmdb_txn(base);
    MDB_val key_val = lmdb_val(key);
    return lmdb_result(txn, msy_lmdb_del(txn->txn, txn->store->tables[table], &key_val));
}

/* A shell for a cursor: a spare one, or a new one. */
static struct msy_lmdb_iter *lmdb_new_iter(struct msy_lmdb_txn *txn)
{
    struct msy_lmdb_iter *iter = txn->spare;
    if (iter != NULL) {
        txn->spare = iter->next;
        return iter;
    }
    return msy_new(txn->store->alloc, sizeof *iter);
}

static meshsync_status lmdb_iter_open(struct msy_store_txn *base, enum msy_table table,
                                      struct msy_store_iter **out)
{
    struct msy_lmdb_txn *txn = lmdb_txn(base);
    struct msy_lmdb_iter *iter = txn->idle[table];
    int result = MDB_SUCCESS;
    if (iter != NULL) {
        txn->idle[table] = iter->next;
        /* A reader's cursor was of an earlier snapshot; a writer's is of this transaction. */
        if (base->mode == MSY_TXN_READ) {
            result = mdb_cursor_renew(txn->txn, iter->cursor);
        }
    } else {
        iter = lmdb_new_iter(txn);
        if (iter == NULL) {
            return MESHSYNC_E_NO_MEMORY;
        }
        result = mdb_cursor_open(txn->txn, txn->store->tables[table], &iter->cursor);
        if (result != MDB_SUCCESS) {
            iter->cursor = NULL;
        }
    }
    iter->next = NULL;
    if (result != MDB_SUCCESS) {
        lmdb_free_iters(txn->store->alloc, &iter);
        return msy_lmdb_status(result);
    }
    txn->iters_open++;
    *out = &iter->head;
    return MESHSYNC_OK;
}

static void lmdb_iter_close(struct msy_store_iter *base)
{
    struct msy_lmdb_iter *iter = lmdb_iter(base);
    struct msy_lmdb_txn *txn = lmdb_txn(base->txn);
    iter->next = txn->idle[base->table];
    txn->idle[base->table] = iter;
    txn->iters_open--;
}

static int lmdb_cursor_move(MDB_cursor *cursor, enum msy_store_move move, MDB_val *key,
                            MDB_val *value)
{
    switch (move) {
    case MSY_MOVE_FIRST: return msy_lmdb_cursor_get(cursor, key, value, MDB_FIRST);
    case MSY_MOVE_LAST: return msy_lmdb_cursor_get(cursor, key, value, MDB_LAST);
    case MSY_MOVE_AT_LEAST: return msy_lmdb_cursor_get(cursor, key, value, MDB_SET_RANGE);
    case MSY_MOVE_NEXT: return msy_lmdb_cursor_get(cursor, key, value, MDB_NEXT);
    case MSY_MOVE_PREV: return msy_lmdb_cursor_get(cursor, key, value, MDB_PREV);
    case MSY_MOVE_BEFORE: {
        int result = msy_lmdb_cursor_get(cursor, key, value, MDB_SET_RANGE);
        if (result == MDB_SUCCESS) {
            return msy_lmdb_cursor_get(cursor, key, value, MDB_PREV);
        }
        if (result == MDB_NOTFOUND) {
            return msy_lmdb_cursor_get(cursor, key, value, MDB_LAST);
        }
        return result;
    }
    }
    return EINVAL;
}

static meshsync_status lmdb_move(struct msy_store_iter *base, enum msy_store_move move,
                                 meshsync_bytes key, meshsync_bytes *found_key,
                                 meshsync_bytes *value)
{
    MDB_val key_val = lmdb_val(key);
    MDB_val value_val = {0, NULL};
    int result = lmdb_cursor_move(lmdb_iter(base)->cursor, move, &key_val, &value_val);
    if (result == MDB_SUCCESS) {
        *found_key = lmdb_bytes(&key_val);
        *value = lmdb_bytes(&value_val);
    }
    meshsync_status status = lmdb_result(lmdb_txn(base->txn), result);
    return status == MESHSYNC_E_NOT_FOUND ? MESHSYNC_E_END : status;
}

static meshsync_status lmdb_get_stats(struct msy_store *base, struct msy_store_stats *stats)
{
    struct msy_lmdb_store *store = lmdb_store(base);
    struct msy_store_txn *txn = NULL;
    meshsync_status status = lmdb_begin_read(store, &txn);
    if (status != MESHSYNC_OK) {
        return status;
    }
    MDB_txn *snapshot = lmdb_txn(txn)->txn;
    for (unsigned i = 0; i < MSY_TABLE_COUNT && status == MESHSYNC_OK; i++) {
        MDB_stat stat = {0};
        status = msy_lmdb_status(msy_lmdb_stat(snapshot, store->tables[i], &stat));
        stats->entries[i] = stat.ms_entries;
    }
    if (status == MESHSYNC_OK) {
        status = msy_lmdb_used_bytes(store, snapshot, &stats->used_bytes);
    }
    MDB_envinfo info = {0};
    if (status == MESHSYNC_OK) {
        status = msy_lmdb_status(mdb_env_info(store->env, &info));
    }
    stats->map_bytes = info.me_mapsize;
    stats->bytes_max = store->bytes_max;
    stats->readers_count = info.me_numreaders;
    stats->last_txn_id = info.me_last_txnid;
    lmdb_end_read(lmdb_txn(txn));
    return status;
}

static meshsync_status lmdb_copy(struct msy_store *base, int fd)
{
    int result = mdb_env_copyfd2(lmdb_store(base)->env, fd, MDB_CP_COMPACT);
    if (result != MDB_SUCCESS) {
        return msy_lmdb_status(result);
    }
    /* Pipes and sockets cannot be synced, and need not be. */
    if (fsync(fd) != 0 && errno != EINVAL && errno != EROFS) {
        return msy_lmdb_status(errno);
    }
    return MESHSYNC_OK;
}

static meshsync_status lmdb_sweep_readers(struct msy_store *base, uint32_t *freed)
{
    int dead = 0;
    int result = mdb_reader_check(lmdb_store(base)->env, &dead);
    if (result == MDB_SUCCESS && dead > 0) {
        *freed = (uint32_t)dead;
    }
    return msy_lmdb_status(result);
}

/* The file, for a look at it after LMDB closed it; -1: there is nothing to be noted of it. */
static int lmdb_keep_file(struct msy_lmdb_store *store)
{
    int fd = -1;
    if (!store->opened || store->head.read_only ||
        __atomic_load_n(&store->unsure, __ATOMIC_ACQUIRE) ||
        mdb_env_get_fd(store->env, &fd) != MDB_SUCCESS) {
        return -1;
    }
    return fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

static void lmdb_mark(struct msy_lmdb_store *store, int fd)
{
    struct msy_lmdb_file file;
    if (fd >= 0 && msy_lmdb_check_roots(fd, &file, NULL) == MESHSYNC_OK) {
        msy_lmdb_mark_write(store->lock_fd, &file);
    }
    if (fd >= 0) {
        (void)close(fd); /* Nothing was written through it. */
    }
}

void msy_lmdb_close(struct msy_store *base)
{
    struct msy_lmdb_store *store = lmdb_store(base);
    MSY_ASSERT(store->active_count == 0 && !store->writing);
    if (store->active_count != 0 || store->writing || lmdb_broken(store)) {
        /* Somebody may still use it, or it was left in the middle of a write. It stays registered:
         * this process never opens the folder again. */
        return;
    }
    while (store->idle != NULL) {
        struct msy_lmdb_txn *txn = store->idle;
        store->idle = txn->next;
        lmdb_free_reader(txn);
    }
    lmdb_free_iters(store->alloc, &store->writer.spare);
    if (store->env != NULL) {
        int fd = lmdb_keep_file(store);
        mdb_env_close(store->env);
        lmdb_mark(store, fd);
    }
    msy_lmdb_unlock(store);
    (void)pthread_mutex_destroy(&store->lock);
    msy_free(store->alloc, store, sizeof *store);
}

const struct msy_store_ops msy_lmdb_ops = {
    .close = msy_lmdb_close,
    .begin = lmdb_begin,
    .commit = lmdb_commit,
    .abort = lmdb_abort,
    .get = lmdb_get,
    .reserve = lmdb_reserve,
    .del = lmdb_del,
    .iter_open = lmdb_iter_open,
    .iter_close = lmdb_iter_close,
    .move = lmdb_move,
    .get_stats = lmdb_get_stats,
    .copy = lmdb_copy,
    .sweep_readers = lmdb_sweep_readers,
};

void msy_store_library(int *major, int *minor, int *patch)
{
    (void)mdb_version(major, minor, patch);
}
