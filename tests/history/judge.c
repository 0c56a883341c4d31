/* SPDX-License-Identifier: Apache-2.0 */
/* The rules: each read against what is in its past. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "history/inside.h"

enum { JUDGE_CLASSIFIED_MAX = 200 };

/* One read op of a transaction. */
struct reading {
    struct checker *checker;
    const struct history_op *op;
    uint32_t txn;
    enum anomaly worst; /* The best name for what is wrong; ANOMALY_COUNT: nothing. */
    const char *words;
    bool learnt;
};

/* --- names */

/* Does a transaction read something that another wrote? */
static bool txn_reads(const struct checker *checker, uint32_t txn, uint32_t other)
{
    const struct history *history = checker->history;
    const struct history_txn *at = &history->txns[txn];
    for (uint32_t i = at->ops; i < at->ops + at->ops_count; i++) {
        const struct history_op *op = &history->ops[i];
        bool reads = op->kind == HISTORY_READ || op->kind == HISTORY_ELEMENTS;
        for (uint32_t k = op->values; reads && k < op->values + op->count; k++) {
            if (checker->bad_read[k] == 0 &&
                checker_writer(checker, history->values[k]) == (int32_t)other) {
                return true;
            }
        }
    }
    return false;
}

/* By which rule has a reader, through what one transaction of its session read, to know witness? */
static enum anomaly name_through(const struct checker *checker, uint32_t reader, uint32_t witness)
{
    const struct history *history = checker->history;
    const struct history_txn *at = &history->txns[reader];
    enum anomaly name = ANOMALY_CAUSAL;
    for (uint32_t i = at->ops; i < at->ops + at->ops_count; i++) {
        const struct history_op *op = &history->ops[i];
        bool reads = op->kind == HISTORY_READ || op->kind == HISTORY_ELEMENTS;
        for (uint32_t k = op->values; reads && k < op->values + op->count; k++) {
            if (checker->bad_read[k] != 0) {
                continue;
            }
            int32_t writer = checker_writer(checker, history->values[k]);
            if (history->txns[writer].session == history->txns[witness].session &&
                checker->place[writer] > checker->place[witness]) {
                return ANOMALY_MONOTONIC_WRITES;
            }
            for (int32_t t = writer; t >= 0 && name == ANOMALY_CAUSAL; t = checker->before[t]) {
                name = txn_reads(checker, (uint32_t)t, witness) ? ANOMALY_WRITES_FOLLOW_READS
                                                                : ANOMALY_CAUSAL;
            }
        }
    }
    return name;
}

static enum anomaly name_of(struct checker *checker, uint32_t txn, uint32_t witness)
{
    const struct history_txn *txns = checker->history->txns;
    int32_t before = checker->before[txn];
    enum anomaly name = ANOMALY_CAUSAL;
    if (!checker_saw(checker, txn, witness)) {
        return ANOMALY_LOST_WRITE; /* It has to be there only because all is quiet. */
    }
    if (txns[txn].session == txns[witness].session) {
        return ANOMALY_READ_YOUR_WRITES;
    }
    if (checker->classified++ > JUDGE_CLASSIFIED_MAX) {
        return ANOMALY_CAUSAL;
    }
    if (before < 0 || !checker_saw(checker, (uint32_t)before, witness)) {
        return txn_reads(checker, txn, witness) ? ANOMALY_FRACTURED
                                                : name_through(checker, txn, witness);
    }
    for (int32_t t = before; t >= 0; t = checker->before[t]) {
        if (txn_reads(checker, (uint32_t)t, witness)) {
            return ANOMALY_MONOTONIC_READS;
        }
        enum anomaly through = name_through(checker, (uint32_t)t, witness);
        name = through < name ? through : name;
    }
    return name;
}

static void reading_wrong(struct reading *reading, uint32_t witness, const char *words)
{
    enum anomaly name = name_of(reading->checker, reading->txn, witness);
    if (name == ANOMALY_LOST_WRITE ? reading->worst == ANOMALY_COUNT : name < reading->worst) {
        reading->worst = name;
        reading->words = words;
    }
}

