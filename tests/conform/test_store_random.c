/* SPDX-License-Identifier: Apache-2.0 */
/* Shows that both stores, driven at random, always hold what a sorted array holds. */
#include "store_fixture.h"

#include "base/buf.h"
#include "base/entropy.h"

enum { MODEL_ENTRIES_MAX = 600, SNAPSHOTS_COUNT = 3, TABLES_COUNT = 2, KEY_BYTES_MAX = 511 };

static const enum msy_table tables[TABLES_COUNT] = {MSY_TABLE_STATE, MSY_TABLE_LOG};

/* A value is told by its seed and its length. */
struct model_entry {
    uint8_t key[KEY_BYTES_MAX];
    size_t key_len;
    uint64_t value_seed;
    size_t value_len;
};

struct model_table {
    struct model_entry entries[MODEL_ENTRIES_MAX];
    size_t count;
};

struct model {
    struct model_table tables[TABLES_COUNT];
};

struct snapshot {
    struct msy_store_txn *txn;
    struct model *model;
};

struct world {
    struct fixture fixture;
    struct msy_prng prng;
    struct model *committed;
    struct model *working;
    struct snapshot snapshots[SNAPSHOTS_COUNT];
    struct msy_store_txn *writer;
};

static meshsync_bytes entry_key(const struct model_entry *entry)
{
    return (meshsync_bytes){entry->key, entry->key_len};
}

/* Index of the first entry whose key is not less. */
static size_t model_lower(const struct model_table *table, meshsync_bytes key)
{
    size_t at = 0;
    while (at < table->count && msy_bytes_compare(entry_key(&table->entries[at]), key) < 0) {
        at++;
    }
    return at;
}

static bool model_has(const struct model_table *table, size_t at, meshsync_bytes key)
{
    return at < table->count && msy_bytes_equal(entry_key(&table->entries[at]), key);
}

static void model_put(struct model_table *table, meshsync_bytes key, uint64_t seed, size_t len)
{
    size_t at = model_lower(table, key);
    struct model_entry *entry = &table->entries[at];
    if (!model_has(table, at, key)) {
        assert_true(table->count < MODEL_ENTRIES_MAX);
        memmove(entry + 1, entry, (table->count - at) * sizeof *entry);
        table->count++;
        memcpy(entry->key, key.data, key.len);
        entry->key_len = key.len;
    }
    entry->value_seed = seed;
    entry->value_len = len;
}

static bool model_del(struct model_table *table, meshsync_bytes key)
{
    size_t at = model_lower(table, key);
    if (!model_has(table, at, key)) {
        return false;
    }
    struct model_entry *entry = &table->entries[at];
    memmove(entry, entry + 1, (table->count - at - 1) * sizeof *entry);
    table->count--;
    return true;
}

static uint8_t value_byte(uint64_t seed, size_t at)
{
    return (uint8_t)(seed * 31 + at * 7 + (at >> 8));
}

static void check_value(meshsync_bytes value, const struct model_entry *entry)
{
    assert_int_equal(value.len, entry->value_len);
    for (size_t i = 0; i < value.len; i++) {
        assert_true(value.data[i] == value_byte(entry->value_seed, i));
    }
}

/* index past the table: the end was expected. */
static void check_at(meshsync_status status, const struct model_table *table, size_t index,
                     meshsync_bytes key, meshsync_bytes value)
{
    if (index >= table->count) {
        assert_int_equal(status, MESHSYNC_E_END);
        return;
    }
    assert_int_equal(status, MESHSYNC_OK);
    assert_true(msy_bytes_equal(key, entry_key(&table->entries[index])));
    check_value(value, &table->entries[index]);
}

/* Mostly short keys that meet again, some as long as keys can be. */
static meshsync_bytes random_key(struct msy_prng *prng, uint8_t *out)
{
    size_t len = 1 + (size_t)msy_prng_below(prng, 3);
    for (size_t i = 0; i < len; i++) {
        out[i] = (uint8_t)("\x00\x01"
                           "aceg\xFE\xFF"[msy_prng_below(prng, 8)]);
    }
    if (msy_prng_below(prng, 8) == 0) {
        size_t longer = len + (size_t)msy_prng_below(prng, KEY_BYTES_MAX - len + 1);
        memset(out + len, 'k', longer - len);
        len = longer;
    }
    return (meshsync_bytes){out, len};
}

static size_t random_value_len(struct msy_prng *prng)
{
    switch (msy_prng_below(prng, 8)) {
    case 0: return 0;
    case 1: return (size_t)msy_prng_below(prng, 20000);
    case 2: return 2000 + (size_t)msy_prng_below(prng, 100);
    default: return (size_t)msy_prng_below(prng, 100);
    }
}

