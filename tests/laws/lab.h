/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A laboratory of replicas: the real replica machine on memory stores, two to five in one process,
 * without any mesh between them. The test hands changes from one to another in whatever order it
 * likes; the lab keeps, beside each replica, the set of changes that the model says it has.
 */
#ifndef TESTS_LAWS_LAB_H
#define TESTS_LAWS_LAB_H

#include "fault/fail_alloc.h"
#include "fault/fail_store.h"
#include "laws/model.h"
#include "replica/read.h"
#include "replica/replica.h"

enum {
    LAB_REPLICAS_MAX = 5,
    LAB_OPS_MAX = 10,     /* Of one request. */
    LAB_REQUESTS_MAX = 5, /* Of one batch. */
    LAB_CONTEXTS_MAX = 16,
    LAB_CONTEXT_BYTES_MAX = 256,
    LAB_PAYLOAD_BYTES_MAX = 1024
};

/* Collections of every lab, as indexes into lab_table. */
enum lab_collection {
    LAB_LWW = 0,
    LAB_MV = 1,
    LAB_MAX = 2,
    LAB_MIN = 3,
    LAB_COUNTER = 4,
    LAB_SET = 5,
    LAB_MAP = 6,
    LAB_COLLECTIONS = 7
};
extern const struct model_collection lab_table[LAB_COLLECTIONS];

struct lab_replica {
    struct msy_store *store;
    struct msy_replica *machine;
    const struct msy_identity *identity;
    uint32_t space;
    struct msy_prng prng;
    bool fresh;                /* Opened, and nothing committed since. */
    int64_t skew_ms;           /* Its clock against the lab's. */
    struct model_set given;    /* What was handed to it since it was opened, and what it had. */
    struct model_set accepted; /* What its log holds. */
};

/* What a replica saw when it read. */
struct lab_context {
    uint32_t replica;
    uint32_t collection;
    uint8_t path[MESHSYNC_PATH_BYTES_MAX];
    size_t path_len;
    uint8_t bytes[LAB_CONTEXT_BYTES_MAX];
    size_t bytes_len;
    struct model_set accepted;
};

/* One intent as a test asks for it. */
struct lab_op {
    enum msy_intent_type type;
    enum meshsync_condition_kind condition;
    uint32_t collection;
    uint8_t path[MESHSYNC_PATH_BYTES_MAX];
    size_t path_len;
    uint8_t payload[LAB_PAYLOAD_BYTES_MAX];
    size_t payload_len;
    const struct lab_context *context;
    int64_t delta;
};

struct lab_request {
    struct lab_op ops[LAB_OPS_MAX];
    uint32_t ops_count;
    bool explicit_txn;
    meshsync_status status; /* Of its DONE. */
    struct msy_tip tip;     /* Of its DONE. */
};

/* Counts of what was reached, to show that the schedules are not empty. */
struct lab_reached {
    uint64_t schedules, ops, changes, merged_changes, explicit_changes, conflicts_refused;
    uint64_t siblings, pending, duplicates, reopened, out_of_order, resets, clears, missing;
    uint64_t contexts, queued, verified, feeds, own_writes;
    uint64_t failed_steps, failed_openings; /* By the plan. */
};

struct lab {
    struct msy_alloc alloc;
    struct model model;
    struct msy_prng prng;
    uint64_t seed;
    uint64_t now_ms;
    uint32_t base_count; /* Changes of the universe that every replica begins with. */
    uint32_t count;
    struct lab_replica replicas[LAB_REPLICAS_MAX];
    struct lab_replica base[LAB_REPLICAS_MAX]; /* Stores that are cloned for each schedule. */
    struct lab_context contexts[LAB_CONTEXTS_MAX];
    uint32_t contexts_count;
    struct msy_replica_effects effects;
    struct msy_request requests[LAB_REQUESTS_MAX];
    struct msy_buf bytes, ours, theirs, value;
    struct model_lives lives;
    struct lab_reached reached;
    uint32_t scratch[MODEL_CHANGES_MAX]; /* Lists of changes. */
    uint64_t payloads_made;
    struct fail_plan *plan; /* NULL, or how the stores of replicas fail below their machines. */
    uint32_t fail_percent;  /* How many of the steps and openings meet a failure. */
    uint32_t fail_ops_max;  /* Within how many operations it comes. */
    /* NULL, or the allocator of all, which fails during steps and openings: at random as above, or
     * at memory_at, counted over the whole schedule. Set before lab_open. */
    struct fail_memory *memory;
    uint64_t memory_at;
    uint64_t memory_counted; /* Allocations of the schedule, in steps and openings. */
    bool memory_stays;
    struct msy_prng fail_prng;
    bool loud;
    const char *program; /* How a failing seed is repeated. */
};

/* One space, founded by replica 0 and joined by the others with a ticket; collections made, all
 * exchanged. Done once per process. */
void lab_open(struct lab *lab, const char *program);
void lab_close(struct lab *lab);
/* Fresh replicas on clones of the common stores. */
void lab_begin(struct lab *lab, uint64_t seed, uint32_t replicas_count);
void lab_end(struct lab *lab);

/* Says what went wrong, with the seed and the command that repeats it, and fails the test. */
void lab_fail(struct lab *lab, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Tells a step of a schedule when asked to (MESHSYNC_VERBOSE). */
void lab_note(struct lab *lab, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Encodes a path of parts into op->path. */
void lab_path(struct lab_op *op, const char *const *parts, uint32_t parts_count);
/* A payload of one canonical value. */
void lab_payload_int(struct lab *lab, struct lab_op *op, int64_t number);
void lab_payload_text(struct lab *lab, struct lab_op *op, const char *text);

/* Commits requests as one batch and checks each answer and the new state against what the
 * requests mean. */
void lab_commit(struct lab *lab, uint32_t replica, struct lab_request *requests, uint32_t count);
/* Hands changes over, in this order, as one event each or all in one. */
enum lab_packing { LAB_SINGLY = 0, LAB_TOGETHER = 1 };
void lab_deliver(struct lab *lab, uint32_t replica, const uint32_t *changes, uint32_t count,
                 enum lab_packing packing);
/* Closes and opens a replica: what was pending is forgotten, the next commit begins an epoch. */
void lab_reopen(struct lab *lab, uint32_t replica);
/* Reads a path at a replica and keeps the context. */
const struct lab_context *lab_read_context(struct lab *lab, uint32_t replica,
                                           const struct lab_op *op);
/* Changes of the universe that the replica was not given, ascending, which is a causal order. */
uint32_t lab_missing(const struct lab *lab, uint32_t replica, uint32_t *changes);

/* All reads of the replica equal the model's. */
void lab_check(struct lab *lab, uint32_t replica);
/* Gets, scans both ways, feed with cursors. */
void lab_check_deep(struct lab *lab, uint32_t replica);
void lab_check_verify(struct lab *lab, uint32_t replica);
/* Equal sets, equal digests; different sets, different digests. */
void lab_check_digests(struct lab *lab);

#endif
