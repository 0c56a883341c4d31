/* SPDX-License-Identifier: Apache-2.0 */
/* Shows that readers in other threads see whole commits only, in both stores, in order. */
#include "store_fixture.h"

#include <pthread.h>

#include "base/buf.h"

enum { READERS_COUNT = 3, COMMITS_COUNT = 300, READS_MAX = 1000000 };

/* Tests may not fail in other threads: they say what went wrong here, and are judged at the end. */
struct reader {
    struct msy_store *store;
    pthread_t thread;
    uint64_t last;
    uint64_t reads_count;
    bool wrong;
};

static uint64_t read_number(struct msy_store_txn *txn, const char *key, bool *wrong)
{
    meshsync_bytes value;
    meshsync_status status = msy_store_get(txn, MSY_TABLE_STATE, fixture_text(key), &value);
    if (status == MESHSYNC_E_NOT_FOUND) {
        return 0;
    }
    if (status != MESHSYNC_OK || value.len != 8) {
        *wrong = true;
        return 0;
    }
    return msy_get_be64(value.data);
}

/* Entries of the log, by a walk: commit n adds its n-th. */
static uint64_t count_log(struct msy_store_txn *txn, bool *wrong)
{
    struct msy_store_iter *iter = NULL;
    meshsync_bytes key;
    meshsync_bytes value;
    uint64_t count = 0;
    if (msy_store_iter_open(txn, MSY_TABLE_LOG, &iter) != MESHSYNC_OK) {
        *wrong = true;
        return 0;
    }
    while (msy_store_next(iter, &key, &value) == MESHSYNC_OK) {
        count++;
    }
    msy_store_iter_close(iter);
    return count;
}

static void *reader_run(void *user)
{
    struct reader *reader = user;
    while (reader->last < COMMITS_COUNT && reader->reads_count < READS_MAX && !reader->wrong) {
        struct msy_store_txn *txn = NULL;
        if (msy_store_begin(reader->store, MSY_TXN_READ, &txn) != MESHSYNC_OK) {
            reader->wrong = true;
            break;
        }
        uint64_t first = read_number(txn, "first", &reader->wrong);
        uint64_t logged = count_log(txn, &reader->wrong);
        uint64_t second = read_number(txn, "second", &reader->wrong);
        if (first != second || first != logged || first < reader->last) {
            reader->wrong = true;
        }
        reader->last = first;
        reader->reads_count++;
        msy_store_abort(txn);
    }
    return NULL;
}

static void commit_number(struct fixture *fixture, uint64_t number)
{
    uint8_t bytes[8];
    msy_put_be64(bytes, number);
    meshsync_bytes value = {bytes, sizeof bytes};
    struct msy_store_txn *txn = fixture_begin(fixture, MSY_TXN_WRITE);
    assert_int_equal(msy_store_put(txn, MSY_TABLE_STATE, fixture_text("first"), value, MSY_PUT_ANY),
                     MESHSYNC_OK);
    assert_int_equal(msy_store_put(txn, MSY_TABLE_LOG, value, value, MSY_PUT_APPEND), MESHSYNC_OK);
    assert_int_equal(
        msy_store_put(txn, MSY_TABLE_STATE, fixture_text("second"), value, MSY_PUT_ANY),
        MESHSYNC_OK);
    if (number % 5 == 0) {
        struct msy_store_stats stats;
        assert_int_equal(msy_store_get_stats(fixture->store, &stats), MESHSYNC_OK);
    }
    assert_int_equal(msy_store_commit(txn), MESHSYNC_OK);
}

static void run(enum fixture_kind kind)
{
    struct fixture fixture;
    struct reader readers[READERS_COUNT];
    memset(readers, 0, sizeof readers);
    fixture_init(&fixture, kind);
    fixture_open(&fixture);
    for (unsigned i = 0; i < READERS_COUNT; i++) {
        readers[i].store = fixture.store;
        assert_int_equal(pthread_create(&readers[i].thread, NULL, reader_run, &readers[i]), 0);
    }
    for (uint64_t number = 1; number <= COMMITS_COUNT; number++) {
        commit_number(&fixture, number);
    }
    for (unsigned i = 0; i < READERS_COUNT; i++) {
        assert_int_equal(pthread_join(readers[i].thread, NULL), 0);
    }
    for (unsigned i = 0; i < READERS_COUNT; i++) {
        assert_false(readers[i].wrong);
        assert_int_equal(readers[i].last, COMMITS_COUNT);
    }
    fixture_fini(&fixture);
}

static void lmdb_readers_see_whole_commits(void **state)
{
    (void)state;
    run(FIXTURE_LMDB);
}

static void memory_readers_see_whole_commits(void **state)
{
    (void)state;
    run(FIXTURE_MEMORY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lmdb_readers_see_whole_commits),
        cmocka_unit_test(memory_readers_see_whole_commits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
