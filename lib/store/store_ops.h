/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an implementation of the store provides. store.c checks arguments, modes and the places of
 * cursors once for all of them, then calls these.
 */
#ifndef MSY_STORE_STORE_OPS_H
#define MSY_STORE_STORE_OPS_H

#include "store/store.h"

/* Longest key, in bytes: what LMDB takes as Debian builds it. */
#define MSY_STORE_KEY_BYTES_MAX 511
/* Longest value, in bytes: above the largest change. */
#define MSY_STORE_VALUE_BYTES_MAX (16u << 20)

enum msy_store_move {
    MSY_MOVE_FIRST = 0,
    MSY_MOVE_LAST = 1,
    MSY_MOVE_AT_LEAST = 2, /* First key >= the given one. */
    MSY_MOVE_BEFORE = 3,   /* Last key < the given one. */
    MSY_MOVE_NEXT = 4,
    MSY_MOVE_PREV = 5,
};

/* Where a cursor is, as far as its user may rely on it. */
enum msy_store_place {
    MSY_PLACE_NONE = 0,  /* Opened, not sought. */
    MSY_PLACE_ENTRY = 1, /* On an entry. */
    MSY_PLACE_END = 2,   /* A seek or step found nothing. */
};

struct msy_store_ops {
    void (*close)(struct msy_store *store);
    meshsync_status (*begin)(struct msy_store *store, enum msy_txn_mode mode,
                             struct msy_store_txn **txn);
    meshsync_status (*commit)(struct msy_store_txn *txn);
    void (*abort)(struct msy_store_txn *txn);
    meshsync_status (*get)(struct msy_store_txn *txn, enum msy_table table, meshsync_bytes key,
                           meshsync_bytes *value);
    meshsync_status (*reserve)(struct msy_store_txn *txn, enum msy_table table, meshsync_bytes key,
                               size_t value_len, enum msy_put_mode mode, uint8_t **value);
    meshsync_status (*del)(struct msy_store_txn *txn, enum msy_table table, meshsync_bytes key);
    meshsync_status (*iter_open)(struct msy_store_txn *txn, enum msy_table table,
                                 struct msy_store_iter **iter);
    void (*iter_close)(struct msy_store_iter *iter);
    /* E_END when there is no such entry. NEXT and PREV come only when on an entry. */
    meshsync_status (*move)(struct msy_store_iter *iter, enum msy_store_move move,
                            meshsync_bytes key, meshsync_bytes *found_key, meshsync_bytes *value);
    meshsync_status (*get_stats)(struct msy_store *store, struct msy_store_stats *stats);
    meshsync_status (*copy)(struct msy_store *store, int fd);
    meshsync_status (*sweep_readers)(struct msy_store *store, uint32_t *freed);
};

/* The first member of each implementation's own structs. begin and iter_open fill in ops, and the
 * rest is kept by store.c. */
struct msy_store {
    const struct msy_store_ops *ops; /* Static. */
    bool read_only;
    bool suspect; /* Nobody vouches for what the file has. */
    bool sealed;  /* Values of the small tables end with a checksum; see store.c. */
};

struct msy_store_txn {
    const struct msy_store_ops *ops; /* Static. */
    enum msy_txn_mode mode;
    bool sealed;            /* Of the store. */
    bool uses_reserve;      /* msy_store_use_reserve. */
    uint64_t changes_count; /* Puts and dels so far: what a cursor's place is good for. */
    meshsync_status failed; /* Set by an implementation when only an abort is left. */
};

struct msy_store_iter {
    const struct msy_store_ops *ops; /* Static. */
    struct msy_store_txn *txn;       /* Borrowed: outlives the cursor. */
    enum msy_table table;
    enum msy_store_place place;
    uint64_t changes_count; /* Of the transaction when the place was found. */
};

#endif
