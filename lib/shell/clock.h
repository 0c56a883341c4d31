/* SPDX-License-Identifier: Apache-2.0 */
/* The real clocks: the only place that reads them. */
#ifndef MSY_SHELL_CLOCK_H
#define MSY_SHELL_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Never goes back; stands still while the machine sleeps. */
uint64_t msy_clock_mono_ms(void);
/* The same in finer steps. */
uint64_t msy_clock_mono_us(void);
/* Unix time. */
uint64_t msy_clock_unix_ms(void);
/* mono_ms as pthread_cond_timedwait() takes it for a condition on the monotonic clock. */
struct timespec msy_clock_timespec(uint64_t mono_ms);
struct timespec msy_clock_timespec_us(uint64_t mono_us);
/* now + delay, without overflow. */
uint64_t msy_clock_after(uint64_t now_ms, uint64_t delay_ms);

#endif
