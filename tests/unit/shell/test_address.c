/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses are read strictly, written as they are read, and spread over interfaces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "shell/address.h"

static void test_good(void **state)
{
    static const char *const texts[] = {"127.0.0.1:0",     "10.1.2.3:65535", "[::1]:7000",
                                        "[2001:db8::5]:1", "unix:/run/x",    "unix:relative"};
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct msy_address address;
        char text[MESHSYNC_ADDRESS_BYTES_MAX];
        meshsync_error error;
        assert_int_equal(msy_address_parse(texts[i], &address, &error), MESHSYNC_OK);
        assert_true(address.numeric);
        msy_address_format((const struct sockaddr *)&address.sockaddr, address.sockaddr_len, text);
        assert_string_equal(text, texts[i]);
        assert_int_equal(msy_address_resolve(&address, &error), MESHSYNC_OK);
    }
}

static void test_names(void **state)
{
    struct msy_address address;
    meshsync_error error;
    (void)state;
    assert_int_equal(msy_address_parse("localhost:80", &address, &error), MESHSYNC_OK);
    assert_false(address.numeric);
    assert_string_equal(address.host, "localhost");
    assert_int_equal(address.port, 80);
    /* No name may have a space: this fails without asking anybody. */
    assert_int_equal(msy_address_parse("no name:80", &address, &error), MESHSYNC_OK);
    assert_int_equal(msy_address_resolve(&address, &error), MESHSYNC_E_UNREACHABLE);
}

static void test_bad(void **state)
{
    static const char *const texts[] = {
        "",       "host",  ":80",     "host:",       "host:65536", "host:1x", "host:-1",
        "::1:80", "[::1]", "[::1]80", "[1.2.3.4]:5", "[host]:80",  "unix:",   "host:123456"};
    struct msy_address address;
    char longest[MESHSYNC_ADDRESS_BYTES_MAX + 8];
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        meshsync_error error = {0};
        assert_int_equal(msy_address_parse(texts[i], &address, &error), MESHSYNC_E_INVALID);
        assert_true(error.message[0] != '\0');
    }
    meshsync_error error;
    assert_int_equal(msy_address_parse(NULL, &address, &error), MESHSYNC_E_INVALID);
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    assert_int_equal(msy_address_parse(longest, &address, &error), MESHSYNC_E_INVALID);
    memcpy(longest, "unix:/", 6);
    longest[150] = '\0';
    assert_int_equal(msy_address_parse(longest, &address, &error), MESHSYNC_E_INVALID);
}

static void test_mapped(void **state)
{
    struct msy_address address;
    char text[MESHSYNC_ADDRESS_BYTES_MAX];
    meshsync_error error;
    (void)state;
    assert_int_equal(msy_address_parse("[::ffff:10.0.0.7]:99", &address, &error), MESHSYNC_OK);
    msy_address_format((const struct sockaddr *)&address.sockaddr, address.sockaddr_len, text);
    assert_string_equal(text, "10.0.0.7:99");
}

static void test_spread(void **state)
{
    struct msy_address address;
    char texts[8][MESHSYNC_ADDRESS_BYTES_MAX];
    meshsync_error error;
    (void)state;
    assert_int_equal(msy_address_parse("127.0.0.1:7", &address, &error), MESHSYNC_OK);
    const struct sockaddr *one = (const struct sockaddr *)&address.sockaddr;
    assert_false(msy_address_is_any(one));
    assert_int_equal(msy_address_expand(one, address.sockaddr_len, texts, 8), 1);
    assert_string_equal(texts[0], "127.0.0.1:7");
    assert_int_equal(msy_address_parse("0.0.0.0:7", &address, &error), MESHSYNC_OK);
    assert_true(msy_address_is_any(one));
    uint32_t count = msy_address_expand(one, address.sockaddr_len, texts, 8);
    for (uint32_t i = 0; i < count; i++) {
        struct msy_address found;
        assert_int_equal(msy_address_parse(texts[i], &found, &error), MESHSYNC_OK);
        assert_int_equal(found.port, 7);
        assert_false(msy_address_is_any((const struct sockaddr *)&found.sockaddr));
    }
    assert_int_equal(msy_address_expand(one, address.sockaddr_len, texts, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),   cmocka_unit_test(test_names),  cmocka_unit_test(test_bad),
        cmocka_unit_test(test_mapped), cmocka_unit_test(test_spread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
