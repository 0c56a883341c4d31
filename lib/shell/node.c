/* SPDX-License-Identifier: Apache-2.0 */
/* Opening and closing a node, and what its parts share. */
#include "shell/node.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "shell/clock.h"

/* ---- Opening: the folder, the store, the identity ---- */

static meshsync_status node_copy_path(meshsync_node *node, const char *path, meshsync_error *error)
{
    node->path_size = strlen(path) + 1;
    char *copy = (char *)msy_new(&node->alloc, node->path_size);
    if (copy == NULL) {
        return msy_fail(error, MESHSYNC_E_NO_MEMORY, "node: no memory for the path");
    }
    memcpy(copy, path, node->path_size);
    node->options.path = copy;
    return MESHSYNC_OK;
}

/* Nothing is made where nothing is to be made. */
static meshsync_status node_check_folder(const meshsync_node *node, meshsync_error *error)
{
    if (node->options.create != 0 && !node->read_only) {
        return MESHSYNC_OK;
    }
    struct stat found;
    int folder = open(node->options.path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int result = folder < 0 ? -1 : fstatat(folder, "data.mdb", &found, 0);
    int errno_value = errno;
    if (folder >= 0) {
        (void)close(folder); /* Nothing was written. */
    }
    if (result == 0) {
        return MESHSYNC_OK;
    }
    return errno_value == ENOENT || errno_value == ENOTDIR
               ? msy_fail(error, MESHSYNC_E_NOT_FOUND, "there is no node in %.160s",
                          node->options.path)
               : msy_fail_errno(error, MESHSYNC_E_IO, errno_value, "node: %.160s",
                                node->options.path);
}

/* Another writer may be about to go: tried again until the time is up. */
static meshsync_status node_open_store(meshsync_node *node, meshsync_error *error)
{
    const struct timespec pause = {.tv_nsec = 10 * 1000000};
    uint64_t deadline_ms = msy_clock_after(msy_clock_mono_ms(), node->options.busy_wait_ms);
    const struct msy_store_options options = {
        .alloc = &node->alloc,
        .path = node->options.path,
        .map_bytes = node->options.store_map_bytes,
        .bytes_max = node->options.store_bytes_max,
        .readers_max = node->options.readers_max,
        .read_only = node->read_only,
    };
    meshsync_status status = msy_store_open_lmdb(&options, &node->store, error);
    while (status == MESHSYNC_E_STORE_LOCKED && msy_clock_mono_ms() < deadline_ms) {
        (void)nanosleep(&pause, NULL); /* A signal only makes it shorter. */
        status = msy_store_open_lmdb(&options, &node->store, error);
    }
    return status;
}

/* Looks at the first records: whose store it is, in *known, and that this version can read it. */
static meshsync_status node_look(meshsync_node *node, bool *known, meshsync_error *error)
{
    struct msy_store_txn *txn = NULL;
    meshsync_bytes value;
    *known = false;
    meshsync_status status = msy_node_begin_read(node, &txn, error);
    if (status != MESHSYNC_OK) {
        return status;
    }
    status = msy_store_get(txn, MSY_TABLE_META, msy_key_name(MSY_META_FORMAT), &value);
    if (status == MESHSYNC_OK && value.len == 4 && msy_get_be32(value.data) > MSY_SCHEMA_VERSION) {
        status = msy_fail(error, MESHSYNC_E_STORE_VERSION,
                          "the store has format %u, this library knows formats up to %u",
                          (unsigned)msy_get_be32(value.data), (unsigned)MSY_SCHEMA_VERSION);
    } else if (status == MESHSYNC_OK) {
        status = msy_store_get(txn, MSY_TABLE_META, msy_key_name(MSY_META_IDENTITY), &value);
        if (status == MESHSYNC_OK && value.len == sizeof node->id) {
            memcpy(node->id, value.data, sizeof node->id);
            *known = true;
        } else {
            status =
                msy_fail(error, MESHSYNC_E_STORE_CORRUPT, "the store's first records are damaged");
        }
    } else if (status == MESHSYNC_E_NOT_FOUND && node->read_only) {
        status = msy_fail(error, MESHSYNC_E_NOT_FOUND, "there is no node in %.160s yet",
                          node->options.path);
    } else if (status == MESHSYNC_E_NOT_FOUND) {
        status = MESHSYNC_OK; /* A new store. */
    } else {
        (void)msy_fail(error, status, "the store's first records cannot be read");
    }
    msy_node_end_read(txn);
    return status;
}

static meshsync_status node_open_identity(meshsync_node *node, bool known, meshsync_error *error)
{
    if (node->read_only) {
        return MESHSYNC_OK; /* Reading needs no secret. */
    }
    meshsync_status status =
        msy_identity_load(node->options.path, !known, node->entropy, &node->identity, error);
    if (status == MESHSYNC_E_NOT_FOUND) {
        return msy_fail(error, MESHSYNC_E_STORE_CORRUPT,
                        "the store has data but its identity.key is gone");
    }
    if (status == MESHSYNC_OK) {
        memcpy(node->id, msy_identity_public(node->identity), sizeof node->id);
        if (!msy_identity_locked(node->identity)) {
            msy_log_write(&node->log, MSY_LOG_WARN, "node",
                          "the system refused to lock the identity's memory");
        }
    }
    return status;
}

static meshsync_status node_open_parts(meshsync_node *node, const char *path, meshsync_error *error)
{
    bool known = false;
    meshsync_status status = node_copy_path(node, path, error);
    if (status == MESHSYNC_OK && msy_crypto_init() != MESHSYNC_OK) {
        status = msy_fail(error, MESHSYNC_E_RESOURCE, "node: no source of random numbers");
    }
    if (status == MESHSYNC_OK) {
        node->entropy = msy_crypto_entropy();
        status = node_check_folder(node, error);
    }
    if (status == MESHSYNC_OK) {
        status = node_open_store(node, error);
    }
    if (status == MESHSYNC_OK) {
        status = node_look(node, &known, error);
    }
    if (status == MESHSYNC_OK) {
        status = node_open_identity(node, known, error);
    }
    if (status == MESHSYNC_OK && !node->read_only) {
        node->remember = msy_remember_new(&node->alloc, node->options.path);
        status = node->remember != NULL ? msy_writer_init(&node->writer, node, error)
                                        : msy_fail(error, MESHSYNC_E_NO_MEMORY, "node: no memory");
    }
    return status;
}

/* Ends the first count of what node_init_locks began. */
static void node_fini_locks(meshsync_node *node, int count)
{
    if (count > 3) {
        msy_spaces_fini(&node->spaces, &node->alloc);
    }
    if (count > 2) {
        msy_notices_fini(&node->notices);
    }
    if (count > 1) {
        msy_board_fini(&node->board);
    }
    if (count > 0) {
        (void)pthread_mutex_destroy(&node->lock);
    }
}

static meshsync_status node_init_locks(meshsync_node *node)
{
    int count = 0;
    meshsync_status status =
        pthread_mutex_init(&node->lock, NULL) == 0 ? MESHSYNC_OK : MESHSYNC_E_RESOURCE;
    if (status == MESHSYNC_OK) {
        count = 1;
        status = msy_board_init(&node->board);
    }
    if (status == MESHSYNC_OK) {
        count = 2;
        status = msy_notices_init(&node->notices);
    }
    if (status == MESHSYNC_OK) {
        count = 3;
        status = msy_spaces_init(&node->spaces);
    }
    if (status == MESHSYNC_OK) {
        count = 4;
        status = msy_network_init(&node->network, node);
    }
    if (status != MESHSYNC_OK) {
        node_fini_locks(node, count);
    }
    return status;
}

meshsync_status msy_node_open(const meshsync_options *options, meshsync_node **out,
                              meshsync_error *error)
{
    struct msy_alloc alloc;
    msy_alloc_init(&alloc, options->allocate, options->allocate_user,
                   (size_t)options->memory_bytes_max);
    *out = NULL;
    meshsync_node *node = (meshsync_node *)msy_new(&alloc, sizeof *node);
    if (node == NULL) {
        return msy_fail(error, MESHSYNC_E_NO_MEMORY, "node: no memory");
    }
    node->alloc = alloc;
    node->options = *options;
    node->options.path = NULL;
    node->read_only = options->mode == MESHSYNC_MODE_READ;
    node->log.fn = options->log;
    node->log.user = options->log_user;
    node->log.level_max = options->log_level;
    atomic_store(&node->schema_generation, 1);
    meshsync_status status = node_init_locks(node);
    if (status != MESHSYNC_OK) {
        msy_free(&alloc, node, sizeof *node);
        return msy_fail(error, status, "node: no locks");
    }
    msy_fork_mark_init(&node->mark);
    status = node_open_parts(node, options->path, error);
    if (status == MESHSYNC_OK && !node->read_only) {
        status = msy_writer_start(&node->writer, error);
    }
    if (status != MESHSYNC_OK) {
        msy_node_finish(node);
        return status;
    }
    *out = node;
    return MESHSYNC_OK;
}

/* ---- Starting and closing ---- */

meshsync_status msy_node_start(meshsync_node *node, enum msy_net_mode mode, struct uv_loop_s *loop,
                               meshsync_error *error)
{
    meshsync_status status = msy_node_may_write(node, error);
    if (status != MESHSYNC_OK) {
        return MESHSYNC_E_STATE;
    }
    (void)pthread_mutex_lock(&node->lock);
    if (node->closing) {
        status = msy_fail(error, MESHSYNC_E_STATE, "the node is closing");
    } else if (atomic_load(&node->network.started)) {
        status = msy_fail(error, MESHSYNC_E_STATE, "the node was started already");
    } else {
        status = msy_network_start(&node->network, mode, loop, error);
    }
    (void)pthread_mutex_unlock(&node->lock);
    return status;
}

static void node_free_owned(meshsync_node *node)
{
    while (node->owned != NULL) {
        struct msy_owned *owned = node->owned;
        msy_node_disown(node, owned);
        owned->release(owned);
    }
}

void msy_node_finish(meshsync_node *node)
{
    meshsync_close_fn callback = node->close_async ? node->close_fn : NULL;
    void *user = node->close_user;
    struct msy_alloc alloc;
    msy_board_close(&node->board);
    msy_writer_stop(&node->writer);
    msy_writer_join(&node->writer);
    msy_board_drain(&node->board);
    msy_network_fini(&node->network);
    node_free_owned(node);
    struct msy_merge_entry *merge = atomic_load(&node->merges);
    while (merge != NULL) {
        struct msy_merge_entry *next = merge->next;
        msy_free(&node->alloc, merge, sizeof *merge);
        merge = next;
    }
    msy_writer_fini(&node->writer);
    msy_store_close(node->store);
    msy_identity_free(node->identity);
    msy_remember_free(node->remember, &node->alloc);
    node_fini_locks(node, 4);
    if (node->options.path != NULL) {
        msy_free(&node->alloc, (char *)(uintptr_t)node->options.path, node->path_size);
    }
    msy_fork_mark_fini(&node->mark);
    alloc = node->alloc;
    msy_free(&alloc, node, sizeof *node);
    if (callback != NULL) {
        callback(user);
    }
}

/* Whoever comes second is told so. */
static meshsync_status node_begin_close(meshsync_node *node, bool async, meshsync_close_fn callback,
                                        void *user)
{
    (void)pthread_mutex_lock(&node->lock);
    bool first = !node->closing;
    if (first) {
        node->closing = true;
        node->close_async = async;
        node->close_fn = callback;
        node->close_user = user;
    }
    (void)pthread_mutex_unlock(&node->lock);
    if (first) {
        msy_board_close(&node->board);
    }
    return first ? MESHSYNC_OK : MESHSYNC_E_STATE;
}

meshsync_status msy_node_close(meshsync_node *node)
{
    struct msy_network *net = &node->network;
    meshsync_status status = msy_node_may_block(node, false, NULL);
    if (status == MESHSYNC_OK) {
        status = node_begin_close(node, false, NULL, NULL);
    }
    if (status != MESHSYNC_OK) {
        return status;
    }
    if (atomic_load(&net->started)) {
        msy_network_close(net);
        if (net->mode == MSY_NET_THREAD) {
            (void)pthread_join(net->thread, NULL);
        }
        while (net->mode != MSY_NET_THREAD && net->phase != MSY_NET_ENDED) {
            (void)uv_run(net->loop, UV_RUN_ONCE); /* The loop's owner is the caller. */
        }
        if (net->mode == MSY_NET_EXTERNAL) {
            (void)uv_loop_close(net->loop);
        }
    }
    msy_node_finish(node);
    return MESHSYNC_OK;
}

static void *node_closer(void *user)
{
    msy_node_finish((meshsync_node *)user);
    return NULL;
}

meshsync_status msy_node_close_async(meshsync_node *node, meshsync_close_fn callback, void *user)
{
    struct msy_network *net = &node->network;
    pthread_t closer;
    meshsync_status status = node_begin_close(node, true, callback, user);
    if (status != MESHSYNC_OK) {
        return status;
    }
    if (atomic_load(&net->started)) {
        if (net->mode == MSY_NET_THREAD) {
            (void)pthread_detach(net->thread); /* It frees the node when it ends. */
        }
        msy_network_close(net);
        return MESHSYNC_OK;
    }
    status = msy_thread_start(&closer, "meshsync-close", true, node_closer, node, NULL);
    if (status != MESHSYNC_OK && !msy_writer_here(&node->writer)) {
        msy_node_finish(node); /* Blocking a little is better than not closing. */
        status = MESHSYNC_OK;
    }
    return status;
}

/* ---- Checks ---- */

meshsync_status msy_node_check(const meshsync_node *node, meshsync_error *error)
{
    if (!msy_fork_mark_here(&node->mark)) {
        return msy_fail(error, MESHSYNC_E_FORKED, "the node was opened by the parent process");
    }
    return MESHSYNC_OK;
}

meshsync_status msy_node_may_block(const meshsync_node *node, bool peers, meshsync_error *error)
{
    const struct msy_network *net = &node->network;
    if (msy_writer_here(&node->writer)) {
        return msy_fail(error, MESHSYNC_E_IN_CALLBACK,
                        "this call would wait for the writer on the writer's own thread");
    }
    if (msy_network_here(net) && (net->mode == MSY_NET_THREAD || net->in_callback || peers)) {
        return msy_fail(error, MESHSYNC_E_IN_CALLBACK,
                        "this call would block the thread that turns the network");
    }
    return MESHSYNC_OK;
}

meshsync_status msy_node_may_write(const meshsync_node *node, meshsync_error *error)
{
    if (node->read_only) {
        return msy_fail(error, MESHSYNC_E_READ_ONLY, "the node was opened for reading only");
    }
    return MESHSYNC_OK;
}

/* ---- What was given out ---- */

void msy_node_own(meshsync_node *node, struct msy_owned *owned)
{
    (void)pthread_mutex_lock(&node->lock);
    owned->next = node->owned;
    owned->link = &node->owned;
    if (node->owned != NULL) {
        node->owned->link = &owned->next;
    }
    node->owned = owned;
    (void)pthread_mutex_unlock(&node->lock);
}

void msy_node_disown(meshsync_node *node, struct msy_owned *owned)
{
    (void)pthread_mutex_lock(&node->lock);
    *owned->link = owned->next;
    if (owned->next != NULL) {
        owned->next->link = owned->link;
    }
    (void)pthread_mutex_unlock(&node->lock);
}

/* ---- Reading ---- */

meshsync_status msy_node_begin_read(meshsync_node *node, struct msy_store_txn **txn,
                                    meshsync_error *error)
{
    meshsync_status status = msy_store_begin(node->store, MSY_TXN_READ, txn);
    return status == MESHSYNC_OK
               ? MESHSYNC_OK
               : msy_fail(error, status, "reading the store: %s", meshsync_strerror(status));
}

void msy_node_end_read(struct msy_store_txn *txn)
{
    msy_store_abort(txn);
}

/* ---- Merge functions ---- */

static meshsync_merge_fn node_find_merge(void *user, const char *name, uint32_t version,
                                         void **fn_user)
{
    meshsync_node *node = (meshsync_node *)user;
    for (const struct msy_merge_entry *at = atomic_load(&node->merges); at != NULL; at = at->next) {
        if (at->version == version && strcmp(at->name, name) == 0) {
            *fn_user = at->user;
            return at->fn;
        }
    }
    return NULL;
}

struct msy_merge_port msy_node_merges(meshsync_node *node)
{
    return (struct msy_merge_port){.find = node_find_merge, .user = node};
}

meshsync_status msy_node_add_merge(meshsync_node *node, const char *name, uint32_t version,
                                   meshsync_merge_fn fn, void *user, meshsync_error *error)
{
    void *other = NULL;
    struct msy_merge_entry *entry = (struct msy_merge_entry *)msy_new(&node->alloc, sizeof *entry);
    if (entry == NULL) {
        return msy_fail(error, MESHSYNC_E_NO_MEMORY, "merge function: no memory");
    }
    entry->fn = fn;
    entry->user = user;
    entry->version = version;
    memcpy(entry->name, name, strlen(name) + 1);
    (void)pthread_mutex_lock(&node->lock);
    bool known = node_find_merge(node, name, version, &other) != NULL;
    if (!known) {
        entry->next = atomic_load(&node->merges);
        atomic_store(&node->merges, entry);
    }
    (void)pthread_mutex_unlock(&node->lock);
    if (known) {
        msy_free(&node->alloc, entry, sizeof *entry);
        return msy_fail(error, MESHSYNC_E_EXISTS,
                        "merge function \"%s\" version %u is registered already", name,
                        (unsigned)version);
    }
    return MESHSYNC_OK;
}

/* ---- Notices and statistics ---- */

void msy_node_notice(meshsync_node *node, meshsync_event_type type, uint32_t space,
                     const uint8_t *device, const char *words)
{
    struct msy_notice notice = {
        .type = (int32_t)type, .space = space, .unix_ms = msy_clock_unix_ms()};
    if (device != NULL) {
        memcpy(notice.device, device, sizeof notice.device);
    }
    if (words != NULL) {
        (void)snprintf(notice.words, sizeof notice.words, "%s", words);
    }
    msy_notices_tell(&node->notices, &notice);
}

static uint64_t node_oldest_ms(meshsync_node *node)
{
    uint64_t now_ms = msy_clock_mono_ms();
    uint64_t oldest_ms = now_ms;
    (void)pthread_mutex_lock(&node->lock);
    for (const struct msy_owned *at = node->owned; at != NULL; at = at->next) {
        uint64_t pinned_ms = atomic_load(&at->pinned_ms);
        if (pinned_ms != 0 && pinned_ms < oldest_ms) {
            oldest_ms = pinned_ms;
        }
    }
    (void)pthread_mutex_unlock(&node->lock);
    return now_ms - oldest_ms;
}

meshsync_status msy_node_get_stats(meshsync_node *node, meshsync_stats *stats)
{
    struct msy_replica_stats replica = {0};
    struct msy_mesh_stats mesh = {0};
    struct msy_store_stats store = {0};
    struct msy_store_txn *txn = NULL;
    meshsync_status status = msy_store_get_stats(node->store, &store);
    if (status == MESHSYNC_OK) {
        status = msy_node_begin_read(node, &txn, NULL);
    }
    if (status == MESHSYNC_OK) {
        status = msy_history_last_lsn(txn, &stats->lsn);
        msy_node_end_read(txn);
    }
    if (!node->read_only) {
        msy_writer_get_stats(&node->writer, &replica);
        msy_network_get_stats(&node->network, &mesh);
    }
    stats->changes_local = replica.changes_local;
    stats->changes_in = replica.changes_in;
    stats->changes_out = mesh.changes_out;
    stats->changes_duplicate = replica.changes_duplicate;
    stats->changes_rejected = replica.changes_rejected;
    stats->changes_pending = replica.changes_pending;
    stats->changes_held = replica.changes_held;
    stats->ops_local = replica.ops_local;
    stats->ops_in = replica.ops_in;
    stats->conflicts = replica.conflicts;
    stats->commits = replica.commits;
    stats->bytes_in = mesh.bytes_in;
    stats->bytes_out = mesh.bytes_out;
    stats->sessions = mesh.sessions;
    stats->handshakes_failed = mesh.handshakes_failed;
    stats->alarms = replica.alarms + mesh.alarms;
    stats->store_map_bytes = store.map_bytes;
    stats->store_used_bytes = store.used_bytes;
    stats->store_bytes_max = store.bytes_max;
    stats->store_readers = store.readers_count;
    stats->snapshot_oldest_ms = node_oldest_ms(node);
    stats->memory_bytes = __atomic_load_n(&node->alloc.bytes_used, __ATOMIC_RELAXED);
    return status;
}
