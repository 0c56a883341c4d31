/* SPDX-License-Identifier: Apache-2.0 */
#include "laws/model.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <meshsync/space.h>

#include "base/path.h"
#include "secure/crypto.h"
#include "wire/msgpack_check.h"

enum { MODEL_VALUE_EXT_MSGPACK = 2 };

void model_init(struct model *model, const uint8_t founder[32])
{
    memset(model, 0, sizeof *model);
    msy_alloc_init(&model->alloc, NULL, NULL, 0);
    model->hasher.hash = msy_hash;
    model->hasher.stream = msy_stream;
    model->cap = MODEL_CHANGES_MAX;
    model->changes = calloc(model->cap, sizeof *model->changes);
    assert(model->changes != NULL);
    memcpy(model->founder, founder, sizeof model->founder);
    for (uint32_t i = 0; i < MODEL_BUCKETS; i++) {
        model->by_bytes[i] = -1;
        model->by_seq[i] = -1;
    }
}

void model_fini(struct model *model)
{
    for (uint32_t i = 0; i < model->made; i++) {
        msy_change_fini(&model->changes[i].parsed);
        free(model->changes[i].bytes);
    }
    free(model->changes);
    memset(model, 0, sizeof *model);
}

void model_truncate(struct model *model, uint32_t count)
{
    assert(count <= model->count);
    for (uint32_t i = model->count; i > count; i--) { /* The newest comes first in its bucket. */
        const struct model_change *change = &model->changes[i - 1];
        model->by_bytes[change->bucket_bytes] = change->next_bytes;
        model->by_seq[change->bucket_seq] = change->next_seq;
    }
    if (count < model->count) {
        model->ops_count = model->changes[count].ops_first;
        model->count = count;
    }
}

static uint32_t model_bucket(const uint8_t *bytes, size_t len, uint64_t more)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ more; /* FNV-1a. */
    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    }
    return (uint32_t)((hash ^ hash >> 32) % MODEL_BUCKETS);
}

static uint32_t model_bucket_seq(const struct msy_actor *actor, uint64_t seq)
{
    return model_bucket(actor->id, sizeof actor->id, seq << 1);
}

int32_t model_find_hash(const struct model *model, const uint8_t hash[32])
{
    for (uint32_t i = model->count; i > 0; i--) {
        if (memcmp(model->changes[i - 1].hash, hash, 32) == 0) {
            return (int32_t)(i - 1);
        }
    }
    return -1;
}

int32_t model_find(const struct model *model, const struct msy_actor *actor, uint64_t seq,
                   const uint8_t *prefix, size_t prefix_len)
{
    int32_t at = model->by_seq[model_bucket_seq(actor, seq)];
    while (at >= 0) {
        const struct model_change *change = &model->changes[at];
        if (change->parsed.header.seq == seq &&
            msy_actor_equal(&change->parsed.header.actor, actor) &&
            (prefix_len == 0 || memcmp(change->hash, prefix, prefix_len) == 0)) {
            return at;
        }
        at = change->next_seq;
    }
    return -1;
}

static void model_link(const struct model *model, struct model_change *change)
{
    const struct msy_change_header *header = &change->parsed.header;
    change->causes_count = 0;
    if (header->seq > 1) {
        change->causes[change->causes_count++] =
            model_find(model, &header->actor, header->seq - 1, header->prev, 32);
    } else if (header->has_predecessor) {
        change->causes[change->causes_count++] =
            model_find(model, &header->predecessor.actor, header->predecessor.seq,
                       header->predecessor.hash, 32);
    }
    for (uint32_t i = 0; i < header->heads_count; i++) {
        const struct msy_tip *head = &header->heads[i];
        change->causes[change->causes_count++] =
            model_find(model, &head->actor, head->seq, head->hash, MSY_HEAD_HASH_BYTES);
    }
}

static void model_name_device(const struct model *model, struct model_change *change)
{
    const struct msy_change_header *header = &change->parsed.header;
    change->has_device = header->seq == 1;
    if (header->seq == 1) {
        memcpy(change->device, header->device, sizeof change->device);
        return;
    }
    int32_t first = model_find(model, &header->actor, 1, NULL, 0);
    if (first >= 0) {
        memcpy(change->device, model->changes[first].device, sizeof change->device);
        change->has_device = true;
    }
}

