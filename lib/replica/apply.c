/* SPDX-License-Identifier: Apache-2.0 */
/* From a change that is in order to the tables: leaves, digests, log, index, vector, heads. */
#include "replica/machine.h"

#include "base/error.h"
#include "wire/msgpack_check.h"

meshsync_status msy_apply_digest(struct msy_replica *replica, uint32_t space, uint32_t collection,
                                 const struct msy_dot *dot,
                                 const uint8_t op_hash[MSY_LEAF_HASH_BYTES], bool add)
{
    struct msy_ws_digest *digest = NULL;
    uint8_t key[32];
    uint8_t nonce[12];
    meshsync_status status = msy_writeset_digest(&replica->set, space, collection, &digest);
    if (status != MESHSYNC_OK) {
        return status;
    }
    memcpy(key, op_hash, MSY_LEAF_HASH_BYTES);
    memcpy(key + MSY_LEAF_HASH_BYTES, dot->actor.id, sizeof dot->actor.id);
    msy_put_be64(nonce, dot->seq);
    msy_put_be32(nonce + 8, dot->index);
    digest->dirty = true;
    if (add) {
        digest->entries += 1;
    } else {
        if (digest->entries == 0) { /* The leaf held the dot, but its row does not count it. */
            return MESHSYNC_E_STORE_CORRUPT;
        }
        digest->entries -= 1;
    }
    return msy_writeset_dot(&replica->set, digest, key, nonce, add);
}

meshsync_status msy_apply_touch(struct msy_replica *replica, struct msy_ws_leaf *leaf,
                                uint32_t op_index, uint64_t lsn)
{
    if (op_index >= replica->previous_cap) {
        uint32_t cap = replica->previous_cap == 0 ? 256 : replica->previous_cap;
        while (cap <= op_index) {
            cap *= 2;
        }
        uint64_t *grown =
            (uint64_t *)msy_resize(replica->alloc, replica->previous,
                                   replica->previous_cap * sizeof *grown, cap * sizeof *grown);
        if (grown == NULL) {
            return MESHSYNC_E_NO_MEMORY;
        }
        replica->previous = grown;
        replica->previous_cap = cap;
    }
    replica->previous[op_index] = leaf->leaf.last_lsn;
    if (leaf->leaf.last_lsn != lsn) {
        leaf->lsn_before = leaf->leaf.last_lsn;
    }
    leaf->leaf.last_lsn = lsn;
    leaf->dirty = true;
    return MESHSYNC_OK;
}

static meshsync_status apply_put_log(struct msy_replica *replica, uint32_t space, uint64_t lsn,
                                     const struct msy_change *change, const uint8_t *hash,
                                     uint32_t flags)
{
    uint8_t key[8];
    struct msy_buf *record = &replica->record;
    msy_buf_reset(record);
    meshsync_status status = msy_buf_append_u8(record, MSY_RECORD_VERSION);
    if (status == MESHSYNC_OK) {
        status = msy_buf_append_u8(record, (uint8_t)flags);
    }
    if (status == MESHSYNC_OK) {
        status = msy_buf_append_be32(record, space);
    }
    if (status == MESHSYNC_OK) {
        status = msy_buf_append(record, hash, MSY_CHANGE_HASH_BYTES);
    }
    if (status == MESHSYNC_OK) {
        status = msy_buf_append_be32(record, (uint32_t)change->bytes.len);
    }
    if (status == MESHSYNC_OK) {
        status = msy_buf_append(record, change->bytes.data, change->bytes.len);
    }
    for (uint32_t i = 0; i < change->ops_count && status == MESHSYNC_OK; i++) {
        status = msy_buf_append_varint(record, replica->previous[i]);
    }
    if (status == MESHSYNC_OK) {
        status = msy_record_seal(record, lsn);
    }
    if (status == MESHSYNC_OK) {
        status = msy_store_put(replica->txn, MSY_TABLE_LOG, msy_key_log(key, lsn),
                               msy_buf_bytes(record), MSY_PUT_APPEND);
    }
    return status;
}

static void apply_head_gone(struct msy_space_state *space, const struct msy_actor *actor,
                            uint64_t seq)
{
    const struct msy_tip *head = msy_vector_get(&space->heads, actor);
    if (head != NULL && head->seq == seq) {
        msy_vector_drop(&space->heads, actor);
    }
}

