/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file node.h
 * @brief One node of a mesh: open it, put it on the network, close it.
 *
 * Threads: any function here may be called from any thread, unless its comment says otherwise.
 * Callbacks run on the network thread (or on whoever turns the loop), one at a time, and never
 * inside the call that registered them. In a process that was forked, every call on a node of the
 * parent returns MESHSYNC_E_FORKED and does nothing.
 */
#ifndef MESHSYNC_NODE_H
#define MESHSYNC_NODE_H

#include <meshsync/options.h>

MESHSYNC_BEGIN_DECLS

/**
 * Open the node in options->path, creating it when it does not exist.
 *
 * Talks to no peer: that begins with meshsync_node_start(). Starts the writer thread.
 *
 * @param[in]  options  Read during the call only.
 * @param[out] node     The new node, or NULL on failure. Release with meshsync_node_close().
 * @param[out] error    May be NULL. Written only on failure.
 *
 * @retval MESHSYNC_OK
 * @retval MESHSYNC_E_INVALID        An option is out of range; @p error names it.
 * @retval MESHSYNC_E_UNSUPPORTED    An option of a later version is set.
 * @retval MESHSYNC_E_NOT_FOUND      There is no node and create is 0.
 * @retval MESHSYNC_E_STORE_LOCKED   Another writer has the folder (after busy_wait_ms).
 * @retval MESHSYNC_E_STORE_VERSION  Written by a newer version; nothing was changed.
 * @retval MESHSYNC_E_STORE_CORRUPT  Nothing was changed on disk.
 *
 * @threads Any. Blocks on the disk, never on the network.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_node_open(const meshsync_options *options,
                                                                   meshsync_node **node,
                                                                   meshsync_error *error);

/**
 * Start the network on a thread of the node's own.
 *
 * @retval MESHSYNC_OK
 * @retval MESHSYNC_E_STATE      Started already, or opened for reading only.
 * @retval MESHSYNC_E_RESOURCE   No thread or descriptors.
 *
 * @threads Any. Does not block.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_node_start(meshsync_node *node,
                                                                    meshsync_error *error);

/**
 * Say goodbye to the peers, finish what is being written, release everything. NULL is allowed.
 * All spaces, snapshots, scans, feeds, watches, queues of the node become invalid and must not be
 * used by other threads any more. Commits that had not been answered get MESHSYNC_E_CANCELLED.
 *
 * @retval MESHSYNC_OK
 * @retval MESHSYNC_E_IN_CALLBACK  Called in a callback of this node: use
 *                                 meshsync_node_close_async(). Nothing happened.
 *
 * @threads Any but the network thread; on a loop of the caller's: only while that loop is not
 * running. Blocks until done, at most some seconds.
 * @since 0.1
 */
MESHSYNC_API meshsync_status meshsync_node_close(meshsync_node *node);

/** Called once when an asynchronous close is done; the node is then gone. */
typedef void (*meshsync_close_fn)(void *user);

/**
 * Close without blocking: for loops of the caller's and for callbacks. Never stops a loop that is
 * not the node's own. @p callback may be NULL.
 *
 * @retval MESHSYNC_OK
 * @retval MESHSYNC_E_STATE  It is being closed already.
 *
 * @threads The loop's thread when the loop is the caller's, else any.
 * @since 0.1
 */
MESHSYNC_API meshsync_status meshsync_node_close_async(meshsync_node *node,
                                                       meshsync_close_fn callback, void *user);

/**
 * The node's id: the public key of its device.
 *
 * @threads Any. Does not block.
 * @since 0.1
 */
MESHSYNC_API meshsync_status meshsync_node_id(const meshsync_node *node,
                                              uint8_t id[MESHSYNC_NODE_ID_BYTES]);

