/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a space's state: on any thread, in a read transaction, optionally with the writes of an
 * open transaction on top (read your own writes). The functions behind meshsync/read.h.
 */
#ifndef MSY_REPLICA_READ_H
#define MSY_REPLICA_READ_H

#include <meshsync/merge.h>
#include <meshsync/read.h>
#include <meshsync/space.h>
#include <meshsync/watch.h>

#include "crdt/leaf.h"
#include "replica/members.h"
#include "replica/order.h"
#include "replica/request.h"
#include "store/schema.h"
#include "wire/change.h"

/* Application merge functions of a node. fn NULL: not registered. */
struct msy_merge_port {
    meshsync_merge_fn (*find)(void *user, const char *name, uint32_t version, void **fn_user);
    void *user;
};

struct msy_view {
    struct msy_store_txn *txn;  /* Read transaction. */
    struct msy_store_txn *over; /* Own writes: leaves that replace those of txn; NULL: none. */
    uint32_t space;
    uint8_t store_id[16];
    struct msy_alloc *alloc;
    struct msy_merge_port merge;
    struct msy_leaf leaf;            /* Of the entry shown last. */
    struct msy_sibling_order *order; /* Siblings of it in ascending order. */
    uint32_t order_cap;
    uint32_t siblings_count;
    struct msy_buf context;
    struct msy_buf scratch;   /* For merge functions. */
    struct msy_schema schema; /* Of the collection used last. */
    bool schema_known;
    bool ordered;                   /* order is filled for leaf. */
    uint8_t key[MSY_KEY_BYTES_MAX]; /* Of the entry shown last. */
    size_t key_len;
    struct msy_change_header header; /* Scratch. */
};

/* txn and over stay the caller's. */
meshsync_status msy_view_init(struct msy_view *view, struct msy_alloc *alloc,
                              struct msy_store_txn *txn, struct msy_store_txn *over, uint32_t space,
                              const struct msy_merge_port *merge);
void msy_view_fini(struct msy_view *view);

/* See meshsync_get, meshsync_sibling_at. path is encoded. */
meshsync_status msy_view_get(struct msy_view *view, meshsync_bytes collection, meshsync_bytes path,
                             meshsync_entry *entry, meshsync_error *error);
meshsync_status msy_view_sibling(struct msy_view *view, uint32_t index, meshsync_sibling *sibling,
                                 meshsync_error *error);
/* Does a set element live at this path? */
meshsync_status msy_view_contains(struct msy_view *view, meshsync_bytes collection,
                                  meshsync_bytes path, meshsync_error *error);

/* Scans and the conflict walk. */
struct msy_walk {
    struct msy_view *view;
    uint32_t collection;
    uint8_t low[MSY_KEY_BYTES_MAX], high[MSY_KEY_BYTES_MAX]; /* Keys in [low, high). */
    size_t low_len, high_len;
    size_t base_len; /* Bytes of the key before the next part. */
    uint64_t left;   /* Entries still to give; UINT64_MAX: no limit. */
    bool descending, deep, conflicts, done;
    bool stepped; /* iter stands on the entry given last: the next one is one step away. */
    struct msy_store_iter *iter, *over_iter;
    char collection_name[MESHSYNC_NAME_BYTES_MAX + 1];
};
meshsync_status msy_walk_open(struct msy_walk *walk, struct msy_view *view,
                              meshsync_bytes collection, const meshsync_scan_options *options,
                              meshsync_error *error);
meshsync_status msy_walk_conflicts(struct msy_walk *walk, struct msy_view *view,
                                   meshsync_error *error);
/* E_END past the last. */
meshsync_status msy_walk_next(struct msy_walk *walk, meshsync_entry *entry, meshsync_error *error);
void msy_walk_close(struct msy_walk *walk);

/* Own writes of an open transaction: applies an intent to over (a write transaction of a memory
 * store that has only leaves), as the writer will, with provisional dots numbered by *next_index.
 * Checks collection, type, depth: E_NOT_FOUND, E_TYPE, E_INVALID. Conditions are not checked. */
meshsync_status msy_overlay_apply(struct msy_view *view, const struct msy_intent *intent,
                                  uint32_t *next_index, meshsync_error *error);

/* Facts. */
meshsync_status msy_space_digest(struct msy_store_txn *txn, uint32_t space,
                                 meshsync_digest *digest);
meshsync_status msy_collection_digest(struct msy_store_txn *txn, uint32_t space,
                                      uint32_t collection, uint64_t *entries, uint8_t digest[32]);

/* The change feed. */
struct msy_feed_reader {
    uint64_t next_lsn; /* Record to look at next. */
    uint32_t next_op;  /* Op of it. */
    uint32_t space;
    bool control;                                 /* Control records too. */
    char collection[MESHSYNC_NAME_BYTES_MAX + 1]; /* "": all. */
    uint8_t store_id[16];
    struct msy_change *change; /* Parsed; owned. */
    uint64_t parsed_lsn;
    struct msy_buf hashes; /* Scratch. */
    struct msy_buf copy;   /* The change's bytes, so that events outlive the transaction. */
    char name[MESHSYNC_NAME_BYTES_MAX + 1];
    uint8_t device[32];
    bool local;
    struct msy_alloc *alloc;
};
/* Cursors: store id 8 bytes, be32 space, be64 LSN, be32 op. from empty: the beginning.
 * E_INVALID. */
meshsync_status msy_feed_init(struct msy_feed_reader *feed, struct msy_alloc *alloc,
                              struct msy_store_txn *txn, uint32_t space,
                              const meshsync_feed_options *options, meshsync_error *error);
void msy_feed_fini(struct msy_feed_reader *feed);
/* The next event (event->space is left to the caller); E_END when there is none yet. What it lends
 * lives until the next call. */
meshsync_status msy_feed_read(struct msy_feed_reader *feed, struct msy_store_txn *txn,
                              meshsync_event *event, meshsync_error *error);

/* Version tokens: u8 1, then per tip actor 16 and varint seq. */
meshsync_status msy_token_make(const struct msy_tip *tips, uint32_t count, meshsync_token *token);
/* tips has room for 10. */
meshsync_status msy_token_read(const meshsync_token *token, struct msy_tip *tips, uint32_t *count);

#endif
