/* SPDX-License-Identifier: Apache-2.0 */
/* The replica machine: opening, the step, and what the other files of the folder share. */
#include "replica/replica.h"

#include "base/error.h"
#include "replica/control.h"
#include "replica/machine.h"

/* ---- Effects ---- */

void msy_replica_effects_init(struct msy_replica_effects *effects, struct msy_alloc *alloc)
{
    memset(effects, 0, sizeof *effects);
    effects->alloc = alloc;
}

void msy_replica_effects_fini(struct msy_replica_effects *effects)
{
    msy_free(effects->alloc, effects->items, effects->cap * sizeof *effects->items);
    effects->items = NULL;
    effects->count = 0;
    effects->cap = 0;
}

struct msy_replica_effect *msy_replica_effect(struct msy_replica *replica,
                                              enum msy_replica_effect_type type)
{
    struct msy_replica_effects *effects =
        type == MSY_REPLICA_QUEUED ? &replica->early : replica->effects;
    if (effects->count == effects->cap) {
        uint32_t cap = effects->cap == 0 ? 16 : effects->cap * 2;
        struct msy_replica_effect *grown = (struct msy_replica_effect *)msy_resize(
            effects->alloc, effects->items, effects->cap * sizeof *grown, cap * sizeof *grown);
        if (grown == NULL) {
            return NULL;
        }
        effects->items = grown;
        effects->cap = cap;
    }
    struct msy_replica_effect *effect = &effects->items[effects->count];
    effects->count += 1;
    memset(effect, 0, sizeof *effect);
    effect->type = type;
    return effect;
}

/* ---- Spaces and collections ---- */

struct msy_space_state *msy_replica_space(struct msy_replica *replica, uint32_t number)
{
    for (uint32_t i = 0; i < replica->spaces_count; i++) {
        if (replica->spaces[i].number == number) {
            return &replica->spaces[i];
        }
    }
    return NULL;
}

meshsync_status msy_replica_add_space(struct msy_replica *replica,
                                      const struct msy_space_row_descriptor *row, uint32_t number,
                                      struct msy_space_state **space)
{
    if (replica->spaces_count == replica->spaces_cap) {
        uint32_t cap = replica->spaces_cap == 0 ? 4 : replica->spaces_cap * 2;
        struct msy_space_state *grown = (struct msy_space_state *)msy_resize(
            replica->alloc, replica->spaces, replica->spaces_cap * sizeof *grown,
            cap * sizeof *grown);
        if (grown == NULL) {
            return MESHSYNC_E_NO_MEMORY;
        }
        replica->spaces = grown;
        replica->spaces_cap = cap;
    }
    struct msy_space_state *made = &replica->spaces[replica->spaces_count];
    replica->spaces_count += 1;
    memset(made, 0, sizeof *made);
    made->number = number;
    made->row = *row;
    msy_vector_init(&made->heads, replica->alloc);
    *space = made;
    replica->numbers_dirty = true;
    return MESHSYNC_OK;
}

meshsync_status msy_replica_put_row(struct msy_replica *replica,
                                    const struct msy_space_state *space)
{
    uint8_t key[5];
    struct msy_buf row;
    msy_buf_init(&row, replica->alloc, 512);
    meshsync_status status = msy_buf_reserve(&row, 256);
    if (status == MESHSYNC_OK) {
        msy_space_row_write(&space->row, &row);
        status = msy_store_put(replica->txn, MSY_TABLE_SPACES,
                               msy_key_space(key, space->number, MSY_SPACE_ROW_DESCRIPTOR),
                               msy_buf_bytes(&row), MSY_PUT_ANY);
        msy_wipe(row.data, row.len);
    }
    msy_buf_fini(&row);
    return status;
}

