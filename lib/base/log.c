/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

/* Longer messages are cut: a line of a log, not a dump. */
enum { LOG_MESSAGE_BYTES_MAX = 512 };

void msy_log_write(const struct msy_log *log, int32_t level, const char *component,
                   const char *format, ...)
{
    if (log == NULL || log->fn == NULL || level > log->level_max) {
        return;
    }
    char message[LOG_MESSAGE_BYTES_MAX];
    va_list args;
    va_start(args, format);
    int wrote = vsnprintf(message, sizeof message, format, args);
    va_end(args);
    if (wrote >= 0) {
        log->fn(log->user, level, component, message);
    }
}
