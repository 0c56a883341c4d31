/* SPDX-License-Identifier: Apache-2.0 */
/* Anomalies: a few transactions on keys of their own, put in at random places of a good history. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "history/generate.h"

enum { PLANT_STEPS_MAX = 12 };

struct plant {
    struct history made; /* What is put in, in this order. */
    uint32_t reader;     /* A session that is there. */
    uint32_t others;     /* The first of new ones. */
    uint32_t keys;       /* The first of new ones. */
    uint32_t number;     /* The next new one. */
};

static void begin(struct plant *plant, uint32_t session)
{
    history_begin(&plant->made, session, 0, HISTORY_OK);
}

static uint32_t put(struct plant *plant, uint32_t key)
{
    history_op(&plant->made, HISTORY_WRITE, plant->keys + key, plant->number);
    return plant->number++;
}

static uint32_t write_one(struct plant *plant, uint32_t session, uint32_t key)
{
    begin(plant, session);
    return put(plant, key);
}

static void get(struct plant *plant, uint32_t key, int64_t value)
{
    history_op(&plant->made, HISTORY_READ, plant->keys + key, 0);
    if (value >= 0) {
        history_value(&plant->made, (uint32_t)value);
    }
}

static void read_one(struct plant *plant, uint32_t session, uint32_t key, int64_t value)
{
    begin(plant, session);
    get(plant, key, value);
}

/* Two values, the second over the first, by one session; the number of the second. */
static uint32_t write_two(struct plant *plant, uint32_t session)
{
    (void)write_one(plant, session, 0);
    return write_one(plant, session, 0);
}

static void plant_values(struct plant *plant, enum anomaly anomaly, uint32_t variant)
{
    uint32_t writer = plant->others;
    uint32_t value = 0;
    switch ((int)anomaly) {
    case ANOMALY_MALFORMED:
        value = write_one(plant, writer, 0);
        begin(plant, writer + 1);
        history_op(&plant->made, HISTORY_WRITE, plant->keys + 1, value);
        return;
    case ANOMALY_THIN_AIR:
        if (variant == 0) {
            read_one(plant, plant->reader, 0, plant->number);
        } else if (variant == 1) { /* Written, but elsewhere. */
            read_one(plant, plant->reader, 0, write_one(plant, writer, 1));
        } else { /* A removal that shows. */
            begin(plant, writer);
            history_op(&plant->made, HISTORY_REMOVE, plant->keys, plant->number);
            read_one(plant, plant->reader, 0, plant->number);
        }
        return;
    case ANOMALY_ABORTED:
        value = write_one(plant, writer, 0);
        plant->made.txns[0].outcome = HISTORY_FAIL;
        read_one(plant, plant->reader, 0, value);
        return;
    default: /* ANOMALY_INTERMEDIATE */
        value = write_one(plant, writer, 0);
        if (variant == 0) {
            (void)put(plant, 0);
        } else {
            history_op(&plant->made, HISTORY_REMOVE, plant->keys, plant->number++);
        }
        read_one(plant, plant->reader, 0, value);
        return;
    }
}

static void plant_cycle(struct plant *plant, uint32_t variant)
{
    uint32_t writer = plant->others;
    if (variant == 0) {
        uint32_t early = plant->number++;
        read_one(plant, writer, 0, early);
        uint32_t late = write_one(plant, writer, 1);
        read_one(plant, writer + 1, 1, late);
        begin(plant, writer + 1);
        history_op(&plant->made, HISTORY_WRITE, plant->keys, early);
        return;
    }
    /* Two see two concurrent writes in two orders. */
    uint32_t one = write_one(plant, writer, 0);
    uint32_t two = write_one(plant, writer + 1, 0);
    read_one(plant, writer + 2, 0, one);
    read_one(plant, writer + 2, 0, two);
    read_one(plant, plant->reader, 0, two);
    read_one(plant, plant->reader, 0, one);
}

/* A set's element in place of a register's value. */
static void plant_element(struct plant *plant, uint32_t session, bool seen)
{
    begin(plant, session);
    history_op(&plant->made, HISTORY_ADD, plant->keys, plant->number);
    if (seen) {
        begin(plant, plant->reader);
        history_op(&plant->made, HISTORY_ELEMENTS, plant->keys, 0);
        history_value(&plant->made, plant->number);
    }
    begin(plant, plant->reader);
    history_op(&plant->made, HISTORY_ELEMENTS, plant->keys, 0);
    plant->number += 1;
}

static void plant_session(struct plant *plant, enum anomaly anomaly, uint32_t variant)
{
    bool mine = anomaly == ANOMALY_READ_YOUR_WRITES;
    uint32_t writer = mine ? plant->reader : plant->others;
    if (variant == 2) {
        plant_element(plant, writer, !mine);
        return;
    }
    uint32_t last = write_two(plant, writer);
    if (!mine) {
        read_one(plant, plant->reader, 0, last);
    }
    read_one(plant, plant->reader, 0, variant == 0 ? (int64_t)last - 1 : HISTORY_NONE);
}

static void plant_fractured(struct plant *plant, uint32_t variant)
{
    uint32_t writer = plant->others;
    begin(plant, writer);
    uint32_t left = put(plant, 0);
    uint32_t right = put(plant, 1);
    if (variant == 0) {
        begin(plant, writer);
        left = put(plant, 0);
        (void)put(plant, 1);
    }
    begin(plant, plant->reader);
    get(plant, 0, left);
    get(plant, 1, variant == 0 ? (int64_t)right : HISTORY_NONE);
}

