/* SPDX-License-Identifier: Apache-2.0 */
/* What other threads ask of the network. */
#include <errno.h>
#include <netinet/in.h>
#include <unistd.h>

#include "shell/clock.h"
#include "shell/lan.h"
#include "shell/link.h"
#include "shell/node.h"
#include "shell/watch.h"

/* ---- Posts ---- */

static struct msy_post *post_new(struct msy_network *net, const struct msy_mesh_event *event)
{
    size_t text_size = event->text != NULL ? strlen(event->text) + 1 : 0;
    size_t size = sizeof(struct msy_post) + text_size;
    struct msy_post *post = (struct msy_post *)msy_new(&net->node->alloc, size);
    if (post != NULL) {
        post->event = *event;
        post->listen_fd = -1;
        post->size = size;
        if (text_size > 0) {
            memcpy(post->text, event->text, text_size);
            post->event.text = post->text;
        }
    }
    return post;
}

/* Under the lock. */
static void inbox_wake(struct msy_network *net)
{
    if (net->awake) {
        (void)uv_async_send(&net->async);
    }
}

/* Under the lock. */
static void inbox_append(struct msy_network *net, struct msy_post *post)
{
    if (net->posts_first == NULL) {
        net->posts_first = post;
    } else {
        net->posts_tail->next = post;
    }
    net->posts_tail = post;
    inbox_wake(net);
}

/* Two commits in a row are one to the machine. Under the lock. */
static bool inbox_joins(struct msy_network *net, const struct msy_mesh_event *event)
{
    if (event->type != MSY_MESH_COMMITTED || net->posts_first == NULL) {
        return false;
    }
    struct msy_post *last = net->posts_tail;
    if (last->event.type != MSY_MESH_COMMITTED || last->event.lsn_last + 1 != event->lsn_first) {
        return false;
    }
    last->event.lsn_last = event->lsn_last;
    return true;
}

void msy_network_tell(struct msy_network *net, const struct msy_mesh_event *event)
{
    (void)pthread_mutex_lock(&net->lock);
    if (net->open && !inbox_joins(net, event)) {
        struct msy_post *post = post_new(net, event);
        if (post != NULL) {
            inbox_append(net, post);
        } else {
            net->restart = true;
            inbox_wake(net);
        }
    }
    (void)pthread_mutex_unlock(&net->lock);
}

void msy_network_take_posts(struct msy_network *net)
{
    (void)pthread_mutex_lock(&net->lock);
    struct msy_post *post = net->posts_first;
    net->posts_first = NULL;
    struct msy_work *waits = net->waits_new;
    net->waits_new = NULL;
    struct meshsync_watch *watches = net->watches_new;
    net->watches_new = NULL;
    (void)pthread_mutex_unlock(&net->lock);
    while (post != NULL) {
        struct msy_post *next = post->next;
        bool good = post->listen_fd < 0 || msy_listener_open(net, post->listen_fd);
        if (!good) {
            msy_node_notice(net->node, MESHSYNC_EVENT_ALARM, 0, NULL,
                            "a listening socket had to be closed: no memory");
        }
        if (post->lan != NULL && !msy_lan_open(net, post->lan)) {
            msy_lan_drop(&net->node->alloc, post->lan);
            msy_node_notice(net->node, MESHSYNC_EVENT_ALARM, 0, NULL,
                            "the local network is not looked at: no memory");
        }
        if (good && post->event.type != 0) {
            msy_network_step(net, &post->event);
        }
        if (post->event.type == MSY_MESH_PEER_ADD) {
            net->names_at_ms = 0; /* It may be a name. */
        }
        msy_free(&net->node->alloc, post, post->size);
        post = next;
    }
    while (waits != NULL) {
        struct msy_work *next = waits->next;
        waits->next = net->waits;
        net->waits = waits;
        net->waits_due = true;
        waits = next;
    }
    msy_watches_adopt(net, watches);
}

void msy_network_drop_posts(struct msy_network *net)
{
    (void)pthread_mutex_lock(&net->lock);
    struct msy_post *post = net->posts_first;
    net->posts_first = NULL;
    (void)pthread_mutex_unlock(&net->lock);
    while (post != NULL) {
        struct msy_post *next = post->next;
        msy_lan_drop(&net->node->alloc, post->lan);
        msy_free(&net->node->alloc, post, post->size);
        post = next;
    }
}

