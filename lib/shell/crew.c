/* SPDX-License-Identifier: Apache-2.0 */
#include "shell/crew.h"

#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "shell/thread.h"

static void crew_take(struct msy_crew_thread *crew, msy_crew_fn run, void *user, uint32_t chunks)
{
    for (;;) {
        uint32_t chunk = __atomic_fetch_add(&crew->next, 1, __ATOMIC_RELAXED);
        if (chunk >= chunks) {
            return;
        }
        run(user, chunk);
    }
}

static void *crew_main(void *of)
{
    struct msy_crew_thread *crew = (struct msy_crew_thread *)of;
    (void)pthread_mutex_lock(&crew->lock);
    while (!crew->stopping) {
        if (!crew->open) {
            (void)pthread_cond_wait(&crew->wake, &crew->lock);
            continue;
        }
        msy_crew_fn run = crew->run;
        void *user = crew->user;
        uint32_t chunks = crew->chunks;
        crew->busy = true;
        (void)pthread_mutex_unlock(&crew->lock);
        crew_take(crew, run, user, chunks);
        (void)pthread_mutex_lock(&crew->lock);
        crew->open = false; /* Nothing is left to be taken. */
        crew->busy = false;
        (void)pthread_cond_signal(&crew->idle);
    }
    (void)pthread_mutex_unlock(&crew->lock);
    return NULL;
}

/* Two threads on one processor would only wait for each other. */
static void crew_begin(struct msy_crew_thread *crew)
{
    if (crew->running || crew->refused) {
        return;
    }
    crew->running =
        sysconf(_SC_NPROCESSORS_ONLN) > 1 && msy_thread_start(&crew->thread, "meshsync-hash", false,
                                                              crew_main, crew, NULL) == MESHSYNC_OK;
    crew->refused = !crew->running;
}

static void crew_start(void *self, msy_crew_fn run, void *user, uint32_t chunks)
{
    struct msy_crew_thread *crew = (struct msy_crew_thread *)self;
    MSY_ASSERT(!crew->working);
    crew_begin(crew);
    crew->working = true;
    (void)pthread_mutex_lock(&crew->lock);
    crew->run = run;
    crew->user = user;
    crew->chunks = chunks;
    __atomic_store_n(&crew->next, 0, __ATOMIC_RELAXED);
    crew->open = crew->running;
    (void)pthread_cond_signal(&crew->wake);
    (void)pthread_mutex_unlock(&crew->lock);
}

/* A helper that the system has not let run yet is not waited for: it finds the job closed. */
static void crew_finish(void *self)
{
    struct msy_crew_thread *crew = (struct msy_crew_thread *)self;
    if (!crew->working) {
        return;
    }
    crew_take(crew, crew->run, crew->user, crew->chunks);
    (void)pthread_mutex_lock(&crew->lock);
    crew->open = false;
    while (crew->busy) {
        (void)pthread_cond_wait(&crew->idle, &crew->lock);
    }
    (void)pthread_mutex_unlock(&crew->lock);
    crew->working = false;
}

meshsync_status msy_crew_init(struct msy_crew_thread *crew, meshsync_error *error)
{
    memset(crew, 0, sizeof *crew);
    if (pthread_mutex_init(&crew->lock, NULL) != 0) {
        return msy_fail(error, MESHSYNC_E_RESOURCE, "helper: no mutex");
    }
    meshsync_status status = msy_cond_init(&crew->wake);
    if (status == MESHSYNC_OK) {
        status = msy_cond_init(&crew->idle);
        if (status != MESHSYNC_OK) {
            (void)pthread_cond_destroy(&crew->wake);
        }
    }
    if (status != MESHSYNC_OK) {
        (void)pthread_mutex_destroy(&crew->lock);
        return msy_fail(error, status, "helper: no condition");
    }
    crew->port = (struct msy_crew){.start = crew_start, .finish = crew_finish, .self = crew};
    return MESHSYNC_OK;
}

void msy_crew_fini(struct msy_crew_thread *crew)
{
    if (crew->port.self == NULL) {
        return;
    }
    if (crew->running) {
        (void)pthread_mutex_lock(&crew->lock);
        crew->stopping = true;
        (void)pthread_cond_signal(&crew->wake);
        (void)pthread_mutex_unlock(&crew->lock);
        (void)pthread_join(crew->thread, NULL);
    }
    (void)pthread_cond_destroy(&crew->idle);
    (void)pthread_cond_destroy(&crew->wake);
    (void)pthread_mutex_destroy(&crew->lock);
    memset(crew, 0, sizeof *crew);
}
