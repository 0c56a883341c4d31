/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A transaction of several writes: it adds to two counters and a set at once, reads its own writes
 * before they are committed, and then the result.
 */
#include <inttypes.h>
#include <meshsync/meshsync.h>
#include <stdio.h>

static meshsync_status open_space(meshsync_node *node, meshsync_space **space,
                                  meshsync_error *error)
{
    meshsync_status status = meshsync_space_find(node, "shop", space, error);
    if (status == MESHSYNC_E_NOT_FOUND) {
        status = meshsync_space_create(node, "shop", space, error);
    }
    if (status == MESHSYNC_OK) {
        status = meshsync_collection_create(*space, "stock", MESHSYNC_COUNTER, MESHSYNC_VIEW_LWW,
                                            NULL, 0, error);
    }
    if (status == MESHSYNC_OK) {
        status = meshsync_collection_create(*space, "seen", MESHSYNC_SET, MESHSYNC_VIEW_LWW, NULL,
                                            0, error);
    }
    return status;
}

/* Five apples come, two pears go, and both kinds of fruit were seen: all of it or nothing. */
static meshsync_status fill(meshsync_txn *txn, meshsync_error *error)
{
    const meshsync_bytes fruit = meshsync_bytes_of("fruit");
    const meshsync_bytes apples = meshsync_bytes_of("apples");
    const meshsync_bytes pears = meshsync_bytes_of("pears");
    meshsync_status status = meshsync_txn_add(txn, "stock", &(meshsync_path){&apples, 1}, 5, error);
    if (status == MESHSYNC_OK) {
        status = meshsync_txn_add(txn, "stock", &(meshsync_path){&pears, 1}, -2, error);
    }
    if (status == MESHSYNC_OK) {
        status = meshsync_txn_set_add(txn, "seen", fruit, apples, error);
    }
    if (status == MESHSYNC_OK) {
        status = meshsync_txn_set_add(txn, "seen", fruit, pears, error);
    }
    return status;
}

static meshsync_status show(meshsync_snapshot *snapshot, const char *when, meshsync_error *error)
{
    static const char *const names[] = {"apples", "pears"};
    meshsync_status status = MESHSYNC_OK;
    for (int i = 0; i < 2 && status == MESHSYNC_OK; i++) {
        const meshsync_bytes key = meshsync_bytes_of(names[i]);
        meshsync_entry entry;
        status = meshsync_get(snapshot, "stock", &(meshsync_path){&key, 1}, &entry, error);
        if (status == MESHSYNC_OK) {
            printf("%s: %s %" PRId64 "\n", when, names[i], entry.value.integer);
        }
    }
    return status;
}

static meshsync_status run(meshsync_space *space, meshsync_error *error)
{
    meshsync_txn *txn = NULL;
    meshsync_snapshot *snapshot = NULL;
    meshsync_status status = meshsync_txn_begin(space, &txn, error);
    if (status == MESHSYNC_OK) {
        status = fill(txn, error);
    }
    if (status == MESHSYNC_OK) {
        status = meshsync_txn_snapshot(txn, &snapshot, error); /* Belongs to the transaction. */
    }
    if (status == MESHSYNC_OK) {
        status = show(snapshot, "in the transaction", error);
    }
    if (status != MESHSYNC_OK) {
        meshsync_txn_abort(txn);
        return status;
    }
    status = meshsync_txn_commit(txn, NULL, NULL, error);
    snapshot = NULL;
    if (status == MESHSYNC_OK) {
        status = meshsync_snapshot_open(space, &snapshot, error);
    }
    if (status == MESHSYNC_OK) {
        status = show(snapshot, "committed", error);
    }
    meshsync_snapshot_close(snapshot);
    return status;
}

int main(int argc, char **argv)
{
    meshsync_options options;
    meshsync_node *node = NULL;
    meshsync_space *space = NULL;
    meshsync_error error = {.status = MESHSYNC_OK};
    meshsync_options_init(&options, sizeof options);
    options.path = argc > 1 ? argv[1] : "counter-data";
    meshsync_status status = meshsync_node_open(&options, &node, &error);
    if (status == MESHSYNC_OK) {
        status = open_space(node, &space, &error);
    }
    if (status == MESHSYNC_OK) {
        status = run(space, &error);
    }
    if (status != MESHSYNC_OK) {
        fprintf(stderr, "counter: %s: %s\n", meshsync_strerror(status), error.message);
    }
    meshsync_node_close(node);
    return status == MESHSYNC_OK ? 0 : 1;
}
