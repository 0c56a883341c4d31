/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mesh machine: step(event) -> effects, on one thread. It owns links, handshakes, sessions,
 * catch-up, live push, the knowledge of what peers hold, addresses and back-off. It reads the store
 * and never writes it: received changes go to the replica machine as effects, and what became
 * durable comes back as events. No socket, no clock, no thread: the shell or the simulator does
 * what the effects say.
 */
#ifndef MSY_MESH_MESH_H
#define MSY_MESH_MESH_H

#include <meshsync/options.h>
#include <meshsync/sync.h>

#include "base/entropy.h"
#include "base/log.h"
#include "clock/dot.h"
#include "mesh/wall.h"
#include "secure/identity.h"
#include "secure/verified.h"
#include "store/history.h"

struct msy_mesh; /* Opaque. */

/* What an alarm about our own clock begins with. */
#define MSY_WALL_WORDS "this machine's clock"

/* What the mesh machine asks about authority; implemented over replica/members.h. */
struct msy_mesh_ports {
    meshsync_status (*is_member)(void *user, struct msy_store_txn *txn, uint32_t space,
                                 const uint8_t device[32], bool *has);
    meshsync_status (*may_join)(void *user, struct msy_store_txn *txn, uint32_t space,
                                const struct msy_join_claim *claim, bool *may);
    /* The space's digest, for comparing at equal vectors. */
    meshsync_status (*digest)(void *user, struct msy_store_txn *txn, uint32_t space,
                              uint8_t digest[32]);
    void *user;
};

/* What a node of another version would say, for simulations of mixed meshes: a peer must not be
 * disturbed by it. Zeros: what this version says. */
struct msy_mesh_offer {
    uint64_t version_min, version_max;
    uint64_t features;        /* Bits beside ours. */
    uint64_t lacks;           /* Bits of ours that it does not know. */
    uint32_t sketch_tips_min; /* Vectors are compared by sketches from so many tips on. */
    bool unknown;             /* Also sends kinds and elements that this version skips. */
};

struct msy_mesh_options {
    struct msy_alloc *alloc;
    struct msy_store *store;
    const struct msy_identity *identity;
    struct msy_entropy entropy;
    const struct msy_log *log; /* May be NULL. */
    struct msy_mesh_ports ports;
    uint64_t keepalive_ms;
    uint64_t retry_ms_max;
    uint64_t clock_ahead_ms_max; /* 0: peers' clocks are not looked at. */
    uint64_t rate_bytes_per_s;   /* Of changes sent, to all peers; 0: no bound. */
    uint64_t peer_bytes_per_s;   /* In one session. */
    uint64_t burst_bytes;        /* Of both; 0: what one second allows. */
    uint64_t compression;        /* enum meshsync_compression, or a level. */
    struct msy_mesh_offer offer;
    struct msy_verified *verified; /* May be NULL; lent. */
};

enum msy_mesh_event_type {
    MSY_MESH_TICK = 1,         /* now_ms reached what the last step returned as its timer. */
    MSY_MESH_LINK_UP = 2,      /* link is connected; accepted: by a listener, else by a DIAL. */
    MSY_MESH_LINK_DOWN = 3,    /* link is gone, or could not be made: status, text. */
    MSY_MESH_LINK_BYTES = 4,   /* bytes arrived on link. */
    MSY_MESH_LINK_DRAINED = 5, /* out_bytes of link's output are still unsent. */
    MSY_MESH_COMMITTED = 6,    /* Records lsn_first to lsn_last are durable. */
    MSY_MESH_RECEIVED = 7,     /* The replica dealt with the SUBMIT of this id. */
    MSY_MESH_SPACES = 8,       /* Membership in space changed; 0: the list of spaces. */
    MSY_MESH_MISSING = 9,      /* A cause is not here: ask for tip in space. */
    MSY_MESH_PEER_ADD = 10,    /* Dial text, for ever. */
    MSY_MESH_PEER_REMOVE = 11, /* Stop; status of the step: E_NOT_FOUND when it is not dialled. */
    MSY_MESH_LISTENING = 12,   /* We are reachable at text; told to peers. */
    MSY_MESH_STOP = 13,        /* Say goodbye on all sessions and close them. */
    MSY_MESH_FOUND = 14,       /* Somebody may listen at text: dialled while there are few peers. */
    MSY_MESH_LAN = 15,         /* Beacons can be sent and received from now on. */
    MSY_MESH_BEACON_FROM = 16, /* Answer to BEACON_DUE: make one to be sent from host text. */
    MSY_MESH_BEACON_IN = 17    /* The datagram bytes came from host text. */
};