static meshsync_status replica_new_collection(struct msy_replica *replica,
                                              const struct msy_space_state *space,
                                              meshsync_bytes name, uint32_t *number)
{
    uint8_t key[5 + MESHSYNC_NAME_BYTES_MAX];
    uint8_t value[4];
    *number = replica->collection_next;
    replica->collection_next += 1;
    replica->numbers_dirty = true;
    msy_put_be32(value, *number);
    meshsync_status status =
        msy_store_put(replica->txn, MSY_TABLE_NAMES, msy_key_collection(key, space->number, name),
                      msy_bytes(value, sizeof value), MSY_PUT_ANY);
    if (status == MESHSYNC_OK) {
        /* An empty name is stored as one zero byte: values are not empty. */
        static const uint8_t none[1] = {0};
        status = msy_store_put(replica->txn, MSY_TABLE_NAMES,
                               msy_key_collection_number(key, space->number, *number),
                               name.len == 0 ? msy_bytes(none, 1) : name, MSY_PUT_ANY);
    }
    return status;
}

static meshsync_status replica_collection_type(struct msy_replica *replica,
                                               const struct msy_space_state *space,
                                               struct msy_collection_state *collection)
{
    struct msy_schema schema;
    meshsync_status status = msy_schema_find(
        replica->txn, space->number, msy_bytes(collection->name, collection->name_len), &schema);
    collection->type = status == MESHSYNC_OK ? schema.type : 0;
    return status == MESHSYNC_E_NOT_FOUND ? MESHSYNC_OK : status;
}

static meshsync_status replica_keep_collection(struct msy_replica *replica,
                                               struct msy_space_state *space, meshsync_bytes name,
                                               uint32_t number,
                                               struct msy_collection_state **collection)
{
    if (space->collections_count == space->collections_cap) {
        uint32_t cap = space->collections_cap == 0 ? 8 : space->collections_cap * 2;
        struct msy_collection_state *grown = (struct msy_collection_state *)msy_resize(
            replica->alloc, space->collections, space->collections_cap * sizeof *grown,
            cap * sizeof *grown);
        if (grown == NULL) {
            return MESHSYNC_E_NO_MEMORY;
        }
        space->collections = grown;
        space->collections_cap = cap;
    }
    *collection = &space->collections[space->collections_count];
    space->collections_count += 1;
    memset(*collection, 0, sizeof **collection);
    if (name.len > 0) {
        memcpy((*collection)->name, name.data, name.len);
    }
    (*collection)->name_len = (uint8_t)name.len;
    (*collection)->number = number;
    (*collection)->type = -1;
    return MESHSYNC_OK;
}

meshsync_status msy_replica_collection(struct msy_replica *replica, struct msy_space_state *space,
                                       meshsync_bytes name, bool make,
                                       struct msy_collection_state **collection)
{
    uint32_t number = 0;
    meshsync_status status = MESHSYNC_OK;
    *collection = NULL;
    for (uint32_t i = 0; i < space->collections_count && *collection == NULL; i++) {
        struct msy_collection_state *known = &space->collections[i];
        if (msy_bytes_equal(msy_bytes(known->name, known->name_len), name)) {
            *collection = known;
        }
    }
    if (*collection == NULL) {
        status = msy_control_number(replica->txn, space->number, name, &number);
        if (status == MESHSYNC_E_NOT_FOUND && !make) {
            struct msy_schema schema; /* Declared, but nothing was written to it yet. */
            meshsync_status declared = msy_schema_find(replica->txn, space->number, name, &schema);
            make = declared == MESHSYNC_OK;
            status = declared == MESHSYNC_OK ? MESHSYNC_E_NOT_FOUND : declared;
        }
        if (status == MESHSYNC_E_NOT_FOUND && make) {
            status = replica_new_collection(replica, space, name, &number);
        }
        if (status == MESHSYNC_OK) {
            status = replica_keep_collection(replica, space, name, number, collection);
        }
    }
    if (status == MESHSYNC_OK && (*collection)->type < 0) {
        status = replica_collection_type(replica, space, *collection);
    }
    return status;
}

/* ---- Caches of what never changes ---- */

meshsync_status msy_replica_ref(struct msy_replica *replica, uint64_t lsn, struct msy_ref *ref)
{
    struct msy_ref_slot *slot = &replica->refs[lsn & (MSY_REF_CACHE_SLOTS - 1)];
    struct msy_record record;
    if (slot->lsn == lsn) {
        *ref = slot->ref;
        return MESHSYNC_OK;
    }
    struct msy_change_header *header = &replica->scratch_header;
    meshsync_status status = msy_history_record_raw(replica->txn, lsn, &record);
    if (status == MESHSYNC_OK) { /* What it says goes into a signed change. */
        status = msy_control_header(&record, header);
    }
    if (status != MESHSYNC_OK) {
        return status == MESHSYNC_E_NOT_FOUND ? MESHSYNC_E_STORE_CORRUPT : status;
    }
    slot->lsn = lsn;
    slot->ref.actor = header->actor;
    slot->ref.seq = header->seq;
    slot->ref.hash_prefix = msy_get_be64(record.hash);
    *ref = slot->ref;
    return MESHSYNC_OK;
}

