/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shows that sequences of events that break naive designs do not break this one: each test tells
 * one story, on whole nodes in a simulated mesh.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/path.h"
#include "sim/forge.h"
#include "store/history.h"

enum { SETTLE_MS = 60000, DAY_MS = 86400000 };

static const meshsync_sim_collection collections[] = {
    {"reg", MESHSYNC_REGISTER, MESHSYNC_VIEW_LWW},
    {"counter", MESHSYNC_COUNTER, MESHSYNC_VIEW_LWW},
    {"set", MESHSYNC_SET, MESHSYNC_VIEW_LWW},
    {"map", MESHSYNC_MAP, MESHSYNC_VIEW_LWW}};

static meshsync_sim *sim;

/* --- telling --------------------------------------------------------------------------------- */

static void begin(uint64_t nodes_count)
{
    meshsync_sim_options options;
    meshsync_error error = {0};
    meshsync_sim_options_init(&options, sizeof options);
    options.seed = 7;
    options.nodes_count = nodes_count;
    assert_int_equal(meshsync_sim_new(&options, &sim, &error), MESHSYNC_OK);
    if (meshsync_sim_begin(sim, collections, sizeof collections / sizeof collections[0], &error) !=
        MESHSYNC_OK) {
        fail_msg("%s", error.message);
    }
}

static void end(void)
{
    meshsync_sim_free(sim);
    sim = NULL;
}

static void run(uint64_t ms)
{
    assert_int_equal(meshsync_sim_run_for(sim, ms), MESHSYNC_OK);
}

static void cut_all(void)
{
    for (uint32_t i = 0; i < sim->nodes_count; i++) {
        for (uint32_t k = 0; k < i; k++) {
            meshsync_sim_pair pair = {i, k};
            assert_int_equal(meshsync_sim_cut(sim, pair), MESHSYNC_OK);
        }
    }
}

static void heal(uint32_t a, uint32_t b)
{
    meshsync_sim_pair pair = {a, b};
    assert_int_equal(meshsync_sim_heal(sim, pair), MESHSYNC_OK);
}

static void settle(void)
{
    meshsync_error error = {0};
    if (meshsync_sim_settle(sim, SETTLE_MS, &error) != MESHSYNC_OK) {
        fail_msg("%s", error.message);
    }
}

static void verify_all(void)
{
    for (uint32_t i = 0; i < sim->nodes_count; i++) {
        meshsync_verify_report report = {.size = sizeof report};
        meshsync_error error = {0};
        if (meshsync_sim_verify(sim, i, &report, &error) != MESHSYNC_OK) {
            fail_msg("node %u: %s", i, error.message);
        }
    }
}

static void put(uint32_t node, const char *key, const char *text)
{
    meshsync_value value = {.type = MESHSYNC_VALUE_STRING, .bytes = msy_key_name(text)};
    assert_int_equal(meshsync_sim_put(sim, node, "reg", key, &value), MESHSYNC_OK);
    run(20);
}

static void add(uint32_t node, const char *key, int64_t delta)
{
    assert_int_equal(meshsync_sim_incr(sim, node, "counter", key, delta), MESHSYNC_OK);
    run(20);
}

/* A path of one or two parts. */
struct story_path {
    meshsync_bytes parts[2];
    meshsync_path path;
};

static const meshsync_path *path_of(struct story_path *path, const char *first, const char *second)
{
    path->parts[0] = msy_key_name(first);
    path->parts[1] = second != NULL ? msy_key_name(second) : msy_bytes(NULL, 0);
    path->path.parts = path->parts;
    path->path.parts_count = second != NULL ? 2 : 1;
    return &path->path;
}

enum story_act { STORY_DELETE, STORY_PUT, STORY_TOUCH, STORY_SET_ADD };

static void act(uint32_t node, enum story_act what, const char *collection, const char *first,
                const char *second)
{
    struct story_path path;
    meshsync_sim_txn *txn = NULL;
    meshsync_value value = {.type = MESHSYNC_VALUE_INT, .integer = (int64_t)node};
    meshsync_status status = meshsync_sim_txn_begin(sim, node, &txn);
    assert_int_equal(status, MESHSYNC_OK);
    (void)path_of(&path, first, second);
    switch (what) {
    case STORY_DELETE: status = meshsync_sim_txn_delete(txn, collection, &path.path, NULL); break;
    case STORY_PUT: status = meshsync_sim_txn_put(txn, collection, &path.path, &value, NULL); break;
    case STORY_TOUCH: status = meshsync_sim_txn_touch(txn, collection, &path.path); break;
    case STORY_SET_ADD: status = meshsync_sim_txn_set_add(txn, collection, &path.path); break;
    }
    assert_int_equal(status, MESHSYNC_OK);
    assert_int_equal(meshsync_sim_txn_commit(txn, MESHSYNC_SIM_PLAIN, NULL, NULL), MESHSYNC_OK);
    run(20);
}

