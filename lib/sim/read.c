/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a simulated node's store, whether the node runs or not. */
#include <string.h>

#include "base/error.h"
#include "base/path.h"
#include "replica/verify.h"
#include "sim/cluster.h"

void msy_sim_read_end(struct meshsync_sim *sim)
{
    if (sim->reading) {
        msy_view_fini(&sim->reader.view);
        msy_store_abort(sim->reader.txn);
        sim->reader.txn = NULL;
        sim->reading = false;
    }
}

static meshsync_status read_begin(struct meshsync_sim *sim, uint32_t node,
                                  struct msy_sim_node **found)
{
    struct msy_merge_port merge = {NULL, NULL};
    msy_sim_read_end(sim);
    *found = msy_sim_node(sim, node);
    if (*found == NULL) {
        return MESHSYNC_E_INVALID;
    }
    if ((*found)->space == 0) {
        return MESHSYNC_E_STATE;
    }
    meshsync_status status = msy_store_begin((*found)->store, MSY_TXN_READ, &sim->reader.txn);
    if (status != MESHSYNC_OK) {
        return status;
    }
    status = msy_view_init(&sim->reader.view, &sim->alloc, sim->reader.txn, NULL, (*found)->space,
                           &merge);
    if (status != MESHSYNC_OK) {
        msy_store_abort(sim->reader.txn);
        sim->reader.txn = NULL;
        return status;
    }
    sim->reading = true;
    return MESHSYNC_OK;
}

static meshsync_status read_path(const meshsync_path *path, uint8_t *encoded, size_t *len)
{
    *len = 0;
    for (size_t i = 0; i < path->parts_count; i++) {
        if (!msy_path_append(encoded, len, MESHSYNC_PATH_BYTES_MAX, path->parts[i])) {
            return MESHSYNC_E_LIMIT;
        }
    }
    return MESHSYNC_OK;
}

meshsync_status meshsync_sim_get(meshsync_sim *sim, uint32_t node, const char *collection,
                                 const meshsync_path *path, meshsync_entry *entry)
{
    uint8_t encoded[MESHSYNC_PATH_BYTES_MAX];
    size_t len = 0;
    struct msy_sim_node *found = NULL;
    meshsync_status status = read_begin(sim, node, &found);
    if (status == MESHSYNC_OK && !found->up) {
        status = MESHSYNC_E_STATE;
    }
    if (status == MESHSYNC_OK) {
        status = read_path(path, encoded, &len);
    }
    if (status == MESHSYNC_OK) {
        status = msy_view_get(&sim->reader.view, msy_key_name(collection), msy_bytes(encoded, len),
                              entry, NULL);
    }
    return status;
}

meshsync_status meshsync_sim_sibling_at(meshsync_sim *sim, uint32_t index,
                                        meshsync_sibling *sibling)
{
    return sim->reading ? msy_view_sibling(&sim->reader.view, index, sibling, NULL)
                        : MESHSYNC_E_STATE;
}

meshsync_status meshsync_sim_contains(meshsync_sim *sim, uint32_t node, const char *collection,
                                      const meshsync_path *path)
{
    uint8_t encoded[MESHSYNC_PATH_BYTES_MAX];
    size_t len = 0;
    struct msy_sim_node *found = NULL;
    meshsync_status status = read_begin(sim, node, &found);
    if (status == MESHSYNC_OK) {
        status = read_path(path, encoded, &len);
    }
    if (status == MESHSYNC_OK) {
        status = msy_view_contains(&sim->reader.view, msy_key_name(collection),
                                   msy_bytes(encoded, len), NULL);
    }
    return status;
}

meshsync_status meshsync_sim_digest(meshsync_sim *sim, uint32_t node, meshsync_digest *digest)
{
    struct msy_sim_node *found = NULL;
    meshsync_status status = read_begin(sim, node, &found);
    return status == MESHSYNC_OK ? msy_space_digest(sim->reader.txn, found->space, digest) : status;
}

meshsync_status meshsync_sim_verify(meshsync_sim *sim, uint32_t node,
                                    meshsync_verify_report *report, meshsync_error *error)
{
    struct msy_sim_node *found = NULL;
    meshsync_status status = read_begin(sim, node, &found);
    if (status != MESHSYNC_OK) {
        return msy_fail(error, status, "node %u has no space", node);
    }
    return msy_verify_space_once(&sim->alloc, sim->reader.txn, found->space, sim->verified, report,
                                 error);
}
