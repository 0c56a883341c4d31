/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The oracle of the law tests: a deliberately naive model of docs/format.md that shares nothing
 * with the replica but the parser of changes. A universe holds every change that was ever made; a
 * set of them is a state; what a state shows is computed from nothing, each time, as dots minus
 * kills.
 */
#ifndef TESTS_LAWS_MODEL_H
#define TESTS_LAWS_MODEL_H

#include <stdbool.h>

#include "wire/change.h"

enum {
    MODEL_SET_WORDS = 64,
    MODEL_CHANGES_MAX = MODEL_SET_WORDS * 64,
    MODEL_BUCKETS = 2 * MODEL_CHANGES_MAX /* Of the tables that find changes. */
};

/* A subset of the universe, by index. */
struct model_set {
    uint64_t words[MODEL_SET_WORDS];
};

struct model_change {
    uint8_t *bytes; /* Owned. */
    size_t bytes_len, bytes_cap;
    struct msy_change parsed; /* Lends from bytes. */
    uint8_t hash[32];
    uint8_t device[32]; /* Of the epoch; copied on from seq 1 when that is known. */
    bool has_device;
    uint32_t bucket_bytes, bucket_seq;
    int32_t next_bytes, next_seq; /* Older ones in these buckets; -1: none. */
    uint32_t ops_first;           /* Number of its first op among all ops of the universe. */
    uint32_t causes_count;
    int32_t causes[MSY_CHANGE_HEADS_MAX + 1]; /* Indexes; -1: not in the universe (yet). */
};

struct model {
    struct msy_alloc alloc;
    struct msy_hasher hasher;
    struct model_change *changes; /* Owned; those past count keep their memory. */
    uint32_t count, cap, made;
    uint32_t ops_count;
    uint8_t founder[32];
    /* The newest change of each bucket, or -1: by all its bytes, and by actor and seq. */
    int32_t by_bytes[MODEL_BUCKETS], by_seq[MODEL_BUCKETS];
};

/* What a path shows: lines of bytes in one order, so that equal states give equal buffers. */
enum model_detail {
    MODEL_BRIEF = 0, /* Payloads only: for what a write is expected to do. */
    MODEL_FULL = 1   /* With stamps, actors and seqs. */
};

/* How a collection of the tests is read. */
struct model_collection {
    const char *name;
    int32_t type; /* enum meshsync_collection_type. */
    int32_t view; /* enum meshsync_view. */
};

/* One living dot, or a counter (kind ADD with its sum). */
struct model_live {
    uint32_t collection; /* Index into the table given to model_live. */
    uint32_t kind;
    meshsync_bytes path;
    meshsync_bytes payload;
    uint64_t hlc, seq;
    const struct msy_actor *actor;
    uint32_t change, index;
    int64_t sum;
};

struct model_lives {
    struct model_live *items;
    uint32_t count, cap;
};

void model_init(struct model *model, const uint8_t founder[32]);
void model_fini(struct model *model);
/* Forgets all but the first count changes. */
void model_truncate(struct model *model, uint32_t count);
/* Adds a change unless it is there; its index, or -1 when it does not parse. */
int32_t model_add(struct model *model, meshsync_bytes bytes);
/* Index of the change with this hash, or -1. */
int32_t model_find_hash(const struct model *model, const uint8_t hash[32]);
/* Index of (actor, seq) whose hash begins with prefix (prefix_len 0: any), or -1. */
int32_t model_find(const struct model *model, const struct msy_actor *actor, uint64_t seq,
                   const uint8_t *prefix, size_t prefix_len);

void model_set_clear(struct model_set *set);
void model_set_put(struct model_set *set, uint32_t index);
bool model_set_has(const struct model_set *set, uint32_t index);
bool model_set_equal(const struct model_set *a, const struct model_set *b);
uint32_t model_set_count(const struct model_set *set);

/* What a replica that was given these changes accepts: those whose causes are accepted and whose
 * device is the founder or a member, again and again until nothing is added. */
void model_accept(struct model *model, const struct model_set *given, struct model_set *accepted);
/* Is a change stamped after each of its causes? */
bool model_stamp_follows(const struct model *model, uint32_t index);
/* Does a's causal past contain b? */
bool model_sees(const struct model *model, uint32_t a, uint32_t b);

/* What lives in a state, in order of collection, path, then (hlc, actor, seq, index). A counter is
 * one item per path. Paths of collections that the table does not name are left out. */
void model_live(const struct model *model, const struct model_set *accepted,
                const struct model_collection *table, uint32_t table_count,
                struct model_lives *lives);
void model_lives_fini(struct model_lives *lives);
void model_lives_push(struct model_lives *lives, const struct model_live *live);
void model_lives_remove(struct model_lives *lives, uint32_t at);

/* The order of values of docs/format.md, section 6, over msgpack payloads. */
int model_value_compare(meshsync_bytes a, meshsync_bytes b);
/* What reads show, appended to out. lives need not be sorted when brief. */
void model_show(struct model_lives *lives, const struct model_collection *table,
                enum model_detail detail, struct msy_buf *out);

/* By payload, as brief showings have them. */
void model_sort_payloads(struct model_live *siblings, uint32_t count);

/* One line of a showing, for both sides of a comparison. */
struct model_line {
    uint32_t collection;
    int32_t kind; /* As meshsync_entry.kind. */
    meshsync_bytes path;
    int64_t sum;                       /* Counters. */
    meshsync_bytes shown;              /* Values: payload that the view shows. */
    const struct model_live *siblings; /* Values: ascending. */
    uint32_t siblings_count;
};
void model_line_write(const struct model_line *line, enum model_detail detail, struct msy_buf *out);
/* Words about the first line that differs, into text. */
void model_explain(meshsync_bytes ours, meshsync_bytes theirs, char *text, size_t text_len);

#endif
