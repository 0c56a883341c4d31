/* SPDX-License-Identifier: Apache-2.0 */
/* Merge functions of the application: registering them, and trying whether they are pure views. */
#include <meshsync/merge.h>

#include <string.h>

#include "api/check.h"
#include "base/entropy.h"

enum {
    MERGE_SIBLINGS_MAX = 6,
    MERGE_TEXT_BYTES_MAX = 24,
    MERGE_SCRATCH_BYTES = MERGE_SIBLINGS_MAX * MERGE_TEXT_BYTES_MAX + 4096,
    MERGE_GUARD_BYTES = 64,
    MERGE_GUARD = 0xa5
};

meshsync_status meshsync_merge_register(meshsync_node *node, const char *name, uint32_t version,
                                        meshsync_merge_fn function, void *user,
                                        meshsync_error *error)
{
    meshsync_status status = msy_check_node(node, error);
    if (status == MESHSYNC_OK) {
        status = msy_check_name(name, "name of the merge function", error);
    }
    if (status == MESHSYNC_OK && function == NULL) {
        status = msy_fail(error, MESHSYNC_E_INVALID, "function is NULL");
    }
    return status == MESHSYNC_OK ? msy_node_add_merge(node, name, version, function, user, error)
                                 : status;
}

/* ---- The self-test ---- */

struct merge_siblings {
    meshsync_sibling items[MERGE_SIBLINGS_MAX];
    uint8_t texts[MERGE_SIBLINGS_MAX][MERGE_TEXT_BYTES_MAX];
    uint32_t count;
};

/* What a function returned, with its bytes copied. */
struct merge_result {
    int32_t returned;
    meshsync_value value;
    uint8_t bytes[MERGE_SCRATCH_BYTES];
};

struct merge_trial {
    meshsync_merge_fn function;
    void *user;
    struct merge_siblings given;
    struct merge_siblings shown; /* What the function gets: a copy, to see whether it wrote. */
    struct merge_result first;
    struct merge_result second;
    uint8_t scratch[MERGE_GUARD_BYTES + MERGE_SCRATCH_BYTES + MERGE_GUARD_BYTES];
};

static void merge_value(struct msy_prng *prng, meshsync_value *value, uint8_t *text)
{
    memset(value, 0, sizeof *value);
    switch (msy_prng_below(prng, 4)) {
    case 0:
        value->type = MESHSYNC_VALUE_INT;
        value->integer = 1 + (int64_t)msy_prng_below(prng, 1000);
        break;
    case 1:
        value->type = MESHSYNC_VALUE_FLOAT;
        value->real = 0.5 + (double)msy_prng_below(prng, 1000);
        break;
    case 2: value->type = MESHSYNC_VALUE_BYTES; break;
    default: value->type = MESHSYNC_VALUE_STRING; break;
    }
    if (value->type == MESHSYNC_VALUE_BYTES || value->type == MESHSYNC_VALUE_STRING) {
        value->bytes.len = 1 + (size_t)msy_prng_below(prng, MERGE_TEXT_BYTES_MAX);
        for (size_t i = 0; i < value->bytes.len; i++) {
            text[i] = (uint8_t)('a' + msy_prng_below(prng, 26));
        }
        value->bytes.data = text;
    }
}

/* Siblings as a read gives them: ascending, of several actors. */
static void merge_generate(struct msy_prng *prng, struct merge_siblings *siblings)
{
    uint64_t hlc = (uint64_t)1700000000000 << 16;
    memset(siblings, 0, sizeof *siblings);
    siblings->count = 1 + (uint32_t)msy_prng_below(prng, MERGE_SIBLINGS_MAX);
    for (uint32_t i = 0; i < siblings->count; i++) {
        meshsync_sibling *sibling = &siblings->items[i];
        hlc += 1 + msy_prng_below(prng, (uint64_t)1 << 30);
        sibling->hlc = hlc;
        sibling->seq = 1 + msy_prng_below(prng, 1000);
        sibling->lsn = 1 + msy_prng_below(prng, 100000);
        msy_prng_fill(prng, sibling->actor, sizeof sibling->actor);
        msy_prng_fill(prng, sibling->device, sizeof sibling->device);
        merge_value(prng, &sibling->value, siblings->texts[i]);
    }
}

/* A copy whose values point into itself; without the sibling at index, when that is one. */
static void merge_copy(const struct merge_siblings *from, struct merge_siblings *to,
                       uint32_t without)
{
    memset(to, 0, sizeof *to);
    for (uint32_t i = 0; i < from->count; i++) {
        if (i == without) {
            continue;
        }
        memcpy(to->texts[to->count], from->texts[i], sizeof to->texts[0]);
        to->items[to->count] = from->items[i];
        if (from->items[i].value.bytes.data != NULL) {
            to->items[to->count].value.bytes.data = to->texts[to->count];
        }
        to->count += 1;
    }
}

static bool merge_same(const meshsync_value *a, const meshsync_value *b)
{
    if (a->type != b->type || a->bytes.len != b->bytes.len) {
        return false;
    }
    if (a->type == MESHSYNC_VALUE_FLOAT) { /* By bits: a NaN is the same as itself here. */
        uint64_t bits[2];
        memcpy(&bits[0], &a->real, sizeof bits[0]);
        memcpy(&bits[1], &b->real, sizeof bits[1]);
        return bits[0] == bits[1];
    }
    if (a->type == MESHSYNC_VALUE_INT || a->type == MESHSYNC_VALUE_BOOL) {
        return a->integer == b->integer;
    }
    return a->bytes.len == 0 || memcmp(a->bytes.data, b->bytes.data, a->bytes.len) == 0;
}

