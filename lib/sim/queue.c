/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/queue.h"

#include <string.h>

enum { QUEUE_FIRST = 256, QUEUE_MAX = 1 << 24 };

void msy_sim_queue_init(struct msy_sim_queue *queue, struct msy_alloc *alloc)
{
    memset(queue, 0, sizeof *queue);
    queue->alloc = alloc;
}

void msy_sim_queue_fini(struct msy_sim_queue *queue)
{
    msy_free(queue->alloc, queue->heap, queue->cap * sizeof *queue->heap);
    msy_sim_queue_init(queue, queue->alloc);
}

static bool queue_before(const struct msy_sim_event *a, const struct msy_sim_event *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->number < b->number;
}

static void queue_swap(struct msy_sim_queue *queue, uint32_t a, uint32_t b)
{
    struct msy_sim_event kept = queue->heap[a];
    queue->heap[a] = queue->heap[b];
    queue->heap[b] = kept;
}

meshsync_status msy_sim_queue_push(struct msy_sim_queue *queue, const struct msy_sim_event *event)
{
    if (queue->count == queue->cap) {
        uint32_t cap = queue->cap == 0 ? QUEUE_FIRST : queue->cap * 2;
        if (cap > QUEUE_MAX) {
            return MESHSYNC_E_LIMIT;
        }
        void *grown = msy_resize(queue->alloc, queue->heap, queue->cap * sizeof *queue->heap,
                                 cap * sizeof *queue->heap);
        if (grown == NULL) {
            return MESHSYNC_E_NO_MEMORY;
        }
        queue->heap = grown;
        queue->cap = cap;
    }
    uint32_t at = queue->count++;
    queue->heap[at] = *event;
    queue->heap[at].number = queue->number_next++;
    while (at > 0 && queue_before(&queue->heap[at], &queue->heap[(at - 1) / 2])) {
        queue_swap(queue, at, (at - 1) / 2);
        at = (at - 1) / 2;
    }
    return MESHSYNC_OK;
}

bool msy_sim_queue_peek(const struct msy_sim_queue *queue, struct msy_sim_event *event)
{
    if (queue->count == 0) {
        return false;
    }
    *event = queue->heap[0];
    return true;
}

void msy_sim_queue_pop(struct msy_sim_queue *queue)
{
    if (queue->count == 0) {
        return;
    }
    queue->count -= 1;
    queue->heap[0] = queue->heap[queue->count];
    uint32_t at = 0;
    for (;;) {
        uint32_t least = at;
        for (uint32_t child = 2 * at + 1; child <= 2 * at + 2 && child < queue->count; child++) {
            least = queue_before(&queue->heap[child], &queue->heap[least]) ? child : least;
        }
        if (least == at) {
            return;
        }
        queue_swap(queue, at, least);
        at = least;
    }
}
