/* SPDX-License-Identifier: Apache-2.0 */
/* Names of actors, changes and ops, and the hybrid clock's stamps. */
#ifndef MSY_CLOCK_DOT_H
#define MSY_CLOCK_DOT_H

#include <stdbool.h>
#include <string.h>

#include <meshsync/types.h>

struct msy_actor {
    uint8_t id[MESHSYNC_ACTOR_ID_BYTES];
};

/* The unique name of an op. */
struct msy_dot {
    struct msy_actor actor;
    uint64_t seq;
    uint32_t index;
};

/* A change as others name it: a tip of a vector, a cause, a head. */
struct msy_tip {
    struct msy_actor actor;
    uint64_t seq;
    uint8_t hash[32]; /* Change hash; where only a prefix is known the rest is zero. */
};

static inline int msy_actor_compare(const struct msy_actor *a, const struct msy_actor *b)
{
    return memcmp(a->id, b->id, sizeof a->id);
}

static inline bool msy_actor_equal(const struct msy_actor *a, const struct msy_actor *b)
{
    return msy_actor_compare(a, b) == 0;
}

#endif
