/* SPDX-License-Identifier: Apache-2.0 */
/* Open a node, make a space and a collection, write a value durably, read it back. */
#include <stdio.h>

#include <meshsync/meshsync.h>

static int failed(const meshsync_error *error)
{
    (void)fprintf(stderr, "hello: %s\n", error->message);
    return 1;
}

/* [hello] */
static int hello(const char *folder, meshsync_error *error)
{
    meshsync_options options;
    meshsync_node *node = NULL;
    meshsync_space *space = NULL;
    meshsync_value value = meshsync_value_string("forty-two");
    meshsync_options_init(&options, sizeof options);
    options.path = folder;
    if (meshsync_node_open(&options, &node, error) != MESHSYNC_OK ||
        meshsync_space_create(node, "demo", &space, error) != MESHSYNC_OK ||
        meshsync_collection_create(space, "answers", MESHSYNC_REGISTER, MESHSYNC_VIEW_LWW, NULL, 0,
                                   error) != MESHSYNC_OK ||
        meshsync_put(space, "answers", meshsync_bytes_of("life"), &value, NULL, error) !=
            MESHSYNC_OK) {
        (void)meshsync_node_close(node);
        return 1;
    }
    return meshsync_node_close(node) == MESHSYNC_OK ? 0 : 1;
}
/* [hello end] */

int main(int argc, char **argv)
{
    meshsync_error error = {0};
    if (argc != 2) {
        (void)fprintf(stderr, "usage: hello FOLDER\n");
        return 2;
    }
    if (hello(argv[1], &error) != 0) {
        return failed(&error);
    }
    (void)printf("written\n");
    return 0;
}
