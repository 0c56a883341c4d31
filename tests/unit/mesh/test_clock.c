/* SPDX-License-Identifier: Apache-2.0 */
/* Shows that replicas which hold the same tell each other so by a digest, that a digest which does
 * not say all is followed by the vector, and that nodes without digests are told as before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "mesh/machine.h"
#include "unit/mesh/rig.h"

static struct rig rig;

enum { CLOCK_TARGET_BYTES = 64, CLOCK_ACTORS = 10000 };

static struct msy_mesh_stats stats_of(uint32_t node)
{
    struct msy_mesh_stats stats;
    msy_mesh_get_stats(rig.nodes[node].mesh, &stats);
    return stats;
}

static struct msy_channel *channel_of(uint32_t node)
{
    struct msy_mesh *mesh = rig.nodes[node].mesh;
    assert_true(mesh->links_count > 0);
    assert_int_equal(mesh->links[0]->state, MSY_LINK_LIVE);
    return msy_channel_find(mesh->links[0], rig.nodes[node].space);
}

/* Two nodes in sync, each with changes of both. */
static void open_two(void)
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
}

/* Tips of actors that nobody can fetch, straight into the table of tips: for digests that is all
 * there is. fork: another change at this index. */
static void grow_clock(uint32_t node, uint32_t count, uint32_t fork)
{
    struct rig_node *at = &rig.nodes[node];
    struct msy_store_txn *txn = NULL;
    uint8_t key[MSY_CLOCK_KEY_BYTES];
    uint8_t value[MSY_TIP_VALUE_BYTES];
    assert_int_equal(msy_store_begin(at->store, MSY_TXN_WRITE, &txn), MESHSYNC_OK);
    for (uint32_t i = 0; i < count; i++) {
        struct msy_tip tip = {.seq = 1 + i % 100};
        msy_put_be64(tip.actor.id, (uint64_t)i * UINT64_C(0x9E3779B97F4A7C15));
        msy_put_be32(tip.hash, i == fork ? ~i : i);
        msy_tip_value(value, &tip);
        assert_int_equal(msy_store_put(txn, MSY_TABLE_CLOCK,
                                       msy_key_clock(key, at->space, &tip.actor),
                                       msy_bytes(value, sizeof value), MSY_PUT_ANY),
                         MESHSYNC_OK);
    }
    assert_int_equal(msy_store_commit(txn), MESHSYNC_OK);
}

/* Both anew, over what their stores hold now, until their clocks are known. */
static void meet_again(void)
{
    rig_restart(&rig, 0);
    rig_restart(&rig, 1);
    rig_dial(&rig, 1, 0);
    for (uint32_t i = 0; i < 100; i++) {
        rig_run(&rig, rig.latency_ms);
    }
}

static void equal_replicas_need_a_digest(void **state)
{
    (void)state;
    open_two();
    meet_again();
    for (uint32_t i = 0; i < 2; i++) {
        struct msy_mesh_stats stats = stats_of(i);
        assert_int_equal(stats.clocks_equal, 1);
        assert_int_equal(stats.clocks_asked, 0);
        assert_true(stats.clock_bytes_out > 0 && stats.clock_bytes_out <= CLOCK_TARGET_BYTES);
        assert_true(channel_of(i)->told);
    }
    assert_true(rig_settle(&rig, 1000));

    /* What the digest made known counts as if it had been told: who holds what, and pushes. */
    struct msy_tip tip = rig_tip(&rig, 0);
    uint32_t holders = 0;
    assert_int_equal(
        msy_mesh_holders(rig.nodes[0].mesh, rig.nodes[0].space, &tip.actor, tip.seq, &holders),
        MESHSYNC_OK);
    assert_int_equal(holders, 1);
    uint64_t pushed = stats_of(0).changes_out;
    rig_put(&rig, 0, "c", "2");
    rig_run(&rig, rig.latency_ms);
    assert_true(rig_same(&rig, 0, 1));
    assert_int_equal(stats_of(0).changes_out, pushed + 1);
    rig_close(&rig);
}

static void the_digest_does_not_grow(void **state)
{
    (void)state;
    open_two();
    grow_clock(0, CLOCK_ACTORS, UINT32_MAX);
    grow_clock(1, CLOCK_ACTORS, UINT32_MAX);
    meet_again();
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(stats_of(i).clocks_equal, 1);
        assert_true(stats_of(i).clock_bytes_out <= CLOCK_TARGET_BYTES);
        assert_true(channel_of(i)->durable.count > CLOCK_ACTORS);
    }
    print_message("%u tips: %llu bytes of clock each way\n", channel_of(0)->durable.count,
                  (unsigned long long)stats_of(0).clock_bytes_out);
    rig_close(&rig);
}

