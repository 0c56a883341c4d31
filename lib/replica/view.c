/* SPDX-License-Identifier: Apache-2.0 */
/* Showing one path: siblings, their order, the collection's view over them, the context. */
#include "replica/view.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/path.h"
#include "replica/control.h"
#include "store/history.h"
#include "wire/value.h"

#define VIEW_OWN_NUMBER_FIRST UINT32_C(0x80000000)

enum { VIEW_SCRATCH_BYTES_MAX = 64u << 20, CONTEXT_BYTES_MAX = 1u << 20, MERGE_ROOM = 4096 };

meshsync_status msy_view_init(struct msy_view *view, struct msy_alloc *alloc,
                              struct msy_store_txn *txn, struct msy_store_txn *over, uint32_t space,
                              const struct msy_merge_port *merge)
{
    meshsync_bytes id;
    memset(view, 0, sizeof *view);
    view->alloc = alloc;
    view->txn = txn;
    view->over = over;
    view->space = space;
    if (merge != NULL) {
        view->merge = *merge;
    }
    msy_leaf_init(&view->leaf, alloc);
    msy_buf_init(&view->context, alloc, CONTEXT_BYTES_MAX);
    msy_buf_init(&view->scratch, alloc, VIEW_SCRATCH_BYTES_MAX);
    meshsync_status status =
        msy_store_get(txn, MSY_TABLE_META, msy_key_name(MSY_META_STORE_ID), &id);
    if (status == MESHSYNC_OK && id.len == sizeof view->store_id) {
        memcpy(view->store_id, id.data, sizeof view->store_id);
        return MESHSYNC_OK;
    }
    return status == MESHSYNC_OK || status == MESHSYNC_E_NOT_FOUND ? MESHSYNC_E_STORE_CORRUPT
                                                                   : status;
}

void msy_view_fini(struct msy_view *view)
{
    msy_leaf_fini(&view->leaf);
    msy_buf_fini(&view->context);
    msy_buf_fini(&view->scratch);
    msy_free(view->alloc, view->order, view->order_cap * sizeof *view->order);
    view->order = NULL;
    view->order_cap = 0;
}

/* Nothing is at key. Was there something, and its key was damaged? Keys are in order, so it would
 * stand beside the place where it was looked for, and its checksum covers its key. */
static meshsync_status view_absent(struct msy_view *view, meshsync_bytes key)
{
    struct msy_store_iter *iter = NULL;
    meshsync_bytes beside;
    meshsync_bytes value;
    bool good = true;
    meshsync_status status = msy_store_iter_open(view->txn, MSY_TABLE_STATE, &iter);
    if (status != MESHSYNC_OK) {
        return status;
    }
    status = msy_store_seek(iter, key, &beside, &value);
    if (status == MESHSYNC_OK) {
        good = msy_leaf_intact(beside, value);
    }
    if (status == MESHSYNC_OK || status == MESHSYNC_E_END) {
        status = msy_store_seek_before(iter, key, &beside, &value);
    }
    if (status == MESHSYNC_OK) {
        good = good && msy_leaf_intact(beside, value);
    }
    msy_store_iter_close(iter);
    if (status == MESHSYNC_OK || status == MESHSYNC_E_END) {
        return good ? MESHSYNC_E_NOT_FOUND : MESHSYNC_E_STORE_CORRUPT;
    }
    return status;
}

meshsync_status msy_view_value(struct msy_view *view, meshsync_bytes key, meshsync_bytes *value)
{
    if (view->over != NULL) {
        meshsync_status status = msy_store_get(view->over, MSY_TABLE_STATE, key, value);
        if (status != MESHSYNC_E_NOT_FOUND) {
            return status;
        }
    }
    meshsync_status status = msy_store_get(view->txn, MSY_TABLE_STATE, key, value);
    return status == MESHSYNC_E_NOT_FOUND && view->over == NULL ? view_absent(view, key) : status;
}

/* A collection without number, because nothing was written to it yet, gets one among the own
 * writes, far from those of the store: two such collections must not share their paths. */
