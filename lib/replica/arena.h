/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of one batch: taken in small pieces, given back all at once, kept for the next batch. */
#ifndef MSY_REPLICA_ARENA_H
#define MSY_REPLICA_ARENA_H

#include "base/alloc.h"

struct msy_arena_chunk {
    struct msy_arena_chunk *next;
    size_t size; /* Of data. */
    size_t used;
    uint8_t data[];
};

struct msy_arena {
    struct msy_arena_chunk *first; /* Owned. */
    struct msy_arena_chunk *at;
    struct msy_alloc *alloc;
};

void msy_arena_init(struct msy_arena *arena, struct msy_alloc *alloc);
void msy_arena_fini(struct msy_arena *arena);
/* Not zeroed, aligned to 8; NULL when out of memory. */
void *msy_arena_take(struct msy_arena *arena, size_t size);
/* Takes everything back; the memory is kept for the next batch. */
void msy_arena_reset(struct msy_arena *arena);

#endif
