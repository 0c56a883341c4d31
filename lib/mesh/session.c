/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions: what happens on a link once both sides know each other (docs/protocol.md, section 4):
 * messages to their places, beats, round trips, and two sessions with one peer.
 */
#include <string.h>

#include "mesh/machine.h"

/* Clocks further apart than this are worth a line in the log, ms. */
enum { SESSION_CLOCK_MS_MAX = 60000 };

uint64_t msy_session_backlog(const struct msy_mesh_link *link)
{
    return link->out_bytes + link->out.len + link->plain.len;
}

uint32_t msy_session_count(const struct msy_mesh *mesh)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < mesh->links_count; i++) {
        count += mesh->links[i]->state == MSY_LINK_LIVE ? 1 : 0;
    }
    return count;
}

struct msy_mesh_link *msy_session_with(struct msy_mesh *mesh,
                                       const uint8_t device[MSY_DEVICE_BYTES],
                                       const struct msy_mesh_link *except)
{
    struct msy_mesh_link *oldest = NULL;
    for (uint32_t i = 0; i < mesh->links_count; i++) {
        struct msy_mesh_link *link = mesh->links[i];
        if (link != except && link->state == MSY_LINK_LIVE &&
            memcmp(link->device, device, MSY_DEVICE_BYTES) == 0 &&
            (oldest == NULL || link->live_ms < oldest->live_ms)) {
            oldest = link;
        }
    }
    return oldest;
}

/* --- writing --------------------------------------------------------------------------------- */

void msy_session_wrote(struct msy_mesh *mesh, struct msy_mesh_link *link, meshsync_status status)
{
    if (status != MESHSYNC_OK) {
        msy_mesh_link_close(mesh, link, status, "no room for a message");
    } else if (msy_session_backlog(link) > MSY_SESSION_OUT_BYTES_HARD) {
        msy_mesh_link_close(mesh, link, MESHSYNC_E_LIMIT, "it does not read what it asks for");
    }
}

void msy_session_numbers(struct msy_mesh *mesh, struct msy_mesh_link *link,
                         enum msy_message_type type, const uint64_t *numbers, uint32_t count)
{
    msy_session_wrote(mesh, link, msy_message_put_numbers(&link->plain, type, numbers, count));
}

void msy_session_ping(struct msy_mesh *mesh, struct msy_mesh_link *link)
{
    if (!link->ping_out) {
        link->ping_out = true;
        link->ping_ms = mesh->now_ms;
        link->ping_number += 1;
    }
    const uint64_t ping[2] = {link->ping_number, 1};
    msy_session_numbers(mesh, link, MSY_MESSAGE_PING, ping, msy_wall_asks(mesh, link) ? 2 : 1);
}

/* What a later version may add: kinds to skip, and elements behind the known ones. */
static void session_unknown(struct msy_mesh *mesh, struct msy_mesh_link *link)
{
    const uint64_t numbers[6] = {mesh->unix_ms, mesh->unix_ms, 0, 1, 2, 3};
    for (uint32_t type = MSY_MESSAGE_TYPE_OPTIONAL; type <= UINT8_MAX; type += 42) {
        msy_session_numbers(mesh, link, (enum msy_message_type)type, numbers, 6);
    }
    msy_session_numbers(mesh, link, MSY_MESSAGE_PONG, numbers, 6);
}

/* --- beginning and end ----------------------------------------------------------------------- */

static void session_notice(struct msy_mesh *mesh, const struct msy_mesh_link *link,
                           meshsync_status status)
{
    struct msy_mesh_effect *effect = msy_effect_add(mesh, MSY_MESH_PEER);
    if (effect != NULL) {
        effect->link = link->number;
        effect->status = status;
        memcpy(effect->device, link->device, sizeof effect->device);
    }
}

/* The same run of the same device, over another link. */
static struct msy_mesh_link *session_twin(struct msy_mesh *mesh, const struct msy_mesh_link *link)
{
    struct msy_mesh_link *oldest = NULL;
    for (uint32_t i = 0; i < mesh->links_count; i++) {
        struct msy_mesh_link *other = mesh->links[i];
        if (other != link && other->state == MSY_LINK_LIVE &&
            memcmp(other->device, link->device, sizeof link->device) == 0 &&
            memcmp(other->instance, link->instance, sizeof link->instance) == 0 &&
            (oldest == NULL || other->live_ms < oldest->live_ms)) {
            oldest = other;
        }
    }
    return oldest;
}

/* One side alone decides which of two sessions stays, so that they cannot each close the other's
 * choice: the one with the smaller device key, and of clones the smaller instance. */
