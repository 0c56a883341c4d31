/* SPDX-License-Identifier: Apache-2.0 */
#include "api/options.h"

#include <stddef.h>
#include <string.h>

#include "api/check.h"

#define OPTION_KIB ((uint64_t)1 << 10)
#define OPTION_MIB ((uint64_t)1 << 20)
#define OPTION_GIB ((uint64_t)1 << 30)
#define OPTION_TIB ((uint64_t)1 << 40)
#define OPTION_DAY_MS ((uint64_t)24 * 3600 * 1000)

_Static_assert(sizeof(meshsync_options) ==
                   offsetof(meshsync_options, send_burst_bytes) + sizeof(uint64_t),
               "meshsync_options ends in padding");

static const struct msy_option option_table[] = {
    {"path", MSY_OPTION_TEXT, offsetof(meshsync_options, path), 0, 0, 0, false},
    {"store_map_bytes", MSY_OPTION_BYTES, offsetof(meshsync_options, store_map_bytes),
     64 * OPTION_GIB, OPTION_MIB, 16 * OPTION_TIB, false},
    {"store_bytes_max", MSY_OPTION_BYTES, offsetof(meshsync_options, store_bytes_max), 0,
     OPTION_MIB / 2, 16 * OPTION_TIB, true},
    {"memory_bytes_max", MSY_OPTION_BYTES, offsetof(meshsync_options, memory_bytes_max), 0,
     4 * OPTION_MIB, 16 * OPTION_TIB, true},
    {"snapshot_ms_max", MSY_OPTION_U64, offsetof(meshsync_options, snapshot_ms_max), 60000, 1,
     OPTION_DAY_MS, false},
    {"busy_wait_ms", MSY_OPTION_U64, offsetof(meshsync_options, busy_wait_ms), 0, 0, OPTION_DAY_MS,
     false},
    {"keepalive_ms", MSY_OPTION_U64, offsetof(meshsync_options, keepalive_ms), 2000, 100, 60000,
     false},
    {"retry_ms_max", MSY_OPTION_U64, offsetof(meshsync_options, retry_ms_max), 15000, 100, 3600000,
     false},
    {"clock_ahead_ms_max", MSY_OPTION_U64, offsetof(meshsync_options, clock_ahead_ms_max), 60000, 1,
     OPTION_DAY_MS, false},
    {"readers_max", MSY_OPTION_U32, offsetof(meshsync_options, readers_max), 1024, 8, 4096, false},
    {"mode", MSY_OPTION_I32, offsetof(meshsync_options, mode), MESHSYNC_MODE_WRITE,
     MESHSYNC_MODE_WRITE, MESHSYNC_MODE_READ, false},
    {"log_level", MSY_OPTION_I32, offsetof(meshsync_options, log_level), MESHSYNC_LOG_INFO,
     MESHSYNC_LOG_ERROR, MESHSYNC_LOG_DEBUG, false},
    {"create", MSY_OPTION_I32, offsetof(meshsync_options, create), 1, 0, 1, false},
    {"compression", MSY_OPTION_U64, offsetof(meshsync_options, compression), MESHSYNC_COMPRESS_AUTO,
     MESHSYNC_COMPRESS_AUTO, MESHSYNC_COMPRESS_NONE, false},
    {"send_bytes_per_s", MSY_OPTION_BYTES, offsetof(meshsync_options, send_bytes_per_s), 0,
     16 * OPTION_KIB, OPTION_TIB, true},
    {"send_peer_bytes_per_s", MSY_OPTION_BYTES, offsetof(meshsync_options, send_peer_bytes_per_s),
     0, 16 * OPTION_KIB, OPTION_TIB, true},
    {"send_burst_bytes", MSY_OPTION_BYTES, offsetof(meshsync_options, send_burst_bytes), 0,
     4 * OPTION_KIB, OPTION_TIB, true},
};

const struct msy_option *msy_options_table(size_t *count)
{
    *count = sizeof option_table / sizeof option_table[0];
    return option_table;
}

static void option_put(meshsync_options *options, const struct msy_option *option, uint64_t number)
{
    uint8_t *at = (uint8_t *)options + option->offset;
    const uint32_t u32 = (uint32_t)number;
    const int32_t i32 = (int32_t)number;
    switch (option->kind) {
    case MSY_OPTION_TEXT: return;
    case MSY_OPTION_U64:
    case MSY_OPTION_BYTES: memcpy(at, &number, sizeof number); return;
    case MSY_OPTION_U32: memcpy(at, &u32, sizeof u32); return;
    case MSY_OPTION_I32: memcpy(at, &i32, sizeof i32); return;
    }
}

/* A negative number reads as one far over every range. */
static uint64_t option_get(const meshsync_options *options, const struct msy_option *option)
{
    const uint8_t *at = (const uint8_t *)options + option->offset;
    uint64_t u64 = 0;
    uint32_t u32 = 0;
    int32_t i32 = 0;
    switch (option->kind) {
    case MSY_OPTION_TEXT: return 0;
    case MSY_OPTION_U64:
    case MSY_OPTION_BYTES: memcpy(&u64, at, sizeof u64); return u64;
    case MSY_OPTION_U32: memcpy(&u32, at, sizeof u32); return u32;
    case MSY_OPTION_I32: memcpy(&i32, at, sizeof i32); return (uint64_t)(int64_t)i32;
    }
    return 0;
}

