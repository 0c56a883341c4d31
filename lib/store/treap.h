/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An ordered map of bytes with cheap snapshots: a treap whose nodes are shared and counted. To
 * change a map, its writer copies the nodes on the way that anybody else holds too. A key's
 * priority is a hash of it, so that a map's shape depends on its content alone.
 *
 * Sharing and dropping may happen in any thread; a map that is being changed belongs to one.
 */
#ifndef MSY_STORE_TREAP_H
#define MSY_STORE_TREAP_H

#include "base/buf.h"
#include "store/store_ops.h"

struct msy_treap_node; /* Opaque. */

struct msy_treap {
    struct msy_treap_node *root; /* A share; NULL when empty. */
    uint64_t entries_count;
    uint64_t bytes; /* Of all keys and values. */
};

/* Nodes that a change takes from before it starts, so that it cannot fail in the middle. */
struct msy_treap_pool {
    struct msy_alloc *alloc; /* Borrowed. */
    struct msy_treap_node *spare;
    size_t spare_count;
};

void msy_treap_pool_init(struct msy_treap_pool *pool, struct msy_alloc *alloc);
void msy_treap_pool_fini(struct msy_treap_pool *pool);

/* Another map of the same content, to be dropped too. */
struct msy_treap msy_treap_share(const struct msy_treap *treap);
void msy_treap_drop(struct msy_treap *treap, struct msy_alloc *alloc);

bool msy_treap_get(const struct msy_treap *treap, meshsync_bytes key, meshsync_bytes *value);
/* The entry that the move leads to from key. */
bool msy_treap_find(const struct msy_treap *treap, enum msy_store_move move, meshsync_bytes key,
                    meshsync_bytes *found_key, meshsync_bytes *value);
/* Room for value_len bytes under key, which replace those before. E_NO_MEMORY changes nothing. */
meshsync_status msy_treap_put(struct msy_treap *treap, struct msy_treap_pool *pool,
                              meshsync_bytes key, size_t value_len, uint8_t **value);
/* E_NOT_FOUND, E_NO_MEMORY: nothing changed. */
meshsync_status msy_treap_del(struct msy_treap *treap, struct msy_treap_pool *pool,
                              meshsync_bytes key);

#endif
