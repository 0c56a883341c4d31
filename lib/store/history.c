/* SPDX-License-Identifier: Apache-2.0 */
#include "store/history.h"

#include "wire/change.h"

meshsync_status msy_history_next_space(struct msy_store_txn *txn, uint32_t *space,
                                       struct msy_space_row_descriptor *row)
{
    uint8_t key[5];
    meshsync_bytes found;
    meshsync_bytes value;
    struct msy_store_iter *iter = NULL;
    if (*space == UINT32_MAX) {
        return MESHSYNC_E_END;
    }
    meshsync_status status = msy_store_iter_open(txn, MSY_TABLE_SPACES, &iter);
    if (status != MESHSYNC_OK) {
        return status;
    }
    status = msy_store_seek(iter, msy_key_space(key, *space + 1, MSY_SPACE_ROW_DESCRIPTOR), &found,
                            &value);
    while (status == MESHSYNC_OK && found.len == 5 && found.data[4] != MSY_SPACE_ROW_DESCRIPTOR) {
        status = msy_store_next(iter, &found, &value);
    }
    if (status == MESHSYNC_OK && found.len != 5) {
        status = MESHSYNC_E_STORE_CORRUPT;
    }
    if (status == MESHSYNC_OK) {
        *space = msy_get_be32(found.data);
        status = msy_space_row_read(value, row);
    }
    msy_store_iter_close(iter);
    return status;
}

static meshsync_status history_tips(struct msy_store_txn *txn, enum msy_table table, uint32_t space,
                                    struct msy_vector *vector)
{
    uint8_t prefix[4];
    meshsync_bytes key;
    meshsync_bytes value;
    struct msy_store_iter *iter = NULL;
    msy_vector_reset(vector);
    msy_put_be32(prefix, space);
    meshsync_status status = msy_store_iter_open(txn, table, &iter);
    if (status != MESHSYNC_OK) {
        return status;
    }
    status = msy_store_seek(iter, msy_bytes(prefix, 4), &key, &value);
    while (status == MESHSYNC_OK && key.len == MSY_CLOCK_KEY_BYTES &&
           memcmp(key.data, prefix, 4) == 0) {
        struct msy_tip tip;
        if (value.len != MSY_TIP_VALUE_BYTES || msy_get_be64(value.data) - 1 >= MSY_SEQ_MAX) {
            status = MESHSYNC_E_STORE_CORRUPT;
            break;
        }
        memcpy(tip.actor.id, key.data + 4, sizeof tip.actor.id);
        tip.seq = msy_get_be64(value.data);
        memcpy(tip.hash, value.data + 8, sizeof tip.hash);
        status = msy_vector_raise(vector, &tip);
        if (status == MESHSYNC_OK) {
            status = msy_store_next(iter, &key, &value);
        }
    }
    msy_store_iter_close(iter);
    return status == MESHSYNC_E_END ? MESHSYNC_OK : status;
}

meshsync_status msy_history_vector(struct msy_store_txn *txn, uint32_t space,
                                   struct msy_vector *vector)
{
    return history_tips(txn, MSY_TABLE_CLOCK, space, vector);
}

meshsync_status msy_history_heads(struct msy_store_txn *txn, uint32_t space,
                                  struct msy_vector *vector)
{
    return history_tips(txn, MSY_TABLE_HEADS, space, vector);
}

meshsync_status msy_history_last_lsn(struct msy_store_txn *txn, uint64_t *lsn)
{
    meshsync_bytes key;
    meshsync_bytes value;
    struct msy_store_iter *iter = NULL;
    *lsn = 0;
    meshsync_status status = msy_store_iter_open(txn, MSY_TABLE_LOG, &iter);
    if (status != MESHSYNC_OK) {
        return status;
    }
    status = msy_store_seek_before(iter, msy_bytes(NULL, 0), &key, &value);
    if (status == MESHSYNC_OK) {
        if (key.len == 8) {
            *lsn = msy_get_be64(key.data);
        } else {
            status = MESHSYNC_E_STORE_CORRUPT;
        }
    }
    msy_store_iter_close(iter);
    return status == MESHSYNC_E_END ? MESHSYNC_OK : status;
}

meshsync_status msy_history_record_raw(struct msy_store_txn *txn, uint64_t lsn,
                                       struct msy_record *record)
{
    uint8_t key[8];
    meshsync_bytes value;
    meshsync_status status = msy_store_get(txn, MSY_TABLE_LOG, msy_key_log(key, lsn), &value);
    return status == MESHSYNC_OK ? msy_record_read(value, record) : status;
}

meshsync_status msy_history_record(struct msy_store_txn *txn, uint64_t lsn,
                                   struct msy_record *record)
{
    meshsync_status status = msy_history_record_raw(txn, lsn, record);
    return status == MESHSYNC_OK && !msy_record_sound(record, lsn) ? MESHSYNC_E_STORE_CORRUPT
                                                                   : status;
}

