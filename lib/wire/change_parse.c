/* SPDX-License-Identifier: Apache-2.0 */
/* Taking a change apart: everything is checked before anything is believed. */
#include <string.h>

#include "base/error.h"
#include "base/path.h"
#include "wire/change.h"
#include "wire/msgpack_check.h"

enum { HEADER_ELEMENTS = 12, BODY_ELEMENTS = 6, OP_ELEMENTS = 5, BODY_FULL = 0 };

#define SEQ_MAX (UINT64_C(1) << 53)

void msy_change_init(struct msy_change *change, struct msy_alloc *alloc)
{
    memset(change, 0, sizeof *change);
    change->alloc = alloc;
}

void msy_change_fini(struct msy_change *change)
{
    msy_free(change->alloc, change->bounds, change->bounds_cap * sizeof *change->bounds);
    msy_free(change->alloc, change->collections,
             change->collections_cap * sizeof *change->collections);
    msy_free(change->alloc, change->refs, change->refs_cap * sizeof *change->refs);
    msy_free(change->alloc, change->ops, change->ops_cap * sizeof *change->ops);
    msy_free(change->alloc, change->kills, change->kills_cap * sizeof *change->kills);
    msy_change_init(change, change->alloc);
}

/* ---- Header ---- */

/* [actor, seq, hash of hash_len bytes] */
static bool parse_tip(struct msy_cursor *cursor, struct msy_tip *tip, size_t hash_len)
{
    uint32_t count = 0;
    memset(tip, 0, sizeof *tip);
    return msy_mp_array(cursor, &count) && count == 3 &&
           msy_mp_bin_copy(cursor, tip->actor.id, sizeof tip->actor.id) &&
           msy_mp_uint(cursor, &tip->seq) && tip->seq >= 1 && tip->seq <= SEQ_MAX &&
           msy_mp_bin_copy(cursor, tip->hash, hash_len);
}

static bool parse_heads(struct msy_cursor *cursor, struct msy_change_header *header)
{
    uint32_t count = 0;
    if (!msy_mp_array(cursor, &count) || count > MSY_CHANGE_HEADS_MAX) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!parse_tip(cursor, &header->heads[i], MSY_HEAD_HASH_BYTES)) {
            return false;
        }
        if (i > 0) {
            const struct msy_tip *before = &header->heads[i - 1];
            int order = msy_actor_compare(&before->actor, &header->heads[i].actor);
            if (order > 0 || (order == 0 && before->seq >= header->heads[i].seq)) {
                return false;
            }
        }
    }
    header->heads_count = count;
    return true;
}

static bool parse_epoch(struct msy_cursor *cursor, struct msy_change_header *header)
{
    uint32_t count = 0;
    if (header->seq > 1) {
        return msy_mp_nil(cursor);
    }
    if (!msy_mp_array(cursor, &count) || count != 4 ||
        !msy_mp_bin_copy(cursor, header->device, sizeof header->device) ||
        !msy_mp_uint(cursor, &header->ordinal) ||
        !msy_mp_bin_copy(cursor, header->tag, sizeof header->tag)) {
        return false;
    }
    if (msy_mp_nil(cursor)) {
        return true;
    }
    header->has_predecessor = true;
    return parse_tip(cursor, &header->predecessor, MSY_CHANGE_HASH_BYTES);
}

static bool parse_meta(struct msy_cursor *cursor, struct msy_change_header *header)
{
    struct msy_cursor peek;
    struct msy_msgpack_head head;
    if (msy_mp_nil(cursor)) {
        return true;
    }
    peek = *cursor;
    return msy_mp_read(&peek, &head) && head.type == MSY_MP_MAP &&
           msy_mp_raw(cursor, &header->meta) && header->meta.len <= MSY_CHANGE_META_BYTES_MAX;
}

static bool parse_header(struct msy_cursor *cursor, struct msy_change_header *header)
{
    uint32_t control_heads = 0;
    uint64_t flags = 0;
    if (!msy_mp_bin_copy(cursor, header->space, sizeof header->space) ||
        !msy_mp_bin_copy(cursor, header->actor.id, sizeof header->actor.id) ||
        !msy_mp_uint(cursor, &header->seq) || header->seq < 1 || header->seq > SEQ_MAX) {
        return false;
    }
    if (header->seq == 1 ? !msy_mp_nil(cursor)
                         : !msy_mp_bin_copy(cursor, header->prev, sizeof header->prev)) {
        return false;
    }
    if (!msy_mp_uint(cursor, &header->hlc) || !parse_heads(cursor, header) ||
        !msy_mp_array(cursor, &control_heads) || control_heads != 0 ||
        !msy_mp_bin_copy(cursor, header->root, sizeof header->root) ||
        !msy_mp_uint(cursor, &flags) || flags > MSY_CHANGE_EXPLICIT) {
        return false;
    }
    header->flags = (uint32_t)flags;
    return parse_meta(cursor, header) && parse_epoch(cursor, header);
}

