/* SPDX-License-Identifier: Apache-2.0 */
/* Shows that every implementation of the store keeps the one contract: the same story for each. */
#include "store_fixture.h"

#include "base/buf.h"

static int setup(void **state)
{
    const enum fixture_kind *kind = *state;
    struct fixture *fixture = malloc(sizeof *fixture);
    assert_non_null(fixture);
    fixture_init(fixture, *kind);
    fixture_open(fixture);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    fixture_fini(fixture);
    free(fixture);
    return 0;
}

static void what_was_committed_is_read(void **state)
{
    struct fixture *fixture = *state;
    struct msy_store_txn *txn = fixture_begin(fixture, MSY_TXN_WRITE);
    fixture_put(txn, "a", "1");
    fixture_put(txn, "b", "");
    fixture_put(txn, "a", "2");
    fixture_expect(txn, "a", "2");
    assert_int_equal(msy_store_commit(txn), MESHSYNC_OK);
    fixture_expect_one(fixture, "a", "2");
    fixture_expect_one(fixture, "b", "");
    fixture_expect_one(fixture, "c", NULL);
    /* Tables are apart. */
    txn = fixture_begin(fixture, MSY_TXN_READ);
    meshsync_bytes value;
    assert_int_equal(msy_store_get(txn, MSY_TABLE_LOG, fixture_text("a"), &value),
                     MESHSYNC_E_NOT_FOUND);
    assert_int_equal(msy_store_commit(txn), MESHSYNC_OK);
}

static void what_was_aborted_never_was(void **state)
{
    struct fixture *fixture = *state;
    fixture_put_one(fixture, "kept", "1");
    struct msy_store_txn *txn = fixture_begin(fixture, MSY_TXN_WRITE);
    fixture_put(txn, "kept", "2");
    fixture_put(txn, "new", "3");
    assert_int_equal(msy_store_del(txn, MSY_TABLE_STATE, fixture_text("kept")), MESHSYNC_OK);
    msy_store_abort(txn);
    msy_store_abort(NULL);
    fixture_expect_one(fixture, "kept", "1");
    fixture_expect_one(fixture, "new", NULL);
}

static void a_snapshot_does_not_move(void **state)
{
    struct fixture *fixture = *state;
    fixture_put_one(fixture, "a", "old");
    struct msy_store_txn *before = fixture_begin(fixture, MSY_TXN_READ);
    struct msy_store_txn *writer = fixture_begin(fixture, MSY_TXN_WRITE);
    fixture_put(writer, "a", "new");
    fixture_put(writer, "b", "new");
    fixture_expect(before, "a", "old");
    assert_int_equal(msy_store_commit(writer), MESHSYNC_OK);
    struct msy_store_txn *after = fixture_begin(fixture, MSY_TXN_READ);
    fixture_expect(before, "a", "old");
    fixture_expect(before, "b", NULL);
    fixture_expect(after, "a", "new");
    fixture_expect(after, "b", "new");
    msy_store_abort(before);
    fixture_expect(after, "a", "new");
    msy_store_abort(after);
}

static void deleting_tells_what_was_not_there(void **state)
{
    struct fixture *fixture = *state;
    fixture_put_one(fixture, "a", "1");
    struct msy_store_txn *txn = fixture_begin(fixture, MSY_TXN_WRITE);
    assert_int_equal(msy_store_del(txn, MSY_TABLE_STATE, fixture_text("b")), MESHSYNC_E_NOT_FOUND);
    assert_int_equal(msy_store_del(txn, MSY_TABLE_STATE, fixture_text("a")), MESHSYNC_OK);
    assert_int_equal(msy_store_del(txn, MSY_TABLE_STATE, fixture_text("a")), MESHSYNC_E_NOT_FOUND);
    fixture_expect(txn, "a", NULL);
    assert_int_equal(msy_store_commit(txn), MESHSYNC_OK);
    fixture_expect_one(fixture, "a", NULL);
}

static void expect_entry(meshsync_status status, meshsync_bytes key, const char *expected)
{
    assert_int_equal(status, MESHSYNC_OK);
    assert_int_equal(key.len, strlen(expected));
    assert_memory_equal(key.data, expected, key.len);
}

