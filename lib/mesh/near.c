/* SPDX-License-Identifier: Apache-2.0 */
/* Neighbours: who is one, who is asked next, who is told of whom. */
#include "mesh/near.h"

#include <string.h>

#include "base/error.h"

/*
 *              asked, and it said yes; or it asked, and there is room
 *   PASSIVE ------------------------------------------------------------> ACTIVE
 *    |   ^                                                                 |  |
 *    |   +-----------------------------------------------------------------+  |
 *    |                  LEAVE, of either side                                 |
 *    v                                                                        v
 *   unknown <------------- the session ended, or cannot be had ---------------+
 *
 * The state of a device is the list that it stands in.
 */

#define NOWHERE UINT32_MAX

/* One step's inputs and outputs. */
struct near_step {
    struct msy_near *view;
    struct msy_near_effects *effects;
};

static bool near_same(const struct msy_near_device *a, const struct msy_near_device *b)
{
    return memcmp(a->key, b->key, sizeof a->key) == 0;
}

static uint32_t near_find(const struct msy_near_peer *peers, uint32_t count,
                          const struct msy_near_device *device)
{
    for (uint32_t i = 0; i < count; i++) {
        if (near_same(&peers[i].device, device)) {
            return i;
        }
    }
    return NOWHERE;
}

bool msy_near_is_active(const struct msy_near *view, const struct msy_near_device *device)
{
    return near_find(view->active, view->active_count, device) != NOWHERE;
}

static uint32_t near_draw(struct msy_near *view, uint32_t below)
{
    return (uint32_t)msy_prng_below(&view->prng, below);
}

/* Time from half of ms to one and a half: nodes that began together do not stay in step. */
static uint64_t near_later(struct msy_near *view, uint64_t ms)
{
    return view->now_ms + ms / 2 + msy_prng_below(&view->prng, ms + 1);
}

/* --- effects --------------------------------------------------------------------------------- */

static struct msy_near_effect *near_effect(struct near_step *step, enum msy_near_effect_type type,
                                           const struct msy_near_device *device)
{
    struct msy_near_effects *effects = step->effects;
    MSY_ASSERT(effects->count < MSY_NEAR_EFFECTS_MAX);
    struct msy_near_effect *effect = &effects->list[effects->count];
    effects->count += effects->count < MSY_NEAR_EFFECTS_MAX ? 1 : 0;
    memset(effect, 0, sizeof *effect);
    effect->type = type;
    effect->device = *device;
    return effect;
}

static struct msy_near_message *near_send(struct near_step *step,
                                          const struct msy_near_device *device,
                                          enum msy_near_message_type type)
{
    struct msy_near_effect *effect = near_effect(step, MSY_NEAR_SEND, device);
    effect->message.type = type;
    return &effect->message;
}

static void near_say(struct near_step *step, const struct msy_near_device *device,
                     enum msy_near_word word)
{
    near_send(step, device, MSY_NEAR_WORD)->word = word;
}

/* --- the two lists ---------------------------------------------------------------------------- */

static void near_forget(struct msy_near *view, uint32_t at)
{
    view->passive[at] = view->passive[--view->passive_count];
}

/* Who goes when there is no room: what the last shuffle gave away, else anybody. */
static uint32_t near_victim(struct msy_near *view)
{
    for (uint32_t i = 0; i < view->shown_count; i++) {
        uint32_t at = near_find(view->passive, view->passive_count, &view->shown[i]);
        if (at != NOWHERE && !view->passive[at].asked) {
            view->shown[i] = view->shown[--view->shown_count];
            return at;
        }
    }
    uint32_t first = near_draw(view, view->passive_count);
    for (uint32_t i = 0; i < view->passive_count; i++) {
        uint32_t at = (first + i) % view->passive_count;
        if (!view->passive[at].asked) {
            return at;
        }
    }
    return first; /* All are asked, for walks ended here: an answer is then as from anybody. */
}

