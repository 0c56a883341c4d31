/* SPDX-License-Identifier: Apache-2.0 */
/* Shows that members find each other by beacons alone, that a beacon that is altered, sent from
 * elsewhere or of strangers leads nowhere, and that floods of them are bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "mesh/machine.h"
#include "unit/mesh/rig.h"

static struct rig rig;

static const char *host_of(uint32_t node)
{
    static char text[4][32];
    static uint32_t turn;
    char *out = text[turn++ % 4];
    (void)snprintf(out, sizeof text[0], "10.0.0.%u", node);
    return out;
}

static void hear(uint32_t node, const char *host, const uint8_t *bytes, size_t len)
{
    struct msy_mesh_event event = {.type = MSY_MESH_BEACON_IN, .text = host, .bytes = {bytes, len}};
    rig_event(&rig, node, &event);
}

static void listen_at(uint32_t node, const char *text)
{
    struct msy_mesh_event event = {.type = MSY_MESH_LISTENING, .text = text};
    rig_event(&rig, node, &event);
}

static void look(uint32_t node)
{
    struct msy_mesh_event event = {.type = MSY_MESH_LAN};
    rig_event(&rig, node, &event);
}

/* What a shell does when beacons are due; len 0: the machine made none. */
static void make_beacon(uint32_t node)
{
    struct msy_mesh_event event = {.type = MSY_MESH_BEACON_FROM, .text = host_of(node)};
    rig.nodes[node].beacons_due = 0;
    rig.nodes[node].beacon_len = 0;
    rig_event(&rig, node, &event);
}

/* A network that carries every beacon to all others. */
static void run_lan(uint64_t ms)
{
    for (uint64_t at = 0; at < ms; at += 10) {
        rig_run(&rig, 10);
        for (uint32_t i = 0; i < rig.count; i++) {
            if (rig.nodes[i].beacons_due == 0) {
                continue;
            }
            make_beacon(i);
            for (uint32_t k = 0; k < rig.count && rig.nodes[i].beacon_len > 0; k++) {
                hear(k, host_of(i), rig.nodes[i].beacon, rig.nodes[i].beacon_len);
            }
        }
    }
}

/* A founder and a member that joined by ticket, and know no address; the others share nothing. */
static void open_two(uint32_t count)
{
    rig_open(&rig, count);
    rig_found(&rig);
    rig_join(&rig, 1);
    listen_at(0, "0.0.0.0:7001");
    listen_at(1, "10.0.0.1:7002");
}

static void members_find_each_other(void **state)
{
    (void)state;
    open_two(3);
    listen_at(2, "10.0.0.2:7003");
    rig_put(&rig, 0, "key", "value");
    for (uint32_t i = 0; i < 3; i++) {
        look(i);
    }
    run_lan(3000);
    assert_true(rig_settle(&rig, 5000));
    assert_true(rig_same(&rig, 0, 1));
    assert_int_equal(rig_sessions(&rig, 0), 1);
    assert_int_equal(rig.nodes[2].dialled, 0);

    /* Once they know each other, beacons become rare. */
    uint32_t sent = 0;
    for (uint32_t i = 0; i < 600; i++) {
        rig_run(&rig, 1000);
        sent += rig.nodes[0].beacons_due;
        rig.nodes[0].beacons_due = 0;
    }
    assert_in_range(sent, 5, 40);
    rig_close(&rig);
}

static void nobody_listens(void **state)
{
    (void)state;
    rig_open(&rig, 2);
    rig_found(&rig);
    look(0);
    look(1);
    rig_run(&rig, 10);
    make_beacon(0);
    assert_int_equal(rig.nodes[0].beacon_len, 0); /* Nothing to tell. */
    listen_at(0, "unix:/nowhere");
    listen_at(0, "10.9.9.9:7001");
    make_beacon(0);
    assert_int_equal(rig.nodes[0].beacon_len, 0); /* Not at this host. */
    listen_at(0, "10.0.0.0:7001");
    make_beacon(0);
    assert_true(rig.nodes[0].beacon_len > 0);
    listen_at(1, "10.0.0.1:7001");
    make_beacon(1);
    assert_int_equal(rig.nodes[1].beacon_len, 0); /* In no space yet. */
    rig_close(&rig);
}

