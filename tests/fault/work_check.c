/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a store that was found after a crash keeps what was promised: work.h. */
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fault/work_keys.h"
#include "secure/crypto.h"
#include "store/store.h"

struct look {
    const struct work_told *told;
    struct work_verdict *verdict;
    meshsync_space *space;
    meshsync_snapshot *snapshot;
    meshsync_error error;
    uint8_t seen[WORK_IDS];
    int64_t sums[5]; /* Transactions seen, by the thousand of their ids. */
};

const char *work_outcome_name(enum work_outcome outcome)
{
    static const char *const names[WORK_OUTCOMES] = {
        [WORK_NOTHING] = "no node yet",
        [WORK_KEPT] = "as acknowledged last",
        [WORK_NEWER] = "with a commit on its way",
        [WORK_LOST] = "LOST",
        [WORK_TORN] = "TORN",
        [WORK_INVENTED] = "INVENTED",
        [WORK_REFUSED] = "REFUSED",
        [WORK_UNSOUND] = "UNSOUND",
        [WORK_REUSED] = "REUSED",
        [WORK_DIED] = "DIED",
    };
    return names[outcome];
}

__attribute__((format(printf, 3, 4))) static bool
look_no(struct look *look, enum work_outcome outcome, const char *format, ...)
{
    va_list words;
    va_start(words, format);
    look->verdict->outcome = outcome;
    (void)vsnprintf(look->verdict->words, sizeof look->verdict->words, format, words);
    va_end(words);
    return false;
}

/* ---- Tables ---- */

static void actors_add(struct work_actors *actors, const uint8_t *id)
{
    for (uint32_t i = 0; i < actors->count; i++) {
        if (memcmp(actors->id[i], id, MESHSYNC_ACTOR_ID_BYTES) == 0) {
            return;
        }
    }
    if (actors->count < WORK_ACTORS_MAX) {
        memcpy(actors->id[actors->count++], id, MESHSYNC_ACTOR_ID_BYTES);
    }
}

static bool tables_hash(struct msy_store_txn *txn, uint8_t hash[WORK_HASH_BYTES],
                        struct work_actors *actors)
{
    meshsync_status status = MESHSYNC_OK;
    for (unsigned table = 0; table < MSY_TABLE_COUNT; table++) {
        struct msy_store_iter *iter = NULL;
        meshsync_bytes key = {NULL, 0};
        meshsync_bytes value;
        if (msy_store_iter_open(txn, (enum msy_table)table, &iter) != MESHSYNC_OK) {
            return false;
        }
        status = msy_store_seek(iter, key, &key, &value);
        while (status == MESHSYNC_OK) {
            const uint64_t lens[] = {table, key.len, value.len};
            const meshsync_bytes parts[] = {
                {hash, WORK_HASH_BYTES}, {(const uint8_t *)lens, sizeof lens}, key, value};
            if (table == MSY_TABLE_BY_ACTOR && key.len >= 4 + MESHSYNC_ACTOR_ID_BYTES) {
                actors_add(actors, key.data + 4);
            }
            msy_hash(hash, WORK_HASH_BYTES, parts, 4);
            status = msy_store_next(iter, &key, &value);
        }
        msy_store_iter_close(iter);
        if (status != MESHSYNC_E_END) {
            return false;
        }
    }
    return true;
}

bool work_look(const char *folder, uint8_t hash[WORK_HASH_BYTES], struct work_actors *actors)
{
    struct msy_alloc alloc;
    struct msy_store *store = NULL;
    struct msy_store_txn *txn = NULL;
    meshsync_error error = {0};
    msy_alloc_init(&alloc, NULL, NULL, 0);
    const struct msy_store_options options = {.alloc = &alloc,
                                              .path = folder,
                                              .map_bytes = 64 << 20,
                                              .readers_max = 8,
                                              .read_only = true};
    memset(hash, 0, WORK_HASH_BYTES);
    bool good = msy_crypto_init() == MESHSYNC_OK &&
                msy_store_open_lmdb(&options, &store, &error) == MESHSYNC_OK &&
                msy_store_begin(store, MSY_TXN_READ, &txn) == MESHSYNC_OK;
    if (good) {
        good = tables_hash(txn, hash, actors);
        msy_store_abort(txn);
    }
    msy_store_close(store);
    return good;
}

/* ---- Content ---- */

/* The id that a key belongs to; -1: none of ours, -2: one that nobody writes. */
static int32_t id_of(meshsync_bytes key)
{
    static const char letters[] = "kbd?n";
    char text[WORK_KEY_BYTES] = "";
    char again[WORK_KEY_BYTES];
    if (key.len == 4 && memcmp(key.data, "both", 4) == 0) {
        return -1;
    }
    if (key.len != 5) {
        return -2;
    }
    memcpy(text, key.data, key.len);
    const char *letter = strchr(letters, text[0]);
    if (letter == NULL || text[0] == '\0') {
        return -2;
    }
    int32_t id = (int32_t)(letter - letters) * 1000 + (int32_t)strtol(text + 1, NULL, 10);
    work_key(again, (uint32_t)id);
    return strcmp(text, again) == 0 ? id : -2;
}