/* --- registers */

/* The last item of a segment that is in the past of the read; NULL: none. */
static const struct item *segment_last(const struct checker *checker, uint32_t first)
{
    const struct item *items = checker->items;
    uint32_t low = first;
    uint32_t high = items[first].end;
    uint32_t most = checker->past[items[first].session];
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (items[middle].place <= most) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low > first ? &items[low - 1] : NULL;
}

/* Could a removal that is not before the write have taken it away? */
static bool removal_explains(const struct reading *reading, uint32_t witness)
{
    const struct checker *checker = reading->checker;
    const struct key_facts *facts = &checker->keys[reading->op->key];
    if (facts->ghost_removal) {
        return true;
    }
    uint32_t own = checker->history->txns[reading->txn].session;
    for (uint32_t i = facts->items; facts->removed && i < facts->items_end;
         i = checker->items[i].end) {
        const struct item *last = &checker->items[checker->items[i].end - 1];
        if (last->session == own) {
            last = segment_last(checker, i);
        }
        if (last != NULL && last->removal != HISTORY_NONE &&
            !checker_saw(checker, witness, checker->items[last->removal].txn)) {
            return true;
        }
    }
    return false;
}

static void read_stale(struct reading *reading, uint32_t shown)
{
    struct checker *checker = reading->checker;
    const struct key_facts *facts = &checker->keys[reading->op->key];
    for (uint32_t i = facts->items; i < facts->items_end; i = checker->items[i].end) {
        const struct item *last = segment_last(checker, i);
        if (last != NULL && last->txn != shown && checker_saw(checker, last->txn, shown)) {
            reading_wrong(reading, last->txn, "a value that was overwritten");
        }
    }
}

static void read_vanished(struct reading *reading)
{
    struct checker *checker = reading->checker;
    const struct key_facts *facts = &checker->keys[reading->op->key];
    for (uint32_t i = facts->items; i < facts->items_end; i = checker->items[i].end) {
        const struct item *last = segment_last(checker, i);
        if (last != NULL && checker->history->ops[last->op].kind == HISTORY_WRITE &&
            !removal_explains(reading, last->txn)) {
            reading_wrong(reading, last->txn, "nothing, though nobody removed it");
        }
    }
}

/* One value alone is shown: whatever else was in the past came before it. */
static void read_infer(struct reading *reading, uint32_t shown)
{
    struct checker *checker = reading->checker;
    const struct key_facts *facts = &checker->keys[reading->op->key];
    for (uint32_t i = facts->items; i < facts->items_end; i = checker->items[i].end) {
        const struct item *last = segment_last(checker, i);
        if (last != NULL && last->txn != shown && !checker_saw(checker, shown, last->txn) &&
            !checker_saw(checker, last->txn, shown)) { /* That would be stale, and named so. */
            checker_learn(checker, shown, last->txn);
            reading->learnt = true;
        }
    }
}

static void read_register(struct reading *reading, bool infer)
{
    struct checker *checker = reading->checker;
    const struct history_op *op = reading->op;
    const uint32_t *values = checker->history->values + op->values;
    uint32_t good = 0;
    for (uint32_t i = 0; i < op->count; i++) {
        if (checker->bad_read[op->values + i] != 0) {
            continue;
        }
        good += 1;
        if (!infer) {
            read_stale(reading, (uint32_t)checker_writer(checker, values[i]));
        } else if (op->count == 1 && !checker->keys[op->key].removed) {
            read_infer(reading, (uint32_t)checker_writer(checker, values[i]));
        }
    }
    if (!infer && good == 0 && op->count == 0) {
        read_vanished(reading);
    }
}

/* --- sets */

static void read_taken(struct reading *reading, uint32_t number)
{
    struct checker *checker = reading->checker;
    const struct history_txn *txns = checker->history->txns;
    uint32_t added = (uint32_t)checker_writer(checker, number);
    for (int32_t k = checker->take_first[number]; k >= 0; k = checker->take_next[k]) {
        uint32_t taker = checker->op_txn[k];
        if (checker->exists[taker] && taker != added && taker != reading->txn &&
            checker_saw(checker, taker, added) &&
            checker->past[txns[taker].session] >= checker->place[taker]) {
            reading_wrong(reading, taker, "an element that was removed");
        }
    }
}

