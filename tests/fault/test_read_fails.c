/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shows that every kind of read of a space, when the store fails at its n-th operation, once or
 * from then on, for every n, gives that failure's status: never less than there is, never "not
 * found", never a wrong value; and that it ends.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "laws/schedule.h"
#include "replica/verify.h"
#include "store/history.h"
#include "wire/msgpack_check.h"
#include "wire/value.h"

enum { SEEDS_DEFAULT = 3, SEED_BASE = 810000, PATHS_MAX = 128, OUT_BYTES_MAX = 4 << 20 };

static struct fail_plan plan;
static struct msy_buf expected, shown;
static struct msy_vector tips;

/* Paths that reads ask for: what lives, and a little that does not. */
static struct {
    uint32_t collection;
    uint8_t bytes[MESHSYNC_PATH_BYTES_MAX];
    size_t len;
} paths[PATHS_MAX];
static uint32_t paths_count;

/* One kind of read: everything that it gave goes to out. */
struct reader {
    const char *name;
    meshsync_status (*read)(struct msy_store_txn *txn, uint32_t space, struct msy_buf *out);
};

static void say(struct msy_buf *out, const void *data, size_t len)
{
    assert_int_equal(msy_buf_append_be32(out, (uint32_t)len), MESHSYNC_OK);
    assert_int_equal(msy_buf_append(out, data, len), MESHSYNC_OK);
}

static void say_number(struct msy_buf *out, uint64_t number)
{
    say(out, &number, sizeof number);
}

static void say_entry(struct msy_buf *out, const meshsync_entry *entry)
{
    say(out, entry->key.data, entry->key.len);
    say(out, entry->context.data, entry->context.len);
    say_number(out, (uint64_t)entry->kind);
    say_number(out, entry->siblings_count);
    if (entry->kind == 0) {
        assert_int_equal(msy_value_encode(&entry->value, out, NULL), MESHSYNC_OK);
    } else if (entry->kind == 1) {
        say_number(out, (uint64_t)entry->value.integer);
    }
}

static meshsync_status say_siblings(struct msy_view *view, uint32_t count, struct msy_buf *out)
{
    for (uint32_t i = 0; i < count; i++) {
        meshsync_sibling sibling;
        meshsync_status status = msy_view_sibling(view, i, &sibling, NULL);
        if (status != MESHSYNC_OK) {
            return status;
        }
        assert_int_equal(msy_value_encode(&sibling.value, out, NULL), MESHSYNC_OK);
        say(out, sibling.actor, sizeof sibling.actor);
        say(out, sibling.device, sizeof sibling.device);
        say_number(out, sibling.hlc);
    }
    return MESHSYNC_OK;
}

/* ---- Views ---- */

static meshsync_status walk_out(struct msy_walk *walk, struct msy_buf *out)
{
    meshsync_entry entry;
    meshsync_error error = {0};
    meshsync_status status = MESHSYNC_OK;
    while (status == MESHSYNC_OK) {
        status = msy_walk_next(walk, &entry, &error);
        if (status == MESHSYNC_OK) {
            say_entry(out, &entry);
            status = entry.kind == 0 ? say_siblings(walk->view, entry.siblings_count, out) : status;
        }
    }
    return status == MESHSYNC_E_END ? MESHSYNC_OK : status;
}

static meshsync_status scan_all(struct msy_view *view, int32_t direction, int32_t deep,
                                struct msy_buf *out)
{
    meshsync_status status = MESHSYNC_OK;
    for (uint32_t i = 0; i < LAB_COLLECTIONS && status == MESHSYNC_OK; i++) {
        meshsync_scan_options options = {
            .size = sizeof options, .direction = direction, .deep = deep};
        meshsync_error error = {0};
        struct msy_walk walk;
        status = msy_walk_open(&walk, view, msy_key_name(lab_table[i].name), &options, &error);
        if (status == MESHSYNC_OK) {
            status = walk_out(&walk, out);
            msy_walk_close(&walk);
        }
    }
    return status;
}

static meshsync_status open_view(struct msy_view *view, struct msy_store_txn *txn, uint32_t space)
{
    return msy_view_init(view, &schedule_lab.alloc, txn, NULL, space, NULL);
}

