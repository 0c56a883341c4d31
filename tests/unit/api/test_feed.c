/* SPDX-License-Identifier: Apache-2.0 */
/* The change feed resumes where it was left, and watches and queues end as they should. */
#include "unit/api/api_kit.h"

#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <uv.h>

#include "shell/node.h"

static void feed_expect(meshsync_feed *feed, const char *key, meshsync_cursor *cursor)
{
    meshsync_error error = {0};
    meshsync_event event;
    uint8_t part[MESHSYNC_PATH_BYTES_MAX];
    size_t len = 0;
    API_OK(meshsync_feed_next(feed, API_WAIT_MS, &event, &error));
    assert_int_equal(event.type, MESHSYNC_EVENT_PUT);
    assert_string_equal(event.collection, "r");
    API_OK(meshsync_entry_part(event.key, 0, part, &len));
    assert_int_equal(len, strlen(key));
    assert_memory_equal(part, key, len);
    if (cursor != NULL) {
        *cursor = event.cursor;
    }
}

static void test_resumes(void **state)
{
    meshsync_error error = {0};
    char folder[API_PATH_BYTES_MAX];
    meshsync_feed *feed = NULL;
    meshsync_space *space = NULL;
    meshsync_feed_options options = {.size = sizeof options};
    meshsync_event event;
    (void)state;
    api_folder(folder);
    meshsync_node *node = api_open(folder);
    space = api_space(node);
    api_put(space, "a", "1");
    api_put(space, "b", "2");
    api_put(space, "c", "3");
    API_OK(meshsync_feed_open(space, NULL, &feed, &error));
    feed_expect(feed, "a", NULL);
    feed_expect(feed, "b", &options.from);
    meshsync_feed_close(feed);
    API_OK(meshsync_node_close(node));

    node = api_open(folder);
    API_OK(meshsync_space_find(node, "s", &space, &error));
    API_OK(meshsync_feed_open(space, &options, &feed, &error));
    feed_expect(feed, "c", NULL);
    API_FAILS(MESHSYNC_E_TIMEOUT, meshsync_feed_next(feed, 0, &event, &error));
    API_FAILS(MESHSYNC_E_TIMEOUT, meshsync_feed_next(feed, 5, &event, &error));
    api_put(space, "d", "4");
    feed_expect(feed, "d", NULL);
    options.from.len = 3;
    meshsync_feed *bad = NULL;
    API_FAILS(MESHSYNC_E_INVALID, meshsync_feed_open(space, &options, &bad, &error));
    options.from.len = 99;
    API_FAILS(MESHSYNC_E_INVALID, meshsync_feed_open(space, &options, &bad, &error));
    API_OK(meshsync_node_close(node)); /* And the feed with it. */
    api_remove(folder);
}

struct waiting {
    meshsync_feed *feed;
    meshsync_status status;
    _Atomic int begun;
};

static void waits(void *user)
{
    struct waiting *waiting = user;
    meshsync_event event;
    meshsync_error error;
    atomic_store(&waiting->begun, 1);
    waiting->status = meshsync_feed_next(waiting->feed, API_WAIT_MS, &event, &error);
}

static void test_closing_wakes_up(void **state)
{
    meshsync_error error = {0};
    char folder[API_PATH_BYTES_MAX];
    struct waiting waiting = {0};
    uv_thread_t thread;
    (void)state;
    api_folder(folder);
    meshsync_node *node = api_open(folder);
    meshsync_space *space = api_space(node);
    API_OK(meshsync_feed_open(space, NULL, &waiting.feed, &error));
    assert_int_equal(uv_thread_create(&thread, waits, &waiting), 0);
    /* Until it is inside: closing before it came would be a misuse. */
    bool inside = false;
    while (!inside) {
        pthread_mutex_lock(&node->board.lock);
        inside = node->board.inside > 0;
        pthread_mutex_unlock(&node->board.lock);
    }
    API_OK(meshsync_node_close(node));
    assert_int_equal(uv_thread_join(&thread), 0);
    assert_int_equal(waiting.status, MESHSYNC_E_CANCELLED);
    api_remove(folder);
}

struct watching {
    uv_sem_t came;
    _Atomic int puts;
    _Atomic int ends;
    _Atomic int after_end;
};

static void watched(void *user, meshsync_node *node, const meshsync_event *event)
{
    struct watching *watching = user;
    (void)node;
    watching->after_end += watching->ends;
    watching->puts += event->type == MESHSYNC_EVENT_PUT;
    watching->ends += event->type == MESHSYNC_EVENT_END;
    uv_sem_post(&watching->came);
}

