/* SPDX-License-Identifier: Apache-2.0 */
/* Pinned states of a space with the scans over them; over-age ones let go of the store. */
#ifndef MSY_SHELL_SNAPSHOT_H
#define MSY_SHELL_SNAPSHOT_H

#include "shell/node.h"

struct meshsync_scan {
    struct meshsync_scan *next, **link; /* Of its snapshot. */
    meshsync_snapshot *snapshot;
    bool open;      /* walk lives; not after its snapshot expired. */
    uint32_t steps; /* The clock is looked at now and then only. */
    struct msy_walk walk;
};

struct meshsync_snapshot {
    struct msy_owned owned; /* Its own only when it does not belong to a transaction. */
    meshsync_space *space;  /* Lent. */
    bool of_txn;
    bool open; /* txn and view live. */
    uint64_t opened_ms;
    struct msy_store_txn *txn;
    struct msy_view view;
    struct meshsync_scan *scans; /* Owned. */
};

/* over: own writes on top; NULL: none. */
meshsync_status msy_snapshot_pin(meshsync_snapshot *snapshot, meshsync_space *space,
                                 struct msy_store_txn *over, meshsync_error *error);
/* Lets go of the store; the objects stay, so that late calls find them. */
void msy_snapshot_unpin(meshsync_snapshot *snapshot);
meshsync_status msy_snapshot_new(meshsync_space *space, meshsync_snapshot **snapshot,
                                 meshsync_error *error);
void msy_snapshot_free(meshsync_snapshot *snapshot);
/* E_EXPIRED, and lets go of the store, when it is over its age. */
meshsync_status msy_snapshot_check(meshsync_snapshot *snapshot, meshsync_error *error);
/* An empty scan in the list; the caller opens its walk and says so. */
meshsync_scan *msy_scan_new(meshsync_snapshot *snapshot);
void msy_scan_free(meshsync_scan *scan);
void msy_snapshot_free_scans(meshsync_snapshot *snapshot);

#endif
