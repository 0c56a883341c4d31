/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/cluster.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"

enum {
    SIM_TRACE_BYTES = 65536,
    SIM_LATENCY_US_MAX = 60000000,
    SIM_EVENTS_PER_RUN_MAX = 200000000,
    SIM_VERIFIED_SLOTS = 1 << 16
};

static const uint64_t sim_unix_ms = UINT64_C(1700000000000);

void meshsync_sim_options_init(meshsync_sim_options *options, size_t size)
{
    meshsync_sim_options defaults = {.size = size,
                                     .seed = 1,
                                     .nodes_count = 3,
                                     .latency_us_min = 100,
                                     .latency_us_max = 20000,
                                     .commit_us_max = 5000,
                                     .unix_ms = sim_unix_ms,
                                     .clock_ahead_ms_max = MSY_HLC_AHEAD_MS_MAX,
                                     .keepalive_ms = MSY_KEEPALIVE_MS};
    memset(options, 0, size);
    memcpy(options, &defaults, size < sizeof defaults ? size : sizeof defaults);
}

static meshsync_status sim_options_read(meshsync_sim_options *to, const meshsync_sim_options *from,
                                        meshsync_error *error)
{
    meshsync_sim_options_init(to, sizeof *to);
    if (from == NULL) {
        return MESHSYNC_OK;
    }
    if (from->size == 0 || from->size > sizeof *to) {
        return msy_fail(error, MESHSYNC_E_UNSUPPORTED, "options of %zu bytes", from->size);
    }
    memcpy(to, from, from->size);
    to->size = sizeof *to;
    if (to->nodes_count == 0 || to->nodes_count > MESHSYNC_SIM_NODES_MAX) {
        return msy_fail(error, MESHSYNC_E_INVALID, "nodes_count %llu is not 1 to %d",
                        (unsigned long long)to->nodes_count, MESHSYNC_SIM_NODES_MAX);
    }
    if (to->latency_us_min > to->latency_us_max || to->latency_us_max > SIM_LATENCY_US_MAX) {
        return msy_fail(error, MESHSYNC_E_INVALID, "latency %llu to %llu us",
                        (unsigned long long)to->latency_us_min,
                        (unsigned long long)to->latency_us_max);
    }
    return MESHSYNC_OK;
}

static meshsync_status sim_add_node(struct meshsync_sim *sim, meshsync_error *error)
{
    uint8_t seed[MSY_SIGN_SEED_BYTES];
    struct msy_store *store = NULL;
    struct msy_sim_node *node = NULL;
    msy_prng_fill(&sim->prng, seed, sizeof seed);
    meshsync_status status = msy_store_open_memory(&sim->alloc, &store, error);
    if (status == MESHSYNC_OK) {
        status = msy_sim_node_new(sim, seed, store, &node, error);
    }
    if (status == MESHSYNC_OK) {
        status = msy_sim_node_start(node, error);
    }
    return status;
}

meshsync_status meshsync_sim_new(const meshsync_sim_options *options, meshsync_sim **out,
                                 meshsync_error *error)
{
    meshsync_sim_options read;
    struct msy_alloc alloc;
    *out = NULL;
    meshsync_status status = sim_options_read(&read, options, error);
    if (status == MESHSYNC_OK) {
        status = msy_crypto_init();
    }
    if (status != MESHSYNC_OK) {
        return status;
    }
    msy_alloc_init(&alloc, NULL, NULL, 0);
    struct meshsync_sim *sim = msy_new(&alloc, sizeof *sim);
    if (sim == NULL) {
        return msy_fail(error, MESHSYNC_E_NO_MEMORY, "a simulation");
    }
    sim->alloc = alloc;
    sim->options = read;
    msy_prng_init(&sim->prng, read.seed);
    msy_prng_init(&sim->draws, ~read.seed);
    msy_sim_queue_init(&sim->queue, &sim->alloc);
    msy_buf_init(&sim->trace_bytes, &sim->alloc, 2 * SIM_TRACE_BYTES);
    for (uint32_t i = 0; i < MESHSYNC_SIM_NODES_MAX; i++) {
        for (uint32_t k = 0; k < MESHSYNC_SIM_NODES_MAX; k++) {
            sim->paths[i][k].latency_us_min = read.latency_us_min;
            sim->paths[i][k].latency_us_max = read.latency_us_max;
        }
    }
    sim->verified = msy_verified_new(&sim->alloc, SIM_VERIFIED_SLOTS); /* NULL: slower. */
    status = msy_sim_net_init(sim);
    for (uint64_t i = 0; i < read.nodes_count && status == MESHSYNC_OK; i++) {
        status = sim_add_node(sim, error);
    }
    if (status != MESHSYNC_OK) {
        meshsync_sim_free(sim);
        return status;
    }
    *out = sim;
    return MESHSYNC_OK;
}