/* The vector keeps the leaves of each device's tree of epochs. */
static meshsync_status apply_clock(struct msy_replica *replica, struct msy_space_state *space,
                                   const struct msy_change_header *header,
                                   const struct msy_tip *tip)
{
    uint8_t key[MSY_CLOCK_KEY_BYTES];
    uint8_t value[MSY_TIP_VALUE_BYTES];
    meshsync_bytes old;
    meshsync_status status = MESHSYNC_OK;
    if (header->has_predecessor) {
        meshsync_bytes before = msy_key_clock(key, space->number, &header->predecessor.actor);
        status = msy_store_get(replica->txn, MSY_TABLE_CLOCK, before, &old);
        if (status == MESHSYNC_OK && old.len == MSY_TIP_VALUE_BYTES &&
            msy_get_be64(old.data) == header->predecessor.seq) {
            status = msy_store_del(replica->txn, MSY_TABLE_CLOCK, before);
        } else if (status == MESHSYNC_E_NOT_FOUND) {
            status = MESHSYNC_OK;
        }
    }
    if (status == MESHSYNC_OK) {
        msy_tip_value(value, tip);
        status = msy_store_put(replica->txn, MSY_TABLE_CLOCK,
                               msy_key_clock(key, space->number, &tip->actor),
                               msy_bytes(value, sizeof value), MSY_PUT_ANY);
    }
    return status;
}

static meshsync_status apply_heads(struct msy_space_state *space,
                                   const struct msy_change_header *header,
                                   const struct msy_tip *tip)
{
    for (uint32_t i = 0; i < header->heads_count; i++) {
        apply_head_gone(space, &header->heads[i].actor, header->heads[i].seq);
    }
    if (header->seq > 1) {
        apply_head_gone(space, &header->actor, header->seq - 1);
    } else if (header->has_predecessor) {
        apply_head_gone(space, &header->predecessor.actor, header->predecessor.seq);
    }
    return msy_vector_raise(&space->heads, tip);
}

meshsync_status msy_apply_record(struct msy_replica *replica, struct msy_space_state *space,
                                 const struct msy_change *change,
                                 const uint8_t hash[MSY_CHANGE_HASH_BYTES], uint32_t flags)
{
    uint8_t key[MSY_BY_ACTOR_KEY_BYTES];
    uint8_t value[8];
    uint64_t lsn = replica->lsn_last + 1;
    struct msy_tip tip = {.actor = change->header.actor, .seq = change->header.seq};
    memcpy(tip.hash, hash, sizeof tip.hash);
    meshsync_status status = MESHSYNC_OK;
    if (space->control_dirty) { /* Membership and schemas are read from the table. */
        space->control_changed = true;
        for (uint32_t i = 0; i < space->collections_count; i++) {
            space->collections[i].type = -1;
        }
        status = msy_writeset_flush_leaves(&replica->set);
    }
    if (status == MESHSYNC_OK) {
        status = apply_put_log(replica, space->number, lsn, change, hash, flags);
    }
    if (status == MESHSYNC_OK) {
        msy_put_be64(value, lsn);
        status = msy_store_put(replica->txn, MSY_TABLE_BY_ACTOR,
                               msy_key_by_actor(key, space->number, &tip.actor, tip.seq, hash),
                               msy_bytes(value, sizeof value), MSY_PUT_ANY);
    }
    if (status == MESHSYNC_OK) {
        status = apply_clock(replica, space, &change->header, &tip);
    }
    if (status == MESHSYNC_OK) {
        status = apply_heads(space, &change->header, &tip);
    }
    if (status == MESHSYNC_OK) {
        replica->lsn_last = lsn;
        space->changes += 1;
        space->dirty = true;
        msy_hlc_observe(&replica->hlc, change->header.hlc);
        msy_pending_accepted(&replica->pending, space->number, &tip.actor, tip.seq);
    }
    return status;
}

/* ---- Ops of peers ---- */

struct apply_op {
    struct msy_replica *replica;
    struct msy_space_state *space;
    const struct msy_change *change;
    const struct msy_op *op;
    const uint8_t *op_hash;
    const uint8_t *hash; /* Of the change. */
    uint32_t index;
    uint32_t collection; /* Local number. */
    uint64_t lsn;
};

