/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node on a foreign loop, here epoll: one descriptor, one time-out and one call to process what
 * is due. Events come through a queue with a descriptor of its own, so no callback is needed.
 */
#include <meshsync/loop.h>
#include <meshsync/meshsync.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { LOOP_TURNS_MAX = 1000 };

static meshsync_status prepare(meshsync_node *node, meshsync_space **space, meshsync_queue **queue,
                               meshsync_error *error)
{
    static const meshsync_feed_options from_now = {.size = sizeof from_now, .from_now = 1};
    meshsync_status status = meshsync_space_find(node, "home", space, error);
    if (status == MESHSYNC_E_NOT_FOUND) {
        status = meshsync_space_create(node, "home", space, error);
    }
    if (status == MESHSYNC_OK) {
        status = meshsync_collection_create(*space, "notes", MESHSYNC_REGISTER, MESHSYNC_VIEW_LWW,
                                            NULL, 0, error);
    }
    if (status == MESHSYNC_OK) {
        status = meshsync_node_start_external(node, error);
    }
    if (status == MESHSYNC_OK) {
        status = meshsync_queue_open(node, *space, &from_now, queue, error);
    }
    return status;
}

static int poller_open(const meshsync_node *node, const meshsync_queue *queue)
{
    struct epoll_event node_event = {.events = EPOLLIN, .data.fd = meshsync_node_fd(node)};
    struct epoll_event queue_event = {.events = EPOLLIN, .data.fd = meshsync_queue_fd(queue)};
    int poller = epoll_create1(EPOLL_CLOEXEC);
    if (poller < 0) {
        return -1;
    }
    if (epoll_ctl(poller, EPOLL_CTL_ADD, node_event.data.fd, &node_event) != 0 ||
        epoll_ctl(poller, EPOLL_CTL_ADD, queue_event.data.fd, &queue_event) != 0) {
        (void)close(poller);
        return -1;
    }
    return poller;
}

/* Takes what is in the queue. Returns 1 once a put was seen. */
static int take_events(meshsync_queue *queue)
{
    meshsync_event event = {.size = sizeof event};
    meshsync_error error;
    while (meshsync_queue_next(queue, 0, &event, &error) == MESHSYNC_OK) {
        if (event.type == MESHSYNC_EVENT_PUT) {
            printf("seen: %.*s\n", (int)event.value.bytes.len,
                   (const char *)event.value.bytes.data);
            return 1;
        }
    }
    return 0;
}

static int turn(meshsync_node *node, meshsync_queue *queue)
{
    int poller = poller_open(node, queue);
    int seen = 0;
    for (int i = 0; poller >= 0 && i < LOOP_TURNS_MAX && !seen; i++) {
        struct epoll_event events[4];
        int timeout_ms = meshsync_node_timeout_ms(node);
        if (epoll_wait(poller, events, 4, timeout_ms) < 0 ||
            meshsync_node_process(node) != MESHSYNC_OK) {
            break;
        }
        seen = take_events(queue);
    }
    if (poller >= 0) {
        (void)close(poller);
    }
    return seen;
}

int main(int argc, char **argv)
{
    meshsync_options options;
    meshsync_node *node = NULL;
    meshsync_space *space = NULL;
    meshsync_queue *queue = NULL;
    meshsync_error error = {.status = MESHSYNC_OK};
    const meshsync_value value = meshsync_value_string("turned by epoll");
    int seen = 0;
    meshsync_options_init(&options, sizeof options);
    options.path = argc > 1 ? argv[1] : "epoll-loop-data";

    meshsync_status status = meshsync_node_open(&options, &node, &error);
    if (status == MESHSYNC_OK) {
        status = prepare(node, &space, &queue, &error);
    }
    if (status == MESHSYNC_OK) {
        status = meshsync_put(space, "notes", meshsync_bytes_of("loop"), &value, NULL, &error);
    }
    if (status == MESHSYNC_OK) {
        seen = turn(node, queue);
    } else {
        fprintf(stderr, "epoll_loop: %s: %s\n", meshsync_strerror(status), error.message);
    }
    meshsync_queue_close(queue);
    meshsync_node_close(node);
    return seen ? 0 : 1;
}
