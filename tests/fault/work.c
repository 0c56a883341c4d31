/* SPDX-License-Identifier: Apache-2.0 */
#include "fault/work.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "fault/work_keys.h"

enum { WORK_MAP_BYTES = 64 << 20, WORK_FLIGHT_MAX = 64 };

struct run {
    const char *folder;
    const char *other;
    const struct work_size *size;
    struct work_notes notes;
    meshsync_node *node;
    meshsync_space *space;
    uint32_t next; /* Number of the next transaction. */
    meshsync_error error;
};

meshsync_status work_open(const char *folder, meshsync_node **node, meshsync_error *error)
{
    meshsync_options options;
    meshsync_options_init(&options, sizeof options);
    options.path = folder;
    options.store_map_bytes = WORK_MAP_BYTES;
    return meshsync_node_open(&options, node, error);
}

void work_key(char key[WORK_KEY_BYTES], uint32_t id)
{
    static const char letters[] = "kbddn";
    (void)snprintf(key, WORK_KEY_BYTES, "%c%04u", letters[id / 1000], (unsigned)(id % 1000));
}

size_t work_value(uint8_t value[WORK_VALUE_BYTES_MAX], uint32_t id)
{
    size_t len = 20 + id % 17;
    if (id % 7 == 3) {
        len = 9000 + id % 100; /* Pages of its own in the log. */
    } else if (id % 11 == 5) {
        len = WORK_VALUE_BYTES_MAX - id % 100;
    }
    for (size_t i = 0; i < len; i++) {
        value[i] = (uint8_t)(id * 31 + i * 7 + (i >> 8));
    }
    return len;
}

static meshsync_path one_part(meshsync_bytes *part, const char *key)
{
    *part = meshsync_bytes_of(key);
    return (meshsync_path){part, 1};
}

/* One transaction at five places: a register, two fields of a map, a set and a counter. */
static meshsync_status fill_txn(meshsync_txn *txn, uint32_t id, meshsync_error *error)
{
    char key[WORK_KEY_BYTES];
    char sum[2] = {0, 0};
    uint8_t bytes[WORK_VALUE_BYTES_MAX];
    meshsync_bytes part;
    work_key(key, id);
    sum[0] = key[0];
    meshsync_value value = meshsync_value_bytes(bytes, work_value(bytes, id));
    meshsync_value number = meshsync_value_int(id);
    meshsync_path path = one_part(&part, key);
    meshsync_bytes fields[] = {meshsync_bytes_of(key), meshsync_bytes_of("a")};
    const meshsync_path field = {fields, 2};
    meshsync_status status = meshsync_txn_put(txn, "r", &path, &value, NULL, error);
    if (status == MESHSYNC_OK) {
        status = meshsync_txn_put(txn, "m", &field, &number, NULL, error);
    }
    fields[1] = meshsync_bytes_of("b");
    if (status == MESHSYNC_OK) {
        status = meshsync_txn_put(txn, "m", &field, &number, NULL, error);
    }
    if (status == MESHSYNC_OK) {
        status =
            meshsync_txn_set_add(txn, "t", meshsync_bytes_of("all"), meshsync_bytes_of(key), error);
    }
    path = one_part(&part, sum);
    return status == MESHSYNC_OK ? meshsync_txn_add(txn, "c", &path, 1, error) : status;
}

static meshsync_status commit_if(meshsync_txn *txn, meshsync_status status, meshsync_error *error)
{
    if (status != MESHSYNC_OK) {
        meshsync_txn_abort(txn);
        return status;
    }
    return meshsync_txn_commit(txn, NULL, NULL, error);
}

meshsync_status work_txn(meshsync_space *space, uint32_t id, struct work_notes notes,
                         meshsync_error *error)
{
    meshsync_txn *txn = NULL;
    meshsync_status status = meshsync_txn_begin(space, &txn, error);
    if (status != MESHSYNC_OK) {
        return status;
    }
    status = fill_txn(txn, id, error);
    if (status != MESHSYNC_OK) {
        meshsync_txn_abort(txn);
        return status;
    }
    notes.note(notes.user, id, false);
    status = meshsync_txn_commit(txn, NULL, NULL, error);
    if (status == MESHSYNC_OK) {
        notes.note(notes.user, id, true);
    }
    return status;
}

