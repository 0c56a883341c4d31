/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A naive replay: op after op, one leaf at a time in a store in memory, in as many passes over the
 * log as bound the memory; each pass takes the paths of one residue of a hash. It knows nothing of
 * write sets, batches or sorting.
 */
#include "replica/verify_state.h"

#include "crdt/leaf.h"
#include "replica/control.h"
#include "secure/crypto.h"
#include "store/history.h"
#include "wire/msgpack_check.h"

enum { REPLAY_PASS_OPS = 100000, REPLAY_LEAF_BYTES_MAX = 64u << 20 };

struct replay_digest {
    uint32_t collection;
    uint64_t entries;
    struct msy_lthash sum;
};

struct replay {
    struct msy_alloc *alloc;
    struct msy_store_txn *txn;
    uint32_t space;
    meshsync_verify_report *report;
    enum msy_verify_mode mode;
    uint32_t pass, passes;
    struct msy_store *memory;
    struct msy_store_txn *model; /* STATE: leaves. KILLS: kills whose dot is still to come. */
    struct msy_change *change;
    struct msy_change_header *header; /* Of another change than the one at hand. */
    struct msy_buf hashes;
    struct msy_buf value;
    struct msy_leaf leaf;
    struct msy_hasher hasher;
    uint64_t lsn;
    struct replay_digest *digests;
    uint32_t digests_count, digests_cap;
};

static bool replay_mine(const struct replay *at, meshsync_bytes key)
{
    static const uint8_t seed[16] = "replay-partition";
    return msy_hash_short(seed, key) % at->passes == at->pass;
}

static meshsync_status replay_digest_of(struct replay *at, uint32_t collection,
                                        struct replay_digest **digest)
{
    for (uint32_t i = 0; i < at->digests_count; i++) {
        if (at->digests[i].collection == collection) {
            *digest = &at->digests[i];
            return MESHSYNC_OK;
        }
    }
    if (at->digests_count == at->digests_cap) {
        uint32_t cap = at->digests_cap == 0 ? 4 : at->digests_cap * 2;
        struct replay_digest *grown = (struct replay_digest *)msy_resize(
            at->alloc, at->digests, at->digests_cap * sizeof *grown, cap * sizeof *grown);
        if (grown == NULL) {
            return MESHSYNC_E_NO_MEMORY;
        }
        at->digests = grown;
        at->digests_cap = cap;
    }
    *digest = &at->digests[at->digests_count];
    at->digests_count += 1;
    memset(*digest, 0, sizeof **digest);
    (*digest)->collection = collection;
    return MESHSYNC_OK;
}

static meshsync_status replay_count_dot(struct replay *at, uint32_t collection,
                                        const struct msy_actor *actor, uint64_t seq, uint32_t index,
                                        const uint8_t *op_hash)
{
    struct replay_digest *digest = NULL;
    uint8_t key[32];
    uint8_t nonce[12];
    meshsync_status status = replay_digest_of(at, collection, &digest);
    if (status == MESHSYNC_OK) {
        memcpy(key, op_hash, MSY_LEAF_HASH_BYTES);
        memcpy(key + MSY_LEAF_HASH_BYTES, actor->id, sizeof actor->id);
        msy_put_be64(nonce, seq);
        msy_put_be32(nonce + 8, index);
        msy_lthash_add(&digest->sum, key, nonce);
        digest->entries += 1;
    }
    return status;
}

/* Header of the change at an LSN into at->header. */
static meshsync_status replay_header(struct replay *at, uint64_t lsn)
{
    struct msy_record record;
    meshsync_bytes header_bytes;
    meshsync_bytes body;
    const uint8_t *signature = NULL;
    meshsync_status status = msy_history_record(at->txn, lsn, &record);
    return status == MESHSYNC_OK ? msy_change_parse_header(record.change, at->header, &header_bytes,
                                                           &signature, &body)
                                 : status;
}

/* ---- One leaf of the model ---- */

