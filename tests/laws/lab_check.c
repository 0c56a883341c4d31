/* SPDX-License-Identifier: Apache-2.0 */
/* Comparing what a replica of the lab shows with what the model says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/path.h"
#include "laws/lab.h"
#include "laws/show.h"
#include "replica/verify.h"
#include "store/history.h"

enum { LAB_LINES_MAX = 512 };

/* One at a time; too large for a stack. */
static struct show lab_reader;
static meshsync_bytes lab_paths_found[LAB_LINES_MAX];

static void reader_open(struct lab *lab, uint32_t at)
{
    if (!show_open(&lab_reader, &lab->alloc, lab->replicas[at].store, lab->replicas[at].space,
                   lab_table, LAB_COLLECTIONS)) {
        lab_fail(lab, "replica %u: %s", at, lab_reader.words);
    }
}

static void reader_close(struct lab *lab)
{
    lab->reached.siblings += lab_reader.conflicts;
    show_close(&lab_reader);
}

static void lab_compare(struct lab *lab, uint32_t at, const char *what)
{
    if (!msy_bytes_equal(msy_buf_bytes(&lab->ours), msy_buf_bytes(&lab->theirs))) {
        char words[1600];
        model_explain(msy_buf_bytes(&lab->ours), msy_buf_bytes(&lab->theirs), words, sizeof words);
        lab_fail(lab, "%s of replica %u: %s", what, at, words);
    }
}

static void lab_show_model(struct lab *lab, uint32_t at)
{
    model_live(&lab->model, &lab->replicas[at].accepted, lab_table, LAB_COLLECTIONS, &lab->lives);
    msy_buf_reset(&lab->ours);
    model_show(&lab->lives, lab_table, MODEL_FULL, &lab->ours);
}

void lab_check(struct lab *lab, uint32_t at)
{
    lab_show_model(lab, at);
    msy_buf_reset(&lab->theirs);
    reader_open(lab, at);
    if (!show_all(&lab_reader, &lab->theirs)) {
        lab_fail(lab, "replica %u: %s", at, lab_reader.words);
    }
    reader_close(lab);
    lab_compare(lab, at, "scans");
}

/* The paths of one collection that live by the model, each once. */
static uint32_t lab_paths(const struct lab *lab, uint32_t collection, meshsync_bytes *paths)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < lab->lives.count; i++) {
        const struct model_live *live = &lab->lives.items[i];
        if (live->collection == collection &&
            (count == 0 || !msy_bytes_equal(paths[count - 1], live->path))) {
            assert_true(count < LAB_LINES_MAX);
            paths[count++] = live->path;
        }
    }
    return count;
}

/* Every path again by a get of its own; and a path where nothing lives. */
static void lab_check_gets(struct lab *lab, struct show *reader, uint32_t at)
{
    meshsync_bytes *paths = lab_paths_found;
    msy_buf_reset(&lab->theirs);
    for (uint32_t i = 0; i < LAB_COLLECTIONS; i++) {
        meshsync_bytes name = msy_key_name(lab_table[i].name);
        uint32_t count = lab_paths(lab, i, paths);
        for (uint32_t k = 0; k < count; k++) {
            meshsync_entry entry;
            meshsync_error error = {0};
            if (lab_table[i].type == MESHSYNC_SET && msy_path_parts_count(paths[k]) == 2 &&
                msy_view_contains(&reader->view, name, paths[k], &error) != MESHSYNC_OK) {
                lab_fail(lab, "an element of a set is not found at replica %u", at);
            }
            if (msy_view_get(&reader->view, name, paths[k], &entry, &error) != MESHSYNC_OK) {
                lab_fail(lab, "a get in %s at replica %u: %s", lab_table[i].name, at,
                         error.message);
            }
            if (!show_line(reader, i, &entry, &lab->theirs)) {
                lab_fail(lab, "replica %u: %s", at, reader->words);
            }
        }
        struct lab_op nothing;
        const char *part = "nobody wrote here";
        meshsync_entry entry;
        lab_path(&nothing, &part, 1);
        if (msy_view_get(&reader->view, name, msy_bytes(nothing.path, nothing.path_len), &entry,
                         NULL) != MESHSYNC_E_NOT_FOUND) {
            lab_fail(lab, "something is read where nothing was written");
        }
    }
    lab_compare(lab, at, "gets");
}

