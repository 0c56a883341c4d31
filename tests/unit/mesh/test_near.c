/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shows the machine of neighbours (mesh/near.h) step by step: joining, being let in, being asked
 * in need, failing neighbours, farewells; and that whatever a peer says, views keep to their bounds
 * and effects agree with them.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mesh/near.h"

static struct msy_near view;
static struct msy_near_effects effects;
static uint64_t now_ms, timer_ms;

static struct msy_near_device device(uint32_t number)
{
    struct msy_near_device made = {{0}};
    memcpy(made.key, &number, sizeof number);
    return made;
}

static void begin(void)
{
    const struct msy_near_device self = device(0);
    now_ms = 1000;
    msy_near_init(&view, &self, 7, now_ms);
}

static void step(enum msy_near_event_type type, uint32_t about,
                 const struct msy_near_message *message)
{
    const struct msy_near_event event = {
        .type = type, .now_ms = now_ms, .device = device(about), .message = message};
    msy_near_step(&view, &event, &effects, &timer_ms);
}

static void hear(uint32_t from, enum msy_near_word word)
{
    const struct msy_near_message message = {.type = MSY_NEAR_WORD, .word = word};
    step(MSY_NEAR_HEARD, from, &message);
}

/* Effects of the last step that are so. */
static uint32_t count(enum msy_near_effect_type type, enum msy_near_message_type message,
                      enum msy_near_word word)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < effects.count; i++) {
        const struct msy_near_effect *effect = &effects.list[i];
        found +=
            effect->type == type && effect->message.type == message && effect->message.word == word;
    }
    return found;
}

static uint32_t downs(void)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < effects.count; i++) {
        found += effects.list[i].type == MSY_NEAR_DOWN;
    }
    return found;
}

static void fill(uint32_t neighbours)
{
    for (uint32_t i = 1; i <= neighbours; i++) {
        hear(i, MSY_NEAR_PLEASE);
        assert_int_equal(count(MSY_NEAR_SEND, MSY_NEAR_WORD, MSY_NEAR_YES), 1);
    }
    assert_int_equal(view.active_count, neighbours);
}

static void test_a_contact_is_asked_ever_more_seldom(void **state)
{
    (void)state;
    uint32_t joins = 0;
    begin();
    step(MSY_NEAR_CONTACT, 0, NULL); /* Ourselves: no contact. */
    assert_int_equal(view.contacts_count, 0);
    step(MSY_NEAR_CONTACT, 1, NULL);
    step(MSY_NEAR_CONTACT, 1, NULL);
    assert_int_equal(view.contacts_count, 1);
    for (uint32_t i = 0; i < 600; i++) {
        joins += count(MSY_NEAR_SEND, MSY_NEAR_JOIN, MSY_NEAR_NONE);
        step(MSY_NEAR_LOST, 1, NULL);
        now_ms += 1000;
        step(MSY_NEAR_TICK, 0, NULL);
    }
    assert_in_range(joins, 20, 45); /* In ten minutes: every 30 s after the first few. */
    hear(1, MSY_NEAR_YES);
    assert_true(msy_near_is_active(&view, &view.contacts[0]));
    assert_int_equal(effects.list[0].type, MSY_NEAR_UP);
}

static void test_newcomers_are_led_on_within_a_bound(void **state)
{
    (void)state;
    const struct msy_near_message join = {.type = MSY_NEAR_JOIN};
    uint32_t led = 0, refused = 0;
    begin();
    fill(MSY_NEAR_ACTIVE_MAX);
    for (uint32_t i = 0; i < 200; i++) {
        step(MSY_NEAR_HEARD, 100 + i, &join);
        led += count(MSY_NEAR_SEND, MSY_NEAR_WALK, MSY_NEAR_MUST);
        refused += count(MSY_NEAR_SEND, MSY_NEAR_WORD, MSY_NEAR_NO);
    }
    /* One takes another's place at once; the others are led on, fifty of them. */
    assert_int_equal(led, MSY_NEAR_JOINS_PER_S_MAX * MSY_NEAR_WALKS_MAX);
    assert_int_equal(refused, 199);
    assert_int_equal(view.refused_count, 200 - MSY_NEAR_JOINS_PER_S_MAX);
    assert_int_equal(view.active_count, MSY_NEAR_ACTIVE_MAX);
}

