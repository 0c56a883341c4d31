/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session with a peer that speaks Noise properly and then says anything: messages of every type
 * with contents from the input, real changes with bytes turned, broken frames, lost links, late and
 * absurd events. The machine under it must stay in its bounds, and must not call itself broken.
 */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "mesh/machine.h"
#include "replica/read.h"
#include "replica/replica.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    FUZZ_CHANGES = 6,     /* In the store of the machine under test; the peer lacks half. */
    FUZZ_ROUNDS_MAX = 24, /* Of carrying bytes back and forth. */
    FUZZ_OPS_MAX = 64,
    FUZZ_BYTES_MAX = 64 << 20
};

struct fuzz_side {
    struct msy_alloc alloc;
    struct msy_identity *identity;
    struct msy_store *store;
    struct msy_mesh *mesh;
    struct msy_prng prng;
    uint64_t timer_ms;
    struct msy_buf out; /* For the other side. */
    uint32_t link;      /* 0: none. */
    uint64_t submits[64];
    uint32_t submits_count;
    bool dials;
};

static struct msy_store *fuzz_stores[2];
static struct msy_identity *fuzz_identities[2];
static struct msy_alloc fuzz_alloc;
static struct fuzz_side fuzz_sides[2]; /* 0: under test. 1: the peer. */
static uint64_t fuzz_now_ms;
static uint32_t fuzz_accepted; /* Next number of an accepted link. */

static void fuzz_must(bool good)
{
    if (!good) {
        abort();
    }
}

/* --- the stores ------------------------------------------------------------------------------ */

static void fuzz_commit(struct msy_replica *replica, struct msy_replica_event *event)
{
    struct msy_replica_effects effects;
    msy_replica_effects_init(&effects, &fuzz_alloc);
    fuzz_must(msy_replica_step(replica, event, 1, 1700000000000, NULL, NULL, &effects) ==
              MESHSYNC_OK);
    msy_replica_effects_fini(&effects);
}

static void fuzz_prepare(void)
{
    struct msy_prng prng;
    struct msy_replica *replica = NULL;
    uint8_t seed[32] = {0};
    fuzz_must(msy_crypto_init() == MESHSYNC_OK);
    msy_alloc_init(&fuzz_alloc, NULL, NULL, 0);
    msy_prng_init(&prng, 1);
    for (uint8_t i = 0; i < 2; i++) {
        seed[0] = i;
        fuzz_must(msy_identity_new(seed, &fuzz_identities[i], NULL) == MESHSYNC_OK);
    }
    fuzz_must(msy_store_open_memory(&fuzz_alloc, &fuzz_stores[0], NULL) == MESHSYNC_OK);
    struct msy_replica_options options = {.alloc = &fuzz_alloc,
                                          .store = fuzz_stores[0],
                                          .identity = fuzz_identities[0],
                                          .entropy = msy_prng_entropy(&prng),
                                          .clock_ahead_ms_max = 60000};
    fuzz_must(msy_replica_open(&options, 1700000000000, &replica, NULL) == MESHSYNC_OK);
    struct msy_replica_event create = {
        .type = MSY_REPLICA_CREATE, .id = 1, .bytes = msy_key_name("fuzz")};
    fuzz_commit(replica, &create);
    for (uint32_t i = 0; i < FUZZ_CHANGES; i++) {
        uint8_t path[3] = {(uint8_t)('a' + i), 0x00, 0x01};
        static const uint8_t nil[1] = {0xC0};
        struct msy_request request;
        struct msy_intent intent = {
            .type = MSY_INTENT_PUT, .path = msy_bytes(path, 3), .payload = msy_bytes(nil, 1)};
        struct msy_replica_event commit = {
            .type = MSY_REPLICA_COMMIT, .space = 1, .id = 2, .request = &request};
        msy_request_init(&request, &fuzz_alloc);
        fuzz_must(msy_request_add(&request, &intent) == MESHSYNC_OK);
        fuzz_commit(replica, &commit);
        msy_request_fini(&request);
        if (i == FUZZ_CHANGES / 2) {
            fuzz_must(msy_store_memory_clone(fuzz_stores[0], &fuzz_stores[1]) == MESHSYNC_OK);
        }
    }
    msy_replica_close(replica);
}

/* --- the machines ---------------------------------------------------------------------------- */

static meshsync_status fuzz_is_member(void *user, struct msy_store_txn *txn, uint32_t space,
                                      const uint8_t device[32], bool *has)
{
    (void)user;
    (void)txn;
    (void)space;
    (void)device;
    *has = true;
    return MESHSYNC_OK;
}

static meshsync_status fuzz_may_join(void *user, struct msy_store_txn *txn, uint32_t space,
                                     const struct msy_join_claim *claim, bool *may)
{
    return fuzz_is_member(user, txn, space, claim->device, may);
}

