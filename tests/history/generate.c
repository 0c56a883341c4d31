/* SPDX-License-Identifier: Apache-2.0 */
#include "history/generate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { GENERATE_KILLS_MAX = 32, GENERATE_OPS_MAX = 4, GENERATE_SESSIONS_MAX = 64 };

/* Keys 0 to 3 are registers that nobody removes, 4 to 6 others, 7 to 9 sets, 10 and 11 counters. */
enum { KEYS_KEPT = 4, KEYS_REGISTER = 7, KEYS_SET = 10 };

/* What a committed transaction does at each replica, in causal order. */
struct effect {
    uint32_t key;
    int64_t value;
    bool adds; /* The value lives, but for counters. */
    uint32_t kills[GENERATE_KILLS_MAX];
    uint32_t kills_count;
};
struct commit {
    uint32_t origin;
    uint32_t needs[GENERATE_REPLICAS_MAX];
    struct effect effects[GENERATE_OPS_MAX];
    uint32_t effects_count;
};

struct replica {
    uint32_t seen[GENERATE_REPLICAS_MAX]; /* Commits of each. */
    uint32_t live[GENERATE_KEYS][GENERATE_LIVE_MAX];
    uint32_t live_count[GENERATE_KEYS];
    int64_t sums[GENERATE_KEYS];
};

struct session {
    uint32_t name, replica;
    uint32_t seen[GENERATE_REPLICAS_MAX];
    uint32_t context[GENERATE_KEYS][GENERATE_LIVE_MAX]; /* As read last. */
    uint32_t context_count[GENERATE_KEYS];
};

struct generator {
    struct history *history;
    struct msy_prng *prng;
    struct generate_options options;
    struct replica replicas[GENERATE_REPLICAS_MAX];
    struct session sessions[GENERATE_SESSIONS_MAX];
    struct commit *commits;
    uint32_t *by_origin[GENERATE_REPLICAS_MAX];
    uint32_t commits_count, numbers, names;
};

static uint32_t below(struct generator *generator, uint32_t bound)
{
    return (uint32_t)msy_prng_below(generator->prng, bound);
}

static void replica_kill(struct replica *replica, uint32_t key, uint32_t value)
{
    for (uint32_t i = 0; i < replica->live_count[key]; i++) {
        if (replica->live[key][i] == value) {
            replica->live_count[key] -= 1;
            memmove(&replica->live[key][i], &replica->live[key][i + 1],
                    (replica->live_count[key] - i) * sizeof value);
            return;
        }
    }
}

static void replica_take(struct replica *replica, const struct commit *commit)
{
    for (uint32_t i = 0; i < commit->effects_count; i++) {
        const struct effect *effect = &commit->effects[i];
        for (uint32_t k = 0; k < effect->kills_count; k++) {
            replica_kill(replica, effect->key, effect->kills[k]);
        }
        if (effect->key >= KEYS_SET) {
            replica->sums[effect->key] += effect->value;
        } else if (effect->adds) {
            uint32_t count = replica->live_count[effect->key]++;
            assert_true(count < GENERATE_LIVE_MAX);
            uint32_t at = count;
            while (at > 0 && replica->live[effect->key][at - 1] > effect->value) {
                replica->live[effect->key][at] = replica->live[effect->key][at - 1];
                at--;
            }
            replica->live[effect->key][at] = (uint32_t)effect->value;
        }
    }
    replica->seen[commit->origin] += 1;
}

/* A replica takes the next commit of another, when it has what that was built on. */
static bool deliver(struct generator *generator, uint32_t to, uint32_t from)
{
    struct replica *replica = &generator->replicas[to];
    uint32_t next = replica->seen[from];
    if (to == from || next >= generator->replicas[from].seen[from]) {
        return false;
    }
    const struct commit *commit = &generator->commits[generator->by_origin[from][next]];
    for (uint32_t i = 0; i < generator->options.replicas; i++) {
        if (commit->needs[i] > replica->seen[i]) {
            return false;
        }
    }
    for (uint32_t i = 0; i < commit->effects_count; i++) {
        if (replica->live_count[commit->effects[i].key] + 1 >= GENERATE_LIVE_MAX) {
            return false;
        }
    }
    replica_take(replica, commit);
    return true;
}

