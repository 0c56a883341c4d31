/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shows that a store whose n-th operation fails, whichever that is and with whatever status, costs
 * no more than the step, the opening or the read at hand: its status comes out, nothing is half
 * done, the machine that is opened again goes on, and the laws hold.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "laws/schedule.h"

enum { SCHEDULES_DEFAULT = 400, SEED_BASE = 700000 };

static struct fail_plan plan;

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL && text[0] != '\0' ? strtoull(text, NULL, 10) : otherwise;
}

/* Random histories in which three of ten steps and openings meet a failure. */
static void test_schedules_over_failing_stores(void **state)
{
    struct lab *lab = &schedule_lab;
    uint64_t count = number_of("MESHSYNC_STORE_FAILS", SCHEDULES_DEFAULT);
    uint64_t base = number_of("MESHSYNC_SEED", SEED_BASE);
    (void)state;
    lab->plan = &plan;
    lab->fail_percent = 30;
    lab->fail_ops_max = 150;
    for (uint64_t i = 0; i < count; i++) {
        schedule_run(base + i);
    }
    lab->plan = NULL;
    print_message("schedules %llu from seed %llu, failed steps %llu, failed openings %llu:",
                  (unsigned long long)count, (unsigned long long)base,
                  (unsigned long long)lab->reached.failed_steps,
                  (unsigned long long)lab->reached.failed_openings);
    for (uint32_t i = 0; i < FAIL_OPS; i++) {
        print_message(" %s %llu", fail_op_name((enum fail_op)i),
                      (unsigned long long)plan.fired_of[i]);
    }
    print_message("\n");
    for (uint32_t i = 0; i < FAIL_OPS && count >= 100; i++) {
        assert_true(plan.fired_of[i] > 0);
    }
}

static int setup(void **state)
{
    (void)state;
    lab_open(&schedule_lab, "build/tests/fault/test_store_fails");
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
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_schedules_over_failing_stores)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
