/* SPDX-License-Identifier: Apache-2.0 */
#include "replica/members.h"

#include "base/path.h"
#include "crdt/leaf.h"
#include "replica/control.h"
#include "secure/ticket.h"
#include "store/history.h"
#include "wire/msgpack_check.h"

/* Number of the control collection, which exists once a control record does. */
static meshsync_status members_control(struct msy_store_txn *txn, uint32_t space, uint32_t *number)
{
    return msy_control_number(txn, space, msy_bytes(NULL, 0), number);
}

/* Every value that lives at a control path, one call of visit each; visit ends the walk with
 * *stop. */
struct members_value {
    meshsync_bytes array; /* Content of the MSGPACK value. */
    uint64_t lsn;
};

typedef meshsync_status (*members_fn)(void *user, const struct members_value *value, bool *stop);

static meshsync_status members_each(struct msy_store_txn *txn, uint32_t space,
                                    const meshsync_bytes *parts, size_t parts_count,
                                    members_fn visit, void *user)
{
    uint8_t path[MESHSYNC_PATH_BYTES_MAX];
    uint8_t key[MSY_KEY_BYTES_MAX];
    size_t len = 0;
    uint32_t number = 0;
    meshsync_bytes value;
    struct msy_leaf leaf;
    struct msy_alloc alloc;
    bool stop = false;
    for (size_t i = 0; i < parts_count; i++) {
        if (!msy_path_append(path, &len, sizeof path, parts[i])) {
            return MESHSYNC_E_INVALID;
        }
    }
    meshsync_status status = members_control(txn, space, &number);
    if (status != MESHSYNC_OK) {
        return status;
    }
    meshsync_bytes state = msy_key_state(key, space, number, msy_bytes(path, len));
    status = msy_store_get(txn, MSY_TABLE_STATE, state, &value);
    if (status != MESHSYNC_OK) {
        return status;
    }
    msy_alloc_init(&alloc, NULL, NULL, 0);
    msy_leaf_init(&leaf, &alloc);
    status = msy_leaf_read(&leaf, state, value);
    for (uint32_t i = 0; i < leaf.entries_count && status == MESHSYNC_OK && !stop; i++) {
        struct members_value found = {.lsn = leaf.entries[i].lsn};
        meshsync_bytes payload;
        status = msy_control_payload(txn, &leaf.entries[i], &payload);
        if (status == MESHSYNC_OK && leaf.entries[i].kind == MSY_CONTROL_KIND_VALUE &&
            msy_control_array(payload, &found.array)) {
            status = visit(user, &found, &stop);
        }
    }
    msy_leaf_fini(&leaf);
    return status;
}

struct members_invite {
    uint64_t at_ms;
    bool good;
};

/* [1, role, expires, uses] */
static meshsync_status members_see_invite(void *user, const struct members_value *value, bool *stop)
{
    struct members_invite *invite = (struct members_invite *)user;
    struct msy_cursor cursor;
    uint32_t count = 0;
    uint64_t version = 0;
    uint64_t role = 0;
    uint64_t expires_ms = 0;
    msy_cursor_init(&cursor, value->array);
    if (msy_mp_array(&cursor, &count) && count >= 4 && msy_mp_uint(&cursor, &version) &&
        version == 1 && msy_mp_uint(&cursor, &role) && msy_mp_uint(&cursor, &expires_ms) &&
        (expires_ms == 0 || invite->at_ms <= expires_ms)) {
        invite->good = true;
        *stop = true;
    }
    return MESHSYNC_OK;
}

meshsync_status msy_members_invite_good(struct msy_store_txn *txn, uint32_t space,
                                        const uint8_t invite_key[32], uint64_t at_ms, bool *good)
{
    const meshsync_bytes parts[] = {msy_key_name("invite"), msy_bytes(invite_key, 32)};
    struct members_invite invite = {.at_ms = at_ms};
    meshsync_status status = members_each(txn, space, parts, 2, members_see_invite, &invite);
    *good = invite.good;
    return status == MESHSYNC_E_NOT_FOUND ? MESHSYNC_OK : status;
}

struct members_member {
    struct msy_store_txn *txn;
    uint32_t space;
    const struct msy_space_row_descriptor *row;
    const uint8_t *device;
    struct msy_verified *verified;
    bool good;
};

bool msy_members_parse(meshsync_bytes array, uint8_t invite[32], uint8_t proof[64])
{
    struct msy_cursor cursor;
    uint32_t count = 0;
    uint64_t version = 0;
    uint64_t role = 0;
    msy_cursor_init(&cursor, array);
    return msy_mp_array(&cursor, &count) && count >= 5 && msy_mp_uint(&cursor, &version) &&
           version == 1 && msy_mp_uint(&cursor, &role) && msy_mp_bin_copy(&cursor, invite, 32) &&
           msy_mp_bin_copy(&cursor, proof, 64);
}

static meshsync_status members_see_member(void *user, const struct members_value *value, bool *stop)
{
    struct members_member *member = (struct members_member *)user;
    uint8_t invite[32];
    uint8_t proof[64];
    uint64_t hlc = 0;
    if (!msy_members_parse(value->array, invite, proof)) {
        return MESHSYNC_OK;
    }
    meshsync_status status = msy_control_stamp(member->txn, value->lsn, &hlc);
    if (status == MESHSYNC_OK) {
        status =
            msy_members_invite_good(member->txn, member->space, invite, hlc >> 16, &member->good);
    }
    if (status == MESHSYNC_OK && member->good) {
        member->good =
            msy_ticket_check_once(member->verified, member->row->id, invite, member->device, proof);
        *stop = member->good;
    }
    return status;
}

static meshsync_status members_row(struct msy_store_txn *txn, uint32_t space,
                                   struct msy_space_row_descriptor *row)
{
    uint8_t key[5];
    meshsync_bytes value;
    meshsync_status status = msy_store_get(
        txn, MSY_TABLE_SPACES, msy_key_space(key, space, MSY_SPACE_ROW_DESCRIPTOR), &value);
    return status == MESHSYNC_OK ? msy_space_row_read(value, row) : status;
}

meshsync_status msy_members_has(struct msy_store_txn *txn, uint32_t space, const uint8_t device[32],
                                struct msy_verified *verified, bool *has)
{
    struct msy_space_row_descriptor row;
    const meshsync_bytes parts[] = {msy_key_name("member"), msy_bytes(device, 32)};
    struct members_member member = {
        .txn = txn, .space = space, .row = &row, .device = device, .verified = verified};
    *has = false;
    meshsync_status status = members_row(txn, space, &row);
    if (status != MESHSYNC_OK) {
        return status;
    }
    if (memcmp(row.founder, device, sizeof row.founder) == 0) {
        *has = true;
        return MESHSYNC_OK;
    }
    status = members_each(txn, space, parts, 2, members_see_member, &member);
    *has = member.good;
    return status == MESHSYNC_E_NOT_FOUND ? MESHSYNC_OK : status;
}

meshsync_status msy_members_may_join(struct msy_store_txn *txn, uint32_t space,
                                     const struct msy_join_claim *claim,
                                     struct msy_verified *verified, bool *may)
{
    struct msy_space_row_descriptor row;
    bool good = false;
    *may = false;
    meshsync_status status = members_row(txn, space, &row);
    if (status == MESHSYNC_OK) {
        status = msy_members_invite_good(txn, space, claim->invite, claim->at_ms, &good);
    }
    if (status == MESHSYNC_OK && good) {
        *may = msy_ticket_check_once(verified, row.id, claim->invite, claim->device, claim->proof);
    }
    return status;
}
