/* SPDX-License-Identifier: Apache-2.0 */
/* From intents to ops: what lives at a path decides which dots an op kills. */
#include "base/error.h"
#include "replica/commit.h"
#include "wire/msgpack_check.h"

/* ---- Building blocks ---- */

static meshsync_status commit_note_added(struct msy_commit *at, struct msy_ws_leaf *leaf,
                                         uint32_t index, bool counter)
{
    struct msy_replica *replica = at->replica;
    if (replica->added_count == replica->added_cap) {
        uint32_t cap = replica->added_cap == 0 ? 256 : replica->added_cap * 2;
        struct msy_added *grown =
            (struct msy_added *)msy_resize(replica->alloc, replica->added,
                                           replica->added_cap * sizeof *grown, cap * sizeof *grown);
        if (grown == NULL) {
            return MESHSYNC_E_NO_MEMORY;
        }
        replica->added = grown;
        replica->added_cap = cap;
    }
    replica->added[replica->added_count] = (struct msy_added){
        .leaf = leaf, .index = index, .collection = at->collection->number, .counter = counter};
    replica->added_count += 1;
    return MESHSYNC_OK;
}

/* Takes one entry of a leaf away and says so in the op being built. */
static meshsync_status commit_kill(struct msy_commit *at, struct msy_ws_leaf *leaf, uint32_t entry)
{
    struct msy_leaf_entry dead = leaf->leaf.entries[entry];
    struct msy_ref ref;
    if (dead.lsn == at->lsn) {
        msy_builder_kill_own(&at->replica->builder, dead.index);
        msy_leaf_remove(&leaf->leaf, entry);
        return MESHSYNC_OK; /* It never got into the digest. */
    }
    meshsync_status status = msy_replica_ref(at->replica, dead.lsn, &ref);
    if (status != MESHSYNC_OK) {
        return status;
    }
    msy_builder_kill(&at->replica->builder, &ref, dead.index);
    msy_leaf_remove(&leaf->leaf, entry);
    const struct msy_dot dot = {.actor = ref.actor, .seq = ref.seq, .index = dead.index};
    return msy_apply_digest(at->replica, at->space->number, at->collection->number, &dot,
                            dead.op_hash, false);
}

/* Whether an entry of a leaf is among those to be killed. */
typedef bool (*commit_dies_fn)(const struct msy_leaf_entry *entry, const void *of);

/* By a write: all, or of a context's what it saw. */
static bool commit_dies_seen(const struct msy_leaf_entry *entry, const void *of)
{
    const struct msy_intent *intent = (const struct msy_intent *)of;
    return intent->condition != MESHSYNC_WITH_CONTEXT ||
           msy_context_has(intent->context, entry->lsn, entry->index);
}

/* What this very change put. */
static bool commit_dies_own(const struct msy_leaf_entry *entry, const void *of)
{
    return entry->lsn == *(const uint64_t *)of;
}

static bool commit_dies_kind(const struct msy_leaf_entry *entry, const void *of)
{
    return entry->kind == *(const uint32_t *)of;
}

/* Kills those of a leaf's entries; the op that says so comes next. How many in *count. */
static meshsync_status commit_kill_which(struct msy_commit *at, struct msy_ws_leaf *leaf,
                                         commit_dies_fn dies, const void *of, uint32_t *count)
{
    meshsync_status status = MESHSYNC_OK;
    *count = 0;
    for (uint32_t i = 0; status == MESHSYNC_OK && i < leaf->leaf.entries_count;) {
        if (dies(&leaf->leaf.entries[i], of)) {
            status = commit_kill(at, leaf, i);
            *count += 1;
        } else {
            i++;
        }
    }
    return status;
}

