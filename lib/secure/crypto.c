/* SPDX-License-Identifier: Apache-2.0 */
#include "secure/crypto.h"

#include <sodium.h>
#include <string.h>

enum { HASH_STACK_BYTES = 256 };

meshsync_status msy_crypto_init(void)
{
    return sodium_init() < 0 ? MESHSYNC_E_RESOURCE : MESHSYNC_OK;
}

const char *msy_crypto_library(void)
{
    return sodium_version_string();
}

static void crypto_fill(void *user, void *out, size_t n)
{
    (void)user;
    randombytes_buf(out, n);
}

struct msy_entropy msy_crypto_entropy(void)
{
    return (struct msy_entropy){.fill = crypto_fill, .user = NULL};
}

/* Lengths are within libsodium's bounds by contract, so that its results are always 0. Three ways
 * with one result: each change is hashed several times, so the cheapest is taken. */
void msy_hash_keyed(uint8_t *out, size_t out_len, meshsync_bytes key, const meshsync_bytes *parts,
                    size_t parts_count)
{
    if (parts_count == 1) {
        (void)crypto_generichash(out, out_len, parts[0].data, parts[0].len, key.data, key.len);
        return;
    }
    size_t len = 0;
    for (size_t i = 0; i < parts_count; i++) {
        len += parts[i].len;
    }
    if (len <= HASH_STACK_BYTES) { /* Copying is faster than a stream of small updates. */
        uint8_t small[HASH_STACK_BYTES];
        size_t at = 0;
        for (size_t i = 0; i < parts_count; i++) {
            if (parts[i].len > 0) {
                memcpy(small + at, parts[i].data, parts[i].len);
                at += parts[i].len;
            }
        }
        (void)crypto_generichash(out, out_len, small, len, key.data, key.len);
        return;
    }
    crypto_generichash_state state;
    (void)crypto_generichash_init(&state, key.data, key.len, out_len);
    for (size_t i = 0; i < parts_count; i++) {
        if (parts[i].len > 0) {
            (void)crypto_generichash_update(&state, parts[i].data, parts[i].len);
        }
    }
    (void)crypto_generichash_final(&state, out, out_len);
}

void msy_hash(uint8_t *out, size_t out_len, const meshsync_bytes *parts, size_t parts_count)
{
    msy_hash_keyed(out, out_len, (meshsync_bytes){NULL, 0}, parts, parts_count);
}

uint64_t msy_hash_short(const uint8_t key[16], meshsync_bytes bytes)
{
    uint8_t out[crypto_shorthash_BYTES];
    uint64_t hash = 0;
    (void)crypto_shorthash(out, bytes.data, bytes.len, key);
    for (size_t i = 0; i < sizeof out; i++) {
        hash |= (uint64_t)out[i] << (8 * i);
    }
    return hash;
}

void msy_stream(uint8_t *out, size_t n, const uint8_t key[32], const uint8_t nonce[12])
{
    (void)crypto_stream_chacha20_ietf(out, n, nonce, key);
}

void msy_sign(uint8_t signature[MSY_SIGN_BYTES], meshsync_bytes message,
              const uint8_t seed[MSY_SIGN_SEED_BYTES])
{
    uint8_t public_key[crypto_sign_PUBLICKEYBYTES];
    uint8_t secret[crypto_sign_SECRETKEYBYTES];
    (void)crypto_sign_seed_keypair(public_key, secret, seed);
    (void)crypto_sign_detached(signature, NULL, message.data, message.len, secret);
    sodium_memzero(secret, sizeof secret);
}

void msy_sign_public(uint8_t public_key[MSY_SIGN_PUBLIC_BYTES],
                     const uint8_t seed[MSY_SIGN_SEED_BYTES])
{
    uint8_t secret[crypto_sign_SECRETKEYBYTES];
    (void)crypto_sign_seed_keypair(public_key, secret, seed);
    sodium_memzero(secret, sizeof secret);
}

bool msy_verify(const uint8_t signature[MSY_SIGN_BYTES], meshsync_bytes message,
                const uint8_t public_key[MSY_SIGN_PUBLIC_BYTES])
{
    return crypto_sign_verify_detached(signature, message.data, message.len, public_key) == 0;
}

void msy_wipe(void *secret, size_t n)
{
    sodium_memzero(secret, n);
}

bool msy_secret_equal(const void *a, const void *b, size_t n)
{
    return sodium_memcmp(a, b, n) == 0;
}
