/* SPDX-License-Identifier: Apache-2.0 */
/* Ways in which a disk spoils a file, and what a space shows, as numbers that can be compared. */
#ifndef FAULT_DAMAGE_H
#define FAULT_DAMAGE_H

#include <stdbool.h>

#include <meshsync/meshsync.h>

enum damage_kind {
    DAMAGE_BIT,
    DAMAGE_BITS,
    DAMAGE_HEAD_BIT,
    DAMAGE_ZERO,
    DAMAGE_SWAP,
    DAMAGE_OTHER,
    DAMAGE_OLDER,
    DAMAGE_CUT,
    DAMAGE_CUT_ODD,
    DAMAGE_RANGE,
    DAMAGE_KINDS
};

enum { DAMAGE_PAGE_BYTES = 4096 };

/* A file in memory. */
struct damage_file {
    uint8_t *bytes; /* Owned: malloc. */
    size_t len;
};

const char *damage_name(enum damage_kind kind);
struct damage_file damage_load(const char *path);
void damage_save(const char *path, const struct damage_file *file);
struct damage_file damage_copy(const struct damage_file *file);
/* Spoils file; older: the same file at an earlier time. *random is the state of the draws. False:
 * this draw changes nothing. */
bool damage_do(enum damage_kind kind, struct damage_file *file, const struct damage_file *older,
               uint64_t *random);
uint64_t damage_draw(uint64_t *random, uint64_t below);

/* What a space shows: a number for each path, and one for all that it shows there. */
struct damage_line {
    uint64_t path;
    uint64_t content;
    uint64_t shared; /* The same without what differs from node to node. */
};
struct damage_view {
    struct damage_line *lines; /* Owned: malloc. In the order of the scans. */
    size_t count, cap;
    uint64_t errors; /* Calls that failed, in words. */
};
void damage_look(meshsync_space *space, struct damage_view *view);
/* Of one node with itself, or with another. NULL when every line of seen is one of truth, in its
 * order, and none is missing unless an error was reported; else what is wrong. */
const char *damage_compare(const struct damage_view *truth, const struct damage_view *seen,
                           bool other_node);

#endif
