/* SPDX-License-Identifier: Apache-2.0 */
#include "base/path.h"

#include <string.h>

enum { PATH_ESCAPE = 0x00, PATH_ESCAPED_ZERO = 0xFF, PATH_END = 0x01 };

bool msy_path_append(uint8_t *out, size_t *len, size_t max, meshsync_bytes part)
{
    size_t at = *len;
    for (size_t i = 0; i < part.len; i++) {
        size_t need = part.data[i] == PATH_ESCAPE ? 2 : 1;
        if (at > max || max - at < need) {
            return false;
        }
        out[at++] = part.data[i];
        if (part.data[i] == PATH_ESCAPE) {
            out[at++] = PATH_ESCAPED_ZERO;
        }
    }
    if (at > max || max - at < 2) {
        return false;
    }
    out[at++] = PATH_ESCAPE;
    out[at++] = PATH_END;
    *len = at;
    return true;
}

size_t msy_path_first_bytes(meshsync_bytes path)
{
    size_t at = 0;
    while (at < path.len) {
        /* Most bytes are not zero: let memchr pass over them. */
        const uint8_t *zero = memchr(path.data + at, PATH_ESCAPE, path.len - at);
        if (zero == NULL) {
            return 0;
        }
        at = (size_t)(zero - path.data) + 1;
        if (at == path.len) {
            return 0;
        }
        if (path.data[at] == PATH_END) {
            return at + 1;
        }
        if (path.data[at] != PATH_ESCAPED_ZERO) {
            return 0;
        }
        at++;
    }
    return 0;
}

bool msy_path_valid(meshsync_bytes path)
{
    if (path.len > MESHSYNC_PATH_BYTES_MAX) {
        return false;
    }
    size_t parts_count = msy_path_parts_count(path);
    return parts_count >= 1 && parts_count <= MESHSYNC_PATH_PARTS_MAX;
}

size_t msy_path_parts_count(meshsync_bytes path)
{
    size_t parts_count = 0;
    while (path.len > 0) {
        size_t first = msy_path_first_bytes(path);
        if (first == 0) {
            return 0;
        }
        path.data += first;
        path.len -= first;
        parts_count++;
    }
    return parts_count;
}

bool msy_path_next(meshsync_bytes *path, uint8_t *scratch, meshsync_bytes *part)
{
    size_t first = msy_path_first_bytes(*path);
    if (first == 0) {
        *part = (meshsync_bytes){NULL, 0};
        return false;
    }
    size_t len = 0;
    for (size_t i = 0; i < first - 2; i++) {
        scratch[len++] = path->data[i];
        if (path->data[i] == PATH_ESCAPE) {
            i++; /* Its mark was checked above. */
        }
    }
    *part = (meshsync_bytes){scratch, len};
    path->data += first;
    path->len -= first;
    return true;
}
