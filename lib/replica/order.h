/* SPDX-License-Identifier: Apache-2.0 */
/* Orders that every replica computes alike: of siblings, and of values (docs/format.md, 6). */
#ifndef MSY_REPLICA_ORDER_H
#define MSY_REPLICA_ORDER_H

#include "clock/dot.h"

struct msy_sibling_order {
    uint64_t hlc;
    struct msy_actor actor;
    uint64_t seq;
    uint32_t index;
    uint32_t entry; /* Of the leaf. */
};

/* By (hlc, actor, seq, index): below 0 when a comes first. */
int msy_sibling_compare(const struct msy_sibling_order *a, const struct msy_sibling_order *b);
/* The order of the max and min views: a total order of values, without floating arithmetic. */
int msy_value_compare(const meshsync_value *a, const meshsync_value *b);

#endif
