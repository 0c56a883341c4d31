/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of a simulation: nodes made of the two production machines and a memory store, the
 * connections between them, and the one queue of what will happen.
 */
#ifndef MSY_SIM_CLUSTER_H
#define MSY_SIM_CLUSTER_H

#include <meshsync/sim.h>

#include "base/log.h"
#include "mesh/mesh.h"
#include "replica/read.h"
#include "replica/replica.h"
#include "secure/crypto.h"
#include "sim/queue.h"

enum {
    MSY_SIM_DIALS_MAX = 64,          /* Addresses that one node was told to dial. */
    MSY_SIM_BATCH_MAX = 32,          /* Events that one commit takes in. */
    MSY_SIM_PIECE_BYTES_MAX = 16384, /* Of one packet. */
    MSY_SIM_WORK_MAX = 100000,       /* Waiting at one writer. */
    MSY_SIM_CONNECTIONS_MAX = 8192,  /* At once. */
    MSY_SIM_PORT = 4000,             /* Every node listens there. */
    MSY_SIM_BEACON_BYTES_MAX = 1024, /* One datagram. */
    MSY_SIM_CONNECT_MS_MAX = 3000    /* A connection that is not answered fails then. */
};

/* Something that waits for a node's writer. */
struct msy_sim_work {
    struct msy_sim_work *next;
    struct msy_replica_event event; /* bytes lend from `bytes`, request from `request`. */
    struct msy_buf bytes;
    struct msy_request request;
    struct msy_ticket *ticket; /* Lent. */
    meshsync_sim_commit_fn callback;
    void *user;
    uint64_t submit; /* CHANGES: id that the mesh machine gave. */
};

/* How a test meets what the nodes do; every function may be NULL. */
struct msy_sim_hooks {
    /* A batch was committed; lsn 0: nothing new. */
    void (*committed)(void *user, uint32_t node, uint64_t lsn_first, uint64_t lsn_last);
    void (*alarm)(void *user, uint32_t node, const char *words);
    void *user;
};

struct msy_sim_node {
    struct meshsync_sim *sim;
    uint32_t index;
    uint32_t life;   /* Raised by each start and end. */
    bool up;         /* The process runs. */
    bool powered;    /* The machine runs: it resets connections to a process that does not. */
    bool clock_held; /* Swarm: leave this clock alone. */
    uint8_t seed[MSY_SIGN_SEED_BYTES];
    struct msy_identity *identity; /* Owned. */
    struct msy_store *store;       /* Owned; outlives crashes. */
    struct msy_store *backup;      /* Owned. */
    uint8_t backup_seed[MSY_SIGN_SEED_BYTES];
    struct msy_replica *replica;
    struct msy_mesh *mesh;
    struct msy_prng prng; /* Its entropy. */
    struct msy_log log;
    struct msy_alloc memory; /* Of the two machines; the store is a disk and has the world's. */
    int64_t clock_offset_ms; /* At drift_since_us. */
    int32_t drift_ppm;
    uint64_t drift_since_us;
    uint32_t spaces[MESHSYNC_SIM_SPACES_MAX]; /* Local numbers; 0: none. */
    uint32_t space;                           /* Of the chosen space. */
    bool retired;
    bool on_lan;                              /* It looks at the local network. */
    uint8_t beacon[MSY_SIM_BEACON_BYTES_MAX]; /* The last it sent. */
    size_t beacon_len;
    bool anew_due;          /* A machine had no memory. */
    uint64_t anew_at_us;    /* When that was last; 0: never. */
    uint64_t anew_wait_us;  /* The wait after it, before the node is up again. */
    uint64_t commit_us_max; /* 0: of the options. */
    meshsync_sim_protocol protocol;
    uint64_t sent_us_last; /* The latest time at which something that arrived here was sent. */
    struct msy_sim_work *work_first, *work_last;
    uint32_t work_count;
    uint64_t id_next;
    bool writer_due;
    uint64_t timer_at_ms; /* Of the event that is queued; UINT64_MAX: none. */
    uint64_t timer_token;
    bool crash_armed;
    meshsync_sim_crash_kind crash_kind;
    uint32_t dials[MSY_SIM_DIALS_MAX];
    uint32_t dials_count;
    uint32_t link_next; /* Next even number. */
    uint64_t alarms;
    struct msy_replica_effects replica_effects;
    struct msy_mesh_effects mesh_effects;
};

