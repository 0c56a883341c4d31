/* SPDX-License-Identifier: Apache-2.0 */
/* Shows that the handshake and the transport give the published bytes and our own, and that whoever
 * alters, drops, repeats, swaps or cuts what is sent ends the session and learns nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/buf.h"
#include "secure/noise.h"
#include "unit/secure/secure_kit.h"

enum { HANDSHAKE_MESSAGES = 3, WIRE_BYTES_MAX = 1 << 17, KEY_BYTES = 32 };

static const meshsync_bytes nothing = {NULL, 0};

/* ---- Two ends ---- */

static void fixed_fill(void *user, void *out, size_t n)
{
    assert_int_equal(n, KEY_BYTES);
    memcpy(out, user, n);
}

static struct msy_entropy fixed_entropy(uint8_t bytes[KEY_BYTES])
{
    return (struct msy_entropy){fixed_fill, bytes};
}

static meshsync_bytes bytes_of(const char *text)
{
    return (meshsync_bytes){(const uint8_t *)text, strlen(text)};
}

static uint8_t *secret_of(const char *name, uint8_t out[KEY_BYTES])
{
    const meshsync_bytes part = bytes_of(name);
    msy_hash(out, KEY_BYTES, &part, 1);
    return out;
}

/* X25519's base function, by way of an ephemeral key. */
static void public_of(uint8_t secret[KEY_BYTES], uint8_t public_key[KEY_BYTES])
{
    struct msy_noise noise;
    msy_noise_init(&noise, true, &(struct msy_noise_keys){secret, secret, NULL}, nothing,
                   fixed_entropy(secret));
    memcpy(public_key, noise.e_public, KEY_BYTES);
    msy_noise_fini(&noise);
}

struct ends {
    struct msy_alloc alloc;
    struct msy_noise noise[2]; /* The initiator, the responder. */
    struct msy_noise_cipher sending[2];
    struct msy_noise_cipher receiving[2];
    struct msy_buf wire;  /* The last message. */
    struct msy_buf plain; /* What was read of it. */
};

static void ends_init_as(struct ends *ends, const char *names[2], const uint8_t *psk[2],
                         const meshsync_bytes prologue[2])
{
    static const char *ephemerals[2] = {"ephemeral of a", "ephemeral of b"};
    memset(ends, 0, sizeof *ends);
    msy_alloc_init(&ends->alloc, NULL, NULL, 0);
    msy_buf_init(&ends->wire, &ends->alloc, WIRE_BYTES_MAX);
    msy_buf_init(&ends->plain, &ends->alloc, WIRE_BYTES_MAX);
    for (size_t i = 0; i < 2; i++) {
        uint8_t secret[KEY_BYTES];
        uint8_t public_key[KEY_BYTES];
        uint8_t ephemeral[KEY_BYTES];
        public_of(secret_of(names[i], secret), public_key);
        msy_noise_init(&ends->noise[i], i == 0,
                       &(struct msy_noise_keys){secret, public_key, psk[i]}, prologue[i],
                       fixed_entropy(secret_of(ephemerals[i], ephemeral)));
    }
}

static void ends_init(struct ends *ends, bool psk)
{
    static const char *names[2] = {"static of a", "static of b"};
    static const uint8_t shared[KEY_BYTES] = {7, 7, 7};
    const uint8_t *psks[2] = {psk ? shared : NULL, psk ? shared : NULL};
    const meshsync_bytes prologue[2] = {bytes_of("meshsync"), bytes_of("meshsync")};
    ends_init_as(ends, names, psks, prologue);
}

static void ends_fini(struct ends *ends)
{
    for (size_t i = 0; i < 2; i++) {
        msy_noise_fini(&ends->noise[i]);
        msy_noise_cipher_wipe(&ends->sending[i]);
        msy_noise_cipher_wipe(&ends->receiving[i]);
    }
    msy_buf_fini(&ends->wire);
    msy_buf_fini(&ends->plain);
    assert_int_equal(ends->alloc.bytes_used, 0);
}

static size_t writer_of(size_t message)
{
    return message % 2;
}

static meshsync_status ends_write(struct ends *ends, size_t message)
{
    static const char *payloads[HANDSHAKE_MESSAGES] = {"", "who I am", "and I"};
    msy_buf_reset(&ends->wire);
    return msy_noise_write(&ends->noise[writer_of(message)], bytes_of(payloads[message]),
                           &ends->wire);
}

static meshsync_status ends_read(struct ends *ends, size_t message)
{
    msy_buf_reset(&ends->plain);
    return msy_noise_read(&ends->noise[1 - writer_of(message)], msy_buf_bytes(&ends->wire),
                          &ends->plain);
}

