/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes of peers: proof, causes, membership and time are looked at in this order; what passes is
 * applied, what lacks something waits (replica/pending.h), what is malformed or forged is refused.
 */
#include "base/error.h"
#include "base/path.h"
#include "replica/control.h"
#include "replica/machine.h"
#include "secure/ticket.h"

enum { RECEIVE_ACTORS_MAX = 64 };

/* One change of a delivery, before it is taken apart. */
struct receive_item {
    meshsync_bytes bytes;
    struct msy_tip tip; /* Actor, seq, hash. */
    uint8_t prev[MSY_CHANGE_HASH_BYTES];
    bool duplicate;
    bool proven;
    bool checked; /* Its signature was looked at. */
};

struct receive_counts {
    uint32_t accepted, duplicate, pending, rejected;
};

static meshsync_status receive_verify(struct msy_replica *replica, meshsync_bytes header_bytes,
                                      const uint8_t *signature, const uint8_t device[32],
                                      bool *good)
{
    msy_buf_reset(&replica->record);
    meshsync_status status = msy_change_signed_bytes(header_bytes, &replica->record);
    *good = status == MESHSYNC_OK &&
            msy_verify_once(replica->verified, signature, msy_buf_bytes(&replica->record), device);
    return status;
}

/* Header, hash, and whether it is here already. A seq 1 makes its actor's device known. */
static meshsync_status receive_look(struct msy_replica *replica, struct msy_space_state *space,
                                    meshsync_bytes bytes, struct receive_item *item)
{
    struct msy_change_header *header = &replica->header;
    meshsync_bytes header_bytes;
    meshsync_bytes body;
    const uint8_t *signature = NULL;
    uint64_t lsn = 0;
    memset(item, 0, sizeof *item);
    item->bytes = bytes;
    if (msy_change_parse_header(bytes, header, &header_bytes, &signature, &body) != MESHSYNC_OK ||
        memcmp(header->space, space->row.id, sizeof header->space) != 0) {
        return MESHSYNC_E_PROTOCOL;
    }
    item->tip.actor = header->actor;
    item->tip.seq = header->seq;
    memcpy(item->prev, header->prev, sizeof item->prev);
    msy_change_hash(&replica->hasher, header_bytes, signature, item->tip.hash);
    if (header->seq == 1) {
        struct msy_actor actor;
        msy_change_actor_id(&replica->hasher, header, &actor);
        if (!msy_actor_equal(&actor, &header->actor)) {
            return MESHSYNC_E_PROTOCOL;
        }
        /* The id is a hash over the key, so this holds whoever brought it. */
        msy_replica_know_device(replica, space->number, &actor, header->device);
    }
    meshsync_status status = msy_history_find(replica->txn, space->number, &header->actor,
                                              header->seq, item->tip.hash, &lsn);
    item->duplicate = status == MESHSYNC_OK;
    return status == MESHSYNC_E_NOT_FOUND ? MESHSYNC_OK : status;
}

/* The key that a change must be signed with. A first change names it itself, bound by the actor's
 * id; for others the first one is here, or was seen and is still in the cache. */
static meshsync_status receive_device(struct msy_replica *replica, uint32_t space,
                                      const struct msy_change_header *header, uint8_t device[32])
{
    if (header->seq == 1) {
        memcpy(device, header->device, 32);
        return MESHSYNC_OK;
    }
    return msy_replica_device(replica, space, &header->actor, device);
}

/* Whoever brought it may have forged it, but a store or memory that fails proves nothing. */
static meshsync_status receive_check(struct msy_replica *replica, struct msy_space_state *space,
                                     struct receive_item *item)
{
    meshsync_bytes header_bytes;
    meshsync_bytes body;
    const uint8_t *signature = NULL;
    uint8_t device[32];
    if (item->proven || item->checked) {
        return MESHSYNC_OK;
    }
    /* It was parsed before. */
    meshsync_status status =
        msy_change_parse_header(item->bytes, &replica->header, &header_bytes, &signature, &body);
    if (status == MESHSYNC_OK) {
        status = receive_device(replica, space->number, &replica->header, device);
    }
    if (status == MESHSYNC_E_NOT_FOUND) {
        return MESHSYNC_OK; /* Its first change is missing: it will wait for that. */
    }
    if (status == MESHSYNC_OK) {
        item->checked = true;
        status = receive_verify(replica, header_bytes, signature, device, &item->proven);
    }
    return status;
}

