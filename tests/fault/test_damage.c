/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shows that a store that a disk spoilt never shows, and never sends, what is not so: after an end
 * that was not in order it is mended from its own log or refused in words; after an orderly one
 * each wrong record is refused when it is read. Nothing ends the process.
 */
#include "unit/api/api_kit.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fault/damage.h"
#include "store/lmdb_check.h"

enum {
    DAMAGES_DEFAULT = 100,
    DAMAGE_OLDER_FILES = 2,
    DAMAGE_SEED = 4711,
    DAMAGE_SECONDS = 30,
    SERVE_WAIT_MS = 700
};

/* How a trial came out. */
enum outcome { REFUSED, REPORTED, MENDED, RIGHT, WRONG, OUTCOMES };
static const char *const outcome_names[OUTCOMES] = {"refused", "reported", "mended", "all right",
                                                    "WRONG"};

struct scene {
    char folder[API_PATH_BYTES_MAX];     /* The store that is spoilt. */
    char trial[API_PATH_BYTES_MAX];      /* Its copy. */
    char peer[API_PATH_BYTES_MAX];       /* A member that lacks much. */
    char peer_trial[API_PATH_BYTES_MAX]; /* Its copy. */
    struct damage_file data;
    struct damage_file older[DAMAGE_OLDER_FILES];
    struct damage_file key;
    struct damage_file peer_data;
    struct damage_file peer_key;
    struct damage_view truth;
    uint64_t seed, trials;
    uint64_t table[DAMAGE_KINDS][2][OUTCOMES];
};
static struct scene scene;

/* ---- The stores ---- */

static void scene_text(char *text, size_t len, int number)
{
    memset(text, 'a' + number % 26, len);
    (void)snprintf(text, len, "%d", number);
    text[len] = '\0';
}

static void scene_write(meshsync_space *space, int round)
{
    meshsync_error error = {0};
    static char text[9001];
    char key[16];
    meshsync_txn *txn = NULL;
    API_OK(meshsync_txn_begin(space, &txn, &error));
    for (int i = 0; i < 15; i++) {
        int number = (round * 15 + i) % 300;
        meshsync_bytes parts[2];
        (void)snprintf(key, sizeof key, "k%d", number);
        scene_text(text, number % 50 == 7 ? 9000 : number % 7 == 3 ? 700 : 20, round);
        api_put_in(txn, key, text);
        meshsync_path path = api_path(parts, i % 2 == 0 ? "sum" : key, NULL);
        API_OK(meshsync_txn_add(txn, "c", &path, round + 1, &error));
        path = api_path(parts, "map", key);
        meshsync_value value = meshsync_value_int(round);
        API_OK(meshsync_txn_put(txn, "m", &path, &value, NULL, &error));
        API_OK(meshsync_txn_set_add(txn, "t", meshsync_bytes_of("set"), meshsync_bytes_of(key),
                                    &error));
    }
    API_OK(meshsync_txn_commit(txn, NULL, NULL, &error));
}

static void scene_path(char *path, const char *folder, const char *name)
{
    api_join(path, folder, name);
}

static struct damage_file scene_load(const char *folder, const char *name)
{
    char path[API_PATH_BYTES_MAX];
    scene_path(path, folder, name);
    return damage_load(path);
}

static void scene_save(const char *folder, const char *name, const struct damage_file *file)
{
    char path[API_PATH_BYTES_MAX];
    scene_path(path, folder, name);
    damage_save(path, file);
}

static meshsync_node *scene_open(const char *folder, meshsync_space **space)
{
    meshsync_error error = {0};
    meshsync_node *node = api_open(folder);
    API_OK(meshsync_space_find(node, "s", space, &error));
    return node;
}

/* Until each has what the other has. */
static void scene_meet(meshsync_node *nodes[2], meshsync_space *spaces[2])
{
    meshsync_error error = {0};
    char address[MESHSYNC_ADDRESS_BYTES_MAX];
    meshsync_token token;
    API_OK(meshsync_node_start(nodes[0], &error));
    API_OK(meshsync_node_start(nodes[1], &error));
    API_OK(meshsync_node_listen(nodes[0], "127.0.0.1:0", address, &error));
    API_OK(meshsync_peer_add(nodes[1], address, &error));
    for (int i = 0; i < 2; i++) {
        API_OK(meshsync_space_version(spaces[i], &token, &error));
        API_OK(meshsync_wait(spaces[1 - i], &token, 0, API_WAIT_MS, &error));
    }
}