/* Adds the op with the kills collected so far, and its dot to the leaf when it has one. */
meshsync_status msy_commit_op(struct msy_commit *at, struct msy_ws_leaf *leaf, uint32_t kind,
                              meshsync_bytes path, meshsync_bytes payload)
{
    uint32_t index = 0;
    meshsync_status status =
        msy_builder_op(&at->replica->builder, at->name, kind, path, payload, &index);
    if (status == MESHSYNC_OK) {
        status = msy_apply_touch(at->replica, leaf, index, at->lsn);
    }
    if (status != MESHSYNC_OK) {
        return status;
    }
    if (kind == MSY_OP_VALUE || kind == MSY_OP_MEMBER || kind == MSY_OP_MARKER) {
        struct msy_leaf_entry entry = {.lsn = at->lsn,
                                       .index = index,
                                       .kind = kind,
                                       .payload = payload,
                                       .payload_len = (uint32_t)payload.len};
        status = msy_leaf_add(&leaf->leaf, &entry);
        if (leaf->leaf.entries_count > 1) {
            at->replica->stats.conflicts += 1;
        }
        return status == MESHSYNC_OK ? commit_note_added(at, leaf, index, false) : status;
    }
    if (kind == MSY_OP_ADD || kind == MSY_OP_RESET) {
        return commit_note_added(at, leaf, index, true);
    }
    return MESHSYNC_OK;
}

meshsync_status msy_commit_leaf(struct msy_commit *at, meshsync_bytes path,
                                struct msy_ws_leaf **leaf)
{
    return msy_writeset_leaf(&at->replica->set, at->space->number, at->collection->number, path,
                             leaf);
}

/* msgpack nil, the payload of ops that carry nothing. */
const uint8_t msy_commit_nil[1] = {0xc0};

/* ---- Removing ---- */

struct commit_below {
    struct msy_commit *at;
    size_t path_len;         /* Of the path whose subtree is visited. */
    bool others;             /* Dots of earlier changes live below. */
    struct msy_buf own;      /* Paths below with dots of this very change: be16 length, path. */
    struct msy_buf counters; /* Paths below with a counter that is not empty. */
};

static meshsync_status commit_keep_path(struct msy_buf *list, meshsync_bytes path)
{
    meshsync_status status = msy_buf_append_be16(list, (uint16_t)path.len);
    return status == MESHSYNC_OK ? msy_buf_append(list, path.data, path.len) : status;
}

/* NOLINTBEGIN(readability-non-const-parameter): the type of msy_range_fn. */
static meshsync_status commit_look(void *user, meshsync_bytes key, struct msy_leaf *leaf,
                                   bool *changed)
/* NOLINTEND(readability-non-const-parameter) */
{
    struct commit_below *below = (struct commit_below *)user;
    meshsync_bytes path = {key.data + MSY_STATE_PREFIX_BYTES, key.len - MSY_STATE_PREFIX_BYTES};
    bool own = false;
    meshsync_status status = MESHSYNC_OK;
    (void)changed;
    for (uint32_t i = 0; i < leaf->entries_count; i++) {
        if (leaf->entries[i].lsn == below->at->lsn) {
            own = true;
        } else {
            below->others = true;
        }
    }
    if (own) {
        status = commit_keep_path(&below->own, path);
    }
    if (status == MESHSYNC_OK && leaf->has_counter && path.len > below->path_len) {
        status = commit_keep_path(&below->counters, path);
    }
    return status;
}

/* Kills those, and says so when there were any. */
static meshsync_status commit_erase_which(struct msy_commit *at, struct msy_ws_leaf *leaf,
                                          meshsync_bytes path, commit_dies_fn dies, const void *of)
{
    uint32_t killed = 0;
    meshsync_status status = commit_kill_which(at, leaf, dies, of, &killed);
    return status == MESHSYNC_OK && killed > 0
               ? msy_commit_op(at, leaf, MSY_OP_ERASE, path, msy_bytes(msy_commit_nil, 1))
               : status;
}

static meshsync_status commit_erase_own(struct msy_commit *at, meshsync_bytes path)
{
    struct msy_ws_leaf *leaf = NULL;
    meshsync_status status = msy_commit_leaf(at, path, &leaf);
    return status == MESHSYNC_OK ? commit_erase_which(at, leaf, path, commit_dies_own, &at->lsn)
                                 : status;
}

static meshsync_status commit_each_path(struct msy_commit *at, const struct msy_buf *list,
                                        meshsync_status (*each)(struct msy_commit *at,
                                                                meshsync_bytes path))
{
    struct msy_cursor cursor;
    meshsync_status status = MESHSYNC_OK;
    msy_cursor_init(&cursor, msy_buf_bytes(list));
    while (status == MESHSYNC_OK && msy_cursor_left(&cursor) > 0) {
        uint16_t len = 0;
        meshsync_bytes path;
        if (!msy_cursor_be16(&cursor, &len) || !msy_cursor_bytes(&cursor, len, &path)) {
            return MESHSYNC_E_INTERNAL;
        }
        status = each(at, path);
    }
    return status;
}

