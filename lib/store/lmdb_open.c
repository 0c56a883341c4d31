/* SPDX-License-Identifier: Apache-2.0 */
#include "store/lmdb_store.h"
#include "store/upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "store/lmdb_check.h"

#define OPEN_DATA_NAME "data.mdb"
#define OPEN_NEW_NAME "new.mdb"
#define OPEN_LOCK_NAME "writer.lock"

/* Below this, what the tables and the free list need leaves hardly a page for data. */
enum { OPEN_MAP_BYTES_MIN = 1 << 18 };
/* Up to so many pages are checked at every opening: that costs a few milliseconds at most. */
enum { OPEN_CHECKED_PAGES = 1024 };

/* Names of the tables on disk: part of the format. */
static const char *const open_table_names[MSY_TABLE_COUNT] = {
    [MSY_TABLE_META] = "meta",     [MSY_TABLE_SPACES] = "spaces",     [MSY_TABLE_NAMES] = "names",
    [MSY_TABLE_LOG] = "log",       [MSY_TABLE_BY_ACTOR] = "by_actor", [MSY_TABLE_STATE] = "state",
    [MSY_TABLE_CLOCK] = "clock",   [MSY_TABLE_HEADS] = "heads",       [MSY_TABLE_KILLS] = "kills",
    [MSY_TABLE_DIGEST] = "digest", [MSY_TABLE_PEERS] = "peers",
};

/*
 * What this process has open, by folder: two environments over one file would drop each other's
 * locks, and LMDB does not notice. Guarded by registry_lock.
 */
static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static struct msy_lmdb_store *registry_first;

static bool registry_add(struct msy_lmdb_store *store)
{
    (void)pthread_mutex_lock(&registry_lock);
    struct msy_lmdb_store *other = registry_first;
    while (other != NULL && (other->device != store->device || other->inode != store->inode)) {
        other = other->next;
    }
    if (other == NULL) {
        store->next = registry_first;
        registry_first = store;
        store->registered = true;
    }
    (void)pthread_mutex_unlock(&registry_lock);
    return other == NULL;
}

void msy_lmdb_unlock(struct msy_lmdb_store *store)
{
    if (store->lock_fd >= 0) {
        (void)close(store->lock_fd); /* Nothing was written to it. */
        store->lock_fd = -1;
    }
    if (!store->registered) {
        return;
    }
    (void)pthread_mutex_lock(&registry_lock);
    struct msy_lmdb_store **at = &registry_first;
    while (*at != NULL && *at != store) {
        at = &(*at)->next;
    }
    if (*at == store) {
        *at = store->next;
    }
    store->registered = false;
    (void)pthread_mutex_unlock(&registry_lock);
}

/* What every step of opening needs. */
struct opening {
    const struct msy_store_options *options;
    struct msy_lmdb_store *store;
    int dir_fd;
    meshsync_error *error;
};

static meshsync_status open_fail_errno(const struct opening *opening, int errno_value,
                                       const char *what)
{
    meshsync_status status = errno_value == ENOENT    ? MESHSYNC_E_NOT_FOUND
                             : errno_value == ENOTDIR ? MESHSYNC_E_INVALID
                             /* What LMDB says of a file system that does not do what it asks. */
                             : errno_value == EINVAL ? MESHSYNC_E_IO
                                                     : msy_lmdb_status(errno_value);
    return msy_fail_errno(opening->error, status, errno_value, "store %s: %s",
                          opening->options->path, what);
}

static meshsync_status open_fail_lmdb(const struct opening *opening, int result, const char *what)
{
    if (result > 0) {
        return open_fail_errno(opening, result, what);
    }
    const char *words = result == MSY_LMDB_ASSERTED ? "damaged page" : mdb_strerror(result);
    return msy_fail(opening->error, msy_lmdb_status(result), "store %s: %s: %s",
                    opening->options->path, what, words);
}