/* Messages from first on, up to but without last. */
static meshsync_status ends_exchange(struct ends *ends, size_t first, size_t last)
{
    meshsync_status status = MESHSYNC_OK;
    for (size_t i = first; i < last && status == MESHSYNC_OK; i++) {
        status = ends_write(ends, i);
        if (status == MESHSYNC_OK) {
            status = ends_read(ends, i);
        }
    }
    return status;
}

static void ends_split(struct ends *ends)
{
    for (size_t i = 0; i < 2; i++) {
        assert_true(msy_noise_done(&ends->noise[i]));
        msy_noise_split(&ends->noise[i], &ends->sending[i], &ends->receiving[i]);
    }
}

static void ends_live(struct ends *ends, bool psk)
{
    ends_init(ends, psk);
    assert_int_equal(ends_exchange(ends, 0, HANDSHAKE_MESSAGES), MESHSYNC_OK);
    ends_split(ends);
}

static meshsync_status ends_seal(struct ends *ends, size_t from, const char *text)
{
    msy_buf_reset(&ends->wire);
    return msy_noise_seal(&ends->sending[from], bytes_of(text), &ends->wire);
}

static meshsync_status ends_open(struct ends *ends, size_t from)
{
    msy_buf_reset(&ends->plain);
    return msy_noise_open(&ends->receiving[1 - from], msy_buf_bytes(&ends->wire), &ends->plain);
}

static void ends_say(struct ends *ends, size_t from, const char *text)
{
    assert_int_equal(ends_seal(ends, from, text), MESHSYNC_OK);
    assert_int_equal(ends_open(ends, from), MESHSYNC_OK);
    assert_int_equal(ends->plain.len, strlen(text));
    assert_memory_equal(ends->plain.data, text, strlen(text));
}

static bool all_zero(const void *bytes, size_t n)
{
    const uint8_t *at = bytes;
    for (size_t i = 0; i < n; i++) {
        if (at[i] != 0) {
            return false;
        }
    }
    return true;
}

static void assert_no_secrets(const struct msy_noise *noise)
{
    assert_true(all_zero(&noise->cipher, sizeof noise->cipher));
    assert_true(all_zero(noise->ck, sizeof noise->ck));
    assert_true(all_zero(noise->s_secret, sizeof noise->s_secret));
    assert_true(all_zero(noise->e_secret, sizeof noise->e_secret));
    assert_true(all_zero(noise->psk, sizeof noise->psk));
}

/* ---- Vectors ---- */

static size_t field(const json_t *row, const char *name, uint8_t *out, size_t max)
{
    const char *text = json_string_value(json_object_get(row, name));
    return text == NULL ? 0 : kit_hex(text, out, max);
}

static void vector_init_end(const json_t *row, struct ends *ends, size_t end, bool psk)
{
    static const char *names[2][4] = {
        {"init_static", "init_ephemeral", "init_prologue", "init_psks"},
        {"resp_static", "resp_ephemeral", "resp_prologue", "resp_psks"}};
    uint8_t secret[KEY_BYTES];
    uint8_t public_key[KEY_BYTES];
    uint8_t ephemeral[KEY_BYTES];
    uint8_t prologue[256];
    uint8_t key[KEY_BYTES];
    assert_int_equal(field(row, names[end][0], secret, KEY_BYTES), KEY_BYTES);
    assert_int_equal(field(row, names[end][1], ephemeral, KEY_BYTES), KEY_BYTES);
    size_t prologue_len = field(row, names[end][2], prologue, sizeof prologue);
    if (psk) {
        const json_t *keys = json_object_get(row, names[end][3]);
        assert_int_equal(json_array_size(keys), 1);
        const char *text = json_string_value(json_array_get(keys, 0));
        assert_non_null(text);
        assert_int_equal(kit_hex(text, key, KEY_BYTES), KEY_BYTES);
    }
    public_of(secret, public_key);
    msy_noise_init(&ends->noise[end], end == 0,
                   &(struct msy_noise_keys){secret, public_key, psk ? key : NULL},
                   (meshsync_bytes){prologue, prologue_len}, fixed_entropy(ephemeral));
}

