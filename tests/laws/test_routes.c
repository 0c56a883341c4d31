/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shows that a state does not depend on the way: the changes of a random history are handed to
 * fresh replicas one by one, in other causal orders, in disorder, by streams that are cut at any
 * byte and resumed, through relays, by all of these in turn, with doubles and restarts; all then
 * show the same, with equal vectors, heads and digests, which is what a replay of their log gives.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "laws/schedule.h"
#include "laws/show.h"
#include "replica/verify.h"
#include "store/history.h"

enum {
    ROUTES_DEFAULT = 150, /* Histories, each by every route. */
    ROUTES_ENOUGH = 50,   /* From so many on everything must have been met. */
    SEED_BASE = 40000,
    ROUTE_BYTES_MAX = 64 << 20,
    ROUTE_AHEAD_MS = 60000,
    ROUTE_LEGS_MAX = 10000, /* Of one route. */
    ROUTE_VERIFIED_SLOTS = 1 << 14,
    CHUNK_MAX = 12,
    SHORT_OPS = 60, /* Of a history; */
    LONG_OPS = 500, /* of one of */
    LONG_EVERY = 8  /* so many. */
};

enum route {
    ROUTE_LIVE = 0,
    ROUTE_PERMUTED = 1,
    ROUTE_DISORDER = 2,
    ROUTE_STREAM = 3,
    ROUTE_RELAY = 4,
    ROUTE_MIXED = 5,
    ROUTES = 6
};
static const char *const route_names[ROUTES] = {
    "live", "another causal order", "disorder", "stream", "relay", "all in turn"};

/* A replica that was in no schedule. */
struct target {
    struct msy_store *store;
    struct msy_replica *machine;
    const struct msy_identity *identity;
    struct msy_prng prng;
    uint32_t space;
    const char *name;
};

static struct msy_prng route_prng;
static struct msy_replica_effects route_effects;
static struct msy_buf route_bytes;
static struct msy_verified *route_verified;
static struct show route_show;
static uint32_t route_order[MODEL_CHANGES_MAX];
static struct {
    uint64_t histories, replicas, changes, deliveries, duplicates, pending, cuts, halves, resumed;
    uint64_t reopened, swapped;
} met;

static uint32_t draw(uint64_t bound)
{
    return (uint32_t)msy_prng_below(&route_prng, bound);
}

static void must(meshsync_status status, const char *what)
{
    if (status != MESHSYNC_OK) {
        lab_fail(&schedule_lab, "%s: %s", what, meshsync_status_name(status));
    }
}

/* --- replicas --------------------------------------------------------------------------------- */

static void target_start(struct target *target)
{
    struct msy_replica_options options = {.alloc = &schedule_lab.alloc,
                                          .store = target->store,
                                          .identity = target->identity,
                                          .entropy = msy_prng_entropy(&target->prng),
                                          .clock_ahead_ms_max = ROUTE_AHEAD_MS,
                                          .verified = route_verified};
    must(msy_replica_open(&options, schedule_lab.now_ms, &target->machine, NULL), "open");
}

/* One that nobody wrote at, where there is one; else one that was reset to the beginning. */
static void target_open(struct target *target, const char *name)
{
    uint32_t first = schedule_lab.count < LAB_REPLICAS_MAX ? schedule_lab.count : 0;
    const struct lab_replica *base = &schedule_lab.base[first + draw(LAB_REPLICAS_MAX - first)];
    memset(target, 0, sizeof *target);
    target->name = name;
    target->identity = base->identity;
    target->space = base->space;
    msy_prng_init(&target->prng, msy_prng_next(&route_prng));
    must(msy_store_memory_clone(base->store, &target->store), "clone");
    target_start(target);
    met.replicas += 1;
}

static void target_close(struct target *target)
{
    msy_replica_close(target->machine);
    msy_store_close(target->store);
}

static void target_reopen(struct target *target)
{
    msy_replica_close(target->machine);
    target_start(target);
    met.reopened += 1;
}

