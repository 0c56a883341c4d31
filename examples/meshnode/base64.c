/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "values.h"

static const char base64_letters[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

char *base64_text(const void *data, size_t len)
{
    const uint8_t *in = data;
    char *text = malloc(len / 3 * 4 + 5);
    if (text == NULL) {
        return NULL;
    }
    char *at = text;
    uint32_t bits = 0;
    unsigned held = 0;
    for (size_t i = 0; i < len; i++) {
        bits = bits << 8 | in[i];
        held += 8;
        while (held >= 6) {
            held -= 6;
            *at++ = base64_letters[bits >> held & 63u];
        }
    }
    if (held > 0) {
        *at++ = base64_letters[bits << (6 - held) & 63u];
    }
    *at = '\0';
    return text;
}

static int base64_bits(char letter)
{
    for (int i = 0; i < 64; i++) {
        if (base64_letters[i] == letter) {
            return i;
        }
    }
    return -1;
}

bool base64_parse(const char *text, size_t text_len, uint8_t **data, size_t *len)
{
    *len = 0;
    *data = malloc(text_len / 4 * 3 + 4);
    if (*data == NULL) {
        return false;
    }
    uint32_t bits = 0;
    unsigned held = 0;
    bool good = text_len % 4 != 1;
    for (size_t i = 0; i < text_len && good; i++) {
        int value = base64_bits(text[i]);
        good = value >= 0;
        bits = (bits << 6 | (uint32_t)(value & 63)) & 0xffffffu;
        held += 6;
        if (held >= 8) {
            held -= 8;
            (*data)[(*len)++] = (uint8_t)(bits >> held & 0xffu);
        }
    }
    if (!good || (bits & ((1u << held) - 1)) != 0) {
        free(*data); /* Also when two texts would stand for the same bytes. */
        *data = NULL;
        return false;
    }
    return true;
}
