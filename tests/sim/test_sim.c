/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shows that a mesh keeps the laws whatever happens to it: seeded runs of three to eight nodes
 * whose links, clocks, disks and processes fail as the seed draws it, then a quiet phase in which
 * all must come to hold the same, with nothing lost that was acknowledged and nothing back that was
 * removed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sim/world.h"

enum {
    SEEDS_DEFAULT = 300,
    SEED_BASE = 1000,
    SLICES = 110, /* Of a run. */
    SLICE_MS_MAX = 120,
    SETTLE_MS = 420000, /* Longer than the longest jump of a clock. */
    ALL_REACHED_SEEDS = 100
};

static struct world world;
static uint64_t worst_settle_ms;

enum trouble {
    TROUBLE_CUT = 0,
    TROUBLE_ONE_WAY,
    TROUBLE_FLAP,
    TROUBLE_HEAL,
    TROUBLE_RESET,
    TROUBLE_HALF_OPEN,
    TROUBLE_CORRUPT,
    TROUBLE_SLOW,
    TROUBLE_KILL,
    TROUBLE_POWER,
    TROUBLE_KILL_BEFORE,
    TROUBLE_KILL_AFTER,
    TROUBLE_RESTART,
    TROUBLE_FULL,
    TROUBLE_IO,
    TROUBLE_GOOD,
    TROUBLE_DISK_KEPT,
    TROUBLE_DISK_NEW,
    TROUBLE_BACKUP,
    TROUBLE_RESTORE,
    TROUBLE_CLONE,
    TROUBLE_JUMP,
    TROUBLE_SKEW,
    TROUBLE_COUNT
};

/* What must have been reached over a long run, and how often it was. */
struct reached {
    const char *name;
    uint64_t count;
};
enum { REACHED_MAX = 64 };
static struct reached reached[REACHED_MAX];
static uint32_t reached_count;

static void reach(const char *name, uint64_t count)
{
    for (uint32_t i = 0; i < reached_count; i++) {
        if (strcmp(reached[i].name, name) == 0) {
            reached[i].count += count;
            return;
        }
    }
    assert_true(reached_count < REACHED_MAX);
    reached[reached_count].name = name;
    reached[reached_count].count = count;
    reached_count += 1;
}

static meshsync_sim_pair draw_pair(void)
{
    uint32_t count = world.sim->nodes_count;
    uint32_t from = world_draw(&world, count);
    uint32_t to = (from + 1 + world_draw(&world, count - 1)) % count;
    meshsync_sim_pair pair = {from, to};
    return pair;
}

static void must(meshsync_status status, const char *what)
{
    if (status != MESHSYNC_OK) {
        world_fail(&world, "%s: %s", what, meshsync_status_name(status));
    }
}

static void trouble_link(enum trouble what)
{
    meshsync_sim_pair pair = draw_pair();
    meshsync_sim_link link = {.size = sizeof link};
    switch ((int)what) {
    case TROUBLE_CUT: must(meshsync_sim_cut(world.sim, pair), "cut"); return;
    case TROUBLE_ONE_WAY:
        link.cut = 1;
        world.counts.one_way += 1;
        break;
    case TROUBLE_FLAP:
        world.counts.flaps += 1;
        for (uint32_t i = 0; i < 6; i++) {
            must(i % 2 == 0 ? meshsync_sim_cut(world.sim, pair)
                            : meshsync_sim_heal(world.sim, pair),
                 "flap");
            world_run(&world, 1 + world_draw(&world, 60));
        }
        return;
    case TROUBLE_RESET: must(meshsync_sim_reset(world.sim, pair), "reset"); return;
    case TROUBLE_HALF_OPEN: must(meshsync_sim_half_open(world.sim, pair), "half open"); return;
    case TROUBLE_CORRUPT: must(meshsync_sim_corrupt(world.sim, pair), "corrupt"); return;
    default: /* TROUBLE_SLOW */
        link.bytes_per_s = 200 + world_draw(&world, 20000);
        link.latency_us_min = 1000;
        link.latency_us_max = 1000 + world_draw(&world, 2000000);
        world.counts.slow += 1;
        break;
    }
    must(meshsync_sim_link_set(world.sim, pair, &link), "link");
}