/* Hands over what a peer brought; half: it ends within a change. */
static void target_give(struct target *target, meshsync_bytes bytes, bool half, bool causal)
{
    const struct msy_replica_event event = {
        .type = MSY_REPLICA_CHANGES, .space = target->space, .id = 1, .bytes = bytes};
    uint32_t answers = 0;
    must(msy_replica_step(target->machine, &event, 1, schedule_lab.now_ms, NULL, NULL,
                          &route_effects),
         "step");
    for (uint32_t i = 0; i < route_effects.count; i++) {
        const struct msy_replica_effect *effect = &route_effects.items[i];
        if (effect->type == MSY_REPLICA_ALARM) {
            lab_fail(&schedule_lab, "%s: alarm: %s", target->name, effect->error.message);
        }
        if (effect->type != MSY_REPLICA_RECEIVED) {
            continue;
        }
        answers += 1;
        met.duplicates += effect->duplicate;
        met.pending += effect->pending;
        if (effect->rejected != (half ? 1 : 0)) {
            lab_fail(&schedule_lab, "%s: %u of honest changes were refused", target->name,
                     effect->rejected);
        }
        if (causal && effect->pending != 0) {
            lab_fail(&schedule_lab, "%s: %u changes waited, and nothing was missing", target->name,
                     effect->pending);
        }
    }
    if (answers != 1) {
        lab_fail(&schedule_lab, "%s: a delivery had %u answers", target->name, answers);
    }
    met.deliveries += 1;
}

static void bytes_put(meshsync_bytes change)
{
    must(msy_buf_append_be32(&route_bytes, (uint32_t)change.len), "pack");
    must(msy_buf_append(&route_bytes, change.data, change.len), "pack");
}

/* These changes of the universe, as one delivery. */
static void target_push(struct target *target, const uint32_t *changes, uint32_t count, bool causal)
{
    msy_buf_reset(&route_bytes);
    for (uint32_t i = 0; i < count; i++) {
        const struct model_change *change = &schedule_lab.model.changes[changes[i]];
        bytes_put(msy_bytes(change->bytes, change->bytes_len));
    }
    target_give(target, msy_buf_bytes(&route_bytes), false, causal);
}

/* --- streams ---------------------------------------------------------------------------------- */

/* What one end of a stream is read from. */
struct source {
    struct msy_store *store;
    uint32_t space;
};

static void read_vector(const struct source *of, struct msy_vector *tips, struct msy_vector *heads)
{
    struct msy_store_txn *txn = NULL;
    msy_vector_init(tips, &schedule_lab.alloc);
    msy_vector_init(heads, &schedule_lab.alloc);
    must(msy_store_begin(of->store, MSY_TXN_READ, &txn), "begin");
    must(msy_history_vector(txn, of->space, tips), "the vector");
    must(msy_history_heads(txn, of->space, heads), "the heads");
    msy_store_abort(txn);
}

/* Into route_bytes what the target lacks, at most so many changes; how many there are. */
static uint32_t stream_read(const struct source *from, const struct target *target, uint32_t most)
{
    const struct source to = {target->store, target->space};
    struct msy_vector theirs;
    struct msy_vector ours;
    struct msy_vector heads;
    struct msy_stream stream;
    struct msy_store_txn *txn = NULL;
    struct msy_record record;
    uint64_t lsn = 0;
    uint32_t count = 0;
    read_vector(&to, &theirs, &heads);
    msy_vector_fini(&heads);
    read_vector(from, &ours, &heads);
    msy_buf_reset(&route_bytes);
    msy_stream_init(&stream, &schedule_lab.alloc);
    must(msy_store_begin(from->store, MSY_TXN_READ, &txn), "begin");
    must(msy_stream_plan(&stream, txn, from->space, &theirs, ours.tips, ours.count), "plan");
    while (count < most && msy_stream_peek(&stream, txn, &lsn, &record) == MESHSYNC_OK) {
        bytes_put(record.change);
        must(msy_stream_advance(&stream, txn), "advance");
        count += 1;
    }
    msy_store_abort(txn);
    msy_stream_fini(&stream);
    msy_vector_fini(&theirs);
    msy_vector_fini(&ours);
    msy_vector_fini(&heads);
    return count;
}

/* Does a delivery that ends here end within a change? */
static bool ends_within(meshsync_bytes bytes)
{
    while (bytes.len >= 4) {
        size_t len = (size_t)4 + msy_get_be32(bytes.data);
        if (len > bytes.len) {
            return true;
        }
        bytes.data += len;
        bytes.len -= len;
    }
    return bytes.len > 0;
}