static meshsync_status commit_kill_covered(void *user, meshsync_bytes key, struct msy_leaf *leaf,
                                           bool *changed)
{
    struct msy_commit *at = (struct msy_commit *)user;
    (void)key;
    while (leaf->entries_count > 0) {
        struct msy_leaf_entry dead = leaf->entries[leaf->entries_count - 1];
        struct msy_ref ref;
        MSY_ASSERT(dead.lsn != at->lsn);
        meshsync_status status = msy_replica_ref(at->replica, dead.lsn, &ref);
        if (status != MESHSYNC_OK) {
            return status;
        }
        msy_leaf_remove(leaf, leaf->entries_count - 1);
        *changed = true;
        const struct msy_dot dot = {.actor = ref.actor, .seq = ref.seq, .index = dead.index};
        status = msy_apply_digest(at->replica, at->space->number, at->collection->number, &dot,
                                  dead.op_hash, false);
        if (status != MESHSYNC_OK) {
            return status;
        }
    }
    return MESHSYNC_OK;
}

/* The vector of everything accepted so far as a CLEAR carries it. */
static meshsync_status commit_vector_payload(struct msy_commit *at, struct msy_buf *out)
{
    struct msy_vector *vector = &at->replica->scratch_vector;
    meshsync_status status = msy_history_vector(at->replica->txn, at->space->number, vector);
    if (status == MESHSYNC_OK) {
        status = msy_mp_put_array(out, vector->count);
    }
    for (uint32_t i = 0; i < vector->count && status == MESHSYNC_OK; i++) {
        status = msy_mp_put_array(out, 2);
        if (status == MESHSYNC_OK) {
            status = msy_mp_put_bin(
                out, msy_bytes(vector->tips[i].actor.id, sizeof vector->tips[i].actor.id));
        }
        if (status == MESHSYNC_OK) {
            status = msy_mp_put_uint(out, vector->tips[i].seq);
        }
    }
    return status;
}

/* One op that kills everything seen at and below a path; what this very change put there is
 * erased by name before it, and counters below are reset one by one. */
static meshsync_status commit_clear(struct msy_commit *at, meshsync_bytes path, bool *any)
{
    struct commit_below below = {.at = at, .path_len = path.len};
    struct msy_buf payload;
    struct msy_ws_leaf *leaf = NULL;
    msy_buf_init(&below.own, at->replica->alloc, (size_t)64 << 20);
    msy_buf_init(&below.counters, at->replica->alloc, (size_t)64 << 20);
    msy_buf_init(&payload, at->replica->alloc, MESHSYNC_VALUE_BYTES_MAX);
    meshsync_status status = msy_range_each(at->replica, at->space->number, at->collection->number,
                                            path, commit_look, &below);
    *any = below.others || below.own.len > 0 || below.counters.len > 0;
    if (status == MESHSYNC_OK) {
        status = commit_each_path(at, &below.own, commit_erase_own);
    }
    if (status == MESHSYNC_OK) {
        status = commit_each_path(at, &below.counters, msy_commit_reset);
    }
    if (status == MESHSYNC_OK && below.others) {
        status = msy_range_each(at->replica, at->space->number, at->collection->number, path,
                                commit_kill_covered, at);
        if (status == MESHSYNC_OK) {
            status = commit_vector_payload(at, &payload);
        }
        if (status == MESHSYNC_OK) {
            status = msy_commit_leaf(at, path, &leaf);
        }
        if (status == MESHSYNC_OK) {
            status = msy_commit_op(at, leaf, MSY_OP_CLEAR, path, msy_buf_bytes(&payload));
        }
    }
    msy_buf_fini(&payload);
    msy_buf_fini(&below.counters);
    msy_buf_fini(&below.own);
    return status;
}

meshsync_status msy_commit_reset(struct msy_commit *at, meshsync_bytes path)
{
    struct msy_ws_leaf *leaf = NULL;
    struct msy_buf payload;
    meshsync_status status = msy_commit_leaf(at, path, &leaf);
    if (status != MESHSYNC_OK || !leaf->leaf.has_counter || msy_leaf_empty(&leaf->leaf)) {
        return status;
    }
    msy_buf_init(&payload, at->replica->alloc, MESHSYNC_VALUE_BYTES_MAX);
    status = msy_commit_reset_payload(at, leaf, path, &payload);
    if (status == MESHSYNC_OK) {
        status = msy_apply_reset(&leaf->leaf, msy_buf_bytes(&payload));
    }
    if (status == MESHSYNC_OK) {
        status = msy_commit_op(at, leaf, MSY_OP_RESET, path, msy_buf_bytes(&payload));
    }
    msy_buf_fini(&payload);
    return status;
}

