/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shows what a node does when its machine has no more of something: a disk that is full, a folder
 * that may not be written, no descriptors. An error, nothing lost, and it goes on afterwards.
 */
#include "unit/api/api_kit.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BIG_BYTES = 20000, PUTS_MAX = 2000, NOBODY = 65534, CALLERS_MAX = 64 };

static meshsync_status put_big(meshsync_space *space, int number, meshsync_error *error)
{
    static uint8_t big[BIG_BYTES];
    char key[16];
    meshsync_value value = meshsync_value_bytes(big, sizeof big);
    (void)snprintf(key, sizeof key, "%d", number);
    return meshsync_put(space, "r", meshsync_bytes_of(key), &value, NULL, error);
}

static uint64_t verified_entries(meshsync_space *space)
{
    meshsync_error error = {0};
    meshsync_verify_report report = {.size = sizeof report};
    meshsync_digest digest = {.size = sizeof digest};
    API_OK(meshsync_space_verify(space, &report, &error));
    assert_int_equal(report.damaged_changes + report.damaged_leaves + report.damaged_indexes, 0);
    API_OK(meshsync_space_digest(space, &digest, &error));
    return digest.entries;
}

static void test_disk_full(void **state)
{
    char folder[API_PATH_BYTES_MAX];
    meshsync_error error = {0};
    struct rlimit before;
    (void)state;
    api_folder(folder);
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    meshsync_node *node = api_open(folder);
    meshsync_space *space = api_space(node);
    uint64_t fixed = verified_entries(space);
    struct rlimit low = {.rlim_cur = 1 << 20, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
    int acknowledged = 0;
    meshsync_status status = MESHSYNC_OK;
    while (status == MESHSYNC_OK && acknowledged < PUTS_MAX) {
        status = put_big(space, acknowledged, &error);
        acknowledged += status == MESHSYNC_OK ? 1 : 0;
    }
    assert_int_equal(status, MESHSYNC_E_DISK_FULL);
    assert_true(error.message[0] != '\0' && acknowledged > 10);
    assert_int_equal(verified_entries(space), fixed + (uint64_t)acknowledged); /* Reads serve. */
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    API_OK(put_big(space, acknowledged, &error)); /* There is room again: nothing to reopen. */
    assert_int_equal(meshsync_node_close(node), MESHSYNC_OK);
    node = api_open(folder);
    API_OK(meshsync_space_find(node, "s", &space, &error));
    assert_int_equal(verified_entries(space), fixed + (uint64_t)acknowledged + 1);
    assert_int_equal(meshsync_node_close(node), MESHSYNC_OK);
    print_message("disk full after %d acknowledged puts, all there\n", acknowledged);
    api_remove(folder);
}

/* In a child without root's rights, since those let it write anywhere. */
static int open_as_nobody(const char *folder)
{
    meshsync_error error = {0};
    meshsync_options options = api_options(folder);
    meshsync_node *node = NULL;
    if (geteuid() == 0 && setuid(NOBODY) != 0) {
        return 77;
    }
    meshsync_status status = meshsync_node_open(&options, &node, &error);
    return status == MESHSYNC_E_PERMISSION && node == NULL && error.message[0] != '\0' ? 0 : 1;
}

static void test_folder_for_reading_only(void **state)
{
    char folder[API_PATH_BYTES_MAX];
    int result = 0;
    (void)state;
    api_folder(folder);
    assert_int_equal(chmod(folder, 0555), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        _exit(open_as_nobody(folder));
    }
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_int_equal(chmod(folder, 0700), 0);
    api_remove(folder);
    if (WIFEXITED(result) && WEXITSTATUS(result) == 77) {
        print_message("no other user may be taken on: not tried\n");
        skip();
    }
    assert_true(WIFEXITED(result) && WEXITSTATUS(result) == 0);
}

/* The caller's calls in a child, and the parent's afterwards. */
static void test_fork(void **state)
{
    char folder[API_PATH_BYTES_MAX];
    meshsync_error error = {0};
    int result = 0;
    (void)state;
    api_folder(folder);
    meshsync_node *node = api_open(folder);
    meshsync_space *space = api_space(node);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        meshsync_stats stats = {.size = sizeof stats};
        bool good = put_big(space, 1, &error) == MESHSYNC_E_FORKED &&
                    meshsync_node_stats(node, &stats) == MESHSYNC_E_FORKED &&
                    meshsync_node_start(node, &error) == MESHSYNC_E_FORKED &&
                    meshsync_node_close(node) == MESHSYNC_E_FORKED;
        _exit(good ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_true(WIFEXITED(result) && WEXITSTATUS(result) == 0);
    API_OK(put_big(space, 1, &error));
    (void)verified_entries(space);
    assert_int_equal(meshsync_node_close(node), MESHSYNC_OK);
    api_remove(folder);
}

static void test_double_opening(void **state)
{
    char folder[API_PATH_BYTES_MAX];
    meshsync_error error = {0};
    int result = 0;
    (void)state;
    api_folder(folder);
    meshsync_options options = api_options(folder);
    meshsync_node *second = NULL;
    meshsync_node *node = api_open(folder);
    API_FAILS(MESHSYNC_E_STORE_LOCKED, meshsync_node_open(&options, &second, &error));
    assert_null(second);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        meshsync_status status = meshsync_node_open(&options, &second, &error);
        _exit(status == MESHSYNC_E_STORE_LOCKED && second == NULL ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_true(WIFEXITED(result) && WEXITSTATUS(result) == 0);
    (void)api_space(node);
    assert_int_equal(meshsync_node_close(node), MESHSYNC_OK);
    api_remove(folder);
}

/* A caller that never says anything; its descriptor, or -1. */
static int call(const char *address)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    to.sin_port = htons((uint16_t)strtoul(strrchr(address, ':') + 1, NULL, 10));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
        (void)close(fd);
        fd = -1;
    }
    return fd;
}

/* While callers take every descriptor, the node commits; when they are gone, it listens again. */
static void test_no_descriptors(void **state)
{
    char folders[2][API_PATH_BYTES_MAX];
    char address[MESHSYNC_ADDRESS_BYTES_MAX];
    char ticket[MESHSYNC_TICKET_TEXT_BYTES_MAX];
    meshsync_error error = {0};
    meshsync_node *nodes[2];
    meshsync_space *spaces[2];
    meshsync_token token;
    struct rlimit before;
    int callers[CALLERS_MAX];
    int count = 0;
    (void)state;
    for (int i = 0; i < 2; i++) {
        api_folder(folders[i]);
        nodes[i] = api_open(folders[i]);
        API_OK(meshsync_node_start(nodes[i], &error));
    }
    spaces[0] = api_space(nodes[0]);
    API_OK(meshsync_node_listen(nodes[0], "127.0.0.1:0", address, &error));
    API_OK(meshsync_space_invite(spaces[0], 0, ticket, &error));
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    int highest = dup(0);
    struct rlimit low = {.rlim_cur = (rlim_t)highest + 24, .rlim_max = before.rlim_max};
    (void)close(highest);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    while (count < CALLERS_MAX && (callers[count] = call(address)) >= 0) {
        count += 1;
    }
    assert_true(count > 5 && count < CALLERS_MAX);
    for (int i = 0; i < 20; i++) {
        API_OK(put_big(spaces[0], i, &error));
    }
    while (count > 0) {
        (void)close(callers[--count]);
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    API_OK(meshsync_space_join(nodes[1], ticket, NULL, &spaces[1], &error)); /* Dials. */
    API_OK(meshsync_space_version(spaces[0], &token, &error));
    API_OK(meshsync_wait(spaces[1], &token, 0, API_WAIT_MS, &error));
    for (int i = 0; i < 2; i++) {
        assert_int_equal(meshsync_node_close(nodes[i]), MESHSYNC_OK);
        api_remove(folders[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_disk_full), cmocka_unit_test(test_folder_for_reading_only),
        cmocka_unit_test(test_fork), cmocka_unit_test(test_double_opening),
        cmocka_unit_test(test_no_descriptors)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
