/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network side of a node: a libuv loop (of a thread of its own, the caller's, or one that the
 * caller turns by hand), the links and listeners on it, and the mesh machine, which is stepped on
 * the loop's thread only. Other threads hand things over through the inbox. What is shown of peers
 * is read from the machine under mesh_lock, which the loop's thread holds while it steps: steps are
 * short, so nobody waits long.
 */
#ifndef MSY_SHELL_NETWORK_H
#define MSY_SHELL_NETWORK_H

#include <pthread.h>
#include <stdatomic.h>

#include <uv.h>

#include "mesh/mesh.h"
#include "shell/bounds.h"
#include "shell/writer.h"

enum msy_net_mode {
    MSY_NET_NONE = 0,
    MSY_NET_THREAD = 1,
    MSY_NET_LOOP = 2,    /* The caller's libuv loop. */
    MSY_NET_EXTERNAL = 3 /* A loop of ours that the caller turns. */
};

struct msy_link;
struct msy_listener;
struct msy_lan;

/* An event for the mesh machine, or a socket that listens. */
struct msy_post {
    struct msy_post *next;
    struct msy_mesh_event event; /* event.text, when set, lends from text. */
    int listen_fd;               /* Not -1: poll this socket; event is LISTENING or nothing. */
    struct msy_lan *lan;         /* Owned; not NULL: to be put on the loop. */
    size_t size;
    char text[];
};

struct msy_network {
    meshsync_node *node;
    enum msy_net_mode mode;
    uv_loop_t *loop; /* Lent by the caller, or &own_loop. */
    uv_loop_t own_loop;
    pthread_t thread;        /* MSY_NET_THREAD: to be joined or detached. */
    _Atomic(pthread_t) self; /* Whoever turns the loop; 0: nobody yet. */
    _Atomic bool started;

    /* Of the loop's thread. */
    uv_async_t async;
    uv_timer_t timer;
    uint32_t handles; /* Handles and requests of libuv that live. */
    struct msy_mesh_effects effects;
    uint64_t mesh_timer_ms;
    struct msy_link *links; /* All that are not destroyed. */
    uint32_t links_count;
    uint32_t links_timed; /* Of them, those with a deadline. */
    struct msy_link *buckets[MSY_LINK_BUCKETS];
    struct msy_link *dirty; /* To be looked at before the loop goes on. */
    uint32_t link_next;     /* Next number of an accepted link, even. */
    struct msy_listener *listeners;
    uint32_t listeners_count;
    struct msy_lan *lan;    /* Owned; NULL: no beacons. */
    uint64_t names_at_ms;   /* When to look names up again. */
    uint32_t names_running; /* Being looked up. */
    struct msy_work *waits; /* Commits that wait for peers. */
    uint64_t waits_at_ms;   /* First deadline of them. */
    bool waits_due;
    struct meshsync_watch *watches;
    bool watches_due;
    bool paused;      /* Links are not read. */
    bool armed;       /* A watcher was added since the loop looked (MSY_NET_EXTERNAL). */
    bool in_callback; /* An application's function is being called. */
    bool settling;
    uint64_t anew_at_ms;           /* When a machine failed last; 0: never. */
    uint64_t anew_wait_ms;         /* The wait after that; 0: none. */
    uint64_t anew_until_ms;        /* No machine before. */
    bool anew_full;                /* It waits until the store takes something. */
    bool fed;                      /* The machine was told where we listen and whom to dial. */
    uint8_t *read_buffer;          /* MSY_LINK_READ_BYTES; owned. */
    struct msy_verified *verified; /* Owned; of this thread. NULL: no memory for it. */
    struct msy_mesh_stats base;    /* Of machines that were dropped. */
    enum { MSY_NET_OPEN = 0, MSY_NET_CLOSING = 1, MSY_NET_ENDING = 2, MSY_NET_ENDED = 3 } phase;
    uint64_t close_at_ms; /* Goodbyes end then. */
    bool writer_joined;

    pthread_mutex_t mesh_lock; /* Guards mesh, held while it is stepped. */
    struct msy_mesh *mesh;

