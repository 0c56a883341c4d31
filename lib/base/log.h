/* SPDX-License-Identifier: Apache-2.0 */
/* The log hook: silent unless the application gave a function. Messages carry no user data. */
#ifndef MSY_BASE_LOG_H
#define MSY_BASE_LOG_H

#include <stdint.h>

enum msy_log_level { MSY_LOG_ERROR = 1, MSY_LOG_WARN = 2, MSY_LOG_INFO = 3, MSY_LOG_DEBUG = 4 };

struct msy_log {
    void (*fn)(void *user, int32_t level, const char *component, const char *message);
    void *user;
    int32_t level_max; /* Messages above it are not formatted. */
};

void msy_log_write(const struct msy_log *log, int32_t level, const char *component,
                   const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