static meshsync_status get(uint32_t node, const char *collection, const char *first,
                           const char *second, meshsync_entry *entry)
{
    struct story_path path;
    return meshsync_sim_get(sim, node, collection, path_of(&path, first, second), entry);
}

static void expect_text(uint32_t node, const char *key, const char *text)
{
    meshsync_entry entry;
    assert_int_equal(get(node, "reg", key, NULL, &entry), MESHSYNC_OK);
    assert_int_equal(entry.value.bytes.len, strlen(text));
    assert_memory_equal(entry.value.bytes.data, text, strlen(text));
}

static void expect_sum(uint32_t node, const char *key, int64_t sum)
{
    meshsync_entry entry;
    assert_int_equal(get(node, "counter", key, NULL, &entry), MESHSYNC_OK);
    assert_int_equal(entry.value.integer, sum);
}

static uint64_t changes_at(uint32_t node)
{
    meshsync_digest digest = {.size = sizeof digest};
    assert_int_equal(meshsync_sim_digest(sim, node, &digest), MESHSYNC_OK);
    return digest.changes;
}

/* --- S5 -------------------------------------------------------------------------------------- */

/* A faulty member has seen b's change, leaves it out of its causes, and kills its value. One
 * replica gets the kill before the value, another after it: the value is dead at both. */
static void test_kill_without_cause(void **state)
{
    static struct forge forge;
    static struct forged value;
    static struct forged kill;
    const struct forged *one = &value;
    const struct forged *two = &kill;
    const uint8_t nil = 0xc0;
    meshsync_entry entry;
    (void)state;
    begin(4);
    cut_all();
    put(2, "k", "doomed");
    forge_last_local(sim, 2, &value);
    forge_init(&forge, sim, 3);
    forge_kill(&forge, &value.tip, 0);
    forge_op(&forge, "reg", MSY_OP_ERASE, "k", NULL, msy_bytes(&nil, 1));
    forge_finish(&forge, &kill);
    assert_int_equal(forge_deliver(sim, 0, &two, 1).accepted, 1);
    assert_int_equal(forge_deliver(sim, 0, &one, 1).accepted, 1);
    assert_int_equal(forge_deliver(sim, 1, &one, 1).accepted, 1);
    assert_int_equal(get(1, "reg", "k", NULL, &entry), MESHSYNC_OK);
    assert_int_equal(forge_deliver(sim, 1, &two, 1).accepted, 1);
    assert_int_equal(get(0, "reg", "k", NULL, &entry), MESHSYNC_E_NOT_FOUND);
    assert_int_equal(get(1, "reg", "k", NULL, &entry), MESHSYNC_E_NOT_FOUND);
    settle();
    assert_int_equal(get(2, "reg", "k", NULL, &entry), MESHSYNC_E_NOT_FOUND);
    verify_all();
    forge_fini(&forge);
    end();
}

/* --- S6, S13: noticed ------------------------------------------------------------------------ */

/* A faulty member gives one number to two changes and hands each to another node. When the two
 * meet, both notice; and what has nothing to do with it goes on. */
static void test_fork_is_noticed(void **state)
{
    static struct forge forge;
    static struct forged left;
    static struct forged right;
    static struct msy_change_header first;
    const struct forged *one = &left;
    const struct forged *two = &right;
    meshsync_entry entry;
    (void)state;
    begin(4);
    cut_all();
    forge_init(&forge, sim, 3);
    first = forge.header;
    forge_put(&forge, "reg", "k", "left");
    forge_finish(&forge, &left);
    forge.header = first;
    forge_put(&forge, "reg", "k", "right");
    forge_finish(&forge, &right);
    assert_memory_equal(left.tip.actor.id, right.tip.actor.id, sizeof left.tip.actor.id);
    assert_int_equal(forge_deliver(sim, 0, &one, 1).accepted, 1);
    assert_int_equal(forge_deliver(sim, 1, &two, 1).accepted, 1);
    uint64_t alarms[2] = {sim->nodes[0]->alarms, sim->nodes[1]->alarms};
    assert_true(forge_deliver(sim, 0, &two, 1).alarms > 0);
    assert_true(forge_deliver(sim, 1, &one, 1).alarms > 0);
    assert_true(sim->nodes[0]->alarms > alarms[0] && sim->nodes[1]->alarms > alarms[1]);
    put(2, "other", "goes on");
    heal(0, 1);
    heal(0, 2);
    heal(1, 2);
    run(20000);
    expect_text(0, "other", "goes on");
    assert_int_equal(get(1, "reg", "other", NULL, &entry), MESHSYNC_OK);
    forge_fini(&forge);
    end();
}

