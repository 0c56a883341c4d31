/* SPDX-License-Identifier: Apache-2.0 */
/* Spaces, invitations and collections: work for the writer that is no data. All of it blocks. */
#ifndef MSY_SHELL_CONTROL_H
#define MSY_SHELL_CONTROL_H

#include "shell/node.h"

meshsync_status msy_control_create(meshsync_node *node, const char *name, meshsync_space **space,
                                   meshsync_error *error);
meshsync_status msy_control_join(meshsync_node *node, const char *text, const char *name,
                                 meshsync_space **space, meshsync_error *error);
meshsync_status msy_control_leave(meshsync_space *space, bool erase, meshsync_error *error);
/* text has MESHSYNC_TICKET_TEXT_BYTES_MAX bytes. */
meshsync_status msy_control_invite(meshsync_space *space, uint64_t expires_ms, char *text,
                                   meshsync_error *error);
struct msy_collection_wish {
    const char *name;
    const char *merge_name; /* "": none. */
    int32_t type;
    int32_t view;
    uint32_t merge_version;
};
meshsync_status msy_control_collection(meshsync_space *space,
                                       const struct msy_collection_wish *wish,
                                       meshsync_error *error);
/* Facts of a space; left and joined from its descriptor. */
meshsync_status msy_control_info(meshsync_space *space, meshsync_space_info *info,
                                 meshsync_error *error);

#endif
