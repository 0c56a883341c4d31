/* SPDX-License-Identifier: Apache-2.0 */
#include "reading.h"

#include <stdlib.h>
#include <string.h>

int reading_open(struct reading *reading, struct cli_context *ctx, const char *space)
{
    *reading = (struct reading){.ctx = ctx};
    int code = find_space(ctx, space, &reading->space);
    if (code != CLI_EXIT_DONE) {
        return code;
    }
    meshsync_status status =
        meshsync_snapshot_open(reading->space, &reading->snapshot, &reading->error);
    return status == MESHSYNC_OK ? CLI_EXIT_DONE : reading_fail(reading, status);
}

void reading_close(struct reading *reading)
{
    meshsync_snapshot_close(reading->snapshot);
    reading->snapshot = NULL;
}

int reading_fail(struct reading *reading, meshsync_status status)
{
    return cli_error(reading->ctx, status, &reading->error);
}

static json_t *sibling_json(const meshsync_sibling *sibling)
{
    json_t *item = json_object();
    bool good = json_set_value(item, &sibling->value) &&
                json_put(item, "actor", json_of_hex(sibling->actor, sizeof sibling->actor)) &&
                json_put(item, "hlc", json_of_stamp(sibling->hlc));
    if (!good) {
        json_decref(item);
        return NULL;
    }
    return item;
}

json_t *reading_siblings(struct reading *reading, uint32_t count, meshsync_status *status)
{
    json_t *array = json_array();
    for (uint32_t i = 0; i < count; i++) {
        meshsync_sibling sibling;
        *status = meshsync_sibling_at(reading->snapshot, i, &sibling, &reading->error);
        if (*status == MESHSYNC_E_END) {
            break;
        }
        if (*status == MESHSYNC_OK && json_array_append_new(array, sibling_json(&sibling)) != 0) {
            *status = MESHSYNC_E_NO_MEMORY;
        }
        if (*status != MESHSYNC_OK) {
            json_decref(array);
            return NULL;
        }
    }
    *status = array != NULL ? MESHSYNC_OK : MESHSYNC_E_NO_MEMORY;
    return array;
}

bool reading_set_entry(struct reading *reading, json_t *line, const meshsync_entry *entry,
                       meshsync_status *status)
{
    /* Value and context are lent until the next call, so they come before the siblings. */
    const bool conflict = entry->siblings_count > 1;
    json_t *context = json_of_b64(entry->context.data, entry->context.len);
    bool good = json_set_value(line, &entry->value) &&
                json_put(line, "conflict", json_boolean(conflict && entry->kind == ENTRY_VALUE));
    json_t *siblings = reading_siblings(reading, entry->siblings_count, status);
    if (siblings == NULL) {
        json_decref(context);
        return false;
    }
    good = json_put(line, "siblings", siblings) && good;
    good = json_put(line, "context", context) && good;
    *status = good ? MESHSYNC_OK : MESHSYNC_E_NO_MEMORY;
    return good;
}

meshsync_status reading_print_siblings(struct reading *reading, uint32_t count)
{
    struct cli_context *ctx = reading->ctx;
    for (uint32_t i = 0; i < count; i++) {
        meshsync_sibling sibling;
        meshsync_status status =
            meshsync_sibling_at(reading->snapshot, i, &sibling, &reading->error);
        if (status != MESHSYNC_OK) {
            return status == MESHSYNC_E_END ? MESHSYNC_OK : status;
        }
        io_text(&ctx->io, "    ");
        print_value(ctx, &sibling.value);
        io_text(&ctx->io, "   (");
        print_stamp(ctx, sibling.hlc);
        io_text(&ctx->io, ", actor ");
        print_hex(ctx, sibling.actor, 4);
        io_text(&ctx->io, ")\n");
    }
    return MESHSYNC_OK;
}

/* Objects open on the way down to the leaf at hand. */
struct nest {
    json_t *objects[MESHSYNC_PATH_PARTS_MAX]; /* Lent by their parents; [0] is the root. */
    char *names[MESHSYNC_PATH_PARTS_MAX];     /* Name of each in its parent; owned. */
    size_t depth;                             /* How many are open. */
};

