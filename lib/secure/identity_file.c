/* SPDX-License-Identifier: Apache-2.0 */
/* The identity on disk: folder/identity.key. Declared in secure/identity.h.
 * Layout: "MSYKEY", version 1, zero, seed 32, first 8 bytes of the hash of what comes before. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "secure/identity.h"

enum { KEY_HEAD_BYTES = 8, KEY_CHECK_BYTES = 8, KEY_FILE_BYTES = 8 + 32 + 8, KEY_PATH_MAX = 1500 };

static const uint8_t key_head[KEY_HEAD_BYTES] = {'M', 'S', 'Y', 'K', 'E', 'Y', 1, 0};

static void key_check(const uint8_t *bytes, uint8_t check[16])
{
    const meshsync_bytes part = {bytes, KEY_HEAD_BYTES + MSY_SIGN_SEED_BYTES};
    msy_hash(check, 16, &part, 1);
}

static bool key_path(char *out, const char *folder, const char *name)
{
    int len = snprintf(out, KEY_PATH_MAX, "%s/%s", folder, name);
    return len > 0 && len < KEY_PATH_MAX;
}

static bool key_write_all(int fd, const uint8_t *bytes, size_t len)
{
    size_t at = 0;
    while (at < len) {
        ssize_t wrote = write(fd, bytes + at, len - at);
        if (wrote < 0 && errno != EINTR) {
            return false;
        }
        at += wrote > 0 ? (size_t)wrote : 0;
    }
    return fsync(fd) == 0;
}

static bool key_sync_folder(const char *folder)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    bool good = fsync(fd) == 0;
    (void)close(fd);
    return good;
}

/* Under another name first, then linked: a name that exists always has the whole content. */
static meshsync_status key_publish(const char *folder, const uint8_t bytes[KEY_FILE_BYTES],
                                   meshsync_error *error)
{
    char path[KEY_PATH_MAX];
    char made[KEY_PATH_MAX];
    if (!key_path(path, folder, "identity.key") || !key_path(made, folder, "identity.key.new")) {
        return msy_fail(error, MESHSYNC_E_INVALID, "the folder's name is too long");
    }
    (void)unlink(made); /* Left by a run that ended in between. */
    int fd = open(made, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        return msy_fail_errno(error, MESHSYNC_E_IO, errno, "%s cannot be made", made);
    }
    bool written = key_write_all(fd, bytes, KEY_FILE_BYTES);
    int failure = errno;
    (void)close(fd);
    if (!written) {
        (void)unlink(made);
        return msy_fail_errno(error, failure == ENOSPC ? MESHSYNC_E_DISK_FULL : MESHSYNC_E_IO,
                              failure, "%s cannot be written", made);
    }
    if (link(made, path) != 0) {
        failure = errno;
        (void)unlink(made);
        return msy_fail_errno(error, failure == EEXIST ? MESHSYNC_E_EXISTS : MESHSYNC_E_IO,
                              failure, "%s cannot be made", path);
    }
    (void)unlink(made);
    return key_sync_folder(folder)
               ? MESHSYNC_OK
               : msy_fail_errno(error, MESHSYNC_E_IO, errno, "%s cannot be synced", folder);
}

meshsync_status msy_identity_store(const char *folder, const uint8_t seed[MSY_SIGN_SEED_BYTES],
                                   meshsync_error *error)
{
    uint8_t bytes[KEY_FILE_BYTES];
    uint8_t check[16];
    memcpy(bytes, key_head, KEY_HEAD_BYTES);
    memcpy(bytes + KEY_HEAD_BYTES, seed, MSY_SIGN_SEED_BYTES);
    key_check(bytes, check);
    memcpy(bytes + KEY_HEAD_BYTES + MSY_SIGN_SEED_BYTES, check, KEY_CHECK_BYTES);
    meshsync_status status = key_publish(folder, bytes, error);
    msy_wipe(bytes, sizeof bytes);
    return status;
}

static meshsync_status key_read(const char *path, uint8_t bytes[KEY_FILE_BYTES + 1], size_t *len,
                                meshsync_error *error)
{
    struct stat info;
    meshsync_status status = MESHSYNC_OK;
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    *len = 0;
    if (fd < 0) {
        return msy_fail_errno(error, errno == ENOENT ? MESHSYNC_E_NOT_FOUND : MESHSYNC_E_IO,
                              errno, "%s cannot be opened", path);
    }
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        status = msy_fail(error, MESHSYNC_E_STORE_CORRUPT, "%s is no file", path);
    } else if ((info.st_mode & 077) != 0) {
        status = msy_fail(error, MESHSYNC_E_PERMISSION,
                          "%s may be read by others: make its mode 0600", path);
    }
    while (status == MESHSYNC_OK && *len < KEY_FILE_BYTES + 1) {
        ssize_t got = read(fd, bytes + *len, KEY_FILE_BYTES + 1 - *len);
        if (got == 0) {
            break;
        }
        if (got < 0 && errno != EINTR) {
            status = msy_fail_errno(error, MESHSYNC_E_IO, errno, "%s cannot be read", path);
        }
        *len += got > 0 ? (size_t)got : 0;
    }
    (void)close(fd);
    return status;
}

static meshsync_status key_open(const char *path, struct msy_identity **identity,
                                meshsync_error *error)
{
    uint8_t bytes[KEY_FILE_BYTES + 1];
    uint8_t check[16];
    size_t len = 0;
    meshsync_status status = key_read(path, bytes, &len, error);
    if (status == MESHSYNC_OK) {
        key_check(bytes, check);
        if (len != KEY_FILE_BYTES || memcmp(bytes, key_head, KEY_HEAD_BYTES) != 0 ||
            memcmp(check, bytes + KEY_HEAD_BYTES + MSY_SIGN_SEED_BYTES, KEY_CHECK_BYTES) != 0) {
            status = msy_fail(error, MESHSYNC_E_STORE_CORRUPT,
                              "%s is damaged or of a later version", path);
        }
    }
    if (status == MESHSYNC_OK) {
        status = msy_identity_new(bytes + KEY_HEAD_BYTES, identity, error);
    }
    msy_wipe(bytes, sizeof bytes);
    return status;
}

meshsync_status msy_identity_load(const char *folder, bool create, struct msy_entropy entropy,
                                  struct msy_identity **identity, meshsync_error *error)
{
    char path[KEY_PATH_MAX];
    uint8_t seed[MSY_SIGN_SEED_BYTES];
    *identity = NULL;
    if (msy_crypto_init() != MESHSYNC_OK) {
        return msy_fail(error, MESHSYNC_E_RESOURCE, "the system gives no randomness");
    }
    if (!key_path(path, folder, "identity.key")) {
        return msy_fail(error, MESHSYNC_E_INVALID, "the folder's name is too long");
    }
    meshsync_status status = key_open(path, identity, error);
    if (status != MESHSYNC_E_NOT_FOUND || !create) {
        return status;
    }
    entropy.fill(entropy.user, seed, sizeof seed);
    status = msy_identity_store(folder, seed, error);
    msy_wipe(seed, sizeof seed);
    if (status == MESHSYNC_OK || status == MESHSYNC_E_EXISTS) {
        status = key_open(path, identity, error); /* Another process may have been first. */
    }
    return status;
}
