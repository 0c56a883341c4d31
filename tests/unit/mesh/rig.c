/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/mesh/rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/path.h"
#include "replica/members.h"
#include "replica/read.h"
#include "store/history.h"
#include "wire/msgpack_check.h"
#include "wire/value.h"

enum { RIG_UNIX_MS = 1700000000, RIG_STEPS_MAX = 2000000 };

static uint64_t rig_unix_ms(const struct rig *rig)
{
    return (uint64_t)RIG_UNIX_MS * 1000 + rig->now_ms;
}

static void rig_print(void *user, int32_t level, const char *component, const char *message)
{
    const struct rig *rig = user;
    (void)level;
    (void)fprintf(stderr, "%6llu %s: %s\n", (unsigned long long)rig->now_ms, component, message);
}

/* --- ports ----------------------------------------------------------------------------------- */

static meshsync_status rig_is_member(void *user, struct msy_store_txn *txn, uint32_t space,
                                     const uint8_t device[32], bool *has)
{
    (void)user;
    return msy_members_has(txn, space, device, NULL, has);
}

static meshsync_status rig_may_join(void *user, struct msy_store_txn *txn, uint32_t space,
                                    const struct msy_join_claim *claim, bool *may)
{
    (void)user;
    return msy_members_may_join(txn, space, claim, NULL, may);
}

static meshsync_status rig_digest(void *user, struct msy_store_txn *txn, uint32_t space,
                                  uint8_t digest[32])
{
    meshsync_digest whole = {.size = sizeof whole};
    (void)user;
    meshsync_status status = msy_space_digest(txn, space, &whole);
    memcpy(digest, whole.digest, 32);
    return status;
}

/* --- nodes ----------------------------------------------------------------------------------- */

static void node_machines(struct rig_node *node)
{
    struct rig *rig = node->rig;
    struct msy_replica_options replica = {.alloc = &rig->alloc,
                                          .store = node->store,
                                          .identity = node->identity,
                                          .entropy = msy_prng_entropy(&node->prng),
                                          .clock_ahead_ms_max = 60000};
    struct msy_mesh_options mesh = {
        .alloc = &node->mesh_alloc,
        .store = node->store,
        .identity = node->identity,
        .entropy = msy_prng_entropy(&node->prng),
        .log = rig->log.fn != NULL ? &rig->log : NULL,
        .ports = {.is_member = rig_is_member, .may_join = rig_may_join, .digest = rig_digest},
        .offer = {.lacks = node->lacks,
                  .sketch_tips_min =
                      node->sketch_tips_min > 0 ? node->sketch_tips_min : rig->sketch_tips_min},
        .rate_bytes_per_s = node->total_rate,
        .peer_bytes_per_s = node->peer_rate,
        .burst_bytes = node->burst,
        .keepalive_ms = 2000,
        .retry_ms_max = 2000};
    assert_int_equal(msy_replica_open(&replica, rig_unix_ms(rig), &node->replica, NULL),
                     MESHSYNC_OK);
    assert_int_equal(msy_mesh_open(&mesh, rig->now_ms, &node->mesh, NULL), MESHSYNC_OK);
    node->timer_ms = UINT64_MAX;
    node->link_next = node->link_next == 0 ? 2 : node->link_next;
}

static struct rig_node *node_add(struct rig *rig, uint8_t seed_byte)
{
    struct rig_node *node = &rig->nodes[rig->count];
    uint8_t seed[32];
    assert_true(rig->count < RIG_NODES_MAX);
    memset(node, 0, sizeof *node);
    node->rig = rig;
    node->index = rig->count;
    rig->count += 1;
    memset(seed, seed_byte, sizeof seed);
    msy_prng_init(&node->prng, 1000 + node->index);
    msy_alloc_init(&node->mesh_alloc, NULL, NULL, 0);
    msy_replica_effects_init(&node->replica_effects, &rig->alloc);
    assert_int_equal(msy_identity_new(seed, &node->identity, NULL), MESHSYNC_OK);
    return node;
}

