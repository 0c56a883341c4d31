/* SPDX-License-Identifier: Apache-2.0 */
/* The replay of the log against the stored state and digests. */
#ifndef MSY_REPLICA_VERIFY_STATE_H
#define MSY_REPLICA_VERIFY_STATE_H

#include <meshsync/space.h>

#include "clock/vector.h"
#include "store/schema.h"
#include "wire/change.h"

/* report->ops tells how many passes there must be; adds leaves, damaged_leaves and the digests that
 * differ. */
enum msy_verify_mode {
    MSY_VERIFY_LOOK = 0,
    MSY_VERIFY_MEND = 1 /* txn is one for writing: leaves and digests become what the log says. */
};

meshsync_status msy_verify_state(struct msy_alloc *alloc, struct msy_store_txn *txn, uint32_t space,
                                 enum msy_verify_mode mode, meshsync_verify_report *report);

#endif
