/* SPDX-License-Identifier: Apache-2.0 */
#include "rows.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool row_wrong(struct row_error *error, const char *member, const char *words)
{
    error->status = MESHSYNC_E_INVALID;
    (void)snprintf(error->words, sizeof error->words, "\"%.64s\" %s", member, words);
    return false;
}

bool row_check(struct row_error *error, meshsync_status status, const meshsync_error *from)
{
    if (status == MESHSYNC_OK) {
        return true;
    }
    error->status = status;
    (void)snprintf(error->words, sizeof error->words, "%s",
                   from->status == status && from->message[0] != '\0' ? from->message
                                                                      : meshsync_strerror(status));
    return false;
}

static bool row_put(struct row_target *target, const struct field_path *fields,
                    const meshsync_value *value, struct row_error *error)
{
    meshsync_error failure = {.status = MESHSYNC_OK};
    const meshsync_path path = field_path_get(fields);
    target->ops_count++;
    return row_check(
        error, meshsync_txn_put(target->txn, target->collection, &path, value, NULL, &failure),
        &failure);
}

static bool row_touch(struct row_target *target, const struct field_path *fields,
                      struct row_error *error)
{
    meshsync_error failure = {.status = MESHSYNC_OK};
    const meshsync_path path = field_path_get(fields);
    target->ops_count++;
    return row_check(error, meshsync_txn_touch(target->txn, target->collection, &path, &failure),
                     &failure);
}

static bool row_delta(const json_t *json, const char *member, int64_t *delta,
                      struct row_error *error)
{
    struct owned_value value;
    const char *wrong = value_from_json(json, "int", &value);
    *delta = value.value.integer;
    owned_value_fini(&value);
    return wrong == NULL || row_wrong(error, member, wrong);
}

static bool row_add(struct row_target *target, const struct field_path *fields, int64_t delta,
                    struct row_error *error)
{
    meshsync_error failure = {.status = MESHSYNC_OK};
    const meshsync_path path = field_path_get(fields);
    target->ops_count++;
    return row_check(
        error, meshsync_txn_add(target->txn, target->collection, &path, delta, &failure), &failure);
}

static bool row_element(struct row_target *target, meshsync_bytes key, const json_t *json, bool add,
                        struct row_error *error)
{
    meshsync_error failure = {.status = MESHSYNC_OK};
    struct owned_bytes element;
    const char *wrong = json == NULL ? "is missing" : bytes_from_json(json, &element);
    if (wrong != NULL) {
        if (json != NULL) {
            owned_bytes_fini(&element);
        }
        return row_wrong(error, "value", wrong);
    }
    target->ops_count++;
    meshsync_status status =
        add ? meshsync_txn_set_add(target->txn, target->collection, key, element.bytes, &failure)
            : meshsync_txn_set_remove(target->txn, target->collection, key, element.bytes,
                                      &failure);
    owned_bytes_fini(&element);
    return row_check(error, status, &failure);
}

static bool row_value(struct row_target *target, const struct field_path *fields, const json_t *row,
                      struct row_error *error)
{
    struct owned_value value;
    const json_t *type = json_object_get(row, "type");
    if (type != NULL && !json_is_string(type)) {
        return row_wrong(error, "type", "must be a string");
    }
    const char *wrong =
        value_from_json(json_object_get(row, "value"), json_string_value(type), &value);
    bool good = wrong == NULL ? row_put(target, fields, &value.value, error)
                              : row_wrong(error, "value", wrong);
    owned_value_fini(&value);
    return good;
}

static bool row_delete(struct row_target *target, const struct field_path *fields,
                       struct row_error *error)
{
    meshsync_error failure = {.status = MESHSYNC_OK};
    const meshsync_path path = field_path_get(fields);
    target->ops_count++;
    return row_check(error,
                     meshsync_txn_delete(target->txn, target->collection, &path, NULL, &failure),
                     &failure);
}

/* A member of an object below a map: an object goes on, everything else is a leaf. */
static bool row_members(struct row_target *target, struct field_path *path, json_t *object,
                        struct row_error *error)
{
    const char *name = NULL;
    json_t *member = NULL;
    if (json_object_size(object) == 0) {
        return row_touch(target, path, error);
    }
    json_object_foreach(object, name, member)
    {
        json_t *part = json_string(name);
        const char *wrong = part != NULL ? field_path_add_json(path, part) : "out of memory";
        json_decref(part);
        if (wrong != NULL) {
            return row_wrong(error, name, wrong);
        }
        bool good = true;
        if (json_is_object(member)) {
            good = row_members(target, path, member, error); /* At most 31 deep: see parts. */
        } else {
            struct owned_value value;
            wrong = value_from_json(member, NULL, &value);
            good = wrong == NULL ? row_put(target, path, &value.value, error)
                                 : row_wrong(error, name, wrong);
            owned_value_fini(&value);
        }
        path->count--;
        free(path->memory[path->count]);
        if (!good) {
            return false;
        }
    }
    return true;
}

static bool row_exported(struct row_target *target, struct field_path *path, const json_t *row,
                         struct row_error *error)
{
    json_t *value = json_object_get(row, "value");
    int64_t delta = 0;
    switch ((meshsync_collection_type)target->type) {
    case MESHSYNC_REGISTER: return row_value(target, path, row, error);
    case MESHSYNC_COUNTER:
        return row_delta(value, "value", &delta, error) && row_add(target, path, delta, error);
    case MESHSYNC_SET:
        return value == NULL ? row_touch(target, path, error)
                             : row_element(target, path->parts[0], value, true, error);
    case MESHSYNC_MAP:
        if (value == NULL) {
            return row_touch(target, path, error);
        }
        if (json_is_object(value) && json_object_get(row, "field") == NULL) {
            return row_members(target, path, value, error);
        }
        return row_value(target, path, row, error);
    }
    return row_wrong(error, "collection", "has a type that this version does not know");
}