static bool read_shows(const struct reading *reading, int64_t number)
{
    const uint32_t *values = reading->checker->history->values + reading->op->values;
    for (uint32_t i = 0; i < reading->op->count; i++) {
        if (values[i] == (uint64_t)number) {
            return true;
        }
    }
    return false;
}

static void read_set(struct reading *reading)
{
    struct checker *checker = reading->checker;
    const struct history *history = checker->history;
    const struct key_facts *facts = &checker->keys[reading->op->key];
    uint32_t expected = 0;
    uint32_t shown = 0;
    for (uint32_t k = reading->op->values; k < reading->op->values + reading->op->count; k++) {
        uint32_t number = history->values[k];
        if (checker->bad_read[k] == 0) {
            uint32_t added = (uint32_t)checker_writer(checker, number);
            shown += checker->take_first[number] == HISTORY_NONE &&
                             checker->past[history->txns[added].session] >= checker->place[added]
                         ? 1
                         : 0;
            read_taken(reading, number);
        }
    }
    for (uint32_t i = facts->items; i < facts->items_end; i = checker->items[i].end) {
        const struct item *last = segment_last(checker, i);
        expected += last != NULL ? last->kept : 0;
    }
    for (uint32_t i = facts->items; shown < expected && i < facts->items_end; i++) {
        const struct item *item = &checker->items[i];
        int64_t number = history->ops[item->op].value;
        if (item->place <= checker->past[item->session] &&
            checker->take_first[number] == HISTORY_NONE && !read_shows(reading, number)) {
            reading_wrong(reading, item->txn, "a set without an element that nobody removed");
            break;
        }
    }
}

/* --- counters */

static void read_sum(struct reading *reading)
{
    struct checker *checker = reading->checker;
    const struct key_facts *facts = &checker->keys[reading->op->key];
    int64_t plus = 0;
    int64_t minus = 0;
    for (uint32_t i = facts->items; i < facts->items_end; i = checker->items[i].end) {
        const struct item *last = segment_last(checker, i);
        plus += last != NULL ? last->plus : 0;
        minus += last != NULL ? last->minus : 0;
    }
    if (reading->op->value < plus + facts->minus) {
        checker_say(checker, ANOMALY_COUNTER_LOW, reading->txn, reading->op->key,
                    "less than what was added before");
    } else if (reading->op->value > facts->plus + minus) {
        checker_say(checker, ANOMALY_COUNTER_HIGH, reading->txn, reading->op->key,
                    "more than was ever added");
    }
}

/* --- all reads */

static int number_compare(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left;
    uint32_t b = *(const uint32_t *)right;
    return a < b ? -1 : a > b;
}

static bool same_values(const struct history *history, const struct history_op *a,
                        const struct history_op *b)
{
    uint32_t *sorted = NULL;
    bool same = a->count == b->count && a->value == b->value;
    if (!same || a->count == 0) {
        return same;
    }
    sorted = calloc(2 * (size_t)a->count, sizeof *sorted);
    assert_non_null(sorted);
    memcpy(sorted, history->values + a->values, a->count * sizeof *sorted);
    memcpy(sorted + a->count, history->values + b->values, a->count * sizeof *sorted);
    qsort(sorted, a->count, sizeof *sorted, number_compare);
    qsort(sorted + a->count, a->count, sizeof *sorted, number_compare);
    same = memcmp(sorted, sorted + a->count, a->count * sizeof *sorted) == 0;
    free(sorted);
    return same;
}

static void read_final(struct checker *checker, uint32_t txn, uint32_t op)
{
    const struct history *history = checker->history;
    struct key_facts *facts = &checker->keys[history->ops[op].key];
    if (facts->final_op == HISTORY_NONE) {
        facts->final_op = (int32_t)op;
    } else if (!same_values(history, &history->ops[facts->final_op], &history->ops[op])) {
        checker_say(checker, ANOMALY_DIVERGED, txn, history->ops[op].key,
                    "not what another shows at the end");
    }
}