static meshsync_status commit_delete(struct msy_commit *at, const struct msy_intent *intent)
{
    struct msy_ws_leaf *leaf = NULL;
    uint32_t killed = 0;
    bool any = false;
    if (at->collection->type == MESHSYNC_SET || at->collection->type == MESHSYNC_MAP) {
        if (intent->condition != MESHSYNC_WITH_CONTEXT) {
            meshsync_status cleared = commit_clear(at, intent->path, &any);
            return cleared == MESHSYNC_OK ? msy_commit_reset(at, intent->path) : cleared;
        }
    }
    if (at->collection->type == MESHSYNC_COUNTER) {
        return msy_commit_reset(at, intent->path);
    }
    meshsync_status status = msy_commit_leaf(at, intent->path, &leaf);
    if (status == MESHSYNC_OK) {
        status = commit_kill_which(at, leaf, commit_dies_seen, intent, &killed);
    }
    if (status == MESHSYNC_OK && killed > 0) {
        status = msy_commit_op(at, leaf, MSY_OP_ERASE, intent->path, msy_bytes(msy_commit_nil, 1));
    }
    return status;
}

/* ---- Writing ---- */

/* A field put below a scalar makes a map of it: scalars at the paths above are erased. */
static meshsync_status commit_erase_above(struct msy_commit *at, meshsync_bytes path)
{
    static const uint32_t scalar = MSY_OP_VALUE;
    size_t len = 0;
    meshsync_status status = MESHSYNC_OK;
    for (;;) {
        size_t step = msy_path_first_bytes(msy_bytes(path.data + len, path.len - len));
        struct msy_ws_leaf *leaf = NULL;
        len += step;
        if (step == 0 || len >= path.len || status != MESHSYNC_OK) {
            return status;
        }
        meshsync_bytes above = msy_bytes(path.data, len);
        status = msy_commit_leaf(at, above, &leaf);
        if (status == MESHSYNC_OK) {
            leaf->below = true;
            status = commit_erase_which(at, leaf, above, commit_dies_kind, &scalar);
        }
    }
}

/* Is anything below a path? Leaves without life count: clearing then does nothing. What the
 * batch has only in memory is written first, once for each change; what the change itself puts is
 * marked at the leaves above it. */
static meshsync_status commit_has_below(struct msy_commit *at, meshsync_bytes path, bool *has)
{
    struct msy_ws_leaf *leaf = NULL;
    uint8_t bytes[MSY_KEY_BYTES_MAX];
    struct msy_store_iter *iter = NULL;
    meshsync_bytes key;
    meshsync_bytes value;
    meshsync_bytes prefix = msy_key_state(bytes, at->space->number, at->collection->number, path);
    meshsync_status status = msy_commit_leaf(at, path, &leaf);
    *has = status == MESHSYNC_OK && leaf->below;
    if (status != MESHSYNC_OK || *has) {
        return status;
    }
    if (!at->flushed) {
        status = msy_writeset_flush_leaves(&at->replica->set);
        at->flushed = true;
    }
    if (status == MESHSYNC_OK) {
        status = msy_store_iter_open(at->replica->txn, MSY_TABLE_STATE, &iter);
    }
    if (status != MESHSYNC_OK) {
        return status;
    }
    status = msy_store_seek(iter, prefix, &key, &value);
    if (status == MESHSYNC_OK && key.len == prefix.len &&
        memcmp(key.data, prefix.data, prefix.len) == 0) {
        status = msy_store_next(iter, &key, &value);
    }
    if (status == MESHSYNC_OK) {
        *has = key.len > prefix.len && memcmp(key.data, prefix.data, prefix.len) == 0;
    }
    msy_store_iter_close(iter);
    return status == MESHSYNC_E_END ? MESHSYNC_OK : status;
}

