/* SPDX-License-Identifier: Apache-2.0 */
/* What it takes to bring a node up to date that was away: bytes on the wire, and time from when it
 * is there again until it shows everything; with much or little in common, and with many actors. */
#include <stdio.h>

#include "mesh.h"
#include "own.h"

enum { CATCHUP_ACTORS = 50, CATCHUP_ACTORS_LARGE = 1000, CATCHUP_ROUNDS = 3, CATCHUP_SIZES = 3 };
/* What a catch-up may cost beside the payload and a quarter of it. */
enum { CATCHUP_BYTES_MORE = 500 };
/* What fits in one transaction with room to spare. */
enum { CATCHUP_TXN_OPS = 50000 };

struct catchup {
    struct kit_options options;
    struct mesh_node nodes[2];
    uint64_t round; /* Of keys. */
    struct kit_figures live;
};

/* Row 5: both there, batches in flight, until the last is at the other. */
static void catchup_live(struct catchup *catchup)
{
    double start_s = kit_now_s();
    catchup->round += 1;
    mesh_flow(&catchup->nodes[0], catchup->round, 0, catchup->options.puts * 2,
              catchup->options.batch);
    mesh_wait(&catchup->nodes[1], &catchup->nodes[0]);
    kit_add(&catchup->live, (double)(catchup->options.puts * 2) / (kit_now_s() - start_s));
}

static double catchup_bytes(const struct mesh_node *node)
{
    meshsync_stats stats = mesh_stats(node);
    return (double)(stats.bytes_in + stats.bytes_out);
}

/* From when the second is there again; the bytes of both directions. */
static double catchup_meet(struct catchup *catchup, struct kit_figures *bytes)
{
    double start_s = kit_now_s();
    mesh_online(&catchup->nodes[1]);
    mesh_wait(&catchup->nodes[1], &catchup->nodes[0]);
    double seconds = kit_now_s() - start_s;
    if (bytes != NULL) {
        kit_add(bytes, catchup_bytes(&catchup->nodes[1]));
    }
    return seconds;
}

/* Row 8: so many puts, in as few transactions as they fit in, while the second is away. */
static void catchup_puts(struct catchup *catchup, uint64_t puts, struct kit_figures *bytes,
                         struct kit_figures *rate)
{
    mesh_offline(&catchup->nodes[1]);
    catchup->round += 1;
    for (uint64_t first = 0; first < puts; first += CATCHUP_TXN_OPS) {
        uint64_t count = puts - first < CATCHUP_TXN_OPS ? puts - first : CATCHUP_TXN_OPS;
        own_commit(catchup->nodes[0].space, catchup->round, first, count, NULL);
    }
    kit_add(rate, (double)puts / catchup_meet(catchup, bytes));
}

/* Row 17: each opening writes as an actor of its own, in changes of one op. */
static void catchup_actors(struct catchup *catchup, uint64_t actors, uint64_t ops,
                           struct kit_figures *rate)
{
    uint64_t each = ops / actors;
    mesh_offline(&catchup->nodes[1]);
    for (uint64_t i = 0; i < actors; i++) {
        mesh_offline(&catchup->nodes[0]);
        catchup->round += 1;
        mesh_flow(&catchup->nodes[0], catchup->round, 0, each, 1);
    }
    mesh_online(&catchup->nodes[0]);
    kit_add(rate, (double)(each * actors) / catchup_meet(catchup, NULL));
}

/* What a session costs in which there is nothing to fetch, until each knows it of the other. */
static void catchup_nothing(struct catchup *catchup, struct kit_figures *bytes)
{
    meshsync_error error = {0};
    meshsync_token token;
    mesh_offline(&catchup->nodes[1]);
    mesh_online(&catchup->nodes[1]);
    kit_ok(meshsync_space_version(catchup->nodes[0].space, &token, &error), &error, "version");
    for (int i = 0; i < 2; i++) {
        kit_ok(meshsync_wait(catchup->nodes[i].space, &token, 1, MESH_WAIT_MS, &error), &error,
               "a peer that has it");
    }
    kit_add(bytes, catchup_bytes(&catchup->nodes[1]));
}