void rig_open(struct rig *rig, uint32_t count)
{
    struct fail_plan *plan = rig->plan;
    uint32_t plan_node = rig->plan_node;
    uint32_t sketch_tips_min = rig->sketch_tips_min;
    memset(rig, 0, sizeof *rig);
    rig->sketch_tips_min = sketch_tips_min;
    rig->plan = plan;
    rig->plan_node = plan_node;
    assert_int_equal(msy_crypto_init(), MESHSYNC_OK);
    msy_alloc_init(&rig->alloc, NULL, NULL, 0);
    rig->now_ms = 1000;
    rig->latency_ms = 1;
    if (getenv("MESHSYNC_TEST_LOG") != NULL) {
        rig->log = (struct msy_log){rig_print, rig, MSY_LOG_DEBUG};
    }
    rig->events = calloc(RIG_EVENTS_MAX, sizeof *rig->events);
    assert_non_null(rig->events);
    for (uint32_t i = 0; i < count; i++) {
        (void)rig_add(rig);
    }
}

uint32_t rig_add(struct rig *rig)
{
    struct rig_node *node = node_add(rig, (uint8_t)(rig->count + 1));
    assert_int_equal(msy_store_open_memory(&rig->alloc, &node->store, NULL), MESHSYNC_OK);
    if (rig->plan != NULL && rig->plan_node == node->index) {
        node->store = fail_store_open(node->store, rig->plan);
    }
    node_machines(node);
    return node->index;
}

void rig_close(struct rig *rig)
{
    for (uint32_t i = 0; i < rig->count; i++) {
        struct rig_node *node = &rig->nodes[i];
        msy_mesh_close(node->mesh);
        msy_replica_close(node->replica);
        assert_int_equal(node->mesh_alloc.bytes_used, 0);
        msy_replica_effects_fini(&node->replica_effects);
        msy_store_close(node->store);
        msy_store_close(node->backup);
        msy_identity_free(node->identity);
    }
    for (uint32_t i = 0; i < rig->events_count; i++) {
        free(rig->events[i].bytes);
    }
    free(rig->events);
    assert_int_equal(rig->alloc.bytes_used, 0);
}

uint32_t rig_clone(struct rig *rig, uint32_t from)
{
    struct rig_node *node = node_add(rig, (uint8_t)(from + 1));
    assert_int_equal(msy_store_memory_clone(rig->nodes[from].store, &node->store), MESHSYNC_OK);
    node->space = rig->nodes[from].space;
    node_machines(node);
    return node->index;
}

/* --- time and links -------------------------------------------------------------------------- */

static void rig_at(struct rig *rig, uint64_t delay_ms, enum rig_event_type type, uint32_t link,
                   uint32_t side, meshsync_bytes bytes)
{
    assert_true(rig->events_count < RIG_EVENTS_MAX);
    struct rig_event *event = &rig->events[rig->events_count];
    rig->events_count += 1;
    *event = (struct rig_event){.at_ms = rig->now_ms + delay_ms,
                                .order = rig->order_next,
                                .type = type,
                                .link = link,
                                .side = side,
                                .len = bytes.len};
    rig->order_next += 1;
    if (bytes.len > 0) {
        event->bytes = malloc(bytes.len);
        assert_non_null(event->bytes);
        memcpy(event->bytes, bytes.data, bytes.len);
    }
}

static void node_commit(struct rig_node *node, struct msy_replica_event *event);

static struct rig_link *rig_link_of(struct rig_node *node, uint32_t number, uint32_t *side)
{
    struct rig *rig = node->rig;
    for (uint32_t i = 0; i < rig->links_count; i++) {
        struct rig_link *link = &rig->links[i];
        for (uint32_t k = 0; k < 2; k++) {
            if (link->used && link->up[k] && link->node[k] == node->index &&
                link->number[k] == number) {
                *side = k;
                return link;
            }
        }
    }
    return NULL;
}

static void node_dial(struct rig_node *node, const struct msy_mesh_effect *effect)
{
    struct rig *rig = node->rig;
    unsigned to = 0;
    node->dialled += 1;
    assert_true(rig->links_count < RIG_LINKS_MAX);
    uint32_t index = rig->links_count;
    struct rig_link *link = &rig->links[index];
    rig->links_count += 1;
    *link = (struct rig_link){.used = true, .node = {node->index, 0}, .number = {effect->link, 0}};
    link->up[0] = true;
    bool known = sscanf(effect->text, "10.0.0.%u:", &to) == 1 && to < rig->count;
    if (!known || rig->cut[node->index][to]) {
        rig_at(rig, 2 * rig->latency_ms, RIG_REFUSED, index, 0, (meshsync_bytes){0});
        return;
    }
    link->node[1] = to;
    link->number[1] = rig->nodes[to].link_next;
    rig->nodes[to].link_next += 2;
    link->up[1] = true;
    rig_at(rig, rig->latency_ms, RIG_CONNECTED, index, 1, (meshsync_bytes){0});
    rig_at(rig, 2 * rig->latency_ms, RIG_CONNECTED, index, 0, (meshsync_bytes){0});
}

