/* SPDX-License-Identifier: Apache-2.0 */
/* The handshake: Noise revision 34, XX and XXpsk3 with 25519, ChaChaPoly, BLAKE2b. The names of the
 * functions below are the specification's. */
#include "secure/noise.h"

#include <sodium.h>
#include <string.h>

enum { NOISE_HASH_BYTES = 64, NOISE_BLOCK_BYTES = 128, NOISE_MESSAGES = 3 };

static const char noise_name_xx[] = "Noise_XX_25519_ChaChaPoly_BLAKE2b";
static const char noise_name_psk[] = "Noise_XXpsk3_25519_ChaChaPoly_BLAKE2b";

/* ---- HMAC and HKDF over BLAKE2b (section 4.3; not BLAKE2b's own keyed mode) ---- */

static void noise_hmac(uint8_t out[NOISE_HASH_BYTES], const uint8_t key[NOISE_HASH_BYTES],
                       const meshsync_bytes *parts, size_t parts_count)
{
    uint8_t block[NOISE_BLOCK_BYTES];
    uint8_t inner[NOISE_HASH_BYTES];
    crypto_generichash_state state;
    memset(block, 0x36, sizeof block);
    for (size_t i = 0; i < NOISE_HASH_BYTES; i++) {
        block[i] ^= key[i];
    }
    (void)crypto_generichash_init(&state, NULL, 0, NOISE_HASH_BYTES);
    (void)crypto_generichash_update(&state, block, sizeof block);
    for (size_t i = 0; i < parts_count; i++) {
        if (parts[i].len > 0) {
            (void)crypto_generichash_update(&state, parts[i].data, parts[i].len);
        }
    }
    (void)crypto_generichash_final(&state, inner, sizeof inner);
    memset(block, 0x5c, sizeof block);
    for (size_t i = 0; i < NOISE_HASH_BYTES; i++) {
        block[i] ^= key[i];
    }
    (void)crypto_generichash_init(&state, NULL, 0, NOISE_HASH_BYTES);
    (void)crypto_generichash_update(&state, block, sizeof block);
    (void)crypto_generichash_update(&state, inner, sizeof inner);
    (void)crypto_generichash_final(&state, out, NOISE_HASH_BYTES);
    sodium_memzero(block, sizeof block);
    sodium_memzero(inner, sizeof inner);
    sodium_memzero(&state, sizeof state);
}

/* HKDF(ck, input, count): outputs one after the other. */
static void noise_hkdf(const uint8_t ck[NOISE_HASH_BYTES], const uint8_t *input, size_t input_len,
                       uint8_t out[][NOISE_HASH_BYTES], uint8_t count)
{
    uint8_t temp[NOISE_HASH_BYTES];
    const meshsync_bytes whole = {input, input_len};
    noise_hmac(temp, ck, &whole, 1);
    for (uint8_t i = 0; i < count; i++) {
        uint8_t number = (uint8_t)(i + 1);
        const meshsync_bytes parts[] = {{i == 0 ? temp : out[i - 1], i == 0 ? 0 : NOISE_HASH_BYTES},
                                        {&number, 1}};
        noise_hmac(out[i], temp, parts, 2);
    }
    sodium_memzero(temp, sizeof temp);
}

/* ---- Symmetric state ---- */

static void noise_mix_hash(struct msy_noise *noise, const uint8_t *data, size_t len)
{
    crypto_generichash_state state;
    (void)crypto_generichash_init(&state, NULL, 0, NOISE_HASH_BYTES);
    (void)crypto_generichash_update(&state, noise->h, sizeof noise->h);
    if (len > 0) {
        (void)crypto_generichash_update(&state, data, len);
    }
    (void)crypto_generichash_final(&state, noise->h, sizeof noise->h);
}

static void noise_set_key(struct msy_noise_cipher *cipher, const uint8_t key[NOISE_HASH_BYTES])
{
    memcpy(cipher->key, key, sizeof cipher->key);
    cipher->nonce = 0;
    cipher->sealed_bytes = 0;
    cipher->has_key = true;
}

