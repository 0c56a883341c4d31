/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node on a libuv loop of the program's own: its network and its callbacks run there, between
 * the program's other handles. A put without waiting, seen by a watch; then everything is closed.
 */
#include <meshsync/loop.h>
#include <meshsync/meshsync.h>
#include <stdio.h>
#include <uv.h>

struct app {
    uv_loop_t loop;
    meshsync_node *node;
    meshsync_watch *watch;
    int exit_code;
};

static void on_closed(void *user)
{
    struct app *app = user;
    app->node = NULL; /* The loop ends by itself: no handle of the node is left on it. */
}

static void on_event(void *user, meshsync_node *node, const meshsync_event *event)
{
    struct app *app = user;
    if (event->type != MESHSYNC_EVENT_PUT) {
        return;
    }
    printf("seen: %.*s\n", (int)event->value.bytes.len, (const char *)event->value.bytes.data);
    app->exit_code = 0;
    meshsync_watch_stop(app->watch);
    app->watch = NULL;
    if (meshsync_node_close_async(node, on_closed, app) != MESHSYNC_OK) {
        uv_stop(&app->loop);
    }
}

static meshsync_status prepare(struct app *app, meshsync_space **space, meshsync_error *error)
{
    static const meshsync_feed_options from_now = {.size = sizeof from_now, .from_now = 1};
    meshsync_status status = meshsync_space_find(app->node, "home", space, error);
    if (status == MESHSYNC_E_NOT_FOUND) {
        status = meshsync_space_create(app->node, "home", space, error);
    }
    if (status == MESHSYNC_OK) {
        status = meshsync_collection_create(*space, "notes", MESHSYNC_REGISTER, MESHSYNC_VIEW_LWW,
                                            NULL, 0, error);
    }
    if (status == MESHSYNC_OK) {
        status = meshsync_node_start_on_loop(app->node, &app->loop, error);
    }
    if (status == MESHSYNC_OK) {
        status = meshsync_watch_start(*space, &from_now, on_event, app, &app->watch, error);
    }
    return status;
}

static void on_committed(void *user, meshsync_status status, const meshsync_token *token,
                         const meshsync_error *error)
{
    (void)user;
    (void)token;
    if (status != MESHSYNC_OK) {
        fprintf(stderr, "uv_loop: commit: %s\n", error->message);
    }
}

static meshsync_status put_without_waiting(meshsync_space *space, meshsync_error *error)
{
    const meshsync_bytes key = meshsync_bytes_of("loop");
    const meshsync_value value = meshsync_value_string("turned by the program");
    meshsync_txn *txn = NULL;
    meshsync_status status = meshsync_txn_begin(space, &txn, error);
    if (status == MESHSYNC_OK) {
        status = meshsync_txn_put(txn, "notes", &(meshsync_path){&key, 1}, &value, NULL, error);
    }
    if (status != MESHSYNC_OK) {
        meshsync_txn_abort(txn);
        return status;
    }
    return meshsync_txn_commit_async(txn, NULL, on_committed, NULL, error);
}

int main(int argc, char **argv)
{
    struct app app = {.exit_code = 1};
    meshsync_options options;
    meshsync_space *space = NULL;
    meshsync_error error = {.status = MESHSYNC_OK};
    meshsync_options_init(&options, sizeof options);
    options.path = argc > 1 ? argv[1] : "uv-loop-data";
    if (uv_loop_init(&app.loop) != 0) {
        return 1;
    }
    meshsync_status status = meshsync_node_open(&options, &app.node, &error);
    if (status == MESHSYNC_OK) {
        status = prepare(&app, &space, &error);
    }
    if (status == MESHSYNC_OK) {
        status = put_without_waiting(space, &error);
    }
    if (status != MESHSYNC_OK) {
        fprintf(stderr, "uv_loop: %s: %s\n", meshsync_strerror(status), error.message);
        (void)meshsync_node_close_async(app.node, on_closed, &app);
    }
    (void)uv_run(&app.loop, UV_RUN_DEFAULT);
    return uv_loop_close(&app.loop) == 0 ? app.exit_code : 1;
}
