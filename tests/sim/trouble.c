/* SPDX-License-Identifier: Apache-2.0 */
/* What goes wrong in a swarm: each kind of trouble, done to one node or one pair. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sim/swarm.h"

enum {
    TROUBLE_MEMBERS_MIN = 3, /* So many must stay when one goes for ever. */
    TROUBLE_CLONE_DIALS = 2
};

/* The world whose draws and whose simulation are used: the first. */
static struct world *trouble_world(struct swarm *swarm)
{
    return &swarm->worlds[0];
}

static meshsync_sim_pair trouble_pair(struct swarm *swarm, uint32_t node)
{
    struct world *world = trouble_world(swarm);
    uint32_t count = world->sim->nodes_count;
    meshsync_sim_pair pair = {node, (node + 1 + world_draw(world, count - 1)) % count};
    return pair;
}

static void trouble_link(struct swarm *swarm, uint32_t node, uint32_t what)
{
    struct world *world = trouble_world(swarm);
    meshsync_sim_pair pair = trouble_pair(swarm, node);
    meshsync_sim_link link = {.size = sizeof link};
    switch (what) {
    case TROUBLE_CUT: world_must(world, meshsync_sim_cut(world->sim, pair), "cut"); return;
    case TROUBLE_FLAP:
        world->counts.flaps += 1;
        for (uint32_t i = 0; i < 6; i++) {
            world_must(world,
                       i % 2 == 0 ? meshsync_sim_cut(world->sim, pair)
                                  : meshsync_sim_heal(world->sim, pair),
                       "flap");
            world_run(world, 1 + world_draw(world, 60));
        }
        return;
    case TROUBLE_RESET: world_must(world, meshsync_sim_reset(world->sim, pair), "reset"); return;
    case TROUBLE_HALF_OPEN:
        world_must(world, meshsync_sim_half_open(world->sim, pair), "half open");
        return;
    case TROUBLE_CORRUPT:
        world_must(world, meshsync_sim_corrupt(world->sim, pair), "corrupt");
        return;
    case TROUBLE_ONE_WAY:
        link.cut = 1;
        world->counts.one_way += 1;
        break;
    case TROUBLE_TAIL:
        link.tail_permille = 1 + world_draw(world, 200);
        link.tail_us_max = 1000 + world_draw(world, 5000000);
        break;
    default: /* TROUBLE_SLOW */
        link.bytes_per_s = 200 + world_draw(world, 20000);
        link.latency_us_min = 1000;
        link.latency_us_max = 1000 + world_draw(world, 2000000);
        world->counts.slow += 1;
        break;
    }
    world_must(world, meshsync_sim_link_set(world->sim, pair, &link), "link");
}

static void trouble_heal(struct swarm *swarm, uint32_t node)
{
    struct world *world = trouble_world(swarm);
    if (world_chance(world, 50)) {
        world_must(world, meshsync_sim_heal(world->sim, trouble_pair(swarm, node)), "heal");
        return;
    }
    for (uint32_t i = 0; i < world->sim->nodes_count; i++) {
        for (uint32_t k = 0; k < world->sim->nodes_count; k++) {
            meshsync_sim_pair pair = {i, k};
            meshsync_sim_link link = {.size = sizeof link};
            world_must(world, meshsync_sim_link_set(world->sim, pair, &link), "heal");
        }
    }
}

static void trouble_good(struct swarm *swarm, uint32_t node)
{
    struct world *world = trouble_world(swarm);
    world_must(world, meshsync_sim_store_set(world->sim, node, MESHSYNC_SIM_STORE_GOOD), "store");
    world_must(world, meshsync_sim_store_slow(world->sim, node, 0), "store");
    world_must(world, meshsync_sim_memory_set(world->sim, node, UINT64_MAX), "memory");
}

/* A node is put to death, out of memory or without a store that works while it does this. */
static bool trouble_excuses(meshsync_status status)
{
    return status == MESHSYNC_E_IO || status == MESHSYNC_E_NO_MEMORY ||
           status == MESHSYNC_E_STORE_FULL || status == MESHSYNC_E_STATE ||
           status == MESHSYNC_E_CLOCK;
}

