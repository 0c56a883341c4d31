/* SPDX-License-Identifier: Apache-2.0 */
/* Filling a meshsync_error, and the assertion macro of the core. */
#ifndef MSY_BASE_ERROR_H
#define MSY_BASE_ERROR_H

#include <meshsync/status.h>

/* Writes status and words into error (NULL allowed) and returns status. Keeps no errno. */
meshsync_status msy_fail(meshsync_error *error, meshsync_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same with errno_value in system_errno and its words behind the message. */
meshsync_status msy_fail_errno(meshsync_error *error, meshsync_status status, int errno_value,
                               const char *format, ...) __attribute__((format(printf, 4, 5)));
void msy_error_clear(meshsync_error *error);

/* For bugs of this code alone, never for what peers, disks or callers can cause. Built with
 * MSY_ASSERT_ABORTS it aborts; otherwise it raises the process-wide count that msy_assert_failures
 * returns, and the code after it must stay memory-safe. The machines look at the count before they
 * let anything out of a step: wherever it was raised, nodes of the process write no more. */
#ifdef MSY_ASSERT_ABORTS
#define MSY_ASSERT(condition)                                                                      \
    ((condition) ? (void)0 : msy_assert_abort(#condition, __FILE__, __LINE__))
#else
#define MSY_ASSERT(condition) ((condition) ? (void)0 : msy_assert_note())
#endif
void msy_assert_abort(const char *words, const char *file, int line) __attribute__((noreturn));
void msy_assert_note(void);
uint64_t msy_assert_failures(void);

#endif