static void node_send(struct rig_node *node, const struct msy_mesh_effect *effect)
{
    struct rig *rig = node->rig;
    uint32_t side = 0;
    struct rig_link *link = rig_link_of(node, effect->link, &side);
    if (link == NULL || link->stuck) {
        return;
    }
    link->bytes += effect->bytes.len;
    rig_at(rig, rig->latency_ms, RIG_BYTES, (uint32_t)(link - rig->links), 1 - side, effect->bytes);
}

static void node_hang_up(struct rig_node *node, uint32_t number)
{
    struct rig *rig = node->rig;
    uint32_t side = 0;
    struct rig_link *link = rig_link_of(node, number, &side);
    if (link == NULL) {
        return;
    }
    link->up[side] = false;
    if (link->up[1 - side] && !link->stuck) {
        rig_at(rig, rig->latency_ms, RIG_CLOSED, (uint32_t)(link - rig->links), 1 - side,
               (meshsync_bytes){0});
    }
}

static void node_submit(struct rig_node *node, const struct msy_mesh_effect *effect)
{
    struct msy_replica_event event = {.type = MSY_REPLICA_CHANGES,
                                      .space = effect->space,
                                      .id = effect->id,
                                      .bytes = effect->bytes};
    if (!node->deaf) {
        node_commit(node, &event);
    }
}

static void node_perform(struct rig_node *node, const struct msy_mesh_effect *effect)
{
    switch (effect->type) {
    case MSY_MESH_DIAL: node_dial(node, effect); return;
    case MSY_MESH_SEND: node_send(node, effect); return;
    case MSY_MESH_CLOSE: node_hang_up(node, effect->link); return;
    case MSY_MESH_SUBMIT: node_submit(node, effect); return;
    case MSY_MESH_PEER:
        node->came += effect->status == MESHSYNC_OK ? 1 : 0;
        node->went += effect->status == MESHSYNC_OK ? 0 : 1;
        node->went_status = effect->status != MESHSYNC_OK ? effect->status : node->went_status;
        return;
    case MSY_MESH_SYNCED: node->synced += 1; return;
    case MSY_MESH_ALARM: node->alarms += 1; return;
    case MSY_MESH_HELD: return;
    case MSY_MESH_BEACON_DUE: node->beacons_due += 1; return;
    case MSY_MESH_BEACON:
        assert_true(effect->bytes.len <= sizeof node->beacon);
        memcpy(node->beacon, effect->bytes.data, effect->bytes.len);
        node->beacon_len = effect->bytes.len;
        return;
    }
}

/* A wire that takes everything at once. */
static void node_drained(struct rig_node *node, uint32_t number)
{
    struct msy_mesh_event drained = {.type = MSY_MESH_LINK_DRAINED, .link = number};
    uint32_t side = 0;
    const struct rig_link *link = rig_link_of(node, number, &side);
    if (link != NULL && !link->stuck && !link->full) {
        rig_event(node->rig, node->index, &drained);
    }
}

void rig_event(struct rig *rig, uint32_t index, struct msy_mesh_event *event)
{
    struct rig_node *node = &rig->nodes[index];
    struct msy_mesh_effects effects;
    event->now_ms = rig->now_ms;
    event->unix_ms = rig_unix_ms(rig);
    /* Performing may step the machine again: the list is taken over first. */
    msy_mesh_effects_init(&effects, &node->mesh_alloc);
    bool fails = rig->plan != NULL && rig->plan_node == index;
    if (fails) {
        rig->plan->armed = true;
    }
    meshsync_status status = msy_mesh_step(node->mesh, event, &effects, &node->timer_ms);
    if (fails) {
        rig->plan->armed = false;
    }
    node->failed = node->failed || status == MESHSYNC_E_NO_MEMORY;
    assert_int_not_equal(status, MESHSYNC_E_INTERNAL);
    /* What performs at once and may step the machine again comes last: bytes keep their order. */
    for (uint32_t i = 0; i < effects.count; i++) {
        if (effects.items[i].type != MSY_MESH_SUBMIT) {
            node_perform(node, &effects.items[i]);
        }
    }
    for (uint32_t i = 0; i < effects.count; i++) {
        if (effects.items[i].type == MSY_MESH_SEND) {
            node_drained(node, effects.items[i].link);
        } else if (effects.items[i].type == MSY_MESH_SUBMIT) {
            node_perform(node, &effects.items[i]);
        }
    }
    msy_mesh_effects_fini(&effects);
}