/* Shallow scans show each first part once, in order, and the same backwards. */
static void lab_check_scans(struct lab *lab, struct show *reader, uint32_t at)
{
    meshsync_bytes *paths = lab_paths_found;
    for (uint32_t i = 0; i < LAB_COLLECTIONS; i++) {
        uint32_t count = lab_paths(lab, i, paths);
        uint32_t keys = 0;
        for (uint32_t k = 0; k < count; k++) {
            paths[k].len = msy_path_first_bytes(paths[k]);
            if (keys == 0 || !msy_bytes_equal(paths[keys - 1], paths[k])) {
                paths[keys++] = paths[k];
            }
        }
        for (int32_t direction = 0; direction < 2; direction++) {
            meshsync_scan_options options = {.size = sizeof options, .direction = direction};
            struct msy_walk walk;
            meshsync_entry entry;
            uint32_t seen = 0;
            if (msy_walk_open(&walk, &reader->view, msy_key_name(lab_table[i].name), &options,
                              NULL) != MESHSYNC_OK) {
                lab_fail(lab, "scan of %s at replica %u", lab_table[i].name, at);
            }
            while (msy_walk_next(&walk, &entry, NULL) == MESHSYNC_OK) {
                uint32_t want = direction == 0 ? seen : keys - 1 - seen;
                if (seen >= keys || !msy_bytes_equal(entry.key, paths[want])) {
                    lab_fail(lab, "scan of %s, direction %d, step %u at replica %u",
                             lab_table[i].name, direction, seen, at);
                }
                seen += 1;
            }
            msy_walk_close(&walk);
            if (seen != keys) {
                lab_fail(lab, "scan of %s, direction %d gave %u keys of %u at replica %u",
                         lab_table[i].name, direction, seen, keys, at);
            }
        }
    }
}

/* The conflict walk lists exactly the paths with more than one sibling. */
static void lab_check_conflicts(struct lab *lab, struct show *reader, uint32_t at)
{
    uint32_t expected = 0;
    uint32_t found = 0;
    struct msy_walk walk;
    meshsync_entry entry;
    for (uint32_t i = 0; i < lab->lives.count;) {
        const struct model_live *first = &lab->lives.items[i];
        uint32_t values = 0;
        for (; i < lab->lives.count && lab->lives.items[i].collection == first->collection &&
               msy_bytes_equal(lab->lives.items[i].path, first->path);
             i++) {
            values += lab->lives.items[i].kind == MSY_OP_VALUE ? 1 : 0;
        }
        expected += values > 1 ? 1 : 0;
    }
    if (msy_walk_conflicts(&walk, &reader->view, NULL) != MESHSYNC_OK) {
        lab_fail(lab, "the conflict walk of replica %u", at);
    }
    while (msy_walk_next(&walk, &entry, NULL) == MESHSYNC_OK) {
        found += 1;
        if (entry.siblings_count < 2) {
            lab_fail(lab, "the conflict walk of replica %u gave an entry without conflict", at);
        }
    }
    msy_walk_close(&walk);
    if (found != expected) {
        lab_fail(lab, "replica %u lists %u conflicts of %u", at, found, expected);
    }
}

static int32_t feed_event_type(uint32_t kind)
{
    switch (kind) {
    case MSY_OP_ERASE: return MESHSYNC_EVENT_DELETE;
    case MSY_OP_VALUE: return MESHSYNC_EVENT_PUT;
    case MSY_OP_ADD: return MESHSYNC_EVENT_ADD;
    case MSY_OP_RESET: return MESHSYNC_EVENT_RESET;
    case MSY_OP_MEMBER: return MESHSYNC_EVENT_SET_ADD;
    case MSY_OP_MARKER: return MESHSYNC_EVENT_TOUCH;
    case MSY_OP_CLEAR: return MESHSYNC_EVENT_CLEAR;
    default: return MESHSYNC_EVENT_OTHER; /* Kinds that no version knows yet. */
    }
}

