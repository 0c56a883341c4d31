/* SPDX-License-Identifier: Apache-2.0 */
/* Shows that symbols of any kind end being taken apart, within their bounds, and that whatever they
 * open to makes those very symbols again. An input is symbols as they are on the wire; when its
 * first byte is odd, items to make a sketch of come first, so that some do open. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "clock/sketch.h"
#include "wire/message_sketch.h"

enum { ITEM_BYTES = 8, ITEMS_MAX = 64, SYMBOLS_MAX = 512 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int good)
{
    if (!good) {
        abort();
    }
}

/* Made of what it opened to, it is what it was. */
static void same(const struct msy_sketch_symbol *symbols, uint32_t count,
                 const struct msy_sketch_item *items, uint32_t items_count)
{
    struct msy_sketch_symbol again[SYMBOLS_MAX];
    memset(again, 0, sizeof again);
    for (uint32_t i = 0; i < items_count; i++) {
        must(items[i].added <= 1 && (i == 0 || items[i - 1].item < items[i].item));
        if (items[i].added == 1) {
            msy_sketch_put(again, count, items[i].item);
        } else {
            msy_sketch_take(again, count, items[i].item);
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        must(again[i].sum == symbols[i].sum && again[i].check == symbols[i].check &&
             again[i].count == symbols[i].count);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct msy_sketch_symbol symbols[SYMBOLS_MAX];
    struct msy_sketch_symbol copy[SYMBOLS_MAX];
    struct msy_sketch_item items[SYMBOLS_MAX];
    uint32_t items_count = 0;
    uint32_t made = 0;
    if (size < 2) {
        return 0;
    }
    size_t at = 2;
    uint32_t wanted = data[0] % 2 == 1 ? data[1] % ITEMS_MAX : 0;
    uint32_t count = 1 + (uint32_t)((size - at) / MSY_SKETCH_SYMBOL_BYTES);
    count = count > SYMBOLS_MAX ? SYMBOLS_MAX : count;
    memset(symbols, 0, sizeof symbols);
    for (; made < wanted && at + ITEM_BYTES <= size; made++, at += ITEM_BYTES) {
        uint64_t item = msy_get_be64(data + at);
        if (item % 3 == 0) {
            msy_sketch_take(symbols, count, item);
        } else {
            msy_sketch_put(symbols, count, item);
        }
    }
    const meshsync_bytes rest = {data + at, size - at};
    for (uint32_t i = 0; i < count && (i + 1) * MSY_SKETCH_SYMBOL_BYTES <= rest.len; i++) {
        const struct msy_sketch_symbol more = msy_sketch_unpack(rest, i);
        symbols[i].sum ^= more.sum;
        symbols[i].check ^= more.check;
        symbols[i].count = (uint8_t)(symbols[i].count + more.count);
    }
    (void)msy_sketch_guess(symbols, count, (int64_t)data[1] - 128);
    memcpy(copy, symbols, sizeof copy);
    if (msy_sketch_open(copy, count, items, &items_count)) {
        must(items_count <= count);
        same(symbols, count, items, items_count);
    } else {
        must(items_count == 0);
    }
    return 0;
}
