/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shows, for each type and without luck, that no order of arrival matters: every history of up to
 * four ops at up to three replicas, with every choice of what each writer had seen, is handed to a
 * newcomer in every causal order (up to three ops: in every order), and each time the same state
 * results, equal to the model's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "laws/lab.h"

enum {
    STEPS_MAX = 4,
    STEPS_WHOLE_MAX = 3, /* So long all orders are tried, causal or not. */
    ALPHABET_MAX = 4,
    WRITERS = 3,
    OBSERVER = 3,
    REPLICAS = 4
};

static struct lab lab;

/* One thing that a history may do at a step. */
struct letter {
    enum msy_intent_type type;
    uint32_t collection;
    const char *parts[3];
    uint32_t parts_count;
    int64_t delta; /* Counters. */
};

struct alphabet {
    const char *name;
    struct letter letters[ALPHABET_MAX];
    uint32_t letters_count;
};

static const struct alphabet alphabets[] = {
    {"register",
     {{MSY_INTENT_PUT, LAB_LWW, {"k"}, 1, 0}, {MSY_INTENT_DELETE, LAB_LWW, {"k"}, 1, 0}},
     2},
    {"counter",
     {{MSY_INTENT_ADD, LAB_COUNTER, {"k"}, 1, 5}, {MSY_INTENT_DELETE, LAB_COUNTER, {"k"}, 1, 0}},
     2},
    {"set",
     {{MSY_INTENT_SET_ADD, LAB_SET, {"k", "x"}, 2, 0},
      {MSY_INTENT_SET_REMOVE, LAB_SET, {"k", "x"}, 2, 0},
      {MSY_INTENT_DELETE, LAB_SET, {"k"}, 1, 0}},
     3},
    {"map",
     {{MSY_INTENT_PUT, LAB_MAP, {"k", "x"}, 2, 0},
      {MSY_INTENT_DELETE, LAB_MAP, {"k"}, 1, 0},
      {MSY_INTENT_PUT, LAB_MAP, {"k"}, 1, 0}},
     3}};

struct history {
    const struct alphabet *alphabet;
    uint32_t steps;
    uint32_t writer[STEPS_MAX];
    uint32_t letter[STEPS_MAX];
    uint32_t seen[STEPS_MAX];  /* Bits of the earlier steps that the writer was handed. */
    int32_t change[STEPS_MAX]; /* Index in the universe; -1: there was nothing to write. */
    uint64_t payloads;
};

static uint64_t histories_count;
static uint64_t orders_count;

static void history_tell(const struct history *history, char *text, size_t text_len)
{
    size_t used = (size_t)snprintf(text, text_len, "%s:", history->alphabet->name);
    for (uint32_t i = 0; i < history->steps && used < text_len; i++) {
        used += (size_t)snprintf(text + used, text_len - used, " %u does %u having seen %x",
                                 history->writer[i], history->letter[i], history->seen[i]);
    }
}

static void history_write(struct history *history, uint32_t step)
{
    static struct lab_request request;
    const struct letter *letter = &history->alphabet->letters[history->letter[step]];
    struct lab_op *op = &request.ops[0];
    char text[24];
    uint32_t before = lab.model.count;
    memset(&request, 0, sizeof request);
    request.ops_count = 1;
    op->type = letter->type;
    op->collection = letter->collection;
    lab_path(op, letter->parts, letter->parts_count);
    if (op->type == MSY_INTENT_PUT) {
        (void)snprintf(text, sizeof text, "v%u", step);
        lab_payload_text(&lab, op, text);
    }
    if (op->type == MSY_INTENT_ADD) {
        lab_payload_int(&lab, op, letter->delta + (int64_t)step);
    }
    lab.now_ms += 1;
    lab_commit(&lab, history->writer[step], &request, 1);
    history->change[step] = lab.model.count > before ? (int32_t)before : -1;
}

static void history_run(struct history *history)
{
    char words[256];
    history_tell(history, words, sizeof words);
    lab_note(&lab, "%s", words);
    for (uint32_t i = 0; i < history->steps; i++) {
        for (uint32_t k = 0; k < i; k++) {
            struct lab_replica *replica = &lab.replicas[history->writer[i]];
            if ((history->seen[i] >> k & 1) != 0 && history->change[k] >= 0 &&
                !model_set_has(&replica->given, (uint32_t)history->change[k])) {
                uint32_t change = (uint32_t)history->change[k];
                lab_deliver(&lab, history->writer[i], &change, 1, LAB_SINGLY);
            }
        }
        history_write(history, i);
    }
}

/* Next order of the items in ascending sequence of orders; false after the last. */
static bool next_order(uint32_t *items, uint32_t count)
{
    uint32_t i = count;
    while (i > 1 && items[i - 2] >= items[i - 1]) {
        i--;
    }
    if (i < 2) {
        return false;
    }
    uint32_t k = count - 1;
    while (items[k] <= items[i - 2]) {
        k--;
    }
    uint32_t kept = items[i - 2];
    items[i - 2] = items[k];
    items[k] = kept;
    for (uint32_t a = i - 1, b = count - 1; a < b; a++, b--) {
        kept = items[a];
        items[a] = items[b];
        items[b] = kept;
    }
    return true;
}

