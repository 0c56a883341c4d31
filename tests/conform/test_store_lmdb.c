/* SPDX-License-Identifier: Apache-2.0 */
/* Shows what the LMDB store adds to the contract: reopening, locks, the cap, copies, damage. */
#include "store_fixture.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <lmdb.h>

#include "base/entropy.h"

static int setup(void **state)
{
    struct fixture *fixture = malloc(sizeof *fixture);
    assert_non_null(fixture);
    fixture_init(fixture, FIXTURE_LMDB);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    fixture_fini(fixture);
    free(fixture);
    return 0;
}

static void path_of(const struct fixture *fixture, const char *name, char *out, size_t out_size)
{
    int wrote = snprintf(out, out_size, "%s/%s", fixture->path, name);
    assert_true(wrote > 0 && (size_t)wrote < out_size);
}

static void write_file(const struct fixture *fixture, const char *name, const char *words)
{
    char path[600];
    path_of(fixture, name, path, sizeof path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, words, strlen(words)), (ssize_t)strlen(words));
    assert_int_equal(close(fd), 0);
}

static bool file_exists(const struct fixture *fixture, const char *name)
{
    char path[600];
    path_of(fixture, name, path, sizeof path);
    return access(path, F_OK) == 0;
}

static void expect_open(const struct fixture *fixture, bool read_only, meshsync_status expected)
{
    struct msy_store_options options = fixture->options;
    options.read_only = read_only;
    struct msy_store *store = NULL;
    meshsync_error error;
    memset(&error, 0, sizeof error);
    assert_int_equal(msy_store_open_lmdb(&options, &store, &error), expected);
    if (expected != MESHSYNC_OK) {
        assert_null(store);
        assert_int_equal(error.status, expected);
        assert_true(strlen(error.message) > 0);
    }
    msy_store_close(store);
}

static void a_store_outlives_its_closing(void **state)
{
    struct fixture *fixture = *state;
    for (unsigned round = 0; round < 5; round++) {
        fixture_open(fixture);
        char key[16];
        for (unsigned before = 0; before < round; before++) {
            (void)snprintf(key, sizeof key, "key %u", before);
            fixture_expect_one(fixture, key, key);
        }
        (void)snprintf(key, sizeof key, "key %u", round);
        fixture_put_one(fixture, key, key);
        struct msy_store_txn *txn = fixture_begin(fixture, MSY_TXN_WRITE);
        fixture_put(txn, "not committed", "x");
        msy_store_abort(txn);
        fixture_expect_one(fixture, "not committed", NULL);
        fixture_close(fixture);
    }
    assert_false(file_exists(fixture, "new.mdb"));
}

static void the_folder_is_made_for_its_owner_alone(void **state)
{
    struct fixture *fixture = *state;
    char path[600];
    path_of(fixture, "inner", path, sizeof path);
    struct msy_store_options options = fixture->options;
    options.path = path;
    struct msy_store *store = NULL;
    assert_int_equal(msy_store_open_lmdb(&options, &store, NULL), MESHSYNC_OK);
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0700);
    char data[700];
    (void)snprintf(data, sizeof data, "%s/data.mdb", path);
    assert_int_equal(stat(data, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    msy_store_close(store);
    fixture_remove_folder(path);
    (void)snprintf(data, sizeof data, "%s/missing/inner", path);
    options.path = data;
    assert_int_equal(msy_store_open_lmdb(&options, &store, NULL), MESHSYNC_E_NOT_FOUND);
    assert_null(store);
}

/* LMDB itself would leave its data file open in every program that the application starts. */
static void no_descriptor_is_inherited_by_programs(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture);
    unsigned seen = 0;
    for (int fd = 0; fd < 256; fd++) {
        char link[64];
        char target[600];
        (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t len = readlink(link, target, sizeof target - 1);
        if (len < 0) {
            continue;
        }
        target[len] = '\0';
        if (strstr(target, fixture->path) != NULL) {
            seen++;
            assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
        }
    }
    assert_true(seen >= 3);
}

static void one_process_opens_a_folder_once(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture);
    expect_open(fixture, false, MESHSYNC_E_STORE_LOCKED);
    expect_open(fixture, true, MESHSYNC_E_STORE_LOCKED);
    char other_name[600];
    path_of(fixture, ".", other_name, sizeof other_name);
    struct fixture other = *fixture;
    other.options.path = other_name;
    expect_open(&other, true, MESHSYNC_E_STORE_LOCKED);
    fixture_put_one(fixture, "a", "1");
    fixture_close(fixture);
    expect_open(fixture, true, MESHSYNC_OK);
    expect_open(fixture, false, MESHSYNC_OK);
}

