/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which spaces two peers have in common, and who is let in (docs/protocol.md, section 5). A space
 * is named by a hash that only who knows its discovery secret can make, different in each session
 * and in each direction, so that nothing is learnt from seeing it and nothing gained by repeating.
 */
#include <stdlib.h>
#include <string.h>

#include "mesh/machine.h"
#include "secure/ticket.h"

/* Lists are filled up to a power of two of at least this many. */
enum { SPACES_LIST_MIN = 8 };

static const char spaces_blind_label[] = "meshsync blind 1";
static const char spaces_pad_label[] = "meshsync pad 1";

/* --- the list -------------------------------------------------------------------------------- */

static uint32_t spaces_lower(const struct msy_mesh *mesh, uint32_t number)
{
    uint32_t low = 0;
    uint32_t high = mesh->spaces_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (mesh->spaces[middle]->number < number) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

struct msy_mesh_space *msy_space_find(struct msy_mesh *mesh, uint32_t number)
{
    uint32_t at = spaces_lower(mesh, number);
    if (at < mesh->spaces_count && mesh->spaces[at]->number == number) {
        return mesh->spaces[at];
    }
    return NULL;
}

static void space_free(struct msy_mesh *mesh, struct msy_mesh_space *space)
{
    msy_vector_fini(&space->vector);
    msy_vector_fini(&space->fresh);
    msy_vector_fini(&space->flying);
    msy_free(mesh->alloc, space->wants, space->wants_cap * sizeof *space->wants);
    msy_wipe(space->invite_seed, sizeof space->invite_seed);
    msy_wipe(space->discovery, sizeof space->discovery);
    msy_free(mesh->alloc, space, sizeof *space);
}

void msy_spaces_free(struct msy_mesh *mesh)
{
    for (uint32_t i = 0; i < mesh->spaces_count; i++) {
        space_free(mesh, mesh->spaces[i]);
    }
    msy_free(mesh->alloc, mesh->spaces, mesh->spaces_cap * sizeof *mesh->spaces);
    mesh->spaces = NULL;
    mesh->spaces_count = 0;
}

static struct msy_mesh_space *space_new(struct msy_mesh *mesh, uint32_t number)
{
    uint32_t at = spaces_lower(mesh, number);
    void *array = mesh->spaces;
    bool room = msy_array_room(mesh->alloc, &array, &mesh->spaces_cap, mesh->spaces_count,
                               sizeof *mesh->spaces);
    mesh->spaces = array;
    struct msy_mesh_space *space = room ? msy_new(mesh->alloc, sizeof *space) : NULL;
    if (space == NULL) {
        return NULL;
    }
    space->number = number;
    space->stale = true;
    space->changed_ms = mesh->now_ms;
    space->wants_at_ms = MSY_NEVER;
    space->note_at_ms = MSY_NEVER;
    space->recheck_at_ms = MSY_NEVER;
    space->digest_at_ms = MSY_NEVER;
    msy_vector_init(&space->vector, mesh->alloc);
    msy_vector_init(&space->fresh, mesh->alloc);
    msy_vector_init(&space->flying, mesh->alloc);
    memmove(&mesh->spaces[at + 1], &mesh->spaces[at],
            (mesh->spaces_count - at) * sizeof *mesh->spaces);
    mesh->spaces[at] = space;
    mesh->spaces_count += 1;
    return space;
}

/* The space is no longer ours to offer. */
static void space_leave(struct msy_mesh *mesh, const struct msy_mesh_space *space)
{
    for (uint32_t i = 0; i < mesh->links_count; i++) {
        struct msy_mesh_link *link = mesh->links[i];
        struct msy_channel *channel = msy_channel_find(link, space->number);
        if (link->state != MSY_LINK_LIVE || channel == NULL) {
            continue;
        }
        if (channel->has_ours) {
            const uint64_t number = channel->ours;
            msy_session_numbers(mesh, link, MSY_MESSAGE_SHUT, &number, 1);
        }
        msy_channel_remove(mesh, link, channel);
    }
}

static void spaces_sweep(struct msy_mesh *mesh, bool *changed)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < mesh->spaces_count; i++) {
        struct msy_mesh_space *space = mesh->spaces[i];
        if (space->seen) {
            mesh->spaces[kept++] = space;
            continue;
        }
        *changed = true;
        space_leave(mesh, space);
        space_free(mesh, space);
    }
    mesh->spaces_count = kept;
}