static void feed_check_event(struct lab *lab, const struct lab_replica *replica,
                             const meshsync_event *event, struct model_set *shown)
{
    struct msy_actor actor;
    struct msy_tip tip;
    uint32_t tips = 0;
    memcpy(actor.id, event->actor, sizeof event->actor);
    if (msy_token_read(&event->version, &tip, &tips) != MESHSYNC_OK || tips != 1) {
        lab_fail(lab, "an event's version cannot be read");
    }
    int32_t index = model_find(&lab->model, &actor, tip.seq, NULL, 0);
    if (index < 0 || !model_set_has(&replica->accepted, (uint32_t)index)) {
        lab_fail(lab, "an event of a change that is not here");
    }
    const struct model_change *change = &lab->model.changes[index];
    if (event->op_index >= change->parsed.ops_count ||
        event->ops_count != change->parsed.ops_count) {
        lab_fail(lab, "event %u of %u ops", event->op_index, event->ops_count);
    }
    const struct msy_op *op = &change->parsed.ops[event->op_index];
    if (event->type != feed_event_type(op->kind) || !msy_bytes_equal(event->key, op->path) ||
        event->hlc != change->parsed.header.hlc ||
        memcmp(event->device, change->device, sizeof event->device) != 0) {
        lab_fail(lab, "an event differs from its op: type %d, kind %u", event->type, op->kind);
    }
    for (uint32_t i = 0; i < change->causes_count; i++) {
        if (change->causes[i] >= (int32_t)lab->base_count &&
            !model_set_has(shown, (uint32_t)change->causes[i])) {
            lab_fail(lab, "the feed shows a change before its cause");
        }
    }
    if (event->op_index + 1 == event->ops_count) {
        model_set_put(shown, (uint32_t)index);
    }
}

/* The whole feed, once from the beginning and once by leaving and resuming at a random place:
 * the same number of events, each equal to its op, causes first. */
static void lab_check_feed(struct lab *lab, uint32_t at)
{
    struct lab_replica *replica = &lab->replicas[at];
    meshsync_feed_options options = {.size = sizeof options};
    uint64_t expected = 0;
    uint64_t seen = 0;
    uint64_t leave_at = 0;
    struct model_set shown;
    struct msy_store_txn *txn = NULL;
    model_set_clear(&shown);
    for (uint32_t i = 0; i < lab->model.count; i++) {
        const struct msy_change *change = &lab->model.changes[i].parsed;
        for (uint32_t k = 0; model_set_has(&replica->accepted, i) && k < change->ops_count; k++) {
            expected += change->collections[change->ops[k].collection].len > 0 ? 1 : 0;
        }
    }
    leave_at = msy_prng_below(&lab->prng, expected + 1);
    assert_int_equal(msy_store_begin(replica->store, MSY_TXN_READ, &txn), MESHSYNC_OK);
    for (uint32_t leg = 0; leg < 2; leg++) {
        struct msy_feed_reader feed;
        meshsync_event event;
        if (msy_feed_init(&feed, &lab->alloc, txn, replica->space, &options, NULL) != MESHSYNC_OK) {
            lab_fail(lab, "the feed of replica %u cannot be opened", at);
        }
        while ((leg == 1 || seen < leave_at) &&
               msy_feed_read(&feed, txn, &event, NULL) == MESHSYNC_OK) {
            feed_check_event(lab, replica, &event, &shown);
            options.from = event.cursor;
            seen += 1;
        }
        msy_feed_fini(&feed);
    }
    msy_store_abort(txn);
    if (seen != expected) {
        lab_fail(lab, "the feed of replica %u gave %llu events of %llu", at,
                 (unsigned long long)seen, (unsigned long long)expected);
    }
    lab->reached.feeds += 1;
}

