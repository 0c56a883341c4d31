/* SPDX-License-Identifier: Apache-2.0 */
#include "shell/backup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shell/file.h"

enum {
    BACKUP_VERSION = 1,
    BACKUP_HEADER_BYTES = 4096,
    BACKUP_BLOCK_BYTES = 1 << 20,
    BACKUP_MAGIC_BYTES = 16,
    BACKUP_STORE_ID_BYTES = 16,
    /* Where fields begin in the header; the rest is zero. */
    BACKUP_AT_VERSION = 16,
    BACKUP_AT_STORE_VERSION = 20,
    BACKUP_AT_LENGTH = 24,
    BACKUP_AT_STORE_ID = 32,
    BACKUP_AT_NODE_ID = 48,
    BACKUP_AT_SEED = 80
};

static const uint8_t backup_magic[BACKUP_MAGIC_BYTES] = "meshsync backup";
static const char backup_what[] = "the backup";

/* ---- Writing ---- */

static meshsync_status backup_store_id(meshsync_node *node, uint8_t *out, meshsync_error *error)
{
    struct msy_store_txn *txn = NULL;
    meshsync_bytes value;
    meshsync_status status = msy_node_begin_read(node, &txn, error);
    if (status != MESHSYNC_OK) {
        return status;
    }
    status = msy_store_get(txn, MSY_TABLE_META, msy_key_name(MSY_META_STORE_ID), &value);
    if (status == MESHSYNC_OK && value.len == BACKUP_STORE_ID_BYTES) {
        memcpy(out, value.data, value.len);
    } else {
        status = msy_fail(error, MESHSYNC_E_STORE_CORRUPT, "the store's id cannot be read");
    }
    msy_node_end_read(txn);
    return status;
}

static meshsync_status backup_header(meshsync_node *node, uint64_t length, uint8_t *header,
                                     meshsync_error *error)
{
    memset(header, 0, BACKUP_HEADER_BYTES);
    memcpy(header, backup_magic, sizeof backup_magic);
    msy_put_be32(header + BACKUP_AT_VERSION, BACKUP_VERSION);
    msy_put_be32(header + BACKUP_AT_STORE_VERSION, MSY_SCHEMA_VERSION);
    msy_put_be64(header + BACKUP_AT_LENGTH, length);
    memcpy(header + BACKUP_AT_NODE_ID, node->id, sizeof node->id);
    msy_identity_seed(node->identity, header + BACKUP_AT_SEED);
    return backup_store_id(node, header + BACKUP_AT_STORE_ID, error);
}

static meshsync_status backup_fill(meshsync_node *node, const struct msy_file *file,
                                   uint8_t *header, meshsync_error *error)
{
    uint64_t end = 0;
    if (lseek(file->fd, BACKUP_HEADER_BYTES, SEEK_SET) < 0) {
        return msy_file_fail(file, errno, "moving in the file", error);
    }
    meshsync_status status = msy_store_copy(node->store, file->fd);
    if (status != MESHSYNC_OK) {
        return msy_fail(error, status, "backup: copying the store: %s", meshsync_strerror(status));
    }
    status = msy_file_size(file, &end, error);
    if (status == MESHSYNC_OK && end <= BACKUP_HEADER_BYTES) {
        status = msy_fail(error, MESHSYNC_E_IO, "backup: the copy has no size");
    }
    if (status == MESHSYNC_OK) {
        status = backup_header(node, end - BACKUP_HEADER_BYTES, header, error);
    }
    if (status == MESHSYNC_OK) {
        status = msy_file_write(file, header, BACKUP_HEADER_BYTES, 0, error);
    }
    return status == MESHSYNC_OK ? msy_file_seal(file, end, error) : status;
}

