/* SPDX-License-Identifier: Apache-2.0 */
#include "base/entropy.h"

static uint64_t prng_rotate(uint64_t value, unsigned bits)
{
    return value << bits | value >> (64 - bits);
}

/* splitmix64: spreads a seed of few bits over the state, which then is never all zero. */
void msy_prng_init(struct msy_prng *prng, uint64_t seed)
{
    for (size_t i = 0; i < 4; i++) {
        seed += UINT64_C(0x9E3779B97F4A7C15);
        uint64_t mixed = seed;
        mixed = (mixed ^ mixed >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
        mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94D049BB133111EB);
        prng->state[i] = mixed ^ mixed >> 31;
    }
}

uint64_t msy_prng_next(struct msy_prng *prng)
{
    uint64_t *state = prng->state;
    uint64_t out = prng_rotate(state[1] * 5, 7) * 9;
    uint64_t shifted = state[1] << 17;
    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= shifted;
    state[3] = prng_rotate(state[3], 45);
    return out;
}

uint64_t msy_prng_below(struct msy_prng *prng, uint64_t bound)
{
    if (bound < 2) {
        return 0;
    }
    /* 2^64 modulo bound: without the values below it, what is left divides evenly. */
    uint64_t skip = (0 - bound) % bound;
    uint64_t value;
    do {
        value = msy_prng_next(prng);
    } while (value < skip); /* Each turn ends it with a chance above one half. */
    return value % bound;
}

void msy_prng_fill(struct msy_prng *prng, void *out, size_t n)
{
    uint8_t *at = out;
    while (n > 0) {
        uint64_t value = msy_prng_next(prng);
        size_t take = n < 8 ? n : 8;
        for (size_t i = 0; i < take; i++) {
            *at++ = (uint8_t)(value >> (8 * i));
        }
        n -= take;
    }
}

static void prng_entropy_fill(void *user, void *out, size_t n)
{
    msy_prng_fill(user, out, n);
}

struct msy_entropy msy_prng_entropy(struct msy_prng *prng)
{
    return (struct msy_entropy){prng_entropy_fill, prng};
}
