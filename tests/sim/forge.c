/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/forge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/path.h"
#include "clock/hlc.h"
#include "store/history.h"
#include "wire/msgpack_check.h"

static const struct msy_hasher forge_hasher = {.hash = msy_hash, .stream = msy_stream};

static void forge_sign(void *user, meshsync_bytes message,
                       uint8_t signature[MSY_CHANGE_SIGNATURE_BYTES])
{
    const struct msy_sim_node *key = user;
    msy_identity_sign(key->identity, message, signature);
}

static void forge_first(struct forge *forge)
{
    struct msy_change_header *header = &forge->header;
    memset(header, 0, sizeof *header);
    memcpy(header->space, forge->sim->tickets[forge->sim->chosen].space, sizeof header->space);
    header->seq = 1;
    header->ordinal = 1;
    memcpy(header->device, msy_identity_public(forge->key->identity), sizeof header->device);
    msy_prng_fill(&forge->prng, header->tag, sizeof header->tag);
}

void forge_init(struct forge *forge, struct meshsync_sim *sim, uint32_t node)
{
    memset(forge, 0, sizeof *forge);
    forge->sim = sim;
    forge->key = msy_sim_node(sim, node);
    forge->hlc = msy_hlc_make(msy_sim_node_unix_ms(forge->key), 0);
    msy_prng_init(&forge->prng, 77 + node);
    msy_builder_init(&forge->builder, &sim->alloc);
    msy_change_init(&forge->change, &sim->alloc);
    msy_buf_init(&forge->hashes, &sim->alloc, FORGE_BYTES_MAX);
    forge_first(forge);
}

void forge_fini(struct forge *forge)
{
    msy_builder_fini(&forge->builder);
    msy_change_fini(&forge->change);
    msy_buf_fini(&forge->hashes);
}

void forge_cause(struct forge *forge, const struct msy_tip *cause)
{
    assert_true(forge->header.heads_count < MSY_CHANGE_HEADS_MAX);
    uint32_t at = forge->header.heads_count++;
    while (at > 0 && msy_actor_compare(&forge->header.heads[at - 1].actor, &cause->actor) > 0) {
        forge->header.heads[at] = forge->header.heads[at - 1];
        at--;
    }
    forge->header.heads[at] = *cause;
}

void forge_kill(struct forge *forge, const struct msy_tip *victim, uint32_t index)
{
    struct msy_ref ref = {
        .actor = victim->actor, .seq = victim->seq, .hash_prefix = msy_get_be64(victim->hash)};
    msy_builder_kill(&forge->builder, &ref, index);
}

void forge_op(struct forge *forge, const char *collection, uint32_t kind, const char *first,
              const char *second, meshsync_bytes payload)
{
    uint8_t path[MESHSYNC_PATH_BYTES_MAX];
    size_t path_len = 0;
    uint32_t index = 0;
    assert_true(msy_path_append(path, &path_len, sizeof path, msy_key_name(first)));
    assert_true(second == NULL ||
                msy_path_append(path, &path_len, sizeof path, msy_key_name(second)));
    assert_int_equal(msy_builder_op(&forge->builder, msy_key_name(collection), kind,
                                    msy_bytes(path, path_len), payload, &index),
                     MESHSYNC_OK);
}

void forge_put(struct forge *forge, const char *collection, const char *key, const char *text)
{
    struct msy_buf payload;
    msy_buf_init(&payload, &forge->sim->alloc, FORGE_BYTES_MAX);
    assert_int_equal(msy_mp_put_str(&payload, msy_key_name(text)), MESHSYNC_OK);
    forge_op(forge, collection, MSY_OP_VALUE, key, NULL, msy_buf_bytes(&payload));
    msy_buf_fini(&payload);
}

static void forge_follow(struct forge *forge, const struct forged *before)
{
    struct msy_change_header *header = &forge->header;
    uint8_t space[MESHSYNC_SPACE_ID_BYTES];
    memcpy(space, header->space, sizeof space);
    memset(header, 0, sizeof *header);
    memcpy(header->space, space, sizeof space);
    header->actor = before->tip.actor;
    header->seq = before->tip.seq + 1;
    memcpy(header->prev, before->tip.hash, sizeof header->prev);
}