static bool merge_untouched(const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] != MERGE_GUARD) {
            return false;
        }
    }
    return true;
}

static bool merge_shown_as_given(const struct merge_trial *trial,
                                 const struct merge_siblings *given)
{
    bool same = trial->shown.count == given->count;
    for (uint32_t i = 0; i < given->count && same; i++) {
        meshsync_sibling a = trial->shown.items[i];
        const meshsync_sibling *b = &given->items[i];
        same = merge_same(&a.value, &b->value) && a.hlc == b->hlc && a.seq == b->seq &&
               a.lsn == b->lsn && memcmp(a.actor, b->actor, sizeof a.actor) == 0 &&
               memcmp(a.device, b->device, sizeof a.device) == 0;
    }
    return same;
}

/* Calls the function; NULL, or what it did that it must not. */
static const char *merge_call(struct merge_trial *trial, const struct merge_siblings *siblings,
                              struct merge_result *result)
{
    uint8_t *scratch = trial->scratch + MERGE_GUARD_BYTES;
    meshsync_merge_out out = {.scratch = scratch, .scratch_len = MERGE_SCRATCH_BYTES};
    merge_copy(siblings, &trial->shown, UINT32_MAX);
    memset(trial->scratch, MERGE_GUARD, sizeof trial->scratch);
    memset(result, 0, sizeof *result);
    result->returned = trial->function(trial->user, trial->shown.items, trial->shown.count, &out);
    if (!merge_untouched(trial->scratch, MERGE_GUARD_BYTES) ||
        !merge_untouched(scratch + MERGE_SCRATCH_BYTES, MERGE_GUARD_BYTES)) {
        return "it wrote outside of scratch";
    }
    if (!merge_shown_as_given(trial, siblings)) {
        return "it wrote into the siblings";
    }
    if (result->returned != 0) {
        return NULL; /* The last writer then. */
    }
    result->value = out.value;
    if (out.value.bytes.len > sizeof result->bytes ||
        (out.value.bytes.len > 0 && out.value.bytes.data == NULL)) {
        return "it returned bytes that are nowhere";
    }
    if (out.value.bytes.len > 0) {
        memcpy(result->bytes, out.value.bytes.data, out.value.bytes.len);
        result->value.bytes.data = result->bytes;
    }
    return NULL;
}

static bool merge_agrees(const struct merge_result *a, const struct merge_result *b)
{
    return (a->returned == 0) == (b->returned == 0) &&
           (a->returned != 0 || merge_same(&a->value, &b->value));
}

/* A function that chooses one of the values must choose it too when another, that lost, is away. */
static const char *merge_without_losers(struct merge_trial *trial)
{
    struct merge_siblings fewer;
    bool chose = false;
    for (uint32_t i = 0; i < trial->given.count; i++) {
        chose = chose || merge_same(&trial->given.items[i].value, &trial->first.value);
    }
    if (trial->first.returned != 0 || !chose) {
        return NULL;
    }
    for (uint32_t i = 0; i < trial->given.count; i++) {
        if (merge_same(&trial->given.items[i].value, &trial->first.value)) {
            continue;
        }
        merge_copy(&trial->given, &fewer, i);
        const char *wrong = merge_call(trial, &fewer, &trial->second);
        if (wrong == NULL && !merge_agrees(&trial->first, &trial->second)) {
            wrong = "its choice changes when a sibling that lost is left out";
        }
        if (wrong != NULL) {
            return wrong;
        }
    }
    return NULL;
}

static const char *merge_round(struct merge_trial *trial, struct msy_prng *prng)
{
    merge_generate(prng, &trial->given);
    const char *wrong = merge_call(trial, &trial->given, &trial->first);
    if (wrong == NULL) {
        wrong = merge_call(trial, &trial->given, &trial->second);
    }
    if (wrong == NULL && !merge_agrees(&trial->first, &trial->second)) {
        wrong = "it gives another result when it is called again";
    }
    if (wrong == NULL) {
        wrong = merge_without_losers(trial);
    }
    for (uint32_t i = 0; i < trial->given.count; i++) {
        trial->given.items[i].lsn = 1 + msy_prng_below(prng, 100000);
    }
    if (wrong == NULL) {
        wrong = merge_call(trial, &trial->given, &trial->second);
    }
    if (wrong == NULL && !merge_agrees(&trial->first, &trial->second)) {
        wrong = "it depends on lsn, which differs from node to node";
    }
    return wrong;
}

meshsync_status meshsync_merge_self_test(meshsync_merge_fn function, void *user, uint32_t rounds,
                                         uint64_t seed, meshsync_error *error)
{
    struct msy_alloc alloc;
    struct msy_prng prng;
    const char *wrong = NULL;
    if (function == NULL) {
        return msy_fail(error, MESHSYNC_E_INVALID, "function is NULL");
    }
    msy_alloc_init(&alloc, NULL, NULL, 0);
    struct merge_trial *trial = (struct merge_trial *)msy_new(&alloc, sizeof *trial);
    if (trial == NULL) {
        return msy_fail(error, MESHSYNC_E_NO_MEMORY, "self-test: no memory");
    }
    trial->function = function;
    trial->user = user;
    msy_prng_init(&prng, seed);
    uint32_t round = 0;
    while (round < rounds && wrong == NULL) {
        wrong = merge_round(trial, &prng);
        round += 1;
    }
    msy_free(&alloc, trial, sizeof *trial);
    if (wrong != NULL) {
        return msy_fail(error, MESHSYNC_E_INVALID, "no pure view, seed %llu, round %u: %s",
                        (unsigned long long)seed, (unsigned)round, wrong);
    }
    return MESHSYNC_OK;
}