static meshsync_status view_own_number(struct msy_view *view, meshsync_bytes name)
{
    uint8_t key[5 + MESHSYNC_NAME_BYTES_MAX];
    uint8_t number_key[9];
    uint8_t value[4];
    struct msy_store_iter *iter = NULL;
    meshsync_bytes last;
    meshsync_bytes last_name;
    uint32_t number = VIEW_OWN_NUMBER_FIRST;
    meshsync_status status =
        msy_control_number(view->over, view->space, name, &view->schema.collection);
    if (status != MESHSYNC_E_NOT_FOUND) {
        return status;
    }
    status = msy_store_iter_open(view->over, MSY_TABLE_NAMES, &iter);
    if (status != MESHSYNC_OK) {
        return status;
    }
    status = msy_store_seek_before(
        iter, msy_key_collection_number(number_key, view->space, UINT32_MAX), &last, &last_name);
    if (status == MESHSYNC_OK && last.len == sizeof number_key && last.data[4] == 1) {
        number = msy_get_be32(last.data + 5) + 1;
    }
    msy_store_iter_close(iter);
    if (status != MESHSYNC_OK && status != MESHSYNC_E_END) {
        return status;
    }
    msy_put_be32(value, number);
    status = msy_store_put(view->over, MSY_TABLE_NAMES, msy_key_collection(key, view->space, name),
                           msy_bytes(value, sizeof value), MSY_PUT_ANY);
    if (status == MESHSYNC_OK) {
        status = msy_store_put(view->over, MSY_TABLE_NAMES,
                               msy_key_collection_number(number_key, view->space, number), name,
                               MSY_PUT_ANY);
    }
    view->schema.collection = number;
    return status;
}

meshsync_status msy_view_schema(struct msy_view *view, meshsync_bytes collection,
                                meshsync_error *error)
{
    if (view->schema_known && msy_bytes_equal(collection, msy_key_name(view->schema.name))) {
        return MESHSYNC_OK;
    }
    view->schema_known = false;
    meshsync_status status = msy_schema_find(view->txn, view->space, collection, &view->schema);
    if (status == MESHSYNC_OK && view->over != NULL && view->schema.collection == 0) {
        status = view_own_number(view, collection);
    }
    if (status == MESHSYNC_OK) {
        view->schema_known = true;
        return MESHSYNC_OK;
    }
    return status == MESHSYNC_E_NOT_FOUND
               ? msy_fail(error, status, "there is no collection \"%.*s\"", (int)collection.len,
                          (const char *)collection.data)
               : msy_fail(error, status, "the collection's schema cannot be read");
}

/* ---- Siblings ---- */

static meshsync_status view_room(struct msy_view *view, uint32_t count)
{
    if (count <= view->order_cap) {
        return MESHSYNC_OK;
    }
    struct msy_sibling_order *grown = (struct msy_sibling_order *)msy_resize(
        view->alloc, view->order, view->order_cap * sizeof *grown, count * sizeof *grown);
    if (grown == NULL) {
        return MESHSYNC_E_NO_MEMORY;
    }
    view->order = grown;
    view->order_cap = count;
    return MESHSYNC_OK;
}

/* What the record of this number says of its change. That it is this number's and no other's is
 * seen in the index: a checksum over the whole record would cost as much as its change is long. */
static meshsync_status view_header(struct msy_view *view, uint64_t lsn)
{
    struct msy_record record;
    uint64_t indexed = 0;
    meshsync_status status = msy_history_record_raw(view->txn, lsn, &record);
    if (status == MESHSYNC_OK) {
        status = msy_control_header(&record, &view->header);
    }
    if (status == MESHSYNC_OK) {
        status = msy_history_find(view->txn, view->space, &view->header.actor, view->header.seq,
                                  record.hash, &indexed);
    }
    if (status == MESHSYNC_OK && indexed != lsn) {
        status = MESHSYNC_E_STORE_CORRUPT;
    }
    return status == MESHSYNC_E_NOT_FOUND ? MESHSYNC_E_STORE_CORRUPT : status;
}

/* The kind that a read shows where several live at one path. */
static uint32_t view_kind(const struct msy_leaf *leaf)
{
    static const uint32_t precedence[] = {MSY_OP_VALUE, MSY_OP_ADD, MSY_OP_MEMBER, MSY_OP_MARKER};
    for (size_t k = 0; k < sizeof precedence / sizeof precedence[0]; k++) {
        if (precedence[k] == MSY_OP_ADD && leaf->has_counter) {
            struct msy_leaf counter = *leaf;
            counter.entries_count = 0;
            if (!msy_leaf_empty(&counter)) {
                return MSY_OP_ADD;
            }
        }
        for (uint32_t i = 0; i < leaf->entries_count; i++) {
            if (leaf->entries[i].kind == precedence[k]) {
                return precedence[k];
            }
        }
    }
    return leaf->entries_count > 0 ? leaf->entries[0].kind : MSY_OP_ERASE;
}