/* NULL: it is ourselves, or a neighbour. */
static struct msy_near_peer *near_remember(struct msy_near *view,
                                           const struct msy_near_device *device)
{
    if (near_same(device, &view->self) || msy_near_is_active(view, device)) {
        return NULL;
    }
    uint32_t at = near_find(view->passive, view->passive_count, device);
    if (at != NOWHERE) {
        return &view->passive[at];
    }
    if (view->passive_count == MSY_NEAR_PASSIVE_MAX) {
        near_forget(view, near_victim(view));
    }
    struct msy_near_peer *peer = &view->passive[view->passive_count++];
    memset(peer, 0, sizeof *peer);
    peer->device = *device;
    return peer;
}

/* Not to be asked for a while. */
static void near_rest(struct msy_near *view, const struct msy_near_device *device)
{
    struct msy_near_peer *peer = near_remember(view, device);
    if (peer != NULL) {
        peer->asked = false;
        peer->at_ms = near_later(view, MSY_NEAR_REFUSED_MS);
    }
}

static void near_drop(struct near_step *step, uint32_t at)
{
    struct msy_near *view = step->view;
    (void)near_effect(step, MSY_NEAR_DOWN, &view->active[at].device);
    view->active[at] = view->active[--view->active_count];
}

static bool near_has_room(const struct msy_near *view)
{
    return view->active_count < MSY_NEAR_ACTIVE_MAX ||
           view->now_ms >= view->evicted_at_ms + MSY_NEAR_EVICT_MS;
}

/* Makes it a neighbour; for there is room, or is made. */
static void near_take(struct near_step *step, const struct msy_near_device *device)
{
    struct msy_near *view = step->view;
    if (view->active_count == MSY_NEAR_ACTIVE_MAX) {
        uint32_t at = near_draw(view, view->active_count);
        struct msy_near_device gone = view->active[at].device;
        view->evicted_at_ms = view->now_ms;
        near_say(step, &gone, MSY_NEAR_LEAVE);
        near_drop(step, at);
        near_rest(view, &gone);
    }
    uint32_t at = near_find(view->passive, view->passive_count, device);
    if (at != NOWHERE) {
        near_forget(view, at);
    }
    struct msy_near_peer *peer = &view->active[view->active_count++];
    memset(peer, 0, sizeof *peer);
    peer->device = *device;
    view->join_ms = MSY_NEAR_JOIN_MS_MIN;
    (void)near_effect(step, MSY_NEAR_UP, device);
}

/* A neighbour drawn from those that are neither of the two; NULL: there is none. */
static const struct msy_near_device *
near_other(struct msy_near *view, const struct msy_near_device *a, const struct msy_near_device *b)
{
    if (view->active_count == 0) {
        return NULL;
    }
    uint32_t first = near_draw(view, view->active_count);
    for (uint32_t i = 0; i < view->active_count; i++) {
        const struct msy_near_device *device =
            &view->active[(first + i) % view->active_count].device;
        if (!near_same(device, a) && !near_same(device, b)) {
            return device;
        }
    }
    return NULL;
}

/* --- questions -------------------------------------------------------------------------------- */

static void near_ask(struct near_step *step, struct msy_near_peer *peer, enum msy_near_word word)
{
    peer->asked = true;
    peer->at_ms = step->view->now_ms + MSY_NEAR_ANSWER_MS;
    near_say(step, &peer->device, word);
}

/* A question without an answer. Who reaches nobody does not conclude that all are gone. */
static void near_unanswered(struct msy_near *view, uint32_t at, bool lost)
{
    struct msy_near_peer *peer = &view->passive[at];
    peer->fails++;
    if (view->active_count > 0 && (lost || peer->fails >= MSY_NEAR_FAILS_MAX)) {
        near_forget(view, at);
        return;
    }
    peer->asked = false;
    peer->at_ms = near_later(view, MSY_NEAR_REFUSED_MS);
}