static meshsync_status replay_load(struct replay *at, meshsync_bytes key)
{
    meshsync_bytes value;
    msy_buf_reset(&at->value);
    meshsync_status status = msy_store_get(at->model, MSY_TABLE_STATE, key, &value);
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

static meshsync_status replay_save(struct replay *at, meshsync_bytes key)
{
    struct msy_buf out;
    msy_buf_init(&out, at->alloc, REPLAY_LEAF_BYTES_MAX);
    meshsync_status status = msy_leaf_write(&at->leaf, key, &out);
    if (status == MESHSYNC_OK) {
        status = msy_store_put(at->model, MSY_TABLE_STATE, key, msy_buf_bytes(&out), MSY_PUT_ANY);
    }
    msy_buf_fini(&out);
    return status;
}

/* Key of a kill that waits in the model: be64 LSN, be32 index, CRC of the path's key. */
static meshsync_bytes replay_kill_key(uint8_t key[16], uint64_t lsn, uint32_t index,
                                      meshsync_bytes state)
{
    msy_put_be64(key, lsn);
    msy_put_be32(key + 8, index);
    msy_put_be32(key + 12, msy_crc32c(0, state.data, state.len));
    return msy_bytes(key, 16);
}

static meshsync_status replay_kill(struct replay *at, meshsync_bytes state,
                                   const struct msy_kill *kill)
{
    uint64_t lsn = at->lsn;
    uint8_t key[16];
    if (kill->ref > 0) {
        const struct msy_ref *ref = &at->change->refs[kill->ref - 1];
        uint8_t prefix[8];
        msy_put_be64(prefix, ref->hash_prefix);
        meshsync_status status =
            msy_history_find(at->txn, at->space, &ref->actor, ref->seq, prefix, &lsn);
        if (status != MESHSYNC_OK) {
            return status == MESHSYNC_E_NOT_FOUND ? MESHSYNC_OK : status;
        }
    }
    if (lsn > at->lsn) {
        static const uint8_t mark[1] = {1};
        return msy_store_put(at->model, MSY_TABLE_KILLS,
                             replay_kill_key(key, lsn, kill->index, state), msy_bytes(mark, 1),
                             MSY_PUT_ANY);
    }
    int64_t found = msy_leaf_find(&at->leaf, lsn, kill->index);
    if (found >= 0) {
        msy_leaf_remove(&at->leaf, (uint32_t)found);
    }
    return MESHSYNC_OK;
}

static meshsync_status replay_entry(struct replay *at, meshsync_bytes state,
                                    const struct msy_op *op, uint32_t index, const uint8_t *op_hash)
{
    uint8_t key[16];
    meshsync_bytes mark;
    struct msy_leaf_entry entry = {.lsn = at->lsn,
                                   .index = index,
                                   .kind = op->kind,
                                   .payload = op->payload,
                                   .payload_len = (uint32_t)op->payload.len};
    meshsync_status status = msy_store_get(at->model, MSY_TABLE_KILLS,
                                           replay_kill_key(key, at->lsn, index, state), &mark);
    if (status != MESHSYNC_E_NOT_FOUND) {
        return status; /* Killed before it came. */
    }
    memcpy(entry.op_hash, op_hash, sizeof entry.op_hash);
    if (entry.payload_len > MSY_LEAF_INLINE_BYTES_MAX) {
        entry.payload_at = (uint32_t)(op->payload.data - at->change->bytes.data);
        entry.payload_crc = msy_crc32c(0, op->payload.data, op->payload.len);
        entry.payload = msy_bytes(NULL, 0);
    }
    return msy_leaf_add(&at->leaf, &entry);
}

static meshsync_status replay_reset(struct replay *at, meshsync_bytes payload)
{
    struct msy_cursor cursor;
    uint32_t count = 0;
    msy_cursor_init(&cursor, payload);
    (void)msy_mp_array(&cursor, &count);
    at->leaf.has_counter = true;
    meshsync_status status = MESHSYNC_OK;
    for (uint32_t i = 0; i < count && status == MESHSYNC_OK; i++) {
        struct msy_leaf_reset reset;
        uint32_t parts = 0;
        (void)msy_mp_array(&cursor, &parts);
        (void)msy_mp_bin_copy(&cursor, reset.actor.id, sizeof reset.actor.id);
        (void)msy_mp_uint(&cursor, &reset.seq);
        (void)msy_mp_uint(&cursor, &reset.plus);
        (void)msy_mp_uint(&cursor, &reset.minus);
        status = cursor.failed ? MESHSYNC_E_STORE_CORRUPT : msy_leaf_add_reset(&at->leaf, &reset);
    }
    return status;
}

static meshsync_status replay_delta(struct replay *at, meshsync_bytes payload)
{
    struct msy_cursor cursor;
    struct msy_msgpack_head head;
    int64_t delta = 0;
    msy_cursor_init(&cursor, payload);
    if (!msy_mp_read(&cursor, &head)) {
        return MESHSYNC_E_STORE_CORRUPT;
    }
    memcpy(&delta, &head.number, sizeof delta);
    msy_leaf_add_delta(&at->leaf, delta);
    return MESHSYNC_OK;
}

/* ---- CLEAR: every leaf of this pass at and below the path ---- */

static meshsync_status replay_clear_leaf(struct replay *at, meshsync_bytes key,
                                         const struct msy_vector *vector)
{
    meshsync_status status = replay_load(at, key);
    for (uint32_t i = at->leaf.entries_count; i > 0 && status == MESHSYNC_OK; i--) {
        bool covers = false;
        if (at->leaf.entries[i - 1].lsn == at->lsn) {
            continue;
        }
        status = replay_header(at, at->leaf.entries[i - 1].lsn);
        if (status == MESHSYNC_OK) {
            status = msy_history_covers(at->txn, at->space, vector, &at->header->actor,
                                        at->header->seq, &covers);
        }
        if (status == MESHSYNC_OK && covers) {
            msy_leaf_remove(&at->leaf, i - 1);
        }
    }
    return status == MESHSYNC_OK ? replay_save(at, key) : status;
}

static meshsync_status replay_clear_vector(struct replay *at, meshsync_bytes payload,
                                           struct msy_vector *vector)
{
    struct msy_cursor cursor;
    uint32_t count = 0;
    meshsync_status status = MESHSYNC_OK;
    (void)at;
    msy_cursor_init(&cursor, payload);
    (void)msy_mp_array(&cursor, &count);
    for (uint32_t i = 0; i < count && status == MESHSYNC_OK; i++) {
        struct msy_tip tip;
        uint32_t parts = 0;
        memset(&tip, 0, sizeof tip);
        (void)msy_mp_array(&cursor, &parts);
        (void)msy_mp_bin_copy(&cursor, tip.actor.id, sizeof tip.actor.id);
        (void)msy_mp_uint(&cursor, &tip.seq);
        status = cursor.failed ? MESHSYNC_E_STORE_CORRUPT : msy_vector_raise(vector, &tip);
    }
    return status;
}

static meshsync_status replay_clear(struct replay *at, meshsync_bytes prefix,
                                    meshsync_bytes payload)
{
    uint8_t from[MSY_KEY_BYTES_MAX + 1];
    size_t from_len = prefix.len;
    struct msy_vector vector;
    msy_vector_init(&vector, at->alloc);
    memcpy(from, prefix.data, prefix.len);
    meshsync_status status = replay_clear_vector(at, payload, &vector);
    while (status == MESHSYNC_OK) {
        struct msy_store_iter *iter = NULL;
        meshsync_bytes key;
        meshsync_bytes value;
        uint8_t found[MSY_KEY_BYTES_MAX];
        size_t found_len = 0;
        status = msy_store_iter_open(at->model, MSY_TABLE_STATE, &iter);
        if (status == MESHSYNC_OK) {
            status = msy_store_seek(iter, msy_bytes(from, from_len), &key, &value);
        }
        if (status == MESHSYNC_OK && key.len >= prefix.len &&
            memcmp(key.data, prefix.data, prefix.len) == 0) {
            found_len = key.len;
            memcpy(found, key.data, key.len);
        }
        msy_store_iter_close(iter);
        if (status == MESHSYNC_OK && found_len == 0) {
            status = MESHSYNC_E_END;
        }
        if (status == MESHSYNC_OK) {
            status = replay_clear_leaf(at, msy_bytes(found, found_len), &vector);
            memcpy(from, found, found_len);
            from[found_len] = 0;
            from_len = found_len + 1;
        }
    }
    msy_vector_fini(&vector);
    return status == MESHSYNC_E_END ? MESHSYNC_OK : status;
}

/* ---- The log ---- */

static meshsync_status replay_op(struct replay *at, uint32_t index, uint32_t collection)
{
    const struct msy_op *op = &at->change->ops[index];
    const uint8_t *op_hash = at->hashes.data + (size_t)index * MSY_CHANGE_HASH_BYTES;
    uint8_t bytes[MSY_KEY_BYTES_MAX];
    meshsync_bytes key = msy_key_state(bytes, at->space, collection, op->path);
    meshsync_status status = MESHSYNC_OK;
    if (replay_mine(at, key)) {
        status = replay_load(at, key);
        for (uint32_t i = 0; i < op->kills_count && status == MESHSYNC_OK; i++) {
            status = replay_kill(at, key, &at->change->kills[op->kills_first + i]);
        }
        at->leaf.last_lsn = at->lsn;
        if (status == MESHSYNC_OK && op->kind == MSY_OP_ADD) {
            status = replay_delta(at, op->payload);
        } else if (status == MESHSYNC_OK && op->kind == MSY_OP_RESET) {
            status = replay_reset(at, op->payload);
        } else if (status == MESHSYNC_OK && op->kind != MSY_OP_ERASE && op->kind != MSY_OP_CLEAR) {
            status = replay_entry(at, key, op, index, op_hash);
        }
        if (status == MESHSYNC_OK && (op->kind == MSY_OP_ADD || op->kind == MSY_OP_RESET)) {
            status = replay_count_dot(at, collection, &at->change->header.actor,
                                      at->change->header.seq, index, op_hash);
        }
        if (status == MESHSYNC_OK) {
            status = replay_save(at, key);
        }
    }
    if (status == MESHSYNC_OK && op->kind == MSY_OP_CLEAR) {
        status = replay_clear(at, key, op->payload);
    }
    return status;
}

static meshsync_status replay_change(struct replay *at, const struct msy_record *record)
{
    uint8_t root[MSY_CHANGE_HASH_BYTES];
    meshsync_status status = msy_change_parse(at->change, record->change, NULL);
    if (status != MESHSYNC_OK) {
        return status == MESHSYNC_E_NO_MEMORY ? status : MESHSYNC_OK; /* Counted as damaged. */
    }
    msy_buf_reset(&at->hashes);
    status = msy_buf_reserve(&at->hashes, (size_t)at->change->ops_count * MSY_CHANGE_HASH_BYTES);
    if (status == MESHSYNC_OK) {
        status = msy_change_op_hashes(&at->hasher, at->change, at->hashes.data, root);
    }
    for (uint32_t i = 0; i < at->change->ops_count && status == MESHSYNC_OK; i++) {
        uint32_t collection = 0;
        status =
            msy_control_number(at->txn, at->space,
                               at->change->collections[at->change->ops[i].collection], &collection);
        if (status == MESHSYNC_OK) {
            status = replay_op(at, i, collection);
        }
    }
    return status == MESHSYNC_E_NOT_FOUND ? MESHSYNC_E_STORE_CORRUPT : status;
}

static meshsync_status replay_log(struct replay *at)
{
    meshsync_status status = MESHSYNC_OK;
    at->lsn = 1;
    while (status == MESHSYNC_OK) {
        struct msy_record record;
        status = msy_history_record_from(at->txn, &at->lsn, &record);
        if (status == MESHSYNC_OK && record.space == at->space) {
            status = replay_change(at, &record);
        }
        at->lsn += 1;
    }
    return status == MESHSYNC_E_END ? MESHSYNC_OK : status;
}

/* ---- Comparing ---- */

/* Live dots of a replayed leaf enter the digest of its collection. */
static meshsync_status replay_count_leaf(struct replay *at, meshsync_bytes key,
                                         meshsync_bytes value)
{
    meshsync_status status = msy_leaf_read(&at->leaf, key, value);
    for (uint32_t i = 0; i < at->leaf.entries_count && status == MESHSYNC_OK; i++) {
        const struct msy_leaf_entry *entry = &at->leaf.entries[i];
        status = replay_header(at, entry->lsn);
        if (status == MESHSYNC_OK) {
            status = replay_count_dot(at, msy_get_be32(key.data + 4), &at->header->actor,
                                      at->header->seq, entry->index, entry->op_hash);
        }
    }
    return status;
}

static meshsync_status replay_compare_model(struct replay *at, uint64_t *leaves)
{
    uint8_t prefix[4];
    struct msy_store_iter *iter = NULL;
    meshsync_bytes key;
    meshsync_bytes value;
    *leaves = 0;
    msy_put_be32(prefix, at->space);
    meshsync_status status = msy_store_iter_open(at->model, MSY_TABLE_STATE, &iter);
    if (status != MESHSYNC_OK) {
        return status;
    }
    status = msy_store_seek(iter, msy_bytes(prefix, sizeof prefix), &key, &value);
    while (status == MESHSYNC_OK) {
        meshsync_bytes stored;
        meshsync_status got = msy_store_get(at->txn, MSY_TABLE_STATE, key, &stored);
        *leaves += 1;
        at->report->leaves += 1;
        if (got != MESHSYNC_OK || !msy_bytes_equal(stored, value)) {
            at->report->damaged_leaves += 1;
            got = at->mode == MSY_VERIFY_MEND
                      ? msy_store_put(at->txn, MSY_TABLE_STATE, key, value, MSY_PUT_ANY)
                      : got;
        }
        status = got == MESHSYNC_E_NOT_FOUND || got == MESHSYNC_E_STORE_CORRUPT ? MESHSYNC_OK : got;
        if (status == MESHSYNC_OK) {
            status = replay_count_leaf(at, key, value);
        }
        if (status == MESHSYNC_OK) {
            status = msy_store_next(iter, &key, &value);
        }
    }
    msy_store_iter_close(iter);
    return status == MESHSYNC_E_END ? MESHSYNC_OK : status;
}

/* Takes away stored leaves of this pass that the replay does not know. */
static meshsync_status replay_drop_stored(struct replay *at)
{
    uint8_t from[MSY_KEY_BYTES_MAX];
    size_t len = 4;
    struct msy_store_iter *iter = NULL;
    meshsync_bytes key;
    meshsync_bytes value;
    msy_put_be32(from, at->space);
    meshsync_status status = msy_store_iter_open(at->txn, MSY_TABLE_STATE, &iter);
    if (status != MESHSYNC_OK) {
        return status;
    }
    status = msy_store_seek(iter, msy_bytes(from, len), &key, &value);
    while (status == MESHSYNC_OK && memcmp(key.data, from, 4) == 0) {
        meshsync_status known = replay_mine(at, key)
                                    ? msy_store_get(at->model, MSY_TABLE_STATE, key, &value)
                                    : MESHSYNC_OK;
        if (known == MESHSYNC_E_NOT_FOUND) {
            len = key.len;
            memcpy(from, key.data, len);
            status = msy_store_del(at->txn, MSY_TABLE_STATE, msy_bytes(from, len));
            if (status == MESHSYNC_OK) {
                status = msy_store_seek(iter, msy_bytes(from, len), &key, &value);
            }
        } else {
            status = known == MESHSYNC_OK ? msy_store_next(iter, &key, &value) : known;
        }
    }
    msy_store_iter_close(iter);
    return status == MESHSYNC_E_END ? MESHSYNC_OK : status;
}

/* Stored leaves of this pass that the replay does not know. */
static meshsync_status replay_count_stored(struct replay *at, uint64_t *leaves)
{
    uint8_t prefix[4];
    struct msy_store_iter *iter = NULL;
    meshsync_bytes key;
    meshsync_bytes value;
    *leaves = 0;
    msy_put_be32(prefix, at->space);
    meshsync_status status = msy_store_iter_open(at->txn, MSY_TABLE_STATE, &iter);
    if (status != MESHSYNC_OK) {
        return status;
    }
    status = msy_store_seek(iter, msy_bytes(prefix, 4), &key, &value);
    while (status == MESHSYNC_OK && memcmp(key.data, prefix, 4) == 0) {
        *leaves += replay_mine(at, key) ? 1 : 0;
        status = msy_store_next(iter, &key, &value);
    }
    msy_store_iter_close(iter);
    return status == MESHSYNC_E_END ? MESHSYNC_OK : status;
}

static meshsync_status replay_pass(struct replay *at)
{
    uint64_t replayed = 0;
    uint64_t stored = 0;
    meshsync_status status = msy_store_open_memory(at->alloc, &at->memory, NULL);
    if (status != MESHSYNC_OK) {
        return status;
    }
    status = msy_store_begin(at->memory, MSY_TXN_WRITE, &at->model);
    if (status == MESHSYNC_OK) {
        status = replay_log(at);
        if (status == MESHSYNC_OK) {
            status = replay_compare_model(at, &replayed);
        }
        if (status == MESHSYNC_OK) {
            status = replay_count_stored(at, &stored);
        }
        if (status == MESHSYNC_OK && stored > replayed) {
            at->report->damaged_leaves += stored - replayed;
            status = at->mode == MSY_VERIFY_MEND ? replay_drop_stored(at) : status;
        }
        msy_store_abort(at->model);
    }
    msy_store_close(at->memory);
    return status;
}

static meshsync_status replay_put_digest(struct replay *at, const struct replay_digest *digest)
{
    uint8_t key[8];
    uint8_t value[8 + MSY_LTHASH_BYTES];
    msy_put_be64(value, digest->entries);
    memcpy(value + 8, digest->sum.sums, MSY_LTHASH_BYTES);
    at->report->damaged_leaves += 1;
    return msy_store_put(at->txn, MSY_TABLE_DIGEST,
                         msy_key_digest(key, at->space, digest->collection),
                         msy_bytes(value, sizeof value), MSY_PUT_ANY);
}

static meshsync_status replay_compare_digests(struct replay *at)
{
    meshsync_status status = MESHSYNC_OK;
    for (uint32_t i = 0; i < at->digests_count && status == MESHSYNC_OK; i++) {
        uint8_t key[8];
        meshsync_bytes value;
        status = msy_store_get(at->txn, MSY_TABLE_DIGEST,
                               msy_key_digest(key, at->space, at->digests[i].collection), &value);
        bool same = status == MESHSYNC_OK && value.len == 8 + MSY_LTHASH_BYTES &&
                    msy_get_be64(value.data) == at->digests[i].entries &&
                    memcmp(value.data + 8, at->digests[i].sum.sums, MSY_LTHASH_BYTES) == 0;
        if (!same && at->mode == MSY_VERIFY_MEND) {
            status = replay_put_digest(at, &at->digests[i]);
        } else {
            at->report->damaged_indexes += same ? 0 : 1;
        }
        status = status == MESHSYNC_E_NOT_FOUND ? MESHSYNC_OK : status;
    }
    return status;
}

meshsync_status msy_verify_state(struct msy_alloc *alloc, struct msy_store_txn *txn, uint32_t space,
                                 enum msy_verify_mode mode, meshsync_verify_report *report)
{
    struct replay at = {.alloc = alloc, .txn = txn, .space = space, .mode = mode, .report = report};
    meshsync_status status = MESHSYNC_OK;
    at.passes = (uint32_t)(report->ops / REPLAY_PASS_OPS) + 1;
    at.hasher.hash = msy_hash;
    at.hasher.stream = msy_stream;
    at.change = (struct msy_change *)msy_new(alloc, sizeof *at.change);
    at.header = (struct msy_change_header *)msy_new(alloc, sizeof *at.header);
    if (at.change == NULL || at.header == NULL) {
        msy_free(alloc, at.change, sizeof *at.change);
        msy_free(alloc, at.header, sizeof *at.header);
        return MESHSYNC_E_NO_MEMORY;
    }
    msy_change_init(at.change, alloc);
    msy_buf_init(&at.hashes, alloc, (size_t)MSY_CHANGE_OPS_MAX * MSY_CHANGE_HASH_BYTES);
    msy_buf_init(&at.value, alloc, REPLAY_LEAF_BYTES_MAX);
    msy_leaf_init(&at.leaf, alloc);
    for (at.pass = 0; at.pass < at.passes && status == MESHSYNC_OK; at.pass++) {
        status = replay_pass(&at);
    }
    if (status == MESHSYNC_OK) {
        status = replay_compare_digests(&at);
    }
    msy_leaf_fini(&at.leaf);
    msy_buf_fini(&at.value);
    msy_buf_fini(&at.hashes);
    msy_free(alloc, at.digests, at.digests_cap * sizeof *at.digests);
    msy_change_fini(at.change);
    msy_free(alloc, at.change, sizeof *at.change);
    msy_free(alloc, at.header, sizeof *at.header);
    return status;
}
