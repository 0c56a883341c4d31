/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Live changes in both directions (docs/protocol.md, section 6). What became durable here is pushed
 * to each peer that is known to hold what it builds on in its own chain, and to lack it itself. A
 * peer that got a copy elsewhere first asks for that device's changes to be noted only. A push may
 * be lost: each is noted, or wanted by its receiver until it is durable there.
 */
#include <string.h>

#include "mesh/machine.h"

static const struct msy_hasher push_hasher = {.hash = msy_hash, .stream = msy_stream};

meshsync_status msy_push_put(struct msy_mesh_link *link, const struct msy_channel *channel,
                             uint32_t flags, meshsync_bytes change)
{
    size_t start = link->changes_start;
    bool extends =
        link->changes_end == link->plain.len && link->changes_end > 0 &&
        link->plain.data[start + MSY_MESSAGE_HEAD_BYTES] == flags &&
        msy_get_be32(link->plain.data + start + MSY_MESSAGE_HEAD_BYTES + 1) == channel->ours &&
        link->plain.len - start + change.len + 4 <= MSY_CHANGES_BYTES_GOOD;
    meshsync_status status = MESHSYNC_OK;
    if (!extends) {
        start = link->plain.len;
        status = msy_message_begin_changes(&link->plain, channel->ours, flags);
    }
    if (status == MESHSYNC_OK) {
        status = msy_message_put_change(&link->plain, start, change);
    }
    if (status != MESHSYNC_OK) {
        if (!extends) {
            link->plain.len = start; /* A message without changes is no message. */
        }
        return status;
    }
    link->changes_start = start;
    link->changes_end = link->plain.len;
    return MESHSYNC_OK;
}

/* --- going out ------------------------------------------------------------------------------- */

/* A record that became durable, as the peers see it. */
struct push_item {
    struct msy_tip tip;
    bool has_before;
    struct msy_tip before; /* Of an epoch's first change: the epoch before. */
    meshsync_bytes change;
    bool has_device;
    uint8_t device[MSY_DEVICE_BYTES];
};

static bool push_is_lazy(struct msy_store_txn *txn, const struct msy_channel *channel,
                         struct push_item *item)
{
    if (channel->lazy.count == 0) {
        return false;
    }
    if (!item->has_device) {
        struct msy_epoch epoch;
        if (msy_history_epoch(txn, channel->space, &item->tip.actor, &epoch) != MESHSYNC_OK) {
            return false;
        }
        memcpy(item->device, epoch.device, sizeof item->device);
        item->has_device = true;
    }
    return msy_lazy_has(&channel->lazy, item->device, NULL);
}

/* Does the peer lack it, and have what it follows in its own chain? Out of order it would only
 * wait there: the peer is catching up, and will be served. */
static bool push_follows(const struct msy_channel *channel, const struct push_item *item)
{
    uint64_t known = msy_channel_knows(channel, &item->tip.actor);
    if (!channel->told || known >= item->tip.seq) {
        return false;
    }
    if (item->tip.seq > 1) {
        return known == item->tip.seq - 1;
    }
    return !item->has_before || msy_channel_knows(channel, &item->before.actor) >= item->before.seq;
}

static void push_to(struct msy_mesh *mesh, struct msy_store_txn *txn, struct msy_mesh_link *link,
                    struct msy_channel *channel, struct push_item *item)
{
    if (!push_follows(channel, item) || push_is_lazy(txn, channel, item) ||
        msy_session_backlog(link) + item->change.len > MSY_PUSH_OUT_BYTES_MAX ||
        !msy_serve_may(mesh, link, MSY_RATE_LIVE)) {
        return;
    }
    meshsync_status status = msy_push_put(link, channel, MSY_CHANGES_DURABLE, item->change);
    if (status == MESHSYNC_OK) {
        status = msy_ack_raise(txn, channel->space, &channel->sent, &item->tip);
        msy_serve_spend(mesh, link, item->change.len + 4);
        mesh->stats.changes_out += 1;
    }
    msy_session_wrote(mesh, link, status);
}

/* A new epoch may imply entries of what peers hold. */
static void push_imply(struct msy_mesh *mesh, struct msy_store_txn *txn,
                       struct msy_channel *channel, const struct msy_actor *actor)
{
    if (msy_vector_get(&channel->durable, actor) != NULL) {
        msy_mesh_note(mesh, msy_ack_imply(txn, channel->space, &channel->durable, actor));
    }
}

