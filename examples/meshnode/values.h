/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values, keys and fields between their JSON forms and the library's, as docs/cli.md has them.
 */
#ifndef MESHNODE_VALUES_H
#define MESHNODE_VALUES_H

#include <jansson.h>

#include "cli.h"

/* Largest integer that every reader of JSON keeps exactly: 2^53. */
#define VALUES_EXACT_MAX 9007199254740992

enum { VALUES_TYPE_NAME_MAX = 8 };

/* base64.c: base64url without padding. */
/* Zero-terminated text, the caller's to free; NULL: no memory. */
char *base64_text(const void *data, size_t len);
/* False: no base64url. *data is the caller's to free and has room for one byte more. */
bool base64_parse(const char *text, size_t text_len, uint8_t **data, size_t *len);

/* to JSON. Each returns a new reference, or NULL: no memory. */
json_t *json_of_bytes(meshsync_bytes bytes);       /* A string, or {"b64":…}. */
json_t *json_of_b64(const void *data, size_t len); /* Opaque base64url. */
json_t *json_of_hex(const uint8_t *data, size_t len);
json_t *json_of_u64(uint64_t number); /* A string beyond 2^53. */
json_t *json_of_i64(int64_t number);
json_t *json_of_stamp(uint64_t hlc); /* Always a string. */
json_t *json_of_token(const meshsync_token *token);
/* *type becomes the name of its type where the JSON does not imply it, else NULL. */
json_t *json_of_value(const meshsync_value *value, const char **type);
/* Sets "value", and "type" where it is needed. False: no memory. */
bool json_set_value(json_t *object, const meshsync_value *value);
/* Parts first to the last of an encoded path, as an array; [] when there are none. */
json_t *json_of_parts(meshsync_bytes key, uint32_t first);
json_t *json_of_part(meshsync_bytes key, uint32_t index); /* NULL: no such part. */
/* Writes one line and takes the reference. False when something in it was NULL. */
bool json_line(struct cli_context *ctx, json_t *line);
/* Sets a member and says whether that worked; takes the reference, which may be NULL. */
bool json_put(json_t *object, const char *name, json_t *member);

/* A value with the memory that it needs. */
struct owned_value {
    meshsync_value value;
    void *memory; /* Owned; or NULL. */
};
void owned_value_fini(struct owned_value *owned);

/* Bytes with their memory. */
struct owned_bytes {
    meshsync_bytes bytes;
    uint8_t *memory; /* Owned; or NULL. */
};
void owned_bytes_fini(struct owned_bytes *owned);

/* From JSON. Each returns NULL, or words that say what is wrong; out is to be released anyway. */
const char *value_from_json(const json_t *json, const char *type, struct owned_value *out);
const char *bytes_from_json(const json_t *json, struct owned_bytes *out);

/* From text. */
bool utf8_valid(const void *data, size_t len);
/* STRING where it is valid UTF-8, else BYTES. Lends. */
meshsync_value value_from_text(const char *text, size_t len);
const char *value_from_json_text(const char *text, size_t len, struct owned_value *out);
const char *value_type_name(int32_t type);
/* -1: no such type. */
int32_t value_type_by_name(const char *name);

/* A path: the key and the fields below it. */
struct field_path {
    meshsync_bytes parts[MESHSYNC_PATH_PARTS_MAX];
    size_t count;
    void *memory[MESHSYNC_PATH_PARTS_MAX]; /* Owned; or NULL. */
};
void field_path_init(struct field_path *path, meshsync_bytes key);
void field_path_fini(struct field_path *path);
/* Adds the fields of a dotted text. Words on failure. */
const char *field_path_add_dotted(struct field_path *path, const char *text, size_t len);
/* Adds the fields of a JSON array (or of one field that is no array). */
const char *field_path_add_json(struct field_path *path, const json_t *fields);
meshsync_path field_path_get(const struct field_path *path);
/* The dotted text of parts first to the last of an encoded path; the caller's. NULL: no memory. */
struct owned_bytes field_dotted(meshsync_bytes key, uint32_t first);

#endif
