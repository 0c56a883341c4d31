/* SPDX-License-Identifier: Apache-2.0 */
#include "laws/lab.h"

#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/path.h"
#include "laws/show.h"
#include "store/history.h"
#include "wire/msgpack_check.h"
#include "wire/value.h"

enum {
    LAB_START_MS = 1700000000, /* Thousands of ms: see lab_begin. */
    LAB_AHEAD_MS = 60000,
    LAB_BUF_MAX = 16 << 20
};

const struct model_collection lab_table[LAB_COLLECTIONS] = {
    {"lww", MESHSYNC_REGISTER, MESHSYNC_VIEW_LWW},    {"mv", MESHSYNC_REGISTER, MESHSYNC_VIEW_MV},
    {"max", MESHSYNC_REGISTER, MESHSYNC_VIEW_MAX},    {"min", MESHSYNC_REGISTER, MESHSYNC_VIEW_MIN},
    {"counter", MESHSYNC_COUNTER, MESHSYNC_VIEW_LWW}, {"set", MESHSYNC_SET, MESHSYNC_VIEW_LWW},
    {"map", MESHSYNC_MAP, MESHSYNC_VIEW_LWW}};

void lab_fail(struct lab *lab, const char *format, ...)
{
    char words[2048];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(words, sizeof words, format, args);
    va_end(args);
    print_error("seed %llu: %s\nrepeat: MESHSYNC_SEED=%llu MESHSYNC_SCHEDULES=1 "
                "MESHSYNC_VERBOSE=1 %s\n",
                (unsigned long long)lab->seed, words, (unsigned long long)lab->seed, lab->program);
    fail();
}

void lab_note(struct lab *lab, const char *format, ...)
{
    char words[512];
    va_list args;
    if (!lab->loud) {
        return;
    }
    va_start(args, format);
    (void)vsnprintf(words, sizeof words, format, args);
    va_end(args);
    print_message("  %s\n", words);
}

static void lab_must(struct lab *lab, meshsync_status status, const char *what)
{
    if (status != MESHSYNC_OK) {
        lab_fail(lab, "%s: %s", what, meshsync_status_name(status));
    }
}

void lab_path(struct lab_op *op, const char *const *parts, uint32_t parts_count)
{
    op->path_len = 0;
    for (uint32_t i = 0; i < parts_count; i++) {
        assert_true(msy_path_append(op->path, &op->path_len, sizeof op->path,
                                    msy_bytes(parts[i], strlen(parts[i]))));
    }
}

static void lab_payload(struct lab *lab, struct lab_op *op)
{
    assert_true(lab->value.len <= sizeof op->payload);
    memcpy(op->payload, lab->value.data, lab->value.len);
    op->payload_len = lab->value.len;
}

void lab_payload_int(struct lab *lab, struct lab_op *op, int64_t number)
{
    msy_buf_reset(&lab->value);
    lab_must(lab, msy_mp_put_int(&lab->value, number), "pack");
    lab_payload(lab, op);
    op->delta = number;
}

void lab_payload_text(struct lab *lab, struct lab_op *op, const char *text)
{
    msy_buf_reset(&lab->value);
    lab_must(lab, msy_mp_put_str(&lab->value, msy_bytes(text, strlen(text))), "pack");
    lab_payload(lab, op);
}

/* --- stepping ----------------------------------------------------------------------------- */

static uint64_t lab_now(const struct lab *lab, const struct lab_replica *replica)
{
    return (uint64_t)((int64_t)lab->now_ms + replica->skew_ms);
}

struct lab_early {
    struct msy_tip tips[LAB_REQUESTS_MAX];
    uint32_t count;
};

static void lab_on_early(void *user, const struct msy_replica_effects *early)
{
    struct lab_early *told = user;
    for (uint32_t i = 0; i < early->count; i++) {
        if (early->items[i].type == MSY_REPLICA_QUEUED && told->count < LAB_REQUESTS_MAX) {
            told->tips[told->count++] = early->items[i].tip;
        }
    }
}

/* ---- failures below the replicas ---- */

static void lab_arm_memory(struct lab *lab)
{
    uint64_t n = lab->memory_at > lab->memory_counted ? lab->memory_at - lab->memory_counted : 0;
    bool stays = lab->memory_stays;
    if (lab->memory_at == 0 && msy_prng_below(&lab->fail_prng, 100) < lab->fail_percent) {
        n = 1 +
            msy_prng_below(&lab->fail_prng, 1 + msy_prng_below(&lab->fail_prng, lab->fail_ops_max));
        stays = msy_prng_below(&lab->fail_prng, 2) == 0;
    }
    fail_memory_at(lab->memory, n, stays);
}

/* Draws whether, and where, what comes now meets a failure. */
static void lab_arm(struct lab *lab)
{
    if (lab->memory != NULL) {
        lab_arm_memory(lab);
        return;
    }
    if (lab->plan == NULL) {
        return;
    }
    uint64_t n = 0;
    if (msy_prng_below(&lab->fail_prng, 100) < lab->fail_percent) {
        /* Short and long distances alike: steps are of very different lengths. */
        n = 1 +
            msy_prng_below(&lab->fail_prng, 1 + msy_prng_below(&lab->fail_prng, lab->fail_ops_max));
    }
    fail_plan_at(lab->plan, n, (uint32_t)msy_prng_below(&lab->fail_prng, 12));
    lab->plan->armed = true;
}