/* A machine is resumed twice from one live snapshot: it meets changes in the name of its own
 * running epoch that it never made. It says so, and its next commit begins another epoch. */
static void test_live_snapshot_is_noticed(void **state)
{
    static struct forge forge;
    static struct forged twin;
    static struct forged mine;
    static struct forged next;
    const struct forged *one = &twin;
    (void)state;
    begin(2);
    cut_all();
    put(1, "k", "before the snapshot");
    forge_last_local(sim, 1, &mine);
    forge_init(&forge, sim, 1);
    forge_fork(&forge, &mine);
    forge_put(&forge, "reg", "k", "by the twin");
    forge_finish(&forge, &twin);
    assert_true(forge_deliver(sim, 1, &one, 1).alarms > 0);
    put(1, "k", "after");
    forge_last_local(sim, 1, &next);
    assert_memory_not_equal(next.tip.actor.id, mine.tip.actor.id, sizeof mine.tip.actor.id);
    assert_int_equal(next.tip.seq, 1);
    settle();
    expect_text(0, "k", "after");
    verify_all();
    forge_fini(&forge);
    end();
}

/* --- who may write ---------------------------------------------------------------------------- */

/* Somebody without invitation signs a change. It waits, unproven, at whoever gets it, and is
 * carried no further. When its device is let in, it counts everywhere. */
static void test_stranger_waits(void **state)
{
    static struct forge forge;
    static struct forged change;
    const struct forged *one = &change;
    struct forge_answer answer;
    meshsync_entry entry;
    meshsync_error error = {0};
    (void)state;
    begin(3);
    assert_int_equal(meshsync_sim_disk_lose(sim, 2, MESHSYNC_SIM_KEY_LOST, &error), MESHSYNC_OK);
    forge_init(&forge, sim, 2);
    forge_put(&forge, "reg", "k", "by a stranger");
    forge_finish(&forge, &change);
    answer = forge_deliver(sim, 0, &one, 1);
    assert_int_equal(answer.status, MESHSYNC_OK);
    assert_int_equal(answer.accepted, 0);
    assert_int_equal(answer.pending, 1);
    run(10000);
    assert_int_equal(get(0, "reg", "k", NULL, &entry), MESHSYNC_E_NOT_FOUND);
    assert_int_equal(get(1, "reg", "k", NULL, &entry), MESHSYNC_E_NOT_FOUND);
    assert_int_equal(meshsync_sim_space_join(sim, 2, &error), MESHSYNC_OK);
    settle();
    for (uint32_t i = 0; i < 3; i++) {
        expect_text(i, "k", "by a stranger");
    }
    verify_all();
    forge_fini(&forge);
    end();
}

/* --- S9 -------------------------------------------------------------------------------------- */

/* c5 has a bad signature, c6 over it a good one, so that c5 is proven by its successor. One peer
 * gets them in one stream, one singly, one in two streams that were cut between them with a
 * restart: the verdict is the same, and nobody is blamed for bringing them. */