static struct msy_device_slot *replica_device_slot(struct msy_replica *replica, uint32_t space,
                                                   const struct msy_actor *actor)
{
    uint64_t at = msy_get_be64(actor->id) ^ space;
    return &replica->devices[at & (MSY_DEVICE_CACHE_SLOTS - 1)];
}

void msy_replica_know_device(struct msy_replica *replica, uint32_t space,
                             const struct msy_actor *actor, const uint8_t device[32])
{
    struct msy_device_slot *slot = replica_device_slot(replica, space, actor);
    slot->used = true;
    slot->space = space;
    slot->actor = *actor;
    memcpy(slot->device, device, sizeof slot->device);
}

meshsync_status msy_replica_device(struct msy_replica *replica, uint32_t space,
                                   const struct msy_actor *actor, uint8_t device[32])
{
    struct msy_device_slot *slot = replica_device_slot(replica, space, actor);
    struct msy_epoch epoch;
    if (slot->used && slot->space == space && msy_actor_equal(&slot->actor, actor)) {
        memcpy(device, slot->device, sizeof slot->device);
        return MESHSYNC_OK;
    }
    meshsync_status status = msy_history_epoch(replica->txn, space, actor, &epoch);
    if (status == MESHSYNC_OK) {
        memcpy(device, epoch.device, sizeof epoch.device);
        msy_replica_know_device(replica, space, actor, device);
    }
    return status;
}

meshsync_status msy_replica_is_member(struct msy_replica *replica, uint32_t space,
                                      const uint8_t device[32], bool *member)
{
    uint64_t at = msy_get_be64(device) ^ space;
    struct msy_member_slot *slot = &replica->members[at & (MSY_DEVICE_CACHE_SLOTS - 1)];
    *member = slot->used && slot->space == space && memcmp(slot->device, device, 32) == 0;
    if (*member) {
        return MESHSYNC_OK;
    }
    meshsync_status status =
        msy_members_has(replica->txn, space, device, replica->verified, member);
    if (status == MESHSYNC_OK && *member) {
        slot->used = true;
        slot->space = space;
        memcpy(slot->device, device, 32);
    }
    return status;
}

/* ---- The step ---- */

static meshsync_status replica_put_u64(struct msy_replica *replica, const char *name,
                                       uint64_t value)
{
    uint8_t bytes[8];
    msy_put_be64(bytes, value);
    return msy_store_put(replica->txn, MSY_TABLE_META, msy_key_name(name),
                         msy_bytes(bytes, sizeof bytes), MSY_PUT_ANY);
}

static meshsync_status replica_put_heads(struct msy_replica *replica,
                                         const struct msy_space_state *space)
{
    uint8_t key[MSY_CLOCK_KEY_BYTES];
    uint8_t value[MSY_TIP_VALUE_BYTES];
    struct msy_vector *old = &replica->scratch_vector;
    meshsync_status status = msy_history_heads(replica->txn, space->number, old);
    for (uint32_t i = 0; i < old->count && status == MESHSYNC_OK; i++) {
        if (msy_vector_get(&space->heads, &old->tips[i].actor) == NULL) {
            status = msy_store_del(replica->txn, MSY_TABLE_HEADS,
                                   msy_key_clock(key, space->number, &old->tips[i].actor));
        }
    }
    for (uint32_t i = 0; i < space->heads.count && status == MESHSYNC_OK; i++) {
        const struct msy_tip *head = &space->heads.tips[i];
        const struct msy_tip *before = msy_vector_get(old, &head->actor);
        if (before == NULL || before->seq != head->seq) {
            msy_tip_value(value, head);
            status = msy_store_put(replica->txn, MSY_TABLE_HEADS,
                                   msy_key_clock(key, space->number, &head->actor),
                                   msy_bytes(value, sizeof value), MSY_PUT_ANY);
        }
    }
    return status;
}