static meshsync_bytes apply_kill_key(uint8_t key[MSY_KILL_KEY_BYTES], const struct apply_op *at,
                                     const struct msy_ref *ref, uint32_t index)
{
    msy_put_be32(key, at->space->number);
    memcpy(key + 4, ref->actor.id, sizeof ref->actor.id);
    msy_put_be64(key + 20, ref->seq);
    msy_put_be32(key + 28, index);
    msy_put_be64(key + 32, ref->hash_prefix);
    uint8_t number[4];
    msy_put_be32(number, at->collection);
    uint32_t crc = msy_crc32c(0, number, sizeof number);
    msy_put_be32(key + 40, msy_crc32c(crc, at->op->path.data, at->op->path.len));
    return msy_bytes(key, MSY_KILL_KEY_BYTES);
}

/* A faulty author may kill what it did not name as a cause: the kill is kept until the dot
 * comes. */
static meshsync_status apply_keep_kill(const struct apply_op *at, const struct msy_ref *ref,
                                       uint32_t index)
{
    uint8_t key[MSY_KILL_KEY_BYTES];
    uint8_t value[4 + MESHSYNC_PATH_BYTES_MAX];
    meshsync_bytes old;
    meshsync_bytes name = apply_kill_key(key, at, ref, index);
    meshsync_status status = msy_store_get(at->replica->txn, MSY_TABLE_KILLS, name, &old);
    if (status != MESHSYNC_E_NOT_FOUND) {
        return status;
    }
    msy_put_be32(value, at->collection);
    memcpy(value + 4, at->op->path.data, at->op->path.len);
    status = msy_store_put(at->replica->txn, MSY_TABLE_KILLS, name,
                           msy_bytes(value, 4 + at->op->path.len), MSY_PUT_ANY);
    if (status == MESHSYNC_OK) {
        at->replica->kills_count += 1;
    }
    return status;
}

/* Did a kept kill wait for this dot? It is then used up. */
static meshsync_status apply_was_killed(const struct apply_op *at, bool *killed)
{
    uint8_t key[MSY_KILL_KEY_BYTES];
    meshsync_bytes old;
    *killed = false;
    if (at->replica->kills_count == 0) {
        return MESHSYNC_OK;
    }
    struct msy_ref self = {.actor = at->change->header.actor,
                           .seq = at->change->header.seq,
                           .hash_prefix = msy_get_be64(at->hash)};
    meshsync_bytes name = apply_kill_key(key, at, &self, at->index);
    meshsync_status status = msy_store_get(at->replica->txn, MSY_TABLE_KILLS, name, &old);
    if (status != MESHSYNC_OK) {
        return status == MESHSYNC_E_NOT_FOUND ? MESHSYNC_OK : status;
    }
    if (old.len == 4 + at->op->path.len && msy_get_be32(old.data) == at->collection &&
        memcmp(old.data + 4, at->op->path.data, at->op->path.len) == 0) {
        *killed = true;
        at->replica->kills_count -= 1;
        status = msy_store_del(at->replica->txn, MSY_TABLE_KILLS, name);
    }
    return status;
}

static meshsync_status apply_kill(const struct apply_op *at, struct msy_ws_leaf *leaf,
                                  const struct msy_kill *kill)
{
    struct msy_ref ref = {.actor = at->change->header.actor, .seq = at->change->header.seq};
    uint64_t lsn = at->lsn;
    if (kill->ref > 0) {
        uint8_t prefix[8];
        ref = at->change->refs[kill->ref - 1];
        msy_put_be64(prefix, ref.hash_prefix);
        meshsync_status status = msy_history_find(at->replica->txn, at->space->number, &ref.actor,
                                                  ref.seq, prefix, &lsn);
        if (status == MESHSYNC_E_NOT_FOUND) {
            return apply_keep_kill(at, &ref, kill->index);
        }
        if (status != MESHSYNC_OK) {
            return status;
        }
    }
    int64_t found = msy_leaf_find(&leaf->leaf, lsn, kill->index);
    if (found < 0) {
        return MESHSYNC_OK; /* Dead already, or never lived at this path. */
    }
    uint8_t op_hash[MSY_LEAF_HASH_BYTES];
    memcpy(op_hash, leaf->leaf.entries[found].op_hash, sizeof op_hash);
    msy_leaf_remove(&leaf->leaf, (uint32_t)found);
    const struct msy_dot dot = {.actor = ref.actor, .seq = ref.seq, .index = kill->index};
    return msy_apply_digest(at->replica, at->space->number, at->collection, &dot, op_hash, false);
}

