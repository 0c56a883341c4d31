/* SPDX-License-Identifier: Apache-2.0 */
#include "laws/schedule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { KEYS = 3, FIELDS = 3, VALUE_BYTES_MAX = 1000 };

struct lab schedule_lab;
uint32_t schedule_ops_min = 50;

/* What a schedule does how often; drawn per schedule, so that some do much of few things. */
struct weights {
    uint32_t collections[LAB_COLLECTIONS];
    uint32_t commit, hand_on, hand_all, reopen, read, check;
    uint32_t withhold, shuffle, explicit_txn, batch;
};

static uint32_t draw(uint32_t bound)
{
    return (uint32_t)msy_prng_below(&schedule_lab.prng, bound);
}

static bool chance(uint32_t percent)
{
    return draw(100) < percent;
}

static void weights_draw(struct weights *weights)
{
    for (uint32_t i = 0; i < LAB_COLLECTIONS; i++) {
        weights->collections[i] = chance(40) ? 0 : 1 + draw(8);
    }
    weights->collections[draw(LAB_COLLECTIONS)] += 4;
    weights->commit = 10 + draw(20);
    weights->hand_on = 5 + draw(25);
    weights->hand_all = draw(4);
    weights->reopen = draw(3);
    weights->read = draw(8);
    weights->check = draw(3);
    weights->withhold = draw(60);
    weights->shuffle = draw(100);
    weights->explicit_txn = draw(60);
    weights->batch = draw(60);
}

static uint32_t draw_collection(const struct weights *weights)
{
    uint32_t total = 0;
    for (uint32_t i = 0; i < LAB_COLLECTIONS; i++) {
        total += weights->collections[i];
    }
    uint32_t at = draw(total);
    for (uint32_t i = 0; i < LAB_COLLECTIONS; i++) {
        if (at < weights->collections[i]) {
            return i;
        }
        at -= weights->collections[i];
    }
    return LAB_LWW;
}

static const char *const keys[KEYS] = {"a", "b", "key of some length"};
static const char *const fields[FIELDS] = {"x", "y", "z"};

static void draw_payload(struct lab_op *op)
{
    static const int64_t numbers[] = {-1, 0, 1, 127, 128, -33, 70000, INT64_MIN, INT64_MAX};
    char text[VALUE_BYTES_MAX];
    schedule_lab.payloads_made += 1;
    if (op->collection == LAB_MAX || op->collection == LAB_MIN) {
        if (chance(60)) {
            lab_payload_int(&schedule_lab, op, numbers[draw(sizeof numbers / sizeof numbers[0])]);
            return;
        }
    }
    /* Some are too large to stand in a leaf: these are read from the log. */
    uint32_t fill = chance(6) ? 200 + draw(VALUE_BYTES_MAX - 250) : (chance(20) ? 30 : 0);
    memset(text, 'v', fill);
    (void)snprintf(text + fill, sizeof text - fill, "%llu",
                   (unsigned long long)schedule_lab.payloads_made);
    lab_payload_text(&schedule_lab, op, text);
}

/* A context that this replica took at this path, if there is one. */
static const struct lab_context *draw_context(uint32_t replica, const struct lab_op *op)
{
    uint32_t have = schedule_lab.contexts_count < LAB_CONTEXTS_MAX ? schedule_lab.contexts_count
                                                                   : LAB_CONTEXTS_MAX;
    for (uint32_t i = 0; i < have; i++) {
        const struct lab_context *context = &schedule_lab.contexts[i];
        if (context->replica == replica && context->collection == op->collection &&
            context->path_len == op->path_len &&
            memcmp(context->path, op->path, op->path_len) == 0) {
            return context;
        }
    }
    return NULL;
}

static void draw_condition(uint32_t replica, struct lab_op *op)
{
    if (chance(75)) {
        return;
    }
    op->context = draw_context(replica, op);
    if (op->context == NULL) {
        op->condition =
            op->type == MSY_INTENT_PUT && chance(50) ? MESHSYNC_IF_ABSENT : MESHSYNC_IF_ANY;
        return;
    }
    op->condition = chance(50) ? MESHSYNC_IF_CONTEXT : MESHSYNC_WITH_CONTEXT;
}

static void draw_map_path(struct lab_op *op, bool may_be_whole)
{
    const char *parts[4] = {keys[draw(KEYS)], fields[draw(FIELDS)], fields[draw(FIELDS)],
                            fields[draw(FIELDS)]};
    uint32_t count = 2 + (chance(40) ? 1u : 0u) + (chance(10) ? 1u : 0u);
    if (may_be_whole && chance(50)) {
        count = 1;
    }
    lab_path(op, parts, count);
}