int32_t model_add(struct model *model, meshsync_bytes bytes)
{
    uint32_t bucket = model_bucket(bytes.data, bytes.len, 0);
    for (int32_t i = model->by_bytes[bucket]; i >= 0; i = model->changes[i].next_bytes) {
        const struct model_change *known = &model->changes[i];
        if (msy_bytes_equal((meshsync_bytes){known->bytes, known->bytes_len}, bytes)) {
            return i;
        }
    }
    assert(model->count < model->cap);
    struct model_change *change = &model->changes[model->count];
    if (model->count == model->made) {
        msy_change_init(&change->parsed, &model->alloc);
        model->made += 1;
    }
    if (bytes.len > change->bytes_cap) {
        change->bytes = realloc(change->bytes, bytes.len);
        assert(change->bytes != NULL);
        change->bytes_cap = bytes.len;
    }
    memcpy(change->bytes, bytes.data, bytes.len);
    change->bytes_len = bytes.len;
    if (msy_change_parse(&change->parsed, (meshsync_bytes){change->bytes, bytes.len}, NULL) !=
        MESHSYNC_OK) {
        return -1;
    }
    msy_change_hash(&model->hasher, change->parsed.header_bytes, change->parsed.signature,
                    change->hash);
    int32_t known = model_find_hash(model, change->hash);
    if (known >= 0) {
        return known;
    }
    model_link(model, change);
    model_name_device(model, change);
    change->ops_first = model->ops_count;
    model->ops_count += change->parsed.ops_count;
    change->bucket_bytes = bucket;
    change->bucket_seq = model_bucket_seq(&change->parsed.header.actor, change->parsed.header.seq);
    change->next_bytes = model->by_bytes[bucket];
    change->next_seq = model->by_seq[change->bucket_seq];
    model->by_bytes[bucket] = (int32_t)model->count;
    model->by_seq[change->bucket_seq] = (int32_t)model->count;
    model->count += 1;
    return (int32_t)(model->count - 1);
}

void model_set_clear(struct model_set *set)
{
    memset(set, 0, sizeof *set);
}

void model_set_put(struct model_set *set, uint32_t index)
{
    set->words[index / 64] |= UINT64_C(1) << (index % 64);
}

bool model_set_has(const struct model_set *set, uint32_t index)
{
    return (set->words[index / 64] >> (index % 64) & 1) != 0;
}

bool model_set_equal(const struct model_set *a, const struct model_set *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

uint32_t model_set_count(const struct model_set *set)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < MODEL_SET_WORDS; i++) {
        count += (uint32_t)__builtin_popcountll(set->words[i]);
    }
    return count;
}

/* Does change write the control record at (word, key)? Its MSGPACK value goes to *record. */
static bool model_records(const struct model_change *change, const char *word,
                          const uint8_t key[32], meshsync_bytes *record)
{
    uint8_t path[MESHSYNC_PATH_BYTES_MAX];
    size_t path_len = 0;
    (void)msy_path_append(path, &path_len, sizeof path,
                          (meshsync_bytes){(const uint8_t *)word, strlen(word)});
    (void)msy_path_append(path, &path_len, sizeof path, (meshsync_bytes){key, 32});
    for (uint32_t i = 0; i < change->parsed.ops_count; i++) {
        const struct msy_op *op = &change->parsed.ops[i];
        struct msy_cursor cursor;
        struct msy_msgpack_head head;
        if (change->parsed.collections[op->collection].len != 0 || op->kind != MSY_OP_VALUE ||
            op->path.len != path_len || memcmp(op->path.data, path, path_len) != 0) {
            continue;
        }
        msy_cursor_init(&cursor, op->payload);
        if (msy_mp_read(&cursor, &head) && head.type == MSY_MP_EXT &&
            head.ext_type == MODEL_VALUE_EXT_MSGPACK) {
            *record = head.data;
            return true;
        }
    }
    return false;
}

static bool model_record_in(const struct model *model, const struct model_set *accepted,
                            const struct model_change *self, const char *word,
                            const uint8_t key[32], meshsync_bytes *record)
{
    if (model_records(self, word, key, record)) {
        return true;
    }
    for (uint32_t i = 0; i < model->count; i++) {
        if (model_set_has(accepted, i) && model_records(&model->changes[i], word, key, record)) {
            return true;
        }
    }
    return false;
}

