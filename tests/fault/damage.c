/* SPDX-License-Identifier: Apache-2.0 */
#include "fault/damage.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void *damage_room(void *ptr, size_t size)
{
    void *room = realloc(ptr, size);
    if (room == NULL) {
        abort();
    }
    return room;
}

const char *damage_name(enum damage_kind kind)
{
    static const char *const names[DAMAGE_KINDS] = {
        [DAMAGE_BIT] = "a bit",
        [DAMAGE_BITS] = "some bits",
        [DAMAGE_HEAD_BIT] = "a bit of a page's head",
        [DAMAGE_ZERO] = "a page of zeros",
        [DAMAGE_SWAP] = "two pages swapped",
        [DAMAGE_OTHER] = "another page",
        [DAMAGE_OLDER] = "an older page",
        [DAMAGE_CUT] = "cut at a page",
        [DAMAGE_CUT_ODD] = "cut anywhere",
        [DAMAGE_RANGE] = "random bytes",
    };
    return names[kind];
}

struct damage_file damage_load(const char *path)
{
    struct damage_file file = {NULL, 0};
    struct stat info;
    FILE *in = fopen(path, "rb");
    if (in == NULL || fstat(fileno(in), &info) != 0) {
        abort();
    }
    file.len = (size_t)info.st_size;
    file.bytes = damage_room(NULL, file.len + 1);
    if (fread(file.bytes, 1, file.len, in) != file.len) {
        abort();
    }
    (void)fclose(in); /* Nothing was written. */
    return file;
}

void damage_save(const char *path, const struct damage_file *file)
{
    FILE *out = fopen(path, "wb");
    if (out == NULL || fchmod(fileno(out), 0600) != 0 ||
        fwrite(file->bytes, 1, file->len, out) != file->len || fclose(out) != 0) {
        abort();
    }
}

struct damage_file damage_copy(const struct damage_file *file)
{
    struct damage_file copy = {damage_room(NULL, file->len + 1), file->len};
    memcpy(copy.bytes, file->bytes, file->len);
    return copy;
}

uint64_t damage_draw(uint64_t *random, uint64_t below)
{
    uint64_t mixed = *random += UINT64_C(0x9e3779b97f4a7c15);
    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (mixed ^ (mixed >> 31)) % below;
}

static void damage_flip(struct damage_file *file, uint64_t at, uint64_t *random)
{
    file->bytes[at] ^= (uint8_t)(1u << damage_draw(random, 8));
}

static uint8_t *damage_page(const struct damage_file *file, uint64_t *random)
{
    uint64_t page = damage_draw(random, file->len / DAMAGE_PAGE_BYTES);
    return file->bytes + page * DAMAGE_PAGE_BYTES;
}

static void damage_older(struct damage_file *file, const struct damage_file *older,
                         uint64_t *random)
{
    for (unsigned tries = 0; tries < 1000; tries++) {
        uint8_t *page = damage_page(file, random);
        size_t at = (size_t)(page - file->bytes);
        if (at + DAMAGE_PAGE_BYTES <= older->len &&
            memcmp(page, older->bytes + at, DAMAGE_PAGE_BYTES) != 0) {
            memcpy(page, older->bytes + at, DAMAGE_PAGE_BYTES);
            return;
        }
    }
}

static void damage_pages(enum damage_kind kind, struct damage_file *file, uint64_t *random)
{
    uint8_t kept[DAMAGE_PAGE_BYTES];
    uint8_t *page = damage_page(file, random);
    uint8_t *other = damage_page(file, random);
    if (kind == DAMAGE_ZERO) {
        memset(page, 0, DAMAGE_PAGE_BYTES);
        return;
    }
    memcpy(kept, page, sizeof kept);
    memmove(page, other, DAMAGE_PAGE_BYTES);
    if (kind == DAMAGE_SWAP) {
        memcpy(other, kept, sizeof kept);
    }
}

static void damage_some_bits(struct damage_file *file, uint64_t *random)
{
    uint64_t count = 2 + damage_draw(random, 63);
    for (uint64_t i = 0; i < count; i++) {
        damage_flip(file, damage_draw(random, file->len), random);
    }
}

/* Of the root pages more often than of the others: what stands there is more than a head. */
static void damage_head(struct damage_file *file, uint64_t *random)
{
    if (damage_draw(random, 4) == 0) {
        damage_flip(file, damage_draw(random, 2) * DAMAGE_PAGE_BYTES + damage_draw(random, 152),
                    random);
    } else {
        uint8_t *page = damage_page(file, random);
        damage_flip(file, (uint64_t)(page - file->bytes) + damage_draw(random, 32), random);
    }
}

static void damage_range(struct damage_file *file, uint64_t *random)
{
    uint64_t at = damage_draw(random, file->len);
    uint64_t count = 1 + damage_draw(random, 2000);
    for (uint64_t i = at; i < at + count && i < file->len; i++) {
        file->bytes[i] = (uint8_t)damage_draw(random, 256);
    }
}

bool damage_do(enum damage_kind kind, struct damage_file *file, const struct damage_file *older,
               uint64_t *random)
{
    struct damage_file before = damage_copy(file);
    switch (kind) {
    case DAMAGE_BIT: damage_flip(file, damage_draw(random, file->len), random); break;
    case DAMAGE_BITS: damage_some_bits(file, random); break;
    case DAMAGE_HEAD_BIT: damage_head(file, random); break;
    case DAMAGE_ZERO:
    case DAMAGE_SWAP:
    case DAMAGE_OTHER: damage_pages(kind, file, random); break;
    case DAMAGE_OLDER: damage_older(file, older, random); break;
    case DAMAGE_CUT:
        file->len = damage_draw(random, file->len / DAMAGE_PAGE_BYTES) * DAMAGE_PAGE_BYTES;
        break;
    case DAMAGE_CUT_ODD: file->len = damage_draw(random, file->len); break;
    case DAMAGE_RANGE: damage_range(file, random); break;
    case DAMAGE_KINDS: break;
    }
    bool changed = before.len != file->len || memcmp(before.bytes, file->bytes, file->len) != 0;
    free(before.bytes);
    return changed;
}

