/* SPDX-License-Identifier: Apache-2.0 */
/* Shows that peers which break the protocol, damage bytes, do not read, ask without end or bring
 * bad changes cost others nothing but their session. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mesh/machine.h"
#include "unit/mesh/rig.h"
#include "wire/msgpack_check.h"

static struct rig rig;

/* Two nodes with a space in common; node 1 will misbehave. */
static void open_two(void)
{
    rig_open(&rig, 2);
    rig_found(&rig);
    rig_join(&rig, 1);
    rig_dial(&rig, 1, 0);
    assert_true(rig_settle(&rig, 5000));
    assert_int_equal(rig_sessions(&rig, 0), 1);
}

static struct msy_mesh_link *link_at(uint32_t node)
{
    struct msy_mesh *mesh = rig.nodes[node].mesh;
    assert_true(mesh->links_count > 0);
    return mesh->links[0];
}

/* Lets node 1 say something that its machine would not. */
static void say(const void *bytes, size_t len)
{
    struct msy_mesh_event tick = {.type = MSY_MESH_TICK};
    assert_int_equal(msy_buf_append(&link_at(1)->plain, bytes, len), MESHSYNC_OK);
    rig_event(&rig, 1, &tick);
    rig_run(&rig, 2 * rig.latency_ms);
}

static void say_message(uint8_t type, const void *content, size_t len)
{
    uint8_t bytes[4096];
    assert_true(len + 5 <= sizeof bytes);
    bytes[0] = type;
    msy_put_be32(bytes + 1, (uint32_t)len);
    if (len > 0) {
        memcpy(bytes + 5, content, len);
    }
    say(bytes, len + 5);
}

static void must_have_ended(meshsync_status status)
{
    assert_int_equal(rig.nodes[0].went, 1);
    assert_int_equal(rig.nodes[0].went_status, status);
}

static void broken_messages_end_the_session(void **state)
{
    (void)state;
    static const struct {
        uint8_t type;
        uint8_t len;
        uint8_t content[12];
    } broken[] = {
        {0, 0, {0}},                                             /* No type, */
        {99, 1, {0x90}},                                         /* an unknown one, */
        {127, 1, {0x90}},                                        /* another. */
        {MSY_MESSAGE_HELLO, 3, {0x92, 1, 2}},                    /* A second HELLO. */
        {MSY_MESSAGE_SPACES, 1, {0x90}},                         /* Malformed content, */
        {MSY_MESSAGE_OPEN, 2, {0x91, 0}},                        /* ... */
        {MSY_MESSAGE_SHUT, 2, {0x91, 9}},                        /* A number that is nobody's. */
        {MSY_MESSAGE_VECTOR, 4, {0x93, 9, 0, 0x90}},             /* ... */
        {MSY_MESSAGE_VECTOR, 4, {0x93, 0, 2, 0x90}},             /* more is 0 or 1. */
        {MSY_MESSAGE_NOTE, 4, {0x93, 9, 0, 0x90}},               /* ... */
        {MSY_MESSAGE_WANT, 3, {0x93, 0, 1}},                     /* ... */
        {MSY_MESSAGE_CHANGES, 5, {0, 0, 0, 0, 0}},               /* Without changes. */
        {MSY_MESSAGE_CHANGES, 10, {0, 0, 0, 0, 0, 0, 0, 0, 1}},  /* Not a change. */
        {MSY_MESSAGE_CHANGES, 10, {4, 0, 0, 0, 0, 0, 0, 0, 1}},  /* Not an introduction. */
        {MSY_MESSAGE_CHANGES, 10, {1, 0, 0, 0, 0, 0, 0, 0, 1}},  /* A stream not asked for. */
        {MSY_MESSAGE_CREDIT, 8, {0x92, 0, 0xCE, 0x7F, 0, 0, 0}}, /* ... and too much. */
        {MSY_MESSAGE_END, 3, {0x92, 0, 1}},                      /* Of nothing. */
        {MSY_MESSAGE_PRUNE, 2, {0x92, 0}},                       /* ... */
        {MSY_MESSAGE_DIGEST, 2, {0x92, 0}},                      /* ... */
        {MSY_MESSAGE_ADDRESSES, 2, {0x91, 0}},                   /* ... */
        {MSY_MESSAGE_PING, 1, {0x90}},                           /* ... */
        {MSY_MESSAGE_PONG, 2, {0x91, 0xC0}},                     /* ... */
        {MSY_MESSAGE_BYE, 2, {0x92, 1}},                         /* ... */
        {MSY_MESSAGE_CLOCK, 6, {0x92, 0, 0xC4, 2, 1, 2}},        /* Too short a digest. */
        {MSY_MESSAGE_ASK, 2, {0x91, 0}},                         /* ... */
        {MSY_MESSAGE_ASK, 3, {0x92, 0, 99}},                     /* For what there is not. */
        {MSY_MESSAGE_ASK, 3, {0x92, 9, 0}},                      /* On no channel. */
    };
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        open_two();
        say_message(broken[i].type, broken[i].content, broken[i].len);
        if (rig.nodes[0].went_status != MESHSYNC_E_PROTOCOL) {
            fail_msg("message %zu of type %u was taken", i, broken[i].type);
        }
        must_have_ended(MESHSYNC_E_PROTOCOL);
        rig_close(&rig);
    }
}

