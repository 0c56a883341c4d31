/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/press.h"

/* The functions that place a stream in given memory are outside zstd's stable part, and the same
 * since 1.3; without them a stream's memory would escape the node's cap. */
#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>

enum { UNIT_PLAIN = 0, UNIT_PACKED = 1, HASH_LOG_MAX = 14, SLACK_BYTES = 32 };

/* What both sides place in front of zstd's memory, which wants addresses that 8 divides. */
struct msy_press {
    struct msy_alloc *alloc;
    ZSTD_CStream *stream; /* In the same block. */
    size_t bytes;         /* Of the block. */
    size_t plain_bytes;   /* Of the trial that runs. */
    size_t packed_bytes;
    size_t rest_bytes; /* Still to go plain. */
    bool broken;
};

struct msy_unpress {
    struct msy_alloc *alloc;
    ZSTD_DStream *stream; /* In the same block. */
    size_t bytes;
    bool broken;
};

_Static_assert(sizeof(struct msy_press) % 8 == 0, "zstd's memory begins aligned");
_Static_assert(sizeof(struct msy_unpress) % 8 == 0, "zstd's memory begins aligned");

static ZSTD_compressionParameters press_parameters(int level)
{
    ZSTD_compressionParameters params = ZSTD_getCParams(level, 0, 0);
    params.windowLog = MSY_PRESS_WINDOW_LOG;
    params.hashLog = params.hashLog < HASH_LOG_MAX ? params.hashLog : HASH_LOG_MAX;
    params.chainLog = params.chainLog < HASH_LOG_MAX ? params.chainLog : HASH_LOG_MAX;
    return params;
}

static bool press_level_good(int level)
{
    return level >= MSY_PRESS_LEVEL_MIN && level <= MSY_PRESS_LEVEL_MAX;
}

size_t msy_press_bytes(int level)
{
    if (!press_level_good(level)) {
        return 0;
    }
    return sizeof(struct msy_press) +
           ZSTD_estimateCStreamSize_usingCParams(press_parameters(level));
}

size_t msy_unpress_bytes(void)
{
    return sizeof(struct msy_unpress) + ZSTD_estimateDStreamSize((size_t)1 << MSY_PRESS_WINDOW_LOG);
}

static bool press_set(ZSTD_CStream *stream, ZSTD_cParameter name, unsigned value)
{
    return !ZSTD_isError(ZSTD_CCtx_setParameter(stream, name, (int)value));
}

meshsync_status msy_press_new(struct msy_alloc *alloc, int level, struct msy_press **out)
{
    *out = NULL;
    if (!press_level_good(level)) {
        return MESHSYNC_E_INVALID;
    }
    ZSTD_compressionParameters params = press_parameters(level);
    size_t bytes = msy_press_bytes(level);
    struct msy_press *press = msy_new(alloc, bytes);
    if (press == NULL) {
        return MESHSYNC_E_NO_MEMORY;
    }
    press->alloc = alloc;
    press->bytes = bytes;
    press->stream = ZSTD_initStaticCStream(press + 1, bytes - sizeof *press);
    if (press->stream == NULL ||
        !press_set(press->stream, ZSTD_c_compressionLevel, (unsigned)level) ||
        !press_set(press->stream, ZSTD_c_windowLog, params.windowLog) ||
        !press_set(press->stream, ZSTD_c_hashLog, params.hashLog) ||
        !press_set(press->stream, ZSTD_c_chainLog, params.chainLog) ||
        !press_set(press->stream, ZSTD_c_searchLog, params.searchLog) ||
        !press_set(press->stream, ZSTD_c_minMatch, params.minMatch) ||
        !press_set(press->stream, ZSTD_c_targetLength, params.targetLength) ||
        !press_set(press->stream, ZSTD_c_strategy, (unsigned)params.strategy)) {
        msy_press_free(press);
        return MESHSYNC_E_INTERNAL;
    }
    *out = press;
    return MESHSYNC_OK;
}

void msy_press_free(struct msy_press *press)
{
    if (press != NULL) {
        msy_free(press->alloc, press, press->bytes);
    }
}

/* A trial over: what did not shrink by a sixteenth is not worth the time. */
static void press_judge(struct msy_press *press)
{
    if (press->plain_bytes < MSY_PRESS_TRIAL_BYTES) {
        return;
    }
    if (press->packed_bytes > press->plain_bytes - press->plain_bytes / 16) {
        press->rest_bytes = MSY_PRESS_REST_BYTES;
    }
    press->plain_bytes = 0;
    press->packed_bytes = 0;
}

static meshsync_status press_plain(struct msy_press *press, meshsync_bytes message,
                                   struct msy_buf *unit)
{
    meshsync_status status = msy_buf_reserve(unit, message.len + 1);
    if (status == MESHSYNC_OK) {
        (void)msy_buf_append_u8(unit, UNIT_PLAIN); /* Reserved. */
        (void)msy_buf_append(unit, message.data, message.len);
        press->rest_bytes -= press->rest_bytes < message.len ? press->rest_bytes : message.len;
    }
    return status;
}

