/* SPDX-License-Identifier: Apache-2.0 */
/* Shows that nobody between two ends, and no stranger at one of them, gets past Noise: the input is
 * a script of what is sent on, altered, cut, kept, repeated, made up or called out of turn. What is
 * next in order opens always, and nothing else ever does. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "secure/noise.h"

enum { ENDS = 2, STEPS_MAX = 64, WIRE_BYTES_MAX = 1 << 17, KEY_BYTES = 32, ACTS = 8 };

/* What was written, as hashes. */
struct sent {
    uint8_t wire[KEY_BYTES];
    uint8_t plain[KEY_BYTES];
};

struct ends {
    struct msy_alloc alloc;
    struct msy_noise noise[ENDS];
    struct msy_noise_cipher sending[ENDS];
    struct msy_noise_cipher receiving[ENDS];
    struct sent sent[ENDS][STEPS_MAX];
    size_t sent_count[ENDS];
    size_t taken_count[ENDS]; /* How many an end took in. */
    uint8_t first[KEY_BYTES]; /* What the responder took for the first message. */
    bool live[ENDS];
    struct msy_buf wire;
    struct msy_buf old;
    struct msy_buf plain;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int good)
{
    if (!good) {
        abort();
    }
}

static void hash_of(meshsync_bytes bytes, uint8_t out[KEY_BYTES])
{
    msy_hash(out, KEY_BYTES, &bytes, 1);
}

static void fixed_fill(void *user, void *out, size_t n)
{
    memset(out, *(const uint8_t *)user, n);
}

static void ends_init(struct ends *ends, uint8_t flavour)
{
    static const uint8_t psk[KEY_BYTES] = {1, 2, 3};
    memset(ends, 0, sizeof *ends);
    msy_alloc_init(&ends->alloc, NULL, NULL, 0);
    msy_buf_init(&ends->wire, &ends->alloc, WIRE_BYTES_MAX);
    msy_buf_init(&ends->old, &ends->alloc, WIRE_BYTES_MAX);
    msy_buf_init(&ends->plain, &ends->alloc, WIRE_BYTES_MAX);
    for (uint8_t i = 0; i < ENDS; i++) {
        uint8_t secret[KEY_BYTES];
        uint8_t ephemeral = (uint8_t)(0x21 + i);
        memset(secret, 0x11 + i, sizeof secret);
        struct msy_entropy entropy = {fixed_fill, &secret[0]};
        /* The public key of a secret is that of an ephemeral key made of it. */
        msy_noise_init(&ends->noise[i], i == 0, &(struct msy_noise_keys){secret, secret, NULL},
                       (meshsync_bytes){NULL, 0}, entropy);
        uint8_t public_key[KEY_BYTES];
        memcpy(public_key, ends->noise[i].e_public, sizeof public_key);
        entropy.user = &ephemeral;
        msy_noise_init(&ends->noise[i], i == 0,
                       &(struct msy_noise_keys){secret, public_key, flavour % 2 == 0 ? NULL : psk},
                       (meshsync_bytes){NULL, 0}, entropy);
    }
}

static void ends_fini(struct ends *ends)
{
    for (size_t i = 0; i < ENDS; i++) {
        msy_noise_fini(&ends->noise[i]);
        msy_noise_cipher_wipe(&ends->sending[i]);
        msy_noise_cipher_wipe(&ends->receiving[i]);
    }
    msy_buf_fini(&ends->wire);
    msy_buf_fini(&ends->old);
    msy_buf_fini(&ends->plain);
    must(ends->alloc.bytes_used == 0);
}

/* The first message is in the clear: the responder takes any, and what follows has to fail. */
static bool ends_spoilt(const struct ends *ends)
{
    return ends->taken_count[1] > 0 &&
           (ends->sent_count[0] == 0 ||
            memcmp(ends->first, ends->sent[0][0].wire, sizeof ends->first) != 0);
}

static void end_go_live(struct ends *ends, size_t end)
{
    if (!ends->live[end] && msy_noise_done(&ends->noise[end])) {
        msy_noise_split(&ends->noise[end], &ends->sending[end], &ends->receiving[end]);
        ends->live[end] = true;
    }
    if (ends->live[0] && ends->live[1]) {
        must(!ends_spoilt(ends));
        must(memcmp(ends->noise[0].h, ends->noise[1].h, sizeof ends->noise[0].h) == 0);
    }
}

static bool end_may_take(const struct ends *ends, size_t end)
{
    const struct msy_noise *noise = &ends->noise[end];
    return ends->live[end] ? ends->receiving[end].has_key
                           : !noise->failed && !msy_noise_must_write(noise);
}

