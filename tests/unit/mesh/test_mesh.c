/* SPDX-License-Identifier: Apache-2.0 */
/* Shows that a few mesh machines with real replicas find each other, catch up, push, acknowledge,
 * survive lost links, and let nobody in who may not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mesh/machine.h"
#include "unit/mesh/rig.h"

static struct rig rig;

static void put_many(uint32_t node, uint32_t from, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        char key[32];
        char value[32];
        (void)snprintf(key, sizeof key, "key-%u", (from + i) % 50);
        (void)snprintf(value, sizeof value, "%u of %u", from + i, node);
        rig_put(&rig, node, key, value);
    }
}

static void open_joined(uint32_t count)
{
    rig_open(&rig, count);
    rig_found(&rig);
    for (uint32_t i = 1; i < count; i++) {
        rig_join(&rig, i);
        rig_dial(&rig, i, 0);
        /* Joining ends in the replica, which is told of the time. */
        assert_true(rig_settle(&rig, 5000));
    }
}

static void two_nodes_catch_up_and_then_push(void **state)
{
    (void)state;
    rig_open(&rig, 2);
    rig_found(&rig);
    put_many(0, 0, 300);
    rig_join(&rig, 1);
    rig_dial(&rig, 1, 0);
    assert_true(rig_settle(&rig, 5000));
    assert_true(rig_same(&rig, 0, 1));
    assert_int_equal(rig.nodes[1].synced, 1);
    assert_true(rig_changes(&rig, 1) >= 302);

    /* A write is at the other node one way later, and known to be durable there on the way back. */
    struct msy_tip tip;
    uint32_t holders = 9;
    rig_put(&rig, 0, "live", "yes");
    tip = rig_tip(&rig, 0);
    assert_int_equal(
        msy_mesh_holders(rig.nodes[0].mesh, rig.nodes[0].space, &tip.actor, tip.seq, &holders),
        MESHSYNC_OK);
    assert_int_equal(holders, 0);
    rig_run(&rig, rig.latency_ms);
    assert_true(rig_same(&rig, 0, 1));
    rig_run(&rig, 5 + rig.latency_ms);
    assert_int_equal(
        msy_mesh_holders(rig.nodes[0].mesh, rig.nodes[0].space, &tip.actor, tip.seq, &holders),
        MESHSYNC_OK);
    assert_int_equal(holders, 1);

    /* And the other way. */
    put_many(1, 1000, 100);
    assert_true(rig_settle(&rig, 1000));
    assert_true(rig_same(&rig, 0, 1));
    assert_int_equal(rig.nodes[0].alarms + rig.nodes[1].alarms, 0);
    rig_close(&rig);
}

static void a_newcomer_becomes_a_member(void **state)
{
    (void)state;
    open_joined(2);
    put_many(1, 0, 5);
    assert_true(rig_settle(&rig, 3000));
    assert_true(rig_same(&rig, 0, 1));
    assert_int_equal(rig_sessions(&rig, 0), 1);
    rig_close(&rig);
}

static void a_stranger_learns_nothing(void **state)
{
    (void)state;
    rig_open(&rig, 3);
    rig_found(&rig);
    put_many(0, 0, 10);
    rig_dial(&rig, 1, 0);
    rig_run(&rig, 1000);
    assert_int_equal(rig_sessions(&rig, 0), 1);
    assert_int_equal(rig_changes(&rig, 1), 0);
    const struct msy_mesh_link *link = rig.nodes[0].mesh->links[0];
    assert_int_equal(link->channels_count, 0);
    assert_false(link->opened);

    /* Nor does one who knows how to find the space, and has an invitation that is not on record. */
    memset(rig.ticket.invite_seed, 78, sizeof rig.ticket.invite_seed);
    rig_join(&rig, 2);
    rig_dial(&rig, 2, 0);
    rig_run(&rig, 1000);
    assert_int_equal(rig_changes(&rig, 2), 1); /* Its own application. */
    assert_int_equal(rig_changes(&rig, 0), 13);
    rig_close(&rig);
}

