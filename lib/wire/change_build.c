/* SPDX-License-Identifier: Apache-2.0 */
/* Building a change: ops are packed as they come; the tables, header and signature at the end. */
#include <string.h>

#include "base/error.h"
#include "wire/change.h"
#include "wire/msgpack_check.h"

enum { HEADER_ELEMENTS = 12, BODY_ELEMENTS = 6, OP_ELEMENTS = 5, HEADER_BYTES_MAX = 16384 };

void msy_builder_init(struct msy_change_builder *builder, struct msy_alloc *alloc)
{
    memset(builder, 0, sizeof *builder);
    builder->alloc = alloc;
    msy_buf_init(&builder->ops, alloc, MSY_CHANGE_BYTES_MAX);
    msy_buf_init(&builder->out, alloc, MSY_CHANGE_BYTES_MAX);
    msy_buf_init(&builder->kills, alloc, (size_t)MSY_CHANGE_KILLS_MAX * 8);
}

void msy_builder_fini(struct msy_change_builder *builder)
{
    msy_buf_fini(&builder->ops);
    msy_buf_fini(&builder->out);
    msy_buf_fini(&builder->kills);
    msy_free(builder->alloc, builder->refs, builder->refs_cap * sizeof *builder->refs);
    msy_free(builder->alloc, builder->ref_slots,
             builder->ref_slots_cap * sizeof *builder->ref_slots);
    msy_free(builder->alloc, builder->collections,
             builder->collections_cap * sizeof *builder->collections);
    msy_free(builder->alloc, builder->bounds, builder->bounds_cap * sizeof *builder->bounds);
    memset(builder, 0, sizeof *builder);
}

void msy_builder_reset(struct msy_change_builder *builder)
{
    msy_buf_reset(&builder->ops);
    msy_buf_reset(&builder->out);
    msy_buf_reset(&builder->kills);
    if (builder->refs_count > 0) {
        memset(builder->ref_slots, 0, builder->ref_slots_cap * sizeof *builder->ref_slots);
    }
    builder->refs_count = 0;
    builder->collections_count = 0;
    builder->bounds_count = 0;
    builder->ops_count = 0;
    builder->kills_count = 0;
    builder->failed = MESHSYNC_OK;
}

static void builder_failed(struct msy_change_builder *builder, meshsync_status status)
{
    if (builder->failed == MESHSYNC_OK) {
        builder->failed = status;
    }
}

static bool builder_room(struct msy_change_builder *builder, void **items, uint32_t *cap,
                         uint32_t count, size_t size)
{
    if (count <= *cap) {
        return true;
    }
    uint32_t grown_cap = *cap == 0 ? 16 : *cap * 2;
    void *grown = msy_resize(builder->alloc, *items, *cap * size, grown_cap * size);
    if (grown == NULL) {
        builder_failed(builder, MESHSYNC_E_NO_MEMORY);
        return false;
    }
    *items = grown;
    *cap = grown_cap;
    return true;
}

/* ---- Table of changes whose dots are killed ---- */

static uint32_t ref_slot(const struct msy_change_builder *builder, const struct msy_ref *ref)
{
    /* Only our own lookups depend on it: any mix of the fields does. */
    uint64_t mixed = (ref->hash_prefix ^ (ref->seq * UINT64_C(0x9e3779b97f4a7c15))) *
                     UINT64_C(0xd6e8feb86659fd93);
    return (uint32_t)(mixed >> 32) & (builder->ref_slots_cap - 1);
}

static bool ref_same(const struct msy_ref *a, const struct msy_ref *b)
{
    return a->seq == b->seq && a->hash_prefix == b->hash_prefix &&
           msy_actor_equal(&a->actor, &b->actor);
}

static void ref_link(struct msy_change_builder *builder, uint32_t number)
{
    uint32_t at = ref_slot(builder, &builder->refs[number - 1]);
    while (builder->ref_slots[at] != 0) {
        at = (at + 1) & (builder->ref_slots_cap - 1);
    }
    builder->ref_slots[at] = number;
}

