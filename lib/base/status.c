/* SPDX-License-Identifier: Apache-2.0 */
#include <meshsync/status.h>

#include <stddef.h>

struct status_row {
    meshsync_status status;
    const char *name;
    const char *words;
};

static const struct status_row status_rows[] = {
#define STATUS_ROW(name, number, words) {(number), #name, (words)},
    MESHSYNC_STATUS_MAP(STATUS_ROW)
#undef STATUS_ROW
};

static const struct status_row *status_find(meshsync_status status)
{
    for (size_t i = 0; i < sizeof status_rows / sizeof status_rows[0]; i++) {
        if (status_rows[i].status == status) {
            return &status_rows[i];
        }
    }
    return NULL;
}

const char *meshsync_strerror(meshsync_status status)
{
    const struct status_row *row = status_find(status);
    return row == NULL ? "unknown status" : row->words;
}

const char *meshsync_status_name(meshsync_status status)
{
    const struct status_row *row = status_find(status);
    return row == NULL ? "MESHSYNC_UNKNOWN" : row->name;
}
