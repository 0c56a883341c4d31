/* SPDX-License-Identifier: Apache-2.0 */
/* Opening the replica machine: making or checking the tables' first records, loading what is kept
 * in memory. */
#include "base/error.h"
#include "replica/control.h"
#include "replica/machine.h"
#include "replica/verify.h"

enum { CHANGE_BUF_BYTES_MAX = 32u << 20, OWN_ROW_BYTES = 64 };

static meshsync_status open_get_u64(struct msy_store_txn *txn, const char *name, uint64_t *value)
{
    meshsync_bytes bytes;
    meshsync_status status = msy_store_get(txn, MSY_TABLE_META, msy_key_name(name), &bytes);
    if (status == MESHSYNC_E_NOT_FOUND) {
        return MESHSYNC_OK; /* Keeps its default. */
    }
    if (status == MESHSYNC_OK && bytes.len != 8) {
        return MESHSYNC_E_STORE_CORRUPT;
    }
    if (status == MESHSYNC_OK) {
        *value = msy_get_be64(bytes.data);
    }
    return status;
}

static meshsync_status open_new_store(struct msy_replica *replica)
{
    uint8_t format[4];
    msy_put_be32(format, MSY_SCHEMA_VERSION);
    replica->entropy.fill(replica->entropy.user, replica->store_id, sizeof replica->store_id);
    meshsync_status status =
        msy_store_put(replica->txn, MSY_TABLE_META, msy_key_name(MSY_META_FORMAT),
                      msy_bytes(format, sizeof format), MSY_PUT_ANY);
    if (status == MESHSYNC_OK) {
        status = msy_store_put(replica->txn, MSY_TABLE_META, msy_key_name(MSY_META_STORE_ID),
                               msy_bytes(replica->store_id, sizeof replica->store_id), MSY_PUT_ANY);
    }
    if (status == MESHSYNC_OK) {
        status = msy_store_put(replica->txn, MSY_TABLE_META, msy_key_name(MSY_META_IDENTITY),
                               msy_bytes(msy_identity_public(replica->identity), 32), MSY_PUT_ANY);
    }
    return status;
}

/* A store that has lost the record of its format is no new one. */
static meshsync_status open_check_empty(struct msy_replica *replica, meshsync_error *error)
{
    struct msy_store_stats stats;
    meshsync_status status = msy_store_get_stats(replica->store, &stats);
    for (int table = 0; table < MSY_TABLE_COUNT && status == MESHSYNC_OK; table++) {
        if (stats.entries[table] > 0 && table != MSY_TABLE_PEERS) {
            return msy_fail(error, MESHSYNC_E_STORE_CORRUPT,
                            "the store's format record is missing, and it is not empty");
        }
    }
    return status;
}

/* A store of a newer version is refused before anything is written. *fresh: there is nothing
 * yet. */
static meshsync_status open_check(struct msy_replica *replica, bool *fresh, meshsync_error *error)
{
    meshsync_bytes value;
    meshsync_status status =
        msy_store_get(replica->txn, MSY_TABLE_META, msy_key_name(MSY_META_FORMAT), &value);
    *fresh = status == MESHSYNC_E_NOT_FOUND;
    if (*fresh) {
        return open_check_empty(replica, error);
    }
    if (status == MESHSYNC_OK && value.len != 4) {
        status = MESHSYNC_E_STORE_CORRUPT;
    }
    if (status != MESHSYNC_OK) {
        return msy_fail(error, status, "the store's format record cannot be read");
    }
    uint32_t version = msy_get_be32(value.data);
    if (version > MSY_SCHEMA_VERSION) {
        return msy_fail(error, MESHSYNC_E_STORE_VERSION,
                        "the store has format %u, this library knows formats up to %u", version,
                        (unsigned)MSY_SCHEMA_VERSION);
    }
    status = msy_store_get(replica->txn, MSY_TABLE_META, msy_key_name(MSY_META_STORE_ID), &value);
    if (status == MESHSYNC_OK && value.len != sizeof replica->store_id) {
        status = MESHSYNC_E_STORE_CORRUPT;
    }
    if (status == MESHSYNC_OK) {
        memcpy(replica->store_id, value.data, sizeof replica->store_id);
        status =
            msy_store_get(replica->txn, MSY_TABLE_META, msy_key_name(MSY_META_IDENTITY), &value);
    }
    if (status == MESHSYNC_E_NOT_FOUND || (status == MESHSYNC_OK && value.len != 32)) {
        status = MESHSYNC_E_STORE_CORRUPT;
    }
    if (status != MESHSYNC_OK) {
        return msy_fail(error, status, "the store's first records cannot be read");
    }
    if (memcmp(value.data, msy_identity_public(replica->identity), 32) != 0) {
        return msy_fail(error, MESHSYNC_E_INVALID, "the store belongs to another identity");
    }
    return MESHSYNC_OK;
}

