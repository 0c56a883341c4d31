/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/schedule.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/entropy.h"

enum {
    LARGE_PERCENT = 5, /* Of 3 to 25 nodes; the others have 3 to 8. */
    SHORT_SLICES = 110,
    SHORT_SLICE_MS_MAX = 120,
    SHORT_SAMPLES = 3,   /* Slices from one to the next. */
    LONG_OPS_MIN = 1010, /* A few find nobody who can. */
    LONG_OPS_MORE = 50,
    LONG_MS_MIN = 3600000,
    LONG_MS_MORE = 600000,
    LONG_SAMPLES = 16,
    LONG_LULL_MS = 45000, /* Something may happen so often where nothing is written. */
    LONG_MENDS_MS = 4000,
    LONG_RATE_PERCENT = 30
};

/* Name, and how often at most, in per mille of a slice of a short run. */
static const struct {
    const char *name;
    uint32_t most;
} schedule_kinds[STEP_COUNT] = {
    [TROUBLE_CUT] = {"cut", 80},
    [TROUBLE_ONE_WAY] = {"one-way", 60},
    [TROUBLE_FLAP] = {"flap", 40},
    [TROUBLE_HEAL] = {"heal", 120},
    [TROUBLE_RESET] = {"reset", 100},
    [TROUBLE_HALF_OPEN] = {"half-open", 60},
    [TROUBLE_CORRUPT] = {"corrupt", 60},
    [TROUBLE_SLOW] = {"slow", 40},
    [TROUBLE_TAIL] = {"tail", 40},
    [TROUBLE_KILL] = {"kill", 60},
    [TROUBLE_POWER] = {"power", 40},
    [TROUBLE_KILL_BEFORE] = {"kill-before", 60},
    [TROUBLE_KILL_AFTER] = {"kill-after", 60},
    [TROUBLE_KILL_AT] = {"kill-at", 60},
    [TROUBLE_RESTART] = {"restart", 200},
    [TROUBLE_FULL] = {"full", 12},
    [TROUBLE_IO] = {"io", 12},
    [TROUBLE_SLOW_STORE] = {"slow-store", 20},
    [TROUBLE_MEMORY] = {"memory", 60},
    [TROUBLE_GOOD] = {"good", 250},
    [TROUBLE_DISK_KEPT] = {"disk-kept", 15},
    [TROUBLE_DISK_NEW] = {"disk-new", 15},
    [TROUBLE_BACKUP] = {"backup", 60},
    [TROUBLE_RESTORE] = {"restore", 120},
    [TROUBLE_CLONE] = {"clone", 20},
    [TROUBLE_JUMP] = {"jump", 30},
    [TROUBLE_SKEW] = {"skew", 40},
    [TROUBLE_DRIFT] = {"drift", 40},
    [TROUBLE_NEWCOMER] = {"newcomer", 30},
    [TROUBLE_RETIRE] = {"retire", 24},
    [TROUBLE_LEAVE] = {"leave", 40},
    [TROUBLE_PROTOCOL] = {"protocol", 40},
    [STEP_ACT] = {"act", 0},
    [STEP_ACT_BESIDE] = {"act-beside", 0},
    [STEP_SAMPLE] = {"sample", 0},
};

struct schedule_draft {
    struct schedule *schedule;
    struct msy_prng prng;
    uint32_t rates[TROUBLE_COUNT]; /* Per mille of a slice. */
    uint32_t mends_ms_max;         /* 0: nothing is mended but by chance. */
    uint64_t at_ms;
    uint32_t slices;
};

static uint32_t draft_below(struct schedule_draft *draft, uint64_t bound)
{
    return (uint32_t)msy_prng_below(&draft->prng, bound);
}

static struct step *schedule_room(struct schedule *schedule)
{
    if (schedule->count == schedule->cap) {
        schedule->cap = schedule->cap == 0 ? 256 : schedule->cap * 2;
        schedule->steps = realloc(schedule->steps, schedule->cap * sizeof *schedule->steps);
        if (schedule->steps == NULL) {
            abort();
        }
    }
    return &schedule->steps[schedule->count++];
}

static void draft_step(struct schedule_draft *draft, uint32_t kind)
{
    struct step *step = schedule_room(draft->schedule);
    step->at_ms = draft->at_ms;
    step->kind = kind;
    step->node = draft_below(draft, 1000);
    step->random = msy_prng_next(&draft->prng);
}

