/* SPDX-License-Identifier: Apache-2.0 */
/* Links: from dialling or accepting to the last byte. */
#include "shell/link.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shell/clock.h"
#include "shell/node.h"

/* ---- The table ---- */

struct msy_link *msy_link_find(struct msy_network *net, uint32_t number)
{
    struct msy_link *link = net->buckets[number % MSY_LINK_BUCKETS];
    while (link != NULL && link->number != number) {
        link = link->bucket_next;
    }
    return link;
}

void msy_link_mark(struct msy_link *link)
{
    if (!link->is_dirty && !link->destroyed) {
        link->is_dirty = true;
        link->dirty_next = link->net->dirty;
        link->net->dirty = link;
    }
}

static void link_set_deadline(struct msy_link *link, uint64_t deadline_ms)
{
    link->net->links_timed -= link->deadline_ms != 0 ? 1u : 0u;
    link->net->links_timed += deadline_ms != 0 ? 1u : 0u;
    link->deadline_ms = deadline_ms;
}

static void link_fail(struct msy_link *link, meshsync_status status, const char *words)
{
    if (!link->failed) {
        link->failed = true;
        link->status = status;
        (void)snprintf(link->words, sizeof link->words, "%.*s", (int)sizeof link->words - 1, words);
    }
    msy_link_mark(link);
}

static void link_fail_errno(struct msy_link *link, const char *what, int errno_value)
{
    char words[sizeof link->words];
    char text[64] = "";
    const char *said = strerror_r(errno_value, text, sizeof text);
    (void)snprintf(words, sizeof words, "%s: %s", what, said);
    link_fail(link, MESHSYNC_E_UNREACHABLE, words);
}

static struct msy_link *link_new(struct msy_network *net, uint32_t number, const char *text)
{
    struct msy_link *link = (struct msy_link *)msy_new(&net->node->alloc, sizeof *link);
    if (link == NULL) {
        return NULL;
    }
    link->net = net;
    link->number = number;
    link->fd = -1;
    (void)snprintf(link->text, sizeof link->text, "%s", text);
    msy_buf_init(&link->out, &net->node->alloc, MSY_LINK_OUT_BYTES_MAX);
    link->next = net->links;
    link->link = &net->links;
    if (net->links != NULL) {
        net->links->link = &link->next;
    }
    net->links = link;
    net->links_count += 1;
    link->bucket_next = net->buckets[number % MSY_LINK_BUCKETS];
    net->buckets[number % MSY_LINK_BUCKETS] = link;
    return link;
}

static void link_free(struct msy_link *link)
{
    if (link->destroyed && link->refs == 0 && !link->is_dirty) {
        msy_buf_fini(&link->out);
        msy_free(&link->net->node->alloc, link, sizeof *link);
    }
}

static void link_connect(struct msy_link *link);

static void link_poll_closed(uv_handle_t *handle)
{
    struct msy_link *link = (struct msy_link *)handle->data;
    struct msy_network *net = link->net;
    link->refs -= 1;
    if (!link->destroyed && link->retry) {
        link->retry = false;
        link_connect(link);
    }
    link_free(link);
    msy_network_settle(net);
    msy_network_handle_gone(net); /* Last: with the last handle the node may go. */
}

/* The socket is given up; the handle of libuv lives until its callback. */
static void link_drop_socket(struct msy_link *link)
{
    if (link->poll_open) {
        link->poll_open = false;
        uv_close((uv_handle_t *)&link->poll, link_poll_closed);
    }
    if (link->fd >= 0) {
        (void)close(link->fd); /* What could not be sent is lost with the link. */
        link->fd = -1;
    }
    link->events = 0;
}

void msy_link_destroy(struct msy_link *link)
{
    struct msy_network *net = link->net;
    struct msy_link **bucket = &net->buckets[link->number % MSY_LINK_BUCKETS];
    if (link->destroyed) {
        return;
    }
    while (*bucket != link) {
        bucket = &(*bucket)->bucket_next;
    }
    *bucket = link->bucket_next;
    *link->link = link->next;
    if (link->next != NULL) {
        link->next->link = link->link;
    }
    net->links_count -= 1;
    link_set_deadline(link, 0);
    link->destroyed = true;
    if (link->resolving) {
        (void)uv_cancel((uv_req_t *)&link->resolve); /* Else its callback comes a little later. */
    }
    link_drop_socket(link);
    link_free(link);
}

