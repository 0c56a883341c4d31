/* SPDX-License-Identifier: Apache-2.0 */
/* Shows that the content decoders of the session's messages read nothing behind what they were
 * given, and that whatever they take, the encoders write again as the same bytes; elements of a
 * later version behind those that are known are left out. The first byte of an input is the type,
 * the rest the content. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "wire/message.h"
#include "wire/message_sketch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct msy_tip tips_read[MSY_MESSAGE_TIPS_MAX];

static void must(int good)
{
    if (!good) {
        abort();
    }
}

static bool again_numbers(struct msy_buf *out, uint8_t type, meshsync_bytes content)
{
    uint64_t numbers[4] = {0};
    for (uint32_t count = 4; count >= 1; count--) {
        if (msy_message_get_numbers(content, numbers, count)) {
            must(msy_message_put_numbers(out, type, numbers, count) == MESHSYNC_OK);
            return true;
        }
    }
    return false;
}

static bool again_spaces(struct msy_buf *out, meshsync_bytes content)
{
    const uint8_t *ids = NULL;
    uint32_t count = 0;
    if (!msy_message_get_spaces(content, &ids, &count)) {
        return false;
    }
    must(msy_message_put_spaces(out, ids, count) == MESHSYNC_OK);
    return true;
}

static bool again_open(struct msy_buf *out, meshsync_bytes content)
{
    struct msy_open open;
    if (!msy_message_get_open(content, &open)) {
        return false;
    }
    must(msy_message_put_open(out, &open) == MESHSYNC_OK);
    return true;
}

static bool again_tips(struct msy_buf *out, uint8_t type, meshsync_bytes content)
{
    struct msy_tips tips;
    uint32_t count = 0;
    if (!msy_message_get_tips(content, &tips)) {
        return false;
    }
    must(tips.count <= MSY_MESSAGE_TIPS_MAX);
    uint32_t told = tips.count;
    while (count < told && msy_tips_next(&tips, &tips_read[count])) {
        must(tips_read[count].seq >= 1 && tips_read[count].seq <= MSY_SEQ_MAX);
        count += 1;
    }
    must(count == told);
    must(msy_message_put_tips(out, type, tips.channel, tips.number, tips_read, count) ==
         MESHSYNC_OK);
    return true;
}

static bool again_hashes(struct msy_buf *out, uint8_t type, meshsync_bytes content)
{
    uint64_t channel = 0;
    uint8_t hashes[4][32];
    for (uint32_t count = 4; count >= 1; count--) {
        if (msy_message_get_hashes(content, &channel, hashes, count)) {
            must(msy_message_put_hashes(out, type, channel, (const uint8_t(*)[32])hashes, count) ==
                 MESHSYNC_OK);
            return true;
        }
    }
    return false;
}

static bool again_addresses(struct msy_buf *out, meshsync_bytes content)
{
    struct msy_addresses addresses;
    const uint8_t *device = NULL;
    meshsync_bytes text;
    char copy[1024];
    if (!msy_message_get_addresses(content, &addresses)) {
        return false;
    }
    uint32_t count = addresses.count;
    must(count <= MSY_MESSAGE_ENTRIES_MAX);
    must(msy_message_begin_addresses(out, count) == MESHSYNC_OK);
    for (uint32_t i = 0; i < count; i++) {
        must(msy_addresses_next(&addresses, &device, &text) && text.len < sizeof copy);
        memcpy(copy, text.data, text.len);
        copy[text.len] = '\0';
        must(strlen(copy) == text.len);
        must(msy_message_put_address(out, device, copy) == MESHSYNC_OK);
    }
    msy_message_end(out, 0);
    return true;
}

static bool again_bye(struct msy_buf *out, meshsync_bytes content)
{
    meshsync_status reason = MESHSYNC_OK;
    meshsync_bytes words;
    char copy[MSY_MESSAGE_WORDS_MAX + 1];
    if (!msy_message_get_bye(content, &reason, &words)) {
        return false;
    }
    must(words.len <= MSY_MESSAGE_WORDS_MAX);
    memcpy(copy, words.data, words.len);
    copy[words.len] = '\0';
    if (strlen(copy) != words.len) {
        return false; /* A zero is text, too, but not of what this encoder is given. */
    }
    must(msy_message_put_bye(out, reason, copy) == MESHSYNC_OK);
    return true;
}

static bool again_changes(struct msy_buf *out, meshsync_bytes content)
{
    uint32_t channel = 0;
    uint32_t flags = 0;
    meshsync_bytes list;
    meshsync_bytes change;
    struct msy_cursor at;
    uint32_t count = 0;
    if (!msy_message_get_changes(content, &channel, &flags, &list)) {
        return false;
    }
    must(msy_message_begin_changes(out, channel, flags) == MESHSYNC_OK);
    msy_cursor_init(&at, list);
    while (msy_changes_next(&at, &change)) {
        must(msy_message_put_change(out, 0, change) == MESHSYNC_OK);
        count += 1;
    }
    must(count > 0 && msy_cursor_left(&at) == 0);
    return true;
}

