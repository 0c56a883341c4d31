/* SPDX-License-Identifier: Apache-2.0 */
#include "crdt/leaf.h"

#include <string.h>

#include "base/error.h"

enum { LEAF_VERSION = 1, LEAF_COUNTER = 0x80, LEAF_VERSION_MASK = 0x0f, LEAF_CRC_BYTES = 4 };

void msy_leaf_init(struct msy_leaf *leaf, struct msy_alloc *alloc)
{
    memset(leaf, 0, sizeof *leaf);
    leaf->alloc = alloc;
}

void msy_leaf_fini(struct msy_leaf *leaf)
{
    msy_free(leaf->alloc, leaf->entries, leaf->entries_cap * sizeof *leaf->entries);
    msy_free(leaf->alloc, leaf->resets, leaf->resets_cap * sizeof *leaf->resets);
    msy_leaf_init(leaf, leaf->alloc);
}

void msy_leaf_reset(struct msy_leaf *leaf)
{
    leaf->last_lsn = 0;
    leaf->entries_count = 0;
    leaf->resets_count = 0;
    leaf->plus = 0;
    leaf->minus = 0;
    leaf->has_counter = false;
}

static meshsync_status leaf_grow(struct msy_alloc *alloc, void **items, uint32_t *cap,
                                 uint32_t count, size_t size)
{
    if (count <= *cap) {
        return MESHSYNC_OK;
    }
    uint32_t grown_cap = *cap == 0 ? 2 : *cap;
    while (grown_cap < count) {
        if (grown_cap > UINT32_MAX / 2) {
            return MESHSYNC_E_LIMIT;
        }
        grown_cap *= 2;
    }
    void *grown = msy_resize(alloc, *items, *cap * size, grown_cap * size);
    if (grown == NULL) {
        return MESHSYNC_E_NO_MEMORY;
    }
    *items = grown;
    *cap = grown_cap;
    return MESHSYNC_OK;
}

static meshsync_status leaf_room_entries(struct msy_leaf *leaf, uint32_t count)
{
    void *items = leaf->entries;
    meshsync_status status =
        leaf_grow(leaf->alloc, &items, &leaf->entries_cap, count, sizeof *leaf->entries);
    leaf->entries = (struct msy_leaf_entry *)items;
    return status;
}

static meshsync_status leaf_room_resets(struct msy_leaf *leaf, uint32_t count)
{
    void *items = leaf->resets;
    meshsync_status status =
        leaf_grow(leaf->alloc, &items, &leaf->resets_cap, count, sizeof *leaf->resets);
    leaf->resets = (struct msy_leaf_reset *)items;
    return status;
}

static meshsync_status leaf_read_entries(struct msy_leaf *leaf, struct msy_cursor *cursor)
{
    uint64_t count = 0;
    if (!msy_cursor_varint(cursor, &count) || count > msy_cursor_left(cursor)) {
        return MESHSYNC_E_STORE_CORRUPT;
    }
    meshsync_status status = leaf_room_entries(leaf, (uint32_t)count);
    for (uint64_t i = 0; i < count && status == MESHSYNC_OK; i++) {
        struct msy_leaf_entry *entry = &leaf->entries[i];
        uint64_t index = 0;
        uint64_t kind = 0;
        uint64_t tagged = 0; /* Length of the payload times two, plus one when it is inline. */
        (void)msy_cursor_varint(cursor, &entry->lsn);
        (void)msy_cursor_varint(cursor, &index);
        (void)msy_cursor_varint(cursor, &kind);
        (void)msy_cursor_copy(cursor, entry->op_hash, sizeof entry->op_hash);
        (void)msy_cursor_varint(cursor, &tagged);
        entry->index = (uint32_t)index;
        entry->kind = (uint32_t)kind;
        entry->payload_len = (uint32_t)(tagged >> 1);
        entry->payload = (meshsync_bytes){NULL, 0};
        if ((tagged & 1) != 0) {
            (void)msy_cursor_bytes(cursor, entry->payload_len, &entry->payload);
        } else {
            uint64_t at = 0;
            (void)msy_cursor_varint(cursor, &at);
            (void)msy_cursor_be32(cursor, &entry->payload_crc);
            entry->payload_at = (uint32_t)at;
        }
        status = cursor->failed ? MESHSYNC_E_STORE_CORRUPT : MESHSYNC_OK;
    }
    leaf->entries_count = status == MESHSYNC_OK ? (uint32_t)count : 0;
    return status;
}

