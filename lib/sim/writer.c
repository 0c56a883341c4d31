/* SPDX-License-Identifier: Apache-2.0 */
/* The writer of a node: takes what waits into one commit of the replica machine, then tells. */
#include <string.h>

#include "base/error.h"
#include "sim/cluster.h"

struct msy_sim_work *msy_sim_work_new(struct msy_sim_node *node)
{
    struct msy_alloc *alloc = &node->sim->alloc;
    struct msy_sim_work *work = msy_new(alloc, sizeof *work);
    if (work == NULL) {
        msy_sim_break(node->sim, MESHSYNC_E_NO_MEMORY, "work for a writer");
        return NULL;
    }
    msy_buf_init(&work->bytes, alloc, SIZE_MAX / 2);
    msy_request_init(&work->request, alloc);
    return work;
}

void msy_sim_work_free(struct msy_sim_node *node, struct msy_sim_work *work)
{
    msy_buf_fini(&work->bytes);
    msy_request_fini(&work->request);
    msy_free(&node->sim->alloc, work, sizeof *work);
}

static void writer_arrange(struct msy_sim_node *node)
{
    struct msy_sim_event event = {.type = MSY_SIM_WRITER, .node = node->index, .life = node->life};
    if (node->writer_due || node->work_first == NULL) {
        return;
    }
    node->writer_due = true;
    uint64_t us_max =
        node->commit_us_max != 0 ? node->commit_us_max : node->sim->options.commit_us_max;
    msy_sim_at(node->sim, &event, msy_sim_between(node->sim, 1, us_max));
}

void msy_sim_work_push(struct msy_sim_node *node, struct msy_sim_work *work)
{
    if (node->work_count >= MSY_SIM_WORK_MAX) {
        msy_sim_break(node->sim, MESHSYNC_E_LIMIT, "a writer that is given too much");
    }
    work->event.id = ++node->id_next;
    work->next = NULL;
    if (node->work_last != NULL) {
        node->work_last->next = work;
    } else {
        node->work_first = work;
    }
    node->work_last = work;
    node->work_count += 1;
    writer_arrange(node);
}

static struct msy_sim_work *writer_take(struct msy_sim_node *node)
{
    struct msy_sim_work *work = node->work_first;
    node->work_first = work->next;
    if (node->work_first == NULL) {
        node->work_last = NULL;
    }
    node->work_count -= 1;
    return work;
}

static void writer_answer(struct msy_sim_node *node, struct msy_sim_work *work,
                          meshsync_status status, const struct msy_tip *tip)
{
    meshsync_token token = {0};
    if (status != MESHSYNC_OK) {
        node->sim->stats.commits_refused += status != MESHSYNC_E_CANCELLED ? 1 : 0;
        node->sim->stats.commits_unknown += status == MESHSYNC_E_CANCELLED ? 1 : 0;
    } else if (tip != NULL && tip->seq != 0) {
        status = msy_token_make(tip, 1, &token);
    }
    if (work->callback != NULL) {
        work->callback(work->user, status, &token);
    }
}

void msy_sim_writer_cancel(struct msy_sim_node *node)
{
    /* A callback may hand over more work for other nodes, never for this one: it is down. */
    while (node->work_first != NULL) {
        struct msy_sim_work *work = writer_take(node);
        if (work->event.type == MSY_REPLICA_COMMIT) {
            writer_answer(node, work, MESHSYNC_E_CANCELLED, NULL);
        }
        msy_sim_work_free(node, work);
    }
}

/* --- effects --------------------------------------------------------------------------------- */

static void writer_trace(struct msy_sim_node *node, const struct msy_replica_effect *effect)
{
    uint8_t head[40];
    msy_put_be32(head, (uint32_t)effect->type);
    msy_put_be32(head + 4, (uint32_t)effect->status);
    msy_put_be64(head + 8, effect->lsn_first);
    msy_put_be64(head + 16, effect->lsn_last);
    msy_put_be32(head + 24, effect->accepted);
    msy_put_be32(head + 28, effect->duplicate);
    msy_put_be32(head + 32, effect->pending);
    msy_put_be32(head + 36, effect->rejected);
    msy_sim_trace_add(node->sim, 'R', node->index, head, sizeof head);
    msy_sim_trace_add(node->sim, 'T', node->index, effect->tip.hash, sizeof effect->tip.hash);
}

