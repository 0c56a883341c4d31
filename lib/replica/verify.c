/* SPDX-License-Identifier: Apache-2.0 */
/* The checks of the log itself: hashes, signatures, chains, causes, indexes. */
#include "replica/verify.h"

#include "base/error.h"
#include "replica/verify_state.h"
#include "secure/crypto.h"
#include "store/history.h"

struct verify_log {
    struct msy_alloc *alloc;
    struct msy_store_txn *txn;
    uint32_t space;
    uint8_t space_id[MESHSYNC_SPACE_ID_BYTES];
    meshsync_verify_report *report;
    enum msy_verify_mode mode;
    struct msy_verified *verified; /* Lent; may be NULL. */
    bool unsigned_too;             /* Signatures are not looked at. */
    struct msy_change *change;
    struct msy_buf hashes;
    struct msy_buf message;
    struct msy_vector tips;
    struct msy_vector heads;
    struct msy_hasher hasher;
};

/* What a damaged store says of itself is a finding; anything else ends the check. */
static meshsync_status verify_finding(meshsync_status status)
{
    return status == MESHSYNC_E_NOT_FOUND || status == MESHSYNC_E_STORE_CORRUPT ? MESHSYNC_OK
                                                                                : status;
}

static meshsync_status verify_signature(struct verify_log *at, meshsync_bytes header_bytes,
                                        const uint8_t *signature, const uint8_t device[32],
                                        bool *good)
{
    if (at->unsigned_too) {
        *good = true;
        return MESHSYNC_OK;
    }
    msy_buf_reset(&at->message);
    at->report->signatures += 1;
    meshsync_status status = msy_change_signed_bytes(header_bytes, &at->message);
    *good = status == MESHSYNC_OK &&
            msy_verify_once(at->verified, signature, msy_buf_bytes(&at->message), device);
    return status;
}

/* A change whose own signature fails is authentic when a chained successor's verifies. */
static meshsync_status verify_successors(struct verify_log *at, struct msy_tip tip,
                                         const uint8_t device[32], bool *good)
{
    struct msy_change_header *header = &at->change->header;
    meshsync_status status = MESHSYNC_OK;
    *good = false;
    while (status == MESHSYNC_OK && !*good) {
        uint64_t lsn = 0;
        struct msy_record record;
        meshsync_bytes header_bytes;
        meshsync_bytes body;
        const uint8_t *signature = NULL;
        status = msy_history_find(at->txn, at->space, &tip.actor, tip.seq + 1, NULL, &lsn);
        if (status == MESHSYNC_OK) {
            status = msy_history_record(at->txn, lsn, &record);
        }
        if (status != MESHSYNC_OK ||
            msy_change_parse_header(record.change, header, &header_bytes, &signature, &body) !=
                MESHSYNC_OK ||
            memcmp(header->prev, tip.hash, sizeof header->prev) != 0) {
            break;
        }
        status = verify_signature(at, header_bytes, signature, device, good);
        tip.seq += 1;
        memcpy(tip.hash, record.hash, sizeof tip.hash);
    }
    return status == MESHSYNC_E_NOT_FOUND ? MESHSYNC_OK : status;
}

/* Is a cause here, before lsn, with the hash that was named? */
static meshsync_status verify_cause(struct verify_log *at, const struct msy_tip *cause,
                                    size_t hash_len, uint64_t before_lsn, bool *good)
{
    uint64_t lsn = 0;
    struct msy_record record;
    meshsync_status status =
        msy_history_find(at->txn, at->space, &cause->actor, cause->seq, cause->hash, &lsn);
    if (status == MESHSYNC_OK) {
        status = msy_history_record(at->txn, lsn, &record);
    }
    *good = status == MESHSYNC_OK && lsn < before_lsn &&
            memcmp(record.hash, cause->hash, hash_len) == 0;
    return status == MESHSYNC_E_NOT_FOUND ? MESHSYNC_OK : status;
}

static meshsync_status verify_causes(struct verify_log *at, uint64_t lsn, bool *good)
{
    const struct msy_change_header *header = &at->change->header;
    struct msy_tip before = header->predecessor;
    meshsync_status status = MESHSYNC_OK;
    *good = true;
    if (header->seq > 1) {
        before.actor = header->actor;
        before.seq = header->seq - 1;
        memcpy(before.hash, header->prev, sizeof before.hash);
    }
    if (header->seq > 1 || header->has_predecessor) {
        status = verify_cause(at, &before, MSY_CHANGE_HASH_BYTES, lsn, good);
    }
    for (uint32_t i = 0; i < header->heads_count && *good && status == MESHSYNC_OK; i++) {
        status = verify_cause(at, &header->heads[i], MSY_HEAD_HASH_BYTES, lsn, good);
    }
    return status;
}