static meshsync_status replica_put_own(struct msy_replica *replica,
                                       const struct msy_space_state *space)
{
    uint8_t key[5];
    uint8_t own[sizeof space->own.last.actor.id + 8 + 32 + 8];
    uint8_t changes[8];
    if (space->has_own) {
        memcpy(own, space->own.last.actor.id, 16);
        msy_put_be64(own + 16, space->own.last.seq);
        memcpy(own + 24, space->own.last.hash, 32);
        msy_put_be64(own + 56, space->own.ordinal);
        meshsync_status status = msy_store_put(replica->txn, MSY_TABLE_SPACES,
                                               msy_key_space(key, space->number, MSY_SPACE_ROW_OWN),
                                               msy_bytes(own, sizeof own), MSY_PUT_ANY);
        if (status != MESHSYNC_OK) {
            return status;
        }
    }
    msy_put_be64(changes, space->changes);
    return msy_store_put(replica->txn, MSY_TABLE_SPACES,
                         msy_key_space(key, space->number, MSY_SPACE_ROW_CHANGES),
                         msy_bytes(changes, sizeof changes), MSY_PUT_ANY);
}

/* Everything that is kept in memory during a batch goes to its tables. */
static meshsync_status replica_flush(struct msy_replica *replica)
{
    meshsync_status status = msy_writeset_flush(&replica->set);
    for (uint32_t i = 0; i < replica->spaces_count && status == MESHSYNC_OK; i++) {
        struct msy_space_state *space = &replica->spaces[i];
        if (space->control_changed && !space->erased) {
            status = msy_spaces_settle(replica, space);
            space->members_changed = true;
            space->control_changed = false;
            space->control_dirty = false;
        }
        if (space->dirty && status == MESHSYNC_OK) {
            status = replica_put_heads(replica, space);
            if (status == MESHSYNC_OK) {
                status = replica_put_own(replica, space);
            }
            space->dirty = false;
        }
    }
    if (status == MESHSYNC_OK && replica->numbers_dirty) {
        status = replica_put_u64(replica, MSY_META_COLLECTION_NEXT, replica->collection_next);
        if (status == MESHSYNC_OK) {
            status = replica_put_u64(replica, MSY_META_SPACE_NEXT, replica->space_next);
        }
        replica->numbers_dirty = false;
    }
    if (status == MESHSYNC_OK) {
        status = replica_put_u64(replica, MSY_META_LSN, replica->lsn_last);
    }
    return status == MESHSYNC_OK ? replica_put_u64(replica, MSY_META_HLC, replica->hlc.last)
                                 : status;
}

/* How many of the events from here on become one change: plain commits of one space, to the
 * caps. */
static uint32_t replica_group(const struct msy_replica_event *events, uint32_t count)
{
    uint64_t ops = 0;
    uint64_t bytes = 0;
    uint32_t n = 0;
    if (events[0].request->explicit_txn || events[0].request->meta.len > 0) {
        return 1;
    }
    while (n < count && events[n].type == MSY_REPLICA_COMMIT &&
           events[n].space == events[0].space && !events[n].request->explicit_txn &&
           events[n].request->meta.len == 0) {
        ops += events[n].request->intents_count;
        bytes += events[n].request->bytes.len;
        if (n > 0 && (ops > MSY_GROUP_OPS_MAX || bytes > MSY_GROUP_BYTES_MAX)) {
            break;
        }
        n++;
    }
    return n;
}

/* ---- Time ---- */

void msy_replica_set_time(struct msy_replica *replica, uint64_t at_least_ms, uint64_t at_most_ms)
{
    replica->peers_at_least_ms = at_least_ms;
    replica->peers_at_most_ms = at_most_ms;
}

uint64_t msy_replica_judging_ms(const struct msy_replica *replica)
{
    return replica->now_ms > replica->peers_at_least_ms ? replica->now_ms
                                                        : replica->peers_at_least_ms;
}

