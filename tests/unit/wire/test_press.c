/* SPDX-License-Identifier: Apache-2.0 */
/* Shows that messages come out of a stream as they went in, that what does not shrink goes plain,
 * and that a hostile stream gets a status and no more memory than the bounds say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/entropy.h"
#include "wire/press.h"

enum { MESSAGES = 4000, DAMAGES = 20000, HEADER = 1, ROUND_MAX = 4u << 20 };

struct pair {
    struct msy_alloc alloc;
    struct msy_prng prng;
    struct msy_press *press;
    struct msy_unpress *unpress;
    struct msy_buf unit;
    struct msy_buf back;
};

static void pair_init(struct pair *pair, int level)
{
    msy_alloc_init(&pair->alloc, NULL, NULL, 0);
    msy_prng_init(&pair->prng, 7);
    assert_int_equal(msy_press_new(&pair->alloc, level, &pair->press), MESHSYNC_OK);
    assert_int_equal(msy_unpress_new(&pair->alloc, &pair->unpress), MESHSYNC_OK);
    msy_buf_init(&pair->unit, &pair->alloc, ROUND_MAX);
    msy_buf_init(&pair->back, &pair->alloc, ROUND_MAX);
}

static void pair_fini(struct pair *pair)
{
    msy_press_free(pair->press);
    msy_unpress_free(pair->unpress);
    msy_buf_fini(&pair->unit);
    msy_buf_fini(&pair->back);
    assert_int_equal(pair->alloc.bytes_used, 0);
}

static size_t pair_send(struct pair *pair, const void *data, size_t len)
{
    msy_buf_reset(&pair->unit);
    msy_buf_reset(&pair->back);
    assert_int_equal(msy_press_put(pair->press, (meshsync_bytes){data, len}, &pair->unit),
                     MESHSYNC_OK);
    assert_int_equal(msy_unpress_take(pair->unpress, msy_buf_bytes(&pair->unit), &pair->back),
                     MESHSYNC_OK);
    assert_int_equal(pair->back.len, len);
    if (len > 0) {
        assert_memory_equal(pair->back.data, data, len);
    }
    return pair->unit.len;
}

static size_t row_make(struct msy_prng *prng, char *out, size_t max)
{
    int len = snprintf(out, max,
                       "{\"id\":%u,\"name\":\"sensor-%u\",\"state\":\"ready\",\"value\":%u.%02u,"
                       "\"unit\":\"celsius\"}",
                       (unsigned)msy_prng_below(prng, 100000), (unsigned)msy_prng_below(prng, 500),
                       (unsigned)msy_prng_below(prng, 90), (unsigned)msy_prng_below(prng, 100));
    return (size_t)len;
}

static void rows_shrink(void **state)
{
    (void)state;
    for (int level = MSY_PRESS_LEVEL_MIN; level <= MSY_PRESS_LEVEL_MAX; level++) {
        struct pair pair;
        pair_init(&pair, level);
        size_t plain = 0;
        size_t packed = 0;
        for (size_t i = 0; i < MESSAGES; i++) {
            char row[200];
            size_t len = row_make(&pair.prng, row, sizeof row);
            plain += len;
            packed += pair_send(&pair, row, len);
        }
        print_message("level %d: %zu rows of %zu bytes, %.2f times smaller\n", level,
                      (size_t)MESSAGES, plain / MESSAGES, (double)plain / (double)packed);
        assert_true(packed * 2 < plain);
        pair_fini(&pair);
    }
    print_message("memory: %zu, %zu, %zu bytes to send at levels 1 to 3, %zu to receive\n",
                  msy_press_bytes(1), msy_press_bytes(2), msy_press_bytes(3), msy_unpress_bytes());
}

/* After the trial only the unit's first byte is added, and rows are tried again after the rest. */
static void random_bytes_go_plain(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair, 1);
    uint8_t noise[1000];
    size_t trial = 0;
    do {
        msy_prng_fill(&pair.prng, noise, sizeof noise);
        trial += sizeof noise;
        assert_in_range(trial, 0, MSY_PRESS_REST_BYTES);
    } while (pair_send(&pair, noise, sizeof noise) != sizeof noise + HEADER);
    assert_in_range(trial, MSY_PRESS_TRIAL_BYTES, MSY_PRESS_TRIAL_BYTES + 2 * sizeof noise);
    char row[200];
    size_t rest = 0;
    size_t len = 0;
    do {
        len = row_make(&pair.prng, row, sizeof row);
        rest += len;
        assert_in_range(rest, 0, 2 * MSY_PRESS_REST_BYTES);
    } while (pair_send(&pair, row, len) == len + HEADER);
    assert_in_range(rest, MSY_PRESS_REST_BYTES - sizeof noise,
                    MSY_PRESS_REST_BYTES + 2 * sizeof row);
    pair_fini(&pair);
}

