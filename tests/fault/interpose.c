/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calls by which this process changes files, in front of those of the C library: liblmdb.so and
 * the library under test find these first, since the program itself defines them. Each is forwarded
 * as the system call that it is. Linked into the programs that record, and into no other.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <lmdb.h>

#include "fault/disk.h"

#define SEEN __attribute__((visibility("default")))

enum { INTERPOSE_PIECES_MAX = 1024, INTERPOSE_FDS_MAX = 4096 };

static unsigned lmdb_flags;
/* Descriptors that were asked to sync each write, and need not. */
static bool dsync_asked[INTERPOSE_FDS_MAX];
static bool syncs_fast;
static char kill_root[DISK_PATH_BYTES_MAX];
static uint64_t kill_at;
static uint64_t calls;

void interpose_lmdb_flags(unsigned flags)
{
    lmdb_flags = flags;
}

void interpose_fast_syncs(bool fast)
{
    syncs_fast = fast;
}

void interpose_kill_at(const char *root, uint64_t n)
{
    (void)snprintf(kill_root, sizeof kill_root, "%s", root);
    __atomic_store_n(&calls, 0, __ATOMIC_SEQ_CST);
    kill_at = n;
}

uint64_t interpose_calls(void)
{
    return __atomic_load_n(&calls, __ATOMIC_SEQ_CST);
}

static void step(bool counts)
{
    if (!counts || kill_root[0] == '\0') {
        return;
    }
    if (__atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST) == kill_at) {
        (void)syscall(SYS_kill, (pid_t)syscall(SYS_getpid), SIGKILL);
        for (;;) {
            (void)syscall(SYS_pause);
        }
    }
}

/* Of a file below the folder whose calls are counted? */
static bool counts_fd(int fd)
{
    char link[40];
    char path[DISK_PATH_BYTES_MAX];
    if (kill_root[0] == '\0') {
        return false;
    }
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    long n = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
    if (n <= 0) {
        return false;
    }
    path[n] = '\0';
    return strncmp(path, kill_root, strlen(kill_root)) == 0;
}

static bool is_dsync(int fd)
{
    int saved = errno;
    int flags = fcntl(fd, F_GETFL);
    errno = saved;
    return (flags >= 0 && (flags & O_DSYNC) != 0) ||
           (fd >= 0 && fd < INTERPOSE_FDS_MAX && dsync_asked[fd]);
}

SEEN ssize_t pwrite(int fd, const void *data, size_t len, off_t offset)
{
    bool counts = counts_fd(fd);
    bool dsync = is_dsync(fd);
    step(counts);
    int32_t at = disk_before_write(fd, data, len, (uint64_t)offset, dsync);
    ssize_t n = syscall(SYS_pwrite64, fd, data, len, offset);
    if (dsync && n >= 0) {
        disk_after_dsync(at);
    }
    step(counts);
    return n;
}

SEEN ssize_t pwrite64(int fd, const void *data, size_t len, off64_t offset)
{
    return pwrite(fd, data, len, offset);
}

static ssize_t write_here(int fd, const void *data, size_t len)
{
    off_t offset = (off_t)syscall(SYS_lseek, fd, 0, SEEK_CUR);
    if (offset < 0) {
        return syscall(SYS_write, fd, data, len); /* A pipe or a socket. */
    }
    if ((fcntl(fd, F_GETFL) & O_APPEND) != 0) {
        struct stat file;
        offset = fstat(fd, &file) == 0 ? file.st_size : offset;
    }
    bool counts = counts_fd(fd);
    bool dsync = is_dsync(fd);
    step(counts);
    int32_t at = disk_before_write(fd, data, len, (uint64_t)offset, dsync);
    ssize_t n = syscall(SYS_write, fd, data, len);
    if (dsync && n >= 0) {
        disk_after_dsync(at);
    }
    step(counts);
    return n;
}

SEEN ssize_t write(int fd, const void *data, size_t len)
{
    return write_here(fd, data, len);
}

/* One write per piece: tearing between them is tearing at other places than within them. */
SEEN ssize_t writev(int fd, const struct iovec *pieces, int count)
{
    ssize_t sum = 0;
    for (int i = 0; i < count && i < INTERPOSE_PIECES_MAX; i++) {
        ssize_t n = write_here(fd, pieces[i].iov_base, pieces[i].iov_len);
        if (n < 0) {
            return sum > 0 ? sum : n;
        }
        sum += n;
        if ((size_t)n < pieces[i].iov_len) {
            break;
        }
    }
    return sum;
}