/* The vector and the heads as they follow from the changes alone. */
static meshsync_status verify_follow(struct verify_log *at, const struct msy_tip *tip)
{
    const struct msy_change_header *header = &at->change->header;
    struct msy_tip before = header->predecessor;
    const struct msy_tip *known = NULL;
    if (header->seq > 1) {
        before.actor = header->actor;
        before.seq = header->seq - 1;
    }
    if (header->seq > 1 || header->has_predecessor) {
        known = msy_vector_get(&at->tips, &before.actor);
        if (known != NULL && known->seq == before.seq) {
            msy_vector_drop(&at->tips, &before.actor);
        }
        known = msy_vector_get(&at->heads, &before.actor);
        if (known != NULL && known->seq == before.seq) {
            msy_vector_drop(&at->heads, &before.actor);
        }
    }
    for (uint32_t i = 0; i < header->heads_count; i++) {
        known = msy_vector_get(&at->heads, &header->heads[i].actor);
        if (known != NULL && known->seq == header->heads[i].seq) {
            msy_vector_drop(&at->heads, &header->heads[i].actor);
        }
    }
    meshsync_status status = msy_vector_raise(&at->tips, tip);
    return status == MESHSYNC_OK ? msy_vector_raise(&at->heads, tip) : status;
}

static meshsync_status verify_authentic(struct verify_log *at, const struct msy_tip *tip,
                                        bool *good)
{
    struct msy_epoch epoch;
    struct msy_actor actor;
    meshsync_status status = msy_history_epoch(at->txn, at->space, &tip->actor, &epoch);
    if (status != MESHSYNC_OK) {
        *good = false;
        return verify_finding(status);
    }
    if (at->change->header.seq == 1) {
        msy_change_actor_id(&at->hasher, &at->change->header, &actor);
        if (!msy_actor_equal(&actor, &tip->actor)) {
            *good = false;
            return MESHSYNC_OK;
        }
    }
    status =
        verify_signature(at, at->change->header_bytes, at->change->signature, epoch.device, good);
    return status != MESHSYNC_OK || *good ? status
                                          : verify_successors(at, *tip, epoch.device, good);
}

static meshsync_status verify_record(struct verify_log *at, uint64_t lsn,
                                     const struct msy_record *record, bool *good)
{
    uint8_t root[MSY_CHANGE_HASH_BYTES];
    struct msy_tip tip;
    uint64_t indexed = 0;
    *good = false;
    meshsync_status status = msy_change_parse(at->change, record->change, NULL);
    if (status != MESHSYNC_OK) {
        return status == MESHSYNC_E_NO_MEMORY ? status : MESHSYNC_OK;
    }
    memset(&tip, 0, sizeof tip);
    tip.actor = at->change->header.actor;
    tip.seq = at->change->header.seq;
    msy_change_hash(&at->hasher, at->change->header_bytes, at->change->signature, tip.hash);
    msy_buf_reset(&at->hashes);
    status = msy_buf_reserve(&at->hashes, (size_t)at->change->ops_count * MSY_CHANGE_HASH_BYTES);
    if (status == MESHSYNC_OK) {
        status = msy_change_op_hashes(&at->hasher, at->change, at->hashes.data, root);
    }
    if (status != MESHSYNC_OK) {
        return status;
    }
    if (memcmp(tip.hash, record->hash, sizeof tip.hash) != 0 ||
        memcmp(root, at->change->header.root, sizeof root) != 0 ||
        memcmp(at->space_id, at->change->header.space, sizeof at->space_id) != 0) {
        return MESHSYNC_OK;
    }
    at->report->ops += at->change->ops_count;
    status = verify_causes(at, lsn, good);
    if (status == MESHSYNC_OK) {
        status = verify_follow(at, &tip);
    }
    if (status == MESHSYNC_OK) {
        status = msy_history_find(at->txn, at->space, &tip.actor, tip.seq, tip.hash, &indexed);
        at->report->damaged_indexes += status != MESHSYNC_OK || indexed != lsn ? 1 : 0;
        status = verify_finding(status);
    }
    /* Last: it may parse other headers over this one. */
    return status == MESHSYNC_OK && *good ? verify_authentic(at, &tip, good) : status;
}

