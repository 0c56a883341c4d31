/* SPDX-License-Identifier: Apache-2.0 */
/* Durable puts at one node against bare LMDB, in turns. Each kind of work has stores of its own,
 * so that those which are compared hold the same keys. */
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include "bare.h"
#include "own.h"

enum { LOCAL_THREADS = 64, LOCAL_FLIGHTS = 100, LOCAL_FLIGHT_ROUNDS = 3 };

struct local {
    struct kit_options options;
    struct bare_store bare;
    struct own_store own;
    uint64_t round;
    uv_sem_t room; /* Asynchronous commits that may still be in flight. */
};

static double bare_batched(struct local *local, uint64_t puts, uint64_t batch)
{
    double start_s = kit_now_s();
    for (uint64_t first = 0; first < puts; first += batch) {
        MDB_txn *txn = NULL;
        char key[KIT_KEY_BYTES + 1];
        uint8_t value[KIT_VALUE_BYTES];
        bare_begin(&local->bare, &txn);
        for (uint64_t i = first; i < first + batch && i < puts; i++) {
            kit_key(local->round, i, key);
            kit_value(i, value);
            bare_put(&local->bare, txn, key, value, sizeof value);
        }
        bare_commit(txn);
    }
    return (double)puts / (kit_now_s() - start_s);
}