static bool model_member(const struct model *model, const struct model_set *accepted,
                         const struct model_change *change)
{
    struct msy_cursor cursor;
    meshsync_bytes record;
    meshsync_bytes invite;
    uint32_t count = 0;
    uint64_t number = 0;
    if (!change->has_device) {
        return false;
    }
    if (memcmp(change->device, model->founder, sizeof model->founder) == 0) {
        return true;
    }
    if (!model_record_in(model, accepted, change, "member", change->device, &record)) {
        return false;
    }
    msy_cursor_init(&cursor, record);
    if (!msy_mp_array(&cursor, &count) || !msy_mp_uint(&cursor, &number) ||
        !msy_mp_uint(&cursor, &number) || !msy_mp_bin(&cursor, &invite) || invite.len != 32) {
        return false;
    }
    return model_record_in(model, accepted, change, "invite", invite.data, &record);
}

static bool model_ready(const struct model *model, const struct model_set *accepted,
                        struct model_change *change)
{
    for (uint32_t i = 0; i < change->causes_count; i++) {
        if (change->causes[i] < 0) {
            model_link(model, change); /* It may have come into the universe since. */
        }
        if (change->causes[i] < 0 || !model_set_has(accepted, (uint32_t)change->causes[i])) {
            return false;
        }
    }
    if (!change->has_device) {
        model_name_device(model, change);
    }
    return model_member(model, accepted, change);
}

void model_accept(struct model *model, const struct model_set *given, struct model_set *accepted)
{
    bool grown = true;
    while (grown) {
        grown = false;
        for (uint32_t i = 0; i < model->count; i++) {
            if (model_set_has(given, i) && !model_set_has(accepted, i) &&
                model_ready(model, accepted, &model->changes[i])) {
                model_set_put(accepted, i);
                grown = true;
            }
        }
    }
}

bool model_stamp_follows(const struct model *model, uint32_t index)
{
    const struct model_change *change = &model->changes[index];
    for (uint32_t i = 0; i < change->causes_count; i++) {
        if (change->causes[i] >= 0 &&
            model->changes[change->causes[i]].parsed.header.hlc >= change->parsed.header.hlc) {
            return false;
        }
    }
    return true;
}

bool model_sees(const struct model *model, uint32_t a, uint32_t b)
{
    struct model_set past;
    model_set_clear(&past);
    model_set_put(&past, a);
    for (uint32_t i = a + 1; i > 0; i--) {
        const struct model_change *change = &model->changes[i - 1];
        for (uint32_t k = 0; model_set_has(&past, i - 1) && k < change->causes_count; k++) {
            if (change->causes[k] >= 0) {
                model_set_put(&past, (uint32_t)change->causes[k]);
            }
        }
    }
    return a != b && model_set_has(&past, b);
}

/* --- what lives --------------------------------------------------------------------------- */

static int32_t model_collection_of(const struct model_change *change, const struct msy_op *op,
                                   const struct model_collection *table, uint32_t table_count)
{
    meshsync_bytes name = change->parsed.collections[op->collection];
    for (uint32_t i = 0; i < table_count; i++) {
        if (strlen(table[i].name) == name.len && memcmp(table[i].name, name.data, name.len) == 0) {
            return (int32_t)i;
        }
    }
    return -1;
}

static bool model_below(meshsync_bytes path, meshsync_bytes top)
{
    return path.len >= top.len && memcmp(path.data, top.data, top.len) == 0;
}

