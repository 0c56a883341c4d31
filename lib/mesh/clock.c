/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first rungs of catching up (docs/protocol.md, section 6): a side that lets a peer in shows a
 * digest of its vector before it spends the vector. A peer that holds the very same tips computes
 * the very same digest, and knows all; one that does not asks for the vector.
 */
#include <string.h>

#include "mesh/machine.h"

static const char clock_tips_label[] = "meshsync tips 1";
static const char clock_label[] = "meshsync clock 1";

/* --- digests --------------------------------------------------------------------------------- */

/* Hash of a vector as messages would tell it: of each change hash its prefix alone. */
static meshsync_status clock_hash(struct msy_mesh *mesh, const struct msy_vector *vector,
                                  uint8_t hash[32])
{
    meshsync_status status = MESHSYNC_OK;
    msy_buf_reset(&mesh->scratch);
    for (uint32_t i = 0; i < vector->count && status == MESHSYNC_OK; i++) {
        const struct msy_tip *tip = &vector->tips[i];
        status = msy_buf_append(&mesh->scratch, tip->actor.id, sizeof tip->actor.id);
        if (status == MESHSYNC_OK) {
            status = msy_buf_append_be64(&mesh->scratch, tip->seq);
        }
        if (status == MESHSYNC_OK) {
            status = msy_buf_append(&mesh->scratch, tip->hash, MSY_TIP_PREFIX_BYTES);
        }
    }
    const meshsync_bytes parts[2] = {
        {(const uint8_t *)clock_tips_label, sizeof clock_tips_label - 1},
        msy_buf_bytes(&mesh->scratch)};
    msy_hash(hash, 32, parts, 2);
    return status;
}

/* Bound to the handshake, to which both sides gave their part, so that nobody can look for two
 * vectors of one digest beforehand. */
static void clock_bind(const struct msy_mesh_link *link, const uint8_t hash[32],
                       uint8_t digest[MSY_CLOCK_BYTES])
{
    const meshsync_bytes parts[3] = {{(const uint8_t *)clock_label, sizeof clock_label - 1},
                                     {link->hash, sizeof link->hash},
                                     {hash, 32}};
    msy_hash(digest, MSY_CLOCK_BYTES, parts, 3);
}

meshsync_status msy_clock_digest(struct msy_mesh *mesh, const struct msy_mesh_link *link,
                                 const struct msy_vector *vector, uint8_t digest[MSY_CLOCK_BYTES])
{
    uint8_t hash[32] = {0};
    meshsync_status status = clock_hash(mesh, vector, hash);
    clock_bind(link, hash, digest);
    return status;
}

/* The digest of our vector in one session. The hash below it is kept: a peer that makes us compare
 * again and again costs nothing that grows with the space. */
static meshsync_status clock_own(struct msy_mesh *mesh, struct msy_store_txn *txn,
                                 const struct msy_mesh_link *link, struct msy_mesh_space *space,
                                 uint8_t digest[MSY_CLOCK_BYTES])
{
    meshsync_status status = msy_space_vector(mesh, txn, space);
    if (status == MESHSYNC_OK && !space->has_clock) {
        status = clock_hash(mesh, &space->vector, space->clock);
        space->has_clock = status == MESHSYNC_OK;
    }
    clock_bind(link, space->clock, digest);
    return status;
}

/* --- telling --------------------------------------------------------------------------------- */

static void clock_show(struct msy_mesh *mesh, struct msy_mesh_link *link,
                       struct msy_channel *channel, const uint8_t digest[MSY_CLOCK_BYTES])
{
    size_t start = link->plain.len;
    meshsync_status status = msy_message_put_clock(&link->plain, channel->ours, digest);
    mesh->stats.clock_bytes_out += link->plain.len - start;
    memcpy(channel->clock, digest, sizeof channel->clock);
    channel->clock_out = status == MESHSYNC_OK;
    channel->sought = false;
    msy_session_wrote(mesh, link, status);
}

void msy_clock_tell(struct msy_mesh *mesh, struct msy_mesh_link *link, struct msy_channel *channel)
{
    struct msy_mesh_space *space = msy_space_find(mesh, channel->space);
    uint8_t digest[MSY_CLOCK_BYTES];
    if (space == NULL || link->state != MSY_LINK_LIVE) {
        return;
    }
    meshsync_status status = clock_own(mesh, NULL, link, space, digest);
    if (status != MESHSYNC_OK) {
        msy_session_wrote(mesh, link, status);
    } else if ((link->features & MSY_FEATURE_CLOCK) == 0 ||
               space->vector.count < MSY_CLOCK_TIPS_MIN) {
        msy_ack_vector(mesh, link, channel);
    } else {
        clock_show(mesh, link, channel, digest);
    }
}

/* The peer could not tell our vector from its digest. One answer is owed for one digest: who asks
 * again is not answered again. */
meshsync_status msy_clock_on_ask(struct msy_mesh *mesh, struct msy_mesh_link *link,
                                 meshsync_bytes content)
{
    uint64_t numbers[2];
    struct msy_channel *channel = NULL;
    if ((link->features & MSY_FEATURE_CLOCK) == 0 ||
        !msy_message_get_numbers(content, numbers, 2) || numbers[1] != MSY_CLOCK_RUNG_VECTOR) {
        return MESHSYNC_E_PROTOCOL;
    }
    meshsync_status status = msy_channel_slot(link, numbers[0], MSY_WAY_OUT, &channel);
    if (status != MESHSYNC_OK || channel == NULL) {
        return status;
    }
    if (channel->clock_out) {
        msy_ack_vector(mesh, link, channel);
    }
    return msy_clock_unwait(mesh, link, channel);
}