static void test_proof_by_successor(void **state)
{
    static struct forge forge;
    static struct forged c[2];
    const struct forged *both[2] = {&c[0], &c[1]};
    struct forge_answer answer;
    meshsync_error error = {0};
    (void)state;
    begin(4);
    cut_all();
    forge_init(&forge, sim, 3);
    forge_put(&forge, "reg", "k5", "five");
    forge_finish(&forge, &c[0]);
    /* The signature is 64 bytes behind the header and the head of a bin. Its hash changes too. */
    size_t at = forge.change.header_bytes.len + 2;
    c[0].bytes[at + 40] ^= 1;
    msy_change_hash(&(const struct msy_hasher){.hash = msy_hash, .stream = msy_stream},
                    msy_bytes(c[0].bytes, forge.change.header_bytes.len), c[0].bytes + at,
                    c[0].tip.hash);
    forge_fork(&forge, &c[0]);
    forge_put(&forge, "reg", "k6", "six");
    forge_finish(&forge, &c[1]);

    answer = forge_deliver(sim, 0, both, 2);
    assert_int_equal(answer.status, MESHSYNC_OK);
    assert_int_equal(answer.accepted, 2);
    answer = forge_deliver(sim, 1, &both[0], 1);
    assert_int_equal(answer.status, MESHSYNC_OK);
    assert_int_equal(answer.pending, 1);
    answer = forge_deliver(sim, 1, &both[1], 1);
    assert_int_equal(answer.status, MESHSYNC_OK);
    assert_int_equal(answer.rejected, 0);
    answer = forge_deliver(sim, 2, &both[0], 1);
    assert_int_equal(answer.status, MESHSYNC_OK);
    assert_int_equal(meshsync_sim_crash(sim, 2, MESHSYNC_SIM_KILL), MESHSYNC_OK);
    assert_int_equal(meshsync_sim_restart(sim, 2, &error), MESHSYNC_OK);
    answer = forge_deliver(sim, 2, both, 2);
    assert_int_equal(answer.status, MESHSYNC_OK);
    for (uint32_t i = 0; i < 3; i++) {
        expect_text(i, "k5", "five");
        expect_text(i, "k6", "six");
    }
    settle();
    verify_all();
    forge_fini(&forge);
    end();
}

/* --- S10, S12: counters ---------------------------------------------------------------------- */

/* A adds 5; B, who saw it, removes the counter; meanwhile A adds 1: what is left is 1. */
static void test_counter_reset_spares_concurrent(void **state)
{
    (void)state;
    begin(3);
    add(0, "c", 5);
    settle();
    cut_all();
    act(1, STORY_DELETE, "counter", "c", NULL);
    add(0, "c", 1);
    expect_sum(0, "c", 6);
    settle();
    for (uint32_t i = 0; i < 3; i++) {
        expect_sum(i, "c", 1);
    }
    verify_all();
    end();
}

/* The folder of a node whose counter stands at 10 is copied; both copies run, add 1 and 2, and
 * meet: 13. */
static void test_counter_cloned(void **state)
{
    uint32_t clone = 0;
    meshsync_error error = {0};
    (void)state;
    begin(2);
    add(1, "c", 10);
    settle();
    cut_all();
    assert_int_equal(meshsync_sim_clone(sim, 1, &clone, &error), MESHSYNC_OK);
    add(1, "c", 1);
    add(clone, "c", 2);
    settle();
    for (uint32_t i = 0; i < sim->nodes_count; i++) {
        expect_sum(i, "c", 13);
    }
    verify_all();
    end();
}

/* --- S14 ------------------------------------------------------------------------------------- */

static uint32_t holders_of(uint32_t node, const struct msy_tip *tip)
{
    uint32_t count = 0;
    assert_int_equal(msy_mesh_holders(sim->nodes[node]->mesh, sim->nodes[node]->space, &tip->actor,
                                      tip->seq, &count),
                     MESHSYNC_OK);
    return count;
}

/* A relay has received a change and crashes before it is durable there. Whoever waits for a peer
 * that holds it durably has not counted the relay; it gets the change again and then counts. */
static void test_ack_is_durable(void **state)
{
    static struct forged change;
    meshsync_error error = {0};
    (void)state;
    begin(2);
    assert_int_equal(meshsync_sim_crash(sim, 1, MESHSYNC_SIM_KILL_BEFORE), MESHSYNC_OK);
    put(0, "k", "v");
    forge_last_local(sim, 0, &change);
    for (uint32_t i = 0; i < 200 && meshsync_sim_node_is_up(sim, 1) != 0; i++) {
        assert_int_equal(holders_of(0, &change.tip), 0);
        run(10);
    }
    assert_int_equal(meshsync_sim_node_is_up(sim, 1), 0);
    assert_int_equal(holders_of(0, &change.tip), 0);
    assert_int_equal(meshsync_sim_restart(sim, 1, &error), MESHSYNC_OK);
    run(SETTLE_MS);
    expect_text(1, "k", "v");
    assert_int_equal(holders_of(0, &change.tip), 1);
    end();
}

