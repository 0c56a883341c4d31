/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Comparing at rest (docs/protocol.md, section 9): equal vectors must mean equal content. Two nodes
 * that differ then are an alarm, never a silent wrong.
 */
#include <string.h>

#include "mesh/machine.h"

/* A peer's comparisons are looked at no more often, ms. */
enum { DIGEST_LOOK_MS = 500 };

static const char digest_label[] = "meshsync vector 1";

static meshsync_status digest_vector_hash(struct msy_mesh *mesh, const struct msy_vector *vector,
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
            status = msy_buf_append(&mesh->scratch, tip->hash, sizeof tip->hash);
        }
    }
    const meshsync_bytes parts[2] = {{(const uint8_t *)digest_label, sizeof digest_label - 1},
                                     msy_buf_bytes(&mesh->scratch)};
    msy_hash(hash, 32, parts, 2);
    return status;
}

/* Hash of the vector and the digest, both of one moment. */
static meshsync_status digest_own(struct msy_mesh *mesh, uint32_t space, uint8_t hashes[2][32])
{
    struct msy_store_txn *txn = NULL;
    meshsync_status status = msy_store_begin(mesh->store, MSY_TXN_READ, &txn);
    if (status == MESHSYNC_OK) {
        status = msy_history_vector(txn, space, &mesh->tips);
    }
    if (status == MESHSYNC_OK) {
        status = digest_vector_hash(mesh, &mesh->tips, hashes[0]);
    }
    if (status == MESHSYNC_OK) {
        status = mesh->ports.digest(mesh->ports.user, txn, space, hashes[1]);
    }
    msy_store_abort(txn);
    return status;
}

static bool digest_equal(const struct msy_vector *a, const struct msy_vector *b)
{
    if (a->count != b->count) {
        return false;
    }
    for (uint32_t i = 0; i < a->count; i++) {
        const struct msy_tip *x = &a->tips[i];
        const struct msy_tip *y = &b->tips[i];
        if (!msy_actor_equal(&x->actor, &y->actor) || x->seq != y->seq ||
            memcmp(x->hash, y->hash, MSY_TIP_PREFIX_BYTES) != 0) {
            return false;
        }
    }
    return true;
}

void msy_digest_due(struct msy_mesh *mesh, struct msy_mesh_space *space)
{
    uint64_t changed_ms =
        space->changed_ms > space->compared_ms ? space->changed_ms : space->compared_ms;
    uint8_t hashes[2][32];
    bool have = false;
    uint32_t at = 0;
    struct msy_mesh_link *link = NULL;
    struct msy_channel *channel = NULL;
    if (mesh->now_ms - changed_ms < MSY_DIGEST_MS) {
        msy_space_wake(mesh, &space->digest_at_ms, changed_ms + MSY_DIGEST_MS);
        return;
    }
    if (space->wants_count > 0 || space->flying_count > 0 || space->stale) {
        return; /* What comes will wake us. */
    }
    while ((channel = msy_channel_next(mesh, space->number, MSY_WAY_BOTH, &at, &link)) != NULL) {
        if (!channel->told || !digest_equal(&channel->durable, &space->vector)) {
            continue;
        }
        if (!have) {
            meshsync_status status = digest_own(mesh, space->number, hashes);
            if (status != MESHSYNC_OK) {
                msy_mesh_note(mesh, status);
                return;
            }
            have = true;
            space->compared_ms = mesh->now_ms;
        }
        if (memcmp(channel->digest_sent, hashes[0], sizeof channel->digest_sent) != 0) {
            memcpy(channel->digest_sent, hashes[0], sizeof channel->digest_sent);
            msy_session_wrote(mesh, link,
                              msy_message_put_hashes(&link->plain, MSY_MESSAGE_DIGEST,
                                                     channel->ours, (const uint8_t(*)[32])hashes,
                                                     2));
        }
    }
}

meshsync_status msy_digest_on(struct msy_mesh *mesh, struct msy_mesh_link *link,
                              meshsync_bytes content)
{
    uint64_t number = 0;
    uint8_t theirs[2][32];
    uint8_t ours[2][32];
    struct msy_channel *channel = NULL;
    if (!msy_message_get_hashes(content, &number, theirs, 2)) {
        return MESHSYNC_E_PROTOCOL;
    }
    meshsync_status status = msy_channel_slot(link, number, MSY_WAY_BOTH, &channel);
    if (status != MESHSYNC_OK || channel == NULL) {
        return status;
    }
    if (channel->digest_ms != 0 && mesh->now_ms - channel->digest_ms < DIGEST_LOOK_MS) {
        return MESHSYNC_OK;
    }
    channel->digest_ms = mesh->now_ms;
    status = digest_own(mesh, channel->space, ours);
    if (status == MESHSYNC_OK && memcmp(ours[0], theirs[0], sizeof ours[0]) == 0 &&
        memcmp(ours[1], theirs[1], sizeof ours[1]) != 0) {
        msy_effect_alarm(mesh, channel->space,
                         "a peer holds the same changes and has another content");
    }
    return status;
}