static uint64_t verify_vector_differs(const struct msy_vector *a, const struct msy_vector *b)
{
    uint64_t differs = a->count > b->count ? a->count - b->count : 0;
    for (uint32_t i = 0; i < b->count; i++) {
        const struct msy_tip *other = msy_vector_get(a, &b->tips[i].actor);
        if (other == NULL || other->seq != b->tips[i].seq ||
            memcmp(other->hash, b->tips[i].hash, sizeof other->hash) != 0) {
            differs += 1;
        }
    }
    return differs;
}

/* The next epoch names the last change of this device: it must be here. Later ones may be too: a
 * restored backup gets what it wrote since from its peers. */
static meshsync_status verify_own(struct verify_log *at)
{
    uint8_t key[5];
    meshsync_bytes value;
    struct msy_tip own;
    bool good = false;
    meshsync_status status = msy_store_get(
        at->txn, MSY_TABLE_SPACES, msy_key_space(key, at->space, MSY_SPACE_ROW_OWN), &value);
    if (status != MESHSYNC_OK) {
        return status == MESHSYNC_E_NOT_FOUND ? MESHSYNC_OK : status;
    }
    if (value.len == 64) {
        memcpy(own.actor.id, value.data, sizeof own.actor.id);
        own.seq = msy_get_be64(value.data + 16);
        memcpy(own.hash, value.data + 24, sizeof own.hash);
        status = verify_cause(at, &own, MSY_CHANGE_HASH_BYTES, UINT64_MAX, &good);
    }
    at->report->damaged_indexes += good ? 0 : 1;
    return verify_finding(status);
}

static meshsync_status verify_tables(struct verify_log *at)
{
    struct msy_vector stored;
    uint8_t key[5];
    meshsync_bytes value;
    msy_vector_init(&stored, at->alloc);
    meshsync_status status = msy_history_vector(at->txn, at->space, &stored);
    if (status == MESHSYNC_OK) {
        at->report->damaged_indexes += verify_vector_differs(&stored, &at->tips);
        status = msy_history_heads(at->txn, at->space, &stored);
    }
    if (status == MESHSYNC_OK) {
        at->report->damaged_indexes += verify_vector_differs(&stored, &at->heads);
        status = msy_store_get(at->txn, MSY_TABLE_SPACES,
                               msy_key_space(key, at->space, MSY_SPACE_ROW_CHANGES), &value);
    }
    if (status == MESHSYNC_OK || status == MESHSYNC_E_NOT_FOUND) {
        /* A space without changes need not have the row. */
        uint64_t counted = status == MESHSYNC_OK && value.len == 8 ? msy_get_be64(value.data) : 0;
        at->report->damaged_indexes += counted != at->report->changes ? 1 : 0;
        status = MESHSYNC_OK;
    }
    msy_vector_fini(&stored);
    return status == MESHSYNC_OK ? verify_own(at) : status;
}

static meshsync_status verify_log(struct verify_log *at)
{
    uint64_t lsn = 1;
    uint64_t last = 0;
    /* Where pages of the log are damaged every look at them fails: that must end, too. */
    meshsync_status status = msy_history_last_lsn(at->txn, &last);
    while (status == MESHSYNC_OK && lsn <= last) {
        struct msy_record record;
        bool good = false;
        status = msy_history_record_from(at->txn, &lsn, &record);
        if (status == MESHSYNC_E_STORE_CORRUPT) {
            at->report->damaged_changes += 1;
            at->report->first_damaged_lsn =
                at->report->first_damaged_lsn == 0 ? lsn : at->report->first_damaged_lsn;
            status = MESHSYNC_OK;
        } else if (status == MESHSYNC_OK && record.space == at->space) {
            at->report->changes += 1;
            status = verify_record(at, lsn, &record, &good);
            if (status == MESHSYNC_OK && !good) {
                at->report->damaged_changes += 1;
                at->report->first_damaged_lsn =
                    at->report->first_damaged_lsn == 0 ? lsn : at->report->first_damaged_lsn;
            }
        }
        lsn++;
    }
    return status == MESHSYNC_OK || status == MESHSYNC_E_END ? verify_tables(at) : status;
}

