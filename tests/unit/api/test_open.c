/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes open and close any number of times, in every mode, and say clearly why they do not. */
#include "unit/api/api_kit.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <uv.h>

#include "store/schema.h"

enum { OPEN_TIMES = 200 };

static void test_own_thread(void **state)
{
    meshsync_error error = {0};
    char folder[API_PATH_BYTES_MAX];
    struct stat info;
    uint8_t first[MESHSYNC_NODE_ID_BYTES];
    uint8_t id[MESHSYNC_NODE_ID_BYTES];
    (void)state;
    api_folder(folder);
    for (int i = 0; i < OPEN_TIMES; i++) {
        meshsync_node *node = api_open(folder);
        API_OK(meshsync_node_id(node, i == 0 ? first : id));
        if (i % 4 != 0) {
            API_OK(meshsync_node_start(node, &error));
        }
        if (i % 4 == 1) {
            API_OK(meshsync_node_listen(node, "127.0.0.1:0", NULL, &error));
        }
        API_OK(meshsync_node_close(node));
    }
    assert_memory_equal(first, id, sizeof id);
    char key[API_PATH_BYTES_MAX];
    api_join(key, folder, "identity.key");
    assert_int_equal(stat(key, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    api_remove(folder);
}

struct closings {
    uv_loop_t loop;
    char folder[API_PATH_BYTES_MAX];
    int left;
    int done;
    uv_timer_t keeps_turning;
};

static void closings_next(struct closings *closings);

static void closings_closed(void *user)
{
    struct closings *closings = user;
    closings->done += 1;
    closings_next(closings);
}

static void closings_next(struct closings *closings)
{
    meshsync_error error = {0};
    if (closings->left == 0) {
        uv_close((uv_handle_t *)&closings->keeps_turning, NULL);
        return;
    }
    closings->left -= 1;
    meshsync_node *node = api_open(closings->folder);
    API_OK(meshsync_node_start_on_loop(node, &closings->loop, &error));
    API_OK(meshsync_node_listen(node, "127.0.0.1:0", NULL, &error));
    API_OK(meshsync_node_close_async(node, closings_closed, closings));
}

static void closings_tick(uv_timer_t *timer)
{
    (void)timer;
}

static void test_callers_loop(void **state)
{
    static struct closings closings;
    (void)state;
    memset(&closings, 0, sizeof closings);
    api_folder(closings.folder);
    assert_int_equal(uv_loop_init(&closings.loop), 0);
    /* The loop goes on between the nodes: closing must stop nothing of the caller's. */
    assert_int_equal(uv_timer_init(&closings.loop, &closings.keeps_turning), 0);
    assert_int_equal(uv_timer_start(&closings.keeps_turning, closings_tick, 1, 1), 0);
    closings.left = OPEN_TIMES;
    closings_next(&closings);
    assert_int_equal(uv_run(&closings.loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(closings.done, OPEN_TIMES);
    assert_int_equal(uv_loop_close(&closings.loop), 0);
    api_remove(closings.folder);
}

static void external_closed(void *user)
{
    *(int *)user = 1;
}

static void process_elsewhere(void *node)
{
    assert_int_equal(meshsync_node_process((meshsync_node *)node), MESHSYNC_E_STATE);
}

/* A thread that did not start the network is refused, and the loop goes on turning. */
static void test_wrong_thread(void **state)
{
    meshsync_error error = {0};
    char folder[API_PATH_BYTES_MAX];
    int closed = 0;
    (void)state;
    api_folder(folder);
    meshsync_node *node = api_open(folder);
    API_OK(meshsync_node_start_external(node, &error));
    for (int i = 0; i < 50; i++) {
        uv_thread_t thread;
        assert_int_equal(uv_thread_create(&thread, process_elsewhere, node), 0);
        API_OK(meshsync_node_process(node));
        assert_int_equal(uv_thread_join(&thread), 0);
    }
    API_OK(meshsync_node_close_async(node, external_closed, &closed));
    while (closed == 0) {
        API_OK(meshsync_node_process(node));
    }
    api_remove(folder);
}

static void test_external(void **state)
{
    meshsync_error error = {0};
    char folder[API_PATH_BYTES_MAX];
    (void)state;
    api_folder(folder);
    for (int i = 0; i < 20; i++) {
        meshsync_node *node = api_open(folder);
        int closed = 0;
        assert_int_equal(meshsync_node_fd(node), -1);
        assert_int_equal(meshsync_node_process(node), MESHSYNC_E_STATE);
        API_OK(meshsync_node_start_external(node, &error));
        assert_true(meshsync_node_fd(node) >= 0);
        API_OK(meshsync_node_listen(node, "127.0.0.1:0", NULL, &error));
        if (i % 2 == 0) {
            API_OK(meshsync_node_close(node));
            continue;
        }
        API_OK(meshsync_node_close_async(node, external_closed, &closed));
        while (closed == 0) {
            API_OK(meshsync_node_process(node));
        }
    }
    api_remove(folder);
}

static void test_states(void **state)
{
    meshsync_error error = {0};
    char folder[API_PATH_BYTES_MAX];
    (void)state;
    api_folder(folder);
    meshsync_node *node = api_open(folder);
    API_FAILS(MESHSYNC_E_STATE, meshsync_node_listen(node, "127.0.0.1:0", NULL, &error));
    API_OK(meshsync_node_start(node, &error));
    API_FAILS(MESHSYNC_E_STATE, meshsync_node_start(node, &error));
    API_FAILS(MESHSYNC_E_STATE, meshsync_node_start_external(node, &error));
    API_OK(meshsync_node_close(node));
    API_OK(meshsync_node_close(NULL));
    api_remove(folder);
}

/* A process of its own that opens the folder as it was told to, and says what came of it. */
static meshsync_status open_elsewhere(const char *folder, int32_t mode, uint64_t busy_wait_ms,
                                      int go_fd)
{
    char go = 0;
    meshsync_error error = {0};
    meshsync_options options = api_options(folder);
    meshsync_node *node = NULL;
    options.mode = mode;
    options.busy_wait_ms = busy_wait_ms;
    if (read(go_fd, &go, 1) != 1) {
        return MESHSYNC_E_INTERNAL;
    }
    meshsync_status status = meshsync_node_open(&options, &node, &error);
    if (status == MESHSYNC_OK && mode == MESHSYNC_MODE_READ) {
        meshsync_space *space = NULL;
        char text[64] = "";
        status = meshsync_space_find(node, "s", &space, &error);
        if (status == MESHSYNC_OK) {
            api_get(space, "k", text);
            status = strcmp(text, "v") == 0 ? MESHSYNC_OK : MESHSYNC_E_NOT_FOUND;
        }
        meshsync_value value = meshsync_value_int(1);
        if (status == MESHSYNC_OK && meshsync_put(space, "r", meshsync_bytes_of("k"), &value, NULL,
                                                  &error) != MESHSYNC_E_READ_ONLY) {
            status = MESHSYNC_E_INTERNAL;
        }
        if (status == MESHSYNC_OK && meshsync_node_start(node, &error) != MESHSYNC_E_STATE) {
            status = MESHSYNC_E_INTERNAL;
        }
    }
    (void)meshsync_node_close(node);
    return status;
}

static pid_t open_fork(const char *folder, int32_t mode, uint64_t busy_wait_ms, int *go_fd)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)close(ends[1]);
        _exit(-(int)open_elsewhere(folder, mode, busy_wait_ms, ends[0]));
    }
    (void)close(ends[0]);
    *go_fd = ends[1];
    return child;
}

static int open_result(pid_t child, int go_fd)
{
    int status = 0;
    (void)close(go_fd);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void test_other_processes(void **state)
{
    char folder[API_PATH_BYTES_MAX];
    int writer_go = -1;
    int reader_go = -1;
    int patient_go = -1;
    (void)state;
    api_folder(folder);
    /* Forked before anything is open here: a child has nothing of the parent's nodes. */
    pid_t writer = open_fork(folder, MESHSYNC_MODE_WRITE, 0, &writer_go);
    pid_t reader = open_fork(folder, MESHSYNC_MODE_READ, 0, &reader_go);
    pid_t patient = open_fork(folder, MESHSYNC_MODE_WRITE, API_WAIT_MS, &patient_go);
    meshsync_node *node = api_open(folder);
    api_put(api_space(node), "k", "v");
    assert_int_equal(write(writer_go, "g", 1), 1);
    assert_int_equal(write(reader_go, "g", 1), 1);
    assert_int_equal(open_result(writer, writer_go), -MESHSYNC_E_STORE_LOCKED);
    assert_int_equal(open_result(reader, reader_go), 0);
    assert_int_equal(write(patient_go, "g", 1), 1);
    assert_int_equal(meshsync_node_close(node), MESHSYNC_OK);
    assert_int_equal(open_result(patient, patient_go), 0);
    api_remove(folder);
}

static void test_same_process(void **state)
{
    meshsync_error error = {0};
    char folder[API_PATH_BYTES_MAX];
    meshsync_node *second = NULL;
    (void)state;
    api_folder(folder);
    meshsync_node *node = api_open(folder);
    meshsync_options options = api_options(folder);
    API_FAILS(MESHSYNC_E_STORE_LOCKED, meshsync_node_open(&options, &second, &error));
    assert_null(second);
    API_OK(meshsync_node_close(node));
    api_remove(folder);
}

static void test_nothing_made(void **state)
{
    meshsync_error error = {0};
    char folder[API_PATH_BYTES_MAX];
    char missing[API_PATH_BYTES_MAX];
    meshsync_node *node = NULL;
    (void)state;
    api_folder(folder);
    api_join(missing, folder, "missing");
    meshsync_options options = api_options(missing);
    options.create = 0;
    API_FAILS(MESHSYNC_E_NOT_FOUND, meshsync_node_open(&options, &node, &error));
    options.create = 1;
    options.mode = MESHSYNC_MODE_READ;
    API_FAILS(MESHSYNC_E_NOT_FOUND, meshsync_node_open(&options, &node, &error));
    assert_int_equal(access(missing, F_OK), -1);
    options.mode = MESHSYNC_MODE_WRITE;
    API_OK(meshsync_node_open(&options, &node, &error));
    API_OK(meshsync_node_close(node));
    /* Without its key the data is nobody's: no new key is put beside it. */
    char key[API_PATH_BYTES_MAX];
    api_join(key, missing, "identity.key");
    assert_int_equal(unlink(key), 0);
    API_FAILS(MESHSYNC_E_STORE_CORRUPT, meshsync_node_open(&options, &node, &error));
    assert_int_equal(access(key, F_OK), -1);
    api_remove(folder);
}

/* Writes what a later version would: a higher number of the format, and a record unknown here. */
static void open_as_of_later(const char *folder)
{
    struct msy_alloc alloc;
    struct msy_store *store = NULL;
    struct msy_store_txn *txn = NULL;
    meshsync_error error = {0};
    uint8_t version[4];
    msy_alloc_init(&alloc, NULL, NULL, 0);
    const struct msy_store_options options = {
        .alloc = &alloc, .path = folder, .map_bytes = 64 << 20, .readers_max = 8};
    msy_put_be32(version, MSY_SCHEMA_VERSION + 1);
    API_OK(msy_store_open_lmdb(&options, &store, &error));
    API_OK(msy_store_begin(store, MSY_TXN_WRITE, &txn));
    API_OK(msy_store_put(txn, MSY_TABLE_META, msy_key_name(MSY_META_FORMAT),
                         msy_bytes(version, sizeof version), MSY_PUT_ANY));
    API_OK(msy_store_commit(txn));
    msy_store_close(store);
}

static void open_read_file(const char *folder, const char *name, uint8_t *bytes, size_t max,
                           size_t *len)
{
    char path[API_PATH_BYTES_MAX];
    api_join(path, folder, name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    *len = fread(bytes, 1, max, file);
    assert_true(*len > 0 && *len < max);
    assert_int_equal(fclose(file), 0);
}

static void test_a_later_version_is_left_alone(void **state)
{
    enum { FILE_BYTES_MAX = 4 << 20 };
    static uint8_t before[FILE_BYTES_MAX];
    static uint8_t after[FILE_BYTES_MAX];
    meshsync_error error = {0};
    char folder[API_PATH_BYTES_MAX];
    meshsync_node *node = NULL;
    size_t len = 0;
    size_t len_after = 0;
    (void)state;
    api_folder(folder);
    API_OK(meshsync_node_close(api_open(folder)));
    open_as_of_later(folder);
    open_read_file(folder, "data.mdb", before, sizeof before, &len);
    meshsync_options options = api_options(folder);
    API_FAILS(MESHSYNC_E_STORE_VERSION, meshsync_node_open(&options, &node, &error));
    options.mode = MESHSYNC_MODE_READ;
    API_FAILS(MESHSYNC_E_STORE_VERSION, meshsync_node_open(&options, &node, &error));
    open_read_file(folder, "data.mdb", after, sizeof after, &len_after);
    assert_int_equal(len, len_after);
    assert_memory_equal(before, after, len);
    api_remove(folder);
}

static void test_forked(void **state)
{
    char folder[API_PATH_BYTES_MAX];
    (void)state;
    api_folder(folder);
    meshsync_node *node = api_open(folder);
    meshsync_space *space = api_space(node);
    meshsync_error error = {0};
    meshsync_txn *txn = NULL;
    meshsync_snapshot *snapshot = NULL;
    meshsync_feed *feed = NULL;
    API_OK(meshsync_txn_begin(space, &txn, &error));
    API_OK(meshsync_snapshot_open(space, &snapshot, &error));
    API_OK(meshsync_feed_open(space, NULL, &feed, &error));
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        meshsync_event event;
        meshsync_entry entry;
        meshsync_bytes part = {(const uint8_t *)"k", 1};
        meshsync_path path = {&part, 1};
        meshsync_value value = meshsync_value_int(1);
        meshsync_txn *other = NULL;
        int wrong = 0;
        wrong += meshsync_node_close(node) != MESHSYNC_E_FORKED;
        wrong += meshsync_node_close_async(node, NULL, NULL) != MESHSYNC_E_FORKED;
        wrong += meshsync_node_start(node, NULL) != MESHSYNC_E_FORKED;
        wrong += meshsync_txn_begin(space, &other, NULL) != MESHSYNC_E_FORKED;
        wrong += meshsync_txn_put(txn, "r", &path, &value, NULL, NULL) != MESHSYNC_E_FORKED;
        wrong += meshsync_txn_commit(txn, NULL, NULL, NULL) != MESHSYNC_E_FORKED;
        wrong += meshsync_get(snapshot, "r", &path, &entry, NULL) != MESHSYNC_E_FORKED;
        wrong += meshsync_feed_next(feed, 0, &event, NULL) != MESHSYNC_E_FORKED;
        wrong += meshsync_node_id(node, (uint8_t *)&entry) != MESHSYNC_E_FORKED;
        meshsync_txn_abort(txn);
        meshsync_snapshot_close(snapshot);
        meshsync_feed_close(feed);
        _exit(wrong);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    /* The parent goes on as if nothing had happened; what is left open, closing frees. */
    api_put(space, "k", "v");
    API_OK(meshsync_node_close(node));
    api_remove(folder);
}

static void close_tells(void *user)
{
    ssize_t wrote = write(*(int *)user, "x", 1);
    (void)wrote;
}

static void test_async_close(void **state)
{
    meshsync_error error = {0};
    char folder[API_PATH_BYTES_MAX];
    (void)state;
    api_folder(folder);
    for (int i = 0; i < 20; i++) {
        int ends[2];
        char byte = 0;
        assert_int_equal(pipe(ends), 0);
        meshsync_node *node = api_open(folder);
        if (i % 2 == 0) {
            API_OK(meshsync_node_start(node, &error));
        }
        API_OK(meshsync_node_close_async(node, close_tells, &ends[1]));
        assert_int_equal(read(ends[0], &byte, 1), 1);
        (void)close(ends[0]);
        (void)close(ends[1]);
    }
    api_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own_thread),
        cmocka_unit_test(test_callers_loop),
        cmocka_unit_test(test_external),
        cmocka_unit_test(test_wrong_thread),
        cmocka_unit_test(test_states),
        cmocka_unit_test(test_other_processes),
        cmocka_unit_test(test_same_process),
        cmocka_unit_test(test_nothing_made),
        cmocka_unit_test(test_a_later_version_is_left_alone),
        cmocka_unit_test(test_forked),
        cmocka_unit_test(test_async_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