/* What is read names a chain of causes that leads to a write which is not shown. */
static void plant_chain(struct plant *plant, enum anomaly anomaly, uint32_t variant)
{
    uint32_t writer = plant->others;
    uint32_t last = write_two(plant, writer);
    uint32_t seen = 0;
    if (anomaly == ANOMALY_MONOTONIC_WRITES) {
        seen = write_one(plant, writer, 1);
    } else {
        read_one(plant, writer + 1, 0, last);
        seen = write_one(plant, writer + 1, 1);
    }
    if (anomaly == ANOMALY_CAUSAL) {
        read_one(plant, writer + 2, 1, seen);
        seen = write_one(plant, writer + 2, 2);
    }
    uint32_t key = anomaly == ANOMALY_CAUSAL ? 2 : 1;
    int64_t shown = variant == 0 ? (int64_t)last - 1 : HISTORY_NONE;
    if (variant == 2) { /* In one snapshot. */
        begin(plant, plant->reader);
        get(plant, 0, shown);
        get(plant, key, seen);
    } else {
        read_one(plant, plant->reader, key, seen);
        read_one(plant, plant->reader, 0, shown);
    }
}

static void plant_update(struct plant *plant, uint32_t variant)
{
    uint32_t base = variant == 0 ? write_one(plant, plant->others, 0) : 0;
    for (uint32_t i = 0; i < 2; i++) {
        (void)write_one(plant, plant->others + 1 + i, 0);
        plant->made.ops[plant->made.ops_count - 1].conditional = true;
        if (variant == 0) {
            history_value(&plant->made, base);
        }
    }
}

static void plant_final(struct plant *plant)
{
    begin(plant, plant->others + 5);
    plant->made.txns[plant->made.txns_count - 1].outcome = HISTORY_FINAL;
}

static void plant_lost(struct plant *plant, uint32_t variant)
{
    if (variant == 2) {
        begin(plant, plant->others);
        history_op(&plant->made, HISTORY_ADD, plant->keys, plant->number++);
        plant_final(plant);
        history_op(&plant->made, HISTORY_ELEMENTS, plant->keys, 0);
        return;
    }
    uint32_t last = write_two(plant, plant->others);
    plant_final(plant);
    get(plant, 0, variant == 0 ? (int64_t)last - 1 : HISTORY_NONE);
}

static void plant_counter(struct plant *plant, bool low, uint32_t variant)
{
    begin(plant, plant->others);
    history_op(&plant->made, HISTORY_DELTA, plant->keys, 7);
    uint32_t seen = put(plant, 1);
    if (variant == 0) {
        plant_final(plant);
    } else {
        read_one(plant, plant->reader, 1, seen);
        begin(plant, plant->reader);
    }
    history_op(&plant->made, HISTORY_SUM, plant->keys, low ? 6 : 14);
}

/* The reader of a removed key may see either: but not one here and another there. */
static void plant_diverged(struct plant *plant)
{
    uint32_t one = write_one(plant, plant->others, 0);
    uint32_t two = write_one(plant, plant->others + 1, 0);
    begin(plant, plant->others + 2);
    history_op(&plant->made, HISTORY_REMOVE, plant->keys, plant->number++);
    plant_final(plant);
    get(plant, 0, one);
    plant_final(plant);
    plant->made.txns[plant->made.txns_count - 1].session += 1;
    plant->made.sessions += 1;
    get(plant, 0, two);
}

static void plant_make(struct plant *plant, enum anomaly anomaly, uint32_t variant)
{
    switch (anomaly) {
    case ANOMALY_MALFORMED:
    case ANOMALY_THIN_AIR:
    case ANOMALY_ABORTED:
    case ANOMALY_INTERMEDIATE: plant_values(plant, anomaly, variant); return;
    case ANOMALY_CYCLE: plant_cycle(plant, variant); return;
    case ANOMALY_READ_YOUR_WRITES:
    case ANOMALY_MONOTONIC_READS: plant_session(plant, anomaly, variant); return;
    case ANOMALY_FRACTURED: plant_fractured(plant, variant); return;
    case ANOMALY_MONOTONIC_WRITES:
    case ANOMALY_WRITES_FOLLOW_READS:
    case ANOMALY_CAUSAL: plant_chain(plant, anomaly, variant); return;
    case ANOMALY_LOST_UPDATE: plant_update(plant, variant); return;
    case ANOMALY_LOST_WRITE: plant_lost(plant, variant); return;
    case ANOMALY_COUNTER_LOW: plant_counter(plant, true, variant); return;
    case ANOMALY_COUNTER_HIGH: plant_counter(plant, false, variant); return;
    case ANOMALY_DIVERGED: plant_diverged(plant); return;
    case ANOMALY_COUNT: return;
    }
}

void generate_bad(struct history *bad, const struct history *good, struct msy_prng *prng,
                  enum anomaly anomaly, uint32_t variant)
{
    struct plant plant = {.reader = (uint32_t)msy_prng_below(prng, good->sessions),
                          .others = good->sessions,
                          .keys = good->keys,
                          .number = good->numbers};
    uint32_t places[PLANT_STEPS_MAX] = {0};
    uint32_t next = 0;
    history_init(&plant.made);
    plant_make(&plant, anomaly, variant);
    assert_true(plant.made.txns_count <= PLANT_STEPS_MAX);
    for (uint32_t i = 0; i < plant.made.txns_count; i++) {
        uint32_t place = (uint32_t)msy_prng_below(prng, good->txns_count + 1);
        uint32_t at = i;
        while (at > 0 && places[at - 1] > place) {
            places[at] = places[at - 1];
            at--;
        }
        places[at] = place;
    }
    history_clear(bad);
    for (uint32_t i = 0; i <= good->txns_count; i++) {
        while (next < plant.made.txns_count && places[next] == i) {
            history_copy(bad, &plant.made, next++);
        }
        if (i < good->txns_count) {
            history_copy(bad, good, i);
        }
    }
    history_fini(&plant.made);
}