/* What a transaction must have seen when it reads. */
static void reads_past(struct checker *checker, uint32_t txn)
{
    const struct history_txn *at = &checker->history->txns[txn];
    const uint32_t *vector = checker_vector(checker, txn);
    memcpy(checker->past, vector, checker->sessions * sizeof *vector);
    checker->past[at->session] = checker->place[txn] - 1;
    for (uint32_t s = 0; at->outcome == HISTORY_FINAL && s < checker->sessions; s++) {
        checker->past[s] =
            checker->base[s] > checker->past[s] ? checker->base[s] : checker->past[s];
    }
}

static bool reads_one(struct checker *checker, uint32_t txn, uint32_t at, bool infer)
{
    const struct history_op *op = &checker->history->ops[at];
    struct reading reading = {.checker = checker, .op = op, .txn = txn, .worst = ANOMALY_COUNT};
    if (op->kind == HISTORY_READ) {
        read_register(&reading, infer);
    } else if (op->kind == HISTORY_ELEMENTS && !infer) {
        read_set(&reading);
    } else if (op->kind == HISTORY_SUM && !infer) {
        read_sum(&reading);
    } else {
        return false;
    }
    if (reading.worst != ANOMALY_COUNT) {
        checker_say(checker, reading.worst, txn, op->key, reading.words);
    }
    if (!infer && checker->history->txns[txn].outcome == HISTORY_FINAL) {
        read_final(checker, txn, at);
    }
    return reading.learnt;
}

bool checker_reads(struct checker *checker, bool infer)
{
    const struct history *history = checker->history;
    bool learnt = false;
    for (uint32_t i = 0; i < history->txns_count; i++) {
        const struct history_txn *txn = &history->txns[i];
        reads_past(checker, i);
        for (uint32_t k = txn->ops; k < txn->ops + txn->ops_count; k++) {
            learnt = reads_one(checker, i, k, infer) || learnt;
        }
    }
    return learnt;
}

/* --- conditions */

struct conditional {
    const struct checker *checker;
    uint32_t op;
};

static int conditional_compare(const void *left, const void *right)
{
    const struct conditional *a = left;
    const struct conditional *b = right;
    const struct history *history = a->checker->history;
    const struct history_op *x = &history->ops[a->op];
    const struct history_op *y = &history->ops[b->op];
    uint32_t x_replica = history->txns[a->checker->op_txn[a->op]].replica;
    uint32_t y_replica = history->txns[a->checker->op_txn[b->op]].replica;
    if (x->key != y->key) {
        return x->key < y->key ? -1 : 1;
    }
    if (x_replica != y_replica) {
        return x_replica < y_replica ? -1 : 1;
    }
    if (x->count != y->count) {
        return x->count < y->count ? -1 : 1;
    }
    /* What lives at one place is told in one order. */
    return x->count == 0 ? 0
                         : memcmp(history->values + x->values, history->values + y->values,
                                  x->count * sizeof *history->values);
}

void checker_conditions(struct checker *checker)
{
    const struct history *history = checker->history;
    uint32_t count = 0;
    struct conditional *all = calloc(history->ops_count + 1, sizeof *all);
    assert_non_null(all);
    for (uint32_t i = 0; i < history->ops_count; i++) {
        const struct history_op *op = &history->ops[i];
        uint32_t txn = checker->op_txn[i];
        if (op->conditional && checker->exists[txn] && history->txns[txn].outcome != HISTORY_FAIL &&
            (op->count > 0 || !checker->keys[op->key].removed)) {
            all[count].checker = checker;
            all[count++].op = i;
        }
    }
    qsort(all, count, sizeof *all, conditional_compare);
    for (uint32_t i = 1; i < count; i++) {
        if (conditional_compare(&all[i - 1], &all[i]) == 0) {
            checker_say(checker, ANOMALY_LOST_UPDATE, checker->op_txn[all[i].op],
                        history->ops[all[i].op].key,
                        "two conditional writes over the same, both done");
        }
    }
    free(all);
}
