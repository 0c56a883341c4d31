/* SPDX-License-Identifier: Apache-2.0 */
/* What a peer lacks: segments of actors' chains, merged by LSN. Declared in store/history.h. */
#include "store/history.h"

#include "base/error.h"

void msy_stream_init(struct msy_stream *stream, struct msy_alloc *alloc)
{
    memset(stream, 0, sizeof *stream);
    stream->alloc = alloc;
}

void msy_stream_fini(struct msy_stream *stream)
{
    msy_free(stream->alloc, stream->segments, stream->cap * sizeof *stream->segments);
    stream->segments = NULL;
    stream->count = 0;
    stream->cap = 0;
}

static bool stream_before(const struct msy_stream *stream, uint32_t a, uint32_t b)
{
    return stream->segments[a].next_lsn < stream->segments[b].next_lsn;
}

static void stream_swap(struct msy_stream *stream, uint32_t a, uint32_t b)
{
    struct msy_stream_segment kept = stream->segments[a];
    stream->segments[a] = stream->segments[b];
    stream->segments[b] = kept;
}

static void stream_sift_down(struct msy_stream *stream, uint32_t at)
{
    for (;;) {
        uint32_t least = at;
        uint32_t left = 2 * at + 1;
        if (left < stream->count && stream_before(stream, left, least)) {
            least = left;
        }
        if (left + 1 < stream->count && stream_before(stream, left + 1, least)) {
            least = left + 1;
        }
        if (least == at) {
            return;
        }
        stream_swap(stream, at, least);
        at = least;
    }
}

static void stream_sift_up(struct msy_stream *stream, uint32_t at)
{
    while (at > 0 && stream_before(stream, at, (at - 1) / 2)) {
        stream_swap(stream, at, (at - 1) / 2);
        at = (at - 1) / 2;
    }
}

/* Segment of an actor that is still being streamed, or NULL. */
static struct msy_stream_segment *stream_segment(struct msy_stream *stream,
                                                 const struct msy_actor *actor)
{
    for (uint32_t i = 0; i < stream->count; i++) {
        if (msy_actor_equal(&stream->segments[i].actor, actor)) {
            return &stream->segments[i];
        }
    }
    return NULL;
}

static meshsync_status stream_push(struct msy_stream *stream,
                                   const struct msy_stream_segment *segment)
{
    if (stream->count == stream->cap) {
        uint32_t cap = stream->cap == 0 ? 4 : stream->cap * 2;
        struct msy_stream_segment *grown = (struct msy_stream_segment *)msy_resize(
            stream->alloc, stream->segments, stream->cap * sizeof *grown, cap * sizeof *grown);
        if (grown == NULL) {
            return MESHSYNC_E_NO_MEMORY;
        }
        stream->segments = grown;
        stream->cap = cap;
    }
    stream->segments[stream->count] = *segment;
    stream->count += 1;
    stream->changes_left += segment->last_seq - segment->next_seq + 1;
    stream_sift_up(stream, stream->count - 1);
    return MESHSYNC_OK;
}

