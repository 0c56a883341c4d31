/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store.h"

#include <string.h>

#include "base/buf.h"
#include "store/store_ops.h"

enum { STORE_SEAL_BYTES = 4 };

static bool store_key_valid(meshsync_bytes key)
{
    return key.len >= 1 && key.len <= MSY_STORE_KEY_BYTES_MAX;
}

static bool store_table_valid(enum msy_table table)
{
    return (unsigned)table < MSY_TABLE_COUNT;
}

/*
 * LMDB notices almost no damage to what it keeps. So whatever is read was checked: leaves and
 * records of the log bring checksums of their own, which know their parts; to the values of all
 * other tables a CRC32C over key and value is added here.
 */
static bool store_seals(const struct msy_store_txn *txn, enum msy_table table)
{
    return txn->sealed && table != MSY_TABLE_LOG && table != MSY_TABLE_STATE;
}

static uint32_t store_seal(meshsync_bytes key, const uint8_t *value, size_t len)
{
    return msy_crc32c(msy_crc32c(0, key.data, key.len), value, len);
}

/* Takes the checksum off *value. */
static meshsync_status store_unseal(const struct msy_store_txn *txn, enum msy_table table,
                                    meshsync_bytes key, meshsync_bytes *value)
{
    if (!store_seals(txn, table)) {
        return MESHSYNC_OK;
    }
    if (value->len < STORE_SEAL_BYTES) {
        return MESHSYNC_E_STORE_CORRUPT;
    }
    value->len -= STORE_SEAL_BYTES;
    return msy_get_be32(value->data + value->len) == store_seal(key, value->data, value->len)
               ? MESHSYNC_OK
               : MESHSYNC_E_STORE_CORRUPT;
}

/* May this call change this table? */
static meshsync_status store_check_change(const struct msy_store_txn *txn, enum msy_table table,
                                          meshsync_bytes key)
{
    if (txn->mode != MSY_TXN_WRITE) {
        return MESHSYNC_E_STATE;
    }
    if (!store_table_valid(table) || !store_key_valid(key)) {
        return MESHSYNC_E_INVALID;
    }
    return txn->failed;
}

bool msy_store_is_suspect(const struct msy_store *store)
{
    return store->suspect;
}

void msy_store_close(struct msy_store *store)
{
    if (store != NULL) {
        store->ops->close(store);
    }
}

meshsync_status msy_store_begin(struct msy_store *store, enum msy_txn_mode mode,
                                struct msy_store_txn **txn)
{
    *txn = NULL;
    if (mode == MSY_TXN_WRITE && store->read_only) {
        return MESHSYNC_E_READ_ONLY;
    }
    struct msy_store_txn *begun = NULL;
    meshsync_status status = store->ops->begin(store, mode, &begun);
    if (status != MESHSYNC_OK) {
        return status;
    }
    begun->ops = store->ops;
    begun->mode = mode;
    begun->sealed = store->sealed;
    begun->uses_reserve = false;
    begun->changes_count = 0;
    begun->failed = MESHSYNC_OK;
    *txn = begun;
    return MESHSYNC_OK;
}

meshsync_status msy_store_commit(struct msy_store_txn *txn)
{
    meshsync_status failed = txn->failed;
    if (failed != MESHSYNC_OK) {
        txn->ops->abort(txn);
        return failed;
    }
    return txn->ops->commit(txn);
}

void msy_store_abort(struct msy_store_txn *txn)
{
    if (txn != NULL) {
        txn->ops->abort(txn);
    }
}

void msy_store_use_reserve(struct msy_store_txn *txn)
{
    txn->uses_reserve = true;
}

meshsync_status msy_store_get(struct msy_store_txn *txn, enum msy_table table, meshsync_bytes key,
                              meshsync_bytes *value)
{
    *value = (meshsync_bytes){NULL, 0};
    if (!store_table_valid(table) || !store_key_valid(key)) {
        return MESHSYNC_E_INVALID;
    }
    if (txn->failed != MESHSYNC_OK) {
        return txn->failed;
    }
    meshsync_status status = txn->ops->get(txn, table, key, value);
    return status == MESHSYNC_OK ? store_unseal(txn, table, key, value) : status;
}

static meshsync_status store_reserve(struct msy_store_txn *txn, enum msy_table table,
                                     meshsync_bytes key, size_t value_len, enum msy_put_mode mode,
                                     uint8_t **value)
{
    meshsync_status status = store_check_change(txn, table, key);
    if (status != MESHSYNC_OK) {
        return status;
    }
    if (value_len > MSY_STORE_VALUE_BYTES_MAX) {
        return MESHSYNC_E_LIMIT;
    }
    txn->changes_count++;
    return txn->ops->reserve(txn, table, key, value_len, mode, value);
}

meshsync_status msy_store_put(struct msy_store_txn *txn, enum msy_table table, meshsync_bytes key,
                              meshsync_bytes value, enum msy_put_mode mode)
{
    uint8_t *room = NULL;
    bool seals = store_seals(txn, table);
    size_t len = value.len + (seals ? STORE_SEAL_BYTES : 0);
    meshsync_status status = store_reserve(txn, table, key, len, mode, &room);
    if (status == MESHSYNC_OK && value.len > 0) {
        memcpy(room, value.data, value.len);
    }
    if (status == MESHSYNC_OK && seals) {
        msy_put_be32(room + value.len, store_seal(key, value.data, value.len));
    }
    return status;
}

