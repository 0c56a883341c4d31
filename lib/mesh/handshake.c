/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The handshake: Noise XX with the greetings of both sides in its encrypted payloads
 * (docs/protocol.md, section 3). Nothing is believed before the peer has proved its key.
 */
#include <string.h>

#include "mesh/machine.h"

enum {
    HANDSHAKE_VERSION_MIN = 1,
    HANDSHAKE_VERSION_MAX = 1,
    HANDSHAKE_FEATURES = MSY_FEATURE_CLOCK | MSY_FEATURE_PACKED | MSY_FEATURE_SKETCH
};

/* What both sides have said in the clear. An unequal preamble ends the link before this matters. */
static const char handshake_prologue[] = "meshsync link 1 msy\x01msy\x01";

/* Writes our next message when it is our turn; a greeting goes where the payload is encrypted. */
static meshsync_status handshake_write(struct msy_mesh *mesh, struct msy_mesh_link *link,
                                       bool greet)
{
    struct msy_greeting greeting = {.version_min = mesh->offer.version_min,
                                    .version_max = mesh->offer.version_max,
                                    .features = link->offered};
    uint8_t payload_bytes[MSY_GREETING_BYTES_MAX];
    size_t payload_len = 0;
    meshsync_status status = MESHSYNC_OK;
    memcpy(greeting.device, mesh->device, sizeof greeting.device);
    memcpy(greeting.instance, mesh->instance, sizeof greeting.instance);
    msy_buf_reset(&mesh->scratch);
    if (greet) {
        status = msy_greeting_put(&mesh->scratch, &greeting);
        if (status != MESHSYNC_OK || mesh->scratch.len > sizeof payload_bytes) {
            return status != MESHSYNC_OK ? status : MESHSYNC_E_LIMIT;
        }
        payload_len = mesh->scratch.len;
        memcpy(payload_bytes, mesh->scratch.data, payload_len);
        msy_buf_reset(&mesh->scratch);
    }
    status =
        msy_noise_write(&link->noise, (meshsync_bytes){payload_bytes, payload_len}, &mesh->scratch);
    return status == MESHSYNC_OK ? msy_mesh_link_put_record(link, msy_buf_bytes(&mesh->scratch))
                                 : status;
}

void msy_handshake_offer(struct msy_mesh *mesh, const struct msy_mesh_offer *offer)
{
    mesh->offer = *offer;
    mesh->offer.version_min = offer->version_min > 0 ? offer->version_min : HANDSHAKE_VERSION_MIN;
    mesh->offer.version_max = offer->version_max > 0 ? offer->version_max : HANDSHAKE_VERSION_MAX;
    mesh->offer.sketch_tips_min =
        offer->sketch_tips_min > 0 ? offer->sketch_tips_min : MSY_SKETCH_TIPS_MIN;
    mesh->offer.features = (offer->features | HANDSHAKE_FEATURES) & ~offer->lacks;
}

/* Streams are a matter of memory: only so many sessions at once may have them. */
static uint64_t handshake_offered(const struct msy_mesh *mesh, const struct msy_mesh_link *link)
{
    uint32_t packed = 0;
    bool none =
        mesh->compression == MESHSYNC_COMPRESS_NONE ||
        (mesh->compression == MESHSYNC_COMPRESS_AUTO && msy_mesh_address_is_local(link->remote));
    for (uint32_t i = 0; i < mesh->links_count; i++) {
        packed += (mesh->links[i]->offered & MSY_FEATURE_PACKED) != 0 ? 1 : 0;
    }
    return !none && packed < MSY_PACK_SESSIONS_MAX
               ? mesh->offer.features
               : mesh->offer.features & ~(uint64_t)MSY_FEATURE_PACKED;
}

void msy_handshake_start(struct msy_mesh *mesh, struct msy_mesh_link *link)
{
    uint8_t public_key[MSY_DH_BYTES];
    uint8_t secret[MSY_DH_BYTES];
    link->offered = handshake_offered(mesh, link);
    msy_identity_dh(mesh->identity, public_key, secret);
    msy_noise_init(
        &link->noise, !link->accepted, &(struct msy_noise_keys){secret, public_key, NULL},
        (meshsync_bytes){(const uint8_t *)handshake_prologue, sizeof handshake_prologue - 1},
        mesh->entropy);
    msy_wipe(secret, sizeof secret);
    if (!link->accepted) {
        meshsync_status status = handshake_write(mesh, link, false);
        if (status != MESHSYNC_OK) {
            msy_mesh_link_close(mesh, link, status, "no handshake could be written");
        }
    }
}