    pthread_mutex_t lock; /* The inbox: guards the rest. */
    bool open;            /* Posts are taken. */
    bool awake;           /* async may be used. */
    struct msy_post *posts_first, *posts_tail;
    struct msy_work *waits_new;
    uint32_t waits_count; /* All that wait for peers. */
    struct meshsync_watch *watches_new;
    bool restart;
    bool full;            /* And wait before. */
    bool listened;        /* In this run. */
    bool beacons;         /* Are wanted. */
    bool committed;       /* Watches have something to look at. */
    struct msy_wall wall; /* What time the peers have. */
    bool close_wanted;
    bool writer_done;
    char (*dials)[MESHSYNC_ADDRESS_BYTES_MAX]; /* Owned, dials_cap of them. */
    uint32_t dials_count, dials_cap;
};

meshsync_status msy_network_init(struct msy_network *net, meshsync_node *node);
void msy_network_fini(struct msy_network *net);
meshsync_status msy_network_start(struct msy_network *net, enum msy_net_mode mode,
                                  struct uv_loop_s *loop, meshsync_error *error);
/* Begins to close; the loop goes on until phase is MSY_NET_ENDED. */
void msy_network_close(struct msy_network *net);
void msy_network_writer_done(struct msy_network *net);
/* Is this the thread that turns the loop? */
bool msy_network_here(const struct msy_network *net);

/* From any thread. */
/* An event for the mesh machine; dropped when the network is not started. A lack of memory here
 * hangs up on the peers, who then begin anew: nothing is lost. */
void msy_network_tell(struct msy_network *net, const struct msy_mesh_event *event);
void msy_network_restart(struct msy_network *net);
/* The same, because the store takes no more. */
void msy_network_restart_full(struct msy_network *net);
void msy_network_committed(struct msy_network *net);
/* The writer has room again. */
void msy_network_resume(struct msy_network *net);
/* Takes over a commit that is durable and waits for peers. False: not started, or too many. */
bool msy_network_await(struct msy_network *net, struct msy_work *work);
meshsync_status msy_network_listen(struct msy_network *net, const char *text, char *bound,
                                   meshsync_error *error);
meshsync_status msy_network_lan(struct msy_network *net, const char *group, const char *interface,
                                meshsync_error *error);
meshsync_status msy_network_dial(struct msy_network *net, const char *text, meshsync_error *error);
meshsync_status msy_network_undial(struct msy_network *net, const char *text,
                                   meshsync_error *error);
meshsync_status msy_network_peer_at(struct msy_network *net, uint32_t index,
                                    meshsync_peer_info *info);
void msy_network_get_stats(struct msy_network *net, struct msy_mesh_stats *stats);
/* What time the peers have. */
void msy_network_get_wall(struct msy_network *net, struct msy_wall *wall);
/* How many peers hold a change durably. */
meshsync_status msy_network_holders(struct msy_network *net, uint32_t space,
                                    const struct msy_tip *tip, uint32_t *count);
/* MSY_NET_EXTERNAL. */
int msy_network_fd(const struct msy_network *net);
int msy_network_timeout_ms(const struct msy_network *net);
void msy_network_process(struct msy_network *net);

/* On the loop's thread, among the files of this folder. */
/* Steps the machine and performs its effects. */
void msy_network_step(struct msy_network *net, struct msy_mesh_event *event);
/* Does all that is due, in rounds; to be called at the end of each callback of libuv. */
void msy_network_settle(struct msy_network *net);
/* Comes back in the next turn of the loop. */
void msy_network_again(struct msy_network *net);
/* A handle or request of libuv is gone. */
void msy_network_handle_gone(struct msy_network *net);
meshsync_status msy_network_open_mesh(struct msy_network *net, meshsync_error *error);
void msy_network_take_posts(struct msy_network *net);
void msy_network_drop_posts(struct msy_network *net);
/* Tells a new machine where we listen and whom to dial. */
void msy_network_feed(struct msy_network *net);
/* The index-th address that is dialled; false past the last. */
bool msy_network_dial_at(struct msy_network *net, uint32_t index, char *text);
void msy_network_hang_up(struct msy_network *net);
/* closing.c: what is to be done in each phase. */
void msy_network_closing(struct msy_network *net);
/* wait.c */
void msy_network_check_waits(struct msy_network *net);
void msy_network_cancel_waits(struct msy_network *net);

#endif