static void noise_mix_key(struct msy_noise *noise, const uint8_t *input, size_t len)
{
    uint8_t out[2][NOISE_HASH_BYTES];
    noise_hkdf(noise->ck, input, len, out, 2);
    memcpy(noise->ck, out[0], sizeof noise->ck);
    noise_set_key(&noise->cipher, out[1]);
    sodium_memzero(out, sizeof out);
}

static void noise_mix_key_and_hash(struct msy_noise *noise, const uint8_t psk[32])
{
    uint8_t out[3][NOISE_HASH_BYTES];
    noise_hkdf(noise->ck, psk, 32, out, 3);
    memcpy(noise->ck, out[0], sizeof noise->ck);
    noise_mix_hash(noise, out[1], NOISE_HASH_BYTES);
    noise_set_key(&noise->cipher, out[2]);
    sodium_memzero(out, sizeof out);
}

/* Four zero bytes, then the counter little endian. */
static void noise_nonce(uint8_t out[12], uint64_t counter)
{
    memset(out, 0, 4);
    for (size_t i = 0; i < 8; i++) {
        out[4 + i] = (uint8_t)(counter >> (8 * i));
    }
}

static meshsync_status noise_encrypt(struct msy_noise_cipher *cipher, meshsync_bytes ad,
                                     meshsync_bytes plain, struct msy_buf *out)
{
    uint8_t nonce[12];
    unsigned long long sealed = 0;
    if (!cipher->has_key || cipher->nonce == UINT64_MAX) { /* The last nonce is for rekeys. */
        return MESHSYNC_E_STATE;
    }
    meshsync_status status = msy_buf_reserve(out, plain.len + MSY_NOISE_TAG_BYTES);
    if (status != MESHSYNC_OK) {
        return status;
    }
    noise_nonce(nonce, cipher->nonce);
    (void)crypto_aead_chacha20poly1305_ietf_encrypt(out->data + out->len, &sealed, plain.data,
                                                    plain.len, ad.data, ad.len, NULL, nonce,
                                                    cipher->key);
    out->len += (size_t)sealed;
    cipher->nonce += 1;
    return MESHSYNC_OK;
}

static meshsync_status noise_decrypt(struct msy_noise_cipher *cipher, meshsync_bytes ad,
                                     meshsync_bytes sealed, struct msy_buf *out)
{
    uint8_t nonce[12];
    unsigned long long plain = 0;
    if (!cipher->has_key || cipher->nonce == UINT64_MAX) {
        return MESHSYNC_E_STATE;
    }
    if (sealed.len < MSY_NOISE_TAG_BYTES || sealed.len > MSY_NOISE_MESSAGE_BYTES_MAX) {
        return MESHSYNC_E_AUTH;
    }
    meshsync_status status = msy_buf_reserve(out, sealed.len);
    if (status != MESHSYNC_OK) {
        return status;
    }
    noise_nonce(nonce, cipher->nonce);
    if (crypto_aead_chacha20poly1305_ietf_decrypt(out->data + out->len, &plain, NULL, sealed.data,
                                                  sealed.len, ad.data, ad.len, nonce,
                                                  cipher->key) != 0) {
        return MESHSYNC_E_AUTH;
    }
    out->len += (size_t)plain;
    cipher->nonce += 1;
    return MESHSYNC_OK;
}

static meshsync_status noise_encrypt_and_hash(struct msy_noise *noise, meshsync_bytes plain,
                                              struct msy_buf *out)
{
    size_t start = out->len;
    meshsync_status status;
    if (noise->cipher.has_key) {
        status =
            noise_encrypt(&noise->cipher, (meshsync_bytes){noise->h, sizeof noise->h}, plain, out);
    } else {
        status = msy_buf_append(out, plain.data, plain.len);
    }
    if (status == MESHSYNC_OK) { /* Without a byte there may be no memory to point into. */
        size_t len = out->len - start;
        noise_mix_hash(noise, len > 0 ? out->data + start : NULL, len);
    }
    return status;
}

