/* SPDX-License-Identifier: Apache-2.0 */
/* Asynchronous commits that are durable here and wait until k peers say that they hold them too. */
#include "shell/clock.h"
#include "shell/node.h"

static void wait_end(struct msy_network *net, struct msy_work *work, meshsync_status status)
{
    (void)pthread_mutex_lock(&net->lock);
    net->waits_count -= 1;
    (void)pthread_mutex_unlock(&net->lock);
    net->in_callback = true;
    msy_work_answer(work, status, &work->tip, work->event.space, NULL);
    net->in_callback = false;
    work->release(work);
}

void msy_network_check_waits(struct msy_network *net)
{
    uint64_t now_ms = msy_clock_mono_ms();
    struct msy_work *work = net->waits;
    net->waits = NULL; /* A callback may commit anew: that comes through the inbox. */
    net->waits_due = false;
    net->waits_at_ms = UINT64_MAX;
    while (work != NULL) {
        struct msy_work *next = work->next;
        uint32_t count = 0;
        meshsync_status status =
            msy_network_holders(net, work->event.space, &work->tip, &count);
        if (status == MESHSYNC_OK && count >= (uint32_t)work->ack) {
            wait_end(net, work, MESHSYNC_OK);
        } else if (now_ms >= work->deadline_ms) {
            wait_end(net, work, MESHSYNC_E_TIMEOUT);
        } else {
            net->waits_at_ms =
                work->deadline_ms < net->waits_at_ms ? work->deadline_ms : net->waits_at_ms;
            work->next = net->waits;
            net->waits = work;
        }
        work = next;
    }
}

void msy_network_cancel_waits(struct msy_network *net)
{
    struct msy_work *work = net->waits;
    net->waits = NULL;
    while (work != NULL) {
        struct msy_work *next = work->next;
        wait_end(net, work, MESHSYNC_E_CANCELLED);
        work = next;
    }
}
