/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A member with a key that writes what it likes and hands it to whom it likes, while honest nodes
 * work: numbers given twice, causes withheld or made up, floods, stamps far in the future, kills of
 * what it never saw, changes with a byte turned, the same again and again. Honest nodes keep what
 * honest clients wrote, pass it on in time, verify, stay within bounds, and end equal. Where a
 * number was given twice they notice, verify and stay within bounds; what was built on one of the
 * two waits at those who have the other. MESHSYNC_MALICE_SEEDS runs from MESHSYNC_SEED.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sim/forge.h"

enum {
    SEEDS_DEFAULT = 24,
    SEED_BASE = 9000,
    NODES_MAX = 6,
    STEPS = 150,
    KEPT_MAX = 64, /* Forged changes that are handed over again. */
    FLOOD = 40,
    FAKE_CAUSES = 20,
    LIVE_MS = 20000, /* An honest write is everywhere after this. */
    SETTLE_MS = 300000,
    MEMORY_BYTES_MAX = 64 << 20,
    KEY_BYTES = 24
};

static const meshsync_sim_collection collections[] = {
    {"honest", MESHSYNC_REGISTER, MESHSYNC_VIEW_LWW},
    {"common", MESHSYNC_REGISTER, MESHSYNC_VIEW_MV}};