static void lab_must_be_unchanged(struct lab *lab, struct lab_replica *replica,
                                  meshsync_status status, const uint8_t before[32])
{
    uint8_t after[32];
    fail_store_sum(replica->store, after);
    if (memcmp(before, after, 32) != 0) {
        lab_fail(lab, "what failed with %s changed the store", meshsync_status_name(status));
    }
}

/* Memory that was refused may be done without; else it is said that there was none. */
static bool lab_was_starved(struct lab *lab, struct lab_replica *replica, meshsync_status status,
                            const uint8_t before[32])
{
    fail_memory_off(lab->memory);
    lab->memory_counted += lab->memory->counted;
    if (!lab->memory->fired || status == MESHSYNC_OK) {
        return false;
    }
    if (status != MESHSYNC_E_NO_MEMORY) {
        lab_fail(lab, "no memory at allocation %llu came out as %s",
                 (unsigned long long)lab->memory_counted, meshsync_status_name(status));
    }
    lab_must_be_unchanged(lab, replica, status, before);
    return true;
}

/* After a call that gave status: true when it failed as planned, which must be what it says, and
 * without any trace in the store. */
static bool lab_was_failed(struct lab *lab, struct lab_replica *replica, meshsync_status status,
                           const uint8_t before[32])
{
    struct fail_plan *plan = lab->plan;
    if (lab->memory != NULL) {
        return lab_was_starved(lab, replica, status, before);
    }
    if (plan == NULL) {
        return false;
    }
    plan->armed = false;
    plan->left = 0;
    if (!plan->fired) {
        return false;
    }
    lab_note(lab, "%s failed with %s", fail_op_name(plan->op), meshsync_status_name(plan->status));
    if (status != plan->status) {
        lab_fail(lab, "%s of the store failed with %s, which came out as %s",
                 fail_op_name(plan->op), meshsync_status_name(plan->status),
                 meshsync_status_name(status));
    }
    lab_must_be_unchanged(lab, replica, status, before);
    return true;
}

static void lab_machine_open(struct lab *lab, struct lab_replica *replica)
{
    uint8_t before[32] = {0};
    struct msy_replica_options options = {.alloc = &lab->alloc,
                                          .store = replica->store,
                                          .identity = replica->identity,
                                          .entropy = msy_prng_entropy(&replica->prng),
                                          .clock_ahead_ms_max = LAB_AHEAD_MS};
    meshsync_error error = {0};
    meshsync_status status = MESHSYNC_OK;
    replica->fresh = true;
    if (lab->plan != NULL || lab->memory != NULL) {
        fail_store_sum(replica->store, before);
    }
    lab_arm(lab);
    status = msy_replica_open(&options, lab_now(lab, replica), &replica->machine, &error);
    if (lab_was_failed(lab, replica, status, before)) {
        assert_null(replica->machine);
        lab->reached.failed_openings += 1;
        status = msy_replica_open(&options, lab_now(lab, replica), &replica->machine, &error);
    }
    if (status != MESHSYNC_OK) {
        lab_fail(lab, "open: %s: %s", meshsync_status_name(status), error.message);
    }
}

/* Takes the records that a step added into the universe and into the replica's set. */
static void lab_absorb(struct lab *lab, struct lab_replica *replica, uint64_t first, uint64_t last)
{
    struct msy_store_txn *txn = NULL;
    lab_must(lab, msy_store_begin(replica->store, MSY_TXN_READ, &txn), "begin");
    for (uint64_t lsn = first; lsn <= last; lsn++) {
        struct msy_record record;
        lab_must(lab, msy_history_record(txn, lsn, &record), "a committed record");
        int32_t index = model_add(&lab->model, record.change);
        if (index < 0) {
            lab_fail(lab, "record %llu does not parse", (unsigned long long)lsn);
        }
        if (memcmp(record.hash, lab->model.changes[index].hash, 32) != 0) {
            lab_fail(lab, "record %llu has a wrong hash", (unsigned long long)lsn);
        }
        if (model_set_has(&replica->accepted, (uint32_t)index)) {
            lab_fail(lab, "change %d was accepted twice", index);
        }
        if (!model_stamp_follows(&lab->model, (uint32_t)index)) {
            lab_fail(lab, "change %d is stamped before one of its causes", index);
        }
        const struct msy_change *change = &lab->model.changes[index].parsed;
        if ((record.flags & MSY_RECORD_LOCAL) != 0) {
            if (replica->fresh && change->header.seq != 1) {
                lab_fail(lab, "change %d goes on with an epoch of an earlier opening", index);
            }
            replica->fresh = false;
            lab->reached.changes += 1;
            lab->reached.merged_changes += change->bounds_count > 0 ? 1 : 0;
            lab->reached.explicit_changes += (change->header.flags & MSY_CHANGE_EXPLICIT) != 0;
            for (uint32_t i = 0; i < change->ops_count; i++) {
                lab->reached.resets += change->ops[i].kind == MSY_OP_RESET;
                lab->reached.clears += change->ops[i].kind == MSY_OP_CLEAR;
            }
        }
        lab_note(lab, "replica %ld accepted %d (%u ops)", (long)(replica - lab->replicas), index,
                 change->ops_count);
        model_set_put(&replica->accepted, (uint32_t)index);
        model_set_put(&replica->given, (uint32_t)index);
    }
    msy_store_abort(txn);
}

