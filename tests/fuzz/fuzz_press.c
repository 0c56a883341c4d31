/* SPDX-License-Identifier: Apache-2.0 */
/* Shows that no units make the receiving side of a stream read or write where it must not, or take
 * more memory than it says, and that what was packed and not touched is unpacked as it was. The
 * input is units as they are, or messages that are packed, of which some are then damaged. */
#include <string.h>

#include "fuzz/kit.h"
#include "wire/press.h"

enum { UNITS_MAX = 64, OUT_BYTES_MAX = MSY_PRESS_PLAIN_BYTES_MAX + 1 };

static void take(struct msy_unpress *unpress, meshsync_bytes unit, struct msy_buf *out)
{
    msy_buf_reset(out);
    meshsync_status status = msy_unpress_take(unpress, unit, out);
    kit_must(status == MESHSYNC_OK || status == MESHSYNC_E_PROTOCOL || status == MESHSYNC_E_LIMIT);
    kit_must(status == MESHSYNC_OK || out->len == 0);
}

static void take_units(struct kit_input *input, struct msy_unpress *unpress, struct msy_buf *out)
{
    for (int i = 0; i < UNITS_MAX && input->at < input->end; i++) {
        uint32_t len = kit_u16(input);
        take(unpress, kit_take(input, len), out);
    }
}

/* Until something was damaged, everything must come back. */
static void pack_and_take(struct kit_input *input, struct msy_alloc *alloc,
                          struct msy_unpress *unpress, struct msy_buf *out)
{
    struct msy_press *press = NULL;
    struct msy_buf unit;
    bool good = true;
    kit_must(msy_press_new(alloc, 1 + kit_u8(input) % 3, &press) == MESHSYNC_OK);
    msy_buf_init(&unit, alloc, SIZE_MAX / 2);
    for (int i = 0; i < UNITS_MAX && input->at < input->end; i++) {
        uint8_t damage = kit_u8(input);
        const meshsync_bytes message = kit_take(input, kit_u16(input));
        msy_buf_reset(&unit);
        kit_must(msy_press_put(press, message, &unit) == MESHSYNC_OK);
        if (damage >= 0xf0) {
            unit.data[(size_t)kit_u16(input) % unit.len] ^= (uint8_t)(1 << damage % 8);
            good = false;
        }
        take(unpress, msy_buf_bytes(&unit), out);
        kit_must(!good || (out->len == message.len &&
                           (message.len == 0 || memcmp(out->data, message.data, out->len) == 0)));
    }
    msy_press_free(press);
    msy_buf_fini(&unit);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kit_input input = {data, data + size};
    struct msy_alloc alloc;
    struct msy_unpress *unpress = NULL;
    struct msy_buf out;
    msy_alloc_init(&alloc, NULL, NULL, 0);
    kit_must(msy_unpress_new(&alloc, &unpress) == MESHSYNC_OK);
    msy_buf_init(&out, &alloc, OUT_BYTES_MAX);
    if (kit_u8(&input) % 2 == 0) {
        take_units(&input, unpress, &out);
    } else {
        pack_and_take(&input, &alloc, unpress, &out);
    }
    msy_unpress_free(unpress);
    msy_buf_fini(&out);
    kit_must(alloc.bytes_used == 0);
    return 0;
}
