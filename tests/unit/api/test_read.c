/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots stay what they were, end when they are too old, and are walked both ways. */
#include "unit/api/api_kit.h"

#include <stdio.h>
#include <string.h>

static void test_stays_what_it_was(void **state)
{
    meshsync_error error = {0};
    char folder[API_PATH_BYTES_MAX];
    meshsync_snapshot *snapshot = NULL;
    meshsync_entry entry;
    meshsync_bytes part;
    meshsync_path path = api_path(&part, "k", NULL);
    (void)state;
    api_folder(folder);
    meshsync_node *node = api_open(folder);
    meshsync_space *space = api_space(node);
    api_put(space, "k", "then");
    API_OK(meshsync_snapshot_open(space, &snapshot, &error));
    api_put(space, "k", "now");
    API_OK(meshsync_get(snapshot, "r", &path, &entry, &error));
    assert_int_equal(entry.value.bytes.len, 4);
    assert_memory_equal(entry.value.bytes.data, "then", 4);
    meshsync_sibling sibling;
    API_OK(meshsync_sibling_at(snapshot, 0, &sibling, &error));
    assert_memory_equal(sibling.value.bytes.data, "then", 4);
    uint8_t id[MESHSYNC_NODE_ID_BYTES];
    API_OK(meshsync_node_id(node, id));
    assert_memory_equal(sibling.device, id, sizeof id);
    assert_int_equal(meshsync_sibling_at(snapshot, 1, &sibling, &error), MESHSYNC_E_END);
    meshsync_snapshot_close(snapshot);
    meshsync_snapshot_close(NULL);
    API_OK(meshsync_node_close(node));
    api_remove(folder);
}

/* The age is one millisecond: the store's own clock passes it, no sleep is needed. */
static void test_expires(void **state)
{
    meshsync_error error = {0};
    char folder[API_PATH_BYTES_MAX];
    meshsync_node *node = NULL;
    meshsync_space *space = NULL;
    meshsync_snapshot *snapshot = NULL;
    meshsync_scan *scan = NULL;
    meshsync_entry entry;
    meshsync_bytes part;
    meshsync_path path = api_path(&part, "k", NULL);
    meshsync_status status = MESHSYNC_OK;
    (void)state;
    api_folder(folder);
    meshsync_options options = api_options(folder);
    options.snapshot_ms_max = 1;
    API_OK(meshsync_node_open(&options, &node, &error));
    space = api_space(node);
    API_OK(meshsync_snapshot_open(space, &snapshot, &error));
    do {
        status = scan == NULL ? meshsync_scan_open(snapshot, "r", NULL, &scan, &error)
                              : meshsync_get(snapshot, "r", &path, &entry, &error);
    } while (status != MESHSYNC_E_EXPIRED);
    API_FAILS(MESHSYNC_E_EXPIRED, meshsync_get(snapshot, "r", &path, &entry, &error));
    meshsync_stats stats = {.size = sizeof stats};
    API_OK(meshsync_node_stats(node, &stats));
    assert_int_equal(stats.snapshot_oldest_ms, 0); /* It lets go of the store at once. */
    if (scan != NULL) {
        API_FAILS(MESHSYNC_E_EXPIRED, meshsync_scan_next(scan, &entry, &error));
        meshsync_scan_close(scan);
    }
    meshsync_snapshot_close(snapshot);
    API_OK(meshsync_node_close(node));
    api_remove(folder);
}

/* Parts of the entries of a scan, one letter each, in the order in which they come. */
static void scanned(meshsync_snapshot *snapshot, const char *collection,
                    const meshsync_scan_options *options, uint32_t part, char *text)
{
    meshsync_error error = {0};
    meshsync_scan *scan = NULL;
    meshsync_entry entry;
    uint8_t out[MESHSYNC_PATH_BYTES_MAX];
    size_t len = 0;
    API_OK(meshsync_scan_open(snapshot, collection, options, &scan, &error));
    meshsync_status status = meshsync_scan_next(scan, &entry, &error);
    while (status == MESHSYNC_OK) {
        API_OK(meshsync_entry_part(entry.key, part, out, &len));
        assert_int_equal(len, 1);
        *text++ = (char)out[0];
        status = meshsync_scan_next(scan, &entry, &error);
    }
    assert_int_equal(status, MESHSYNC_E_END);
    *text = '\0';
    meshsync_scan_close(scan);
}

