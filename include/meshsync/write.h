/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file write.h
 * @brief Transactions: several writes that become visible at once, here and at every replica.
 *
 * Threads: a transaction is used by one thread at a time; different transactions by any threads at
 * once. Bytes given to a function are copied. A failed write leaves the transaction as it was.
 */
#ifndef MESHSYNC_WRITE_H
#define MESHSYNC_WRITE_H

#include <meshsync/types.h>

MESHSYNC_BEGIN_DECLS

/** A key with the fields below it: parts[0] is the key. */
typedef struct meshsync_path {
    const meshsync_bytes *parts; /**< 1 to MESHSYNC_PATH_PARTS_MAX of them. */
    size_t parts_count;          /**< How many. */
} meshsync_path;

/** A condition of a write, checked again by the writer at commit. */
typedef enum meshsync_condition_kind {
    MESHSYNC_IF_ANY = 0,      /**< Always. Kills every sibling present at commit. */
    MESHSYNC_IF_ABSENT = 1,   /**< Nothing lives at the path. */
    MESHSYNC_IF_CONTEXT = 2,  /**< What lives at the path is exactly what the context saw. */
    MESHSYNC_WITH_CONTEXT = 3 /**< Always, but kills only the siblings that the context saw. */
} meshsync_condition_kind;

/** Condition and its context, as read from meshsync_entry. */
typedef struct meshsync_condition {
    meshsync_bytes context; /**< For the two kinds with a context. Opaque. */
    int32_t kind;           /**< enum meshsync_condition_kind. */
    int32_t reserved;       /**< 0. */
} meshsync_condition;

/** How a commit is answered. Begin with size; zeros are the defaults. */
typedef struct meshsync_commit_options {
    size_t size;         /**< sizeof, set by the caller. */
    uint64_t timeout_ms; /**< For waiting on peers; 0: 30000. */
    int32_t ack;         /**< enum meshsync_ack, or k >= 1 peers. */
    int32_t reserved;    /**< 0. */
} meshsync_commit_options;

