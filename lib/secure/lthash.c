/* SPDX-License-Identifier: Apache-2.0 */
/* The homomorphic digest. Declared in secure/crypto.h. */
#include <string.h>

#include "secure/crypto.h"

enum { LTHASH_PART_BYTES = 512, LTHASH_PART_WORDS = LTHASH_PART_BYTES / 2 };

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
static void lthash_load(uint16_t words[LTHASH_PART_WORDS], const uint8_t *bytes)
{
    memcpy(words, bytes, LTHASH_PART_BYTES);
}

static void lthash_store(uint8_t *bytes, const uint16_t words[LTHASH_PART_WORDS])
{
    memcpy(bytes, words, LTHASH_PART_BYTES);
}
#else
static void lthash_load(uint16_t words[LTHASH_PART_WORDS], const uint8_t *bytes)
{
    for (size_t i = 0; i < LTHASH_PART_WORDS; i++) {
        words[i] = (uint16_t)(bytes[2 * i] | bytes[2 * i + 1] << 8);
    }
}

static void lthash_store(uint8_t *bytes, const uint16_t words[LTHASH_PART_WORDS])
{
    for (size_t i = 0; i < LTHASH_PART_WORDS; i++) {
        bytes[2 * i] = (uint8_t)words[i];
        bytes[2 * i + 1] = (uint8_t)(words[i] >> 8);
    }
}
#endif

static void lthash_merge(struct msy_lthash *sum, const uint8_t key[32], const uint8_t nonce[12],
                         bool add)
{
    uint16_t words[LTHASH_PART_WORDS];
    uint16_t element[LTHASH_PART_WORDS];
    uint8_t stream[MSY_LTHASH_BYTES];
    msy_stream(stream, sizeof stream, key, nonce);
    for (size_t at = 0; at < MSY_LTHASH_BYTES; at += LTHASH_PART_BYTES) {
        uint8_t *sums = sum->sums + at;
        lthash_load(words, sums);
        lthash_load(element, stream + at);
        for (size_t i = 0; i < LTHASH_PART_WORDS; i++) {
            words[i] = (uint16_t)(add ? words[i] + element[i] : words[i] - element[i]);
        }
        lthash_store(sums, words);
    }
}

void msy_lthash_add(struct msy_lthash *sum, const uint8_t key[32], const uint8_t nonce[12])
{
    lthash_merge(sum, key, nonce, true);
}

void msy_lthash_remove(struct msy_lthash *sum, const uint8_t key[32], const uint8_t nonce[12])
{
    lthash_merge(sum, key, nonce, false);
}
