/* SPDX-License-Identifier: Apache-2.0 */
/* One node of a simulation: opening, stopping and feeding its two machines. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "sim/cluster.h"
#include "store/history.h"

/* Waits after machines that had no memory (lib/shell/bounds.h, MSY_ANEW_MS_MIN and _MAX). */
enum { SIM_LINK_FIRST = 2, SIM_ANEW_US_MIN = 200000, SIM_ANEW_US_MAX = 30000000 };

void msy_sim_address(uint32_t node, uint32_t port, char *text, size_t text_len)
{
    (void)snprintf(text, text_len, "10.0.0.%u:%u", node + 1, port);
}

uint64_t msy_sim_node_unix_ms(const struct msy_sim_node *node)
{
    const struct meshsync_sim *sim = node->sim;
    int64_t now_ms = (int64_t)(sim->options.unix_ms + sim->now_us / 1000) +
                     meshsync_sim_clock_offset(sim, node->index);
    return now_ms < 0 ? 0 : (uint64_t)now_ms;
}

static void node_log(void *user, int32_t level, const char *component, const char *message)
{
    struct msy_sim_node *node = user;
    char text[MESHSYNC_ERROR_MESSAGE_BYTES_MAX + 64];
    char name[32];
    (void)snprintf(name, sizeof name, "node %u", node->index);
    (void)snprintf(text, sizeof text, "%llu.%06llu %s: %s",
                   (unsigned long long)(node->sim->now_us / 1000000),
                   (unsigned long long)(node->sim->now_us % 1000000), component, message);
    node->sim->options.log(node->sim->options.log_user, level, name, text);
}

meshsync_status msy_sim_node_new(struct meshsync_sim *sim, const uint8_t seed[MSY_SIGN_SEED_BYTES],
                                 struct msy_store *store, struct msy_sim_node **out,
                                 meshsync_error *error)
{
    struct msy_sim_node *node = NULL;
    meshsync_status status = MESHSYNC_OK;
    if (sim->nodes_count == MESHSYNC_SIM_NODES_MAX) {
        status = msy_fail(error, MESHSYNC_E_LIMIT, "there are %d nodes", MESHSYNC_SIM_NODES_MAX);
        goto out;
    }
    node = msy_new(&sim->alloc, sizeof *node);
    if (node == NULL) {
        status = msy_fail(error, MESHSYNC_E_NO_MEMORY, "a node");
        goto out;
    }
    node->sim = sim;
    node->index = sim->nodes_count;
    node->timer_at_ms = UINT64_MAX;
    memcpy(node->seed, seed, sizeof node->seed);
    msy_prng_init(&node->prng, msy_prng_next(&sim->prng));
    msy_alloc_init(&node->memory, NULL, NULL, 0);
    msy_replica_effects_init(&node->replica_effects, &node->memory);
    msy_mesh_effects_init(&node->mesh_effects, &node->memory);
    status = msy_identity_new(node->seed, &node->identity, error);
    if (status != MESHSYNC_OK) {
        msy_free(&sim->alloc, node, sizeof *node);
        goto out;
    }
    node->store = store;
    sim->nodes[sim->nodes_count++] = node;
    *out = node;
    return MESHSYNC_OK;

out:
    msy_store_close(store);
    return status;
}

void msy_sim_node_free(struct msy_sim_node *node)
{
    struct msy_alloc *alloc = &node->sim->alloc;
    while (node->work_first != NULL) {
        struct msy_sim_work *work = node->work_first;
        node->work_first = work->next;
        msy_sim_work_free(node, work);
    }
    msy_mesh_close(node->mesh);
    msy_replica_close(node->replica);
    msy_store_close(node->store);
    msy_store_close(node->backup);
    msy_identity_free(node->identity);
    msy_replica_effects_fini(&node->replica_effects);
    msy_mesh_effects_fini(&node->mesh_effects);
    msy_wipe(node->seed, sizeof node->seed);
    msy_wipe(node->backup_seed, sizeof node->backup_seed);
    msy_free(alloc, node, sizeof *node);
}

/* --- what the mesh machine asks --------------------------------------------------------------- */

static meshsync_status port_is_member(void *user, struct msy_store_txn *txn, uint32_t space,
                                      const uint8_t device[32], bool *has)
{
    return msy_members_has(txn, space, device, user, has);
}

static meshsync_status port_may_join(void *user, struct msy_store_txn *txn, uint32_t space,
                                     const struct msy_join_claim *claim, bool *may)
{
    return msy_members_may_join(txn, space, claim, user, may);
}

