/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Backups: a whole node in one file (docs/backup.md). A header of 4,096 bytes with the identity's
 * seed, a consistent copy of the store, and a chained hash over both.
 */
#ifndef MSY_SHELL_BACKUP_H
#define MSY_SHELL_BACKUP_H

#include "shell/node.h"

meshsync_status msy_backup_write(meshsync_node *node, const char *file, meshsync_error *error);
/* folder is empty or missing. */
meshsync_status msy_backup_restore(const char *file, const char *folder, meshsync_error *error);
/* Moves a damaged store aside, within its folder. */
meshsync_status msy_backup_set_aside(const char *folder, meshsync_error *error);

#endif