/* One leg: some of what is lacking, often cut at any byte; false: nothing was lacking. */
static bool stream_leg(const struct source *from, struct target *target)
{
    uint32_t count = stream_read(from, target, 1 + draw(CHUNK_MAX));
    meshsync_bytes bytes = msy_buf_bytes(&route_bytes);
    if (count == 0) {
        return false;
    }
    if (draw(100) < 60) {
        bytes.len = 1 + draw(bytes.len);
        met.cuts += 1;
    }
    bool half = ends_within(bytes);
    met.halves += half ? 1 : 0;
    target_give(target, bytes, half, true);
    if (draw(100) < 20) {
        target_reopen(target);
    }
    met.resumed += 1;
    return true;
}

static struct source any_source(void)
{
    const struct lab_replica *one = &schedule_lab.replicas[draw(schedule_lab.count)];
    return (struct source){one->store, one->space};
}

static void stream_all(struct target *target)
{
    uint32_t legs = 0;
    struct source from = any_source();
    while (stream_leg(&from, target)) {
        from = any_source();
        if (++legs > ROUTE_LEGS_MAX) {
            lab_fail(&schedule_lab, "%s: the stream never ends", target->name);
        }
    }
}

/* --- orders ----------------------------------------------------------------------------------- */

static bool causes_are_in(const struct model_change *change, const struct model_set *placed)
{
    for (uint32_t i = 0; i < change->causes_count; i++) {
        if (change->causes[i] >= 0 && !model_set_has(placed, (uint32_t)change->causes[i])) {
            return false;
        }
    }
    return true;
}

/* All changes after the beginning, each after its causes, else as it is drawn. */
static uint32_t order_causal(void)
{
    const struct model *model = &schedule_lab.model;
    struct model_set placed;
    uint32_t ready[MODEL_CHANGES_MAX];
    uint32_t count = 0;
    model_set_clear(&placed);
    for (uint32_t i = 0; i < schedule_lab.base_count; i++) {
        model_set_put(&placed, i);
    }
    while (schedule_lab.base_count + count < model->count) {
        uint32_t ready_count = 0;
        for (uint32_t i = schedule_lab.base_count; i < model->count; i++) {
            if (!model_set_has(&placed, i) && causes_are_in(&model->changes[i], &placed)) {
                ready[ready_count++] = i;
            }
        }
        assert_true(ready_count > 0);
        uint32_t next = ready[draw(ready_count)];
        met.swapped += next != schedule_lab.base_count + count ? 1 : 0;
        model_set_put(&placed, next);
        route_order[count++] = next;
    }
    return count;
}

static uint32_t order_plain(void)
{
    uint32_t count = 0;
    for (uint32_t i = schedule_lab.base_count; i < schedule_lab.model.count; i++) {
        route_order[count++] = i;
    }
    return count;
}

static uint32_t order_shuffled(void)
{
    uint32_t count = order_plain();
    for (uint32_t i = count; i > 1; i--) {
        uint32_t at = draw(i);
        uint32_t kept = route_order[i - 1];
        route_order[i - 1] = route_order[at];
        route_order[at] = kept;
    }
    return count;
}

/* Hands route_order over, in pieces of up to so many; now and then one comes a second time. */
static void push_all(struct target *target, uint32_t count, uint32_t pieces_max, bool causal)
{
    uint32_t at = 0;
    while (at < count) {
        uint32_t n = 1 + draw(pieces_max);
        n = n < count - at ? n : count - at;
        target_push(target, route_order + at, n, causal);
        at += n;
        if (draw(100) < 10) {
            target_push(target, route_order + draw(at), 1, causal);
        }
    }
}

/* --- routes ----------------------------------------------------------------------------------- */

static void check_target(const struct target *target);

static void go_relay(struct target *target)
{
    struct target relay;
    uint32_t legs = 0;
    bool more = true;
    target_open(&relay, "a relay");
    while (more) {
        const struct source first = any_source();
        const struct source second = {relay.store, relay.space};
        more = draw(2) == 0 && stream_leg(&first, &relay);
        more = stream_leg(&second, target) || more;
        if (!more) {
            more = stream_leg(&first, &relay);
        }
        if (++legs > ROUTE_LEGS_MAX) {
            lab_fail(&schedule_lab, "the relay never ends");
        }
    }
    check_target(&relay);
    target_close(&relay);
}