/* One signature proves a run: from the end, each change that a proven successor names is proven. */
static meshsync_status receive_prove(struct msy_replica *replica, struct msy_space_state *space,
                                     struct receive_item *items, uint32_t count)
{
    meshsync_status status = MESHSYNC_OK;
    const struct receive_item *last[RECEIVE_ACTORS_MAX];
    uint32_t actors = 0;
    for (uint32_t k = count; k > 0 && status == MESHSYNC_OK; k--) {
        struct receive_item *item = &items[k - 1];
        uint32_t slot = 0;
        if (item->duplicate) {
            continue;
        }
        while (slot < actors && !msy_actor_equal(&last[slot]->tip.actor, &item->tip.actor)) {
            slot++;
        }
        if (slot < actors && last[slot]->proven && last[slot]->tip.seq == item->tip.seq + 1 &&
            memcmp(last[slot]->prev, item->tip.hash, sizeof item->prev) == 0) {
            item->proven = true;
        } else {
            status = receive_check(replica, space, item);
        }
        if (slot < RECEIVE_ACTORS_MAX) {
            actors += slot == actors ? 1 : 0;
            last[slot] = item;
        }
    }
    return status;
}

static meshsync_status receive_wait(struct msy_replica *replica,
                                    const struct msy_space_state *space,
                                    const struct receive_item *item, enum msy_pending_reason reason,
                                    const struct msy_tip *wants, uint64_t until_ms)
{
    struct msy_pending_item what;
    if (msy_pending_has(&replica->pending, space->number, &item->tip)) {
        return MESHSYNC_OK;
    }
    memset(&what, 0, sizeof what);
    what.reason = reason;
    what.space = space->number;
    what.tip = item->tip;
    memcpy(what.prev, item->prev, sizeof what.prev);
    what.until_ms = until_ms;
    what.proven = item->proven;
    if (wants != NULL) {
        what.wants = wants->actor;
        what.wants_seq = wants->seq;
    }
    return msy_pending_add(&replica->pending, &what, item->bytes);
}

/* Is the named change here, with the hash (of hash_len bytes) that was named? */
static meshsync_status receive_has(struct msy_replica *replica, uint32_t space,
                                   const struct msy_tip *cause, size_t hash_len, bool *has)
{
    uint64_t lsn = 0;
    struct msy_record record;
    *has = false;
    meshsync_status status =
        msy_history_find(replica->txn, space, &cause->actor, cause->seq, cause->hash, &lsn);
    if (status == MESHSYNC_OK) {
        status = msy_history_record(replica->txn, lsn, &record);
    }
    if (status == MESHSYNC_OK) {
        *has = memcmp(record.hash, cause->hash, hash_len) == 0;
    }
    return status == MESHSYNC_E_NOT_FOUND ? MESHSYNC_OK : status;
}

/* The first cause that is not here; seq 0: none is missing. */
static meshsync_status receive_missing(struct msy_replica *replica, uint32_t space,
                                       const struct msy_change_header *header,
                                       struct msy_tip *missing)
{
    bool has = true;
    meshsync_status status = MESHSYNC_OK;
    memset(missing, 0, sizeof *missing);
    if (header->seq > 1 || header->has_predecessor) {
        struct msy_tip before = header->predecessor;
        if (header->seq > 1) {
            before.actor = header->actor;
            before.seq = header->seq - 1;
            memcpy(before.hash, header->prev, sizeof before.hash);
        }
        status = receive_has(replica, space, &before, MSY_CHANGE_HASH_BYTES, &has);
        if (!has) {
            *missing = before;
        }
    }
    for (uint32_t i = 0; i < header->heads_count && has && status == MESHSYNC_OK; i++) {
        status = receive_has(replica, space, &header->heads[i], MSY_HEAD_HASH_BYTES, &has);
        if (!has) {
            *missing = header->heads[i];
        }
    }
    return status;
}

static meshsync_status receive_report_missing(struct msy_replica *replica, uint32_t space,
                                              const struct msy_tip *tip)
{
    struct msy_replica_effect *effect = msy_replica_effect(replica, MSY_REPLICA_MISSING);
    if (effect == NULL) {
        return MESHSYNC_E_NO_MEMORY;
    }
    effect->space = space;
    effect->tip = *tip;
    return MESHSYNC_OK;
}

