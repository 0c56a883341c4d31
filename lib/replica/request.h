/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an application asks to be committed: intents, as one buffer of bytes that is built on the
 * caller's thread and read by the writer. Which dots an intent kills is decided by the writer.
 */
#ifndef MSY_REPLICA_REQUEST_H
#define MSY_REPLICA_REQUEST_H

#include <meshsync/write.h>

#include "base/buf.h"

enum msy_intent_type {
    MSY_INTENT_PUT = 1,        /* payload: a value's msgpack. */
    MSY_INTENT_DELETE = 2,     /* The path and all below; what lives there now or in context. */
    MSY_INTENT_ADD = 3,        /* payload: msgpack int. */
    MSY_INTENT_SET_ADD = 4,    /* path: key, element. */
    MSY_INTENT_SET_REMOVE = 5, /* path: key, element. */
    MSY_INTENT_TOUCH = 6
};

struct msy_intent {
    enum msy_intent_type type;
    enum meshsync_condition_kind condition;
    meshsync_bytes collection; /* Name; "" for control records. */
    meshsync_bytes path;       /* Encoded. */
    meshsync_bytes payload;
    meshsync_bytes context;
};

struct msy_request {
    struct msy_buf bytes;
    uint32_t intents_count;
    bool explicit_txn;   /* Never merged with others. */
    meshsync_bytes meta; /* Raw msgpack map or empty; owned by the caller. */
};

void msy_request_init(struct msy_request *request, struct msy_alloc *alloc);
void msy_request_fini(struct msy_request *request);
void msy_request_reset(struct msy_request *request);
/* Appends; all or nothing. E_LIMIT over MESHSYNC_TXN_OPS_MAX or MESHSYNC_TXN_BYTES_MAX. */
meshsync_status msy_request_add(struct msy_request *request, const struct msy_intent *intent);
/* Reads intents one after the other: start with at = 0. False at the end. */
bool msy_request_next(const struct msy_request *request, size_t *at, struct msy_intent *intent);
/* Contexts: u8 1, the first bytes of the store's id, then per dot varints LSN and index. */
enum { MSY_CONTEXT_STORE_BYTES = 8, MSY_CONTEXT_HEAD_BYTES = 1 + MSY_CONTEXT_STORE_BYTES };
/* Does a context (of meshsync_entry) name the dot with this LSN and index? */
bool msy_context_has(meshsync_bytes context, uint64_t lsn, uint32_t index);

#endif
