/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file space.h
 * @brief Spaces and collections: create, find, invite, join, leave.
 *
 * Threads: any function here may be called from any thread. Those that write block until it is
 * durable.
 */
#ifndef MESHSYNC_SPACE_H
#define MESHSYNC_SPACE_H

#include <meshsync/types.h>

MESHSYNC_BEGIN_DECLS

/** Longest text of a ticket, with its final zero. */
#define MESHSYNC_TICKET_TEXT_BYTES_MAX 4096

/** What is known of a space. Begin with size. */
typedef struct meshsync_space_info {
    size_t size;                             /**< sizeof, set by the caller. */
    uint8_t id[MESHSYNC_SPACE_ID_BYTES];     /**< The same at every node. */
    uint8_t founder[MESHSYNC_NODE_ID_BYTES]; /**< Device that made it. */
    uint64_t changes;                        /**< Changes held. */
    uint64_t entries;                        /**< Live dots: values, elements, increments. */
    uint64_t tips;                           /**< Entries of the version vector. */
    uint64_t heads;                          /**< Changes that no other builds on. */
    uint64_t members;                        /**< Devices that may write. */
    int32_t joined;                          /**< 0: has a ticket, member record not made yet. */
    int32_t left;                            /**< 1: left, data kept. */
    char name[MESHSYNC_NAME_BYTES_MAX + 1];  /**< Local name, zero-terminated. */
    uint8_t reserved[7];                     /**< 0. */
} meshsync_space_info;

/**
 * Found a space under a local name of 1 to MESHSYNC_NAME_BYTES_MAX bytes of UTF-8.
 *
 * @param[out] space  Owned by the node.
 *
 * @retval MESHSYNC_OK
 * @retval MESHSYNC_E_EXISTS  The name is taken.
 * @retval MESHSYNC_E_CLOCK   As for meshsync_txn_commit().
 * @threads Any. Blocks on the disk.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_space_create(meshsync_node *node,
                                                                      const char *name,
                                                                      meshsync_space **space,
                                                                      meshsync_error *error);

/**
 * Find a space by its local name.
 *
 * @retval MESHSYNC_OK
 * @retval MESHSYNC_E_NOT_FOUND
 * @threads Any. Does not block.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_space_find(meshsync_node *node,
                                                                    const char *name,
                                                                    meshsync_space **space,
                                                                    meshsync_error *error);

/**
 * The spaces by index, 0 up, in order of making; E_END past the last.
 *
 * @threads Any. Does not block.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_space_at(meshsync_node *node,
                                                                  uint32_t index,
                                                                  meshsync_space **space);

/**
 * Facts about a space, as of now.
 *
 * @threads Any. Blocks on reading the store.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_space_get_info(meshsync_space *space,
                                                                        meshsync_space_info *info,
                                                                        meshsync_error *error);

/**
 * Make an invitation: whoever holds its text may join. It names the addresses that this node
 * listens on now (or was last heard to listen on).
 *
 * @param[in]  expires_ms  Unix milliseconds; 0: never.
 * @param[out] text        The caller's, MESHSYNC_TICKET_TEXT_BYTES_MAX bytes; zero-terminated. A
 *                         secret: it lets people in.
 *
 * @threads Any. Blocks on the disk.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_space_invite(meshsync_space *space,
                                                                      uint64_t expires_ms,
                                                                      char *text,
                                                                      meshsync_error *error);

/**
 * Join a space by a ticket, at once and offline: data comes as soon as one of the ticket's
 * addresses, or a member met otherwise, is reached. Writing is possible at once; others take it
 * in when they know the invitation.
 *
 * @param[in] name  Local name; NULL: the one in the ticket.
 *
 * @retval MESHSYNC_OK
 * @retval MESHSYNC_E_INVALID      The text is no ticket, or expired.
 * @retval MESHSYNC_E_UNSUPPORTED  A ticket of a later version.
 * @retval MESHSYNC_E_EXISTS       The name, or the space, is here already.
 * @retval MESHSYNC_E_CLOCK        As for meshsync_txn_commit().
 * @threads Any. Blocks on the disk.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_space_join(meshsync_node *node,
                                                                    const char *ticket,
                                                                    const char *name,
                                                                    meshsync_space **space,
                                                                    meshsync_error *error);

/** What leaving does with the data. */
typedef enum meshsync_leave {
    MESHSYNC_LEAVE_KEEP = 0, /**< Stop syncing; data stays readable. */
    MESHSYNC_LEAVE_ERASE = 1 /**< And remove the data here. Others keep theirs. */
} meshsync_leave;