/* Where all who are known have room, all are wanted. */
static uint32_t near_wanted(const struct msy_near *view)
{
    uint32_t known = view->active_count + view->passive_count;
    return known <= MSY_NEAR_ACTIVE_MAX ? known : MSY_NEAR_ACTIVE_MIN;
}

static struct msy_near_peer *near_candidate(struct msy_near *view)
{
    uint32_t first = view->passive_count > 0 ? near_draw(view, view->passive_count) : 0;
    for (uint32_t i = 0; i < view->passive_count; i++) {
        struct msy_near_peer *peer = &view->passive[(first + i) % view->passive_count];
        if (!peer->asked && peer->at_ms <= view->now_ms) {
            return peer;
        }
    }
    return NULL;
}

static void near_fill(struct near_step *step)
{
    struct msy_near *view = step->view;
    uint32_t asked_count = 0;
    for (uint32_t i = view->passive_count; i-- > 0;) {
        if (view->passive[i].asked && view->passive[i].at_ms <= view->now_ms) {
            near_unanswered(view, i, false);
        }
    }
    for (uint32_t i = 0; i < view->passive_count; i++) {
        asked_count += view->passive[i].asked ? 1 : 0;
    }
    while (view->active_count + asked_count < near_wanted(view) &&
           asked_count < MSY_NEAR_ASKS_MAX) {
        struct msy_near_peer *peer = near_candidate(view);
        if (peer == NULL) {
            return;
        }
        near_ask(step, peer, view->active_count == 0 ? MSY_NEAR_MUST : MSY_NEAR_PLEASE);
        asked_count++;
    }
}

static void near_join(struct near_step *step)
{
    struct msy_near *view = step->view;
    if (view->active_count > 0 || view->contacts_count == 0 || view->join_at_ms > view->now_ms) {
        return;
    }
    (void)near_send(step, &view->contacts[near_draw(view, view->contacts_count)], MSY_NEAR_JOIN);
    view->join_at_ms = near_later(view, view->join_ms);
    view->join_ms =
        view->join_ms * 2 < MSY_NEAR_JOIN_MS_MAX ? view->join_ms * 2 : MSY_NEAR_JOIN_MS_MAX;
}

/* --- shuffles --------------------------------------------------------------------------------- */

/* Adds up to count drawn devices of a list that are not `not`. */
static void near_show(struct msy_near *view, const struct msy_near_peer *peers,
                      uint32_t peers_count, uint32_t count, const struct msy_near_device * not,
                      struct msy_near_message *message)
{
    uint32_t first = peers_count > 0 ? near_draw(view, peers_count) : 0;
    for (uint32_t i = 0; i < peers_count && count > 0; i++) {
        const struct msy_near_peer *peer = &peers[(first + i) % peers_count];
        if (message->devices_count < MSY_NEAR_SHOWN_MAX && !near_same(&peer->device, not )) {
            message->devices[message->devices_count++] = peer->device;
            count--;
        }
    }
}

static void near_merge(struct msy_near *view, const struct msy_near_message *message)
{
    for (uint32_t i = 0; i < message->devices_count && i < MSY_NEAR_SHOWN_MAX; i++) {
        (void)near_remember(view, &message->devices[i]);
    }
}

