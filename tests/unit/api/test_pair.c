/* SPDX-License-Identifier: Apache-2.0 */
/* Two nodes in one process find each other by a ticket, and what one commits the other has. */
#include "unit/api/api_kit.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#include <uv.h>

#include "shell/node.h"

struct pair {
    char folders[2][API_PATH_BYTES_MAX];
    meshsync_node *nodes[2];
    meshsync_space *spaces[2];
    char address[MESHSYNC_ADDRESS_BYTES_MAX];
};

/* The first node founds, listens and invites; the second joins. */
static void pair_open(struct pair *pair)
{
    meshsync_error error = {0};
    char ticket[MESHSYNC_TICKET_TEXT_BYTES_MAX];
    for (int i = 0; i < 2; i++) {
        api_folder(pair->folders[i]);
        pair->nodes[i] = api_open(pair->folders[i]);
        API_OK(meshsync_node_start(pair->nodes[i], &error));
    }
    pair->spaces[0] = api_space(pair->nodes[0]);
    API_OK(meshsync_node_listen(pair->nodes[0], "127.0.0.1:0", pair->address, &error));
    API_OK(meshsync_space_invite(pair->spaces[0], 0, ticket, &error));
    API_OK(meshsync_space_join(pair->nodes[1], ticket, NULL, &pair->spaces[1], &error));
}

static void pair_close(struct pair *pair)
{
    for (int i = 0; i < 2; i++) {
        assert_int_equal(meshsync_node_close(pair->nodes[i]), MESHSYNC_OK);
        api_remove(pair->folders[i]);
    }
}

static meshsync_token pair_put(meshsync_space *space, const char *key, const char *value)
{
    meshsync_error error = {0};
    meshsync_token token;
    meshsync_value text = meshsync_value_string(value);
    API_OK(meshsync_put(space, "r", meshsync_bytes_of(key), &text, &token, &error));
    return token;
}

static void pair_same(struct pair *pair)
{
    meshsync_error error = {0};
    meshsync_digest digests[2];
    for (int i = 0; i < 2; i++) {
        meshsync_token token;
        API_OK(meshsync_space_version(pair->spaces[i], &token, &error));
        API_OK(meshsync_wait(pair->spaces[1 - i], &token, 0, API_WAIT_MS, &error));
    }
    for (int i = 0; i < 2; i++) {
        memset(&digests[i], 0, sizeof digests[i]);
        digests[i].size = sizeof digests[i];
        API_OK(meshsync_space_digest(pair->spaces[i], &digests[i], &error));
    }
    assert_int_equal(digests[0].changes, digests[1].changes);
    assert_memory_equal(digests[0].digest, digests[1].digest, MESHSYNC_DIGEST_BYTES);
}

static void test_both_ways(void **state)
{
    struct pair pair;
    meshsync_error error = {0};
    char text[64];
    (void)state;
    pair_open(&pair);
    meshsync_token token = pair_put(pair.spaces[0], "from", "zero");
    API_OK(meshsync_wait(pair.spaces[1], &token, 0, API_WAIT_MS, &error));
    api_get(pair.spaces[1], "from", text);
    assert_string_equal(text, "zero");
    token = pair_put(pair.spaces[1], "back", "one");
    API_OK(meshsync_wait(pair.spaces[0], &token, 0, API_WAIT_MS, &error));
    api_get(pair.spaces[0], "back", text);
    assert_string_equal(text, "one");
    pair_same(&pair);
    meshsync_space_info info = {.size = sizeof info};
    API_OK(meshsync_space_get_info(pair.spaces[0], &info, &error));
    assert_int_equal(info.members, 2);
    assert_int_equal(info.joined, 1);
    assert_string_equal(info.name, "s");
    pair_close(&pair);
}

static void test_many(void **state)
{
    struct pair pair;
    meshsync_error error = {0};
    char key[32];
    char text[64];
    (void)state;
    pair_open(&pair);
    pair_same(&pair); /* The second has the collections then. */
    for (int i = 0; i < 40; i++) {
        meshsync_txn *txn = NULL;
        API_OK(meshsync_txn_begin(pair.spaces[i % 2], &txn, &error));
        for (int k = 0; k < 50; k++) {
            (void)snprintf(key, sizeof key, "%d-%d", i, k);
            api_put_in(txn, key, "v");
        }
        API_OK(meshsync_txn_commit(txn, NULL, NULL, &error));
    }
    pair_same(&pair);
    api_get(pair.spaces[1], "38-49", text);
    assert_string_equal(text, "v");
    pair_close(&pair);
}

