/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The messages by which two vectors are compared through sketches (docs/protocol.md, section 6).
 * As in wire/message.h: decoders check all before they return, allocate nothing, and lend.
 */
#ifndef MSY_WIRE_MESSAGE_SKETCH_H
#define MSY_WIRE_MESSAGE_SKETCH_H

#include "clock/sketch.h"
#include "wire/message.h"

enum {
    MSY_SKETCH_SYMBOL_BYTES = 12, /* be64 sum, 24 bits of check, 8 of count. */
    MSY_SKETCH_SYMBOLS_MAX = 4096 /* Of one sketch in all. */
};

/* SKETCH: symbols from number first on, of a vector with so many tips. */
struct msy_sketch_part {
    uint64_t channel;
    uint64_t first;
    uint64_t tips;
    uint32_t count;
    meshsync_bytes symbols;
};

/* SWAP: what one side has and the other lacks, both ways. */
struct msy_swap {
    uint64_t channel;
    bool reply;
    const uint8_t *digest; /* MSY_CLOCK_BYTES */
    meshsync_bytes pairs;  /* Entries of actors that both know, by id; */
    meshsync_bytes asks;   /* ids of actors whose entries the sender lacks; */
    meshsync_bytes tips;   /* whole entries. */
    uint32_t pairs_count;
    uint32_t asks_count;
    uint32_t tips_count;
};

meshsync_status msy_sketch_pack(struct msy_buf *out, const struct msy_sketch_symbol *symbols,
                                uint32_t count);
/* Symbol index of packed ones. */
struct msy_sketch_symbol msy_sketch_unpack(meshsync_bytes packed, uint32_t index);

/* Each appends one whole message, or fails and leaves out as it was. */
meshsync_status msy_message_put_sketch(struct msy_buf *out, const struct msy_sketch_part *part);
meshsync_status msy_message_put_swap(struct msy_buf *out, const struct msy_swap *swap);
bool msy_message_get_sketch(meshsync_bytes content, struct msy_sketch_part *part);
bool msy_message_get_swap(meshsync_bytes content, struct msy_swap *swap);

/* The content of a SWAP: appended by who makes one. with_id: in what is no reply. */
meshsync_status msy_swap_put_pair(struct msy_buf *out, bool with_id, uint32_t id,
                                  const struct msy_tip *tip);
meshsync_status msy_swap_put_tip(struct msy_buf *out, const struct msy_tip *tip);
/* Reading on; false at the end. Of a pair only seq and prefix are set. */
bool msy_swap_pair(struct msy_cursor *at, bool with_id, uint32_t *id, struct msy_tip *tip);
bool msy_swap_ask(struct msy_cursor *at, uint32_t *id);
bool msy_swap_tip(struct msy_cursor *at, struct msy_tip *tip);

#endif