static void test_scans(void **state)
{
    meshsync_error error = {0};
    char folder[API_PATH_BYTES_MAX];
    meshsync_snapshot *snapshot = NULL;
    meshsync_txn *txn = NULL;
    meshsync_bytes parts[2];
    meshsync_value value = meshsync_value_int(1);
    char text[64];
    (void)state;
    api_folder(folder);
    meshsync_node *node = api_open(folder);
    meshsync_space *space = api_space(node);
    API_OK(meshsync_txn_begin(space, &txn, &error));
    for (const char *key = "dbeac"; *key != '\0'; key++) {
        char one[2] = {*key, '\0'};
        api_put_in(txn, one, "v");
        meshsync_path field = api_path(parts, "m", one);
        API_OK(meshsync_txn_put(txn, "m", &field, &value, NULL, &error));
    }
    API_OK(meshsync_txn_commit(txn, NULL, NULL, &error));
    API_OK(meshsync_snapshot_open(space, &snapshot, &error));
    meshsync_scan_options options = {.size = sizeof options};
    scanned(snapshot, "r", NULL, 0, text);
    assert_string_equal(text, "abcde");
    options.direction = MESHSYNC_DESCENDING;
    scanned(snapshot, "r", &options, 0, text);
    assert_string_equal(text, "edcba");
    options.limit = 2;
    options.from = meshsync_bytes_of("c");
    scanned(snapshot, "r", &options, 0, text);
    assert_string_equal(text, "cb");
    options = (meshsync_scan_options){.size = sizeof options};
    options.from = meshsync_bytes_of("b");
    options.until = meshsync_bytes_of("d");
    scanned(snapshot, "r", &options, 0, text);
    assert_string_equal(text, "bc");
    options = (meshsync_scan_options){.size = sizeof options};
    options.below = api_path(parts, "m", NULL);
    scanned(snapshot, "m", &options, 1, text);
    assert_string_equal(text, "abcde");
    scanned(snapshot, "m", NULL, 0, text);
    assert_string_equal(text, "m");
    options.direction = 5;
    meshsync_scan *scan = NULL;
    API_FAILS(MESHSYNC_E_INVALID, meshsync_scan_open(snapshot, "r", &options, &scan, &error));
    options.direction = 0;
    options.deep = 2;
    API_FAILS(MESHSYNC_E_INVALID, meshsync_scan_open(snapshot, "r", &options, &scan, &error));
    API_OK(meshsync_conflicts_open(snapshot, &scan, &error));
    meshsync_entry entry;
    assert_int_equal(meshsync_scan_next(scan, &entry, &error), MESHSYNC_E_END);
    meshsync_snapshot_close(snapshot); /* The scan ends with it. */
    API_OK(meshsync_node_close(node));
    api_remove(folder);
}

static void test_parts(void **state)
{
    static const uint8_t path[] = {'a', 0, 0xff, 'b', 0, 1, 0, 1};
    uint8_t out[MESHSYNC_PATH_BYTES_MAX];
    size_t len = 9;
    (void)state;
    meshsync_bytes key = {path, sizeof path};
    assert_int_equal(meshsync_entry_part(key, 0, out, &len), MESHSYNC_OK);
    assert_int_equal(len, 3);
    assert_memory_equal(out, "a\0b", 3);
    assert_int_equal(meshsync_entry_part(key, 1, out, &len), MESHSYNC_OK);
    assert_int_equal(len, 0);
    assert_int_equal(meshsync_entry_part(key, 2, out, &len), MESHSYNC_E_END);
    key.len = 3;
    assert_int_equal(meshsync_entry_part(key, 0, out, &len), MESHSYNC_E_INVALID);
    assert_int_equal(meshsync_entry_part(key, 0, NULL, &len), MESHSYNC_E_INVALID);
}

