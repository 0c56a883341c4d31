/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shows that a power cut at any moment loses nothing acknowledged and leaves no half of anything:
 * every write and sync of a real node is recorded, and from the record come states that a disk may
 * be in after a cut (disk.h). MESHSYNC_POWER_STATES of them (default 300) are opened in child
 * processes and held to what was promised by then (work.h), to the commits that were made, and to
 * what a verification says; every fourth is cut again, or was only killed before the cut. A store
 * that does not sync, or does not sync its folder, must be found out. MESHSYNC_SEED repeats a run.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <lmdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fault/disk.h"
#include "fault/work.h"

enum { POWER_COMMITS_MAX = 1024, POWER_BATCH = 100, POWER_META_BYTES = 8192, POWER_NONE = -1 };

/* A commit: the write of its root page, and what the store then holds. */
struct commit {
    int32_t at;
    uint8_t hash[WORK_HASH_BYTES];
};

/* What was recorded of one node. */
struct story {
    struct disk *disk;
    struct commit commits[POWER_COMMITS_MAX];
    int32_t commits_count;
    struct work_actors actors;
};

/* What the children tell; shared with them. */
struct tally {
    uint64_t outcomes[WORK_OUTCOMES];
    struct disk_fates fates;
    uint64_t second_cuts;
    uint64_t cuts_after_kill;
    uint64_t at; /* The state that is being looked at. */
    uint64_t words_count;
    char words[8][WORK_WORDS_BYTES_MAX + 100];
};

static char place[WORK_PATH_BYTES_MAX];
static uint64_t seed;
static struct tally *tally;

static uint64_t number_of(const char *variable, uint64_t otherwise)
{
    const char *text = getenv(variable);
    return text == NULL || text[0] == '\0' ? otherwise : strtoull(text, NULL, 10);
}

static void join(char out[WORK_PATH_BYTES_MAX], const char *folder, const char *name)
{
    (void)snprintf(out, WORK_PATH_BYTES_MAX, "%.400s/%s", folder, name);
}

static void fresh(char out[WORK_PATH_BYTES_MAX], const char *name)
{
    join(out, place, name);
    work_remove(out);
    assert_int_equal(mkdir(out, 0700), 0);
}

static void note_in_record(void *user, uint32_t id, bool done)
{
    (void)user;
    disk_mark((uint64_t)id << 1 | (done ? 1 : 0));
}

static const struct work_notes notes = {note_in_record, NULL};

/* What was told by a place in the record, on top of what is in told. */
static void told_by(const struct disk *disk, int32_t from, int32_t to, struct work_told *told)
{
    for (int32_t i = from; i < to; i++) {
        const struct disk_event *event = disk_event_at(disk, i);
        if (event->kind == DISK_MARK) {
            told->begun[event->offset >> 1] = true;
            told->done[event->offset >> 1] |= (event->offset & 1) != 0;
        }
    }
}

/* ---- Recording ---- */

static bool is_root_page(const struct disk *disk, const struct disk_event *event)
{
    if (event->kind != DISK_WRITE || event->offset >= POWER_META_BYTES ||
        event->len >= POWER_META_BYTES / 2) {
        return false;
    }
    const char *name = disk_first_name(disk, event->file);
    return strstr(name, ".mdb") != NULL;
}

static void find_commits(struct story *story)
{
    char folder[WORK_PATH_BYTES_MAX];
    char node[WORK_PATH_BYTES_MAX];
    for (int32_t i = 0; i < disk_events_count(story->disk); i++) {
        if (!is_root_page(story->disk, disk_event_at(story->disk, i))) {
            continue;
        }
        assert_true(story->commits_count < POWER_COMMITS_MAX);
        struct commit *commit = &story->commits[story->commits_count++];
        commit->at = i;
        fresh(folder, "commit");
        assert_true(disk_rebuild_cached(story->disk, i + 1, folder));
        join(node, folder, "n");
        if (strstr(disk_first_name(story->disk, disk_event_at(story->disk, i)->file), "new.mdb") &&
            story->commits_count == 1) {
            char from[WORK_PATH_BYTES_MAX];
            char to[WORK_PATH_BYTES_MAX];
            join(from, node, "new.mdb");
            join(to, node, "data.mdb");
            assert_int_equal(rename(from, to), 0); /* Not yet named: look all the same. */
        }
        assert_true(work_look(node, commit->hash, &story->actors));
    }
}