static struct {
    meshsync_sim *sim;
    struct forge forge;
    uint64_t seed;
    uint32_t nodes; /* Honest ones; the next has the key that is abused. */
    uint32_t written[NODES_MAX];
    struct forged kept[KEPT_MAX];
    uint32_t kept_count;
    bool forks; /* This seed knows them. */
    uint64_t forged, forked, floods, withheld, future, turned, again, rejected, alarms;
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

/* ---- Malice ---- */

static struct forge_answer give(uint32_t node, const struct forged *change)
{
    struct forge_answer answer = forge_deliver(run.sim, node, &change, 1);
    run.alarms += answer.alarms;
    run.rejected += answer.rejected;
    return answer;
}

static const struct forged *keep(const struct forged *change)
{
    struct forged *kept = &run.kept[run.kept_count % KEPT_MAX];
    *kept = *change;
    run.kept_count += 1;
    return kept;
}

static void put(struct forge *forge, struct forged *out)
{
    char key[KEY_BYTES];
    (void)snprintf(key, sizeof key, "key %u", (unsigned)draw(4));
    forge_put(forge, "common", key, "forged");
    forge_finish(forge, out);
    run.forged += 1;
}

/* In order, but it kills what others wrote, or what nobody did. */
static void malice_kill(void)
{
    static struct forged change;
    static struct forged victim;
    forge_last_local(run.sim, draw(run.nodes), &victim);
    if (draw(3) == 0) {
        victim.tip.seq += 1 + draw(1000);
    }
    forge_kill(&run.forge, &victim.tip, draw(3));
    put(&run.forge, &change);
    (void)give(draw(run.nodes), keep(&change));
}

/* One number, two changes, each to another node. */
static void malice_fork(void)
{
    static struct forged left;
    static struct forged right;
    const struct msy_change_header before = run.forge.header;
    put(&run.forge, &left);
    run.forge.header = before;
    run.forge.hlc += 1;
    put(&run.forge, &right);
    uint32_t first = draw(run.nodes);
    (void)give(first, keep(&left));
    (void)give((first + 1) % run.nodes, keep(&right));
    run.forked += 1;
}

/* Causes that nobody ever made. */
static void malice_flood(void)
{
    static struct forged change;
    uint32_t node = draw(run.nodes);
    for (uint32_t i = 0; i < FLOOD; i++) {
        const struct msy_change_header before = run.forge.header;
        for (uint32_t k = 0; k < FAKE_CAUSES; k++) {
            struct msy_tip fake = {.seq = 1 + draw(1000000)};
            msy_prng_fill(&run.forge.prng, fake.actor.id, sizeof fake.actor.id);
            msy_prng_fill(&run.forge.prng, fake.hash, MSY_HEAD_HASH_BYTES);
            forge_cause(&run.forge, &fake);
        }
        put(&run.forge, &change);
        if (!run.forks) { /* What follows must not wait for it for ever. */
            run.forge.header = before;
            forge_fork(&run.forge, NULL);
            msy_prng_fill(&run.forge.prng, run.forge.header.tag, sizeof run.forge.header.tag);
        }
        assert_int_equal(give(node, &change).accepted, 0);
    }
    run.floods += 1;
}

/* The second of two is handed over, the first later, or never by us. */
static void malice_withhold(void)
{
    static struct forged first;
    static struct forged second;
    put(&run.forge, &first);
    put(&run.forge, &second);
    (void)give(draw(run.nodes), keep(&second));
    must(meshsync_sim_run_for(run.sim, draw(300)), "run");
    (void)give(draw(run.nodes), keep(&first));
    run.withheld += 1;
}

/* A stamp that is days ahead: it is held by everybody, and nobody's clock follows it. */
static void malice_future(void)
{
    static struct forged change;
    const uint64_t before = run.forge.hlc;
    struct forge later;
    forge_init(&later, run.sim, run.nodes);
    msy_prng_fill(&run.forge.prng, later.header.tag, sizeof later.header.tag);
    later.hlc = before + (UINT64_C(86400000) << 16);
    forge_put(&later, "common", "future", "forged");
    forge_finish(&later, &change);
    forge_fini(&later);
    (void)give(draw(run.nodes), keep(&change));
    run.future += 1;
}

static void malice_turned(void)
{
    static struct forged change;
    put(&run.forge, &change);
    const struct forged *good = keep(&change);
    change.bytes[draw((uint32_t)change.len)] ^= (uint8_t)(1u << draw(8));
    assert_int_equal(give(draw(run.nodes), &change).accepted, 0);
    (void)give(draw(run.nodes), good);
    run.turned += 1;
}

static void malice_again(void)
{
    for (uint32_t i = 0; i < 30 && run.kept_count > 0; i++) {
        uint32_t count = run.kept_count < KEPT_MAX ? run.kept_count : (uint32_t)KEPT_MAX;
        (void)give(draw(run.nodes), &run.kept[draw(count)]);
    }
    run.again += 1;
}

static void malice(void)
{
    switch (draw(7)) {
    case 0: malice_kill(); return;
    case 1:
        if (run.forks) {
            malice_fork();
        }
        return;
    case 2: malice_flood(); return;
    case 3: malice_withhold(); return;
    case 4: malice_future(); return;
    case 5: malice_turned(); return;
    default: malice_again(); return;
    }
}

/* ---- Honest clients ---- */

static void honest_key(char key[KEY_BYTES], uint32_t node)
{
    (void)snprintf(key, KEY_BYTES, "of node %u", (unsigned)node);
}

static void honest(void)
{
    char key[KEY_BYTES];
    uint32_t node = draw(run.nodes);
    run.written[node] += 1;
    const meshsync_value value = {.type = MESHSYNC_VALUE_INT, .integer = run.written[node]};
    honest_key(key, node);
    must(meshsync_sim_put(run.sim, node, "honest", key, &value), "put");
}

/* Has everybody what each honest client wrote last? */
static bool all_have(void)
{
    for (uint32_t at = 0; at < run.nodes; at++) {
        for (uint32_t node = 0; node < run.nodes; node++) {
            char key[KEY_BYTES];
            meshsync_entry entry;
            honest_key(key, node);
            const meshsync_bytes part = meshsync_bytes_of(key);
            meshsync_status status =
                meshsync_sim_get(run.sim, at, "honest", &(meshsync_path){&part, 1}, &entry);
            if (run.written[node] > 0 && (status != MESHSYNC_OK || entry.siblings_count != 1 ||
                                          entry.value.integer != run.written[node])) {
                return false;
            }
        }
    }
    return true;
}

static void check_bounds(void)
{
    for (uint32_t i = 0; i < run.nodes; i++) {
        uint64_t used = msy_sim_node(run.sim, i)->memory.bytes_used;
        if (used > MEMORY_BYTES_MAX) {
            fail_msg("seed %" PRIu64 ": node %u uses %" PRIu64 " bytes", run.seed, i, used);
        }
    }
}

/* While it all goes on: what was written is everywhere soon. */
static void check_live(void)
{
    uint64_t begin_us = meshsync_sim_now_us(run.sim);
    while (!all_have()) {
        must(meshsync_sim_run_for(run.sim, 100), "run");
        if (draw(4) == 0) {
            malice();
        }
        if (meshsync_sim_now_us(run.sim) - begin_us > (uint64_t)LIVE_MS * 1000) {
            fail_msg("seed %" PRIu64 ": honest writes are not everywhere after %d ms", run.seed,
                     LIVE_MS);
        }
    }
}

/* ---- A run ---- */

static void begin(uint64_t seed)
{
    meshsync_sim_options options;
    meshsync_error error;
    meshsync_sim_options_init(&options, sizeof options);
    run.seed = seed;
    run.nodes = 2 + (uint32_t)(seed % (NODES_MAX - 1));
    run.forks = seed % 2 == 0;
    run.kept_count = 0;
    memset(run.written, 0, sizeof run.written);
    options.seed = seed;
    options.nodes_count = run.nodes + 1;
    must(meshsync_sim_new(&options, &run.sim, &error), "new");
    must(meshsync_sim_begin(run.sim, collections, 2, &error), "begin");
    for (uint32_t i = 0; i < run.nodes; i++) { /* Something of everybody's to be killed. */
        const meshsync_value value = {.type = MESHSYNC_VALUE_INT, .integer = i};
        must(meshsync_sim_put(run.sim, i, "common", "key 0", &value), "put");
    }
    must(meshsync_sim_run_for(run.sim, 3000), "run");
    must(meshsync_sim_crash(run.sim, run.nodes, MESHSYNC_SIM_POWER), "the key's owner is away");
    forge_init(&run.forge, run.sim, run.nodes);
}

static void end(void)
{
    meshsync_error error;
    for (uint32_t i = 0; i < run.nodes; i++) {
        meshsync_verify_report report = {.size = sizeof report};
        meshsync_status status = meshsync_sim_verify(run.sim, i, &report, &error);
        if (status != MESHSYNC_OK) {
            fail_msg("seed %" PRIu64 ": verify of node %u: %s", run.seed, i, error.message);
        }
    }
    if (!run.forks) {
        meshsync_status status = meshsync_sim_settle(run.sim, SETTLE_MS, &error);
        if (status != MESHSYNC_OK) {
            fail_msg("seed %" PRIu64 ": %s", run.seed, error.message);
        }
        assert_true(all_have());
    }
    forge_fini(&run.forge);
    meshsync_sim_free(run.sim);
}

static void run_seed(uint64_t seed)
{
    begin(seed);
    for (uint32_t i = 0; i < STEPS; i++) {
        if (draw(3) == 0) {
            malice();
        }
        if (draw(2) == 0) {
            honest();
        }
        must(meshsync_sim_run_for(run.sim, 1 + draw(60)), "run");
        if (i % 50 == 49) {
            if (!run.forks) {
                check_live();
            }
            check_bounds();
        }
    }
    end();
}

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL && text[0] != '\0' ? strtoull(text, NULL, 10) : otherwise;
}

static void test_malicious_member(void **state)
{
    uint64_t count = number_of("MESHSYNC_MALICE_SEEDS", SEEDS_DEFAULT);
    uint64_t base = number_of("MESHSYNC_SEED", SEED_BASE);
    (void)state;
    for (uint64_t i = 0; i < count; i++) {
        run_seed(base + i);
    }
    print_message("%" PRIu64 " runs from seed %" PRIu64 ": %" PRIu64 " forged changes, %" PRIu64
                  " numbers given twice, %" PRIu64 " floods, %" PRIu64 " withheld, %" PRIu64
                  " far ahead, %" PRIu64 " turned, %" PRIu64 " repeated; %" PRIu64
                  " rejected, %" PRIu64 " alarms\n",
                  count, base, run.forged, run.forked, run.floods, run.withheld, run.future,
                  run.turned, run.again, run.rejected, run.alarms);
    if (count >= SEEDS_DEFAULT) {
        assert_true(run.forked > 0 && run.floods > 0 && run.withheld > 0 && run.future > 0);
        assert_true(run.turned > 0 && run.again > 0 && run.rejected > 0 && run.alarms > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_malicious_member)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
