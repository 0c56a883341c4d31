/* SPDX-License-Identifier: Apache-2.0 */
/* A program of somebody else's: it knows the installed headers and library alone. */
#include <stdio.h>
#include <string.h>

#include <meshsync/meshsync.h>

static int show(meshsync_status status, const meshsync_error *error)
{
    fprintf(stderr, "%s: %s\n", meshsync_status_name(status), error->message);
    return 1;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        return 2;
    }
    meshsync_error error;
    meshsync_options options;
    meshsync_options_init(&options, sizeof options);
    options.path = argv[1];
    meshsync_node *node = NULL;
    meshsync_status status = meshsync_node_open(&options, &node, &error);
    if (status != MESHSYNC_OK) {
        return show(status, &error);
    }
    if (strcmp(meshsync_version(), MESHSYNC_VERSION_STRING) != 0) {
        fprintf(stderr, "library %s, header %s\n", meshsync_version(), MESHSYNC_VERSION_STRING);
        return 1;
    }
    printf("%s\n", meshsync_build_info());
    return meshsync_node_close(node) == MESHSYNC_OK ? 0 : 1;
}