static void cursors_seek_and_step_both_ways(void **state)
{
    struct fixture *fixture = *state;
    struct msy_store_txn *txn = fixture_begin(fixture, MSY_TXN_WRITE);
    fixture_put(txn, "b", "1");
    fixture_put(txn, "d", "2");
    fixture_put(txn, "dd", "3");
    fixture_put(txn, "f", "4");
    assert_int_equal(msy_store_commit(txn), MESHSYNC_OK);
    txn = fixture_begin(fixture, MSY_TXN_READ);
    struct msy_store_iter *iter = NULL;
    assert_int_equal(msy_store_iter_open(txn, MSY_TABLE_STATE, &iter), MESHSYNC_OK);
    meshsync_bytes none = {NULL, 0};
    meshsync_bytes key;
    meshsync_bytes value;
    /* Never sought: a step starts at that end. */
    expect_entry(msy_store_next(iter, &key, &value), key, "b");
    expect_entry(msy_store_next(iter, &key, &value), key, "d");
    assert_memory_equal(value.data, "2", 1);
    expect_entry(msy_store_seek(iter, fixture_text("c"), &key, &value), key, "d");
    expect_entry(msy_store_seek(iter, fixture_text("d"), &key, &value), key, "d");
    expect_entry(msy_store_prev(iter, &key, &value), key, "b");
    expect_entry(msy_store_next(iter, &key, &value), key, "d");
    expect_entry(msy_store_seek(iter, none, &key, &value), key, "b");
    expect_entry(msy_store_seek_before(iter, fixture_text("e"), &key, &value), key, "dd");
    expect_entry(msy_store_seek_before(iter, fixture_text("dd"), &key, &value), key, "d");
    expect_entry(msy_store_seek_before(iter, fixture_text("z"), &key, &value), key, "f");
    expect_entry(msy_store_seek_before(iter, none, &key, &value), key, "f");
    /* Past an end there is no place to step from. */
    assert_int_equal(msy_store_next(iter, &key, &value), MESHSYNC_E_END);
    assert_true(key.data == NULL && key.len == 0 && value.len == 0);
    assert_int_equal(msy_store_prev(iter, &key, &value), MESHSYNC_E_END);
    assert_int_equal(msy_store_seek(iter, fixture_text("g"), &key, &value), MESHSYNC_E_END);
    assert_int_equal(msy_store_seek_before(iter, fixture_text("b"), &key, &value), MESHSYNC_E_END);
    assert_int_equal(msy_store_next(iter, &key, &value), MESHSYNC_E_END);
    expect_entry(msy_store_seek(iter, fixture_text("a"), &key, &value), key, "b");
    assert_int_equal(msy_store_prev(iter, &key, &value), MESHSYNC_E_END);
    msy_store_iter_close(iter);
    assert_int_equal(msy_store_iter_open(txn, MSY_TABLE_STATE, &iter), MESHSYNC_OK);
    expect_entry(msy_store_prev(iter, &key, &value), key, "f");
    msy_store_iter_close(iter);
    assert_int_equal(msy_store_iter_open(txn, MSY_TABLE_PEERS, &iter), MESHSYNC_OK);
    assert_int_equal(msy_store_next(iter, &key, &value), MESHSYNC_E_END);
    assert_int_equal(msy_store_seek_before(iter, none, &key, &value), MESHSYNC_E_END);
    msy_store_iter_close(iter);
    msy_store_iter_close(NULL);
    msy_store_abort(txn);
}

static void a_writers_cursor_must_seek_again(void **state)
{
    struct fixture *fixture = *state;
    struct msy_store_txn *txn = fixture_begin(fixture, MSY_TXN_WRITE);
    fixture_put(txn, "a", "1");
    fixture_put(txn, "c", "3");
    struct msy_store_iter *iter = NULL;
    assert_int_equal(msy_store_iter_open(txn, MSY_TABLE_STATE, &iter), MESHSYNC_OK);
    meshsync_bytes key;
    meshsync_bytes value;
    expect_entry(msy_store_seek(iter, fixture_text("a"), &key, &value), key, "a");
    fixture_put(txn, "b", "2");
    assert_int_equal(msy_store_next(iter, &key, &value), MESHSYNC_E_STATE);
    assert_int_equal(msy_store_prev(iter, &key, &value), MESHSYNC_E_STATE);
    expect_entry(msy_store_seek(iter, fixture_text("a"), &key, &value), key, "a");
    expect_entry(msy_store_next(iter, &key, &value), key, "b");
    assert_int_equal(msy_store_del(txn, MSY_TABLE_STATE, fixture_text("b")), MESHSYNC_OK);
    expect_entry(msy_store_seek(iter, fixture_text("b"), &key, &value), key, "c");
    msy_store_iter_close(iter);
    assert_int_equal(msy_store_commit(txn), MESHSYNC_OK);
}