static void writer_received(struct msy_sim_node *node, const struct msy_replica_effect *effect,
                            const struct msy_sim_work *work)
{
    meshsync_sim_stats *stats = &node->sim->stats;
    stats->changes_in += effect->accepted;
    stats->duplicates += effect->duplicate;
    stats->pending += effect->pending;
    stats->rejected += effect->rejected;
    if (work != NULL) {
        struct msy_mesh_event event = {.type = MSY_MESH_RECEIVED,
                                       .id = work->submit,
                                       .status = effect->status,
                                       .accepted_count = effect->accepted,
                                       .duplicate_count = effect->duplicate,
                                       .rejected_count = effect->rejected};
        msy_sim_node_mesh(node, &event);
    }
}

static void writer_perform(struct msy_sim_node *node, const struct msy_replica_effect *effect,
                           struct msy_sim_work *work)
{
    struct meshsync_sim *sim = node->sim;
    struct msy_mesh_event event = {.space = effect->space,
                                   .tip = effect->tip,
                                   .lsn_first = effect->lsn_first,
                                   .lsn_last = effect->lsn_last};
    writer_trace(node, effect);
    switch (effect->type) {
    case MSY_REPLICA_DONE:
        if (work != NULL) {
            writer_answer(node, work, effect->status, &effect->tip);
        }
        return;
    case MSY_REPLICA_QUEUED: return; /* Nobody in a simulation asks for it. */
    case MSY_REPLICA_RECEIVED: writer_received(node, effect, work); return;
    case MSY_REPLICA_COMMITTED:
        if (sim->hooks.committed != NULL) {
            sim->hooks.committed(sim->hooks.user, node->index, effect->lsn_first, effect->lsn_last);
        }
        event.type = MSY_MESH_COMMITTED;
        break;
    case MSY_REPLICA_SPACES: event.type = MSY_MESH_SPACES; break;
    case MSY_REPLICA_MISSING:
        sim->stats.missing += 1;
        event.type = MSY_MESH_MISSING;
        break;
    case MSY_REPLICA_ALARM:
        node->alarms += 1;
        sim->stats.alarms += 1;
        if (sim->hooks.alarm != NULL) {
            sim->hooks.alarm(sim->hooks.user, node->index, effect->error.message);
        }
        return;
    }
    msy_sim_node_mesh(node, &event);
}

/* Performs the effects of a commit. batch: the works by event, may be NULL. */
static void writer_tell(struct msy_sim_node *node, struct msy_sim_work **batch, uint32_t count)
{
    uint32_t life = node->life;
    for (uint32_t i = 0; i < node->replica_effects.count && node->life == life; i++) {
        const struct msy_replica_effect *effect = &node->replica_effects.items[i];
        struct msy_sim_work *work = NULL;
        bool answer = effect->type == MSY_REPLICA_DONE || effect->type == MSY_REPLICA_RECEIVED;
        for (uint32_t k = 0; answer && k < count; k++) {
            work = batch[k] != NULL && batch[k]->event.id == effect->id ? batch[k] : work;
        }
        writer_perform(node, effect, work);
        for (uint32_t k = 0; work != NULL && k < count; k++) {
            if (batch[k] == work) {
                msy_sim_work_free(node, work);
                batch[k] = NULL;
            }
        }
    }
}

static bool writer_may_fail(meshsync_status status)
{
    return status == MESHSYNC_E_STORE_FULL || status == MESHSYNC_E_IO ||
           status == MESHSYNC_E_NO_MEMORY;
}

/* The store could not commit: whoever waits is told, and the node begins again from what is
 * durable, as a process would that hung up on its peers. */
static void writer_failed(struct msy_sim_node *node, struct msy_sim_work **batch, uint32_t count,
                          meshsync_status status)
{
    struct meshsync_sim *sim = node->sim;
    meshsync_error error = {0};
    sim->stats.store_full += status == MESHSYNC_E_STORE_FULL ? 1 : 0;
    sim->stats.store_io += status == MESHSYNC_E_IO ? 1 : 0;
    sim->stats.memory_out += status == MESHSYNC_E_NO_MEMORY ? 1 : 0;
    if (!writer_may_fail(status)) {
        msy_sim_break(sim, status, "a batch failed");
    }
    for (uint32_t i = 0; i < count; i++) {
        if (batch[i]->event.type == MSY_REPLICA_COMMIT) {
            writer_answer(node, batch[i], status, NULL);
        }
        msy_sim_work_free(node, batch[i]);
        batch[i] = NULL;
    }
    msy_sim_node_stop(node, true);
    status = msy_sim_node_start(node, &error);
    if (writer_may_fail(status)) {
        return; /* It stays down until somebody starts it again. */
    }
    if (status != MESHSYNC_OK) {
        msy_sim_break(sim, status, error.message);
    }
}

