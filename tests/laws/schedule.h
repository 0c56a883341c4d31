/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random histories of two to five replicas: what is written at once or apart, in whatever order
 * changes are handed on, doubled, withheld or cut by a restart. Each is drawn from its seed.
 */
#ifndef TESTS_LAWS_SCHEDULE_H
#define TESTS_LAWS_SCHEDULE_H

#include "laws/lab.h"

/* Where schedules run; opened and closed by the program. */
extern struct lab schedule_lab;
/* Ops of a schedule; 50 unless changed. */
extern uint32_t schedule_ops_min;

/* A schedule, whose replicas stay as it left them until lab_end. */
void schedule_play(uint64_t seed);
/* One schedule from beginning to end, with all its checks. */
void schedule_run(uint64_t seed);

#endif
