/* SPDX-License-Identifier: Apache-2.0 */
/* Own writes of an open transaction, shown by its reads: leaves as the writer will make them, with
 * provisional dots. Declared in replica/read.h. */
#include "base/error.h"
#include "base/path.h"
#include "replica/view.h"
#include "wire/msgpack_check.h"

enum { OVERLAY_LEAF_BYTES_MAX = 16u << 20 };

static const uint8_t overlay_nil[1] = {0xc0};

struct overlay {
    struct msy_view *view;
    const struct msy_intent *intent;
    uint32_t *next_index;
    struct msy_leaf leaf;
    struct msy_buf value; /* The stored form that leaf lends from, then the new one. */
    uint8_t key[MSY_KEY_BYTES_MAX];
    size_t key_len;
};

static meshsync_status overlay_load(struct overlay *at, meshsync_bytes key)
{
    meshsync_bytes value;
    memmove(at->key, key.data, key.len);
    at->key_len = key.len;
    msy_buf_reset(&at->value);
    meshsync_status status = msy_view_value(at->view, key, &value);
    if (status == MESHSYNC_E_NOT_FOUND) {
        msy_leaf_reset(&at->leaf);
        return MESHSYNC_OK;
    }
    if (status == MESHSYNC_OK) {
        status = msy_buf_append(&at->value, value.data, value.len);
    }
    return status == MESHSYNC_OK ? msy_leaf_read(&at->leaf, key, msy_buf_bytes(&at->value))
                                 : status;
}

static meshsync_status overlay_store(struct overlay *at)
{
    struct msy_buf out;
    meshsync_bytes key = msy_bytes(at->key, at->key_len);
    msy_buf_init(&out, at->view->alloc, OVERLAY_LEAF_BYTES_MAX);
    meshsync_status status = msy_leaf_write(&at->leaf, key, &out);
    if (status == MESHSYNC_OK) {
        status =
            msy_store_put(at->view->over, MSY_TABLE_STATE, key, msy_buf_bytes(&out), MSY_PUT_ANY);
    }
    msy_buf_fini(&out);
    return status;
}

static void overlay_drop(struct msy_leaf *leaf, uint32_t kind, bool all)
{
    for (uint32_t i = leaf->entries_count; i > 0; i--) {
        if (all || leaf->entries[i - 1].kind == kind) {
            msy_leaf_remove(leaf, i - 1);
        }
    }
}

/* What the writer's op will take away: all of the kind, or with a context what that names. */
static void overlay_drop_seen(struct overlay *at)
{
    const struct msy_intent *intent = at->intent;
    for (uint32_t i = at->leaf.entries_count; i > 0; i--) {
        const struct msy_leaf_entry *entry = &at->leaf.entries[i - 1];
        if (intent->condition != MESHSYNC_WITH_CONTEXT ||
            msy_context_has(intent->context, entry->lsn, entry->index)) {
            msy_leaf_remove(&at->leaf, i - 1);
        }
    }
}

/* A counter restarts: what it shows is taken off under no actor's name. */
static meshsync_status overlay_reset(struct msy_leaf *leaf)
{
    struct msy_leaf_reset rest;
    memset(&rest, 0, sizeof rest);
    for (uint32_t i = 0; i < leaf->resets_count; i++) {
        rest.plus -= leaf->resets[i].plus;
        rest.minus -= leaf->resets[i].minus;
    }
    rest.plus += leaf->plus;
    rest.minus += leaf->minus;
    rest.seq = UINT64_MAX;
    /* The provisional entry of an earlier reset of this transaction is part of the sums already. */
    for (uint32_t i = 0; i < leaf->resets_count; i++) {
        if (leaf->resets[i].seq == UINT64_MAX) {
            leaf->resets[i].plus += rest.plus;
            leaf->resets[i].minus += rest.minus;
            return MESHSYNC_OK;
        }
    }
    return msy_leaf_add_reset(leaf, &rest);
}

static meshsync_status overlay_add(struct overlay *at, uint32_t kind, meshsync_bytes payload)
{
    struct msy_leaf_entry entry = {.lsn = UINT64_MAX,
                                   .index = *at->next_index,
                                   .kind = kind,
                                   .payload = payload,
                                   .payload_len = (uint32_t)payload.len};
    *at->next_index += 1;
    return msy_leaf_add(&at->leaf, &entry);
}

/* Empties every leaf at and below the path. */
static meshsync_status overlay_clear(struct overlay *at, meshsync_bytes path_key, bool itself)
{
    uint8_t low[MSY_KEY_BYTES_MAX + 1];
    uint8_t high[MSY_KEY_BYTES_MAX];
    size_t low_len = path_key.len;
    size_t high_len = path_key.len;
    meshsync_status status = MESHSYNC_OK;
    memcpy(low, path_key.data, path_key.len);
    memcpy(high, path_key.data, path_key.len);
    (void)msy_key_after(high, &high_len);
    if (!itself) {
        low[low_len++] = 0;
    }
    while (status == MESHSYNC_OK) {
        struct msy_store_iter *iter = NULL;
        struct msy_store_iter *over = NULL;
        meshsync_bytes key;
        meshsync_bytes value;
        status = msy_store_iter_open(at->view->txn, MSY_TABLE_STATE, &iter);
        if (status == MESHSYNC_OK) {
            status = msy_store_iter_open(at->view->over, MSY_TABLE_STATE, &over);
        }
        if (status == MESHSYNC_OK) {
            const struct msy_view_range range = {.iter = iter,
                                                 .over = over,
                                                 .low = msy_bytes(low, low_len),
                                                 .high = msy_bytes(high, high_len)};
            status = msy_view_seek(&range, &key, &value);
        }
        if (status == MESHSYNC_OK) {
            status = overlay_load(at, key);
        }
        msy_store_iter_close(iter);
        msy_store_iter_close(over);
        if (status == MESHSYNC_OK && !msy_leaf_empty(&at->leaf)) {
            overlay_drop(&at->leaf, 0, true);
            status = at->leaf.has_counter ? overlay_reset(&at->leaf) : MESHSYNC_OK;
            status = status == MESHSYNC_OK ? overlay_store(at) : status;
        }
        if (status == MESHSYNC_OK) {
            memcpy(low, at->key, at->key_len);
            low_len = at->key_len;
            low[low_len++] = 0;
        }
    }
    return status == MESHSYNC_E_END ? MESHSYNC_OK : status;
}

