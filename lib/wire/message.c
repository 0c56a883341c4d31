/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/message.h"

#include <string.h>

#include "wire/msgpack_check.h"

/* A BYE carries the negative status as a positive number. */
enum { MESSAGE_REASON_MAX = 65535 };

void msy_message_head(const uint8_t *head, uint8_t *type, uint32_t *len)
{
    *type = head[0];
    *len = msy_get_be32(head + 1);
}

/* --- encoding -------------------------------------------------------------------------------- */

void msy_message_end(struct msy_buf *out, size_t start)
{
    msy_put_be32(out->data + start + 1, (uint32_t)(out->len - start - MSY_MESSAGE_HEAD_BYTES));
}

/* The message that began at start is complete, or is taken back. */
static meshsync_status message_finish(struct msy_buf *out, size_t start, meshsync_status status)
{
    if (status != MESHSYNC_OK) {
        out->len = start;
        return status;
    }
    msy_message_end(out, start);
    return MESHSYNC_OK;
}

static meshsync_status message_begin(struct msy_buf *out, enum msy_message_type type)
{
    const uint8_t head[MSY_MESSAGE_HEAD_BYTES] = {(uint8_t)type, 0, 0, 0, 0};
    return msy_buf_append(out, head, sizeof head);
}

static meshsync_status message_begin_array(struct msy_buf *out, enum msy_message_type type,
                                           uint32_t count)
{
    meshsync_status status = message_begin(out, type);
    return status == MESHSYNC_OK ? msy_mp_put_array(out, count) : status;
}

static meshsync_status message_put_bin(struct msy_buf *out, const void *data, size_t len)
{
    return msy_mp_put_bin(out, (meshsync_bytes){data, len});
}

meshsync_status msy_message_put_numbers(struct msy_buf *out, enum msy_message_type type,
                                        const uint64_t *numbers, uint32_t count)
{
    size_t start = out->len;
    meshsync_status status = message_begin_array(out, type, count);
    for (uint32_t i = 0; i < count && status == MESHSYNC_OK; i++) {
        status = msy_mp_put_uint(out, numbers[i]);
    }
    return message_finish(out, start, status);
}

meshsync_status msy_message_put_spaces(struct msy_buf *out, const uint8_t *ids, uint32_t count)
{
    size_t start = out->len;
    meshsync_status status = message_begin_array(out, MSY_MESSAGE_SPACES, 1);
    if (status == MESHSYNC_OK) {
        status = message_put_bin(out, ids, (size_t)count * MSY_BLIND_BYTES);
    }
    return message_finish(out, start, status);
}

static meshsync_status message_put_opt(struct msy_buf *out, const uint8_t *data, size_t len)
{
    return data == NULL ? msy_mp_put_nil(out) : message_put_bin(out, data, len);
}

meshsync_status msy_message_put_open(struct msy_buf *out, const struct msy_open *open)
{
    size_t start = out->len;
    meshsync_status status = message_begin_array(out, MSY_MESSAGE_OPEN, 5);
    if (status == MESHSYNC_OK) {
        status = msy_mp_put_uint(out, open->channel);
    }
    if (status == MESHSYNC_OK) {
        status = message_put_bin(out, open->id, MSY_BLIND_BYTES);
    }
    if (status == MESHSYNC_OK) {
        status = msy_mp_put_uint(out, open->grant ? 1 : 0);
    }
    if (status == MESHSYNC_OK) {
        status = message_put_opt(out, open->invite, 32);
    }
    if (status == MESHSYNC_OK) {
        status = message_put_opt(out, open->invite == NULL ? NULL : open->proof, 64);
    }
    return message_finish(out, start, status);
}

static meshsync_status message_put_tip(struct msy_buf *out, const struct msy_tip *tip)
{
    meshsync_status status = msy_mp_put_array(out, 3);
    if (status == MESHSYNC_OK) {
        status = message_put_bin(out, tip->actor.id, sizeof tip->actor.id);
    }
    if (status == MESHSYNC_OK) {
        status = msy_mp_put_uint(out, tip->seq);
    }
    return status == MESHSYNC_OK ? message_put_bin(out, tip->hash, MSY_TIP_PREFIX_BYTES) : status;
}

