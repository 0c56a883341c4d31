/* SPDX-License-Identifier: Apache-2.0 */
/* The quiet phase: everything works again, and all must come to hold the same. */
#include <string.h>

#include "base/error.h"
#include "sim/cluster.h"

enum { SETTLE_STEP_MS = 200 };

static meshsync_status settle_compare(meshsync_sim *sim, meshsync_error *error)
{
    meshsync_digest first = {.size = sizeof first};
    uint32_t first_node = 0;
    bool any = false;
    for (uint32_t i = 0; i < sim->nodes_count; i++) {
        meshsync_digest digest = {.size = sizeof digest};
        if (!sim->nodes[i]->up || sim->nodes[i]->space == 0) {
            continue;
        }
        meshsync_status status = meshsync_sim_digest(sim, i, &digest);
        if (status != MESHSYNC_OK) {
            return msy_fail(error, status, "the digest of node %u", i);
        }
        if (any && memcmp(first.digest, digest.digest, sizeof first.digest) != 0) {
            return msy_fail(error, MESHSYNC_E_STATE,
                            "node %u has %llu changes and %llu entries, node %u %llu and %llu",
                            first_node, (unsigned long long)first.changes,
                            (unsigned long long)first.entries, i,
                            (unsigned long long)digest.changes, (unsigned long long)digest.entries);
        }
        if (!any) {
            first = digest;
            first_node = i;
            any = true;
        }
    }
    return MESHSYNC_OK;
}

meshsync_status meshsync_sim_converged(meshsync_sim *sim, meshsync_error *error)
{
    uint32_t chosen = sim->chosen;
    meshsync_status status = MESHSYNC_OK;
    for (uint32_t i = 0; i < MESHSYNC_SIM_SPACES_MAX && status == MESHSYNC_OK; i++) {
        if (sim->has_space[i]) {
            status = meshsync_sim_space_select(sim, i);
        }
        if (sim->has_space[i] && status == MESHSYNC_OK) {
            status = settle_compare(sim, error);
        }
    }
    meshsync_status back = meshsync_sim_space_select(sim, chosen);
    return status == MESHSYNC_OK ? back : status;
}

static meshsync_status settle_repair(meshsync_sim *sim, meshsync_error *error)
{
    for (uint32_t i = 0; i < sim->nodes_count; i++) {
        struct msy_sim_node *node = sim->nodes[i];
        node->crash_armed = false;
        node->clock_offset_ms = 0;
        node->drift_ppm = 0;
        node->commit_us_max = 0;
        node->memory.bytes_max = 0;
        msy_store_memory_fault(node->store, MSY_STORE_FAULT_NONE);
        msy_store_memory_fail_at(node->store, 0);
        for (uint32_t k = 0; k < sim->nodes_count; k++) {
            meshsync_sim_pair pair = {i, k};
            meshsync_sim_link link = {.size = sizeof link};
            sim->paths[i][k].corrupt = 0;
            meshsync_status status = meshsync_sim_link_set(sim, pair, &link);
            if (status != MESHSYNC_OK) {
                return status;
            }
        }
    }
    for (uint32_t i = 0; i < sim->nodes_count; i++) {
        if (!sim->nodes[i]->up && !sim->nodes[i]->retired) {
            meshsync_status status = meshsync_sim_restart(sim, i, error);
            if (status != MESHSYNC_OK) {
                return status;
            }
        }
    }
    return MESHSYNC_OK;
}

static bool settle_idle(const struct meshsync_sim *sim)
{
    for (uint32_t i = 0; i < sim->nodes_count; i++) {
        if (sim->nodes[i]->up && sim->nodes[i]->work_first != NULL) {
            return false;
        }
    }
    return true;
}

meshsync_status meshsync_sim_settle(meshsync_sim *sim, uint64_t ms_max, meshsync_error *error)
{
    meshsync_error words = {0};
    meshsync_status status = settle_repair(sim, error);
    uint64_t until_us = sim->now_us + ms_max * 1000;
    while (status == MESHSYNC_OK) {
        bool last = sim->now_us >= until_us;
        status = meshsync_sim_run_for(sim, SETTLE_STEP_MS);
        if (status != MESHSYNC_OK) {
            return msy_fail(error, status, "%s", sim->failed_words);
        }
        if (!settle_idle(sim) && !last) {
            continue;
        }
        status = meshsync_sim_converged(sim, &words);
        if (status == MESHSYNC_OK) {
            return MESHSYNC_OK;
        }
        if (status == MESHSYNC_E_STATE) {
            status = last ? msy_fail(error, MESHSYNC_E_TIMEOUT, "%s", words.message) : MESHSYNC_OK;
        }
    }
    return status;
}