static meshsync_status read_scans(struct msy_store_txn *txn, uint32_t space, struct msy_buf *out)
{
    struct msy_view view;
    meshsync_status status = open_view(&view, txn, space);
    for (int32_t i = 0; i < 4 && status == MESHSYNC_OK; i++) {
        status = scan_all(&view, i % 2, i / 2, out);
    }
    msy_view_fini(&view);
    return status;
}

static meshsync_status read_gets(struct msy_store_txn *txn, uint32_t space, struct msy_buf *out)
{
    struct msy_view view;
    meshsync_status status = open_view(&view, txn, space);
    for (uint32_t i = 0; i < paths_count && status == MESHSYNC_OK; i++) {
        meshsync_bytes name = msy_key_name(lab_table[paths[i].collection].name);
        meshsync_bytes path = msy_bytes(paths[i].bytes, paths[i].len);
        meshsync_entry entry;
        meshsync_error error = {0};
        status = msy_view_get(&view, name, path, &entry, &error);
        if (status == MESHSYNC_OK) {
            say_entry(out, &entry);
            status = entry.kind == 0 ? say_siblings(&view, entry.siblings_count, out) : status;
        }
        if (status == MESHSYNC_OK && lab_table[paths[i].collection].type == MESHSYNC_SET) {
            status = msy_view_contains(&view, name, path, &error);
        }
        if (status == MESHSYNC_E_NOT_FOUND) {
            say_number(out, 404);
            status = MESHSYNC_OK;
        }
    }
    msy_view_fini(&view);
    return status;
}

static meshsync_status read_conflicts(struct msy_store_txn *txn, uint32_t space,
                                      struct msy_buf *out)
{
    struct msy_view view;
    struct msy_walk walk;
    meshsync_error error = {0};
    meshsync_status status = open_view(&view, txn, space);
    if (status == MESHSYNC_OK) {
        status = msy_walk_conflicts(&walk, &view, &error);
        if (status == MESHSYNC_OK) {
            status = walk_out(&walk, out);
            msy_walk_close(&walk);
        }
    }
    msy_view_fini(&view);
    return status;
}

/* A transaction's own writes on top: of every kind, at every path. */
static meshsync_status read_own_writes(struct msy_store_txn *txn, uint32_t space,
                                       struct msy_buf *out)
{
    struct msy_store *store = NULL;
    struct msy_store_txn *over = NULL;
    struct msy_view view;
    struct msy_buf payload;
    uint32_t index = 0;
    bool armed = plan.armed;
    assert_int_equal(msy_store_open_memory(&schedule_lab.alloc, &store, NULL), MESHSYNC_OK);
    assert_int_equal(msy_store_begin(store, MSY_TXN_WRITE, &over), MESHSYNC_OK);
    msy_buf_init(&payload, &schedule_lab.alloc, 64);
    assert_int_equal(msy_mp_put_int(&payload, 7), MESHSYNC_OK);
    plan.armed = armed;
    meshsync_status status = msy_view_init(&view, &schedule_lab.alloc, txn, over, space, NULL);
    for (uint32_t i = 0; i < paths_count && status == MESHSYNC_OK; i++) {
        static const enum msy_intent_type by_type[] = {[MESHSYNC_REGISTER] = MSY_INTENT_PUT,
                                                       [MESHSYNC_COUNTER] = MSY_INTENT_ADD,
                                                       [MESHSYNC_SET] = MSY_INTENT_SET_ADD,
                                                       [MESHSYNC_MAP] = MSY_INTENT_PUT};
        struct msy_intent intent = {
            .type = i % 3 == 2 ? MSY_INTENT_DELETE : by_type[lab_table[paths[i].collection].type],
            .collection = msy_key_name(lab_table[paths[i].collection].name),
            .path = msy_bytes(paths[i].bytes, paths[i].len)};
        meshsync_error error = {0};
        if (intent.type == MSY_INTENT_PUT || intent.type == MSY_INTENT_ADD) {
            intent.payload = msy_buf_bytes(&payload);
        }
        status = msy_overlay_apply(&view, &intent, &index, &error);
        if (status == MESHSYNC_E_INVALID) {
            status = MESHSYNC_OK; /* A set's key is no element. */
        }
    }
    status = status == MESHSYNC_OK ? scan_all(&view, MESHSYNC_ASCENDING, 1, out) : status;
    msy_view_fini(&view);
    msy_buf_fini(&payload);
    msy_store_abort(over);
    msy_store_close(store);
    return status;
}

