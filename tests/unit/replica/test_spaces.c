/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shows how spaces are founded, joined, left, erased and joined again, what is refused and with
 * which words, that all of it survives a store that fails at any operation, and that concurrent
 * schema records have one winner at every replica.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/path.h"
#include "replica/verify.h"
#include "store/history.h"
#include "unit/replica/replica_kit.h"
#include "wire/msgpack_check.h"

static const uint8_t text_a[] = {0xa1, 'a'};

static void refused(struct msy_replica_effect done, meshsync_status status, const char *words)
{
    assert_int_equal(done.status, status);
    assert_int_equal(done.error.status, status);
    if (strstr(done.error.message, words) == NULL) {
        fail_msg("\"%s\" has no \"%s\"", done.error.message, words);
    }
}

static struct msy_replica_effect join(struct kit *kit, const struct msy_ticket *ticket,
                                      meshsync_bytes name)
{
    struct msy_replica_event event = {.type = MSY_REPLICA_JOIN, .ticket = ticket, .bytes = name};
    return kit_step(kit, &event);
}

static struct msy_replica_effect leave(struct kit *kit, uint32_t space, int32_t erase)
{
    struct msy_replica_event event = {.type = MSY_REPLICA_LEAVE, .space = space, .erase = erase};
    return kit_step(kit, &event);
}

static meshsync_status row_of(struct kit *kit, uint32_t space, struct msy_space_row_descriptor *row)
{
    struct msy_store_txn *txn = NULL;
    uint32_t number = space - 1;
    assert_int_equal(msy_store_begin(kit->store, MSY_TXN_READ, &txn), MESHSYNC_OK);
    meshsync_status status = msy_history_next_space(txn, &number, row);
    msy_store_abort(txn);
    return status == MESHSYNC_OK && number != space ? MESHSYNC_E_NOT_FOUND : status;
}

static void verified(struct kit *kit, uint32_t space)
{
    struct msy_store_txn *txn = NULL;
    meshsync_verify_report report = {.size = sizeof report};
    meshsync_error error = {0};
    assert_int_equal(msy_store_begin(kit->store, MSY_TXN_READ, &txn), MESHSYNC_OK);
    assert_int_equal(msy_verify_space(&kit->alloc, txn, space, &report, &error), MESHSYNC_OK);
    msy_store_abort(txn);
}

static void test_names(void **state)
{
    struct kit kit;
    char name[MESHSYNC_NAME_BYTES_MAX + 2];
    (void)state;
    kit_open(&kit, 1, NULL);
    memset(name, 'n', sizeof name);
    const char *rule = "1 to 64 bytes of UTF-8";
    refused(kit_create(&kit, msy_bytes("", 0)), MESHSYNC_E_INVALID, rule);
    refused(kit_create(&kit, msy_bytes("a\0b", 3)), MESHSYNC_E_INVALID, rule);
    refused(kit_create(&kit, msy_bytes("\xff", 1)), MESHSYNC_E_INVALID, rule);
    refused(kit_create(&kit, msy_bytes(name, MESHSYNC_NAME_BYTES_MAX + 1)), MESHSYNC_E_INVALID,
            rule);
    assert_int_equal(kit_create(&kit, msy_bytes(name, MESHSYNC_NAME_BYTES_MAX)).status,
                     MESHSYNC_OK);
    refused(kit_create(&kit, msy_bytes(name, MESHSYNC_NAME_BYTES_MAX)), MESHSYNC_E_EXISTS,
            "of that name");
    verified(&kit, kit.space);
    kit_close(&kit);
}

