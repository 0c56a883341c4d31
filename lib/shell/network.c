/* SPDX-License-Identifier: Apache-2.0 */
/* The loop's thread: what comes in is given to the mesh machine, and its effects are performed. */
#include "shell/network.h"

#include <errno.h>
#include <unistd.h>

#include "shell/clock.h"
#include "shell/lan.h"
#include "shell/link.h"
#include "shell/names.h"
#include "shell/node.h"
#include "shell/watch.h"

/* ---- The machine ---- */

static meshsync_status port_is_member(void *user, struct msy_store_txn *txn, uint32_t space,
                                      const uint8_t device[32], bool *has)
{
    return msy_members_has(txn, space, device, user, has);
}

static meshsync_status port_may_join(void *user, struct msy_store_txn *txn, uint32_t space,
                                     const struct msy_join_claim *claim, bool *may)
{
    return msy_members_may_join(txn, space, claim, user, may);
}

static meshsync_status port_digest(void *user, struct msy_store_txn *txn, uint32_t space,
                                   uint8_t digest[32])
{
    meshsync_digest whole = {.size = sizeof whole};
    (void)user;
    meshsync_status status = msy_space_digest(txn, space, &whole);
    memcpy(digest, whole.digest, sizeof whole.digest);
    return status;
}

meshsync_status msy_network_open_mesh(struct msy_network *net, meshsync_error *error)
{
    meshsync_node *node = net->node;
    const struct msy_mesh_options options = {
        .alloc = &node->alloc,
        .store = node->store,
        .identity = node->identity,
        .entropy = node->entropy,
        .log = &node->log,
        .ports = {.is_member = port_is_member,
                  .may_join = port_may_join,
                  .digest = port_digest,
                  .user = net->verified},
        .keepalive_ms = node->options.keepalive_ms,
        .verified = net->verified,
        .retry_ms_max = node->options.retry_ms_max,
        .clock_ahead_ms_max = node->options.clock_ahead_ms_max,
        .rate_bytes_per_s = node->options.send_bytes_per_s,
        .peer_bytes_per_s = node->options.send_peer_bytes_per_s,
        .burst_bytes = node->options.send_burst_bytes,
        .compression = node->options.compression,
    };
    net->mesh_timer_ms = 0;
    return msy_mesh_open(&options, msy_clock_mono_ms(), &net->mesh, error);
}

static void net_submit(struct msy_network *net, const struct msy_mesh_effect *effect)
{
    struct msy_writer *writer = &net->node->writer;
    struct msy_work *work = msy_work_new(net->node);
    meshsync_status status = MESHSYNC_E_NO_MEMORY;
    if (work != NULL) {
        work->submit_id = effect->id;
        work->event.type = MSY_REPLICA_CHANGES;
        work->event.space = effect->space;
        status = msy_buf_append(&work->bytes, effect->bytes.data, effect->bytes.len);
        work->event.bytes = msy_buf_bytes(&work->bytes);
    }
    if (status == MESHSYNC_OK) {
        /* Not refused when the inbox is full: links are no longer read long before. */
        status = msy_writer_put(writer, work, MSY_WRITER_FORCE);
    }
    if (status != MESHSYNC_OK) {
        if (work != NULL) {
            work->release(work);
        }
        msy_network_restart(net); /* Whoever sent it begins anew. */
        return;
    }
    if (!net->paused && msy_writer_pauses(writer)) {
        msy_link_pause(net, true);
    }
}

static void net_peer(struct msy_network *net, const struct msy_mesh_effect *effect)
{
    const struct msy_link *link = msy_link_find(net, effect->link);
    if (effect->status == MESHSYNC_OK && link != NULL && !link->accepted) {
        msy_remember_peer(net->node->remember, link->text);
    }
    msy_node_notice(
        net->node,
        effect->status == MESHSYNC_OK ? MESHSYNC_EVENT_PEER_UP : MESHSYNC_EVENT_PEER_DOWN, 0,
        effect->device, effect->status == MESHSYNC_OK ? NULL : meshsync_strerror(effect->status));
}

