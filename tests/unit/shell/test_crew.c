/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shows that a job shared with the writer's helper is done exactly once, chunk by chunk, that a
 * finished job is left by everybody, and that what the helper has hashed and summed is what one
 * thread finds: a store filled in large changes verifies.
 */
#include "unit/api/api_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shell/crew.h"

enum { CHUNKS_MAX = 300, JOBS = 3000 };

struct job {
    uint32_t done[CHUNKS_MAX]; /* Each is written by whoever does the chunk. */
};

static void job_run(void *user, uint32_t chunk)
{
    struct job *job = user;
    assert_true(chunk < CHUNKS_MAX);
    job->done[chunk] += 1;
}

static void job_check(const struct msy_crew *port, uint32_t chunks)
{
    static struct job job;
    memset(&job, 0, sizeof job);
    msy_crew_start(port, job_run, &job, chunks);
    msy_crew_finish(port);
    for (uint32_t i = 0; i < CHUNKS_MAX; i++) {
        assert_int_equal(job.done[i], i < chunks ? 1 : 0);
    }
}

static void test_once(void **state)
{
    (void)state;
    struct msy_crew_thread crew;
    meshsync_error error = {0};
    API_OK(msy_crew_init(&crew, &error));
    for (uint32_t i = 0; i < JOBS; i++) {
        job_check(&crew.port, i % (CHUNKS_MAX + 1));
        job_check(NULL, i % (CHUNKS_MAX + 1));
    }
    (void)printf("%u jobs, the helper %s\n", JOBS, crew.running ? "ran" : "was not to be had");
    msy_crew_fini(&crew);
    msy_crew_fini(&crew); /* Harmless. */
}

/* Sizes around the chunks' own, one and two collections, and values that are overwritten. */
static void fill(meshsync_space *space, uint32_t ops, bool both, uint32_t from)
{
    meshsync_error error = {0};
    meshsync_txn *txn = NULL;
    API_OK(meshsync_txn_begin(space, &txn, &error));
    for (uint32_t i = 0; i < ops; i++) {
        char key[32];
        (void)snprintf(key, sizeof key, "key %u", from + i);
        api_put_in(txn, key, key);
        if (both && i % 3 == 0) {
            meshsync_bytes parts[2];
            meshsync_path path = api_path(parts, key, NULL);
            API_OK(meshsync_txn_add(txn, "c", &path, 1, &error));
        }
    }
    API_OK(meshsync_txn_commit(txn, NULL, NULL, &error));
}

static void test_verifies(void **state)
{
    static const uint32_t sizes[] = {1, 63, 64, 65, 127, 128, 129, 1000, 5000};
    char folder[API_PATH_BYTES_MAX];
    meshsync_error error = {0};
    meshsync_verify_report report = {.size = sizeof report};
    (void)state;
    api_folder(folder);
    meshsync_node *node = api_open(folder);
    meshsync_space *space = api_space(node);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        fill(space, sizes[i], false, 0);
        fill(space, sizes[i], true, 40);
    }
    API_OK(meshsync_space_verify(space, &report, &error));
    assert_int_equal(report.damaged_changes + report.damaged_leaves + report.damaged_indexes, 0);
    (void)printf("%llu ops in %llu changes verified\n", (unsigned long long)report.ops,
                 (unsigned long long)report.changes);
    assert_true(report.ops > 13000);
    API_OK(meshsync_node_close(node));
    api_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_once),
        cmocka_unit_test(test_verifies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
