/* SPDX-License-Identifier: Apache-2.0 */
/* Every option has its default, its range and its text form, and what is wrong has words. */
#include "unit/api/api_kit.h"

#include <stdio.h>
#include <string.h>

#include "api/options.h"

static uint64_t option_of(const meshsync_options *options, const struct msy_option *option)
{
    const uint8_t *at = (const uint8_t *)options + option->offset;
    uint64_t u64 = 0;
    uint32_t u32 = 0;
    if (option->kind == MSY_OPTION_U64 || option->kind == MSY_OPTION_BYTES) {
        memcpy(&u64, at, sizeof u64);
        return u64;
    }
    memcpy(&u32, at, sizeof u32);
    return u32;
}

static void test_defaults(void **state)
{
    meshsync_options options;
    size_t count = 0;
    const struct msy_option *table = msy_options_table(&count);
    (void)state;
    memset(&options, 0xff, sizeof options);
    meshsync_options_init(&options, sizeof options);
    assert_int_equal(options.size, sizeof options);
    for (size_t i = 0; i < count; i++) {
        if (table[i].kind != MSY_OPTION_TEXT) {
            assert_int_equal(option_of(&options, &table[i]), table[i].preset);
        }
    }
    assert_null(options.path);
    assert_null(options.log);
    assert_int_equal(options.store_map_bytes, (uint64_t)64 << 30);
    assert_int_equal(options.readers_max, 1024);
    assert_int_equal(options.create, 1);
}

static void test_ranges(void **state)
{
    meshsync_error error = {0};
    meshsync_options options;
    meshsync_options full;
    size_t count = 0;
    const struct msy_option *table = msy_options_table(&count);
    char text[32];
    (void)state;
    meshsync_options_init(&options, sizeof options);
    API_OK(meshsync_options_set(&options, "path", "somewhere", &error));
    assert_string_equal(options.path, "somewhere");
    for (size_t i = 0; i < count; i++) {
        const struct msy_option *option = &table[i];
        if (option->kind == MSY_OPTION_TEXT) {
            continue;
        }
        const uint64_t good[] = {option->min, option->max, option->preset};
        for (size_t k = 0; k < 3; k++) {
            (void)snprintf(text, sizeof text, "%llu", (unsigned long long)good[k]);
            API_OK(meshsync_options_set(&options, option->name, text, &error));
            assert_int_equal(option_of(&options, option), good[k]);
        }
        (void)snprintf(text, sizeof text, "%llu", (unsigned long long)option->max + 1);
        API_FAILS(MESHSYNC_E_INVALID, meshsync_options_set(&options, option->name, text, &error));
        if (option->min > 0 && !option->zero) {
            API_FAILS(MESHSYNC_E_INVALID,
                      meshsync_options_set(&options, option->name, "0", &error));
        }
        assert_int_equal(option_of(&options, option), option->preset);
    }
    API_OK(msy_options_complete(&options, &full, &error));
    assert_int_equal(full.store_bytes_max, full.store_map_bytes);
}

static void test_texts(void **state)
{
    static const char *const bad[] = {
        "", "x", "1x", "-1", "1 KiB", "18446744073709551616", "1kib", "99999999999TiB", "KiB"};
    meshsync_error error = {0};
    meshsync_options options;
    (void)state;
    meshsync_options_init(&options, sizeof options);
    API_OK(meshsync_options_set(&options, "store_map_bytes", "3GiB", &error));
    assert_int_equal(options.store_map_bytes, (uint64_t)3 << 30);
    API_OK(meshsync_options_set(&options, "store_map_bytes", "2048KiB", &error));
    assert_int_equal(options.store_map_bytes, (uint64_t)2 << 20);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        API_FAILS(MESHSYNC_E_INVALID,
                  meshsync_options_set(&options, "store_map_bytes", bad[i], &error));
    }
    API_FAILS(MESHSYNC_E_INVALID, meshsync_options_set(&options, "keepalive_ms", "1KiB", &error));
    API_FAILS(MESHSYNC_E_NOT_FOUND, meshsync_options_set(&options, "no_such", "1", &error));
    API_FAILS(MESHSYNC_E_NOT_FOUND, meshsync_options_set(&options, "size", "1", &error));
    API_FAILS(MESHSYNC_E_INVALID, meshsync_options_set(NULL, "path", "x", &error));
    API_FAILS(MESHSYNC_E_INVALID, meshsync_options_set(&options, NULL, "x", &error));
    API_FAILS(MESHSYNC_E_INVALID, meshsync_options_set(&options, "path", NULL, &error));
}

/* Programs that were compiled with other versions of the struct. */
static void test_sizes(void **state)
{
    struct {
        meshsync_options options;
        uint64_t later[2];
    } newer;
    meshsync_error error = {0};
    meshsync_options full;
    (void)state;
    memset(&newer, 0, sizeof newer);
    meshsync_options_init(&newer.options, sizeof newer.options);
    newer.options.path = "p";
    newer.options.size = sizeof newer;
    API_OK(msy_options_complete(&newer.options, &full, &error));
    newer.later[1] = 1;
    API_FAILS(MESHSYNC_E_UNSUPPORTED, msy_options_complete(&newer.options, &full, &error));

    meshsync_options older;
    memset(&older, 0xff, sizeof older);
    meshsync_options_init(&older, offsetof(meshsync_options, keepalive_ms));
    older.path = "p";
    API_OK(msy_options_complete(&older, &full, &error));
    assert_int_equal(full.keepalive_ms, 2000);
    API_FAILS(MESHSYNC_E_NOT_FOUND, meshsync_options_set(&older, "keepalive_ms", "300", &error));
    older.size = 0;
    API_FAILS(MESHSYNC_E_INVALID, msy_options_complete(&older, &full, &error));
    API_FAILS(MESHSYNC_E_INVALID, msy_options_complete(NULL, &full, &error));
}

static void test_together(void **state)
{
    meshsync_error error = {0};
    meshsync_options options;
    meshsync_options full;
    meshsync_node *node = NULL;
    (void)state;
    meshsync_options_init(&options, sizeof options);
    API_FAILS(MESHSYNC_E_INVALID, msy_options_complete(&options, &full, &error));
    options.path = "";
    API_FAILS(MESHSYNC_E_INVALID, meshsync_node_open(&options, &node, &error));
    options.path = "p";
    options.store_bytes_max = options.store_map_bytes + 1;
    API_FAILS(MESHSYNC_E_INVALID, meshsync_node_open(&options, &node, &error));
    options.store_bytes_max = 0;
    options.mode = -1;
    API_FAILS(MESHSYNC_E_INVALID, meshsync_node_open(&options, &node, &error));
    API_FAILS(MESHSYNC_E_INVALID, meshsync_node_open(&options, NULL, &error));
    API_FAILS(MESHSYNC_E_INVALID, meshsync_node_open(NULL, &node, &error));
    meshsync_options_init(NULL, 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults), cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_texts),    cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
