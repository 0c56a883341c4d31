/* SPDX-License-Identifier: Apache-2.0 */
/* What fuzz targets share: bytes taken from an input, and a small real store to begin with. */
#ifndef TESTS_FUZZ_KIT_H
#define TESTS_FUZZ_KIT_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "replica/replica.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Ends the process, so that the fuzzer keeps the input. */
void kit_must(bool good);

/* An input that is used up; zeros when it is. */
struct kit_input {
    const uint8_t *at, *end;
};
uint8_t kit_u8(struct kit_input *input);
uint32_t kit_u16(struct kit_input *input);
/* Up to len bytes, lent. */
meshsync_bytes kit_take(struct kit_input *input, size_t len);

/* A node of a simulated mesh of two: spaces, all types, siblings, removals, a large value, some
 * changes of another device. Made once; the store is to be cloned. */
enum { KIT_SPACE = 1, KIT_NOW_MS = 0 };
struct kit_node {
    struct msy_alloc alloc;
    struct msy_store *store;
    struct msy_identity *identity;
    uint64_t now_ms;
};
struct kit_node *kit_node(void);
/* Opens a replica on store; the result of opening. */
meshsync_status kit_replica(struct kit_node *node, struct msy_store *store, struct msy_prng *prng,
                            struct msy_replica **replica);

/* All that reads show of the store's space, one line each: collection, key, value, siblings. False
 * when a read failed; what could be read is there. */
bool kit_read(struct kit_node *node, struct msy_store *store, struct msy_buf *out);

#endif