static void test_no_such_space(void **state)
{
    struct kit kit;
    struct msy_replica_event changes = {.type = MSY_REPLICA_CHANGES, .space = 5};
    (void)state;
    kit_open(&kit, 1, NULL);
    kit.space = 5;
    refused(kit_put(&kit, "c", msy_key_name("k"), msy_bytes("", 0), msy_bytes(text_a, 2)),
            MESHSYNC_E_NOT_FOUND, "no such space");
    refused(leave(&kit, 5, 1), MESHSYNC_E_NOT_FOUND, "no such space");
    struct msy_replica_effect received = kit_step(&kit, &changes);
    assert_int_equal(received.type, MSY_REPLICA_RECEIVED);
    assert_int_equal(received.accepted + received.rejected + received.pending, 0);
    assert_int_equal(kit_create(&kit, msy_key_name("s")).status, MESHSYNC_OK);
    refused(kit_put(&kit, "c", msy_key_name("k"), msy_bytes("", 0), msy_bytes(text_a, 2)),
            MESHSYNC_E_NOT_FOUND, "no collection \"c\"");
    kit_close(&kit);
}

static void test_joining(void **state)
{
    struct kit founder;
    struct kit kit;
    struct msy_ticket ticket;
    char name[MESHSYNC_NAME_BYTES_MAX + 2];
    (void)state;
    kit_open(&founder, 1, NULL);
    assert_int_equal(kit_create(&founder, msy_key_name("s")).status, MESHSYNC_OK);
    kit_ticket(&founder, &ticket);
    kit_open(&kit, 2, NULL);
    memset(name, 'n', sizeof name);

    struct msy_ticket bad = ticket;
    bad.expires_ms = kit.now_ms - 1;
    refused(join(&kit, &bad, msy_bytes("", 0)), MESHSYNC_E_INVALID, "has expired");
    bad.expires_ms = kit.now_ms + 60000;
    memset(bad.name, 0, sizeof bad.name);
    refused(join(&kit, &bad, msy_bytes("", 0)), MESHSYNC_E_INVALID, "a space's name");
    refused(join(&kit, &ticket, msy_bytes(name, sizeof name)), MESHSYNC_E_INVALID,
            "a space's name");
    refused(join(&kit, &ticket, msy_bytes("\xfe", 1)), MESHSYNC_E_INVALID, "a space's name");
    assert_int_equal(kit_create(&kit, msy_key_name("mine")).status, MESHSYNC_OK);
    refused(join(&kit, &ticket, msy_key_name("mine")), MESHSYNC_E_EXISTS, "give another");

    struct msy_replica_effect joined = join(&kit, &ticket, msy_bytes("", 0));
    assert_int_equal(joined.status, MESHSYNC_OK);
    refused(join(&kit, &ticket, msy_bytes("", 0)), MESHSYNC_E_EXISTS, "here already");
    kit.space = joined.space;
    assert_int_equal(kit_bring(&kit, &founder).accepted, 2);
    assert_int_equal(kit_bring(&founder, &kit).accepted, 1);
    struct msy_space_row_descriptor row;
    assert_int_equal(row_of(&kit, joined.space, &row), MESHSYNC_OK);
    assert_false(row.joining);
    assert_string_equal(row.name, "theirs");
    verified(&kit, joined.space);
    verified(&founder, founder.space);
    kit_close(&kit);
    kit_close(&founder);
}

