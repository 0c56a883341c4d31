/* SPDX-License-Identifier: Apache-2.0 */
/* What goes wrong in a simulation when it is asked to. */
#include <string.h>

#include "base/error.h"
#include "sim/cluster.h"

static bool fault_pair(const struct meshsync_sim *sim, meshsync_sim_pair pair)
{
    return msy_sim_node(sim, pair.from) != NULL && msy_sim_node(sim, pair.to) != NULL;
}

static void fault_trace(struct meshsync_sim *sim, uint32_t what, meshsync_sim_pair pair)
{
    uint8_t to[4];
    msy_put_be32(to, pair.to);
    msy_sim_trace_add(sim, what, pair.from, to, sizeof to);
}

meshsync_status meshsync_sim_link_set(meshsync_sim *sim, meshsync_sim_pair pair,
                                      const meshsync_sim_link *link)
{
    meshsync_sim_link read = {0};
    if (!fault_pair(sim, pair) || link->size == 0) {
        return MESHSYNC_E_INVALID;
    }
    memcpy(&read, link, link->size < sizeof read ? link->size : sizeof read);
    struct msy_sim_path *path = &sim->paths[pair.from][pair.to];
    bool was_cut = path->cut;
    path->latency_us_min =
        read.latency_us_max == 0 ? sim->options.latency_us_min : read.latency_us_min;
    path->latency_us_max =
        read.latency_us_max == 0 ? sim->options.latency_us_max : read.latency_us_max;
    path->bytes_per_s = read.bytes_per_s;
    path->tail_permille = read.tail_permille;
    path->tail_us_max = read.tail_us_max;
    path->cut = read.cut != 0;
    fault_trace(sim, path->cut ? 'x' : 'h', pair);
    sim->stats.cuts += path->cut && !was_cut ? 1 : 0;
    if (was_cut && !path->cut) {
        msy_sim_net_resume(sim, pair.from, pair.to);
    }
    return MESHSYNC_OK;
}

static meshsync_status fault_both(meshsync_sim *sim, meshsync_sim_pair pair, bool cut)
{
    for (uint32_t i = 0; i < 2; i++) {
        meshsync_sim_pair way = {i == 0 ? pair.from : pair.to, i == 0 ? pair.to : pair.from};
        if (!fault_pair(sim, way)) {
            return MESHSYNC_E_INVALID;
        }
        struct msy_sim_path *path = &sim->paths[way.from][way.to];
        if (path->cut == cut) {
            continue;
        }
        path->cut = cut;
        fault_trace(sim, cut ? 'x' : 'h', way);
        sim->stats.cuts += cut ? 1 : 0;
        if (!cut) {
            msy_sim_net_resume(sim, way.from, way.to);
        }
    }
    return MESHSYNC_OK;
}

meshsync_status meshsync_sim_cut(meshsync_sim *sim, meshsync_sim_pair pair)
{
    return fault_both(sim, pair, true);
}

meshsync_status meshsync_sim_heal(meshsync_sim *sim, meshsync_sim_pair pair)
{
    return fault_both(sim, pair, false);
}

meshsync_status meshsync_sim_reset(meshsync_sim *sim, meshsync_sim_pair pair)
{
    if (!fault_pair(sim, pair)) {
        return MESHSYNC_E_INVALID;
    }
    fault_trace(sim, 'r', pair);
    sim->stats.resets += msy_sim_net_break(sim, pair.from, pair.to, true);
    return MESHSYNC_OK;
}

meshsync_status meshsync_sim_half_open(meshsync_sim *sim, meshsync_sim_pair pair)
{
    if (!fault_pair(sim, pair)) {
        return MESHSYNC_E_INVALID;
    }
    fault_trace(sim, 'f', pair);
    sim->stats.half_opens += msy_sim_net_break(sim, pair.from, pair.to, false);
    return MESHSYNC_OK;
}

