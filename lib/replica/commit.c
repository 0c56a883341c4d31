/* SPDX-License-Identifier: Apache-2.0 */
/* Local commits: requests that waited together become one change of this device. */
#include "replica/commit.h"

#include "base/error.h"
#include "wire/msgpack_check.h"

static uint32_t commit_context_count(meshsync_bytes context)
{
    struct msy_cursor cursor;
    meshsync_bytes head;
    uint32_t count = 0;
    msy_cursor_init(&cursor, context);
    (void)msy_cursor_bytes(&cursor, MSY_CONTEXT_HEAD_BYTES, &head);
    while (msy_cursor_left(&cursor) > 0 && !cursor.failed) {
        uint64_t number = 0;
        (void)msy_cursor_varint(&cursor, &number);
        (void)msy_cursor_varint(&cursor, &number);
        count++;
    }
    return count;
}

/* ---- Checking ---- */

static meshsync_status commit_enter(struct msy_commit *at, meshsync_bytes name, bool make)
{
    at->name = name;
    return msy_replica_collection(at->replica, at->space, name, make, &at->collection);
}

static meshsync_status commit_check_condition(struct msy_commit *at,
                                              const struct msy_intent *intent,
                                              meshsync_error *error)
{
    struct msy_ws_leaf *leaf = NULL;
    if (intent->condition == MESHSYNC_IF_ANY) {
        return MESHSYNC_OK;
    }
    if (intent->condition != MESHSYNC_IF_ABSENT &&
        (intent->context.len < MSY_CONTEXT_HEAD_BYTES || intent->context.data[0] != 1 ||
         memcmp(intent->context.data + 1, at->replica->store_id, MSY_CONTEXT_STORE_BYTES) != 0)) {
        return msy_fail(error, MESHSYNC_E_INVALID, "the context is malformed or of another store");
    }
    if (intent->condition == MESHSYNC_WITH_CONTEXT) {
        return MESHSYNC_OK;
    }
    meshsync_status status = msy_commit_leaf(at, intent->path, &leaf);
    if (status != MESHSYNC_OK) {
        return status;
    }
    if (intent->condition == MESHSYNC_IF_ABSENT) {
        return msy_leaf_empty(&leaf->leaf)
                   ? MESHSYNC_OK
                   : msy_fail(error, MESHSYNC_E_CONFLICT, "something lives at the path already");
    }
    bool same = commit_context_count(intent->context) == leaf->leaf.entries_count;
    for (uint32_t i = 0; i < leaf->leaf.entries_count && same; i++) {
        same = msy_context_has(intent->context, leaf->leaf.entries[i].lsn,
                               leaf->leaf.entries[i].index);
    }
    return same ? MESHSYNC_OK
                : msy_fail(error, MESHSYNC_E_CONFLICT,
                           "what lives at the path is not what the context saw");
}

/* All checks of a request come before its first effect, so that it happens whole or not at all.
 * Conditions see the state before the request. E_NO_MEMORY and damage fail the batch. */
static meshsync_status commit_check(struct msy_commit *at, const struct msy_request *request,
                                    meshsync_error *error)
{
    struct msy_intent intent;
    size_t position = 0;
    while (msy_request_next(request, &position, &intent)) {
        bool control = intent.collection.len == 0;
        meshsync_status status = commit_enter(at, intent.collection, control);
        if (status == MESHSYNC_E_NOT_FOUND ||
            (status == MESHSYNC_OK && !control && at->collection->type == 0)) {
            return msy_fail(error, MESHSYNC_E_NOT_FOUND, "there is no collection \"%.*s\"",
                            (int)intent.collection.len, (const char *)intent.collection.data);
        }
        if (status == MESHSYNC_OK) {
            status = commit_check_condition(at, &intent, error);
        }
        if (status != MESHSYNC_OK) {
            return status;
        }
    }
    return MESHSYNC_OK;
}

/* ---- The change ---- */

static meshsync_status commit_apply_request(struct msy_commit *at,
                                            const struct msy_request *request)
{
    struct msy_intent intent;
    size_t position = 0;
    meshsync_status status = MESHSYNC_OK;
    while (status == MESHSYNC_OK && msy_request_next(request, &position, &intent)) {
        status = commit_enter(at, intent.collection, true);
        if (status == MESHSYNC_OK) {
            status = msy_commit_intent(at, &intent);
        }
        at->space->control_dirty = at->space->control_dirty || intent.collection.len == 0;
    }
    return status;
}