static void net_perform(struct msy_network *net, const struct msy_mesh_effect *effect)
{
    meshsync_node *node = net->node;
    struct msy_link *link = msy_link_find(net, effect->link);
    switch (effect->type) {
    case MSY_MESH_DIAL:
        if (!msy_link_dial(net, effect->link, effect->text)) {
            msy_network_restart(net);
        }
        return;
    case MSY_MESH_SEND:
        if (link != NULL) {
            msy_link_send(link, effect->bytes);
        }
        return;
    case MSY_MESH_CLOSE:
        if (link != NULL) {
            msy_link_close(link);
        }
        return;
    case MSY_MESH_SUBMIT: net_submit(net, effect); return;
    case MSY_MESH_PEER: net_peer(net, effect); return;
    case MSY_MESH_SYNCED:
        msy_node_notice(node, MESHSYNC_EVENT_SYNCED, effect->space, effect->device, NULL);
        return;
    case MSY_MESH_ALARM:
        msy_node_notice(node, MESHSYNC_EVENT_ALARM, effect->space, effect->device, effect->text);
        return;
    case MSY_MESH_HELD:
        net->waits_due = true;
        msy_board_raise(&node->board);
        return;
    case MSY_MESH_BEACON_DUE:
        if (net->lan != NULL) {
            net->lan->due = true; /* Not within this step. */
        }
        return;
    case MSY_MESH_BEACON:
        if (net->lan != NULL) {
            msy_lan_send(net->lan, effect->bytes);
        }
        return;
    }
}

/* The writer must not wait for mesh_lock before each batch: it gets a copy. */
static void net_publish_wall(struct msy_network *net)
{
    struct msy_wall wall = {0};
    if (net->mesh != NULL) {
        msy_mesh_get_wall(net->mesh, &wall);
    }
    (void)pthread_mutex_lock(&net->lock);
    net->wall = wall;
    (void)pthread_mutex_unlock(&net->lock);
}

void msy_network_step(struct msy_network *net, struct msy_mesh_event *event)
{
    uint64_t timer_at_ms = UINT64_MAX;
    event->now_ms = msy_clock_mono_ms();
    event->unix_ms = msy_clock_unix_ms();
    (void)pthread_mutex_lock(&net->mesh_lock);
    meshsync_status status = MESHSYNC_E_STATE;
    if (net->mesh != NULL) {
        status = msy_mesh_step(net->mesh, event, &net->effects, &timer_at_ms);
        net->mesh_timer_ms = timer_at_ms;
    }
    (void)pthread_mutex_unlock(&net->mesh_lock);
    net_publish_wall(net);
    for (uint32_t i = 0; i < net->effects.count; i++) {
        net_perform(net, &net->effects.items[i]);
    }
    msy_mesh_effects_reset(&net->effects);
    if (status == MESHSYNC_E_INTERNAL || status == MESHSYNC_E_NO_MEMORY) {
        msy_log_write(&net->node->log, MSY_LOG_ERROR, "network", "beginning anew: %s",
                      meshsync_strerror(status));
        msy_network_restart(net);
    }
}

/* ---- Restarting ---- */

void msy_network_hang_up(struct msy_network *net)
{
    while (net->links != NULL) {
        msy_link_destroy(net->links);
    }
}

/* The machine and its links are gone; what it counted is kept. One that sent changes
 * or got some into the store came further than the last: the next wait is a first one. */
static void net_drop_machine(struct msy_network *net)
{
    struct msy_mesh_stats last;
    msy_network_hang_up(net);
    (void)pthread_mutex_lock(&net->mesh_lock);
    memset(&last, 0, sizeof last);
    if (net->mesh != NULL) {
        msy_mesh_get_stats(net->mesh, &last);
        msy_mesh_close(net->mesh);
        net->mesh = NULL;
    }
    net->base.bytes_in += last.bytes_in;
    net->base.bytes_out += last.bytes_out;
    net->base.changes_out += last.changes_out;
    net->base.handshakes_failed += last.handshakes_failed;
    net->base.alarms += last.alarms;
    (void)pthread_mutex_unlock(&net->mesh_lock);
    if (last.changes_in + last.changes_out != 0 && !net->anew_full) {
        net->anew_wait_ms = 0;
    }
    net_publish_wall(net);
}