static void a_full_mesh_pushes_each_change_once(void **state)
{
    (void)state;
    struct msy_mesh_stats before[4];
    struct msy_mesh_stats after[4];
    open_joined(4);
    rig_dial(&rig, 1, 2);
    rig_dial(&rig, 1, 3);
    rig_dial(&rig, 2, 3);
    assert_true(rig_settle(&rig, 5000));
    put_many(0, 0, 10); /* The first duplicates prune the links that need not push. */
    assert_true(rig_settle(&rig, 5000));
    for (uint32_t i = 0; i < 4; i++) {
        msy_mesh_get_stats(rig.nodes[i].mesh, &before[i]);
    }
    for (uint32_t i = 0; i < 20; i++) {
        put_many(0, 100 + i, 1);
        assert_true(rig_settle(&rig, 1000));
    }
    uint64_t sent = 0;
    for (uint32_t i = 0; i < 4; i++) {
        msy_mesh_get_stats(rig.nodes[i].mesh, &after[i]);
        sent += after[i].changes_out - before[i].changes_out;
        assert_true(rig_same(&rig, 0, i));
    }
    assert_int_equal(sent, 60);
    rig_close(&rig);
}

static void a_chain_forwards_what_others_wrote(void **state)
{
    (void)state;
    rig_open(&rig, 3);
    rig_found(&rig);
    rig_join(&rig, 1);
    rig_dial(&rig, 1, 0);
    assert_true(rig_settle(&rig, 3000));
    rig.cut[0][2] = true; /* Learnt addresses must not make it a triangle. */
    rig.cut[2][0] = true;
    rig_join(&rig, 2);
    rig_dial(&rig, 2, 1);
    assert_true(rig_settle(&rig, 5000));
    put_many(0, 0, 20);
    put_many(2, 100, 20);
    assert_true(rig_settle(&rig, 5000));
    assert_true(rig_same(&rig, 0, 2));
    assert_true(rig_same(&rig, 0, 1));
    rig_close(&rig);
}

static void peers_learn_addresses_from_peers(void **state)
{
    (void)state;
    open_joined(3);
    for (uint32_t i = 0; i < 3; i++) {
        char address[64];
        struct msy_mesh_event event = {.type = MSY_MESH_LISTENING, .text = address};
        /* Any address: the peer sees the host. */
        (void)snprintf(address, sizeof address, "0.0.0.0:4000");
        rig_event(&rig, i, &event);
    }
    rig_run(&rig, 5000);
    assert_int_equal(rig_sessions(&rig, 0), 2);
    assert_int_equal(rig_sessions(&rig, 1), 2);
    assert_int_equal(rig_sessions(&rig, 2), 2);
    /* So the one that all knew is not needed any more. */
    rig_break(&rig, 0, 1, true);
    rig_break(&rig, 0, 2, true);
    put_many(1, 0, 5);
    rig_run(&rig, 3000);
    assert_true(rig_same(&rig, 1, 2));
    rig_close(&rig);
}

static void a_lost_link_is_made_again(void **state)
{
    (void)state;
    open_joined(2);
    for (uint32_t round = 0; round < 5; round++) {
        rig_break(&rig, 0, 1, true);
        put_many(0, 10 * round, 10);
        put_many(1, 10 * round, 10);
        rig_run(&rig, 1000);
        assert_int_equal(rig_sessions(&rig, 0), 0);
        rig_heal(&rig, 0, 1);
        rig_run(&rig, 2500); /* More than the longest back-off. */
        assert_true(rig_settle(&rig, 3000));
        assert_true(rig_same(&rig, 0, 1));
    }
    rig_close(&rig);
}

static void a_silent_peer_is_given_up(void **state)
{
    (void)state;
    open_joined(2);
    rig_run(&rig, 60000);
    assert_int_equal(rig_sessions(&rig, 0), 1); /* Keep-alives keep it. */
    rig_stick(&rig, 0, 1);
    rig_run(&rig, 7500);
    assert_int_equal(rig_sessions(&rig, 0), 1);
    rig_run(&rig, 1000);
    assert_int_equal(rig.nodes[0].went, 1);
    assert_int_equal(rig.nodes[0].went_status, MESHSYNC_E_UNREACHABLE);
    rig_run(&rig, 5000);
    assert_int_equal(rig_sessions(&rig, 0), 1); /* A new link. */
    rig_close(&rig);
}

