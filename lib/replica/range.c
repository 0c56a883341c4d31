/* SPDX-License-Identifier: Apache-2.0 */
/* The leaves at and below a path, in portions, so that a map of millions costs bounded memory. */
#include "replica/machine.h"

enum { RANGE_PORTION_KEYS = 256 };

struct range_portion {
    uint8_t keys[RANGE_PORTION_KEYS][MSY_KEY_BYTES_MAX];
    uint16_t lens[RANGE_PORTION_KEYS];
    uint32_t count;
    bool end;
};

/* The next keys with the prefix, from key `from` on (after it when skip is set). */
static meshsync_status range_collect(struct msy_replica *replica, meshsync_bytes prefix,
                                     meshsync_bytes from, bool skip, struct range_portion *portion)
{
    struct msy_store_iter *iter = NULL;
    meshsync_bytes key;
    meshsync_bytes value;
    portion->count = 0;
    portion->end = false;
    meshsync_status status = msy_store_iter_open(replica->txn, MSY_TABLE_STATE, &iter);
    if (status != MESHSYNC_OK) {
        return status;
    }
    status = msy_store_seek(iter, from, &key, &value);
    if (status == MESHSYNC_OK && skip && msy_bytes_equal(key, from)) {
        status = msy_store_next(iter, &key, &value);
    }
    while (status == MESHSYNC_OK && portion->count < RANGE_PORTION_KEYS) {
        if (key.len < prefix.len || memcmp(key.data, prefix.data, prefix.len) != 0) {
            portion->end = true;
            break;
        }
        memcpy(portion->keys[portion->count], key.data, key.len);
        portion->lens[portion->count] = (uint16_t)key.len;
        portion->count += 1;
        status = msy_store_next(iter, &key, &value);
    }
    msy_store_iter_close(iter);
    if (status == MESHSYNC_E_END) {
        portion->end = true;
        status = MESHSYNC_OK;
    }
    return status;
}

static meshsync_status range_visit(struct msy_replica *replica, meshsync_bytes key,
                                   msy_range_fn visit, void *user)
{
    struct msy_ws_leaf *cached = msy_writeset_cached(&replica->set, key);
    bool changed = false;
    meshsync_bytes value;
    meshsync_status status;
    if (cached != NULL) {
        status = visit(user, key, &cached->leaf, &changed);
        cached->dirty = cached->dirty || changed;
        return status;
    }
    status = msy_store_get(replica->txn, MSY_TABLE_STATE, key, &value);
    if (status == MESHSYNC_OK) {
        /* Copied: what the store lends ends with the put. */
        msy_buf_reset(&replica->record);
        status = msy_buf_append(&replica->record, value.data, value.len);
    }
    if (status == MESHSYNC_OK) {
        status = msy_leaf_read(&replica->scratch_leaf, key, msy_buf_bytes(&replica->record));
    }
    if (status == MESHSYNC_OK) {
        status = visit(user, key, &replica->scratch_leaf, &changed);
    }
    if (status == MESHSYNC_OK && changed) {
        status = msy_writeset_put(&replica->set, key, &replica->scratch_leaf);
    }
    return status;
}

meshsync_status msy_range_each(struct msy_replica *replica, uint32_t space, uint32_t collection,
                               meshsync_bytes path, msy_range_fn visit, void *user)
{
    uint8_t prefix_bytes[MSY_KEY_BYTES_MAX];
    uint8_t from_bytes[MSY_KEY_BYTES_MAX];
    struct range_portion *portion =
        (struct range_portion *)msy_new(replica->alloc, sizeof *portion);
    meshsync_status status = MESHSYNC_E_NO_MEMORY;
    if (portion == NULL) {
        return status;
    }
    meshsync_bytes prefix = msy_key_state(prefix_bytes, space, collection, path);
    meshsync_bytes from = prefix;
    bool skip = false;
    /* Leaves that exist only in memory so far must be seen by the walk. */
    status = msy_writeset_flush_leaves(&replica->set);
    do {
        if (status == MESHSYNC_OK) {
            status = range_collect(replica, prefix, from, skip, portion);
        }
        for (uint32_t i = 0; i < portion->count && status == MESHSYNC_OK; i++) {
            status =
                range_visit(replica, msy_bytes(portion->keys[i], portion->lens[i]), visit, user);
        }
        if (status == MESHSYNC_OK && portion->count > 0) {
            uint32_t last = portion->count - 1;
            memcpy(from_bytes, portion->keys[last], portion->lens[last]);
            from = msy_bytes(from_bytes, portion->lens[last]);
            skip = true;
        }
    } while (status == MESHSYNC_OK && !portion->end);
    msy_free(replica->alloc, portion, sizeof *portion);
    return status;
}
