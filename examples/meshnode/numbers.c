/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli.h"

bool parse_i64(const char *text, int64_t *number)
{
    char *end = NULL;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    bool begins = text[0] == '-' || text[0] == '+' || (text[0] >= '0' && text[0] <= '9');
    *number = value;
    return begins && end != text && *end == '\0' && errno == 0;
}

bool parse_u64(const char *text, uint64_t max, uint64_t *number)
{
    char *end = NULL;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    *number = value;
    return text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0 && value <= max;
}

bool parse_seconds(const char *text, uint64_t *ms)
{
    /* By hand: a decimal point must not depend on the locale. */
    uint64_t whole = 0;
    uint64_t thousandths = 0;
    size_t digits = strspn(text, "0123456789");
    const char *rest = text + digits;
    if (digits == 0 || digits > 9) {
        return false;
    }
    for (size_t i = 0; i < digits; i++) {
        whole = whole * 10 + (uint64_t)(text[i] - '0');
    }
    if (*rest == '.') {
        size_t decimals = strspn(rest + 1, "0123456789");
        if (decimals == 0 || rest[1 + decimals] != '\0') {
            return false;
        }
        uint64_t unit = 100;
        for (size_t i = 0; i < decimals && unit > 0; i++, unit /= 10) {
            thousandths += unit * (uint64_t)(rest[1 + i] - '0');
        }
    } else if (*rest != '\0') {
        return false;
    }
    *ms = whole * 1000 + thousandths;
    return true;
}

uint64_t monotonic_ms(void)
{
    struct timespec now;
    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0) {
        return 0;
    }
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

const char *group_digits(uint64_t number, char out[32])
{
    char digits[24];
    int count = snprintf(digits, sizeof digits, "%" PRIu64, number);
    char *at = out;
    for (int i = 0; i < count; i++) {
        if (i > 0 && (count - i) % 3 == 0) {
            *at++ = ',';
        }
        *at++ = digits[i];
    }
    *at = '\0';
    return out;
}

const char *show_bytes(uint64_t bytes, char out[32])
{
    static const char *const units[] = {"kB", "MB", "GB", "TB"};
    double value = (double)bytes / 1000;
    size_t unit = 0;
    if (bytes < 1000) {
        (void)snprintf(out, 32, "%" PRIu64 " bytes", bytes);
        return out;
    }
    while (value >= 999.95 && unit + 1 < sizeof units / sizeof units[0]) {
        value /= 1000;
        unit++;
    }
    (void)snprintf(out, 32, "%.1f %s", value, units[unit]);
    return out;
}
