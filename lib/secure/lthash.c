/* SPDX-License-Identifier: Apache-2.0 */
/* The homomorphic digest. Declared in secure/crypto.h. The loops are written so that gcc and clang
 * vectorise them at -O2. */
#include <string.h>

#include "secure/crypto.h"

enum { LTHASH_SUMS = MSY_LTHASH_BYTES / 2 };

static inline uint16_t lthash_load(const uint8_t *bytes)
{
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    uint16_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
#else
    return (uint16_t)(bytes[0] | bytes[1] << 8);
#endif
}

static inline void lthash_store(uint8_t *bytes, uint16_t value)
{
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    memcpy(bytes, &value, sizeof value);
#else
    bytes[0] = (uint8_t)value;
    bytes[1] = (uint8_t)(value >> 8);
#endif
}

void msy_lthash_add(struct msy_lthash *sum, const uint8_t key[32], const uint8_t nonce[12])
{
    uint8_t element[MSY_LTHASH_BYTES];
    uint8_t *restrict sums = sum->sums;
    msy_stream(element, sizeof element, key, nonce);
    for (size_t i = 0; i < LTHASH_SUMS; i++) {
        unsigned value = lthash_load(sums + 2 * i) + (unsigned)lthash_load(element + 2 * i);
        lthash_store(sums + 2 * i, (uint16_t)value);
    }
}

void msy_lthash_remove(struct msy_lthash *sum, const uint8_t key[32], const uint8_t nonce[12])
{
    uint8_t element[MSY_LTHASH_BYTES];
    uint8_t *restrict sums = sum->sums;
    msy_stream(element, sizeof element, key, nonce);
    for (size_t i = 0; i < LTHASH_SUMS; i++) {
        unsigned value = lthash_load(sums + 2 * i) - (unsigned)lthash_load(element + 2 * i);
        lthash_store(sums + 2 * i, (uint16_t)value);
    }
}

void msy_lthash_join(struct msy_lthash *sum, const struct msy_lthash *other)
{
    uint8_t *restrict sums = sum->sums;
    const uint8_t *restrict others = other->sums;
    for (size_t i = 0; i < LTHASH_SUMS; i++) {
        unsigned value = lthash_load(sums + 2 * i) + (unsigned)lthash_load(others + 2 * i);
        lthash_store(sums + 2 * i, (uint16_t)value);
    }
}
