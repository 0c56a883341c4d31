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
    WORLD_KEYS = 3,
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
    uint64_t samples, replies, tombs, one_way, flaps, slow, skews, joins, ops, too_new;
};

enum world_failing { FAILED_CAUGHT = 0, FAILED_TOLD = 1 };
/* Called when a law is broken, before it is told and after. */
typedef void (*world_failed_fn)(void *user, enum world_failing when, const char *format);

struct world_setup {
    uint64_t seed;
    uint32_t nodes_count;
    uint64_t keepalive_ms;
    const char *program;
    world_failed_fn failed; /* May be NULL. */
    void *failed_user;
};

struct world {
    meshsync_sim *sim;
    struct model model;
    uint64_t seed;
    uint32_t space;        /* Of the simulation. */
    struct world *beside;  /* That of the other space; may be NULL. */
    bool followed;         /* The beginning is over. */
    uint64_t members;      /* Bits: nodes that are to be in it. */
    struct msy_prng draws; /* Of the step at hand. */
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
    world_failed_fn failed;
    void *failed_user;
};

/* A mesh of nodes, all in one space with the collections of world_table. */
void world_open(struct world *world, const struct world_setup *setup);
/* A second space of the same mesh, some of whose nodes are in it. */
void world_open_beside(struct world *world, struct world *first, const struct world_setup *setup);
/* From here on the simulation speaks of this world's space; the functions below do it. */
void world_enter(struct world *world);
/* Is a node to be in this space, and not gone for ever? */
bool world_member(const struct world *world, uint32_t node);
/* And is it? */
bool world_holds(const struct world *world, uint32_t node);
void world_close(struct world *world);
/* Says what went wrong and how to repeat it, and fails the test. */
void world_fail(struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));
void world_note(struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));
void world_run(struct world *world, uint64_t ms);
uint32_t world_draw(struct world *world, uint32_t bound);
bool world_chance(struct world *world, uint32_t percent);

void world_must(struct world *world, meshsync_status status, const char *what);

struct world_path {
    char texts[3][WORLD_TEXT_MAX];
    meshsync_bytes parts[3];
    meshsync_path path;
};
/* The first count texts as a path. */
const meshsync_path *world_path(struct world_path *path, uint32_t count);

/* One client does one thing at a node that is up, this one or the next; false: there is none. */
bool world_act(struct world *world, uint32_t node);

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
/* The quiet phase: all come together in time, and then are silent. */
void world_settle(struct world *world, uint64_t ms_max);
/* What must hold when all is quiet. */
void world_finish(struct world *world);

#endif