static meshsync_status open_check_options(const struct msy_store_options *options,
                                          meshsync_error *error)
{
    if (options->path == NULL || options->path[0] == '\0') {
        return msy_fail(error, MESHSYNC_E_INVALID, "store: the path is empty");
    }
    if (options->map_bytes < OPEN_MAP_BYTES_MIN || options->map_bytes > SIZE_MAX / 2) {
        return msy_fail(error, MESHSYNC_E_INVALID, "store: map_bytes %llu is not %d to %zu",
                        (unsigned long long)options->map_bytes, OPEN_MAP_BYTES_MIN, SIZE_MAX / 2);
    }
    if (options->bytes_max > options->map_bytes) {
        return msy_fail(error, MESHSYNC_E_INVALID, "store: bytes_max %llu is over map_bytes %llu",
                        (unsigned long long)options->bytes_max,
                        (unsigned long long)options->map_bytes);
    }
    return MESHSYNC_OK;
}

/* A name is only safe from a power cut when the folder that holds it was synced. */
static meshsync_status open_sync_dir(const struct opening *opening, const char *name)
{
    int fd = openat(opening->dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return open_fail_errno(opening, errno, "open the folder to sync it");
    }
    int synced = fsync(fd);
    int sync_errno = errno;
    (void)close(fd); /* Nothing was written through it. */
    if (synced != 0 && sync_errno != EINVAL) {
        return open_fail_errno(opening, sync_errno, "sync the folder");
    }
    return MESHSYNC_OK;
}