static bool ref_grow_slots(struct msy_change_builder *builder)
{
    if ((builder->refs_count + 1) * 2 <= builder->ref_slots_cap) {
        return true;
    }
    uint32_t cap = builder->ref_slots_cap == 0 ? 64 : builder->ref_slots_cap * 2;
    uint32_t *slots = (uint32_t *)msy_new_array(builder->alloc, cap, sizeof *slots);
    if (slots == NULL) {
        builder_failed(builder, MESHSYNC_E_NO_MEMORY);
        return false;
    }
    msy_free(builder->alloc, builder->ref_slots,
             builder->ref_slots_cap * sizeof *builder->ref_slots);
    builder->ref_slots = slots;
    builder->ref_slots_cap = cap;
    for (uint32_t i = 1; i <= builder->refs_count; i++) {
        ref_link(builder, i);
    }
    return true;
}

/* Number of a ref in the table, from 1; 0 when it failed. */
static uint32_t ref_number(struct msy_change_builder *builder, const struct msy_ref *ref)
{
    void *items = builder->refs;
    if (!ref_grow_slots(builder)) {
        return 0;
    }
    for (uint32_t at = ref_slot(builder, ref); builder->ref_slots[at] != 0;
         at = (at + 1) & (builder->ref_slots_cap - 1)) {
        if (ref_same(&builder->refs[builder->ref_slots[at] - 1], ref)) {
            return builder->ref_slots[at];
        }
    }
    if (builder->refs_count >= MSY_CHANGE_REFS_MAX) {
        builder_failed(builder, MESHSYNC_E_LIMIT);
        return 0;
    }
    bool room = builder_room(builder, &items, &builder->refs_cap, builder->refs_count + 1,
                             sizeof *builder->refs);
    builder->refs = (struct msy_ref *)items;
    if (!room) {
        return 0;
    }
    builder->refs[builder->refs_count] = *ref;
    builder->refs_count += 1;
    ref_link(builder, builder->refs_count);
    return builder->refs_count;
}

/* ---- Ops ---- */

static void builder_kill_pair(struct msy_change_builder *builder, uint32_t ref, uint32_t index)
{
    if (builder->kills_count >= MSY_CHANGE_KILLS_MAX) {
        builder_failed(builder, MESHSYNC_E_LIMIT);
        return;
    }
    meshsync_status status = msy_buf_append_be32(&builder->kills, ref);
    if (status == MESHSYNC_OK) {
        status = msy_buf_append_be32(&builder->kills, index);
    }
    if (status != MESHSYNC_OK) {
        builder_failed(builder, status);
    }
    builder->kills_count += 1;
}

void msy_builder_kill(struct msy_change_builder *builder, const struct msy_ref *ref, uint32_t index)
{
    uint32_t number = ref_number(builder, ref);
    if (number != 0) {
        builder_kill_pair(builder, number, index);
    }
}

void msy_builder_kill_own(struct msy_change_builder *builder, uint32_t index)
{
    builder_kill_pair(builder, 0, index);
}

static uint32_t builder_collection(struct msy_change_builder *builder, meshsync_bytes name)
{
    void *items = builder->collections;
    for (uint32_t i = 0; i < builder->collections_count; i++) {
        if (strlen(builder->collections[i]) == name.len &&
            (name.len == 0 || memcmp(builder->collections[i], name.data, name.len) == 0)) {
            return i;
        }
    }
    if (builder->collections_count >= MSY_CHANGE_COLLECTIONS_MAX ||
        name.len > MESHSYNC_NAME_BYTES_MAX) {
        builder_failed(builder, MESHSYNC_E_LIMIT);
        return 0;
    }
    bool room = builder_room(builder, &items, &builder->collections_cap,
                             builder->collections_count + 1, sizeof *builder->collections);
    builder->collections = (char(*)[MESHSYNC_NAME_BYTES_MAX + 1]) items;
    if (!room) {
        return 0;
    }
    char *slot = builder->collections[builder->collections_count];
    memset(slot, 0, sizeof *builder->collections);
    if (name.len > 0) {
        memcpy(slot, name.data, name.len);
    }
    builder->collections_count += 1;
    return builder->collections_count - 1;
}