/* ---- Commits in flight at once ---- */

struct flight {
    struct run *run;
    pthread_mutex_t lock;
    pthread_cond_t landed;
    uint32_t left; /* Guarded by lock, like the next. */
    meshsync_status status;
};

struct passenger {
    struct flight *flight;
    uint32_t id;
};

static void flight_landed(void *user, meshsync_status status, const meshsync_token *token,
                          const meshsync_error *error)
{
    struct passenger *passenger = user;
    struct flight *flight = passenger->flight;
    (void)token;
    (void)error;
    if (status == MESHSYNC_OK) {
        flight->run->notes.note(flight->run->notes.user, passenger->id, true);
    }
    (void)pthread_mutex_lock(&flight->lock);
    flight->status = status == MESHSYNC_OK ? flight->status : status;
    flight->left--;
    (void)pthread_cond_signal(&flight->landed);
    (void)pthread_mutex_unlock(&flight->lock);
}

static meshsync_status flight_board(struct run *run, struct passenger *passenger)
{
    meshsync_txn *txn = NULL;
    meshsync_status status = meshsync_txn_begin(run->space, &txn, &run->error);
    if (status != MESHSYNC_OK) {
        return status;
    }
    status = fill_txn(txn, passenger->id, &run->error);
    if (status != MESHSYNC_OK) {
        meshsync_txn_abort(txn);
        return status;
    }
    run->notes.note(run->notes.user, passenger->id, false);
    return meshsync_txn_commit_async(txn, NULL, flight_landed, passenger, &run->error);
}

static meshsync_status run_together(struct run *run, uint32_t count)
{
    struct flight flight = {.run = run, .lock = PTHREAD_MUTEX_INITIALIZER};
    struct passenger passengers[WORK_FLIGHT_MAX];
    meshsync_status status = MESHSYNC_OK;
    (void)pthread_cond_init(&flight.landed, NULL);
    for (uint32_t i = 0; i < count && i < WORK_FLIGHT_MAX && status == MESHSYNC_OK; i++) {
        passengers[i] = (struct passenger){&flight, WORK_KEY + run->next++};
        (void)pthread_mutex_lock(&flight.lock);
        flight.left++;
        (void)pthread_mutex_unlock(&flight.lock);
        status = flight_board(run, &passengers[i]);
        if (status != MESHSYNC_OK) {
            (void)pthread_mutex_lock(&flight.lock);
            flight.left--;
            (void)pthread_mutex_unlock(&flight.lock);
        }
    }
    (void)pthread_mutex_lock(&flight.lock);
    while (flight.left > 0) {
        (void)pthread_cond_wait(&flight.landed, &flight.lock);
    }
    status = status == MESHSYNC_OK ? flight.status : status;
    (void)pthread_mutex_unlock(&flight.lock);
    (void)pthread_cond_destroy(&flight.landed);
    return status;
}

/* ---- The steps ---- */

static meshsync_status run_single(struct run *run, uint32_t count)
{
    meshsync_status status = MESHSYNC_OK;
    for (uint32_t i = 0; i < count && status == MESHSYNC_OK; i++) {
        status = work_txn(run->space, WORK_KEY + run->next++, run->notes, &run->error);
    }
    return status;
}

/* Registers that are put, written over, and taken away, each in a commit of its own. */
static meshsync_status run_deletes(struct run *run, uint32_t from, uint32_t count)
{
    meshsync_status status = MESHSYNC_OK;
    for (uint32_t i = from; i < from + count && status == MESHSYNC_OK; i++) {
        char key[WORK_KEY_BYTES];
        meshsync_txn *txn = NULL;
        meshsync_bytes part;
        work_key(key, WORK_DOOMED + i);
        meshsync_path path = one_part(&part, key);
        meshsync_value value = meshsync_value_string("doomed");
        run->notes.note(run->notes.user, WORK_DOOMED + i, false);
        status = meshsync_put(run->space, "r", part, &value, NULL, &run->error);
        if (status != MESHSYNC_OK) {
            break;
        }
        run->notes.note(run->notes.user, WORK_DOOMED + i, true);
        status = meshsync_txn_begin(run->space, &txn, &run->error);
        if (status == MESHSYNC_OK) {
            run->notes.note(run->notes.user, WORK_DELETE + i, false);
            status = meshsync_txn_delete(txn, "r", &path, NULL, &run->error);
            status = commit_if(txn, status, &run->error);
        }
        if (status == MESHSYNC_OK) {
            run->notes.note(run->notes.user, WORK_DELETE + i, true);
        }
    }
    return status;
}