static void test_who_has_nobody_is_let_in_by_a_full_node(void **state)
{
    (void)state;
    begin();
    fill(MSY_NEAR_ACTIVE_MAX);
    hear(50, MSY_NEAR_PLEASE);
    assert_int_equal(count(MSY_NEAR_SEND, MSY_NEAR_WORD, MSY_NEAR_NO), 1);
    hear(51, MSY_NEAR_MUST);
    assert_int_equal(count(MSY_NEAR_SEND, MSY_NEAR_WORD, MSY_NEAR_YES), 1);
    assert_int_equal(count(MSY_NEAR_SEND, MSY_NEAR_WORD, MSY_NEAR_LEAVE), 1);
    hear(52, MSY_NEAR_MUST); /* A second one at the same moment must wait. */
    assert_int_equal(count(MSY_NEAR_SEND, MSY_NEAR_WORD, MSY_NEAR_NO), 1);
    now_ms += MSY_NEAR_EVICT_MS;
    hear(52, MSY_NEAR_MUST);
    assert_int_equal(count(MSY_NEAR_SEND, MSY_NEAR_WORD, MSY_NEAR_YES), 1);
}

static void test_lost_neighbours_are_replaced_by_several_questions_at_once(void **state)
{
    (void)state;
    struct msy_near_message show = {.type = MSY_NEAR_SHOW, .devices_count = MSY_NEAR_SHOWN_MAX};
    begin();
    fill(MSY_NEAR_ACTIVE_MAX);
    for (uint32_t i = 0; i < 2 * MSY_NEAR_SHOWN_MAX; i++) {
        show.devices[i % MSY_NEAR_SHOWN_MAX] = device(20 + i);
        step(MSY_NEAR_HEARD, 1, &show);
    }
    assert_int_equal(view.passive_count, 2 * MSY_NEAR_SHOWN_MAX);
    step(MSY_NEAR_LOST, 1, NULL);
    assert_int_equal(downs(), 1);
    assert_int_equal(count(MSY_NEAR_SEND, MSY_NEAR_WORD, MSY_NEAR_PLEASE), 0); /* Seven do. */
    for (uint32_t i = 2; i < 7; i++) {
        step(MSY_NEAR_LOST, i, NULL);
    }
    uint32_t asked = 0;
    for (uint32_t i = 0; i < view.passive_count; i++) {
        asked += view.passive[i].asked ? 1 : 0;
    }
    assert_int_equal(asked, MSY_NEAR_ASKS_MAX);
    now_ms += MSY_NEAR_ANSWER_MS; /* None answers: the next are asked. */
    step(MSY_NEAR_TICK, 0, NULL);
    assert_int_equal(count(MSY_NEAR_SEND, MSY_NEAR_WORD, MSY_NEAR_PLEASE), MSY_NEAR_ASKS_MAX);
    for (uint32_t i = 0; i < 600; i++) {
        now_ms += 1000;
        step(MSY_NEAR_TICK, 0, NULL);
    }
    assert_int_equal(view.passive_count, 0); /* Who does not answer twice is forgotten. */
    assert_int_equal(view.active_count, 2);
}

static void test_who_reaches_nobody_forgets_nobody(void **state)
{
    (void)state;
    begin();
    fill(MSY_NEAR_ACTIVE_MIN);
    for (uint32_t i = 1; i <= MSY_NEAR_ACTIVE_MIN; i++) {
        hear(i, MSY_NEAR_LEAVE);
    }
    for (uint32_t i = 0; i < 600; i++) {
        for (uint32_t k = 1; k <= MSY_NEAR_ACTIVE_MIN; k++) {
            step(MSY_NEAR_LOST, k, NULL);
        }
        now_ms += 1000;
        step(MSY_NEAR_TICK, 0, NULL);
    }
    assert_int_equal(view.passive_count, MSY_NEAR_ACTIVE_MIN);
    assert_int_equal(view.active_count, 0);
}

static void test_farewells_are_said_and_nothing_after(void **state)
{
    (void)state;
    begin();
    fill(MSY_NEAR_ACTIVE_MAX);
    step(MSY_NEAR_STOP, 0, NULL);
    assert_int_equal(count(MSY_NEAR_SEND, MSY_NEAR_WORD, MSY_NEAR_LEAVE), MSY_NEAR_ACTIVE_MAX);
    assert_int_equal(downs(), MSY_NEAR_ACTIVE_MAX);
    hear(1, MSY_NEAR_MUST);
    assert_int_equal(effects.count, 0);
    assert_true(timer_ms == UINT64_MAX);
}