meshsync_status msy_spaces_load(struct msy_mesh *mesh, bool *changed)
{
    struct msy_space_row_descriptor row;
    struct msy_store_txn *txn = NULL;
    uint32_t number = 0;
    *changed = false;
    for (uint32_t i = 0; i < mesh->spaces_count; i++) {
        mesh->spaces[i]->seen = false;
    }
    meshsync_status status = msy_store_begin(mesh->store, MSY_TXN_READ, &txn);
    while (status == MESHSYNC_OK) {
        status = msy_history_next_space(txn, &number, &row);
        if (status != MESHSYNC_OK || row.left) {
            continue;
        }
        struct msy_mesh_space *space = msy_space_find(mesh, number);
        if (space == NULL) {
            space = space_new(mesh, number);
            *changed = true;
        }
        if (space == NULL) {
            status = MESHSYNC_E_NO_MEMORY;
            continue;
        }
        if (space->joining != row.joining) {
            msy_space_wake(mesh, &space->recheck_at_ms, mesh->now_ms);
        }
        space->seen = true;
        space->joining = row.joining;
        memcpy(space->id, row.id, sizeof space->id);
        memcpy(space->discovery, row.discovery, sizeof space->discovery);
        memcpy(space->invite_seed, row.invite_seed, sizeof space->invite_seed);
    }
    msy_wipe(&row, sizeof row);
    msy_store_abort(txn);
    if (status != MESHSYNC_E_END) {
        return status; /* A list that was read in part says nothing about what is gone. */
    }
    spaces_sweep(mesh, changed);
    return MESHSYNC_OK;
}

meshsync_status msy_space_vector(struct msy_mesh *mesh, struct msy_store_txn *txn,
                                 struct msy_mesh_space *space)
{
    struct msy_store_txn *own = NULL;
    meshsync_status status = MESHSYNC_OK;
    if (!space->stale) {
        return MESHSYNC_OK;
    }
    if (txn == NULL) {
        status = msy_store_begin(mesh->store, MSY_TXN_READ, &own);
        txn = own;
    }
    if (status == MESHSYNC_OK) {
        status = msy_history_vector(txn, space->number, &space->vector);
    }
    space->has_clock = false;
    space->stale = status != MESHSYNC_OK;
    msy_store_abort(own);
    return status;
}

/* --- blinded ids ----------------------------------------------------------------------------- */

static void spaces_blind(const struct msy_mesh_link *link, const struct msy_mesh_space *space,
                         bool by_initiator, uint8_t id[MSY_BLIND_BYTES])
{
    const uint8_t role = by_initiator ? 0 : 1;
    const meshsync_bytes parts[3] = {
        {(const uint8_t *)spaces_blind_label, sizeof spaces_blind_label - 1},
        {&role, 1},
        {link->hash, sizeof link->hash},
    };
    msy_hash_keyed(id, MSY_BLIND_BYTES, (meshsync_bytes){space->discovery, sizeof space->discovery},
                   parts, 3);
}

static int spaces_compare_ids(const void *a, const void *b)
{
    return memcmp(a, b, MSY_BLIND_BYTES); /* Also for struct msy_expected: it begins with the id. */
}

/* What the peer must show for each of our spaces. */
static meshsync_status spaces_expect(struct msy_mesh *mesh, struct msy_mesh_link *link,
                                     uint32_t count)
{
    if (count > link->expected_cap) {
        struct msy_expected *grown = msy_resize(
            mesh->alloc, link->expected, link->expected_cap * sizeof *grown, count * sizeof *grown);
        if (grown == NULL) {
            return MESHSYNC_E_NO_MEMORY;
        }
        link->expected = grown;
        link->expected_cap = count;
    }
    for (uint32_t i = 0; i < count; i++) {
        spaces_blind(link, mesh->spaces[i], link->accepted, link->expected[i].id);
        link->expected[i].space = mesh->spaces[i]->number;
    }
    link->expected_count = count;
    if (count > 0) {
        qsort(link->expected, count, sizeof *link->expected, spaces_compare_ids);
    }
    return MESHSYNC_OK;
}

