/* SPDX-License-Identifier: Apache-2.0 */
/* Shows that what the validator takes, msgpack-c reads as one value, writes again as the same
 * bytes, and pays for with memory that is bounded by a small multiple of those bytes. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <msgpack.h>

#include "wire/msgpack_check.h"

enum {
    /* An element has 24 bytes in memory and at least one in the input; chunks double. */
    BYTES_PER_BYTE = 64,
    BYTES_ONCE = 64 << 10 /* The first chunk and the output buffer. */
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int good)
{
    if (!good) {
        abort();
    }
}

/* Bytes that the zone of an unpacked value holds, as its objects tell. */
static size_t cost(const msgpack_object *object)
{
    size_t sum = 0;
    if (object->type == MSGPACK_OBJECT_ARRAY) {
        sum += object->via.array.size * sizeof(msgpack_object);
        for (uint32_t i = 0; i < object->via.array.size; i++) {
            sum += cost(&object->via.array.ptr[i]);
        }
    } else if (object->type == MSGPACK_OBJECT_MAP) {
        sum += object->via.map.size * sizeof(msgpack_object_kv);
        for (uint32_t i = 0; i < object->via.map.size; i++) {
            sum += cost(&object->via.map.ptr[i].key) + cost(&object->via.map.ptr[i].val);
        }
    }
    return sum;
}

static void compare(const uint8_t *data, size_t len)
{
    msgpack_unpacked unpacked;
    msgpack_sbuffer again;
    msgpack_packer packer;
    size_t end = 0;
    msgpack_unpacked_init(&unpacked);
    msgpack_sbuffer_init(&again);
    must(msgpack_unpack_next(&unpacked, (const char *)data, len, &end) == MSGPACK_UNPACK_SUCCESS);
    must(end == len && cost(&unpacked.data) <= BYTES_PER_BYTE * len + BYTES_ONCE);
    msgpack_packer_init(&packer, &again, msgpack_sbuffer_write);
    must(msgpack_pack_object(&packer, unpacked.data) == 0);
    must(again.size == len && memcmp(again.data, data, len) == 0);
    msgpack_sbuffer_destroy(&again);
    msgpack_unpacked_destroy(&unpacked);
}

/* The strict reader and the validator are of one mind about heads. */
static void read_heads(const uint8_t *data, size_t size, size_t len)
{
    struct msy_cursor cursor;
    struct msy_msgpack_head head;
    meshsync_bytes raw = {NULL, 0};
    msy_cursor_init(&cursor, (meshsync_bytes){data, size});
    bool whole = msy_mp_raw(&cursor, &raw);
    must(whole == (len > 0) && (!whole || raw.len == len));
    msy_cursor_init(&cursor, (meshsync_bytes){data, len > 0 ? len : size});
    while (msy_cursor_left(&cursor) > 0 && msy_mp_read(&cursor, &head)) {
    }
    must(len == 0 || msy_cursor_left(&cursor) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t len = msy_msgpack_check((meshsync_bytes){data, size});
    must(len <= size);
    if (len > 0) {
        must(msy_msgpack_check((meshsync_bytes){data, len}) == len);
        must(msy_msgpack_check((meshsync_bytes){data, len - 1}) == 0);
        compare(data, len);
    }
    read_heads(data, size, len);
    return 0;
}
