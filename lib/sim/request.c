/* SPDX-License-Identifier: Apache-2.0 */
/* Transactions of a simulation: intents for a node's writer. */
#include <string.h>

#include "base/path.h"
#include "sim/cluster.h"
#include "wire/value.h"

struct meshsync_sim_txn {
    struct msy_sim_node *node;
    uint32_t life;
    struct msy_sim_work *work; /* Owned until it is committed. */
};

meshsync_status meshsync_sim_txn_begin(meshsync_sim *sim, uint32_t node, meshsync_sim_txn **out)
{
    struct msy_sim_node *found = msy_sim_node(sim, node);
    *out = NULL;
    if (found == NULL) {
        return MESHSYNC_E_INVALID;
    }
    if (!found->up || found->space == 0) {
        return MESHSYNC_E_STATE;
    }
    struct meshsync_sim_txn *txn = msy_new(&sim->alloc, sizeof *txn);
    if (txn == NULL) {
        return MESHSYNC_E_NO_MEMORY;
    }
    txn->node = found;
    txn->life = found->life;
    txn->work = msy_sim_work_new(found);
    if (txn->work == NULL) {
        msy_free(&sim->alloc, txn, sizeof *txn);
        return MESHSYNC_E_NO_MEMORY;
    }
    *out = txn;
    return MESHSYNC_OK;
}

static void request_free(meshsync_sim_txn *txn)
{
    struct msy_alloc *alloc = &txn->node->sim->alloc;
    if (txn->work != NULL) {
        msy_sim_work_free(txn->node, txn->work);
    }
    msy_free(alloc, txn, sizeof *txn);
}

void meshsync_sim_txn_abort(meshsync_sim_txn *txn)
{
    if (txn != NULL) {
        request_free(txn);
    }
}

static meshsync_status request_add(meshsync_sim_txn *txn, enum msy_intent_type type,
                                   const char *collection, const meshsync_path *path,
                                   const struct msy_intent *intent)
{
    uint8_t encoded[MESHSYNC_PATH_BYTES_MAX];
    size_t encoded_len = 0;
    if (path == NULL || collection == NULL) {
        return MESHSYNC_E_INVALID;
    }
    for (size_t i = 0; i < path->parts_count; i++) {
        if (!msy_path_append(encoded, &encoded_len, sizeof encoded, path->parts[i])) {
            return MESHSYNC_E_LIMIT;
        }
    }
    struct msy_intent whole = *intent;
    whole.type = type;
    whole.collection = msy_key_name(collection);
    whole.path = msy_bytes(encoded, encoded_len);
    return msy_request_add(&txn->work->request, &whole);
}

static void request_condition(struct msy_intent *intent, const meshsync_condition *condition)
{
    if (condition == NULL) {
        return;
    }
    intent->context = condition->context;
    switch (condition->kind) {
    case MESHSYNC_IF_ABSENT: intent->condition = MESHSYNC_IF_ABSENT; return;
    case MESHSYNC_IF_CONTEXT: intent->condition = MESHSYNC_IF_CONTEXT; return;
    case MESHSYNC_WITH_CONTEXT: intent->condition = MESHSYNC_WITH_CONTEXT; return;
    default: intent->condition = MESHSYNC_IF_ANY; return; /* Any other number means none. */
    }
}

meshsync_status meshsync_sim_txn_put(meshsync_sim_txn *txn, const char *collection,
                                     const meshsync_path *path, const meshsync_value *value,
                                     const meshsync_condition *condition)
{
    struct msy_intent intent = {.condition = MESHSYNC_IF_ANY};
    struct msy_buf payload;
    msy_buf_init(&payload, &txn->node->sim->alloc, MESHSYNC_VALUE_BYTES_MAX + 64);
    meshsync_status status = msy_value_encode(value, &payload, NULL);
    if (status == MESHSYNC_OK) {
        intent.payload = msy_buf_bytes(&payload);
        request_condition(&intent, condition);
        status = request_add(txn, MSY_INTENT_PUT, collection, path, &intent);
    }
    msy_buf_fini(&payload);
    return status;
}

