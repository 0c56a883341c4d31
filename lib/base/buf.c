/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <string.h>

/* The first block, so that short buffers do not grow byte by byte. */
enum { BUF_CAP_MIN = 64 };

void msy_buf_init(struct msy_buf *buf, struct msy_alloc *alloc, size_t max)
{
    memset(buf, 0, sizeof *buf);
    buf->alloc = alloc;
    buf->max = max;
}

void msy_buf_fini(struct msy_buf *buf)
{
    msy_free(buf->alloc, buf->data, buf->cap);
    buf->data = NULL;
    buf->len = 0;
    buf->cap = 0;
}

void msy_buf_reset(struct msy_buf *buf)
{
    buf->len = 0;
}

meshsync_status msy_buf_reserve(struct msy_buf *buf, size_t n)
{
    if (n <= buf->cap - buf->len) {
        return MESHSYNC_OK;
    }
    if (buf->len > buf->max || n > buf->max - buf->len) {
        return MESHSYNC_E_LIMIT;
    }
    size_t need = buf->len + n;
    size_t cap = buf->cap < BUF_CAP_MIN / 2 ? BUF_CAP_MIN : buf->cap;
    if (cap <= buf->max / 2) {
        cap *= 2;
    } else {
        cap = buf->max;
    }
    if (cap < need) {
        cap = need;
    }
    uint8_t *data = msy_resize(buf->alloc, buf->data, buf->cap, cap);
    if (data == NULL) {
        return MESHSYNC_E_NO_MEMORY;
    }
    buf->data = data;
    buf->cap = cap;
    return MESHSYNC_OK;
}

meshsync_status msy_buf_append(struct msy_buf *buf, const void *data, size_t n)
{
    meshsync_status status = msy_buf_reserve(buf, n);
    if (status != MESHSYNC_OK) {
        return status;
    }
    if (n > 0) {
        memcpy(buf->data + buf->len, data, n);
        buf->len += n;
    }
    return MESHSYNC_OK;
}

meshsync_status msy_buf_append_u8(struct msy_buf *buf, uint8_t value)
{
    return msy_buf_append(buf, &value, 1);
}

meshsync_status msy_buf_append_be16(struct msy_buf *buf, uint16_t value)
{
    uint8_t bytes[2];
    msy_put_be16(bytes, value);
    return msy_buf_append(buf, bytes, sizeof bytes);
}

meshsync_status msy_buf_append_be32(struct msy_buf *buf, uint32_t value)
{
    uint8_t bytes[4];
    msy_put_be32(bytes, value);
    return msy_buf_append(buf, bytes, sizeof bytes);
}

meshsync_status msy_buf_append_be64(struct msy_buf *buf, uint64_t value)
{
    uint8_t bytes[8];
    msy_put_be64(bytes, value);
    return msy_buf_append(buf, bytes, sizeof bytes);
}

meshsync_status msy_buf_append_varint(struct msy_buf *buf, uint64_t value)
{
    uint8_t bytes[MSY_VARINT_BYTES_MAX];
    return msy_buf_append(buf, bytes, msy_put_varint(bytes, value));
}

void msy_buf_consume(struct msy_buf *buf, size_t n)
{
    if (n >= buf->len) {
        buf->len = 0;
        return;
    }
    if (n > 0) {
        memmove(buf->data, buf->data + n, buf->len - n);
        buf->len -= n;
    }
}

meshsync_bytes msy_buf_bytes(const struct msy_buf *buf)
{
    return (meshsync_bytes){buf->data, buf->len};
}
