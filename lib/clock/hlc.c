/* SPDX-License-Identifier: Apache-2.0 */
#include "clock/hlc.h"

enum { HLC_COUNTER_BITS = 16 };

uint64_t msy_hlc_make(uint64_t wall_ms, uint16_t counter)
{
    return wall_ms << HLC_COUNTER_BITS | counter;
}

uint64_t msy_hlc_ms(uint64_t stamp)
{
    return stamp >> HLC_COUNTER_BITS;
}

uint64_t msy_hlc_next(struct msy_hlc *hlc, uint64_t wall_ms)
{
    uint64_t wall = msy_hlc_make(wall_ms, 0);
    /* Adding one lets a full counter carry into the milliseconds. */
    hlc->last = wall > hlc->last ? wall : hlc->last + 1;
    return hlc->last;
}

void msy_hlc_observe(struct msy_hlc *hlc, uint64_t stamp)
{
    if (stamp > hlc->last) {
        hlc->last = stamp;
    }
}

bool msy_hlc_too_far(const struct msy_hlc *hlc, uint64_t stamp, uint64_t wall_ms, uint64_t ahead_ms)
{
    uint64_t own_ms = msy_hlc_ms(hlc->last);
    uint64_t now_ms = own_ms > wall_ms ? own_ms : wall_ms;
    uint64_t stamp_ms = msy_hlc_ms(stamp);
    return stamp_ms > now_ms && stamp_ms - now_ms > ahead_ms;
}
