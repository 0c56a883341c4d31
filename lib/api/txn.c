/* SPDX-License-Identifier: Apache-2.0 */
/* Writing: intents are checked and collected on the caller's thread; the writer does the rest. */
#include "shell/txn.h"

#include <stdio.h>
#include <string.h>

#include "api/check.h"
#include "shell/clock.h"
#include "shell/wait.h"

enum { TXN_TIMEOUT_MS = 30000 };

/* ---- Beginning ---- */

static meshsync_status txn_check(const meshsync_txn *txn, meshsync_error *error)
{
    meshsync_status status = msy_check_given(txn, "txn", error);
    return status == MESHSYNC_OK ? msy_node_check(txn->work.node, error) : status;
}

meshsync_status meshsync_txn_begin(meshsync_space *space, meshsync_txn **txn, meshsync_error *error)
{
    meshsync_status status = msy_check_given(txn, "txn", error);
    if (status != MESHSYNC_OK) {
        return status;
    }
    *txn = NULL;
    status = msy_check_space(space, error);
    if (status == MESHSYNC_OK) {
        status = msy_node_may_write(space->node, error);
    }
    return status == MESHSYNC_OK ? msy_txn_begin(space, txn, error) : status;
}

void meshsync_txn_abort(meshsync_txn *txn)
{
    if (txn != NULL && msy_node_check(txn->work.node, NULL) == MESHSYNC_OK) {
        msy_txn_end(txn);
    }
}

meshsync_status meshsync_txn_snapshot(meshsync_txn *txn, meshsync_snapshot **snapshot,
                                      meshsync_error *error)
{
    meshsync_error words;
    meshsync_status status = msy_check_given(snapshot, "snapshot", error);
    if (status != MESHSYNC_OK) {
        return status;
    }
    *snapshot = NULL;
    status = txn_check(txn, error);
    if (status == MESHSYNC_OK) {
        status = msy_txn_pin(txn, msy_check_words(&words));
        status = msy_check_said(status, &words, "reading own writes", error);
    }
    if (status == MESHSYNC_OK) {
        status = msy_snapshot_check(&txn->snapshot, error);
    }
    if (status == MESHSYNC_OK) {
        *snapshot = &txn->snapshot;
    }
    return status;
}

/* ---- Intents ---- */

/* What every write begins with: the collection's name into intent, its type into *type. */
static meshsync_status txn_enter(meshsync_txn *txn, const char *collection,
                                 struct msy_intent *intent, int32_t *type, meshsync_error *error)
{
    meshsync_status status = txn_check(txn, error);
    if (status == MESHSYNC_OK) {
        status = msy_check_name(collection, "name of the collection", error);
    }
    if (status != MESHSYNC_OK) {
        return status;
    }
    intent->collection = (meshsync_bytes){(const uint8_t *)collection, strlen(collection)};
    intent->condition = MESHSYNC_IF_ANY;
    return msy_txn_type(txn, intent->collection, type, error);
}

static meshsync_status txn_add(meshsync_txn *txn, const struct msy_intent *intent,
                               meshsync_error *error)
{
    meshsync_error words;
    meshsync_status status = msy_txn_add(txn, intent, msy_check_words(&words));
    return msy_check_said(status, &words, "transaction", error);
}

static meshsync_status txn_encode(meshsync_txn *txn, const meshsync_value *value,
                                  meshsync_bytes *payload, meshsync_error *error)
{
    meshsync_error words;
    meshsync_status status = msy_txn_encode(txn, value, payload, msy_check_words(&words));
    return msy_check_said(status, &words, "value", error);
}

static meshsync_status txn_wrong_type(const char *collection, int32_t type, const char *what,
                                      meshsync_error *error)
{
    static const char *const names[] = {"", "register", "counter", "set", "map"};
    return msy_fail(error, MESHSYNC_E_TYPE, "\"%s\" is a %s: %s", collection,
                    type >= MESHSYNC_REGISTER && type <= MESHSYNC_MAP
                        ? names[type]
                        : "collection of another type",
                    what);
}

