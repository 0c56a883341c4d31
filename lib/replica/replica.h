/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The replica machine: step(events) -> effects, on one thread, owning the write side of the store.
 * One batch of events is one store transaction; effects that speak of its outcome are given after
 * it is durable. Production, tests and the simulator drive the same object.
 */
#ifndef MSY_REPLICA_REPLICA_H
#define MSY_REPLICA_REPLICA_H

#include "base/crew.h"
#include "base/entropy.h"
#include "base/log.h"
#include "clock/dot.h"
#include "replica/request.h"
#include "secure/identity.h"
#include "secure/ticket.h"
#include "store/store.h"

struct msy_replica; /* Opaque. */

struct msy_replica_options {
    struct msy_alloc *alloc;
    struct msy_store *store;             /* Outlives the replica. */
    const struct msy_identity *identity; /* Outlives the replica. */
    struct msy_entropy entropy;
    const struct msy_log *log; /* May be NULL. */
    uint64_t clock_ahead_ms_max;
    uint64_t check_entries_max;    /* A store with more is not checked at opening; 0: none is. */
    struct msy_verified *verified; /* May be NULL; lent: shared by the nodes of a simulation. */
    const struct msy_crew *crew;   /* May be NULL; lent. */
};

enum msy_replica_event_type {
    MSY_REPLICA_COMMIT = 1,  /* request on space; answered by DONE. */
    MSY_REPLICA_CHANGES = 2, /* bytes from a peer; answered by RECEIVED. */
    MSY_REPLICA_CREATE = 3,  /* Found a space called name; DONE. */
    MSY_REPLICA_JOIN = 4,    /* Join by ticket, as name (empty: the ticket's); DONE. */
    MSY_REPLICA_LEAVE = 5,   /* Leave space; erase or keep; DONE. */
    MSY_REPLICA_TICK = 6     /* Time has passed: held changes, joining. Once a second or so. */
};

struct msy_replica_event {
    enum msy_replica_event_type type;
    uint32_t space;                  /* COMMIT, CHANGES, LEAVE. */
    uint64_t id;                     /* Comes back in the answer. */
    int32_t early;                   /* COMMIT: 1: also QUEUED before the store commits. */
    int32_t erase;                   /* LEAVE. */
    struct msy_request *request;     /* COMMIT: lent for the step. */
    meshsync_bytes bytes;            /* CHANGES: for each, be32 length and the change. CREATE,
                                        JOIN: the name. Lent for the step. */
    const struct msy_ticket *ticket; /* JOIN: lent. */
};

enum msy_replica_effect_type {
    MSY_REPLICA_DONE = 1,      /* Outcome of an event with an id. */
    MSY_REPLICA_QUEUED = 2,    /* Before the commit: tip is fixed. */
    MSY_REPLICA_RECEIVED = 3,  /* A CHANGES event was dealt with. */
    MSY_REPLICA_COMMITTED = 4, /* Durable: records lsn_first to lsn_last are new. */
    MSY_REPLICA_SPACES = 5,    /* Membership in space changed; 0: the list of spaces. */
    MSY_REPLICA_MISSING = 6,   /* A cause of a received change is not here: space, tip. */
    MSY_REPLICA_ALARM = 7      /* Something must not be: words in error. */
};

struct msy_replica_effect {
    enum msy_replica_effect_type type;
    meshsync_status status; /* DONE; RECEIVED: E_PROTOCOL when its bringer misbehaved. */
    uint64_t id;
    uint32_t space;     /* DONE of CREATE and JOIN: the new number. */
    struct msy_tip tip; /* DONE, QUEUED: the change made; seq 0: nothing to write. MISSING. */
    uint64_t lsn_first;
    uint64_t lsn_last;
    uint32_t accepted; /* RECEIVED: changes. */
    uint32_t duplicate;
    uint32_t pending;
    uint32_t rejected;
    meshsync_error error;
};

/* Effects belong to the list until the next step. */
struct msy_replica_effects {
    struct msy_replica_effect *items;
    uint32_t count;
    uint32_t cap;
    struct msy_alloc *alloc;
};

struct msy_replica_stats {
    uint64_t changes_local, changes_in, changes_duplicate, changes_rejected;
    uint64_t changes_pending, changes_held;
    uint64_t ops_local, ops_in, conflicts, commits, alarms;
};

/* Called with the effects that may be performed before the commit (QUEUED). */
typedef void (*msy_replica_early_fn)(void *user, const struct msy_replica_effects *early);

/* Makes the tables' first records when the store is new. E_STORE_VERSION, E_STORE_CORRUPT. */
meshsync_status msy_replica_open(const struct msy_replica_options *options, uint64_t now_ms,
                                 struct msy_replica **replica, meshsync_error *error);
void msy_replica_close(struct msy_replica *replica);

void msy_replica_effects_init(struct msy_replica_effects *effects, struct msy_alloc *alloc);
void msy_replica_effects_fini(struct msy_replica_effects *effects);

/*
 * One batch. OK: effects has the outcomes, each event with an id has its answer (which may be an
 * error of its own). Anything else: the batch failed as a whole, nothing changed on disk, effects
 * is empty; the caller answers all with that status and must close this replica and open a new one
 * (E_STORE_FULL and E_DISK_FULL included). E_INTERNAL: an invariant of this process broke since it
 * was opened; the caller opens no other. now_ms is Unix time.
 */
meshsync_status msy_replica_step(struct msy_replica *replica,
                                 const struct msy_replica_event *events, uint32_t count,
                                 uint64_t now_ms, msy_replica_early_fn early, void *user,
                                 struct msy_replica_effects *effects);
/*
 * What time the peers have, Unix ms; 0: not known. Holds until it is said anew. Stamps up to
 * at_least_ms are not of the future; while the own clock is more than clock_ahead_ms_max beyond
 * at_most_ms, COMMIT, CREATE and JOIN are E_CLOCK.
 */
void msy_replica_set_time(struct msy_replica *replica, uint64_t at_least_ms, uint64_t at_most_ms);
void msy_replica_get_stats(const struct msy_replica *replica, struct msy_replica_stats *stats);

#endif
