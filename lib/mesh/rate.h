/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Token buckets: how many bytes of changes may go in a time. Debt is allowed, so that a change
 * larger than a burst goes in one piece, and is paid back before anything else goes. No clock:
 * time is an argument, and may not go back.
 */
#ifndef MSY_MESH_RATE_H
#define MSY_MESH_RATE_H

#include <stdbool.h>
#include <stdint.h>

/* What may wait may only spend what is there; what is live, up to a burst more. */
enum msy_rate_class { MSY_RATE_LIVE = 0, MSY_RATE_BULK = 1 };

struct msy_rate {
    uint64_t bytes_per_s;  /* 0: no bound, and nothing is counted. */
    uint64_t burst_bytes;  /* At least 1 when there is a bound. */
    int64_t level_mbytes;  /* Thousandths of a byte, so that a millisecond's share is whole. */
    uint64_t filled_at_ms; /* Until when level_mbytes is counted. */
};

/* burst_bytes 0: what one second allows. Full at first. Both at most MSY_RATE_BYTES_MAX. */
void msy_rate_init(struct msy_rate *rate, uint64_t bytes_per_s, uint64_t burst_bytes,
                   uint64_t now_ms);
bool msy_rate_may(struct msy_rate *rate, enum msy_rate_class rate_class, uint64_t now_ms);
void msy_rate_spend(struct msy_rate *rate, uint64_t bytes);
/* They were spent, and then not needed. */
void msy_rate_give_back(struct msy_rate *rate, uint64_t bytes);
/* When bulk may go again, had nothing else gone: now_ms at the earliest. */
uint64_t msy_rate_at_ms(const struct msy_rate *rate, uint64_t now_ms);

#endif
