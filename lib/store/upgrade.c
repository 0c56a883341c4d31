/* SPDX-License-Identifier: Apache-2.0 */
#include "store/upgrade.h"

#include "store/schema.h"
#include "store/store_ops.h"

enum { FORMAT_BYTES = 4, FORMAT_SEALED_BYTES = 8, FORMAT_SEALED = 2, SEAL_BYTES = 4 };

/* Everything here is done to the bytes as they are: the store is not marked as sealed yet. */

static meshsync_status upgrade_value(struct msy_store_txn *txn, enum msy_table table,
                                     const struct msy_buf *key, struct msy_buf *value)
{
    uint32_t crc = msy_crc32c(0, key->data, key->len);
    crc = msy_crc32c(crc, value->data, value->len);
    meshsync_status status = msy_buf_append_be32(value, crc);
    return status == MESHSYNC_OK
               ? msy_store_put(txn, table, msy_buf_bytes(key), msy_buf_bytes(value), MSY_PUT_ANY)
               : status;
}

/* The first entry with a key of at least key's, copied. */
static meshsync_status upgrade_find(struct msy_store_txn *txn, enum msy_table table,
                                    struct msy_buf *key, struct msy_buf *value)
{
    struct msy_store_iter *iter = NULL;
    meshsync_bytes found;
    meshsync_bytes bytes;
    meshsync_status status = msy_store_iter_open(txn, table, &iter);
    if (status != MESHSYNC_OK) {
        return status;
    }
    status = msy_store_seek(iter, msy_buf_bytes(key), &found, &bytes);
    msy_buf_reset(key);
    msy_buf_reset(value);
    if (status == MESHSYNC_OK) {
        status = msy_buf_append(key, found.data, found.len);
    }
    if (status == MESHSYNC_OK) {
        status = msy_buf_append(value, bytes.data, bytes.len);
    }
    msy_store_iter_close(iter);
    return status;
}

static meshsync_status upgrade_table(struct msy_store_txn *txn, enum msy_table table,
                                     struct msy_buf *key, struct msy_buf *value)
{
    msy_buf_reset(key);
    meshsync_status status = upgrade_find(txn, table, key, value);
    while (status == MESHSYNC_OK) {
        if (table == MSY_TABLE_META && key->len == sizeof MSY_META_FORMAT - 1 &&
            memcmp(key->data, MSY_META_FORMAT, key->len) == 0) {
            msy_put_be32(value->data, FORMAT_SEALED); /* Its length was looked at. */
        }
        status = upgrade_value(txn, table, key, value);
        if (status == MESHSYNC_OK) { /* The next possible key. */
            status =
                key->len < MSY_STORE_KEY_BYTES_MAX ? msy_buf_append_u8(key, 0) : MESHSYNC_E_END;
        }
        if (status == MESHSYNC_OK) {
            status = upgrade_find(txn, table, key, value);
        }
    }
    return status == MESHSYNC_E_END ? MESHSYNC_OK : status;
}

static meshsync_status upgrade_all(struct msy_store *store, struct msy_alloc *alloc)
{
    struct msy_store_txn *txn = NULL;
    struct msy_buf key;
    struct msy_buf value;
    msy_buf_init(&key, alloc, MSY_STORE_KEY_BYTES_MAX + 1);
    msy_buf_init(&value, alloc, MSY_STORE_VALUE_BYTES_MAX + SEAL_BYTES);
    meshsync_status status = msy_store_begin(store, MSY_TXN_WRITE, &txn);
    for (int table = 0; table < MSY_TABLE_COUNT && status == MESHSYNC_OK; table++) {
        if (table != MSY_TABLE_LOG && table != MSY_TABLE_STATE) {
            msy_store_use_reserve(txn);
            status = upgrade_table(txn, (enum msy_table)table, &key, &value);
        }
    }
    if (status == MESHSYNC_OK) {
        status = msy_store_commit(txn);
    } else {
        msy_store_abort(txn);
    }
    msy_buf_fini(&key);
    msy_buf_fini(&value);
    return status;
}

meshsync_status msy_store_upgrade(struct msy_store *store, struct msy_alloc *alloc)
{
    struct msy_store_txn *txn = NULL;
    meshsync_bytes format;
    store->sealed = false;
    meshsync_status status = msy_store_begin(store, MSY_TXN_READ, &txn);
    if (status != MESHSYNC_OK) {
        return status;
    }
    status = msy_store_get(txn, MSY_TABLE_META, msy_key_name(MSY_META_FORMAT), &format);
    size_t len = format.len;
    msy_store_abort(txn);
    if (status == MESHSYNC_E_NOT_FOUND || (status == MESHSYNC_OK && len == FORMAT_SEALED_BYTES)) {
        store->sealed = true;
        return MESHSYNC_OK;
    }
    if (status == MESHSYNC_OK && len != FORMAT_BYTES) {
        status = MESHSYNC_E_STORE_CORRUPT;
    }
    if (status == MESHSYNC_OK && !store->read_only) {
        status = upgrade_all(store, alloc);
        store->sealed = status == MESHSYNC_OK;
    }
    return status;
}
