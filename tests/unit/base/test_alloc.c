/* SPDX-License-Identifier: Apache-2.0 */
/* Shows that the allocator keeps its cap and its count, zeroes, and fails when a test says so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/alloc.h"

static void new_memory_is_zero_and_counted(void **state)
{
    (void)state;
    struct msy_alloc alloc;
    msy_alloc_init(&alloc, NULL, NULL, 0);
    uint8_t *bytes = msy_new(&alloc, 100);
    assert_non_null(bytes);
    for (size_t i = 0; i < 100; i++) {
        assert_int_equal(bytes[i], 0);
    }
    assert_int_equal(alloc.bytes_used, 100);
    uint32_t *numbers = msy_new_array(&alloc, 10, sizeof *numbers);
    assert_non_null(numbers);
    assert_int_equal(alloc.bytes_used, 140);
    msy_free(&alloc, bytes, 100);
    msy_free(&alloc, numbers, 10 * sizeof *numbers);
    msy_free(&alloc, NULL, 0);
    assert_int_equal(alloc.bytes_used, 0);
}

static void resizing_keeps_content_and_count(void **state)
{
    (void)state;
    struct msy_alloc alloc;
    msy_alloc_init(&alloc, NULL, NULL, 0);
    uint8_t *bytes = msy_resize(&alloc, NULL, 0, 4);
    assert_non_null(bytes);
    bytes[3] = 7;
    bytes = msy_resize(&alloc, bytes, 4, 4000);
    assert_non_null(bytes);
    assert_int_equal(bytes[3], 7);
    assert_int_equal(alloc.bytes_used, 4000);
    bytes = msy_resize(&alloc, bytes, 4000, 8);
    assert_non_null(bytes);
    assert_int_equal(bytes[3], 7);
    assert_int_equal(alloc.bytes_used, 8);
    assert_null(msy_resize(&alloc, bytes, 8, 0));
    assert_int_equal(alloc.bytes_used, 0);
}

static void overflow_is_no_memory(void **state)
{
    (void)state;
    struct msy_alloc alloc;
    msy_alloc_init(&alloc, NULL, NULL, 0);
    assert_null(msy_new_array(&alloc, SIZE_MAX / 2, 3));
    assert_int_equal(alloc.bytes_used, 0);
}

static void the_cap_holds(void **state)
{
    (void)state;
    struct msy_alloc alloc;
    msy_alloc_init(&alloc, NULL, NULL, 1000);
    void *most = msy_new(&alloc, 900);
    assert_non_null(most);
    assert_null(msy_new(&alloc, 101));
    assert_null(msy_resize(&alloc, most, 900, 1001));
    assert_null(msy_new(&alloc, SIZE_MAX));
    assert_int_equal(alloc.bytes_used, 900);
    void *rest = msy_new(&alloc, 100);
    assert_non_null(rest);
    msy_free(&alloc, rest, 100);
    msy_free(&alloc, most, 900);
    assert_int_equal(alloc.bytes_used, 0);
}

static void the_nth_allocation_fails(void **state)
{
    (void)state;
    struct msy_alloc alloc;
    msy_alloc_init(&alloc, NULL, NULL, 0);
    alloc.fail_at = 2;
    void *first = msy_new(&alloc, 8);
    assert_non_null(first);
    assert_null(msy_resize(&alloc, first, 8, 16));
    void *third = msy_new(&alloc, 8);
    assert_non_null(third);
    alloc.fail_at = 1;
    alloc.fail_for_ever = 1;
    assert_null(msy_new(&alloc, 8));
    assert_null(msy_new(&alloc, 8));
    msy_free(&alloc, third, 8);
    msy_free(&alloc, first, 8);
    assert_int_equal(alloc.bytes_used, 0);
}

struct counting {
    size_t calls_count;
    size_t sizes_sum;
    int refuse;
};

static void *counting_realloc(void *user, void *ptr, size_t old_size, size_t new_size)
{
    struct counting *counting = user;
    counting->calls_count++;
    counting->sizes_sum += new_size;
    counting->sizes_sum -= old_size;
    if (new_size == 0) {
        free(ptr);
        return NULL;
    }
    if (counting->refuse != 0) {
        counting->sizes_sum -= new_size;
        counting->sizes_sum += old_size;
        return NULL;
    }
    return realloc(ptr, new_size);
}

static void an_application_brings_its_own(void **state)
{
    (void)state;
    struct counting counting = {0};
    struct msy_alloc alloc;
    msy_alloc_init(&alloc, counting_realloc, &counting, 0);
    void *ptr = msy_new(&alloc, 24);
    assert_non_null(ptr);
    assert_int_equal(counting.sizes_sum, 24);
    counting.refuse = 1;
    assert_null(msy_resize(&alloc, ptr, 24, 48));
    assert_int_equal(alloc.bytes_used, 24);
    msy_free(&alloc, ptr, 24);
    assert_int_equal(counting.sizes_sum, 0);
    assert_int_equal(counting.calls_count, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_memory_is_zero_and_counted),
        cmocka_unit_test(resizing_keeps_content_and_count),
        cmocka_unit_test(overflow_is_no_memory),
        cmocka_unit_test(the_cap_holds),
        cmocka_unit_test(the_nth_allocation_fails),
        cmocka_unit_test(an_application_brings_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