static void parse_header_clear(struct msy_change_header *header)
{
    /* The heads are many and are only read up to their count: they are not cleared. */
    memset(header, 0, offsetof(struct msy_change_header, heads));
    memset((uint8_t *)header + offsetof(struct msy_change_header, root), 0,
           sizeof *header - offsetof(struct msy_change_header, root));
}

meshsync_status msy_change_parse_header(meshsync_bytes bytes, struct msy_change_header *header,
                                        meshsync_bytes *header_bytes, const uint8_t **signature,
                                        meshsync_bytes *body_bytes)
{
    struct msy_cursor cursor;
    uint32_t count = 0;
    uint64_t version = 0;
    meshsync_bytes signed_bytes;
    parse_header_clear(header);
    msy_cursor_init(&cursor, bytes);
    if (!msy_mp_array(&cursor, &count) || count < 1 || !msy_mp_uint(&cursor, &version)) {
        return MESHSYNC_E_PROTOCOL;
    }
    if (version != MSY_CHANGE_VERSION) {
        return version > MSY_CHANGE_VERSION ? MESHSYNC_E_UNSUPPORTED : MESHSYNC_E_PROTOCOL;
    }
    if (count != HEADER_ELEMENTS || !parse_header(&cursor, header)) {
        return MESHSYNC_E_PROTOCOL;
    }
    *header_bytes = (meshsync_bytes){bytes.data, (size_t)(cursor.at - bytes.data)};
    if (!msy_mp_bin(&cursor, &signed_bytes) || signed_bytes.len != MSY_CHANGE_SIGNATURE_BYTES) {
        return MESHSYNC_E_PROTOCOL;
    }
    *signature = signed_bytes.data;
    *body_bytes = (meshsync_bytes){cursor.at, msy_cursor_left(&cursor)};
    return MESHSYNC_OK;
}

/* ---- Body ---- */

/* Room for count items; the caller has compared count with the bytes that are there. */
static meshsync_status parse_room(struct msy_change *change, void **items, uint32_t *cap,
                                  uint32_t count, size_t size)
{
    if (count <= *cap) {
        return MESHSYNC_OK;
    }
    uint32_t grown_cap = *cap == 0 ? 16 : *cap;
    while (grown_cap < count) {
        grown_cap *= 2;
    }
    void *grown = msy_resize(change->alloc, *items, *cap * size, grown_cap * size);
    if (grown == NULL) {
        return MESHSYNC_E_NO_MEMORY;
    }
    *items = grown;
    *cap = grown_cap;
    return MESHSYNC_OK;
}

static meshsync_status parse_bounds(struct msy_change *change, struct msy_cursor *cursor)
{
    uint32_t count = 0;
    void *items = change->bounds;
    if (!msy_mp_array(cursor, &count) || count > MSY_CHANGE_OPS_MAX || count == 1) {
        return MESHSYNC_E_PROTOCOL;
    }
    meshsync_status status =
        parse_room(change, &items, &change->bounds_cap, count, sizeof *change->bounds);
    change->bounds = (uint32_t *)items;
    for (uint32_t i = 0; i < count && status == MESHSYNC_OK; i++) {
        uint64_t bound = 0;
        if (!msy_mp_uint(cursor, &bound) || bound > MSY_CHANGE_OPS_MAX ||
            bound <= (i == 0 ? 0 : change->bounds[i - 1])) {
            return MESHSYNC_E_PROTOCOL;
        }
        change->bounds[i] = (uint32_t)bound;
    }
    change->bounds_count = count;
    return status;
}

static meshsync_status parse_collections(struct msy_change *change, struct msy_cursor *cursor)
{
    uint32_t count = 0;
    void *items = change->collections;
    if (!msy_mp_array(cursor, &count) || count < 1 || count > MSY_CHANGE_COLLECTIONS_MAX) {
        return MESHSYNC_E_PROTOCOL;
    }
    meshsync_status status =
        parse_room(change, &items, &change->collections_cap, count, sizeof *change->collections);
    change->collections = (meshsync_bytes *)items;
    for (uint32_t i = 0; i < count && status == MESHSYNC_OK; i++) {
        meshsync_bytes name;
        if (!msy_mp_str(cursor, &name) || name.len > MESHSYNC_NAME_BYTES_MAX ||
            (name.len > 0 && memchr(name.data, 0, name.len) != NULL)) {
            return MESHSYNC_E_PROTOCOL;
        }
        for (uint32_t k = 0; k < i; k++) {
            if (msy_bytes_equal(change->collections[k], name)) {
                return MESHSYNC_E_PROTOCOL;
            }
        }
        change->collections[i] = name;
    }
    change->collections_count = count;
    return status;
}

