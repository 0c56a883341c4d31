/* SPDX-License-Identifier: Apache-2.0 */
/* The crowd: packets, the model of spreading, failures. */
#include "crowd.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum {
    CHANGE_BYTES = 300,
    NOTE_BYTES = 50,
    DIGEST_BYTES = 41,   /* With the seal of its record. */
    TIP_BYTES = 32,      /* Of a vector. */
    DEVICE_BYTES = 60,   /* A device and its address in a message of the view. */
    HEAD_BYTES = 40,     /* Of such a message with its origin and seal. */
    SESSION_BYTES = 700, /* What a session costs both sides before its first message. */
    NOTE_GATHER_US = 5000,
    LOST_US = 200000,    /* Until a lost segment is sent again. */
    DIAL_US = 5000000,   /* Until a silent host is given up. */
    SILENT_US = 6000000, /* Until a silent neighbour is given up, and up to... */
    SILENT_MORE_US = 2000000
};

static bool bit(const uint64_t *words, uint32_t at)
{
    return (words[at / 64] >> (at % 64) & 1) != 0;
}

static void set(uint64_t *words, uint32_t at)
{
    words[at / 64] |= UINT64_C(1) << (at % 64);
}

static void unset(uint64_t *words, uint32_t at)
{
    words[at / 64] &= ~(UINT64_C(1) << (at % 64));
}

static struct msy_near_device device_of(uint32_t node)
{
    struct msy_near_device device = {{0}};
    memcpy(device.key, &node, sizeof node);
    device.key[MSY_NEAR_DEVICE_BYTES - 1] = 1;
    return device;
}

static uint32_t node_of(const struct msy_near_device *device)
{
    uint32_t node = 0;
    memcpy(&node, device->key, sizeof node);
    return node;
}

/* One way between two nodes: 5 to 50 ms, the same both ways and for ever. */
static uint64_t latency_us(uint32_t a, uint32_t b)
{
    uint64_t mixed = a < b ? (uint64_t)a << 32 | b : (uint64_t)b << 32 | a;
    mixed *= UINT64_C(0x9e3779b97f4a7c15);
    mixed ^= mixed >> 29;
    mixed *= UINT64_C(0xbf58476d1ce4e5b9);
    return 5000 + (mixed >> 33) % 45000;
}

static bool reaches(const struct crowd *crowd, uint32_t a, uint32_t b)
{
    return crowd->nodes[b].alive && !(crowd->halved && (a & 1) != (b & 1));
}

static uint32_t slot_of(const struct crowd_node *node, uint32_t peer)
{
    uint32_t at = 0;
    while (at < MSY_NEAR_ACTIVE_MAX && node->slots[at].node != peer) {
        at++;
    }
    return at;
}

/* --- packets ---------------------------------------------------------------------------------- */

static uint32_t packet_new(struct crowd *crowd)
{
    if (crowd->packets_free == CROWD_NOBODY) {
        uint32_t cap = crowd->packets_cap == 0 ? 1024 : crowd->packets_cap * 2;
        crowd->packets =
            msy_resize(&crowd->alloc, crowd->packets, crowd->packets_cap * sizeof *crowd->packets,
                       cap * sizeof *crowd->packets);
        assert_non_null(crowd->packets);
        for (uint32_t i = crowd->packets_cap; i < cap; i++) {
            crowd->packets[i].next = crowd->packets_free;
            crowd->packets_free = i;
        }
        crowd->packets_cap = cap;
    }
    uint32_t at = crowd->packets_free;
    crowd->packets_free = crowd->packets[at].next;
    return at;
}

static void arrange(struct crowd *crowd, uint64_t at_us, enum msy_sim_event_type type,
                    uint32_t node, uint64_t token)
{
    const struct msy_sim_event event = {.at_us = at_us,
                                        .type = type,
                                        .node = node,
                                        .life = crowd->nodes[node].life,
                                        .token = token};
    assert_int_equal(msy_sim_queue_push(&crowd->queue, &event), MESHSYNC_OK);
}

/* node learns that it has no session with peer. */
static void arrange_lost(struct crowd *crowd, uint32_t node, uint32_t peer, uint64_t after_us)
{
    uint64_t token = (uint64_t)crowd->nodes[peer].life << 32 | peer;
    arrange(crowd, crowd->now_us + after_us, MSY_SIM_BROKEN, node, token);
}