static void commit_said(void *user, meshsync_status status, const meshsync_token *token,
                        const meshsync_error *error)
{
    uv_sem_t *said = user;
    assert_int_equal(status, MESHSYNC_OK);
    assert_null(error);
    assert_true(token->len > 0);
    uv_sem_post(said);
}

static void test_acknowledged_by_a_peer(void **state)
{
    struct pair pair;
    meshsync_error error = {0};
    meshsync_commit_options one = {.size = sizeof one, .ack = 1, .timeout_ms = API_WAIT_MS};
    meshsync_commit_options two = {.size = sizeof two, .ack = 2, .timeout_ms = 50};
    meshsync_token token;
    meshsync_txn *txn = NULL;
    uv_sem_t said;
    char text[64];
    (void)state;
    pair_open(&pair);
    API_OK(meshsync_txn_begin(pair.spaces[0], &txn, &error));
    api_put_in(txn, "one", "held");
    API_OK(meshsync_txn_commit(txn, &one, &token, &error));
    api_get(pair.spaces[1], "one", text);
    assert_string_equal(text, "held");
    API_OK(meshsync_wait(pair.spaces[0], &token, 1, API_WAIT_MS, &error));
    API_OK(meshsync_wait(pair.spaces[0], NULL, 1, API_WAIT_MS, &error));

    API_OK(meshsync_txn_begin(pair.spaces[0], &txn, &error));
    api_put_in(txn, "two", "asked too much");
    API_FAILS(MESHSYNC_E_TIMEOUT, meshsync_txn_commit(txn, &two, &token, &error));
    assert_true(token.len > 0); /* It is durable here, and its token good. */
    API_OK(meshsync_wait(pair.spaces[1], &token, 0, API_WAIT_MS, &error));
    API_FAILS(MESHSYNC_E_TIMEOUT, meshsync_wait(pair.spaces[0], &token, 2, 10, &error));

    assert_int_equal(uv_sem_init(&said, 0), 0);
    for (int i = 0; i < 100; i++) {
        API_OK(meshsync_txn_begin(pair.spaces[0], &txn, &error));
        api_put_in(txn, "async", "held");
        API_OK(meshsync_txn_commit_async(txn, &one, commit_said, &said, &error));
    }
    for (int i = 0; i < 100; i++) {
        uv_sem_wait(&said);
    }
    uv_sem_destroy(&said);
    pair_close(&pair);
}

static void test_peers_are_shown(void **state)
{
    struct pair pair;
    meshsync_error error = {0};
    meshsync_queue *queue = NULL;
    meshsync_peer_info info = {.size = sizeof info};
    meshsync_event event;
    uint8_t id[MESHSYNC_NODE_ID_BYTES];
    (void)state;
    pair_open(&pair);
    API_OK(meshsync_wait(pair.spaces[0], NULL, 1, API_WAIT_MS, &error));
    API_OK(meshsync_queue_open(pair.nodes[1], NULL, NULL, &queue, &error));
    API_OK(meshsync_node_id(pair.nodes[0], id));
    API_OK(meshsync_peer_at(pair.nodes[1], 0, &info));
    assert_memory_equal(info.id, id, sizeof id);
    assert_string_equal(info.address, pair.address);
    assert_int_equal(info.outbound, 1);
    assert_true(info.state >= MESHSYNC_PEER_SYNCING);
    meshsync_stats stats = {.size = sizeof stats};
    API_OK(meshsync_node_stats(pair.nodes[1], &stats));
    assert_int_equal(stats.sessions, 1);
    assert_true(stats.bytes_in > 0 && stats.bytes_out > 0 && stats.changes_in > 0);

    API_FAILS(MESHSYNC_E_NOT_FOUND, meshsync_peer_remove(pair.nodes[1], "127.0.0.1:1", &error));
    API_OK(meshsync_peer_remove(pair.nodes[1], pair.address, &error));
    do {
        API_OK(meshsync_queue_next(queue, API_WAIT_MS, &event, &error));
    } while (event.type != MESHSYNC_EVENT_PEER_DOWN);
    assert_memory_equal(event.device, id, sizeof id);
    meshsync_queue_close(queue);
    pair_close(&pair);
}

