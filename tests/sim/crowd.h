/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A crowd of view machines on virtual time, and a model of how changes spread between neighbours
 * (docs/protocol.md, sections 6 and 7): pushes, one tree per origin by prunes, notes to whom was
 * not pushed, wants for what was noted and did not come. Everything follows from the seed.
 */
#ifndef MSY_TESTS_SIM_CROWD_H
#define MSY_TESTS_SIM_CROWD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/alloc.h"
#include "mesh/near.h"
#include "sim/queue.h"

enum {
    CROWD_CHANGES_MAX = 512,
    CROWD_WORDS = CROWD_CHANGES_MAX / 64,
    CROWD_ORIGINS = 16,
    CROWD_SEEDS = 3
};
#define CROWD_NOBODY UINT32_MAX

enum crowd_kind {
    CROWD_VIEW = 1, /* Of the view machine. */
    CROWD_PUSH,
    CROWD_STREAM, /* A change that was asked for. */
    CROWD_NOTE,
    CROWD_WANT,
    CROWD_PRUNE,
    CROWD_VECTOR
};

struct crowd_packet {
    enum crowd_kind kind;
    uint32_t from, to;
    uint32_t from_life, to_life;
    uint32_t change;
    uint64_t has[CROWD_WORDS];
    struct msy_near_message message;
    uint32_t next; /* In the list of free ones. */
};

struct crowd_slot {
    uint32_t node; /* CROWD_NOBODY: free. */
    uint32_t life; /* Of node: a session with an earlier one is lost when the next is heard. */
    uint64_t clear_at_us; /* What is sent before arrives before. */
    uint64_t has[CROWD_WORDS];
};

struct crowd_node {
    struct msy_near view;
    bool alive;
    uint32_t life;
    uint64_t timer_us;
    struct crowd_slot slots[MSY_NEAR_ACTIVE_MAX];
    uint8_t lazy[CROWD_ORIGINS]; /* Slots that asked not to be pushed an origin's changes. */
    uint64_t has[CROWD_WORDS], wanted[CROWD_WORDS];
};

struct crowd_figures {
    uint64_t first, again; /* Deliveries of changes. */
    uint64_t view_bytes, note_bytes, change_bytes;
    uint64_t ups, messages;
};

struct crowd {
    struct msy_alloc alloc;
    struct msy_sim_queue queue;
    struct msy_prng prng;
    uint64_t now_us;
    uint32_t nodes_count;
    struct crowd_node *nodes;
    struct crowd_packet *packets;
    uint32_t packets_cap, packets_free;
    uint32_t origins[CROWD_ORIGINS];
    uint32_t changes_count;
    uint32_t change_origin[CROWD_CHANGES_MAX];
    uint64_t written_at_us[CROWD_CHANGES_MAX];
    uint64_t *got_at_us; /* Of (change, node). */
    bool flood;
    bool halved;           /* Even and odd nodes do not reach each other. */
    uint32_t loss_percent; /* Of segments: sent again after two round trips... */
    bool slow_repeats;     /* ... or after 200 ms and one. */
    struct crowd_figures figures;
    struct msy_near_effects effects;
};

void crowd_init(struct crowd *crowd, uint32_t nodes_count, uint64_t seed);
void crowd_fini(struct crowd *crowd);
/* Begins a node, or begins it anew with all that it stored but its views. */
void crowd_start(struct crowd *crowd, uint32_t node);
/* It falls silent; its neighbours notice 6 to 8 s later. */
void crowd_crash(struct crowd *crowd, uint32_t node);
void crowd_halve(struct crowd *crowd, bool halved);
void crowd_run(struct crowd *crowd, uint64_t ms);
/* A change by an origin (below CROWD_ORIGINS); its number. */
uint32_t crowd_write(struct crowd *crowd, uint32_t origin);
/* Microseconds until a share of those alive had it; UINT64_MAX: they do not. */
uint64_t crowd_spread_us(const struct crowd *crowd, uint32_t change, uint32_t percent);
/* Components of those alive under being neighbours of each other. */
uint32_t crowd_components(const struct crowd *crowd);
uint32_t crowd_alive(const struct crowd *crowd);
/* Neighbours that do not know of it, dead ones not counted. */
uint32_t crowd_one_sided(const struct crowd *crowd);

#endif
