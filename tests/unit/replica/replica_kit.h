/* SPDX-License-Identifier: Apache-2.0 */
/* One replica machine over a store in memory, for tests that look closely at what it answers. */
#ifndef TESTS_UNIT_REPLICA_KIT_H
#define TESTS_UNIT_REPLICA_KIT_H

#include "fault/fail_store.h"
#include "replica/read.h"
#include "replica/replica.h"

struct kit {
    struct msy_alloc alloc;
    struct msy_identity *identity; /* Owned, unless this is a clone. */
    bool is_clone;
    struct msy_store *store;
    struct msy_prng prng;
    struct msy_replica *machine;
    struct msy_replica_effects effects;
    uint64_t now_ms;
    uint32_t space; /* That requests are for. */
};

/* seed makes the identity; plan NULL: a store that does not fail. */
void kit_open(struct kit *kit, uint8_t seed, struct fail_plan *plan);
/* The same device over a copy of the store: what it commits is concurrent to from's. */
void kit_clone(struct kit *kit, const struct kit *from);
void kit_reopen(struct kit *kit);
void kit_close(struct kit *kit);
/* One event; its answer (DONE or RECEIVED), whose status is all that may go wrong. */
struct msy_replica_effect kit_step(struct kit *kit, struct msy_replica_event *event);
/* Creates a space; its answer. */
struct msy_replica_effect kit_create(struct kit *kit, meshsync_bytes name);
/* A value at a path of one or two parts (second empty: one), committed alone. collection "" is
 * the control collection. */
struct msy_replica_effect kit_put(struct kit *kit, const char *collection, meshsync_bytes first,
                                  meshsync_bytes second, meshsync_bytes payload);
/* A schema record [1, type, view, merge, merge version, 0]. */
struct msy_replica_effect kit_schema(struct kit *kit, const char *name, uint64_t type,
                                     uint64_t view);
/* Hands every change of from's log over. */
struct msy_replica_effect kit_bring(struct kit *kit, struct kit *from);
/* A ticket of the first space, whose invitation is put on record. */
void kit_ticket(struct kit *kit, struct msy_ticket *ticket);

#endif
