/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of the replica machine, shared by the files of this folder. */
#ifndef MSY_REPLICA_MACHINE_H
#define MSY_REPLICA_MACHINE_H

#include "clock/hlc.h"
#include "clock/vector.h"
#include "replica/members.h"
#include "replica/pending.h"
#include "replica/replica.h"
#include "replica/writeset.h"
#include "store/history.h"
#include "wire/change.h"

enum {
    MSY_REF_CACHE_SLOTS = 4096, /* A power of two. */
    MSY_DEVICE_CACHE_SLOTS = 1024,
    /* Leaves kept in memory by one batch before it is written out in between. */
    MSY_WRITESET_LEAVES_MAX = 100000
};

/* Name of the change behind an LSN; never changes, so it can be kept for ever. */
struct msy_ref_slot {
    uint64_t lsn;
    struct msy_ref ref;
};

struct msy_device_slot {
    struct msy_actor actor;
    uint32_t space;
    uint8_t device[32];
    bool used;
};

/* Local number and schema of a collection, as far as it was needed. */
struct msy_collection_state {
    char name[MESHSYNC_NAME_BYTES_MAX + 1];
    uint8_t name_len;
    uint32_t number;
    int32_t type; /* 0: no schema record; -1: look again. */
};

struct msy_member_slot {
    uint32_t space;
    uint8_t device[32];
    bool used;
};

struct msy_space_state {
    uint32_t number;
    struct msy_space_row_descriptor row;
    bool erased;
    /* Our chain: the epoch of this opening, once it has begun. */
    bool has_epoch;
    bool has_own; /* own is set: our last change in the space, of this or an earlier epoch. */
    struct msy_own_row own;
    struct msy_vector heads;
    uint64_t changes;
    bool dirty;           /* own, heads or changes are to be written. */
    bool control_dirty;   /* Control records changed: who waits for membership is to be tried. */
    bool control_changed; /* Control records changed in this batch. */
    bool members_changed; /* And it is to be said. */
    struct msy_collection_state *collections;
    uint32_t collections_count, collections_cap;
};

/* An op of the change being built whose hash is not known yet. */
struct msy_added {
    struct msy_ws_leaf *leaf;
    uint32_t index;
    uint32_t collection; /* Local number. */
    bool counter;        /* Its dot lives for ever: delta or reset. */
};

struct msy_replica {
    struct msy_alloc *alloc;
    struct msy_store *store;
    const struct msy_identity *identity;
    struct msy_entropy entropy;
    const struct msy_log *log;
    uint64_t clock_ahead_ms_max;
    struct msy_verified *verified; /* Lent; may be NULL. */
    uint8_t store_id[16];
    struct msy_hasher hasher;
    struct msy_store_txn *txn; /* Of the step. */
    struct msy_replica_effects *effects;
    uint64_t now_ms;
    uint64_t peers_at_least_ms; /* By the peers' clocks; 0: not known. */
    uint64_t peers_at_most_ms;
    uint64_t assertions; /* Of the process that had failed when this was opened. */
    struct msy_hlc hlc;
    uint64_t lsn_last;
    struct msy_space_state *spaces; /* Ascending by number. */
    uint32_t spaces_count, spaces_cap;
    uint32_t collection_next;
    uint32_t space_next;
    bool numbers_dirty;   /* collection_next or space_next are to be written. */
    uint64_t kills_count; /* Rows of the kills table. */
    struct msy_writeset set;
    struct msy_change change; /* Being applied. */
    struct msy_change_builder builder;
    struct msy_change_header header; /* Of the change being built. */
    struct msy_buf hashes;
    struct msy_buf record;
    struct msy_added *added;
    uint32_t added_count, added_cap;
    uint64_t *previous; /* Per op of the change at hand: LSN that wrote its path before. */
    uint32_t previous_cap;
    struct msy_ref_slot *refs;
    struct msy_device_slot *devices;
    struct msy_member_slot *members; /* As many slots as devices. */
    struct msy_replica_effects early;
    struct msy_pending pending;
    struct msy_replica_stats stats;
    struct msy_vector scratch_vector;
    struct msy_leaf scratch_leaf;
    struct msy_change_header scratch_header;
    bool spaces_changed;
};

/* replica.c */
struct msy_space_state *msy_replica_space(struct msy_replica *replica, uint32_t number);
meshsync_status msy_replica_add_space(struct msy_replica *replica,
                                      const struct msy_space_row_descriptor *row, uint32_t number,
                                      struct msy_space_state **space);
