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

/* The digest of our vector in one session. It is bound to the handshake, to which both sides gave
 * their part, so that nobody can look for two vectors of one digest beforehand. The hash below it
 * is kept: a peer that makes us compare again and again costs nothing that grows with the space. */
static meshsync_status clock_own(struct msy_mesh *mesh, struct msy_store_txn *txn,
                                 const struct msy_mesh_link *link, struct msy_mesh_space *space,
                                 uint8_t digest[MSY_CLOCK_BYTES])
{
    meshsync_status status = msy_space_vector(mesh, txn, space);
    if (status == MESHSYNC_OK && !space->has_clock) {
        status = clock_hash(mesh, &space->vector, space->clock);
        space->has_clock = status == MESHSYNC_OK;
    }
    const meshsync_bytes parts[3] = {{(const uint8_t *)clock_label, sizeof clock_label - 1},
                                     {link->hash, sizeof link->hash},
                                     {space->clock, sizeof space->clock}};
    msy_hash(digest, MSY_CLOCK_BYTES, parts, 3);
    return status;
}

/* --- telling --------------------------------------------------------------------------------- */

void msy_clock_tell(struct msy_mesh *mesh, struct msy_mesh_link *link, struct msy_channel *channel)
{
    struct msy_mesh_space *space = msy_space_find(mesh, channel->space);
    uint8_t digest[MSY_CLOCK_BYTES];
    if (space == NULL || link->state != MSY_LINK_LIVE) {
        return;
    }
    meshsync_status status = clock_own(mesh, NULL, link, space, digest);
    if (status == MESHSYNC_OK &&
        ((link->features & MSY_FEATURE_CLOCK) == 0 || space->vector.count < MSY_CLOCK_TIPS_MIN)) {
        msy_ack_vector(mesh, link, channel);
        return;
    }
    size_t start = link->plain.len;
    if (status == MESHSYNC_OK) {
        status = msy_message_put_clock(&link->plain, channel->ours, digest);
    }
    mesh->stats.clock_bytes_out += link->plain.len - start;
    channel->clock_out = status == MESHSYNC_OK;
    msy_session_wrote(mesh, link, status);
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
    if (status != MESHSYNC_OK || channel == NULL || !channel->clock_out) {
        return status;
    }
    msy_ack_vector(mesh, link, channel);
    return MESHSYNC_OK;
}

/* --- being told ------------------------------------------------------------------------------ */

static meshsync_status clock_ask(struct msy_mesh *mesh, struct msy_mesh_link *link,
                                 struct msy_channel *channel)
{
    const uint64_t numbers[2] = {channel->ours, MSY_CLOCK_RUNG_VECTOR};
    size_t start = link->plain.len;
    if (!channel->has_ours) {
        return MESHSYNC_E_INTERNAL; /* Who lists a space is answered by an OPEN at once. */
    }
    channel->asking = true;
    mesh->stats.clocks_asked += 1;
    meshsync_status status = msy_message_put_numbers(&link->plain, MSY_MESSAGE_ASK, numbers, 2);
    mesh->stats.clock_bytes_out += link->plain.len - start;
    return status;
}

meshsync_status msy_clock_on(struct msy_mesh *mesh, struct msy_mesh_link *link,
                             meshsync_bytes content)
{
    uint64_t number = 0;
    uint8_t theirs[MSY_CLOCK_BYTES];
    uint8_t ours[MSY_CLOCK_BYTES];
    struct msy_channel *channel = NULL;
    struct msy_store_txn *txn = NULL;
    if ((link->features & MSY_FEATURE_CLOCK) == 0 ||
        !msy_message_get_clock(content, &number, theirs)) {
        return MESHSYNC_E_PROTOCOL;
    }
    meshsync_status status = msy_channel_slot(link, number, MSY_WAY_IN, &channel);
    if (status != MESHSYNC_OK || channel == NULL || channel->told || channel->asking) {
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
        status = msy_vector_copy(&channel->durable, &space->vector);
    }
    if (status == MESHSYNC_OK && equal) {
        status = msy_ack_told(mesh, txn, link, channel, space);
        mesh->stats.clocks_equal += 1;
    } else if (status == MESHSYNC_OK) {
        status = clock_ask(mesh, link, channel);
    }
    msy_store_abort(txn);
    if (status == MESHSYNC_OK && equal) {
        msy_ack_heard(mesh, space);
    }
    return status;
}
