/* SPDX-License-Identifier: Apache-2.0 */
/* Reading all that a store shows of a space, in the model's form, so that both can be compared. */
#ifndef TESTS_LAWS_SHOW_H
#define TESTS_LAWS_SHOW_H

#include "laws/model.h"
#include "replica/read.h"

enum { SHOW_SIBLINGS_MAX = 256, SHOW_PAYLOAD_BYTES_MAX = 1024, SHOW_WORDS = 256 };

/* An open view with the memory that siblings are copied to. */
struct show {
    struct msy_alloc *alloc;
    struct msy_store_txn *txn;
    struct msy_view view;
    const struct model_collection *table;
    uint32_t table_count;
    struct msy_buf value;
    enum model_detail detail; /* FULL unless changed. */
    uint64_t conflicts;       /* Entries with more than one sibling that were shown. */
    struct model_live siblings[SHOW_SIBLINGS_MAX];
    struct msy_actor actors[SHOW_SIBLINGS_MAX];
    uint8_t payloads[SHOW_SIBLINGS_MAX + 1][SHOW_PAYLOAD_BYTES_MAX];
    char words[SHOW_WORDS]; /* Why something could not be read. */
};

/* False with words when something is wrong, as with all below. */
bool show_open(struct show *show, struct msy_alloc *alloc, struct msy_store *store, uint32_t space,
               const struct model_collection *table, uint32_t table_count);
/* With the own writes in over on top, briefly. */
void show_over(struct show *show, struct msy_store_txn *over);
void show_close(struct show *show);
/* The line of the entry that the view gave last. */
bool show_line(struct show *show, uint32_t collection, const meshsync_entry *entry,
               struct msy_buf *out);
/* Every leaf of every collection of the table, by deep scans. */
bool show_all(struct show *show, struct msy_buf *out);

#endif
