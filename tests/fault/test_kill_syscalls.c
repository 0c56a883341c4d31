/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shows that a process may be killed at any system call without a loss: a child that makes a node,
 * commits, closes, opens and commits again is traced, and ended by SIGKILL at its n-th stop, which
 * is the entry or the exit of a system call of any of its threads, for every n (every
 * MESHSYNC_KILL_STRIDE-th, default 5) until it ends unhurt. What it was told goes out through a
 * pipe. Each time the store is opened and held to that (work.h). The same is done without tracing,
 * before and after each call that changes files, which is exact too, since nothing else does; where
 * tracing is not permitted that is all, and the test says so. A node that acknowledges too early
 * must be found out.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fault/disk.h"
#include "fault/work.h"

enum { KILL_NOT_PERMITTED = 77, KILL_STOPS_MAX = 100000, KILL_SYSCALL_STOP = SIGTRAP | 0x80 };

enum kill_way { KILL_TRACED = 0, KILL_INTERPOSED = 1 };

struct shared {
    struct work_verdict verdict;
    char words[WORK_WORDS_BYTES_MAX];
};

struct tally {
    uint64_t kills;
    uint64_t outcomes[WORK_OUTCOMES];
    uint64_t stops; /* Of the run that nobody hurt. */
};

static char place[WORK_PATH_BYTES_MAX];
static char folder[WORK_PATH_BYTES_MAX];
static struct shared *shared;
static uint64_t stride;
static uint64_t stride_files; /* There are fewer of those calls. */
static bool early;            /* The child says that a commit is done when it only begins. */

static void note_in_pipe(void *user, uint32_t id, bool done)
{
    const int *fd = user;
    uint32_t word = id << 1 | (done || early ? 1 : 0);
    if (syscall(SYS_write, *fd, &word, sizeof word) != sizeof word) {
        _exit(2);
    }
}

static void note_nothing(void *user, uint32_t id, bool done)
{
    (void)user;
    (void)id;
    (void)done;
}

static void child_runs(enum kill_way way, uint64_t n, int fd)
{
    static const struct work_size size = {.single = 1, .together = 3, .reopen = true};
    (void)signal(SIGBUS, SIG_DFL);
    (void)signal(SIGSEGV, SIG_DFL);
    (void)signal(SIGABRT, SIG_DFL);
    if (way == KILL_TRACED) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0) {
            _exit(KILL_NOT_PERMITTED);
        }
        (void)raise(SIGSTOP);
    } else {
        interpose_fast_syncs(true);
        interpose_kill_at(folder, n);
    }
    struct work_notes notes = {note_in_pipe, &fd};
    bool good = work_run(folder, place, &size, notes, shared->words);
    _exit(good ? 0 : 1);
}

/* Lets it run from stop to stop, and kills it at the n-th; its wait status. Threads come and go. */
static int trace(pid_t child, uint64_t n, uint64_t *stops)
{
    int status = 0;
    assert_int_equal(waitpid(child, &status, __WALL), child);
    if (!WIFSTOPPED(status)) {
        return status;
    }
    const uintptr_t options = PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL | PTRACE_O_TRACECLONE;
    if (ptrace(PTRACE_SETOPTIONS, child, NULL, options) != 0 ||
        ptrace(PTRACE_SYSCALL, child, NULL, NULL) != 0) {
        (void)kill(child, SIGKILL);
        (void)waitpid(child, &status, __WALL);
        return KILL_NOT_PERMITTED << 8;
    }
    for (;;) {
        pid_t thread = waitpid(-1, &status, __WALL);
        assert_true(thread > 0);
        if (!WIFSTOPPED(status)) {
            if (thread == child) {
                return status;
            }
            continue; /* A thread ended. */
        }
        int number = WSTOPSIG(status);
        if (number == KILL_SYSCALL_STOP) {
            if (++*stops == n) {
                (void)kill(child, SIGKILL);
            }
            number = 0;
        } else if (number == SIGTRAP || number == SIGSTOP) {
            number = 0; /* A thread was made, or begins. */
        }
        (void)ptrace(PTRACE_SYSCALL, thread, NULL, (uintptr_t)number); /* Or it is gone. */
    }
}

static void hear(int fd, struct work_told *told)
{
    uint32_t word = 0;
    memset(told, 0, sizeof *told);
    while (read(fd, &word, sizeof word) == sizeof word) {
        assert_true(word >> 1 < WORK_IDS);
        told->begun[word >> 1] = true;
        told->done[word >> 1] |= (word & 1) != 0;
    }
}

/* In a process of its own, so that a store that ends its reader only ends that. */
static void check(const struct work_told *told, struct tally *tally)
{
    char data[WORK_PATH_BYTES_MAX];
    (void)snprintf(data, sizeof data, "%.500s/data.mdb", folder);
    shared->verdict = (struct work_verdict){.outcome = WORK_DIED};
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        static struct work_actors actors;
        const struct work_notes quiet = {note_nothing, NULL};
        uint8_t hash[WORK_HASH_BYTES];
        bool there = access(data, F_OK) == 0;
        (void)signal(SIGBUS, SIG_DFL);
        (void)signal(SIGSEGV, SIG_DFL);
        (void)signal(SIGABRT, SIG_DFL);
        interpose_fast_syncs(true);
        if (there && !work_look(folder, hash, &actors)) {
            shared->verdict.outcome = WORK_REFUSED;
            _exit(0);
        }
        struct work_verdict verdict = {.outcome = there ? WORK_KEPT : WORK_NOTHING};
        if (!there && told->done[WORK_NODE]) {
            verdict.outcome = WORK_LOST;
        } else {
            work_check(folder, told, &actors, 1, quiet, &verdict);
        }
        shared->verdict = verdict;
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (status != 0) {
        shared->verdict.outcome = WORK_DIED;
    }
    tally->outcomes[shared->verdict.outcome]++;
}

