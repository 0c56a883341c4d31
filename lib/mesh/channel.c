/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Channels: one space in one session. Each side says by OPEN whether it lets the other in; who is
 * let in is told of the space and may fetch from it.
 *
 *                 its grant                                 its grant
 *      REFUSED <------------> LISTENS            TELLS <------------> OPEN
 *         ^                      ^                 ^                    ^
 *         +----- our grant ------|-----------------+                    |
 *                                +------------- our grant --------------+
 */
#include <string.h>

#include "base/error.h"
#include "mesh/machine.h"

static const struct msy_sm_row channel_rows[MSY_CHANNEL_STATE_COUNT] = {
    [MSY_CHANNEL_REFUSED] = {"refused",
                             MSY_SM_BIT(MSY_CHANNEL_LISTENS) | MSY_SM_BIT(MSY_CHANNEL_TELLS)},
    [MSY_CHANNEL_LISTENS] = {"listens",
                             MSY_SM_BIT(MSY_CHANNEL_REFUSED) | MSY_SM_BIT(MSY_CHANNEL_OPEN)},
    [MSY_CHANNEL_TELLS] = {"tells", MSY_SM_BIT(MSY_CHANNEL_REFUSED) | MSY_SM_BIT(MSY_CHANNEL_OPEN)},
    [MSY_CHANNEL_OPEN] = {"open", MSY_SM_BIT(MSY_CHANNEL_LISTENS) | MSY_SM_BIT(MSY_CHANNEL_TELLS)},
};

static void channel_move(struct msy_channel *channel, enum msy_channel_state next)
{
    MSY_ASSERT(msy_sm_allows(channel_rows, channel->state, next));
    channel->state = next;
}