static uint64_t silence_us(struct crowd *crowd)
{
    return SILENT_US + msy_prng_below(&crowd->prng, SILENT_MORE_US);
}

static void send(struct crowd *crowd, const struct crowd_packet *packet, uint64_t after_us)
{
    struct crowd_node *from = &crowd->nodes[packet->from];
    uint64_t way_us = latency_us(packet->from, packet->to);
    uint64_t at_us = crowd->now_us + after_us + way_us;
    uint32_t slot = slot_of(from, packet->to);
    crowd->figures.messages++;
    if (slot < MSY_NEAR_ACTIVE_MAX) {
        at_us += msy_prng_below(&crowd->prng, 2000);
        if (msy_prng_below(&crowd->prng, 100) < crowd->loss_percent) {
            at_us += crowd->slow_repeats ? LOST_US + 2 * way_us : 4 * way_us;
        }
        at_us = at_us > from->slots[slot].clear_at_us ? at_us : from->slots[slot].clear_at_us;
        from->slots[slot].clear_at_us = at_us;
    }
    uint32_t at = packet_new(crowd);
    crowd->packets[at] = *packet;
    crowd->packets[at].from_life = from->life;
    crowd->packets[at].to_life = crowd->nodes[packet->to].life;
    arrange(crowd, at_us, MSY_SIM_FLOW, packet->to, at);
}

static void send_short(struct crowd *crowd, enum crowd_kind kind, uint32_t from, uint32_t to,
                       uint32_t change)
{
    struct crowd_packet packet = {.kind = kind, .from = from, .to = to, .change = change};
    bool whole = kind == CROWD_PUSH || kind == CROWD_STREAM;
    if (whole) {
        crowd->figures.change_bytes += CHANGE_BYTES;
    } else {
        crowd->figures.note_bytes += NOTE_BYTES;
    }
    send(crowd, &packet, kind == CROWD_NOTE ? NOTE_GATHER_US : 0);
}

/* --- spreading -------------------------------------------------------------------------------- */

static void spread(struct crowd *crowd, uint32_t at, uint32_t change, uint32_t from)
{
    struct crowd_node *node = &crowd->nodes[at];
    uint32_t origin = crowd->change_origin[change];
    for (uint32_t i = 0; i < MSY_NEAR_ACTIVE_MAX; i++) {
        struct crowd_slot *slot = &node->slots[i];
        if (slot->node == CROWD_NOBODY || slot->node == from) {
            continue;
        }
        if (crowd->flood) {
            send_short(crowd, CROWD_PUSH, at, slot->node, change);
        } else if (!bit(slot->has, change)) {
            bool lazy = (node->lazy[origin] >> i & 1) != 0;
            send_short(crowd, lazy ? CROWD_NOTE : CROWD_PUSH, at, slot->node, change);
        }
        set(slot->has, change);
    }
}

static void got(struct crowd *crowd, uint32_t at, uint32_t change, uint32_t from)
{
    struct crowd_node *node = &crowd->nodes[at];
    set(node->has, change);
    unset(node->wanted, change);
    crowd->got_at_us[(size_t)change * crowd->nodes_count + at] = crowd->now_us;
    spread(crowd, at, change, from);
}

static void want(struct crowd *crowd, uint32_t at, uint32_t change, uint64_t after_us)
{
    struct crowd_node *node = &crowd->nodes[at];
    if (!bit(node->has, change) && !bit(node->wanted, change)) {
        set(node->wanted, change);
        arrange(crowd, crowd->now_us + after_us, MSY_SIM_WRITER, at, change);
    }
}

/* What was wanted is due: asked of the nearest that told it. */
static void want_due(struct crowd *crowd, uint32_t at, uint32_t change)
{
    struct crowd_node *node = &crowd->nodes[at];
    uint32_t best = CROWD_NOBODY;
    if (!bit(node->wanted, change)) {
        return;
    }
    for (uint32_t i = 0; i < MSY_NEAR_ACTIVE_MAX; i++) {
        uint32_t peer = node->slots[i].node;
        if (peer != CROWD_NOBODY && bit(node->slots[i].has, change) &&
            (best == CROWD_NOBODY || latency_us(at, peer) < latency_us(at, best))) {
            best = peer;
        }
    }
    if (best == CROWD_NOBODY) {
        unset(node->wanted, change);
        return;
    }
    send_short(crowd, CROWD_WANT, at, best, change);
    arrange(crowd, crowd->now_us + MSY_WANT_PROGRESS_MS * UINT64_C(1000), MSY_SIM_WRITER, at,
            change);
}