static void trouble_heal(void)
{
    if (world_chance(&world, 50)) {
        must(meshsync_sim_heal(world.sim, draw_pair()), "heal");
        return;
    }
    for (uint32_t i = 0; i < world.sim->nodes_count; i++) {
        for (uint32_t k = 0; k < world.sim->nodes_count; k++) {
            meshsync_sim_pair pair = {i, k};
            meshsync_sim_link link = {.size = sizeof link};
            must(meshsync_sim_link_set(world.sim, pair, &link), "heal");
        }
    }
}

static void restart_one(uint32_t node)
{
    meshsync_error error = {0};
    if (meshsync_sim_node_is_up(world.sim, node) == 0) {
        must(meshsync_sim_store_set(world.sim, node, MESHSYNC_SIM_STORE_GOOD), "store");
        must(meshsync_sim_restart(world.sim, node, &error), "restart");
    }
    if (msy_sim_node(world.sim, node)->space == 0) {
        must(meshsync_sim_space_join(world.sim, node, &error), "join");
        world.counts.joins += 1;
    }
}

static void trouble_crash(uint32_t node, enum trouble what)
{
    meshsync_sim_crash_kind kind =
        what == TROUBLE_KILL
            ? MESHSYNC_SIM_KILL
            : (what == TROUBLE_POWER ? MESHSYNC_SIM_POWER
                                     : (what == TROUBLE_KILL_BEFORE ? MESHSYNC_SIM_KILL_BEFORE
                                                                    : MESHSYNC_SIM_KILL_AFTER));
    meshsync_status status = meshsync_sim_crash(world.sim, node, kind);
    if (status != MESHSYNC_OK && status != MESHSYNC_E_STATE) {
        must(status, "crash");
    }
}

static void trouble_disk(uint32_t node, enum trouble what)
{
    meshsync_error error = {0};
    meshsync_status status = MESHSYNC_OK;
    if (what == TROUBLE_RESTORE && msy_sim_node(world.sim, node)->backup == NULL) {
        return;
    }
    if (!world_survives(&world, node)) {
        return; /* Who loses every copy of a space has lost it. */
    }
    world_forsake(&world, node);
    if (what == TROUBLE_RESTORE) {
        status = meshsync_sim_restore(world.sim, node, &error);
    } else {
        status = meshsync_sim_disk_lose(
            world.sim, node,
            what == TROUBLE_DISK_KEPT ? MESHSYNC_SIM_KEY_KEPT : MESHSYNC_SIM_KEY_LOST, &error);
    }
    must(status, error.message);
    if (msy_sim_node(world.sim, node)->space == 0) {
        must(meshsync_sim_space_join(world.sim, node, &error), "join");
        world.counts.joins += 1;
    }
    world_renew(&world, node);
}

static void trouble_clone(uint32_t node)
{
    meshsync_error error = {0};
    uint32_t clone = 0;
    if (world.sim->nodes_count >= 10) {
        return;
    }
    must(meshsync_sim_clone(world.sim, node, &clone, &error), "clone");
    for (uint32_t i = 0; i < 2; i++) { /* Nobody knows its address: it calls others. */
        meshsync_sim_pair pair = {clone, (node + 1 + i) % clone};
        must(meshsync_sim_dial(world.sim, pair), "dial");
    }
    world_renew(&world, clone);
}

static void trouble_clock(uint32_t node, enum trouble what)
{
    int64_t offset = meshsync_sim_clock_offset(world.sim, node);
    int64_t to = 0;
    if (what == TROUBLE_SKEW) {
        to = (int64_t)world_draw(&world, 4000) - 2000;
        world.counts.skews += 1;
    } else if (world_chance(&world, 60)) {
        to = (int64_t)world_draw(&world, 600000) - 300000;
    }
    must(meshsync_sim_clock_jump(world.sim, node, to - offset), "clock");
}