meshsync_status meshsync_sim_txn_delete(meshsync_sim_txn *txn, const char *collection,
                                        const meshsync_path *path,
                                        const meshsync_condition *condition)
{
    struct msy_intent intent = {.condition = MESHSYNC_IF_ANY};
    request_condition(&intent, condition);
    return request_add(txn, MSY_INTENT_DELETE, collection, path, &intent);
}

meshsync_status meshsync_sim_txn_add(meshsync_sim_txn *txn, const char *collection,
                                     const meshsync_path *path, int64_t delta)
{
    struct msy_intent intent = {.condition = MESHSYNC_IF_ANY};
    struct msy_buf payload;
    msy_buf_init(&payload, &txn->node->sim->alloc, 64);
    meshsync_status status = msy_mp_put_int(&payload, delta);
    if (status == MESHSYNC_OK) {
        intent.payload = msy_buf_bytes(&payload);
        status = request_add(txn, MSY_INTENT_ADD, collection, path, &intent);
    }
    msy_buf_fini(&payload);
    return status;
}

meshsync_status meshsync_sim_txn_set_add(meshsync_sim_txn *txn, const char *collection,
                                         const meshsync_path *path)
{
    struct msy_intent intent = {.condition = MESHSYNC_IF_ANY};
    return request_add(txn, MSY_INTENT_SET_ADD, collection, path, &intent);
}

meshsync_status meshsync_sim_txn_set_remove(meshsync_sim_txn *txn, const char *collection,
                                            const meshsync_path *path)
{
    struct msy_intent intent = {.condition = MESHSYNC_IF_ANY};
    return request_add(txn, MSY_INTENT_SET_REMOVE, collection, path, &intent);
}

meshsync_status meshsync_sim_txn_touch(meshsync_sim_txn *txn, const char *collection,
                                       const meshsync_path *path)
{
    struct msy_intent intent = {.condition = MESHSYNC_IF_ANY};
    return request_add(txn, MSY_INTENT_TOUCH, collection, path, &intent);
}

meshsync_status meshsync_sim_txn_commit(meshsync_sim_txn *txn, meshsync_sim_grouping grouping,
                                        meshsync_sim_commit_fn callback, void *user)
{
    struct msy_sim_node *node = txn->node;
    struct msy_sim_work *work = txn->work;
    if (!node->up || node->life != txn->life) {
        request_free(txn);
        return MESHSYNC_E_STATE;
    }
    txn->work = NULL;
    request_free(txn);
    work->request.explicit_txn = grouping == MESHSYNC_SIM_EXPLICIT;
    work->event.type = MSY_REPLICA_COMMIT;
    work->event.space = node->space;
    work->event.request = &work->request;
    work->callback = callback;
    work->user = user;
    msy_sim_work_push(node, work);
    return MESHSYNC_OK;
}

meshsync_status meshsync_sim_put(meshsync_sim *sim, uint32_t node, const char *collection,
                                 const char *key, const meshsync_value *value)
{
    meshsync_bytes part = msy_key_name(key);
    meshsync_path path = {&part, 1};
    meshsync_sim_txn *txn = NULL;
    meshsync_status status = meshsync_sim_txn_begin(sim, node, &txn);
    if (status != MESHSYNC_OK) {
        return status;
    }
    status = meshsync_sim_txn_put(txn, collection, &path, value, NULL);
    if (status != MESHSYNC_OK) {
        meshsync_sim_txn_abort(txn);
        return status;
    }
    return meshsync_sim_txn_commit(txn, MESHSYNC_SIM_PLAIN, NULL, NULL);
}

meshsync_status meshsync_sim_incr(meshsync_sim *sim, uint32_t node, const char *collection,
                                  const char *key, int64_t delta)
{
    meshsync_bytes part = msy_key_name(key);
    meshsync_path path = {&part, 1};
    meshsync_sim_txn *txn = NULL;
    meshsync_status status = meshsync_sim_txn_begin(sim, node, &txn);
    if (status != MESHSYNC_OK) {
        return status;
    }
    status = meshsync_sim_txn_add(txn, collection, &path, delta);
    if (status != MESHSYNC_OK) {
        meshsync_sim_txn_abort(txn);
        return status;
    }
    return meshsync_sim_txn_commit(txn, MESHSYNC_SIM_PLAIN, NULL, NULL);
}
