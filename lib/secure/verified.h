/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signatures, and forms of keys, that were found good, so that the same one is not verified again
 * and again: membership is asked about for each message of some kinds, and its proof does not
 * change. What is remembered is a hash of all that was looked at together: nothing else can pass
 * for it. Only what was good is remembered, in a table of a fixed size whose slots are taken over
 * by whoever comes last.
 */
#ifndef MSY_SECURE_VERIFIED_H
#define MSY_SECURE_VERIFIED_H

#include "base/alloc.h"
#include "secure/crypto.h"

struct msy_verified; /* Opaque; used by one thread. */

/* slots_count: a power of two; 32 bytes each. NULL: no memory. */
struct msy_verified *msy_verified_new(struct msy_alloc *alloc, uint32_t slots_count);
/* NULL allowed. */
void msy_verified_free(struct msy_verified *verified);
/* As msy_verify; verified NULL: exactly that. */
bool msy_verify_once(struct msy_verified *verified, const uint8_t signature[MSY_SIGN_BYTES],
                     meshsync_bytes message, const uint8_t public_key[MSY_SIGN_PUBLIC_BYTES]);
/* A signature that was just made with the secret of public_key: good without looking. */
void msy_verified_note(struct msy_verified *verified, const uint8_t signature[MSY_SIGN_BYTES],
                       meshsync_bytes message, const uint8_t public_key[MSY_SIGN_PUBLIC_BYTES]);
/* Is dh_public the X25519 form of the Ed25519 key device? Costs as much as a signature. */
bool msy_dh_public_once(struct msy_verified *verified, const uint8_t device[MSY_SIGN_PUBLIC_BYTES],
                        const uint8_t dh_public[MSY_DH_BYTES]);
/* What was looked up and found. NULL: 0. */
uint64_t msy_verified_hits(const struct msy_verified *verified);

#endif
