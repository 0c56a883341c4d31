/* SPDX-License-Identifier: Apache-2.0 */
/* Ordered walks over the state: scans both ways, and the walk over conflicts. */
#include "replica/view.h"

#include "base/error.h"
#include "base/path.h"
#include "replica/control.h"

bool msy_key_after(uint8_t *key, size_t *len)
{
    while (*len > 0 && key[*len - 1] == 0xff) {
        *len -= 1;
    }
    if (*len == 0) {
        return false;
    }
    key[*len - 1] = (uint8_t)(key[*len - 1] + 1);
    return true;
}

static meshsync_status view_seek_one(const struct msy_view_range *range,
                                     struct msy_store_iter *iter, meshsync_bytes *key,
                                     meshsync_bytes *value)
{
    meshsync_status status = range->descending
                                 ? msy_store_seek_before(iter, range->high, key, value)
                                 : msy_store_seek(iter, range->low, key, value);
    if (status == MESHSYNC_OK && (range->descending ? msy_bytes_compare(*key, range->low) < 0
                                                    : msy_bytes_compare(*key, range->high) >= 0)) {
        return MESHSYNC_E_END;
    }
    return status;
}

meshsync_status msy_view_seek(const struct msy_view_range *range, meshsync_bytes *key,
                              meshsync_bytes *value)
{
    meshsync_bytes over_key;
    meshsync_bytes over_value;
    meshsync_status status = view_seek_one(range, range->iter, key, value);
    if (range->over == NULL || (status != MESHSYNC_OK && status != MESHSYNC_E_END)) {
        return status;
    }
    meshsync_status own = view_seek_one(range, range->over, &over_key, &over_value);
    if (own != MESHSYNC_OK) {
        return own == MESHSYNC_E_END ? status : own;
    }
    int order = status == MESHSYNC_OK ? msy_bytes_compare(over_key, *key) : 0;
    if (status == MESHSYNC_E_END || order == 0 || (range->descending ? order > 0 : order < 0)) {
        *key = over_key;
        *value = over_value;
    }
    return MESHSYNC_OK;
}

static bool walk_leaf_lives(const struct msy_leaf *leaf)
{
    return !msy_leaf_empty(leaf);
}

meshsync_status msy_view_below(struct msy_view *view, meshsync_bytes key, bool *lives)
{
    uint8_t low[MSY_KEY_BYTES_MAX + 1];
    uint8_t high[MSY_KEY_BYTES_MAX];
    size_t low_len = key.len;
    size_t high_len = key.len;
    struct msy_store_iter *iter = NULL;
    struct msy_store_iter *over = NULL;
    struct msy_leaf leaf;
    meshsync_bytes found;
    meshsync_bytes value;
    *lives = false;
    memcpy(low, key.data, key.len);
    memcpy(high, key.data, key.len);
    low[low_len++] = 0; /* Strictly below the path itself. */
    (void)msy_key_after(high, &high_len);
    msy_leaf_init(&leaf, view->alloc);
    meshsync_status status = msy_store_iter_open(view->txn, MSY_TABLE_STATE, &iter);
    if (status == MESHSYNC_OK && view->over != NULL) {
        status = msy_store_iter_open(view->over, MSY_TABLE_STATE, &over);
    }
    while (status == MESHSYNC_OK && !*lives) {
        const struct msy_view_range range = {.iter = iter,
                                             .over = over,
                                             .low = msy_bytes(low, low_len),
                                             .high = msy_bytes(high, high_len)};
        status = msy_view_seek(&range, &found, &value);
        if (status == MESHSYNC_OK) {
            status = msy_leaf_read(&leaf, found, value);
        }
        if (status == MESHSYNC_OK) {
            *lives = walk_leaf_lives(&leaf);
            memcpy(low, found.data, found.len);
            low_len = found.len;
            low[low_len++] = 0;
        }
    }
    msy_store_iter_close(iter);
    msy_store_iter_close(over);
    msy_leaf_fini(&leaf);
    return status == MESHSYNC_E_END ? MESHSYNC_OK : status;
}

/* ---- Opening ---- */

/* Appends the encoded form of part without its end mark. */
static bool walk_append_prefix(uint8_t *key, size_t *len, meshsync_bytes part)
{
    size_t before = *len;
    if (!msy_path_append(key, len, MSY_KEY_BYTES_MAX, part)) {
        return false;
    }
    *len -= 2;
    return *len >= before;
}

