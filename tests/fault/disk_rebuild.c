/* SPDX-License-Identifier: Apache-2.0 */
/* What a disk may hold after a power cut: disk.h. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fault/disk.h"
#include "fault/disk_names.h"

/* How a state treats the writes that no sync covered. */
enum rebuild_way {
    WAY_NONE = 0,    /* All dropped. */
    WAY_ALL = 1,     /* All there: only the process was killed. */
    WAY_WHOLE = 2,   /* Each there or not. */
    WAY_SECTORS = 3, /* Each sector there or not. */
    WAY_MIXED = 4,   /* Each there, dropped, or torn. */
    WAY_COUNT = 5
};

/* One file as it comes to be. */
struct image {
    uint8_t *data;   /* Owned: room bytes. */
    int32_t *surest; /* Owned: per sector, the last event that is sure to be in it, plus 1. */
    uint64_t room;
    uint64_t len;
    const struct disk *disk;
    int32_t file;
    int32_t place;
    enum rebuild_way way;
    struct disk_random *random; /* NULL: everything that was seen is there. */
    struct disk_fates *fates;
};

static bool image_sure(const struct image *image, const struct disk_event *event)
{
    return image->random == NULL || event->durable_at <= image->place;
}

static bool image_mine(const struct image *image, int32_t at)
{
    const struct disk_event *event = disk_event_at(image->disk, at);
    return event->file == image->file && (event->kind == DISK_WRITE || event->kind == DISK_LENGTH);
}

/* The sectors of a write that are not to be kept out by a later one that is sure; drawn when the
 * write is torn. How many were taken, of how many. */
static uint64_t image_apply(struct image *image, int32_t at, bool torn, uint64_t *of)
{
    const struct disk_event *event = disk_event_at(image->disk, at);
    uint64_t taken = 0;
    uint64_t end = event->offset + event->len;
    for (uint64_t from = event->offset; from < end;) {
        uint64_t sector = from / DISK_SECTOR_BYTES;
        uint64_t to = (sector + 1) * DISK_SECTOR_BYTES;
        to = to < end ? to : end;
        bool take = !torn || disk_draw(image->random, 2) == 0;
        ++*of;
        if (take) {
            taken++;
            if (image->surest[sector] <= at) {
                memcpy(image->data + from, event->data + (from - event->offset), to - from);
            }
        }
        from = to;
    }
    return taken;
}

static void image_apply_sure(struct image *image)
{
    for (int32_t i = 0; i < image->place; i++) {
        const struct disk_event *event = disk_event_at(image->disk, i);
        if (!image_mine(image, i) || !image_sure(image, event)) {
            continue;
        }
        uint64_t end = event->offset + event->len;
        if (event->kind == DISK_LENGTH) {
            if (event->offset < image->len) {
                memset(image->data + event->offset, 0, image->len - event->offset);
            }
            image->len = event->offset;
            continue;
        }
        memcpy(image->data + event->offset, event->data, event->len);
        for (uint64_t s = event->offset / DISK_SECTOR_BYTES; s * DISK_SECTOR_BYTES < end; s++) {
            image->surest[s] = i + 1;
        }
        image->len = image->len > end ? image->len : end;
    }
}

/* What the file grew by without a sync may read as anything, until something lands there. */
static void image_fill_growth(struct image *image, uint64_t most)
{
    if (most > image->len && disk_draw(image->random, 2) == 0) {
        for (uint64_t i = image->len; i < most; i++) {
            image->data[i] = (uint8_t)disk_draw(image->random, 256);
        }
    }
}

static void image_apply_one(struct image *image, int32_t at)
{
    uint64_t of = 0;
    enum rebuild_way way = image->way;
    if (way == WAY_MIXED) {
        static const enum rebuild_way each[] = {WAY_NONE, WAY_ALL, WAY_SECTORS};
        way = each[disk_draw(image->random, 3)];
    } else if (way == WAY_WHOLE) {
        way = disk_draw(image->random, 2) == 0 ? WAY_NONE : WAY_ALL;
    }
    uint64_t taken = way == WAY_NONE ? 0 : image_apply(image, at, way == WAY_SECTORS, &of);
    image->fates->dropped += taken == 0;
    image->fates->landed += taken != 0 && taken == of;
    image->fates->torn += taken != 0 && taken != of;
}