static void two_sessions_with_a_peer_become_one(void **state)
{
    (void)state;
    rig_open(&rig, 2);
    rig_found(&rig);
    rig_join(&rig, 1);
    rig_dial(&rig, 1, 0);
    rig_dial(&rig, 0, 1); /* Both dial at once. */
    rig_run(&rig, 100);
    assert_int_equal(rig_sessions(&rig, 0), 2);
    rig_run(&rig, 2000);
    assert_int_equal(rig_sessions(&rig, 0), 1);
    assert_int_equal(rig_sessions(&rig, 1), 1);
    uint32_t dialled = rig.nodes[0].dialled + rig.nodes[1].dialled;
    rig_run(&rig, 60000);
    assert_int_equal(rig.nodes[0].dialled + rig.nodes[1].dialled, dialled); /* No flapping. */
    assert_int_equal(rig.nodes[0].came, 1);
    assert_int_equal(rig.nodes[0].went, 0);
    rig_close(&rig);
}

static void a_node_does_not_talk_to_itself(void **state)
{
    (void)state;
    rig_open(&rig, 1);
    rig_found(&rig);
    rig_dial(&rig, 0, 0);
    rig_run(&rig, 30000);
    assert_int_equal(rig_sessions(&rig, 0), 0);
    assert_int_equal(rig.nodes[0].dialled, 1);
    rig_close(&rig);
}

static void clones_meet(void **state)
{
    (void)state;
    open_joined(2);
    uint32_t clone = rig_clone(&rig, 1);
    rig_put(&rig, 1, "a", "by the first");
    rig_put(&rig, clone, "b", "by its copy");
    rig_dial(&rig, clone, 0);
    rig_dial(&rig, clone, 1);
    rig_run(&rig, 5000);
    assert_int_equal(rig_changes(&rig, 0), rig_changes(&rig, 1));
    assert_int_equal(rig_changes(&rig, 0), rig_changes(&rig, clone));
    rig_close(&rig);
}

static void goodbyes_are_said(void **state)
{
    (void)state;
    open_joined(2);
    struct msy_mesh_event stop = {.type = MSY_MESH_STOP};
    rig_event(&rig, 1, &stop);
    rig_run(&rig, 10);
    assert_int_equal(rig_sessions(&rig, 0), 0);
    assert_int_equal(rig_sessions(&rig, 1), 0);
    assert_int_equal(rig.nodes[0].went_status, MESHSYNC_E_CANCELLED);
    rig_run(&rig, 5000);
    assert_int_equal(rig_sessions(&rig, 0), 0);
    rig_close(&rig);
}

static void seeds_can_be_removed(void **state)
{
    (void)state;
    open_joined(2);
    struct msy_mesh_event remove = {.type = MSY_MESH_PEER_REMOVE, .text = "10.0.0.0:4000"};
    rig_event(&rig, 1, &remove);
    rig_run(&rig, 10000);
    assert_int_equal(rig_sessions(&rig, 0), 0);
    struct msy_mesh_effects effects;
    uint64_t timer_ms = 0;
    msy_mesh_effects_init(&effects, &rig.alloc);
    remove.now_ms = rig.now_ms;
    assert_int_equal(msy_mesh_step(rig.nodes[1].mesh, &remove, &effects, &timer_ms),
                     MESHSYNC_E_NOT_FOUND);
    struct msy_mesh_event add = {.type = MSY_MESH_PEER_ADD, .text = "", .now_ms = rig.now_ms};
    assert_int_equal(msy_mesh_step(rig.nodes[1].mesh, &add, &effects, &timer_ms),
                     MESHSYNC_E_INVALID);
    msy_mesh_effects_fini(&effects);
    rig_close(&rig);
}

static void restarts_are_survived(void **state)
{
    (void)state;
    open_joined(3);
    for (uint32_t round = 0; round < 6; round++) {
        put_many(round % 3, 10 * round, 7);
        rig_restart(&rig, round % 3);
        if (round % 3 != 0) {
            rig_dial(&rig, round % 3, 0);
        }
        put_many((round + 1) % 3, 10 * round, 7);
        rig_run(&rig, 500);
    }
    rig_run(&rig, 3000);
    assert_true(rig_settle(&rig, 5000));
    assert_true(rig_same(&rig, 0, 1));
    assert_true(rig_same(&rig, 0, 2));
    rig_close(&rig);
}

