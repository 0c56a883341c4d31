/* SPDX-License-Identifier: Apache-2.0 */
#include "replica/pending.h"

#include <string.h>

#include "base/limits.h"
#include "secure/crypto.h"

void msy_pending_init(struct msy_pending *pending, struct msy_alloc *alloc, const uint8_t key[16])
{
    memset(pending, 0, sizeof *pending);
    pending->alloc = alloc;
    pending->ready_end = &pending->ready;
    memcpy(pending->key, key, sizeof pending->key);
}

void msy_pending_free(struct msy_pending *pending, struct msy_pending_item *item)
{
    msy_free(pending->alloc, item, sizeof *item + item->len);
}

static void pending_free_list(struct msy_pending *pending, struct msy_pending_item *item)
{
    while (item != NULL) {
        struct msy_pending_item *next = item->next;
        msy_pending_free(pending, item);
        item = next;
    }
}

void msy_pending_fini(struct msy_pending *pending)
{
    for (uint32_t i = 0; i < MSY_PENDING_BUCKETS; i++) {
        pending_free_list(pending, pending->buckets[i]);
        pending->buckets[i] = NULL;
    }
    pending_free_list(pending, pending->waiting);
    pending_free_list(pending, pending->ready);
    pending->waiting = NULL;
    pending->ready = NULL;
    pending->ready_end = &pending->ready;
}

static uint32_t pending_bucket(const struct msy_pending *pending, uint32_t space,
                               const struct msy_actor *actor, uint64_t seq)
{
    uint8_t name[4 + sizeof actor->id + 8];
    msy_put_be32(name, space);
    memcpy(name + 4, actor->id, sizeof actor->id);
    msy_put_be64(name + 4 + sizeof actor->id, seq);
    return (uint32_t)msy_hash_short(pending->key, (meshsync_bytes){name, sizeof name}) &
           (MSY_PENDING_BUCKETS - 1);
}

static uint64_t *pending_actor_bytes(struct msy_pending *pending, const struct msy_actor *actor)
{
    return &pending->actor_bytes[pending_bucket(pending, 0, actor, 0)];
}

static void pending_counted(struct msy_pending *pending, const struct msy_pending_item *item,
                            bool in)
{
    uint64_t *actor_bytes = pending_actor_bytes(pending, &item->tip.actor);
    uint64_t bytes = sizeof *item + item->len;
    if (in) {
        pending->count += 1;
        pending->bytes += bytes;
        *actor_bytes += bytes;
        pending->held += item->reason == MSY_PENDING_TIME ? 1 : 0;
    } else {
        pending->count -= 1;
        pending->bytes -= bytes;
        *actor_bytes -= bytes;
        pending->held -= item->reason == MSY_PENDING_TIME ? 1 : 0;
    }
}

meshsync_status msy_pending_add(struct msy_pending *pending, const struct msy_pending_item *what,
                                meshsync_bytes change)
{
    size_t bytes = sizeof *what + change.len;
    if (pending->bytes + bytes > MSY_PENDING_BYTES_MAX ||
        *pending_actor_bytes(pending, &what->tip.actor) + bytes > MSY_PENDING_ACTOR_BYTES_MAX) {
        pending->dropped += 1;
        return MESHSYNC_OK;
    }
    struct msy_pending_item *item = (struct msy_pending_item *)msy_new(pending->alloc, bytes);
    if (item == NULL) {
        return MESHSYNC_E_NO_MEMORY;
    }
    *item = *what;
    item->len = change.len;
    memcpy(item->bytes, change.data, change.len);
    struct msy_pending_item **list = &pending->waiting;
    if (item->reason == MSY_PENDING_CAUSE) {
        list =
            &pending->buckets[pending_bucket(pending, item->space, &item->wants, item->wants_seq)];
    } else if (item->reason == MSY_PENDING_PROOF) {
        list =
            &pending
                 ->buckets[pending_bucket(pending, item->space, &item->tip.actor, item->tip.seq)];
    }
    item->next = *list;
    *list = item;
    pending_counted(pending, item, true);
    return MESHSYNC_OK;
}

static bool pending_same(const struct msy_pending_item *item, uint32_t space,
                         const struct msy_tip *tip)
{
    return item->space == space && item->tip.seq == tip->seq &&
           msy_actor_equal(&item->tip.actor, &tip->actor) &&
           memcmp(item->tip.hash, tip->hash, sizeof tip->hash) == 0;
}