static void write_value(struct world *world, struct model_table *model, enum msy_table table,
                        meshsync_bytes key, enum msy_put_mode mode)
{
    uint64_t seed = msy_prng_next(&world->prng);
    size_t len = random_value_len(&world->prng);
    if (msy_prng_below(&world->prng, 2) == 0) {
        uint8_t *room = NULL;
        assert_int_equal(msy_store_reserve(world->writer, table, key, len, mode, &room),
                         MESHSYNC_OK);
        for (size_t i = 0; i < len; i++) {
            room[i] = value_byte(seed, i);
        }
    } else {
        static uint8_t value[20000];
        for (size_t i = 0; i < len; i++) {
            value[i] = value_byte(seed, i);
        }
        assert_int_equal(
            msy_store_put(world->writer, table, key, (meshsync_bytes){value, len}, mode),
            MESHSYNC_OK);
    }
    model_put(model, key, seed, len);
}

/* A key behind the last, when there is a short one. */
static void append_value(struct world *world, struct model_table *model, enum msy_table table)
{
    uint8_t bytes[KEY_BYTES_MAX];
    size_t len = 0;
    if (model->count > 0) {
        const struct model_entry *last = &model->entries[model->count - 1];
        if (last->key_len > 16) {
            return;
        }
        memcpy(bytes, last->key, last->key_len);
        len = last->key_len;
    }
    bytes[len++] = (uint8_t)msy_prng_next(&world->prng);
    write_value(world, model, table, (meshsync_bytes){bytes, len}, MSY_PUT_APPEND);
}

/* A walk from a random place, in the writer's view or a snapshot's. */
static void check_walk(struct world *world, struct msy_store_txn *txn,
                       const struct model_table *model, enum msy_table table)
{
    uint8_t bytes[KEY_BYTES_MAX];
    meshsync_bytes wanted = random_key(&world->prng, bytes);
    struct msy_store_iter *iter = NULL;
    meshsync_bytes key;
    meshsync_bytes value;
    assert_int_equal(msy_store_iter_open(txn, table, &iter), MESHSYNC_OK);
    size_t index = model_lower(model, wanted);
    meshsync_status status = MESHSYNC_OK;
    if (msy_prng_below(&world->prng, 2) == 0) {
        status = msy_store_seek(iter, wanted, &key, &value);
    } else {
        status = msy_store_seek_before(iter, wanted, &key, &value);
        index--; /* Before the first: past the table. */
    }
    check_at(status, model, index, key, value);
    for (unsigned steps = 0; steps < 12 && status == MESHSYNC_OK; steps++) {
        if (msy_prng_below(&world->prng, 3) > 0) {
            status = msy_store_next(iter, &key, &value);
            index++;
        } else {
            status = msy_store_prev(iter, &key, &value);
            index--;
        }
        check_at(status, model, index, key, value);
    }
    msy_store_iter_close(iter);
}

static void check_all(struct msy_store_txn *txn, const struct model *model)
{
    for (size_t t = 0; t < TABLES_COUNT; t++) {
        const struct model_table *table = &model->tables[t];
        struct msy_store_iter *iter = NULL;
        meshsync_bytes key;
        meshsync_bytes value;
        assert_int_equal(msy_store_iter_open(txn, tables[t], &iter), MESHSYNC_OK);
        for (size_t i = 0; i <= table->count; i++) {
            check_at(msy_store_next(iter, &key, &value), table, i, key, value);
        }
        msy_store_iter_close(iter);
        assert_int_equal(msy_store_iter_open(txn, tables[t], &iter), MESHSYNC_OK);
        for (size_t i = table->count; i-- > 0;) {
            meshsync_status status = msy_store_prev(iter, &key, &value);
            check_at(status, table, i, key, value);
        }
        assert_int_equal(msy_store_prev(iter, &key, &value), MESHSYNC_E_END);
        msy_store_iter_close(iter);
        for (size_t i = 0; i < table->count; i++) {
            meshsync_bytes name = entry_key(&table->entries[i]);
            assert_int_equal(msy_store_get(txn, tables[t], name, &value), MESHSYNC_OK);
            check_value(value, &table->entries[i]);
        }
    }
}

