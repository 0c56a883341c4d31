/* SPDX-License-Identifier: Apache-2.0 */
/* Watches: feeds that the loop's thread reads for the application, a portion each turn. */
#ifndef MSY_SHELL_WATCH_H
#define MSY_SHELL_WATCH_H

#include <stdatomic.h>

#include "replica/read.h"
#include "shell/node.h"

struct meshsync_watch {
    struct meshsync_watch *next;
    meshsync_space *space; /* Lent. */
    struct msy_feed_reader reader;
    meshsync_event_fn callback;
    void *user;
    _Atomic bool stopping; /* No more events but END. */
    bool due;              /* There may be something to read. */
};

/* Hands a watch over to the loop's thread; before the network is started it waits. */
void msy_watch_add(struct msy_network *net, struct meshsync_watch *watch);
void msy_watch_stop(struct meshsync_watch *watch);
/* On the loop's thread. */
void msy_watches_adopt(struct msy_network *net, struct meshsync_watch *watches);
/* One portion of each; true when there is more. */
bool msy_watches_run(struct msy_network *net);
/* Ends all, giving each its last event. */
void msy_watches_end(struct msy_network *net);

#endif
