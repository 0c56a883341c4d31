/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shows that meetings are enough: nodes of which never more than two can talk at one time, some of
 * which never meet at all, agree in the end on everything that any of them wrote; that what was
 * removed stays removed whoever is met later; and that a carrier which loses its disk between two
 * meetings loses nobody's data that somebody still has. MESHSYNC_MEETINGS drawn courses (default
 * 20), each with a seed of its own from MESHSYNC_SEED on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <meshsync/sim.h>

enum { NODES_MAX = 6, MEETING_MS = 20000, ROUNDS_MAX = 200, KEYS = 12, WRITES = 60 };

static const meshsync_sim_collection collections[] = {{"reg", MESHSYNC_REGISTER, MESHSYNC_VIEW_LWW},
                                                      {"sum", MESHSYNC_COUNTER, MESHSYNC_VIEW_LWW}};

static meshsync_sim *sim;
static uint32_t nodes;

static void must(meshsync_status status, const meshsync_error *error)
{
    if (status != MESHSYNC_OK) {
        fail_msg("%s: %s", meshsync_strerror(status), error->message);
    }
}

static void begin(uint32_t nodes_count, uint64_t seed)
{
    meshsync_sim_options options;
    meshsync_error error = {0};
    meshsync_sim_options_init(&options, sizeof options);
    options.seed = seed;
    options.nodes_count = nodes_count;
    nodes = nodes_count;
    must(meshsync_sim_new(&options, &sim, &error), &error);
    must(meshsync_sim_begin(sim, collections, 2, &error), &error);
}

static void cut_all(void)
{
    for (uint32_t i = 0; i < nodes; i++) {
        for (uint32_t k = 0; k < nodes; k++) {
            const meshsync_sim_pair pair = {i, k};
            if (i != k) {
                assert_int_equal(meshsync_sim_cut(sim, pair), MESHSYNC_OK);
            }
        }
    }
}

/* Two come together for a while, and part. */
static void meet(uint32_t a, uint32_t b)
{
    const meshsync_sim_pair there = {a, b};
    const meshsync_sim_pair back = {b, a};
    assert_int_equal(meshsync_sim_heal(sim, there), MESHSYNC_OK);
    assert_int_equal(meshsync_sim_heal(sim, back), MESHSYNC_OK);
    assert_int_equal(meshsync_sim_dial(sim, there), MESHSYNC_OK);
    assert_int_equal(meshsync_sim_run_for(sim, MEETING_MS), MESHSYNC_OK);
    assert_int_equal(meshsync_sim_cut(sim, there), MESHSYNC_OK);
    assert_int_equal(meshsync_sim_cut(sim, back), MESHSYNC_OK);
}

static void put(uint32_t node, const char *key, int64_t number)
{
    const meshsync_value value = {.type = MESHSYNC_VALUE_INT, .integer = number};
    assert_int_equal(meshsync_sim_put(sim, node, "reg", key, &value), MESHSYNC_OK);
    assert_int_equal(meshsync_sim_run_for(sim, 20), MESHSYNC_OK);
}

static meshsync_path path_of(meshsync_bytes *part, const char *key)
{
    part->data = (const uint8_t *)key;
    part->len = strlen(key);
    return (meshsync_path){part, 1};
}

static void take_out(uint32_t node, const char *key)
{
    meshsync_bytes part;
    meshsync_sim_txn *txn = NULL;
    const meshsync_path path = path_of(&part, key);
    assert_int_equal(meshsync_sim_txn_begin(sim, node, &txn), MESHSYNC_OK);
    assert_int_equal(meshsync_sim_txn_delete(txn, "reg", &path, NULL), MESHSYNC_OK);
    assert_int_equal(meshsync_sim_txn_commit(txn, MESHSYNC_SIM_PLAIN, NULL, NULL), MESHSYNC_OK);
    assert_int_equal(meshsync_sim_run_for(sim, 20), MESHSYNC_OK);
}

static void add(uint32_t node, int64_t delta)
{
    assert_int_equal(meshsync_sim_incr(sim, node, "sum", "s", delta), MESHSYNC_OK);
    assert_int_equal(meshsync_sim_run_for(sim, 20), MESHSYNC_OK);
}

static meshsync_status look(uint32_t node, const char *collection, const char *key,
                            meshsync_entry *entry)
{
    meshsync_bytes part;
    const meshsync_path path = path_of(&part, key);
    return meshsync_sim_get(sim, node, collection, &path, entry);
}

