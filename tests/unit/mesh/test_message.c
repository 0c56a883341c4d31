/* SPDX-License-Identifier: Apache-2.0 */
/* Shows that each message of a session comes back from its bytes, that nothing malformed is taken
 * for one, and that encoding without memory leaves the buffer as it was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "wire/message.h"
#include "wire/message_sketch.h"
#include "wire/msgpack_check.h"

static struct msy_alloc alloc;
static struct msy_buf buf;

static int set_up(void **state)
{
    (void)state;
    msy_alloc_init(&alloc, NULL, NULL, 0);
    msy_buf_init(&buf, &alloc, 16u << 20);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    msy_buf_fini(&buf);
    return alloc.bytes_used == 0 ? 0 : -1;
}

/* The content of the one message in buf, which must be of that type. */
static meshsync_bytes content(enum msy_message_type type)
{
    uint8_t found = 0;
    uint32_t len = 0;
    assert_true(buf.len >= MSY_MESSAGE_HEAD_BYTES);
    msy_message_head(buf.data, &found, &len);
    assert_int_equal(found, type);
    assert_int_equal(len, buf.len - MSY_MESSAGE_HEAD_BYTES);
    return (meshsync_bytes){buf.data + MSY_MESSAGE_HEAD_BYTES, len};
}

static struct msy_tip tip_of(uint8_t actor, uint64_t seq)
{
    struct msy_tip tip;
    memset(&tip, 0, sizeof tip);
    memset(tip.actor.id, actor, sizeof tip.actor.id);
    tip.seq = seq;
    memset(tip.hash, actor ^ 0x55, MSY_TIP_PREFIX_BYTES);
    return tip;
}

typedef bool (*get_fn)(meshsync_bytes bytes);

static bool get_numbers(meshsync_bytes bytes)
{
    uint64_t numbers[2];
    return msy_message_get_numbers(bytes, numbers, 2);
}

static bool get_spaces(meshsync_bytes bytes)
{
    const uint8_t *ids = NULL;
    uint32_t count = 0;
    return msy_message_get_spaces(bytes, &ids, &count);
}

static bool get_open(meshsync_bytes bytes)
{
    struct msy_open open;
    return msy_message_get_open(bytes, &open);
}

static bool get_tips(meshsync_bytes bytes)
{
    struct msy_tips tips;
    struct msy_tip tip;
    if (!msy_message_get_tips(bytes, &tips)) {
        return false;
    }
    while (tips.count > 0) { /* What was checked is there. */
        assert_true(msy_tips_next(&tips, &tip));
    }
    assert_false(msy_tips_next(&tips, &tip));
    return true;
}

static bool get_hashes(meshsync_bytes bytes)
{
    uint64_t channel = 0;
    uint8_t hashes[2][32];
    return msy_message_get_hashes(bytes, &channel, hashes, 2);
}

static bool get_addresses(meshsync_bytes bytes)
{
    struct msy_addresses addresses;
    const uint8_t *device = NULL;
    meshsync_bytes text;
    if (!msy_message_get_addresses(bytes, &addresses)) {
        return false;
    }
    while (addresses.count > 0) {
        assert_true(msy_addresses_next(&addresses, &device, &text));
        assert_true(text.len > 0 && text.len < MSY_ADDRESS_BYTES_MAX);
    }
    assert_false(msy_addresses_next(&addresses, &device, &text));
    return true;
}

static bool get_bye(meshsync_bytes bytes)
{
    meshsync_status reason = MESHSYNC_OK;
    meshsync_bytes words;
    return msy_message_get_bye(bytes, &reason, &words);
}

static bool get_changes(meshsync_bytes bytes)
{
    uint32_t channel = 0;
    uint32_t flags = 0;
    meshsync_bytes list;
    meshsync_bytes change;
    struct msy_cursor cursor;
    if (!msy_message_get_changes(bytes, &channel, &flags, &list)) {
        return false;
    }
    msy_cursor_init(&cursor, list);
    while (msy_cursor_left(&cursor) > 0) {
        assert_true(msy_changes_next(&cursor, &change));
    }
    return true;
}

