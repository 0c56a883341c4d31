/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control.h"

/* One client and its thread. */
struct control_session {
    struct control_server *server;
    int fd;
    size_t input_left; /* Bytes of the 'I' frame at hand that were not read yet. */
    bool input_ended;
    uint64_t stop_seen_ms; /* When a send first waited while the node stops; 0: never. */
};

static bool session_stopping(const struct control_session *session)
{
    return atomic_load(&session->server->stop);
}

/* Waits until fd can be read or written. False: it cannot any more, or time is over. */
static bool session_wait(struct control_session *session, short events, uint64_t deadline_ms)
{
    for (;;) {
        struct pollfd one = {.fd = session->fd, .events = events};
        int count = poll(&one, 1, CONTROL_POLL_MS);
        if (count > 0) {
            return (one.revents & events) != 0;
        }
        if (count < 0 && errno != EINTR) {
            return false;
        }
        uint64_t now_ms = monotonic_ms();
        if (now_ms >= deadline_ms) {
            return false;
        }
        if (!session_stopping(session)) {
            continue;
        }
        if ((events & POLLIN) != 0) {
            return false; /* What was not sent yet need not be waited for. */
        }
        session->stop_seen_ms = session->stop_seen_ms == 0 ? now_ms : session->stop_seen_ms;
        if (now_ms - session->stop_seen_ms > CONTROL_DRAIN_MS_MAX) {
            return false;
        }
    }
}

static bool session_send(struct control_session *session, const void *data, size_t len)
{
    const uint8_t *at = data;
    while (len > 0) {
        ssize_t n = send(session->fd, at, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN && errno != EINTR) {
            return false;
        }
        if (n < 0) {
            if (!session_wait(session, POLLOUT, UINT64_MAX)) {
                return false;
            }
            continue;
        }
        at += n;
        len -= (size_t)n;
    }
    return true;
}

static bool session_send_frame(struct control_session *session, enum control_type type,
                               const void *data, size_t len)
{
    uint8_t head[CONTROL_HEAD_BYTES];
    control_head_write(head, type, (uint32_t)len);
    return session_send(session, head, sizeof head) && session_send(session, data, len);
}

/* Exactly len bytes. */
static bool session_receive(struct control_session *session, void *data, size_t len,
                            uint64_t deadline_ms)
{
    uint8_t *at = data;
    while (len > 0) {
        ssize_t n = recv(session->fd, at, len, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
            return false;
        }
        if (n < 0) {
            if (!session_wait(session, POLLIN, deadline_ms)) {
                return false;
            }
            continue;
        }
        at += n;
        len -= (size_t)n;
    }
    return true;
}

static bool session_write(void *self, enum io_stream stream, const void *data, size_t len)
{
    struct control_session *session = self;
    const char *at = data;
    while (len > 0) {
        size_t part = len < CONTROL_PART_BYTES_MAX ? len : CONTROL_PART_BYTES_MAX;
        if (!session_send_frame(session, stream == IO_OUT ? CONTROL_OUT : CONTROL_ERR, at, part)) {
            return false;
        }
        at += part;
        len -= part;
    }
    return true;
}

static ssize_t session_read(void *self, void *data, size_t len)
{
    struct control_session *session = self;
    while (session->input_left == 0) {
        uint8_t head[CONTROL_HEAD_BYTES];
        if (session->input_ended) {
            return 0;
        }
        if (!session_receive(session, head, sizeof head, UINT64_MAX)) {
            return -1;
        }
        session->input_left = control_head_len(head);
        session->input_ended = head[0] == CONTROL_INPUT_END;
        bool input = head[0] == CONTROL_INPUT && session->input_left <= CONTROL_PART_BYTES_MAX;
        bool end = session->input_ended && session->input_left == 0;
        if (!input && !end) {
            session->input_left = 0;
            session->input_ended = true;
            return -1;
        }
    }
    size_t part = len < session->input_left ? len : session->input_left;
    if (!session_receive(session, data, part, UINT64_MAX)) {
        return -1;
    }
    session->input_left -= part;
    return (ssize_t)part;
}

static bool session_alive(void *self)
{
    struct control_session *session = self;
    struct pollfd one = {.fd = session->fd, .events = POLLRDHUP};
    return !session_stopping(session) && poll(&one, 1, 0) >= 0 &&
           (one.revents & (POLLRDHUP | POLLHUP | POLLERR)) == 0;
}

static const struct io_ops session_ops = {session_write, session_read, session_alive};

/* Parses and runs what was asked. Returns the exit code. */
static int session_run(struct control_session *session, struct cli_context *ctx,
                       struct control_request *request)
{
    const struct control_server *server = session->server;
    char message[CLI_MESSAGE_BYTES_MAX];
    int used = 0;
    ctx->io.err_is_tty = (request->flags & CONTROL_ERR_TTY) != 0;
    ctx->io.out_is_tty = (request->flags & CONTROL_OUT_TTY) != 0;
    ctx->node = server->node;
    ctx->dir = server->dir;
    ctx->started_ms = server->started_ms;
    ctx->running = true;
    ctx->command = cli_find(request->words_count, request->words, &used);
    if (ctx->command == NULL || (ctx->command->flags & CLI_LOCAL) != 0) {
        return cli_fail(ctx, MESHSYNC_E_UNSUPPORTED,
                        "the running node is of another version and does not know this command");
    }
    bool good = cli_parse(ctx->command, request->words_count - used, request->words + used,
                          &ctx->args, message);
    ctx->json = cli_given(&ctx->args, CLI_OPT_JSON);
    int code = good ? cli_run(ctx) : cli_usage(ctx, "%s", message);
    cli_args_fini(&ctx->args);
    return code;
}