void msy_spaces_offer(struct msy_mesh *mesh, struct msy_mesh_link *link)
{
    uint32_t count =
        mesh->spaces_count < MSY_SESSION_SPACES_MAX ? mesh->spaces_count : MSY_SESSION_SPACES_MAX;
    uint32_t padded = SPACES_LIST_MIN;
    while (padded < count) {
        padded *= 2;
    }
    meshsync_status status = spaces_expect(mesh, link, count);
    msy_buf_reset(&mesh->scratch);
    if (status == MESHSYNC_OK) {
        status = msy_buf_reserve(&mesh->scratch, (size_t)padded * MSY_BLIND_BYTES);
    }
    if (status != MESHSYNC_OK) {
        msy_session_wrote(mesh, link, status);
        return;
    }
    uint8_t *ids = mesh->scratch.data;
    for (uint32_t i = 0; i < padded; i++) {
        uint8_t *id = ids + (size_t)i * MSY_BLIND_BYTES;
        uint8_t index[4];
        msy_put_be32(index, i);
        if (i < count) {
            spaces_blind(link, mesh->spaces[i], !link->accepted, id);
            continue;
        }
        /* The same padding in each list of a session, so that lists cannot be compared. */
        const meshsync_bytes parts[2] = {
            {(const uint8_t *)spaces_pad_label, sizeof spaces_pad_label - 1}, {index, 4}};
        msy_hash_keyed(id, MSY_BLIND_BYTES, (meshsync_bytes){link->pad_key, sizeof link->pad_key},
                       parts, 2);
    }
    qsort(ids, padded, MSY_BLIND_BYTES, spaces_compare_ids);
    msy_session_wrote(mesh, link, msy_message_put_spaces(&link->plain, ids, padded));
}

/* --- letting in ------------------------------------------------------------------------------ */

static meshsync_status spaces_lets_in(struct msy_mesh *mesh, struct msy_store_txn *txn,
                                      const struct msy_mesh_link *link,
                                      const struct msy_channel *channel,
                                      const struct msy_mesh_space *space, bool *may)
{
    const struct msy_mesh_ports *ports = &mesh->ports;
    *may = space->joining; /* Who shows the discovery secret to a newcomer may tell it the space. */
    if (*may) {
        return MESHSYNC_OK;
    }
    meshsync_status status = ports->is_member(ports->user, txn, space->number, link->device, may);
    if (status == MESHSYNC_OK && !*may && channel->has_invite) {
        const struct msy_join_claim claim = {.device = link->device,
                                             .invite = channel->invite,
                                             .proof = channel->proof,
                                             .at_ms = mesh->unix_ms};
        status = ports->may_join(ports->user, txn, space->number, &claim, may);
    }
    return status;
}

static meshsync_status spaces_put_open(struct msy_mesh *mesh, struct msy_mesh_link *link,
                                       const struct msy_channel *channel,
                                       const struct msy_mesh_space *space, bool grant)
{
    uint8_t id[MSY_BLIND_BYTES];
    uint8_t invite[MSY_SIGN_PUBLIC_BYTES];
    uint8_t proof[MSY_SIGN_BYTES];
    struct msy_open open = {.channel = channel->ours, .grant = grant, .id = id};
    spaces_blind(link, space, !link->accepted, id);
    if (space->joining) {
        struct msy_ticket ticket;
        memset(&ticket, 0, sizeof ticket);
        memcpy(ticket.space, space->id, sizeof ticket.space);
        memcpy(ticket.invite_seed, space->invite_seed, sizeof ticket.invite_seed);
        msy_sign_public(invite, space->invite_seed);
        msy_ticket_prove(&ticket, mesh->device, proof);
        msy_ticket_wipe(&ticket);
        open.invite = invite;
        open.proof = proof;
    }
    return msy_message_put_open(&link->plain, &open);
}

