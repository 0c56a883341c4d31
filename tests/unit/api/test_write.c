/* SPDX-License-Identifier: Apache-2.0 */
/* Transactions: what they show of themselves, when they are answered, and what they refuse. */
#include "unit/api/api_kit.h"

#include <stdio.h>
#include <string.h>

#include <uv.h>

struct one {
    char folder[API_PATH_BYTES_MAX];
    meshsync_node *node;
    meshsync_space *space;
};

static int one_open(void **state)
{
    static struct one one;
    api_folder(one.folder);
    one.node = api_open(one.folder);
    one.space = api_space(one.node);
    *state = &one;
    return 0;
}

static int one_close(void **state)
{
    struct one *one = *state;
    assert_int_equal(meshsync_node_close(one->node), MESHSYNC_OK);
    api_remove(one->folder);
    return 0;
}

static int64_t counter_of(meshsync_snapshot *snapshot, const char *key)
{
    meshsync_error error = {0};
    meshsync_entry entry;
    meshsync_bytes part;
    meshsync_path path = api_path(&part, key, NULL);
    API_OK(meshsync_get(snapshot, "c", &path, &entry, &error));
    return entry.value.integer;
}

static void test_reads_its_own_writes(void **state)
{
    struct one *one = *state;
    meshsync_error error = {0};
    meshsync_txn *txn = NULL;
    meshsync_snapshot *own = NULL;
    meshsync_snapshot *again = NULL;
    meshsync_entry entry;
    meshsync_bytes parts[2];
    char text[64];
    api_put(one->space, "a", "before");
    API_OK(meshsync_txn_begin(one->space, &txn, &error));
    api_put_in(txn, "a", "within");
    meshsync_path counter = api_path(parts, "n", NULL);
    API_OK(meshsync_txn_add(txn, "c", &counter, 5, &error));
    API_OK(meshsync_txn_snapshot(txn, &own, &error));
    API_OK(meshsync_txn_add(txn, "c", &counter, -2, &error));
    API_OK(meshsync_txn_set_add(txn, "t", meshsync_bytes_of("k"), meshsync_bytes_of("e"), &error));
    meshsync_path path = api_path(parts, "a", NULL);
    API_OK(meshsync_get(own, "r", &path, &entry, &error));
    assert_memory_equal(entry.value.bytes.data, "within", 6);
    assert_int_equal(counter_of(own, "n"), 3);
    API_OK(meshsync_set_contains(own, "t", meshsync_bytes_of("k"), meshsync_bytes_of("e"), &error));
    API_OK(meshsync_txn_snapshot(txn, &again, &error));
    assert_ptr_equal(own, again);
    api_get(one->space, "a", text);
    assert_string_equal(text, "before"); /* Others see nothing yet. */
    API_OK(meshsync_txn_commit(txn, NULL, NULL, &error));
    api_get(one->space, "a", text);
    assert_string_equal(text, "within");
}

static void test_aborted_is_nothing(void **state)
{
    struct one *one = *state;
    meshsync_error error = {0};
    meshsync_txn *txn = NULL;
    meshsync_token token = {.len = 7};
    char text[64];
    API_OK(meshsync_txn_begin(one->space, &txn, &error));
    api_put_in(txn, "a", "b");
    meshsync_txn_abort(txn);
    meshsync_txn_abort(NULL);
    api_get(one->space, "a", text);
    assert_string_equal(text, "");
    API_OK(meshsync_txn_begin(one->space, &txn, &error));
    API_OK(meshsync_txn_commit(txn, NULL, &token, &error));
    assert_int_equal(token.len, 0); /* There was nothing to write. */
}

