/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compression (docs/protocol.md, section 12): before what was written in a step is sealed, each
 * CHANGES that is worth it becomes a PACKED. A stream is made for a space when there is much to
 * say, and given back when there has been nothing for a while; so a quiet session holds none.
 */
#include "mesh/machine.h"

enum { PACK_CHANNEL_BYTES = 4 };

/* --- going out ------------------------------------------------------------------------------- */

static struct msy_channel *pack_channel(const struct msy_mesh_link *link, uint32_t number)
{
    for (uint32_t i = 0; i < link->channels_count; i++) {
        if (link->channels[i]->has_ours && link->channels[i]->ours == number) {
            return link->channels[i];
        }
    }
    return NULL;
}

/* The channel of a message that is to be packed, with its stream; NULL: it goes as it is. */
static struct msy_channel *pack_for(struct msy_mesh *mesh, struct msy_mesh_link *link, uint8_t type,
                                    meshsync_bytes content)
{
    if (type != MSY_MESSAGE_CHANGES || content.len < MSY_PACK_BYTES_MIN ||
        content.len > MSY_PRESS_PLAIN_BYTES_MAX ||
        (content.data[0] & MSY_CHANGES_INTRODUCTION) != 0) {
        return NULL;
    }
    struct msy_channel *channel = pack_channel(link, msy_get_be32(content.data + 1));
    if (channel == NULL || channel->press != NULL || content.len < MSY_PACK_START_BYTES ||
        link->presses_count >= MSY_PACK_STREAMS_MAX) {
        return channel != NULL && channel->press != NULL ? channel : NULL;
    }
    int level =
        mesh->compression == MESHSYNC_COMPRESS_AUTO ? MSY_PACK_LEVEL : (int)mesh->compression;
    if (msy_press_new(mesh->alloc, level, &channel->press) != MESHSYNC_OK) {
        return NULL; /* Without the memory it goes as it is. */
    }
    link->presses_count += 1;
    return channel;
}

/* Appends one message to mesh->packing, packed or as it is. */
static meshsync_status pack_message(struct msy_mesh *mesh, struct msy_mesh_link *link,
                                    meshsync_bytes message)
{
    const meshsync_bytes content = {message.data + MSY_MESSAGE_HEAD_BYTES,
                                    message.len - MSY_MESSAGE_HEAD_BYTES};
    struct msy_channel *channel = pack_for(mesh, link, message.data[0], content);
    struct msy_buf *out = &mesh->packing;
    size_t start = out->len;
    if (channel == NULL) {
        return msy_buf_append(out, message.data, message.len);
    }
    meshsync_status status = msy_message_begin_packed(out, channel->ours);
    size_t unit_at = out->len;
    if (status == MESHSYNC_OK) {
        status = msy_press_put(channel->press, content, out);
    }
    if (status == MESHSYNC_OK && msy_press_is_packed(out->data + unit_at)) {
        msy_message_end(out, start);
        channel->press_ms = mesh->now_ms;
        size_t packed = out->len - start;
        size_t saved = packed < message.len ? message.len - packed : 0;
        msy_rate_give_back(&link->rate, saved); /* What counts is what goes over the wire. */
        msy_rate_give_back(&mesh->rate, saved);
        mesh->stats.packed_bytes_in += message.len;
        mesh->stats.packed_bytes_out += packed;
        return MESHSYNC_OK;
    }
    out->len = start;
    return status == MESHSYNC_OK ? msy_buf_append(out, message.data, message.len) : status;
}

meshsync_status msy_pack_link(struct msy_mesh *mesh, struct msy_mesh_link *link)
{
    size_t at = 0;
    meshsync_status status = MESHSYNC_OK;
    if ((link->features & MSY_FEATURE_PACKED) == 0 || link->changes_end == 0) {
        return MESHSYNC_OK;
    }
    msy_buf_reset(&mesh->packing);
    while (at < link->plain.len && status == MESHSYNC_OK) {
        uint8_t type = 0;
        uint32_t len = 0;
        msy_message_head(link->plain.data + at, &type, &len);
        status = pack_message(
            mesh, link, (meshsync_bytes){link->plain.data + at, MSY_MESSAGE_HEAD_BYTES + len});
        at += MSY_MESSAGE_HEAD_BYTES + len;
    }
    if (status == MESHSYNC_OK) {
        struct msy_buf packed = mesh->packing;
        mesh->packing = link->plain;
        link->plain = packed;
    }
    return status;
}