SEEN ssize_t pwritev(int fd, const struct iovec *pieces, int count, off_t offset)
{
    ssize_t sum = 0;
    for (int i = 0; i < count && i < INTERPOSE_PIECES_MAX; i++) {
        ssize_t n = pwrite(fd, pieces[i].iov_base, pieces[i].iov_len, offset + sum);
        if (n < 0) {
            return sum > 0 ? sum : n;
        }
        sum += n;
        if ((size_t)n < pieces[i].iov_len) {
            break;
        }
    }
    return sum;
}

SEEN int ftruncate(int fd, off_t len)
{
    bool counts = counts_fd(fd);
    step(counts);
    (void)disk_before_length(fd, (uint64_t)len);
    int result = (int)syscall(SYS_ftruncate, fd, len);
    step(counts);
    return result;
}

SEEN int ftruncate64(int fd, off64_t len)
{
    return ftruncate(fd, len);
}

static int sync_by(int fd, long number)
{
    bool counts = counts_fd(fd);
    step(counts);
    int32_t begun = disk_before_sync();
    int result = syncs_fast ? 0 : (int)syscall(number, fd);
    if (result == 0) {
        disk_after_sync(fd, begun);
    }
    step(counts);
    return result;
}

SEEN int fsync(int fd)
{
    return sync_by(fd, SYS_fsync);
}

SEEN int fdatasync(int fd)
{
    return sync_by(fd, SYS_fdatasync);
}

static int open_at(int dir_fd, const char *path, int flags, mode_t mode)
{
    bool creates = (flags & O_CREAT) != 0;
    bool wanted = creates && disk_wants_path(dir_fd, path);
    struct stat before;
    bool there = wanted && fstatat(dir_fd, path, &before, AT_SYMLINK_NOFOLLOW) == 0;
    bool counts = creates && kill_root[0] != '\0' &&
                  (dir_fd != AT_FDCWD || strncmp(path, kill_root, strlen(kill_root)) == 0);
    step(counts);
    bool asked = syncs_fast && (flags & O_DSYNC) != 0;
    int fd = (int)syscall(SYS_openat, dir_fd, path, asked ? flags & ~O_SYNC : flags, mode);
    if (fd >= 0 && fd < INTERPOSE_FDS_MAX) {
        dsync_asked[fd] = asked;
    }
    if (fd >= 0 && wanted && !there) {
        disk_made(fd, dir_fd, path);
    }
    if (fd >= 0 && (flags & O_TRUNC) != 0) {
        (void)disk_before_length(fd, 0);
    }
    step(counts);
    return fd;
}

SEEN int open(const char *path, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? (mode_t)va_arg(more, int) : 0;
    va_end(more);
    return open_at(AT_FDCWD, path, flags, mode);
}

SEEN int open64(const char *path, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? (mode_t)va_arg(more, int) : 0;
    va_end(more);
    return open_at(AT_FDCWD, path, flags, mode);
}

SEEN int openat(int dir_fd, const char *path, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? (mode_t)va_arg(more, int) : 0;
    va_end(more);
    return open_at(dir_fd, path, flags, mode);
}

SEEN int mkdir(const char *path, mode_t mode)
{
    step(true);
    int result = (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
    if (result == 0) {
        disk_made_folder(AT_FDCWD, path);
    }
    step(true);
    return result;
}

SEEN int unlinkat(int dir_fd, const char *path, int flags)
{
    step(true);
    int result = (int)syscall(SYS_unlinkat, dir_fd, path, flags);
    if (result == 0) {
        disk_unlinked(dir_fd, path);
    }
    step(true);
    return result;
}

SEEN int unlink(const char *path)
{
    return unlinkat(AT_FDCWD, path, 0);
}

SEEN int link(const char *from, const char *to)
{
    step(true);
    int result = (int)syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0);
    if (result == 0) {
        disk_linked(AT_FDCWD, from, AT_FDCWD, to);
    }
    step(true);
    return result;
}

SEEN int renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
    step(true);
    int result = (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, flags);
    if (result == 0) {
        disk_renamed(from_fd, from, to_fd, to);
    }
    step(true);
    return result;
}

SEEN int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
    return renameat2(from_fd, from, to_fd, to, 0);
}

SEEN int rename(const char *from, const char *to)
{
    return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0);
}

typedef int (*env_open_fn)(MDB_env *env, const char *path, unsigned flags, mdb_mode_t mode);

SEEN int mdb_env_open(MDB_env *env, const char *path, unsigned flags, mdb_mode_t mode)
{
    union {
        void *any;
        env_open_fn call;
    } next = {.any = dlsym(RTLD_NEXT, "mdb_env_open")};
    return next.any == NULL ? ENOSYS : next.call(env, path, flags | lmdb_flags, mode);
}