static bool walk_bounds(struct msy_walk *walk, const meshsync_scan_options *options)
{
    uint8_t *from = walk->descending ? walk->high : walk->low;
    uint8_t *until = walk->descending ? walk->low : walk->high;
    size_t *from_len = walk->descending ? &walk->high_len : &walk->low_len;
    size_t *until_len = walk->descending ? &walk->low_len : &walk->high_len;
    uint8_t edge[MSY_KEY_BYTES_MAX];
    size_t edge_len;
    size_t base = walk->base_len;
    if (options->prefix.len > 0) {
        if (!walk_append_prefix(walk->low, &walk->low_len, options->prefix)) {
            return false;
        }
        memcpy(walk->high, walk->low, walk->low_len);
        walk->high_len = walk->low_len;
    }
    if (!msy_key_after(walk->high, &walk->high_len)) {
        return false;
    }
    if (options->from.len > 0) {
        memcpy(edge, walk->low, base);
        edge_len = base;
        if (!msy_path_append(edge, &edge_len, sizeof edge, options->from) ||
            (walk->descending && !msy_key_after(edge, &edge_len))) {
            return false;
        }
        int order = msy_bytes_compare(msy_bytes(edge, edge_len), msy_bytes(from, *from_len));
        if (walk->descending ? order < 0 : order > 0) {
            memcpy(from, edge, edge_len);
            *from_len = edge_len;
        }
    }
    if (options->until.len > 0) {
        memcpy(edge, walk->low, base);
        edge_len = base;
        if (!msy_path_append(edge, &edge_len, sizeof edge, options->until) ||
            (walk->descending && !msy_key_after(edge, &edge_len))) {
            return false;
        }
        int order = msy_bytes_compare(msy_bytes(edge, edge_len), msy_bytes(until, *until_len));
        if (walk->descending ? order > 0 : order < 0) {
            memcpy(until, edge, edge_len);
            *until_len = edge_len;
        }
    }
    return true;
}

static meshsync_status walk_iters(struct msy_walk *walk)
{
    meshsync_status status = msy_store_iter_open(walk->view->txn, MSY_TABLE_STATE, &walk->iter);
    if (status == MESHSYNC_OK && walk->view->over != NULL) {
        status = msy_store_iter_open(walk->view->over, MSY_TABLE_STATE, &walk->over_iter);
    }
    return status;
}

meshsync_status msy_walk_open(struct msy_walk *walk, struct msy_view *view,
                              meshsync_bytes collection, const meshsync_scan_options *options,
                              meshsync_error *error)
{
    meshsync_scan_options all = {.size = sizeof all};
    memset(walk, 0, sizeof *walk);
    options = options == NULL ? &all : options;
    walk->view = view;
    meshsync_status status = msy_view_schema(view, collection, error);
    if (status != MESHSYNC_OK) {
        return status;
    }
    memcpy(walk->collection_name, view->schema.name, sizeof walk->collection_name);
    walk->collection = view->schema.collection;
    walk->descending = options->direction == MESHSYNC_DESCENDING;
    walk->deep = options->deep != 0;
    walk->left = options->limit == 0 ? UINT64_MAX : options->limit;
    walk->done = walk->collection == 0 && view->over == NULL; /* Nothing written to it yet. */
    walk->low_len = msy_key_state(walk->low, view->space, walk->collection, msy_bytes(NULL, 0)).len;
    for (size_t i = 0; i < options->below.parts_count; i++) {
        if (!msy_path_append(walk->low, &walk->low_len, sizeof walk->low,
                             options->below.parts[i])) {
            return msy_fail(error, MESHSYNC_E_LIMIT, "the path to scan below is too long");
        }
    }
    walk->base_len = walk->low_len;
    memcpy(walk->high, walk->low, walk->low_len);
    walk->high_len = walk->low_len;
    if (!walk_bounds(walk, options)) {
        return msy_fail(error, MESHSYNC_E_LIMIT, "a bound of the scan is too long");
    }
    status = walk_iters(walk);
    if (status != MESHSYNC_OK) {
        msy_walk_close(walk);
        return msy_fail(error, status, "the scan cannot be opened");
    }
    return MESHSYNC_OK;
}