static void a_reader_makes_and_changes_nothing(void **state)
{
    struct fixture *fixture = *state;
    expect_open(fixture, true, MESHSYNC_E_NOT_FOUND);
    assert_false(file_exists(fixture, "data.mdb"));
    assert_false(file_exists(fixture, "writer.lock"));
    fixture_open(fixture);
    fixture_put_one(fixture, "a", "1");
    fixture_close(fixture);
    fixture->options.read_only = true;
    fixture_open(fixture);
    struct msy_store_txn *txn = NULL;
    assert_int_equal(msy_store_begin(fixture->store, MSY_TXN_WRITE, &txn), MESHSYNC_E_READ_ONLY);
    assert_null(txn);
    fixture_expect_one(fixture, "a", "1");
}

/* A child talks by bytes over pipes; it must not return into the test. */
struct child {
    pid_t pid;
    int to_child;
    int from_child;
};

static void child_start(struct child *child, void (*run)(const struct fixture *, int in, int out),
                        const struct fixture *fixture)
{
    int to_child[2];
    int from_child[2];
    assert_int_equal(pipe(to_child), 0);
    assert_int_equal(pipe(from_child), 0);
    child->pid = fork();
    assert_true(child->pid >= 0);
    if (child->pid == 0) {
        (void)close(to_child[1]);
        (void)close(from_child[0]);
        run(fixture, to_child[0], from_child[1]);
        _exit(0);
    }
    assert_int_equal(close(to_child[0]), 0);
    assert_int_equal(close(from_child[1]), 0);
    child->to_child = to_child[1];
    child->from_child = from_child[0];
}

static void child_tell(struct child *child)
{
    assert_int_equal(write(child->to_child, "x", 1), 1);
}

/* The child's next word, one letter; 0 when it has ended. */
static char child_hear(struct child *child)
{
    char word = 0;
    ssize_t got = read(child->from_child, &word, 1);
    return got == 1 ? word : 0;
}