meshsync_status meshsync_sim_corrupt(meshsync_sim *sim, meshsync_sim_pair pair)
{
    if (!fault_pair(sim, pair)) {
        return MESHSYNC_E_INVALID;
    }
    fault_trace(sim, 'c', pair);
    sim->paths[pair.from][pair.to].corrupt += 1;
    return MESHSYNC_OK;
}

/* --- nodes --------------------------------------------------------------------------------- */

meshsync_status meshsync_sim_crash(meshsync_sim *sim, uint32_t node, meshsync_sim_crash_kind kind)
{
    struct msy_sim_node *found = msy_sim_node(sim, node);
    msy_sim_read_end(sim);
    if (found == NULL) {
        return MESHSYNC_E_INVALID;
    }
    if (!found->up) {
        return MESHSYNC_E_STATE;
    }
    if (kind == MESHSYNC_SIM_KILL_BEFORE || kind == MESHSYNC_SIM_KILL_AFTER) {
        found->crash_armed = true;
        found->crash_kind = kind;
        return MESHSYNC_OK;
    }
    sim->stats.crashes += 1;
    sim->stats.powers += kind == MESHSYNC_SIM_POWER ? 1 : 0;
    msy_sim_node_stop(found, kind == MESHSYNC_SIM_KILL);
    return MESHSYNC_OK;
}

meshsync_status meshsync_sim_crash_at(meshsync_sim *sim, uint32_t node, uint64_t actions)
{
    struct msy_sim_node *found = msy_sim_node(sim, node);
    if (found == NULL) {
        return MESHSYNC_E_INVALID;
    }
    if (!found->up) {
        return MESHSYNC_E_STATE;
    }
    msy_store_memory_fail_at(found->store, actions);
    return MESHSYNC_OK;
}

meshsync_status meshsync_sim_store_slow(meshsync_sim *sim, uint32_t node, uint64_t commit_us_max)
{
    struct msy_sim_node *found = msy_sim_node(sim, node);
    if (found == NULL) {
        return MESHSYNC_E_INVALID;
    }
    found->commit_us_max = commit_us_max;
    return MESHSYNC_OK;
}

meshsync_status meshsync_sim_memory_set(meshsync_sim *sim, uint32_t node, uint64_t more_bytes)
{
    struct msy_sim_node *found = msy_sim_node(sim, node);
    if (found == NULL) {
        return MESHSYNC_E_INVALID;
    }
    bool limited = more_bytes <= SIZE_MAX - found->memory.bytes_used;
    found->memory.bytes_max = limited ? found->memory.bytes_used + (size_t)more_bytes : 0;
    return MESHSYNC_OK;
}

meshsync_status meshsync_sim_protocol_set(meshsync_sim *sim, uint32_t node,
                                          const meshsync_sim_protocol *protocol)
{
    struct msy_sim_node *found = msy_sim_node(sim, node);
    if (found == NULL || protocol->size == 0) {
        return MESHSYNC_E_INVALID;
    }
    size_t size = sizeof found->protocol;
    memset(&found->protocol, 0, size);
    memcpy(&found->protocol, protocol, protocol->size < size ? protocol->size : size);
    return MESHSYNC_OK;
}

meshsync_status meshsync_sim_restart(meshsync_sim *sim, uint32_t node, meshsync_error *error)
{
    struct msy_sim_node *found = msy_sim_node(sim, node);
    msy_sim_read_end(sim);
    if (found == NULL) {
        return msy_fail(error, MESHSYNC_E_INVALID, "there is no node %u", node);
    }
    if (found->up || found->retired) {
        return msy_fail(error, MESHSYNC_E_STATE, "node %u is %s", node,
                        found->up ? "up" : "gone for ever");
    }
    meshsync_status status = msy_sim_node_start(found, error);
    sim->stats.restarts += status == MESHSYNC_OK ? 1 : 0;
    return status;
}

