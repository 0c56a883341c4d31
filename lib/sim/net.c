/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network: connections that behave as TCP does. Bytes arrive in order or not at all; a cut
 * holds them back; an end that is gone answers with a reset, if its machine runs and the way is
 * open.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "sim/cluster.h"

enum {
    NET_PORT_FIRST = 50000,
    NET_RETRY_US_MAX = 400000,
    NET_FLOW_BYTES_MAX = 256 << 20,
    NET_DRAINED_EVERY = 4
};

meshsync_status msy_sim_net_init(struct meshsync_sim *sim)
{
    sim->connections =
        msy_new_array(&sim->alloc, MSY_SIM_CONNECTIONS_MAX, sizeof *sim->connections);
    sim->active = msy_new_array(&sim->alloc, MSY_SIM_CONNECTIONS_MAX, sizeof *sim->active);
    return sim->connections != NULL && sim->active != NULL ? MESHSYNC_OK : MESHSYNC_E_NO_MEMORY;
}

static void net_free(struct meshsync_sim *sim, struct msy_sim_connection *connection)
{
    for (uint32_t i = 0; i < 2; i++) {
        struct msy_sim_flow *flow = &connection->flows[i];
        msy_buf_fini(&flow->bytes);
        msy_free(&sim->alloc, flow->pieces, flow->cap * sizeof *flow->pieces);
    }
    sim->active_count -= 1;
    sim->active[connection->active_at] = sim->active[sim->active_count];
    sim->connections[sim->active[connection->active_at]].active_at = connection->active_at;
    memset(connection, 0, sizeof *connection);
}

void msy_sim_net_fini(struct meshsync_sim *sim)
{
    while (sim->active_count > 0) {
        net_free(sim, &sim->connections[sim->active[0]]);
    }
    msy_free(&sim->alloc, sim->connections, MSY_SIM_CONNECTIONS_MAX * sizeof *sim->connections);
    msy_free(&sim->alloc, sim->active, MSY_SIM_CONNECTIONS_MAX * sizeof *sim->active);
    sim->connections = NULL;
    sim->active = NULL;
}

static struct msy_sim_connection *net_find(struct meshsync_sim *sim, uint64_t id)
{
    struct msy_sim_connection *connection = &sim->connections[id % MSY_SIM_CONNECTIONS_MAX];
    return connection->id == id ? connection : NULL;
}

/* A free slot whose number gives it away: ids grow and never return. */
static struct msy_sim_connection *net_new(struct meshsync_sim *sim)
{
    for (uint32_t i = 0; i < MSY_SIM_CONNECTIONS_MAX; i++) {
        uint64_t id = ++sim->connection_next;
        struct msy_sim_connection *connection = &sim->connections[id % MSY_SIM_CONNECTIONS_MAX];
        if (connection->id == 0) {
            memset(connection, 0, sizeof *connection);
            connection->id = id;
            connection->active_at = sim->active_count;
            sim->active[sim->active_count++] = (uint32_t)(id % MSY_SIM_CONNECTIONS_MAX);
            for (uint32_t k = 0; k < 2; k++) {
                msy_buf_init(&connection->flows[k].bytes, &sim->alloc, NET_FLOW_BYTES_MAX);
            }
            return connection;
        }
    }
    msy_sim_break(sim, MESHSYNC_E_LIMIT, "too many connections");
    return NULL;
}

static struct msy_sim_path *net_path(struct meshsync_sim *sim,
                                     const struct msy_sim_connection *connection, uint32_t side)
{
    return &sim->paths[connection->ends[side].node][connection->ends[1 - side].node];
}

static uint64_t net_latency(struct meshsync_sim *sim, const struct msy_sim_path *path)
{
    uint64_t us = msy_sim_between(sim, path->latency_us_min, path->latency_us_max);
    if (path->tail_permille > 0 && msy_sim_between(sim, 1, 1000) <= path->tail_permille) {
        us += msy_sim_between(sim, 0, path->tail_us_max);
        sim->stats.tails += 1;
    }
    return us;
}

