/* SPDX-License-Identifier: Apache-2.0 */
#include "shell/writer.h"

#include <errno.h>

#include "shell/clock.h"
#include "shell/node.h"

/* ---- Work ---- */

void msy_work_init(struct msy_work *work, meshsync_node *node,
                   void (*release)(struct msy_work *work))
{
    memset(work, 0, sizeof *work);
    work->node = node;
    work->release = release;
    msy_request_init(&work->request, &node->alloc);
    msy_buf_init(&work->bytes, &node->alloc, MSY_INBOX_BYTES_MAX);
}

static void work_free(struct msy_work *work)
{
    struct msy_alloc *alloc = &work->node->alloc;
    msy_request_fini(&work->request);
    msy_buf_fini(&work->bytes);
    msy_free(alloc, work, sizeof *work);
}

struct msy_work *msy_work_new(meshsync_node *node)
{
    struct msy_work *work = (struct msy_work *)msy_new(&node->alloc, sizeof *work);
    if (work != NULL) {
        msy_work_init(work, node, work_free);
    }
    return work;
}

void msy_work_answer(struct msy_work *work, meshsync_status status, const struct msy_tip *tip,
                     uint32_t space, const meshsync_error *error)
{
    meshsync_error words;
    if (error == NULL || error->status != status) {
        (void)msy_fail(&words, status, "%s", meshsync_strerror(status));
        error = &words;
    }
    if (work->answer != NULL) {
        struct msy_answer *answer = work->answer;
        work->answer = NULL;
        answer->status = status;
        answer->space = space;
        if (tip != NULL) {
            answer->tip = *tip;
        }
        answer->error = *error;
        (void)sem_post(&answer->done); /* From here on it is the caller's again. */
    } else if (work->callback != NULL) {
        meshsync_commit_fn callback = work->callback;
        meshsync_token token = {0};
        work->callback = NULL;
        if (tip != NULL && tip->seq > 0) {
            (void)msy_token_make(tip, 1, &token); /* One tip always fits. */
        }
        callback(work->user, status, &token, status == MESHSYNC_OK ? NULL : error);
    }
}

/* ---- The inbox ---- */

static bool writer_full(const struct msy_writer *writer, const struct msy_work *work)
{
    return writer->inbox_count >= MSY_INBOX_COUNT_MAX ||
           (writer->inbox_count > 0 && writer->inbox_bytes + work->weight > MSY_INBOX_BYTES_MAX);
}

meshsync_status msy_writer_put(struct msy_writer *writer, struct msy_work *work,
                               enum msy_writer_put how)
{
    meshsync_status status = MESHSYNC_OK;
    work->weight = sizeof *work + work->request.bytes.len + work->bytes.len;
    work->next = NULL;
    (void)pthread_mutex_lock(&writer->lock);
    while (how == MSY_WRITER_BLOCK && writer_full(writer, work) && !writer->stopping) {
        writer->inbox_waiting += 1;
        (void)pthread_cond_wait(&writer->room, &writer->lock);
        writer->inbox_waiting -= 1;
    }
    if (writer->stopping) {
        status = MESHSYNC_E_CANCELLED;
    } else if (writer->frozen != MESHSYNC_OK) {
        status = writer->frozen;
    } else if (how == MSY_WRITER_TRY && writer_full(writer, work)) {
        status = MESHSYNC_E_BUSY;
    } else {
        *writer->last = work;
        writer->last = &work->next;
        writer->inbox_count += 1;
        writer->inbox_bytes += work->weight;
        if (writer->inbox_count == 1 || writer->inbox_count == writer->inbox_goal) {
            (void)pthread_cond_signal(&writer->filled);
        }
    }
    (void)pthread_mutex_unlock(&writer->lock);
    return status;
}

