/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/msgpack_check.h"

#include "base/limits.h"

#include <string.h>

enum {
    MP_NIL = 0xc0,
    MP_FALSE = 0xc2,
    MP_TRUE = 0xc3,
    MP_BIN8 = 0xc4,
    MP_BIN16 = 0xc5,
    MP_BIN32 = 0xc6,
    MP_EXT8 = 0xc7,
    MP_EXT16 = 0xc8,
    MP_EXT32 = 0xc9,
    MP_FLOAT64 = 0xcb,
    MP_UINT8 = 0xcc,
    MP_UINT16 = 0xcd,
    MP_UINT32 = 0xce,
    MP_UINT64 = 0xcf,
    MP_INT8 = 0xd0,
    MP_INT16 = 0xd1,
    MP_INT32 = 0xd2,
    MP_INT64 = 0xd3,
    MP_FIXEXT1 = 0xd4,
    MP_FIXEXT16 = 0xd8,
    MP_STR8 = 0xd9,
    MP_STR16 = 0xda,
    MP_STR32 = 0xdb,
    MP_ARRAY16 = 0xdc,
    MP_ARRAY32 = 0xdd,
    MP_MAP16 = 0xde,
    MP_MAP32 = 0xdf,
    MP_NEGATIVE_FIXINT = 0xe0
};

#define MP_NAN_BITS UINT64_C(0x7ff8000000000000)

static bool mp_fail(struct msy_cursor *cursor)
{
    cursor->failed = true;
    return false;
}

/* A big-endian number of width bytes that a shorter form could not hold: at least `least`. */
static bool mp_number(struct msy_cursor *cursor, size_t width, uint64_t least, uint64_t *out)
{
    meshsync_bytes bytes;
    uint64_t number = 0;
    if (!msy_cursor_bytes(cursor, width, &bytes)) {
        return false;
    }
    for (size_t i = 0; i < width; i++) {
        number = number << 8 | bytes.data[i];
    }
    *out = number;
    return number >= least ? true : mp_fail(cursor);
}

/* A negative number of width bytes, sign-extended, below what a shorter form could hold. */
static bool mp_negative(struct msy_cursor *cursor, size_t width, int64_t most, uint64_t *out)
{
    uint64_t number = 0;
    int64_t value = 0;
    if (!mp_number(cursor, width, 0, &number)) {
        return false;
    }
    if (width < 8 && (number >> (width * 8 - 1)) != 0) {
        number |= ~UINT64_C(0) << (width * 8);
    }
    memcpy(&value, &number, sizeof value);
    *out = number;
    return value <= most ? true : mp_fail(cursor);
}

static bool mp_float(struct msy_cursor *cursor, struct msy_msgpack_head *head)
{
    head->type = MSY_MP_FLOAT;
    if (!msy_cursor_be64(cursor, &head->number)) {
        return false;
    }
    bool nan = (head->number & UINT64_C(0x7ff0000000000000)) == UINT64_C(0x7ff0000000000000) &&
               (head->number & UINT64_C(0x000fffffffffffff)) != 0;
    return !nan || head->number == MP_NAN_BITS ? true : mp_fail(cursor);
}

static bool mp_data(struct msy_cursor *cursor, struct msy_msgpack_head *head,
                    enum msy_msgpack_type type)
{
    head->type = type;
    if (head->number > msy_cursor_left(cursor)) {
        return mp_fail(cursor);
    }
    if (!msy_cursor_bytes(cursor, (size_t)head->number, &head->data)) {
        return false;
    }
    return type != MSY_MP_STR || msy_utf8_valid(head->data) ? true : mp_fail(cursor);
}

static bool mp_ext(struct msy_cursor *cursor, struct msy_msgpack_head *head)
{
    uint8_t type = 0;
    if (!msy_cursor_u8(cursor, &type)) {
        return false;
    }
    head->ext_type = (int8_t)type;
    return mp_data(cursor, head, MSY_MP_EXT);
}

/* Lengths that have a fixext form must use it. */
static bool mp_ext_len_fixed(uint64_t len)
{
    return len == 1 || len == 2 || len == 4 || len == 8 || len == 16;
}

static bool mp_counted(struct msy_cursor *cursor, struct msy_msgpack_head *head,
                       enum msy_msgpack_type type)
{
    head->type = type;
    /* Each element takes a byte at least: a count that cannot be true is not carried further. */
    uint64_t least = type == MSY_MP_MAP ? head->number * 2 : head->number;
    return least <= msy_cursor_left(cursor) ? true : mp_fail(cursor);
}