static void draw_set_op(struct lab_op *op)
{
    const char *parts[2] = {keys[draw(KEYS)], fields[draw(FIELDS)]};
    uint32_t what = draw(100);
    op->type = what < 50 ? MSY_INTENT_SET_ADD
                         : (what < 80 ? MSY_INTENT_SET_REMOVE
                                      : (what < 92 ? MSY_INTENT_DELETE : MSY_INTENT_TOUCH));
    lab_path(op, parts,
             op->type == MSY_INTENT_SET_ADD || op->type == MSY_INTENT_SET_REMOVE ? 2 : 1);
}

static void draw_counter_op(struct lab_op *op)
{
    const char *part = keys[draw(KEYS)];
    lab_path(op, &part, 1);
    if (chance(18)) {
        op->type = MSY_INTENT_DELETE;
        return;
    }
    op->type = MSY_INTENT_ADD;
    lab_payload_int(&schedule_lab, op, (int64_t)(1 + draw(1000)) * (chance(40) ? -1 : 1));
}

static void draw_map_op(uint32_t replica, struct lab_op *op)
{
    uint32_t what = draw(100);
    op->type = what < 50 ? MSY_INTENT_PUT
                         : (what < 70 ? MSY_INTENT_DELETE
                                      : (what < 90 ? MSY_INTENT_ADD : MSY_INTENT_TOUCH));
    draw_map_path(op, op->type == MSY_INTENT_DELETE || op->type == MSY_INTENT_TOUCH);
    if (op->type == MSY_INTENT_ADD) {
        lab_payload_int(&schedule_lab, op, (int64_t)(1 + draw(1000)) * (chance(40) ? -1 : 1));
    }
    if (op->type == MSY_INTENT_PUT) {
        draw_payload(op);
        draw_condition(replica, op);
    }
}

static void draw_op(const struct weights *weights, uint32_t replica, struct lab_op *op)
{
    const char *part = keys[draw(KEYS)];
    memset(op, 0, sizeof *op);
    op->collection = draw_collection(weights);
    switch (lab_table[op->collection].type) {
    case MESHSYNC_COUNTER: draw_counter_op(op); return;
    case MESHSYNC_SET: draw_set_op(op); return;
    case MESHSYNC_MAP: draw_map_op(replica, op); return;
    default: break; /* Registers: below. */
    }
    lab_path(op, &part, 1);
    op->type = chance(80) ? MSY_INTENT_PUT : MSY_INTENT_DELETE;
    if (op->type == MSY_INTENT_PUT) {
        draw_payload(op);
    }
    draw_condition(replica, op);
}

static void act_commit(const struct weights *weights)
{
    static struct lab_request requests[LAB_REQUESTS_MAX];
    uint32_t replica = draw(schedule_lab.count);
    uint32_t count = chance(weights->batch) ? 1 + draw(LAB_REQUESTS_MAX) : 1;
    for (uint32_t i = 0; i < count; i++) {
        requests[i].explicit_txn = chance(weights->explicit_txn);
        requests[i].ops_count = chance(25) ? 1 : 1 + draw(LAB_OPS_MAX);
        for (uint32_t k = 0; k < requests[i].ops_count; k++) {
            draw_op(weights, replica, &requests[i].ops[k]);
        }
    }
    lab_note(&schedule_lab, "commit of %u requests at %u", count, replica);
    lab_commit(&schedule_lab, replica, requests, count);
}

static void shuffle(uint32_t *items, uint32_t count)
{
    for (uint32_t i = count; i > 1; i--) {
        uint32_t at = draw(i);
        uint32_t kept = items[i - 1];
        items[i - 1] = items[at];
        items[at] = kept;
    }
}

/* Some changes that a replica lacks: one run in order, or a few from anywhere so that causes are
 * withheld, or all in disorder; and now and then one that it has. */
