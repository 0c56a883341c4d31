/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sketch of a set of 64-bit items: a stream of symbols of which a receiver needs about one and a
 * half for each item in which its own set differs, however large both are (a rateless invertible
 * Bloom lookup table). The first symbols of a set are the same however many are made, so that more
 * can be asked for. Integers only: every machine makes the same symbols.
 */
#ifndef MSY_CLOCK_SKETCH_H
#define MSY_CLOCK_SKETCH_H

#include <stdbool.h>
#include <stdint.h>

/* Sums over the items that fall on it: each an exclusive or, but for the count. */
struct msy_sketch_symbol {
    uint64_t sum;
    uint32_t check; /* 24 bits. */
    uint8_t count;  /* Modulo 256. */
};

/* An item that only one of two sets has. */
struct msy_sketch_item {
    uint64_t item;
    uint32_t added; /* 1: of the set that was put in, 0: of the one that was taken out. */
    uint32_t index; /* For the caller. */
};

/* Puts an item into the first count symbols of a sketch, or takes it out. */
void msy_sketch_put(struct msy_sketch_symbol *symbols, uint32_t count, uint64_t item);
void msy_sketch_take(struct msy_sketch_symbol *symbols, uint32_t count, uint64_t item);

/* Takes a difference of two sketches apart, which destroys it. items has room for count; false:
 * these symbols do not say it, or were never a sketch. Items ascend. */
bool msy_sketch_open(struct msy_sketch_symbol *symbols, uint32_t count,
                     struct msy_sketch_item *items, uint32_t *items_count);

/* About how many items two sets differ in, from the first count (at least 4) symbols of their
 * difference; surplus: how many more were put in than taken out. At most UINT32_MAX / 4. */
uint32_t msy_sketch_guess(const struct msy_sketch_symbol *symbols, uint32_t count, int64_t surplus);

#endif
