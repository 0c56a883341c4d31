/* SPDX-License-Identifier: Apache-2.0 */
/* Shows that stamps only grow, whatever the wall clock does, that stamps from far ahead are told
 * apart, and that a vector keeps one greatest entry per actor, in order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "clock/hlc.h"
#include "clock/vector.h"

static void test_stamps_only_grow(void **state)
{
    struct msy_hlc hlc = {0};
    (void)state;
    uint64_t first = msy_hlc_next(&hlc, 1000);
    assert_true(first == msy_hlc_make(1000, 0));
    assert_true(msy_hlc_next(&hlc, 1000) == msy_hlc_make(1000, 1));
    assert_true(msy_hlc_next(&hlc, 500) == msy_hlc_make(1000, 2)); /* The clock went back. */
    msy_hlc_observe(&hlc, msy_hlc_make(2000, UINT16_MAX));
    assert_true(msy_hlc_next(&hlc, 1500) == msy_hlc_make(2001, 0)); /* The counter carries. */
    msy_hlc_observe(&hlc, msy_hlc_make(1, 1));
    assert_true(msy_hlc_ms(hlc.last) == 2001);
    assert_true(msy_hlc_next(&hlc, 3000) == msy_hlc_make(3000, 0));
}

static void test_far_ahead(void **state)
{
    struct msy_hlc hlc = {.last = msy_hlc_make(5000, 0)};
    (void)state;
    assert_false(msy_hlc_too_far(&hlc, msy_hlc_make(65000, 0), 1000, 60000));
    assert_true(msy_hlc_too_far(&hlc, msy_hlc_make(65001, 0), 1000, 60000));
    assert_false(msy_hlc_too_far(&hlc, msy_hlc_make(65001, 0), 5001, 60000));
    assert_false(msy_hlc_too_far(&hlc, msy_hlc_make(1, 0), 1000, 60000));
}

static struct msy_tip tip_of(uint8_t actor, uint64_t seq)
{
    struct msy_tip tip;
    memset(&tip, 0, sizeof tip);
    tip.actor.id[0] = actor;
    tip.seq = seq;
    tip.hash[0] = (uint8_t)seq;
    return tip;
}

static void test_vector(void **state)
{
    struct msy_alloc alloc;
    struct msy_vector vector;
    struct msy_vector copy;
    (void)state;
    msy_alloc_init(&alloc, NULL, NULL, 0);
    msy_vector_init(&vector, &alloc);
    msy_vector_init(&copy, &alloc);
    for (uint32_t i = 0; i < 100; i++) {
        struct msy_tip tip = tip_of((uint8_t)(i * 37 % 100), 5);
        assert_int_equal(msy_vector_raise(&vector, &tip), MESHSYNC_OK);
    }
    assert_int_equal(vector.count, 100);
    for (uint32_t i = 1; i < vector.count; i++) {
        assert_true(msy_actor_compare(&vector.tips[i - 1].actor, &vector.tips[i].actor) < 0);
    }
    struct msy_tip lower = tip_of(7, 3);
    struct msy_tip higher = tip_of(7, 9);
    assert_int_equal(msy_vector_raise(&vector, &lower), MESHSYNC_OK);
    assert_int_equal(msy_vector_get(&vector, &lower.actor)->seq, 5);
    assert_int_equal(msy_vector_raise(&vector, &higher), MESHSYNC_OK);
    assert_int_equal(msy_vector_get(&vector, &lower.actor)->hash[0], 9);
    assert_int_equal(msy_vector_copy(&copy, &vector), MESHSYNC_OK);
    msy_vector_drop(&vector, &lower.actor);
    assert_null(msy_vector_get(&vector, &lower.actor));
    assert_int_equal(vector.count, 99);
    assert_int_equal(copy.count, 100);
    alloc.fail_at = 1;
    alloc.fail_for_ever = 1;
    msy_vector_fini(&vector);
    assert_int_equal(msy_vector_copy(&vector, &copy), MESHSYNC_E_NO_MEMORY);
    assert_int_equal(vector.count, 0);
    msy_vector_fini(&copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stamps_only_grow),
        cmocka_unit_test(test_far_ahead),
        cmocka_unit_test(test_vector),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