static void near_shuffle(struct near_step *step)
{
    struct msy_near *view = step->view;
    const struct msy_near_device *to = near_other(view, &view->self, &view->self);
    if (view->shuffle_at_ms > view->now_ms) {
        return;
    }
    view->shuffle_at_ms = near_later(view, view->shuffle_ms);
    view->shuffle_ms = view->shuffle_ms * 2 < MSY_NEAR_SHUFFLE_MS_MAX ? view->shuffle_ms * 2
                                                                      : MSY_NEAR_SHUFFLE_MS_MAX;
    if (to == NULL) {
        return;
    }
    if (++view->shuffles_count % MSY_NEAR_SHUFFLES_CONTACT == 2 && view->contacts_count > 0) {
        /* Two halves that forgot each other have no neighbours to miss: only walks that begin at
         * a contact lead from one to the other. */
        to = &view->contacts[near_draw(view, view->contacts_count)];
        struct msy_near_message *walk = near_send(step, to, MSY_NEAR_WALK);
        walk->origin = view->self;
        walk->word = MSY_NEAR_PLEASE;
        walk->hops = MSY_NEAR_HOPS_MAX;
        return;
    }
    struct msy_near_message *message = near_send(step, to, MSY_NEAR_SHUFFLE);
    message->origin = view->self;
    message->hops = MSY_NEAR_HOPS_MAX;
    near_show(view, view->active, view->active_count, MSY_NEAR_SHOWN_ACTIVE_MAX, to, message);
    near_show(view, view->passive, view->passive_count, MSY_NEAR_SHOWN_MAX, to, message);
    view->shown_count = message->devices_count;
    memcpy(view->shown, message->devices, sizeof view->shown);
}

static void near_on_shuffle(struct near_step *step, const struct msy_near_device *from,
                            const struct msy_near_message *message)
{
    struct msy_near *view = step->view;
    const struct msy_near_device *next = near_other(view, from, &message->origin);
    if (!msy_near_is_active(view, from)) {
        near_say(step, from, MSY_NEAR_LEAVE); /* If it takes us for a neighbour, it errs. */
    }
    if (near_same(&message->origin, &view->self)) {
        return;
    }
    if (message->hops > 1 && next != NULL) {
        struct msy_near_message *on = near_send(step, next, MSY_NEAR_SHUFFLE);
        *on = *message;
        on->devices_count = message->devices_count < MSY_NEAR_SHOWN_MAX ? message->devices_count
                                                                        : MSY_NEAR_SHOWN_MAX;
        on->hops = message->hops < MSY_NEAR_HOPS_MAX ? message->hops - 1 : MSY_NEAR_HOPS_MAX - 1;
        return;
    }
    struct msy_near_message *answer = near_send(step, &message->origin, MSY_NEAR_SHOW);
    near_show(view, view->passive, view->passive_count, MSY_NEAR_SHOWN_MAX, &message->origin,
              answer);
    near_show(view, view->active, view->active_count, MSY_NEAR_SHOWN_MAX, &message->origin, answer);
    view->shown_count = answer->devices_count;
    memcpy(view->shown, answer->devices, sizeof view->shown);
    near_merge(view, message);
    (void)near_remember(view, &message->origin);
}

/* --- newcomers -------------------------------------------------------------------------------- */

/* Newcomers are led on up to a bound: each makes several others work. */
static bool near_leads(struct msy_near *view)
{
    if (view->now_ms >= view->joins_until_ms) {
        view->joins_until_ms = view->now_ms + 1000;
        view->joins_count = 0;
    }
    if (view->joins_count >= MSY_NEAR_JOINS_PER_S_MAX) {
        view->refused_count++;
        return false;
    }
    view->joins_count++;
    return true;
}

static void near_on_join(struct near_step *step, const struct msy_near_device *from)
{
    struct msy_near *view = step->view;
    if (!near_leads(view)) {
        near_say(step, from, MSY_NEAR_NO);
        return;
    }
    uint32_t first = near_draw(view, MSY_NEAR_ACTIVE_MAX);
    for (uint32_t i = 0, sent = 0; i < view->active_count && sent < MSY_NEAR_WALKS_MAX; i++) {
        const struct msy_near_device *to = &view->active[(first + i) % view->active_count].device;
        if (!near_same(to, from)) {
            struct msy_near_message *walk = near_send(step, to, MSY_NEAR_WALK);
            walk->origin = *from;
            walk->word = MSY_NEAR_MUST;
            walk->hops = MSY_NEAR_HOPS_MAX;
            sent++;
        }
    }
    bool taken = msy_near_is_active(view, from);
    if (taken || near_has_room(view)) {
        near_say(step, from, MSY_NEAR_YES);
        if (!taken) {
            near_take(step, from);
        }
        return;
    }
    near_say(step, from, MSY_NEAR_NO);
    (void)near_remember(view, from);
}

