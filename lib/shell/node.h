/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node: the owner of the allocator, identity, store, both machines and their threads, and of
 * every handle that was given out. Everything here may be called from any thread unless it says
 * otherwise.
 */
#ifndef MSY_SHELL_NODE_H
#define MSY_SHELL_NODE_H

#include <meshsync/merge.h>
#include <meshsync/node.h>

#include "base/error.h"
#include "base/log.h"
#include "replica/read.h"
#include "shell/board.h"
#include "shell/network.h"
#include "shell/notice.h"
#include "shell/remember.h"
#include "shell/spaces.h"
#include "shell/thread.h"
#include "shell/writer.h"
#include "store/history.h"

/* What an object that the application holds begins with, so that closing the node frees it. */
struct msy_owned {
    struct msy_owned *next, **link;
    _Atomic uint64_t
        pinned_ms; /* Monotonic time since which it pins a state of the store; 0: none. */
    void (*release)(struct msy_owned *owned);
};

struct msy_merge_entry {
    struct msy_merge_entry *next;
    meshsync_merge_fn fn;
    void *user;
    uint32_t version;
    char name[MESHSYNC_NAME_BYTES_MAX + 1];
};

struct meshsync_node {
    struct msy_alloc alloc;
    struct msy_log log;
    struct msy_fork_mark mark;
    meshsync_options options; /* path is owned. */
    size_t path_size;
    bool read_only;
    uint8_t id[MESHSYNC_NODE_ID_BYTES];
    struct msy_entropy entropy;
    struct msy_identity *identity;
    struct msy_store *store;
    struct msy_remember *remember;
    struct msy_board board;
    struct msy_notices notices;
    struct msy_spaces spaces;
    struct msy_writer writer;
    struct msy_network network;
    _Atomic uint64_t schema_generation;       /* Raised when schemas or members may have changed. */
    _Atomic(struct msy_merge_entry *) merges; /* Only grows until the node closes. */

    pthread_mutex_t lock; /* Guards the rest. */
    struct msy_owned *owned;
    struct meshsync_txn *txns_idle; /* For reuse, by next. */
    uint32_t txns_idle_count;
    bool closing;
    bool close_async;
    meshsync_close_fn close_fn;
    void *close_user;
};

/* options are complete and checked. */
meshsync_status msy_node_open(const meshsync_options *options, meshsync_node **node,
                              meshsync_error *error);
meshsync_status msy_node_start(meshsync_node *node, enum msy_net_mode mode, struct uv_loop_s *loop,
                               meshsync_error *error);
meshsync_status msy_node_close(meshsync_node *node);
meshsync_status msy_node_close_async(meshsync_node *node, meshsync_close_fn callback, void *user);
/* The last step, when both threads have ended: frees everything. */
void msy_node_finish(meshsync_node *node);

/* OK in the process that opened it, else E_FORKED. */
meshsync_status msy_node_check(const meshsync_node *node, meshsync_error *error);
/* May this thread block here? E_IN_CALLBACK on the writer's and the network's own threads, and
 * within callbacks on a loop of the caller's. peers: it would wait for the network, so a thread
 * that turns the loop may not at all. */
meshsync_status msy_node_may_block(const meshsync_node *node, bool peers, meshsync_error *error);
/* E_READ_ONLY. */
meshsync_status msy_node_may_write(const meshsync_node *node, meshsync_error *error);

void msy_node_own(meshsync_node *node, struct msy_owned *owned);
void msy_node_disown(meshsync_node *node, struct msy_owned *owned);

meshsync_status msy_node_begin_read(meshsync_node *node, struct msy_store_txn **txn,
                                    meshsync_error *error);
void msy_node_end_read(struct msy_store_txn *txn);
/* Merge functions of the node, for msy_view_init(). */
struct msy_merge_port msy_node_merges(meshsync_node *node);
meshsync_status msy_node_add_merge(meshsync_node *node, const char *name, uint32_t version,
                                   meshsync_merge_fn fn, void *user, meshsync_error *error);
/* Tells the queues; words may be NULL. */
void msy_node_notice(meshsync_node *node, meshsync_event_type type, uint32_t space,
                     const uint8_t *device, const char *words);
meshsync_status msy_node_get_stats(meshsync_node *node, meshsync_stats *stats);

#endif
