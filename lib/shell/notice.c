/* SPDX-License-Identifier: Apache-2.0 */
#include "shell/notice.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/error.h"
#include "shell/bounds.h"
#include "shell/clock.h"

enum { NOTICE_RING_FIRST = 16 };

meshsync_status msy_notices_init(struct msy_notices *notices)
{
    notices->first = NULL;
    return pthread_mutex_init(&notices->lock, NULL) == 0 ? MESHSYNC_OK : MESHSYNC_E_RESOURCE;
}

void msy_notices_fini(struct msy_notices *notices)
{
    (void)pthread_mutex_destroy(&notices->lock);
}

static int mailbox_descriptor(bool polling)
{
    if (!polling) {
        return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    }
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    const struct timespec every = {.tv_nsec = (long)MSY_READER_POLL_MS * 1000000};
    const struct itimerspec times = {.it_interval = every, .it_value = every};
    if (fd >= 0 && timerfd_settime(fd, 0, &times, NULL) != 0) {
        (void)close(fd);
        fd = -1;
    }
    return fd;
}

meshsync_status msy_mailbox_open(struct msy_mailbox *mailbox, struct msy_notices *notices,
                                 struct msy_alloc *alloc, bool commits, bool polling,
                                 meshsync_error *error)
{
    memset(mailbox, 0, sizeof *mailbox);
    mailbox->alloc = alloc;
    mailbox->commits = commits;
    mailbox->polling = polling;
    mailbox->fd = mailbox_descriptor(polling);
    if (mailbox->fd < 0) {
        return msy_fail_errno(error, MESHSYNC_E_RESOURCE, errno, "queue: no descriptor");
    }
    (void)pthread_mutex_lock(&notices->lock);
    mailbox->next = notices->first;
    mailbox->link = &notices->first;
    if (notices->first != NULL) {
        notices->first->link = &mailbox->next;
    }
    notices->first = mailbox;
    (void)pthread_mutex_unlock(&notices->lock);
    return MESHSYNC_OK;
}

void msy_mailbox_close(struct msy_mailbox *mailbox, struct msy_notices *notices)
{
    if (mailbox->fd < 0) {
        return;
    }
    (void)pthread_mutex_lock(&notices->lock);
    *mailbox->link = mailbox->next;
    if (mailbox->next != NULL) {
        mailbox->next->link = mailbox->link;
    }
    (void)pthread_mutex_unlock(&notices->lock);
    (void)close(mailbox->fd);
    mailbox->fd = -1;
    msy_free(mailbox->alloc, mailbox->ring, mailbox->cap * sizeof *mailbox->ring);
    mailbox->ring = NULL;
}

void msy_mailbox_wake(const struct msy_mailbox *mailbox)
{
    const uint64_t one = 1;
    if (!mailbox->polling) {
        ssize_t written = write(mailbox->fd, &one, sizeof one);
        (void)written; /* It fails only when the counter is full: then it is readable already. */
    }
}

void msy_mailbox_calm(const struct msy_mailbox *mailbox)
{
    uint64_t count = 0;
    ssize_t got = read(mailbox->fd, &count, sizeof count);
    (void)got; /* It fails when it was not readable. */
}

/* Makes room for one notice more. After it there is a ring; that its size is not zero is asked
 * where it divides, because the analyzer cannot see it. */
static bool mailbox_room(struct msy_mailbox *mailbox)
{
    if (mailbox->count < mailbox->cap) {
        return true;
    }
    if (mailbox->cap >= MESHSYNC_QUEUE_EVENTS_MAX) {
        return false;
    }
    uint32_t cap = mailbox->cap == 0 ? NOTICE_RING_FIRST : mailbox->cap * 2;
    struct msy_notice *grown =
        (struct msy_notice *)msy_new_array(mailbox->alloc, cap, sizeof *grown);
    if (grown == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < mailbox->count && mailbox->cap > 0; i++) {
        grown[i] = mailbox->ring[(mailbox->first + i) % mailbox->cap];
    }
    msy_free(mailbox->alloc, mailbox->ring, mailbox->cap * sizeof *mailbox->ring);
    mailbox->ring = grown;
    mailbox->first = 0;
    mailbox->cap = cap;
    return true;
}

void msy_notices_tell(struct msy_notices *notices, const struct msy_notice *notice)
{
    (void)pthread_mutex_lock(&notices->lock);
    for (struct msy_mailbox *at = notices->first; at != NULL; at = at->next) {
        if (!at->overflow && mailbox_room(at) && at->cap > 0) {
            at->ring[(at->first + at->count) % at->cap] = *notice;
            at->count += 1;
        } else {
            at->overflow = true; /* All newer ones are dropped until it was told. */
        }
        msy_mailbox_wake(at);
    }
    (void)pthread_mutex_unlock(&notices->lock);
}

void msy_notices_committed(struct msy_notices *notices)
{
    (void)pthread_mutex_lock(&notices->lock);
    for (struct msy_mailbox *at = notices->first; at != NULL; at = at->next) {
        if (at->commits) {
            msy_mailbox_wake(at);
        }
    }
    (void)pthread_mutex_unlock(&notices->lock);
}

bool msy_mailbox_take(struct msy_mailbox *mailbox, struct msy_notices *notices,
                      struct msy_notice *notice)
{
    bool got = false;
    (void)pthread_mutex_lock(&notices->lock);
    if (mailbox->count > 0) {
        *notice = mailbox->ring[mailbox->first];
        mailbox->first = (mailbox->first + 1) % mailbox->cap;
        mailbox->count -= 1;
        got = true;
    } else if (mailbox->overflow) {
        memset(notice, 0, sizeof *notice);
        notice->type = MESHSYNC_EVENT_OVERFLOW;
        notice->unix_ms = msy_clock_unix_ms();
        mailbox->overflow = false;
        got = true;
    }
    (void)pthread_mutex_unlock(&notices->lock);
    return got;
}