/* Waits before the next machine, ever longer. */
static void net_wait(struct msy_network *net, const char *why)
{
    uint64_t wait_ms = net->anew_wait_ms == 0 ? MSY_ANEW_MS_MIN : net->anew_wait_ms * 2;
    net->anew_wait_ms = wait_ms < MSY_ANEW_MS_MAX ? wait_ms : MSY_ANEW_MS_MAX;
    net->anew_until_ms = msy_clock_mono_ms() + net->anew_wait_ms;
    msy_log_write(&net->node->log, MSY_LOG_WARN, "network", "%s: peers again in %llu ms", why,
                  (unsigned long long)net->anew_wait_ms);
}

/* A machine that failed soon after the last one did would dial all its peers for nothing. */
static void net_wait_if_due(struct msy_network *net, bool full)
{
    uint64_t now_ms = msy_clock_mono_ms();
    bool soon = net->anew_at_ms != 0 && now_ms - net->anew_at_ms < MSY_ANEW_MS_MAX;
    if (full) {
        net_wait(net, "the store takes no more");
    } else if (soon) {
        net_wait(net, "failed again");
    } else {
        net->anew_wait_ms = 0;
    }
    net->anew_full = full;
    net->anew_at_ms = now_ms;
}

/* A new machine without links that knows what the last one was told. */
static void net_restart(struct msy_network *net, bool full)
{
    meshsync_error error;
    bool waiting = net->mesh == NULL && msy_clock_mono_ms() < net->anew_until_ms;
    bool failed = net->mesh != NULL;
    net_drop_machine(net); /* Who came while there was none was never heard. */
    if (failed || (full && !waiting)) {
        net_wait_if_due(net, full);
    }
    if (msy_clock_mono_ms() < net->anew_until_ms) {
        net->mesh_timer_ms = net->anew_until_ms; /* Then the loop comes back here. */
        return;
    }
    (void)pthread_mutex_lock(&net->mesh_lock);
    meshsync_status status = msy_network_open_mesh(net, &error);
    (void)pthread_mutex_unlock(&net->mesh_lock);
    if (status != MESHSYNC_OK) {
        msy_log_write(&net->node->log, MSY_LOG_ERROR, "network", "no machine: %s", error.message);
        net->mesh_timer_ms = msy_clock_mono_ms() + MSY_DIAL_BACKOFF_MS_MIN; /* Once more. */
        return;
    }
    msy_network_feed(net);
}

void msy_network_feed(struct msy_network *net)
{
    char text[MESHSYNC_ADDRESS_BYTES_MAX];
    for (uint32_t i = 0;
         net->listeners != NULL && msy_remember_listen_at(net->node->remember, i, text); i++) {
        struct msy_mesh_event event = {.type = MSY_MESH_LISTENING, .text = text};
        msy_network_step(net, &event);
    }
    for (uint32_t i = 0; msy_network_dial_at(net, i, text); i++) {
        struct msy_mesh_event event = {.type = MSY_MESH_PEER_ADD, .text = text};
        msy_network_step(net, &event);
    }
    if (net->lan != NULL) {
        struct msy_mesh_event event = {.type = MSY_MESH_LAN};
        msy_network_step(net, &event);
    }
    net->names_at_ms = 0;
}

/* ---- Settling ---- */

static void net_timers(struct msy_network *net)
{
    uint64_t now_ms = msy_clock_mono_ms();
    if (net->mesh_timer_ms <= now_ms) {
        struct msy_mesh_event event = {.type = MSY_MESH_TICK};
        if (net->mesh == NULL) {
            msy_network_restart(net);
            net->mesh_timer_ms = UINT64_MAX;
        } else {
            msy_network_step(net, &event);
        }
    }
    if (net->waits_at_ms <= now_ms) {
        net->waits_due = true;
    }
    if (net->names_at_ms <= now_ms && net->phase == MSY_NET_OPEN) {
        msy_names_due(net);
    }
    if (net->lan != NULL && net->lan->due) {
        msy_lan_round(net);
    }
}

