/* SPDX-License-Identifier: Apache-2.0 */
#include "shell/watch.h"

void msy_watch_add(struct msy_network *net, struct meshsync_watch *watch)
{
    watch->due = true;
    (void)pthread_mutex_lock(&net->lock);
    watch->next = net->watches_new;
    net->watches_new = watch;
    if (net->awake) {
        (void)uv_async_send(&net->async);
    }
    (void)pthread_mutex_unlock(&net->lock);
}

void msy_watch_stop(struct meshsync_watch *watch)
{
    /* The loop's thread frees it as soon as it sees this. */
    struct msy_network *net = &watch->space->node->network;
    atomic_store(&watch->stopping, true);
    msy_network_committed(net);
}

void msy_watches_adopt(struct msy_network *net, struct meshsync_watch *watches)
{
    while (watches != NULL) {
        struct meshsync_watch *next = watches->next;
        watches->next = net->watches;
        net->watches = watches;
        net->watches_due = true;
        watches = next;
    }
}

static void watch_tell(struct msy_network *net, struct meshsync_watch *watch,
                       const meshsync_event *event)
{
    net->in_callback = true;
    watch->callback(watch->user, net->node, event);
    net->in_callback = false;
}

static void watch_end(struct msy_network *net, struct meshsync_watch *watch)
{
    meshsync_event event = {
        .size = sizeof event, .space = watch->space, .type = MESHSYNC_EVENT_END};
    watch_tell(net, watch, &event);
    msy_feed_fini(&watch->reader);
    msy_free(&net->node->alloc, watch, sizeof *watch);
}

/* Gives one portion; sets due when there is more. What the reader lends outlives the transaction,
 * which therefore is not held while the application looks at it. */
static void watch_run(struct msy_network *net, struct meshsync_watch *watch)
{
    meshsync_status status = MESHSYNC_OK;
    watch->due = false;
    for (uint32_t i = 0; status == MESHSYNC_OK && !atomic_load(&watch->stopping); i++) {
        struct msy_store_txn *txn = NULL;
        meshsync_event event = {.size = sizeof event};
        meshsync_error error;
        if (i == MSY_WATCH_EVENTS_MAX) {
            watch->due = true;
            return;
        }
        status = msy_node_begin_read(net->node, &txn, &error);
        if (status == MESHSYNC_OK) {
            status = msy_feed_read(&watch->reader, txn, &event, &error);
            msy_node_end_read(txn);
        }
        if (status == MESHSYNC_OK) {
            event.space = watch->space;
            watch_tell(net, watch, &event);
        } else if (status != MESHSYNC_E_END) {
            msy_log_write(&net->node->log, MSY_LOG_ERROR, "watch", "%s", error.message);
            msy_node_notice(net->node, MESHSYNC_EVENT_ALARM, watch->space->number, NULL,
                            "a watch ended: the log could not be read");
            atomic_store(&watch->stopping, true);
        }
    }
}

bool msy_watches_run(struct msy_network *net)
{
    bool all = net->watches_due;
    bool more = false;
    struct meshsync_watch **at = &net->watches;
    net->watches_due = false;
    while (*at != NULL) {
        struct meshsync_watch *watch = *at;
        if (all || watch->due) {
            watch_run(net, watch);
        }
        if (atomic_load(&watch->stopping)) {
            *at = watch->next;
            watch_end(net, watch);
        } else {
            more = more || watch->due;
            at = &watch->next;
        }
    }
    return more;
}

void msy_watches_end(struct msy_network *net)
{
    while (net->watches != NULL) {
        struct meshsync_watch *watch = net->watches;
        net->watches = watch->next;
        watch_end(net, watch);
    }
}
