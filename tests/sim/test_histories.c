/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clients of simulated meshes, two at each node, and what they were told: reads of several keys at
 * once, transactions of writes, conditional writes and additions, while links are cut and nodes are
 * killed. The histories are judged by the checker: causal, atomic, nothing lost, nothing twice, no
 * update lost where that was forbidden, all equal in the end. MESHSYNC_HISTORY_SEEDS of them.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <meshsync/sim.h>

#include "history/checker.h"

enum {
    SEEDS_DEFAULT = 40,
    SEED_BASE = 7000,
    NODES_MAX = 5,
    SESSIONS_MAX = 2 * NODES_MAX,
    STEPS = 500,
    KEYS = 6, /* Registers. */
    SUMS = 2, /* Counters, as keys behind the registers. */
    SETTLE_MS = 300000,
    KEY_BYTES = 16
};

static const meshsync_sim_collection collections[] = {
    {"registers", MESHSYNC_REGISTER, MESHSYNC_VIEW_MV},
    {"sums", MESHSYNC_COUNTER, MESHSYNC_VIEW_LWW}};

/* A client, which does one thing after the other. */
struct session {
    uint32_t number; /* In the history: another one after each unknown outcome. */
    uint32_t txn;    /* That it waits for. */
    bool waits;
};

static struct {
    meshsync_sim *sim;
    struct history history;
    struct session sessions[SESSIONS_MAX];
    uint32_t nodes;
    uint32_t sessions_count;
    uint32_t value_next;
    uint64_t seed;
    uint64_t txns, reads, refused, unknown, crashes;
} run;

static void must(meshsync_status status, const char *what)
{
    if (status != MESHSYNC_OK) {
        fail_msg("seed %" PRIu64 ": %s: %s", run.seed, what, meshsync_status_name(status));
    }
}

static uint32_t draw(uint32_t bound)
{
    return (uint32_t)meshsync_sim_draw(run.sim, bound);
}

static meshsync_bytes key_of(char text[KEY_BYTES], uint32_t key)
{
    (void)snprintf(text, KEY_BYTES, "key %u", (unsigned)key);
    return meshsync_bytes_of(text);
}

static uint32_t node_of(uint32_t session)
{
    return session / 2;
}

/* ---- Reading ---- */

/* Reads a key into the history's last transaction. */
static void read_key(uint32_t node, uint32_t key)
{
    char text[KEY_BYTES];
    meshsync_entry entry;
    const meshsync_bytes part = key_of(text, key);
    const meshsync_path path = {&part, 1};
    bool sum = key >= KEYS;
    struct history_op *op = history_op(&run.history, sum ? HISTORY_SUM : HISTORY_READ, key, 0);
    assert_non_null(op);
    meshsync_status status =
        meshsync_sim_get(run.sim, node, sum ? "sums" : "registers", &path, &entry);
    run.reads += 1;
    if (status == MESHSYNC_E_NOT_FOUND) {
        return;
    }
    must(status, "get");
    if (sum) {
        op->value = entry.value.integer;
        return;
    }
    for (uint32_t i = 0; i < entry.siblings_count; i++) {
        meshsync_sibling sibling;
        must(meshsync_sim_sibling_at(run.sim, i, &sibling), "sibling");
        history_value(&run.history, (uint32_t)sibling.value.integer);
    }
}

static void read_some(uint32_t session)
{
    uint32_t count = 1 + draw(4);
    (void)history_begin(&run.history, run.sessions[session].number, node_of(session), HISTORY_OK);
    for (uint32_t i = 0; i < count; i++) {
        read_key(node_of(session), draw(KEYS + SUMS));
    }
    run.txns += 1;
}

/* ---- Writing ---- */

static void answered(void *user, meshsync_status status, const meshsync_token *token)
{
    struct session *session = (struct session *)user;
    struct history_txn *txn = &run.history.txns[session->txn];
    (void)token;
    session->waits = false;
    txn->outcome = status == MESHSYNC_OK            ? HISTORY_OK
                   : status == MESHSYNC_E_CANCELLED ? HISTORY_UNKNOWN
                                                    : HISTORY_FAIL;
    if (txn->outcome == HISTORY_UNKNOWN) {
        session->number = run.sessions_count;
        run.sessions_count += 1;
        run.unknown += 1;
    }
    run.refused += txn->outcome == HISTORY_FAIL ? 1 : 0;
}

