/* SPDX-License-Identifier: Apache-2.0 */
#include "replica/control.h"

#include "secure/crypto.h"
#include "store/history.h"
#include "wire/change.h"
#include "wire/value.h"

meshsync_bytes msy_key_collection(uint8_t key[5 + MESHSYNC_NAME_BYTES_MAX], uint32_t space,
                                  meshsync_bytes name)
{
    msy_put_be32(key, space);
    key[4] = 0;
    if (name.len > 0) {
        memcpy(key + 5, name.data, name.len);
    }
    return msy_bytes(key, 5 + name.len);
}

meshsync_bytes msy_key_collection_number(uint8_t key[9], uint32_t space, uint32_t number)
{
    msy_put_be32(key, space);
    key[4] = 1;
    msy_put_be32(key + 5, number);
    return msy_bytes(key, 9);
}

meshsync_status msy_control_number(struct msy_store_txn *txn, uint32_t space, meshsync_bytes name,
                                   uint32_t *number)
{
    uint8_t key[5 + MESHSYNC_NAME_BYTES_MAX];
    meshsync_bytes value;
    if (name.len > MESHSYNC_NAME_BYTES_MAX) {
        return MESHSYNC_E_NOT_FOUND;
    }
    meshsync_status status =
        msy_store_get(txn, MSY_TABLE_NAMES, msy_key_collection(key, space, name), &value);
    if (status == MESHSYNC_OK) {
        if (value.len != 4) {
            return MESHSYNC_E_STORE_CORRUPT;
        }
        *number = msy_get_be32(value.data);
    }
    return status;
}

meshsync_status msy_control_name(struct msy_store_txn *txn, uint32_t space, uint32_t number,
                                 meshsync_bytes *name)
{
    uint8_t key[9];
    return msy_store_get(txn, MSY_TABLE_NAMES, msy_key_collection_number(key, space, number), name);
}

meshsync_status msy_control_payload(struct msy_store_txn *txn, const struct msy_leaf_entry *entry,
                                    meshsync_bytes *payload)
{
    struct msy_record record;
    if (entry->payload.data != NULL) {
        *payload = entry->payload;
        return MESHSYNC_OK;
    }
    meshsync_status status = msy_history_record_raw(txn, entry->lsn, &record);
    if (status != MESHSYNC_OK) {
        return status == MESHSYNC_E_NOT_FOUND ? MESHSYNC_E_STORE_CORRUPT : status;
    }
    if (entry->payload_at > record.change.len ||
        entry->payload_len > record.change.len - entry->payload_at) {
        return MESHSYNC_E_STORE_CORRUPT;
    }
    *payload = msy_bytes(record.change.data + entry->payload_at, entry->payload_len);
    return msy_crc32c(0, payload->data, payload->len) == entry->payload_crc
               ? MESHSYNC_OK
               : MESHSYNC_E_STORE_CORRUPT;
}

bool msy_control_array(meshsync_bytes payload, meshsync_bytes *array)
{
    meshsync_value value;
    msy_value_decode(payload, &value);
    *array = value.bytes;
    return value.type == MESHSYNC_VALUE_MSGPACK;
}

meshsync_status msy_control_header(const struct msy_record *record,
                                   struct msy_change_header *header)
{
    static const struct msy_hasher hasher = {.hash = msy_hash, .stream = msy_stream};
    uint8_t hash[MSY_CHANGE_HASH_BYTES];
    meshsync_bytes header_bytes;
    meshsync_bytes body;
    const uint8_t *signature = NULL;
    if (msy_change_parse_header(record->change, header, &header_bytes, &signature, &body) !=
        MESHSYNC_OK) {
        return MESHSYNC_E_STORE_CORRUPT;
    }
    msy_change_hash(&hasher, header_bytes, signature, hash);
    return memcmp(hash, record->hash, sizeof hash) == 0 ? MESHSYNC_OK : MESHSYNC_E_STORE_CORRUPT;
}

meshsync_status msy_control_stamp(struct msy_store_txn *txn, uint64_t lsn, uint64_t *hlc)
{
    struct msy_record record;
    struct msy_change_header header;
    meshsync_status status = msy_history_record(txn, lsn, &record);
    if (status == MESHSYNC_OK) {
        status = msy_control_header(&record, &header);
    }
    *hlc = status == MESHSYNC_OK ? header.hlc : 0;
    return status;
}