static void rig_deliver(struct rig *rig, const struct rig_event *event)
{
    struct rig_link *link = &rig->links[event->link];
    char address[64];
    if (!link->up[event->side]) {
        return;
    }
    struct msy_mesh_event to = {.link = link->number[event->side]};
    (void)snprintf(address, sizeof address, "10.0.0.%u:%u", link->node[1 - event->side],
                   event->side == 1 ? 50000 + event->link : 4000);
    to.text = address;
    switch (event->type) {
    case RIG_CONNECTED:
        to.type = MSY_MESH_LINK_UP;
        to.accepted = event->side == 1 ? 1 : 0;
        break;
    case RIG_REFUSED:
        to.type = MSY_MESH_LINK_DOWN;
        to.status = MESHSYNC_E_UNREACHABLE;
        to.text = "refused";
        link->up[0] = false;
        break;
    case RIG_CLOSED:
        to.type = MSY_MESH_LINK_DOWN;
        to.status = MESHSYNC_E_UNREACHABLE;
        to.text = "closed";
        link->up[event->side] = false;
        break;
    case RIG_BYTES:
        to.type = MSY_MESH_LINK_BYTES;
        to.bytes = (meshsync_bytes){event->bytes, event->len};
        break;
    }
    rig_event(rig, link->node[event->side], &to);
}

/* The next event of all, or a timer, at most at until_ms; false: there is none. */
static bool rig_step(struct rig *rig, uint64_t until_ms)
{
    uint32_t best = UINT32_MAX;
    for (uint32_t i = 0; i < rig->events_count; i++) {
        if (best == UINT32_MAX || rig->events[i].at_ms < rig->events[best].at_ms ||
            (rig->events[i].at_ms == rig->events[best].at_ms &&
             rig->events[i].order < rig->events[best].order)) {
            best = i;
        }
    }
    uint32_t timer = UINT32_MAX;
    for (uint32_t i = 0; i < rig->count; i++) {
        if (timer == UINT32_MAX || rig->nodes[i].timer_ms < rig->nodes[timer].timer_ms) {
            timer = i;
        }
    }
    uint64_t timer_ms = rig->nodes[timer].timer_ms;
    uint64_t event_ms = best == UINT32_MAX ? UINT64_MAX : rig->events[best].at_ms;
    if ((timer_ms < event_ms ? timer_ms : event_ms) > until_ms) {
        return false;
    }
    if (timer_ms < event_ms) {
        struct msy_mesh_event tick = {.type = MSY_MESH_TICK};
        rig->now_ms = timer_ms > rig->now_ms ? timer_ms : rig->now_ms;
        rig->nodes[timer].timer_ms = UINT64_MAX;
        rig_event(rig, timer, &tick);
        return true;
    }
    struct rig_event event = rig->events[best];
    rig->events_count -= 1;
    rig->events[best] = rig->events[rig->events_count];
    rig->now_ms = event.at_ms > rig->now_ms ? event.at_ms : rig->now_ms;
    rig_deliver(rig, &event);
    free(event.bytes);
    return true;
}

void rig_run(struct rig *rig, uint64_t ms)
{
    uint64_t until_ms = rig->now_ms + ms;
    uint32_t steps = 0;
    while (rig_step(rig, until_ms)) {
        steps += 1;
        assert_true(steps < RIG_STEPS_MAX);
    }
    rig->now_ms = until_ms;
}

static bool rig_is_quiet(struct rig *rig)
{
    for (uint32_t i = 0; i < rig->count; i++) {
        if (!msy_mesh_quiet(rig->nodes[i].mesh)) {
            return false;
        }
    }
    for (uint32_t i = 0; i < rig->events_count; i++) {
        if (rig->events[i].type == RIG_BYTES) {
            return false;
        }
    }
    return true;
}