static void on_change(struct crowd *crowd, const struct crowd_packet *packet)
{
    struct crowd_node *node = &crowd->nodes[packet->to];
    if (!bit(node->has, packet->change)) {
        crowd->figures.first++;
        got(crowd, packet->to, packet->change, packet->from);
        return;
    }
    crowd->figures.again++;
    if (packet->kind == CROWD_PUSH && !crowd->flood) {
        send_short(crowd, CROWD_PRUNE, packet->to, packet->from, packet->change);
    }
}

static void on_note(struct crowd *crowd, const struct crowd_packet *packet)
{
    uint64_t wait_us = 4 * latency_us(packet->from, packet->to); /* Two round trips. */
    uint64_t min_us = MSY_PUSH_WAIT_MS_MIN * UINT64_C(1000);
    uint64_t max_us = MSY_PUSH_WAIT_MS_MAX * UINT64_C(1000);
    wait_us = wait_us < min_us ? min_us : wait_us > max_us ? max_us : wait_us;
    want(crowd, packet->to, packet->change, wait_us);
}

static void on_vector(struct crowd *crowd, const struct crowd_packet *packet)
{
    for (uint32_t i = 0; i < crowd->changes_count; i++) {
        if (bit(packet->has, i)) {
            want(crowd, packet->to, i, 0);
        }
    }
}

static void on_spread(struct crowd *crowd, const struct crowd_packet *packet)
{
    struct crowd_node *node = &crowd->nodes[packet->to];
    uint32_t slot = slot_of(node, packet->from);
    if (slot == MSY_NEAR_ACTIVE_MAX) {
        if (packet->kind == CROWD_PUSH || packet->kind == CROWD_STREAM) {
            on_change(crowd, packet); /* The session ends only when all was sent. */
        }
        return;
    }
    uint8_t *lazy = &node->lazy[crowd->change_origin[packet->change]];
    if (packet->kind == CROWD_VECTOR) {
        for (uint32_t i = 0; i < CROWD_WORDS; i++) {
            node->slots[slot].has[i] |= packet->has[i];
        }
        on_vector(crowd, packet);
    } else if (packet->kind == CROWD_WANT) {
        *lazy = (uint8_t)(*lazy & ~(1u << slot));
        send_short(crowd, CROWD_STREAM, packet->to, packet->from, packet->change);
    } else if (packet->kind == CROWD_PRUNE) {
        *lazy = (uint8_t)(*lazy | 1u << slot);
    } else {
        set(node->slots[slot].has, packet->change);
        if (packet->kind == CROWD_NOTE) {
            on_note(crowd, packet);
        } else {
            on_change(crowd, packet);
        }
    }
}

/* --- the views -------------------------------------------------------------------------------- */

static void up(struct crowd *crowd, uint32_t at, uint32_t peer)
{
    struct crowd_node *node = &crowd->nodes[at];
    uint32_t slot = slot_of(node, CROWD_NOBODY);
    assert_true(slot < MSY_NEAR_ACTIVE_MAX);
    memset(&node->slots[slot], 0, sizeof node->slots[slot]);
    node->slots[slot].node = peer;
    node->slots[slot].life = crowd->nodes[peer].life;
    crowd->figures.ups++;
    struct crowd_packet packet = {.kind = CROWD_VECTOR, .from = at, .to = peer};
    memcpy(packet.has, node->has, sizeof packet.has);
    bool same = memcmp(node->has, crowd->nodes[peer].has, sizeof node->has) == 0;
    crowd->figures.note_bytes += same ? DIGEST_BYTES : DIGEST_BYTES + CROWD_ORIGINS * TIP_BYTES;
    send(crowd, &packet, 0);
    if (!reaches(crowd, at, peer)) {
        arrange_lost(crowd, at, peer, silence_us(crowd));
    }
}

static void down(struct crowd *crowd, uint32_t at, uint32_t peer)
{
    struct crowd_node *node = &crowd->nodes[at];
    uint32_t slot = slot_of(node, peer);
    assert_true(slot < MSY_NEAR_ACTIVE_MAX);
    node->slots[slot].node = CROWD_NOBODY;
    for (uint32_t i = 0; i < CROWD_ORIGINS; i++) {
        node->lazy[i] = (uint8_t)(node->lazy[i] & ~(1u << slot));
    }
}

