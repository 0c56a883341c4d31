/* SPDX-License-Identifier: Apache-2.0 */
/* Collections as their schema records say; concurrent records resolve as last writer wins. */
#include "replica/members.h"

#include "base/path.h"
#include "replica/control.h"
#include "store/history.h"
#include "wire/change.h"
#include "wire/msgpack_check.h"

struct schema_order {
    uint64_t hlc;
    struct msy_actor actor;
    uint64_t seq;
    uint32_t index;
};

static bool schema_later(const struct schema_order *a, const struct schema_order *b)
{
    if (a->hlc != b->hlc) {
        return a->hlc > b->hlc;
    }
    int order = msy_actor_compare(&a->actor, &b->actor);
    if (order != 0) {
        return order > 0;
    }
    return a->seq != b->seq ? a->seq > b->seq : a->index > b->index;
}

static meshsync_status schema_order_of(struct msy_store_txn *txn,
                                       const struct msy_leaf_entry *entry,
                                       struct schema_order *order)
{
    struct msy_record record;
    struct msy_change_header header;
    meshsync_status status = msy_history_record(txn, entry->lsn, &record);
    if (status == MESHSYNC_OK) {
        status = msy_control_header(&record, &header);
    }
    if (status == MESHSYNC_OK) {
        order->hlc = header.hlc;
        order->actor = header.actor;
        order->seq = header.seq;
        order->index = entry->index;
    }
    return status;
}

/* [1, type, view, merge name, merge version, priority] */
static bool schema_parse(meshsync_bytes array, struct msy_schema *schema)
{
    struct msy_cursor cursor;
    uint32_t count = 0;
    uint64_t version = 0;
    uint64_t type = 0;
    uint64_t view = 0;
    uint64_t merge_version = 0;
    meshsync_bytes merge = {NULL, 0};
    msy_cursor_init(&cursor, array);
    if (!msy_mp_array(&cursor, &count) || count < 6 || !msy_mp_uint(&cursor, &version) ||
        version != 1 || !msy_mp_uint(&cursor, &type) || !msy_mp_uint(&cursor, &view) ||
        !msy_mp_str(&cursor, &merge) || merge.len > MESHSYNC_NAME_BYTES_MAX ||
        !msy_mp_uint(&cursor, &merge_version) || merge_version > UINT32_MAX || type > INT16_MAX ||
        view > INT16_MAX) {
        return false;
    }
    schema->type = (int32_t)type;
    schema->view = (int32_t)view;
    schema->merge_version = (uint32_t)merge_version;
    memset(schema->merge_name, 0, sizeof schema->merge_name);
    if (merge.len > 0) {
        memcpy(schema->merge_name, merge.data, merge.len);
    }
    return true;
}

static meshsync_status schema_from_leaf(struct msy_store_txn *txn, meshsync_bytes key,
                                        meshsync_bytes value, struct msy_schema *schema)
{
    struct msy_leaf leaf;
    struct msy_alloc alloc;
    struct schema_order best;
    bool found = false;
    msy_alloc_init(&alloc, NULL, NULL, 0);
    msy_leaf_init(&leaf, &alloc);
    meshsync_status status = msy_leaf_read(&leaf, key, value);
    for (uint32_t i = 0; i < leaf.entries_count && status == MESHSYNC_OK; i++) {
        struct schema_order order;
        meshsync_bytes payload;
        meshsync_bytes array;
        memset(&order, 0, sizeof order);
        status = msy_control_payload(txn, &leaf.entries[i], &payload);
        if (status != MESHSYNC_OK || leaf.entries[i].kind != MSY_CONTROL_KIND_VALUE ||
            !msy_control_array(payload, &array)) {
            continue;
        }
        if (leaf.entries_count > 1) {
            status = schema_order_of(txn, &leaf.entries[i], &order);
        }
        if (status == MESHSYNC_OK && (!found || schema_later(&order, &best)) &&
            schema_parse(array, schema)) {
            best = order;
            found = true;
        }
    }
    msy_leaf_fini(&leaf);
    return status == MESHSYNC_OK && !found ? MESHSYNC_E_NOT_FOUND : status;
}