/* --- S15, S16: clocks ------------------------------------------------------------------------ */

/* A device's clock is years ahead for a second, and it writes. The others hold what it wrote and
 * are not held up themselves; their stamps stay near the present. */
static void test_clock_years_ahead(void **state)
{
    struct msy_replica_stats stats;
    static struct forged change;
    static struct msy_change_header header;
    meshsync_bytes header_bytes;
    meshsync_bytes body;
    const uint8_t *signature = NULL;
    meshsync_entry entry;
    (void)state;
    begin(3);
    assert_int_equal(meshsync_sim_clock_jump(sim, 2, INT64_C(2000) * DAY_MS), MESHSYNC_OK);
    put(2, "future", "from 2029");
    assert_int_equal(meshsync_sim_clock_jump(sim, 2, INT64_C(-2000) * DAY_MS), MESHSYNC_OK);
    run(10000);
    put(0, "k", "now");
    run(10000);
    expect_text(1, "k", "now");
    expect_text(2, "k", "now");
    assert_int_equal(get(0, "reg", "future", NULL, &entry), MESHSYNC_E_NOT_FOUND);
    msy_replica_get_stats(sim->nodes[0]->replica, &stats);
    assert_true(stats.changes_held > 0);
    forge_last_local(sim, 0, &change);
    assert_int_equal(msy_change_parse_header(msy_bytes(change.bytes, change.len), &header,
                                             &header_bytes, &signature, &body),
                     MESHSYNC_OK);
    assert_true(header.hlc >> 16 < sim->options.unix_ms + DAY_MS);
    end();
}

/* A device starts with its clock in 1970. The others take what it writes, and are not held up. */
static void test_clock_in_1970(void **state)
{
    (void)state;
    begin(3);
    assert_int_equal(meshsync_sim_clock_jump(sim, 2, -(int64_t)sim->options.unix_ms), MESHSYNC_OK);
    put(2, "old", "from 1970");
    put(0, "k", "now");
    run(10000);
    expect_text(0, "old", "from 1970");
    expect_text(1, "old", "from 1970");
    expect_text(1, "k", "now");
    expect_text(2, "k", "now"); /* Its own stored stamps tell it what time it is not. */
    settle();
    verify_all();
    end();
}

/* --- S18, S19: epochs ------------------------------------------------------------------------ */

/* An epoch was published up to 20. A backup taken at 10 opens another epoch. Q, who never saw 11 to
 * 20, takes the new epoch first, and then meets P: P sends Q 11 to 20. */
static void test_backup_opens_epoch(void **state)
{
    enum { A = 0, P = 1, Q = 2 };
    meshsync_error error = {0};
    char key[16];
    (void)state;
    begin(3);
    for (uint32_t i = 1; i <= 10; i++) {
        (void)snprintf(key, sizeof key, "k%u", i);
        put(A, key, "first epoch");
    }
    settle();
    assert_int_equal(meshsync_sim_backup(sim, A), MESHSYNC_OK);
    cut_all();
    heal(A, P);
    for (uint32_t i = 11; i <= 20; i++) {
        (void)snprintf(key, sizeof key, "k%u", i);
        put(A, key, "first epoch");
    }
    run(20000);
    expect_text(P, "k20", "first epoch");
    cut_all();
    assert_int_equal(meshsync_sim_restore(sim, A, &error), MESHSYNC_OK);
    put(A, "k11", "second epoch");
    heal(A, Q);
    run(30000);
    expect_text(Q, "k11", "second epoch");
    assert_int_equal(meshsync_sim_crash(sim, A, MESHSYNC_SIM_POWER), MESHSYNC_OK);
    heal(P, Q);
    run(60000);
    for (uint32_t i = 12; i <= 20; i++) {
        (void)snprintf(key, sizeof key, "k%u", i);
        expect_text(Q, key, "first epoch");
    }
    assert_int_equal(changes_at(P), changes_at(Q));
    settle();
    verify_all();
    end();
}

/* Two copies of one folder open two epochs with one ordinal; a device that lost its disk and kept
 * its key opens a second root. All that they write lives, and the vectors are right. */