static bool net_alive(const struct meshsync_sim *sim, const struct msy_sim_end *end)
{
    const struct msy_sim_node *node = sim->nodes[end->node];
    return end->state == MSY_SIM_END_UP && node->up && node->life == end->life;
}

static void net_arrange(struct meshsync_sim *sim, const struct msy_sim_connection *connection,
                        enum msy_sim_event_type type, uint32_t side, uint64_t delay_us)
{
    struct msy_sim_event event = {.type = type, .side = side, .token = connection->id};
    event.node = connection->ends[side].node;
    msy_sim_at(sim, &event, delay_us);
}

/* The slot is free again when neither end is there and nothing can arrive. */
static void net_settle(struct meshsync_sim *sim, struct msy_sim_connection *connection)
{
    if (connection->ends[0].state == MSY_SIM_END_GONE &&
        connection->ends[1].state == MSY_SIM_END_GONE) {
        net_free(sim, connection);
    }
}

/* --- connecting ------------------------------------------------------------------------------ */

static void net_link_down(struct meshsync_sim *sim, const struct msy_sim_end *end,
                          const char *words)
{
    struct msy_mesh_event event = {.type = MSY_MESH_LINK_DOWN,
                                   .link = end->link,
                                   .status = MESHSYNC_E_UNREACHABLE,
                                   .text = words};
    msy_sim_node_mesh(sim->nodes[end->node], &event);
}

/* --- beacons ---------------------------------------------------------------------------------- */

void msy_sim_net_beacon(struct msy_sim_node *node, meshsync_bytes bytes)
{
    struct meshsync_sim *sim = node->sim;
    if (bytes.len > sizeof node->beacon) {
        return; /* The network carries no larger ones. */
    }
    memcpy(node->beacon, bytes.data, bytes.len);
    node->beacon_len = bytes.len;
    for (uint32_t i = 0; i < sim->nodes_count; i++) {
        const struct msy_sim_path *path = &sim->paths[node->index][i];
        const struct msy_sim_node *to = sim->nodes[i];
        if (to->on_lan && to->up && (i == node->index || !path->cut)) {
            struct msy_sim_event event = {
                .type = MSY_SIM_HEARD, .node = i, .life = to->life, .side = node->index};
            msy_sim_at(sim, &event, net_latency(sim, path));
        }
    }
}

void msy_sim_net_on_beacon(struct meshsync_sim *sim, const struct msy_sim_event *event)
{
    struct msy_sim_node *node = sim->nodes[event->node];
    bool heard = event->type == MSY_SIM_HEARD;
    const struct msy_sim_node *from = heard ? sim->nodes[event->side] : node;
    char host[MESHSYNC_ADDRESS_BYTES_MAX];
    if (!node->up || node->life != event->life) {
        return;
    }
    msy_sim_address(from->index, 0, host, sizeof host);
    *strrchr(host, ':') = '\0';
    struct msy_mesh_event said = {.type = heard ? MSY_MESH_BEACON_IN : MSY_MESH_BEACON_FROM,
                                  .text = host};
    if (heard) {
        said.bytes = msy_bytes(from->beacon, from->beacon_len);
    }
    msy_sim_node_mesh(node, &said);
}

void msy_sim_net_dial(struct msy_sim_node *node, uint32_t link, const char *text)
{
    struct meshsync_sim *sim = node->sim;
    struct msy_sim_connection *connection = net_new(sim);
    unsigned long number = 0;
    if (connection == NULL) {
        return;
    }
    if (strncmp(text, "10.0.0.", 7) == 0) {
        number = strtoul(text + 7, NULL, 10);
    }
    struct msy_sim_end dialler = {node->index, node->life, link, MSY_SIM_END_UP};
    connection->ends[0] = dialler;
    if (number == 0 || number > sim->nodes_count) {
        connection->ends[1] = dialler;
        connection->ends[1].state = MSY_SIM_END_GONE;
        net_arrange(sim, connection, MSY_SIM_BROKEN, 0, MSY_SIM_CONNECT_MS_MAX * 1000);
        return;
    }
    connection->ends[1].node = (uint32_t)number - 1;
    net_arrange(sim, connection, MSY_SIM_CONNECT, 1,
                net_latency(sim, net_path(sim, connection, 0)));
}