static void send_view(struct crowd *crowd, uint32_t at, const struct msy_near_effect *effect)
{
    struct crowd_packet packet = {
        .kind = CROWD_VIEW, .from = at, .to = node_of(&effect->device), .message = effect->message};
    enum msy_near_word word = effect->message.word;
    bool in_session = slot_of(&crowd->nodes[at], packet.to) < MSY_NEAR_ACTIVE_MAX ||
                      word == MSY_NEAR_YES || word == MSY_NEAR_NO || word == MSY_NEAR_LEAVE;
    crowd->figures.view_bytes += HEAD_BYTES + effect->message.devices_count * DEVICE_BYTES +
                                 (in_session ? 0u : SESSION_BYTES);
    if (!reaches(crowd, at, packet.to) &&
        slot_of(&crowd->nodes[at], packet.to) == MSY_NEAR_ACTIVE_MAX) {
        arrange_lost(crowd, at, packet.to, DIAL_US);
        return;
    }
    send(crowd, &packet, 0);
}

static void view_step(struct crowd *crowd, uint32_t at, enum msy_near_event_type type,
                      uint32_t peer, const struct msy_near_message *message)
{
    struct crowd_node *node = &crowd->nodes[at];
    uint64_t timer_ms = 0;
    const struct msy_near_event event = {.type = type,
                                         .now_ms = crowd->now_us / 1000,
                                         .device = device_of(peer),
                                         .message = message};
    msy_near_step(&node->view, &event, &crowd->effects, &timer_ms);
    for (uint32_t i = 0; i < crowd->effects.count; i++) {
        const struct msy_near_effect *effect = &crowd->effects.list[i];
        uint32_t about = node_of(&effect->device);
        assert_true(about < crowd->nodes_count && about != at);
        if (effect->type == MSY_NEAR_SEND) {
            send_view(crowd, at, effect);
        } else if (effect->type == MSY_NEAR_UP) {
            up(crowd, at, about);
        } else {
            down(crowd, at, about);
        }
    }
    assert_true(timer_ms > crowd->now_us / 1000); /* Else time would stand still. */
    if (timer_ms != UINT64_MAX && timer_ms * 1000 != node->timer_us) {
        node->timer_us = timer_ms * 1000;
        arrange(crowd, node->timer_us, MSY_SIM_TIMER, at, node->timer_us);
    }
}

/* --- time ------------------------------------------------------------------------------------- */

static void flow(struct crowd *crowd, const struct msy_sim_event *event)
{
    uint32_t number = (uint32_t)event->token;
    struct crowd_packet packet = crowd->packets[number];
    crowd->packets[number].next = crowd->packets_free;
    crowd->packets_free = number;
    if (!reaches(crowd, packet.from, packet.to) ||
        crowd->nodes[packet.from].life != packet.from_life ||
        crowd->nodes[packet.to].life != packet.to_life) {
        return;
    }
    uint32_t slot = slot_of(&crowd->nodes[packet.to], packet.from);
    if (slot < MSY_NEAR_ACTIVE_MAX &&
        crowd->nodes[packet.to].slots[slot].life != packet.from_life) {
        view_step(crowd, packet.to, MSY_NEAR_LOST, packet.from, NULL);
    }
    if (packet.kind == CROWD_VIEW) {
        view_step(crowd, packet.to, MSY_NEAR_HEARD, packet.from, &packet.message);
    } else {
        on_spread(crowd, &packet);
    }
}

/* The session with that life of peer, or the try to have one, has come to its end. */
static void lost(struct crowd *crowd, uint32_t at, uint32_t peer, uint32_t life)
{
    uint32_t slot = slot_of(&crowd->nodes[at], peer);
    bool was = slot < MSY_NEAR_ACTIVE_MAX && crowd->nodes[at].slots[slot].life == life &&
               crowd->nodes[peer].life != life;
    if (was || !reaches(crowd, at, peer)) {
        view_step(crowd, at, MSY_NEAR_LOST, peer, NULL);
    }
}