static void expect(uint32_t node, const char *key, int64_t number)
{
    meshsync_entry entry;
    assert_int_equal(look(node, "reg", key, &entry), MESHSYNC_OK);
    assert_int_equal(entry.value.integer, number);
}

static bool same(uint32_t a, uint32_t b)
{
    meshsync_digest left = {.size = sizeof left};
    meshsync_digest right = {.size = sizeof right};
    assert_int_equal(meshsync_sim_digest(sim, a, &left), MESHSYNC_OK);
    assert_int_equal(meshsync_sim_digest(sim, b, &right), MESHSYNC_OK);
    return memcmp(left.digest, right.digest, sizeof left.digest) == 0;
}

static bool all_same(void)
{
    bool equal = true;
    for (uint32_t i = 1; i < nodes; i++) {
        equal = equal && same(0, i);
    }
    return equal;
}

/* A and C never meet; B meets each in turn. */
static void a_carrier_between_two(void **state)
{
    meshsync_entry entry;
    meshsync_error error = {0};
    (void)state;
    begin(3, 11);
    cut_all();
    put(0, "of a", 1);
    put(0, "gone", 1);
    put(2, "of c", 2);
    add(0, 5);
    add(2, 7);
    meet(1, 0);
    expect(1, "of a", 1);
    meet(1, 2); /* C gets what A wrote, A being away. */
    expect(2, "of a", 1);
    expect(1, "of c", 2);
    take_out(2, "gone");
    put(2, "of a", 3);
    meet(2, 1);
    meet(1, 0);
    assert_int_equal(look(0, "reg", "gone", &entry), MESHSYNC_E_NOT_FOUND);
    expect(0, "of a", 3);
    expect(0, "of c", 2);
    assert_true(all_same());
    assert_int_equal(look(0, "sum", "s", &entry), MESHSYNC_OK);
    assert_int_equal(entry.value.integer, 12);

    /* The carrier's disk is lost on the way: what it brought is not, what it fetched is fetched
     * again, and nothing that was removed comes back with it. */
    put(0, "late", 9);
    meet(1, 0);
    must(meshsync_sim_disk_lose(sim, 1, MESHSYNC_SIM_KEY_KEPT, &error), &error);
    must(meshsync_sim_space_join(sim, 1, &error), &error);
    meet(1, 2);
    assert_int_equal(look(2, "reg", "late", &entry), MESHSYNC_E_NOT_FOUND);
    meet(1, 0);
    meet(1, 2);
    expect(2, "late", 9);
    assert_int_equal(look(1, "reg", "gone", &entry), MESHSYNC_E_NOT_FOUND);
    assert_true(all_same());
    meshsync_sim_free(sim);
}

/* Of a ring of four only neighbours meet, one pair at a time: what one side of it removes is gone
 * at the other, though another carrier still had it. */
static void two_ways_around(void **state)
{
    meshsync_entry entry;
    (void)state;
    begin(4, 12);
    cut_all();
    put(0, "k", 1);
    meet(0, 1);
    meet(0, 3);
    take_out(0, "k");
    meet(0, 1);
    meet(1, 2); /* The removal comes first, */
    meet(3, 2); /* then he who still had it. */
    assert_int_equal(look(2, "reg", "k", &entry), MESHSYNC_E_NOT_FOUND);
    assert_int_equal(look(3, "reg", "k", &entry), MESHSYNC_E_NOT_FOUND);
    meet(2, 1);
    meet(3, 0);
    assert_true(all_same());
    meshsync_sim_free(sim);
}

/* Nobody was told of anybody: beacons on the local network are all they have. One is out of reach
 * at first, one crashes, one comes later. */