static void test_a_restart_finds_its_mesh(void **state)
{
    struct pair pair;
    meshsync_error error = {0};
    (void)state;
    pair_open(&pair);
    API_OK(meshsync_wait(pair.spaces[0], NULL, 1, API_WAIT_MS, &error));
    API_OK(meshsync_node_close(pair.nodes[1]));
    meshsync_token token = pair_put(pair.spaces[0], "meanwhile", "written");
    pair.nodes[1] = api_open(pair.folders[1]);
    API_OK(meshsync_space_find(pair.nodes[1], "s", &pair.spaces[1], &error));
    API_OK(meshsync_node_start(pair.nodes[1], &error)); /* Nobody told it an address. */
    API_OK(meshsync_wait(pair.spaces[1], &token, 0, API_WAIT_MS, &error));
    pair_same(&pair);
    pair_close(&pair);
}

static void test_a_socket_of_the_file_system(void **state)
{
    struct pair pair;
    meshsync_error error = {0};
    char address[MESHSYNC_ADDRESS_BYTES_MAX];
    char bound[MESHSYNC_ADDRESS_BYTES_MAX];
    (void)state;
    pair_open(&pair);
    (void)snprintf(address, sizeof address, "unix:%.200s/socket", pair.folders[0]);
    API_OK(meshsync_wait(pair.spaces[0], NULL, 1, API_WAIT_MS, &error));
    API_OK(meshsync_peer_remove(pair.nodes[1], pair.address, &error));
    API_OK(meshsync_node_listen(pair.nodes[0], address, bound, &error));
    assert_string_equal(bound, address);
    API_OK(meshsync_peer_add(pair.nodes[1], address, &error));
    meshsync_token token = pair_put(pair.spaces[0], "by", "file");
    API_OK(meshsync_wait(pair.spaces[1], &token, 0, API_WAIT_MS, &error));
    pair_close(&pair);
}

/* Two nodes on one loop of the caller's, and nothing but that loop. */
struct looped {
    uv_loop_t loop;
    meshsync_space *spaces[2];
    meshsync_node *nodes[2];
    meshsync_token token;
    int events;
    int closed;
    uv_timer_t patience;
};

static void looped_closed(void *user)
{
    ((struct looped *)user)->closed += 1;
}

static void looped_event(void *user, meshsync_node *node, const meshsync_event *event)
{
    struct looped *looped = user;
    meshsync_error error = {0};
    meshsync_value value = meshsync_value_int(1);
    if (event->type == MESHSYNC_EVENT_END) {
        return;
    }
    looped->events += 1;
    /* What blocks is refused here. */
    API_FAILS(MESHSYNC_E_IN_CALLBACK,
              meshsync_put(looped->spaces[1], "r", meshsync_bytes_of("k"), &value, NULL, &error));
    assert_int_equal(meshsync_node_close(node), MESHSYNC_E_IN_CALLBACK);
    if (event->type == MESHSYNC_EVENT_PUT) {
        for (int i = 0; i < 2; i++) {
            assert_int_equal(meshsync_node_close_async(looped->nodes[i], looped_closed, looped),
                             MESHSYNC_OK);
        }
        uv_close((uv_handle_t *)&looped->patience, NULL);
    }
}

static void looped_lost_patience(uv_timer_t *timer)
{
    (void)timer;
    fail_msg("nothing came");
}

