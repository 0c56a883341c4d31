/* SPDX-License-Identifier: Apache-2.0 */
/* The one space of a simulation: founding, inviting, joining, collections. */
#include <string.h>

#include "base/error.h"
#include "base/path.h"
#include "sim/cluster.h"
#include "store/history.h"
#include "wire/msgpack_check.h"

enum { SPACE_BEGIN_MS_MAX = 60000, SPACE_RECORD_BYTES_MAX = 1024 };

static const char space_names[MESHSYNC_SIM_SPACES_MAX][8] = {"sim",  "sim1", "sim2", "sim3",
                                                             "sim4", "sim5", "sim6", "sim7"};

/* Commits one control record (docs/format.md, section 7) at once. */
static meshsync_status space_put_record(struct msy_sim_node *node, const char *word,
                                        meshsync_bytes name, const struct msy_buf *record,
                                        meshsync_error *error)
{
    struct msy_alloc *alloc = &node->sim->alloc;
    uint8_t path[MESHSYNC_PATH_BYTES_MAX];
    size_t path_len = 0;
    struct msy_request request;
    struct msy_buf payload;
    msy_request_init(&request, alloc);
    msy_buf_init(&payload, alloc, 2 * SPACE_RECORD_BYTES_MAX);
    meshsync_status status = msy_mp_put_ext(&payload, 2, msy_buf_bytes(record));
    if (status == MESHSYNC_OK &&
        (!msy_path_append(path, &path_len, sizeof path, msy_key_name(word)) ||
         !msy_path_append(path, &path_len, sizeof path, name))) {
        status = MESHSYNC_E_LIMIT;
    }
    if (status == MESHSYNC_OK) {
        struct msy_intent intent = {.type = MSY_INTENT_PUT,
                                    .path = msy_bytes(path, path_len),
                                    .payload = msy_buf_bytes(&payload)};
        status = msy_request_add(&request, &intent);
    }
    if (status == MESHSYNC_OK) {
        struct msy_replica_event event = {
            .type = MSY_REPLICA_COMMIT, .space = node->space, .request = &request};
        status = msy_sim_writer_now(node, &event, NULL, error);
    }
    msy_request_fini(&request);
    msy_buf_fini(&payload);
    return status;
}

static meshsync_status space_record_numbers(struct msy_buf *record, const uint64_t *numbers,
                                            uint32_t count, uint32_t more)
{
    meshsync_status status = msy_mp_put_array(record, count + more);
    for (uint32_t i = 0; i < count && status == MESHSYNC_OK; i++) {
        status = msy_mp_put_uint(record, numbers[i]);
    }
    return status;
}

/* The ticket that everybody joins by, and its invitation on record. */
static meshsync_status space_invite(struct msy_sim_node *node, meshsync_error *error)
{
    static const uint64_t numbers[4] = {1, 0, 0, 0}; /* Version, role, expiry, uses. */
    struct meshsync_sim *sim = node->sim;
    uint8_t invite[MSY_SIGN_PUBLIC_BYTES];
    struct msy_space_row_descriptor row;
    struct msy_store_txn *txn = NULL;
    struct msy_buf record;
    uint32_t space = node->space - 1;
    meshsync_status status = msy_store_begin(node->store, MSY_TXN_READ, &txn);
    if (status == MESHSYNC_OK) {
        status = msy_history_next_space(txn, &space, &row);
        msy_store_abort(txn);
    }
    if (status != MESHSYNC_OK) {
        return msy_fail(error, status, "the space is not in the store");
    }
    struct msy_ticket *ticket = &sim->tickets[sim->chosen];
    memset(ticket, 0, sizeof *ticket);
    memcpy(ticket->space, row.id, sizeof ticket->space);
    memcpy(ticket->founder, row.founder, sizeof ticket->founder);
    memcpy(ticket->nonce, row.nonce, sizeof ticket->nonce);
    memcpy(ticket->discovery, row.discovery, sizeof ticket->discovery);
    msy_prng_fill(&sim->prng, ticket->invite_seed, sizeof ticket->invite_seed);
    memcpy(ticket->name, space_names[sim->chosen], sizeof space_names[0]);
    msy_sign_public(invite, ticket->invite_seed);
    msy_buf_init(&record, &sim->alloc, SPACE_RECORD_BYTES_MAX);
    status = space_record_numbers(&record, numbers, 4, 0);
    if (status == MESHSYNC_OK) {
        status = space_put_record(node, "invite", msy_bytes(invite, sizeof invite), &record, error);
    }
    msy_buf_fini(&record);
    return status;
}

static meshsync_status space_node(struct meshsync_sim *sim, uint32_t node,
                                  struct msy_sim_node **found, meshsync_error *error)
{
    msy_sim_read_end(sim);
    *found = msy_sim_node(sim, node);
    if (*found == NULL) {
        return msy_fail(error, MESHSYNC_E_INVALID, "there is no node %u", node);
    }
    return (*found)->up ? MESHSYNC_OK : msy_fail(error, MESHSYNC_E_STATE, "node %u is down", node);
}