/* Ours also begin the transport at a point where it soon rekeys. */
static void vector_split(const json_t *row, struct ends *ends)
{
    uint8_t hash[64];
    const json_t *nonce = json_object_get(row, "transport_nonce");
    const json_t *bytes = json_object_get(row, "transport_bytes");
    assert_int_equal(field(row, "handshake_hash", hash, sizeof hash), sizeof hash);
    ends_split(ends);
    for (size_t i = 0; i < 2; i++) {
        assert_memory_equal(ends->noise[i].h, hash, sizeof hash);
        assert_no_secrets(&ends->noise[i]);
        if (nonce != NULL) {
            ends->sending[i].nonce = (uint64_t)json_integer_value(nonce);
            ends->receiving[i].nonce = (uint64_t)json_integer_value(nonce);
        }
        if (bytes != NULL) {
            ends->sending[i].sealed_bytes = (uint64_t)json_integer_value(bytes);
            ends->receiving[i].sealed_bytes = (uint64_t)json_integer_value(bytes);
        }
    }
}

static void vector_message(const json_t *message, struct ends *ends, size_t number)
{
    uint8_t payload[1024];
    uint8_t wire[2048];
    size_t from = writer_of(number);
    size_t payload_len = field(message, "payload", payload, sizeof payload);
    size_t wire_len = field(message, "ciphertext", wire, sizeof wire);
    const meshsync_bytes plain = {payload, payload_len};
    msy_buf_reset(&ends->wire);
    meshsync_status status = number < HANDSHAKE_MESSAGES
                                 ? msy_noise_write(&ends->noise[from], plain, &ends->wire)
                                 : msy_noise_seal(&ends->sending[from], plain, &ends->wire);
    assert_int_equal(status, MESHSYNC_OK);
    assert_int_equal(ends->wire.len, wire_len);
    assert_memory_equal(ends->wire.data, wire, wire_len);
    status = number < HANDSHAKE_MESSAGES ? ends_read(ends, number) : ends_open(ends, from);
    assert_int_equal(status, MESHSYNC_OK);
    assert_int_equal(ends->plain.len, payload_len);
    if (payload_len > 0) {
        assert_memory_equal(ends->plain.data, payload, payload_len);
    }
}

static void vector_run(const json_t *row, bool psk)
{
    struct ends ends;
    size_t number;
    const json_t *message;
    const json_t *messages = json_object_get(row, "messages");
    ends_init(&ends, false);
    assert_true(json_array_size(messages) > HANDSHAKE_MESSAGES);
    vector_init_end(row, &ends, 0, psk);
    vector_init_end(row, &ends, 1, psk);
    json_array_foreach(messages, number, message)
    {
        vector_message(message, &ends, number);
        if (number == HANDSHAKE_MESSAGES - 1) {
            vector_split(row, &ends);
        }
    }
    ends_fini(&ends);
}

/* How many of the file are of our two protocols; each of them has to hold. */
static size_t vectors_run(const json_t *file)
{
    size_t index;
    size_t count = 0;
    const json_t *row;
    json_array_foreach(json_object_get(file, "vectors"), index, row)
    {
        const char *name = json_string_value(json_object_get(row, "protocol_name"));
        assert_non_null(name);
        bool plain = strcmp(name, "Noise_XX_25519_ChaChaPoly_BLAKE2b") == 0;
        bool psk = strcmp(name, "Noise_XXpsk3_25519_ChaChaPoly_BLAKE2b") == 0;
        if (plain || psk) {
            vector_run(row, psk);
            count += 1;
        }
    }
    return count;
}

static json_t *vectors_open(const char *folder, const char *name)
{
    char path[1024];
    int len = snprintf(path, sizeof path, "%s/%s", folder, name);
    return len > 0 && (size_t)len < sizeof path ? json_load_file(path, 0, NULL) : NULL;
}

static void the_published_vectors_hold(void **state)
{
    (void)state;
    static const char name[] = "noise-cacophony.json";
    const char *folder = getenv("MESHSYNC_VECTORS_DIR");
    json_t *file = NULL;
    if (folder != NULL) {
        file = vectors_open(folder, name);
        assert_non_null(file); /* Whoever names a folder wants it to be used. */
    }
    if (file == NULL) {
        file = vectors_open("../shared/vectors", name);
    }
    if (file == NULL) {
        file = vectors_open("../../shared/vectors", name);
    }
    if (file == NULL) {
        print_message("no %s in MESHSYNC_VECTORS_DIR or ../shared/vectors: the published vectors "
                      "are NOT checked\n",
                      name);
        skip();
    }
    size_t count = vectors_run(file);
    print_message("%zu published vectors\n", count);
    assert_true(count >= 2);
    json_decref(file);
}

static void our_own_vectors_hold(void **state)
{
    (void)state;
    json_t *file = vectors_open("tests/vectors", "noise.json");
    assert_non_null(file);
    assert_int_equal(vectors_run(file), json_array_size(json_object_get(file, "vectors")));
    assert_true(json_array_size(json_object_get(file, "vectors")) >= 5);
    json_decref(file);
}

/* ---- Handshake ---- */