/* Numbers of spaces that were erased are not used again; nothing of them is left. */
static void test_leaving_and_erasing(void **state)
{
    struct kit kit;
    struct msy_space_row_descriptor row;
    struct msy_store_stats stats;
    (void)state;
    kit_open(&kit, 1, NULL);
    assert_int_equal(kit_create(&kit, msy_key_name("one")).status, MESHSYNC_OK);
    assert_int_equal(kit_schema(&kit, "c", MESHSYNC_REGISTER, MESHSYNC_VIEW_LWW).status,
                     MESHSYNC_OK);
    uint32_t one = kit.space;
    assert_int_equal(kit_create(&kit, msy_key_name("two")).status, MESHSYNC_OK);
    uint32_t two = kit.space;
    assert_int_equal(kit_schema(&kit, "c", MESHSYNC_REGISTER, MESHSYNC_VIEW_LWW).status,
                     MESHSYNC_OK);
    assert_int_equal(
        kit_put(&kit, "c", msy_key_name("k"), msy_bytes("", 0), msy_bytes(text_a, 2)).status,
        MESHSYNC_OK);
    assert_int_equal(leave(&kit, two, 1).status, MESHSYNC_OK);
    refused(leave(&kit, two, 1), MESHSYNC_E_NOT_FOUND, "no such space");
    assert_int_equal(row_of(&kit, two, &row), MESHSYNC_E_END);
    kit_reopen(&kit);
    refused(leave(&kit, two, 0), MESHSYNC_E_NOT_FOUND, "no such space");
    assert_int_equal(kit_create(&kit, msy_key_name("two")).status, MESHSYNC_OK);
    assert_true(kit.space > two);
    assert_int_equal(leave(&kit, kit.space, 1).status, MESHSYNC_OK);
    verified(&kit, one);
    assert_int_equal(leave(&kit, one, 1).status, MESHSYNC_OK);
    assert_int_equal(msy_store_get_stats(kit.store, &stats), MESHSYNC_OK);
    for (uint32_t table = MSY_TABLE_SPACES; table < MSY_TABLE_COUNT; table++) {
        assert_int_equal(stats.entries[table], 0);
    }
    kit_close(&kit);
}

/* A full store takes no more, but removals and the erasing of a space go on. */
static void test_full_store(void **state)
{
    struct kit kit;
    struct msy_request request;
    uint8_t path[MESHSYNC_PATH_BYTES_MAX];
    size_t len = 0;
    struct msy_intent intent = {.type = MSY_INTENT_DELETE, .collection = msy_key_name("c")};
    struct msy_replica_event event = {.type = MSY_REPLICA_COMMIT, .id = 7, .request = &request};
    (void)state;
    kit_open(&kit, 1, NULL);
    assert_int_equal(kit_create(&kit, msy_key_name("s")).status, MESHSYNC_OK);
    assert_int_equal(kit_schema(&kit, "c", MESHSYNC_REGISTER, MESHSYNC_VIEW_LWW).status,
                     MESHSYNC_OK);
    assert_int_equal(
        kit_put(&kit, "c", msy_key_name("k"), msy_bytes("", 0), msy_bytes(text_a, 2)).status,
        MESHSYNC_OK);
    msy_store_memory_fault(kit.store, MSY_STORE_FAULT_FULL);
    event.space = kit.space;
    assert_true(msy_path_append(path, &len, sizeof path, msy_key_name("k")));
    intent.path = msy_bytes(path, len);
    msy_request_init(&request, &kit.alloc);
    assert_int_equal(msy_request_add(&request, &intent), MESHSYNC_OK);
    assert_int_equal(kit_step(&kit, &event).status, MESHSYNC_OK);
    verified(&kit, kit.space);

    /* One write among the removals, and it is no removal. */
    intent.type = MSY_INTENT_PUT;
    intent.payload = msy_bytes(text_a, 2);
    assert_int_equal(msy_request_add(&request, &intent), MESHSYNC_OK);
    assert_int_equal(msy_replica_step(kit.machine, &event, 1, kit.now_ms, NULL, NULL, &kit.effects),
                     MESHSYNC_E_STORE_FULL);
    kit_reopen(&kit);
    msy_request_fini(&request);
    assert_int_equal(leave(&kit, kit.space, 1).status, MESHSYNC_OK);
    kit_close(&kit);
}

