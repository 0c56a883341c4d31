/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shows that the checker of histories passes what a correct model makes, and finds each anomaly by
 * its name wherever it is planted. With the path of a history (docs/simulation.md), it judges that.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "history/generate.h"

enum { HISTORIES_DEFAULT = 2000, SEED_BASE = 1, LARGE_STEPS = 30000 };

static struct history good;
static struct history bad;

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL && text[0] != '\0' ? strtoull(text, NULL, 10) : otherwise;
}

/* What a seed makes; small ones are many, because short histories leave less room to hide. */
static void make_good(uint64_t seed, struct msy_prng *prng)
{
    msy_prng_init(prng, seed);
    struct generate_options options = {
        .replicas = 1 + (uint32_t)msy_prng_below(prng, GENERATE_REPLICAS_MAX),
        .sessions = 2 + (uint32_t)msy_prng_below(prng, 12),
        .steps = 20 + (uint32_t)msy_prng_below(prng, 300)};
    generate_good(&good, prng, &options);
}

static void test_good_pass(void **state)
{
    uint64_t count = number_of("MESHSYNC_HISTORIES", HISTORIES_DEFAULT);
    uint64_t base = number_of("MESHSYNC_SEED", SEED_BASE);
    uint64_t txns = 0;
    uint64_t reads = 0;
    uint64_t inferred = 0;
    struct verdict verdict;
    struct msy_prng prng;
    (void)state;
    for (uint64_t i = 0; i < count; i++) {
        make_good(base + i, &prng);
        history_check(&good, &verdict);
        if (verdict.count != 0) {
            fail_msg("seed %" PRIu64 ": a good history is refused: %s", base + i, verdict.words);
        }
        txns += verdict.txns;
        reads += verdict.reads;
        inferred += verdict.inferred;
    }
    print_message("%" PRIu64 " good histories from seed %" PRIu64 ": %" PRIu64
                  " transactions, %" PRIu64 " reads, %" PRIu64 " orders inferred\n",
                  count, base, txns, reads, inferred);
    assert_true(inferred > 0);
}

static void test_bad_are_named(void **state)
{
    uint64_t count = number_of("MESHSYNC_HISTORIES", HISTORIES_DEFAULT) / 4;
    uint64_t base = number_of("MESHSYNC_SEED", SEED_BASE);
    uint64_t planted = 0;
    struct verdict verdict;
    struct msy_prng prng;
    (void)state;
    for (uint64_t i = 0; i < count; i++) {
        make_good(base + i, &prng);
        for (uint32_t k = 0; k < ANOMALY_COUNT * PLANT_VARIANTS; k++) {
            enum anomaly anomaly = (enum anomaly)(k % ANOMALY_COUNT);
            uint32_t variant = k / ANOMALY_COUNT;
            generate_bad(&bad, &good, &prng, anomaly, variant);
            history_check(&bad, &verdict);
            planted += 1;
            /* A cycle makes all that is on it look overwritten. */
            bool alone = verdict.counts[anomaly] == verdict.count || anomaly == ANOMALY_CYCLE;
            if (verdict.counts[anomaly] == 0 || !alone) {
                history_write(&bad, stderr);
                fail_msg("seed %" PRIu64 ": %s (%u) is called %s", base + i, anomaly_name(anomaly),
                         variant, verdict.count == 0 ? "good" : verdict.words);
            }
        }
    }
    print_message("%" PRIu64 " planted anomalies of %d kinds, each found by its name\n", planted,
                  ANOMALY_COUNT);
}

static void test_text_comes_back(void **state)
{
    static const char *const wrong[] = {"",
                                        "history\n",
                                        "meshsync-history 1\n0 0 fine\n",
                                        "meshsync-history 1\n0 0 ok q1=2\n",
                                        "meshsync-history 1\n0 0 ok w1=99999999\n",
                                        "meshsync-history 1\n0 0 ok w1=\n",
                                        "meshsync-history 1\n0 0 ok r1=2;3\n",
                                        "meshsync-history 1\n0 0 ok r1=2"};
    struct msy_prng prng;
    (void)state;
    make_good(3, &prng);
    FILE *file = tmpfile();
    assert_non_null(file);
    history_write(&good, file);
    rewind(file);
    assert_int_equal(history_read(&bad, file), 0);
    (void)fclose(file);
    assert_int_equal(bad.txns_count, good.txns_count);
    assert_int_equal(bad.ops_count, good.ops_count);
    assert_int_equal(bad.numbers, good.numbers);
    assert_memory_equal(bad.txns, good.txns, good.txns_count * sizeof *good.txns);
    assert_memory_equal(bad.values, good.values, good.values_count * sizeof *good.values);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        file = tmpfile();
        assert_non_null(file);
        (void)fputs(wrong[i], file);
        rewind(file);
        assert_int_not_equal(history_read(&bad, file), 0);
        (void)fclose(file);
    }
}

/* One of many transactions: the work grows with their number, not with its square. */
static void test_large(void **state)
{
    const struct generate_options options = {
        .replicas = GENERATE_REPLICAS_MAX, .sessions = 32, .steps = LARGE_STEPS};
    struct verdict verdict;
    struct msy_prng prng;
    (void)state;
    msy_prng_init(&prng, 9);
    generate_good(&good, &prng, &options);
    history_check(&good, &verdict);
    assert_string_equal(verdict.words, "");
    print_message("one history of %" PRIu64 " transactions, %" PRIu64 " reads\n", verdict.txns,
                  verdict.reads);
}

static int judge(const char *path)
{
    struct verdict verdict;
    FILE *file = fopen(path, "r");
    uint32_t wrong = file != NULL ? history_read(&good, file) : 1;
    if (file != NULL) {
        (void)fclose(file);
    }
    if (wrong != 0) {
        print_error("%s: line %u cannot be read\n", path, wrong);
        return 2;
    }
    history_check(&good, &verdict);
    print_message("%" PRIu64 " transactions of %u sessions at %u replicas, %" PRIu64
                  " reads, %" PRIu64 " orders inferred: %u anomalies\n",
                  verdict.txns, good.sessions, good.replicas, verdict.reads, verdict.inferred,
                  verdict.count);
    for (uint32_t i = 0; i < ANOMALY_COUNT; i++) {
        if (verdict.counts[i] > 0) {
            print_message("  %s: %u\n", anomaly_name((enum anomaly)i), verdict.counts[i]);
        }
    }
    if (verdict.count > 0) {
        print_message("first: %s\n", verdict.words);
    }
    history_fini(&good);
    return verdict.count > 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_pass), cmocka_unit_test(test_bad_are_named),
        cmocka_unit_test(test_text_comes_back), cmocka_unit_test(test_large)};
    history_init(&good);
    history_init(&bad);
    if (argc == 2) {
        return judge(argv[1]);
    }
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    history_fini(&good);
    history_fini(&bad);
    return failed;
}