/* Kills of one op, in a state: marks the dots in dead, which is indexed by op of the universe. */
static void model_kill(const struct model *model, const struct model_set *accepted, uint32_t killer,
                       const struct msy_op *op, uint8_t *dead)
{
    const struct msy_change *parsed = &model->changes[killer].parsed;
    for (uint32_t k = 0; k < op->kills_count; k++) {
        const struct msy_kill *kill = &parsed->kills[op->kills_first + k];
        int32_t target = (int32_t)killer;
        if (kill->ref > 0) {
            const struct msy_ref *ref = &parsed->refs[kill->ref - 1];
            uint8_t prefix[8];
            msy_put_be64(prefix, ref->hash_prefix);
            target = model_find(model, &ref->actor, ref->seq, prefix, sizeof prefix);
        }
        if (target < 0 || !model_set_has(accepted, (uint32_t)target) ||
            kill->index >= model->changes[target].parsed.ops_count) {
            continue;
        }
        const struct msy_op *victim = &model->changes[target].parsed.ops[kill->index];
        bool here = op->kind == MSY_OP_CLEAR ? model_below(victim->path, op->path)
                                             : msy_bytes_equal(victim->path, op->path);
        if (here) {
            dead[model->changes[target].ops_first + kill->index] = 1;
        }
    }
}

/* Does (actor, seq), with the epochs before it, imply the change at index? */
static bool model_tip_covers(const struct model *model, const struct msy_actor *actor, uint64_t seq,
                             const struct msy_change_header *header)
{
    struct msy_actor at = *actor;
    for (uint32_t depth = 0; depth < MODEL_CHANGES_MAX; depth++) {
        if (msy_actor_equal(&at, &header->actor)) {
            return header->seq <= seq;
        }
        int32_t first = model_find(model, &at, 1, NULL, 0);
        if (first < 0 || !model->changes[first].parsed.header.has_predecessor) {
            return false;
        }
        seq = model->changes[first].parsed.header.predecessor.seq;
        at = model->changes[first].parsed.header.predecessor.actor;
    }
    return false;
}

static bool model_vector_covers(const struct model *model, meshsync_bytes vector,
                                const struct msy_change_header *header)
{
    struct msy_cursor cursor;
    uint32_t count = 0;
    msy_cursor_init(&cursor, vector);
    if (!msy_mp_array(&cursor, &count)) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct msy_actor actor;
        uint32_t two = 0;
        uint64_t seq = 0;
        if (!msy_mp_array(&cursor, &two) || !msy_mp_bin_copy(&cursor, actor.id, 16) ||
            !msy_mp_uint(&cursor, &seq)) {
            return false;
        }
        if (model_tip_covers(model, &actor, seq, header)) {
            return true;
        }
    }
    return false;
}

/* Has a change an op of this collection at or below the path? */
static bool model_touches(const struct model_change *change, meshsync_bytes name,
                          meshsync_bytes path)
{
    for (uint32_t k = 0; k < change->parsed.ops_count; k++) {
        const struct msy_op *op = &change->parsed.ops[k];
        if (model_below(op->path, path) &&
            msy_bytes_equal(change->parsed.collections[op->collection], name)) {
            return true;
        }
    }
    return false;
}

static void model_clear(const struct model *model, const struct model_set *accepted,
                        uint32_t killer, const struct msy_op *op, uint8_t *dead)
{
    meshsync_bytes name = model->changes[killer].parsed.collections[op->collection];
    for (uint32_t i = 0; i < model->count; i++) {
        const struct model_change *change = &model->changes[i];
        if (!model_set_has(accepted, i) || !model_touches(change, name, op->path) ||
            !model_vector_covers(model, op->payload, &change->parsed.header)) {
            continue;
        }
        for (uint32_t k = 0; k < change->parsed.ops_count; k++) {
            const struct msy_op *victim = &change->parsed.ops[k];
            if (msy_bytes_equal(change->parsed.collections[victim->collection], name) &&
                model_below(victim->path, op->path)) {
                dead[change->ops_first + k] = 1;
            }
        }
    }
}

void model_lives_push(struct model_lives *lives, const struct model_live *live)
{
    if (lives->count == lives->cap) {
        lives->cap = lives->cap == 0 ? 64 : lives->cap * 2;
        lives->items = realloc(lives->items, lives->cap * sizeof *lives->items);
        assert(lives->items != NULL);
    }
    lives->items[lives->count++] = *live;
}

void model_lives_remove(struct model_lives *lives, uint32_t at)
{
    memmove(&lives->items[at], &lives->items[at + 1],
            (lives->count - at - 1) * sizeof *lives->items);
    lives->count -= 1;
}

void model_lives_fini(struct model_lives *lives)
{
    free(lives->items);
    memset(lives, 0, sizeof *lives);
}

