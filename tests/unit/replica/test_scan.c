/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shows that scans give exactly what a filter over the sorted keys gives, for every combination of
 * prefix, from, until, direction, limit and depth over keys that are hard to order, and that
 * bounds which are too long are refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/path.h"
#include "unit/replica/replica_kit.h"

enum { FIELD_OF = 5 }; /* The key of the map below which there are as many fields. */

/* Ascending by bytes. The first stands for "no bound" where a bound is drawn. */
static const struct {
    const char *bytes;
    size_t len;
} keys[] = {{"", 0},    {"\0", 1},   {"\0\0", 2},   {"\0\1", 2},    {"\0\xff", 2},    {"a", 1},
            {"a\0", 2}, {"a\0b", 3}, {"a\1", 2},    {"a\xff", 2},   {"a\xff\xff", 3}, {"ab", 2},
            {"b", 1},   {"\xff", 1}, {"\xff\0", 2}, {"\xff\xff", 2}};
enum { KEYS = sizeof keys / sizeof keys[0] };

static struct kit kit;
static struct msy_view view;
static struct msy_store_txn *txn;

static meshsync_bytes key_at(uint32_t i)
{
    return msy_bytes(keys[i].bytes, keys[i].len);
}

static int by_bytes(const void *a, const void *b)
{
    return msy_bytes_compare(*(const meshsync_bytes *)a, *(const meshsync_bytes *)b);
}

static uint32_t expect(const meshsync_scan_options *options, meshsync_bytes *found)
{
    meshsync_bytes all[KEYS];
    uint32_t count = 0;
    uint32_t given = 0;
    for (uint32_t i = 1; i < KEYS; i++) {
        all[i - 1] = key_at(i);
    }
    qsort(all, KEYS - 1, sizeof all[0], by_bytes);
    bool down = options->direction == MESHSYNC_DESCENDING;
    for (uint32_t i = 0; i < KEYS - 1; i++) {
        meshsync_bytes key = all[down ? KEYS - 2 - i : i];
        int from = msy_bytes_compare(key, options->from);
        int until = msy_bytes_compare(key, options->until);
        bool begins = options->prefix.len <= key.len &&
                      (options->prefix.len == 0 ||
                       memcmp(key.data, options->prefix.data, options->prefix.len) == 0);
        bool after = options->from.len == 0 || (down ? from <= 0 : from >= 0);
        bool before = options->until.len == 0 || (down ? until > 0 : until < 0);
        if (begins && after && before && (options->limit == 0 || given < options->limit)) {
            found[count++] = key;
            given += 1;
        }
    }
    return count;
}

static void check(const char *collection, const meshsync_scan_options *options)
{
    meshsync_bytes wanted[KEYS];
    uint32_t count = expect(options, wanted);
    uint32_t seen = 0;
    struct msy_walk walk;
    meshsync_entry entry;
    meshsync_error error = {0};
    assert_int_equal(msy_walk_open(&walk, &view, msy_key_name(collection), options, &error),
                     MESHSYNC_OK);
    meshsync_status status = MESHSYNC_OK;
    while ((status = msy_walk_next(&walk, &entry, &error)) == MESHSYNC_OK) {
        uint8_t scratch[MSY_KEY_BYTES_MAX];
        meshsync_bytes rest = entry.key;
        meshsync_bytes part;
        for (uint32_t i = 0; i <= options->below.parts_count; i++) {
            assert_true(msy_path_next(&rest, scratch, &part));
        }
        if (seen >= count || !msy_bytes_equal(part, wanted[seen])) {
            fail_msg("%s: entry %u of %u is another", collection, seen, count);
        }
        seen += 1;
    }
    assert_int_equal(status, MESHSYNC_E_END);
    assert_int_equal(seen, count);
    assert_int_equal(msy_walk_next(&walk, &entry, &error), MESHSYNC_E_END);
    msy_walk_close(&walk);
}