/* A node joins the spaces that it is to be in and is not. */
static void trouble_join(struct swarm *swarm, uint32_t node)
{
    for (uint32_t i = 0; i < swarm->worlds_count; i++) {
        struct world *world = &swarm->worlds[i];
        meshsync_error error = {0};
        if (!world_member(world, node) || world_holds(world, node)) {
            continue;
        }
        world_enter(world);
        meshsync_status status = meshsync_sim_space_join(world->sim, node, &error);
        if (status != MESHSYNC_OK && !trouble_excuses(status)) {
            world_fail(world, "node %u joins: %s", node, error.message);
        }
        world->counts.joins += status == MESHSYNC_OK ? 1 : 0;
    }
}

static void trouble_restart(struct swarm *swarm, uint32_t node)
{
    struct world *world = trouble_world(swarm);
    meshsync_error error = {0};
    if (meshsync_sim_node_is_up(world->sim, node) == 0) {
        trouble_good(swarm, node);
        world_must(world, meshsync_sim_restart(world->sim, node, &error), error.message);
    }
    trouble_join(swarm, node);
}

static void trouble_crash(struct swarm *swarm, uint32_t node, uint32_t what)
{
    struct world *world = trouble_world(swarm);
    static const meshsync_sim_crash_kind kinds[TROUBLE_COUNT] = {
        [TROUBLE_KILL] = MESHSYNC_SIM_KILL,
        [TROUBLE_POWER] = MESHSYNC_SIM_POWER,
        [TROUBLE_KILL_BEFORE] = MESHSYNC_SIM_KILL_BEFORE,
        [TROUBLE_KILL_AFTER] = MESHSYNC_SIM_KILL_AFTER};
    uint64_t actions = 1 + world_draw(world, world_chance(world, 50) ? 12 : 300);
    meshsync_status status = what == TROUBLE_KILL_AT
                                 ? meshsync_sim_crash_at(world->sim, node, actions)
                                 : meshsync_sim_crash(world->sim, node, kinds[what]);
    if (status != MESHSYNC_E_STATE) {
        world_must(world, status, "crash");
    }
}

static bool trouble_survives(struct swarm *swarm, uint32_t node)
{
    bool survives = true;
    for (uint32_t i = 0; i < swarm->worlds_count; i++) {
        survives = survives && world_survives(&swarm->worlds[i], node);
    }
    return survives;
}

static void trouble_renew(struct swarm *swarm, uint32_t node)
{
    for (uint32_t i = 0; i < swarm->worlds_count; i++) {
        struct world *world = &swarm->worlds[i];
        bool has = world->sim->nodes[node]->spaces[world->space] != 0;
        world->members |= has ? UINT64_C(1) << node : 0; /* A backup may bring a space back. */
        world_renew(world, node);
    }
}

static void trouble_disk(struct swarm *swarm, uint32_t node, uint32_t what)
{
    struct world *world = trouble_world(swarm);
    meshsync_error error = {0};
    meshsync_status status = MESHSYNC_OK;
    if (what == TROUBLE_RESTORE && msy_sim_node(world->sim, node)->backup == NULL) {
        world_must(world, meshsync_sim_backup(world->sim, node), "backup"); /* For the next. */
        return;
    }
    if (!trouble_survives(swarm, node)) {
        return; /* Who loses every copy of a space has lost it. */
    }
    for (uint32_t i = 0; i < swarm->worlds_count; i++) {
        world_forsake(&swarm->worlds[i], node);
    }
    trouble_good(swarm, node);
    if (what == TROUBLE_RESTORE) {
        status = meshsync_sim_restore(world->sim, node, &error);
    } else {
        status = meshsync_sim_disk_lose(
            world->sim, node,
            what == TROUBLE_DISK_KEPT ? MESHSYNC_SIM_KEY_KEPT : MESHSYNC_SIM_KEY_LOST, &error);
    }
    world_must(world, status, error.message);
    trouble_renew(swarm, node);
    trouble_join(swarm, node);
}

