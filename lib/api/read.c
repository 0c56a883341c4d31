/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots, gets, scans, conflicts. */
#include <meshsync/read.h>

#include "api/enter.h"
#include "base/path.h"
#include "shell/snapshot.h"

meshsync_status meshsync_snapshot_open(meshsync_space *space, meshsync_snapshot **snapshot,
                                       meshsync_error *error)
{
    meshsync_status status = msy_enter_space(space, error);
    *snapshot = NULL;
    return status == MESHSYNC_OK ? msy_snapshot_new(space, snapshot, error) : status;
}

void meshsync_snapshot_close(meshsync_snapshot *snapshot)
{
    if (snapshot != NULL && !snapshot->of_txn &&
        msy_node_check(snapshot->space->node, NULL) == MESHSYNC_OK) {
        msy_snapshot_free(snapshot);
    }
}

static meshsync_status read_enter(meshsync_snapshot *snapshot, meshsync_error *error)
{
    if (snapshot == NULL) {
        return msy_fail(error, MESHSYNC_E_INVALID, "the snapshot is NULL");
    }
    meshsync_status status = msy_enter_space(snapshot->space, error);
    return status == MESHSYNC_OK ? msy_snapshot_check(snapshot, error) : status;
}

static meshsync_status read_collection(const char *collection, meshsync_bytes *name,
                                       meshsync_error *error)
{
    if (collection == NULL || collection[0] == '\0' ||
        strlen(collection) > MESHSYNC_NAME_BYTES_MAX) {
        return msy_fail(error, MESHSYNC_E_INVALID, "a collection's name is 1 to %d bytes",
                        MESHSYNC_NAME_BYTES_MAX);
    }
    *name = msy_bytes(collection, strlen(collection));
    return MESHSYNC_OK;
}

