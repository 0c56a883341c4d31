/* SPDX-License-Identifier: Apache-2.0 */
#include "mesh.h"

#include <string.h>

#include <uv.h>

#include "own.h"

/* More ops than this would fill what the writer takes before it says to come again. */
enum { MESH_FLIGHTS = 100, MESH_FLIGHT_OPS = 100000 };

static void mesh_open_node(struct mesh_node *mesh)
{
    meshsync_error error = {0};
    meshsync_options options;
    meshsync_options_init(&options, sizeof options);
    options.path = mesh->folder;
    options.store_map_bytes = (uint64_t)16 << 30;
    options.store_bytes_max = (uint64_t)16 << 30;
    kit_ok(meshsync_node_open(&options, &mesh->node, &error), &error, "open");
}

void mesh_open(struct mesh_node *mesh)
{
    kit_folder(mesh->folder);
    mesh->address[0] = '\0';
    mesh_open_node(mesh);
    mesh_online(mesh);
}

void mesh_close(struct mesh_node *mesh)
{
    kit_ok(meshsync_node_close(mesh->node), NULL, "close");
    kit_remove(mesh->folder);
}

void mesh_open_all(struct mesh_node *nodes, uint32_t count)
{
    meshsync_error error = {0};
    char ticket[MESHSYNC_TICKET_TEXT_BYTES_MAX];
    for (uint32_t i = 0; i < count; i++) {
        mesh_open(&nodes[i]);
    }
    kit_ok(meshsync_space_create(nodes[0].node, "bench", &nodes[0].space, &error), &error, "space");
    kit_ok(meshsync_collection_create(nodes[0].space, "data", MESHSYNC_REGISTER, MESHSYNC_VIEW_LWW,
                                      NULL, 0, &error),
           &error, "collection");
    kit_ok(meshsync_collection_create(nodes[0].space, "sums", MESHSYNC_COUNTER, MESHSYNC_VIEW_LWW,
                                      NULL, 0, &error),
           &error, "collection");
    kit_ok(meshsync_space_invite(nodes[0].space, 0, ticket, &error), &error, "invite");
    for (uint32_t i = 1; i < count; i++) {
        kit_ok(meshsync_space_join(nodes[i].node, ticket, NULL, &nodes[i].space, &error), &error,
               "join");
        mesh_wait(&nodes[i], &nodes[0]);
    }
}

void mesh_close_all(struct mesh_node *nodes, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        mesh_close(&nodes[i]);
    }
}

void mesh_offline(struct mesh_node *mesh)
{
    meshsync_error error = {0};
    kit_ok(meshsync_node_close(mesh->node), NULL, "close");
    mesh_open_node(mesh);
    kit_ok(meshsync_space_find(mesh->node, "bench", &mesh->space, &error), &error, "find");
}

void mesh_online(struct mesh_node *mesh)
{
    meshsync_error error = {0};
    char bound[MESHSYNC_ADDRESS_BYTES_MAX];
    const char *address = mesh->address[0] == '\0' ? "127.0.0.1:0" : mesh->address;
    kit_ok(meshsync_node_start(mesh->node, &error), &error, "start");
    kit_ok(meshsync_node_listen(mesh->node, address, bound, &error), &error, "listen");
    memcpy(mesh->address, bound, sizeof bound);
}

void mesh_wait(struct mesh_node *at, struct mesh_node *whose)
{
    meshsync_error error = {0};
    meshsync_token token;
    kit_ok(meshsync_space_version(whose->space, &token, &error), &error, "version");
    kit_ok(meshsync_wait(at->space, &token, 0, MESH_WAIT_MS, &error), &error, "the other node");
}

meshsync_stats mesh_stats(const struct mesh_node *mesh)
{
    meshsync_stats stats = {.size = sizeof stats};
    kit_ok(meshsync_node_stats(mesh->node, &stats), NULL, "stats");
    return stats;
}

static void mesh_done(void *user, meshsync_status status, const meshsync_token *token,
                      const meshsync_error *error)
{
    (void)token;
    kit_ok(status, error, "asynchronous commit");
    uv_sem_post(user);
}

void mesh_flow(struct mesh_node *mesh, uint64_t round, uint64_t first, uint64_t count,
               uint64_t batch)
{
    uv_sem_t room;
    meshsync_error error = {0};
    uint64_t flights =
        MESH_FLIGHT_OPS / batch < MESH_FLIGHTS ? MESH_FLIGHT_OPS / batch : MESH_FLIGHTS;
    if (uv_sem_init(&room, (unsigned)flights) != 0) {
        kit_fail("uv_sem_init", "failed");
    }
    for (uint64_t done = 0; done < count; done += batch) {
        meshsync_txn *txn = NULL;
        uint64_t end = done + batch < count ? done + batch : count;
        uv_sem_wait(&room);
        kit_ok(meshsync_txn_begin(mesh->space, &txn, &error), &error, "begin");
        for (uint64_t i = done; i < end; i++) {
            own_put(txn, round, first + i);
        }
        kit_ok(meshsync_txn_commit_async(txn, NULL, mesh_done, &room, &error), &error, "commit");
    }
    for (uint64_t i = 0; i < flights; i++) {
        uv_sem_wait(&room);
    }
    uv_sem_destroy(&room);
}