static void large_changes_travel(void **state)
{
    (void)state;
    rig_open(&rig, 2);
    rig_found(&rig);
    for (uint32_t i = 0; i < 4; i++) {
        rig_put_large(&rig, 0, i % 2 == 0 ? "large" : "larger", 3u << 20);
    }
    rig_join(&rig, 1);
    rig_dial(&rig, 1, 0);
    assert_true(rig_settle(&rig, 5000));
    assert_true(rig_same(&rig, 0, 1));
    rig_put_large(&rig, 0, "live", 2u << 20); /* Too large to push: noted, and fetched. */
    assert_true(rig_settle(&rig, 5000));
    assert_true(rig_same(&rig, 0, 1));
    rig_close(&rig);
}

static void credits_bound_what_a_deaf_peer_is_sent(void **state)
{
    (void)state;
    rig_open(&rig, 2);
    rig_found(&rig);
    for (uint32_t i = 0; i < 40; i++) {
        rig_put_large(&rig, 0, "k", 200000);
    }
    rig.nodes[1].lacks = MSY_FEATURE_PACKED; /* So that bytes are what they are. */
    rig_restart(&rig, 1);
    rig_join(&rig, 1);
    rig.nodes[1].deaf = true;
    rig_dial(&rig, 1, 0);
    rig_run(&rig, 2500);
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < rig.links_count; i++) {
        bytes += rig.links[i].bytes;
    }
    assert_true(bytes > MSY_STREAM_CREDIT_BYTES);
    assert_true(bytes < 2 * MSY_STREAM_CREDIT_BYTES);
    rig_close(&rig);
}

static void a_writer_that_never_rests_is_caught_up_with(void **state)
{
    (void)state;
    rig_open(&rig, 2);
    rig_found(&rig);
    put_many(0, 0, 500);
    rig_join(&rig, 1);
    rig_dial(&rig, 1, 0);
    for (uint32_t i = 0; i < 300; i++) {
        put_many(0, i, 3);
        rig_run(&rig, 1);
    }
    /* Still writing, it is one write behind: changes are pushed, not fetched. */
    assert_true(rig_changes(&rig, 0) - rig_changes(&rig, 1) <= 6);
    assert_true(rig_settle(&rig, 1000));
    assert_true(rig_same(&rig, 0, 1));
    rig_close(&rig);
}

static void peers_are_shown(void **state)
{
    (void)state;
    open_joined(2);
    rig_break(&rig, 0, 1, true);
    rig_run(&rig, 1000);
    meshsync_peer_info info = {.size = sizeof info};
    bool idle = false;
    for (uint32_t i = 0; msy_mesh_peer_at(rig.nodes[1].mesh, i, &info) == MESHSYNC_OK; i++) {
        idle = idle || (info.state != MESHSYNC_PEER_LIVE && info.has_id == 1 &&
                        info.last_error == MESHSYNC_E_UNREACHABLE &&
                        strcmp(info.address, "10.0.0.0:4000") == 0);
    }
    put_many(0, 0, 3);
    rig_heal(&rig, 0, 1);
    rig_run(&rig, 4000);
    assert_int_equal(msy_mesh_peer_at(rig.nodes[1].mesh, 0, &info), MESHSYNC_OK);
    assert_int_equal(info.state, MESHSYNC_PEER_LIVE);
    assert_int_equal(info.spaces, 1);
    assert_int_equal(info.lag_changes, 0);
    assert_int_equal(info.behind_changes, 0);
    assert_int_equal(info.outbound, 1);
    assert_true(info.rtt_us >= 2000);
    assert_true(info.bytes_in > 0 && info.bytes_out > 0 && info.last_heard_ms > 0);
    assert_int_equal(msy_mesh_peer_at(rig.nodes[1].mesh, 1, &info), MESHSYNC_E_END);
    assert_true(idle);
    rig_close(&rig);
}

