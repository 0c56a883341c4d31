/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a command reads and writes. The same handler runs in the process that the user started and
 * in a running node on behalf of one: only these three functions differ.
 */
#ifndef MESHNODE_IO_H
#define MESHNODE_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum io_stream { IO_OUT = 0, IO_ERR = 1 };

enum { IO_BUFFER_BYTES = 64 * 1024 };

struct io_ops {
    /* All of data to a stream; false: nobody reads it any more. */
    bool (*write)(void *self, enum io_stream stream, const void *data, size_t len);
    /* Up to len bytes of standard input; 0: its end, -1: it broke. */
    ssize_t (*read)(void *self, void *data, size_t len);
    /* False: whoever asked is gone, or this process is to stop. */
    bool (*alive)(void *self);
};

struct io {
    const struct io_ops *ops;
    void *self;   /* Of ops; the caller's. */
    char *buffer; /* Output not written yet; owned. */
    size_t buffer_len;
    bool flushed;    /* Some output went out already. */
    bool broken;     /* A write failed: the rest is dropped. */
    bool err_is_tty; /* The asker's standard error is a terminal. */
    bool out_is_tty;
};

/* False: no memory. */
bool io_init(struct io *io, const struct io_ops *ops, void *self);
void io_fini(struct io *io);
/* Buffered output. */
void io_out(struct io *io, const void *data, size_t len);
void io_text(struct io *io, const char *text);
void io_printf(struct io *io, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Writes out what is buffered. */
void io_flush(struct io *io);
/* Forgets output that has not been written. */
void io_discard(struct io *io);
/* To standard error, at once. */
void io_err(struct io *io, const char *text);
ssize_t io_read(struct io *io, void *data, size_t len);
bool io_alive(struct io *io);

/* Of this process: its standard output and error, and fd as input. */
struct io_process {
    int in_fd;
};
extern const struct io_ops io_process_ops;

/* Writes all of it; false with errno on failure. */
bool io_write_all(int fd, const void *data, size_t len);

#endif
