/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that carry their own proof: read and written whole at offsets, ending with a hash chained
 * over all before it, so that a file that was cut short or altered is noticed.
 */
#ifndef MSY_SHELL_FILE_H
#define MSY_SHELL_FILE_H

#include "base/alloc.h"
#include "base/error.h"

struct msy_file {
    int fd;
    const char *what; /* In messages: "the backup". */
    struct msy_alloc *alloc;
};

/* The status for an errno, with words: what was done to the file. */
meshsync_status msy_file_fail(const struct msy_file *file, int errno_value, const char *doing,
                              meshsync_error *error);
meshsync_status msy_file_write(const struct msy_file *file, const void *bytes, size_t len,
                               uint64_t at, meshsync_error *error);
/* Exactly len bytes; E_STORE_CORRUPT when the file ends before. */
meshsync_status msy_file_read(const struct msy_file *file, void *bytes, size_t len, uint64_t at,
                              meshsync_error *error);
/* Appends the hash of the first len bytes behind them, and syncs the file. */
meshsync_status msy_file_seal(const struct msy_file *file, uint64_t len, meshsync_error *error);
/* Is what follows the first len bytes their hash? E_STORE_CORRUPT. */
meshsync_status msy_file_check(const struct msy_file *file, uint64_t len, meshsync_error *error);
meshsync_status msy_file_size(const struct msy_file *file, uint64_t *size, meshsync_error *error);
/* A new file of mode 0600; E_EXISTS. */
meshsync_status msy_file_create(struct msy_file *file, const char *path, meshsync_error *error);
meshsync_status msy_file_open(struct msy_file *file, const char *path, meshsync_error *error);
/* Ends a file that was created: with OK its name is synced too, else it is removed. Returns status,
 * or what went wrong here. */
meshsync_status msy_file_finish(struct msy_file *file, const char *path, meshsync_status status,
                                meshsync_error *error);
meshsync_status msy_file_sync_folder(const struct msy_file *file, const char *folder,
                                     meshsync_error *error);

#endif
