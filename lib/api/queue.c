/* SPDX-License-Identifier: Apache-2.0 */
/* Event queues: the feed of a space and the node's notices behind one descriptor. Events of the
 * feed stay in the log until they are fetched, so only notices can overflow. */
#include <meshsync/queue.h>

#include "api/enter.h"
#include "api/feed.h"
#include "shell/clock.h"

struct meshsync_queue {
    struct msy_owned owned;
    meshsync_node *node;   /* Lent. */
    meshsync_space *space; /* Lent; NULL: notices only. */
    struct msy_feed_reader reader;
    struct msy_mailbox mailbox;
    struct msy_notice notice; /* What the event given last lends from. */
};

static void queue_release(struct msy_owned *owned)
{
    meshsync_queue *queue = (meshsync_queue *)(void *)owned; /* Its first member. */
    struct msy_alloc *alloc = &queue->node->alloc;
    msy_mailbox_close(&queue->mailbox, &queue->node->notices);
    if (queue->space != NULL) {
        msy_feed_fini(&queue->reader);
    }
    msy_free(alloc, queue, sizeof *queue);
}

meshsync_status meshsync_queue_open(meshsync_node *node, meshsync_space *space,
                                    const meshsync_feed_options *options, meshsync_queue **queue,
                                    meshsync_error *error)
{
    meshsync_status status = msy_enter_node(node, error);
    *queue = NULL;
    if (status == MESHSYNC_OK && space != NULL) {
        status = msy_enter_space(space, error);
    }
    if (status != MESHSYNC_OK) {
        return status;
    }
    meshsync_queue *made = (meshsync_queue *)msy_new(&node->alloc, sizeof *made);
    if (made == NULL) {
        return msy_fail(error, MESHSYNC_E_NO_MEMORY, "no memory for the queue");
    }
    made->node = node;
    made->owned.release = queue_release;
    status = msy_mailbox_open(&made->mailbox, &node->notices, &node->alloc, space != NULL,
                              node->read_only, error);
    if (status == MESHSYNC_OK && space != NULL) {
        status = msy_feed_begin(space, options, &made->reader, error);
        if (status != MESHSYNC_OK) {
            msy_mailbox_close(&made->mailbox, &node->notices);
        }
    }
    if (status != MESHSYNC_OK) {
        msy_free(&node->alloc, made, sizeof *made);
        return status;
    }
    made->space = space;
    msy_node_own(node, &made->owned);
    msy_mailbox_wake(&made->mailbox); /* There may be something in the log already. */
    *queue = made;
    return MESHSYNC_OK;
}

int meshsync_queue_fd(const meshsync_queue *queue)
{
    return queue == NULL ? -1 : queue->mailbox.fd;
}

static void queue_notice(meshsync_queue *queue, meshsync_event *event)
{
    memset(event, 0, sizeof *event);
    event->size = sizeof *event;
    event->type = queue->notice.type;
    memcpy(event->device, queue->notice.device, sizeof event->device);
    if (queue->notice.words[0] != '\0') {
        event->value.type = MESHSYNC_VALUE_STRING;
        event->value.bytes = msy_bytes(queue->notice.words, strlen(queue->notice.words));
    }
    if (queue->notice.space != 0) {
        (void)msy_spaces_by_number(queue->node, queue->notice.space, &event->space, NULL);
    }
}

/* E_END when there is nothing; the descriptor is calm then. */
static meshsync_status queue_try(meshsync_queue *queue, meshsync_event *event,
                                 meshsync_error *error)
{
    /* Calm first: what comes after the look wakes it again. */
    msy_mailbox_calm(&queue->mailbox);
    if (msy_mailbox_take(&queue->mailbox, &queue->node->notices, &queue->notice)) {
        queue_notice(queue, event);
        msy_mailbox_wake(&queue->mailbox);
        return MESHSYNC_OK;
    }
    if (queue->space == NULL) {
        return MESHSYNC_E_END;
    }
    meshsync_status status = msy_feed_try(queue->space, &queue->reader, event, error);
    if (status == MESHSYNC_OK) {
        msy_mailbox_wake(&queue->mailbox);
    }
    return status;
}

static meshsync_status queue_wait(meshsync_queue *queue, uint64_t deadline_ms,
                                  meshsync_event *event, meshsync_error *error)
{
    struct msy_board *board = &queue->node->board;
    for (;;) {
        uint64_t version = msy_board_version(board);
        meshsync_status status = queue_try(queue, event, error);
        uint64_t now_ms = msy_clock_mono_ms();
        if (status != MESHSYNC_E_END) {
            return status;
        }
        if (now_ms >= deadline_ms) {
            return msy_fail(error, MESHSYNC_E_TIMEOUT, "no event came in time");
        }
        /* Notices do not raise the board: a look every so often finds them. */
        uint64_t soon_ms = msy_clock_after(now_ms, MSY_READER_POLL_MS);
        if (msy_board_wait(board, version, soon_ms < deadline_ms ? soon_ms : deadline_ms) ==
            MESHSYNC_E_CANCELLED) {
            return msy_fail(error, MESHSYNC_E_CANCELLED, "the node is closing");
        }
    }
}

meshsync_status meshsync_queue_next(meshsync_queue *queue, uint64_t timeout_ms,
                                    meshsync_event *event, meshsync_error *error)
{
    if (queue == NULL || event == NULL) {
        return msy_fail(error, MESHSYNC_E_INVALID, "the queue or the event is NULL");
    }
    meshsync_status status = msy_enter_node(queue->node, error);
    if (status == MESHSYNC_OK && timeout_ms > 0) {
        status = msy_node_may_block(queue->node, true, error);
    }
    if (status == MESHSYNC_OK) {
        status = msy_board_enter(&queue->node->board);
    }
    if (status != MESHSYNC_OK) {
        return msy_fail(error, status, "the queue cannot be read now");
    }
    status = queue_wait(queue, msy_clock_after(msy_clock_mono_ms(), timeout_ms), event, error);
    msy_board_leave(&queue->node->board);
    return status;
}

void meshsync_queue_close(meshsync_queue *queue)
{
    if (queue != NULL && msy_node_check(queue->node, NULL) == MESHSYNC_OK) {
        msy_node_disown(queue->node, &queue->owned);
        queue_release(&queue->owned);
    }
}