static struct history_op *note(enum history_kind kind, uint32_t key, int64_t value)
{
    struct history_op *op = history_op(&run.history, kind, key, value);
    assert_non_null(op);
    return op;
}

/* A register is set to a number of its own, or removed; or only where it is as it was read. */
static void write_register(meshsync_sim_txn *txn, uint32_t node, uint32_t key, bool conditional)
{
    char text[KEY_BYTES];
    uint8_t context[256];
    meshsync_entry entry;
    meshsync_condition condition = {.kind = MESHSYNC_IF_ANY};
    const meshsync_bytes part = key_of(text, key);
    const meshsync_path path = {&part, 1};
    const meshsync_value value = {.type = MESHSYNC_VALUE_INT, .integer = run.value_next};
    bool removes = !conditional && draw(10) == 0;
    struct history_op *op = note(removes ? HISTORY_REMOVE : HISTORY_WRITE, key, run.value_next);
    run.value_next += 1;
    if (conditional) {
        meshsync_status status = meshsync_sim_get(run.sim, node, "registers", &path, &entry);
        op->conditional = true;
        condition.kind = status == MESHSYNC_OK ? MESHSYNC_IF_CONTEXT : MESHSYNC_IF_ABSENT;
        for (uint32_t i = 0; status == MESHSYNC_OK && i < entry.siblings_count; i++) {
            meshsync_sibling sibling;
            must(meshsync_sim_sibling_at(run.sim, i, &sibling), "sibling");
            history_value(&run.history, (uint32_t)sibling.value.integer);
        }
        if (status == MESHSYNC_OK) { /* What was lent goes with the next call. */
            assert_true(entry.context.len <= sizeof context);
            memcpy(context, entry.context.data, entry.context.len);
            condition.context = (meshsync_bytes){context, entry.context.len};
        }
    }
    must(removes ? meshsync_sim_txn_delete(txn, "registers", &path, &condition)
                 : meshsync_sim_txn_put(txn, "registers", &path, &value, &condition),
         "write");
}

static void write_some(uint32_t index)
{
    struct session *session = &run.sessions[index];
    uint32_t node = node_of(index);
    meshsync_sim_txn *txn = NULL;
    uint32_t keys = 0;
    uint32_t count = 1 + draw(3);
    bool conditional = draw(4) == 0;
    must(meshsync_sim_txn_begin(run.sim, node, &txn), "begin");
    session->txn = history_begin(&run.history, session->number, node, HISTORY_UNKNOWN);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t key = draw(KEYS + SUMS);
        if ((keys & 1u << key) != 0) {
            continue;
        }
        keys |= 1u << key;
        if (key >= KEYS) {
            char text[KEY_BYTES];
            const meshsync_bytes part = key_of(text, key);
            int64_t delta = 1 + (int64_t)draw(9);
            (void)note(HISTORY_DELTA, key, delta);
            must(meshsync_sim_txn_add(txn, "sums", &(meshsync_path){&part, 1}, delta), "add");
        } else {
            write_register(txn, node, key, conditional);
        }
    }
    must(meshsync_sim_txn_commit(txn, draw(2) == 0 ? MESHSYNC_SIM_PLAIN : MESHSYNC_SIM_EXPLICIT,
                                 answered, session),
         "commit");
    session->waits = true;
    run.txns += 1;
}

/* ---- A run ---- */