/* Is this event refused, because its stamp would be one that the peers hold back? */
static bool replica_clock_off(const struct msy_replica *replica,
                              const struct msy_replica_event *event)
{
    bool stamps = event->type == MSY_REPLICA_COMMIT || event->type == MSY_REPLICA_CREATE ||
                  event->type == MSY_REPLICA_JOIN;
    return stamps && replica->peers_at_most_ms != 0 &&
           replica->now_ms > replica->peers_at_most_ms &&
           replica->now_ms - replica->peers_at_most_ms > replica->clock_ahead_ms_max;
}

static meshsync_status replica_refuse_clock(struct msy_replica *replica,
                                            const struct msy_replica_event *event)
{
    struct msy_replica_effect *effect = msy_replica_effect(replica, MSY_REPLICA_DONE);
    if (effect == NULL) {
        return MESHSYNC_E_NO_MEMORY;
    }
    effect->id = event->id;
    effect->space = event->space;
    effect->status = msy_fail(
        &effect->error, MESHSYNC_E_CLOCK, "this machine's clock is %llu s ahead of its peers'",
        (unsigned long long)((replica->now_ms - replica->peers_at_most_ms) / 1000));
    return MESHSYNC_OK;
}

/* ---- Events ---- */

static meshsync_status replica_no_space(struct msy_replica *replica,
                                        const struct msy_replica_event *event, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct msy_replica_effect *effect =
            msy_replica_effect(replica, event[i].type == MSY_REPLICA_CHANGES ? MSY_REPLICA_RECEIVED
                                                                             : MSY_REPLICA_DONE);
        if (effect == NULL) {
            return MESHSYNC_E_NO_MEMORY;
        }
        effect->id = event[i].id;
        effect->space = event[i].space;
        if (effect->type == MSY_REPLICA_DONE) {
            effect->status =
                msy_fail(&effect->error, MESHSYNC_E_NOT_FOUND, "there is no such space");
        }
    }
    return MESHSYNC_OK;
}

static meshsync_status replica_event(struct msy_replica *replica,
                                     const struct msy_replica_event *events, uint32_t count,
                                     uint32_t *taken)
{
    struct msy_space_state *space = msy_replica_space(replica, events[0].space);
    bool open = space != NULL && !space->erased;
    *taken = 1;
    if (replica_clock_off(replica, &events[0])) {
        return replica_refuse_clock(replica, &events[0]);
    }
    switch (events[0].type) {
    case MSY_REPLICA_COMMIT:
        *taken = replica_group(events, count);
        return open ? msy_commit_group(replica, space, events, *taken)
                    : replica_no_space(replica, events, *taken);
    case MSY_REPLICA_CHANGES:
        return open && !space->row.left ? msy_receive_changes(replica, space, &events[0])
                                        : replica_no_space(replica, events, 1);
    case MSY_REPLICA_CREATE: return msy_spaces_create(replica, &events[0]);
    case MSY_REPLICA_JOIN: return msy_spaces_join(replica, &events[0]);
    case MSY_REPLICA_LEAVE: return msy_spaces_leave(replica, &events[0]);
    case MSY_REPLICA_TICK:
        msy_pending_time(&replica->pending, msy_replica_judging_ms(replica));
        return msy_receive_retry(replica);
    }
    return MESHSYNC_E_INTERNAL;
}

static bool replica_removes(const struct msy_request *request)
{
    struct msy_intent intent;
    size_t at = 0;
    bool removes = request->intents_count > 0;
    while (removes && msy_request_next(request, &at, &intent)) {
        removes = intent.type == MSY_INTENT_DELETE || intent.type == MSY_INTENT_SET_REMOVE;
    }
    return removes;
}

/* A batch that only takes away may use what a full store keeps for that. */
static bool replica_only_removes(const struct msy_replica_event *events, uint32_t count)
{
    bool removes = count > 0;
    for (uint32_t i = 0; i < count && removes; i++) {
        removes = (events[i].type == MSY_REPLICA_LEAVE && events[i].erase != 0) ||
                  (events[i].type == MSY_REPLICA_COMMIT && replica_removes(events[i].request));
    }
    return removes;
}

