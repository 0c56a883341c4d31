/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shows what a broken invariant does in a release build: nothing of the step reaches the disk, the
 * node writes no more and says so, reads go on, the application lives, and the node can be closed
 * and opened again, with all that was durable.
 */
#include "unit/api/api_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replica/machine.h"
#include "shell/node.h"
#include "store/history.h"

struct freeze {
    char folder[API_PATH_BYTES_MAX];
    meshsync_node *node;
    meshsync_space *space;
};

static void freeze_open(struct freeze *freeze)
{
    meshsync_error error = {0};
    freeze->node = api_open(freeze->folder);
    API_OK(meshsync_node_start(freeze->node, &error));
}

static void freeze_begin(struct freeze *freeze)
{
    api_folder(freeze->folder);
    freeze_open(freeze);
    freeze->space = api_space(freeze->node);
    api_put(freeze->space, "k", "before");
}

static void freeze_reopen(struct freeze *freeze)
{
    meshsync_error error = {0};
    meshsync_node_close(freeze->node);
    freeze_open(freeze);
    API_OK(meshsync_space_find(freeze->node, "s", &freeze->space, &error));
}

/* Commits are refused, one as the next; reads are served. */
static void freeze_check_frozen(struct freeze *freeze)
{
    meshsync_error error = {0};
    meshsync_value value = meshsync_value_string("after");
    char text[64];
    for (uint32_t i = 0; i < 3; i++) {
        API_FAILS(MESHSYNC_E_INTERNAL,
                  meshsync_put(freeze->space, "r", meshsync_bytes_of("k"), &value, NULL, &error));
        API_FAILS(MESHSYNC_E_INTERNAL,
                  meshsync_put(freeze->space, "r", meshsync_bytes_of("new"), &value, NULL, &error));
    }
    api_get(freeze->space, "k", text);
    assert_string_equal(text, "before");
    api_get(freeze->space, "new", text);
    assert_string_equal(text, "");
}

static void freeze_check_alive(struct freeze *freeze)
{
    char text[64];
    meshsync_error error = {0};
    meshsync_verify_report report = {.size = sizeof report};
    api_get(freeze->space, "k", text);
    assert_string_equal(text, "before");
    api_put(freeze->space, "k", "again");
    api_get(freeze->space, "k", text);
    assert_string_equal(text, "again");
    API_OK(meshsync_space_verify(freeze->space, &report, &error));
}

static void freeze_end(struct freeze *freeze)
{
    meshsync_node_close(freeze->node);
    api_remove(freeze->folder);
}

/* Whatever thread it broke on: here it is one of the application's. */
static void test_noted_anywhere(void **state)
{
    struct freeze freeze;
    (void)state;
    freeze_begin(&freeze);
    msy_assert_note();
    freeze_check_frozen(&freeze);
    freeze_reopen(&freeze);
    freeze_check_alive(&freeze);
    freeze_end(&freeze);
}

#ifndef MSY_ASSERT_ABORTS
/* What follows a broken assertion in a release build reads and writes nothing that is not there. */
static void test_memory_stays_safe(void **state)
{
    struct msy_alloc alloc;
    struct msy_leaf leaf;
    struct msy_stream stream;
    uint64_t failures = msy_assert_failures();
    (void)state;
    msy_alloc_init(&alloc, NULL, NULL, 0);
    msy_leaf_init(&leaf, &alloc);
    msy_leaf_remove(&leaf, 0);
    assert_int_equal(leaf.entries_count, 0);
    msy_leaf_fini(&leaf);
    msy_stream_init(&stream, &alloc);
    assert_int_equal(msy_stream_advance(&stream, NULL), MESHSYNC_E_INTERNAL);
    assert_int_equal(stream.count, 0);
    msy_stream_fini(&stream);
    assert_true(msy_assert_failures() == failures + 2);
}

/* The machine's memory is damaged, so that it gives the next change the number of the last. The
 * writer is idle: the lock orders what we do with what it does next. */
static void test_damaged_memory(void **state)
{
    struct freeze freeze;
    meshsync_error error = {0};
    meshsync_digest before = {.size = sizeof before};
    meshsync_digest after = {.size = sizeof after};
    (void)state;
    freeze_begin(&freeze);
    API_OK(meshsync_space_digest(freeze.space, &before, &error));
    struct msy_writer *writer = &freeze.node->writer;
    (void)pthread_mutex_lock(&writer->lock);
    writer->replica->lsn_last -= 1;
    (void)pthread_mutex_unlock(&writer->lock);
    freeze_check_frozen(&freeze);
    API_OK(meshsync_space_digest(freeze.space, &after, &error));
    assert_memory_equal(&before, &after, sizeof before);
    freeze_reopen(&freeze);
    API_OK(meshsync_space_digest(freeze.space, &after, &error));
    assert_memory_equal(&before, &after, sizeof before);
    freeze_check_alive(&freeze);
    freeze_end(&freeze);
}

#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_noted_anywhere),
#ifndef MSY_ASSERT_ABORTS
        cmocka_unit_test(test_memory_stays_safe),
        cmocka_unit_test(test_damaged_memory),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