static meshsync_status builder_pack_op(struct msy_change_builder *builder, uint32_t collection,
                                       uint32_t kind, meshsync_bytes path, meshsync_bytes payload)
{
    struct msy_buf *out = &builder->ops;
    uint32_t numbers = (uint32_t)(builder->kills.len / 4);
    meshsync_status status = msy_mp_put_array(out, OP_ELEMENTS);
    if (status == MESHSYNC_OK) {
        status = msy_mp_put_uint(out, collection);
    }
    if (status == MESHSYNC_OK) {
        status = msy_mp_put_uint(out, kind);
    }
    if (status == MESHSYNC_OK) {
        status = msy_mp_put_bin(out, path);
    }
    if (status == MESHSYNC_OK) {
        status = msy_buf_append(out, payload.data, payload.len);
    }
    if (status == MESHSYNC_OK) {
        status = msy_mp_put_array(out, numbers);
    }
    for (uint32_t i = 0; i < numbers && status == MESHSYNC_OK; i++) {
        status = msy_mp_put_uint(out, msy_get_be32(builder->kills.data + (size_t)i * 4));
    }
    return status;
}

meshsync_status msy_builder_op(struct msy_change_builder *builder, meshsync_bytes collection,
                               uint32_t kind, meshsync_bytes path, meshsync_bytes payload,
                               uint32_t *index)
{
    uint32_t number = builder_collection(builder, collection);
    *index = builder->ops_count;
    if (builder->ops_count >= MSY_CHANGE_OPS_MAX) {
        builder_failed(builder, MESHSYNC_E_LIMIT);
    }
    if (builder->failed == MESHSYNC_OK) {
        builder_failed(builder, builder_pack_op(builder, number, kind, path, payload));
    }
    msy_buf_reset(&builder->kills);
    builder->ops_count += builder->failed == MESHSYNC_OK ? 1 : 0;
    return builder->failed;
}

void msy_builder_bound(struct msy_change_builder *builder)
{
    void *items = builder->bounds;
    if (builder->bounds_count > 0 &&
        builder->bounds[builder->bounds_count - 1] == builder->ops_count) {
        return;
    }
    bool room = builder_room(builder, &items, &builder->bounds_cap, builder->bounds_count + 1,
                             sizeof *builder->bounds);
    builder->bounds = (uint32_t *)items;
    if (room) {
        builder->bounds[builder->bounds_count] = builder->ops_count;
        builder->bounds_count += 1;
    }
}

size_t msy_builder_bytes(const struct msy_change_builder *builder)
{
    return builder->ops.len + (size_t)builder->refs_count * 30;
}

/* ---- The finished change ---- */

static meshsync_status put_hash(struct msy_buf *out, const uint8_t *hash, size_t len)
{
    return msy_mp_put_bin(out, (meshsync_bytes){hash, len});
}

static meshsync_status put_tip(struct msy_buf *out, const struct msy_tip *tip, size_t hash_len)
{
    meshsync_status status = msy_mp_put_array(out, 3);
    if (status == MESHSYNC_OK) {
        status = put_hash(out, tip->actor.id, sizeof tip->actor.id);
    }
    if (status == MESHSYNC_OK) {
        status = msy_mp_put_uint(out, tip->seq);
    }
    return status == MESHSYNC_OK ? put_hash(out, tip->hash, hash_len) : status;
}

static meshsync_status put_epoch(struct msy_buf *out, const struct msy_change_header *header)
{
    if (header->seq > 1) {
        return msy_mp_put_nil(out);
    }
    meshsync_status status = msy_mp_put_array(out, 4);
    if (status == MESHSYNC_OK) {
        status = put_hash(out, header->device, sizeof header->device);
    }
    if (status == MESHSYNC_OK) {
        status = msy_mp_put_uint(out, header->ordinal);
    }
    if (status == MESHSYNC_OK) {
        status = put_hash(out, header->tag, sizeof header->tag);
    }
    if (status != MESHSYNC_OK) {
        return status;
    }
    return header->has_predecessor ? put_tip(out, &header->predecessor, MSY_CHANGE_HASH_BYTES)
                                   : msy_mp_put_nil(out);
}