static void harmless_messages_do_not(void **state)
{
    (void)state;
    static const uint8_t more[4] = {0x93, 1, 2,
                                    0xC0}; /* A PING with elements of a later version. */
    open_two();
    say_message(128, NULL, 0);
    say_message(255, "anything", 8);
    say_message(MSY_MESSAGE_PING, more, sizeof more);
    assert_int_equal(rig.nodes[0].went, 0);
    rig_put(&rig, 0, "still", "there");
    assert_true(rig_settle(&rig, 1000));
    assert_true(rig_same(&rig, 0, 1));
    rig_close(&rig);
}

static void a_message_that_is_too_long_ends_the_session(void **state)
{
    (void)state;
    uint8_t head[5] = {MSY_MESSAGE_CHANGES};
    open_two();
    msy_put_be32(head + 1, MSY_MESSAGE_BYTES_MAX + 1);
    say(head, sizeof head);
    must_have_ended(MESHSYNC_E_LIMIT);
    rig_close(&rig);

    /* Of a stranger already what a list of spaces cannot need. */
    rig_open(&rig, 2);
    rig_found(&rig);
    rig_dial(&rig, 1, 0);
    rig_run(&rig, 100);
    msy_put_be32(head + 1, MSY_CLOSED_MESSAGE_BYTES_MAX + 1);
    say(head, sizeof head);
    must_have_ended(MESHSYNC_E_LIMIT);
    rig_close(&rig);
}

/* The next bytes from node 1 to node 0, wherever they are, with one bit turned. */
static void damage(struct rig *where, size_t at)
{
    for (uint32_t i = 0; i < where->events_count; i++) {
        struct rig_event *event = &where->events[i];
        if (event->type == RIG_BYTES && where->links[event->link].node[event->side] == 0) {
            event->bytes[at % event->len] ^= 1;
            return;
        }
    }
}

static void damaged_bytes_end_the_link(void **state)
{
    (void)state;
    for (size_t at = 0; at < 60; at += 3) {
        open_two();
        rig_put(&rig, 1, "k", "v");
        damage(&rig, at);
        rig_run(&rig, 5000);
        assert_int_equal(rig.nodes[0].went, 1);
        assert_true(rig_settle(&rig, 5000));
        assert_true(rig_same(&rig, 0, 1)); /* By a new link. */
        assert_int_equal(rig.nodes[0].alarms, 0);
        rig_close(&rig);
    }
}

static void damaged_handshakes_fail(void **state)
{
    (void)state;
    for (uint32_t round = 0; round < 40; round++) {
        struct msy_mesh_stats stats;
        rig_open(&rig, 2);
        rig_found(&rig);
        rig_dial(&rig, 1, 0);
        rig_run(&rig, round % 2 == 0 ? 2 : 4);
        damage(&rig, 7 * round);
        rig_run(&rig, 6000);
        msy_mesh_get_stats(rig.nodes[0].mesh, &stats);
        assert_int_equal(rig_sessions(&rig, 0), 1); /* The next try is good. */
        rig_close(&rig);
    }
}

static void half_open_links_are_bounded_and_die(void **state)
{
    (void)state;
    open_two();
    struct msy_mesh_stats stats;
    for (uint32_t i = 0; i < 3 * MSY_HALF_OPEN_MAX; i++) {
        struct msy_mesh_event up = {
            .type = MSY_MESH_LINK_UP, .link = 1000 + 2 * i, .accepted = 1, .text = "10.9.9.9:1"};
        rig_event(&rig, 0, &up);
    }
    assert_true(rig.nodes[0].mesh->links_count <= MSY_HALF_OPEN_MAX + 1);
    rig_run(&rig, MSY_HANDSHAKE_MS_MAX);
    assert_int_equal(rig.nodes[0].mesh->links_count, 1);
    msy_mesh_get_stats(rig.nodes[0].mesh, &stats);
    assert_int_equal(stats.handshakes_failed, 3 * MSY_HALF_OPEN_MAX);
    assert_int_equal(stats.sessions, 1);
    rig_close(&rig);
}