/* What a machine was given is forgotten with it, but for what is in events. */
static void lab_give_again(struct lab *lab, struct lab_replica *replica,
                           const struct msy_replica_event *events, uint32_t count)
{
    replica->given = replica->accepted;
    for (uint32_t i = 0; i < count; i++) {
        meshsync_bytes left = events[i].bytes;
        while (events[i].type == MSY_REPLICA_CHANGES && left.len > 4) {
            size_t len = msy_get_be32(left.data);
            int32_t index = model_add(&lab->model, msy_bytes(left.data + 4, len));
            model_set_put(&replica->given, (uint32_t)index);
            left = msy_bytes(left.data + 4 + len, left.len - 4 - len);
        }
    }
}

/* The step, and the restart that follows when it fails. */
static meshsync_status lab_try(struct lab *lab, struct lab_replica *replica,
                               const struct msy_replica_event *events, uint32_t count,
                               msy_replica_early_fn early, void *user)
{
    uint8_t before[32] = {0};
    if (lab->plan != NULL || lab->memory != NULL) {
        fail_store_sum(replica->store, before);
    }
    lab_arm(lab);
    meshsync_status status = msy_replica_step(replica->machine, events, count,
                                              lab_now(lab, replica), early, user, &lab->effects);
    if (lab_was_failed(lab, replica, status, before)) {
        assert_int_equal(lab->effects.count, 0);
        lab->reached.failed_steps += 1;
        msy_replica_close(replica->machine);
        replica->machine = NULL;
        lab_machine_open(lab, replica);
        lab_give_again(lab, replica, events, count);
        if (early == lab_on_early) { /* What was said before was of what failed. */
            ((struct lab_early *)user)->count = 0;
        }
        status = msy_replica_step(replica->machine, events, count, lab_now(lab, replica), early,
                                  user, &lab->effects);
    }
    return status;
}

static void lab_step(struct lab *lab, struct lab_replica *replica,
                     const struct msy_replica_event *events, uint32_t count,
                     msy_replica_early_fn early, void *user)
{
    struct model_set expected;
    lab_must(lab, lab_try(lab, replica, events, count, early, user), "step");
    for (uint32_t i = 0; i < lab->effects.count; i++) {
        const struct msy_replica_effect *effect = &lab->effects.items[i];
        if (effect->type == MSY_REPLICA_COMMITTED) {
            lab_absorb(lab, replica, effect->lsn_first, effect->lsn_last);
        }
        if (effect->type == MSY_REPLICA_ALARM) {
            lab_fail(lab, "alarm: %s", effect->error.message);
        }
        lab->reached.missing += effect->type == MSY_REPLICA_MISSING;
    }
    expected = replica->accepted;
    model_accept(&lab->model, &replica->given, &expected);
    if (!model_set_equal(&expected, &replica->accepted)) {
        for (uint32_t i = 0; i < lab->model.count; i++) {
            if (model_set_has(&expected, i) && !model_set_has(&replica->accepted, i)) {
                lab_note(lab, "change %u should be here; its causes are %d %d", i,
                         lab->model.changes[i].causes[0], lab->model.changes[i].causes[1]);
            }
        }
        lab_fail(lab, "replica %ld accepted %u changes, by the model %u",
                 (long)(replica - lab->replicas), model_set_count(&replica->accepted),
                 model_set_count(&expected));
    }
}

static const struct msy_replica_effect *lab_answer(struct lab *lab, uint64_t id,
                                                   enum msy_replica_effect_type type)
{
    const struct msy_replica_effect *found = NULL;
    for (uint32_t i = 0; i < lab->effects.count; i++) {
        if (lab->effects.items[i].id == id && lab->effects.items[i].type == type) {
            if (found != NULL) {
                lab_fail(lab, "event %llu was answered twice", (unsigned long long)id);
            }
            found = &lab->effects.items[i];
        }
    }
    if (found == NULL) {
        lab_fail(lab, "event %llu was not answered", (unsigned long long)id);
    }
    return found;
}

/* --- commits ------------------------------------------------------------------------------ */

static bool lab_live_at(const struct model_live *live, const struct lab_op *op)
{
    return live->collection == op->collection && live->path.len == op->path_len &&
           memcmp(live->path.data, op->path, op->path_len) == 0;
}

static bool lab_live_below(const struct model_live *live, const struct lab_op *op)
{
    return live->collection == op->collection && live->path.len >= op->path_len &&
           memcmp(live->path.data, op->path, op->path_len) == 0;
}

/* Lives made by requests of the batch being predicted. */
#define LAB_PREDICTED UINT32_MAX

static bool lab_context_saw(const struct lab_context *context, const struct model_live *live)
{
    return live->kind != MSY_OP_ADD && live->change != LAB_PREDICTED &&
           model_set_has(&context->accepted, live->change);
}