/* A member's name: the text of a field, or "b64:…" where it is none. The caller's. */
static char *nest_name(meshsync_bytes key, uint32_t index)
{
    uint8_t part[MESHSYNC_PATH_BYTES_MAX];
    size_t len = 0;
    if (meshsync_entry_part(key, index, part, &len) != MESHSYNC_OK) {
        return NULL;
    }
    if (utf8_valid(part, len) && memchr(part, 0, len) == NULL) {
        return strndup((const char *)part, len);
    }
    char *text = base64_text(part, len);
    char *name = NULL;
    if (text != NULL && asprintf(&name, "b64:%s", text) < 0) {
        name = NULL;
    }
    free(text);
    return name;
}

static void nest_close_to(struct nest *nest, size_t depth)
{
    while (nest->depth > depth) {
        nest->depth--;
        free(nest->names[nest->depth]);
        nest->names[nest->depth] = NULL;
    }
}

/* Opens an object under name, which the nest takes. */
static bool nest_open(struct nest *nest, char *name)
{
    json_t *parent = nest->objects[nest->depth - 1];
    json_t *object = json_object();
    json_t *leaf = json_object_get(parent, name);
    bool good = object != NULL && (leaf == NULL || json_object_set(object, "", leaf) == 0) &&
                json_object_set(parent, name, object) == 0;
    json_decref(object); /* The parent holds it. */
    if (!good) {
        free(name);
        return false;
    }
    nest->objects[nest->depth] = object;
    nest->names[nest->depth] = name;
    nest->depth++;
    return true;
}

/* Goes to where the leaf's parent is, opening what is missing. leaf_name is the caller's. */
static bool nest_walk(struct nest *nest, meshsync_bytes key, uint32_t base, uint32_t parts,
                      char **leaf_name)
{
    bool shared = true;
    for (uint32_t i = base; i < parts; i++) {
        char *name = nest_name(key, i);
        size_t depth = i - base + 1;
        if (name == NULL) {
            return false;
        }
        if (i + 1 == parts) {
            nest_close_to(nest, depth);
            *leaf_name = name;
            return true;
        }
        shared = shared && depth < nest->depth && strcmp(nest->names[depth], name) == 0;
        if (shared) {
            free(name);
            continue;
        }
        nest_close_to(nest, depth);
        if (!nest_open(nest, name)) {
            return false;
        }
    }
    return true;
}

static bool nest_add(struct nest *nest, const meshsync_entry *entry, uint32_t base)
{
    uint8_t part[MESHSYNC_PATH_BYTES_MAX];
    size_t len = 0;
    uint32_t parts = base;
    while (parts < MESHSYNC_PATH_PARTS_MAX &&
           meshsync_entry_part(entry->key, parts, part, &len) == MESHSYNC_OK) {
        parts++;
    }
    if (parts == base) {
        return true; /* The marker of the path itself. */
    }
    char *name = NULL;
    if (!nest_walk(nest, entry->key, base, parts, &name) || name == NULL) {
        return false;
    }
    if (entry->kind == ENTRY_CONTAINER) {
        return nest_open(nest, name);
    }
    const char *type = NULL;
    json_t *value = json_of_value(&entry->value, &type);
    bool good = json_put(nest->objects[nest->depth - 1], name, value);
    free(name);
    return good;
}

json_t *reading_nested(struct reading *reading, const char *collection, const meshsync_path *path,
                       uint64_t *conflicts, meshsync_status *status)
{
    const meshsync_scan_options options = {.size = sizeof options, .below = *path, .deep = 1};
    meshsync_scan *scan = NULL;
    json_t *root = json_object();
    struct nest nest = {.depth = 1};
    nest.objects[0] = root;
    *conflicts = 0;
    *status = meshsync_scan_open(reading->snapshot, collection, &options, &scan, &reading->error);
    while (*status == MESHSYNC_OK) {
        meshsync_entry entry;
        *status = meshsync_scan_next(scan, &entry, &reading->error);
        if (*status != MESHSYNC_OK) {
            break;
        }
        *conflicts += entry.siblings_count > 1 && entry.kind == ENTRY_VALUE ? 1 : 0;
        if (!nest_add(&nest, &entry, (uint32_t)path->parts_count)) {
            *status = MESHSYNC_E_NO_MEMORY;
        }
    }
    meshsync_scan_close(scan);
    nest_close_to(&nest, 1);
    if (*status == MESHSYNC_E_END && root != NULL) {
        *status = MESHSYNC_OK;
        return root;
    }
    json_decref(root);
    return NULL;
}
