/* SPDX-License-Identifier: Apache-2.0 */
/* The change feed: the log, op by op, as events. */
#include "base/error.h"
#include "base/path.h"
#include "replica/control.h"
#include "replica/read.h"
#include "secure/crypto.h"
#include "store/history.h"
#include "wire/msgpack_check.h"
#include "wire/value.h"

enum { CURSOR_BYTES = 8 + 4 + 8 + 4, CURSOR_STORE_BYTES = 8 };

static void feed_cursor(const struct msy_feed_reader *feed, uint64_t lsn, uint32_t op,
                        meshsync_cursor *cursor)
{
    memset(cursor, 0, sizeof *cursor);
    cursor->len = CURSOR_BYTES;
    memcpy(cursor->bytes, feed->store_id, CURSOR_STORE_BYTES);
    msy_put_be32(cursor->bytes + 8, feed->space);
    msy_put_be64(cursor->bytes + 12, lsn);
    msy_put_be32(cursor->bytes + 20, op);
}

static meshsync_status feed_from(struct msy_feed_reader *feed, struct msy_store_txn *txn,
                                 const meshsync_feed_options *options, meshsync_error *error)
{
    const meshsync_cursor *from = &options->from;
    uint64_t last = 0;
    meshsync_status status = msy_history_last_lsn(txn, &last);
    if (status != MESHSYNC_OK) {
        return msy_fail(error, status, "the log cannot be read");
    }
    feed->next_lsn = options->from_now != 0 ? last + 1 : 1;
    if (from->len == 0) {
        return MESHSYNC_OK;
    }
    if (from->len != CURSOR_BYTES) {
        return msy_fail(error, MESHSYNC_E_INVALID, "the cursor is malformed");
    }
    if (memcmp(from->bytes, feed->store_id, CURSOR_STORE_BYTES) != 0) {
        return msy_fail(error, MESHSYNC_E_INVALID, "the cursor is of another store");
    }
    if (msy_get_be32(from->bytes + 8) != feed->space) {
        return msy_fail(error, MESHSYNC_E_INVALID, "the cursor is of another space");
    }
    feed->next_lsn = msy_get_be64(from->bytes + 12);
    feed->next_op = msy_get_be32(from->bytes + 20);
    if (feed->next_lsn > last + 1) {
        return msy_fail(error, MESHSYNC_E_INVALID, "the cursor is ahead of this store");
    }
    return MESHSYNC_OK;
}

meshsync_status msy_feed_init(struct msy_feed_reader *feed, struct msy_alloc *alloc,
                              struct msy_store_txn *txn, uint32_t space,
                              const meshsync_feed_options *options, meshsync_error *error)
{
    meshsync_feed_options all = {.size = sizeof all};
    meshsync_bytes id;
    memset(feed, 0, sizeof *feed);
    options = options == NULL ? &all : options;
    feed->alloc = alloc;
    feed->space = space;
    feed->control = options->control != 0;
    msy_buf_init(&feed->copy, alloc, MSY_CHANGE_BYTES_MAX);
    msy_buf_init(&feed->hashes, alloc, (size_t)MSY_CHANGE_OPS_MAX * MSY_CHANGE_HASH_BYTES);
    if (options->collection != NULL) {
        if (strlen(options->collection) > MESHSYNC_NAME_BYTES_MAX) {
            return msy_fail(error, MESHSYNC_E_LIMIT, "the collection's name is too long");
        }
        memcpy(feed->collection, options->collection, strlen(options->collection));
    }
    meshsync_status status =
        msy_store_get(txn, MSY_TABLE_META, msy_key_name(MSY_META_STORE_ID), &id);
    if (status == MESHSYNC_E_NOT_FOUND ||
        (status == MESHSYNC_OK && id.len != sizeof feed->store_id)) {
        status = MESHSYNC_E_STORE_CORRUPT;
    }
    if (status != MESHSYNC_OK) {
        return msy_fail(error, status, "the store's id cannot be read");
    }
    memcpy(feed->store_id, id.data, sizeof feed->store_id);
    feed->change = (struct msy_change *)msy_new(alloc, sizeof *feed->change);
    if (feed->change == NULL) {
        return msy_fail(error, MESHSYNC_E_NO_MEMORY, "no memory for the feed");
    }
    msy_change_init(feed->change, alloc);
    return feed_from(feed, txn, options, error);
}

void msy_feed_fini(struct msy_feed_reader *feed)
{
    if (feed->change != NULL) {
        msy_change_fini(feed->change);
        msy_free(feed->alloc, feed->change, sizeof *feed->change);
        feed->change = NULL;
    }
    msy_buf_fini(&feed->copy);
    msy_buf_fini(&feed->hashes);
}

static const struct msy_hasher feed_hasher = {.hash = msy_hash, .stream = msy_stream};