static bool again_clock(struct msy_buf *out, meshsync_bytes content)
{
    uint64_t channel = 0;
    uint8_t digest[MSY_CLOCK_BYTES];
    if (!msy_message_get_clock(content, &channel, digest)) {
        return false;
    }
    must(msy_message_put_clock(out, channel, digest) == MESHSYNC_OK);
    return true;
}

static bool again_sketch(struct msy_buf *out, meshsync_bytes content)
{
    struct msy_sketch_part part;
    if (!msy_message_get_sketch(content, &part)) {
        return false;
    }
    for (uint32_t i = 0; i < part.count; i++) {
        struct msy_sketch_symbol symbol = msy_sketch_unpack(part.symbols, i);
        must(symbol.check <= 0xFFFFFF);
    }
    must(msy_message_put_sketch(out, &part) == MESHSYNC_OK);
    return true;
}

static bool again_swap(struct msy_buf *out, meshsync_bytes content)
{
    struct msy_swap swap;
    struct msy_cursor at;
    struct msy_tip tip;
    uint32_t id = 0;
    uint32_t count = 0;
    if (!msy_message_get_swap(content, &swap)) {
        return false;
    }
    for (msy_cursor_init(&at, swap.pairs); msy_swap_pair(&at, !swap.reply, &id, &tip);) {
        must(tip.seq >= 1 && tip.seq <= MSY_SEQ_MAX);
        count += 1;
    }
    must(count == swap.pairs_count);
    for (msy_cursor_init(&at, swap.asks); msy_swap_ask(&at, &id);) {
        count += 1;
    }
    for (msy_cursor_init(&at, swap.tips); msy_swap_tip(&at, &tip);) {
        count += 1;
    }
    must(count == swap.pairs_count + swap.asks_count + swap.tips_count);
    must(msy_message_put_swap(out, &swap) == MESHSYNC_OK);
    return true;
}

static bool again(struct msy_buf *out, uint8_t type, meshsync_bytes content)
{
    switch (type) {
    case MSY_MESSAGE_SPACES: return again_spaces(out, content);
    case MSY_MESSAGE_OPEN: return again_open(out, content);
    case MSY_MESSAGE_VECTOR:
    case MSY_MESSAGE_NOTE:
    case MSY_MESSAGE_WANT: return again_tips(out, type, content);
    case MSY_MESSAGE_CHANGES: return again_changes(out, content);
    case MSY_MESSAGE_PRUNE:
    case MSY_MESSAGE_DIGEST: return again_hashes(out, type, content);
    case MSY_MESSAGE_ADDRESSES: return again_addresses(out, content);
    case MSY_MESSAGE_BYE: return again_bye(out, content);
    case MSY_MESSAGE_CLOCK: return again_clock(out, content);
    case MSY_MESSAGE_SKETCH: return again_sketch(out, content);
    case MSY_MESSAGE_SWAP: return again_swap(out, content);
    default: return again_numbers(out, type, content);
    }
}

/* What was written has the head of its type; it is the content again, when that has no elements of
 * a later version; and writing it a second time changes nothing. */
static void same(const struct msy_buf *out, uint8_t type, meshsync_bytes content)
{
    uint8_t head_type = 0;
    uint32_t len = 0;
    struct msy_buf second;
    must(out->len >= MSY_MESSAGE_HEAD_BYTES);
    msy_message_head(out->data, &head_type, &len);
    must(head_type == type && len == out->len - MSY_MESSAGE_HEAD_BYTES && len <= content.len);
    meshsync_bytes written = {out->data + MSY_MESSAGE_HEAD_BYTES, len};
    if (type == MSY_MESSAGE_CHANGES || written.data[0] == content.data[0]) {
        must(len == content.len && memcmp(written.data, content.data, len) == 0);
    }
    msy_buf_init(&second, out->alloc, 16 << 20);
    must(again(&second, type, written) && second.len == out->len);
    must(memcmp(second.data, out->data, out->len) == 0);
    msy_buf_fini(&second);
}

static void greet(struct msy_buf *out, meshsync_bytes payload)
{
    struct msy_greeting greeting;
    struct msy_greeting second;
    memset(&greeting, 0, sizeof greeting);
    memset(&second, 0, sizeof second);
    if (msy_greeting_get(payload, &greeting)) {
        /* A later version may say more: the words that are known come back. */
        must(msy_greeting_put(out, &greeting) == MESHSYNC_OK);
        must(msy_greeting_get(msy_buf_bytes(out), &second));
        must(memcmp(&greeting, &second, sizeof greeting) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct msy_alloc alloc;
    struct msy_buf out;
    if (size == 0) {
        return 0;
    }
    uint8_t type = data[0] % 18;
    meshsync_bytes content = {data + 1, size - 1};
    msy_alloc_init(&alloc, NULL, NULL, 0);
    msy_buf_init(&out, &alloc, 16 << 20);
    if (type == 0 || type > MSY_MESSAGE_BYE) {
        greet(&out, content);
    } else if (again(&out, type, content)) {
        same(&out, type, content);
    }
    msy_buf_fini(&out);
    must(alloc.bytes_used == 0);
    return 0;
}
