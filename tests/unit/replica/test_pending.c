/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shows that what waits is kept within its bounds, becomes ready for exactly what it waits for, in
 * order, and is forgotten with its space.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "replica/pending.h"

enum { ACTORS = 16 };

static struct msy_alloc alloc;
static struct msy_pending pending;

static int setup(void **state)
{
    static const uint8_t key[16] = {1, 2, 3};
    (void)state;
    msy_alloc_init(&alloc, NULL, NULL, 0);
    msy_pending_init(&pending, &alloc, key);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    msy_pending_fini(&pending);
    assert_int_equal(alloc.bytes_used, 0);
    return 0;
}

static struct msy_pending_item item_of(enum msy_pending_reason reason, uint8_t actor, uint64_t seq)
{
    struct msy_pending_item item;
    memset(&item, 0, sizeof item);
    item.reason = reason;
    item.space = 1;
    item.tip.actor.id[0] = actor;
    item.tip.seq = seq;
    item.tip.hash[0] = (uint8_t)seq;
    item.prev[0] = (uint8_t)(seq - 1);
    item.wants = item.tip.actor;
    item.wants_seq = seq - 1;
    return item;
}

static void add(const struct msy_pending_item *item)
{
    static const uint8_t change[] = "a change";
    assert_int_equal(msy_pending_add(&pending, item, (meshsync_bytes){change, sizeof change}),
                     MESHSYNC_OK);
}

/* Takes the next, which must be this one; seq 0: there is none. */
static void takes(uint64_t seq)
{
    struct msy_pending_item *item = msy_pending_take(&pending);
    if (seq == 0) {
        assert_null(item);
        return;
    }
    assert_non_null(item);
    assert_int_equal(item->tip.seq, seq);
    assert_string_equal((const char *)item->bytes, "a change");
    msy_pending_free(&pending, item);
}

static void test_causes(void **state)
{
    struct msy_pending_item item = item_of(MSY_PENDING_CAUSE, 1, 5);
    struct msy_actor actor = item.tip.actor;
    (void)state;
    add(&item);
    assert_true(msy_pending_has(&pending, 1, &item.tip));
    assert_false(msy_pending_has(&pending, 2, &item.tip));
    msy_pending_accepted(&pending, 1, &actor, 3);
    msy_pending_accepted(&pending, 2, &actor, 4);
    takes(0);
    msy_pending_accepted(&pending, 1, &actor, 4);
    takes(5);
    takes(0);
    assert_int_equal(pending.count, 0);
}

static void test_successors(void **state)
{
    struct msy_pending_item item = item_of(MSY_PENDING_CAUSE, 1, 5);
    struct msy_tip before = item.tip;
    (void)state;
    before.seq = 4;
    before.hash[0] = 4;
    assert_null(msy_pending_successor(&pending, 1, &before));
    struct msy_pending_item other = item; /* Waits for the same, but goes on from another. */
    other.prev[0] = 9;
    other.tip.hash[0] = 77;
    add(&item);
    add(&other);
    const struct msy_pending_item *found = msy_pending_successor(&pending, 1, &before);
    assert_non_null(found);
    assert_memory_equal(found->tip.hash, item.tip.hash, 32);
    assert_null(msy_pending_successor(&pending, 2, &before));
    before.hash[0] = 3;
    assert_null(msy_pending_successor(&pending, 1, &before));
    msy_pending_forget(&pending, 1);
    assert_int_equal(pending.count, 0);
}

static void test_proof(void **state)
{
    struct msy_pending_item item = item_of(MSY_PENDING_PROOF, 1, 5);
    struct msy_tip tip = item.tip;
    (void)state;
    add(&item);
    tip.hash[0] = 1;
    assert_false(msy_pending_proven(&pending, 1, &tip));
    assert_false(msy_pending_proven(&pending, 2, &item.tip));
    assert_true(msy_pending_proven(&pending, 1, &item.tip));
    assert_false(msy_pending_proven(&pending, 1, &item.tip));
    struct msy_pending_item *ready = msy_pending_take(&pending);
    assert_non_null(ready);
    assert_true(ready->proven);
    msy_pending_free(&pending, ready);
}