static void write_step(struct world *world)
{
    size_t t = (size_t)msy_prng_below(&world->prng, TABLES_COUNT);
    struct model_table *model = &world->working->tables[t];
    uint8_t bytes[KEY_BYTES_MAX];
    meshsync_bytes key = random_key(&world->prng, bytes);
    meshsync_bytes value;
    uint64_t dice = msy_prng_below(&world->prng, 20);
    if (model->count >= MODEL_ENTRIES_MAX - 1) {
        dice = 10;
    }
    if (dice < 8) {
        write_value(world, model, tables[t], key, MSY_PUT_ANY);
    } else if (dice < 10) {
        append_value(world, model, tables[t]);
    } else if (dice < 15) {
        if (dice < 13 && model->count > 0) {
            key = entry_key(&model->entries[msy_prng_below(&world->prng, model->count)]);
            memcpy(bytes, key.data, key.len);
            key.data = bytes;
        }
        assert_int_equal(msy_store_del(world->writer, tables[t], key),
                         model_del(model, key) ? MESHSYNC_OK : MESHSYNC_E_NOT_FOUND);
    } else if (dice < 17) {
        size_t at = model_lower(model, key);
        meshsync_status status = msy_store_get(world->writer, tables[t], key, &value);
        assert_int_equal(status, model_has(model, at, key) ? MESHSYNC_OK : MESHSYNC_E_NOT_FOUND);
        if (status == MESHSYNC_OK) {
            check_value(value, &model->entries[at]);
        }
    } else {
        check_walk(world, world->writer, model, tables[t]);
    }
}

static void write_round(struct world *world)
{
    memcpy(world->working, world->committed, sizeof *world->working);
    world->writer = fixture_begin(&world->fixture, MSY_TXN_WRITE);
    uint64_t steps = 1 + msy_prng_below(&world->prng, 60);
    for (uint64_t i = 0; i < steps; i++) {
        write_step(world);
    }
    if (msy_prng_below(&world->prng, 8) == 0) {
        check_all(world->writer, world->working);
    }
    if (msy_prng_below(&world->prng, 4) == 0) {
        msy_store_abort(world->writer);
        return;
    }
    assert_int_equal(msy_store_commit(world->writer), MESHSYNC_OK);
    struct model *old = world->committed;
    world->committed = world->working;
    world->working = old;
}

static void read_round(struct world *world)
{
    struct snapshot *snapshot = &world->snapshots[msy_prng_below(&world->prng, SNAPSHOTS_COUNT)];
    if (snapshot->txn == NULL) {
        snapshot->txn = fixture_begin(&world->fixture, MSY_TXN_READ);
        memcpy(snapshot->model, world->committed, sizeof *snapshot->model);
        return;
    }
    size_t t = (size_t)msy_prng_below(&world->prng, TABLES_COUNT);
    check_walk(world, snapshot->txn, &snapshot->model->tables[t], tables[t]);
    if (msy_prng_below(&world->prng, 3) == 0) {
        check_all(snapshot->txn, snapshot->model);
        msy_store_abort(snapshot->txn);
        snapshot->txn = NULL;
    }
}

static struct model *model_new(void)
{
    struct model *model = calloc(1, sizeof *model);
    assert_non_null(model);
    return model;
}

static void run(enum fixture_kind kind, uint64_t seed, unsigned rounds)
{
    print_message("seed %llu\n", (unsigned long long)seed);
    struct world *world = calloc(1, sizeof *world);
    assert_non_null(world);
    fixture_init(&world->fixture, kind);
    fixture_open(&world->fixture);
    msy_prng_init(&world->prng, seed);
    world->committed = model_new();
    world->working = model_new();
    for (size_t i = 0; i < SNAPSHOTS_COUNT; i++) {
        world->snapshots[i].model = model_new();
    }
    for (unsigned round = 0; round < rounds; round++) {
        write_round(world);
        read_round(world);
        read_round(world);
    }
    for (size_t i = 0; i < SNAPSHOTS_COUNT; i++) {
        if (world->snapshots[i].txn != NULL) {
            check_all(world->snapshots[i].txn, world->snapshots[i].model);
            msy_store_abort(world->snapshots[i].txn);
        }
        free(world->snapshots[i].model);
    }
    if (kind == FIXTURE_LMDB) {
        fixture_close(&world->fixture);
        fixture_open(&world->fixture);
    }
    struct msy_store_txn *txn = fixture_begin(&world->fixture, MSY_TXN_READ);
    check_all(txn, world->committed);
    msy_store_abort(txn);
    fixture_fini(&world->fixture);
    free(world->committed);
    free(world->working);
    free(world);
}

static void lmdb_holds_what_the_model_holds(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        run(FIXTURE_LMDB, seed, 60);
    }
}

static void memory_holds_what_the_model_holds(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        run(FIXTURE_MEMORY, seed, 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lmdb_holds_what_the_model_holds),
        cmocka_unit_test(memory_holds_what_the_model_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
