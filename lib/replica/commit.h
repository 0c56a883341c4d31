/* SPDX-License-Identifier: Apache-2.0 */
/* A local change while it is being built. Shared by commit.c, reset.c and spaces.c. */
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
