/* SPDX-License-Identifier: Apache-2.0 */
#include "clock/sketch.h"

#include <stdlib.h>
#include <string.h>

/* The first symbols say little about how many items there are: nearly all fall on them. */
enum { SKETCH_GUESS_FROM = 2 };

static const uint64_t sketch_check_salt = UINT64_C(0x6D73792073706F74);
static const uint64_t sketch_step_odd = UINT64_C(0x9E3779B97F4A7C15);

/* The finalizer of SplitMix64. */
static uint64_t sketch_mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

static uint32_t sketch_check(uint64_t item)
{
    return (uint32_t)(sketch_mix(item ^ sketch_check_salt) >> 40);
}

/*
 * Where an item falls after symbol at: on symbol i with probability 2 / (i + 2). The gap that gives
 * this is (at + 1.5) (1 / sqrt(u) - 1) for a uniform u; the greater of two uniform numbers is
 * distributed like that square root, and needs no floating point.
 */
static uint32_t sketch_next(uint64_t *state, uint32_t at)
{
    *state += sketch_step_odd;
    uint64_t drawn = sketch_mix(*state);
    uint64_t high = drawn >> 32;
    uint64_t low = drawn & UINT32_MAX;
    uint64_t root = (high > low ? high : low) + 1;
    uint64_t gap =
        ((2 * (uint64_t)at + 3) * ((UINT64_C(1) << 32) - root) + 2 * root - 1) / (2 * root);
    gap = gap == 0 ? 1 : gap;
    return gap >= UINT32_MAX - at ? UINT32_MAX : at + (uint32_t)gap;
}

static void sketch_add(struct msy_sketch_symbol *symbols, uint32_t count, uint64_t item, uint8_t by)
{
    uint64_t state = item;
    uint32_t check = sketch_check(item);
    for (uint32_t at = 0; at < count; at = sketch_next(&state, at)) {
        symbols[at].sum ^= item;
        symbols[at].check ^= check;
        symbols[at].count = (uint8_t)(symbols[at].count + by);
    }
}

void msy_sketch_put(struct msy_sketch_symbol *symbols, uint32_t count, uint64_t item)
{
    sketch_add(symbols, count, item, 1);
}

void msy_sketch_take(struct msy_sketch_symbol *symbols, uint32_t count, uint64_t item)
{
    sketch_add(symbols, count, item, UINT8_MAX);
}

static int sketch_compare(const void *a, const void *b)
{
    uint64_t x = ((const struct msy_sketch_item *)a)->item;
    uint64_t y = ((const struct msy_sketch_item *)b)->item;
    return x < y ? -1 : x > y;
}

/* Does one item alone lie on it? */
static bool sketch_single(const struct msy_sketch_symbol *symbol)
{
    return (symbol->count == 1 || symbol->count == UINT8_MAX) &&
           symbol->check == sketch_check(symbol->sum);
}

bool msy_sketch_open(struct msy_sketch_symbol *symbols, uint32_t count,
                     struct msy_sketch_item *items, uint32_t *items_count)
{
    static const struct msy_sketch_symbol empty;
    uint32_t found = 0;
    uint32_t before = 0;
    *items_count = 0;
    do { /* Each round finds one at least, and there are no more than symbols: it ends. */
        before = found;
        for (uint32_t i = count; i-- > 0;) {
            struct msy_sketch_symbol single = symbols[i];
            if (!sketch_single(&single)) {
                continue;
            }
            if (found == count) {
                return false;
            }
            items[found] =
                (struct msy_sketch_item){.item = single.sum, .added = single.count == 1 ? 1 : 0};
            found += 1;
            sketch_add(symbols, count, single.sum, (uint8_t)(0u - single.count));
        }
    } while (found > before);
    for (uint32_t i = 0; i < count; i++) {
        if (symbols[i].sum != empty.sum || symbols[i].check != empty.check ||
            symbols[i].count != empty.count) {
            return false;
        }
    }
    if (found > 0) {
        qsort(items, found, sizeof *items, sketch_compare);
    }
    for (uint32_t i = 1; i < found; i++) {
        if (items[i - 1].item == items[i].item) {
            return false; /* Put in twice: no set has that. */
        }
    }
    *items_count = found;
    return true;
}

/*
 * The count of symbol i is a sum of one item in (i + 2) / 2, with signs: its mean is 2 surplus /
 * (i + 2), and its variance 2 i / (i + 2)^2 for each item that differs.
 */
uint32_t msy_sketch_guess(const struct msy_sketch_symbol *symbols, uint32_t count, int64_t surplus)
{
    const uint64_t guess_max = UINT32_MAX / 4;
    uint64_t least = (uint64_t)(surplus < 0 ? -surplus : surplus);
    uint64_t sum = 0;
    for (uint32_t i = SKETCH_GUESS_FROM; i < count; i++) {
        int64_t near = 2 * surplus / ((int64_t)i + 2);
        /* The one number near the mean that is the count modulo 256. */
        int64_t value = near + (int8_t)(uint8_t)((uint64_t)symbols[i].count - (uint64_t)near);
        int64_t apart = value * ((int64_t)i + 2) - 2 * surplus;
        sum += (uint64_t)(apart * apart) / (2 * (uint64_t)i);
    }
    uint64_t guess = count > SKETCH_GUESS_FROM ? sum / (count - SKETCH_GUESS_FROM) : 0;
    guess = guess < least ? least : guess;
    return (uint32_t)(guess < guess_max ? guess : guess_max);
}
