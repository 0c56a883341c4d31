/* SPDX-License-Identifier: Apache-2.0 */
/* From one node to another over loopback, against a loop that copies between two stores with libuv
 * and msgpack, in turns: how fast many puts arrive, and how soon one is seen. */
#include <string.h>

#include <uv.h>

#include "bare.h"
#include "own.h"

struct replicate {
    struct kit_options options;
    struct bare_pair *bare;
    char folders[2][KIT_PATH_BYTES_MAX];
    meshsync_node *nodes[2];
    meshsync_space *spaces[2];
    uint64_t round;
};

enum { REPLICATE_WAIT_MS = 60000, REPLICATE_WIRE_BATCHES = 20, REPLICATE_THREADS = 64 };
enum { REPLICATE_WIRE_OPS = 64, REPLICATE_FLIGHTS = 100, REPLICATE_ROUNDS = 3 };

static void replicate_open(struct replicate *replicate, uint64_t compression)
{
    meshsync_error error = {0};
    char ticket[MESHSYNC_TICKET_TEXT_BYTES_MAX];
    meshsync_options options;
    meshsync_options_init(&options, sizeof options);
    options.compression = compression;
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
        own_put(txn, replicate->round, i);
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

struct replicate_flight {
    uv_sem_t room; /* Transactions that may still be in flight. */
    meshsync_token last;
};

static void replicate_done(void *user, meshsync_status status, const meshsync_token *token,
                           const meshsync_error *error)
{
    struct replicate_flight *flight = user;
    kit_ok(status, error, "asynchronous commit");
    flight->last = *token;
    uv_sem_post(&flight->room);
}

/* A batch after the other, so many in flight at the first node, until the last is at the other. */
static double replicate_pipelined(struct replicate *replicate, uint64_t puts)
{
    static struct replicate_flight flight;
    meshsync_error error = {0};
    if (uv_sem_init(&flight.room, REPLICATE_FLIGHTS) != 0) {
        kit_fail("uv_sem_init", "failed");
    }
    double start_s = kit_now_s();
    for (uint64_t first = 0; first < puts; first += replicate->options.batch) {
        meshsync_txn *txn = NULL;
        uv_sem_wait(&flight.room);
        kit_ok(meshsync_txn_begin(replicate->spaces[0], &txn, &error), &error, "begin");
        for (uint64_t i = first; i < first + replicate->options.batch; i++) {
            own_put(txn, replicate->round, i);
        }
        kit_ok(meshsync_txn_commit_async(txn, NULL, replicate_done, &flight, &error), &error,
               "commit");
    }
    for (int i = 0; i < REPLICATE_FLIGHTS; i++) {
        uv_sem_wait(&flight.room);
    }
    replicate_wait(replicate, &flight.last);
    double rate = (double)puts / (kit_now_s() - start_s);
    uv_sem_destroy(&flight.room);
    return rate;
}

/* Batches that wait for each other at the first node, and batches in flight. */
static void replicate_through(struct replicate *replicate, struct kit_figures *bare,
                              struct kit_figures *waiting, struct kit_figures *pipelined)
{
    const struct kit_options *options = &replicate->options;
    uint64_t puts = options->puts * options->rounds;
    meshsync_token token = {0};
    double start_s = kit_now_s();
    for (uint64_t first = 0; first < puts; first += options->batch) {
        bare_pair_put(replicate->bare, replicate->round, first, options->batch);
    }
    bare_pair_wait(replicate->bare);
    kit_add(bare, (double)puts / (kit_now_s() - start_s));
    start_s = kit_now_s();
    for (uint64_t first = 0; first < puts; first += options->batch) {
        replicate_put(replicate, first, options->batch, &token);
    }
    replicate_wait(replicate, &token);
    kit_add(waiting, (double)puts / (kit_now_s() - start_s));
    replicate->round += 1;
    kit_add(pipelined, replicate_pipelined(replicate, puts));
}

/* From before the put to when it is durable and visible at the other; the median of a round. */
static void replicate_seen(struct replicate *replicate, struct kit_figures bare[2],
                           struct kit_figures own[2])
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
    kit_add(&bare[0], kit_quantile(&ways[0], 0.5));
    kit_add(&own[0], kit_quantile(&ways[1], 0.5));
    kit_add(&bare[1], kit_quantile(&ways[0], 0.99));
    kit_add(&own[1], kit_quantile(&ways[1], 0.99));
}

static uint64_t replicate_sent(const struct replicate *replicate)
{
    meshsync_stats stats = {.size = sizeof stats};
    kit_ok(meshsync_node_stats(replicate->nodes[0], &stats), NULL, "stats");
    return stats.bytes_out;
}

/* Bytes that the first node sends for a put, beside those of its key and value. */
static void replicate_wire(struct replicate *replicate, uint64_t batch, struct kit_figures *bare,
                           struct kit_figures *own)
{
    meshsync_token token = {0};
    uint64_t puts = batch * REPLICATE_WIRE_BATCHES;
    uint64_t before = replicate_sent(replicate);
    for (uint64_t first = 0; first < puts; first += batch) {
        replicate_put(replicate, first, batch, &token);
        replicate_wait(replicate, &token);
    }
    kit_add(bare, KIT_KEY_BYTES + KIT_VALUE_BYTES);
    kit_add(own, (double)(replicate_sent(replicate) - before) / (double)puts);
}

