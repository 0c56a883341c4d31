/* SPDX-License-Identifier: Apache-2.0 */
#include "io.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool io_init(struct io *io, const struct io_ops *ops, void *self)
{
    *io = (struct io){.ops = ops, .self = self};
    io->buffer = malloc(IO_BUFFER_BYTES);
    return io->buffer != NULL;
}

void io_fini(struct io *io)
{
    free(io->buffer);
    io->buffer = NULL;
}

void io_flush(struct io *io)
{
    if (io->buffer_len > 0 && !io->broken) {
        io->broken = !io->ops->write(io->self, IO_OUT, io->buffer, io->buffer_len);
        io->flushed = true;
    }
    io->buffer_len = 0;
}

void io_discard(struct io *io)
{
    io->buffer_len = 0;
}

void io_out(struct io *io, const void *data, size_t len)
{
    const char *at = data;
    while (len > 0) {
        size_t room = IO_BUFFER_BYTES - io->buffer_len;
        if (room == 0) {
            io_flush(io);
            continue;
        }
        size_t part = len < room ? len : room;
        memcpy(io->buffer + io->buffer_len, at, part);
        io->buffer_len += part;
        at += part;
        len -= part;
    }
}

void io_text(struct io *io, const char *text)
{
    io_out(io, text, strlen(text));
}

void io_printf(struct io *io, const char *format, ...)
{
    char *text = NULL;
    va_list list;
    va_start(list, format);
    int len = vasprintf(&text, format, list);
    va_end(list);
    if (len < 0) {
        io->broken = true; /* No memory: a hole in the output must not pass unseen. */
        return;
    }
    io_out(io, text, (size_t)len);
    free(text);
}

void io_err(struct io *io, const char *text)
{
    if (!io->ops->write(io->self, IO_ERR, text, strlen(text))) {
        io->broken = true;
    }
}

ssize_t io_read(struct io *io, void *data, size_t len)
{
    return io->ops->read(io->self, data, len);
}

bool io_alive(struct io *io)
{
    return !io->broken && io->ops->alive(io->self);
}

bool io_write_all(int fd, const void *data, size_t len)
{
    const char *at = data;
    while (len > 0) {
        ssize_t n = write(fd, at, len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return false;
        }
        at += n;
        len -= (size_t)n;
    }
    return true;
}

static bool process_write(void *self, enum io_stream stream, const void *data, size_t len)
{
    (void)self;
    return io_write_all(stream == IO_OUT ? STDOUT_FILENO : STDERR_FILENO, data, len);
}

static ssize_t process_read(void *self, void *data, size_t len)
{
    const struct io_process *process = self;
    for (;;) {
        ssize_t n = read(process->in_fd, data, len);
        if (n >= 0 || errno != EINTR) {
            return n;
        }
    }
}

static bool process_alive(void *self)
{
    (void)self; /* Signals end this process by themselves. */
    return true;
}

const struct io_ops io_process_ops = {process_write, process_read, process_alive};
