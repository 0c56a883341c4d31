/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file watch.h
 * @brief The change feed: every op that was applied here, in the order of this node's log.
 *
 * The order is causal. A cursor resumes exactly where it was taken, also after a restart; it
 * belongs to this store and is refused by any other, a restored one included.
 *
 * Threads: a feed is used by one thread at a time. Watch callbacks run on the network thread; the
 * node must have been started for them to come.
 */
#ifndef MESHSYNC_WATCH_H
#define MESHSYNC_WATCH_H

#include <meshsync/types.h>

MESHSYNC_BEGIN_DECLS

/** Largest cursor, in bytes. */
#define MESHSYNC_CURSOR_BYTES_MAX 32
/** A place in the change feed. Opaque; its text form is base64url. */
typedef struct meshsync_cursor {
    uint32_t len;                             /**< Used bytes; 0: the beginning. */
    uint8_t bytes[MESHSYNC_CURSOR_BYTES_MAX]; /**< Opaque. */
} meshsync_cursor;

/** What an event tells. Users skip the ones that they do not know. */
typedef enum meshsync_event_type {
    MESHSYNC_EVENT_PUT = 1,        /**< A value was written. */
    MESHSYNC_EVENT_DELETE = 2,     /**< What was seen at a path was removed. */
    MESHSYNC_EVENT_ADD = 3,        /**< A counter was added to. */
    MESHSYNC_EVENT_RESET = 4,      /**< A counter was removed. */
    MESHSYNC_EVENT_SET_ADD = 5,    /**< An element was put in. */
    MESHSYNC_EVENT_TOUCH = 6,      /**< A map or set was made. */
    MESHSYNC_EVENT_CLEAR = 7,      /**< Everything seen at and below a path was removed. */
    MESHSYNC_EVENT_OTHER = 8,      /**< An op of a kind that this version does not know. */
    MESHSYNC_EVENT_CONTROL = 9,    /**< A control record: schema, member, invitation. */
    MESHSYNC_EVENT_PEER_UP = 20,   /**< Node event: a peer is in session (queues only). */
    MESHSYNC_EVENT_PEER_DOWN = 21, /**< Node event: a session ended (queues only). */
    MESHSYNC_EVENT_SYNCED = 22,    /**< Node event: nothing more to fetch from a peer in a space. */
    MESHSYNC_EVENT_ALARM = 23,     /**< Node event: digests differ, a clock is off, damage. */
    MESHSYNC_EVENT_OVERFLOW = 24,  /**< Queues: events were dropped; read again from the state. */
    MESHSYNC_EVENT_END = 25        /**< The last event of a watch. */
} meshsync_event_type;

/** One event. Everything it points to is lent: until the callback returns or the next step. */
typedef struct meshsync_event {
    size_t size;                            /**< sizeof at the library. */
    meshsync_space *space;                  /**< Of which space; NULL for node events but SYNCED. */
    const char *collection;                 /**< Zero-terminated, or NULL. */
    meshsync_bytes key;                     /**< Encoded path; see meshsync_entry_part(). */
    meshsync_value value;                   /**< PUT: the value; ADD: the delta, as INT; ALARM and
                                                 PEER_DOWN: words, as STRING. */
    uint64_t hlc;                           /**< Stamp of the change, or of the notice. */
    uint64_t lsn;                           /**< Place in this node's log. */
    meshsync_token version;                 /**< Of the change. */
    meshsync_cursor cursor;                 /**< Resumes after this event. */
    uint8_t actor[MESHSYNC_ACTOR_ID_BYTES]; /**< Who wrote it, in which epoch. */
    uint8_t device[MESHSYNC_NODE_ID_BYTES]; /**< On which device; node events: which peer. */
    uint32_t op_index;                      /**< Within the change. */
    uint32_t ops_count;                     /**< Of the change: all are visible at once. */
    int32_t type;                           /**< enum meshsync_event_type. */
    int32_t local;                          /**< 1: written by this node. */
} meshsync_event;

/** Where a feed begins and what it shows. Begin with size; zeros: from the beginning, all. */
typedef struct meshsync_feed_options {
    size_t size;            /**< sizeof, set by the caller. */
    meshsync_cursor from;   /**< Resume after this place. */
    const char *collection; /**< Only this one; NULL: all but control records. */
    int32_t from_now;       /**< 1: begin with what comes next. */
    int32_t control;        /**< 1: control records too. */
} meshsync_feed_options;

/**
 * A pull iterator over the feed of a space.
 *
 * @retval MESHSYNC_OK
 * @retval MESHSYNC_E_INVALID  The cursor is malformed, or of another store.
 * @threads Any. Does not block.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status
meshsync_feed_open(meshsync_space *space, const meshsync_feed_options *options,
                   meshsync_feed **feed, meshsync_error *error);

/**
 * The next event.
 *
 * @param[in] timeout_ms  How long to wait for one; 0: not at all.
 *
 * @retval MESHSYNC_OK
 * @retval MESHSYNC_E_TIMEOUT    None came.
 * @retval MESHSYNC_E_CANCELLED  The node is closing.
 * @retval MESHSYNC_E_IN_CALLBACK  timeout_ms is not 0 and this is a callback of the node.
 * @threads One at a time per feed. Blocks up to timeout_ms.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_feed_next(meshsync_feed *feed,
                                                                   uint64_t timeout_ms,
                                                                   meshsync_event *event,
                                                                   meshsync_error *error);

/** Release a feed. NULL is allowed. @threads One at a time per feed. @since 0.1 */
MESHSYNC_API void meshsync_feed_close(meshsync_feed *feed);

/**
 * Called for each event of a watch, in feed order, on the network thread.
 *
 * It must not block: while it runs, this node neither sends nor receives. It may call any function
 * of this library that does not block, meshsync_node_close_async() included.
 */
typedef void (*meshsync_event_fn)(void *user, meshsync_node *node, const meshsync_event *event);

/**
 * Watch a space by callback.
 *
 * @retval MESHSYNC_OK
 * @retval MESHSYNC_E_INVALID    The cursor is malformed, or of another store.
 * @retval MESHSYNC_E_READ_ONLY  A node for reading has no thread for callbacks: use a feed.
 * @threads Any. Does not block.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_watch_start(
    meshsync_space *space, const meshsync_feed_options *options, meshsync_event_fn callback,
    void *user, meshsync_watch **watch, meshsync_error *error);

/**
 * Stop a watch. One last event, MESHSYNC_EVENT_END, comes; the handle is invalid at once. Closing
 * the node ends all its watches in the same way. NULL is allowed.
 *
 * @threads Any. Does not block.
 * @since 0.1
 */
MESHSYNC_API void meshsync_watch_stop(meshsync_watch *watch);

MESHSYNC_END_DECLS

#endif