/* Says whether the peer is let in, when that is new to it or must be said again, and begins or ends
 * to tell it of the space. */
static meshsync_status spaces_judge(struct msy_mesh *mesh, struct msy_store_txn *txn,
                                    struct msy_mesh_link *link, struct msy_channel *channel,
                                    const struct msy_mesh_space *space, bool again)
{
    bool may = false;
    bool was = msy_channel_is(channel, MSY_WAY_OUT);
    meshsync_status status = spaces_lets_in(mesh, txn, link, channel, space, &may);
    if (status != MESHSYNC_OK || (may == was && channel->has_ours && !again)) {
        return status;
    }
    if (!channel->has_ours) {
        channel->has_ours = true;
        channel->ours = link->ours_next;
        link->ours_next += 1;
    }
    msy_log_write(mesh->log, MSY_LOG_DEBUG, "mesh", "link %u: is %s space %u", link->number,
                  may ? "let into" : "not let into", space->number);
    status = spaces_put_open(mesh, link, channel, space, may);
    if (status != MESHSYNC_OK || may == was) {
        return status;
    }
    if (!may) {
        msy_channel_close_out(mesh, channel);
        return MESHSYNC_OK;
    }
    msy_channel_open_way(channel, MSY_WAY_OUT);
    msy_clock_tell(mesh, link, channel);
    msy_mesh_link_wake(mesh, &link->tell_at_ms, mesh->now_ms);
    return MESHSYNC_OK;
}

void msy_spaces_recheck(struct msy_mesh *mesh, struct msy_mesh_space *space)
{
    struct msy_store_txn *txn = NULL;
    meshsync_status status = msy_store_begin(mesh->store, MSY_TXN_READ, &txn);
    for (uint32_t i = 0; i < mesh->links_count && status == MESHSYNC_OK; i++) {
        struct msy_mesh_link *link = mesh->links[i];
        struct msy_channel *channel = msy_channel_find(link, space->number);
        if (link->state == MSY_LINK_LIVE && channel != NULL) {
            status = spaces_judge(mesh, txn, link, channel, space, false);
        }
    }
    msy_store_abort(txn);
    msy_mesh_note(mesh, status);
    if (status != MESHSYNC_OK) {
        msy_space_wake(mesh, &space->recheck_at_ms, mesh->now_ms + mesh->keepalive_ms);
    }
}

void msy_spaces_event(struct msy_mesh *mesh, uint32_t number)
{
    bool changed = false;
    struct msy_mesh_space *space = number == 0 ? NULL : msy_space_find(mesh, number);
    if (number != 0) {
        if (space != NULL) {
            msy_spaces_recheck(mesh, space);
        }
        return;
    }
    meshsync_status status = msy_spaces_load(mesh, &changed);
    mesh->offer_due = mesh->offer_due || changed;
    if (status != MESHSYNC_OK) {
        msy_mesh_note(mesh, status);
        mesh->reload_at_ms = mesh->now_ms + mesh->keepalive_ms;
        return;
    }
    for (uint32_t i = 0; mesh->offer_due && i < mesh->links_count; i++) {
        if (mesh->links[i]->state == MSY_LINK_LIVE) {
            msy_spaces_offer(mesh, mesh->links[i]);
        }
    }
    mesh->offer_due = false;
}

/* --- messages -------------------------------------------------------------------------------- */