/* The op hashes and places that were not known while building; the dots enter the digests. */
static meshsync_status commit_settle(struct msy_commit *at, const struct msy_change *change)
{
    struct msy_replica *replica = at->replica;
    meshsync_status status = MESHSYNC_OK;
    for (uint32_t i = 0; i < replica->added_count && status == MESHSYNC_OK; i++) {
        const struct msy_added *added = &replica->added[i];
        const uint8_t *op_hash =
            replica->hashes.data + (size_t)added->index * MSY_CHANGE_HASH_BYTES;
        if (!added->counter) {
            int64_t found = msy_leaf_find(&added->leaf->leaf, at->lsn, added->index);
            if (found < 0) {
                continue; /* A later op of the same change killed it. */
            }
            struct msy_leaf_entry *entry = &added->leaf->leaf.entries[found];
            memcpy(entry->op_hash, op_hash, sizeof entry->op_hash);
            if (entry->payload_len > MSY_LEAF_INLINE_BYTES_MAX) {
                meshsync_bytes payload = change->ops[added->index].payload;
                entry->payload_at = (uint32_t)(payload.data - change->bytes.data);
                entry->payload_crc = msy_crc32c(0, payload.data, payload.len);
                entry->payload = msy_bytes(NULL, 0);
            }
            added->leaf->dirty = true;
        }
        const struct msy_dot dot = {
            .actor = change->header.actor, .seq = change->header.seq, .index = added->index};
        status =
            msy_apply_digest(replica, at->space->number, added->collection, &dot, op_hash, true);
    }
    return status;
}

static void commit_sign(void *user, meshsync_bytes message,
                        uint8_t signature[MSY_CHANGE_SIGNATURE_BYTES])
{
    const struct msy_replica *replica = user;
    msy_identity_sign(replica->identity, message, signature);
    msy_verified_note(replica->verified, signature, message,
                      msy_identity_public(replica->identity));
}

/* Causes other than the own chain. At most the format's cap; the caller has merged before. */
static void commit_heads(const struct msy_space_state *space, struct msy_change_header *header)
{
    header->heads_count = 0;
    for (uint32_t i = 0; i < space->heads.count; i++) {
        const struct msy_tip *head = &space->heads.tips[i];
        bool own = space->has_own && head->seq == space->own.last.seq &&
                   msy_actor_equal(&head->actor, &space->own.last.actor);
        if (!own && header->heads_count < MSY_CHANGE_HEADS_MAX) {
            header->heads[header->heads_count] = *head;
            header->heads_count += 1;
        }
    }
}

/* Who writes: the next change of this epoch, or the first of a new one. */
static void commit_identify(struct msy_replica *replica, const struct msy_space_state *space)
{
    struct msy_change_header *header = &replica->header;
    memset(header, 0, sizeof *header);
    memcpy(header->space, space->row.id, sizeof header->space);
    if (space->has_epoch) {
        header->actor = space->own.last.actor;
        header->seq = space->own.last.seq + 1;
        memcpy(header->prev, space->own.last.hash, sizeof header->prev);
        return;
    }
    header->seq = 1;
    memcpy(header->device, msy_identity_public(replica->identity), sizeof header->device);
    header->ordinal = space->has_own ? space->own.ordinal + 1 : 1;
    replica->entropy.fill(replica->entropy.user, header->tag, sizeof header->tag);
    header->has_predecessor = space->has_own;
    header->predecessor = space->own.last;
}

void msy_commit_self(const struct msy_commit *at, struct msy_tip *self)
{
    const struct msy_change_header *header = &at->replica->header;
    memset(self, 0, sizeof *self);
    self->seq = header->seq;
    self->actor = header->actor;
    if (header->seq == 1) {
        msy_change_actor_id(&at->replica->hasher, header, &self->actor);
    }
}

meshsync_status msy_commit_finish(struct msy_commit *at, struct msy_tip *tip)
{
    struct msy_replica *replica = at->replica;
    struct msy_space_state *space = at->space;
    struct msy_change_header *header = &replica->header;
    uint8_t secret[MSY_CHANGE_SECRET_BYTES];
    uint8_t hash[MSY_CHANGE_HASH_BYTES];
    meshsync_error error;
    header->hlc = msy_hlc_next(&replica->hlc, replica->now_ms);
    header->flags = at->explicit_txn ? MSY_CHANGE_EXPLICIT : 0;
    header->meta = at->meta;
    commit_heads(space, header);
    replica->entropy.fill(replica->entropy.user, secret, sizeof secret);
    msy_buf_reset(&replica->hashes);
    const struct msy_change_seal seal = {
        .secret = secret, .hasher = &replica->hasher, .sign = commit_sign, .user = replica};
    const struct msy_built built = {
        .change = &replica->change, .hashes = &replica->hashes, .hash = hash};
    meshsync_status status = msy_builder_finish(&replica->builder, header, &seal, &built, &error);
    if (status == MESHSYNC_OK) {
        status = commit_settle(at, &replica->change);
    }
    if (status == MESHSYNC_OK) {
        status = msy_apply_record(replica, space, &replica->change, hash, MSY_RECORD_LOCAL);
    }
    if (status == MESHSYNC_OK) {
        space->own.last.actor = header->actor;
        space->own.last.seq = header->seq;
        memcpy(space->own.last.hash, hash, sizeof hash);
        space->own.ordinal = header->seq == 1 ? header->ordinal : space->own.ordinal;
        space->has_own = true;
        space->has_epoch = true;
        *tip = space->own.last;
        replica->stats.changes_local += 1;
        replica->stats.ops_local += replica->change.ops_count;
    }
    return status;
}

