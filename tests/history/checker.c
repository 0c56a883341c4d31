/* SPDX-License-Identifier: Apache-2.0 */
#include "history/checker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "history/inside.h"

enum { CHECKER_ROUNDS_MAX = 12 };

static const char *const anomaly_names[ANOMALY_COUNT] = {
    "malformed",        "thin-air-read",       "aborted-read",    "intermediate-read",
    "causal-cycle",     "read-your-writes",    "monotonic-reads", "fractured-read",
    "monotonic-writes", "writes-follow-reads", "causal-read",     "lost-update",
    "lost-write",       "counter-low",         "counter-high",    "diverged"};

const char *anomaly_name(enum anomaly anomaly)
{
    return anomaly_names[anomaly];
}

void checker_say(struct checker *checker, enum anomaly anomaly, uint32_t txn, uint32_t key,
                 const char *words)
{
    struct verdict *verdict = checker->verdict;
    if (verdict->count == 0) {
        const struct history_txn *at = &checker->history->txns[txn];
        (void)snprintf(verdict->words, sizeof verdict->words,
                       "%s: transaction %u of session %u at replica %u, key %u: %s",
                       anomaly_name(anomaly), txn, at->session, at->replica, key, words);
    }
    verdict->count += 1;
    verdict->counts[anomaly] += 1;
}

static void *checker_room(size_t count, size_t size)
{
    void *room = calloc(count + 1, size);
    assert_non_null(room);
    return room;
}

const uint32_t *checker_vector(const struct checker *checker, uint32_t txn)
{
    return checker->vectors + (size_t)txn * checker->sessions;
}

int32_t checker_writer(const struct checker *checker, uint32_t number)
{
    int32_t op = checker->writer[number];
    return op == HISTORY_NONE ? HISTORY_NONE : (int32_t)checker->op_txn[op];
}

bool checker_saw(const struct checker *checker, uint32_t txn, uint32_t other)
{
    uint32_t session = checker->history->txns[other].session;
    return checker_vector(checker, txn)[session] >= checker->place[other];
}

/* --- the index */

static void index_ops(struct checker *checker)
{
    const struct history *history = checker->history;
    int32_t *last = checker_room(checker->sessions, sizeof *last);
    for (uint32_t i = 0; i < history->numbers; i++) {
        checker->writer[i] = checker->take_first[i] = HISTORY_NONE;
    }
    memset(last, 0xFF, checker->sessions * sizeof *last);
    for (uint32_t i = 0; i < history->txns_count; i++) {
        const struct history_txn *txn = &history->txns[i];
        checker->before[i] = last[txn->session];
        checker->place[i] = 1 + (last[txn->session] < 0 ? 0 : checker->place[last[txn->session]]);
        last[txn->session] = (int32_t)i;
        checker->exists[i] = txn->outcome != HISTORY_FAIL && txn->outcome != HISTORY_UNKNOWN;
        for (uint32_t k = txn->ops; k < txn->ops + txn->ops_count; k++) {
            const struct history_op *op = &history->ops[k];
            checker->op_txn[k] = i;
            if (op->kind == HISTORY_TAKE && txn->outcome != HISTORY_FAIL) {
                checker->take_next[k] = checker->take_first[op->value];
                checker->take_first[op->value] = (int32_t)k;
            }
            if (op->kind == HISTORY_WRITE || op->kind == HISTORY_REMOVE ||
                op->kind == HISTORY_ADD) {
                if (checker->writer[op->value] != HISTORY_NONE) {
                    checker_say(checker, ANOMALY_MALFORMED, i, op->key, "a number written twice");
                }
                checker->writer[op->value] = (int32_t)k;
            }
        }
    }
    free(last);
}

/* Did its own transaction write over it? */
static bool index_overwritten(const struct checker *checker, uint32_t op)
{
    const struct history *history = checker->history;
    const struct history_txn *txn = &history->txns[checker->op_txn[op]];
    for (uint32_t k = op + 1; k < txn->ops + txn->ops_count; k++) {
        const struct history_op *later = &history->ops[k];
        if (later->key == history->ops[op].key &&
            (later->kind == HISTORY_WRITE || later->kind == HISTORY_REMOVE)) {
            return true;
        }
    }
    return false;
}

