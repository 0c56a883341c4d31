/* SPDX-License-Identifier: Apache-2.0 */
#include "shell/thread.h"

#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"

enum { FORK_PAGE_BYTES = 4096, FORK_MARK = 0x6d657368 };

/* Every signal but those that a fault of the thread itself raises. */
static void thread_signals(sigset_t *set)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT};
    (void)sigfillset(set);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        (void)sigdelset(set, faults[i]);
    }
}

meshsync_status msy_thread_start(pthread_t *thread, const char *name, bool detached,
                                 void *(*run)(void *user), void *user, meshsync_error *error)
{
    pthread_attr_t attributes;
    sigset_t blocked;
    int result = pthread_attr_init(&attributes);
    if (result != 0) {
        return msy_fail_errno(error, MESHSYNC_E_RESOURCE, result, "thread %s", name);
    }
    thread_signals(&blocked);
    /* Set before it runs: the mask of the caller is never touched. */
    result = pthread_attr_setsigmask_np(&attributes, &blocked);
    if (result == 0 && detached) {
        result = pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    }
    if (result == 0) {
        result = pthread_create(thread, &attributes, run, user);
    }
    (void)pthread_attr_destroy(&attributes);
    if (result != 0) {
        return msy_fail_errno(error, MESHSYNC_E_RESOURCE, result, "thread %s", name);
    }
    if (!detached) {
        (void)pthread_setname_np(*thread, name); /* For debuggers only. */
    }
    return MESHSYNC_OK;
}

meshsync_status msy_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attributes;
    if (pthread_condattr_init(&attributes) != 0) {
        return MESHSYNC_E_RESOURCE;
    }
    int result = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    if (result == 0) {
        result = pthread_cond_init(cond, &attributes);
    }
    (void)pthread_condattr_destroy(&attributes);
    return result == 0 ? MESHSYNC_OK : MESHSYNC_E_RESOURCE;
}

void msy_fork_mark_init(struct msy_fork_mark *mark)
{
    mark->page = NULL;
    mark->pid = (int32_t)getpid();
    void *page =
        mmap(NULL, FORK_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) {
        return;
    }
    if (madvise(page, FORK_PAGE_BYTES, MADV_WIPEONFORK) != 0) {
        (void)munmap(page, FORK_PAGE_BYTES);
        return;
    }
    *(volatile uint32_t *)page = FORK_MARK;
    mark->page = (const volatile uint32_t *)page;
}

void msy_fork_mark_fini(struct msy_fork_mark *mark)
{
    if (mark->page != NULL) {
        (void)munmap((void *)(uintptr_t)mark->page, FORK_PAGE_BYTES);
        mark->page = NULL;
    }
}

bool msy_fork_mark_here(const struct msy_fork_mark *mark)
{
    return mark->page != NULL ? *mark->page == FORK_MARK : mark->pid == (int32_t)getpid();
}