struct msy_mesh_event {
    enum msy_mesh_event_type type;
    uint64_t now_ms;  /* Monotonic ms for timers. In every event. */
    uint64_t unix_ms; /* Wall clock, for expiry and what is shown. In every event. */
    uint32_t link;    /* Chosen by the shell, never reused in a run. */
    int32_t accepted;
    meshsync_bytes bytes; /* Lent for the step. */
    const char *text;     /* Address or words, lent; LINK_UP: the remote address. */
    meshsync_status status;
    uint64_t out_bytes;
    uint64_t id;                                              /* RECEIVED. */
    uint32_t space;                                           /* MISSING. */
    struct msy_tip tip;                                       /* MISSING. */
    uint64_t lsn_first, lsn_last;                             /* COMMITTED. */
    uint32_t accepted_count, duplicate_count, rejected_count; /* RECEIVED. */
};

enum msy_mesh_effect_type {
    MSY_MESH_DIAL = 1,   /* Connect link (number given by the machine, odd) to text. */
    MSY_MESH_SEND = 2,   /* Write bytes on link, in order. */
    MSY_MESH_CLOSE = 3,  /* Close link after what was sent; its LINK_DOWN will be ignored. May come
                            for a link that is no longer there: then it means nothing. */
    MSY_MESH_SUBMIT = 4, /* To the replica machine: CHANGES of space with id. */
    MSY_MESH_PEER = 5,   /* Notice: a peer came (status OK) or went (its reason). device. */
    MSY_MESH_SYNCED = 6, /* Notice: nothing left to fetch from device in space. */
    MSY_MESH_ALARM = 7,  /* Notice: words in text. */
    MSY_MESH_HELD = 8,   /* Notice: some peer's durable vector grew: look at waits again. */
    MSY_MESH_BEACON_DUE = 9, /* Say BEACON_FROM for each host of ours, after this step. */
    MSY_MESH_BEACON = 10     /* Send bytes as one datagram to the local network. */
};

/* bytes and text belong to the effects list until it is reset. */
struct msy_mesh_effect {
    enum msy_mesh_effect_type type;
    uint32_t link;
    uint32_t space;
    uint64_t id;
    meshsync_bytes bytes;
    const char *text;
    meshsync_status status;
    uint8_t device[32];
};

struct msy_mesh_block; /* Opaque. */
struct msy_mesh_effects {
    struct msy_mesh_effect *items;
    uint32_t count;
    uint32_t cap;
    struct msy_alloc *alloc;
    struct msy_mesh_block *blocks; /* Owned: memory of bytes and texts. */
};

struct msy_mesh_stats {
    uint64_t bytes_in, bytes_out, changes_out, sessions, handshakes_failed, alarms;
    uint64_t changes_in;       /* Changes of peers that the replica took. */
    uint64_t clock_bytes_out;  /* Of whole vectors and of what spares them, without records. */
    uint64_t packed_bytes_in;  /* Messages that were packed, before */
    uint64_t packed_bytes_out; /* and after. */
    uint64_t rate_waits;       /* Times that serving had to wait for its rate. */
    uint64_t clocks_equal;     /* Peers whose digest said all, */
    uint64_t clocks_asked;     /* and whose vector had to be asked for; */
    uint64_t clocks_sought;    /* peers of whom a sketch was asked, */
    uint64_t clocks_swapped;   /* and whose vector was known by what differs. */
};

meshsync_status msy_mesh_open(const struct msy_mesh_options *options, uint64_t now_ms,
                              struct msy_mesh **mesh, meshsync_error *error);
void msy_mesh_close(struct msy_mesh *mesh);
void msy_mesh_effects_init(struct msy_mesh_effects *effects, struct msy_alloc *alloc);
/* Takes back what the effects own and empties the list; some memory is kept for the next steps. */
void msy_mesh_effects_reset(struct msy_mesh_effects *effects);
void msy_mesh_effects_fini(struct msy_mesh_effects *effects);
/*
 * Appends to effects. *timer_at_ms: when to come with a TICK at the latest (monotonic ms). Links
 * made by listeners get even numbers from the shell. A status other than OK speaks of this event
 * only; the machine goes on.
 */
meshsync_status msy_mesh_step(struct msy_mesh *mesh, const struct msy_mesh_event *event,
                              struct msy_mesh_effects *effects, uint64_t *timer_at_ms);

/* How many peers are known to hold (actor, seq) of a space durably. */
meshsync_status msy_mesh_holders(struct msy_mesh *mesh, uint32_t space,
                                 const struct msy_actor *actor, uint64_t seq, uint32_t *count);
/* Peers for display, by index; E_END past the last. */
meshsync_status msy_mesh_peer_at(struct msy_mesh *mesh, uint32_t index, meshsync_peer_info *info);
/* What time the peers have; good until the next step. */
void msy_mesh_get_wall(const struct msy_mesh *mesh, struct msy_wall *wall);
void msy_mesh_get_stats(const struct msy_mesh *mesh, struct msy_mesh_stats *stats);
/* True when every session is in sync as far as known and nothing is in flight (simulator). */
bool msy_mesh_quiet(const struct msy_mesh *mesh);
/* Seals, credits and limits are in base/limits.h; the protocol is docs/protocol.md. */

#endif
