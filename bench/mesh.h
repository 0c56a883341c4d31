/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes on loopback that share one space, each in a folder that goes away. */
#ifndef BENCH_MESH_H
#define BENCH_MESH_H

#include "kit.h"

enum { MESH_NODES_MAX = 16, MESH_WAIT_MS = 600000 };

struct mesh_node {
    char folder[KIT_PATH_BYTES_MAX];
    char address[MESHSYNC_ADDRESS_BYTES_MAX];
    meshsync_node *node;
    meshsync_space *space;
};

/* Opens a node in a new folder, with the network. */
void mesh_open(struct mesh_node *mesh);
void mesh_close(struct mesh_node *mesh);
/* The first makes the space with a collection "data" of registers and one "sums" of counters, and
 * listens; the others join, and wait until they have both. */
void mesh_open_all(struct mesh_node *nodes, uint32_t count);
void mesh_close_all(struct mesh_node *nodes, uint32_t count);
/* The same store without a network, and with one again: each opening writes as a new actor. */
void mesh_offline(struct mesh_node *mesh);
void mesh_online(struct mesh_node *mesh);
/* Until a node has, durable and visible, what another has now. */
void mesh_wait(struct mesh_node *at, struct mesh_node *whose);
meshsync_stats mesh_stats(const struct mesh_node *mesh);
/* Commits puts first to first + count - 1 of a round in transactions of so many, at most 100 in
 * flight, until all are durable there. */
void mesh_flow(struct mesh_node *mesh, uint64_t round, uint64_t first, uint64_t count,
               uint64_t batch);

#endif