static meshsync_status noise_decrypt_and_hash(struct msy_noise *noise, meshsync_bytes sealed,
                                              struct msy_buf *out)
{
    meshsync_status status;
    if (noise->cipher.has_key) {
        status =
            noise_decrypt(&noise->cipher, (meshsync_bytes){noise->h, sizeof noise->h}, sealed, out);
    } else {
        status = msy_buf_append(out, sealed.data, sealed.len);
    }
    if (status == MESHSYNC_OK) {
        noise_mix_hash(noise, sealed.data, sealed.len);
    }
    return status;
}

/* A low-order point gives no secret: libsodium says so, and the handshake ends. */
static meshsync_status noise_mix_dh(struct msy_noise *noise, const uint8_t secret[32],
                                    const uint8_t public_key[32])
{
    uint8_t shared[32];
    meshsync_status status = MESHSYNC_E_AUTH;
    if (crypto_scalarmult(shared, secret, public_key) == 0) {
        noise_mix_key(noise, shared, sizeof shared);
        status = MESHSYNC_OK;
    }
    sodium_memzero(shared, sizeof shared);
    return status;
}

/* ---- Handshake ---- */

void msy_noise_init(struct msy_noise *noise, bool initiator, const struct msy_noise_keys *keys,
                    meshsync_bytes prologue, struct msy_entropy entropy)
{
    const char *name = keys->psk == NULL ? noise_name_xx : noise_name_psk;
    memset(noise, 0, sizeof *noise);
    noise->initiator = initiator;
    memcpy(noise->s_secret, keys->s_secret, sizeof noise->s_secret);
    memcpy(noise->s_public, keys->s_public, sizeof noise->s_public);
    if (keys->psk != NULL) {
        noise->has_psk = true;
        memcpy(noise->psk, keys->psk, sizeof noise->psk);
    }
    entropy.fill(entropy.user, noise->e_secret, sizeof noise->e_secret);
    (void)crypto_scalarmult_base(noise->e_public, noise->e_secret);
    memcpy(noise->h, name, strlen(name)); /* Shorter than the hash: padded with zeros. */
    memcpy(noise->ck, noise->h, sizeof noise->ck);
    noise_mix_hash(noise, prologue.data, prologue.len);
}

bool msy_noise_must_write(const struct msy_noise *noise)
{
    bool initiators_turn = noise->message_index % 2 == 0;
    return !noise->failed && noise->message_index < NOISE_MESSAGES &&
           initiators_turn == noise->initiator;
}

bool msy_noise_done(const struct msy_noise *noise)
{
    return !noise->failed && noise->message_index == NOISE_MESSAGES;
}

/* What is public stays: h names the session, rs the peer. */
static void noise_forget(struct msy_noise *noise)
{
    msy_noise_cipher_wipe(&noise->cipher);
    sodium_memzero(noise->ck, sizeof noise->ck);
    sodium_memzero(noise->s_secret, sizeof noise->s_secret);
    sodium_memzero(noise->e_secret, sizeof noise->e_secret);
    sodium_memzero(noise->psk, sizeof noise->psk);
}

/* The one exit of both directions: a message counts whole or ends the handshake. */
static meshsync_status noise_end(struct msy_noise *noise, meshsync_status status,
                                 struct msy_buf *out, size_t start)
{
    if (status == MESHSYNC_OK) {
        noise->message_index += 1;
        return MESHSYNC_OK;
    }
    noise->failed = true;
    noise_forget(noise);
    out->len = start;
    return status;
}

static meshsync_status noise_write_e(struct msy_noise *noise, struct msy_buf *out)
{
    meshsync_status status = msy_buf_append(out, noise->e_public, sizeof noise->e_public);
    if (status == MESHSYNC_OK) {
        noise_mix_hash(noise, noise->e_public, sizeof noise->e_public);
        if (noise->has_psk) {
            noise_mix_key(noise, noise->e_public, sizeof noise->e_public);
        }
    }
    return status;
}

