/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whom a node of a large mesh keeps sessions with: a few neighbours (the active view), and some
 * others it may turn to when one of them fails (the passive view). After HyParView (Leitão,
 * Pereira, Rodrigues, 2007): newcomers are led to neighbours by walks, passive views are mixed by
 * shuffles, who lost a neighbour asks others, and who has none cannot be refused. Where everybody
 * who is known fits into the active view, everybody is a neighbour: a small mesh is all-to-all.
 *
 * It is a machine without sockets, clocks or memory of its own: an event goes in, effects come out.
 * How a device is reached is not its matter. Who sends to a device without a session opens one; if
 * it cannot be had, or ends, that is MSY_NEAR_LOST. Messages of one session come in order.
 */
#ifndef MSY_MESH_NEAR_H
#define MSY_MESH_NEAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/entropy.h"
#include "mesh/bounds.h"

#define MSY_NEAR_DEVICE_BYTES 32

struct msy_near_device {
    uint8_t key[MSY_NEAR_DEVICE_BYTES];
};

enum msy_near_message_type {
    MSY_NEAR_JOIN = 1,    /* Take me in, and lead me to others. */
    MSY_NEAR_WALK = 2,    /* origin seeks neighbours, or by word must have; hops are left. */
    MSY_NEAR_WORD = 3,    /* Between two about being neighbours: word. */
    MSY_NEAR_SHUFFLE = 4, /* origin shows devices; hops are left until somebody answers. */
    MSY_NEAR_SHOW = 5     /* The answer to a shuffle: devices. */
};

enum msy_near_word {
    MSY_NEAR_NONE = 0,
    MSY_NEAR_PLEASE = 1, /* Be my neighbour, if you have room. */
    MSY_NEAR_MUST = 2,   /* Be my neighbour: I have none. */
    MSY_NEAR_YES = 3,    /* We are neighbours. */
    MSY_NEAR_NO = 4,     /* We are not. */
    MSY_NEAR_LEAVE = 5   /* We are no longer. */
};

/* What is not used by the type is zero. */
struct msy_near_message {
    enum msy_near_message_type type;
    enum msy_near_word word;
    uint32_t hops;
    uint32_t devices_count;
    struct msy_near_device origin;
    struct msy_near_device devices[MSY_NEAR_SHOWN_MAX];
};

enum msy_near_event_type {
    MSY_NEAR_TICK = 1,    /* Nothing but that it is now_ms. */
    MSY_NEAR_CONTACT = 2, /* device was named by who runs the node: by it the mesh is joined. */
    MSY_NEAR_LOST = 3,    /* The session with device ended, or could not be had. */
    MSY_NEAR_HEARD = 4,   /* device sent message. */
    MSY_NEAR_STOP = 5     /* The node stops: neighbours are told. */
};

struct msy_near_event {
    enum msy_near_event_type type;
    uint64_t now_ms;
    struct msy_near_device device;
    const struct msy_near_message *message; /* Borrowed for the call. */
};

enum msy_near_effect_type {
    MSY_NEAR_SEND = 1, /* message to device. */
    MSY_NEAR_UP = 2,   /* device is a neighbour now. */
    MSY_NEAR_DOWN = 3  /* It is none any more: its session may end when all is sent. */
};

struct msy_near_effect {
    enum msy_near_effect_type type;
    struct msy_near_device device;
    struct msy_near_message message;
};

/* The caller's; count is set to 0 by each step. */
struct msy_near_effects {
    uint32_t count;
    struct msy_near_effect list[MSY_NEAR_EFFECTS_MAX + 1]; /* The last is never counted. */
};

struct msy_near_peer {
    struct msy_near_device device;
    bool asked;     /* Its answer is awaited until at_ms. */
    uint32_t fails; /* Questions in a row that it did not answer. */
    uint64_t at_ms; /* Passive and not asked: not to be asked before. */
};

struct msy_near {
    struct msy_near_device self;
    struct msy_prng prng;
    uint32_t active_count, passive_count, contacts_count;
    struct msy_near_peer active[MSY_NEAR_ACTIVE_MAX];
    struct msy_near_peer passive[MSY_NEAR_PASSIVE_MAX];
    struct msy_near_device contacts[MSY_NEAR_CONTACTS_MAX];
    bool stopped;
    uint32_t shown_count; /* What the last shuffle showed: it goes first when room is needed. */
    struct msy_near_device shown[MSY_NEAR_SHOWN_MAX];
    uint64_t now_ms;
    uint64_t shuffle_at_ms, shuffle_ms; /* The next one, and how long after the last. */
    uint32_t shuffles_count;
    uint64_t join_at_ms, join_ms; /* When a contact may be asked again. */
    uint64_t evicted_at_ms;       /* When somebody had to make room for a newcomer. */
    uint64_t joins_until_ms;      /* The second in which joins_count were led on. */
    uint32_t joins_count;
    uint64_t refused_count; /* Newcomers beyond the bound. */
};

/* seed is the machine's own chance. */
void msy_near_init(struct msy_near *view, const struct msy_near_device *self, uint64_t seed,
                   uint64_t now_ms);
/* *timer_at_ms: when a tick is due at the latest. */
void msy_near_step(struct msy_near *view, const struct msy_near_event *event,
                   struct msy_near_effects *effects, uint64_t *timer_at_ms);
bool msy_near_is_active(const struct msy_near *view, const struct msy_near_device *device);

#endif
