/* SPDX-License-Identifier: Apache-2.0 */
/* What the two halves of the checker share: an ordered index of the history, and its rules. */
#ifndef TESTS_HISTORY_INSIDE_H
#define TESTS_HISTORY_INSIDE_H

#include "history/checker.h"

/* Something written to a key. Those of one key and session stand together, in order. */
struct item {
    uint32_t key, session, place, op, txn;
    uint32_t end;        /* Where its segment ends. */
    int32_t removal;     /* The last REMOVE of its segment up to here; HISTORY_NONE. */
    uint32_t kept;       /* ADDs of its segment up to here that nobody ever takes. */
    int64_t plus, minus; /* Sums of its segment up to here. */
};

/* What is known of a key as a whole. */
struct key_facts {
    uint32_t items, items_end;
    bool removed;        /* Somebody may have removed what was there. */
    bool ghost_removal;  /* And nobody knows when. */
    int64_t plus, minus; /* Of all additions that may count. */
    int32_t final_op;    /* The first FINAL read. */
};

struct checker {
    const struct history *history;
    struct verdict *verdict;
    uint32_t sessions;
    int32_t *writer; /* Number -> op that wrote it. */
    uint32_t *op_txn;
    bool *exists;      /* Of transactions: it certainly happened. */
    uint32_t *place;   /* From 1, in its session. */
    int32_t *before;   /* The one before, of its session. */
    uint32_t *vectors; /* txns x sessions. */
    uint32_t *base;    /* What all have when all is quiet. */
    uint32_t *past;    /* Of the read that is judged. */
    struct item *items;
    uint32_t items_count;
    struct key_facts *keys;
    int32_t *item_of;                /* Op -> item. */
    int32_t *take_first, *take_next; /* Number -> ops that take it. */
    uint32_t (*edges)[2];            /* Later, earlier: learnt from reads of one value. */
    uint32_t edges_count, edges_cap;
    uint32_t classified;
    uint8_t *bad_read; /* Per value read: it is named already. */
};

void checker_say(struct checker *checker, enum anomaly anomaly, uint32_t txn, uint32_t key,
                 const char *words);
const uint32_t *checker_vector(const struct checker *checker, uint32_t txn);
/* The transaction that wrote a number; HISTORY_NONE. */
int32_t checker_writer(const struct checker *checker, uint32_t number);
/* Has a transaction seen another, or is it the same? */
bool checker_saw(const struct checker *checker, uint32_t txn, uint32_t other);
/* One transaction must have come after another. */
void checker_learn(struct checker *checker, uint32_t later, uint32_t earlier);
/* Computes the vectors anew. */
void checker_order(struct checker *checker);
/* Judges all reads; infer: learns orders in place of that. True: something new. */
bool checker_reads(struct checker *checker, bool infer);
void checker_conditions(struct checker *checker);

#endif