static void two_cursors_of_one_table_are_apart(void **state)
{
    struct fixture *fixture = *state;
    fixture_put_one(fixture, "a", "1");
    fixture_put_one(fixture, "b", "2");
    for (unsigned round = 0; round < 3; round++) {
        enum msy_txn_mode mode = round == 1 ? MSY_TXN_WRITE : MSY_TXN_READ;
        struct msy_store_txn *txn = fixture_begin(fixture, mode);
        struct msy_store_iter *one = NULL;
        struct msy_store_iter *two = NULL;
        meshsync_bytes key;
        meshsync_bytes value;
        assert_int_equal(msy_store_iter_open(txn, MSY_TABLE_STATE, &one), MESHSYNC_OK);
        assert_int_equal(msy_store_iter_open(txn, MSY_TABLE_STATE, &two), MESHSYNC_OK);
        expect_entry(msy_store_next(one, &key, &value), key, "a");
        expect_entry(msy_store_prev(two, &key, &value), key, "b");
        expect_entry(msy_store_next(one, &key, &value), key, "b");
        expect_entry(msy_store_prev(two, &key, &value), key, "a");
        msy_store_iter_close(one);
        msy_store_iter_close(two);
        msy_store_abort(txn);
    }
}

static void appending_keeps_order(void **state)
{
    struct fixture *fixture = *state;
    struct msy_store_txn *txn = fixture_begin(fixture, MSY_TXN_WRITE);
    uint8_t number[8];
    for (uint64_t i = 1; i <= 3000; i++) {
        msy_put_be64(number, i * 10);
        meshsync_bytes key = {number, sizeof number};
        assert_int_equal(msy_store_put(txn, MSY_TABLE_LOG, key, key, MSY_PUT_APPEND), MESHSYNC_OK);
    }
    msy_put_be64(number, 30000);
    meshsync_bytes key = {number, sizeof number};
    assert_int_equal(msy_store_put(txn, MSY_TABLE_LOG, key, key, MSY_PUT_APPEND),
                     MESHSYNC_E_INVALID);
    msy_put_be64(number, 29999);
    assert_int_equal(msy_store_put(txn, MSY_TABLE_LOG, key, key, MSY_PUT_APPEND),
                     MESHSYNC_E_INVALID);
    assert_int_equal(msy_store_commit(txn), MESHSYNC_OK);

    txn = fixture_begin(fixture, MSY_TXN_READ);
    struct msy_store_iter *iter = NULL;
    assert_int_equal(msy_store_iter_open(txn, MSY_TABLE_LOG, &iter), MESHSYNC_OK);
    meshsync_bytes found;
    meshsync_bytes value;
    for (uint64_t i = 1; i <= 3000; i++) {
        assert_int_equal(msy_store_next(iter, &found, &value), MESHSYNC_OK);
        assert_true(found.len == 8 && msy_get_be64(found.data) == i * 10);
        assert_true(msy_bytes_equal(found, value));
    }
    assert_int_equal(msy_store_next(iter, &found, &value), MESHSYNC_E_END);
    for (uint64_t i = 3000; i >= 1; i--) {
        meshsync_status status =
            i == 3000 ? msy_store_seek_before(iter, (meshsync_bytes){NULL, 0}, &found, &value)
                      : msy_store_prev(iter, &found, &value);
        assert_int_equal(status, MESHSYNC_OK);
        assert_true(msy_get_be64(found.data) == i * 10);
    }
    msy_store_iter_close(iter);
    msy_store_abort(txn);
    struct msy_store_stats stats;
    assert_int_equal(msy_store_get_stats(fixture->store, &stats), MESHSYNC_OK);
    assert_int_equal(stats.entries[MSY_TABLE_LOG], 3000);
    assert_int_equal(stats.entries[MSY_TABLE_STATE], 0);
    assert_true(stats.used_bytes >= 3000 * 16);
}

static void reserved_room_is_filled_by_the_caller(void **state)
{
    struct fixture *fixture = *state;
    struct msy_store_txn *txn = fixture_begin(fixture, MSY_TXN_WRITE);
    uint8_t *room = NULL;
    static const size_t sizes[] = {0, 1, 100, 5000, 3u << 20, 7};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        assert_int_equal(
            msy_store_reserve(txn, MSY_TABLE_LOG, fixture_text("k"), sizes[i], MSY_PUT_ANY, &room),
            MESHSYNC_OK);
        memset(room, (int)i + 1, sizes[i]);
        meshsync_bytes value;
        assert_int_equal(msy_store_get(txn, MSY_TABLE_LOG, fixture_text("k"), &value), MESHSYNC_OK);
        assert_int_equal(value.len, sizes[i]);
        for (size_t j = 0; j < value.len; j++) {
            assert_true(value.data[j] == i + 1);
        }
    }
    assert_int_equal(msy_store_commit(txn), MESHSYNC_OK);
}

