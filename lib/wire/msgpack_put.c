/* SPDX-License-Identifier: Apache-2.0 */
/* Packing by msgpack-c, whose writers choose the shortest forms. Declared in msgpack_check.h. */
#include "wire/msgpack_check.h"

#include <msgpack.h>

/* msgpack-c's callback knows only failure; which one it was is kept here. */
struct put_target {
    struct msy_buf *buf;
    meshsync_status status;
};

static int put_write(void *data, const char *bytes, size_t len)
{
    struct put_target *target = (struct put_target *)data;
    target->status = msy_buf_append(target->buf, bytes, len);
    return target->status == MESHSYNC_OK ? 0 : -1;
}

static void put_init(struct put_target *target, msgpack_packer *packer, struct msy_buf *buf)
{
    target->buf = buf;
    target->status = MESHSYNC_OK;
    msgpack_packer_init(packer, target, put_write);
}

meshsync_status msy_mp_put_nil(struct msy_buf *buf)
{
    struct put_target target;
    msgpack_packer packer;
    put_init(&target, &packer, buf);
    (void)msgpack_pack_nil(&packer);
    return target.status;
}

meshsync_status msy_mp_put_bool(struct msy_buf *buf, bool value)
{
    struct put_target target;
    msgpack_packer packer;
    put_init(&target, &packer, buf);
    (void)(value ? msgpack_pack_true(&packer) : msgpack_pack_false(&packer));
    return target.status;
}

meshsync_status msy_mp_put_uint(struct msy_buf *buf, uint64_t value)
{
    struct put_target target;
    msgpack_packer packer;
    put_init(&target, &packer, buf);
    (void)msgpack_pack_uint64(&packer, value);
    return target.status;
}

meshsync_status msy_mp_put_int(struct msy_buf *buf, int64_t value)
{
    struct put_target target;
    msgpack_packer packer;
    if (value >= 0) {
        return msy_mp_put_uint(buf, (uint64_t)value);
    }
    put_init(&target, &packer, buf);
    (void)msgpack_pack_int64(&packer, value);
    return target.status;
}

meshsync_status msy_mp_put_float(struct msy_buf *buf, double value)
{
    static const uint8_t nan_bytes[] = {0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0};
    struct put_target target;
    msgpack_packer packer;
    if (value != value) { /* One form for every NaN. */
        return msy_buf_append(buf, nan_bytes, sizeof nan_bytes);
    }
    put_init(&target, &packer, buf);
    (void)msgpack_pack_double(&packer, value);
    return target.status;
}

meshsync_status msy_mp_put_str(struct msy_buf *buf, meshsync_bytes value)
{
    struct put_target target;
    msgpack_packer packer;
    size_t before = buf->len;
    put_init(&target, &packer, buf);
    (void)msgpack_pack_str(&packer, value.len);
    if (target.status == MESHSYNC_OK && value.len > 0) {
        (void)msgpack_pack_str_body(&packer, value.data, value.len);
    }
    buf->len = target.status == MESHSYNC_OK ? buf->len : before;
    return target.status;
}

meshsync_status msy_mp_put_bin(struct msy_buf *buf, meshsync_bytes value)
{
    struct put_target target;
    msgpack_packer packer;
    size_t before = buf->len;
    put_init(&target, &packer, buf);
    (void)msgpack_pack_bin(&packer, value.len);
    if (target.status == MESHSYNC_OK && value.len > 0) {
        (void)msgpack_pack_bin_body(&packer, value.data, value.len);
    }
    buf->len = target.status == MESHSYNC_OK ? buf->len : before;
    return target.status;
}

meshsync_status msy_mp_put_ext(struct msy_buf *buf, int8_t type, meshsync_bytes value)
{
    struct put_target target;
    msgpack_packer packer;
    size_t before = buf->len;
    put_init(&target, &packer, buf);
    (void)msgpack_pack_ext(&packer, value.len, type);
    if (target.status == MESHSYNC_OK && value.len > 0) {
        (void)msgpack_pack_ext_body(&packer, value.data, value.len);
    }
    buf->len = target.status == MESHSYNC_OK ? buf->len : before;
    return target.status;
}

meshsync_status msy_mp_put_array(struct msy_buf *buf, uint32_t count)
{
    struct put_target target;
    msgpack_packer packer;
    put_init(&target, &packer, buf);
    (void)msgpack_pack_array(&packer, count);
    return target.status;
}

meshsync_status msy_mp_put_map(struct msy_buf *buf, uint32_t count)
{
    struct put_target target;
    msgpack_packer packer;
    put_init(&target, &packer, buf);
    (void)msgpack_pack_map(&packer, count);
    return target.status;
}

const char *msy_mp_library(void)
{
    return MSGPACK_VERSION; /* What is used of it is in its headers. */
}