static void pack_drop(struct msy_mesh_link *link, struct msy_channel *channel)
{
    if (channel->press != NULL) {
        msy_press_free(channel->press);
        channel->press = NULL;
        link->presses_count -= 1;
    }
}

void msy_pack_rest(struct msy_mesh *mesh, struct msy_mesh_link *link)
{
    for (uint32_t i = 0; i < link->channels_count && link->presses_count > 0; i++) {
        struct msy_channel *channel = link->channels[i];
        if (channel->press == NULL || mesh->now_ms - channel->press_ms < MSY_PACK_IDLE_MS) {
            continue;
        }
        pack_drop(link, channel);
        msy_session_wrote(mesh, link, msy_message_begin_packed(&link->plain, channel->ours));
    }
}

/* --- coming in ------------------------------------------------------------------------------- */

static void pack_drop_in(struct msy_mesh_link *link, struct msy_channel *channel)
{
    if (channel->unpress != NULL) {
        msy_unpress_free(channel->unpress);
        channel->unpress = NULL;
        link->unpresses_count -= 1;
    }
}

/* The CHANGES in a unit, and nothing else: of the same channel, and no introduction. */
static meshsync_status pack_take(struct msy_mesh *mesh, struct msy_mesh_link *link,
                                 struct msy_channel *channel, uint32_t number, meshsync_bytes unit)
{
    meshsync_status status = MESHSYNC_OK;
    if (channel->unpress == NULL) {
        if (link->unpresses_count >= MSY_PACK_STREAMS_MAX) {
            return MESHSYNC_E_PROTOCOL;
        }
        status = msy_unpress_new(mesh->alloc, &channel->unpress);
        link->unpresses_count += status == MESHSYNC_OK ? 1 : 0;
    }
    msy_buf_reset(&mesh->packing);
    if (status == MESHSYNC_OK) {
        status = msy_unpress_take(channel->unpress, unit, &mesh->packing);
    }
    if (status != MESHSYNC_OK) {
        return status;
    }
    const meshsync_bytes content = msy_buf_bytes(&mesh->packing);
    if (content.len < MSY_CHANGES_HEAD_BYTES || msy_get_be32(content.data + 1) != number ||
        (content.data[0] & MSY_CHANGES_INTRODUCTION) != 0) {
        return MESHSYNC_E_PROTOCOL;
    }
    return msy_push_on_changes(mesh, link, content);
}

meshsync_status msy_pack_on(struct msy_mesh *mesh, struct msy_mesh_link *link,
                            meshsync_bytes content)
{
    if ((link->features & MSY_FEATURE_PACKED) == 0 || content.len < PACK_CHANNEL_BYTES) {
        return MESHSYNC_E_PROTOCOL;
    }
    uint32_t number = msy_get_be32(content.data);
    const meshsync_bytes unit = {content.data + PACK_CHANNEL_BYTES,
                                 content.len - PACK_CHANNEL_BYTES};
    if (number >= link->slots_count) {
        return MESHSYNC_E_PROTOCOL;
    }
    struct msy_channel *channel = link->slots[number];
    if (channel == NULL) {
        return MESHSYNC_OK; /* Given up here; the number, and so its stream, is never used again. */
    }
    if (unit.len == 0) {
        pack_drop_in(link, channel);
        return MESHSYNC_OK;
    }
    return pack_take(mesh, link, channel, number, unit);
}

void msy_pack_forget(struct msy_mesh_link *link, struct msy_channel *channel)
{
    pack_drop(link, channel);
    pack_drop_in(link, channel);
}
