/* SPDX-License-Identifier: Apache-2.0 */
#include "clock/vector.h"

#include <string.h>

void msy_vector_init(struct msy_vector *vector, struct msy_alloc *alloc)
{
    memset(vector, 0, sizeof *vector);
    vector->alloc = alloc;
}

void msy_vector_fini(struct msy_vector *vector)
{
    msy_free(vector->alloc, vector->tips, vector->cap * sizeof *vector->tips);
    vector->tips = NULL;
    vector->count = 0;
    vector->cap = 0;
}

void msy_vector_reset(struct msy_vector *vector)
{
    vector->count = 0;
}

/* Index of the first tip whose actor is not less. */
static uint32_t vector_lower(const struct msy_vector *vector, const struct msy_actor *actor)
{
    uint32_t low = 0;
    uint32_t high = vector->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (msy_actor_compare(&vector->tips[middle].actor, actor) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool vector_at(const struct msy_vector *vector, uint32_t at, const struct msy_actor *actor)
{
    return at < vector->count && msy_actor_equal(&vector->tips[at].actor, actor);
}

const struct msy_tip *msy_vector_get(const struct msy_vector *vector, const struct msy_actor *actor)
{
    uint32_t at = vector_lower(vector, actor);
    return vector_at(vector, at, actor) ? &vector->tips[at] : NULL;
}

static meshsync_status vector_grow(struct msy_vector *vector, uint32_t count)
{
    if (count <= vector->cap) {
        return MESHSYNC_OK;
    }
    uint32_t cap = vector->cap == 0 ? 8 : vector->cap;
    while (cap < count) {
        if (cap > UINT32_MAX / 2) {
            return MESHSYNC_E_LIMIT;
        }
        cap *= 2;
    }
    struct msy_tip *tips = (struct msy_tip *)msy_resize(
        vector->alloc, vector->tips, vector->cap * sizeof *tips, cap * sizeof *tips);
    if (tips == NULL) {
        return MESHSYNC_E_NO_MEMORY;
    }
    vector->tips = tips;
    vector->cap = cap;
    return MESHSYNC_OK;
}

meshsync_status msy_vector_raise(struct msy_vector *vector, const struct msy_tip *tip)
{
    uint32_t at = vector_lower(vector, &tip->actor);
    if (vector_at(vector, at, &tip->actor)) {
        if (tip->seq > vector->tips[at].seq) {
            vector->tips[at] = *tip;
        }
        return MESHSYNC_OK;
    }
    meshsync_status status = vector_grow(vector, vector->count + 1);
    if (status != MESHSYNC_OK) {
        return status;
    }
    memmove(&vector->tips[at + 1], &vector->tips[at], (vector->count - at) * sizeof *vector->tips);
    vector->tips[at] = *tip;
    vector->count += 1;
    return MESHSYNC_OK;
}

void msy_vector_drop(struct msy_vector *vector, const struct msy_actor *actor)
{
    uint32_t at = vector_lower(vector, actor);
    if (vector_at(vector, at, actor)) {
        memmove(&vector->tips[at], &vector->tips[at + 1],
                (vector->count - at - 1) * sizeof *vector->tips);
        vector->count -= 1;
    }
}

meshsync_status msy_vector_copy(struct msy_vector *to, const struct msy_vector *from)
{
    meshsync_status status = vector_grow(to, from->count);
    if (status != MESHSYNC_OK) {
        return status;
    }
    if (from->count > 0) {
        memcpy(to->tips, from->tips, from->count * sizeof *to->tips);
    }
    to->count = from->count;
    return MESHSYNC_OK;
}