static void happen(struct crowd *crowd, const struct msy_sim_event *event)
{
    struct crowd_node *node = &crowd->nodes[event->node];
    if (event->type == MSY_SIM_FLOW) {
        flow(crowd, event); /* Also to the dead: the packet goes back to the free ones. */
    } else if (!node->alive || node->life != event->life) {
        return;
    } else if (event->type == MSY_SIM_TIMER) {
        if (event->token == node->timer_us) {
            view_step(crowd, event->node, MSY_NEAR_TICK, event->node, NULL);
        }
    } else if (event->type == MSY_SIM_WRITER) {
        want_due(crowd, event->node, (uint32_t)event->token);
    } else {
        lost(crowd, event->node, (uint32_t)event->token, (uint32_t)(event->token >> 32));
    }
}

void crowd_run(struct crowd *crowd, uint64_t ms)
{
    uint64_t until_us = crowd->now_us + ms * 1000;
    struct msy_sim_event event;
    while (msy_sim_queue_peek(&crowd->queue, &event) && event.at_us <= until_us) {
        msy_sim_queue_pop(&crowd->queue);
        crowd->now_us = event.at_us;
        happen(crowd, &event);
    }
    crowd->now_us = until_us;
}

/* --- what the tests do ------------------------------------------------------------------------ */

void crowd_init(struct crowd *crowd, uint32_t nodes_count, uint64_t seed)
{
    memset(crowd, 0, sizeof *crowd);
    msy_alloc_init(&crowd->alloc, NULL, NULL, 0);
    msy_sim_queue_init(&crowd->queue, &crowd->alloc);
    msy_prng_init(&crowd->prng, seed);
    crowd->nodes_count = nodes_count;
    crowd->packets_free = CROWD_NOBODY;
    crowd->nodes = msy_new_array(&crowd->alloc, nodes_count, sizeof *crowd->nodes);
    crowd->got_at_us = msy_new_array(&crowd->alloc, (size_t)nodes_count * CROWD_CHANGES_MAX,
                                     sizeof *crowd->got_at_us);
    assert_true(crowd->nodes != NULL && crowd->got_at_us != NULL);
    for (uint32_t i = 0; i < CROWD_ORIGINS; i++) {
        crowd->origins[i] = (uint32_t)msy_prng_below(&crowd->prng, nodes_count);
    }
}

void crowd_fini(struct crowd *crowd)
{
    msy_sim_queue_fini(&crowd->queue);
    msy_free(&crowd->alloc, crowd->nodes, crowd->nodes_count * sizeof *crowd->nodes);
    msy_free(&crowd->alloc, crowd->got_at_us,
             (size_t)crowd->nodes_count * CROWD_CHANGES_MAX * sizeof *crowd->got_at_us);
    msy_free(&crowd->alloc, crowd->packets, crowd->packets_cap * sizeof *crowd->packets);
    assert_int_equal(crowd->alloc.bytes_used, 0);
}

void crowd_start(struct crowd *crowd, uint32_t at)
{
    struct crowd_node *node = &crowd->nodes[at];
    const struct msy_near_device self = device_of(at);
    assert_false(node->alive);
    node->alive = true;
    node->life++;
    node->timer_us = 0;
    memset(node->lazy, 0, sizeof node->lazy);
    memset(node->wanted, 0, sizeof node->wanted);
    for (uint32_t i = 0; i < MSY_NEAR_ACTIVE_MAX; i++) {
        node->slots[i].node = CROWD_NOBODY;
    }
    msy_near_init(&node->view, &self, msy_prng_next(&crowd->prng), crowd->now_us / 1000);
    for (uint32_t i = 0; i < CROWD_SEEDS && i < crowd->nodes_count; i++) {
        view_step(crowd, at, MSY_NEAR_CONTACT, i, NULL);
    }
}

/* Neighbours that no longer reach each other find it out. */
static void broken(struct crowd *crowd, uint32_t at)
{
    for (uint32_t i = 0; i < MSY_NEAR_ACTIVE_MAX; i++) {
        uint32_t peer = crowd->nodes[at].slots[i].node;
        if (peer != CROWD_NOBODY && !reaches(crowd, at, peer)) {
            arrange_lost(crowd, at, peer, silence_us(crowd));
        }
    }
}

void crowd_crash(struct crowd *crowd, uint32_t at)
{
    crowd->nodes[at].alive = false;
    for (uint32_t i = 0; i < crowd->nodes_count; i++) {
        if (crowd->nodes[i].alive && slot_of(&crowd->nodes[i], at) < MSY_NEAR_ACTIVE_MAX) {
            arrange_lost(crowd, i, at, silence_us(crowd));
        }
    }
}

