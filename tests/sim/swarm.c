/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/swarm.h"

#include <stdlib.h>
#include <string.h>

enum {
    SWARM_MORE = 5,           /* Nodes that may come beside those of the beginning. */
    SWARM_SETTLE_MS = 420000, /* Longer than the longest jump of a clock. */
    SWARM_SETTLE_BEATS = 16   /* And keep-alives beside that: a dead peer is noticed after some. */
};

struct swarm_failing {
    const struct schedule *schedule;
    const char *program;
};

static void swarm_failed(void *user, enum world_failing when, const char *format)
{
    const struct swarm_failing *failing = user;
    if (when == FAILED_CAUGHT) {
        shrink_caught(format);
    } else {
        shrink_failed(failing->schedule, format, failing->program);
    }
}

static void swarm_open(struct swarm *swarm, const struct schedule *schedule,
                       struct swarm_failing *failing)
{
    struct world_setup setup = {.seed = schedule->seed,
                                .nodes_count = schedule->nodes,
                                .keepalive_ms = schedule->keepalive_ms,
                                .program = failing->program,
                                .failed = swarm_failed,
                                .failed_user = failing};
    swarm->nodes_max = schedule->nodes + SWARM_MORE;
    swarm->settle_ms = SWARM_SETTLE_MS + SWARM_SETTLE_BEATS * schedule->keepalive_ms;
    swarm->worlds_count = 1;
    world_open(&swarm->worlds[0], &setup);
    if (schedule->spaces > 1) {
        world_open_beside(&swarm->worlds[1], &swarm->worlds[0], &setup);
        swarm->worlds_count = 2;
    }
}

static void swarm_step(struct swarm *swarm, const struct step *step)
{
    for (uint32_t i = 0; i < swarm->worlds_count; i++) {
        msy_prng_init(&swarm->worlds[i].draws, step->random + i);
    }
    struct world *world = &swarm->worlds[0];
    world_note(world, "step %u, node %u", step->kind, step->node % world->sim->nodes_count);
    if (step->kind < TROUBLE_COUNT) {
        trouble_make(swarm, step);
    } else if (step->kind == STEP_SAMPLE) {
        for (uint32_t i = 0; i < swarm->worlds_count; i++) {
            world_sample(&swarm->worlds[i]);
        }
        meshsync_sim_stats stats = {.size = sizeof stats};
        /* What is held is seen only while it waits: the most that it was shown is kept. */
        world_must(world, meshsync_sim_get_stats(world->sim, &stats), "stats");
    } else {
        uint32_t number = step->kind == STEP_ACT_BESIDE && swarm->worlds_count > 1 ? 1 : 0;
        uint32_t node = step->node % world->sim->nodes_count;
        if (!world_act(&swarm->worlds[number], node)) { /* Then somebody is started first. */
            const struct step all = {step->at_ms, TROUBLE_RESTART, STEP_NODE_ALL, step->random};
            trouble_make(swarm, &all);
            (void)world_act(&swarm->worlds[number], node);
        }
    }
}

void swarm_run(struct swarm *swarm, const struct schedule *schedule,
               uint8_t trace[MESHSYNC_DIGEST_BYTES])
{
    struct swarm_failing failing = {schedule, "build/tests/sim/test_sim"};
    swarm_open(swarm, schedule, &failing);
    struct world *world = &swarm->worlds[0];
    uint64_t begin_us = meshsync_sim_now_us(world->sim);
    for (uint32_t i = 0; i < schedule->count; i++) {
        uint64_t at_us = begin_us + schedule->steps[i].at_ms * 1000;
        uint64_t now_us = meshsync_sim_now_us(world->sim);
        if (at_us >= now_us + 1000) {
            world_run(world, (at_us - now_us) / 1000);
        }
        swarm_step(swarm, &schedule->steps[i]);
    }
    msy_prng_init(&world->draws, schedule->seed);
    trouble_end(swarm);
    uint64_t quiet_us = meshsync_sim_now_us(world->sim);
    world_settle(world, swarm->settle_ms);
    swarm->settle_ms = (meshsync_sim_now_us(world->sim) - quiet_us) / 1000;
    swarm->run_ms = (quiet_us - begin_us) / 1000;
    swarm->ops = 0;
    for (uint32_t i = 0; i < swarm->worlds_count; i++) {
        world_finish(&swarm->worlds[i]);
        swarm->ops += swarm->worlds[i].counts.ops;
    }
    reached_note(swarm);
    meshsync_sim_trace(world->sim, trace);
    for (uint32_t i = swarm->worlds_count; i > 0; i--) {
        world_close(&swarm->worlds[i - 1]);
    }
}