static bool get_greeting(meshsync_bytes bytes)
{
    struct msy_greeting greeting;
    return msy_greeting_get(bytes, &greeting);
}

/* Cut anywhere, or with something behind it, it is not the message any more. A copy of exactly the
 * bytes is given, so that reading past them shows. */
static void must_be_whole(get_fn get, meshsync_bytes bytes, size_t from)
{
    for (size_t len = from; len <= bytes.len + 1; len++) {
        uint8_t *copy = malloc(len == 0 ? 1 : len);
        assert_non_null(copy);
        memcpy(copy, bytes.data, len < bytes.len ? len : bytes.len);
        if (len > bytes.len) {
            copy[bytes.len] = 0xC0;
        }
        assert_int_equal(get((meshsync_bytes){copy, len}), len == bytes.len);
        free(copy);
    }
}

/* Whatever is done to its bytes, decoding stays within them. */
static void must_bear_damage(get_fn get, meshsync_bytes bytes)
{
    uint8_t *copy = malloc(bytes.len);
    assert_non_null(copy);
    for (size_t at = 0; at < bytes.len; at++) {
        for (unsigned value = 0; value < 256; value += at < 8 ? 1 : 37) {
            memcpy(copy, bytes.data, bytes.len);
            copy[at] = (uint8_t)value;
            (void)get((meshsync_bytes){copy, bytes.len});
        }
    }
    free(copy);
}

static void examine(get_fn get, meshsync_bytes bytes)
{
    assert_true(get(bytes));
    must_be_whole(get, bytes, 0);
    must_bear_damage(get, bytes);
}

static void numbers_come_back(void **state)
{
    (void)state;
    const uint64_t numbers[2] = {0, UINT64_C(1) << 60};
    uint64_t back[2] = {1, 1};
    assert_int_equal(msy_message_put_numbers(&buf, MSY_MESSAGE_CREDIT, numbers, 2), MESHSYNC_OK);
    meshsync_bytes bytes = content(MSY_MESSAGE_CREDIT);
    assert_true(msy_message_get_numbers(bytes, back, 2));
    assert_memory_equal(numbers, back, sizeof back);
    examine(get_numbers, bytes);
    assert_true(msy_message_get_numbers(bytes, back, 1)); /* A later version may say more, */
    uint64_t three[3];
    assert_false(msy_message_get_numbers(bytes, three, 3)); /* but not less. */
}

static void spaces_come_back_in_order(void **state)
{
    (void)state;
    uint8_t ids[3 * MSY_BLIND_BYTES];
    const uint8_t *back = NULL;
    uint32_t count = 0;
    for (size_t i = 0; i < sizeof ids; i++) {
        ids[i] = (uint8_t)(1 + i / MSY_BLIND_BYTES);
    }
    assert_int_equal(msy_message_put_spaces(&buf, ids, 3), MESHSYNC_OK);
    meshsync_bytes bytes = content(MSY_MESSAGE_SPACES);
    assert_true(msy_message_get_spaces(bytes, &back, &count));
    assert_int_equal(count, 3);
    assert_memory_equal(back, ids, sizeof ids);
    examine(get_spaces, bytes);

    ids[0] = 9; /* Out of order. */
    msy_buf_reset(&buf);
    assert_int_equal(msy_message_put_spaces(&buf, ids, 3), MESHSYNC_OK);
    assert_false(msy_message_get_spaces(content(MSY_MESSAGE_SPACES), &back, &count));
    memcpy(ids, ids + MSY_BLIND_BYTES, MSY_BLIND_BYTES); /* Twice the same. */
    msy_buf_reset(&buf);
    assert_int_equal(msy_message_put_spaces(&buf, ids, 2), MESHSYNC_OK);
    assert_false(msy_message_get_spaces(content(MSY_MESSAGE_SPACES), &back, &count));
    msy_buf_reset(&buf);
    assert_int_equal(msy_message_put_spaces(&buf, ids, 0), MESHSYNC_OK);
    assert_true(msy_message_get_spaces(content(MSY_MESSAGE_SPACES), &back, &count));
    assert_int_equal(count, 0);
}