meshsync_status msy_writer_call(struct msy_writer *writer, struct msy_work *work,
                                struct msy_answer *answer)
{
    memset(answer, 0, sizeof *answer);
    if (sem_init(&answer->done, 0, 0) != 0) {
        answer->status = msy_fail_errno(&answer->error, MESHSYNC_E_RESOURCE, errno, "semaphore");
        work->release(work);
        return answer->status;
    }
    work->answer = answer;
    meshsync_status status = msy_writer_put(writer, work, MSY_WRITER_BLOCK);
    if (status != MESHSYNC_OK) {
        work->answer = NULL;
        work->release(work);
        answer->status =
            msy_fail(&answer->error, status, "the writer: %s", meshsync_strerror(status));
    } else {
        while (sem_wait(&answer->done) != 0) {
            /* EINTR: a signal of the host's. */
        }
    }
    (void)sem_destroy(&answer->done);
    return answer->status;
}

bool msy_writer_pauses(struct msy_writer *writer)
{
    (void)pthread_mutex_lock(&writer->lock);
    bool pauses = writer->inbox_bytes > MSY_INBOX_BYTES_HIGH && !writer->stopping;
    writer->paused = writer->paused || pauses;
    (void)pthread_mutex_unlock(&writer->lock);
    return pauses;
}

bool msy_writer_still_paused(struct msy_writer *writer)
{
    (void)pthread_mutex_lock(&writer->lock);
    bool paused = writer->paused;
    (void)pthread_mutex_unlock(&writer->lock);
    return paused;
}

bool msy_writer_here(const struct msy_writer *writer)
{
    return pthread_equal(pthread_self(), atomic_load(&writer->self));
}

void msy_writer_get_stats(struct msy_writer *writer, struct msy_replica_stats *stats)
{
    (void)pthread_mutex_lock(&writer->lock);
    *stats = writer->stats;
    (void)pthread_mutex_unlock(&writer->lock);
}

/* ---- The batch ---- */

/* Takes what waits, as much as one transaction may have. Under the lock. */
static void writer_take(struct msy_writer *writer)
{
    uint64_t ops = 0;
    size_t bytes = 0;
    writer->count = 0;
    while (writer->first != NULL && writer->count < MSY_BATCH_COUNT_MAX) {
        struct msy_work *work = writer->first;
        ops += work->request.intents_count;
        if (writer->count > 0 &&
            (ops > MSY_BATCH_OPS_MAX || bytes + work->weight > MSY_BATCH_BYTES_MAX)) {
            break;
        }
        bytes += work->weight;
        writer->first = work->next;
        writer->inbox_count -= 1;
        writer->inbox_bytes -= work->weight;
        work->next = NULL;
        writer->works[writer->count] = work;
        writer->events[writer->count] = work->event;
        writer->events[writer->count].id = writer->id_first + writer->count;
        writer->count += 1;
    }
    if (writer->first == NULL) {
        writer->last = &writer->first;
    }
    if (writer->inbox_waiting > 0) {
        (void)pthread_cond_broadcast(&writer->room);
    }
}

static struct msy_work *writer_work_of(struct msy_writer *writer, uint64_t id)
{
    return id >= writer->id_first && id - writer->id_first < writer->count
               ? writer->works[id - writer->id_first]
               : NULL;
}

/* Commits that are answered before the store commits. */
static void writer_early(void *user, const struct msy_replica_effects *early)
{
    struct msy_writer *writer = (struct msy_writer *)user;
    for (uint32_t i = 0; i < early->count; i++) {
        const struct msy_replica_effect *effect = &early->items[i];
        struct msy_work *work = writer_work_of(writer, effect->id);
        if (work != NULL && work->ack == MESHSYNC_ACK_QUEUED) {
            msy_work_answer(work, MESHSYNC_OK, &effect->tip, effect->space, NULL);
        }
    }
}

static void writer_received(struct msy_writer *writer, const struct msy_replica_effect *effect,
                            meshsync_status status)
{
    struct msy_work *work = writer_work_of(writer, effect->id);
    struct msy_mesh_event event = {.type = MSY_MESH_RECEIVED,
                                   .space = effect->space,
                                   .status = status,
                                   .accepted_count = effect->accepted,
                                   .duplicate_count = effect->duplicate,
                                   .rejected_count = effect->rejected};
    if (work != NULL && work->answer != NULL) { /* Not from a session: a caller waits. */
        work->answer->received.accepted = effect->accepted;
        work->answer->received.duplicate = effect->duplicate;
        work->answer->received.pending = effect->pending;
        work->answer->received.rejected = effect->rejected;
        msy_work_answer(work, status, NULL, effect->space, NULL);
    } else if (work != NULL) {
        event.id = work->submit_id;
        msy_network_tell(&writer->node->network, &event);
    }
}

