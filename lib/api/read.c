/* SPDX-License-Identifier: Apache-2.0 */
/* Reading: snapshots, entries, siblings, scans, on the caller's thread. */
#include <string.h>

#include "api/check.h"
#include "base/path.h"
#include "shell/snapshot.h"

/* ---- Snapshots ---- */

enum { SCAN_STEPS_PER_LOOK = 64 };

static meshsync_status read_check(meshsync_snapshot *snapshot, meshsync_error *error)
{
    meshsync_status status = msy_check_given(snapshot, "snapshot", error);
    if (status == MESHSYNC_OK) {
        status = msy_node_check(snapshot->space->node, error);
    }
    return status == MESHSYNC_OK ? msy_snapshot_check(snapshot, error) : status;
}

meshsync_status meshsync_snapshot_open(meshsync_space *space, meshsync_snapshot **snapshot,
                                       meshsync_error *error)
{
    meshsync_status status = msy_check_given(snapshot, "snapshot", error);
    if (status != MESHSYNC_OK) {
        return status;
    }
    *snapshot = NULL;
    status = msy_check_space(space, error);
    return status == MESHSYNC_OK ? msy_snapshot_new(space, snapshot, error) : status;
}

void meshsync_snapshot_close(meshsync_snapshot *snapshot)
{
    if (snapshot != NULL && !snapshot->of_txn &&
        msy_node_check(snapshot->space->node, NULL) == MESHSYNC_OK) {
        msy_snapshot_free(snapshot);
    }
}

/* ---- Entries ---- */

/* The encoded path and the collection's name. */
static meshsync_status read_enter(meshsync_snapshot *snapshot, const char *collection,
                                  meshsync_bytes *name, meshsync_error *error)
{
    meshsync_status status = read_check(snapshot, error);
    if (status == MESHSYNC_OK) {
        status = msy_check_name(collection, "name of the collection", error);
    }
    if (status == MESHSYNC_OK) {
        *name = (meshsync_bytes){(const uint8_t *)collection, strlen(collection)};
    }
    return status;
}

meshsync_status meshsync_get(meshsync_snapshot *snapshot, const char *collection,
                             const meshsync_path *path, meshsync_entry *entry,
                             meshsync_error *error)
{
    uint8_t encoded[MESHSYNC_PATH_BYTES_MAX];
    meshsync_bytes at;
    meshsync_bytes name;
    meshsync_error words;
    meshsync_status status = read_enter(snapshot, collection, &name, error);
    if (status == MESHSYNC_OK) {
        status = msy_check_path(path, encoded, &at, error);
    }
    if (status == MESHSYNC_OK) {
        status = msy_check_given(entry, "entry", error);
    }
    if (status == MESHSYNC_OK) {
        status = msy_view_get(&snapshot->view, name, at, entry, msy_check_words(&words));
        status = msy_check_said(status, &words, "get", error);
    }
    return status;
}

meshsync_status meshsync_sibling_at(meshsync_snapshot *snapshot, uint32_t index,
                                    meshsync_sibling *sibling, meshsync_error *error)
{
    meshsync_error words;
    meshsync_status status = read_check(snapshot, error);
    if (status == MESHSYNC_OK) {
        status = msy_check_given(sibling, "sibling", error);
    }
    if (status == MESHSYNC_OK) {
        status = msy_view_sibling(&snapshot->view, index, sibling, msy_check_words(&words));
        status = msy_check_said(status, &words, "sibling", error);
    }
    return status;
}

meshsync_status meshsync_set_contains(meshsync_snapshot *snapshot, const char *collection,
                                      meshsync_bytes key, meshsync_bytes element,
                                      meshsync_error *error)
{
    const meshsync_bytes parts[] = {key, element};
    const meshsync_path path = {parts, 2};
    uint8_t encoded[MESHSYNC_PATH_BYTES_MAX];
    meshsync_bytes at;
    meshsync_bytes name;
    meshsync_error words;
    meshsync_status status = read_enter(snapshot, collection, &name, error);
    if (status == MESHSYNC_OK) {
        status = msy_check_path(&path, encoded, &at, error);
    }
    if (status == MESHSYNC_OK) {
        status = msy_view_contains(&snapshot->view, name, at, msy_check_words(&words));
        status = msy_check_said(status, &words, "element", error);
    }
    return status;
}

meshsync_status meshsync_entry_part(meshsync_bytes key, uint32_t index, uint8_t *out,
                                    size_t *out_len)
{
    meshsync_bytes part;
    if (out == NULL || out_len == NULL || (key.len > 0 && key.data == NULL)) {
        return MESHSYNC_E_INVALID;
    }
    for (uint32_t i = 0; i <= index; i++) {
        size_t first = msy_path_first_bytes(key);
        if (first == 0 || first > MESHSYNC_PATH_BYTES_MAX) {
            return key.len == 0 ? MESHSYNC_E_END : MESHSYNC_E_INVALID;
        }
        /* Decoding writes no more than the encoded part has. */
        meshsync_bytes head = {key.data, first};
        if (!msy_path_next(&head, out, &part)) {
            return MESHSYNC_E_INVALID;
        }
        *out_len = part.len;
        key.data += first;
        key.len -= first;
    }
    return MESHSYNC_OK;
}