static bool mp_read_long(struct msy_cursor *cursor, uint8_t byte, struct msy_msgpack_head *head)
{
    switch (byte) {
    case MP_UINT8: head->type = MSY_MP_UINT; return mp_number(cursor, 1, 128, &head->number);
    case MP_UINT16: head->type = MSY_MP_UINT; return mp_number(cursor, 2, 256, &head->number);
    case MP_UINT32: head->type = MSY_MP_UINT; return mp_number(cursor, 4, 65536, &head->number);
    case MP_UINT64:
        head->type = MSY_MP_UINT;
        return mp_number(cursor, 8, UINT64_C(1) << 32, &head->number);
    case MP_INT8: head->type = MSY_MP_NEGINT; return mp_negative(cursor, 1, -33, &head->number);
    case MP_INT16: head->type = MSY_MP_NEGINT; return mp_negative(cursor, 2, -129, &head->number);
    case MP_INT32: head->type = MSY_MP_NEGINT; return mp_negative(cursor, 4, -32769, &head->number);
    case MP_INT64:
        head->type = MSY_MP_NEGINT;
        return mp_negative(cursor, 8, -INT64_C(2147483649), &head->number);
    case MP_FLOAT64: return mp_float(cursor, head);
    case MP_STR8:
        return mp_number(cursor, 1, 32, &head->number) && mp_data(cursor, head, MSY_MP_STR);
    case MP_STR16:
        return mp_number(cursor, 2, 256, &head->number) && mp_data(cursor, head, MSY_MP_STR);
    case MP_STR32:
        return mp_number(cursor, 4, 65536, &head->number) && mp_data(cursor, head, MSY_MP_STR);
    case MP_BIN8:
        return mp_number(cursor, 1, 0, &head->number) && mp_data(cursor, head, MSY_MP_BIN);
    case MP_BIN16:
        return mp_number(cursor, 2, 256, &head->number) && mp_data(cursor, head, MSY_MP_BIN);
    case MP_BIN32:
        return mp_number(cursor, 4, 65536, &head->number) && mp_data(cursor, head, MSY_MP_BIN);
    case MP_EXT8:
        return mp_number(cursor, 1, 0, &head->number) && !mp_ext_len_fixed(head->number)
                   ? mp_ext(cursor, head)
                   : mp_fail(cursor);
    case MP_EXT16: return mp_number(cursor, 2, 256, &head->number) && mp_ext(cursor, head);
    case MP_EXT32: return mp_number(cursor, 4, 65536, &head->number) && mp_ext(cursor, head);
    case MP_ARRAY16:
        return mp_number(cursor, 2, 16, &head->number) && mp_counted(cursor, head, MSY_MP_ARRAY);
    case MP_ARRAY32:
        return mp_number(cursor, 4, 65536, &head->number) && mp_counted(cursor, head, MSY_MP_ARRAY);
    case MP_MAP16:
        return mp_number(cursor, 2, 16, &head->number) && mp_counted(cursor, head, MSY_MP_MAP);
    case MP_MAP32:
        return mp_number(cursor, 4, 65536, &head->number) && mp_counted(cursor, head, MSY_MP_MAP);
    default: return mp_fail(cursor); /* 0xc1, and float32, which is not used. */
    }
}

bool msy_mp_read(struct msy_cursor *cursor, struct msy_msgpack_head *head)
{
    uint8_t byte = 0;
    memset(head, 0, sizeof *head);
    if (!msy_cursor_u8(cursor, &byte)) {
        return false;
    }
    if (byte < 0x80) {
        head->type = MSY_MP_UINT;
        head->number = byte;
        return true;
    }
    if (byte >= MP_NEGATIVE_FIXINT) {
        head->type = MSY_MP_NEGINT;
        head->number = ~UINT64_C(0xff) | byte;
        return true;
    }
    if (byte < 0xc0) {
        head->number = byte < 0xa0 ? byte & 0x0f : byte & 0x1f;
        if (byte >= 0xa0) {
            return mp_data(cursor, head, MSY_MP_STR);
        }
        return mp_counted(cursor, head, byte < 0x90 ? MSY_MP_MAP : MSY_MP_ARRAY);
    }
    if (byte == MP_NIL) {
        head->type = MSY_MP_NIL;
        return true;
    }
    if (byte == MP_FALSE || byte == MP_TRUE) {
        head->type = MSY_MP_BOOL;
        head->number = byte == MP_TRUE ? 1 : 0;
        return true;
    }
    if (byte >= MP_FIXEXT1 && byte <= MP_FIXEXT16) {
        head->number = UINT64_C(1) << (byte - MP_FIXEXT1);
        return mp_ext(cursor, head);
    }
    return mp_read_long(cursor, byte, head);
}