/* Checks the peer's greeting against what Noise proved. NULL: good; else why not. */
static const char *handshake_check(const struct msy_mesh *mesh, const struct msy_mesh_link *link,
                                   const struct msy_greeting *greeting, meshsync_status *status)
{
    *status = MESHSYNC_E_AUTH;
    if (!msy_dh_public_once(mesh->verified, greeting->device, link->noise.rs)) {
        return "its key is not the one that it proved";
    }
    *status = MESHSYNC_E_UNSUPPORTED;
    if (greeting->version_min > mesh->offer.version_max ||
        greeting->version_max < mesh->offer.version_min) {
        return "no version of the protocol in common";
    }
    *status = MESHSYNC_E_EXISTS;
    if (memcmp(greeting->device, mesh->device, sizeof mesh->device) == 0 &&
        memcmp(greeting->instance, mesh->instance, sizeof mesh->instance) == 0) {
        return "it is this node itself";
    }
    *status = MESHSYNC_OK;
    return NULL;
}

/* Takes in the payload of a message; false: the link was closed. */
static bool handshake_greeting(struct msy_mesh *mesh, struct msy_mesh_link *link,
                               meshsync_bytes payload)
{
    struct msy_greeting greeting;
    meshsync_status status = MESHSYNC_E_PROTOCOL;
    if (!msy_greeting_get(payload, &greeting)) {
        msy_mesh_link_close(mesh, link, status, "a malformed greeting");
        return false;
    }
    const char *words = handshake_check(mesh, link, &greeting, &status);
    if (words != NULL) {
        if (status == MESHSYNC_E_EXISTS) {
            msy_mesh_address_self(mesh, link);
        }
        msy_mesh_link_close(mesh, link, status, words);
        return false;
    }
    memcpy(link->device, greeting.device, sizeof link->device);
    memcpy(link->instance, greeting.instance, sizeof link->instance);
    link->version = msy_min_u64(greeting.version_max, mesh->offer.version_max);
    link->features = greeting.features & link->offered & HANDSHAKE_FEATURES;
    return true;
}

static void handshake_done(struct msy_mesh *mesh, struct msy_mesh_link *link)
{
    memcpy(link->hash, link->noise.h, sizeof link->hash);
    msy_noise_split(&link->noise, &link->sending, &link->receiving);
    msy_noise_fini(&link->noise);
    msy_mesh_link_move(link, MSY_LINK_LIVE);
    msy_session_start(mesh, link);
}

void msy_handshake_record(struct msy_mesh *mesh, struct msy_mesh_link *link, meshsync_bytes record)
{
    bool first = link->accepted && link->noise.message_index == 0;
    if (msy_noise_must_write(&link->noise)) {
        msy_mesh_link_close(mesh, link, MESHSYNC_E_PROTOCOL, "it spoke out of turn");
        return;
    }
    msy_buf_reset(&mesh->scratch);
    meshsync_status status = msy_noise_read(&link->noise, record, &mesh->scratch);
    if (status != MESHSYNC_OK) {
        msy_mesh_link_close(mesh, link, status, "the handshake failed");
        return;
    }
    if (first) {
        if (mesh->scratch.len != 0) {
            msy_mesh_link_close(mesh, link, MESHSYNC_E_PROTOCOL, "a greeting in the clear");
            return;
        }
    } else if (!handshake_greeting(mesh, link, msy_buf_bytes(&mesh->scratch))) {
        return;
    }
    if (!msy_noise_done(&link->noise)) {
        status = handshake_write(mesh, link, true);
        if (status != MESHSYNC_OK) {
            msy_mesh_link_close(mesh, link, status, "no handshake could be written");
            return;
        }
    }
    if (msy_noise_done(&link->noise)) {
        handshake_done(mesh, link);
    }
}

void msy_handshake_limit(struct msy_mesh *mesh)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < mesh->links_count; i++) {
        const struct msy_mesh_link *link = mesh->links[i];
        count += link->accepted && link->state == MSY_LINK_GREETING ? 1 : 0;
    }
    if (count <= MSY_HALF_OPEN_MAX) {
        return;
    }
    /* At random, so that a flood cannot choose whom it pushes out. */
    uint64_t chosen = msy_prng_below(&mesh->prng, count);
    for (uint32_t i = 0; i < mesh->links_count; i++) {
        struct msy_mesh_link *link = mesh->links[i];
        if (link->accepted && link->state == MSY_LINK_GREETING) {
            if (chosen == 0) {
                msy_mesh_link_close(mesh, link, MESHSYNC_E_BUSY, "too many handshakes at once");
                return;
            }
            chosen -= 1;
        }
    }
}