static void both_ends_learn_each_other_and_speak(void **state)
{
    (void)state;
    for (int psk = 0; psk < 2; psk++) {
        struct ends ends;
        ends_init(&ends, psk == 1);
        assert_true(msy_noise_must_write(&ends.noise[0]));
        assert_false(msy_noise_must_write(&ends.noise[1]));
        assert_int_equal(ends_exchange(&ends, 0, 2), MESHSYNC_OK);
        assert_memory_equal(ends.plain.data, "who I am", ends.plain.len);
        assert_false(msy_noise_done(&ends.noise[0]));
        assert_int_equal(ends_exchange(&ends, 2, 3), MESHSYNC_OK);
        assert_memory_equal(ends.noise[0].rs, ends.noise[1].s_public, KEY_BYTES);
        assert_memory_equal(ends.noise[1].rs, ends.noise[0].s_public, KEY_BYTES);
        assert_memory_equal(ends.noise[0].h, ends.noise[1].h, sizeof ends.noise[0].h);
        ends_split(&ends);
        assert_memory_not_equal(ends.sending[0].key, ends.receiving[0].key, KEY_BYTES);
        ends_say(&ends, 0, "one");
        ends_say(&ends, 0, "");
        ends_say(&ends, 1, "two");
        ends_fini(&ends);
        assert_true(all_zero(ends.noise, sizeof ends.noise));
        assert_true(all_zero(ends.sending, sizeof ends.sending));
    }
}

/* The handshake goes on as far as it can after message was altered; nobody may be taken in. */
static void assert_altered_fails(struct ends *ends, size_t message)
{
    meshsync_status status = ends_read(ends, message);
    if (status == MESHSYNC_OK) { /* Only the first message is in the clear. */
        assert_int_equal(message, 0);
        status = ends_exchange(ends, 1, HANDSHAKE_MESSAGES);
    }
    assert_int_equal(status, MESHSYNC_E_AUTH);
    assert_false(msy_noise_done(&ends->noise[0]) && msy_noise_done(&ends->noise[1]));
    size_t failed = ends->noise[0].failed ? 0 : 1;
    assert_true(ends->noise[failed].failed);
    assert_int_equal(ends->plain.len, 0);
    assert_no_secrets(&ends->noise[failed]);
    assert_int_equal(ends_read(ends, 1 - failed), MESHSYNC_E_STATE);
    assert_int_equal(ends_write(ends, failed), MESHSYNC_E_STATE);
    msy_noise_split(&ends->noise[failed], &ends->sending[0], &ends->receiving[0]);
    assert_int_equal(ends_seal(ends, 0, "x"), MESHSYNC_E_STATE);
}

static size_t message_bytes(size_t message, bool psk)
{
    struct ends ends;
    ends_init(&ends, psk);
    assert_int_equal(ends_exchange(&ends, 0, message), MESHSYNC_OK);
    assert_int_equal(ends_write(&ends, message), MESHSYNC_OK);
    size_t len = ends.wire.len;
    ends_fini(&ends);
    return len;
}

/* Runs up to a message and has it on the wire. */
static void ends_at(struct ends *ends, size_t message, bool psk)
{
    ends_init(ends, psk);
    assert_int_equal(ends_exchange(ends, 0, message), MESHSYNC_OK);
    assert_int_equal(ends_write(ends, message), MESHSYNC_OK);
}

static void every_flipped_byte_ends_the_handshake(void **state)
{
    (void)state;
    for (size_t round = 0; round < 2 * HANDSHAKE_MESSAGES; round++) {
        size_t message = round / 2;
        bool psk = round % 2 == 1;
        size_t len = message_bytes(message, psk);
        for (size_t at = 0; at < len; at++) {
            struct ends ends;
            ends_at(&ends, message, psk);
            ends.wire.data[at] ^= (uint8_t)(1u << at % 8);
            assert_altered_fails(&ends, message);
            ends_fini(&ends);
        }
        struct ends ends; /* X25519 itself ignores this bit; the transcript does not. */
        ends_at(&ends, message, psk);
        ends.wire.data[KEY_BYTES - 1] ^= 0x80u;
        assert_altered_fails(&ends, message);
        ends_fini(&ends);
    }
}

static void every_cut_ends_the_handshake(void **state)
{
    (void)state;
    for (size_t round = 0; round < 2 * HANDSHAKE_MESSAGES; round++) {
        size_t message = round / 2;
        bool psk = round % 2 == 1;
        size_t len = message_bytes(message, psk);
        for (size_t keep = 0; keep < len; keep++) {
            struct ends ends;
            ends_at(&ends, message, psk);
            ends.wire.len = keep;
            assert_altered_fails(&ends, message);
            ends_fini(&ends);
        }
        struct ends ends;
        ends_at(&ends, message, psk);
        assert_int_equal(msy_buf_append_u8(&ends.wire, 0), MESHSYNC_OK);
        assert_altered_fails(&ends, message);
        ends_fini(&ends);
    }
}