static void push_item(struct msy_mesh *mesh, struct msy_store_txn *txn,
                      struct msy_mesh_space *space, struct push_item *item)
{
    for (uint32_t i = 0; i < mesh->links_count; i++) {
        struct msy_mesh_link *link = mesh->links[i];
        struct msy_channel *channel =
            link->state == MSY_LINK_LIVE ? msy_channel_find(link, space->number) : NULL;
        if (channel == NULL) {
            continue;
        }
        if (item->has_before) {
            push_imply(mesh, txn, channel, &item->tip.actor);
        }
        if (msy_channel_is(channel, MSY_WAY_OUT)) {
            push_to(mesh, txn, link, channel, item);
        } else {
            /* It may have brought the invitation or membership that lets the peer in. */
            msy_space_wake(mesh, &space->recheck_at_ms, mesh->now_ms + MSY_RECHECK_MS);
        }
    }
}

/* Our own vector follows the log; where an epoch ends or begins it is read again. */
static void push_raise_own(struct msy_mesh_space *space, const struct push_item *item)
{
    bool known = msy_vector_get(&space->vector, &item->tip.actor) != NULL;
    space->has_clock = false;
    if (item->has_before || (!known && item->tip.seq > 1) ||
        (!space->stale && msy_vector_raise(&space->vector, &item->tip) != MESHSYNC_OK)) {
        space->stale = true;
    }
}

static meshsync_status push_record(struct msy_mesh *mesh, struct msy_store_txn *txn,
                                   const struct msy_record *record)
{
    struct msy_mesh_space *space = msy_space_find(mesh, record->space);
    struct msy_change_header *header = &mesh->header;
    struct push_item item;
    meshsync_bytes header_bytes;
    meshsync_bytes body;
    const uint8_t *signature = NULL;
    if (space == NULL) {
        return MESHSYNC_OK;
    }
    if (msy_change_parse_header(record->change, header, &header_bytes, &signature, &body) !=
        MESHSYNC_OK) {
        return MESHSYNC_E_STORE_CORRUPT;
    }
    memset(&item, 0, sizeof item);
    item.tip.actor = header->actor;
    item.tip.seq = header->seq;
    memcpy(item.tip.hash, record->hash, sizeof item.tip.hash);
    item.has_before = header->seq == 1 && header->has_predecessor;
    item.before = header->predecessor;
    item.change = record->change;
    space->touched = true;
    push_raise_own(space, &item);
    msy_ack_fresh(mesh, space, &item.tip);
    msy_want_came(mesh, space, &item.tip);
    push_item(mesh, txn, space, &item);
    return MESHSYNC_OK;
}

void msy_push_committed(struct msy_mesh *mesh, const struct msy_mesh_event *event)
{
    struct msy_store_txn *txn = NULL;
    struct msy_record record;
    uint64_t lsn = event->lsn_first;
    meshsync_status status = msy_store_begin(mesh->store, MSY_TXN_READ, &txn);
    while (status == MESHSYNC_OK && lsn <= event->lsn_last) {
        status = msy_history_record_from(txn, &lsn, &record);
        if (status == MESHSYNC_OK && lsn <= event->lsn_last) {
            status = push_record(mesh, txn, &record);
        }
        lsn += 1;
    }
    for (uint32_t i = 0; i < mesh->spaces_count; i++) {
        struct msy_mesh_space *space = mesh->spaces[i];
        if (space->touched) {
            space->touched = false;
            space->changed_ms = mesh->now_ms;
            if (txn != NULL) {
                msy_mesh_note(mesh, msy_space_vector(mesh, txn, space));
            }
            msy_want_settle(mesh, space);
            msy_space_wake(mesh, &space->digest_at_ms, mesh->now_ms + MSY_DIGEST_MS);
        }
        if (status != MESHSYNC_OK && status != MESHSYNC_E_END) {
            space->stale = true; /* Records were not looked at: the whole vector will tell. */
            msy_ack_retell(mesh, space);
        }
    }
    msy_store_abort(txn);
    msy_mesh_note(mesh, status == MESHSYNC_E_END ? MESHSYNC_OK : status);
}

/* --- coming in ------------------------------------------------------------------------------- */