static void index_read(struct checker *checker, uint32_t op, uint32_t at)
{
    const struct history *history = checker->history;
    uint32_t txn = checker->op_txn[op];
    uint32_t key = history->ops[op].key;
    int32_t written = checker->writer[history->values[at]];
    checker->bad_read[at] = 1;
    if (written == HISTORY_NONE || history->ops[written].key != key ||
        history->ops[written].kind == HISTORY_REMOVE) {
        checker_say(checker, ANOMALY_THIN_AIR, txn, key, "a value that nobody wrote there");
    } else if (history->txns[checker->op_txn[written]].outcome == HISTORY_FAIL) {
        checker_say(checker, ANOMALY_ABORTED, txn, key, "a value whose writing was refused");
    } else if (index_overwritten(checker, (uint32_t)written)) {
        checker_say(checker, ANOMALY_INTERMEDIATE, txn, key,
                    "a value that its own transaction wrote over");
    } else {
        checker->exists[checker->op_txn[written]] = true;
        checker->bad_read[at] = 0;
    }
}

static void index_reads(struct checker *checker)
{
    const struct history *history = checker->history;
    for (uint32_t i = 0; i < history->ops_count; i++) {
        const struct history_op *op = &history->ops[i];
        bool reads = op->kind == HISTORY_READ || op->kind == HISTORY_ELEMENTS;
        checker->verdict->reads += reads || op->kind == HISTORY_SUM ? 1 : 0;
        for (uint32_t k = 0; reads && k < op->count; k++) {
            index_read(checker, i, op->values + k);
        }
    }
}

static bool index_is_item(const struct history_op *op)
{
    return op->kind == HISTORY_WRITE || op->kind == HISTORY_REMOVE || op->kind == HISTORY_ADD ||
           op->kind == HISTORY_DELTA;
}

static int item_compare(const void *left, const void *right)
{
    const struct item *a = left;
    const struct item *b = right;
    if (a->key != b->key) {
        return a->key < b->key ? -1 : 1;
    }
    if (a->session != b->session) {
        return a->session < b->session ? -1 : 1;
    }
    return a->op < b->op ? -1 : a->op > b->op;
}

/* What is true of a key whatever is known of the order. */
static void index_facts(struct checker *checker)
{
    const struct history *history = checker->history;
    for (uint32_t i = 0; i < history->keys; i++) {
        checker->keys[i].final_op = HISTORY_NONE;
    }
    for (uint32_t i = 0; i < history->ops_count; i++) {
        const struct history_op *op = &history->ops[i];
        uint32_t txn = checker->op_txn[i];
        struct key_facts *facts = &checker->keys[op->key];
        checker->item_of[i] = HISTORY_NONE;
        if (history->txns[txn].outcome == HISTORY_FAIL) {
            continue;
        }
        facts->removed = facts->removed || op->kind == HISTORY_REMOVE;
        facts->ghost_removal =
            facts->ghost_removal || (op->kind == HISTORY_REMOVE && !checker->exists[txn]);
        if (op->kind == HISTORY_DELTA) {
            facts->plus += op->value > 0 ? op->value : 0;
            facts->minus += op->value < 0 ? op->value : 0;
        }
        if (index_is_item(op) && checker->exists[txn]) {
            struct item *item = &checker->items[checker->items_count++];
            memset(item, 0, sizeof *item);
            item->key = op->key;
            item->session = history->txns[txn].session;
            item->place = checker->place[txn];
            item->op = i;
            item->txn = txn;
        }
    }
    qsort(checker->items, checker->items_count, sizeof *checker->items, item_compare);
}

static void index_items(struct checker *checker)
{
    const struct history *history = checker->history;
    for (uint32_t i = 0; i < checker->items_count; i++) {
        struct item *item = &checker->items[i];
        const struct history_op *op = &history->ops[item->op];
        const struct item *last = i > 0 ? item - 1 : NULL;
        bool same_key = last != NULL && last->key == item->key;
        bool same = same_key && last->session == item->session;
        if (!same_key) {
            checker->keys[item->key].items = i;
        }
        checker->keys[item->key].items_end = i + 1;
        checker->item_of[item->op] = (int32_t)i;
        item->removal = op->kind == HISTORY_REMOVE ? (int32_t)i
                        : same                     ? last->removal
                                                   : HISTORY_NONE;
        item->kept = same ? last->kept : 0;
        item->plus = same ? last->plus : 0;
        item->minus = same ? last->minus : 0;
        if (op->kind == HISTORY_ADD && checker->take_first[op->value] == HISTORY_NONE) {
            item->kept += 1;
        }
        if (op->kind == HISTORY_DELTA) {
            item->plus += op->value > 0 ? op->value : 0;
            item->minus += op->value < 0 ? op->value : 0;
        }
    }
    for (uint32_t i = checker->items_count; i-- > 0;) {
        struct item *item = &checker->items[i];
        bool same = i + 1 < checker->items_count && item[1].key == item->key &&
                    item[1].session == item->session;
        item->end = same ? item[1].end : i + 1;
    }
}