static bool look_value(struct look *look, uint32_t id, const meshsync_value *value)
{
    uint8_t bytes[WORK_VALUE_BYTES_MAX];
    bool same = false;
    if (id >= WORK_DOOMED && id < WORK_DELETE) {
        same = value->bytes.len == 6 && memcmp(value->bytes.data, "doomed", 6) == 0;
    } else {
        size_t len = work_value(bytes, id);
        same = value->bytes.len == len && memcmp(value->bytes.data, bytes, len) == 0;
    }
    return same || look_no(look, WORK_INVENTED, "%u has a value that nobody wrote", id);
}

static bool look_registers(struct look *look)
{
    meshsync_scan *scan = NULL;
    meshsync_entry entry;
    meshsync_status status = meshsync_scan_open(look->snapshot, "r", NULL, &scan, &look->error);
    if (status != MESHSYNC_OK) {
        return look_no(look, WORK_LOST, "scan: %s", look->error.message);
    }
    bool good = true;
    for (status = meshsync_scan_next(scan, &entry, &look->error); good && status == MESHSYNC_OK;
         status = meshsync_scan_next(scan, &entry, &look->error)) {
        uint8_t part[MESHSYNC_PATH_BYTES_MAX];
        meshsync_bytes key = {part, 0};
        int32_t id = -2;
        if (meshsync_entry_part(entry.key, 0, part, &key.len) == MESHSYNC_OK) {
            id = id_of(key);
        }
        if (id == -1) {
            continue;
        }
        if (id < 0 || !look->told->begun[id]) {
            good = look_no(look, WORK_INVENTED, "a key that nobody wrote: %.*s", (int)key.len,
                           (const char *)key.data);
            break;
        }
        look->seen[id] = 1;
        look->sums[id / 1000]++;
        good = look_value(look, (uint32_t)id, &entry.value);
    }
    meshsync_scan_close(scan);
    if (good && status != MESHSYNC_E_END) {
        return look_no(look, WORK_UNSOUND, "scan: %s", look->error.message);
    }
    return good;
}

/* The other four places of a transaction whose register was seen, or was not. */
static bool look_whole(struct look *look, uint32_t id)
{
    char key[WORK_KEY_BYTES];
    meshsync_entry entry;
    work_key(key, id);
    bool wanted = look->seen[id] != 0;
    for (unsigned i = 0; i < 3; i++) {
        meshsync_status status = MESHSYNC_OK;
        if (i < 2) {
            meshsync_bytes parts[] = {meshsync_bytes_of(key),
                                      meshsync_bytes_of(i == 0 ? "a" : "b")};
            const meshsync_path path = {parts, 2};
            status = meshsync_get(look->snapshot, "m", &path, &entry, &look->error);
        } else {
            status = meshsync_set_contains(look->snapshot, "t", meshsync_bytes_of("all"),
                                           meshsync_bytes_of(key), &look->error);
        }
        if (status != (wanted ? MESHSYNC_OK : MESHSYNC_E_NOT_FOUND)) {
            return look_no(look, WORK_TORN, "%s: register %s, place %u %s", key,
                           wanted ? "there" : "missing", i, meshsync_status_name(status));
        }
    }
    return true;
}

static bool look_sums(struct look *look)
{
    static const char *const names[] = {"k", "b", NULL, NULL, "n"};
    for (unsigned i = 0; i < 5; i++) {
        meshsync_entry entry;
        meshsync_bytes part = meshsync_bytes_of(names[i] == NULL ? "" : names[i]);
        const meshsync_path path = {&part, 1};
        if (names[i] == NULL) {
            continue;
        }
        meshsync_status status = meshsync_get(look->snapshot, "c", &path, &entry, &look->error);
        int64_t sum = status == MESHSYNC_OK ? entry.value.integer : 0;
        if ((status != MESHSYNC_OK && status != MESHSYNC_E_NOT_FOUND) || sum != look->sums[i]) {
            return look_no(look, WORK_TORN, "counter %s is %lld, %lld transactions are there",
                           names[i], (long long)sum, (long long)look->sums[i]);
        }
    }
    return true;
}

static bool look_promises(struct look *look)
{
    for (uint32_t id = 0; id < WORK_NODE; id++) {
        bool doomed = id >= WORK_DOOMED && id < WORK_DELETE;
        bool kept = look->told->done[id];
        if (id >= WORK_DELETE && id < WORK_NEW) {
            if (kept && look->seen[id - WORK_DELETE + WORK_DOOMED]) {
                return look_no(look, WORK_LOST, "the deletion of %u", id);
            }
            continue;
        }
        if (doomed && look->told->begun[id - WORK_DOOMED + WORK_DELETE]) {
            continue;
        }
        if (kept && !look->seen[id]) {
            return look_no(look, WORK_LOST, "%u was acknowledged", id);
        }
    }
    return true;
}

