/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths as ordered bytes. Each part is written with 0x00 as 0x00 0xFF, and ends with 0x00 0x01, so
 * that memcmp order of encoded paths is the order of part lists, and the encoded path of a map or
 * set is a prefix of exactly the paths below it.
 */
#ifndef MSY_BASE_PATH_H
#define MSY_BASE_PATH_H

#include <stdbool.h>

#include <meshsync/types.h>

/* Appends one part at out + *len. False when it would pass max; *len is then unchanged. */
bool msy_path_append(uint8_t *out, size_t *len, size_t max, meshsync_bytes part);
/* Well formed, 1 to MESHSYNC_PATH_PARTS_MAX parts, at most MESHSYNC_PATH_BYTES_MAX bytes. */
bool msy_path_valid(meshsync_bytes path);
size_t msy_path_parts_count(meshsync_bytes path);
/* Takes the first part off *path and decodes it into scratch (room for path->len); *part points
 * into scratch. False at the end or when malformed. */
bool msy_path_next(meshsync_bytes *path, uint8_t *scratch, meshsync_bytes *part);
/* Bytes of the encoded first part with its end mark, 0 when malformed. */
size_t msy_path_first_bytes(meshsync_bytes path);

#endif
