/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hybrid logical clock: 48 bits of Unix milliseconds and 16 bits of counter, so that stamps follow
 * causality and stay near real time.
 */
#ifndef MSY_CLOCK_HLC_H
#define MSY_CLOCK_HLC_H

#include <stdbool.h>
#include <stdint.h>

struct msy_hlc {
    uint64_t last; /* The greatest stamp given or taken in; stored with every commit. */
};

uint64_t msy_hlc_make(uint64_t wall_ms, uint16_t counter);
uint64_t msy_hlc_ms(uint64_t stamp);
/* A stamp greater than all before, at least wall_ms. A full counter carries into the ms. */
uint64_t msy_hlc_next(struct msy_hlc *hlc, uint64_t wall_ms);
/* Takes in the stamp of an applied change. */
void msy_hlc_observe(struct msy_hlc *hlc, uint64_t stamp);
/* More than ahead_ms beyond the greater of wall_ms and the clock's own last stamp. */
bool msy_hlc_too_far(const struct msy_hlc *hlc, uint64_t stamp, uint64_t wall_ms,
                     uint64_t ahead_ms);

#endif
