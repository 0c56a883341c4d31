/* SPDX-License-Identifier: Apache-2.0 */
/* Shows that two sets of any kind are told apart by sketches exactly where they differ, with about
 * one and a half symbols for each difference, that too few symbols and damaged ones are noticed,
 * and that the guess of how many there are is good enough to ask for the rest at once.
 * MESHSYNC_SKETCHES says how many pairs of sets are drawn; MESHSYNC_SEED the first seed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/entropy.h"
#include "clock/sketch.h"

enum { SYMBOLS_MAX = 4096, SKETCHES = 300, DIFFER_MAX = 1200, COMMON_MAX = 3000 };

/* Two sets: items [0, common) are in both, then so many on one side, then on the other. */
struct sets {
    uint64_t items[COMMON_MAX + 2 * DIFFER_MAX];
    uint32_t common, added, taken;
};

static struct sets sets;
static struct msy_sketch_symbol symbols[SYMBOLS_MAX];
static struct msy_sketch_symbol copy[SYMBOLS_MAX];
static struct msy_sketch_item found[SYMBOLS_MAX];

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

static void draw(struct msy_prng *prng, uint32_t common, uint32_t added, uint32_t taken)
{
    sets.common = common;
    sets.added = added;
    sets.taken = taken;
    for (uint32_t i = 0; i < common + added + taken; i++) {
        sets.items[i] = msy_prng_next(prng);
    }
}