void forge_fork(struct forge *forge, const struct forged *before)
{
    if (before != NULL) {
        forge_follow(forge, before);
    } else {
        forge_first(forge);
    }
}

void forge_finish(struct forge *forge, struct forged *out)
{
    uint8_t secret[MSY_CHANGE_SECRET_BYTES];
    struct msy_sim_node *key = msy_sim_node(forge->sim, forge->key->index);
    meshsync_error error = {0};
    msy_prng_fill(&forge->prng, secret, sizeof secret);
    forge->header.hlc = ++forge->hlc;
    msy_buf_reset(&forge->hashes);
    const struct msy_change_seal seal = {
        .secret = secret, .hasher = &forge_hasher, .sign = forge_sign, .user = key};
    const struct msy_built built = {
        .change = &forge->change, .hashes = &forge->hashes, .hash = out->tip.hash};
    if (msy_builder_finish(&forge->builder, &forge->header, &seal, &built, &error) != MESHSYNC_OK) {
        fail_msg("a forged change: %s", error.message);
    }
    assert_true(forge->change.bytes.len <= sizeof out->bytes);
    memcpy(out->bytes, forge->change.bytes.data, forge->change.bytes.len);
    out->len = forge->change.bytes.len;
    out->tip.actor = forge->header.actor;
    out->tip.seq = forge->header.seq;
    msy_builder_reset(&forge->builder);
    forge_follow(forge, out);
}

struct forge_answer forge_deliver(struct meshsync_sim *sim, uint32_t node,
                                  const struct forged *const *changes, uint32_t count)
{
    struct msy_sim_node *at = msy_sim_node(sim, node);
    struct msy_replica_event event = {.type = MSY_REPLICA_CHANGES, .space = at->space};
    struct forge_answer answer = {.status = MESHSYNC_E_STATE};
    struct msy_buf bytes;
    msy_buf_init(&bytes, &sim->alloc, FORGE_BYTES_MAX);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(msy_buf_append_be32(&bytes, (uint32_t)changes[i]->len), MESHSYNC_OK);
        assert_int_equal(msy_buf_append(&bytes, changes[i]->bytes, changes[i]->len), MESHSYNC_OK);
    }
    event.bytes = msy_buf_bytes(&bytes);
    assert_int_equal(msy_sim_writer_now(at, &event, NULL, NULL), MESHSYNC_OK);
    msy_buf_fini(&bytes);
    for (uint32_t i = 0; i < at->replica_effects.count; i++) {
        const struct msy_replica_effect *effect = &at->replica_effects.items[i];
        answer.missing += effect->type == MSY_REPLICA_MISSING ? 1 : 0;
        answer.alarms += effect->type == MSY_REPLICA_ALARM ? 1 : 0;
        if (effect->type == MSY_REPLICA_RECEIVED) {
            answer.status = effect->status;
            answer.accepted = effect->accepted;
            answer.duplicate = effect->duplicate;
            answer.pending = effect->pending;
            answer.rejected = effect->rejected;
        }
    }
    return answer;
}

void forge_last_local(struct meshsync_sim *sim, uint32_t node, struct forged *out)
{
    struct msy_sim_node *at = msy_sim_node(sim, node);
    static struct msy_change_header header; /* Too large for a stack. */
    struct msy_store_txn *txn = NULL;
    struct msy_record record;
    uint64_t lsn = 1;
    out->len = 0;
    assert_int_equal(msy_store_begin(at->store, MSY_TXN_READ, &txn), MESHSYNC_OK);
    while (msy_history_record_from(txn, &lsn, &record) == MESHSYNC_OK) {
        if ((record.flags & MSY_RECORD_LOCAL) != 0 && record.change.len <= sizeof out->bytes) {
            meshsync_bytes header_bytes;
            meshsync_bytes body;
            const uint8_t *signature = NULL;
            memcpy(out->bytes, record.change.data, record.change.len);
            out->len = record.change.len;
            assert_int_equal(
                msy_change_parse_header(record.change, &header, &header_bytes, &signature, &body),
                MESHSYNC_OK);
            out->tip.actor = header.actor;
            out->tip.seq = header.seq;
            memcpy(out->tip.hash, record.hash, sizeof out->tip.hash);
        }
        lsn += 1;
    }
    msy_store_abort(txn);
    assert_true(out->len > 0);
}
