/* SPDX-License-Identifier: Apache-2.0 */
#include "shell/txn.h"

#include <stddef.h>

#include "wire/value.h"

/* ---- The pool ---- */

static meshsync_txn *txn_of_owned(struct msy_owned *owned)
{
    return (meshsync_txn *)(void *)((char *)owned - offsetof(meshsync_txn, owned));
}

static void txn_drop_overlay(meshsync_txn *txn)
{
    if (txn->has_snapshot) {
        msy_snapshot_unpin(&txn->snapshot);
        msy_snapshot_free_scans(&txn->snapshot);
        txn->has_snapshot = false;
        atomic_store(&txn->owned.pinned_ms, 0);
    }
    if (txn->over != NULL) {
        msy_store_abort(txn->over);
        txn->over = NULL;
    }
    msy_store_close(txn->over_store);
    txn->over_store = NULL;
}

static void txn_free(struct msy_owned *owned)
{
    meshsync_txn *txn = txn_of_owned(owned);
    struct msy_alloc *alloc = &txn->work.node->alloc;
    txn_drop_overlay(txn);
    msy_request_fini(&txn->work.request);
    msy_buf_fini(&txn->work.bytes);
    msy_buf_fini(&txn->value);
    msy_free(alloc, txn, sizeof *txn);
}

/* The writer has done with it. */
static void txn_release(struct msy_work *work)
{
    msy_txn_end((meshsync_txn *)(void *)work); /* Its first member. */
}

static meshsync_txn *txn_take_idle(meshsync_node *node)
{
    (void)pthread_mutex_lock(&node->lock);
    meshsync_txn *txn = node->txns_idle;
    if (txn != NULL) {
        node->txns_idle = txn->idle_next;
        node->txns_idle_count -= 1;
    }
    (void)pthread_mutex_unlock(&node->lock);
    return txn;
}

meshsync_status msy_txn_begin(meshsync_space *space, meshsync_txn **out, meshsync_error *error)
{
    meshsync_node *node = space->node;
    meshsync_txn *txn = txn_take_idle(node);
    *out = NULL;
    if (txn == NULL) {
        txn = (meshsync_txn *)msy_new(&node->alloc, sizeof *txn);
        if (txn == NULL) {
            return msy_fail(error, MESHSYNC_E_NO_MEMORY, "transaction: no memory");
        }
        msy_work_init(&txn->work, node, txn_release);
        /* The largest value, and the msgpack around it. */
        msy_buf_init(&txn->value, &node->alloc, MESHSYNC_VALUE_BYTES_MAX + 16);
        txn->owned.release = txn_free;
        msy_node_own(node, &txn->owned);
    }
    txn->space = space;
    txn->over_index = 0;
    *out = txn;
    return MESHSYNC_OK;
}

/* Empties it; a buffer that one large transaction needed is not kept. */
static void txn_reset(meshsync_txn *txn)
{
    struct msy_work *work = &txn->work;
    struct msy_alloc *alloc = &work->node->alloc;
    if (work->request.bytes.cap > MSY_TXN_KEEP_BYTES_MAX) {
        msy_request_fini(&work->request);
        msy_request_init(&work->request, alloc);
    } else {
        msy_request_reset(&work->request);
    }
    if (txn->value.cap > MSY_TXN_KEEP_BYTES_MAX) {
        msy_buf_fini(&txn->value);
        msy_buf_init(&txn->value, alloc, MESHSYNC_VALUE_BYTES_MAX + 16);
    }
    work->next = NULL;
    work->answer = NULL;
    work->callback = NULL;
    work->user = NULL;
    work->ack = MESHSYNC_ACK_DURABLE;
    work->deadline_ms = 0;
}

void msy_txn_end(meshsync_txn *txn)
{
    meshsync_node *node = txn->work.node;
    txn_drop_overlay(txn);
    txn_reset(txn);
    (void)pthread_mutex_lock(&node->lock);
    bool keep = node->txns_idle_count < MSY_TXN_IDLE_MAX;
    if (keep) {
        txn->idle_next = node->txns_idle;
        node->txns_idle = txn;
        node->txns_idle_count += 1;
    }
    (void)pthread_mutex_unlock(&node->lock);
    if (!keep) {
        msy_node_disown(node, &txn->owned);
        txn_free(&txn->owned);
    }
}

/* ---- Types ---- */

