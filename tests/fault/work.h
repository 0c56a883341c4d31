/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a node does in the crash tests, the promises that it makes meanwhile, and whether a store
 * that was found after a crash keeps them. Nothing here ends the process or a test: states are
 * looked at in child processes.
 */
#ifndef TESTS_FAULT_WORK_H
#define TESTS_FAULT_WORK_H

#include <stdbool.h>
#include <stdint.h>

#include <meshsync/meshsync.h>

/* Ids of what is promised: a thousand of each. Each of the first three, and the last, is one
 * transaction that writes at five places. */
enum work_id {
    WORK_KEY = 0,      /* By the node. */
    WORK_OTHER = 1000, /* By another node; received here. */
    WORK_DOOMED = 2000,
    WORK_DELETE = 3000, /* The deletion of the doomed one of the same number. */
    WORK_NEW = 4000,    /* After the crash. */
    WORK_NODE = 5000,   /* The node exists; then its space; then its collections. */
    WORK_SPACE = 5001,
    WORK_COLLECTIONS = 5002,
    WORK_IDS = 5003
};

/* What was begun, and what was acknowledged, at some moment. */
struct work_told {
    bool begun[WORK_IDS];
    bool done[WORK_IDS];
};

/* A note that goes outside: to the record, or through a pipe. */
typedef void (*work_note_fn)(void *user, uint32_t id, bool done);
struct work_notes {
    work_note_fn note;
    void *user;
};

enum {
    WORK_HASH_BYTES = 32,
    WORK_ACTORS_MAX = 256,
    WORK_WORDS_BYTES_MAX = 300,
    WORK_PATH_BYTES_MAX = 600
};

struct work_actors {
    uint8_t id[WORK_ACTORS_MAX][MESHSYNC_ACTOR_ID_BYTES];
    uint32_t count;
};

enum work_outcome {
    WORK_NOTHING = 0,  /* No node yet, and none was promised. */
    WORK_KEPT = 1,     /* The last acknowledged commit. */
    WORK_NEWER = 2,    /* One that was on its way. */
    WORK_LOST = 3,     /* Something acknowledged is missing. */
    WORK_TORN = 4,     /* Half a transaction, or no state that ever was. */
    WORK_INVENTED = 5, /* Something that nobody wrote. */
    WORK_REFUSED = 6,  /* It does not open, or does not take commits. */
    WORK_UNSOUND = 7,  /* The log does not give the state. */
    WORK_REUSED = 8,   /* A new commit that uses an old epoch. */
    WORK_DIED = 9,     /* The process that looked at it died. */
    WORK_OUTCOMES = 10
};

struct work_verdict {
    enum work_outcome outcome;
    char words[WORK_WORDS_BYTES_MAX];
};
const char *work_outcome_name(enum work_outcome outcome);

/* How much is done. */
struct work_size {
    uint32_t single;   /* Transactions one after the other. */
    uint32_t together; /* Commits in flight at once. */
    bool exchange;     /* With another node, by bundles. */
    bool reopen;       /* And close, open, and write again. */
};

/* folder: of the node, made by it. other: an existing folder for what the other node needs. On
 * failure *words says what did not work. */
bool work_run(const char *folder, const char *other, const struct work_size *size,
              struct work_notes notes, char words[WORK_WORDS_BYTES_MAX]);

/* A hash over all that the tables hold, and the actors named there. */
bool work_look(const char *folder, uint8_t hash[WORK_HASH_BYTES], struct work_actors *actors);

/* Opens the node after a crash, compares it with what was told, verifies it, writes as the
 * number-th new transaction (verifying once more unless that is 0), and
 * closes it. old: actors that must not write again. */
void work_check(const char *folder, const struct work_told *told, const struct work_actors *old,
                uint32_t number, struct work_notes notes, struct work_verdict *verdict);

/* Removes a folder with all that is in it. */
void work_remove(const char *folder);

#endif
