/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file loop.h
 * @brief A node on a loop of the caller's: libuv's own, or any loop by descriptor and time-out.
 *
 * The writer thread exists in all modes; the network and the callbacks then run on whoever turns
 * the loop.
 *
 * Threads: said with each function.
 */
#ifndef MESHSYNC_LOOP_H
#define MESHSYNC_LOOP_H

#include <meshsync/node.h>

MESHSYNC_BEGIN_DECLS

struct uv_loop_s;

/**
 * Start the network on the caller's libuv loop, in place of meshsync_node_start(). The loop must
 * be the same libuv that this library is linked with. Close with meshsync_node_close_async() and
 * turn the loop until its callback came.
 *
 * @threads The loop's thread. Does not block.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_node_start_on_loop(meshsync_node *node,
                                                                            struct uv_loop_s *loop,
                                                                            meshsync_error *error);

/**
 * Start the network for a foreign loop: poll meshsync_node_fd() for reading, for at most
 * meshsync_node_timeout_ms(), then call meshsync_node_process(), in a circle.
 *
 * @threads The thread that will turn it. Does not block.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_node_start_external(meshsync_node *node,
                                                                             meshsync_error *error);

/** The descriptor to poll; -1 when not started so. @threads The turning thread. @since 0.1 */
MESHSYNC_API int meshsync_node_fd(const meshsync_node *node);
/** Longest time to poll, in ms; -1: no limit. @threads The turning thread. @since 0.1 */
MESHSYNC_API int meshsync_node_timeout_ms(const meshsync_node *node);
/**
 * Do what is due, without blocking.
 *
 * @retval MESHSYNC_OK
 * @retval MESHSYNC_E_STATE        Not started so; or another thread than the one that started it.
 * @retval MESHSYNC_E_IN_CALLBACK  Called by a function that it calls.
 * @threads The turning thread.
 * @since 0.1
 */
MESHSYNC_API meshsync_status meshsync_node_process(meshsync_node *node);

MESHSYNC_END_DECLS

#endif
