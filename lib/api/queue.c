/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Event queues. What happens in a space is read from its feed when it is asked for, so that none of
 * it can be dropped; notices of the node wait in the bounded ring of a mailbox.
 */
#include <meshsync/queue.h>

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "api/check.h"
#include "api/feed.h"
#include "shell/clock.h"

struct meshsync_queue {
    struct msy_owned owned; /* First. */
    meshsync_node *node;
    meshsync_space *space; /* NULL: node events only. */
    struct msy_feed_reader reader;
    struct msy_mailbox mailbox;
    struct msy_notice notice; /* Lent to the event given last. */
};

static void queue_release(struct msy_owned *owned)
{
    meshsync_queue *queue = (meshsync_queue *)(void *)owned;
    meshsync_node *node = queue->node;
    msy_mailbox_close(&queue->mailbox, &node->notices);
    if (queue->space != NULL) {
        msy_feed_fini(&queue->reader);
    }
    msy_free(&node->alloc, queue, sizeof *queue);
}

static meshsync_status queue_open(meshsync_node *node, meshsync_space *space,
                                  const meshsync_feed_options *options, meshsync_queue **out,
                                  meshsync_error *error)
{
    meshsync_queue *queue = (meshsync_queue *)msy_new(&node->alloc, sizeof *queue);
    if (queue == NULL) {
        return msy_fail(error, MESHSYNC_E_NO_MEMORY, "queue: no memory");
    }
    queue->node = node;
    queue->space = space;
    queue->owned.release = queue_release;
    meshsync_status status = msy_mailbox_open(&queue->mailbox, &node->notices, &node->alloc,
                                              space != NULL, node->read_only, error);
    if (status != MESHSYNC_OK) {
        msy_free(&node->alloc, queue, sizeof *queue);
        return status;
    }
    if (space != NULL) {
        status = msy_feed_start(&queue->reader, space, options, error);
    }
    if (status != MESHSYNC_OK) {
        msy_mailbox_close(&queue->mailbox, &node->notices);
        msy_free(&node->alloc, queue, sizeof *queue);
        return status;
    }
    msy_mailbox_wake(&queue->mailbox); /* There may be something from the beginning. */
    msy_node_own(node, &queue->owned);
    *out = queue;
    return MESHSYNC_OK;
}

meshsync_status meshsync_queue_open(meshsync_node *node, meshsync_space *space,
                                    const meshsync_feed_options *options, meshsync_queue **queue,
                                    meshsync_error *error)
{
    meshsync_status status = msy_check_given(queue, "queue", error);
    if (status != MESHSYNC_OK) {
        return status;
    }
    *queue = NULL;
    status = msy_check_node(node, error);
    if (status == MESHSYNC_OK && space != NULL) {
        status = msy_check_space(space, error);
    }
    if (status == MESHSYNC_OK && space != NULL && space->node != node) {
        status =
            msy_fail(error, MESHSYNC_E_INVALID, "space \"%s\" is of another node", space->name);
    }
    return status == MESHSYNC_OK ? queue_open(node, space, options, queue, error) : status;
}

int meshsync_queue_fd(const meshsync_queue *queue)
{
    return queue != NULL && msy_node_check(queue->node, NULL) == MESHSYNC_OK ? queue->mailbox.fd
                                                                             : -1;
}

static void queue_event(meshsync_queue *queue, meshsync_event *event)
{
    const struct msy_notice *notice = &queue->notice;
    memset(event, 0, sizeof *event);
    event->size = sizeof *event;
    event->type = notice->type;
    event->hlc = notice->unix_ms << 16; /* 48 bits of ms, 16 of counter. */
    memcpy(event->device, notice->device, sizeof event->device);
    if (notice->space != 0) {
        meshsync_status found =
            msy_spaces_by_number(queue->node, notice->space, &event->space, NULL);
        event->space = found == MESHSYNC_OK ? event->space : NULL; /* Left since. */
    }
    if (notice->words[0] != '\0') {
        event->value = meshsync_value_string(notice->words);
    }
}

/* What is there now: E_END when there is nothing, and the descriptor is then not readable. */
static meshsync_status queue_take(meshsync_queue *queue, meshsync_event *event,
                                  meshsync_error *error)
{
    meshsync_status status = MESHSYNC_E_END;
    for (int look = 0; look < 2 && status == MESHSYNC_E_END; look++) {
        if (look == 1) {
            /* First calm, then another look: what comes in between makes it readable again. */
            msy_mailbox_calm(&queue->mailbox);
        }
        if (msy_mailbox_take(&queue->mailbox, &queue->node->notices, &queue->notice)) {
            queue_event(queue, event);
            status = MESHSYNC_OK;
        } else if (queue->space != NULL && !atomic_load(&queue->space->gone)) {
            status = msy_feed_step(&queue->reader, queue->space, event, error);
        }
        if (status == MESHSYNC_OK && look == 1) {
            msy_mailbox_wake(&queue->mailbox); /* There may be more. */
        }
    }
    return status;
}

/* Until the descriptor is readable; OK also when there is nothing after all. */
static meshsync_status queue_wait(const meshsync_queue *queue, uint64_t deadline_ms,
                                  meshsync_error *error)
{
    struct pollfd polled = {.fd = queue->mailbox.fd, .events = POLLIN};
    uint64_t now_ms = msy_clock_mono_ms();
    uint64_t left_ms = deadline_ms > now_ms ? deadline_ms - now_ms : 0;
    /* Shorter than asked, so that a node that closes is noticed. */
    int slice_ms = left_ms > 100 ? 100 : (int)left_ms;
    if (left_ms == 0) {
        return msy_fail(error, MESHSYNC_E_TIMEOUT, "no event came in time");
    }
    if (poll(&polled, 1, slice_ms) < 0 && errno != EINTR) {
        return msy_fail_errno(error, MESHSYNC_E_RESOURCE, errno, "queue: poll");
    }
    return msy_board_closing(&queue->node->board)
               ? msy_fail(error, MESHSYNC_E_CANCELLED, "the node is closing")
               : MESHSYNC_OK;
}

meshsync_status meshsync_queue_next(meshsync_queue *queue, uint64_t timeout_ms,
                                    meshsync_event *event, meshsync_error *error)
{
    meshsync_status status = msy_check_given(queue, "queue", error);
    if (status == MESHSYNC_OK) {
        status = msy_node_check(queue->node, error);
    }
    if (status == MESHSYNC_OK) {
        status = msy_check_given(event, "event", error);
    }
    if (status == MESHSYNC_OK && timeout_ms > 0) {
        status = msy_node_may_block(queue->node, false, error);
    }
    if (status == MESHSYNC_OK && msy_board_enter(&queue->node->board) != MESHSYNC_OK) {
        status = msy_fail(error, MESHSYNC_E_CANCELLED, "the node is closing");
    }
    if (status != MESHSYNC_OK) {
        return status;
    }
    meshsync_node *node = queue->node;
    uint64_t deadline_ms = msy_clock_after(msy_clock_mono_ms(), timeout_ms);
    status = queue_take(queue, event, error);
    while (status == MESHSYNC_E_END) {
        status = queue_wait(queue, deadline_ms, error);
        if (status == MESHSYNC_OK) {
            status = queue_take(queue, event, error);
        }
    }
    msy_board_leave(&node->board);
    return status;
}

void meshsync_queue_close(meshsync_queue *queue)
{
    if (queue != NULL && msy_node_check(queue->node, NULL) == MESHSYNC_OK) {
        msy_node_disown(queue->node, &queue->owned);
        queue_release(&queue->owned);
    }
}
