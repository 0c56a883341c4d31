/* SPDX-License-Identifier: Apache-2.0 */
/* What is shown of the mesh machine: peers, counts, and whether it is at rest. */
#include <stdio.h>
#include <string.h>

#include "mesh/machine.h"

static int32_t show_state(const struct msy_mesh_link *link)
{
    bool synced = true;
    switch (link->state) {
    case MSY_LINK_DIALING: return MESHSYNC_PEER_DIALING;
    case MSY_LINK_GREETING: return MESHSYNC_PEER_GREETING;
    case MSY_LINK_GONE:
    case MSY_LINK_STATE_COUNT: return MESHSYNC_PEER_IDLE;
    case MSY_LINK_LIVE: break;
    }
    for (uint32_t i = 0; i < link->channels_count; i++) {
        const struct msy_channel *channel = link->channels[i];
        synced = synced && (!msy_channel_is(channel, MSY_WAY_IN) || channel->synced);
    }
    return synced ? MESHSYNC_PEER_LIVE : MESHSYNC_PEER_SYNCING;
}

/* Counts by entries alone: an estimate for display, cheap enough to ask at any time. */
static void show_lag(struct msy_mesh *mesh, const struct msy_channel *channel,
                     meshsync_peer_info *info)
{
    const struct msy_mesh_space *space = msy_space_find(mesh, channel->space);
    for (uint32_t i = 0; space != NULL && i < space->vector.count; i++) {
        const struct msy_tip *own = &space->vector.tips[i];
        const struct msy_tip *its = msy_vector_get(&channel->durable, &own->actor);
        uint64_t seq = its == NULL ? 0 : its->seq;
        info->lag_changes += own->seq > seq ? own->seq - seq : 0;
    }
    for (uint32_t i = 0; space != NULL && i < space->wants_count; i++) {
        const struct msy_tip *tip = &space->wants[i].tip;
        const struct msy_tip *its = msy_vector_get(&channel->durable, &tip->actor);
        const struct msy_tip *own = msy_vector_get(&space->vector, &tip->actor);
        uint64_t seq = own == NULL ? 0 : own->seq;
        if (its != NULL && its->seq >= tip->seq && tip->seq > seq) {
            info->behind_changes += tip->seq - seq;
        }
    }
}

static void show_link(struct msy_mesh *mesh, const struct msy_mesh_link *link,
                      meshsync_peer_info *info)
{
    info->state = show_state(link);
    info->rtt_us = link->rtt_us;
    info->last_heard_ms = link->heard_unix_ms;
    info->bytes_in = link->bytes_in;
    info->bytes_out = link->bytes_out;
    info->outbound = link->accepted ? 0 : 1;
    if (link->state == MSY_LINK_LIVE) {
        info->has_id = 1;
        memcpy(info->id, link->device, sizeof info->id);
    }
    for (uint32_t i = 0; i < link->channels_count; i++) {
        if (link->channels[i]->state == MSY_CHANNEL_OPEN) {
            info->spaces += 1;
            show_lag(mesh, link->channels[i], info);
        }
    }
    memcpy(info->address, link->remote, sizeof info->address);
}

static void show_address(const struct msy_mesh_address *address, meshsync_peer_info *info)
{
    info->state = MESHSYNC_PEER_IDLE;
    info->outbound = 1;
    info->last_heard_ms = address->heard_unix_ms;
    info->last_error = address->last_error;
    info->has_id = address->has_device ? 1 : 0;
    memcpy(info->id, address->device, sizeof info->id);
    memcpy(info->address, address->text, sizeof info->address);
    memcpy(info->last_error_text, address->last_words, sizeof address->last_words);
}

meshsync_status msy_mesh_peer_at(struct msy_mesh *mesh, uint32_t index, meshsync_peer_info *info)
{
    size_t size = info->size;
    memset(info, 0, sizeof *info);
    info->size = size;
    if (index < mesh->links_count) {
        show_link(mesh, mesh->links[index], info);
        return MESHSYNC_OK;
    }
    index -= mesh->links_count;
    for (uint32_t i = 0; i < mesh->addresses_count; i++) {
        const struct msy_mesh_address *address = mesh->addresses[i];
        /* A learnt address is shown when it matters: nobody is there yet to show instead. */
        bool shown =
            address->link == 0 && !address->self &&
            (!address->has_device || msy_session_with(mesh, address->device, NULL) == NULL);
        if (!shown) {
            continue;
        }
        if (index == 0) {
            show_address(address, info);
            return MESHSYNC_OK;
        }
        index -= 1;
    }
    return MESHSYNC_E_END;
}

void msy_mesh_get_stats(const struct msy_mesh *mesh, struct msy_mesh_stats *stats)
{
    *stats = mesh->stats;
    stats->sessions = msy_session_count(mesh);
}

static bool show_channel_quiet(const struct msy_mesh_space *space,
                               const struct msy_channel *channel)
{
    if (channel->state != MSY_CHANNEL_OPEN) {
        return true;
    }
    if (!channel->told || !channel->synced || channel->vector_due || channel->fetching ||
        channel->serving || channel->flying != 0) {
        return false;
    }
    for (uint32_t i = 0; i < space->vector.count; i++) {
        const struct msy_tip *own = &space->vector.tips[i];
        const struct msy_tip *its = msy_vector_get(&channel->durable, &own->actor);
        if (its == NULL || its->seq < own->seq) {
            return false;
        }
    }
    return true;
}

bool msy_mesh_quiet(const struct msy_mesh *mesh)
{
    if (mesh->submits_count != 0) {
        return false;
    }
    for (uint32_t i = 0; i < mesh->spaces_count; i++) {
        const struct msy_mesh_space *space = mesh->spaces[i];
        if (space->wants_count != 0 || space->stale || space->fresh.count != 0) {
            return false;
        }
        for (uint32_t k = 0; k < mesh->links_count; k++) {
            const struct msy_mesh_link *link = mesh->links[k];
            const struct msy_channel *channel =
                link->state == MSY_LINK_LIVE ? msy_channel_find(link, space->number) : NULL;
            if (link->state == MSY_LINK_GREETING ||
                (channel != NULL && !show_channel_quiet(space, channel))) {
                return false;
            }
        }
    }
    return true;
}
