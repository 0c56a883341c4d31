/* SPDX-License-Identifier: Apache-2.0 */
/* Spaces: founding, joining, leaving. Founding and joining write the first control record. */
#include "base/error.h"
#include "replica/commit.h"
#include "replica/control.h"
#include "secure/ticket.h"
#include "wire/msgpack_check.h"
#include "wire/value.h"

enum { RECORD_BYTES_MAX = 512 };

static meshsync_status spaces_answer(struct msy_replica *replica, uint64_t id, uint32_t space,
                                     const struct msy_tip *tip, const meshsync_error *error)
{
    struct msy_replica_effect *effect = msy_replica_effect(replica, MSY_REPLICA_DONE);
    if (effect == NULL) {
        return MESHSYNC_E_NO_MEMORY;
    }
    effect->id = id;
    effect->space = space;
    if (tip != NULL) {
        effect->tip = *tip;
    }
    if (error != NULL) {
        effect->status = error->status;
        effect->error = *error;
    }
    return MESHSYNC_OK;
}

static meshsync_status spaces_refuse(struct msy_replica *replica, uint64_t id,
                                     meshsync_status status, const char *words)
{
    meshsync_error error;
    (void)msy_fail(&error, status, "%s", words);
    return spaces_answer(replica, id, 0, NULL, &error);
}

static bool spaces_name_good(meshsync_bytes name)
{
    return name.len >= 1 && name.len <= MESHSYNC_NAME_BYTES_MAX && msy_utf8_valid(name) &&
           memchr(name.data, 0, name.len) == NULL;
}

static struct msy_space_state *spaces_by_name(struct msy_replica *replica, const char *name)
{
    for (uint32_t i = 0; i < replica->spaces_count; i++) {
        if (!replica->spaces[i].erased && strcmp(replica->spaces[i].row.name, name) == 0) {
            return &replica->spaces[i];
        }
    }
    return NULL;
}

/* Commits one control record, wrapped as a MSGPACK value, as a change of its own. */
static meshsync_status spaces_record(struct msy_replica *replica, struct msy_space_state *space,
                                     const meshsync_bytes *parts, size_t parts_count,
                                     meshsync_bytes array, struct msy_tip *tip)
{
    struct msy_request request;
    struct msy_buf payload;
    uint8_t path[MESHSYNC_PATH_BYTES_MAX];
    size_t path_len = 0;
    meshsync_value value = {.bytes = array, .type = MESHSYNC_VALUE_MSGPACK};
    struct msy_replica_event event = {.type = MSY_REPLICA_COMMIT, .space = space->number};
    for (size_t i = 0; i < parts_count; i++) {
        (void)msy_path_append(path, &path_len, sizeof path, parts[i]);
    }
    msy_request_init(&request, replica->alloc);
    msy_buf_init(&payload, replica->alloc, RECORD_BYTES_MAX);
    meshsync_status status = msy_value_encode(&value, &payload, NULL);
    if (status == MESHSYNC_OK) {
        struct msy_intent intent = {.type = MSY_INTENT_PUT,
                                    .condition = MESHSYNC_IF_ANY,
                                    .path = msy_bytes(path, path_len),
                                    .payload = msy_buf_bytes(&payload)};
        status = msy_request_add(&request, &intent);
    }
    request.explicit_txn = true;
    event.request = &request;
    if (status == MESHSYNC_OK) {
        uint32_t before = replica->effects->count;
        status = msy_commit_group(replica, space, &event, 1);
        if (status == MESHSYNC_OK && replica->effects->count > before) {
            *tip = replica->effects->items[before].tip;
            replica->effects->count = before; /* Answered by the caller in its own words. */
        }
        if (status == MESHSYNC_OK) {
            /* The leaves lend the payload of this request: written before it is freed. */
            status = msy_writeset_flush_leaves(&replica->set);
            msy_writeset_drop_lent(&replica->set);
        }
    }
    msy_buf_fini(&payload);
    msy_request_fini(&request);
    return status;
}