static void test_two_on_a_callers_loop(void **state)
{
    static struct looped looped;
    meshsync_error error = {0};
    char folders[2][API_PATH_BYTES_MAX];
    char ticket[MESHSYNC_TICKET_TEXT_BYTES_MAX];
    meshsync_watch *watch = NULL;
    (void)state;
    memset(&looped, 0, sizeof looped);
    assert_int_equal(uv_loop_init(&looped.loop), 0);
    assert_int_equal(uv_timer_init(&looped.loop, &looped.patience), 0);
    assert_int_equal(uv_timer_start(&looped.patience, looped_lost_patience, API_WAIT_MS, 0), 0);
    for (int i = 0; i < 2; i++) {
        api_folder(folders[i]);
        looped.nodes[i] = api_open(folders[i]);
        API_OK(meshsync_node_start_on_loop(looped.nodes[i], &looped.loop, &error));
    }
    /* Outside of callbacks the loop's thread may write and wait for the disk, not for peers. */
    looped.spaces[0] = api_space(looped.nodes[0]);
    API_OK(meshsync_node_listen(looped.nodes[0], "127.0.0.1:0", NULL, &error));
    API_OK(meshsync_space_invite(looped.spaces[0], 0, ticket, &error));
    API_OK(meshsync_space_join(looped.nodes[1], ticket, "here", &looped.spaces[1], &error));
    API_FAILS(MESHSYNC_E_IN_CALLBACK, meshsync_wait(looped.spaces[0], NULL, 1, 10, &error));
    api_put(looped.spaces[0], "k", "v");
    API_OK(meshsync_watch_start(looped.spaces[1], NULL, looped_event, &looped, &watch, &error));
    assert_int_equal(uv_run(&looped.loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(looped.closed, 2);
    assert_true(looped.events > 0);
    assert_int_equal(uv_loop_close(&looped.loop), 0);
    api_remove(folders[0]);
    api_remove(folders[1]);
}

/* Two nodes that one thread turns by descriptor and time-out, as any foreign loop would. */
static void test_two_on_a_foreign_loop(void **state)
{
    meshsync_error error = {0};
    meshsync_node *nodes[2];
    meshsync_space *spaces[2];
    char folders[2][API_PATH_BYTES_MAX];
    char ticket[MESHSYNC_TICKET_TEXT_BYTES_MAX];
    char text[64] = "";
    (void)state;
    for (int i = 0; i < 2; i++) {
        api_folder(folders[i]);
        nodes[i] = api_open(folders[i]);
        API_OK(meshsync_node_start_external(nodes[i], &error));
    }
    spaces[0] = api_space(nodes[0]);
    API_OK(meshsync_node_listen(nodes[0], "127.0.0.1:0", NULL, &error));
    API_OK(meshsync_space_invite(spaces[0], 0, ticket, &error));
    API_OK(meshsync_space_join(nodes[1], ticket, NULL, &spaces[1], &error));
    api_put(spaces[0], "k", "came");
    while (strcmp(text, "came") != 0) {
        struct pollfd polled[2];
        int timeout_ms = API_WAIT_MS;
        for (int i = 0; i < 2; i++) {
            int own_ms = meshsync_node_timeout_ms(nodes[i]);
            polled[i] = (struct pollfd){.fd = meshsync_node_fd(nodes[i]), .events = POLLIN};
            timeout_ms = own_ms >= 0 && own_ms < timeout_ms ? own_ms : timeout_ms;
        }
        /* Should a watcher not be where poll() sees it, the wait would run into the patience. */
        assert_true(poll(polled, 2, timeout_ms) > 0 || timeout_ms < API_WAIT_MS);
        API_OK(meshsync_node_process(nodes[0]));
        API_OK(meshsync_node_process(nodes[1]));
        api_get(spaces[1], "k", text);
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(meshsync_node_close(nodes[i]), MESHSYNC_OK);
        api_remove(folders[i]);
    }
}

/* What a failed store transaction does to the network: all sessions end, and begin anew. */
static void test_beginning_anew(void **state)
{
    struct pair pair;
    meshsync_error error = {0};
    (void)state;
    pair_open(&pair);
    API_OK(meshsync_wait(pair.spaces[0], NULL, 1, API_WAIT_MS, &error));
    for (int i = 0; i < 10; i++) {
        meshsync_commit_options held = {.size = sizeof held, .ack = 1, .timeout_ms = API_WAIT_MS};
        meshsync_txn *txn = NULL;
        msy_network_restart(&pair.nodes[i % 2]->network);
        API_OK(meshsync_txn_begin(pair.spaces[i % 2], &txn, &error));
        api_put_in(txn, "k", "v");
        API_OK(meshsync_txn_commit(txn, &held, NULL, &error));
    }
    pair_same(&pair);
    pair_close(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_ways),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_acknowledged_by_a_peer),
        cmocka_unit_test(test_peers_are_shown),
        cmocka_unit_test(test_a_restart_finds_its_mesh),
        cmocka_unit_test(test_a_socket_of_the_file_system),
        cmocka_unit_test(test_two_on_a_callers_loop),
        cmocka_unit_test(test_two_on_a_foreign_loop),
        cmocka_unit_test(test_beginning_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