meshsync_status meshsync_sim_store_set(meshsync_sim *sim, uint32_t node,
                                       meshsync_sim_store_kind kind)
{
    struct msy_sim_node *found = msy_sim_node(sim, node);
    if (found == NULL) {
        return MESHSYNC_E_INVALID;
    }
    switch (kind) {
    case MESHSYNC_SIM_STORE_GOOD:
        msy_store_memory_fault(found->store, MSY_STORE_FAULT_NONE);
        return MESHSYNC_OK;
    case MESHSYNC_SIM_STORE_FULL:
        msy_store_memory_fault(found->store, MSY_STORE_FAULT_FULL);
        return MESHSYNC_OK;
    case MESHSYNC_SIM_STORE_IO:
        msy_store_memory_fault(found->store, MSY_STORE_FAULT_COMMIT_IO);
        return MESHSYNC_OK;
    }
    return MESHSYNC_E_INVALID;
}

/* Stops a node, puts another store (taken over) under it, and starts it. */
static meshsync_status fault_replace(struct msy_sim_node *node, struct msy_store *store,
                                     meshsync_error *error)
{
    msy_sim_read_end(node->sim);
    msy_sim_node_stop(node, true);
    msy_store_close(node->store);
    node->store = store;
    return msy_sim_node_start(node, error);
}

/* Stops a node and gives it the key of a seed. */
static meshsync_status fault_key(struct msy_sim_node *node, const uint8_t seed[MSY_SIGN_SEED_BYTES],
                                 meshsync_error *error)
{
    struct msy_identity *identity = NULL;
    meshsync_status status = msy_identity_new(seed, &identity, error);
    if (status == MESHSYNC_OK) {
        msy_sim_node_stop(node, true); /* Its machines use the identity until they are gone. */
        msy_identity_free(node->identity);
        node->identity = identity;
        memcpy(node->seed, seed, sizeof node->seed);
    }
    return status;
}

static meshsync_status fault_new_key(struct msy_sim_node *node, meshsync_error *error)
{
    uint8_t seed[MSY_SIGN_SEED_BYTES];
    msy_prng_fill(&node->sim->prng, seed, sizeof seed);
    meshsync_status status = fault_key(node, seed, error);
    msy_wipe(seed, sizeof seed);
    return status;
}

meshsync_status meshsync_sim_disk_lose(meshsync_sim *sim, uint32_t node,
                                       meshsync_sim_disk_kind kind, meshsync_error *error)
{
    struct msy_sim_node *found = msy_sim_node(sim, node);
    struct msy_store *store = NULL;
    if (found == NULL) {
        return msy_fail(error, MESHSYNC_E_INVALID, "there is no node %u", node);
    }
    meshsync_status status = msy_store_open_memory(&sim->alloc, &store, error);
    if (status == MESHSYNC_OK && kind == MESHSYNC_SIM_KEY_LOST) {
        status = fault_new_key(found, error);
    }
    if (status != MESHSYNC_OK) {
        msy_store_close(store);
        return status;
    }
    sim->stats.disks_lost += 1;
    return fault_replace(found, store, error);
}

meshsync_status meshsync_sim_backup(meshsync_sim *sim, uint32_t node)
{
    struct msy_sim_node *found = msy_sim_node(sim, node);
    struct msy_store *copy = NULL;
    if (found == NULL) {
        return MESHSYNC_E_INVALID;
    }
    meshsync_status status = msy_store_memory_clone(found->store, &copy);
    if (status == MESHSYNC_OK) {
        msy_store_close(found->backup);
        found->backup = copy;
        memcpy(found->backup_seed, found->seed, sizeof found->backup_seed);
    }
    return status;
}

/* A restored store is another store: cursors of the old one must not fit it. */
static meshsync_status fault_rename_store(struct meshsync_sim *sim, struct msy_store *store)
{
    uint8_t id[16];
    struct msy_store_txn *txn = NULL;
    msy_prng_fill(&sim->prng, id, sizeof id);
    meshsync_status status = msy_store_begin(store, MSY_TXN_WRITE, &txn);
    if (status != MESHSYNC_OK) {
        return status;
    }
    status = msy_store_put(txn, MSY_TABLE_META, msy_key_name(MSY_META_STORE_ID),
                           msy_bytes(id, sizeof id), MSY_PUT_ANY);
    if (status != MESHSYNC_OK) {
        msy_store_abort(txn);
        return status;
    }
    return msy_store_commit(txn);
}

