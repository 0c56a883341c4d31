/* SPDX-License-Identifier: Apache-2.0 */
/* What a mesh costs that has nothing to do: processor and bytes of nodes that have each other as
 * peers; and of two nodes with many spaces over their one connection, with the time until a put in
 * one of these is seen, against a single space. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "mesh.h"
#include "own.h"

enum { IDLE_NODES = 11, IDLE_SPACES = 1000, IDLE_SPACES_SMALL = 20, IDLE_MS = 10000 };
enum { IDLE_MS_SMALL = 500, IDLE_SETTLE_S = 120, IDLE_SEEN_ROUNDS = 5 };

static const char idle_limit[] = "the most that it may be";

struct idle {
    struct kit_options options;
    struct mesh_node nodes[IDLE_NODES];
    uint32_t nodes_count;
    bool small;
};

static void idle_pause(uint64_t ms)
{
    const struct timespec pause = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};
    (void)nanosleep(&pause, NULL);
}

/* Processor time of this process so far. */
static double idle_cpu_s(void)
{
    struct rusage usage = {0};
    (void)getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static double idle_bytes(const struct idle *idle)
{
    double sum = 0;
    for (uint32_t i = 0; i < idle->nodes_count; i++) {
        sum += (double)mesh_stats(&idle->nodes[i]).bytes_out;
    }
    return sum;
}

/* Percent of one processor, and bytes sent in a second, of one node, all of them idle. */
static void idle_rounds(const struct idle *idle, struct kit_figures *cpu, struct kit_figures *bytes)
{
    uint64_t ms = idle->small ? IDLE_MS_SMALL : IDLE_MS;
    for (int i = 0; i < 3; i++) {
        double cpu_s = idle_cpu_s();
        double sent = idle_bytes(idle);
        double start_s = kit_now_s();
        idle_pause(ms);
        double seconds = (kit_now_s() - start_s) * idle->nodes_count;
        kit_add(cpu, (idle_cpu_s() - cpu_s) / seconds * 100);
        kit_add(bytes, (idle_bytes(idle) - sent) / seconds);
    }
}

static void idle_report(const char *what, const char *unit, const char *against, uint64_t n,
                        struct kit_figures *bare, struct kit_figures *own)
{
    const struct kit_report report = {.bench = "idle",
                                      .what = what,
                                      .unit = unit,
                                      .against = against,
                                      .n = n,
                                      .bare = bare,
                                      .meshsync = own};
    kit_print(&report);
}

/* By themselves nodes dial until they have eight peers. */
static void idle_introduce(struct idle *idle)
{
    meshsync_error error = {0};
    for (uint32_t i = 0; i < idle->nodes_count; i++) {
        for (uint32_t k = 0; k < i; k++) {
            kit_ok(meshsync_peer_add(idle->nodes[i].node, idle->nodes[k].address, &error), &error,
                   "peer");
        }
    }
}

/* Until each has all others as peers, and there is silence. */
static void idle_settle(const struct idle *idle)
{
    double until_s = kit_now_s() + IDLE_SETTLE_S;
    uint32_t whole = 0;
    while (whole < idle->nodes_count && kit_now_s() < until_s) {
        whole = 0;
        for (uint32_t i = 0; i < idle->nodes_count; i++) {
            whole += mesh_stats(&idle->nodes[i]).sessions == idle->nodes_count - 1 ? 1 : 0;
        }
        idle_pause(100);
    }
    if (whole < idle->nodes_count) {
        kit_fail("idle nodes", "not all have all others as peers");
    }
    idle_pause(idle->small ? 100 : 3000);
}

/* Row 14: each of eleven nodes has ten peers. */
static void idle_peers(struct idle *idle)
{
    struct kit_figures cpu = {0};
    struct kit_figures bytes = {0};
    static struct kit_figures bounds[2];
    idle->nodes_count = IDLE_NODES;
    mesh_open_all(idle->nodes, idle->nodes_count);
    idle_introduce(idle);
    idle_settle(idle);
    idle_rounds(idle, &cpu, &bytes);
    mesh_close_all(idle->nodes, idle->nodes_count);
    kit_add(&bounds[0], 0.1);
    kit_add(&bounds[1], 1000);
    idle_report("processor with 10 peers", "%", idle_limit, 10, &bounds[0], &cpu);
    idle_report("traffic with 10 peers", "bytes/s", "what may be sent at 1,000 nodes", 10,
                &bounds[1], &bytes);
}

/* ---- Many spaces ---- */

/* The second node joins one more space of the first. */
static void idle_share(struct idle *idle, uint32_t number)
{
    char name[32];
    char ticket[MESHSYNC_TICKET_TEXT_BYTES_MAX];
    meshsync_space *spaces[2];
    meshsync_error error = {0};
    (void)snprintf(name, sizeof name, "more %u", number);
    kit_ok(meshsync_space_create(idle->nodes[0].node, name, &spaces[0], &error), &error, "space");
    kit_ok(meshsync_space_invite(spaces[0], 0, ticket, &error), &error, "invite");
    kit_ok(meshsync_space_join(idle->nodes[1].node, ticket, NULL, &spaces[1], &error), &error,
           "join");
    kit_ok(meshsync_wait(spaces[0], NULL, 1, MESH_WAIT_MS, &error), &error, "a peer in the space");
}

/* From before a put at the first until it is durable and visible at the second, in ms. */
static void idle_seen(const struct idle *idle, const struct mesh_node pair[2], uint64_t round,
                      struct kit_figures *medians)
{
    struct kit_figures ways = {0};
    for (uint64_t i = 0; i < idle->options.single; i++) {
        meshsync_token token;
        meshsync_error error = {0};
        double start_s = kit_now_s();
        own_commit(pair[0].space, round, i, 1, &token);
        kit_ok(meshsync_wait(pair[1].space, &token, 0, MESH_WAIT_MS, &error), &error,
               "the other node");
        kit_add(&ways, (kit_now_s() - start_s) * 1000);
    }
    kit_add(medians, kit_quantile(&ways, 0.5));
}

/* In turns at a pair with one space and at one with many. */
static void idle_seen_both(struct idle *idle, struct kit_figures seen[2])
{
    struct mesh_node *single = &idle->nodes[2];
    mesh_open_all(single, 2);
    for (uint64_t i = 0; i < IDLE_SEEN_ROUNDS; i++) {
        idle_seen(idle, single, i, &seen[0]);
        idle_seen(idle, idle->nodes, i, &seen[1]);
    }
    mesh_close_all(single, 2);
}

/* Row 16: the same pair with one space, and with many. */
static void idle_spaces(struct idle *idle)
{
    static struct kit_figures cpu[2];
    static struct kit_figures bytes[2];
    static struct kit_figures seen[2];
    uint32_t more = idle->small ? IDLE_SPACES_SMALL : IDLE_SPACES;
    idle->nodes_count = 2;
    mesh_open_all(idle->nodes, idle->nodes_count);
    for (uint64_t way = 0; way < 2; way++) {
        for (uint32_t i = 1; way == 1 && i < more; i++) {
            idle_share(idle, i);
        }
        idle_settle(idle);
        idle_rounds(idle, &cpu[way], &bytes[way]);
    }
    idle_seen_both(idle, seen);
    mesh_close_all(idle->nodes, idle->nodes_count);
    idle_report("many spaces, processor", "%", "one space", more, &cpu[0], &cpu[1]);
    idle_report("many spaces, traffic", "bytes/s", "one space", more, &bytes[0], &bytes[1]);
    idle_report("many spaces, put to visible", "ms", "one space", more, &seen[0], &seen[1]);
}

int main(int argc, char **argv)
{
    static struct idle idle = {
        .options = {.puts = 10000, .batch = 1000, .single = 100, .rounds = 5}};
    kit_options(argc, argv, &idle.options);
    idle.small = getenv("MESHSYNC_BENCH_SMALL") != NULL;
    idle_peers(&idle);
    idle_spaces(&idle);
    return 0;
}