static void net_on_connect(struct meshsync_sim *sim, struct msy_sim_connection *connection)
{
    struct msy_sim_end *here = &connection->ends[1];
    struct msy_sim_node *node = sim->nodes[here->node];
    uint64_t back_us = net_latency(sim, net_path(sim, connection, 1));
    bool open = !net_path(sim, connection, 0)->cut && !net_path(sim, connection, 1)->cut;
    if (!open || !node->powered) {
        here->state = MSY_SIM_END_GONE;
        net_arrange(sim, connection, MSY_SIM_BROKEN, 0, MSY_SIM_CONNECT_MS_MAX * 1000);
        return;
    }
    if (!node->up) {
        here->state = MSY_SIM_END_GONE;
        net_arrange(sim, connection, MSY_SIM_BROKEN, 0, back_us);
        return;
    }
    char address[MESHSYNC_ADDRESS_BYTES_MAX];
    msy_sim_address(connection->ends[0].node, NET_PORT_FIRST + (uint32_t)(connection->id % 10000),
                    address, sizeof address);
    struct msy_mesh_event event = {.type = MSY_MESH_LINK_UP, .accepted = 1, .text = address};
    here->life = node->life;
    here->link = node->link_next;
    connection->flows[1].due_us = sim->now_us + back_us; /* Nothing overtakes the answer. */
    node->link_next += 2;
    here->state = MSY_SIM_END_UP;
    event.link = here->link;
    sim->stats.connections += 1;
    net_arrange(sim, connection, MSY_SIM_ANSWER, 0, back_us);
    msy_sim_node_mesh(node, &event);
}

static void net_on_answer(struct meshsync_sim *sim, struct msy_sim_connection *connection)
{
    char address[MESHSYNC_ADDRESS_BYTES_MAX];
    struct msy_mesh_event event = {
        .type = MSY_MESH_LINK_UP, .link = connection->ends[0].link, .text = address};
    if (!net_alive(sim, &connection->ends[0])) {
        net_arrange(sim, connection, MSY_SIM_BROKEN, 1, 1);
        return;
    }
    msy_sim_address(connection->ends[1].node, MSY_SIM_PORT, address, sizeof address);
    msy_sim_node_mesh(sim->nodes[connection->ends[0].node], &event);
}

/* --- carrying -------------------------------------------------------------------------------- */

static struct msy_sim_connection *net_by_link(struct msy_sim_node *node, uint32_t link,
                                              uint32_t *side)
{
    for (uint32_t i = 0; i < node->sim->active_count; i++) {
        struct msy_sim_connection *connection = &node->sim->connections[node->sim->active[i]];
        for (uint32_t k = 0; k < 2; k++) {
            const struct msy_sim_end *end = &connection->ends[k];
            if (end->node == node->index && end->life == node->life && end->link == link &&
                end->state == MSY_SIM_END_UP) {
                *side = k;
                return connection;
            }
        }
    }
    return NULL;
}

static void net_schedule(struct meshsync_sim *sim, struct msy_sim_connection *connection,
                         uint32_t side)
{
    struct msy_sim_flow *flow = &connection->flows[side];
    if (flow->scheduled || flow->count == 0) {
        return;
    }
    uint64_t due_us = flow->pieces[flow->first].due_us;
    flow->scheduled = true;
    net_arrange(sim, connection, MSY_SIM_FLOW, side,
                due_us > sim->now_us ? due_us - sim->now_us : 0);
}