static meshsync_status fuzz_digest(void *user, struct msy_store_txn *txn, uint32_t space,
                                   uint8_t digest[32])
{
    meshsync_digest whole = {.size = sizeof whole};
    (void)user;
    meshsync_status status = msy_space_digest(txn, space, &whole);
    memcpy(digest, whole.digest, 32);
    return status;
}

static void fuzz_open(uint32_t index)
{
    struct fuzz_side *side = &fuzz_sides[index];
    memset(side, 0, sizeof *side);
    msy_alloc_init(&side->alloc, NULL, NULL, FUZZ_BYTES_MAX);
    msy_prng_init(&side->prng, 7 + index);
    side->identity = fuzz_identities[index];
    side->timer_ms = UINT64_MAX;
    msy_buf_init(&side->out, &fuzz_alloc, FUZZ_BYTES_MAX);
    fuzz_must(msy_store_memory_clone(fuzz_stores[index], &side->store) == MESHSYNC_OK);
    struct msy_mesh_options options = {
        .alloc = &side->alloc,
        .store = side->store,
        .identity = side->identity,
        .entropy = msy_prng_entropy(&side->prng),
        .ports = {.is_member = fuzz_is_member, .may_join = fuzz_may_join, .digest = fuzz_digest},
        .offer = {.sketch_tips_min = 2},
        .keepalive_ms = 2000,
        .retry_ms_max = 500};
    fuzz_must(msy_mesh_open(&options, fuzz_now_ms, &side->mesh, NULL) == MESHSYNC_OK);
}

static void fuzz_close(uint32_t index)
{
    struct fuzz_side *side = &fuzz_sides[index];
    msy_mesh_close(side->mesh);
    msy_store_close(side->store);
    msy_buf_fini(&side->out);
    fuzz_must(side->alloc.bytes_used == 0);
}

static void fuzz_perform(struct fuzz_side *side, const struct msy_mesh_effect *effect)
{
    switch (effect->type) {
    case MSY_MESH_DIAL:
        side->dials = true;
        side->link = effect->link;
        return;
    case MSY_MESH_SEND:
        if (effect->link == side->link) {
            fuzz_must(msy_buf_append(&side->out, effect->bytes.data, effect->bytes.len) ==
                      MESHSYNC_OK);
        }
        return;
    case MSY_MESH_CLOSE: side->link = effect->link == side->link ? 0 : side->link; return;
    case MSY_MESH_SUBMIT:
        if (side->submits_count < 64) {
            side->submits[side->submits_count] = effect->id;
            side->submits_count += 1;
        }
        return;
    case MSY_MESH_PEER:
    case MSY_MESH_SYNCED:
    case MSY_MESH_ALARM:
    case MSY_MESH_HELD: return;
    }
}

static void fuzz_step(uint32_t index, struct msy_mesh_event *event)
{
    struct fuzz_side *side = &fuzz_sides[index];
    struct msy_mesh_effects effects;
    msy_mesh_effects_init(&effects, &side->alloc);
    event->now_ms = fuzz_now_ms;
    event->unix_ms = 1700000000000 + fuzz_now_ms;
    meshsync_status status = msy_mesh_step(side->mesh, event, &effects, &side->timer_ms);
    fuzz_must(status != MESHSYNC_E_INTERNAL && msy_assert_failures() == 0);
    for (uint32_t i = 0; i < effects.count; i++) {
        fuzz_perform(side, &effects.items[i]);
    }
    msy_mesh_effects_fini(&effects);
}

static void fuzz_tick(uint32_t index)
{
    struct msy_mesh_event tick = {.type = MSY_MESH_TICK};
    fuzz_step(index, &tick);
}

static void fuzz_lose(uint32_t index)
{
    struct msy_mesh_event down = {
        .type = MSY_MESH_LINK_DOWN, .link = fuzz_sides[index].link, .text = "lost"};
    fuzz_sides[index].link = 0;
    msy_buf_reset(&fuzz_sides[index].out);
    fuzz_step(index, &down);
}

/* The peer dialled: both ends come up. */
static void fuzz_connect(void)
{
    struct msy_mesh_event up = {.type = MSY_MESH_LINK_UP, .text = "10.0.0.1:4000"};
    fuzz_sides[1].dials = false;
    if (fuzz_sides[0].link != 0) {
        fuzz_lose(0);
    }
    fuzz_accepted += 2;
    up.link = fuzz_sides[1].link;
    fuzz_step(1, &up);
    fuzz_sides[0].link = fuzz_accepted;
    up.link = fuzz_accepted;
    up.accepted = 1;
    fuzz_step(0, &up);
}

