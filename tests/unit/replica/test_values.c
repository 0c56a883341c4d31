/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shows that values of every type have one order that is total and the same from both sides,
 * numbers compared exactly, that they come back from msgpack as they were, and that what is no
 * value is refused with words.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "replica/order.h"
#include "store/schema.h"
#include "wire/value.h"

enum { VALUES_MAX = 64 };

static meshsync_value values[VALUES_MAX];
static uint32_t values_count;

static void add(int32_t type, int64_t integer, double real, const char *text)
{
    meshsync_value *value = &values[values_count++];
    memset(value, 0, sizeof *value);
    value->type = type;
    value->integer = integer;
    value->real = real;
    if (text != NULL) {
        value->bytes = msy_bytes(text, strlen(text));
    }
}

static void add_int(int64_t number)
{
    add(MESHSYNC_VALUE_INT, number, 0, NULL);
}

static void add_float(double number)
{
    add(MESHSYNC_VALUE_FLOAT, 0, number, NULL);
}

/* In ascending order, by docs/format.md, section 6. */
static void fill(void)
{
    values_count = 0;
    add(MESHSYNC_VALUE_NIL, 0, 0, NULL);
    add(MESHSYNC_VALUE_BOOL, 0, 0, NULL);
    add(MESHSYNC_VALUE_BOOL, 1, 0, NULL);
    add_float(NAN);
    add_float(-INFINITY);
    add_float(-1e300);
    add_int(INT64_MIN);
    add_float(-9223372036854775808.0); /* The same number: INT below FLOAT. */
    add_int(INT64_MIN + 1);            /* No double is between. */
    add_float(-2.5);
    add_int(-2);
    add_int(-1);
    add_float(-1.0);
    add_float(-5e-324); /* The smallest there is. */
    add_int(0);
    add_float(0.0);
    add_float(5e-324);
    add_float(2.3e-308);
    add_float(0.5);
    add_int(1);
    add_float(1.0);
    add_float(1.5);
    add_int(9007199254740992);
    add_float(9007199254740992.0);
    add_int(9007199254740993); /* Which no double can be. */
    add_float(9007199254740994.0);
    add_int(INT64_MAX);
    add_float(9223372036854775808.0);
    add_float(INFINITY);
    add(MESHSYNC_VALUE_STRING, 0, 0, "");
    add(MESHSYNC_VALUE_STRING, 0, 0, "a");
    add(MESHSYNC_VALUE_STRING, 0, 0, "ab");
    add(MESHSYNC_VALUE_STRING, 0, 0, "b");
    add(MESHSYNC_VALUE_BYTES, 0, 0, "");
    add(MESHSYNC_VALUE_BYTES, 0, 0, "\xff");
    add(MESHSYNC_VALUE_JSON, 0, 0, "{}");
    add(MESHSYNC_VALUE_MSGPACK, 0, 0, "\x01");
    add(MESHSYNC_VALUE_MSGPACK, 0, 0, "\x02");
    add(MESHSYNC_VALUE_OPAQUE, 0, 0, "\xd4\x05x");
    assert_true(values_count <= VALUES_MAX);
}

static void test_order(void **state)
{
    (void)state;
    fill();
    for (uint32_t i = 0; i < values_count; i++) {
        for (uint32_t k = 0; k < values_count; k++) {
            int order = msy_value_compare(&values[i], &values[k]);
            if ((i < k) != (order < 0) || (i > k) != (order > 0)) {
                fail_msg("values %u and %u: order %d", i, k, order);
            }
        }
    }
}

static void test_order_of_siblings(void **state)
{
    struct msy_sibling_order all[] = {
        {.hlc = 1, .actor = {{9}}, .seq = 9, .index = 9},
        {.hlc = 2, .actor = {{1}}, .seq = 9, .index = 9},
        {.hlc = 2, .actor = {{2}}, .seq = 1, .index = 9},
        {.hlc = 2, .actor = {{2}}, .seq = 2, .index = 1},
        {.hlc = 2, .actor = {{2}}, .seq = 2, .index = 2},
    };
    (void)state;
    for (uint32_t i = 0; i < 5; i++) {
        for (uint32_t k = 0; k < 5; k++) {
            int order = msy_sibling_compare(&all[i], &all[k]);
            assert_true((i < k) == (order < 0) && (i > k) == (order > 0));
        }
    }
}

