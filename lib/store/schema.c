/* SPDX-License-Identifier: Apache-2.0 */
#include "store/schema.h"

enum {
    DESCRIPTOR_VERSION = 1,
    DESCRIPTOR_JOINING = 1,
    DESCRIPTOR_LEFT = 2,
    RECORD_VERSION_MIN = 1
};

void msy_space_row_write(const struct msy_space_row_descriptor *row, struct msy_buf *out)
{
    /* The buffer has room for the largest row from its making; so no step can fail. */
    uint8_t flags =
        (uint8_t)((row->joining ? DESCRIPTOR_JOINING : 0) | (row->left ? DESCRIPTOR_LEFT : 0));
    size_t name_len = strlen(row->name);
    (void)msy_buf_append_u8(out, DESCRIPTOR_VERSION);
    (void)msy_buf_append_u8(out, flags);
    (void)msy_buf_append(out, row->id, sizeof row->id);
    (void)msy_buf_append(out, row->founder, sizeof row->founder);
    (void)msy_buf_append(out, row->nonce, sizeof row->nonce);
    (void)msy_buf_append(out, row->discovery, sizeof row->discovery);
    (void)msy_buf_append(out, row->invite_seed, sizeof row->invite_seed);
    (void)msy_buf_append_be64(out, row->created_lsn);
    (void)msy_buf_append_u8(out, (uint8_t)name_len);
    (void)msy_buf_append(out, row->name, name_len);
}

meshsync_status msy_space_row_read(meshsync_bytes value, struct msy_space_row_descriptor *row)
{
    struct msy_cursor cursor;
    uint8_t version = 0;
    uint8_t flags = 0;
    uint8_t name_len = 0;
    memset(row, 0, sizeof *row);
    msy_cursor_init(&cursor, value);
    (void)msy_cursor_u8(&cursor, &version);
    (void)msy_cursor_u8(&cursor, &flags);
    (void)msy_cursor_copy(&cursor, row->id, sizeof row->id);
    (void)msy_cursor_copy(&cursor, row->founder, sizeof row->founder);
    (void)msy_cursor_copy(&cursor, row->nonce, sizeof row->nonce);
    (void)msy_cursor_copy(&cursor, row->discovery, sizeof row->discovery);
    (void)msy_cursor_copy(&cursor, row->invite_seed, sizeof row->invite_seed);
    (void)msy_cursor_be64(&cursor, &row->created_lsn);
    (void)msy_cursor_u8(&cursor, &name_len);
    if (cursor.failed || version != DESCRIPTOR_VERSION || name_len > MESHSYNC_NAME_BYTES_MAX) {
        return MESHSYNC_E_STORE_CORRUPT;
    }
    (void)msy_cursor_copy(&cursor, row->name, name_len);
    row->joining = (flags & DESCRIPTOR_JOINING) != 0;
    row->left = (flags & DESCRIPTOR_LEFT) != 0;
    return cursor.failed ? MESHSYNC_E_STORE_CORRUPT : MESHSYNC_OK;
}

meshsync_status msy_record_read(meshsync_bytes value, struct msy_record *record)
{
    memset(record, 0, sizeof *record);
    if (value.len < MSY_RECORD_HEAD_BYTES || value.data[0] < RECORD_VERSION_MIN ||
        value.data[0] > MSY_RECORD_VERSION) {
        return MESHSYNC_E_STORE_CORRUPT;
    }
    size_t seal_len = value.data[0] == MSY_RECORD_VERSION ? MSY_RECORD_SEAL_BYTES : 0;
    size_t left = value.len - MSY_RECORD_HEAD_BYTES;
    uint32_t change_len = msy_get_be32(value.data + 38);
    if (left < seal_len || change_len > left - seal_len) {
        return MESHSYNC_E_STORE_CORRUPT;
    }
    record->all = value;
    record->flags = value.data[1];
    record->space = msy_get_be32(value.data + 2);
    record->hash = value.data + 6;
    record->change = msy_bytes(value.data + MSY_RECORD_HEAD_BYTES, change_len);
    record->trailer =
        msy_bytes(value.data + MSY_RECORD_HEAD_BYTES + change_len, left - seal_len - change_len);
    return MESHSYNC_OK;
}

static uint32_t record_crc(uint64_t lsn, const uint8_t *value, size_t len)
{
    uint8_t key[8];
    msy_put_be64(key, lsn);
    return msy_crc32c(msy_crc32c(0, key, sizeof key), value, len);
}

meshsync_status msy_record_seal(struct msy_buf *value, uint64_t lsn)
{
    return msy_buf_append_be32(value, record_crc(lsn, value->data, value->len));
}

bool msy_record_sound(const struct msy_record *record, uint64_t lsn)
{
    const size_t len = record->all.len - MSY_RECORD_SEAL_BYTES;
    return !msy_record_sealed(record) ||
           msy_get_be32(record->all.data + len) == record_crc(lsn, record->all.data, len);
}
