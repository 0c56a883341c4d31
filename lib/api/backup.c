/* SPDX-License-Identifier: Apache-2.0 */
/* Backup and restore: one file with the identity and a copy of the store (docs/backup.md). */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <meshsync/node.h>

#include "api/enter.h"

/* Layout: "MSYBACK1", seed 32, be64 length of the copy, zeros up to 4096; the copy; 32 bytes of hash
 * over all that comes before, in pieces (each piece: H(32; "backup", hash so far, piece)). */
enum {
    BACKUP_HEAD_BYTES = 4096,
    BACKUP_PIECE_BYTES = 2048,
    BACKUP_HASH_BYTES = 32,
    BACKUP_PATH_MAX = 1200
};

static const char backup_magic[8] = {'M', 'S', 'Y', 'B', 'A', 'C', 'K', '1'};

static void backup_fold(uint8_t hash[BACKUP_HASH_BYTES], const uint8_t *piece, size_t len)
{
    uint8_t next[BACKUP_HASH_BYTES];
    const meshsync_bytes parts[] = {
        msy_key_name("backup"), msy_bytes(hash, BACKUP_HASH_BYTES), msy_bytes(piece, len)};
    msy_hash(next, sizeof next, parts, 3);
    memcpy(hash, next, sizeof next);
}

static bool backup_read_full(int fd, uint8_t *out, size_t len)
{
    size_t at = 0;
    while (at < len) {
        ssize_t got = read(fd, out + at, len - at);
        if (got == 0 || (got < 0 && errno != EINTR)) {
            return false;
        }
        at += got > 0 ? (size_t)got : 0;
    }
    return true;
}

static bool backup_write_full(int fd, const uint8_t *bytes, size_t len)
{
    size_t at = 0;
    while (at < len) {
        ssize_t wrote = write(fd, bytes + at, len - at);
        if (wrote < 0 && errno != EINTR) {
            return false;
        }
        at += wrote > 0 ? (size_t)wrote : 0;
    }
    return true;
}

/* Hash of the first len bytes of the file. */
static bool backup_hash_file(int fd, uint64_t len, uint8_t hash[BACKUP_HASH_BYTES])
{
    uint8_t piece[BACKUP_PIECE_BYTES];
    memset(hash, 0, BACKUP_HASH_BYTES);
    if (lseek(fd, 0, SEEK_SET) != 0) {
        return false;
    }
    while (len > 0) {
        size_t take = len < sizeof piece ? (size_t)len : sizeof piece;
        if (!backup_read_full(fd, piece, take)) {
            return false;
        }
        backup_fold(hash, piece, take);
        len -= take;
    }
    msy_wipe(piece, sizeof piece);
    return true;
}

static bool backup_head(meshsync_node *node, int fd, uint64_t len)
{
    uint8_t head[BACKUP_HEAD_BYTES / 4] = {0};
    memcpy(head, backup_magic, sizeof backup_magic);
    msy_identity_seed(node->identity, head + 8);
    msy_put_be64(head + 40, len);
    bool good = lseek(fd, 0, SEEK_SET) == 0 && backup_write_full(fd, head, sizeof head);
    msy_wipe(head, sizeof head);
    return good;
}

static meshsync_status backup_write(meshsync_node *node, int fd, meshsync_error *error)
{
    uint8_t hash[BACKUP_HASH_BYTES];
    if (ftruncate(fd, BACKUP_HEAD_BYTES) != 0 || lseek(fd, BACKUP_HEAD_BYTES, SEEK_SET) < 0) {
        return msy_fail_errno(error, MESHSYNC_E_IO, errno, "the backup cannot be written");
    }
    meshsync_status status = msy_store_copy(node->store, fd);
    if (status != MESHSYNC_OK) {
        return msy_fail(error, status, "the store cannot be copied");
    }
    off_t end = lseek(fd, 0, SEEK_END);
    if (end < BACKUP_HEAD_BYTES ||
        !backup_head(node, fd, (uint64_t)end - BACKUP_HEAD_BYTES) ||
        !backup_hash_file(fd, (uint64_t)end, hash) || lseek(fd, end, SEEK_SET) != end ||
        !backup_write_full(fd, hash, sizeof hash) || fsync(fd) != 0) {
        return msy_fail_errno(error, errno == ENOSPC ? MESHSYNC_E_DISK_FULL : MESHSYNC_E_IO,
                              errno, "the backup cannot be written");
    }
    return MESHSYNC_OK;
}