static int view_order(const void *a, const void *b)
{
    return msy_sibling_compare((const struct msy_sibling_order *)a,
                               (const struct msy_sibling_order *)b);
}

/* Ascending (HLC, actor, seq, index) of the entries of the shown kind. Own uncommitted writes have
 * no stamp yet and come last. */
static meshsync_status view_sort(struct msy_view *view, uint32_t kind)
{
    uint32_t count = 0;
    meshsync_status status = view_room(view, view->leaf.entries_count);
    for (uint32_t i = 0; i < view->leaf.entries_count && status == MESHSYNC_OK; i++) {
        const struct msy_leaf_entry *entry = &view->leaf.entries[i];
        struct msy_sibling_order *order = &view->order[count];
        if (entry->kind != kind) {
            continue;
        }
        memset(order, 0, sizeof *order);
        order->index = entry->index;
        order->entry = i;
        order->hlc = UINT64_MAX;
        if (entry->lsn != UINT64_MAX) {
            status = view_header(view, entry->lsn);
            order->hlc = view->header.hlc;
            order->actor = view->header.actor;
            order->seq = view->header.seq;
        }
        count++;
    }
    if (status == MESHSYNC_OK && count > 1) {
        qsort(view->order, count, sizeof *view->order, view_order);
    }
    view->siblings_count = count;
    view->ordered = status == MESHSYNC_OK;
    return status;
}

static meshsync_status view_entry_value(struct msy_view *view, uint32_t entry,
                                        meshsync_value *value)
{
    meshsync_bytes payload;
    meshsync_status status = msy_control_payload(view->txn, &view->leaf.entries[entry], &payload);
    if (status == MESHSYNC_OK) {
        msy_value_decode(payload, value);
    }
    return status;
}

static meshsync_status view_extreme(struct msy_view *view, bool greatest, meshsync_value *value)
{
    meshsync_status status = view_entry_value(view, view->order[0].entry, value);
    for (uint32_t i = 1; i < view->siblings_count && status == MESHSYNC_OK; i++) {
        meshsync_value other;
        status = view_entry_value(view, view->order[i].entry, &other);
        if (status == MESHSYNC_OK) {
            int order = msy_value_compare(&other, value);
            if (greatest ? order >= 0 : order <= 0) {
                *value = other; /* Equal: the later one. */
            }
        }
    }
    return status;
}

static meshsync_status view_sibling_fill(struct msy_view *view, uint32_t index,
                                         meshsync_sibling *sibling)
{
    const struct msy_sibling_order *order = &view->order[index];
    const struct msy_leaf_entry *entry = &view->leaf.entries[order->entry];
    uint64_t first_lsn = 0;
    memset(sibling, 0, sizeof *sibling);
    meshsync_status status = view_entry_value(view, order->entry, &sibling->value);
    sibling->hlc = order->hlc;
    sibling->seq = order->seq;
    sibling->lsn = entry->lsn;
    memcpy(sibling->actor, order->actor.id, sizeof sibling->actor);
    if (status == MESHSYNC_OK && entry->lsn != UINT64_MAX) {
        /* The device stands in the actor's first change. */
        status = msy_history_find(view->txn, view->space, &order->actor, 1, NULL, &first_lsn);
        if (status == MESHSYNC_OK) {
            status = view_header(view, first_lsn);
        }
        if (status == MESHSYNC_OK &&
            (view->header.seq != 1 || !msy_actor_equal(&view->header.actor, &order->actor))) {
            status = MESHSYNC_E_STORE_CORRUPT;
        }
        if (status == MESHSYNC_OK) {
            memcpy(sibling->device, view->header.device, sizeof sibling->device);
        }
        status = status == MESHSYNC_E_NOT_FOUND ? MESHSYNC_E_STORE_CORRUPT : status;
    }
    return status;
}