static meshsync_status read_path(const meshsync_bytes *parts, size_t count,
                                 uint8_t out[MESHSYNC_PATH_BYTES_MAX], meshsync_bytes *path,
                                 meshsync_error *error)
{
    size_t len = 0;
    if (parts == NULL || count < 1 || count > MESHSYNC_PATH_PARTS_MAX) {
        return msy_fail(error, MESHSYNC_E_INVALID, "a path has 1 to %d parts",
                        MESHSYNC_PATH_PARTS_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        if (parts[i].data == NULL && parts[i].len > 0) {
            return msy_fail(error, MESHSYNC_E_INVALID, "part %zu of the path is NULL", i);
        }
        if (!msy_path_append(out, &len, MESHSYNC_PATH_BYTES_MAX, parts[i])) {
            return msy_fail(error, MESHSYNC_E_LIMIT, "the path is over the limit of %d bytes",
                            MESHSYNC_PATH_BYTES_MAX);
        }
    }
    *path = msy_bytes(out, len);
    return MESHSYNC_OK;
}

meshsync_status meshsync_get(meshsync_snapshot *snapshot, const char *collection,
                             const meshsync_path *path, meshsync_entry *entry,
                             meshsync_error *error)
{
    uint8_t bytes[MESHSYNC_PATH_BYTES_MAX];
    meshsync_bytes name;
    meshsync_bytes encoded;
    meshsync_status status = read_enter(snapshot, error);
    if (status == MESHSYNC_OK) {
        status = read_collection(collection, &name, error);
    }
    if (status == MESHSYNC_OK) {
        status = read_path(path == NULL ? NULL : path->parts,
                           path == NULL ? 0 : path->parts_count, bytes, &encoded, error);
    }
    return status == MESHSYNC_OK
               ? msy_view_get(&snapshot->view, name, encoded, entry, error)
               : status;
}

meshsync_status meshsync_sibling_at(meshsync_snapshot *snapshot, uint32_t index,
                                    meshsync_sibling *sibling, meshsync_error *error)
{
    meshsync_status status = read_enter(snapshot, error);
    return status == MESHSYNC_OK
               ? msy_view_sibling(&snapshot->view, index, sibling, error)
               : status;
}

meshsync_status meshsync_set_contains(meshsync_snapshot *snapshot, const char *collection,
                                      meshsync_bytes key, meshsync_bytes element,
                                      meshsync_error *error)
{
    uint8_t bytes[MESHSYNC_PATH_BYTES_MAX];
    const meshsync_bytes parts[] = {key, element};
    meshsync_bytes name;
    meshsync_bytes encoded;
    meshsync_status status = read_enter(snapshot, error);
    if (status == MESHSYNC_OK) {
        status = read_collection(collection, &name, error);
    }
    if (status == MESHSYNC_OK) {
        status = read_path(parts, 2, bytes, &encoded, error);
    }
    return status == MESHSYNC_OK
               ? msy_view_contains(&snapshot->view, name, encoded, error)
               : status;
}

static meshsync_status read_scan_open(meshsync_snapshot *snapshot, meshsync_bytes name,
                                      const meshsync_scan_options *options, meshsync_scan **scan,
                                      meshsync_error *error)
{
    meshsync_scan *made = msy_scan_new(snapshot);
    if (made == NULL) {
        return msy_fail(error, MESHSYNC_E_NO_MEMORY, "no memory for the scan");
    }
    meshsync_status status =
        name.len == 0 ? msy_walk_conflicts(&made->walk, &snapshot->view, error)
                      : msy_walk_open(&made->walk, &snapshot->view, name, options, error);
    if (status != MESHSYNC_OK) {
        msy_scan_free(made, false);
        return status;
    }
    *scan = made;
    return MESHSYNC_OK;
}

meshsync_status meshsync_scan_open(meshsync_snapshot *snapshot, const char *collection,
                                   const meshsync_scan_options *options, meshsync_scan **scan,
                                   meshsync_error *error)
{
    meshsync_scan_options whole;
    meshsync_bytes name;
    *scan = NULL;
    meshsync_status status = read_enter(snapshot, error);
    if (status == MESHSYNC_OK) {
        status = read_collection(collection, &name, error);
    }
    if (status == MESHSYNC_OK && options != NULL) {
        status = msy_take_sized(&whole, sizeof whole, options, options->size, error);
        options = &whole;
    }
    return status == MESHSYNC_OK ? read_scan_open(snapshot, name, options, scan, error) : status;
}

meshsync_status meshsync_conflicts_open(meshsync_snapshot *snapshot, meshsync_scan **scan,
                                        meshsync_error *error)
{
    *scan = NULL;
    meshsync_status status = read_enter(snapshot, error);
    return status == MESHSYNC_OK
               ? read_scan_open(snapshot, msy_bytes(NULL, 0), NULL, scan, error)
               : status;
}

meshsync_status meshsync_scan_next(meshsync_scan *scan, meshsync_entry *entry,
                                   meshsync_error *error)
{
    if (scan == NULL) {
        return msy_fail(error, MESHSYNC_E_INVALID, "the scan is NULL");
    }
    meshsync_status status = msy_enter_space(scan->snapshot->space, error);
    return status == MESHSYNC_OK ? msy_walk_next(&scan->walk, entry, error) : status;
}

void meshsync_scan_close(meshsync_scan *scan)
{
    if (scan != NULL && msy_node_check(scan->snapshot->space->node, NULL) == MESHSYNC_OK) {
        msy_scan_free(scan, true);
    }
}

const char *meshsync_scan_collection(const meshsync_scan *scan)
{
    return scan == NULL ? "" : scan->walk.collection_name;
}

meshsync_status meshsync_entry_part(meshsync_bytes key, uint32_t index, uint8_t *out,
                                    size_t *out_len)
{
    meshsync_bytes part;
    uint32_t at = 0;
    if (out == NULL || out_len == NULL || key.len > MESHSYNC_PATH_BYTES_MAX) {
        return MESHSYNC_E_INVALID;
    }
    while (key.len > 0) {
        if (!msy_path_next(&key, out, &part)) {
            return MESHSYNC_E_INVALID;
        }
        if (at == index) {
            *out_len = part.len;
            return MESHSYNC_OK;
        }
        at++;
    }
    return MESHSYNC_E_END;
}