static meshsync_status leaf_read_counter(struct msy_leaf *leaf, struct msy_cursor *cursor)
{
    uint64_t count = 0;
    (void)msy_cursor_varint(cursor, &leaf->plus);
    (void)msy_cursor_varint(cursor, &leaf->minus);
    if (!msy_cursor_varint(cursor, &count) || count > msy_cursor_left(cursor)) {
        return MESHSYNC_E_STORE_CORRUPT;
    }
    meshsync_status status = leaf_room_resets(leaf, (uint32_t)count);
    for (uint64_t i = 0; i < count && status == MESHSYNC_OK; i++) {
        struct msy_leaf_reset *reset = &leaf->resets[i];
        (void)msy_cursor_copy(cursor, reset->actor.id, sizeof reset->actor.id);
        (void)msy_cursor_varint(cursor, &reset->seq);
        (void)msy_cursor_varint(cursor, &reset->plus);
        (void)msy_cursor_varint(cursor, &reset->minus);
        status = cursor->failed ? MESHSYNC_E_STORE_CORRUPT : MESHSYNC_OK;
    }
    leaf->resets_count = status == MESHSYNC_OK ? (uint32_t)count : 0;
    return status;
}

static uint32_t leaf_crc(meshsync_bytes key, const uint8_t *content, size_t len)
{
    return msy_crc32c(msy_crc32c(0, key.data, key.len), content, len);
}

bool msy_leaf_intact(meshsync_bytes key, meshsync_bytes value)
{
    return value.len >= LEAF_CRC_BYTES &&
           msy_get_be32(value.data) ==
               leaf_crc(key, value.data + LEAF_CRC_BYTES, value.len - LEAF_CRC_BYTES);
}

meshsync_status msy_leaf_read(struct msy_leaf *leaf, meshsync_bytes key, meshsync_bytes value)
{
    struct msy_cursor cursor;
    uint8_t head = 0;
    uint32_t crc = 0;
    msy_leaf_reset(leaf);
    msy_cursor_init(&cursor, value);
    if (!msy_cursor_be32(&cursor, &crc) ||
        crc != leaf_crc(key, cursor.at, msy_cursor_left(&cursor))) {
        return MESHSYNC_E_STORE_CORRUPT;
    }
    (void)msy_cursor_u8(&cursor, &head);
    if ((head & LEAF_VERSION_MASK) != LEAF_VERSION ||
        !msy_cursor_varint(&cursor, &leaf->last_lsn)) {
        return MESHSYNC_E_STORE_CORRUPT;
    }
    meshsync_status status = leaf_read_entries(leaf, &cursor);
    leaf->has_counter = (head & LEAF_COUNTER) != 0;
    if (status == MESHSYNC_OK && leaf->has_counter) {
        status = leaf_read_counter(leaf, &cursor);
    }
    if (status == MESHSYNC_OK && msy_cursor_left(&cursor) != 0) {
        status = MESHSYNC_E_STORE_CORRUPT;
    }
    return status;
}