/* ---- The log and what follows from it ---- */

static meshsync_status read_feed(struct msy_store_txn *txn, uint32_t space, struct msy_buf *out)
{
    meshsync_feed_options options = {.size = sizeof options, .control = 1};
    struct msy_feed_reader feed;
    meshsync_error error = {0};
    meshsync_status status =
        msy_feed_init(&feed, &schedule_lab.alloc, txn, space, &options, &error);
    while (status == MESHSYNC_OK) {
        meshsync_event event;
        status = msy_feed_read(&feed, txn, &event, &error);
        if (status == MESHSYNC_OK) {
            say(out, event.key.data, event.key.len);
            say(out, &event.cursor, sizeof event.cursor);
            say(out, event.device, sizeof event.device);
            say_number(out, (uint64_t)event.type);
        }
    }
    msy_feed_fini(&feed);
    return status == MESHSYNC_E_END ? MESHSYNC_OK : status;
}

static meshsync_status read_verify(struct msy_store_txn *txn, uint32_t space, struct msy_buf *out)
{
    meshsync_verify_report report = {.size = sizeof report};
    meshsync_error error = {0};
    meshsync_status status = msy_verify_space(&schedule_lab.alloc, txn, space, &report, &error);
    say(out, &report, sizeof report);
    return status;
}

static meshsync_status read_digests(struct msy_store_txn *txn, uint32_t space, struct msy_buf *out)
{
    meshsync_digest digest = {.size = sizeof digest};
    meshsync_status status = msy_space_digest(txn, space, &digest);
    say(out, &digest, sizeof digest);
    for (uint32_t i = 0; i < 12 && status == MESHSYNC_OK; i++) {
        uint64_t entries = 0;
        uint8_t sum[32];
        status = msy_collection_digest(txn, space, i, &entries, sum);
        say_number(out, entries);
        say(out, sum, sizeof sum);
    }
    return status;
}

static meshsync_status history_of_tips(struct msy_store_txn *txn, uint32_t space,
                                       const struct msy_vector *vector, struct msy_buf *out)
{
    meshsync_status status = MESHSYNC_OK;
    for (uint32_t i = 0; i < vector->count && status == MESHSYNC_OK; i++) {
        const struct msy_tip *tip = &vector->tips[i];
        struct msy_epoch epoch;
        uint64_t lsn = 0;
        bool covered = false;
        say(out, tip, sizeof *tip);
        status = msy_history_find(txn, space, &tip->actor, tip->seq, tip->hash, &lsn);
        say_number(out, lsn);
        status = status == MESHSYNC_OK ? msy_history_find(txn, space, &tip->actor, 1, NULL, &lsn)
                                       : status;
        if (status == MESHSYNC_OK) {
            status = msy_history_epoch(txn, space, &tip->actor, &epoch);
            say(out, epoch.device, sizeof epoch.device);
        }
        if (status == MESHSYNC_OK) {
            status = msy_history_covers(txn, space, vector, &tip->actor, tip->seq, &covered);
            say_number(out, covered);
        }
    }
    return status;
}

static meshsync_status read_history(struct msy_store_txn *txn, uint32_t space, struct msy_buf *out)
{
    struct msy_space_row_descriptor row;
    struct msy_vector vector;
    struct msy_record record;
    uint32_t number = 0;
    uint64_t lsn = 0;
    meshsync_status status = MESHSYNC_OK;
    msy_vector_init(&vector, &schedule_lab.alloc);
    while ((status = msy_history_next_space(txn, &number, &row)) == MESHSYNC_OK) {
        say(out, row.id, sizeof row.id);
    }
    status = status == MESHSYNC_E_END ? msy_history_heads(txn, space, &vector) : status;
    status = status == MESHSYNC_OK ? history_of_tips(txn, space, &vector, out) : status;
    status = status == MESHSYNC_OK ? msy_history_vector(txn, space, &vector) : status;
    status = status == MESHSYNC_OK ? history_of_tips(txn, space, &vector, out) : status;
    status = status == MESHSYNC_OK ? msy_history_last_lsn(txn, &lsn) : status;
    say_number(out, lsn);
    for (lsn = 1; status == MESHSYNC_OK; lsn++) {
        status = msy_history_record_from(txn, &lsn, &record);
        if (status == MESHSYNC_OK) {
            say(out, record.hash, 32);
        }
    }
    msy_vector_fini(&vector);
    return status == MESHSYNC_E_END ? MESHSYNC_OK : status;
}