bool row_apply_exported(struct row_target *target, const json_t *row, struct row_error *error)
{
    if (!json_is_object(row)) {
        return row_wrong(error, "row", "is no JSON object");
    }
    struct owned_bytes key;
    const json_t *key_json = json_object_get(row, "key");
    if (key_json == NULL) {
        return row_wrong(error, "key", "is missing; --key FIELD names the member to use");
    }
    const char *wrong = bytes_from_json(key_json, &key);
    if (wrong != NULL) {
        owned_bytes_fini(&key);
        return row_wrong(error, "key", wrong);
    }
    struct field_path path;
    field_path_init(&path, key.bytes);
    const json_t *field = json_object_get(row, "field");
    wrong = field != NULL ? field_path_add_json(&path, field) : NULL;
    bool good =
        wrong == NULL ? row_exported(target, &path, row, error) : row_wrong(error, "field", wrong);
    field_path_fini(&path);
    owned_bytes_fini(&key);
    return good;
}

static bool row_keyed(struct row_target *target, struct field_path *path, json_t *row,
                      struct row_error *error)
{
    if (target->type == MESHSYNC_MAP) {
        return row_members(target, path, row, error);
    }
    if (target->type != MESHSYNC_REGISTER) {
        return row_wrong(error, "key",
                         "can be chosen for registers and maps only; counters and sets take rows "
                         "of key and value");
    }
    struct owned_value value;
    const char *wrong = value_from_json(row, "json", &value);
    bool good = wrong == NULL ? row_put(target, path, &value.value, error)
                              : row_wrong(error, "value", wrong);
    owned_value_fini(&value);
    return good;
}

bool row_apply_keyed(struct row_target *target, json_t *row, const char *key_member,
                     struct row_error *error)
{
    char digits[24];
    if (!json_is_object(row)) {
        return row_wrong(error, "row", "is no JSON object");
    }
    const json_t *key = json_object_get(row, key_member);
    if (!json_is_string(key) && !json_is_integer(key)) {
        return row_wrong(error, key_member,
                         key == NULL ? "is missing" : "is neither a string nor an integer");
    }
    meshsync_bytes bytes = {(const uint8_t *)json_string_value(key), json_string_length(key)};
    if (json_is_integer(key)) {
        (void)snprintf(digits, sizeof digits, "%" JSON_INTEGER_FORMAT, json_integer_value(key));
        bytes = meshsync_bytes_of(digits);
    }
    struct field_path path;
    field_path_init(&path, bytes);
    bool good = row_keyed(target, &path, row, error);
    field_path_fini(&path);
    return good;
}

enum row_op { ROW_PUT, ROW_DEL, ROW_INCR, ROW_ADD, ROW_REMOVE, ROW_MSET, ROW_MDEL, ROW_OPS };

static const char *const row_op_names[ROW_OPS] = {"put",    "del",  "incr", "add",
                                                  "remove", "mset", "mdel"};

static bool row_run_op(struct row_target *target, enum row_op op, struct field_path *path,
                       const json_t *line, struct row_error *error)
{
    int64_t delta = 1;
    const json_t *delta_json = json_object_get(line, "delta");
    switch (op) {
    case ROW_MSET:
    case ROW_MDEL:
        if (path->count < 2) {
            return row_wrong(error, "field", "must be an array of one part or more");
        }
        return op == ROW_MSET ? row_value(target, path, line, error)
                              : row_delete(target, path, error);
    case ROW_PUT: return row_value(target, path, line, error);
    case ROW_DEL: return row_delete(target, path, error);
    case ROW_INCR:
        return (delta_json == NULL || row_delta(delta_json, "delta", &delta, error)) &&
               row_add(target, path, delta, error);
    case ROW_ADD:
    case ROW_REMOVE:
        return row_element(target, path->parts[0], json_object_get(line, "value"), op == ROW_ADD,
                           error);
    case ROW_OPS: break;
    }
    return row_wrong(error, "op", "must be put, del, incr, add, remove, mset or mdel");
}

bool row_apply_op(meshsync_txn *txn, const json_t *line, struct row_error *error)
{
    if (!json_is_object(line)) {
        return row_wrong(error, "line", "is no JSON object");
    }
    const char *name = json_string_value(json_object_get(line, "op"));
    int op = 0;
    while (op < ROW_OPS && (name == NULL || strcmp(name, row_op_names[op]) != 0)) {
        op++;
    }
    struct row_target target = {.txn = txn};
    target.collection = json_string_value(json_object_get(line, "collection"));
    if (target.collection == NULL) {
        return row_wrong(error, "collection", "is missing");
    }
    struct owned_bytes key;
    const char *wrong = bytes_from_json(json_object_get(line, "key"), &key);
    if (wrong != NULL) {
        owned_bytes_fini(&key);
        return row_wrong(error, "key", wrong);
    }
    struct field_path path;
    field_path_init(&path, key.bytes);
    const json_t *field = json_object_get(line, "field");
    wrong = field != NULL ? field_path_add_json(&path, field) : NULL;
    bool good = wrong == NULL ? row_run_op(&target, (enum row_op)op, &path, line, error)
                              : row_wrong(error, "field", wrong);
    field_path_fini(&path);
    owned_bytes_fini(&key);
    return good;
}
