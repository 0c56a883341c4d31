/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A simulated mesh with clients that write to it, and the checks of the laws beside it: what each
 * node's log holds is followed change by change, and compared with the model and with what clients
 * were told.
 */
#ifndef TESTS_SIM_WORLD_H
#define TESTS_SIM_WORLD_H

#include "laws/model.h"
#include "laws/show.h"
#include "sim/cluster.h"

enum {
    WORLD_WRITES_MAX = 2048,
    WORLD_PAIRS = 3,
    WORLD_TOMBS_MAX = 128,
    WORLD_REPLIES_MAX = 256,
    WORLD_TEXT_MAX = 48
};

enum world_collection {
    WORLD_PAIR = 0,    /* Two keys that are always written together. */
    WORLD_REG = 1,     /* Anything goes. */
    WORLD_COUNTER = 2, /* Additions, each in one transaction with its receipt in WORLD_OPS. */
    WORLD_SET = 3,
    WORLD_MAP = 4,
    WORLD_TOMB = 5, /* Keys that are written once and removed once. */
    WORLD_OPS = 6,  /* Receipts: written once, never removed. */
    WORLD_COLLECTIONS = 7
};
extern const struct model_collection world_table[WORLD_COLLECTIONS];

enum world_outcome { WORLD_WAITING = 0, WORLD_ACKED = 1, WORLD_UNKNOWN = 2, WORLD_REFUSED = 3 };

/* One commit as its client knows it. */
struct world_write {
    struct world *world;
    uint32_t node;
    uint32_t number;
    enum world_outcome outcome;
    meshsync_status status;
    bool empty;         /* Answered without a version: there was nothing to write. */
    struct msy_tip tip; /* When acknowledged; hash not set. */
};

/* A key that is written once and removed once. */
struct world_tomb {
    char key[WORLD_TEXT_MAX];
    bool removed;                         /* Somebody asked for it. */
    uint8_t seen[MESHSYNC_SIM_NODES_MAX]; /* 1: seen alive there; 2: and then gone. */
};

/* reply was written by somebody who had read post. */
struct world_reply {
    uint32_t post, reply; /* Numbers of writes. */
};

/* What is known of a node's log. */
struct world_node {
    uint64_t lsn;
    struct model_set accepted;
};

struct world_counts {
    uint64_t acked, unknown, refused, refused_condition, unknown_kept, unknown_gone, lost_allowed;
    uint64_t siblings, merges, epochs, roots, clears, resets, explicit_changes, merged_changes;
    uint64_t samples, replies, tombs, one_way, flaps, slow, skews, joins;
};

struct world {
    meshsync_sim *sim;
    struct model model;
    uint64_t seed;
    struct world_node nodes[MESHSYNC_SIM_NODES_MAX];
    uint32_t base_count;          /* Changes of the beginning. */
    struct model_set may_be_lost; /* Changes whose only copies were on a disk that was lost. */
    struct world_write writes[WORLD_WRITES_MAX];
    uint32_t writes_count;
    struct world_tomb tombs[WORLD_TOMBS_MAX];
    uint32_t tombs_count;
    struct world_reply replies[WORLD_REPLIES_MAX];
    uint32_t replies_count;
    int64_t deltas[WORLD_WRITES_MAX]; /* Of receipts that came with an addition; else 0. */
    struct msy_buf ours, theirs;
    struct model_lives lives;
    struct show show;
    struct world_counts counts;
    bool loud;
    const char *program;
};

/* A mesh of nodes, all in one space with the collections of world_table. */
void world_open(struct world *world, uint64_t seed, uint32_t nodes_count);
void world_close(struct world *world);
/* Says what went wrong and how to repeat it, and fails the test. */
void world_fail(struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));
void world_note(struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));
void world_run(struct world *world, uint64_t ms);
uint32_t world_draw(struct world *world, uint32_t bound);
bool world_chance(struct world *world, uint32_t percent);

/* One client does one thing at a node that is up. */
void world_act(struct world *world, uint32_t node);

/* Takes what is new in the nodes' logs; each change must come after its causes. */
void world_follow(struct world *world);
/* Is the beginning of the space, with the invitation, held by a node other than this one? */
bool world_survives(struct world *world, uint32_t node);
/* A node's disk is about to be replaced: what only it holds may be lost. */
void world_forsake(struct world *world, uint32_t node);
/* And was: its log begins again. */
void world_renew(struct world *world, uint32_t node);
/* What must hold at any moment. */
void world_sample(struct world *world);
/* What must hold when all is quiet. */
void world_finish(struct world *world, uint64_t ms_max);

#endif
