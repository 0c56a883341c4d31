/* SPDX-License-Identifier: Apache-2.0 */
#include "laws/show.h"

#include <stdio.h>
#include <string.h>

#include "wire/value.h"

static bool show_wrong(struct show *show, const char *what, meshsync_status status)
{
    (void)snprintf(show->words, sizeof show->words, "%s: %s", what, meshsync_status_name(status));
    return false;
}

bool show_open(struct show *show, struct msy_alloc *alloc, struct msy_store *store, uint32_t space,
               const struct model_collection *table, uint32_t table_count)
{
    struct msy_merge_port merge = {NULL, NULL};
    show->alloc = alloc;
    show->table = table;
    show->table_count = table_count;
    show->conflicts = 0;
    show->detail = MODEL_FULL;
    meshsync_status status = msy_store_begin(store, MSY_TXN_READ, &show->txn);
    if (status != MESHSYNC_OK) {
        return show_wrong(show, "a read transaction", status);
    }
    status = msy_view_init(&show->view, alloc, show->txn, NULL, space, &merge);
    if (status != MESHSYNC_OK) {
        msy_store_abort(show->txn);
        return show_wrong(show, "a view", status);
    }
    msy_buf_init(&show->value, alloc, 2 * MESHSYNC_VALUE_BYTES_MAX);
    return true;
}

void show_over(struct show *show, struct msy_store_txn *over)
{
    show->view.over = over;
    show->detail = MODEL_BRIEF;
}

void show_close(struct show *show)
{
    msy_buf_fini(&show->value);
    msy_view_fini(&show->view);
    msy_store_abort(show->txn);
}

static bool show_keep(struct show *show, uint32_t slot, const meshsync_value *value,
                      meshsync_bytes *kept)
{
    msy_buf_reset(&show->value);
    meshsync_status status = msy_value_encode(value, &show->value, NULL);
    if (status != MESHSYNC_OK || show->value.len > SHOW_PAYLOAD_BYTES_MAX) {
        return show_wrong(show, "a value that cannot be kept", status);
    }
    memcpy(show->payloads[slot], show->value.data, show->value.len);
    *kept = (meshsync_bytes){show->payloads[slot], show->value.len};
    return true;
}

static bool show_siblings(struct show *show, uint32_t count)
{
    meshsync_sibling sibling;
    if (count > SHOW_SIBLINGS_MAX) {
        return show_wrong(show, "too many siblings", MESHSYNC_E_LIMIT);
    }
    for (uint32_t i = 0; i < count; i++) {
        meshsync_status status = msy_view_sibling(&show->view, i, &sibling, NULL);
        if (status != MESHSYNC_OK) {
            return show_wrong(show, "a sibling", status);
        }
        memcpy(show->actors[i].id, sibling.actor, sizeof sibling.actor);
        memset(&show->siblings[i], 0, sizeof show->siblings[i]);
        show->siblings[i].hlc = sibling.hlc;
        show->siblings[i].seq = sibling.seq;
        show->siblings[i].actor = &show->actors[i];
        if (!show_keep(show, i, &sibling.value, &show->siblings[i].payload)) {
            return false;
        }
    }
    meshsync_status past = msy_view_sibling(&show->view, count, &sibling, NULL);
    return past == MESHSYNC_E_END || show_wrong(show, "a sibling past the last", past);
}

bool show_line(struct show *show, uint32_t collection, const meshsync_entry *entry,
               struct msy_buf *out)
{
    uint8_t path[MESHSYNC_PATH_BYTES_MAX];
    struct model_line line = {
        .collection = collection, .kind = entry->kind, .siblings = show->siblings};
    memcpy(path, entry->key.data, entry->key.len);
    line.path = (meshsync_bytes){path, entry->key.len};
    if (entry->kind == 1) {
        line.sum = entry->value.integer;
    }
    if (entry->kind == 0) {
        line.siblings_count = entry->siblings_count;
        show->conflicts += entry->siblings_count > 1 ? 1 : 0;
        if (!show_keep(show, SHOW_SIBLINGS_MAX, &entry->value, &line.shown) ||
            !show_siblings(show, line.siblings_count)) {
            return false;
        }
    }
    if (show->detail == MODEL_BRIEF) {
        model_sort_payloads(show->siblings, line.siblings_count);
    }
    model_line_write(&line, show->detail, out);
    return true;
}

static bool show_collection(struct show *show, uint32_t at, struct msy_buf *out)
{
    meshsync_scan_options options = {.size = sizeof options, .deep = 1};
    struct msy_walk walk;
    meshsync_entry entry;
    bool good = true;
    meshsync_status status =
        msy_walk_open(&walk, &show->view, msy_key_name(show->table[at].name), &options, NULL);
    if (status == MESHSYNC_E_NOT_FOUND) {
        return true; /* Its schema is not here yet: there is nothing to show. */
    }
    if (status != MESHSYNC_OK) {
        return show_wrong(show, show->table[at].name, status);
    }
    while (good && (status = msy_walk_next(&walk, &entry, NULL)) == MESHSYNC_OK) {
        good = show_line(show, at, &entry, out);
    }
    msy_walk_close(&walk);
    return good && (status == MESHSYNC_E_END || show_wrong(show, "a scan's step", status));
}

bool show_all(struct show *show, struct msy_buf *out)
{
    for (uint32_t i = 0; i < show->table_count; i++) {
        if (!show_collection(show, i, out)) {
            return false;
        }
    }
    return true;
}