/* As put to visible, from 64 threads at once, with nobody waiting for the other side until the
 * end; against batches. */
struct replicate_thread {
    struct replicate *replicate;
    uint64_t first, count;
    meshsync_token token;
};

static void replicate_thread_run(void *user)
{
    struct replicate_thread *thread = user;
    for (uint64_t i = 0; i < thread->count; i++) {
        replicate_put(thread->replicate, thread->first + i, 1, &thread->token);
    }
}

static double replicate_threads(struct replicate *replicate)
{
    static struct replicate_thread works[REPLICATE_THREADS];
    static uv_thread_t threads[REPLICATE_THREADS];
    uint64_t each = (replicate->options.single + 3) / 4;
    double start_s = kit_now_s();
    for (uint64_t i = 0; i < REPLICATE_THREADS; i++) {
        works[i] =
            (struct replicate_thread){.replicate = replicate, .first = i * each, .count = each};
        if (uv_thread_create(&threads[i], replicate_thread_run, &works[i]) != 0) {
            kit_fail("uv_thread_create", "failed");
        }
    }
    for (int i = 0; i < REPLICATE_THREADS; i++) {
        (void)uv_thread_join(&threads[i]);
        replicate_wait(replicate, &works[i].token);
    }
    return (double)(each * REPLICATE_THREADS) / (kit_now_s() - start_s);
}

static void replicate_report(const char *what, const char *unit, const char *against, uint64_t n,
                             struct kit_figures *bare, struct kit_figures *own)
{
    const struct kit_report report = {.bench = "replicate",
                                      .what = what,
                                      .unit = unit,
                                      .against = against,
                                      .n = n,
                                      .larger_is_better = strstr(unit, "/s") != NULL,
                                      .bare = bare,
                                      .meshsync = own};
    kit_print(&report);
}

static void replicate_close(struct replicate *replicate)
{
    for (int i = 0; i < 2; i++) {
        kit_ok(meshsync_node_close(replicate->nodes[i]), NULL, "close");
        kit_remove(replicate->folders[i]);
    }
}

/* Over loopback nothing is compressed unless it is asked for. The first batch begins the stream. */
static void replicate_compressed(struct replicate *replicate, const char *payload)
{
    static struct kit_figures bare[2];
    static struct kit_figures own[2];
    meshsync_token token = {0};
    replicate_open(replicate, 1);
    replicate_put(replicate, 0, REPLICATE_WIRE_OPS, &token);
    replicate_wait(replicate, &token);
    for (uint64_t i = 0; i < replicate->options.rounds; i++) {
        replicate->round += 1;
        replicate_wire(replicate, REPLICATE_WIRE_OPS, &bare[0], &own[0]);
        replicate->round += 1;
        replicate_wire(replicate, 1, &bare[1], &own[1]);
    }
    replicate_close(replicate);
    replicate_report("wire, batches of 64, compressed", "bytes", payload, REPLICATE_WIRE_OPS,
                     &bare[0], &own[0]);
    replicate_report("wire, singly, compressed", "bytes", payload, 1, &bare[1], &own[1]);
}

int main(int argc, char **argv)
{
    static const char loop[] = "libuv, msgpack and LMDB, no checks, plain text";
    static const char payload[] = "key and value alone";
    static struct replicate replicate = {
        .options = {.puts = 10000, .batch = 1000, .single = 100, .rounds = 5}};
    static struct kit_figures bare[5];
    static struct kit_figures own[5];
    static struct kit_figures threads, waiting;
    const struct kit_options *options = &replicate.options;
    kit_options(argc, argv, &replicate.options);
    replicate.bare = bare_pair_open();
    replicate_open(&replicate, MESHSYNC_COMPRESS_AUTO);
    for (uint64_t i = 0; i < REPLICATE_ROUNDS; i++) {
        replicate_through(&replicate, &bare[0], &waiting, &own[0]);
        replicate.round += 1;
    }
    for (uint64_t i = 0; i < options->rounds; i++) {
        replicate_seen(&replicate, &bare[1], &own[1]);
        replicate.round += 1;
        kit_add(&threads, replicate_threads(&replicate));
        replicate.round += 1;
        replicate_wire(&replicate, REPLICATE_WIRE_OPS, &bare[3], &own[3]);
        replicate.round += 1;
        replicate_wire(&replicate, 1, &bare[4], &own[4]);
        replicate.round += 1;
    }
    uint64_t puts = options->puts * options->rounds;
    replicate_report("throughput, pipelined", "puts/s", loop, puts, &bare[0], &own[0]);
    replicate_report("throughput, each waiting", "puts/s", loop, puts, &bare[0], &waiting);
    replicate_report("64 threads singly", "puts/s", "this library in batches, pipelined",
                     options->single, &own[0], &threads);
    replicate_report("put to visible", "ms", loop, options->single, &bare[1], &own[1]);
    replicate_report("put to visible, p99", "ms", loop, options->single, &bare[2], &own[2]);
    replicate_report("wire, batches of 64", "bytes", payload, REPLICATE_WIRE_OPS, &bare[3],
                     &own[3]);
    replicate_report("wire, singly", "bytes", payload, 1, &bare[4], &own[4]);
    replicate_close(&replicate);
    bare_pair_close(replicate.bare);
    replicate_compressed(&replicate, payload);
    return 0;
}
