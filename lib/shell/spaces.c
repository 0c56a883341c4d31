/* SPDX-License-Identifier: Apache-2.0 */
#include "shell/spaces.h"

#include <string.h>

#include "secure/crypto.h"
#include "shell/node.h"
#include "store/history.h"

meshsync_status msy_spaces_init(struct msy_spaces *spaces)
{
    memset(spaces, 0, sizeof *spaces);
    atomic_store(&spaces->stale, true);
    return pthread_mutex_init(&spaces->lock, NULL) == 0 ? MESHSYNC_OK : MESHSYNC_E_RESOURCE;
}

void msy_spaces_fini(struct msy_spaces *spaces, struct msy_alloc *alloc)
{
    for (uint32_t i = 0; i < spaces->count; i++) {
        msy_free(alloc, spaces->items[i], sizeof *spaces->items[i]);
    }
    msy_free(alloc, spaces->items, spaces->cap * sizeof(struct meshsync_space *));
    (void)pthread_mutex_destroy(&spaces->lock);
}

void msy_spaces_touch(struct msy_spaces *spaces)
{
    atomic_store(&spaces->stale, true);
}

static meshsync_space *spaces_find(const struct msy_spaces *spaces, uint32_t number)
{
    for (uint32_t i = 0; i < spaces->count; i++) {
        if (spaces->items[i]->number == number) {
            return spaces->items[i];
        }
    }
    return NULL;
}

static meshsync_status spaces_add(meshsync_node *node, uint32_t number,
                                  const struct msy_space_row_descriptor *row)
{
    struct msy_spaces *spaces = &node->spaces;
    if (spaces->count == spaces->cap) {
        uint32_t cap = spaces->cap == 0 ? 8 : spaces->cap * 2;
        struct meshsync_space **grown = (struct meshsync_space **)msy_resize(
            &node->alloc, spaces->items, spaces->cap * sizeof(struct meshsync_space *),
            cap * sizeof(struct meshsync_space *));
        if (grown == NULL) {
            return MESHSYNC_E_NO_MEMORY;
        }
        spaces->items = grown;
        spaces->cap = cap;
    }
    meshsync_space *space = (meshsync_space *)msy_new(&node->alloc, sizeof *space);
    if (space == NULL) {
        return MESHSYNC_E_NO_MEMORY;
    }
    space->node = node;
    space->number = number;
    memcpy(space->id, row->id, sizeof space->id);
    memcpy(space->name, row->name, sizeof space->name);
    spaces->items[spaces->count] = space; /* Numbers are given in ascending order. */
    spaces->count += 1;
    return MESHSYNC_OK;
}

static void spaces_mark_gone(struct msy_spaces *spaces, uint32_t after, uint32_t before)
{
    for (uint32_t i = 0; i < spaces->count; i++) {
        if (spaces->items[i]->number > after && spaces->items[i]->number < before) {
            atomic_store(&spaces->items[i]->gone, true);
        }
    }
}

/* Brings the table up to what the store has. Under the lock. */
static meshsync_status spaces_refresh(meshsync_node *node, meshsync_error *error)
{
    struct msy_spaces *spaces = &node->spaces;
    struct msy_store_txn *txn = NULL;
    struct msy_space_row_descriptor row;
    uint32_t number = 0;
    /* A reader beside a writer is told of nothing. */
    if (!atomic_exchange(&spaces->stale, false) && !node->read_only) {
        return MESHSYNC_OK;
    }
    meshsync_status status = msy_node_begin_read(node, &txn, error);
    while (status == MESHSYNC_OK) {
        uint32_t before = number;
        status = msy_history_next_space(txn, &number, &row);
        spaces_mark_gone(spaces, before, status == MESHSYNC_OK ? number : UINT32_MAX);
        if (status == MESHSYNC_OK && spaces_find(spaces, number) == NULL) {
            status = spaces_add(node, number, &row);
        }
    }
    msy_wipe(&row, sizeof row); /* It may hold the secret of an invitation. */
    if (txn != NULL) {
        msy_node_end_read(txn);
    }
    if (status == MESHSYNC_E_END) {
        return MESHSYNC_OK;
    }
    atomic_store(&spaces->stale, true);
    return msy_fail(error, status, "reading the list of spaces");
}

meshsync_status msy_spaces_by_name(meshsync_node *node, const char *name, meshsync_space **space,
                                   meshsync_error *error)
{
    struct msy_spaces *spaces = &node->spaces;
    *space = NULL;
    (void)pthread_mutex_lock(&spaces->lock);
    meshsync_status status = spaces_refresh(node, error);
    for (uint32_t i = 0; i < spaces->count && status == MESHSYNC_OK && *space == NULL; i++) {
        if (!atomic_load(&spaces->items[i]->gone) && strcmp(spaces->items[i]->name, name) == 0) {
            *space = spaces->items[i];
        }
    }
    (void)pthread_mutex_unlock(&spaces->lock);
    if (status == MESHSYNC_OK && *space == NULL) {
        status = msy_fail(error, MESHSYNC_E_NOT_FOUND, "there is no space \"%s\" here", name);
    }
    return status;
}

meshsync_status msy_spaces_by_number(meshsync_node *node, uint32_t number, meshsync_space **space,
                                     meshsync_error *error)
{
    struct msy_spaces *spaces = &node->spaces;
    (void)pthread_mutex_lock(&spaces->lock);
    meshsync_status status = spaces_refresh(node, error);
    *space = status == MESHSYNC_OK ? spaces_find(spaces, number) : NULL;
    (void)pthread_mutex_unlock(&spaces->lock);
    if (status == MESHSYNC_OK && *space == NULL) {
        status = msy_fail(error, MESHSYNC_E_NOT_FOUND, "there is no space of number %u",
                          (unsigned)number);
    }
    return status;
}

meshsync_status msy_spaces_at(meshsync_node *node, uint32_t index, meshsync_space **space,
                              meshsync_error *error)
{
    struct msy_spaces *spaces = &node->spaces;
    uint32_t at = 0;
    *space = NULL;
    (void)pthread_mutex_lock(&spaces->lock);
    meshsync_status status = spaces_refresh(node, error);
    for (uint32_t i = 0; i < spaces->count && status == MESHSYNC_OK && *space == NULL; i++) {
        if (!atomic_load(&spaces->items[i]->gone)) {
            *space = at == index ? spaces->items[i] : NULL;
            at += 1;
        }
    }
    (void)pthread_mutex_unlock(&spaces->lock);
    return status == MESHSYNC_OK && *space == NULL ? MESHSYNC_E_END : status;
}