meshsync_status msy_spaces_on_list(struct msy_mesh *mesh, struct msy_mesh_link *link,
                                   meshsync_bytes content)
{
    const uint8_t *ids = NULL;
    uint32_t count = 0;
    struct msy_store_txn *txn = NULL;
    if (!msy_message_get_spaces(content, &ids, &count)) {
        return MESHSYNC_E_PROTOCOL;
    }
    meshsync_status status = msy_store_begin(mesh->store, MSY_TXN_READ, &txn);
    for (uint32_t i = 0; i < link->expected_count && status == MESHSYNC_OK && count > 0; i++) {
        const struct msy_expected *expected = &link->expected[i];
        struct msy_mesh_space *space = msy_space_find(mesh, expected->space);
        if (space == NULL ||
            bsearch(expected->id, ids, count, MSY_BLIND_BYTES, spaces_compare_ids) == NULL) {
            continue;
        }
        struct msy_channel *channel = msy_channel_make(mesh, link, space->number);
        if (channel != NULL && channel->has_ours && channel->has_theirs) {
            continue; /* Each has heard the other's judgement: a list changes nothing. */
        }
        status = channel == NULL ? MESHSYNC_E_NO_MEMORY
                                 : spaces_judge(mesh, txn, link, channel, space, true);
    }
    msy_store_abort(txn);
    return status;
}

/* The space that a blinded id of the peer stands for, or NULL. */
static struct msy_mesh_space *spaces_unblind(struct msy_mesh *mesh,
                                             const struct msy_mesh_link *link, const uint8_t *id)
{
    const struct msy_expected *found = NULL;
    if (link->expected_count > 0) {
        found = bsearch(id, link->expected, link->expected_count, sizeof *link->expected,
                        spaces_compare_ids);
    }
    return found == NULL ? NULL : msy_space_find(mesh, found->space);
}

meshsync_status msy_spaces_on_open(struct msy_mesh *mesh, struct msy_mesh_link *link,
                                   meshsync_bytes content)
{
    struct msy_open open;
    struct msy_store_txn *txn = NULL;
    if (!msy_message_get_open(content, &open)) {
        return MESHSYNC_E_PROTOCOL;
    }
    struct msy_mesh_space *space = spaces_unblind(mesh, link, open.id);
    if (space == NULL) { /* Left meanwhile; the number is taken nevertheless. */
        return msy_channel_set_slot(mesh, link, NULL, open.channel);
    }
    struct msy_channel *channel = msy_channel_make(mesh, link, space->number);
    if (channel == NULL) {
        return MESHSYNC_E_NO_MEMORY;
    }
    meshsync_status status = msy_channel_set_slot(mesh, link, channel, open.channel);
    if (status != MESHSYNC_OK) {
        return status;
    }
    channel->has_invite = open.invite != NULL;
    if (open.invite != NULL) {
        memcpy(channel->invite, open.invite, sizeof channel->invite);
        memcpy(channel->proof, open.proof, sizeof channel->proof);
    }
    link->opened = true;
    if (open.grant && !msy_channel_is(channel, MSY_WAY_IN)) {
        msy_channel_open_way(channel, MSY_WAY_IN);
        msy_mesh_link_wake(mesh, &link->tell_at_ms, mesh->now_ms);
    } else if (!open.grant && msy_channel_is(channel, MSY_WAY_IN)) {
        msy_channel_close_in(mesh, link, channel);
    }
    status = msy_store_begin(mesh->store, MSY_TXN_READ, &txn);
    if (status == MESHSYNC_OK && link->state == MSY_LINK_LIVE) {
        status = spaces_judge(mesh, txn, link, channel, space, false);
    }
    if (status == MESHSYNC_OK && link->state == MSY_LINK_LIVE && !open.grant) {
        status = msy_introduce_send(mesh, txn, link, channel, space);
    }
    msy_store_abort(txn);
    return status;
}

meshsync_status msy_spaces_on_shut(struct msy_mesh *mesh, struct msy_mesh_link *link,
                                   meshsync_bytes content)
{
    uint64_t number = 0;
    if (!msy_message_get_numbers(content, &number, 1) || number >= link->slots_count) {
        return MESHSYNC_E_PROTOCOL;
    }
    struct msy_channel *channel = link->slots[number];
    if (channel == NULL) {
        return MESHSYNC_OK;
    }
    if (msy_channel_is(channel, MSY_WAY_IN)) {
        msy_channel_close_in(mesh, link, channel);
    }
    msy_channel_remove(mesh, link, channel); /* Should it hold the space again, it begins anew. */
    return MESHSYNC_OK;
}
