/* SPDX-License-Identifier: Apache-2.0 */
/* Shows that two nodes whose vectors differ come to know each other's exactly by telling what
 * differs, what that costs beside the whole vectors, that they still do when more is written
 * meanwhile, and that a peer which tells nonsense gains nothing by it.
 * MESHSYNC_RUNGS says how many pairs of vectors are drawn; MESHSYNC_SEED the first seed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mesh/machine.h"
#include "unit/mesh/rig.h"
#include "wire/message_sketch.h"

static struct rig rig;

enum { TARGET_BYTES = 8000, ACTORS = 10000, DIFFER = 100, MEETINGS = 5, RUNGS = 60 };

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

static struct msy_mesh_stats stats_of(uint32_t node)
{
    struct msy_mesh_stats stats;
    msy_mesh_get_stats(rig.nodes[node].mesh, &stats);
    return stats;
}

static uint64_t clock_bytes(void)
{
    return stats_of(0).clock_bytes_out + stats_of(1).clock_bytes_out;
}

static struct msy_channel *channel_of(uint32_t node)
{
    struct msy_mesh *mesh = rig.nodes[node].mesh;
    assert_true(mesh->links_count > 0);
    assert_int_equal(mesh->links[0]->state, MSY_LINK_LIVE);
    return msy_channel_find(mesh->links[0], rig.nodes[node].space);
}

/* Two members, each with changes of both; sketches from so many tips on. */
static void open_two(uint32_t tips_min)
{
    rig_open(&rig, 2);
    rig_found(&rig);
    rig_join(&rig, 1);
    rig_dial(&rig, 1, 0);
    assert_true(rig_settle(&rig, 5000));
    rig_put(&rig, 0, "a", "0");
    rig_put(&rig, 1, "b", "1");
    assert_true(rig_settle(&rig, 5000));
    assert_true(rig_same(&rig, 0, 1));
    rig.nodes[0].sketch_tips_min = tips_min;
    rig.nodes[1].sketch_tips_min = tips_min;
}

/* A tip that nobody can fetch, straight into the table of tips: for clocks that is all there is. */
static void put_tip(struct msy_store_txn *txn, uint32_t node, uint32_t actor, uint64_t seq)
{
    uint8_t key[MSY_CLOCK_KEY_BYTES];
    uint8_t value[MSY_TIP_VALUE_BYTES];
    struct msy_tip tip = {.seq = seq};
    msy_put_be64(tip.actor.id, (uint64_t)actor * UINT64_C(0x9E3779B97F4A7C15));
    msy_put_be32(tip.hash, actor);
    msy_put_be32(tip.hash + 4, (uint32_t)seq);
    msy_tip_value(value, &tip);
    assert_int_equal(msy_store_put(txn, MSY_TABLE_CLOCK,
                                   msy_key_clock(key, rig.nodes[node].space, &tip.actor),
                                   msy_bytes(value, sizeof value), MSY_PUT_ANY),
                     MESHSYNC_OK);
}

/* What the two nodes hold of an actor: 0 is nothing. */
typedef void (*heads_fn)(uint32_t actor, uint64_t seqs[2]);

static void put_heads(uint32_t actors, heads_fn heads)
{
    for (uint32_t node = 0; node < 2; node++) {
        struct msy_store_txn *txn = NULL;
        assert_int_equal(msy_store_begin(rig.nodes[node].store, MSY_TXN_WRITE, &txn), MESHSYNC_OK);
        for (uint32_t i = 0; i < actors; i++) {
            uint64_t seqs[2];
            heads(i, seqs);
            if (seqs[node] > 0) {
                put_tip(txn, node, i, seqs[node]);
            }
        }
        assert_int_equal(msy_store_commit(txn), MESHSYNC_OK);
    }
}

/* Both anew, over what their stores hold now, until their clocks are known. */
static void meet_again(void)
{
    rig_restart(&rig, 0);
    rig_restart(&rig, 1);
    rig_dial(&rig, 1, 0);
    for (uint32_t i = 0; i < 60; i++) {
        rig_run(&rig, rig.latency_ms);
    }
}

static bool same_tip(const struct msy_tip *a, const struct msy_tip *b)
{
    return msy_actor_equal(&a->actor, &b->actor) && a->seq == b->seq &&
           memcmp(a->hash, b->hash, MSY_TIP_PREFIX_BYTES) == 0;
}