/* UP and DOWN of a step, told to a mirror of the active view. */
static void mirror(bool *up, uint32_t devices)
{
    uint32_t neighbours = 0;
    assert_true(effects.count < MSY_NEAR_EFFECTS_MAX);
    for (uint32_t i = 0; i < effects.count; i++) {
        const struct msy_near_effect *effect = &effects.list[i];
        uint32_t about = 0;
        memcpy(&about, effect->device.key, sizeof about);
        assert_true(about > 0 && about < devices); /* Never ourselves. */
        assert_true(effect->message.devices_count <= MSY_NEAR_SHOWN_MAX);
        if (effect->type != MSY_NEAR_SEND) {
            assert_int_equal(up[about], effect->type == MSY_NEAR_DOWN);
            up[about] = effect->type == MSY_NEAR_UP;
        } else if (effect->message.type == MSY_NEAR_WALK ||
                   effect->message.type == MSY_NEAR_SHUFFLE) {
            assert_in_range(effect->message.hops, 1, MSY_NEAR_HOPS_MAX);
        }
    }
    for (uint32_t i = 0; i < devices; i++) {
        const struct msy_near_device one = device(i);
        assert_int_equal(msy_near_is_active(&view, &one), up[i]);
        neighbours += up[i] ? 1 : 0;
    }
    assert_int_equal(neighbours, view.active_count);
    assert_true(view.passive_count <= MSY_NEAR_PASSIVE_MAX);
    for (uint32_t i = 0; i < view.passive_count; i++) {
        assert_false(msy_near_is_active(&view, &view.passive[i].device));
        assert_memory_not_equal(&view.passive[i].device, &view.self, sizeof view.self);
    }
}

static void test_whatever_is_said_bounds_hold(void **state)
{
    (void)state;
    enum { DEVICES = 60, STEPS = 200000 };
    bool up[DEVICES] = {false};
    struct msy_prng prng;
    msy_prng_init(&prng, 11);
    begin();
    for (uint32_t i = 0; i < STEPS; i++) {
        struct msy_near_message message = {0};
        message.type = (enum msy_near_message_type)(1 + msy_prng_below(&prng, 5));
        message.word = (enum msy_near_word)msy_prng_below(&prng, 6);
        message.hops =
            msy_prng_below(&prng, 4) == 0 ? UINT32_MAX : (uint32_t)msy_prng_below(&prng, 9);
        message.devices_count = (uint32_t)msy_prng_below(&prng, 3 * MSY_NEAR_SHOWN_MAX);
        message.origin = device((uint32_t)msy_prng_below(&prng, DEVICES));
        for (uint32_t k = 0; k < MSY_NEAR_SHOWN_MAX; k++) {
            message.devices[k] = device((uint32_t)msy_prng_below(&prng, DEVICES));
        }
        uint32_t about = (uint32_t)msy_prng_below(&prng, DEVICES);
        uint64_t kind = msy_prng_below(&prng, 10);
        if (kind == 0) {
            step(MSY_NEAR_LOST, about, NULL);
        } else if (kind == 1) {
            now_ms += msy_prng_below(&prng, 3000);
            step(MSY_NEAR_TICK, 0, NULL);
        } else if (kind == 2) {
            step(MSY_NEAR_CONTACT, about, NULL);
        } else {
            step(MSY_NEAR_HEARD, about, &message);
        }
        mirror(up, DEVICES);
        assert_true(timer_ms > now_ms);
    }
    printf("%d steps of random words: bounds held\n", STEPS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_contact_is_asked_ever_more_seldom),
        cmocka_unit_test(test_newcomers_are_led_on_within_a_bound),
        cmocka_unit_test(test_who_has_nobody_is_let_in_by_a_full_node),
        cmocka_unit_test(test_lost_neighbours_are_replaced_by_several_questions_at_once),
        cmocka_unit_test(test_who_reaches_nobody_forgets_nobody),
        cmocka_unit_test(test_farewells_are_said_and_nothing_after),
        cmocka_unit_test(test_whatever_is_said_bounds_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
