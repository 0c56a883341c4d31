/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "replica/verify.h"
#include "store/history.h"

enum { WORLD_BUF_MAX = 64 << 20, WORLD_KEYS = 3, WORLD_QUIET_MS = 5000, WORLD_HELD_WAITS_MAX = 60 };

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
    print_error("seed %llu at %llu us: %s\nrepeat: MESHSYNC_SEED=%llu MESHSYNC_SEEDS=1 "
                "MESHSYNC_VERBOSE=1 %s\n",
                (unsigned long long)world->seed,
                (unsigned long long)meshsync_sim_now_us(world->sim), words,
                (unsigned long long)world->seed, world->program);
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

static void world_must(struct world *world, meshsync_status status, const char *what)
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
    return (uint32_t)meshsync_sim_draw(world->sim, bound);
}

bool world_chance(struct world *world, uint32_t percent)
{
    return world_draw(world, 100) < percent;
}

/* Nothing that the faults do is a reason for one: nobody here is malicious. */
static void world_alarm(void *user, uint32_t node, const char *words)
{
    world_fail(user, "alarm at node %u: %s", node, words);
}

static void world_log(void *user, int32_t level, const char *component, const char *message)
{
    (void)user;
    (void)level;
    print_message("   %s %s\n", component, message);
}

void world_open(struct world *world, uint64_t seed, uint32_t nodes_count)
{
    const char *program = world->program;
    meshsync_sim_options options;
    meshsync_sim_collection collections[WORLD_COLLECTIONS];
    meshsync_error error = {0};
    memset(world, 0, sizeof *world);
    world->program = program;
    world->seed = seed;
    world->loud = getenv("MESHSYNC_VERBOSE") != NULL;
    meshsync_sim_options_init(&options, sizeof options);
    options.seed = seed;
    options.nodes_count = nodes_count;
    const char *verbose = getenv("MESHSYNC_VERBOSE");
    if (verbose != NULL && strcmp(verbose, "2") == 0) {
        options.log = world_log;
    }
    if (meshsync_sim_new(&options, &world->sim, &error) != MESHSYNC_OK) {
        fail_msg("seed %llu: %s", (unsigned long long)seed, error.message);
    }
    const struct msy_sim_hooks hooks = {.alarm = world_alarm, .user = world};
    msy_sim_hook(world->sim, &hooks);
    msy_buf_init(&world->ours, &world->sim->alloc, WORLD_BUF_MAX);
    msy_buf_init(&world->theirs, &world->sim->alloc, WORLD_BUF_MAX);
    for (uint32_t i = 0; i < WORLD_COLLECTIONS; i++) {
        collections[i].name = world_table[i].name;
        collections[i].type = world_table[i].type;
        collections[i].view = world_table[i].view;
    }
    model_init(&world->model, msy_identity_public(world->sim->nodes[0]->identity));
    meshsync_status status = meshsync_sim_begin(world->sim, collections, WORLD_COLLECTIONS, &error);
    if (status != MESHSYNC_OK) {
        world_fail(world, "the beginning: %s: %s", meshsync_status_name(status), error.message);
    }
    world_follow(world);
    world->base_count = world->model.count;
}

void world_close(struct world *world)
{
    model_lives_fini(&world->lives);
    msy_buf_fini(&world->ours);
    msy_buf_fini(&world->theirs);
    meshsync_sim_free(world->sim);
    model_fini(&world->model);
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
    world_must(world, msy_store_begin(at->store, MSY_TXN_READ, &txn), "begin");
    while (msy_history_record_from(txn, &lsn, &record) == MESHSYNC_OK) {
        if (record.space == at->space) {
            world_take(world, node, lsn, &record);
        }
        known->lsn = lsn;
        lsn += 1;
    }
    msy_store_abort(txn);
}

void world_follow(struct world *world)
{
    for (uint32_t i = 0; i < world->sim->nodes_count; i++) {
        world_follow_node(world, i);
    }
}

