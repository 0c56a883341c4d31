/* SPDX-License-Identifier: Apache-2.0 */
/* Shows that changes go no faster than a node was told, to one peer or to all, that peers share a
 * rate evenly, and that what is live does not wait for what is fetched in bulk. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/entropy.h"
#include "mesh/machine.h"
#include "unit/mesh/rig.h"

enum {
    VALUES = 60,
    VALUE_BYTES = 20000,
    ALL_BYTES = VALUES * VALUE_BYTES,
    RATE = 200000,
    BURST = 100000,
    SETTLE_MS = 120000
};

static struct rig rig;

/* ---- The bucket alone ---- */

static void no_rate_is_no_bound(void **state)
{
    struct msy_rate rate;
    (void)state;
    msy_rate_init(&rate, 0, BURST, 5);
    for (int i = 0; i < 10; i++) {
        msy_rate_spend(&rate, UINT32_MAX);
        assert_true(msy_rate_may(&rate, MSY_RATE_BULK, 5));
        assert_int_equal(msy_rate_at_ms(&rate, 5), 5);
    }
}

static void debt_is_paid_back(void **state)
{
    struct msy_rate rate;
    (void)state;
    msy_rate_init(&rate, 1000, 500, 0);
    assert_true(msy_rate_may(&rate, MSY_RATE_BULK, 0));
    msy_rate_spend(&rate, 800); /* 300 more than there were. */
    assert_false(msy_rate_may(&rate, MSY_RATE_BULK, 0));
    assert_true(msy_rate_may(&rate, MSY_RATE_LIVE, 0));
    assert_int_equal(msy_rate_at_ms(&rate, 0), 300 + MSY_RATE_REST_MS);
    assert_false(msy_rate_may(&rate, MSY_RATE_BULK, 300));
    assert_true(msy_rate_may(&rate, MSY_RATE_BULK, 301));
    msy_rate_spend(&rate, 501);
    assert_false(msy_rate_may(&rate, MSY_RATE_LIVE, 301));
    assert_true(msy_rate_may(&rate, MSY_RATE_LIVE, 302));
    msy_rate_give_back(&rate, 10000); /* Never more than a burst. */
    msy_rate_spend(&rate, 500);
    assert_false(msy_rate_may(&rate, MSY_RATE_BULK, 302));
    assert_true(msy_rate_may(&rate, MSY_RATE_BULK, UINT64_MAX));
    msy_rate_spend(&rate, 500);
    assert_false(msy_rate_may(&rate, MSY_RATE_BULK, UINT64_MAX));
}

static void ends_of_the_range(void **state)
{
    struct msy_rate rate;
    (void)state;
    msy_rate_init(&rate, UINT64_MAX, UINT64_MAX, 0);
    for (int i = 0; i < 4; i++) {
        msy_rate_spend(&rate, MSY_RATE_BYTES_MAX);
        assert_false(msy_rate_may(&rate, MSY_RATE_BULK, (uint64_t)i * 1000));
        assert_true(msy_rate_may(&rate, MSY_RATE_BULK, (uint64_t)i * 1000 + 1000));
    }
    msy_rate_init(&rate, 1, 1, 0);
    msy_rate_spend(&rate, 1000000);
    assert_false(msy_rate_may(&rate, MSY_RATE_BULK, 999999000));
    assert_true(msy_rate_may(&rate, MSY_RATE_BULK, 999999001));
}

/* In whatever steps: over any time no more than its share, a burst and the last piece. */
static void never_more_than_its_share(void **state)
{
    enum { ROUNDS = 200, STEPS = 500, PIECE_MAX = 3000 };
    struct msy_prng prng;
    uint64_t tried = 0;
    (void)state;
    msy_prng_init(&prng, 1);
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t per_s = 1 + msy_prng_next(&prng) % 100000;
        uint64_t burst = 1 + msy_prng_next(&prng) % 20000;
        uint64_t now_ms = msy_prng_next(&prng) % 1000;
        uint64_t began_ms = now_ms;
        uint64_t spent = 0;
        struct msy_rate rate;
        msy_rate_init(&rate, per_s, burst, now_ms);
        for (int i = 0; i < STEPS; i++) {
            uint64_t piece = msy_prng_next(&prng) % PIECE_MAX;
            now_ms += msy_prng_next(&prng) % 40;
            if (msy_rate_may(&rate, MSY_RATE_BULK, now_ms)) {
                msy_rate_spend(&rate, piece);
                spent += piece;
                tried += 1;
            }
            assert_true(spent <= burst + (now_ms - began_ms) * per_s / 1000 + PIECE_MAX);
        }
    }
    (void)printf("%llu pieces spent\n", (unsigned long long)tried);
}

/* ---- Between nodes ---- */

static struct msy_mesh_stats stats_of(uint32_t node)
{
    struct msy_mesh_stats stats;
    msy_mesh_get_stats(rig.nodes[node].mesh, &stats);
    return stats;
}

/* Node 0 has much, and sends it at these rates; nobody has any of it. */
static void much(uint32_t nodes, uint64_t total_rate, uint64_t peer_rate, uint64_t lacks)
{
    rig_open(&rig, nodes);
    rig_found(&rig);
    rig.nodes[0].total_rate = total_rate;
    rig.nodes[0].peer_rate = peer_rate;
    rig.nodes[0].burst = BURST;
    rig.nodes[0].lacks = lacks;
    rig_restart(&rig, 0);
}