/* ---- Polling ---- */

static void link_polled(uv_poll_t *poll, int status, int events);

static void link_watch(struct msy_link *link)
{
    int events = 0;
    if (link->state == MSY_LINK_CONNECTING) {
        events = UV_WRITABLE;
    } else {
        events |= link->state == MSY_LINK_LINGERING || !link->net->paused ? UV_READABLE : 0;
        events |= link->out.len > link->out_sent ? UV_WRITABLE : 0;
    }
    if (!link->poll_open || events == link->events) {
        return;
    }
    int result =
        events == 0 ? uv_poll_stop(&link->poll) : uv_poll_start(&link->poll, events, link_polled);
    link->events = events;
    link->net->armed = true;
    if (result != 0) {
        link_fail(link, MESHSYNC_E_RESOURCE, uv_strerror(result));
    }
}

static bool link_open_poll(struct msy_link *link)
{
    int result = uv_poll_init_socket(link->net->loop, &link->poll, link->fd);
    if (result != 0) {
        link_fail(link, MESHSYNC_E_RESOURCE, uv_strerror(result));
        return false;
    }
    link->poll.data = link;
    link->poll_open = true;
    link->refs += 1;
    link->net->handles += 1;
    return true;
}

/* ---- Dialling ---- */

static void link_no_delay(int fd, int family)
{
    const int one = 1;
    if (family != AF_UNIX) {
        /* A lack of it costs time, no data. */
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    }
}

/* Begins with one target; false, with the reason, when that failed at once. */
static bool link_try(struct msy_link *link, uint32_t target, int *errno_value)
{
    const struct sockaddr *to = (const struct sockaddr *)&link->targets[target];
    link->fd = socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (link->fd < 0) {
        *errno_value = errno;
        return false;
    }
    link_no_delay(link->fd, to->sa_family);
    if (connect(link->fd, to, link->targets_len[target]) == 0) {
        link->state = MSY_LINK_UP; /* Sockets of the file system connect at once. */
        return true;
    }
    *errno_value = errno;
    if (*errno_value == EINPROGRESS) {
        return true;
    }
    link_drop_socket(link);
    return false;
}

/* Tries the targets that are left, until one is on its way. */
static void link_connect(struct msy_link *link)
{
    int errno_value = EADDRNOTAVAIL;
    bool begun = false;
    link->state = MSY_LINK_CONNECTING;
    while (!begun && link->target_next < link->targets_count) {
        begun = link_try(link, link->target_next, &errno_value);
        link->target_next += 1;
    }
    if (!begun) {
        link_fail_errno(link, "connect", errno_value);
    } else if (link_open_poll(link)) {
        msy_link_mark(link);
    }
}

static void link_connect_failed(struct msy_link *link, int errno_value)
{
    link_drop_socket(link);
    if (link->target_next >= link->targets_count) {
        link_fail_errno(link, "connect", errno_value);
    } else {
        link->retry = true; /* As soon as libuv has let go of the handle of this try. */
    }
}

static void link_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *found)
{
    struct msy_link *link = (struct msy_link *)request->data;
    struct msy_network *net = link->net;
    link->resolving = false;
    link->refs -= 1;
    if (!link->destroyed && status != 0) {
        char words[128];
        (void)snprintf(words, sizeof words, "looking the name up: %s", uv_strerror(status));
        link_fail(link, MESHSYNC_E_UNREACHABLE, words);
    } else if (!link->destroyed) {
        for (const struct addrinfo *at = found;
             at != NULL && link->targets_count < MSY_LINK_TARGETS_MAX; at = at->ai_next) {
            memcpy(&link->targets[link->targets_count], at->ai_addr, at->ai_addrlen);
            link->targets_len[link->targets_count] = at->ai_addrlen;
            link->targets_count += 1;
        }
        link_connect(link);
    }
    uv_freeaddrinfo(found);
    link_free(link);
    msy_network_settle(net);
    msy_network_handle_gone(net);
}