meshsync_status msy_txn_type(meshsync_txn *txn, meshsync_bytes collection, int32_t *type,
                             meshsync_error *error)
{
    meshsync_node *node = txn->work.node;
    /* Read before the store is: what changes in between is seen at the next look. */
    uint64_t generation = atomic_load(&node->schema_generation);
    struct msy_store_txn *read = NULL;
    struct msy_schema schema;
    for (uint32_t i = 0; i < MSY_TXN_TYPES_MAX; i++) {
        const struct msy_txn_type *known = &txn->types[i];
        if (known->generation == generation && known->space == txn->space->number &&
            known->name_len == collection.len &&
            memcmp(known->name, collection.data, collection.len) == 0) {
            *type = known->type;
            return MESHSYNC_OK;
        }
    }
    meshsync_status status = msy_node_begin_read(node, &read, error);
    if (status != MESHSYNC_OK) {
        return status;
    }
    status = msy_schema_find(read, txn->space->number, collection, &schema);
    msy_node_end_read(read);
    if (status != MESHSYNC_OK) {
        return status == MESHSYNC_E_NOT_FOUND
                   ? msy_fail(error, status, "there is no collection \"%.*s\"", (int)collection.len,
                              (const char *)collection.data)
                   : msy_fail(error, status, "the schema of \"%.*s\" cannot be read",
                              (int)collection.len, (const char *)collection.data);
    }
    struct msy_txn_type *keep = &txn->types[txn->type_next % MSY_TXN_TYPES_MAX];
    txn->type_next += 1;
    keep->generation = generation;
    keep->space = txn->space->number;
    keep->type = schema.type;
    keep->name_len = collection.len;
    memcpy(keep->name, collection.data, collection.len);
    *type = schema.type;
    return MESHSYNC_OK;
}

/* ---- Values ---- */

meshsync_status msy_txn_encode(meshsync_txn *txn, const meshsync_value *value,
                               meshsync_bytes *payload, meshsync_error *error)
{
    msy_buf_reset(&txn->value);
    meshsync_status status = msy_value_encode(value, &txn->value, error);
    *payload = msy_buf_bytes(&txn->value);
    return status;
}

/* ---- Intents and own writes ---- */

meshsync_status msy_txn_add(meshsync_txn *txn, const struct msy_intent *intent,
                            meshsync_error *error)
{
    struct msy_request *request = &txn->work.request;
    size_t len_before = request->bytes.len;
    meshsync_status status = msy_request_add(request, intent);
    if (status == MESHSYNC_E_LIMIT) {
        return msy_fail(error, status, "the transaction would be over %u ops or %u bytes",
                        (unsigned)MESHSYNC_TXN_OPS_MAX, (unsigned)MESHSYNC_TXN_BYTES_MAX);
    }
    if (status != MESHSYNC_OK) {
        return msy_fail(error, status, "transaction: %s", meshsync_strerror(status));
    }
    if (txn->has_snapshot && txn->snapshot.open) {
        status = msy_overlay_apply(&txn->snapshot.view, intent, &txn->over_index, error);
    }
    if (status != MESHSYNC_OK) {
        request->bytes.len = len_before;
        request->intents_count -= 1;
    }
    return status;
}

static meshsync_status txn_replay(meshsync_txn *txn, meshsync_error *error)
{
    struct msy_intent intent;
    size_t at = 0;
    meshsync_status status = MESHSYNC_OK;
    while (status == MESHSYNC_OK && msy_request_next(&txn->work.request, &at, &intent)) {
        status = msy_overlay_apply(&txn->snapshot.view, &intent, &txn->over_index, error);
    }
    return status;
}

meshsync_status msy_txn_pin(meshsync_txn *txn, meshsync_error *error)
{
    if (txn->has_snapshot) {
        return MESHSYNC_OK;
    }
    meshsync_status status = msy_store_open_memory(&txn->work.node->alloc, &txn->over_store, error);
    if (status == MESHSYNC_OK) {
        status = msy_store_begin(txn->over_store, MSY_TXN_WRITE, &txn->over);
    }
    if (status == MESHSYNC_OK) {
        memset(&txn->snapshot, 0, sizeof txn->snapshot);
        txn->snapshot.of_txn = true;
        status = msy_snapshot_pin(&txn->snapshot, txn->space, txn->over, error);
    }
    if (status == MESHSYNC_OK) {
        txn->has_snapshot = true;
        atomic_store(&txn->owned.pinned_ms, txn->snapshot.opened_ms);
        status = txn_replay(txn, error);
    }
    if (status != MESHSYNC_OK) {
        txn_drop_overlay(txn);
    }
    return status;
}

void msy_txn_prepare(meshsync_txn *txn)
{
    struct msy_work *work = &txn->work;
    txn_drop_overlay(txn);
    memset(&work->event, 0, sizeof work->event);
    work->event.type = MSY_REPLICA_COMMIT;
    work->event.space = txn->space->number;
    work->event.early = work->ack == MESHSYNC_ACK_QUEUED ? 1 : 0;
    work->event.request = &work->request;
    work->request.explicit_txn = work->request.intents_count > 1;
}
