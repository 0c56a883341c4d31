/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file queue.h
 * @brief A bounded queue of events with a file descriptor: for bindings and foreign loops, so that
 * no callback has to run on a thread of the library.
 *
 * Threads: a queue is used by one thread at a time.
 */
#ifndef MESHSYNC_QUEUE_H
#define MESHSYNC_QUEUE_H

#include <meshsync/watch.h>

MESHSYNC_BEGIN_DECLS

/** Most node events that a queue keeps; beyond it the newest are dropped and OVERFLOW tells so.
 * Events of a space are read from its log when they are asked for, and never dropped. */
#define MESHSYNC_QUEUE_EVENTS_MAX 65536

/**
 * A queue of the feed of a space (NULL: node events only) and of node events.
 *
 * @threads Any. Does not block.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_queue_open(
    meshsync_node *node, meshsync_space *space, const meshsync_feed_options *options,
    meshsync_queue **queue, meshsync_error *error);

/**
 * A descriptor that is readable while events wait, and now and then when none does: then
 * meshsync_queue_next() says so and makes it unreadable. Owned by the queue; only poll it.
 *
 * @threads Any.
 * @since 0.1
 */
MESHSYNC_API int meshsync_queue_fd(const meshsync_queue *queue);

/**
 * The next event; lent until the next call. E_TIMEOUT when none came in timeout_ms.
 *
 * @threads One at a time per queue. Blocks up to timeout_ms.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_queue_next(meshsync_queue *queue,
                                                                    uint64_t timeout_ms,
                                                                    meshsync_event *event,
                                                                    meshsync_error *error);

/** Release a queue. NULL is allowed. @threads One at a time per queue. @since 0.1 */
MESHSYNC_API void meshsync_queue_close(meshsync_queue *queue);

MESHSYNC_END_DECLS

#endif