/* What is on the wire comes to an end. */
static void end_take(struct ends *ends, size_t to)
{
    uint8_t wire[KEY_BYTES];
    uint8_t plain[KEY_BYTES];
    size_t from = 1 - to;
    size_t next = ends->taken_count[to];
    bool may = end_may_take(ends, to);
    bool first = to == 1 && next == 0;
    hash_of(msy_buf_bytes(&ends->wire), wire);
    bool due = !ends_spoilt(ends) && next < ends->sent_count[from] &&
               memcmp(wire, ends->sent[from][next].wire, sizeof wire) == 0;
    msy_buf_reset(&ends->plain);
    meshsync_status status =
        ends->live[to]
            ? msy_noise_open(&ends->receiving[to], msy_buf_bytes(&ends->wire), &ends->plain)
            : msy_noise_read(&ends->noise[to], msy_buf_bytes(&ends->wire), &ends->plain);
    if (status != MESHSYNC_OK) {
        must(status == (may ? MESHSYNC_E_AUTH : MESHSYNC_E_STATE));
        must(ends->plain.len == 0 && !(may && due));
        return;
    }
    must(may && (due || first));
    if (due) {
        hash_of(msy_buf_bytes(&ends->plain), plain);
        must(memcmp(plain, ends->sent[from][next].plain, sizeof plain) == 0);
    }
    if (first) {
        memcpy(ends->first, wire, sizeof ends->first);
    }
    ends->taken_count[to] += 1;
    end_go_live(ends, to);
}

/* Writes the next message or record of an end; false: it has none to write. */
static bool end_write(struct ends *ends, size_t from, meshsync_bytes payload)
{
    msy_buf_reset(&ends->wire);
    meshsync_status status = ends->live[from]
                                 ? msy_noise_seal(&ends->sending[from], payload, &ends->wire)
                                 : msy_noise_write(&ends->noise[from], payload, &ends->wire);
    if (status != MESHSYNC_OK) {
        must(ends->wire.len == 0);
        return false;
    }
    struct sent *sent = &ends->sent[from][ends->sent_count[from]++];
    hash_of(msy_buf_bytes(&ends->wire), sent->wire);
    hash_of(payload, sent->plain);
    end_go_live(ends, from);
    return true;
}

/* Something else than what was written: altered at one place, cut, longer, or replaced. */
static void wire_alter(struct ends *ends, uint8_t how, meshsync_bytes extra)
{
    size_t len = ends->wire.len;
    uint8_t place = extra.len > 0 ? extra.data[0] : 0;
    switch (how % 3) {
    case 0: ends->wire.data[place % len] ^= (uint8_t)(1u << how / 3 % 8); break;
    case 1: ends->wire.len = len - 1 - place % len; break;
    default: must(msy_buf_append_u8(&ends->wire, place) == MESHSYNC_OK); break;
    }
}

static void wire_put(struct ends *ends, meshsync_bytes bytes)
{
    msy_buf_reset(&ends->wire);
    must(msy_buf_append(&ends->wire, bytes.data, bytes.len) == MESHSYNC_OK);
}

/* Ciphers that are asked for at a wrong time have no key. */
static void end_split_early(struct ends *ends, size_t end)
{
    struct msy_noise_cipher one;
    struct msy_noise_cipher other;
    msy_noise_split(&ends->noise[end], &one, &other);
    must(!one.has_key && !other.has_key);
}

static void ends_act(struct ends *ends, uint8_t act, meshsync_bytes extra)
{
    size_t from = act / ACTS % 2;
    uint8_t how = (uint8_t)(act / (2 * ACTS));
    switch (act % ACTS) {
    case 0: /* Altered. */
        if (end_write(ends, from, extra)) {
            wire_alter(ends, how, extra);
            end_take(ends, 1 - from);
        }
        break;
    case 1: /* Kept back. */
        if (end_write(ends, from, extra)) {
            msy_buf_reset(&ends->old);
            must(msy_buf_append(&ends->old, ends->wire.data, ends->wire.len) == MESHSYNC_OK);
        }
        break;
    case 2: /* What was kept, to either end, and perhaps not for the first time. */
        wire_put(ends, msy_buf_bytes(&ends->old));
        end_take(ends, from);
        break;
    case 3: /* Made up. */
        wire_put(ends, extra);
        end_take(ends, from);
        break;
    case 4: end_split_early(ends, from); break;
    default: /* Sent on as it is, and perhaps twice. */
        if (end_write(ends, from, extra)) {
            end_take(ends, 1 - from);
            if (how == 1) {
                end_take(ends, 1 - from);
            }
        }
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ends ends;
    struct msy_cursor script;
    uint8_t flavour = 0;
    uint8_t act = 0;
    if (msy_crypto_init() != MESHSYNC_OK) {
        return 0;
    }
    msy_cursor_init(&script, (meshsync_bytes){data, size});
    (void)msy_cursor_u8(&script, &flavour);
    ends_init(&ends, flavour);
    for (int i = 0; i < STEPS_MAX && msy_cursor_u8(&script, &act); i++) {
        uint8_t len = 0;
        meshsync_bytes extra = {NULL, 0};
        (void)msy_cursor_u8(&script, &len);
        if (msy_cursor_left(&script) < len) {
            len = (uint8_t)msy_cursor_left(&script);
        }
        (void)msy_cursor_bytes(&script, len, &extra);
        ends_act(&ends, act, extra);
    }
    ends_fini(&ends);
    return 0;
}
