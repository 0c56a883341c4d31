/* SPDX-License-Identifier: Apache-2.0 */
#include "fault/api_world.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { TRIES_MAX = 20, N_MAX = 20000 };

static void world_node(struct api_world *world, uint32_t at)
{
    meshsync_error error = {0};
    char path[API_PATH_BYTES_MAX];
    api_join(path, world->folder, at == 0 ? "zero" : "one");
    meshsync_options options = api_options(path);
    if (world->memory != NULL) {
        options.allocate = fail_memory_realloc;
        options.allocate_user = world->memory;
    }
    API_OK(meshsync_node_open(&options, &world->nodes[at], &error));
    API_OK(meshsync_node_start(world->nodes[at], &error));
}

/* Both hold the same. */
static void world_settle(struct api_world *world)
{
    meshsync_error error = {0};
    meshsync_digest digests[API_WORLD_NODES];
    meshsync_token token;
    for (uint32_t i = 0; i < API_WORLD_NODES; i++) {
        API_OK(meshsync_space_version(world->spaces[i], &token, &error));
        API_OK(meshsync_wait(world->spaces[1 - i], &token, 0, API_WAIT_MS, &error));
    }
    for (uint32_t i = 0; i < API_WORLD_NODES; i++) {
        memset(&digests[i], 0, sizeof digests[i]);
        digests[i].size = sizeof digests[i];
        API_OK(meshsync_space_digest(world->spaces[i], &digests[i], &error));
    }
    assert_memory_equal(digests[0].digest, digests[1].digest, MESHSYNC_DIGEST_BYTES);
}

static void world_meet(struct api_world *world)
{
    meshsync_error error = {0};
    if (world->address[0] != '\0') {
        /* Of before; not dialled when it could not be remembered. */
        meshsync_status status = meshsync_peer_remove(world->nodes[0], world->address, &error);
        assert_true(status == MESHSYNC_OK || status == MESHSYNC_E_NOT_FOUND);
    }
    API_OK(meshsync_node_listen(world->nodes[1], "127.0.0.1:0", world->address, &error));
    API_OK(meshsync_peer_add(world->nodes[0], world->address, &error));
}

void api_world_open(struct api_world *world, struct fail_memory *memory)
{
    static const char *const names[4] = {"two", "backup", "three", "bundle"};
    meshsync_error error = {0};
    meshsync_space *other = NULL;
    char ticket[MESHSYNC_TICKET_TEXT_BYTES_MAX];
    memset(world, 0, sizeof *world);
    world->memory = memory;
    api_folder(world->folder);
    for (uint32_t i = 0; i < 4; i++) {
        api_join(world->files[i], world->folder, names[i]);
    }
    world_node(world, 0);
    world_node(world, 1);
    world->spaces[0] = api_space(world->nodes[0]);
    API_OK(meshsync_space_invite(world->spaces[0], 0, ticket, &error));
    API_OK(meshsync_space_join(world->nodes[1], ticket, NULL, &world->spaces[1], &error));
    API_OK(meshsync_space_create(world->nodes[1], "other", &other, &error));
    API_OK(meshsync_space_invite(other, 0, world->ticket, &error));
    world_meet(world);
    world_settle(world);
    api_put(world->spaces[0], "key", "value");
}

void api_world_reopen(struct api_world *world)
{
    meshsync_error error = {0};
    for (uint32_t i = 0; i < API_WORLD_NODES; i++) {
        assert_int_equal(meshsync_node_close(world->nodes[i]), MESHSYNC_OK);
        world_node(world, i);
        API_OK(meshsync_space_find(world->nodes[i], "s", &world->spaces[i], &error));
    }
    world_meet(world);
    world->reopened += 1;
}