/* A dropped message leaves the reader waiting, and the next one is not taken for it. */
static void dropped_repeated_and_reflected_messages_do_not_pass(void **state)
{
    (void)state;
    struct ends ends;
    ends_at(&ends, 0, false);
    assert_int_equal(ends_read(&ends, 0), MESHSYNC_OK);
    assert_int_equal(ends_read(&ends, 0), MESHSYNC_E_STATE); /* Its turn to write: no harm done. */
    assert_int_equal(ends_exchange(&ends, 1, HANDSHAKE_MESSAGES), MESHSYNC_OK);
    assert_int_equal(ends_read(&ends, 2), MESHSYNC_E_STATE);
    ends_split(&ends);
    ends_say(&ends, 0, "still good");
    ends_fini(&ends);

    ends_at(&ends, 0, false); /* Its own first message comes back as the second. */
    assert_int_equal(ends_read(&ends, 1), MESHSYNC_E_AUTH);
    ends_fini(&ends);

    ends_at(&ends, 1, false); /* The second, twice: there is nothing to read for the initiator. */
    assert_int_equal(ends_read(&ends, 1), MESHSYNC_OK);
    assert_int_equal(ends_read(&ends, 1), MESHSYNC_E_STATE);
    ends_fini(&ends);

    ends_at(&ends, 1, false); /* The second instead of the third. */
    assert_int_equal(ends_read(&ends, 2), MESHSYNC_E_AUTH);
    ends_fini(&ends);
}

/* Recorded messages mean nothing to a handshake with another ephemeral key. */
static void messages_of_another_handshake_do_not_pass(void **state)
{
    (void)state;
    static const char *names[2] = {"static of a", "static of b"};
    for (size_t message = 1; message < HANDSHAKE_MESSAGES; message++) {
        struct ends recorded;
        struct ends ends;
        ends_at(&recorded, message, false);
        ends_init(&ends, false);
        uint8_t secret[KEY_BYTES];
        uint8_t other[KEY_BYTES];
        uint8_t public_key[KEY_BYTES];
        size_t reader = 1 - writer_of(message);
        public_of(secret_of(names[reader], secret), public_key);
        msy_noise_init(&ends.noise[reader], reader == 0,
                       &(struct msy_noise_keys){secret, public_key, NULL}, bytes_of("meshsync"),
                       fixed_entropy(secret_of("new", other)));
        assert_int_equal(ends_exchange(&ends, 0, message), MESHSYNC_OK);
        msy_buf_reset(&ends.plain);
        assert_int_equal(
            msy_noise_read(&ends.noise[reader], msy_buf_bytes(&recorded.wire), &ends.plain),
            MESHSYNC_E_AUTH);
        ends_fini(&recorded);
        ends_fini(&ends);
    }
}

static void ends_differ_in(const uint8_t *psk[2], const char *prologue_of_b, size_t fails_at)
{
    static const char *names[2] = {"static of a", "static of b"};
    const meshsync_bytes prologue[2] = {bytes_of("meshsync"), bytes_of(prologue_of_b)};
    struct ends ends;
    ends_init_as(&ends, names, psk, prologue);
    assert_int_equal(ends_exchange(&ends, 0, fails_at), MESHSYNC_OK);
    assert_int_equal(ends_write(&ends, fails_at), MESHSYNC_OK);
    assert_int_equal(ends_read(&ends, fails_at), MESHSYNC_E_AUTH);
    ends_fini(&ends);
}

static void both_ends_must_agree_before_they_speak(void **state)
{
    (void)state;
    static const uint8_t one[KEY_BYTES] = {1};
    static const uint8_t two[KEY_BYTES] = {2};
    ends_differ_in((const uint8_t *[2]){NULL, NULL}, "meshsync 2", 1);
    ends_differ_in((const uint8_t *[2]){NULL, NULL}, "", 1);
    ends_differ_in((const uint8_t *[2]){one, two}, "meshsync", 2);
    ends_differ_in((const uint8_t *[2]){NULL, one}, "meshsync", 0); /* No tag on the first. */
    ends_differ_in((const uint8_t *[2]){one, NULL}, "meshsync", 1);
}

/* All points that give no secret: 0, 1, two of order 8, p - 1, p, p + 1; and with the bit that
 * X25519 ignores. */
static const char *low_order[] = {
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
};