static void net_append(struct meshsync_sim *sim, struct msy_sim_connection *connection,
                       uint32_t side, meshsync_bytes bytes, bool last)
{
    struct msy_sim_flow *flow = &connection->flows[side];
    const struct msy_sim_path *path = net_path(sim, connection, side);
    if (flow->first + flow->count == flow->cap) {
        if (flow->first > 0) {
            memmove(flow->pieces, flow->pieces + flow->first, flow->count * sizeof *flow->pieces);
            flow->first = 0;
        } else {
            uint32_t cap = flow->cap == 0 ? 16 : flow->cap * 2;
            void *grown = msy_resize(&sim->alloc, flow->pieces, flow->cap * sizeof *flow->pieces,
                                     cap * sizeof *flow->pieces);
            if (grown == NULL) {
                msy_sim_break(sim, MESHSYNC_E_NO_MEMORY, "a connection");
                return;
            }
            flow->pieces = grown;
            flow->cap = cap;
        }
    }
    if (msy_buf_append(&flow->bytes, bytes.data, bytes.len) != MESHSYNC_OK) {
        msy_sim_break(sim, MESHSYNC_E_NO_MEMORY, "a connection's bytes");
        return;
    }
    uint64_t start_us = flow->free_at_us > sim->now_us ? flow->free_at_us : sim->now_us;
    uint64_t wire_us = path->bytes_per_s == 0 ? 0 : bytes.len * 1000000 / path->bytes_per_s;
    flow->free_at_us = start_us + wire_us;
    uint64_t due_us = flow->free_at_us + net_latency(sim, path);
    flow->due_us = due_us > flow->due_us ? due_us : flow->due_us; /* In order. */
    struct msy_sim_piece piece = {sim->now_us, flow->due_us, (uint32_t)bytes.len, last};
    flow->pieces[flow->first + flow->count] = piece;
    flow->count += 1;
    net_schedule(sim, connection, side);
}

/* What is unsent, as a socket would say: what the wire has not taken yet. */
static void net_tell_drained(struct meshsync_sim *sim, struct msy_sim_connection *connection,
                             uint32_t side)
{
    struct msy_mesh_event event = {.type = MSY_MESH_LINK_DRAINED,
                                   .link = connection->ends[side].link,
                                   .out_bytes = connection->flows[side].bytes.len};
    if (net_alive(sim, &connection->ends[side])) {
        msy_sim_node_mesh(sim->nodes[connection->ends[side].node], &event);
    }
}

void msy_sim_net_send(struct msy_sim_node *node, uint32_t link, meshsync_bytes bytes)
{
    uint32_t side = 0;
    struct msy_sim_connection *connection = net_by_link(node, link, &side);
    if (connection == NULL || connection->forgotten) {
        return; /* It broke, and the news may be on its way. */
    }
    while (bytes.len > 0) {
        size_t n = msy_sim_between(node->sim, 1, MSY_SIM_PIECE_BYTES_MAX);
        n = n < bytes.len ? n : bytes.len;
        net_append(node->sim, connection, side, msy_bytes(bytes.data, n), false);
        bytes.data += n;
        bytes.len -= n;
    }
}

void msy_sim_net_close(struct msy_sim_node *node, uint32_t link)
{
    uint32_t side = 0;
    struct msy_sim_connection *connection = net_by_link(node, link, &side);
    if (connection == NULL) {
        return;
    }
    if (!connection->forgotten) {
        net_append(node->sim, connection, side, msy_bytes(NULL, 0), true);
    }
    connection->ends[side].state = MSY_SIM_END_GONE;
    net_settle(node->sim, connection);
}

/* A piece reached an end that is not there. */
static void net_refuse(struct meshsync_sim *sim, struct msy_sim_connection *connection,
                       uint32_t side)
{
    const struct msy_sim_end *end = &connection->ends[1 - side];
    if (sim->nodes[end->node]->powered && !net_path(sim, connection, 1 - side)->cut) {
        net_arrange(sim, connection, MSY_SIM_BROKEN, side,
                    net_latency(sim, net_path(sim, connection, 1 - side)));
    }
}