static uint32_t lab_context_lives(struct lab *lab, const struct lab_op *op)
{
    struct model_lives then = {0};
    uint32_t count = 0;
    model_live(&lab->model, &op->context->accepted, lab_table, LAB_COLLECTIONS, &then);
    for (uint32_t i = 0; i < then.count; i++) {
        count += lab_live_at(&then.items[i], op) && then.items[i].kind != MSY_OP_ADD ? 1 : 0;
    }
    model_lives_fini(&then);
    return count;
}

/* Does the condition of op hold among lives? */
static bool lab_holds(struct lab *lab, const struct model_lives *lives, const struct lab_op *op)
{
    uint32_t here = 0;
    uint32_t seen = 0;
    if (op->condition == MESHSYNC_IF_ANY || op->condition == MESHSYNC_WITH_CONTEXT) {
        return true;
    }
    for (uint32_t i = 0; i < lives->count; i++) {
        if (lab_live_at(&lives->items[i], op) &&
            (lives->items[i].kind != MSY_OP_ADD || op->condition == MESHSYNC_IF_ABSENT)) {
            here += 1;
            seen += op->context != NULL && lab_context_saw(op->context, &lives->items[i]) ? 1 : 0;
        }
    }
    if (op->condition == MESHSYNC_IF_ABSENT) {
        return here == 0;
    }
    return here == seen && here == lab_context_lives(lab, op);
}

static void lab_predict_remove(struct model_lives *lives, const struct lab_op *op, bool below)
{
    for (uint32_t i = lives->count; i > 0; i--) {
        const struct model_live *live = &lives->items[i - 1];
        bool hit = below ? lab_live_below(live, op) : lab_live_at(live, op);
        bool spared = op->condition == MESHSYNC_WITH_CONTEXT && !lab_context_saw(op->context, live);
        if (hit && !spared) {
            model_lives_remove(lives, i - 1);
        }
    }
}

static void lab_predict_push(struct model_lives *lives, const struct lab_op *op, uint32_t kind)
{
    struct model_live live = {.collection = op->collection,
                              .kind = kind,
                              .path = msy_bytes(op->path, op->path_len),
                              .payload = msy_bytes(op->payload, op->payload_len),
                              .hlc = UINT64_MAX,
                              .change = LAB_PREDICTED};
    if (kind == MSY_OP_ADD) {
        live.sum = op->delta;
    }
    model_lives_push(lives, &live);
}

/* A map's field stands below no scalar: what is put below one makes a map of it. */
static void lab_predict_above(struct model_lives *lives, const struct lab_op *op)
{
    if (lab_table[op->collection].type != MESHSYNC_MAP || op->condition == MESHSYNC_WITH_CONTEXT) {
        return;
    }
    for (uint32_t i = lives->count; i > 0; i--) {
        const struct model_live *live = &lives->items[i - 1];
        if (live->collection == op->collection && live->kind == MSY_OP_VALUE &&
            live->path.len < op->path_len &&
            memcmp(live->path.data, op->path, live->path.len) == 0) {
            model_lives_remove(lives, i - 1);
        }
    }
}

/* What a write without more means: the heart of what users are promised. */
static void lab_predict(struct model_lives *lives, const struct lab_op *op)
{
    bool whole =
        lab_table[op->collection].type == MESHSYNC_MAP && op->condition != MESHSYNC_WITH_CONTEXT;
    switch (op->type) {
    case MSY_INTENT_PUT:
        lab_predict_above(lives, op);
        lab_predict_remove(lives, op, whole);
        lab_predict_push(lives, op, MSY_OP_VALUE);
        return;
    case MSY_INTENT_DELETE:
        lab_predict_remove(lives, op, op->condition != MESHSYNC_WITH_CONTEXT);
        return;
    case MSY_INTENT_ADD:
        lab_predict_above(lives, op);
        for (uint32_t i = 0; i < lives->count; i++) {
            if (lab_live_at(&lives->items[i], op) && lives->items[i].kind == MSY_OP_ADD) {
                lives->items[i].sum += op->delta;
                return;
            }
        }
        lab_predict_push(lives, op, MSY_OP_ADD);
        return;
    case MSY_INTENT_SET_ADD:
        lab_predict_remove(lives, op, false);
        lab_predict_push(lives, op, MSY_OP_MEMBER);
        return;
    case MSY_INTENT_SET_REMOVE: lab_predict_remove(lives, op, false); return;
    case MSY_INTENT_TOUCH:
        lab_predict_above(lives, op);
        lab_predict_push(lives, op, MSY_OP_MARKER);
        return;
    }
}

/* Conditions see the state before their request. */
static bool lab_request_holds(struct lab *lab, const struct model_lives *lives,
                              const struct lab_request *request)
{
    for (uint32_t i = 0; i < request->ops_count; i++) {
        if (!lab_holds(lab, lives, &request->ops[i])) {
            return false;
        }
    }
    return true;
}

/* Changes lives as the requests will, and writes the expected status into each. */
static void lab_predict_all(struct lab *lab, struct model_lives *lives,
                            struct lab_request *requests, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        bool holds = lab_request_holds(lab, lives, &requests[i]);
        requests[i].status = holds ? MESHSYNC_OK : MESHSYNC_E_CONFLICT;
        lab->reached.conflicts_refused += holds ? 0 : 1;
        for (uint32_t k = 0; holds && k < requests[i].ops_count; k++) {
            lab_predict(lives, &requests[i].ops[k]);
        }
    }
}