static uint32_t channel_lower(const struct msy_mesh_link *link, uint32_t space)
{
    uint32_t low = 0;
    uint32_t high = link->channels_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (link->channels[middle]->space < space) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

struct msy_channel *msy_channel_find(const struct msy_mesh_link *link, uint32_t space)
{
    uint32_t at = channel_lower(link, space);
    if (at < link->channels_count && link->channels[at]->space == space) {
        return link->channels[at];
    }
    return NULL;
}

struct msy_channel *msy_channel_make(struct msy_mesh *mesh, struct msy_mesh_link *link,
                                     uint32_t space)
{
    struct msy_channel *channel = msy_channel_find(link, space);
    if (channel != NULL) {
        return channel;
    }
    uint32_t at = channel_lower(link, space);
    void *array = link->channels;
    if (link->channels_count >= MSY_SESSION_SPACES_MAX ||
        !msy_array_room(mesh->alloc, &array, &link->channels_cap, link->channels_count,
                        sizeof *link->channels)) {
        return NULL;
    }
    link->channels = array;
    channel = msy_new(mesh->alloc, sizeof *channel);
    if (channel == NULL) {
        return NULL;
    }
    channel->space = space;
    msy_vector_init(&channel->durable, mesh->alloc);
    msy_vector_init(&channel->sent, mesh->alloc);
    msy_vector_init(&channel->served, mesh->alloc);
    msy_stream_init(&channel->stream, mesh->alloc);
    memmove(&link->channels[at + 1], &link->channels[at],
            (link->channels_count - at) * sizeof *link->channels);
    link->channels[at] = channel;
    link->channels_count += 1;
    return channel;
}

static void channel_free(struct msy_mesh *mesh, struct msy_channel *channel)
{
    msy_vector_fini(&channel->durable);
    msy_vector_fini(&channel->sent);
    msy_vector_fini(&channel->served);
    msy_stream_fini(&channel->stream);
    msy_lazy_fini(mesh, &channel->lazy);
    msy_lazy_fini(mesh, &channel->pruned);
    msy_press_free(channel->press);
    msy_unpress_free(channel->unpress);
    msy_sketching_free(mesh, &channel->seeking);
    msy_sketching_free(mesh, &channel->sketching);
    msy_free(mesh->alloc, channel, sizeof *channel);
}

void msy_channel_open_way(struct msy_channel *channel, enum msy_channel_way way)
{
    channel_move(channel, (enum msy_channel_state)((unsigned)channel->state | (unsigned)way));
}

static void channel_close_way(struct msy_channel *channel, enum msy_channel_way way)
{
    channel_move(channel, (enum msy_channel_state)((unsigned)channel->state & ~(unsigned)way));
}

void msy_channel_close_in(struct msy_mesh *mesh, struct msy_mesh_link *link,
                          struct msy_channel *channel)
{
    msy_ack_keep(mesh, link, channel);
    msy_want_release(mesh, link, channel, mesh->now_ms);
    msy_vector_reset(&channel->durable);
    msy_lazy_fini(mesh, &channel->pruned);
    channel->told = false;
    channel->asking = false;
    channel->waiting = false;
    channel->waited = false;
    msy_sketching_free(mesh, &channel->seeking);
    channel->telling = false;
    channel->synced = false;
    channel->fetching = false;
    channel->credited = false;
    channel->fetch_credit = 0;
    channel->credit_due = 0;
    channel->flying = 0;
    channel_close_way(channel, MSY_WAY_IN);
}

void msy_channel_close_out(struct msy_mesh *mesh, struct msy_channel *channel)
{
    msy_vector_reset(&channel->sent);
    msy_vector_reset(&channel->served);
    msy_stream_fini(&channel->stream);
    msy_stream_init(&channel->stream, mesh->alloc);
    msy_lazy_fini(mesh, &channel->lazy);
    memset(channel->digest_sent, 0, sizeof channel->digest_sent);
    channel->vector_due = false;
    channel->clock_out = false;
    channel->sought = false;
    msy_sketching_free(mesh, &channel->sketching);
    channel->serving = false;
    channel->credit = 0;
    channel_close_way(channel, MSY_WAY_OUT);
}

void msy_channel_remove(struct msy_mesh *mesh, struct msy_mesh_link *link,
                        struct msy_channel *channel)
{
    uint32_t at = channel_lower(link, channel->space);
    link->channels_count -= 1;
    memmove(&link->channels[at], &link->channels[at + 1],
            (link->channels_count - at) * sizeof *link->channels);
    if (channel->has_theirs && channel->theirs < link->slots_count) {
        link->slots[channel->theirs] = NULL; /* Late messages on it are skipped. */
    }
    msy_pack_forget(link, channel);
    channel_free(mesh, channel);
}

void msy_channels_free(struct msy_mesh *mesh, struct msy_mesh_link *link)
{
    for (uint32_t i = 0; i < link->channels_count; i++) {
        channel_free(mesh, link->channels[i]);
    }
    link->channels_count = 0;
    msy_free(mesh->alloc, link->channels, link->channels_cap * sizeof *link->channels);
    msy_free(mesh->alloc, link->slots, link->slots_cap * sizeof *link->slots);
    link->channels = NULL;
    link->slots = NULL;
}

meshsync_status msy_channel_slot(const struct msy_mesh_link *link, uint64_t number,
                                 enum msy_channel_way way, struct msy_channel **channel)
{
    *channel = NULL;
    if (number >= link->slots_count) {
        return MESHSYNC_E_PROTOCOL;
    }
    struct msy_channel *found = link->slots[number];
    if (found != NULL && msy_channel_is(found, way)) {
        *channel = found;
    }
    return MESHSYNC_OK;
}

meshsync_status msy_channel_set_slot(struct msy_mesh *mesh, struct msy_mesh_link *link,
                                     struct msy_channel *channel, uint64_t number)
{
    void *slots = link->slots;
    if (channel != NULL && channel->has_theirs && channel->theirs != number) {
        return MESHSYNC_E_PROTOCOL; /* A space keeps its number for the whole session. */
    }
    if (number < link->slots_count) {
        if (channel != NULL && link->slots[number] != channel) {
            if (link->slots[number] != NULL) {
                return MESHSYNC_E_PROTOCOL;
            }
            link->slots[number] = channel; /* We did not hold the space when it was named. */
            channel->has_theirs = true;
            channel->theirs = (uint32_t)number;
        }
        return MESHSYNC_OK;
    }
    if (number != link->slots_count) {
        return MESHSYNC_E_PROTOCOL;
    }
    if (link->slots_count >= 2 * MSY_SESSION_SPACES_MAX) {
        return MESHSYNC_E_LIMIT;
    }
    if (!msy_array_room(mesh->alloc, &slots, &link->slots_cap, link->slots_count,
                        sizeof *link->slots)) {
        return MESHSYNC_E_NO_MEMORY;
    }
    link->slots = slots;
    link->slots[link->slots_count] = channel;
    link->slots_count += 1;
    if (channel != NULL) {
        channel->has_theirs = true;
        channel->theirs = (uint32_t)number;
    }
    return MESHSYNC_OK;
}

uint64_t msy_channel_knows(const struct msy_channel *channel, const struct msy_actor *actor)
{
    const struct msy_tip *durable = msy_vector_get(&channel->durable, actor);
    const struct msy_tip *sent = msy_vector_get(&channel->sent, actor);
    uint64_t seq = durable != NULL ? durable->seq : 0;
    return sent != NULL && sent->seq > seq ? sent->seq : seq;
}

struct msy_channel *msy_channel_next(struct msy_mesh *mesh, uint32_t space,
                                     enum msy_channel_way ways, uint32_t *at,
                                     struct msy_mesh_link **link)
{
    while (*at < mesh->links_count) {
        struct msy_mesh_link *candidate = mesh->links[*at];
        *at += 1;
        if (candidate->state != MSY_LINK_LIVE) {
            continue;
        }
        struct msy_channel *channel = msy_channel_find(candidate, space);
        if (channel != NULL && msy_channel_is(channel, ways)) {
            *link = candidate;
            return channel;
        }
    }
    return NULL;
}
