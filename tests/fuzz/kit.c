/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz/kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replica/read.h"
#include "sim/cluster.h"

enum { KIT_ROUNDS = 4, KIT_LARGE_BYTES = 8000, KIT_NAME_BYTES = 32 };

static const meshsync_sim_collection kit_collections[] = {
    {"registers", MESHSYNC_REGISTER, MESHSYNC_VIEW_MV},
    {"counters", MESHSYNC_COUNTER, MESHSYNC_VIEW_LWW},
    {"sets", MESHSYNC_SET, MESHSYNC_VIEW_LWW},
    {"maps", MESHSYNC_MAP, MESHSYNC_VIEW_LWW}};
enum { KIT_COLLECTIONS = sizeof kit_collections / sizeof kit_collections[0] };

void kit_must(bool good)
{
    if (!good) {
        abort();
    }
}

uint8_t kit_u8(struct kit_input *input)
{
    return input->at < input->end ? *input->at++ : 0;
}

uint32_t kit_u16(struct kit_input *input)
{
    uint32_t high = kit_u8(input);
    return high << 8 | kit_u8(input);
}

meshsync_bytes kit_take(struct kit_input *input, size_t len)
{
    size_t left = (size_t)(input->end - input->at);
    meshsync_bytes taken = {input->at, len < left ? len : left};
    input->at += taken.len;
    return taken;
}

/* ---- The node ---- */

static void kit_ok(meshsync_status status)
{
    kit_must(status == MESHSYNC_OK);
}

static void kit_commit(meshsync_sim_txn *txn)
{
    kit_ok(meshsync_sim_txn_commit(txn, MESHSYNC_SIM_EXPLICIT, NULL, NULL));
}

/* A transaction over all types, different for each node and round. */
static void kit_write(meshsync_sim *sim, uint32_t node, uint32_t round)
{
    static char large[KIT_LARGE_BYTES];
    char name[KIT_NAME_BYTES];
    meshsync_sim_txn *txn = NULL;
    (void)snprintf(name, sizeof name, "key %u", (unsigned)(round % 2));
    const meshsync_bytes parts[] = {meshsync_bytes_of(name), meshsync_bytes_of("part"),
                                    meshsync_bytes_of(node == 0 ? "left" : "right")};
    const meshsync_path key = {parts, 1};
    const meshsync_path below = {parts, 2};
    const meshsync_path deep = {parts, 3};
    meshsync_value value = {.type = MESHSYNC_VALUE_INT, .integer = node * 100 + round};
    kit_ok(meshsync_sim_txn_begin(sim, node, &txn));
    kit_ok(meshsync_sim_txn_put(txn, "registers", &key, &value, NULL));
    kit_ok(meshsync_sim_txn_add(txn, "counters", &key, (int64_t)round - 1));
    kit_ok(meshsync_sim_txn_set_add(txn, "sets", &below));
    kit_ok(meshsync_sim_txn_put(txn, "maps", &deep, &value, NULL));
    if (round == 1) {
        memset(large, 'l', sizeof large);
        value.type = MESHSYNC_VALUE_STRING;
        value.bytes = (meshsync_bytes){(const uint8_t *)large, sizeof large};
        kit_ok(meshsync_sim_txn_put(txn, "maps", &below, &value, NULL));
    }
    if (round == 2) {
        kit_ok(meshsync_sim_txn_delete(txn, "counters", &key, NULL));
        kit_ok(meshsync_sim_txn_set_remove(txn, "sets", &below));
    }
    kit_commit(txn);
}

static void kit_make(struct kit_node *node)
{
    meshsync_sim_options options;
    meshsync_sim *sim = NULL;
    meshsync_error error;
    meshsync_sim_options_init(&options, sizeof options);
    options.nodes_count = 2;
    kit_ok(meshsync_sim_new(&options, &sim, &error));
    kit_ok(meshsync_sim_begin(sim, kit_collections, KIT_COLLECTIONS, &error));
    for (uint32_t round = 0; round < KIT_ROUNDS; round++) {
        kit_write(sim, 0, round);
        kit_write(sim, 1, round); /* Concurrently: siblings. */
        kit_ok(meshsync_sim_run_for(sim, 3000));
    }
    const struct msy_sim_node *from = msy_sim_node(sim, 0);
    kit_ok(msy_store_memory_clone(from->store, &node->store));
    kit_ok(msy_identity_new(from->seed, &node->identity, NULL));
    node->now_ms = options.unix_ms + 60000;
}