/* Carries what waits, both ways. */
static void fuzz_carry(void)
{
    for (uint32_t round = 0; round < FUZZ_ROUNDS_MAX; round++) {
        bool moved = false;
        if (fuzz_sides[1].dials) {
            fuzz_connect();
        }
        for (uint32_t to = 0; to < 2; to++) {
            struct fuzz_side *from = &fuzz_sides[1 - to];
            if (from->out.len > 0) {
                struct msy_buf lent = from->out;
                struct msy_mesh_event bytes = {.type = MSY_MESH_LINK_BYTES,
                                               .link = fuzz_sides[to].link,
                                               .bytes = msy_buf_bytes(&lent)};
                struct msy_mesh_event drained = {.type = MSY_MESH_LINK_DRAINED, .link = from->link};
                msy_buf_init(&from->out, &fuzz_alloc, FUZZ_BYTES_MAX);
                if (fuzz_sides[to].link != 0) {
                    fuzz_step(to, &bytes);
                }
                fuzz_step(1 - to, &drained);
                msy_buf_fini(&lent);
                moved = true;
            }
            if (from->link == 0 && fuzz_sides[to].link != 0 && from->out.len == 0) {
                fuzz_lose(to);
                moved = true;
            }
        }
        if (!moved) {
            return;
        }
    }
}

/* --- the script ------------------------------------------------------------------------------ */

static uint64_t fuzz_number(struct msy_cursor *script)
{
    uint8_t kind = 0;
    uint64_t number = 0;
    (void)msy_cursor_u8(script, &kind);
    if (kind >= 0xF0) {
        (void)msy_cursor_be64(script, &number);
        return number;
    }
    return kind;
}

static struct msy_tip fuzz_tip(struct msy_cursor *script)
{
    struct msy_tip tip;
    uint8_t which = 0;
    memset(&tip, 0, sizeof tip);
    (void)msy_cursor_u8(script, &which);
    const struct msy_mesh *mesh = fuzz_sides[0].mesh;
    if (which < 128 && mesh->spaces_count > 0 && mesh->spaces[0]->vector.count > 0) {
        tip = mesh->spaces[0]->vector.tips[which % mesh->spaces[0]->vector.count];
        tip.seq = which % 3 == 0 ? tip.seq : 1 + which % 16;
    } else {
        memset(tip.actor.id, which, sizeof tip.actor.id);
        tip.seq = fuzz_number(script);
    }
    return tip;
}

static void fuzz_say_tips(struct msy_cursor *script, struct msy_buf *plain)
{
    static const enum msy_message_type types[3] = {MSY_MESSAGE_VECTOR, MSY_MESSAGE_NOTE,
                                                   MSY_MESSAGE_WANT};
    struct msy_vector tips;
    uint8_t head[2] = {0, 0};
    (void)msy_cursor_copy(script, head, 2);
    msy_vector_init(&tips, &fuzz_alloc);
    for (uint32_t i = 0; i < head[1] % 8u; i++) {
        struct msy_tip tip = fuzz_tip(script);
        fuzz_must(msy_vector_raise(&tips, &tip) == MESHSYNC_OK);
    }
    uint64_t channel = fuzz_number(script);
    (void)msy_message_put_tips(plain, types[head[0] % 3], channel, fuzz_number(script), tips.tips,
                               tips.count);
    msy_vector_fini(&tips);
}

/* A change that the machine under test has, with bytes turned. */
static void fuzz_say_change(struct msy_cursor *script, struct msy_buf *plain)
{
    uint8_t head[4] = {0, 0, 0, 0};
    struct msy_store_txn *txn = NULL;
    struct msy_record record;
    size_t start = plain->len;
    (void)msy_cursor_copy(script, head, 4);
    fuzz_must(msy_store_begin(fuzz_sides[0].store, MSY_TXN_READ, &txn) == MESHSYNC_OK);
    if (msy_history_record(txn, 1u + head[0] % (FUZZ_CHANGES + 1u), &record) == MESHSYNC_OK &&
        msy_message_begin_changes(plain, head[1] & 1u, head[2] & 7u) == MESHSYNC_OK &&
        msy_message_put_change(plain, start, record.change) == MESHSYNC_OK) {
        for (uint32_t i = 0; i < head[3] % 4u; i++) {
            uint64_t at = fuzz_number(script) % record.change.len;
            plain->data[plain->len - record.change.len + at] ^= (uint8_t)fuzz_number(script);
        }
    }
    msy_store_abort(txn);
}