/* Asks the peer not to push a device's changes: they come from elsewhere, sooner. */
static void push_prune(struct msy_mesh *mesh, struct msy_store_txn *txn, struct msy_mesh_link *link,
                       struct msy_channel *channel, const struct msy_actor *actor)
{
    uint8_t device[1][MSY_DEVICE_BYTES];
    struct msy_epoch epoch;
    uint64_t asked_ms = 0;
    if (msy_history_epoch(txn, channel->space, actor, &epoch) != MESHSYNC_OK) {
        return; /* Not known yet: the next copy will tell. */
    }
    memcpy(device[0], epoch.device, sizeof device[0]);
    if (msy_lazy_has(&channel->pruned, device[0], &asked_ms) &&
        mesh->now_ms - asked_ms < MSY_PRUNE_MS) {
        return;
    }
    msy_lazy_add(mesh, &channel->pruned, device[0]);
    msy_log_write(mesh->log, MSY_LOG_DEBUG, "mesh", "link %u: prune %02x%02x%02x%02x in space %u",
                  link->number, device[0][0], device[0][1], device[0][2], device[0][3],
                  channel->space);
    msy_session_wrote(mesh, link,
                      msy_message_put_hashes(&link->plain, MSY_MESSAGE_PRUNE, channel->ours,
                                             (const uint8_t(*)[32])device, 1));
}

/* What a received list holds. */
struct push_list {
    struct msy_submit submit;
    uint32_t count;
    bool news; /* Something in it is not here. */
};

/* Raises *news when the change is not here. */
static meshsync_status push_is_news(struct msy_store_txn *txn, const struct msy_mesh_space *space,
                                    const struct msy_tip *tip, bool *news)
{
    const struct msy_tip *own = msy_vector_get(&space->vector, &tip->actor);
    uint64_t lsn = 0;
    if (*news || (own != NULL && own->seq < tip->seq)) {
        *news = true;
        return MESHSYNC_OK;
    }
    /* An earlier epoch, whose end another entry implies; or a fork. */
    meshsync_status status =
        msy_history_find(txn, space->number, &tip->actor, tip->seq, tip->hash, &lsn);
    *news = status == MESHSYNC_E_NOT_FOUND;
    return *news ? MESHSYNC_OK : status;
}

/* Looks at one received change: who has it, is it news, and until when it must be here. */
static meshsync_status push_look(struct msy_mesh *mesh, struct msy_store_txn *txn,
                                 struct msy_channel *channel, struct msy_mesh_space *space,
                                 meshsync_bytes change, struct push_list *list)
{
    struct msy_change_header *header = &mesh->header;
    meshsync_bytes header_bytes;
    meshsync_bytes body;
    const uint8_t *signature = NULL;
    struct msy_tip tip;
    if (msy_change_parse_header(change, header, &header_bytes, &signature, &body) != MESHSYNC_OK ||
        memcmp(header->space, space->id, sizeof space->id) != 0) {
        return MESHSYNC_E_PROTOCOL;
    }
    tip.actor = header->actor;
    tip.seq = header->seq;
    msy_change_hash(&push_hasher, header_bytes, signature, tip.hash);
    list->submit.one_actor = list->count == 0 || (list->submit.one_actor &&
                                                  msy_actor_equal(&list->submit.actor, &tip.actor));
    list->submit.actor = tip.actor;
    list->count += 1;
    meshsync_status status = push_is_news(txn, space, &tip, &list->news);
    const struct msy_tip *told = msy_vector_get(&channel->durable, &tip.actor);
    if (list->submit.stream && (told == NULL || told->seq >= tip.seq)) {
        /* What a stream leads to was told before we asked, but for what was committed since. */
        return status;
    }
    if (status == MESHSYNC_OK) {
        status = msy_ack_raise(txn, space->number, &channel->durable, &tip);
    }
    if (status == MESHSYNC_OK) {
        status = msy_want_add(mesh, txn, space, &tip, mesh->now_ms + MSY_PUSH_LANDS_MS, false);
    }
    return status;
}

