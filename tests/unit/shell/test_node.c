/* SPDX-License-Identifier: Apache-2.0 */
/* A node whose memory or store runs out says so, goes on, and leaves nothing behind. */
#include "unit/api/api_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shell/node.h"

/* An allocator of the application's whose n-th allocation fails. */
struct scarce {
    _Atomic uint64_t left;
    _Atomic int64_t bytes;
};

static void *scarce_realloc(void *user, void *ptr, size_t old_size, size_t new_size)
{
    struct scarce *scarce = user;
    if (new_size == 0) {
        scarce->bytes -= (int64_t)old_size;
        free(ptr);
        return NULL;
    }
    if (new_size > old_size && scarce->left > 0 && --scarce->left == 0) {
        return NULL;
    }
    void *grown = realloc(ptr, new_size);
    if (grown != NULL) {
        scarce->bytes += (int64_t)new_size - (int64_t)old_size;
    }
    return grown;
}

/* Opens, starts, writes, reads and closes with the n-th allocation failing. True when all of it
 * went well. */
static bool scarce_run(const char *folder, struct scarce *scarce, uint64_t n)
{
    meshsync_error error = {0};
    meshsync_options options = api_options(folder);
    meshsync_node *node = NULL;
    meshsync_space *space = NULL;
    meshsync_feed *feed = NULL;
    meshsync_event event;
    meshsync_value value = meshsync_value_string("v");
    options.allocate = scarce_realloc;
    options.allocate_user = scarce;
    scarce->left = n;
    meshsync_status status = meshsync_node_open(&options, &node, &error);
    if (status == MESHSYNC_OK) {
        status = meshsync_node_start(node, &error);
    }
    if (status == MESHSYNC_OK) {
        status = meshsync_node_listen(node, "127.0.0.1:0", NULL, &error);
    }
    if (status == MESHSYNC_OK) {
        status = meshsync_space_find(node, "s", &space, &error);
    }
    if (status == MESHSYNC_OK) {
        status = meshsync_put(space, "r", meshsync_bytes_of("k"), &value, NULL, &error);
    }
    if (status == MESHSYNC_OK) {
        status = meshsync_feed_open(space, NULL, &feed, &error);
    }
    if (status == MESHSYNC_OK) {
        status = meshsync_feed_next(feed, 0, &event, &error);
    }
    bool failed = scarce->left == 0;
    scarce->left = 0;
    if (status != MESHSYNC_OK) {
        assert_int_equal(status, MESHSYNC_E_NO_MEMORY);
        if (error.message[0] == '\0') {
            print_error("no words when allocation %llu fails\n", (unsigned long long)n);
        }
        assert_int_equal(error.status, MESHSYNC_E_NO_MEMORY);
    }
    /* Memory is back: what could not be done can be done now, in the same node. */
    if (node != NULL && space != NULL) {
        assert_int_equal(meshsync_put(space, "r", meshsync_bytes_of("k"), &value, NULL, &error),
                         MESHSYNC_OK);
    }
    assert_int_equal(meshsync_node_close(node), MESHSYNC_OK);
    return !failed;
}

static void test_every_allocation_fails_once(void **state)
{
    enum { RUNS_MAX = 2000 };
    char folder[API_PATH_BYTES_MAX];
    static struct scarce scarce;
    uint64_t n = 1;
    (void)state;
    api_folder(folder);
    meshsync_node *node = api_open(folder);
    (void)api_space(node);
    assert_int_equal(meshsync_node_close(node), MESHSYNC_OK);
    while (n < RUNS_MAX && !scarce_run(folder, &scarce, n)) {
        assert_int_equal(scarce.bytes, 0); /* Nothing leaks on the way out. */
        n += 1;
    }
    assert_in_range(n, 50, RUNS_MAX - 1);
    assert_int_equal(scarce.bytes, 0);
    api_remove(folder);
}

static void test_memory_cap(void **state)
{
    meshsync_error error = {0};
    char folder[API_PATH_BYTES_MAX];
    meshsync_node *node = NULL;
    (void)state;
    api_folder(folder);
    meshsync_options options = api_options(folder);
    options.memory_bytes_max = (uint64_t)8 << 20;
    API_OK(meshsync_node_open(&options, &node, &error));
    meshsync_space *space = api_space(node);
    static uint8_t large[MESHSYNC_VALUE_BYTES_MAX - 64];
    meshsync_value value = meshsync_value_bytes(large, sizeof large);
    meshsync_status status =
        meshsync_put(space, "r", meshsync_bytes_of("large"), &value, NULL, &error);
    assert_int_equal(status, MESHSYNC_E_NO_MEMORY);
    api_put(space, "small", "fits");
    meshsync_stats stats = {.size = sizeof stats};
    API_OK(meshsync_node_stats(node, &stats));
    assert_true(stats.memory_bytes <= options.memory_bytes_max);
    API_OK(meshsync_node_close(node));
    api_remove(folder);
}

/* Puts until the store is full; then deletes still work, and make room. */
static void test_full_store(void **state)
{
    meshsync_error error = {0};
    char folder[API_PATH_BYTES_MAX];
    char key[32];
    meshsync_node *node = NULL;
    static uint8_t bytes[64 << 10];
    meshsync_value value = meshsync_value_bytes(bytes, sizeof bytes);
    meshsync_status status = MESHSYNC_OK;
    int count = 0;
    (void)state;
    api_folder(folder);
    meshsync_options options = api_options(folder);
    options.store_bytes_max = (uint64_t)4 << 20;
    API_OK(meshsync_node_open(&options, &node, &error));
    API_OK(meshsync_node_start(node, &error));
    meshsync_space *space = api_space(node);
    while (status == MESHSYNC_OK) {
        (void)snprintf(key, sizeof key, "%d", count);
        status = meshsync_put(space, "r", meshsync_bytes_of(key), &value, NULL, &error);
        count += status == MESHSYNC_OK ? 1 : 0;
    }
    assert_int_equal(status, MESHSYNC_E_STORE_FULL);
    assert_in_range(count, 10, 100);
    meshsync_txn *txn = NULL;
    meshsync_bytes part;
    meshsync_path path = api_path(&part, "0", NULL);
    API_OK(meshsync_txn_begin(space, &txn, &error));
    API_OK(meshsync_txn_delete(txn, "r", &path, NULL, &error));
    API_OK(meshsync_txn_commit(txn, NULL, NULL, &error));
    meshsync_verify_report report = {.size = sizeof report};
    API_OK(meshsync_space_verify(space, &report, &error));
    API_OK(meshsync_node_close(node));
    api_remove(folder);
}

static void test_frozen(void **state)
{
    meshsync_error error = {0};
    char folder[API_PATH_BYTES_MAX];
    char text[64];
    (void)state;
    api_folder(folder);
    meshsync_node *node = api_open(folder);
    meshsync_space *space = api_space(node);
    api_put(space, "k", "v");
    (void)pthread_mutex_lock(&node->writer.lock);
    node->writer.frozen = MESHSYNC_E_INTERNAL;
    (void)pthread_mutex_unlock(&node->writer.lock);
    meshsync_value value = meshsync_value_int(1);
    API_FAILS(MESHSYNC_E_INTERNAL,
              meshsync_put(space, "r", meshsync_bytes_of("k"), &value, NULL, &error));
    api_get(space, "k", text); /* Reads go on. */
    assert_string_equal(text, "v");
    API_OK(meshsync_node_close(node));
    api_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_allocation_fails_once),
        cmocka_unit_test(test_memory_cap),
        cmocka_unit_test(test_full_store),
        cmocka_unit_test(test_frozen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