/* The seq up to which theirs implies actor's chain, as far as known here. */
static meshsync_status stream_known(struct msy_store_txn *txn, uint32_t space,
                                    const struct msy_vector *theirs, const struct msy_tip *tip,
                                    uint64_t *known)
{
    /* Binary search: what a vector implies of one chain is a prefix of it. */
    uint64_t low = 0;
    uint64_t high = tip->seq;
    bool covers = false;
    const struct msy_tip *exact = msy_vector_get(theirs, &tip->actor);
    if (exact != NULL) { /* Tips are maximal: nothing else in the vector implies more of it. */
        *known = exact->seq < tip->seq ? exact->seq : tip->seq;
        return MESHSYNC_OK;
    }
    meshsync_status status = msy_history_covers(txn, space, theirs, &tip->actor, 1, &covers);
    if (status != MESHSYNC_OK || !covers) {
        *known = 0;
        return status;
    }
    while (low < high && status == MESHSYNC_OK) {
        uint64_t middle = low + (high - low + 1) / 2;
        status = msy_history_covers(txn, space, theirs, &tip->actor, middle, &covers);
        if (covers) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    *known = low;
    return status;
}

/* Adds what is needed of one actor's chain; *whole when it is needed from its first change. */
static meshsync_status stream_add_chain(struct msy_stream *stream, struct msy_store_txn *txn,
                                        const struct msy_vector *theirs, const struct msy_tip *tip,
                                        bool *whole)
{
    uint64_t known = 0;
    *whole = false;
    struct msy_stream_segment *going_on = stream_segment(stream, &tip->actor);
    if (going_on != NULL) {
        if (tip->seq > going_on->last_seq) {
            stream->changes_left += tip->seq - going_on->last_seq;
            going_on->last_seq = tip->seq;
        }
        return MESHSYNC_OK;
    }
    meshsync_status status = stream_known(txn, stream->space, theirs, tip, &known);
    if (status != MESHSYNC_OK || known >= tip->seq) {
        return status;
    }
    struct msy_stream_segment segment = {
        .actor = tip->actor, .next_seq = known + 1, .last_seq = tip->seq};
    status = msy_history_find(txn, stream->space, &tip->actor, segment.next_seq, NULL,
                              &segment.next_lsn);
    if (status == MESHSYNC_OK) {
        status = stream_push(stream, &segment);
    }
    *whole = known == 0;
    return status == MESHSYNC_E_NOT_FOUND ? MESHSYNC_E_STORE_CORRUPT : status;
}

meshsync_status msy_stream_plan(struct msy_stream *stream, struct msy_store_txn *txn,
                                uint32_t space, const struct msy_vector *theirs,
                                const struct msy_tip *wanted, uint32_t wanted_count)
{
    stream->space = space;
    for (uint32_t i = 0; i < wanted_count; i++) {
        struct msy_tip tip = wanted[i];
        uint64_t lsn = 0;
        bool whole = true;
        meshsync_status status = msy_history_find(txn, space, &tip.actor, tip.seq, NULL, &lsn);
        if (status == MESHSYNC_E_NOT_FOUND) {
            continue;
        }
        while (status == MESHSYNC_OK) {
            struct msy_epoch epoch;
            status = stream_add_chain(stream, txn, theirs, &tip, &whole);
            if (status != MESHSYNC_OK || !whole) {
                break;
            }
            status = msy_history_epoch(txn, space, &tip.actor, &epoch);
            if (status != MESHSYNC_OK || !epoch.has_predecessor) {
                break;
            }
            tip = epoch.predecessor;
        }
        if (status != MESHSYNC_OK) {
            return status;
        }
    }
    return MESHSYNC_OK;
}

meshsync_status msy_stream_peek(struct msy_stream *stream, struct msy_store_txn *txn, uint64_t *lsn,
                                struct msy_record *record)
{
    if (stream->count == 0) {
        return MESHSYNC_E_END;
    }
    *lsn = stream->segments[0].next_lsn;
    meshsync_status status = msy_history_record(txn, *lsn, record);
    return status == MESHSYNC_E_NOT_FOUND ? MESHSYNC_E_STORE_CORRUPT : status;
}

meshsync_status msy_stream_advance(struct msy_stream *stream, struct msy_store_txn *txn)
{
    struct msy_stream_segment *first = &stream->segments[0];
    meshsync_status status = MESHSYNC_OK;
    MSY_ASSERT(stream->count > 0);
    if (stream->count == 0) {
        return MESHSYNC_E_INTERNAL;
    }
    stream->changes_left -= 1;
    if (first->next_seq == first->last_seq) {
        stream->count -= 1;
        stream->segments[0] = stream->segments[stream->count];
    } else {
        first->next_seq += 1;
        status = msy_history_find(txn, stream->space, &first->actor, first->next_seq, NULL,
                                  &first->next_lsn);
        if (status == MESHSYNC_E_NOT_FOUND) {
            status = MESHSYNC_E_STORE_CORRUPT;
        }
    }
    stream_sift_down(stream, 0);
    return status;
}
