/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who holds what durably (docs/protocol.md, sections 6 and 8): vectors and notes in both
 * directions, and the memory of peers that are not here.
 */
#include <string.h>

#include "mesh/machine.h"

/* Epochs of one device that are walked for one tip. Beyond it a vector keeps an entry that another
 * implies, which only makes it say less than it could. */
enum { ACK_EPOCHS_MAX = 256 };

/* --- vectors of peers ------------------------------------------------------------------------ */

meshsync_status msy_ack_imply(struct msy_store_txn *txn, uint32_t space, struct msy_vector *vector,
                              const struct msy_actor *actor)
{
    struct msy_actor at = *actor;
    if (vector->count < 2) {
        return MESHSYNC_OK;
    }
    for (uint32_t i = 0; i < ACK_EPOCHS_MAX; i++) {
        struct msy_epoch epoch;
        meshsync_status status = msy_history_epoch(txn, space, &at, &epoch);
        if (status != MESHSYNC_OK || !epoch.has_predecessor) {
            return status == MESHSYNC_E_NOT_FOUND ? MESHSYNC_OK : status;
        }
        struct msy_tip before = epoch.predecessor;
        const struct msy_tip *entry = msy_vector_get(vector, &before.actor);
        if (entry != NULL) {
            /* Entries imply no other, so that nothing further back is in it. */
            if (entry->seq <= before.seq) {
                msy_vector_drop(vector, &before.actor);
            }
            return MESHSYNC_OK;
        }
        at = before.actor;
    }
    return MESHSYNC_OK;
}

meshsync_status msy_ack_raise(struct msy_store_txn *txn, uint32_t space, struct msy_vector *vector,
                              const struct msy_tip *tip)
{
    bool known = msy_vector_get(vector, &tip->actor) != NULL;
    if (!known && vector->count >= MSY_PEER_TIPS_MAX) {
        return MESHSYNC_E_LIMIT;
    }
    meshsync_status status = msy_vector_raise(vector, tip);
    if (status != MESHSYNC_OK || known) {
        return status;
    }
    return msy_ack_imply(txn, space, vector, &tip->actor);
}

/* --- telling --------------------------------------------------------------------------------- */

void msy_ack_vector(struct msy_mesh *mesh, struct msy_mesh_link *link, struct msy_channel *channel)
{
    struct msy_mesh_space *space = msy_space_find(mesh, channel->space);
    uint32_t at = 0;
    if (space == NULL || link->state != MSY_LINK_LIVE) {
        return;
    }
    channel->vector_due = true;
    size_t start = link->plain.len;
    meshsync_status status = msy_space_vector(mesh, NULL, space);
    if (status != MESHSYNC_OK) {
        msy_session_wrote(mesh, link, status);
        return;
    }
    do {
        uint32_t count = space->vector.count - at;
        count = count < MSY_MESSAGE_TIPS_MAX ? count : MSY_MESSAGE_TIPS_MAX;
        bool more = at + count < space->vector.count;
        status = msy_message_put_tips(&link->plain, MSY_MESSAGE_VECTOR, channel->ours, more ? 1 : 0,
                                      count > 0 ? &space->vector.tips[at] : NULL, count);
        at += count;
    } while (status == MESHSYNC_OK && at < space->vector.count);
    channel->vector_due = false;
    channel->clock_out = false; /* It need not ask any more. */
    msy_sketching_free(mesh, &channel->sketching);
    mesh->stats.clock_bytes_out += link->plain.len - start;
    msy_session_wrote(mesh, link, status);
}

void msy_ack_retell(struct msy_mesh *mesh, struct msy_mesh_space *space)
{
    uint32_t at = 0;
    struct msy_mesh_link *link = NULL;
    struct msy_channel *channel = NULL;
    while ((channel = msy_channel_next(mesh, space->number, MSY_WAY_OUT, &at, &link)) != NULL) {
        channel->vector_due = true;
    }
    msy_space_wake(mesh, &space->note_at_ms, space->noted_ms + MSY_NOTE_MS);
}