static void act_hand_on(const struct weights *weights)
{
    uint32_t *changes = schedule_lab.scratch;
    uint32_t replica = draw(schedule_lab.count);
    uint32_t count = lab_missing(&schedule_lab, replica, changes);
    enum lab_packing packing = chance(50) ? LAB_TOGETHER : LAB_SINGLY;
    if (count == 0 || chance(5)) {
        changes[0] = draw(schedule_lab.model.count);
        count = 1;
    } else if (chance(weights->withhold)) {
        shuffle(changes, count);
        count = 1 + draw(count < 4 ? count : 4);
    } else if (chance(weights->shuffle)) {
        shuffle(changes, count);
    } else {
        count = 1 + draw(count);
    }
    if (chance(10) && count + 1 < MODEL_CHANGES_MAX) {
        changes[count] = changes[draw(count)];
        count += 1;
    }
    lab_note(&schedule_lab, "%u changes to %u, %s", count, replica,
             packing == LAB_TOGETHER ? "together" : "singly");
    lab_deliver(&schedule_lab, replica, changes, count, packing);
}

static void act_hand_all(void)
{
    uint32_t *changes = schedule_lab.scratch;
    uint32_t replica = draw(schedule_lab.count);
    uint32_t count = lab_missing(&schedule_lab, replica, changes);
    if (count > 0) {
        lab_note(&schedule_lab, "all %u changes to %u", count, replica);
        lab_deliver(&schedule_lab, replica, changes, count, LAB_TOGETHER);
    }
}

static void act_read(const struct weights *weights)
{
    struct lab_op op;
    draw_op(weights, draw(schedule_lab.count), &op);
    if (lab_table[op.collection].type == MESHSYNC_REGISTER ||
        (lab_table[op.collection].type == MESHSYNC_MAP && op.type == MSY_INTENT_PUT)) {
        (void)lab_read_context(&schedule_lab, draw(schedule_lab.count), &op);
    }
}

static void act(const struct weights *weights)
{
    uint32_t bounds[6] = {weights->commit, weights->hand_on, weights->hand_all,
                          weights->reopen, weights->read,    weights->check};
    uint32_t total = 0;
    for (uint32_t i = 0; i < 6; i++) {
        total += bounds[i];
    }
    uint32_t at = draw(total);
    uint32_t which = 0;
    while (at >= bounds[which]) {
        at -= bounds[which++];
    }
    schedule_lab.now_ms += draw(300);
    switch (which) {
    case 0: act_commit(weights); return;
    case 1: act_hand_on(weights); return;
    case 2: act_hand_all(); return;
    case 3: {
        uint32_t replica = draw(schedule_lab.count);
        lab_note(&schedule_lab, "reopen %u", replica);
        lab_reopen(&schedule_lab, replica);
        return;
    }
    case 4: act_read(weights); return;
    default: lab_check(&schedule_lab, draw(schedule_lab.count)); return; /* The sixth. */
    }
}

static void finish(void)
{
    uint32_t *changes = schedule_lab.scratch;
    for (uint32_t i = 0; i < schedule_lab.count; i++) {
        uint32_t count = lab_missing(&schedule_lab, i, changes);
        if (chance(50)) {
            shuffle(changes, count);
        }
        if (count > 0) {
            lab_deliver(&schedule_lab, i, changes, count, chance(80) ? LAB_TOGETHER : LAB_SINGLY);
        }
        /* A failed step forgets what waited. */
        bool fails = schedule_lab.plan != NULL || schedule_lab.memory != NULL;
        count = fails ? lab_missing(&schedule_lab, i, changes) : 0;
        while (count > 0) {
            lab_deliver(&schedule_lab, i, changes, count, LAB_TOGETHER);
            count = lab_missing(&schedule_lab, i, changes);
        }
        if (model_set_count(&schedule_lab.replicas[i].accepted) != schedule_lab.model.count) {
            lab_fail(&schedule_lab, "replica %u was given all %u changes and accepted %u", i,
                     schedule_lab.model.count, model_set_count(&schedule_lab.replicas[i].accepted));
        }
        lab_check(&schedule_lab, i);
    }
    lab_check_digests(&schedule_lab);
    lab_check_deep(&schedule_lab, draw(schedule_lab.count));
    if (schedule_lab.seed % 8 == 0) {
        lab_check_verify(&schedule_lab, draw(schedule_lab.count));
    }
}

void schedule_play(uint64_t seed)
{
    struct weights weights;
    uint64_t ops = schedule_lab.reached.ops;
    lab_begin(&schedule_lab, seed, 2 + (uint32_t)(seed % 4));
    weights_draw(&weights);
    while (schedule_lab.reached.ops < ops + schedule_ops_min) {
        act(&weights);
    }
    if (chance(20)) {
        lab_check_digests(&schedule_lab);
    }
    finish();
}

void schedule_run(uint64_t seed)
{
    schedule_play(seed);
    lab_end(&schedule_lab);
    schedule_lab.reached.schedules += 1;
}
