/* SPDX-License-Identifier: Apache-2.0 */
/* Concurrent work: the same keys written on both sides of a cut and healed, where both values must
 * stay visible, against a loop that copies as many; and counters that many nodes add to at once,
 * whose sums must be exact, against what two nodes replicate. */
#include <stdio.h>
#include <stdlib.h>

#include <uv.h>

#include "bare.h"
#include "mesh.h"
#include "own.h"

enum { HEAL_NODES = 5, HEAL_COUNTERS = 100, HEAL_ROUNDS = 3 };
/* In one transaction, and of these in flight at one node. */
enum { HEAL_ADDS = 1000, HEAL_FLIGHTS = 100 };

struct heal {
    struct kit_options options;
    struct mesh_node nodes[HEAL_NODES];
    struct bare_pair *bare;
    uint64_t round;
};

/* Everything that conflicts in the space. */
static uint64_t heal_conflicts(const struct mesh_node *node)
{
    meshsync_error error = {0};
    meshsync_snapshot *snapshot = NULL;
    meshsync_scan *scan = NULL;
    meshsync_entry entry;
    uint64_t count = 0;
    kit_ok(meshsync_snapshot_open(node->space, &snapshot, &error), &error, "snapshot");
    kit_ok(meshsync_conflicts_open(snapshot, &scan, &error), &error, "conflicts");
    while (meshsync_scan_next(scan, &entry, &error) == MESHSYNC_OK) {
        count += entry.siblings_count == 2 ? 1 : 0;
    }
    meshsync_scan_close(scan);
    meshsync_snapshot_close(snapshot);
    return count;
}

/* Row 10: from when the second is there again until each shows what the other wrote. */
static double heal_cut(struct heal *heal)
{
    uint64_t keys = heal->options.puts;
    mesh_offline(&heal->nodes[1]);
    heal->round += 1;
    for (int i = 0; i < 2; i++) { /* A put's value is that of its number: told apart by author. */
        mesh_flow(&heal->nodes[i], heal->round, 0, keys, heal->options.batch);
    }
    double start_s = kit_now_s();
    mesh_online(&heal->nodes[1]);
    mesh_wait(&heal->nodes[1], &heal->nodes[0]);
    mesh_wait(&heal->nodes[0], &heal->nodes[1]);
    double seconds = kit_now_s() - start_s;
    for (int i = 0; i < 2; i++) {
        if (heal_conflicts(&heal->nodes[i]) != keys * heal->round) {
            kit_fail("healing", "not both values of each key are there");
        }
    }
    return seconds;
}

static double heal_bare(struct heal *heal)
{
    double start_s = kit_now_s();
    for (uint64_t first = 0; first < heal->options.puts * 2; first += heal->options.batch) {
        bare_pair_put(heal->bare, heal->round, first, heal->options.batch);
    }
    bare_pair_wait(heal->bare);
    return kit_now_s() - start_s;
}

static void heal_report(const char *what, const char *unit, const char *against, uint64_t n,
                        struct kit_figures *bare, struct kit_figures *own)
{
    const struct kit_report report = {.bench = "heal",
                                      .what = what,
                                      .unit = unit,
                                      .against = against,
                                      .n = n,
                                      .larger_is_better = unit[0] == 'o',
                                      .bare = bare,
                                      .meshsync = own};
    kit_print(&report);
}

static void heal_cuts(struct heal *heal)
{
    struct kit_figures bare = {0};
    struct kit_figures own = {0};
    mesh_open_all(heal->nodes, 2);
    heal->bare = bare_pair_open();
    for (int i = 0; i < HEAL_ROUNDS; i++) {
        kit_add(&own, heal_cut(heal) * 1000);
        kit_add(&bare, heal_bare(heal) * 1000);
    }
    bare_pair_close(heal->bare);
    mesh_close_all(heal->nodes, 2);
    heal_report("keys written on both sides of a cut", "ms",
                "libuv, msgpack and LMDB copying as many, committing them too", heal->options.puts,
                &bare, &own);
}

/* ---- Counters ---- */

struct heal_adder {
    struct heal *heal;
    struct mesh_node *node;
    uint64_t adds;
};

static void heal_done(void *user, meshsync_status status, const meshsync_token *token,
                      const meshsync_error *error)
{
    (void)token;
    kit_ok(status, error, "asynchronous commit");
    uv_sem_post(user);
}

static void heal_counter(uint64_t number, char name[16], meshsync_bytes *part)
{
    int len = snprintf(name, 16, "counter %u", (unsigned)(number % HEAL_COUNTERS));
    *part = (meshsync_bytes){(const uint8_t *)name, (size_t)len};
}