bool msy_pending_has(const struct msy_pending *pending, uint32_t space, const struct msy_tip *tip)
{
    /* A change waits at most once per place: under its most likely cause, for proof, or in the
     * list. Another cause's bucket is not looked at: a second copy does no harm. */
    const struct msy_actor *actor = &tip->actor;
    const struct msy_pending_item *lists[] = {
        pending->buckets[pending_bucket(pending, space, actor, tip->seq)],
        pending->buckets[pending_bucket(pending, space, actor, tip->seq - 1)],
        pending->waiting,
    };
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        for (const struct msy_pending_item *item = lists[i]; item != NULL; item = item->next) {
            if (pending_same(item, space, tip)) {
                return true;
            }
        }
    }
    return false;
}

/* Takes *link out of its list and makes it ready. */
static void pending_ready(struct msy_pending *pending, struct msy_pending_item **link)
{
    struct msy_pending_item *item = *link;
    *link = item->next;
    pending_counted(pending, item, false);
    item->next = NULL;
    *pending->ready_end = item;
    pending->ready_end = &item->next;
}

void msy_pending_accepted(struct msy_pending *pending, uint32_t space,
                          const struct msy_actor *actor, uint64_t seq)
{
    if (pending->count == 0) {
        return;
    }
    struct msy_pending_item **link = &pending->buckets[pending_bucket(pending, space, actor, seq)];
    while (*link != NULL) {
        struct msy_pending_item *item = *link;
        if (item->reason == MSY_PENDING_CAUSE && item->space == space && item->wants_seq == seq &&
            msy_actor_equal(&item->wants, actor)) {
            pending_ready(pending, link);
        } else {
            link = &item->next;
        }
    }
}

bool msy_pending_proven(struct msy_pending *pending, uint32_t space, const struct msy_tip *tip)
{
    struct msy_pending_item **link =
        &pending->buckets[pending_bucket(pending, space, &tip->actor, tip->seq)];
    bool found = false;
    while (*link != NULL) {
        struct msy_pending_item *item = *link;
        if (item->reason == MSY_PENDING_PROOF && pending_same(item, space, tip)) {
            item->proven = true;
            pending_ready(pending, link);
            found = true;
        } else {
            link = &item->next;
        }
    }
    return found;
}

const struct msy_pending_item *msy_pending_successor(const struct msy_pending *pending,
                                                     uint32_t space, const struct msy_tip *tip)
{
    const struct msy_pending_item *item =
        pending->buckets[pending_bucket(pending, space, &tip->actor, tip->seq)];
    while (item != NULL &&
           (item->reason != MSY_PENDING_CAUSE || item->space != space ||
            item->tip.seq != tip->seq + 1 || !msy_actor_equal(&item->tip.actor, &tip->actor) ||
            memcmp(item->prev, tip->hash, sizeof item->prev) != 0)) {
        item = item->next;
    }
    return item;
}

static void pending_sweep(struct msy_pending *pending, enum msy_pending_reason reason,
                          uint32_t space, uint64_t now_ms)
{
    struct msy_pending_item **link = &pending->waiting;
    while (*link != NULL) {
        struct msy_pending_item *item = *link;
        if (item->reason == reason &&
            (reason == MSY_PENDING_TIME ? item->until_ms <= now_ms : item->space == space)) {
            pending_ready(pending, link);
        } else {
            link = &item->next;
        }
    }
}

void msy_pending_members(struct msy_pending *pending, uint32_t space)
{
    pending_sweep(pending, MSY_PENDING_MEMBER, space, 0);
}

void msy_pending_time(struct msy_pending *pending, uint64_t now_ms)
{
    pending_sweep(pending, MSY_PENDING_TIME, 0, now_ms);
}

static void pending_forget_list(struct msy_pending *pending, struct msy_pending_item **link,
                                uint32_t space)
{
    while (*link != NULL) {
        struct msy_pending_item *item = *link;
        if (item->space == space) {
            *link = item->next;
            pending_counted(pending, item, false);
            msy_pending_free(pending, item);
        } else {
            link = &item->next;
        }
    }
}

void msy_pending_forget(struct msy_pending *pending, uint32_t space)
{
    for (uint32_t i = 0; i < MSY_PENDING_BUCKETS; i++) {
        pending_forget_list(pending, &pending->buckets[i], space);
    }
    pending_forget_list(pending, &pending->waiting, space);
}

struct msy_pending_item *msy_pending_take(struct msy_pending *pending)
{
    struct msy_pending_item *item = pending->ready;
    if (item != NULL) {
        pending->ready = item->next;
        if (pending->ready == NULL) {
            pending->ready_end = &pending->ready;
        }
    }
    return item;
}