static void go_mixed(struct target *target)
{
    uint32_t count = order_shuffled();
    uint32_t legs = 5 + draw(30);
    for (uint32_t i = 0; i < legs && count > 0; i++) {
        const struct source from = any_source();
        uint32_t first = draw(count);
        uint32_t n = 1 + draw(count - first < CHUNK_MAX ? count - first : CHUNK_MAX);
        if (draw(2) == 0) {
            target_push(target, route_order + first, n, false);
        } else if (stream_read(&from, target, n) > 0) {
            /* While pushed changes wait, what they wait for comes by the stream. */
            target_give(target, msy_buf_bytes(&route_bytes), false, false);
        }
        if (draw(100) < 5) {
            target_reopen(target);
        }
    }
    stream_all(target);
}

static void go(enum route route, struct target *target)
{
    switch (route) {
    case ROUTE_LIVE: push_all(target, order_plain(), 1, true); return;
    case ROUTE_PERMUTED: push_all(target, order_causal(), 1 + draw(CHUNK_MAX), true); return;
    case ROUTE_DISORDER: push_all(target, order_shuffled(), 1 + draw(CHUNK_MAX), false); return;
    case ROUTE_STREAM: stream_all(target); return;
    case ROUTE_RELAY: go_relay(target); return;
    case ROUTE_MIXED: go_mixed(target); return;
    case ROUTES: return;
    }
}

/* --- the comparison --------------------------------------------------------------------------- */

static void show_of(const struct source *of, struct msy_buf *out)
{
    msy_buf_reset(out);
    if (!show_open(&route_show, &schedule_lab.alloc, of->store, of->space, lab_table,
                   LAB_COLLECTIONS) ||
        !show_all(&route_show, out)) {
        lab_fail(&schedule_lab, "a read: %s", route_show.words);
    }
    show_close(&route_show);
}

static bool same_tips(const struct msy_vector *a, const struct msy_vector *b)
{
    bool same = a->count == b->count;
    for (uint32_t i = 0; same && i < a->count; i++) {
        same = msy_actor_equal(&a->tips[i].actor, &b->tips[i].actor) &&
               a->tips[i].seq == b->tips[i].seq &&
               memcmp(a->tips[i].hash, b->tips[i].hash, sizeof a->tips[i].hash) == 0;
    }
    return same;
}

static void check_vectors(const struct source *ours, const struct source *theirs, const char *name)
{
    struct msy_vector tips[2];
    struct msy_vector heads[2];
    read_vector(ours, &tips[0], &heads[0]);
    read_vector(theirs, &tips[1], &heads[1]);
    if (!same_tips(&tips[0], &tips[1]) || !same_tips(&heads[0], &heads[1])) {
        lab_fail(&schedule_lab, "%s: another vector, or other heads", name);
    }
    for (uint32_t i = 0; i < 2; i++) {
        msy_vector_fini(&tips[i]);
        msy_vector_fini(&heads[i]);
    }
}

static void read_digest(const struct source *of, meshsync_digest *digest)
{
    struct msy_store_txn *txn = NULL;
    memset(digest, 0, sizeof *digest);
    digest->size = sizeof *digest;
    must(msy_store_begin(of->store, MSY_TXN_READ, &txn), "begin");
    must(msy_space_digest(txn, of->space, digest), "the digest");
    msy_store_abort(txn);
}

/* The target is as the first replica of the schedule, which is as the model; and its state is the
 * replay of its log. */