/* One direction of a connection: pieces in order, each with the time at which it is due. */
struct msy_sim_piece {
    uint64_t sent_us, due_us;
    uint32_t len;
    bool last; /* The sender closed behind it. */
};
struct msy_sim_flow {
    struct msy_buf bytes;
    struct msy_sim_piece *pieces;
    uint32_t first, count, cap;
    uint64_t free_at_us; /* The wire is busy until then. */
    uint64_t due_us;     /* Of the piece sent last. */
    bool scheduled;
};

enum msy_sim_end_state {
    MSY_SIM_END_NONE = 0, /* Not yet there. */
    MSY_SIM_END_UP = 1,
    MSY_SIM_END_GONE = 2 /* Closed, crashed or forgotten: what arrives is answered by a reset. */
};

struct msy_sim_end {
    uint32_t node;
    uint32_t life;
    uint32_t link;
    enum msy_sim_end_state state;
};

struct msy_sim_connection {
    uint64_t id; /* 0: a free slot. */
    uint32_t active_at;
    bool forgotten;               /* What is sent vanishes. */
    struct msy_sim_end ends[2];   /* 0 dialled. */
    struct msy_sim_flow flows[2]; /* From ends[i]. */
};

struct msy_sim_path {
    uint64_t latency_us_min, latency_us_max, bytes_per_s, tail_permille, tail_us_max;
    bool cut;
    uint32_t corrupt; /* Pieces still to damage. */
};

/* Reads lend from here until the next call. */
struct msy_sim_reader {
    struct msy_store_txn *txn;
    struct msy_view view;
};

struct meshsync_sim {
    struct msy_alloc alloc;
    meshsync_sim_options options;
    struct msy_prng prng;  /* Of the world. */
    struct msy_prng draws; /* Of the test. */
    struct msy_sim_queue queue;
    uint64_t now_us;
    struct msy_sim_node *nodes[MESHSYNC_SIM_NODES_MAX];
    uint32_t nodes_count;
    struct msy_sim_path paths[MESHSYNC_SIM_NODES_MAX][MESHSYNC_SIM_NODES_MAX];
    struct msy_sim_connection *connections; /* MSY_SIM_CONNECTIONS_MAX of them. */
    uint32_t *active; /* Slots in use, in an order that depends on the run alone. */
    uint32_t active_count;
    uint64_t connection_next;
    struct msy_verified *verified; /* Owned: each signature is verified once for all nodes. */
    struct msy_ticket tickets[MESHSYNC_SIM_SPACES_MAX];
    bool has_space[MESHSYNC_SIM_SPACES_MAX];
    uint32_t chosen; /* Space. */
    struct msy_sim_reader reader;
    bool reading;
    uint8_t trace[MSY_HASH_BYTES];
    struct msy_buf trace_bytes;
    meshsync_sim_stats stats;
    struct msy_sim_hooks hooks;
    meshsync_status failed;
    char failed_words[128];
};

/* cluster.c: the world. */
void msy_sim_trace_add(struct meshsync_sim *sim, uint32_t what, uint32_t node, const void *data,
                       size_t len);
uint64_t msy_sim_between(struct meshsync_sim *sim, uint64_t min, uint64_t max);
void msy_sim_at(struct meshsync_sim *sim, struct msy_sim_event *event, uint64_t delay_us);
/* The simulation cannot go on. */
void msy_sim_break(struct meshsync_sim *sim, meshsync_status status, const char *words);
struct msy_sim_node *msy_sim_node(const struct meshsync_sim *sim, uint32_t node);
void msy_sim_hook(struct meshsync_sim *sim, const struct msy_sim_hooks *hooks);

