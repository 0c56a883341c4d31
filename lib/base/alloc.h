/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The allocator that every part of a node uses: one function, so that an application can bring its
 * own, a memory cap can be kept, and tests can fail the n-th allocation.
 */
#ifndef MSY_BASE_ALLOC_H
#define MSY_BASE_ALLOC_H

#include <stddef.h>
#include <stdint.h>

#include <meshsync/status.h>

/* new_size 0 frees and returns NULL; ptr NULL allocates; old_size is exact. NULL: no memory, and
 * the old block stays valid. Must be callable from any thread. */
typedef void *(*msy_realloc_fn)(void *user, void *ptr, size_t old_size, size_t new_size);

struct msy_alloc {
    msy_realloc_fn fn;
    void *user;
    size_t bytes_max;  /* 0: no cap. */
    size_t bytes_used; /* Updated atomically. */
    uint64_t fail_at;  /* Tests: the fail_at-th allocation from now fails; 0 never. */
    int fail_for_ever; /* Tests: and all after it. */
};

/* fn NULL: the C library's. */
void msy_alloc_init(struct msy_alloc *alloc, msy_realloc_fn fn, void *user, size_t bytes_max);
/* Zeroed memory, or NULL. size > 0. */
void *msy_new(struct msy_alloc *alloc, size_t size);
/* Zeroed array, or NULL also when count * size overflows. */
void *msy_new_array(struct msy_alloc *alloc, size_t count, size_t size);
/* Content kept, new part not zeroed. NULL: ptr still valid. */
void *msy_resize(struct msy_alloc *alloc, void *ptr, size_t old_size, size_t new_size);
/* NULL allowed. size is what it was allocated with. */
void msy_free(struct msy_alloc *alloc, void *ptr, size_t size);

#endif