static meshsync_status port_digest(void *user, struct msy_store_txn *txn, uint32_t space,
                                   uint8_t digest[32])
{
    meshsync_digest whole = {.size = sizeof whole};
    (void)user;
    meshsync_status status = msy_space_digest(txn, space, &whole);
    memcpy(digest, whole.digest, 32);
    return status;
}

/* --- starting and stopping ------------------------------------------------------------------ */

void msy_sim_node_set_space(struct msy_sim_node *node, uint32_t number)
{
    node->spaces[node->sim->chosen] = number;
    node->space = number;
}

meshsync_status msy_sim_node_find_spaces(struct msy_sim_node *node)
{
    const struct meshsync_sim *sim = node->sim;
    struct msy_space_row_descriptor row;
    struct msy_store_txn *txn = NULL;
    uint32_t space = 0;
    memset(node->spaces, 0, sizeof node->spaces);
    meshsync_status status = msy_store_begin(node->store, MSY_TXN_READ, &txn);
    while (status == MESHSYNC_OK) {
        status = msy_history_next_space(txn, &space, &row);
        for (uint32_t i = 0; i < MESHSYNC_SIM_SPACES_MAX && status == MESHSYNC_OK; i++) {
            bool same = memcmp(sim->tickets[i].space, row.id, sizeof row.id) == 0;
            node->spaces[i] = sim->has_space[i] && same && !row.left ? space : node->spaces[i];
        }
    }
    node->space = node->spaces[sim->chosen];
    msy_store_abort(txn);
    return status == MESHSYNC_E_END ? MESHSYNC_OK : status;
}

/* Simulated meshes are small: half of their nodes compare vectors by sketches all the same. */
static uint32_t node_sketches(const struct msy_sim_node *node)
{
    enum { NODE_SKETCH_TIPS = 2 };
    return node->index % 2 == 0 ? NODE_SKETCH_TIPS : 0;
}

static meshsync_status node_open(struct msy_sim_node *node, meshsync_error *error)
{
    struct meshsync_sim *sim = node->sim;
    struct msy_replica_options replica = {.alloc = &node->memory,
                                          .store = node->store,
                                          .identity = node->identity,
                                          .entropy = msy_prng_entropy(&node->prng),
                                          .clock_ahead_ms_max = sim->options.clock_ahead_ms_max,
                                          .verified = sim->verified};
    struct msy_mesh_options mesh = {.alloc = &node->memory,
                                    .store = node->store,
                                    .identity = node->identity,
                                    .entropy = msy_prng_entropy(&node->prng),
                                    .ports = {.is_member = port_is_member,
                                              .may_join = port_may_join,
                                              .digest = port_digest,
                                              .user = sim->verified},
                                    .verified = sim->verified,
                                    .keepalive_ms = sim->options.keepalive_ms,
                                    .offer = {.version_min = node->protocol.version_min,
                                              .version_max = node->protocol.version_max,
                                              .features = node->protocol.features,
                                              .lacks = node->protocol.lacks,
                                              .sketch_tips_min = node_sketches(node),
                                              .unknown = node->protocol.unknown != 0},
                                    .clock_ahead_ms_max = sim->options.clock_ahead_ms_max,
                                    .retry_ms_max = MSY_DIAL_BACKOFF_MS_MAX};
    if (sim->options.log != NULL) {
        node->log.fn = node_log;
        node->log.user = node;
        node->log.level_max = MESHSYNC_LOG_DEBUG;
        replica.log = &node->log;
        mesh.log = &node->log;
    }
    meshsync_status status =
        msy_replica_open(&replica, msy_sim_node_unix_ms(node), &node->replica, error);
    if (status == MESHSYNC_OK) {
        status = msy_mesh_open(&mesh, sim->now_us / 1000, &node->mesh, error);
    }
    if (status == MESHSYNC_OK) {
        status = msy_sim_node_find_spaces(node);
    }
    return status;
}

static void node_tell_dial(struct msy_sim_node *node, uint32_t to)
{
    char address[MESHSYNC_ADDRESS_BYTES_MAX];
    struct msy_mesh_event event = {.type = MSY_MESH_PEER_ADD, .text = address};
    msy_sim_address(to, MSY_SIM_PORT, address, sizeof address);
    msy_sim_node_mesh(node, &event);
}

static void node_tell_lan(struct msy_sim_node *node)
{
    struct msy_mesh_event event = {.type = MSY_MESH_LAN};
    msy_sim_node_mesh(node, &event);
}

void msy_sim_node_look(struct msy_sim_node *node)
{
    bool looked = node->on_lan;
    node->on_lan = true;
    if (node->up && !looked) {
        node_tell_lan(node);
    }
}

