/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Links and listeners: sockets that libuv polls. Bytes are sent by send() with MSG_NOSIGNAL, since
 * libuv's own streams write() and could raise SIGPIPE in a host whose thread turns the loop.
 *
 *    dialled: RESOLVING --> CONNECTING --> UP --> LINGERING --> destroyed
 *    accepted:                             UP
 *
 * A link that fails in any state is destroyed; the machine is told, unless it closed it itself.
 */
#ifndef MSY_SHELL_LINK_H
#define MSY_SHELL_LINK_H

#include "shell/address.h"
#include "shell/network.h"

enum { MSY_LINK_TARGETS_MAX = 8 };

enum msy_link_state {
    MSY_LINK_RESOLVING = 0,
    MSY_LINK_CONNECTING = 1,
    MSY_LINK_UP = 2,
    MSY_LINK_LINGERING = 3 /* Sent all and said so; waits for the other side to close. */
};

struct msy_link {
    struct msy_link *next, **link; /* In links. */
    struct msy_link *bucket_next;
    struct msy_link *dirty_next;
    struct msy_network *net;
    uint32_t number;
    enum msy_link_state state;
    bool is_dirty;
    bool accepted;
    bool told_up;   /* The machine knows it. */
    bool closing;   /* The machine closed it: send what there is, then end. */
    bool failed;    /* To be destroyed; status and words say why. */
    bool destroyed; /* Only its handles are still there. */
    meshsync_status status;
    int fd;     /* -1: none. */
    int events; /* What is polled for. */
    bool poll_open;
    bool resolving;
    bool retry; /* The next target, once libuv has let go of the poll handle. */
    uv_poll_t poll;
    uv_getaddrinfo_t resolve;
    uint32_t refs; /* poll and resolve, while libuv has them, and functions that use it. */
    struct msy_buf out;
    size_t out_sent;      /* Bytes at the front of out that are on their way. */
    uint64_t sent_since;  /* Sent since the machine was told last. */
    uint64_t deadline_ms; /* 0: none. */
    struct sockaddr_storage targets[MSY_LINK_TARGETS_MAX]; /* Still to be tried. */
    socklen_t targets_len[MSY_LINK_TARGETS_MAX];
    uint32_t targets_count, target_next;
    char text[MESHSYNC_ADDRESS_BYTES_MAX]; /* Dialled, or where it came from. */
    char words[128];
};

struct msy_listener {
    struct msy_listener *next;
    struct msy_network *net;
    int fd;
    uv_poll_t poll;
    uint64_t resume_at_ms;                      /* 0: accepting. */
    char unix_path[MESHSYNC_ADDRESS_BYTES_MAX]; /* "" or the file to remove. */
};

/* NULL: none. */
struct msy_link *msy_link_find(struct msy_network *net, uint32_t number);
/* Makes a link and begins to connect; what fails is told later. False: no memory. */
bool msy_link_dial(struct msy_network *net, uint32_t number, const char *text);
void msy_link_send(struct msy_link *link, meshsync_bytes bytes);
void msy_link_close(struct msy_link *link);
/* Tells the machine what happened, sends, and destroys what has ended. */
void msy_link_settle(struct msy_link *link);
void msy_link_destroy(struct msy_link *link);
void msy_link_mark(struct msy_link *link);
/* Deadlines that came. The next one, or UINT64_MAX. */
uint64_t msy_link_deadlines(struct msy_network *net, uint64_t now_ms);
/* Begins or ceases to read all links. */
void msy_link_pause(struct msy_network *net, bool paused);

/* A socket that is bound and listens, on any thread. E_INVALID, E_RESOURCE. */
meshsync_status msy_listener_bind(struct msy_address *address, int *fd, meshsync_error *error);
/* Polls it; takes the socket over. False: no memory or descriptors. */
bool msy_listener_open(struct msy_network *net, int fd);
void msy_listener_close_all(struct msy_network *net);
uint64_t msy_listener_deadlines(struct msy_network *net, uint64_t now_ms);

#endif
