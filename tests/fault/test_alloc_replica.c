/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shows that replica machines whose n-th allocation fails, once or from then on, for every n of
 * histories of commits, group commits, transactions, changes in any order and openings, say that
 * there is no memory, leave the store as it was, give back every byte with its right size, and go
 * on after a restart to the state that the model has.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "laws/schedule.h"

enum { STRIDE_DEFAULT = 11, SEEDS = 4, SCHEDULES_DEFAULT = 150, SEED_BASE = 730000 };

static struct fail_memory memory;

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL && text[0] != '\0' ? strtoull(text, NULL, 10) : otherwise;
}

static void test_every_allocation(void **state)
{
    struct lab *lab = &schedule_lab;
    uint64_t stride = number_of("MESHSYNC_STRIDE", STRIDE_DEFAULT);
    uint64_t tried = 0;
    uint64_t hurt = 0;
    (void)state;
    for (uint64_t seed = SEED_BASE; seed < SEED_BASE + SEEDS; seed++) {
        lab->memory_at = UINT64_MAX;
        schedule_run(seed);
        uint64_t count = lab->memory_counted;
        assert_true(count > 500);
        for (uint64_t n = 1 + seed % stride; n <= count; n += stride) {
            uint64_t failed = memory.failed;
            lab->memory_at = n;
            lab->memory_stays = tried % 2 == 1;
            schedule_run(seed);
            assert_true(memory.failed > failed);
            tried += 1;
        }
        print_message("seed %llu: %llu allocations\n", (unsigned long long)seed,
                      (unsigned long long)count);
    }
    hurt = lab->reached.failed_steps + lab->reached.failed_openings;
    lab->memory_at = 0;
    print_message("%llu allocations failed, each in a history of its own: %llu steps, %llu "
                  "openings said so\n",
                  (unsigned long long)tried, (unsigned long long)lab->reached.failed_steps,
                  (unsigned long long)lab->reached.failed_openings);
    assert_true(hurt > tried / 2);
}

static void test_schedules_without_memory(void **state)
{
    struct lab *lab = &schedule_lab;
    uint64_t count = number_of("MESHSYNC_STORE_FAILS", SCHEDULES_DEFAULT);
    uint64_t base = number_of("MESHSYNC_SEED", SEED_BASE);
    uint64_t steps = lab->reached.failed_steps;
    (void)state;
    lab->memory_at = 0;
    lab->fail_percent = 30;
    lab->fail_ops_max = 200;
    for (uint64_t i = 0; i < count; i++) {
        schedule_run(base + i);
    }
    print_message("schedules %llu from seed %llu, failed steps %llu\n", (unsigned long long)count,
                  (unsigned long long)base,
                  (unsigned long long)(lab->reached.failed_steps - steps));
}

static int setup(void **state)
{
    (void)state;
    schedule_lab.memory = &memory;
    lab_open(&schedule_lab, "build/tests/fault/test_alloc_replica");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    lab_close(&schedule_lab);
    if (memory.blocks != 0 || memory.bytes != 0) {
        print_error("%llu blocks were not given back\n", (unsigned long long)memory.blocks);
        return 1;
    }
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_allocation),
                                       cmocka_unit_test(test_schedules_without_memory)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