/* A founder and a member; the member is left behind, then writes apart, so that there are
 * conflicts, and two earlier states of the founder's file are kept. */
static void scene_make(void)
{
    meshsync_error error = {0};
    meshsync_node *nodes[2];
    meshsync_space *spaces[2];
    char ticket[MESHSYNC_TICKET_TEXT_BYTES_MAX];
    nodes[0] = api_open(scene.folder);
    nodes[1] = api_open(scene.peer);
    spaces[0] = api_space(nodes[0]);
    API_OK(meshsync_node_start(nodes[0], &error));
    API_OK(meshsync_node_start(nodes[1], &error));
    API_OK(meshsync_node_listen(nodes[0], "127.0.0.1:0", NULL, &error));
    API_OK(meshsync_space_invite(spaces[0], 0, ticket, &error));
    API_OK(meshsync_space_join(nodes[1], ticket, NULL, &spaces[1], &error));
    API_OK(meshsync_wait(spaces[0], NULL, 1, API_WAIT_MS, &error));
    API_OK(meshsync_node_close(nodes[1]));
    scene.peer_data = scene_load(scene.peer, "data.mdb");
    scene.peer_key = scene_load(scene.peer, "identity.key");
    for (int round = 0; round < 30; round++) {
        scene_write(spaces[0], round);
    }
    API_OK(meshsync_node_close(nodes[0]));
    scene.older[0] = scene_load(scene.folder, "data.mdb");
    nodes[0] = scene_open(scene.folder, &spaces[0]);
    nodes[1] = scene_open(scene.peer, &spaces[1]);
    api_collections(spaces[1]);
    for (int round = 30; round < 36; round++) {
        scene_write(spaces[0], round);
        scene_write(spaces[1], round + 1000);
    }
    scene_meet(nodes, spaces);
    API_OK(meshsync_node_close(nodes[0]));
    API_OK(meshsync_node_close(nodes[1]));
    scene.older[1] = scene_load(scene.folder, "data.mdb");
    nodes[0] = scene_open(scene.folder, &spaces[0]);
    for (int round = 36; round < 40; round++) {
        scene_write(spaces[0], round);
    }
    damage_look(spaces[0], &scene.truth);
    assert_int_equal(scene.truth.errors, 0);
    API_OK(meshsync_node_close(nodes[0]));
    scene.data = scene_load(scene.folder, "data.mdb");
    scene.key = scene_load(scene.folder, "identity.key");
}

/* ---- A trial, in a process of its own ---- */

static void trial_end(enum outcome outcome, const char *words)
{
    if (words != NULL) {
        (void)printf("  %s\n", words);
        (void)fflush(stdout);
    }
    _exit((int)outcome + 10);
}

/* What is told of trials that are asked for alone. */
static void trial_say(const char *words)
{
    if (getenv("MESHSYNC_DAMAGE") != NULL) {
        (void)printf("  %s\n", words);
        (void)fflush(stdout);
    }
}

/* How long the member is given: where a damage may keep it from all, not long. */
static uint64_t serve_wait_ms = SERVE_WAIT_MS;

/* Serves a member that lacks most. What it then has must be whole, and nothing of what came can
 * have been refused. True: it got everything. */
static bool trial_serve(meshsync_node *node, meshsync_space *space)
{
    meshsync_error error = {0};
    char address[MESHSYNC_ADDRESS_BYTES_MAX];
    meshsync_token token;
    meshsync_space *other = NULL;
    scene_save(scene.peer_trial, "data.mdb", &scene.peer_data);
    scene_save(scene.peer_trial, "identity.key", &scene.peer_key);
    meshsync_node *peer = scene_open(scene.peer_trial, &other);
    if (meshsync_node_start(node, &error) != MESHSYNC_OK ||
        meshsync_node_listen(node, "127.0.0.1:0", address, &error) != MESHSYNC_OK ||
        meshsync_space_version(space, &token, &error) != MESHSYNC_OK) {
        API_OK(meshsync_node_close(peer));
        return false;
    }
    API_OK(meshsync_node_start(peer, &error));
    API_OK(meshsync_peer_add(peer, address, &error));
    meshsync_status status = meshsync_wait(other, &token, 0, serve_wait_ms, &error);
    meshsync_stats stats = {.size = sizeof stats};
    meshsync_verify_report report = {.size = sizeof report};
    API_OK(meshsync_node_stats(peer, &stats));
    if (stats.changes_rejected > 0) {
        trial_end(WRONG, "a damaged change was sent");
    }
    if (meshsync_space_verify(other, &report, &error) != MESHSYNC_OK) {
        trial_end(WRONG, "the peer's store does not verify");
    }
    struct damage_view seen = {0};
    if (status == MESHSYNC_OK) {
        damage_look(other, &seen);
        const char *wrong = damage_compare(&scene.truth, &seen, true);
        if (wrong != NULL) {
            trial_say(wrong);
            trial_end(WRONG, "the peer shows what is not so");
        }
    }
    API_OK(meshsync_node_close(peer));
    return status == MESHSYNC_OK;
}

