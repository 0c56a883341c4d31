/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store whose records were damaged by the input is opened, read, verified and written to. Nothing
 * crashes; what is served is what was written, or a status; what is missing or different without
 * one is found by verification. With the first bit of the input set, leaves get a right checksum
 * after the damage, so that the code behind it is reached: then only nothing may crash.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz/kit.h"
#include "replica/read.h"
#include "replica/verify.h"
#include "store/store_ops.h"

enum { DAMAGES_MAX = 8, RECORD_BYTES_MAX = 64 << 10, READ_BYTES_MAX = 1 << 20 };

enum damage {
    DAMAGE_XOR,
    DAMAGE_WRITE,
    DAMAGE_CUT,
    DAMAGE_GROW,
    DAMAGE_DELETE,
    DAMAGE_COPY, /* The value of another record of the table. */
    DAMAGE_KEY,
    DAMAGE_COUNT
};

static struct kit_node *node;
static struct msy_buf truth; /* What reads show of the store as it is. */
static struct msy_buf shown;
static struct msy_buf key_buf, value_buf, other_buf;

static void prepare(void)
{
    if (node != NULL) {
        return;
    }
    node = kit_node();
    msy_buf_init(&truth, &node->alloc, READ_BYTES_MAX);
    msy_buf_init(&shown, &node->alloc, READ_BYTES_MAX);
    msy_buf_init(&key_buf, &node->alloc, RECORD_BYTES_MAX);
    msy_buf_init(&value_buf, &node->alloc, RECORD_BYTES_MAX);
    msy_buf_init(&other_buf, &node->alloc, RECORD_BYTES_MAX);
    kit_must(kit_read(node, node->store, &truth) && truth.len > 0);
}

/* ---- Damage ---- */

/* Copies the index-th record (around the end) of a table. False: the table is empty. */
static bool damage_find(struct msy_store_txn *txn, enum msy_table table, uint32_t index,
                        struct msy_buf *key_out, struct msy_buf *value_out)
{
    struct msy_store_iter *iter = NULL;
    meshsync_bytes key;
    meshsync_bytes value;
    uint32_t count = 0;
    kit_must(msy_store_iter_open(txn, table, &iter) == MESHSYNC_OK);
    meshsync_status status = msy_store_seek(iter, (meshsync_bytes){NULL, 0}, &key, &value);
    bool found = status == MESHSYNC_OK;
    while (status == MESHSYNC_OK) {
        if (count == index || (count == 0 && found)) {
            msy_buf_reset(key_out);
            msy_buf_reset(value_out);
            kit_must(msy_buf_append(key_out, key.data, key.len) == MESHSYNC_OK);
            kit_must(msy_buf_append(value_out, value.data, value.len) == MESHSYNC_OK);
        }
        count += 1;
        status = count <= index ? msy_store_next(iter, &key, &value) : MESHSYNC_E_END;
    }
    msy_store_iter_close(iter);
    return found;
}

static void damage_value(struct msy_store_txn *txn, struct kit_input *input, enum damage how,
                         enum msy_table table)
{
    size_t at = value_buf.len > 0 ? kit_u16(input) % value_buf.len : 0;
    meshsync_bytes bytes = kit_take(input, 1 + kit_u8(input) % 16);
    if (how == DAMAGE_XOR && value_buf.len > 0) {
        value_buf.data[at] ^= bytes.len > 0 ? bytes.data[0] : 1;
    } else if (how == DAMAGE_WRITE) {
        for (size_t i = 0; i < bytes.len && at + i < value_buf.len; i++) {
            value_buf.data[at + i] = bytes.data[i];
        }
    } else if (how == DAMAGE_CUT) {
        value_buf.len = at;
    } else if (how == DAMAGE_GROW) {
        kit_must(msy_buf_append(&value_buf, bytes.data, bytes.len) == MESHSYNC_OK);
    } else if (how == DAMAGE_COPY) {
        (void)damage_find(txn, table, (uint32_t)at, &other_buf, &value_buf);
    }
}

/* Leaves begin with a checksum over key and content, all others end with one. */
static void damage_repair(enum msy_table table)
{
    const size_t at = table == MSY_TABLE_STATE ? 4 : 0;
    if (value_buf.len >= 4) {
        uint32_t crc = msy_crc32c(0, key_buf.data, key_buf.len);
        crc = msy_crc32c(crc, value_buf.data + at, value_buf.len - 4);
        msy_put_be32(value_buf.data + (at == 0 ? value_buf.len - 4 : 0), crc);
    }
}