static void trouble_make(enum trouble what)
{
    uint32_t node = world_draw(&world, world.sim->nodes_count);
    world_note(&world, "trouble %d, node %u", (int)what, node);
    switch (what) {
    case TROUBLE_CUT:
    case TROUBLE_ONE_WAY:
    case TROUBLE_FLAP:
    case TROUBLE_RESET:
    case TROUBLE_HALF_OPEN:
    case TROUBLE_CORRUPT:
    case TROUBLE_SLOW: trouble_link(what); return;
    case TROUBLE_HEAL: trouble_heal(); return;
    case TROUBLE_KILL:
    case TROUBLE_POWER:
    case TROUBLE_KILL_BEFORE:
    case TROUBLE_KILL_AFTER: trouble_crash(node, what); return;
    case TROUBLE_RESTART: restart_one(node); return;
    case TROUBLE_FULL:
        must(meshsync_sim_store_set(world.sim, node, MESHSYNC_SIM_STORE_FULL), "store");
        return;
    case TROUBLE_IO:
        must(meshsync_sim_store_set(world.sim, node, MESHSYNC_SIM_STORE_IO), "store");
        return;
    case TROUBLE_GOOD:
        must(meshsync_sim_store_set(world.sim, node, MESHSYNC_SIM_STORE_GOOD), "store");
        return;
    case TROUBLE_DISK_KEPT:
    case TROUBLE_DISK_NEW:
    case TROUBLE_RESTORE: trouble_disk(node, what); return;
    case TROUBLE_BACKUP: must(meshsync_sim_backup(world.sim, node), "backup"); return;
    case TROUBLE_CLONE: trouble_clone(node); return;
    case TROUBLE_JUMP:
    case TROUBLE_SKEW: trouble_clock(node, what); return;
    case TROUBLE_COUNT: return;
    }
}

/* How likely each trouble is in this run, in per mille of a slice: most seeds know only some. */
static void troubles_draw(uint32_t *rates)
{
    static const uint32_t most[TROUBLE_COUNT] = {
        [TROUBLE_CUT] = 80,      [TROUBLE_ONE_WAY] = 60,     [TROUBLE_FLAP] = 40,
        [TROUBLE_HEAL] = 120,    [TROUBLE_RESET] = 100,      [TROUBLE_HALF_OPEN] = 60,
        [TROUBLE_CORRUPT] = 60,  [TROUBLE_SLOW] = 40,        [TROUBLE_KILL] = 60,
        [TROUBLE_POWER] = 40,    [TROUBLE_KILL_BEFORE] = 40, [TROUBLE_KILL_AFTER] = 60,
        [TROUBLE_RESTART] = 200, [TROUBLE_FULL] = 12,        [TROUBLE_IO] = 12,
        [TROUBLE_GOOD] = 250,    [TROUBLE_DISK_KEPT] = 15,   [TROUBLE_DISK_NEW] = 15,
        [TROUBLE_BACKUP] = 60,   [TROUBLE_RESTORE] = 60,     [TROUBLE_CLONE] = 20,
        [TROUBLE_JUMP] = 30,     [TROUBLE_SKEW] = 40};
    for (uint32_t i = 0; i < TROUBLE_COUNT; i++) {
        bool always = i == TROUBLE_HEAL || i == TROUBLE_RESTART || i == TROUBLE_GOOD;
        rates[i] = always || world_chance(&world, 45) ? 1 + world_draw(&world, most[i]) : 0;
    }
}

static void note_reached(void)
{
    meshsync_sim_stats stats = {.size = sizeof stats};
    must(meshsync_sim_get_stats(world.sim, &stats), "stats");
    const struct world_counts *counts = &world.counts;
    const struct reached rows[] = {
        {"fault: direction cut", stats.cuts},
        {"fault: one way only", counts->one_way},
        {"fault: flapping link", counts->flaps},
        {"fault: connection reset", stats.resets},
        {"fault: half-open connection", stats.half_opens},
        {"fault: byte corrupted", stats.corruptions},
        {"fault: slow link", counts->slow},
        {"fault: process killed", stats.crashes},
        {"fault: power lost", stats.powers},
        {"fault: killed before a commit", stats.crashes_before},
        {"fault: killed after a commit", stats.crashes_after},
        {"fault: restarted", stats.restarts},
        {"fault: store full", stats.store_full},
        {"fault: commit failed", stats.store_io},
        {"fault: disk lost", stats.disks_lost},
        {"fault: backup restored", stats.restores},
        {"fault: store cloned", stats.clones},
        {"fault: clock moved", stats.clock_jumps},
        {"state: siblings shown", counts->siblings},
        {"state: change joins heads", counts->merges},
        {"state: change pending", stats.pending},
        {"state: cause asked for", stats.missing},
        {"state: duplicate received", stats.duplicates},
        {"state: epoch changed", counts->epochs},
        {"state: new root of a device", counts->roots},
        {"state: stamp held", stats.held},
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
        {"work: commits acknowledged", counts->acked},
        {"work: changes taken from peers", stats.changes_in},
        {"work: connections", stats.connections},
        {"work: events", stats.events},
        {"work: samples checked", counts->samples}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        reach(rows[i].name, rows[i].count);
    }
}