/* True when the child came to its end before its n-th stop. */
static bool kill_once(enum kill_way way, uint64_t n, struct tally *tally, bool *permitted)
{
    static struct work_told told;
    int ends[2];
    work_remove(folder);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    (void)fflush(stdout);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)close(ends[0]);
        child_runs(way, n, ends[1]);
    }
    (void)close(ends[1]);
    int status = 0;
    uint64_t stops = 0;
    if (way == KILL_TRACED) {
        status = trace(child, n, &stops);
    } else {
        assert_int_equal(waitpid(child, &status, 0), child);
    }
    hear(ends[0], &told);
    (void)close(ends[0]);
    if (WIFEXITED(status) && WEXITSTATUS(status) == KILL_NOT_PERMITTED) {
        *permitted = false;
        return true;
    }
    bool unhurt = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (!unhurt && !(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)) {
        print_error("the child ended with %x: %s\n", (unsigned)status, shared->words);
        fail();
    }
    tally->stops = unhurt ? stops : tally->stops;
    tally->kills += unhurt ? 0 : 1;
    check(&told, tally);
    return unhurt;
}

static uint64_t bad_count(const struct tally *tally)
{
    uint64_t bad = 0;
    for (unsigned i = WORK_LOST; i < WORK_OUTCOMES; i++) {
        bad += tally->outcomes[i];
    }
    return bad;
}

/* False: tracing is not permitted here. */
static bool kill_everywhere(enum kill_way way, uint64_t step, struct tally *tally, bool said)
{
    bool permitted = true;
    memset(tally, 0, sizeof *tally);
    for (uint64_t n = 1; n < KILL_STOPS_MAX; n += step) {
        uint64_t bad = bad_count(tally);
        bool unhurt = kill_once(way, n, tally, &permitted);
        if (said && bad_count(tally) > bad) {
            print_error("killed at stop %llu: %s: %s\n", (unsigned long long)n,
                        work_outcome_name(shared->verdict.outcome), shared->verdict.words);
        }
        if (unhurt) {
            break;
        }
    }
    return permitted;
}

static void show(const char *what, const struct tally *tally)
{
    print_message(
        "%s: %llu kills: %llu with no node yet, %llu kept, %llu bad\n", what,
        (unsigned long long)tally->kills, (unsigned long long)tally->outcomes[WORK_NOTHING],
        (unsigned long long)tally->outcomes[WORK_KEPT], (unsigned long long)bad_count(tally));
}

static void test_every_system_call(void **state)
{
    (void)state;
    struct tally tally;
    if (!kill_everywhere(KILL_TRACED, stride, &tally, true)) {
        print_message("tracing is not permitted here: kills at the calls that change files only\n");
        return; /* test_every_call_that_changes_files is what is left, and runs in any case. */
    }
    show("at entries and exits of system calls", &tally);
    assert_int_equal(bad_count(&tally), 0);
    assert_true(tally.kills * stride > 100);
    assert_true(tally.outcomes[WORK_NOTHING] > 0 && tally.outcomes[WORK_KEPT] > 0);
}

static void test_every_call_that_changes_files(void **state)
{
    (void)state;
    struct tally tally;
    assert_true(kill_everywhere(KILL_INTERPOSED, stride_files, &tally, true));
    show("before and after calls that change files", &tally);
    assert_int_equal(bad_count(&tally), 0);
    assert_true(tally.kills * stride_files > 50);
    assert_true(tally.outcomes[WORK_NOTHING] > 0 && tally.outcomes[WORK_KEPT] > 0);
}

static void test_finds_what_is_acknowledged_too_early(void **state)
{
    (void)state;
    struct tally tally;
    early = true;
    assert_true(kill_everywhere(KILL_INTERPOSED, 3 * stride_files, &tally, false));
    early = false;
    show("broken on purpose, acknowledged too early", &tally);
    assert_true(tally.outcomes[WORK_LOST] > 0);
}

static int set_up(void **state)
{
    (void)state;
    const char *under = getenv("TMPDIR");
    const char *text = getenv("MESHSYNC_KILL_STRIDE");
    stride = text == NULL || atoi(text) < 1 ? 5 : (uint64_t)atoi(text);
    stride_files = (stride + 4) / 5;
    (void)snprintf(place, sizeof place, "%.300s/meshsync-killed-XXXXXX",
                   under == NULL ? "/tmp" : under);
    void *memory =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (mkdtemp(place) == NULL || memory == MAP_FAILED) {
        return 1;
    }
    (void)snprintf(folder, sizeof folder, "%.500s/n", place);
    shared = memory;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    work_remove(place);
    return munmap(shared, sizeof *shared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_system_call),
        cmocka_unit_test(test_every_call_that_changes_files),
        cmocka_unit_test(test_finds_what_is_acknowledged_too_early),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
