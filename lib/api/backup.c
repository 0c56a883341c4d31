/* SPDX-License-Identifier: Apache-2.0 */
/* Backups: the checks; lib/shell does the work. */
#include "shell/backup.h"

#include "api/check.h"

meshsync_status meshsync_node_backup(meshsync_node *node, const char *file, meshsync_error *error)
{
    meshsync_error words;
    meshsync_status status = msy_check_node(node, error);
    if (status == MESHSYNC_OK) {
        status = msy_check_given(file, "file", error);
    }
    if (status == MESHSYNC_OK) {
        status = msy_node_may_write(node, error); /* A reader does not hold the identity. */
    }
    if (status == MESHSYNC_OK) {
        status = msy_backup_write(node, file, msy_check_words(&words));
        status = msy_check_said(status, &words, "backup", error);
    }
    return status;
}

meshsync_status meshsync_restore(const char *file, const char *folder, meshsync_error *error)
{
    meshsync_error words;
    meshsync_status status = msy_check_given(file, "file", error);
    if (status == MESHSYNC_OK) {
        status = msy_check_given(folder, "folder", error);
    }
    if (status == MESHSYNC_OK) {
        status = msy_backup_restore(file, folder, msy_check_words(&words));
        status = msy_check_said(status, &words, "restore", error);
    }
    return status;
}

meshsync_status meshsync_set_aside(const char *folder, meshsync_error *error)
{
    meshsync_error words;
    meshsync_status status = msy_check_given(folder, "folder", error);
    if (status == MESHSYNC_OK) {
        status = msy_backup_set_aside(folder, msy_check_words(&words));
        status = msy_check_said(status, &words, "set aside", error);
    }
    return status;
}