void crowd_halve(struct crowd *crowd, bool halved)
{
    crowd->halved = halved;
    for (uint32_t i = 0; halved && i < crowd->nodes_count; i++) {
        if (crowd->nodes[i].alive) {
            broken(crowd, i);
        }
    }
}

uint32_t crowd_write(struct crowd *crowd, uint32_t origin)
{
    uint32_t change = crowd->changes_count++;
    assert_true(change < CROWD_CHANGES_MAX);
    while (!crowd->nodes[crowd->origins[origin]].alive) {
        crowd->origins[origin] = (uint32_t)msy_prng_below(&crowd->prng, crowd->nodes_count);
    }
    crowd->change_origin[change] = origin;
    crowd->written_at_us[change] = crowd->now_us;
    got(crowd, crowd->origins[origin], change, CROWD_NOBODY);
    return change;
}

uint32_t crowd_alive(const struct crowd *crowd)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < crowd->nodes_count; i++) {
        count += crowd->nodes[i].alive ? 1 : 0;
    }
    return count;
}

static int later(const void *a, const void *b)
{
    uint64_t first = *(const uint64_t *)a;
    uint64_t second = *(const uint64_t *)b;
    return first < second ? -1 : first > second ? 1 : 0;
}

uint64_t crowd_spread_us(const struct crowd *crowd, uint32_t change, uint32_t percent)
{
    const uint64_t *got_at_us = &crowd->got_at_us[(size_t)change * crowd->nodes_count];
    struct msy_alloc alloc;
    uint32_t count = 0;
    msy_alloc_init(&alloc, NULL, NULL, 0);
    uint64_t *times = msy_new_array(&alloc, crowd->nodes_count, sizeof *times);
    assert_non_null(times);
    for (uint32_t i = 0; i < crowd->nodes_count; i++) {
        if (crowd->nodes[i].alive) {
            bool has = bit(crowd->nodes[i].has, change);
            times[count++] = has ? got_at_us[i] - crowd->written_at_us[change] : UINT64_MAX;
        }
    }
    qsort(times, count, sizeof *times, later);
    uint64_t result = times[((uint64_t)count * percent + 99) / 100 - 1];
    msy_free(&alloc, times, crowd->nodes_count * sizeof *times);
    return result;
}

static bool both_ways(const struct crowd *crowd, uint32_t a, uint32_t b)
{
    return b != CROWD_NOBODY && reaches(crowd, a, b) &&
           slot_of(&crowd->nodes[b], a) < MSY_NEAR_ACTIVE_MAX;
}

uint32_t crowd_one_sided(const struct crowd *crowd)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < crowd->nodes_count; i++) {
        for (uint32_t k = 0; crowd->nodes[i].alive && k < MSY_NEAR_ACTIVE_MAX; k++) {
            uint32_t peer = crowd->nodes[i].slots[k].node;
            count += peer != CROWD_NOBODY && reaches(crowd, i, peer) && !both_ways(crowd, i, peer);
        }
    }
    return count;
}

uint32_t crowd_components(const struct crowd *crowd)
{
    struct msy_alloc alloc;
    uint32_t components = 0;
    msy_alloc_init(&alloc, NULL, NULL, 0);
    size_t bytes = crowd->nodes_count * sizeof(uint32_t);
    bool *seen = msy_new(&alloc, crowd->nodes_count);
    uint32_t *stack = msy_new(&alloc, bytes);
    assert_true(seen != NULL && stack != NULL);
    for (uint32_t i = 0; i < crowd->nodes_count; i++) {
        uint32_t depth = 0;
        if (!crowd->nodes[i].alive || seen[i]) {
            continue;
        }
        components++;
        seen[i] = true;
        stack[depth++] = i;
        while (depth > 0) {
            uint32_t at = stack[--depth];
            for (uint32_t k = 0; k < MSY_NEAR_ACTIVE_MAX; k++) {
                uint32_t peer = crowd->nodes[at].slots[k].node;
                if (both_ways(crowd, at, peer) && !seen[peer]) {
                    seen[peer] = true;
                    stack[depth++] = peer;
                }
            }
        }
    }
    msy_free(&alloc, seen, crowd->nodes_count);
    msy_free(&alloc, stack, bytes);
    return components;
}