static void check_target(const struct target *target)
{
    const struct source ours = {schedule_lab.replicas[0].store, schedule_lab.replicas[0].space};
    const struct source theirs = {target->store, target->space};
    meshsync_digest digests[2];
    meshsync_verify_report report = {.size = sizeof report};
    meshsync_error error = {0};
    struct msy_store_txn *txn = NULL;
    show_of(&theirs, &schedule_lab.theirs);
    if (!msy_bytes_equal(msy_buf_bytes(&schedule_lab.ours), msy_buf_bytes(&schedule_lab.theirs))) {
        char words[1600];
        model_explain(msy_buf_bytes(&schedule_lab.ours), msy_buf_bytes(&schedule_lab.theirs), words,
                      sizeof words);
        lab_fail(&schedule_lab, "%s: %s", target->name, words);
    }
    check_vectors(&ours, &theirs, target->name);
    read_digest(&ours, &digests[0]);
    read_digest(&theirs, &digests[1]);
    if (memcmp(digests[0].digest, digests[1].digest, MESHSYNC_DIGEST_BYTES) != 0 ||
        memcmp(digests[0].clock, digests[1].clock, MESHSYNC_DIGEST_BYTES) != 0) {
        lab_fail(&schedule_lab, "%s: another digest", target->name);
    }
    must(msy_store_begin(target->store, MSY_TXN_READ, &txn), "begin");
    meshsync_status status = msy_verify_space_once(&schedule_lab.alloc, txn, target->space,
                                                   route_verified, &report, &error);
    msy_store_abort(txn);
    if (status != MESHSYNC_OK || report.changes != schedule_lab.model.count) {
        lab_fail(&schedule_lab, "%s: replay: %s; %llu changes of %u", target->name, error.message,
                 (unsigned long long)report.changes, schedule_lab.model.count);
    }
}

static void run_history(uint64_t seed)
{
    schedule_ops_min = seed % LONG_EVERY == 0 ? LONG_OPS : SHORT_OPS;
    schedule_play(seed);
    msy_prng_init(&route_prng, seed ^ UINT64_C(0x726f757465));
    schedule_lab.now_ms += ROUTE_AHEAD_MS; /* Nobody's clock is ahead of a newcomer's. */
    met.histories += 1;
    met.changes += schedule_lab.model.count - schedule_lab.base_count;
    model_live(&schedule_lab.model, &schedule_lab.replicas[0].accepted, lab_table, LAB_COLLECTIONS,
               &schedule_lab.lives);
    msy_buf_reset(&schedule_lab.ours);
    model_show(&schedule_lab.lives, lab_table, MODEL_FULL, &schedule_lab.ours);
    for (uint32_t i = 0; i < ROUTES; i++) {
        struct target target;
        target_open(&target, route_names[i]);
        lab_note(&schedule_lab, "route: %s", route_names[i]);
        go((enum route)i, &target);
        check_target(&target);
        target_close(&target);
    }
    lab_end(&schedule_lab);
}

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL && text[0] != '\0' ? strtoull(text, NULL, 10) : otherwise;
}

static void test_routes(void **state)
{
    uint64_t count = number_of("MESHSYNC_ROUTES", ROUTES_DEFAULT);
    uint64_t base = number_of("MESHSYNC_SEED", SEED_BASE);
    (void)state;
    for (uint64_t i = 0; i < count; i++) {
        run_history(base + i);
    }
    print_message("%llu histories from seed %llu, %llu changes, %llu replicas by %d routes\n",
                  (unsigned long long)met.histories, (unsigned long long)base,
                  (unsigned long long)met.changes, (unsigned long long)met.replicas, ROUTES);
    print_message("deliveries %llu, duplicates %llu, pending %llu, streams cut %llu, within a "
                  "change %llu, resumed %llu, reopened %llu, orders swapped %llu\n",
                  (unsigned long long)met.deliveries, (unsigned long long)met.duplicates,
                  (unsigned long long)met.pending, (unsigned long long)met.cuts,
                  (unsigned long long)met.halves, (unsigned long long)met.resumed,
                  (unsigned long long)met.reopened, (unsigned long long)met.swapped);
    if (count >= ROUTES_ENOUGH) {
        assert_true(met.duplicates > 0 && met.pending > 0 && met.cuts > 0 && met.halves > 0);
        assert_true(met.resumed > 0 && met.reopened > 0 && met.swapped > 0);
    }
}

static int setup(void **state)
{
    (void)state;
    lab_open(&schedule_lab, "MESHSYNC_ROUTES=1 build/tests/laws/test_routes");
    msy_replica_effects_init(&route_effects, &schedule_lab.alloc);
    msy_buf_init(&route_bytes, &schedule_lab.alloc, ROUTE_BYTES_MAX);
    route_verified = msy_verified_new(&schedule_lab.alloc, ROUTE_VERIFIED_SLOTS);
    return route_verified != NULL ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    msy_verified_free(route_verified);
    msy_buf_fini(&route_bytes);
    msy_replica_effects_fini(&route_effects);
    lab_close(&schedule_lab);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_routes)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
