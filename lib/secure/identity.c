/* SPDX-License-Identifier: Apache-2.0 */
#include "secure/identity.h"

#include <sodium.h>
#include <string.h>

#include "base/error.h"

/* All of it lies in one guarded block of libsodium, so it cannot be a node's own allocation.
 * Bytes only: such a block ends where its page ends, and is aligned for nothing else. */
struct msy_identity {
    uint8_t seed[MSY_SIGN_SEED_BYTES];
    uint8_t sign_secret[crypto_sign_SECRETKEYBYTES];
    uint8_t dh_secret[MSY_DH_BYTES];
    uint8_t public_key[MSY_SIGN_PUBLIC_BYTES];
    uint8_t dh_public[MSY_DH_BYTES];
    bool locked;
};
_Static_assert(_Alignof(struct msy_identity) == 1, "guarded memory is not aligned");

meshsync_status msy_identity_new(const uint8_t seed[MSY_SIGN_SEED_BYTES], struct msy_identity **out,
                                 meshsync_error *error)
{
    *out = NULL;
    if (msy_crypto_init() != MESHSYNC_OK) {
        return msy_fail(error, MESHSYNC_E_RESOURCE, "the system gives no randomness");
    }
    struct msy_identity *identity = (struct msy_identity *)sodium_malloc(sizeof *identity);
    if (identity == NULL) {
        return msy_fail(error, MESHSYNC_E_NO_MEMORY, "no guarded memory for the identity");
    }
    memcpy(identity->seed, seed, sizeof identity->seed);
    (void)crypto_sign_seed_keypair(identity->public_key, identity->sign_secret, seed);
    (void)crypto_sign_ed25519_sk_to_curve25519(identity->dh_secret, identity->sign_secret);
    (void)crypto_scalarmult_base(identity->dh_public, identity->dh_secret);
    /* sodium_malloc tries to lock and goes on when it may not: asking again tells. */
    identity->locked = sodium_mlock(identity, sizeof *identity) == 0;
    (void)sodium_mprotect_readonly(identity); /* Where it is refused, the guards still stand. */
    *out = identity;
    return MESHSYNC_OK;
}

void msy_identity_free(struct msy_identity *identity)
{
    sodium_free(identity); /* Wipes; takes NULL. */
}

const uint8_t *msy_identity_public(const struct msy_identity *identity)
{
    return identity->public_key;
}

void msy_identity_sign(const struct msy_identity *identity, meshsync_bytes message,
                       uint8_t signature[MSY_SIGN_BYTES])
{
    (void)crypto_sign_detached(signature, NULL, message.data, message.len, identity->sign_secret);
}

void msy_identity_dh(const struct msy_identity *identity, uint8_t public_key[MSY_DH_BYTES],
                     uint8_t secret[MSY_DH_BYTES])
{
    memcpy(public_key, identity->dh_public, MSY_DH_BYTES);
    memcpy(secret, identity->dh_secret, MSY_DH_BYTES);
}

void msy_identity_seed(const struct msy_identity *identity, uint8_t seed[MSY_SIGN_SEED_BYTES])
{
    memcpy(seed, identity->seed, MSY_SIGN_SEED_BYTES);
}

bool msy_identity_locked(const struct msy_identity *identity)
{
    return identity->locked;
}

/* A key and its negation have one X25519 form. That lets nobody speak for another: whoever holds
 * the secret of the one holds that of the other. */
bool msy_identity_dh_public(const uint8_t public_key[MSY_SIGN_PUBLIC_BYTES],
                            uint8_t dh_public[MSY_DH_BYTES])
{
    return crypto_core_ed25519_is_valid_point(public_key) == 1 &&
           crypto_sign_ed25519_pk_to_curve25519(dh_public, public_key) == 0;
}
