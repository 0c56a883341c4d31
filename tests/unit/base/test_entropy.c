/* SPDX-License-Identifier: Apache-2.0 */
/* Shows that the same seed gives the same numbers for ever, and that bounded ones are even. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/entropy.h"

/* xoshiro256** from the state 1, 2, 3, 4: the first numbers are easily worked out by hand. */
static void the_generator_is_the_one_it_says(void **state)
{
    (void)state;
    struct msy_prng prng = {{1, 2, 3, 4}};
    assert_true(msy_prng_next(&prng) == 11520);
    assert_true(msy_prng_next(&prng) == 0);
    assert_true(msy_prng_next(&prng) == 1509978240);
    assert_true(msy_prng_next(&prng) == UINT64_C(1215971899390074240));
}

static void seeds_separate_and_repeat(void **state)
{
    (void)state;
    struct msy_prng a;
    struct msy_prng b;
    msy_prng_init(&a, 0);
    msy_prng_init(&b, 1);
    assert_true(msy_prng_next(&a) != msy_prng_next(&b));
    msy_prng_init(&a, 7);
    msy_prng_init(&b, 7);
    uint8_t from_prng[29];
    uint8_t from_port[29];
    struct msy_entropy entropy = msy_prng_entropy(&b);
    msy_prng_fill(&a, from_prng, sizeof from_prng);
    entropy.fill(entropy.user, from_port, sizeof from_port);
    assert_memory_equal(from_prng, from_port, sizeof from_prng);
    assert_true(msy_prng_next(&a) == msy_prng_next(&b));
}

static void bounded_numbers_are_even(void **state)
{
    (void)state;
    struct msy_prng prng;
    msy_prng_init(&prng, 5);
    unsigned counts[6] = {0};
    for (unsigned i = 0; i < 60000; i++) {
        uint64_t value = msy_prng_below(&prng, 6);
        assert_true(value < 6);
        counts[value]++;
    }
    for (unsigned i = 0; i < 6; i++) {
        assert_in_range(counts[i], 9600, 10400);
    }
    assert_true(msy_prng_below(&prng, 1) == 0);
    for (unsigned i = 0; i < 100; i++) {
        assert_true(msy_prng_below(&prng, UINT64_C(1) << 63 | 1) <= UINT64_C(1) << 63);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_generator_is_the_one_it_says),
        cmocka_unit_test(seeds_separate_and_repeat),
        cmocka_unit_test(bounded_numbers_are_even),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
