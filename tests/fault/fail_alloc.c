/* SPDX-License-Identifier: Apache-2.0 */
#include "fault/fail_alloc.h"

#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Before each block: its size, so that a wrong one that comes back is seen. */
enum { HEAD_BYTES = 16 };
_Static_assert(HEAD_BYTES >= alignof(max_align_t), "what follows the head is aligned for anything");

void fail_memory_at(struct fail_memory *memory, uint64_t n, bool stays)
{
    memory->armed = false;
    memory->fired = false;
    memory->counted = 0;
    memory->left = n;
    memory->stays = stays;
    memory->armed = true;
}

void fail_memory_off(struct fail_memory *memory)
{
    memory->armed = false;
    memory->left = 0;
}

bool fail_memory_refuses(struct fail_memory *memory)
{
    if (!memory->armed) {
        return false;
    }
    (void)atomic_fetch_add(&memory->counted, 1);
    bool fails = memory->fired && memory->stays;
    uint64_t left = memory->left;
    while (left > 0 && !atomic_compare_exchange_weak(&memory->left, &left, left - 1)) {
        /* Another thread counted: with what it left. */
    }
    if (left == 1) {
        memory->fired = true;
        fails = true;
    }
    if (fails) {
        (void)atomic_fetch_add(&memory->failed, 1);
    }
    return fails;
}

void *fail_memory_realloc(void *user, void *ptr, size_t old_size, size_t new_size)
{
    struct fail_memory *memory = user;
    uint8_t *head = ptr == NULL ? NULL : (uint8_t *)ptr - HEAD_BYTES;
    size_t size = 0;
    if (head != NULL) {
        memcpy(&size, head, sizeof size);
    }
    if (size != old_size) {
        (void)fprintf(stderr, "a block of %zu bytes came back as one of %zu\n", size, old_size);
        abort(); /* With the stack of who did it. */
    }
    if (new_size == 0) {
        (void)atomic_fetch_sub(&memory->blocks, head != NULL ? 1 : 0);
        (void)atomic_fetch_sub(&memory->bytes, size);
        free(head);
        return NULL;
    }
    /* Always elsewhere: whoever keeps a pointer into the old block is found by ASan. */
    uint8_t *made = fail_memory_refuses(memory) ? NULL : malloc(HEAD_BYTES + new_size);
    if (made == NULL) {
        return NULL;
    }
    memcpy(made, &new_size, sizeof new_size);
    memset(made + HEAD_BYTES, 0xa5, new_size);
    if (head != NULL) {
        memcpy(made + HEAD_BYTES, ptr, size < new_size ? size : new_size);
        free(head);
    }
    (void)atomic_fetch_add(&memory->blocks, head != NULL ? 0 : 1);
    (void)atomic_fetch_add(&memory->bytes, new_size);
    (void)atomic_fetch_sub(&memory->bytes, size);
    return made + HEAD_BYTES;
}
