/* SPDX-License-Identifier: Apache-2.0 */
/* The identity on disk: folder/identity.key. Declared in secure/identity.h.
 *
 *   0  6  "MSYKEY"
 *   6  1  version, 1
 *   7  1  zero
 *   8 32  the Ed25519 seed: the secret
 *  40  8  first 8 of the 16 bytes of H(16; what comes before): finds damage, proves nothing
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "secure/identity.h"

enum {
    KEY_VERSION_AT = 6,
    KEY_VERSION = 1,
    KEY_SEED_AT = 8,
    KEY_CHECK_AT = KEY_SEED_AT + MSY_SIGN_SEED_BYTES,
    KEY_CHECK_BYTES = 8,
    KEY_FILE_BYTES = KEY_CHECK_AT + KEY_CHECK_BYTES,
    KEY_TAG_BYTES = 8,
    KEY_PATH_MAX = 1500
};
_Static_assert(KEY_FILE_BYTES == 48, "the size of an identity file is fixed");

static const uint8_t key_head[KEY_SEED_AT] = {'M', 'S', 'Y', 'K', 'E', 'Y', KEY_VERSION, 0};

static void key_check(const uint8_t *bytes, uint8_t check[16])
{
    const meshsync_bytes part = {bytes, KEY_CHECK_AT};
    msy_hash(check, 16, &part, 1);
}

static bool key_path(char *out, const char *folder, const char *name)
{
    int len = snprintf(out, KEY_PATH_MAX, "%s/%s", folder, name);
    return len > 0 && len < KEY_PATH_MAX;
}

static meshsync_status key_status(int failure)
{
    if (failure == ENOSPC || failure == EDQUOT) {
        return MESHSYNC_E_DISK_FULL;
    }
    if (failure == EMFILE || failure == ENFILE) {
        return MESHSYNC_E_RESOURCE;
    }
    if (failure == ENOMEM) {
        return MESHSYNC_E_NO_MEMORY;
    }
    return failure == EACCES || failure == EPERM || failure == EROFS ? MESHSYNC_E_PERMISSION
                                                                     : MESHSYNC_E_IO;
}

static bool key_write_all(int fd, const uint8_t *bytes, size_t len)
{
    size_t at = 0;
    while (at < len) {
        ssize_t wrote = write(fd, bytes + at, len - at);
        if (wrote == 0) {
            errno = EIO;
            return false;
        }
        if (wrote < 0 && errno != EINTR) {
            return false;
        }
        at += wrote > 0 ? (size_t)wrote : 0;
    }
    return fsync(fd) == 0;
}

/* 0, or the errno: after a crash the name is there only when the folder was synced too. */
static int key_sync_folder(const char *folder)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return errno;
    }
    int failure = fsync(fd) == 0 ? 0 : errno;
    (void)close(fd);
    return failure;
}

/* Gives the file its name unless that exists. Some file systems know no second names. */
static int key_name(const char *made, const char *path)
{
    if (link(made, path) == 0) {
        (void)unlink(made); /* What stays behind then is a second name of a private file. */
        return 0;
    }
    if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS) {
        return errno;
    }
    return renameat2(AT_FDCWD, made, AT_FDCWD, path, RENAME_NOREPLACE) == 0 ? 0 : errno;
}

/* Under another name first, then named: a name that exists always has the whole content. The other
 * name is nobody else's, so that processes that do this at once do not touch each other's. */