static void damage_one(struct msy_store_txn *txn, struct kit_input *input, bool repair)
{
    enum msy_table table = (enum msy_table)(kit_u8(input) % MSY_TABLE_COUNT);
    enum damage how = (enum damage)(kit_u8(input) % DAMAGE_COUNT);
    if (!damage_find(txn, table, kit_u8(input), &key_buf, &value_buf)) {
        return;
    }
    if (how == DAMAGE_DELETE || how == DAMAGE_KEY) {
        kit_must(msy_store_del(txn, table, msy_buf_bytes(&key_buf)) == MESHSYNC_OK);
        if (how == DAMAGE_DELETE) {
            return;
        }
        key_buf.data[kit_u8(input) % key_buf.len] ^= kit_u8(input) | 1;
    } else {
        damage_value(txn, input, how, table);
    }
    if (repair) {
        damage_repair(table);
    }
    if (value_buf.len > 0) {
        kit_must(msy_store_put(txn, table, msy_buf_bytes(&key_buf), msy_buf_bytes(&value_buf),
                               MSY_PUT_ANY) == MESHSYNC_OK);
    }
}

/* ---- What comes of it ---- */

/* Is the line, which begins with its length, among those of the truth? */
static bool is_true(const uint8_t *line, size_t len)
{
    for (size_t at = 0; at < truth.len; at += msy_get_be32(truth.data + at)) {
        if (msy_get_be32(truth.data + at) == len && memcmp(truth.data + at, line, len) == 0) {
            return true;
        }
    }
    return false;
}

static void check_reads(struct msy_store *store)
{
    struct msy_store_txn *txn = NULL;
    meshsync_verify_report report = {.size = sizeof report};
    meshsync_error error;
    msy_buf_reset(&shown);
    bool all = kit_read(node, store, &shown);
    kit_must(msy_store_begin(store, MSY_TXN_READ, &txn) == MESHSYNC_OK);
    bool sound = msy_verify_space(&node->alloc, txn, KIT_SPACE, &report, &error) == MESHSYNC_OK;
    msy_store_abort(txn);
    if (sound) { /* Then all of it is there. */
        kit_must(all && shown.len == truth.len && memcmp(shown.data, truth.data, truth.len) == 0);
    }
}

static void check_values(void)
{
    for (size_t at = 0; at < shown.len; at += msy_get_be32(shown.data + at)) {
        kit_must(is_true(shown.data + at, msy_get_be32(shown.data + at)));
    }
}

static void use(struct msy_replica *replica)
{
    static const uint8_t path[] = {'n', 'e', 'w', 0x00, 0x01};
    static const uint8_t nil[1] = {0xc0};
    struct msy_request request;
    struct msy_replica_effects effects;
    const struct msy_intent intent = {.type = MSY_INTENT_PUT,
                                      .collection = msy_key_name("registers"),
                                      .path = msy_bytes(path, sizeof path),
                                      .payload = msy_bytes(nil, sizeof nil)};
    const struct msy_replica_event events[] = {
        {.type = MSY_REPLICA_COMMIT, .space = KIT_SPACE, .id = 1, .request = &request},
        {.type = MSY_REPLICA_TICK, .id = 2}};
    msy_request_init(&request, &node->alloc);
    kit_must(msy_request_add(&request, &intent) == MESHSYNC_OK);
    msy_replica_effects_init(&effects, &node->alloc);
    meshsync_status status =
        msy_replica_step(replica, events, 2, node->now_ms, NULL, NULL, &effects);
    kit_must(status != MESHSYNC_E_INTERNAL);
    msy_replica_effects_fini(&effects);
    msy_request_fini(&request);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kit_input input = {data, data + size};
    struct msy_store *store = NULL;
    struct msy_store_txn *txn = NULL;
    struct msy_replica *replica = NULL;
    struct msy_prng prng;
    prepare();
    bool repair = (kit_u8(&input) & 1u) != 0;
    kit_must(msy_store_memory_clone(node->store, &store) == MESHSYNC_OK);
    kit_must(msy_store_begin(store, MSY_TXN_WRITE, &txn) == MESHSYNC_OK);
    txn->sealed = false; /* Bytes as they lie there, checksums included. */
    for (uint32_t i = 0; i < DAMAGES_MAX && input.at < input.end; i++) {
        damage_one(txn, &input, repair);
    }
    kit_must(msy_store_commit(txn) == MESHSYNC_OK);
    meshsync_status status = kit_replica(node, store, &prng, &replica);
    if (status == MESHSYNC_OK) {
        check_reads(store);
        if (!repair) {
            check_values();
        }
        use(replica);
        msy_replica_close(replica);
    }
    msy_store_close(store);
    return 0;
}