static void test_members_and_time(void **state)
{
    struct msy_pending_item member = item_of(MSY_PENDING_MEMBER, 1, 5);
    struct msy_pending_item held = item_of(MSY_PENDING_TIME, 1, 6);
    struct msy_pending_item later = item_of(MSY_PENDING_TIME, 1, 7);
    (void)state;
    held.until_ms = 1000;
    later.until_ms = 1001;
    add(&member);
    add(&held);
    add(&later);
    assert_int_equal(pending.held, 2);
    msy_pending_members(&pending, 2);
    msy_pending_time(&pending, 999);
    takes(0);
    msy_pending_time(&pending, 1000);
    takes(6);
    assert_int_equal(pending.held, 1);
    msy_pending_members(&pending, 1);
    takes(5);
    takes(0);
    msy_pending_forget(&pending, 1);
    assert_int_equal(pending.count + pending.held + pending.bytes, 0);
}

static void test_forgetting(void **state)
{
    (void)state;
    for (uint8_t i = 0; i < 40; i++) {
        struct msy_pending_item item = item_of((enum msy_pending_reason)(i % 4), i, 5);
        item.space = 1 + i / 4 % 2;
        item.until_ms = 10;
        add(&item);
    }
    msy_pending_forget(&pending, 1);
    assert_int_equal(pending.count, 20);
    assert_int_equal(pending.held, 5);
    msy_pending_members(&pending, 1);
    takes(0);
    msy_pending_members(&pending, 2);
    msy_pending_time(&pending, 10);
    for (uint32_t i = 0; i < 10; i++) {
        takes(5);
    }
    takes(0);
    msy_pending_forget(&pending, 2);
    assert_int_equal(pending.count + pending.bytes, 0);
}

/* One actor fills its own share, not that of others; all together stay within theirs. */
static void test_bounds(void **state)
{
    size_t len = 1 << 20;
    uint8_t *large = calloc(1, len);
    (void)state;
    assert_non_null(large);
    for (uint64_t seq = 2; seq < 2 * MSY_PENDING_ACTOR_BYTES_MAX / len; seq++) {
        struct msy_pending_item item = item_of(MSY_PENDING_CAUSE, 1, seq);
        assert_int_equal(msy_pending_add(&pending, &item, (meshsync_bytes){large, len}),
                         MESHSYNC_OK);
    }
    assert_true(pending.bytes <= MSY_PENDING_ACTOR_BYTES_MAX);
    uint64_t dropped = pending.dropped;
    assert_true(dropped > 0);
    struct msy_pending_item first = item_of(MSY_PENDING_CAUSE, 2, 2);
    assert_int_equal(msy_pending_add(&pending, &first, (meshsync_bytes){large, len}), MESHSYNC_OK);
    assert_int_equal(pending.dropped, dropped);
    for (uint8_t actor = 2; actor < ACTORS; actor++) {
        for (uint64_t seq = 3; seq < 7; seq++) {
            struct msy_pending_item item = item_of(MSY_PENDING_CAUSE, actor, seq);
            assert_int_equal(msy_pending_add(&pending, &item, (meshsync_bytes){large, len}),
                             MESHSYNC_OK);
        }
    }
    assert_true(pending.bytes <= MSY_PENDING_BYTES_MAX);
    assert_true(pending.bytes + 2 * len > MSY_PENDING_BYTES_MAX);
    assert_true(pending.dropped > dropped);
    msy_pending_forget(&pending, 1);
    assert_int_equal(pending.bytes, 0);
    free(large);
}

/* Without memory nothing is counted. */
static void test_no_memory(void **state)
{
    struct msy_pending_item item = item_of(MSY_PENDING_CAUSE, 1, 5);
    (void)state;
    alloc.bytes_max = 1;
    assert_int_equal(msy_pending_add(&pending, &item, (meshsync_bytes){(const uint8_t *)"x", 1}),
                     MESHSYNC_E_NO_MEMORY);
    alloc.bytes_max = 0;
    assert_int_equal(pending.count + pending.bytes, 0);
    assert_false(msy_pending_has(&pending, 1, &item.tip));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_causes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_successors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_proof, setup, teardown),
        cmocka_unit_test_setup_teardown(test_members_and_time, setup, teardown),
        cmocka_unit_test_setup_teardown(test_forgetting, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bounds, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_memory, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