static meshsync_status verify_run(struct verify_log *at, struct msy_store_txn *txn, uint32_t space,
                                  meshsync_error *error)
{
    struct msy_space_row_descriptor row;
    uint32_t number = space - 1;
    at->change = (struct msy_change *)msy_new(at->alloc, sizeof *at->change);
    if (at->change == NULL) {
        return msy_fail(error, MESHSYNC_E_NO_MEMORY, "no memory for verifying");
    }
    msy_change_init(at->change, at->alloc);
    meshsync_status status = msy_history_next_space(txn, &number, &row);
    if (status != MESHSYNC_OK && status != MESHSYNC_E_END) {
        return msy_fail(error, status, "the list of spaces cannot be read");
    }
    if (status == MESHSYNC_E_END || number != space) {
        return msy_fail(error, MESHSYNC_E_NOT_FOUND, "there is no such space");
    }
    memcpy(at->space_id, row.id, sizeof at->space_id);
    status = verify_log(at);
    /* Only a log that is whole says what the state should be. */
    enum msy_verify_mode mode =
        at->report->damaged_changes + at->report->damaged_indexes == 0 ? at->mode : MSY_VERIFY_LOOK;
    if (status == MESHSYNC_OK) {
        status = msy_verify_state(at->alloc, txn, space, mode, at->report);
    }
    if (status != MESHSYNC_OK) {
        return msy_fail(error, status, "verifying could not be finished");
    }
    uint64_t damaged =
        at->report->damaged_changes + at->report->damaged_leaves + at->report->damaged_indexes;
    return damaged == 0 ? MESHSYNC_OK
                        : msy_fail(error, MESHSYNC_E_STORE_CORRUPT,
                                   "damage: %llu changes, %llu leaves, %llu index entries",
                                   (unsigned long long)at->report->damaged_changes,
                                   (unsigned long long)at->report->damaged_leaves,
                                   (unsigned long long)at->report->damaged_indexes);
}

static meshsync_status verify_space(struct verify_log *at, meshsync_error *error)
{
    size_t size = at->report->size;
    memset(at->report, 0, sizeof *at->report);
    at->report->size = size;
    at->hasher.hash = msy_hash;
    at->hasher.stream = msy_stream;
    msy_buf_init(&at->hashes, at->alloc, (size_t)MSY_CHANGE_OPS_MAX * MSY_CHANGE_HASH_BYTES);
    msy_buf_init(&at->message, at->alloc, 32768);
    msy_vector_init(&at->tips, at->alloc);
    msy_vector_init(&at->heads, at->alloc);
    meshsync_status status = verify_run(at, at->txn, at->space, error);
    if (at->change != NULL) {
        msy_change_fini(at->change);
        msy_free(at->alloc, at->change, sizeof *at->change);
    }
    msy_buf_fini(&at->hashes);
    msy_buf_fini(&at->message);
    msy_vector_fini(&at->tips);
    msy_vector_fini(&at->heads);
    return status;
}

meshsync_status msy_verify_space(struct msy_alloc *alloc, struct msy_store_txn *txn, uint32_t space,
                                 meshsync_verify_report *report, meshsync_error *error)
{
    return msy_verify_space_once(alloc, txn, space, NULL, report, error);
}

meshsync_status msy_verify_space_once(struct msy_alloc *alloc, struct msy_store_txn *txn,
                                      uint32_t space, struct msy_verified *verified,
                                      meshsync_verify_report *report, meshsync_error *error)
{
    struct verify_log at = {
        .alloc = alloc, .txn = txn, .space = space, .report = report, .verified = verified};
    return verify_space(&at, error);
}

meshsync_status msy_verify_opening(struct msy_alloc *alloc, struct msy_store_txn *txn,
                                   uint64_t *mended, meshsync_error *error)
{
    struct msy_space_row_descriptor row;
    uint32_t number = 0;
    *mended = 0;
    meshsync_status status = msy_history_next_space(txn, &number, &row);
    while (status == MESHSYNC_OK) {
        meshsync_verify_report report = {.size = sizeof report};
        struct verify_log at = {.alloc = alloc,
                                .txn = txn,
                                .space = number,
                                .report = &report,
                                .mode = MSY_VERIFY_MEND,
                                .unsigned_too = true};
        status = verify_space(&at, error);
        if (status == MESHSYNC_E_STORE_CORRUPT &&
            report.damaged_changes + report.damaged_indexes == 0) {
            *mended += report.damaged_leaves;
            status = MESHSYNC_OK;
        }
        if (status != MESHSYNC_OK) {
            return status;
        }
        status = msy_history_next_space(txn, &number, &row);
    }
    return status == MESHSYNC_E_END ? MESHSYNC_OK
                                    : msy_fail(error, status, "the list of spaces cannot be read");
}
