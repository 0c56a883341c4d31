/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A leaf: what lives at one path. A small set of dotted values, and for counters the sums. Dots are
 * kept as (LSN, index): the log names their actor, seq and stamp. Pure: bytes in, bytes out.
 */
#ifndef MSY_CRDT_LEAF_H
#define MSY_CRDT_LEAF_H

#include <stdbool.h>

#include "base/buf.h"
#include "clock/dot.h"

enum { MSY_LEAF_HASH_BYTES = 16 };

struct msy_leaf_entry {
    uint64_t lsn;
    uint32_t index;
    uint32_t kind;                        /* enum msy_op_kind, or one not known. */
    uint8_t op_hash[MSY_LEAF_HASH_BYTES]; /* First bytes of the op hash, for the digest. */
    meshsync_bytes payload; /* Raw msgpack, lent; data NULL: in the log only, see the rest. */
    uint32_t payload_len;
    uint32_t payload_at;  /* In the log only: where it begins in the change's bytes, */
    uint32_t payload_crc; /* and its CRC32C. */
};

/* What resets took off one actor: the greatest seen. */
struct msy_leaf_reset {
    struct msy_actor actor;
    uint64_t seq;
    uint64_t plus;
    uint64_t minus;
};

struct msy_leaf {
    uint64_t last_lsn;              /* The last change that touched the path; 0: none. */
    struct msy_leaf_entry *entries; /* Ascending by (lsn, index). */
    uint32_t entries_count, entries_cap;
    struct msy_leaf_reset *resets; /* Ascending by actor. */
    uint32_t resets_count, resets_cap;
    uint64_t plus, minus; /* Sums of all accepted deltas, modulo 2^64. */
    bool has_counter;
    struct msy_alloc *alloc;
};

void msy_leaf_init(struct msy_leaf *leaf, struct msy_alloc *alloc);
void msy_leaf_fini(struct msy_leaf *leaf);
void msy_leaf_reset(struct msy_leaf *leaf);
/* Entries lend from value. E_STORE_CORRUPT when the checksum (over key and content) fails. */
meshsync_status msy_leaf_read(struct msy_leaf *leaf, meshsync_bytes key, meshsync_bytes value);
/* The checksum alone. */
bool msy_leaf_intact(meshsync_bytes key, meshsync_bytes value);
/* Appends the stored form. */
meshsync_status msy_leaf_write(const struct msy_leaf *leaf, meshsync_bytes key,
                               struct msy_buf *out);
/* Index of the entry with this dot, or -1. */
int64_t msy_leaf_find(const struct msy_leaf *leaf, uint64_t lsn, uint32_t index);
/* Keeps the order; payload is lent. */
meshsync_status msy_leaf_add(struct msy_leaf *leaf, const struct msy_leaf_entry *entry);
void msy_leaf_remove(struct msy_leaf *leaf, uint32_t at);
meshsync_status msy_leaf_add_reset(struct msy_leaf *leaf, const struct msy_leaf_reset *reset);
void msy_leaf_add_delta(struct msy_leaf *leaf, int64_t delta);
int64_t msy_leaf_sum(const struct msy_leaf *leaf);
/* Nothing lives here: no entry, and no counter (or one that was reset to nothing since). */
bool msy_leaf_empty(const struct msy_leaf *leaf);

#endif