static int model_live_compare(const void *left, const void *right)
{
    const struct model_live *a = left;
    const struct model_live *b = right;
    if (a->collection != b->collection) {
        return a->collection < b->collection ? -1 : 1;
    }
    int order = msy_bytes_compare(a->path, b->path);
    if (order != 0) {
        return order;
    }
    if (a->hlc != b->hlc) {
        return a->hlc < b->hlc ? -1 : 1;
    }
    if (a->actor != NULL && b->actor != NULL) {
        order = msy_actor_compare(a->actor, b->actor);
    }
    if (order != 0) {
        return order;
    }
    if (a->seq != b->seq) {
        return a->seq < b->seq ? -1 : 1;
    }
    return a->index < b->index ? -1 : (a->index > b->index ? 1 : 0);
}

/* What one reset says of one actor. */
struct model_reset {
    uint32_t counter; /* Index into the counters. */
    struct msy_actor actor;
    uint64_t seq, plus, minus;
};

struct model_counters {
    struct model_live *items; /* Counters found so far; sum: of all deltas. */
    uint64_t *plus, *minus;
    uint32_t count;
    struct model_reset *resets;
    uint32_t resets_count, resets_cap;
};

static uint32_t model_counter_at(struct model_counters *counters, uint32_t collection,
                                 const struct msy_op *op)
{
    for (uint32_t i = 0; i < counters->count; i++) {
        if (counters->items[i].collection == collection &&
            msy_bytes_equal(counters->items[i].path, op->path)) {
            return i;
        }
    }
    struct model_live *item = &counters->items[counters->count];
    memset(item, 0, sizeof *item);
    item->collection = collection;
    item->kind = MSY_OP_ADD;
    item->path = op->path;
    counters->plus[counters->count] = 0;
    counters->minus[counters->count] = 0;
    return counters->count++;
}

static void model_counter_add(struct model_counters *counters, uint32_t at, meshsync_bytes payload)
{
    struct msy_cursor cursor;
    struct msy_msgpack_head head;
    msy_cursor_init(&cursor, payload);
    if (!msy_mp_read(&cursor, &head)) {
        return;
    }
    if (head.type == MSY_MP_NEGINT) {
        counters->minus[at] += UINT64_C(0) - head.number;
    } else {
        counters->plus[at] += head.number;
    }
}

static void model_reset_note(struct model_counters *counters, const struct model_reset *note)
{
    for (uint32_t i = 0; i < counters->resets_count; i++) {
        struct model_reset *reset = &counters->resets[i];
        if (reset->counter == note->counter && msy_actor_equal(&reset->actor, &note->actor)) {
            if (note->seq > reset->seq ||
                (note->seq == reset->seq &&
                 (note->plus > reset->plus ||
                  (note->plus == reset->plus && note->minus > reset->minus)))) {
                *reset = *note;
            }
            return;
        }
    }
    if (counters->resets_count == counters->resets_cap) {
        counters->resets_cap = counters->resets_cap == 0 ? 64 : counters->resets_cap * 2;
        counters->resets =
            realloc(counters->resets, counters->resets_cap * sizeof *counters->resets);
        assert(counters->resets != NULL);
    }
    counters->resets[counters->resets_count++] = *note;
}

static void model_counter_reset(struct model_counters *counters, uint32_t at,
                                meshsync_bytes payload)
{
    struct msy_cursor cursor;
    uint32_t count = 0;
    msy_cursor_init(&cursor, payload);
    (void)msy_mp_array(&cursor, &count);
    for (uint32_t i = 0; i < count && !cursor.failed; i++) {
        struct model_reset note = {.counter = at};
        uint32_t four = 0;
        (void)msy_mp_array(&cursor, &four);
        (void)msy_mp_bin_copy(&cursor, note.actor.id, 16);
        (void)msy_mp_uint(&cursor, &note.seq);
        (void)msy_mp_uint(&cursor, &note.plus);
        (void)msy_mp_uint(&cursor, &note.minus);
        if (!cursor.failed) {
            model_reset_note(counters, &note);
        }
    }
}

