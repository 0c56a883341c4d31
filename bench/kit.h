/* SPDX-License-Identifier: Apache-2.0 */
/* What the measurements share: options, time, folders, medians, and one line of JSON each. */
#ifndef BENCH_KIT_H
#define BENCH_KIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <meshsync/meshsync.h>

enum { KIT_ROUNDS_MAX = 100, KIT_PATH_BYTES_MAX = 512, KIT_KEY_BYTES = 16, KIT_VALUE_BYTES = 100 };

/* Small by default, so that they run with the tests. */
struct kit_options {
    uint64_t puts;   /* --puts: in batches, in one round. */
    uint64_t batch;  /* --batch: puts in one transaction. */
    uint64_t single; /* --single: puts one by one, in one round. */
    uint64_t rounds; /* --rounds */
    uint64_t sorted; /* --sorted 1: what is read is loaded in order of its keys. */
};
void kit_options(int argc, char **argv, struct kit_options *options);

/* Ends the program, in words. */
void kit_fail(const char *what, const char *why) __attribute__((noreturn));
void kit_ok(meshsync_status status, const meshsync_error *error, const char *what);

double kit_now_s(void);
void kit_folder(char *path);
void kit_remove(const char *path);
/* The number-th key of a round, in no order, and a value; reproducible. */
void kit_key(uint64_t round, uint64_t number, char key[KIT_KEY_BYTES + 1]);
/* The same, or the number itself: in order. */
void kit_key_sorted(uint64_t sorted, uint64_t number, char key[KIT_KEY_BYTES + 1]);
/* A number below count, in no order. */
uint64_t kit_pick(uint64_t number, uint64_t count);
void kit_value(uint64_t number, uint8_t value[KIT_VALUE_BYTES]);

/* Figures of the rounds. */
struct kit_figures {
    double values[KIT_ROUNDS_MAX];
    uint32_t count;
};
void kit_add(struct kit_figures *figures, double value);
double kit_quantile(struct kit_figures *figures, double quantile);

/* One comparison as a line of JSON on standard output. larger_is_better decides which way the
 * ratio is read: over 1 means that meshsync did better than the bare limit. */
struct kit_report {
    const char *bench;
    const char *what;
    const char *unit;
    const char *against;
    uint64_t n; /* Operations in one round. */
    bool larger_is_better;
    struct kit_figures *bare;
    struct kit_figures *meshsync;
};
void kit_print(const struct kit_report *report);

#endif
