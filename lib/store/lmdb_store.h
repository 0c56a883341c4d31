/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the LMDB store share with one another, and with nobody else. */
#ifndef MSY_STORE_LMDB_STORE_H
#define MSY_STORE_LMDB_STORE_H

#include <pthread.h>
#include <sys/types.h>

#include <lmdb.h>

#include "store/store_ops.h"

/* Read transactions kept for reuse, each with its reader slot; more than threads that read at once
 * need not be kept. */
#define MSY_LMDB_IDLE_MAX 32
/* Result of a guarded call in which LMDB found its own data to be impossible. */
#define MSY_LMDB_ASSERTED (-31999)

struct msy_lmdb_iter {
    struct msy_store_iter head;
    MDB_cursor *cursor;         /* Owned; NULL in a spare one. */
    struct msy_lmdb_iter *next; /* In the list of its transaction that holds it while unused. */
};

struct msy_lmdb_txn {
    struct msy_store_txn head;
    struct msy_lmdb_store *store; /* Borrowed: outlives it. */
    MDB_txn *txn;                 /* Owned; in an idle read transaction it is reset. */
    struct msy_lmdb_txn *next;    /* In the store's idle list. */
    struct msy_lmdb_iter
        *idle[MSY_TABLE_COUNT];  /* Owned, closed by their users, ready for reuse. */
    struct msy_lmdb_iter *spare; /* Owned, without a cursor: LMDB ends those of a writer. */
    uint32_t iters_open;
    uint64_t room_bytes; /* Writer: puts go on up to here without another look at the pages. */
};

struct msy_lmdb_store {
    struct msy_store head;
    struct msy_alloc *alloc; /* Borrowed. */
    MDB_env *env;            /* Owned. */
    MDB_dbi tables[MSY_TABLE_COUNT];
    uint64_t bytes_max;
    uint64_t page_bytes;
    int lock_fd; /* Holds the writer's lock; -1 in a store for reading. */

    pthread_mutex_t lock;      /* Guards the next five. */
    struct msy_lmdb_txn *idle; /* Owned. */
    uint32_t idle_count;
    uint32_t active_count; /* Read transactions that live. */
    bool writing;
    bool unmapped; /* Mapping anew failed: LMDB has no map at all, and nothing may touch it. */

    struct msy_lmdb_txn writer; /* Of the thread that writes. */
    bool distrusted;            /* Of whoever writes: a commit met an error of the disk. */
    bool broken;                /* Atomic. A write was left in the middle: never write again. */

    dev_t device; /* Of the folder, with inode: what this process has open. */
    ino_t inode;
    struct msy_lmdb_store *next; /* In the registry, while registered. */
    bool registered;
    bool opened; /* Wholly. */
    bool unsure; /* Atomic. A commit failed in writing: the next opening looks at every page. */
};

/* The status for what LMDB or the system returned; success is MESHSYNC_OK. */
meshsync_status msy_lmdb_status(int result);

/* A store cannot be relied on to be intact, and LMDB aborts the process when an assertion of its
 * own fails. Calls that touch pages are made through these, which return MSY_LMDB_ASSERTED instead.
 * Afterwards a read transaction may go on or end; a write transaction must never be touched again.
 */
void msy_lmdb_guard_install(MDB_env *env);
int msy_lmdb_get(MDB_txn *txn, MDB_dbi table, MDB_val *key, MDB_val *value);
int msy_lmdb_put(MDB_txn *txn, MDB_dbi table, MDB_val *key, MDB_val *value, unsigned flags);
int msy_lmdb_del(MDB_txn *txn, MDB_dbi table, MDB_val *key);
int msy_lmdb_cursor_get(MDB_cursor *cursor, MDB_val *key, MDB_val *value, MDB_cursor_op op);
int msy_lmdb_stat(MDB_txn *txn, MDB_dbi table, MDB_stat *stat);
int msy_lmdb_table_open(MDB_txn *txn, const char *name, unsigned flags, MDB_dbi *table);
int msy_lmdb_commit(MDB_txn *txn);

/* Pages that hold something, in bytes, as the transaction sees it. */
meshsync_status msy_lmdb_used_bytes(struct msy_lmdb_store *store, MDB_txn *txn, uint64_t *used);

extern const struct msy_store_ops msy_lmdb_ops;
/* Frees what open made; the environment may be NULL. */
void msy_lmdb_close(struct msy_store *store);
/* Takes the folder off the registry and gives the writer's lock up. */
void msy_lmdb_unlock(struct msy_lmdb_store *store);

#endif