static void writer_done(struct msy_writer *writer, const struct msy_replica_effect *effect)
{
    struct msy_work *work = writer_work_of(writer, effect->id);
    if (work == NULL) {
        return;
    }
    if (effect->status == MESHSYNC_OK && work->ack >= 1 && work->callback != NULL &&
        effect->tip.seq > 0) {
        work->tip = effect->tip;
        work->event.space = effect->space;
        if (msy_network_await(&writer->node->network, work)) {
            writer->works[effect->id - writer->id_first] = NULL; /* It is the network's now. */
            return;
        }
        msy_work_answer(work, MESHSYNC_E_TIMEOUT, &effect->tip, effect->space, NULL);
        return;
    }
    msy_work_answer(work, effect->status, &effect->tip, effect->space, &effect->error);
}

static void writer_perform_one(struct msy_writer *writer, const struct msy_replica_effect *effect)
{
    meshsync_node *node = writer->node;
    struct msy_mesh_event event = {.space = effect->space,
                                   .tip = effect->tip,
                                   .lsn_first = effect->lsn_first,
                                   .lsn_last = effect->lsn_last};
    switch (effect->type) {
    case MSY_REPLICA_DONE: writer_done(writer, effect); return;
    case MSY_REPLICA_QUEUED: return; /* Was performed before the commit. */
    case MSY_REPLICA_RECEIVED: writer_received(writer, effect, effect->status); return;
    case MSY_REPLICA_COMMITTED: event.type = MSY_MESH_COMMITTED; break;
    case MSY_REPLICA_SPACES: event.type = MSY_MESH_SPACES; break;
    case MSY_REPLICA_MISSING: event.type = MSY_MESH_MISSING; break;
    case MSY_REPLICA_ALARM:
        msy_node_notice(node, MESHSYNC_EVENT_ALARM, effect->space, NULL, effect->error.message);
        msy_log_write(&node->log, MSY_LOG_ERROR, "replica", "%s", effect->error.message);
        return;
    }
    msy_network_tell(&node->network, &event);
}

static void writer_publish_stats(struct msy_writer *writer)
{
    struct msy_replica_stats now = writer->base;
    struct msy_replica_stats of_machine;
    msy_replica_get_stats(writer->replica, &of_machine);
    now.changes_local += of_machine.changes_local;
    now.changes_in += of_machine.changes_in;
    now.changes_duplicate += of_machine.changes_duplicate;
    now.changes_rejected += of_machine.changes_rejected;
    now.changes_pending = of_machine.changes_pending;
    now.changes_held = of_machine.changes_held;
    now.ops_local += of_machine.ops_local;
    now.ops_in += of_machine.ops_in;
    now.conflicts += of_machine.conflicts;
    now.commits += of_machine.commits;
    now.alarms += of_machine.alarms;
    (void)pthread_mutex_lock(&writer->lock);
    writer->stats = now;
    (void)pthread_mutex_unlock(&writer->lock);
}

/* Everything that others may see is brought up to date before anybody is answered: whoever has an
 * answer finds what it speaks of. */
static void writer_perform(struct msy_writer *writer)
{
    meshsync_node *node = writer->node;
    const struct msy_replica_effects *effects = &writer->effects;
    bool committed = false;
    bool spaces = false;
    for (uint32_t i = 0; i < effects->count; i++) {
        committed = committed || effects->items[i].type == MSY_REPLICA_COMMITTED;
        spaces = spaces || effects->items[i].type == MSY_REPLICA_SPACES;
    }
    if (spaces) {
        msy_spaces_touch(&node->spaces);
        (void)atomic_fetch_add(&node->schema_generation, 1);
    }
    writer_publish_stats(writer);
    for (uint32_t i = 0; i < effects->count; i++) {
        writer_perform_one(writer, &effects->items[i]);
    }
    if (committed) {
        msy_network_committed(&node->network);
        msy_notices_committed(&node->notices);
    }
    if (committed || spaces) {
        msy_board_raise(&node->board);
    }
}

/* ---- When a step fails ---- */

