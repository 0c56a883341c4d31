/* SPDX-License-Identifier: Apache-2.0 */
/* What a node holds of a machine when it is opened again and does nothing: resident private memory
 * of a process that did nothing else, and the time of opening. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "own.h"

enum { MEMORY_ROUNDS = 5, MEMORY_LOAD_BATCH = 10000, MEMORY_TEXT_BYTES_MAX = 128 };

/* MiB of this process that nobody shares, and that no file backs any more or only it has mapped. */
static double memory_private_mib(void)
{
    char line[256];
    unsigned long sum = 0;
    FILE *file = fopen("/proc/self/smaps_rollup", "re");
    if (file == NULL) {
        kit_fail("/proc/self/smaps_rollup", "cannot be read");
    }
    while (fgets(line, sizeof line, file) != NULL) {
        bool counts =
            strncmp(line, "Private_Clean:", 14) == 0 || strncmp(line, "Private_Dirty:", 14) == 0;
        sum += counts ? strtoul(line + 14, NULL, 10) : 0;
    }
    (void)fclose(file);
    return (double)sum / 1024;
}

/* The new process: opens the folder, with the network, and says what that took. */
static int memory_look(const char *folder)
{
    struct own_store store = {0};
    meshsync_error error = {0};
    double start_s = kit_now_s();
    (void)snprintf(store.folder, sizeof store.folder, "%s", folder);
    own_open_again(&store);
    double opened_s = kit_now_s() - start_s;
    kit_ok(meshsync_node_start(store.node, &error), &error, "start");
    kit_ok(meshsync_node_listen(store.node, "127.0.0.1:0", NULL, &error), &error, "listen");
    (void)sleep(1);
    (void)printf("%.6f %.6f\n", memory_private_mib(), opened_s * 1000);
    return meshsync_node_close(store.node) == MESHSYNC_OK ? 0 : 1;
}

/* Asks a process of its own. */
static void memory_ask(const char *folder, struct kit_figures *mib, struct kit_figures *ms)
{
    char text[MEMORY_TEXT_BYTES_MAX] = {0};
    char *end = NULL;
    int ends[2];
    int state = 0;
    if (pipe(ends) != 0) {
        kit_fail("pipe", "failed");
    }
    pid_t child = fork();
    if (child == 0) {
        (void)dup2(ends[1], STDOUT_FILENO);
        (void)close(ends[0]);
        (void)execl("/proc/self/exe", "bench_memory", "--look", folder, (char *)NULL);
        _exit(127);
    }
    (void)close(ends[1]);
    ssize_t got = read(ends[0], text, sizeof text - 1);
    (void)close(ends[0]);
    if (child < 0 || waitpid(child, &state, 0) != child || state != 0 || got <= 0) {
        kit_fail("a process that looks", "failed");
    }
    kit_add(mib, strtod(text, &end));
    kit_add(ms, strtod(end, NULL));
}

static void memory_report(const char *what, const char *unit, const char *against, uint64_t n,
                          double bound, struct kit_figures *own)
{
    struct kit_figures bare = {0};
    const struct kit_report report = {.bench = "memory",
                                      .what = what,
                                      .unit = unit,
                                      .against = against,
                                      .n = n,
                                      .bare = &bare,
                                      .meshsync = own};
    kit_add(&bare, bound);
    kit_print(&report);
}

/* A store of so many keys, made here, looked at by others. */
static void memory_of(uint64_t keys, uint64_t sorted, const char *name, double bound)
{
    static const char limit[] = "the most that it may be";
    struct own_store store;
    struct kit_figures mib = {0};
    struct kit_figures ms = {0};
    char what[64];
    meshsync_error error = {0};
    own_open(&store);
    for (uint64_t first = 0; first < keys; first += MEMORY_LOAD_BATCH) {
        meshsync_txn *txn = NULL;
        kit_ok(meshsync_txn_begin(store.space, &txn, &error), &error, "begin");
        for (uint64_t i = first; i < first + MEMORY_LOAD_BATCH && i < keys; i++) {
            char key[KIT_KEY_BYTES + 1];
            kit_key_sorted(sorted, i, key);
            own_put_key(txn, key, i);
        }
        kit_ok(meshsync_txn_commit(txn, NULL, NULL, &error), &error, "commit");
    }
    kit_ok(meshsync_node_close(store.node), NULL, "close");
    for (int i = 0; i < MEMORY_ROUNDS; i++) {
        memory_ask(store.folder, &mib, &ms);
    }
    kit_remove(store.folder);
    (void)snprintf(what, sizeof what, "%s, private", name);
    memory_report(what, "MiB", limit, keys, bound, &mib);
    (void)snprintf(what, sizeof what, "%s, opening", name);
    memory_report(what, "ms", limit, keys, 50, &ms);
}

int main(int argc, char **argv)
{
    struct kit_options options = {.puts = 10000, .batch = 1000, .single = 10, .rounds = 10};
    if (argc == 3 && strcmp(argv[1], "--look") == 0) {
        return memory_look(argv[2]);
    }
    kit_options(argc, argv, &options);
    uint64_t keys = options.puts * options.rounds;
    if (options.sorted == 0) {
        memory_of(0, 0, "an idle node", 6);
        memory_of(keys, 0, "100 k keys", 10);
    } else {
        memory_of(keys, options.sorted, "10 M keys", 16);
    }
    return 0;
}
