/* SPDX-License-Identifier: Apache-2.0 */
/* Threads of the node's own: all signals that a host may handle are blocked in them. */
#ifndef MSY_SHELL_THREAD_H
#define MSY_SHELL_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <meshsync/status.h>

/* name is at most 15 bytes long. E_RESOURCE. */
meshsync_status msy_thread_start(pthread_t *thread, const char *name, bool detached,
                                 void *(*run)(void *user), void *user, meshsync_error *error);
/* A condition that waits on the monotonic clock. */
meshsync_status msy_cond_init(pthread_cond_t *cond);

/* A mark of the process that made it, which a forked child does not see: a page that the system
 * wipes in the child, so that looking costs no system call. */
struct msy_fork_mark {
    const volatile uint32_t *page; /* NULL: the system knows no such pages; pid decides. */
    int32_t pid;
};
void msy_fork_mark_init(struct msy_fork_mark *mark);
void msy_fork_mark_fini(struct msy_fork_mark *mark);
bool msy_fork_mark_here(const struct msy_fork_mark *mark);

#endif