static void record(struct story *story, enum disk_lie lie, unsigned lmdb_flags,
                   const struct work_size *size)
{
    char root[WORK_PATH_BYTES_MAX];
    char node[WORK_PATH_BYTES_MAX];
    char other[WORK_PATH_BYTES_MAX];
    char words[WORK_WORDS_BYTES_MAX] = "";
    memset(story, 0, sizeof *story);
    fresh(root, "recorded");
    fresh(other, "other");
    join(node, root, "n");
    interpose_fast_syncs(true);
    interpose_lmdb_flags(lmdb_flags);
    story->disk = disk_record(root, lie);
    assert_non_null(story->disk);
    bool good = work_run(node, other, size, notes, words);
    disk_stop();
    interpose_lmdb_flags(0);
    if (!good) {
        print_error("recording: %s\n", words);
    }
    assert_true(good);
    find_commits(story);
}

/* ---- One state ---- */

/* What a power cut leaves of LMDB's file of locks, which nobody syncs. */
static void leave_locks(const char *node, struct disk_random *random)
{
    uint8_t bytes[8192];
    char path[WORK_PATH_BYTES_MAX];
    uint64_t what = disk_draw(random, 4);
    join(path, node, "lock.mdb");
    (void)unlink(path);
    if (what == 0) {
        return;
    }
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = what == 1 ? 0 : (uint8_t)disk_draw(random, 256);
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0) {
        (void)!write(fd, bytes, (size_t)disk_draw(random, sizeof bytes));
        (void)close(fd);
    }
}

/* Is what the store holds one of the commits between the last that was acknowledged and the last
 * that was begun? */
static bool is_prefix(const struct story *story, const char *node, int32_t cut,
                      struct work_verdict *verdict)
{
    uint8_t hash[WORK_HASH_BYTES];
    struct work_actors actors = {.count = 0};
    int32_t acknowledged = POWER_NONE;
    int32_t begun = POWER_NONE;
    int32_t last_done = 0;
    for (int32_t i = 0; i < cut; i++) {
        const struct disk_event *event = disk_event_at(story->disk, i);
        if (event->kind == DISK_MARK && (event->offset & 1) != 0) {
            last_done = i;
        }
    }
    for (int32_t i = 0; i < story->commits_count && story->commits[i].at < cut; i++) {
        acknowledged = story->commits[i].at < last_done ? i : acknowledged;
        begun = i;
    }
    if (!work_look(node, hash, &actors)) {
        verdict->outcome = WORK_REFUSED;
        (void)snprintf(verdict->words, sizeof verdict->words, "the tables cannot be read");
        return false;
    }
    for (int32_t i = story->commits_count - 1; i >= 0; i--) {
        if (memcmp(hash, story->commits[i].hash, sizeof hash) == 0) {
            verdict->outcome = i < acknowledged                 ? WORK_LOST
                               : i > begun                      ? WORK_INVENTED
                               : i == begun && i > acknowledged ? WORK_NEWER
                                                                : WORK_KEPT;
            (void)snprintf(verdict->words, sizeof verdict->words,
                           "commit %d, acknowledged %d, begun %d", i, acknowledged, begun);
            return verdict->outcome == WORK_KEPT || verdict->outcome == WORK_NEWER;
        }
    }
    verdict->outcome = WORK_TORN;
    (void)snprintf(verdict->words, sizeof verdict->words, "no commit left the store like this");
    return false;
}

static bool good_outcome(enum work_outcome outcome)
{
    return outcome == WORK_NOTHING || outcome == WORK_KEPT || outcome == WORK_NEWER;
}

