/* SPDX-License-Identifier: Apache-2.0 */
/* Statistics, versions, backups. */
#include <string.h>

#include "api/check.h"
#include "shell/backup.h"
#include "shell/build.h"

meshsync_status meshsync_node_stats(meshsync_node *node, meshsync_stats *stats)
{
    meshsync_stats full;
    meshsync_status status = msy_check_node(node, NULL);
    if (status == MESHSYNC_OK) {
        status = msy_check_given(stats, "stats", NULL);
    }
    if (status != MESHSYNC_OK) {
        return status;
    }
    memset(&full, 0, sizeof full);
    status = msy_node_get_stats(node, &full);
    return status == MESHSYNC_OK
               ? msy_check_write_sized(stats, &full, sizeof full, "stats", NULL)
               : status;
}

meshsync_status meshsync_node_backup(meshsync_node *node, const char *file, meshsync_error *error)
{
    meshsync_status status = msy_check_node(node, error);
    if (status == MESHSYNC_OK) {
        status = msy_check_given(file, "file", error);
    }
    if (status == MESHSYNC_OK) {
        status = msy_node_may_write(node, error); /* A reader does not hold the identity. */
    }
    return status == MESHSYNC_OK ? msy_backup_write(node, file, error) : status;
}

meshsync_status meshsync_restore(const char *file, const char *folder, meshsync_error *error)
{
    meshsync_status status = msy_check_given(file, "file", error);
    if (status == MESHSYNC_OK) {
        status = msy_check_given(folder, "folder", error);
    }
    return status == MESHSYNC_OK ? msy_backup_restore(file, folder, error) : status;
}

const char *meshsync_version(void)
{
    return MESHSYNC_VERSION_STRING;
}

const char *meshsync_build_info(void)
{
    return msy_build_info();
}
