/* SPDX-License-Identifier: Apache-2.0 */
/* What work.c writes and work_check.c expects. */
#ifndef TESTS_FAULT_WORK_KEYS_H
#define TESTS_FAULT_WORK_KEYS_H

#include "fault/work.h"

enum { WORK_KEY_BYTES = 12, WORK_VALUE_BYTES_MAX = 30000 };

meshsync_status work_open(const char *folder, meshsync_node **node, meshsync_error *error);
void work_key(char key[WORK_KEY_BYTES], uint32_t id);
size_t work_value(uint8_t value[WORK_VALUE_BYTES_MAX], uint32_t id);
/* One transaction that writes at five places. */
meshsync_status work_txn(meshsync_space *space, uint32_t id, struct work_notes notes,
                         meshsync_error *error);
meshsync_status work_collections(meshsync_space *space, meshsync_error *error);

#endif
