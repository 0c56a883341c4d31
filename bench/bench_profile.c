/* SPDX-License-Identifier: Apache-2.0 */
/* One kind of work, so many ops of it, and nothing else: for bench/profile.py, which runs it twice
 * under a tool that counts, and takes the difference. Without arguments: a little of each. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mesh.h"
#include "own.h"

enum {
    PROFILE_BATCH = 1000,
    PROFILE_KEYS = 1000,
    PROFILE_OPS_SMALL = 2000,
    PROFILE_COUNTERS = 100
};

/* ---- One node ---- */

static void profile_batched(uint64_t ops)
{
    struct own_store store;
    own_open(&store);
    for (uint64_t first = 0; first < ops; first += PROFILE_BATCH) {
        own_commit(store.space, 1, first, PROFILE_BATCH, NULL);
    }
    own_close(&store);
}

static void profile_single(uint64_t ops)
{
    struct own_store store;
    own_open(&store);
    for (uint64_t i = 0; i < ops; i++) {
        own_commit(store.space, 1, i, 1, NULL);
    }
    own_close(&store);
}

static void profile_get(uint64_t ops)
{
    struct own_store store;
    meshsync_error error = {0};
    meshsync_snapshot *snapshot = NULL;
    own_open(&store);
    own_commit(store.space, 1, 0, PROFILE_KEYS, NULL);
    kit_ok(meshsync_snapshot_open(store.space, &snapshot, &error), &error, "snapshot");
    for (uint64_t i = 0; i < ops; i++) {
        char key[KIT_KEY_BYTES + 1];
        kit_key(1, kit_pick(i, PROFILE_KEYS), key);
        own_get(snapshot, key);
    }
    meshsync_snapshot_close(snapshot);
    own_close(&store);
}

static void profile_scan(uint64_t ops)
{
    struct own_store store;
    own_open(&store);
    own_commit(store.space, 1, 0, PROFILE_KEYS, NULL);
    for (uint64_t seen = 0; seen < ops;) {
        seen += own_scan(&store);
    }
    own_close(&store);
}

/* ---- Two nodes, both in this process ---- */

static void profile_replicate(uint64_t ops)
{
    struct mesh_node nodes[2];
    mesh_open_all(nodes, 2);
    mesh_flow(&nodes[0], 1, 0, ops, PROFILE_BATCH);
    mesh_wait(&nodes[1], &nodes[0]);
    mesh_close_all(nodes, 2);
}

static void profile_visible(uint64_t ops)
{
    struct mesh_node nodes[2];
    mesh_open_all(nodes, 2);
    for (uint64_t i = 0; i < ops; i++) {
        own_commit(nodes[0].space, 1, i, 1, NULL);
        mesh_wait(&nodes[1], &nodes[0]);
    }
    mesh_close_all(nodes, 2);
}

static void profile_catch_up(uint64_t ops, uint64_t batch)
{
    struct mesh_node nodes[2];
    mesh_open_all(nodes, 2);
    mesh_offline(&nodes[1]);
    mesh_flow(&nodes[0], 1, 0, ops, batch);
    mesh_online(&nodes[1]);
    mesh_wait(&nodes[1], &nodes[0]);
    mesh_close_all(nodes, 2);
}

static void profile_catchup(uint64_t ops)
{
    profile_catch_up(ops, PROFILE_BATCH);
}

static void profile_chained(uint64_t ops)
{
    profile_catch_up(ops, 1);
}

/* Half of the writes on each side, of the same keys. */
static void profile_heal(uint64_t ops)
{
    struct mesh_node nodes[2];
    mesh_open_all(nodes, 2);
    mesh_offline(&nodes[1]);
    for (int i = 0; i < 2; i++) {
        mesh_flow(&nodes[i], 1, 0, ops / 2, PROFILE_BATCH);
    }
    mesh_online(&nodes[1]);
    mesh_wait(&nodes[1], &nodes[0]);
    mesh_wait(&nodes[0], &nodes[1]);
    mesh_close_all(nodes, 2);
}

static void profile_counters(uint64_t ops)
{
    struct mesh_node nodes[2];
    mesh_open_all(nodes, 2);
    for (uint64_t first = 0; first < ops; first += PROFILE_BATCH) {
        meshsync_error error = {0};
        meshsync_txn *txn = NULL;
        kit_ok(meshsync_txn_begin(nodes[0].space, &txn, &error), &error, "begin");
        for (uint64_t i = first; i < first + PROFILE_BATCH; i++) {
            char key[KIT_KEY_BYTES + 1];
            kit_key(1, i % PROFILE_COUNTERS, key);
            meshsync_bytes part = {(const uint8_t *)key, KIT_KEY_BYTES};
            meshsync_path path = {&part, 1};
            kit_ok(meshsync_txn_add(txn, "sums", &path, 1, &error), &error, "add");
        }
        kit_ok(meshsync_txn_commit(txn, NULL, NULL, &error), &error, "commit");
    }
    mesh_wait(&nodes[1], &nodes[0]);
    mesh_close_all(nodes, 2);
}

static const struct profile_work {
    const char *row;
    const char *name;
    void (*run)(uint64_t ops);
    uint64_t step; /* Ops are a multiple of this. */
} profile_works[] = {
    {"1", "batched", profile_batched, PROFILE_BATCH},
    {"3", "single", profile_single, 1},
    {"4", "get", profile_get, 1},
    {"4", "scan", profile_scan, PROFILE_KEYS},
    {"5", "replicate", profile_replicate, PROFILE_BATCH},
    {"7", "visible", profile_visible, 1},
    {"8", "catchup", profile_catchup, PROFILE_BATCH},
    {"10", "heal", profile_heal, PROFILE_BATCH * 2},
    {"11", "counters", profile_counters, PROFILE_BATCH},
    {"17", "chained", profile_chained, 1},
};

enum { PROFILE_WORKS = sizeof profile_works / sizeof profile_works[0] };

/* As lines of row, name and step. */
static void profile_list(void)
{
    for (size_t i = 0; i < PROFILE_WORKS; i++) {
        (void)printf("%s %s %u\n", profile_works[i].row, profile_works[i].name,
                     (unsigned)profile_works[i].step);
    }
}

int main(int argc, char **argv)
{
    uint64_t ops = argc == 3 ? strtoull(argv[2], NULL, 10) : PROFILE_OPS_SMALL;
    bool found = argc == 1;
    if (argc == 2 && strcmp(argv[1], "--list") == 0) {
        profile_list();
        return 0;
    }
    for (size_t i = 0; i < PROFILE_WORKS; i++) {
        const struct profile_work *work = &profile_works[i];
        if (argc == 1) {
            work->run(work->step == 1 ? PROFILE_OPS_SMALL / 100 : PROFILE_OPS_SMALL);
        } else if (strcmp(argv[1], work->name) == 0) {
            work->run(ops / work->step * work->step);
            found = true;
        }
    }
    if (!found || ops == 0) {
        kit_fail("usage", "bench_profile [--list | WORK OPS]");
    }
    return 0;
}
