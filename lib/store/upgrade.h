/* SPDX-License-Identifier: Apache-2.0 */
/* Stores of earlier formats (docs/storage.md): recognised when opened, and brought up to date. */
#ifndef MSY_STORE_UPGRADE_H
#define MSY_STORE_UPGRADE_H

#include "store/store.h"

/* Finds out whether the values of the small tables have their checksums, which came with format 2;
 * a store without any record gets them. One that does not is brought up to date unless it was
 * opened for reading; it is read as it is then. All in one transaction: it happens or it does not.
 * To be called once, before anything else. */
meshsync_status msy_store_upgrade(struct msy_store *store, struct msy_alloc *alloc);

#endif
