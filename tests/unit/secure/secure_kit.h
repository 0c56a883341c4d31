/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of lib/secure share: bytes from hex, a temporary folder, valgrind's eye. */
#ifndef MSY_TESTS_SECURE_KIT_H
#define MSY_TESTS_SECURE_KIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of a hex text that is known to be good; returns how many. out has room for max. */
size_t kit_hex(const char *text, uint8_t *out, size_t max);

/* A new folder below $TMPDIR, or /tmp, in path (room for max); false when there is none. */
bool kit_folder_make(char *path, size_t max);
/* Removes the folder with the files in it. */
void kit_folder_remove(const char *path);
/* How many files are in it. */
int kit_folder_count(const char *path);

/* Under valgrind, branches and addresses that depend on marked bytes are errors, which it counts.
 * Elsewhere nothing is marked and the count is 0. */
bool kit_watched(void);
void kit_mark_secret(void *secret, size_t n);
void kit_mark_public(void *bytes, size_t n);
unsigned kit_errors_count(void);

#endif
