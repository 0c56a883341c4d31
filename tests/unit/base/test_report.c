/* SPDX-License-Identifier: Apache-2.0 */
/* Shows that errors, status words, log lines and assertions say what happened, and no more. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <meshsync/types.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/log.h"

static void an_error_carries_status_and_words(void **state)
{
    (void)state;
    meshsync_error error;
    memset(&error, 0xAA, sizeof error);
    assert_int_equal(msy_fail(&error, MESHSYNC_E_LIMIT, "key of %d bytes", 500), MESHSYNC_E_LIMIT);
    assert_int_equal(error.status, MESHSYNC_E_LIMIT);
    assert_int_equal(error.system_errno, 0);
    assert_string_equal(error.message, "key of 500 bytes");
    assert_int_equal(msy_fail(NULL, MESHSYNC_E_IO, "nobody asks"), MESHSYNC_E_IO);

    assert_int_equal(msy_fail_errno(&error, MESHSYNC_E_IO, ENOENT, "open %s", "it"), MESHSYNC_E_IO);
    assert_int_equal(error.system_errno, ENOENT);
    assert_string_equal(error.message, "open it: No such file or directory");
    assert_int_equal(msy_fail_errno(NULL, MESHSYNC_E_IO, ENOENT, "open"), MESHSYNC_E_IO);

    msy_error_clear(&error);
    assert_int_equal(error.status, MESHSYNC_OK);
    assert_string_equal(error.message, "");
    msy_error_clear(NULL);
}

static void a_long_message_is_cut_between_characters(void **state)
{
    (void)state;
    char words[400];
    for (size_t shift = 0; shift < 4; shift++) {
        memset(words, 'x', shift);
        size_t at = shift;
        while (at + 4 < sizeof words) {
            memcpy(words + at, "\xF0\x9F\x98\x80", 4);
            at += 4;
        }
        words[at] = '\0';
        meshsync_error error;
        (void)msy_fail(&error, MESHSYNC_E_IO, "%s", words);
        size_t len = strlen(error.message);
        assert_true(len < sizeof error.message && len > sizeof error.message - 8);
        assert_true(msy_utf8_valid((meshsync_bytes){(const uint8_t *)error.message, len}));
        (void)msy_fail_errno(&error, MESHSYNC_E_IO, EIO, "%s", words);
        len = strlen(error.message);
        assert_true(msy_utf8_valid((meshsync_bytes){(const uint8_t *)error.message, len}));
    }
}

static void every_status_has_a_name_and_words(void **state)
{
    (void)state;
#define CHECK_ROW(name, number, words)                                                             \
    assert_string_equal(meshsync_status_name(number), #name);                                      \
    assert_string_equal(meshsync_strerror(number), words);
    MESHSYNC_STATUS_MAP(CHECK_ROW)
#undef CHECK_ROW
    assert_string_equal(meshsync_strerror(-77777), "unknown status");
    assert_string_equal(meshsync_status_name(1), "MESHSYNC_UNKNOWN");
}

struct heard {
    int32_t level;
    char component[16];
    char message[600];
    unsigned count;
};

static void heard_write(void *user, int32_t level, const char *component, const char *message)
{
    struct heard *heard = user;
    heard->level = level;
    heard->count++;
    strncpy(heard->component, component, sizeof heard->component - 1);
    strncpy(heard->message, message, sizeof heard->message - 1);
}

static void the_log_is_silent_unless_asked(void **state)
{
    (void)state;
    struct heard heard = {0};
    struct msy_log log = {heard_write, &heard, MSY_LOG_INFO};
    msy_log_write(&log, MSY_LOG_DEBUG, "store", "too much");
    assert_int_equal(heard.count, 0);
    msy_log_write(&log, MSY_LOG_INFO, "store", "%u pages", 7u);
    assert_int_equal(heard.count, 1);
    assert_int_equal(heard.level, MSY_LOG_INFO);
    assert_string_equal(heard.component, "store");
    assert_string_equal(heard.message, "7 pages");
    char words[2000];
    memset(words, 'x', sizeof words - 1);
    words[sizeof words - 1] = '\0';
    msy_log_write(&log, MSY_LOG_ERROR, "store", "%s", words);
    assert_int_equal(strlen(heard.message), 511);
    log.fn = NULL;
    msy_log_write(&log, MSY_LOG_ERROR, "store", "nobody listens");
    msy_log_write(NULL, MSY_LOG_ERROR, "store", "nobody listens");
    assert_int_equal(heard.count, 2);
}

static void a_noted_assertion_is_counted(void **state)
{
    (void)state;
    uint64_t before = msy_assert_failures();
    msy_assert_note();
    assert_true(msy_assert_failures() == before + 1);
    MSY_ASSERT(before < UINT64_MAX);
    assert_true(msy_assert_failures() == before + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_error_carries_status_and_words),
        cmocka_unit_test(a_long_message_is_cut_between_characters),
        cmocka_unit_test(every_status_has_a_name_and_words),
        cmocka_unit_test(the_log_is_silent_unless_asked),
        cmocka_unit_test(a_noted_assertion_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