static void link_resolve(struct msy_link *link, const struct msy_address *address)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    char port[8];
    (void)snprintf(port, sizeof port, "%u", (unsigned)address->port);
    int result =
        uv_getaddrinfo(link->net->loop, &link->resolve, link_resolved, address->host, port, &hints);
    if (result != 0) {
        link_fail(link, MESHSYNC_E_UNREACHABLE, uv_strerror(result));
        return;
    }
    link->resolve.data = link;
    link->resolving = true;
    link->refs += 1;
    link->net->handles += 1;
}

bool msy_link_dial(struct msy_network *net, uint32_t number, const char *text)
{
    struct msy_address address;
    meshsync_error error;
    struct msy_link *link = link_new(net, number, text);
    if (link == NULL) {
        return false;
    }
    link_set_deadline(link, msy_clock_mono_ms() + MSY_LINK_CONNECT_MS_MAX);
    if (msy_address_parse(text, &address, &error) != MESHSYNC_OK) {
        link_fail(link, MESHSYNC_E_INVALID, error.message);
    } else if (address.numeric) {
        link->targets[0] = address.sockaddr;
        link->targets_len[0] = address.sockaddr_len;
        link->targets_count = 1;
        link_connect(link);
    } else {
        link_resolve(link, &address);
    }
    msy_link_mark(link);
    return true;
}

static void link_connected(struct msy_link *link)
{
    int errno_value = 0;
    socklen_t len = sizeof errno_value;
    if (getsockopt(link->fd, SOL_SOCKET, SO_ERROR, &errno_value, &len) != 0) {
        errno_value = errno;
    }
    if (errno_value != 0) {
        link_connect_failed(link, errno_value);
        return;
    }
    link->state = MSY_LINK_UP;
    msy_link_mark(link);
}

/* ---- Sending ---- */

void msy_link_send(struct msy_link *link, meshsync_bytes bytes)
{
    if (link->closing || link->failed) {
        return;
    }
    if (msy_buf_append(&link->out, bytes.data, bytes.len) != MESHSYNC_OK) {
        link_fail(link, MESHSYNC_E_NO_MEMORY, "no memory for what is to be sent");
    }
    msy_link_mark(link);
}

void msy_link_close(struct msy_link *link)
{
    link->closing = true;
    link_set_deadline(link, msy_clock_mono_ms() + MSY_LINK_LINGER_MS_MAX);
    msy_link_mark(link);
}

static void link_flush(struct msy_link *link)
{
    while (link->out.len > link->out_sent) {
        ssize_t sent = send(link->fd, link->out.data + link->out_sent,
                            link->out.len - link->out_sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EINTR) {
            continue;
        }
        if (sent < 0) {
            if (errno != EAGAIN) {
                link_fail_errno(link, "send", errno);
            }
            break;
        }
        link->out_sent += (size_t)sent;
        link->sent_since += (uint64_t)sent;
    }
    if (link->out_sent == link->out.len) {
        msy_buf_reset(&link->out);
        link->out_sent = 0;
    } else if (link->out_sent > link->out.len / 2) {
        msy_buf_consume(&link->out, link->out_sent);
        link->out_sent = 0;
    }
}

/* ---- Receiving ---- */

static void link_read(struct msy_link *link)
{
    struct msy_network *net = link->net;
    uint32_t number = link->number;
    for (int i = 0; i < MSY_LINK_READS_MAX && (!net->paused || link->closing); i++) {
        ssize_t got = recv(link->fd, net->read_buffer, MSY_LINK_READ_BYTES, MSG_DONTWAIT);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0 && errno == EAGAIN) {
            return;
        }
        if (got < 0) {
            link_fail_errno(link, "receive", errno);
            return;
        }
        if (got == 0) {
            link_fail(link, MESHSYNC_E_UNREACHABLE, "closed by the other side");
            return;
        }
        if (link->closing) {
            continue; /* The machine has done with it. */
        }
        struct msy_mesh_event event = {.type = MSY_MESH_LINK_BYTES,
                                       .link = number,
                                       .bytes = msy_bytes(net->read_buffer, (size_t)got)};
        msy_network_step(net, &event);
        if (msy_link_find(net, number) != link || link->failed) {
            return; /* The step may have ended it. */
        }
        if ((size_t)got < MSY_LINK_READ_BYTES) {
            return;
        }
    }
}

