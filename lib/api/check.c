/* SPDX-License-Identifier: Apache-2.0 */
#include "api/check.h"

#include <string.h>

#include "base/path.h"

static size_t check_size_of(const void *given)
{
    size_t size = 0;
    memcpy(&size, given, sizeof size);
    return size;
}

meshsync_status msy_check_read_sized(const void *given, void *full, size_t full_size,
                                     const char *what, meshsync_error *error)
{
    const uint8_t *bytes = (const uint8_t *)given;
    size_t size = check_size_of(given);
    if (size < sizeof size) {
        return msy_fail(error, MESHSYNC_E_INVALID, "%s: size is %zu, set it to sizeof", what, size);
    }
    for (size_t i = full_size; i < size; i++) {
        if (bytes[i] != 0) {
            return msy_fail(error, MESHSYNC_E_UNSUPPORTED,
                            "%s: byte %zu is set, this version knows %zu", what, i, full_size);
        }
    }
    size_t common = size < full_size ? size : full_size;
    memcpy((uint8_t *)full + sizeof size, bytes + sizeof size, common - sizeof size);
    return MESHSYNC_OK;
}

meshsync_status msy_check_write_sized(void *given, const void *full, size_t full_size,
                                      const char *what, meshsync_error *error)
{
    uint8_t *bytes = (uint8_t *)given;
    size_t size = check_size_of(given);
    if (size < sizeof size) {
        return msy_fail(error, MESHSYNC_E_INVALID, "%s: size is %zu, set it to sizeof", what, size);
    }
    size_t common = size < full_size ? size : full_size;
    memcpy(bytes + sizeof size, (const uint8_t *)full + sizeof size, common - sizeof size);
    if (size > full_size) {
        memset(bytes + full_size, 0, size - full_size);
    }
    return MESHSYNC_OK;
}

meshsync_status msy_check_given(const void *pointer, const char *what, meshsync_error *error)
{
    return pointer != NULL ? MESHSYNC_OK : msy_fail(error, MESHSYNC_E_INVALID, "%s is NULL", what);
}

meshsync_status msy_check_name(const char *name, const char *what, meshsync_error *error)
{
    meshsync_status status = msy_check_given(name, what, error);
    if (status != MESHSYNC_OK) {
        return status;
    }
    size_t len = strnlen(name, MESHSYNC_NAME_BYTES_MAX + 1);
    if (len == 0) {
        return msy_fail(error, MESHSYNC_E_INVALID, "%s is empty", what);
    }
    if (len > MESHSYNC_NAME_BYTES_MAX) {
        return msy_fail(error, MESHSYNC_E_INVALID, "%s has over %d bytes", what,
                        MESHSYNC_NAME_BYTES_MAX);
    }
    if (!msy_utf8_valid((meshsync_bytes){(const uint8_t *)name, len})) {
        return msy_fail(error, MESHSYNC_E_INVALID, "%s is not UTF-8", what);
    }
    return MESHSYNC_OK;
}

meshsync_status msy_check_node(const meshsync_node *node, meshsync_error *error)
{
    meshsync_status status = msy_check_given(node, "node", error);
    return status == MESHSYNC_OK ? msy_node_check(node, error) : status;
}

meshsync_status msy_check_space(const meshsync_space *space, meshsync_error *error)
{
    meshsync_status status = msy_check_given(space, "space", error);
    if (status == MESHSYNC_OK) {
        status = msy_node_check(space->node, error);
    }
    if (status == MESHSYNC_OK && atomic_load_explicit(&space->gone, memory_order_relaxed)) {
        status = msy_fail(error, MESHSYNC_E_NOT_FOUND, "space \"%s\" was erased", space->name);
    }
    return status;
}

meshsync_status msy_check_bytes(meshsync_bytes bytes, const char *what, meshsync_error *error)
{
    return bytes.len == 0 || bytes.data != NULL
               ? MESHSYNC_OK
               : msy_fail(error, MESHSYNC_E_INVALID, "%s has a length of %zu but no data", what,
                          bytes.len);
}

meshsync_status msy_check_path(const meshsync_path *path, uint8_t *encoded, meshsync_bytes *out,
                               meshsync_error *error)
{
    size_t len = 0;
    meshsync_status status = msy_check_given(path, "path", error);
    if (status == MESHSYNC_OK && path->parts_count == 0) {
        status = msy_fail(error, MESHSYNC_E_INVALID, "path: it has no parts");
    }
    if (status == MESHSYNC_OK && path->parts_count > MESHSYNC_PATH_PARTS_MAX) {
        status = msy_fail(error, MESHSYNC_E_LIMIT, "path: it has %zu parts, at most are %d",
                          path->parts_count, MESHSYNC_PATH_PARTS_MAX);
    }
    if (status == MESHSYNC_OK) {
        status = msy_check_given(path->parts, "path: parts", error);
    }
    for (size_t i = 0; status == MESHSYNC_OK && i < path->parts_count; i++) {
        status = msy_check_bytes(path->parts[i], "path: a part", error);
        if (status == MESHSYNC_OK &&
            !msy_path_append(encoded, &len, MESHSYNC_PATH_BYTES_MAX, path->parts[i])) {
            status = msy_fail(error, MESHSYNC_E_LIMIT,
                              "path: part %zu of %zu bytes takes it over %d encoded bytes", i,
                              path->parts[i].len, MESHSYNC_PATH_BYTES_MAX);
        }
    }
    *out = (meshsync_bytes){encoded, len};
    return status;
}

meshsync_error *msy_check_words(meshsync_error *words)
{
    words->status = MESHSYNC_OK;
    return words;
}

meshsync_status msy_check_said(meshsync_status status, const meshsync_error *words,
                               const char *what, meshsync_error *error)
{
    if (status == MESHSYNC_OK || error == NULL) {
        return status;
    }
    if (words->status != status) {
        return msy_fail(error, status, "%s: %s", what, meshsync_strerror(status));
    }
    *error = *words;
    return status;
}
