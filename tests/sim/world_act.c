/* SPDX-License-Identifier: Apache-2.0 */
/* What clients do to a simulated mesh. */
#include "sim/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

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
    struct world_write *write = &world->writes[world->writes_count];
    memset(write, 0, sizeof *write);
    write->world = world;
    write->node = node;
    write->number = world->writes_count++;
    return write;
}

const meshsync_path *world_path(struct world_path *path, uint32_t count)
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

bool world_act(struct world *world, uint32_t node)
{
    meshsync_sim_txn *txn = NULL;
    uint32_t count = world->sim->nodes_count;
    world_enter(world);
    for (uint32_t i = 0; i < count; i++) { /* The next where it can be done. */
        const struct msy_sim_node *at = msy_sim_node(world->sim, node);
        if (at->up && at->space != 0) {
            break;
        }
        node = i + 1 < count ? (node + 1) % count : count;
    }
    if (node == count || world->writes_count == WORLD_WRITES_MAX) {
        return false;
    }
    world->counts.ops += 1;
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
    return true;
}