bool world_survives(struct world *world, uint32_t node)
{
    world_follow(world);
    for (uint32_t i = 0; i < world->sim->nodes_count; i++) {
        uint32_t has = 0;
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

/* --- what clients do */

static void world_answered(void *user, meshsync_status status, const meshsync_token *token)
{
    struct world_write *write = user;
    struct world_counts *counts = &write->world->counts;
    uint32_t tips = 0;
    write->status = status;
    if (status == MESHSYNC_E_CANCELLED) {
        write->outcome = WORLD_UNKNOWN;
        counts->unknown += 1;
        return;
    }
    if (status != MESHSYNC_OK) {
        write->outcome = WORLD_REFUSED;
        counts->refused += 1;
        counts->refused_condition += status == MESHSYNC_E_CONFLICT ? 1 : 0;
        return;
    }
    write->outcome = WORLD_ACKED;
    counts->acked += 1;
    write->empty = token->len == 0;
    if (!write->empty && (msy_token_read(token, &write->tip, &tips) != MESHSYNC_OK || tips != 1)) {
        world_fail(write->world, "an answer's version cannot be read");
    }
}

static struct world_write *world_write_new(struct world *world, uint32_t node)
{
    if (world->writes_count == WORLD_WRITES_MAX) {
        world_fail(world, "more writes than the test has room for");
    }
    struct world_write *write = &world->writes[world->writes_count];
    memset(write, 0, sizeof *write);
    write->world = world;
    write->node = node;
    write->number = world->writes_count++;
    return write;
}

struct world_path {
    char texts[3][WORLD_TEXT_MAX];
    meshsync_bytes parts[3];
    meshsync_path path;
};

static const meshsync_path *world_path(struct world_path *path, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        path->parts[i] = msy_key_name(path->texts[i]);
    }
    path->path.parts = path->parts;
    path->path.parts_count = count;
    return &path->path;
}

static void world_commit(struct world *world, meshsync_sim_txn *txn, struct world_write *write,
                         meshsync_sim_grouping grouping)
{
    world_must(world, meshsync_sim_txn_commit(txn, grouping, world_answered, write), "commit");
}

static void world_put_receipt(struct world *world, meshsync_sim_txn *txn, uint32_t number)
{
    struct world_path path;
    meshsync_value value = {.type = MESHSYNC_VALUE_INT, .integer = world->deltas[number]};
    (void)snprintf(path.texts[0], WORLD_TEXT_MAX, "op%u", number);
    world_must(
        world,
        meshsync_sim_txn_put(txn, world_table[WORLD_OPS].name, world_path(&path, 1), &value, NULL),
        "a receipt");
}

static void act_pair(struct world *world, meshsync_sim_txn *txn, uint32_t number)
{
    struct world_path path;
    meshsync_value value = {.type = MESHSYNC_VALUE_INT, .integer = number};
    uint32_t pair = world_draw(world, WORLD_PAIRS);
    for (uint32_t i = 0; i < 2; i++) {
        (void)snprintf(path.texts[0], WORLD_TEXT_MAX, "p%u%c", pair, i == 0 ? 'a' : 'b');
        world_must(world,
                   meshsync_sim_txn_put(txn, world_table[WORLD_PAIR].name, world_path(&path, 1),
                                        &value, NULL),
                   "a pair");
    }
}

static void act_counter(struct world *world, meshsync_sim_txn *txn, uint32_t number)
{
    struct world_path path;
    world->deltas[number] =
        (int64_t)(1 + world_draw(world, 1000)) * (world_chance(world, 40) ? -1 : 1);
    world_put_receipt(world, txn, number);
    (void)snprintf(path.texts[0], WORLD_TEXT_MAX, "c%u", world_draw(world, WORLD_KEYS));
    world_must(world,
               meshsync_sim_txn_add(txn, world_table[WORLD_COUNTER].name, world_path(&path, 1),
                                    world->deltas[number]),
               "an addition");
}

/* A register: put or removed, with what was read just now as context, or nothing, as condition. */
static void act_register(struct world *world, meshsync_sim_txn *txn, uint32_t node, uint32_t number)
{
    static const int32_t kinds[] = {MESHSYNC_IF_ANY, MESHSYNC_IF_ANY, MESHSYNC_IF_ABSENT,
                                    MESHSYNC_IF_CONTEXT, MESHSYNC_WITH_CONTEXT};
    struct world_path path;
    uint8_t context[MESHSYNC_TOKEN_BYTES_MAX];
    meshsync_entry entry = {0};
    meshsync_condition condition = {.kind = kinds[world_draw(world, 5)]};
    meshsync_value value = {.type = MESHSYNC_VALUE_INT, .integer = number};
    (void)snprintf(path.texts[0], WORLD_TEXT_MAX, "r%u", world_draw(world, WORLD_KEYS));
    meshsync_status status = meshsync_sim_get(world->sim, node, world_table[WORLD_REG].name,
                                              world_path(&path, 1), &entry);
    if (status != MESHSYNC_E_NOT_FOUND) {
        world_must(world, status, "a read");
    }
    if (entry.context.len == 0 || entry.context.len > sizeof context) {
        condition.kind = MESHSYNC_IF_ANY; /* More siblings than a client cares to remember. */
    } else {
        memcpy(context, entry.context.data, entry.context.len);
        condition.context = msy_bytes(context, entry.context.len);
    }
    status =
        world_chance(world, 80)
            ? meshsync_sim_txn_put(txn, world_table[WORLD_REG].name, &path.path, &value, &condition)
            : meshsync_sim_txn_delete(txn, world_table[WORLD_REG].name, &path.path, NULL);
    world_must(world, status, "a register");
}

/* A counter that is removed now and then. */
static void act_gauge(struct world *world, meshsync_sim_txn *txn)
{
    struct world_path path;
    const char *name = world_table[WORLD_COUNTER].name;
    (void)snprintf(path.texts[0], WORLD_TEXT_MAX, "g%u", world_draw(world, WORLD_KEYS));
    meshsync_status status =
        world_chance(world, 70)
            ? meshsync_sim_txn_add(txn, name, world_path(&path, 1), 1 + world_draw(world, 100))
            : meshsync_sim_txn_delete(txn, name, world_path(&path, 1), NULL);
    world_must(world, status, "a gauge");
}

static void act_set(struct world *world, meshsync_sim_txn *txn)
{
    struct world_path path;
    const char *name = world_table[WORLD_SET].name;
    uint32_t what = world_draw(world, 100);
    (void)snprintf(path.texts[0], WORLD_TEXT_MAX, "s%u", world_draw(world, WORLD_KEYS));
    (void)snprintf(path.texts[1], WORLD_TEXT_MAX, "e%u", world_draw(world, 5));
    meshsync_status status =
        what < 55 ? meshsync_sim_txn_set_add(txn, name, world_path(&path, 2))
                  : (what < 85 ? meshsync_sim_txn_set_remove(txn, name, world_path(&path, 2))
                               : meshsync_sim_txn_delete(txn, name, world_path(&path, 1), NULL));
    world_must(world, status, "a set");
}

static void act_map(struct world *world, meshsync_sim_txn *txn, uint32_t number)
{
    struct world_path path;
    const char *name = world_table[WORLD_MAP].name;
    meshsync_value value = {.type = MESHSYNC_VALUE_INT, .integer = number};
    uint32_t what = world_draw(world, 100);
    (void)snprintf(path.texts[0], WORLD_TEXT_MAX, "m%u", world_draw(world, WORLD_KEYS));
    (void)snprintf(path.texts[1], WORLD_TEXT_MAX, "f%u", world_draw(world, 3));
    (void)snprintf(path.texts[2], WORLD_TEXT_MAX, "g%u", world_draw(world, 3));
    uint32_t depth = 2 + world_draw(world, 2);
    meshsync_status status =
        what < 70
            ? meshsync_sim_txn_put(txn, name, world_path(&path, depth), &value, NULL)
            : (what < 90 ? meshsync_sim_txn_delete(
                               txn, name, world_path(&path, 1 + world_draw(world, depth)), NULL)
                         : meshsync_sim_txn_touch(txn, name, world_path(&path, 1)));
    world_must(world, status, "a map");
}

/* Writes a key that was never there, or removes one that lives here. */
static void act_tomb(struct world *world, meshsync_sim_txn *txn, uint32_t node, uint32_t number)
{
    struct world_path path;
    const char *name = world_table[WORLD_TOMB].name;
    meshsync_value value = {.type = MESHSYNC_VALUE_INT, .integer = number};
    meshsync_entry entry;
    struct world_tomb *tomb = NULL;
    if (world->tombs_count > 0 && world_chance(world, 60)) {
        tomb = &world->tombs[world_draw(world, world->tombs_count)];
        memcpy(path.texts[0], tomb->key, sizeof tomb->key);
        if (meshsync_sim_get(world->sim, node, name, world_path(&path, 1), &entry) == MESHSYNC_OK) {
            tomb->removed = true;
            world_must(world, meshsync_sim_txn_delete(txn, name, &path.path, NULL), "a removal");
            return;
        }
    }
    if (world->tombs_count == WORLD_TOMBS_MAX) {
        return;
    }
    tomb = &world->tombs[world->tombs_count++];
    (void)snprintf(tomb->key, sizeof tomb->key, "t%u", number);
    memcpy(path.texts[0], tomb->key, sizeof tomb->key);
    world_must(world, meshsync_sim_txn_put(txn, name, world_path(&path, 1), &value, NULL), "a key");
    world->counts.tombs += 1;
}

/* Answers something that can be read here. */
static void act_reply(struct world *world, meshsync_sim_txn *txn, uint32_t node, uint32_t number)
{
    struct world_path path;
    meshsync_entry entry;
    uint32_t post = number > 0 ? world_draw(world, number) : 0;
    (void)snprintf(path.texts[0], WORLD_TEXT_MAX, "op%u", post);
    meshsync_status status = meshsync_sim_get(world->sim, node, world_table[WORLD_OPS].name,
                                              world_path(&path, 1), &entry);
    world_put_receipt(world, txn, number);
    if (status == MESHSYNC_OK && world->replies_count < WORLD_REPLIES_MAX) {
        world->replies[world->replies_count].post = post;
        world->replies[world->replies_count].reply = number;
        world->replies_count += 1;
        world->counts.replies += 1;
    }
}

void world_act(struct world *world, uint32_t node)
{
    meshsync_sim_txn *txn = NULL;
    const struct msy_sim_node *at = msy_sim_node(world->sim, node);
    if (!at->up || at->space == 0) {
        return;
    }
    struct world_write *write = world_write_new(world, node);
    world_must(world, meshsync_sim_txn_begin(world->sim, node, &txn), "begin");
    switch (world_draw(world, 9)) {
    case 0: act_pair(world, txn, write->number); break;
    case 1:
    case 2: act_counter(world, txn, write->number); break;
    case 3: act_register(world, txn, node, write->number); break;
    case 4: act_set(world, txn); break;
    case 5: act_map(world, txn, write->number); break;
    case 6: act_tomb(world, txn, node, write->number); break;
    case 7: act_gauge(world, txn); break;
    default: act_reply(world, txn, node, write->number); break; /* The ninth. */
    }
    world_commit(world, txn, write,
                 world_chance(world, 40) ? MESHSYNC_SIM_EXPLICIT : MESHSYNC_SIM_PLAIN);
}

/* --- what must hold */

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

/* Everything that a node shows is what the model makes of its log. */
static void check_model(struct world *world, uint32_t node)
{
    const struct msy_sim_node *at = msy_sim_node(world->sim, node);
    if (at->space == 0) {
        return;
    }
    model_live(&world->model, &world->nodes[node].accepted, world_table, WORLD_COLLECTIONS,
               &world->lives);
    msy_buf_reset(&world->ours);
    msy_buf_reset(&world->theirs);
    model_show(&world->lives, world_table, MODEL_FULL, &world->ours);
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
    world_follow(world);
    check_acked(world);
    if (!at->up || at->space == 0) {
        return;
    }
    check_pairs(world, node);
    check_tombs(world, node);
    if (world_chance(world, 25)) {
        check_replies(world, node);
        check_model(world, node);
    }
}

/* --- the end */

static void finish_sets(struct world *world)
{
    const struct model_set *first = &world->nodes[0].accepted;
    for (uint32_t i = 1; i < world->sim->nodes_count; i++) {
        if (!model_set_equal(first, &world->nodes[i].accepted)) {
            world_fail(world, "nodes 0 and %u have equal digests and different logs", i);
        }
    }
    for (uint32_t i = 0; i < world->model.count; i++) {
        if (!model_set_has(first, i) && !model_set_has(&world->may_be_lost, i)) {
            world_fail(world, "change %u was in a log and is in none", i);
        }
    }
}

static void finish_writes(struct world *world)
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
        if (world_read_int(world, 0, WORLD_OPS, key, &number, &siblings)) {
            world->counts.unknown_kept += 1;
        } else {
            world->counts.unknown_gone += 1;
        }
    }
}

