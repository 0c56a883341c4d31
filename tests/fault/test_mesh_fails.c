/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shows that a mesh machine whose n-th look at the store fails, or whose n-th allocation and all
 * after it do, for every n of a story of joining, catching up, pushing and comparing digests, goes
 * on: all nodes end with the same, nobody raises an alarm but for damage, and a machine that cannot
 * be opened says why.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "unit/mesh/rig.h"

enum { NODES = 3, STRIDE_DEFAULT = 4, PATIENCE_MS = 90000, SLICE_MS = 50, PUTS = 12 };

static struct rig rig;
static struct fail_plan plan;
static uint64_t memory_at; /* From which allocation on there is none; 0: there always is. */
static uint64_t begun_anew;

static void redial(void)
{
    rig_dial(&rig, 1, 0);
    rig_dial(&rig, 2, 0);
}

/* Time goes by; a machine that gave up begins anew, as the shell has it do. */
static void run(uint64_t ms)
{
    for (uint64_t done = 0; done < ms; done += SLICE_MS) {
        rig_run(&rig, SLICE_MS);
        if (rig.nodes[rig.plan_node].failed) {
            rig.nodes[rig.plan_node].failed = false;
            rig.nodes[rig.plan_node].mesh_alloc.fail_at = 0; /* There is memory again. */
            begun_anew += 1;
            rig_restart(&rig, rig.plan_node);
            redial();
        }
    }
}

static void put_some(uint32_t node, uint32_t round)
{
    for (uint32_t i = 0; i < PUTS; i++) {
        char key[32];
        char value[32];
        (void)snprintf(key, sizeof key, "key-%u", i % 7);
        (void)snprintf(value, sizeof value, "%u.%u of %u", round, i, node);
        rig_put(&rig, node, key, value);
    }
}

/* Are the first so many nodes the same? */
static bool are_same(uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        if (!rig_same(&rig, 0, i)) {
            return false;
        }
    }
    return true;
}

/* How long the first so many take to be the same. */
static uint64_t settle(uint32_t count)
{
    uint64_t began_ms = rig.now_ms;
    while (!are_same(count) && rig.now_ms < began_ms + PATIENCE_MS) {
        run(SLICE_MS);
    }
    return rig.now_ms - began_ms;
}

static uint64_t swapped; /* Vectors that became known by a sketch. */

/* Newcomers, a cut with writes on both sides, and writes while all are joined. */
static void story(void)
{
    rig.sketch_tips_min = 2; /* So that comparing by sketches fails everywhere too. */
    rig_open(&rig, NODES);
    rig_found(&rig);
    rig.nodes[rig.plan_node].mesh_alloc.fail_at = memory_at;
    rig.nodes[rig.plan_node].mesh_alloc.fail_for_ever = 1;
    put_some(0, 1);
    for (uint32_t i = 1; i < NODES; i++) {
        rig_join(&rig, i);
        rig_dial(&rig, i, 0);
        run(100);
        (void)settle(i + 1); /* Before it knows the collection it cannot write. */
    }
    put_some(1, 2);
    rig_put_large(&rig, 0, "large", 300000);
    run(200);
    rig_break(&rig, 0, 1, true);
    put_some(0, 3);
    put_some(1, 3);
    run(200);
    rig_heal(&rig, 0, 1);
    run(400);
    put_some(2, 4);
    run(200);
    for (uint32_t i = 0; i < NODES; i++) {
        struct msy_mesh_stats stats;
        msy_mesh_get_stats(rig.nodes[i].mesh, &stats);
        swapped += stats.clocks_swapped;
    }
}

static uint64_t stride(void)
{
    const char *text = getenv("MESHSYNC_MESH_FAILS_STRIDE");
    return text != NULL && text[0] != '\0' ? strtoull(text, NULL, 10) : STRIDE_DEFAULT;
}