static void read_key(struct generator *generator, struct session *session, uint32_t key)
{
    const struct replica *replica = &generator->replicas[session->replica];
    if (key >= KEYS_SET) {
        history_op(generator->history, HISTORY_SUM, key, replica->sums[key]);
        return;
    }
    history_op(generator->history, key < KEYS_REGISTER ? HISTORY_READ : HISTORY_ELEMENTS, key, 0);
    for (uint32_t i = 0; i < replica->live_count[key]; i++) {
        history_value(generator->history, replica->live[key][i]);
    }
    memcpy(session->context[key], replica->live[key], sizeof replica->live[key]);
    session->context_count[key] = replica->live_count[key];
}

static void write_register(struct generator *generator, const struct replica *state,
                           struct effect *effect, const struct session *session, bool *refused)
{
    uint32_t key = effect->key;
    bool removes = key >= KEYS_KEPT && below(generator, 3) == 0;
    effect->value = generator->numbers++;
    effect->adds = !removes;
    effect->kills_count = state->live_count[key];
    assert_true(effect->kills_count <= GENERATE_KILLS_MAX);
    memcpy(effect->kills, state->live[key], effect->kills_count * sizeof effect->kills[0]);
    struct history_op *op = history_op(generator->history, removes ? HISTORY_REMOVE : HISTORY_WRITE,
                                       key, effect->value);
    if (!removes && below(generator, 4) == 0) {
        op->conditional = true;
        for (uint32_t i = 0; i < session->context_count[key]; i++) {
            history_value(generator->history, session->context[key][i]);
        }
        *refused = *refused || session->context_count[key] != state->live_count[key] ||
                   memcmp(session->context[key], state->live[key],
                          state->live_count[key] * sizeof effect->kills[0]) != 0;
    }
}

static void write_key(struct generator *generator, const struct replica *state,
                      struct effect *effect, const struct session *session, bool *refused)
{
    uint32_t key = effect->key;
    uint32_t many = state->live_count[key];
    if (key >= KEYS_SET) {
        effect->value = (int64_t)below(generator, 100) - (key == KEYS_SET ? 0 : 40);
        history_op(generator->history, HISTORY_DELTA, key, effect->value);
    } else if (key < KEYS_REGISTER) {
        write_register(generator, state, effect, session, refused);
    } else if (many > 0 && below(generator, many > 8 ? 1 : 2) == 0) {
        effect->kills[0] = state->live[key][below(generator, many)];
        effect->kills_count = 1;
        history_op(generator->history, HISTORY_TAKE, key, effect->kills[0]);
    } else {
        effect->value = generator->numbers++;
        effect->adds = true;
        history_op(generator->history, HISTORY_ADD, key, effect->value);
    }
}

static void write_keys(struct generator *generator, struct session *session, struct commit *commit,
                       bool *refused)
{
    struct replica state = generator->replicas[session->replica];
    struct commit one = {.origin = session->replica, .effects_count = 1};
    for (uint32_t n = 1 + below(generator, GENERATE_OPS_MAX - 1); n > 0; n--) {
        uint32_t key = below(generator, GENERATE_KEYS);
        if (state.live_count[key] >= GENERATE_KILLS_MAX) {
            continue;
        }
        struct effect *effect = &commit->effects[commit->effects_count++];
        memset(effect, 0, sizeof *effect);
        effect->key = key;
        write_key(generator, &state, effect, session, refused);
        one.effects[0] = *effect;
        replica_take(&state, &one);
    }
}

static void session_begin(struct generator *generator, struct session *session)
{
    memset(session, 0, sizeof *session);
    session->name = generator->names++;
    session->replica = below(generator, generator->options.replicas);
}