static bool look_content(struct look *look)
{
    meshsync_status status = meshsync_snapshot_open(look->space, &look->snapshot, &look->error);
    if (status != MESHSYNC_OK) {
        return look_no(look, WORK_REFUSED, "snapshot: %s", look->error.message);
    }
    bool good = look_registers(look) && look_sums(look) && look_promises(look);
    for (uint32_t id = 0; id < WORK_NODE && good; id++) {
        if (look->told->begun[id] && (id < WORK_DOOMED || id >= WORK_NEW)) {
            good = look_whole(look, id);
        }
    }
    meshsync_snapshot_close(look->snapshot);
    look->snapshot = NULL;
    return good;
}

static bool look_verify(struct look *look)
{
    meshsync_verify_report report = {.size = sizeof report};
    meshsync_status status = meshsync_space_verify(look->space, &report, &look->error);
    return status == MESHSYNC_OK || look_no(look, WORK_UNSOUND, "verify: %s", look->error.message);
}

/* A new commit, by an actor that nobody ever saw. */
static bool look_write(struct look *look, const struct work_actors *old, uint32_t number,
                       struct work_notes notes)
{
    char key[WORK_KEY_BYTES];
    meshsync_entry entry;
    meshsync_sibling sibling;
    meshsync_status status = work_txn(look->space, WORK_NEW + number, notes, &look->error);
    if (status == MESHSYNC_OK) {
        status = meshsync_snapshot_open(look->space, &look->snapshot, &look->error);
    }
    if (status != MESHSYNC_OK) {
        return look_no(look, WORK_REFUSED, "a new commit: %s", look->error.message);
    }
    work_key(key, WORK_NEW + number);
    meshsync_bytes part = meshsync_bytes_of(key);
    const meshsync_path path = {&part, 1};
    status = meshsync_get(look->snapshot, "r", &path, &entry, &look->error);
    if (status == MESHSYNC_OK) {
        status = meshsync_sibling_at(look->snapshot, 0, &sibling, &look->error);
    }
    bool good = status == MESHSYNC_OK ||
                look_no(look, WORK_REFUSED, "the new commit: %s", look->error.message);
    for (uint32_t i = 0; good && i < old->count; i++) {
        if (memcmp(old->id[i], sibling.actor, sizeof sibling.actor) == 0) {
            good = look_no(look, WORK_REUSED, "the new commit is of an old epoch");
        }
    }
    meshsync_snapshot_close(look->snapshot);
    look->snapshot = NULL;
    return good;
}

static bool look_space(struct look *look, meshsync_node *node)
{
    meshsync_status status = meshsync_space_find(node, "s", &look->space, &look->error);
    if (status == MESHSYNC_E_NOT_FOUND && look->told->done[WORK_SPACE]) {
        return look_no(look, WORK_LOST, "the space");
    }
    if (status == MESHSYNC_E_NOT_FOUND) {
        status = meshsync_space_create(node, "s", &look->space, &look->error);
    }
    if (status != MESHSYNC_OK) {
        return look_no(look, WORK_REFUSED, "the space: %s", look->error.message);
    }
    for (unsigned i = 0; i < 4 && look->told->done[WORK_COLLECTIONS]; i++) {
        meshsync_collection_info info = {.size = sizeof info};
        if (meshsync_collection_at(look->space, i, &info, &look->error) != MESHSYNC_OK) {
            return look_no(look, WORK_LOST, "collection %u: %s", i, look->error.message);
        }
    }
    /* Making what is there already changes nothing. */
    status = look->told->done[WORK_COLLECTIONS] ? MESHSYNC_OK
                                                : work_collections(look->space, &look->error);
    return status == MESHSYNC_OK ||
           look_no(look, WORK_REFUSED, "the collections: %s", look->error.message);
}

void work_check(const char *folder, const struct work_told *told, const struct work_actors *old,
                uint32_t number, struct work_notes notes, struct work_verdict *verdict)
{
    static struct look look;
    meshsync_node *node = NULL;
    memset(&look, 0, sizeof look);
    look.told = told;
    look.verdict = verdict;
    meshsync_status status = work_open(folder, &node, &look.error);
    if (status != MESHSYNC_OK) {
        (void)look_no(&look, WORK_REFUSED, "open: %s", look.error.message);
        return;
    }
    notes.note(notes.user, WORK_NODE, true);
    bool good = look_space(&look, node) && look_verify(&look) && look_content(&look) &&
                look_write(&look, old, number, notes) && (number == 0 || look_verify(&look));
    status = meshsync_node_close(node);
    if (good && status != MESHSYNC_OK) {
        (void)look_no(&look, WORK_REFUSED, "close: %s", meshsync_status_name(status));
    }
}

/* ---- Folders ---- */

static int remove_one(const char *path, const struct stat *about, int kind, struct FTW *walk)
{
    (void)about;
    (void)kind;
    (void)walk;
    return remove(path);
}

void work_remove(const char *folder)
{
    (void)nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}
