/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bundles (docs/bundle.md): a session written down. A header, the maker's vector as
 * VECTOR messages, what another lacks as CHANGES messages, and a chained hash over all of it.
 */
#ifndef MSY_SHELL_BUNDLE_H
#define MSY_SHELL_BUNDLE_H

#include <meshsync/bundle.h>

#include "shell/node.h"

enum msy_bundle_content { MSY_BUNDLE_VERSION_ALONE = 0, MSY_BUNDLE_CHANGES = 1 };

/* base may be NULL. */
meshsync_status msy_bundle_write(meshsync_space *space, const char *path, const char *base,
                                 enum msy_bundle_content content, meshsync_bundle_info *info,
                                 meshsync_error *error);
meshsync_status msy_bundle_apply(meshsync_node *node, const char *path, meshsync_bundle_info *info,
                                 meshsync_error *error);

#endif