/* Hands the list to the replica. */
static meshsync_status push_submit(struct msy_mesh *mesh, struct msy_mesh_link *link,
                                   struct msy_channel *channel, struct msy_mesh_space *space,
                                   const struct push_list *list, meshsync_bytes bytes)
{
    void *submits = mesh->submits;
    if (!msy_array_room(mesh->alloc, &submits, &mesh->submits_cap, mesh->submits_count,
                        sizeof *mesh->submits)) {
        return MESHSYNC_E_NO_MEMORY;
    }
    mesh->submits = submits;
    uint8_t *room = msy_effect_room(mesh, bytes.len);
    struct msy_mesh_effect *effect = room != NULL ? msy_effect_add(mesh, MSY_MESH_SUBMIT) : NULL;
    if (effect == NULL) {
        return MESHSYNC_E_NO_MEMORY;
    }
    memcpy(room, bytes.data, bytes.len);
    mesh->submit_next += 1;
    effect->link = link->number;
    effect->space = space->number;
    effect->id = mesh->submit_next;
    effect->bytes = (meshsync_bytes){room, bytes.len};
    memcpy(effect->device, link->device, sizeof effect->device);
    struct msy_submit *submit = &mesh->submits[mesh->submits_count];
    mesh->submits_count += 1;
    *submit = list->submit;
    submit->id = mesh->submit_next;
    submit->bytes = bytes.len;
    submit->link = link->number;
    submit->space = space->number;
    msy_log_write(mesh->log, MSY_LOG_DEBUG, "mesh", "link %u: %u changes %s in space %u",
                  link->number, list->count, submit->stream ? "fetched" : "pushed", space->number);
    space->flying_count += 1;
    if (submit->stream) {
        channel->flying += 1;
    } else {
        link->push_flying_bytes += bytes.len;
    }
    return MESHSYNC_OK;
}

static meshsync_status push_look_all(struct msy_mesh *mesh, struct msy_store_txn *txn,
                                     struct msy_channel *channel, struct msy_mesh_space *space,
                                     meshsync_bytes bytes, struct push_list *list)
{
    struct msy_cursor cursor;
    meshsync_bytes change;
    meshsync_status status = msy_space_vector(mesh, txn, space);
    msy_cursor_init(&cursor, bytes);
    if (space->flying_count == 0) {
        msy_vector_reset(&space->flying);
    }
    while (status == MESHSYNC_OK && msy_changes_next(&cursor, &change)) {
        status = push_look(mesh, txn, channel, space, change, list);
        if (status == MESHSYNC_OK) {
            struct msy_tip flying = {.actor = mesh->header.actor, .seq = mesh->header.seq};
            status = msy_vector_raise(&space->flying, &flying);
        }
    }
    return status;
}

meshsync_status msy_push_on_changes(struct msy_mesh *mesh, struct msy_mesh_link *link,
                                    meshsync_bytes content)
{
    uint32_t number = 0;
    uint32_t flags = 0;
    meshsync_bytes bytes;
    struct msy_channel *channel = NULL;
    struct msy_store_txn *txn = NULL;
    struct push_list list = {0};
    if (!msy_message_get_changes(content, &number, &flags, &bytes)) {
        return MESHSYNC_E_PROTOCOL;
    }
    bool introduces = (flags & MSY_CHANGES_INTRODUCTION) != 0;
    meshsync_status status =
        msy_channel_slot(link, number, introduces ? MSY_WAY_ANY : MSY_WAY_IN, &channel);
    struct msy_mesh_space *space = channel != NULL ? msy_space_find(mesh, channel->space) : NULL;
    if (status != MESHSYNC_OK || space == NULL) {
        return status;
    }
    if (introduces) {
        status = msy_introduce_on(mesh, link, channel, space, bytes, &list.news);
        return status == MESHSYNC_OK && list.news && mesh->submits_count < MSY_SUBMITS_MAX
                   ? push_submit(mesh, link, channel, space, &list, bytes)
                   : status;
    }
    list.submit.stream = (flags & MSY_CHANGES_STREAM) != 0;
    if (list.submit.stream && (!channel->fetching || channel->fetch_credit <= 0)) {
        return MESHSYNC_E_PROTOCOL; /* Nobody asked, or more than was asked. */
    }
    status = msy_store_begin(mesh->store, MSY_TXN_READ, &txn);
    if (status == MESHSYNC_OK) {
        status = push_look_all(mesh, txn, channel, space, bytes, &list);
    }
    if (status == MESHSYNC_OK && !list.submit.stream && !list.news && list.submit.one_actor) {
        push_prune(mesh, txn, link, channel, &list.submit.actor);
    }
    msy_store_abort(txn);
    mesh->held = true;
    if (status != MESHSYNC_OK) {
        return status;
    }
    if (list.submit.stream) {
        channel->fetch_credit -= (int64_t)bytes.len;
        channel->progress_ms = mesh->now_ms;
        if (!list.news) {
            channel->flying += 1;
            msy_want_dealt(mesh, link, channel, bytes.len);
            return MESHSYNC_OK;
        }
        return mesh->submits_count >= MSY_SUBMITS_MAX
                   ? MESHSYNC_E_LIMIT
                   : push_submit(mesh, link, channel, space, &list, bytes);
    }
    if (!list.news || mesh->submits_count >= MSY_SUBMITS_MAX ||
        link->push_flying_bytes + bytes.len > MSY_SUBMIT_PUSH_BYTES_MAX) {
        return MESHSYNC_OK; /* It is wanted, and will be asked for if nobody else brings it. */
    }
    return push_submit(mesh, link, channel, space, &list, bytes);
}