static meshsync_status spaces_new(struct msy_replica *replica,
                                  const struct msy_space_row_descriptor *row,
                                  struct msy_space_state **space)
{
    uint32_t number = 1;
    for (uint32_t i = 0; i < replica->spaces_count; i++) {
        if (replica->spaces[i].number >= number) {
            number = replica->spaces[i].number + 1;
        }
    }
    if (number < replica->space_next) {
        number = replica->space_next; /* Numbers of erased spaces are not used again. */
    }
    replica->space_next = number + 1;
    replica->spaces_changed = true;
    meshsync_status status = msy_replica_add_space(replica, row, number, space);
    return status == MESHSYNC_OK ? msy_replica_put_row(replica, *space) : status;
}

meshsync_status msy_spaces_create(struct msy_replica *replica,
                                  const struct msy_replica_event *event)
{
    struct msy_space_row_descriptor row;
    struct msy_space_state *space = NULL;
    struct msy_buf array;
    struct msy_tip tip;
    const meshsync_bytes parts[] = {msy_key_name("genesis")};
    if (!spaces_name_good(event->bytes)) {
        return spaces_refuse(replica, event->id, MESHSYNC_E_INVALID,
                             "a space's name is 1 to 64 bytes of UTF-8 without zero bytes");
    }
    memset(&row, 0, sizeof row);
    memset(&tip, 0, sizeof tip);
    memcpy(row.name, event->bytes.data, event->bytes.len);
    if (spaces_by_name(replica, row.name) != NULL) {
        return spaces_refuse(replica, event->id, MESHSYNC_E_EXISTS,
                             "a space of that name is here already");
    }
    memcpy(row.founder, msy_identity_public(replica->identity), sizeof row.founder);
    replica->entropy.fill(replica->entropy.user, row.nonce, sizeof row.nonce);
    replica->entropy.fill(replica->entropy.user, row.discovery, sizeof row.discovery);
    msy_space_id(row.id, row.founder, row.nonce);
    row.created_lsn = replica->lsn_last + 1;
    meshsync_status status = spaces_new(replica, &row, &space);
    msy_buf_init(&array, replica->alloc, RECORD_BYTES_MAX);
    if (status == MESHSYNC_OK) {
        status = msy_mp_put_array(&array, 3);
    }
    if (status == MESHSYNC_OK) {
        status = msy_mp_put_uint(&array, 1);
    }
    if (status == MESHSYNC_OK) {
        status = msy_mp_put_bin(&array, msy_bytes(row.founder, sizeof row.founder));
    }
    if (status == MESHSYNC_OK) {
        status = msy_mp_put_bin(&array, msy_bytes(row.nonce, sizeof row.nonce));
    }
    if (status == MESHSYNC_OK) {
        status = spaces_record(replica, space, parts, 1, msy_buf_bytes(&array), &tip);
    }
    msy_buf_fini(&array);
    return status == MESHSYNC_OK ? spaces_answer(replica, event->id, space->number, &tip, NULL)
                                 : status;
}

static meshsync_status spaces_member_array(struct msy_replica *replica,
                                           const struct msy_ticket *ticket, struct msy_buf *array)
{
    uint8_t invite[MSY_SIGN_PUBLIC_BYTES];
    uint8_t proof[MSY_SIGN_BYTES];
    const uint8_t *device = msy_identity_public(replica->identity);
    msy_sign_public(invite, ticket->invite_seed);
    msy_ticket_prove(ticket, device, proof);
    meshsync_status status = msy_mp_put_array(array, 5);
    if (status == MESHSYNC_OK) {
        status = msy_mp_put_uint(array, 1);
    }
    if (status == MESHSYNC_OK) {
        status = msy_mp_put_uint(array, ticket->role);
    }
    if (status == MESHSYNC_OK) {
        status = msy_mp_put_bin(array, msy_bytes(invite, sizeof invite));
    }
    if (status == MESHSYNC_OK) {
        status = msy_mp_put_bin(array, msy_bytes(proof, sizeof proof));
    }
    return status == MESHSYNC_OK ? msy_mp_put_str(array, msy_bytes(NULL, 0)) : status;
}

static const char *spaces_join_refusal(struct msy_replica *replica,
                                       const struct msy_replica_event *event,
                                       const struct msy_space_row_descriptor *row)
{
    const struct msy_ticket *ticket = event->ticket;
    if (ticket->expires_ms != 0 && ticket->expires_ms < replica->now_ms) {
        return "the ticket has expired";
    }
    if (!spaces_name_good(msy_key_name(row->name))) {
        return "a space's name is 1 to 64 bytes of UTF-8 without zero bytes";
    }
    return NULL;
}