static meshsync_status txn_condition(const meshsync_condition *condition, struct msy_intent *intent,
                                     meshsync_error *error)
{
    if (condition == NULL) {
        return MESHSYNC_OK;
    }
    if (condition->kind < MESHSYNC_IF_ANY || condition->kind > MESHSYNC_WITH_CONTEXT) {
        return msy_fail(error, MESHSYNC_E_INVALID, "condition: kind %d is not %d to %d",
                        (int)condition->kind, (int)MESHSYNC_IF_ANY, (int)MESHSYNC_WITH_CONTEXT);
    }
    if (condition->reserved != 0) {
        return msy_fail(error, MESHSYNC_E_UNSUPPORTED, "condition: reserved is %d, not 0",
                        (int)condition->reserved);
    }
    intent->condition = (enum meshsync_condition_kind)condition->kind;
    if (condition->kind == MESHSYNC_IF_ANY || condition->kind == MESHSYNC_IF_ABSENT) {
        return MESHSYNC_OK;
    }
    if (condition->context.data == NULL || condition->context.len == 0) {
        return msy_fail(error, MESHSYNC_E_INVALID, "condition: kind %d needs a context",
                        (int)condition->kind);
    }
    intent->context = condition->context;
    return MESHSYNC_OK;
}

/* Registers and counters have a key alone. */
static meshsync_status txn_check_depth(const char *collection, int32_t type,
                                       const meshsync_path *path, meshsync_error *error)
{
    if ((type == MESHSYNC_REGISTER || type == MESHSYNC_COUNTER || type == MESHSYNC_SET) &&
        path->parts_count != 1) {
        char words[64];
        (void)snprintf(words, sizeof words, "its paths have one part, this has %zu",
                       path->parts_count);
        return txn_wrong_type(collection, type, words, error);
    }
    return MESHSYNC_OK;
}

meshsync_status meshsync_txn_put(meshsync_txn *txn, const char *collection,
                                 const meshsync_path *path, const meshsync_value *value,
                                 const meshsync_condition *condition, meshsync_error *error)
{
    struct msy_intent intent = {.type = MSY_INTENT_PUT};
    uint8_t encoded[MESHSYNC_PATH_BYTES_MAX];
    int32_t type = 0;
    meshsync_status status = txn_enter(txn, collection, &intent, &type, error);
    if (status == MESHSYNC_OK && type != MESHSYNC_REGISTER && type != MESHSYNC_MAP) {
        status = txn_wrong_type(collection, type, "values are put into registers and maps", error);
    }
    if (status == MESHSYNC_OK) {
        status = msy_check_path(path, encoded, &intent.path, error);
    }
    if (status == MESHSYNC_OK) {
        status = txn_check_depth(collection, type, path, error);
    }
    if (status == MESHSYNC_OK && type == MESHSYNC_MAP && path->parts_count < 2) {
        status = txn_wrong_type(collection, type, "a value needs a key and a field", error);
    }
    if (status == MESHSYNC_OK) {
        status = msy_check_given(value, "value", error);
    }
    if (status == MESHSYNC_OK) {
        status = msy_check_bytes(value->bytes, "value", error);
    }
    if (status == MESHSYNC_OK) {
        status = txn_condition(condition, &intent, error);
    }
    if (status == MESHSYNC_OK) {
        status = txn_encode(txn, value, &intent.payload, error);
    }
    return status == MESHSYNC_OK ? txn_add(txn, &intent, error) : status;
}

meshsync_status meshsync_txn_delete(meshsync_txn *txn, const char *collection,
                                    const meshsync_path *path, const meshsync_condition *condition,
                                    meshsync_error *error)
{
    struct msy_intent intent = {.type = MSY_INTENT_DELETE};
    uint8_t encoded[MESHSYNC_PATH_BYTES_MAX];
    int32_t type = 0;
    meshsync_status status = txn_enter(txn, collection, &intent, &type, error);
    if (status == MESHSYNC_OK) {
        status = msy_check_path(path, encoded, &intent.path, error);
    }
    if (status == MESHSYNC_OK) {
        status = txn_check_depth(collection, type, path, error);
    }
    if (status == MESHSYNC_OK) {
        status = txn_condition(condition, &intent, error);
    }
    return status == MESHSYNC_OK ? txn_add(txn, &intent, error) : status;
}

meshsync_status meshsync_txn_add(meshsync_txn *txn, const char *collection,
                                 const meshsync_path *path, int64_t delta, meshsync_error *error)
{
    struct msy_intent intent = {.type = MSY_INTENT_ADD};
    uint8_t encoded[MESHSYNC_PATH_BYTES_MAX];
    int32_t type = 0;
    meshsync_status status = txn_enter(txn, collection, &intent, &type, error);
    if (status == MESHSYNC_OK && type != MESHSYNC_COUNTER && type != MESHSYNC_MAP) {
        status = txn_wrong_type(collection, type, "numbers are added to counters and maps", error);
    }
    if (status == MESHSYNC_OK) {
        status = msy_check_path(path, encoded, &intent.path, error);
    }
    if (status == MESHSYNC_OK) {
        status = txn_check_depth(collection, type, path, error);
    }
    if (status == MESHSYNC_OK && type == MESHSYNC_MAP && path->parts_count < 2) {
        status = txn_wrong_type(collection, type, "a counter needs a key and a field", error);
    }
    if (status == MESHSYNC_OK) {
        const meshsync_value number = meshsync_value_int(delta);
        status = txn_encode(txn, &number, &intent.payload, error);
    }
    return status == MESHSYNC_OK ? txn_add(txn, &intent, error) : status;
}