static void trouble_dials(struct swarm *swarm, uint32_t node, uint32_t beside)
{
    struct world *world = trouble_world(swarm);
    for (uint32_t i = 0; i < TROUBLE_CLONE_DIALS; i++) {
        meshsync_sim_pair pair = {node, (beside + 1 + i) % node};
        world_must(world, meshsync_sim_dial(world->sim, pair), "dial");
    }
}

/* Who brings a second space is dialled too by somebody who has it: who shares one with nobody hears
 * of nobody. */
static void trouble_dial_members(struct swarm *swarm, uint32_t node)
{
    for (uint32_t i = 0; i < swarm->worlds_count; i++) {
        struct world *world = &swarm->worlds[i];
        for (uint32_t k = 0; k < node && world_member(world, node); k++) {
            meshsync_sim_pair pair = {k, node};
            if (world_holds(world, k)) {
                world_must(world, meshsync_sim_dial(world->sim, pair), "dial");
            }
        }
    }
}

static void trouble_clone(struct swarm *swarm, uint32_t node)
{
    struct world *world = trouble_world(swarm);
    meshsync_error error = {0};
    uint32_t clone = 0;
    if (world->sim->nodes_count >= swarm->nodes_max) {
        return;
    }
    trouble_good(swarm, node);
    world_must(world, meshsync_sim_clone(world->sim, node, &clone, &error), error.message);
    trouble_dials(swarm, clone, node); /* Nobody knows its address: it calls others. */
    for (uint32_t i = 0; i < swarm->worlds_count; i++) {
        bool member = world_member(&swarm->worlds[i], node);
        swarm->worlds[i].members |= member ? UINT64_C(1) << clone : 0;
    }
    trouble_renew(swarm, clone);
    trouble_dial_members(swarm, clone);
}

static void trouble_newcomer(struct swarm *swarm, uint32_t node)
{
    struct world *world = trouble_world(swarm);
    meshsync_error error = {0};
    uint32_t made = 0;
    if (world->sim->nodes_count >= swarm->nodes_max) {
        return;
    }
    world_must(world, meshsync_sim_node_add(world->sim, &made, &error), error.message);
    trouble_dials(swarm, made, node);
    for (uint32_t i = 0; i < swarm->worlds_count; i++) {
        bool member = i == 0 || world_chance(world, 50);
        swarm->worlds[i].members |= member ? UINT64_C(1) << made : 0;
    }
    trouble_join(swarm, made);
    trouble_dial_members(swarm, made);
}

/* Would enough stay who are in the space? */
static bool trouble_spares(const struct world *world, uint32_t node)
{
    uint32_t stay = 0;
    for (uint32_t i = 0; i < world->sim->nodes_count; i++) {
        stay += i != node && world_holds(world, i) ? 1 : 0;
    }
    return stay >= TROUBLE_MEMBERS_MIN;
}

/* Others keep its address and go on dialling it; who knew only it would be alone, so they are told
 * of somebody else. */
static void trouble_introduce(struct swarm *swarm, uint32_t node)
{
    struct world *world = trouble_world(swarm);
    for (uint32_t i = 0; i < swarm->worlds_count; i++) {
        const struct world *at = &swarm->worlds[i];
        uint32_t last = UINT32_MAX;
        for (uint32_t k = 0; k < world->sim->nodes_count; k++) {
            if (k == node || !world_member(at, k)) {
                continue;
            }
            meshsync_sim_pair pair = {k, last};
            if (last != UINT32_MAX) {
                world_must(world, meshsync_sim_dial(world->sim, pair), "dial");
            }
            last = k;
        }
    }
}