static void child_end(struct child *child)
{
    int status = 0;
    assert_int_equal(close(child->to_child), 0);
    assert_int_equal(close(child->from_child), 0);
    assert_int_equal(waitpid(child->pid, &status, 0), child->pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* In the child: wait for the parent, say a word. */
static void wait_in_child(int in)
{
    char word = 0;
    if (read(in, &word, 1) != 1) {
        _exit(3);
    }
}

static void say_in_child(int out, bool good)
{
    if (write(out, good ? "y" : "n", 1) != 1) {
        _exit(4);
    }
}

static bool child_reads(struct msy_store *store, const char *key, size_t value_len)
{
    struct msy_store_txn *txn = NULL;
    meshsync_bytes value = {NULL, 0};
    if (msy_store_begin(store, MSY_TXN_READ, &txn) != MESHSYNC_OK) {
        return false;
    }
    meshsync_status status = msy_store_get(txn, MSY_TABLE_STATE, fixture_text(key), &value);
    bool good = status == MESHSYNC_OK && value.len == value_len;
    msy_store_abort(txn);
    return good;
}

static void run_beside(const struct fixture *fixture, int in, int out)
{
    struct msy_store_options options = fixture->options;
    struct msy_alloc alloc;
    struct msy_store *store = NULL;
    msy_alloc_init(&alloc, NULL, NULL, 0);
    options.alloc = &alloc;
    wait_in_child(in);
    say_in_child(out, msy_store_open_lmdb(&options, &store, NULL) == MESHSYNC_E_STORE_LOCKED);
    options.read_only = true;
    options.map_bytes = 1u << 20;
    say_in_child(out, msy_store_open_lmdb(&options, &store, NULL) == MESHSYNC_OK);
    say_in_child(out, child_reads(store, "a", 1));
    wait_in_child(in);
    /* The writer has outgrown the map of this process. */
    say_in_child(out, child_reads(store, "big", 4u << 20));
    say_in_child(out, child_reads(store, "a", 2));
    msy_store_close(store);
    say_in_child(out, alloc.bytes_used == 0);
}

static void another_process_reads_beside_the_writer(void **state)
{
    struct fixture *fixture = *state;
    struct child child;
    child_start(&child, run_beside, fixture); /* Before opening: LMDB does not survive a fork. */
    fixture_open(fixture);
    fixture_put_one(fixture, "a", "1");
    child_tell(&child);
    assert_int_equal(child_hear(&child), 'y');
    assert_int_equal(child_hear(&child), 'y');
    assert_int_equal(child_hear(&child), 'y');
    struct msy_store_txn *txn = fixture_begin(fixture, MSY_TXN_WRITE);
    uint8_t *room = NULL;
    assert_int_equal(
        msy_store_reserve(txn, MSY_TABLE_STATE, fixture_text("big"), 4u << 20, MSY_PUT_ANY, &room),
        MESHSYNC_OK);
    memset(room, 1, 4u << 20);
    fixture_put(txn, "a", "22");
    assert_int_equal(msy_store_commit(txn), MESHSYNC_OK);
    child_tell(&child);
    assert_int_equal(child_hear(&child), 'y');
    assert_int_equal(child_hear(&child), 'y');
    assert_int_equal(child_hear(&child), 'y');
    child_end(&child);
}

/* Ends in the middle of a transaction, with a snapshot open. */
static void run_and_vanish(const struct fixture *fixture, int in, int out)
{
    struct msy_store *store = NULL;
    struct msy_store_txn *txn = NULL;
    (void)in;
    bool good = msy_store_open_lmdb(&fixture->options, &store, NULL) == MESHSYNC_OK;
    good = good && msy_store_begin(store, MSY_TXN_WRITE, &txn) == MESHSYNC_OK;
    good = good && msy_store_put(txn, MSY_TABLE_STATE, fixture_text("kept"), fixture_text("1"),
                                 MSY_PUT_ANY) == MESHSYNC_OK;
    good = good && msy_store_commit(txn) == MESHSYNC_OK;
    good = good && msy_store_begin(store, MSY_TXN_READ, &txn) == MESHSYNC_OK;
    good = good && msy_store_begin(store, MSY_TXN_WRITE, &txn) == MESHSYNC_OK;
    good = good && msy_store_put(txn, MSY_TABLE_STATE, fixture_text("lost"), fixture_text("1"),
                                 MSY_PUT_ANY) == MESHSYNC_OK;
    say_in_child(out, good);
    _exit(0);
}

static void a_writer_that_vanishes_leaves_its_commits(void **state)
{
    struct fixture *fixture = *state;
    struct child child;
    child_start(&child, run_and_vanish, fixture);
    assert_int_equal(child_hear(&child), 'y');
    child_end(&child);
    fixture_open(fixture);
    fixture_expect_one(fixture, "kept", "1");
    fixture_expect_one(fixture, "lost", NULL);
    fixture_put_one(fixture, "lost", "found");
}

static void run_reader_and_vanish(const struct fixture *fixture, int in, int out)
{
    struct msy_store_options options = fixture->options;
    struct msy_store *store = NULL;
    struct msy_store_txn *txn = NULL;
    wait_in_child(in);
    options.read_only = true;
    bool good = msy_store_open_lmdb(&options, &store, NULL) == MESHSYNC_OK &&
                msy_store_begin(store, MSY_TXN_READ, &txn) == MESHSYNC_OK;
    say_in_child(out, good);
    _exit(0);
}

static void slots_of_dead_readers_are_swept(void **state)
{
    struct fixture *fixture = *state;
    struct child child;
    child_start(&child, run_reader_and_vanish, fixture);
    fixture_open(fixture);
    child_tell(&child);
    assert_int_equal(child_hear(&child), 'y');
    child_end(&child);
    uint32_t freed = 0;
    assert_int_equal(msy_store_sweep_readers(fixture->store, &freed), MESHSYNC_OK);
    assert_int_equal(freed, 1);
}

static void readers_beyond_the_slots_are_refused(void **state)
{
    struct fixture *fixture = *state;
    fixture->options.readers_max = 8;
    fixture_open(fixture);
    struct msy_store_txn *readers[8];
    for (unsigned i = 0; i < 8; i++) {
        readers[i] = fixture_begin(fixture, MSY_TXN_READ);
    }
    struct msy_store_txn *extra = NULL;
    assert_int_equal(msy_store_begin(fixture->store, MSY_TXN_READ, &extra), MESHSYNC_E_RESOURCE);
    msy_store_abort(readers[3]);
    readers[3] = fixture_begin(fixture, MSY_TXN_READ);
    for (unsigned i = 0; i < 8; i++) {
        msy_store_abort(readers[i]);
    }
    struct msy_store_stats stats;
    assert_int_equal(msy_store_get_stats(fixture->store, &stats), MESHSYNC_OK);
    assert_int_equal(stats.readers_count, 8);
}

static meshsync_status put_numbered(struct msy_store_txn *txn, unsigned number, size_t value_len)
{
    char key[32];
    uint8_t *room = NULL;
    (void)snprintf(key, sizeof key, "key %08u", number);
    meshsync_status status =
        msy_store_reserve(txn, MSY_TABLE_STATE, fixture_text(key), value_len, MSY_PUT_ANY, &room);
    if (status == MESHSYNC_OK) {
        memset(room, 'v', value_len);
    }
    return status;
}

/* Puts in transactions of 100 until one is refused; how many are in. */
static unsigned fill(struct fixture *fixture, unsigned from, bool uses_reserve, size_t value_len)
{
    unsigned count = from;
    meshsync_status status = MESHSYNC_OK;
    while (status == MESHSYNC_OK) {
        struct msy_store_txn *txn = fixture_begin(fixture, MSY_TXN_WRITE);
        if (uses_reserve) {
            msy_store_use_reserve(txn);
        }
        for (unsigned i = 0; i < 100 && status == MESHSYNC_OK; i++) {
            status = put_numbered(txn, count, value_len);
            count += status == MESHSYNC_OK;
        }
        assert_int_equal(msy_store_commit(txn), MESHSYNC_OK);
        assert_true(count < 1000000);
    }
    assert_int_equal(status, MESHSYNC_E_STORE_FULL);
    return count;
}

static uint64_t used_bytes(struct fixture *fixture)
{
    struct msy_store_stats stats;
    assert_int_equal(msy_store_get_stats(fixture->store, &stats), MESHSYNC_OK);
    return stats.used_bytes;
}

static void a_full_store_keeps_its_cap_and_deletes(void **state)
{
    struct fixture *fixture = *state;
    fixture->options.map_bytes = 16u << 20;
    fixture->options.bytes_max = 4u << 20;
    fixture_open(fixture);
    static const size_t sizes[] = {10, 300, 3000, 100000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        unsigned count = fill(fixture, 0, false, sizes[i]);
        uint64_t used = used_bytes(fixture);
        assert_in_range(used, (4u << 20) / 100 * 88, (4u << 20) / 100 * 96);
        unsigned more = fill(fixture, count, true, sizes[i]);
        assert_true(more > count);
        assert_true(used_bytes(fixture) > used && used_bytes(fixture) <= 4u << 20);
        struct msy_store_txn *txn = fixture_begin(fixture, MSY_TXN_WRITE);
        assert_int_equal(put_numbered(txn, more, sizes[i]), MESHSYNC_E_STORE_FULL);
        for (unsigned n = 0; n < more; n++) {
            char key[32];
            (void)snprintf(key, sizeof key, "key %08u", n);
            assert_int_equal(msy_store_del(txn, MSY_TABLE_STATE, fixture_text(key)), MESHSYNC_OK);
        }
        /* What was deleted makes room within the same transaction. */
        assert_int_equal(put_numbered(txn, more, sizes[i]), MESHSYNC_OK);
        assert_int_equal(msy_store_commit(txn), MESHSYNC_OK);
        txn = fixture_begin(fixture, MSY_TXN_WRITE);
        char key[32];
        (void)snprintf(key, sizeof key, "key %08u", more);
        assert_int_equal(msy_store_del(txn, MSY_TABLE_STATE, fixture_text(key)), MESHSYNC_OK);
        assert_int_equal(msy_store_commit(txn), MESHSYNC_OK);
        assert_true(used_bytes(fixture) < 1u << 20);
    }
}

/* A snapshot pins the pages that deletes free, until the map itself has no page left. */
static void a_full_map_breaks_the_transaction_only(void **state)
{
    struct fixture *fixture = *state;
    fixture->options.map_bytes = 1u << 20;
    fixture_open(fixture);
    fixture_put_one(fixture, "kept", "1");
    struct msy_store_txn *pin = fixture_begin(fixture, MSY_TXN_READ);
    meshsync_status status = MESHSYNC_OK;
    for (unsigned round = 0; round < 100 && status == MESHSYNC_OK; round++) {
        struct msy_store_txn *txn = fixture_begin(fixture, MSY_TXN_WRITE);
        for (unsigned i = 0; i < 100 && status == MESHSYNC_OK; i++) {
            status = put_numbered(txn, i, 1500);
        }
        if (status != MESHSYNC_OK) {
            assert_int_equal(put_numbered(txn, 1, 1), MESHSYNC_E_STORE_FULL);
            meshsync_bytes value;
            assert_int_equal(msy_store_get(txn, MSY_TABLE_STATE, fixture_text("kept"), &value),
                             MESHSYNC_E_STORE_FULL);
        }
        assert_int_equal(msy_store_commit(txn), status);
    }
    assert_int_equal(status, MESHSYNC_E_STORE_FULL);
    fixture_expect(pin, "kept", "1");
    msy_store_abort(pin);
    fixture_put_one(fixture, "later", "2");
    fixture_expect_one(fixture, "kept", "1");
}

static void an_interrupted_creation_is_done_again(void **state)
{
    struct fixture *fixture = *state;
    write_file(fixture, "new.mdb", "half of a store");
    fixture_open(fixture);
    fixture_put_one(fixture, "a", "1");
    assert_false(file_exists(fixture, "new.mdb"));
    fixture_close(fixture);
    fixture_open(fixture);
    fixture_expect_one(fixture, "a", "1");
}

static void what_is_no_store_of_ours_is_refused(void **state)
{
    struct fixture *fixture = *state;
    write_file(fixture, "data.mdb", "");
    expect_open(fixture, false, MESHSYNC_E_STORE_CORRUPT);
    expect_open(fixture, true, MESHSYNC_E_STORE_CORRUPT);
    write_file(fixture, "data.mdb", "something else");
    expect_open(fixture, false, MESHSYNC_E_STORE_CORRUPT);
    expect_open(fixture, true, MESHSYNC_E_STORE_CORRUPT);

    char path[600];
    path_of(fixture, "data.mdb", path, sizeof path);
    assert_int_equal(unlink(path), 0);
    MDB_env *env = NULL;
    MDB_txn *txn = NULL;
    MDB_dbi table;
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_set_maxdbs(env, 1), 0);
    assert_int_equal(mdb_env_open(env, fixture->path, 0, 0600), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, "theirs", MDB_CREATE, &table), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
    expect_open(fixture, false, MESHSYNC_E_STORE_CORRUPT);
    expect_open(fixture, true, MESHSYNC_E_STORE_CORRUPT);
}

static void bad_options_are_named(void **state)
{
    struct fixture *fixture = *state;
    struct fixture bad = *fixture;
    bad.options.path = "";
    expect_open(&bad, false, MESHSYNC_E_INVALID);
    bad.options.path = NULL;
    expect_open(&bad, false, MESHSYNC_E_INVALID);
    bad = *fixture;
    bad.options.map_bytes = 1000;
    expect_open(&bad, false, MESHSYNC_E_INVALID);
    bad.options.map_bytes = UINT64_MAX;
    expect_open(&bad, false, MESHSYNC_E_INVALID);
    bad = *fixture;
    bad.options.bytes_max = bad.options.map_bytes + 1;
    expect_open(&bad, false, MESHSYNC_E_INVALID);
    bad = *fixture;
    write_file(fixture, "file", "");
    char path[600];
    path_of(fixture, "file", path, sizeof path);
    bad.options.path = path;
    expect_open(&bad, false, MESHSYNC_E_INVALID);
}

static void opening_without_memory_leaves_nothing(void **state)
{
    struct fixture *fixture = *state;
    for (uint64_t nth = 1; nth < 6; nth++) {
        fixture->alloc.fail_at = nth;
        struct msy_store *store = NULL;
        meshsync_status status = msy_store_open_lmdb(&fixture->options, &store, NULL);
        assert_true(status == MESHSYNC_OK || status == MESHSYNC_E_NO_MEMORY);
        fixture->alloc.fail_at = 0;
        msy_store_close(store);
        assert_int_equal(fixture->alloc.bytes_used, 0);
    }
}

static void a_copy_is_a_store_of_that_moment(void **state)
{
    struct fixture *fixture = *state;
    fixture_open(fixture);
    struct msy_store_txn *txn = fixture_begin(fixture, MSY_TXN_WRITE);
    for (unsigned i = 0; i < 500; i++) {
        assert_int_equal(put_numbered(txn, i, i * 10), MESHSYNC_OK);
    }
    fixture_put(txn, "a", "then");
    assert_int_equal(msy_store_commit(txn), MESHSYNC_OK);

    struct fixture copy;
    fixture_init(&copy, FIXTURE_LMDB);
    char path[600];
    path_of(&copy, "data.mdb", path, sizeof path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(msy_store_copy(fixture->store, fd), MESHSYNC_OK);
    assert_int_equal(close(fd), 0);
    fixture_put_one(fixture, "a", "now");

    fixture_open(&copy);
    fixture_expect_one(&copy, "a", "then");
    struct msy_store_stats stats;
    assert_int_equal(msy_store_get_stats(copy.store, &stats), MESHSYNC_OK);
    assert_int_equal(stats.entries[MSY_TABLE_STATE], 501);
    fixture_put_one(&copy, "a", "apart");
    fixture_expect_one(fixture, "a", "now");
    fixture_fini(&copy);
    assert_int_not_equal(msy_store_copy(fixture->store, -1), MESHSYNC_OK);
}

/* Reads everything and writes a little; a damaged store may refuse any of it, in words. */
static bool use_damaged(struct msy_store *store)
{
    bool good = true;
    struct msy_store_txn *txn = NULL;
    meshsync_status status = msy_store_begin(store, MSY_TXN_READ, &txn);
    for (unsigned t = 0; t < MSY_TABLE_COUNT && status == MESHSYNC_OK; t++) {
        struct msy_store_iter *iter = NULL;
        meshsync_bytes key;
        meshsync_bytes value;
        status = msy_store_iter_open(txn, (enum msy_table)t, &iter);
        for (unsigned i = 0; i < 10000 && status == MESHSYNC_OK; i++) {
            status = msy_store_next(iter, &key, &value);
        }
        good = good && status == MESHSYNC_E_END;
        msy_store_iter_close(iter);
        status = MESHSYNC_OK;
    }
    msy_store_abort(txn);
    for (unsigned round = 0; round < 3; round++) {
        status = msy_store_begin(store, MSY_TXN_WRITE, &txn);
        if (status != MESHSYNC_OK) {
            return false;
        }
        for (unsigned i = round; i < 300 && status == MESHSYNC_OK; i += 7) {
            status = put_numbered(txn, i, 100);
        }
        if (status == MESHSYNC_OK) {
            status = msy_store_commit(txn);
        } else {
            msy_store_abort(txn);
        }
        good = good && status == MESHSYNC_OK;
    }
    return good;
}

static void damage(const char *path, uint64_t trial, struct msy_prng *prng)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    struct stat info;
    assert_int_equal(fstat(fd, &info), 0);
    uint64_t pages = (uint64_t)info.st_size / 4096;
    uint64_t page = 2 + msy_prng_below(prng, pages - 2);
    static const uint8_t zeros[4096];
    if (trial % 3 == 0) {
        assert_int_equal(ftruncate(fd, (off_t)(page * 4096)), 0);
    } else {
        assert_int_equal(pwrite(fd, zeros, sizeof zeros, (off_t)(page * 4096)), sizeof zeros);
    }
    assert_int_equal(close(fd), 0);
}

/*
 * LMDB alone aborts the process for most zeroed pages, and is killed for most files cut short. A
 * store that was left in the middle of a write is never given back, so these run in children.
 */
static void run_damaged(const struct fixture *fixture, int in, int out)
{
    struct msy_store_options options = fixture->options;
    struct msy_alloc alloc;
    struct msy_store *store = NULL;
    (void)in;
    msy_alloc_init(&alloc, NULL, NULL, 0);
    options.alloc = &alloc;
    meshsync_status status = msy_store_open_lmdb(&options, &store, NULL);
    bool good = status == MESHSYNC_OK && use_damaged(store);
    msy_store_close(store);
    say_in_child(out, good);
}

static void damage_is_a_status(void **state)
{
    struct fixture *fixture = *state;
    struct msy_prng prng;
    msy_prng_init(&prng, 9);
    fixture_open(fixture);
    unsigned noticed = 0;
    for (uint64_t trial = 0; trial < 30; trial++) {
        if (fixture->store == NULL) {
            fixture_open(fixture);
        }
        struct msy_store_txn *txn = fixture_begin(fixture, MSY_TXN_WRITE);
        for (unsigned i = 0; i < 600; i++) {
            assert_int_equal(put_numbered(txn, i, i % 7 == 0 ? 3000 : 200), MESHSYNC_OK);
        }
        assert_int_equal(msy_store_commit(txn), MESHSYNC_OK);
        fixture_close(fixture);
        char path[600];
        path_of(fixture, "data.mdb", path, sizeof path);
        damage(path, trial, &prng);
        struct child child;
        child_start(&child, run_damaged, fixture);
        char word = child_hear(&child);
        assert_true(word == 'y' || word == 'n');
        noticed += word == 'n';
        child_end(&child);
        assert_int_equal(unlink(path), 0);
    }
    assert_true(noticed >= 10);
}

int main(void)
{
    static const struct {
        const char *name;
        CMUnitTestFunction run;
    } stories[] = {
        {"a store outlives its closing", a_store_outlives_its_closing},
        {"the folder is made for its owner alone", the_folder_is_made_for_its_owner_alone},
        {"no descriptor is inherited by programs", no_descriptor_is_inherited_by_programs},
        {"one process opens a folder once", one_process_opens_a_folder_once},
        {"a reader makes and changes nothing", a_reader_makes_and_changes_nothing},
        {"another process reads beside the writer", another_process_reads_beside_the_writer},
        {"a writer that vanishes leaves its commits", a_writer_that_vanishes_leaves_its_commits},
        {"slots of dead readers are swept", slots_of_dead_readers_are_swept},
        {"readers beyond the slots are refused", readers_beyond_the_slots_are_refused},
        {"a full store keeps its cap and deletes", a_full_store_keeps_its_cap_and_deletes},
        {"a full map breaks the transaction only", a_full_map_breaks_the_transaction_only},
        {"an interrupted creation is done again", an_interrupted_creation_is_done_again},
        {"what is no store of ours is refused", what_is_no_store_of_ours_is_refused},
        {"bad options are named", bad_options_are_named},
        {"opening without memory leaves nothing", opening_without_memory_leaves_nothing},
        {"a copy is a store of that moment", a_copy_is_a_store_of_that_moment},
        {"damage is a status", damage_is_a_status},
    };
    enum { STORIES_COUNT = sizeof stories / sizeof stories[0] };
    struct CMUnitTest tests[STORIES_COUNT];
    for (size_t i = 0; i < STORIES_COUNT; i++) {
        tests[i] = (struct CMUnitTest){stories[i].name, stories[i].run, setup, teardown, NULL};
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
