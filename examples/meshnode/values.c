/* SPDX-License-Identifier: Apache-2.0 */
#include "values.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const value_type_names[] = {
    [MESHSYNC_VALUE_NIL] = "nil",       [MESHSYNC_VALUE_BYTES] = "bytes",
    [MESHSYNC_VALUE_STRING] = "string", [MESHSYNC_VALUE_INT] = "int",
    [MESHSYNC_VALUE_FLOAT] = "float",   [MESHSYNC_VALUE_BOOL] = "bool",
    [MESHSYNC_VALUE_JSON] = "json",     [MESHSYNC_VALUE_MSGPACK] = "msgpack",
    [MESHSYNC_VALUE_OPAQUE] = "opaque",
};

enum { VALUE_TYPES_COUNT = (int)(sizeof value_type_names / sizeof value_type_names[0]) };

static const char value_no_memory[] = "out of memory";

const char *value_type_name(int32_t type)
{
    return type >= 0 && type < VALUE_TYPES_COUNT ? value_type_names[type] : "opaque";
}

int32_t value_type_by_name(const char *name)
{
    for (int32_t i = 0; i < VALUE_TYPES_COUNT; i++) {
        if (strcmp(value_type_names[i], name) == 0) {
            return i;
        }
    }
    return -1;
}

/* Length of the well-formed sequence at the front, 0: it is none. Unicode 15, table 3-7. */
static size_t utf8_sequence(const uint8_t *at, size_t left)
{
    uint8_t lead = at[0];
    if (lead < 0x80) {
        return 1;
    }
    size_t len = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || left < len) {
        return 0;
    }
    uint8_t low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    uint8_t high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (at[1] < low || at[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < len; i++) {
        if (at[i] < 0x80 || at[i] > 0xbf) {
            return 0;
        }
    }
    return len;
}

bool utf8_valid(const void *data, size_t len)
{
    const uint8_t *at = data;
    for (size_t i = 0; i < len;) {
        size_t step = utf8_sequence(at + i, len - i);
        if (step == 0) {
            return false;
        }
        i += step;
    }
    return true;
}

meshsync_value value_from_text(const char *text, size_t len)
{
    return (meshsync_value){
        .bytes = {(const uint8_t *)text, len},
        .type = utf8_valid(text, len) ? MESHSYNC_VALUE_STRING : MESHSYNC_VALUE_BYTES,
    };
}

void owned_value_fini(struct owned_value *owned)
{
    free(owned->memory);
    *owned = (struct owned_value){.memory = NULL};
}

void owned_bytes_fini(struct owned_bytes *owned)
{
    free(owned->memory);
    *owned = (struct owned_bytes){.memory = NULL};
}

static bool json_is_b64(const json_t *json)
{
    return json_is_object(json) && json_object_size(json) == 1 &&
           json_is_string(json_object_get(json, "b64"));
}

const char *bytes_from_json(const json_t *json, struct owned_bytes *out)
{
    *out = (struct owned_bytes){.memory = NULL};
    if (json_is_string(json)) {
        size_t len = json_string_length(json);
        out->memory = malloc(len + 1);
        if (out->memory == NULL) {
            return value_no_memory;
        }
        memcpy(out->memory, json_string_value(json), len);
        out->bytes = (meshsync_bytes){out->memory, len};
        return NULL;
    }
    if (json_is_b64(json)) {
        const json_t *text = json_object_get(json, "b64");
        size_t len = 0;
        if (!base64_parse(json_string_value(text), json_string_length(text), &out->memory, &len)) {
            return "\"b64\" is no base64url";
        }
        out->bytes = (meshsync_bytes){out->memory, len};
        return NULL;
    }
    return "must be a string or {\"b64\":...}";
}

static const char *value_of_bytes(const json_t *json, int32_t type, struct owned_value *out)
{
    struct owned_bytes bytes;
    const char *wrong = bytes_from_json(json, &bytes);
    if (wrong != NULL) {
        owned_bytes_fini(&bytes);
        return wrong;
    }
    out->value.type = type;
    out->value.bytes = bytes.bytes;
    out->memory = bytes.memory;
    return NULL;
}

/* Text, which may come as base64url of what is text. */
static const char *value_of_text(const json_t *json, struct owned_value *out)
{
    const char *wrong = value_of_bytes(json, MESHSYNC_VALUE_STRING, out);
    if (wrong != NULL) {
        return wrong;
    }
    return utf8_valid(out->value.bytes.data, out->value.bytes.len) ? NULL : "is no valid UTF-8";
}

