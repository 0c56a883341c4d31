/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/replica/replica_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/path.h"
#include "store/history.h"
#include "wire/msgpack_check.h"

enum { KIT_START_MS = 1700000000, KIT_BYTES_MAX = 16 << 20 };

static void kit_machine(struct kit *kit)
{
    struct msy_replica_options options = {.alloc = &kit->alloc,
                                          .store = kit->store,
                                          .identity = kit->identity,
                                          .entropy = msy_prng_entropy(&kit->prng),
                                          .clock_ahead_ms_max = 60000};
    assert_int_equal(msy_replica_open(&options, kit->now_ms, &kit->machine, NULL), MESHSYNC_OK);
}

static void kit_begin(struct kit *kit, uint64_t seed)
{
    memset(kit, 0, sizeof *kit);
    assert_int_equal(msy_crypto_init(), MESHSYNC_OK);
    msy_alloc_init(&kit->alloc, NULL, NULL, 0);
    msy_prng_init(&kit->prng, seed);
    msy_replica_effects_init(&kit->effects, &kit->alloc);
    kit->now_ms = (uint64_t)KIT_START_MS * 1000;
}

void kit_open(struct kit *kit, uint8_t seed, struct fail_plan *plan)
{
    uint8_t bytes[MSY_SIGN_SEED_BYTES];
    kit_begin(kit, seed);
    memset(bytes, seed, sizeof bytes);
    assert_int_equal(msy_identity_new(bytes, &kit->identity, NULL), MESHSYNC_OK);
    assert_int_equal(msy_store_open_memory(&kit->alloc, &kit->store, NULL), MESHSYNC_OK);
    if (plan != NULL) {
        kit->store = fail_store_open(kit->store, plan);
    }
    kit_machine(kit);
}

void kit_clone(struct kit *kit, const struct kit *from)
{
    kit_begin(kit, 99);
    kit->identity = from->identity;
    kit->is_clone = true;
    kit->space = from->space;
    kit->now_ms = from->now_ms;
    assert_int_equal(msy_store_memory_clone(from->store, &kit->store), MESHSYNC_OK);
    kit_machine(kit);
}

void kit_reopen(struct kit *kit)
{
    msy_replica_close(kit->machine);
    kit_machine(kit);
}

void kit_close(struct kit *kit)
{
    msy_replica_close(kit->machine);
    msy_replica_effects_fini(&kit->effects);
    msy_store_close(kit->store);
    if (!kit->is_clone) {
        msy_identity_free(kit->identity);
    }
}

struct msy_replica_effect kit_step(struct kit *kit, struct msy_replica_event *event)
{
    event->id = 7;
    kit->now_ms += 10;
    assert_int_equal(
        msy_replica_step(kit->machine, event, 1, kit->now_ms, NULL, NULL, &kit->effects),
        MESHSYNC_OK);
    for (uint32_t i = 0; i < kit->effects.count; i++) {
        const struct msy_replica_effect *effect = &kit->effects.items[i];
        if (effect->id == 7 &&
            (effect->type == MSY_REPLICA_DONE || effect->type == MSY_REPLICA_RECEIVED)) {
            return *effect;
        }
    }
    fail_msg("no answer");
    return (struct msy_replica_effect){.type = MSY_REPLICA_ALARM};
}

struct msy_replica_effect kit_create(struct kit *kit, meshsync_bytes name)
{
    struct msy_replica_event event = {.type = MSY_REPLICA_CREATE, .bytes = name};
    struct msy_replica_effect done = kit_step(kit, &event);
    kit->space = done.status == MESHSYNC_OK ? done.space : kit->space;
    return done;
}

struct msy_replica_effect kit_put(struct kit *kit, const char *collection, meshsync_bytes first,
                                  meshsync_bytes second, meshsync_bytes payload)
{
    uint8_t path[MESHSYNC_PATH_BYTES_MAX];
    size_t len = 0;
    struct msy_request request;
    struct msy_intent intent = {.type = MSY_INTENT_PUT, .collection = msy_key_name(collection)};
    struct msy_replica_event event = {
        .type = MSY_REPLICA_COMMIT, .space = kit->space, .request = &request};
    assert_true(msy_path_append(path, &len, sizeof path, first));
    if (second.len > 0) {
        assert_true(msy_path_append(path, &len, sizeof path, second));
    }
    intent.path = msy_bytes(path, len);
    intent.payload = payload;
    msy_request_init(&request, &kit->alloc);
    assert_int_equal(msy_request_add(&request, &intent), MESHSYNC_OK);
    struct msy_replica_effect done = kit_step(kit, &event);
    msy_request_fini(&request);
    return done;
}