/* How likely each trouble is in this run: most seeds know only some. */
static void draft_rates(struct schedule_draft *draft, uint32_t percent)
{
    for (uint32_t i = 0; i < TROUBLE_COUNT; i++) {
        bool always = i == TROUBLE_HEAL || i == TROUBLE_RESTART || i == TROUBLE_GOOD;
        bool known = always || draft_below(draft, 100) < 45;
        uint32_t rate = 1 + draft_below(draft, schedule_kinds[i].most);
        draft->rates[i] = known ? 1 + rate * percent / 100 : 0;
    }
}

/* What makes a node begin again and again, or all others dial it in vain. An hour of it is an hour
 * of handshakes: a long run mends it soon. */
static bool draft_storms(uint32_t kind)
{
    return kind == TROUBLE_FULL || kind == TROUBLE_IO || kind == TROUBLE_MEMORY ||
           kind == TROUBLE_PROTOCOL;
}

static void draft_troubles(struct schedule_draft *draft)
{
    for (uint32_t i = 0; i < TROUBLE_COUNT; i++) {
        if (draft_below(draft, 1000) >= draft->rates[i]) {
            continue;
        }
        draft_step(draft, i);
        if (draft->mends_ms_max > 0 && draft_storms(i)) {
            struct step mend = {.kind = TROUBLE_GOOD, .node = STEP_NODE_ALL};
            mend.at_ms = draft->at_ms + 1 +
                         draft_below(draft, i == TROUBLE_MEMORY ? draft->mends_ms_max / 10
                                                                : draft->mends_ms_max);
            *schedule_room(draft->schedule) = mend;
        }
    }
}

/* By time; what was drawn first comes first. Nearly all are in order already. */
static void schedule_sort(struct schedule *schedule)
{
    for (uint32_t i = 1; i < schedule->count; i++) {
        struct step moved = schedule->steps[i];
        uint32_t at = i;
        while (at > 0 && schedule->steps[at - 1].at_ms > moved.at_ms) {
            schedule->steps[at] = schedule->steps[at - 1];
            at -= 1;
        }
        schedule->steps[at] = moved;
    }
}

static void draft_acts(struct schedule_draft *draft, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        bool beside = draft->schedule->spaces > 1 && draft_below(draft, 100) < 30;
        draft_step(draft, beside ? STEP_ACT_BESIDE : STEP_ACT);
    }
}

static void draft_slice(struct schedule_draft *draft, uint32_t acts, uint32_t samples)
{
    draft_troubles(draft);
    draft_acts(draft, acts);
    draft->at_ms += 1 + draft_below(draft, SHORT_SLICE_MS_MAX);
    draft->slices += 1;
    if (draft->slices % samples == 0) {
        draft_step(draft, STEP_SAMPLE);
    }
}

static void draft_short(struct schedule_draft *draft)
{
    draft_rates(draft, 100);
    for (uint32_t i = 0; i < SHORT_SLICES; i++) {
        draft_slice(draft, draft_below(draft, 5), SHORT_SAMPLES);
    }
}

/* Bursts of writing with much quiet between them, in which little goes wrong. */
static void draft_long(struct schedule_draft *draft)
{
    uint32_t ops = LONG_OPS_MIN + draft_below(draft, LONG_OPS_MORE);
    uint64_t all_ms = LONG_MS_MIN + draft_below(draft, LONG_MS_MORE);
    uint32_t bursts = 4 + draft_below(draft, 12);
    draft_rates(draft, LONG_RATE_PERCENT);
    /* Those that have no version in common are the rarest of what must come so often. */
    draft->rates[TROUBLE_PROTOCOL] += draft->rates[TROUBLE_PROTOCOL] / 2;
    draft->mends_ms_max = LONG_MENDS_MS;
    for (uint32_t i = 0; i < bursts; i++) {
        uint32_t left = ops / bursts + 1;
        while (left > 0) {
            uint32_t acts = draft_below(draft, 5);
            acts = acts < left ? acts : left;
            left -= acts;
            draft_slice(draft, acts, LONG_SAMPLES);
        }
        uint64_t until_ms = all_ms * (i + 1) / bursts;
        while (draft->at_ms < until_ms) {
            uint64_t lull_ms = 1 + draft_below(draft, 2 * LONG_LULL_MS);
            draft->at_ms += lull_ms < until_ms - draft->at_ms ? lull_ms : until_ms - draft->at_ms;
            draft_troubles(draft);
        }
    }
    draft_step(draft, STEP_SAMPLE); /* Not before the time is over. */
    schedule_sort(draft->schedule);
}