static void link_polled(uv_poll_t *poll, int status, int events)
{
    struct msy_link *link = (struct msy_link *)poll->data;
    struct msy_network *net = link->net;
    if (link->state == MSY_LINK_CONNECTING) {
        link_connected(link);
    } else if (status < 0) {
        int errno_value = 0;
        socklen_t len = sizeof errno_value;
        (void)getsockopt(link->fd, SOL_SOCKET, SO_ERROR, &errno_value, &len);
        link_fail_errno(link, "connection", errno_value != 0 ? errno_value : ECONNRESET);
    } else if ((events & UV_READABLE) != 0) {
        link_read(link);
    }
    msy_link_mark(link);
    msy_network_settle(net);
}

/* ---- Settling ---- */

static void link_tell_up(struct msy_link *link)
{
    struct msy_mesh_event event = {.type = MSY_MESH_LINK_UP,
                                   .link = link->number,
                                   .accepted = link->accepted ? 1 : 0,
                                   .text = link->text};
    link->told_up = true;
    link_set_deadline(link, 0);
    msy_network_step(link->net, &event);
}

static void link_tell_down(struct msy_link *link)
{
    struct msy_mesh_event event = {.type = MSY_MESH_LINK_DOWN,
                                   .link = link->number,
                                   .status = link->status,
                                   .text = link->words};
    bool told = link->closing;
    msy_link_destroy(link); /* First: the step may dial anew. */
    if (!told) {
        msy_network_step(link->net, &event);
    }
}

static void link_advance(struct msy_link *link)
{
    bool works = !link->failed && link->state >= MSY_LINK_UP;
    if (works && !link->told_up && !link->closing) {
        link_tell_up(link);
    }
    if (works) {
        link_flush(link);
    }
    if (!link->failed && link->closing && link->state < MSY_LINK_UP) {
        link_fail(link, MESHSYNC_E_CANCELLED, "closed");
    } else if (!link->failed && link->closing && link->out.len == 0 && link->state == MSY_LINK_UP) {
        link->state = MSY_LINK_LINGERING;
        (void)shutdown(link->fd, SHUT_WR); /* A failure shows at the next read. */
    }
}

void msy_link_settle(struct msy_link *link)
{
    link->is_dirty = false; /* What marks it from here on is for the next round. */
    link->refs += 1;        /* Its memory is used to the end of this function. */
    if (!link->destroyed) {
        link_advance(link);
        link_watch(link);
    }
    if (!link->destroyed && link->failed) {
        link_tell_down(link);
    } else if (!link->destroyed && !link->closing && link->sent_since > 0) {
        struct msy_mesh_event event = {.type = MSY_MESH_LINK_DRAINED,
                                       .link = link->number,
                                       .out_bytes = link->out.len - link->out_sent};
        link->sent_since = 0;
        msy_network_step(link->net, &event);
    }
    link->refs -= 1;
    link_free(link);
}

uint64_t msy_link_deadlines(struct msy_network *net, uint64_t now_ms)
{
    uint64_t next_ms = UINT64_MAX;
    for (struct msy_link *link = net->links_timed > 0 ? net->links : NULL; link != NULL;
         link = link->next) {
        if (link->deadline_ms == 0) {
            continue;
        }
        if (link->deadline_ms <= now_ms) {
            link_fail(link, MESHSYNC_E_UNREACHABLE, "no answer in time");
        } else if (link->deadline_ms < next_ms) {
            next_ms = link->deadline_ms;
        }
    }
    return next_ms;
}

void msy_link_pause(struct msy_network *net, bool paused)
{
    net->paused = paused;
    for (struct msy_link *link = net->links; link != NULL; link = link->next) {
        if (link->state >= MSY_LINK_UP) {
            msy_link_mark(link);
        }
    }
}

/* ---- Accepting ---- */