static struct msy_replica_effect kit_record(struct kit *kit, const char *word, meshsync_bytes name,
                                            const struct msy_buf *array)
{
    struct msy_buf payload;
    msy_buf_init(&payload, &kit->alloc, KIT_BYTES_MAX);
    assert_int_equal(msy_mp_put_ext(&payload, 2, msy_buf_bytes(array)), MESHSYNC_OK);
    struct msy_replica_effect done =
        kit_put(kit, "", msy_key_name(word), name, msy_buf_bytes(&payload));
    msy_buf_fini(&payload);
    return done;
}

struct msy_replica_effect kit_schema(struct kit *kit, const char *name, uint64_t type,
                                     uint64_t view)
{
    struct msy_buf array;
    msy_buf_init(&array, &kit->alloc, KIT_BYTES_MAX);
    assert_int_equal(msy_mp_put_array(&array, 6), MESHSYNC_OK);
    assert_int_equal(msy_mp_put_uint(&array, 1), MESHSYNC_OK);
    assert_int_equal(msy_mp_put_uint(&array, type), MESHSYNC_OK);
    assert_int_equal(msy_mp_put_uint(&array, view), MESHSYNC_OK);
    assert_int_equal(msy_mp_put_str(&array, msy_key_name("merge")), MESHSYNC_OK);
    assert_int_equal(msy_mp_put_uint(&array, 3), MESHSYNC_OK);
    assert_int_equal(msy_mp_put_uint(&array, 0), MESHSYNC_OK);
    struct msy_replica_effect done = kit_record(kit, "schema", msy_key_name(name), &array);
    msy_buf_fini(&array);
    return done;
}

struct msy_replica_effect kit_bring(struct kit *kit, struct kit *from)
{
    struct msy_store_txn *txn = NULL;
    struct msy_record record;
    struct msy_buf bytes;
    struct msy_replica_event event = {.type = MSY_REPLICA_CHANGES, .space = kit->space};
    msy_buf_init(&bytes, &kit->alloc, KIT_BYTES_MAX);
    assert_int_equal(msy_store_begin(from->store, MSY_TXN_READ, &txn), MESHSYNC_OK);
    for (uint64_t lsn = 1; msy_history_record_from(txn, &lsn, &record) == MESHSYNC_OK; lsn++) {
        if (record.space == from->space) {
            assert_int_equal(msy_buf_append_be32(&bytes, (uint32_t)record.change.len), MESHSYNC_OK);
            assert_int_equal(msy_buf_append(&bytes, record.change.data, record.change.len),
                             MESHSYNC_OK);
        }
    }
    msy_store_abort(txn);
    event.bytes = msy_buf_bytes(&bytes);
    struct msy_replica_effect answer = kit_step(kit, &event);
    msy_buf_fini(&bytes);
    return answer;
}

void kit_ticket(struct kit *kit, struct msy_ticket *ticket)
{
    struct msy_space_row_descriptor row;
    struct msy_store_txn *txn = NULL;
    struct msy_buf array;
    uint8_t invite[MSY_SIGN_PUBLIC_BYTES];
    uint32_t space = 0;
    memset(ticket, 0, sizeof *ticket);
    assert_int_equal(msy_store_begin(kit->store, MSY_TXN_READ, &txn), MESHSYNC_OK);
    assert_int_equal(msy_history_next_space(txn, &space, &row), MESHSYNC_OK);
    msy_store_abort(txn);
    memcpy(ticket->space, row.id, sizeof ticket->space);
    memcpy(ticket->founder, row.founder, sizeof ticket->founder);
    memcpy(ticket->nonce, row.nonce, sizeof ticket->nonce);
    memcpy(ticket->discovery, row.discovery, sizeof ticket->discovery);
    msy_prng_fill(&kit->prng, ticket->invite_seed, sizeof ticket->invite_seed);
    memcpy(ticket->name, "theirs", 7);
    msy_sign_public(invite, ticket->invite_seed);
    msy_buf_init(&array, &kit->alloc, KIT_BYTES_MAX);
    assert_int_equal(msy_mp_put_array(&array, 4), MESHSYNC_OK);
    assert_int_equal(msy_mp_put_uint(&array, 1), MESHSYNC_OK);
    for (uint32_t i = 0; i < 3; i++) { /* Role, expiry, uses. */
        assert_int_equal(msy_mp_put_uint(&array, 0), MESHSYNC_OK);
    }
    kit->space = space;
    assert_int_equal(kit_record(kit, "invite", msy_bytes(invite, 32), &array).status, MESHSYNC_OK);
    msy_buf_fini(&array);
}