static void keys_of_low_order_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof low_order / sizeof low_order[0]; i++) {
        struct ends ends;
        uint8_t point[KEY_BYTES];
        assert_int_equal(kit_hex(low_order[i], point, KEY_BYTES), KEY_BYTES);
        ends_at(&ends, 0, false); /* The initiator's ephemeral key. */
        memcpy(ends.wire.data, point, KEY_BYTES);
        assert_int_equal(ends_read(&ends, 0), MESHSYNC_OK);
        assert_int_equal(ends_write(&ends, 1), MESHSYNC_E_AUTH);
        assert_int_equal(ends.wire.len, 0);
        assert_no_secrets(&ends.noise[1]);
        ends_fini(&ends);

        ends_at(&ends, 1, false); /* The responder's. */
        memcpy(ends.wire.data, point, KEY_BYTES);
        assert_int_equal(ends_read(&ends, 1), MESHSYNC_E_AUTH);
        ends_fini(&ends);

        for (size_t liar = 0; liar < 2; liar++) { /* And either's static key, well sealed. */
            ends_init(&ends, false);
            memcpy(ends.noise[liar].s_public, point, KEY_BYTES);
            size_t message = liar == 0 ? 2 : 1;
            assert_int_equal(ends_exchange(&ends, 0, message), MESHSYNC_OK);
            assert_int_equal(ends_write(&ends, message), MESHSYNC_OK);
            assert_int_equal(ends_read(&ends, message), MESHSYNC_E_AUTH);
            ends_fini(&ends);
        }
    }
}

/* Who shows a static key must hold its secret. */
static void somebody_elses_static_key_proves_nothing(void **state)
{
    (void)state;
    for (size_t liar = 0; liar < 2; liar++) {
        struct ends ends;
        uint8_t secret[KEY_BYTES];
        size_t message = liar == 0 ? 2 : 1;
        ends_init(&ends, false);
        public_of(secret_of("a victim", secret), ends.noise[liar].s_public);
        assert_int_equal(ends_exchange(&ends, 0, message), MESHSYNC_OK);
        assert_int_equal(ends_write(&ends, message), MESHSYNC_OK);
        assert_int_equal(ends_read(&ends, message), MESHSYNC_E_AUTH);
        ends_fini(&ends);
    }
}

static void messages_have_a_largest_size(void **state)
{
    (void)state;
    static uint8_t payload[MSY_NOISE_MESSAGE_BYTES_MAX + 1];
    struct ends ends;
    for (size_t over = 0; over < 2; over++) {
        size_t len = MSY_NOISE_MESSAGE_BYTES_MAX - KEY_BYTES + over;
        ends_init(&ends, false);
        assert_int_equal(
            msy_noise_write(&ends.noise[0], (meshsync_bytes){payload, len}, &ends.wire),
            over == 0 ? MESHSYNC_OK : MESHSYNC_E_LIMIT);
        assert_int_equal(ends.wire.len, over == 0 ? MSY_NOISE_MESSAGE_BYTES_MAX : 0);
        assert_int_equal(ends.noise[0].failed, over == 1);
        ends_fini(&ends);
    }
    ends_init(&ends, false);
    assert_int_equal(
        msy_noise_read(&ends.noise[1], (meshsync_bytes){payload, sizeof payload}, &ends.plain),
        MESHSYNC_E_AUTH);
    ends_fini(&ends);
    ends_live(&ends, false);
    const meshsync_bytes most = {payload, MSY_NOISE_PAYLOAD_BYTES_MAX};
    const meshsync_bytes over = {payload, MSY_NOISE_PAYLOAD_BYTES_MAX + 1};
    msy_buf_reset(&ends.wire);
    assert_int_equal(msy_noise_seal(&ends.sending[0], over, &ends.wire), MESHSYNC_E_LIMIT);
    assert_int_equal(msy_noise_seal(&ends.sending[0], most, &ends.wire), MESHSYNC_OK);
    assert_int_equal(ends.wire.len, MSY_NOISE_MESSAGE_BYTES_MAX);
    assert_int_equal(ends_open(&ends, 0), MESHSYNC_OK);
    assert_int_equal(ends.plain.len, MSY_NOISE_PAYLOAD_BYTES_MAX);
    assert_int_equal(
        msy_noise_open(&ends.receiving[1], (meshsync_bytes){payload, sizeof payload}, &ends.plain),
        MESHSYNC_E_AUTH);
    ends_fini(&ends);
}