static meshsync_status noise_write_tokens(struct msy_noise *noise, struct msy_buf *out)
{
    meshsync_bytes own = {noise->s_public, sizeof noise->s_public};
    meshsync_status status = MESHSYNC_OK;
    if (noise->message_index == 0) { /* -> e */
        return noise_write_e(noise, out);
    }
    if (noise->message_index == 1) { /* <- e, ee, s, es */
        status = noise_write_e(noise, out);
        if (status == MESHSYNC_OK) {
            status = noise_mix_dh(noise, noise->e_secret, noise->re);
        }
        if (status == MESHSYNC_OK) {
            status = noise_encrypt_and_hash(noise, own, out);
        }
        return status == MESHSYNC_OK ? noise_mix_dh(noise, noise->s_secret, noise->re) : status;
    }
    status = noise_encrypt_and_hash(noise, own, out); /* -> s, se (, psk) */
    if (status == MESHSYNC_OK) {
        status = noise_mix_dh(noise, noise->s_secret, noise->re);
    }
    if (status == MESHSYNC_OK && noise->has_psk) {
        noise_mix_key_and_hash(noise, noise->psk);
    }
    return status;
}

meshsync_status msy_noise_write(struct msy_noise *noise, meshsync_bytes payload,
                                struct msy_buf *out)
{
    size_t start = out->len;
    if (!msy_noise_must_write(noise)) {
        return MESHSYNC_E_STATE;
    }
    meshsync_status status = noise_write_tokens(noise, out);
    if (status == MESHSYNC_OK) {
        status = noise_encrypt_and_hash(noise, payload, out);
    }
    if (status == MESHSYNC_OK && out->len - start > MSY_NOISE_MESSAGE_BYTES_MAX) {
        status = MESHSYNC_E_LIMIT;
    }
    return noise_end(noise, status, out, start);
}

static meshsync_status noise_read_e(struct msy_noise *noise, struct msy_cursor *cursor)
{
    if (!msy_cursor_copy(cursor, noise->re, sizeof noise->re)) {
        return MESHSYNC_E_AUTH;
    }
    noise_mix_hash(noise, noise->re, sizeof noise->re);
    if (noise->has_psk) {
        noise_mix_key(noise, noise->re, sizeof noise->re);
    }
    return MESHSYNC_OK;
}

static meshsync_status noise_read_s(struct msy_noise *noise, struct msy_cursor *cursor,
                                    struct msy_buf *out)
{
    meshsync_bytes sealed;
    size_t start = out->len;
    if (!msy_cursor_bytes(cursor, sizeof noise->rs + MSY_NOISE_TAG_BYTES, &sealed)) {
        return MESHSYNC_E_AUTH;
    }
    meshsync_status status = noise_decrypt_and_hash(noise, sealed, out);
    if (status == MESHSYNC_OK) {
        memcpy(noise->rs, out->data + start, sizeof noise->rs);
    }
    out->len = start;
    return status;
}

static meshsync_status noise_read_tokens(struct msy_noise *noise, struct msy_cursor *cursor,
                                         struct msy_buf *out)
{
    meshsync_status status = MESHSYNC_OK;
    if (noise->message_index == 0) {
        return noise_read_e(noise, cursor);
    }
    if (noise->message_index == 1) {
        status = noise_read_e(noise, cursor);
        if (status == MESHSYNC_OK) {
            status = noise_mix_dh(noise, noise->e_secret, noise->re);
        }
        if (status == MESHSYNC_OK) {
            status = noise_read_s(noise, cursor, out);
        }
        return status == MESHSYNC_OK ? noise_mix_dh(noise, noise->e_secret, noise->rs) : status;
    }
    status = noise_read_s(noise, cursor, out);
    if (status == MESHSYNC_OK) {
        status = noise_mix_dh(noise, noise->e_secret, noise->rs);
    }
    if (status == MESHSYNC_OK && noise->has_psk) {
        noise_mix_key_and_hash(noise, noise->psk);
    }
    return status;
}