bool rig_settle(struct rig *rig, uint64_t ms)
{
    uint64_t until_ms = rig->now_ms + ms;
    while (rig->now_ms < until_ms) {
        rig_run(rig, 10);
        if (rig_is_quiet(rig)) {
            return true;
        }
    }
    return false;
}

/* --- the replica ----------------------------------------------------------------------------- */

static void node_tell(struct rig_node *node, const struct msy_replica_effect *effect)
{
    struct msy_mesh_event event = {.id = effect->id,
                                   .space = effect->space,
                                   .tip = effect->tip,
                                   .status = effect->status,
                                   .lsn_first = effect->lsn_first,
                                   .lsn_last = effect->lsn_last,
                                   .accepted_count = effect->accepted,
                                   .duplicate_count = effect->duplicate,
                                   .rejected_count = effect->rejected};
    switch (effect->type) {
    case MSY_REPLICA_RECEIVED: event.type = MSY_MESH_RECEIVED; break;
    case MSY_REPLICA_COMMITTED: event.type = MSY_MESH_COMMITTED; break;
    case MSY_REPLICA_SPACES: event.type = MSY_MESH_SPACES; break;
    case MSY_REPLICA_MISSING: event.type = MSY_MESH_MISSING; break;
    case MSY_REPLICA_ALARM: node->alarms += 1; return;
    case MSY_REPLICA_DONE:
    case MSY_REPLICA_QUEUED: return;
    }
    rig_event(node->rig, node->index, &event);
}

static void node_commit(struct rig_node *node, struct msy_replica_event *event)
{
    struct msy_replica_effect copies[64];
    assert_int_equal(msy_replica_step(node->replica, event, 1, rig_unix_ms(node->rig), NULL, NULL,
                                      &node->replica_effects),
                     MESHSYNC_OK);
    uint32_t count = node->replica_effects.count;
    assert_true(count <= 64);
    if (count > 0) {
        memcpy(copies, node->replica_effects.items, count * sizeof copies[0]);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (copies[i].type == MSY_REPLICA_DONE) {
            assert_int_equal(copies[i].status, MESHSYNC_OK);
            if (copies[i].space != 0) {
                node->space = copies[i].space;
            }
        }
        node_tell(node, &copies[i]);
    }
}

static void node_put(struct rig_node *node, meshsync_bytes collection, meshsync_bytes path,
                     meshsync_bytes payload)
{
    struct msy_request request;
    struct msy_intent intent = {
        .type = MSY_INTENT_PUT, .collection = collection, .path = path, .payload = payload};
    struct msy_replica_event event = {
        .type = MSY_REPLICA_COMMIT, .space = node->space, .id = 1, .request = &request};
    msy_request_init(&request, &node->rig->alloc);
    assert_int_equal(msy_request_add(&request, &intent), MESHSYNC_OK);
    node_commit(node, &event);
    msy_request_fini(&request);
}

static void node_put_record(struct rig_node *node, const char *word, meshsync_bytes name,
                            const struct msy_buf *record)
{
    uint8_t path[MESHSYNC_PATH_BYTES_MAX];
    size_t len = 0;
    struct msy_buf payload;
    msy_buf_init(&payload, &node->rig->alloc, 4096);
    assert_int_equal(msy_mp_put_ext(&payload, 2, msy_buf_bytes(record)), MESHSYNC_OK);
    assert_true(msy_path_append(path, &len, sizeof path, msy_key_name(word)));
    assert_true(msy_path_append(path, &len, sizeof path, name));
    node_put(node, msy_bytes("", 0), msy_bytes(path, len), msy_buf_bytes(&payload));
    msy_buf_fini(&payload);
}