static meshsync_status open_space(struct msy_replica *replica, uint32_t number,
                                  const struct msy_space_row_descriptor *row)
{
    uint8_t key[5];
    meshsync_bytes value;
    struct msy_space_state *space = NULL;
    meshsync_status status = msy_replica_add_space(replica, row, number, &space);
    if (status != MESHSYNC_OK) {
        return status;
    }
    status = msy_history_heads(replica->txn, number, &space->heads);
    if (status != MESHSYNC_OK) {
        return status;
    }
    status = msy_store_get(replica->txn, MSY_TABLE_SPACES,
                           msy_key_space(key, number, MSY_SPACE_ROW_OWN), &value);
    if (status == MESHSYNC_OK) {
        if (value.len != OWN_ROW_BYTES) {
            return MESHSYNC_E_STORE_CORRUPT;
        }
        space->has_own = true;
        memcpy(space->own.last.actor.id, value.data, 16);
        space->own.last.seq = msy_get_be64(value.data + 16);
        memcpy(space->own.last.hash, value.data + 24, 32);
        space->own.ordinal = msy_get_be64(value.data + 56);
        if (space->own.last.seq - 1 >= MSY_SEQ_MAX) {
            return MESHSYNC_E_STORE_CORRUPT;
        }
    } else if (status != MESHSYNC_E_NOT_FOUND) {
        return status;
    }
    status = msy_store_get(replica->txn, MSY_TABLE_SPACES,
                           msy_key_space(key, number, MSY_SPACE_ROW_CHANGES), &value);
    if (status == MESHSYNC_OK && value.len != 8) {
        return MESHSYNC_E_STORE_CORRUPT;
    }
    if (status == MESHSYNC_OK) {
        space->changes = msy_get_be64(value.data);
    }
    return status == MESHSYNC_E_NOT_FOUND ? MESHSYNC_OK : status;
}

static meshsync_status open_load(struct msy_replica *replica)
{
    struct msy_space_row_descriptor row;
    struct msy_store_stats stats;
    uint32_t number = 0;
    uint64_t collection_next = 1;
    uint64_t space_next = 1;
    uint64_t lsn = 0;
    meshsync_status status = open_get_u64(replica->txn, MSY_META_HLC, &replica->hlc.last);
    if (status == MESHSYNC_OK) {
        status = open_get_u64(replica->txn, MSY_META_COLLECTION_NEXT, &collection_next);
    }
    if (status == MESHSYNC_OK) {
        status = open_get_u64(replica->txn, MSY_META_SPACE_NEXT, &space_next);
    }
    if (status == MESHSYNC_OK) {
        status = open_get_u64(replica->txn, MSY_META_LSN, &lsn);
    }
    if (status == MESHSYNC_OK) {
        status = msy_history_last_lsn(replica->txn, &replica->lsn_last);
    }
    replica->lsn_last = lsn > replica->lsn_last ? lsn : replica->lsn_last;
    replica->collection_next = (uint32_t)collection_next;
    replica->space_next = (uint32_t)space_next;
    while (status == MESHSYNC_OK) {
        status = msy_history_next_space(replica->txn, &number, &row);
        if (status == MESHSYNC_OK) {
            status = open_space(replica, number, &row);
        }
    }
    replica->numbers_dirty = false;
    if (status != MESHSYNC_E_END) {
        return status;
    }
    status = msy_store_get_stats(replica->store, &stats);
    replica->kills_count = stats.entries[MSY_TABLE_KILLS];
    return status;
}