static void lab_intent(const struct lab_op *op, struct msy_intent *intent)
{
    memset(intent, 0, sizeof *intent);
    intent->type = op->type;
    intent->condition = op->condition;
    intent->collection = msy_key_name(lab_table[op->collection].name);
    intent->path = msy_bytes(op->path, op->path_len);
    if (op->type == MSY_INTENT_PUT || op->type == MSY_INTENT_ADD) {
        intent->payload = msy_bytes(op->payload, op->payload_len);
    }
    if (op->context != NULL) {
        intent->context = msy_bytes(op->context->bytes, op->context->bytes_len);
    }
}

/* Before it is committed, a transaction shows its own writes as it will have made them. */
static void lab_check_own_writes(struct lab *lab, struct lab_replica *replica,
                                 const struct lab_request *request)
{
    static struct show show; /* Too large for a stack. */
    struct msy_store *store = NULL;
    struct msy_store_txn *over = NULL;
    uint32_t index = 0;
    lab_must(lab, msy_store_open_memory(&lab->alloc, &store, NULL), "store");
    lab_must(lab, msy_store_begin(store, MSY_TXN_WRITE, &over), "begin");
    if (!show_open(&show, &lab->alloc, replica->store, replica->space, lab_table,
                   LAB_COLLECTIONS)) {
        lab_fail(lab, "own writes: %s", show.words);
    }
    show_over(&show, over);
    for (uint32_t i = 0; i < request->ops_count; i++) {
        struct msy_intent intent;
        meshsync_error error = {0};
        lab_intent(&request->ops[i], &intent);
        if (msy_overlay_apply(&show.view, &intent, &index, &error) != MESHSYNC_OK) {
            lab_fail(lab, "own write %u: %s", i, error.message);
        }
    }
    msy_buf_reset(&lab->theirs);
    if (!show_all(&show, &lab->theirs)) {
        lab_fail(lab, "own writes: %s", show.words);
    }
    show_close(&show);
    msy_store_abort(over);
    msy_store_close(store);
    lab->reached.own_writes += 1;
    if (!msy_bytes_equal(msy_buf_bytes(&lab->ours), msy_buf_bytes(&lab->theirs))) {
        char words[1024];
        model_explain(msy_buf_bytes(&lab->ours), msy_buf_bytes(&lab->theirs), words, sizeof words);
        lab_fail(lab, "a transaction does not show its own writes: %s", words);
    }
}

static void lab_request_build(struct lab *lab, struct msy_request *request,
                              const struct lab_request *wanted)
{
    msy_request_reset(request);
    request->explicit_txn = wanted->explicit_txn;
    request->meta = (meshsync_bytes){NULL, 0};
    for (uint32_t i = 0; i < wanted->ops_count; i++) {
        struct msy_intent intent;
        lab_intent(&wanted->ops[i], &intent);
        lab_must(lab, msy_request_add(request, &intent), "build a request");
    }
}

/* What was said before the commit holds after it. */
static void lab_check_early(struct lab *lab, const struct lab_early *told)
{
    for (uint32_t i = 0; i < told->count; i++) {
        if (told->tips[i].seq != 0 &&
            model_find(&lab->model, &told->tips[i].actor, told->tips[i].seq, NULL, 0) < 0) {
            lab_fail(lab, "a queued answer named a change that was not made");
        }
    }
    lab->reached.queued += told->count;
}

static void lab_check_answers(struct lab *lab, struct lab_replica *replica,
                              struct lab_request *requests, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct msy_replica_effect *done = lab_answer(lab, i + 1, MSY_REPLICA_DONE);
        if (done->status != requests[i].status) {
            lab_fail(lab, "request %u gave %s, expected %s: %s", i,
                     meshsync_status_name(done->status), meshsync_status_name(requests[i].status),
                     done->error.message);
        }
        requests[i].tip = done->tip;
        if (done->status == MESHSYNC_OK && done->tip.seq != 0) {
            int32_t index =
                model_find(&lab->model, &done->tip.actor, done->tip.seq, done->tip.hash, 32);
            if (index < 0 || !model_set_has(&replica->accepted, (uint32_t)index)) {
                lab_fail(lab, "request %u was answered with a version that is not here", i);
            }
        }
    }
}