meshsync_status msy_store_reserve(struct msy_store_txn *txn, enum msy_table table,
                                  meshsync_bytes key, size_t value_len, enum msy_put_mode mode,
                                  uint8_t **value)
{
    *value = NULL;
    meshsync_status status = store_check_change(txn, table, key);
    if (status == MESHSYNC_OK && store_seals(txn, table)) {
        status = MESHSYNC_E_INVALID; /* The checksum is made of the value. */
    }
    if (status != MESHSYNC_OK) {
        return status;
    }
    return store_reserve(txn, table, key, value_len, mode, value);
}

meshsync_status msy_store_del(struct msy_store_txn *txn, enum msy_table table, meshsync_bytes key)
{
    meshsync_status status = store_check_change(txn, table, key);
    if (status != MESHSYNC_OK) {
        return status;
    }
    txn->changes_count++;
    return txn->ops->del(txn, table, key);
}

meshsync_status msy_store_iter_open(struct msy_store_txn *txn, enum msy_table table,
                                    struct msy_store_iter **iter)
{
    *iter = NULL;
    if (!store_table_valid(table)) {
        return MESHSYNC_E_INVALID;
    }
    if (txn->failed != MESHSYNC_OK) {
        return txn->failed;
    }
    struct msy_store_iter *opened = NULL;
    meshsync_status status = txn->ops->iter_open(txn, table, &opened);
    if (status != MESHSYNC_OK) {
        return status;
    }
    opened->ops = txn->ops;
    opened->txn = txn;
    opened->table = table;
    opened->place = MSY_PLACE_NONE;
    opened->changes_count = txn->changes_count;
    *iter = opened;
    return MESHSYNC_OK;
}

void msy_store_iter_close(struct msy_store_iter *iter)
{
    if (iter != NULL) {
        iter->ops->iter_close(iter);
    }
}

static meshsync_status iter_move(struct msy_store_iter *iter, enum msy_store_move move,
                                 meshsync_bytes key, meshsync_bytes *found_key,
                                 meshsync_bytes *value)
{
    *found_key = (meshsync_bytes){NULL, 0};
    *value = (meshsync_bytes){NULL, 0};
    if (iter->txn->failed != MESHSYNC_OK) {
        return iter->txn->failed;
    }
    iter->changes_count = iter->txn->changes_count;
    meshsync_status status = iter->ops->move(iter, move, key, found_key, value);
    iter->place = status == MESHSYNC_OK ? MSY_PLACE_ENTRY : MSY_PLACE_END;
    return status == MESHSYNC_OK ? store_unseal(iter->txn, iter->table, *found_key, value) : status;
}

/* A step from where the cursor is; from nowhere it starts at that end of the table. */
static meshsync_status iter_step(struct msy_store_iter *iter, enum msy_store_move step,
                                 enum msy_store_move start, meshsync_bytes *key,
                                 meshsync_bytes *value)
{
    meshsync_bytes none = {NULL, 0};
    *key = none;
    *value = none;
    switch (iter->place) {
    case MSY_PLACE_NONE: return iter_move(iter, start, none, key, value);
    case MSY_PLACE_ENTRY:
        /* The entry may have moved or gone: its user was told to seek again. */
        if (iter->changes_count != iter->txn->changes_count) {
            return MESHSYNC_E_STATE;
        }
        return iter_move(iter, step, none, key, value);
    case MSY_PLACE_END: return MESHSYNC_E_END;
    }
    return MESHSYNC_E_INTERNAL;
}

meshsync_status msy_store_seek(struct msy_store_iter *iter, meshsync_bytes key,
                               meshsync_bytes *found_key, meshsync_bytes *value)
{
    enum msy_store_move move = key.len == 0 ? MSY_MOVE_FIRST : MSY_MOVE_AT_LEAST;
    return iter_move(iter, move, key, found_key, value);
}

meshsync_status msy_store_seek_before(struct msy_store_iter *iter, meshsync_bytes key,
                                      meshsync_bytes *found_key, meshsync_bytes *value)
{
    enum msy_store_move move = key.len == 0 ? MSY_MOVE_LAST : MSY_MOVE_BEFORE;
    return iter_move(iter, move, key, found_key, value);
}

meshsync_status msy_store_next(struct msy_store_iter *iter, meshsync_bytes *key,
                               meshsync_bytes *value)
{
    return iter_step(iter, MSY_MOVE_NEXT, MSY_MOVE_FIRST, key, value);
}

meshsync_status msy_store_prev(struct msy_store_iter *iter, meshsync_bytes *key,
                               meshsync_bytes *value)
{
    return iter_step(iter, MSY_MOVE_PREV, MSY_MOVE_LAST, key, value);
}

meshsync_status msy_store_get_stats(struct msy_store *store, struct msy_store_stats *stats)
{
    memset(stats, 0, sizeof *stats);
    return store->ops->get_stats(store, stats);
}

meshsync_status msy_store_copy(struct msy_store *store, int fd)
{
    return store->ops->copy(store, fd);
}

meshsync_status msy_store_sweep_readers(struct msy_store *store, uint32_t *freed)
{
    *freed = 0;
    return store->ops->sweep_readers(store, freed);
}
