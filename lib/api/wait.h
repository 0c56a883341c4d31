/* SPDX-License-Identifier: Apache-2.0 */
/* Blocking until peers hold a change. */
#ifndef MSY_API_WAIT_H
#define MSY_API_WAIT_H

#include "shell/node.h"

/* Within msy_board_enter. E_TIMEOUT, E_CANCELLED. */
meshsync_status msy_wait_holders(meshsync_space *space, const struct msy_tip *tip, uint32_t k,
                                 uint64_t deadline_ms, meshsync_error *error);

#endif
