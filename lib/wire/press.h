/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages made smaller by zstd: one stream of each direction for one space of one session, so that
 * the sizes of a space's messages tell nothing of another space's content. A unit is one message:
 *
 *     0 u8, the message                                      plain, the stream does not see it
 *     1 u8, length of the message varint, zstd bytes         up to and with a flush of the stream
 *
 * The stream is one zstd frame that never ends. Each side is one block of memory of a size that is
 * known before it is allocated. No sockets, clocks or threads.
 */
#ifndef MSY_WIRE_PRESS_H
#define MSY_WIRE_PRESS_H

#include "base/buf.h"

enum {
    /* Levels that may be chosen; higher ones use matchers with a known fault in zstd 1.5.4. */
    MSY_PRESS_LEVEL_MIN = 1,
    MSY_PRESS_LEVEL_MAX = 3,
    /* How far back a stream looks: 2 to this many bytes. Also the most a peer may ask of us. */
    MSY_PRESS_WINDOW_LOG = 16,
    /* Smaller messages gain nothing, and larger ones would let few bytes ask for much memory. */
    MSY_PRESS_PLAIN_BYTES_MIN = 32,
    MSY_PRESS_PLAIN_BYTES_MAX = 1 << 20,
    /* After this many bytes it is judged whether they shrank by a sixteenth; when not, the
     * next so many go plain before it is tried again. */
    MSY_PRESS_TRIAL_BYTES = 64 << 10,
    MSY_PRESS_REST_BYTES = 1 << 20,
};

struct msy_press;   /* The sending side. */
struct msy_unpress; /* The receiving side. */

/* Memory of one side, as allocated by the functions below; 0 when the level is out of range. */
size_t msy_press_bytes(int level);
size_t msy_unpress_bytes(void);

/* *out is NULL on failure. E_INVALID: the level; E_NO_MEMORY. The allocator must outlive it. */
meshsync_status msy_press_new(struct msy_alloc *alloc, int level, struct msy_press **out);
void msy_press_free(struct msy_press *press);
/* Appends the unit of one message. E_NO_MEMORY and E_LIMIT of unit leave all as it was;
 * E_INTERNAL: the stream is broken and stays so, hang up. */
meshsync_status msy_press_put(struct msy_press *press, meshsync_bytes message,
                              struct msy_buf *unit);
/* Is a unit, by its first byte, packed? */
bool msy_press_is_packed(const uint8_t *unit);

meshsync_status msy_unpress_new(struct msy_alloc *alloc, struct msy_unpress **out);
void msy_unpress_free(struct msy_unpress *unpress);
/* Appends the message of one unit. Nothing is allocated for more than message's max or
 * MSY_PRESS_PLAIN_BYTES_MAX. E_NO_MEMORY and E_LIMIT leave all as it was; E_PROTOCOL: the peer
 * broke the format, the stream stays broken, message is as it was. */
meshsync_status msy_unpress_take(struct msy_unpress *unpress, meshsync_bytes unit,
                                 struct msy_buf *message);

#endif