meshsync_status meshsync_node_backup(meshsync_node *node, const char *file, meshsync_error *error)
{
    meshsync_status status = msy_enter_node(node, error);
    if (status == MESHSYNC_OK && file == NULL) {
        status = msy_fail(error, MESHSYNC_E_INVALID, "the file is NULL");
    }
    if (status == MESHSYNC_OK && node->identity == NULL) {
        status = msy_fail(error, MESHSYNC_E_READ_ONLY,
                          "a node that is opened for reading has no identity to back up");
    }
    if (status != MESHSYNC_OK) {
        return status;
    }
    int fd = open(file, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        return msy_fail_errno(error, errno == EEXIST ? MESHSYNC_E_EXISTS : MESHSYNC_E_IO, errno,
                              "%s cannot be made", file);
    }
    status = backup_write(node, fd, error);
    if (close(fd) != 0 && status == MESHSYNC_OK) {
        status = msy_fail_errno(error, MESHSYNC_E_IO, errno, "%s cannot be closed", file);
    }
    if (status != MESHSYNC_OK) {
        (void)unlink(file);
    }
    return status;
}

/* ---- Restore ---- */

static meshsync_status restore_folder(const char *folder, meshsync_error *error)
{
    if (mkdir(folder, 0700) == 0) {
        return MESHSYNC_OK;
    }
    DIR *dir = errno == EEXIST ? opendir(folder) : NULL;
    if (dir == NULL) {
        return msy_fail_errno(error, MESHSYNC_E_IO, errno, "%s cannot be made", folder);
    }
    bool empty = true;
    for (struct dirent *item = readdir(dir); item != NULL; item = readdir(dir)) {
        empty = empty && (strcmp(item->d_name, ".") == 0 || strcmp(item->d_name, "..") == 0);
    }
    (void)closedir(dir);
    return empty ? MESHSYNC_OK
                 : msy_fail(error, MESHSYNC_E_EXISTS, "%s is not empty", folder);
}

static meshsync_status restore_check(int fd, uint8_t seed[32], uint64_t *len,
                                     meshsync_error *error)
{
    uint8_t head[48];
    uint8_t hash[BACKUP_HASH_BYTES];
    uint8_t stored[BACKUP_HASH_BYTES];
    off_t end = lseek(fd, 0, SEEK_END);
    if (end < BACKUP_HEAD_BYTES + BACKUP_HASH_BYTES || lseek(fd, 0, SEEK_SET) != 0 ||
        !backup_read_full(fd, head, sizeof head) || memcmp(head, backup_magic, 7) != 0) {
        return msy_fail(error, MESHSYNC_E_STORE_CORRUPT, "the file is no backup");
    }
    if (head[7] != (uint8_t)backup_magic[7]) {
        return msy_fail(error, MESHSYNC_E_STORE_VERSION, "the backup was made by a later version");
    }
    memcpy(seed, head + 8, 32);
    *len = msy_get_be64(head + 40);
    msy_wipe(head, sizeof head);
    if (*len != (uint64_t)end - BACKUP_HEAD_BYTES - BACKUP_HASH_BYTES ||
        !backup_hash_file(fd, (uint64_t)end - BACKUP_HASH_BYTES, hash) ||
        !backup_read_full(fd, stored, sizeof stored) ||
        memcmp(hash, stored, sizeof hash) != 0) {
        return msy_fail(error, MESHSYNC_E_STORE_CORRUPT, "the backup is damaged or cut short");
    }
    return MESHSYNC_OK;
}

