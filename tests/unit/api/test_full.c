/* SPDX-License-Identifier: Apache-2.0 */
/* Shows that a node whose store takes no more asks its peers ever more seldom for what it cannot
 * keep, goes on serving reads and removals, and catches up when it is opened with more room. */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "unit/api/api_kit.h"

enum { VALUES = 40, VALUE_BYTES = 64 << 10, LOOK_MS = 4000, FAILURES_MAX = 8 };

static atomic_int failures;

/* At 0, 0.2, 0.6, 1.4 and 3 seconds after the first. */
static void count_failures(void *user, int32_t level, const char *component, const char *message)
{
    (void)user;
    (void)level;
    if (strcmp(component, "writer") == 0 && strstr(message, "failed, beginning anew") != NULL) {
        atomic_fetch_add(&failures, 1);
    }
}

static void pause_ms(long ms)
{
    const struct timespec pause = {ms / 1000, ms % 1000 * 1000000};
    (void)nanosleep(&pause, NULL);
}

static meshsync_node *open_with(const char *folder, uint64_t bytes_max)
{
    meshsync_options options = api_options(folder);
    meshsync_node *node = NULL;
    meshsync_error error = {0};
    options.store_bytes_max = bytes_max;
    options.log = count_failures;
    API_OK(meshsync_node_open(&options, &node, &error));
    API_OK(meshsync_node_start(node, &error));
    return node;
}

static void put_large(meshsync_space *space, int number)
{
    char key[16];
    meshsync_error error = {0};
    uint8_t *bytes = malloc(VALUE_BYTES);
    assert_non_null(bytes);
    memset(bytes, number, VALUE_BYTES);
    (void)snprintf(key, sizeof key, "large %d", number);
    meshsync_value value = {.type = MESHSYNC_VALUE_BYTES, .bytes = {bytes, VALUE_BYTES}};
    API_OK(meshsync_put(space, "r", meshsync_bytes_of(key), &value, NULL, &error));
    free(bytes);
}

static void a_full_node_is_patient(void **state)
{
    char folders[2][API_PATH_BYTES_MAX];
    char ticket[MESHSYNC_TICKET_TEXT_BYTES_MAX];
    char text[64];
    meshsync_node *nodes[2];
    meshsync_space *spaces[2];
    meshsync_token token;
    meshsync_error error = {0};
    (void)state;
    api_folder(folders[0]);
    api_folder(folders[1]);
    nodes[0] = open_with(folders[0], 0);
    nodes[1] = open_with(folders[1], 1 << 20);
    spaces[0] = api_space(nodes[0]);
    api_put(spaces[0], "small", "first");
    API_OK(meshsync_node_listen(nodes[0], "127.0.0.1:0", NULL, &error));
    API_OK(meshsync_space_invite(spaces[0], 0, ticket, &error));
    API_OK(meshsync_space_join(nodes[1], ticket, NULL, &spaces[1], &error));
    API_OK(meshsync_space_version(spaces[0], &token, &error));
    API_OK(meshsync_wait(spaces[1], &token, 0, API_WAIT_MS, &error));

    for (int i = 0; i < VALUES; i++) {
        put_large(spaces[0], i);
    }
    for (int waited = 0; waited < API_WAIT_MS && atomic_load(&failures) == 0; waited += 10) {
        pause_ms(10);
    }
    assert_true(atomic_load(&failures) > 0);
    atomic_store(&failures, 0);
    pause_ms(LOOK_MS);
    assert_in_range(atomic_load(&failures), 0, FAILURES_MAX);
    api_get(spaces[1], "small", text);
    assert_string_equal(text, "first");

    /* With more room it gets all that it had to refuse. */
    assert_int_equal(meshsync_node_close(nodes[1]), MESHSYNC_OK);
    nodes[1] = open_with(folders[1], 0);
    API_OK(meshsync_space_find(nodes[1], "s", &spaces[1], &error));
    API_OK(meshsync_space_version(spaces[0], &token, &error));
    API_OK(meshsync_wait(spaces[1], &token, 0, API_WAIT_MS, &error));
    for (int i = 0; i < 2; i++) {
        assert_int_equal(meshsync_node_close(nodes[i]), MESHSYNC_OK);
        api_remove(folders[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_full_node_is_patient)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