void rig_found(struct rig *rig)
{
    struct rig_node *node = &rig->nodes[0];
    struct msy_replica_event event = {
        .type = MSY_REPLICA_CREATE, .id = 1, .bytes = msy_key_name("rig")};
    struct msy_space_row_descriptor row;
    struct msy_store_txn *txn = NULL;
    uint8_t invite[32];
    struct msy_buf record;
    uint32_t space = 0;
    node_commit(node, &event);
    assert_int_equal(msy_store_begin(node->store, MSY_TXN_READ, &txn), MESHSYNC_OK);
    assert_int_equal(msy_history_next_space(txn, &space, &row), MESHSYNC_OK);
    msy_store_abort(txn);
    memset(&rig->ticket, 0, sizeof rig->ticket);
    memcpy(rig->ticket.space, row.id, sizeof row.id);
    memcpy(rig->ticket.founder, row.founder, sizeof row.founder);
    memcpy(rig->ticket.nonce, row.nonce, sizeof row.nonce);
    memcpy(rig->ticket.discovery, row.discovery, sizeof row.discovery);
    memset(rig->ticket.invite_seed, 77, sizeof rig->ticket.invite_seed);
    memcpy(rig->ticket.name, "rig", 4);
    msy_sign_public(invite, rig->ticket.invite_seed);
    msy_buf_init(&record, &rig->alloc, 1024);
    assert_int_equal(msy_mp_put_array(&record, 4), MESHSYNC_OK);
    assert_int_equal(msy_mp_put_uint(&record, 1), MESHSYNC_OK);
    for (uint32_t i = 0; i < 3; i++) { /* Role, expiry, uses. */
        assert_int_equal(msy_mp_put_uint(&record, 0), MESHSYNC_OK);
    }
    node_put_record(node, "invite", msy_bytes(invite, sizeof invite), &record);
    msy_buf_reset(&record);
    assert_int_equal(msy_mp_put_array(&record, 6), MESHSYNC_OK);
    for (uint32_t i = 0; i < 3; i++) { /* Version 1, register, last writer wins. */
        assert_int_equal(msy_mp_put_uint(&record, 1), MESHSYNC_OK);
    }
    assert_int_equal(msy_mp_put_str(&record, msy_bytes("", 0)), MESHSYNC_OK);
    for (uint32_t i = 0; i < 2; i++) { /* No merge function, priority 0. */
        assert_int_equal(msy_mp_put_uint(&record, 0), MESHSYNC_OK);
    }
    node_put_record(node, "schema", msy_key_name("c"), &record);
    msy_buf_fini(&record);
}

void rig_join(struct rig *rig, uint32_t node)
{
    struct msy_replica_event event = {.type = MSY_REPLICA_JOIN, .id = 1, .ticket = &rig->ticket};
    node_commit(&rig->nodes[node], &event);
}

void rig_leave(struct rig *rig, uint32_t node)
{
    struct msy_replica_event event = {
        .type = MSY_REPLICA_LEAVE, .id = 1, .space = rig->nodes[node].space};
    node_commit(&rig->nodes[node], &event);
}

void rig_dial(struct rig *rig, uint32_t from, uint32_t to)
{
    char address[64];
    struct msy_mesh_event event = {.type = MSY_MESH_PEER_ADD, .text = address};
    (void)snprintf(address, sizeof address, "10.0.0.%u:4000", to);
    rig_event(rig, from, &event);
}

void rig_put(struct rig *rig, uint32_t node, const char *key, const char *value)
{
    uint8_t path[MESHSYNC_PATH_BYTES_MAX];
    size_t len = 0;
    struct msy_buf payload;
    msy_buf_init(&payload, &rig->alloc, MESHSYNC_VALUE_BYTES_MAX);
    assert_true(msy_path_append(path, &len, sizeof path, msy_key_name(key)));
    assert_int_equal(msy_mp_put_str(&payload, msy_key_name(value)), MESHSYNC_OK);
    node_put(&rig->nodes[node], msy_key_name("c"), msy_bytes(path, len), msy_buf_bytes(&payload));
    msy_buf_fini(&payload);
}

void rig_put_large(struct rig *rig, uint32_t node, const char *key, size_t len)
{
    char *value = malloc(len + 1);
    assert_non_null(value);
    memset(value, 'x', len);
    value[len] = '\0';
    rig_put(rig, node, key, value);
    free(value);
}

/* --- looking --------------------------------------------------------------------------------- */

uint64_t rig_changes(struct rig *rig, uint32_t node)
{
    struct msy_store_stats stats;
    assert_int_equal(msy_store_get_stats(rig->nodes[node].store, &stats), MESHSYNC_OK);
    return stats.entries[MSY_TABLE_LOG];
}

