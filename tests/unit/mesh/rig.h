/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A few nodes made of the two real machines over stores in memory, and links that carry bytes after
 * a fixed time. For tests that look closely at the mesh machine; whole clusters are in tests/sim.
 */
#ifndef MESHSYNC_TESTS_UNIT_MESH_RIG_H
#define MESHSYNC_TESTS_UNIT_MESH_RIG_H

#include "fault/fail_store.h"
#include "mesh/mesh.h"
#include "replica/replica.h"
#include "secure/ticket.h"

enum { RIG_NODES_MAX = 8, RIG_LINKS_MAX = 256, RIG_EVENTS_MAX = 65536 };

struct rig;

struct rig_node {
    struct rig *rig;
    uint32_t index;
    struct msy_prng prng;
    struct msy_identity *identity;
    struct msy_store *store;
    struct msy_store *backup;
    struct msy_replica *replica;
    struct msy_mesh *mesh;
    struct msy_alloc mesh_alloc; /* Of the mesh machine alone, so that a test can make it fail. */
    struct msy_replica_effects replica_effects;
    uint32_t space;
    uint64_t timer_ms;
    uint32_t link_next; /* Even. */
    bool failed;        /* Its mesh machine gave up, as it may: a shell would begin it anew. */
    uint64_t lacks;     /* Feature bits that it does not know; from its next start on. */
    uint32_t sketch_tips_min;              /* As of msy_mesh_offer; from its next start on. */
    uint64_t total_rate, peer_rate, burst; /* From its next start on. */
    bool deaf; /* Received changes are not given to the replica, nor answered. */
    uint32_t alarms, synced, came, went, dialled, beacons_due;
    uint8_t beacon[1024]; /* The last it made. */
    size_t beacon_len;
    meshsync_status went_status;
};

/* Two ends of a connection. */
struct rig_link {
    bool used;
    bool up[2];
    uint32_t node[2];
    uint32_t number[2];
    bool stuck; /* Carries nothing any more, and does not say so. */
    bool full;  /* Carries, but never tells its sender that it did. */
    uint64_t bytes;
};

enum rig_event_type { RIG_CONNECTED, RIG_REFUSED, RIG_BYTES, RIG_CLOSED };
struct rig_event {
    uint64_t at_ms;
    uint64_t order;
    enum rig_event_type type;
    uint32_t link;
    uint32_t side; /* Who gets it. */
    uint8_t *bytes;
    size_t len;
};

struct rig {
    struct msy_alloc alloc;
    uint64_t now_ms;
    uint64_t latency_ms;
    uint32_t count;
    struct rig_node nodes[RIG_NODES_MAX];
    struct rig_link links[RIG_LINKS_MAX];
    uint32_t links_count;
    struct rig_event *events;
    uint32_t events_count;
    uint64_t order_next;
    bool cut[RIG_NODES_MAX][RIG_NODES_MAX];
    struct msy_ticket ticket;
    struct msy_log log;
    struct fail_plan *plan;   /* NULL, or what makes the stores fail below mesh machines. */
    uint32_t plan_node;       /* Of this node alone. */
    uint32_t sketch_tips_min; /* Of nodes that have none of their own; kept by rig_open. */
};

/* Node i has a key of its own from seed i; MESHSYNC_TEST_LOG in the environment shows the logs. */
void rig_open(struct rig *rig, uint32_t count);
void rig_close(struct rig *rig);
/* The machines of a node anew over the same store, as after a restart: its links are reset. */
void rig_restart(struct rig *rig, uint32_t node);
/* Keeps a copy of a node's store, and restarts the node with that copy. */
void rig_backup(struct rig *rig, uint32_t node);
void rig_restore(struct rig *rig, uint32_t node);
/* One more node, with nothing; its number. */
uint32_t rig_add(struct rig *rig);
/* A copy of a node, with its key and its store, as one more node. */
uint32_t rig_clone(struct rig *rig, uint32_t node);
/* Node 0 founds a space with an invitation; the others join and dial 0 (all: dial each other). */
void rig_found(struct rig *rig);
void rig_join(struct rig *rig, uint32_t node);
void rig_leave(struct rig *rig, uint32_t node);
void rig_dial(struct rig *rig, uint32_t from, uint32_t to);
void rig_event(struct rig *rig, uint32_t node, struct msy_mesh_event *event);
void rig_run(struct rig *rig, uint64_t ms);
/* Until all are quiet, at most ms; false when they are not. */
bool rig_settle(struct rig *rig, uint64_t ms);
void rig_put(struct rig *rig, uint32_t node, const char *key, const char *value);
/* One change of about len bytes. */
void rig_put_large(struct rig *rig, uint32_t node, const char *key, size_t len);
/* How many changes a node holds. */
uint64_t rig_changes(struct rig *rig, uint32_t node);
bool rig_same(struct rig *rig, uint32_t a, uint32_t b);
uint64_t rig_sessions(struct rig *rig, uint32_t node);
/* Closes all links between two nodes; cut: and lets no new ones be made. */
void rig_break(struct rig *rig, uint32_t a, uint32_t b, bool cut);
void rig_heal(struct rig *rig, uint32_t a, uint32_t b);
/* Nothing is carried between them any more. */
void rig_stick(struct rig *rig, uint32_t a, uint32_t b);
/* The tip that a node wrote last. */
struct msy_tip rig_tip(struct rig *rig, uint32_t node);

#endif