static double own_batched(struct local *local, uint64_t puts, uint64_t batch)
{
    double start_s = kit_now_s();
    for (uint64_t first = 0; first < puts; first += batch) {
        own_commit(local->own.space, local->round, first, batch, NULL);
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

/* Transactions of a batch each, so many in flight; the writer takes them in groups. */
static double own_flowing(struct local *local, uint64_t puts, uint64_t batch, uint64_t in_flight)
{
    meshsync_error error = {0};
    if (uv_sem_init(&local->room, (unsigned)in_flight) != 0) {
        kit_fail("uv_sem_init", "failed");
    }
    double start_s = kit_now_s();
    for (uint64_t first = 0; first < puts; first += batch) {
        meshsync_txn *txn = NULL;
        uv_sem_wait(&local->room);
        kit_ok(meshsync_txn_begin(local->own.space, &txn, &error), &error, "begin");
        for (uint64_t i = first; i < first + batch; i++) {
            own_put(txn, local->round, i);
        }
        kit_ok(meshsync_txn_commit_async(txn, NULL, local_done, local, &error), &error, "commit");
    }
    for (uint64_t i = 0; i < in_flight; i++) {
        uv_sem_wait(&local->room);
    }
    double rate = (double)puts / (kit_now_s() - start_s);
    uv_sem_destroy(&local->room);
    return rate;
}

struct local_thread {
    struct local *local;
    uint64_t first, count;
};

static void local_thread_run(void *user)
{
    const struct local_thread *thread = user;
    for (uint64_t i = 0; i < thread->count; i++) {
        own_commit(thread->local->own.space, thread->local->round, thread->first + i, 1, NULL);
    }
}

/* Each thread commits one put after the other. */
static double own_threads(struct local *local, uint64_t puts)
{
    static struct local_thread works[LOCAL_THREADS];
    static uv_thread_t threads[LOCAL_THREADS];
    uint64_t each = (puts + LOCAL_THREADS - 1) / LOCAL_THREADS;
    double start_s = kit_now_s();
    for (uint64_t i = 0; i < LOCAL_THREADS; i++) {
        works[i] = (struct local_thread){.local = local, .first = i * each, .count = each};
        if (uv_thread_create(&threads[i], local_thread_run, &works[i]) != 0) {
            kit_fail("uv_thread_create", "failed");
        }
    }
    for (int i = 0; i < LOCAL_THREADS; i++) {
        (void)uv_thread_join(&threads[i]);
    }
    return (double)(each * LOCAL_THREADS) / (kit_now_s() - start_s);
}

static void local_open(struct local *local)
{
    bare_open(&local->bare);
    own_open(&local->own);
}

static void local_close(struct local *local)
{
    own_close(&local->own);
    bare_close(&local->bare);
}

static void local_report(const struct local *local, const char *what, const char *against,
                         struct kit_figures *bare, struct kit_figures *own)
{
    const struct kit_report report = {.bench = "local",
                                      .what = what,
                                      .unit = "puts/s",
                                      .against = against,
                                      .n = local->options.puts,
                                      .larger_is_better = true,
                                      .bare = bare,
                                      .meshsync = own};
    kit_print(&report);
}

/* Rows 1 and 2: in batches, each waiting for the one before; singly, from many threads. */
static void local_waiting(struct local *local)
{
    static struct kit_figures bare, own, threads;
    const struct kit_options *options = &local->options;
    local_open(local);
    for (uint64_t i = 0; i < options->rounds; i++) {
        local->round += 1;
        kit_add(&bare, bare_batched(local, options->puts, options->batch));
        kit_add(&own, own_batched(local, options->puts, options->batch));
    }
    for (uint64_t i = 0; i < options->rounds; i++) {
        local->round += 1;
        kit_add(&threads, own_threads(local, options->single * LOCAL_THREADS / 4));
    }
    local_close(local);
    local_report(local, "batched", "LMDB, as many puts in a transaction", &bare, &own);
    local_report(local, "64 threads singly", "this library in batches, the row before", &own,
                 &threads);
}

/* Row 1b: a round begins with empty stores and has as many puts as the others have together, all
 * in flight at once, to a bound. */
static void local_in_flight(struct local *local)
{
    static struct kit_figures bare, grouped, own;
    const struct kit_options *options = &local->options;
    uint64_t puts = options->puts * options->rounds;
    uint64_t flights = puts / options->batch;
    flights = flights < LOCAL_FLIGHTS ? flights : LOCAL_FLIGHTS;
    for (uint64_t i = 0; i < LOCAL_FLIGHT_ROUNDS; i++) {
        local_open(local);
        kit_add(&bare, bare_batched(local, puts, options->batch));
        kit_add(&own, own_flowing(local, puts, options->batch, flights));
        bare_close(&local->bare);
        bare_open(&local->bare);
        kit_add(&grouped, bare_batched(local, puts, options->batch * flights));
        local_close(local);
    }
    local->options.puts = puts;
    local_report(local, "batches in flight", "LMDB, one batch in a transaction", &bare, &own);
    local_report(local, "batches in flight, grouped", "LMDB, all that is in flight in one",
                 &grouped, &own);
    local->options.puts = puts / options->rounds;
}

/* Row 3, and plain commits of one put with as many in flight as a batch has. */
static void local_single(struct local *local)
{
    static struct kit_figures bare, batched, own, flowing;
    const struct kit_options *options = &local->options;
    local_open(local);
    for (uint64_t i = 0; i < options->rounds; i++) {
        local->round += 1;
        kit_add(&bare, bare_batched(local, options->single, 1));
        kit_add(&own, own_batched(local, options->single, 1));
    }
    for (uint64_t i = 0; i < options->rounds; i++) {
        local->round += 1;
        kit_add(&batched, bare_batched(local, options->puts, options->batch));
        kit_add(&flowing, own_flowing(local, options->puts, 1, options->batch));
    }
    local_close(local);
    local_report(local, "flowing", "LMDB, as many puts in a transaction", &batched, &flowing);
    local->options.puts = options->single;
    local_report(local, "single", "LMDB, one put in a transaction", &bare, &own);
}

int main(int argc, char **argv)
{
    static struct local local = {
        .options = {.puts = 10000, .batch = 1000, .single = 200, .rounds = 10}};
    kit_options(argc, argv, &local.options);
    local_waiting(&local);
    local_in_flight(&local);
    local_single(&local);
    return 0;
}