static void only_whole_and_from_where_it_says(void **state)
{
    uint8_t bytes[sizeof rig.nodes[0].beacon];
    (void)state;
    open_two(2);
    look(0);
    rig_run(&rig, 10);
    make_beacon(0);
    const size_t len = rig.nodes[0].beacon_len;
    assert_int_equal(len, 23 + 8 * 16);
    memcpy(bytes, rig.nodes[0].beacon, len);
    const struct msy_mesh *mesh = rig.nodes[1].mesh;
    uint32_t accepted = 0;
    for (size_t at = 0; at < len; at++) {
        uint32_t before = mesh->addresses_count;
        bytes[at] ^= 0x40;
        rig_run(&rig, 1000); /* Not more at once than are looked at. */
        hear(1, "10.0.0.0", bytes, len);
        bytes[at] ^= 0x40;
        accepted += mesh->addresses_count - before;
    }
    /* Seven of eight marks are chance: without them it says the same. */
    assert_int_equal(accepted, 1);
    assert_int_equal(mesh->addresses[0]->seed, false);
    rig_close(&rig);

    open_two(2);
    look(0);
    rig_run(&rig, 10);
    make_beacon(0);
    mesh = rig.nodes[1].mesh;
    memcpy(bytes, rig.nodes[0].beacon, len);
    hear(1, "10.0.0.7", bytes, len); /* Sent again by somebody else. */
    for (size_t cut = 0; cut < len; cut++) {
        hear(1, "10.0.0.0", bytes, cut);
    }
    hear(0, "10.0.0.0", bytes, len); /* It hears itself. */
    assert_int_equal(mesh->addresses_count, 0);
    assert_int_equal(rig.nodes[0].mesh->addresses_count, 0);
    hear(1, "10.0.0.0", bytes, len);
    assert_int_equal(mesh->addresses_count, 1);
    assert_string_equal(mesh->addresses[0]->text, "10.0.0.0:7001");
    rig_close(&rig);
}

static void floods_are_bounded(void **state)
{
    (void)state;
    open_two(2);
    look(0);
    rig_run(&rig, 1000);
    make_beacon(0);
    uint8_t bytes[sizeof rig.nodes[0].beacon];
    size_t len = rig.nodes[0].beacon_len;
    memcpy(bytes, rig.nodes[0].beacon, len);
    bytes[4] ^= 1;
    for (uint32_t i = 0; i < MSY_BEACONS_PER_S_MAX; i++) {
        hear(1, "10.0.0.0", bytes, len);
    }
    bytes[4] ^= 1;
    hear(1, "10.0.0.0", bytes, len);
    assert_int_equal(rig.nodes[1].mesh->addresses_count, 0); /* It came at a bad time. */
    rig_run(&rig, 1000);
    hear(1, "10.0.0.0", bytes, len);
    assert_int_equal(rig.nodes[1].mesh->addresses_count, 1);

    rig_close(&rig);
}

static void find_addresses(uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        char text[32];
        struct msy_mesh_event event = {.type = MSY_MESH_FOUND, .text = text};
        (void)snprintf(text, sizeof text, "10.1.0.%u:1", i);
        rig_event(&rig, 1, &event);
    }
}

static void found_addresses_are_bounded_and_given_up(void **state)
{
    (void)state;
    open_two(2);
    find_addresses(8);
    assert_int_equal(rig.nodes[1].mesh->addresses_count, 8);
    rig_run(&rig, 120000); /* Nobody is there. */
    assert_int_equal(rig.nodes[1].mesh->addresses_count, 0);
    find_addresses(2 * MSY_CANDIDATES_MAX);
    assert_int_equal(rig.nodes[1].mesh->addresses_count, MSY_CANDIDATES_MAX);
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_find_each_other),
        cmocka_unit_test(nobody_listens),
        cmocka_unit_test(only_whole_and_from_where_it_says),
        cmocka_unit_test(floods_are_bounded),
        cmocka_unit_test(found_addresses_are_bounded_and_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
