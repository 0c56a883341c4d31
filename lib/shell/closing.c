/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting and ending the loop's side of a node.
 *
 *    OPEN --close wanted--> CLOSING --links gone, or too late; writer ended--> ENDING
 *                                              ENDING --last handle of libuv gone--> ENDED
 *
 * CLOSING says goodbye and lets the writer finish; ENDING closes the machine and libuv's handles;
 * ENDED frees the node: by the thread that closes it, or here when nobody waits for it.
 */
#include <errno.h>

#include "shell/clock.h"
#include "shell/lan.h"
#include "shell/link.h"
#include "shell/node.h"
#include "shell/watch.h"

/* Others may hand things over, and wake the loop up; or no longer. */
static void net_set_open(struct msy_network *net, bool open, bool awake)
{
    (void)pthread_mutex_lock(&net->lock);
    net->open = open;
    net->awake = awake;
    (void)pthread_mutex_unlock(&net->lock);
}

/* ---- Ending ---- */

static void closing_begin(struct msy_network *net)
{
    struct msy_mesh_event stop = {.type = MSY_MESH_STOP};
    net->phase = MSY_NET_CLOSING;
    net->close_at_ms = msy_clock_mono_ms() + MSY_CLOSE_MS_MAX;
    msy_writer_stop(&net->node->writer);
    msy_listener_close_all(net);
    msy_lan_close(net);
    msy_network_step(net, &stop);
    for (struct msy_link *link = net->links; link != NULL; link = link->next) {
        msy_link_close(link); /* Those that the machine left open. */
    }
    msy_watches_end(net);
}

static void closing_handle_closed(uv_handle_t *handle)
{
    msy_network_handle_gone((struct msy_network *)handle->data);
}

/* Nobody may send to the loop any more; what was handed over last is given back. */
static void closing_end(struct msy_network *net)
{
    msy_network_take_posts(net);
    net_set_open(net, false, false);
    msy_network_take_posts(net);
    msy_listener_close_all(net);
    msy_lan_close(net);
    msy_network_hang_up(net);
    msy_network_cancel_waits(net);
    msy_watches_end(net);
    (void)pthread_mutex_lock(&net->mesh_lock);
    msy_mesh_close(net->mesh);
    net->mesh = NULL;
    (void)pthread_mutex_unlock(&net->mesh_lock);
    net->phase = MSY_NET_ENDING;
    uv_close((uv_handle_t *)&net->timer, closing_handle_closed);
    uv_close((uv_handle_t *)&net->async, closing_handle_closed);
}

void msy_network_closing(struct msy_network *net)
{
    (void)pthread_mutex_lock(&net->lock);
    bool wanted = net->close_wanted;
    bool writer_done = net->writer_done;
    (void)pthread_mutex_unlock(&net->lock);
    if (wanted && net->phase == MSY_NET_OPEN) {
        closing_begin(net);
    }
    if (writer_done && !net->writer_joined) {
        msy_writer_join(&net->node->writer); /* It is at its end: this does not block. */
        net->writer_joined = true;
    }
    bool links_done = net->links == NULL || msy_clock_mono_ms() >= net->close_at_ms;
    if (net->phase == MSY_NET_CLOSING && net->writer_joined && links_done) {
        closing_end(net);
    }
}

void msy_network_handle_gone(struct msy_network *net)
{
    net->handles -= 1;
    if (net->handles > 0 || net->phase != MSY_NET_ENDING) {
        return;
    }
    net->phase = MSY_NET_ENDED;
    if (net->mode == MSY_NET_LOOP && net->node->close_async) {
        msy_node_finish(net->node); /* The loop has nothing of ours any more. */
    }
}

/* ---- The thread of our own ---- */

static void *net_main(void *user)
{
    struct msy_network *net = (struct msy_network *)user;
    atomic_store(&net->self, pthread_self());
    (void)uv_run(net->loop, UV_RUN_DEFAULT); /* Returns when the last handle is gone. */
    (void)uv_loop_close(net->loop);
    if (net->node->close_async) {
        msy_node_finish(net->node); /* Nobody joins this thread. */
    }
    return NULL;
}

static void net_on_async(uv_async_t *async)
{
    msy_network_settle((struct msy_network *)async->data);
}

/* ---- Starting ---- */

static meshsync_status net_start_loop(struct msy_network *net, enum msy_net_mode mode,
                                      struct uv_loop_s *loop, meshsync_error *error)
{
    int result = 0;
    net->loop = loop;
    if (mode != MSY_NET_LOOP) {
        net->loop = &net->own_loop;
        result = uv_loop_init(net->loop);
        if (result != 0) {
            return msy_fail(error, MESHSYNC_E_RESOURCE, "loop: %s", uv_strerror(result));
        }
    }
    result = uv_async_init(net->loop, &net->async, net_on_async);
    if (result != 0) {
        if (mode != MSY_NET_LOOP) {
            (void)uv_loop_close(net->loop);
        }
        return msy_fail(error, MESHSYNC_E_RESOURCE, "loop: %s", uv_strerror(result));
    }
    (void)uv_timer_init(net->loop, &net->timer); /* Never fails. */
    net->async.data = net;
    net->timer.data = net;
    net->handles = 2;
    return MESHSYNC_OK;
}

static void net_nothing_closed(uv_handle_t *handle)
{
    (void)handle;
}