/**
 * Begin a transaction on the state of now.
 *
 * @param[out] txn  End it with meshsync_txn_commit(), _commit_async() or _abort().
 *
 * @retval MESHSYNC_OK
 * @retval MESHSYNC_E_READ_ONLY
 * @threads Any. Does not block.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_txn_begin(meshsync_space *space,
                                                                   meshsync_txn **txn,
                                                                   meshsync_error *error);

/**
 * Set a register, or a field of a map.
 *
 * @param[in] condition  NULL: MESHSYNC_IF_ANY.
 *
 * @retval MESHSYNC_OK
 * @retval MESHSYNC_E_NOT_FOUND  No such collection.
 * @retval MESHSYNC_E_TYPE       The collection has another type, or the path has another depth.
 * @retval MESHSYNC_E_INVALID    Key, value or context is malformed.
 * @retval MESHSYNC_E_LIMIT      Path, value or transaction is over its limit.
 * @threads One at a time per transaction. Does not block.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_txn_put(
    meshsync_txn *txn, const char *collection, const meshsync_path *path,
    const meshsync_value *value, const meshsync_condition *condition, meshsync_error *error);

/**
 * Remove what is at a path: a register, a counter (it restarts at what is added concurrently), a
 * whole set, a map or a part of one with everything below. Concurrent writes survive. Removing
 * nothing is no error.
 *
 * @threads One at a time per transaction. Does not block.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status
meshsync_txn_delete(meshsync_txn *txn, const char *collection, const meshsync_path *path,
                    const meshsync_condition *condition, meshsync_error *error);

/**
 * Add to a counter; delta may be negative. The sum wraps beyond 64 bits.
 *
 * @threads One at a time per transaction. Does not block.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_txn_add(meshsync_txn *txn,
                                                                 const char *collection,
                                                                 const meshsync_path *path,
                                                                 int64_t delta,
                                                                 meshsync_error *error);

/**
 * Put an element into a set.
 *
 * @threads One at a time per transaction. Does not block.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_txn_set_add(meshsync_txn *txn,
                                                                     const char *collection,
                                                                     meshsync_bytes key,
                                                                     meshsync_bytes element,
                                                                     meshsync_error *error);

/**
 * Take an element out of a set. A concurrent addition wins.
 *
 * @threads One at a time per transaction. Does not block.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_txn_set_remove(meshsync_txn *txn,
                                                                        const char *collection,
                                                                        meshsync_bytes key,
                                                                        meshsync_bytes element,
                                                                        meshsync_error *error);

/**
 * Make a map (or set) exist at a path though nothing is in it.
 *
 * @threads One at a time per transaction. Does not block.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_txn_touch(meshsync_txn *txn,
                                                                   const char *collection,
                                                                   const meshsync_path *path,
                                                                   meshsync_error *error);

/**
 * A snapshot of the space with the writes of this transaction on top, for every call in read.h. It
 * shows later writes of the transaction too, belongs to it, and must not be closed.
 *
 * @threads One at a time per transaction. Does not block.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_txn_snapshot(meshsync_txn *txn,
                                                                      meshsync_snapshot **snapshot,
                                                                      meshsync_error *error);

/**
 * Commit. The transaction is gone whatever is returned.
 *
 * @param[in]  options  NULL: durable.
 * @param[out] token    May be NULL. The version made; empty when there was nothing to write.
 *
 * @retval MESHSYNC_OK
 * @retval MESHSYNC_E_CONFLICT    A condition does not hold; nothing was written.
 * @retval MESHSYNC_E_TIMEOUT     Durable here, but fewer than k peers confirmed in time; the
 *                                token is set and stays valid.
 * @retval MESHSYNC_E_UNREACHABLE k peers were asked for and the node is not started.
 * @retval MESHSYNC_E_STORE_FULL  Or E_DISK_FULL: nothing was written; deletes still work.
 * @retval MESHSYNC_E_CLOCK       This machine's clock is more than clock_ahead_ms_max ahead of the
 *                                middle of its peers' (of two peers at least): they would hold the
 *                                change back. Nothing was written; set the clock, then try again.
 * @retval MESHSYNC_E_IN_CALLBACK Use meshsync_txn_commit_async() there; the transaction is gone.
 * @threads Any but the network thread. Blocks on the disk or on peers, as asked.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status
meshsync_txn_commit(meshsync_txn *txn, const meshsync_commit_options *options,
                    meshsync_token *token, meshsync_error *error);

/**
 * Outcome of an asynchronous commit. token and error are lent for the call. Runs on the node's
 * writer or network thread; must not block.
 */
typedef void (*meshsync_commit_fn)(void *user, meshsync_status status, const meshsync_token *token,
                                   const meshsync_error *error);

/**
 * Commit without waiting; many may be in flight. The transaction is gone whatever is returned. The
 * callback comes exactly once if and only if MESHSYNC_OK is returned.
 *
 * @retval MESHSYNC_OK
 * @retval MESHSYNC_E_BUSY  More is waiting than the bound of docs/limits.md.
 * @threads Any. Does not block.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status
meshsync_txn_commit_async(meshsync_txn *txn, const meshsync_commit_options *options,
                          meshsync_commit_fn callback, void *user, meshsync_error *error);

/**
 * Forget a transaction. NULL is allowed.
 *
 * @threads One at a time per transaction. Does not block.
 * @since 0.1
 */
MESHSYNC_API void meshsync_txn_abort(meshsync_txn *txn);

/**
 * One durable put of a string key, as a transaction of its own. Such plain commits of several
 * threads share one change and one sync to disk.
 *
 * @threads Any but the network thread. Blocks on the disk.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status
meshsync_put(meshsync_space *space, const char *collection, meshsync_bytes key,
             const meshsync_value *value, meshsync_token *token, meshsync_error *error);

/**
 * The bytes of zero-terminated text, lent from it.
 *
 * @threads Any. Does not block.
 * @since 0.1
 */
MESHSYNC_API meshsync_bytes meshsync_bytes_of(const char *text);
/** A STRING that lends from text. @threads Any. @since 0.1 */
MESHSYNC_API meshsync_value meshsync_value_string(const char *text);
/** BYTES that lend from data. @threads Any. @since 0.1 */
MESHSYNC_API meshsync_value meshsync_value_bytes(const void *data, size_t len);
/** An INT. @threads Any. @since 0.1 */
MESHSYNC_API meshsync_value meshsync_value_int(int64_t number);

MESHSYNC_END_DECLS

#endif
