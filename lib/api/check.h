/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of what the application gives, shared by the files of this folder. */
#ifndef MSY_API_CHECK_H
#define MSY_API_CHECK_H

#include "base/error.h"
#include "shell/node.h"

/* Copies a sized struct that the application filled over full, which holds the defaults and begins
 * with its size_t size. E_INVALID: no size; E_UNSUPPORTED: more is set than this version knows. */
meshsync_status msy_check_read_sized(const void *given, void *full, size_t full_size,
                                     const char *what, meshsync_error *error);
/* Copies full into a sized struct of the application's, as much as it has room for. E_INVALID. */
meshsync_status msy_check_write_sized(void *given, const void *full, size_t full_size,
                                      const char *what, meshsync_error *error);
/* E_INVALID with words, unless there is something. */
meshsync_status msy_check_given(const void *pointer, const char *what, meshsync_error *error);
/* A name of 1 to MESHSYNC_NAME_BYTES_MAX bytes of UTF-8. E_INVALID, E_LIMIT. */
meshsync_status msy_check_name(const char *name, const char *what, meshsync_error *error);
/* The node is given and this process's own. E_INVALID, E_FORKED. */
meshsync_status msy_check_node(const meshsync_node *node, meshsync_error *error);
/* And the space is still there. E_NOT_FOUND. */
meshsync_status msy_check_space(const meshsync_space *space, meshsync_error *error);
/* Encodes a path into encoded, which has MESHSYNC_PATH_BYTES_MAX bytes. E_INVALID, E_LIMIT. */
meshsync_status msy_check_path(const meshsync_path *path, uint8_t *encoded, meshsync_bytes *out,
                               meshsync_error *error);
/* Functions further down do not all find words for every failure. They are given *words, made by
 * this, and what comes of it goes to the application with words in any case. */
meshsync_error *msy_check_words(meshsync_error *words);
meshsync_status msy_check_said(meshsync_status status, const meshsync_error *words,
                               const char *what, meshsync_error *error);
/* Bytes with a length and no data. */
meshsync_status msy_check_bytes(meshsync_bytes bytes, const char *what, meshsync_error *error);

#endif