static void opens_come_back(void **state)
{
    (void)state;
    uint8_t id[MSY_BLIND_BYTES];
    uint8_t invite[32];
    uint8_t proof[64];
    struct msy_open back;
    memset(id, 1, sizeof id);
    memset(invite, 2, sizeof invite);
    memset(proof, 3, sizeof proof);
    struct msy_open open = {
        .channel = 77, .grant = true, .id = id, .invite = invite, .proof = proof};
    assert_int_equal(msy_message_put_open(&buf, &open), MESHSYNC_OK);
    meshsync_bytes bytes = content(MSY_MESSAGE_OPEN);
    assert_true(msy_message_get_open(bytes, &back));
    assert_int_equal(back.channel, 77);
    assert_true(back.grant);
    assert_memory_equal(back.id, id, sizeof id);
    assert_memory_equal(back.invite, invite, sizeof invite);
    assert_memory_equal(back.proof, proof, sizeof proof);
    examine(get_open, bytes);

    open.invite = NULL;
    open.grant = false;
    msy_buf_reset(&buf);
    assert_int_equal(msy_message_put_open(&buf, &open), MESHSYNC_OK);
    bytes = content(MSY_MESSAGE_OPEN);
    assert_true(msy_message_get_open(bytes, &back));
    assert_null(back.invite);
    assert_false(back.grant);
    examine(get_open, bytes);
}

static void tips_come_back_in_order(void **state)
{
    (void)state;
    struct msy_tip tips[3] = {tip_of(1, 1), tip_of(2, 300), tip_of(3, MSY_SEQ_MAX)};
    struct msy_tips back;
    struct msy_tip tip;
    assert_int_equal(msy_message_put_tips(&buf, MSY_MESSAGE_WANT, 5, 9, tips, 3), MESHSYNC_OK);
    meshsync_bytes bytes = content(MSY_MESSAGE_WANT);
    assert_true(msy_message_get_tips(bytes, &back));
    assert_int_equal(back.channel, 5);
    assert_int_equal(back.number, 9);
    assert_int_equal(back.count, 3);
    for (uint32_t i = 0; i < 3; i++) {
        assert_true(msy_tips_next(&back, &tip));
        assert_memory_equal(&tip, &tips[i], sizeof tip);
    }
    assert_false(msy_tips_next(&back, &tip));
    examine(get_tips, bytes);

    const struct msy_tip bad[4][2] = {{tip_of(2, 1), tip_of(1, 1)},
                                      {tip_of(1, 1), tip_of(1, 2)},
                                      {tip_of(1, 0), tip_of(2, 1)},
                                      {tip_of(1, 1), tip_of(2, MSY_SEQ_MAX + 1)}};
    for (size_t i = 0; i < 4; i++) {
        msy_buf_reset(&buf);
        assert_int_equal(msy_message_put_tips(&buf, MSY_MESSAGE_NOTE, 5, 0, bad[i], 2),
                         MESHSYNC_OK);
        assert_false(msy_message_get_tips(content(MSY_MESSAGE_NOTE), &back));
    }
    msy_buf_reset(&buf);
    assert_int_equal(msy_message_put_tips(&buf, MSY_MESSAGE_VECTOR, 0, 0, NULL, 0), MESHSYNC_OK);
    assert_true(msy_message_get_tips(content(MSY_MESSAGE_VECTOR), &back));
    assert_int_equal(back.count, 0);
}

static void hashes_come_back(void **state)
{
    (void)state;
    uint8_t hashes[2][32];
    uint8_t back[2][32];
    uint64_t channel = 0;
    memset(hashes, 7, sizeof hashes);
    assert_int_equal(
        msy_message_put_hashes(&buf, MSY_MESSAGE_DIGEST, 1000, (const uint8_t(*)[32])hashes, 2),
        MESHSYNC_OK);
    meshsync_bytes bytes = content(MSY_MESSAGE_DIGEST);
    assert_true(msy_message_get_hashes(bytes, &channel, back, 2));
    assert_int_equal(channel, 1000);
    assert_memory_equal(hashes, back, sizeof back);
    examine(get_hashes, bytes);
}