static void tell(uint64_t state, const struct work_verdict *verdict, const char *when)
{
    __atomic_add_fetch(&tally->outcomes[verdict->outcome], 1, __ATOMIC_SEQ_CST);
    if (!good_outcome(verdict->outcome)) {
        uint64_t at = __atomic_fetch_add(&tally->words_count, 1, __ATOMIC_SEQ_CST);
        if (at < sizeof tally->words / sizeof tally->words[0]) {
            (void)snprintf(tally->words[at], sizeof tally->words[at], "state %llu%s: %s: %s",
                           (unsigned long long)state, when, work_outcome_name(verdict->outcome),
                           verdict->words);
        }
    }
}

/* Cut again while what came back was opened, looked at and written to. */
static void cut_again(const struct story *story, struct disk *disk, int32_t from,
                      struct work_told *told, uint64_t state)
{
    char root[WORK_PATH_BYTES_MAX];
    char node[WORK_PATH_BYTES_MAX];
    struct work_verdict verdict = {.outcome = WORK_KEPT};
    struct disk_random random = {seed * 1000003 + state * 2 + 1};
    int32_t cut =
        from + (int32_t)disk_draw(&random, (uint64_t)(disk_events_count(disk) - from + 1));
    told_by(disk, from, cut, told);
    (void)snprintf(root, sizeof root, "%.400s/again-%d", place, (int)getpid());
    work_remove(root);
    (void)mkdir(root, 0700);
    join(node, root, "n");
    if (!disk_rebuild(disk, cut, &random, &tally->fates, root)) {
        verdict.outcome = WORK_DIED;
    } else {
        if (access(node, F_OK) == 0) {
            leave_locks(node, &random);
        }
        work_check(node, told, &story->actors, 1, notes, &verdict);
    }
    work_remove(root);
    tell(state, &verdict, ", cut again");
}

static bool made_by(const char *node)
{
    char data[WORK_PATH_BYTES_MAX];
    join(data, node, "data.mdb");
    return access(data, F_OK) == 0;
}

enum { ONCE = 0, CUT_AND_CUT = 1, KILLED_AND_CUT = 2 };

static void look_at(const struct story *story, uint64_t state, int32_t cut, int way,
                    struct disk_random *random)
{
    char root[WORK_PATH_BYTES_MAX];
    char node[WORK_PATH_BYTES_MAX];
    struct work_verdict verdict = {.outcome = WORK_NOTHING};
    static struct work_told told;
    memset(&told, 0, sizeof told);
    told_by(story->disk, 0, cut, &told);
    (void)snprintf(root, sizeof root, "%.400s/state-%d", place, (int)getpid());
    work_remove(root);
    bool good =
        mkdir(root, 0700) == 0 &&
        (way == KILLED_AND_CUT ? disk_rebuild_cached(story->disk, cut, root)
                               : disk_rebuild(story->disk, cut, random, &tally->fates, root));
    if (!good) {
        verdict.outcome = WORK_DIED;
    }
    join(node, root, "n");
    if (good && made_by(node)) {
        good = is_prefix(story, node, cut, &verdict);
    } else if (good && told.done[WORK_NODE]) {
        verdict.outcome = WORK_LOST;
        (void)snprintf(verdict.words, sizeof verdict.words, "the whole node");
        good = false;
    }
    struct disk *second = NULL;
    int32_t from = 0;
    if (good && access(node, F_OK) == 0) {
        leave_locks(node, random);
    }
    if (good && way == KILLED_AND_CUT) {
        second = story->disk;
        (void)disk_go_on(second, root, cut);
    } else if (good && way == CUT_AND_CUT) {
        second = disk_record(root, DISK_HONEST);
    }
    if (second != NULL) {
        from = disk_events_count(second);
    }
    if (good) {
        work_check(node, &told, &story->actors, 0, notes, &verdict);
        disk_stop();
    }
    work_remove(root);
    tell(state, &verdict, way == KILLED_AND_CUT ? ", killed" : "");
    if (second != NULL && good_outcome(verdict.outcome)) {
        cut_again(story, second, from, &told, state);
        __atomic_add_fetch(way == CUT_AND_CUT ? &tally->second_cuts : &tally->cuts_after_kill, 1,
                           __ATOMIC_SEQ_CST);
    }
    if (second != NULL && second != story->disk) {
        disk_free(second);
    }
}

/* ---- All states ---- */