static void all_lengths_round(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair, 3);
    static uint8_t text[MSY_PRESS_PLAIN_BYTES_MAX + 1];
    static const size_t lens[] = {0,      1,      31,     32,     33,      65535,   65536,  65537,
                                  131072, 131073, 262144, 999999, 1048575, 1048576, 1048577};
    for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
        for (size_t at = 0; at < lens[i]; at++) {
            text[at] = (uint8_t)('a' + msy_prng_below(&pair.prng, 4));
        }
        (void)pair_send(&pair, text, lens[i]);
    }
    pair_fini(&pair);
}

static void takes(const void *data, size_t len, meshsync_status want)
{
    struct pair pair;
    pair_init(&pair, 1);
    assert_int_equal(msy_unpress_take(pair.unpress, (meshsync_bytes){data, len}, &pair.back), want);
    assert_int_equal(pair.back.len, 0);
    assert_in_range(pair.back.cap, 0,
                    MSY_PRESS_PLAIN_BYTES_MAX / 2); /* No room for a mere claim. */
    if (want == MESHSYNC_E_PROTOCOL) {              /* And it stays broken, for good units too. */
        assert_int_equal(
            msy_unpress_take(pair.unpress, (meshsync_bytes){(const uint8_t *)"\0a", 2}, &pair.back),
            want);
    }
    pair_fini(&pair);
}

static void lies_are_refused(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair, 1);
    char row[200];
    size_t len = row_make(&pair.prng, row, sizeof row);
    assert_int_equal(msy_press_put(pair.press, (meshsync_bytes){(uint8_t *)row, len}, &pair.unit),
                     MESHSYNC_OK);
    assert_in_range(len, 65, 127); /* One byte of varint, and so has len - 1 and len + 1. */
    uint8_t *unit = pair.unit.data;
    unit[1] = (uint8_t)(len - 1);
    takes(unit, pair.unit.len, MESHSYNC_E_PROTOCOL);
    unit[1] = (uint8_t)(len + 1);
    takes(unit, pair.unit.len, MESHSYNC_E_PROTOCOL);
    unit[1] = (uint8_t)len;
    takes(unit, pair.unit.len - 1, MESHSYNC_E_PROTOCOL);
    unit[0] = 2;
    takes(unit, pair.unit.len, MESHSYNC_E_PROTOCOL);
    takes("", 0, MESHSYNC_E_PROTOCOL);
    takes("\x01\x81\x80\x40\x28\xb5\x2f\xfd", 8, MESHSYNC_E_PROTOCOL); /* 1 MiB and 1. */
    /* A frame with a window of 128 MiB, and one that ends. */
    takes("\x01\x20\x28\xb5\x2f\xfd\x00\x88\x00\x01\x00", 11, MESHSYNC_E_PROTOCOL);
    takes("\x01\x20\x28\xb5\x2f\xfd\x00\x30\x03\x01\x00\x61", 12, MESHSYNC_E_PROTOCOL);
    pair_fini(&pair);
}