static void test_epochs_of_one_device(void **state)
{
    uint32_t clone = 0;
    meshsync_error error = {0};
    (void)state;
    begin(3);
    put(1, "before", "x");
    settle();
    cut_all();
    assert_int_equal(meshsync_sim_clone(sim, 1, &clone, &error), MESHSYNC_OK);
    put(1, "one", "by the original");
    put(clone, "two", "by the copy");
    assert_int_equal(meshsync_sim_disk_lose(sim, 2, MESHSYNC_SIM_KEY_KEPT, &error), MESHSYNC_OK);
    assert_int_equal(meshsync_sim_space_join(sim, 2, &error), MESHSYNC_OK);
    settle();
    put(2, "three", "by the second root");
    settle();
    for (uint32_t i = 0; i < sim->nodes_count; i++) {
        expect_text(i, "one", "by the original");
        expect_text(i, "two", "by the copy");
        expect_text(i, "three", "by the second root");
    }
    verify_all();
    end();
}

/* --- S20 ------------------------------------------------------------------------------------- */

/* Two callers put one key in the same moment and share one change: the later wins, and neither
 * shows as a conflict. */
static void test_group_is_no_conflict(void **state)
{
    meshsync_entry entry;
    meshsync_value one = {.type = MESHSYNC_VALUE_STRING, .bytes = msy_key_name("one")};
    meshsync_value two = {.type = MESHSYNC_VALUE_STRING, .bytes = msy_key_name("two")};
    (void)state;
    begin(2);
    uint64_t before = changes_at(0);
    assert_int_equal(meshsync_sim_put(sim, 0, "reg", "k", &one), MESHSYNC_OK);
    assert_int_equal(meshsync_sim_put(sim, 0, "reg", "k", &two), MESHSYNC_OK);
    settle();
    assert_int_equal(changes_at(0), before + 1);
    for (uint32_t i = 0; i < 2; i++) {
        expect_text(i, "k", "two");
        assert_int_equal(get(i, "reg", "k", NULL, &entry), MESHSYNC_OK);
        assert_int_equal(entry.siblings_count, 1);
    }
    end();
}

/* A node meets more concurrent writers than one change may name as causes, and writes: a change
 * that only joins them comes first, and all arrives everywhere. */
static void test_many_heads(void **state)
{
    enum { WRITERS = 150 };
    static struct forge forge;
    static struct forged change;
    static struct forged last;
    const struct forged *one = &change;
    char key[16];
    (void)state;
    begin(3);
    uint64_t before = changes_at(1);
    forge_init(&forge, sim, 2);
    for (uint32_t i = 0; i < WRITERS; i++) {
        (void)snprintf(key, sizeof key, "w%u", i);
        forge_fork(&forge, NULL);
        forge_put(&forge, "reg", key, "one of many");
        forge_finish(&forge, &change);
        assert_int_equal(forge_deliver(sim, 0, &one, 1).accepted, 1);
    }
    put(0, "joined", "x");
    settle();
    forge_last_local(sim, 0, &last);
    assert_true(changes_at(1) > before + WRITERS + 1);
    for (uint32_t i = 0; i < 3; i++) {
        expect_text(i, "w0", "one of many");
        expect_text(i, "w149", "one of many");
        expect_text(i, "joined", "x");
    }
    verify_all();
    forge_fini(&forge);
    end();
}

/* Commits that wait together are more than one change may hold: they become several, and nothing
 * of them is missing. */
static void test_group_over_its_cap(void **state)
{
    enum { COMMITS = 6, PER_COMMIT = 1500 };
    meshsync_digest digest = {.size = sizeof digest};
    (void)state;
    begin(2);
    assert_int_equal(meshsync_sim_digest(sim, 0, &digest), MESHSYNC_OK);
    uint64_t entries = digest.entries;
    uint64_t changes = digest.changes;
    for (uint32_t i = 0; i < COMMITS; i++) {
        meshsync_sim_txn *txn = NULL;
        assert_int_equal(meshsync_sim_txn_begin(sim, 0, &txn), MESHSYNC_OK);
        for (uint32_t k = 0; k < PER_COMMIT; k++) {
            struct story_path path;
            char field[16];
            (void)snprintf(field, sizeof field, "e%u.%u", i, k);
            assert_int_equal(meshsync_sim_txn_set_add(txn, "set", path_of(&path, "s", field)),
                             MESHSYNC_OK);
        }
        assert_int_equal(meshsync_sim_txn_commit(txn, MESHSYNC_SIM_PLAIN, NULL, NULL), MESHSYNC_OK);
    }
    settle();
    assert_int_equal(meshsync_sim_digest(sim, 1, &digest), MESHSYNC_OK);
    assert_int_equal(digest.entries, entries + COMMITS * PER_COMMIT);
    assert_true(digest.changes > changes + 1 && digest.changes <= changes + COMMITS);
    verify_all();
    end();
}