static void net_corrupt(struct meshsync_sim *sim, struct msy_sim_path *path, uint8_t *data,
                        size_t len)
{
    if (path->corrupt == 0 || len == 0) {
        return;
    }
    path->corrupt -= 1;
    data[msy_prng_below(&sim->prng, len)] ^= (uint8_t)(1 + msy_prng_below(&sim->prng, 255));
    sim->stats.corruptions += 1;
}

static void net_deliver(struct meshsync_sim *sim, struct msy_sim_connection *connection,
                        uint32_t side, const struct msy_sim_piece *piece)
{
    struct msy_sim_flow *flow = &connection->flows[side];
    struct msy_sim_end *end = &connection->ends[1 - side];
    uint64_t id = connection->id;
    if (!net_alive(sim, end)) {
        msy_buf_consume(&flow->bytes, piece->len);
        net_refuse(sim, connection, side);
        return;
    }
    net_corrupt(sim, net_path(sim, connection, side), flow->bytes.data, piece->len);
    struct msy_sim_node *node = sim->nodes[end->node];
    sim->stats.reordered += piece->sent_us < node->sent_us_last ? 1 : 0;
    node->sent_us_last = piece->sent_us > node->sent_us_last ? piece->sent_us : node->sent_us_last;
    sim->stats.bytes += piece->len;
    if (piece->len > 0) {
        struct msy_mesh_event event = {.type = MSY_MESH_LINK_BYTES,
                                       .link = end->link,
                                       .bytes = msy_bytes(flow->bytes.data, piece->len)};
        /* The step may send on this connection: what it reads must not move. */
        struct msy_buf lent = flow->bytes;
        msy_buf_init(&flow->bytes, &sim->alloc, NET_FLOW_BYTES_MAX);
        msy_sim_node_mesh(sim->nodes[end->node], &event);
        if (net_find(sim, id) == NULL) {
            msy_buf_fini(&lent);
            return;
        }
        msy_buf_consume(&lent, piece->len);
        if (flow->bytes.len > 0 &&
            msy_buf_append(&lent, flow->bytes.data, flow->bytes.len) != MESHSYNC_OK) {
            msy_sim_break(sim, MESHSYNC_E_NO_MEMORY, "a connection's bytes");
        }
        msy_buf_fini(&flow->bytes);
        flow->bytes = lent;
    }
    if (piece->last && net_find(sim, id) != NULL && net_alive(sim, end)) {
        struct msy_sim_end gone = *end;
        end->state = MSY_SIM_END_GONE;
        net_settle(sim, connection);
        net_link_down(sim, &gone, "closed by the peer");
        return;
    }
    if (flow->bytes.len == 0 || flow->count % NET_DRAINED_EVERY == 0) {
        net_tell_drained(sim, connection, side);
    }
}

static void net_on_flow(struct meshsync_sim *sim, struct msy_sim_connection *connection,
                        uint32_t side)
{
    struct msy_sim_flow *flow = &connection->flows[side];
    uint64_t id = connection->id;
    flow->scheduled = false;
    if (flow->count == 0 || net_path(sim, connection, side)->cut) {
        return; /* A cut: it goes on when the way is open again. */
    }
    struct msy_sim_piece piece = flow->pieces[flow->first];
    flow->first += 1;
    flow->count -= 1;
    net_deliver(sim, connection, side, &piece);
    connection = net_find(sim, id);
    if (connection != NULL) {
        net_schedule(sim, connection, side);
    }
}

static void net_on_broken(struct meshsync_sim *sim, struct msy_sim_connection *connection,
                          uint32_t side)
{
    struct msy_sim_end gone = connection->ends[side];
    bool alive = net_alive(sim, &gone);
    connection->ends[side].state = MSY_SIM_END_GONE;
    net_settle(sim, connection);
    if (alive) {
        net_link_down(sim, &gone, "connection lost");
    }
}