/* What one lacks who has nothing, and who has all but the last tip. */
static meshsync_status read_stream(struct msy_store_txn *txn, uint32_t space, struct msy_buf *out)
{
    meshsync_status status = MESHSYNC_OK;
    for (uint32_t i = 0; i < 2 && status == MESHSYNC_OK; i++) {
        struct msy_vector theirs;
        struct msy_stream stream;
        msy_vector_init(&theirs, &schedule_lab.alloc);
        for (uint32_t k = 0; i == 1 && k + 1 < tips.count; k++) {
            assert_int_equal(msy_vector_raise(&theirs, &tips.tips[k]), MESHSYNC_OK);
        }
        msy_stream_init(&stream, &schedule_lab.alloc);
        status = msy_stream_plan(&stream, txn, space, &theirs, tips.tips, tips.count);
        while (status == MESHSYNC_OK) {
            struct msy_record record;
            uint64_t lsn = 0;
            status = msy_stream_peek(&stream, txn, &lsn, &record);
            if (status == MESHSYNC_OK) {
                say_number(out, lsn);
                say(out, record.hash, 32);
                status = msy_stream_advance(&stream, txn);
            }
        }
        msy_stream_fini(&stream);
        msy_vector_fini(&theirs);
        status = status == MESHSYNC_E_END ? MESHSYNC_OK : status;
    }
    return status;
}

static meshsync_status read_control(struct msy_store_txn *txn, uint32_t space, struct msy_buf *out)
{
    meshsync_status status = MESHSYNC_OK;
    struct msy_schema schema;
    char after[MESHSYNC_NAME_BYTES_MAX + 1] = "";
    for (uint32_t i = 0; i < schedule_lab.count && status == MESHSYNC_OK; i++) {
        bool member = false;
        status = msy_members_has(txn, space, msy_identity_public(schedule_lab.replicas[i].identity),
                                 NULL, &member);
        say_number(out, member);
    }
    while (status == MESHSYNC_OK) {
        status = msy_schema_next(txn, space, msy_key_name(after), &schema);
        if (status == MESHSYNC_OK) {
            memcpy(after, schema.name, sizeof after);
            status = msy_schema_find(txn, space, msy_key_name(after), &schema);
            say(out, schema.name, strlen(schema.name));
            say_number(out, (uint64_t)schema.type);
        }
    }
    return status == MESHSYNC_E_END ? MESHSYNC_OK : status;
}

static const struct reader readers[] = {
    {"scans", read_scans},           {"gets", read_gets},       {"conflicts", read_conflicts},
    {"own writes", read_own_writes}, {"feed", read_feed},       {"verify", read_verify},
    {"digests", read_digests},       {"history", read_history}, {"streams", read_stream},
    {"control", read_control}};

/* ---- Each reader, at each operation ---- */

/* A read in a transaction of its own, whose begin may fail too. */
static meshsync_status read_once(const struct reader *reader, struct lab_replica *replica,
                                 struct msy_buf *out)
{
    struct msy_store_txn *txn = NULL;
    msy_buf_reset(out);
    plan.armed = true;
    meshsync_status status = msy_store_begin(replica->store, MSY_TXN_READ, &txn);
    if (status == MESHSYNC_OK) {
        status = reader->read(txn, replica->space, out);
    }
    plan.armed = false;
    msy_store_abort(txn);
    return status;
}