meshsync_status msy_message_put_tips(struct msy_buf *out, enum msy_message_type type,
                                     uint64_t channel, uint64_t number, const struct msy_tip *tips,
                                     uint32_t count)
{
    size_t start = out->len;
    meshsync_status status = message_begin_array(out, type, 3);
    if (status == MESHSYNC_OK) {
        status = msy_mp_put_uint(out, channel);
    }
    if (status == MESHSYNC_OK) {
        status = msy_mp_put_uint(out, number);
    }
    if (status == MESHSYNC_OK) {
        status = msy_mp_put_array(out, count);
    }
    for (uint32_t i = 0; i < count && status == MESHSYNC_OK; i++) {
        status = message_put_tip(out, &tips[i]);
    }
    return message_finish(out, start, status);
}

meshsync_status msy_message_put_hashes(struct msy_buf *out, enum msy_message_type type,
                                       uint64_t channel, const uint8_t (*hashes)[32],
                                       uint32_t count)
{
    size_t start = out->len;
    meshsync_status status = message_begin_array(out, type, count + 1);
    if (status == MESHSYNC_OK) {
        status = msy_mp_put_uint(out, channel);
    }
    for (uint32_t i = 0; i < count && status == MESHSYNC_OK; i++) {
        status = message_put_bin(out, hashes[i], sizeof hashes[i]);
    }
    return message_finish(out, start, status);
}

meshsync_status msy_message_put_clock(struct msy_buf *out, uint64_t channel,
                                      const uint8_t digest[MSY_CLOCK_BYTES])
{
    size_t start = out->len;
    meshsync_status status = message_begin_array(out, MSY_MESSAGE_CLOCK, 2);
    if (status == MESHSYNC_OK) {
        status = msy_mp_put_uint(out, channel);
    }
    if (status == MESHSYNC_OK) {
        status = message_put_bin(out, digest, MSY_CLOCK_BYTES);
    }
    return message_finish(out, start, status);
}

meshsync_status msy_message_begin_addresses(struct msy_buf *out, uint32_t count)
{
    size_t start = out->len;
    meshsync_status status = message_begin_array(out, MSY_MESSAGE_ADDRESSES, 1);
    if (status == MESHSYNC_OK) {
        status = msy_mp_put_array(out, count);
    }
    return message_finish(out, start, status);
}

meshsync_status msy_message_put_address(struct msy_buf *out, const uint8_t device[MSY_DEVICE_BYTES],
                                        const char *text)
{
    size_t start = out->len;
    meshsync_status status = msy_mp_put_array(out, 2);
    if (status == MESHSYNC_OK) {
        status = message_put_bin(out, device, MSY_DEVICE_BYTES);
    }
    if (status == MESHSYNC_OK) {
        status = msy_mp_put_str(out, (meshsync_bytes){(const uint8_t *)text, strlen(text)});
    }
    if (status != MESHSYNC_OK) {
        out->len = start;
    }
    return status;
}

meshsync_status msy_message_put_bye(struct msy_buf *out, meshsync_status reason, const char *words)
{
    size_t start = out->len;
    size_t len = strlen(words);
    if (len > MSY_MESSAGE_WORDS_MAX) {
        len = 0;
    }
    meshsync_status status = message_begin_array(out, MSY_MESSAGE_BYE, 2);
    if (status == MESHSYNC_OK) {
        status = msy_mp_put_uint(out, (uint64_t)(-(int64_t)reason));
    }
    if (status == MESHSYNC_OK) {
        status = msy_mp_put_str(out, (meshsync_bytes){(const uint8_t *)words, len});
    }
    return message_finish(out, start, status);
}

meshsync_status msy_message_begin_packed(struct msy_buf *out, uint32_t channel)
{
    size_t start = out->len;
    meshsync_status status = message_begin(out, MSY_MESSAGE_PACKED);
    if (status == MESHSYNC_OK) {
        status = msy_buf_append_be32(out, channel);
    }
    return message_finish(out, start, status);
}