static size_t schema_path(uint8_t path[MESHSYNC_PATH_BYTES_MAX], meshsync_bytes name)
{
    size_t len = 0;
    (void)msy_path_append(path, &len, MESHSYNC_PATH_BYTES_MAX, msy_key_name("schema"));
    if (name.len > 0) {
        (void)msy_path_append(path, &len, MESHSYNC_PATH_BYTES_MAX, name);
    }
    return len;
}

/* Fills in the name and the local number, if the collection has one yet. */
static meshsync_status schema_name(struct msy_store_txn *txn, uint32_t space, meshsync_bytes name,
                                   struct msy_schema *schema)
{
    memset(schema->name, 0, sizeof schema->name);
    memcpy(schema->name, name.data, name.len);
    meshsync_status status = msy_control_number(txn, space, name, &schema->collection);
    if (status == MESHSYNC_E_NOT_FOUND) {
        schema->collection = 0; /* Nothing was written to it yet. */
        status = MESHSYNC_OK;
    }
    return status;
}

meshsync_status msy_schema_find(struct msy_store_txn *txn, uint32_t space, meshsync_bytes name,
                                struct msy_schema *schema)
{
    uint8_t path[MESHSYNC_PATH_BYTES_MAX];
    uint8_t key[MSY_KEY_BYTES_MAX];
    uint32_t control = 0;
    meshsync_bytes value;
    if (name.len == 0 || name.len > MESHSYNC_NAME_BYTES_MAX) {
        return MESHSYNC_E_NOT_FOUND;
    }
    meshsync_status status = msy_control_number(txn, space, msy_bytes(NULL, 0), &control);
    if (status != MESHSYNC_OK) {
        return status;
    }
    meshsync_bytes state =
        msy_key_state(key, space, control, msy_bytes(path, schema_path(path, name)));
    status = msy_store_get(txn, MSY_TABLE_STATE, state, &value);
    if (status == MESHSYNC_OK) {
        status = schema_from_leaf(txn, state, value, schema);
    }
    return status == MESHSYNC_OK ? schema_name(txn, space, name, schema) : status;
}

meshsync_status msy_schema_next(struct msy_store_txn *txn, uint32_t space, meshsync_bytes after,
                                struct msy_schema *schema)
{
    uint8_t path[MESHSYNC_PATH_BYTES_MAX];
    uint8_t scratch[MSY_KEY_BYTES_MAX];
    uint8_t from[MSY_KEY_BYTES_MAX];
    uint8_t prefix_key[MSY_KEY_BYTES_MAX];
    uint32_t control = 0;
    struct msy_store_iter *iter = NULL;
    meshsync_bytes key;
    meshsync_bytes value;
    meshsync_status status = msy_control_number(txn, space, msy_bytes(NULL, 0), &control);
    if (status != MESHSYNC_OK) {
        return status == MESHSYNC_E_NOT_FOUND ? MESHSYNC_E_END : status;
    }
    meshsync_bytes prefix = msy_key_state(prefix_key, space, control,
                                          msy_bytes(path, schema_path(path, msy_bytes(NULL, 0))));
    meshsync_bytes start =
        msy_key_state(from, space, control, msy_bytes(path, schema_path(path, after)));
    status = msy_store_iter_open(txn, MSY_TABLE_STATE, &iter);
    if (status != MESHSYNC_OK) {
        return status;
    }
    status = msy_store_seek(iter, start, &key, &value);
    while (status == MESHSYNC_OK) {
        meshsync_bytes rest;
        meshsync_bytes part;
        if (key.len <= prefix.len || memcmp(key.data, prefix.data, prefix.len) != 0) {
            if (key.len == prefix.len && memcmp(key.data, prefix.data, prefix.len) == 0) {
                status = msy_store_next(iter, &key, &value);
                continue;
            }
            status = MESHSYNC_E_END;
            break;
        }
        rest = msy_bytes(key.data + prefix.len, key.len - prefix.len);
        if (msy_path_next(&rest, scratch, &part) && rest.len == 0 &&
            msy_bytes_compare(part, after) > 0 && part.len <= MESHSYNC_NAME_BYTES_MAX) {
            status = schema_from_leaf(txn, key, value, schema);
            if (status == MESHSYNC_OK) {
                status = schema_name(txn, space, part, schema);
                break;
            }
            if (status != MESHSYNC_E_NOT_FOUND) {
                break;
            }
        }
        status = msy_store_next(iter, &key, &value);
    }
    msy_store_iter_close(iter);
    return status;
}
