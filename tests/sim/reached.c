/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every kind of fault and every state that simulated meshes must come to. This table only grows: a
 * row that is taken away or renamed is a promise broken.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "sim/swarm.h"

enum {
    REACHED_MAX = 80,
    REACHED_SEEDS_MIN = 100, /* From so many on every row must be there, */
    REACHED_SEEDS = 2000,    /* and in a campaign of so many */
    REACHED_FAULTS = 1000,   /* each fault so often; with fewer seeds */
    REACHED_PERCENT = 80     /* at least this much of their share: they are drawn. */
};

struct reached {
    const char *name;
    uint64_t count;
};
static struct reached reached[REACHED_MAX];
static uint32_t reached_count;

static void reach(const struct reached *row)
{
    for (uint32_t i = 0; i < reached_count; i++) {
        if (strcmp(reached[i].name, row->name) == 0) {
            reached[i].count += row->count;
            return;
        }
    }
    assert_true(reached_count < REACHED_MAX);
    reached[reached_count++] = *row;
}

static void reach_all(const struct reached *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        reach(&rows[i]);
    }
}

static void reached_faults(const meshsync_sim_stats *stats, const struct world_counts *counts)
{
    const struct reached rows[] = {
        {"fault: direction cut", stats->cuts},
        {"fault: one way only", counts->one_way},
        {"fault: flapping link", counts->flaps},
        {"fault: connection reset", stats->resets},
        {"fault: half-open connection", stats->half_opens},
        {"fault: byte corrupted", stats->corruptions},
        {"fault: slow link", counts->slow},
        {"fault: piece far behind others", stats->tails},
        {"fault: reordered across links", stats->reordered},
        {"fault: process killed", stats->crashes},
        {"fault: power lost", stats->powers},
        {"fault: killed before a commit", stats->crashes_before},
        {"fault: killed after a commit", stats->crashes_after},
        {"fault: killed within a commit", stats->crashes_at},
        {"fault: restarted", stats->restarts},
        {"fault: store full", stats->store_full},
        {"fault: commit failed", stats->store_io},
        {"fault: slow commit", stats->slow_commits},
        {"fault: out of memory", stats->memory_out},
        {"fault: disk lost", stats->disks_lost},
        {"fault: backup restored", stats->restores},
        {"fault: store cloned", stats->clones},
        {"fault: clock moved", stats->clock_jumps},
        {"fault: clock drifts", stats->drifts},
        {"fault: newcomer", stats->nodes_added},
        {"fault: gone for ever", stats->nodes_retired},
        {"fault: space left", stats->spaces_left},
        {"fault: other protocol version", stats->strangers},
        {"fault: no version in common", counts->too_new},
    };
    reach_all(rows, sizeof rows / sizeof rows[0]);
}

static void reached_states(const struct world_counts *counts)
{
    const struct reached rows[] = {
        {"state: siblings shown", counts->siblings},
        {"state: change joins heads", counts->merges},
        {"state: epoch changed", counts->epochs},
        {"state: new root of a device", counts->roots},
        {"state: range removed", counts->clears},
        {"state: counter removed", counts->resets},
        {"state: commits merged", counts->merged_changes},
        {"state: explicit transaction", counts->explicit_changes},
        {"state: condition refused", counts->refused_condition},
        {"state: store refused", counts->refused - counts->refused_condition},
        {"state: outcome unknown, kept", counts->unknown_kept},
        {"state: outcome unknown, gone", counts->unknown_gone},
        {"state: only copy lost", counts->lost_allowed},
        {"state: key removed", counts->tombs},
        {"state: reply to what was read", counts->replies},
        {"state: joined again", counts->joins},
        {"work: operations", counts->ops},
        {"work: commits acknowledged", counts->acked},
        {"work: samples checked", counts->samples},
    };
    reach_all(rows, sizeof rows / sizeof rows[0]);
}

/* Of the machines that are there at the end. */
static void reached_meshes(const struct meshsync_sim *sim, struct msy_mesh_stats *sum)
{
    for (uint32_t i = 0; i < sim->nodes_count; i++) {
        struct msy_mesh_stats one = {0};
        if (sim->nodes[i]->mesh != NULL) {
            msy_mesh_get_stats(sim->nodes[i]->mesh, &one);
        }
        sum->clocks_equal += one.clocks_equal;
        sum->clocks_asked += one.clocks_asked;
        sum->packed_bytes_in += one.packed_bytes_in;
        sum->clocks_swapped += one.clocks_swapped;
    }
}

static void reached_mesh(const struct swarm *swarm, const meshsync_sim_stats *stats)
{
    const struct world *first = &swarm->worlds[0];
    struct msy_mesh_stats meshes = {0};
    reached_meshes(first->sim, &meshes);
    const struct reached rows[] = {
        {"state: change pending", stats->pending},
        {"state: cause asked for", stats->missing},
        {"state: duplicate received", stats->duplicates},
        {"state: stamp held", stats->held},
        {"state: second space", swarm->worlds_count - 1},
        {"state: clock known by its digest", meshes.clocks_equal},
        {"state: clock asked for whole", meshes.clocks_asked},
        {"state: changes packed, bytes", meshes.packed_bytes_in},
        {"state: clock known by what differs", meshes.clocks_swapped},
        {"work: changes taken from peers", stats->changes_in},
        {"work: connections", stats->connections},
        {"work: events", stats->events},
        {"work: nodes", first->sim->nodes_count},
        {"work: simulated seconds", meshsync_sim_now_us(first->sim) / 1000000},
    };
    reach_all(rows, sizeof rows / sizeof rows[0]);
}

void reached_note(struct swarm *swarm)
{
    meshsync_sim_stats stats = {.size = sizeof stats};
    world_must(&swarm->worlds[0], meshsync_sim_get_stats(swarm->worlds[0].sim, &stats), "stats");
    reached_faults(&stats, &swarm->worlds[0].counts);
    for (uint32_t i = 0; i < swarm->worlds_count; i++) {
        reached_states(&swarm->worlds[i].counts);
    }
    reached_mesh(swarm, &stats);
}

uint32_t reached_report(uint64_t seeds, bool campaign)
{
    uint32_t missed = 0;
    for (uint32_t i = 0; i < reached_count; i++) {
        bool fault = strncmp(reached[i].name, "fault: ", 7) == 0;
        uint64_t least = seeds >= REACHED_SEEDS_MIN ? 1 : 0;
        if (campaign && fault && seeds >= REACHED_SEEDS_MIN) {
            least = seeds * REACHED_FAULTS / REACHED_SEEDS;
            least = seeds < REACHED_SEEDS ? least * REACHED_PERCENT / 100 : least;
        }
        bool short_of = reached[i].count < least;
        missed += short_of ? 1 : 0;
        print_message("  %-32s %12llu%s\n", reached[i].name, (unsigned long long)reached[i].count,
                      short_of ? "   TOO FEW" : "");
    }
    return missed;
}
