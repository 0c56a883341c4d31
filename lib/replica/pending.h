/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes that cannot be applied yet: a cause, a proof, a membership or the time is missing. Kept
 * in memory, bounded in all and per actor; what is dropped or lost by a restart is fetched again,
 * because vectors never counted it.
 */
#ifndef MSY_REPLICA_PENDING_H
#define MSY_REPLICA_PENDING_H

#include "base/buf.h"
#include "clock/dot.h"

enum msy_pending_reason {
    MSY_PENDING_CAUSE = 0,  /* wants: the cause's actor and seq. */
    MSY_PENDING_PROOF = 1,  /* Its signature does not verify; a successor's may. wants: itself. */
    MSY_PENDING_MEMBER = 2, /* Its device is no member yet. */
    MSY_PENDING_TIME = 3    /* Its stamp is too far ahead; until_ms. */
};

struct msy_pending_item {
    struct msy_pending_item *next; /* In its bucket or list. */
    enum msy_pending_reason reason;
    uint32_t space;
    struct msy_tip tip;     /* Of the change itself. */
    uint8_t prev[32];       /* Hash of the change before it in its chain. */
    struct msy_actor wants; /* CAUSE. */
    uint64_t wants_seq;
    uint64_t until_ms;
    bool proven; /* A successor's signature covers it. */
    size_t len;
    uint8_t bytes[];
};

enum { MSY_PENDING_BUCKETS = 1024 };

struct msy_pending {
    struct msy_alloc *alloc;
    struct msy_pending_item *buckets[MSY_PENDING_BUCKETS]; /* CAUSE and PROOF, by what they want. */
    struct msy_pending_item *waiting;                      /* MEMBER and TIME. */
    struct msy_pending_item *ready; /* Taken out: to be tried again, oldest first. */
    struct msy_pending_item **ready_end;
    uint64_t bytes;
    uint64_t count;
    uint64_t held;                             /* Of reason TIME. */
    uint64_t dropped;                          /* Over the bounds. */
    uint64_t actor_bytes[MSY_PENDING_BUCKETS]; /* By hash of the actor: an upper bound per actor. */
    uint8_t key[16];
};

void msy_pending_init(struct msy_pending *pending, struct msy_alloc *alloc, const uint8_t key[16]);
void msy_pending_fini(struct msy_pending *pending);
/* Copies the change. Over a bound it is dropped and counted: OK all the same. */
meshsync_status msy_pending_add(struct msy_pending *pending, const struct msy_pending_item *what,
                                meshsync_bytes change);
/* Is this change waiting already? */
bool msy_pending_has(const struct msy_pending *pending, uint32_t space, const struct msy_tip *tip);
/* (actor, seq) was accepted: what waited for it becomes ready. */
void msy_pending_accepted(struct msy_pending *pending, uint32_t space,
                          const struct msy_actor *actor, uint64_t seq);
/* A verified successor names the change (actor, seq, hash): when it waits for proof it becomes
 * ready, proven. Says whether it did. */
bool msy_pending_proven(struct msy_pending *pending, uint32_t space, const struct msy_tip *tip);
/* A change that waits for tip and is the next of its chain; NULL. Lent until the next call. */
const struct msy_pending_item *msy_pending_successor(const struct msy_pending *pending,
                                                     uint32_t space, const struct msy_tip *tip);
/* Control records of space changed: what waits for membership there becomes ready. */
void msy_pending_members(struct msy_pending *pending, uint32_t space);
/* Time has passed. */
void msy_pending_time(struct msy_pending *pending, uint64_t now_ms);
/* Forgets everything of a space. */
void msy_pending_forget(struct msy_pending *pending, uint32_t space);
/* The next ready item, or NULL; the caller frees it. */
struct msy_pending_item *msy_pending_take(struct msy_pending *pending);
void msy_pending_free(struct msy_pending *pending, struct msy_pending_item *item);

#endif