/* --- the order */

static void edge_add(struct checker *checker, uint32_t later, uint32_t earlier)
{
    if (checker->edges_count == checker->edges_cap) {
        checker->edges_cap = checker->edges_cap == 0 ? 1024 : 2 * checker->edges_cap;
        checker->edges = realloc(checker->edges, checker->edges_cap * sizeof *checker->edges);
        assert_non_null(checker->edges);
    }
    checker->edges[checker->edges_count][0] = later;
    checker->edges[checker->edges_count][1] = earlier;
    checker->edges_count += 1;
}

void checker_learn(struct checker *checker, uint32_t later, uint32_t earlier)
{
    edge_add(checker, later, earlier);
    checker->verdict->inferred += 1;
}

/* Each transaction comes after the one before it in its session, and after what it read. */
static void order_known(struct checker *checker)
{
    const struct history *history = checker->history;
    for (uint32_t i = 0; i < history->txns_count; i++) {
        if (checker->before[i] >= 0) {
            edge_add(checker, i, (uint32_t)checker->before[i]);
        }
    }
    for (uint32_t i = 0; i < history->ops_count; i++) {
        const struct history_op *op = &history->ops[i];
        bool reads = op->kind == HISTORY_READ || op->kind == HISTORY_ELEMENTS;
        for (uint32_t n = op->values; reads && n < op->values + op->count; n++) {
            if (checker->bad_read[n] == 0) {
                int32_t writer = checker_writer(checker, history->values[n]);
                edge_add(checker, checker->op_txn[i], (uint32_t)writer);
            }
        }
    }
}

/* The walk over what comes before what: a stack in place of recursion. */
struct walk {
    uint32_t *first, *list; /* Earlier ones of each, in one array. */
    uint32_t *next;         /* Of each: how far its list is done. */
    uint8_t *seen;          /* 1: on the stack, 2: done. */
    uint32_t *stack;
    uint32_t depth;
};

static void walk_lists(const struct checker *checker, struct walk *walk)
{
    uint32_t count = checker->history->txns_count;
    walk->first = checker_room(count + 1, sizeof *walk->first);
    walk->next = checker_room(count + 1, sizeof *walk->next);
    walk->list = checker_room(checker->edges_count, sizeof *walk->list);
    walk->seen = checker_room(count, sizeof *walk->seen);
    walk->stack = checker_room(count, sizeof *walk->stack);
    for (uint32_t i = 0; i < checker->edges_count; i++) {
        walk->first[checker->edges[i][0] + 1] += 1;
    }
    for (uint32_t i = 0; i < count; i++) {
        walk->first[i + 1] += walk->first[i];
        walk->next[i + 1] = walk->first[i + 1];
    }
    for (uint32_t i = 0; i < checker->edges_count; i++) {
        walk->list[walk->next[checker->edges[i][0]]++] = checker->edges[i][1];
    }
    memcpy(walk->next, walk->first, (count + 1) * sizeof *walk->next);
}

static void walk_finish(struct checker *checker, struct walk *walk, uint32_t txn)
{
    uint32_t *vector = checker->vectors + (size_t)txn * checker->sessions;
    memset(vector, 0, checker->sessions * sizeof *vector);
    for (uint32_t i = walk->first[txn]; i < walk->first[txn + 1]; i++) {
        const uint32_t *earlier = checker_vector(checker, walk->list[i]);
        for (uint32_t s = 0; walk->seen[walk->list[i]] == 2 && s < checker->sessions; s++) {
            vector[s] = earlier[s] > vector[s] ? earlier[s] : vector[s];
        }
    }
    vector[checker->history->txns[txn].session] = checker->place[txn];
    walk->seen[txn] = 2;
}

