/* SPDX-License-Identifier: Apache-2.0 */
/* A simulated mesh to which a schedule happens: one or two spaces, each with its world. */
#ifndef TESTS_SIM_SWARM_H
#define TESTS_SIM_SWARM_H

#include "sim/schedule.h"
#include "sim/world.h"

enum { SWARM_WORLDS_MAX = 2 };

struct swarm {
    struct world worlds[SWARM_WORLDS_MAX];
    uint32_t worlds_count;
    uint32_t nodes_max; /* Newcomers and clones included. */
    uint64_t settle_ms;
    uint64_t run_ms; /* From the beginning to the quiet phase. */
    uint64_t ops;
};

/* trouble.c */
void trouble_make(struct swarm *swarm, const struct step *step);
/* Every node that belongs to a space is in it, or asked to be; versions have one in common. */
void trouble_end(struct swarm *swarm);

/* Runs a schedule to its end; a law that is broken ends it by world_fail. */
void swarm_run(struct swarm *swarm, const struct schedule *schedule,
               uint8_t trace[MESHSYNC_DIGEST_BYTES]);

/* reached.c: the table of faults and states that a long run must have met. */
/* Adds what the run that ends now met. */
void reached_note(struct swarm *swarm);
/* Prints the table, and how many of its rows are below what so many seeds must reach. */
uint32_t reached_report(uint64_t seeds, bool campaign);

/* shrink.c */
/* Called by world_fail in the process that found it: looks for a shorter schedule that fails the
 * same way, and prints it with the command that repeats it. */
void shrink_failed(const struct schedule *schedule, const char *format, const char *program);
/* Does not return in a child that tries a schedule; elsewhere does nothing. */
void shrink_caught(const char *format);

#endif
