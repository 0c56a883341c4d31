/* SPDX-License-Identifier: Apache-2.0 */
/* Entries, siblings and nested maps for the commands that read. */
#ifndef MESHNODE_READING_H
#define MESHNODE_READING_H

#include "helpers.h"

/* meshsync_entry.kind. */
enum entry_kind { ENTRY_VALUE = 0, ENTRY_COUNTER = 1, ENTRY_ELEMENT = 2, ENTRY_CONTAINER = 3 };

/* A snapshot of a space. */
struct reading {
    struct cli_context *ctx;
    meshsync_space *space;
    meshsync_snapshot *snapshot; /* Owned. */
    meshsync_error error;
};
/* Finds the space and pins its state; to be closed either way. */
int reading_open(struct reading *reading, struct cli_context *ctx, const char *space);
void reading_close(struct reading *reading);
/* Reports a status of the library. */
int reading_fail(struct reading *reading, meshsync_status status);

/* The siblings of the entry read last, as a JSON array; NULL with *status on failure. */
json_t *reading_siblings(struct reading *reading, uint32_t count, meshsync_status *status);
/* {"value","conflict","siblings","context"} into line. False with *status on failure. */
bool reading_set_entry(struct reading *reading, json_t *line, const meshsync_entry *entry,
                       meshsync_status *status);
/* Prints the siblings for people, each on a line. */
meshsync_status reading_print_siblings(struct reading *reading, uint32_t count);

/*
 * Everything below a path as nested objects. A value that has fields below it too (they were
 * written concurrently) is shown under the empty name. *conflicts counts the leaves with more than
 * one value. NULL with *status on failure.
 */
json_t *reading_nested(struct reading *reading, const char *collection, const meshsync_path *path,
                       uint64_t *conflicts, meshsync_status *status);

#endif
