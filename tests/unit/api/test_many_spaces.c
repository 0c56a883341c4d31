/* SPDX-License-Identifier: Apache-2.0 */
/* Shows that one space more between two nodes that share many costs the list of their names, and
 * nothing for each of the others; and that each of them still works. */
#include <stdio.h>
#include <string.h>

#include "unit/api/api_kit.h"

enum { SPACES = 60, BYTES_MAX = 6500, NAME_BYTES = 32 };

static meshsync_node *nodes[2];
static meshsync_space *spaces[SPACES][2];

static meshsync_node *open_node(const char *folder)
{
    meshsync_options options = api_options(folder);
    meshsync_node *node = NULL;
    meshsync_error error = {0};
    API_OK(meshsync_node_open(&options, &node, &error));
    API_OK(meshsync_node_start(node, &error));
    return node;
}

static void share(int number)
{
    char name[NAME_BYTES];
    char ticket[MESHSYNC_TICKET_TEXT_BYTES_MAX];
    meshsync_space **pair = spaces[number];
    meshsync_error error = {0};
    (void)snprintf(name, sizeof name, "space %d", number);
    API_OK(meshsync_space_create(nodes[0], name, &pair[0], &error));
    API_OK(meshsync_collection_create(pair[0], "r", MESHSYNC_REGISTER, MESHSYNC_VIEW_LWW, NULL, 0,
                                      &error));
    API_OK(meshsync_space_invite(pair[0], 0, ticket, &error));
    API_OK(meshsync_space_join(nodes[1], ticket, NULL, &pair[1], &error));
    API_OK(meshsync_wait(pair[0], NULL, 1, API_WAIT_MS, &error));
}

static uint64_t sent(void)
{
    uint64_t sum = 0;
    for (int i = 0; i < 2; i++) {
        meshsync_stats stats = {.size = sizeof stats};
        assert_int_equal(meshsync_node_stats(nodes[i], &stats), MESHSYNC_OK);
        sum += stats.bytes_out;
    }
    return sum;
}

/* Both ways in one of them. */
static void works(int number)
{
    static const char *const keys[2] = {"there", "back"};
    meshsync_error error = {0};
    for (int i = 0; i < 2; i++) {
        char text[64];
        meshsync_token token;
        api_put(spaces[number][i], keys[i], "value");
        API_OK(meshsync_space_version(spaces[number][i], &token, &error));
        API_OK(meshsync_wait(spaces[number][1 - i], &token, 0, API_WAIT_MS, &error));
        api_get(spaces[number][1 - i], keys[i], text);
        assert_string_equal(text, "value");
    }
}

static void one_more_is_cheap(void **state)
{
    char folders[2][API_PATH_BYTES_MAX];
    meshsync_error error = {0};
    (void)state;
    for (int i = 0; i < 2; i++) {
        api_folder(folders[i]);
        nodes[i] = open_node(folders[i]);
        API_OK(meshsync_node_listen(nodes[i], "127.0.0.1:0", NULL, &error));
    }
    for (int i = 0; i < SPACES - 1; i++) {
        share(i);
    }
    works(0);
    uint64_t before = sent();
    share(SPACES - 1);
    works(SPACES - 1);
    uint64_t bytes = sent() - before;
    (void)printf("one space beside %d: %llu bytes\n", SPACES - 1, (unsigned long long)bytes);
    assert_in_range(bytes, 1, BYTES_MAX);
    for (int i = 0; i < SPACES; i += 7) {
        works(i);
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(meshsync_node_close(nodes[i]), MESHSYNC_OK);
        api_remove(folders[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(one_more_is_cheap)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