static bool trial_commit(meshsync_space *space)
{
    meshsync_error error = {0};
    for (int i = 0; i < 3; i++) {
        meshsync_txn *txn = NULL;
        meshsync_bytes part;
        meshsync_path path = api_path(&part, "k5", NULL);
        meshsync_value value = meshsync_value_string("written after");
        if (meshsync_txn_begin(space, &txn, &error) != MESHSYNC_OK) {
            return false;
        }
        meshsync_status status = meshsync_txn_put(txn, "r", &path, &value, NULL, &error);
        if (status == MESHSYNC_OK) {
            path = api_path(&part, "sum", NULL);
            status = meshsync_txn_add(txn, "c", &path, 1, &error);
        }
        if (status != MESHSYNC_OK) {
            meshsync_txn_abort(txn);
            return false;
        }
        if (meshsync_txn_commit(txn, NULL, NULL, &error) != MESHSYNC_OK) {
            return false;
        }
    }
    return true;
}

/* The child was forked from a test, whose signals cmocka catches. */
static void trial_die_plainly(void)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGFPE};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        (void)signal(signals[i], SIG_DFL);
    }
}

/* What nobody would notice by reading is only looked for after an end that was not in order. */
static void trial_run(bool orderly, bool serve)
{
    meshsync_error error = {0};
    meshsync_node *node = NULL;
    meshsync_space *space = NULL;
    meshsync_options options = api_options(scene.trial);
    struct damage_view seen = {0};
    meshsync_verify_report report = {.size = sizeof report};
    trial_die_plainly();
    (void)alarm(DAMAGE_SECONDS);
    meshsync_status status = meshsync_node_open(&options, &node, &error);
    if (status != MESHSYNC_OK) {
        trial_say(error.message);
        bool in_words = status == MESHSYNC_E_STORE_CORRUPT && error.message[0] != '\0';
        trial_end(in_words ? REFUSED : WRONG, in_words ? NULL : meshsync_status_name(status));
    }
    bool reported = meshsync_space_find(node, "s", &space, &error) != MESHSYNC_OK;
    if (!reported) {
        damage_look(space, &seen);
        const char *wrong = damage_compare(&scene.truth, &seen, false);
        bool verified = meshsync_space_verify(space, &report, &error) == MESHSYNC_OK;
        if (wrong != NULL) {
            (void)printf("  %s verify: %s\n", orderly ? "orderly" : "unclean", error.message);
            trial_end(WRONG, wrong);
        }
        reported = !verified || seen.errors > 0;
        if (serve && !trial_serve(node, space)) {
            reported = true;
        }
        reported = !trial_commit(space) || reported;
    }
    meshsync_stats stats = {.size = sizeof stats};
    bool mended = meshsync_node_stats(node, &stats) == MESHSYNC_OK && stats.alarms > 0;
    if (meshsync_node_close(node) != MESHSYNC_OK) {
        trial_end(WRONG, "it could not be closed");
    }
    trial_end(reported ? REPORTED : mended ? MENDED : RIGHT, NULL);
}

/* As if the store had been closed in order after it was spoilt: as when a disk forgets. */
static void trial_mark(void)
{
    char path[API_PATH_BYTES_MAX];
    struct msy_lmdb_file file;
    scene_path(path, scene.trial, "data.mdb");
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    bool rooted = msy_lmdb_check_roots(fd, &file, NULL) == MESHSYNC_OK;
    assert_int_equal(close(fd), 0);
    scene_path(path, scene.trial, "writer.lock");
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    if (rooted) {
        msy_lmdb_mark_write(fd, &file);
    } else {
        assert_int_equal(msy_lmdb_mark_clear(fd), MESHSYNC_OK);
    }
    assert_int_equal(close(fd), 0);
}