static void fuzz_say_content(struct msy_cursor *script, struct msy_buf *plain, bool framed)
{
    uint8_t head[2] = {0, 0};
    meshsync_bytes content;
    (void)msy_cursor_copy(script, head, 2);
    size_t n = msy_cursor_left(script);
    n = head[1] < n ? head[1] : n;
    (void)msy_cursor_bytes(script, n, &content);
    if (framed) {
        (void)msy_buf_append_u8(plain, head[0]);
        (void)msy_buf_append_be32(plain, (uint32_t)content.len);
    }
    (void)msy_buf_append(plain, content.data, content.len);
}

static void fuzz_say(struct msy_cursor *script, uint8_t op)
{
    struct msy_mesh_link *link = msy_mesh_link_find(fuzz_sides[1].mesh, fuzz_sides[1].link);
    struct msy_buf other;
    msy_buf_init(&other, &fuzz_alloc, 1 << 20); /* Without a session the bytes go nowhere. */
    bool live = link != NULL && link->state == MSY_LINK_LIVE;
    struct msy_buf *plain = live ? &link->plain : &other;
    uint64_t numbers[3] = {0, 0, 0};
    uint8_t type = 0;
    switch (op) {
    case 0: fuzz_say_content(script, plain, true); break;
    case 1: fuzz_say_content(script, plain, false); break;
    case 2:
        (void)msy_cursor_u8(script, &type);
        for (uint32_t i = 0; i < 3; i++) {
            numbers[i] = fuzz_number(script);
        }
        if (type < 0xF0) {
            (void)msy_message_put_numbers(plain, (enum msy_message_type)(1 + type % 16), numbers,
                                          1 + type / 16 % 3u);
        } else {
            (void)msy_message_put_numbers(plain, type % 2 == 0 ? MSY_MESSAGE_SEEK : MSY_MESSAGE_ASK,
                                          numbers, 3);
        }
        break;
    case 3: fuzz_say_tips(script, plain); break;
    default: fuzz_say_change(script, plain); break;
    }
    if (live) {
        link->changes_end = 0;
        fuzz_tick(1);
    }
    msy_buf_fini(&other);
}

static void fuzz_answer(struct msy_cursor *script)
{
    struct fuzz_side *side = &fuzz_sides[0];
    uint8_t counts[4] = {0, 0, 0, 0};
    (void)msy_cursor_copy(script, counts, 4);
    struct msy_mesh_event received = {.type = MSY_MESH_RECEIVED,
                                      .id = counts[3],
                                      .accepted_count = counts[0],
                                      .duplicate_count = counts[1],
                                      .rejected_count = counts[2] > 250 ? 1 : 0};
    if (side->submits_count > 0) {
        side->submits_count -= 1;
        received.id = side->submits[side->submits_count];
    }
    fuzz_step(0, &received);
}

static void fuzz_happen(struct msy_cursor *script, uint8_t op)
{
    struct msy_mesh_event event = {.type = MSY_MESH_SPACES};
    switch (op) {
    case 5:
        fuzz_now_ms += 100 * (fuzz_number(script) & 0xFF);
        fuzz_tick(0);
        fuzz_tick(1);
        return;
    case 6: fuzz_answer(script); return;
    case 7:
        event.type = MSY_MESH_COMMITTED;
        event.lsn_first = fuzz_number(script) % 16;
        event.lsn_last = fuzz_number(script) % 16;
        break;
    case 8:
        event.type = MSY_MESH_MISSING;
        event.space = 1;
        event.tip = fuzz_tip(script);
        break;
    case 9:
        if (fuzz_sides[1].link != 0) {
            fuzz_lose(1);
        }
        return;
    case 10: /* Bytes that were damaged on the way. */
        if (fuzz_sides[1].out.len > 0) {
            fuzz_sides[1].out.data[fuzz_number(script) % fuzz_sides[1].out.len] ^= 0x10;
        }
        return;
    default: break;
    }
    fuzz_step(0, &event);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct msy_cursor script;
    struct msy_mesh_event add = {.type = MSY_MESH_PEER_ADD, .text = "10.0.0.1:4000"};
    if (fuzz_stores[0] == NULL) {
        fuzz_prepare();
    }
    fuzz_now_ms = 1000;
    fuzz_accepted = 0;
    fuzz_open(0);
    fuzz_open(1);
    fuzz_step(1, &add);
    fuzz_carry();
    msy_cursor_init(&script, msy_bytes(data, size));
    for (uint32_t i = 0; i < FUZZ_OPS_MAX && msy_cursor_left(&script) > 0; i++) {
        uint8_t op = 0;
        (void)msy_cursor_u8(&script, &op);
        op %= 12;
        if (op < 5) {
            fuzz_say(&script, op);
        } else {
            fuzz_happen(&script, op);
        }
        fuzz_carry();
        (void)msy_mesh_quiet(fuzz_sides[0].mesh);
    }
    fuzz_close(0);
    fuzz_close(1);
    return 0;
}