void meshsync_sim_free(meshsync_sim *sim)
{
    if (sim == NULL) {
        return;
    }
    msy_sim_read_end(sim);
    for (uint32_t i = 0; i < sim->nodes_count; i++) {
        msy_sim_node_free(sim->nodes[i]);
    }
    msy_sim_net_fini(sim);
    msy_sim_queue_fini(&sim->queue);
    msy_verified_free(sim->verified);
    msy_buf_fini(&sim->trace_bytes);
    for (uint32_t i = 0; i < MESHSYNC_SIM_SPACES_MAX; i++) {
        msy_ticket_wipe(&sim->tickets[i]);
    }
    struct msy_alloc alloc = sim->alloc;
    msy_free(&alloc, sim, sizeof *sim);
}

/* --- the trace ----------------------------------------------------------------------------- */

static void sim_trace_fold(struct meshsync_sim *sim)
{
    meshsync_bytes parts[2] = {{sim->trace, sizeof sim->trace}, msy_buf_bytes(&sim->trace_bytes)};
    uint8_t folded[MSY_HASH_BYTES];
    msy_hash(folded, sizeof folded, parts, 2);
    memcpy(sim->trace, folded, sizeof sim->trace);
    msy_buf_reset(&sim->trace_bytes);
}

void msy_sim_trace_add(struct meshsync_sim *sim, uint32_t what, uint32_t node, const void *data,
                       size_t len)
{
    uint8_t head[20];
    msy_put_be32(head, what);
    msy_put_be32(head + 4, node);
    msy_put_be64(head + 8, sim->now_us);
    msy_put_be32(head + 16, (uint32_t)len);
    meshsync_status status = msy_buf_append(&sim->trace_bytes, head, sizeof head);
    const uint8_t *at = data;
    while (len > 0 && status == MESHSYNC_OK) {
        size_t n = len < SIM_TRACE_BYTES ? len : SIM_TRACE_BYTES;
        if (sim->trace_bytes.len >= SIM_TRACE_BYTES) {
            sim_trace_fold(sim);
        }
        status = msy_buf_append(&sim->trace_bytes, at, n);
        at += n;
        len -= n;
    }
    if (status != MESHSYNC_OK) {
        msy_sim_break(sim, status, "trace");
    }
    if (sim->trace_bytes.len >= SIM_TRACE_BYTES) {
        sim_trace_fold(sim);
    }
}

void meshsync_sim_trace(meshsync_sim *sim, uint8_t hash[MESHSYNC_DIGEST_BYTES])
{
    sim_trace_fold(sim);
    memcpy(hash, sim->trace, MESHSYNC_DIGEST_BYTES);
}

/* --- time ---------------------------------------------------------------------------------- */

void msy_sim_break(struct meshsync_sim *sim, meshsync_status status, const char *words)
{
    if (sim->failed == MESHSYNC_OK) {
        sim->failed = status;
        (void)snprintf(sim->failed_words, sizeof sim->failed_words, "%s", words);
    }
}

