/* SPDX-License-Identifier: Apache-2.0 */
/* Resets of counters: what each actor added at a path, read from the path's history in the log. */
#include "replica/commit.h"

#include "wire/msgpack_check.h"

struct reset_sums {
    struct msy_leaf_reset *items;
    uint32_t count, cap;
    struct msy_alloc *alloc;
};

/* The sums of an actor, up to seq at least. NULL: no memory. */
static struct msy_leaf_reset *reset_item(struct reset_sums *sums, const struct msy_actor *actor,
                                         uint64_t seq)
{
    struct msy_leaf_reset *found = NULL;
    for (uint32_t i = 0; i < sums->count && found == NULL; i++) {
        if (msy_actor_equal(&sums->items[i].actor, actor)) {
            found = &sums->items[i];
        }
    }
    if (found == NULL) {
        if (sums->count == sums->cap) {
            uint32_t cap = sums->cap == 0 ? 8 : sums->cap * 2;
            struct msy_leaf_reset *grown = (struct msy_leaf_reset *)msy_resize(
                sums->alloc, sums->items, sums->cap * sizeof *grown, cap * sizeof *grown);
            if (grown == NULL) {
                return NULL;
            }
            sums->items = grown;
            sums->cap = cap;
        }
        found = &sums->items[sums->count];
        memset(found, 0, sizeof *found);
        found->actor = *actor;
        sums->count += 1;
    }
    found->seq = seq > found->seq ? seq : found->seq;
    return found;
}

static meshsync_status reset_add(struct reset_sums *sums, const struct msy_actor *actor,
                                 uint64_t seq, uint64_t bits)
{
    int64_t delta = 0;
    struct msy_leaf_reset *item = reset_item(sums, actor, seq);
    if (item == NULL) {
        return MESHSYNC_E_NO_MEMORY;
    }
    memcpy(&delta, &bits, sizeof delta);
    if (delta >= 0) {
        item->plus += bits;
    } else {
        item->minus += UINT64_C(0) - bits;
    }
    return MESHSYNC_OK;
}

/* Where in the history the walk stands. */
struct reset_place {
    meshsync_bytes collection; /* Its name. */
    meshsync_bytes path;
    uint64_t lsn;
};

/* Adds the deltas of one change at a path; *before becomes the LSN that wrote it before. */
static meshsync_status reset_visit(struct reset_sums *sums, const struct msy_change *change,
                                   const struct reset_place *place, meshsync_bytes trailer,
                                   uint64_t *before)
{
    struct msy_cursor cursor;
    meshsync_status status = MESHSYNC_OK;
    msy_cursor_init(&cursor, trailer);
    *before = 0;
    for (uint32_t i = 0; i < change->ops_count && status == MESHSYNC_OK; i++) {
        const struct msy_op *op = &change->ops[i];
        uint64_t previous = 0;
        if (!msy_cursor_varint(&cursor, &previous)) {
            return MESHSYNC_E_STORE_CORRUPT;
        }
        if (!msy_bytes_equal(op->path, place->path) ||
            !msy_bytes_equal(change->collections[op->collection], place->collection)) {
            continue;
        }
        if (previous < place->lsn && previous > *before) {
            *before = previous;
        }
        if (op->kind == MSY_OP_ADD) {
            struct msy_cursor payload;
            struct msy_msgpack_head head;
            msy_cursor_init(&payload, op->payload);
            if (msy_mp_read(&payload, &head)) {
                status = reset_add(sums, &change->header.actor, change->header.seq, head.number);
            }
        }
    }
    return status;
}

