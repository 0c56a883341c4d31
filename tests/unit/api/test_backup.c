/* SPDX-License-Identifier: Apache-2.0 */
/* A backup made while writing goes on becomes a node again, and a damaged one does not; without a
 * backup a node begins anew from its peers. */
#include "unit/api/api_kit.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void test_there_and_back(void **state)
{
    meshsync_error error = {0};
    char folder[API_PATH_BYTES_MAX];
    char home[API_PATH_BYTES_MAX];
    char file[API_PATH_BYTES_MAX];
    char copy[API_PATH_BYTES_MAX];
    char text[64];
    struct stat info;
    meshsync_feed_options options = {.size = sizeof options};
    meshsync_feed *feed = NULL;
    meshsync_event event;
    (void)state;
    api_folder(folder);
    api_join(home, folder, "home");
    api_join(file, folder, "backup");
    api_join(copy, folder, "copy");
    meshsync_node *node = api_open(home);
    meshsync_space *space = api_space(node);
    api_put(space, "k", "kept");
    API_OK(meshsync_feed_open(space, NULL, &feed, &error));
    API_OK(meshsync_feed_next(feed, 0, &event, &error));
    options.from = event.cursor;
    API_OK(meshsync_node_backup(node, file, &error));
    assert_int_equal(stat(file, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    API_FAILS(MESHSYNC_E_EXISTS, meshsync_node_backup(node, file, &error));
    api_put(space, "k", "later");
    API_FAILS(MESHSYNC_E_EXISTS, meshsync_restore(file, home, &error));
    uint8_t id[MESHSYNC_NODE_ID_BYTES];
    uint8_t other[MESHSYNC_NODE_ID_BYTES];
    API_OK(meshsync_node_id(node, id));
    API_OK(meshsync_node_close(node));

    API_OK(meshsync_restore(file, copy, &error));
    node = api_open(copy);
    API_OK(meshsync_node_id(node, other));
    assert_memory_equal(id, other, sizeof id);
    API_OK(meshsync_space_find(node, "s", &space, &error));
    api_get(space, "k", text);
    assert_string_equal(text, "kept");
    /* Another store: a cursor of the first means nothing here. */
    API_FAILS(MESHSYNC_E_INVALID, meshsync_feed_open(space, &options, &feed, &error));
    meshsync_space_info before = {.size = sizeof before};
    meshsync_space_info after = {.size = sizeof after};
    API_OK(meshsync_space_get_info(space, &before, &error));
    api_put(space, "k", "anew");
    API_OK(meshsync_space_get_info(space, &after, &error));
    assert_int_equal(after.tips, before.tips); /* A new epoch that names the last one. */
    meshsync_verify_report report = {.size = sizeof report};
    API_OK(meshsync_space_verify(space, &report, &error));
    assert_true(report.changes > 0 && report.leaves > 0);
    API_OK(meshsync_node_close(node));
    api_remove(folder);
}

static void backup_break(const char *file, off_t at, bool cut)
{
    int fd = open(file, O_RDWR);
    uint8_t byte = 0;
    assert_true(fd >= 0);
    if (cut) {
        assert_int_equal(ftruncate(fd, at), 0);
    } else {
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        byte ^= 1;
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    }
    (void)close(fd);
}

static void test_damaged(void **state)
{
    /* The header, its end, the first pages, the middle. */
    static const off_t places[] = {0, 40, 90, 4095, 4096, 20000};
    meshsync_error error = {0};
    char folder[API_PATH_BYTES_MAX];
    char home[API_PATH_BYTES_MAX];
    char file[API_PATH_BYTES_MAX];
    char copy[API_PATH_BYTES_MAX];
    struct stat info;
    (void)state;
    api_folder(folder);
    api_join(home, folder, "home");
    api_join(file, folder, "backup");
    api_join(copy, folder, "copy");
    meshsync_node *node = api_open(home);
    (void)api_space(node);
    API_OK(meshsync_node_backup(node, file, &error));
    API_OK(meshsync_node_close(node));
    assert_int_equal(stat(file, &info), 0);
    for (size_t i = 0; i < sizeof places / sizeof places[0] + 1; i++) {
        off_t at = i < sizeof places / sizeof places[0] ? places[i] : info.st_size - 1;
        backup_break(file, at, false);
        API_FAILS(MESHSYNC_E_STORE_CORRUPT, meshsync_restore(file, copy, &error));
        assert_int_equal(access(copy, F_OK), -1);
        backup_break(file, at, false);
    }
    backup_break(file, 19, false); /* Its version. */
    API_FAILS(MESHSYNC_E_STORE_VERSION, meshsync_restore(file, copy, &error));
    backup_break(file, 19, false);
    backup_break(file, info.st_size - 5000, true);
    API_FAILS(MESHSYNC_E_STORE_CORRUPT, meshsync_restore(file, copy, &error));
    backup_break(file, 100, true);
    API_FAILS(MESHSYNC_E_STORE_CORRUPT, meshsync_restore(file, copy, &error));
    API_FAILS(MESHSYNC_E_NOT_FOUND, meshsync_restore(copy, copy, &error));
    API_FAILS(MESHSYNC_E_INVALID, meshsync_restore(NULL, copy, &error));
    api_remove(folder);
}

/* A member whose store is beyond mending moves it aside, joins again under its key, and has
 * everything that its peers have, what it wrote itself included; what it writes then, they get. */
static void test_beginning_anew_from_peers(void **state)
{
    meshsync_error error = {0};
    char folders[2][API_PATH_BYTES_MAX];
    char file[API_PATH_BYTES_MAX];
    char text[64];
    char ticket[MESHSYNC_TICKET_TEXT_BYTES_MAX];
    uint8_t ids[2][MESHSYNC_NODE_ID_BYTES];
    meshsync_node *nodes[2];
    meshsync_space *spaces[2];
    meshsync_token token;
    (void)state;
    for (int i = 0; i < 2; i++) {
        api_folder(folders[i]);
        nodes[i] = api_open(folders[i]);
        API_OK(meshsync_node_start(nodes[i], &error));
    }
    spaces[0] = api_space(nodes[0]);
    API_OK(meshsync_node_listen(nodes[0], "127.0.0.1:0", NULL, &error));
    API_OK(meshsync_space_invite(spaces[0], 0, ticket, &error));
    API_OK(meshsync_space_join(nodes[1], ticket, NULL, &spaces[1], &error));
    API_OK(meshsync_space_version(spaces[0], &token, &error));
    API_OK(meshsync_wait(spaces[1], &token, 0, API_WAIT_MS, &error));
    api_put(spaces[1], "mine", "before");
    API_OK(meshsync_space_version(spaces[1], &token, &error));
    API_OK(meshsync_wait(spaces[0], &token, 0, API_WAIT_MS, &error));
    API_OK(meshsync_node_id(nodes[1], ids[0]));
    API_FAILS(MESHSYNC_E_STORE_LOCKED, meshsync_set_aside(folders[1], &error));
    API_OK(meshsync_node_close(nodes[1]));

    api_join(file, folders[1], "data.mdb");
    assert_int_equal(truncate(file, 8192), 0);
    meshsync_options options = api_options(folders[1]);
    API_FAILS(MESHSYNC_E_STORE_CORRUPT, meshsync_node_open(&options, &nodes[1], &error));
    API_OK(meshsync_set_aside(folders[1], &error));
    API_FAILS(MESHSYNC_E_NOT_FOUND, meshsync_set_aside(folders[1], &error));
    api_join(file, folders[1], "data.mdb.damaged-1");
    assert_int_equal(access(file, F_OK), 0);

    nodes[1] = api_open(folders[1]);
    API_OK(meshsync_node_id(nodes[1], ids[1]));
    assert_memory_equal(ids[0], ids[1], sizeof ids[0]);
    API_OK(meshsync_node_start(nodes[1], &error));
    API_OK(meshsync_space_invite(spaces[0], 0, ticket, &error));
    API_OK(meshsync_space_join(nodes[1], ticket, NULL, &spaces[1], &error));
    API_OK(meshsync_space_version(spaces[0], &token, &error));
    API_OK(meshsync_wait(spaces[1], &token, 0, API_WAIT_MS, &error));
    api_get(spaces[1], "mine", text);
    assert_string_equal(text, "before");
    api_put(spaces[1], "mine", "after");
    API_OK(meshsync_space_version(spaces[1], &token, &error));
    API_OK(meshsync_wait(spaces[0], &token, 0, API_WAIT_MS, &error));
    api_get(spaces[0], "mine", text);
    assert_string_equal(text, "after");
    for (int i = 0; i < 2; i++) {
        meshsync_verify_report report = {.size = sizeof report};
        API_OK(meshsync_space_verify(spaces[i], &report, &error));
        API_OK(meshsync_node_close(nodes[i]));
        api_remove(folders[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_beginning_anew_from_peers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