meshsync_status msy_backup_write(meshsync_node *node, const char *path, meshsync_error *error)
{
    struct msy_file file = {-1, backup_what, &node->alloc};
    uint8_t *header = (uint8_t *)msy_new(&node->alloc, BACKUP_HEADER_BYTES);
    if (header == NULL) {
        return msy_fail(error, MESHSYNC_E_NO_MEMORY, "backup: no memory");
    }
    meshsync_status status = msy_file_create(&file, path, error);
    if (status == MESHSYNC_OK) {
        status = backup_fill(node, &file, header, error);
        status = msy_file_finish(&file, path, status, error);
    }
    msy_wipe(header, BACKUP_HEADER_BYTES);
    msy_free(&node->alloc, header, BACKUP_HEADER_BYTES);
    return status;
}

/* ---- Restoring ---- */

struct restore {
    struct msy_alloc *alloc;
    const char *folder;
    struct msy_file file; /* The backup. */
    int folder_fd;        /* -1: not yet there. */
    bool made_folder;
    uint64_t length; /* Of the store's copy. */
    uint8_t *header;
    meshsync_error *error;
};

static meshsync_status restore_check(struct restore *restore)
{
    uint64_t size = 0;
    meshsync_error *error = restore->error;
    meshsync_status status = msy_file_size(&restore->file, &size, error);
    if (status == MESHSYNC_OK) {
        status = msy_file_read(&restore->file, restore->header, BACKUP_HEADER_BYTES, 0, error);
    }
    if (status != MESHSYNC_OK) {
        return status;
    }
    if (memcmp(restore->header, backup_magic, sizeof backup_magic) != 0) {
        return msy_fail(error, MESHSYNC_E_STORE_CORRUPT, "the file is no backup");
    }
    uint32_t version = msy_get_be32(restore->header + BACKUP_AT_VERSION);
    uint32_t store_version = msy_get_be32(restore->header + BACKUP_AT_STORE_VERSION);
    if (version != BACKUP_VERSION || store_version > MSY_SCHEMA_VERSION) {
        return msy_fail(error, MESHSYNC_E_STORE_VERSION,
                        "the backup has version %u of store format %u, this library knows %d of %d",
                        (unsigned)version, (unsigned)store_version, (int)BACKUP_VERSION,
                        (int)MSY_SCHEMA_VERSION);
    }
    restore->length = msy_get_be64(restore->header + BACKUP_AT_LENGTH);
    if (size < BACKUP_HEADER_BYTES + MSY_HASH_BYTES ||
        restore->length != size - BACKUP_HEADER_BYTES - MSY_HASH_BYTES) {
        return msy_fail(error, MESHSYNC_E_STORE_CORRUPT, "the backup has not its length");
    }
    return msy_file_check(&restore->file, size - MSY_HASH_BYTES, error);
}

