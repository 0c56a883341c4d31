/* SPDX-License-Identifier: Apache-2.0 */
/* The step of the mesh machine: an event to its place, what time brings, what goes out. */
#include "mesh/mesh.h"

#include <string.h>

#include "base/error.h"
#include "mesh/machine.h"

enum { MESH_SCRATCH_BYTES_MAX = 8 << 20 };

void msy_mesh_note(struct msy_mesh *mesh, meshsync_status status)
{
    if (mesh->failed == MESHSYNC_OK) {
        mesh->failed = status;
    }
}

void msy_mesh_link_wake(struct msy_mesh *mesh, uint64_t *timer_ms, uint64_t at_ms)
{
    *timer_ms = msy_min_u64(*timer_ms, at_ms);
    mesh->links_at_ms = msy_min_u64(mesh->links_at_ms, at_ms);
}

void msy_space_wake(struct msy_mesh *mesh, uint64_t *timer_ms, uint64_t at_ms)
{
    *timer_ms = msy_min_u64(*timer_ms, at_ms);
    mesh->spaces_at_ms = msy_min_u64(mesh->spaces_at_ms, at_ms);
}

/* --- opening and closing --------------------------------------------------------------------- */

meshsync_status msy_mesh_open(const struct msy_mesh_options *options, uint64_t now_ms,
                              struct msy_mesh **mesh, meshsync_error *error)
{
    bool changed = false;
    *mesh = NULL;
    struct msy_mesh *made = msy_new(options->alloc, sizeof *made);
    if (made == NULL) {
        return msy_fail(error, MESHSYNC_E_NO_MEMORY, "the mesh machine");
    }
    made->alloc = options->alloc;
    made->store = options->store;
    made->identity = options->identity;
    made->entropy = options->entropy;
    made->log = options->log;
    made->ports = options->ports;
    made->keepalive_ms = options->keepalive_ms > 0 ? options->keepalive_ms : MSY_KEEPALIVE_MS;
    made->retry_ms_max = options->retry_ms_max;
    made->compression = options->compression;
    made->peer_bytes_per_s = options->peer_bytes_per_s;
    made->burst_bytes = options->burst_bytes;
    msy_rate_init(&made->rate, options->rate_bytes_per_s, options->burst_bytes, now_ms);
    made->wall.ahead_ms_max = options->clock_ahead_ms_max;
    made->verified = options->verified;
    msy_handshake_offer(made, &options->offer);
    made->now_ms = now_ms;
    made->assertions = msy_assert_failures();
    made->link_next = 1;
    made->reload_at_ms = MSY_NEVER;
    made->links_at_ms = MSY_NEVER;
    made->spaces_at_ms = MSY_NEVER;
    made->addresses_at_ms = MSY_NEVER;
    made->beacon_at_ms = MSY_NEVER;
    memcpy(made->device, msy_identity_public(options->identity), sizeof made->device);
    made->entropy.fill(made->entropy.user, made->instance, sizeof made->instance);
    uint8_t seed[8];
    made->entropy.fill(made->entropy.user, seed, sizeof seed);
    msy_prng_init(&made->prng, msy_get_be64(seed));
    msy_change_init(&made->served, made->alloc);
    msy_buf_init(&made->served_hashes, made->alloc,
                 (size_t)MSY_CHANGE_OPS_MAX * MSY_CHANGE_HASH_BYTES);
    msy_buf_init(&made->scratch, made->alloc, MESH_SCRATCH_BYTES_MAX);
    msy_buf_init(&made->packing, made->alloc, MSY_SESSION_OUT_BYTES_HARD);
    msy_vector_init(&made->tips, made->alloc);
    meshsync_status status = msy_spaces_load(made, &changed);
    if (status != MESHSYNC_OK) {
        msy_mesh_close(made);
        return msy_fail(error, status, "reading the list of spaces");
    }
    *mesh = made;
    return MESHSYNC_OK;
}

void msy_mesh_close(struct msy_mesh *mesh)
{
    if (mesh == NULL) {
        return;
    }
    for (uint32_t i = 0; i < mesh->links_count; i++) {
        msy_mesh_link_free(mesh, mesh->links[i]);
    }
    msy_free(mesh->alloc, mesh->links, mesh->links_cap * sizeof *mesh->links);
    msy_spaces_free(mesh);
    msy_mesh_address_free(mesh);
    msy_ack_free(mesh);
    msy_free(mesh->alloc, mesh->submits, mesh->submits_cap * sizeof *mesh->submits);
    msy_change_fini(&mesh->served);
    msy_buf_fini(&mesh->served_hashes);
    msy_buf_fini(&mesh->scratch);
    msy_buf_fini(&mesh->packing);
    msy_vector_fini(&mesh->tips);
    msy_free(mesh->alloc, mesh, sizeof *mesh);
}

