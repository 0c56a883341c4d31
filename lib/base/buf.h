/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes: a growing buffer with a maximum from birth, a bounded read cursor, and big-endian and
 * varint integers. A varint is LEB128, 7 bits a byte, least first, shortest form only.
 */
#ifndef MSY_BASE_BUF_H
#define MSY_BASE_BUF_H

#include <stdbool.h>

#include <meshsync/types.h>

#include "base/alloc.h"

struct msy_buf {
    uint8_t *data; /* Owned. */
    size_t len;
    size_t cap;
    size_t max; /* Growing over it is MESHSYNC_E_LIMIT. */
    struct msy_alloc *alloc;
};

void msy_buf_init(struct msy_buf *buf, struct msy_alloc *alloc, size_t max);
void msy_buf_fini(struct msy_buf *buf);
/* Forgets the content, keeps the memory. */
void msy_buf_reset(struct msy_buf *buf);
/* Room for n more bytes at data + len. E_LIMIT or E_NO_MEMORY leave the buffer as it was. */
meshsync_status msy_buf_reserve(struct msy_buf *buf, size_t n);
meshsync_status msy_buf_append(struct msy_buf *buf, const void *data, size_t n);
meshsync_status msy_buf_append_u8(struct msy_buf *buf, uint8_t value);
meshsync_status msy_buf_append_be16(struct msy_buf *buf, uint16_t value);
meshsync_status msy_buf_append_be32(struct msy_buf *buf, uint32_t value);
meshsync_status msy_buf_append_be64(struct msy_buf *buf, uint64_t value);
meshsync_status msy_buf_append_varint(struct msy_buf *buf, uint64_t value);
/* Drops the first n bytes, n <= len. */
void msy_buf_consume(struct msy_buf *buf, size_t n);
meshsync_bytes msy_buf_bytes(const struct msy_buf *buf);

void msy_put_be16(uint8_t *out, uint16_t value);
void msy_put_be32(uint8_t *out, uint32_t value);
void msy_put_be64(uint8_t *out, uint64_t value);
uint16_t msy_get_be16(const uint8_t *in);
uint32_t msy_get_be32(const uint8_t *in);
uint64_t msy_get_be64(const uint8_t *in);
/* Longest varint: ten groups of 7 bits hold 64. */
enum { MSY_VARINT_BYTES_MAX = 10 };
/* Writes at most MSY_VARINT_BYTES_MAX bytes, returns how many. */
size_t msy_put_varint(uint8_t *out, uint64_t value);

/* Reading: each function returns false, and marks the cursor as failed, when bytes are missing or
 * malformed; a failed cursor fails for ever and gives zeros. */
struct msy_cursor {
    const uint8_t *at;
    const uint8_t *end;
    bool failed;
};

/* Here are those that reads of the store live on. */
static inline void msy_cursor_init(struct msy_cursor *cursor, meshsync_bytes bytes)
{
    cursor->at = bytes.data;
    /* Adding to a NULL pointer is undefined, even nothing. */
    cursor->end = bytes.len == 0 ? bytes.data : bytes.data + bytes.len;
    cursor->failed = false;
}

static inline size_t msy_cursor_left(const struct msy_cursor *cursor)
{
    return cursor->failed || cursor->at == cursor->end ? 0 : (size_t)(cursor->end - cursor->at);
}

/* Lends the next n bytes, n > 0. NULL, and the cursor has failed: they are not there. */
static inline const uint8_t *msy_cursor_take(struct msy_cursor *cursor, size_t n)
{
    if (cursor->failed || n > msy_cursor_left(cursor)) {
        cursor->failed = true;
        return NULL;
    }
    const uint8_t *at = cursor->at;
    cursor->at += n;
    return at;
}

static inline bool msy_cursor_u8(struct msy_cursor *cursor, uint8_t *out)
{
    const uint8_t *at = msy_cursor_take(cursor, 1);
    *out = at == NULL ? 0 : *at;
    return at != NULL;
}

static inline bool msy_cursor_be32(struct msy_cursor *cursor, uint32_t *out)
{
    const uint8_t *at = msy_cursor_take(cursor, 4);
    *out = at == NULL ? 0 : msy_get_be32(at);
    return at != NULL;
}

bool msy_cursor_varint_long(struct msy_cursor *cursor, uint64_t *out);

static inline bool msy_cursor_varint(struct msy_cursor *cursor, uint64_t *out)
{
    if (!cursor->failed && cursor->at != cursor->end && *cursor->at < 0x80) {
        *out = *cursor->at;
        cursor->at += 1;
        return true;
    }
    return msy_cursor_varint_long(cursor, out);
}

bool msy_cursor_be16(struct msy_cursor *cursor, uint16_t *out);
bool msy_cursor_be64(struct msy_cursor *cursor, uint64_t *out);
bool msy_cursor_bytes(struct msy_cursor *cursor, size_t n, meshsync_bytes *out);
bool msy_cursor_copy(struct msy_cursor *cursor, void *out, size_t n);

/* memcmp order, shorter first on a common prefix. */
int msy_bytes_compare(meshsync_bytes a, meshsync_bytes b);
bool msy_bytes_equal(meshsync_bytes a, meshsync_bytes b);
/* True for well-formed UTF-8 without surrogates and overlong forms. */
bool msy_utf8_valid(meshsync_bytes bytes);

/* CRC32C (Castagnoli), hardware where there is any; start with 0. */
uint32_t msy_crc32c(uint32_t crc, const void *data, size_t n);
/* The same without hardware: what other machines use, and what tests compare with. */
uint32_t msy_crc32c_portable(uint32_t crc, const void *data, size_t n);

/* base64url without padding. out has room for (n + 2) / 3 * 4 + 1 bytes; zero-terminated. */
size_t msy_base64url_encode(char *out, const void *data, size_t n);
/* Strict: alphabet, no padding, zero spare bits. Returns false when malformed or out is short. */
bool msy_base64url_decode(const char *text, size_t text_len, uint8_t *out, size_t out_max,
                          size_t *out_len);
/* Lower-case hex, zero-terminated: out has room for 2 n + 1. */
void msy_hex_encode(char *out, const void *data, size_t n);

#endif