static void test_conditions(void **state)
{
    struct one *one = *state;
    meshsync_error error = {0};
    meshsync_snapshot *snapshot = NULL;
    meshsync_entry entry;
    meshsync_bytes part;
    meshsync_path path = api_path(&part, "a", NULL);
    meshsync_value value = meshsync_value_string("new");
    meshsync_condition absent = {.kind = MESHSYNC_IF_ABSENT};
    uint8_t seen[64];
    meshsync_condition same = {.kind = MESHSYNC_IF_CONTEXT};
    meshsync_txn *txn = NULL;
    api_put(one->space, "a", "first");
    API_OK(meshsync_snapshot_open(one->space, &snapshot, &error));
    API_OK(meshsync_get(snapshot, "r", &path, &entry, &error));
    assert_true(entry.context.len <= sizeof seen);
    memcpy(seen, entry.context.data, entry.context.len);
    same.context = (meshsync_bytes){seen, entry.context.len};
    meshsync_snapshot_close(snapshot);

    API_OK(meshsync_txn_begin(one->space, &txn, &error));
    API_OK(meshsync_txn_put(txn, "r", &path, &value, &absent, &error));
    api_put_in(txn, "other", "not written either");
    API_FAILS(MESHSYNC_E_CONFLICT, meshsync_txn_commit(txn, NULL, NULL, &error));
    char text[64];
    api_get(one->space, "other", text);
    assert_string_equal(text, "");

    for (int i = 0; i < 2; i++) {
        API_OK(meshsync_txn_begin(one->space, &txn, &error));
        API_OK(meshsync_txn_put(txn, "r", &path, &value, &same, &error));
        if (i == 0) {
            API_OK(meshsync_txn_commit(txn, NULL, NULL, &error));
        } else { /* What the context saw is gone. */
            API_FAILS(MESHSYNC_E_CONFLICT, meshsync_txn_commit(txn, NULL, NULL, &error));
        }
    }
}

struct answers {
    uv_sem_t said;
    int good;
    int cancelled;
};

static void answered(void *user, meshsync_status status, const meshsync_token *token,
                     const meshsync_error *error)
{
    struct answers *answers = user;
    answers->good += status == MESHSYNC_OK && token->len > 0 && error == NULL;
    answers->cancelled += status == MESHSYNC_E_CANCELLED && error != NULL;
    uv_sem_post(&answers->said);
}

static void test_levels(void **state)
{
    enum { TIMES = 500 };
    struct one *one = *state;
    meshsync_error error = {0};
    meshsync_commit_options queued = {.size = sizeof queued, .ack = MESHSYNC_ACK_QUEUED};
    meshsync_commit_options peers = {.size = sizeof peers, .ack = 1};
    meshsync_token token;
    meshsync_txn *txn = NULL;
    struct answers answers = {0};
    char text[64];
    assert_int_equal(uv_sem_init(&answers.said, 0), 0);
    API_OK(meshsync_txn_begin(one->space, &txn, &error));
    api_put_in(txn, "q", "queued");
    API_OK(meshsync_txn_commit(txn, &queued, &token, &error));
    API_OK(meshsync_wait(one->space, &token, 0, API_WAIT_MS, &error));
    api_get(one->space, "q", text);
    assert_string_equal(text, "queued");

    API_OK(meshsync_txn_begin(one->space, &txn, &error));
    api_put_in(txn, "p", "not written");
    API_FAILS(MESHSYNC_E_UNREACHABLE, meshsync_txn_commit(txn, &peers, &token, &error));
    API_FAILS(MESHSYNC_E_UNREACHABLE, meshsync_wait(one->space, NULL, 1, 10, &error));
    api_get(one->space, "p", text);
    assert_string_equal(text, "");

    for (int i = 0; i < TIMES; i++) {
        API_OK(meshsync_txn_begin(one->space, &txn, &error));
        (void)snprintf(text, sizeof text, "k%d", i);
        api_put_in(txn, text, "v");
        API_OK(meshsync_txn_commit_async(txn, i % 2 == 0 ? NULL : &queued, answered, &answers,
                                         &error));
    }
    for (int i = 0; i < TIMES; i++) {
        uv_sem_wait(&answers.said);
    }
    assert_int_equal(answers.good, TIMES);
    API_OK(meshsync_wait(one->space, NULL, 0, API_WAIT_MS, &error));
    uv_sem_destroy(&answers.said);
}

