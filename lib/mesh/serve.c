/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Serving what peers want (docs/protocol.md, section 7): a stream per channel, in causal order,
 * bounded by the peer's credit, by what is unsent, and by what one turn may read. No transaction
 * of the store lives longer than a turn.
 */
#include "mesh/machine.h"
#include "secure/crypto.h"

meshsync_status msy_serve_on_credit(struct msy_mesh *mesh, struct msy_mesh_link *link,
                                    meshsync_bytes content)
{
    uint64_t numbers[2];
    struct msy_channel *channel = NULL;
    if (!msy_message_get_numbers(content, numbers, 2)) {
        return MESHSYNC_E_PROTOCOL;
    }
    meshsync_status status = msy_channel_slot(link, numbers[0], MSY_WAY_OUT, &channel);
    if (status != MESHSYNC_OK || channel == NULL) {
        return status;
    }
    if (numbers[1] > MSY_CREDIT_BYTES_HELD_MAX ||
        channel->credit + (int64_t)numbers[1] > (int64_t)MSY_CREDIT_BYTES_HELD_MAX) {
        return MESHSYNC_E_PROTOCOL;
    }
    channel->credit += (int64_t)numbers[1];
    msy_mesh_link_wake(mesh, &link->serve_at_ms, mesh->now_ms);
    return MESHSYNC_OK;
}

/* Takes the wanted tips that are here into mesh->tips; their devices are pushed again, for a peer
 * that must ask does not get them otherwise. */
static meshsync_status serve_collect(struct msy_mesh *mesh, struct msy_store_txn *txn,
                                     struct msy_channel *channel, struct msy_tips *tips)
{
    struct msy_tip tip;
    meshsync_status status = MESHSYNC_OK;
    msy_vector_reset(&mesh->tips);
    while (status == MESHSYNC_OK && msy_tips_next(tips, &tip)) {
        struct msy_epoch epoch;
        uint64_t lsn = 0;
        status = msy_history_find(txn, channel->space, &tip.actor, tip.seq, tip.hash, &lsn);
        if (status == MESHSYNC_E_NOT_FOUND) {
            status = MESHSYNC_OK;
            continue;
        }
        if (status == MESHSYNC_OK && channel->lazy.count > 0) {
            status = msy_history_epoch(txn, channel->space, &tip.actor, &epoch);
            if (status == MESHSYNC_OK) {
                msy_lazy_drop(&channel->lazy, epoch.device);
            }
        }
        if (status == MESHSYNC_OK) {
            status = msy_vector_raise(&mesh->tips, &tip);
        }
        if (status == MESHSYNC_OK) {
            status = msy_vector_raise(&channel->served, &tip);
        }
    }
    return status;
}

meshsync_status msy_serve_on_want(struct msy_mesh *mesh, struct msy_mesh_link *link,
                                  meshsync_bytes content)
{
    struct msy_tips tips;
    struct msy_channel *channel = NULL;
    struct msy_store_txn *txn = NULL;
    if (!msy_message_get_tips(content, &tips)) {
        return MESHSYNC_E_PROTOCOL;
    }
    meshsync_status status = msy_channel_slot(link, tips.channel, MSY_WAY_OUT, &channel);
    if (status != MESHSYNC_OK || channel == NULL) {
        return status;
    }
    channel->heard_want = tips.number;
    channel->serving = true;
    status = msy_store_begin(mesh->store, MSY_TXN_READ, &txn);
    if (status == MESHSYNC_OK) {
        status = serve_collect(mesh, txn, channel, &tips);
    }
    if (status == MESHSYNC_OK && mesh->tips.count > 0) {
        status = msy_stream_plan(&channel->stream, txn, channel->space, &channel->durable,
                                 mesh->tips.tips, mesh->tips.count);
    }
    msy_store_abort(txn);
    msy_mesh_link_wake(mesh, &link->serve_at_ms, mesh->now_ms);
    return status;
}

meshsync_status msy_serve_replan(struct msy_store_txn *txn, struct msy_channel *channel)
{
    channel->stream.count = 0;
    channel->stream.changes_left = 0;
    return msy_stream_plan(&channel->stream, txn, channel->space, &channel->durable,
                           channel->served.tips, channel->served.count);
}

/* What was committed to the served chains while they were streamed follows at once: then pushing
 * can go on where the stream ends, and a peer catches up with a busy writer. */