static void limits_of_keys_and_values_hold(void **state)
{
    struct fixture *fixture = *state;
    struct msy_store_txn *txn = fixture_begin(fixture, MSY_TXN_WRITE);
    static uint8_t big[(16u << 20) + 1];
    meshsync_bytes longest = {big, 511};
    meshsync_bytes too_long = {big, 512};
    meshsync_bytes empty = {big, 0};
    meshsync_bytes found;
    uint8_t *room = NULL;
    assert_int_equal(msy_store_put(txn, MSY_TABLE_META, longest, empty, MSY_PUT_ANY), MESHSYNC_OK);
    assert_int_equal(msy_store_put(txn, MSY_TABLE_META, too_long, empty, MSY_PUT_ANY),
                     MESHSYNC_E_INVALID);
    assert_int_equal(msy_store_put(txn, MSY_TABLE_META, empty, empty, MSY_PUT_ANY),
                     MESHSYNC_E_INVALID);
    assert_int_equal(msy_store_get(txn, MSY_TABLE_META, longest, &found), MESHSYNC_OK);
    assert_int_equal(msy_store_get(txn, MSY_TABLE_META, too_long, &found), MESHSYNC_E_INVALID);
    assert_int_equal(msy_store_get(txn, MSY_TABLE_META, empty, &found), MESHSYNC_E_INVALID);
    assert_int_equal(msy_store_del(txn, MSY_TABLE_META, too_long), MESHSYNC_E_INVALID);
    assert_int_equal(msy_store_get(txn, MSY_TABLE_COUNT, longest, &found), MESHSYNC_E_INVALID);
    struct msy_store_iter *iter = NULL;
    assert_int_equal(msy_store_iter_open(txn, MSY_TABLE_COUNT, &iter), MESHSYNC_E_INVALID);
    assert_null(iter);
    assert_int_equal(
        msy_store_reserve(txn, MSY_TABLE_LOG, longest, (16u << 20) + 1, MSY_PUT_ANY, &room),
        MESHSYNC_E_LIMIT);
    big[16u << 20] = 1;
    meshsync_bytes largest = {big + 1, 16u << 20};
    assert_int_equal(msy_store_put(txn, MSY_TABLE_LOG, longest, largest, MSY_PUT_ANY), MESHSYNC_OK);
    assert_int_equal(msy_store_get(txn, MSY_TABLE_LOG, longest, &found), MESHSYNC_OK);
    assert_true(msy_bytes_equal(found, largest));
    assert_int_equal(msy_store_commit(txn), MESHSYNC_OK);
}

static void modes_are_kept_apart(void **state)
{
    struct fixture *fixture = *state;
    struct msy_store_txn *writer = fixture_begin(fixture, MSY_TXN_WRITE);
    struct msy_store_txn *second = NULL;
    assert_int_equal(msy_store_begin(fixture->store, MSY_TXN_WRITE, &second), MESHSYNC_E_BUSY);
    assert_null(second);
    struct msy_store_txn *reader = fixture_begin(fixture, MSY_TXN_READ);
    uint8_t *room = NULL;
    assert_int_equal(
        msy_store_put(reader, MSY_TABLE_META, fixture_text("a"), fixture_text("1"), MSY_PUT_ANY),
        MESHSYNC_E_STATE);
    assert_int_equal(
        msy_store_reserve(reader, MSY_TABLE_META, fixture_text("a"), 1, MSY_PUT_ANY, &room),
        MESHSYNC_E_STATE);
    assert_int_equal(msy_store_del(reader, MSY_TABLE_META, fixture_text("a")), MESHSYNC_E_STATE);
    assert_int_equal(msy_store_commit(reader), MESHSYNC_OK);
    fixture_put(writer, "a", "1");
    assert_int_equal(msy_store_commit(writer), MESHSYNC_OK);
    struct msy_store_stats stats;
    assert_int_equal(msy_store_get_stats(fixture->store, &stats), MESHSYNC_OK);
    uint64_t last = stats.last_txn_id;
    fixture_put_one(fixture, "a", "2");
    assert_int_equal(msy_store_get_stats(fixture->store, &stats), MESHSYNC_OK);
    assert_true(stats.last_txn_id == last + 1);
    uint32_t freed = 1;
    assert_int_equal(msy_store_sweep_readers(fixture->store, &freed), MESHSYNC_OK);
    assert_int_equal(freed, 0);
}

