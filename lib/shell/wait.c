/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting: asynchronous commits for their k peers, and callers for versions and news. */
#include "shell/wait.h"

#include <time.h>

#include "shell/clock.h"

/* ---- Asynchronous commits, on the loop's thread ---- */

static void wait_end(struct msy_network *net, struct msy_work *work, meshsync_status status)
{
    (void)pthread_mutex_lock(&net->lock);
    net->waits_count -= 1;
    (void)pthread_mutex_unlock(&net->lock);
    net->in_callback = true;
    msy_work_answer(work, status, &work->tip, work->event.space, NULL);
    net->in_callback = false;
    work->release(work);
}

void msy_network_check_waits(struct msy_network *net)
{
    uint64_t now_ms = msy_clock_mono_ms();
    struct msy_work *work = net->waits;
    net->waits = NULL; /* A callback may commit anew: that comes through the inbox. */
    net->waits_due = false;
    net->waits_at_ms = UINT64_MAX;
    while (work != NULL) {
        struct msy_work *next = work->next;
        uint32_t count = 0;
        meshsync_status status = msy_network_holders(net, work->event.space, &work->tip, &count);
        if (status == MESHSYNC_OK && count >= (uint32_t)work->ack) {
            wait_end(net, work, MESHSYNC_OK);
        } else if (now_ms >= work->deadline_ms) {
            wait_end(net, work, MESHSYNC_E_TIMEOUT);
        } else {
            net->waits_at_ms =
                work->deadline_ms < net->waits_at_ms ? work->deadline_ms : net->waits_at_ms;
            work->next = net->waits;
            net->waits = work;
        }
        work = next;
    }
}

void msy_network_cancel_waits(struct msy_network *net)
{
    struct msy_work *work = net->waits;
    net->waits = NULL;
    while (work != NULL) {
        struct msy_work *next = work->next;
        wait_end(net, work, MESHSYNC_E_CANCELLED);
        work = next;
    }
}

/* ---- Callers ---- */

meshsync_status msy_wait_news(meshsync_node *node, uint64_t version, uint64_t deadline_ms)
{
    if (!node->read_only) {
        return msy_board_wait(&node->board, version, deadline_ms);
    }
    uint64_t now_ms = msy_clock_mono_ms();
    uint64_t left_ms = deadline_ms > now_ms ? deadline_ms - now_ms : 0;
    uint64_t pause_ms = left_ms < MSY_READER_POLL_MS ? left_ms : MSY_READER_POLL_MS;
    const struct timespec pause = {.tv_nsec = (long)pause_ms * 1000000};
    if (left_ms == 0) {
        return MESHSYNC_E_TIMEOUT;
    }
    (void)nanosleep(&pause, NULL); /* A signal only makes it shorter. */
    return msy_board_closing(&node->board) ? MESHSYNC_E_CANCELLED : MESHSYNC_OK;
}

meshsync_status msy_wait_heads(meshsync_space *space, struct msy_vector *heads,
                               meshsync_error *error)
{
    struct msy_store_txn *txn = NULL;
    meshsync_status status = msy_node_begin_read(space->node, &txn, error);
    if (status != MESHSYNC_OK) {
        return status;
    }
    status = msy_history_heads(txn, space->number, heads);
    msy_node_end_read(txn);
    return status == MESHSYNC_OK ? MESHSYNC_OK
                                 : msy_fail(error, status, "the heads of \"%s\": %s", space->name,
                                            meshsync_strerror(status));
}

/* Are all tips in what was accepted here? */
static meshsync_status wait_here(meshsync_space *space, const struct msy_tip *tips, uint32_t count,
                                 bool *here, meshsync_error *error)
{
    struct msy_store_txn *txn = NULL;
    struct msy_vector own;
    *here = false;
    meshsync_status status = msy_node_begin_read(space->node, &txn, error);
    if (status != MESHSYNC_OK) {
        return status;
    }
    msy_vector_init(&own, &space->node->alloc);
    status = msy_history_vector(txn, space->number, &own);
    *here = status == MESHSYNC_OK;
    for (uint32_t i = 0; i < count && status == MESHSYNC_OK && *here; i++) {
        status = msy_history_covers(txn, space->number, &own, &tips[i].actor, tips[i].seq, here);
    }
    msy_vector_fini(&own);
    msy_node_end_read(txn);
    return status == MESHSYNC_OK ? MESHSYNC_OK
                                 : msy_fail(error, status, "the versions of \"%s\": %s",
                                            space->name, meshsync_strerror(status));
}

static meshsync_status wait_held(meshsync_space *space, const struct msy_tip *tips, uint32_t count,
                                 uint32_t k, bool *held)
{
    meshsync_status status = MESHSYNC_OK;
    *held = true;
    for (uint32_t i = 0; i < count && k > 0 && *held && status == MESHSYNC_OK; i++) {
        uint32_t holders = 0;
        status = msy_network_holders(&space->node->network, space->number, &tips[i], &holders);
        *held = holders >= k;
    }
    /* Between two machines of the network there is none for a moment: nobody holds anything. */
    return status == MESHSYNC_E_UNREACHABLE ? MESHSYNC_OK : status;
}

static meshsync_status wait_loop(meshsync_space *space, const struct msy_tip *tips, uint32_t count,
                                 uint32_t k, uint64_t deadline_ms, meshsync_error *error)
{
    meshsync_node *node = space->node;
    bool here = false;
    bool held = false;
    for (;;) {
        uint64_t version = msy_board_version(&node->board);
        meshsync_status status = MESHSYNC_OK;
        if (!here) {
            status = wait_here(space, tips, count, &here, error);
        }
        if (status == MESHSYNC_OK && here) {
            status = wait_held(space, tips, count, k, &held);
        }
        if (status != MESHSYNC_OK || (here && held)) {
            return status;
        }
        status = msy_wait_news(node, version, deadline_ms);
        if (status == MESHSYNC_E_TIMEOUT) {
            return msy_fail(error, status,
                            here ? "fewer than %u peers said in time that they hold the version"
                                 : "the version did not come in time (%u peers were asked for)",
                            (unsigned)k);
        }
        if (status != MESHSYNC_OK) {
            return msy_fail(error, status, "the node is closing");
        }
    }
}

meshsync_status msy_wait_for(meshsync_space *space, const struct msy_tip *tips, uint32_t count,
                             uint32_t k, uint64_t deadline_ms, meshsync_error *error)
{
    meshsync_node *node = space->node;
    struct msy_vector heads;
    meshsync_status status = MESHSYNC_OK;
    if (k > 0 && !atomic_load(&node->network.started)) {
        return msy_fail(error, MESHSYNC_E_UNREACHABLE,
                        "%u peers were asked for, and the node is not started", (unsigned)k);
    }
    status = msy_board_enter(&node->board);
    if (status != MESHSYNC_OK) {
        return msy_fail(error, status, "the node is closing");
    }
    msy_vector_init(&heads, &node->alloc);
    if (count == 0) {
        status = msy_wait_heads(space, &heads, error);
        tips = heads.tips;
        count = heads.count;
    }
    if (status == MESHSYNC_OK) {
        status = wait_loop(space, tips, count, k, deadline_ms, error);
    }
    msy_vector_fini(&heads);
    msy_board_leave(&node->board);
    return status;
}