static meshsync_status open_memory(struct msy_replica *replica)
{
    uint8_t key[16];
    replica->entropy.fill(replica->entropy.user, key, sizeof key);
    msy_writeset_init(&replica->set, replica->alloc, key);
    replica->set.crew = replica->hasher.crew;
    msy_pending_init(&replica->pending, replica->alloc, key);
    msy_change_init(&replica->change, replica->alloc);
    msy_builder_init(&replica->builder, replica->alloc);
    msy_buf_init(&replica->hashes, replica->alloc, CHANGE_BUF_BYTES_MAX);
    msy_buf_init(&replica->record, replica->alloc, CHANGE_BUF_BYTES_MAX);
    msy_vector_init(&replica->scratch_vector, replica->alloc);
    msy_leaf_init(&replica->scratch_leaf, replica->alloc);
    msy_replica_effects_init(&replica->early, replica->alloc);
    replica->refs = (struct msy_ref_slot *)msy_new_array(replica->alloc, MSY_REF_CACHE_SLOTS,
                                                         sizeof *replica->refs);
    replica->devices = (struct msy_device_slot *)msy_new_array(
        replica->alloc, MSY_DEVICE_CACHE_SLOTS, sizeof *replica->devices);
    replica->members = (struct msy_member_slot *)msy_new_array(
        replica->alloc, MSY_DEVICE_CACHE_SLOTS, sizeof *replica->members);
    return replica->refs != NULL && replica->devices != NULL && replica->members != NULL
               ? MESHSYNC_OK
               : MESHSYNC_E_NO_MEMORY;
}

static meshsync_status open_tables(struct msy_replica *replica, meshsync_error *error)
{
    bool fresh = false;
    meshsync_status status = msy_store_begin(replica->store, MSY_TXN_WRITE, &replica->txn);
    if (status != MESHSYNC_OK) {
        return msy_fail(error, status, "the store cannot be written");
    }
    status = open_check(replica, &fresh, error);
    if (status == MESHSYNC_OK && fresh) {
        status = open_new_store(replica);
    }
    if (status == MESHSYNC_OK) {
        status = open_load(replica);
        if (status != MESHSYNC_OK) {
            (void)msy_fail(error, status, "the store's records of spaces cannot be read");
        }
    }
    if (status == MESHSYNC_OK && fresh) {
        status = msy_store_commit(replica->txn);
        if (status != MESHSYNC_OK) {
            (void)msy_fail(error, status, "the new store cannot be written");
        }
    } else {
        msy_store_abort(replica->txn);
    }
    replica->txn = NULL;
    return status;
}

/* Before anything is read of a store that was not closed in order: the whole log, and the state
 * that follows from it. Without memory for that the store is opened unchecked, as a large one. */
