/* SPDX-License-Identifier: Apache-2.0 */
/* Shows that encoded paths sort like lists of parts, come back part by part, and are bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/entropy.h"
#include "base/path.h"

enum { PARTS_MAX = 3, PART_BYTES_MAX = 4, SAMPLES_COUNT = 400 };

struct sample {
    uint8_t parts[PARTS_MAX][PART_BYTES_MAX];
    size_t parts_len[PARTS_MAX];
    size_t parts_count;
    uint8_t path[64];
    size_t path_len;
};

/* Few different bytes, the special ones among them, so that common prefixes are common. */
static void sample_make(struct sample *sample, struct msy_prng *prng)
{
    static const uint8_t letters[] = {0x00, 0x01, 0x02, 'a', 0xFE, 0xFF};
    memset(sample, 0, sizeof *sample);
    sample->parts_count = 1 + (size_t)msy_prng_below(prng, PARTS_MAX);
    for (size_t i = 0; i < sample->parts_count; i++) {
        sample->parts_len[i] = (size_t)msy_prng_below(prng, PART_BYTES_MAX + 1);
        for (size_t j = 0; j < sample->parts_len[i]; j++) {
            sample->parts[i][j] = letters[msy_prng_below(prng, sizeof letters)];
        }
        meshsync_bytes part = {sample->parts[i], sample->parts_len[i]};
        assert_true(msy_path_append(sample->path, &sample->path_len, sizeof sample->path, part));
    }
}

static int sample_compare_parts(const struct sample *a, const struct sample *b)
{
    size_t n = a->parts_count < b->parts_count ? a->parts_count : b->parts_count;
    for (size_t i = 0; i < n; i++) {
        int order = msy_bytes_compare((meshsync_bytes){a->parts[i], a->parts_len[i]},
                                      (meshsync_bytes){b->parts[i], b->parts_len[i]});
        if (order != 0) {
            return order;
        }
    }
    return a->parts_count < b->parts_count ? -1 : a->parts_count > b->parts_count ? 1 : 0;
}

static meshsync_bytes sample_path(const struct sample *sample)
{
    return (meshsync_bytes){sample->path, sample->path_len};
}

static void encoded_order_is_the_order_of_parts(void **state)
{
    (void)state;
    static struct sample samples[SAMPLES_COUNT];
    struct msy_prng prng;
    msy_prng_init(&prng, 3);
    for (size_t i = 0; i < SAMPLES_COUNT; i++) {
        sample_make(&samples[i], &prng);
    }
    for (size_t i = 0; i < SAMPLES_COUNT; i++) {
        for (size_t j = 0; j < SAMPLES_COUNT; j++) {
            assert_int_equal(msy_bytes_compare(sample_path(&samples[i]), sample_path(&samples[j])),
                             sample_compare_parts(&samples[i], &samples[j]));
        }
    }
}

static void parts_come_back(void **state)
{
    (void)state;
    struct msy_prng prng;
    msy_prng_init(&prng, 4);
    for (size_t i = 0; i < SAMPLES_COUNT; i++) {
        struct sample sample;
        sample_make(&sample, &prng);
        meshsync_bytes path = sample_path(&sample);
        assert_true(msy_path_valid(path));
        assert_int_equal(msy_path_parts_count(path), sample.parts_count);
        for (size_t j = 0; j < sample.parts_count; j++) {
            uint8_t scratch[64];
            meshsync_bytes part;
            size_t before = path.len;
            size_t first = msy_path_first_bytes(path);
            assert_true(msy_path_next(&path, scratch, &part));
            assert_int_equal(before - path.len, first);
            assert_int_equal(part.len, sample.parts_len[j]);
            assert_memory_equal(part.data, sample.parts[j], part.len);
        }
        uint8_t scratch[64];
        meshsync_bytes part;
        assert_int_equal(path.len, 0);
        assert_false(msy_path_next(&path, scratch, &part));
    }
}

static void malformed_paths_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
    } bad[] = {
        {"", 0},          {"a", 1},          {"a\x00", 2}, {"a\x00\x02", 3}, {"a\x00\x00", 3},
        {"a\x00\xFF", 3}, {"a\x00\x01z", 4}, {"\x01", 1},  {"\x00", 1},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        meshsync_bytes path = {(const uint8_t *)bad[i].bytes, bad[i].len};
        assert_false(msy_path_valid(path));
        assert_int_equal(msy_path_parts_count(path), 0);
    }
    uint8_t scratch[8];
    meshsync_bytes part;
    meshsync_bytes path = {(const uint8_t *)"a\x00\x02", 3};
    assert_false(msy_path_next(&path, scratch, &part));
    assert_int_equal(path.len, 3);
}

static void limits_of_paths_hold(void **state)
{
    (void)state;
    uint8_t out[MESHSYNC_PATH_BYTES_MAX + 8];
    uint8_t part[MESHSYNC_PATH_BYTES_MAX];
    memset(part, 'x', sizeof part);
    size_t len = 0;
    assert_true(msy_path_append(out, &len, MESHSYNC_PATH_BYTES_MAX,
                                (meshsync_bytes){part, MESHSYNC_PATH_BYTES_MAX - 2}));
    assert_int_equal(len, MESHSYNC_PATH_BYTES_MAX);
    assert_true(msy_path_valid((meshsync_bytes){out, len}));
    assert_false(msy_path_append(out, &len, MESHSYNC_PATH_BYTES_MAX, (meshsync_bytes){NULL, 0}));
    assert_int_equal(len, MESHSYNC_PATH_BYTES_MAX);
    assert_true(msy_path_append(out, &len, sizeof out, (meshsync_bytes){NULL, 0}));
    assert_false(msy_path_valid((meshsync_bytes){out, len}));

    len = 0;
    assert_false(msy_path_append(out, &len, 3, (meshsync_bytes){(const uint8_t *)"\0", 1}));
    assert_false(msy_path_append(out, &len, 1, (meshsync_bytes){(const uint8_t *)"\0", 1}));
    assert_int_equal(len, 0);
    for (size_t i = 0; i < MESHSYNC_PATH_PARTS_MAX; i++) {
        assert_true(msy_path_append(out, &len, sizeof out, (meshsync_bytes){NULL, 0}));
    }
    assert_true(msy_path_valid((meshsync_bytes){out, len}));
    assert_true(msy_path_append(out, &len, sizeof out, (meshsync_bytes){NULL, 0}));
    assert_false(msy_path_valid((meshsync_bytes){out, len}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encoded_order_is_the_order_of_parts),
        cmocka_unit_test(parts_come_back),
        cmocka_unit_test(malformed_paths_are_refused),
        cmocka_unit_test(limits_of_paths_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