/* The next change of the space, parsed from a copy of its bytes. E_END. */
static meshsync_status feed_load(struct msy_feed_reader *feed, struct msy_store_txn *txn)
{
    struct msy_record record;
    struct msy_epoch epoch;
    for (;;) {
        uint64_t lsn = feed->next_lsn;
        meshsync_status status = msy_history_record_from(txn, &lsn, &record);
        if (status != MESHSYNC_OK) {
            return status;
        }
        if (lsn != feed->next_lsn) {
            feed->next_lsn = lsn;
            feed->next_op = 0;
        }
        if (record.space == feed->space) {
            break;
        }
        feed->next_lsn += 1;
        feed->next_op = 0;
    }
    msy_buf_reset(&feed->copy);
    meshsync_status status = msy_buf_append(&feed->copy, record.change.data, record.change.len);
    if (status != MESHSYNC_OK) {
        return status;
    }
    status = msy_change_parse(feed->change, msy_buf_bytes(&feed->copy), NULL);
    if (status == MESHSYNC_OK && !msy_record_sealed(&record)) {
        status = msy_change_check(&feed_hasher, feed->change, record.hash, &feed->hashes);
    }
    if (status != MESHSYNC_OK) {
        return status == MESHSYNC_E_NO_MEMORY ? status : MESHSYNC_E_STORE_CORRUPT;
    }
    status = msy_history_epoch(txn, feed->space, &feed->change->header.actor, &epoch);
    if (status != MESHSYNC_OK) { /* The first change of an actor comes before its others. */
        return status == MESHSYNC_E_NOT_FOUND ? MESHSYNC_E_STORE_CORRUPT : status;
    }
    memcpy(feed->device, epoch.device, sizeof feed->device);
    feed->local = (record.flags & MSY_RECORD_LOCAL) != 0;
    feed->parsed_lsn = feed->next_lsn;
    return MESHSYNC_OK;
}

static int32_t feed_type(uint32_t kind, bool control)
{
    if (control) {
        return MESHSYNC_EVENT_CONTROL;
    }
    switch (kind) {
    case MSY_OP_ERASE: return MESHSYNC_EVENT_DELETE;
    case MSY_OP_VALUE: return MESHSYNC_EVENT_PUT;
    case MSY_OP_ADD: return MESHSYNC_EVENT_ADD;
    case MSY_OP_RESET: return MESHSYNC_EVENT_RESET;
    case MSY_OP_MEMBER: return MESHSYNC_EVENT_SET_ADD;
    case MSY_OP_MARKER: return MESHSYNC_EVENT_TOUCH;
    case MSY_OP_CLEAR: return MESHSYNC_EVENT_CLEAR;
    default: return MESHSYNC_EVENT_OTHER;
    }
}

static bool feed_wants(const struct msy_feed_reader *feed, meshsync_bytes collection)
{
    if (collection.len == 0) {
        return feed->control;
    }
    return feed->collection[0] == '\0' ||
           msy_bytes_equal(collection, msy_key_name(feed->collection));
}

static meshsync_status feed_fill(struct msy_feed_reader *feed, uint32_t index,
                                 meshsync_event *event)
{
    const struct msy_change *change = feed->change;
    const struct msy_op *op = &change->ops[index];
    meshsync_bytes name = change->collections[op->collection];
    struct msy_tip tip = {.actor = change->header.actor, .seq = change->header.seq};
    memset(event, 0, sizeof *event);
    memset(feed->name, 0, sizeof feed->name);
    if (name.len > 0) {
        memcpy(feed->name, name.data, name.len);
    }
    event->size = sizeof *event;
    event->collection = feed->name;
    event->key = op->path;
    event->type = feed_type(op->kind, name.len == 0);
    msy_value_decode(op->payload, &event->value);
    event->hlc = change->header.hlc;
    event->lsn = feed->parsed_lsn;
    event->op_index = index;
    event->ops_count = change->ops_count;
    event->local = feed->local ? 1 : 0;
    memcpy(event->actor, tip.actor.id, sizeof event->actor);
    memcpy(event->device, feed->device, sizeof event->device);
    bool last = index + 1 == change->ops_count;
    feed_cursor(feed, last ? feed->parsed_lsn + 1 : feed->parsed_lsn, last ? 0 : index + 1,
                &event->cursor);
    return msy_token_make(&tip, 1, &event->version);
}

meshsync_status msy_feed_read(struct msy_feed_reader *feed, struct msy_store_txn *txn,
                              meshsync_event *event, meshsync_error *error)
{
    for (;;) {
        if (feed->parsed_lsn != feed->next_lsn) {
            meshsync_status status = feed_load(feed, txn);
            if (status == MESHSYNC_E_END) {
                return status;
            }
            if (status != MESHSYNC_OK) {
                return msy_fail(error, status, "a record of the log is damaged");
            }
        }
        const struct msy_change *change = feed->change;
        while (feed->next_op < change->ops_count) {
            uint32_t index = feed->next_op;
            feed->next_op += 1;
            if (feed_wants(feed, change->collections[change->ops[index].collection])) {
                return feed_fill(feed, index, event);
            }
        }
        feed->next_lsn += 1;
        feed->next_op = 0;
    }
}
