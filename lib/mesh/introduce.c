/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Introductions (docs/protocol.md, section 5). Two members who each joined while the other was away
 * do not know each other. A member that is not let in therefore shows the change by which it
 * joined: it names no causes and proves itself, so that the other's replica can take it in.
 */
#include <string.h>

#include "mesh/machine.h"

/* Epochs that are walked back to the change by which this device joined. */
enum { INTRODUCE_EPOCHS_MAX = 1 << 16, INTRODUCE_BYTES_MAX = 64 << 10 };

/* The actor of the first epoch of this device that is here. E_NOT_FOUND. */
static meshsync_status introduce_root(const struct msy_mesh *mesh, struct msy_store_txn *txn,
                                      const struct msy_mesh_space *space, struct msy_actor *root)
{
    for (uint32_t i = 0; i < space->vector.count; i++) {
        struct msy_tip at = space->vector.tips[i];
        for (uint32_t k = 0; k < INTRODUCE_EPOCHS_MAX; k++) {
            struct msy_epoch epoch;
            meshsync_status status = msy_history_epoch(txn, space->number, &at.actor, &epoch);
            if (status != MESHSYNC_OK) {
                return status == MESHSYNC_E_NOT_FOUND ? MESHSYNC_E_STORE_CORRUPT : status;
            }
            if (memcmp(epoch.device, mesh->device, sizeof epoch.device) != 0) {
                break;
            }
            if (!epoch.has_predecessor) {
                *root = at.actor;
                return MESHSYNC_OK;
            }
            at = epoch.predecessor;
        }
    }
    return MESHSYNC_E_NOT_FOUND;
}

meshsync_status msy_introduce_send(struct msy_mesh *mesh, struct msy_store_txn *txn,
                                   struct msy_mesh_link *link, struct msy_channel *channel,
                                   struct msy_mesh_space *space)
{
    struct msy_actor root;
    struct msy_record record;
    uint64_t lsn = 0;
    if (channel->introduced || !channel->has_ours) {
        return MESHSYNC_OK;
    }
    channel->introduced = true;
    meshsync_status status = msy_space_vector(mesh, txn, space);
    if (status == MESHSYNC_OK) {
        status = introduce_root(mesh, txn, space, &root);
    }
    if (status == MESHSYNC_OK) {
        status = msy_history_find(txn, space->number, &root, 1, NULL, &lsn);
    }
    if (status == MESHSYNC_OK) {
        status = msy_history_record(txn, lsn, &record);
    }
    if (status == MESHSYNC_OK) {
        const struct msy_tip first = {.actor = root, .seq = 1};
        status = msy_serve_check(mesh, &record, &first);
    }
    if (status == MESHSYNC_OK && record.change.len <= INTRODUCE_BYTES_MAX) {
        status = msy_push_put(link, channel, MSY_CHANGES_INTRODUCTION, record.change);
    }
    return status == MESHSYNC_E_NOT_FOUND ? MESHSYNC_OK : status;
}

meshsync_status msy_introduce_on(struct msy_mesh *mesh, const struct msy_mesh_link *link,
                                 struct msy_channel *channel, const struct msy_mesh_space *space,
                                 meshsync_bytes list, bool *news)
{
    struct msy_change_header *header = &mesh->header;
    struct msy_cursor cursor;
    meshsync_bytes change;
    meshsync_bytes header_bytes;
    meshsync_bytes body;
    const uint8_t *signature = NULL;
    struct msy_store_txn *txn = NULL;
    uint64_t lsn = 0;
    *news = false;
    msy_cursor_init(&cursor, list);
    if (!msy_changes_next(&cursor, &change) || msy_cursor_left(&cursor) != 0 ||
        change.len > INTRODUCE_BYTES_MAX ||
        msy_change_parse_header(change, header, &header_bytes, &signature, &body) != MESHSYNC_OK ||
        header->seq != 1 || header->has_predecessor || header->heads_count != 0 ||
        memcmp(header->space, space->id, sizeof space->id) != 0 ||
        memcmp(header->device, link->device, sizeof link->device) != 0) {
        return MESHSYNC_E_PROTOCOL;
    }
    if (channel->heard_introduction || msy_channel_is(channel, MSY_WAY_OUT)) {
        return MESHSYNC_OK; /* Once is enough, and for who is let in it is too much. */
    }
    channel->heard_introduction = true;
    meshsync_status status = msy_store_begin(mesh->store, MSY_TXN_READ, &txn);
    if (status == MESHSYNC_OK) {
        status = msy_history_find(txn, space->number, &header->actor, 1, NULL, &lsn);
    }
    msy_store_abort(txn);
    *news = status == MESHSYNC_E_NOT_FOUND;
    return *news ? MESHSYNC_OK : status;
}
