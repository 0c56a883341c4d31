/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shows that the views of MESHSYNC_OVERLAY_NODES nodes (default 100) make one mesh of 5 to 8
 * neighbours each: changes reach all without duplicates and about as fast as in a flood, three of
 * ten may crash at once, a fifth may come and go each minute, and halves that forgot each other
 * meet again; and that small meshes are all-to-all. Virtual time, from MESHSYNC_SEED (default 1).
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crowd.h"

enum { START_MS = 20, SETTLE_MS = 180000, GAP_MS = 1000, MINUTE_MS = 60000 };

static struct crowd crowd;
static uint32_t nodes_count = 100;
static uint64_t seed = 1;

static void grow(uint32_t count)
{
    crowd_init(&crowd, count, seed);
    for (uint32_t i = 0; i < count; i++) {
        crowd_start(&crowd, i);
        crowd_run(&crowd, START_MS);
    }
    crowd_run(&crowd, SETTLE_MS);
}

static void test_small_meshes_are_all_to_all(void **state)
{
    (void)state;
    for (uint32_t count = 2; count <= MSY_NEAR_ACTIVE_MAX + 1; count++) {
        grow(count);
        for (uint32_t i = 0; i < count; i++) {
            assert_int_equal(crowd.nodes[i].view.active_count, count - 1);
        }
        assert_int_equal(crowd_one_sided(&crowd), 0);
        /* One goes and comes back. */
        crowd_crash(&crowd, count - 1);
        crowd_run(&crowd, SETTLE_MS);
        for (uint32_t i = 0; i < count - 1; i++) {
            assert_int_equal(crowd.nodes[i].view.active_count, count - 2);
        }
        crowd_start(&crowd, count - 1);
        crowd_run(&crowd, SETTLE_MS);
        for (uint32_t i = 0; i < count; i++) {
            assert_int_equal(crowd.nodes[i].view.active_count, count - 1);
        }
        crowd_fini(&crowd);
    }
}

static void check_overlay(void)
{
    uint64_t neighbours = 0;
    uint32_t fewest = MSY_NEAR_ACTIVE_MAX;
    uint32_t few = 0;
    for (uint32_t i = 0; i < nodes_count; i++) {
        uint32_t count = crowd.nodes[i].view.active_count;
        neighbours += count;
        fewest = count < fewest ? count : fewest;
        few += count < MSY_NEAR_ACTIVE_MIN ? 1 : 0;
    }
    printf("%u nodes: neighbours %u to %u, on average %.2f; %u nodes have fewer than %u\n",
           nodes_count, fewest, MSY_NEAR_ACTIVE_MAX, (double)neighbours / nodes_count, few,
           MSY_NEAR_ACTIVE_MIN);
    assert_int_equal(crowd_components(&crowd), 1);
    assert_int_equal(crowd_one_sided(&crowd), 0);
    assert_true(few * 100 <= nodes_count);
}

/* Mean time until 99 % had each of rounds changes of every origin, ms. */
static double spread(uint32_t rounds, double *duplicates)
{
    const struct crowd_figures before = crowd.figures;
    uint32_t first = crowd.changes_count;
    double sum = 0;
    for (uint32_t i = 0; i < rounds; i++) {
        for (uint32_t origin = 0; origin < CROWD_ORIGINS; origin++) {
            (void)crowd_write(&crowd, origin);
            crowd_run(&crowd, 10);
        }
        crowd_run(&crowd, GAP_MS);
    }
    crowd_run(&crowd, 2 * GAP_MS);
    for (uint32_t i = first; i < crowd.changes_count; i++) {
        assert_true(crowd_spread_us(&crowd, i, 100) != UINT64_MAX);
        sum += (double)crowd_spread_us(&crowd, i, 99) / 1000;
    }
    *duplicates = 100 * (double)(crowd.figures.again - before.again) /
                  (double)(crowd.figures.first - before.first);
    return sum / (crowd.changes_count - first);
}

static void test_changes_spread_along_trees(void **state)
{
    (void)state;
    double again = 0, first_again = 0, lossy_again = 0, slow_again = 0, flood_again = 0;
    grow(nodes_count);
    check_overlay();
    double first_ms = spread(1, &first_again);
    (void)spread(2, &again);
    double calm_ms = spread(4, &again);
    crowd.flood = true;
    double flood_ms = spread(2, &flood_again);
    crowd.flood = false;
    crowd.loss_percent = 1;
    double lossy_ms = spread(4, &lossy_again);
    crowd.slow_repeats = true;
    double slow_ms = spread(2, &slow_again);
    crowd.flood = true;
    double flood_lossy_ms = spread(2, &flood_again);
    printf("%u nodes, %u writers: 99 %% have a change after (mean) %.0f ms, a flood %.0f ms (%.2f "
           "times); duplicates %.2f %%, of a first change %.0f %% in %.0f ms, of a flood %.0f %%\n",
           nodes_count, CROWD_ORIGINS, calm_ms, flood_ms, calm_ms / flood_ms, again, first_again,
           first_ms, flood_again);
    printf("%u nodes, 1 %% of segments lost, sent again after two round trips: %.0f ms, duplicates "
           "%.2f %%; after 200 ms and one: %.0f ms, a flood %.0f ms, duplicates %.2f %%\n",
           nodes_count, lossy_ms, lossy_again, slow_ms, flood_lossy_ms, slow_again);
    assert_true(again <= 2);
    assert_true(lossy_again <= 12);
    assert_true(calm_ms <= 1.1 * flood_ms);
    crowd_fini(&crowd);
}