static uint64_t try_reader(const struct reader *reader, struct lab_replica *replica)
{
    fail_plan_at(&plan, 0, 0);
    assert_int_equal(read_once(reader, replica, &expected), MESHSYNC_OK);
    uint64_t operations = plan.counted;
    for (uint64_t k = 2; k <= 2 * operations + 1; k++) {
        uint64_t n = k / 2;
        plan.stays = k % 2 == 1;
        fail_plan_at(&plan, n, (uint32_t)(n * 7 + replica->space));
        meshsync_status status = read_once(reader, replica, &shown);
        if (!plan.fired || status != plan.status) {
            lab_fail(&schedule_lab, "%s: operation %llu of %llu (%s) failed with %s, shown as %s",
                     reader->name, (unsigned long long)n, (unsigned long long)operations,
                     fail_op_name(plan.op), meshsync_status_name(plan.status),
                     meshsync_status_name(status));
        }
    }
    plan.stays = false;
    fail_plan_at(&plan, 0, 0);
    assert_int_equal(read_once(reader, replica, &shown), MESHSYNC_OK);
    assert_true(msy_bytes_equal(msy_buf_bytes(&expected), msy_buf_bytes(&shown)));
    return 2 * operations;
}

static void add_path(uint32_t collection, const uint8_t *bytes, size_t len)
{
    if (paths_count < PATHS_MAX) {
        paths[paths_count].collection = collection;
        paths[paths_count].len = len;
        memcpy(paths[paths_count].bytes, bytes, len);
        paths_count += 1;
    }
}

static void find_paths(struct lab_replica *replica)
{
    struct msy_store_txn *txn = NULL;
    struct msy_view view;
    paths_count = 0;
    assert_int_equal(msy_store_begin(replica->store, MSY_TXN_READ, &txn), MESHSYNC_OK);
    assert_int_equal(msy_history_vector(txn, replica->space, &tips), MESHSYNC_OK);
    assert_int_equal(open_view(&view, txn, replica->space), MESHSYNC_OK);
    for (uint32_t i = 0; i < LAB_COLLECTIONS; i++) {
        meshsync_scan_options options = {.size = sizeof options, .deep = 1};
        struct msy_walk walk;
        meshsync_entry entry;
        struct lab_op nothing;
        const char *part = "nobody wrote here";
        lab_path(&nothing, &part, 1);
        add_path(i, nothing.path, nothing.path_len);
        assert_int_equal(
            msy_walk_open(&walk, &view, msy_key_name(lab_table[i].name), &options, NULL),
            MESHSYNC_OK);
        while (msy_walk_next(&walk, &entry, NULL) == MESHSYNC_OK) {
            add_path(i, entry.key.data, entry.key.len);
        }
        msy_walk_close(&walk);
    }
    msy_view_fini(&view);
    msy_store_abort(txn);
}

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL && text[0] != '\0' ? strtoull(text, NULL, 10) : otherwise;
}

static void test_every_read_at_every_operation(void **state)
{
    uint64_t seeds = number_of("MESHSYNC_READ_FAILS", SEEDS_DEFAULT);
    uint64_t base = number_of("MESHSYNC_SEED", SEED_BASE);
    uint64_t tried[sizeof readers / sizeof readers[0]] = {0};
    (void)state;
    schedule_lab.plan = &plan;
    plan.reads = true;
    for (uint64_t i = 0; i < seeds; i++) {
        schedule_play(base + i);
        find_paths(&schedule_lab.replicas[0]);
        for (uint32_t k = 0; k < sizeof readers / sizeof readers[0]; k++) {
            tried[k] += try_reader(&readers[k], &schedule_lab.replicas[0]);
        }
        lab_end(&schedule_lab);
    }
    print_message("%llu states from seed %llu; failures tried:", (unsigned long long)seeds,
                  (unsigned long long)base);
    for (uint32_t k = 0; k < sizeof readers / sizeof readers[0]; k++) {
        print_message(" %s %llu", readers[k].name, (unsigned long long)tried[k]);
        assert_true(tried[k] > 0);
    }
    print_message("\n");
}

static int setup(void **state)
{
    (void)state;
    lab_open(&schedule_lab, "build/tests/fault/test_read_fails");
    msy_buf_init(&expected, &schedule_lab.alloc, OUT_BYTES_MAX);
    msy_buf_init(&shown, &schedule_lab.alloc, OUT_BYTES_MAX);
    msy_vector_init(&tips, &schedule_lab.alloc);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    msy_buf_fini(&expected);
    msy_buf_fini(&shown);
    msy_vector_fini(&tips);
    lab_close(&schedule_lab);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_read_at_every_operation)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