uint64_t msy_sim_between(struct meshsync_sim *sim, uint64_t min, uint64_t max)
{
    return max <= min ? min : min + msy_prng_below(&sim->prng, max - min + 1);
}

void msy_sim_at(struct meshsync_sim *sim, struct msy_sim_event *event, uint64_t delay_us)
{
    event->at_us = sim->now_us + delay_us;
    meshsync_status status = msy_sim_queue_push(&sim->queue, event);
    if (status != MESHSYNC_OK) {
        msy_sim_break(sim, status, "the queue of events");
    }
}

static void sim_second(struct msy_sim_node *node)
{
    struct msy_sim_event next = {.type = MSY_SIM_SECOND, .node = node->index, .life = node->life};
    struct msy_sim_work *work = msy_sim_work_new(node);
    if (work != NULL) {
        work->event.type = MSY_REPLICA_TICK;
        msy_sim_work_push(node, work);
    }
    msy_sim_at(node->sim, &next, 1000000);
}

static void sim_dispatch(struct meshsync_sim *sim, const struct msy_sim_event *event)
{
    struct msy_sim_node *node = sim->nodes[event->node];
    bool alive = node->up && node->life == event->life;
    switch (event->type) {
    case MSY_SIM_TIMER:
        if (alive) {
            msy_sim_node_timer(node, event->token);
        }
        return;
    case MSY_SIM_SECOND:
        if (alive) {
            sim_second(node);
        }
        return;
    case MSY_SIM_WRITER:
        if (alive) {
            msy_sim_writer_run(node);
        }
        return;
    case MSY_SIM_ANEW:
        if (alive) {
            msy_sim_node_anew(node);
        }
        return;
    case MSY_SIM_BACK:
        if (!node->up && node->life == event->life) {
            msy_sim_node_back(node);
        }
        return;
    case MSY_SIM_BEACON:
    case MSY_SIM_HEARD: msy_sim_net_on_beacon(sim, event); return;
    case MSY_SIM_CONNECT:
    case MSY_SIM_ANSWER:
    case MSY_SIM_FLOW:
    case MSY_SIM_BROKEN: msy_sim_net_event(sim, event); return;
    }
}

meshsync_status meshsync_sim_step(meshsync_sim *sim)
{
    struct msy_sim_event event;
    msy_sim_read_end(sim);
    if (sim->failed != MESHSYNC_OK) {
        return MESHSYNC_E_INTERNAL;
    }
    if (!msy_sim_queue_peek(&sim->queue, &event)) {
        return MESHSYNC_E_END;
    }
    msy_sim_queue_pop(&sim->queue);
    sim->now_us = event.at_us > sim->now_us ? event.at_us : sim->now_us;
    sim->stats.events += 1;
    sim_dispatch(sim, &event);
    return sim->failed != MESHSYNC_OK ? MESHSYNC_E_INTERNAL : MESHSYNC_OK;
}

meshsync_status meshsync_sim_run_for(meshsync_sim *sim, uint64_t ms)
{
    uint64_t until_us = sim->now_us + ms * 1000;
    struct msy_sim_event event;
    for (uint64_t i = 0; i < SIM_EVENTS_PER_RUN_MAX; i++) {
        if (!msy_sim_queue_peek(&sim->queue, &event) || event.at_us > until_us) {
            sim->now_us = until_us;
            return sim->failed != MESHSYNC_OK ? MESHSYNC_E_INTERNAL : MESHSYNC_OK;
        }
        meshsync_status status = meshsync_sim_step(sim);
        if (status != MESHSYNC_OK) {
            return status;
        }
    }
    msy_sim_break(sim, MESHSYNC_E_LIMIT, "events without end");
    return MESHSYNC_E_INTERNAL;
}

uint64_t meshsync_sim_now_us(const meshsync_sim *sim)
{
    return sim->now_us;
}

