/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may write in a space, and what its collections are, read from the control records
 * (docs/format.md, section 7). Pure functions of a store transaction.
 */
#ifndef MSY_REPLICA_MEMBERS_H
#define MSY_REPLICA_MEMBERS_H

#include "secure/verified.h"
#include "store/history.h"

/* Is device the founder, or a member by a record that holds? verified: proofs that were found good
 * before; may be NULL, here and below. */
meshsync_status msy_members_has(struct msy_store_txn *txn, uint32_t space, const uint8_t device[32],
                                struct msy_verified *verified, bool *has);
/* Would this claim be let in: does its proof hold, is the invitation on record and unexpired? */
meshsync_status msy_members_may_join(struct msy_store_txn *txn, uint32_t space,
                                     const struct msy_join_claim *claim,
                                     struct msy_verified *verified, bool *may);

struct msy_schema {
    uint32_t collection; /* Local number. */
    int32_t type;        /* enum meshsync_collection_type. */
    int32_t view;        /* enum meshsync_view. */
    uint32_t merge_version;
    char name[MESHSYNC_NAME_BYTES_MAX + 1];
    char merge_name[MESHSYNC_NAME_BYTES_MAX + 1];
};
/* E_NOT_FOUND. */
meshsync_status msy_schema_find(struct msy_store_txn *txn, uint32_t space, meshsync_bytes name,
                                struct msy_schema *schema);
/* In order of name: start with name empty; gives the next after it. E_END. */
meshsync_status msy_schema_next(struct msy_store_txn *txn, uint32_t space, meshsync_bytes after,
                                struct msy_schema *schema);

#endif