/* The test library would take a signal for the end of a test, and go on with the next. */
static void no_handlers(void)
{
    (void)signal(SIGBUS, SIG_DFL);
    (void)signal(SIGSEGV, SIG_DFL);
    (void)signal(SIGABRT, SIG_DFL);
}

/* Where the node was there for the first time. */
static int32_t made_at(const struct disk *disk)
{
    for (int32_t i = 0; i < disk_events_count(disk); i++) {
        const struct disk_event *event = disk_event_at(disk, i);
        if (event->kind == DISK_MARK && event->offset == ((uint64_t)WORK_NODE << 1 | 1)) {
            return i;
        }
    }
    return disk_events_count(disk);
}

/* What is special about a kill is what it leaves of the making of a node, and a root that is
 * written but not yet synced: the next opening builds on it. */
static int32_t moment_of(const struct story *story, uint64_t state, int way,
                         struct disk_random *random)
{
    if (way == KILLED_AND_CUT && state % 16 == 15) {
        return story->commits[disk_draw(random, (uint64_t)story->commits_count)].at + 1;
    }
    int32_t end = way == KILLED_AND_CUT && state % 32 == 7 ? made_at(story->disk)
                                                           : disk_events_count(story->disk);
    return (int32_t)disk_draw(random, (uint64_t)end + 1);
}

/* In a child, since a damaged store may end the process that reads it. Where the record itself is
 * gone on with, the child does nothing else. */
static void child_states(const struct story *story, uint64_t from, uint64_t to, int way)
{
    no_handlers();
    for (uint64_t state = from; state < to; state++) {
        struct disk_random random = {seed * 1000003 + state * 2};
        (void)disk_draw(&random, 2);
        __atomic_store_n(&tally->at, state, __ATOMIC_SEQ_CST);
        look_at(story, state, moment_of(story, state, way, &random), way, &random);
    }
    _exit(0);
}

static int way_of(uint64_t state)
{
    return state % 8 == 3 ? CUT_AND_CUT : state % 8 == 7 ? KILLED_AND_CUT : ONCE;
}

static void try_states(const struct story *story, uint64_t count)
{
    for (uint64_t state = 0; state < count;) {
        int way = way_of(state);
        uint64_t to = state + 1;
        while (to < count && to - state < POWER_BATCH && way == ONCE && way_of(to) == ONCE) {
            to++;
        }
        (void)fflush(stdout);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            child_states(story, state, to, way);
        }
        int status = 0;
        assert_int_equal(waitpid(child, &status, 0), child);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
            struct work_verdict verdict = {.outcome = WORK_DIED};
            (void)snprintf(verdict.words, sizeof verdict.words, "wait status %x", (unsigned)status);
            tell(tally->at, &verdict, "");
            to = tally->at + 1;
        }
        state = to;
    }
}

static uint64_t bad_count(void)
{
    uint64_t bad = 0;
    for (unsigned i = 0; i < WORK_OUTCOMES; i++) {
        bad += good_outcome((enum work_outcome)i) ? 0 : tally->outcomes[i];
    }
    return bad;
}

static void show(const char *what, const struct story *story, uint64_t states)
{
    print_message(
        "%s: %llu states of %d events and %d commits: %llu writes landed, %llu dropped, "
        "%llu torn, %llu lengths and %llu names old, %llu cut twice, %llu cut after a "
        "kill\n",
        what, (unsigned long long)states, disk_events_count(story->disk), story->commits_count,
        (unsigned long long)tally->fates.landed, (unsigned long long)tally->fates.dropped,
        (unsigned long long)tally->fates.torn, (unsigned long long)tally->fates.lengths_old,
        (unsigned long long)tally->fates.names_old, (unsigned long long)tally->second_cuts,
        (unsigned long long)tally->cuts_after_kill);
    for (unsigned i = 0; i < WORK_OUTCOMES; i++) {
        if (tally->outcomes[i] > 0) {
            print_message("  %llu %s\n", (unsigned long long)tally->outcomes[i],
                          work_outcome_name((enum work_outcome)i));
        }
    }
}

static void clear_tally(void)
{
    memset(tally, 0, sizeof *tally);
}