meshsync_status msy_sim_node_start(struct msy_sim_node *node, meshsync_error *error)
{
    char address[MESHSYNC_ADDRESS_BYTES_MAX];
    struct msy_mesh_event listening = {.type = MSY_MESH_LISTENING, .text = address};
    struct msy_sim_event second = {.type = MSY_SIM_SECOND, .node = node->index};
    node->powered = true;
    meshsync_status status = node_open(node, error);
    if (status != MESHSYNC_OK) {
        msy_mesh_close(node->mesh);
        msy_replica_close(node->replica);
        node->mesh = NULL;
        node->replica = NULL;
        (void)msy_sim_writer_died(node);
        return status;
    }
    node->life += 1;
    node->up = true;
    node->link_next = SIM_LINK_FIRST;
    node->timer_at_ms = UINT64_MAX;
    node->writer_due = false;
    node->crash_armed = false;
    node->anew_due = false;
    node->sim->stats.strangers += node->protocol.size != 0 ? 1 : 0;
    msy_sim_trace_add(node->sim, 'U', node->index, NULL, 0);
    second.life = node->life;
    msy_sim_at(node->sim, &second, msy_sim_between(node->sim, 0, 1000000));
    msy_sim_address(node->index, MSY_SIM_PORT, address, sizeof address);
    msy_sim_node_mesh(node, &listening);
    for (uint32_t i = 0; i < node->dials_count && node->up; i++) {
        node_tell_dial(node, node->dials[i]);
    }
    if (node->on_lan && node->up) {
        node_tell_lan(node);
    }
    return MESHSYNC_OK;
}

void msy_sim_node_stop(struct msy_sim_node *node, bool told)
{
    if (!node->up) {
        return;
    }
    node->up = false;
    node->life += 1;
    node->powered = told;
    node->crash_armed = false;
    msy_store_memory_fail_at(node->store, 0);
    msy_sim_trace_add(node->sim, 'D', node->index, NULL, 0);
    msy_mesh_close(node->mesh);
    msy_replica_close(node->replica);
    node->mesh = NULL;
    node->replica = NULL;
    msy_sim_net_drop_node(node, told);
    msy_sim_writer_cancel(node);
}

meshsync_status msy_sim_node_dial(struct msy_sim_node *node, uint32_t to)
{
    for (uint32_t i = 0; i < node->dials_count; i++) {
        if (node->dials[i] == to) {
            return MESHSYNC_OK;
        }
    }
    if (node->dials_count == MSY_SIM_DIALS_MAX) {
        return MESHSYNC_E_LIMIT;
    }
    node->dials[node->dials_count++] = to;
    if (node->up) {
        node_tell_dial(node, to);
    }
    return MESHSYNC_OK;
}

/* --- the mesh machine ------------------------------------------------------------------------ */

static void node_wake_at(struct msy_sim_node *node, uint64_t at_ms)
{
    struct msy_sim_event event = {.type = MSY_SIM_TIMER, .node = node->index, .life = node->life};
    if (at_ms == UINT64_MAX || at_ms == node->timer_at_ms) {
        return;
    }
    uint64_t now_ms = node->sim->now_us / 1000;
    uint64_t wait_ms = at_ms > now_ms ? at_ms - now_ms : 0;
    node->timer_at_ms = at_ms;
    node->timer_token += 1;
    event.token = node->timer_token;
    /* Timers of a real loop fire a little late, and never in the same instant again. */
    msy_sim_at(node->sim, &event, wait_ms * 1000 + msy_sim_between(node->sim, 1, 999));
}

static void node_submit(struct msy_sim_node *node, const struct msy_mesh_effect *effect)
{
    struct msy_sim_work *work = msy_sim_work_new(node);
    if (work == NULL) {
        return;
    }
    meshsync_status status = msy_buf_append(&work->bytes, effect->bytes.data, effect->bytes.len);
    if (status != MESHSYNC_OK) {
        msy_sim_work_free(node, work);
        msy_sim_break(node->sim, status, "copying received changes");
        return;
    }
    work->event.type = MSY_REPLICA_CHANGES;
    work->event.space = effect->space;
    work->event.bytes = msy_buf_bytes(&work->bytes);
    work->submit = effect->id;
    msy_sim_work_push(node, work);
}

static void node_alarm(struct msy_sim_node *node, const char *words)
{
    node->alarms += 1;
    node->sim->stats.alarms += 1;
    msy_sim_trace_add(node->sim, 'A', node->index, words, strlen(words));
    if (node->sim->hooks.alarm != NULL) {
        node->sim->hooks.alarm(node->sim->hooks.user, node->index, words);
    }
}

/* Not within the step that asked for it. */
static void node_beacon_due(struct msy_sim_node *node)
{
    struct msy_sim_event event = {.type = MSY_SIM_BEACON, .node = node->index, .life = node->life};
    msy_sim_at(node->sim, &event, 1);
}

