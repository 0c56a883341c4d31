/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes histories to try the checker on: good ones, from a small model of replicas that take each
 * other's transactions in causal order, and then one anomaly planted at random places in one.
 */
#ifndef TESTS_HISTORY_GENERATE_H
#define TESTS_HISTORY_GENERATE_H

#include "base/entropy.h"
#include "history/checker.h"

enum {
    GENERATE_REPLICAS_MAX = 6,
    GENERATE_KEYS = 12,
    GENERATE_LIVE_MAX = 64,
    PLANT_VARIANTS = 3 /* Of each anomaly; fewer are the same again. */
};

struct generate_options {
    uint32_t replicas, sessions, steps;
};

/* A history that keeps all the rules. */
void generate_good(struct history *history, struct msy_prng *prng,
                   const struct generate_options *options);
/* A copy of a good history, with one anomaly. */
void generate_bad(struct history *bad, const struct history *good, struct msy_prng *prng,
                  enum anomaly anomaly, uint32_t variant);

#endif