void lab_check_deep(struct lab *lab, uint32_t at)
{
    lab_show_model(lab, at);
    reader_open(lab, at);
    lab_check_gets(lab, &lab_reader, at);
    lab_check_scans(lab, &lab_reader, at);
    lab_check_conflicts(lab, &lab_reader, at);
    reader_close(lab);
    lab_check_feed(lab, at);
}

void lab_check_verify(struct lab *lab, uint32_t at)
{
    struct lab_replica *replica = &lab->replicas[at];
    meshsync_verify_report report = {.size = sizeof report};
    meshsync_error error = {0};
    struct msy_store_txn *txn = NULL;
    assert_int_equal(msy_store_begin(replica->store, MSY_TXN_READ, &txn), MESHSYNC_OK);
    meshsync_status status = msy_verify_space(&lab->alloc, txn, replica->space, &report, &error);
    msy_store_abort(txn);
    if (status != MESHSYNC_OK || report.changes != model_set_count(&replica->accepted)) {
        lab_fail(lab, "verify of replica %u: %s: %s; %llu changes of %u", at,
                 meshsync_status_name(status), error.message, (unsigned long long)report.changes,
                 model_set_count(&replica->accepted));
    }
    lab->reached.verified += 1;
}

void lab_check_digests(struct lab *lab)
{
    meshsync_digest digests[LAB_REPLICAS_MAX];
    for (uint32_t i = 0; i < lab->count; i++) {
        struct msy_store_txn *txn = NULL;
        memset(&digests[i], 0, sizeof digests[i]);
        digests[i].size = sizeof digests[i];
        assert_int_equal(msy_store_begin(lab->replicas[i].store, MSY_TXN_READ, &txn), MESHSYNC_OK);
        if (msy_space_digest(txn, lab->replicas[i].space, &digests[i]) != MESHSYNC_OK) {
            lab_fail(lab, "the digest of replica %u", i);
        }
        msy_store_abort(txn);
    }
    for (uint32_t i = 1; i < lab->count; i++) {
        bool sets = model_set_equal(&lab->replicas[0].accepted, &lab->replicas[i].accepted);
        bool same = memcmp(digests[0].digest, digests[i].digest, MESHSYNC_DIGEST_BYTES) == 0;
        bool clocks = memcmp(digests[0].clock, digests[i].clock, MESHSYNC_DIGEST_BYTES) == 0;
        if (sets != same || sets != clocks) {
            lab_fail(lab, "replicas 0 and %u: sets are %s, digests are %s, clocks are %s", i,
                     sets ? "equal" : "different", same ? "equal" : "different",
                     clocks ? "equal" : "different");
        }
    }
}

const struct lab_context *lab_read_context(struct lab *lab, uint32_t at, const struct lab_op *op)
{
    struct lab_context *context = &lab->contexts[lab->contexts_count % LAB_CONTEXTS_MAX];
    meshsync_entry entry;
    lab->contexts_count += 1;
    reader_open(lab, at);
    meshsync_status status =
        msy_view_get(&lab_reader.view, msy_key_name(lab_table[op->collection].name),
                     msy_bytes(op->path, op->path_len), &entry, NULL);
    if (status != MESHSYNC_OK && status != MESHSYNC_E_NOT_FOUND) {
        lab_fail(lab, "a get for its context: %s", meshsync_status_name(status));
    }
    if (entry.context.len == 0 || entry.context.len > sizeof context->bytes) {
        lab_fail(lab, "a context of %zu bytes", entry.context.len);
    }
    context->replica = at;
    context->collection = op->collection;
    context->path_len = op->path_len;
    memcpy(context->path, op->path, op->path_len);
    context->bytes_len = entry.context.len;
    memcpy(context->bytes, entry.context.data, entry.context.len);
    context->accepted = lab->replicas[at].accepted;
    reader_close(lab);
    lab->reached.contexts += 1;
    return context;
}