/* A client that moves goes where all is that it has seen. */
static void session_move(struct generator *generator, struct session *session)
{
    uint32_t to = below(generator, generator->options.replicas);
    for (uint32_t i = 0; i < generator->options.replicas; i++) {
        if (generator->replicas[to].seen[i] < session->seen[i]) {
            return;
        }
    }
    session->replica = to;
}

static void session_act(struct generator *generator, struct session *session)
{
    struct history *history = generator->history;
    struct replica *replica = &generator->replicas[session->replica];
    struct commit *commit = &generator->commits[generator->commits_count];
    bool refused = false;
    uint32_t luck = below(generator, 100);
    uint32_t txn = history_begin(history, session->name, session->replica, HISTORY_OK);
    for (uint32_t n = below(generator, 4); n > 0; n--) {
        read_key(generator, session, below(generator, GENERATE_KEYS));
    }
    memset(commit, 0, sizeof *commit);
    commit->origin = session->replica;
    memcpy(commit->needs, replica->seen, sizeof commit->needs);
    if (below(generator, 100) < 60) {
        write_keys(generator, session, commit, &refused);
    }
    bool unknown = !refused && luck < 4;
    refused = refused || (unknown && luck < 2) || luck == 5;
    if (commit->effects_count > 0) {
        history->txns[txn].outcome =
            unknown ? HISTORY_UNKNOWN
                    : (refused ? HISTORY_FAIL : (luck == 6 ? HISTORY_MAYBE : HISTORY_OK));
    }
    if (!refused && commit->effects_count > 0) {
        generator->by_origin[session->replica][replica->seen[session->replica]] =
            generator->commits_count++;
        replica_take(replica, commit);
    }
    memcpy(session->seen, replica->seen, sizeof session->seen);
    if (unknown && commit->effects_count > 0) {
        session_begin(generator, session);
    }
}

static void generate_end(struct generator *generator)
{
    uint32_t replicas = generator->options.replicas;
    bool moved = true;
    while (moved) {
        moved = false;
        for (uint32_t i = 0; i < replicas * replicas; i++) {
            moved = deliver(generator, i / replicas, i % replicas) || moved;
        }
    }
    for (uint32_t i = 0; i < replicas; i++) {
        struct session *last = &generator->sessions[0];
        session_begin(generator, last);
        last->replica = i;
        history_begin(generator->history, last->name, i, HISTORY_FINAL);
        for (uint32_t key = 0; key < GENERATE_KEYS; key++) {
            read_key(generator, last, key);
        }
    }
}

void generate_good(struct history *history, struct msy_prng *prng,
                   const struct generate_options *options)
{
    struct generator *generator = calloc(1, sizeof *generator);
    assert_non_null(generator);
    assert_true(options->replicas <= GENERATE_REPLICAS_MAX &&
                options->sessions <= GENERATE_SESSIONS_MAX);
    history_clear(history);
    generator->history = history;
    generator->prng = prng;
    generator->options = *options;
    generator->commits = calloc(options->steps + 1, sizeof *generator->commits);
    assert_non_null(generator->commits);
    for (uint32_t i = 0; i < options->replicas; i++) {
        generator->by_origin[i] = calloc(options->steps + 1, sizeof(uint32_t));
        assert_non_null(generator->by_origin[i]);
    }
    for (uint32_t i = 0; i < options->sessions; i++) {
        session_begin(generator, &generator->sessions[i]);
    }
    for (uint32_t i = 0; i < options->steps; i++) {
        struct session *session = &generator->sessions[below(generator, options->sessions)];
        if (below(generator, 10) == 0) {
            session_move(generator, session);
        }
        session_act(generator, session);
        for (uint32_t n = below(generator, 4); n > 0; n--) {
            (void)deliver(generator, below(generator, options->replicas),
                          below(generator, options->replicas));
        }
    }
    generate_end(generator);
    for (uint32_t i = 0; i < options->replicas; i++) {
        free(generator->by_origin[i]);
    }
    free(generator->commits);
    free(generator);
}
