/* SPDX-License-Identifier: Apache-2.0 */
/* Shows that buffers keep their maximum, cursors never pass their end, and numbers come back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"

static meshsync_bytes text(const char *words)
{
    return (meshsync_bytes){(const uint8_t *)words, strlen(words)};
}

static void a_buffer_grows_up_to_its_maximum(void **state)
{
    (void)state;
    struct msy_alloc alloc;
    msy_alloc_init(&alloc, NULL, NULL, 0);
    struct msy_buf buf;
    msy_buf_init(&buf, &alloc, 1000);
    for (unsigned i = 0; i < 1000; i++) {
        assert_int_equal(msy_buf_append_u8(&buf, (uint8_t)i), MESHSYNC_OK);
    }
    assert_true(buf.cap <= 1000);
    assert_int_equal(msy_buf_append_u8(&buf, 1), MESHSYNC_E_LIMIT);
    assert_int_equal(msy_buf_reserve(&buf, SIZE_MAX), MESHSYNC_E_LIMIT);
    assert_int_equal(msy_buf_append(&buf, NULL, 0), MESHSYNC_OK);
    assert_int_equal(buf.len, 1000);
    for (unsigned i = 0; i < 1000; i++) {
        assert_int_equal(buf.data[i], (uint8_t)i);
    }
    msy_buf_consume(&buf, 0);
    msy_buf_consume(&buf, 999);
    assert_int_equal(buf.len, 1);
    assert_int_equal(buf.data[0], (uint8_t)999);
    assert_int_equal(msy_buf_bytes(&buf).len, 1);
    msy_buf_reset(&buf);
    assert_int_equal(buf.len, 0);
    msy_buf_fini(&buf);
    assert_int_equal(alloc.bytes_used, 0);
}

static void a_buffer_without_memory_stays_as_it_was(void **state)
{
    (void)state;
    struct msy_alloc alloc;
    msy_alloc_init(&alloc, NULL, NULL, 0);
    struct msy_buf buf;
    msy_buf_init(&buf, &alloc, 10000);
    assert_int_equal(msy_buf_append(&buf, "abc", 3), MESHSYNC_OK);
    alloc.fail_at = 1;
    assert_int_equal(msy_buf_reserve(&buf, 5000), MESHSYNC_E_NO_MEMORY);
    assert_int_equal(buf.len, 3);
    assert_memory_equal(buf.data, "abc", 3);
    msy_buf_fini(&buf);
    assert_int_equal(alloc.bytes_used, 0);
}

static void numbers_come_back_through_a_cursor(void **state)
{
    (void)state;
    struct msy_alloc alloc;
    msy_alloc_init(&alloc, NULL, NULL, 0);
    struct msy_buf buf;
    msy_buf_init(&buf, &alloc, 1000);
    assert_int_equal(msy_buf_append_u8(&buf, 0xAB), MESHSYNC_OK);
    assert_int_equal(msy_buf_append_be16(&buf, 0x0102), MESHSYNC_OK);
    assert_int_equal(msy_buf_append_be32(&buf, 0x03040506), MESHSYNC_OK);
    assert_int_equal(msy_buf_append_be64(&buf, UINT64_C(0x0708090A0B0C0D0E)), MESHSYNC_OK);
    assert_int_equal(msy_buf_append_varint(&buf, 300), MESHSYNC_OK);
    assert_int_equal(msy_buf_append(&buf, "tail", 4), MESHSYNC_OK);
    static const uint8_t expected[] = {0xAB, 1,  2,  3,  4,  5,  6,    7, 8,
                                       9,    10, 11, 12, 13, 14, 0xAC, 2};
    assert_memory_equal(buf.data, expected, sizeof expected);

    struct msy_cursor cursor;
    msy_cursor_init(&cursor, msy_buf_bytes(&buf));
    uint8_t u8 = 0;
    uint16_t be16 = 0;
    uint32_t be32 = 0;
    uint64_t be64 = 0;
    uint64_t varint = 0;
    char tail[4];
    assert_true(msy_cursor_u8(&cursor, &u8));
    assert_true(msy_cursor_be16(&cursor, &be16));
    assert_true(msy_cursor_be32(&cursor, &be32));
    assert_true(msy_cursor_be64(&cursor, &be64));
    assert_true(msy_cursor_varint(&cursor, &varint));
    assert_int_equal(msy_cursor_left(&cursor), 4);
    assert_true(msy_cursor_copy(&cursor, tail, 4));
    assert_int_equal(u8, 0xAB);
    assert_int_equal(be16, 0x0102);
    assert_int_equal(be32, 0x03040506);
    assert_true(be64 == UINT64_C(0x0708090A0B0C0D0E));
    assert_int_equal(varint, 300);
    assert_memory_equal(tail, "tail", 4);
    meshsync_bytes nothing;
    assert_true(msy_cursor_bytes(&cursor, 0, &nothing));
    assert_false(cursor.failed);
    msy_buf_fini(&buf);
}

static void a_failed_cursor_stays_failed_and_gives_zeros(void **state)
{
    (void)state;
    struct msy_cursor cursor;
    msy_cursor_init(&cursor, text("abc"));
    uint64_t be64 = 1;
    uint32_t be32 = 1;
    uint16_t be16 = 1;
    uint8_t u8 = 1;
    uint64_t varint = 1;
    uint8_t copy[2] = {1, 1};
    meshsync_bytes bytes = text("x");
    assert_false(msy_cursor_be32(&cursor, &be32));
    assert_true(cursor.failed);
    assert_int_equal(msy_cursor_left(&cursor), 0);
    assert_false(msy_cursor_u8(&cursor, &u8));
    assert_false(msy_cursor_be16(&cursor, &be16));
    assert_false(msy_cursor_be64(&cursor, &be64));
    assert_false(msy_cursor_varint(&cursor, &varint));
    assert_false(msy_cursor_copy(&cursor, copy, 2));
    assert_false(msy_cursor_bytes(&cursor, 1, &bytes));
    assert_false(msy_cursor_bytes(&cursor, 0, &bytes));
    assert_true(u8 == 0 && be16 == 0 && be32 == 0 && be64 == 0 && varint == 0);
    assert_true(copy[0] == 0 && copy[1] == 0 && bytes.len == 0);

    msy_cursor_init(&cursor, (meshsync_bytes){NULL, 0});
    assert_int_equal(msy_cursor_left(&cursor), 0);
    assert_false(msy_cursor_u8(&cursor, &u8));
}

static void varints_have_one_form(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < 64; bit++) {
        for (unsigned less = 0; less < 2; less++) {
            uint64_t value = (UINT64_C(1) << bit) - less;
            uint8_t bytes[MSY_VARINT_BYTES_MAX];
            size_t len = msy_put_varint(bytes, value);
            struct msy_cursor cursor;
            msy_cursor_init(&cursor, (meshsync_bytes){bytes, len});
            uint64_t back = 0;
            assert_true(msy_cursor_varint(&cursor, &back));
            assert_true(back == value);
            assert_int_equal(msy_cursor_left(&cursor), 0);
            msy_cursor_init(&cursor, (meshsync_bytes){bytes, len - 1});
            assert_false(msy_cursor_varint(&cursor, &back));
        }
    }
    static const struct {
        uint8_t bytes[11];
        size_t len;
    } malformed[] = {
        {{0x80, 0x00}, 2},
        {{0xFF, 0x80, 0x00}, 3},
        {{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x02}, 10},
        {{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x81, 0x00}, 11},
        {{0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00}, 10},
    };
    for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; i++) {
        struct msy_cursor cursor;
        msy_cursor_init(&cursor, (meshsync_bytes){malformed[i].bytes, malformed[i].len});
        uint64_t value = 1;
        assert_false(msy_cursor_varint(&cursor, &value));
        assert_true(value == 0 && cursor.failed);
    }
    uint8_t most[] = {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01};
    struct msy_cursor cursor;
    msy_cursor_init(&cursor, (meshsync_bytes){most, sizeof most});
    uint64_t value = 0;
    assert_true(msy_cursor_varint(&cursor, &value));
    assert_true(value == UINT64_MAX);
}

static void bytes_are_ordered_like_memcmp(void **state)
{
    (void)state;
    meshsync_bytes nothing = {NULL, 0};
    assert_int_equal(msy_bytes_compare(nothing, nothing), 0);
    assert_int_equal(msy_bytes_compare(nothing, text("a")), -1);
    assert_int_equal(msy_bytes_compare(text("ab"), text("a")), 1);
    assert_int_equal(msy_bytes_compare(text("a"), text("b")), -1);
    assert_int_equal(msy_bytes_compare(text("\xFF"), text("a")), 1);
    assert_int_equal(msy_bytes_compare(text("ab"), text("ab")), 0);
    assert_true(msy_bytes_equal(nothing, text("")));
    assert_true(msy_bytes_equal(text("ab"), text("ab")));
    assert_false(msy_bytes_equal(text("ab"), text("ac")));
    assert_false(msy_bytes_equal(text("ab"), text("abc")));
}

static void utf8_is_strict(void **state)
{
    (void)state;
    static const char *const good[] = {
        "",
        "plain",
        "\x7F",
        "\xC2\x80",
        "\xDF\xBF",
        "\xE0\xA0\x80",
        "\xED\x9F\xBF",
        "\xEE\x80\x80",
        "\xEF\xBF\xBF",
        "\xF0\x90\x80\x80",
        "\xF4\x8F\xBF\xBF",
        "gr\xC3\xBC\xC3\x9F",
    };
    static const char *const bad[] = {
        "\x80",         "\xC0\x80",         "\xC1\xBF",         "\xC2",
        "\xC2\x41",     "\xE0\x9F\xBF",     "\xED\xA0\x80",     "\xE2\x82",
        "\xE2\x82\x41", "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80",
        "\xFF",         "a\xF0\x90\x80",    "\xF0\x90\x80\xC0",
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(msy_utf8_valid(text(good[i])));
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(msy_utf8_valid(text(bad[i])));
    }
    assert_true(msy_utf8_valid((meshsync_bytes){(const uint8_t *)"a\0b", 3}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_buffer_grows_up_to_its_maximum),
        cmocka_unit_test(a_buffer_without_memory_stays_as_it_was),
        cmocka_unit_test(numbers_come_back_through_a_cursor),
        cmocka_unit_test(a_failed_cursor_stays_failed_and_gives_zeros),
        cmocka_unit_test(varints_have_one_form),
        cmocka_unit_test(bytes_are_ordered_like_memcmp),
        cmocka_unit_test(utf8_is_strict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
