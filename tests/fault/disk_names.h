/* SPDX-License-Identifier: Apache-2.0 */
/* What disk_rebuild.c looks up in a record besides its events. */
#ifndef TESTS_FAULT_DISK_NAMES_H
#define TESTS_FAULT_DISK_NAMES_H

#include "fault/disk.h"

int32_t disk_names_count(const struct disk *disk);
/* Relative to the root. */
const char *disk_name_at(const struct disk *disk, int32_t name);
bool disk_file_is_folder(const struct disk *disk, int32_t file);

#endif
