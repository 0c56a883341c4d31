/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store of format 1, whose small tables have no checksums, is read as it is and brought up to
 * date by who opens it for writing; from then on a wrong bit in a value of any table is noticed.
 */
#include "store_fixture.h"

#include "store/schema.h"
#include "store/store_ops.h"

enum { ROWS = 300, FORMAT_OLD = 1 };

/* Rows of format 1 as they lay on disk: what they say, and nothing else. */
static void write_old(struct msy_store *store, const uint8_t *format, size_t format_len)
{
    struct msy_store_txn *txn = NULL;
    assert_int_equal(msy_store_begin(store, MSY_TXN_WRITE, &txn), MESHSYNC_OK);
    txn->sealed = false;
    assert_int_equal(msy_store_put(txn, MSY_TABLE_META, msy_key_name(MSY_META_FORMAT),
                                   msy_bytes(format, format_len), MSY_PUT_ANY),
                     MESHSYNC_OK);
    for (uint32_t i = 0; i < ROWS; i++) {
        uint8_t key[8];
        for (int table = 0; table < MSY_TABLE_COUNT; table++) {
            assert_int_equal(msy_store_put(txn, (enum msy_table)table, msy_key_log(key, i + 1),
                                           msy_bytes(key, i % sizeof key), MSY_PUT_ANY),
                             MESHSYNC_OK);
        }
    }
    assert_int_equal(msy_store_commit(txn), MESHSYNC_OK);
}

static void reopen(struct fixture *fixture, bool read_only)
{
    msy_store_close(fixture->store);
    fixture->store = NULL;
    fixture->options.read_only = read_only;
    fixture_open(fixture);
}

static void check_rows(struct fixture *fixture, uint32_t format)
{
    struct msy_store_txn *txn = NULL;
    meshsync_bytes value;
    assert_int_equal(msy_store_begin(fixture->store, MSY_TXN_READ, &txn), MESHSYNC_OK);
    assert_int_equal(msy_store_get(txn, MSY_TABLE_META, msy_key_name(MSY_META_FORMAT), &value),
                     MESHSYNC_OK);
    assert_int_equal(value.len, 4);
    assert_int_equal(msy_get_be32(value.data), format);
    for (uint32_t i = 0; i < ROWS; i++) {
        uint8_t key[8];
        for (int table = 0; table < MSY_TABLE_COUNT; table++) {
            assert_int_equal(
                msy_store_get(txn, (enum msy_table)table, msy_key_log(key, i + 1), &value),
                MESHSYNC_OK);
            assert_int_equal(value.len, i % sizeof key);
            assert_memory_equal(value.data, key, value.len);
        }
    }
    msy_store_abort(txn);
}

static void test_upgrade(void **state)
{
    static const uint8_t format[4] = {0, 0, 0, FORMAT_OLD};
    struct fixture fixture;
    (void)state;
    fixture_init(&fixture, FIXTURE_LMDB);
    fixture_open(&fixture);
    write_old(fixture.store, format, sizeof format);
    reopen(&fixture, true);
    assert_false(fixture.store->sealed);
    check_rows(&fixture, FORMAT_OLD);
    reopen(&fixture, false);
    assert_true(fixture.store->sealed);
    check_rows(&fixture, MSY_SCHEMA_VERSION);
    reopen(&fixture, true);
    assert_true(fixture.store->sealed);
    check_rows(&fixture, MSY_SCHEMA_VERSION);
    reopen(&fixture, false);
    fixture_fini(&fixture);
}

static void test_strange_format(void **state)
{
    static const uint8_t format[5] = {0};
    struct fixture fixture;
    meshsync_error error;
    struct msy_store *store = NULL;
    (void)state;
    fixture_init(&fixture, FIXTURE_LMDB);
    fixture_open(&fixture);
    write_old(fixture.store, format, sizeof format);
    msy_store_close(fixture.store);
    fixture.store = NULL;
    assert_int_equal(msy_store_open_lmdb(&fixture.options, &store, &error),
                     MESHSYNC_E_STORE_CORRUPT);
    assert_null(store);
    assert_true(error.message[0] != 0);
    fixture_fini(&fixture);
}

/* One bit of a value, or of its key, in each table: told, by look-up and by walk. */
static void test_wrong_bits(void **state)
{
    struct fixture fixture;
    (void)state;
    fixture_init(&fixture, FIXTURE_MEMORY);
    fixture_open(&fixture);
    for (int table = 0; table < MSY_TABLE_COUNT; table++) {
        const meshsync_bytes key = fixture_text("key");
        const meshsync_bytes other = fixture_text("kez");
        struct msy_store_txn *txn = NULL;
        struct msy_store_iter *iter = NULL;
        meshsync_bytes value;
        meshsync_bytes found;
        if (table == MSY_TABLE_LOG || table == MSY_TABLE_STATE) {
            continue; /* They have checksums of their own. */
        }
        uint8_t raw[16];
        assert_int_equal(msy_store_begin(fixture.store, MSY_TXN_WRITE, &txn), MESHSYNC_OK);
        assert_int_equal(
            msy_store_put(txn, (enum msy_table)table, key, fixture_text("value"), MSY_PUT_ANY),
            MESHSYNC_OK);
        txn->sealed = false;
        assert_int_equal(msy_store_get(txn, (enum msy_table)table, key, &value), MESHSYNC_OK);
        assert_int_equal(value.len, 9);
        memcpy(raw, value.data, value.len);
        assert_int_equal(
            msy_store_put(txn, (enum msy_table)table, other, msy_bytes(raw, 9), MSY_PUT_ANY),
            MESHSYNC_OK);
        raw[1] ^= 4;
        assert_int_equal(
            msy_store_put(txn, (enum msy_table)table, key, msy_bytes(raw, 9), MSY_PUT_ANY),
            MESHSYNC_OK);
        txn->sealed = true;
        assert_int_equal(msy_store_get(txn, (enum msy_table)table, key, &value),
                         MESHSYNC_E_STORE_CORRUPT);
        assert_int_equal(msy_store_get(txn, (enum msy_table)table, other, &value),
                         MESHSYNC_E_STORE_CORRUPT);
        assert_int_equal(msy_store_iter_open(txn, (enum msy_table)table, &iter), MESHSYNC_OK);
        assert_int_equal(msy_store_next(iter, &found, &value), MESHSYNC_E_STORE_CORRUPT);
        msy_store_iter_close(iter);
        msy_store_abort(txn);
    }
    fixture_fini(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_upgrade),
                                       cmocka_unit_test(test_strange_format),
                                       cmocka_unit_test(test_wrong_bits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