void msy_commit_begin(struct msy_commit *at, struct msy_replica *replica,
                      struct msy_space_state *space)
{
    memset(at, 0, sizeof *at);
    at->replica = replica;
    at->space = space;
    at->lsn = replica->lsn_last + 1;
    msy_builder_reset(&replica->builder);
    replica->added_count = 0;
    commit_identify(replica, space);
}

/* More heads than one change may name: changes that only name them, until they fit. */
static meshsync_status commit_merge_heads(struct msy_replica *replica,
                                          struct msy_space_state *space)
{
    meshsync_status status = MESHSYNC_OK;
    while (space->heads.count > MSY_CHANGE_HEADS_MAX && status == MESHSYNC_OK) {
        struct msy_commit at;
        struct msy_tip tip;
        struct msy_ws_leaf *leaf = NULL;
        uint8_t path[32];
        size_t len = 0;
        msy_commit_begin(&at, replica, space);
        (void)msy_path_append(path, &len, sizeof path, msy_key_name("merge"));
        status = commit_enter(&at, msy_bytes(NULL, 0), true);
        if (status == MESHSYNC_OK) {
            status = msy_commit_leaf(&at, msy_bytes(path, len), &leaf);
        }
        if (status == MESHSYNC_OK) {
            status = msy_commit_op(&at, leaf, MSY_OP_ERASE, msy_bytes(path, len),
                                   msy_bytes(msy_commit_nil, 1));
        }
        if (status == MESHSYNC_OK) {
            status = msy_commit_finish(&at, &tip);
        }
    }
    return status;
}

static meshsync_status commit_answer(struct msy_replica *replica, uint32_t space, uint64_t id,
                                     enum msy_replica_effect_type type, const struct msy_tip *tip,
                                     const meshsync_error *error)
{
    struct msy_replica_effect *effect = msy_replica_effect(replica, type);
    if (effect == NULL) {
        return MESHSYNC_E_NO_MEMORY;
    }
    effect->id = id;
    effect->space = space;
    if (tip != NULL) {
        effect->tip = *tip;
    }
    if (error != NULL) {
        effect->status = error->status;
        effect->error = *error;
    }
    return MESHSYNC_OK;
}

/* Is it a failure of the request alone, or of the machine? */
static bool commit_is_refusal(meshsync_status status)
{
    return status == MESHSYNC_E_NOT_FOUND || status == MESHSYNC_E_CONFLICT ||
           status == MESHSYNC_E_INVALID || status == MESHSYNC_E_TYPE || status == MESHSYNC_E_LIMIT;
}

/* Checks and applies one request; a refusal is answered here, anything else fails the batch. */
static meshsync_status commit_one(struct msy_commit *at, const struct msy_replica_event *event,
                                  bool *taken)
{
    meshsync_error error;
    msy_error_clear(&error);
    *taken = false;
    meshsync_status status = commit_check(at, event->request, &error);
    if (status != MESHSYNC_OK && commit_is_refusal(status)) {
        error.status = status;
        return commit_answer(at->replica, at->space->number, event->id, MSY_REPLICA_DONE, NULL,
                             &error);
    }
    if (status == MESHSYNC_OK) {
        status = commit_apply_request(at, event->request);
        *taken = true;
    }
    return status;
}

meshsync_status msy_commit_group(struct msy_replica *replica, struct msy_space_state *space,
                                 const struct msy_replica_event *events, uint32_t count)
{
    struct msy_commit at;
    struct msy_tip tip;
    bool taken = false;
    memset(&tip, 0, sizeof tip);
    meshsync_status status = commit_merge_heads(replica, space);
    bool *done = (bool *)msy_arena_take(&replica->set.arena, count * sizeof *done);
    if (done == NULL) {
        return MESHSYNC_E_NO_MEMORY;
    }
    msy_commit_begin(&at, replica, space);
    at.explicit_txn = count == 1 && events[0].request->explicit_txn;
    at.meta = count == 1 ? events[0].request->meta : msy_bytes(NULL, 0);
    for (uint32_t i = 0; i < count && status == MESHSYNC_OK; i++) {
        uint32_t before = replica->builder.ops_count;
        status = commit_one(&at, &events[i], &taken);
        done[i] = !taken;
        if (status == MESHSYNC_OK && taken && replica->builder.ops_count > before) {
            msy_builder_bound(&replica->builder);
        }
    }
    if (status == MESHSYNC_OK && replica->builder.ops_count > 0) {
        status = msy_commit_finish(&at, &tip);
    }
    for (uint32_t i = 0; i < count && status == MESHSYNC_OK; i++) {
        if (done[i]) {
            continue; /* Refused, and told so. */
        }
        if (events[i].early != 0) {
            status =
                commit_answer(replica, space->number, events[i].id, MSY_REPLICA_QUEUED, &tip, NULL);
        }
        if (status == MESHSYNC_OK) {
            status =
                commit_answer(replica, space->number, events[i].id, MSY_REPLICA_DONE, &tip, NULL);
        }
    }
    return status;
}
