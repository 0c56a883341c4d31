/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writer: the one thread that steps the replica machine. What waits for it (commits, changes
 * from peers, work on spaces) is taken in one after the other, as much as waits at a time, into one
 * transaction of the store; then everybody is told. A step that fails is a restart of the machine.
 */
#ifndef MSY_SHELL_WRITER_H
#define MSY_SHELL_WRITER_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "replica/replica.h"
#include "shell/bounds.h"
#include "shell/crew.h"

/* Where a blocked caller waits for its answer; on the caller's stack. */
struct msy_answer {
    sem_t done;
    meshsync_status status;
    struct msy_tip tip;
    uint32_t space;
    struct {
        uint32_t accepted, duplicate, pending, rejected;
    } received; /* CHANGES. */
    meshsync_error error;
};

/* Something for the writer. It belongs to the writer from being put until release is called. */
struct msy_work {
    struct msy_work *next;
    struct msy_replica_event event; /* id is set by the writer; request and bytes lend from here. */
    struct msy_request request;     /* COMMIT. */
    struct msy_buf bytes;           /* CHANGES, CREATE, JOIN. */
    const struct msy_ticket *ticket; /* JOIN: lent by the blocked caller. */
    uint64_t submit_id;              /* CHANGES: the mesh machine's own number. */
    size_t weight;                   /* Bytes that it counts in the inbox. */
    struct msy_answer *answer;       /* Lent by a blocked caller; NULL: none, or answered. */
    meshsync_commit_fn callback;     /* Or this; NULL: none, or called. */
    void *user;
    int32_t ack;          /* enum meshsync_ack, or k peers. */
    uint64_t deadline_ms; /* Monotonic, for waiting on peers. */
    struct msy_tip tip;   /* Of what was committed, while it waits for peers. */
    /* Gives it back to where it came from. */
    void (*release)(struct msy_work *work);
    meshsync_node *node;
};

struct msy_writer {
    meshsync_node *node;
    pthread_t thread; /* To be joined, while running. */
    bool running;
    bool checked; /* The store was opened once: what it has was looked at, as far as needed. */
    _Atomic(pthread_t) self;     /* 0: nobody yet. */
    struct msy_crew_thread crew; /* Lent to the machine. */
    struct msy_replica *replica; /* Of the thread; NULL: to be opened again. */
    struct msy_replica_effects effects;
    struct msy_replica_event *events; /* Of the batch; owned, as works. */
    struct msy_work **works;
    uint32_t count;
    uint64_t id_first; /* Of the batch: works[i] has id_first + i. */
    uint64_t sweep_at_ms;
    uint32_t last_count; /* Works of the last batch, and how long it took. */
    uint64_t last_us;
    struct msy_replica_stats base; /* Of machines that were dropped. */

    pthread_mutex_t lock; /* Guards the rest. */
    pthread_cond_t filled;
    pthread_cond_t room;
    struct msy_work *first, **last;
    uint32_t inbox_count;
    size_t inbox_bytes;
    uint32_t inbox_goal;    /* Not 0: filled is raised again when there are so many. */
    uint32_t inbox_waiting; /* Blocked callers that wait for room. */
    bool stopping;
    bool paused;            /* The links are not read until the inbox is down to the half. */
    uint64_t assertions;    /* Of the process that had failed when the node was opened. */
    meshsync_status frozen; /* Not OK: the node has stopped, and every write gets this. */
    struct msy_replica_stats stats; /* Published after each batch. */
};

/* Opens the replica machine, on the caller's thread. */
meshsync_status msy_writer_init(struct msy_writer *writer, meshsync_node *node,
                                meshsync_error *error);
meshsync_status msy_writer_start(struct msy_writer *writer, meshsync_error *error);
/* Asks the thread to end: the batch at hand is finished, the rest cancelled. Does not block. */
void msy_writer_stop(struct msy_writer *writer);
void msy_writer_join(struct msy_writer *writer);
void msy_writer_fini(struct msy_writer *writer);

/* A work with empty buffers that frees itself. NULL: no memory. */
struct msy_work *msy_work_new(meshsync_node *node);
void msy_work_init(struct msy_work *work, meshsync_node *node,
                   void (*release)(struct msy_work *work));

enum msy_writer_put {
    MSY_WRITER_TRY = 0,   /* E_BUSY when the inbox is full. */
    MSY_WRITER_BLOCK = 1, /* Waits for room. */
    MSY_WRITER_FORCE = 2  /* Always taken: its number is bounded elsewhere. */
};
/* Takes work over when it returns OK, else it stays the caller's. */
meshsync_status msy_writer_put(struct msy_writer *writer, struct msy_work *work,
                               enum msy_writer_put how);
/* Puts and waits for the answer, which is filled in any case. work is taken over in any case. */
meshsync_status msy_writer_call(struct msy_writer *writer, struct msy_work *work,
                                struct msy_answer *answer);
/* Is more waiting than the links should add to? The writer says when that is over. */
bool msy_writer_pauses(struct msy_writer *writer);
bool msy_writer_still_paused(struct msy_writer *writer);
/* Is this the writer's thread? */
bool msy_writer_here(const struct msy_writer *writer);
void msy_writer_get_stats(struct msy_writer *writer, struct msy_replica_stats *stats);
/* Answers a commit: by callback or to the blocked caller. Does not release it. */
void msy_work_answer(struct msy_work *work, meshsync_status status, const struct msy_tip *tip,
                     uint32_t space, const meshsync_error *error);

#endif
