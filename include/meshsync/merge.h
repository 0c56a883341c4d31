/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file merge.h
 * @brief An application's own merge rule: a pure view over the siblings of a register.
 *
 * The siblings are what replicates; the function only chooses what a read shows. A wrong function
 * gives a wrong view, never replicas that differ.
 *
 * Threads: registration from any thread, before the node's first read; the functions run on
 * whichever thread reads, several at once: they must be pure and re-entrant and call no library
 * function.
 */
#ifndef MESHSYNC_MERGE_H
#define MESHSYNC_MERGE_H

#include <meshsync/read.h>

MESHSYNC_BEGIN_DECLS

/** Where a merge function puts a value that is none of the siblings. */
typedef struct meshsync_merge_out {
    meshsync_value value; /**< Bytes of it may point into a sibling or into scratch. */
    uint8_t *scratch;     /**< For the function's use. */
    size_t scratch_len;   /**< Its size: at least the sum of the siblings' bytes plus 4096. */
} meshsync_merge_out;

/**
 * Choose or compute the value shown for siblings (count >= 1, ascending by HLC, actor, seq,
 * index). Return 0, or anything else to fall back to the last writer.
 */
typedef int32_t (*meshsync_merge_fn)(void *user, const meshsync_sibling *siblings, uint32_t count,
                                     meshsync_merge_out *out);

/**
 * Register a merge function under a name and version, as a collection's schema names it. A
 * collection whose function is not registered shows the last writer's value.
 *
 * @retval MESHSYNC_OK
 * @retval MESHSYNC_E_EXISTS  That name and version is registered.
 * @threads Any. Does not block.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status
meshsync_merge_register(meshsync_node *node, const char *name, uint32_t version,
                        meshsync_merge_fn function, void *user, meshsync_error *error);

/**
 * Try a merge function on generated sibling sets: the same result for the same siblings called
 * twice, and when a sibling that lost is left out or the set is given with other metadata that does
 * not matter; no write beyond scratch. Says in @p error what failed, with the seed.
 *
 * @retval MESHSYNC_OK
 * @retval MESHSYNC_E_INVALID  The function is not a pure view.
 * @threads Any. Takes time that grows with rounds.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_merge_self_test(
    meshsync_merge_fn function, void *user, uint32_t rounds, uint64_t seed, meshsync_error *error);

MESHSYNC_END_DECLS

#endif
