/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device's identity: an Ed25519 key, whose X25519 form is the Noise static key. The secret lives
 * in guarded, locked memory (plain wiped memory where locking is refused: *locked says so).
 */
#ifndef MSY_SECURE_IDENTITY_H
#define MSY_SECURE_IDENTITY_H

#include "secure/crypto.h"

#include "base/alloc.h"

struct msy_identity; /* Opaque. Read only after making, hence usable from any thread. */

/* From a 32-byte seed. */
meshsync_status msy_identity_new(const uint8_t seed[MSY_SIGN_SEED_BYTES],
                                 struct msy_identity **identity, meshsync_error *error);
/* Reads folder/identity.key, or makes it (mode 0600, O_EXCL, O_NOFOLLOW, file and folder synced);
 * processes that make it at the same time all end with the one that was first. E_PERMISSION when
 * others have rights on the file or we have none, E_STORE_CORRUPT when it is damaged or no file,
 * E_STORE_VERSION when a later version wrote it. create false: E_NOT_FOUND when it is not there.
 * docs/identity.md has the file byte by byte. */
meshsync_status msy_identity_load(const char *folder, bool create, struct msy_entropy entropy,
                                  struct msy_identity **identity, meshsync_error *error);
/* Writes an identity file for a seed into folder; E_EXISTS when there is one, which then stays as
 * it was. A failure leaves no file behind. */
meshsync_status msy_identity_store(const char *folder, const uint8_t seed[MSY_SIGN_SEED_BYTES],
                                   meshsync_error *error);
/* NULL allowed; wipes. */
void msy_identity_free(struct msy_identity *identity);

const uint8_t *msy_identity_public(const struct msy_identity *identity);
void msy_identity_sign(const struct msy_identity *identity, meshsync_bytes message,
                       uint8_t signature[MSY_SIGN_BYTES]);
/* The Noise static key pair; the caller wipes secret. */
void msy_identity_dh(const struct msy_identity *identity, uint8_t public_key[MSY_DH_BYTES],
                     uint8_t secret[MSY_DH_BYTES]);
/* For a backup; the caller wipes. */
void msy_identity_seed(const struct msy_identity *identity, uint8_t seed[MSY_SIGN_SEED_BYTES]);
bool msy_identity_locked(const struct msy_identity *identity);
/* The X25519 form of somebody's Ed25519 public key; false when it is not a valid point: canonical,
 * on the curve, in the main subgroup. */
bool msy_identity_dh_public(const uint8_t public_key[MSY_SIGN_PUBLIC_BYTES],
                            uint8_t dh_public[MSY_DH_BYTES]);

#endif