static void reading_again_takes_no_memory(void **state)
{
    struct fixture *fixture = *state;
    fixture_put_one(fixture, "a", "1");
    for (unsigned round = 0; round < 3; round++) {
        if (round == 2) {
            fixture->alloc.fail_at = 1;
            fixture->alloc.fail_for_ever = 1;
        }
        struct msy_store_txn *one = fixture_begin(fixture, MSY_TXN_READ);
        struct msy_store_txn *two = fixture_begin(fixture, MSY_TXN_READ);
        struct msy_store_iter *iter = NULL;
        meshsync_bytes key;
        meshsync_bytes value;
        /* Idle transactions come back last in, first out: both must have had their cursor. */
        assert_int_equal(msy_store_iter_open(one, MSY_TABLE_STATE, &iter), MESHSYNC_OK);
        expect_entry(msy_store_next(iter, &key, &value), key, "a");
        msy_store_iter_close(iter);
        assert_int_equal(msy_store_iter_open(two, MSY_TABLE_STATE, &iter), MESHSYNC_OK);
        expect_entry(msy_store_next(iter, &key, &value), key, "a");
        msy_store_iter_close(iter);
        msy_store_abort(one);
        msy_store_abort(two);
    }
    fixture->alloc.fail_for_ever = 0;
    fixture->alloc.fail_at = 0;
}

static void without_memory_nothing_changes(void **state)
{
    struct fixture *fixture = *state;
    for (uint64_t nth = 1; nth < 40; nth++) {
        fixture->alloc.fail_at = nth;
        struct msy_store_txn *txn = NULL;
        meshsync_status status = msy_store_begin(fixture->store, MSY_TXN_WRITE, &txn);
        if (status == MESHSYNC_OK) {
            for (unsigned i = 0; i < 8 && status == MESHSYNC_OK; i++) {
                char key[16];
                (void)snprintf(key, sizeof key, "%u-%u", (unsigned)nth, i);
                status = msy_store_put(txn, MSY_TABLE_STATE, fixture_text(key),
                                       fixture_text("value"), MSY_PUT_ANY);
            }
            struct msy_store_iter *iter = NULL;
            if (status == MESHSYNC_OK) {
                status = msy_store_iter_open(txn, MSY_TABLE_STATE, &iter);
            }
            msy_store_iter_close(iter);
            msy_store_abort(txn);
        }
        assert_true(status == MESHSYNC_OK || status == MESHSYNC_E_NO_MEMORY);
        fixture->alloc.fail_at = nth;
        status = msy_store_begin(fixture->store, MSY_TXN_READ, &txn);
        assert_true(status == MESHSYNC_OK || status == MESHSYNC_E_NO_MEMORY);
        if (status == MESHSYNC_OK) {
            msy_store_abort(txn);
        }
        fixture->alloc.fail_at = 0;
        struct msy_store_stats stats;
        assert_int_equal(msy_store_get_stats(fixture->store, &stats), MESHSYNC_OK);
        assert_int_equal(stats.entries[MSY_TABLE_STATE], 0);
    }
}

int main(void)
{
    static enum fixture_kind kinds[] = {FIXTURE_LMDB, FIXTURE_MEMORY};
    static const struct {
        const char *name;
        CMUnitTestFunction run;
    } stories[] = {
        {"what was committed is read", what_was_committed_is_read},
        {"what was aborted never was", what_was_aborted_never_was},
        {"a snapshot does not move", a_snapshot_does_not_move},
        {"deleting tells what was not there", deleting_tells_what_was_not_there},
        {"cursors seek and step both ways", cursors_seek_and_step_both_ways},
        {"a writer's cursor must seek again", a_writers_cursor_must_seek_again},
        {"two cursors of one table are apart", two_cursors_of_one_table_are_apart},
        {"appending keeps order", appending_keeps_order},
        {"reserved room is filled by the caller", reserved_room_is_filled_by_the_caller},
        {"limits of keys and values hold", limits_of_keys_and_values_hold},
        {"modes are kept apart", modes_are_kept_apart},
        {"reading again takes no memory", reading_again_takes_no_memory},
        {"without memory nothing changes", without_memory_nothing_changes},
    };
    enum { STORIES_COUNT = sizeof stories / sizeof stories[0] };
    struct CMUnitTest tests[2 * STORIES_COUNT];
    char names[2 * STORIES_COUNT][64];
    for (size_t i = 0; i < 2 * STORIES_COUNT; i++) {
        size_t kind = i / STORIES_COUNT;
        (void)snprintf(names[i], sizeof names[i], "%s: %s",
                       kinds[kind] == FIXTURE_LMDB ? "lmdb" : "memory",
                       stories[i % STORIES_COUNT].name);
        tests[i] = (struct CMUnitTest){names[i], stories[i % STORIES_COUNT].run, setup, teardown,
                                       &kinds[kind]};
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
