/* SPDX-License-Identifier: Apache-2.0 */
#include "kit.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

enum { KIT_RATIO_MAX = 1000000 };

void kit_fail(const char *what, const char *why)
{
    (void)fprintf(stderr, "bench: %s: %s\n", what, why);
    exit(1);
}

void kit_ok(meshsync_status status, const meshsync_error *error, const char *what)
{
    if (status != MESHSYNC_OK) {
        kit_fail(what, error->message);
    }
}

static bool kit_option(const char *name, const char *given, const char *value, uint64_t *out)
{
    char *end = NULL;
    if (strcmp(name, given) != 0) {
        return false;
    }
    *out = value == NULL ? 0 : strtoull(value, &end, 10);
    if (*out == 0 || end == NULL || *end != '\0') {
        kit_fail(given, "needs a number over 0");
    }
    return true;
}

void kit_options(int argc, char **argv, struct kit_options *options)
{
    if (getenv("MESHSYNC_BENCH_SMALL") != NULL) { /* To know that they work. */
        *options = (struct kit_options){.puts = 1000, .batch = 100, .single = 10, .rounds = 2};
    }
    for (int i = 1; i < argc; i += 2) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (!kit_option("--puts", argv[i], value, &options->puts) &&
            !kit_option("--batch", argv[i], value, &options->batch) &&
            !kit_option("--sorted", argv[i], value, &options->sorted) &&
            !kit_option("--single", argv[i], value, &options->single) &&
            !kit_option("--rounds", argv[i], value, &options->rounds)) {
            kit_fail(argv[i], "is none of --puts --batch --single --rounds --sorted");
        }
    }
    if (options->rounds > KIT_ROUNDS_MAX || options->batch > MESHSYNC_TXN_OPS_MAX) {
        kit_fail("--rounds or --batch", "too large");
    }
    options->puts = (options->puts + options->batch - 1) / options->batch * options->batch;
}

double kit_now_s(void)
{
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

void kit_folder(char *path)
{
    const char *under = getenv("TMPDIR");
    (void)snprintf(path, KIT_PATH_BYTES_MAX, "%s/meshsync-bench-XXXXXX",
                   under == NULL ? "/tmp" : under);
    if (mkdtemp(path) == NULL) {
        kit_fail("a folder", path);
    }
}

void kit_remove(const char *path)
{
    char file[KIT_PATH_BYTES_MAX];
    DIR *entries = opendir(path);
    if (entries == NULL) {
        return;
    }
    for (const struct dirent *entry = readdir(entries); entry != NULL; entry = readdir(entries)) {
        (void)snprintf(file, sizeof file, "%.250s/%.250s", path, entry->d_name);
        (void)unlink(file);
    }
    (void)closedir(entries);
    (void)rmdir(path);
}

/* A mixing step of splitmix64: neighbours end up far apart. */
static uint64_t kit_mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

void kit_key(uint64_t round, uint64_t number, char key[KIT_KEY_BYTES + 1])
{
    (void)snprintf(key, KIT_KEY_BYTES + 1, "%016" PRIx64, kit_mix(round << 32 | number));
}

void kit_key_sorted(uint64_t sorted, uint64_t number, char key[KIT_KEY_BYTES + 1])
{
    if (sorted == 0) {
        kit_key(0, number, key);
    } else {
        (void)snprintf(key, KIT_KEY_BYTES + 1, "%016" PRIx64, number);
    }
}

uint64_t kit_pick(uint64_t number, uint64_t count)
{
    return kit_mix(number) % count;
}

void kit_value(uint64_t number, uint8_t value[KIT_VALUE_BYTES])
{
    for (size_t i = 0; i < KIT_VALUE_BYTES; i++) {
        value[i] = (uint8_t)(number + i * 7);
    }
}

void kit_add(struct kit_figures *figures, double value)
{
    if (figures->count < KIT_ROUNDS_MAX) {
        figures->values[figures->count] = value;
        figures->count += 1;
    }
}

static int kit_compare(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return (x > y) - (x < y);
}

double kit_quantile(struct kit_figures *figures, double quantile)
{
    if (figures->count == 0) {
        return 0;
    }
    qsort(figures->values, figures->count, sizeof figures->values[0], kit_compare);
    return figures->values[(uint32_t)(quantile * (double)(figures->count - 1) + 0.5)];
}

static void kit_print_figures(const char *name, struct kit_figures *figures)
{
    (void)printf("\"%s\":{\"rounds\":%u,\"min\":%.6g,\"median\":%.6g,\"max\":%.6g}", name,
                 figures->count, kit_quantile(figures, 0), kit_quantile(figures, 0.5),
                 kit_quantile(figures, 1));
}

void kit_print(const struct kit_report *report)
{
    struct utsname machine;
    double bare = kit_quantile(report->bare, 0.5);
    double own = kit_quantile(report->meshsync, 0.5);
    double good = report->larger_is_better ? own : bare;
    double bad = report->larger_is_better ? bare : own;
    double ratio = bad > 0 ? good / bad : good > 0 ? KIT_RATIO_MAX : 1; /* JSON has no infinity. */
    if (uname(&machine) != 0) {
        kit_fail("uname", "failed");
    }
    (void)printf("{\"schema\":\"meshsync.bench/1\",\"bench\":\"%s\",\"what\":\"%s\","
                 "\"unit\":\"%s\",\"n\":%" PRIu64 ",\"against\":\"%s\",",
                 report->bench, report->what, report->unit, report->n, report->against);
    kit_print_figures("bare", report->bare);
    (void)printf(",");
    kit_print_figures("meshsync", report->meshsync);
    (void)printf(",\"ratio\":%.3f,\"library\":\"%s\",\"kernel\":\"%s\",\"cpus\":%ld}\n", ratio,
                 meshsync_version(), machine.release, sysconf(_SC_NPROCESSORS_ONLN));
    (void)fflush(stdout);
}