/* What the mesh machine knows of the peers' clocks, as the writer thread of a node would see it. */
static meshsync_status writer_step(struct msy_sim_node *node,
                                   const struct msy_replica_event *events, uint32_t count)
{
    uint64_t unix_ms = msy_sim_node_unix_ms(node);
    struct msy_wall wall;
    msy_mesh_get_wall(node->mesh, &wall);
    struct msy_wall_time time = msy_wall_time(&wall, unix_ms, node->sim->now_us / 1000);
    msy_replica_set_time(node->replica, time.at_least_ms, time.at_most_ms);
    return msy_replica_step(node->replica, events, count, unix_ms, NULL, NULL,
                            &node->replica_effects);
}

bool msy_sim_writer_died(struct msy_sim_node *node)
{
    bool died = msy_store_memory_failed(node->store);
    node->sim->stats.crashes += died ? 1 : 0;
    node->sim->stats.crashes_at += died ? 1 : 0;
    msy_store_memory_fail_at(node->store, 0);
    return died;
}

static void writer_crash(struct msy_sim_node *node, struct msy_sim_work **batch, uint32_t count)
{
    if (node->crash_armed) {
        bool after = node->crash_kind == MESHSYNC_SIM_KILL_AFTER;
        node->sim->stats.crashes += 1;
        node->sim->stats.crashes_after += after ? 1 : 0;
        node->sim->stats.crashes_before += after ? 0 : 1;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (batch[i]->event.type == MSY_REPLICA_COMMIT) {
            writer_answer(node, batch[i], MESHSYNC_E_CANCELLED, NULL);
        }
        msy_sim_work_free(node, batch[i]);
        batch[i] = NULL;
    }
    msy_sim_node_stop(node, true);
}

void msy_sim_writer_run(struct msy_sim_node *node)
{
    struct msy_sim_work *batch[MSY_SIM_BATCH_MAX] = {NULL};
    struct msy_replica_event events[MSY_SIM_BATCH_MAX];
    uint32_t life = node->life;
    uint32_t count = 0;
    node->writer_due = false;
    while (node->work_first != NULL && count < MSY_SIM_BATCH_MAX) {
        batch[count] = writer_take(node);
        events[count] = batch[count]->event;
        count += 1;
    }
    if (node->crash_armed && node->crash_kind == MESHSYNC_SIM_KILL_BEFORE) {
        writer_crash(node, batch, count);
        return;
    }
    meshsync_status status = writer_step(node, events, count);
    if (status != MESHSYNC_OK && msy_store_memory_failed(node->store)) {
        node->crash_armed = false;
        (void)msy_sim_writer_died(node);
        writer_crash(node, batch, count);
        return;
    }
    if (status != MESHSYNC_OK) {
        writer_failed(node, batch, count, status);
        return;
    }
    node->sim->stats.commits += 1;
    node->sim->stats.slow_commits += node->commit_us_max != 0 ? 1 : 0;
    if (node->crash_armed) {
        writer_crash(node, batch, count);
        return;
    }
    writer_tell(node, batch, count);
    for (uint32_t i = 0; i < count; i++) {
        if (batch[i] != NULL) {
            msy_sim_work_free(node, batch[i]); /* A tick has no answer. */
        }
    }
    if (node->life == life) {
        writer_arrange(node);
    }
}

meshsync_status msy_sim_writer_now(struct msy_sim_node *node, struct msy_replica_event *event,
                                   uint32_t *space, meshsync_error *error)
{
    meshsync_status status = MESHSYNC_OK;
    event->id = ++node->id_next;
    status = writer_step(node, event, 1);
    if (status != MESHSYNC_OK) {
        if (msy_sim_writer_died(node)) {
            msy_sim_node_stop(node, true);
        } else {
            writer_failed(node, NULL, 0, status);
        }
        return msy_fail(error, status, "the store of node %u", node->index);
    }
    node->sim->stats.commits += 1;
    for (uint32_t i = 0; i < node->replica_effects.count; i++) {
        const struct msy_replica_effect *effect = &node->replica_effects.items[i];
        if (effect->type == MSY_REPLICA_DONE && effect->id == event->id) {
            status = effect->status;
            if (status != MESHSYNC_OK && error != NULL) {
                *error = effect->error;
            }
            if (space != NULL && status == MESHSYNC_OK) {
                *space = effect->space;
            }
        }
    }
    writer_tell(node, NULL, 0);
    return status;
}
