/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of state machines: which state may follow which. */
#ifndef MSY_BASE_SM_H
#define MSY_BASE_SM_H

#include <stdbool.h>
#include <stdint.h>

#define MSY_SM_BIT(state) (UINT32_C(1) << (unsigned)(state))

struct msy_sm_row {
    const char *name;
    uint32_t next; /* MSY_SM_BIT of each state that may follow. */
};

static inline bool msy_sm_allows(const struct msy_sm_row *rows, unsigned from, unsigned to)
{
    return (rows[from].next & MSY_SM_BIT(to)) != 0;
}

#endif