/* ---- What a space shows ---- */

static uint64_t look_mix(uint64_t hash, const void *data, size_t len)
{
    const uint8_t *bytes = data;
    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    }
    return (hash ^ len) * UINT64_C(0x100000001b3);
}

static uint64_t look_value(uint64_t hash, const meshsync_value *value)
{
    hash = look_mix(hash, &value->type, sizeof value->type);
    hash = look_mix(hash, &value->integer, sizeof value->integer);
    return look_mix(hash, value->bytes.data, value->bytes.len);
}

static void look_add(struct damage_view *view, uint64_t path, const struct damage_line *line)
{
    if (view->count == view->cap) {
        view->cap = view->cap == 0 ? 1024 : view->cap * 2;
        view->lines = damage_room(view->lines, view->cap * sizeof *view->lines);
    }
    view->lines[view->count] = *line;
    view->lines[view->count++].path = path;
}

/* False: an error came, and what was shown before it does not count. */
static bool look_entry(meshsync_snapshot *snapshot, const meshsync_entry *entry,
                       struct damage_line *line)
{
    meshsync_error error;
    meshsync_sibling sibling;
    meshsync_status status = MESHSYNC_OK;
    uint64_t hash = look_value(1, &entry->value);
    hash = look_mix(hash, &entry->kind, sizeof entry->kind);
    hash = look_mix(hash, &entry->siblings_count, sizeof entry->siblings_count);
    uint64_t context = look_mix(2, entry->context.data, entry->context.len);
    for (uint32_t i = 0; i < 64 && status == MESHSYNC_OK; i++) {
        status = meshsync_sibling_at(snapshot, i, &sibling, &error);
        if (status == MESHSYNC_OK) {
            hash = look_value(hash, &sibling.value);
            hash = look_mix(hash, &sibling.hlc, sizeof sibling.hlc);
            hash = look_mix(hash, &sibling.seq, sizeof sibling.seq);
            hash = look_mix(hash, sibling.actor, sizeof sibling.actor);
            hash = look_mix(hash, sibling.device, sizeof sibling.device);
        }
    }
    line->shared = hash;
    line->content = look_mix(hash, &context, sizeof context);
    return status == MESHSYNC_E_END;
}

static void look_collection(meshsync_snapshot *snapshot, const char *name, struct damage_view *view)
{
    meshsync_error error;
    meshsync_scan *scan = NULL;
    meshsync_entry entry;
    meshsync_scan_options options = {.size = sizeof options, .deep = 1};
    meshsync_status status = meshsync_scan_open(snapshot, name, &options, &scan, &error);
    while (status == MESHSYNC_OK) {
        struct damage_line line = {0, 0, 0};
        status = meshsync_scan_next(scan, &entry, &error);
        if (status != MESHSYNC_OK) {
            break;
        }
        uint64_t path = look_mix(look_mix(7, name, 1), entry.key.data, entry.key.len);
        if (look_entry(snapshot, &entry, &line)) {
            look_add(view, path, &line);
        } else {
            view->errors += 1;
        }
    }
    view->errors += status != MESHSYNC_E_END;
    meshsync_scan_close(scan);
}

/* The registers once more, one by one: each is known to be there. */
static void look_registers(meshsync_snapshot *snapshot, struct damage_view *view)
{
    for (int i = 0; i < 300; i++) {
        char key[16];
        meshsync_error error;
        meshsync_entry entry;
        struct damage_line line = {0, 0, 0};
        (void)snprintf(key, sizeof key, "k%d", i);
        meshsync_bytes part = meshsync_bytes_of(key);
        meshsync_path path = {&part, 1};
        meshsync_status status = meshsync_get(snapshot, "r", &path, &entry, &error);
        if (status == MESHSYNC_OK && look_entry(snapshot, &entry, &line)) {
            look_add(view, look_mix(8, key, strlen(key)), &line);
        } else if (status == MESHSYNC_E_NOT_FOUND) {
            look_add(view, look_mix(8, key, strlen(key)), &line);
        } else {
            view->errors += 1;
        }
    }
}

void damage_look(meshsync_space *space, struct damage_view *view)
{
    meshsync_error error;
    meshsync_snapshot *snapshot = NULL;
    static const char *const names[] = {"c", "m", "r", "t"};
    if (meshsync_snapshot_open(space, &snapshot, &error) != MESHSYNC_OK) {
        view->errors += 1;
        return;
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        look_collection(snapshot, names[i], view);
    }
    look_registers(snapshot, view);
    meshsync_snapshot_close(snapshot);
}

const char *damage_compare(const struct damage_view *truth, const struct damage_view *seen,
                           bool other_node)
{
    size_t at = 0;
    bool gap = false;
    for (size_t i = 0; i < seen->count; i++) {
        const struct damage_line *line = &seen->lines[i];
        while (at < truth->count && truth->lines[at].path != line->path) {
            gap = true;
            at++;
        }
        if (at == truth->count) {
            return "a path that is not there was shown";
        }
        if (other_node ? truth->lines[at].shared != line->shared
                       : truth->lines[at].content != line->content) {
            return line->content == 0 ? "a path that is there was not found"
                                      : "a wrong value was shown";
        }
        at++;
    }
    gap = gap || at < truth->count;
    return gap && seen->errors == 0 ? "paths are missing, and nothing was reported" : NULL;
}