/* --- S22, S23 -------------------------------------------------------------------------------- */

/* A member of a later version writes ops of a kind that nobody here knows. They are stored, carried
 * and counted in the digests like any other, and die like any other. */
static void test_unknown_kind(void **state)
{
    static struct forge forge;
    static struct forged odd;
    static struct forged gone;
    const struct forged *one = &odd;
    const struct forged *two = &gone;
    const uint8_t nil = 0xc0;
    const uint8_t payload[] = {0x93, 0x01, 0x02, 0xa1, 'x'}; /* [1, 2, "x"] */
    (void)state;
    begin(3);
    uint64_t before = changes_at(2);
    forge_init(&forge, sim, 1);
    forge_op(&forge, "reg", 77, "k", NULL, msy_bytes(payload, sizeof payload));
    forge_finish(&forge, &odd);
    assert_int_equal(forge_deliver(sim, 0, &one, 1).accepted, 1);
    settle();
    assert_int_equal(changes_at(2), before + 1);
    verify_all();
    forge_kill(&forge, &odd.tip, 0);
    forge_op(&forge, "reg", MSY_OP_ERASE, "k", NULL, msy_bytes(&nil, 1));
    forge_finish(&forge, &gone);
    assert_int_equal(forge_deliver(sim, 2, &two, 1).accepted, 1);
    settle();
    verify_all();
    forge_fini(&forge);
    end();
}

/* One writes a value at a, another concurrently a value at a.b: both live, a shows its value and b
 * its own, everywhere. Later one writes below a again: a is a map then. And of a map that one makes
 * and another removes without having seen it, the map stays. */
static void test_value_and_map(void **state)
{
    meshsync_entry entry;
    (void)state;
    begin(3);
    cut_all();
    act(0, STORY_PUT, "map", "a", NULL);
    act(1, STORY_PUT, "map", "a", "b");
    settle();
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(get(i, "map", "a", NULL, &entry), MESHSYNC_OK);
        assert_int_equal(entry.kind, 0);
        assert_int_equal(get(i, "map", "a", "b", &entry), MESHSYNC_OK);
        assert_int_equal(entry.kind, 0);
    }
    act(2, STORY_PUT, "map", "a", "c");
    settle();
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(get(i, "map", "a", NULL, &entry), MESHSYNC_OK);
        assert_int_equal(entry.kind, 3);
    }
    act(0, STORY_TOUCH, "map", "m", NULL);
    settle();
    cut_all();
    act(1, STORY_DELETE, "map", "m", NULL);
    act(0, STORY_TOUCH, "map", "m", NULL);
    settle();
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(get(i, "map", "m", NULL, &entry), MESHSYNC_OK);
        assert_int_equal(entry.kind, 3);
    }
    verify_all();
    end();
}

/* --- S24, S25: bounds ------------------------------------------------------------------------ */

/* A peer reads its catch-up at one byte per second. What its server keeps for it is bounded, and
 * the others are served as if it were not there. */
static void test_slow_reader(void **state)
{
    meshsync_sim_pair slow = {0, 2};
    meshsync_sim_pair other = {1, 2};
    meshsync_sim_link link = {.size = sizeof link, .bytes_per_s = 1};
    char text[256];
    (void)state;
    begin(3);
    assert_int_equal(meshsync_sim_cut(sim, other), MESHSYNC_OK);
    assert_int_equal(meshsync_sim_link_set(sim, slow, &link), MESHSYNC_OK);
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    for (uint32_t i = 0; i < 2000; i++) {
        char key[16];
        meshsync_value value = {.type = MESHSYNC_VALUE_STRING, .bytes = msy_key_name(text)};
        (void)snprintf(key, sizeof key, "k%u", i);
        assert_int_equal(meshsync_sim_put(sim, 0, "reg", key, &value), MESHSYNC_OK);
        run(1);
    }
    run(5000);
    assert_int_equal(changes_at(1), changes_at(0));
    size_t used = sim->alloc.bytes_used;
    run(3600000);
    assert_true(sim->alloc.bytes_used < used + 4 * (size_t)MSY_SESSION_OUT_BYTES_MAX);
    put(0, "last", "still fast");
    run(2000);
    expect_text(1, "last", "still fast");
    settle();
    end();
}