/* A change that carries its device's own member record lets itself in. */
static meshsync_status receive_admits_itself(struct msy_replica *replica,
                                             const struct msy_space_state *space,
                                             const uint8_t device[32], bool *member)
{
    const struct msy_change *change = &replica->change;
    uint8_t path[64 + 32];
    size_t len = 0;
    *member = false;
    (void)msy_path_append(path, &len, sizeof path, msy_key_name("member"));
    (void)msy_path_append(path, &len, sizeof path, msy_bytes(device, 32));
    for (uint32_t i = 0; i < change->ops_count && !*member; i++) {
        const struct msy_op *op = &change->ops[i];
        meshsync_bytes array;
        uint8_t invite[32];
        uint8_t proof[64];
        bool good = false;
        if (op->kind != MSY_OP_VALUE || change->collections[op->collection].len != 0 ||
            !msy_bytes_equal(op->path, msy_bytes(path, len)) ||
            !msy_control_array(op->payload, &array) || !msy_members_parse(array, invite, proof)) {
            continue;
        }
        meshsync_status status = msy_members_invite_good(replica->txn, space->number, invite,
                                                         msy_hlc_ms(change->header.hlc), &good);
        if (status != MESHSYNC_OK) {
            return status;
        }
        *member =
            good && msy_ticket_check_once(replica->verified, space->row.id, invite, device, proof);
    }
    return MESHSYNC_OK;
}

static meshsync_status receive_is_member(struct msy_replica *replica,
                                         const struct msy_space_state *space, bool *member)
{
    uint8_t device[32];
    meshsync_status status =
        receive_device(replica, space->number, &replica->change.header, device);
    if (status != MESHSYNC_OK) {
        return status == MESHSYNC_E_NOT_FOUND ? MESHSYNC_E_STORE_CORRUPT : status;
    }
    status = msy_replica_is_member(replica, space->number, device, member);
    if (status == MESHSYNC_OK && !*member) {
        status = receive_admits_itself(replica, space, device, member);
    }
    return status;
}

/* Somebody else writes under the name of our running epoch: a machine that was cloned alive. The
 * next commit starts a new epoch (law 7). */
static meshsync_status receive_own_epoch(struct msy_replica *replica, struct msy_space_state *space,
                                         const struct receive_item *item)
{
    if (!space->has_epoch || !msy_actor_equal(&item->tip.actor, &space->own.last.actor)) {
        return MESHSYNC_OK;
    }
    struct msy_replica_effect *effect = msy_replica_effect(replica, MSY_REPLICA_ALARM);
    if (effect == NULL) {
        return MESHSYNC_E_NO_MEMORY;
    }
    space->has_epoch = false;
    effect->space = space->number;
    replica->stats.alarms += 1;
    (void)msy_fail(&effect->error, MESHSYNC_E_STATE,
                   "another machine writes as this node's running epoch: a new epoch begins");
    return MESHSYNC_OK;
}

static meshsync_status receive_fork(struct msy_replica *replica, struct msy_space_state *space,
                                    const struct receive_item *item, bool *forked)
{
    uint64_t lsn = 0;
    meshsync_status status =
        msy_history_find(replica->txn, space->number, &item->tip.actor, item->tip.seq, NULL, &lsn);
    *forked = status == MESHSYNC_OK;
    if (status == MESHSYNC_E_NOT_FOUND) {
        return MESHSYNC_OK;
    }
    if (status == MESHSYNC_OK) {
        struct msy_replica_effect *effect = msy_replica_effect(replica, MSY_REPLICA_ALARM);
        if (effect == NULL) {
            return MESHSYNC_E_NO_MEMORY;
        }
        effect->space = space->number;
        effect->tip = item->tip;
        replica->stats.alarms += 1;
        (void)msy_fail(&effect->error, MESHSYNC_E_STATE,
                       "an actor signed two changes with one number (%llu): the first is kept",
                       (unsigned long long)item->tip.seq);
    }
    return status;
}

static meshsync_status receive_apply(struct msy_replica *replica, struct msy_space_state *space,
                                     const struct receive_item *item, bool *good)
{
    const struct msy_change *change = &replica->change;
    uint8_t root[MSY_CHANGE_HASH_BYTES];
    size_t bytes = (size_t)change->ops_count * MSY_CHANGE_HASH_BYTES;
    msy_buf_reset(&replica->hashes);
    meshsync_status status = msy_buf_reserve(&replica->hashes, bytes);
    if (status == MESHSYNC_OK) {
        status = msy_change_op_hashes(&replica->hasher, change, replica->hashes.data, root);
    }
    if (status != MESHSYNC_OK) {
        return status;
    }
    *good = memcmp(root, change->header.root, sizeof root) == 0;
    return *good ? msy_apply_change(replica, space, change, replica->hashes.data, item->tip.hash)
                 : MESHSYNC_OK;
}

/* Its own signature fails, but its successors may be waiting for it: one that verifies proves
 * it. */