static void trial_clear(const char *folder)
{
    static const char *const names[] = {"data.mdb", "lock.mdb", "writer.lock", "addresses.txt"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[API_PATH_BYTES_MAX];
        scene_path(path, folder, names[i]);
        (void)unlink(path);
    }
}

/* What was refused was not touched. */
static bool trial_same(const struct damage_file *spoilt)
{
    struct damage_file now = scene_load(scene.trial, "data.mdb");
    bool same = now.len == spoilt->len && memcmp(now.bytes, spoilt->bytes, now.len) == 0;
    free(now.bytes);
    return same;
}

static enum outcome trial_wait(pid_t child, uint64_t trial, enum damage_kind kind)
{
    int how = 0;
    assert_int_equal(waitpid(child, &how, 0), child);
    if (WIFEXITED(how) && WEXITSTATUS(how) >= 10 && WEXITSTATUS(how) < 10 + WRONG) {
        return (enum outcome)(WEXITSTATUS(how) - 10);
    }
    (void)printf("trial %llu, %s: %s %d; MESHSYNC_SEED=%llu MESHSYNC_DAMAGE=%llu repeats it\n",
                 (unsigned long long)trial, damage_name(kind), WIFSIGNALED(how) ? "signal" : "exit",
                 WIFSIGNALED(how) ? WTERMSIG(how) : how >> 8, (unsigned long long)scene.seed,
                 (unsigned long long)trial);
    return WRONG;
}

static enum outcome trial_do(uint64_t trial)
{
    uint64_t random = scene.seed * 1000003 + trial;
    enum damage_kind kind = (enum damage_kind)(trial % DAMAGE_KINDS);
    bool orderly = trial / DAMAGE_KINDS % 2 == 1;
    struct damage_file spoilt = damage_copy(&scene.data);
    const struct damage_file *older = &scene.older[damage_draw(&random, DAMAGE_OLDER_FILES)];
    /* A file that went back in time page by page, after an orderly end, only a verification can
     * notice: it is tried after the other kind of end alone. */
    orderly = orderly && kind != DAMAGE_OLDER;
    enum outcome outcome = RIGHT;
    if (damage_do(kind, &spoilt, older, &random)) {
        trial_clear(scene.trial);
        trial_clear(scene.peer_trial);
        scene_save(scene.trial, "data.mdb", &spoilt);
        scene_save(scene.trial, "identity.key", &scene.key);
        if (orderly) {
            trial_mark();
        }
        (void)fflush(stdout);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            trial_run(orderly, damage_draw(&random, 3) == 0);
        }
        outcome = trial_wait(child, trial, kind);
        if (outcome == REFUSED && !trial_same(&spoilt)) {
            (void)printf("trial %llu: a refused store was changed\n", (unsigned long long)trial);
            outcome = WRONG;
        }
    }
    scene.table[kind][orderly ? 1 : 0][outcome] += 1;
    free(spoilt.bytes);
    return outcome;
}

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL && text[0] != '\0' ? strtoull(text, NULL, 10) : otherwise;
}