static meshsync_status parse_refs(struct msy_change *change, struct msy_cursor *cursor)
{
    uint32_t count = 0;
    void *items = change->refs;
    if (!msy_mp_array(cursor, &count) || count > MSY_CHANGE_REFS_MAX) {
        return MESHSYNC_E_PROTOCOL;
    }
    meshsync_status status =
        parse_room(change, &items, &change->refs_cap, count, sizeof *change->refs);
    change->refs = (struct msy_ref *)items;
    for (uint32_t i = 0; i < count && status == MESHSYNC_OK; i++) {
        struct msy_ref *ref = &change->refs[i];
        uint32_t parts = 0;
        if (!msy_mp_array(cursor, &parts) || parts != 3 ||
            !msy_mp_bin_copy(cursor, ref->actor.id, sizeof ref->actor.id) ||
            !msy_mp_uint(cursor, &ref->seq) || ref->seq < 1 || ref->seq > SEQ_MAX ||
            !msy_mp_uint(cursor, &ref->hash_prefix)) {
            return MESHSYNC_E_PROTOCOL;
        }
    }
    change->refs_count = count;
    return status;
}

/* Tables of tips as RESET and CLEAR carry them: rows of an actor and `numbers` more, ascending. */
static bool parse_actor_rows(meshsync_bytes payload, uint32_t numbers)
{
    struct msy_cursor cursor;
    struct msy_actor before;
    uint32_t count = 0;
    msy_cursor_init(&cursor, payload);
    if (!msy_mp_array(&cursor, &count)) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct msy_actor actor;
        uint32_t parts = 0;
        if (!msy_mp_array(&cursor, &parts) || parts != 1 + numbers ||
            !msy_mp_bin_copy(&cursor, actor.id, sizeof actor.id) ||
            (i > 0 && msy_actor_compare(&before, &actor) >= 0)) {
            return false;
        }
        for (uint32_t k = 0; k < numbers; k++) {
            uint64_t number = 0;
            if (!msy_mp_uint(&cursor, &number) || (k == 0 && (number < 1 || number > SEQ_MAX))) {
                return false;
            }
        }
        before = actor;
    }
    return msy_cursor_left(&cursor) == 0;
}

static bool parse_payload_fits(uint32_t kind, meshsync_bytes payload)
{
    struct msy_cursor cursor;
    struct msy_msgpack_head head;
    msy_cursor_init(&cursor, payload);
    if (payload.len > MESHSYNC_VALUE_BYTES_MAX + 16 || !msy_mp_read(&cursor, &head)) {
        return false;
    }
    switch (kind) {
    case MSY_OP_ERASE:
    case MSY_OP_MEMBER:
    case MSY_OP_MARKER: return head.type == MSY_MP_NIL;
    case MSY_OP_ADD:
        return head.type == MSY_MP_NEGINT || (head.type == MSY_MP_UINT && head.number <= INT64_MAX);
    case MSY_OP_RESET: return parse_actor_rows(payload, 3);
    case MSY_OP_CLEAR: return parse_actor_rows(payload, 1);
    default: return true;
    }
}

static meshsync_status parse_kills(struct msy_change *change, struct msy_cursor *cursor,
                                   uint32_t op_index, struct msy_op *op)
{
    uint32_t count = 0;
    void *items = change->kills;
    if (!msy_mp_array(cursor, &count) || count % 2 != 0 ||
        change->kills_count + count / 2 > MSY_CHANGE_KILLS_MAX) {
        return MESHSYNC_E_PROTOCOL;
    }
    meshsync_status status = parse_room(change, &items, &change->kills_cap,
                                        change->kills_count + count / 2, sizeof *change->kills);
    change->kills = (struct msy_kill *)items;
    op->kills_first = change->kills_count;
    op->kills_count = count / 2;
    for (uint32_t i = 0; i < count / 2 && status == MESHSYNC_OK; i++) {
        uint64_t ref = 0;
        uint64_t index = 0;
        if (!msy_mp_uint(cursor, &ref) || !msy_mp_uint(cursor, &index) ||
            ref > change->refs_count || index >= MSY_CHANGE_OPS_MAX ||
            (ref == 0 && index >= op_index)) {
            return MESHSYNC_E_PROTOCOL;
        }
        change->kills[change->kills_count] =
            (struct msy_kill){.ref = (uint32_t)ref, .index = (uint32_t)index};
        change->kills_count += 1;
    }
    return status;
}

