/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

static const char base64_alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

size_t msy_base64url_encode(char *out, const void *data, size_t n)
{
    const uint8_t *in = data;
    char *at = out;
    size_t i = 0;
    for (; n - i >= 3; i += 3) {
        uint32_t group = (uint32_t)in[i] << 16 | (uint32_t)in[i + 1] << 8 | in[i + 2];
        *at++ = base64_alphabet[group >> 18];
        *at++ = base64_alphabet[group >> 12 & 63u];
        *at++ = base64_alphabet[group >> 6 & 63u];
        *at++ = base64_alphabet[group & 63u];
    }
    if (n - i == 1) {
        *at++ = base64_alphabet[in[i] >> 2];
        *at++ = base64_alphabet[(in[i] & 3u) << 4];
    } else if (n - i == 2) {
        *at++ = base64_alphabet[in[i] >> 2];
        *at++ = base64_alphabet[(in[i] & 3u) << 4 | in[i + 1] >> 4];
        *at++ = base64_alphabet[(in[i + 1] & 15u) << 2];
    }
    *at = '\0';
    return (size_t)(at - out);
}

/* The six bits of a letter, 64 when it is none. */
static uint32_t base64_bits(char letter)
{
    if (letter >= 'A' && letter <= 'Z') {
        return (uint32_t)(letter - 'A');
    }
    if (letter >= 'a' && letter <= 'z') {
        return (uint32_t)(letter - 'a') + 26;
    }
    if (letter >= '0' && letter <= '9') {
        return (uint32_t)(letter - '0') + 52;
    }
    return letter == '-' ? 62 : letter == '_' ? 63 : 64;
}

bool msy_base64url_decode(const char *text, size_t text_len, uint8_t *out, size_t out_max,
                          size_t *out_len)
{
    *out_len = 0;
    size_t tail = text_len % 4;
    size_t bytes = text_len / 4 * 3 + (tail == 0 ? 0 : tail - 1);
    if (tail == 1 || bytes > out_max) {
        return false;
    }
    uint32_t held = 0;
    unsigned held_bits = 0;
    size_t len = 0;
    for (size_t i = 0; i < text_len; i++) {
        uint32_t bits = base64_bits(text[i]);
        if (bits > 63) {
            return false;
        }
        held = held << 6 | bits;
        held_bits += 6;
        if (held_bits >= 8) {
            held_bits -= 8;
            out[len++] = (uint8_t)(held >> held_bits);
            held &= (1u << held_bits) - 1;
        }
    }
    if (held != 0) {
        return false; /* Two texts must not stand for the same bytes. */
    }
    *out_len = len;
    return true;
}

void msy_hex_encode(char *out, const void *data, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *in = data;
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[in[i] >> 4];
        out[2 * i + 1] = digits[in[i] & 15u];
    }
    out[2 * n] = '\0';
}
