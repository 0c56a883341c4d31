/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shows that a mesh keeps the laws whatever happens to it: seeded runs of 3 to 25 nodes whose
 * links, clocks, disks, memory and processes fail as the seed draws it, then a quiet phase in which
 * all must come to hold the same, with nothing lost that was acknowledged and nothing back that was
 * removed. What breaks a law is shrunk to a short schedule.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "sim/swarm.h"

enum {
    SEEDS_DEFAULT = 300,
    SEED_BASE = 1000,
    LONG_OPS = 1000,
    LONG_MS = 3600000,
    DYING_SECONDS = 180
};

static struct swarm swarm;
static uint64_t worst_settle_ms;
static const struct schedule *running;
static char dying[160]; /* What is said when a process dies in the middle of a seed. */

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL && text[0] != '\0' ? strtoull(text, NULL, 10) : otherwise;
}

static enum schedule_profile profile_of(const char *text)
{
    return text != NULL && strcmp(text, "long") == 0 ? SCHEDULE_LONG : SCHEDULE_SHORT;
}

static void die(int number)
{
    ssize_t written = write(STDERR_FILENO, dying, strlen(dying));
    (void)written; /* There is nobody else to tell. */
    (void)signal(number, SIG_DFL);
    if (running != NULL) { /* Not what a handler should do, but the process is over anyway. */
        (void)signal(SIGALRM, SIG_DFL);
        (void)alarm(DYING_SECONDS);
        shrink_failed(running, NULL, "build/tests/sim/test_sim");
    }
    (void)raise(number);
}

static void run_schedule(const struct schedule *schedule, uint8_t trace[MESHSYNC_DIGEST_BYTES])
{
    const char *profile = getenv("MESHSYNC_PROFILE");
    (void)snprintf(dying, sizeof dying,
                   "died of a signal; repeat: MESHSYNC_SEED=%llu MESHSYNC_SEEDS=1 "
                   "MESHSYNC_PROFILE=%s build/tests/sim/test_sim\n",
                   (unsigned long long)schedule->seed, profile != NULL ? profile : "short");
    running = schedule;
    swarm_run(&swarm, schedule, trace);
    running = NULL;
    worst_settle_ms = swarm.settle_ms > worst_settle_ms ? swarm.settle_ms : worst_settle_ms;
}

static void run_seed(uint64_t seed, enum schedule_profile profile,
                     uint8_t trace[MESHSYNC_DIGEST_BYTES])
{
    struct schedule schedule;
    schedule_draw(&schedule, seed, profile);
    run_schedule(&schedule, trace);
    schedule_fini(&schedule);
}

static void test_same_seed_same_trace(void **state)
{
    uint8_t first[MESHSYNC_DIGEST_BYTES];
    uint8_t second[MESHSYNC_DIGEST_BYTES];
    uint8_t other[MESHSYNC_DIGEST_BYTES];
    char text[2 * MESHSYNC_DIGEST_BYTES + 1];
    uint64_t seed = number_of("MESHSYNC_SEED", SEED_BASE);
    (void)state;
    run_seed(seed, SCHEDULE_SHORT, first);
    run_seed(seed, SCHEDULE_SHORT, second);
    run_seed(seed + 1, SCHEDULE_SHORT, other);
    msy_hex_encode(text, first, sizeof first);
    print_message("trace of seed %llu: %s\n", (unsigned long long)seed, text);
    assert_memory_equal(first, second, sizeof first);
    assert_memory_not_equal(first, other, sizeof first);
}

/* A schedule that was written and read again is the same run. */
static void test_schedule_as_text(void **state)
{
    uint8_t drawn[MESHSYNC_DIGEST_BYTES];
    uint8_t read[MESHSYNC_DIGEST_BYTES];
    struct schedule schedule;
    struct schedule again;
    char path[256];
    const char *folder = getenv("TMPDIR");
    (void)state;
    (void)snprintf(path, sizeof path, "%s/meshsync-schedule-XXXXXX",
                   folder != NULL && folder[0] != '\0' ? folder : "/tmp");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    FILE *out = fdopen(fd, "w");
    assert_non_null(out);
    schedule_draw(&schedule, number_of("MESHSYNC_SEED", SEED_BASE), SCHEDULE_SHORT);
    schedule_write(&schedule, out);
    assert_int_equal(fclose(out), 0);
    assert_true(schedule_read(&again, path));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(again.count, schedule.count);
    run_schedule(&schedule, drawn);
    run_schedule(&again, read);
    assert_memory_equal(drawn, read, sizeof drawn);
    schedule_fini(&schedule);
    schedule_fini(&again);
}

/* Seeds that once failed: each line of the file is a profile, a seed, and the reason. */
static void test_kept_seeds(void **state)
{
    uint8_t trace[MESHSYNC_DIGEST_BYTES];
    char line[512];
    uint32_t count = 0;
    (void)state;
    FILE *in = fopen("tests/sim/seeds.txt", "r");
    assert_non_null(in); /* Run it in the folder of the sources. */
    while (fgets(line, sizeof line, in) != NULL) {
        char profile[16];
        unsigned long long seed = 0;
        if (line[0] == '#' || line[0] == '\n') {
            continue;
        }
        assert_int_equal(sscanf(line, "%15s %llu", profile, &seed), 2);
        run_seed(seed, profile_of(profile), trace);
        count += 1;
    }
    assert_int_equal(fclose(in), 0);
    print_message("%u kept seeds\n", count);
}

static void test_seeds(void **state)
{
    uint8_t trace[MESHSYNC_DIGEST_BYTES];
    uint64_t count = number_of("MESHSYNC_SEEDS", SEEDS_DEFAULT);
    uint64_t base = number_of("MESHSYNC_SEED", SEED_BASE);
    const char *profile = getenv("MESHSYNC_PROFILE");
    (void)state;
    for (uint64_t i = 0; i < count; i++) {
        run_seed(base + i, profile_of(profile), trace);
        if (profile_of(profile) == SCHEDULE_LONG) { /* What is promised of each. */
            if (swarm.ops < LONG_OPS || swarm.run_ms < LONG_MS) {
                fail_msg("seed %llu: %llu ops in %llu ms", (unsigned long long)(base + i),
                         (unsigned long long)swarm.ops, (unsigned long long)swarm.run_ms);
            }
        }
    }
    print_message("%llu %s seeds from %llu; longest quiet phase %llu ms\n",
                  (unsigned long long)count, profile != NULL ? profile : "short",
                  (unsigned long long)base, (unsigned long long)worst_settle_ms);
    assert_int_equal(reached_report(count, profile_of(profile) == SCHEDULE_LONG), 0);
}

static void test_given_schedule(void **state)
{
    uint8_t trace[MESHSYNC_DIGEST_BYTES];
    struct schedule schedule;
    (void)state;
    assert_true(schedule_read(&schedule, getenv("MESHSYNC_SCHEDULE")));
    run_schedule(&schedule, trace);
    schedule_fini(&schedule);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_seed_same_trace), cmocka_unit_test(test_schedule_as_text),
        cmocka_unit_test(test_kept_seeds), cmocka_unit_test(test_seeds)};
    const struct CMUnitTest given[] = {cmocka_unit_test(test_given_schedule)};
    (void)signal(SIGABRT, die);
    if (getenv("MESHSYNC_SCHEDULE") != NULL) {
        return cmocka_run_group_tests(given, NULL, NULL);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