static void test_damaged_stores(void **state)
{
    uint64_t wrong = 0;
    uint64_t only = number_of("MESHSYNC_DAMAGE", UINT64_MAX);
    (void)state;
    for (uint64_t trial = 0; trial < scene.trials; trial++) {
        if (only == UINT64_MAX || trial == only) {
            wrong += trial_do(trial) == WRONG;
        }
    }
    (void)printf("%llu damages, seed %llu, file of %llu pages, %llu paths shown\n",
                 (unsigned long long)scene.trials, (unsigned long long)scene.seed,
                 (unsigned long long)(scene.data.len / DAMAGE_PAGE_BYTES),
                 (unsigned long long)scene.truth.count);
    (void)printf("  %-24s %-10s %9s %9s %9s %9s %9s\n", "damage", "ended", outcome_names[0],
                 outcome_names[1], outcome_names[2], outcome_names[3], outcome_names[4]);
    for (int kind = 0; kind < DAMAGE_KINDS; kind++) {
        for (int orderly = 0; orderly < 2; orderly++) {
            const uint64_t *row = scene.table[kind][orderly];
            (void)printf("  %-24s %-10s %9llu %9llu %9llu %9llu %9llu\n",
                         damage_name((enum damage_kind)kind), orderly ? "in order" : "killed",
                         (unsigned long long)row[0], (unsigned long long)row[1],
                         (unsigned long long)row[2], (unsigned long long)row[3],
                         (unsigned long long)row[4]);
        }
    }
    assert_int_equal(wrong, 0);
    /* The damages reach what they are for. */
    uint64_t reached[OUTCOMES] = {0};
    for (int kind = 0; kind < DAMAGE_KINDS; kind++) {
        for (int outcome = 0; outcome < OUTCOMES; outcome++) {
            reached[outcome] += scene.table[kind][0][outcome] + scene.table[kind][1][outcome];
        }
    }
    if (only == UINT64_MAX && scene.trials >= 400) {
        assert_true(reached[REFUSED] > 0 && reached[REPORTED] > 0 && reached[MENDED] > 0);
    }
}

/* The same without damage: nothing is refused or reported, and the peer gets everything. */
static void test_a_whole_store_is_not_suspected(void **state)
{
    int how = 0;
    (void)state;
    serve_wait_ms = API_WAIT_MS;
    for (int orderly = 0; orderly < 2; orderly++) {
        trial_clear(scene.trial);
        trial_clear(scene.peer_trial);
        scene_save(scene.trial, "data.mdb", &scene.data);
        scene_save(scene.trial, "identity.key", &scene.key);
        if (orderly == 1) {
            trial_mark();
        }
        (void)fflush(stdout);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            trial_run(orderly == 1, true);
        }
        assert_int_equal(waitpid(child, &how, 0), child);
        assert_true(WIFEXITED(how));
        assert_int_equal(WEXITSTATUS(how), RIGHT + 10);
    }
    serve_wait_ms = SERVE_WAIT_MS;
}

/* One bit of the newest root's number makes it the older one: the last commit would be gone, and
 * nothing else wrong with the file. */
static void test_a_root_that_went_back(void **state)
{
    enum { COMMIT_AT = 16 + 128 };
    meshsync_error error = {0};
    meshsync_node *node = NULL;
    uint64_t numbers[2];
    (void)state;
    struct damage_file spoilt = damage_copy(&scene.data);
    for (size_t i = 0; i < 2; i++) {
        memcpy(&numbers[i], spoilt.bytes + i * DAMAGE_PAGE_BYTES + COMMIT_AT, sizeof numbers[i]);
    }
    size_t newest = numbers[1] > numbers[0] ? 1 : 0;
    numbers[newest] -= 2;
    memcpy(spoilt.bytes + newest * DAMAGE_PAGE_BYTES + COMMIT_AT, &numbers[newest],
           sizeof numbers[newest]);
    trial_clear(scene.trial);
    scene_save(scene.trial, "data.mdb", &spoilt);
    scene_save(scene.trial, "identity.key", &scene.key);
    meshsync_options options = api_options(scene.trial);
    API_FAILS(MESHSYNC_E_STORE_CORRUPT, meshsync_node_open(&options, &node, &error));
    assert_true(trial_same(&spoilt));
    free(spoilt.bytes);
}

static int setup(void **state)
{
    (void)state;
    scene.seed = number_of("MESHSYNC_SEED", DAMAGE_SEED);
    scene.trials = number_of("MESHSYNC_DAMAGES", DAMAGES_DEFAULT);
    api_folder(scene.folder);
    api_folder(scene.trial);
    api_folder(scene.peer);
    api_folder(scene.peer_trial);
    scene_make();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    api_remove(scene.folder);
    api_remove(scene.trial);
    api_remove(scene.peer);
    api_remove(scene.peer_trial);
    for (int i = 0; i < DAMAGE_OLDER_FILES; i++) {
        free(scene.older[i].bytes);
    }
    free(scene.data.bytes);
    free(scene.key.bytes);
    free(scene.peer_data.bytes);
    free(scene.peer_key.bytes);
    free(scene.truth.lines);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_whole_store_is_not_suspected),
        cmocka_unit_test(test_a_root_that_went_back),
        cmocka_unit_test(test_damaged_stores),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