static meshsync_status restore_folder(struct restore *restore)
{
    bool empty = true;
    restore->made_folder = mkdir(restore->folder, 0700) == 0;
    if (!restore->made_folder && errno != EEXIST) {
        return msy_file_fail(&restore->file, errno, "making the folder", restore->error);
    }
    restore->folder_fd = open(restore->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (restore->folder_fd < 0) {
        return msy_file_fail(&restore->file, errno, "opening the folder", restore->error);
    }
    DIR *entries = opendir(restore->folder);
    if (entries == NULL) {
        return msy_file_fail(&restore->file, errno, "reading the folder", restore->error);
    }
    const struct dirent *entry = readdir(entries);
    while (entry != NULL && empty) {
        empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
        entry = readdir(entries);
    }
    (void)closedir(entries);
    return empty ? MESHSYNC_OK
                 : msy_fail(restore->error, MESHSYNC_E_EXISTS, "the folder is not empty");
}

static meshsync_status restore_copy(struct restore *restore)
{
    uint8_t *block = (uint8_t *)msy_new(restore->alloc, BACKUP_BLOCK_BYTES);
    meshsync_status status = MESHSYNC_OK;
    if (block == NULL) {
        return msy_fail(restore->error, MESHSYNC_E_NO_MEMORY, "restore: no memory");
    }
    const struct msy_file data = {
        openat(restore->folder_fd, "data.mdb", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600),
        "data.mdb", restore->alloc};
    if (data.fd < 0) {
        status = msy_file_fail(&restore->file, errno, "making data.mdb", restore->error);
    }
    for (uint64_t at = 0; at < restore->length && status == MESHSYNC_OK;) {
        uint64_t left = restore->length - at;
        size_t n = left < BACKUP_BLOCK_BYTES ? (size_t)left : (size_t)BACKUP_BLOCK_BYTES;
        status = msy_file_read(&restore->file, block, n, BACKUP_HEADER_BYTES + at, restore->error);
        if (status == MESHSYNC_OK) {
            status = msy_file_write(&data, block, n, at, restore->error);
        }
        at += n;
    }
    if (status == MESHSYNC_OK && fsync(data.fd) != 0) {
        status = msy_file_fail(&restore->file, errno, "syncing data.mdb", restore->error);
    }
    if (data.fd >= 0 && close(data.fd) != 0 && status == MESHSYNC_OK) {
        status = msy_file_fail(&restore->file, errno, "closing data.mdb", restore->error);
    }
    msy_free(restore->alloc, block, BACKUP_BLOCK_BYTES);
    return status;
}

/* Cursors and contexts that name the store the backup was made of must not fit this one. */
static meshsync_status restore_rename(struct restore *restore)
{
    struct msy_store *store = NULL;
    struct msy_store_txn *txn = NULL;
    uint8_t id[BACKUP_STORE_ID_BYTES];
    struct msy_entropy entropy = msy_crypto_entropy();
    const struct msy_store_options options = {
        .alloc = restore->alloc,
        .path = restore->folder,
        .map_bytes = restore->length + ((uint64_t)64 << 20),
        .readers_max = 8,
    };
    meshsync_status status = msy_store_open_lmdb(&options, &store, restore->error);
    if (status != MESHSYNC_OK) {
        return status;
    }
    entropy.fill(entropy.user, id, sizeof id);
    status = msy_store_begin(store, MSY_TXN_WRITE, &txn);
    if (status == MESHSYNC_OK) {
        msy_store_use_reserve(txn);
        status = msy_store_put(txn, MSY_TABLE_META, msy_key_name(MSY_META_STORE_ID),
                               msy_bytes(id, sizeof id), MSY_PUT_ANY);
        if (status == MESHSYNC_OK) {
            status = msy_store_commit(txn);
        } else {
            msy_store_abort(txn);
        }
    }
    msy_store_close(store);
    return status == MESHSYNC_OK ? MESHSYNC_OK
                                 : msy_fail(restore->error, status, "restore: a new store id: %s",
                                            meshsync_strerror(status));
}

static void restore_undo(const struct restore *restore)
{
    static const char *const names[] = {"data.mdb", "lock.mdb", "writer.lock", "identity.key"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)unlinkat(restore->folder_fd, names[i], 0); /* Not all are there. */
    }
    if (restore->made_folder) {
        (void)rmdir(restore->folder);
    }
}

static meshsync_status restore_fill(struct restore *restore)
{
    meshsync_status status = restore_copy(restore);
    if (status == MESHSYNC_OK) {
        status = restore_rename(restore);
    }
    if (status == MESHSYNC_OK) {
        /* Last: without the key nobody takes an unfinished folder for a node. */
        status =
            msy_identity_store(restore->folder, restore->header + BACKUP_AT_SEED, restore->error);
    }
    if (status == MESHSYNC_OK) {
        status = msy_file_sync_folder(&restore->file, restore->folder, restore->error);
    }
    if (status != MESHSYNC_OK) {
        restore_undo(restore);
    }
    return status;
}