/* Whoever left before being let in has given its invitation back: a new ticket lets it in. */
static void test_joining_again(void **state)
{
    struct kit founder;
    struct kit kit;
    struct msy_ticket ticket;
    struct msy_space_row_descriptor row;
    (void)state;
    kit_open(&founder, 1, NULL);
    assert_int_equal(kit_create(&founder, msy_key_name("s")).status, MESHSYNC_OK);
    kit_ticket(&founder, &ticket);
    kit_open(&kit, 2, NULL);
    kit.space = join(&kit, &ticket, msy_bytes("", 0)).space;
    assert_int_equal(leave(&kit, kit.space, 0).status, MESHSYNC_OK);
    assert_int_equal(row_of(&kit, kit.space, &row), MESHSYNC_OK);
    assert_true(row.left && row.joining);
    struct msy_replica_effect again = join(&kit, &ticket, msy_bytes("", 0));
    assert_int_equal(again.status, MESHSYNC_OK);
    assert_int_equal(again.space, kit.space);
    assert_int_equal(row_of(&kit, kit.space, &row), MESHSYNC_OK);
    assert_true(!row.left && row.joining);
    assert_memory_equal(row.invite_seed, ticket.invite_seed, sizeof row.invite_seed);
    assert_int_equal(kit_bring(&kit, &founder).accepted, 2);
    assert_int_equal(row_of(&kit, kit.space, &row), MESHSYNC_OK);
    assert_false(row.joining);
    assert_int_equal(kit_bring(&founder, &kit).accepted, 2);
    verified(&kit, kit.space);
    verified(&founder, founder.space);
    kit_close(&kit);
    kit_close(&founder);
}

/* ---- Schemas ---- */

static struct msy_schema schema_of(struct kit *kit, const char *name)
{
    struct msy_store_txn *txn = NULL;
    struct msy_schema schema = {0};
    assert_int_equal(msy_store_begin(kit->store, MSY_TXN_READ, &txn), MESHSYNC_OK);
    assert_int_equal(msy_schema_find(txn, kit->space, msy_key_name(name), &schema), MESHSYNC_OK);
    msy_store_abort(txn);
    return schema;
}

static void test_concurrent_schemas(void **state)
{
    struct kit kit;
    struct kit other;
    (void)state;
    kit_open(&kit, 1, NULL);
    assert_int_equal(kit_create(&kit, msy_key_name("s")).status, MESHSYNC_OK);
    kit_clone(&other, &kit);
    assert_int_equal(kit_schema(&kit, "early", MESHSYNC_REGISTER, MESHSYNC_VIEW_MAX).status,
                     MESHSYNC_OK);
    other.now_ms += 5000;
    assert_int_equal(kit_schema(&other, "early", MESHSYNC_REGISTER, MESHSYNC_VIEW_MIN).status,
                     MESHSYNC_OK);
    assert_int_equal(kit_bring(&other, &kit).rejected, 0);
    assert_int_equal(kit_bring(&kit, &other).rejected, 0);
    assert_int_equal(schema_of(&kit, "early").view, MESHSYNC_VIEW_MIN);
    assert_int_equal(schema_of(&other, "early").view, MESHSYNC_VIEW_MIN);
    assert_string_equal(schema_of(&kit, "early").merge_name, "merge");
    assert_int_equal(schema_of(&kit, "early").merge_version, 3);
    /* A write over what was seen has no rival. */
    assert_int_equal(kit_schema(&kit, "early", MESHSYNC_REGISTER, MESHSYNC_VIEW_LWW).status,
                     MESHSYNC_OK);
    assert_int_equal(schema_of(&kit, "early").view, MESHSYNC_VIEW_LWW);
    kit_close(&other);
    kit_close(&kit);
}

