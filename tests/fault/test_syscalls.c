/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shows that every public function, on nodes over LMDB with their threads and a peer on loopback,
 * when the n-th system call fails once with an error that it can have, for every n, says so in
 * words, works when it is called again (after an error of the disk: when the node was opened
 * again), loses nothing that was acknowledged, and leaves no descriptor open.
 */
#include "fault/api_world.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define SEEN __attribute__((visibility("default")))

enum { STRIDE_DEFAULT = 4, KINDS_MAX = 32, ERRORS_MAX = 4 };

/* What each call can fail with. */
enum kind {
    CALL_OPEN,
    CALL_OPENAT,
    CALL_READ,
    CALL_PREAD,
    CALL_WRITE,
    CALL_PWRITE,
    CALL_WRITEV,
    CALL_FSYNC,
    CALL_FDATASYNC,
    CALL_FTRUNCATE,
    CALL_MMAP,
    CALL_MKDIR,
    CALL_RENAME,
    CALL_LINK,
    CALL_UNLINK,
    CALL_FCNTL,
    CALL_FSTAT,
    CALL_SOCKET,
    CALL_BIND,
    CALL_LISTEN,
    CALL_CONNECT,
    CALL_ACCEPT,
    CALL_SEND,
    CALL_RECV,
    CALLS
};

static const struct {
    const char *name;
    int errors[ERRORS_MAX]; /* Ends with 0. */
} calls[CALLS] = {
    [CALL_OPEN] = {"open", {EMFILE, EACCES, EIO}},
    [CALL_OPENAT] = {"openat", {EMFILE, EACCES, ENOSPC}},
    [CALL_READ] = {"read", {EIO, EINTR}},
    [CALL_PREAD] = {"pread", {EIO}},
    [CALL_WRITE] = {"write", {EIO, ENOSPC, EINTR}},
    [CALL_PWRITE] = {"pwrite", {EIO, ENOSPC}},
    [CALL_WRITEV] = {"writev", {EIO, ENOSPC}},
    [CALL_FSYNC] = {"fsync", {EIO, ENOSPC}},
    [CALL_FDATASYNC] = {"fdatasync", {EIO, ENOSPC}},
    [CALL_FTRUNCATE] = {"ftruncate", {ENOSPC, EIO}},
    [CALL_MMAP] = {"mmap", {ENOMEM}},
    [CALL_MKDIR] = {"mkdir", {ENOSPC, EACCES}},
    [CALL_RENAME] = {"rename", {EIO, ENOSPC}},
    [CALL_LINK] = {"link", {ENOSPC, EIO}},
    [CALL_UNLINK] = {"unlink", {EIO, EACCES}},
    [CALL_FCNTL] = {"fcntl", {EIO, ENOMEM}},
    [CALL_FSTAT] = {"fstat", {EIO, ENOMEM}},
    [CALL_SOCKET] = {"socket", {EMFILE, ENOMEM}},
    [CALL_BIND] = {"bind", {EADDRINUSE, EACCES}},
    [CALL_LISTEN] = {"listen", {EADDRINUSE}},
    [CALL_CONNECT] = {"connect", {ECONNREFUSED, ENETUNREACH}},
    [CALL_ACCEPT] = {"accept", {EMFILE, ECONNABORTED, EINTR}},
    [CALL_SEND] = {"send", {ECONNRESET, EINTR}},
    [CALL_RECV] = {"recv", {ECONNRESET, EINTR}},
};

static struct {
    _Atomic bool armed;
    _Atomic bool fired;
    _Atomic uint64_t left;
    _Atomic uint64_t turn; /* Which of a call's errors comes next. */
    _Atomic int kind, error;
    _Atomic uint64_t of[CALLS];
} plan;

static _Thread_local bool paused;
static uintptr_t uv_first, uv_last;

/* libuv aborts on some failures of its own calls, and has no way to tell of others. */
static bool is_uv(const void *caller)
{
    return (uintptr_t)caller >= uv_first && (uintptr_t)caller < uv_last;
}

static bool refuses(enum kind kind, const void *caller)
{
    if (!plan.armed || paused || is_uv(caller)) {
        return false;
    }
    uint64_t left = plan.left;
    while (left > 0 && !atomic_compare_exchange_weak(&plan.left, &left, left - 1)) {
        /* Another thread counted. */
    }
    if (left != 1) {
        return false;
    }
    uint32_t count = 0;
    while (count < ERRORS_MAX && calls[kind].errors[count] != 0) {
        count += 1;
    }
    plan.error = calls[kind].errors[atomic_fetch_add(&plan.turn, 1) % count];
    plan.kind = (int)kind;
    (void)atomic_fetch_add(&plan.of[kind], 1);
    plan.fired = true;
    errno = plan.error;
    return true;
}

#define REFUSES(kind) refuses((kind), __builtin_return_address(0))

