/* SPDX-License-Identifier: Apache-2.0 */
/* Durable puts at one node against bare LMDB with as many puts in each transaction, in turns. */
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include "bare.h"

struct local {
    struct kit_options options;
    struct bare_store bare;
    char folder[KIT_PATH_BYTES_MAX];
    meshsync_node *node;
    meshsync_space *space;
    uint64_t round;
    uv_sem_t room; /* Asynchronous commits that may still be in flight. */
};

static void local_put(struct local *local, meshsync_txn *txn, uint64_t number)
{
    meshsync_error error = {0};
    char key[KIT_KEY_BYTES + 1];
    uint8_t value[KIT_VALUE_BYTES];
    kit_key(local->round, number, key);
    kit_value(number, value);
    meshsync_bytes part = {(const uint8_t *)key, KIT_KEY_BYTES};
    meshsync_path path = {&part, 1};
    meshsync_value content = meshsync_value_bytes(value, sizeof value);
    kit_ok(meshsync_txn_put(txn, "data", &path, &content, NULL, &error), &error, "put");
}

static double local_batched(struct local *local, uint64_t puts, uint64_t batch)
{
    meshsync_error error = {0};
    double start_s = kit_now_s();
    for (uint64_t first = 0; first < puts; first += batch) {
        meshsync_txn *txn = NULL;
        kit_ok(meshsync_txn_begin(local->space, &txn, &error), &error, "begin");
        for (uint64_t i = first; i < first + batch; i++) {
            local_put(local, txn, i);
        }
        kit_ok(meshsync_txn_commit(txn, NULL, NULL, &error), &error, "commit");
    }
    return (double)puts / (kit_now_s() - start_s);
}

static double bare_batched(struct local *local, uint64_t puts, uint64_t batch)
{
    double start_s = kit_now_s();
    for (uint64_t first = 0; first < puts; first += batch) {
        MDB_txn *txn = NULL;
        char key[KIT_KEY_BYTES + 1];
        uint8_t value[KIT_VALUE_BYTES];
        bare_begin(&local->bare, &txn);
        for (uint64_t i = first; i < first + batch; i++) {
            kit_key(local->round, i, key);
            kit_value(i, value);
            bare_put(&local->bare, txn, key, value, sizeof value);
        }
        bare_commit(txn);
    }
    return (double)puts / (kit_now_s() - start_s);
}

static void local_done(void *user, meshsync_status status, const meshsync_token *token,
                       const meshsync_error *error)
{
    struct local *local = user;
    (void)token;
    kit_ok(status, error, "asynchronous commit");
    uv_sem_post(&local->room);
}

/* Plain commits of one put each, as many in flight as a batch has: the writer groups them. */
static double local_flowing(struct local *local, uint64_t puts, uint64_t in_flight)
{
    meshsync_error error = {0};
    if (uv_sem_init(&local->room, (unsigned)in_flight) != 0) {
        kit_fail("uv_sem_init", "failed");
    }
    double start_s = kit_now_s();
    for (uint64_t i = 0; i < puts; i++) {
        meshsync_txn *txn = NULL;
        uv_sem_wait(&local->room);
        kit_ok(meshsync_txn_begin(local->space, &txn, &error), &error, "begin");
        local_put(local, txn, i);
        kit_ok(meshsync_txn_commit_async(txn, NULL, local_done, local, &error), &error, "commit");
    }
    for (uint64_t i = 0; i < in_flight; i++) {
        uv_sem_wait(&local->room);
    }
    double rate = (double)puts / (kit_now_s() - start_s);
    uv_sem_destroy(&local->room);
    return rate;
}

static void local_open(struct local *local)
{
    meshsync_error error = {0};
    meshsync_options options;
    bare_open(&local->bare);
    kit_folder(local->folder);
    meshsync_options_init(&options, sizeof options);
    options.path = local->folder;
    options.store_map_bytes = (uint64_t)8 << 30;
    kit_ok(meshsync_node_open(&options, &local->node, &error), &error, "open");
    kit_ok(meshsync_space_create(local->node, "bench", &local->space, &error), &error, "space");
    kit_ok(meshsync_collection_create(local->space, "data", MESHSYNC_REGISTER, MESHSYNC_VIEW_LWW,
                                      NULL, 0, &error),
           &error, "collection");
}

int main(int argc, char **argv)
{
    static struct local local = {
        .options = {.puts = 10000, .batch = 1000, .single = 200, .rounds = 5}};
    static struct kit_figures bare[2];
    static struct kit_figures own[3];
    const struct kit_options *options = &local.options;
    kit_options(argc, argv, &local.options);
    local_open(&local);
    for (local.round = 0; local.round < 3 * options->rounds; local.round += 3) {
        kit_add(&bare[0], bare_batched(&local, options->puts, options->batch));
        kit_add(&own[0], local_batched(&local, options->puts, options->batch));
        local.round += 1;
        kit_add(&own[1], local_flowing(&local, options->puts, options->batch));
        local.round += 1;
        kit_add(&bare[1], bare_batched(&local, options->single, 1));
        kit_add(&own[2], local_batched(&local, options->single, 1));
        local.round -= 2;
    }
    struct kit_report report = {.bench = "local",
                                .what = "batched",
                                .unit = "puts/s",
                                .against = "LMDB, as many puts in a transaction",
                                .n = options->puts,
                                .larger_is_better = true,
                                .bare = &bare[0],
                                .meshsync = &own[0]};
    kit_print(&report);
    report.what = "flowing";
    report.meshsync = &own[1];
    kit_print(&report);
    report.what = "single";
    report.against = "LMDB, one put in a transaction";
    report.n = options->single;
    report.bare = &bare[1];
    report.meshsync = &own[2];
    kit_print(&report);
    kit_ok(meshsync_node_close(local.node), NULL, "close");
    kit_remove(local.folder);
    bare_close(&local.bare);
    return 0;
}