static void link_accept(struct msy_network *net, int fd, const struct sockaddr_storage *from,
                        socklen_t from_len)
{
    char text[MESHSYNC_ADDRESS_BYTES_MAX];
    msy_address_format((const struct sockaddr *)from, from_len, text);
    struct msy_link *link =
        net->links_count < MSY_LINKS_MAX ? link_new(net, net->link_next, text) : NULL;
    if (link == NULL) {
        (void)close(fd); /* The dialler sees it closed and tries again later. */
        return;
    }
    net->link_next += 2;
    link->accepted = true;
    link->fd = fd;
    link->state = MSY_LINK_UP;
    link_no_delay(fd, from->ss_family);
    if (!link_open_poll(link)) {
        link->closing = true; /* The machine has never heard of it. */
    }
    msy_link_mark(link);
}

static void listener_polled(uv_poll_t *poll, int status, int events)
{
    struct msy_listener *listener = (struct msy_listener *)poll->data;
    struct msy_network *net = listener->net;
    bool pause = status < 0;
    (void)events;
    for (int i = 0; i < MSY_ACCEPTS_MAX && !pause; i++) {
        struct sockaddr_storage from = {0};
        socklen_t from_len = sizeof from;
        int fd = accept4(listener->fd, (struct sockaddr *)&from, &from_len,
                         SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            link_accept(net, fd, &from, from_len);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            pause =
                true; /* Those who wait stay in the backlog; turning in a circle helps nobody. */
        } else if (errno != EINTR && errno != ECONNABORTED) {
            break;
        }
    }
    if (pause) {
        msy_log_write(&net->node->log, MSY_LOG_WARN, "network",
                      "no descriptors: accepting nobody for %d ms", MSY_LISTEN_PAUSE_MS);
        (void)uv_poll_stop(&listener->poll);
        listener->resume_at_ms = msy_clock_mono_ms() + MSY_LISTEN_PAUSE_MS;
    }
    msy_network_settle(net);
}

bool msy_listener_open(struct msy_network *net, int fd)
{
    struct msy_listener *listener =
        (struct msy_listener *)msy_new(&net->node->alloc, sizeof *listener);
    struct sockaddr_storage bound = {0};
    socklen_t bound_len = sizeof bound;
    char text[MESHSYNC_ADDRESS_BYTES_MAX] = "";
    if (listener == NULL || uv_poll_init_socket(net->loop, &listener->poll, fd) != 0) {
        msy_free(&net->node->alloc, listener, sizeof *listener);
        (void)close(fd);
        return false;
    }
    listener->net = net;
    listener->fd = fd;
    listener->poll.data = listener;
    if (getsockname(fd, (struct sockaddr *)&bound, &bound_len) == 0 && bound.ss_family == AF_UNIX) {
        msy_address_format((const struct sockaddr *)&bound, bound_len, text);
        (void)snprintf(listener->unix_path, sizeof listener->unix_path, "%s",
                       text + sizeof "unix:" - 1);
    }
    listener->next = net->listeners;
    net->listeners = listener;
    net->listeners_count += 1;
    net->handles += 1;
    net->armed = true;
    (void)uv_poll_start(&listener->poll, UV_READABLE, listener_polled); /* Only bad flags fail. */
    return true;
}

static void listener_closed(uv_handle_t *handle)
{
    struct msy_listener *listener = (struct msy_listener *)handle->data;
    struct msy_network *net = listener->net;
    msy_free(&net->node->alloc, listener, sizeof *listener);
    msy_network_handle_gone(net);
}

void msy_listener_close_all(struct msy_network *net)
{
    while (net->listeners != NULL) {
        struct msy_listener *listener = net->listeners;
        net->listeners = listener->next;
        net->listeners_count -= 1;
        uv_close((uv_handle_t *)&listener->poll, listener_closed);
        (void)close(listener->fd);
        if (listener->unix_path[0] != '\0') {
            (void)unlink(listener->unix_path); /* The next one who listens there removes it else. */
        }
    }
}

uint64_t msy_listener_deadlines(struct msy_network *net, uint64_t now_ms)
{
    uint64_t next_ms = UINT64_MAX;
    for (struct msy_listener *at = net->listeners; at != NULL; at = at->next) {
        if (at->resume_at_ms != 0 && at->resume_at_ms <= now_ms) {
            at->resume_at_ms = 0;
            net->armed = true;
            (void)uv_poll_start(&at->poll, UV_READABLE, listener_polled);
        } else if (at->resume_at_ms != 0 && at->resume_at_ms < next_ms) {
            next_ms = at->resume_at_ms;
        }
    }
    return next_ms;
}