meshsync_status msy_message_begin_changes(struct msy_buf *out, uint32_t channel, uint32_t flags)
{
    size_t start = out->len;
    meshsync_status status = message_begin(out, MSY_MESSAGE_CHANGES);
    if (status == MESHSYNC_OK) {
        status = msy_buf_append_u8(out, (uint8_t)flags);
    }
    if (status == MESHSYNC_OK) {
        status = msy_buf_append_be32(out, channel);
    }
    return message_finish(out, start, status);
}

meshsync_status msy_message_put_change(struct msy_buf *out, size_t start, meshsync_bytes change)
{
    size_t before = out->len;
    meshsync_status status = msy_buf_append_be32(out, (uint32_t)change.len);
    if (status == MESHSYNC_OK) {
        status = msy_buf_append(out, change.data, change.len);
    }
    if (status != MESHSYNC_OK) {
        out->len = before;
        return status;
    }
    msy_message_end(out, start);
    return MESHSYNC_OK;
}

meshsync_status msy_greeting_put(struct msy_buf *out, const struct msy_greeting *greeting)
{
    size_t start = out->len;
    meshsync_status status = msy_mp_put_array(out, 5);
    if (status == MESHSYNC_OK) {
        status = msy_mp_put_uint(out, greeting->version_min);
    }
    if (status == MESHSYNC_OK) {
        status = msy_mp_put_uint(out, greeting->version_max);
    }
    if (status == MESHSYNC_OK) {
        status = msy_mp_put_uint(out, greeting->features);
    }
    if (status == MESHSYNC_OK) {
        status = message_put_bin(out, greeting->device, sizeof greeting->device);
    }
    if (status == MESHSYNC_OK) {
        status = message_put_bin(out, greeting->instance, sizeof greeting->instance);
    }
    if (status != MESHSYNC_OK) {
        out->len = start;
    }
    return status;
}

/* --- decoding -------------------------------------------------------------------------------- */

/* Opens the array that every msgpack content is. A later version may have put more elements behind
 * those that we know: message_close skips them. */
static bool message_open(struct msy_cursor *cursor, meshsync_bytes content, uint32_t least,
                         uint32_t *count)
{
    msy_cursor_init(cursor, content);
    return msy_mp_array(cursor, count) && *count >= least;
}

static bool message_close(struct msy_cursor *cursor, uint32_t more)
{
    meshsync_bytes skipped;
    for (uint32_t i = 0; i < more && !cursor->failed; i++) {
        (void)msy_mp_raw(cursor, &skipped);
    }
    return !cursor->failed && msy_cursor_left(cursor) == 0;
}

static bool message_fixed(struct msy_cursor *cursor, size_t len, const uint8_t **out)
{
    meshsync_bytes bytes;
    *out = NULL;
    if (!msy_mp_bin(cursor, &bytes) || bytes.len != len) {
        return false;
    }
    *out = bytes.data;
    return true;
}

bool msy_message_get_numbers(meshsync_bytes content, uint64_t *numbers, uint32_t count)
{
    struct msy_cursor cursor;
    uint32_t have = 0;
    if (!message_open(&cursor, content, count, &have)) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!msy_mp_uint(&cursor, &numbers[i])) {
            return false;
        }
    }
    return message_close(&cursor, have - count);
}

bool msy_message_get_spaces(meshsync_bytes content, const uint8_t **ids, uint32_t *count)
{
    struct msy_cursor cursor;
    meshsync_bytes bytes;
    uint32_t have = 0;
    if (!message_open(&cursor, content, 1, &have) || !msy_mp_bin(&cursor, &bytes) ||
        bytes.len % MSY_BLIND_BYTES != 0 ||
        bytes.len / MSY_BLIND_BYTES > 2 * MSY_SESSION_SPACES_MAX) {
        return false;
    }
    *ids = bytes.data;
    *count = (uint32_t)(bytes.len / MSY_BLIND_BYTES);
    for (size_t at = MSY_BLIND_BYTES; at < bytes.len; at += MSY_BLIND_BYTES) {
        if (memcmp(bytes.data + at - MSY_BLIND_BYTES, bytes.data + at, MSY_BLIND_BYTES) >= 0) {
            return false;
        }
    }
    return message_close(&cursor, have - 1);
}

