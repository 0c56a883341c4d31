/* SPDX-License-Identifier: Apache-2.0 */
#include "replica/arena.h"

enum { ARENA_CHUNK_BYTES = 64 * 1024 };

void msy_arena_init(struct msy_arena *arena, struct msy_alloc *alloc)
{
    arena->first = NULL;
    arena->at = NULL;
    arena->alloc = alloc;
}

void msy_arena_fini(struct msy_arena *arena)
{
    struct msy_arena_chunk *chunk = arena->first;
    while (chunk != NULL) {
        struct msy_arena_chunk *next = chunk->next;
        msy_free(arena->alloc, chunk, sizeof *chunk + chunk->size);
        chunk = next;
    }
    arena->first = NULL;
    arena->at = NULL;
}

void *msy_arena_take(struct msy_arena *arena, size_t size)
{
    size = (size + 7) & ~(size_t)7;
    while (arena->at != NULL && arena->at->size - arena->at->used < size &&
           arena->at->next != NULL) {
        arena->at = arena->at->next;
    }
    if (arena->at == NULL || arena->at->size - arena->at->used < size) {
        size_t bytes = size > ARENA_CHUNK_BYTES ? size : ARENA_CHUNK_BYTES;
        struct msy_arena_chunk *chunk =
            (struct msy_arena_chunk *)msy_resize(arena->alloc, NULL, 0, sizeof *chunk + bytes);
        if (chunk == NULL) {
            return NULL;
        }
        chunk->next = NULL;
        chunk->size = bytes;
        chunk->used = 0;
        if (arena->at == NULL) {
            arena->first = chunk;
        } else {
            arena->at->next = chunk;
        }
        arena->at = chunk;
    }
    void *taken = arena->at->data + arena->at->used;
    arena->at->used += size;
    return taken;
}

void msy_arena_reset(struct msy_arena *arena)
{
    for (struct msy_arena_chunk *chunk = arena->first; chunk != NULL; chunk = chunk->next) {
        chunk->used = 0;
    }
    arena->at = arena->first;
}
