/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/message_sketch.h"

#include <string.h>

#include "wire/msgpack_check.h"

/* --- symbols --------------------------------------------------------------------------------- */

meshsync_status msy_sketch_pack(struct msy_buf *out, const struct msy_sketch_symbol *symbols,
                                uint32_t count)
{
    meshsync_status status = msy_buf_reserve(out, (size_t)count * MSY_SKETCH_SYMBOL_BYTES);
    for (uint32_t i = 0; i < count && status == MESHSYNC_OK; i++) {
        uint8_t packed[MSY_SKETCH_SYMBOL_BYTES];
        msy_put_be64(packed, symbols[i].sum);
        msy_put_be32(packed + 8, symbols[i].check << 8 | symbols[i].count);
        status = msy_buf_append(out, packed, sizeof packed);
    }
    return status;
}

struct msy_sketch_symbol msy_sketch_unpack(meshsync_bytes packed, uint32_t index)
{
    const uint8_t *at = packed.data + (size_t)index * MSY_SKETCH_SYMBOL_BYTES;
    return (struct msy_sketch_symbol){
        .sum = msy_get_be64(at), .check = msy_get_be32(at + 8) >> 8, .count = at[11]};
}

/* --- entries --------------------------------------------------------------------------------- */

static meshsync_status swap_put_head(struct msy_buf *out, const struct msy_tip *tip)
{
    meshsync_status status = msy_buf_append_varint(out, tip->seq);
    return status == MESHSYNC_OK ? msy_buf_append(out, tip->hash, MSY_TIP_PREFIX_BYTES) : status;
}

meshsync_status msy_swap_put_pair(struct msy_buf *out, bool with_id, uint32_t id,
                                  const struct msy_tip *tip)
{
    meshsync_status status = with_id ? msy_buf_append_be32(out, id) : MESHSYNC_OK;
    return status == MESHSYNC_OK ? swap_put_head(out, tip) : status;
}

meshsync_status msy_swap_put_tip(struct msy_buf *out, const struct msy_tip *tip)
{
    meshsync_status status = msy_buf_append(out, tip->actor.id, sizeof tip->actor.id);
    return status == MESHSYNC_OK ? swap_put_head(out, tip) : status;
}

static bool swap_head(struct msy_cursor *at, struct msy_tip *tip)
{
    if (!msy_cursor_varint(at, &tip->seq) || tip->seq < 1 || tip->seq > MSY_SEQ_MAX) {
        at->failed = true;
        return false;
    }
    return msy_cursor_copy(at, tip->hash, MSY_TIP_PREFIX_BYTES);
}

bool msy_swap_pair(struct msy_cursor *at, bool with_id, uint32_t *id, struct msy_tip *tip)
{
    memset(tip, 0, sizeof *tip);
    return msy_cursor_left(at) > 0 && (!with_id || msy_cursor_be32(at, id)) && swap_head(at, tip);
}

bool msy_swap_ask(struct msy_cursor *at, uint32_t *id)
{
    return msy_cursor_left(at) > 0 && msy_cursor_be32(at, id);
}

bool msy_swap_tip(struct msy_cursor *at, struct msy_tip *tip)
{
    memset(tip, 0, sizeof *tip);
    return msy_cursor_left(at) > 0 && msy_cursor_copy(at, tip->actor.id, sizeof tip->actor.id) &&
           swap_head(at, tip);
}

/* --- encoding -------------------------------------------------------------------------------- */

static meshsync_status sketch_begin(struct msy_buf *out, enum msy_message_type type,
                                    const uint64_t *numbers, uint32_t count, uint32_t parts)
{
    const uint8_t head[MSY_MESSAGE_HEAD_BYTES] = {(uint8_t)type, 0, 0, 0, 0};
    meshsync_status status = msy_buf_append(out, head, sizeof head);
    if (status == MESHSYNC_OK) {
        status = msy_mp_put_array(out, parts);
    }
    for (uint32_t i = 0; i < count && status == MESHSYNC_OK; i++) {
        status = msy_mp_put_uint(out, numbers[i]);
    }
    return status;
}

static meshsync_status sketch_finish(struct msy_buf *out, size_t start, meshsync_status status)
{
    if (status != MESHSYNC_OK) {
        out->len = start;
        return status;
    }
    msy_message_end(out, start);
    return MESHSYNC_OK;
}

meshsync_status msy_message_put_sketch(struct msy_buf *out, const struct msy_sketch_part *part)
{
    const uint64_t numbers[3] = {part->channel, part->first, part->tips};
    size_t start = out->len;
    meshsync_status status = sketch_begin(out, MSY_MESSAGE_SKETCH, numbers, 3, 4);
    if (status == MESHSYNC_OK) {
        status = msy_mp_put_bin(out, part->symbols);
    }
    return sketch_finish(out, start, status);
}