static bool session_decides(const struct msy_mesh *mesh, const struct msy_mesh_link *link)
{
    int order = memcmp(mesh->device, link->device, sizeof link->device);
    if (order == 0) {
        order = memcmp(mesh->instance, link->instance, sizeof link->instance);
    }
    return order < 0;
}

void msy_session_start(struct msy_mesh *mesh, struct msy_mesh_link *link)
{
    const uint64_t hello[3] = {mesh->unix_ms, MSY_MESSAGE_BYTES_MAX, 0};
    link->live_ms = mesh->now_ms;
    msy_rate_init(&link->rate, mesh->peer_bytes_per_s, mesh->burst_bytes, mesh->now_ms);
    mesh->entropy.fill(mesh->entropy.user, link->pad_key, sizeof link->pad_key);
    msy_mesh_link_wake(mesh, &link->beat_at_ms, mesh->now_ms + mesh->keepalive_ms);
    msy_log_write(mesh->log, MSY_LOG_INFO, "mesh", "session on link %u with %02x%02x%02x%02x, %s",
                  link->number, link->device[0], link->device[1], link->device[2], link->device[3],
                  link->remote);
    if (memcmp(link->device, mesh->device, sizeof mesh->device) == 0) {
        msy_log_write(mesh->log, MSY_LOG_WARN, "mesh", "another node has this node's identity");
    }
    msy_mesh_address_found(mesh, link);
    if (msy_session_with(mesh, link->device, link) == NULL) {
        session_notice(mesh, link, MESHSYNC_OK);
    }
    struct msy_mesh_link *twin = session_twin(mesh, link);
    if (twin != NULL) {
        msy_session_ping(mesh, twin);
        if (session_decides(mesh, link)) {
            msy_mesh_link_wake(mesh, &link->twin_at_ms, mesh->now_ms + MSY_TWIN_MS);
        }
    }
    msy_session_numbers(mesh, link, MSY_MESSAGE_HELLO, hello, mesh->offer.unknown ? 3 : 2);
    if (mesh->offer.unknown && link->state == MSY_LINK_LIVE) {
        session_unknown(mesh, link);
    }
    if (link->state == MSY_LINK_LIVE) {
        msy_session_ping(mesh, link);
        msy_spaces_offer(mesh, link);
    }
}

void msy_session_end(struct msy_mesh *mesh, struct msy_mesh_link *link, meshsync_status status)
{
    for (uint32_t i = 0; i < link->channels_count; i++) {
        struct msy_channel *channel = link->channels[i];
        if (msy_channel_is(channel, MSY_WAY_IN)) {
            msy_ack_keep(mesh, link, channel);
            msy_want_release(mesh, link, channel, mesh->now_ms);
        }
    }
    if (msy_session_with(mesh, link->device, link) == NULL) {
        session_notice(mesh, link, status != MESHSYNC_OK ? status : MESHSYNC_E_CANCELLED);
    }
}

/* --- time ------------------------------------------------------------------------------------ */

/* The newer of two sessions gives way, unless the older was silent all the while. */
static void session_judge(struct msy_mesh *mesh, struct msy_mesh_link *link)
{
    struct msy_mesh_link *twin = session_twin(mesh, link);
    if (twin == NULL) {
        return;
    }
    if (twin->heard_ms >= link->live_ms) {
        msy_mesh_link_close(mesh, link, MESHSYNC_E_EXISTS, "there is a session already");
    } else {
        msy_mesh_link_close(mesh, twin, MESHSYNC_E_UNREACHABLE, "silent beside a newer session");
    }
}

static void session_beat(struct msy_mesh *mesh, struct msy_mesh_link *link)
{
    uint64_t silent_ms = mesh->keepalive_ms * MSY_SILENT_KEEPALIVES;
    uint64_t now_ms = mesh->now_ms;
    if (link->state != MSY_LINK_LIVE) {
        if (now_ms >= link->greet_by_ms) {
            msy_mesh_link_close(mesh, link, MESHSYNC_E_TIMEOUT,
                                link->state == MSY_LINK_DIALING ? "no connection in time"
                                                                : "no handshake in time");
            return;
        }
        msy_mesh_link_wake(mesh, &link->beat_at_ms, link->greet_by_ms);
        return;
    }
    if (now_ms - link->heard_ms >= silent_ms) {
        msy_mesh_link_close(mesh, link, MESHSYNC_E_UNREACHABLE, "silent for too long");
        return;
    }
    uint64_t next_ms = link->sent_ms + mesh->keepalive_ms;
    bool ask =
        mesh->wall.ahead_ms_max > 0 && !link->ping_out && now_ms - link->ping_ms >= MSY_WALL_ASK_MS;
    if (next_ms <= now_ms || ask) {
        /* Not an answer to silence but a sign of life: the peer may be deaf to us only because our
         * output waits, and must still be heard. */
        msy_session_ping(mesh, link);
        next_ms = now_ms + mesh->keepalive_ms;
    }
    msy_pack_rest(mesh, link);
    msy_clock_beat(mesh, link);
    if (link->state == MSY_LINK_LIVE) {
        msy_mesh_link_wake(mesh, &link->beat_at_ms,
                           msy_min_u64(next_ms, link->heard_ms + silent_ms));
    }
}