/* --- time ------------------------------------------------------------------------------------ */

/* Where peers share a rate, the one that spent of it last comes last. */
static uint32_t mesh_links_first(const struct msy_mesh *mesh)
{
    uint32_t first = 0;
    while (mesh->rate_turn != 0 && first < mesh->links_count &&
           mesh->links[first]->number <= mesh->rate_turn) {
        first += 1;
    }
    return first < mesh->links_count ? first : 0;
}

static void mesh_links_due(struct msy_mesh *mesh)
{
    uint64_t next_ms = MSY_NEVER;
    mesh->links_at_ms = MSY_NEVER;
    uint32_t first = mesh_links_first(mesh);
    uint32_t count = mesh->links_count;
    for (uint32_t i = 0; i < count; i++) {
        msy_session_due(mesh, mesh->links[(first + i) % count]);
    }
    for (uint32_t i = 0; i < mesh->links_count; i++) {
        const struct msy_mesh_link *link = mesh->links[i];
        if (link->state != MSY_LINK_GONE) {
            next_ms = msy_min_u64(next_ms, msy_min_u64(link->beat_at_ms, link->serve_at_ms));
            next_ms = msy_min_u64(next_ms, msy_min_u64(link->twin_at_ms, link->tell_at_ms));
        }
    }
    mesh->links_at_ms = next_ms;
}

/* True once, when the timer has come. */
static bool mesh_rings(const struct msy_mesh *mesh, uint64_t *timer_ms)
{
    if (*timer_ms > mesh->now_ms) {
        return false;
    }
    *timer_ms = MSY_NEVER;
    return true;
}

static void mesh_space_due(struct msy_mesh *mesh, struct msy_mesh_space *space)
{
    if (mesh_rings(mesh, &space->recheck_at_ms)) {
        msy_spaces_recheck(mesh, space);
    }
    if (mesh_rings(mesh, &space->note_at_ms)) {
        msy_ack_notes(mesh, space);
    }
    if (mesh_rings(mesh, &space->wants_at_ms)) {
        msy_want_due(mesh, space);
    }
    if (mesh_rings(mesh, &space->digest_at_ms)) {
        msy_digest_due(mesh, space);
    }
}

static void mesh_spaces_due(struct msy_mesh *mesh)
{
    uint64_t next_ms = MSY_NEVER;
    for (uint32_t i = 0; i < mesh->spaces_count; i++) {
        struct msy_mesh_space *space = mesh->spaces[i];
        mesh_space_due(mesh, space);
        next_ms = msy_min_u64(next_ms, msy_min_u64(space->wants_at_ms, space->note_at_ms));
        next_ms = msy_min_u64(next_ms, msy_min_u64(space->recheck_at_ms, space->digest_at_ms));
    }
    mesh->spaces_at_ms = next_ms;
}

static void mesh_due(struct msy_mesh *mesh)
{
    if (mesh_rings(mesh, &mesh->reload_at_ms)) {
        msy_spaces_event(mesh, 0);
    }
    if (mesh->links_at_ms <= mesh->now_ms) {
        mesh_links_due(mesh);
    }
    if (mesh->spaces_at_ms <= mesh->now_ms) {
        mesh_spaces_due(mesh);
    }
    if (mesh->addresses_at_ms <= mesh->now_ms) {
        msy_mesh_address_due(mesh);
    }
    if (mesh_rings(mesh, &mesh->beacon_at_ms)) {
        msy_beacon_due(mesh);
    }
}

/* --- events ---------------------------------------------------------------------------------- */

static void mesh_stop(struct msy_mesh *mesh)
{
    mesh->stopping = true;
    for (uint32_t i = 0; i < mesh->links_count; i++) {
        msy_mesh_link_close(mesh, mesh->links[i], MESHSYNC_E_CANCELLED, "the node stops");
    }
}

