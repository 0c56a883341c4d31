/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store: named ordered tables of bytes under one writer and many snapshot readers. Two
 * implementations pass the same suite (tests/conform): LMDB, and memory for the simulator.
 *
 * One write transaction at a time, begun and ended on one thread. Any number of read transactions,
 * each used by one thread at a time. Bytes lent by get and by cursors live until the transaction
 * ends, in a write transaction until its next put or del.
 */
#ifndef MSY_STORE_STORE_H
#define MSY_STORE_STORE_H

#include <stdbool.h>

#include <meshsync/types.h>

#include "base/alloc.h"

/* Part of the disk format: only append. */
enum msy_table {
    MSY_TABLE_META = 0,     /* name -> value */
    MSY_TABLE_SPACES = 1,   /* space number -> descriptor */
    MSY_TABLE_NAMES = 2,    /* names of collections to numbers and back */
    MSY_TABLE_LOG = 3,      /* LSN -> record */
    MSY_TABLE_BY_ACTOR = 4, /* (space, actor, seq, hash prefix) -> LSN */
    MSY_TABLE_STATE = 5,    /* (space, collection, path) -> leaf */
    MSY_TABLE_CLOCK = 6,    /* (space, actor) -> tip */
    MSY_TABLE_HEADS = 7,    /* (space, actor) -> head that no other change builds on */
    MSY_TABLE_KILLS = 8,    /* kills whose dot has not arrived */
    MSY_TABLE_DIGEST = 9,   /* (space, collection) -> sum over the live dots */
    MSY_TABLE_PEERS = 10,   /* what is remembered of peers: addresses, last vectors */
    MSY_TABLE_COUNT = 11
};

enum msy_txn_mode { MSY_TXN_READ = 0, MSY_TXN_WRITE = 1 };
enum msy_put_mode {
    MSY_PUT_ANY = 0,
    MSY_PUT_APPEND = 1 /* The key is greater than all in the table, else E_INVALID. */
};

struct msy_store;      /* Opaque: an implementation. */
struct msy_store_txn;  /* Opaque. */
struct msy_store_iter; /* Opaque. */

struct msy_store_stats {
    uint64_t map_bytes;  /* Address space reserved. */
    uint64_t used_bytes; /* Pages in use, in bytes. */
    uint64_t bytes_max;  /* Cap kept by the writer. */
    uint64_t entries[MSY_TABLE_COUNT];
    uint64_t readers_count; /* Reader slots in use, those kept for reuse included. */
    uint64_t last_txn_id;
};

struct msy_store_options {
    struct msy_alloc *alloc;
    const char *path;     /* Folder, made when missing (mode 0700) unless read_only. */
    uint64_t map_bytes;   /* Address space to reserve. */
    uint64_t bytes_max;   /* Cap on pages in use: at 95 % puts give E_STORE_FULL, deletes go on. */
    uint32_t readers_max; /* Reader slots. */
    bool read_only;
};

/* Version of LMDB. */
void msy_store_library(int *major, int *minor, int *patch);

/* Each returns E_STORE_LOCKED when another writer (process or handle) has it: an advisory lock file
 * beside the data, with this process's open stores registered by device and inode. E_STORE_CORRUPT
 * when it is no store of ours. */
meshsync_status msy_store_open_lmdb(const struct msy_store_options *options,
                                    struct msy_store **store, meshsync_error *error);
/* For the simulator. The simulator keeps it over a simulated crash: an uncommitted transaction is
 * aborted. */
meshsync_status msy_store_open_memory(struct msy_alloc *alloc, struct msy_store **store,
                                      meshsync_error *error);
/* It was not closed in order when it was open last, or somebody touched its file since. */
bool msy_store_is_suspect(const struct msy_store *store);
/* NULL allowed. All transactions must have ended. */
void msy_store_close(struct msy_store *store);

/* A second write transaction while one lives is E_BUSY; in a store opened for reading, E_READ_ONLY.
 */
meshsync_status msy_store_begin(struct msy_store *store, enum msy_txn_mode mode,
                                struct msy_store_txn **txn);