uint64_t meshsync_sim_draw(meshsync_sim *sim, uint64_t bound)
{
    return bound == 0 ? 0 : msy_prng_below(&sim->draws, bound);
}

/* --- nodes --------------------------------------------------------------------------------- */

struct msy_sim_node *msy_sim_node(const struct meshsync_sim *sim, uint32_t node)
{
    return node < sim->nodes_count ? sim->nodes[node] : NULL;
}

void msy_sim_hook(struct meshsync_sim *sim, const struct msy_sim_hooks *hooks)
{
    sim->hooks = *hooks;
}

uint32_t meshsync_sim_nodes_count(const meshsync_sim *sim)
{
    return sim->nodes_count;
}

int32_t meshsync_sim_node_is_up(const meshsync_sim *sim, uint32_t node)
{
    const struct msy_sim_node *found = msy_sim_node(sim, node);
    return found != NULL && found->up ? 1 : 0;
}

meshsync_status meshsync_sim_node_id(const meshsync_sim *sim, uint32_t node,
                                     uint8_t id[MESHSYNC_NODE_ID_BYTES])
{
    const struct msy_sim_node *found = msy_sim_node(sim, node);
    if (found == NULL) {
        return MESHSYNC_E_INVALID;
    }
    memcpy(id, msy_identity_public(found->identity), MESHSYNC_NODE_ID_BYTES);
    return MESHSYNC_OK;
}

meshsync_status meshsync_sim_node_add(meshsync_sim *sim, uint32_t *node, meshsync_error *error)
{
    *node = sim->nodes_count;
    meshsync_status status = sim_add_node(sim, error);
    sim->stats.nodes_added += status == MESHSYNC_OK ? 1 : 0;
    return status;
}

meshsync_status meshsync_sim_retire(meshsync_sim *sim, uint32_t node)
{
    struct msy_sim_node *found = msy_sim_node(sim, node);
    msy_sim_read_end(sim);
    if (found == NULL) {
        return MESHSYNC_E_INVALID;
    }
    sim->stats.nodes_retired += found->retired ? 0 : 1;
    found->retired = true;
    msy_sim_node_stop(found, false);
    return MESHSYNC_OK;
}

meshsync_status meshsync_sim_lan(meshsync_sim *sim, uint32_t node)
{
    struct msy_sim_node *found = msy_sim_node(sim, node);
    if (found == NULL) {
        return MESHSYNC_E_INVALID;
    }
    msy_sim_node_look(found);
    return MESHSYNC_OK;
}

meshsync_status meshsync_sim_dial(meshsync_sim *sim, meshsync_sim_pair pair)
{
    struct msy_sim_node *node = msy_sim_node(sim, pair.from);
    if (node == NULL || msy_sim_node(sim, pair.to) == NULL || pair.from == pair.to) {
        return MESHSYNC_E_INVALID;
    }
    return msy_sim_node_dial(node, pair.to);
}

static uint64_t sim_held(const struct meshsync_sim *sim)
{
    uint64_t held = 0;
    for (uint32_t i = 0; i < sim->nodes_count; i++) {
        struct msy_replica_stats stats;
        if (sim->nodes[i]->up) {
            msy_replica_get_stats(sim->nodes[i]->replica, &stats);
            held = stats.changes_held > held ? stats.changes_held : held;
        }
    }
    return held;
}

meshsync_status meshsync_sim_get_stats(meshsync_sim *sim, meshsync_sim_stats *stats)
{
    size_t size = stats->size;
    if (size == 0) {
        return MESHSYNC_E_INVALID;
    }
    uint64_t held = sim_held(sim);
    sim->stats.held = held > sim->stats.held ? held : sim->stats.held;
    memset(stats, 0, size);
    memcpy(stats, &sim->stats, size < sizeof sim->stats ? size : sizeof sim->stats);
    stats->size = size;
    return MESHSYNC_OK;
}