meshsync_status msy_backup_restore(const char *file, const char *folder, meshsync_error *error)
{
    struct msy_alloc alloc;
    struct restore restore = {.alloc = &alloc,
                              .folder = folder,
                              .file = {-1, backup_what, &alloc},
                              .folder_fd = -1,
                              .error = error};
    msy_alloc_init(&alloc, NULL, NULL, 0);
    if (msy_crypto_init() != MESHSYNC_OK) {
        return msy_fail(error, MESHSYNC_E_RESOURCE, "restore: no source of random numbers");
    }
    restore.header = (uint8_t *)msy_new(&alloc, BACKUP_HEADER_BYTES);
    if (restore.header == NULL) {
        return msy_fail(error, MESHSYNC_E_NO_MEMORY, "restore: no memory");
    }
    meshsync_status status = msy_file_open(&restore.file, file, error);
    if (status != MESHSYNC_OK) {
        goto out;
    }
    status = restore_check(&restore);
    if (status == MESHSYNC_OK) {
        status = restore_folder(&restore);
        if (status == MESHSYNC_OK) {
            status = restore_fill(&restore);
        } else if (restore.made_folder) {
            (void)rmdir(folder);
        }
    }
    (void)close(restore.file.fd); /* Only read. */
    if (restore.folder_fd >= 0) {
        (void)close(restore.folder_fd);
    }

out:
    msy_wipe(restore.header, BACKUP_HEADER_BYTES);
    msy_free(&alloc, restore.header, BACKUP_HEADER_BYTES);
    return status;
}

/* ---- Setting a damaged store aside ---- */

enum { ASIDE_COUNT_MAX = 1000, ASIDE_NAME_BYTES = 40 };

static meshsync_status aside_fail(const char *folder, const char *what, meshsync_error *error)
{
    int errno_value = errno;
    return msy_fail_errno(error, errno_value == ENOENT ? MESHSYNC_E_NOT_FOUND : MESHSYNC_E_IO,
                          errno_value, "%.120s: %s", folder, what);
}

/* Under the writer's lock: what is open is not moved. */
static meshsync_status aside_move(const char *folder, int folder_fd, int lock_fd,
                                  meshsync_error *error)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    struct stat found;
    char name[ASIDE_NAME_BYTES];
    unsigned number = 0;
    int taken = 0;
    if (lock_fd < 0) {
        return aside_fail(folder, "writer.lock cannot be opened", error);
    }
    if (fcntl(lock_fd, F_OFD_SETLK, &lock) != 0) {
        return errno == EAGAIN || errno == EACCES
                   ? msy_fail(error, MESHSYNC_E_STORE_LOCKED, "%.120s: it is open for writing",
                              folder)
                   : aside_fail(folder, "writer.lock cannot be locked", error);
    }
    while (taken == 0 && number < ASIDE_COUNT_MAX) {
        number += 1;
        (void)snprintf(name, sizeof name, "data.mdb.damaged-%u", number);
        taken = fstatat(folder_fd, name, &found, AT_SYMLINK_NOFOLLOW);
    }
    if (taken == 0) {
        return msy_fail(error, MESHSYNC_E_LIMIT, "%.120s: too many stores were set aside", folder);
    }
    if (renameat(folder_fd, "data.mdb", folder_fd, name) != 0) {
        return aside_fail(folder, "data.mdb cannot be moved", error);
    }
    return fsync(folder_fd) == 0 || errno == EINVAL
               ? MESHSYNC_OK
               : aside_fail(folder, "the folder cannot be synced", error);
}

meshsync_status msy_backup_set_aside(const char *folder, meshsync_error *error)
{
    struct stat found;
    int folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder_fd < 0) {
        return aside_fail(folder, "the folder cannot be opened", error);
    }
    meshsync_status status = MESHSYNC_OK;
    int lock_fd = -1;
    if (fstatat(folder_fd, "data.mdb", &found, AT_SYMLINK_NOFOLLOW) != 0) {
        status = aside_fail(folder, "there is no data.mdb", error);
    } else {
        lock_fd = openat(folder_fd, "writer.lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        status = aside_move(folder, folder_fd, lock_fd, error);
    }
    if (lock_fd >= 0) {
        (void)close(lock_fd); /* Nothing was written to it. */
    }
    (void)close(folder_fd); /* Nothing was written through it. */
    return status;
}
