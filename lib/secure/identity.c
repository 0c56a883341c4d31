/* SPDX-License-Identifier: Apache-2.0 */
#include "secure/identity.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

/* In guarded pages of libsodium: they cannot be a node's own allocation. */
struct identity_secret {
    uint8_t seed[MSY_SIGN_SEED_BYTES];
    uint8_t sign[crypto_sign_SECRETKEYBYTES];
    uint8_t dh[MSY_DH_BYTES];
};

struct msy_identity {
    struct identity_secret *secret; /* Owned, read only after making. */
    uint8_t public_key[MSY_SIGN_PUBLIC_BYTES];
    uint8_t dh_public[MSY_DH_BYTES];
    bool locked;
};

meshsync_status msy_identity_new(const uint8_t seed[MSY_SIGN_SEED_BYTES],
                                 struct msy_identity **out, meshsync_error *error)
{
    *out = NULL;
    if (msy_crypto_init() != MESHSYNC_OK) {
        return msy_fail(error, MESHSYNC_E_RESOURCE, "the system gives no randomness");
    }
    struct msy_identity *identity = (struct msy_identity *)sodium_malloc(sizeof *identity);
    struct identity_secret *secret = (struct identity_secret *)sodium_malloc(sizeof *secret);
    if (identity == NULL || secret == NULL) {
        sodium_free(identity);
        sodium_free(secret);
        return msy_fail(error, MESHSYNC_E_NO_MEMORY, "no guarded memory for the identity");
    }
    memset(identity, 0, sizeof *identity);
    identity->secret = secret;
    memcpy(secret->seed, seed, sizeof secret->seed);
    (void)crypto_sign_seed_keypair(identity->public_key, secret->sign, seed);
    (void)crypto_sign_ed25519_sk_to_curve25519(secret->dh, secret->sign);
    (void)crypto_scalarmult_base(identity->dh_public, secret->dh);
    /* sodium_malloc tries to lock and goes on when it may not: asking again tells. */
    identity->locked = sodium_mlock(secret, sizeof *secret) == 0;
    (void)sodium_mprotect_readonly(secret);
    *out = identity;
    return MESHSYNC_OK;
}

void msy_identity_free(struct msy_identity *identity)
{
    if (identity != NULL) {
        sodium_free(identity->secret); /* Wipes. */
        sodium_free(identity);
    }
}

const uint8_t *msy_identity_public(const struct msy_identity *identity)
{
    return identity->public_key;
}

void msy_identity_sign(const struct msy_identity *identity, meshsync_bytes message,
                       uint8_t signature[MSY_SIGN_BYTES])
{
    (void)crypto_sign_detached(signature, NULL, message.data, message.len,
                               identity->secret->sign);
}

void msy_identity_dh(const struct msy_identity *identity, uint8_t public_key[MSY_DH_BYTES],
                     uint8_t secret[MSY_DH_BYTES])
{
    memcpy(public_key, identity->dh_public, MSY_DH_BYTES);
    memcpy(secret, identity->secret->dh, MSY_DH_BYTES);
}

void msy_identity_seed(const struct msy_identity *identity, uint8_t seed[MSY_SIGN_SEED_BYTES])
{
    memcpy(seed, identity->secret->seed, MSY_SIGN_SEED_BYTES);
}

bool msy_identity_locked(const struct msy_identity *identity)
{
    return identity->locked;
}

bool msy_identity_dh_public(const uint8_t public_key[MSY_SIGN_PUBLIC_BYTES],
                            uint8_t dh_public[MSY_DH_BYTES])
{
    return crypto_sign_ed25519_pk_to_curve25519(dh_public, public_key) == 0;
}
