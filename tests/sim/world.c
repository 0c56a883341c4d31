/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "store/history.h"

enum {
    WORLD_BUF_MAX = 64 << 20,
    WORLD_BEGIN_MS_MAX = 300000,
    WORLD_FULL_MESH = 6, /* So many nodes all dial each other; those after them dial */
    WORLD_DIALS = 3      /* so many that were there. */
};

const struct model_collection world_table[WORLD_COLLECTIONS] = {
    {"pair", MESHSYNC_REGISTER, MESHSYNC_VIEW_LWW},
    {"reg", MESHSYNC_REGISTER, MESHSYNC_VIEW_MV},
    {"counter", MESHSYNC_COUNTER, MESHSYNC_VIEW_LWW},
    {"set", MESHSYNC_SET, MESHSYNC_VIEW_LWW},
    {"map", MESHSYNC_MAP, MESHSYNC_VIEW_LWW},
    {"tomb", MESHSYNC_REGISTER, MESHSYNC_VIEW_LWW},
    {"ops", MESHSYNC_REGISTER, MESHSYNC_VIEW_LWW}};

void world_fail(struct world *world, const char *format, ...)
{
    char words[2048];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(words, sizeof words, format, args);
    va_end(args);
    if (world->failed != NULL) {
        world->failed(world->failed_user, FAILED_CAUGHT, format);
    }
    print_error("seed %llu at %llu us, space %u: %s\n", (unsigned long long)world->seed,
                (unsigned long long)meshsync_sim_now_us(world->sim), world->space, words);
    if (world->failed != NULL) {
        world->failed(world->failed_user, FAILED_TOLD, format);
    }
    fail();
}

void world_note(struct world *world, const char *format, ...)
{
    char words[512];
    va_list args;
    if (!world->loud) {
        return;
    }
    va_start(args, format);
    (void)vsnprintf(words, sizeof words, format, args);
    va_end(args);
    print_message("%10llu us: %s\n", (unsigned long long)meshsync_sim_now_us(world->sim), words);
}

void world_must(struct world *world, meshsync_status status, const char *what)
{
    if (status != MESHSYNC_OK) {
        world_fail(world, "%s: %s (%s)", what, meshsync_status_name(status),
                   world->sim->failed_words);
    }
}

void world_run(struct world *world, uint64_t ms)
{
    world_must(world, meshsync_sim_run_for(world->sim, ms), "running");
}

uint32_t world_draw(struct world *world, uint32_t bound)
{
    return (uint32_t)msy_prng_below(&world->draws, bound);
}

bool world_chance(struct world *world, uint32_t percent)
{
    return world_draw(world, 100) < percent;
}

static void world_follow_node(struct world *world, uint32_t node);

/* Nothing that the faults do is a reason for one but clocks that are far off: nobody here is
 * malicious. */
static void world_alarm(void *user, uint32_t node, const char *words)
{
    if (strncmp(words, MSY_WALL_WORDS, strlen(MSY_WALL_WORDS)) == 0) {
        return;
    }
    world_fail(user, "alarm at node %u: %s", node, words);
}

/* Whatever a node commits is looked at right then: causes first, nothing twice, stamps in order. */
static void world_committed(void *user, uint32_t node, uint64_t lsn_first, uint64_t lsn_last)
{
    struct world *world = user;
    (void)lsn_first;
    (void)lsn_last;
    for (; world != NULL && world->followed; world = world->beside) {
        world_follow_node(world, node);
    }
}

static void world_log(void *user, int32_t level, const char *component, const char *message)
{
    (void)user;
    (void)level;
    print_message("   %s %s\n", component, message);
}

static void world_found(struct world *world, uint32_t founder)
{
    meshsync_error error = {0};
    msy_buf_init(&world->ours, &world->sim->alloc, WORLD_BUF_MAX);
    msy_buf_init(&world->theirs, &world->sim->alloc, WORLD_BUF_MAX);
    model_init(&world->model, msy_identity_public(world->sim->nodes[founder]->identity));
    world_must(world, meshsync_sim_space_create(world->sim, founder, &error), error.message);
    for (uint32_t i = 0; i < WORLD_COLLECTIONS; i++) {
        meshsync_sim_collection collection = {world_table[i].name, world_table[i].type,
                                              world_table[i].view};
        world_must(world, meshsync_sim_collection_create(world->sim, founder, &collection, &error),
                   error.message);
    }
    world->members |= UINT64_C(1) << founder;
}

static void world_invite(struct world *world, uint32_t node)
{
    meshsync_error error = {0};
    world_must(world, meshsync_sim_space_join(world->sim, node, &error), error.message);
    world->members |= UINT64_C(1) << node;
}