static void test_every_commit_is_answered_at_close(void **state)
{
    enum { TIMES = 2000 };
    struct one *one = *state;
    meshsync_error error = {0};
    struct answers answers = {0};
    assert_int_equal(uv_sem_init(&answers.said, 0), 0);
    for (int i = 0; i < TIMES; i++) {
        meshsync_txn *txn = NULL;
        API_OK(meshsync_txn_begin(one->space, &txn, &error));
        api_put_in(txn, "k", "v");
        API_OK(meshsync_txn_commit_async(txn, NULL, answered, &answers, &error));
    }
    API_OK(meshsync_node_close(one->node));
    for (int i = 0; i < TIMES; i++) {
        uv_sem_wait(&answers.said);
    }
    assert_int_equal(answers.good + answers.cancelled, TIMES);
    uv_sem_destroy(&answers.said);
    one->node = api_open(one->folder);
}

enum { WRITERS = 8, WRITER_PUTS = 40 };

struct writer {
    meshsync_space *space;
    uv_thread_t thread;
    int index;
};

static void writer_puts(void *user)
{
    const struct writer *writer = user;
    char key[32];
    for (int i = 0; i < WRITER_PUTS; i++) {
        (void)snprintf(key, sizeof key, "%d-%d", writer->index, i);
        api_put(writer->space, key, "v");
    }
}

static void test_threads_share_a_sync(void **state)
{
    struct one *one = *state;
    struct writer writers[WRITERS];
    meshsync_stats stats = {.size = sizeof stats};
    char text[64];
    for (int i = 0; i < WRITERS; i++) {
        writers[i].space = one->space;
        writers[i].index = i;
        assert_int_equal(uv_thread_create(&writers[i].thread, writer_puts, &writers[i]), 0);
    }
    for (int i = 0; i < WRITERS; i++) {
        assert_int_equal(uv_thread_join(&writers[i].thread), 0);
    }
    api_get(one->space, "7-39", text);
    assert_string_equal(text, "v");
    assert_int_equal(meshsync_node_stats(one->node, &stats), MESHSYNC_OK);
    assert_true(stats.ops_local >= WRITERS * WRITER_PUTS);
    /* One of them may be alone now and then; not all of them always. */
    assert_true(stats.commits < WRITERS * WRITER_PUTS);
}

static void commits_in_callback(void *user, meshsync_status status, const meshsync_token *token,
                                const meshsync_error *error)
{
    void **both = user;
    meshsync_space *space = both[0];
    meshsync_value value = meshsync_value_int(1);
    meshsync_error refused = {0};
    (void)token;
    (void)error;
    assert_int_equal(status, MESHSYNC_OK);
    assert_int_equal(meshsync_put(space, "r", meshsync_bytes_of("k"), &value, NULL, &refused),
                     MESHSYNC_E_IN_CALLBACK);
    assert_true(refused.message[0] != '\0');
    uv_sem_post(both[1]);
}

static void test_blocking_is_refused_in_callbacks(void **state)
{
    struct one *one = *state;
    meshsync_error error = {0};
    uv_sem_t said;
    void *both[] = {one->space, &said};
    meshsync_txn *txn = NULL;
    assert_int_equal(uv_sem_init(&said, 0), 0);
    API_OK(meshsync_txn_begin(one->space, &txn, &error));
    api_put_in(txn, "k", "v");
    API_OK(meshsync_txn_commit_async(txn, NULL, commits_in_callback, both, &error));
    uv_sem_wait(&said);
    uv_sem_destroy(&said);
}

