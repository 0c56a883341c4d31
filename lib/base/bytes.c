/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <string.h>

void msy_put_be16(uint8_t *out, uint16_t value)
{
    out[0] = (uint8_t)(value >> 8);
    out[1] = (uint8_t)value;
}

void msy_put_be32(uint8_t *out, uint32_t value)
{
    out[0] = (uint8_t)(value >> 24);
    out[1] = (uint8_t)(value >> 16);
    out[2] = (uint8_t)(value >> 8);
    out[3] = (uint8_t)value;
}

void msy_put_be64(uint8_t *out, uint64_t value)
{
    msy_put_be32(out, (uint32_t)(value >> 32));
    msy_put_be32(out + 4, (uint32_t)value);
}

uint16_t msy_get_be16(const uint8_t *in)
{
    return (uint16_t)((unsigned)in[0] << 8 | in[1]);
}

uint32_t msy_get_be32(const uint8_t *in)
{
    return (uint32_t)in[0] << 24 | (uint32_t)in[1] << 16 | (uint32_t)in[2] << 8 | in[3];
}

uint64_t msy_get_be64(const uint8_t *in)
{
    return (uint64_t)msy_get_be32(in) << 32 | msy_get_be32(in + 4);
}

size_t msy_put_varint(uint8_t *out, uint64_t value)
{
    size_t n = 0;
    while (value >= 0x80u) {
        out[n++] = (uint8_t)(value | 0x80u);
        value >>= 7;
    }
    out[n++] = (uint8_t)value;
    return n;
}

bool msy_cursor_be16(struct msy_cursor *cursor, uint16_t *out)
{
    const uint8_t *at = msy_cursor_take(cursor, 2);
    *out = at == NULL ? 0 : msy_get_be16(at);
    return at != NULL;
}

bool msy_cursor_be64(struct msy_cursor *cursor, uint64_t *out)
{
    const uint8_t *at = msy_cursor_take(cursor, 8);
    *out = at == NULL ? 0 : msy_get_be64(at);
    return at != NULL;
}

bool msy_cursor_varint_long(struct msy_cursor *cursor, uint64_t *out)
{
    uint64_t value = 0;
    *out = 0;
    for (unsigned i = 0; i < MSY_VARINT_BYTES_MAX; i++) {
        const uint8_t *at = msy_cursor_take(cursor, 1);
        if (at == NULL) {
            return false;
        }
        /* The tenth byte holds the one bit that is left. */
        if (i == MSY_VARINT_BYTES_MAX - 1 && *at > 1) {
            break;
        }
        value |= (uint64_t)(*at & 0x7Fu) << (7 * i);
        if ((*at & 0x80u) == 0) {
            if (i > 0 && *at == 0) {
                break; /* A shorter form exists. */
            }
            *out = value;
            return true;
        }
    }
    cursor->failed = true;
    return false;
}

bool msy_cursor_bytes(struct msy_cursor *cursor, size_t n, meshsync_bytes *out)
{
    *out = (meshsync_bytes){NULL, 0};
    if (n == 0) {
        out->data = cursor->failed ? NULL : cursor->at;
        return !cursor->failed;
    }
    const uint8_t *at = msy_cursor_take(cursor, n);
    if (at == NULL) {
        return false;
    }
    *out = (meshsync_bytes){at, n};
    return true;
}

bool msy_cursor_copy(struct msy_cursor *cursor, void *out, size_t n)
{
    meshsync_bytes bytes;
    if (!msy_cursor_bytes(cursor, n, &bytes)) {
        memset(out, 0, n);
        return false;
    }
    if (n > 0) {
        memcpy(out, bytes.data, n);
    }
    return true;
}

int msy_bytes_compare(meshsync_bytes a, meshsync_bytes b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int order = n == 0 ? 0 : memcmp(a.data, b.data, n);
    if (order != 0) {
        return order < 0 ? -1 : 1;
    }
    return a.len < b.len ? -1 : a.len > b.len ? 1 : 0;
}

bool msy_bytes_equal(meshsync_bytes a, meshsync_bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* Length of the well-formed character that starts at data, 0 when there is none. The ranges of the
 * second byte keep out overlong forms, surrogates and what is above U+10FFFF. */
static size_t utf8_length(const uint8_t *data, size_t left)
{
    uint8_t lead = data[0];
    size_t need = 0;
    uint8_t low = 0x80;
    uint8_t high = 0xBF;
    if (lead < 0x80) {
        return 1;
    }
    if (lead >= 0xC2 && lead <= 0xDF) {
        need = 2;
    } else if (lead >= 0xE0 && lead <= 0xEF) {
        need = 3;
        low = lead == 0xE0 ? 0xA0 : 0x80;
        high = lead == 0xED ? 0x9F : 0xBF;
    } else if (lead >= 0xF0 && lead <= 0xF4) {
        need = 4;
        low = lead == 0xF0 ? 0x90 : 0x80;
        high = lead == 0xF4 ? 0x8F : 0xBF;
    }
    if (need == 0 || need > left || data[1] < low || data[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < need; i++) {
        if ((data[i] & 0xC0u) != 0x80u) {
            return 0;
        }
    }
    return need;
}

bool msy_utf8_valid(meshsync_bytes bytes)
{
    size_t at = 0;
    while (at < bytes.len) {
        size_t n = utf8_length(bytes.data + at, bytes.len - at);
        if (n == 0) {
            return false;
        }
        at += n;
    }
    return true;
}