bool msy_mp_uint(struct msy_cursor *cursor, uint64_t *out)
{
    struct msy_msgpack_head head;
    *out = 0;
    if (!msy_mp_read(cursor, &head)) {
        return false;
    }
    *out = head.number;
    return head.type == MSY_MP_UINT ? true : mp_fail(cursor);
}

bool msy_mp_array(struct msy_cursor *cursor, uint32_t *count)
{
    struct msy_msgpack_head head;
    *count = 0;
    if (!msy_mp_read(cursor, &head)) {
        return false;
    }
    if (head.type != MSY_MP_ARRAY || head.number > UINT32_MAX) {
        return mp_fail(cursor);
    }
    *count = (uint32_t)head.number;
    return true;
}

bool msy_mp_nil(struct msy_cursor *cursor)
{
    if (cursor->failed || msy_cursor_left(cursor) == 0 || *cursor->at != MP_NIL) {
        return false;
    }
    cursor->at += 1;
    return true;
}

static bool mp_typed_data(struct msy_cursor *cursor, enum msy_msgpack_type type,
                          meshsync_bytes *out)
{
    struct msy_msgpack_head head;
    *out = (meshsync_bytes){NULL, 0};
    if (!msy_mp_read(cursor, &head)) {
        return false;
    }
    *out = head.data;
    return head.type == type ? true : mp_fail(cursor);
}

bool msy_mp_str(struct msy_cursor *cursor, meshsync_bytes *out)
{
    return mp_typed_data(cursor, MSY_MP_STR, out);
}

bool msy_mp_bin(struct msy_cursor *cursor, meshsync_bytes *out)
{
    return mp_typed_data(cursor, MSY_MP_BIN, out);
}

bool msy_mp_bin_copy(struct msy_cursor *cursor, void *out, size_t n)
{
    meshsync_bytes bytes;
    if (!msy_mp_bin(cursor, &bytes)) {
        return false;
    }
    if (bytes.len != n) {
        return mp_fail(cursor);
    }
    memcpy(out, bytes.data, n);
    return true;
}

/* An array or map that is being read. */
struct mp_level {
    uint64_t left; /* Values still to come; of a map, keys and values. */
    meshsync_bytes last_key;
    bool map;
    bool first;
};

/* A map's next key: a str, greater than the one before. */
static bool mp_key(struct msy_cursor *cursor, struct mp_level *level)
{
    meshsync_bytes key;
    if (!msy_mp_str(cursor, &key)) {
        return false;
    }
    if (!level->first && msy_bytes_compare(level->last_key, key) >= 0) {
        return mp_fail(cursor);
    }
    level->first = false;
    level->last_key = key;
    level->left -= 1;
    return true;
}

bool msy_mp_raw(struct msy_cursor *cursor, meshsync_bytes *raw)
{
    struct mp_level levels[MSY_MSGPACK_DEPTH_MAX];
    uint32_t depth = 0;
    const uint8_t *start = cursor->at;
    *raw = (meshsync_bytes){NULL, 0};
    do {
        struct msy_msgpack_head head;
        if (depth > 0 && levels[depth - 1].map && levels[depth - 1].left % 2 == 0 &&
            !mp_key(cursor, &levels[depth - 1])) {
            return false;
        }
        if (!msy_mp_read(cursor, &head)) {
            return false;
        }
        if (depth > 0) {
            levels[depth - 1].left -= 1;
        }
        if (head.type == MSY_MP_ARRAY || head.type == MSY_MP_MAP) {
            if (depth == MSY_MSGPACK_DEPTH_MAX) { /* Of empty ones too: msgpack-c has no room. */
                return mp_fail(cursor);
            }
            bool map = head.type == MSY_MP_MAP;
            levels[depth] = (struct mp_level){
                .left = map ? head.number * 2 : head.number, .map = map, .first = true};
            depth += 1;
        }
        while (depth > 0 && levels[depth - 1].left == 0) {
            depth -= 1;
        }
    } while (depth > 0);
    *raw = (meshsync_bytes){start, (size_t)(cursor->at - start)};
    return true;
}

size_t msy_msgpack_check(meshsync_bytes bytes)
{
    struct msy_cursor cursor;
    meshsync_bytes raw;
    msy_cursor_init(&cursor, bytes);
    return msy_mp_raw(&cursor, &raw) ? raw.len : 0;
}