static void test_a_third_crashes_at_once(void **state)
{
    (void)state;
    double duplicates = 0;
    grow(nodes_count);
    (void)spread(2, &duplicates);
    for (uint32_t left = nodes_count * 3 / 10; left > 0;) {
        uint32_t node = (uint32_t)msy_prng_below(&crowd.prng, nodes_count);
        if (crowd.nodes[node].alive) {
            crowd_crash(&crowd, node);
            left--;
        }
    }
    uint32_t parts = crowd_components(&crowd);
    uint32_t change = crowd_write(&crowd, 0);
    crowd_run(&crowd, 10000);
    uint64_t all_us = crowd_spread_us(&crowd, change, 100);
    uint32_t parts_later = crowd_components(&crowd);
    printf("%u nodes, 30 %% crash at once, noticed after 6 to 8 s: %u parts at first, %u after 10 "
           "s; a change of that moment reached 99 %% in %" PRIu64 " ms, all in %" PRIu64 " ms\n",
           nodes_count, parts, parts_later, crowd_spread_us(&crowd, change, 99) / 1000,
           all_us / 1000);
    assert_int_equal(parts_later, 1);
    assert_true(all_us <= UINT64_C(10000000));
    change = crowd_write(&crowd, 1);
    crowd_run(&crowd, 10000);
    assert_true(crowd_spread_us(&crowd, change, 100) <= UINT64_C(10000000));
    crowd_fini(&crowd);
}

static uint64_t bytes(void)
{
    return crowd.figures.view_bytes + crowd.figures.note_bytes + crowd.figures.change_bytes;
}

/* A minute with a change each second; crashes of it, each node gone for 20 s. */
static void minute(uint32_t crashes)
{
    enum { STEPS = 600, AWAY_STEPS = 200 };
    uint32_t done = 0;
    static uint32_t gone[STEPS + AWAY_STEPS];
    static uint32_t gone_step[1 << 16];
    uint32_t first = 0, last = 0;
    for (uint32_t step = 0; step < STEPS; step++) {
        if (step % 10 == 0) {
            (void)crowd_write(&crowd, step / 10 % CROWD_ORIGINS);
        }
        while (done < (uint64_t)crashes * (step + 1) / STEPS) {
            uint32_t node =
                CROWD_SEEDS + (uint32_t)msy_prng_below(&crowd.prng, nodes_count - CROWD_SEEDS);
            if (crowd.nodes[node].alive) {
                crowd_crash(&crowd, node);
                gone_step[last % (1 << 16)] = node;
                last++;
                done++;
            }
        }
        gone[step] = last;
        while (step >= AWAY_STEPS && first < gone[step - AWAY_STEPS]) {
            crowd_start(&crowd, gone_step[first % (1 << 16)]);
            first++;
        }
        crowd_run(&crowd, MINUTE_MS / STEPS);
    }
    while (first < last) {
        crowd_start(&crowd, gone_step[first % (1 << 16)]);
        first++;
    }
}

static void test_a_fifth_comes_and_goes_each_minute(void **state)
{
    (void)state;
    grow(nodes_count);
    crowd_run(&crowd, 2 * MINUTE_MS);
    minute(0);
    uint64_t begun = bytes(), begun_view = crowd.figures.view_bytes;
    minute(0);
    uint64_t calm = bytes() - begun, calm_view = crowd.figures.view_bytes - begun_view;
    begun = bytes();
    begun_view = crowd.figures.view_bytes;
    minute(nodes_count / 5);
    uint64_t churn = bytes() - begun, churn_view = crowd.figures.view_bytes - begun_view;
    crowd_run(&crowd, MINUTE_MS);
    printf("%u nodes, a change of 300 bytes each second: %.0f bytes/s per node calm (views %.0f), "
           "%.0f while 20 %% per minute crash and return (views %.0f): %.2f times\n",
           nodes_count, (double)calm / 60 / nodes_count, (double)calm_view / 60 / nodes_count,
           (double)churn / 60 / nodes_count, (double)churn_view / 60 / nodes_count,
           (double)churn / (double)calm);
    assert_true(churn <= 3 * calm);
    assert_int_equal(crowd_alive(&crowd), nodes_count);
    assert_int_equal(crowd_components(&crowd), 1);
    assert_int_equal(crowd_one_sided(&crowd), 0);
    for (uint32_t i = 0; i < crowd.changes_count; i++) {
        assert_true(crowd_spread_us(&crowd, i, 100) != UINT64_MAX);
    }
    crowd_fini(&crowd);
}

static void test_halves_that_forgot_each_other_meet_again(void **state)
{
    (void)state;
    uint32_t waited_s = 0;
    grow(nodes_count);
    crowd_halve(&crowd, true);
    crowd_run(&crowd, 20 * MINUTE_MS);
    uint32_t parts = crowd_components(&crowd);
    assert_int_equal(parts, 2);
    crowd_halve(&crowd, false);
    while (crowd_components(&crowd) > 1 && waited_s < 600) {
        crowd_run(&crowd, 1000);
        waited_s++;
    }
    printf("%u nodes in two halves for 20 minutes: one again %u s after the cut ended\n",
           nodes_count, waited_s);
    assert_int_equal(crowd_components(&crowd), 1);
    crowd_fini(&crowd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small_meshes_are_all_to_all),
        cmocka_unit_test(test_changes_spread_along_trees),
        cmocka_unit_test(test_a_third_crashes_at_once),
        cmocka_unit_test(test_a_fifth_comes_and_goes_each_minute),
        cmocka_unit_test(test_halves_that_forgot_each_other_meet_again),
    };
    const char *text = getenv("MESHSYNC_OVERLAY_NODES");
    nodes_count = text != NULL ? (uint32_t)strtoul(text, NULL, 10) : nodes_count;
    text = getenv("MESHSYNC_SEED");
    seed = text != NULL ? strtoull(text, NULL, 10) : seed;
    printf("seed %" PRIu64 "\n", seed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