/* What waits for its time is seen only while it waits: the simulator keeps the most it is shown. */
static void note_held(void)
{
    meshsync_sim_stats stats = {.size = sizeof stats};
    must(meshsync_sim_get_stats(world.sim, &stats), "stats");
}

static void run_seed(uint64_t seed, uint8_t trace[MESHSYNC_DIGEST_BYTES])
{
    uint32_t rates[TROUBLE_COUNT];
    world_open(&world, seed, 3 + (uint32_t)(seed % 6));
    troubles_draw(rates);
    for (uint32_t slice = 0; slice < SLICES; slice++) {
        for (uint32_t i = 0; i < TROUBLE_COUNT; i++) {
            if (world_draw(&world, 1000) < rates[i]) {
                trouble_make((enum trouble)i);
            }
        }
        for (uint32_t i = world_draw(&world, 5); i > 0; i--) {
            world_act(&world, world_draw(&world, world.sim->nodes_count));
        }
        world_run(&world, 1 + world_draw(&world, SLICE_MS_MAX));
        if (slice % 3 == 0) {
            world_sample(&world);
            note_held();
        }
    }
    uint64_t quiet_us = meshsync_sim_now_us(world.sim);
    world_finish(&world, SETTLE_MS);
    uint64_t settle_ms = (meshsync_sim_now_us(world.sim) - quiet_us) / 1000;
    worst_settle_ms = settle_ms > worst_settle_ms ? settle_ms : worst_settle_ms;
    note_reached();
    meshsync_sim_trace(world.sim, trace);
    world_close(&world);
}

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL && text[0] != '\0' ? strtoull(text, NULL, 10) : otherwise;
}

static void test_same_seed_same_trace(void **state)
{
    uint8_t first[MESHSYNC_DIGEST_BYTES];
    uint8_t second[MESHSYNC_DIGEST_BYTES];
    uint8_t other[MESHSYNC_DIGEST_BYTES];
    char text[2 * MESHSYNC_DIGEST_BYTES + 1];
    uint64_t seed = number_of("MESHSYNC_SEED", SEED_BASE);
    (void)state;
    run_seed(seed, first);
    run_seed(seed, second);
    run_seed(seed + 1, other);
    msy_hex_encode(text, first, sizeof first);
    print_message("trace of seed %llu: %s\n", (unsigned long long)seed, text);
    assert_memory_equal(first, second, sizeof first);
    assert_memory_not_equal(first, other, sizeof first);
}

static void test_seeds(void **state)
{
    uint8_t trace[MESHSYNC_DIGEST_BYTES];
    uint64_t count = number_of("MESHSYNC_SEEDS", SEEDS_DEFAULT);
    uint64_t base = number_of("MESHSYNC_SEED", SEED_BASE);
    uint32_t never = 0;
    (void)state;
    for (uint64_t i = 0; i < count; i++) {
        run_seed(base + i, trace);
    }
    print_message("%llu seeds from %llu; longest quiet phase %llu ms\n", (unsigned long long)count,
                  (unsigned long long)base, (unsigned long long)worst_settle_ms);
    for (uint32_t i = 0; i < reached_count; i++) {
        print_message("  %-32s %12llu\n", reached[i].name, (unsigned long long)reached[i].count);
        never += reached[i].count == 0 ? 1 : 0;
    }
    if (count >= ALL_REACHED_SEEDS) {
        assert_int_equal(never, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_same_seed_same_trace),
                                       cmocka_unit_test(test_seeds)};
    world.program = "build/tests/sim/test_sim";
    return cmocka_run_group_tests(tests, NULL, NULL);
}
