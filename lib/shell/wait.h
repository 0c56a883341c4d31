/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting for versions, on the caller's thread, and what versions are. */
#ifndef MSY_SHELL_WAIT_H
#define MSY_SHELL_WAIT_H

#include "shell/node.h"

/* Waits until all tips (none: the heads of now) are here, and each at k peers. E_TIMEOUT,
 * E_UNREACHABLE, E_CANCELLED. */
meshsync_status msy_wait_for(meshsync_space *space, const struct msy_tip *tips, uint32_t count,
                             uint32_t k, uint64_t deadline_ms, meshsync_error *error);
/* The heads of a space. */
meshsync_status msy_wait_heads(meshsync_space *space, struct msy_vector *heads,
                               meshsync_error *error);
/* Blocks until the node has news or the time is up: OK, E_TIMEOUT, E_CANCELLED. A reader beside a
 * writer is told of nothing and looks again after a while. */
meshsync_status msy_wait_news(meshsync_node *node, uint64_t version, uint64_t deadline_ms);

#endif