meshsync_status msy_push_on_prune(struct msy_mesh *mesh, struct msy_mesh_link *link,
                                  meshsync_bytes content)
{
    uint64_t number = 0;
    uint8_t device[1][32];
    struct msy_channel *channel = NULL;
    if (!msy_message_get_hashes(content, &number, device, 1)) {
        return MESHSYNC_E_PROTOCOL;
    }
    meshsync_status status = msy_channel_slot(link, number, MSY_WAY_OUT, &channel);
    if (status == MESHSYNC_OK && channel != NULL) {
        msy_lazy_add(mesh, &channel->lazy, device[0]);
    }
    return status;
}

/* --- the replica's answers ------------------------------------------------------------------- */

/* Takes a submit out of the table; false: unknown. */
static bool push_take(struct msy_mesh *mesh, uint64_t id, struct msy_submit *out)
{
    uint32_t low = 0;
    uint32_t high = mesh->submits_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (mesh->submits[middle].id < id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low >= mesh->submits_count || mesh->submits[low].id != id) {
        return false;
    }
    *out = mesh->submits[low];
    mesh->submits_count -= 1;
    memmove(&mesh->submits[low], &mesh->submits[low + 1],
            (mesh->submits_count - low) * sizeof *mesh->submits);
    return true;
}

static void push_landed(struct msy_mesh *mesh, struct msy_mesh_link *link,
                        struct msy_channel *channel, const struct msy_submit *submit,
                        const struct msy_mesh_event *event)
{
    struct msy_store_txn *txn = NULL;
    link->push_flying_bytes -= msy_min_u64(submit->bytes, link->push_flying_bytes);
    if (channel == NULL || !msy_channel_is(channel, MSY_WAY_IN) || !submit->one_actor ||
        event->duplicate_count == 0 || event->accepted_count != 0) {
        return;
    }
    meshsync_status status = msy_store_begin(mesh->store, MSY_TXN_READ, &txn);
    if (status == MESHSYNC_OK) {
        push_prune(mesh, txn, link, channel, &submit->actor);
    }
    msy_store_abort(txn);
    msy_mesh_note(mesh, status);
}

void msy_push_received(struct msy_mesh *mesh, const struct msy_mesh_event *event)
{
    struct msy_submit submit;
    if (!push_take(mesh, event->id, &submit)) {
        return;
    }
    struct msy_mesh_space *space = msy_space_find(mesh, submit.space);
    mesh->stats.changes_in += event->accepted_count;
    if (space != NULL && space->flying_count > 0) {
        space->flying_count -= 1;
        if (space->flying_count == 0) {
            msy_vector_reset(&space->flying);
        }
    }
    struct msy_mesh_link *link = msy_mesh_link_find(mesh, submit.link);
    if (link == NULL || link->state != MSY_LINK_LIVE) {
        return;
    }
    if (event->rejected_count > 0 || event->status == MESHSYNC_E_PROTOCOL) {
        msy_mesh_link_close(mesh, link, MESHSYNC_E_PROTOCOL, "it sent changes that cannot be");
        return;
    }
    struct msy_channel *channel = msy_channel_find(link, submit.space);
    if (submit.stream && channel != NULL) {
        msy_want_dealt(mesh, link, channel, submit.bytes);
    } else if (!submit.stream) {
        push_landed(mesh, link, channel, &submit, event);
    }
}
