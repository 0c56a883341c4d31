/* SPDX-License-Identifier: Apache-2.0 */
/* Shows that a leaf keeps its dots in order, counts and resets without loss, is stored and read
 * again as it was, and never comes back from damaged bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/entropy.h"
#include "crdt/leaf.h"

static const uint8_t leaf_key[] = "key";
static const uint8_t leaf_payload[] = {0xa3, 'a', 'b', 'c'};

static meshsync_bytes key_bytes(void)
{
    return (meshsync_bytes){leaf_key, sizeof leaf_key};
}

static struct msy_leaf_entry entry_of(uint64_t lsn, uint32_t index)
{
    struct msy_leaf_entry entry = {.lsn = lsn,
                                   .index = index,
                                   .kind = 1,
                                   .payload = {leaf_payload, sizeof leaf_payload},
                                   .payload_len = sizeof leaf_payload};
    memset(entry.op_hash, (int)lsn, sizeof entry.op_hash);
    return entry;
}

static void fill(struct msy_leaf *leaf)
{
    struct msy_leaf_entry entry = entry_of(9, 2);
    struct msy_leaf_reset reset = {.seq = 3, .plus = 5, .minus = 1};
    leaf->last_lsn = 77;
    assert_int_equal(msy_leaf_add(leaf, &entry), MESHSYNC_OK);
    entry = entry_of(4, 1);
    assert_int_equal(msy_leaf_add(leaf, &entry), MESHSYNC_OK);
    entry = entry_of(9, 0);
    entry.payload = (meshsync_bytes){NULL, 0};
    entry.payload_len = 5000;
    entry.payload_at = 123;
    entry.payload_crc = 456;
    assert_int_equal(msy_leaf_add(leaf, &entry), MESHSYNC_OK);
    msy_leaf_add_delta(leaf, 10);
    msy_leaf_add_delta(leaf, -3);
    assert_int_equal(msy_leaf_add_reset(leaf, &reset), MESHSYNC_OK);
}

static void test_order_and_removal(void **state)
{
    struct msy_alloc alloc;
    struct msy_leaf leaf;
    (void)state;
    msy_alloc_init(&alloc, NULL, NULL, 0);
    msy_leaf_init(&leaf, &alloc);
    fill(&leaf);
    assert_int_equal(leaf.entries_count, 3);
    assert_int_equal(leaf.entries[0].lsn, 4);
    assert_int_equal(leaf.entries[1].index, 0);
    assert_int_equal(leaf.entries[2].index, 2);
    assert_int_equal(msy_leaf_find(&leaf, 9, 2), 2);
    assert_int_equal(msy_leaf_find(&leaf, 9, 1), -1);
    msy_leaf_remove(&leaf, 1);
    assert_int_equal(msy_leaf_find(&leaf, 9, 0), -1);
    assert_int_equal(msy_leaf_find(&leaf, 9, 2), 1);
    msy_leaf_fini(&leaf);
}

static void test_stored_and_read_again(void **state)
{
    struct msy_alloc alloc;
    struct msy_leaf leaf;
    struct msy_leaf again;
    struct msy_buf bytes;
    (void)state;
    msy_alloc_init(&alloc, NULL, NULL, 0);
    msy_leaf_init(&leaf, &alloc);
    msy_leaf_init(&again, &alloc);
    msy_buf_init(&bytes, &alloc, 1 << 20);
    fill(&leaf);
    assert_int_equal(msy_leaf_write(&leaf, key_bytes(), &bytes), MESHSYNC_OK);
    assert_int_equal(msy_leaf_read(&again, key_bytes(), msy_buf_bytes(&bytes)), MESHSYNC_OK);
    assert_int_equal(again.last_lsn, 77);
    assert_int_equal(again.entries_count, 3);
    assert_null(again.entries[1].payload.data);
    assert_int_equal(again.entries[1].payload_len, 5000);
    assert_int_equal(again.entries[1].payload_at, 123);
    assert_int_equal(again.entries[1].payload_crc, 456);
    assert_memory_equal(again.entries[2].payload.data, leaf_payload, sizeof leaf_payload);
    assert_int_equal(again.resets_count, 1);
    assert_int_equal(msy_leaf_sum(&again), 10 - 3 - (5 - 1));
    /* Any damage, and another key, is noticed. */
    for (size_t at = 0; at < bytes.len; at++) {
        bytes.data[at] ^= 0x10;
        assert_int_equal(msy_leaf_read(&again, key_bytes(), msy_buf_bytes(&bytes)),
                         MESHSYNC_E_STORE_CORRUPT);
        bytes.data[at] ^= 0x10;
    }
    for (size_t len = 0; len < bytes.len; len++) {
        assert_int_equal(msy_leaf_read(&again, key_bytes(), (meshsync_bytes){bytes.data, len}),
                         MESHSYNC_E_STORE_CORRUPT);
    }
    assert_int_equal(
        msy_leaf_read(&again, (meshsync_bytes){leaf_payload, 4}, msy_buf_bytes(&bytes)),
        MESHSYNC_E_STORE_CORRUPT);
    msy_buf_fini(&bytes);
    msy_leaf_fini(&again);
    msy_leaf_fini(&leaf);
}

/* S10 and S11 of the scenarios, on one leaf: what a reset saw is taken off, what it did not stays;
 * of several resets the one that saw most counts, in any order. */
static void test_resets(void **state)
{
    struct msy_alloc alloc;
    struct msy_leaf leaf;
    struct msy_leaf_reset saw_five = {.seq = 1, .plus = 5};
    struct msy_leaf_reset saw_six = {.seq = 2, .plus = 6};
    (void)state;
    msy_alloc_init(&alloc, NULL, NULL, 0);
    msy_leaf_init(&leaf, &alloc);
    assert_true(msy_leaf_empty(&leaf));
    msy_leaf_add_delta(&leaf, 5);
    assert_false(msy_leaf_empty(&leaf));
    assert_int_equal(msy_leaf_add_reset(&leaf, &saw_five), MESHSYNC_OK);
    assert_int_equal(msy_leaf_sum(&leaf), 0);
    assert_true(msy_leaf_empty(&leaf));
    msy_leaf_add_delta(&leaf, 1);
    assert_int_equal(msy_leaf_sum(&leaf), 1);
    assert_int_equal(msy_leaf_add_reset(&leaf, &saw_six), MESHSYNC_OK);
    assert_int_equal(msy_leaf_add_reset(&leaf, &saw_five), MESHSYNC_OK);
    assert_int_equal(leaf.resets_count, 1);
    assert_int_equal(msy_leaf_sum(&leaf), 0);
    msy_leaf_fini(&leaf);
}

static void test_extremes(void **state)
{
    struct msy_alloc alloc;
    struct msy_leaf leaf;
    (void)state;
    msy_alloc_init(&alloc, NULL, NULL, 0);
    msy_leaf_init(&leaf, &alloc);
    msy_leaf_add_delta(&leaf, INT64_MIN);
    assert_true(msy_leaf_sum(&leaf) == INT64_MIN);
    msy_leaf_add_delta(&leaf, INT64_MAX);
    assert_int_equal(msy_leaf_sum(&leaf), -1);
    msy_leaf_add_delta(&leaf, 1);
    assert_int_equal(msy_leaf_sum(&leaf), 0);
    msy_leaf_fini(&leaf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_and_removal),
        cmocka_unit_test(test_stored_and_read_again),
        cmocka_unit_test(test_resets),
        cmocka_unit_test(test_extremes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
