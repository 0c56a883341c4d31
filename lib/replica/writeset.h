/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The write set of one batch: each leaf that the batch touches is read once, changed in memory as
 * often as needed, and written once, in key order, when the batch is flushed. The digests of the
 * touched collections live here too.
 */
#ifndef MSY_REPLICA_WRITESET_H
#define MSY_REPLICA_WRITESET_H

#include "base/crew.h"
#include "crdt/leaf.h"
#include "replica/arena.h"
#include "secure/crypto.h"
#include "store/schema.h"

struct msy_ws_leaf {
    struct msy_leaf leaf; /* Payloads lend from the arena. */
    const uint8_t *key;   /* In the arena. */
    uint32_t key_len;
    uint32_t space;
    uint64_t key_hash;
    uint64_t lsn_before; /* Who wrote it before leaf.last_lsn did, when that is of this batch. */
    bool dirty;
    bool existed;
    bool below; /* The batch has put something below this path. */
};

/* Sum over the live dots of one collection. */
struct msy_ws_digest {
    uint32_t space;
    uint32_t collection;
    uint64_t entries;
    bool dirty;
    struct msy_lthash sum;
};

/* A dot that is to enter or leave the sum of a collection. */
struct msy_ws_dot {
    uint8_t key[32];
    uint8_t nonce[12];
    uint32_t digest; /* Its place among the set's digests. */
    bool add;
};

enum { MSY_WS_POOL_ROWS = 32, MSY_WS_POOL_LEAVES = 4096 };
/* Dots that wait for being summed, and how many of them one piece of that work takes: expanding a
 * dot takes a microsecond, so it is done while the leaves are written, by whoever has time. */
enum { MSY_WS_DOTS_MAX = 4096, MSY_WS_CHUNK_DOTS = 64 };
enum { MSY_WS_CHUNKS_MAX = MSY_WS_DOTS_MAX / MSY_WS_CHUNK_DOTS };

struct msy_writeset {
    struct msy_alloc *alloc;
    struct msy_store_txn *txn; /* Of the batch. */
    struct msy_arena arena;
    struct msy_ws_leaf *pool[MSY_WS_POOL_ROWS]; /* Rows of MSY_WS_POOL_LEAVES, reused. */
    uint32_t pool_rows;
    uint32_t count;
    struct msy_ws_leaf **slots; /* Open addressing. */
    uint32_t slots_cap;
    struct msy_ws_leaf **sorted;
    uint32_t sorted_cap;
    struct msy_ws_digest *digests;
    uint32_t digests_count, digests_cap;
    const struct msy_crew *crew; /* Lent; may be NULL. */
    struct msy_ws_dot *dots;
    uint32_t dots_count, dots_cap;
    struct msy_lthash *parts;      /* A sum for each chunk of dots. */
    bool mixed[MSY_WS_CHUNKS_MAX]; /* Its dots are of several collections: its sum is not used. */
    uint8_t hash_key[16];
    struct msy_buf scratch;
};

void msy_writeset_init(struct msy_writeset *set, struct msy_alloc *alloc,
                       const uint8_t hash_key[16]);
void msy_writeset_fini(struct msy_writeset *set);
void msy_writeset_begin(struct msy_writeset *set, struct msy_store_txn *txn);
/* The leaf at a path, read if it was not yet; valid until begin. E_STORE_CORRUPT when damaged. */
meshsync_status msy_writeset_leaf(struct msy_writeset *set, uint32_t space, uint32_t collection,
                                  meshsync_bytes path, struct msy_ws_leaf **leaf);
/* The same by state key. */
meshsync_status msy_writeset_leaf_key(struct msy_writeset *set, meshsync_bytes key,
                                      struct msy_ws_leaf **leaf);
meshsync_status msy_writeset_digest(struct msy_writeset *set, uint32_t space, uint32_t collection,
                                    struct msy_ws_digest **digest);
/* Adds a dot to the sum of a digest or takes it off, at the latest when the set is flushed. */
meshsync_status msy_writeset_dot(struct msy_writeset *set, const struct msy_ws_digest *digest,
                                 const uint8_t key[32], const uint8_t nonce[12], bool add);
/* The leaf if the batch has read it, else NULL. */
struct msy_ws_leaf *msy_writeset_cached(const struct msy_writeset *set, meshsync_bytes key);
/* Writes a leaf that is not in the set, at once. */
meshsync_status msy_writeset_put(struct msy_writeset *set, meshsync_bytes key,
                                 const struct msy_leaf *leaf);
/* Forgets all leaves, which must have been flushed: because the owner of payloads that they lend
 * goes away, or to bound memory. Digests stay. */
void msy_writeset_drop_lent(struct msy_writeset *set);
/* Copies bytes into the batch's memory. data NULL in the result: no memory. */
meshsync_bytes msy_writeset_keep(struct msy_writeset *set, meshsync_bytes bytes);
/* Writes every changed leaf, in key order; what was read stays usable. Needed before the state is
 * walked by range, and at the end. */
meshsync_status msy_writeset_flush_leaves(struct msy_writeset *set);
meshsync_status msy_writeset_flush(struct msy_writeset *set);

#endif
