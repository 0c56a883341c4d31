/* SPDX-License-Identifier: Apache-2.0 */
/* Paths of map fields: dotted texts with escapes, and arrays of JSON. */
#include <stdlib.h>
#include <string.h>

#include "values.h"

void field_path_init(struct field_path *path, meshsync_bytes key)
{
    path->parts[0] = key;
    path->memory[0] = NULL;
    path->count = 1;
}

void field_path_fini(struct field_path *path)
{
    for (size_t i = 0; i < path->count; i++) {
        free(path->memory[i]);
    }
    path->count = 0;
}

meshsync_path field_path_get(const struct field_path *path)
{
    return (meshsync_path){path->parts, path->count};
}

static const char *field_push(struct field_path *path, uint8_t *memory, size_t len)
{
    if (path->count == MESHSYNC_PATH_PARTS_MAX) {
        free(memory);
        return "has more than 31 fields";
    }
    path->parts[path->count] = (meshsync_bytes){memory, len};
    path->memory[path->count] = memory;
    path->count++;
    return NULL;
}

const char *field_path_add_dotted(struct field_path *path, const char *text, size_t len)
{
    size_t i = 0;
    do {
        uint8_t *part = malloc(len - i + 1);
        if (part == NULL) {
            return "out of memory";
        }
        size_t part_len = 0;
        while (i < len && text[i] != '.') {
            bool escaped = text[i] == '\\' && i + 1 < len;
            i += escaped ? 1 : 0;
            part[part_len++] = (uint8_t)text[i++];
        }
        if (part_len == 0) {
            free(part);
            return "has an empty part (a dot in a name is written '\\.')";
        }
        const char *wrong = field_push(path, part, part_len);
        if (wrong != NULL) {
            return wrong;
        }
    } while (i++ < len);
    return NULL;
}

const char *field_path_add_json(struct field_path *path, const json_t *fields)
{
    size_t count = json_is_array(fields) ? json_array_size(fields) : 1;
    for (size_t i = 0; i < count; i++) {
        struct owned_bytes part;
        const char *wrong =
            bytes_from_json(json_is_array(fields) ? json_array_get(fields, i) : fields, &part);
        if (wrong != NULL) {
            owned_bytes_fini(&part);
            return wrong;
        }
        wrong = field_push(path, part.memory, part.bytes.len);
        if (wrong != NULL) {
            return wrong;
        }
    }
    return NULL;
}

struct owned_bytes field_dotted(meshsync_bytes key, uint32_t first)
{
    /* Each byte may get a backslash, each part a dot. */
    size_t room = 2 * MESHSYNC_PATH_BYTES_MAX + MESHSYNC_PATH_PARTS_MAX + 1;
    struct owned_bytes out = {.memory = malloc(room)};
    uint8_t part[MESHSYNC_PATH_BYTES_MAX];
    size_t part_len = 0;
    size_t len = 0;
    for (uint32_t i = first; out.memory != NULL && i < MESHSYNC_PATH_PARTS_MAX; i++) {
        if (meshsync_entry_part(key, i, part, &part_len) != MESHSYNC_OK) {
            break;
        }
        if (i > first) {
            out.memory[len++] = '.';
        }
        for (size_t k = 0; k < part_len; k++) {
            if (part[k] == '.' || part[k] == '\\') {
                out.memory[len++] = '\\';
            }
            out.memory[len++] = part[k];
        }
    }
    if (out.memory != NULL) {
        out.memory[len] = '\0';
    }
    out.bytes = (meshsync_bytes){out.memory, len};
    return out;
}
