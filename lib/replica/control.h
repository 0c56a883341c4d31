/* SPDX-License-Identifier: Apache-2.0 */
/* Small readers shared by what looks at control records and names of collections. */
#ifndef MSY_REPLICA_CONTROL_H
#define MSY_REPLICA_CONTROL_H

#include "crdt/leaf.h"
#include "store/schema.h"
#include "wire/change.h"

enum { MSY_CONTROL_KIND_VALUE = 1 };

/* NAMES: be32 space, 0, name -> be32 number; be32 space, 1, be32 number -> name. */
meshsync_bytes msy_key_collection(uint8_t key[5 + MESHSYNC_NAME_BYTES_MAX], uint32_t space,
                                  meshsync_bytes name);
meshsync_bytes msy_key_collection_number(uint8_t key[9], uint32_t space, uint32_t number);
/* Local number of a collection; the control collection is "". E_NOT_FOUND. */
meshsync_status msy_control_number(struct msy_store_txn *txn, uint32_t space, meshsync_bytes name,
                                   uint32_t *number);
/* Name of a collection by its number; lent by the store. */
meshsync_status msy_control_name(struct msy_store_txn *txn, uint32_t space, uint32_t number,
                                 meshsync_bytes *name);
/* An entry's payload, inline or from the log with its checksum checked. Lent by leaf or store. */
meshsync_status msy_control_payload(struct msy_store_txn *txn, const struct msy_leaf_entry *entry,
                                    meshsync_bytes *payload);
/* The array inside a MSGPACK value. */
bool msy_control_array(meshsync_bytes payload, meshsync_bytes *array);
/* The header of a record of the log, when it is what was hashed; else E_STORE_CORRUPT. */
meshsync_status msy_control_header(const struct msy_record *record,
                                   struct msy_change_header *header);
/* Stamp of the change at an LSN. */
meshsync_status msy_control_stamp(struct msy_store_txn *txn, uint64_t lsn, uint64_t *hlc);
/* Is the invitation on record, and unexpired at at_ms? */
meshsync_status msy_members_invite_good(struct msy_store_txn *txn, uint32_t space,
                                        const uint8_t invite[32], uint64_t at_ms, bool *good);
/* Invitation and proof of a member record. */
bool msy_members_parse(meshsync_bytes array, uint8_t invite[32], uint8_t proof[64]);

#endif