meshsync_status msy_walk_conflicts(struct msy_walk *walk, struct msy_view *view,
                                   meshsync_error *error)
{
    memset(walk, 0, sizeof *walk);
    walk->view = view;
    walk->conflicts = true;
    walk->left = UINT64_MAX;
    msy_put_be32(walk->low, view->space);
    walk->low_len = 4;
    walk->high_len = 4;
    memcpy(walk->high, walk->low, 4);
    (void)msy_key_after(walk->high, &walk->high_len);
    meshsync_status status = walk_iters(walk);
    if (status != MESHSYNC_OK) {
        msy_walk_close(walk);
        return msy_fail(error, status, "the walk cannot be opened");
    }
    return MESHSYNC_OK;
}

void msy_walk_close(struct msy_walk *walk)
{
    msy_store_iter_close(walk->iter);
    msy_store_iter_close(walk->over_iter);
    walk->iter = NULL;
    walk->over_iter = NULL;
    walk->done = true;
}

/* ---- Stepping ---- */

static meshsync_status walk_candidate(struct msy_walk *walk, meshsync_bytes *key,
                                      meshsync_bytes *value)
{
    meshsync_bytes high = msy_bytes(walk->high, walk->high_len);
    if (walk->stepped && walk->over_iter == NULL) {
        meshsync_status status = walk->descending ? msy_store_prev(walk->iter, key, value)
                                                  : msy_store_next(walk->iter, key, value);
        if (status == MESHSYNC_OK &&
            (walk->descending ? msy_bytes_compare(*key, msy_bytes(walk->low, walk->low_len)) < 0
                              : msy_bytes_compare(*key, high) >= 0)) {
            return MESHSYNC_E_END;
        }
        return status;
    }
    const struct msy_view_range range = {.iter = walk->iter,
                                         .over = walk->over_iter,
                                         .low = msy_bytes(walk->low, walk->low_len),
                                         .high = high,
                                         .descending = walk->descending};
    return msy_view_seek(&range, key, value);
}

/* Narrows the range past everything at and below prefix (exact: past the one key). */
static meshsync_status walk_pass(struct msy_walk *walk, meshsync_bytes prefix, bool exact)
{
    if (walk->descending) {
        memcpy(walk->high, prefix.data, prefix.len);
        walk->high_len = prefix.len;
        return MESHSYNC_OK;
    }
    memcpy(walk->low, prefix.data, prefix.len);
    walk->low_len = prefix.len;
    if (exact && prefix.len < sizeof walk->low) {
        walk->low[walk->low_len] = 0;
        walk->low_len += 1;
        return MESHSYNC_OK;
    }
    return msy_key_after(walk->low, &walk->low_len) ? MESHSYNC_OK : MESHSYNC_E_END;
}

static meshsync_status walk_load(struct msy_walk *walk, meshsync_bytes key, meshsync_bytes value,
                                 meshsync_error *error)
{
    struct msy_view *view = walk->view;
    memcpy(view->key, key.data, key.len);
    view->key_len = key.len;
    meshsync_status status = msy_leaf_read(&view->leaf, key, value);
    return status == MESHSYNC_OK ? status
                                 : msy_fail(error, status, "a record in the scan is damaged");
}

/* The view of another collection, found by its number, while walking over conflicts. */
static meshsync_status walk_enter(struct msy_walk *walk, uint32_t number)
{
    struct msy_view *view = walk->view;
    meshsync_bytes name;
    if (number == walk->collection) {
        return MESHSYNC_OK;
    }
    meshsync_status status = msy_control_name(view->txn, view->space, number, &name);
    if (status == MESHSYNC_E_NOT_FOUND && view->over != NULL) {
        status = msy_control_name(view->over, view->space, number, &name);
    }
    if (status != MESHSYNC_OK || name.len > MESHSYNC_NAME_BYTES_MAX) {
        return status == MESHSYNC_OK ? MESHSYNC_E_STORE_CORRUPT : status;
    }
    memset(walk->collection_name, 0, sizeof walk->collection_name);
    memcpy(walk->collection_name, name.data, name.len);
    walk->collection = number;
    return MESHSYNC_OK;
}