/* May a walk that ends here bring a neighbour? Who has some already seldom displaces others: trees
 * of pushes would break for it all the time; but two full halves must still find together. */
static bool near_may_take(struct msy_near *view, enum msy_near_word word)
{
    if (view->active_count < MSY_NEAR_ACTIVE_MAX) {
        return true;
    }
    return near_has_room(view) &&
           (word == MSY_NEAR_MUST || near_draw(view, MSY_NEAR_DISPLACE_ONE_OF) == 0);
}

static void near_on_walk(struct near_step *step, const struct msy_near_device *from,
                         const struct msy_near_message *message)
{
    struct msy_near *view = step->view;
    const struct msy_near_device *origin = &message->origin;
    const struct msy_near_device *next = near_other(view, from, origin);
    if (near_same(origin, &view->self) || (!msy_near_is_active(view, from) && !near_leads(view))) {
        return;
    }
    bool ends = message->hops <= 1 || next == NULL;
    if (ends && !msy_near_is_active(view, origin) && near_may_take(view, message->word)) {
        struct msy_near_peer *peer = near_remember(view, origin);
        if (peer != NULL && !peer->asked) {
            near_ask(step, peer, MSY_NEAR_PLEASE);
        }
        return;
    }
    if (message->hops == MSY_NEAR_HOPS_PASSIVE || ends) {
        (void)near_remember(view, origin);
    }
    if (!ends) {
        struct msy_near_message *on = near_send(step, next, MSY_NEAR_WALK);
        on->origin = *origin;
        on->word = message->word;
        on->hops = message->hops < MSY_NEAR_HOPS_MAX ? message->hops - 1 : MSY_NEAR_HOPS_MAX - 1;
    }
}

/* --- words between two ------------------------------------------------------------------------ */

static void near_on_asked(struct near_step *step, const struct msy_near_device *from, bool must)
{
    struct msy_near *view = step->view;
    bool taken = msy_near_is_active(view, from);
    bool room = must ? near_has_room(view) : view->active_count < MSY_NEAR_ACTIVE_MAX;
    if (!taken && !room) {
        near_say(step, from, MSY_NEAR_NO);
        (void)near_remember(view, from);
        return;
    }
    near_say(step, from, MSY_NEAR_YES); /* Before anything that a neighbour is sent. */
    if (!taken) {
        near_take(step, from);
    }
}

static void near_on_yes(struct near_step *step, const struct msy_near_device *from)
{
    struct msy_near *view = step->view;
    uint32_t at = near_find(view->passive, view->passive_count, from);
    bool asked = at != NOWHERE && view->passive[at].asked;
    if (msy_near_is_active(view, from)) {
        return;
    }
    if (view->active_count < MSY_NEAR_ACTIVE_MAX || (asked && near_has_room(view))) {
        near_take(step, from);
        return;
    }
    near_say(step, from, MSY_NEAR_LEAVE);
    near_rest(view, from);
}

static void near_on_word(struct near_step *step, const struct msy_near_device *from,
                         enum msy_near_word word)
{
    struct msy_near *view = step->view;
    uint32_t at = near_find(view->active, view->active_count, from);
    switch (word) {
    case MSY_NEAR_PLEASE:
    case MSY_NEAR_MUST: near_on_asked(step, from, word == MSY_NEAR_MUST); return;
    case MSY_NEAR_YES: near_on_yes(step, from); return;
    case MSY_NEAR_LEAVE:
        if (at != NOWHERE) {
            near_drop(step, at);
        }
        near_rest(view, from);
        return;
    case MSY_NEAR_NO:
        near_rest(view, from); /* Nothing, when it became a neighbour meanwhile. */
        return;
    case MSY_NEAR_NONE: return;
    }
}

/* --- events ----------------------------------------------------------------------------------- */