static meshsync_status put_causes(struct msy_buf *out, const struct msy_change_header *header)
{
    meshsync_status status =
        header->seq == 1 ? msy_mp_put_nil(out) : put_hash(out, header->prev, sizeof header->prev);
    if (status == MESHSYNC_OK) {
        status = msy_mp_put_uint(out, header->hlc);
    }
    if (status == MESHSYNC_OK) {
        status = msy_mp_put_array(out, header->heads_count);
    }
    for (uint32_t i = 0; i < header->heads_count && status == MESHSYNC_OK; i++) {
        status = put_tip(out, &header->heads[i], MSY_HEAD_HASH_BYTES);
    }
    return status == MESHSYNC_OK ? msy_mp_put_array(out, 0) : status;
}

static meshsync_status put_header(struct msy_buf *out, const struct msy_change_header *header)
{
    meshsync_status status = msy_mp_put_array(out, HEADER_ELEMENTS);
    if (status == MESHSYNC_OK) {
        status = msy_mp_put_uint(out, MSY_CHANGE_VERSION);
    }
    if (status == MESHSYNC_OK) {
        status = put_hash(out, header->space, sizeof header->space);
    }
    if (status == MESHSYNC_OK) {
        status = put_hash(out, header->actor.id, sizeof header->actor.id);
    }
    if (status == MESHSYNC_OK) {
        status = msy_mp_put_uint(out, header->seq);
    }
    if (status == MESHSYNC_OK) {
        status = put_causes(out, header);
    }
    if (status == MESHSYNC_OK) {
        status = put_hash(out, header->root, sizeof header->root);
    }
    if (status == MESHSYNC_OK) {
        status = msy_mp_put_uint(out, header->flags);
    }
    if (status == MESHSYNC_OK) {
        status = header->meta.len == 0 ? msy_mp_put_nil(out)
                                       : msy_buf_append(out, header->meta.data, header->meta.len);
    }
    return status == MESHSYNC_OK ? put_epoch(out, header) : status;
}

static meshsync_status put_tables(struct msy_change_builder *builder, struct msy_buf *out)
{
    uint32_t bounds = builder->bounds_count > 1 ? builder->bounds_count : 0;
    meshsync_status status = msy_mp_put_array(out, bounds);
    for (uint32_t i = 0; i < bounds && status == MESHSYNC_OK; i++) {
        status = msy_mp_put_uint(out, builder->bounds[i]);
    }
    if (status == MESHSYNC_OK) {
        status = msy_mp_put_array(out, builder->collections_count);
    }
    for (uint32_t i = 0; i < builder->collections_count && status == MESHSYNC_OK; i++) {
        const char *name = builder->collections[i];
        status = msy_mp_put_str(out, (meshsync_bytes){(const uint8_t *)name, strlen(name)});
    }
    if (status == MESHSYNC_OK) {
        status = msy_mp_put_array(out, builder->refs_count);
    }
    for (uint32_t i = 0; i < builder->refs_count && status == MESHSYNC_OK; i++) {
        const struct msy_ref *ref = &builder->refs[i];
        status = msy_mp_put_array(out, 3);
        if (status == MESHSYNC_OK) {
            status = put_hash(out, ref->actor.id, sizeof ref->actor.id);
        }
        if (status == MESHSYNC_OK) {
            status = msy_mp_put_uint(out, ref->seq);
        }
        if (status == MESHSYNC_OK) {
            status = msy_mp_put_uint(out, ref->hash_prefix);
        }
    }
    return status;
}

static meshsync_status put_body(struct msy_change_builder *builder, const uint8_t *secret,
                                struct msy_buf *out)
{
    meshsync_status status = msy_mp_put_array(out, BODY_ELEMENTS);
    if (status == MESHSYNC_OK) {
        status = msy_mp_put_uint(out, 0);
    }
    if (status == MESHSYNC_OK) {
        status = put_hash(out, secret, MSY_CHANGE_SECRET_BYTES);
    }
    if (status == MESHSYNC_OK) {
        status = put_tables(builder, out);
    }
    if (status == MESHSYNC_OK) {
        status = msy_mp_put_array(out, builder->ops_count);
    }
    return status == MESHSYNC_OK ? msy_buf_append(out, builder->ops.data, builder->ops.len)
                                 : status;
}

