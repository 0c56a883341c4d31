/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transactions being built: the intents for the writer, and, only for those who ask to read their
 * own writes, a snapshot with an overlay of leaves. Objects are reused, so that writing allocates
 * nothing in the long run.
 */
#ifndef MSY_SHELL_TXN_H
#define MSY_SHELL_TXN_H

#include "shell/snapshot.h"

/* The type of a collection, as it was when the schemas had this generation. */
struct msy_txn_type {
    uint64_t generation; /* 0: nothing. */
    uint32_t space;
    int32_t type;
    size_t name_len;
    char name[MESHSYNC_NAME_BYTES_MAX + 1];
};

struct meshsync_txn {
    struct msy_work work;   /* What the writer gets. */
    struct msy_owned owned; /* From the making of the object until the node closes. */
    struct meshsync_txn *idle_next;
    meshsync_space *space; /* Lent. */
    struct msy_buf value;  /* The value being encoded. */
    struct msy_txn_type types[MSY_TXN_TYPES_MAX];
    uint32_t type_next;
    meshsync_snapshot snapshot; /* Once it was asked for. */
    bool has_snapshot;
    struct msy_store *over_store; /* Own writes, in memory. */
    struct msy_store_txn *over;
    uint32_t over_index;
};

meshsync_status msy_txn_begin(meshsync_space *space, meshsync_txn **txn, meshsync_error *error);
/* Back to the idle ones. */
void msy_txn_end(meshsync_txn *txn);
/* Type of a collection: E_NOT_FOUND. */
meshsync_status msy_txn_type(meshsync_txn *txn, meshsync_bytes collection, int32_t *type,
                             meshsync_error *error);
/* Adds an intent, also to the overlay when there is one; all or nothing. */
meshsync_status msy_txn_add(meshsync_txn *txn, const struct msy_intent *intent,
                            meshsync_error *error);
meshsync_status msy_txn_pin(meshsync_txn *txn, meshsync_error *error);
/* value's msgpack form, lent until the next call. */
meshsync_status msy_txn_encode(meshsync_txn *txn, const meshsync_value *value,
                               meshsync_bytes *payload, meshsync_error *error);
/* The event for the writer; explicit when it has more than one intent. */
void msy_txn_prepare(meshsync_txn *txn);

#endif