meshsync_status msy_apply_reset(struct msy_leaf *leaf, meshsync_bytes payload)
{
    struct msy_cursor cursor;
    uint32_t count = 0;
    msy_cursor_init(&cursor, payload);
    bool good = msy_mp_array(&cursor, &count);
    leaf->has_counter = true;
    for (uint32_t i = 0; i < count && good; i++) {
        struct msy_leaf_reset reset;
        uint32_t parts = 0;
        good = msy_mp_array(&cursor, &parts) && parts == 4 &&
               msy_mp_bin_copy(&cursor, reset.actor.id, sizeof reset.actor.id) &&
               msy_mp_uint(&cursor, &reset.seq) && msy_mp_uint(&cursor, &reset.plus) &&
               msy_mp_uint(&cursor, &reset.minus);
        if (good) {
            meshsync_status status = msy_leaf_add_reset(leaf, &reset);
            if (status != MESHSYNC_OK) {
                return status;
            }
        }
    }
    return good ? MESHSYNC_OK : MESHSYNC_E_PROTOCOL; /* The parser had checked the form. */
}

static int64_t apply_delta(meshsync_bytes payload)
{
    struct msy_cursor cursor;
    struct msy_msgpack_head head;
    int64_t delta = 0;
    msy_cursor_init(&cursor, payload);
    if (msy_mp_read(&cursor, &head)) {
        memcpy(&delta, &head.number, sizeof delta);
    }
    return delta;
}

static meshsync_status apply_add_entry(const struct apply_op *at, struct msy_ws_leaf *leaf)
{
    struct msy_leaf_entry entry = {.lsn = at->lsn,
                                   .index = at->index,
                                   .kind = at->op->kind,
                                   .payload = at->op->payload,
                                   .payload_len = (uint32_t)at->op->payload.len};
    memcpy(entry.op_hash, at->op_hash, sizeof entry.op_hash);
    if (entry.payload_len > MSY_LEAF_INLINE_BYTES_MAX) {
        entry.payload_at = (uint32_t)(at->op->payload.data - at->change->bytes.data);
        entry.payload_crc = msy_crc32c(0, at->op->payload.data, at->op->payload.len);
        entry.payload = msy_bytes(NULL, 0);
    }
    meshsync_status status = msy_leaf_add(&leaf->leaf, &entry);
    if (status == MESHSYNC_OK && leaf->leaf.entries_count > 1) {
        at->replica->stats.conflicts += 1;
    }
    return status;
}

struct apply_clear {
    const struct apply_op *at;
    const struct msy_vector *vector;
};

static meshsync_status apply_clear_leaf(void *user, meshsync_bytes key, struct msy_leaf *leaf,
                                        bool *changed)
{
    const struct apply_clear *clear = (const struct apply_clear *)user;
    const struct apply_op *at = clear->at;
    uint32_t i = 0;
    (void)key;
    while (i < leaf->entries_count) {
        struct msy_leaf_entry entry = leaf->entries[i];
        struct msy_ref ref;
        bool covers = false;
        if (entry.lsn == at->lsn) {
            i++; /* An op of this very change: it is killed by name where it is meant. */
            continue;
        }
        meshsync_status status = msy_replica_ref(at->replica, entry.lsn, &ref);
        if (status == MESHSYNC_OK) {
            status = msy_history_covers(at->replica->txn, at->space->number, clear->vector,
                                        &ref.actor, ref.seq, &covers);
        }
        if (status == MESHSYNC_OK && covers) {
            msy_leaf_remove(leaf, i);
            *changed = true;
            const struct msy_dot dot = {.actor = ref.actor, .seq = ref.seq, .index = entry.index};
            status = msy_apply_digest(at->replica, at->space->number, at->collection, &dot,
                                      entry.op_hash, false);
        } else {
            i++;
        }
        if (status != MESHSYNC_OK) {
            return status;
        }
    }
    return MESHSYNC_OK;
}