/* Keeps JSON as its compact text. */
static const char *value_of_any_json(const json_t *json, struct owned_value *out)
{
    char *text = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);
    if (text == NULL) {
        return value_no_memory;
    }
    out->memory = text;
    out->value.type = MESHSYNC_VALUE_JSON;
    out->value.bytes = meshsync_bytes_of(text);
    return NULL;
}

static const char *value_implied(const json_t *json, struct owned_value *out)
{
    switch (json_typeof(json)) {
    case JSON_STRING: return value_of_bytes(json, MESHSYNC_VALUE_STRING, out);
    case JSON_INTEGER:
        out->value.type = MESHSYNC_VALUE_INT;
        out->value.integer = json_integer_value(json);
        return NULL;
    case JSON_REAL:
        out->value.type = MESHSYNC_VALUE_FLOAT;
        out->value.real = json_real_value(json);
        return NULL;
    case JSON_TRUE:
    case JSON_FALSE:
        out->value.type = MESHSYNC_VALUE_BOOL;
        out->value.integer = json_is_true(json);
        return NULL;
    case JSON_NULL: out->value.type = MESHSYNC_VALUE_NIL; return NULL;
    case JSON_OBJECT:
        if (json_is_b64(json)) {
            return value_of_bytes(json, MESHSYNC_VALUE_BYTES, out);
        }
        return value_of_any_json(json, out);
    case JSON_ARRAY: return value_of_any_json(json, out);
    }
    return "is no JSON";
}

static const char *value_of_number(const json_t *json, int32_t type, struct owned_value *out)
{
    const char *text = json_is_string(json) ? json_string_value(json) : NULL;
    out->value.type = type;
    if (type == MESHSYNC_VALUE_INT) {
        out->value.integer = json_integer_value(json);
        bool good = json_is_integer(json) || (text != NULL && parse_i64(text, &out->value.integer));
        return good ? NULL : "is no integer of 64 bits";
    }
    out->value.real = json_number_value(json);
    if (json_is_number(json)) {
        return NULL;
    }
    if (text != NULL && strcmp(text, "nan") == 0) {
        out->value.real = (double)NAN;
    } else if (text != NULL && strcmp(text, "inf") == 0) {
        out->value.real = (double)INFINITY;
    } else if (text != NULL && strcmp(text, "-inf") == 0) {
        out->value.real = (double)-INFINITY;
    } else {
        char *end = NULL;
        out->value.real = text != NULL ? strtod(text, &end) : 0;
        return end != NULL && end != text && *end == '\0' ? NULL : "is no number";
    }
    return NULL;
}

const char *value_from_json(const json_t *json, const char *type, struct owned_value *out)
{
    *out = (struct owned_value){.memory = NULL};
    if (json == NULL) {
        return "is missing";
    }
    if (type == NULL) {
        return value_implied(json, out);
    }
    switch (value_type_by_name(type)) {
    case MESHSYNC_VALUE_NIL: out->value.type = MESHSYNC_VALUE_NIL; return NULL;
    case MESHSYNC_VALUE_BYTES: return value_of_bytes(json, MESHSYNC_VALUE_BYTES, out);
    case MESHSYNC_VALUE_MSGPACK: return value_of_bytes(json, MESHSYNC_VALUE_MSGPACK, out);
    case MESHSYNC_VALUE_STRING: return value_of_text(json, out);
    case MESHSYNC_VALUE_INT: return value_of_number(json, MESHSYNC_VALUE_INT, out);
    case MESHSYNC_VALUE_FLOAT: return value_of_number(json, MESHSYNC_VALUE_FLOAT, out);
    case MESHSYNC_VALUE_BOOL:
        return json_is_boolean(json) ? value_implied(json, out) : "is neither true nor false";
    case MESHSYNC_VALUE_JSON:
        if (json_is_string(json)) {
            return value_of_bytes(json, MESHSYNC_VALUE_JSON, out);
        }
        return value_of_any_json(json, out);
    }
    return "has a type that cannot be written";
}

const char *value_from_json_text(const char *text, size_t len, struct owned_value *out)
{
    *out = (struct owned_value){.memory = NULL};
    json_error_t error;
    const size_t flags = JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES;
    json_t *json = json_loadb(text, len, flags, &error);
    if (json == NULL) {
        return "is no valid JSON (or has an integer beyond 64 bits)";
    }
    const char *wrong =
        json_is_object(json) ? value_of_any_json(json, out) : value_implied(json, out);
    json_decref(json);
    return wrong;
}
