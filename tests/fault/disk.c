/* SPDX-License-Identifier: Apache-2.0 */
#include "fault/disk_names.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DISK_EVENTS_MAX = 1 << 18, DISK_FILES_MAX = 256, DISK_NAMES_MAX = 256 };

struct disk_file {
    char first_name[DISK_PATH_BYTES_MAX]; /* Relative to the root. */
    dev_t device;
    ino_t inode;
    bool folder;
};

struct disk {
    char root[DISK_PATH_BYTES_MAX];
    enum disk_lie lie;
    struct disk_event *events; /* Owned: DISK_EVENTS_MAX. */
    int32_t events_count;
    struct disk_file files[DISK_FILES_MAX];
    int32_t files_count;
    char names[DISK_NAMES_MAX][DISK_PATH_BYTES_MAX]; /* Relative to the root. */
    int32_t names_count;
};

static pthread_mutex_t disk_lock = PTHREAD_MUTEX_INITIALIZER;
static struct disk *disk_now; /* Guarded by disk_lock, with all in it. */

uint64_t disk_draw(struct disk_random *random, uint64_t below)
{
    uint64_t z = (random->state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    return below == 0 ? 0 : z % below;
}

static void disk_out(const char *why)
{
    (void)fprintf(stderr, "the recorder: %s\n", why);
    abort();
}

static struct disk_event *disk_add(struct disk *disk, enum disk_kind kind)
{
    if (disk->events_count == DISK_EVENTS_MAX) {
        disk_out("too many events");
    }
    struct disk_event *event = &disk->events[disk->events_count++];
    *event = (struct disk_event){.durable_at = DISK_NEVER, .file = -1, .name = -1, .kind = kind};
    return event;
}

static int32_t disk_file_of(const struct disk *disk, const struct stat *about)
{
    for (int32_t i = disk->files_count - 1; i >= 0; i--) {
        if (disk->files[i].device == about->st_dev && disk->files[i].inode == about->st_ino) {
            return i;
        }
    }
    return -1;
}

static int32_t disk_file_of_fd(const struct disk *disk, int fd)
{
    struct stat about;
    int saved = errno;
    int32_t file = fstat(fd, &about) == 0 ? disk_file_of(disk, &about) : -1;
    errno = saved;
    return file;
}

static int32_t disk_new_file(struct disk *disk, const struct stat *about, const char *name)
{
    if (disk->files_count == DISK_FILES_MAX) {
        disk_out("too many files");
    }
    struct disk_file *file = &disk->files[disk->files_count];
    (void)snprintf(file->first_name, sizeof file->first_name, "%s", name);
    file->device = about->st_dev;
    file->inode = about->st_ino;
    file->folder = S_ISDIR(about->st_mode);
    return disk->files_count++;
}

static int32_t disk_name(struct disk *disk, const char *name)
{
    for (int32_t i = 0; i < disk->names_count; i++) {
        if (strcmp(disk->names[i], name) == 0) {
            return i;
        }
    }
    if (disk->names_count == DISK_NAMES_MAX) {
        disk_out("too many names");
    }
    (void)snprintf(disk->names[disk->names_count], DISK_PATH_BYTES_MAX, "%s", name);
    return disk->names_count++;
}

static void disk_set_name(struct disk *disk, const char *name, int32_t file)
{
    struct disk_event *event = disk_add(disk, DISK_NAME);
    event->name = disk_name(disk, name);
    event->file = file;
}

/* The path below the root, or "" when it is not below it. The folders above must exist. */
static void disk_relative(const struct disk *disk, int dir_fd, const char *path, char *out)
{
    char link[40];
    char whole[2 * DISK_PATH_BYTES_MAX] = "";
    out[0] = '\0';
    if (path[0] == '/') {
        (void)snprintf(whole, sizeof whole, "%s", path);
    } else if (dir_fd != AT_FDCWD) {
        (void)snprintf(link, sizeof link, "/proc/self/fd/%d", dir_fd);
        ssize_t n = readlink(link, whole, DISK_PATH_BYTES_MAX);
        size_t at = n > 0 ? (size_t)n : 0;
        (void)snprintf(whole + at, sizeof whole - at, "/%s", path);
    }
    size_t len = strlen(disk->root);
    if (strncmp(whole, disk->root, len) == 0 && whole[len] == '/') {
        (void)snprintf(out, DISK_PATH_BYTES_MAX, "%.*s", DISK_PATH_BYTES_MAX - 1, whole + len + 1);
    }
    /* LMDB's table of readers and its locks are made anew by the first who opens. */
    if (strstr(out, "lock.mdb") != NULL) {
        out[0] = '\0';
    }
}

/* What is in a folder when recording begins was synced long ago. */
static void disk_load(struct disk *disk, const char *folder, const char *prefix)
{
    DIR *entries = opendir(folder);
    if (entries == NULL) {
        disk_out("the folder cannot be read");
    }
    for (struct dirent *entry = readdir(entries); entry != NULL; entry = readdir(entries)) {
        char path[DISK_PATH_BYTES_MAX + 260];
        char name[DISK_PATH_BYTES_MAX];
        struct stat about;
        if (entry->d_name[0] == '.' || strcmp(entry->d_name, "lock.mdb") == 0) {
            continue;
        }
        (void)snprintf(path, sizeof path, "%.*s/%s", DISK_PATH_BYTES_MAX - 1, folder,
                       entry->d_name);
        (void)snprintf(name, sizeof name, "%.300s%.255s", prefix, entry->d_name);
        if (lstat(path, &about) != 0) {
            disk_out("a file cannot be looked at");
        }
        int32_t file = disk_new_file(disk, &about, name);
        disk_set_name(disk, name, file);
        disk->events[disk->events_count - 1].durable_at = 0;
        if (S_ISDIR(about.st_mode)) {
            char below[DISK_PATH_BYTES_MAX];
            (void)snprintf(below, sizeof below, "%.500s/", name);
            disk_load(disk, path, below);
            continue;
        }
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        struct disk_event *event = disk_add(disk, DISK_WRITE);
        event->file = file;
        event->durable_at = 0;
        event->len = (uint32_t)about.st_size;
        event->data = malloc((size_t)about.st_size + 1);
        if (fd < 0 || event->data == NULL ||
            pread(fd, event->data, event->len, 0) != (ssize_t)event->len) {
            disk_out("a file cannot be read");
        }
        (void)close(fd);
    }
    (void)closedir(entries);
}

static void disk_add_root(struct disk *disk, const char *root)
{
    struct stat about;
    (void)snprintf(disk->root, sizeof disk->root, "%s", root);
    if (stat(root, &about) != 0) {
        disk_out("no folder to record");
    }
    (void)disk_new_file(disk, &about, "");
}

struct disk *disk_record(const char *root, enum disk_lie lie)
{
    struct disk *disk = calloc(1, sizeof *disk);
    struct disk_event *events = calloc(DISK_EVENTS_MAX, sizeof *events);
    if (disk == NULL || events == NULL) {
        free(disk);
        free(events);
        return NULL;
    }
    disk->events = events;
    disk->lie = lie;
    disk_add_root(disk, root);
    disk_load(disk, root, "");
    (void)pthread_mutex_lock(&disk_lock);
    disk_now = disk;
    (void)pthread_mutex_unlock(&disk_lock);
    return disk;
}

/* Which file a name is after the first place events, as everybody sees it; -1: none. */
static int32_t disk_seen_at(const struct disk *disk, int32_t name, int32_t place)
{
    for (int32_t i = place - 1; i >= 0; i--) {
        if (disk->events[i].kind == DISK_NAME && disk->events[i].name == name) {
            return disk->events[i].file;
        }
    }
    return -1;
}

bool disk_go_on(struct disk *disk, const char *root, int32_t place)
{
    for (int32_t i = place; i < disk->events_count; i++) {
        free(disk->events[i].data);
    }
    disk->events_count = place;
    for (int32_t i = 0; i < place; i++) {
        if (disk->events[i].durable_at > place) {
            disk->events[i].durable_at = DISK_NEVER;
        }
    }
    /* The files are others now: what had an inode gets that of its copy. */
    for (int32_t i = 0; i < disk->files_count; i++) {
        disk->files[i].inode = 0;
        disk->files[i].device = 0;
    }
    disk_add_root(disk, root);
    for (int32_t name = 0; name < disk->names_count; name++) {
        char path[2 * DISK_PATH_BYTES_MAX];
        struct stat about;
        int32_t file = disk_seen_at(disk, name, place);
        (void)snprintf(path, sizeof path, "%s/%s", root, disk->names[name]);
        if (file >= 0 && lstat(path, &about) == 0) {
            disk->files[file].device = about.st_dev;
            disk->files[file].inode = about.st_ino;
        }
    }
    (void)pthread_mutex_lock(&disk_lock);
    disk_now = disk;
    (void)pthread_mutex_unlock(&disk_lock);
    return true;
}

void disk_stop(void)
{
    (void)pthread_mutex_lock(&disk_lock);
    disk_now = NULL;
    (void)pthread_mutex_unlock(&disk_lock);
}

void disk_free(struct disk *disk)
{
    if (disk != NULL) {
        for (int32_t i = 0; i < disk->events_count; i++) {
            free(disk->events[i].data);
        }
        free(disk->events);
        free(disk);
    }
}

int32_t disk_events_count(const struct disk *disk)
{
    return disk->events_count;
}

const struct disk_event *disk_event_at(const struct disk *disk, int32_t at)
{
    return &disk->events[at];
}

const char *disk_first_name(const struct disk *disk, int32_t file)
{
    return disk->files[file].first_name;
}

/* ---- Recording ---- */

static struct disk *disk_enter(void)
{
    (void)pthread_mutex_lock(&disk_lock);
    return disk_now;
}

static void disk_leave(void)
{
    (void)pthread_mutex_unlock(&disk_lock);
}

void disk_mark(uint64_t number)
{
    struct disk *disk = disk_enter();
    if (disk != NULL) {
        disk_add(disk, DISK_MARK)->offset = number;
    }
    disk_leave();
}

int32_t disk_before_write(int fd, const void *data, size_t len, uint64_t offset, bool dsync)
{
    (void)dsync;
    int32_t at = -1;
    struct disk *disk = disk_enter();
    int32_t file = disk == NULL ? -1 : disk_file_of_fd(disk, fd);
    if (file >= 0) {
        struct disk_event *event = disk_add(disk, DISK_WRITE);
        event->file = file;
        event->offset = offset;
        event->len = (uint32_t)len;
        event->data = malloc(len + 1);
        if (event->data == NULL) {
            disk_out("no memory");
        }
        memcpy(event->data, data, len);
        at = disk->events_count - 1;
    }
    disk_leave();
    return at;
}

int32_t disk_before_length(int fd, uint64_t len)
{
    int32_t at = -1;
    struct disk *disk = disk_enter();
    int32_t file = disk == NULL ? -1 : disk_file_of_fd(disk, fd);
    if (file >= 0) {
        struct disk_event *event = disk_add(disk, DISK_LENGTH);
        event->file = file;
        event->offset = len;
        at = disk->events_count - 1;
    }
    disk_leave();
    return at;
}

void disk_after_dsync(int32_t at)
{
    struct disk *disk = disk_enter();
    if (disk != NULL && at >= 0 && disk->lie != DISK_NO_FILE_SYNC) {
        (void)disk_add(disk, DISK_SYNCED);
        disk->events[at].durable_at = disk->events_count;
    }
    disk_leave();
}

int32_t disk_before_sync(void)
{
    struct disk *disk = disk_enter();
    int32_t count = disk == NULL ? 0 : disk->events_count;
    disk_leave();
    return count;
}

static bool disk_in_folder(const char *name, const char *folder)
{
    size_t len = strlen(folder);
    const char *rest = len == 0 ? name : name + len + 1;
    return (len == 0 || (strncmp(name, folder, len) == 0 && name[len] == '/')) &&
           strchr(rest, '/') == NULL;
}

void disk_after_sync(int fd, int32_t begun)
{
    struct disk *disk = disk_enter();
    int32_t file = disk == NULL ? -1 : disk_file_of_fd(disk, fd);
    if (file < 0) {
        disk_leave();
        return;
    }
    const struct disk_file *synced = &disk->files[file];
    if (disk->lie != (synced->folder ? DISK_NO_FOLDER_SYNC : DISK_NO_FILE_SYNC)) {
        (void)disk_add(disk, DISK_SYNCED);
        for (int32_t i = 0; i < begun; i++) {
            struct disk_event *event = &disk->events[i];
            bool covered =
                event->kind == DISK_NAME
                    ? synced->folder && disk_in_folder(disk->names[event->name], synced->first_name)
                    : event->file == file;
            if (covered && event->durable_at == DISK_NEVER) {
                event->durable_at = disk->events_count;
            }
        }
    }
    disk_leave();
}

bool disk_wants_path(int dir_fd, const char *path)
{
    char name[DISK_PATH_BYTES_MAX] = "";
    struct disk *disk = disk_enter();
    if (disk != NULL) {
        disk_relative(disk, dir_fd, path, name);
    }
    disk_leave();
    return name[0] != '\0';
}

void disk_made(int fd, int dir_fd, const char *path)
{
    char name[DISK_PATH_BYTES_MAX];
    struct stat about;
    struct disk *disk = disk_enter();
    if (disk != NULL && fstat(fd, &about) == 0) {
        disk_relative(disk, dir_fd, path, name);
        disk_set_name(disk, name, disk_new_file(disk, &about, name));
    }
    disk_leave();
}

void disk_made_folder(int dir_fd, const char *path)
{
    char name[DISK_PATH_BYTES_MAX] = "";
    struct stat about;
    struct disk *disk = disk_enter();
    if (disk != NULL) {
        disk_relative(disk, dir_fd, path, name);
    }
    if (name[0] != '\0' && fstatat(dir_fd, path, &about, 0) == 0) {
        disk_set_name(disk, name, disk_new_file(disk, &about, name));
    }
    disk_leave();
}

/* The file that a name is now; -1 when it is none that is recorded. */
static int32_t disk_named(struct disk *disk, const char *name)
{
    return name[0] == '\0' ? -1 : disk_seen_at(disk, disk_name(disk, name), disk->events_count);
}

void disk_linked(int from_fd, const char *from, int to_fd, const char *to)
{
    char old_name[DISK_PATH_BYTES_MAX] = "";
    char new_name[DISK_PATH_BYTES_MAX] = "";
    struct disk *disk = disk_enter();
    if (disk != NULL) {
        disk_relative(disk, from_fd, from, old_name);
        disk_relative(disk, to_fd, to, new_name);
    }
    if (old_name[0] != '\0' && new_name[0] != '\0') {
        disk_set_name(disk, new_name, disk_named(disk, old_name));
    }
    disk_leave();
}

void disk_renamed(int from_fd, const char *from, int to_fd, const char *to)
{
    char old_name[DISK_PATH_BYTES_MAX] = "";
    char new_name[DISK_PATH_BYTES_MAX] = "";
    struct disk *disk = disk_enter();
    if (disk != NULL) {
        disk_relative(disk, from_fd, from, old_name);
        disk_relative(disk, to_fd, to, new_name);
    }
    if (old_name[0] != '\0' && new_name[0] != '\0') {
        disk_set_name(disk, new_name, disk_named(disk, old_name));
        disk_set_name(disk, old_name, -1);
    }
    disk_leave();
}

void disk_unlinked(int dir_fd, const char *path)
{
    char name[DISK_PATH_BYTES_MAX] = "";
    struct disk *disk = disk_enter();
    if (disk != NULL) {
        disk_relative(disk, dir_fd, path, name);
    }
    if (name[0] != '\0') {
        disk_set_name(disk, name, -1);
    }
    disk_leave();
}

int32_t disk_names_count(const struct disk *disk)
{
    return disk->names_count;
}

const char *disk_name_at(const struct disk *disk, int32_t name)
{
    return disk->names[name];
}

bool disk_file_is_folder(const struct disk *disk, int32_t file)
{
    return disk->files[file].folder;
}