static void test_watches_end(void **state)
{
    enum { PUTS = 700 }; /* More than one portion. */
    meshsync_error error = {0};
    char folder[API_PATH_BYTES_MAX];
    static struct watching watching[3];
    meshsync_watch *watch = NULL;
    meshsync_watch *other = NULL;
    meshsync_txn *txn = NULL;
    char key[16];
    (void)state;
    memset(watching, 0, sizeof watching);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(uv_sem_init(&watching[i].came, 0), 0);
    }
    api_folder(folder);
    meshsync_node *node = api_open(folder);
    meshsync_space *space = api_space(node);
    API_OK(meshsync_watch_start(space, NULL, watched, &watching[0], &watch, &error));
    API_OK(meshsync_watch_start(space, NULL, watched, &watching[1], &other, &error));
    API_OK(meshsync_txn_begin(space, &txn, &error));
    for (int i = 0; i < PUTS; i++) {
        (void)snprintf(key, sizeof key, "%d", i);
        api_put_in(txn, key, "v");
    }
    API_OK(meshsync_txn_commit(txn, NULL, NULL, &error));
    assert_int_equal(watching[0].puts, 0); /* Nothing comes before the node is started. */
    API_OK(meshsync_node_start(node, &error));
    for (int i = 0; i < PUTS; i++) {
        uv_sem_wait(&watching[0].came);
    }
    assert_int_equal(watching[0].puts, PUTS);
    meshsync_watch_stop(watch);
    meshsync_watch_stop(NULL);
    uv_sem_wait(&watching[0].came);
    assert_int_equal(watching[0].ends, 1);
    api_put(space, "later", "v");
    for (int i = 0; i < PUTS + 1; i++) {
        uv_sem_wait(&watching[1].came);
    }
    assert_int_equal(watching[1].puts, PUTS + 1);
    API_OK(meshsync_watch_start(space, NULL, watched, &watching[2], &watch, &error));
    API_OK(meshsync_node_close(node));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(watching[i].ends, 1);
        assert_int_equal(watching[i].after_end, 0);
        uv_sem_destroy(&watching[i].came);
    }
    assert_int_equal(watching[0].puts, PUTS);
    api_remove(folder);
}

static bool queue_readable(const meshsync_queue *queue)
{
    struct pollfd polled = {.fd = meshsync_queue_fd(queue), .events = POLLIN};
    return poll(&polled, 1, 0) == 1;
}

static void test_queue(void **state)
{
    meshsync_error error = {0};
    char folder[API_PATH_BYTES_MAX];
    meshsync_queue *queue = NULL;
    meshsync_event event;
    (void)state;
    api_folder(folder);
    meshsync_node *node = api_open(folder);
    meshsync_space *space = api_space(node);
    meshsync_feed_options options = {.size = sizeof options, .from_now = 1};
    API_OK(meshsync_queue_open(node, space, &options, &queue, &error));
    API_FAILS(MESHSYNC_E_TIMEOUT, meshsync_queue_next(queue, 0, &event, &error));
    assert_false(queue_readable(queue));
    api_put(space, "k", "v");
    API_OK(meshsync_queue_next(queue, API_WAIT_MS, &event, &error));
    assert_int_equal(event.type, MESHSYNC_EVENT_PUT);
    assert_ptr_equal(event.space, space);
    api_put(space, "k", "w");
    struct pollfd polled = {.fd = meshsync_queue_fd(queue), .events = POLLIN};
    assert_int_equal(poll(&polled, 1, API_WAIT_MS), 1);
    API_OK(meshsync_queue_next(queue, 0, &event, &error));
    API_FAILS(MESHSYNC_E_TIMEOUT, meshsync_queue_next(queue, 1, &event, &error));
    assert_false(queue_readable(queue));
    meshsync_queue_close(queue);
    API_OK(meshsync_node_close(node));
    api_remove(folder);
}

static void test_queue_overflow(void **state)
{
    meshsync_error error = {0};
    char folder[API_PATH_BYTES_MAX];
    meshsync_queue *queue = NULL;
    meshsync_event event;
    (void)state;
    api_folder(folder);
    meshsync_node *node = api_open(folder);
    API_OK(meshsync_queue_open(node, NULL, NULL, &queue, &error));
    for (uint32_t i = 0; i < MESHSYNC_QUEUE_EVENTS_MAX + 10; i++) {
        msy_node_notice(node, MESHSYNC_EVENT_ALARM, 0, NULL, "words");
    }
    for (uint32_t i = 0; i < MESHSYNC_QUEUE_EVENTS_MAX; i++) {
        API_OK(meshsync_queue_next(queue, 0, &event, &error));
        assert_int_equal(event.type, MESHSYNC_EVENT_ALARM);
        assert_memory_equal(event.value.bytes.data, "words", 5);
    }
    API_OK(meshsync_queue_next(queue, 0, &event, &error));
    assert_int_equal(event.type, MESHSYNC_EVENT_OVERFLOW);
    API_FAILS(MESHSYNC_E_TIMEOUT, meshsync_queue_next(queue, 0, &event, &error));
    msy_node_notice(node, MESHSYNC_EVENT_ALARM, 0, NULL, "anew");
    API_OK(meshsync_queue_next(queue, 0, &event, &error));
    assert_memory_equal(event.value.bytes.data, "anew", 4);
    API_OK(meshsync_node_close(node)); /* And the queue with it. */
    api_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resumes),        cmocka_unit_test(test_closing_wakes_up),
        cmocka_unit_test(test_watches_end),    cmocka_unit_test(test_queue),
        cmocka_unit_test(test_queue_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
