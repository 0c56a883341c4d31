/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The smallest useful program: open a node, make a space and a collection, put a value, read it
 * back. Run it twice: the data is still there.
 */
#include <meshsync/meshsync.h>
#include <stdio.h>

int main(void)
{
    meshsync_options options;
    meshsync_node *node = NULL;
    meshsync_space *space = NULL;
    meshsync_snapshot *snapshot = NULL;
    meshsync_entry entry;
    meshsync_error error = {.status = MESHSYNC_OK};
    const meshsync_bytes key = meshsync_bytes_of("greeting");
    const meshsync_value value = meshsync_value_string("hello, mesh");
    meshsync_options_init(&options, sizeof options);
    options.path = "hello-data";

    /* [hello] */
    meshsync_status status = meshsync_node_open(&options, &node, &error);
    if (status == MESHSYNC_OK) {
        status = meshsync_space_find(node, "home", &space, &error);
    }
    if (status == MESHSYNC_E_NOT_FOUND) {
        status = meshsync_space_create(node, "home", &space, &error);
    }
    if (status == MESHSYNC_OK) {
        status = meshsync_collection_create(space, "notes", MESHSYNC_REGISTER, MESHSYNC_VIEW_LWW,
                                            NULL, 0, &error);
    }
    if (status == MESHSYNC_OK) {
        status = meshsync_put(space, "notes", key, &value, NULL, &error);
    }
    if (status == MESHSYNC_OK) {
        status = meshsync_snapshot_open(space, &snapshot, &error);
    }
    if (status == MESHSYNC_OK) {
        status = meshsync_get(snapshot, "notes", &(meshsync_path){&key, 1}, &entry, &error);
    }
    /* [hello end] */
    if (status == MESHSYNC_OK) {
        printf("%.*s\n", (int)entry.value.bytes.len, (const char *)entry.value.bytes.data);
    } else {
        fprintf(stderr, "hello: %s: %s\n", meshsync_strerror(status), error.message);
    }
    meshsync_snapshot_close(snapshot);
    meshsync_node_close(node);
    return status == MESHSYNC_OK ? 0 : 1;
}
