/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The validator: says whether bytes are canonical msgpack (docs/format.md, section 1), allocating
 * nothing, reading each byte once. Only bytes that passed it are given to msgpack-c.
 */
#ifndef MSY_WIRE_MSGPACK_CHECK_H
#define MSY_WIRE_MSGPACK_CHECK_H

#include "base/buf.h"

/* Length of the one canonical value at the start of bytes, 0 when there is none. */
size_t msy_msgpack_check(meshsync_bytes bytes);

/* A reader over validated or foreign bytes: strict, allocation-free, never past the end. */
enum msy_msgpack_type {
    MSY_MP_NIL,
    MSY_MP_BOOL,
    MSY_MP_UINT,
    MSY_MP_NEGINT,
    MSY_MP_FLOAT,
    MSY_MP_STR,
    MSY_MP_BIN,
    MSY_MP_ARRAY,
    MSY_MP_MAP,
    MSY_MP_EXT
};
struct msy_msgpack_head {
    enum msy_msgpack_type type;
    uint64_t number; /* UINT, NEGINT as two's complement, BOOL, FLOAT as bits, counts, lengths. */
    int8_t ext_type;
    meshsync_bytes data; /* STR, BIN, EXT. */
};
/* Reads one head (and the data of str, bin, ext); canonical forms only. Fails the cursor. */
bool msy_mp_read(struct msy_cursor *cursor, struct msy_msgpack_head *head);
bool msy_mp_uint(struct msy_cursor *cursor, uint64_t *out);
bool msy_mp_array(struct msy_cursor *cursor, uint32_t *count);
bool msy_mp_nil(struct msy_cursor *cursor); /* Peeks: consumes only a nil; does not fail. */
bool msy_mp_str(struct msy_cursor *cursor, meshsync_bytes *out);
bool msy_mp_bin(struct msy_cursor *cursor, meshsync_bytes *out);
/* A bin of exactly n bytes, copied. */
bool msy_mp_bin_copy(struct msy_cursor *cursor, void *out, size_t n);
/* One whole value; *raw lends its bytes. */
bool msy_mp_raw(struct msy_cursor *cursor, meshsync_bytes *raw);

/* Version of msgpack-c. */
const char *msy_mp_library(void);

/* Packing, by msgpack-c into a msy_buf; always canonical. */
meshsync_status msy_mp_put_nil(struct msy_buf *buf);
meshsync_status msy_mp_put_bool(struct msy_buf *buf, bool value);
meshsync_status msy_mp_put_uint(struct msy_buf *buf, uint64_t value);
meshsync_status msy_mp_put_int(struct msy_buf *buf, int64_t value);
meshsync_status msy_mp_put_float(struct msy_buf *buf, double value);
meshsync_status msy_mp_put_str(struct msy_buf *buf, meshsync_bytes value);
meshsync_status msy_mp_put_bin(struct msy_buf *buf, meshsync_bytes value);
meshsync_status msy_mp_put_ext(struct msy_buf *buf, int8_t type, meshsync_bytes value);
meshsync_status msy_mp_put_array(struct msy_buf *buf, uint32_t count);
meshsync_status msy_mp_put_map(struct msy_buf *buf, uint32_t count);

#endif