/* A thread could not be made: back to before. Only for a loop of our own. */
static void net_stop_loop(struct msy_network *net)
{
    uv_close((uv_handle_t *)&net->timer, net_nothing_closed);
    uv_close((uv_handle_t *)&net->async, net_nothing_closed);
    (void)uv_run(net->loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(net->loop);
    net->handles = 0;
}

/* Addresses of the last run, so that a node that starts again finds its mesh. */
static void net_dial_remembered(struct msy_network *net)
{
    char text[MESHSYNC_ADDRESS_BYTES_MAX];
    for (uint32_t i = 0; msy_remember_peer_at(net->node->remember, i, text); i++) {
        meshsync_error error;
        (void)msy_network_dial(net, text, &error); /* The others may do. */
    }
}

/* The loop, and the thread that turns it. What fails leaves nothing behind. */
static meshsync_status net_start_turning(struct msy_network *net, enum msy_net_mode mode,
                                         struct uv_loop_s *loop, meshsync_error *error)
{
    meshsync_status status = net_start_loop(net, mode, loop, error);
    if (status != MESHSYNC_OK) {
        return status;
    }
    net->mode = mode;
    net_set_open(net, true, true);
    if (mode != MSY_NET_THREAD) {
        atomic_store(&net->self, pthread_self());
        return MESHSYNC_OK;
    }
    status = msy_thread_start(&net->thread, "meshsync-net", false, net_main, net, error);
    if (status != MESHSYNC_OK) {
        net_set_open(net, false, false);
        net->mode = MSY_NET_NONE;
        net_stop_loop(net);
    }
    return status;
}

meshsync_status msy_network_start(struct msy_network *net, enum msy_net_mode mode,
                                  struct uv_loop_s *loop, meshsync_error *error)
{
    net_dial_remembered(net);
    net->link_next = 2;
    net->waits_at_ms = UINT64_MAX;
    net->read_buffer = (uint8_t *)msy_new(&net->node->alloc, MSY_LINK_READ_BYTES);
    if (net->read_buffer == NULL) {
        return msy_fail(error, MESHSYNC_E_NO_MEMORY, "network: no memory");
    }
    net->verified = msy_verified_new(&net->node->alloc, MSY_VERIFIED_SLOTS);
    /* Commits are posted from here on, so that the machine misses none. */
    net_set_open(net, true, false);
    (void)pthread_mutex_lock(&net->mesh_lock);
    meshsync_status status = msy_network_open_mesh(net, error);
    (void)pthread_mutex_unlock(&net->mesh_lock);
    if (status == MESHSYNC_OK) {
        status = net_start_turning(net, mode, loop, error);
    }
    if (status != MESHSYNC_OK) {
        net_set_open(net, false, false);
        msy_network_drop_posts(net);
        (void)pthread_mutex_lock(&net->mesh_lock);
        msy_mesh_close(net->mesh);
        net->mesh = NULL;
        (void)pthread_mutex_unlock(&net->mesh_lock);
        msy_free(&net->node->alloc, net->read_buffer, MSY_LINK_READ_BYTES);
        net->read_buffer = NULL;
        msy_verified_free(net->verified);
        net->verified = NULL;
        return status;
    }
    atomic_store(&net->started, true);
    msy_network_again(net);
    if (mode == MSY_NET_EXTERNAL) {
        msy_network_process(net); /* libuv looks at what is new only when it is turned. */
    }
    return MESHSYNC_OK;
}

meshsync_status msy_network_init(struct msy_network *net, meshsync_node *node)
{
    memset(net, 0, sizeof *net);
    if (pthread_mutex_init(&net->lock, NULL) != 0) {
        return MESHSYNC_E_RESOURCE;
    }
    if (pthread_mutex_init(&net->mesh_lock, NULL) != 0) {
        (void)pthread_mutex_destroy(&net->lock);
        return MESHSYNC_E_RESOURCE;
    }
    net->node = node;
    msy_mesh_effects_init(&net->effects, &node->alloc);
    return MESHSYNC_OK;
}

void msy_network_fini(struct msy_network *net)
{
    if (net->node == NULL) {
        return; /* It never began. */
    }
    msy_network_take_posts(net); /* Watches of a node that was never started. */
    msy_watches_end(net);
    msy_mesh_effects_fini(&net->effects);
    msy_free(&net->node->alloc, net->read_buffer, MSY_LINK_READ_BYTES);
    msy_verified_free(net->verified);
    msy_free(&net->node->alloc, net->dials, net->dials_cap * sizeof net->dials[0]);
    (void)pthread_mutex_destroy(&net->mesh_lock);
    (void)pthread_mutex_destroy(&net->lock);
    net->node = NULL;
}

bool msy_network_here(const struct msy_network *net)
{
    return pthread_equal(pthread_self(), atomic_load(&net->self));
}

/* ---- Turned by hand ---- */

int msy_network_fd(const struct msy_network *net)
{
    return net->mode == MSY_NET_EXTERNAL ? uv_backend_fd(net->loop) : -1;
}

int msy_network_timeout_ms(const struct msy_network *net)
{
    if (net->mode != MSY_NET_EXTERNAL) {
        return -1;
    }
    uv_update_time(net->loop);
    return uv_backend_timeout(net->loop);
}

void msy_network_process(struct msy_network *net)
{
    for (int round = 0; round < MSY_SETTLE_ROUNDS_MAX; round++) {
        net->armed = false;
        (void)uv_run(net->loop, UV_RUN_NOWAIT);
        if (net->phase == MSY_NET_ENDED) {
            (void)uv_loop_close(net->loop);
            if (net->node->close_async) {
                msy_node_finish(net->node); /* It is gone: not another look at it. */
            }
            return;
        }
        if (!net->armed) {
            return;
        }
    }
    msy_network_again(net);
}
