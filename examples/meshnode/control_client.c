/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control.h"

struct control_client {
    struct cli_context *ctx;
    int fd;
    int in_fd;    /* -1: no input (any more). */
    uint8_t *out; /* Bytes to send; owned. */
    size_t out_len, out_at, out_cap;
    uint8_t *in; /* Bytes received and not dealt with; owned. */
    size_t in_len;
    char *part; /* Of the input, CONTROL_PART_BYTES_MAX bytes; owned. */
    int code;   /* The result, once done. */
    bool done;
};

enum { CLIENT_IN_BYTES = CONTROL_HEAD_BYTES + CONTROL_PART_BYTES_MAX };

static bool client_push(struct control_client *client, enum control_type type, const void *data,
                        size_t len)
{
    size_t need = client->out_len + CONTROL_HEAD_BYTES + len;
    if (need > client->out_cap) {
        uint8_t *out = realloc(client->out, need);
        if (out == NULL) {
            return false;
        }
        client->out = out;
        client->out_cap = need;
    }
    control_head_write(client->out + client->out_len, type, (uint32_t)len);
    if (len > 0) {
        memcpy(client->out + client->out_len + CONTROL_HEAD_BYTES, data, len);
    }
    client->out_len = need;
    return true;
}

/* Next part of the input into the output queue, which is empty. */
static bool client_feed(struct control_client *client)
{
    ssize_t n = read(client->in_fd, client->part, CONTROL_PART_BYTES_MAX);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) {
        return true;
    }
    if (n > 0) {
        return client_push(client, CONTROL_INPUT, client->part, (size_t)n);
    }
    client->in_fd = -1;
    if (n < 0) {
        return false;
    }
    return client_push(client, CONTROL_INPUT_END, NULL, 0);
}

static bool client_send(struct control_client *client)
{
    ssize_t n = send(client->fd, client->out + client->out_at, client->out_len - client->out_at,
                     MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0) {
        /* The node may have answered and gone without reading all input: look for that. */
        client->out_at = errno == EAGAIN || errno == EINTR ? client->out_at : client->out_len;
    } else {
        client->out_at += (size_t)n;
    }
    if (client->out_at == client->out_len) {
        client->out_at = 0;
        client->out_len = 0;
    }
    return true;
}

static bool client_frame(struct control_client *client, uint8_t type, const uint8_t *data,
                         size_t len)
{
    struct io *io = &client->ctx->io;
    switch ((enum control_type)type) {
    case CONTROL_OUT: return io->ops->write(io->self, IO_OUT, data, len);
    case CONTROL_ERR: return io->ops->write(io->self, IO_ERR, data, len);
    case CONTROL_RESULT:
        client->done = len == 1;
        client->code = len == 1 ? data[0] : CLI_EXIT_UNREACHABLE;
        return client->done;
    case CONTROL_BUSY:
        client->done = true;
        client->code = cli_fail(client->ctx, MESHSYNC_E_BUSY,
                                "the running node serves as many commands as it can");
        return true;
    case CONTROL_ARGS:
    case CONTROL_INPUT:
    case CONTROL_INPUT_END: break;
    }
    return false;
}

/* False: the connection is over, or what comes is no answer. */
static bool client_receive(struct control_client *client)
{
    ssize_t n = recv(client->fd, client->in + client->in_len, CLIENT_IN_BYTES - client->in_len,
                     MSG_DONTWAIT);
    if (n < 0) {
        return errno == EAGAIN || errno == EINTR;
    }
    if (n == 0) {
        return false;
    }
    client->in_len += (size_t)n;
    size_t at = 0;
    while (!client->done && client->in_len - at >= CONTROL_HEAD_BYTES) {
        size_t len = control_head_len(client->in + at);
        if (len > CONTROL_PART_BYTES_MAX) {
            return false;
        }
        if (client->in_len - at - CONTROL_HEAD_BYTES < len) {
            break;
        }
        if (!client_frame(client, client->in[at], client->in + at + CONTROL_HEAD_BYTES, len)) {
            return false;
        }
        at += CONTROL_HEAD_BYTES + len;
    }
    memmove(client->in, client->in + at, client->in_len - at);
    client->in_len -= at;
    return true;
}

/* The 'A' frame: options by their long names, then the words. */
static bool client_request(struct control_client *client)
{
    const struct cli_context *ctx = client->ctx;
    char *words = NULL;
    size_t len = 0;
    if (!cli_words(ctx->command, &ctx->args, &words, &len)) {
        return false;
    }
    char *frame = malloc(len + 2);
    bool good = frame != NULL && len + 2 <= CONTROL_ARGS_BYTES_MAX;
    if (good) {
        frame[0] = CONTROL_VERSION;
        frame[1] = (char)((ctx->io.err_is_tty ? CONTROL_ERR_TTY : 0) |
                          (ctx->io.out_is_tty ? CONTROL_OUT_TTY : 0));
        memcpy(frame + 2, words, len);
        good = client_push(client, CONTROL_ARGS, frame, len + 2);
    }
    free(frame);
    free(words);
    return good && (client->in_fd >= 0 || client_push(client, CONTROL_INPUT_END, NULL, 0));
}

static bool client_turn(struct control_client *client)
{
    bool sending = client->out_len > 0;
    struct pollfd fds[2] = {
        {.fd = client->fd, .events = (short)(POLLIN | (sending ? POLLOUT : 0))},
        {.fd = sending ? -1 : client->in_fd, .events = POLLIN},
    };
    if (poll(fds, 2, -1) < 0) {
        return errno == EINTR;
    }
    if ((fds[0].revents & (POLLIN | POLLHUP | POLLERR)) != 0 && !client_receive(client)) {
        return false;
    }
    if (client->done) {
        return true;
    }
    if (sending && (fds[0].revents & POLLOUT) != 0 && !client_send(client)) {
        return false;
    }
    return fds[1].revents == 0 || client_feed(client);
}

int control_ask(struct cli_context *ctx, int fd, int in_fd)
{
    struct control_client client = {.ctx = ctx, .fd = fd, .in_fd = in_fd};
    client.in = malloc(CLIENT_IN_BYTES);
    client.part = malloc(CONTROL_PART_BYTES_MAX);
    bool good = client.in != NULL && client.part != NULL && client_request(&client);
    while (good && !client.done) {
        good = client_turn(&client);
    }
    free(client.in);
    free(client.part);
    free(client.out);
    if (!client.done) {
        return cli_fail(ctx, MESHSYNC_E_UNREACHABLE,
                        "the node stopped before it answered; whether it did what was asked is "
                        "unknown");
    }
    return client.code;
}