void lab_commit(struct lab *lab, uint32_t at, struct lab_request *requests, uint32_t count)
{
    struct lab_replica *replica = &lab->replicas[at];
    struct msy_replica_event events[LAB_REQUESTS_MAX] = {{.type = MSY_REPLICA_COMMIT}};
    struct lab_early told = {.count = 0};
    assert_true(count <= LAB_REQUESTS_MAX);
    model_live(&lab->model, &replica->accepted, lab_table, LAB_COLLECTIONS, &lab->lives);
    lab_predict_all(lab, &lab->lives, requests, count);
    msy_buf_reset(&lab->ours);
    model_show(&lab->lives, lab_table, MODEL_BRIEF, &lab->ours);
    if (count == 1 && requests[0].status == MESHSYNC_OK && msy_prng_below(&lab->prng, 4) == 0) {
        lab_check_own_writes(lab, replica, &requests[0]);
    }
    for (uint32_t i = 0; i < count; i++) {
        lab_request_build(lab, &lab->requests[i], &requests[i]);
        events[i].type = MSY_REPLICA_COMMIT;
        events[i].space = replica->space;
        events[i].id = i + 1;
        events[i].early = (int32_t)msy_prng_below(&lab->prng, 2);
        events[i].request = &lab->requests[i];
        lab->reached.ops += requests[i].ops_count;
    }
    lab_step(lab, replica, events, count, lab_on_early, &told);
    lab_check_answers(lab, replica, requests, count);
    lab_check_early(lab, &told);
    model_live(&lab->model, &replica->accepted, lab_table, LAB_COLLECTIONS, &lab->lives);
    msy_buf_reset(&lab->theirs);
    model_show(&lab->lives, lab_table, MODEL_BRIEF, &lab->theirs);
    if (!msy_bytes_equal(msy_buf_bytes(&lab->ours), msy_buf_bytes(&lab->theirs))) {
        char words[1024];
        model_explain(msy_buf_bytes(&lab->ours), msy_buf_bytes(&lab->theirs), words, sizeof words);
        lab_fail(lab, "a commit at %u did not do what it means: %s", at, words);
    }
}

/* --- delivery ----------------------------------------------------------------------------- */

static void lab_pack(struct lab *lab, const struct model_change *change)
{
    lab_must(lab, msy_buf_append_be32(&lab->bytes, (uint32_t)change->bytes_len), "pack");
    lab_must(lab, msy_buf_append(&lab->bytes, change->bytes, change->bytes_len), "pack");
}

static void lab_deliver_event(struct lab *lab, struct lab_replica *replica, const uint32_t *changes,
                              uint32_t count)
{
    struct msy_replica_event event = {
        .type = MSY_REPLICA_CHANGES, .space = replica->space, .id = 77};
    uint32_t known = 0;
    uint32_t had = model_set_count(&replica->accepted);
    msy_buf_reset(&lab->bytes);
    for (uint32_t i = 0; i < count; i++) {
        known += model_set_has(&replica->accepted, changes[i]) ? 1 : 0;
        model_set_put(&replica->given, changes[i]);
        lab_pack(lab, &lab->model.changes[changes[i]]);
    }
    event.bytes = msy_buf_bytes(&lab->bytes);
    lab_step(lab, replica, &event, 1, NULL, NULL);
    const struct msy_replica_effect *answer = lab_answer(lab, 77, MSY_REPLICA_RECEIVED);
    if (answer->status != MESHSYNC_OK || answer->rejected != 0) {
        lab_fail(lab, "honest changes were refused: %s, %u: %s",
                 meshsync_status_name(answer->status), answer->rejected, answer->error.message);
    }
    if (answer->duplicate < known) {
        lab_fail(lab, "%u of %u changes were here, %u were counted as such", known, count,
                 answer->duplicate);
    }
    uint32_t grown = model_set_count(&replica->accepted) - had;
    lab_note(lab, "changes %u.. (%u): accepted %u, duplicate %u, pending %u", changes[0], count,
             answer->accepted, answer->duplicate, answer->pending);
    lab->reached.duplicates += answer->duplicate;
    lab->reached.pending += answer->pending;
    lab->reached.out_of_order += grown > count ? 1 : 0;
}

void lab_deliver(struct lab *lab, uint32_t at, const uint32_t *changes, uint32_t count,
                 enum lab_packing packing)
{
    struct lab_replica *replica = &lab->replicas[at];
    if (packing == LAB_TOGETHER) {
        lab_deliver_event(lab, replica, changes, count);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        lab_deliver_event(lab, replica, &changes[i], 1);
    }
}

void lab_reopen(struct lab *lab, uint32_t at)
{
    struct lab_replica *replica = &lab->replicas[at];
    msy_replica_close(replica->machine);
    replica->machine = NULL;
    replica->given = replica->accepted;
    lab_machine_open(lab, replica);
    lab->reached.reopened += 1;
}

uint32_t lab_missing(const struct lab *lab, uint32_t at, uint32_t *changes)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < lab->model.count; i++) {
        if (!model_set_has(&lab->replicas[at].given, i)) {
            changes[count++] = i;
        }
    }
    return count;
}

/* --- the common beginning ----------------------------------------------------------------- */

static void lab_control_put(struct lab *lab, struct lab_replica *replica, const char *word,
                            meshsync_bytes name, struct msy_buf *record)
{
    uint8_t path[MESHSYNC_PATH_BYTES_MAX];
    size_t path_len = 0;
    struct msy_replica_event event = {
        .type = MSY_REPLICA_COMMIT, .space = replica->space, .id = 1, .request = &lab->requests[0]};
    assert_true(msy_path_append(path, &path_len, sizeof path, msy_key_name(word)));
    assert_true(msy_path_append(path, &path_len, sizeof path, name));
    msy_buf_reset(&lab->value);
    lab_must(lab, msy_mp_put_ext(&lab->value, 2, msy_buf_bytes(record)), "pack");
    struct msy_intent intent = {.type = MSY_INTENT_PUT,
                                .path = msy_bytes(path, path_len),
                                .payload = msy_buf_bytes(&lab->value)};
    msy_request_reset(&lab->requests[0]);
    lab_must(lab, msy_request_add(&lab->requests[0], &intent), "build a control record");
    lab_step(lab, replica, &event, 1, NULL, NULL);
    lab_must(lab, lab_answer(lab, 1, MSY_REPLICA_DONE)->status, word);
}