static void session_serve(struct control_session *session)
{
    uint8_t head[CONTROL_HEAD_BYTES];
    uint64_t deadline_ms = monotonic_ms() + CONTROL_ASK_MS_MAX;
    if (!session_receive(session, head, sizeof head, deadline_ms) || head[0] != CONTROL_ARGS ||
        control_head_len(head) > CONTROL_ARGS_BYTES_MAX) {
        return;
    }
    size_t len = control_head_len(head);
    struct cli_context ctx = {.command = NULL};
    struct control_request request = {.words = NULL};
    char *frame = malloc(len + 1);
    bool good = io_init(&ctx.io, &session_ops, session) && frame != NULL &&
                session_receive(session, frame, len, deadline_ms) &&
                control_request_read(frame, len, &request);
    if (good) {
        int code = session_run(session, &ctx, &request);
        io_flush(&ctx.io);
        uint8_t result = (uint8_t)code;
        (void)session_send_frame(session, CONTROL_RESULT, &result, 1); /* It may be gone. */
    }
    io_fini(&ctx.io);
    free(request.words);
    free(frame);
}

static void *session_thread(void *user)
{
    struct control_session *session = user;
    struct control_server *server = session->server;
    session_serve(session);
    (void)close(session->fd);
    free(session);
    (void)pthread_mutex_lock(&server->lock);
    server->clients_count--;
    (void)pthread_cond_signal(&server->one_less);
    (void)pthread_mutex_unlock(&server->lock);
    return NULL;
}

/* Only the node's own user and root may ask. */
static bool server_may_ask(int fd)
{
    struct ucred peer;
    socklen_t len = sizeof peer;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
           (peer.uid == geteuid() || peer.uid == 0);
}

static bool server_spawn(struct control_server *server, int fd)
{
    struct control_session *session = calloc(1, sizeof *session);
    pthread_t thread;
    pthread_attr_t attributes;
    if (session == NULL || pthread_attr_init(&attributes) != 0) {
        free(session);
        return false;
    }
    session->server = server;
    session->fd = fd;
    (void)pthread_mutex_lock(&server->lock);
    bool room = server->clients_count < CONTROL_CLIENTS_MAX;
    server->clients_count += room ? 1 : 0;
    (void)pthread_mutex_unlock(&server->lock);
    (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    bool good = room && pthread_create(&thread, &attributes, session_thread, session) == 0;
    (void)pthread_attr_destroy(&attributes);
    if (good) {
        return true;
    }
    if (room) {
        (void)pthread_mutex_lock(&server->lock);
        server->clients_count--;
        (void)pthread_mutex_unlock(&server->lock);
    }
    free(session);
    return false;
}

static void server_refuse(int fd)
{
    uint8_t head[CONTROL_HEAD_BYTES];
    control_head_write(head, CONTROL_BUSY, 0);
    (void)send(fd, head, sizeof head, MSG_NOSIGNAL | MSG_DONTWAIT); /* It may be gone. */
}

static void *server_thread(void *user)
{
    struct control_server *server = user;
    while (!atomic_load(&server->stop)) {
        struct pollfd fds[2] = {{.fd = server->listen_fd, .events = POLLIN},
                                {.fd = server->wake[0], .events = POLLIN}};
        if (poll(fds, 2, -1) <= 0 || (fds[0].revents & POLLIN) == 0) {
            continue;
        }
        int fd = accept4(server->listen_fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0) {
            /* Out of descriptors, perhaps: let some be closed before trying again. */
            (void)poll(NULL, 0, errno == EMFILE || errno == ENFILE ? CONTROL_POLL_MS : 0);
            continue;
        }
        bool may_ask = server_may_ask(fd);
        if (!may_ask || !server_spawn(server, fd)) {
            if (may_ask) {
                server_refuse(fd);
            }
            (void)close(fd);
        }
    }
    return NULL;
}

bool control_server_start(struct control_server *server, meshsync_node *node, const char *dir)
{
    *server = (struct control_server){.node = node, .dir = dir, .started_ms = monotonic_ms()};
    atomic_init(&server->stop, false);
    server->listen_fd = control_socket(dir, true);
    if (server->listen_fd < 0) {
        return false;
    }
    int error = pipe2(server->wake, O_CLOEXEC) == 0 ? 0 : errno;
    if (error != 0) {
        (void)close(server->listen_fd);
        errno = error;
        return false;
    }
    (void)pthread_mutex_init(&server->lock, NULL);
    (void)pthread_cond_init(&server->one_less, NULL);
    error = pthread_create(&server->thread, NULL, server_thread, server);
    if (error != 0) {
        (void)close(server->listen_fd);
        (void)close(server->wake[0]);
        (void)close(server->wake[1]);
        errno = error;
        return false;
    }
    return true;
}

void control_server_stop(struct control_server *server)
{
    atomic_store(&server->stop, true);
    (void)io_write_all(server->wake[1], "", 1);
    (void)pthread_join(server->thread, NULL);
    (void)close(server->listen_fd);
    control_remove(server->dir);
    (void)pthread_mutex_lock(&server->lock);
    while (server->clients_count > 0) {
        (void)pthread_cond_wait(&server->one_less, &server->lock);
    }
    (void)pthread_mutex_unlock(&server->lock);
    (void)close(server->wake[0]);
    (void)close(server->wake[1]);
    (void)pthread_cond_destroy(&server->one_less);
    (void)pthread_mutex_destroy(&server->lock);
}