/* Records of a later version, or of nonsense, are as if they were not there. */
static void test_strange_schemas(void **state)
{
    static const struct {
        const char *name, *bytes;
        size_t len;
    } strange[] = {
        {"later version", "\xc7\x07\x02\x96\x02\x01\x01\xa0\x00\x00", 10},
        {"too short", "\xc7\x06\x02\x95\x01\x01\x01\xa0\x00", 9},
        {"no array", "\xd4\x02\x01", 3},
        {"type is a text", "\xc7\x07\x02\x96\x01\xa0\x01\xa0\x00\x00", 10},
        {"view is a text", "\xc7\x07\x02\x96\x01\x01\xa0\xa0\x00\x00", 10},
        {"merge is a number", "\xc7\x07\x02\x96\x01\x01\x01\x01\x00\x00", 10},
        {"merge version is a text", "\xc7\x07\x02\x96\x01\x01\x01\xa0\xa0\x00", 10},
        {"type too large", "\xc7\x09\x02\x96\x01\xcd\x80\x00\x01\xa0\x00\x00", 12},
        {"view too large", "\xc7\x09\x02\x96\x01\x01\xcd\x80\x00\xa0\x00\x00", 12},
        {"no record at all", "\x01", 1},
    };
    struct kit kit;
    struct msy_store_txn *txn = NULL;
    struct msy_schema schema;
    (void)state;
    kit_open(&kit, 1, NULL);
    assert_int_equal(kit_create(&kit, msy_key_name("s")).status, MESHSYNC_OK);
    for (uint32_t i = 0; i < sizeof strange / sizeof strange[0]; i++) {
        assert_int_equal(kit_put(&kit, "", msy_key_name("schema"), msy_key_name(strange[i].name),
                                 msy_bytes(strange[i].bytes, strange[i].len))
                             .status,
                         MESHSYNC_OK);
    }
    assert_int_equal(
        kit_put(&kit, "", msy_key_name("schema"), msy_bytes("", 0), msy_bytes(text_a, 2)).status,
        MESHSYNC_OK);
    assert_int_equal(kit_schema(&kit, "good", MESHSYNC_COUNTER, MESHSYNC_VIEW_LWW).status,
                     MESHSYNC_OK);
    assert_int_equal(msy_store_begin(kit.store, MSY_TXN_READ, &txn), MESHSYNC_OK);
    for (uint32_t i = 0; i < sizeof strange / sizeof strange[0]; i++) {
        assert_int_equal(msy_schema_find(txn, kit.space, msy_key_name(strange[i].name), &schema),
                         MESHSYNC_E_NOT_FOUND);
    }
    assert_int_equal(msy_schema_find(txn, kit.space, msy_bytes("", 0), &schema),
                     MESHSYNC_E_NOT_FOUND);
    assert_int_equal(msy_schema_next(txn, kit.space, msy_bytes("", 0), &schema), MESHSYNC_OK);
    assert_string_equal(schema.name, "good");
    assert_int_equal(msy_schema_next(txn, kit.space, msy_key_name("good"), &schema),
                     MESHSYNC_E_END);
    assert_int_equal(msy_schema_next(txn, kit.space + 1, msy_bytes("", 0), &schema),
                     MESHSYNC_E_END);
    msy_store_abort(txn);
    verified(&kit, kit.space);
    kit_close(&kit);
}

/* ---- Every operation of the store fails once ---- */

static struct fail_plan plan;

/* The step, again after a failure by a machine that is opened anew. */
static struct msy_replica_effect try(struct kit *kit, struct msy_replica_event *event)
{
    uint8_t before[32];
    uint8_t after[32];
    bool fired = plan.fired;
    fail_store_sum(kit->store, before);
    event->id = 7;
    plan.armed = true;
    meshsync_status status =
        msy_replica_step(kit->machine, event, 1, kit->now_ms, NULL, NULL, &kit->effects);
    plan.armed = false;
    if (!fired && plan.fired) {
        assert_int_equal(status, plan.status);
        fail_store_sum(kit->store, after);
        assert_memory_equal(before, after, sizeof before);
        kit_reopen(kit);
    } else {
        assert_int_equal(status, MESHSYNC_OK);
        if (event->type == MSY_REPLICA_TICK) {
            return (struct msy_replica_effect){.status = MESHSYNC_OK};
        }
        assert_true(kit->effects.count > 0);
        for (uint32_t i = 0; i < kit->effects.count; i++) {
            if (kit->effects.items[i].id == 7) {
                return kit->effects.items[i];
            }
        }
        fail_msg("no answer");
    }
    return event->type == MSY_REPLICA_TICK ? (struct msy_replica_effect){.status = MESHSYNC_OK}
                                           : kit_step(kit, event);
}

