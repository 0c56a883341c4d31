/* SPDX-License-Identifier: Apache-2.0 */
/* Reads and footprints: random gets and ordered scans against bare LMDB that computes the same
 * checksum; the disk, the memory and the start of a node that holds as many keys. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <uv.h>

#include "bare.h"
#include "own.h"

enum { READ_THREADS = 2, READ_GETS_MAX = 1000000, READ_ROUNDS_MAX = 10, READ_MORE = 5 };

struct reading {
    struct kit_options options;
    struct bare_store bare;
    struct own_store own;
    uint64_t keys;
};

static void read_fill(struct reading *reading)
{
    const struct kit_options *options = &reading->options;
    for (uint64_t first = 0; first < reading->keys; first += options->batch) {
        meshsync_error error = {0};
        meshsync_txn *own = NULL;
        MDB_txn *txn = NULL;
        kit_ok(meshsync_txn_begin(reading->own.space, &own, &error), &error, "begin");
        bare_begin(&reading->bare, &txn);
        for (uint64_t i = first; i < first + options->batch; i++) {
            char key[KIT_KEY_BYTES + 1];
            uint8_t value[KIT_VALUE_BYTES];
            kit_key_sorted(options->sorted, i, key);
            kit_value(i, value);
            bare_put_checked(&reading->bare, txn, key, value, sizeof value);
            own_put_key(own, key, i);
        }
        bare_commit(txn);
        kit_ok(meshsync_txn_commit(own, NULL, NULL, &error), &error, "commit");
    }
}

static uint64_t read_gets(const struct reading *reading)
{
    return reading->keys < READ_GETS_MAX ? reading->keys : READ_GETS_MAX;
}

static double bare_gets(struct reading *reading)
{
    MDB_txn *txn = NULL;
    char key[KIT_KEY_BYTES + 1];
    double start_s = kit_now_s();
    bare_begin_read(&reading->bare, &txn);
    for (uint64_t i = 0; i < read_gets(reading); i++) {
        kit_key_sorted(reading->options.sorted, kit_pick(i, reading->keys), key);
        bare_get_checked(&reading->bare, txn, key);
    }
    mdb_txn_abort(txn);
    return (double)read_gets(reading) / (kit_now_s() - start_s);
}

static void own_gets_run(void *user)
{
    struct reading *reading = user;
    meshsync_error error = {0};
    meshsync_snapshot *snapshot = NULL;
    char key[KIT_KEY_BYTES + 1];
    kit_ok(meshsync_snapshot_open(reading->own.space, &snapshot, &error), &error, "snapshot");
    for (uint64_t i = 0; i < read_gets(reading); i++) {
        kit_key_sorted(reading->options.sorted, kit_pick(i, reading->keys), key);
        own_get(snapshot, key);
    }
    meshsync_snapshot_close(snapshot);
}

static double own_gets(struct reading *reading, int threads_count)
{
    uv_thread_t threads[READ_THREADS];
    double start_s = kit_now_s();
    for (int i = 1; i < threads_count; i++) {
        if (uv_thread_create(&threads[i], own_gets_run, reading) != 0) {
            kit_fail("uv_thread_create", "failed");
        }
    }
    own_gets_run(reading);
    for (int i = 1; i < threads_count; i++) {
        (void)uv_thread_join(&threads[i]);
    }
    return (double)read_gets(reading) * threads_count / (kit_now_s() - start_s);
}

static double scan_rate(const struct reading *reading, uint64_t count, double start_s)
{
    if (count != reading->keys) {
        kit_fail("a scan", "found another number of keys");
    }
    return (double)count / (kit_now_s() - start_s);
}

static void read_report(const struct reading *reading, const char *what, const char *unit,
                        const char *against, struct kit_figures *figures)
{
    const struct kit_report report = {.bench = "read",
                                      .what = what,
                                      .unit = unit,
                                      .against = against,
                                      .n = reading->keys,
                                      .larger_is_better = strstr(unit, "/s") != NULL,
                                      .bare = &figures[0],
                                      .meshsync = &figures[1]};
    kit_print(&report);
}

static void read_rates(struct reading *reading)
{
    static struct kit_figures gets[2], scaled[2], scans[2];
    for (uint64_t i = 0; i < reading->options.rounds; i++) {
        kit_add(&gets[0], bare_gets(reading));
        double rate = own_gets(reading, 1);
        kit_add(&gets[1], rate);
        kit_add(&scaled[0], rate);
        kit_add(&scaled[1], own_gets(reading, READ_THREADS));
        double start_s = kit_now_s();
        kit_add(&scans[0], scan_rate(reading, bare_scan_checked(&reading->bare), start_s));
        start_s = kit_now_s();
        kit_add(&scans[1], scan_rate(reading, own_scan(&reading->own), start_s));
    }
    read_report(reading, "random get", "reads/s", "LMDB that computes the same checksum", gets);
    read_report(reading, "random get, 2 threads", "reads/s", "this library with one", scaled);
    read_report(reading, "ordered scan", "reads/s", "LMDB that computes the same checksum", scans);
}

/* Private memory of this process, in MiB. */
static double private_mib(void)
{
    char line[256];
    unsigned long kib = 0;
    unsigned long sum = 0;
    FILE *file = fopen("/proc/self/smaps_rollup", "re");
    if (file == NULL) {
        return 0;
    }
    while (fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "Private_Clean: %lu kB", &kib) == 1 ||
            sscanf(line, "Private_Dirty: %lu kB", &kib) == 1) {
            sum += kib;
        }
    }
    (void)fclose(file);
    return (double)sum / 1024;
}