/* The record by which this device applies for membership, under the ticket's invitation. */
static meshsync_status spaces_apply(struct msy_replica *replica, struct msy_space_state *space,
                                    const struct msy_ticket *ticket, struct msy_tip *tip)
{
    const uint8_t *device = msy_identity_public(replica->identity);
    const meshsync_bytes parts[] = {msy_key_name("member"), msy_bytes(device, 32)};
    struct msy_buf array;
    msy_buf_init(&array, replica->alloc, RECORD_BYTES_MAX);
    meshsync_status status = spaces_member_array(replica, ticket, &array);
    if (status == MESHSYNC_OK) {
        status = spaces_record(replica, space, parts, 2, msy_buf_bytes(&array), tip);
    }
    msy_buf_fini(&array);
    return status;
}

/* A space that was left comes back by a new ticket: the data is there already. Who was not yet let
 * in when it left applies once more: the invitation was wiped, and this one may be another. */
static meshsync_status spaces_rejoin(struct msy_replica *replica,
                                     const struct msy_replica_event *event,
                                     struct msy_space_state *space)
{
    struct msy_tip tip;
    memset(&tip, 0, sizeof tip);
    if (!space->row.left) {
        return spaces_refuse(replica, event->id, MESHSYNC_E_EXISTS, "this space is here already");
    }
    space->row.left = false;
    replica->spaces_changed = true;
    if (space->row.joining) {
        memcpy(space->row.invite_seed, event->ticket->invite_seed, sizeof space->row.invite_seed);
    }
    meshsync_status status = msy_replica_put_row(replica, space);
    if (status == MESHSYNC_OK && space->row.joining) {
        status = spaces_apply(replica, space, event->ticket, &tip);
    }
    return status == MESHSYNC_OK ? spaces_answer(replica, event->id, space->number, &tip, NULL)
                                 : status;
}

meshsync_status msy_spaces_join(struct msy_replica *replica, const struct msy_replica_event *event)
{
    const struct msy_ticket *ticket = event->ticket;
    const uint8_t *device = msy_identity_public(replica->identity);
    struct msy_space_row_descriptor row;
    struct msy_space_state *space = NULL;
    struct msy_tip tip;
    memset(&row, 0, sizeof row);
    memset(&tip, 0, sizeof tip);
    if (event->bytes.len > 0 && event->bytes.len <= MESHSYNC_NAME_BYTES_MAX) {
        memcpy(row.name, event->bytes.data, event->bytes.len);
    } else if (event->bytes.len == 0) {
        memcpy(row.name, ticket->name, sizeof row.name);
    }
    const char *refusal = spaces_join_refusal(replica, event, &row);
    if (refusal != NULL) {
        return spaces_refuse(replica, event->id, MESHSYNC_E_INVALID, refusal);
    }
    for (uint32_t i = 0; i < replica->spaces_count; i++) {
        struct msy_space_state *other = &replica->spaces[i];
        if (!other->erased && memcmp(other->row.id, ticket->space, sizeof row.id) == 0) {
            return spaces_rejoin(replica, event, other);
        }
    }
    if (spaces_by_name(replica, row.name) != NULL) {
        return spaces_refuse(replica, event->id, MESHSYNC_E_EXISTS,
                             "a space of that name is here already: give another");
    }
    memcpy(row.id, ticket->space, sizeof row.id);
    memcpy(row.founder, ticket->founder, sizeof row.founder);
    memcpy(row.nonce, ticket->nonce, sizeof row.nonce);
    memcpy(row.discovery, ticket->discovery, sizeof row.discovery);
    memcpy(row.invite_seed, ticket->invite_seed, sizeof row.invite_seed);
    row.created_lsn = replica->lsn_last + 1;
    row.joining = memcmp(row.founder, device, sizeof row.founder) != 0;
    meshsync_status status = spaces_new(replica, &row, &space);
    if (status == MESHSYNC_OK) {
        status = spaces_apply(replica, space, ticket, &tip);
    }
    msy_wipe(&row, sizeof row);
    return status == MESHSYNC_OK ? spaces_answer(replica, event->id, space->number, &tip, NULL)
                                 : status;
}