static meshsync_status apply_clear_op(const struct apply_op *at)
{
    struct msy_vector vector;
    struct msy_cursor cursor;
    uint32_t count = 0;
    struct apply_clear clear = {.at = at, .vector = &vector};
    meshsync_status status = MESHSYNC_OK;
    msy_vector_init(&vector, at->replica->alloc);
    msy_cursor_init(&cursor, at->op->payload);
    bool good = msy_mp_array(&cursor, &count);
    for (uint32_t i = 0; i < count && good && status == MESHSYNC_OK; i++) {
        struct msy_tip tip;
        uint32_t parts = 0;
        memset(&tip, 0, sizeof tip);
        good = msy_mp_array(&cursor, &parts) && parts == 2 &&
               msy_mp_bin_copy(&cursor, tip.actor.id, sizeof tip.actor.id) &&
               msy_mp_uint(&cursor, &tip.seq);
        status = good ? msy_vector_raise(&vector, &tip) : MESHSYNC_E_PROTOCOL;
    }
    if (status == MESHSYNC_OK) {
        status = msy_range_each(at->replica, at->space->number, at->collection, at->op->path,
                                apply_clear_leaf, &clear);
    }
    msy_vector_fini(&vector);
    return status;
}

static meshsync_status apply_effect(const struct apply_op *at, struct msy_ws_leaf *leaf)
{
    bool killed = false;
    meshsync_status status = MESHSYNC_OK;
    switch (at->op->kind) {
    case MSY_OP_ERASE: return MESHSYNC_OK;
    case MSY_OP_CLEAR: return apply_clear_op(at);
    case MSY_OP_ADD: msy_leaf_add_delta(&leaf->leaf, apply_delta(at->op->payload)); break;
    case MSY_OP_RESET: status = msy_apply_reset(&leaf->leaf, at->op->payload); break;
    default: /* Kinds of later versions too: a dot that lives until it is killed. */
        status = apply_was_killed(at, &killed);
        if (status == MESHSYNC_OK && !killed) {
            status = apply_add_entry(at, leaf);
        }
        break;
    }
    if (status == MESHSYNC_OK && !killed) {
        const struct msy_dot dot = {
            .actor = at->change->header.actor, .seq = at->change->header.seq, .index = at->index};
        status = msy_apply_digest(at->replica, at->space->number, at->collection, &dot, at->op_hash,
                                  true);
    }
    return status;
}

static meshsync_status apply_op(const struct apply_op *at)
{
    struct msy_ws_leaf *leaf = NULL;
    meshsync_status status = msy_writeset_leaf(&at->replica->set, at->space->number, at->collection,
                                               at->op->path, &leaf);
    if (status == MESHSYNC_OK) {
        status = msy_apply_touch(at->replica, leaf, at->index, at->lsn);
    }
    for (uint32_t i = 0; i < at->op->kills_count && status == MESHSYNC_OK; i++) {
        status = apply_kill(at, leaf, &at->change->kills[at->op->kills_first + i]);
    }
    return status == MESHSYNC_OK ? apply_effect(at, leaf) : status;
}

meshsync_status msy_apply_change(struct msy_replica *replica, struct msy_space_state *space,
                                 const struct msy_change *change, const uint8_t *op_hashes,
                                 const uint8_t hash[MSY_CHANGE_HASH_BYTES])
{
    struct apply_op at = {.replica = replica,
                          .space = space,
                          .change = change,
                          .hash = hash,
                          .lsn = replica->lsn_last + 1};
    uint32_t last = UINT32_MAX;
    meshsync_status status = MESHSYNC_OK;
    for (uint32_t i = 0; i < change->ops_count && status == MESHSYNC_OK; i++) {
        at.op = &change->ops[i];
        at.index = i;
        at.op_hash = op_hashes + (size_t)i * MSY_CHANGE_HASH_BYTES;
        if (at.op->collection != last) {
            struct msy_collection_state *collection = NULL;
            meshsync_bytes name = change->collections[at.op->collection];
            status = msy_replica_collection(replica, space, name, true, &collection);
            if (status != MESHSYNC_OK) {
                break;
            }
            at.collection = collection->number;
            last = at.op->collection;
            space->control_dirty = space->control_dirty || name.len == 0;
        }
        status = apply_op(&at);
    }
    if (status == MESHSYNC_OK) {
        status = msy_apply_record(replica, space, change, hash, 0);
    }
    if (status == MESHSYNC_OK) {
        replica->stats.changes_in += 1;
        replica->stats.ops_in += change->ops_count;
    }
    return status;
}
