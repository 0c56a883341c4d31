/* SPDX-License-Identifier: Apache-2.0 */
/* Statistics and versions. */
#include <string.h>

#include "api/check.h"
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
    return status == MESHSYNC_OK ? msy_check_write_sized(stats, &full, sizeof full, "stats", NULL)
                                 : status;
}

const char *meshsync_version(void)
{
    return MESHSYNC_VERSION_STRING;
}

const char *meshsync_build_info(void)
{
    return msy_build_info();
}
