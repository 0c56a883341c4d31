/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Randomness. Keys, nonces and tags come from the entropy port (the system in production, the seed
 * in simulation); jitter and sampling come from a prng that was seeded by it.
 */
#ifndef MSY_BASE_ENTROPY_H
#define MSY_BASE_ENTROPY_H

#include <stddef.h>
#include <stdint.h>

struct msy_entropy {
    void (*fill)(void *user, void *out, size_t n);
    void *user;
};

struct msy_prng {
    uint64_t state[4]; /* xoshiro256** */
};

void msy_prng_init(struct msy_prng *prng, uint64_t seed);
uint64_t msy_prng_next(struct msy_prng *prng);
/* Uniform in [0, bound), bound > 0, without modulo bias. */
uint64_t msy_prng_below(struct msy_prng *prng, uint64_t bound);
void msy_prng_fill(struct msy_prng *prng, void *out, size_t n);
/* An entropy port over a prng, for simulation and tests. */
struct msy_entropy msy_prng_entropy(struct msy_prng *prng);

#endif