static meshsync_status walk_conflict(struct msy_walk *walk, meshsync_bytes key,
                                     meshsync_entry *entry, meshsync_error *error)
{
    struct msy_view *view = walk->view;
    uint32_t values = 0;
    meshsync_status status = walk_enter(walk, msy_get_be32(key.data + 4));
    for (uint32_t i = 0; i < view->leaf.entries_count; i++) {
        values += view->leaf.entries[i].kind == MSY_OP_VALUE ? 1 : 0;
    }
    if (status != MESHSYNC_OK || values < 2 || walk->collection_name[0] == '\0') {
        return status == MESHSYNC_OK ? MESHSYNC_E_NOT_FOUND : status;
    }
    status = msy_view_schema(view, msy_key_name(walk->collection_name), error);
    return status == MESHSYNC_OK ? msy_view_show(view, entry, error) : status;
}

/* A shallow scan shows each next part once: the leaf itself, or that something lives below. */
static meshsync_status walk_shallow(struct msy_walk *walk, meshsync_bytes key,
                                    meshsync_entry *entry, meshsync_error *error)
{
    struct msy_view *view = walk->view;
    uint8_t bytes[MSY_KEY_BYTES_MAX];
    meshsync_bytes value;
    bool below = false;
    size_t part =
        msy_path_first_bytes(msy_bytes(key.data + walk->base_len, key.len - walk->base_len));
    size_t len = walk->base_len + part;
    if (part == 0) {
        return key.len == walk->base_len ? MESHSYNC_E_NOT_FOUND : MESHSYNC_E_STORE_CORRUPT;
    }
    memcpy(bytes, key.data, len);
    meshsync_bytes whole = msy_bytes(bytes, len);
    meshsync_status status = msy_view_value(view, whole, &value);
    if (status == MESHSYNC_OK) {
        status = walk_load(walk, whole, value, error);
    } else if (status == MESHSYNC_E_NOT_FOUND) {
        memcpy(view->key, bytes, len);
        view->key_len = len;
        msy_leaf_reset(&view->leaf);
        status = MESHSYNC_OK;
    }
    if (status == MESHSYNC_OK) {
        status = msy_view_show(view, entry, error);
    }
    if (status == MESHSYNC_E_NOT_FOUND) {
        status = msy_view_below(view, whole, &below);
        if (status == MESHSYNC_OK && below) {
            entry->kind = 3;
        } else if (status == MESHSYNC_OK) {
            status = MESHSYNC_E_NOT_FOUND;
        }
    }
    meshsync_status passed = walk_pass(walk, whole, false);
    if (passed == MESHSYNC_E_END) {
        walk->done = true;
    }
    return status;
}

/* Collections whose paths have one part need no look below. */
static bool walk_is_flat(const struct msy_walk *walk)
{
    return walk->view->schema.type == MESHSYNC_REGISTER ||
           walk->view->schema.type == MESHSYNC_COUNTER;
}

meshsync_status msy_walk_next(struct msy_walk *walk, meshsync_entry *entry, meshsync_error *error)
{
    bool known = walk->view->schema_known && walk->collection != 0 &&
                 walk->view->schema.collection == walk->collection;
    if (!walk->conflicts && !walk->done && !known) {
        meshsync_status status =
            msy_view_schema(walk->view, msy_key_name(walk->collection_name), error);
        if (status != MESHSYNC_OK) {
            return status;
        }
    }
    while (!walk->done && walk->left > 0) {
        meshsync_bytes key;
        meshsync_bytes value;
        meshsync_status status = walk_candidate(walk, &key, &value);
        if (status == MESHSYNC_E_END) {
            break;
        }
        if (status != MESHSYNC_OK) {
            return msy_fail(error, status, "the scan cannot go on");
        }
        if (!walk->conflicts && !walk->deep && !walk_is_flat(walk)) {
            status = walk_shallow(walk, key, entry, error);
            if (status == MESHSYNC_E_NOT_FOUND && key.len == walk->base_len) {
                walk->done = walk_pass(walk, key, true) == MESHSYNC_E_END;
            }
        } else {
            status = walk_load(walk, key, value, error);
            const meshsync_bytes kept = msy_bytes(walk->view->key, walk->view->key_len);
            if (status == MESHSYNC_OK) {
                status = walk->conflicts ? walk_conflict(walk, kept, entry, error)
                                         : msy_view_show(walk->view, entry, error);
            }
            walk->stepped = walk->over_iter == NULL;
            if (!walk->stepped) {
                walk->done = walk_pass(walk, kept, true) == MESHSYNC_E_END;
            }
        }
        if (status != MESHSYNC_E_NOT_FOUND) {
            walk->left -= status == MESHSYNC_OK ? 1 : 0;
            return status;
        }
    }
    walk->done = true;
    return MESHSYNC_E_END;
}