/* Ends the transaction whatever it returns. Durable when it returns MESHSYNC_OK. */
meshsync_status msy_store_commit(struct msy_store_txn *txn);
/* NULL allowed. */
void msy_store_abort(struct msy_store_txn *txn);

/* Lets a write transaction's later puts use the last 5 % of the cap too: for changes that remove
 * more than they add, so that a full store can be emptied. */
void msy_store_use_reserve(struct msy_store_txn *txn);

/* E_NOT_FOUND when the key is not there; a damaged store is never "not found". */
meshsync_status msy_store_get(struct msy_store_txn *txn, enum msy_table table, meshsync_bytes key,
                              meshsync_bytes *value);
/* Key 1 to 511 bytes, value up to 16 MiB. The value must not be lent by this transaction.
 * E_STORE_FULL at the cap leaves the transaction as it was: it may delete and commit. A failure
 * that breaks the transaction is returned by all its later calls, and by its commit, which changes
 * nothing. */
meshsync_status msy_store_put(struct msy_store_txn *txn, enum msy_table table, meshsync_bytes key,
                              meshsync_bytes value, enum msy_put_mode mode);
/* Room for value_len bytes under key, to be filled by the caller before the next call. Only in the
 * tables whose values bring a checksum of their own: log and state; else E_INVALID. */
meshsync_status msy_store_reserve(struct msy_store_txn *txn, enum msy_table table,
                                  meshsync_bytes key, size_t value_len, enum msy_put_mode mode,
                                  uint8_t **value);
/* E_NOT_FOUND when it was not there. */
meshsync_status msy_store_del(struct msy_store_txn *txn, enum msy_table table, meshsync_bytes key);

/* A cursor, to be closed before its transaction ends. In a write transaction it must be sought
 * again after a put or del: a step without that is E_STATE. Seeks and steps lend key and value;
 * past the last entry they return E_END, and so do all steps then, until it is sought again. A step
 * of a cursor that was never sought starts at that end of the table. */
meshsync_status msy_store_iter_open(struct msy_store_txn *txn, enum msy_table table,
                                    struct msy_store_iter **iter);
void msy_store_iter_close(struct msy_store_iter *iter);
/* First entry with a key >= key; an empty key means the start of the table. */
meshsync_status msy_store_seek(struct msy_store_iter *iter, meshsync_bytes key,
                               meshsync_bytes *found_key, meshsync_bytes *value);
/* Last entry with a key < key; an empty key means the end of the table. */
meshsync_status msy_store_seek_before(struct msy_store_iter *iter, meshsync_bytes key,
                                      meshsync_bytes *found_key, meshsync_bytes *value);
meshsync_status msy_store_next(struct msy_store_iter *iter, meshsync_bytes *key,
                               meshsync_bytes *value);
meshsync_status msy_store_prev(struct msy_store_iter *iter, meshsync_bytes *key,
                               meshsync_bytes *value);

meshsync_status msy_store_get_stats(struct msy_store *store, struct msy_store_stats *stats);
/* A consistent copy of the whole store into an open file, compacted, while writers go on. LMDB
 * only; memory gives E_UNSUPPORTED. */
meshsync_status msy_store_copy(struct msy_store *store, int fd);
/* Frees reader slots of dead processes; how many in *freed. */
meshsync_status msy_store_sweep_readers(struct msy_store *store, uint32_t *freed);

/* Fault injection, memory store only: what the store must do to its caller. */
enum msy_store_fault {
    MSY_STORE_FAULT_NONE = 0,
    MSY_STORE_FAULT_FULL = 1,      /* Puts give E_STORE_FULL. */
    MSY_STORE_FAULT_COMMIT_IO = 2, /* Commits give E_IO and change nothing. */
};
void msy_store_memory_fault(struct msy_store *store, enum msy_store_fault fault);
/* Tests: the process ends at this one of the next actions that change something, the commit
 * included: it and all after it are E_IO. 0: never. */
void msy_store_memory_fail_at(struct msy_store *store, uint64_t actions);
/* Did it come to that? */
bool msy_store_memory_failed(struct msy_store *store);
/* A second memory store with the same content as the last commit: a clone, or a backup. */
meshsync_status msy_store_memory_clone(struct msy_store *store, struct msy_store **clone);

#endif