/* Each knows what the other has, tip by tip, and no more. */
static void check_known(void)
{
    for (uint32_t i = 0; i < 2; i++) {
        const struct msy_channel *channel = channel_of(i);
        struct msy_mesh_space *space =
            msy_space_find(rig.nodes[1 - i].mesh, rig.nodes[1 - i].space);
        assert_int_equal(msy_space_vector(rig.nodes[1 - i].mesh, NULL, space), MESHSYNC_OK);
        assert_true(channel->told);
        assert_false(channel->asking || channel->waiting);
        assert_null(channel->seeking);
        assert_null(channel->sketching);
        assert_int_equal(channel->durable.count, space->vector.count);
        for (uint32_t t = 0; t < space->vector.count; t++) {
            assert_true(same_tip(&channel->durable.tips[t], &space->vector.tips[t]));
        }
    }
}

/* --- what it costs ---------------------------------------------------------------------------- */

static uint64_t head_of(uint32_t actor)
{
    return 1 + actor % 700;
}

static bool differs(uint32_t actor)
{
    return actor % (ACTORS / DIFFER) == 7;
}

static void heads_both(uint32_t actor, uint64_t seqs[2])
{
    seqs[0] = head_of(actor) + (differs(actor) && actor % 200 < 100 ? 3 : 0);
    seqs[1] = head_of(actor) + (differs(actor) && actor % 200 >= 100 ? 3 : 0);
}

static void heads_ahead_0(uint32_t actor, uint64_t seqs[2])
{
    seqs[0] = head_of(actor) + (differs(actor) ? 3 : 0);
    seqs[1] = head_of(actor);
}

static void heads_ahead_1(uint32_t actor, uint64_t seqs[2])
{
    seqs[0] = head_of(actor);
    seqs[1] = head_of(actor) + (differs(actor) ? 3 : 0);
}

static void heads_new_0(uint32_t actor, uint64_t seqs[2])
{
    seqs[0] = head_of(actor);
    seqs[1] = differs(actor) ? 0 : head_of(actor);
}

static void heads_new_1(uint32_t actor, uint64_t seqs[2])
{
    seqs[0] = differs(actor) ? 0 : head_of(actor);
    seqs[1] = head_of(actor);
}

static void heads_new_both(uint32_t actor, uint64_t seqs[2])
{
    seqs[0] = differs(actor) && actor % 200 < 100 ? 0 : head_of(actor);
    seqs[1] = differs(actor) && actor % 200 >= 100 ? 0 : head_of(actor);
}

/* The most and the middle of what several meetings cost: ids are others in each session. */
struct cost {
    uint64_t bytes[MEETINGS];
};