static void catchup_report(const char *what, const char *unit, const char *against, uint64_t n,
                           struct kit_figures *bare, struct kit_figures *own)
{
    const struct kit_report report = {.bench = "catchup",
                                      .what = what,
                                      .unit = unit,
                                      .against = against,
                                      .n = n,
                                      .larger_is_better = unit[0] == 'p',
                                      .bare = bare,
                                      .meshsync = own};
    kit_print(&report);
}

static void catchup_size(struct catchup *catchup, const char *common, uint64_t puts)
{
    static const char *const kinds[] = {"bytes", "time"};
    char what[2][64];
    struct kit_figures payload = {0};
    struct kit_figures bytes = {0};
    struct kit_figures rate = {0};
    for (int i = 0; i < CATCHUP_ROUNDS; i++) {
        catchup_puts(catchup, puts, &bytes, &rate);
    }
    kit_add(&payload, (double)(puts * (KIT_KEY_BYTES + KIT_VALUE_BYTES)));
    for (int i = 0; i < 2; i++) {
        (void)snprintf(what[i], sizeof what[i], "%s of %llu, %s in common", kinds[i],
                       (unsigned long long)puts, common);
    }
    catchup_report(what[0], "bytes", "keys and values alone", puts, &payload, &bytes);
    catchup_report(what[1], "puts/s", "live, pipelined", puts, &catchup->live, &rate);
}

static void catchup_common(struct catchup *catchup, uint64_t round, uint64_t keys)
{
    mesh_flow(&catchup->nodes[0], round, 0, keys, catchup->options.batch);
    mesh_wait(&catchup->nodes[1], &catchup->nodes[0]);
}

static void catchup_normal(struct catchup *catchup)
{
    struct kit_figures actors = {0};
    struct kit_figures nothing = {0};
    struct kit_figures bound = {0};
    uint64_t puts = catchup->options.puts;
    const uint64_t sizes[CATCHUP_SIZES] = {10, puts / 10, puts * 10};
    for (int i = 0; i < CATCHUP_ROUNDS; i++) {
        catchup_live(catchup);
    }
    catchup_size(catchup, "little", sizes[1]);
    catchup_common(catchup, 0, puts * 10);
    for (int i = 0; i < CATCHUP_SIZES; i++) {
        catchup_size(catchup, "much", sizes[i]);
    }
    kit_add(&bound, CATCHUP_BYTES_MORE);
    for (int i = 0; i < CATCHUP_ROUNDS; i++) {
        catchup_nothing(catchup, &nothing);
    }
    catchup_report("bytes of a session, nothing to fetch", "bytes", "the 500 bytes beyond d", 1,
                   &bound, &nothing);
    for (int i = 0; i < CATCHUP_ROUNDS; i++) {
        catchup_actors(catchup, CATCHUP_ACTORS, puts * 2, &actors);
    }
    catchup_report("single ops of 50 actors", "puts/s", "live, pipelined", puts * 2, &catchup->live,
                   &actors);
}

/* All that is in common is loaded once, in order. */
static void catchup_large(struct catchup *catchup)
{
    catchup_common(catchup, OWN_SORTED, catchup->options.puts * catchup->options.rounds);
    catchup->options.puts = catchup->options.batch;
    catchup_live(catchup);
    catchup_size(catchup, "10 M", 10);
    catchup_size(catchup, "10 M", 1000);
}

/* In stores of their own, and once: each of the actors is an opening. */
static void catchup_large_actors(struct catchup *catchup, uint64_t ops)
{
    struct kit_figures rate = {0};
    catchup->live.count = 0;
    catchup_live(catchup);
    catchup_actors(catchup, CATCHUP_ACTORS_LARGE, ops, &rate);
    catchup_report("single ops of 1000 actors", "puts/s", "live, pipelined", ops, &catchup->live,
                   &rate);
}

int main(int argc, char **argv)
{
    static struct catchup catchup = {
        .options = {.puts = 10000, .batch = 1000, .single = 10, .rounds = 5}};
    kit_options(argc, argv, &catchup.options);
    mesh_open_all(catchup.nodes, 2);
    if (catchup.options.sorted == 0) {
        catchup_normal(&catchup);
    } else {
        uint64_t ops = catchup.options.puts;
        catchup_large(&catchup);
        mesh_close_all(catchup.nodes, 2);
        mesh_open_all(catchup.nodes, 2);
        catchup_large_actors(&catchup, ops);
    }
    mesh_close_all(catchup.nodes, 2);
    return 0;
}