/* One flag is set, and the loop wakes up. */
static void inbox_flag(struct msy_network *net, bool *flag)
{
    (void)pthread_mutex_lock(&net->lock);
    *flag = true;
    inbox_wake(net);
    (void)pthread_mutex_unlock(&net->lock);
}

void msy_network_restart(struct msy_network *net)
{
    inbox_flag(net, &net->restart);
}

void msy_network_restart_full(struct msy_network *net)
{
    (void)pthread_mutex_lock(&net->lock);
    net->restart = true;
    net->full = true;
    inbox_wake(net);
    (void)pthread_mutex_unlock(&net->lock);
}

void msy_network_committed(struct msy_network *net)
{
    inbox_flag(net, &net->committed);
}

void msy_network_resume(struct msy_network *net)
{
    msy_network_again(net);
}

void msy_network_close(struct msy_network *net)
{
    inbox_flag(net, &net->close_wanted);
}

void msy_network_writer_done(struct msy_network *net)
{
    inbox_flag(net, &net->writer_done);
}

bool msy_network_await(struct msy_network *net, struct msy_work *work)
{
    (void)pthread_mutex_lock(&net->lock);
    bool taken = net->open && net->waits_count < MSY_WAITS_MAX;
    if (taken) {
        work->next = net->waits_new;
        net->waits_new = work;
        net->waits_count += 1;
        inbox_wake(net);
    }
    (void)pthread_mutex_unlock(&net->lock);
    return taken;
}

/* ---- Listening ---- */

/* The path of a socket that nobody listens on any more is in the way: remove it. */
static void listener_clear_path(const struct msy_address *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return;
    }
    if (connect(fd, (const struct sockaddr *)&address->sockaddr, address->sockaddr_len) != 0 &&
        errno == ECONNREFUSED) {
        (void)unlink(address->host); /* What is left shows when binding. */
    }
    (void)close(fd);
}