/* The difference of the two sketches, as two sides would make it. */
static void make(uint32_t count)
{
    memset(symbols, 0, count * sizeof *symbols);
    for (uint32_t i = 0; i < sets.common + sets.added; i++) {
        msy_sketch_put(symbols, count, sets.items[i]);
    }
    for (uint32_t i = 0; i < sets.common; i++) {
        msy_sketch_take(symbols, count, sets.items[i]);
    }
    for (uint32_t i = 0; i < sets.taken; i++) {
        msy_sketch_take(symbols, count, sets.items[sets.common + sets.added + i]);
    }
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* What was found is the difference of the two sets, and nothing else. */
static void check_found(uint32_t count)
{
    uint64_t *added = &sets.items[sets.common];
    uint64_t *taken = added + sets.added;
    assert_int_equal(count, sets.added + sets.taken);
    qsort(added, sets.added, sizeof *added, compare);
    qsort(taken, sets.taken, sizeof *taken, compare);
    for (uint32_t i = 0; i < count; i++) {
        const uint64_t *expected = found[i].added != 0 ? added++ : taken++;
        assert_true(found[i].item == *expected);
        assert_true(i == 0 || found[i - 1].item < found[i].item);
    }
    assert_ptr_equal(added, &sets.items[sets.common + sets.added]);
}

static bool opens(uint32_t have, uint32_t *count)
{
    memcpy(copy, symbols, have * sizeof *copy);
    return msy_sketch_open(copy, have, found, count);
}

static void equal_sets_need_one_symbol(void **state)
{
    struct msy_prng prng;
    uint32_t count = 1;
    (void)state;
    msy_prng_init(&prng, 1);
    draw(&prng, COMMON_MAX, 0, 0);
    make(1);
    assert_true(opens(1, &count));
    assert_int_equal(count, 0);
    assert_int_equal(msy_sketch_guess(symbols, 1, 0), 0);
}

/* Drawn sets: the fewest symbols that say all, and that what more of them say is the same. */
static void sets_are_told_apart(void **state)
{
    uint64_t seed = number_of("MESHSYNC_SEED", 1);
    uint64_t tries = number_of("MESHSYNC_SKETCHES", SKETCHES);
    uint64_t needed = 0, differ = 0, worst_percent = 0;
    (void)state;
    for (uint64_t t = 0; t < tries; t++) {
        struct msy_prng prng;
        uint32_t count = 0;
        msy_prng_init(&prng, seed + t);
        uint32_t scale = 1 + (uint32_t)msy_prng_below(&prng, DIFFER_MAX / 2);
        draw(&prng, (uint32_t)msy_prng_below(&prng, COMMON_MAX),
             (uint32_t)msy_prng_below(&prng, scale), (uint32_t)msy_prng_below(&prng, scale));
        make(SYMBOLS_MAX);
        uint32_t d = sets.added + sets.taken;
        uint32_t have = d == 0 ? 1 : d;
        while (have < SYMBOLS_MAX && !opens(have, &count)) {
            have += 1 + have / 64;
        }
        check_found(count);
        if (d >= 100) {
            needed += have;
            differ += d;
            uint64_t percent = 100 * (uint64_t)have / d;
            worst_percent = percent > worst_percent ? percent : worst_percent;
        }
        assert_true(opens(SYMBOLS_MAX, &count));
        check_found(count);
    }
    print_message("%llu pairs of sets from seed %llu: %.2f symbols per difference where there are "
                  "100 and more, %.2f at worst\n",
                  (unsigned long long)tries, (unsigned long long)seed,
                  differ > 0 ? (double)needed / (double)differ : 0.0,
                  (double)worst_percent / 100.0);
    assert_true(needed * 100 <= differ * 155 && worst_percent <= 220);
}

/* However one-sided the difference is, 64 symbols tell its size to within a factor of two. */
static void the_guess_is_near(void **state)
{
    uint64_t seed = number_of("MESHSYNC_SEED", 1);
    uint64_t off_percent = 0, tries = 0;
    (void)state;
    for (uint32_t t = 0; t < 60; t++) {
        struct msy_prng prng;
        msy_prng_init(&prng, seed + t);
        uint32_t d = 50u << (t % 5);
        uint32_t added = t % 3 == 0 ? d / 2 : t % 3 == 1 ? d : 0;
        draw(&prng, 100, added, d - added);
        make(64);
        uint64_t guess = msy_sketch_guess(symbols, 64, (int64_t)added - (int64_t)(d - added));
        off_percent += 100 * (guess > d ? guess - d : d - guess) / d;
        tries += 1;
        assert_true(guess >= d / 3 && guess <= 3 * d);
    }
    print_message("guesses from 64 symbols are %llu %% off on average\n",
                  (unsigned long long)(off_percent / tries));
    assert_true(off_percent / tries <= 30);
}

static void the_beginning_is_the_same_for_all_lengths(void **state)
{
    struct msy_prng prng;
    (void)state;
    msy_prng_init(&prng, 7);
    draw(&prng, 10, 500, 300);
    make(SYMBOLS_MAX);
    memcpy(copy, symbols, sizeof copy);
    for (uint32_t count = 1; count < SYMBOLS_MAX; count = 2 * count + 1) {
        make(count);
        assert_memory_equal(symbols, copy, count * sizeof *symbols);
    }
}

/* The bytes that other implementations must make too. */
static void the_symbols_of_an_item_are_fixed(void **state)
{
    char where[256] = "";
    size_t len = 0;
    (void)state;
    memset(symbols, 0, sizeof symbols);
    msy_sketch_put(symbols, SYMBOLS_MAX, UINT64_C(0x0123456789ABCDEF));
    for (uint32_t i = 0; i < SYMBOLS_MAX; i++) {
        if (symbols[i].count != 0) {
            assert_true(symbols[i].sum == UINT64_C(0x0123456789ABCDEF));
            assert_int_equal(symbols[i].check, symbols[0].check);
            len += (size_t)snprintf(where + len, sizeof where - len, " %u", i);
        }
    }
    assert_int_equal(symbols[0].check, 0x57cf4b);
    assert_string_equal(where, " 0 1 2 5 9 130 797 1104 2062 2116 2663 3315");
}

/* One bit anywhere, and it does not open, or opens to what it would be without it. */
static void damage_is_noticed(void **state)
{
    struct msy_prng prng;
    uint32_t count = 0;
    uint32_t noticed = 0;
    (void)state;
    msy_prng_init(&prng, 11);
    draw(&prng, 200, 40, 30);
    make(256);
    assert_true(opens(256, &count));
    for (uint32_t i = 0; i < 2000; i++) {
        memcpy(copy, symbols, 256 * sizeof *copy);
        struct msy_sketch_symbol *hit = &copy[msy_prng_below(&prng, 256)];
        uint64_t bit = msy_prng_below(&prng, 96);
        if (bit < 64) {
            hit->sum ^= UINT64_C(1) << bit;
        } else if (bit < 88) {
            hit->check ^= UINT32_C(1) << (bit - 64);
        } else {
            hit->count = (uint8_t)(hit->count ^ (1u << (bit - 88)));
        }
        noticed += msy_sketch_open(copy, 256, found, &count) ? 0 : 1;
    }
    assert_int_equal(noticed, 2000);
}

/* Symbols that nobody made from a set: it ends, and does not open. */
static void nonsense_ends(void **state)
{
    struct msy_prng prng;
    uint32_t count = 0;
    (void)state;
    msy_prng_init(&prng, 13);
    for (uint32_t i = 0; i < 200; i++) {
        uint32_t have = 4 + (uint32_t)msy_prng_below(&prng, 60);
        uint64_t item = msy_prng_next(&prng);
        memset(symbols, 0, sizeof symbols);
        for (uint32_t at = 0; at < have; at++) {
            /* The same item alone on every symbol: more singles than can be. */
            msy_sketch_put(&symbols[at], 1, i % 2 == 0 ? item : item + at % 3);
        }
        assert_false(opens(have, &count));
        assert_int_equal(count, 0);
        (void)msy_sketch_guess(symbols, have, (int64_t)msy_prng_below(&prng, 131072) - 65536);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_sets_need_one_symbol),
        cmocka_unit_test(sets_are_told_apart),
        cmocka_unit_test(the_guess_is_near),
        cmocka_unit_test(the_beginning_is_the_same_for_all_lengths),
        cmocka_unit_test(the_symbols_of_an_item_are_fixed),
        cmocka_unit_test(damage_is_noticed),
        cmocka_unit_test(nonsense_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
