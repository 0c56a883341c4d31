/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The master oracle: replay(log) == state. A deliberately naive replay of the log, sharing no code
 * with the apply path, in passes whose memory is bounded; and the check of every hash, signature,
 * index, vector, head and digest against the log.
 */
#ifndef MSY_REPLICA_VERIFY_H
#define MSY_REPLICA_VERIFY_H

#include <meshsync/space.h>

#include "secure/verified.h"
#include "store/schema.h"

/* E_STORE_CORRUPT when anything differs; report says what. */
meshsync_status msy_verify_space(struct msy_alloc *alloc, struct msy_store_txn *txn, uint32_t space,
                                 meshsync_verify_report *report, meshsync_error *error);
/* The same; signatures that are known from before count as looked at. verified NULL: none is. */
meshsync_status msy_verify_space_once(struct msy_alloc *alloc, struct msy_store_txn *txn,
                                      uint32_t space, struct msy_verified *verified,
                                      meshsync_verify_report *report, meshsync_error *error);
/* Of all spaces, without the signatures, which their hashes cover: for a store that was not closed
 * in order. Leaves and digests that differ from a log that is whole are written anew, and counted;
 * txn is one for writing. E_STORE_CORRUPT: the log or its indexes are damaged. */
meshsync_status msy_verify_opening(struct msy_alloc *alloc, struct msy_store_txn *txn,
                                   uint64_t *mended, meshsync_error *error);

#endif