static meshsync_status serve_extend(struct msy_mesh *mesh, struct msy_store_txn *txn,
                                    struct msy_channel *channel)
{
    struct msy_mesh_space *space = msy_space_find(mesh, channel->space);
    bool copied = false;
    meshsync_status status =
        space == NULL ? MESHSYNC_E_NOT_FOUND : msy_space_vector(mesh, txn, space);
    for (uint32_t i = 0; i < channel->served.count && status == MESHSYNC_OK; i++) {
        const struct msy_tip *served = &channel->served.tips[i];
        const struct msy_tip *own = msy_vector_get(&space->vector, &served->actor);
        if (own == NULL || own->seq <= served->seq ||
            own->seq <= msy_channel_knows(channel, &served->actor)) {
            continue;
        }
        if (!copied) {
            copied = true;
            status = msy_vector_copy(&mesh->tips, &channel->durable);
        }
        if (status == MESHSYNC_OK) {
            status = msy_vector_raise(&mesh->tips, served);
        }
        if (status == MESHSYNC_OK) {
            status = msy_stream_plan(&channel->stream, txn, channel->space, &mesh->tips, own, 1);
        }
        if (status == MESHSYNC_OK) {
            status = msy_vector_raise(&channel->served, own); /* Its place stays the same. */
        }
    }
    return status;
}

static void serve_end(struct msy_mesh *mesh, struct msy_mesh_link *link,
                      struct msy_channel *channel)
{
    const uint64_t numbers[2] = {channel->ours, channel->heard_want};
    channel->serving = false;
    msy_vector_reset(&channel->served);
    msy_stream_fini(&channel->stream);
    msy_stream_init(&channel->stream, mesh->alloc);
    msy_session_numbers(mesh, link, MSY_MESSAGE_END, numbers, 2);
}

/* A record leaves only as the change that it is said to be: what a disk spoilt is not passed on.
 * Where reading it has compared a checksum, its hashes need not be computed. */
meshsync_status msy_serve_check(struct msy_mesh *mesh, const struct msy_record *record,
                                const struct msy_tip *tip)
{
    static const struct msy_hasher hasher = {.hash = msy_hash, .stream = msy_stream};
    if (msy_record_sealed(record)) {
        return MESHSYNC_OK;
    }
    meshsync_status status = msy_change_parse(&mesh->served, record->change, NULL);
    if (status == MESHSYNC_OK) {
        status = msy_change_check(&hasher, &mesh->served, record->hash, &mesh->served_hashes);
    }
    if (status == MESHSYNC_OK && (mesh->served.header.seq != tip->seq ||
                                  !msy_actor_equal(&mesh->served.header.actor, &tip->actor))) {
        status = MESHSYNC_E_STORE_CORRUPT;
    }
    return status == MESHSYNC_OK || status == MESHSYNC_E_NO_MEMORY ? status
                                                                   : MESHSYNC_E_STORE_CORRUPT;
}

bool msy_serve_may(struct msy_mesh *mesh, struct msy_mesh_link *link,
                   enum msy_rate_class rate_class)
{
    return msy_rate_may(&link->rate, rate_class, mesh->now_ms) &&
           msy_rate_may(&mesh->rate, rate_class, mesh->now_ms);
}

void msy_serve_spend(struct msy_mesh *mesh, struct msy_mesh_link *link, uint64_t bytes)
{
    msy_rate_spend(&link->rate, bytes);
    msy_rate_spend(&mesh->rate, bytes);
    mesh->rate_turn = mesh->rate.bytes_per_s > 0 ? link->number : 0;
}

/* Serving goes on when the rates allow it: the peer hears nothing of this. */
static void serve_wait(struct msy_mesh *mesh, struct msy_mesh_link *link)
{
    uint64_t peer_ms = msy_rate_at_ms(&link->rate, mesh->now_ms);
    uint64_t total_ms = msy_rate_at_ms(&mesh->rate, mesh->now_ms);
    mesh->stats.rate_waits += 1;
    msy_mesh_link_wake(mesh, &link->serve_at_ms, peer_ms > total_ms ? peer_ms : total_ms);
}