static meshsync_status receive_look_ahead(struct msy_replica *replica,
                                          struct msy_space_state *space, struct receive_item *item)
{
    meshsync_status status = MESHSYNC_OK;
    struct msy_tip tip = item->tip;
    while (!item->proven && status == MESHSYNC_OK) {
        const struct msy_pending_item *next =
            msy_pending_successor(&replica->pending, space->number, &tip);
        if (next == NULL) {
            return MESHSYNC_OK;
        }
        struct receive_item later = {
            .bytes = msy_bytes(next->bytes, next->len), .tip = next->tip, .proven = next->proven};
        status = receive_check(replica, space, &later);
        item->proven = later.proven;
        tip = later.tip;
    }
    return status;
}

/* What is missing before the change may be applied? *waits says that it was put aside. */
static meshsync_status receive_gate(struct msy_replica *replica, struct msy_space_state *space,
                                    struct receive_item *item, bool *waits)
{
    struct msy_change_header *header = &replica->change.header;
    struct msy_tip missing;
    bool member = false;
    meshsync_status status = receive_missing(replica, space->number, header, &missing);
    if (status != MESHSYNC_OK) {
        return status;
    }
    *waits = true;
    if (missing.seq != 0) {
        bool own_chain = msy_actor_equal(&missing.actor, &header->actor);
        status = receive_check(replica, space, item);
        if (status != MESHSYNC_OK) {
            return status;
        }
        status = receive_wait(replica, space, item, MSY_PENDING_CAUSE, &missing, 0);
        if (status == MESHSYNC_OK && own_chain && item->proven &&
            msy_pending_proven(&replica->pending, space->number, &missing)) {
            return MESHSYNC_OK;
        }
        return status == MESHSYNC_OK ? receive_report_missing(replica, space->number, &missing)
                                     : status;
    }
    status = receive_check(replica, space, item);
    if (status == MESHSYNC_OK) {
        status = receive_look_ahead(replica, space, item);
    }
    if (status != MESHSYNC_OK) {
        return status;
    }
    if (!item->proven) {
        return receive_wait(replica, space, item, MSY_PENDING_PROOF, NULL, 0);
    }
    status = receive_is_member(replica, space, &member);
    if (status != MESHSYNC_OK || !member) {
        return status == MESHSYNC_OK
                   ? receive_wait(replica, space, item, MSY_PENDING_MEMBER, NULL, 0)
                   : status;
    }
    if (msy_hlc_too_far(&replica->hlc, header->hlc, msy_replica_judging_ms(replica),
                        replica->clock_ahead_ms_max)) {
        uint64_t until_ms = msy_hlc_ms(header->hlc) - replica->clock_ahead_ms_max;
        return receive_wait(replica, space, item, MSY_PENDING_TIME, NULL, until_ms);
    }
    *waits = false;
    return MESHSYNC_OK;
}

static meshsync_status receive_one(struct msy_replica *replica, struct msy_space_state *space,
                                   struct receive_item *item, struct receive_counts *counts)
{
    bool flag = false;
    uint64_t lsn = 0;
    meshsync_status status = MESHSYNC_OK;
    if (!item->duplicate) { /* It may stand twice in one delivery. */
        status = msy_history_find(replica->txn, space->number, &item->tip.actor, item->tip.seq,
                                  item->tip.hash, &lsn);
        item->duplicate = status == MESHSYNC_OK;
        if (status != MESHSYNC_OK && status != MESHSYNC_E_NOT_FOUND) {
            return status;
        }
    }
    if (item->duplicate) {
        counts->duplicate += 1;
        return MESHSYNC_OK;
    }
    status = msy_change_parse(&replica->change, item->bytes, NULL);
    if (status == MESHSYNC_E_NO_MEMORY) {
        return status;
    }
    if (status != MESHSYNC_OK) {
        counts->rejected += 1;
        return MESHSYNC_OK;
    }
    status = receive_own_epoch(replica, space, item);
    if (status == MESHSYNC_OK) {
        status = receive_fork(replica, space, item, &flag);
    }
    if (status != MESHSYNC_OK || flag) {
        counts->duplicate += flag ? 1 : 0; /* Its bringer is not to blame. */
        return status;
    }
    status = receive_gate(replica, space, item, &flag);
    if (status != MESHSYNC_OK || flag) {
        counts->pending += flag ? 1 : 0;
        return status;
    }
    status = receive_apply(replica, space, item, &flag);
    if (status == MESHSYNC_OK) {
        counts->accepted += flag ? 1 : 0;
        counts->rejected += flag ? 0 : 1;
    }
    return status;
}