static meshsync_status txn_element(meshsync_txn *txn, enum msy_intent_type what,
                                   const char *collection, const meshsync_bytes *parts,
                                   meshsync_error *error)
{
    struct msy_intent intent = {.type = what};
    const meshsync_path path = {parts, 2};
    uint8_t encoded[MESHSYNC_PATH_BYTES_MAX];
    int32_t type = 0;
    meshsync_status status = txn_enter(txn, collection, &intent, &type, error);
    if (status == MESHSYNC_OK && type != MESHSYNC_SET) {
        status = txn_wrong_type(collection, type, "elements are in sets", error);
    }
    if (status == MESHSYNC_OK) {
        status = msy_check_path(&path, encoded, &intent.path, error);
    }
    return status == MESHSYNC_OK ? txn_add(txn, &intent, error) : status;
}

meshsync_status meshsync_txn_set_add(meshsync_txn *txn, const char *collection, meshsync_bytes key,
                                     meshsync_bytes element, meshsync_error *error)
{
    const meshsync_bytes parts[] = {key, element};
    return txn_element(txn, MSY_INTENT_SET_ADD, collection, parts, error);
}

meshsync_status meshsync_txn_set_remove(meshsync_txn *txn, const char *collection,
                                        meshsync_bytes key, meshsync_bytes element,
                                        meshsync_error *error)
{
    const meshsync_bytes parts[] = {key, element};
    return txn_element(txn, MSY_INTENT_SET_REMOVE, collection, parts, error);
}

meshsync_status meshsync_txn_touch(meshsync_txn *txn, const char *collection,
                                   const meshsync_path *path, meshsync_error *error)
{
    struct msy_intent intent = {.type = MSY_INTENT_TOUCH};
    uint8_t encoded[MESHSYNC_PATH_BYTES_MAX];
    int32_t type = 0;
    meshsync_status status = txn_enter(txn, collection, &intent, &type, error);
    if (status == MESHSYNC_OK && type != MESHSYNC_SET && type != MESHSYNC_MAP) {
        status = txn_wrong_type(collection, type, "only sets and maps exist while empty", error);
    }
    if (status == MESHSYNC_OK) {
        status = msy_check_path(path, encoded, &intent.path, error);
    }
    if (status == MESHSYNC_OK) {
        status = txn_check_depth(collection, type, path, error);
    }
    return status == MESHSYNC_OK ? txn_add(txn, &intent, error) : status;
}

/* ---- Committing ---- */

static meshsync_status txn_options(const meshsync_node *node, const meshsync_commit_options *given,
                                   meshsync_commit_options *full, meshsync_error *error)
{
    memset(full, 0, sizeof *full);
    full->size = sizeof *full;
    if (given != NULL) {
        meshsync_status status =
            msy_check_read_sized(given, full, sizeof *full, "commit options", error);
        if (status != MESHSYNC_OK) {
            return status;
        }
    }
    if (full->reserved != 0) {
        return msy_fail(error, MESHSYNC_E_UNSUPPORTED, "commit options: reserved is %d, not 0",
                        (int)full->reserved);
    }
    if (full->ack < MESHSYNC_ACK_QUEUED) {
        return msy_fail(error, MESHSYNC_E_INVALID,
                        "commit options: ack %d is neither DURABLE, QUEUED nor a number of peers",
                        (int)full->ack);
    }
    if (full->ack >= 1 && !atomic_load(&node->network.started)) {
        return msy_fail(error, MESHSYNC_E_UNREACHABLE,
                        "%d peers were asked for, and the node is not started", (int)full->ack);
    }
    if (full->timeout_ms == 0) {
        full->timeout_ms = TXN_TIMEOUT_MS;
    }
    return MESHSYNC_OK;
}

