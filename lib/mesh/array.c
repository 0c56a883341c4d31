/* SPDX-License-Identifier: Apache-2.0 */
/* Growing arrays, and the small sets of devices. */
#include <string.h>

#include "mesh/machine.h"

enum { ARRAY_FIRST = 8 };

bool msy_array_room(struct msy_alloc *alloc, void **array, uint32_t *cap, uint32_t count,
                    size_t item_bytes)
{
    if (count < *cap) {
        return true;
    }
    if (*cap > UINT32_MAX / 2) {
        return false;
    }
    uint32_t grown_cap = *cap == 0 ? ARRAY_FIRST : *cap * 2;
    void *grown = msy_resize(alloc, *array, *cap * item_bytes, grown_cap * item_bytes);
    if (grown == NULL) {
        return false;
    }
    *array = grown;
    *cap = grown_cap;
    return true;
}

/* Index of the first entry whose device is not less. */
static uint32_t lazy_lower(const struct msy_lazy_set *set, const uint8_t device[MSY_DEVICE_BYTES])
{
    uint32_t low = 0;
    uint32_t high = set->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (memcmp(set->items[middle].device, device, MSY_DEVICE_BYTES) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool lazy_at(const struct msy_lazy_set *set, uint32_t at,
                    const uint8_t device[MSY_DEVICE_BYTES])
{
    return at < set->count && memcmp(set->items[at].device, device, MSY_DEVICE_BYTES) == 0;
}

bool msy_lazy_has(const struct msy_lazy_set *set, const uint8_t device[MSY_DEVICE_BYTES],
                  uint64_t *at_ms)
{
    uint32_t at = lazy_lower(set, device);
    if (!lazy_at(set, at, device)) {
        return false;
    }
    if (at_ms != NULL) {
        *at_ms = set->items[at].at_ms;
    }
    return true;
}

void msy_lazy_add(struct msy_mesh *mesh, struct msy_lazy_set *set,
                  const uint8_t device[MSY_DEVICE_BYTES])
{
    uint32_t at = lazy_lower(set, device);
    if (lazy_at(set, at, device)) {
        set->items[at].at_ms = mesh->now_ms;
        return;
    }
    void *items = set->items;
    if (set->count >= MSY_LAZY_MAX ||
        !msy_array_room(mesh->alloc, &items, &set->cap, set->count, sizeof *set->items)) {
        return;
    }
    set->items = items;
    memmove(&set->items[at + 1], &set->items[at], (set->count - at) * sizeof *set->items);
    memcpy(set->items[at].device, device, MSY_DEVICE_BYTES);
    set->items[at].at_ms = mesh->now_ms;
    set->count += 1;
}

void msy_lazy_drop(struct msy_lazy_set *set, const uint8_t device[MSY_DEVICE_BYTES])
{
    uint32_t at = lazy_lower(set, device);
    if (lazy_at(set, at, device)) {
        set->count -= 1;
        memmove(&set->items[at], &set->items[at + 1], (set->count - at) * sizeof *set->items);
    }
}

void msy_lazy_fini(struct msy_mesh *mesh, struct msy_lazy_set *set)
{
    msy_free(mesh->alloc, set->items, set->cap * sizeof *set->items);
    memset(set, 0, sizeof *set);
}
