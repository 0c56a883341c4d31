/* SPDX-License-Identifier: Apache-2.0 */
/* The change feed: pulled by the caller, or given to a callback by the network's thread. */
#include "shell/watch.h"

#include <string.h>

#include "api/check.h"
#include "api/feed.h"
#include "shell/clock.h"
#include "shell/wait.h"

/* ---- Opening a reader ---- */

meshsync_status msy_feed_options(const meshsync_feed_options *given, meshsync_feed_options *full,
                                 meshsync_error *error)
{
    memset(full, 0, sizeof *full);
    full->size = sizeof *full;
    if (given == NULL) {
        return MESHSYNC_OK;
    }
    meshsync_status status = msy_check_read_sized(given, full, sizeof *full, "feed options", error);
    if (status == MESHSYNC_OK && full->from.len > MESHSYNC_CURSOR_BYTES_MAX) {
        status = msy_fail(error, MESHSYNC_E_INVALID, "feed options: a cursor of %u bytes",
                          (unsigned)full->from.len);
    }
    if (status == MESHSYNC_OK && full->collection != NULL) {
        status = msy_check_name(full->collection, "name of the collection", error);
    }
    if (status == MESHSYNC_OK && (full->from_now < 0 || full->from_now > 1)) {
        status = msy_fail(error, MESHSYNC_E_INVALID, "feed options: from_now is %d, not 0 or 1",
                          (int)full->from_now);
    }
    if (status == MESHSYNC_OK && (full->control < 0 || full->control > 1)) {
        status = msy_fail(error, MESHSYNC_E_INVALID, "feed options: control is %d, not 0 or 1",
                          (int)full->control);
    }
    return status;
}

meshsync_status msy_feed_start(struct msy_feed_reader *reader, meshsync_space *space,
                               const meshsync_feed_options *options, meshsync_error *error)
{
    meshsync_feed_options full;
    struct msy_store_txn *txn = NULL;
    meshsync_error words;
    meshsync_status status = msy_feed_options(options, &full, error);
    if (status == MESHSYNC_OK) {
        status = msy_node_begin_read(space->node, &txn, error);
    }
    if (status != MESHSYNC_OK) {
        return status;
    }
    status = msy_feed_init(reader, &space->node->alloc, txn, space->number, &full,
                           msy_check_words(&words));
    msy_node_end_read(txn);
    if (status != MESHSYNC_OK) {
        msy_feed_fini(reader); /* Also what it had begun with. */
    }
    return msy_check_said(status, &words, "opening the feed", error);
}

meshsync_status msy_feed_step(struct msy_feed_reader *reader, meshsync_space *space,
                              meshsync_event *event, meshsync_error *error)
{
    struct msy_store_txn *txn = NULL;
    meshsync_error words;
    meshsync_status status = msy_node_begin_read(space->node, &txn, error);
    if (status == MESHSYNC_OK) {
        memset(event, 0, sizeof *event);
        event->size = sizeof *event;
        status = msy_feed_read(reader, txn, event, msy_check_words(&words));
        status = msy_check_said(status, &words, "reading the feed", error);
        msy_node_end_read(txn); /* What the event lends is the reader's own copy. */
        event->space = space;
    }
    return status;
}

/* ---- Feeds ---- */

struct meshsync_feed {
    struct msy_owned owned; /* First. */
    meshsync_space *space;
    struct msy_feed_reader reader;
};

static void feed_release(struct msy_owned *owned)
{
    meshsync_feed *feed = (meshsync_feed *)(void *)owned;
    struct msy_alloc *alloc = &feed->space->node->alloc;
    msy_feed_fini(&feed->reader);
    msy_free(alloc, feed, sizeof *feed);
}

meshsync_status meshsync_feed_open(meshsync_space *space, const meshsync_feed_options *options,
                                   meshsync_feed **feed, meshsync_error *error)
{
    meshsync_status status = msy_check_given(feed, "feed", error);
    if (status != MESHSYNC_OK) {
        return status;
    }
    *feed = NULL;
    status = msy_check_space(space, error);
    if (status != MESHSYNC_OK) {
        return status;
    }
    meshsync_feed *made = (meshsync_feed *)msy_new(&space->node->alloc, sizeof *made);
    if (made == NULL) {
        return msy_fail(error, MESHSYNC_E_NO_MEMORY, "feed: no memory");
    }
    made->space = space;
    made->owned.release = feed_release;
    status = msy_feed_start(&made->reader, space, options, error);
    if (status != MESHSYNC_OK) {
        msy_free(&space->node->alloc, made, sizeof *made);
        return status;
    }
    msy_node_own(space->node, &made->owned);
    *feed = made;
    return MESHSYNC_OK;
}