/* Puts in no order, durable, on top of all that. */
static void read_more(struct reading *reading)
{
    static struct kit_figures puts[2];
    uint64_t batch = reading->options.batch;
    for (uint64_t i = 0; i < reading->options.rounds * READ_MORE; i++) {
        MDB_txn *txn = NULL;
        double start_s = kit_now_s();
        bare_begin(&reading->bare, &txn);
        for (uint64_t k = i * batch; k < (i + 1) * batch; k++) {
            char key[KIT_KEY_BYTES + 1];
            uint8_t value[KIT_VALUE_BYTES];
            kit_key(1, k, key);
            kit_value(k, value);
            bare_put_checked(&reading->bare, txn, key, value, sizeof value);
        }
        bare_commit(txn);
        kit_add(&puts[0], (double)batch / (kit_now_s() - start_s));
        start_s = kit_now_s();
        own_commit(reading->own.space, 1, i * batch, batch, NULL);
        kit_add(&puts[1], (double)batch / (kit_now_s() - start_s));
    }
    read_report(reading, "batched puts on top", "puts/s", "LMDB, as many puts in a transaction",
                puts);
}

static void read_footprint(struct reading *reading)
{
    static struct kit_figures disk[2], start[2], memory[2];
    kit_add(&disk[0], (double)bare_disk_bytes(reading->bare.folder) / 1e6);
    kit_add(&disk[1], (double)bare_disk_bytes(reading->own.folder) / 1e6);
    for (uint64_t i = 0; i < reading->options.rounds; i++) {
        double start_s = kit_now_s();
        bare_reopen(&reading->bare);
        kit_add(&start[0], (kit_now_s() - start_s) * 1000);
        start_s = kit_now_s();
        own_reopen(&reading->own);
        kit_add(&start[1], (kit_now_s() - start_s) * 1000);
    }
    kit_add(&memory[1], private_mib());
    kit_ok(meshsync_node_close(reading->own.node), NULL, "close");
    kit_add(&memory[0], private_mib());
    own_open_again(&reading->own);
    read_report(reading, "disk", "MB", "LMDB, without history", disk);
    read_report(reading, "closing and opening", "ms", "LMDB", start);
    read_report(reading, "private memory with the node open", "MiB", "the same process without it",
                memory);
}

int main(int argc, char **argv)
{
    static struct reading reading = {
        .options = {.puts = 10000, .batch = 1000, .single = 200, .rounds = 10}};
    kit_options(argc, argv, &reading.options);
    reading.keys = reading.options.puts * reading.options.rounds;
    if (reading.options.rounds > READ_ROUNDS_MAX) {
        reading.options.rounds = READ_ROUNDS_MAX;
    }
    bare_open(&reading.bare);
    own_open(&reading.own);
    read_fill(&reading);
    read_rates(&reading);
    read_footprint(&reading);
    read_more(&reading);
    own_close(&reading.own);
    bare_close(&reading.bare);
    return 0;
}