static void a_stuck_peer_is_not_written_for_without_end(void **state)
{
    (void)state;
    open_two();
    rig_stick(&rig, 0, 1);
    struct msy_mesh_link *link = link_at(0);
    for (uint32_t i = 0; i < 60; i++) {
        rig_put_large(&rig, 0, "k", 100000);
    }
    assert_true(msy_session_backlog(link) <= MSY_PUSH_OUT_BYTES_MAX + 65536);
    rig_run(&rig, 20000); /* It is given up, comes back, and fetches what it was not pushed. */
    assert_true(rig_settle(&rig, 5000));
    assert_true(rig_same(&rig, 0, 1));
    rig_close(&rig);
}

static void who_asks_and_does_not_read_is_given_up(void **state)
{
    (void)state;
    static const uint8_t ping[2] = {0x91, 1};
    uint8_t pings[7 * 1000];
    open_two();
    for (size_t i = 0; i < 1000; i++) {
        pings[7 * i] = MSY_MESSAGE_PING;
        msy_put_be32(pings + 7 * i + 1, 2);
        memcpy(pings + 7 * i + 5, ping, 2);
    }
    rig.links[0].full = true;
    for (uint32_t i = 0; i < 3000 && rig.nodes[0].went == 0; i++) {
        say(pings, sizeof pings);
    }
    must_have_ended(MESHSYNC_E_LIMIT);
    rig_close(&rig);
}

static void forged_changes_end_the_session(void **state)
{
    (void)state;
    struct msy_store_txn *txn = NULL;
    struct msy_record record;
    uint64_t lsn = 0;
    open_two();
    rig_put(&rig, 1, "k", "v");
    assert_true(rig_settle(&rig, 1000));
    /* A change of node 1, sent again with its last byte changed: its root does not hold. */
    assert_int_equal(msy_store_begin(rig.nodes[1].store, MSY_TXN_READ, &txn), MESHSYNC_OK);
    assert_int_equal(msy_history_last_lsn(txn, &lsn), MESHSYNC_OK);
    assert_int_equal(msy_history_record(txn, lsn, &record), MESHSYNC_OK);
    size_t len = record.change.len;
    uint8_t *bytes = calloc(1, len + 16);
    assert_non_null(bytes);
    bytes[0] = MSY_MESSAGE_CHANGES;
    msy_put_be32(bytes + 1, (uint32_t)(len + 9));
    msy_put_be32(bytes + 6, link_at(1)->channels[0]->ours);
    msy_put_be32(bytes + 10, (uint32_t)len);
    memcpy(bytes + 14, record.change.data, len);
    msy_store_abort(txn);
    bytes[14 + 2 + 18 + 17 + 1] ^= 0x40; /* In the header: seq or what follows it. */
    say(bytes, len + 14);
    rig_run(&rig, 100);
    assert_true(rig_changes(&rig, 0) == rig_changes(&rig, 1));
    free(bytes);
    rig_close(&rig);
}

/* The replica's word counts: whoever brought what it rejects goes, and is not called at once. */
static void rejected_changes_end_the_session(void **state)
{
    (void)state;
    open_two();
    rig.nodes[0].deaf = true;
    rig_put(&rig, 1, "k", "v");
    rig_run(&rig, 5);
    assert_int_equal(rig.nodes[0].mesh->submits_count, 1);
    struct msy_mesh_event received = {.type = MSY_MESH_RECEIVED,
                                      .id = rig.nodes[0].mesh->submits[0].id,
                                      .status = MESHSYNC_E_PROTOCOL,
                                      .rejected_count = 1};
    rig_event(&rig, 0, &received);
    must_have_ended(MESHSYNC_E_PROTOCOL);
    rig_event(&rig, 0, &received); /* Twice is as good as once. */
    rig_close(&rig);
}