/* Exactly once: the counters are the sum of the additions whose receipts are there. */
static void finish_counters(struct world *world)
{
    int64_t expected = 0;
    int64_t found = 0;
    uint32_t siblings = 0;
    for (uint32_t i = 0; i < world->writes_count; i++) {
        char key[WORLD_TEXT_MAX];
        int64_t number = 0;
        (void)snprintf(key, sizeof key, "op%u", i);
        if (world->deltas[i] != 0 && world_read_int(world, 0, WORLD_OPS, key, &number, &siblings)) {
            expected += number;
        }
    }
    for (uint32_t i = 0; i < WORLD_KEYS; i++) {
        char key[WORLD_TEXT_MAX];
        int64_t number = 0;
        (void)snprintf(key, sizeof key, "c%u", i);
        if (world_read_int(world, 0, WORLD_COUNTER, key, &number, &siblings)) {
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

/* When there is nothing to say, nothing is said but signs of life. Changes that all hold until
 * their stamps are near (their author is gone, or lost them) come first: seed 1379. */
static void finish_silence(struct world *world)
{
    for (uint32_t i = 0; i < WORLD_HELD_WAITS_MAX && finish_held(world) > 0; i++) {
        world_run(world, WORLD_QUIET_MS);
    }
    meshsync_sim_stats before = {.size = sizeof before};
    meshsync_sim_stats after = {.size = sizeof after};
    world_must(world, meshsync_sim_get_stats(world->sim, &before), "stats");
    world_run(world, WORLD_QUIET_MS);
    world_must(world, meshsync_sim_get_stats(world->sim, &after), "stats");
    if (after.changes_in != before.changes_in || after.duplicates != before.duplicates) {
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

void world_finish(struct world *world, uint64_t ms_max)
{
    meshsync_error error = {0};
    meshsync_verify_report report = {.size = sizeof report};
    uint32_t nodes_count = world->sim->nodes_count;
    for (uint32_t i = 0; i < nodes_count; i++) {
        /* A node that came back without its disk is let in again. */
        const struct msy_sim_node *at = msy_sim_node(world->sim, i);
        if (at->space == 0) {
            world_must(world, meshsync_sim_store_set(world->sim, i, MESHSYNC_SIM_STORE_GOOD),
                       "store");
            if (!at->up) {
                world_must(world, meshsync_sim_restart(world->sim, i, &error), "restart");
            }
            world_must(world, meshsync_sim_space_join(world->sim, i, &error), "join");
        }
    }
    meshsync_status status = meshsync_sim_settle(world->sim, ms_max, &error);
    if (status != MESHSYNC_OK) {
        world_follow(world);
        world_tell(world);
        world_fail(world, "no convergence: %s: %s", meshsync_status_name(status), error.message);
    }
    finish_silence(world);
    world_follow(world);
    check_acked(world);
    finish_sets(world);
    finish_writes(world);
    finish_counters(world);
    for (uint32_t i = 0; i < nodes_count; i++) {
        check_pairs(world, i);
        check_tombs(world, i);
        check_replies(world, i);
        check_model(world, i);
    }
    uint32_t one = world_draw(world, nodes_count);
    status = meshsync_sim_verify(world->sim, one, &report, &error);
    if (status != MESHSYNC_OK) {
        world_fail(world, "verify of node %u: %s", one, error.message);
    }
}
