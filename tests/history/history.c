/* SPDX-License-Identifier: Apache-2.0 */
#include "history/history.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char history_letters[] = "rwdesxca";
static const char *const history_outcomes[] = {"ok", "fail", "unknown", "maybe", "final"};
static const char history_head[] = "meshsync-history 1\n";

void history_init(struct history *history)
{
    memset(history, 0, sizeof *history);
}

void history_fini(struct history *history)
{
    free(history->txns);
    free(history->ops);
    free(history->values);
    memset(history, 0, sizeof *history);
}

void history_clear(struct history *history)
{
    history->txns_count = history->ops_count = history->values_count = 0;
    history->sessions = history->replicas = history->keys = history->numbers = 0;
}

static void *history_grow(void *items, uint32_t count, uint32_t *cap, size_t size)
{
    if (count < *cap) {
        return items;
    }
    *cap = *cap == 0 ? 256 : 2 * *cap;
    void *grown = realloc(items, *cap * size);
    assert_non_null(grown);
    return grown;
}

static void history_most(uint32_t *most, uint64_t id)
{
    assert_true(id < HISTORY_ID_MAX);
    *most = id >= *most ? (uint32_t)id + 1 : *most;
}

uint32_t history_begin(struct history *history, uint32_t session, uint32_t replica,
                       enum history_outcome outcome)
{
    history->txns =
        history_grow(history->txns, history->txns_count, &history->txns_cap, sizeof *history->txns);
    struct history_txn *txn = &history->txns[history->txns_count];
    memset(txn, 0, sizeof *txn);
    txn->session = session;
    txn->replica = replica;
    txn->outcome = outcome;
    txn->ops = history->ops_count;
    history_most(&history->sessions, session);
    history_most(&history->replicas, replica);
    return history->txns_count++;
}

static bool history_numbered(enum history_kind kind)
{
    return kind == HISTORY_WRITE || kind == HISTORY_REMOVE || kind == HISTORY_ADD ||
           kind == HISTORY_TAKE;
}

struct history_op *history_op(struct history *history, enum history_kind kind, uint32_t key,
                              int64_t value)
{
    history->ops =
        history_grow(history->ops, history->ops_count, &history->ops_cap, sizeof *history->ops);
    struct history_op *op = &history->ops[history->ops_count++];
    memset(op, 0, sizeof *op);
    op->kind = kind;
    op->key = key;
    op->value = value;
    op->values = history->values_count;
    history->txns[history->txns_count - 1].ops_count += 1;
    history_most(&history->keys, key);
    if (history_numbered(kind)) {
        history_most(&history->numbers, (uint64_t)value);
    }
    return op;
}

void history_value(struct history *history, uint32_t value)
{
    history->values = history_grow(history->values, history->values_count, &history->values_cap,
                                   sizeof *history->values);
    history->values[history->values_count++] = value;
    history->ops[history->ops_count - 1].count += 1;
    history_most(&history->numbers, value);
}

uint32_t history_copy(struct history *history, const struct history *from, uint32_t txn)
{
    const struct history_txn *old = &from->txns[txn];
    uint32_t made = history_begin(history, old->session, old->replica, old->outcome);
    for (uint32_t i = 0; i < old->ops_count; i++) {
        const struct history_op *op = &from->ops[old->ops + i];
        history_op(history, op->kind, op->key, op->value)->conditional = op->conditional;
        for (uint32_t k = 0; k < op->count; k++) {
            history_value(history, from->values[op->values + k]);
        }
    }
    return made;
}

/* --- text */

static void history_write_op(const struct history *history, const struct history_op *op, FILE *out)
{
    bool reads = op->kind == HISTORY_READ || op->kind == HISTORY_ELEMENTS;
    fprintf(out, " %c%" PRIu32 "=", history_letters[op->kind], op->key);
    if (!reads) {
        fprintf(out, "%" PRId64 "%s", op->value, op->conditional ? "|" : "");
    }
    for (uint32_t k = 0; k < op->count; k++) {
        fprintf(out, "%s%" PRIu32, k > 0 ? "," : "", history->values[op->values + k]);
    }
}

void history_write(const struct history *history, FILE *out)
{
    fputs(history_head, out);
    for (uint32_t i = 0; i < history->txns_count; i++) {
        const struct history_txn *txn = &history->txns[i];
        fprintf(out, "%" PRIu32 " %" PRIu32 " %s", txn->session, txn->replica,
                history_outcomes[txn->outcome]);
        for (uint32_t k = 0; k < txn->ops_count; k++) {
            history_write_op(history, &history->ops[txn->ops + k], out);
        }
        fputc('\n', out);
    }
}

static bool history_number(const char **at, uint64_t *number)
{
    char *end = NULL;
    if (**at < '0' || **at > '9') {
        return false;
    }
    *number = strtoull(*at, &end, 10);
    *at = end;
    return *number < HISTORY_ID_MAX;
}

/* Numbers with commas between them, perhaps none. */
static bool history_read_values(struct history *history, const char **at)
{
    uint64_t number = 0;
    while (**at >= '0' && **at <= '9') {
        if (!history_number(at, &number)) {
            return false;
        }
        history_value(history, (uint32_t)number);
        if (**at == ',') {
            *at += 1;
        }
    }
    return true;
}

static bool history_read_op(struct history *history, const char **at)
{
    const char *letter = **at != '\0' ? strchr(history_letters, **at) : NULL;
    uint64_t key = 0;
    *at += 1;
    if (letter == NULL || !history_number(at, &key) || **at != '=') {
        return false;
    }
    *at += 1;
    enum history_kind kind = (enum history_kind)(letter - history_letters);
    if (kind == HISTORY_READ || kind == HISTORY_ELEMENTS) {
        history_op(history, kind, (uint32_t)key, 0);
        return history_read_values(history, at);
    }
    char *end = NULL;
    long long value = strtoll(*at, &end, 10);
    if (end == *at || (history_numbered(kind) && (value < 0 || value >= HISTORY_ID_MAX))) {
        return false;
    }
    *at = end;
    struct history_op *op = history_op(history, kind, (uint32_t)key, value);
    if (**at != '|') {
        return true;
    }
    op->conditional = true;
    *at += 1;
    return history_read_values(history, at);
}

static bool history_read_line(struct history *history, const char *at)
{
    uint64_t session = 0;
    uint64_t replica = 0;
    uint32_t outcome = 0;
    if (!history_number(&at, &session) || *at++ != ' ' || !history_number(&at, &replica) ||
        *at++ != ' ') {
        return false;
    }
    size_t len = strcspn(at, " \n");
    while (outcome < 5 && (strlen(history_outcomes[outcome]) != len ||
                           strncmp(at, history_outcomes[outcome], len) != 0)) {
        outcome += 1;
    }
    if (outcome == 5) {
        return false;
    }
    history_begin(history, (uint32_t)session, (uint32_t)replica, (enum history_outcome)outcome);
    at += len;
    while (*at == ' ') {
        at += 1;
        if (!history_read_op(history, &at)) {
            return false;
        }
    }
    return *at == '\n' && at[1] == '\0';
}

uint32_t history_read(struct history *history, FILE *in)
{
    char *line = NULL;
    size_t cap = 0;
    uint32_t number = 0;
    uint32_t wrong = 0;
    history_clear(history);
    while (wrong == 0 && getline(&line, &cap, in) >= 0) {
        number += 1;
        bool good = number == 1 ? strcmp(line, history_head) == 0
                                : line[0] == '#' || history_read_line(history, line);
        wrong = good ? 0 : number;
    }
    free(line);
    return number == 0 ? 1 : wrong;
}