static void memory_that_runs_out_ends_the_handshake_cleanly(void **state)
{
    (void)state;
    for (size_t step = 0; step < 2 * HANDSHAKE_MESSAGES; step++) {
        struct ends ends;
        size_t message = step / 2;
        ends_init(&ends, true);
        assert_int_equal(ends_exchange(&ends, 0, message), MESHSYNC_OK);
        if (step % 2 == 1) {
            assert_int_equal(ends_write(&ends, message), MESHSYNC_OK);
            msy_buf_fini(&ends.plain);
        } else {
            msy_buf_fini(&ends.wire);
        }
        ends.alloc.fail_at = 1;
        bool reads_nothing = step == 1; /* The first payload is empty: it needs no memory. */
        meshsync_status status =
            step % 2 == 1 ? ends_read(&ends, message) : ends_write(&ends, message);
        if (reads_nothing && status == MESHSYNC_OK) {
            ends.alloc.fail_at = 0;
        } else {
            size_t who = step % 2 == 1 ? 1 - writer_of(message) : writer_of(message);
            assert_int_equal(status, MESHSYNC_E_NO_MEMORY);
            assert_true(ends.noise[who].failed);
            assert_no_secrets(&ends.noise[who]);
        }
        ends_fini(&ends);
    }
}

/* ---- Transport ---- */

static void every_altered_record_ends_the_direction(void **state)
{
    (void)state;
    size_t len = strlen("a record") + MSY_NOISE_TAG_BYTES;
    for (size_t i = 0; i < 2 * len + 1; i++) {
        struct ends ends;
        ends_live(&ends, false);
        assert_int_equal(ends_seal(&ends, 0, "a record"), MESHSYNC_OK);
        assert_int_equal(ends.wire.len, len);
        if (i < len) {
            ends.wire.data[i] ^= (uint8_t)(1u << i % 8);
        } else if (i < 2 * len) {
            ends.wire.len = i - len;
        } else {
            assert_int_equal(msy_buf_append_u8(&ends.wire, 0), MESHSYNC_OK);
        }
        assert_int_equal(ends_open(&ends, 0), MESHSYNC_E_AUTH);
        assert_int_equal(ends.plain.len, 0);
        assert_true(all_zero(&ends.receiving[1], sizeof ends.receiving[1]));
        assert_int_equal(ends_open(&ends, 0), MESHSYNC_E_STATE);
        ends_say(&ends, 1, "the other direction stands");
        ends_fini(&ends);
    }
}

static void records_pass_once_in_order_in_their_direction(void **state)
{
    (void)state;
    struct ends ends;
    ends_live(&ends, false); /* The same record again. */
    ends_say(&ends, 0, "once");
    assert_int_equal(ends_open(&ends, 0), MESHSYNC_E_AUTH);
    ends_fini(&ends);

    ends_live(&ends, false); /* One is lost, or two are swapped: the second comes first. */
    assert_int_equal(ends_seal(&ends, 0, "lost"), MESHSYNC_OK);
    assert_int_equal(ends_seal(&ends, 0, "found"), MESHSYNC_OK);
    assert_int_equal(ends_open(&ends, 0), MESHSYNC_E_AUTH);
    ends_fini(&ends);

    ends_live(&ends, false); /* A record comes back to who sent it. */
    assert_int_equal(ends_seal(&ends, 0, "mine"), MESHSYNC_OK);
    assert_int_equal(msy_noise_open(&ends.receiving[0], msy_buf_bytes(&ends.wire), &ends.plain),
                     MESHSYNC_E_AUTH);
    ends_fini(&ends);

    struct ends other; /* A record of another session between the same two. */
    ends_live(&ends, false);
    ends_live(&other, true);
    assert_int_equal(ends_seal(&other, 0, "elsewhere"), MESHSYNC_OK);
    assert_int_equal(msy_noise_open(&ends.receiving[1], msy_buf_bytes(&other.wire), &ends.plain),
                     MESHSYNC_E_AUTH);
    ends_fini(&ends);
    ends_fini(&other);
}

static void memory_that_runs_out_changes_nothing_in_the_transport(void **state)
{
    (void)state;
    struct ends ends;
    ends_live(&ends, false);
    msy_buf_fini(&ends.wire);
    ends.alloc.fail_at = 1;
    assert_int_equal(ends_seal(&ends, 0, "later"), MESHSYNC_E_NO_MEMORY);
    assert_int_equal(ends_seal(&ends, 0, "later"), MESHSYNC_OK);
    msy_buf_fini(&ends.plain);
    ends.alloc.fail_at = 1;
    assert_int_equal(ends_open(&ends, 0), MESHSYNC_E_NO_MEMORY);
    assert_int_equal(ends_open(&ends, 0), MESHSYNC_OK);
    assert_memory_equal(ends.plain.data, "later", 5);
    ends_fini(&ends);
}