/* Both nodes write the same field and the same register, so that siblings come to live there. */
static meshsync_status run_both(meshsync_space *space, const char *text, meshsync_error *error)
{
    meshsync_txn *txn = NULL;
    meshsync_bytes parts[] = {meshsync_bytes_of("both"), meshsync_bytes_of("f")};
    const meshsync_path field = {parts, 2};
    const meshsync_path path = {parts, 1};
    meshsync_value value = meshsync_value_string(text);
    meshsync_status status = meshsync_txn_begin(space, &txn, error);
    if (status == MESHSYNC_OK) {
        status = meshsync_txn_put(txn, "m", &field, &value, NULL, error);
        if (status == MESHSYNC_OK) {
            status = meshsync_txn_put(txn, "r", &path, &value, NULL, error);
        }
        status = commit_if(txn, status, error);
    }
    return status;
}

static void nobody(void *user, uint32_t id, bool done)
{
    (void)user;
    (void)id;
    (void)done;
}

/* The other node takes what is here, writes, and leaves a bundle. */
static meshsync_status other_writes(struct run *run, const char *out_file, const char *back_file,
                                    const char *ticket)
{
    char folder[WORK_PATH_BYTES_MAX];
    meshsync_node *node = NULL;
    meshsync_space *space = NULL;
    const struct work_notes quiet = {nobody, NULL};
    (void)snprintf(folder, sizeof folder, "%.500s/node", run->other);
    meshsync_status status = work_open(folder, &node, &run->error);
    if (status == MESHSYNC_OK) {
        status = meshsync_space_join(node, ticket, "s", &space, &run->error);
    }
    if (status == MESHSYNC_OK) {
        status = meshsync_bundle_apply(node, out_file, NULL, &run->error);
    }
    if (status == MESHSYNC_OK) {
        status = run_both(space, "theirs", &run->error);
    }
    for (uint32_t i = 0; i < 12 && status == MESHSYNC_OK; i++) {
        status = work_txn(space, WORK_OTHER + i, quiet, &run->error);
    }
    if (status == MESHSYNC_OK) {
        status = meshsync_bundle_create(space, back_file, out_file, NULL, &run->error);
    }
    (void)meshsync_node_close(node);
    return status;
}

static meshsync_status run_exchange(struct run *run)
{
    char out_file[WORK_PATH_BYTES_MAX];
    char back_file[WORK_PATH_BYTES_MAX];
    char ticket[MESHSYNC_TICKET_TEXT_BYTES_MAX];
    (void)snprintf(out_file, sizeof out_file, "%.500s/out", run->other);
    (void)snprintf(back_file, sizeof back_file, "%.500s/back", run->other);
    meshsync_status status = meshsync_space_invite(run->space, 0, ticket, &run->error);
    if (status == MESHSYNC_OK) {
        status = meshsync_bundle_create(run->space, out_file, NULL, NULL, &run->error);
    }
    if (status == MESHSYNC_OK) {
        status = other_writes(run, out_file, back_file, ticket);
    }
    if (status == MESHSYNC_OK) {
        status = run_both(run->space, "ours", &run->error);
    }
    for (uint32_t i = 0; i < 12; i++) {
        run->notes.note(run->notes.user, WORK_OTHER + i, false);
    }
    if (status == MESHSYNC_OK) {
        status = meshsync_bundle_apply(run->node, back_file, NULL, &run->error);
    }
    for (uint32_t i = 0; i < 12 && status == MESHSYNC_OK; i++) {
        run->notes.note(run->notes.user, WORK_OTHER + i, true);
    }
    return status;
}

