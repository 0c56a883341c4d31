/* SPDX-License-Identifier: Apache-2.0 */
/* Shows what the memory store adds to the contract: faults, clones, nothing lost without memory. */
#include "store_fixture.h"

#include "base/buf.h"
#include "base/entropy.h"

static int setup(void **state)
{
    struct fixture *fixture = malloc(sizeof *fixture);
    assert_non_null(fixture);
    fixture_init(fixture, FIXTURE_MEMORY);
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

static void a_full_store_refuses_puts_and_deletes_on(void **state)
{
    struct fixture *fixture = *state;
    fixture_put_one(fixture, "a", "1");
    fixture_put_one(fixture, "b", "1");
    msy_store_memory_fault(fixture->store, MSY_STORE_FAULT_FULL);
    struct msy_store_txn *txn = fixture_begin(fixture, MSY_TXN_WRITE);
    assert_int_equal(
        msy_store_put(txn, MSY_TABLE_STATE, fixture_text("c"), fixture_text("1"), MSY_PUT_ANY),
        MESHSYNC_E_STORE_FULL);
    assert_int_equal(msy_store_del(txn, MSY_TABLE_STATE, fixture_text("a")), MESHSYNC_OK);
    msy_store_use_reserve(txn);
    fixture_put(txn, "d", "1");
    assert_int_equal(msy_store_commit(txn), MESHSYNC_OK);
    msy_store_memory_fault(fixture->store, MSY_STORE_FAULT_NONE);
    fixture_expect_one(fixture, "a", NULL);
    fixture_expect_one(fixture, "c", NULL);
    fixture_expect_one(fixture, "d", "1");
    fixture_put_one(fixture, "c", "1");
}

static void a_failed_commit_changes_nothing(void **state)
{
    struct fixture *fixture = *state;
    fixture_put_one(fixture, "a", "1");
    msy_store_memory_fault(fixture->store, MSY_STORE_FAULT_COMMIT_IO);
    struct msy_store_txn *txn = fixture_begin(fixture, MSY_TXN_WRITE);
    fixture_put(txn, "a", "2");
    fixture_put(txn, "b", "2");
    assert_int_equal(msy_store_commit(txn), MESHSYNC_E_IO);
    msy_store_memory_fault(fixture->store, MSY_STORE_FAULT_NONE);
    fixture_expect_one(fixture, "a", "1");
    fixture_expect_one(fixture, "b", NULL);
    fixture_put_one(fixture, "b", "3");
    fixture_expect_one(fixture, "b", "3");
}

static void clones_go_their_own_ways(void **state)
{
    struct fixture *fixture = *state;
    struct fixture clone = *fixture;
    fixture_put_one(fixture, "a", "1");
    fixture_put_one(fixture, "b", "1");
    struct msy_store_txn *txn = fixture_begin(fixture, MSY_TXN_WRITE);
    fixture_put(txn, "a", "not committed");
    assert_int_equal(msy_store_memory_clone(fixture->store, &clone.store), MESHSYNC_OK);
    assert_int_equal(msy_store_commit(txn), MESHSYNC_OK);
    fixture_expect_one(&clone, "a", "1");
    txn = fixture_begin(&clone, MSY_TXN_WRITE);
    fixture_put(txn, "a", "cloned");
    assert_int_equal(msy_store_del(txn, MSY_TABLE_STATE, fixture_text("b")), MESHSYNC_OK);
    assert_int_equal(msy_store_commit(txn), MESHSYNC_OK);
    fixture_expect_one(fixture, "a", "not committed");
    fixture_expect_one(fixture, "b", "1");
    fixture_close(fixture);
    fixture_expect_one(&clone, "a", "cloned");
    fixture_expect_one(&clone, "b", NULL);
    /* The clone takes the store's place: the teardown closes it. */
    fixture->store = clone.store;
    int no_file = -1;
    assert_int_equal(msy_store_copy(fixture->store, no_file), MESHSYNC_E_UNSUPPORTED);
}

static meshsync_bytes number_key(uint8_t *out, uint64_t number)
{
    msy_put_be64(out, number);
    return (meshsync_bytes){out, 8};
}

/* All numbers below count but those that were deleted, in order. */
static void expect_numbers(struct msy_store_txn *txn, const bool *there, uint64_t count)
{
    struct msy_store_iter *iter = NULL;
    meshsync_bytes key;
    meshsync_bytes value;
    assert_int_equal(msy_store_iter_open(txn, MSY_TABLE_LOG, &iter), MESHSYNC_OK);
    for (uint64_t i = 0; i < count; i++) {
        if (there[i]) {
            assert_int_equal(msy_store_next(iter, &key, &value), MESHSYNC_OK);
            assert_true(msy_get_be64(key.data) == i);
        }
    }
    assert_int_equal(msy_store_next(iter, &key, &value), MESHSYNC_E_END);
    msy_store_iter_close(iter);
}

/* Each change with the n-th allocation failing: it is made whole or not at all. */
static void a_change_without_memory_is_not_made(void **state)
{
    enum { NUMBERS_COUNT = 300 };
    struct fixture *fixture = *state;
    struct msy_prng prng;
    msy_prng_init(&prng, 6);
    bool there[NUMBERS_COUNT] = {false};
    unsigned failed = 0;
    for (unsigned round = 0; round < 40; round++) {
        /* Shares every node, so that the writer must copy what it touches. */
        struct msy_store_txn *pin = fixture_begin(fixture, MSY_TXN_READ);
        struct msy_store_txn *txn = fixture_begin(fixture, MSY_TXN_WRITE);
        for (unsigned i = 0; i < 40; i++) {
            uint64_t number = msy_prng_below(&prng, NUMBERS_COUNT);
            uint8_t bytes[8];
            meshsync_bytes key = number_key(bytes, number);
            fixture->alloc.fail_at = msy_prng_below(&prng, 3);
            if (msy_prng_below(&prng, 2) == 0) {
                meshsync_status status = msy_store_put(txn, MSY_TABLE_LOG, key, key, MSY_PUT_ANY);
                assert_true(status == MESHSYNC_OK || status == MESHSYNC_E_NO_MEMORY);
                there[number] = there[number] || status == MESHSYNC_OK;
                failed += status == MESHSYNC_E_NO_MEMORY;
            } else {
                meshsync_status status = msy_store_del(txn, MSY_TABLE_LOG, key);
                assert_true(status == MESHSYNC_E_NO_MEMORY ||
                            status == (there[number] ? MESHSYNC_OK : MESHSYNC_E_NOT_FOUND));
                there[number] = there[number] && status != MESHSYNC_OK;
                failed += status == MESHSYNC_E_NO_MEMORY;
            }
            fixture->alloc.fail_at = 0;
        }
        expect_numbers(txn, there, NUMBERS_COUNT);
        assert_int_equal(msy_store_commit(txn), MESHSYNC_OK);
        msy_store_abort(pin);
    }
    assert_true(failed > 20);
}

/* Keys in order are the worst case of a plain tree. */
static void ordered_keys_stay_balanced(void **state)
{
    enum { NUMBERS_COUNT = 100000 };
    struct fixture *fixture = *state;
    struct msy_store_txn *txn = fixture_begin(fixture, MSY_TXN_WRITE);
    uint8_t bytes[8];
    for (uint64_t i = 0; i < NUMBERS_COUNT; i++) {
        meshsync_bytes key = number_key(bytes, i);
        assert_int_equal(msy_store_put(txn, MSY_TABLE_LOG, key, key, MSY_PUT_APPEND), MESHSYNC_OK);
    }
    assert_int_equal(msy_store_commit(txn), MESHSYNC_OK);
    /* One put beside a snapshot copies a path, not a table. */
    struct msy_store_txn *pin = fixture_begin(fixture, MSY_TXN_READ);
    size_t before = fixture->alloc.bytes_used;
    txn = fixture_begin(fixture, MSY_TXN_WRITE);
    meshsync_bytes key = number_key(bytes, NUMBERS_COUNT / 2);
    assert_int_equal(msy_store_put(txn, MSY_TABLE_LOG, key, fixture_text("x"), MSY_PUT_ANY),
                     MESHSYNC_OK);
    assert_int_equal(msy_store_commit(txn), MESHSYNC_OK);
    assert_in_range(fixture->alloc.bytes_used - before, 1, 8192);
    msy_store_abort(pin);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_full_store_refuses_puts_and_deletes_on, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failed_commit_changes_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(clones_go_their_own_ways, setup, teardown),
        cmocka_unit_test_setup_teardown(a_change_without_memory_is_not_made, setup, teardown),
        cmocka_unit_test_setup_teardown(ordered_keys_stay_balanced, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