/* Header and signature in front of the body: the root is the only part that depends on the ops, and
 * has a fixed length, so a first header with an empty root gives a change that can be parsed. */
static meshsync_status builder_assemble(struct msy_change_builder *builder,
                                        const struct msy_change_header *header,
                                        const uint8_t *secret, size_t *header_len)
{
    static const uint8_t no_signature[MSY_CHANGE_SIGNATURE_BYTES];
    struct msy_buf *out = &builder->out;
    msy_buf_reset(out);
    meshsync_status status = put_header(out, header);
    *header_len = out->len;
    if (status == MESHSYNC_OK) {
        status = put_hash(out, no_signature, sizeof no_signature);
    }
    return status == MESHSYNC_OK ? put_body(builder, secret, out) : status;
}

static meshsync_status builder_seal(struct msy_change_builder *builder,
                                    struct msy_change_header *header, size_t header_len,
                                    const struct msy_change_seal *seal, struct msy_change *change)
{
    struct msy_buf head;
    struct msy_buf message;
    uint8_t *out = builder->out.data;
    msy_buf_init(&head, builder->alloc, HEADER_BYTES_MAX);
    msy_buf_init(&message, builder->alloc, HEADER_BYTES_MAX + 64);
    meshsync_status status = put_header(&head, header);
    if (status == MESHSYNC_OK && head.len != header_len) {
        status = MESHSYNC_E_INTERNAL;
    }
    if (status == MESHSYNC_OK) {
        memcpy(out, head.data, head.len);
        status = msy_change_signed_bytes((meshsync_bytes){out, header_len}, &message);
    }
    if (status == MESHSYNC_OK) {
        seal->sign(seal->user, msy_buf_bytes(&message), out + header_len + 2);
        memcpy(change->header.root, header->root, sizeof header->root);
    }
    msy_buf_fini(&message);
    msy_buf_fini(&head);
    return status;
}

meshsync_status msy_builder_finish(struct msy_change_builder *builder,
                                   struct msy_change_header *header,
                                   const struct msy_change_seal *seal,
                                   const struct msy_built *built, meshsync_error *error)
{
    const struct msy_hasher *hasher = seal->hasher;
    struct msy_change *change = built->change;
    struct msy_buf *hashes = built->hashes;
    size_t header_len = 0;
    meshsync_status status = builder->failed;
    memset(header->root, 0, sizeof header->root);
    if (header->seq == 1) {
        msy_change_actor_id(hasher, header, &header->actor);
    }
    if (status == MESHSYNC_OK) {
        status = builder_assemble(builder, header, seal->secret, &header_len);
    }
    if (status != MESHSYNC_OK) {
        return msy_fail(error, status, "the change is over a limit or there is no memory");
    }
    status = msy_change_parse(change, msy_buf_bytes(&builder->out), error);
    if (status != MESHSYNC_OK) {
        /* What we built must be what we accept; anything else is a fault of this code. */
        return status == MESHSYNC_E_NO_MEMORY ? status : MESHSYNC_E_INTERNAL;
    }
    status = msy_buf_reserve(hashes, (size_t)change->ops_count * MSY_CHANGE_HASH_BYTES);
    if (status == MESHSYNC_OK) {
        status = msy_change_op_hashes(hasher, change, hashes->data, header->root);
    }
    if (status == MESHSYNC_OK) {
        hashes->len = (size_t)change->ops_count * MSY_CHANGE_HASH_BYTES;
        status = builder_seal(builder, header, header_len, seal, change);
    }
    if (status != MESHSYNC_OK) {
        return msy_fail(error, status, "no memory for the change");
    }
    msy_change_hash(hasher, change->header_bytes, change->signature, built->hash);
    return MESHSYNC_OK;
}