meshsync_status msy_replica_put_row(struct msy_replica *replica,
                                    const struct msy_space_state *space);
/* Now, as stamps of others are judged: a clock that is behind its peers' does not hold them up. */
uint64_t msy_replica_judging_ms(const struct msy_replica *replica);
/* A new effect, zeroed but for its type; NULL: no memory. */
struct msy_replica_effect *msy_replica_effect(struct msy_replica *replica,
                                              enum msy_replica_effect_type type);
/* Number of a collection, made when make is set; E_NOT_FOUND. */
meshsync_status msy_replica_collection(struct msy_replica *replica, struct msy_space_state *space,
                                       meshsync_bytes name, bool make,
                                       struct msy_collection_state **collection);
/* Name of the change at an LSN. */
meshsync_status msy_replica_ref(struct msy_replica *replica, uint64_t lsn, struct msy_ref *ref);
/* Device key of an actor whose first change is here. E_NOT_FOUND. */
meshsync_status msy_replica_device(struct msy_replica *replica, uint32_t space,
                                   const struct msy_actor *actor, uint8_t device[32]);
/* Keeps the device of an actor whose id was checked. */
void msy_replica_know_device(struct msy_replica *replica, uint32_t space,
                             const struct msy_actor *actor, const uint8_t device[32]);
/* Membership by record; a yes is remembered. */
meshsync_status msy_replica_is_member(struct msy_replica *replica, uint32_t space,
                                      const uint8_t device[32], bool *member);

/* apply.c: from a change that is in order to the tables. */
/* Adds or takes off a dot of the digest of a collection. */
meshsync_status msy_apply_digest(struct msy_replica *replica, uint32_t space, uint32_t collection,
                                 const struct msy_dot *dot,
                                 const uint8_t op_hash[MSY_LEAF_HASH_BYTES], bool add);
/* Writes log, index, vector and heads for a change whose ops were applied as lsn_last + 1. */
meshsync_status msy_apply_record(struct msy_replica *replica, struct msy_space_state *space,
                                 const struct msy_change *change,
                                 const uint8_t hash[MSY_CHANGE_HASH_BYTES], uint32_t flags);
/* Applies all ops of a verified change of a peer, and its record. */
meshsync_status msy_apply_change(struct msy_replica *replica, struct msy_space_state *space,
                                 const struct msy_change *change, const uint8_t *op_hashes,
                                 const uint8_t hash[MSY_CHANGE_HASH_BYTES]);
/* Remembers the LSN before at the op's path, and marks the leaf as written by lsn. */
meshsync_status msy_apply_touch(struct msy_replica *replica, struct msy_ws_leaf *leaf,
                                uint32_t op_index, uint64_t lsn);
/* Adds a RESET's payload to a leaf. */
meshsync_status msy_apply_reset(struct msy_leaf *leaf, meshsync_bytes payload);

/* range.c: the leaves at and below a path. */
typedef meshsync_status (*msy_range_fn)(void *user, meshsync_bytes key, struct msy_leaf *leaf,
                                        bool *changed);
/* Visits every leaf at and below path in key order; those that the visitor changed are written. */
meshsync_status msy_range_each(struct msy_replica *replica, uint32_t space, uint32_t collection,
                               meshsync_bytes path, msy_range_fn visit, void *user);

/* commit.c */
/* Commits requests events[0..count) (COMMIT, one space, mergeable) as one change; answers each. */
meshsync_status msy_commit_group(struct msy_replica *replica, struct msy_space_state *space,
                                 const struct msy_replica_event *events, uint32_t count);

/* receive.c */
meshsync_status msy_receive_changes(struct msy_replica *replica, struct msy_space_state *space,
                                    const struct msy_replica_event *event);
/* Tries again what waits and may go on now. */
meshsync_status msy_receive_retry(struct msy_replica *replica);

/* spaces.c */
meshsync_status msy_spaces_create(struct msy_replica *replica,
                                  const struct msy_replica_event *event);
meshsync_status msy_spaces_join(struct msy_replica *replica, const struct msy_replica_event *event);
meshsync_status msy_spaces_leave(struct msy_replica *replica,
                                 const struct msy_replica_event *event);
/* A space that was joining and whose membership is on record now joins no more. */
meshsync_status msy_spaces_settle(struct msy_replica *replica, struct msy_space_state *space);

#endif