static void test_collections(void **state)
{
    static const char *const names[] = {"c", "m", "r", "t"};
    meshsync_error error = {0};
    char folder[API_PATH_BYTES_MAX];
    meshsync_collection_info info = {.size = sizeof info};
    (void)state;
    api_folder(folder);
    meshsync_node *node = api_open(folder);
    meshsync_space *space = api_space(node);
    api_collections(space); /* Once more changes nothing. */
    for (uint32_t i = 0; i < 4; i++) {
        API_OK(meshsync_collection_at(space, i, &info, &error));
        assert_string_equal(info.name, names[i]);
    }
    API_FAILS(MESHSYNC_E_END, meshsync_collection_at(space, 4, &info, &error));
    API_FAILS(MESHSYNC_E_TYPE, meshsync_collection_create(space, "r", MESHSYNC_SET,
                                                          MESHSYNC_VIEW_LWW, NULL, 0, &error));
    API_FAILS(MESHSYNC_E_INVALID, meshsync_collection_create(space, "x", MESHSYNC_SET,
                                                             MESHSYNC_VIEW_MAX, NULL, 0, &error));
    API_FAILS(MESHSYNC_E_INVALID,
              meshsync_collection_create(space, "x", MESHSYNC_REGISTER, MESHSYNC_VIEW_CUSTOM, NULL,
                                         1, &error));
    API_FAILS(MESHSYNC_E_INVALID,
              meshsync_collection_create(space, "x", (meshsync_collection_type)9, MESHSYNC_VIEW_LWW,
                                         NULL, 0, &error));
    API_OK(meshsync_collection_create(space, "r", MESHSYNC_REGISTER, MESHSYNC_VIEW_MAX, NULL, 0,
                                      &error));
    API_OK(meshsync_collection_at(space, 2, &info, &error));
    assert_int_equal(info.view, MESHSYNC_VIEW_MAX);
    API_OK(meshsync_node_close(node));
    api_remove(folder);
}

static void test_spaces(void **state)
{
    meshsync_error error = {0};
    char folder[API_PATH_BYTES_MAX];
    meshsync_space *made = NULL;
    meshsync_space *found = NULL;
    (void)state;
    api_folder(folder);
    meshsync_node *node = api_open(folder);
    assert_int_equal(meshsync_space_at(node, 0, &found), MESHSYNC_E_END);
    API_OK(meshsync_space_create(node, "one", &made, &error));
    API_FAILS(MESHSYNC_E_EXISTS, meshsync_space_create(node, "one", &found, &error));
    API_FAILS(MESHSYNC_E_INVALID, meshsync_space_create(node, "", &found, &error));
    API_FAILS(MESHSYNC_E_INVALID, meshsync_space_create(node, NULL, &found, &error));
    API_FAILS(MESHSYNC_E_NOT_FOUND, meshsync_space_find(node, "two", &found, &error));
    API_OK(meshsync_space_find(node, "one", &found, &error));
    assert_ptr_equal(made, found);
    API_OK(meshsync_space_create(node, "two", &found, &error));
    API_OK(meshsync_space_leave(made, MESHSYNC_LEAVE_KEEP, &error));
    meshsync_space_info info = {.size = sizeof info};
    API_OK(meshsync_space_get_info(made, &info, &error));
    assert_int_equal(info.left, 1);
    char ticket[MESHSYNC_TICKET_TEXT_BYTES_MAX];
    API_FAILS(MESHSYNC_E_STATE, meshsync_space_invite(made, 0, ticket, &error));
    API_OK(meshsync_space_leave(found, MESHSYNC_LEAVE_ERASE, &error));
    API_FAILS(MESHSYNC_E_NOT_FOUND, meshsync_space_get_info(found, &info, &error));
    API_FAILS(MESHSYNC_E_NOT_FOUND, meshsync_space_find(node, "two", &found, &error));
    API_FAILS(MESHSYNC_E_INVALID, meshsync_space_join(node, "nonsense", NULL, &found, &error));
    API_OK(meshsync_node_close(node));
    api_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stays_what_it_was),
        cmocka_unit_test(test_expires),
        cmocka_unit_test(test_scans),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_collections),
        cmocka_unit_test(test_spaces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