/**
 * Stop taking part in a space. After MESHSYNC_LEAVE_ERASE the handle is invalid.
 *
 * @threads Any. Blocks on the disk.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_space_leave(meshsync_space *space,
                                                                     meshsync_leave what,
                                                                     meshsync_error *error);

/** What is known of a collection. Begin with size. */
typedef struct meshsync_collection_info {
    size_t size;                                  /**< sizeof, set by the caller. */
    uint64_t entries;                             /**< Live dots. */
    uint8_t digest[MESHSYNC_DIGEST_BYTES];        /**< Equal where the same dots live. */
    uint32_t merge_version;                       /**< Of the custom merge function. */
    int32_t type;                                 /**< enum meshsync_collection_type. */
    int32_t view;                                 /**< enum meshsync_view. */
    char name[MESHSYNC_NAME_BYTES_MAX + 1];       /**< Zero-terminated. */
    char merge_name[MESHSYNC_NAME_BYTES_MAX + 1]; /**< Custom merge function, or "". */
    uint8_t reserved[6];                          /**< 0. */
} meshsync_collection_info;

/**
 * Make a collection, or change its view: a schema record that replicates like data.
 *
 * @param[in] type   enum meshsync_collection_type.
 * @param[in] view   enum meshsync_view; only registers and maps have another than LWW.
 * @param[in] merge_name     With MESHSYNC_VIEW_CUSTOM: the function's name, else NULL.
 * @param[in] merge_version  And its version.
 *
 * @retval MESHSYNC_OK
 * @retval MESHSYNC_E_INVALID  A name or number is out of range.
 * @retval MESHSYNC_E_TYPE     It exists with another type.
 * @threads Any. Blocks on the disk.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_collection_create(
    meshsync_space *space, const char *collection, meshsync_collection_type type,
    meshsync_view view, const char *merge_name, uint32_t merge_version, meshsync_error *error);

/**
 * The collections by index, 0 up, in order of name; E_END past the last.
 *
 * @threads Any. Blocks on reading the store.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_collection_at(
    meshsync_space *space, uint32_t index, meshsync_collection_info *info, meshsync_error *error);

/** State of a space that two nodes compare. Begin with size. */
typedef struct meshsync_digest {
    size_t size;                           /**< sizeof, set by the caller. */
    uint64_t changes;                      /**< Changes accepted. */
    uint64_t entries;                      /**< Live dots. */
    uint8_t clock[MESHSYNC_DIGEST_BYTES];  /**< Hash of the version vector. */
    uint8_t digest[MESHSYNC_DIGEST_BYTES]; /**< Hash of the vector and of the state. */
} meshsync_digest;

/**
 * The digest of a space: equal at two nodes exactly when they hold the same accepted changes and
 * the same state.
 *
 * @threads Any. Blocks on reading the store, for a time that does not grow with the data.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_space_digest(meshsync_space *space,
                                                                      meshsync_digest *digest,
                                                                      meshsync_error *error);

/** What a verification found. Begin with size. */
typedef struct meshsync_verify_report {
    size_t size;                /**< sizeof, set by the caller. */
    uint64_t changes;           /**< Changes checked: hash, chain, causes, root. */
    uint64_t signatures;        /**< Signatures checked. */
    uint64_t ops;               /**< Ops replayed. */
    uint64_t leaves;            /**< Leaves compared with the replay. */
    uint64_t damaged_changes;   /**< Changes that fail a check. */
    uint64_t damaged_leaves;    /**< Leaves that fail their checksum or differ. */
    uint64_t damaged_indexes;   /**< Index, vector, head or digest entries that differ. */
    uint64_t first_damaged_lsn; /**< Of the first damaged change, or 0. */
} meshsync_verify_report;

/**
 * Rebuild the state of a space from the log in memory-bounded steps, compare it with the stored
 * state, and check every hash and signature.
 *
 * @retval MESHSYNC_OK               Everything agrees.
 * @retval MESHSYNC_E_STORE_CORRUPT  Something does not; @p report says what.
 * @threads Any. Blocks for a time that grows with the data; commits go on.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status
meshsync_space_verify(meshsync_space *space, meshsync_verify_report *report, meshsync_error *error);

MESHSYNC_END_DECLS

#endif
