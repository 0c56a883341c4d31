/* SPDX-License-Identifier: Apache-2.0 */
#include "shell/clock.h"

static uint64_t clock_ms(clockid_t clock)
{
    struct timespec now = {0};
    (void)clock_gettime(clock, &now); /* Cannot fail for these two clocks. */
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t msy_clock_mono_ms(void)
{
    return clock_ms(CLOCK_MONOTONIC);
}

uint64_t msy_clock_mono_us(void)
{
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

struct timespec msy_clock_timespec_us(uint64_t mono_us)
{
    struct timespec at = {.tv_sec = (time_t)(mono_us / 1000000),
                          .tv_nsec = (long)(mono_us % 1000000) * 1000};
    return at;
}

uint64_t msy_clock_unix_ms(void)
{
    return clock_ms(CLOCK_REALTIME);
}

struct timespec msy_clock_timespec(uint64_t mono_ms)
{
    uint64_t seconds = mono_ms / 1000;
    /* A million years are as good as for ever, and overflow nothing in the C library. */
    const uint64_t seconds_max = (uint64_t)1 << 45;
    struct timespec at = {.tv_sec = (time_t)(seconds > seconds_max ? seconds_max : seconds),
                          .tv_nsec = (long)(mono_ms % 1000) * 1000000};
    return at;
}

uint64_t msy_clock_after(uint64_t now_ms, uint64_t delay_ms)
{
    return delay_ms > UINT64_MAX - now_ms ? UINT64_MAX : now_ms + delay_ms;
}