static bool get_sketch(meshsync_bytes bytes)
{
    struct msy_sketch_part part;
    return msy_message_get_sketch(bytes, &part);
}

static void sketches_come_back(void **state)
{
    (void)state;
    const struct msy_sketch_symbol symbols[3] = {
        {.sum = UINT64_MAX - 1, .check = 0xABCDEF, .count = 255}, {.sum = 2}, {.count = 1}};
    struct msy_buf packed;
    struct msy_sketch_part back;
    msy_buf_init(&packed, &alloc, 100);
    assert_int_equal(msy_sketch_pack(&packed, symbols, 3), MESHSYNC_OK);
    struct msy_sketch_part part = {
        .channel = 5, .first = 4093, .tips = 70000, .symbols = msy_buf_bytes(&packed)};
    assert_int_equal(msy_message_put_sketch(&buf, &part), MESHSYNC_OK);
    meshsync_bytes bytes = content(MSY_MESSAGE_SKETCH);
    assert_true(msy_message_get_sketch(bytes, &back));
    assert_int_equal(back.channel, 5);
    assert_int_equal(back.first, 4093);
    assert_int_equal(back.tips, 70000);
    assert_int_equal(back.count, 3);
    for (uint32_t i = 0; i < 3; i++) {
        const struct msy_sketch_symbol symbol = msy_sketch_unpack(back.symbols, i);
        assert_true(symbol.sum == symbols[i].sum && symbol.check == symbols[i].check &&
                    symbol.count == symbols[i].count);
    }
    examine(get_sketch, bytes);

    part.first = 4094; /* More than a sketch has. */
    msy_buf_reset(&buf);
    assert_int_equal(msy_message_put_sketch(&buf, &part), MESHSYNC_OK);
    assert_false(msy_message_get_sketch(content(MSY_MESSAGE_SKETCH), &back));
    part.symbols.len = 0;
    msy_buf_reset(&buf);
    assert_int_equal(msy_message_put_sketch(&buf, &part), MESHSYNC_OK);
    assert_false(msy_message_get_sketch(content(MSY_MESSAGE_SKETCH), &back));
    msy_buf_fini(&packed);
}

static bool get_swap(meshsync_bytes bytes)
{
    struct msy_swap swap;
    return msy_message_get_swap(bytes, &swap);
}

/* Two pairs, two ids and two whole entries, the second of each before the first when swapped. */
static bool swap_comes_back(struct msy_swap *swap, bool swapped, uint64_t seq)
{
    const struct msy_tip tips[2] = {tip_of(1, seq), tip_of(2, MSY_SEQ_MAX)};
    const uint8_t digest[MSY_CLOCK_BYTES] = {4};
    struct msy_buf parts[3];
    struct msy_swap made = {.channel = 9, .reply = swap->reply, .digest = digest};
    for (uint32_t i = 0; i < 3; i++) {
        msy_buf_init(&parts[i], &alloc, 1000);
    }
    for (uint32_t i = 0; i < 2; i++) {
        uint32_t at = swapped ? 1 - i : i;
        assert_int_equal(msy_swap_put_pair(&parts[0], !made.reply, 7 + at, &tips[at]), MESHSYNC_OK);
        assert_int_equal(msy_swap_put_tip(&parts[2], &tips[at]), MESHSYNC_OK);
        if (!made.reply) {
            assert_int_equal(msy_buf_append_be32(&parts[1], 70 + at), MESHSYNC_OK);
        }
    }
    made.pairs = msy_buf_bytes(&parts[0]);
    made.asks = msy_buf_bytes(&parts[1]);
    made.tips = msy_buf_bytes(&parts[2]);
    msy_buf_reset(&buf);
    assert_int_equal(msy_message_put_swap(&buf, &made), MESHSYNC_OK);
    for (uint32_t i = 0; i < 3; i++) {
        msy_buf_fini(&parts[i]);
    }
    return msy_message_get_swap(content(MSY_MESSAGE_SWAP), swap);
}