/* Sets both sides of a direction as they are after many records. */
static void direction_set(struct ends *ends, uint64_t nonce, uint64_t sealed_bytes)
{
    ends->sending[0].nonce = nonce;
    ends->sending[0].sealed_bytes = sealed_bytes;
    ends->receiving[1].nonce = nonce;
    ends->receiving[1].sealed_bytes = sealed_bytes;
}

/* Zeros sealed under the last nonce are the cipher's stream behind its first block. */
static void assert_rekeyed(const uint8_t before[KEY_BYTES], const uint8_t after[KEY_BYTES])
{
    uint8_t stream[64 + KEY_BYTES];
    uint8_t nonce[12];
    memset(nonce, 0, 4);
    memset(nonce + 4, 0xff, 8);
    msy_stream(stream, sizeof stream, before, nonce);
    assert_memory_equal(after, stream + 64, KEY_BYTES);
}

static void keys_change_by_records_and_by_bytes(void **state)
{
    (void)state;
    static const struct {
        uint64_t nonce, sealed_bytes;
        const char *text;
        bool changes;
    } rows[] = {
        {(1u << 20) - 2, 100, "four", false},
        {(1u << 20) - 1, 100, "four", true},
        {1u << 20, 0, "four", false},
        {3 * (UINT64_C(1) << 20) - 1, 100, "", true},
        {5, (UINT64_C(1) << 30) - 5, "four", false},
        {5, (UINT64_C(1) << 30) - 4, "four", true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ends ends;
        uint8_t before[KEY_BYTES];
        ends_live(&ends, false);
        direction_set(&ends, rows[i].nonce, rows[i].sealed_bytes);
        memcpy(before, ends.sending[0].key, sizeof before);
        ends_say(&ends, 0, rows[i].text);
        if (rows[i].changes) {
            assert_rekeyed(before, ends.sending[0].key);
        } else {
            assert_memory_equal(before, ends.sending[0].key, KEY_BYTES);
        }
        assert_memory_equal(ends.sending[0].key, ends.receiving[1].key, KEY_BYTES);
        assert_true(ends.sending[0].nonce == rows[i].nonce + 1);
        assert_true(ends.sending[0].sealed_bytes ==
                    (rows[i].changes ? 0 : rows[i].sealed_bytes + strlen(rows[i].text)));
        ends_say(&ends, 0, "and on");
        ends_say(&ends, 1, "the other direction keeps its key");
        ends_fini(&ends);
    }
}

static void nonces_are_never_used_twice(void **state)
{
    (void)state;
    struct ends ends;
    ends_init(&ends, false);
    msy_noise_split(&ends.noise[0], &ends.sending[0], &ends.receiving[0]); /* Too early. */
    assert_int_equal(ends_seal(&ends, 0, "x"), MESHSYNC_E_STATE);
    assert_int_equal(ends_exchange(&ends, 0, HANDSHAKE_MESSAGES), MESHSYNC_OK);
    ends_split(&ends);
    ends_say(&ends, 0, "first");
    ends_split(&ends); /* Again: the same keys with the first nonces would be fatal. */
    assert_int_equal(ends_seal(&ends, 0, "x"), MESHSYNC_E_STATE);
    ends_fini(&ends);

    ends_live(&ends, false);
    direction_set(&ends, UINT64_MAX, 0); /* The nonce of rekeys. */
    assert_int_equal(ends_seal(&ends, 0, "x"), MESHSYNC_E_STATE);
    assert_int_equal(ends.wire.len, 0);
    ends_fini(&ends);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_vectors_hold),
        cmocka_unit_test(our_own_vectors_hold),
        cmocka_unit_test(both_ends_learn_each_other_and_speak),
        cmocka_unit_test(every_flipped_byte_ends_the_handshake),
        cmocka_unit_test(every_cut_ends_the_handshake),
        cmocka_unit_test(dropped_repeated_and_reflected_messages_do_not_pass),
        cmocka_unit_test(messages_of_another_handshake_do_not_pass),
        cmocka_unit_test(both_ends_must_agree_before_they_speak),
        cmocka_unit_test(keys_of_low_order_are_refused),
        cmocka_unit_test(somebody_elses_static_key_proves_nothing),
        cmocka_unit_test(messages_have_a_largest_size),
        cmocka_unit_test(memory_that_runs_out_ends_the_handshake_cleanly),
        cmocka_unit_test(every_altered_record_ends_the_direction),
        cmocka_unit_test(records_pass_once_in_order_in_their_direction),
        cmocka_unit_test(memory_that_runs_out_changes_nothing_in_the_transport),
        cmocka_unit_test(keys_change_by_records_and_by_bytes),
        cmocka_unit_test(nonces_are_never_used_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