/* ---- Scans ---- */

static meshsync_status scan_options(const meshsync_scan_options *given, meshsync_scan_options *full,
                                    meshsync_error *error)
{
    memset(full, 0, sizeof *full);
    full->size = sizeof *full;
    if (given == NULL) {
        return MESHSYNC_OK;
    }
    meshsync_status status = msy_check_read_sized(given, full, sizeof *full, "scan options", error);
    if (status == MESHSYNC_OK && full->direction != MESHSYNC_ASCENDING &&
        full->direction != MESHSYNC_DESCENDING) {
        status = msy_fail(error, MESHSYNC_E_INVALID, "scan options: direction %d is neither",
                          (int)full->direction);
    }
    if (status == MESHSYNC_OK && full->deep != 0 && full->deep != 1) {
        status = msy_fail(error, MESHSYNC_E_INVALID, "scan options: deep is %d, not 0 or 1",
                          (int)full->deep);
    }
    if (status == MESHSYNC_OK) {
        status = msy_check_bytes(full->prefix, "scan options: prefix", error);
    }
    if (status == MESHSYNC_OK) {
        status = msy_check_bytes(full->from, "scan options: from", error);
    }
    if (status == MESHSYNC_OK) {
        status = msy_check_bytes(full->until, "scan options: until", error);
    }
    if (status == MESHSYNC_OK && full->below.parts_count > 0) {
        uint8_t encoded[MESHSYNC_PATH_BYTES_MAX];
        meshsync_bytes path;
        status = msy_check_path(&full->below, encoded, &path, error);
    }
    return status;
}

/* collection NULL: conflicts. */
static meshsync_status scan_open(meshsync_snapshot *snapshot, const meshsync_bytes *collection,
                                 const meshsync_scan_options *options, meshsync_scan **scan,
                                 meshsync_error *error)
{
    meshsync_error words;
    meshsync_scan *made = msy_scan_new(snapshot);
    (void)msy_check_words(&words);
    if (made == NULL) {
        return msy_fail(error, MESHSYNC_E_NO_MEMORY, "scan: no memory");
    }
    meshsync_status status =
        collection != NULL
            ? msy_walk_open(&made->walk, &snapshot->view, *collection, options, &words)
            : msy_walk_conflicts(&made->walk, &snapshot->view, &words);
    if (status != MESHSYNC_OK) {
        msy_scan_free(made);
        return msy_check_said(status, &words, "scan", error);
    }
    made->open = true;
    *scan = made;
    return MESHSYNC_OK;
}

meshsync_status meshsync_scan_open(meshsync_snapshot *snapshot, const char *collection,
                                   const meshsync_scan_options *options, meshsync_scan **scan,
                                   meshsync_error *error)
{
    meshsync_scan_options full;
    meshsync_bytes name;
    meshsync_status status = msy_check_given(scan, "scan", error);
    if (status != MESHSYNC_OK) {
        return status;
    }
    *scan = NULL;
    status = read_enter(snapshot, collection, &name, error);
    if (status == MESHSYNC_OK) {
        status = scan_options(options, &full, error);
    }
    return status == MESHSYNC_OK ? scan_open(snapshot, &name, &full, scan, error) : status;
}

meshsync_status meshsync_conflicts_open(meshsync_snapshot *snapshot, meshsync_scan **scan,
                                        meshsync_error *error)
{
    meshsync_status status = msy_check_given(scan, "scan", error);
    if (status != MESHSYNC_OK) {
        return status;
    }
    *scan = NULL;
    status = read_check(snapshot, error);
    return status == MESHSYNC_OK ? scan_open(snapshot, NULL, NULL, scan, error) : status;
}

/* As read_check, but a look at the clock costs a fifth of a step: one in so many has it. */
static meshsync_status scan_check(meshsync_scan *scan, meshsync_error *error)
{
    if (scan->open && scan->snapshot->open && scan->steps++ % SCAN_STEPS_PER_LOOK != 0) {
        return msy_node_check(scan->snapshot->space->node, error);
    }
    return read_check(scan->snapshot, error);
}

meshsync_status meshsync_scan_next(meshsync_scan *scan, meshsync_entry *entry,
                                   meshsync_error *error)
{
    meshsync_error words;
    meshsync_status status = msy_check_given(scan, "scan", error);
    if (status == MESHSYNC_OK) {
        status = msy_check_given(entry, "entry", error);
    }
    if (status == MESHSYNC_OK) {
        status = scan_check(scan, error);
    }
    if (status == MESHSYNC_OK) {
        status = msy_walk_next(&scan->walk, entry, msy_check_words(&words));
        status = msy_check_said(status, &words, "scan", error);
    }
    return status;
}

void meshsync_scan_close(meshsync_scan *scan)
{
    if (scan != NULL && msy_node_check(scan->snapshot->space->node, NULL) == MESHSYNC_OK) {
        msy_scan_free(scan);
    }
}

const char *meshsync_scan_collection(const meshsync_scan *scan)
{
    return scan == NULL ? "" : scan->walk.collection_name;
}