static meshsync_status leaf_write_entry(const struct msy_leaf_entry *entry, struct msy_buf *out)
{
    uint8_t head[5 * 10 + MSY_LEAF_HASH_BYTES + 4];
    size_t len = msy_put_varint(head, entry->lsn);
    bool here = entry->payload.data != NULL || entry->payload_len == 0;
    len += msy_put_varint(head + len, entry->index);
    len += msy_put_varint(head + len, entry->kind);
    memcpy(head + len, entry->op_hash, MSY_LEAF_HASH_BYTES);
    len += MSY_LEAF_HASH_BYTES;
    len += msy_put_varint(head + len, (uint64_t)entry->payload_len << 1 | (here ? 1 : 0));
    if (!here) {
        len += msy_put_varint(head + len, entry->payload_at);
        msy_put_be32(head + len, entry->payload_crc);
        len += 4;
    }
    meshsync_status status = msy_buf_append(out, head, len);
    if (status == MESHSYNC_OK && here && entry->payload_len > 0) {
        status = msy_buf_append(out, entry->payload.data, entry->payload_len);
    }
    return status;
}

static meshsync_status leaf_write_counter(const struct msy_leaf *leaf, struct msy_buf *out)
{
    meshsync_status status = msy_buf_append_varint(out, leaf->plus);
    if (status == MESHSYNC_OK) {
        status = msy_buf_append_varint(out, leaf->minus);
    }
    if (status == MESHSYNC_OK) {
        status = msy_buf_append_varint(out, leaf->resets_count);
    }
    for (uint32_t i = 0; i < leaf->resets_count && status == MESHSYNC_OK; i++) {
        const struct msy_leaf_reset *reset = &leaf->resets[i];
        uint8_t bytes[sizeof reset->actor.id + 30];
        size_t len = sizeof reset->actor.id;
        memcpy(bytes, reset->actor.id, len);
        len += msy_put_varint(bytes + len, reset->seq);
        len += msy_put_varint(bytes + len, reset->plus);
        len += msy_put_varint(bytes + len, reset->minus);
        status = msy_buf_append(out, bytes, len);
    }
    return status;
}

meshsync_status msy_leaf_write(const struct msy_leaf *leaf, meshsync_bytes key, struct msy_buf *out)
{
    size_t start = out->len;
    uint8_t head = (uint8_t)(LEAF_VERSION | (leaf->has_counter ? LEAF_COUNTER : 0));
    meshsync_status status = msy_buf_append_be32(out, 0);
    if (status == MESHSYNC_OK) {
        status = msy_buf_append_u8(out, head);
    }
    if (status == MESHSYNC_OK) {
        status = msy_buf_append_varint(out, leaf->last_lsn);
    }
    if (status == MESHSYNC_OK) {
        status = msy_buf_append_varint(out, leaf->entries_count);
    }
    for (uint32_t i = 0; i < leaf->entries_count && status == MESHSYNC_OK; i++) {
        status = leaf_write_entry(&leaf->entries[i], out);
    }
    if (status == MESHSYNC_OK && leaf->has_counter) {
        status = leaf_write_counter(leaf, out);
    }
    if (status != MESHSYNC_OK) {
        out->len = start;
        return status;
    }
    const uint8_t *content = out->data + start + LEAF_CRC_BYTES;
    msy_put_be32(out->data + start, leaf_crc(key, content, out->len - start - LEAF_CRC_BYTES));
    return MESHSYNC_OK;
}

/* First entry that is not before (lsn, index). */
static uint32_t leaf_lower(const struct msy_leaf *leaf, uint64_t lsn, uint32_t index)
{
    uint32_t at = 0;
    while (at < leaf->entries_count &&
           (leaf->entries[at].lsn < lsn ||
            (leaf->entries[at].lsn == lsn && leaf->entries[at].index < index))) {
        at++;
    }
    return at;
}

int64_t msy_leaf_find(const struct msy_leaf *leaf, uint64_t lsn, uint32_t index)
{
    uint32_t at = leaf_lower(leaf, lsn, index);
    if (at < leaf->entries_count && leaf->entries[at].lsn == lsn &&
        leaf->entries[at].index == index) {
        return (int64_t)at;
    }
    return -1;
}