meshsync_status msy_message_put_swap(struct msy_buf *out, const struct msy_swap *swap)
{
    const uint64_t numbers[2] = {swap->channel, swap->reply ? 1 : 0};
    const meshsync_bytes bins[4] = {
        {swap->digest, MSY_CLOCK_BYTES}, swap->pairs, swap->asks, swap->tips};
    size_t start = out->len;
    meshsync_status status = sketch_begin(out, MSY_MESSAGE_SWAP, numbers, 2, 6);
    for (uint32_t i = 0; i < 4 && status == MESHSYNC_OK; i++) {
        status = msy_mp_put_bin(out, bins[i]);
    }
    return sketch_finish(out, start, status);
}

/* --- decoding -------------------------------------------------------------------------------- */

/* Elements behind the parts that we know are skipped. */
static bool sketch_open(struct msy_cursor *cursor, meshsync_bytes content, uint32_t parts,
                        uint32_t *more)
{
    uint32_t have = 0;
    msy_cursor_init(cursor, content);
    bool good = msy_mp_array(cursor, &have) && have >= parts;
    *more = good ? have - parts : 0;
    return good;
}

static bool sketch_close(struct msy_cursor *cursor, uint32_t more)
{
    meshsync_bytes skipped;
    for (uint32_t i = 0; i < more && !cursor->failed; i++) {
        (void)msy_mp_raw(cursor, &skipped);
    }
    return !cursor->failed && msy_cursor_left(cursor) == 0;
}

bool msy_message_get_sketch(meshsync_bytes content, struct msy_sketch_part *part)
{
    struct msy_cursor cursor;
    uint32_t more = 0;
    memset(part, 0, sizeof *part);
    if (!sketch_open(&cursor, content, 4, &more) || !msy_mp_uint(&cursor, &part->channel) ||
        !msy_mp_uint(&cursor, &part->first) || !msy_mp_uint(&cursor, &part->tips) ||
        !msy_mp_bin(&cursor, &part->symbols) || part->first >= MSY_SKETCH_SYMBOLS_MAX ||
        part->symbols.len % MSY_SKETCH_SYMBOL_BYTES != 0) {
        return false;
    }
    uint64_t count = part->symbols.len / MSY_SKETCH_SYMBOL_BYTES;
    part->count = (uint32_t)count;
    return count >= 1 && count <= MSY_SKETCH_SYMBOLS_MAX - part->first &&
           sketch_close(&cursor, more);
}

static bool swap_check_pairs(struct msy_swap *swap)
{
    struct msy_cursor at;
    struct msy_tip tip;
    uint32_t id = 0;
    uint32_t before = 0;
    msy_cursor_init(&at, swap->pairs);
    while (msy_swap_pair(&at, !swap->reply, &id, &tip)) {
        if (!swap->reply && swap->pairs_count > 0 && before >= id) {
            return false;
        }
        before = id;
        swap->pairs_count += 1;
    }
    return msy_cursor_left(&at) == 0 && !at.failed && swap->pairs_count <= MSY_SKETCH_SYMBOLS_MAX;
}

static bool swap_check_asks(struct msy_swap *swap)
{
    struct msy_cursor at;
    uint32_t id = 0;
    uint32_t before = 0;
    msy_cursor_init(&at, swap->asks);
    while (msy_swap_ask(&at, &id)) {
        if (swap->asks_count > 0 && before >= id) {
            return false;
        }
        before = id;
        swap->asks_count += 1;
    }
    return msy_cursor_left(&at) == 0 && !at.failed && swap->asks_count <= MSY_SKETCH_SYMBOLS_MAX;
}

static bool swap_check_tips(struct msy_swap *swap)
{
    struct msy_cursor at;
    struct msy_tip tip;
    struct msy_actor before = {{0}};
    msy_cursor_init(&at, swap->tips);
    while (msy_swap_tip(&at, &tip)) {
        if (swap->tips_count > 0 && msy_actor_compare(&before, &tip.actor) >= 0) {
            return false;
        }
        before = tip.actor;
        swap->tips_count += 1;
    }
    return msy_cursor_left(&at) == 0 && !at.failed && swap->tips_count <= MSY_SKETCH_SYMBOLS_MAX;
}

bool msy_message_get_swap(meshsync_bytes content, struct msy_swap *swap)
{
    struct msy_cursor cursor;
    meshsync_bytes digest;
    uint64_t reply = 0;
    uint32_t more = 0;
    memset(swap, 0, sizeof *swap);
    if (!sketch_open(&cursor, content, 6, &more) || !msy_mp_uint(&cursor, &swap->channel) ||
        !msy_mp_uint(&cursor, &reply) || reply > 1 || !msy_mp_bin(&cursor, &digest) ||
        digest.len != MSY_CLOCK_BYTES || !msy_mp_bin(&cursor, &swap->pairs) ||
        !msy_mp_bin(&cursor, &swap->asks) || !msy_mp_bin(&cursor, &swap->tips) ||
        !sketch_close(&cursor, more)) {
        return false;
    }
    swap->reply = reply == 1;
    swap->digest = digest.data;
    return swap_check_pairs(swap) && swap_check_asks(swap) && swap_check_tips(swap) &&
           !(swap->reply && swap->asks_count > 0);
}