meshsync_status msy_spaces_settle(struct msy_replica *replica, struct msy_space_state *space)
{
    bool member = false;
    if (!space->row.joining) {
        return MESHSYNC_OK;
    }
    meshsync_status status =
        msy_members_has(replica->txn, space->number, msy_identity_public(replica->identity),
                        replica->verified, &member);
    if (status != MESHSYNC_OK || !member) {
        return status;
    }
    space->row.joining = false;
    msy_wipe(space->row.invite_seed, sizeof space->row.invite_seed);
    replica->spaces_changed = true;
    return msy_replica_put_row(replica, space);
}

/* Deletes every row of a table that begins with the space's number. */
static meshsync_status spaces_erase_table(struct msy_replica *replica, enum msy_table table,
                                          uint32_t number)
{
    uint8_t prefix[4];
    meshsync_status status = MESHSYNC_OK;
    msy_put_be32(prefix, number);
    while (status == MESHSYNC_OK) {
        uint8_t key[MSY_KEY_BYTES_MAX];
        struct msy_store_iter *iter = NULL;
        meshsync_bytes found;
        meshsync_bytes value;
        status = msy_store_iter_open(replica->txn, table, &iter);
        if (status != MESHSYNC_OK) {
            return status;
        }
        status = msy_store_seek(iter, msy_bytes(prefix, 4), &found, &value);
        bool mine = status == MESHSYNC_OK && found.len >= 4 && memcmp(found.data, prefix, 4) == 0;
        size_t len = mine ? found.len : 0;
        if (mine) {
            memcpy(key, found.data, len);
        }
        msy_store_iter_close(iter);
        if (!mine) {
            return status == MESHSYNC_E_END ? MESHSYNC_OK : status;
        }
        status = msy_store_del(replica->txn, table, msy_bytes(key, len));
    }
    return status;
}

static meshsync_status spaces_erase_log(struct msy_replica *replica, uint32_t number)
{
    uint64_t lsn = 1;
    meshsync_status status = MESHSYNC_OK;
    while (status == MESHSYNC_OK) {
        uint8_t key[8];
        struct msy_record record;
        status = msy_history_record_from(replica->txn, &lsn, &record);
        if (status == MESHSYNC_OK && record.space == number) {
            status = msy_store_del(replica->txn, MSY_TABLE_LOG, msy_key_log(key, lsn));
        }
        lsn++;
    }
    return status == MESHSYNC_E_END ? MESHSYNC_OK : status;
}

static meshsync_status spaces_erase(struct msy_replica *replica, struct msy_space_state *space)
{
    static const enum msy_table tables[] = {
        MSY_TABLE_STATE, MSY_TABLE_BY_ACTOR, MSY_TABLE_CLOCK,  MSY_TABLE_HEADS,
        MSY_TABLE_KILLS, MSY_TABLE_DIGEST,   MSY_TABLE_SPACES, MSY_TABLE_NAMES,
    };
    meshsync_status status = msy_writeset_flush(&replica->set);
    msy_writeset_begin(&replica->set, replica->txn);
    for (size_t i = 0; i < sizeof tables / sizeof tables[0] && status == MESHSYNC_OK; i++) {
        status = spaces_erase_table(replica, tables[i], space->number);
    }
    if (status == MESHSYNC_OK) {
        status = spaces_erase_log(replica, space->number);
    }
    msy_pending_forget(&replica->pending, space->number);
    space->erased = true;
    space->dirty = false;
    return status;
}

meshsync_status msy_spaces_leave(struct msy_replica *replica, const struct msy_replica_event *event)
{
    struct msy_space_state *space = msy_replica_space(replica, event->space);
    if (space == NULL || space->erased) {
        return spaces_refuse(replica, event->id, MESHSYNC_E_NOT_FOUND, "there is no such space");
    }
    replica->spaces_changed = true;
    space->row.left = true;
    msy_wipe(space->row.invite_seed, sizeof space->row.invite_seed);
    meshsync_status status =
        event->erase != 0 ? spaces_erase(replica, space) : msy_replica_put_row(replica, space);
    return status == MESHSYNC_OK ? spaces_answer(replica, event->id, space->number, NULL, NULL)
                                 : status;
}