/* A counter shows while a delta lives that no reset took off. */
static void model_counters_push(struct model_counters *counters, struct model_lives *lives)
{
    for (uint32_t i = 0; i < counters->count; i++) {
        uint64_t plus = counters->plus[i];
        uint64_t minus = counters->minus[i];
        for (uint32_t k = 0; k < counters->resets_count; k++) {
            if (counters->resets[k].counter == i) {
                plus -= counters->resets[k].plus;
                minus -= counters->resets[k].minus;
            }
        }
        uint64_t sum = plus - minus;
        if (plus != 0 || minus != 0) {
            memcpy(&counters->items[i].sum, &sum, sizeof sum);
            model_lives_push(lives, &counters->items[i]);
        }
    }
}

static bool model_is_dot(uint32_t kind)
{
    return kind != MSY_OP_ERASE && kind != MSY_OP_ADD && kind != MSY_OP_RESET &&
           kind != MSY_OP_CLEAR;
}

static void model_change_live(const struct model *model, uint32_t at, const uint8_t *dead,
                              const struct model_collection *table, uint32_t table_count,
                              struct model_counters *counters, struct model_lives *lives)
{
    const struct model_change *change = &model->changes[at];
    for (uint32_t k = 0; k < change->parsed.ops_count; k++) {
        const struct msy_op *op = &change->parsed.ops[k];
        int32_t collection = model_collection_of(change, op, table, table_count);
        if (collection < 0) {
            continue;
        }
        if (op->kind == MSY_OP_ADD || op->kind == MSY_OP_RESET) {
            uint32_t counter = model_counter_at(counters, (uint32_t)collection, op);
            if (op->kind == MSY_OP_ADD) {
                model_counter_add(counters, counter, op->payload);
            } else {
                model_counter_reset(counters, counter, op->payload);
            }
        } else if (model_is_dot(op->kind) && dead[change->ops_first + k] == 0) {
            struct model_live live = {.collection = (uint32_t)collection,
                                      .kind = op->kind,
                                      .path = op->path,
                                      .payload = op->payload,
                                      .hlc = change->parsed.header.hlc,
                                      .seq = change->parsed.header.seq,
                                      .actor = &change->parsed.header.actor,
                                      .change = at,
                                      .index = k};
            model_lives_push(lives, &live);
        }
    }
}

void model_live(const struct model *model, const struct model_set *accepted,
                const struct model_collection *table, uint32_t table_count,
                struct model_lives *lives)
{
    size_t rows = (size_t)model->ops_count + 1;
    uint8_t *dead = calloc(rows, 1);
    struct model_counters counters = {0};
    counters.items = calloc(rows, sizeof *counters.items);
    counters.plus = calloc(rows, sizeof *counters.plus);
    counters.minus = calloc(rows, sizeof *counters.minus);
    assert(dead != NULL && counters.items != NULL && counters.plus != NULL &&
           counters.minus != NULL);
    lives->count = 0;
    for (uint32_t i = 0; i < model->count; i++) {
        const struct msy_change *parsed = &model->changes[i].parsed;
        for (uint32_t k = 0; model_set_has(accepted, i) && k < parsed->ops_count; k++) {
            model_kill(model, accepted, i, &parsed->ops[k], dead);
            if (parsed->ops[k].kind == MSY_OP_CLEAR) {
                model_clear(model, accepted, i, &parsed->ops[k], dead);
            }
        }
    }
    for (uint32_t i = 0; i < model->count; i++) {
        if (model_set_has(accepted, i)) {
            model_change_live(model, i, dead, table, table_count, &counters, lives);
        }
    }
    model_counters_push(&counters, lives);
    if (lives->count > 1) {
        qsort(lives->items, lives->count, sizeof *lives->items, model_live_compare);
    }
    free(counters.resets);
    free(counters.plus);
    free(counters.minus);
    free(counters.items);
    free(dead);
}

/* --- what reads show ---------------------------------------------------------------------- */

static bool model_payload_head(meshsync_bytes payload, struct msy_msgpack_head *head)
{
    struct msy_cursor cursor;
    msy_cursor_init(&cursor, payload);
    return msy_mp_read(&cursor, head);
}