static void another_change_of_the_same_number_is_another_digest(void **state)
{
    (void)state;
    open_two();
    grow_clock(0, 100, UINT32_MAX);
    grow_clock(1, 100, 50);
    meet_again();
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(stats_of(i).clocks_equal, 0);
        assert_int_equal(stats_of(i).clocks_swapped, 1);
        assert_true(channel_of(i)->told);
    }
    rig_close(&rig);
}

static void what_differs_is_asked_for(void **state)
{
    (void)state;
    open_two();
    rig_break(&rig, 0, 1, true);
    rig_run(&rig, 10);
    rig_put(&rig, 0, "c", "of 0");
    rig_put(&rig, 1, "c", "of 1");
    rig_heal(&rig, 0, 1);
    rig_run(&rig, 5000); /* Until it is dialled again. */
    assert_true(rig_settle(&rig, 10000));
    assert_true(rig_same(&rig, 0, 1));
    assert_int_equal(rig.nodes[0].alarms + rig.nodes[1].alarms, 0);
    assert_true(stats_of(0).clocks_asked > 0 && stats_of(1).clocks_asked > 0);

    /* The digest follows what came since it was last computed. */
    uint64_t equal[2] = {stats_of(0).clocks_equal, stats_of(1).clocks_equal};
    rig_break(&rig, 0, 1, false);
    rig_run(&rig, 5000);
    assert_int_equal(stats_of(0).clocks_equal, equal[0] + 1);
    assert_int_equal(stats_of(1).clocks_equal, equal[1] + 1);
    rig_close(&rig);
}

/* A digest is on its way while more is written: a note overtakes the vector that is asked for. */
static void notes_may_come_before_the_vector(void **state)
{
    (void)state;
    open_two();
    rig_break(&rig, 0, 1, true);
    rig_run(&rig, 20);
    rig_put(&rig, 1, "c", "of 1");
    rig.latency_ms = 20;
    rig_heal(&rig, 0, 1);
    const struct msy_channel *channel = NULL;
    for (uint32_t i = 0; i < 5000 && (channel == NULL || !channel->asking); i++) {
        rig_run(&rig, 1);
        const struct msy_mesh *mesh = rig.nodes[0].mesh;
        channel =
            mesh->links_count > 0 ? msy_channel_find(mesh->links[0], rig.nodes[0].space) : NULL;
    }
    assert_true(channel != NULL && channel->asking && channel->durable.count == 0);
    rig_put(&rig, 1, "d", "noted");
    struct msy_tip tip = rig_tip(&rig, 1);
    rig_run(&rig, 30);
    assert_true(channel->asking && channel->durable.count == 1);
    assert_int_equal(channel->durable.tips[0].seq, tip.seq);
    rig_run(&rig, 30);
    assert_true(channel->told && channel->durable.count == 2);
    assert_true(rig_settle(&rig, 10000));
    assert_true(rig_same(&rig, 0, 1));
    assert_int_equal(rig.nodes[0].alarms + rig.nodes[1].alarms, 0);
    assert_int_equal(rig.nodes[0].went, 1);
    rig_close(&rig);
}

static void nodes_without_digests_are_told_as_before(void **state)
{
    (void)state;
    for (uint32_t who = 0; who < 3; who++) {
        open_two();
        rig.nodes[0].lacks = who != 1 ? MSY_FEATURE_CLOCK : 0;
        rig.nodes[1].lacks = who != 0 ? MSY_FEATURE_CLOCK : 0;
        meet_again();
        assert_true(rig_settle(&rig, 5000));
        for (uint32_t i = 0; i < 2; i++) {
            assert_int_equal(stats_of(i).clocks_equal + stats_of(i).clocks_asked, 0);
            assert_true(channel_of(i)->told);
        }
        rig_put(&rig, 0, "c", "2");
        rig_put(&rig, 1, "d", "3");
        assert_true(rig_settle(&rig, 5000));
        assert_true(rig_same(&rig, 0, 1));
        rig_close(&rig);
    }
}

