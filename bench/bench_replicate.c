/* SPDX-License-Identifier: Apache-2.0 */
/* From one node to another over loopback, against a loop that copies between two stores with libuv
 * and msgpack, in turns: how fast many puts arrive, and how soon one is seen. */
#include <string.h>

#include "bare.h"

struct replicate {
    struct kit_options options;
    struct bare_pair *bare;
    char folders[2][KIT_PATH_BYTES_MAX];
    meshsync_node *nodes[2];
    meshsync_space *spaces[2];
    uint64_t round;
};

enum { REPLICATE_WAIT_MS = 60000 };

static void replicate_open(struct replicate *replicate)
{
    meshsync_error error = {0};
    char ticket[MESHSYNC_TICKET_TEXT_BYTES_MAX];
    meshsync_options options;
    replicate->bare = bare_pair_open();
    meshsync_options_init(&options, sizeof options);
    options.store_map_bytes = (uint64_t)8 << 30;
    for (int i = 0; i < 2; i++) {
        kit_folder(replicate->folders[i]);
        options.path = replicate->folders[i];
        kit_ok(meshsync_node_open(&options, &replicate->nodes[i], &error), &error, "open");
        kit_ok(meshsync_node_start(replicate->nodes[i], &error), &error, "start");
    }
    kit_ok(meshsync_node_listen(replicate->nodes[0], "127.0.0.1:0", NULL, &error), &error,
           "listen");
    kit_ok(meshsync_space_create(replicate->nodes[0], "bench", &replicate->spaces[0], &error),
           &error, "space");
    kit_ok(meshsync_collection_create(replicate->spaces[0], "data", MESHSYNC_REGISTER,
                                      MESHSYNC_VIEW_LWW, NULL, 0, &error),
           &error, "collection");
    kit_ok(meshsync_space_invite(replicate->spaces[0], 0, ticket, &error), &error, "invite");
    kit_ok(meshsync_space_join(replicate->nodes[1], ticket, NULL, &replicate->spaces[1], &error),
           &error, "join");
    kit_ok(meshsync_wait(replicate->spaces[0], NULL, 1, REPLICATE_WAIT_MS, &error), &error,
           "the first meeting");
}

/* Commits a batch at the first node. */
static void replicate_put(struct replicate *replicate, uint64_t first, uint64_t count,
                          meshsync_token *token)
{
    meshsync_error error = {0};
    meshsync_txn *txn = NULL;
    kit_ok(meshsync_txn_begin(replicate->spaces[0], &txn, &error), &error, "begin");
    for (uint64_t i = first; i < first + count; i++) {
        char key[KIT_KEY_BYTES + 1];
        uint8_t value[KIT_VALUE_BYTES];
        kit_key(replicate->round, i, key);
        kit_value(i, value);
        meshsync_bytes part = {(const uint8_t *)key, KIT_KEY_BYTES};
        meshsync_path path = {&part, 1};
        meshsync_value content = meshsync_value_bytes(value, sizeof value);
        kit_ok(meshsync_txn_put(txn, "data", &path, &content, NULL, &error), &error, "put");
    }
    kit_ok(meshsync_txn_commit(txn, NULL, token, &error), &error, "commit");
}

/* Until the second node has it, durable and visible. */
static void replicate_wait(struct replicate *replicate, const meshsync_token *token)
{
    meshsync_error error = {0};
    kit_ok(meshsync_wait(replicate->spaces[1], token, 0, REPLICATE_WAIT_MS, &error), &error,
           "the other node");
}

static void replicate_through(struct replicate *replicate, struct kit_figures *bare,
                              struct kit_figures *own)
{
    const struct kit_options *options = &replicate->options;
    meshsync_token token = {0};
    double start_s = kit_now_s();
    for (uint64_t first = 0; first < options->puts; first += options->batch) {
        bare_pair_put(replicate->bare, replicate->round, first, options->batch);
    }
    bare_pair_wait(replicate->bare);
    kit_add(bare, (double)options->puts / (kit_now_s() - start_s));
    start_s = kit_now_s();
    for (uint64_t first = 0; first < options->puts; first += options->batch) {
        replicate_put(replicate, first, options->batch, &token);
    }
    replicate_wait(replicate, &token);
    kit_add(own, (double)options->puts / (kit_now_s() - start_s));
}

/* From before the put to when it is durable and visible at the other; the median of a round. */
static void replicate_seen(struct replicate *replicate, struct kit_figures *bare,
                           struct kit_figures *own)
{
    static struct kit_figures ways[2];
    memset(ways, 0, sizeof ways);
    for (uint64_t i = 0; i < replicate->options.single; i++) {
        meshsync_token token = {0};
        double start_s = kit_now_s();
        bare_pair_put(replicate->bare, replicate->round, i, 1);
        bare_pair_wait(replicate->bare);
        kit_add(&ways[0], (kit_now_s() - start_s) * 1000);
        start_s = kit_now_s();
        replicate_put(replicate, i, 1, &token);
        replicate_wait(replicate, &token);
        kit_add(&ways[1], (kit_now_s() - start_s) * 1000);
    }
    kit_add(bare, kit_quantile(&ways[0], 0.5));
    kit_add(own, kit_quantile(&ways[1], 0.5));
}

int main(int argc, char **argv)
{
    static struct replicate replicate = {
        .options = {.puts = 10000, .batch = 1000, .single = 100, .rounds = 5}};
    static struct kit_figures bare[2];
    static struct kit_figures own[2];
    kit_options(argc, argv, &replicate.options);
    replicate_open(&replicate);
    for (uint64_t i = 0; i < replicate.options.rounds; i++) {
        replicate_through(&replicate, &bare[0], &own[0]);
        replicate.round += 1;
        replicate_seen(&replicate, &bare[1], &own[1]);
        replicate.round += 1;
    }
    struct kit_report report = {.bench = "replicate",
                                .what = "throughput",
                                .unit = "puts/s",
                                .against = "libuv, msgpack and LMDB, no checks, plain text",
                                .n = replicate.options.puts,
                                .larger_is_better = true,
                                .bare = &bare[0],
                                .meshsync = &own[0]};
    kit_print(&report);
    report.what = "put to visible";
    report.unit = "ms";
    report.n = replicate.options.single;
    report.larger_is_better = false;
    report.bare = &bare[1];
    report.meshsync = &own[1];
    kit_print(&report);
    for (int i = 0; i < 2; i++) {
        kit_ok(meshsync_node_close(replicate.nodes[i]), NULL, "close");
        kit_remove(replicate.folders[i]);
    }
    bare_pair_close(replicate.bare);
    return 0;
}