static bool order_is_causal(const uint32_t *order, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t k = i + 1; k < count; k++) {
            if (model_sees(&lab.model, order[i], order[k])) {
                return false;
            }
        }
    }
    return true;
}

static void observer_renew(void)
{
    struct lab_replica *observer = &lab.replicas[OBSERVER];
    msy_store_close(observer->store);
    assert_int_equal(msy_store_memory_clone(lab.base[OBSERVER].store, &observer->store),
                     MESHSYNC_OK);
    observer->given = lab.base[OBSERVER].given;
    observer->accepted = lab.base[OBSERVER].accepted;
}

static void observer_open(void)
{
    lab_reopen(&lab, OBSERVER);
}

/* Hands the changes to a newcomer in every order; causal orders give nothing to wait for, others
 * do, and all must end the same. */
static void history_deliver(const struct history *history)
{
    uint32_t order[STEPS_MAX];
    uint32_t count = 0;
    bool more = false;
    for (uint32_t i = 0; i < history->steps; i++) {
        if (history->change[i] >= 0) {
            order[count++] = (uint32_t)history->change[i];
        }
    }
    do {
        msy_replica_close(lab.replicas[OBSERVER].machine);
        observer_renew();
        lab.replicas[OBSERVER].machine = NULL;
        observer_open();
        if (count > 0) {
            lab_deliver(&lab, OBSERVER, order, count, LAB_TOGETHER);
        }
        assert_int_equal(model_set_count(&lab.replicas[OBSERVER].accepted), lab.model.count);
        lab_check(&lab, OBSERVER);
        orders_count += 1;
        while ((more = next_order(order, count)) && history->steps > STEPS_WHOLE_MAX &&
               !order_is_causal(order, count)) {
        }
    } while (more);
}

/* What a writer may have seen: closed under causes, with all that it wrote and saw before. */
static bool seen_allowed(const struct history *history, uint32_t step, uint32_t seen)
{
    uint32_t writer = history->writer[step];
    for (uint32_t i = 0; i < step; i++) {
        bool has = (seen >> i & 1) != 0;
        if (!has && history->writer[i] == writer) {
            return false;
        }
        if ((has || history->writer[i] == writer) && (history->seen[i] & ~seen) != 0) {
            return false;
        }
    }
    return true;
}

/* Writers are named in the order of their first step: other names change nothing. */
static bool writer_allowed(const struct history *history, uint32_t step)
{
    uint32_t most = 0;
    for (uint32_t i = 0; i < step; i++) {
        most = history->writer[i] + 1 > most ? history->writer[i] + 1 : most;
    }
    return history->writer[step] <= most;
}

static void history_try(struct history *history)
{
    lab_begin(&lab, histories_count, REPLICAS);
    history_run(history);
    history_deliver(history);
    lab_check_digests(&lab);
    lab_end(&lab);
    histories_count += 1;
}

static void histories(struct history *history, uint32_t step);

static void histories_seen(struct history *history, uint32_t step)
{
    for (uint32_t seen = 0; seen < UINT32_C(1) << step; seen++) {
        history->seen[step] = seen;
        if (seen_allowed(history, step, seen)) {
            histories(history, step + 1);
        }
    }
}

static void histories(struct history *history, uint32_t step)
{
    if (step == history->steps) {
        history_try(history);
        return;
    }
    for (uint32_t writer = 0; writer < WRITERS; writer++) {
        history->writer[step] = writer;
        const uint32_t letters = history->alphabet->letters_count;
        for (uint32_t letter = 0; writer_allowed(history, step) && letter < letters; letter++) {
            history->letter[step] = letter;
            histories_seen(history, step);
        }
    }
}

static void run_alphabet(const struct alphabet *alphabet)
{
    const char *text = getenv("MESHSYNC_STEPS");
    uint32_t steps = STEPS_MAX;
    if (text != NULL && text[0] != '\0') {
        steps = (uint32_t)strtoul(text, NULL, 10);
        steps = steps > STEPS_MAX ? STEPS_MAX : steps;
    }
    uint64_t histories_before = histories_count;
    uint64_t orders_before = orders_count;
    for (uint32_t i = 1; i <= steps; i++) {
        struct history history = {.alphabet = alphabet, .steps = i};
        histories(&history, 0);
    }
    print_message("%s: %llu histories of up to %u ops, %llu orders of arrival\n", alphabet->name,
                  (unsigned long long)(histories_count - histories_before), steps,
                  (unsigned long long)(orders_count - orders_before));
}

static void test_register(void **state)
{
    (void)state;
    run_alphabet(&alphabets[0]);
}

static void test_counter(void **state)
{
    (void)state;
    run_alphabet(&alphabets[1]);
}

static void test_set(void **state)
{
    (void)state;
    run_alphabet(&alphabets[2]);
}

static void test_map(void **state)
{
    (void)state;
    run_alphabet(&alphabets[3]);
}

static int setup(void **state)
{
    (void)state;
    lab_open(&lab, "build/tests/laws/test_small_scope");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    lab_close(&lab);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_register),
                                       cmocka_unit_test(test_counter), cmocka_unit_test(test_set),
                                       cmocka_unit_test(test_map)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
