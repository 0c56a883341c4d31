/* SPDX-License-Identifier: Apache-2.0 */
/* The laws, looked at while a mesh runs and when it is quiet. */
#include "sim/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "replica/verify.h"
#include "store/history.h"

enum {
    WORLD_QUIET_MS = 5000,
    WORLD_LATE_WAITS_MAX = 2,
    WORLD_HELD_WAITS_MAX = 60,
    WORLD_VERIFY_EVERY = 8 /* Of so many seeds one has each signature of a node looked at. */
};

static bool world_read_int(struct world *world, uint32_t node, uint32_t collection, const char *key,
                           int64_t *number, uint32_t *siblings)
{
    struct world_path path;
    meshsync_entry entry;
    (void)snprintf(path.texts[0], WORLD_TEXT_MAX, "%s", key);
    meshsync_status status = meshsync_sim_get(world->sim, node, world_table[collection].name,
                                              world_path(&path, 1), &entry);
    if (status == MESHSYNC_E_NOT_FOUND) {
        return false;
    }
    world_must(world, status, "a read");
    *number = entry.value.integer;
    *siblings = entry.siblings_count;
    return true;
}

/* Atomic: both keys of a pair show the same, siblings included. */
static void check_pairs(struct world *world, uint32_t node)
{
    for (uint32_t i = 0; i < WORLD_PAIRS; i++) {
        int64_t numbers[2] = {0, 0};
        uint32_t siblings[2] = {0, 0};
        bool found[2];
        for (uint32_t k = 0; k < 2; k++) {
            char key[WORLD_TEXT_MAX];
            (void)snprintf(key, sizeof key, "p%u%c", i, k == 0 ? 'a' : 'b');
            found[k] = world_read_int(world, node, WORLD_PAIR, key, &numbers[k], &siblings[k]);
        }
        if (found[0] != found[1] || numbers[0] != numbers[1] || siblings[0] != siblings[1]) {
            world_fail(world,
                       "node %u shows half of a transaction: pair %u is %lld (%u) and "
                       "%lld (%u)",
                       node, i, (long long)numbers[0], siblings[0], (long long)numbers[1],
                       siblings[1]);
        }
    }
}

static void check_tombs(struct world *world, uint32_t node)
{
    for (uint32_t i = 0; i < world->tombs_count; i++) {
        struct world_tomb *tomb = &world->tombs[i];
        int64_t number = 0;
        uint32_t siblings = 0;
        bool here = world_read_int(world, node, WORLD_TOMB, tomb->key, &number, &siblings);
        if (here && tomb->seen[node] == 2) {
            world_fail(world, "%s came back at node %u", tomb->key, node);
        }
        if (here || tomb->seen[node] != 0) {
            tomb->seen[node] = here ? 1 : 2;
        }
        if (!here && tomb->seen[node] == 2 && !tomb->removed) {
            world_fail(world, "%s vanished at node %u, and nobody removed it", tomb->key, node);
        }
    }
}

static void check_replies(struct world *world, uint32_t node)
{
    for (uint32_t i = 0; i < world->replies_count; i++) {
        char post[WORLD_TEXT_MAX];
        char reply[WORLD_TEXT_MAX];
        int64_t number = 0;
        uint32_t siblings = 0;
        (void)snprintf(post, sizeof post, "op%u", world->replies[i].post);
        (void)snprintf(reply, sizeof reply, "op%u", world->replies[i].reply);
        if (world_read_int(world, node, WORLD_OPS, reply, &number, &siblings) &&
            !world_read_int(world, node, WORLD_OPS, post, &number, &siblings)) {
            world_fail(world, "node %u shows %s, the reply to %s, and not %s", node, reply, post,
                       post);
        }
    }
}

/* Everything that a node shows is what the model makes of its log; anew: of another log than the
 * last that was looked at. */
static void check_model(struct world *world, uint32_t node, bool anew)
{
    const struct msy_sim_node *at = msy_sim_node(world->sim, node);
    if (at->space == 0) {
        return;
    }
    msy_buf_reset(&world->theirs);
    if (anew) {
        model_live(&world->model, &world->nodes[node].accepted, world_table, WORLD_COLLECTIONS,
                   &world->lives);
        msy_buf_reset(&world->ours);
        model_show(&world->lives, world_table, MODEL_FULL, &world->ours);
    }
    if (!show_open(&world->show, &world->sim->alloc, at->store, at->space, world_table,
                   WORLD_COLLECTIONS) ||
        !show_all(&world->show, &world->theirs)) {
        world_fail(world, "node %u: %s", node, world->show.words);
    }
    world->counts.siblings += world->show.conflicts;
    show_close(&world->show);
    if (!msy_bytes_equal(msy_buf_bytes(&world->ours), msy_buf_bytes(&world->theirs))) {
        char words[1600];
        model_explain(msy_buf_bytes(&world->ours), msy_buf_bytes(&world->theirs), words,
                      sizeof words);
        world_fail(world, "node %u: %s", node, words);
    }
}