/* --- being told ------------------------------------------------------------------------------ */

meshsync_status msy_clock_ask(struct msy_mesh *mesh, struct msy_mesh_link *link,
                              struct msy_channel *channel)
{
    const uint64_t numbers[2] = {channel->ours, MSY_CLOCK_RUNG_VECTOR};
    size_t start = link->plain.len;
    if (!channel->has_ours) {
        return MESHSYNC_E_INTERNAL; /* Who lists a space is answered by an OPEN at once. */
    }
    msy_sketching_free(mesh, &channel->seeking);
    channel->asking = true;
    channel->waiting = false;
    mesh->stats.clocks_asked += 1;
    meshsync_status status = msy_message_put_numbers(&link->plain, MSY_MESSAGE_ASK, numbers, 2);
    mesh->stats.clock_bytes_out += link->plain.len - start;
    return status;
}

meshsync_status msy_clock_unwait(struct msy_mesh *mesh, struct msy_mesh_link *link,
                                 struct msy_channel *channel)
{
    return channel->waiting ? msy_clock_ask(mesh, link, channel) : MESHSYNC_OK;
}

void msy_clock_beat(struct msy_mesh *mesh, struct msy_mesh_link *link)
{
    for (uint32_t i = 0; i < link->channels_count && link->state == MSY_LINK_LIVE; i++) {
        struct msy_channel *channel = link->channels[i];
        msy_sketching_expire(mesh, &channel->sketching);
        if (channel->waiting && mesh->now_ms - channel->waiting_ms >= mesh->keepalive_ms) {
            msy_session_wrote(mesh, link, msy_clock_ask(mesh, link, channel));
        }
    }
}

/* The vectors differ. One side alone begins to compare, and tells the other what it found: the one
 * that accepted the link. The other waits where it is sure that both look at the same two digests:
 * its own is still what it showed. */
static meshsync_status clock_differs(struct msy_mesh *mesh, struct msy_mesh_link *link,
                                     struct msy_channel *channel,
                                     const struct msy_mesh_space *space,
                                     const uint8_t ours[MSY_CLOCK_BYTES])
{
    if (!msy_sketch_may(mesh, link, channel, space)) {
        return msy_clock_ask(mesh, link, channel);
    }
    if (!link->accepted && !channel->waited && channel->clock_out &&
        memcmp(channel->clock, ours, MSY_CLOCK_BYTES) == 0) {
        channel->asking = true;
        channel->waiting = true;
        channel->waited = true;
        channel->waiting_ms = mesh->now_ms;
        return MESHSYNC_OK;
    }
    return msy_sketch_seek(mesh, link, channel, space);
}

/* The peer's vector is our own. Where ours has just become so, the peer saw two that differ, and
 * may wait for us: it is shown the new one. */
static meshsync_status clock_equals(struct msy_mesh *mesh, struct msy_store_txn *txn,
                                    struct msy_mesh_link *link, struct msy_channel *channel,
                                    const struct msy_mesh_space *space,
                                    const uint8_t ours[MSY_CLOCK_BYTES])
{
    meshsync_status status = msy_vector_copy(&channel->durable, &space->vector);
    if (status == MESHSYNC_OK) {
        status = msy_ack_told(mesh, txn, link, channel, space);
    }
    mesh->stats.clocks_equal += 1;
    if (status == MESHSYNC_OK && msy_sketch_may(mesh, link, channel, space) && channel->clock_out &&
        memcmp(channel->clock, ours, MSY_CLOCK_BYTES) != 0) {
        clock_show(mesh, link, channel, ours);
    }
    return status;
}

meshsync_status msy_clock_on(struct msy_mesh *mesh, struct msy_mesh_link *link,
                             meshsync_bytes content)
{
    uint64_t number = 0;
    uint8_t theirs[MSY_CLOCK_BYTES];
    uint8_t ours[MSY_CLOCK_BYTES] = {0};
    struct msy_channel *channel = NULL;
    struct msy_store_txn *txn = NULL;
    if ((link->features & MSY_FEATURE_CLOCK) == 0 ||
        !msy_message_get_clock(content, &number, theirs)) {
        return MESHSYNC_E_PROTOCOL;
    }
    meshsync_status status = msy_channel_slot(link, number, MSY_WAY_IN, &channel);
    if (status != MESHSYNC_OK || channel == NULL || channel->told ||
        (channel->asking && !channel->waiting)) {
        return status;
    }
    struct msy_mesh_space *space = msy_space_find(mesh, channel->space);
    if (space == NULL) {
        return MESHSYNC_OK;
    }
    status = msy_store_begin(mesh->store, MSY_TXN_READ, &txn);
    if (status == MESHSYNC_OK) {
        status = clock_own(mesh, txn, link, space, ours);
    }
    bool equal = status == MESHSYNC_OK && memcmp(ours, theirs, sizeof ours) == 0;
    if (equal) {
        status = clock_equals(mesh, txn, link, channel, space, ours);
    } else if (status == MESHSYNC_OK) {
        channel->waiting = false;
        status = clock_differs(mesh, link, channel, space, ours);
    }
    msy_store_abort(txn);
    if (status == MESHSYNC_OK && equal) {
        msy_ack_heard(mesh, space);
    }
    return status;
}
