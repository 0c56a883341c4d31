/* SPDX-License-Identifier: Apache-2.0 */
/* The helper of the writer: a second thread for hashing, which begins with the first job that is
 * worth it and sleeps between jobs. */
#ifndef MSY_SHELL_CREW_H
#define MSY_SHELL_CREW_H

#include <pthread.h>
#include <stdbool.h>

#include <meshsync/status.h>

#include "base/crew.h"

struct msy_crew_thread {
    struct msy_crew port; /* What the replica machine is given. */
    pthread_t thread;
    bool running;  /* thread is to be joined. */
    bool refused;  /* There is one processor, or no thread was to be had: it is not tried again. */
    bool working;  /* Between start and finish. */
    uint32_t next; /* Chunk that nobody has taken. Atomic. */

    pthread_mutex_t lock; /* Guards the rest. */
    pthread_cond_t wake;  /* There is a job, or the end. */
    pthread_cond_t idle;  /* The helper has left the job. */
    msy_crew_fn run;
    void *user;
    uint32_t chunks;
    bool open; /* The helper may join the job. */
    bool busy; /* It is at it. */
    bool stopping;
};

meshsync_status msy_crew_init(struct msy_crew_thread *crew, meshsync_error *error);
/* Ends the thread; no job may be under way. Does nothing to one whose init failed or never was, if
 * it is zeroed. */
void msy_crew_fini(struct msy_crew_thread *crew);

#endif