/* node.c: a node's machines. */
meshsync_status msy_sim_node_new(struct meshsync_sim *sim, const uint8_t seed[MSY_SIGN_SEED_BYTES],
                                 struct msy_store *store, struct msy_sim_node **node,
                                 meshsync_error *error);
void msy_sim_node_free(struct msy_sim_node *node);
meshsync_status msy_sim_node_start(struct msy_sim_node *node, meshsync_error *error);
void msy_sim_node_stop(struct msy_sim_node *node, bool told);
uint64_t msy_sim_node_unix_ms(const struct msy_sim_node *node);
void msy_sim_node_mesh(struct msy_sim_node *node, struct msy_mesh_event *event);
/* Begins again because a machine had no memory. */
void msy_sim_node_anew(struct msy_sim_node *node);
void msy_sim_node_back(struct msy_sim_node *node);
/* The local number of the chosen space. */
void msy_sim_node_set_space(struct msy_sim_node *node, uint32_t number);
void msy_sim_node_timer(struct msy_sim_node *node, uint64_t token);
void msy_sim_node_look(struct msy_sim_node *node);
meshsync_status msy_sim_node_dial(struct msy_sim_node *node, uint32_t to);
/* Finds the local numbers of the spaces in the store. */
meshsync_status msy_sim_node_find_spaces(struct msy_sim_node *node);
void msy_sim_address(uint32_t node, uint32_t port, char *text, size_t text_len);

/* writer.c: what waits for a node's store. */
struct msy_sim_work *msy_sim_work_new(struct msy_sim_node *node);
void msy_sim_work_free(struct msy_sim_node *node, struct msy_sim_work *work);
/* Takes work over. */
void msy_sim_work_push(struct msy_sim_node *node, struct msy_sim_work *work);
void msy_sim_writer_run(struct msy_sim_node *node);
/* Did the process end at an action of its store? Counts it. */
bool msy_sim_writer_died(struct msy_sim_node *node);
/* Answers all that waits with E_CANCELLED. */
void msy_sim_writer_cancel(struct msy_sim_node *node);
/* Steps the replica with one event at once, apart from the queue, and performs the effects. */
meshsync_status msy_sim_writer_now(struct msy_sim_node *node, struct msy_replica_event *event,
                                   uint32_t *space, meshsync_error *error);

/* net.c: connections. */
meshsync_status msy_sim_net_init(struct meshsync_sim *sim);
void msy_sim_net_fini(struct meshsync_sim *sim);
/* A beacon to all who look at the local network, and what comes of it later. */
void msy_sim_net_beacon(struct msy_sim_node *node, meshsync_bytes bytes);
void msy_sim_net_on_beacon(struct meshsync_sim *sim, const struct msy_sim_event *event);
void msy_sim_net_dial(struct msy_sim_node *node, uint32_t link, const char *text);
void msy_sim_net_send(struct msy_sim_node *node, uint32_t link, meshsync_bytes bytes);
void msy_sim_net_close(struct msy_sim_node *node, uint32_t link);
void msy_sim_net_event(struct meshsync_sim *sim, const struct msy_sim_event *event);
/* All ends of a node are gone; told: its peers get a reset. */
void msy_sim_net_drop_node(struct msy_sim_node *node, bool told);
/* What waits between two nodes goes on. */
void msy_sim_net_resume(struct meshsync_sim *sim, uint32_t from, uint32_t to);
/* Breaks what connects two nodes. */
uint32_t msy_sim_net_break(struct meshsync_sim *sim, uint32_t a, uint32_t b, bool told);

/* read.c */
void msy_sim_read_end(struct meshsync_sim *sim);

#endif
