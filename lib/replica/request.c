/* SPDX-License-Identifier: Apache-2.0 */
#include "replica/request.h"

#include <string.h>

enum { INTENT_HEAD_BYTES = 2 };

void msy_request_init(struct msy_request *request, struct msy_alloc *alloc)
{
    memset(request, 0, sizeof *request);
    msy_buf_init(&request->bytes, alloc, MESHSYNC_TXN_BYTES_MAX);
}

void msy_request_fini(struct msy_request *request)
{
    msy_buf_fini(&request->bytes);
}

void msy_request_reset(struct msy_request *request)
{
    msy_buf_reset(&request->bytes);
    request->intents_count = 0;
    request->explicit_txn = false;
    request->meta = (meshsync_bytes){NULL, 0};
}

static meshsync_status request_part(struct msy_buf *bytes, meshsync_bytes part)
{
    meshsync_status status = msy_buf_append_varint(bytes, part.len);
    return status == MESHSYNC_OK ? msy_buf_append(bytes, part.data, part.len) : status;
}

meshsync_status msy_request_add(struct msy_request *request, const struct msy_intent *intent)
{
    size_t start = request->bytes.len;
    const meshsync_bytes parts[] = {intent->collection, intent->path, intent->payload,
                                    intent->context};
    if (request->intents_count >= MESHSYNC_TXN_OPS_MAX) {
        return MESHSYNC_E_LIMIT;
    }
    meshsync_status status = msy_buf_append_u8(&request->bytes, (uint8_t)intent->type);
    if (status == MESHSYNC_OK) {
        status = msy_buf_append_u8(&request->bytes, (uint8_t)intent->condition);
    }
    for (size_t i = 0; i < sizeof parts / sizeof parts[0] && status == MESHSYNC_OK; i++) {
        status = request_part(&request->bytes, parts[i]);
    }
    if (status != MESHSYNC_OK) {
        request->bytes.len = start;
        return status;
    }
    request->intents_count += 1;
    return MESHSYNC_OK;
}

bool msy_request_next(const struct msy_request *request, size_t *at, struct msy_intent *intent)
{
    struct msy_cursor cursor;
    if (*at + INTENT_HEAD_BYTES > request->bytes.len) {
        return false;
    }
    const uint8_t *start = request->bytes.data + *at;
    meshsync_bytes *parts[] = {&intent->collection, &intent->path, &intent->payload,
                               &intent->context};
    intent->type = (enum msy_intent_type)start[0];
    intent->condition = (enum meshsync_condition_kind)start[1];
    msy_cursor_init(&cursor, (meshsync_bytes){start + INTENT_HEAD_BYTES,
                                              request->bytes.len - *at - INTENT_HEAD_BYTES});
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        uint64_t len = 0;
        if (!msy_cursor_varint(&cursor, &len) ||
            !msy_cursor_bytes(&cursor, (size_t)len, parts[i])) {
            return false;
        }
    }
    *at = (size_t)(cursor.at - request->bytes.data);
    return true;
}

bool msy_context_has(meshsync_bytes context, uint64_t lsn, uint32_t index)
{
    struct msy_cursor cursor;
    meshsync_bytes head;
    msy_cursor_init(&cursor, context);
    if (!msy_cursor_bytes(&cursor, MSY_CONTEXT_HEAD_BYTES, &head)) {
        return false;
    }
    while (msy_cursor_left(&cursor) > 0) {
        uint64_t dot_lsn = 0;
        uint64_t dot_index = 0;
        if (!msy_cursor_varint(&cursor, &dot_lsn) || !msy_cursor_varint(&cursor, &dot_index)) {
            return false;
        }
        if (dot_lsn == lsn && dot_index == index) {
            return true;
        }
    }
    return false;
}