static void writer_freeze(struct msy_writer *writer, meshsync_status status)
{
    (void)pthread_mutex_lock(&writer->lock);
    writer->frozen = status;
    (void)pthread_mutex_unlock(&writer->lock);
    msy_log_write(&writer->node->log, MSY_LOG_ERROR, "writer", "stopped: %s",
                  meshsync_strerror(status));
    msy_node_notice(writer->node, MESHSYNC_EVENT_ALARM, 0, NULL,
                    "internal error: this node writes no more until it is opened again");
}

/* An invariant that broke anywhere in the process, on whatever thread, since the node was opened:
 * what is in memory is not to be trusted with the store. */
static void writer_look(struct msy_writer *writer)
{
    if (writer->frozen == MESHSYNC_OK && msy_assert_failures() != writer->assertions) {
        writer_freeze(writer, MESHSYNC_E_INTERNAL);
    }
}

static meshsync_status writer_open_machine(struct msy_writer *writer, meshsync_error *error)
{
    meshsync_node *node = writer->node;
    struct msy_replica_options options = {
        .alloc = &node->alloc,
        .store = node->store,
        .identity = node->identity,
        .entropy = node->entropy,
        .log = &node->log,
        .clock_ahead_ms_max = node->options.clock_ahead_ms_max,
        .crew = &writer->crew.port,
    };
    if (!writer->checked && msy_store_is_suspect(node->store)) {
        options.check_entries_max = MSY_CHECK_ENTRIES_MAX;
    }
    meshsync_status status =
        msy_replica_open(&options, msy_clock_unix_ms(), &writer->replica, error);
    writer->checked = status == MESHSYNC_OK;
    return status;
}

static void writer_drop_machine(struct msy_writer *writer)
{
    msy_replica_close(writer->replica);
    writer->replica = NULL;
    (void)pthread_mutex_lock(&writer->lock);
    writer->base = writer->stats;
    writer->base.changes_pending = 0;
    writer->base.changes_held = 0;
    (void)pthread_mutex_unlock(&writer->lock);
}

/* Rule 2 of the core: a step that failed is a restart. What peers were told in the meantime may
 * speak of what is gone, so they are hung up on, and begin anew. */
static void writer_failed(struct msy_writer *writer, meshsync_status status,
                          const meshsync_error *error)
{
    msy_log_write(&writer->node->log, MSY_LOG_WARN, "writer",
                  "a batch of %u failed, beginning anew: %s", (unsigned)writer->count,
                  meshsync_strerror(status));
    if (writer->replica != NULL) {
        writer_drop_machine(writer);
    }
    if (status == MESHSYNC_E_INTERNAL && writer->frozen == MESHSYNC_OK) {
        writer_freeze(writer, status);
    }
    if (status == MESHSYNC_E_STORE_FULL || status == MESHSYNC_E_DISK_FULL) {
        msy_network_restart_full(&writer->node->network);
    } else {
        msy_network_restart(&writer->node->network);
    }
    for (uint32_t i = 0; i < writer->count; i++) {
        msy_work_answer(writer->works[i], status, NULL, 0, error);
    }
}

/* ---- The thread ---- */

static void writer_release(struct msy_writer *writer)
{
    for (uint32_t i = 0; i < writer->count; i++) {
        if (writer->works[i] != NULL) {
            writer->works[i]->release(writer->works[i]);
        }
    }
    writer->id_first += writer->count;
    writer->count = 0;
}

static meshsync_status writer_step(struct msy_writer *writer,
                                   const struct msy_replica_event *events, uint32_t count)
{
    uint64_t unix_ms = msy_clock_unix_ms();
    struct msy_wall wall;
    msy_network_get_wall(&writer->node->network, &wall);
    struct msy_wall_time time = msy_wall_time(&wall, unix_ms, msy_clock_mono_ms());
    msy_replica_set_time(writer->replica, time.at_least_ms, time.at_most_ms);
    return msy_replica_step(writer->replica, events, count, unix_ms, writer_early, writer,
                            &writer->effects);
}

