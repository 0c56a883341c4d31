/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading what was accepted: spaces, vectors, the log, and what a peer lacks. Only reads; needs a
 * transaction of the store. This is all that the mesh machine knows of the store.
 */
#ifndef MSY_STORE_HISTORY_H
#define MSY_STORE_HISTORY_H

#include "clock/vector.h"
#include "store/schema.h"

/* Who asks to be let into a space, by which invitation, and when. All lent. */
struct msy_join_claim {
    const uint8_t *device; /* 32 bytes. */
    const uint8_t *invite; /* Public key of the invitation, 32 bytes. */
    const uint8_t *proof;  /* The invitation's signature over the device, 64 bytes. */
    uint64_t at_ms;        /* Unix time, for expiry. */
};

/* The spaces in ascending number: start with *space = 0; each call gives the next number greater
 * than *space. E_END. */
meshsync_status msy_history_next_space(struct msy_store_txn *txn, uint32_t *space,
                                       struct msy_space_row_descriptor *row);
/* Tips of a space into vector (reset first). */
meshsync_status msy_history_vector(struct msy_store_txn *txn, uint32_t space,
                                   struct msy_vector *vector);
/* The heads of a space into vector (reset first). */
meshsync_status msy_history_heads(struct msy_store_txn *txn, uint32_t space,
                                  struct msy_vector *vector);
/* LSN of the last record, 0 when the log is empty. */
meshsync_status msy_history_last_lsn(struct msy_store_txn *txn, uint64_t *lsn);
/* A record of the log, checked. E_NOT_FOUND, E_STORE_CORRUPT. */
meshsync_status msy_history_record(struct msy_store_txn *txn, uint64_t lsn,
                                   struct msy_record *record);
/* Nothing is checked but its form: for those who have a checksum of the part that they want. */
meshsync_status msy_history_record_raw(struct msy_store_txn *txn, uint64_t lsn,
                                       struct msy_record *record);
/* The first record with an LSN >= *lsn; *lsn becomes its number. E_END. */
meshsync_status msy_history_record_from(struct msy_store_txn *txn, uint64_t *lsn,
                                        struct msy_record *record);
/* LSN of (actor, seq); hash_prefix (8 bytes) NULL: any. E_NOT_FOUND when it is not here. */
meshsync_status msy_history_find(struct msy_store_txn *txn, uint32_t space,
                                 const struct msy_actor *actor, uint64_t seq,
                                 const uint8_t *hash_prefix, uint64_t *lsn);
/* What an actor's first change says of its epoch. */
struct msy_epoch {
    uint8_t device[32];
    uint64_t ordinal;
    bool has_predecessor; /* False for a root. */
    struct msy_tip predecessor;
};
/* E_NOT_FOUND when the actor is unknown here; *epoch is then empty. */
meshsync_status msy_history_epoch(struct msy_store_txn *txn, uint32_t space,
                                  const struct msy_actor *actor, struct msy_epoch *epoch);
/* Does what the tips of vector imply include (actor, seq)? Tips unknown here count for themselves
 * alone. */
meshsync_status msy_history_covers(struct msy_store_txn *txn, uint32_t space,
                                   const struct msy_vector *vector, const struct msy_actor *actor,
                                   uint64_t seq, bool *covers);

/* What a peer lacks: for each wanted tip, the changes of its device's chain up to it that their
 * vector does not imply, merged in ascending LSN, which is a causal order. Holds no transaction:
 * serve some, end the transaction, go on later. */
struct msy_stream_segment {
    struct msy_actor actor;
    uint64_t next_seq;
    uint64_t last_seq;
    uint64_t next_lsn;
};
struct msy_stream {
    uint32_t space;
    struct msy_stream_segment *segments; /* Owned: a heap by next_lsn. */
    uint32_t count;
    uint32_t cap;
    uint64_t changes_left;
    struct msy_alloc *alloc;
};

void msy_stream_init(struct msy_stream *stream, struct msy_alloc *alloc);
void msy_stream_fini(struct msy_stream *stream);
/* Plans; wanted tips that are not here are left out. May be called again on the same stream to add
 * more wanted tips: nothing is then streamed twice. */
meshsync_status msy_stream_plan(struct msy_stream *stream, struct msy_store_txn *txn,
                                uint32_t space, const struct msy_vector *theirs,
                                const struct msy_tip *wanted, uint32_t wanted_count);
/* Lends the next record (until the transaction ends) without taking it: E_END when done. */
meshsync_status msy_stream_peek(struct msy_stream *stream, struct msy_store_txn *txn, uint64_t *lsn,
                                struct msy_record *record);
/* Takes the record that peek showed. */
meshsync_status msy_stream_advance(struct msy_stream *stream, struct msy_store_txn *txn);

#endif