static meshsync_status reset_history(struct msy_commit *at, meshsync_bytes path, uint64_t lsn,
                                     struct reset_sums *sums)
{
    struct msy_change *change = (struct msy_change *)msy_new(at->replica->alloc, sizeof *change);
    meshsync_status status = MESHSYNC_OK;
    if (change == NULL) {
        return MESHSYNC_E_NO_MEMORY;
    }
    msy_change_init(change, at->replica->alloc);
    while (lsn != 0 && status == MESHSYNC_OK) {
        struct msy_record record;
        uint64_t before = 0;
        status = msy_history_record(at->replica->txn, lsn, &record);
        if (status == MESHSYNC_OK) {
            status = msy_change_parse(change, record.change, NULL);
            status = status == MESHSYNC_OK || status == MESHSYNC_E_NO_MEMORY
                         ? status
                         : MESHSYNC_E_STORE_CORRUPT;
        }
        if (status != MESHSYNC_OK) { /* The leaf names it, so that it must be there. */
            status = status == MESHSYNC_E_NOT_FOUND ? MESHSYNC_E_STORE_CORRUPT : status;
            break;
        }
        const struct reset_place place = {.collection = at->name, .path = path, .lsn = lsn};
        status = reset_visit(sums, change, &place, record.trailer, &before);
        lsn = before;
    }
    msy_change_fini(change);
    msy_free(at->replica->alloc, change, sizeof *change);
    return status;
}

/* Where the path's history before the change being built begins. */
static uint64_t reset_start(const struct msy_commit *at, const struct msy_ws_leaf *leaf)
{
    return leaf->leaf.last_lsn == at->lsn ? leaf->lsn_before : leaf->leaf.last_lsn;
}

static int reset_order(const struct msy_leaf_reset *a, const struct msy_leaf_reset *b)
{
    return msy_actor_compare(&a->actor, &b->actor);
}

static void reset_sort(struct reset_sums *sums)
{
    for (uint32_t i = 1; i < sums->count; i++) {
        struct msy_leaf_reset item = sums->items[i];
        uint32_t k = i;
        while (k > 0 && reset_order(&sums->items[k - 1], &item) > 0) {
            sums->items[k] = sums->items[k - 1];
            k--;
        }
        sums->items[k] = item;
    }
}

static meshsync_status reset_write(const struct reset_sums *sums, struct msy_buf *payload)
{
    meshsync_status status = msy_mp_put_array(payload, sums->count);
    for (uint32_t i = 0; i < sums->count && status == MESHSYNC_OK; i++) {
        const struct msy_leaf_reset *item = &sums->items[i];
        const uint64_t numbers[] = {item->seq, item->plus, item->minus};
        status = msy_mp_put_array(payload, 4);
        if (status == MESHSYNC_OK) {
            status = msy_mp_put_bin(payload, msy_bytes(item->actor.id, sizeof item->actor.id));
        }
        for (size_t k = 0; k < 3 && status == MESHSYNC_OK; k++) {
            status = msy_mp_put_uint(payload, numbers[k]);
        }
    }
    return status;
}

meshsync_status msy_commit_reset_payload(struct msy_commit *at, struct msy_ws_leaf *leaf,
                                         meshsync_bytes path, struct msy_buf *payload)
{
    struct reset_sums sums = {.alloc = at->replica->alloc};
    uint64_t plus = leaf->leaf.plus;
    uint64_t minus = leaf->leaf.minus;
    meshsync_status status = reset_history(at, path, reset_start(at, leaf), &sums);
    for (uint32_t i = 0; i < sums.count; i++) {
        plus -= sums.items[i].plus;
        minus -= sums.items[i].minus;
    }
    if (status == MESHSYNC_OK && (plus != 0 || minus != 0)) {
        /* The rest is what this very change added; under its own name. */
        struct msy_tip self;
        msy_commit_self(at, &self);
        struct msy_leaf_reset *own = reset_item(&sums, &self.actor, self.seq);
        if (own == NULL) {
            status = MESHSYNC_E_NO_MEMORY;
        } else {
            own->plus += plus;
            own->minus += minus;
        }
    }
    if (status == MESHSYNC_OK) {
        reset_sort(&sums);
        status = reset_write(&sums, payload);
    }
    msy_free(sums.alloc, sums.items, sums.cap * sizeof *sums.items);
    return status;
}