/* Sends the record that the stream stands at, and steps on. */
static meshsync_status serve_record(struct msy_mesh *mesh, struct msy_store_txn *txn,
                                    struct msy_mesh_link *link, struct msy_channel *channel,
                                    uint64_t *bytes)
{
    uint64_t lsn = 0;
    struct msy_record record;
    struct msy_tip tip;
    meshsync_status status = msy_stream_peek(&channel->stream, txn, &lsn, &record);
    if (status != MESHSYNC_OK) {
        return status;
    }
    tip.actor = channel->stream.segments[0].actor;
    tip.seq = channel->stream.segments[0].next_seq;
    memcpy(tip.hash, record.hash, sizeof tip.hash);
    *bytes = record.change.len + 4;
    status = msy_serve_check(mesh, &record, &tip);
    if (status != MESHSYNC_OK) {
        return status;
    }
    status = msy_push_put(link, channel, MSY_CHANGES_STREAM | MSY_CHANGES_DURABLE, record.change);
    if (status == MESHSYNC_OK) {
        status = msy_ack_raise(txn, channel->space, &channel->sent, &tip);
    }
    if (status == MESHSYNC_OK) {
        channel->credit -= (int64_t)*bytes;
        msy_serve_spend(mesh, link, *bytes);
        mesh->stats.changes_out += 1;
        status = msy_stream_advance(&channel->stream, txn);
    }
    return status;
}

/* About one message of a channel; *left goes down by what was read. */
static meshsync_status serve_channel(struct msy_mesh *mesh, struct msy_store_txn *txn,
                                     struct msy_mesh_link *link, struct msy_channel *channel,
                                     uint64_t *left)
{
    uint64_t sent_bytes = 0;
    meshsync_status status = MESHSYNC_OK;
    while (status == MESHSYNC_OK && sent_bytes<MSY_CHANGES_BYTES_GOOD && * left> 0) {
        uint64_t bytes = 0;
        if (channel->stream.count == 0) {
            status = serve_extend(mesh, txn, channel);
            if (status == MESHSYNC_OK && channel->stream.count == 0) {
                serve_end(mesh, link, channel);
                return MESHSYNC_OK;
            }
            continue;
        }
        if (channel->credit <= 0 || !msy_serve_may(mesh, link, MSY_RATE_BULK)) {
            return MESHSYNC_OK;
        }
        status = serve_record(mesh, txn, link, channel, &bytes);
        sent_bytes += bytes;
        *left -= bytes < *left ? bytes : *left;
    }
    return status;
}

static bool serve_ready(const struct msy_channel *channel)
{
    return msy_channel_is(channel, MSY_WAY_OUT) && channel->serving &&
           (channel->credit > 0 || channel->stream.count == 0);
}

/* The next channel whose turn it is, or NULL. */
static struct msy_channel *serve_next(struct msy_mesh_link *link)
{
    for (uint32_t i = 0; i < link->channels_count; i++) {
        uint32_t at = (link->serve_next + i) % link->channels_count;
        if (serve_ready(link->channels[at])) {
            link->serve_next = at + 1;
            return link->channels[at];
        }
    }
    return NULL;
}

static void serve_failed(struct msy_mesh *mesh, struct msy_mesh_link *link,
                         struct msy_channel *channel, meshsync_status status)
{
    if (status == MESHSYNC_E_STORE_CORRUPT) {
        msy_effect_alarm(mesh, channel->space, "a record of the log cannot be read to serve it");
        serve_end(mesh, link, channel);
        return;
    }
    msy_mesh_link_close(mesh, link, status, "it could not be served");
}

void msy_serve_turn(struct msy_mesh *mesh, struct msy_mesh_link *link)
{
    struct msy_store_txn *txn = NULL;
    uint64_t left = MSY_SERVE_TURN_BYTES;
    for (uint32_t i = 0; i < link->channels_count; i++) {
        struct msy_channel *channel = link->channels[i];
        if (msy_channel_is(channel, MSY_WAY_OUT) && channel->vector_due &&
            msy_session_backlog(link) < MSY_SERVE_OUT_BYTES_LOW) {
            msy_ack_vector(mesh, link, channel);
        }
    }
    while (left > 0 && link->state == MSY_LINK_LIVE &&
           msy_session_backlog(link) < MSY_SERVE_OUT_BYTES_LOW) {
        if (!msy_serve_may(mesh, link, MSY_RATE_BULK)) {
            serve_wait(mesh, link);
            break;
        }
        struct msy_channel *channel = serve_next(link);
        if (channel == NULL) {
            break;
        }
        meshsync_status status =
            txn == NULL ? msy_store_begin(mesh->store, MSY_TXN_READ, &txn) : MESHSYNC_OK;
        if (status == MESHSYNC_OK) {
            status = serve_channel(mesh, txn, link, channel, &left);
        }
        if (status != MESHSYNC_OK) {
            serve_failed(mesh, link, channel, status);
        }
    }
    msy_store_abort(txn);
    if (link->state == MSY_LINK_LIVE && left == 0 &&
        msy_session_backlog(link) < MSY_SERVE_OUT_BYTES_LOW) {
        msy_mesh_link_wake(mesh, &link->serve_at_ms, mesh->now_ms);
    }
}