static meshsync_status open_mend(struct msy_replica *replica, uint64_t entries_max,
                                 meshsync_error *error)
{
    struct msy_store_stats stats;
    struct msy_store_txn *txn = NULL;
    uint64_t mended = 0;
    meshsync_status status = msy_store_get_stats(replica->store, &stats);
    if (status != MESHSYNC_OK) {
        return msy_fail(error, status, "the store's tables cannot be counted");
    }
    if (stats.entries[MSY_TABLE_LOG] + stats.entries[MSY_TABLE_STATE] > entries_max) {
        return MESHSYNC_OK;
    }
    status = msy_store_begin(replica->store, MSY_TXN_WRITE, &txn);
    if (status != MESHSYNC_OK) {
        return msy_fail(error, status, "the store cannot be written");
    }
    msy_store_use_reserve(txn);
    status = msy_verify_opening(replica->alloc, txn, &mended, error);
    if (status == MESHSYNC_OK && mended > 0) {
        status = msy_store_commit(txn);
        msy_log_write(replica->log, MSY_LOG_WARN, "replica",
                      "%llu records of the state were damaged and made anew from the log",
                      (unsigned long long)mended);
    } else {
        msy_store_abort(txn);
    }
    replica->stats.alarms += mended;
    return status == MESHSYNC_E_NO_MEMORY ? MESHSYNC_OK : status;
}

meshsync_status msy_replica_open(const struct msy_replica_options *options, uint64_t now_ms,
                                 struct msy_replica **out, meshsync_error *error)
{
    *out = NULL;
    struct msy_replica *replica = (struct msy_replica *)msy_new(options->alloc, sizeof *replica);
    if (replica == NULL) {
        return msy_fail(error, MESHSYNC_E_NO_MEMORY, "no memory for the replica");
    }
    replica->alloc = options->alloc;
    replica->store = options->store;
    replica->identity = options->identity;
    replica->entropy = options->entropy;
    replica->log = options->log;
    replica->clock_ahead_ms_max = options->clock_ahead_ms_max;
    replica->verified = options->verified;
    replica->hasher.hash = msy_hash;
    replica->hasher.stream = msy_stream;
    replica->hasher.crew = options->crew;
    replica->now_ms = now_ms;
    replica->assertions = msy_assert_failures();
    meshsync_status status = open_memory(replica);
    if (status != MESHSYNC_OK) {
        (void)msy_fail(error, status, "no memory for the replica");
    } else if (options->check_entries_max > 0) {
        status = open_mend(replica, options->check_entries_max, error);
    }
    if (status == MESHSYNC_OK) {
        status = open_tables(replica, error);
    }
    if (status != MESHSYNC_OK) {
        msy_replica_close(replica);
        return status;
    }
    *out = replica;
    return MESHSYNC_OK;
}

void msy_replica_close(struct msy_replica *replica)
{
    if (replica == NULL) {
        return;
    }
    struct msy_alloc *alloc = replica->alloc;
    for (uint32_t i = 0; i < replica->spaces_count; i++) {
        struct msy_space_state *space = &replica->spaces[i];
        msy_vector_fini(&space->heads);
        msy_free(alloc, space->collections, space->collections_cap * sizeof *space->collections);
        msy_wipe(&space->row, sizeof space->row);
    }
    msy_free(alloc, replica->spaces, replica->spaces_cap * sizeof *replica->spaces);
    msy_writeset_fini(&replica->set);
    msy_pending_fini(&replica->pending);
    msy_change_fini(&replica->change);
    msy_builder_fini(&replica->builder);
    msy_buf_fini(&replica->hashes);
    msy_buf_fini(&replica->record);
    msy_vector_fini(&replica->scratch_vector);
    msy_leaf_fini(&replica->scratch_leaf);
    msy_replica_effects_fini(&replica->early);
    msy_free(alloc, replica->added, replica->added_cap * sizeof *replica->added);
    msy_free(alloc, replica->previous, replica->previous_cap * sizeof *replica->previous);
    msy_free(alloc, replica->refs, MSY_REF_CACHE_SLOTS * sizeof *replica->refs);
    msy_free(alloc, replica->devices, MSY_DEVICE_CACHE_SLOTS * sizeof *replica->devices);
    msy_free(alloc, replica->members, MSY_DEVICE_CACHE_SLOTS * sizeof *replica->members);
    msy_free(alloc, replica, sizeof *replica);
}
