/* SPDX-License-Identifier: Apache-2.0 */
/* The handles of a node's spaces: one for each that its store has or had, kept until it closes. */
#ifndef MSY_SHELL_SPACES_H
#define MSY_SHELL_SPACES_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <meshsync/space.h>

#include "base/alloc.h"

struct meshsync_space {
    meshsync_node *node; /* Lent. */
    uint32_t number;     /* Local. */
    uint8_t id[MESHSYNC_SPACE_ID_BYTES];
    char name[MESHSYNC_NAME_BYTES_MAX + 1];
    _Atomic bool gone; /* Erased: the handle is kept so that a late use is an error, no crash. */
};

struct msy_spaces {
    pthread_mutex_t lock;          /* Guards the table. */
    struct meshsync_space **items; /* Owned, in ascending number. */
    uint32_t count, cap;
    _Atomic bool stale; /* The store may have other spaces than the table. */
};

meshsync_status msy_spaces_init(struct msy_spaces *spaces);
void msy_spaces_fini(struct msy_spaces *spaces, struct msy_alloc *alloc);
/* The store may have changed. */
void msy_spaces_touch(struct msy_spaces *spaces);
/* E_NOT_FOUND. Reads the store when it may have changed. */
meshsync_status msy_spaces_by_name(meshsync_node *node, const char *name, meshsync_space **space,
                                   meshsync_error *error);
meshsync_status msy_spaces_by_number(meshsync_node *node, uint32_t number, meshsync_space **space,
                                     meshsync_error *error);
/* The index-th that is not gone; E_END. */
meshsync_status msy_spaces_at(meshsync_node *node, uint32_t index, meshsync_space **space,
                              meshsync_error *error);

#endif