static void trouble_retire(struct swarm *swarm, uint32_t node)
{
    struct world *world = trouble_world(swarm);
    bool spared = true;
    for (uint32_t i = 0; i < swarm->worlds_count; i++) {
        spared = spared && trouble_spares(&swarm->worlds[i], node);
    }
    if (!spared || !trouble_survives(swarm, node)) {
        return;
    }
    for (uint32_t i = 0; i < swarm->worlds_count; i++) {
        world_forsake(&swarm->worlds[i], node);
    }
    trouble_introduce(swarm, node);
    world_must(world, meshsync_sim_retire(world->sim, node), "retire");
    for (uint32_t i = 0; i < swarm->worlds_count; i++) {
        memset(&swarm->worlds[i].nodes[node], 0, sizeof swarm->worlds[i].nodes[node]);
    }
}

static void trouble_leave(struct swarm *swarm, uint32_t node)
{
    struct world *world = &swarm->worlds[world_draw(trouble_world(swarm), swarm->worlds_count)];
    bool for_good = world_chance(trouble_world(swarm), 30);
    meshsync_error error = {0};
    if (meshsync_sim_node_is_up(world->sim, node) == 0 || !world_holds(world, node) ||
        !trouble_spares(world, node) || !world_survives(world, node)) {
        return;
    }
    world_forsake(world, node);
    world_enter(world);
    meshsync_status status = meshsync_sim_space_leave(world->sim, node, &error);
    if (status == MESHSYNC_OK && for_good) {
        trouble_introduce(swarm, node);
        world->members &= ~(UINT64_C(1) << node);
    }
    if (status != MESHSYNC_OK && !trouble_excuses(status)) {
        world_fail(world, "node %u leaves: %s", node, error.message);
    }
    world_renew(world, node);
}

static void trouble_clock(struct swarm *swarm, uint32_t node, uint32_t what)
{
    struct world *world = trouble_world(swarm);
    int64_t offset = meshsync_sim_clock_offset(world->sim, node);
    int64_t to = 0;
    if (what == TROUBLE_DRIFT) {
        static const int32_t ppm[] = {0, 50, -50, 500, -500, 20000, -20000};
        world_must(world, meshsync_sim_clock_drift(world->sim, node, ppm[world_draw(world, 7)]),
                   "drift");
        return;
    }
    if (what == TROUBLE_SKEW) {
        to = (int64_t)world_draw(world, 4000) - 2000;
        world->counts.skews += 1;
    } else if (world_chance(world, 60)) {
        to = (int64_t)world_draw(world, 600000) - 300000;
    }
    world_must(world, meshsync_sim_clock_jump(world->sim, node, to - offset), "clock");
}

static void trouble_speaks(struct world *world, uint32_t node,
                           const meshsync_sim_protocol *protocol)
{
    world_must(world, meshsync_sim_protocol_set(world->sim, node, protocol), "protocol");
    meshsync_status status = meshsync_sim_crash(world->sim, node, MESHSYNC_SIM_KILL);
    if (status != MESHSYNC_E_STATE) {
        world_must(world, status, "crash");
    }
}

/* The program is replaced by one of another version: later ones offer more, and some no longer
 * speak ours. */
static void trouble_protocol(struct swarm *swarm, uint32_t node)
{
    struct world *world = trouble_world(swarm);
    meshsync_sim_protocol protocol = {.size = sizeof protocol};
    if (world_chance(world, 65)) {
        protocol.version_max = 1 + world_draw(world, 6);
        protocol.features = world_draw(world, UINT32_MAX);
        protocol.unknown = world_draw(world, 2);
        protocol.lacks = (protocol.features >> 31) != 0 ? UINT64_MAX : 0; /* An earlier one. */
    } else if (world_chance(world, 80)) {
        protocol.version_min = 2;
        protocol.version_max = 2 + world_draw(world, 3);
        world->counts.too_new += 1;
    }
    trouble_speaks(world, node, &protocol);
    trouble_restart(swarm, node);
}

static void trouble_mend(struct swarm *swarm, uint32_t node)
{
    struct world *world = trouble_world(swarm);
    const meshsync_sim_protocol ours = {.size = sizeof ours};
    trouble_good(swarm, node);
    if (world->sim->nodes[node]->protocol.version_min > 1) {
        trouble_speaks(world, node, &ours);
        trouble_restart(swarm, node);
    }
}

