/* SPDX-License-Identifier: Apache-2.0 */
#include "own.h"

#include <string.h>

static void own_open_node(struct own_store *store)
{
    meshsync_error error = {0};
    meshsync_options options;
    meshsync_options_init(&options, sizeof options);
    options.path = store->folder;
    options.store_map_bytes = (uint64_t)32 << 30;
    options.store_bytes_max = (uint64_t)32 << 30;
    kit_ok(meshsync_node_open(&options, &store->node, &error), &error, "open");
}

void own_open(struct own_store *store)
{
    meshsync_error error = {0};
    kit_folder(store->folder);
    own_open_node(store);
    kit_ok(meshsync_space_create(store->node, "bench", &store->space, &error), &error, "space");
    kit_ok(meshsync_collection_create(store->space, "data", MESHSYNC_REGISTER, MESHSYNC_VIEW_LWW,
                                      NULL, 0, &error),
           &error, "collection");
}

void own_open_again(struct own_store *store)
{
    meshsync_error error = {0};
    own_open_node(store);
    kit_ok(meshsync_space_find(store->node, "bench", &store->space, &error), &error, "find");
}

void own_reopen(struct own_store *store)
{
    kit_ok(meshsync_node_close(store->node), NULL, "close");
    own_open_again(store);
}

void own_close(struct own_store *store)
{
    kit_ok(meshsync_node_close(store->node), NULL, "close");
    kit_remove(store->folder);
}

void own_put(meshsync_txn *txn, uint64_t round, uint64_t number)
{
    char key[KIT_KEY_BYTES + 1];
    if (round == OWN_SORTED) {
        kit_key_sorted(1, number, key);
    } else {
        kit_key(round, number, key);
    }
    own_put_key(txn, key, number);
}

void own_put_key(meshsync_txn *txn, const char *key, uint64_t number)
{
    meshsync_error error = {0};
    uint8_t value[KIT_VALUE_BYTES];
    kit_value(number, value);
    meshsync_bytes part = {(const uint8_t *)key, KIT_KEY_BYTES};
    meshsync_path path = {&part, 1};
    meshsync_value content = meshsync_value_bytes(value, sizeof value);
    kit_ok(meshsync_txn_put(txn, "data", &path, &content, NULL, &error), &error, "put");
}

void own_commit(meshsync_space *space, uint64_t round, uint64_t first, uint64_t count,
                meshsync_token *token)
{
    meshsync_error error = {0};
    meshsync_txn *txn = NULL;
    kit_ok(meshsync_txn_begin(space, &txn, &error), &error, "begin");
    for (uint64_t i = first; i < first + count; i++) {
        own_put(txn, round, i);
    }
    kit_ok(meshsync_txn_commit(txn, NULL, token, &error), &error, "commit");
}

void own_get(meshsync_snapshot *snapshot, const char *key)
{
    meshsync_error error = {0};
    meshsync_entry entry;
    meshsync_bytes part = {(const uint8_t *)key, KIT_KEY_BYTES};
    meshsync_path path = {&part, 1};
    kit_ok(meshsync_get(snapshot, "data", &path, &entry, &error), &error, "get");
}

uint64_t own_scan(struct own_store *store)
{
    meshsync_error error = {0};
    meshsync_snapshot *snapshot = NULL;
    meshsync_scan *scan = NULL;
    meshsync_entry entry;
    uint64_t count = 0;
    const meshsync_scan_options options = {.size = sizeof options};
    kit_ok(meshsync_snapshot_open(store->space, &snapshot, &error), &error, "snapshot");
    kit_ok(meshsync_scan_open(snapshot, "data", &options, &scan, &error), &error, "scan");
    meshsync_status status = meshsync_scan_next(scan, &entry, &error);
    while (status == MESHSYNC_OK) {
        count++;
        status = meshsync_scan_next(scan, &entry, &error);
    }
    if (status != MESHSYNC_E_END) {
        kit_ok(status, &error, "next");
    }
    meshsync_scan_close(scan);
    meshsync_snapshot_close(snapshot);
    return count;
}
