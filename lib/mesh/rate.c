/* SPDX-License-Identifier: Apache-2.0 */
#include "mesh/rate.h"

#include "mesh/bounds.h"

enum { RATE_MBYTES = 1000 };

static int64_t rate_full(const struct msy_rate *rate)
{
    return (int64_t)(rate->burst_bytes * RATE_MBYTES);
}

void msy_rate_init(struct msy_rate *rate, uint64_t bytes_per_s, uint64_t burst_bytes,
                   uint64_t now_ms)
{
    uint64_t most = MSY_RATE_BYTES_MAX;
    rate->bytes_per_s = bytes_per_s < most ? bytes_per_s : most;
    rate->burst_bytes = burst_bytes > 0 ? burst_bytes : rate->bytes_per_s;
    rate->burst_bytes = rate->burst_bytes < most ? rate->burst_bytes : most;
    rate->level_mbytes = rate_full(rate);
    rate->filled_at_ms = now_ms;
}

/* A byte per second is a thousandth of a byte per millisecond. */
static void rate_fill(struct msy_rate *rate, uint64_t now_ms)
{
    uint64_t passed_ms = now_ms > rate->filled_at_ms ? now_ms - rate->filled_at_ms : 0;
    uint64_t lacks = (uint64_t)(rate_full(rate) - rate->level_mbytes);
    rate->filled_at_ms += passed_ms;
    if (passed_ms > lacks / rate->bytes_per_s) {
        rate->level_mbytes = rate_full(rate);
    } else {
        rate->level_mbytes += (int64_t)(passed_ms * rate->bytes_per_s);
    }
}

bool msy_rate_may(struct msy_rate *rate, enum msy_rate_class rate_class, uint64_t now_ms)
{
    if (rate->bytes_per_s == 0) {
        return true;
    }
    rate_fill(rate, now_ms);
    return rate->level_mbytes > (rate_class == MSY_RATE_LIVE ? -rate_full(rate) : 0);
}

void msy_rate_spend(struct msy_rate *rate, uint64_t bytes)
{
    if (rate->bytes_per_s > 0) {
        rate->level_mbytes -= (int64_t)(bytes * RATE_MBYTES);
    }
}

void msy_rate_give_back(struct msy_rate *rate, uint64_t bytes)
{
    if (rate->bytes_per_s > 0) {
        int64_t level = rate->level_mbytes + (int64_t)(bytes * RATE_MBYTES);
        rate->level_mbytes = level < rate_full(rate) ? level : rate_full(rate);
    }
}

uint64_t msy_rate_at_ms(const struct msy_rate *rate, uint64_t now_ms)
{
    if (rate->bytes_per_s == 0 || rate->level_mbytes > 0) {
        return now_ms;
    }
    /* Some more than one byte, so that changes still share messages. */
    return now_ms + (uint64_t)-rate->level_mbytes / rate->bytes_per_s + MSY_RATE_REST_MS;
}