/* The next event, or, while there is none, waiting for news until the deadline. */
static meshsync_status feed_wait(meshsync_feed *feed, uint64_t deadline_ms, meshsync_event *event,
                                 meshsync_error *error)
{
    meshsync_node *node = feed->space->node;
    for (;;) {
        uint64_t version = msy_board_version(&node->board);
        meshsync_status status = msy_feed_step(&feed->reader, feed->space, event, error);
        if (status != MESHSYNC_E_END) {
            return status;
        }
        status = msy_wait_news(node, version, deadline_ms);
        if (status != MESHSYNC_OK) {
            return msy_fail(error, status,
                            status == MESHSYNC_E_TIMEOUT ? "no event came in time"
                                                         : "the node is closing");
        }
    }
}

meshsync_status meshsync_feed_next(meshsync_feed *feed, uint64_t timeout_ms, meshsync_event *event,
                                   meshsync_error *error)
{
    meshsync_status status = msy_check_given(feed, "feed", error);
    if (status == MESHSYNC_OK) {
        status = msy_check_space(feed->space, error);
    }
    if (status == MESHSYNC_OK) {
        status = msy_check_given(event, "event", error);
    }
    if (status != MESHSYNC_OK) {
        return status;
    }
    meshsync_node *node = feed->space->node;
    if (timeout_ms == 0) {
        status = msy_feed_step(&feed->reader, feed->space, event, error);
        return status == MESHSYNC_E_END
                   ? msy_fail(error, MESHSYNC_E_TIMEOUT, "there is no event now")
                   : status;
    }
    status = msy_node_may_block(node, false, error);
    if (status == MESHSYNC_OK && msy_board_enter(&node->board) != MESHSYNC_OK) {
        status = msy_fail(error, MESHSYNC_E_CANCELLED, "the node is closing");
    }
    if (status == MESHSYNC_OK) {
        uint64_t deadline_ms = msy_clock_after(msy_clock_mono_ms(), timeout_ms);
        status = feed_wait(feed, deadline_ms, event, error);
        msy_board_leave(&node->board);
    }
    return status;
}

void meshsync_feed_close(meshsync_feed *feed)
{
    if (feed != NULL && msy_node_check(feed->space->node, NULL) == MESHSYNC_OK) {
        msy_node_disown(feed->space->node, &feed->owned);
        feed_release(&feed->owned);
    }
}

/* ---- Watches ---- */

meshsync_status meshsync_watch_start(meshsync_space *space, const meshsync_feed_options *options,
                                     meshsync_event_fn callback, void *user, meshsync_watch **watch,
                                     meshsync_error *error)
{
    meshsync_status status = msy_check_given(watch, "watch", error);
    if (status != MESHSYNC_OK) {
        return status;
    }
    *watch = NULL;
    status = msy_check_space(space, error);
    if (status == MESHSYNC_OK && callback == NULL) {
        status = msy_fail(error, MESHSYNC_E_INVALID, "callback is NULL");
    }
    if (status == MESHSYNC_OK && space->node->read_only) {
        status = msy_fail(error, MESHSYNC_E_READ_ONLY,
                          "a node for reading has no thread for callbacks: use a feed");
    }
    if (status != MESHSYNC_OK) {
        return status;
    }
    meshsync_watch *made = (meshsync_watch *)msy_new(&space->node->alloc, sizeof *made);
    if (made == NULL) {
        return msy_fail(error, MESHSYNC_E_NO_MEMORY, "watch: no memory");
    }
    made->space = space;
    made->callback = callback;
    made->user = user;
    status = msy_feed_start(&made->reader, space, options, error);
    if (status != MESHSYNC_OK) {
        msy_free(&space->node->alloc, made, sizeof *made);
        return status;
    }
    msy_watch_add(&space->node->network, made);
    *watch = made;
    return MESHSYNC_OK;
}

void meshsync_watch_stop(meshsync_watch *watch)
{
    if (watch != NULL && msy_node_check(watch->space->node, NULL) == MESHSYNC_OK) {
        msy_watch_stop(watch);
    }
}
