/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The data file looked at without LMDB. LMDB believes what its pages say: a wrong page number or
 * offset makes it abort, or read outside of its map, which ends the whole process. So pages that
 * nobody vouches for are read with pread and checked before LMDB maps them.
 */
#ifndef MSY_STORE_LMDB_CHECK_H
#define MSY_STORE_LMDB_CHECK_H

#include <stdbool.h>
#include <sys/stat.h>

#include <meshsync/types.h>

#include "base/alloc.h"

/* What the two root pages say, and the file itself. */
struct msy_lmdb_file {
    struct stat stat;
    uint64_t page_bytes;
    uint64_t pages_count; /* In use or free, as of the newest root. */
    uint64_t txn_id;      /* Of the newest root. */
    uint64_t older_txn_id;
    bool whole; /* The file is as long as its pages. */
};

/* Reads and checks the root pages alone. E_STORE_CORRUPT, E_STORE_VERSION, E_IO; what is wrong goes
 * into error. */
meshsync_status msy_lmdb_check_roots(int fd, struct msy_lmdb_file *file, meshsync_error *error);
/* Reads every page that is in use, once: page numbers, offsets, sizes, the order of keys, the
 * counts, that no page is used twice nor free and in use. What passes, LMDB reads and writes
 * without fault. Only reads the file. */
meshsync_status msy_lmdb_check_pages(struct msy_alloc *alloc, int fd, meshsync_error *error);

/* The note that a writer ended in order, kept in the lock file: which state of which file it left.
 * Reading it says whether the file is still that. */
bool msy_lmdb_mark_read(int lock_fd, const struct msy_lmdb_file *file);
/* Takes the note away, before the first write. */
meshsync_status msy_lmdb_mark_clear(int lock_fd);
/* After LMDB closed the file; a failure to write it costs a check at the next opening. */
void msy_lmdb_mark_write(int lock_fd, const struct msy_lmdb_file *file);

#endif