/* A faulty member floods a node with changes whose causes never come, as many as a change may name.
 * Honest changes are applied meanwhile, and what is kept of the flood is bounded. */
static void test_flood_of_fake_causes(void **state)
{
    static struct forge forge;
    static struct forged change;
    const struct forged *one = &change;
    (void)state;
    begin(3);
    size_t used = sim->alloc.bytes_used;
    forge_init(&forge, sim, 2);
    for (uint32_t i = 0; i < 3000; i++) {
        for (uint32_t k = 0; k < 40; k++) {
            struct msy_tip fake = {.seq = 1 + i};
            msy_prng_fill(&forge.prng, fake.actor.id, sizeof fake.actor.id);
            msy_prng_fill(&forge.prng, fake.hash, MSY_HEAD_HASH_BYTES);
            forge_cause(&forge, &fake);
        }
        forge_put(&forge, "reg", "fake", "x");
        forge_finish(&forge, &change);
        struct forge_answer answer = forge_deliver(sim, 0, &one, 1);
        assert_int_equal(answer.accepted, 0);
    }
    put(1, "k", "honest");
    run(2000);
    expect_text(0, "k", "honest");
    put(0, "l", "honest, too");
    run(2000);
    expect_text(1, "l", "honest, too");
    assert_true(sim->alloc.bytes_used < used + 2 * (size_t)MSY_PENDING_ACTOR_BYTES_MAX);
    forge_fini(&forge);
    end();
}

/* --- S26 ------------------------------------------------------------------------------------- */

/* A large map is removed while another node adds one field: the removal is one small change, and
 * the field lives. */
static void test_large_map_removed(void **state)
{
    enum { FIELDS = 100000, PER_TXN = 10000 };
    static struct forged removal;
    meshsync_entry entry;
    (void)state;
    begin(2);
    for (uint32_t i = 0; i < FIELDS; i += PER_TXN) {
        meshsync_sim_txn *txn = NULL;
        assert_int_equal(meshsync_sim_txn_begin(sim, 0, &txn), MESHSYNC_OK);
        for (uint32_t k = i; k < i + PER_TXN; k++) {
            struct story_path path;
            char field[16];
            meshsync_value value = {.type = MESHSYNC_VALUE_INT, .integer = (int64_t)k};
            (void)snprintf(field, sizeof field, "f%u", k);
            assert_int_equal(
                meshsync_sim_txn_put(txn, "map", path_of(&path, "big", field), &value, NULL),
                MESHSYNC_OK);
        }
        assert_int_equal(meshsync_sim_txn_commit(txn, MESHSYNC_SIM_PLAIN, NULL, NULL), MESHSYNC_OK);
        run(50);
    }
    settle();
    cut_all();
    act(0, STORY_DELETE, "map", "big", NULL);
    forge_last_local(sim, 0, &removal);
    assert_true(removal.len < 1024);
    act(1, STORY_PUT, "map", "big", "concurrent");
    settle();
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(get(i, "map", "big", "f77", &entry), MESHSYNC_E_NOT_FOUND);
        assert_int_equal(get(i, "map", "big", "concurrent", &entry), MESHSYNC_OK);
    }
    verify_all();
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_kill_without_cause),
                                       cmocka_unit_test(test_fork_is_noticed),
                                       cmocka_unit_test(test_live_snapshot_is_noticed),
                                       cmocka_unit_test(test_stranger_waits),
                                       cmocka_unit_test(test_proof_by_successor),
                                       cmocka_unit_test(test_counter_reset_spares_concurrent),
                                       cmocka_unit_test(test_counter_cloned),
                                       cmocka_unit_test(test_ack_is_durable),
                                       cmocka_unit_test(test_clock_years_ahead),
                                       cmocka_unit_test(test_clock_in_1970),
                                       cmocka_unit_test(test_backup_opens_epoch),
                                       cmocka_unit_test(test_epochs_of_one_device),
                                       cmocka_unit_test(test_group_is_no_conflict),
                                       cmocka_unit_test(test_many_heads),
                                       cmocka_unit_test(test_group_over_its_cap),
                                       cmocka_unit_test(test_unknown_kind),
                                       cmocka_unit_test(test_value_and_map),
                                       cmocka_unit_test(test_slow_reader),
                                       cmocka_unit_test(test_flood_of_fake_causes),
                                       cmocka_unit_test(test_large_map_removed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