static void world_link(struct world *world, uint32_t from, uint32_t to)
{
    meshsync_sim_pair pair = {from, to};
    if (from != to) {
        world_must(world, meshsync_sim_dial(world->sim, pair), "a dial");
    }
}

static void world_come_together(struct world *world)
{
    meshsync_error error = {0};
    meshsync_status status = meshsync_sim_settle(world->sim, WORLD_BEGIN_MS_MAX, &error);
    if (status != MESHSYNC_OK) {
        world_fail(world, "the beginning: %s: %s", meshsync_status_name(status), error.message);
    }
    world_follow(world);
    world->base_count = world->model.count;
    world->followed = true;
}

static void world_begin(struct world *world, const struct world_setup *setup)
{
    world->seed = setup->seed;
    world->program = setup->program;
    world->failed = setup->failed;
    world->failed_user = setup->failed_user;
    world->loud = getenv("MESHSYNC_VERBOSE") != NULL;
    msy_prng_init(&world->draws, setup->seed);
}

void world_open(struct world *world, const struct world_setup *setup)
{
    meshsync_sim_options options;
    meshsync_error error = {0};
    const char *verbose = getenv("MESHSYNC_VERBOSE");
    memset(world, 0, sizeof *world);
    world_begin(world, setup);
    meshsync_sim_options_init(&options, sizeof options);
    options.seed = setup->seed;
    options.nodes_count = setup->nodes_count;
    options.keepalive_ms = setup->keepalive_ms;
    if (verbose != NULL && strcmp(verbose, "2") == 0) {
        options.log = world_log;
    }
    if (meshsync_sim_new(&options, &world->sim, &error) != MESHSYNC_OK) {
        fail_msg("seed %llu: %s", (unsigned long long)setup->seed, error.message);
    }
    const struct msy_sim_hooks hooks = {
        .committed = world_committed, .alarm = world_alarm, .user = world};
    msy_sim_hook(world->sim, &hooks);
    world_found(world, 0);
    for (uint32_t i = 1; i < setup->nodes_count; i++) {
        world_invite(world, i);
        for (uint32_t k = 0; k < i && i <= WORLD_FULL_MESH; k++) {
            world_link(world, i, k);
        }
        for (uint32_t k = 0; k < WORLD_DIALS && i > WORLD_FULL_MESH; k++) {
            world_link(world, i, k == 0 ? i - 1 : world_draw(world, i));
        }
    }
    world_come_together(world);
}

void world_open_beside(struct world *world, struct world *first, const struct world_setup *setup)
{
    memset(world, 0, sizeof *world);
    world_begin(world, setup);
    msy_prng_init(&world->draws, ~setup->seed);
    world->sim = first->sim;
    world->space = 1;
    first->beside = world;
    world_enter(world);
    uint32_t count = world->sim->nodes_count;
    uint32_t founder = world_draw(world, count);
    uint32_t last = founder;
    world_found(world, founder);
    for (uint32_t i = 1; i < count; i++) {
        uint32_t node = (founder + i) % count;
        if (i == 1 || world_chance(world, 60)) {
            world_invite(world, node);
            world_link(world, node, last); /* Who shares a space with nobody hears of nobody. */
            last = node;
        }
    }
    world_come_together(world);
}

void world_enter(struct world *world)
{
    world_must(world, meshsync_sim_space_select(world->sim, world->space), "a space");
}

bool world_member(const struct world *world, uint32_t node)
{
    return (world->members >> node & 1) != 0 && !world->sim->nodes[node]->retired;
}

bool world_holds(const struct world *world, uint32_t node)
{
    return world_member(world, node) && world->sim->nodes[node]->spaces[world->space] != 0;
}

void world_close(struct world *world)
{
    model_lives_fini(&world->lives);
    msy_buf_fini(&world->ours);
    msy_buf_fini(&world->theirs);
    model_fini(&world->model);
    if (world->space == 0) { /* Whoever made it. */
        meshsync_sim_free(world->sim);
    }
    world->sim = NULL;
}

/* --- following the logs */

