/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes from a member of the space that writes whatever it likes. An input is a list of changes,
 * each after its be32 length. The mutator changes one of them and then makes actor, chain, root and
 * signature right again, so that what the first checks would stop reaches the rest. Shows: what is
 * parsed is canonical and hashes; what is accepted leaves a store that verifies.
 */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "fuzz/small_store.h"
#include "replica/verify.h"
#include "wire/msgpack_check.h"

enum { CHANGES_MAX = 16, CHANGE_BYTES_MAX = 1 << 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);

static const struct msy_hasher change_hasher = {.hash = msy_hash, .stream = msy_stream};

/* --- the mutator ----------------------------------------------------------------------------- */

/* Writes fresh over the place in bytes where old stands; both have len bytes. */
static void overwrite(uint8_t *bytes, size_t size, const uint8_t *old, const uint8_t *fresh,
                      size_t len)
{
    for (size_t at = 0; at + len <= size; at++) {
        if (memcmp(bytes + at, old, len) == 0) {
            memcpy(bytes + at, fresh, len);
            return;
        }
    }
}

/* Makes the change at bytes hang together, as far as it can be parsed. before: hash of the change
 * before it, or NULL. Leaves its own hash in hash; false when it is beyond repair. */
static bool repair(struct msy_change *change, uint8_t *bytes, size_t size, const uint8_t *before,
                   uint8_t hash[32])
{
    struct small_store *small = small_store();
    struct msy_buf hashes;
    struct msy_buf message;
    uint8_t root[32];
    uint8_t signature[64];
    struct msy_actor actor;
    if (msy_change_parse(change, msy_bytes(bytes, size), NULL) != MESHSYNC_OK) {
        return false;
    }
    msy_buf_init(&hashes, &small->alloc, 64 << 20);
    msy_buf_init(&message, &small->alloc, 1 << 20);
    uint8_t *room = malloc((size_t)change->ops_count * 32);
    small_must(room != NULL);
    size_t header_len = change->header_bytes.len;
    if (msy_change_op_hashes(&change_hasher, change, room, root) == MESHSYNC_OK) {
        overwrite(bytes, header_len, change->header.root, root, sizeof root);
    }
    if (change->header.seq == 1) {
        overwrite(bytes, header_len, change->header.device, msy_identity_public(small->identity),
                  32);
        memcpy(change->header.device, msy_identity_public(small->identity), 32);
        msy_change_actor_id(&change_hasher, &change->header, &actor);
        overwrite(bytes, header_len, change->header.actor.id, actor.id, sizeof actor.id);
    } else if (before != NULL) {
        overwrite(bytes, header_len, change->header.prev, before, 32);
    }
    if (msy_change_signed_bytes(change->header_bytes, &message) == MESHSYNC_OK) {
        msy_identity_sign(small->identity, msy_buf_bytes(&message), signature);
        memcpy(bytes + (change->signature - bytes), signature, sizeof signature);
    }
    msy_change_hash(&change_hasher, change->header_bytes, change->signature, hash);
    free(room);
    msy_buf_fini(&hashes);
    msy_buf_fini(&message);
    return true;
}

static void repair_all(uint8_t *data, size_t size)
{
    struct msy_change change;
    uint8_t hash[32];
    bool known = false;
    msy_change_init(&change, &small_store()->alloc);
    for (size_t at = 0; size - at >= 4;) {
        uint32_t len = msy_get_be32(data + at);
        at += 4;
        if (len > size - at) {
            break;
        }
        known = repair(&change, data + at, len, known ? hash : NULL, hash);
        at += len;
    }
    msy_change_fini(&change);
}

/* Appends a true change of the store; the new size. */
static size_t append_true(uint8_t *data, size_t size, size_t max, unsigned seed)
{
    struct msy_store_txn *txn = NULL;
    struct msy_record record;
    small_must(msy_store_begin(small_store()->store, MSY_TXN_READ, &txn) == MESHSYNC_OK);
    if (msy_history_record(txn, SMALL_EARLY_LSN + seed % 18, &record) == MESHSYNC_OK &&
        max - size >= 4 + record.change.len) {
        msy_put_be32(data + size, (uint32_t)record.change.len);
        memcpy(data + size + 4, record.change.data, record.change.len);
        size += 4 + record.change.len;
    }
    msy_store_abort(txn);
    return size;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
    size_t starts[CHANGES_MAX];
    size_t count = 0;
    for (size_t at = 0; size - at >= 4 && count < CHANGES_MAX;) {
        uint32_t len = msy_get_be32(data + at);
        if (len > size - at - 4) {
            break;
        }
        starts[count++] = at;
        at += 4 + len;
    }
    if (count == 0 || (seed % 16 == 0 && count < CHANGES_MAX)) {
        return append_true(data, count == 0 ? 0 : size, max, seed / 16);
    }
    size_t at = starts[seed / 16 % count] + 4;
    size_t len = msy_get_be32(data + at - 4);
    size_t rest = size - at - len;
    uint8_t *tail = malloc(rest + 1);
    small_must(tail != NULL);
    memcpy(tail, data + at + len, rest);
    size_t changed = LLVMFuzzerMutate(data + at, len, max - at - rest);
    msy_put_be32(data + at - 4, (uint32_t)changed);
    memcpy(data + at + changed, tail, rest);
    free(tail);
    if (seed % 8 != 1) {
        repair_all(data, at + changed + rest);
    }
    return at + changed + rest;
}

