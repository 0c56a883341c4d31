/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static void *alloc_libc(void *user, void *ptr, size_t old_size, size_t new_size)
{
    (void)user;
    (void)old_size;
    if (new_size == 0) {
        free(ptr);
        return NULL;
    }
    return realloc(ptr, new_size);
}

void msy_alloc_init(struct msy_alloc *alloc, msy_realloc_fn fn, void *user, size_t bytes_max)
{
    memset(alloc, 0, sizeof *alloc);
    alloc->fn = fn == NULL ? alloc_libc : fn;
    alloc->user = user;
    alloc->bytes_max = bytes_max;
}

/* Counts down to the allocation that a test wants to fail. */
static bool alloc_must_fail(struct msy_alloc *alloc)
{
    uint64_t left = __atomic_load_n(&alloc->fail_at, __ATOMIC_RELAXED);
    while (left != 0) {
        if (left == 1 && alloc->fail_for_ever != 0) {
            return true;
        }
        if (__atomic_compare_exchange_n(&alloc->fail_at, &left, left - 1, false, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED)) {
            return left == 1;
        }
    }
    return false;
}

/* Takes bytes from the cap before the memory is asked for, so that two threads cannot both fit into
 * the last of it. */
static bool alloc_charge(struct msy_alloc *alloc, size_t bytes)
{
    size_t used = __atomic_load_n(&alloc->bytes_used, __ATOMIC_RELAXED);
    do {
        if (bytes > SIZE_MAX - used || (alloc->bytes_max != 0 && used + bytes > alloc->bytes_max)) {
            return false;
        }
    } while (!__atomic_compare_exchange_n(&alloc->bytes_used, &used, used + bytes, true,
                                          __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    return true;
}

static void alloc_uncharge(struct msy_alloc *alloc, size_t bytes)
{
    (void)__atomic_fetch_sub(&alloc->bytes_used, bytes, __ATOMIC_RELAXED);
}

void *msy_new(struct msy_alloc *alloc, size_t size)
{
    void *ptr = msy_resize(alloc, NULL, 0, size);
    if (ptr != NULL) {
        memset(ptr, 0, size);
    }
    return ptr;
}

void *msy_new_array(struct msy_alloc *alloc, size_t count, size_t size)
{
    if (size != 0 && count > SIZE_MAX / size) {
        return NULL;
    }
    return msy_new(alloc, count * size);
}

void *msy_resize(struct msy_alloc *alloc, void *ptr, size_t old_size, size_t new_size)
{
    if (new_size == 0) {
        msy_free(alloc, ptr, old_size);
        return NULL;
    }
    size_t known_size = ptr == NULL ? 0 : old_size;
    size_t growth = new_size > known_size ? new_size - known_size : 0;
    if (alloc_must_fail(alloc) || !alloc_charge(alloc, growth)) {
        return NULL;
    }
    void *out = alloc->fn(alloc->user, ptr, known_size, new_size);
    if (out == NULL) {
        alloc_uncharge(alloc, growth);
        return NULL;
    }
    if (new_size < known_size) {
        alloc_uncharge(alloc, known_size - new_size);
    }
    return out;
}

void msy_free(struct msy_alloc *alloc, void *ptr, size_t size)
{
    if (ptr == NULL) {
        return;
    }
    (void)alloc->fn(alloc->user, ptr, size, 0);
    alloc_uncharge(alloc, size);
}
