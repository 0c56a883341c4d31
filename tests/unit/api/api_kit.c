/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/api/api_kit.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void api_check_ok(meshsync_status status, const meshsync_error *error, const char *call,
                  const char *file, int line)
{
    if (status != MESHSYNC_OK) {
        print_error("%s: %s: %s\n", call, meshsync_status_name(status), error->message);
        _fail(file, line);
    }
}

void api_check_fails(meshsync_status expected, meshsync_status status, meshsync_error *error,
                     const char *call, const char *file, int line)
{
    if (status != expected) {
        print_error("%s: %s, not %s: %s\n", call, meshsync_status_name(status),
                    meshsync_status_name(expected), status == MESHSYNC_OK ? "" : error->message);
        _fail(file, line);
    }
    if (error->status != expected || error->message[0] == '\0') {
        print_error("%s: no words of its own\n", call);
        _fail(file, line);
    }
    memset(error, 0, sizeof *error);
}

void api_folder(char *path)
{
    const char *under = getenv("TMPDIR");
    (void)snprintf(path, API_PATH_BYTES_MAX, "%s/meshsync-api-XXXXXX",
                   under == NULL ? "/tmp" : under);
    assert_non_null(mkdtemp(path));
}

void api_join(char *path, const char *folder, const char *name)
{
    (void)snprintf(path, API_PATH_BYTES_MAX, "%.300s/%.180s", folder, name);
}

static void api_remove_files(const char *path)
{
    char file[API_PATH_BYTES_MAX];
    DIR *entries = opendir(path);
    if (entries == NULL) {
        return;
    }
    for (const struct dirent *entry = readdir(entries); entry != NULL; entry = readdir(entries)) {
        api_join(file, path, entry->d_name);
        (void)unlink(file);
    }
    (void)closedir(entries);
}

void api_remove(const char *path)
{
    char folder[API_PATH_BYTES_MAX];
    DIR *entries = opendir(path);
    assert_non_null(entries);
    for (const struct dirent *entry = readdir(entries); entry != NULL; entry = readdir(entries)) {
        if (entry->d_name[0] != '.') {
            api_join(folder, path, entry->d_name);
            api_remove_files(folder);
            (void)rmdir(folder);
        }
    }
    (void)closedir(entries);
    api_remove_files(path);
    assert_int_equal(rmdir(path), 0);
}

meshsync_options api_options(const char *path)
{
    meshsync_options options;
    meshsync_options_init(&options, sizeof options);
    options.path = path;
    options.store_map_bytes = (uint64_t)256 << 20;
    options.keepalive_ms = 200;
    options.retry_ms_max = 200;
    return options;
}

meshsync_node *api_open(const char *path)
{
    meshsync_error error = {0};
    meshsync_options options = api_options(path);
    meshsync_node *node = NULL;
    API_OK(meshsync_node_open(&options, &node, &error));
    return node;
}

void api_collections(meshsync_space *space)
{
    meshsync_error error = {0};
    API_OK(meshsync_collection_create(space, "r", MESHSYNC_REGISTER, MESHSYNC_VIEW_LWW, NULL, 0,
                                      &error));
    API_OK(meshsync_collection_create(space, "c", MESHSYNC_COUNTER, MESHSYNC_VIEW_LWW, NULL, 0,
                                      &error));
    API_OK(
        meshsync_collection_create(space, "t", MESHSYNC_SET, MESHSYNC_VIEW_LWW, NULL, 0, &error));
    API_OK(
        meshsync_collection_create(space, "m", MESHSYNC_MAP, MESHSYNC_VIEW_LWW, NULL, 0, &error));
}

meshsync_space *api_space(meshsync_node *node)
{
    meshsync_error error = {0};
    meshsync_space *space = NULL;
    API_OK(meshsync_space_create(node, "s", &space, &error));
    api_collections(space);
    return space;
}

void api_put(meshsync_space *space, const char *key, const char *value)
{
    meshsync_error error = {0};
    meshsync_value text = meshsync_value_string(value);
    API_OK(meshsync_put(space, "r", meshsync_bytes_of(key), &text, NULL, &error));
}

void api_get(meshsync_space *space, const char *key, char *text)
{
    meshsync_error error = {0};
    meshsync_snapshot *snapshot = NULL;
    meshsync_entry entry;
    meshsync_bytes part;
    meshsync_path path = api_path(&part, key, NULL);
    text[0] = '\0';
    API_OK(meshsync_snapshot_open(space, &snapshot, &error));
    meshsync_status status = meshsync_get(snapshot, "r", &path, &entry, &error);
    if (status == MESHSYNC_OK) {
        assert_true(entry.value.bytes.len < 64);
        memcpy(text, entry.value.bytes.data, entry.value.bytes.len);
        text[entry.value.bytes.len] = '\0';
    } else {
        assert_int_equal(status, MESHSYNC_E_NOT_FOUND);
    }
    meshsync_snapshot_close(snapshot);
}

meshsync_path api_path(meshsync_bytes *parts, const char *key, const char *field)
{
    meshsync_path path = {parts, field == NULL ? 1 : 2};
    parts[0] = meshsync_bytes_of(key);
    if (field != NULL) {
        parts[1] = meshsync_bytes_of(field);
    }
    return path;
}

void api_put_in(meshsync_txn *txn, const char *key, const char *value)
{
    meshsync_error error = {0};
    meshsync_bytes part;
    meshsync_path path = api_path(&part, key, NULL);
    meshsync_value text = meshsync_value_string(value);
    API_OK(meshsync_txn_put(txn, "r", &path, &text, NULL, &error));
}