static void test_nothing_is_lost(void **state)
{
    (void)state;
    static struct story story;
    const struct work_size size = {.single = 14, .together = 40, .exchange = true, .reopen = true};
    uint64_t states = number_of("MESHSYNC_POWER_STATES", 300);
    clear_tally();
    record(&story, DISK_HONEST, 0, &size);
    try_states(&story, states);
    show("power cuts", &story, states);
    for (unsigned i = 0; i < 8 && i < tally->words_count; i++) {
        print_error("%s\n", tally->words[i]);
    }
    assert_int_equal(bad_count(), 0);
    assert_true(tally->outcomes[WORK_KEPT] > 0 && tally->outcomes[WORK_NEWER] > 0);
    assert_true(tally->fates.dropped > 0 && tally->fates.torn > 0);
    assert_true(states < 100 || tally->second_cuts + tally->cuts_after_kill > 0);
    disk_free(story.disk);
}

/* What a checker is worth shows where something is broken. */
static void found_out(const char *what, enum disk_lie lie, unsigned flags)
{
    static struct story story;
    const struct work_size size = {.single = 8, .together = 10, .exchange = false, .reopen = true};
    const uint64_t states = 60;
    clear_tally();
    record(&story, lie, flags, &size);
    try_states(&story, states);
    show(what, &story, states);
    for (unsigned i = 0; i < 2 && i < tally->words_count; i++) {
        print_message("  found: %s\n", tally->words[i]);
    }
    assert_true(bad_count() > 0);
    disk_free(story.disk);
}

static void test_finds_a_store_without_syncs(void **state)
{
    (void)state;
    found_out("broken on purpose, MDB_NOSYNC", DISK_HONEST, MDB_NOSYNC);
}

static void test_finds_a_store_with_late_roots(void **state)
{
    (void)state;
    found_out("broken on purpose, MDB_NOMETASYNC", DISK_HONEST, MDB_NOMETASYNC);
}

static void test_finds_a_folder_without_syncs(void **state)
{
    (void)state;
    found_out("broken on purpose, no sync of folders", DISK_NO_FOLDER_SYNC, 0);
}

/* ---- Restoring a backup ---- */

static struct work_told promised; /* By the node that the backup is of. */

static void note_promised(void *user, uint32_t id, bool done)
{
    (void)user;
    promised.begun[id] = true;
    promised.done[id] |= done;
}

static void make_backup(char file[WORK_PATH_BYTES_MAX], struct work_actors *actors)
{
    char folder[WORK_PATH_BYTES_MAX];
    char node_folder[WORK_PATH_BYTES_MAX];
    char words[WORK_WORDS_BYTES_MAX] = "";
    uint8_t hash[WORK_HASH_BYTES];
    meshsync_options options;
    meshsync_node *node = NULL;
    meshsync_error error = {0};
    const struct work_size size = {.single = 6, .together = 6, .reopen = true};
    fresh(folder, "backed-up");
    join(node_folder, folder, "n");
    join(file, folder, "backup");
    memset(&promised, 0, sizeof promised);
    assert_true(
        work_run(node_folder, folder, &size, (struct work_notes){note_promised, NULL}, words));
    assert_true(work_look(node_folder, hash, actors));
    meshsync_options_init(&options, sizeof options);
    options.path = node_folder;
    options.store_map_bytes = (uint64_t)64 << 20;
    assert_int_equal(meshsync_node_open(&options, &node, &error), MESHSYNC_OK);
    assert_int_equal(meshsync_node_backup(node, file, &error), MESHSYNC_OK);
    assert_int_equal(meshsync_node_close(node), MESHSYNC_OK);
}