static void different_content_is_an_alarm(void **state)
{
    (void)state;
    open_two();
    rig_run(&rig, 10000);
    assert_int_equal(rig.nodes[0].alarms, 0);
    struct msy_channel *channel = link_at(1)->channels[0];
    uint8_t hashes[2][32];
    memcpy(hashes[0], channel->digest_sent, 32);
    memset(hashes[1], 1, 32);
    struct msy_buf buf;
    msy_buf_init(&buf, &rig.alloc, 1000);
    assert_int_equal(msy_message_put_hashes(&buf, MSY_MESSAGE_DIGEST, channel->ours,
                                            (const uint8_t(*)[32])hashes, 2),
                     MESHSYNC_OK);
    say(buf.data, buf.len);
    assert_int_equal(rig.nodes[0].alarms, 1);
    msy_buf_fini(&buf);
    rig_close(&rig);
}

static void absurd_events_are_ignored(void **state)
{
    (void)state;
    open_two();
    uint32_t space = rig.nodes[0].space;
    struct msy_mesh_event events[] = {
        {.type = MSY_MESH_LINK_UP, .link = 777},
        {.type = MSY_MESH_LINK_DOWN, .link = 778},
        {.type = MSY_MESH_LINK_DRAINED, .link = 779, .out_bytes = 5},
        {.type = MSY_MESH_LINK_BYTES, .link = 780, .bytes = {(const uint8_t *)"x", 1}},
        {.type = MSY_MESH_LINK_UP, .link = link_at(0)->number, .accepted = 1},
        {.type = MSY_MESH_COMMITTED, .lsn_first = 1, .lsn_last = 5},
        {.type = MSY_MESH_COMMITTED, .lsn_first = 1000, .lsn_last = 2000},
        {.type = MSY_MESH_COMMITTED, .lsn_first = 5, .lsn_last = 1},
        {.type = MSY_MESH_RECEIVED, .id = 12345, .rejected_count = 1},
        {.type = MSY_MESH_MISSING, .space = 99},
        {.type = MSY_MESH_MISSING, .space = space, .tip = {.seq = 5}},
        {.type = MSY_MESH_SPACES},
        {.type = MSY_MESH_LISTENING},
        {.type = MSY_MESH_PEER_REMOVE},
        {.type = (enum msy_mesh_event_type)99},
    };
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++) {
        rig_event(&rig, 0, &events[i]);
    }
    rig_run(&rig, 120000); /* The cause that nobody has is given up. */
    assert_true(rig_settle(&rig, 10));
    assert_int_equal(rig_sessions(&rig, 0), 1);
    rig_put(&rig, 0, "a", "b");
    assert_true(rig_settle(&rig, 100));
    assert_true(rig_same(&rig, 0, 1));
    rig_close(&rig);
}

/* Each allocation of one machine fails once, somewhere on the way from nothing to being in sync. */
static void running_out_of_memory_costs_a_session_at_most(void **state)
{
    (void)state;
    bool failed = true;
    uint64_t n = 1;
    for (uint32_t node = 0; node < 2; node++) {
        for (n = 1, failed = true; failed; n++) {
            rig_open(&rig, 2);
            rig_found(&rig);
            rig_put(&rig, 0, "k", "v");
            rig_join(&rig, 1);
            rig.nodes[node].mesh_alloc.fail_at = n;
            rig_dial(&rig, 1, 0);
            rig_run(&rig, 100);
            rig_put(&rig, 0, "k", "live");
            rig_run(&rig, 6000);
            failed = rig.nodes[node].mesh_alloc.fail_at == 0;
            rig.nodes[node].mesh_alloc.fail_at = 0;
            rig_dial(&rig, 1, 0); /* The first may be what failed. */
            if (!rig_settle(&rig, 20000) || !rig_same(&rig, 0, 1)) {
                fail_msg("allocation %u of node %u", (unsigned)n, node);
            }
            rig_close(&rig);
        }
        assert_true(n > 50);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broken_messages_end_the_session),
        cmocka_unit_test(harmless_messages_do_not),
        cmocka_unit_test(a_message_that_is_too_long_ends_the_session),
        cmocka_unit_test(damaged_bytes_end_the_link),
        cmocka_unit_test(damaged_handshakes_fail),
        cmocka_unit_test(half_open_links_are_bounded_and_die),
        cmocka_unit_test(a_stuck_peer_is_not_written_for_without_end),
        cmocka_unit_test(who_asks_and_does_not_read_is_given_up),
        cmocka_unit_test(forged_changes_end_the_session),
        cmocka_unit_test(rejected_changes_end_the_session),
        cmocka_unit_test(different_content_is_an_alarm),
        cmocka_unit_test(absurd_events_are_ignored),
        cmocka_unit_test(running_out_of_memory_costs_a_session_at_most),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