/* ---- The calls, in front of those of the C library ---- */

static int mode_of(int flags, va_list args)
{
    return (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(args, int) : 0;
}

SEEN int open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    int mode = mode_of(flags, args);
    va_end(args);
    return REFUSES(CALL_OPEN) ? -1 : (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

SEEN int open64(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    int mode = mode_of(flags, args);
    va_end(args);
    return REFUSES(CALL_OPEN) ? -1 : (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

SEEN int openat(int folder, const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    int mode = mode_of(flags, args);
    va_end(args);
    return REFUSES(CALL_OPENAT) ? -1 : (int)syscall(SYS_openat, folder, path, flags, mode);
}

SEEN ssize_t read(int fd, void *data, size_t len)
{
    return REFUSES(CALL_READ) ? -1 : syscall(SYS_read, fd, data, len);
}

SEEN ssize_t pread(int fd, void *data, size_t len, off_t offset)
{
    return REFUSES(CALL_PREAD) ? -1 : syscall(SYS_pread64, fd, data, len, offset);
}

SEEN ssize_t write(int fd, const void *data, size_t len)
{
    return REFUSES(CALL_WRITE) ? -1 : syscall(SYS_write, fd, data, len);
}

SEEN ssize_t pwrite(int fd, const void *data, size_t len, off_t offset)
{
    return REFUSES(CALL_PWRITE) ? -1 : syscall(SYS_pwrite64, fd, data, len, offset);
}

SEEN ssize_t writev(int fd, const struct iovec *pieces, int count)
{
    return REFUSES(CALL_WRITEV) ? -1 : syscall(SYS_writev, fd, pieces, count);
}

SEEN int fsync(int fd)
{
    return REFUSES(CALL_FSYNC) ? -1 : (int)syscall(SYS_fsync, fd);
}

SEEN int fdatasync(int fd)
{
    return REFUSES(CALL_FDATASYNC) ? -1 : (int)syscall(SYS_fdatasync, fd);
}

SEEN int ftruncate(int fd, off_t len)
{
    return REFUSES(CALL_FTRUNCATE) ? -1 : (int)syscall(SYS_ftruncate, fd, len);
}

SEEN void *mmap(void *at, size_t len, int protection, int flags, int fd, off_t offset)
{
    if (REFUSES(CALL_MMAP)) {
        return MAP_FAILED;
    }
    long mapped = syscall(SYS_mmap, at, len, protection, flags, fd, offset);
    return (void *)(uintptr_t)mapped; /* -1 is MAP_FAILED. */
}

SEEN int mkdir(const char *path, mode_t mode)
{
    return REFUSES(CALL_MKDIR) ? -1 : (int)syscall(SYS_mkdir, path, mode);
}

SEEN int rename(const char *from, const char *to)
{
    return REFUSES(CALL_RENAME) ? -1 : (int)syscall(SYS_rename, from, to);
}

SEEN int renameat(int from_folder, const char *from, int to_folder, const char *to)
{
    return REFUSES(CALL_RENAME) ? -1 : (int)syscall(SYS_renameat, from_folder, from, to_folder, to);
}

SEEN int link(const char *from, const char *to)
{
    return REFUSES(CALL_LINK) ? -1 : (int)syscall(SYS_link, from, to);
}

SEEN int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags)
{
    return REFUSES(CALL_RENAME)
               ? -1
               : (int)syscall(SYS_renameat2, from_folder, from, to_folder, to, flags);
}

SEEN int unlink(const char *path)
{
    return REFUSES(CALL_UNLINK) ? -1 : (int)syscall(SYS_unlink, path);
}

SEEN int unlinkat(int folder, const char *path, int flags)
{
    return REFUSES(CALL_UNLINK) ? -1 : (int)syscall(SYS_unlinkat, folder, path, flags);
}

SEEN int fcntl(int fd, int command, ...)
{
    va_list args;
    va_start(args, command);
    void *argument = va_arg(args, void *);
    va_end(args);
    return REFUSES(CALL_FCNTL) ? -1 : (int)syscall(SYS_fcntl, fd, command, argument);
}

SEEN int fstat(int fd, struct stat *about)
{
    return REFUSES(CALL_FSTAT) ? -1 : (int)syscall(SYS_fstat, fd, about);
}

SEEN int socket(int family, int type, int protocol)
{
    return REFUSES(CALL_SOCKET) ? -1 : (int)syscall(SYS_socket, family, type, protocol);
}

/* Declared with unions in the system's header: here by their names in the object file. */
SEEN int call_bind(int fd, const struct sockaddr *address, socklen_t len) __asm__("bind");
SEEN int call_connect(int fd, const struct sockaddr *address, socklen_t len) __asm__("connect");
SEEN int call_accept4(int fd, struct sockaddr *address, socklen_t *len,
                      int flags) __asm__("accept4");

int call_bind(int fd, const struct sockaddr *address, socklen_t len)
{
    return REFUSES(CALL_BIND) ? -1 : (int)syscall(SYS_bind, fd, address, len);
}

SEEN int listen(int fd, int backlog)
{
    return REFUSES(CALL_LISTEN) ? -1 : (int)syscall(SYS_listen, fd, backlog);
}

int call_connect(int fd, const struct sockaddr *address, socklen_t len)
{
    return REFUSES(CALL_CONNECT) ? -1 : (int)syscall(SYS_connect, fd, address, len);
}

int call_accept4(int fd, struct sockaddr *address, socklen_t *len, int flags)
{
    return REFUSES(CALL_ACCEPT) ? -1 : (int)syscall(SYS_accept4, fd, address, len, flags);
}

SEEN ssize_t send(int fd, const void *data, size_t len, int flags)
{
    return REFUSES(CALL_SEND) ? -1 : syscall(SYS_sendto, fd, data, len, flags, NULL, 0);
}

SEEN ssize_t recv(int fd, void *data, size_t len, int flags)
{
    return REFUSES(CALL_RECV) ? -1 : syscall(SYS_recvfrom, fd, data, len, flags, NULL, NULL);
}

/* ---- The source of failures ---- */

static int find_uv(struct dl_phdr_info *info, size_t size, void *user)
{
    (void)size;
    (void)user;
    if (strstr(info->dlpi_name, "libuv") == NULL) {
        return 0;
    }
    for (int i = 0; i < info->dlpi_phnum; i++) {
        uintptr_t first = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
        uintptr_t last = first + info->dlpi_phdr[i].p_memsz;
        if (info->dlpi_phdr[i].p_type == PT_LOAD) {
            uv_first = uv_first == 0 || first < uv_first ? first : uv_first;
            uv_last = last > uv_last ? last : uv_last;
        }
    }
    return 1;
}

static void calls_arm(uint64_t n, bool stays)
{
    (void)stays;
    plan.armed = false;
    plan.fired = false;
    plan.left = n;
    plan.armed = true;
}

static void calls_off(void)
{
    plan.armed = false;
    plan.left = 0;
}

static bool calls_fired(void)
{
    return plan.fired;
}

/* What the machine does to us is told as that; nothing is a fault of ours or a damage. */
static bool calls_may(meshsync_status status)
{
    switch (status) {
    case MESHSYNC_E_IO:
    case MESHSYNC_E_DISK_FULL:
    case MESHSYNC_E_RESOURCE:
    case MESHSYNC_E_PERMISSION:
    case MESHSYNC_E_NO_MEMORY:
    case MESHSYNC_E_UNREACHABLE:
    case MESHSYNC_E_EXISTS: /* The address that a listener asked for. */
    case MESHSYNC_E_INVALID: /* The same, not to be had. */ return true;
    default: return false;
    }
}

static const char *calls_words(void)
{
    static char words[64];
    (void)snprintf(words, sizeof words, "%s: %s", calls[plan.kind].name, strerror(plan.error));
    return words;
}

static void calls_pause(bool now)
{
    paused = now;
}

static uint32_t descriptors(void)
{
    uint32_t count = 0;
    DIR *entries = opendir("/proc/self/fd");
    assert_non_null(entries);
    while (readdir(entries) != NULL) {
        count += 1;
    }
    (void)closedir(entries);
    return count;
}

static void test_every_system_call(void **state)
{
    static const struct api_source source = {.name = "system call",
                                             .arm = calls_arm,
                                             .off = calls_off,
                                             .fired = calls_fired,
                                             .may = calls_may,
                                             .words = calls_words,
                                             .pause = calls_pause,
                                             .once = true};
    static struct fail_memory memory;
    const char *text = getenv("MESHSYNC_STRIDE");
    struct api_world world;
    (void)state;
    (void)dl_iterate_phdr(find_uv, NULL);
    assert_true(uv_first != 0);
    api_world_open(&world, &memory);
    api_world_close(&world); /* What the libraries open once they keep. */
    uint32_t before = descriptors();
    api_world_open(&world, &memory);
    uint64_t count =
        api_world_try(&world, &source, text != NULL ? strtoull(text, NULL, 10) : STRIDE_DEFAULT);
    uint64_t added = world.added;
    uint64_t reopened = world.reopened;
    api_world_close(&world);
    assert_int_equal(descriptors(), before);
    assert_int_equal(memory.blocks, 0);
    print_message("%llu failures:", (unsigned long long)count);
    for (uint32_t i = 0; i < CALLS; i++) {
        print_message(" %s %llu", calls[i].name, (unsigned long long)plan.of[i]);
    }
    print_message("\n%llu acknowledged adds all there, opened again %llu times\n",
                  (unsigned long long)added, (unsigned long long)reopened);
    assert_true(count > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_system_call)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