bool rig_same(struct rig *rig, uint32_t a, uint32_t b)
{
    uint8_t digests[2][32];
    const uint32_t nodes[2] = {a, b};
    for (uint32_t i = 0; i < 2; i++) {
        struct rig_node *node = &rig->nodes[nodes[i]];
        struct msy_store_txn *txn = NULL;
        assert_int_equal(msy_store_begin(node->store, MSY_TXN_READ, &txn), MESHSYNC_OK);
        assert_int_equal(rig_digest(NULL, txn, node->space, digests[i]), MESHSYNC_OK);
        msy_store_abort(txn);
    }
    return memcmp(digests[0], digests[1], 32) == 0 && rig_changes(rig, a) == rig_changes(rig, b);
}

uint64_t rig_sessions(struct rig *rig, uint32_t node)
{
    struct msy_mesh_stats stats;
    msy_mesh_get_stats(rig->nodes[node].mesh, &stats);
    return stats.sessions;
}

struct msy_tip rig_tip(struct rig *rig, uint32_t node)
{
    struct msy_store_txn *txn = NULL;
    struct msy_record record;
    struct msy_change_header header;
    meshsync_bytes header_bytes;
    meshsync_bytes body;
    const uint8_t *signature = NULL;
    struct msy_tip tip;
    uint64_t lsn = 0;
    assert_int_equal(msy_store_begin(rig->nodes[node].store, MSY_TXN_READ, &txn), MESHSYNC_OK);
    assert_int_equal(msy_history_last_lsn(txn, &lsn), MESHSYNC_OK);
    do {
        assert_int_equal(msy_history_record(txn, lsn, &record), MESHSYNC_OK);
        lsn -= 1;
    } while ((record.flags & MSY_RECORD_LOCAL) == 0);
    assert_int_equal(
        msy_change_parse_header(record.change, &header, &header_bytes, &signature, &body),
        MESHSYNC_OK);
    tip.actor = header.actor;
    tip.seq = header.seq;
    memcpy(tip.hash, record.hash, sizeof tip.hash);
    msy_store_abort(txn);
    return tip;
}

/* --- what can go wrong ----------------------------------------------------------------------- */

void rig_break(struct rig *rig, uint32_t a, uint32_t b, bool cut)
{
    rig->cut[a][b] = cut;
    rig->cut[b][a] = cut;
    for (uint32_t i = 0; i < rig->links_count; i++) {
        struct rig_link *link = &rig->links[i];
        bool between = (link->node[0] == a && link->node[1] == b) ||
                       (link->node[0] == b && link->node[1] == a);
        for (uint32_t k = 0; link->used && between && k < 2; k++) {
            if (link->up[k]) {
                rig_at(rig, 0, RIG_CLOSED, i, k, (meshsync_bytes){0});
            }
        }
    }
}

void rig_heal(struct rig *rig, uint32_t a, uint32_t b)
{
    rig->cut[a][b] = false;
    rig->cut[b][a] = false;
}

void rig_stick(struct rig *rig, uint32_t a, uint32_t b)
{
    for (uint32_t i = 0; i < rig->links_count; i++) {
        struct rig_link *link = &rig->links[i];
        if ((link->node[0] == a && link->node[1] == b) ||
            (link->node[0] == b && link->node[1] == a)) {
            link->stuck = true;
        }
    }
}

static void node_down(struct rig_node *node)
{
    struct rig *rig = node->rig;
    msy_mesh_close(node->mesh);
    msy_replica_close(node->replica);
    for (uint32_t i = 0; i < rig->links_count; i++) {
        struct rig_link *link = &rig->links[i];
        for (uint32_t k = 0; k < 2; k++) {
            if (link->used && link->node[k] == node->index && link->up[k]) {
                link->up[k] = false;
                if (link->up[1 - k]) {
                    rig_at(rig, rig->latency_ms, RIG_CLOSED, i, 1 - k, (meshsync_bytes){0});
                }
            }
        }
    }
}

void rig_restart(struct rig *rig, uint32_t index)
{
    node_down(&rig->nodes[index]);
    rig->nodes[index].failed = false;
    node_machines(&rig->nodes[index]);
}

void rig_backup(struct rig *rig, uint32_t index)
{
    struct rig_node *node = &rig->nodes[index];
    assert_int_equal(msy_store_memory_clone(node->store, &node->backup), MESHSYNC_OK);
}

void rig_restore(struct rig *rig, uint32_t index)
{
    struct rig_node *node = &rig->nodes[index];
    node_down(node);
    msy_store_close(node->store);
    node->store = node->backup;
    node->backup = NULL;
    node_machines(node);
}