static void net_on_timer(uv_timer_t *timer)
{
    msy_network_settle((struct msy_network *)timer->data);
}

/* The timer of the loop for whatever comes first. libuv's idea of now may be a little old: a timer
 * that fires too early finds nothing due and is set again. */
static void net_arm_timer(struct msy_network *net)
{
    uint64_t now_ms = msy_clock_mono_ms();
    uint64_t next_ms = net->mesh_timer_ms;
    uint64_t links_ms = msy_link_deadlines(net, now_ms);
    uint64_t listeners_ms = msy_listener_deadlines(net, now_ms);
    next_ms = links_ms < next_ms ? links_ms : next_ms;
    next_ms = listeners_ms < next_ms ? listeners_ms : next_ms;
    next_ms = net->waits_at_ms < next_ms ? net->waits_at_ms : next_ms;
    if (net->phase == MSY_NET_OPEN && net->names_at_ms < next_ms) {
        next_ms = net->names_at_ms;
    }
    if (net->phase == MSY_NET_CLOSING && net->close_at_ms < next_ms) {
        next_ms = net->close_at_ms;
    }
    if (net->dirty != NULL) {
        next_ms = now_ms; /* A deadline just came. */
    }
    if (next_ms == UINT64_MAX) {
        (void)uv_timer_stop(&net->timer);
        return;
    }
    (void)uv_timer_start(&net->timer, net_on_timer, next_ms > now_ms ? next_ms - now_ms : 1, 0);
}

void msy_network_again(struct msy_network *net)
{
    (void)pthread_mutex_lock(&net->lock);
    if (net->awake) {
        (void)uv_async_send(&net->async);
    }
    (void)pthread_mutex_unlock(&net->lock);
}

static void net_settle_links(struct msy_network *net)
{
    struct msy_link *link = net->dirty;
    net->dirty = NULL;
    while (link != NULL) {
        struct msy_link *next = link->dirty_next;
        msy_link_settle(link);
        link = next;
    }
}

/* One round; true when there is more to do. */
static bool net_round(struct msy_network *net)
{
    (void)pthread_mutex_lock(&net->lock);
    bool restart = net->restart;
    bool full = net->full;
    bool committed = net->committed;
    net->restart = false;
    net->full = false;
    net->committed = false;
    (void)pthread_mutex_unlock(&net->lock);
    if (!net->fed) {
        net->fed = true;
        msy_network_feed(net);
    }
    if (committed && net->anew_full) { /* The store takes something again. */
        net->mesh_timer_ms = net->mesh == NULL ? 0 : net->mesh_timer_ms;
        net->anew_full = false;
        net->anew_wait_ms = 0;
        net->anew_until_ms = 0;
        net->anew_at_ms = 0;
    }
    if (restart && net->phase == MSY_NET_OPEN) {
        net_restart(net, full);
    }
    net->watches_due = net->watches_due || committed;
    msy_network_take_posts(net);
    if (net->paused && !msy_writer_still_paused(&net->node->writer)) {
        msy_link_pause(net, false);
    }
    net_timers(net);
    net_settle_links(net);
    if (net->waits_due) {
        msy_network_check_waits(net);
    }
    return net->dirty != NULL || restart || (net->lan != NULL && net->lan->due);
}

void msy_network_settle(struct msy_network *net)
{
    bool more = true;
    if (net->settling || net->phase >= MSY_NET_ENDING) {
        return;
    }
    net->settling = true;
    for (int round = 0; round < MSY_SETTLE_ROUNDS_MAX && more; round++) {
        more = net_round(net);
    }
    if (net->phase == MSY_NET_OPEN && msy_watches_run(net)) {
        more = true;
    }
    msy_network_closing(net);
    net->settling = false;
    if (net->phase >= MSY_NET_ENDING) {
        return;
    }
    net_arm_timer(net);
    if (more) {
        msy_network_again(net);
    }
}
