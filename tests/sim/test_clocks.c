/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shows what a node does whose clock is far off: it says so, commits nothing that its peers would
 * hold back, is not held up itself, and holds up nobody; and that nobody follows one wrong clock.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "sim/cluster.h"
#include "store/schema.h"

enum { SETTLE_MS = 60000, LOOK_MS = 15000, MINUTE_MS = 60000 };

static const meshsync_sim_collection collections[] = {
    {"reg", MESHSYNC_REGISTER, MESHSYNC_VIEW_LWW}};

static meshsync_sim *sim;

static void begin(uint64_t nodes_count)
{
    meshsync_sim_options options;
    meshsync_error error = {0};
    meshsync_sim_options_init(&options, sizeof options);
    options.seed = 16;
    options.nodes_count = nodes_count;
    assert_int_equal(meshsync_sim_new(&options, &sim, &error), MESHSYNC_OK);
    if (meshsync_sim_begin(sim, collections, 1, &error) != MESHSYNC_OK) {
        fail_msg("%s", error.message);
    }
}

static void run(uint64_t ms)
{
    assert_int_equal(meshsync_sim_run_for(sim, ms), MESHSYNC_OK);
}

static void jump(uint32_t node, int64_t ms)
{
    assert_int_equal(meshsync_sim_clock_jump(sim, node, ms), MESHSYNC_OK);
}

/* All equal, whole, and nothing held. */
static void settle_and_end(void)
{
    meshsync_error error = {0};
    if (meshsync_sim_settle(sim, SETTLE_MS, &error) != MESHSYNC_OK) {
        fail_msg("%s", error.message);
    }
    for (uint32_t i = 0; i < sim->nodes_count; i++) {
        meshsync_verify_report report = {.size = sizeof report};
        assert_int_equal(meshsync_sim_verify(sim, i, &report, &error), MESHSYNC_OK);
    }
    meshsync_sim_free(sim);
    sim = NULL;
}

static void answered(void *user, meshsync_status status, const meshsync_token *token)
{
    (void)token;
    *(meshsync_status *)user = status;
}

static meshsync_status put(uint32_t node, const char *key, const char *text)
{
    meshsync_status outcome = MESHSYNC_E_TIMEOUT;
    meshsync_sim_txn *txn = NULL;
    meshsync_bytes part = msy_key_name(key);
    meshsync_path path = {.parts = &part, .parts_count = 1};
    meshsync_value value = {.type = MESHSYNC_VALUE_STRING, .bytes = msy_key_name(text)};
    assert_int_equal(meshsync_sim_txn_begin(sim, node, &txn), MESHSYNC_OK);
    assert_int_equal(meshsync_sim_txn_put(txn, "reg", &path, &value, NULL), MESHSYNC_OK);
    assert_int_equal(meshsync_sim_txn_commit(txn, MESHSYNC_SIM_PLAIN, answered, &outcome),
                     MESHSYNC_OK);
    run(100);
    return outcome;
}

static bool has(uint32_t node, const char *key, const char *text)
{
    meshsync_entry entry;
    meshsync_bytes part = msy_key_name(key);
    meshsync_path path = {.parts = &part, .parts_count = 1};
    return meshsync_sim_get(sim, node, "reg", &path, &entry) == MESHSYNC_OK &&
           entry.value.bytes.len == strlen(text) &&
           memcmp(entry.value.bytes.data, text, strlen(text)) == 0;
}

/* A new node whose clock stands at 1970 dials node 0 and joins. */
static uint32_t newcomer_in_1970(void)
{
    meshsync_error error = {0};
    uint32_t node = 0;
    assert_int_equal(meshsync_sim_node_add(sim, &node, &error), MESHSYNC_OK);
    assert_int_equal(
        meshsync_sim_clock_jump(sim, node, -(int64_t)(sim->options.unix_ms + sim->now_us / 1000)),
        MESHSYNC_OK);
    assert_int_equal(meshsync_sim_dial(sim, (meshsync_sim_pair){node, 0}), MESHSYNC_OK);
    assert_int_equal(meshsync_sim_space_join(sim, node, &error), MESHSYNC_OK);
    return node;
}

static uint64_t alarms(uint32_t node)
{
    return sim->nodes[node]->alarms;
}

/* ---- Stories ---- */

/* S16. A device starts with its clock in 1970 among normal peers, and knows no other stamps: it
 * joins, takes what they write, is heard, and says once what is wrong. */
static void test_starts_in_1970(void **state)
{
    (void)state;
    begin(2);
    assert_int_equal(put(0, "k", "now"), MESHSYNC_OK);
    uint32_t late = newcomer_in_1970();
    run(LOOK_MS);
    assert_true(has(late, "k", "now"));
    assert_int_equal(put(late, "old", "from 1970"), MESHSYNC_OK);
    run(LOOK_MS);
    assert_true(has(0, "old", "from 1970") && has(1, "old", "from 1970"));
    assert_int_equal(alarms(late), 1);
    assert_int_equal(alarms(0) + alarms(1), 0);
    assert_int_equal(put(0, "k", "later"), MESHSYNC_OK);
    assert_int_equal(put(1, "l", "later"), MESHSYNC_OK);
    jump(late, (int64_t)sim->options.unix_ms);
    run(LOOK_MS);
    assert_int_equal(put(late, "old", "right"), MESHSYNC_OK);
    assert_int_equal(alarms(late), 1);
    settle_and_end();
}

