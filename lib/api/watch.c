/* SPDX-License-Identifier: Apache-2.0 */
/* The change feed, pulled and by callback. */
#include "shell/watch.h"

#include "api/enter.h"
#include "api/feed.h"
#include "shell/clock.h"

meshsync_status msy_feed_begin(meshsync_space *space, const meshsync_feed_options *options,
                               struct msy_feed_reader *reader, meshsync_error *error)
{
    meshsync_feed_options whole;
    struct msy_store_txn *txn = NULL;
    meshsync_status status = MESHSYNC_OK;
    if (options != NULL) {
        status = msy_take_sized(&whole, sizeof whole, options, options->size, error);
        options = &whole;
    }
    if (status == MESHSYNC_OK) {
        status = msy_node_begin_read(space->node, &txn, error);
    }
    if (status != MESHSYNC_OK) {
        return status;
    }
    status = msy_feed_init(reader, &space->node->alloc, txn, space->number, options, error);
    msy_node_end_read(txn);
    if (status != MESHSYNC_OK) {
        msy_feed_fini(reader);
    }
    return status;
}

meshsync_status msy_feed_try(meshsync_space *space, struct msy_feed_reader *reader,
                             meshsync_event *event, meshsync_error *error)
{
    struct msy_store_txn *txn = NULL;
    meshsync_status status = msy_node_begin_read(space->node, &txn, error);
    if (status != MESHSYNC_OK) {
        return status;
    }
    status = msy_feed_read(reader, txn, event, error);
    msy_node_end_read(txn);
    if (status == MESHSYNC_OK) {
        event->space = space;
    }
    return status;
}

struct meshsync_feed {
    struct msy_owned owned;
    meshsync_space *space; /* Lent. */
    struct msy_feed_reader reader;
};

static void feed_release(struct msy_owned *owned)
{
    meshsync_feed *feed = (meshsync_feed *)(void *)owned; /* Its first member. */
    struct msy_alloc *alloc = &feed->space->node->alloc;
    msy_feed_fini(&feed->reader);
    msy_free(alloc, feed, sizeof *feed);
}

meshsync_status meshsync_feed_open(meshsync_space *space, const meshsync_feed_options *options,
                                   meshsync_feed **feed, meshsync_error *error)
{
    meshsync_status status = msy_enter_space(space, error);
    *feed = NULL;
    if (status != MESHSYNC_OK) {
        return status;
    }
    meshsync_feed *made = (meshsync_feed *)msy_new(&space->node->alloc, sizeof *made);
    if (made == NULL) {
        return msy_fail(error, MESHSYNC_E_NO_MEMORY, "no memory for the feed");
    }
    made->space = space;
    made->owned.release = feed_release;
    status = msy_feed_begin(space, options, &made->reader, error);
    if (status != MESHSYNC_OK) {
        msy_free(&space->node->alloc, made, sizeof *made);
        return status;
    }
    msy_node_own(space->node, &made->owned);
    *feed = made;
    return MESHSYNC_OK;
}

static meshsync_status feed_wait(meshsync_feed *feed, uint64_t deadline_ms, meshsync_event *event,
                                 meshsync_error *error)
{
    meshsync_node *node = feed->space->node;
    for (;;) {
        uint64_t version = msy_board_version(&node->board);
        uint64_t until_ms = deadline_ms;
        meshsync_status status = msy_feed_try(feed->space, &feed->reader, event, error);
        if (status != MESHSYNC_E_END) {
            return status;
        }
        if (msy_clock_mono_ms() >= deadline_ms) {
            return msy_fail(error, MESHSYNC_E_TIMEOUT, "no event came in time");
        }
        if (node->read_only) {
            uint64_t soon_ms = msy_clock_after(msy_clock_mono_ms(), MSY_READER_POLL_MS);
            until_ms = soon_ms < deadline_ms ? soon_ms : deadline_ms;
        }
        if (msy_board_wait(&node->board, version, until_ms) == MESHSYNC_E_CANCELLED) {
            return msy_fail(error, MESHSYNC_E_CANCELLED, "the node is closing");
        }
    }
}

meshsync_status meshsync_feed_next(meshsync_feed *feed, uint64_t timeout_ms,
                                   meshsync_event *event, meshsync_error *error)
{
    if (feed == NULL || event == NULL) {
        return msy_fail(error, MESHSYNC_E_INVALID, "the feed or the event is NULL");
    }
    meshsync_status status = msy_enter_space(feed->space, error);
    if (status == MESHSYNC_OK && timeout_ms > 0) {
        status = msy_node_may_block(feed->space->node, true, error);
    }
    if (status == MESHSYNC_OK) {
        status = msy_board_enter(&feed->space->node->board);
        if (status != MESHSYNC_OK) {
            (void)msy_fail(error, status, "the node is closing");
        }
    }
    if (status != MESHSYNC_OK) {
        return status;
    }
    status = feed_wait(feed, msy_clock_after(msy_clock_mono_ms(), timeout_ms), event, error);
    msy_board_leave(&feed->space->node->board);
    return status;
}

void meshsync_feed_close(meshsync_feed *feed)
{
    if (feed != NULL && msy_node_check(feed->space->node, NULL) == MESHSYNC_OK) {
        msy_node_disown(feed->space->node, &feed->owned);
        feed_release(&feed->owned);
    }
}

meshsync_status meshsync_watch_start(meshsync_space *space, const meshsync_feed_options *options,
                                     meshsync_event_fn callback, void *user,
                                     meshsync_watch **watch, meshsync_error *error)
{
    meshsync_status status = msy_enter_space(space, error);
    *watch = NULL;
    if (status == MESHSYNC_OK && callback == NULL) {
        status = msy_fail(error, MESHSYNC_E_INVALID, "the callback is NULL");
    }
    if (status != MESHSYNC_OK) {
        return status;
    }
    struct meshsync_watch *made =
        (struct meshsync_watch *)msy_new(&space->node->alloc, sizeof *made);
    if (made == NULL) {
        return msy_fail(error, MESHSYNC_E_NO_MEMORY, "no memory for the watch");
    }
    made->space = space;
    made->callback = callback;
    made->user = user;
    status = msy_feed_begin(space, options, &made->reader, error);
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