/* Scalars above a field go when the field is put. */
static meshsync_status overlay_erase_above(struct overlay *at, meshsync_bytes path,
                                           uint32_t collection)
{
    size_t len = 0;
    meshsync_status status = MESHSYNC_OK;
    while (status == MESHSYNC_OK) {
        uint8_t bytes[MSY_KEY_BYTES_MAX];
        size_t step = msy_path_first_bytes(msy_bytes(path.data + len, path.len - len));
        len += step;
        if (step == 0 || len >= path.len) {
            break;
        }
        status = overlay_load(
            at, msy_key_state(bytes, at->view->space, collection, msy_bytes(path.data, len)));
        uint32_t before = at->leaf.entries_count;
        overlay_drop(&at->leaf, MSY_OP_VALUE, false);
        if (status == MESHSYNC_OK && at->leaf.entries_count != before) {
            status = overlay_store(at);
        }
    }
    return status;
}

static meshsync_status overlay_intent(struct overlay *at, meshsync_bytes key)
{
    const struct msy_intent *intent = at->intent;
    /* With a context nothing goes that it did not name, above and below neither. */
    bool whole = intent->condition != MESHSYNC_WITH_CONTEXT;
    bool map = at->view->schema.type == MESHSYNC_MAP && whole;
    bool tree = map || (at->view->schema.type == MESHSYNC_SET && whole);
    struct msy_cursor cursor;
    struct msy_msgpack_head head;
    int64_t delta = 0;
    meshsync_status status = MESHSYNC_OK;
    if (map && intent->type != MSY_INTENT_DELETE) {
        status = overlay_erase_above(at, intent->path, at->view->schema.collection);
    }
    if (status == MESHSYNC_OK &&
        ((tree && intent->type == MSY_INTENT_DELETE) || (map && intent->type == MSY_INTENT_PUT))) {
        status = overlay_clear(at, key, true);
    }
    if (status == MESHSYNC_OK) {
        status = overlay_load(at, key);
    }
    if (status != MESHSYNC_OK) {
        return status;
    }
    switch (intent->type) {
    case MSY_INTENT_PUT:
        overlay_drop_seen(at);
        status = overlay_add(at, MSY_OP_VALUE, intent->payload);
        break;
    case MSY_INTENT_DELETE:
        overlay_drop_seen(at);
        status = at->leaf.has_counter ? overlay_reset(&at->leaf) : MESHSYNC_OK;
        break;
    case MSY_INTENT_ADD:
        msy_cursor_init(&cursor, intent->payload);
        if (!msy_mp_read(&cursor, &head)) {
            return MESHSYNC_E_INVALID;
        }
        memcpy(&delta, &head.number, sizeof delta);
        msy_leaf_add_delta(&at->leaf, delta);
        break;
    case MSY_INTENT_SET_ADD:
        overlay_drop(&at->leaf, MSY_OP_MEMBER, false);
        status = overlay_add(at, MSY_OP_MEMBER, msy_bytes(overlay_nil, 1));
        break;
    case MSY_INTENT_SET_REMOVE: overlay_drop_seen(at); break;
    case MSY_INTENT_TOUCH:
        overlay_drop(&at->leaf, MSY_OP_MARKER, false);
        status = overlay_add(at, MSY_OP_MARKER, msy_bytes(overlay_nil, 1));
        break;
    }
    return status == MESHSYNC_OK ? overlay_store(at) : status;
}

/* NOLINTBEGIN(readability-non-const-parameter): it is raised through the struct. */
meshsync_status msy_overlay_apply(struct msy_view *view, const struct msy_intent *intent,
                                  uint32_t *next_index, meshsync_error *error)
/* NOLINTEND(readability-non-const-parameter) */
{
    uint8_t bytes[MSY_KEY_BYTES_MAX];
    struct overlay at = {.view = view, .intent = intent, .next_index = next_index};
    meshsync_status status = msy_view_schema(view, intent->collection, error);
    if (status != MESHSYNC_OK) {
        return status;
    }
    if (!msy_path_valid(intent->path)) {
        return msy_fail(error, MESHSYNC_E_INVALID, "the path is malformed or too long");
    }
    meshsync_bytes key = msy_key_state(bytes, view->space, view->schema.collection, intent->path);
    msy_leaf_init(&at.leaf, view->alloc);
    msy_buf_init(&at.value, view->alloc, OVERLAY_LEAF_BYTES_MAX);
    status = overlay_intent(&at, key);
    msy_buf_fini(&at.value);
    msy_leaf_fini(&at.leaf);
    return status == MESHSYNC_OK ? status : msy_fail(error, status, "an own write cannot be shown");
}