/* Every add that was acknowledged is in the sum, and none that was refused. */
static void world_check(struct api_world *world)
{
    meshsync_error error = {0};
    meshsync_bytes part;
    meshsync_path path = api_path(&part, "sum", NULL);
    for (uint32_t i = 0; i < API_WORLD_NODES; i++) {
        meshsync_verify_report report = {.size = sizeof report};
        meshsync_snapshot *snapshot = NULL;
        meshsync_entry entry = {.kind = 0};
        API_OK(meshsync_space_verify(world->spaces[i], &report, &error));
        assert_int_equal(report.damaged_changes + report.damaged_leaves + report.damaged_indexes,
                         0);
        API_OK(meshsync_snapshot_open(world->spaces[i], &snapshot, &error));
        meshsync_status status = meshsync_get(snapshot, "c", &path, &entry, &error);
        uint64_t sum = status == MESHSYNC_OK ? (uint64_t)entry.value.integer : 0;
        meshsync_snapshot_close(snapshot);
        if (sum < world->added || sum > world->added + world->unknown) {
            fail_msg("node %u: %llu adds were acknowledged, %llu of unknown outcome; the sum is "
                     "%llu",
                     i, (unsigned long long)world->added, (unsigned long long)world->unknown,
                     (unsigned long long)sum);
        }
    }
}

void api_world_close(struct api_world *world)
{
    if (world->source != NULL) {
        api_world_reopen(world); /* A peer may have stopped unseen. */
    }
    world_settle(world);
    world_check(world);
    api_world_reopen(world);
    world_settle(world);
    world_check(world);
    for (uint32_t i = 0; i < API_WORLD_NODES; i++) {
        assert_int_equal(meshsync_node_close(world->nodes[i]), MESHSYNC_OK);
    }
    api_remove(world->folder);
}

/* The call, while the n-th fails. True when it did. */
static bool world_hurt(struct api_world *world, const struct api_source *source,
                       const struct api_case *tried, uint64_t n, bool stays)
{
    world->deep = false;
    memset(&world->error, 0, sizeof world->error);
    world->hurt = true;
    source->arm(n, stays);
    meshsync_status status = tried->run(world);
    bool fired = source->fired();
    source->off();
    world->hurt = false;
    if (status == MESHSYNC_OK || (fired && status == MESHSYNC_E_TIMEOUT)) {
        return fired;
    }
    if (!fired || !source->may(status)) {
        fail_msg("%s: %s %llu (%s): %s: %s", tried->functions, source->name, (unsigned long long)n,
                 source->words != NULL ? source->words() : "", meshsync_status_name(status),
                 world->error.message);
    }
    if (!world->deep && (world->error.status != status || world->error.message[0] == '\0')) {
        fail_msg("%s: %s, %llu: %s without words", tried->functions, source->name,
                 (unsigned long long)n, meshsync_status_name(status));
    }
    return true;
}

/* Does a node still write? One whose disk failed stops until it is opened again. */
static bool world_writes(struct api_world *world)
{
    meshsync_value value = meshsync_value_int(1);
    for (uint32_t i = 0; i < API_WORLD_NODES; i++) {
        meshsync_status status = meshsync_put(world->spaces[i], "r", meshsync_bytes_of("probe"),
                                              &value, NULL, &world->error);
        if (status == MESHSYNC_E_IO) {
            return false;
        }
        assert_int_equal(status, MESHSYNC_OK);
    }
    return true;
}

/* Whatever failed, the call passes afterwards: at once, or after the store was opened again. */
static void world_passes(struct api_world *world, const struct api_source *source,
                         const struct api_case *tried, uint64_t n)
{
    memset(&world->error, 0, sizeof world->error);
    if (source->once && !world_writes(world)) {
        api_world_reopen(world);
    }
    meshsync_status status = tried->run(world);
    if (status != MESHSYNC_OK) {
        fail_msg("%s: after %s %llu (%s) failed: %s: %s", tried->functions, source->name,
                 (unsigned long long)n, source->words != NULL ? source->words() : "",
                 meshsync_status_name(status), world->error.message);
    }
}

uint64_t api_world_try(struct api_world *world, const struct api_source *source, uint64_t stride)
{
    uint64_t total = 0;
    world->source = source;
    for (uint32_t i = 0; i < api_cases_count; i++) {
        uint64_t count = 0;
        world_passes(world, source, &api_cases[i], 0);
        for (uint32_t stays = 0; stays < (source->once ? 1u : 2u); stays++) {
            uint64_t n = 1 + (i + stays) % stride;
            while (n < N_MAX && world_hurt(world, source, &api_cases[i], n, stays != 0)) {
                world_passes(world, source, &api_cases[i], n);
                count += 1;
                n += stride;
            }
            assert_true(n < N_MAX);
        }
        total += count;
        if (count > 0) {
            print_message("%s: %s: %llu\n", source->name, api_cases[i].functions,
                          (unsigned long long)count);
        }
    }
    return total;
}