meshsync_status msy_receive_retry(struct msy_replica *replica)
{
    struct msy_pending_item *waiting;
    meshsync_status status = MESHSYNC_OK;
    while (status == MESHSYNC_OK && (waiting = msy_pending_take(&replica->pending)) != NULL) {
        struct msy_space_state *space = msy_replica_space(replica, waiting->space);
        struct receive_counts counts = {0};
        /* The batch's memory outlives the item: leaves lend payloads until they are written. */
        meshsync_bytes kept =
            msy_writeset_keep(&replica->set, msy_bytes(waiting->bytes, waiting->len));
        struct receive_item item = {.bytes = kept, .tip = waiting->tip, .proven = waiting->proven};
        memcpy(item.prev, waiting->prev, sizeof item.prev);
        msy_pending_free(&replica->pending, waiting);
        if (kept.data == NULL) {
            return MESHSYNC_E_NO_MEMORY;
        }
        if (space != NULL && !space->erased) {
            status = receive_one(replica, space, &item, &counts);
        }
        if (space != NULL && space->control_dirty) {
            msy_pending_members(&replica->pending, space->number);
            space->control_dirty = false;
        }
    }
    return status;
}

static meshsync_status receive_split(struct msy_replica *replica, struct msy_space_state *space,
                                     meshsync_bytes delivery, struct receive_item *items,
                                     uint32_t items_max, uint32_t *count)
{
    struct msy_cursor cursor;
    meshsync_status status = MESHSYNC_OK;
    msy_cursor_init(&cursor, delivery);
    *count = 0;
    while (msy_cursor_left(&cursor) > 0 && status == MESHSYNC_OK) {
        uint32_t len = 0;
        meshsync_bytes bytes;
        /* All that are whole were counted. */
        if (*count == items_max || !msy_cursor_be32(&cursor, &len) ||
            !msy_cursor_bytes(&cursor, len, &bytes)) {
            return MESHSYNC_E_PROTOCOL;
        }
        status = receive_look(replica, space, bytes, &items[*count]);
        *count += status == MESHSYNC_OK ? 1 : 0;
    }
    return status;
}

/* How many changes a delivery claims to hold. */
static uint32_t receive_count(meshsync_bytes delivery)
{
    struct msy_cursor cursor;
    uint32_t count = 0;
    msy_cursor_init(&cursor, delivery);
    while (msy_cursor_left(&cursor) > 0) {
        uint32_t len = 0;
        meshsync_bytes bytes;
        if (!msy_cursor_be32(&cursor, &len) || !msy_cursor_bytes(&cursor, len, &bytes)) {
            break;
        }
        count++;
    }
    return count;
}

meshsync_status msy_receive_changes(struct msy_replica *replica, struct msy_space_state *space,
                                    const struct msy_replica_event *event)
{
    struct receive_counts counts = {0};
    uint32_t count = receive_count(event->bytes);
    struct receive_item *items = (struct receive_item *)msy_arena_take(
        &replica->set.arena, (count == 0 ? 1 : count) * sizeof *items);
    if (items == NULL) {
        return MESHSYNC_E_NO_MEMORY;
    }
    meshsync_status status = receive_split(replica, space, event->bytes, items, count, &count);
    bool malformed = status == MESHSYNC_E_PROTOCOL;
    status = malformed ? MESHSYNC_OK : status;
    if (status == MESHSYNC_OK) {
        status = receive_prove(replica, space, items, count);
    }
    for (uint32_t i = 0; i < count && status == MESHSYNC_OK; i++) {
        status = receive_one(replica, space, &items[i], &counts);
        if (status == MESHSYNC_OK && replica->pending.ready != NULL) {
            status = msy_receive_retry(replica);
        }
        if (status == MESHSYNC_OK && space->control_dirty) {
            space->control_dirty = false;
            msy_pending_members(&replica->pending, space->number);
            status = msy_receive_retry(replica);
        }
    }
    counts.rejected += malformed ? 1 : 0;
    replica->stats.changes_duplicate += counts.duplicate;
    replica->stats.changes_rejected += counts.rejected;
    struct msy_replica_effect *effect = msy_replica_effect(replica, MSY_REPLICA_RECEIVED);
    if (status != MESHSYNC_OK || effect == NULL) {
        return status == MESHSYNC_OK ? MESHSYNC_E_NO_MEMORY : status;
    }
    effect->id = event->id;
    effect->space = space->number;
    effect->accepted = counts.accepted;
    effect->duplicate = counts.duplicate;
    effect->pending = counts.pending;
    effect->rejected = counts.rejected;
    effect->status = counts.rejected > 0 ? MESHSYNC_E_PROTOCOL : MESHSYNC_OK;
    return MESHSYNC_OK;
}