static void lab_make_collections(struct lab *lab, struct lab_replica *founder)
{
    struct msy_buf record;
    msy_buf_init(&record, &lab->alloc, LAB_BUF_MAX);
    for (uint32_t i = 0; i < LAB_COLLECTIONS; i++) {
        msy_buf_reset(&record);
        lab_must(lab, msy_mp_put_array(&record, 6), "pack");
        lab_must(lab, msy_mp_put_uint(&record, 1), "pack");
        lab_must(lab, msy_mp_put_uint(&record, (uint64_t)lab_table[i].type), "pack");
        lab_must(lab, msy_mp_put_uint(&record, (uint64_t)lab_table[i].view), "pack");
        lab_must(lab, msy_mp_put_str(&record, msy_bytes("", 0)), "pack");
        lab_must(lab, msy_mp_put_uint(&record, 0), "pack");
        lab_must(lab, msy_mp_put_uint(&record, 0), "pack");
        lab_control_put(lab, founder, "schema", msy_key_name(lab_table[i].name), &record);
    }
    msy_buf_fini(&record);
}

static void lab_make_ticket(struct lab *lab, struct lab_replica *founder, struct msy_ticket *ticket)
{
    uint8_t invite[MSY_SIGN_PUBLIC_BYTES];
    struct msy_space_row_descriptor row;
    struct msy_store_txn *txn = NULL;
    struct msy_buf record;
    uint32_t space = 0;
    memset(ticket, 0, sizeof *ticket);
    lab_must(lab, msy_store_begin(founder->store, MSY_TXN_READ, &txn), "begin");
    lab_must(lab, msy_history_next_space(txn, &space, &row), "the space");
    msy_store_abort(txn);
    assert_int_equal(space, founder->space);
    memcpy(ticket->space, row.id, sizeof ticket->space);
    memcpy(ticket->founder, row.founder, sizeof ticket->founder);
    memcpy(ticket->nonce, row.nonce, sizeof ticket->nonce);
    memcpy(ticket->discovery, row.discovery, sizeof ticket->discovery);
    msy_prng_fill(&lab->prng, ticket->invite_seed, sizeof ticket->invite_seed);
    (void)snprintf(ticket->name, sizeof ticket->name, "lab");
    msy_sign_public(invite, ticket->invite_seed);
    msy_buf_init(&record, &lab->alloc, LAB_BUF_MAX);
    lab_must(lab, msy_mp_put_array(&record, 4), "pack");
    lab_must(lab, msy_mp_put_uint(&record, 1), "pack");
    lab_must(lab, msy_mp_put_uint(&record, 0), "pack");
    lab_must(lab, msy_mp_put_uint(&record, 0), "pack");
    lab_must(lab, msy_mp_put_uint(&record, 0), "pack");
    lab_control_put(lab, founder, "invite", msy_bytes(invite, sizeof invite), &record);
    msy_buf_fini(&record);
}

static void lab_join(struct lab *lab, struct lab_replica *replica, const struct msy_ticket *ticket)
{
    struct msy_replica_event event = {.type = MSY_REPLICA_JOIN, .id = 1, .ticket = ticket};
    struct msy_replica_event tick = {.type = MSY_REPLICA_TICK};
    lab_step(lab, replica, &event, 1, NULL, NULL);
    const struct msy_replica_effect *done = lab_answer(lab, 1, MSY_REPLICA_DONE);
    lab_must(lab, done->status, "join");
    replica->space = done->space;
    lab_step(lab, replica, &tick, 1, NULL, NULL);
}

static void lab_exchange_all(struct lab *lab)
{
    uint32_t *changes = lab->scratch;
    struct msy_replica_event tick = {.type = MSY_REPLICA_TICK};
    for (uint32_t round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < LAB_REPLICAS_MAX; i++) {
            uint32_t count = lab_missing(lab, i, changes);
            if (count > 0) {
                lab_deliver(lab, i, changes, count, LAB_TOGETHER);
            }
            lab->now_ms += 1000;
            lab_step(lab, &lab->replicas[i], &tick, 1, NULL, NULL);
        }
    }
}

static void lab_base_found(struct lab *lab)
{
    struct lab_replica *founder = &lab->replicas[0];
    struct msy_replica_event create = {
        .type = MSY_REPLICA_CREATE, .id = 1, .bytes = msy_key_name("lab")};
    struct msy_ticket ticket;
    lab_step(lab, founder, &create, 1, NULL, NULL);
    const struct msy_replica_effect *done = lab_answer(lab, 1, MSY_REPLICA_DONE);
    lab_must(lab, done->status, "create");
    founder->space = done->space;
    lab_make_collections(lab, founder);
    lab_make_ticket(lab, founder, &ticket);
    for (uint32_t i = 1; i < LAB_REPLICAS_MAX; i++) {
        lab_join(lab, &lab->replicas[i], &ticket);
    }
    lab_exchange_all(lab);
    for (uint32_t i = 0; i < LAB_REPLICAS_MAX; i++) {
        assert_int_equal(model_set_count(&lab->replicas[i].accepted), lab->model.count);
    }
}