static meshsync_status option_check(const struct msy_option *option, uint64_t number,
                                    meshsync_error *error)
{
    if ((number >= option->min && number <= option->max) || (option->zero && number == 0)) {
        return MESHSYNC_OK;
    }
    return msy_fail(error, MESHSYNC_E_INVALID, "option %s: %lld is not %s%llu to %llu",
                    option->name, (long long)number, option->zero ? "0 or " : "",
                    (unsigned long long)option->min, (unsigned long long)option->max);
}

void meshsync_options_init(meshsync_options *options, size_t size)
{
    meshsync_options full;
    if (options == NULL || size < sizeof full.size) {
        return; /* There is nothing to fill, and no way to say so. */
    }
    memset(&full, 0, sizeof full);
    for (size_t i = 0; i < sizeof option_table / sizeof option_table[0]; i++) {
        option_put(&full, &option_table[i], option_table[i].preset);
    }
    full.size = size;
    memset(options, 0, size);
    memcpy(options, &full, size < sizeof full ? size : sizeof full);
}

/* Decimal, with a unit when the option has bytes. */
static bool option_parse(const struct msy_option *option, const char *text, uint64_t *number)
{
    static const char *const units[] = {"", "KiB", "MiB", "GiB", "TiB"};
    uint64_t value = 0;
    const char *at = text;
    while (*at >= '0' && *at <= '9') {
        uint64_t digit = (uint64_t)(*at - '0');
        if (value > (UINT64_MAX - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
        at++;
    }
    if (at == text) {
        return false;
    }
    size_t units_count = option->kind == MSY_OPTION_BYTES ? sizeof units / sizeof units[0] : 1;
    for (size_t i = 0; i < units_count; i++) {
        if (strcmp(at, units[i]) == 0) {
            *number = value << (10 * i);
            return *number >> (10 * i) == value;
        }
    }
    return false;
}

meshsync_status meshsync_options_set(meshsync_options *options, const char *key, const char *value,
                                     meshsync_error *error)
{
    const struct msy_option *option = NULL;
    uint64_t number = 0;
    meshsync_status status = msy_check_given(options, "options", error);
    if (status == MESHSYNC_OK) {
        status = msy_check_given(key, "key", error);
    }
    if (status == MESHSYNC_OK) {
        status = msy_check_given(value, "value", error);
    }
    if (status != MESHSYNC_OK) {
        return status;
    }
    for (size_t i = 0; i < sizeof option_table / sizeof option_table[0]; i++) {
        if (strcmp(option_table[i].name, key) == 0) {
            option = &option_table[i];
        }
    }
    size_t width = option == NULL                    ? 0
                   : option->kind == MSY_OPTION_TEXT ? sizeof(char *)
                   : option->kind == MSY_OPTION_U32 || option->kind == MSY_OPTION_I32
                       ? sizeof(uint32_t)
                       : sizeof(uint64_t);
    if (option == NULL || option->offset + width > options->size) {
        return msy_fail(error, MESHSYNC_E_NOT_FOUND, "there is no option \"%.64s\"", key);
    }
    if (option->kind == MSY_OPTION_TEXT) {
        memcpy((uint8_t *)options + option->offset, &value, sizeof value);
        return MESHSYNC_OK;
    }
    if (!option_parse(option, value, &number)) {
        return msy_fail(
            error, MESHSYNC_E_INVALID, "option %s: \"%.64s\" is no decimal number%s", key, value,
            option->kind == MSY_OPTION_BYTES ? ", alone or with KiB, MiB, GiB or TiB" : "");
    }
    status = option_check(option, number, error);
    if (status == MESHSYNC_OK) {
        option_put(options, option, number);
    }
    return status;
}

meshsync_status msy_options_complete(const meshsync_options *given, meshsync_options *full,
                                     meshsync_error *error)
{
    meshsync_options_init(full, sizeof *full);
    meshsync_status status = msy_check_given(given, "options", error);
    if (status == MESHSYNC_OK) {
        status = msy_check_read_sized(given, full, sizeof *full, "options", error);
    }
    if (status == MESHSYNC_OK) {
        status = msy_check_given(full->path, "option path", error);
    }
    if (status == MESHSYNC_OK && full->path[0] == '\0') {
        status = msy_fail(error, MESHSYNC_E_INVALID, "option path is empty");
    }
    for (size_t i = 0; i < sizeof option_table / sizeof option_table[0]; i++) {
        const struct msy_option *option = &option_table[i];
        if (status == MESHSYNC_OK && option->kind != MSY_OPTION_TEXT) {
            status = option_check(option, option_get(full, option), error);
        }
    }
    if (status == MESHSYNC_OK && full->store_bytes_max > full->store_map_bytes) {
        status = msy_fail(
            error, MESHSYNC_E_INVALID, "option store_bytes_max: %llu is over store_map_bytes, %llu",
            (unsigned long long)full->store_bytes_max, (unsigned long long)full->store_map_bytes);
    }
    if (status == MESHSYNC_OK && full->store_bytes_max == 0) {
        full->store_bytes_max = full->store_map_bytes;
    }
    return status;
}