static void trouble_node(struct swarm *swarm, uint32_t node, uint32_t what)
{
    struct world *world = trouble_world(swarm);
    switch (what) {
    case TROUBLE_RESTART: trouble_restart(swarm, node); return;
    case TROUBLE_FULL:
        world_must(world, meshsync_sim_store_set(world->sim, node, MESHSYNC_SIM_STORE_FULL),
                   "store");
        return;
    case TROUBLE_IO:
        world_must(world, meshsync_sim_store_set(world->sim, node, MESHSYNC_SIM_STORE_IO), "store");
        return;
    case TROUBLE_SLOW_STORE:
        world_must(world,
                   meshsync_sim_store_slow(world->sim, node, 1000 + world_draw(world, 3000000)),
                   "store");
        return;
    case TROUBLE_MEMORY:
        world_must(
            world,
            meshsync_sim_memory_set(world->sim, node,
                                    world_draw(world, world_chance(world, 50) ? 4000 : 200000)),
            "memory");
        return;
    case TROUBLE_GOOD: trouble_mend(swarm, node); return;
    case TROUBLE_BACKUP: world_must(world, meshsync_sim_backup(world->sim, node), "backup"); return;
    case TROUBLE_CLONE: trouble_clone(swarm, node); return;
    case TROUBLE_NEWCOMER: trouble_newcomer(swarm, node); return;
    case TROUBLE_RETIRE: trouble_retire(swarm, node); return;
    case TROUBLE_LEAVE: trouble_leave(swarm, node); return;
    default: trouble_protocol(swarm, node); return; /* The last that is left. */
    }
}

void trouble_make(struct swarm *swarm, const struct step *step)
{
    struct world *world = trouble_world(swarm);
    uint32_t node = step->node % world->sim->nodes_count;
    for (uint32_t i = 0; step->node == STEP_NODE_ALL && i < world->sim->nodes_count; i++) {
        const struct step one = {step->at_ms, step->kind, i, step->random};
        trouble_make(swarm, &one);
    }
    if (step->node == STEP_NODE_ALL) {
        return;
    }
    if (world->sim->nodes[node]->retired || world->sim->nodes_count < 2) {
        return;
    }
    world_enter(world);
    switch (step->kind) {
    case TROUBLE_CUT:
    case TROUBLE_ONE_WAY:
    case TROUBLE_FLAP:
    case TROUBLE_RESET:
    case TROUBLE_HALF_OPEN:
    case TROUBLE_CORRUPT:
    case TROUBLE_TAIL:
    case TROUBLE_SLOW: trouble_link(swarm, node, step->kind); return;
    case TROUBLE_HEAL: trouble_heal(swarm, node); return;
    case TROUBLE_KILL:
    case TROUBLE_POWER:
    case TROUBLE_KILL_BEFORE:
    case TROUBLE_KILL_AFTER:
    case TROUBLE_KILL_AT: trouble_crash(swarm, node, step->kind); return;
    case TROUBLE_DISK_KEPT:
    case TROUBLE_DISK_NEW:
    case TROUBLE_RESTORE: trouble_disk(swarm, node, step->kind); return;
    case TROUBLE_JUMP:
    case TROUBLE_DRIFT:
    case TROUBLE_SKEW: trouble_clock(swarm, node, step->kind); return;
    default: trouble_node(swarm, node, step->kind); return;
    }
}

void trouble_end(struct swarm *swarm)
{
    struct world *world = trouble_world(swarm);
    for (uint32_t i = 0; i < world->sim->nodes_count; i++) {
        const struct msy_sim_node *node = world->sim->nodes[i];
        if (node->retired) {
            continue;
        }
        trouble_mend(swarm, i);
        if (meshsync_sim_node_is_up(world->sim, i) != 0) {
            world_must(world, meshsync_sim_crash_at(world->sim, i, 0), "no crash");
        }
        trouble_restart(swarm, i);
    }
}
