/* SPDX-License-Identifier: Apache-2.0 */
#include "secure/verified.h"

#include <string.h>

#include "base/buf.h"
#include "secure/identity.h"

struct msy_verified {
    struct msy_alloc *alloc; /* Borrowed. */
    uint32_t slots_count;
    uint64_t hits;
    uint8_t (*slots)[MSY_HASH_BYTES]; /* Owned. All zeros: free. */
};

struct msy_verified *msy_verified_new(struct msy_alloc *alloc, uint32_t slots_count)
{
    struct msy_verified *verified = msy_new(alloc, sizeof *verified);
    if (verified == NULL) {
        return NULL;
    }
    verified->alloc = alloc;
    verified->slots_count = slots_count;
    verified->slots = msy_new_array(alloc, slots_count, sizeof *verified->slots);
    if (verified->slots == NULL) {
        msy_free(alloc, verified, sizeof *verified);
        return NULL;
    }
    return verified;
}

void msy_verified_free(struct msy_verified *verified)
{
    if (verified != NULL) {
        msy_free(verified->alloc, verified->slots, verified->slots_count * sizeof *verified->slots);
        msy_free(verified->alloc, verified, sizeof *verified);
    }
}

/* The slot of a signature, and its name; key and signature have fixed lengths, so that no two
 * triples are the same bytes. */
static uint8_t *verified_slot(struct msy_verified *verified, uint8_t hash[MSY_HASH_BYTES],
                              const uint8_t signature[MSY_SIGN_BYTES], meshsync_bytes message,
                              const uint8_t public_key[MSY_SIGN_PUBLIC_BYTES])
{
    const meshsync_bytes parts[] = {
        {public_key, MSY_SIGN_PUBLIC_BYTES}, {signature, MSY_SIGN_BYTES}, message};
    msy_hash(hash, MSY_HASH_BYTES, parts, 3);
    return verified->slots[msy_get_be32(hash) & (verified->slots_count - 1)];
}

void msy_verified_note(struct msy_verified *verified, const uint8_t signature[MSY_SIGN_BYTES],
                       meshsync_bytes message, const uint8_t public_key[MSY_SIGN_PUBLIC_BYTES])
{
    uint8_t hash[MSY_HASH_BYTES];
    if (verified != NULL) {
        uint8_t *slot = verified_slot(verified, hash, signature, message, public_key);
        memcpy(slot, hash, sizeof hash);
    }
}

bool msy_verify_once(struct msy_verified *verified, const uint8_t signature[MSY_SIGN_BYTES],
                     meshsync_bytes message, const uint8_t public_key[MSY_SIGN_PUBLIC_BYTES])
{
    if (verified == NULL) {
        return msy_verify(signature, message, public_key);
    }
    uint8_t hash[MSY_HASH_BYTES];
    uint8_t *slot = verified_slot(verified, hash, signature, message, public_key);
    if (memcmp(slot, hash, sizeof hash) == 0) {
        verified->hits += 1;
        return true;
    }
    if (!msy_verify(signature, message, public_key)) {
        return false;
    }
    memcpy(slot, hash, sizeof hash);
    return true;
}

bool msy_dh_public_once(struct msy_verified *verified, const uint8_t device[MSY_SIGN_PUBLIC_BYTES],
                        const uint8_t dh_public[MSY_DH_BYTES])
{
    const meshsync_bytes parts[] = {{device, MSY_SIGN_PUBLIC_BYTES}, {dh_public, MSY_DH_BYTES}};
    uint8_t hash[MSY_HASH_BYTES];
    uint8_t form[MSY_DH_BYTES];
    uint8_t *slot = NULL;
    if (verified != NULL) { /* No signature's name: those have the length of one more. */
        msy_hash(hash, sizeof hash, parts, 2);
        slot = verified->slots[msy_get_be32(hash) & (verified->slots_count - 1)];
        if (memcmp(slot, hash, sizeof hash) == 0) {
            verified->hits += 1;
            return true;
        }
    }
    if (!msy_identity_dh_public(device, form) || !msy_secret_equal(form, dh_public, sizeof form)) {
        return false;
    }
    if (slot != NULL) {
        memcpy(slot, hash, sizeof hash);
    }
    return true;
}

uint64_t msy_verified_hits(const struct msy_verified *verified)
{
    return verified == NULL ? 0 : verified->hits;
}
