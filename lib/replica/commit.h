/* SPDX-License-Identifier: Apache-2.0 */
/* A local change while it is being built. Shared by commit.c, intent.c, reset.c
 * and spaces.c. */
#ifndef MSY_REPLICA_COMMIT_H
#define MSY_REPLICA_COMMIT_H

#include "base/path.h"
#include "replica/machine.h"

struct msy_commit {
    struct msy_replica *replica;
    struct msy_space_state *space;
    struct msy_collection_state *collection; /* Of the intent at hand. */
    meshsync_bytes name;                     /* Of the collection. */
    uint64_t lsn;                            /* Of the change being built. */
    bool explicit_txn;
    bool flushed; /* The state table shows all that came before this change. */
    meshsync_bytes meta;
};

void msy_commit_begin(struct msy_commit *at, struct msy_replica *replica,
                      struct msy_space_state *space);
/* msgpack nil, the payload of ops that carry nothing. */
extern const uint8_t msy_commit_nil[1];

/* intent.c: applies one checked intent to the leaves and the builder. */
meshsync_status msy_commit_intent(struct msy_commit *at, const struct msy_intent *intent);
/* Adds the op with the kills collected so far, and its dot to the leaf when it has one. */
meshsync_status msy_commit_op(struct msy_commit *at, struct msy_ws_leaf *leaf, uint32_t kind,
                              meshsync_bytes path, meshsync_bytes payload);
/* The leaf at a path of the collection at hand. */
meshsync_status msy_commit_leaf(struct msy_commit *at, meshsync_bytes path,
                                struct msy_ws_leaf **leaf);
/* Actor and seq of the change being built. */
void msy_commit_self(const struct msy_commit *at, struct msy_tip *self);
/* Signs, records; tip names the change. */
meshsync_status msy_commit_finish(struct msy_commit *at, struct msy_tip *tip);
/* Resets the counter at a path, when there is one that is not empty. */
meshsync_status msy_commit_reset(struct msy_commit *at, meshsync_bytes path);
/* What each actor added to the counter at path so far, from the path's history in the log and the
 * change being built. */
meshsync_status msy_commit_reset_payload(struct msy_commit *at, struct msy_ws_leaf *leaf,
                                         meshsync_bytes path, struct msy_buf *payload);

#endif
