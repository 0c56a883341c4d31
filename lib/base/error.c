/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Raised by assertions that did not hold; only ever grows. */
static uint64_t assert_failures;

/* A message that was cut may end within a character: take the incomplete one off. */
static void error_trim(char *message)
{
    size_t len = strlen(message);
    size_t at = len;
    while (at > 0 && ((unsigned char)message[at - 1] & 0xC0u) == 0x80u) {
        at--;
    }
    if (at == 0) {
        return;
    }
    unsigned char lead = (unsigned char)message[at - 1];
    size_t need = lead >= 0xF0u ? 4 : lead >= 0xE0u ? 3 : lead >= 0xC0u ? 2 : 1;
    if (len - (at - 1) < need) {
        message[at - 1] = '\0';
    }
}

static void error_write(meshsync_error *error, meshsync_status status, int errno_value,
                        const char *format, va_list args) __attribute__((format(printf, 4, 0)));

static void error_write(meshsync_error *error, meshsync_status status, int errno_value,
                        const char *format, va_list args)
{
    error->status = status;
    error->system_errno = errno_value;
    int wrote = vsnprintf(error->message, sizeof error->message, format, args);
    if (wrote < 0) {
        error->message[0] = '\0';
    } else if ((size_t)wrote >= sizeof error->message) {
        error_trim(error->message);
    }
}

meshsync_status msy_fail(meshsync_error *error, meshsync_status status, const char *format, ...)
{
    if (error != NULL) {
        va_list args;
        va_start(args, format);
        error_write(error, status, 0, format, args);
        va_end(args);
    }
    return status;
}

meshsync_status msy_fail_errno(meshsync_error *error, meshsync_status status, int errno_value,
                               const char *format, ...)
{
    if (error == NULL) {
        return status;
    }
    va_list args;
    va_start(args, format);
    error_write(error, status, errno_value, format, args);
    va_end(args);

    /* strerror is not safe among threads; the GNU form of strerror_r returns the words. */
    char scratch[96];
    const char *words = strerror_r(errno_value, scratch, sizeof scratch);
    size_t len = strlen(error->message);
    int wrote = snprintf(error->message + len, sizeof error->message - len, ": %s", words);
    if (wrote < 0) {
        error->message[len] = '\0';
    } else if ((size_t)wrote >= sizeof error->message - len) {
        error_trim(error->message);
    }
    return status;
}

void msy_error_clear(meshsync_error *error)
{
    if (error != NULL) {
        memset(error, 0, sizeof *error);
    }
}

void msy_assert_abort(const char *words, const char *file, int line)
{
    /* Only test and simulator builds get here, by MSY_ASSERT under MSY_ASSERT_ABORTS. */
    (void)fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, words);
    abort();
}

void msy_assert_note(void)
{
    (void)__atomic_fetch_add(&assert_failures, 1, __ATOMIC_RELAXED);
}

uint64_t msy_assert_failures(void)
{
    return __atomic_load_n(&assert_failures, __ATOMIC_RELAXED);
}