void lab_open(struct lab *lab, const char *program)
{
    struct fail_memory *memory = lab->memory;
    memset(lab, 0, sizeof *lab);
    /* Replicas come and go by the thousand: their memory need not go back to the system. */
    (void)mallopt(M_MMAP_THRESHOLD, LAB_BUF_MAX);
    (void)mallopt(M_TRIM_THRESHOLD, LAB_BUF_MAX);
    lab->program = program;
    lab->loud = getenv("MESHSYNC_VERBOSE") != NULL;
    msy_alloc_init(&lab->alloc, memory != NULL ? fail_memory_realloc : NULL, memory, 0);
    lab_must(lab, msy_crypto_init(), "libsodium");
    msy_prng_init(&lab->prng, 1);
    msy_replica_effects_init(&lab->effects, &lab->alloc);
    msy_buf_init(&lab->bytes, &lab->alloc, LAB_BUF_MAX);
    msy_buf_init(&lab->ours, &lab->alloc, LAB_BUF_MAX);
    msy_buf_init(&lab->theirs, &lab->alloc, LAB_BUF_MAX);
    msy_buf_init(&lab->value, &lab->alloc, LAB_BUF_MAX);
    for (uint32_t i = 0; i < LAB_REQUESTS_MAX; i++) {
        msy_request_init(&lab->requests[i], &lab->alloc);
    }
    lab->now_ms = (uint64_t)LAB_START_MS * 1000;
    for (uint32_t i = 0; i < LAB_REPLICAS_MAX; i++) {
        struct lab_replica *replica = &lab->replicas[i];
        struct msy_identity *identity = NULL;
        uint8_t seed[MSY_SIGN_SEED_BYTES];
        msy_prng_init(&replica->prng, 100 + i);
        msy_prng_fill(&replica->prng, seed, sizeof seed);
        lab_must(lab, msy_identity_new(seed, &identity, NULL), "identity");
        replica->identity = identity;
        if (i == 0) {
            model_init(&lab->model, msy_identity_public(identity));
        }
        lab_must(lab, msy_store_open_memory(&lab->alloc, &replica->store, NULL), "store");
        lab_machine_open(lab, replica);
    }
    lab_base_found(lab);
    for (uint32_t i = 0; i < LAB_REPLICAS_MAX; i++) {
        msy_replica_close(lab->replicas[i].machine);
        lab->replicas[i].machine = NULL;
        lab->base[i] = lab->replicas[i];
    }
    lab->base_count = lab->model.count;
    lab->memory = memory; /* Nothing has failed so far. */
    memset(&lab->reached, 0, sizeof lab->reached);
}

void lab_close(struct lab *lab)
{
    for (uint32_t i = 0; i < LAB_REPLICAS_MAX; i++) {
        struct msy_identity *identity = NULL;
        msy_store_close(lab->base[i].store);
        memcpy(&identity, &lab->base[i].identity, sizeof identity);
        msy_identity_free(identity);
    }
    for (uint32_t i = 0; i < LAB_REQUESTS_MAX; i++) {
        msy_request_fini(&lab->requests[i]);
    }
    msy_buf_fini(&lab->bytes);
    msy_buf_fini(&lab->ours);
    msy_buf_fini(&lab->theirs);
    msy_buf_fini(&lab->value);
    msy_replica_effects_fini(&lab->effects);
    model_lives_fini(&lab->lives);
    model_fini(&lab->model);
}

void lab_begin(struct lab *lab, uint64_t seed, uint32_t replicas_count)
{
    model_truncate(&lab->model, lab->base_count);
    lab->seed = seed;
    lab->count = replicas_count;
    lab->contexts_count = 0;
    lab->payloads_made = 0;
    lab->memory_counted = 0;
    lab->now_ms = ((uint64_t)LAB_START_MS + 86400) * 1000;
    msy_prng_init(&lab->prng, seed);
    msy_prng_init(&lab->fail_prng, ~seed);
    for (uint32_t i = 0; i < replicas_count; i++) {
        struct lab_replica *replica = &lab->replicas[i];
        *replica = lab->base[i];
        lab_must(lab, msy_store_memory_clone(lab->base[i].store, &replica->store), "clone");
        if (lab->plan != NULL) {
            replica->store = fail_store_open(replica->store, lab->plan);
        }
        msy_prng_init(&replica->prng, seed * 16 + i);
        replica->skew_ms = (int64_t)msy_prng_below(&lab->prng, 20000) - 10000;
        lab_machine_open(lab, replica);
    }
}

void lab_end(struct lab *lab)
{
    for (uint32_t i = 0; i < lab->count; i++) {
        msy_replica_close(lab->replicas[i].machine);
        msy_store_close(lab->replicas[i].store);
    }
    lab->count = 0;
}