/* The application's function over all siblings; anything wrong with it shows the last writer. */
static meshsync_status view_custom(struct msy_view *view, meshsync_value *value)
{
    void *user = NULL;
    meshsync_merge_fn merge = NULL;
    size_t bytes = MERGE_ROOM;
    meshsync_merge_out out;
    if (view->merge.find != NULL) {
        merge = view->merge.find(view->merge.user, view->schema.merge_name,
                                 view->schema.merge_version, &user);
    }
    meshsync_status status =
        view_entry_value(view, view->order[view->siblings_count - 1].entry, value);
    if (status != MESHSYNC_OK || merge == NULL) {
        return status;
    }
    meshsync_sibling *siblings =
        (meshsync_sibling *)msy_new_array(view->alloc, view->siblings_count, sizeof *siblings);
    if (siblings == NULL) {
        return MESHSYNC_E_NO_MEMORY;
    }
    for (uint32_t i = 0; i < view->siblings_count && status == MESHSYNC_OK; i++) {
        status = view_sibling_fill(view, i, &siblings[i]);
        bytes += siblings[i].value.bytes.len;
    }
    msy_buf_reset(&view->scratch);
    if (status == MESHSYNC_OK) {
        status = msy_buf_reserve(&view->scratch, bytes);
    }
    if (status == MESHSYNC_OK) {
        memset(&out, 0, sizeof out);
        out.scratch = view->scratch.data;
        out.scratch_len = bytes;
        if (merge(user, siblings, view->siblings_count, &out) == 0) {
            *value = out.value;
        }
    }
    msy_free(view->alloc, siblings, view->siblings_count * sizeof *siblings);
    return status;
}

static meshsync_status view_choose(struct msy_view *view, uint32_t kind, meshsync_value *value)
{
    uint32_t count = 0;
    uint32_t only = 0;
    for (uint32_t i = 0; i < view->leaf.entries_count; i++) {
        if (view->leaf.entries[i].kind == kind) {
            only = i;
            count++;
        }
    }
    view->siblings_count = count;
    if (count == 1 && view->schema.view != MESHSYNC_VIEW_CUSTOM) {
        return view_entry_value(view, only, value); /* No sibling, no order: no look at the log. */
    }
    meshsync_status status = view_sort(view, kind);
    if (status != MESHSYNC_OK) {
        return status;
    }
    switch (view->schema.view) {
    case MESHSYNC_VIEW_MAX:
    case MESHSYNC_VIEW_MIN:
        return view_extreme(view, view->schema.view == MESHSYNC_VIEW_MAX, value);
    case MESHSYNC_VIEW_CUSTOM: return view_custom(view, value);
    default: /* LWW, MV, and views of later versions. */
        return view_entry_value(view, view->order[view->siblings_count - 1].entry, value);
    }
}

static meshsync_status view_context(struct msy_view *view)
{
    struct msy_buf *context = &view->context;
    size_t most =
        1 + sizeof view->store_id + (size_t)view->leaf.entries_count * 2 * MSY_VARINT_BYTES_MAX;
    msy_buf_reset(context);
    meshsync_status status = msy_buf_reserve(context, most);
    if (status != MESHSYNC_OK) {
        return status;
    }
    uint8_t *at = context->data;
    *at++ = 1;
    memcpy(at, view->store_id, 8);
    at += 8;
    for (uint32_t i = 0; i < view->leaf.entries_count; i++) {
        const struct msy_leaf_entry *entry = &view->leaf.entries[i];
        if (entry->lsn != UINT64_MAX) { /* An own write that is not committed has no name yet. */
            at += msy_put_varint(at, entry->lsn);
            at += msy_put_varint(at, entry->index);
        }
    }
    context->len = (size_t)(at - context->data);
    return MESHSYNC_OK;
}

meshsync_status msy_view_show(struct msy_view *view, meshsync_entry *entry, meshsync_error *error)
{
    uint32_t kind = view_kind(&view->leaf);
    memset(entry, 0, sizeof *entry);
    view->ordered = false;
    view->siblings_count = 0;
    entry->key =
        msy_bytes(view->key + MSY_STATE_PREFIX_BYTES, view->key_len - MSY_STATE_PREFIX_BYTES);
    meshsync_status status = view_context(view);
    if (status != MESHSYNC_OK) {
        return msy_fail(error, status, "no memory for the context");
    }
    entry->context = msy_buf_bytes(&view->context);
    switch (kind) {
    case MSY_OP_ERASE: return MESHSYNC_E_NOT_FOUND;
    case MSY_OP_ADD:
        entry->kind = 1;
        entry->value.type = MESHSYNC_VALUE_INT;
        entry->value.integer = msy_leaf_sum(&view->leaf);
        return MESHSYNC_OK;
    case MSY_OP_MEMBER: entry->kind = 2; break;
    case MSY_OP_MARKER: entry->kind = 3; break;
    default:
        status = view_choose(view, kind, &entry->value);
        entry->siblings_count = view->siblings_count;
        if (kind != MSY_OP_VALUE) {
            entry->value.type = MESHSYNC_VALUE_OPAQUE;
        }
        break;
    }
    return status == MESHSYNC_OK ? status
                                 : msy_fail(error, status, "a stored value cannot be read");
}