static meshsync_status key_publish(const char *folder, const uint8_t bytes[KEY_FILE_BYTES],
                                   meshsync_error *error)
{
    static const char prefix[] = "identity.key.";
    char path[KEY_PATH_MAX];
    char made[KEY_PATH_MAX];
    char name[sizeof prefix + 2 * KEY_TAG_BYTES];
    uint8_t tag[KEY_TAG_BYTES];
    struct msy_entropy entropy = msy_crypto_entropy(); /* The name only: nothing depends on it. */
    entropy.fill(entropy.user, tag, sizeof tag);
    memcpy(name, prefix, sizeof prefix);
    msy_hex_encode(name + sizeof prefix - 1, tag, sizeof tag);
    if (!key_path(path, folder, "identity.key") || !key_path(made, folder, name)) {
        return msy_fail(error, MESHSYNC_E_INVALID, "the folder's name is too long");
    }
    int fd = open(made, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    int failure = fd < 0 ? errno : 0;
    if (fd >= 0) {
        failure = key_write_all(fd, bytes, KEY_FILE_BYTES) ? 0 : errno;
        (void)close(fd); /* Synced already: closing has nothing left to fail with. */
        failure = failure == 0 ? key_name(made, path) : failure;
        if (failure != 0) {
            (void)unlink(made);
        }
    }
    if (failure == EEXIST) {
        return msy_fail(error, MESHSYNC_E_EXISTS, "%s is there already", path);
    }
    if (failure == 0) {
        failure = key_sync_folder(folder);
    }
    return failure == 0
               ? MESHSYNC_OK
               : msy_fail_errno(error, key_status(failure), failure, "%s cannot be made", path);
}

meshsync_status msy_identity_store(const char *folder, const uint8_t seed[MSY_SIGN_SEED_BYTES],
                                   meshsync_error *error)
{
    uint8_t bytes[KEY_FILE_BYTES];
    uint8_t check[16];
    if (msy_crypto_init() != MESHSYNC_OK) {
        return msy_fail(error, MESHSYNC_E_RESOURCE, "the system gives no randomness");
    }
    memcpy(bytes, key_head, sizeof key_head);
    memcpy(bytes + KEY_SEED_AT, seed, MSY_SIGN_SEED_BYTES);
    key_check(bytes, check);
    memcpy(bytes + KEY_CHECK_AT, check, KEY_CHECK_BYTES);
    meshsync_status status = key_publish(folder, bytes, error);
    msy_wipe(bytes, sizeof bytes);
    msy_wipe(check, sizeof check);
    return status;
}

/* Reads at most one byte more than a file of this version has. */
static meshsync_status key_read(int fd, const char *path, uint8_t bytes[KEY_FILE_BYTES + 1],
                                size_t *len, meshsync_error *error)
{
    struct stat info;
    if (fstat(fd, &info) != 0) {
        return msy_fail_errno(error, key_status(errno), errno, "%s cannot be looked at", path);
    }
    if (!S_ISREG(info.st_mode)) {
        return msy_fail(error, MESHSYNC_E_STORE_CORRUPT, "%s is not a file", path);
    }
    if ((info.st_mode & 077) != 0) {
        return msy_fail(error, MESHSYNC_E_PERMISSION,
                        "%s has mode %04o, and others might read it: make it 0600", path,
                        (unsigned)(info.st_mode & 07777));
    }
    while (*len < KEY_FILE_BYTES + 1) {
        ssize_t got = read(fd, bytes + *len, KEY_FILE_BYTES + 1 - *len);
        if (got == 0) {
            break;
        }
        if (got < 0 && errno != EINTR) {
            return msy_fail_errno(error, key_status(errno), errno, "%s cannot be read", path);
        }
        *len += got > 0 ? (size_t)got : 0;
    }
    return MESHSYNC_OK;
}

static meshsync_status key_judge(const char *path, const uint8_t *bytes, size_t len,
                                 meshsync_error *error)
{
    uint8_t check[16];
    if (len < KEY_SEED_AT || memcmp(bytes, key_head, KEY_VERSION_AT) != 0) {
        return msy_fail(error, MESHSYNC_E_STORE_CORRUPT, "%s is no identity file", path);
    }
    if (bytes[KEY_VERSION_AT] != KEY_VERSION) {
        return msy_fail(error, MESHSYNC_E_STORE_VERSION, "%s has version %u, this knows %d", path,
                        (unsigned)bytes[KEY_VERSION_AT], (int)KEY_VERSION);
    }
    if (len != KEY_FILE_BYTES) {
        return msy_fail(error, MESHSYNC_E_STORE_CORRUPT, "%s is %s: it should have %d bytes", path,
                        len < KEY_FILE_BYTES ? "cut short" : "too long", (int)KEY_FILE_BYTES);
    }
    key_check(bytes, check);
    bool good = bytes[KEY_SEED_AT - 1] == 0 &&
                msy_secret_equal(check, bytes + KEY_CHECK_AT, KEY_CHECK_BYTES);
    msy_wipe(check, sizeof check);
    return good ? MESHSYNC_OK
                : msy_fail(error, MESHSYNC_E_STORE_CORRUPT, "%s is damaged: its checksum is wrong",
                           path);
}

static meshsync_status key_open(const char *path, struct msy_identity **identity,
                                meshsync_error *error)
{
    uint8_t bytes[KEY_FILE_BYTES + 1];
    size_t len = 0;
    /* Without blocking, for the case that somebody put a pipe there. */
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        return msy_fail_errno(error, MESHSYNC_E_NOT_FOUND, errno, "%s is not there", path);
    }
    if (fd < 0) {
        return msy_fail_errno(error, key_status(errno), errno, "%s cannot be opened", path);
    }
    meshsync_status status = key_read(fd, path, bytes, &len, error);
    (void)close(fd);
    if (status == MESHSYNC_OK) {
        status = key_judge(path, bytes, len, error);
    }
    if (status == MESHSYNC_OK) {
        status = msy_identity_new(bytes + KEY_SEED_AT, identity, error);
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