static void mesh_link_event(struct msy_mesh *mesh, const struct msy_mesh_event *event)
{
    struct msy_mesh_link *link = msy_mesh_link_find(mesh, event->link);
    if (link == NULL) {
        if (event->type == MSY_MESH_LINK_BYTES) { /* We ended it, or had no room for it. */
            struct msy_mesh_effect *effect = msy_effect_add(mesh, MSY_MESH_CLOSE);
            if (effect != NULL) {
                effect->link = event->link;
            }
        }
        return;
    }
    if (event->type == MSY_MESH_LINK_BYTES) {
        msy_mesh_link_bytes(mesh, link, event->bytes);
    } else if (event->type == MSY_MESH_LINK_DRAINED) {
        link->out_bytes = event->out_bytes;
        if (link->state == MSY_LINK_LIVE && event->out_bytes < MSY_SERVE_OUT_BYTES_LOW) {
            msy_mesh_link_wake(mesh, &link->serve_at_ms, mesh->now_ms);
        }
    } else {
        link->lost = true;
        msy_mesh_link_close(mesh, link,
                            event->status != MESHSYNC_OK ? event->status : MESHSYNC_E_UNREACHABLE,
                            event->text != NULL ? event->text : "the link was lost");
    }
}

static meshsync_status mesh_event(struct msy_mesh *mesh, const struct msy_mesh_event *event)
{
    switch (event->type) {
    case MSY_MESH_TICK: return MESHSYNC_OK;
    case MSY_MESH_LINK_UP: msy_mesh_link_up(mesh, event); return MESHSYNC_OK;
    case MSY_MESH_LINK_DOWN:
    case MSY_MESH_LINK_BYTES:
    case MSY_MESH_LINK_DRAINED: mesh_link_event(mesh, event); return MESHSYNC_OK;
    case MSY_MESH_COMMITTED: msy_push_committed(mesh, event); return MESHSYNC_OK;
    case MSY_MESH_RECEIVED: msy_push_received(mesh, event); return MESHSYNC_OK;
    case MSY_MESH_SPACES: msy_spaces_event(mesh, event->space); return MESHSYNC_OK;
    case MSY_MESH_MISSING: msy_want_missing(mesh, event); return MESHSYNC_OK;
    case MSY_MESH_PEER_ADD: return msy_mesh_address_add_seed(mesh, event->text);
    case MSY_MESH_PEER_REMOVE: return msy_mesh_address_remove_seed(mesh, event->text);
    case MSY_MESH_LISTENING: msy_mesh_address_listening(mesh, event->text); return MESHSYNC_OK;
    case MSY_MESH_STOP: mesh_stop(mesh); return MESHSYNC_OK;
    case MSY_MESH_FOUND: msy_mesh_address_candidate(mesh, event->text); return MESHSYNC_OK;
    case MSY_MESH_LAN: msy_beacon_start(mesh); return MESHSYNC_OK;
    case MSY_MESH_BEACON_FROM: msy_beacon_make(mesh, event->text); return MESHSYNC_OK;
    case MSY_MESH_BEACON_IN: msy_beacon_on(mesh, event->text, event->bytes); return MESHSYNC_OK;
    }
    return MESHSYNC_E_INVALID;
}

meshsync_status msy_mesh_step(struct msy_mesh *mesh, const struct msy_mesh_event *event,
                              struct msy_mesh_effects *effects, uint64_t *timer_at_ms)
{
    /* Time that goes back is taken as standing still. */
    mesh->now_ms = event->now_ms > mesh->now_ms ? event->now_ms : mesh->now_ms;
    mesh->unix_ms = event->unix_ms;
    mesh->effects = effects;
    mesh->failed = MESHSYNC_OK;
    mesh->held = false;
    meshsync_status status = mesh_event(mesh, event);
    mesh_due(mesh);
    msy_wall_look(mesh);
    msy_mesh_links_flush(mesh);
    if (mesh->held) {
        (void)msy_effect_add(mesh, MSY_MESH_HELD);
    }
    mesh->effects = NULL;
    if (msy_assert_failures() != mesh->assertions) {
        mesh->failed = MESHSYNC_E_INTERNAL; /* It is begun anew, from the store. */
    }
    *timer_at_ms = msy_min_u64(msy_min_u64(mesh->reload_at_ms, mesh->links_at_ms),
                               msy_min_u64(mesh->spaces_at_ms, mesh->addresses_at_ms));
    *timer_at_ms = msy_min_u64(*timer_at_ms, mesh->beacon_at_ms);
    return status != MESHSYNC_OK ? status : mesh->failed;
}