meshsync_status meshsync_sim_space_create(meshsync_sim *sim, uint32_t node, meshsync_error *error)
{
    struct msy_sim_node *found = NULL;
    meshsync_status status = space_node(sim, node, &found, error);
    if (status == MESHSYNC_OK && sim->has_space[sim->chosen]) {
        status = msy_fail(error, MESHSYNC_E_STATE, "there is a space");
    }
    if (status != MESHSYNC_OK) {
        return status;
    }
    struct msy_replica_event event = {.type = MSY_REPLICA_CREATE,
                                      .bytes = msy_key_name(space_names[sim->chosen])};
    uint32_t number = 0;
    status = msy_sim_writer_now(found, &event, &number, error);
    if (status == MESHSYNC_OK) {
        msy_sim_node_set_space(found, number);
        status = space_invite(found, error);
    }
    sim->has_space[sim->chosen] = status == MESHSYNC_OK;
    return status;
}

meshsync_status meshsync_sim_space_join(meshsync_sim *sim, uint32_t node, meshsync_error *error)
{
    struct msy_sim_node *found = NULL;
    meshsync_status status = space_node(sim, node, &found, error);
    if (status == MESHSYNC_OK && !sim->has_space[sim->chosen]) {
        status = msy_fail(error, MESHSYNC_E_STATE, "there is no space");
    }
    if (status == MESHSYNC_OK && found->space != 0) {
        status = msy_fail(error, MESHSYNC_E_EXISTS, "node %u has the space", node);
    }
    if (status != MESHSYNC_OK) {
        return status;
    }
    struct msy_replica_event event = {.type = MSY_REPLICA_JOIN,
                                      .ticket = &sim->tickets[sim->chosen]};
    uint32_t number = 0;
    status = msy_sim_writer_now(found, &event, &number, error);
    if (status == MESHSYNC_OK) {
        msy_sim_node_set_space(found, number);
    }
    return status;
}

meshsync_status meshsync_sim_space_leave(meshsync_sim *sim, uint32_t node, meshsync_error *error)
{
    struct msy_sim_node *found = NULL;
    meshsync_status status = space_node(sim, node, &found, error);
    if (status == MESHSYNC_OK && found->space == 0) {
        status = msy_fail(error, MESHSYNC_E_STATE, "node %u is not in the space", node);
    }
    if (status != MESHSYNC_OK) {
        return status;
    }
    struct msy_replica_event event = {.type = MSY_REPLICA_LEAVE, .space = found->space, .erase = 1};
    status = msy_sim_writer_now(found, &event, NULL, error);
    if (status == MESHSYNC_OK) {
        msy_sim_node_set_space(found, 0);
        sim->stats.spaces_left += 1;
    }
    return status;
}

meshsync_status meshsync_sim_space_select(meshsync_sim *sim, uint32_t space)
{
    msy_sim_read_end(sim);
    if (space >= MESHSYNC_SIM_SPACES_MAX) {
        return MESHSYNC_E_INVALID;
    }
    sim->chosen = space;
    for (uint32_t i = 0; i < sim->nodes_count; i++) {
        sim->nodes[i]->space = sim->nodes[i]->spaces[space];
    }
    return MESHSYNC_OK;
}

int32_t meshsync_sim_space_has(const meshsync_sim *sim, uint32_t node)
{
    const struct msy_sim_node *found = msy_sim_node(sim, node);
    return found != NULL && found->space != 0 ? 1 : 0;
}

meshsync_status meshsync_sim_collection_create(meshsync_sim *sim, uint32_t node,
                                               const meshsync_sim_collection *collection,
                                               meshsync_error *error)
{
    struct msy_sim_node *found = NULL;
    struct msy_buf record;
    meshsync_status status = space_node(sim, node, &found, error);
    if (status == MESHSYNC_OK && found->space == 0) {
        status = msy_fail(error, MESHSYNC_E_STATE, "node %u is not in the space", node);
    }
    if (status != MESHSYNC_OK) {
        return status;
    }
    uint64_t numbers[3] = {1, (uint64_t)collection->type, (uint64_t)collection->view};
    msy_buf_init(&record, &sim->alloc, SPACE_RECORD_BYTES_MAX);
    status = space_record_numbers(&record, numbers, 3, 3);
    if (status == MESHSYNC_OK) {
        status = msy_mp_put_str(&record, msy_bytes("", 0)); /* No merge function, version 0, */
    }
    for (uint32_t i = 0; i < 2 && status == MESHSYNC_OK; i++) {
        status = msy_mp_put_uint(&record, 0); /* and priority 0. */
    }
    if (status == MESHSYNC_OK) {
        status = space_put_record(found, "schema", msy_key_name(collection->name), &record, error);
    }
    msy_buf_fini(&record);
    return status;
}

static meshsync_status space_join_all(meshsync_sim *sim, meshsync_error *error)
{
    meshsync_status status = MESHSYNC_OK;
    for (uint32_t i = 1; i < sim->nodes_count && status == MESHSYNC_OK; i++) {
        status = meshsync_sim_space_join(sim, i, error);
        for (uint32_t k = 0; k < i && status == MESHSYNC_OK; k++) {
            meshsync_sim_pair pair = {i, k};
            status = meshsync_sim_dial(sim, pair);
        }
    }
    return status;
}

meshsync_status meshsync_sim_begin(meshsync_sim *sim, const meshsync_sim_collection *collections,
                                   size_t collections_count, meshsync_error *error)
{
    meshsync_status status = meshsync_sim_space_create(sim, 0, error);
    for (size_t i = 0; i < collections_count && status == MESHSYNC_OK; i++) {
        status = meshsync_sim_collection_create(sim, 0, &collections[i], error);
    }
    if (status == MESHSYNC_OK) {
        status = space_join_all(sim, error);
    }
    return status == MESHSYNC_OK ? meshsync_sim_settle(sim, SPACE_BEGIN_MS_MAX, error) : status;
}