meshsync_status work_collections(meshsync_space *space, meshsync_error *error)
{
    static const struct {
        const char *name;
        meshsync_collection_type type;
    } all[] = {{"r", MESHSYNC_REGISTER},
               {"c", MESHSYNC_COUNTER},
               {"t", MESHSYNC_SET},
               {"m", MESHSYNC_MAP}};
    meshsync_status status = MESHSYNC_OK;
    for (size_t i = 0; i < sizeof all / sizeof all[0] && status == MESHSYNC_OK; i++) {
        status = meshsync_collection_create(space, all[i].name, all[i].type, MESHSYNC_VIEW_LWW,
                                            NULL, 0, error);
    }
    return status;
}

static meshsync_status run_begin(struct run *run)
{
    run->notes.note(run->notes.user, WORK_NODE, false);
    meshsync_status status = work_open(run->folder, &run->node, &run->error);
    if (status == MESHSYNC_OK) {
        run->notes.note(run->notes.user, WORK_NODE, true);
        run->notes.note(run->notes.user, WORK_SPACE, false);
        status = meshsync_space_create(run->node, "s", &run->space, &run->error);
    }
    if (status == MESHSYNC_OK) {
        run->notes.note(run->notes.user, WORK_SPACE, true);
        run->notes.note(run->notes.user, WORK_COLLECTIONS, false);
        status = work_collections(run->space, &run->error);
    }
    if (status == MESHSYNC_OK) {
        run->notes.note(run->notes.user, WORK_COLLECTIONS, true);
    }
    return status;
}

/* A process that ends and one that begins: a new epoch. */
static meshsync_status run_reopen(struct run *run)
{
    meshsync_status status = meshsync_node_close(run->node);
    run->node = NULL;
    if (status == MESHSYNC_OK) {
        status = work_open(run->folder, &run->node, &run->error);
    }
    return status == MESHSYNC_OK ? meshsync_space_find(run->node, "s", &run->space, &run->error)
                                 : status;
}

/* A second space that comes and goes. */
static meshsync_status run_second_space(struct run *run)
{
    meshsync_space *space = NULL;
    const struct work_notes quiet = {nobody, NULL};
    meshsync_status status = meshsync_space_create(run->node, "second", &space, &run->error);
    if (status == MESHSYNC_OK) {
        status = work_collections(space, &run->error);
    }
    for (uint32_t i = 0; i < 6 && status == MESHSYNC_OK; i++) {
        status = work_txn(space, WORK_KEY + i, quiet, &run->error);
    }
    return status == MESHSYNC_OK ? meshsync_space_leave(space, MESHSYNC_LEAVE_ERASE, &run->error)
                                 : status;
}

static meshsync_status run_all(struct run *run)
{
    const struct work_size *size = run->size;
    meshsync_status status = run_begin(run);
    status = status == MESHSYNC_OK ? run_single(run, size->single) : status;
    status = status == MESHSYNC_OK ? run_together(run, size->together) : status;
    status = status == MESHSYNC_OK && size->exchange ? run_exchange(run) : status;
    status = status == MESHSYNC_OK ? run_deletes(run, 0, size->single / 3 + 1) : status;
    if (size->exchange && status == MESHSYNC_OK) {
        status = run_both(run->space, "over both", &run->error);
        status = status == MESHSYNC_OK ? run_second_space(run) : status;
    }
    if (size->reopen && status == MESHSYNC_OK) {
        status = run_reopen(run);
        status = status == MESHSYNC_OK ? run_single(run, size->single) : status;
        status = status == MESHSYNC_OK ? run_together(run, size->together) : status;
    }
    return status;
}

bool work_run(const char *folder, const char *other, const struct work_size *size,
              struct work_notes notes, char words[WORK_WORDS_BYTES_MAX])
{
    struct run run = {.folder = folder, .other = other, .size = size, .notes = notes};
    meshsync_status status = run_all(&run);
    if (status != MESHSYNC_OK) {
        (void)snprintf(words, WORK_WORDS_BYTES_MAX, "%s: %s", meshsync_status_name(status),
                       run.error.message);
    }
    meshsync_status closed = meshsync_node_close(run.node);
    return status == MESHSYNC_OK && closed == MESHSYNC_OK;
}