/** Counters of a node since it was opened, and gauges. Begin with size. */
typedef struct meshsync_stats {
    size_t size;                 /**< sizeof(meshsync_stats), set by the caller. */
    uint64_t changes_local;      /**< Changes committed here. */
    uint64_t changes_in;         /**< Changes accepted from peers. */
    uint64_t changes_out;        /**< Changes sent to peers. */
    uint64_t changes_duplicate;  /**< Changes received that were here already. */
    uint64_t changes_rejected;   /**< Changes refused as malformed or forged. */
    uint64_t changes_pending;    /**< Changes that wait for causes or proof, now. */
    uint64_t changes_held;       /**< Changes held for a stamp in the future, now. */
    uint64_t ops_local;          /**< Ops committed here. */
    uint64_t ops_in;             /**< Ops accepted from peers. */
    uint64_t conflicts;          /**< Ops that left more than one sibling at their path. */
    uint64_t commits;            /**< Store transactions. */
    uint64_t bytes_in;           /**< Bytes from the network. */
    uint64_t bytes_out;          /**< Bytes to the network. */
    uint64_t sessions;           /**< Peers in session, now. */
    uint64_t handshakes_failed;  /**< Connections that did not authenticate. */
    uint64_t alarms;             /**< Digests that differ at equal versions; damaged records. */
    uint64_t store_map_bytes;    /**< Address space of the store. */
    uint64_t store_used_bytes;   /**< Bytes in use on disk. */
    uint64_t store_bytes_max;    /**< The cap. */
    uint64_t store_readers;      /**< Reader slots in use, all processes. */
    uint64_t snapshot_oldest_ms; /**< Age of this node's oldest open snapshot. */
    uint64_t memory_bytes;       /**< Allocated through the node's allocator. */
    uint64_t lsn;                /**< Number of the last change in the log. */
} meshsync_stats;

/**
 * Statistics. Numbers of different fields may be of slightly different moments.
 *
 * @retval MESHSYNC_OK
 * @retval MESHSYNC_E_INVALID  size is 0.
 *
 * @threads Any. Does not block.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_node_stats(meshsync_node *node,
                                                                    meshsync_stats *stats);

/**
 * Write a consistent copy of the whole node, identity included, to a new file (mode 0600), while
 * everything goes on.
 *
 * @retval MESHSYNC_OK
 * @retval MESHSYNC_E_EXISTS  The file is there already.
 * @retval MESHSYNC_E_IO      Or E_DISK_FULL; no file is left behind.
 *
 * @threads Any. Blocks on the disk.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_node_backup(meshsync_node *node,
                                                                     const char *file,
                                                                     meshsync_error *error);

/**
 * Make a node from a backup in a folder that is empty or missing. The node opens a new epoch at
 * its first commit, so that nothing written since the backup is lost or doubled; cursors of the
 * change feed do not carry over.
 *
 * @retval MESHSYNC_OK
 * @retval MESHSYNC_E_EXISTS         The folder is not empty.
 * @retval MESHSYNC_E_STORE_CORRUPT  The file is damaged or no backup.
 * @retval MESHSYNC_E_STORE_VERSION  Made by a newer version.
 *
 * @threads Any. Blocks on the disk.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_restore(const char *file,
                                                                 const char *folder,
                                                                 meshsync_error *error);

/**
 * Move a store that is damaged beyond mending aside: data.mdb becomes data.mdb.damaged-1, or the
 * next number that is free. Nothing is deleted. The identity key stays: the node that is opened
 * there next is the same device with an empty store. It joins its spaces again by a ticket, gets
 * everything from its peers, what it wrote itself included, and its first commit opens a new
 * epoch. What only this store had stays in the file that was moved.
 *
 * @retval MESHSYNC_OK
 * @retval MESHSYNC_E_NOT_FOUND     There is no store in the folder.
 * @retval MESHSYNC_E_STORE_LOCKED  Somebody has it open for writing.
 *
 * @threads Any. Blocks on the disk.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_set_aside(const char *folder,
                                                                   meshsync_error *error);

/**
 * Version of the library, as MESHSYNC_VERSION_STRING of its build.
 *
 * @threads Any. Does not block.
 * @since 0.1
 */
MESHSYNC_API const char *meshsync_version(void);

/**
 * Versions of the parts: library, store format, change format, protocol, dependencies, as one line
 * of JSON.
 *
 * @threads Any. Does not block.
 * @since 0.1
 */
MESHSYNC_API const char *meshsync_build_info(void);

MESHSYNC_END_DECLS

#endif