/* --- the target ------------------------------------------------------------------------------ */

static bool whole(meshsync_bytes bytes)
{
    return msy_msgpack_check(bytes) == bytes.len;
}

static void check_parse(meshsync_bytes bytes)
{
    struct small_store *small = small_store();
    struct msy_change change;
    struct msy_alloc alloc;
    msy_alloc_init(&alloc, NULL, NULL, 0);
    msy_change_init(&change, &alloc);
    if (msy_change_parse(&change, bytes, NULL) == MESHSYNC_OK) {
        uint8_t root[32];
        uint8_t hash[32];
        struct msy_buf scratch;
        uint8_t *hashes = malloc((size_t)change.ops_count * 32);
        meshsync_bytes rest = {change.signature + 64,
                               (size_t)(bytes.data + bytes.len - change.signature) - 64};
        small_must(hashes != NULL &&
                   msy_change_op_hashes(&change_hasher, &change, hashes, root) == MESHSYNC_OK);
        small_must(change.body_bytes.data == rest.data && change.body_bytes.len == rest.len);
        small_must(whole(change.header_bytes) && whole(change.body_bytes));
        msy_change_hash(&change_hasher, change.header_bytes, change.signature, hash);
        msy_buf_init(&scratch, &small->alloc, 64 << 20);
        bool right = memcmp(root, change.header.root, 32) == 0;
        meshsync_status status = msy_change_check(&change_hasher, &change, hash, &scratch);
        small_must(status == (right ? MESHSYNC_OK : MESHSYNC_E_STORE_CORRUPT));
        msy_buf_fini(&scratch);
        free(hashes);
    }
    msy_change_fini(&change);
    small_must(alloc.bytes_used == 0);
}

static void check_verify(struct msy_alloc *alloc, struct msy_store *store)
{
    struct msy_store_txn *txn = NULL;
    meshsync_verify_report report = {.size = sizeof report};
    small_must(msy_store_begin(store, MSY_TXN_READ, &txn) == MESHSYNC_OK);
    small_must(msy_verify_space(alloc, txn, SMALL_SPACE, &report, NULL) == MESHSYNC_OK);
    msy_store_abort(txn);
}

/* Another device's store of the same space, as it was early. */
static struct msy_store *observe(const struct msy_identity *observer)
{
    struct msy_store *store = NULL;
    struct msy_store_txn *txn = NULL;
    uint8_t key[5];
    small_must(msy_store_memory_clone(small_store()->early, &store) == MESHSYNC_OK);
    small_must(msy_store_begin(store, MSY_TXN_WRITE, &txn) == MESHSYNC_OK);
    small_must(msy_store_put(txn, MSY_TABLE_META, msy_key_name(MSY_META_IDENTITY),
                             msy_bytes(msy_identity_public(observer), 32),
                             MSY_PUT_ANY) == MESHSYNC_OK);
    (void)msy_store_del(txn, MSY_TABLE_SPACES, msy_key_space(key, SMALL_SPACE, MSY_SPACE_ROW_OWN));
    small_must(msy_store_commit(txn) == MESHSYNC_OK);
    return store;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct msy_identity *observer;
    struct msy_alloc alloc;
    struct msy_prng prng;
    struct msy_replica *replica = NULL;
    meshsync_status answer = MESHSYNC_OK;
    uint8_t seed[32] = {6};
    (void)small_store();
    small_must(observer != NULL || msy_identity_new(seed, &observer, NULL) == MESHSYNC_OK);
    for (size_t at = 0; size - at >= 4;) {
        uint32_t len = msy_get_be32(data + at);
        if (len > size - at - 4) {
            break;
        }
        check_parse(msy_bytes(data + at + 4, len));
        at += 4 + len;
    }
    msy_alloc_init(&alloc, NULL, NULL, 0);
    msy_prng_init(&prng, 3);
    struct msy_store *store = observe(observer);
    small_must(small_open(&alloc, store, observer, &prng, &replica) == MESHSYNC_OK);
    for (uint32_t i = 0; i < 2; i++) { /* The second time, what was taken is known. */
        struct msy_replica_event changes = {
            .type = MSY_REPLICA_CHANGES, .space = SMALL_SPACE, .bytes = msy_bytes(data, size)};
        struct msy_replica_event tick = {.type = MSY_REPLICA_TICK};
        small_must(small_step(&alloc, replica, &changes, &answer) == MESHSYNC_OK);
        small_must(small_step(&alloc, replica, &tick, &answer) == MESHSYNC_OK);
        small_must(msy_assert_failures() == 0);
    }
    check_verify(&alloc, store);
    msy_replica_close(replica);
    msy_store_close(store);
    small_must(alloc.bytes_used == 0);
    return 0;
}
