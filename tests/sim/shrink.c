/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a schedule that breaks a law to a short one that breaks the same: chunks are left out, then
 * single steps, then nodes, each tried in a process of its own.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sim/swarm.h"

enum { SHRINK_SECONDS = 60, SHRINK_TRY_SECONDS = 20, SHRINK_PRINTED_MAX = 400 };

/* What a child says of how it failed, in memory that both see. */
struct shrink_shared {
    const char *format; /* Of the words: the same in parent and child. */
};

static struct shrink_shared *shrink_child; /* NULL: not in a child. */
static struct swarm shrink_swarm;

struct shrink {
    struct shrink_shared *shared;
    const char *format; /* What is looked for; NULL: a process that dies of a signal. */
    time_t until;
    uint32_t tries;
};

void shrink_caught(const char *format)
{
    if (shrink_child != NULL) {
        shrink_child->format = format;
        _exit(1);
    }
}

static void shrink_in_child(struct shrink *shrink, const struct schedule *schedule)
{
    uint8_t trace[MESHSYNC_DIGEST_BYTES];
    static const int signals[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGALRM};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        (void)signal(signals[i], SIG_DFL);
    }
    (void)unsetenv("MESHSYNC_VERBOSE");
    if (freopen("/dev/null", "w", stdout) == NULL || freopen("/dev/null", "w", stderr) == NULL) {
        _exit(0);
    }
    shrink_child = shrink->shared;
    (void)alarm(SHRINK_TRY_SECONDS);
    memset(&shrink_swarm, 0, sizeof shrink_swarm);
    swarm_run(&shrink_swarm, schedule, trace);
    _exit(0);
}

/* Does it still fail, in the same way? */
static bool shrink_fails(struct shrink *shrink, const struct schedule *schedule)
{
    int result = 0;
    shrink->shared->format = NULL;
    shrink->tries += 1;
    (void)fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        shrink_in_child(shrink, schedule);
    }
    if (child < 0 || waitpid(child, &result, 0) != child) {
        return false;
    }
    if (WIFSIGNALED(result)) {
        return shrink->format == NULL && WTERMSIG(result) != SIGALRM;
    }
    return shrink->format != NULL && shrink->shared->format == shrink->format;
}

/* Leaves out len steps from at on, if it fails without them. */
static bool shrink_without(struct shrink *shrink, struct schedule *schedule, uint32_t at,
                           uint32_t len)
{
    struct schedule tried;
    schedule_copy(&tried, schedule);
    len = len < tried.count - at ? len : tried.count - at;
    memmove(tried.steps + at, tried.steps + at + len,
            (tried.count - at - len) * sizeof *tried.steps);
    tried.count -= len;
    bool fails = shrink_fails(shrink, &tried);
    if (fails) {
        struct schedule kept = *schedule;
        *schedule = tried;
        tried = kept;
    }
    schedule_fini(&tried);
    return fails;
}

static bool shrink_time(const struct shrink *shrink)
{
    return time(NULL) < shrink->until;
}

static void shrink_steps(struct shrink *shrink, struct schedule *schedule)
{
    uint32_t len = schedule->count / 2 + 1;
    for (bool again = true; again && shrink_time(shrink);) {
        bool any = false;
        for (uint32_t end = schedule->count; end > 0 && shrink_time(shrink);) {
            uint32_t at = end > len ? end - len : 0; /* Backwards: what comes last matters least. */
            any = shrink_without(shrink, schedule, at, end - at) || any;
            end = at;
        }
        again = any || len > 1;
        len = len > 1 ? (len + 1) / 2 : 1;
    }
}

static void shrink_spaces(struct shrink *shrink, struct schedule *schedule)
{
    uint32_t kept = schedule->spaces;
    schedule->spaces = 1;
    if (kept > 1 && !shrink_fails(shrink, schedule)) {
        schedule->spaces = kept;
    }
}

static void shrink_nodes(struct shrink *shrink, struct schedule *schedule)
{
    for (uint32_t nodes = 2; nodes < schedule->nodes && shrink_time(shrink); nodes++) {
        uint32_t kept = schedule->nodes;
        schedule->nodes = nodes;
        if (shrink_fails(shrink, schedule)) {
            return;
        }
        schedule->nodes = kept;
    }
}

static void shrink_tell(const struct shrink *shrink, const struct schedule *from,
                        const struct schedule *schedule, const char *program)
{
    char path[512];
    const char *folder = getenv("MESHSYNC_BUILD"); /* Where a runner keeps what it makes. */
    folder = folder != NULL ? folder : getenv("TMPDIR");
    (void)snprintf(path, sizeof path, "%s/meshsync-seed-%llu.schedule",
                   folder != NULL && folder[0] != '\0' ? folder : ".",
                   (unsigned long long)from->seed);
    (void)fprintf(stderr, "shrunk from %u steps to %u, from %u nodes to %u, in %u tries:\n",
                  from->count, schedule->count, from->nodes, schedule->nodes, shrink->tries);
    if (schedule->count <= SHRINK_PRINTED_MAX) {
        schedule_write(schedule, stderr);
    }
    FILE *out = fopen(path, "w");
    if (out != NULL) {
        schedule_write(schedule, out);
        (void)fclose(out);
        (void)fprintf(stderr, "repeat: MESHSYNC_SCHEDULE=%s MESHSYNC_VERBOSE=1 %s\n", path,
                      program);
    }
}

void shrink_failed(const struct schedule *schedule, const char *format, const char *program)
{
    const char *profile = getenv("MESHSYNC_PROFILE");
    const char *seconds = getenv("MESHSYNC_SHRINK_S");
    struct shrink shrink = {.format = format};
    struct schedule shorter;
    if (getenv("MESHSYNC_SCHEDULE") != NULL) {
        return; /* It was given, and is known. */
    }
    (void)fprintf(stderr,
                  "repeat: MESHSYNC_SEED=%llu MESHSYNC_SEEDS=1 MESHSYNC_PROFILE=%s "
                  "MESHSYNC_VERBOSE=1 %s\n",
                  (unsigned long long)schedule->seed, profile != NULL ? profile : "short", program);
    shrink.until = time(NULL) + (seconds != NULL ? atoi(seconds) : SHRINK_SECONDS);
    shrink.shared = mmap(NULL, sizeof *shrink.shared, PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shrink.shared == MAP_FAILED) {
        return;
    }
    schedule_copy(&shorter, schedule);
    if (shrink_time(&shrink) && shrink_fails(&shrink, &shorter)) {
        shrink_spaces(&shrink, &shorter);
        shrink_steps(&shrink, &shorter);
        shrink_nodes(&shrink, &shorter);
        shrink_tell(&shrink, schedule, &shorter, program);
    } else {
        (void)fprintf(stderr, "not shrunk: it did not fail again in time\n");
    }
    schedule_fini(&shorter);
    (void)munmap(shrink.shared, sizeof *shrink.shared);
}