/* True once, when the timer has come. */
static bool session_rings(const struct msy_mesh *mesh, const struct msy_mesh_link *link,
                          uint64_t *timer_ms)
{
    if (link->state == MSY_LINK_GONE || *timer_ms > mesh->now_ms) {
        return false;
    }
    *timer_ms = MSY_NEVER;
    return true;
}

void msy_session_due(struct msy_mesh *mesh, struct msy_mesh_link *link)
{
    if (session_rings(mesh, link, &link->beat_at_ms)) {
        session_beat(mesh, link);
    }
    if (session_rings(mesh, link, &link->twin_at_ms)) {
        session_judge(mesh, link);
    }
    if (session_rings(mesh, link, &link->tell_at_ms)) {
        msy_mesh_address_tell(mesh, link);
    }
    if (session_rings(mesh, link, &link->serve_at_ms)) {
        msy_serve_turn(mesh, link);
    }
}

/* --- messages -------------------------------------------------------------------------------- */

static meshsync_status session_on_hello(struct msy_mesh *mesh, struct msy_mesh_link *link,
                                        meshsync_bytes content)
{
    uint64_t numbers[2];
    if (link->hello || !msy_message_get_numbers(content, numbers, 2)) {
        return MESHSYNC_E_PROTOCOL;
    }
    link->hello = true;
    if (numbers[1] < MSY_MESSAGE_BYTES_MAX) {
        return MESHSYNC_E_UNSUPPORTED; /* It could not take every change. */
    }
    uint64_t apart_ms =
        numbers[0] > mesh->unix_ms ? numbers[0] - mesh->unix_ms : mesh->unix_ms - numbers[0];
    if (apart_ms > SESSION_CLOCK_MS_MAX) {
        msy_log_write(mesh->log, MSY_LOG_WARN, "mesh", "the clock of link %u is %llu ms off ours",
                      link->number, (unsigned long long)apart_ms);
    }
    return MESHSYNC_OK;
}

static meshsync_status session_on_ping(struct msy_mesh *mesh, struct msy_mesh_link *link,
                                       meshsync_bytes content)
{
    uint64_t ping[2] = {0, 0};
    if (!msy_message_get_numbers(content, ping, 1)) {
        return MESHSYNC_E_PROTOCOL;
    }
    bool asks = msy_message_get_numbers(content, ping, 2) && ping[1] == 1;
    const uint64_t answer[2] = {ping[0], mesh->unix_ms};
    msy_session_numbers(mesh, link, MSY_MESSAGE_PONG, answer, asks ? 2 : 1);
    return MESHSYNC_OK;
}

static meshsync_status session_on_pong(struct msy_mesh *mesh, struct msy_mesh_link *link,
                                       meshsync_bytes content)
{
    uint64_t number = 0;
    uint64_t answer[2];
    if (!msy_message_get_numbers(content, &number, 1)) {
        return MESHSYNC_E_PROTOCOL;
    }
    if (link->ping_out && number == link->ping_number) {
        if (msy_message_get_numbers(content, answer, 2)) {
            msy_wall_on_pong(mesh, link, answer[1]);
        }
        uint64_t sample_us = (mesh->now_ms - link->ping_ms) * 1000;
        sample_us = sample_us < MSY_RTT_US_MIN ? MSY_RTT_US_MIN : sample_us;
        link->rtt_us = link->rtt_us == 0 ? sample_us : (7 * link->rtt_us + sample_us) / 8;
        link->ping_out = false;
    }
    return MESHSYNC_OK;
}

static meshsync_status session_on_bye(struct msy_mesh *mesh, struct msy_mesh_link *link,
                                      meshsync_bytes content)
{
    meshsync_status reason = MESHSYNC_OK;
    meshsync_bytes words;
    if (!msy_message_get_bye(content, &reason, &words)) {
        return MESHSYNC_E_PROTOCOL;
    }
    link->bye = true;
    msy_mesh_link_close(mesh, link, reason, "the peer said goodbye");
    return MESHSYNC_OK;
}