static meshsync_status open_folder(struct opening *opening)
{
    const struct msy_store_options *options = opening->options;
    if (!options->read_only && mkdir(options->path, 0700) != 0 && errno != EEXIST) {
        return open_fail_errno(opening, errno, "make the folder");
    }
    opening->dir_fd = open(options->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (opening->dir_fd < 0) {
        return open_fail_errno(opening, errno, "open the folder");
    }
    struct stat folder;
    if (fstat(opening->dir_fd, &folder) != 0) {
        return open_fail_errno(opening, errno, "look at the folder");
    }
    opening->store->device = folder.st_dev;
    opening->store->inode = folder.st_ino;
    return registry_add(opening->store)
               ? MESHSYNC_OK
               : msy_fail(opening->error, MESHSYNC_E_STORE_LOCKED,
                          "store %s: this process has it open already", options->path);
}

/* Every opening syncs the names it relies on: whoever made them may have been killed before it
 * did, and what is acknowledged from now on must not be lost with a name. The folder above may be
 * one that this process cannot read; its names are then for others to keep. */
static meshsync_status open_sync_names(const struct opening *opening)
{
    meshsync_error error;
    struct opening above = *opening;
    above.error = &error;
    meshsync_status status = open_sync_dir(opening, ".");
    if (status != MESHSYNC_OK) {
        return status;
    }
    status = open_sync_dir(&above, "..");
    if (status == MESHSYNC_E_PERMISSION) {
        return MESHSYNC_OK;
    }
    if (status != MESHSYNC_OK && opening->error != NULL) {
        *opening->error = error;
    }
    return status;
}

/* So with the data: the newest root may be one whose writer was killed before it was synced. The
 * next commit writes on pages of the root that this one replaced, which is then what is left after
 * a power cut. */
static meshsync_status open_sync_data(const struct opening *opening)
{
    int fd = openat(opening->dir_fd, OPEN_DATA_NAME, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return open_fail_errno(opening, errno, "open " OPEN_DATA_NAME " to sync it");
    }
    int synced = fdatasync(fd);
    int sync_errno = errno;
    (void)close(fd); /* Nothing was written through it. */
    return synced == 0 ? MESHSYNC_OK : open_fail_errno(opening, sync_errno, "sync " OPEN_DATA_NAME);
}

/* The lock of an open file description: unlike a lock of the process it is not lost when any other
 * descriptor of the file is closed. It ends with the process, however that ends. */
static meshsync_status open_lock(struct opening *opening)
{
    struct msy_lmdb_store *store = opening->store;
    store->lock_fd =
        openat(opening->dir_fd, OPEN_LOCK_NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (store->lock_fd < 0) {
        return open_fail_errno(opening, errno, "open " OPEN_LOCK_NAME);
    }
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(store->lock_fd, F_OFD_SETLK, &lock) == 0) {
        return MESHSYNC_OK;
    }
    if (errno == EAGAIN || errno == EACCES) {
        return msy_fail(opening->error, MESHSYNC_E_STORE_LOCKED,
                        "store %s: another process has it open for writing",
                        opening->options->path);
    }
    return open_fail_errno(opening, errno, "lock " OPEN_LOCK_NAME);
}

/* An environment over path; NULL on failure, with the reason in result. */
static MDB_env *open_env(const struct msy_store_options *options, const char *path, unsigned flags,
                         int *result)
{
    MDB_env *env = NULL;
    *result = mdb_env_create(&env);
    if (*result != MDB_SUCCESS) {
        return NULL;
    }
    msy_lmdb_guard_install(env);
    *result = mdb_env_set_mapsize(env, (size_t)options->map_bytes);
    if (*result == MDB_SUCCESS) {
        *result = mdb_env_set_maxdbs(env, MSY_TABLE_COUNT);
    }
    if (*result == MDB_SUCCESS && options->readers_max > 0) {
        *result = mdb_env_set_maxreaders(env, options->readers_max);
    }
    if (*result == MDB_SUCCESS) {
        *result = mdb_env_open(env, path, flags | MDB_NOTLS | MDB_NORDAHEAD, 0600);
    }
    if (*result != MDB_SUCCESS) {
        mdb_env_close(env);
        return NULL;
    }
    /* LMDB leaves its data file open across exec. */
    int fd = -1;
    *result = mdb_env_get_fd(env, &fd);
    if (*result == MDB_SUCCESS && fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
        *result = errno;
    }
    if (*result != MDB_SUCCESS) {
        mdb_env_close(env);
        return NULL;
    }
    return env;
}

/* All tables in one transaction, which it ends. */
static int open_tables(MDB_env *env, unsigned txn_flags, MDB_dbi *tables)
{
    MDB_txn *txn = NULL;
    int result = mdb_txn_begin(env, NULL, txn_flags, &txn);
    if (result != MDB_SUCCESS) {
        return result;
    }
    unsigned flags = (txn_flags & MDB_RDONLY) != 0 ? 0 : MDB_CREATE;
    for (unsigned i = 0; i < MSY_TABLE_COUNT && result == MDB_SUCCESS; i++) {
        result = msy_lmdb_table_open(txn, open_table_names[i], flags, &tables[i]);
    }
    if (result == MDB_SUCCESS) {
        return msy_lmdb_commit(txn); /* Ends it whatever it returns. */
    }
    if (result != MSY_LMDB_ASSERTED || (txn_flags & MDB_RDONLY) != 0) {
        mdb_txn_abort(txn);
    }
    return result;
}

/* LMDB syncs neither its first pages nor the folder. So a new store is made whole under another
 * name, and gets its own only when it is on disk: after a crash it is there or it is not. */
static meshsync_status open_create(const struct opening *opening)
{
    struct msy_alloc *alloc = opening->options->alloc;
    size_t path_size = strlen(opening->options->path) + sizeof "/" OPEN_NEW_NAME;
    char *path = msy_new(alloc, path_size);
    if (path == NULL) {
        return msy_fail(opening->error, MESHSYNC_E_NO_MEMORY, "store: no memory for a path");
    }
    (void)snprintf(path, path_size, "%s/" OPEN_NEW_NAME, opening->options->path);
    meshsync_status status = MESHSYNC_OK;
    if (unlinkat(opening->dir_fd, OPEN_NEW_NAME, 0) != 0 && errno != ENOENT) {
        status = open_fail_errno(opening, errno, "remove an unfinished " OPEN_NEW_NAME);
        goto out;
    }
    int result = MDB_SUCCESS;
    MDB_env *env = open_env(opening->options, path, MDB_NOSUBDIR | MDB_NOLOCK, &result);
    if (env != NULL) {
        MDB_dbi tables[MSY_TABLE_COUNT];
        result = open_tables(env, 0, tables);
        mdb_env_close(env);
    }
    if (result != MDB_SUCCESS) {
        status = open_fail_lmdb(opening, result, "create");
        (void)unlinkat(opening->dir_fd, OPEN_NEW_NAME, 0); /* Else the next opening does. */
        goto out;
    }
    if (renameat(opening->dir_fd, OPEN_NEW_NAME, opening->dir_fd, OPEN_DATA_NAME) != 0) {
        status = open_fail_errno(opening, errno, "name the new " OPEN_DATA_NAME);
    }

out:
    msy_free(alloc, path, path_size);
    return status;
}

static meshsync_status open_find_data(struct opening *opening)
{
    struct stat data;
    if (fstatat(opening->dir_fd, OPEN_DATA_NAME, &data, 0) != 0) {
        if (errno == ENOENT && !opening->options->read_only) {
            return open_create(opening);
        }
        return open_fail_errno(opening, errno, "look for " OPEN_DATA_NAME);
    }
    /* LMDB would take an empty file for a new one. */
    if (!S_ISREG(data.st_mode) || data.st_size == 0) {
        return msy_fail(opening->error, MESHSYNC_E_STORE_CORRUPT,
                        "store %s: " OPEN_DATA_NAME " is empty or no file", opening->options->path);
    }
    return MESHSYNC_OK;
}

/* Does a writer live? It checked the data when it opened, and is changing them. */
static bool open_has_writer(const struct opening *opening)
{
    int fd = openat(opening->dir_fd, OPEN_LOCK_NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
    bool lives = fd >= 0 && fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type == F_WRLCK;
    if (fd >= 0) {
        (void)close(fd); /* Nothing was written through it. */
    }
    return lives;
}

static bool open_is_marked(const struct opening *opening, const struct msy_lmdb_file *file)
{
    int fd = openat(opening->dir_fd, OPEN_LOCK_NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    bool marked = fd >= 0 && msy_lmdb_mark_read(fd, file);
    if (fd >= 0) {
        (void)close(fd); /* Nothing was written through it. */
    }
    return marked;
}

/* Who only reads has nothing to fear from a file that a writer came to change meanwhile. */
static bool open_moved_on(const struct opening *opening, int fd, const struct msy_lmdb_file *file)
{
    struct msy_lmdb_file now;
    return opening->options->read_only &&
           (open_has_writer(opening) || msy_lmdb_check_roots(fd, &now, NULL) != MESHSYNC_OK ||
            now.txn_id != file->txn_id);
}

/*
 * Before LMDB maps the file: the roots always, and that no page beyond its end is in use. Every
 * page when nobody noted an orderly end of just this file, and when they are few.
 */
static meshsync_status open_check_data(struct opening *opening)
{
    struct msy_lmdb_file file;
    meshsync_error why = {0};
    bool read_only = opening->options->read_only;
    if (read_only && open_has_writer(opening)) {
        return MESHSYNC_OK;
    }
    int fd = openat(opening->dir_fd, OPEN_DATA_NAME, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return open_fail_errno(opening, errno, "open " OPEN_DATA_NAME);
    }
    meshsync_status status = msy_lmdb_check_roots(fd, &file, &why);
    bool marked = status == MESHSYNC_OK && open_is_marked(opening, &file);
    if (status == MESHSYNC_OK &&
        (!marked || !file.whole || file.pages_count <= OPEN_CHECKED_PAGES)) {
        status = msy_lmdb_check_pages(opening->options->alloc, fd, &why);
        if (status == MESHSYNC_E_STORE_CORRUPT && open_moved_on(opening, fd, &file)) {
            status = MESHSYNC_OK;
        }
    }
    (void)close(fd); /* Nothing was written through it. */
    if (status == MESHSYNC_E_STORE_CORRUPT) {
        return msy_fail(opening->error, status, "store %.120s is damaged, %s",
                        opening->options->path, why.message);
    }
    if (status != MESHSYNC_OK) {
        return msy_fail(opening->error, status, "store %.120s: %s", opening->options->path,
                        why.message);
    }
    opening->store->head.suspect = !marked;
    if (!read_only && msy_lmdb_mark_clear(opening->store->lock_fd) != MESHSYNC_OK) {
        return open_fail_errno(opening, errno, "write " OPEN_LOCK_NAME);
    }
    return MESHSYNC_OK;
}

/* Free pages at the end need not be in the file, but touching them through the map would kill the
 * process: it is grown to what its root says. Pages in use are there, which was checked. */
static int open_fill_file(struct msy_lmdb_store *store)
{
    MDB_envinfo info;
    int fd = -1;
    int result = mdb_env_info(store->env, &info);
    if (result == MDB_SUCCESS) {
        result = mdb_env_get_fd(store->env, &fd);
    }
    if (result != MDB_SUCCESS) {
        return result;
    }
    struct stat data;
    off_t need = (off_t)(((uint64_t)info.me_last_pgno + 1) * store->page_bytes);
    if (fstat(fd, &data) != 0 || (data.st_size < need && ftruncate(fd, need) != 0)) {
        return errno;
    }
    return MDB_SUCCESS;
}

static meshsync_status open_data(struct opening *opening)
{
    struct msy_lmdb_store *store = opening->store;
    bool read_only = opening->options->read_only;
    int result = MDB_SUCCESS;
    store->env =
        open_env(opening->options, opening->options->path, read_only ? MDB_RDONLY : 0, &result);
    if (store->env == NULL) {
        return open_fail_lmdb(opening, result, "open");
    }
    MDB_stat stat;
    result = mdb_env_stat(store->env, &stat);
    if (result != MDB_SUCCESS) {
        return open_fail_lmdb(opening, result, "look at the data");
    }
    store->page_bytes = stat.ms_psize;
    if (!read_only) {
        result = open_fill_file(store);
        if (result != MDB_SUCCESS) {
            return open_fail_lmdb(opening, result, "grow the file to its pages");
        }
    }
    int dead = 0;
    result = mdb_reader_check(store->env, &dead);
    if (result != MDB_SUCCESS) {
        return open_fail_lmdb(opening, result, "sweep readers");
    }
    result = open_tables(store->env, MDB_RDONLY, store->tables);
    if (result == MDB_NOTFOUND) {
        return msy_fail(opening->error, MESHSYNC_E_STORE_CORRUPT,
                        "store %s: tables are missing, it is no store of ours",
                        opening->options->path);
    }
    return result == MDB_SUCCESS ? MESHSYNC_OK : open_fail_lmdb(opening, result, "open tables");
}

meshsync_status msy_store_open_lmdb(const struct msy_store_options *options, struct msy_store **out,
                                    meshsync_error *error)
{
    *out = NULL;
    meshsync_status status = open_check_options(options, error);
    if (status != MESHSYNC_OK) {
        return status;
    }
    struct msy_lmdb_store *store = msy_new(options->alloc, sizeof *store);
    if (store == NULL) {
        return msy_fail(error, MESHSYNC_E_NO_MEMORY, "store: no memory to open it");
    }
    store->head.ops = &msy_lmdb_ops;
    store->head.read_only = options->read_only;
    store->alloc = options->alloc;
    store->bytes_max = options->bytes_max == 0 ? options->map_bytes : options->bytes_max;
    store->lock_fd = -1;
    if (pthread_mutex_init(&store->lock, NULL) != 0) {
        msy_free(options->alloc, store, sizeof *store);
        return msy_fail(error, MESHSYNC_E_RESOURCE, "store: no mutex");
    }
    struct opening opening = {options, store, -1, error};
    status = open_folder(&opening);
    if (status == MESHSYNC_OK && !options->read_only) {
        status = open_lock(&opening);
    }
    if (status == MESHSYNC_OK) {
        status = open_find_data(&opening);
    }
    if (status == MESHSYNC_OK && !options->read_only) {
        status = open_sync_names(&opening);
    }
    if (status == MESHSYNC_OK && !options->read_only) {
        status = open_sync_data(&opening);
    }
    if (status == MESHSYNC_OK) {
        status = open_check_data(&opening);
    }
    if (status == MESHSYNC_OK) {
        status = open_data(&opening);
    }
    if (opening.dir_fd >= 0) {
        (void)close(opening.dir_fd); /* Nothing was written through it. */
    }
    if (status == MESHSYNC_OK) {
        status = msy_store_upgrade(&store->head, options->alloc);
        if (status != MESHSYNC_OK) {
            status = msy_fail(error, status, "store %s: reading its format: %s", options->path,
                              meshsync_strerror(status));
        }
    }
    if (status != MESHSYNC_OK) {
        msy_lmdb_close(&store->head);
        return status;
    }
    store->opened = true;
    *out = &store->head;
    return MESHSYNC_OK;
}
