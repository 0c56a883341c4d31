/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two nodes in one process replicate over loopback: one founds a space and invites, the other
 * joins by the ticket, and a write at the first is waited for at the second.
 */
#include <meshsync/meshsync.h>
#include <stdio.h>
#include <stdlib.h>

/* Says what failed and ends the program: this is an example. */
static void check(meshsync_status status, const char *what, const meshsync_error *error)
{
    if (status != MESHSYNC_OK) {
        fprintf(stderr, "two_nodes: %s: %s: %s\n", what, meshsync_strerror(status),
                error->status == status ? error->message : "");
        exit(1);
    }
}

static meshsync_node *start(const char *path)
{
    meshsync_error error = {.status = MESHSYNC_OK};
    meshsync_node *node = NULL;
    meshsync_options options;
    meshsync_options_init(&options, sizeof options);
    options.path = path;
    check(meshsync_node_open(&options, &node, &error), path, &error);
    check(meshsync_node_start(node, &error), "start", &error);
    return node;
}

/* A new space at one node, joined by the other. */
static void share(meshsync_node *first, meshsync_node *second, meshsync_space *spaces[2])
{
    meshsync_error error = {.status = MESHSYNC_OK};
    static char ticket[MESHSYNC_TICKET_TEXT_BYTES_MAX]; /* Large for a stack. */
    /* The ticket names the address that the first node listens on. */
    check(meshsync_node_listen(first, "127.0.0.1:0", NULL, &error), "listen", &error);
    check(meshsync_space_create(first, "shared", &spaces[0], &error), "create", &error);
    check(meshsync_collection_create(spaces[0], "notes", MESHSYNC_REGISTER, MESHSYNC_VIEW_LWW, NULL,
                                     0, &error),
          "collection", &error);
    check(meshsync_space_invite(spaces[0], 0, ticket, &error), "invite", &error);
    check(meshsync_space_join(second, ticket, NULL, &spaces[1], &error), "join", &error);
}

static void write_and_read(meshsync_space *spaces[2])
{
    meshsync_error error = {.status = MESHSYNC_OK};
    const meshsync_bytes key = meshsync_bytes_of("from the first");
    const meshsync_value value = meshsync_value_string("good morning");
    const meshsync_path path = {&key, 1};
    meshsync_token token;
    meshsync_snapshot *snapshot = NULL;
    meshsync_entry entry;
    check(meshsync_put(spaces[0], "notes", key, &value, &token, &error), "put", &error);
    /* The token names this version at every node. */
    check(meshsync_wait(spaces[1], &token, 0, 10000, &error), "wait", &error);
    check(meshsync_snapshot_open(spaces[1], &snapshot, &error), "snapshot", &error);
    check(meshsync_get(snapshot, "notes", &path, &entry, &error), "get", &error);
    printf("the second node reads: %.*s\n", (int)entry.value.bytes.len,
           (const char *)entry.value.bytes.data);
    meshsync_snapshot_close(snapshot);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: two_nodes FOLDER FOLDER (two new ones)\n");
        return 2;
    }
    meshsync_node *first = start(argv[1]);
    meshsync_node *second = start(argv[2]);
    meshsync_space *spaces[2] = {NULL, NULL};
    share(first, second, spaces);
    write_and_read(spaces);
    meshsync_node_close(second);
    meshsync_node_close(first);
    return 0;
}
