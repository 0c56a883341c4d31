/* SPDX-License-Identifier: Apache-2.0 */
/* Shows that a name that stands for several nodes, as of a headless service, leads to all of them,
 * and to those that it stands for later. The system's look-up is this program's own. */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "unit/api/api_kit.h"

enum { NODES = 4 };

static atomic_int looks;

/* 127.0.0.1, 127.0.0.2 and so on: all of them are this machine. */
struct answer {
    struct addrinfo info;
    struct sockaddr_in name;
};

__attribute__((visibility("default"))) int getaddrinfo(const char *node, const char *service,
                                                       const struct addrinfo *hints,
                                                       struct addrinfo **found)
{
    struct addrinfo *first = NULL;
    (void)hints;
    atomic_fetch_add(&looks, 1);
    if (strcmp(node, "mesh.test") != 0) {
        return EAI_NONAME;
    }
    for (uint32_t i = NODES; i > 1; i--) {
        struct answer *answer = calloc(1, sizeof *answer);
        if (answer == NULL) {
            return EAI_MEMORY;
        }
        answer->name.sin_family = AF_INET;
        answer->name.sin_port = htons((uint16_t)atoi(service));
        answer->name.sin_addr.s_addr = htonl(INADDR_LOOPBACK + i - 1);
        answer->info.ai_family = AF_INET;
        answer->info.ai_socktype = SOCK_STREAM;
        answer->info.ai_addr = (struct sockaddr *)&answer->name;
        answer->info.ai_addrlen = sizeof answer->name;
        answer->info.ai_next = first;
        first = &answer->info;
    }
    *found = first;
    return 0;
}

__attribute__((visibility("default"))) void freeaddrinfo(struct addrinfo *found)
{
    while (found != NULL) {
        struct addrinfo *next = found->ai_next;
        free(found);
        found = next;
    }
}

static void pause_ms(long ms)
{
    const struct timespec pause = {ms / 1000, ms % 1000 * 1000000};
    (void)nanosleep(&pause, NULL);
}

static uint32_t sessions(meshsync_node *node)
{
    meshsync_stats stats = {.size = sizeof stats};
    assert_int_equal(meshsync_node_stats(node, &stats), MESHSYNC_OK);
    return (uint32_t)stats.sessions;
}

/* The first with each of the others, once: a second session with one ends soon. */
static bool all_met(meshsync_node **nodes)
{
    bool met = sessions(nodes[0]) == NODES - 1;
    for (uint32_t i = 1; i < NODES; i++) {
        met = met && sessions(nodes[i]) == 1;
    }
    return met;
}

/* The port that the first listener got is asked for at all the other addresses. */
static bool listen_all(meshsync_node **nodes, char *dial)
{
    char bound[MESHSYNC_ADDRESS_BYTES_MAX];
    meshsync_error error;
    API_OK(meshsync_node_listen(nodes[1], "127.0.0.2:0", bound, &error));
    const char *port = strrchr(bound, ':');
    (void)snprintf(dial, MESHSYNC_ADDRESS_BYTES_MAX, "mesh.test%s", port);
    for (uint32_t i = 2; i < NODES; i++) {
        char text[64];
        (void)snprintf(text, sizeof text, "127.0.0.%u%s", i + 1, port);
        if (meshsync_node_listen(nodes[i], text, NULL, &error) != MESHSYNC_OK) {
            return false; /* Somebody has that port there. */
        }
    }
    return true;
}

static void a_name_leads_to_all(void **state)
{
    char paths[NODES][API_PATH_BYTES_MAX];
    char dial[MESHSYNC_ADDRESS_BYTES_MAX];
    meshsync_node *nodes[NODES];
    meshsync_error error;
    (void)state;
    for (uint32_t i = 0; i < NODES; i++) {
        api_folder(paths[i]);
        nodes[i] = api_open(paths[i]);
        API_OK(meshsync_node_start(nodes[i], &error));
    }
    bool free_port = listen_all(nodes, dial);
    for (int i = 0; i < 50 && !free_port; i++) {
        free_port = listen_all(nodes, dial);
    }
    assert_true(free_port);
    API_OK(meshsync_peer_add(nodes[0], dial, &error));
    for (int waited = 0; waited < API_WAIT_MS && !all_met(nodes); waited += 20) {
        pause_ms(20);
    }
    assert_true(all_met(nodes));
    for (uint32_t i = 0; i < NODES; i++) {
        assert_int_equal(meshsync_node_close(nodes[i]), MESHSYNC_OK);
        api_remove(paths[i]);
    }
}

static void a_name_of_nobody_is_tried_on(void **state)
{
    char path[API_PATH_BYTES_MAX];
    meshsync_error error;
    (void)state;
    api_folder(path);
    meshsync_node *node = api_open(path);
    API_OK(meshsync_node_start(node, &error));
    atomic_store(&looks, 0);
    API_OK(meshsync_peer_add(node, "nobody.test:1", &error));
    for (int waited = 0; waited < API_WAIT_MS && atomic_load(&looks) < 4; waited += 20) {
        pause_ms(20);
    }
    assert_true(atomic_load(&looks) >= 4);
    assert_int_equal(sessions(node), 0);
    assert_int_equal(meshsync_node_close(node), MESHSYNC_OK);
    api_remove(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_leads_to_all),
        cmocka_unit_test(a_name_of_nobody_is_tried_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