static void holders_are_remembered(void **state)
{
    (void)state;
    uint32_t holders = 0;
    open_joined(3);
    rig_put(&rig, 0, "a", "b");
    struct msy_tip tip = rig_tip(&rig, 0);
    assert_true(rig_settle(&rig, 1000));
    rig_break(&rig, 0, 1, true);
    rig_break(&rig, 0, 2, true);
    rig_run(&rig, 100);
    assert_int_equal(
        msy_mesh_holders(rig.nodes[0].mesh, rig.nodes[0].space, &tip.actor, tip.seq, &holders),
        MESHSYNC_OK);
    assert_int_equal(holders, 2);
    assert_int_equal(
        msy_mesh_holders(rig.nodes[0].mesh, rig.nodes[0].space, &tip.actor, tip.seq + 1, &holders),
        MESHSYNC_OK);
    assert_int_equal(holders, 0);
    rig_close(&rig);
}

/* Each joined while the other was away, and who knew both is gone. */
static void members_introduce_themselves(void **state)
{
    (void)state;
    rig_open(&rig, 3);
    rig_found(&rig);
    for (uint32_t i = 1; i < 3; i++) {
        rig_join(&rig, i);
        rig_dial(&rig, i, 0);
        assert_true(rig_settle(&rig, 5000));
        rig_break(&rig, 0, i, true);
        rig_run(&rig, 10);
    }
    rig_restart(&rig, 1); /* What was learnt of others is no help. */
    put_many(1, 0, 3);
    put_many(2, 0, 3);
    rig_dial(&rig, 1, 2);
    rig_run(&rig, 2000);
    assert_true(rig_settle(&rig, 2000));
    assert_true(rig_same(&rig, 1, 2));
    rig_close(&rig);
}

/* It has forgotten the members, and hears of them by those whom it does not let in yet. */
static void an_old_backup_hears_of_members(void **state)
{
    (void)state;
    rig_open(&rig, 2);
    rig_found(&rig);
    rig_backup(&rig, 0);
    rig_join(&rig, 1);
    rig_dial(&rig, 1, 0);
    assert_true(rig_settle(&rig, 5000));
    put_many(0, 0, 20);
    put_many(1, 0, 20);
    assert_true(rig_settle(&rig, 5000));
    rig_restore(&rig, 0);
    put_many(0, 100, 2);
    rig_run(&rig, 3000);
    assert_true(rig_settle(&rig, 2000));
    assert_true(rig_same(&rig, 0, 1));
    assert_true(rig_changes(&rig, 0) > 42);
    rig_close(&rig);
}

/* A space that is left is spoken of no more; the other goes on. */
static void a_left_space_is_shut(void **state)
{
    (void)state;
    open_joined(2);
    rig_leave(&rig, 1);
    rig_run(&rig, 100);
    put_many(0, 0, 5);
    rig_run(&rig, 1000);
    assert_int_equal(rig.nodes[0].mesh->links[0]->channels_count, 0);
    assert_int_equal(rig.nodes[1].mesh->spaces_count, 0);
    assert_true(rig_changes(&rig, 1) < rig_changes(&rig, 0));
    rig_join(&rig, 1); /* And comes back. */
    rig_run(&rig, 1000);
    assert_true(rig_settle(&rig, 2000));
    assert_true(rig_same(&rig, 0, 1));
    rig_close(&rig);
}

/* Its stream stands still, though the peer is not given up yet. */
static void a_stream_that_stops_is_asked_for_elsewhere(void **state)
{
    (void)state;
    open_joined(2);
    for (uint32_t i = 0; i < 30; i++) {
        rig_put_large(&rig, 0, "k", 100000);
    }
    assert_true(rig_settle(&rig, 5000));
    uint32_t late = rig_add(&rig);
    rig_join(&rig, late);
    rig_dial(&rig, late, 0);
    for (uint32_t i = 0; i < 1000 && rig_changes(&rig, late) < 5; i++) {
        rig_run(&rig, 1);
    }
    rig_stick(&rig, 0, late);
    assert_true(rig_changes(&rig, late) < rig_changes(&rig, 1));
    rig_dial(&rig, late, 1);
    rig_run(&rig, MSY_WANT_PROGRESS_MS + 200);
    assert_int_equal(rig_sessions(&rig, late), 2);
    assert_true(rig_same(&rig, 1, late));
    rig_close(&rig);
}