static meshsync_status restore_data(int fd, uint64_t len, const char *folder,
                                    meshsync_error *error)
{
    char path[BACKUP_PATH_MAX];
    uint8_t piece[BACKUP_PIECE_BYTES];
    int made = snprintf(path, sizeof path, "%s/data.mdb", folder);
    if (made < 0 || (size_t)made >= sizeof path) {
        return msy_fail(error, MESHSYNC_E_INVALID, "the folder's name is too long");
    }
    int out = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    bool good = out >= 0 && lseek(fd, BACKUP_HEAD_BYTES, SEEK_SET) == BACKUP_HEAD_BYTES;
    while (good && len > 0) {
        size_t take = len < sizeof piece ? (size_t)len : sizeof piece;
        good = backup_read_full(fd, piece, take) && backup_write_full(out, piece, take);
        len -= take;
    }
    good = good && fsync(out) == 0;
    int failure = errno;
    if (out >= 0) {
        (void)close(out);
    }
    return good ? MESHSYNC_OK
                : msy_fail_errno(error, failure == ENOSPC ? MESHSYNC_E_DISK_FULL : MESHSYNC_E_IO,
                                 failure, "%s cannot be written", path);
}

/* A store of its own from here on: cursors and contexts of the old one do not fit it. */
static meshsync_status restore_rename(const char *folder, meshsync_error *error)
{
    struct msy_alloc alloc;
    struct msy_store *store = NULL;
    struct msy_store_txn *txn = NULL;
    uint8_t id[16];
    struct msy_entropy entropy = msy_crypto_entropy();
    msy_alloc_init(&alloc, NULL, NULL, 0);
    struct msy_store_options options = {.alloc = &alloc,
                                        .path = folder,
                                        .map_bytes = UINT64_C(64) << 30,
                                        .bytes_max = UINT64_C(64) << 30,
                                        .readers_max = 16};
    meshsync_status status = msy_store_open_lmdb(&options, &store, error);
    if (status != MESHSYNC_OK) {
        return status;
    }
    entropy.fill(entropy.user, id, sizeof id);
    status = msy_store_begin(store, MSY_TXN_WRITE, &txn);
    if (status == MESHSYNC_OK) {
        status = msy_store_put(txn, MSY_TABLE_META, msy_key_name(MSY_META_STORE_ID),
                               msy_bytes(id, sizeof id), MSY_PUT_ANY);
        if (status == MESHSYNC_OK) {
            status = msy_store_commit(txn);
        } else {
            msy_store_abort(txn);
        }
    }
    msy_store_close(store);
    return status == MESHSYNC_OK ? status
                                 : msy_fail(error, status, "the restored store is not usable");
}

meshsync_status meshsync_restore(const char *file, const char *folder, meshsync_error *error)
{
    uint8_t seed[32];
    uint64_t len = 0;
    if (file == NULL || folder == NULL) {
        return msy_fail(error, MESHSYNC_E_INVALID, "the file or the folder is NULL");
    }
    meshsync_status status = msy_crypto_init();
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || status != MESHSYNC_OK) {
        return msy_fail_errno(error, errno == ENOENT ? MESHSYNC_E_NOT_FOUND : MESHSYNC_E_IO,
                              errno, "%s cannot be opened", file);
    }
    status = restore_check(fd, seed, &len, error);
    if (status == MESHSYNC_OK) {
        status = restore_folder(folder, error);
    }
    if (status == MESHSYNC_OK) {
        status = msy_identity_store(folder, seed, error);
    }
    if (status == MESHSYNC_OK) {
        status = restore_data(fd, len, folder, error);
    }
    if (status == MESHSYNC_OK) {
        status = restore_rename(folder, error);
    }
    msy_wipe(seed, sizeof seed);
    (void)close(fd);
    return status;
}