meshsync_status msy_history_record_from(struct msy_store_txn *txn, uint64_t *lsn,
                                        struct msy_record *record)
{
    uint8_t key[8];
    meshsync_bytes found;
    meshsync_bytes value;
    struct msy_store_iter *iter = NULL;
    /* Almost always the very next number is there. */
    meshsync_status status = msy_history_record(txn, *lsn, record);
    if (status != MESHSYNC_E_NOT_FOUND) {
        return status;
    }
    status = msy_store_iter_open(txn, MSY_TABLE_LOG, &iter);
    if (status != MESHSYNC_OK) {
        return status;
    }
    status = msy_store_seek(iter, msy_key_log(key, *lsn), &found, &value);
    if (status == MESHSYNC_OK) {
        if (found.len == 8) {
            *lsn = msy_get_be64(found.data);
            status = msy_record_read(value, record);
            if (status == MESHSYNC_OK && !msy_record_sound(record, *lsn)) {
                status = MESHSYNC_E_STORE_CORRUPT;
            }
        } else {
            status = MESHSYNC_E_STORE_CORRUPT;
        }
    }
    msy_store_iter_close(iter);
    return status;
}

meshsync_status msy_history_find(struct msy_store_txn *txn, uint32_t space,
                                 const struct msy_actor *actor, uint64_t seq,
                                 const uint8_t *hash_prefix, uint64_t *lsn)
{
    static const uint8_t zero[8];
    uint8_t key[MSY_BY_ACTOR_KEY_BYTES];
    meshsync_bytes found;
    meshsync_bytes value;
    meshsync_bytes wanted =
        msy_key_by_actor(key, space, actor, seq, hash_prefix == NULL ? zero : hash_prefix);
    meshsync_status status;
    if (hash_prefix != NULL) {
        status = msy_store_get(txn, MSY_TABLE_BY_ACTOR, wanted, &value);
    } else {
        struct msy_store_iter *iter = NULL;
        status = msy_store_iter_open(txn, MSY_TABLE_BY_ACTOR, &iter);
        if (status != MESHSYNC_OK) {
            return status;
        }
        status = msy_store_seek(iter, wanted, &found, &value);
        if (status == MESHSYNC_E_END ||
            (status == MESHSYNC_OK &&
             (found.len != MSY_BY_ACTOR_KEY_BYTES || memcmp(found.data, key, 28) != 0))) {
            status = MESHSYNC_E_NOT_FOUND;
        }
        msy_store_iter_close(iter);
    }
    if (status == MESHSYNC_OK) {
        if (value.len != 8) {
            return MESHSYNC_E_STORE_CORRUPT;
        }
        *lsn = msy_get_be64(value.data);
    }
    return status;
}

meshsync_status msy_history_epoch(struct msy_store_txn *txn, uint32_t space,
                                  const struct msy_actor *actor, struct msy_epoch *epoch)
{
    uint64_t lsn = 0;
    struct msy_record record;
    struct msy_change_header header;
    meshsync_bytes header_bytes;
    meshsync_bytes body;
    const uint8_t *signature = NULL;
    memset(epoch, 0, sizeof *epoch);
    meshsync_status status = msy_history_find(txn, space, actor, 1, NULL, &lsn);
    if (status == MESHSYNC_OK) {
        status = msy_history_record(txn, lsn, &record);
        if (status == MESHSYNC_E_NOT_FOUND) {
            status = MESHSYNC_E_STORE_CORRUPT;
        }
    }
    if (status != MESHSYNC_OK) {
        return status;
    }
    if (msy_change_parse_header(record.change, &header, &header_bytes, &signature, &body) !=
        MESHSYNC_OK) {
        return MESHSYNC_E_STORE_CORRUPT;
    }
    memcpy(epoch->device, header.device, sizeof epoch->device);
    epoch->ordinal = header.ordinal;
    epoch->has_predecessor = header.has_predecessor;
    epoch->predecessor = header.predecessor;
    return MESHSYNC_OK;
}

meshsync_status msy_history_covers(struct msy_store_txn *txn, uint32_t space,
                                   const struct msy_vector *vector, const struct msy_actor *actor,
                                   uint64_t seq, bool *covers)
{
    const struct msy_tip *exact = msy_vector_get(vector, actor);
    struct msy_epoch floor;
    struct msy_epoch epoch;
    *covers = exact != NULL && exact->seq >= seq;
    if (exact != NULL) {
        return MESHSYNC_OK; /* Tips are maximal: no other tip implies more of this actor. */
    }
    meshsync_status status = msy_history_epoch(txn, space, actor, &floor);
    if (status != MESHSYNC_OK) {
        return status == MESHSYNC_E_NOT_FOUND ? MESHSYNC_OK : status;
    }
    for (uint32_t i = 0; i < vector->count && !*covers; i++) {
        struct msy_tip at = vector->tips[i];
        for (;;) {
            status = msy_history_epoch(txn, space, &at.actor, &epoch);
            if (status == MESHSYNC_E_NOT_FOUND) {
                break; /* Not known here: it implies nothing that we could tell. */
            }
            if (status != MESHSYNC_OK) {
                return status;
            }
            if (memcmp(floor.device, epoch.device, sizeof epoch.device) != 0 ||
                epoch.ordinal <= floor.ordinal || !epoch.has_predecessor) {
                break;
            }
            at = epoch.predecessor;
            if (msy_actor_equal(&at.actor, actor)) {
                *covers = at.seq >= seq;
                break;
            }
        }
    }
    return MESHSYNC_OK;
}