static void node_perform(struct msy_sim_node *node, const struct msy_mesh_effect *effect)
{
    uint8_t head[12];
    msy_put_be32(head, (uint32_t)effect->type);
    msy_put_be32(head + 4, effect->link);
    msy_put_be32(head + 8, (uint32_t)effect->status);
    msy_sim_trace_add(node->sim, 'E', node->index, head, sizeof head);
    switch (effect->type) {
    case MSY_MESH_BEACON_DUE: node_beacon_due(node); return;
    case MSY_MESH_BEACON: msy_sim_net_beacon(node, effect->bytes); return;
    case MSY_MESH_DIAL: msy_sim_net_dial(node, effect->link, effect->text); return;
    case MSY_MESH_SEND:
        msy_sim_trace_add(node->sim, 'S', node->index, effect->bytes.data, effect->bytes.len);
        msy_sim_net_send(node, effect->link, effect->bytes);
        return;
    case MSY_MESH_CLOSE: msy_sim_net_close(node, effect->link); return;
    case MSY_MESH_SUBMIT: node_submit(node, effect); return;
    case MSY_MESH_ALARM: node_alarm(node, effect->text != NULL ? effect->text : ""); return;
    case MSY_MESH_PEER:
    case MSY_MESH_SYNCED:
    case MSY_MESH_HELD: return; /* Notices to the application. */
    }
}

void msy_sim_node_mesh(struct msy_sim_node *node, struct msy_mesh_event *event)
{
    uint64_t timer_at_ms = UINT64_MAX;
    event->now_ms = node->sim->now_us / 1000;
    event->unix_ms = msy_sim_node_unix_ms(node);
    meshsync_status status = msy_mesh_step(node->mesh, event, &node->mesh_effects, &timer_at_ms);
    if (status == MESHSYNC_E_INTERNAL) {
        msy_sim_break(node->sim, status, "the mesh machine");
    }
    if (status == MESHSYNC_E_NO_MEMORY && !node->anew_due) {
        struct msy_sim_event anew = {.type = MSY_SIM_ANEW, .node = node->index, .life = node->life};
        node->anew_due = true;
        node->sim->stats.memory_out += 1;
        msy_sim_at(node->sim, &anew, 1);
    }
    for (uint32_t i = 0; i < node->mesh_effects.count; i++) {
        node_perform(node, &node->mesh_effects.items[i]);
    }
    msy_mesh_effects_reset(&node->mesh_effects);
    node_wake_at(node, timer_at_ms);
}

/* It waits as the library does (msy_network_restart): who has no memory for its sessions would
 * dial all its peers again and again. */
static void node_wait_for_memory(struct msy_sim_node *node)
{
    uint64_t now_us = node->sim->now_us;
    bool soon = node->anew_at_us != 0 && now_us - node->anew_at_us < SIM_ANEW_US_MAX;
    uint64_t wait_us = node->anew_wait_us == 0 ? SIM_ANEW_US_MIN : node->anew_wait_us * 2;
    struct msy_sim_event back = {.type = MSY_SIM_BACK, .node = node->index, .life = node->life};
    wait_us = wait_us < SIM_ANEW_US_MAX ? wait_us : SIM_ANEW_US_MAX;
    node->anew_wait_us = soon ? wait_us : 0;
    node->anew_at_us = now_us;
    msy_sim_at(node->sim, &back, node->anew_wait_us + 1);
}

void msy_sim_node_anew(struct msy_sim_node *node)
{
    struct msy_mesh_stats stats = {0};
    if (node->mesh != NULL) {
        msy_mesh_get_stats(node->mesh, &stats);
    }
    node->anew_wait_us = stats.changes_in + stats.changes_out != 0 ? 0 : node->anew_wait_us;
    msy_sim_node_stop(node, true);
    node_wait_for_memory(node);
}

void msy_sim_node_back(struct msy_sim_node *node)
{
    meshsync_error error = {0};
    meshsync_status status = msy_sim_node_start(node, &error);
    if (status == MESHSYNC_E_NO_MEMORY) {
        node->sim->stats.memory_out += 1;
        node_wait_for_memory(node);
    } else if (status != MESHSYNC_OK && status != MESHSYNC_E_STORE_FULL &&
               status != MESHSYNC_E_IO) {
        msy_sim_break(node->sim, status, error.message);
    }
}

void msy_sim_node_timer(struct msy_sim_node *node, uint64_t token)
{
    struct msy_mesh_event event = {.type = MSY_MESH_TICK};
    if (token != node->timer_token) {
        return; /* It was moved since. */
    }
    node->timer_at_ms = UINT64_MAX;
    msy_sim_node_mesh(node, &event);
}
