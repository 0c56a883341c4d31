/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of reading: shared by view.c, walk.c and overlay.c. */
#ifndef MSY_REPLICA_VIEW_H
#define MSY_REPLICA_VIEW_H

#include "replica/read.h"

/* Stored leaf at a state key, own writes first. E_NOT_FOUND. */
meshsync_status msy_view_value(struct msy_view *view, meshsync_bytes key, meshsync_bytes *value);
/* Makes view->schema that of a collection. */
meshsync_status msy_view_schema(struct msy_view *view, meshsync_bytes collection,
                                meshsync_error *error);
/* Fills entry from view->leaf as the collection's view shows it; E_NOT_FOUND when nothing of its
 * own lives at the path. The entry's key is the path in view->key. */
meshsync_status msy_view_show(struct msy_view *view, meshsync_entry *entry, meshsync_error *error);
/* Does anything live strictly below the path of key? */
meshsync_status msy_view_below(struct msy_view *view, meshsync_bytes key, bool *lives);
/* The smallest (or, descending, greatest) state key in [low, high), own writes first. E_END. */
struct msy_view_range {
    struct msy_store_iter *iter;
    struct msy_store_iter *over; /* Of the own writes; NULL: none. */
    meshsync_bytes low;
    meshsync_bytes high;
    bool descending;
};
meshsync_status msy_view_seek(const struct msy_view_range *range, meshsync_bytes *key,
                              meshsync_bytes *value);
/* The least key greater than all that begin with prefix; false when there is none. */
bool msy_key_after(uint8_t *key, size_t *len);

#endif