/* Founding, joining, being let in, leaving, coming back, and erasing. */
static uint64_t story(const struct msy_ticket *ticket, meshsync_bytes theirs, uint64_t n)
{
    struct kit kit;
    struct msy_replica_event create = {.type = MSY_REPLICA_CREATE, .bytes = msy_key_name("mine")};
    struct msy_replica_event joins = {.type = MSY_REPLICA_JOIN, .ticket = ticket};
    struct msy_replica_event changes = {.type = MSY_REPLICA_CHANGES, .bytes = theirs};
    struct msy_replica_event leaves = {.type = MSY_REPLICA_LEAVE};
    struct msy_replica_event tick = {.type = MSY_REPLICA_TICK};
    struct msy_store_stats stats;
    fail_plan_at(&plan, 0, 0);
    kit_open(&kit, 2, &plan);
    fail_plan_at(&plan, n, (uint32_t)n);
    struct msy_replica_effect mine = try(&kit, &create);
    assert_int_equal(mine.status, MESHSYNC_OK);
    struct msy_replica_effect joined = try(&kit, &joins);
    assert_int_equal(joined.status, MESHSYNC_OK);
    changes.space = leaves.space = joined.space;
    assert_int_equal(try(&kit, &changes).accepted, 2);
    assert_int_equal(try(&kit, &tick).status, MESHSYNC_OK);
    assert_int_equal(try(&kit, &leaves).status, MESHSYNC_OK);
    assert_int_equal(try(&kit, &joins).space, joined.space);
    verified(&kit, joined.space);
    verified(&kit, mine.space);
    leaves.erase = 1;
    assert_int_equal(try(&kit, &leaves).status, MESHSYNC_OK);
    leaves.space = mine.space;
    assert_int_equal(try(&kit, &leaves).status, MESHSYNC_OK);
    assert_int_equal(msy_store_get_stats(kit.store, &stats), MESHSYNC_OK);
    assert_int_equal(stats.entries[MSY_TABLE_LOG] + stats.entries[MSY_TABLE_SPACES], 0);
    assert_int_equal(plan.fired, n != 0);
    uint64_t operations = plan.counted;
    kit_close(&kit);
    return operations;
}

static void test_every_operation(void **state)
{
    struct kit founder;
    struct msy_ticket ticket;
    struct msy_store_txn *txn = NULL;
    struct msy_buf bytes;
    struct msy_record record;
    (void)state;
    kit_open(&founder, 1, NULL);
    assert_int_equal(kit_create(&founder, msy_key_name("s")).status, MESHSYNC_OK);
    kit_ticket(&founder, &ticket);
    msy_buf_init(&bytes, &founder.alloc, 1 << 20);
    assert_int_equal(msy_store_begin(founder.store, MSY_TXN_READ, &txn), MESHSYNC_OK);
    for (uint64_t lsn = 1; msy_history_record_from(txn, &lsn, &record) == MESHSYNC_OK; lsn++) {
        assert_int_equal(msy_buf_append_be32(&bytes, (uint32_t)record.change.len), MESHSYNC_OK);
        assert_int_equal(msy_buf_append(&bytes, record.change.data, record.change.len),
                         MESHSYNC_OK);
    }
    msy_store_abort(txn);
    uint64_t operations = story(&ticket, msy_buf_bytes(&bytes), 0);
    for (uint64_t n = 1; n <= operations; n++) {
        (void)story(&ticket, msy_buf_bytes(&bytes), n);
    }
    print_message("%llu operations, each failed once\n", (unsigned long long)operations);
    assert_true(operations > 100);
    msy_buf_fini(&bytes);
    kit_close(&founder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_no_such_space),
        cmocka_unit_test(test_joining),
        cmocka_unit_test(test_leaving_and_erasing),
        cmocka_unit_test(test_full_store),
        cmocka_unit_test(test_joining_again),
        cmocka_unit_test(test_concurrent_schemas),
        cmocka_unit_test(test_strange_schemas),
        cmocka_unit_test(test_every_operation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