meshsync_status msy_leaf_add(struct msy_leaf *leaf, const struct msy_leaf_entry *entry)
{
    meshsync_status status = leaf_room_entries(leaf, leaf->entries_count + 1);
    if (status != MESHSYNC_OK) {
        return status;
    }
    uint32_t at = leaf_lower(leaf, entry->lsn, entry->index);
    memmove(&leaf->entries[at + 1], &leaf->entries[at],
            (leaf->entries_count - at) * sizeof *leaf->entries);
    leaf->entries[at] = *entry;
    leaf->entries_count += 1;
    return MESHSYNC_OK;
}

void msy_leaf_remove(struct msy_leaf *leaf, uint32_t at)
{
    MSY_ASSERT(at < leaf->entries_count);
    if (at >= leaf->entries_count) {
        return;
    }
    memmove(&leaf->entries[at], &leaf->entries[at + 1],
            (leaf->entries_count - at - 1) * sizeof *leaf->entries);
    leaf->entries_count -= 1;
}

/* The greater of two resets of one actor, so that every order of arrival ends in the same: a
 * faulty author may state other sums for the same seq. */
static bool leaf_reset_wins(const struct msy_leaf_reset *a, const struct msy_leaf_reset *b)
{
    if (a->seq != b->seq) {
        return a->seq > b->seq;
    }
    return a->plus != b->plus ? a->plus > b->plus : a->minus > b->minus;
}

meshsync_status msy_leaf_add_reset(struct msy_leaf *leaf, const struct msy_leaf_reset *reset)
{
    uint32_t at = 0;
    int order = -1;
    leaf->has_counter = true;
    while (at < leaf->resets_count) {
        order = msy_actor_compare(&leaf->resets[at].actor, &reset->actor);
        if (order >= 0) {
            break;
        }
        at++;
    }
    if (at < leaf->resets_count && order == 0) {
        if (leaf_reset_wins(reset, &leaf->resets[at])) {
            leaf->resets[at] = *reset;
        }
        return MESHSYNC_OK;
    }
    meshsync_status status = leaf_room_resets(leaf, leaf->resets_count + 1);
    if (status != MESHSYNC_OK) {
        return status;
    }
    memmove(&leaf->resets[at + 1], &leaf->resets[at],
            (leaf->resets_count - at) * sizeof *leaf->resets);
    leaf->resets[at] = *reset;
    leaf->resets_count += 1;
    return MESHSYNC_OK;
}

void msy_leaf_add_delta(struct msy_leaf *leaf, int64_t delta)
{
    leaf->has_counter = true;
    if (delta >= 0) {
        leaf->plus += (uint64_t)delta;
    } else {
        leaf->minus += UINT64_C(0) - (uint64_t)delta;
    }
}

static uint64_t leaf_sum_bits(const struct msy_leaf *leaf)
{
    uint64_t sum = leaf->plus - leaf->minus;
    for (uint32_t i = 0; i < leaf->resets_count; i++) {
        sum -= leaf->resets[i].plus - leaf->resets[i].minus;
    }
    return sum;
}

int64_t msy_leaf_sum(const struct msy_leaf *leaf)
{
    uint64_t bits = leaf_sum_bits(leaf);
    int64_t sum = 0;
    memcpy(&sum, &bits, sizeof sum);
    return sum;
}

bool msy_leaf_empty(const struct msy_leaf *leaf)
{
    if (leaf->entries_count > 0) {
        return false;
    }
    if (!leaf->has_counter) {
        return true;
    }
    /* Everything that was added was also taken off again by resets. */
    uint64_t plus = leaf->plus;
    uint64_t minus = leaf->minus;
    for (uint32_t i = 0; i < leaf->resets_count; i++) {
        plus -= leaf->resets[i].plus;
        minus -= leaf->resets[i].minus;
    }
    return leaf->resets_count > 0 && plus == 0 && minus == 0;
}
