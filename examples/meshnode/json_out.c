/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "values.h"

json_t *json_of_b64(const void *data, size_t len)
{
    char *text = base64_text(data, len);
    json_t *json = text != NULL ? json_string(text) : NULL;
    free(text);
    return json;
}

static json_t *json_b64_object(meshsync_bytes bytes)
{
    json_t *object = json_object();
    if (!json_put(object, "b64", json_of_b64(bytes.data, bytes.len))) {
        json_decref(object);
        return NULL;
    }
    return object;
}

json_t *json_of_bytes(meshsync_bytes bytes)
{
    const char *text = bytes.len > 0 ? (const char *)bytes.data : "";
    if (!utf8_valid(text, bytes.len)) {
        return json_b64_object(bytes);
    }
    return json_stringn(text, bytes.len);
}

json_t *json_of_hex(const uint8_t *data, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    char text[2 * MESHSYNC_NODE_ID_BYTES + 1];
    size_t at = 0;
    for (size_t i = 0; i < len && at + 2 < sizeof text; i++) {
        text[at++] = digits[data[i] >> 4];
        text[at++] = digits[data[i] & 15];
    }
    return json_stringn(text, at);
}

json_t *json_of_stamp(uint64_t hlc)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%" PRIu64, hlc);
    return json_string(text);
}

json_t *json_of_u64(uint64_t number)
{
    return number <= VALUES_EXACT_MAX ? json_integer((json_int_t)number) : json_of_stamp(number);
}

json_t *json_of_i64(int64_t number)
{
    if (number <= VALUES_EXACT_MAX && number >= -VALUES_EXACT_MAX) {
        return json_integer(number);
    }
    char text[24];
    (void)snprintf(text, sizeof text, "%" PRId64, number);
    return json_string(text);
}

json_t *json_of_token(const meshsync_token *token)
{
    char text[2 * MESHSYNC_TOKEN_BYTES_MAX];
    meshsync_token_format(token, text);
    return json_string(text);
}

static json_t *json_of_real(double real, const char **type)
{
    if (isfinite(real)) {
        return json_real(real);
    }
    *type = value_type_name(MESHSYNC_VALUE_FLOAT);
    return json_string(isnan(real) ? "nan" : real > 0 ? "inf" : "-inf");
}

/* True when the JSON is an array or object that stands for itself when it is shown inline. */
static bool json_is_plain(const json_t *json)
{
    bool b64 =
        json_is_object(json) && json_object_size(json) == 1 && json_object_get(json, "b64") != NULL;
    return (json_is_array(json) || json_is_object(json)) && !b64;
}

/*
 * JSON is shown inline where that loses nothing of its text; otherwise, as with numbers beyond 64
 * bits or spaces between members, as a string that has the text.
 */
static json_t *json_of_json(meshsync_bytes bytes, const char **type)
{
    json_error_t error;
    const size_t flags = JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES;
    json_t *json = json_loadb((const char *)bytes.data, bytes.len, flags, &error);
    if (json_is_plain(json)) {
        char *text = json_dumps(json, JSON_COMPACT);
        bool same =
            text != NULL && strlen(text) == bytes.len && memcmp(text, bytes.data, bytes.len) == 0;
        free(text);
        if (same) {
            return json;
        }
    }
    json_decref(json);
    *type = value_type_name(MESHSYNC_VALUE_JSON);
    return json_of_bytes(bytes);
}

json_t *json_of_value(const meshsync_value *value, const char **type)
{
    *type = NULL;
    switch ((meshsync_value_type)value->type) {
    case MESHSYNC_VALUE_NIL: return json_null();
    case MESHSYNC_VALUE_BOOL: return json_boolean(value->integer != 0);
    case MESHSYNC_VALUE_INT:
        if (value->integer > VALUES_EXACT_MAX || value->integer < -VALUES_EXACT_MAX) {
            *type = value_type_name(MESHSYNC_VALUE_INT);
        }
        return json_of_i64(value->integer);
    case MESHSYNC_VALUE_FLOAT: return json_of_real(value->real, type);
    case MESHSYNC_VALUE_STRING: return json_of_bytes(value->bytes);
    case MESHSYNC_VALUE_BYTES:
        if (utf8_valid(value->bytes.data, value->bytes.len)) {
            *type = value_type_name(MESHSYNC_VALUE_BYTES);
        }
        return json_of_bytes(value->bytes);
    case MESHSYNC_VALUE_JSON: return json_of_json(value->bytes, type);
    case MESHSYNC_VALUE_MSGPACK:
    case MESHSYNC_VALUE_OPAQUE: break;
    }
    *type = value_type_name(value->type);
    return json_b64_object(value->bytes);
}

bool json_put(json_t *object, const char *name, json_t *member)
{
    return json_object_set_new(object, name, member) == 0;
}

bool json_set_value(json_t *object, const meshsync_value *value)
{
    const char *type = NULL;
    return json_put(object, "value", json_of_value(value, &type)) &&
           (type == NULL || json_put(object, "type", json_string(type)));
}

json_t *json_of_part(meshsync_bytes key, uint32_t index)
{
    uint8_t part[MESHSYNC_PATH_BYTES_MAX];
    size_t len = 0;
    if (meshsync_entry_part(key, index, part, &len) != MESHSYNC_OK) {
        return NULL;
    }
    return json_of_bytes((meshsync_bytes){part, len});
}

json_t *json_of_parts(meshsync_bytes key, uint32_t first)
{
    json_t *array = json_array();
    for (uint32_t i = first; i < MESHSYNC_PATH_PARTS_MAX; i++) {
        json_t *part = json_of_part(key, i);
        if (part == NULL) {
            break;
        }
        if (json_array_append_new(array, part) != 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static int json_to_io(const char *data, size_t len, void *user)
{
    io_out(user, data, len);
    return 0;
}

bool json_line(struct cli_context *ctx, json_t *line)
{
    bool good = line != NULL &&
                json_dump_callback(line, json_to_io, &ctx->io, JSON_COMPACT | JSON_ENCODE_ANY) == 0;
    io_text(&ctx->io, "\n");
    json_decref(line);
    return good;
}
