/* SPDX-License-Identifier: Apache-2.0 */
/* Shows that CRC32C is the published one with and without hardware, and that texts decode strictly.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/entropy.h"

/* The definition, bit by bit. */
static uint32_t crc32c_by_bits(uint32_t crc, const uint8_t *data, size_t n)
{
    uint32_t sum = ~crc;
    for (size_t i = 0; i < n; i++) {
        sum ^= data[i];
        for (unsigned bit = 0; bit < 8; bit++) {
            sum = (sum & 1u) != 0 ? sum >> 1 ^ 0x82F63B78u : sum >> 1;
        }
    }
    return ~sum;
}

/* The examples of RFC 3720, B.4. */
static void crc32c_gives_the_published_values(void **state)
{
    (void)state;
    uint8_t bytes[32];
    memset(bytes, 0, sizeof bytes);
    assert_int_equal(msy_crc32c(0, bytes, sizeof bytes), 0x8A9136AAu);
    memset(bytes, 0xFF, sizeof bytes);
    assert_int_equal(msy_crc32c(0, bytes, sizeof bytes), 0x62A8AB43u);
    for (unsigned i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)i;
    }
    assert_int_equal(msy_crc32c(0, bytes, sizeof bytes), 0x46DD794Eu);
    for (unsigned i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)(31 - i);
    }
    assert_int_equal(msy_crc32c(0, bytes, sizeof bytes), 0x113FDB5Cu);
    assert_int_equal(msy_crc32c(0, "123456789", 9), 0xE3069283u);
    assert_int_equal(msy_crc32c(0, NULL, 0), 0);
}

static void crc32c_is_the_same_with_and_without_hardware(void **state)
{
    (void)state;
    struct msy_prng prng;
    msy_prng_init(&prng, 1);
    uint8_t bytes[300];
    msy_prng_fill(&prng, bytes, sizeof bytes);
    for (size_t from = 0; from < 9; from++) {
        for (size_t n = 0; n + from <= sizeof bytes; n++) {
            uint32_t expected = crc32c_by_bits(0, bytes + from, n);
            assert_int_equal(msy_crc32c(0, bytes + from, n), expected);
            assert_int_equal(msy_crc32c_portable(0, bytes + from, n), expected);
        }
    }
    uint32_t whole = msy_crc32c(0, bytes, sizeof bytes);
    for (size_t cut = 0; cut <= sizeof bytes; cut++) {
        uint32_t head = msy_crc32c(0, bytes, cut);
        assert_int_equal(msy_crc32c(head, bytes + cut, sizeof bytes - cut), whole);
        head = msy_crc32c_portable(0, bytes, cut);
        assert_int_equal(msy_crc32c_portable(head, bytes + cut, sizeof bytes - cut), whole);
    }
}

static void base64url_comes_back(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"", ""},           {"f", "Zg"},          {"fo", "Zm8"},          {"foo", "Zm9v"},
        {"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"}, {"\xFB\xFF", "-_8"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        char text[16];
        size_t len = msy_base64url_encode(text, pairs[i][0], strlen(pairs[i][0]));
        assert_string_equal(text, pairs[i][1]);
        assert_int_equal(len, strlen(text));
    }
    struct msy_prng prng;
    msy_prng_init(&prng, 2);
    uint8_t bytes[70];
    msy_prng_fill(&prng, bytes, sizeof bytes);
    for (size_t n = 0; n <= sizeof bytes; n++) {
        char text[100];
        uint8_t back[70];
        size_t back_len = 0;
        size_t len = msy_base64url_encode(text, bytes, n);
        assert_true(msy_base64url_decode(text, len, back, n, &back_len));
        assert_int_equal(back_len, n);
        assert_memory_equal(back, bytes, n);
        if (n > 0) {
            assert_false(msy_base64url_decode(text, len, back, n - 1, &back_len));
            assert_int_equal(back_len, 0);
        }
    }
}

static void malformed_base64url_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "A", "Zg==", "Zm9vA", "Zh", "Zm9", "Z g", "Zm+v", "Zm/v", "Z\n", "\xC3\xBC", "Zm9v.Zg",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint8_t out[16];
        size_t len = 1;
        assert_false(msy_base64url_decode(bad[i], strlen(bad[i]), out, sizeof out, &len));
        assert_int_equal(len, 0);
    }
}

static void hex_is_lower_case(void **state)
{
    (void)state;
    char text[9];
    msy_hex_encode(text, "\x00\x1F\xAB\xFF", 4);
    assert_string_equal(text, "001fabff");
    msy_hex_encode(text, "", 0);
    assert_string_equal(text, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc32c_gives_the_published_values),
        cmocka_unit_test(crc32c_is_the_same_with_and_without_hardware),
        cmocka_unit_test(base64url_comes_back),
        cmocka_unit_test(malformed_base64url_is_refused),
        cmocka_unit_test(hex_is_lower_case),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
