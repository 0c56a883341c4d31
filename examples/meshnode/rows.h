/* SPDX-License-Identifier: Apache-2.0 */
/* Writes given as JSON objects: lines of a transaction, rows of an import. */
#ifndef MESHNODE_ROWS_H
#define MESHNODE_ROWS_H

#include "helpers.h"

/* Why a row could not be written. */
struct row_error {
    meshsync_status status;
    char words[MESHSYNC_ERROR_MESSAGE_BYTES_MAX + 64];
};

/* The members of a row that name a place and a value. Borrowed by everything below. */
struct row_target {
    meshsync_txn *txn;
    const char *collection;
    int32_t type;       /* enum meshsync_collection_type. */
    uint64_t ops_count; /* Counts up with every write. */
};

/* False with *error, whose words begin with the member's name. */
bool row_wrong(struct row_error *error, const char *member, const char *words);
bool row_check(struct row_error *error, meshsync_status status, const meshsync_error *from);

/* A line of 'meshnode txn'. */
bool row_apply_op(meshsync_txn *txn, const json_t *line, struct row_error *error);
/* A row as export writes it: {"key","value","type","field"}. */
bool row_apply_exported(struct row_target *target, const json_t *row, struct row_error *error);
/* Any object, whose member key_member is the key; the whole object is the value. */
bool row_apply_keyed(struct row_target *target, json_t *row, const char *key_member,
                     struct row_error *error);

#endif