/* NIL, BOOL, numbers, STRING, BYTES, JSON, MSGPACK, OPAQUE. */
static int model_value_rank(const struct msy_msgpack_head *head)
{
    switch (head->type) {
    case MSY_MP_NIL: return 0;
    case MSY_MP_BOOL: return 1;
    case MSY_MP_UINT:
    case MSY_MP_NEGINT:
    case MSY_MP_FLOAT: return 2;
    case MSY_MP_STR: return 3;
    case MSY_MP_BIN: return 4;
    case MSY_MP_EXT: return head->ext_type == 1 ? 5 : (head->ext_type == 2 ? 6 : 7);
    case MSY_MP_ARRAY:
    case MSY_MP_MAP: return 7;
    }
    return 7;
}

static long double model_number(const struct msy_msgpack_head *head)
{
    if (head->type == MSY_MP_FLOAT) {
        double real = 0;
        memcpy(&real, &head->number, sizeof real);
        return real;
    }
    if (head->type == MSY_MP_NEGINT) {
        int64_t number = 0;
        memcpy(&number, &head->number, sizeof number);
        return number;
    }
    return head->number;
}

static int model_number_compare(const struct msy_msgpack_head *a, const struct msy_msgpack_head *b)
{
    long double x = model_number(a); /* 64 bits of mantissa: every int64 and double is exact. */
    long double y = model_number(b);
    bool x_nan = x != x;
    bool y_nan = y != y;
    if (x_nan || y_nan) {
        return x_nan && y_nan ? 0 : (x_nan ? -1 : 1);
    }
    if (x < y || x > y) {
        return x < y ? -1 : 1;
    }
    bool x_float = a->type == MSY_MP_FLOAT;
    bool y_float = b->type == MSY_MP_FLOAT;
    return x_float == y_float ? 0 : (x_float ? 1 : -1);
}

int model_value_compare(meshsync_bytes a, meshsync_bytes b)
{
    struct msy_msgpack_head x;
    struct msy_msgpack_head y;
    if (!model_payload_head(a, &x) || !model_payload_head(b, &y)) {
        return 0;
    }
    int rank_x = model_value_rank(&x);
    int rank_y = model_value_rank(&y);
    if (rank_x != rank_y) {
        return rank_x < rank_y ? -1 : 1;
    }
    if (rank_x == 0 || rank_x == 1) {
        return x.number < y.number ? -1 : (x.number > y.number ? 1 : 0);
    }
    if (rank_x == 2) {
        return model_number_compare(&x, &y);
    }
    return rank_x == 7 ? msy_bytes_compare(a, b) : msy_bytes_compare(x.data, y.data);
}

static meshsync_bytes model_view(const struct model_live *siblings, uint32_t count, int32_t view)
{
    uint32_t best = count - 1;
    for (uint32_t i = count; i > 0; i--) {
        int order = model_value_compare(siblings[i - 1].payload, siblings[best].payload);
        if ((view == MESHSYNC_VIEW_MAX && order > 0) || (view == MESHSYNC_VIEW_MIN && order < 0)) {
            best = i - 1;
        }
    }
    return siblings[best].payload;
}

static void model_append(struct msy_buf *out, const void *data, size_t len)
{
    meshsync_status status = msy_buf_append(out, data, len);
    assert(status == MESHSYNC_OK);
    (void)status;
}

static void model_append_u64(struct msy_buf *out, uint64_t value)
{
    uint8_t bytes[8];
    msy_put_be64(bytes, value);
    model_append(out, bytes, sizeof bytes);
}

static void model_append_bytes(struct msy_buf *out, meshsync_bytes bytes)
{
    model_append_u64(out, bytes.len);
    model_append(out, bytes.data, bytes.len);
}

static int model_payload_order(const void *left, const void *right)
{
    const struct model_live *a = left;
    const struct model_live *b = right;
    return msy_bytes_compare(a->payload, b->payload);
}

void model_sort_payloads(struct model_live *siblings, uint32_t count)
{
    if (count > 1) {
        qsort(siblings, count, sizeof *siblings, model_payload_order);
    }
}