static meshsync_status parse_op(struct msy_change *change, struct msy_cursor *cursor,
                                uint32_t index, uint32_t *collections_seen)
{
    struct msy_op *op = &change->ops[index];
    uint32_t parts = 0;
    uint64_t collection = 0;
    uint64_t kind = 0;
    if (!msy_mp_array(cursor, &parts) || parts != OP_ELEMENTS ||
        !msy_mp_uint(cursor, &collection) || collection >= change->collections_count ||
        collection > *collections_seen || !msy_mp_uint(cursor, &kind) || kind > UINT32_MAX ||
        !msy_mp_bin(cursor, &op->path) || !msy_path_valid(op->path) ||
        !msy_mp_raw(cursor, &op->payload) || !parse_payload_fits((uint32_t)kind, op->payload)) {
        return MESHSYNC_E_PROTOCOL;
    }
    op->collection = (uint32_t)collection;
    op->kind = (uint32_t)kind;
    if (op->collection == *collections_seen) {
        *collections_seen += 1; /* Named in the order of first use. */
    }
    return parse_kills(change, cursor, index, op);
}

static meshsync_status parse_ops(struct msy_change *change, struct msy_cursor *cursor)
{
    uint32_t count = 0;
    uint32_t collections_seen = 0;
    void *items = change->ops;
    if (!msy_mp_array(cursor, &count) || count < 1 || count > MSY_CHANGE_OPS_MAX) {
        return MESHSYNC_E_PROTOCOL;
    }
    meshsync_status status =
        parse_room(change, &items, &change->ops_cap, count, sizeof *change->ops);
    change->ops = (struct msy_op *)items;
    change->kills_count = 0;
    for (uint32_t i = 0; i < count && status == MESHSYNC_OK; i++) {
        status = parse_op(change, cursor, i, &collections_seen);
    }
    change->ops_count = count;
    if (status == MESHSYNC_OK &&
        (collections_seen != change->collections_count ||
         (change->bounds_count > 0 && change->bounds[change->bounds_count - 1] != count))) {
        status = MESHSYNC_E_PROTOCOL;
    }
    return status;
}

static meshsync_status parse_body(struct msy_change *change)
{
    struct msy_cursor cursor;
    uint32_t count = 0;
    uint64_t form = 0;
    meshsync_bytes secret;
    msy_cursor_init(&cursor, change->body_bytes);
    if (!msy_mp_array(&cursor, &count) || count != BODY_ELEMENTS || !msy_mp_uint(&cursor, &form) ||
        form != BODY_FULL || !msy_mp_bin(&cursor, &secret) ||
        secret.len != MSY_CHANGE_SECRET_BYTES) {
        return MESHSYNC_E_PROTOCOL;
    }
    change->secret = secret.data;
    meshsync_status status = parse_bounds(change, &cursor);
    if (status == MESHSYNC_OK) {
        status = parse_collections(change, &cursor);
    }
    if (status == MESHSYNC_OK) {
        status = parse_refs(change, &cursor);
    }
    if (status == MESHSYNC_OK) {
        status = parse_ops(change, &cursor);
    }
    if (status == MESHSYNC_OK && msy_cursor_left(&cursor) != 0) {
        status = MESHSYNC_E_PROTOCOL;
    }
    return status;
}

meshsync_status msy_change_parse(struct msy_change *change, meshsync_bytes bytes,
                                 meshsync_error *error)
{
    change->bytes = bytes;
    change->ops_count = 0;
    change->kills_count = 0;
    if (bytes.len > MSY_CHANGE_BYTES_MAX) {
        return msy_fail(error, MESHSYNC_E_PROTOCOL, "a change of %zu bytes is over the limit",
                        bytes.len);
    }
    meshsync_status status = msy_change_parse_header(bytes, &change->header, &change->header_bytes,
                                                     &change->signature, &change->body_bytes);
    if (status != MESHSYNC_OK) {
        return msy_fail(error, status, "the change's header is malformed or of a later version");
    }
    status = parse_body(change);
    return status == MESHSYNC_OK ? status
                                 : msy_fail(error, status, "the change's body is malformed");
}