bool msy_message_get_open(meshsync_bytes content, struct msy_open *open)
{
    struct msy_cursor cursor;
    uint32_t have = 0;
    uint64_t grant = 0;
    memset(open, 0, sizeof *open);
    if (!message_open(&cursor, content, 5, &have) || !msy_mp_uint(&cursor, &open->channel) ||
        !message_fixed(&cursor, MSY_BLIND_BYTES, &open->id) || !msy_mp_uint(&cursor, &grant) ||
        grant > 1) {
        return false;
    }
    open->grant = grant == 1;
    if (msy_mp_nil(&cursor)) {
        if (!msy_mp_nil(&cursor)) {
            return false;
        }
    } else if (!message_fixed(&cursor, 32, &open->invite) ||
               !message_fixed(&cursor, 64, &open->proof)) {
        return false;
    }
    return message_close(&cursor, have - 5);
}

static bool message_tip(struct msy_cursor *cursor, struct msy_tip *tip)
{
    uint32_t parts = 0;
    memset(tip, 0, sizeof *tip);
    return msy_mp_array(cursor, &parts) && parts == 3 &&
           msy_mp_bin_copy(cursor, tip->actor.id, sizeof tip->actor.id) &&
           msy_mp_uint(cursor, &tip->seq) && tip->seq >= 1 && tip->seq <= MSY_SEQ_MAX &&
           msy_mp_bin_copy(cursor, tip->hash, MSY_TIP_PREFIX_BYTES);
}

bool msy_message_get_tips(meshsync_bytes content, struct msy_tips *tips)
{
    struct msy_cursor cursor;
    struct msy_tip tip;
    struct msy_actor before = {{0}};
    uint32_t have = 0;
    memset(tips, 0, sizeof *tips);
    if (!message_open(&cursor, content, 3, &have) || !msy_mp_uint(&cursor, &tips->channel) ||
        !msy_mp_uint(&cursor, &tips->number) || !msy_mp_array(&cursor, &tips->count) ||
        tips->count > MSY_MESSAGE_TIPS_MAX) {
        return false;
    }
    tips->at = cursor;
    for (uint32_t i = 0; i < tips->count; i++) {
        if (!message_tip(&cursor, &tip) || (i > 0 && msy_actor_compare(&before, &tip.actor) >= 0)) {
            return false;
        }
        before = tip.actor;
    }
    return message_close(&cursor, have - 3);
}

bool msy_tips_next(struct msy_tips *tips, struct msy_tip *tip)
{
    if (tips->count == 0) {
        return false;
    }
    tips->count -= 1;
    return message_tip(&tips->at, tip);
}

bool msy_message_get_hashes(meshsync_bytes content, uint64_t *channel, uint8_t (*hashes)[32],
                            uint32_t count)
{
    struct msy_cursor cursor;
    uint32_t have = 0;
    if (!message_open(&cursor, content, count + 1, &have) || !msy_mp_uint(&cursor, channel)) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!msy_mp_bin_copy(&cursor, hashes[i], sizeof hashes[i])) {
            return false;
        }
    }
    return message_close(&cursor, have - count - 1);
}

bool msy_message_get_clock(meshsync_bytes content, uint64_t *channel,
                           uint8_t digest[MSY_CLOCK_BYTES])
{
    struct msy_cursor cursor;
    uint32_t have = 0;
    return message_open(&cursor, content, 2, &have) && msy_mp_uint(&cursor, channel) &&
           msy_mp_bin_copy(&cursor, digest, MSY_CLOCK_BYTES) && message_close(&cursor, have - 2);
}

