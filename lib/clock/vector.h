/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A version vector: tips (docs/format.md; a tip implies its own chain and every epoch that it names
 * as predecessor), sorted by actor.
 */
#ifndef MSY_CLOCK_VECTOR_H
#define MSY_CLOCK_VECTOR_H

#include "base/alloc.h"
#include "clock/dot.h"

struct msy_vector {
    struct msy_tip *tips; /* Owned, ascending by actor, each actor once. */
    uint32_t count;
    uint32_t cap;
    struct msy_alloc *alloc;
};

void msy_vector_init(struct msy_vector *vector, struct msy_alloc *alloc);
void msy_vector_fini(struct msy_vector *vector);
void msy_vector_reset(struct msy_vector *vector);
/* The entry of an actor, or NULL. */
const struct msy_tip *msy_vector_get(const struct msy_vector *vector,
                                     const struct msy_actor *actor);
/* Sets or raises the entry of tip's actor; a lower seq changes nothing. */
meshsync_status msy_vector_raise(struct msy_vector *vector, const struct msy_tip *tip);
/* Takes an actor out. */
void msy_vector_drop(struct msy_vector *vector, const struct msy_actor *actor);
meshsync_status msy_vector_copy(struct msy_vector *to, const struct msy_vector *from);

#endif
