/* SPDX-License-Identifier: Apache-2.0 */
#include "shell/snapshot.h"

#include "shell/clock.h"

meshsync_status msy_snapshot_pin(meshsync_snapshot *snapshot, meshsync_space *space,
                                 struct msy_store_txn *over, meshsync_error *error)
{
    meshsync_node *node = space->node;
    struct msy_merge_port merges = msy_node_merges(node);
    snapshot->space = space;
    snapshot->opened_ms = msy_clock_mono_ms();
    meshsync_status status = msy_node_begin_read(node, &snapshot->txn, error);
    if (status != MESHSYNC_OK) {
        return status;
    }
    status =
        msy_view_init(&snapshot->view, &node->alloc, snapshot->txn, over, space->number, &merges);
    if (status != MESHSYNC_OK) {
        msy_node_end_read(snapshot->txn);
        snapshot->txn = NULL;
        return msy_fail(error, status, "snapshot: %s", meshsync_strerror(status));
    }
    snapshot->open = true;
    return MESHSYNC_OK;
}

static void scan_end(meshsync_scan *scan)
{
    if (scan->open) {
        msy_walk_close(&scan->walk);
        scan->open = false;
    }
}

void msy_snapshot_unpin(meshsync_snapshot *snapshot)
{
    for (meshsync_scan *scan = snapshot->scans; scan != NULL; scan = scan->next) {
        scan_end(scan);
    }
    if (snapshot->open) {
        msy_view_fini(&snapshot->view);
        msy_node_end_read(snapshot->txn);
        snapshot->txn = NULL;
        snapshot->open = false;
        atomic_store(&snapshot->owned.pinned_ms, 0);
    }
}

static void snapshot_release(struct msy_owned *owned)
{
    meshsync_snapshot *snapshot = (meshsync_snapshot *)(void *)owned; /* Its first member. */
    struct msy_alloc *alloc = &snapshot->space->node->alloc;
    msy_snapshot_unpin(snapshot);
    msy_snapshot_free_scans(snapshot);
    msy_free(alloc, snapshot, sizeof *snapshot);
}

meshsync_status msy_snapshot_new(meshsync_space *space, meshsync_snapshot **out,
                                 meshsync_error *error)
{
    meshsync_node *node = space->node;
    meshsync_snapshot *snapshot = (meshsync_snapshot *)msy_new(&node->alloc, sizeof *snapshot);
    *out = NULL;
    if (snapshot == NULL) {
        return msy_fail(error, MESHSYNC_E_NO_MEMORY, "snapshot: no memory");
    }
    meshsync_status status = msy_snapshot_pin(snapshot, space, NULL, error);
    if (status != MESHSYNC_OK) {
        msy_free(&node->alloc, snapshot, sizeof *snapshot);
        return status;
    }
    snapshot->owned.release = snapshot_release;
    atomic_store(&snapshot->owned.pinned_ms, snapshot->opened_ms);
    msy_node_own(node, &snapshot->owned);
    *out = snapshot;
    return MESHSYNC_OK;
}

void msy_snapshot_free(meshsync_snapshot *snapshot)
{
    msy_node_disown(snapshot->space->node, &snapshot->owned);
    snapshot_release(&snapshot->owned);
}

meshsync_status msy_snapshot_check(meshsync_snapshot *snapshot, meshsync_error *error)
{
    uint64_t age_ms_max = snapshot->space->node->options.snapshot_ms_max;
    if (snapshot->open && msy_clock_mono_ms() - snapshot->opened_ms <= age_ms_max) {
        return MESHSYNC_OK;
    }
    msy_snapshot_unpin(snapshot);
    return msy_fail(error, MESHSYNC_E_EXPIRED, "the snapshot was over its age of %llu ms",
                    (unsigned long long)age_ms_max);
}

meshsync_scan *msy_scan_new(meshsync_snapshot *snapshot)
{
    meshsync_scan *scan = (meshsync_scan *)msy_new(&snapshot->space->node->alloc, sizeof *scan);
    if (scan != NULL) {
        scan->snapshot = snapshot;
        scan->next = snapshot->scans;
        scan->link = &snapshot->scans;
        if (snapshot->scans != NULL) {
            snapshot->scans->link = &scan->next;
        }
        snapshot->scans = scan;
    }
    return scan;
}

void msy_scan_free(meshsync_scan *scan)
{
    scan_end(scan);
    *scan->link = scan->next;
    if (scan->next != NULL) {
        scan->next->link = scan->link;
    }
    msy_free(&scan->snapshot->space->node->alloc, scan, sizeof *scan);
}

void msy_snapshot_free_scans(meshsync_snapshot *snapshot)
{
    while (snapshot->scans != NULL) {
        msy_scan_free(snapshot->scans);
    }
}
