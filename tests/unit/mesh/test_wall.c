/* SPDX-License-Identifier: Apache-2.0 */
/* Shows that the middle of the peers' clocks is found, that few or absurd ones decide nothing, and
 * that nothing is judged by what was known before a jump or a sleep. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mesh/wall.h"

static const uint64_t unix_ms = UINT64_C(1790000000000);
static const uint64_t now_ms = 5000000;

/* Counts peers that are so many seconds ahead of us; INT64_MIN: in 1970. */
static void count(struct msy_wall *wall, const int64_t *ahead_s, uint32_t n)
{
    struct msy_wall_vote votes[8] = {{0}};
    *wall = (struct msy_wall){.ahead_ms_max = 60000};
    for (uint32_t i = 0; i < n; i++) {
        uint64_t shown = ahead_s[i] == INT64_MIN ? 0 : unix_ms + (uint64_t)(ahead_s[i] * 1000);
        assert_true(msy_wall_hear(&votes[i], shown, unix_ms, now_ms, 10));
    }
    msy_wall_count(wall, votes, n, unix_ms, now_ms);
}

static void test_middle(void **state)
{
    static const int64_t three[] = {900, -5, 3};
    static const int64_t four[] = {-100, 100, 7, -7};
    struct msy_wall wall;
    (void)state;
    count(&wall, three, 3);
    struct msy_wall_time time = msy_wall_time(&wall, unix_ms, now_ms);
    assert_int_equal(wall.votes, 3);
    assert_int_equal(time.at_least_ms, unix_ms + 3000);
    assert_int_equal(time.at_most_ms, unix_ms + 3000);
    assert_int_equal(msy_wall_ahead_ms(&wall, unix_ms, now_ms), -3000);
    count(&wall, four, 4);
    time = msy_wall_time(&wall, unix_ms + 500, now_ms + 500); /* Half a second later. */
    assert_int_equal(time.at_least_ms, unix_ms + 500 - 7000);
    assert_int_equal(time.at_most_ms, unix_ms + 500 + 7000);
    assert_int_equal(msy_wall_ahead_ms(&wall, unix_ms, now_ms), 0);
}

static void test_too_few(void **state)
{
    static const int64_t one[] = {-900};
    static const int64_t unset[] = {INT64_MIN, -900, INT64_MIN};
    struct msy_wall wall;
    (void)state;
    count(&wall, one, 0);
    assert_int_equal(msy_wall_time(&wall, unix_ms, now_ms).at_most_ms, 0);
    assert_int_equal(msy_wall_ahead_ms(&wall, unix_ms, now_ms), 0);
    count(&wall, one, 1);
    assert_int_equal(msy_wall_time(&wall, unix_ms, now_ms).at_most_ms, 0);
    assert_int_equal(msy_wall_time(&wall, unix_ms, now_ms).at_least_ms, 0);
    assert_int_equal(msy_wall_ahead_ms(&wall, unix_ms, now_ms), 900000);
    count(&wall, unset, 3); /* A clock that was never set has no vote. */
    assert_int_equal(wall.votes, 1);
    assert_int_equal(msy_wall_time(&wall, unix_ms, now_ms).at_most_ms, 0);
}

/* Our own clock was never set: then one peer knows better. */
static void test_own_unset(void **state)
{
    struct msy_wall_vote vote = {0};
    struct msy_wall wall = {.ahead_ms_max = 60000};
    (void)state;
    assert_true(msy_wall_hear(&vote, unix_ms, 1000, now_ms, 10));
    msy_wall_count(&wall, &vote, 1, 1000, now_ms);
    struct msy_wall_time time = msy_wall_time(&wall, 1000, now_ms);
    assert_int_equal(time.at_least_ms, unix_ms);
    assert_int_equal(time.at_most_ms, 0);
    assert_int_equal(msy_wall_ahead_ms(&wall, 1000, now_ms), 1000 - (int64_t)unix_ms);
}

/* The machine slept for an hour, which its monotonic clock does not count, or somebody set its
 * clock: until the peers were asked again nothing is known. */
static void test_jump(void **state)
{
    static const int64_t two[] = {0, 1};
    struct msy_wall_vote votes[2] = {{0}};
    struct msy_wall wall;
    (void)state;
    count(&wall, two, 2);
    uint64_t after_ms = unix_ms + 3600000;
    assert_false(msy_wall_jumped(&wall, unix_ms + 2000, now_ms + 2000));
    assert_true(msy_wall_jumped(&wall, after_ms, now_ms));
    assert_int_equal(msy_wall_time(&wall, after_ms, now_ms).at_most_ms, 0);
    assert_int_equal(msy_wall_ahead_ms(&wall, after_ms, now_ms), 0);
    for (uint32_t i = 0; i < 2; i++) {
        assert_true(msy_wall_hear(&votes[i], unix_ms, unix_ms, now_ms, 10));
    }
    assert_true(msy_wall_hear(&votes[1], after_ms, after_ms, now_ms, 10));
    msy_wall_count(&wall, votes, 2, after_ms, now_ms);
    assert_int_equal(wall.votes, 1);
    assert_false(msy_wall_jumped(&wall, after_ms, now_ms));
}

static void test_absurd(void **state)
{
    struct msy_wall_vote vote = {0};
    (void)state;
    assert_false(msy_wall_hear(&vote, UINT64_MAX, unix_ms, now_ms, 10));
    assert_false(msy_wall_hear(&vote, unix_ms, unix_ms, now_ms, 60000)); /* Too long on its way. */
    assert_false(vote.known);
    assert_true(msy_wall_hear(&vote, unix_ms, UINT64_MAX, UINT64_MAX, 10));
    assert_true(msy_wall_hear(&vote, 5, unix_ms, now_ms, 10));
    assert_false(vote.known);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_middle),    cmocka_unit_test(test_too_few),
        cmocka_unit_test(test_own_unset), cmocka_unit_test(test_jump),
        cmocka_unit_test(test_absurd),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