static void near_heard(struct near_step *step, const struct msy_near_device *from,
                       const struct msy_near_message *message)
{
    if (near_same(from, &step->view->self)) {
        return; /* A clone of ours: no neighbour. */
    }
    switch (message->type) {
    case MSY_NEAR_JOIN: near_on_join(step, from); return;
    case MSY_NEAR_WALK: near_on_walk(step, from, message); return;
    case MSY_NEAR_WORD: near_on_word(step, from, message->word); return;
    case MSY_NEAR_SHUFFLE: near_on_shuffle(step, from, message); return;
    case MSY_NEAR_SHOW: near_merge(step->view, message); return;
    }
}

static void near_lost(struct near_step *step, const struct msy_near_device *device)
{
    struct msy_near *view = step->view;
    uint32_t at = near_find(view->active, view->active_count, device);
    if (at != NOWHERE) {
        near_drop(step, at);
        return;
    }
    at = near_find(view->passive, view->passive_count, device);
    if (at != NOWHERE) {
        near_unanswered(view, at, true);
    }
}

static void near_contact(struct msy_near *view, const struct msy_near_device *device)
{
    if (near_same(device, &view->self)) {
        return;
    }
    for (uint32_t i = 0; i < view->contacts_count; i++) {
        if (near_same(&view->contacts[i], device)) {
            return;
        }
    }
    uint32_t at = view->contacts_count < MSY_NEAR_CONTACTS_MAX
                      ? view->contacts_count++
                      : near_draw(view, MSY_NEAR_CONTACTS_MAX);
    view->contacts[at] = *device;
}

static void near_stop(struct near_step *step)
{
    step->view->stopped = true;
    while (step->view->active_count > 0) {
        near_say(step, &step->view->active[0].device, MSY_NEAR_LEAVE);
        near_drop(step, 0);
    }
}

void msy_near_init(struct msy_near *view, const struct msy_near_device *self, uint64_t seed,
                   uint64_t now_ms)
{
    memset(view, 0, sizeof *view);
    view->self = *self;
    msy_prng_init(&view->prng, seed);
    view->now_ms = now_ms;
    view->join_ms = MSY_NEAR_JOIN_MS_MIN;
    view->shuffle_ms = MSY_NEAR_SHUFFLE_MS_MIN;
    view->shuffle_at_ms = near_later(view, view->shuffle_ms);
}

static uint64_t near_timer(const struct msy_near *view)
{
    uint64_t at_ms = view->shuffle_at_ms;
    bool hungry = view->active_count < near_wanted(view);
    for (uint32_t i = 0; i < view->passive_count; i++) {
        const struct msy_near_peer *peer = &view->passive[i];
        if (peer->at_ms > view->now_ms && (peer->asked || hungry) && peer->at_ms < at_ms) {
            at_ms = peer->at_ms;
        }
    }
    if (view->active_count == 0 && view->contacts_count > 0 && view->join_at_ms < at_ms) {
        at_ms = view->join_at_ms;
    }
    return at_ms;
}

void msy_near_step(struct msy_near *view, const struct msy_near_event *event,
                   struct msy_near_effects *effects, uint64_t *timer_at_ms)
{
    struct near_step step = {view, effects};
    effects->count = 0;
    view->now_ms = event->now_ms > view->now_ms ? event->now_ms : view->now_ms;
    if (view->stopped) {
        *timer_at_ms = UINT64_MAX;
        return;
    }
    switch (event->type) {
    case MSY_NEAR_TICK: break;
    case MSY_NEAR_CONTACT: near_contact(view, &event->device); break;
    case MSY_NEAR_LOST: near_lost(&step, &event->device); break;
    case MSY_NEAR_HEARD: near_heard(&step, &event->device, event->message); break;
    case MSY_NEAR_STOP:
        near_stop(&step);
        *timer_at_ms = UINT64_MAX;
        return;
    }
    near_fill(&step);
    near_join(&step);
    near_shuffle(&step);
    *timer_at_ms = near_timer(view);
}