static void fill(void)
{
    for (uint32_t i = 0; i < VALUES; i++) {
        rig_put_large(&rig, 0, "k", VALUE_BYTES);
    }
}

static uint64_t catch_up(uint64_t total_rate, uint64_t peer_rate, uint64_t lacks)
{
    much(2, total_rate, peer_rate, lacks);
    fill();
    uint64_t began_ms = rig.now_ms;
    rig_join(&rig, 1);
    rig_dial(&rig, 1, 0);
    assert_true(rig_settle(&rig, SETTLE_MS));
    assert_true(rig_same(&rig, 0, 1));
    uint64_t took_ms = rig.now_ms - began_ms;
    assert_true(stats_of(0).changes_out <= rig_changes(&rig, 0) + 2); /* None twice. */
    (void)printf("%llu ms, %llu waits\n", (unsigned long long)took_ms,
                 (unsigned long long)stats_of(0).rate_waits);
    rig_close(&rig);
    return took_ms;
}

static void catching_up_keeps_the_rate(void **state)
{
    const uint64_t least_ms = (uint64_t)(ALL_BYTES - BURST - VALUE_BYTES) * 1000 / RATE;
    (void)state;
    uint64_t peer_ms = catch_up(0, RATE, MSY_FEATURE_PACKED);
    assert_in_range(peer_ms, least_ms, least_ms + least_ms / 5);
    uint64_t total_ms = catch_up(RATE, 0, MSY_FEATURE_PACKED);
    assert_in_range(total_ms, least_ms, least_ms + least_ms / 5);
    assert_true(catch_up(0, 0, MSY_FEATURE_PACKED) < least_ms / 4);
    /* What counts is what is sent. */
    assert_true(catch_up(0, RATE, 0) < least_ms / 4);
}

/* The bytes that node 0 has sent to another. */
static uint64_t sent_to(uint32_t node)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < rig.links_count; i++) {
        if (rig.links[i].node[0] == node || rig.links[i].node[1] == node) {
            bytes += rig.links[i].bytes;
        }
    }
    return bytes;
}

static void peers_share_evenly(void **state)
{
    (void)state;
    much(4, RATE, 0, MSY_FEATURE_PACKED);
    fill();
    for (uint32_t i = 1; i < 4; i++) {
        rig_join(&rig, i);
        rig_dial(&rig, i, 0);
    }
    rig_run(&rig, 6000);
    for (uint32_t i = 1; i < 4; i++) {
        (void)printf("%llu bytes to %u\n", (unsigned long long)sent_to(i), i);
        assert_in_range(sent_to(i), 300000, 600000);
    }
    assert_true(rig_settle(&rig, SETTLE_MS));
    for (uint32_t i = 1; i < 4; i++) {
        assert_true(rig_same(&rig, 0, i));
    }
    rig_close(&rig);
}

static void live_changes_do_not_wait(void **state)
{
    (void)state;
    much(3, RATE, 0, MSY_FEATURE_PACKED);
    rig_join(&rig, 1);
    rig_dial(&rig, 1, 0);
    assert_true(rig_settle(&rig, SETTLE_MS));
    fill();
    assert_true(rig_settle(&rig, SETTLE_MS));
    assert_true(rig_same(&rig, 0, 1));
    rig_join(&rig, 2);
    rig_dial(&rig, 2, 0); /* It fetches for some seconds. */
    rig_run(&rig, 2000);
    for (uint32_t i = 0; i < 5; i++) {
        assert_true(rig_changes(&rig, 2) < rig_changes(&rig, 0));
        uint64_t before = rig_changes(&rig, 1);
        rig_put(&rig, 0, "live", "change");
        rig_run(&rig, 10);
        assert_int_equal(rig_changes(&rig, 1), before + 1);
        rig_run(&rig, 100);
    }
    assert_true(rig_settle(&rig, SETTLE_MS));
    assert_true(rig_same(&rig, 0, 2));
    rig_close(&rig);
}

/* Larger than its peer's patience: it is late, and comes once. */
static void a_large_change_comes_once(void **state)
{
    (void)state;
    much(2, 0, 16384, MSY_FEATURE_PACKED);
    rig.nodes[0].burst = 4096;
    rig_restart(&rig, 0);
    rig_put_large(&rig, 0, "large", 500000);
    rig_put_large(&rig, 0, "more", 500000);
    rig_put(&rig, 0, "last", "change");
    rig_join(&rig, 1);
    rig_dial(&rig, 1, 0);
    assert_true(rig_settle(&rig, SETTLE_MS));
    assert_true(rig_same(&rig, 0, 1));
    assert_true(stats_of(0).changes_out <= rig_changes(&rig, 0) + 2);
    assert_true(sent_to(1) < 1100000);
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_rate_is_no_bound),        cmocka_unit_test(debt_is_paid_back),
        cmocka_unit_test(ends_of_the_range),          cmocka_unit_test(never_more_than_its_share),
        cmocka_unit_test(catching_up_keeps_the_rate), cmocka_unit_test(peers_share_evenly),
        cmocka_unit_test(live_changes_do_not_wait),   cmocka_unit_test(a_large_change_comes_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