static void swaps_come_back_in_order(void **state)
{
    (void)state;
    for (uint32_t reply = 0; reply < 2; reply++) {
        struct msy_swap swap = {.reply = reply == 1};
        struct msy_cursor at;
        struct msy_tip tip;
        uint32_t id = 0;
        assert_true(swap_comes_back(&swap, false, 300));
        assert_int_equal(swap.channel, 9);
        assert_int_equal(swap.reply, reply == 1);
        assert_int_equal(swap.digest[0], 4);
        assert_int_equal(swap.pairs_count, 2);
        assert_int_equal(swap.asks_count, reply == 1 ? 0 : 2);
        assert_int_equal(swap.tips_count, 2);
        msy_cursor_init(&at, swap.pairs);
        assert_true(msy_swap_pair(&at, !swap.reply, &id, &tip));
        assert_true(tip.seq == 300 && (reply == 1 || id == 7));
        assert_true(msy_swap_pair(&at, !swap.reply, &id, &tip));
        assert_true(tip.seq == MSY_SEQ_MAX && tip.hash[0] == (2 ^ 0x55));
        assert_false(msy_swap_pair(&at, !swap.reply, &id, &tip));
        msy_cursor_init(&at, swap.tips);
        assert_true(msy_swap_tip(&at, &tip));
        const struct msy_tip first = tip_of(1, 300);
        assert_memory_equal(&tip, &first, sizeof tip);
        examine(get_swap, content(MSY_MESSAGE_SWAP));
        assert_false(swap_comes_back(&swap, true, 300)); /* Out of order. */
        swap.reply = reply == 1;
        assert_false(swap_comes_back(&swap, false, 0));
        swap.reply = reply == 1;
        assert_false(swap_comes_back(&swap, false, MSY_SEQ_MAX + 1));
    }
}

static bool get_clock(meshsync_bytes bytes)
{
    uint64_t channel = 0;
    uint8_t digest[MSY_CLOCK_BYTES];
    return msy_message_get_clock(bytes, &channel, digest);
}

static void clocks_come_back(void **state)
{
    (void)state;
    uint8_t digest[MSY_CLOCK_BYTES];
    uint8_t back[MSY_CLOCK_BYTES];
    uint64_t channel = 0;
    memset(digest, 9, sizeof digest);
    assert_int_equal(msy_message_put_clock(&buf, 77, digest), MESHSYNC_OK);
    meshsync_bytes bytes = content(MSY_MESSAGE_CLOCK);
    assert_true(msy_message_get_clock(bytes, &channel, back));
    assert_int_equal(channel, 77);
    assert_memory_equal(digest, back, sizeof back);
    examine(get_clock, bytes);
}

static void addresses_come_back(void **state)
{
    (void)state;
    uint8_t device[32];
    struct msy_addresses back;
    const uint8_t *its = NULL;
    meshsync_bytes text;
    memset(device, 4, sizeof device);
    assert_int_equal(msy_message_begin_addresses(&buf, 2), MESHSYNC_OK);
    assert_int_equal(msy_message_put_address(&buf, device, "10.1.2.3:4000"), MESHSYNC_OK);
    assert_int_equal(msy_message_put_address(&buf, device, "[2001:db8::1]:4000"), MESHSYNC_OK);
    msy_message_end(&buf, 0);
    meshsync_bytes bytes = content(MSY_MESSAGE_ADDRESSES);
    assert_true(msy_message_get_addresses(bytes, &back));
    assert_int_equal(back.count, 2);
    assert_true(msy_addresses_next(&back, &its, &text));
    assert_memory_equal(its, device, sizeof device);
    assert_int_equal(text.len, 13);
    assert_memory_equal(text.data, "10.1.2.3:4000", 13);
    assert_true(msy_addresses_next(&back, &its, &text));
    assert_false(msy_addresses_next(&back, &its, &text));
    examine(get_addresses, bytes);

    static const char *const bad[] = {"", "with space:1", "tab\t:1", "\x7F:1", "\xC3\xA9:1"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        msy_buf_reset(&buf);
        assert_int_equal(msy_message_begin_addresses(&buf, 1), MESHSYNC_OK);
        assert_int_equal(msy_message_put_address(&buf, device, bad[i]), MESHSYNC_OK);
        msy_message_end(&buf, 0);
        assert_false(msy_message_get_addresses(content(MSY_MESSAGE_ADDRESSES), &back));
    }
}

