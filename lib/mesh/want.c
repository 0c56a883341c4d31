/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is not here and who is asked for it (docs/protocol.md, section 7). A wanted tip is asked of
 * one peer at a time; what does not come, or whose peer goes, is asked for elsewhere.
 */
#include <string.h>

#include "mesh/machine.h"

/* --- the table ------------------------------------------------------------------------------- */

static uint32_t want_lower(const struct msy_mesh_space *space, const struct msy_actor *actor)
{
    uint32_t low = 0;
    uint32_t high = space->wants_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (msy_actor_compare(&space->wants[middle].tip.actor, actor) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static struct msy_want *want_find(struct msy_mesh_space *space, const struct msy_actor *actor)
{
    uint32_t at = want_lower(space, actor);
    if (at < space->wants_count && msy_actor_equal(&space->wants[at].tip.actor, actor)) {
        return &space->wants[at];
    }
    return NULL;
}

/* It is no longer asked of anybody. */
static void want_recall(struct msy_mesh *mesh, const struct msy_mesh_space *space,
                        struct msy_want *want)
{
    struct msy_mesh_link *link = want->link != 0 ? msy_mesh_link_find(mesh, want->link) : NULL;
    struct msy_channel *channel = link != NULL ? msy_channel_find(link, space->number) : NULL;
    if (channel != NULL && channel->wants_count > 0) {
        channel->wants_count -= 1;
    }
    if (want->link != 0) {
        want->avoid = want->link;
    }
    want->link = 0;
}

static void want_remove(struct msy_mesh *mesh, struct msy_mesh_space *space, uint32_t at)
{
    want_recall(mesh, space, &space->wants[at]);
    space->wants_count -= 1;
    memmove(&space->wants[at], &space->wants[at + 1],
            (space->wants_count - at) * sizeof *space->wants);
}

static meshsync_status want_is_here(struct msy_store_txn *txn, const struct msy_mesh_space *space,
                                    const struct msy_tip *tip, bool *here)
{
    const struct msy_tip *own = msy_vector_get(&space->vector, &tip->actor);
    uint64_t lsn = 0;
    *here = own != NULL && own->seq == tip->seq &&
            memcmp(own->hash, tip->hash, MSY_TIP_PREFIX_BYTES) == 0;
    if (*here) {
        return MESHSYNC_OK;
    }
    meshsync_status status =
        msy_history_find(txn, space->number, &tip->actor, tip->seq, tip->hash, &lsn);
    *here = status == MESHSYNC_OK;
    return status == MESHSYNC_E_NOT_FOUND ? MESHSYNC_OK : status;
}

meshsync_status msy_want_add(struct msy_mesh *mesh, struct msy_store_txn *txn,
                             struct msy_mesh_space *space, const struct msy_tip *tip,
                             uint64_t at_ms, bool cause)
{
    bool here = false;
    meshsync_status status = want_is_here(txn, space, tip, &here);
    if (status != MESHSYNC_OK || here) {
        return status;
    }
    struct msy_want *want = want_find(space, &tip->actor);
    if (want != NULL) {
        if (tip->seq > want->tip.seq) {
            want->tip = *tip;
            want->tries = 0;
        }
        want->cause = want->cause && cause;
        if (want->link == 0 && at_ms < want->at_ms && want->tries == 0) {
            want->at_ms = at_ms;
            msy_space_wake(mesh, &space->wants_at_ms, at_ms);
        }
        return MESHSYNC_OK;
    }
    uint32_t at = want_lower(space, &tip->actor);
    void *wants = space->wants;
    if (space->wants_count >= MSY_WANTS_MAX) {
        return MESHSYNC_OK; /* It will be named again. */
    }
    if (!msy_array_room(mesh->alloc, &wants, &space->wants_cap, space->wants_count,
                        sizeof *space->wants)) {
        return MESHSYNC_E_NO_MEMORY;
    }
    space->wants = wants;
    memmove(&space->wants[at + 1], &space->wants[at],
            (space->wants_count - at) * sizeof *space->wants);
    space->wants[at] = (struct msy_want){.tip = *tip, .at_ms = at_ms, .cause = cause};
    space->wants_count += 1;
    msy_space_wake(mesh, &space->wants_at_ms, at_ms);
    return MESHSYNC_OK;
}

void msy_want_came(struct msy_mesh *mesh, struct msy_mesh_space *space, const struct msy_tip *tip)
{
    uint32_t at = want_lower(space, &tip->actor);
    if (at >= space->wants_count || !msy_actor_equal(&space->wants[at].tip.actor, &tip->actor)) {
        return;
    }
    const struct msy_tip *wanted = &space->wants[at].tip;
    if (wanted->seq < tip->seq ||
        (wanted->seq == tip->seq && memcmp(wanted->hash, tip->hash, MSY_TIP_PREFIX_BYTES) == 0)) {
        want_remove(mesh, space, at);
    }
}

void msy_want_missing(struct msy_mesh *mesh, const struct msy_mesh_event *event)
{
    struct msy_mesh_space *space = msy_space_find(mesh, event->space);
    struct msy_store_txn *txn = NULL;
    if (space == NULL || event->tip.seq == 0) {
        return;
    }
    meshsync_status status = msy_store_begin(mesh->store, MSY_TXN_READ, &txn);
    if (status == MESHSYNC_OK) {
        status = msy_space_vector(mesh, txn, space);
    }
    if (status == MESHSYNC_OK) {
        /* It may be on its way: pushes of one moment come over several links. */
        status =
            msy_want_add(mesh, txn, space, &event->tip, mesh->now_ms + MSY_PUSH_WAIT_MS_MIN, true);
    }
    msy_store_abort(txn);
    msy_mesh_note(mesh, status);
}

/* --- whom to ask ----------------------------------------------------------------------------- */

static bool want_told(const struct msy_channel *channel, const struct msy_tip *tip)
{
    const struct msy_tip *entry = msy_vector_get(&channel->durable, &tip->actor);
    return entry != NULL && entry->seq >= tip->seq;
}

/* The less the better: who has it, who did not fail, who is asked for little, who is near. */
static bool want_prefers(const struct msy_want *want, const struct msy_mesh_link *link,
                         const struct msy_channel *channel, const struct msy_mesh_link *best_link,
                         const struct msy_channel *best)
{
    bool tells = want_told(channel, &want->tip);
    bool best_tells = want_told(best, &want->tip);
    if (tells != best_tells) {
        return tells;
    }
    if ((link->number == want->avoid) != (best_link->number == want->avoid)) {
        return best_link->number == want->avoid;
    }
    if (channel->fetching != best->fetching) {
        return best->fetching;
    }
    return link->rtt_us < best_link->rtt_us;
}

static struct msy_channel *want_choose(struct msy_mesh *mesh, const struct msy_mesh_space *space,
                                       const struct msy_want *want, struct msy_mesh_link **chosen)
{
    uint32_t at = 0;
    struct msy_mesh_link *link = NULL;
    struct msy_channel *channel = NULL;
    struct msy_channel *best = NULL;
    while ((channel = msy_channel_next(mesh, space->number, MSY_WAY_IN, &at, &link)) != NULL) {
        if (!channel->told || (!want->cause && !want_told(channel, &want->tip))) {
            continue;
        }
        if (best == NULL || want_prefers(want, link, channel, *chosen, best)) {
            best = channel;
            *chosen = link;
        }
    }
    return best;
}

static uint64_t want_backoff(const struct msy_want *want)
{
    uint64_t wait_ms = MSY_WANT_BACKOFF_MS_MIN;
    for (uint32_t i = 1; i < want->tries && wait_ms < MSY_WANT_BACKOFF_MS_MAX; i++) {
        wait_ms *= 2;
    }
    return msy_min_u64(wait_ms, MSY_WANT_BACKOFF_MS_MAX);
}

/* A want that was asked has lost time: more patience while its stream moves, else it is recalled.
 * True: leave it. */
static bool want_is_moving(struct msy_mesh *mesh, const struct msy_mesh_space *space,
                           struct msy_want *want)
{
    struct msy_mesh_link *link = msy_mesh_link_find(mesh, want->link);
    struct msy_channel *channel = link != NULL ? msy_channel_find(link, space->number) : NULL;
    if (channel != NULL && msy_channel_is(channel, MSY_WAY_IN) && channel->fetching &&
        channel->progress_ms + MSY_WANT_PROGRESS_MS > mesh->now_ms) {
        want->at_ms = channel->progress_ms + MSY_WANT_PROGRESS_MS;
        return true;
    }
    want->tries += 1;
    want_recall(mesh, space, want);
    return false;
}

/* Decides on one want that is due. *remove: it is not wanted any more. */
static meshsync_status want_decide(struct msy_mesh *mesh, struct msy_store_txn *txn,
                                   const struct msy_mesh_space *space, struct msy_want *want,
                                   bool *remove)
{
    struct msy_mesh_link *link = NULL;
    meshsync_status status = want_is_here(txn, space, &want->tip, remove);
    if (status != MESHSYNC_OK || *remove) {
        return status;
    }
    if (want->cause && want->tries > MSY_WANT_TRIES_MAX) {
        *remove = true;
        return MESHSYNC_OK;
    }
    const struct msy_tip *flying =
        space->flying_count > 0 ? msy_vector_get(&space->flying, &want->tip.actor) : NULL;
    if (want->link == 0 && flying != NULL && flying->seq >= want->tip.seq) {
        want->at_ms = mesh->now_ms + MSY_WANT_BACKOFF_MS_MIN; /* The replica has it in hand. */
        return MESHSYNC_OK;
    }
    if (want->link != 0 && want_is_moving(mesh, space, want)) {
        return MESHSYNC_OK;
    }
    struct msy_channel *channel = want_choose(mesh, space, want, &link);
    if (channel == NULL) {
        want->tries += 1;
        want->at_ms = mesh->now_ms + want_backoff(want);
        *remove = !want->cause;
        return MESHSYNC_OK;
    }
    want->link = link->number;
    want->fresh = true;
    want->at_ms = mesh->now_ms + MSY_WANT_PROGRESS_MS;
    channel->wants_count += 1;
    return MESHSYNC_OK;
}

/* --- asking ---------------------------------------------------------------------------------- */

/* Gives the credit that is due. */
static meshsync_status want_put_credit(struct msy_mesh_link *link, struct msy_channel *channel)
{
    const uint64_t numbers[2] = {channel->ours, channel->credit_due};
    channel->fetch_credit += (int64_t)channel->credit_due;
    channel->credit_due = 0;
    return msy_message_put_numbers(&link->plain, MSY_MESSAGE_CREDIT, numbers, 2);
}

static meshsync_status want_put(struct msy_mesh *mesh, struct msy_mesh_link *link,
                                struct msy_channel *channel, const struct msy_tip *tips,
                                uint32_t count)
{
    meshsync_status status = MESHSYNC_OK;
    if (!channel->credited) {
        channel->credited = true;
        channel->credit_due = MSY_STREAM_CREDIT_BYTES;
        status = want_put_credit(link, channel);
    }
    if (!channel->fetching) {
        channel->fetching = true;
        channel->progress_ms = mesh->now_ms;
    }
    channel->asked += 1;
    msy_log_write(mesh->log, MSY_LOG_DEBUG, "mesh", "link %u: want %u tips of space %u",
                  link->number, count, channel->space);
    return status == MESHSYNC_OK ? msy_message_put_tips(&link->plain, MSY_MESSAGE_WANT,
                                                        channel->ours, channel->asked, tips, count)
                                 : status;
}

/* Asks each peer at once for all that was decided for it. */
static void want_ask(struct msy_mesh *mesh, struct msy_mesh_space *space)
{
    uint32_t at = 0;
    struct msy_mesh_link *link = NULL;
    struct msy_channel *channel = NULL;
    while ((channel = msy_channel_next(mesh, space->number, MSY_WAY_IN, &at, &link)) != NULL) {
        meshsync_status status = MESHSYNC_OK;
        msy_vector_reset(&mesh->tips);
        for (uint32_t i = 0; i < space->wants_count && status == MESHSYNC_OK; i++) {
            struct msy_want *want = &space->wants[i];
            if (!want->fresh || want->link != link->number) {
                continue;
            }
            want->fresh = false;
            status = msy_vector_raise(&mesh->tips, &want->tip);
            if (status == MESHSYNC_OK && mesh->tips.count == MSY_MESSAGE_TIPS_MAX) {
                status = want_put(mesh, link, channel, mesh->tips.tips, mesh->tips.count);
                msy_vector_reset(&mesh->tips);
            }
        }
        if (status == MESHSYNC_OK && mesh->tips.count > 0) {
            status = want_put(mesh, link, channel, mesh->tips.tips, mesh->tips.count);
        }
        msy_session_wrote(mesh, link, status);
    }
}

void msy_want_due(struct msy_mesh *mesh, struct msy_mesh_space *space)
{
    struct msy_store_txn *txn = NULL;
    meshsync_status status = msy_store_begin(mesh->store, MSY_TXN_READ, &txn);
    if (status == MESHSYNC_OK) {
        status = msy_space_vector(mesh, txn, space);
    }
    uint32_t i = 0;
    while (status == MESHSYNC_OK && i < space->wants_count) {
        bool removed = false;
        if (space->wants[i].at_ms <= mesh->now_ms) {
            status = want_decide(mesh, txn, space, &space->wants[i], &removed);
        }
        if (removed) {
            want_remove(mesh, space, i);
        } else {
            msy_space_wake(mesh, &space->wants_at_ms, space->wants[i].at_ms);
            i += 1;
        }
    }
    msy_store_abort(txn);
    if (status != MESHSYNC_OK) {
        msy_mesh_note(mesh, status);
        msy_space_wake(mesh, &space->wants_at_ms, mesh->now_ms + MSY_WANT_PROGRESS_MS);
    }
    want_ask(mesh, space);
    msy_want_settle(mesh, space);
}

void msy_want_release(struct msy_mesh *mesh, struct msy_mesh_link *link,
                      struct msy_channel *channel, uint64_t at_ms)
{
    struct msy_mesh_space *space = msy_space_find(mesh, channel->space);
    channel->wants_count = 0;
    for (uint32_t i = 0; space != NULL && i < space->wants_count; i++) {
        struct msy_want *want = &space->wants[i];
        if (want->link != link->number) {
            continue;
        }
        want->link = 0;
        want->fresh = false;
        want->avoid = link->number;
        want->at_ms = at_ms;
        msy_space_wake(mesh, &space->wants_at_ms, at_ms);
    }
}

/* --- answers --------------------------------------------------------------------------------- */

meshsync_status msy_want_on_end(struct msy_mesh *mesh, struct msy_mesh_link *link,
                                meshsync_bytes content)
{
    uint64_t numbers[2];
    struct msy_channel *channel = NULL;
    if (!msy_message_get_numbers(content, numbers, 2)) {
        return MESHSYNC_E_PROTOCOL;
    }
    meshsync_status status = msy_channel_slot(link, numbers[0], MSY_WAY_IN, &channel);
    if (status != MESHSYNC_OK || channel == NULL) {
        return status;
    }
    if (!channel->fetching || numbers[1] > channel->asked) {
        return MESHSYNC_E_PROTOCOL;
    }
    if (numbers[1] < channel->asked) {
        return MESHSYNC_OK; /* We have asked for more since; another END will come. */
    }
    channel->fetching = false;
    msy_log_write(mesh->log, MSY_LOG_DEBUG, "mesh", "link %u: end of stream in space %u",
                  link->number, channel->space);
    struct msy_mesh_space *space = msy_space_find(mesh, channel->space);
    for (uint32_t i = 0; space != NULL && i < space->wants_count; i++) {
        struct msy_want *want = &space->wants[i];
        if (want->link == link->number) {
            /* The replica may still be busy with it; else it is asked for again, ever later. */
            want->tries += 1;
            want_recall(mesh, space, want);
            want->at_ms = mesh->now_ms + want_backoff(want);
            msy_space_wake(mesh, &space->wants_at_ms, want->at_ms);
        }
    }
    if (space != NULL) {
        msy_want_settle(mesh, space);
    }
    return MESHSYNC_OK;
}

void msy_want_dealt(struct msy_mesh *mesh, struct msy_mesh_link *link, struct msy_channel *channel,
                    uint64_t bytes)
{
    if (!msy_channel_is(channel, MSY_WAY_IN) || channel->flying == 0) {
        return;
    }
    channel->flying -= 1;
    channel->credit_due += bytes;
    channel->progress_ms = mesh->now_ms;
    if (channel->credit_due >= MSY_STREAM_CREDIT_BYTES / 4 || channel->flying == 0) {
        msy_session_wrote(mesh, link, want_put_credit(link, channel));
    }
}

void msy_want_settle(struct msy_mesh *mesh, struct msy_mesh_space *space)
{
    uint32_t at = 0;
    struct msy_mesh_link *link = NULL;
    struct msy_channel *channel = NULL;
    while ((channel = msy_channel_next(mesh, space->number, MSY_WAY_IN, &at, &link)) != NULL) {
        bool synced = channel->told;
        for (uint32_t i = 0; i < space->wants_count && synced; i++) {
            synced = !want_told(channel, &space->wants[i].tip);
        }
        if (synced && !channel->synced) {
            struct msy_mesh_effect *effect = msy_effect_add(mesh, MSY_MESH_SYNCED);
            if (effect != NULL) {
                effect->link = link->number;
                effect->space = space->number;
                memcpy(effect->device, link->device, sizeof effect->device);
            }
        }
        channel->synced = synced;
    }
}