static int compare_costs(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void meet_often(struct cost *cost)
{
    for (uint32_t i = 0; i < MEETINGS; i++) {
        meet_again();
        check_known();
        for (uint32_t node = 0; node < 2; node++) {
            assert_int_equal(stats_of(node).clocks_asked, 0);
            assert_int_equal(stats_of(node).clocks_swapped, 1);
        }
        assert_int_equal(stats_of(0).clocks_sought + stats_of(1).clocks_sought, 1);
        cost->bytes[i] = clock_bytes();
    }
    qsort(cost->bytes, MEETINGS, sizeof cost->bytes[0], compare_costs);
}

/* Row 5 of the table in docs/proof.md. */
static void a_hundred_of_ten_thousand_cost_little(void **state)
{
    static const struct {
        const char *name;
        heads_fn heads;
    } cases[] = {{"each is ahead for half of them", heads_both},
                 {"who accepted is ahead", heads_ahead_0},
                 {"who dialled is ahead", heads_ahead_1},
                 {"who dialled lacks them", heads_new_0},
                 {"who accepted lacks them", heads_new_1},
                 {"each lacks half of them", heads_new_both}};
    (void)state;
    for (uint32_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        struct cost cost;
        open_two(0);
        put_heads(ACTORS, cases[c].heads);
        meet_often(&cost);
        rig.nodes[0].lacks = MSY_FEATURE_SKETCH;
        meet_again();
        check_known();
        print_message("%u of %u actors differ, %s: %llu bytes of clock in both directions, %llu "
                      "at most in %u meetings; by whole vectors %llu\n",
                      DIFFER, ACTORS, cases[c].name, (unsigned long long)cost.bytes[MEETINGS / 2],
                      (unsigned long long)cost.bytes[MEETINGS - 1], MEETINGS,
                      (unsigned long long)clock_bytes());
        assert_true(cost.bytes[MEETINGS - 1] <= TARGET_BYTES);
        rig_close(&rig);
    }
}

static void heads_ten(uint32_t actor, uint64_t seqs[2])
{
    seqs[0] = head_of(actor) + (actor % 1000 == 7 ? 1 : 0);
    seqs[1] = head_of(actor);
}

/* Row 4 asks for less, which sketches cannot give: this is what it costs with them. */
static void ten_of_ten_thousand_cost_a_sketch(void **state)
{
    struct cost cost;
    (void)state;
    open_two(0);
    put_heads(ACTORS, heads_ten);
    meet_often(&cost);
    print_message("10 of %u actors wrote: %llu bytes of clock in both directions, %llu at most\n",
                  ACTORS, (unsigned long long)cost.bytes[MEETINGS / 2],
                  (unsigned long long)cost.bytes[MEETINGS - 1]);
    assert_true(cost.bytes[MEETINGS - 1] <= 2000);
    rig_close(&rig);
}

/* --- drawn vectors ---------------------------------------------------------------------------- */

static struct msy_prng drawn;
static uint32_t drawn_percent;

static void heads_drawn(uint32_t actor, uint64_t seqs[2])
{
    struct msy_prng prng; /* Both nodes ask in their turn: the same for the same actor. */
    msy_prng_init(&prng, drawn.state[0] + actor);
    uint64_t seq = 1 + msy_prng_below(&prng, 200);
    uint64_t which = msy_prng_below(&prng, 4);
    seqs[0] = seq;
    seqs[1] = seq;
    if (msy_prng_below(&prng, 100) < drawn_percent) {
        seqs[which % 2] = which < 2 ? 0 : seq + 1 + msy_prng_below(&prng, 100000);
    }
}

static void drawn_vectors_become_known(void **state)
{
    uint64_t seed = number_of("MESHSYNC_SEED", 1);
    uint64_t tries = number_of("MESHSYNC_RUNGS", RUNGS);
    uint64_t swapped = 0, asked = 0;
    (void)state;
    for (uint64_t t = 0; t < tries; t++) {
        msy_prng_init(&drawn, seed + t);
        drawn_percent = (uint32_t)msy_prng_below(&drawn, t % 4 == 0 ? 101 : 12);
        uint32_t actors = (uint32_t)msy_prng_below(&drawn, t % 3 == 0 ? 1500 : 60);
        open_two(2);
        put_heads(actors, heads_drawn);
        meet_again();
        check_known();
        swapped += stats_of(0).clocks_swapped + stats_of(1).clocks_swapped;
        asked += stats_of(0).clocks_asked + stats_of(1).clocks_asked;
        assert_int_equal(rig.nodes[0].alarms + rig.nodes[1].alarms, 0);
        assert_int_equal(rig_sessions(&rig, 0), 1);
        rig_close(&rig);
    }
    print_message("%llu pairs of vectors from seed %llu: %llu became known by what differs, %llu "
                  "were asked for whole\n",
                  (unsigned long long)tries, (unsigned long long)seed, (unsigned long long)swapped,
                  (unsigned long long)asked);
    assert_true(swapped > tries && asked > 0);
}

/* --- others' ways ----------------------------------------------------------------------------- */

static void heads_few(uint32_t actor, uint64_t seqs[2])
{
    seqs[0] = 1 + actor % 9 + (actor % 20 == 3 ? 1 : 0);
    seqs[1] = 1 + actor % 9 + (actor % 20 == 13 ? 1 : 0);
}

/* Who has no sketches, or begins with them at another size, is told whole vectors. */
static void nodes_without_sketches_are_told_as_before(void **state)
{
    static const struct {
        uint64_t lacks[2];
        uint32_t tips_min[2];
    } cases[] = {{{MSY_FEATURE_SKETCH, 0}, {2, 2}},
                 {{0, MSY_FEATURE_SKETCH}, {2, 2}},
                 {{MSY_FEATURE_CLOCK, 0}, {2, 2}},
                 {{0, MSY_FEATURE_CLOCK}, {2, 2}},
                 {{0, 0}, {1000, 2}},
                 {{0, 0}, {2, 1000}}};
    (void)state;
    for (uint32_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        open_two(2);
        put_heads(100, heads_few);
        for (uint32_t node = 0; node < 2; node++) {
            rig.nodes[node].lacks = cases[c].lacks[node];
            rig.nodes[node].sketch_tips_min = cases[c].tips_min[node];
        }
        meet_again();
        check_known();
        assert_int_equal(stats_of(0).clocks_swapped + stats_of(1).clocks_swapped, 0);
        rig_close(&rig);
    }
}

static void heads_equal(uint32_t actor, uint64_t seqs[2])
{
    seqs[0] = 1 + actor % 9;
    seqs[1] = seqs[0];
}

/* Each writes at every moment of the exchange: nothing is missed, nothing taken for known. */
static void more_is_written_meanwhile(void **state)
{
    uint64_t swapped = 0, asked = 0;
    (void)state;
    for (uint32_t moment = 0; moment < 130; moment += 3) {
        open_two(2);
        put_heads(100, heads_equal);
        meet_again();
        rig.latency_ms = 10;
        rig_break(&rig, 0, 1, true);
        rig_run(&rig, 20);
        rig_put(&rig, 0, "c", "of 0");
        rig_put(&rig, 1, "d", "of 1");
        rig_heal(&rig, 0, 1);
        while (rig_sessions(&rig, 0) == 0 || rig_sessions(&rig, 1) == 0) {
            rig_run(&rig, 1);
        }
        rig_run(&rig, moment / 2);
        rig_put(&rig, moment % 2, "e", "meanwhile");
        rig_run(&rig, moment / 3);
        rig_put(&rig, 1 - moment % 2, "f", "meanwhile");
        assert_true(rig_settle(&rig, 10000));
        assert_true(rig_same(&rig, 0, 1));
        check_known();
        assert_int_equal(rig.nodes[0].alarms + rig.nodes[1].alarms, 0);
        swapped += stats_of(0).clocks_swapped + stats_of(1).clocks_swapped;
        asked += stats_of(0).clocks_asked + stats_of(1).clocks_asked;
        rig_close(&rig);
    }
    print_message("%llu vectors became known by what differs and %llu were asked for whole, "
                  "while more was written\n",
                  (unsigned long long)swapped, (unsigned long long)asked);
    assert_true(swapped > 40);
}

/* Steps until node has begun to compare, as who seeks or as who tells. */
static void until_compares(uint32_t node, bool seeks)
{
    const struct msy_channel *channel = NULL;
    for (uint32_t i = 0; i < 5000; i++) {
        const struct msy_mesh *mesh = rig.nodes[node].mesh;
        channel =
            mesh->links_count > 0 ? msy_channel_find(mesh->links[0], rig.nodes[node].space) : NULL;
        if (channel != NULL && (seeks ? channel->seeking : channel->sketching) != NULL) {
            return;
        }
        rig_run(&rig, 1);
    }
    fail();
}

/* What is noted after a vector was kept for comparing, and before that ends, is on top. */
static void what_is_noted_meanwhile_is_kept(void **state)
{
    (void)state;
    for (uint32_t writer = 0; writer < 2; writer++) {
        open_two(2);
        put_heads(100, heads_equal);
        meet_again();
        rig_break(&rig, 0, 1, true);
        rig_run(&rig, 20);
        rig_put(&rig, 0, "c", "of 0");
        rig_put(&rig, 1, "d", "of 1");
        rig.latency_ms = 20;
        rig_heal(&rig, 0, 1);
        until_compares(1, false);
        rig_put(&rig, writer, "e", "meanwhile");
        struct msy_tip tip = rig_tip(&rig, writer);
        rig_run(&rig, 30);
        const struct msy_channel *reader = channel_of(1 - writer);
        const struct msy_tip *noted = msy_vector_get(&reader->durable, &tip.actor);
        assert_true(noted != NULL && noted->seq == tip.seq);
        rig_run(&rig, 60);
        assert_true(reader->told);
        noted = msy_vector_get(&reader->durable, &tip.actor);
        assert_true(noted != NULL && noted->seq == tip.seq);
        assert_true(rig_settle(&rig, 10000));
        assert_true(rig_same(&rig, 0, 1));
        check_known();
        assert_int_equal(stats_of(0).clocks_asked + stats_of(1).clocks_asked, 0);
        rig_close(&rig);
    }
}

/* --- a peer that means no good ---------------------------------------------------------------- */

static struct msy_buf said;

static void say(uint32_t node)
{
    struct msy_mesh_event tick = {.type = MSY_MESH_TICK};
    struct msy_mesh_link *link = rig.nodes[node].mesh->links[0];
    assert_int_equal(msy_buf_append(&link->plain, said.data, said.len), MESHSYNC_OK);
    rig_event(&rig, node, &tick);
    msy_buf_fini(&said);
    msy_buf_init(&said, &rig.alloc, 1 << 22);
}

static void say_seek(uint32_t node, uint64_t first, uint64_t count)
{
    const uint64_t seek[3] = {channel_of(node)->ours, first, count};
    assert_int_equal(msy_message_put_numbers(&said, MSY_MESSAGE_SEEK, seek, 3), MESHSYNC_OK);
}

/* Two equal vectors: neither side needs anything of the other. */
static void open_equal(void)
{
    open_two(2);
    meet_again();
    check_known();
    msy_buf_init(&said, &rig.alloc, 1 << 22);
}

static void close_said(void)
{
    msy_buf_fini(&said);
    rig_close(&rig);
}

static void who_seeks_for_ever_is_told_once(void **state)
{
    (void)state;
    open_equal();
    uint64_t before = stats_of(0).clock_bytes_out;
    for (uint32_t i = 0; i < 12; i++) {
        say_seek(1, 8 * (uint64_t)i, 8);
    }
    say(1);
    rig_run(&rig, 10);
    assert_non_null(channel_of(0)->sketching);
    uint64_t sketches = stats_of(0).clock_bytes_out - before;
    assert_true(sketches > 1152 && sketches < 1500);
    assert_int_equal(rig_sessions(&rig, 0), 1);

    /* What is kept for it goes in the end; then it is told all, once. */
    for (uint32_t i = 0; i < 40; i++) {
        rig_run(&rig, 1000);
    }
    assert_null(channel_of(0)->sketching);
    before = stats_of(0).clock_bytes_out;
    for (uint32_t i = 0; i < 1000; i++) {
        say_seek(1, 0, 4096);
    }
    say(1);
    rig_run(&rig, 10);
    assert_true(stats_of(0).clock_bytes_out - before < 200);
    assert_true(stats_of(0).clock_bytes_out - before > 0);
    assert_int_equal(rig_sessions(&rig, 0), 1);
    close_said();
}

static void who_seeks_out_of_turn_is_sent_away(void **state)
{
    static const uint64_t cases[][2] = {{1, 8},    {0, 0},          {0, 4097},
                                        {4097, 1}, {UINT64_MAX, 2}, {1, UINT64_MAX}};
    (void)state;
    for (uint32_t c = 0; c < sizeof cases / sizeof cases[0] + 2; c++) {
        open_equal();
        if (c < sizeof cases / sizeof cases[0]) {
            say_seek(1, cases[c][0], cases[c][1]);
        } else if (c == sizeof cases / sizeof cases[0]) {
            say_seek(1, 0, 8);
            say_seek(1, 0, 8);
        } else {
            for (uint32_t i = 0; i < 13; i++) {
                say_seek(1, i, 1);
            }
        }
        say(1);
        rig_run(&rig, 10);
        assert_int_equal(rig.nodes[0].went_status, MESHSYNC_E_PROTOCOL);
        close_said();
    }
}

static void sketches_are_for_who_offered_them(void **state)
{
    const uint8_t symbols[MSY_SKETCH_SYMBOL_BYTES] = {0};
    (void)state;
    for (uint32_t which = 0; which < 3; which++) {
        open_equal();
        rig.nodes[1].lacks = MSY_FEATURE_SKETCH;
        meet_again();
        const struct msy_sketch_part part = {.channel = channel_of(1)->ours,
                                             .symbols = {symbols, sizeof symbols}};
        const struct msy_swap swap = {.channel = channel_of(1)->ours, .digest = part.symbols.data};
        uint8_t digest[MSY_CLOCK_BYTES] = {0};
        struct msy_swap question = swap;
        question.digest = digest;
        if (which == 0) {
            say_seek(1, 0, 8);
        } else if (which == 1) {
            assert_int_equal(msy_message_put_sketch(&said, &part), MESHSYNC_OK);
        } else {
            assert_int_equal(msy_message_put_swap(&said, &question), MESHSYNC_OK);
        }
        say(1);
        rig_run(&rig, 10);
        assert_int_equal(rig.nodes[0].went_status, MESHSYNC_E_PROTOCOL);
        close_said();
    }
}

static void open_differing(void)
{
    open_two(2);
    put_heads(200, heads_few);
    rig.latency_ms = 20;
    rig_restart(&rig, 0);
    rig_restart(&rig, 1);
    rig_dial(&rig, 1, 0);
    msy_buf_init(&said, &rig.alloc, 1 << 22);
}

/* A SWAP that tells something else than its digest is answered, and not believed. */
static void lies_are_not_taken_for_a_vector(void **state)
{
    (void)state;
    for (uint32_t lie = 0; lie < 3; lie++) {
        open_differing();
        until_compares(1, false);
        uint8_t digest[MSY_CLOCK_BYTES] = {1, 2, 3};
        uint8_t bytes[64] = {0};
        struct msy_swap swap = {.channel = channel_of(0)->ours, .digest = digest};
        if (lie == 1) { /* Ids that nobody has. */
            msy_put_be32(bytes + 4, 1);
            swap.asks = msy_bytes(bytes, 8);
        } else if (lie == 2) { /* An actor that is nobody's. */
            bytes[16] = 5;
            swap.tips = msy_bytes(bytes, 25);
        }
        assert_int_equal(msy_message_put_swap(&said, &swap), MESHSYNC_OK);
        say(0);
        rig_run(&rig, 21);
        assert_false(channel_of(1)->told);
        assert_true(channel_of(1)->asking);
        assert_int_equal(stats_of(1).clocks_asked, 1);
        rig_run(&rig, 200);
        check_known();
        assert_int_equal(rig_sessions(&rig, 0), 1);
        close_said();
    }
}

/* Symbols that nobody asked for, or of no vector. */
static void nonsense_for_a_sketch_ends_it(void **state)
{
    uint8_t symbols[8 * MSY_SKETCH_SYMBOL_BYTES];
    (void)state;
    memset(symbols, 0xA5, sizeof symbols);
    for (uint32_t which = 0; which < 4; which++) {
        open_differing();
        until_compares(0, true);
        const struct msy_sketch_part part = {
            .channel = channel_of(1)->ours,
            .first = which == 1 ? 1 : 0,
            .tips = which == 2 ? 65537 : 200,
            .symbols = {symbols, which == 3 ? sizeof symbols / 2 : sizeof symbols}};
        assert_int_equal(msy_message_put_sketch(&said, &part), MESHSYNC_OK);
        say(1);
        rig_run(&rig, 21);
        if (which == 0) { /* No number of symbols would do: it asks for the vector. */
            assert_int_equal(stats_of(0).clocks_asked, 1);
            rig_run(&rig, 200);
            check_known();
        } else {
            assert_int_equal(rig.nodes[0].went_status, MESHSYNC_E_PROTOCOL);
        }
        close_said();
    }
}

/* Who dialled leaves it to the other to begin; one that does not is asked. */
static void nobody_waits_for_ever(void **state)
{
    (void)state;
    open_differing();
    struct msy_channel *channel = NULL;
    while (channel == NULL) {
        rig_run(&rig, 1);
        const struct msy_mesh *mesh = rig.nodes[0].mesh;
        channel =
            mesh->links_count > 0 ? msy_channel_find(mesh->links[0], rig.nodes[0].space) : NULL;
    }
    channel->asking = true; /* So that it takes its peer's digest for an old one. */
    rig_run(&rig, 200);
    assert_true(channel_of(1)->waiting);
    for (uint32_t i = 0; i < 10; i++) {
        rig_run(&rig, 1000);
    }
    assert_true(channel_of(1)->told);
    assert_int_equal(stats_of(1).clocks_asked, 1);
    close_said();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hundred_of_ten_thousand_cost_little),
        cmocka_unit_test(ten_of_ten_thousand_cost_a_sketch),
        cmocka_unit_test(drawn_vectors_become_known),
        cmocka_unit_test(nodes_without_sketches_are_told_as_before),
        cmocka_unit_test(more_is_written_meanwhile),
        cmocka_unit_test(what_is_noted_meanwhile_is_kept),
        cmocka_unit_test(who_seeks_for_ever_is_told_once),
        cmocka_unit_test(who_seeks_out_of_turn_is_sent_away),
        cmocka_unit_test(sketches_are_for_who_offered_them),
        cmocka_unit_test(lies_are_not_taken_for_a_vector),
        cmocka_unit_test(nonsense_for_a_sketch_ends_it),
        cmocka_unit_test(nobody_waits_for_ever),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