meshsync_status msy_press_put(struct msy_press *press, meshsync_bytes message, struct msy_buf *unit)
{
    if (press->broken) {
        return MESHSYNC_E_INTERNAL;
    }
    if (press->rest_bytes > 0 || message.len < MSY_PRESS_PLAIN_BYTES_MIN ||
        message.len > MSY_PRESS_PLAIN_BYTES_MAX) {
        return press_plain(press, message, unit);
    }
    size_t room = ZSTD_compressBound(message.len) + SLACK_BYTES;
    meshsync_status status = msy_buf_reserve(unit, 1 + MSY_VARINT_BYTES_MAX + room);
    if (status != MESHSYNC_OK) {
        return status;
    }
    size_t len_before = unit->len;
    (void)msy_buf_append_u8(unit, UNIT_PACKED); /* Reserved, both. */
    (void)msy_buf_append_varint(unit, message.len);
    ZSTD_inBuffer in = {message.data, message.len, 0};
    ZSTD_outBuffer out = {unit->data + unit->len, room, 0};
    size_t left = ZSTD_compressStream2(press->stream, &out, &in, ZSTD_e_flush);
    if (left != 0 || in.pos != in.size) {
        press->broken = true;
        unit->len = len_before;
        return MESHSYNC_E_INTERNAL;
    }
    unit->len += out.pos;
    press->plain_bytes += message.len;
    press->packed_bytes += unit->len - len_before;
    press_judge(press);
    return MESHSYNC_OK;
}

bool msy_press_is_packed(const uint8_t *unit)
{
    return unit[0] == UNIT_PACKED;
}

meshsync_status msy_unpress_new(struct msy_alloc *alloc, struct msy_unpress **out)
{
    *out = NULL;
    size_t bytes = msy_unpress_bytes();
    struct msy_unpress *unpress = msy_new(alloc, bytes);
    if (unpress == NULL) {
        return MESHSYNC_E_NO_MEMORY;
    }
    unpress->alloc = alloc;
    unpress->bytes = bytes;
    unpress->stream = ZSTD_initStaticDStream(unpress + 1, bytes - sizeof *unpress);
    if (unpress->stream == NULL ||
        ZSTD_isError(
            ZSTD_DCtx_setParameter(unpress->stream, ZSTD_d_windowLogMax, MSY_PRESS_WINDOW_LOG))) {
        msy_unpress_free(unpress);
        return MESHSYNC_E_INTERNAL;
    }
    *out = unpress;
    return MESHSYNC_OK;
}

void msy_unpress_free(struct msy_unpress *unpress)
{
    if (unpress != NULL) {
        msy_free(unpress->alloc, unpress, unpress->bytes);
    }
}

/* One byte more than announced is offered to zstd: a stream that gives it has lied. */
static bool unpress_stream(struct msy_unpress *unpress, struct msy_cursor *cursor, size_t announced,
                           struct msy_buf *message)
{
    ZSTD_inBuffer in = {cursor->at, msy_cursor_left(cursor), 0};
    ZSTD_outBuffer out = {message->data + message->len, announced + 1, 0};
    size_t before = SIZE_MAX;
    while (before != in.pos + out.pos) {
        before = in.pos + out.pos;
        size_t hint = ZSTD_decompressStream(unpress->stream, &out, &in);
        if (ZSTD_isError(hint) || hint == 0) { /* 0: the frame ended, which it never does. */
            return false;
        }
    }
    return in.pos == in.size && out.pos == announced;
}

meshsync_status msy_unpress_take(struct msy_unpress *unpress, meshsync_bytes unit,
                                 struct msy_buf *message)
{
    struct msy_cursor cursor;
    uint8_t kind = 0;
    uint64_t announced = 0;
    msy_cursor_init(&cursor, unit);
    if (!unpress->broken && msy_cursor_u8(&cursor, &kind) && kind == UNIT_PLAIN) {
        return msy_buf_append(message, cursor.at, msy_cursor_left(&cursor));
    }
    if (unpress->broken || kind != UNIT_PACKED || !msy_cursor_varint(&cursor, &announced) ||
        announced < MSY_PRESS_PLAIN_BYTES_MIN || announced > MSY_PRESS_PLAIN_BYTES_MAX) {
        unpress->broken = true;
        return MESHSYNC_E_PROTOCOL;
    }
    meshsync_status status = msy_buf_reserve(message, (size_t)announced + 1);
    if (status != MESHSYNC_OK) {
        return status;
    }
    if (!unpress_stream(unpress, &cursor, (size_t)announced, message)) {
        unpress->broken = true;
        return MESHSYNC_E_PROTOCOL;
    }
    message->len += (size_t)announced;
    return MESHSYNC_OK;
}