static void test_all_bounds(void **state)
{
    meshsync_bytes below = key_at(FIELD_OF);
    uint32_t scans = 0;
    (void)state;
    for (uint32_t i = 0; i < KEYS * KEYS * KEYS; i++) {
        meshsync_scan_options options = {.size = sizeof options,
                                         .prefix = key_at(i % KEYS),
                                         .from = key_at(i / KEYS % KEYS),
                                         .until = key_at(i / KEYS / KEYS),
                                         .limit = i % 5,
                                         .deep = (int32_t)(i % 3 == 0)};
        options.direction = i % 2 == 0 ? MESHSYNC_ASCENDING : MESHSYNC_DESCENDING;
        check("r", &options);
        options.direction = 1 - options.direction;
        check("r", &options);
        options.below = (meshsync_path){&below, 1};
        check("m", &options);
        options.direction = 1 - options.direction;
        check("m", &options);
        scans += 4;
    }
    print_message("%u scans\n", scans);
}

static void test_long_bounds(void **state)
{
    static char bytes[MSY_KEY_BYTES_MAX + 1];
    struct msy_walk walk;
    (void)state;
    memset(bytes, 'x', sizeof bytes);
    const meshsync_bytes part = msy_bytes(bytes, sizeof bytes);
    for (int32_t direction = 0; direction < 2; direction++) {
        for (uint32_t which = 0; which < 4; which++) {
            meshsync_scan_options options = {.size = sizeof options, .direction = direction};
            meshsync_error error = {0};
            options.below = which == 0 ? (meshsync_path){&part, 1} : options.below;
            options.prefix = which == 1 ? part : options.prefix;
            options.from = which == 2 ? part : options.from;
            options.until = which == 3 ? part : options.until;
            assert_int_equal(msy_walk_open(&walk, &view, msy_key_name("r"), &options, &error),
                             MESHSYNC_E_LIMIT);
            assert_non_null(strstr(error.message, "too long"));
        }
    }
}

/* A collection that was declared, but never written to, is empty; another is not there. */
static void test_nothing_there(void **state)
{
    struct msy_walk walk;
    meshsync_entry entry;
    meshsync_error error = {0};
    (void)state;
    assert_int_equal(msy_walk_open(&walk, &view, msy_key_name("e"), NULL, &error), MESHSYNC_OK);
    assert_int_equal(msy_walk_next(&walk, &entry, &error), MESHSYNC_E_END);
    msy_walk_close(&walk);
    assert_int_equal(msy_walk_open(&walk, &view, msy_key_name("x"), NULL, &error),
                     MESHSYNC_E_NOT_FOUND);
    assert_true(error.message[0] != '\0');
}

static int setup(void **state)
{
    static const uint8_t one[] = {0x01};
    const meshsync_bytes none = {NULL, 0};
    const meshsync_bytes payload = msy_bytes(one, 1);
    (void)state;
    kit_open(&kit, 3, NULL);
    assert_int_equal(kit_create(&kit, msy_key_name("s")).status, MESHSYNC_OK);
    (void)kit_schema(&kit, "r", MESHSYNC_REGISTER, MESHSYNC_VIEW_LWW);
    (void)kit_schema(&kit, "m", MESHSYNC_MAP, MESHSYNC_VIEW_LWW);
    (void)kit_schema(&kit, "e", MESHSYNC_MAP, MESHSYNC_VIEW_LWW);
    for (uint32_t i = KEYS - 1; i > 0; i--) {
        assert_int_equal(kit_put(&kit, "r", key_at(i), none, payload).status, MESHSYNC_OK);
        for (uint32_t k = 1; k < KEYS; k++) {
            if (i == FIELD_OF || k < 3) {
                assert_int_equal(kit_put(&kit, "m", key_at(i), key_at(k), payload).status,
                                 MESHSYNC_OK);
            }
        }
    }
    assert_int_equal(msy_store_begin(kit.store, MSY_TXN_READ, &txn), MESHSYNC_OK);
    assert_int_equal(msy_view_init(&view, &kit.alloc, txn, NULL, kit.space, NULL), MESHSYNC_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    msy_view_fini(&view);
    msy_store_abort(txn);
    kit_close(&kit);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_all_bounds),
                                       cmocka_unit_test(test_long_bounds),
                                       cmocka_unit_test(test_nothing_there)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