void schedule_draw(struct schedule *schedule, uint64_t seed, enum schedule_profile profile)
{
    static const uint64_t keepalives_ms[] = {10000, 20000, 30000, 60000};
    struct schedule_draft draft = {.schedule = schedule};
    memset(schedule, 0, sizeof *schedule);
    msy_prng_init(&draft.prng, seed ^ UINT64_C(0x7363686564756c65));
    schedule->seed = seed;
    schedule->spaces = draft_below(&draft, 100) < 35 ? 2 : 1;
    if (profile == SCHEDULE_LONG) {
        /* Few large meshes, since their cost grows faster than they do. */
        schedule->nodes =
            3 + draft_below(&draft, draft_below(&draft, 100) < LARGE_PERCENT ? 23 : 6);
        schedule->keepalive_ms =
            draft_below(&draft, 20) == 0 ? 2000 : keepalives_ms[draft_below(&draft, 4)];
        draft_long(&draft);
        return;
    }
    schedule->nodes = 3 + draft_below(&draft, draft_below(&draft, 100) < LARGE_PERCENT ? 23 : 6);
    schedule->keepalive_ms = draft_below(&draft, 4) == 0 ? 500 + draft_below(&draft, 9500) : 2000;
    draft_short(&draft);
}

void schedule_fini(struct schedule *schedule)
{
    free(schedule->steps);
    memset(schedule, 0, sizeof *schedule);
}

void schedule_copy(struct schedule *to, const struct schedule *from)
{
    uint32_t cap = from->count > 0 ? from->count : 1;
    *to = *from;
    to->cap = cap;
    to->steps = malloc(cap * sizeof *to->steps);
    if (to->steps == NULL) {
        abort();
    }
    memcpy(to->steps, from->steps, from->count * sizeof *to->steps);
}

/* --- as text ------------------------------------------------------------------------------- */

static const char schedule_head[] = "meshsync schedule 1: seed %" SCNu64 ", nodes %" SCNu32
                                    ", spaces %" SCNu32 ", keepalive_ms %" SCNu64;

void schedule_write(const struct schedule *schedule, FILE *out)
{
    (void)fprintf(out,
                  "meshsync schedule 1: seed %" PRIu64 ", nodes %" PRIu32 ", spaces %" PRIu32
                  ", keepalive_ms %" PRIu64 "\n",
                  schedule->seed, schedule->nodes, schedule->spaces, schedule->keepalive_ms);
    for (uint32_t i = 0; i < schedule->count; i++) {
        const struct step *step = &schedule->steps[i];
        (void)fprintf(out, "%" PRIu64 " %s %" PRIu32 " %" PRIu64 "\n", step->at_ms,
                      schedule_kinds[step->kind].name, step->node, step->random);
    }
}

static bool schedule_line(struct schedule *schedule, const char *line)
{
    struct step read;
    char name[32];
    if (sscanf(line, "%" SCNu64 " %31s %" SCNu32 " %" SCNu64, &read.at_ms, name, &read.node,
               &read.random) != 4) {
        return false;
    }
    for (read.kind = 0; read.kind < STEP_COUNT; read.kind++) {
        if (strcmp(schedule_kinds[read.kind].name, name) == 0) {
            *schedule_room(schedule) = read;
            return true;
        }
    }
    return false;
}

bool schedule_read(struct schedule *schedule, const char *path)
{
    char line[256];
    uint32_t number = 1;
    memset(schedule, 0, sizeof *schedule);
    FILE *in = fopen(path, "r");
    if (in == NULL) {
        (void)fprintf(stderr, "%s cannot be read\n", path);
        return false;
    }
    bool good = fgets(line, sizeof line, in) != NULL &&
                sscanf(line, schedule_head, &schedule->seed, &schedule->nodes, &schedule->spaces,
                       &schedule->keepalive_ms) == 4 &&
                schedule->nodes > 0;
    while (good && fgets(line, sizeof line, in) != NULL) {
        number += 1;
        good = line[0] == '#' || line[0] == '\n' || schedule_line(schedule, line);
    }
    if (!good) {
        (void)fprintf(stderr, "%s:%" PRIu32 ": not a line of a schedule\n", path, number);
    }
    (void)fclose(in);
    return good;
}