static meshsync_status view_load(struct msy_view *view, meshsync_bytes key, meshsync_error *error)
{
    meshsync_bytes value;
    memmove(view->key, key.data, key.len);
    view->key_len = key.len;
    meshsync_status status = msy_view_value(view, key, &value);
    if (status == MESHSYNC_E_NOT_FOUND) {
        msy_leaf_reset(&view->leaf);
        return MESHSYNC_OK;
    }
    if (status == MESHSYNC_OK) {
        status = msy_leaf_read(&view->leaf, key, value);
    }
    return status == MESHSYNC_OK ? status
                                 : msy_fail(error, status, "the record at the path is damaged");
}

meshsync_status msy_view_get(struct msy_view *view, meshsync_bytes collection, meshsync_bytes path,
                             meshsync_entry *entry, meshsync_error *error)
{
    uint8_t bytes[MSY_KEY_BYTES_MAX];
    bool below = false;
    memset(entry, 0, sizeof *entry);
    meshsync_status status = msy_view_schema(view, collection, error);
    if (status != MESHSYNC_OK) {
        return status;
    }
    if (!msy_path_valid(path)) {
        return msy_fail(error, MESHSYNC_E_INVALID, "the path is malformed or too long");
    }
    meshsync_bytes key = msy_key_state(bytes, view->space, view->schema.collection, path);
    status = view_load(view, key, error);
    if (status == MESHSYNC_OK) {
        status = msy_view_show(view, entry, error);
    }
    if (status == MESHSYNC_E_NOT_FOUND &&
        (view->schema.type == MESHSYNC_SET || view->schema.type == MESHSYNC_MAP)) {
        status = msy_view_below(view, msy_bytes(view->key, view->key_len), &below);
        if (status == MESHSYNC_OK && below) {
            entry->kind = 3;
            return MESHSYNC_OK;
        }
        status = status == MESHSYNC_OK ? MESHSYNC_E_NOT_FOUND : status;
    }
    return status == MESHSYNC_E_NOT_FOUND ? msy_fail(error, status, "nothing lives at the path")
                                          : status;
}

meshsync_status msy_view_sibling(struct msy_view *view, uint32_t index, meshsync_sibling *sibling,
                                 meshsync_error *error)
{
    meshsync_status status = MESHSYNC_OK;
    if (!view->ordered) {
        uint32_t kind = view_kind(&view->leaf);
        if (kind == MSY_OP_ERASE || kind == MSY_OP_ADD) {
            return MESHSYNC_E_END;
        }
        status = view_sort(view, kind);
    }
    if (status == MESHSYNC_OK && index >= view->siblings_count) {
        return MESHSYNC_E_END;
    }
    if (status == MESHSYNC_OK) {
        status = view_sibling_fill(view, index, sibling);
    }
    return status == MESHSYNC_OK ? status : msy_fail(error, status, "a sibling cannot be read");
}

meshsync_status msy_view_contains(struct msy_view *view, meshsync_bytes collection,
                                  meshsync_bytes path, meshsync_error *error)
{
    uint8_t bytes[MSY_KEY_BYTES_MAX];
    meshsync_status status = msy_view_schema(view, collection, error);
    if (status != MESHSYNC_OK) {
        return status;
    }
    if (!msy_path_valid(path)) {
        return msy_fail(error, MESHSYNC_E_INVALID, "the path is malformed or too long");
    }
    status =
        view_load(view, msy_key_state(bytes, view->space, view->schema.collection, path), error);
    if (status != MESHSYNC_OK) {
        return status;
    }
    for (uint32_t i = 0; i < view->leaf.entries_count; i++) {
        if (view->leaf.entries[i].kind == MSY_OP_MEMBER) {
            return MESHSYNC_OK;
        }
    }
    return MESHSYNC_E_NOT_FOUND;
}
