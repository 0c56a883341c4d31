/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An allocator whose n-th allocation fails, once or from then on, and that sees what it is told:
 * every size that comes back must be the one that was given, and what is not given back is counted.
 * May be used by several threads.
 */
#ifndef TESTS_FAULT_FAIL_ALLOC_H
#define TESTS_FAULT_FAIL_ALLOC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fail_memory {
    _Atomic bool armed;       /* Allocations count, and may fail, only while this is set. */
    _Atomic uint64_t left;    /* Allocations until the one that fails; 0: none does. */
    _Atomic bool stays;       /* All after it fail as well, while armed. */
    _Atomic bool fired;       /* One failed. */
    _Atomic uint64_t counted; /* Allocations while armed. */
    _Atomic uint64_t failed;  /* Allocations that failed, over its life. */
    _Atomic uint64_t blocks;  /* That live. */
    _Atomic uint64_t bytes;   /* Of them. */
};

/* Readies one failure at allocation n from now; 0: only counts. */
void fail_memory_at(struct fail_memory *memory, uint64_t n, bool stays);
/* No more of it. */
void fail_memory_off(struct fail_memory *memory);
/* Counts one allocation: is it to fail? */
bool fail_memory_refuses(struct fail_memory *memory);
/* The function for struct msy_alloc and meshsync_options; user is the struct above. */
void *fail_memory_realloc(void *user, void *ptr, size_t old_size, size_t new_size);

#endif