static void world_count_change(struct world *world, const struct model_change *change)
{
    const struct msy_change *parsed = &change->parsed;
    world->counts.epochs += parsed->header.seq == 1 && parsed->header.has_predecessor ? 1 : 0;
    world->counts.roots += parsed->header.seq == 1 && !parsed->header.has_predecessor ? 1 : 0;
    world->counts.merges += parsed->header.heads_count > 1 ? 1 : 0;
    world->counts.merged_changes += parsed->bounds_count > 0 ? 1 : 0;
    world->counts.explicit_changes += (parsed->header.flags & MSY_CHANGE_EXPLICIT) != 0 ? 1 : 0;
    for (uint32_t i = 0; i < parsed->ops_count; i++) {
        world->counts.clears += parsed->ops[i].kind == MSY_OP_CLEAR ? 1 : 0;
        world->counts.resets += parsed->ops[i].kind == MSY_OP_RESET ? 1 : 0;
    }
}

static void world_take(struct world *world, uint32_t node, uint64_t lsn,
                       const struct msy_record *record)
{
    struct world_node *known = &world->nodes[node];
    uint32_t before = world->model.count;
    int32_t index = model_add(&world->model, record->change);
    if (index < 0) {
        world_fail(world, "record %llu of node %u does not parse", (unsigned long long)lsn, node);
    }
    const struct model_change *change = &world->model.changes[index];
    if (world->model.count > before) {
        world_count_change(world, change);
    }
    for (uint32_t i = 0; i < change->causes_count; i++) {
        if (change->causes[i] < 0 ||
            !model_set_has(&known->accepted, (uint32_t)change->causes[i])) {
            world_fail(world, "node %u took change %d before its cause %d", node, index,
                       change->causes[i]);
        }
    }
    if (!model_stamp_follows(&world->model, (uint32_t)index)) {
        world_fail(world, "change %d is stamped before one of its causes", index);
    }
    if (model_set_has(&known->accepted, (uint32_t)index)) {
        world_fail(world, "node %u took change %d twice", node, index);
    }
    model_set_put(&known->accepted, (uint32_t)index);
}

static void world_follow_node(struct world *world, uint32_t node)
{
    const struct msy_sim_node *at = msy_sim_node(world->sim, node);
    struct world_node *known = &world->nodes[node];
    struct msy_store_txn *txn = NULL;
    struct msy_record record;
    uint64_t lsn = known->lsn + 1;
    if (at->spaces[world->space] == 0) {
        return; /* It is just joining: what it wrote is looked at when that is done. */
    }
    world_must(world, msy_store_begin(at->store, MSY_TXN_READ, &txn), "begin");
    while (msy_history_record_from(txn, &lsn, &record) == MESHSYNC_OK) {
        if (record.space == at->spaces[world->space]) {
            world_take(world, node, lsn, &record);
        }
        known->lsn = lsn;
        lsn += 1;
    }
    msy_store_abort(txn);
}

void world_follow(struct world *world)
{
    world_enter(world);
    for (uint32_t i = 0; i < world->sim->nodes_count; i++) {
        if (!world->sim->nodes[i]->retired) {
            world_follow_node(world, i);
        }
    }
}

bool world_survives(struct world *world, uint32_t node)
{
    world_follow(world);
    if (!world_holds(world, node)) {
        return true;
    }
    for (uint32_t i = 0; i < world->sim->nodes_count; i++) {
        uint32_t has = 0;
        if (!world_holds(world, i)) {
            continue;
        }
        for (uint32_t k = 0; i != node && k < world->base_count; k++) {
            has += model_set_has(&world->nodes[i].accepted, k) ? 1 : 0;
        }
        if (has == world->base_count) {
            return true;
        }
    }
    return false;
}

void world_forsake(struct world *world, uint32_t node)
{
    struct model_set elsewhere;
    model_set_clear(&elsewhere);
    world_follow(world);
    for (uint32_t i = 0; i < world->sim->nodes_count; i++) {
        for (uint32_t k = 0; i != node && k < MODEL_SET_WORDS; k++) {
            elsewhere.words[k] |= world->nodes[i].accepted.words[k];
        }
    }
    for (uint32_t i = 0; i < MODEL_SET_WORDS; i++) {
        uint64_t alone = world->nodes[node].accepted.words[i] & ~elsewhere.words[i];
        world->counts.lost_allowed += (uint64_t)__builtin_popcountll(alone);
        world->may_be_lost.words[i] |= alone;
    }
}

void world_renew(struct world *world, uint32_t node)
{
    world_enter(world);
    memset(&world->nodes[node], 0, sizeof world->nodes[node]);
    for (uint32_t i = 0; i < world->tombs_count; i++) {
        world->tombs[i].seen[node] = 0; /* Its clients began again, too. */
    }
    world_follow(world);
    /* What the new disk holds (a backup) is held. What it does not was judged before. */
    for (uint32_t i = 0; i < MODEL_SET_WORDS; i++) {
        world->may_be_lost.words[i] &= ~world->nodes[node].accepted.words[i];
    }
}