meshsync_status msy_noise_read(struct msy_noise *noise, meshsync_bytes message, struct msy_buf *out)
{
    struct msy_cursor cursor;
    size_t start = out->len;
    if (noise->failed || msy_noise_done(noise) || msy_noise_must_write(noise)) {
        return MESHSYNC_E_STATE;
    }
    msy_cursor_init(&cursor, message);
    meshsync_status status = message.len > MSY_NOISE_MESSAGE_BYTES_MAX
                                 ? MESHSYNC_E_AUTH
                                 : noise_read_tokens(noise, &cursor, out);
    if (status == MESHSYNC_OK) {
        status = noise_decrypt_and_hash(noise,
                                        (meshsync_bytes){cursor.at, msy_cursor_left(&cursor)}, out);
    }
    return noise_end(noise, status, out, start);
}

void msy_noise_split(struct msy_noise *noise, struct msy_noise_cipher *sending,
                     struct msy_noise_cipher *receiving)
{
    uint8_t out[2][NOISE_HASH_BYTES];
    msy_noise_cipher_wipe(sending);
    msy_noise_cipher_wipe(receiving);
    if (!msy_noise_done(noise) || !noise->cipher.has_key) {
        return;
    }
    noise_hkdf(noise->ck, NULL, 0, out, 2);
    noise_forget(noise);
    noise_set_key(sending, out[noise->initiator ? 0 : 1]);
    noise_set_key(receiving, out[noise->initiator ? 1 : 0]);
    sodium_memzero(out, sizeof out);
}

void msy_noise_fini(struct msy_noise *noise)
{
    sodium_memzero(noise, sizeof *noise);
}

/* ---- Transport ---- */

enum { REKEY_RECORDS = 1 << 20 };

#define REKEY_BYTES (UINT64_C(1) << 30)

/* REKEY (section 4.2): the first 32 bytes of 32 zeros sealed under the last nonce. */
static void noise_rekey(struct msy_noise_cipher *cipher)
{
    static const uint8_t zeros[32];
    uint8_t nonce[12];
    uint8_t sealed[32 + MSY_NOISE_TAG_BYTES];
    unsigned long long len = 0;
    noise_nonce(nonce, UINT64_MAX);
    (void)crypto_aead_chacha20poly1305_ietf_encrypt(sealed, &len, zeros, sizeof zeros, NULL, 0,
                                                    NULL, nonce, cipher->key);
    memcpy(cipher->key, sealed, sizeof cipher->key);
    cipher->sealed_bytes = 0;
    sodium_memzero(sealed, sizeof sealed);
}

/* The record is through with the old key, on both sides, when its bytes are counted. */
static void noise_count(struct msy_noise_cipher *cipher, size_t plain_len)
{
    cipher->sealed_bytes += plain_len;
    if (cipher->sealed_bytes >= REKEY_BYTES || cipher->nonce % REKEY_RECORDS == 0) {
        noise_rekey(cipher);
    }
}

meshsync_status msy_noise_seal(struct msy_noise_cipher *cipher, meshsync_bytes plain,
                               struct msy_buf *out)
{
    if (plain.len > MSY_NOISE_PAYLOAD_BYTES_MAX) {
        return MESHSYNC_E_LIMIT;
    }
    meshsync_status status = noise_encrypt(cipher, (meshsync_bytes){NULL, 0}, plain, out);
    if (status == MESHSYNC_OK) {
        noise_count(cipher, plain.len);
    }
    return status;
}

meshsync_status msy_noise_open(struct msy_noise_cipher *cipher, meshsync_bytes sealed,
                               struct msy_buf *out)
{
    size_t start = out->len;
    meshsync_status status = noise_decrypt(cipher, (meshsync_bytes){NULL, 0}, sealed, out);
    if (status == MESHSYNC_OK) {
        noise_count(cipher, out->len - start);
    } else if (status == MESHSYNC_E_AUTH) {
        msy_noise_cipher_wipe(cipher);
    }
    return status;
}

void msy_noise_cipher_wipe(struct msy_noise_cipher *cipher)
{
    sodium_memzero(cipher, sizeof *cipher);
}