/* The writes that are not sure, in an order of their own. */
static bool image_apply_unsure(struct image *image)
{
    int32_t *order = malloc(((size_t)image->place + 1) * sizeof *order);
    int32_t count = 0;
    uint64_t len = image->len;
    uint64_t lengths[64];
    size_t lengths_count = 0;
    if (order == NULL) {
        return false;
    }
    lengths[lengths_count++] = len;
    uint64_t most = len;
    for (int32_t i = 0; i < image->place; i++) {
        const struct disk_event *event = disk_event_at(image->disk, i);
        if (!image_mine(image, i) || image_sure(image, event)) {
            continue;
        }
        uint64_t end = event->offset + event->len;
        len = event->kind == DISK_LENGTH ? event->offset : (len > end ? len : end);
        most = most > len ? most : len;
        if (lengths_count < sizeof lengths / sizeof lengths[0]) {
            lengths[lengths_count++] = len;
        } else {
            lengths[1 + disk_draw(image->random, lengths_count - 1)] = len;
        }
        if (event->kind == DISK_WRITE) {
            order[count++] = i;
        }
    }
    image_fill_growth(image, most);
    for (int32_t left = count; left > 0; left--) {
        size_t pick = (size_t)disk_draw(image->random, (uint64_t)left);
        int32_t at = order[pick];
        order[pick] = order[left - 1];
        image_apply_one(image, at);
    }
    free(order);
    image->len =
        disk_draw(image->random, 2) == 0 ? len : lengths[disk_draw(image->random, lengths_count)];
    image->fates->lengths_old += image->len != len;
    return true;
}

static uint64_t image_room(const struct image *image)
{
    uint64_t room = 0;
    for (int32_t i = 0; i < image->place; i++) {
        const struct disk_event *event = disk_event_at(image->disk, i);
        if (image_mine(image, i) && event->offset + event->len > room) {
            room = event->offset + event->len;
        }
    }
    return room;
}

static bool image_write(const struct image *image, const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    uint64_t at = 0;
    while (fd >= 0 && at < image->len) {
        ssize_t n = pwrite(fd, image->data + at, image->len - at, (off_t)at);
        if (n <= 0) {
            break;
        }
        at += (uint64_t)n;
    }
    return fd >= 0 && close(fd) == 0 && at == image->len;
}

static bool rebuild_file(struct image *image, const char *path)
{
    image->room = image_room(image);
    image->data = calloc(1, image->room + DISK_SECTOR_BYTES);
    image->surest = calloc(image->room / DISK_SECTOR_BYTES + 2, sizeof *image->surest);
    bool good = image->data != NULL && image->surest != NULL;
    if (good) {
        image_apply_sure(image);
        good = image->random == NULL || image_apply_unsure(image);
    }
    good = good && image_write(image, path);
    free(image->data);
    free(image->surest);
    return good;
}

/* Which file a name is in the state: any that it was since its folder was synced. */
static int32_t rebuild_choose(const struct disk *disk, int32_t name, int32_t place,
                              struct disk_random *random, struct disk_fates *fates)
{
    int32_t choices[64];
    uint64_t count = 1;
    choices[0] = -1;
    for (int32_t i = 0; i < place; i++) {
        const struct disk_event *event = disk_event_at(disk, i);
        if (event->kind != DISK_NAME || event->name != name) {
            continue;
        }
        if (random == NULL || event->durable_at <= place) {
            choices[0] = event->file;
            count = 1;
        } else if (count < sizeof choices / sizeof choices[0]) {
            choices[count++] = event->file;
        }
    }
    uint64_t choice = random == NULL ? 0 : disk_draw(random, count);
    if (fates != NULL) {
        fates->names_old += choice != count - 1;
    }
    return choices[choice];
}

static bool rebuild(const struct disk *disk, int32_t place, struct disk_random *random,
                    struct disk_fates *fates, const char *root)
{
    struct image image = {.disk = disk, .place = place, .random = random, .fates = fates};
    image.way = random == NULL ? WAY_ALL : (enum rebuild_way)disk_draw(random, WAY_COUNT + 3);
    if (image.way >= WAY_COUNT) {
        image.way = WAY_MIXED;
    }
    /* Folders were named before what is in them. */
    for (int32_t name = 0; name < disk_names_count(disk); name++) {
        char path[2 * DISK_PATH_BYTES_MAX];
        char above[2 * DISK_PATH_BYTES_MAX];
        image.file = rebuild_choose(disk, name, place, random, fates);
        if (image.file < 0) {
            continue;
        }
        (void)snprintf(path, sizeof path, "%s/%s", root, disk_name_at(disk, name));
        (void)snprintf(above, sizeof above, "%s", path);
        *strrchr(above, '/') = '\0';
        image.len = 0;
        if (access(above, F_OK) != 0) {
            continue; /* Its folder is lost, and it with it. */
        }
        if (disk_file_is_folder(disk, image.file) ? mkdir(path, 0700) != 0
                                                  : !rebuild_file(&image, path)) {
            return false;
        }
    }
    return true;
}

bool disk_rebuild(const struct disk *disk, int32_t place, struct disk_random *random,
                  struct disk_fates *fates, const char *root)
{
    return rebuild(disk, place, random, fates, root);
}

bool disk_rebuild_cached(const struct disk *disk, int32_t place, const char *root)
{
    return rebuild(disk, place, NULL, NULL, root);
}
