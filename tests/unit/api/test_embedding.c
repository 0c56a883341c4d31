/* SPDX-License-Identifier: Apache-2.0 */
/* The programs of docs/embedding.md do what it says: a node on its own thread, on the caller's
 * loop, turned by hand, and behind a queue. */
#include "unit/api/api_kit.h"

#include <poll.h>
#include <string.h>

#include <uv.h>

/* [own_thread] */
static meshsync_status own_thread(const char *folder, const char *peer, meshsync_node **node,
                                  meshsync_error *error)
{
    meshsync_options options;
    meshsync_options_init(&options, sizeof options);
    options.path = folder;
    meshsync_status status = meshsync_node_open(&options, node, error);
    if (status == MESHSYNC_OK) {
        status = meshsync_node_start(*node, error);
    }
    if (status == MESHSYNC_OK) {
        status = meshsync_node_listen(*node, "127.0.0.1:0", NULL, error);
    }
    if (status == MESHSYNC_OK && peer != NULL) {
        status = meshsync_peer_add(*node, peer, error);
    }
    return status;
}
/* [own_thread end] */

/* [callers_loop] */
struct app {
    uv_loop_t *loop;
    meshsync_node *node;
};

static void app_closed(void *user)
{
    struct app *app = user;
    app->node = NULL; /* Nothing of the node is left on the loop. */
}

static void app_stop(struct app *app)
{
    (void)meshsync_node_close_async(app->node, app_closed, app);
}

static meshsync_status app_start(struct app *app, meshsync_error *error)
{
    meshsync_status status = meshsync_node_start_on_loop(app->node, app->loop, error);
    if (status == MESHSYNC_OK) {
        status = meshsync_node_listen(app->node, "127.0.0.1:0", NULL, error);
    }
    return status;
}
/* [callers_loop end] */

/* [foreign_loop] */
static void turn_once(meshsync_node *node)
{
    struct pollfd polled = {.fd = meshsync_node_fd(node), .events = POLLIN};
    (void)poll(&polled, 1, meshsync_node_timeout_ms(node));
    (void)meshsync_node_process(node);
}
/* [foreign_loop end] */

/* [queue] */
static int queue_drain(meshsync_queue *queue)
{
    meshsync_event event;
    meshsync_error error;
    int puts = 0;
    while (meshsync_queue_next(queue, 0, &event, &error) == MESHSYNC_OK) {
        switch (event.type) {
        case MESHSYNC_EVENT_PUT: puts += 1; break;
        case MESHSYNC_EVENT_OVERFLOW: break; /* Look at the peers again: notices were lost. */
        default: break;                      /* Types of later versions are skipped. */
        }
    }
    return puts;
}
/* [queue end] */

/* [commit_async] */
static void committed(void *user, meshsync_status status, const meshsync_token *token,
                      const meshsync_error *error)
{
    int *left = user;
    (void)token; /* Lent: copy it to wait for it later. */
    (void)error;
    *left -= status == MESHSYNC_OK ? 1 : 0;
}

static meshsync_status put_without_waiting(meshsync_space *space, const char *key, int *left,
                                           meshsync_error *error)
{
    const meshsync_bytes part = meshsync_bytes_of(key);
    const meshsync_value value = meshsync_value_int(1);
    meshsync_txn *txn = NULL;
    meshsync_status status = meshsync_txn_begin(space, &txn, error);
    if (status != MESHSYNC_OK) {
        return status;
    }
    status = meshsync_txn_put(txn, "r", &(meshsync_path){&part, 1}, &value, NULL, error);
    if (status != MESHSYNC_OK) {
        meshsync_txn_abort(txn);
        return status;
    }
    return meshsync_txn_commit_async(txn, NULL, committed, left, error);
}
/* [commit_async end] */

static void test_own_thread(void **state)
{
    meshsync_error error = {0};
    char folder[API_PATH_BYTES_MAX];
    meshsync_node *node = NULL;
    (void)state;
    api_folder(folder);
    API_OK(own_thread(folder, "127.0.0.1:9", &node, &error));
    API_OK(meshsync_node_close(node));
    api_remove(folder);
}

static void test_callers_loop(void **state)
{
    meshsync_error error = {0};
    char folder[API_PATH_BYTES_MAX];
    uv_loop_t loop;
    (void)state;
    api_folder(folder);
    assert_int_equal(uv_loop_init(&loop), 0);
    struct app app = {.loop = &loop, .node = api_open(folder)};
    API_OK(app_start(&app, &error));
    app_stop(&app);
    assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
    assert_null(app.node);
    assert_int_equal(uv_loop_close(&loop), 0);
    api_remove(folder);
}

static void test_by_hand_with_a_queue(void **state)
{
    meshsync_error error = {0};
    char folder[API_PATH_BYTES_MAX];
    meshsync_queue *queue = NULL;
    int left = 2;
    int seen = 0;
    (void)state;
    api_folder(folder);
    meshsync_node *node = api_open(folder);
    meshsync_space *space = api_space(node);
    API_OK(meshsync_node_start_external(node, &error));
    API_OK(meshsync_queue_open(node, space, NULL, &queue, &error));
    API_OK(put_without_waiting(space, "a", &left, &error));
    API_OK(put_without_waiting(space, "b", &left, &error));
    while (seen < 2) {
        struct pollfd polled = {.fd = meshsync_queue_fd(queue), .events = POLLIN};
        assert_true(poll(&polled, 1, API_WAIT_MS) == 1);
        seen += queue_drain(queue);
    }
    turn_once(node);
    meshsync_queue_close(queue);
    API_OK(meshsync_node_close(node)); /* The writer has ended: both were answered. */
    assert_int_equal(left, 0);
    api_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own_thread),
        cmocka_unit_test(test_callers_loop),
        cmocka_unit_test(test_by_hand_with_a_queue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
