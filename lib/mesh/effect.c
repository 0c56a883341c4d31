/* SPDX-License-Identifier: Apache-2.0 */
/* The list of effects, and the memory that their bytes are in: blocks that are used again. */
#include <string.h>

#include "mesh/machine.h"

enum { EFFECT_BLOCK_BYTES = 64 << 10, EFFECT_KEPT_BYTES_MAX = 1 << 20 };

struct msy_mesh_block {
    struct msy_mesh_block *next;
    size_t cap;
    size_t used;
};

static uint8_t *block_data(struct msy_mesh_block *block)
{
    return (uint8_t *)(block + 1);
}

void msy_mesh_effects_init(struct msy_mesh_effects *effects, struct msy_alloc *alloc)
{
    memset(effects, 0, sizeof *effects);
    effects->alloc = alloc;
}

void msy_mesh_effects_reset(struct msy_mesh_effects *effects)
{
    size_t kept_bytes = 0;
    struct msy_mesh_block **at = &effects->blocks;
    while (*at != NULL) {
        struct msy_mesh_block *block = *at;
        kept_bytes += block->cap;
        if (kept_bytes > EFFECT_KEPT_BYTES_MAX) {
            *at = block->next;
            kept_bytes -= block->cap;
            msy_free(effects->alloc, block, sizeof *block + block->cap);
            continue;
        }
        block->used = 0;
        at = &block->next;
    }
    effects->count = 0;
}

void msy_mesh_effects_fini(struct msy_mesh_effects *effects)
{
    while (effects->blocks != NULL) {
        struct msy_mesh_block *block = effects->blocks;
        effects->blocks = block->next;
        msy_free(effects->alloc, block, sizeof *block + block->cap);
    }
    msy_free(effects->alloc, effects->items, effects->cap * sizeof *effects->items);
    effects->items = NULL;
    effects->count = 0;
    effects->cap = 0;
}

struct msy_mesh_effect *msy_effect_add(struct msy_mesh *mesh, enum msy_mesh_effect_type type)
{
    struct msy_mesh_effects *effects = mesh->effects;
    void *items = effects->items;
    if (!msy_array_room(effects->alloc, &items, &effects->cap, effects->count,
                        sizeof *effects->items)) {
        msy_mesh_note(mesh, MESHSYNC_E_NO_MEMORY);
        return NULL;
    }
    effects->items = items;
    struct msy_mesh_effect *effect = &effects->items[effects->count];
    effects->count += 1;
    memset(effect, 0, sizeof *effect);
    effect->type = type;
    return effect;
}

uint8_t *msy_effect_room(struct msy_mesh *mesh, size_t n)
{
    struct msy_mesh_effects *effects = mesh->effects;
    struct msy_mesh_block *block = effects->blocks;
    while (block != NULL && block->cap - block->used < n) {
        block = block->next;
    }
    if (block == NULL) {
        size_t cap = n > EFFECT_BLOCK_BYTES ? n : EFFECT_BLOCK_BYTES;
        block = msy_new(effects->alloc, sizeof *block + cap);
        if (block == NULL) {
            msy_mesh_note(mesh, MESHSYNC_E_NO_MEMORY);
            return NULL;
        }
        block->cap = cap;
        block->next = effects->blocks;
        effects->blocks = block;
    }
    uint8_t *room = block_data(block) + block->used;
    block->used += n;
    return room;
}

const char *msy_effect_text(struct msy_mesh *mesh, const char *text)
{
    size_t n = strlen(text) + 1;
    char *copy = (char *)msy_effect_room(mesh, n);
    if (copy != NULL) {
        memcpy(copy, text, n);
    }
    return copy;
}

void msy_effect_alarm(struct msy_mesh *mesh, uint32_t space, const char *words)
{
    struct msy_mesh_effect *effect = msy_effect_add(mesh, MSY_MESH_ALARM);
    mesh->stats.alarms += 1;
    msy_log_write(mesh->log, MSY_LOG_ERROR, "mesh", "%s", words);
    if (effect != NULL) {
        effect->space = space;
        effect->text = msy_effect_text(mesh, words);
    }
}