static void writer_run(struct msy_writer *writer)
{
    meshsync_error error;
    meshsync_status status = MESHSYNC_OK;
    msy_error_clear(&error);
    writer_look(writer);
    if (writer->frozen != MESHSYNC_OK) {
        status = writer->frozen; /* Written by this thread alone. */
    } else if (writer->replica == NULL) {
        status = writer_open_machine(writer, &error);
    }
    if (status == MESHSYNC_OK) {
        status = writer_step(writer, writer->events, writer->count);
    }
    if (status == MESHSYNC_OK) {
        writer_perform(writer);
        writer_look(writer);
    } else {
        writer_failed(writer, status, &error);
    }
    writer_release(writer);
}

/* Nobody asked for anything for a while: time itself is the news. */
static void writer_tick(struct msy_writer *writer)
{
    struct msy_replica_event tick = {.type = MSY_REPLICA_TICK, .id = writer->id_first};
    uint64_t now_ms = msy_clock_mono_ms();
    uint32_t freed = 0;
    if (now_ms >= writer->sweep_at_ms) {
        writer->sweep_at_ms = now_ms + MSY_WRITER_SWEEP_MS;
        (void)msy_store_sweep_readers(writer->node->store, &freed); /* Next time, then. */
    }
    writer_look(writer);
    if (writer->replica == NULL || writer->frozen != MESHSYNC_OK) {
        return; /* It is opened when there is something to do. */
    }
    writer->id_first += 1;
    writer->count = 0;
    meshsync_status status = writer_step(writer, &tick, 1);
    if (status == MESHSYNC_OK) {
        writer_perform(writer);
    } else {
        writer_failed(writer, status, NULL);
    }
}

/* Under the lock, with work waiting: a batch that begins with the first of many that are about to
 * come would sync to disk for one alone, and the others would wait for that. */
static void writer_gather(struct msy_writer *writer)
{
    uint32_t goal = writer->last_count / 2;
    uint64_t us = writer->last_us / 8 < MSY_GATHER_US_MAX ? writer->last_us / 8 : MSY_GATHER_US_MAX;
    struct timespec at = msy_clock_timespec_us(msy_clock_mono_us() + us);
    bool timed_out = writer->last_count < MSY_GATHER_COUNT_MIN;
    writer->inbox_goal = goal;
    while (!timed_out && writer->inbox_count < goal && !writer->stopping) {
        timed_out = pthread_cond_timedwait(&writer->filled, &writer->lock, &at) == ETIMEDOUT;
    }
    writer->inbox_goal = 0;
}

/* Waits for work until the tick is due; false when the thread is to end. */
static bool writer_wait(struct msy_writer *writer, uint64_t tick_at_ms, bool *resume)
{
    struct timespec at = msy_clock_timespec(tick_at_ms);
    bool timed_out = false;
    (void)pthread_mutex_lock(&writer->lock);
    while (writer->first == NULL && !writer->stopping && !timed_out) {
        timed_out = pthread_cond_timedwait(&writer->filled, &writer->lock, &at) == ETIMEDOUT;
    }
    if (writer->first != NULL) {
        writer_gather(writer);
    }
    bool goes_on = !writer->stopping;
    if (goes_on) {
        writer_take(writer);
    }
    *resume = writer->paused && writer->inbox_bytes <= MSY_INBOX_BYTES_HIGH / 2;
    writer->paused = writer->paused && !*resume;
    (void)pthread_mutex_unlock(&writer->lock);
    return goes_on;
}

/* What was never taken in. */
static void writer_cancel(struct msy_writer *writer)
{
    (void)pthread_mutex_lock(&writer->lock);
    struct msy_work *work = writer->first;
    writer->first = NULL;
    writer->last = &writer->first;
    writer->inbox_count = 0;
    writer->inbox_bytes = 0;
    (void)pthread_cond_broadcast(&writer->room);
    (void)pthread_mutex_unlock(&writer->lock);
    while (work != NULL) {
        struct msy_work *next = work->next;
        msy_work_answer(work, MESHSYNC_E_CANCELLED, NULL, 0, NULL);
        work->release(work);
        work = next;
    }
}

