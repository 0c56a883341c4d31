/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shows that random histories of two to five replicas keep the laws: whatever is written at once or
 * apart, in whatever order changes are handed on, doubled, withheld or cut by a restart, each
 * replica's reads equal a naive replay of what it accepted, and all end the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "laws/schedule.h"

enum { SCHEDULES_DEFAULT = 10000, SEED_BASE = 20000 };

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL && text[0] != '\0' ? strtoull(text, NULL, 10) : otherwise;
}

static void report(void)
{
    const struct lab_reached *reached = &schedule_lab.reached;
    print_message("schedules %llu, ops %llu, changes %llu: merged %llu, explicit %llu\n",
                  (unsigned long long)reached->schedules, (unsigned long long)reached->ops,
                  (unsigned long long)reached->changes, (unsigned long long)reached->merged_changes,
                  (unsigned long long)reached->explicit_changes);
    print_message("conditions refused %llu, contexts %llu, siblings read %llu, resets %llu, "
                  "range removals %llu\n",
                  (unsigned long long)reached->conflicts_refused,
                  (unsigned long long)reached->contexts, (unsigned long long)reached->siblings,
                  (unsigned long long)reached->resets, (unsigned long long)reached->clears);
    print_message("pending %llu, duplicates %llu, causes asked for %llu, pending released %llu, "
                  "reopened %llu, queued %llu, verified %llu, feeds %llu, own writes shown %llu\n",
                  (unsigned long long)reached->pending, (unsigned long long)reached->duplicates,
                  (unsigned long long)reached->missing, (unsigned long long)reached->out_of_order,
                  (unsigned long long)reached->reopened, (unsigned long long)reached->queued,
                  (unsigned long long)reached->verified, (unsigned long long)reached->feeds,
                  (unsigned long long)reached->own_writes);
}

static void test_random_schedules(void **state)
{
    uint64_t count = number_of("MESHSYNC_SCHEDULES", SCHEDULES_DEFAULT);
    uint64_t base = number_of("MESHSYNC_SEED", SEED_BASE);
    (void)state;
    for (uint64_t i = 0; i < count; i++) {
        schedule_run(base + i);
    }
    report();
    if (count >= 1000) { /* Enough that each must have been met. */
        assert_true(schedule_lab.reached.siblings > 0 && schedule_lab.reached.pending > 0);
        assert_true(schedule_lab.reached.duplicates > 0 && schedule_lab.reached.reopened > 0);
        assert_true(schedule_lab.reached.merged_changes > 0 &&
                    schedule_lab.reached.explicit_changes > 0);
        assert_true(schedule_lab.reached.conflicts_refused > 0 && schedule_lab.reached.resets > 0);
        assert_true(schedule_lab.reached.clears > 0 && schedule_lab.reached.missing > 0);
        assert_true(schedule_lab.reached.out_of_order > 0 && schedule_lab.reached.contexts > 0);
        assert_true(schedule_lab.reached.queued > 0 && schedule_lab.reached.verified > 0);
    }
}

static int setup(void **state)
{
    (void)state;
    lab_open(&schedule_lab, "build/tests/laws/test_schedules");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    lab_close(&schedule_lab);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_schedules)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