static void test_back_from_msgpack(void **state)
{
    struct msy_alloc alloc;
    struct msy_buf out;
    (void)state;
    fill();
    msy_alloc_init(&alloc, NULL, NULL, 0);
    msy_buf_init(&out, &alloc, 4096);
    for (uint32_t i = 0; i < values_count; i++) {
        meshsync_value back;
        meshsync_error error = {0};
        msy_buf_reset(&out);
        meshsync_status status = msy_value_encode(&values[i], &out, &error);
        if (values[i].type == MESHSYNC_VALUE_OPAQUE) {
            assert_int_equal(status, MESHSYNC_E_INVALID);
            assert_non_null(strstr(error.message, "no type of a value that can be written"));
            continue;
        }
        assert_int_equal(status, MESHSYNC_OK);
        assert_int_equal(msy_msgpack_check(msy_buf_bytes(&out)), out.len);
        msy_value_decode(msy_buf_bytes(&out), &back);
        assert_int_equal(back.type, values[i].type);
        assert_int_equal(msy_value_compare(&back, &values[i]), 0);
    }
    msy_buf_fini(&out);
}

static void refused(struct msy_buf *out, int32_t type, meshsync_bytes bytes,
                    meshsync_status expected, const char *words)
{
    meshsync_value value = {.type = type, .bytes = bytes};
    meshsync_error error = {0};
    size_t before = out->len;
    assert_int_equal(msy_value_encode(&value, out, &error), expected);
    assert_int_equal(error.status, expected);
    assert_non_null(strstr(error.message, words));
    assert_int_equal(out->len, before);
}

static void test_refusals(void **state)
{
    struct msy_alloc alloc;
    struct msy_buf out;
    (void)state;
    msy_alloc_init(&alloc, NULL, NULL, 0);
    msy_buf_init(&out, &alloc, 4096);
    refused(&out, MESHSYNC_VALUE_STRING, msy_bytes("\xff", 1), MESHSYNC_E_INVALID,
            "STRING value is not UTF-8");
    refused(&out, MESHSYNC_VALUE_JSON, msy_bytes("\xc0\x80", 2), MESHSYNC_E_INVALID,
            "JSON value is not UTF-8");
    refused(&out, MESHSYNC_VALUE_MSGPACK, msy_bytes("", 0), MESHSYNC_E_INVALID, "one canonical");
    refused(&out, MESHSYNC_VALUE_MSGPACK, msy_bytes("\x01\x02", 2), MESHSYNC_E_INVALID,
            "one canonical");
    refused(&out, MESHSYNC_VALUE_MSGPACK, msy_bytes("\xcc\x01", 2), MESHSYNC_E_INVALID,
            "one canonical");
    refused(&out, MESHSYNC_VALUE_BYTES, msy_bytes(NULL, 1), MESHSYNC_E_INVALID, "no bytes");
    refused(&out, MESHSYNC_VALUE_BYTES, msy_bytes("x", MESHSYNC_VALUE_BYTES_MAX + 1),
            MESHSYNC_E_LIMIT, "over the limit");
    refused(&out, 99, msy_bytes("x", 1), MESHSYNC_E_INVALID, "99 is no type");
    refused(&out, -1, msy_bytes("x", 1), MESHSYNC_E_INVALID, "-1 is no type");
    msy_buf_fini(&out);
}

/* What a later version may write is kept as it came. */
static void test_opaque(void **state)
{
    static const char *const payloads[] = {"\x81\x01\x02",
                                           "\x91\x01",
                                           "\xd4\x07x",
                                           "\xd4\x01\xff",
                                           "\xd5\x02\xcc\x01",
                                           "\xcf\xff\xff\xff"
                                           "\xff\xff\xff\xff\xff",
                                           "\xc1"};
    (void)state;
    for (uint32_t i = 0; i < sizeof payloads / sizeof payloads[0]; i++) {
        meshsync_value value;
        meshsync_bytes payload = msy_bytes(payloads[i], strlen(payloads[i]));
        msy_value_decode(payload, &value);
        assert_int_equal(value.type, MESHSYNC_VALUE_OPAQUE);
        assert_ptr_equal(value.bytes.data, payload.data);
        assert_int_equal(value.bytes.len, payload.len);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_order_of_siblings),
        cmocka_unit_test(test_back_from_msgpack),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_opaque),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