static void *writer_main(void *user)
{
    struct msy_writer *writer = (struct msy_writer *)user;
    uint64_t tick_at_ms = msy_clock_mono_ms() + MSY_WRITER_TICK_MS;
    bool resume = false;
    atomic_store(&writer->self, pthread_self());
    while (writer_wait(writer, tick_at_ms, &resume)) {
        if (resume) {
            msy_network_resume(&writer->node->network);
        }
        if (writer->count > 0) {
            uint64_t start_us = msy_clock_mono_us();
            writer->last_count = writer->count;
            writer_run(writer);
            writer->last_us = msy_clock_mono_us() - start_us;
        }
        if (msy_clock_mono_ms() >= tick_at_ms) {
            writer_tick(writer);
            tick_at_ms = msy_clock_mono_ms() + MSY_WRITER_TICK_MS;
        }
    }
    writer_cancel(writer);
    msy_network_writer_done(&writer->node->network);
    return NULL;
}

/* ---- Beginning and ending ---- */

meshsync_status msy_writer_init(struct msy_writer *writer, meshsync_node *node,
                                meshsync_error *error)
{
    memset(writer, 0, sizeof *writer);
    writer->node = node;
    writer->assertions = msy_assert_failures();
    writer->last = &writer->first;
    writer->id_first = 1;
    msy_replica_effects_init(&writer->effects, &node->alloc);
    if (pthread_mutex_init(&writer->lock, NULL) != 0) {
        writer->node = NULL;
        return msy_fail(error, MESHSYNC_E_RESOURCE, "writer: no mutex");
    }
    meshsync_status status = msy_cond_init(&writer->filled);
    if (status != MESHSYNC_OK) {
        (void)pthread_mutex_destroy(&writer->lock);
        writer->node = NULL;
        return msy_fail(error, status, "writer: no condition");
    }
    status = msy_cond_init(&writer->room);
    if (status != MESHSYNC_OK) {
        (void)pthread_cond_destroy(&writer->filled);
        (void)pthread_mutex_destroy(&writer->lock);
        writer->node = NULL;
        return msy_fail(error, status, "writer: no condition");
    }
    writer->events = (struct msy_replica_event *)msy_new_array(&node->alloc, MSY_BATCH_COUNT_MAX,
                                                               sizeof *writer->events);
    writer->works = (struct msy_work **)msy_new_array(&node->alloc, MSY_BATCH_COUNT_MAX,
                                                      sizeof(struct msy_work *));
    if (writer->events == NULL || writer->works == NULL) {
        return msy_fail(error, MESHSYNC_E_NO_MEMORY, "writer: no memory");
    }
    status = msy_crew_init(&writer->crew, error);
    return status == MESHSYNC_OK ? writer_open_machine(writer, error) : status;
}

meshsync_status msy_writer_start(struct msy_writer *writer, meshsync_error *error)
{
    meshsync_status status =
        msy_thread_start(&writer->thread, "meshsync-write", false, writer_main, writer, error);
    writer->running = status == MESHSYNC_OK;
    return status;
}

void msy_writer_stop(struct msy_writer *writer)
{
    if (writer->node == NULL) {
        return; /* It never began. */
    }
    (void)pthread_mutex_lock(&writer->lock);
    writer->stopping = true;
    (void)pthread_cond_broadcast(&writer->filled);
    (void)pthread_cond_broadcast(&writer->room);
    (void)pthread_mutex_unlock(&writer->lock);
}

void msy_writer_join(struct msy_writer *writer)
{
    if (writer->running) {
        (void)pthread_join(writer->thread, NULL);
        writer->running = false;
    }
}

void msy_writer_fini(struct msy_writer *writer)
{
    if (writer->node == NULL) {
        return; /* It never began. */
    }
    struct msy_alloc *alloc = &writer->node->alloc;
    msy_replica_close(writer->replica);
    msy_crew_fini(&writer->crew);
    msy_replica_effects_fini(&writer->effects);
    msy_free(alloc, writer->events, MSY_BATCH_COUNT_MAX * sizeof *writer->events);
    msy_free(alloc, writer->works, MSY_BATCH_COUNT_MAX * sizeof(struct msy_work *));
    (void)pthread_cond_destroy(&writer->room);
    (void)pthread_cond_destroy(&writer->filled);
    (void)pthread_mutex_destroy(&writer->lock);
    writer->node = NULL;
}
