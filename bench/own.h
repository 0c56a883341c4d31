/* SPDX-License-Identifier: Apache-2.0 */
/* One node with a space and a register collection "data", in a folder that goes away. */
#ifndef BENCH_OWN_H
#define BENCH_OWN_H

#include "kit.h"

struct own_store {
    char folder[KIT_PATH_BYTES_MAX];
    meshsync_node *node;
    meshsync_space *space;
};

void own_open(struct own_store *store);
/* What is in the folder of a node that was closed. */
void own_open_again(struct own_store *store);
/* Closes it, and opens it again. */
void own_reopen(struct own_store *store);
void own_close(struct own_store *store);
/* The round whose keys are in order. */
#define OWN_SORTED UINT64_MAX
/* The number-th put of a round into a transaction. */
void own_put(meshsync_txn *txn, uint64_t round, uint64_t number);
/* The same under a key of KIT_KEY_BYTES. */
void own_put_key(meshsync_txn *txn, const char *key, uint64_t number);
/* Puts first to first + count - 1 of a round, durable in one transaction; token may be NULL. */
void own_commit(meshsync_space *space, uint64_t round, uint64_t first, uint64_t count,
                meshsync_token *token);
/* Reads one back. */
void own_get(meshsync_snapshot *snapshot, const char *key);
/* All entries in order; how many. */
uint64_t own_scan(struct own_store *store);

#endif