static void goodbyes_come_back(void **state)
{
    (void)state;
    meshsync_status reason = MESHSYNC_OK;
    meshsync_bytes words;
    char long_words[400];
    assert_int_equal(msy_message_put_bye(&buf, MESHSYNC_E_PROTOCOL, "no"), MESHSYNC_OK);
    meshsync_bytes bytes = content(MSY_MESSAGE_BYE);
    assert_true(msy_message_get_bye(bytes, &reason, &words));
    assert_int_equal(reason, MESHSYNC_E_PROTOCOL);
    assert_int_equal(words.len, 2);
    examine(get_bye, bytes);

    memset(long_words, 'w', sizeof long_words - 1);
    long_words[sizeof long_words - 1] = '\0';
    msy_buf_reset(&buf);
    assert_int_equal(msy_message_put_bye(&buf, MESHSYNC_E_LIMIT, long_words), MESHSYNC_OK);
    assert_true(msy_message_get_bye(content(MSY_MESSAGE_BYE), &reason, &words));
    assert_int_equal(words.len, 0);
}

static void changes_come_back(void **state)
{
    (void)state;
    const uint8_t data[100] = {1, 2, 3};
    uint32_t channel = 0;
    uint32_t flags = 0;
    meshsync_bytes list;
    meshsync_bytes change;
    struct msy_cursor cursor;
    assert_int_equal(msy_message_begin_changes(&buf, 70000, MSY_CHANGES_STREAM), MESHSYNC_OK);
    assert_int_equal(msy_message_put_change(&buf, 0, (meshsync_bytes){data, 3}), MESHSYNC_OK);
    assert_int_equal(msy_message_put_change(&buf, 0, (meshsync_bytes){data, 100}), MESHSYNC_OK);
    meshsync_bytes bytes = content(MSY_MESSAGE_CHANGES);
    assert_true(msy_message_get_changes(bytes, &channel, &flags, &list));
    assert_int_equal(channel, 70000);
    assert_int_equal(flags, MSY_CHANGES_STREAM);
    assert_int_equal(list.len, 3 + 100 + 8);
    msy_cursor_init(&cursor, list);
    assert_true(msy_changes_next(&cursor, &change));
    assert_int_equal(change.len, 3);
    assert_memory_equal(change.data, data, 3);
    assert_true(msy_changes_next(&cursor, &change));
    assert_int_equal(change.len, 100);
    assert_false(msy_changes_next(&cursor, &change));
    must_be_whole(get_changes, bytes, MSY_CHANGES_HEAD_BYTES + 4 + 3 + 1);
    must_bear_damage(get_changes, bytes);

    uint8_t head[9] = {0, 0, 0, 0, 1, 0, 0, 0, 0}; /* No bytes, or more than a change may have. */
    assert_false(get_changes((meshsync_bytes){head, 5}));
    assert_false(get_changes((meshsync_bytes){head, 9}));
    msy_put_be32(head + 5, UINT32_MAX);
    assert_false(get_changes((meshsync_bytes){head, 9}));
}

static void greetings_come_back(void **state)
{
    (void)state;
    struct msy_greeting greeting = {.version_min = 1, .version_max = 3, .features = 12345};
    struct msy_greeting back;
    memset(greeting.device, 5, sizeof greeting.device);
    memset(greeting.instance, 6, sizeof greeting.instance);
    assert_int_equal(msy_greeting_put(&buf, &greeting), MESHSYNC_OK);
    assert_true(msy_greeting_get(msy_buf_bytes(&buf), &back));
    assert_memory_equal(&back, &greeting, sizeof back);
    examine(get_greeting, msy_buf_bytes(&buf));
    greeting.version_max = 0;
    msy_buf_reset(&buf);
    assert_int_equal(msy_greeting_put(&buf, &greeting), MESHSYNC_OK);
    assert_false(msy_greeting_get(msy_buf_bytes(&buf), &back));
}