static void fail_everywhere(uint32_t node)
{
    uint64_t tried = 0;
    uint64_t longest_ms = 0;
    rig.plan = &plan;
    rig.plan_node = node;
    plan.reads = true;
    fail_plan_at(&plan, 0, 0);
    story();
    uint64_t operations = plan.counted;
    assert_true(settle(NODES) < PATIENCE_MS);
    rig_close(&rig);
    for (uint64_t n = 1; n <= operations; n += stride()) {
        fail_plan_at(&plan, n, (uint32_t)n);
        story();
        uint64_t took_ms = settle(NODES);
        if (!plan.fired || !are_same(NODES)) {
            fail_msg("node %u, operation %llu of %llu (%s, %s): not the same after %llu ms", node,
                     (unsigned long long)n, (unsigned long long)operations, fail_op_name(plan.op),
                     meshsync_status_name(plan.status), (unsigned long long)took_ms);
        }
        longest_ms = took_ms > longest_ms ? took_ms : longest_ms;
        for (uint32_t i = 0; i < NODES; i++) {
            /* A record that cannot be read is told, by who cannot read it. */
            bool told = i == node && plan.status == MESHSYNC_E_STORE_CORRUPT;
            if (rig.nodes[i].alarms != 0 && !told) {
                fail_msg("node %u, operation %llu (%s, %s): alarms at %u", node,
                         (unsigned long long)n, fail_op_name(plan.op),
                         meshsync_status_name(plan.status), i);
            }
        }
        rig_close(&rig);
        tried += 1;
    }
    rig.plan = NULL;
    print_message("node %u: %llu operations, %llu of them failed; all the same after at most "
                  "%llu ms more\n",
                  node, (unsigned long long)operations, (unsigned long long)tried,
                  (unsigned long long)longest_ms);
}

static void test_reads_of_who_serves(void **state)
{
    (void)state;
    fail_everywhere(0);
}

static void test_reads_of_who_asks(void **state)
{
    (void)state;
    fail_everywhere(1);
}

/* Without memory from the n-th allocation on, until the machine is begun anew. */
static void starve_everywhere(uint32_t node)
{
    uint64_t tried = 0;
    uint64_t before = begun_anew;
    bool fired = true;
    rig.plan_node = node;
    for (memory_at = 1; fired; memory_at += stride()) {
        story();
        (void)settle(NODES);
        /* What it does at most once in a while it may have given up without a word. */
        fired = rig.nodes[node].mesh_alloc.fail_at <= 1;
        rig.nodes[node].mesh_alloc.fail_at = 0;
        redial();
        (void)settle(NODES);
        if (!are_same(NODES)) {
            fail_msg("node %u, no memory from allocation %llu on: not the same", node,
                     (unsigned long long)memory_at);
        }
        for (uint32_t i = 0; i < NODES; i++) {
            assert_int_equal(rig.nodes[i].alarms, 0);
        }
        rig_close(&rig);
        tried += 1;
    }
    memory_at = 0;
    assert_true(tried > 5 && begun_anew > before && swapped > tried / 2);
    print_message("node %u: starved from %llu places on, begun anew %llu times\n", node,
                  (unsigned long long)tried, (unsigned long long)(begun_anew - before));
}

static void test_no_memory(void **state)
{
    (void)state;
    starve_everywhere(0);
    starve_everywhere(1);
}

/* A machine that cannot read what it begins with is not opened. */
static void test_opening(void **state)
{
    struct msy_mesh_options options = {.keepalive_ms = 2000, .retry_ms_max = 2000};
    uint64_t operations = 0;
    (void)state;
    rig.plan = &plan;
    rig.plan_node = 0;
    fail_plan_at(&plan, 0, 0);
    story();
    options.alloc = &rig.alloc;
    options.store = rig.nodes[0].store;
    options.identity = rig.nodes[0].identity;
    options.entropy = msy_prng_entropy(&rig.nodes[0].prng);
    do {
        struct msy_mesh *mesh = NULL;
        meshsync_error error = {0};
        fail_plan_at(&plan, operations + 1, (uint32_t)operations);
        plan.armed = true;
        meshsync_status status = msy_mesh_open(&options, rig.now_ms, &mesh, &error);
        plan.armed = false;
        if (!plan.fired) {
            assert_int_equal(status, MESHSYNC_OK);
            msy_mesh_close(mesh);
            break;
        }
        assert_int_equal(status, plan.status);
        assert_int_equal(error.status, plan.status);
        assert_true(error.message[0] != '\0');
        assert_null(mesh);
        operations += 1;
    } while (operations < 10000);
    assert_true(operations > 3 && operations < 10000);
    rig_close(&rig);
    rig.plan = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_of_who_serves), cmocka_unit_test(test_reads_of_who_asks),
        cmocka_unit_test(test_no_memory), cmocka_unit_test(test_opening)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