/* What a change waits for is asked of whoever may have it, and so are pushes that never landed. */
static void causes_are_asked_for(void **state)
{
    (void)state;
    open_joined(2);
    struct rig_node *node = &rig.nodes[1];
    node->deaf = true; /* A push is taken, and lost. */
    rig_put(&rig, 0, "k", "lost");
    rig_run(&rig, 5);
    assert_int_equal(node->mesh->submits_count, 1);
    struct msy_mesh_event received = {.type = MSY_MESH_RECEIVED, .id = node->mesh->submits[0].id};
    rig_event(&rig, 1, &received);
    node->deaf = false;
    struct msy_mesh_event missing = {
        .type = MSY_MESH_MISSING, .space = node->space, .tip = rig_tip(&rig, 0)};
    rig_event(&rig, 1, &missing);
    assert_true(rig_settle(&rig, MSY_PUSH_LANDS_MS + 200));
    assert_true(rig_same(&rig, 0, 1));
    rig_close(&rig);
}

/* What is known of peers that are gone is bounded: who was seen longest ago is forgotten. */
static void memory_of_peers_is_bounded(void **state)
{
    (void)state;
    uint32_t holders = 0;
    open_joined(2);
    rig_put(&rig, 0, "a", "b");
    struct msy_tip tip = rig_tip(&rig, 0);
    assert_true(rig_settle(&rig, 1000));
    struct msy_mesh *mesh = rig.nodes[0].mesh;
    struct msy_mesh_link *link = mesh->links[0];
    uint8_t device[MSY_DEVICE_BYTES];
    memcpy(device, link->device, sizeof device);
    for (uint32_t i = 0; i < MSY_KNOWN_MAX + 10; i++) {
        msy_put_be32(link->device, i); /* As if others had been here. */
        mesh->now_ms += 1;
        msy_ack_keep(mesh, link, link->channels[0]);
    }
    memcpy(link->device, device, sizeof device);
    assert_int_equal(mesh->known_count, MSY_KNOWN_MAX);
    assert_int_equal(msy_mesh_holders(mesh, rig.nodes[0].space, &tip.actor, tip.seq, &holders),
                     MESHSYNC_OK);
    assert_int_equal(holders, MSY_KNOWN_MAX + 1);
    rig_close(&rig);
}

static void silence_when_there_is_nothing_to_say(void **state)
{
    (void)state;
    open_joined(3);
    rig_run(&rig, 10000); /* Comparisons are done. */
    uint64_t before = 0;
    uint64_t after = 0;
    for (uint32_t i = 0; i < rig.links_count; i++) {
        before += rig.links[i].bytes;
    }
    rig_run(&rig, 10000);
    for (uint32_t i = 0; i < rig.links_count; i++) {
        after += rig.links[i].bytes;
    }
    /* Two sessions, both ways, a ping and its pong each two seconds at most: 26 bytes each. */
    assert_true(after - before <= 2 * 2 * 2 * 5 * 26);
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_nodes_catch_up_and_then_push),
        cmocka_unit_test(a_newcomer_becomes_a_member),
        cmocka_unit_test(a_stranger_learns_nothing),
        cmocka_unit_test(a_full_mesh_pushes_each_change_once),
        cmocka_unit_test(a_chain_forwards_what_others_wrote),
        cmocka_unit_test(peers_learn_addresses_from_peers),
        cmocka_unit_test(a_lost_link_is_made_again),
        cmocka_unit_test(a_silent_peer_is_given_up),
        cmocka_unit_test(two_sessions_with_a_peer_become_one),
        cmocka_unit_test(a_node_does_not_talk_to_itself),
        cmocka_unit_test(clones_meet),
        cmocka_unit_test(goodbyes_are_said),
        cmocka_unit_test(seeds_can_be_removed),
        cmocka_unit_test(restarts_are_survived),
        cmocka_unit_test(large_changes_travel),
        cmocka_unit_test(credits_bound_what_a_deaf_peer_is_sent),
        cmocka_unit_test(a_writer_that_never_rests_is_caught_up_with),
        cmocka_unit_test(peers_are_shown),
        cmocka_unit_test(holders_are_remembered),
        cmocka_unit_test(a_stream_that_stops_is_asked_for_elsewhere),
        cmocka_unit_test(causes_are_asked_for),
        cmocka_unit_test(memory_of_peers_is_bounded),
        cmocka_unit_test(members_introduce_themselves),
        cmocka_unit_test(an_old_backup_hears_of_members),
        cmocka_unit_test(a_left_space_is_shut),
        cmocka_unit_test(silence_when_there_is_nothing_to_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
