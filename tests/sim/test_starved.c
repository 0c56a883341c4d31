/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shows that a node without memory for its sessions dials its peers ever more seldom, that the
 * others agree meanwhile, and that it is one of them again when it has memory; soon, when it was
 * one of them between the times at which it had none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#include <cmocka.h>

#include "meshsync/sim.h"

enum {
    NODES = 4,
    STARVED = 1,
    MEMORY_BYTES = 400, /* Beyond what is in use: no session comes up with it. */
    STEP_MS = 20,
    CUT_MS = 15000, /* All sessions with it have ended. */
    STARVED_MS = 120000,
    CONNECTIONS_MAX = 150, /* Without the waits: over 1,000. */
    SETTLE_MS = 90000,
    SPELLS = 10,     /* Waits that only doubled would come to 30 s. */
    SPELL_MS = 5000, /* At most, until a machine has failed. */
    SPELL_SETTLE_MS = 8000
};

static const meshsync_sim_collection collections[] = {
    {"reg", MESHSYNC_REGISTER, MESHSYNC_VIEW_LWW}};

static void links(meshsync_sim *sim, meshsync_status change(meshsync_sim *, meshsync_sim_pair))
{
    for (uint32_t i = 0; i < NODES; i++) {
        meshsync_sim_pair pair = {STARVED, i};
        assert_int_equal(i == STARVED ? MESHSYNC_OK : change(sim, pair), MESHSYNC_OK);
    }
}

static uint64_t made(meshsync_sim *sim, const meshsync_sim_stats *before)
{
    meshsync_sim_stats now = {.size = sizeof now};
    assert_int_equal(meshsync_sim_get_stats(sim, &now), MESHSYNC_OK);
    return now.connections - before->connections;
}

static meshsync_sim *begin(void)
{
    meshsync_sim *sim = NULL;
    meshsync_sim_options options;
    meshsync_error error = {0};
    meshsync_sim_options_init(&options, sizeof options);
    options.seed = 30;
    options.nodes_count = NODES;
    assert_int_equal(meshsync_sim_new(&options, &sim, &error), MESHSYNC_OK);
    if (meshsync_sim_begin(sim, collections, 1, &error) != MESHSYNC_OK) {
        fail_msg("%s", error.message);
    }
    return sim;
}

static void test_starved(void **state)
{
    meshsync_sim *sim = begin();
    meshsync_sim_stats before = {.size = sizeof before};
    meshsync_sim_stats after = {.size = sizeof after};
    meshsync_error error = {0};
    (void)state;
    assert_int_equal(meshsync_sim_get_stats(sim, &before), MESHSYNC_OK);
    links(sim, meshsync_sim_cut);
    assert_int_equal(meshsync_sim_run_for(sim, CUT_MS), MESHSYNC_OK);
    links(sim, meshsync_sim_heal);
    for (int ms = 0; ms < STARVED_MS && made(sim, &before) <= CONNECTIONS_MAX;
         ms += STEP_MS) { /* Others take what a new machine left. */
        bool up = meshsync_sim_node_is_up(sim, STARVED) != 0;
        uint64_t more_bytes = up ? MEMORY_BYTES : UINT64_MAX;
        assert_int_equal(meshsync_sim_memory_set(sim, STARVED, more_bytes), MESHSYNC_OK);
        assert_int_equal(meshsync_sim_run_for(sim, STEP_MS), MESHSYNC_OK);
    }
    assert_int_equal(meshsync_sim_get_stats(sim, &after), MESHSYNC_OK);
    (void)printf("%llu connections and %llu failures in %d s\n",
                 (unsigned long long)(after.connections - before.connections),
                 (unsigned long long)(after.memory_out - before.memory_out), STARVED_MS / 1000);
    assert_in_range(after.memory_out - before.memory_out, 3, CONNECTIONS_MAX);
    assert_in_range(after.connections - before.connections, 1, CONNECTIONS_MAX);

    assert_int_equal(meshsync_sim_memory_set(sim, STARVED, UINT64_MAX), MESHSYNC_OK);
    if (meshsync_sim_settle(sim, SETTLE_MS, &error) != MESHSYNC_OK) {
        fail_msg("%s", error.message);
    }
    meshsync_sim_free(sim);
}

static void put(meshsync_sim *sim, uint32_t node, int64_t number)
{
    meshsync_value value = meshsync_value_int(number);
    assert_int_equal(meshsync_sim_put(sim, node, "reg", "key", &value), MESHSYNC_OK);
}

static void test_starved_in_spells(void **state)
{
    meshsync_sim *sim = begin();
    meshsync_error error = {0};
    (void)state;
    for (int spell = 0; spell < SPELLS; spell++) {
        for (int ms = 0; ms < SPELL_MS && meshsync_sim_node_is_up(sim, STARVED) != 0;
             ms += STEP_MS) {
            put(sim, 0, spell);
            assert_int_equal(meshsync_sim_memory_set(sim, STARVED, 0), MESHSYNC_OK);
            assert_int_equal(meshsync_sim_run_for(sim, STEP_MS), MESHSYNC_OK);
        }
        assert_int_equal(meshsync_sim_node_is_up(sim, STARVED), 0);
        assert_int_equal(meshsync_sim_memory_set(sim, STARVED, UINT64_MAX), MESHSYNC_OK);
        meshsync_status status = MESHSYNC_E_TIMEOUT; /* A quiet phase would start the node. */
        for (int ms = 0; ms < SPELL_SETTLE_MS && status != MESHSYNC_OK; ms += STEP_MS) {
            assert_int_equal(meshsync_sim_run_for(sim, STEP_MS), MESHSYNC_OK);
            status = meshsync_sim_node_is_up(sim, STARVED) != 0
                         ? meshsync_sim_converged(sim, &error)
                         : MESHSYNC_E_TIMEOUT;
        }
        if (status != MESHSYNC_OK) {
            fail_msg("spell %d: %s", spell, error.message);
        }
    }
    meshsync_sim_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_starved),
                                       cmocka_unit_test(test_starved_in_spells)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
