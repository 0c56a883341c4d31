/* SPDX-License-Identifier: Apache-2.0 */
/* Shows that what shrinks is sent compressed, that streams are given back and made again, that a
 * peer without them is served as before, and that hostile units end the session, nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "mesh/machine.h"
#include "unit/mesh/rig.h"

enum { VALUES = 60, VALUE_BYTES = 20000, SETTLE_MS = 20000, REST_MS = 30000 };

static struct rig rig;

static struct msy_mesh_stats stats_of(uint32_t node)
{
    struct msy_mesh_stats stats;
    msy_mesh_get_stats(rig.nodes[node].mesh, &stats);
    return stats;
}

static struct msy_mesh_link *link_of(uint32_t node)
{
    struct msy_mesh *mesh = rig.nodes[node].mesh;
    assert_true(mesh->links_count > 0);
    assert_int_equal(mesh->links[0]->state, MSY_LINK_LIVE);
    return mesh->links[0];
}

static struct msy_channel *channel_of(uint32_t node)
{
    return msy_channel_find(link_of(node), rig.nodes[node].space);
}

static uint64_t carried(void)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < rig.links_count; i++) {
        bytes += rig.links[i].bytes;
    }
    return bytes;
}

/* Node 1 fetches much from node 0; the bytes that the links carried. */
static uint64_t catch_up(uint64_t lacks)
{
    rig_open(&rig, 2);
    rig_found(&rig);
    for (uint32_t i = 0; i < VALUES; i++) {
        rig_put_large(&rig, 0, "k", VALUE_BYTES);
    }
    rig.nodes[1].lacks = lacks;
    rig_restart(&rig, 1);
    rig_join(&rig, 1);
    rig_dial(&rig, 1, 0);
    assert_true(rig_settle(&rig, SETTLE_MS));
    assert_true(rig_same(&rig, 0, 1));
    return carried();
}

static void bulk_shrinks(void **state)
{
    (void)state;
    uint64_t packed = catch_up(0);
    assert_true(stats_of(0).packed_bytes_in > (uint64_t)VALUES * VALUE_BYTES);
    assert_true(stats_of(0).packed_bytes_out < stats_of(0).packed_bytes_in / 20);
    rig_close(&rig);
    uint64_t plain = catch_up(MSY_FEATURE_PACKED);
    assert_int_equal(stats_of(0).packed_bytes_in, 0);
    rig_close(&rig);
    (void)printf("%llu bytes packed, %llu plain\n", (unsigned long long)packed,
                 (unsigned long long)plain);
    assert_true(packed < plain / 10);
}

static void streams_are_given_back(void **state)
{
    (void)state;
    (void)catch_up(0);
    assert_non_null(channel_of(0)->press);
    assert_non_null(channel_of(1)->unpress);
    assert_int_equal(link_of(0)->presses_count, 1);
    rig_put(&rig, 0, "small", "change"); /* The same stream. */
    assert_true(rig_settle(&rig, SETTLE_MS));
    rig_run(&rig, REST_MS);
    assert_null(channel_of(0)->press);
    assert_null(channel_of(1)->unpress);
    assert_int_equal(link_of(0)->presses_count, 0);
    assert_int_equal(link_of(1)->unpresses_count, 0);
    uint64_t before = stats_of(0).packed_bytes_in;
    rig_put_large(&rig, 0, "again", VALUE_BYTES);
    assert_true(rig_settle(&rig, SETTLE_MS));
    assert_true(rig_same(&rig, 0, 1));
    assert_true(stats_of(0).packed_bytes_in > before);
    rig_close(&rig);
}

/* ---- Hostile units ---- */

static meshsync_status give(const uint8_t *content, size_t len)
{
    return msy_pack_on(rig.nodes[1].mesh, link_of(1), (meshsync_bytes){content, len});
}

/* The unit of a message of so many bytes, behind the number of a channel. */
static size_t unit_of(uint8_t flags, uint32_t inner, size_t len, uint8_t *out, size_t room)
{
    static uint8_t message[1 << 16];
    struct msy_press *press = NULL;
    struct msy_buf unit;
    assert_true(len <= sizeof message);
    memset(message, 0, sizeof message);
    message[0] = flags;
    msy_put_be32(message + 1, inner);
    msy_buf_init(&unit, &rig.alloc, room);
    assert_int_equal(msy_press_new(&rig.alloc, 1, &press), MESHSYNC_OK);
    assert_int_equal(msy_press_put(press, (meshsync_bytes){message, len}, &unit), MESHSYNC_OK);
    msy_put_be32(out, channel_of(1)->theirs);
    memcpy(out + 4, unit.data, unit.len);
    size_t n = unit.len + 4;
    msy_press_free(press);
    msy_buf_fini(&unit);
    return n;
}

static void open_pair(uint64_t lacks)
{
    rig_open(&rig, 2);
    rig_found(&rig);
    rig.nodes[1].lacks = lacks;
    rig_restart(&rig, 1);
    rig_join(&rig, 1);
    rig_dial(&rig, 1, 0);
    assert_true(rig_settle(&rig, SETTLE_MS));
}

static void hostile_units_are_refused(void **state)
{
    static uint8_t bytes[1 << 16];
    (void)state;
    open_pair(0);
    uint32_t number = channel_of(1)->theirs;
    assert_int_equal(give(bytes, 3), MESHSYNC_E_PROTOCOL);
    msy_put_be32(bytes, 77);
    assert_int_equal(give(bytes, 10), MESHSYNC_E_PROTOCOL);
    size_t n = unit_of(0, number + 1, 1000, bytes, sizeof bytes - 4);
    assert_int_equal(give(bytes, n), MESHSYNC_E_PROTOCOL);
    msy_pack_forget(link_of(1), channel_of(1));
    n = unit_of(MSY_CHANGES_INTRODUCTION, number, 1000, bytes, sizeof bytes - 4);
    assert_int_equal(give(bytes, n), MESHSYNC_E_PROTOCOL);
    msy_pack_forget(link_of(1), channel_of(1));
    n = unit_of(0, number, 1000, bytes, sizeof bytes - 4);
    assert_int_equal(give(bytes, n - 1), MESHSYNC_E_PROTOCOL); /* Cut. */
    assert_int_equal(give(bytes, n), MESHSYNC_E_PROTOCOL);     /* Its stream is broken. */
    msy_pack_forget(link_of(1), channel_of(1));
    bytes[5] ^= 0x40; /* It says another length. */
    assert_int_equal(give(bytes, n), MESHSYNC_E_PROTOCOL);
    msy_pack_forget(link_of(1), channel_of(1));
    link_of(1)->unpresses_count = MSY_PACK_STREAMS_MAX;
    n = unit_of(0, number, 1000, bytes, sizeof bytes - 4);
    assert_int_equal(give(bytes, n), MESHSYNC_E_PROTOCOL);
    link_of(1)->unpresses_count = 0;
    rig_close(&rig);
}

static void who_has_none_takes_none(void **state)
{
    static uint8_t bytes[1 << 16];
    (void)state;
    open_pair(MSY_FEATURE_PACKED);
    size_t n = unit_of(0, channel_of(1)->theirs, 1000, bytes, sizeof bytes - 4);
    assert_int_equal(give(bytes, n), MESHSYNC_E_PROTOCOL);
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bulk_shrinks),
        cmocka_unit_test(streams_are_given_back),
        cmocka_unit_test(hostile_units_are_refused),
        cmocka_unit_test(who_has_none_takes_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