/* A megabyte of one letter is forty-odd bytes on the wire: no more than the announced is kept. */
static void bombs_stay_in_bounds(void **state)
{
    (void)state;
    struct pair pair;
    pair_init(&pair, 1);
    static uint8_t letters[MSY_PRESS_PLAIN_BYTES_MAX];
    memset(letters, 'x', sizeof letters);
    size_t packed = pair_send(&pair, letters, sizeof letters);
    print_message("%zu equal bytes: %zu on the wire\n", sizeof letters, packed);
    assert_in_range(pair.alloc.bytes_used, 0, 8u << 20);
    struct msy_unpress *small = NULL;
    struct msy_buf out;
    msy_buf_init(&out, &pair.alloc, 1000);
    assert_int_equal(msy_unpress_new(&pair.alloc, &small), MESHSYNC_OK);
    assert_int_equal(msy_unpress_take(small, msy_buf_bytes(&pair.unit), &out), MESHSYNC_E_LIMIT);
    assert_int_equal(out.len, 0);
    msy_unpress_free(small);
    msy_buf_fini(&out);
    pair_fini(&pair);
}

static void damage_is_survived(void **state)
{
    (void)state;
    struct pair pair;
    size_t refused = 0;
    pair_init(&pair, 2);
    for (size_t i = 0; i < DAMAGES; i++) {
        char row[200];
        size_t len = row_make(&pair.prng, row, sizeof row);
        msy_buf_reset(&pair.unit);
        msy_buf_reset(&pair.back);
        assert_int_equal(
            msy_press_put(pair.press, (meshsync_bytes){(uint8_t *)row, len}, &pair.unit),
            MESHSYNC_OK);
        if (i % 4 == 0) {
            pair.unit.data[msy_prng_below(&pair.prng, pair.unit.len)] ^=
                (uint8_t)(1 + msy_prng_below(&pair.prng, 255));
        }
        meshsync_status status =
            msy_unpress_take(pair.unpress, msy_buf_bytes(&pair.unit), &pair.back);
        assert_in_range(pair.back.len, 0, MSY_PRESS_PLAIN_BYTES_MAX);
        if (status != MESHSYNC_OK) { /* As after a new session. */
            assert_int_equal(status, MESHSYNC_E_PROTOCOL);
            refused++;
            msy_press_free(pair.press);
            msy_unpress_free(pair.unpress);
            assert_int_equal(msy_press_new(&pair.alloc, 2, &pair.press), MESHSYNC_OK);
            assert_int_equal(msy_unpress_new(&pair.alloc, &pair.unpress), MESHSYNC_OK);
        }
    }
    print_message("%d units, a quarter damaged: %zu refused\n", (int)DAMAGES, refused);
    assert_true(refused > 0);
    pair_fini(&pair);
}

static void levels_and_memory(void **state)
{
    (void)state;
    struct msy_alloc alloc;
    struct msy_press *press = NULL;
    struct msy_unpress *unpress = NULL;
    msy_alloc_init(&alloc, NULL, NULL, 1000);
    assert_int_equal(msy_press_new(&alloc, 0, &press), MESHSYNC_E_INVALID);
    assert_int_equal(msy_press_new(&alloc, 4, &press), MESHSYNC_E_INVALID);
    assert_int_equal(msy_press_new(&alloc, 1, &press), MESHSYNC_E_NO_MEMORY);
    assert_int_equal(msy_unpress_new(&alloc, &unpress), MESHSYNC_E_NO_MEMORY);
    assert_null(press);
    assert_null(unpress);
    assert_int_equal(alloc.bytes_used, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_shrink),          cmocka_unit_test(random_bytes_go_plain),
        cmocka_unit_test(all_lengths_round),    cmocka_unit_test(lies_are_refused),
        cmocka_unit_test(bombs_stay_in_bounds), cmocka_unit_test(damage_is_survived),
        cmocka_unit_test(levels_and_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
