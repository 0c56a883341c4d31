/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Work that may be shared between threads: a port, which the shell fills. A job is cut into chunks,
 * each of which is done once, by whoever comes to it, in any order; so what a chunk writes is its
 * own, and no result depends on who did it. Without a crew everything is done at the start.
 */
#ifndef MSY_BASE_CREW_H
#define MSY_BASE_CREW_H

#include <stddef.h>
#include <stdint.h>

typedef void (*msy_crew_fn)(void *user, uint32_t chunk);

struct msy_crew {
    /* One job at a time: begins chunks 0 to chunks - 1. What user leads to stays until finish. */
    void (*start)(void *self, msy_crew_fn run, void *user, uint32_t chunks);
    /* Does what is left of it, and waits for what others are at. */
    void (*finish)(void *self);
    void *self;
};

static inline void msy_crew_start(const struct msy_crew *crew, msy_crew_fn run, void *user,
                                  uint32_t chunks)
{
    if (crew != NULL && chunks > 1) {
        crew->start(crew->self, run, user, chunks);
        return;
    }
    for (uint32_t chunk = 0; chunk < chunks; chunk++) {
        run(user, chunk);
    }
}

/* After each start, also after one that did it all at once. */
static inline void msy_crew_finish(const struct msy_crew *crew)
{
    if (crew != NULL) {
        crew->finish(crew->self);
    }
}

#endif