/* What was acknowledged as durable is in the log of some node, or its only disk was lost. */
static void check_acked(struct world *world)
{
    for (uint32_t i = 0; i < world->writes_count; i++) {
        const struct world_write *write = &world->writes[i];
        if (write->outcome != WORLD_ACKED || write->empty) {
            continue;
        }
        if (model_find(&world->model, &write->tip.actor, write->tip.seq, NULL, 0) < 0) {
            world_fail(world, "write %u was acknowledged by node %u and is nowhere", i,
                       write->node);
        }
    }
}

void world_sample(struct world *world)
{
    uint32_t node = world_draw(world, world->sim->nodes_count);
    const struct msy_sim_node *at = msy_sim_node(world->sim, node);
    world->counts.samples += 1;
    world_follow(world); /* Enters its space. */
    check_acked(world);
    if (!at->up || at->space == 0) {
        return;
    }
    check_pairs(world, node);
    check_tombs(world, node);
    if (world_chance(world, 25)) {
        check_replies(world, node);
        check_model(world, node, true);
    }
}

/* --- the end */

static void finish_sets(struct world *world, uint32_t one)
{
    const struct model_set *first = &world->nodes[one].accepted;
    for (uint32_t i = one + 1; i < world->sim->nodes_count; i++) {
        if (world_holds(world, i) && !model_set_equal(first, &world->nodes[i].accepted)) {
            world_fail(world, "nodes %u and %u have equal digests and different logs", one, i);
        }
    }
    for (uint32_t i = 0; i < world->model.count; i++) {
        if (!model_set_has(first, i) && !model_set_has(&world->may_be_lost, i)) {
            world_fail(world, "change %u was in a log and is in none", i);
        }
    }
}

static void finish_writes(struct world *world, uint32_t one)
{
    for (uint32_t i = 0; i < world->writes_count; i++) {
        const struct world_write *write = &world->writes[i];
        if (write->outcome == WORLD_WAITING) {
            world_fail(world, "write %u at node %u was never answered", i, write->node);
        }
        if (write->outcome != WORLD_UNKNOWN || world->deltas[i] == 0) {
            continue;
        }
        char key[WORLD_TEXT_MAX];
        int64_t number = 0;
        uint32_t siblings = 0;
        (void)snprintf(key, sizeof key, "op%u", i);
        if (world_read_int(world, one, WORLD_OPS, key, &number, &siblings)) {
            world->counts.unknown_kept += 1;
        } else {
            world->counts.unknown_gone += 1;
        }
    }
}

/* Exactly once: the counters are the sum of the additions whose receipts are there. */
static void finish_counters(struct world *world, uint32_t one)
{
    int64_t expected = 0;
    int64_t found = 0;
    uint32_t siblings = 0;
    for (uint32_t i = 0; i < world->writes_count; i++) {
        char key[WORLD_TEXT_MAX];
        int64_t number = 0;
        (void)snprintf(key, sizeof key, "op%u", i);
        if (world->deltas[i] != 0 &&
            world_read_int(world, one, WORLD_OPS, key, &number, &siblings)) {
            expected += number;
        }
    }
    for (uint32_t i = 0; i < WORLD_KEYS; i++) {
        char key[WORLD_TEXT_MAX];
        int64_t number = 0;
        (void)snprintf(key, sizeof key, "c%u", i);
        if (world_read_int(world, one, WORLD_COUNTER, key, &number, &siblings)) {
            found += number;
        }
    }
    if (expected != found) {
        world_fail(world, "additions of %lld make %lld", (long long)expected, (long long)found);
    }
}

/* Changes that wait somewhere for their time. */
static uint64_t finish_held(const struct world *world)
{
    uint64_t held = 0;
    for (uint32_t i = 0; i < world->sim->nodes_count; i++) {
        const struct msy_sim_node *at = msy_sim_node(world->sim, i);
        struct msy_replica_stats stats = {0};
        if (at->up) {
            msy_replica_get_stats(at->replica, &stats);
            held += stats.changes_held;
        }
    }
    return held;
}

