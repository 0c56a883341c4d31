/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every public function of a node, called on two real nodes over LMDB with their threads and a
 * connection between them, once for every n while the n-th of something fails below: memory, or a
 * system call. What fails is told by a source; who calls is a table of cases.
 */
#ifndef TESTS_FAULT_API_WORLD_H
#define TESTS_FAULT_API_WORLD_H

#include <stdbool.h>

#include "fault/fail_alloc.h"
#include "unit/api/api_kit.h"

enum { API_WORLD_NODES = 2 };

/* What fails. */
struct api_source {
    const char *name;
    void (*arm)(uint64_t n, bool stays); /* Allocation n from now; stays: and all after it. */
    void (*off)(void);
    bool (*fired)(void);
    bool (*may)(meshsync_status status); /* May it come out as this? */
    const char *(*words)(void);          /* NULL, or what failed last. */
    void (*pause)(bool paused);          /* NULL, or spares what this thread does meanwhile. */
    bool once;                           /* Not also from then on. */
};

struct api_world {
    char folder[API_PATH_BYTES_MAX];
    char files[4][API_PATH_BYTES_MAX]; /* For backups, bundles, folders of further nodes. */
    const struct api_source *source;   /* What fails, or NULL. */
    struct fail_memory *memory;        /* The allocator of all nodes; NULL: the C library's. */
    meshsync_node *nodes[API_WORLD_NODES];
    meshsync_space *spaces[API_WORLD_NODES];
    char address[MESHSYNC_ADDRESS_BYTES_MAX];
    char ticket[MESHSYNC_TICKET_TEXT_BYTES_MAX]; /* Of a space that only node 1 is in. */
    uint64_t number;                             /* For names that are new. */
    uint64_t added;   /* Sum of what was added to the counter and acknowledged. */
    uint64_t unknown; /* Adds whose outcome was not told. */
    uint64_t reopened;
    meshsync_error error;
    bool hurt; /* Something fails meanwhile. */
    bool deep; /* Errors have no words: the function has none to give. */
};

struct api_case {
    const char *functions; /* Their names, with spaces between. */
    meshsync_status (*run)(struct api_world *world);
};

extern const struct api_case api_cases[];
extern const uint32_t api_cases_count;

void api_world_open(struct api_world *world, struct fail_memory *memory);
/* Closes and opens both nodes, as after a failure of their disks. */
void api_world_reopen(struct api_world *world);
/* Verifies both, compares them and what was acknowledged, closes them, opens them again and does
 * the same. */
void api_world_close(struct api_world *world);
/* Each case at every stride-th n until it passes unhurt, once and from then on. Returns how many
 * failures there were. */
uint64_t api_world_try(struct api_world *world, const struct api_source *source, uint64_t stride);

#endif
