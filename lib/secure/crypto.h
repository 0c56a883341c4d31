/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The primitives, each a thin face of libsodium so that sodium.h stays in this folder. All hashes
 * are BLAKE2b. msy_crypto_init must have returned OK before anything else.
 */
#ifndef MSY_SECURE_CRYPTO_H
#define MSY_SECURE_CRYPTO_H

#include <stdbool.h>

#include <meshsync/types.h>

#include "base/entropy.h"

enum {
    MSY_HASH_BYTES = 32,
    MSY_SIGN_PUBLIC_BYTES = 32,
    MSY_SIGN_SEED_BYTES = 32,
    MSY_SIGN_BYTES = 64,
    MSY_DH_BYTES = 32,
    MSY_LTHASH_BYTES = 2048
};

/* Idempotent, any thread. */
meshsync_status msy_crypto_init(void);
/* Version of libsodium. */
const char *msy_crypto_library(void);
/* The system's generator. */
struct msy_entropy msy_crypto_entropy(void);

/* Hash of the concatenation of parts; out_len 16 to 64. */
void msy_hash(uint8_t *out, size_t out_len, const meshsync_bytes *parts, size_t parts_count);
/* Keyed (key 16 to 64 bytes). */
void msy_hash_keyed(uint8_t *out, size_t out_len, meshsync_bytes key, const meshsync_bytes *parts,
                    size_t parts_count);
/* SipHash-2-4 with a 16-byte key, for tables keyed by what peers choose. */
uint64_t msy_hash_short(const uint8_t key[16], meshsync_bytes bytes);

/* out = the ChaCha20 (IETF) key stream of key and nonce from block 0. */
void msy_stream(uint8_t *out, size_t n, const uint8_t key[32], const uint8_t nonce[12]);

/* The homomorphic digest (LtHash16: 1,024 sums modulo 2^16, little endian). Adding and removing
 * commute; an element is named by a 32-byte key and a 12-byte nonce, and expanded by msy_stream. */
struct msy_lthash {
    uint8_t sums[MSY_LTHASH_BYTES];
};
void msy_lthash_add(struct msy_lthash *sum, const uint8_t key[32], const uint8_t nonce[12]);
void msy_lthash_remove(struct msy_lthash *sum, const uint8_t key[32], const uint8_t nonce[12]);
/* Adds a sum of other elements to a sum. */
void msy_lthash_join(struct msy_lthash *sum, const struct msy_lthash *other);

void msy_sign(uint8_t signature[MSY_SIGN_BYTES], meshsync_bytes message,
              const uint8_t seed[MSY_SIGN_SEED_BYTES]);
void msy_sign_public(uint8_t public_key[MSY_SIGN_PUBLIC_BYTES],
                     const uint8_t seed[MSY_SIGN_SEED_BYTES]);
/* libsodium's acceptance rule (canonical, no small order), the same at every replica. */
bool msy_verify(const uint8_t signature[MSY_SIGN_BYTES], meshsync_bytes message,
                const uint8_t public_key[MSY_SIGN_PUBLIC_BYTES]);

void msy_wipe(void *secret, size_t n);
/* Constant time. */
bool msy_secret_equal(const void *a, const void *b, size_t n);

#endif