static void later_versions_may_say_more(void **state)
{
    (void)state;
    uint64_t number = 0;
    assert_int_equal(msy_mp_put_array(&buf, 3), MESHSYNC_OK);
    assert_int_equal(msy_mp_put_uint(&buf, 7), MESHSYNC_OK);
    assert_int_equal(msy_mp_put_str(&buf, (meshsync_bytes){(const uint8_t *)"more", 4}),
                     MESHSYNC_OK);
    assert_int_equal(msy_mp_put_array(&buf, 0), MESHSYNC_OK);
    assert_true(msy_message_get_numbers(msy_buf_bytes(&buf), &number, 1));
    assert_int_equal(number, 7);
}

/* Each encoder with the n-th allocation failing, for all n, behind bytes that must stay. */
static meshsync_status encode(uint32_t which)
{
    static const uint8_t bytes[64];
    static const uint8_t hashes[2][32];
    const uint64_t numbers[2] = {1, 2};
    const struct msy_tip tip = tip_of(1, 1);
    const struct msy_open open = {.id = bytes, .invite = bytes, .proof = bytes};
    const struct msy_greeting greeting = {.version_min = 1, .version_max = 1};
    const struct msy_sketch_part part = {.symbols = {bytes, 24}};
    const struct msy_swap swap = {.digest = bytes, .tips = {bytes, 25}};
    switch (which) {
    case 0: return msy_message_put_numbers(&buf, MSY_MESSAGE_PING, numbers, 2);
    case 1: return msy_message_put_spaces(&buf, bytes, 4);
    case 2: return msy_message_put_open(&buf, &open);
    case 3: return msy_message_put_tips(&buf, MSY_MESSAGE_NOTE, 1, 0, &tip, 1);
    case 4: return msy_message_put_hashes(&buf, MSY_MESSAGE_DIGEST, 1, hashes, 2);
    case 5: return msy_message_put_bye(&buf, MESHSYNC_E_IO, "words that are long enough");
    case 6: return msy_greeting_put(&buf, &greeting);
    case 7: return msy_message_begin_changes(&buf, 1, 0);
    case 8: return msy_message_put_change(&buf, 0, (meshsync_bytes){bytes, sizeof bytes});
    case 9: return msy_message_begin_addresses(&buf, 1);
    case 10: return msy_message_put_address(&buf, bytes, "host:1");
    case 11: return msy_message_put_clock(&buf, 1, bytes);
    case 12: return msy_message_put_sketch(&buf, &part);
    case 13: return msy_message_put_swap(&buf, &swap);
    default: return MESHSYNC_OK;
    }
}

static void without_memory_nothing_is_written(void **state)
{
    (void)state;
    for (uint32_t which = 0; which <= 13; which++) {
        for (size_t room = 0; room < 200; room++) {
            msy_buf_fini(&buf);
            msy_buf_init(&buf, &alloc, 9 + room);
            assert_int_equal(msy_buf_append(&buf, "\x08\0\0\0\x04tail", 9), MESHSYNC_OK);
            meshsync_status status = encode(which);
            if (status != MESHSYNC_OK) {
                assert_int_equal(status, MESHSYNC_E_LIMIT);
                assert_int_equal(buf.len, 9);
                assert_memory_equal(buf.data, "\x08\0\0\0\x04tail", 9);
            } else {
                assert_true(buf.len > 9);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(numbers_come_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(spaces_come_back_in_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(opens_come_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(tips_come_back_in_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(hashes_come_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(clocks_come_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(sketches_come_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(swaps_come_back_in_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(addresses_come_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(goodbyes_come_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(changes_come_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(greetings_come_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(later_versions_may_say_more, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_memory_nothing_is_written, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