void msy_ack_fresh(struct msy_mesh *mesh, struct msy_mesh_space *space, const struct msy_tip *tip)
{
    if (msy_vector_raise(&space->fresh, tip) != MESHSYNC_OK) {
        msy_ack_retell(mesh, space); /* No memory for the small note: the whole vector, later. */
    }
    msy_space_wake(mesh, &space->note_at_ms, space->noted_ms + MSY_NOTE_MS);
}

/* What of the fresh tips is news to a peer: it knows that we hold what we sent it. */
static meshsync_status ack_select(struct msy_mesh *mesh, const struct msy_mesh_space *space,
                                  const struct msy_channel *channel)
{
    meshsync_status status = MESHSYNC_OK;
    msy_vector_reset(&mesh->tips);
    for (uint32_t i = 0; i < space->fresh.count && status == MESHSYNC_OK; i++) {
        const struct msy_tip *tip = &space->fresh.tips[i];
        const struct msy_tip *sent = msy_vector_get(&channel->sent, &tip->actor);
        if (sent == NULL || sent->seq < tip->seq) {
            status = msy_vector_raise(&mesh->tips, tip);
        }
    }
    return status;
}

static void ack_note(struct msy_mesh *mesh, const struct msy_mesh_space *space,
                     struct msy_mesh_link *link, struct msy_channel *channel)
{
    if (msy_session_backlog(link) > MSY_PUSH_OUT_BYTES_MAX) {
        channel->vector_due = true; /* One vector later says all that notes would say now. */
    }
    if (channel->vector_due) {
        if (msy_session_backlog(link) <= MSY_PUSH_OUT_BYTES_MAX) {
            msy_ack_vector(mesh, link, channel);
        }
        return;
    }
    meshsync_status status = ack_select(mesh, space, channel);
    for (uint32_t at = 0; at < mesh->tips.count && status == MESHSYNC_OK;
         at += MSY_MESSAGE_TIPS_MAX) {
        uint32_t count = mesh->tips.count - at;
        count = count < MSY_MESSAGE_TIPS_MAX ? count : MSY_MESSAGE_TIPS_MAX;
        status = msy_message_put_tips(&link->plain, MSY_MESSAGE_NOTE, channel->ours, 0,
                                      &mesh->tips.tips[at], count);
    }
    msy_session_wrote(mesh, link, status);
}

void msy_ack_notes(struct msy_mesh *mesh, struct msy_mesh_space *space)
{
    uint32_t at = 0;
    struct msy_mesh_link *link = NULL;
    struct msy_channel *channel = NULL;
    while ((channel = msy_channel_next(mesh, space->number, MSY_WAY_OUT, &at, &link)) != NULL) {
        ack_note(mesh, space, link, channel);
    }
    msy_vector_reset(&space->fresh);
    space->noted_ms = mesh->now_ms;
}

/* --- being told ------------------------------------------------------------------------------ */

/* How long a noted change may still come by itself. */
static uint64_t ack_patience(const struct msy_mesh_link *link)
{
    uint64_t wait_ms = 2 * link->rtt_us / 1000;
    wait_ms = wait_ms < MSY_PUSH_WAIT_MS_MIN ? MSY_PUSH_WAIT_MS_MIN : wait_ms;
    return msy_min_u64(wait_ms, MSY_PUSH_WAIT_MS_MAX);
}