/* Each has words of its own, and none leaves anything in the transaction. */
static void test_refused(void **state)
{
    struct one *one = *state;
    meshsync_error error = {0};
    meshsync_txn *txn = NULL;
    meshsync_bytes parts[MESHSYNC_PATH_PARTS_MAX + 1];
    meshsync_path key = api_path(parts, "k", NULL);
    meshsync_path none = {parts, 0};
    meshsync_value value = meshsync_value_string("v");
    meshsync_value bad = {.type = 99};
    meshsync_value torn = {.bytes = {(const uint8_t *)"\xff", 1}, .type = MESHSYNC_VALUE_STRING};
    meshsync_value absent_bytes = {.bytes = {NULL, 3}, .type = MESHSYNC_VALUE_BYTES};
    meshsync_condition odd = {.kind = 17};
    meshsync_condition bare = {.kind = MESHSYNC_IF_CONTEXT};
    char long_name[MESHSYNC_NAME_BYTES_MAX + 2];
    memset(long_name, 'x', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    API_FAILS(MESHSYNC_E_INVALID, meshsync_txn_begin(NULL, &txn, &error));
    API_FAILS(MESHSYNC_E_INVALID, meshsync_txn_begin(one->space, NULL, &error));
    API_OK(meshsync_txn_begin(one->space, &txn, &error));
    API_FAILS(MESHSYNC_E_INVALID, meshsync_txn_put(NULL, "r", &key, &value, NULL, &error));
    API_FAILS(MESHSYNC_E_INVALID, meshsync_txn_put(txn, NULL, &key, &value, NULL, &error));
    API_FAILS(MESHSYNC_E_INVALID, meshsync_txn_put(txn, "", &key, &value, NULL, &error));
    API_FAILS(MESHSYNC_E_INVALID, meshsync_txn_put(txn, "\xff", &key, &value, NULL, &error));
    API_FAILS(MESHSYNC_E_INVALID, meshsync_txn_put(txn, long_name, &key, &value, NULL, &error));
    API_FAILS(MESHSYNC_E_NOT_FOUND, meshsync_txn_put(txn, "none", &key, &value, NULL, &error));
    API_FAILS(MESHSYNC_E_INVALID, meshsync_txn_put(txn, "r", NULL, &value, NULL, &error));
    API_FAILS(MESHSYNC_E_INVALID, meshsync_txn_put(txn, "r", &none, &value, NULL, &error));
    API_FAILS(MESHSYNC_E_INVALID, meshsync_txn_put(txn, "r", &key, NULL, NULL, &error));
    API_FAILS(MESHSYNC_E_INVALID, meshsync_txn_put(txn, "r", &key, &bad, NULL, &error));
    API_FAILS(MESHSYNC_E_INVALID, meshsync_txn_put(txn, "r", &key, &torn, NULL, &error));
    API_FAILS(MESHSYNC_E_INVALID, meshsync_txn_put(txn, "r", &key, &absent_bytes, NULL, &error));
    API_FAILS(MESHSYNC_E_INVALID, meshsync_txn_put(txn, "r", &key, &value, &odd, &error));
    API_FAILS(MESHSYNC_E_INVALID, meshsync_txn_put(txn, "r", &key, &value, &bare, &error));
    API_FAILS(MESHSYNC_E_TYPE, meshsync_txn_put(txn, "c", &key, &value, NULL, &error));
    API_FAILS(MESHSYNC_E_TYPE, meshsync_txn_put(txn, "m", &key, &value, NULL, &error));
    API_FAILS(MESHSYNC_E_TYPE, meshsync_txn_add(txn, "r", &key, 1, &error));
    API_FAILS(MESHSYNC_E_TYPE, meshsync_txn_touch(txn, "r", &key, &error));
    API_FAILS(MESHSYNC_E_TYPE, meshsync_txn_set_add(txn, "m", key.parts[0], key.parts[0], &error));
    meshsync_path two = api_path(parts, "k", "f");
    API_FAILS(MESHSYNC_E_TYPE, meshsync_txn_put(txn, "r", &two, &value, NULL, &error));
    API_OK(meshsync_txn_put(txn, "m", &two, &value, NULL, &error));
    for (size_t i = 0; i < MESHSYNC_PATH_PARTS_MAX + 1; i++) {
        parts[i] = meshsync_bytes_of("p");
    }
    meshsync_path deep = {parts, MESHSYNC_PATH_PARTS_MAX + 1};
    API_FAILS(MESHSYNC_E_LIMIT, meshsync_txn_put(txn, "m", &deep, &value, NULL, &error));
    static const uint8_t wide[MESHSYNC_PATH_BYTES_MAX];
    parts[0] = (meshsync_bytes){wide, sizeof wide};
    deep.parts_count = 1;
    API_FAILS(MESHSYNC_E_LIMIT, meshsync_txn_put(txn, "r", &deep, &value, NULL, &error));
    meshsync_token token;
    API_OK(meshsync_txn_commit(txn, NULL, &token, &error));
    assert_true(token.len > 0);
}

static void test_limits(void **state)
{
    struct one *one = *state;
    meshsync_error error = {0};
    meshsync_txn *txn = NULL;
    meshsync_bytes part;
    meshsync_path key = api_path(&part, "k", NULL);
    meshsync_commit_options options = {.size = sizeof options, .ack = -2};
    static uint8_t large[MESHSYNC_VALUE_BYTES_MAX + 1];
    meshsync_value over = meshsync_value_bytes(large, sizeof large);
    meshsync_value most = meshsync_value_bytes(large, MESHSYNC_VALUE_BYTES_MAX - 64);
    API_OK(meshsync_txn_begin(one->space, &txn, &error));
    API_FAILS(MESHSYNC_E_LIMIT, meshsync_txn_put(txn, "r", &key, &over, NULL, &error));
    API_OK(meshsync_txn_put(txn, "r", &key, &most, NULL, &error));
    part = meshsync_bytes_of("l");
    API_OK(meshsync_txn_put(txn, "r", &key, &most, NULL, &error));
    part = meshsync_bytes_of("m");
    API_FAILS(MESHSYNC_E_LIMIT, meshsync_txn_put(txn, "r", &key, &most, NULL, &error));
    API_OK(meshsync_txn_commit(txn, NULL, NULL, &error)); /* The first two. */
    API_OK(meshsync_txn_begin(one->space, &txn, &error));
    for (uint32_t i = 0; i < MESHSYNC_TXN_OPS_MAX; i++) {
        API_OK(meshsync_txn_add(txn, "c", &key, 1, &error));
    }
    API_FAILS(MESHSYNC_E_LIMIT, meshsync_txn_add(txn, "c", &key, 1, &error));
    API_FAILS(MESHSYNC_E_INVALID, meshsync_txn_commit(txn, &options, NULL, &error));
    API_OK(meshsync_txn_begin(one->space, &txn, &error));
    options.ack = 0;
    options.size = 1;
    API_FAILS(MESHSYNC_E_INVALID, meshsync_txn_commit(txn, &options, NULL, &error));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_reads_its_own_writes, one_open, one_close),
        cmocka_unit_test_setup_teardown(test_aborted_is_nothing, one_open, one_close),
        cmocka_unit_test_setup_teardown(test_conditions, one_open, one_close),
        cmocka_unit_test_setup_teardown(test_levels, one_open, one_close),
        cmocka_unit_test_setup_teardown(test_every_commit_is_answered_at_close, one_open,
                                        one_close),
        cmocka_unit_test_setup_teardown(test_blocking_is_refused_in_callbacks, one_open, one_close),
        cmocka_unit_test_setup_teardown(test_threads_share_a_sync, one_open, one_close),
        cmocka_unit_test_setup_teardown(test_refused, one_open, one_close),
        cmocka_unit_test_setup_teardown(test_limits, one_open, one_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