static meshsync_status commit_put(struct msy_commit *at, const struct msy_intent *intent)
{
    struct msy_ws_leaf *leaf = NULL;
    uint32_t killed = 0;
    meshsync_status status = MESHSYNC_OK;
    /* With a context nothing dies that it did not name, above and below neither. */
    if (at->collection->type == MESHSYNC_MAP && intent->condition != MESHSYNC_WITH_CONTEXT) {
        bool below = false;
        status = commit_erase_above(at, intent->path);
        if (status == MESHSYNC_OK) {
            status = commit_has_below(at, intent->path, &below);
        }
        if (status == MESHSYNC_OK && below) {
            status = commit_clear(at, intent->path, &below);
        }
        if (status == MESHSYNC_OK) {
            status = msy_commit_reset(at, intent->path); /* A value in place of a counter. */
        }
    }
    if (status == MESHSYNC_OK) {
        status = msy_commit_leaf(at, intent->path, &leaf);
    }
    if (status == MESHSYNC_OK) {
        status = commit_kill_which(at, leaf, commit_dies_seen, intent, &killed);
    }
    if (status == MESHSYNC_OK) {
        status = msy_commit_op(at, leaf, MSY_OP_VALUE, intent->path, intent->payload);
    }
    return status;
}

static meshsync_status commit_add(struct msy_commit *at, const struct msy_intent *intent)
{
    struct msy_ws_leaf *leaf = NULL;
    struct msy_cursor cursor;
    struct msy_msgpack_head head;
    int64_t delta = 0;
    meshsync_status status = MESHSYNC_OK;
    if (at->collection->type == MESHSYNC_MAP) {
        status = commit_erase_above(at, intent->path);
    }
    if (status == MESHSYNC_OK) {
        status = msy_commit_leaf(at, intent->path, &leaf);
    }
    msy_cursor_init(&cursor, intent->payload);
    if (status == MESHSYNC_OK && !msy_mp_read(&cursor, &head)) {
        status = MESHSYNC_E_INTERNAL; /* The request was built by us. */
    }
    if (status == MESHSYNC_OK) {
        memcpy(&delta, &head.number, sizeof delta);
        msy_leaf_add_delta(&leaf->leaf, delta);
        status = msy_commit_op(at, leaf, MSY_OP_ADD, intent->path, intent->payload);
    }
    return status;
}

/* Set elements and markers: present once; the dots seen are replaced. */
static meshsync_status commit_presence(struct msy_commit *at, const struct msy_intent *intent,
                                       uint32_t kind)
{
    uint32_t killed = 0;
    struct msy_ws_leaf *leaf = NULL;
    meshsync_status status = MESHSYNC_OK;
    if (at->collection->type == MESHSYNC_MAP) {
        status = commit_erase_above(at, intent->path);
    }
    if (status == MESHSYNC_OK) {
        status = msy_commit_leaf(at, intent->path, &leaf);
    }
    if (status == MESHSYNC_OK) {
        status = commit_kill_which(at, leaf, commit_dies_kind, &kind, &killed);
    }
    if (status == MESHSYNC_OK) {
        status = msy_commit_op(at, leaf, kind, intent->path, msy_bytes(msy_commit_nil, 1));
    }
    return status;
}

static meshsync_status commit_set_remove(struct msy_commit *at, const struct msy_intent *intent)
{
    struct msy_ws_leaf *leaf = NULL;
    uint32_t killed = 0;
    meshsync_status status = msy_commit_leaf(at, intent->path, &leaf);
    if (status == MESHSYNC_OK) {
        status = commit_kill_which(at, leaf, commit_dies_seen, intent, &killed);
    }
    if (status == MESHSYNC_OK && killed > 0) {
        status = msy_commit_op(at, leaf, MSY_OP_ERASE, intent->path, msy_bytes(msy_commit_nil, 1));
    }
    return status;
}

meshsync_status msy_commit_intent(struct msy_commit *at, const struct msy_intent *intent)
{
    switch (intent->type) {
    case MSY_INTENT_PUT: return commit_put(at, intent);
    case MSY_INTENT_DELETE: return commit_delete(at, intent);
    case MSY_INTENT_ADD: return commit_add(at, intent);
    case MSY_INTENT_SET_ADD: return commit_presence(at, intent, MSY_OP_MEMBER);
    case MSY_INTENT_SET_REMOVE: return commit_set_remove(at, intent);
    case MSY_INTENT_TOUCH: return commit_presence(at, intent, MSY_OP_MARKER);
    }
    return MESHSYNC_E_INTERNAL;
}
