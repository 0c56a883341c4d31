/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The change feed as a callback: every write of a space is told in causal order, whoever made it.
 * Here a few are made by the program itself.
 */
#include <meshsync/meshsync.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

enum { WATCH_PUTS = 3 };

static atomic_int watch_seen;

/* Runs on the node's network thread and must not block. */
static void on_event(void *user, meshsync_node *node, const meshsync_event *event)
{
    uint8_t key[MESHSYNC_PATH_BYTES_MAX];
    size_t len = 0;
    (void)user;
    (void)node;
    if (event->type != MESHSYNC_EVENT_PUT ||
        meshsync_entry_part(event->key, 0, key, &len) != MESHSYNC_OK) {
        return; /* Types that one does not know are skipped. */
    }
    printf("%s/%.*s = %.*s\n", event->collection, (int)len, (const char *)key,
           (int)event->value.bytes.len, (const char *)event->value.bytes.data);
    atomic_fetch_add(&watch_seen, 1);
}

static meshsync_status open_space(meshsync_node *node, meshsync_space **space,
                                  meshsync_error *error)
{
    meshsync_status status = meshsync_space_find(node, "home", space, error);
    if (status == MESHSYNC_E_NOT_FOUND) {
        status = meshsync_space_create(node, "home", space, error);
    }
    if (status == MESHSYNC_OK) {
        status = meshsync_collection_create(*space, "notes", MESHSYNC_REGISTER, MESHSYNC_VIEW_LWW,
                                            NULL, 0, error);
    }
    return status;
}

static meshsync_status put_some(meshsync_space *space, meshsync_error *error)
{
    static const char *const words[WATCH_PUTS] = {"one", "two", "three"};
    meshsync_status status = MESHSYNC_OK;
    for (int i = 0; i < WATCH_PUTS && status == MESHSYNC_OK; i++) {
        const meshsync_value value = meshsync_value_string(words[i]);
        status = meshsync_put(space, "notes", meshsync_bytes_of("counting"), &value, NULL, error);
    }
    return status;
}

int main(int argc, char **argv)
{
    meshsync_options options;
    meshsync_node *node = NULL;
    meshsync_space *space = NULL;
    meshsync_watch *watch = NULL;
    meshsync_error error = {.status = MESHSYNC_OK};
    const meshsync_feed_options from_now = {.size = sizeof from_now, .from_now = 1};
    meshsync_options_init(&options, sizeof options);
    options.path = argc > 1 ? argv[1] : "watch-data";

    meshsync_status status = meshsync_node_open(&options, &node, &error);
    if (status == MESHSYNC_OK) {
        status = meshsync_node_start(node, &error); /* Callbacks need the network thread. */
    }
    if (status == MESHSYNC_OK) {
        status = open_space(node, &space, &error);
    }
    if (status == MESHSYNC_OK) {
        status = meshsync_watch_start(space, &from_now, on_event, NULL, &watch, &error);
    }
    if (status == MESHSYNC_OK) {
        status = put_some(space, &error);
    }
    for (int i = 0; status == MESHSYNC_OK && atomic_load(&watch_seen) < WATCH_PUTS; i++) {
        if (i == 500) {
            status = MESHSYNC_E_TIMEOUT;
        }
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    if (status != MESHSYNC_OK) {
        fprintf(stderr, "watch: %s: %s\n", meshsync_strerror(status), error.message);
    }
    meshsync_watch_stop(watch);
    meshsync_node_close(node);
    return status == MESHSYNC_OK ? 0 : 1;
}
