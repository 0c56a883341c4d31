/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Notices of a node to its event queues: peers that came and went, alarms, and that there was a
 * commit. Each queue has a mailbox: a bounded ring of notices, and a descriptor that is readable
 * while there may be something to fetch.
 */
#ifndef MSY_SHELL_NOTICE_H
#define MSY_SHELL_NOTICE_H

#include <pthread.h>
#include <stdbool.h>

#include <meshsync/queue.h>

#include "base/alloc.h"

enum { MSY_NOTICE_WORDS_BYTES_MAX = 160 };

struct msy_notice {
    int32_t type;   /* enum meshsync_event_type, from PEER_UP on. */
    uint32_t space; /* Local number, SYNCED only. */
    uint64_t unix_ms;
    uint8_t device[MESHSYNC_NODE_ID_BYTES];
    char words[MSY_NOTICE_WORDS_BYTES_MAX]; /* ALARM, PEER_DOWN: zero-terminated. */
};

struct msy_mailbox {
    struct msy_mailbox *next, **link; /* Under the lock of msy_notices, with all below but fd. */
    struct msy_alloc *alloc;
    struct msy_notice *ring; /* Owned. */
    uint32_t first, count, cap;
    bool overflow; /* Notices were dropped since the last OVERFLOW was given. */
    bool commits;  /* Wake up at commits too. */
    int fd;        /* An eventfd; for a reader beside a writer a timer. */
    bool polling;  /* fd is a timer. */
};

struct msy_notices {
    pthread_mutex_t lock; /* Guards the mailboxes. */
    struct msy_mailbox *first;
};

meshsync_status msy_notices_init(struct msy_notices *notices);
void msy_notices_fini(struct msy_notices *notices);
/* polling: the node hears of no commit, so the descriptor comes up by time. */
meshsync_status msy_mailbox_open(struct msy_mailbox *mailbox, struct msy_notices *notices,
                                 struct msy_alloc *alloc, bool commits, bool polling,
                                 meshsync_error *error);
void msy_mailbox_close(struct msy_mailbox *mailbox, struct msy_notices *notices);
/* To all mailboxes. */
void msy_notices_tell(struct msy_notices *notices, const struct msy_notice *notice);
/* Wakes up those that follow commits. */
void msy_notices_committed(struct msy_notices *notices);
/* Takes the oldest notice; false: none. After drops the last one is OVERFLOW. */
bool msy_mailbox_take(struct msy_mailbox *mailbox, struct msy_notices *notices,
                      struct msy_notice *notice);
/* Makes the descriptor readable, or not. */
void msy_mailbox_wake(const struct msy_mailbox *mailbox);
void msy_mailbox_calm(const struct msy_mailbox *mailbox);

#endif