/* A node's share, in transactions that do not wait for each other. */
static void heal_add(void *user)
{
    struct heal_adder *adder = user;
    uint64_t batch = adder->heal->options.batch;
    meshsync_error error = {0};
    uv_sem_t room;
    if (uv_sem_init(&room, HEAL_FLIGHTS) != 0) {
        kit_fail("uv_sem_init", "failed");
    }
    for (uint64_t first = 0; first < adder->adds; first += batch) {
        meshsync_txn *txn = NULL;
        uv_sem_wait(&room);
        kit_ok(meshsync_txn_begin(adder->node->space, &txn, &error), &error, "begin");
        for (uint64_t i = first; i < first + batch; i++) {
            char name[16];
            meshsync_bytes part;
            heal_counter(i, name, &part);
            meshsync_path path = {&part, 1};
            kit_ok(meshsync_txn_add(txn, "sums", &path, 1, &error), &error, "add");
        }
        kit_ok(meshsync_txn_commit_async(txn, NULL, heal_done, &room, &error), &error, "commit");
    }
    for (int i = 0; i < HEAL_FLIGHTS; i++) {
        uv_sem_wait(&room);
    }
    uv_sem_destroy(&room);
}

static void heal_check_sums(const struct mesh_node *node, uint64_t expected)
{
    meshsync_error error = {0};
    meshsync_snapshot *snapshot = NULL;
    int64_t sum = 0;
    kit_ok(meshsync_snapshot_open(node->space, &snapshot, &error), &error, "snapshot");
    for (uint64_t i = 0; i < HEAL_COUNTERS; i++) {
        char name[16];
        meshsync_entry entry;
        meshsync_bytes part;
        heal_counter(i, name, &part);
        meshsync_path path = {&part, 1};
        kit_ok(meshsync_get(snapshot, "sums", &path, &entry, &error), &error, "get");
        sum += entry.value.integer;
    }
    meshsync_snapshot_close(snapshot);
    if (sum != (int64_t)expected) {
        kit_fail("counters", "the sum is not exact");
    }
}

/* Increments applied per second, over all nodes: each is applied at each of them. */
static double heal_counters(struct heal *heal, uint64_t total)
{
    static struct heal_adder adders[HEAL_NODES];
    uv_thread_t threads[HEAL_NODES];
    double start_s = kit_now_s();
    for (int i = 0; i < HEAL_NODES; i++) {
        adders[i] = (struct heal_adder){heal, &heal->nodes[i], total / HEAL_NODES};
        if (uv_thread_create(&threads[i], heal_add, &adders[i]) != 0) {
            kit_fail("uv_thread_create", "failed");
        }
    }
    for (int i = 0; i < HEAL_NODES; i++) {
        (void)uv_thread_join(&threads[i]);
    }
    for (int i = 0; i < HEAL_NODES; i++) {
        for (int k = 0; k < HEAL_NODES; k++) {
            mesh_wait(&heal->nodes[i], &heal->nodes[k]);
        }
    }
    return (double)(total * HEAL_NODES) / (kit_now_s() - start_s);
}

static double heal_live(struct heal *heal)
{
    uint64_t puts = heal->options.puts * 2;
    double start_s = kit_now_s();
    heal->round += 1;
    mesh_flow(&heal->nodes[0], heal->round, 0, puts, heal->options.batch);
    mesh_wait(&heal->nodes[1], &heal->nodes[0]);
    return (double)puts / (kit_now_s() - start_s);
}

/* Row 11, beside row 5 between two nodes. */
static void heal_count(struct heal *heal, uint64_t total)
{
    struct kit_figures live = {0};
    struct kit_figures own = {0};
    mesh_open_all(heal->nodes, 2);
    for (int i = 0; i < HEAL_ROUNDS; i++) {
        kit_add(&live, heal_live(heal));
    }
    mesh_close_all(heal->nodes, 2);
    mesh_open_all(heal->nodes, HEAL_NODES);
    for (uint64_t i = 1; i <= HEAL_ROUNDS; i++) {
        kit_add(&own, heal_counters(heal, total));
        for (int k = 0; k < HEAL_NODES; k++) {
            heal_check_sums(&heal->nodes[k], total * i);
        }
    }
    mesh_close_all(heal->nodes, HEAL_NODES);
    heal_report("increments of 5 nodes", "ops/s", "puts from one node to another, pipelined", total,
                &live, &own);
}

int main(int argc, char **argv)
{
    static struct heal heal = {
        .options = {.puts = 10000, .batch = 1000, .single = 10, .rounds = 5}};
    kit_options(argc, argv, &heal.options);
    if (heal.options.sorted == 0) {
        heal_cuts(&heal);
        heal_count(&heal, heal.options.puts * 2 * HEAL_NODES);
    } else { /* The counters alone, with more of them beside as many puts as else. */
        uint64_t total = heal.options.puts;
        heal.options.puts = heal.options.batch;
        heal.options.batch = HEAL_ADDS;
        heal_count(&heal, total);
    }
    return 0;
}