static void trouble(void)
{
    static const meshsync_sim_crash_kind kinds[] = {
        MESHSYNC_SIM_KILL, MESHSYNC_SIM_POWER, MESHSYNC_SIM_KILL_BEFORE, MESHSYNC_SIM_KILL_AFTER};
    const meshsync_sim_pair pair = {draw(run.nodes), draw(run.nodes)};
    meshsync_error error;
    switch (draw(4)) {
    case 0:
        if (pair.from != pair.to) {
            must(meshsync_sim_cut(run.sim, pair), "cut");
        }
        return;
    case 1:
        if (pair.from != pair.to) {
            must(meshsync_sim_heal(run.sim, pair), "heal");
        }
        return;
    case 2:
        if (meshsync_sim_node_is_up(run.sim, pair.from)) {
            must(meshsync_sim_crash(run.sim, pair.from, kinds[draw(4)]), "crash");
            run.crashes += 1;
        }
        return;
    default:
        if (!meshsync_sim_node_is_up(run.sim, pair.from)) {
            must(meshsync_sim_restart(run.sim, pair.from, &error), "restart");
        }
        return;
    }
}

static void step(void)
{
    if (draw(12) == 0) {
        trouble();
    }
    uint32_t session = draw(2 * run.nodes);
    if (meshsync_sim_node_is_up(run.sim, node_of(session)) && !run.sessions[session].waits) {
        if (draw(2) == 0) {
            read_some(session);
        } else {
            write_some(session);
        }
    }
    must(meshsync_sim_run_for(run.sim, 1 + draw(25)), "run");
}

/* All is well again: everybody reads everything. */
static void finish(void)
{
    meshsync_error error;
    meshsync_status status = meshsync_sim_settle(run.sim, SETTLE_MS, &error);
    if (status != MESHSYNC_OK) {
        fail_msg("seed %" PRIu64 ": %s", run.seed, error.message);
    }
    for (uint32_t node = 0; node < run.nodes; node++) {
        (void)history_begin(&run.history, run.sessions_count + node, node, HISTORY_FINAL);
        for (uint32_t key = 0; key < KEYS + SUMS; key++) {
            read_key(node, key);
        }
    }
}

static void run_seed(uint64_t seed)
{
    struct verdict verdict;
    meshsync_sim_options options;
    meshsync_error error;
    meshsync_sim_options_init(&options, sizeof options);
    run.seed = seed;
    run.nodes = 2 + (uint32_t)(seed % (NODES_MAX - 1));
    run.value_next = 1;
    memset(run.sessions, 0, sizeof run.sessions);
    run.sessions_count = 2 * run.nodes;
    for (uint32_t i = 0; i < run.sessions_count; i++) {
        run.sessions[i].number = i;
    }
    history_clear(&run.history);
    options.seed = seed;
    options.nodes_count = run.nodes;
    /* Far nodes are what makes effects overtake their causes. */
    options.latency_us_max = options.latency_us_max << seed % 6;
    must(meshsync_sim_new(&options, &run.sim, &error), "new");
    must(meshsync_sim_begin(run.sim, collections, 2, &error), "begin");
    for (uint32_t i = 0; i < STEPS; i++) {
        step();
    }
    finish();
    history_check(&run.history, &verdict);
    if (verdict.count != 0) {
        history_write(&run.history, stderr);
        fail_msg("%s\nrepeat: MESHSYNC_SEED=%" PRIu64
                 " MESHSYNC_HISTORY_SEEDS=1 build/tests/sim/test_histories",
                 verdict.words, seed);
    }
    meshsync_sim_free(run.sim);
}

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL && text[0] != '\0' ? strtoull(text, NULL, 10) : otherwise;
}

static void test_clients(void **state)
{
    uint64_t count = number_of("MESHSYNC_HISTORY_SEEDS", SEEDS_DEFAULT);
    uint64_t base = number_of("MESHSYNC_SEED", SEED_BASE);
    (void)state;
    history_init(&run.history);
    for (uint64_t i = 0; i < count; i++) {
        run_seed(base + i);
    }
    history_fini(&run.history);
    print_message("%" PRIu64 " histories from seed %" PRIu64 ": %" PRIu64 " transactions, %" PRIu64
                  " reads, %" PRIu64 " refused, %" PRIu64 " unknown, %" PRIu64 " crashes\n",
                  count, base, run.txns, run.reads, run.refused, run.unknown, run.crashes);
    if (count >= SEEDS_DEFAULT) {
        assert_true(run.refused > 0 && run.unknown > 0 && run.crashes > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_clients)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