static meshsync_status session_message(struct msy_mesh *mesh, struct msy_mesh_link *link,
                                       uint8_t type, meshsync_bytes content)
{
    if (!link->hello && type != MSY_MESSAGE_HELLO && type != MSY_MESSAGE_BYE) {
        return MESHSYNC_E_PROTOCOL;
    }
    switch (type) {
    case MSY_MESSAGE_HELLO: return session_on_hello(mesh, link, content);
    case MSY_MESSAGE_SPACES: return msy_spaces_on_list(mesh, link, content);
    case MSY_MESSAGE_OPEN: return msy_spaces_on_open(mesh, link, content);
    case MSY_MESSAGE_SHUT: return msy_spaces_on_shut(mesh, link, content);
    case MSY_MESSAGE_VECTOR: return msy_ack_on_tips(mesh, link, MSY_MESSAGE_VECTOR, content);
    case MSY_MESSAGE_NOTE: return msy_ack_on_tips(mesh, link, MSY_MESSAGE_NOTE, content);
    case MSY_MESSAGE_WANT: return msy_serve_on_want(mesh, link, content);
    case MSY_MESSAGE_CHANGES: return msy_push_on_changes(mesh, link, content);
    case MSY_MESSAGE_CREDIT: return msy_serve_on_credit(mesh, link, content);
    case MSY_MESSAGE_END: return msy_want_on_end(mesh, link, content);
    case MSY_MESSAGE_PRUNE: return msy_push_on_prune(mesh, link, content);
    case MSY_MESSAGE_DIGEST: return msy_digest_on(mesh, link, content);
    case MSY_MESSAGE_ADDRESSES: return msy_mesh_address_on_told(mesh, link, content);
    case MSY_MESSAGE_PING: return session_on_ping(mesh, link, content);
    case MSY_MESSAGE_PONG: return session_on_pong(mesh, link, content);
    case MSY_MESSAGE_BYE: return session_on_bye(mesh, link, content);
    case MSY_MESSAGE_CLOCK: return msy_clock_on(mesh, link, content);
    case MSY_MESSAGE_ASK: return msy_clock_on_ask(mesh, link, content);
    case MSY_MESSAGE_PACKED: return msy_pack_on(mesh, link, content);
    case MSY_MESSAGE_SEEK: return msy_sketch_on_seek(mesh, link, content);
    case MSY_MESSAGE_SKETCH: return msy_sketch_on(mesh, link, content);
    case MSY_MESSAGE_SWAP: return msy_sketch_on_swap(mesh, link, content);
    }
    return type >= MSY_MESSAGE_TYPE_OPTIONAL ? MESHSYNC_OK : MESHSYNC_E_PROTOCOL;
}

/* The largest message that the peer may send now: a stranger's cannot take much memory. */
static uint32_t session_message_max(const struct msy_mesh_link *link)
{
    return link->opened ? MSY_MESSAGE_BYTES_MAX : MSY_CLOSED_MESSAGE_BYTES_MAX;
}

void msy_session_record(struct msy_mesh *mesh, struct msy_mesh_link *link, meshsync_bytes record)
{
    size_t at = 0;
    meshsync_status status = msy_noise_open(&link->receiving, record, &link->message);
    while (status == MESHSYNC_OK && link->state == MSY_LINK_LIVE &&
           link->message.len - at >= MSY_MESSAGE_HEAD_BYTES) {
        uint8_t type = 0;
        uint32_t len = 0;
        msy_message_head(link->message.data + at, &type, &len);
        if (len > session_message_max(link)) {
            status = MESHSYNC_E_LIMIT;
            break;
        }
        if (link->message.len - at - MSY_MESSAGE_HEAD_BYTES < len) {
            break;
        }
        meshsync_bytes content = {link->message.data + at + MSY_MESSAGE_HEAD_BYTES, len};
        status = session_message(mesh, link, type, content);
        at += MSY_MESSAGE_HEAD_BYTES + len;
    }
    if (status != MESHSYNC_OK) {
        const char *words = status == MESHSYNC_E_AUTH       ? "a record was forged or damaged"
                            : status == MESHSYNC_E_PROTOCOL ? "it broke the protocol"
                                                            : "a message could not be taken in";
        msy_mesh_link_close(mesh, link, status, words);
    }
    msy_buf_consume(&link->message, at);
}