static void a_local_network(void **state)
{
    meshsync_sim_options options;
    meshsync_error error = {0};
    uint32_t late = 0;
    (void)state;
    meshsync_sim_options_init(&options, sizeof options);
    options.seed = 13;
    options.nodes_count = nodes = 5;
    must(meshsync_sim_new(&options, &sim, &error), &error);
    must(meshsync_sim_space_create(sim, 0, &error), &error);
    must(meshsync_sim_collection_create(sim, 0, &collections[0], &error), &error);
    for (uint32_t i = 0; i < nodes; i++) {
        const meshsync_sim_pair apart = {i, 4};
        assert_int_equal(i < 4 ? meshsync_sim_cut(sim, apart) : MESHSYNC_OK, MESHSYNC_OK);
        assert_int_equal(meshsync_sim_lan(sim, i), MESHSYNC_OK);
    }
    for (uint32_t i = 1; i < nodes; i++) {
        must(meshsync_sim_space_join(sim, i, &error), &error);
    }
    assert_int_equal(meshsync_sim_run_for(sim, MEETING_MS), MESHSYNC_OK);
    put(0, "k", 1);
    assert_int_equal(meshsync_sim_run_for(sim, MEETING_MS), MESHSYNC_OK);
    expect(3, "k", 1);
    assert_false(same(0, 4));
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(meshsync_sim_heal(sim, (meshsync_sim_pair){i, 4}), MESHSYNC_OK);
    }
    assert_int_equal(meshsync_sim_crash(sim, 0, MESHSYNC_SIM_POWER), MESHSYNC_OK);
    must(meshsync_sim_node_add(sim, &late, &error), &error);
    assert_int_equal(meshsync_sim_lan(sim, late), MESHSYNC_OK);
    must(meshsync_sim_space_join(sim, late, &error), &error);
    /* Who knows somebody already beacons once in a minute. */
    assert_int_equal(meshsync_sim_run_for(sim, 5 * MEETING_MS), MESHSYNC_OK);
    expect(4, "k", 1);
    expect(late, "k", 1);
    must(meshsync_sim_restart(sim, 0, &error), &error);
    must(meshsync_sim_settle(sim, 5 * MEETING_MS, &error), &error);
    meshsync_sim_free(sim);
}

static void write_something(uint32_t node)
{
    char key[16];
    (void)snprintf(key, sizeof key, "k%u", (unsigned)meshsync_sim_draw(sim, KEYS));
    uint64_t what = meshsync_sim_draw(sim, 4);
    if (what == 0) {
        add(node, (int64_t)meshsync_sim_draw(sim, 100));
    } else if (what == 1) {
        take_out(node, key);
    } else {
        put(node, key, (int64_t)meshsync_sim_draw(sim, 1000));
    }
}

/* Everybody meets somebody, never two pairs at a time; after the last write enough meetings in any
 * order bring all together. Returns how many it took. */
static uint32_t drawn_course(uint64_t seed)
{
    uint32_t rounds = 0;
    begin((uint32_t)(3 + seed % (NODES_MAX - 2)), seed);
    cut_all();
    for (uint32_t i = 0; i < WRITES; i++) {
        write_something((uint32_t)meshsync_sim_draw(sim, nodes));
        if (meshsync_sim_draw(sim, 4) == 0) {
            uint32_t a = (uint32_t)meshsync_sim_draw(sim, nodes);
            meet(a, (a + 1 + (uint32_t)meshsync_sim_draw(sim, nodes - 1)) % nodes);
        }
    }
    while (rounds < ROUNDS_MAX && !all_same()) {
        uint32_t a = (uint32_t)meshsync_sim_draw(sim, nodes);
        meet(a, (a + 1) % nodes); /* On a ring: most never meet. */
        rounds += 1;
    }
    assert_true(all_same());
    for (uint32_t i = 0; i < nodes; i++) {
        meshsync_verify_report report = {.size = sizeof report};
        meshsync_error error = {0};
        must(meshsync_sim_verify(sim, i, &report, &error), &error);
    }
    meshsync_sim_free(sim);
    return rounds;
}

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text == NULL || text[0] == '\0' ? otherwise : strtoull(text, NULL, 10);
}

static void drawn_courses(void **state)
{
    uint64_t first = number_of("MESHSYNC_SEED", 1);
    uint64_t count = number_of("MESHSYNC_MEETINGS", 20);
    uint32_t most = 0;
    uint64_t total = 0;
    (void)state;
    for (uint64_t i = 0; i < count; i++) {
        uint32_t rounds = drawn_course(first + i);
        most = rounds > most ? rounds : most;
        total += rounds;
    }
    printf("%llu courses from seed %llu, %d writes each: %llu meetings after the last write, at "
           "most %u\n",
           (unsigned long long)count, (unsigned long long)first, WRITES, (unsigned long long)total,
           most);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_carrier_between_two), cmocka_unit_test(two_ways_around),
        cmocka_unit_test(a_local_network), cmocka_unit_test(drawn_courses)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