static uint64_t finish_travelled(struct world *world)
{
    meshsync_sim_stats stats = {.size = sizeof stats};
    world_must(world, meshsync_sim_get_stats(world->sim, &stats), "stats");
    return stats.changes_in + stats.duplicates;
}

/* When there is nothing to say, nothing is said but signs of life. Changes that all hold until
 * their stamps are near (their author is gone, or lost them) come first: seed 1379; and what a node
 * that is gone sent before, and only the network still has: seed 1208. */
static void finish_silence(struct world *world)
{
    bool silent = false;
    for (uint32_t i = 0; i < WORLD_HELD_WAITS_MAX && finish_held(world) > 0; i++) {
        world_run(world, WORLD_QUIET_MS);
    }
    for (uint32_t i = 0; i < WORLD_LATE_WAITS_MAX && !silent; i++) {
        uint64_t before = finish_travelled(world);
        world_run(world, WORLD_QUIET_MS);
        silent = finish_travelled(world) == before;
    }
    if (!silent) {
        world_fail(world, "changes go on travelling when all have all");
    }
}

/* What each node is about, for whoever looks for the reason. */
static void world_tell(struct world *world)
{
    static const char *const states[] = {"idle", "dialing", "greeting", "syncing", "live"};
    for (uint32_t i = 0; i < world->sim->nodes_count; i++) {
        const struct msy_sim_node *at = msy_sim_node(world->sim, i);
        struct msy_replica_stats stats = {0};
        meshsync_peer_info info = {.size = sizeof info};
        if (!at->up) {
            print_message("node %u is down\n", i);
            continue;
        }
        msy_replica_get_stats(at->replica, &stats);
        print_message("node %u: %u changes, pending %llu, held %llu, alarms %llu\n", i,
                      model_set_count(&world->nodes[i].accepted),
                      (unsigned long long)stats.changes_pending,
                      (unsigned long long)stats.changes_held, (unsigned long long)at->alarms);
        for (uint32_t k = 0; msy_mesh_peer_at(at->mesh, k, &info) == MESHSYNC_OK; k++) {
            print_message("  %s %s %s, spaces %llu, lag %llu, behind %llu: %s\n",
                          info.outbound ? "to" : "from", info.address, states[info.state],
                          (unsigned long long)info.spaces, (unsigned long long)info.lag_changes,
                          (unsigned long long)info.behind_changes, info.last_error_text);
            info.size = sizeof info;
        }
    }
}

void world_settle(struct world *world, uint64_t ms_max)
{
    meshsync_error error = {0};
    meshsync_status status = meshsync_sim_settle(world->sim, ms_max, &error);
    if (status != MESHSYNC_OK) {
        world_follow(world);
        world_tell(world);
        world_fail(world, "no convergence: %s: %s", meshsync_status_name(status), error.message);
    }
    finish_silence(world);
}

void world_finish(struct world *world)
{
    meshsync_error error = {0};
    meshsync_verify_report report = {.size = sizeof report};
    uint32_t nodes_count = world->sim->nodes_count;
    uint32_t first = 0;
    world_follow(world);
    while (first < nodes_count && !world_holds(world, first)) {
        first += 1;
    }
    if (first == nodes_count) {
        world_fail(world, "nobody is in the space");
    }
    check_acked(world);
    finish_sets(world, first);
    finish_writes(world, first);
    finish_counters(world, first);
    for (uint32_t i = first; i < nodes_count; i++) {
        if (world_holds(world, i)) {
            check_pairs(world, i);
            check_tombs(world, i);
            check_replies(world, i);
            check_model(world, i, i == first);
        }
    }
    uint32_t one = first;
    for (uint32_t i = world_draw(world, nodes_count); !world_holds(world, one = i % nodes_count);) {
        i += 1;
    }
    /* Mostly a signature that was made or looked at before is known by all of its bytes. */
    struct msy_verified *verified = world->sim->verified;
    world->sim->verified = world->seed % WORLD_VERIFY_EVERY == 0 ? NULL : verified;
    meshsync_status status = meshsync_sim_verify(world->sim, one, &report, &error);
    world->sim->verified = verified;
    if (status != MESHSYNC_OK) {
        world_fail(world, "verify of node %u: %s", one, error.message);
    }
}
