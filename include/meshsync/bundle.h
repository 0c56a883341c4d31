/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file bundle.h
 * @brief Changes as files, for nodes that no network joins: memory sticks, one-way links, mail.
 *
 * A bundle holds the version of the node that made it and the changes that another version lacks.
 * Applying it is receiving: every change goes through the checks of the wire, in any order of
 * bundles, any number of times. Bundles are not encrypted: whoever has the file can read it.
 *
 * Threads: any function here may be called from any thread.
 */
#ifndef MESHSYNC_BUNDLE_H
#define MESHSYNC_BUNDLE_H

#include <meshsync/types.h>

MESHSYNC_BEGIN_DECLS

/** What is in a bundle and what became of it. Begin with size. */
typedef struct meshsync_bundle_info {
    size_t size;                            /**< sizeof, set by the caller. */
    uint64_t changes;                       /**< In the file. */
    uint64_t bytes;                         /**< Of the file. */
    uint64_t accepted;                      /**< Applied: new here. */
    uint64_t duplicate;                     /**< Applied: were here already. */
    uint64_t pending;                       /**< Applied: wait for causes that are not here. */
    uint64_t rejected;                      /**< Applied: not authentic or malformed. */
    uint8_t space[MESHSYNC_SPACE_ID_BYTES]; /**< Whose changes. */
    uint8_t maker[MESHSYNC_NODE_ID_BYTES];  /**< Node that made the file. */
} meshsync_bundle_info;

/**
 * Write what another node lacks of a space to a new file (mode 0600), while everything goes on.
 *
 * @param[in]  file  Made by this call.
 * @param[in]  base  A bundle: what its maker held when it made it is left out. NULL: nothing is
 *                   known of the other, everything is written. For a one-way link, the last bundle
 *                   of one's own.
 * @param[out] info  May be NULL.
 *
 * @retval MESHSYNC_OK               Also when there was nothing to write: changes is 0.
 * @retval MESHSYNC_E_EXISTS         The file is there already.
 * @retval MESHSYNC_E_NOT_FOUND      There is no such base.
 * @retval MESHSYNC_E_INVALID        The base is of another space.
 * @retval MESHSYNC_E_STORE_CORRUPT  The base is damaged, or no bundle.
 * @retval MESHSYNC_E_STORE_VERSION  The base was made by a newer version.
 * @retval MESHSYNC_E_IO             Or E_DISK_FULL; no file is left behind.
 *
 * @threads Any. Blocks on the disk.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_bundle_create(meshsync_space *space,
                                                                       const char *file,
                                                                       const char *base,
                                                                       meshsync_bundle_info *info,
                                                                       meshsync_error *error);

/**
 * Write a bundle without changes: what this node holds, for another to make a bundle from.
 *
 * @retval MESHSYNC_OK
 * @retval MESHSYNC_E_EXISTS  The file is there already.
 * @retval MESHSYNC_E_IO      Or E_DISK_FULL; no file is left behind.
 *
 * @threads Any. Blocks on the disk.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_bundle_request(meshsync_space *space,
                                                                        const char *file,
                                                                        meshsync_error *error);

/**
 * Receive the changes of a bundle. The node must have the space or a ticket for it. What was taken
 * in before a failure stays.
 *
 * @param[out] info  May be NULL. Also written when changes were rejected.
 *
 * @retval MESHSYNC_OK               Changes whose causes are not here wait, as pending.
 * @retval MESHSYNC_E_NOT_FOUND      No such file, or this node has no such space.
 * @retval MESHSYNC_E_STATE          The space was left.
 * @retval MESHSYNC_E_PROTOCOL       Changes were rejected; the others were taken.
 * @retval MESHSYNC_E_STORE_CORRUPT  The file is damaged, or no bundle; nothing was taken.
 * @retval MESHSYNC_E_STORE_VERSION  It was made by a newer version; nothing was taken.
 *
 * @threads Any that may block. Blocks on the disk.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_bundle_apply(meshsync_node *node,
                                                                      const char *file,
                                                                      meshsync_bundle_info *info,
                                                                      meshsync_error *error);

MESHSYNC_END_DECLS

#endif
