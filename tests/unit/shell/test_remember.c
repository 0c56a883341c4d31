/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses outlive a restart, newest first, bounded, and damage in the file is left out. */
#include "unit/api/api_kit.h"

#include <stdio.h>
#include <string.h>

#include "shell/remember.h"

static void test_over_a_restart(void **state)
{
    char folder[API_PATH_BYTES_MAX];
    char text[MESHSYNC_ADDRESS_BYTES_MAX];
    struct msy_alloc alloc;
    (void)state;
    msy_alloc_init(&alloc, NULL, NULL, 0);
    api_folder(folder);
    struct msy_remember *remember = msy_remember_new(&alloc, folder);
    assert_non_null(remember);
    assert_false(msy_remember_peer_at(remember, 0, text));
    msy_remember_peer(remember, "10.0.0.1:1");
    msy_remember_peer(remember, "10.0.0.2:2");
    msy_remember_peer(remember, "10.0.0.1:1");
    msy_remember_peer(remember, "nonsense");
    msy_remember_listen(remember, "127.0.0.1:9", true);
    msy_remember_listen(remember, "127.0.0.1:10", false);
    msy_remember_free(remember, &alloc);

    remember = msy_remember_new(&alloc, folder);
    assert_true(msy_remember_peer_at(remember, 0, text));
    assert_string_equal(text, "10.0.0.1:1");
    assert_true(msy_remember_peer_at(remember, 1, text));
    assert_string_equal(text, "10.0.0.2:2");
    assert_false(msy_remember_peer_at(remember, 2, text));
    assert_true(msy_remember_listen_at(remember, 1, text));
    assert_string_equal(text, "127.0.0.1:10");
    msy_remember_listen(remember, "127.0.0.1:11", true);
    assert_false(msy_remember_listen_at(remember, 1, text));
    msy_remember_forget(remember, "10.0.0.2:2");
    msy_remember_forget(remember, "10.0.0.9:9");
    msy_remember_free(remember, &alloc);

    remember = msy_remember_new(&alloc, folder);
    assert_true(msy_remember_peer_at(remember, 0, text));
    assert_string_equal(text, "10.0.0.1:1");
    assert_false(msy_remember_peer_at(remember, 1, text));
    msy_remember_free(remember, &alloc);
    api_remove(folder);
}

static void test_bounded(void **state)
{
    char folder[API_PATH_BYTES_MAX];
    char text[MESHSYNC_ADDRESS_BYTES_MAX];
    struct msy_alloc alloc;
    (void)state;
    msy_alloc_init(&alloc, NULL, NULL, 0);
    api_folder(folder);
    struct msy_remember *remember = msy_remember_new(&alloc, folder);
    for (uint32_t i = 0; i < MSY_REMEMBER_PEERS_MAX + 10; i++) {
        (void)snprintf(text, sizeof text, "10.0.0.1:%u", (unsigned)i + 1);
        msy_remember_peer(remember, text);
    }
    assert_true(msy_remember_peer_at(remember, MSY_REMEMBER_PEERS_MAX - 1, text));
    assert_string_equal(text, "10.0.0.1:11");
    assert_false(msy_remember_peer_at(remember, MSY_REMEMBER_PEERS_MAX, text));
    msy_remember_free(remember, &alloc);
    api_remove(folder);
}

static void test_damage(void **state)
{
    char folder[API_PATH_BYTES_MAX];
    char path[API_PATH_BYTES_MAX];
    char text[MESHSYNC_ADDRESS_BYTES_MAX];
    struct msy_alloc alloc;
    (void)state;
    msy_alloc_init(&alloc, NULL, NULL, 0);
    api_folder(folder);
    api_join(path, folder, "addresses.txt");
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (int i = 0; i < 5000; i++) {
        (void)fputc('x', file);
    }
    (void)fprintf(file, "\npeer\npeer \npeer 1.2.3.4\npeer 1.2.3.4:5\npeer 1.2.3.4:5\nlisten x\n");
    assert_int_equal(fclose(file), 0);
    struct msy_remember *remember = msy_remember_new(&alloc, folder);
    assert_true(msy_remember_peer_at(remember, 0, text));
    assert_string_equal(text, "1.2.3.4:5");
    assert_false(msy_remember_peer_at(remember, 1, text));
    assert_false(msy_remember_listen_at(remember, 0, text));
    msy_remember_free(remember, &alloc);
    api_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_over_a_restart),
        cmocka_unit_test(test_bounded),
        cmocka_unit_test(test_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
