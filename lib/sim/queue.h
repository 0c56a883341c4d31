/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What will happen, ordered by (time, number): two things of one moment happen in the order in
 * which they were arranged, so that a run depends on nothing but its seed.
 */
#ifndef MSY_SIM_QUEUE_H
#define MSY_SIM_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/alloc.h"

enum msy_sim_event_type {
    MSY_SIM_TIMER = 1,   /* The mesh machine of node asked to be woken; token. */
    MSY_SIM_SECOND = 2,  /* The replica machine's tick. */
    MSY_SIM_WRITER = 3,  /* The writer of node takes what waits. */
    MSY_SIM_CONNECT = 4, /* The first packet of connection token arrives. */
    MSY_SIM_ANSWER = 5,  /* And its answer. */
    MSY_SIM_FLOW = 6,    /* Something of direction `side` of connection token is due. */
    MSY_SIM_BROKEN = 7,  /* End `side` of connection token learns that it is gone. */
    MSY_SIM_ANEW = 8,    /* A machine of node had no memory: it goes down. */
    MSY_SIM_BEACON = 9,  /* node makes a beacon. */
    MSY_SIM_HEARD = 10,  /* node hears the beacon of node `side`. */
    MSY_SIM_BACK = 11    /* node has waited after a machine that had no memory. */
};

struct msy_sim_event {
    uint64_t at_us;
    uint64_t number;
    enum msy_sim_event_type type;
    uint32_t node;
    uint32_t life; /* Of the node: events of an earlier life are void. */
    uint32_t side;
    uint64_t token;
};

struct msy_sim_queue {
    struct msy_sim_event *heap; /* Owned. */
    uint32_t count, cap;
    uint64_t number_next;
    struct msy_alloc *alloc;
};

void msy_sim_queue_init(struct msy_sim_queue *queue, struct msy_alloc *alloc);
void msy_sim_queue_fini(struct msy_sim_queue *queue);
/* number is given here. */
meshsync_status msy_sim_queue_push(struct msy_sim_queue *queue, const struct msy_sim_event *event);
/* False when it is empty. */
bool msy_sim_queue_peek(const struct msy_sim_queue *queue, struct msy_sim_event *event);
void msy_sim_queue_pop(struct msy_sim_queue *queue);

#endif
