/* SPDX-License-Identifier: Apache-2.0 */
/* Merge functions of the application: registration, and the self-test. */
#include <meshsync/merge.h>

#include "api/enter.h"

enum { TEST_SIBLINGS_MAX = 6, TEST_VALUE_BYTES = 24, TEST_SCRATCH_BYTES = 8192, TEST_GUARD = 64 };

struct merge_test {
    struct msy_prng prng;
    meshsync_sibling siblings[TEST_SIBLINGS_MAX];
    uint8_t values[TEST_SIBLINGS_MAX][TEST_VALUE_BYTES];
    uint32_t count;
    uint8_t scratch[TEST_SCRATCH_BYTES + TEST_GUARD];
    uint8_t kept[TEST_SCRATCH_BYTES];
    uint8_t first[TEST_SCRATCH_BYTES]; /* What the first of two calls gave. */
};

static void merge_test_make(struct merge_test *test)
{
    static const int32_t types[] = {MESHSYNC_VALUE_INT, MESHSYNC_VALUE_STRING,
                                    MESHSYNC_VALUE_BYTES, MESHSYNC_VALUE_FLOAT,
                                    MESHSYNC_VALUE_NIL};
    int32_t type = types[msy_prng_below(&test->prng, 5)];
    test->count = 1 + (uint32_t)msy_prng_below(&test->prng, TEST_SIBLINGS_MAX);
    memset(test->siblings, 0, sizeof test->siblings);
    for (uint32_t i = 0; i < test->count; i++) {
        meshsync_sibling *sibling = &test->siblings[i];
        size_t len = (size_t)msy_prng_below(&test->prng, TEST_VALUE_BYTES);
        for (size_t k = 0; k < len; k++) {
            test->values[i][k] = (uint8_t)('a' + msy_prng_below(&test->prng, 26));
        }
        sibling->hlc = 1000 + i;
        sibling->seq = 1 + i;
        sibling->value.type = msy_prng_below(&test->prng, 4) == 0 ? MESHSYNC_VALUE_STRING : type;
        sibling->value.integer = (int64_t)msy_prng_below(&test->prng, 100) - 50;
        sibling->value.real = (double)msy_prng_below(&test->prng, 100) / 4;
        sibling->value.bytes = msy_bytes(test->values[i], len);
        msy_prng_fill(&test->prng, sibling->actor, sizeof sibling->actor);
    }
}

/* Runs it once; the result's bytes are kept. False: it wrote beyond its scratch. */
static bool merge_test_run(struct merge_test *test, meshsync_merge_fn function, void *user,
                           int32_t *code, meshsync_value *value)
{
    meshsync_merge_out out;
    memset(&out, 0, sizeof out);
    memset(test->scratch, 0xa5, sizeof test->scratch);
    out.scratch = test->scratch;
    out.scratch_len = TEST_SCRATCH_BYTES;
    *code = function(user, test->siblings, test->count, &out);
    *value = out.value;
    for (size_t i = TEST_SCRATCH_BYTES; i < sizeof test->scratch; i++) {
        if (test->scratch[i] != 0xa5) {
            return false;
        }
    }
    if (*code == 0 && value->bytes.len > 0) {
        if (value->bytes.len > sizeof test->kept || value->bytes.data == NULL) {
            return false;
        }
        memcpy(test->kept, value->bytes.data, value->bytes.len);
    }
    return true;
}

static const char *merge_test_round(struct merge_test *test, meshsync_merge_fn function,
                                    void *user)
{
    struct merge_test *again = test;
    int32_t code = 0;
    int32_t code_again = 0;
    meshsync_value value;
    meshsync_value value_again;
    merge_test_make(test);
    if (!merge_test_run(test, function, user, &code, &value)) {
        return "it wrote beyond its scratch, or gave bytes that are not there";
    }
    size_t len = code == 0 ? value.bytes.len : 0;
    memcpy(test->first, test->kept, len);
    for (uint32_t i = 0; i < test->count; i++) { /* The log's places say nothing of the values. */
        again->siblings[i].lsn += 1000;
        again->siblings[i].device[0] ^= 0x55;
    }
    if (!merge_test_run(again, function, user, &code_again, &value_again)) {
        return "it wrote beyond its scratch, or gave bytes that are not there";
    }
    if (code != code_again) {
        return "two calls with the same siblings ended differently";
    }
    if (code == 0 && (value.type != value_again.type || value.bytes.len != value_again.bytes.len ||
                      memcmp(test->first, test->kept, len) != 0 ||
                      (value.bytes.len == 0 && value.type == MESHSYNC_VALUE_INT &&
                       value.integer != value_again.integer))) {
        return "two calls with the same siblings gave different values";
    }
    return NULL;
}

meshsync_status meshsync_merge_self_test(meshsync_merge_fn function, void *user, uint32_t rounds,
                                         uint64_t seed, meshsync_error *error)
{
    struct msy_alloc alloc;
    if (function == NULL) {
        return msy_fail(error, MESHSYNC_E_INVALID, "the merge function is NULL");
    }
    msy_alloc_init(&alloc, NULL, NULL, 0);
    struct merge_test *test = (struct merge_test *)msy_new(&alloc, sizeof *test);
    const char *words = NULL;
    if (test == NULL) {
        return msy_fail(error, MESHSYNC_E_NO_MEMORY, "no memory for the test");
    }
    msy_prng_init(&test->prng, seed);
    for (uint32_t i = 0; i < rounds && words == NULL; i++) {
        words = merge_test_round(test, function, user);
    }
    msy_free(&alloc, test, sizeof *test);
    return words == NULL ? MESHSYNC_OK
                         : msy_fail(error, MESHSYNC_E_INVALID, "seed %llu: %s",
                                    (unsigned long long)seed, words);
}