meshsync_status msy_listener_bind(struct msy_address *address, int *fd, meshsync_error *error)
{
    const int one = 1;
    const int zero = 0;
    struct sockaddr *sockaddr = (struct sockaddr *)&address->sockaddr;
    if (address->is_unix) {
        listener_clear_path(address);
    }
    *fd = socket(sockaddr->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (*fd < 0) {
        return msy_fail_errno(error, MESHSYNC_E_RESOURCE, errno, "listen: socket");
    }
    /* Neither is needed: without the first a restart waits, the second is the system's default. */
    (void)setsockopt(*fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (sockaddr->sa_family == AF_INET6) {
        (void)setsockopt(*fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof zero);
    }
    if (bind(*fd, sockaddr, address->sockaddr_len) == 0 && listen(*fd, SOMAXCONN) == 0) {
        return MESHSYNC_OK;
    }
    meshsync_status status =
        msy_fail_errno(error, MESHSYNC_E_RESOURCE, errno, "listen on %.120s", address->host);
    (void)close(*fd);
    *fd = -1;
    return status;
}

/* Tells the loop of a socket, and the machine of the addresses under which it can be reached. */
static meshsync_status listen_post(struct msy_network *net, int fd,
                                   char (*texts)[MESHSYNC_ADDRESS_BYTES_MAX], uint32_t count)
{
    struct msy_mesh_event nothing;
    meshsync_status status = MESHSYNC_OK;
    memset(&nothing, 0, sizeof nothing); /* Only the socket. */
    (void)pthread_mutex_lock(&net->lock);
    struct msy_post *post = net->open ? post_new(net, &nothing) : NULL;
    bool first = !net->listened; /* In this run: where it listened before does not count now. */
    if (!net->open) {
        status = MESHSYNC_E_STATE;
    } else if (post == NULL) {
        status = MESHSYNC_E_NO_MEMORY;
    } else {
        post->listen_fd = fd;
        net->listened = true;
        inbox_append(net, post);
    }
    (void)pthread_mutex_unlock(&net->lock);
    for (uint32_t i = 0; i < count && status == MESHSYNC_OK; i++) {
        struct msy_mesh_event event = {.type = MSY_MESH_LISTENING, .text = texts[i]};
        msy_remember_listen(net->node->remember, texts[i], first && i == 0);
        msy_network_tell(net, &event);
    }
    return status;
}

meshsync_status msy_network_listen(struct msy_network *net, const char *text, char *bound,
                                   meshsync_error *error)
{
    struct msy_address address;
    struct sockaddr_storage name = {0};
    socklen_t name_len = sizeof name;
    char texts[MSY_REMEMBER_LISTENS_MAX][MESHSYNC_ADDRESS_BYTES_MAX];
    int fd = -1;
    meshsync_status status = msy_address_parse(text, &address, error);
    if (status == MESHSYNC_OK && !atomic_load(&net->started)) {
        status = msy_fail(error, MESHSYNC_E_STATE, "listen: the node is not started");
    }
    if (status == MESHSYNC_OK && msy_address_resolve(&address, error) != MESHSYNC_OK) {
        status = MESHSYNC_E_INVALID;
    }
    if (status == MESHSYNC_OK) {
        status = msy_listener_bind(&address, &fd, error);
    }
    if (status != MESHSYNC_OK) {
        return status;
    }
    if (getsockname(fd, (struct sockaddr *)&name, &name_len) != 0) {
        status = msy_fail_errno(error, MESHSYNC_E_RESOURCE, errno, "listen: name of the socket");
        (void)close(fd);
        return status;
    }
    if (bound != NULL) {
        msy_address_format((const struct sockaddr *)&name, name_len, bound);
    }
    uint32_t count = msy_address_expand((const struct sockaddr *)&name, name_len, texts,
                                        MSY_REMEMBER_LISTENS_MAX);
    status = listen_post(net, fd, texts, count);
    if (status != MESHSYNC_OK) {
        (void)close(fd);
        (void)msy_fail(error, status, "listen: %s", meshsync_strerror(status));
    }
    return status;
}

/* ---- The local network ---- */

meshsync_status msy_network_lan(struct msy_network *net, const char *group, const char *interface,
                                meshsync_error *error)
{
    struct msy_mesh_event nothing;
    struct msy_lan *lan = NULL;
    if (!atomic_load(&net->started)) {
        return msy_fail(error, MESHSYNC_E_STATE, "lan: the node is not started");
    }
    meshsync_status status = msy_lan_bind(&net->node->alloc, group, interface, &lan, error);
    if (status != MESHSYNC_OK) {
        return status;
    }
    memset(&nothing, 0, sizeof nothing);
    (void)pthread_mutex_lock(&net->lock);
    struct msy_post *post = net->open && !net->beacons ? post_new(net, &nothing) : NULL;
    if (post != NULL) {
        post->lan = lan;
        net->beacons = true;
        inbox_append(net, post);
        lan = NULL;
    } else {
        status = net->open && !net->beacons ? MESHSYNC_E_NO_MEMORY : MESHSYNC_E_STATE;
    }
    (void)pthread_mutex_unlock(&net->lock);
    if (lan != NULL) {
        msy_lan_drop(&net->node->alloc, lan);
        return msy_fail(error, status, "lan: %s",
                        status == MESHSYNC_E_STATE ? "it is looked at already, or the node closes"
                                                   : meshsync_strerror(status));
    }
    return MESHSYNC_OK;
}

/* ---- Dialling ---- */

static uint32_t dials_find(const struct msy_network *net, const char *text)
{
    uint32_t at = 0;
    while (at < net->dials_count && strcmp(net->dials[at], text) != 0) {
        at++;
    }
    return at;
}

/* Under the lock. */
static meshsync_status dials_add(struct msy_network *net, const char *text)
{
    if (net->dials_count == net->dials_cap) {
        uint32_t cap = net->dials_cap == 0 ? 8 : net->dials_cap * 2;
        if (net->dials_count >= MSY_ADDRESSES_MAX) {
            return MESHSYNC_E_LIMIT;
        }
        void *grown = msy_resize(&net->node->alloc, net->dials,
                                 net->dials_cap * sizeof net->dials[0], cap * sizeof net->dials[0]);
        if (grown == NULL) {
            return MESHSYNC_E_NO_MEMORY;
        }
        net->dials = (char(*)[MESHSYNC_ADDRESS_BYTES_MAX])grown;
        net->dials_cap = cap;
    }
    memcpy(net->dials[net->dials_count], text, strlen(text) + 1);
    net->dials_count += 1;
    return MESHSYNC_OK;
}

meshsync_status msy_network_dial(struct msy_network *net, const char *text, meshsync_error *error)
{
    struct msy_address address;
    struct msy_mesh_event event = {.type = MSY_MESH_PEER_ADD, .text = text};
    meshsync_status status = msy_address_parse(text, &address, error);
    if (status == MESHSYNC_OK && !address.is_unix && address.port == 0) {
        status = msy_fail(error, MESHSYNC_E_INVALID, "address \"%.120s\": nobody listens on port 0",
                          text);
    }
    if (status != MESHSYNC_OK) {
        return status;
    }
    (void)pthread_mutex_lock(&net->lock);
    bool known = dials_find(net, text) < net->dials_count;
    status = known ? MESHSYNC_OK : dials_add(net, text);
    (void)pthread_mutex_unlock(&net->lock);
    if (status != MESHSYNC_OK) {
        return msy_fail(error, status, "dialling %.120s: %s", text, meshsync_strerror(status));
    }
    if (!known) {
        msy_network_tell(net, &event); /* Before the start: it is fed to the machine then. */
    }
    return MESHSYNC_OK;
}

bool msy_network_dial_at(struct msy_network *net, uint32_t index, char *text)
{
    (void)pthread_mutex_lock(&net->lock);
    bool there = index < net->dials_count;
    if (there) {
        memcpy(text, net->dials[index], MESHSYNC_ADDRESS_BYTES_MAX);
    }
    (void)pthread_mutex_unlock(&net->lock);
    return there;
}

/* Addresses that were learned from peers are dialled too: the machine knows them. */
static bool net_shows(struct msy_network *net, const char *text)
{
    meshsync_peer_info info = {.size = sizeof info};
    bool found = false;
    for (uint32_t i = 0; !found && msy_network_peer_at(net, i, &info) == MESHSYNC_OK; i++) {
        found = strcmp(info.address, text) == 0;
    }
    return found;
}

meshsync_status msy_network_undial(struct msy_network *net, const char *text, meshsync_error *error)
{
    struct msy_mesh_event event = {.type = MSY_MESH_PEER_REMOVE, .text = text};
    bool shown = net_shows(net, text);
    (void)pthread_mutex_lock(&net->lock);
    uint32_t at = dials_find(net, text);
    bool known = at < net->dials_count;
    if (known) {
        net->dials_count -= 1;
        memmove(net->dials[at], net->dials[at + 1], (net->dials_count - at) * sizeof net->dials[0]);
    }
    (void)pthread_mutex_unlock(&net->lock);
    msy_remember_forget(net->node->remember, text);
    if (!known && !shown) {
        return msy_fail(error, MESHSYNC_E_NOT_FOUND, "%.120s is not dialled", text);
    }
    msy_network_tell(net, &event);
    return MESHSYNC_OK;
}

/* ---- Looking ---- */

meshsync_status msy_network_peer_at(struct msy_network *net, uint32_t index,
                                    meshsync_peer_info *info)
{
    (void)pthread_mutex_lock(&net->mesh_lock);
    meshsync_status status =
        net->mesh == NULL ? MESHSYNC_E_END : msy_mesh_peer_at(net->mesh, index, info);
    (void)pthread_mutex_unlock(&net->mesh_lock);
    return status;
}

void msy_network_get_wall(struct msy_network *net, struct msy_wall *wall)
{
    (void)pthread_mutex_lock(&net->lock);
    *wall = net->wall;
    (void)pthread_mutex_unlock(&net->lock);
}

void msy_network_get_stats(struct msy_network *net, struct msy_mesh_stats *stats)
{
    memset(stats, 0, sizeof *stats);
    (void)pthread_mutex_lock(&net->mesh_lock);
    if (net->mesh != NULL) {
        msy_mesh_get_stats(net->mesh, stats);
    }
    stats->bytes_in += net->base.bytes_in;
    stats->bytes_out += net->base.bytes_out;
    stats->changes_out += net->base.changes_out;
    stats->handshakes_failed += net->base.handshakes_failed;
    stats->alarms += net->base.alarms;
    (void)pthread_mutex_unlock(&net->mesh_lock);
}

meshsync_status msy_network_holders(struct msy_network *net, uint32_t space,
                                    const struct msy_tip *tip, uint32_t *count)
{
    *count = 0;
    (void)pthread_mutex_lock(&net->mesh_lock);
    meshsync_status status = net->mesh == NULL
                                 ? MESHSYNC_E_UNREACHABLE
                                 : msy_mesh_holders(net->mesh, space, &tip->actor, tip->seq, count);
    (void)pthread_mutex_unlock(&net->mesh_lock);
    return status;
}
