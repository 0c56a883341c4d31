/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A recorder of everything that this process does to the files below one folder, and the rebuilding
 * of what a disk may hold when the power goes at any moment of that record.
 *
 * What a completed sync covered is there. Of the writes after it any subset is there, in any order,
 * each whole or torn at sectors of 512 bytes; a file has any length that it had since, and what it
 * grew by may read as zeros or as anything; a name is any that it was since its folder was synced.
 * A write through a descriptor with O_DSYNC is there when it returned, and syncs nothing else.
 *
 * interpose.c feeds it: it is linked into those programs alone that record.
 */
#ifndef TESTS_FAULT_DISK_H
#define TESTS_FAULT_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DISK_SECTOR_BYTES = 512, DISK_PATH_BYTES_MAX = 600, DISK_NEVER = INT32_MAX };

enum disk_kind {
    DISK_WRITE = 0,  /* file, offset, data */
    DISK_LENGTH = 1, /* file, offset: the new length */
    DISK_NAME = 2,   /* name, file */
    DISK_SYNCED = 3, /* A sync that returned. */
    DISK_MARK = 4,   /* offset: what the test says of itself */
};

struct disk_event {
    uint8_t *data; /* Owned; NULL when there is none. */
    uint64_t offset;
    uint32_t len;
    int32_t durable_at; /* Place in the record from which on it is sure to be there. */
    int32_t file;       /* -1: none (a name that is removed). */
    int32_t name;
    enum disk_kind kind;
};

/* What became of the unsynced writes of a state. */
struct disk_fates {
    uint64_t landed;
    uint64_t dropped;
    uint64_t torn;
    uint64_t names_old;   /* Names that are not what they last were. */
    uint64_t lengths_old; /* Files shorter than they last were. */
};

struct disk_random {
    uint64_t state;
};
uint64_t disk_draw(struct disk_random *random, uint64_t below);

/* What the lies of a disk, or of a broken store, are. */
enum disk_lie {
    DISK_HONEST = 0,
    DISK_NO_FOLDER_SYNC = 1, /* Syncs of folders do nothing. */
    DISK_NO_FILE_SYNC = 2,   /* Syncs of files, O_DSYNC included, do nothing. */
};

struct disk;

/* Begins to record what is done below root, an existing folder; what is there counts as synced.
 * One disk records at a time. NULL: no memory. */
struct disk *disk_record(const char *root, enum disk_lie lie);
/* Goes on recording with what was recorded up to a place, as after a process was killed there and
 * the machine was not; the folder must hold what disk_rebuild_cached made of that place. */
bool disk_go_on(struct disk *disk, const char *root, int32_t place);
void disk_stop(void);
void disk_free(struct disk *disk);
/* Notes a number in the record; nothing when none records. */
void disk_mark(uint64_t number);

int32_t disk_events_count(const struct disk *disk);
const struct disk_event *disk_event_at(const struct disk *disk, int32_t at);
/* The name of the file that a write goes to, as it was first called: "n/new.mdb". */
const char *disk_first_name(const struct disk *disk, int32_t file);

/* Writes into the existing empty folder what the disk may hold when the power went after the first
 * place events. */
bool disk_rebuild(const struct disk *disk, int32_t place, struct disk_random *random,
                  struct disk_fates *fates, const char *root);
/* The same when only the process was killed. */
bool disk_rebuild_cached(const struct disk *disk, int32_t place, const char *root);

/* For interpose.c. Each call that changes something is told before and after; a call that is
 * recorded tells its place. */
int32_t disk_before_write(int fd, const void *data, size_t len, uint64_t offset, bool dsync);
int32_t disk_before_length(int fd, uint64_t len);
void disk_after_dsync(int32_t at);
int32_t disk_before_sync(void);
void disk_after_sync(int fd, int32_t begun);
bool disk_wants_path(int dir_fd, const char *path);
void disk_made(int fd, int dir_fd, const char *path);
void disk_made_folder(int dir_fd, const char *path);
void disk_linked(int from_fd, const char *from, int to_fd, const char *to);
void disk_renamed(int from_fd, const char *from, int to_fd, const char *to);
void disk_unlinked(int dir_fd, const char *path);

/* interpose.c: the process ends by SIGKILL before (odd) or after (even) the (n + 1) / 2-th call
 * that changes files below root; 0: never. How many such calls there were, times two. */
void interpose_kill_at(const char *root, uint64_t n);
uint64_t interpose_calls(void);
/* interpose.c: flags that every mdb_env_open gets in addition: how a broken store is made. */
void interpose_lmdb_flags(unsigned flags);
/* interpose.c: syncs return at once, since nothing here needs to survive the machine. */
void interpose_fast_syncs(bool fast);

#endif