static void an_old_backup_is_found_out(void **state)
{
    (void)state;
    open_two();
    rig_backup(&rig, 1);
    rig_put(&rig, 1, "later", "than the backup");
    rig_put(&rig, 0, "later too", "than the backup");
    assert_true(rig_settle(&rig, 5000));
    rig_restore(&rig, 1);
    rig_dial(&rig, 1, 0);
    assert_true(rig_settle(&rig, 20000));
    assert_true(rig_same(&rig, 0, 1));
    assert_int_equal(stats_of(1).clocks_equal, 0);
    assert_int_equal(stats_of(1).clocks_asked, 1);
    rig_close(&rig);
}

/* --- a peer that means no good ---------------------------------------------------------------- */

static void say(uint32_t node, const struct msy_buf *bytes)
{
    struct msy_mesh_event tick = {.type = MSY_MESH_TICK};
    struct msy_mesh_link *link = rig.nodes[node].mesh->links[0];
    assert_int_equal(msy_buf_append(&link->plain, bytes->data, bytes->len), MESHSYNC_OK);
    rig_event(&rig, node, &tick);
    rig_run(&rig, 2 * rig.latency_ms);
}

static void who_asks_again_is_not_answered_again(void **state)
{
    (void)state;
    struct msy_buf buf;
    open_two();
    meet_again();
    msy_buf_init(&buf, &rig.alloc, 1 << 20);
    const uint64_t ask[2] = {channel_of(1)->ours, MSY_CLOCK_RUNG_VECTOR};
    for (uint32_t i = 0; i < 1000; i++) {
        assert_int_equal(msy_message_put_numbers(&buf, MSY_MESSAGE_ASK, ask, 2), MESHSYNC_OK);
    }
    uint64_t before = stats_of(0).clock_bytes_out;
    say(1, &buf);
    uint64_t once = stats_of(0).clock_bytes_out - before;
    assert_true(once > 0 && once < 200); /* Three tips, and once. */
    assert_true(rig_settle(&rig, 1000));
    say(1, &buf);
    assert_int_equal(stats_of(0).clock_bytes_out, before + once);
    assert_int_equal(rig_sessions(&rig, 0), 1);
    msy_buf_fini(&buf);
    rig_close(&rig);
}

static void digests_after_the_first_are_skipped(void **state)
{
    (void)state;
    struct msy_buf buf;
    uint8_t digest[MSY_CLOCK_BYTES];
    open_two();
    meet_again();
    memset(digest, 3, sizeof digest);
    msy_buf_init(&buf, &rig.alloc, 1 << 20);
    for (uint32_t i = 0; i < 1000; i++) {
        assert_int_equal(msy_message_put_clock(&buf, channel_of(1)->ours, digest), MESHSYNC_OK);
    }
    uint64_t before = stats_of(0).clock_bytes_out;
    say(1, &buf);
    assert_int_equal(stats_of(0).clock_bytes_out, before);
    assert_true(channel_of(0)->told);
    assert_int_equal(rig_sessions(&rig, 0), 1);
    msy_buf_fini(&buf);
    rig_close(&rig);
}

/* Who said that it knows no digests may not use them. */
static void digests_are_for_who_offered_them(void **state)
{
    (void)state;
    for (uint32_t which = 0; which < 2; which++) {
        struct msy_buf buf;
        uint8_t digest[MSY_CLOCK_BYTES] = {0};
        open_two();
        rig.nodes[1].lacks = MSY_FEATURE_CLOCK;
        meet_again();
        const uint64_t ask[2] = {channel_of(1)->ours, MSY_CLOCK_RUNG_VECTOR};
        msy_buf_init(&buf, &rig.alloc, 1 << 20);
        assert_int_equal(which == 0 ? msy_message_put_clock(&buf, channel_of(1)->ours, digest)
                                    : msy_message_put_numbers(&buf, MSY_MESSAGE_ASK, ask, 2),
                         MESHSYNC_OK);
        say(1, &buf);
        assert_int_equal(rig.nodes[0].went_status, MESHSYNC_E_PROTOCOL);
        msy_buf_fini(&buf);
        rig_close(&rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_replicas_need_a_digest),
        cmocka_unit_test(the_digest_does_not_grow),
        cmocka_unit_test(another_change_of_the_same_number_is_another_digest),
        cmocka_unit_test(what_differs_is_asked_for),
        cmocka_unit_test(notes_may_come_before_the_vector),
        cmocka_unit_test(nodes_without_digests_are_told_as_before),
        cmocka_unit_test(an_old_backup_is_found_out),
        cmocka_unit_test(who_asks_again_is_not_answered_again),
        cmocka_unit_test(digests_after_the_first_are_skipped),
        cmocka_unit_test(digests_are_for_who_offered_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