void model_line_write(const struct model_line *line, enum model_detail detail, struct msy_buf *out)
{
    uint8_t head[2] = {(uint8_t)line->collection, (uint8_t)line->kind};
    size_t at = out->len;
    uint8_t len[4] = {0};
    model_append(out, len, sizeof len);
    model_append(out, head, sizeof head);
    model_append_bytes(out, line->path);
    if (line->kind == 1) {
        model_append_u64(out, (uint64_t)line->sum);
    }
    if (line->kind == 0) {
        model_append_u64(out, line->siblings_count);
        if (detail == MODEL_FULL) {
            model_append_bytes(out, line->shown);
        }
    }
    for (uint32_t i = 0; line->kind == 0 && i < line->siblings_count; i++) {
        const struct model_live *sibling = &line->siblings[i];
        model_append_bytes(out, sibling->payload);
        if (detail == MODEL_FULL) {
            model_append_u64(out, sibling->hlc);
            model_append_u64(out, sibling->seq);
            model_append(out, sibling->actor->id, sizeof sibling->actor->id);
        }
    }
    msy_put_be32(out->data + at, (uint32_t)(out->len - at - 4));
}

/* Rank of kinds that live together at one path: the lowest is what a read shows. */
static int32_t model_entry_kind(uint32_t kind)
{
    switch (kind) {
    case MSY_OP_VALUE: return 0;
    case MSY_OP_ADD: return 1;
    case MSY_OP_MEMBER: return 2;
    case MSY_OP_MARKER: return 3;
    default: return 4; /* Kinds that no version knows yet. */
    }
}

enum { MODEL_SIBLINGS_MAX = 256 };

void model_show(struct model_lives *lives, const struct model_collection *table,
                enum model_detail detail, struct msy_buf *out)
{
    static struct model_live siblings[MODEL_SIBLINGS_MAX]; /* Too large for a stack. */
    if (lives->count > 1) {
        qsort(lives->items, lives->count, sizeof *lives->items, model_live_compare);
    }
    for (uint32_t i = 0; i < lives->count;) {
        const struct model_live *first = &lives->items[i];
        struct model_line line = {
            .collection = first->collection, .kind = 4, .path = first->path, .siblings = siblings};
        for (; i < lives->count && lives->items[i].collection == line.collection &&
               msy_bytes_equal(lives->items[i].path, line.path);
             i++) {
            int32_t kind = model_entry_kind(lives->items[i].kind);
            line.kind = kind < line.kind ? kind : line.kind;
            line.sum += lives->items[i].sum;
            if (kind == 0) {
                assert(line.siblings_count < MODEL_SIBLINGS_MAX);
                siblings[line.siblings_count++] = lives->items[i];
            }
        }
        if (line.kind == 0) {
            line.shown = model_view(siblings, line.siblings_count, table[line.collection].view);
        }
        if (detail == MODEL_BRIEF) {
            model_sort_payloads(siblings, line.siblings_count);
        }
        model_line_write(&line, detail, out);
    }
}

/* Bytes that are letters or digits stand for themselves, in quotes; the others in hex. */
static void model_hex(char *text, size_t text_len, meshsync_bytes bytes)
{
    size_t used = strlen(text);
    for (size_t i = 0; i < bytes.len && used + 5 < text_len; i++) {
        uint8_t byte = bytes.data[i];
        bool plain = (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z');
        used += (size_t)snprintf(text + used, text_len - used, plain ? "'%c'" : "%02x", byte);
    }
    text[used] = '\0';
}

static meshsync_bytes model_line_take(meshsync_bytes *bytes)
{
    if (bytes->len < 4) {
        return (meshsync_bytes){NULL, 0};
    }
    size_t len = msy_get_be32(bytes->data);
    meshsync_bytes line = {bytes->data + 4, len};
    bytes->data += 4 + len;
    bytes->len -= 4 + len;
    return line;
}

void model_explain(meshsync_bytes ours, meshsync_bytes theirs, char *text, size_t text_len)
{
    meshsync_bytes a = model_line_take(&ours);
    meshsync_bytes b = model_line_take(&theirs);
    while (a.len > 0 && msy_bytes_equal(a, b)) {
        a = model_line_take(&ours);
        b = model_line_take(&theirs);
    }
    (void)snprintf(text, text_len, "model: [");
    model_hex(text, text_len / 2, a);
    (void)snprintf(text + strlen(text), text_len - strlen(text), "] replica: [");
    model_hex(text, text_len - 2, b);
    (void)snprintf(text + strlen(text), text_len - strlen(text), "]");
}
