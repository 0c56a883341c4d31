/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control socket of a running node: DIR/control.sock, mode 0600, for its own user and root.
 *
 * Frames: u8 type, u32 length (little endian), that many bytes.
 *   client: 'A' u8 version, u8 flags, then the words of the command, each ended by a zero, once;
 *           'I' bytes of standard input, as often as needed; 'E' its end.
 *   node:   'O' standard output, 'X' standard error, as they come; 'R' u8 exit code, the last;
 *           or 'B', empty and alone: too many commands run already.
 * A client that goes away ends its command.
 */
#ifndef MESHNODE_CONTROL_H
#define MESHNODE_CONTROL_H

#include <pthread.h>
#include <stdatomic.h>

#include "cli.h"

enum control_type {
    CONTROL_ARGS = 'A',
    CONTROL_INPUT = 'I',
    CONTROL_INPUT_END = 'E',
    CONTROL_OUT = 'O',
    CONTROL_ERR = 'X',
    CONTROL_RESULT = 'R',
    CONTROL_BUSY = 'B'
};

enum control_flag { CONTROL_ERR_TTY = 1, CONTROL_OUT_TTY = 2 };

enum {
    CONTROL_VERSION = 1,
    CONTROL_HEAD_BYTES = 5,
    CONTROL_PART_BYTES_MAX = 64 * 1024,       /* One frame of input or output. */
    CONTROL_ARGS_BYTES_MAX = 4 * 1024 * 1024, /* More than a command line can be. */
    CONTROL_WORDS_MAX = 65536,
    CONTROL_CLIENTS_MAX = 64,
    CONTROL_ASK_MS_MAX = 10000,  /* A client must say what it wants within this. */
    CONTROL_DRAIN_MS_MAX = 3000, /* A client must take its answer when the node stops. */
    CONTROL_POLL_MS = 100
};

void control_head_write(uint8_t head[CONTROL_HEAD_BYTES], enum control_type type, uint32_t len);
uint32_t control_head_len(const uint8_t head[CONTROL_HEAD_BYTES]);

/*
 * A socket for DIR/control.sock: connected, or bound and listening. -1 with errno. The path may be
 * longer than the address of a Unix socket can be.
 */
int control_socket(const char *dir, bool listening);
/* Removes DIR/control.sock. */
void control_remove(const char *dir);

/* Client: runs the parsed command of ctx in the node behind fd; returns its exit code. in_fd is
 * the input, or -1. */
int control_ask(struct cli_context *ctx, int fd, int in_fd);

/* Server. */
struct control_server {
    meshsync_node *node;
    const char *dir;
    uint64_t started_ms;
    int listen_fd;
    int wake[2]; /* A pipe that ends the wait for clients. */
    pthread_t thread;
    atomic_bool stop;
    pthread_mutex_t lock; /* Guards clients_count. */
    pthread_cond_t one_less;
    uint32_t clients_count;
};
/* False with errno. */
bool control_server_start(struct control_server *server, meshsync_node *node, const char *dir);
/* Lets the commands that run come to an end, for a bounded time, and closes. */
void control_server_stop(struct control_server *server);

/* What a client's 'A' frame says. */
struct control_request {
    char **words; /* Owned; the texts point into the frame. */
    int words_count;
    uint8_t flags;
};
/* False when the frame is malformed. */
bool control_request_read(char *frame, size_t len, struct control_request *request);

#endif
