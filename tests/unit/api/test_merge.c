/* SPDX-License-Identifier: Apache-2.0 */
/* A custom view shows what its function says; the self-test finds functions that are no views. */
#include "unit/api/api_kit.h"

#include <string.h>

/* The longest text, else the last writer's. */
static int32_t longest(void *user, const meshsync_sibling *siblings, uint32_t count,
                       meshsync_merge_out *out)
{
    const meshsync_sibling *best = &siblings[0];
    (void)user;
    for (uint32_t i = 1; i < count; i++) {
        if (siblings[i].value.bytes.len >= best->value.bytes.len) {
            best = &siblings[i];
        }
    }
    out->value = best->value;
    return 0;
}

static int32_t by_lsn(void *user, const meshsync_sibling *siblings, uint32_t count,
                      meshsync_merge_out *out)
{
    const meshsync_sibling *best = &siblings[0];
    (void)user;
    for (uint32_t i = 1; i < count; i++) {
        best = siblings[i].lsn > best->lsn ? &siblings[i] : best;
    }
    out->value = best->value;
    return 0;
}

static int32_t by_mood(void *user, const meshsync_sibling *siblings, uint32_t count,
                       meshsync_merge_out *out)
{
    uint32_t *calls = user;
    *calls += 1;
    out->value = siblings[*calls % count].value;
    return 0;
}

static int32_t in_the_middle(void *user, const meshsync_sibling *siblings, uint32_t count,
                             meshsync_merge_out *out)
{
    (void)user;
    out->value = siblings[count / 2].value;
    return 0;
}

static int32_t beyond_scratch(void *user, const meshsync_sibling *siblings, uint32_t count,
                              meshsync_merge_out *out)
{
    (void)user;
    (void)count;
    out->scratch[out->scratch_len] = 1;
    out->value = siblings[0].value;
    return 0;
}

static int32_t into_siblings(void *user, const meshsync_sibling *siblings, uint32_t count,
                             meshsync_merge_out *out)
{
    (void)user;
    (void)count;
    ((meshsync_sibling *)(uintptr_t)siblings)->hlc = 1;
    out->value = siblings[0].value;
    return 0;
}

static int32_t total(void *user, const meshsync_sibling *siblings, uint32_t count,
                     meshsync_merge_out *out)
{
    int64_t sum = 0;
    (void)user;
    for (uint32_t i = 0; i < count; i++) {
        sum += siblings[i].value.integer;
    }
    out->value = meshsync_value_int(sum);
    return 0;
}

static int32_t declines(void *user, const meshsync_sibling *siblings, uint32_t count,
                        meshsync_merge_out *out)
{
    (void)user;
    (void)siblings;
    (void)count;
    (void)out;
    return 1;
}

static void test_self_test(void **state)
{
    meshsync_error error = {0};
    uint32_t calls = 0;
    (void)state;
    API_OK(meshsync_merge_self_test(longest, NULL, 200, 1, &error));
    API_OK(meshsync_merge_self_test(total, NULL, 200, 2, &error));
    API_OK(meshsync_merge_self_test(declines, NULL, 200, 3, &error));
    API_FAILS(MESHSYNC_E_INVALID, meshsync_merge_self_test(by_lsn, NULL, 200, 4, &error));
    API_FAILS(MESHSYNC_E_INVALID, meshsync_merge_self_test(by_mood, &calls, 200, 5, &error));
    API_FAILS(MESHSYNC_E_INVALID, meshsync_merge_self_test(in_the_middle, NULL, 200, 6, &error));
    API_FAILS(MESHSYNC_E_INVALID, meshsync_merge_self_test(beyond_scratch, NULL, 1, 7, &error));
    API_FAILS(MESHSYNC_E_INVALID, meshsync_merge_self_test(into_siblings, NULL, 1, 8, &error));
    API_FAILS(MESHSYNC_E_INVALID, meshsync_merge_self_test(NULL, NULL, 1, 9, &error));
}

static void test_custom_view(void **state)
{
    meshsync_error error = {0};
    char folder[API_PATH_BYTES_MAX];
    meshsync_snapshot *snapshot = NULL;
    meshsync_entry entry;
    meshsync_bytes part;
    meshsync_path path = api_path(&part, "k", NULL);
    meshsync_condition nothing = {.kind = MESHSYNC_WITH_CONTEXT};
    uint8_t context[64];
    (void)state;
    api_folder(folder);
    meshsync_node *node = api_open(folder);
    meshsync_space *space = api_space(node);
    API_OK(meshsync_merge_register(node, "longest", 1, longest, NULL, &error));
    API_FAILS(MESHSYNC_E_EXISTS,
              meshsync_merge_register(node, "longest", 1, longest, NULL, &error));
    API_OK(meshsync_merge_register(node, "longest", 2, longest, NULL, &error));
    API_FAILS(MESHSYNC_E_INVALID, meshsync_merge_register(node, "", 1, longest, NULL, &error));
    API_FAILS(MESHSYNC_E_INVALID, meshsync_merge_register(node, "x", 1, NULL, NULL, &error));
    API_OK(meshsync_collection_create(space, "r", MESHSYNC_REGISTER, MESHSYNC_VIEW_CUSTOM,
                                      "longest", 1, &error));
    /* Two writers that saw nothing of each other: both values stay. */
    API_OK(meshsync_snapshot_open(space, &snapshot, &error));
    assert_int_equal(meshsync_get(snapshot, "r", &path, &entry, &error), MESHSYNC_E_NOT_FOUND);
    memcpy(context, entry.context.data, entry.context.len);
    nothing.context = (meshsync_bytes){context, entry.context.len};
    meshsync_snapshot_close(snapshot);
    static const char *const texts[] = {"the longer one", "short"};
    for (int i = 0; i < 2; i++) {
        meshsync_txn *txn = NULL;
        meshsync_value value = meshsync_value_string(texts[i]);
        API_OK(meshsync_txn_begin(space, &txn, &error));
        API_OK(meshsync_txn_put(txn, "r", &path, &value, &nothing, &error));
        API_OK(meshsync_txn_commit(txn, NULL, NULL, &error));
    }
    API_OK(meshsync_snapshot_open(space, &snapshot, &error));
    API_OK(meshsync_get(snapshot, "r", &path, &entry, &error));
    assert_int_equal(entry.siblings_count, 2);
    assert_int_equal(entry.value.bytes.len, strlen(texts[0]));
    assert_memory_equal(entry.value.bytes.data, texts[0], entry.value.bytes.len);
    meshsync_snapshot_close(snapshot);
    API_OK(meshsync_node_close(node));
    api_remove(folder);
}

static void test_versions(void **state)
{
    meshsync_error error = {0};
    meshsync_token token = {.len = 0};
    char text[2 * MESHSYNC_TOKEN_BYTES_MAX];
    (void)state;
    assert_string_equal(meshsync_version(), MESHSYNC_VERSION_STRING);
    assert_non_null(strstr(meshsync_build_info(), "\"library\":\"" MESHSYNC_VERSION_STRING "\""));
    meshsync_token_format(&token, text);
    assert_string_equal(text, "");
    API_OK(meshsync_token_parse("", &token, &error));
    API_FAILS(MESHSYNC_E_INVALID, meshsync_token_parse("!", &token, &error));
    API_FAILS(MESHSYNC_E_INVALID, meshsync_token_parse("AAAA", &token, &error));
    API_FAILS(MESHSYNC_E_INVALID, meshsync_token_parse(NULL, &token, &error));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_self_test),
        cmocka_unit_test(test_custom_view),
        cmocka_unit_test(test_versions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