/* Hands the transaction over and waits for the writer; it is gone then. */
static meshsync_status txn_call(meshsync_txn *txn, const meshsync_commit_options *options,
                                meshsync_token *token, meshsync_error *error)
{
    meshsync_space *space = txn->space;
    struct msy_answer answer;
    uint64_t deadline_ms = msy_clock_after(msy_clock_mono_ms(), options->timeout_ms);
    txn->work.ack = options->ack;
    msy_txn_prepare(txn);
    meshsync_status status = msy_writer_call(&space->node->writer, &txn->work, &answer);
    if (status != MESHSYNC_OK) {
        if (error != NULL) {
            *error = answer.error;
        }
        return status;
    }
    if (token != NULL && answer.tip.seq > 0) {
        (void)msy_token_make(&answer.tip, 1, token); /* One tip always fits. */
    }
    if (options->ack >= 1 && answer.tip.seq > 0) {
        status = msy_wait_for(space, &answer.tip, 1, (uint32_t)options->ack, deadline_ms, error);
    }
    return status;
}

meshsync_status meshsync_txn_commit(meshsync_txn *txn, const meshsync_commit_options *options,
                                    meshsync_token *token, meshsync_error *error)
{
    meshsync_commit_options full;
    meshsync_status status = txn_check(txn, error);
    if (status != MESHSYNC_OK) {
        return status;
    }
    meshsync_node *node = txn->work.node;
    if (token != NULL) {
        token->len = 0;
    }
    status = txn_options(node, options, &full, error);
    if (status == MESHSYNC_OK) {
        status = msy_node_may_block(node, full.ack >= 1, error);
    }
    if (status == MESHSYNC_OK && msy_board_enter(&node->board) != MESHSYNC_OK) {
        status = msy_fail(error, MESHSYNC_E_CANCELLED, "the node is closing");
    }
    if (status != MESHSYNC_OK) {
        msy_txn_end(txn);
        return status;
    }
    if (txn->work.request.intents_count == 0) {
        msy_txn_end(txn);
    } else {
        status = txn_call(txn, &full, token, error);
    }
    msy_board_leave(&node->board);
    return status;
}

meshsync_status meshsync_txn_commit_async(meshsync_txn *txn, const meshsync_commit_options *options,
                                          meshsync_commit_fn callback, void *user,
                                          meshsync_error *error)
{
    meshsync_commit_options full;
    meshsync_status status = txn_check(txn, error);
    if (status != MESHSYNC_OK) {
        return status;
    }
    meshsync_node *node = txn->work.node;
    if (callback == NULL) {
        status = msy_fail(error, MESHSYNC_E_INVALID, "callback is NULL");
    }
    if (status == MESHSYNC_OK) {
        status = txn_options(node, options, &full, error);
    }
    if (status != MESHSYNC_OK) {
        msy_txn_end(txn);
        return status;
    }
    txn->work.ack = full.ack;
    txn->work.callback = callback;
    txn->work.user = user;
    txn->work.deadline_ms = msy_clock_after(msy_clock_mono_ms(), full.timeout_ms);
    msy_txn_prepare(txn);
    /* Also when there is nothing to write: the answer comes from another thread, in its turn. */
    status = msy_writer_put(&node->writer, &txn->work, MSY_WRITER_TRY);
    if (status != MESHSYNC_OK) {
        msy_txn_end(txn);
        (void)msy_fail(error, status, "the writer: %s", meshsync_strerror(status));
    }
    return status;
}

meshsync_status meshsync_put(meshsync_space *space, const char *collection, meshsync_bytes key,
                             const meshsync_value *value, meshsync_token *token,
                             meshsync_error *error)
{
    const meshsync_path path = {&key, 1};
    meshsync_txn *txn = NULL;
    meshsync_status status = meshsync_txn_begin(space, &txn, error);
    if (status == MESHSYNC_OK) {
        status = meshsync_txn_put(txn, collection, &path, value, NULL, error);
    }
    if (status == MESHSYNC_OK) {
        return meshsync_txn_commit(txn, NULL, token, error);
    }
    meshsync_txn_abort(txn);
    return status;
}

/* ---- Helpers ---- */

meshsync_bytes meshsync_bytes_of(const char *text)
{
    return (meshsync_bytes){(const uint8_t *)text, text == NULL ? 0 : strlen(text)};
}

meshsync_value meshsync_value_string(const char *text)
{
    return (meshsync_value){.bytes = meshsync_bytes_of(text), .type = MESHSYNC_VALUE_STRING};
}

meshsync_value meshsync_value_bytes(const void *data, size_t len)
{
    return (meshsync_value){.bytes = {(const uint8_t *)data, len}, .type = MESHSYNC_VALUE_BYTES};
}

meshsync_value meshsync_value_int(int64_t number)
{
    return (meshsync_value){.integer = number, .type = MESHSYNC_VALUE_INT};
}
