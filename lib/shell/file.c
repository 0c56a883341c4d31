/* SPDX-License-Identifier: Apache-2.0 */
#include "shell/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "secure/crypto.h"

enum { FILE_BLOCK_BYTES = 1 << 20, FILE_FOLDER_BYTES_MAX = 2048 };

meshsync_status msy_file_fail(const struct msy_file *file, int errno_value, const char *doing,
                              meshsync_error *error)
{
    meshsync_status status = errno_value == ENOSPC || errno_value == EDQUOT  ? MESHSYNC_E_DISK_FULL
                             : errno_value == EACCES || errno_value == EPERM ? MESHSYNC_E_PERMISSION
                             : errno_value == ENOENT                         ? MESHSYNC_E_NOT_FOUND
                             : errno_value == EEXIST                         ? MESHSYNC_E_EXISTS
                                                                             : MESHSYNC_E_IO;
    return msy_fail_errno(error, status, errno_value, "%s: %s", file->what, doing);
}

meshsync_status msy_file_write(const struct msy_file *file, const void *bytes, size_t len,
                               uint64_t at, meshsync_error *error)
{
    const uint8_t *from = (const uint8_t *)bytes;
    while (len > 0) {
        ssize_t wrote = pwrite(file->fd, from, len, (off_t)at);
        if (wrote < 0 && errno == EINTR) {
            continue;
        }
        if (wrote < 0) {
            return msy_file_fail(file, errno, "writing the file", error);
        }
        from += wrote;
        len -= (size_t)wrote;
        at += (uint64_t)wrote;
    }
    return MESHSYNC_OK;
}

meshsync_status msy_file_read(const struct msy_file *file, void *bytes, size_t len, uint64_t at,
                              meshsync_error *error)
{
    uint8_t *to = (uint8_t *)bytes;
    while (len > 0) {
        ssize_t got = pread(file->fd, to, len, (off_t)at);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return msy_file_fail(file, errno, "reading the file", error);
        }
        if (got == 0) {
            return msy_fail(error, MESHSYNC_E_STORE_CORRUPT, "%s: it is cut short", file->what);
        }
        to += got;
        len -= (size_t)got;
        at += (uint64_t)got;
    }
    return MESHSYNC_OK;
}

/* Hash chained over blocks: h = H(h, block), beginning with 32 zero bytes. */
static meshsync_status file_hash(const struct msy_file *file, uint64_t len,
                                 uint8_t hash[MSY_HASH_BYTES], meshsync_error *error)
{
    uint8_t *block = (uint8_t *)msy_new(file->alloc, FILE_BLOCK_BYTES);
    meshsync_status status = MESHSYNC_OK;
    memset(hash, 0, MSY_HASH_BYTES);
    if (block == NULL) {
        return msy_fail(error, MESHSYNC_E_NO_MEMORY, "%s: no memory", file->what);
    }
    for (uint64_t at = 0; at < len && status == MESHSYNC_OK;) {
        uint64_t left = len - at;
        size_t n = left < FILE_BLOCK_BYTES ? (size_t)left : (size_t)FILE_BLOCK_BYTES;
        status = msy_file_read(file, block, n, at, error);
        const meshsync_bytes parts[] = {{hash, MSY_HASH_BYTES}, {block, n}};
        if (status == MESHSYNC_OK) {
            msy_hash(hash, MSY_HASH_BYTES, parts, 2);
        }
        at += n;
    }
    msy_wipe(block, FILE_BLOCK_BYTES); /* A backup's first block holds the seed. */
    msy_free(file->alloc, block, FILE_BLOCK_BYTES);
    return status;
}

meshsync_status msy_file_seal(const struct msy_file *file, uint64_t len, meshsync_error *error)
{
    uint8_t hash[MSY_HASH_BYTES];
    meshsync_status status = file_hash(file, len, hash, error);
    if (status == MESHSYNC_OK) {
        status = msy_file_write(file, hash, sizeof hash, len, error);
    }
    if (status == MESHSYNC_OK && fsync(file->fd) != 0) {
        status = msy_file_fail(file, errno, "syncing the file", error);
    }
    return status;
}

meshsync_status msy_file_check(const struct msy_file *file, uint64_t len, meshsync_error *error)
{
    uint8_t hash[MSY_HASH_BYTES];
    uint8_t stored[MSY_HASH_BYTES];
    meshsync_status status = file_hash(file, len, hash, error);
    if (status == MESHSYNC_OK) {
        status = msy_file_read(file, stored, sizeof stored, len, error);
    }
    if (status == MESHSYNC_OK && memcmp(hash, stored, sizeof hash) != 0) {
        status = msy_fail(error, MESHSYNC_E_STORE_CORRUPT, "%s: it is damaged", file->what);
    }
    return status;
}

meshsync_status msy_file_size(const struct msy_file *file, uint64_t *size, meshsync_error *error)
{
    struct stat about;
    *size = 0;
    if (fstat(file->fd, &about) != 0) {
        return msy_file_fail(file, errno, "looking at the file", error);
    }
    *size = (uint64_t)about.st_size;
    return MESHSYNC_OK;
}

meshsync_status msy_file_create(struct msy_file *file, const char *path, meshsync_error *error)
{
    file->fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    return file->fd >= 0 ? MESHSYNC_OK : msy_file_fail(file, errno, "making the file", error);
}

meshsync_status msy_file_open(struct msy_file *file, const char *path, meshsync_error *error)
{
    file->fd = open(path, O_RDONLY | O_CLOEXEC);
    return file->fd >= 0 ? MESHSYNC_OK : msy_file_fail(file, errno, "opening the file", error);
}

meshsync_status msy_file_sync_folder(const struct msy_file *file, const char *folder,
                                     meshsync_error *error)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return msy_file_fail(file, errno, "opening a folder to sync it", error);
    }
    int result = fsync(fd);
    int errno_value = errno;
    (void)close(fd); /* Nothing was written through it. */
    return result == 0 || errno_value == EINVAL
               ? MESHSYNC_OK
               : msy_file_fail(file, errno_value, "syncing a folder", error);
}

/* The folder that holds a file is synced, so that its name survives a power cut. */
static meshsync_status file_sync_parent(const struct msy_file *file, const char *path,
                                        meshsync_error *error)
{
    char folder[FILE_FOLDER_BYTES_MAX];
    const char *slash = strrchr(path, '/');
    size_t len = slash == NULL ? 0 : (size_t)(slash - path);
    if (len >= sizeof folder) {
        return MESHSYNC_OK; /* A path that long is not worth an error: the data is synced. */
    }
    memcpy(folder, path, len);
    folder[len] = '\0';
    if (slash == NULL) {
        return msy_file_sync_folder(file, ".", error);
    }
    return msy_file_sync_folder(file, len == 0 ? "/" : folder, error);
}

meshsync_status msy_file_finish(struct msy_file *file, const char *path, meshsync_status status,
                                meshsync_error *error)
{
    if (close(file->fd) != 0 && status == MESHSYNC_OK) {
        status = msy_file_fail(file, errno, "closing the file", error);
    }
    file->fd = -1;
    if (status == MESHSYNC_OK) {
        status = file_sync_parent(file, path, error);
    }
    if (status != MESHSYNC_OK) {
        (void)unlink(path); /* Half a file is none. */
    }
    return status;
}