static void walk_from(struct checker *checker, struct walk *walk, uint32_t begin)
{
    walk->stack[walk->depth++] = begin;
    walk->seen[begin] = 1;
    while (walk->depth > 0) {
        uint32_t txn = walk->stack[walk->depth - 1];
        if (walk->next[txn] == walk->first[txn + 1]) {
            walk_finish(checker, walk, txn);
            walk->depth -= 1;
            continue;
        }
        uint32_t earlier = walk->list[walk->next[txn]++];
        if (walk->seen[earlier] == 0) {
            walk->seen[earlier] = 1;
            walk->stack[walk->depth++] = earlier;
        } else if (walk->seen[earlier] == 1 && checker->verdict->counts[ANOMALY_CYCLE] == 0) {
            checker_say(checker, ANOMALY_CYCLE, txn, 0, "it happened before what it came after");
        }
    }
}

/* When all is quiet everybody has what was acknowledged. */
static void order_base(struct checker *checker)
{
    const struct history *history = checker->history;
    memset(checker->base, 0, checker->sessions * sizeof *checker->base);
    for (uint32_t i = 0; i < checker->items_count; i++) {
        uint32_t txn = checker->items[i].txn;
        const uint32_t *vector = checker_vector(checker, txn);
        if (history->txns[txn].outcome != HISTORY_OK ||
            checker->base[history->txns[txn].session] >= checker->place[txn]) {
            continue;
        }
        for (uint32_t s = 0; s < checker->sessions; s++) {
            checker->base[s] = vector[s] > checker->base[s] ? vector[s] : checker->base[s];
        }
    }
}

void checker_order(struct checker *checker)
{
    struct walk walk = {0};
    walk_lists(checker, &walk);
    for (uint32_t i = 0; i < checker->history->txns_count; i++) {
        if (walk.seen[i] == 0) {
            walk_from(checker, &walk, i);
        }
    }
    free(walk.first);
    free(walk.next);
    free(walk.list);
    free(walk.seen);
    free(walk.stack);
    order_base(checker);
}

/* --- all of it */

static void checker_make(struct checker *checker)
{
    const struct history *history = checker->history;
    checker->writer = checker_room(history->numbers, sizeof *checker->writer);
    checker->op_txn = checker_room(history->ops_count, sizeof *checker->op_txn);
    checker->exists = checker_room(history->txns_count, sizeof *checker->exists);
    checker->place = checker_room(history->txns_count, sizeof *checker->place);
    checker->before = checker_room(history->txns_count, sizeof *checker->before);
    checker->vectors =
        checker_room((size_t)history->txns_count * checker->sessions, sizeof *checker->vectors);
    checker->base = checker_room(checker->sessions, sizeof *checker->base);
    checker->past = checker_room(checker->sessions, sizeof *checker->past);
    checker->items = checker_room(history->ops_count, sizeof *checker->items);
    checker->keys = checker_room(history->keys, sizeof *checker->keys);
    checker->item_of = checker_room(history->ops_count, sizeof *checker->item_of);
    checker->take_first = checker_room(history->numbers, sizeof *checker->take_first);
    checker->take_next = checker_room(history->ops_count, sizeof *checker->take_next);
    checker->bad_read = checker_room(history->values_count, sizeof *checker->bad_read);
}

static void checker_free(struct checker *checker)
{
    free(checker->writer);
    free(checker->op_txn);
    free(checker->exists);
    free(checker->place);
    free(checker->before);
    free(checker->vectors);
    free(checker->base);
    free(checker->past);
    free(checker->items);
    free(checker->keys);
    free(checker->item_of);
    free(checker->take_first);
    free(checker->take_next);
    free(checker->bad_read);
    free(checker->edges);
}

void history_check(const struct history *history, struct verdict *verdict)
{
    struct checker checker = {
        .history = history, .verdict = verdict, .sessions = history->sessions};
    memset(verdict, 0, sizeof *verdict);
    verdict->txns = history->txns_count;
    checker_make(&checker);
    index_ops(&checker);
    index_reads(&checker);
    index_facts(&checker);
    index_items(&checker);
    order_known(&checker);
    checker_order(&checker);
    for (uint32_t i = 0; i < CHECKER_ROUNDS_MAX && verdict->count == 0; i++) {
        if (!checker_reads(&checker, true)) {
            break;
        }
        checker_order(&checker);
    }
    (void)checker_reads(&checker, false);
    checker_conditions(&checker);
    checker_free(&checker);
}
