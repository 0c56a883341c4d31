/* SPDX-License-Identifier: Apache-2.0 */
/* Values (docs/format.md, section 6) between their msgpack form and meshsync_value. */
#ifndef MSY_WIRE_VALUE_H
#define MSY_WIRE_VALUE_H

#include "wire/msgpack_check.h"

/* Appends the msgpack form. E_INVALID: bad type tag, STRING or JSON not UTF-8, MSGPACK not one
 * canonical value (JSON syntax is the caller's affair). E_LIMIT: over MESHSYNC_VALUE_BYTES_MAX. */
meshsync_status msy_value_encode(const meshsync_value *value, struct msy_buf *out,
                                 meshsync_error *error);
/* Never fails on canonical bytes; lends from payload. */
void msy_value_decode(meshsync_bytes payload, meshsync_value *value);

#endif