struct kit_node *kit_node(void)
{
    static struct kit_node node;
    if (node.store == NULL) {
        kit_ok(msy_crypto_init());
        msy_alloc_init(&node.alloc, NULL, NULL, 0);
        kit_make(&node);
    }
    return &node;
}

meshsync_status kit_replica(struct kit_node *node, struct msy_store *store, struct msy_prng *prng,
                            struct msy_replica **replica)
{
    msy_prng_init(prng, 1);
    const struct msy_replica_options options = {.alloc = &node->alloc,
                                                .store = store,
                                                .identity = node->identity,
                                                .entropy = msy_prng_entropy(prng),
                                                .clock_ahead_ms_max = 60000};
    return msy_replica_open(&options, node->now_ms, replica, NULL);
}

/* ---- Reading ---- */

static void read_bytes(struct msy_buf *out, meshsync_bytes bytes)
{
    kit_ok(msy_buf_append_be32(out, (uint32_t)bytes.len));
    kit_ok(msy_buf_append(out, bytes.data, bytes.len));
}

static void read_value(struct msy_buf *out, const meshsync_value *value)
{
    kit_ok(msy_buf_append_be32(out, (uint32_t)value->type));
    if (value->type == MESHSYNC_VALUE_INT || value->type == MESHSYNC_VALUE_BOOL ||
        value->type == MESHSYNC_VALUE_FLOAT || value->type == MESHSYNC_VALUE_NIL) {
        kit_ok(msy_buf_append_be64(out, value->type == MESHSYNC_VALUE_INT ? (uint64_t)value->integer
                                                                          : 0));
    } else {
        read_bytes(out, value->bytes);
    }
}

/* One entry with its siblings, as a line that begins with its length. */
static bool read_entry(struct msy_view *view, uint8_t collection, const meshsync_entry *entry,
                       struct msy_buf *out)
{
    size_t start = out->len;
    meshsync_error error;
    kit_ok(msy_buf_append_be32(out, 0));
    kit_ok(msy_buf_append_u8(out, collection));
    read_bytes(out, (meshsync_bytes){view->key, view->key_len});
    read_value(out, &entry->value);
    for (uint32_t i = 0; i < entry->siblings_count; i++) {
        meshsync_sibling sibling;
        if (msy_view_sibling(view, i, &sibling, &error) != MESHSYNC_OK) {
            out->len = start; /* It was not served whole. */
            return false;
        }
        read_value(out, &sibling.value);
    }
    msy_put_be32(out->data + start, (uint32_t)(out->len - start));
    return true;
}

static bool read_collection(struct msy_view *view, uint8_t index, struct msy_buf *out)
{
    struct msy_walk walk;
    meshsync_entry entry;
    meshsync_error error;
    bool good = true;
    const meshsync_scan_options options = {.size = sizeof options, .deep = 1};
    const char *name = kit_collections[index].name;
    if (msy_walk_open(&walk, view, msy_key_name(name), &options, &error) != MESHSYNC_OK) {
        return false;
    }
    meshsync_status status = msy_walk_next(&walk, &entry, &error);
    while (status == MESHSYNC_OK) {
        good = read_entry(view, index, &entry, out) && good;
        status = msy_walk_next(&walk, &entry, &error);
    }
    msy_walk_close(&walk);
    return good && status == MESHSYNC_E_END;
}

bool kit_read(struct kit_node *node, struct msy_store *store, struct msy_buf *out)
{
    static const struct msy_merge_port no_merges;
    struct msy_store_txn *txn = NULL;
    struct msy_view view;
    bool good = true;
    if (msy_store_begin(store, MSY_TXN_READ, &txn) != MESHSYNC_OK) {
        return false;
    }
    if (msy_view_init(&view, &node->alloc, txn, NULL, KIT_SPACE, &no_merges) != MESHSYNC_OK) {
        good = false;
        goto out;
    }
    for (uint8_t i = 0; i < KIT_COLLECTIONS; i++) {
        good = read_collection(&view, i, out) && good;
    }
    msy_view_fini(&view);

out:
    msy_store_abort(txn);
    return good;
}