/* Of two nodes one starts in 1970. The other has nobody else to ask, and is not held up: a clock
 * that was never set is no clock. */
static void test_pair_with_1970(void **state)
{
    (void)state;
    begin(1);
    assert_int_equal(put(0, "k", "now"), MESHSYNC_OK);
    uint32_t late = newcomer_in_1970();
    run(LOOK_MS);
    assert_true(has(late, "k", "now"));
    assert_int_equal(put(0, "k", "later"), MESHSYNC_OK);
    assert_int_equal(alarms(0), 0);
    assert_int_equal(alarms(late), 1);
    settle_and_end();
}

/* A clock goes ten minutes ahead. Its node refuses to commit, with the error that is for it, until
 * the clock is right; it still takes what others write, and they go on. */
static void test_refuses_ahead(void **state)
{
    (void)state;
    begin(3);
    assert_int_equal(put(2, "k", "before"), MESHSYNC_OK);
    jump(2, 10 * MINUTE_MS);
    run(LOOK_MS);
    assert_int_equal(put(2, "k", "ahead"), MESHSYNC_E_CLOCK);
    assert_int_equal(put(0, "l", "now"), MESHSYNC_OK);
    assert_int_equal(put(1, "m", "now"), MESHSYNC_OK);
    run(LOOK_MS);
    assert_true(has(2, "l", "now") && has(2, "m", "now") && has(2, "k", "before"));
    assert_int_equal(alarms(2), 1);
    assert_int_equal(alarms(0) + alarms(1), 0);
    jump(2, -10 * MINUTE_MS);
    run(LOOK_MS);
    assert_int_equal(put(2, "k", "after"), MESHSYNC_OK);
    run(LOOK_MS);
    assert_true(has(0, "k", "after") && has(1, "k", "after"));
    settle_and_end();
}

/* Half the limit is no reason for anything. */
static void test_within_the_limit(void **state)
{
    (void)state;
    begin(3);
    jump(2, MINUTE_MS / 2 + 10000);
    run(LOOK_MS);
    assert_int_equal(put(2, "k", "a little ahead"), MESHSYNC_OK);
    run(LOOK_MS);
    assert_true(has(0, "k", "a little ahead"));
    assert_int_equal(alarms(0) + alarms(1) + alarms(2), 0);
    settle_and_end();
}

/* Two nodes whose clocks differ cannot know whose is wrong: both say so, both go on. */
static void test_pair_apart(void **state)
{
    (void)state;
    begin(2);
    jump(1, 10 * MINUTE_MS);
    run(LOOK_MS);
    assert_int_equal(put(0, "k", "now"), MESHSYNC_OK);
    assert_int_equal(put(1, "l", "ahead"), MESHSYNC_OK);
    assert_int_equal(alarms(0), 1);
    assert_int_equal(alarms(1), 1);
    jump(1, -10 * MINUTE_MS);
    run(15 * MINUTE_MS);
    settle_and_end();
}

/* Away from its peers a node writes with a clock that is a day ahead. They hold that, whatever it
 * says the time is: one clock is not the middle of three. */
static void test_nobody_follows(void **state)
{
    static const int64_t day_ms = 24 * 60 * MINUTE_MS;
    struct msy_replica_stats stats;
    (void)state;
    begin(4);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(meshsync_sim_cut(sim, (meshsync_sim_pair){3, i}), MESHSYNC_OK);
    }
    run(20000);
    jump(3, day_ms);
    assert_int_equal(put(3, "k", "tomorrow"), MESHSYNC_OK);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(meshsync_sim_heal(sim, (meshsync_sim_pair){3, i}), MESHSYNC_OK);
    }
    run(60000);
    for (uint32_t i = 0; i < 3; i++) {
        msy_replica_get_stats(sim->nodes[i]->replica, &stats);
        assert_int_equal(stats.changes_held, 1);
        assert_false(has(i, "k", "tomorrow"));
        assert_int_equal(alarms(i), 0);
        assert_int_equal(put(i, "k", "today"), MESHSYNC_OK);
    }
    assert_int_equal(put(3, "k", "tomorrow again"), MESHSYNC_E_CLOCK);
    assert_int_equal(alarms(3), 1);
    meshsync_sim_free(sim);
    sim = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_starts_in_1970), cmocka_unit_test(test_pair_with_1970),
        cmocka_unit_test(test_refuses_ahead),  cmocka_unit_test(test_within_the_limit),
        cmocka_unit_test(test_pair_apart),     cmocka_unit_test(test_nobody_follows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