/* An address is text of visible characters, so that it can be shown and handed to a resolver. */
static bool message_address(struct msy_cursor *cursor, const uint8_t **device, meshsync_bytes *text)
{
    uint32_t parts = 0;
    if (!msy_mp_array(cursor, &parts) || parts != 2 ||
        !message_fixed(cursor, MSY_DEVICE_BYTES, device) || !msy_mp_str(cursor, text) ||
        text->len == 0 || text->len >= MSY_ADDRESS_BYTES_MAX) {
        return false;
    }
    for (size_t i = 0; i < text->len; i++) {
        if (text->data[i] <= ' ' || text->data[i] > '~') {
            return false;
        }
    }
    return true;
}

bool msy_message_get_addresses(meshsync_bytes content, struct msy_addresses *addresses)
{
    struct msy_cursor cursor;
    const uint8_t *device = NULL;
    meshsync_bytes text;
    uint32_t have = 0;
    memset(addresses, 0, sizeof *addresses);
    if (!message_open(&cursor, content, 1, &have) || !msy_mp_array(&cursor, &addresses->count) ||
        addresses->count > MSY_MESSAGE_ENTRIES_MAX) {
        return false;
    }
    addresses->at = cursor;
    for (uint32_t i = 0; i < addresses->count; i++) {
        if (!message_address(&cursor, &device, &text)) {
            return false;
        }
    }
    return message_close(&cursor, have - 1);
}

bool msy_addresses_next(struct msy_addresses *addresses, const uint8_t **device,
                        meshsync_bytes *text)
{
    if (addresses->count == 0) {
        return false;
    }
    addresses->count -= 1;
    return message_address(&addresses->at, device, text);
}

bool msy_message_get_bye(meshsync_bytes content, meshsync_status *reason, meshsync_bytes *words)
{
    struct msy_cursor cursor;
    uint64_t number = 0;
    uint32_t have = 0;
    if (!message_open(&cursor, content, 2, &have) || !msy_mp_uint(&cursor, &number) ||
        number > MESSAGE_REASON_MAX || !msy_mp_str(&cursor, words) ||
        words->len > MSY_MESSAGE_WORDS_MAX) {
        return false;
    }
    *reason = -(meshsync_status)number;
    return message_close(&cursor, have - 2);
}

bool msy_changes_next(struct msy_cursor *list, meshsync_bytes *change)
{
    uint32_t len = 0;
    return msy_cursor_left(list) > 0 && msy_cursor_be32(list, &len) && len > 0 &&
           len <= MSY_CHANGE_BYTES_MAX && msy_cursor_bytes(list, len, change);
}

bool msy_message_get_changes(meshsync_bytes content, uint32_t *channel, uint32_t *flags,
                             meshsync_bytes *list)
{
    struct msy_cursor cursor;
    meshsync_bytes change;
    uint8_t flags_byte = 0;
    msy_cursor_init(&cursor, content);
    if (!msy_cursor_u8(&cursor, &flags_byte) || !msy_cursor_be32(&cursor, channel) ||
        msy_cursor_left(&cursor) == 0) {
        return false;
    }
    *flags = flags_byte;
    *list = (meshsync_bytes){cursor.at, msy_cursor_left(&cursor)};
    while (msy_cursor_left(&cursor) > 0) {
        if (!msy_changes_next(&cursor, &change)) {
            return false;
        }
    }
    return !cursor.failed;
}

bool msy_greeting_get(meshsync_bytes payload, struct msy_greeting *greeting)
{
    struct msy_cursor cursor;
    uint32_t have = 0;
    return message_open(&cursor, payload, 5, &have) &&
           msy_mp_uint(&cursor, &greeting->version_min) &&
           msy_mp_uint(&cursor, &greeting->version_max) &&
           greeting->version_min <= greeting->version_max &&
           msy_mp_uint(&cursor, &greeting->features) &&
           msy_mp_bin_copy(&cursor, greeting->device, sizeof greeting->device) &&
           msy_mp_bin_copy(&cursor, greeting->instance, sizeof greeting->instance) &&
           message_close(&cursor, have - 5);
}
