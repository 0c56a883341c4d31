/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shows that in steady state a put of a batch costs no allocation and no system call of its own:
 * batches four times as large make as many of both, but for writing the pages that are larger by
 * as much. Allocations are counted by the node's allocator, system calls by tracing a child.
 */
#include "unit/api/api_kit.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/ptrace.h>

enum { BATCHES = 8, SMALL_OPS = 1000, LARGE_OPS = 4000, WARM_BATCHES = 12 };
/* What a batch may cost, whatever its size; measured: 2 allocations and about 10 calls. */
enum { ALLOCS_PER_BATCH = 12, CALLS_PER_BATCH = 60 };
enum { OPS_PER_WRITE = 4 };

/* Calls made so far; in memory that both processes see. */
struct counts {
    atomic_ullong calls;
    atomic_ullong writes; /* Of pages. */
    atomic_ullong allocs;
    struct {
        unsigned long long calls, writes, allocs;
    } cost[2];
    atomic_int done;
};

static void *count_realloc(void *user, void *ptr, size_t old_size, size_t new_size)
{
    struct counts *counts = user;
    (void)old_size;
    if (new_size == 0) {
        free(ptr);
        return NULL;
    }
    atomic_fetch_add(&counts->allocs, 1);
    return realloc(ptr, new_size);
}

static void put_batch(meshsync_space *space, uint32_t ops)
{
    meshsync_error error = {0};
    meshsync_txn *txn = NULL;
    API_OK(meshsync_txn_begin(space, &txn, &error));
    for (uint32_t i = 0; i < ops; i++) {
        char key[32];
        (void)snprintf(key, sizeof key, "%08u", i);
        api_put_in(txn, key, "a value that is overwritten again and again");
    }
    API_OK(meshsync_txn_commit(txn, NULL, NULL, &error));
}

static void put_batches(meshsync_space *space, uint32_t ops, struct counts *counts, int which)
{
    unsigned long long calls = atomic_load(&counts->calls);
    unsigned long long writes = atomic_load(&counts->writes);
    unsigned long long allocs = atomic_load(&counts->allocs);
    for (uint32_t i = 0; i < BATCHES; i++) {
        put_batch(space, ops);
    }
    counts->cost[which].calls = atomic_load(&counts->calls) - calls;
    counts->cost[which].writes = atomic_load(&counts->writes) - writes;
    counts->cost[which].allocs = atomic_load(&counts->allocs) - allocs;
}

static void work(const char *folder, struct counts *counts)
{
    meshsync_error error = {0};
    meshsync_node *node = NULL;
    meshsync_options options = api_options(folder);
    options.allocate = count_realloc;
    options.allocate_user = counts;
    API_OK(meshsync_node_open(&options, &node, &error));
    meshsync_space *space = api_space(node);
    for (uint32_t i = 0; i < WARM_BATCHES; i++) {
        put_batch(space, LARGE_OPS);
    }
    put_batches(space, SMALL_OPS, counts, 0);
    put_batches(space, LARGE_OPS, counts, 1);
    API_OK(meshsync_node_close(node));
    atomic_store(&counts->done, 1);
}

static void count_call(pid_t thread, struct counts *counts)
{
    struct ptrace_syscall_info info = {0};
    if (ptrace(PTRACE_GET_SYSCALL_INFO, thread, (void *)sizeof info, &info) <= 0 ||
        info.op != PTRACE_SYSCALL_INFO_ENTRY) {
        return;
    }
    bool writes = info.entry.nr == SYS_pwrite64 || info.entry.nr == SYS_pwritev ||
                  info.entry.nr == SYS_writev || info.entry.nr == SYS_lseek;
    atomic_fetch_add(writes ? &counts->writes : &counts->calls, 1);
}

/* Follows the child and all of its threads to the end. False: tracing is not allowed here. */
static bool trace(pid_t child, struct counts *counts)
{
    int how = 0;
    assert_int_equal(waitpid(child, &how, 0), child);
    if (!WIFSTOPPED(how)) {
        return false;
    }
    long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL;
    assert_int_equal(ptrace(PTRACE_SETOPTIONS, child, NULL, (void *)options), 0);
    assert_int_equal(ptrace(PTRACE_SYSCALL, child, NULL, NULL), 0);
    for (;;) {
        pid_t thread = waitpid(-1, &how, __WALL);
        if (thread < 0 && errno == EINTR) {
            continue;
        }
        assert_true(thread > 0);
        if (WIFEXITED(how) || WIFSIGNALED(how)) {
            if (thread == child) {
                assert_true(WIFEXITED(how));
                return true;
            }
            continue;
        }
        long signal = WSTOPSIG(how);
        if (signal == (SIGTRAP | 0x80)) {
            count_call(thread, counts);
        }
        if (signal == (SIGTRAP | 0x80) || signal == SIGTRAP || signal == SIGSTOP) {
            signal = 0;
        }
        (void)ptrace(PTRACE_SYSCALL, thread, NULL, (void *)signal); /* It may be gone. */
    }
}

static void check(const struct counts *counts)
{
    for (int i = 0; i < 2; i++) {
        unsigned long long ops = (i == 0 ? SMALL_OPS : LARGE_OPS) * (unsigned long long)BATCHES;
        (void)printf("%llu puts in %d batches: %llu allocations, %llu writes of pages, %llu "
                     "other calls\n",
                     ops, BATCHES, counts->cost[i].allocs, counts->cost[i].writes,
                     counts->cost[i].calls);
        assert_true(counts->cost[i].allocs <= ALLOCS_PER_BATCH * BATCHES);
        assert_true(counts->cost[i].calls <= CALLS_PER_BATCH * BATCHES);
        assert_true(counts->cost[i].writes <= ops / OPS_PER_WRITE);
    }
}

static void test_steady(void **state)
{
    char folder[API_PATH_BYTES_MAX];
    struct counts *counts =
        mmap(NULL, sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    (void)state;
#ifdef __SANITIZE_THREAD__
    skip(); /* Its own threads and calls are not the node's, and do not get on with a tracer. */
#endif
    assert_ptr_not_equal(counts, MAP_FAILED);
    api_folder(folder);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0) {
            _exit(1);
        }
        (void)raise(SIGSTOP);
        work(folder, counts);
        _exit(0);
    }
    bool traced = trace(child, counts);
    api_remove(folder);
    if (!traced) {
        (void)printf("tracing is not allowed here\n");
        skip();
    }
    assert_int_equal(atomic_load(&counts->done), 1);
    check(counts);
    (void)munmap(counts, sizeof *counts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steady),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