/* In a child: whole, or before it was done nothing, or refused; never a part. */
static void restored_state(const struct story *story, uint64_t state)
{
    char root[WORK_PATH_BYTES_MAX];
    char node[WORK_PATH_BYTES_MAX];
    struct work_told told;
    struct work_verdict verdict = {.outcome = WORK_NOTHING};
    struct disk_random random = {seed * 1000003 + state};
    int32_t cut = disk_events_count(story->disk);
    if (state % 2 == 0) {
        cut = (int32_t)disk_draw(&random, (uint64_t)cut + 1);
    }
    memset(&told, 0, sizeof told);
    told_by(story->disk, 0, cut, &told);
    tally->at = state;
    join(root, place, "state-restored");
    work_remove(root);
    join(node, root, "n");
    if (mkdir(root, 0700) != 0 || !disk_rebuild(story->disk, cut, &random, &tally->fates, root)) {
        verdict.outcome = WORK_DIED;
    } else if (made_by(node)) {
        verdict.outcome = WORK_KEPT;
        leave_locks(node, &random);
        work_check(node, &promised, &story->actors, 1, notes, &verdict);
        if (verdict.outcome == WORK_REFUSED && !told.done[WORK_NODE]) {
            verdict.outcome = WORK_NOTHING;
        }
    } else if (told.done[WORK_NODE]) {
        verdict.outcome = WORK_LOST;
    }
    work_remove(root);
    tell(state, &verdict, ", restored");
}

static void try_restores(const char *what, enum disk_lie lie, uint64_t states)
{
    static struct story story;
    char file[WORK_PATH_BYTES_MAX];
    char root[WORK_PATH_BYTES_MAX];
    char node[WORK_PATH_BYTES_MAX];
    meshsync_error error = {0};
    clear_tally();
    memset(&story, 0, sizeof story);
    interpose_fast_syncs(true);
    make_backup(file, &story.actors);
    fresh(root, "restored");
    join(node, root, "n");
    story.disk = disk_record(root, lie);
    assert_non_null(story.disk);
    assert_int_equal(meshsync_restore(file, node, &error), MESHSYNC_OK);
    disk_mark((uint64_t)WORK_NODE << 1 | 1);
    disk_stop();
    (void)fflush(stdout);
    for (uint64_t i = 0; i < states; i++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            no_handlers();
            restored_state(&story, i);
            _exit(0);
        }
        int status = 0;
        assert_int_equal(waitpid(child, &status, 0), child);
        if (status != 0) {
            const struct work_verdict died = {.outcome = WORK_DIED};
            tell(i, &died, ", restored");
        }
    }
    show(what, &story, states);
    disk_free(story.disk);
}

static void test_a_restore_is_whole_or_nothing(void **state)
{
    (void)state;
    try_restores("cuts while a backup is restored", DISK_HONEST,
                 number_of("MESHSYNC_POWER_STATES", 300) / 10 + 20);
    for (unsigned i = 0; i < 8 && i < tally->words_count; i++) {
        print_error("%s\n", tally->words[i]);
    }
    assert_int_equal(bad_count(), 0);
    assert_true(tally->outcomes[WORK_KEPT] > 0);
}

static void test_finds_a_restore_without_syncs(void **state)
{
    (void)state;
    try_restores("broken on purpose, restore without syncs", DISK_NO_FILE_SYNC, 20);
    assert_true(bad_count() > 0);
    try_restores("broken on purpose, restore without syncs of folders", DISK_NO_FOLDER_SYNC, 20);
    assert_true(bad_count() > 0);
}

static int set_up(void **state)
{
    (void)state;
    const char *under = getenv("TMPDIR");
    (void)snprintf(place, sizeof place, "%.300s/meshsync-power-XXXXXX",
                   under == NULL ? "/tmp" : under);
    seed = number_of("MESHSYNC_SEED", (uint64_t)time(NULL));
    print_message("MESHSYNC_SEED=%llu\n", (unsigned long long)seed);
    void *shared =
        mmap(NULL, sizeof *tally, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (mkdtemp(place) == NULL || shared == MAP_FAILED) {
        return 1;
    }
    tally = shared;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    work_remove(place);
    return munmap(tally, sizeof *tally);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_lost),
        cmocka_unit_test(test_a_restore_is_whole_or_nothing),
        cmocka_unit_test(test_finds_a_store_without_syncs),
        cmocka_unit_test(test_finds_a_store_with_late_roots),
        cmocka_unit_test(test_finds_a_folder_without_syncs),
        cmocka_unit_test(test_finds_a_restore_without_syncs),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
