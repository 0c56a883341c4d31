/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the ABI share: folders that go away, nodes that open, short ways to write. */
#ifndef API_KIT_H
#define API_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <meshsync/loop.h>
#include <meshsync/meshsync.h>

enum { API_PATH_BYTES_MAX = 512, API_WAIT_MS = 20000 };

/* OK, or the test fails with the words of the error. */
#define API_OK(call) api_check_ok((call), &error, #call, __FILE__, __LINE__)
/* This status, with words in error. */
#define API_FAILS(expected, call)                                                                  \
    api_check_fails((expected), (call), &error, #call, __FILE__, __LINE__)

void api_check_ok(meshsync_status status, const meshsync_error *error, const char *call,
                  const char *file, int line);
void api_check_fails(meshsync_status expected, meshsync_status status, meshsync_error *error,
                     const char *call, const char *file, int line);

/* A new folder under $TMPDIR; path has API_PATH_BYTES_MAX bytes. */
void api_folder(char *path);
/* Removes it with the files in it and in folders directly in it. */
void api_remove(const char *path);
/* A path in the folder. */
void api_join(char *path, const char *folder, const char *name);

/* Opens with defaults that suit tests: a small map. */
meshsync_node *api_open(const char *path);
meshsync_options api_options(const char *path);
/* A space "s" with a register "r", a counter "c", a set "t" and a map "m". */
meshsync_space *api_space(meshsync_node *node);
void api_collections(meshsync_space *space);
void api_put(meshsync_space *space, const char *key, const char *value);
/* What "r" has at key, into text of 64 bytes; "" when there is nothing. */
void api_get(meshsync_space *space, const char *key, char *text);
/* Paths of one and two parts, lent from static memory of the caller's. */
meshsync_path api_path(meshsync_bytes *parts, const char *key, const char *field);
void api_put_in(meshsync_txn *txn, const char *key, const char *value);

#endif