meshsync_status meshsync_sim_restore(meshsync_sim *sim, uint32_t node, meshsync_error *error)
{
    struct msy_sim_node *found = msy_sim_node(sim, node);
    struct msy_store *store = NULL;
    if (found == NULL || found->backup == NULL) {
        return msy_fail(error, found == NULL ? MESHSYNC_E_INVALID : MESHSYNC_E_NOT_FOUND,
                        "node %u has no backup", node);
    }
    meshsync_status status = msy_store_memory_clone(found->backup, &store);
    if (status == MESHSYNC_OK) {
        status = fault_rename_store(sim, store);
    }
    if (status == MESHSYNC_OK && memcmp(found->seed, found->backup_seed, sizeof found->seed) != 0) {
        status = fault_key(found, found->backup_seed, error); /* A backup has its key in it. */
    }
    if (status != MESHSYNC_OK) {
        msy_store_close(store);
        return msy_fail(error, status, "the backup of node %u", node);
    }
    sim->stats.restores += 1;
    return fault_replace(found, store, error);
}

meshsync_status meshsync_sim_clone(meshsync_sim *sim, uint32_t node, uint32_t *clone,
                                   meshsync_error *error)
{
    struct msy_sim_node *found = msy_sim_node(sim, node);
    struct msy_sim_node *made = NULL;
    struct msy_store *store = NULL;
    if (found == NULL) {
        return msy_fail(error, MESHSYNC_E_INVALID, "there is no node %u", node);
    }
    meshsync_status status = msy_store_memory_clone(found->store, &store);
    if (status != MESHSYNC_OK) {
        return msy_fail(error, status, "the store of node %u", node);
    }
    status = msy_sim_node_new(sim, found->seed, store, &made, error);
    if (status != MESHSYNC_OK) {
        return status;
    }
    memcpy(made->dials, found->dials, sizeof made->dials);
    made->dials_count = found->dials_count;
    made->clock_offset_ms = meshsync_sim_clock_offset(sim, node);
    made->drift_since_us = sim->now_us;
    made->protocol = found->protocol;
    sim->stats.clones += 1;
    *clone = made->index;
    return msy_sim_node_start(made, error);
}

meshsync_status meshsync_sim_clock_jump(meshsync_sim *sim, uint32_t node, int64_t ms)
{
    struct msy_sim_node *found = msy_sim_node(sim, node);
    if (found == NULL) {
        return MESHSYNC_E_INVALID;
    }
    found->clock_offset_ms += ms;
    sim->stats.clock_jumps += 1;
    msy_sim_trace_add(sim, 'k', node, &found->clock_offset_ms, sizeof found->clock_offset_ms);
    return MESHSYNC_OK;
}

meshsync_status meshsync_sim_clock_drift(meshsync_sim *sim, uint32_t node, int32_t ppm)
{
    struct msy_sim_node *found = msy_sim_node(sim, node);
    if (found == NULL || ppm < -1000000 || ppm > 1000000) {
        return MESHSYNC_E_INVALID;
    }
    found->clock_offset_ms = meshsync_sim_clock_offset(sim, node);
    found->drift_since_us = sim->now_us;
    sim->stats.drifts += ppm != 0 && found->drift_ppm == 0 ? 1 : 0;
    found->drift_ppm = ppm;
    return MESHSYNC_OK;
}

int64_t meshsync_sim_clock_offset(const meshsync_sim *sim, uint32_t node)
{
    const struct msy_sim_node *found = msy_sim_node(sim, node);
    if (found == NULL) {
        return 0;
    }
    int64_t since_ms = (int64_t)((sim->now_us - found->drift_since_us) / 1000);
    return found->clock_offset_ms + since_ms * found->drift_ppm / 1000000;
}