static struct msy_known *ack_known(struct msy_mesh *mesh, const uint8_t device[MSY_DEVICE_BYTES],
                                   uint32_t *at)
{
    uint32_t low = 0;
    uint32_t high = mesh->known_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (memcmp(mesh->known[middle]->device, device, MSY_DEVICE_BYTES) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *at = low;
    if (low < mesh->known_count &&
        memcmp(mesh->known[low]->device, device, MSY_DEVICE_BYTES) == 0) {
        return mesh->known[low];
    }
    return NULL;
}

static struct msy_known_space *ack_known_space(const struct msy_known *known, uint32_t space)
{
    for (uint32_t i = 0; i < known->spaces_count; i++) {
        if (known->spaces[i].space == space) {
            return &known->spaces[i];
        }
    }
    return NULL;
}

/* A peer's new word on what it holds counts more than its old: it may have lost its disk. */
static void ack_forget(struct msy_mesh *mesh, const struct msy_mesh_link *link, uint32_t space)
{
    uint32_t at = 0;
    const struct msy_known *known = ack_known(mesh, link->device, &at);
    struct msy_known_space *found = known == NULL ? NULL : ack_known_space(known, space);
    if (found != NULL) {
        msy_vector_reset(&found->durable);
    }
}

static meshsync_status ack_take(struct msy_mesh *mesh, struct msy_store_txn *txn,
                                const struct msy_mesh_link *link, struct msy_channel *channel,
                                struct msy_mesh_space *space, const struct msy_tip *tip)
{
    /* Before the first whole vector has come nothing in the vector implies anything else in it. */
    meshsync_status status = channel->told
                                 ? msy_ack_raise(txn, space->number, &channel->durable, tip)
                                 : msy_vector_raise(&channel->durable, tip);
    if (status == MESHSYNC_OK && channel->durable.count > MSY_PEER_TIPS_MAX) {
        status = MESHSYNC_E_LIMIT;
    }
    if (status != MESHSYNC_OK) {
        return status;
    }
    uint64_t at_ms = channel->told ? mesh->now_ms + ack_patience(link) : mesh->now_ms;
    return msy_want_add(mesh, txn, space, tip, at_ms, false);
}

meshsync_status msy_ack_told(struct msy_mesh *mesh, struct msy_store_txn *txn,
                             const struct msy_mesh_link *link, struct msy_channel *channel,
                             const struct msy_mesh_space *space)
{
    channel->told = true;
    channel->asking = false;
    channel->waiting = false;
    channel->telling = false;
    msy_sketching_free(mesh, &channel->seeking);
    ack_forget(mesh, link, space->number);
    return channel->serving ? msy_serve_replan(txn, channel) : MESHSYNC_OK;
}

void msy_ack_heard(struct msy_mesh *mesh, struct msy_mesh_space *space)
{
    mesh->held = true;
    msy_want_settle(mesh, space);
    msy_space_wake(mesh, &space->digest_at_ms, mesh->now_ms + MSY_DIGEST_MS);
}

/* Its whole vector begins to come: what it noted since it showed a digest is implied by it. */
static void ack_begin(struct msy_channel *channel)
{
    if (!channel->told && !channel->telling) {
        channel->telling = true;
        msy_vector_reset(&channel->durable);
    }
}

meshsync_status msy_ack_on_tips(struct msy_mesh *mesh, struct msy_mesh_link *link,
                                enum msy_message_type type, meshsync_bytes content)
{
    struct msy_tips tips;
    struct msy_tip tip;
    struct msy_channel *channel = NULL;
    struct msy_store_txn *txn = NULL;
    if (!msy_message_get_tips(content, &tips) || tips.number > 1) {
        return MESHSYNC_E_PROTOCOL;
    }
    meshsync_status status = msy_channel_slot(link, tips.channel, MSY_WAY_IN, &channel);
    if (status != MESHSYNC_OK || channel == NULL) {
        return status;
    }
    struct msy_mesh_space *space = msy_space_find(mesh, channel->space);
    if (space == NULL || (type == MSY_MESSAGE_NOTE && !channel->told && !channel->asking)) {
        return space == NULL ? MESHSYNC_OK : MESHSYNC_E_PROTOCOL;
    }
    if (type == MSY_MESSAGE_VECTOR) {
        ack_begin(channel);
    }
    status = msy_store_begin(mesh->store, MSY_TXN_READ, &txn);
    if (status == MESHSYNC_OK) {
        status = msy_space_vector(mesh, txn, space);
    }
    while (status == MESHSYNC_OK && msy_tips_next(&tips, &tip)) {
        status = ack_take(mesh, txn, link, channel, space, &tip);
    }
    if (status == MESHSYNC_OK && type == MSY_MESSAGE_VECTOR && tips.number == 0 && !channel->told) {
        status = msy_ack_told(mesh, txn, link, channel, space);
    }
    msy_store_abort(txn);
    if (status == MESHSYNC_OK) {
        msy_ack_heard(mesh, space);
    }
    return status;
}

/* --- memory of peers ------------------------------------------------------------------------- */

static void known_free(struct msy_mesh *mesh, struct msy_known *known)
{
    for (uint32_t i = 0; i < known->spaces_count; i++) {
        msy_vector_fini(&known->spaces[i].durable);
    }
    msy_free(mesh->alloc, known->spaces, known->spaces_cap * sizeof *known->spaces);
    msy_free(mesh->alloc, known, sizeof *known);
}

void msy_ack_free(struct msy_mesh *mesh)
{
    for (uint32_t i = 0; i < mesh->known_count; i++) {
        known_free(mesh, mesh->known[i]);
    }
    msy_free(mesh->alloc, mesh->known, mesh->known_cap * sizeof *mesh->known);
    mesh->known = NULL;
    mesh->known_count = 0;
}

/* Room for one more: who was seen longest ago is forgotten. */
static void known_evict(struct msy_mesh *mesh)
{
    uint32_t oldest = 0;
    for (uint32_t i = 1; i < mesh->known_count; i++) {
        if (mesh->known[i]->seen_ms < mesh->known[oldest]->seen_ms) {
            oldest = i;
        }
    }
    known_free(mesh, mesh->known[oldest]);
    mesh->known_count -= 1;
    memmove(&mesh->known[oldest], &mesh->known[oldest + 1],
            (mesh->known_count - oldest) * sizeof *mesh->known);
}

static struct msy_known *known_make(struct msy_mesh *mesh, const uint8_t device[MSY_DEVICE_BYTES])
{
    uint32_t at = 0;
    struct msy_known *known = ack_known(mesh, device, &at);
    if (known != NULL) {
        return known;
    }
    if (mesh->known_count >= MSY_KNOWN_MAX) {
        known_evict(mesh);
        (void)ack_known(mesh, device, &at); /* For its place alone. */
    }
    void *array = mesh->known;
    bool room = msy_array_room(mesh->alloc, &array, &mesh->known_cap, mesh->known_count,
                               sizeof *mesh->known);
    mesh->known = array;
    known = room ? msy_new(mesh->alloc, sizeof *known) : NULL;
    if (known == NULL) {
        return NULL;
    }
    memcpy(known->device, device, MSY_DEVICE_BYTES);
    memmove(&mesh->known[at + 1], &mesh->known[at], (mesh->known_count - at) * sizeof *mesh->known);
    mesh->known[at] = known;
    mesh->known_count += 1;
    return known;
}

/* Room for a space in what is known of a device, or NULL. */
static struct msy_known_space *known_make_space(struct msy_mesh *mesh, struct msy_known *known,
                                                uint32_t space)
{
    struct msy_known_space *found = ack_known_space(known, space);
    void *array = known->spaces;
    if (found != NULL) {
        return found;
    }
    if (known->spaces_count >= MSY_KNOWN_SPACES_MAX) {
        msy_vector_fini(&known->spaces[0].durable);
        known->spaces_count -= 1;
        memmove(&known->spaces[0], &known->spaces[1], known->spaces_count * sizeof *known->spaces);
    }
    if (!msy_array_room(mesh->alloc, &array, &known->spaces_cap, known->spaces_count,
                        sizeof *known->spaces)) {
        return NULL;
    }
    known->spaces = array;
    found = &known->spaces[known->spaces_count];
    known->spaces_count += 1;
    found->space = space;
    msy_vector_init(&found->durable, mesh->alloc);
    return found;
}

void msy_ack_keep(struct msy_mesh *mesh, const struct msy_mesh_link *link,
                  const struct msy_channel *channel)
{
    if (!channel->told || channel->durable.count == 0) {
        return;
    }
    struct msy_known *known = known_make(mesh, link->device);
    struct msy_known_space *kept =
        known == NULL ? NULL : known_make_space(mesh, known, channel->space);
    if (kept == NULL || msy_vector_copy(&kept->durable, &channel->durable) != MESHSYNC_OK) {
        return; /* Without memory it will have to tell again. */
    }
    known->seen_ms = mesh->now_ms;
}

/* --- who holds it ---------------------------------------------------------------------------- */

/* What is asked for: who holds a tip of a space. */
struct holders_ask {
    struct msy_store_txn *txn;
    uint32_t space;
    struct msy_tip tip;
};

/* What the sessions of a device say: *told when one of them has said anything of the space. */
static meshsync_status holders_say(const struct msy_mesh *mesh, const struct holders_ask *ask,
                                   const uint8_t device[MSY_DEVICE_BYTES], bool *told, bool *holds)
{
    meshsync_status status = MESHSYNC_OK;
    *told = false;
    *holds = false;
    for (uint32_t i = 0; i < mesh->links_count && status == MESHSYNC_OK && !*holds; i++) {
        const struct msy_mesh_link *link = mesh->links[i];
        if (link->state != MSY_LINK_LIVE || memcmp(link->device, device, MSY_DEVICE_BYTES) != 0) {
            continue;
        }
        const struct msy_channel *channel = msy_channel_find(link, ask->space);
        if (channel != NULL && channel->told) {
            *told = true;
            status = msy_history_covers(ask->txn, ask->space, &channel->durable, &ask->tip.actor,
                                        ask->tip.seq, holds);
        }
    }
    return status;
}

/* Is this the lowest live link of its device? */
static bool holders_first(const struct msy_mesh *mesh, uint32_t index)
{
    const struct msy_mesh_link *link = mesh->links[index];
    if (link->state != MSY_LINK_LIVE) {
        return false;
    }
    for (uint32_t i = 0; i < index; i++) {
        if (mesh->links[i]->state == MSY_LINK_LIVE &&
            memcmp(mesh->links[i]->device, link->device, MSY_DEVICE_BYTES) == 0) {
            return false;
        }
    }
    return true;
}

static bool holders_ours(const struct msy_mesh *mesh, const uint8_t device[MSY_DEVICE_BYTES])
{
    return memcmp(device, mesh->device, MSY_DEVICE_BYTES) == 0;
}

meshsync_status msy_mesh_holders(struct msy_mesh *mesh, uint32_t space,
                                 const struct msy_actor *actor, uint64_t seq, uint32_t *count)
{
    struct holders_ask ask = {.space = space, .tip = {.actor = *actor, .seq = seq}};
    bool told = false;
    bool holds = false;
    *count = 0;
    meshsync_status status = msy_store_begin(mesh->store, MSY_TXN_READ, &ask.txn);
    for (uint32_t i = 0; i < mesh->links_count && status == MESHSYNC_OK; i++) {
        const uint8_t *device = mesh->links[i]->device;
        if (!holders_first(mesh, i) || holders_ours(mesh, device)) {
            continue;
        }
        status = holders_say(mesh, &ask, device, &told, &holds);
        *count += holds ? 1 : 0;
    }
    for (uint32_t i = 0; i < mesh->known_count && status == MESHSYNC_OK; i++) {
        const struct msy_known *known = mesh->known[i];
        const struct msy_known_space *kept = ack_known_space(known, space);
        if (kept == NULL || holders_ours(mesh, known->device)) {
            continue;
        }
        /* Who is here is counted by what it says now. */
        status = holders_say(mesh, &ask, known->device, &told, &holds);
        if (status == MESHSYNC_OK && !told) {
            status = msy_history_covers(ask.txn, space, &kept->durable, actor, seq, &holds);
            *count += holds ? 1 : 0;
        }
    }
    msy_store_abort(ask.txn);
    return status;
}