void msy_sim_net_event(struct meshsync_sim *sim, const struct msy_sim_event *event)
{
    struct msy_sim_connection *connection = net_find(sim, event->token);
    if (connection == NULL) {
        return;
    }
    switch (event->type) {
    case MSY_SIM_CONNECT: net_on_connect(sim, connection); return;
    case MSY_SIM_ANSWER: net_on_answer(sim, connection); return;
    case MSY_SIM_FLOW: net_on_flow(sim, connection, event->side); return;
    case MSY_SIM_BROKEN: net_on_broken(sim, connection, event->side); return;
    case MSY_SIM_TIMER:
    case MSY_SIM_SECOND:
    case MSY_SIM_ANEW:
    case MSY_SIM_BACK:
    case MSY_SIM_BEACON:
    case MSY_SIM_HEARD:
    case MSY_SIM_WRITER: return; /* Not of the network. */
    }
}

/* --- breaking -------------------------------------------------------------------------------- */

void msy_sim_net_drop_node(struct msy_sim_node *node, bool told)
{
    struct meshsync_sim *sim = node->sim;
    for (uint32_t i = sim->active_count; i > 0; i--) { /* Backwards: settling may free this one. */
        struct msy_sim_connection *connection = &sim->connections[sim->active[i - 1]];
        for (uint32_t k = 0; connection->id != 0 && k < 2; k++) {
            struct msy_sim_end *end = &connection->ends[k];
            if (end->node != node->index || end->state != MSY_SIM_END_UP) {
                continue;
            }
            end->state = MSY_SIM_END_GONE;
            if (told && !connection->forgotten && connection->ends[1 - k].state == MSY_SIM_END_UP &&
                !net_path(sim, connection, k)->cut) {
                net_arrange(sim, connection, MSY_SIM_BROKEN, 1 - k,
                            net_latency(sim, net_path(sim, connection, k)));
            }
            net_settle(sim, connection);
        }
    }
}

void msy_sim_net_resume(struct meshsync_sim *sim, uint32_t from, uint32_t to)
{
    for (uint32_t i = 0; i < sim->active_count; i++) {
        struct msy_sim_connection *connection = &sim->connections[sim->active[i]];
        for (uint32_t k = 0; k < 2; k++) {
            struct msy_sim_flow *flow = &connection->flows[k];
            if (connection->ends[k].node != from || connection->ends[1 - k].node != to ||
                flow->scheduled || flow->count == 0) {
                continue;
            }
            flow->scheduled = true; /* What was sent into the cut is sent again. */
            net_arrange(sim, connection, MSY_SIM_FLOW, k,
                        msy_sim_between(sim, 1, NET_RETRY_US_MAX));
        }
    }
}

uint32_t msy_sim_net_break(struct meshsync_sim *sim, uint32_t a, uint32_t b, bool told)
{
    uint32_t broken = 0;
    for (uint32_t i = 0; i < sim->active_count; i++) {
        struct msy_sim_connection *connection = &sim->connections[sim->active[i]];
        uint32_t x = connection->ends[0].node;
        uint32_t y = connection->ends[1].node;
        if (!((x == a && y == b) || (x == b && y == a)) ||
            connection->ends[0].state != MSY_SIM_END_UP ||
            connection->ends[1].state != MSY_SIM_END_UP) {
            continue;
        }
        broken += 1;
        if (told) {
            net_arrange(sim, connection, MSY_SIM_BROKEN, 0, 1);
            net_arrange(sim, connection, MSY_SIM_BROKEN, 1, 1);
            continue;
        }
        /* Somebody between them forgot it: nothing passes and nobody says so. */
        for (uint32_t k = 0; k < 2; k++) {
            msy_buf_reset(&connection->flows[k].bytes);
            connection->flows[k].count = 0;
            connection->flows[k].first = 0;
        }
        connection->forgotten = true;
    }
    return broken;
}