static meshsync_status replica_batch(struct msy_replica *replica,
                                     const struct msy_replica_event *events, uint32_t count)
{
    meshsync_status status = MESHSYNC_OK;
    for (uint32_t i = 0; i < count && status == MESHSYNC_OK;) {
        uint32_t taken = 1;
        status = replica_event(replica, &events[i], count - i, &taken);
        i += taken;
        if (status == MESHSYNC_OK && replica->set.count > MSY_WRITESET_LEAVES_MAX) {
            status = msy_writeset_flush_leaves(&replica->set);
            msy_writeset_drop_lent(&replica->set);
        }
    }
    for (uint32_t i = 0; i < replica->spaces_count; i++) {
        if (replica->spaces[i].control_dirty) { /* Own commits may let somebody in, too. */
            replica->spaces[i].control_dirty = false;
            msy_pending_members(&replica->pending, replica->spaces[i].number);
        }
    }
    if (status == MESHSYNC_OK && replica->pending.ready != NULL) {
        status = msy_receive_retry(replica);
    }
    return status;
}

static meshsync_status replica_say_committed(struct msy_replica *replica, uint64_t lsn_before)
{
    if (replica->lsn_last > lsn_before) {
        struct msy_replica_effect *effect = msy_replica_effect(replica, MSY_REPLICA_COMMITTED);
        if (effect == NULL) {
            return MESHSYNC_E_NO_MEMORY;
        }
        effect->lsn_first = lsn_before + 1;
        effect->lsn_last = replica->lsn_last;
    }
    if (replica->spaces_changed && msy_replica_effect(replica, MSY_REPLICA_SPACES) == NULL) {
        return MESHSYNC_E_NO_MEMORY;
    }
    for (uint32_t i = 0; i < replica->spaces_count; i++) {
        struct msy_space_state *space = &replica->spaces[i];
        struct msy_replica_effect *effect =
            space->members_changed ? msy_replica_effect(replica, MSY_REPLICA_SPACES) : NULL;
        if (space->members_changed && effect == NULL) {
            return MESHSYNC_E_NO_MEMORY;
        }
        if (effect != NULL) {
            effect->space = space->number;
        }
        space->members_changed = false;
    }
    return MESHSYNC_OK;
}

meshsync_status msy_replica_step(struct msy_replica *replica,
                                 const struct msy_replica_event *events, uint32_t count,
                                 uint64_t now_ms, msy_replica_early_fn early, void *user,
                                 struct msy_replica_effects *effects)
{
    uint64_t lsn_before = replica->lsn_last;
    replica->effects = effects;
    replica->now_ms = now_ms;
    replica->spaces_changed = false;
    effects->count = 0;
    replica->early.count = 0;
    meshsync_status status = msy_store_begin(replica->store, MSY_TXN_WRITE, &replica->txn);
    if (status != MESHSYNC_OK) {
        return status;
    }
    if (replica_only_removes(events, count)) {
        msy_store_use_reserve(replica->txn);
    }
    msy_writeset_begin(&replica->set, replica->txn);
    status = replica_batch(replica, events, count);
    /* A refused commit may have numbered a collection: memory and store must agree on that. */
    bool wrote =
        replica->lsn_last != lsn_before || replica->spaces_changed || replica->numbers_dirty;
    if (status == MESHSYNC_OK && wrote) {
        status = replica_flush(replica);
    }
    if (status == MESHSYNC_OK) {
        status = replica_say_committed(replica, lsn_before);
    }
    if (msy_assert_failures() != replica->assertions) {
        /* Memory cannot be trusted any more: nothing of it goes to disk, nothing is said of it. */
        status = MESHSYNC_E_INTERNAL;
    }
    if (status == MESHSYNC_OK && replica->early.count > 0 && early != NULL) {
        early(user, &replica->early);
    }
    if (status == MESHSYNC_OK && wrote) {
        status = msy_store_commit(replica->txn);
        replica->stats.commits += status == MESHSYNC_OK ? 1 : 0;
    } else {
        msy_store_abort(replica->txn);
    }
    replica->txn = NULL;
    if (status != MESHSYNC_OK) {
        effects->count = 0;
    }
    return status;
}

void msy_replica_get_stats(const struct msy_replica *replica, struct msy_replica_stats *stats)
{
    *stats = replica->stats;
    stats->changes_pending = replica->pending.count;
    stats->changes_held = replica->pending.held;
}
