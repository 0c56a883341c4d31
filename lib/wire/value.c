/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/value.h"

#include <string.h>

#include "base/error.h"

enum { EXT_JSON = 1, EXT_MSGPACK = 2 };

static meshsync_status value_encode_bytes(const meshsync_value *value, struct msy_buf *out,
                                          meshsync_error *error)
{
    switch ((meshsync_value_type)value->type) {
    case MESHSYNC_VALUE_BYTES: return msy_mp_put_bin(out, value->bytes);
    case MESHSYNC_VALUE_STRING:
        return msy_utf8_valid(value->bytes)
                   ? msy_mp_put_str(out, value->bytes)
                   : msy_fail(error, MESHSYNC_E_INVALID, "a STRING value is not UTF-8");
    case MESHSYNC_VALUE_JSON:
        return msy_utf8_valid(value->bytes)
                   ? msy_mp_put_ext(out, EXT_JSON, value->bytes)
                   : msy_fail(error, MESHSYNC_E_INVALID, "a JSON value is not UTF-8");
    case MESHSYNC_VALUE_MSGPACK:
        return value->bytes.len > 0 && msy_msgpack_check(value->bytes) == value->bytes.len
                   ? msy_mp_put_ext(out, EXT_MSGPACK, value->bytes)
                   : msy_fail(error, MESHSYNC_E_INVALID,
                              "a MSGPACK value is not one canonical msgpack value");
    case MESHSYNC_VALUE_NIL:
    case MESHSYNC_VALUE_INT:
    case MESHSYNC_VALUE_FLOAT:
    case MESHSYNC_VALUE_BOOL:
    case MESHSYNC_VALUE_OPAQUE: break;
    }
    return msy_fail(error, MESHSYNC_E_INVALID, "%d is no type of a value that can be written",
                    (int)value->type);
}

meshsync_status msy_value_encode(const meshsync_value *value, struct msy_buf *out,
                                 meshsync_error *error)
{
    if (value->bytes.len > MESHSYNC_VALUE_BYTES_MAX) {
        return msy_fail(error, MESHSYNC_E_LIMIT, "a value of %zu bytes is over the limit of %u",
                        value->bytes.len, (unsigned)MESHSYNC_VALUE_BYTES_MAX);
    }
    if (value->bytes.len > 0 && value->bytes.data == NULL) {
        return msy_fail(error, MESHSYNC_E_INVALID, "a value has a length but no bytes");
    }
    switch (value->type) {
    case MESHSYNC_VALUE_NIL: return msy_mp_put_nil(out);
    case MESHSYNC_VALUE_INT: return msy_mp_put_int(out, value->integer);
    case MESHSYNC_VALUE_FLOAT: return msy_mp_put_float(out, value->real);
    case MESHSYNC_VALUE_BOOL: return msy_mp_put_bool(out, value->integer != 0);
    default: return value_encode_bytes(value, out, error);
    }
}

static void value_decode_ext(const struct msy_msgpack_head *head, meshsync_value *value)
{
    if (head->ext_type == EXT_JSON && msy_utf8_valid(head->data)) {
        value->type = MESHSYNC_VALUE_JSON;
        value->bytes = head->data;
    } else if (head->ext_type == EXT_MSGPACK && head->data.len > 0 &&
               msy_msgpack_check(head->data) == head->data.len) {
        value->type = MESHSYNC_VALUE_MSGPACK;
        value->bytes = head->data;
    }
}

void msy_value_decode(meshsync_bytes payload, meshsync_value *value)
{
    struct msy_cursor cursor;
    struct msy_msgpack_head head;
    memset(value, 0, sizeof *value);
    value->type = MESHSYNC_VALUE_OPAQUE;
    value->bytes = payload;
    msy_cursor_init(&cursor, payload);
    if (!msy_mp_read(&cursor, &head)) {
        return;
    }
    switch (head.type) {
    case MSY_MP_NIL: value->type = MESHSYNC_VALUE_NIL; break;
    case MSY_MP_BOOL:
        value->type = MESHSYNC_VALUE_BOOL;
        value->integer = (int64_t)head.number;
        break;
    case MSY_MP_UINT:
        if (head.number > INT64_MAX) {
            return; /* Of a later version. */
        }
        value->type = MESHSYNC_VALUE_INT;
        value->integer = (int64_t)head.number;
        break;
    case MSY_MP_NEGINT:
        value->type = MESHSYNC_VALUE_INT;
        memcpy(&value->integer, &head.number, sizeof value->integer);
        break;
    case MSY_MP_FLOAT:
        value->type = MESHSYNC_VALUE_FLOAT;
        memcpy(&value->real, &head.number, sizeof value->real);
        break;
    case MSY_MP_STR:
        value->type = MESHSYNC_VALUE_STRING;
        value->bytes = head.data;
        return;
    case MSY_MP_BIN:
        value->type = MESHSYNC_VALUE_BYTES;
        value->bytes = head.data;
        return;
    case MSY_MP_EXT: value_decode_ext(&head, value); return;
    case MSY_MP_ARRAY:
    case MSY_MP_MAP: return;
    }
    value->bytes = (meshsync_bytes){NULL, 0};
}
