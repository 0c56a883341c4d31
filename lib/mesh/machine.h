/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of the mesh machine. Each file of this folder owns the functions under its name here.
 *
 *   LINK_UP, LINK_BYTES        link.c: preamble, records       handshake.c: who is it
 *        -> messages           session.c: dispatch, beats, twins
 *        -> spaces             spaces.c: which, blinded ids     channel.c: one space with one peer
 *        -> clocks             clock.c: a digest before the vector  sketch.c: what differs
 *        -> tips               ack.c: who holds what            want.c: what to fetch, from whom
 *        -> changes            push.c: live, both directions    serve.c: what peers fetch
 *                              rate.c: how fast it may go      pack.c: compressed
 *        -> the rest           address.c, digest.c, show.c
 *
 * A function that takes a link may close it: its state is then MSY_LINK_GONE. Links are freed at
 * the end of the step only, so that pointers to them stay good.
 */
#ifndef MSY_MESH_MACHINE_H
#define MSY_MESH_MACHINE_H

#include "base/sm.h"
#include "mesh/bounds.h"
#include "mesh/mesh.h"
#include "mesh/rate.h"
#include "mesh/wall.h"
#include "secure/noise.h"
#include "store/history.h"
#include "wire/change.h"
#include "wire/message.h"
#include "wire/press.h"

struct msy_sketching; /* sketch.c */

#define MSY_NEVER UINT64_MAX

/* --- state ------------------------------------------------------------------------------------ */

/* Where a space stands with one peer; channel.c has the drawing. */
enum msy_channel_state {
    MSY_CHANNEL_REFUSED = 0, /* Both hold the space, and nobody lets the other in. */
    MSY_CHANNEL_LISTENS = 1, /* The peer lets us in: it tells, we fetch. */
    MSY_CHANNEL_TELLS = 2,   /* We let the peer in: we tell, it fetches. */
    MSY_CHANNEL_OPEN = 3,    /* Both ways. */
    MSY_CHANNEL_STATE_COUNT = 4
};
/* The ways that stand open, to ask for with msy_channel_is. */
enum msy_channel_way { MSY_WAY_ANY = 0, MSY_WAY_IN = 1, MSY_WAY_OUT = 2, MSY_WAY_BOTH = 3 };

/* A set of devices with the time of their entry, bounded. */
struct msy_lazy {
    uint8_t device[MSY_DEVICE_BYTES];
    uint64_t at_ms;
};
struct msy_lazy_set {
    struct msy_lazy *items; /* Owned, ascending by device. */
    uint32_t count;
    uint32_t cap;
};

struct msy_channel {
    enum msy_channel_state state;
    uint32_t space;
    uint32_t ours;   /* Number in our messages. */
    uint32_t theirs; /* Number in the peer's; valid when it has one. */
    bool has_ours;
    bool has_theirs;
    bool introduced;         /* We have shown how we joined. */
    bool heard_introduction; /* The peer has. */
    bool has_invite;         /* The peer showed an invitation. */
    uint8_t invite[32];
    uint8_t proof[64];
    /* What the peer holds. */
    bool told;    /* Its first whole vector has come, or was known by its digest. */
    bool asking;  /* Its digest was not ours: its vector is to come. */
    bool waiting; /* And it is the one to begin: it saw the same two digests. */
    bool waited;
    uint64_t waiting_ms;
    bool telling;                    /* A part of that vector has come. */
    bool synced;                     /* Nothing of it is left to fetch; was noticed. */
    bool vector_due;                 /* Our whole vector must be sent (again) when there is room. */
    bool clock_out;                  /* It was shown a digest, and may ask for the vector, */
    bool sought;                     /* and has asked for a sketch. */
    uint8_t clock[MSY_CLOCK_BYTES];  /* That digest. */
    struct msy_sketching *seeking;   /* Owned: comparing with its sketch, or NULL; */
    struct msy_sketching *sketching; /* ours, which it asked for. */
    struct msy_vector durable;       /* By its word. */
    struct msy_vector sent;          /* By us, in this session. */
    /* Fetching from it. */
    bool fetching;        /* A WANT is out and no END has come. */
    uint64_t asked;       /* Serial number of the last WANT; never goes back. */
    bool credited;        /* It was given its first credit. */
    int64_t fetch_credit; /* What it may still send. */
    uint64_t credit_due;  /* Dealt with, not given back. */
    uint32_t flying;      /* Its streamed batches at the replica. */
    uint32_t wants_count; /* Wants that were asked here. */
    uint64_t progress_ms;
    /* Serving it. */
    bool serving;
    uint64_t heard_want; /* Serial number of the last WANT received. */
    int64_t credit;
    struct msy_stream stream;
    struct msy_vector served;    /* Tips that the stream leads to. */
    struct msy_lazy_set lazy;    /* Devices whose changes it does not want pushed. */
    struct msy_lazy_set pruned;  /* Devices that we asked it not to push. */
    struct msy_press *press;     /* Owned: our stream, while there is one; pack.c. */
    uint64_t press_ms;           /* When it was last used. */
    struct msy_unpress *unpress; /* Owned: the peer's. */
    uint8_t digest_sent[32];     /* Vector hash of our last DIGEST. */
    uint64_t digest_ms;          /* When its last DIGEST was looked at. */
};

enum msy_mesh_link_state {
    MSY_LINK_DIALING = 0,
    MSY_LINK_GREETING = 1,
    MSY_LINK_LIVE = 2,
    MSY_LINK_GONE = 3,
    MSY_LINK_STATE_COUNT = 4
};

/* What a peer must show for one of our spaces in this session. */
struct msy_expected {
    uint8_t id[MSY_BLIND_BYTES];
    uint32_t space;
};

struct msy_mesh_link {
    enum msy_mesh_link_state state;
    uint32_t number;
    bool accepted;
    bool lost;    /* The other end is gone: nothing to close. */
    bool greeted; /* The peer's preamble has come. */
    bool hello;   /* Its HELLO has come. */
    bool bye;     /* Its BYE has come: it needs none. */
    bool opened;  /* It has shown that it knows one of our spaces. */
    uint64_t greet_by_ms;
    uint64_t live_ms;  /* Since when. */
    uint64_t heard_ms; /* Monotonic. */
    uint64_t heard_unix_ms;
    uint64_t sent_ms;
    uint64_t beat_at_ms;  /* When to look at silence. */
    uint64_t serve_at_ms; /* When to serve on. */
    uint64_t twin_at_ms;  /* When to judge a second session. */
    uint64_t tell_at_ms;  /* When to tell addresses. */
    char remote[MSY_ADDRESS_BYTES_MAX];
    struct msy_noise noise;
    struct msy_noise_cipher sending;
    struct msy_noise_cipher receiving;
    uint8_t hash[64]; /* Of the handshake. */
    uint8_t device[MSY_DEVICE_BYTES];
    uint8_t instance[MSY_INSTANCE_BYTES];
    uint64_t version;
    uint64_t offered;  /* Feature bits of our greeting. */
    uint64_t features; /* Of both. */
    uint32_t presses_count;
    uint32_t unpresses_count;
    struct msy_buf in;      /* Of the record that is arriving. */
    struct msy_buf message; /* Opened bytes that are not yet a whole message. */
    struct msy_buf plain;   /* Messages of this step. */
    struct msy_buf out;     /* Bytes of this step, as they go. */
    size_t changes_start;   /* In plain: the last CHANGES, extended while it is the end. */
    size_t changes_end;
    uint64_t out_bytes; /* Unsent, as far as known. */
    uint64_t bytes_in;
    uint64_t bytes_out;
    struct msy_rate rate;       /* Of changes to it. */
    uint64_t push_flying_bytes; /* Pushed to us, at the replica. */
    uint64_t message_bytes_max; /* Of the peer. */
    uint64_t ping_number;
    uint64_t ping_ms;
    bool ping_out;
    uint64_t rtt_us;
    struct msy_wall_vote wall;
    struct msy_channel **channels; /* Owned, ascending by space. */
    uint32_t channels_count;
    uint32_t channels_cap;
    struct msy_channel **slots; /* By the peer's number; entries may be NULL. */
    uint32_t slots_count;
    uint32_t slots_cap;
    uint32_t ours_next;
    uint32_t serve_next;           /* Index of the channel whose turn it is. */
    struct msy_expected *expected; /* Owned, ascending by id. */
    uint32_t expected_count;
    uint32_t expected_cap;
    uint8_t pad_key[32];   /* Hides how many spaces we offer. */
    uint8_t told_hash[16]; /* Of the last ADDRESSES. */
    meshsync_status end_status;
};

struct msy_want {
    struct msy_tip tip;
    uint64_t at_ms; /* When to ask; when asked: when to lose patience. */
    uint32_t link;  /* Asked there; 0: nowhere. */
    uint32_t avoid; /* It did not come from this link. */
    uint32_t tries;
    bool cause; /* Only a change that waits for it names it; no peer said it has it. */
    bool fresh; /* To be asked for in this step. */
};

struct msy_mesh_space {
    uint32_t number;
    bool joining;
    bool seen; /* While the list is read. */
    uint8_t id[MESHSYNC_SPACE_ID_BYTES];
    uint8_t discovery[32];
    uint8_t invite_seed[32];
    bool stale;               /* vector must be read again. */
    struct msy_vector vector; /* Durable here. */
    bool has_clock;
    uint8_t clock[32];        /* Hash of vector, while it has one. */
    struct msy_vector fresh;  /* Its tips since the last notes. */
    struct msy_vector flying; /* Received, at the replica. */
    uint32_t flying_count;
    struct msy_want *wants; /* Owned, ascending by actor. */
    uint32_t wants_count;
    uint32_t wants_cap;
    bool touched; /* Records of it are in the batch at hand. */
    uint64_t changed_ms;
    uint64_t compared_ms;
    uint64_t noted_ms;
    uint64_t wants_at_ms;
    uint64_t note_at_ms;
    uint64_t recheck_at_ms;
    uint64_t digest_at_ms;
};

struct msy_mesh_address {
    char text[MSY_ADDRESS_BYTES_MAX];
    bool seed;     /* Dialled for ever. */
    bool self;     /* Leads to us. */
    bool own_word; /* Told by its own device. */
    bool has_device;
    uint8_t device[MSY_DEVICE_BYTES];
    uint8_t instance[MSY_INSTANCE_BYTES]; /* Of the last session through it. */
    uint32_t link;                        /* 0: none. */
    uint32_t failures;
    uint64_t retry_at_ms;
    uint64_t heard_unix_ms;
    meshsync_status last_error;
    char last_words[64];
};

/* What a device was last known to hold in a space, for when it is not in session. */
struct msy_known_space {
    uint32_t space;
    struct msy_vector durable;
};
struct msy_known {
    uint8_t device[MSY_DEVICE_BYTES];
    uint64_t seen_ms;
    struct msy_known_space *spaces; /* Owned, in order of arrival. */
    uint32_t spaces_count;
    uint32_t spaces_cap;
};

/* A batch that the replica has not answered. */
struct msy_submit {
    uint64_t id;
    uint64_t bytes;
    uint32_t link;
    uint32_t space;
    bool stream;
    bool one_actor;
    struct msy_actor actor;
};

struct msy_mesh {
    struct msy_alloc *alloc;
    struct msy_store *store;
    const struct msy_identity *identity;
    struct msy_entropy entropy;
    struct msy_prng prng;
    const struct msy_log *log;
    struct msy_mesh_ports ports;
    uint64_t keepalive_ms;
    uint64_t retry_ms_max;
    uint64_t compression;
    uint64_t peer_bytes_per_s;
    uint64_t burst_bytes;
    struct msy_rate rate;
    uint32_t rate_turn;            /* Who spent of it last: the link after it comes first. */
    struct msy_mesh_offer offer;   /* Filled in. */
    struct msy_verified *verified; /* Lent; may be NULL. */
    uint64_t assertions;           /* Of the process that had failed when this was opened. */
    uint8_t device[MSY_DEVICE_BYTES];
    uint8_t instance[MSY_INSTANCE_BYTES];
    uint64_t now_ms;
    uint64_t unix_ms;
    bool stopping;
    bool offer_due;                   /* The list of spaces is not the one that was offered. */
    bool held;                        /* Somebody's durable vector grew in this step. */
    meshsync_status failed;           /* The first failure of this step to report. */
    struct msy_mesh_effects *effects; /* Of this step. */
    struct msy_mesh_link **links;     /* Owned, ascending by number. */
    uint32_t links_count;
    uint32_t links_cap;
    uint32_t link_next;             /* Odd. */
    struct msy_mesh_space **spaces; /* Owned, ascending by number. */
    uint32_t spaces_count;
    uint32_t spaces_cap;
    struct msy_mesh_address **addresses; /* Owned, ascending by text. */
    uint32_t addresses_count;
    uint32_t addresses_cap;
    struct msy_known **known; /* Owned, ascending by device. */
    uint32_t known_count;
    uint32_t known_cap;
    struct msy_submit *submits; /* Owned, ascending by id. */
    uint32_t submits_count;
    uint32_t submits_cap;
    uint64_t submit_next;
    char listening[MSY_LISTENING_MAX][MSY_ADDRESS_BYTES_MAX];
    uint32_t listening_count;
    uint8_t beacon_nonce[16]; /* Of the beacons that were sent last. */
    uint32_t beacon_cursor;   /* The first space of the next beacon, when they are many. */
    uint32_t beacons_count;   /* Looked at since. */
    uint64_t beacons_since_ms;
    uint64_t beacon_wait_ms;
    uint64_t beacon_at_ms;    /* When to send the next. */
    uint64_t reload_at_ms;    /* When to read the list of spaces again, which failed. */
    struct msy_wall wall;     /* What time the peers have. */
    uint64_t wall_at_ms;      /* When to count again, at the next step. */
    bool wall_off;            /* Our own clock was said to be wrong. */
    uint64_t links_at_ms;     /* No link has something to do before. */
    uint64_t spaces_at_ms;    /* No space has. */
    uint64_t addresses_at_ms; /* No address is to be dialled before. */
    struct msy_mesh_stats stats;
    struct msy_change_header header; /* Scratch: too large for a stack frame. */
    struct msy_change served;        /* Scratch: a change that is checked before it is sent, */
    struct msy_buf served_hashes;    /* and the hashes of its ops. */
    struct msy_buf scratch;
    struct msy_buf packing; /* Scratch: what was written in a step, packed; or what came so. */
    struct msy_vector tips; /* Scratch. */
};

/* --- array.c ---------------------------------------------------------------------------------- */

/* Room for one more item at array; false: no memory. */
bool msy_array_room(struct msy_alloc *alloc, void **array, uint32_t *cap, uint32_t count,
                    size_t item_bytes);
bool msy_lazy_has(const struct msy_lazy_set *set, const uint8_t device[MSY_DEVICE_BYTES],
                  uint64_t *at_ms);
/* Without memory, or over the bound, the set stays as it was: laziness is only a saving. */
void msy_lazy_add(struct msy_mesh *mesh, struct msy_lazy_set *set,
                  const uint8_t device[MSY_DEVICE_BYTES]);
void msy_lazy_drop(struct msy_lazy_set *set, const uint8_t device[MSY_DEVICE_BYTES]);
void msy_lazy_fini(struct msy_mesh *mesh, struct msy_lazy_set *set);

static inline uint64_t msy_min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* --- effect.c --------------------------------------------------------------------------------- */

/* A new effect of this step, zeroed but for its type; NULL when memory ran out (noted). */
struct msy_mesh_effect *msy_effect_add(struct msy_mesh *mesh, enum msy_mesh_effect_type type);
/* Room for n bytes that the effects own; NULL when memory ran out (noted). */
uint8_t *msy_effect_room(struct msy_mesh *mesh, size_t n);
/* A copy owned by the effects, or NULL. */
const char *msy_effect_text(struct msy_mesh *mesh, const char *text);
void msy_effect_alarm(struct msy_mesh *mesh, uint32_t space, const char *words);

/* --- mesh.c ----------------------------------------------------------------------------------- */

/* Remembers the first failure of the step. */
void msy_mesh_note(struct msy_mesh *mesh, meshsync_status status);
/* Lowers a timer of a link or space, and the bound over all of them. */
void msy_mesh_link_wake(struct msy_mesh *mesh, uint64_t *timer_ms, uint64_t at_ms);
void msy_space_wake(struct msy_mesh *mesh, uint64_t *timer_ms, uint64_t at_ms);

/* --- wall.c ----------------------------------------------------------------------------------- */

/* Counts when it is due; says so when our own clock goes wrong. */
void msy_wall_look(struct msy_mesh *mesh);
/* Is it time to ask for the peer's clock? */
bool msy_wall_asks(const struct msy_mesh *mesh, const struct msy_mesh_link *link);
/* The answer to our last PING showed the peer's clock. */
void msy_wall_on_pong(struct msy_mesh *mesh, struct msy_mesh_link *link, uint64_t peer_unix_ms);

/* --- link.c ----------------------------------------------------------------------------------- */

struct msy_mesh_link *msy_mesh_link_find(struct msy_mesh *mesh, uint32_t number);
/* NULL: no memory, or too many. */
struct msy_mesh_link *msy_mesh_link_new(struct msy_mesh *mesh, uint32_t number, bool accepted);
void msy_mesh_link_free(struct msy_mesh *mesh, struct msy_mesh_link *link);
void msy_mesh_link_move(struct msy_mesh_link *link, enum msy_mesh_link_state next);
/* Ends it, with a BYE when it is live and status is not OK; what was written is still sent. */
void msy_mesh_link_close(struct msy_mesh *mesh, struct msy_mesh_link *link, meshsync_status status,
                         const char *words);
void msy_mesh_link_up(struct msy_mesh *mesh, const struct msy_mesh_event *event);
void msy_mesh_link_bytes(struct msy_mesh *mesh, struct msy_mesh_link *link, meshsync_bytes bytes);
/* Appends a record of the handshake to what goes out. */
meshsync_status msy_mesh_link_put_record(struct msy_mesh_link *link, meshsync_bytes sealed);
/* Gives out what the step wrote, closes what ended, frees it. */
void msy_mesh_links_flush(struct msy_mesh *mesh);

/* --- handshake.c ------------------------------------------------------------------------------ */

void msy_handshake_offer(struct msy_mesh *mesh, const struct msy_mesh_offer *offer);
void msy_handshake_start(struct msy_mesh *mesh, struct msy_mesh_link *link);
void msy_handshake_record(struct msy_mesh *mesh, struct msy_mesh_link *link, meshsync_bytes record);
/* Keeps the number of unproved accepted links bounded. */
void msy_handshake_limit(struct msy_mesh *mesh);

/* --- session.c -------------------------------------------------------------------------------- */

/* The handshake is done. */
void msy_session_start(struct msy_mesh *mesh, struct msy_mesh_link *link);
void msy_session_end(struct msy_mesh *mesh, struct msy_mesh_link *link, meshsync_status status);
void msy_session_record(struct msy_mesh *mesh, struct msy_mesh_link *link, meshsync_bytes record);
/* Closes the link when a message could not be written. */
void msy_session_wrote(struct msy_mesh *mesh, struct msy_mesh_link *link, meshsync_status status);
void msy_session_numbers(struct msy_mesh *mesh, struct msy_mesh_link *link,
                         enum msy_message_type type, const uint64_t *numbers, uint32_t count);
void msy_session_ping(struct msy_mesh *mesh, struct msy_mesh_link *link);
/* Timers of a live link. */
void msy_session_due(struct msy_mesh *mesh, struct msy_mesh_link *link);
/* Bytes that wait to be sent to the peer. */
uint64_t msy_session_backlog(const struct msy_mesh_link *link);
/* The oldest live session with a device, other than except (NULL allowed). */
struct msy_mesh_link *msy_session_with(struct msy_mesh *mesh,
                                       const uint8_t device[MSY_DEVICE_BYTES],
                                       const struct msy_mesh_link *except);
uint32_t msy_session_count(const struct msy_mesh *mesh);

/* --- spaces.c --------------------------------------------------------------------------------- */

struct msy_mesh_space *msy_space_find(struct msy_mesh *mesh, uint32_t number);
/* Reads the list of spaces; *changed: what is offered is no longer the same. */
meshsync_status msy_spaces_load(struct msy_mesh *mesh, bool *changed);
void msy_spaces_free(struct msy_mesh *mesh);
/* Offers all spaces to a peer. */
void msy_spaces_offer(struct msy_mesh *mesh, struct msy_mesh_link *link);
/* The list or membership changed: offers again, and looks again at who is let in. */
/* Membership in a space changed; 0: the list of spaces. */
void msy_spaces_event(struct msy_mesh *mesh, uint32_t number);
void msy_spaces_recheck(struct msy_mesh *mesh, struct msy_mesh_space *space);
meshsync_status msy_spaces_on_list(struct msy_mesh *mesh, struct msy_mesh_link *link,
                                   meshsync_bytes content);
meshsync_status msy_spaces_on_open(struct msy_mesh *mesh, struct msy_mesh_link *link,
                                   meshsync_bytes content);
meshsync_status msy_spaces_on_shut(struct msy_mesh *mesh, struct msy_mesh_link *link,
                                   meshsync_bytes content);
/* The durable vector of a space, read again when it must be. */
meshsync_status msy_space_vector(struct msy_mesh *mesh, struct msy_store_txn *txn,
                                 struct msy_mesh_space *space);

/* --- channel.c -------------------------------------------------------------------------------- */

struct msy_channel *msy_channel_find(const struct msy_mesh_link *link, uint32_t space);
/* The one of that space, made when there is none; NULL: no memory, or too many. */
struct msy_channel *msy_channel_make(struct msy_mesh *mesh, struct msy_mesh_link *link,
                                     uint32_t space);
static inline bool msy_channel_is(const struct msy_channel *channel, enum msy_channel_way ways)
{
    return ((unsigned)channel->state & (unsigned)ways) == (unsigned)ways;
}
/* Opens a way, or ends all exchange on it and forgets what belongs to it. */
void msy_channel_open_way(struct msy_channel *channel, enum msy_channel_way way);
void msy_channel_close_in(struct msy_mesh *mesh, struct msy_mesh_link *link,
                          struct msy_channel *channel);
void msy_channel_close_out(struct msy_mesh *mesh, struct msy_channel *channel);
/* Takes it out of the link for good. */
void msy_channel_remove(struct msy_mesh *mesh, struct msy_mesh_link *link,
                        struct msy_channel *channel);
void msy_channels_free(struct msy_mesh *mesh, struct msy_mesh_link *link);
/* The channel that the peer calls number: E_PROTOCOL when there is no such number; NULL when the
 * way is not open (any more), and the message is to be skipped. */
meshsync_status msy_channel_slot(const struct msy_mesh_link *link, uint64_t number,
                                 enum msy_channel_way way, struct msy_channel **channel);
meshsync_status msy_channel_set_slot(struct msy_mesh *mesh, struct msy_mesh_link *link,
                                     struct msy_channel *channel, uint64_t number);
/* The seq up to which the peer has an actor's chain, as far as an entry says it. */
uint64_t msy_channel_knows(const struct msy_channel *channel, const struct msy_actor *actor);
/* Walk over the channels of a space that are open in these ways, in order of link: *at starts with
 * 0. NULL at the end. */
struct msy_channel *msy_channel_next(struct msy_mesh *mesh, uint32_t space,
                                     enum msy_channel_way ways, uint32_t *at,
                                     struct msy_mesh_link **link);

/* --- introduce.c ------------------------------------------------------------------------------ */

/* Shows a peer that does not let us in, once, the change by which we joined. */
meshsync_status msy_introduce_send(struct msy_mesh *mesh, struct msy_store_txn *txn,
                                   struct msy_mesh_link *link, struct msy_channel *channel,
                                   struct msy_mesh_space *space);
/* A peer shows its own; *news: the replica is to see it. */
meshsync_status msy_introduce_on(struct msy_mesh *mesh, const struct msy_mesh_link *link,
                                 struct msy_channel *channel, const struct msy_mesh_space *space,
                                 meshsync_bytes list, bool *news);

/* --- ack.c ------------------------------------------------------------------------------------ */

/* Raises a vector of what a peer has, and drops what the tip's epochs imply. */
meshsync_status msy_ack_raise(struct msy_store_txn *txn, uint32_t space, struct msy_vector *vector,
                              const struct msy_tip *tip);
/* Drops from a vector what actor's epochs imply. */
meshsync_status msy_ack_imply(struct msy_store_txn *txn, uint32_t space, struct msy_vector *vector,
                              const struct msy_actor *actor);
/* Our whole vector. */
void msy_ack_vector(struct msy_mesh *mesh, struct msy_mesh_link *link, struct msy_channel *channel);
/* Notes that became due. */
void msy_ack_notes(struct msy_mesh *mesh, struct msy_mesh_space *space);
/* A tip became durable here: it will be noted. */
void msy_ack_fresh(struct msy_mesh *mesh, struct msy_mesh_space *space, const struct msy_tip *tip);
/* All peers are to be told the whole vector instead of notes. */
void msy_ack_retell(struct msy_mesh *mesh, struct msy_mesh_space *space);
/* VECTOR and NOTE. */
meshsync_status msy_ack_on_tips(struct msy_mesh *mesh, struct msy_mesh_link *link,
                                enum msy_message_type type, meshsync_bytes content);
/* Keeps what a channel told for when it is gone. */
void msy_ack_keep(struct msy_mesh *mesh, const struct msy_mesh_link *link,
                  const struct msy_channel *channel);
void msy_ack_free(struct msy_mesh *mesh);
/* Its whole vector is in channel->durable now, for the first time in this session. */
meshsync_status msy_ack_told(struct msy_mesh *mesh, struct msy_store_txn *txn,
                             const struct msy_mesh_link *link, struct msy_channel *channel,
                             const struct msy_mesh_space *space);
/* What a peer holds became known: what follows from that. */
void msy_ack_heard(struct msy_mesh *mesh, struct msy_mesh_space *space);

/* --- clock.c ---------------------------------------------------------------------------------- */

/* Tells a peer that was let in what we hold: by a digest where it knows digests, else whole. */
void msy_clock_tell(struct msy_mesh *mesh, struct msy_mesh_link *link, struct msy_channel *channel);
meshsync_status msy_clock_on(struct msy_mesh *mesh, struct msy_mesh_link *link,
                             meshsync_bytes content);
meshsync_status msy_clock_on_ask(struct msy_mesh *mesh, struct msy_mesh_link *link,
                                 meshsync_bytes content);

/* The digest of a vector in a session; *hash is what it is made of. */
meshsync_status msy_clock_digest(struct msy_mesh *mesh, const struct msy_mesh_link *link,
                                 const struct msy_vector *vector, uint8_t digest[MSY_CLOCK_BYTES]);
/* Asks for the whole vector. */
meshsync_status msy_clock_ask(struct msy_mesh *mesh, struct msy_mesh_link *link,
                              struct msy_channel *channel);
/* The peer does not begin to compare: we ask. */
meshsync_status msy_clock_unwait(struct msy_mesh *mesh, struct msy_mesh_link *link,
                                 struct msy_channel *channel);
/* From time to time: ends what takes too long. */
void msy_clock_beat(struct msy_mesh *mesh, struct msy_mesh_link *link);

/* --- sketch.c --------------------------------------------------------------------------------- */

/* Can the vectors of a space be compared by sketches with this peer? */
bool msy_sketch_may(const struct msy_mesh *mesh, const struct msy_mesh_link *link,
                    const struct msy_channel *channel, const struct msy_mesh_space *space);
/* Begins to compare: asks the peer for the first symbols of its vector. */
meshsync_status msy_sketch_seek(struct msy_mesh *mesh, struct msy_mesh_link *link,
                                struct msy_channel *channel, const struct msy_mesh_space *space);
meshsync_status msy_sketch_on_seek(struct msy_mesh *mesh, struct msy_mesh_link *link,
                                   meshsync_bytes content);
meshsync_status msy_sketch_on(struct msy_mesh *mesh, struct msy_mesh_link *link,
                              meshsync_bytes content);
meshsync_status msy_sketch_on_swap(struct msy_mesh *mesh, struct msy_mesh_link *link,
                                   meshsync_bytes content);
void msy_sketching_free(struct msy_mesh *mesh, struct msy_sketching **sketching);
/* Ends one that has lasted too long. */
void msy_sketching_expire(struct msy_mesh *mesh, struct msy_sketching **sketching);

/* --- want.c ----------------------------------------------------------------------------------- */

/* Wants a tip from at_ms on, unless it is here. */
meshsync_status msy_want_add(struct msy_mesh *mesh, struct msy_store_txn *txn,
                             struct msy_mesh_space *space, const struct msy_tip *tip,
                             uint64_t at_ms, bool cause);
/* A change is here. */
void msy_want_came(struct msy_mesh *mesh, struct msy_mesh_space *space, const struct msy_tip *tip);
/* Asks for what is due. */
void msy_want_due(struct msy_mesh *mesh, struct msy_mesh_space *space);
/* What was asked at a link did not come, or will not: it is asked for again at at_ms. */
void msy_want_release(struct msy_mesh *mesh, struct msy_mesh_link *link,
                      struct msy_channel *channel, uint64_t at_ms);
meshsync_status msy_want_on_end(struct msy_mesh *mesh, struct msy_mesh_link *link,
                                meshsync_bytes content);
/* A streamed batch of the channel was dealt with: gives credit back. */
void msy_want_dealt(struct msy_mesh *mesh, struct msy_mesh_link *link, struct msy_channel *channel,
                    uint64_t bytes);
/* Notices which channels of a space have nothing left to fetch. */
void msy_want_settle(struct msy_mesh *mesh, struct msy_mesh_space *space);
void msy_want_missing(struct msy_mesh *mesh, const struct msy_mesh_event *event);

/* --- serve.c ---------------------------------------------------------------------------------- */

meshsync_status msy_serve_on_want(struct msy_mesh *mesh, struct msy_mesh_link *link,
                                  meshsync_bytes content);
meshsync_status msy_serve_on_credit(struct msy_mesh *mesh, struct msy_mesh_link *link,
                                    meshsync_bytes content);
/* The peer has told what it holds while it was served: from here on only what it lacks. */
meshsync_status msy_serve_check(struct msy_mesh *mesh, const struct msy_record *record,
                                const struct msy_tip *tip);
meshsync_status msy_serve_replan(struct msy_store_txn *txn, struct msy_channel *channel);
/* One turn of serving the channels of a link. */
void msy_serve_turn(struct msy_mesh *mesh, struct msy_mesh_link *link);

/* --- pack.c ----------------------------------------------------------------------------------- */

/* Packs what was written in this step. When it fails the streams have gone on: hang up. */
meshsync_status msy_pack_link(struct msy_mesh *mesh, struct msy_mesh_link *link);
/* Gives back the streams that were not used for a while. */
void msy_pack_rest(struct msy_mesh *mesh, struct msy_mesh_link *link);
meshsync_status msy_pack_on(struct msy_mesh *mesh, struct msy_mesh_link *link,
                            meshsync_bytes content);
/* The channel goes. */
void msy_pack_forget(struct msy_mesh_link *link, struct msy_channel *channel);

/* May changes go to a peer now, by its rate and the node's? */
bool msy_serve_may(struct msy_mesh *mesh, struct msy_mesh_link *link,
                   enum msy_rate_class rate_class);
void msy_serve_spend(struct msy_mesh *mesh, struct msy_mesh_link *link, uint64_t bytes);

/* --- push.c ----------------------------------------------------------------------------------- */

/* Appends a change to a CHANGES message of the channel. */
meshsync_status msy_push_put(struct msy_mesh_link *link, const struct msy_channel *channel,
                             uint32_t flags, meshsync_bytes change);
void msy_push_committed(struct msy_mesh *mesh, const struct msy_mesh_event *event);
meshsync_status msy_push_on_changes(struct msy_mesh *mesh, struct msy_mesh_link *link,
                                    meshsync_bytes content);
meshsync_status msy_push_on_prune(struct msy_mesh *mesh, struct msy_mesh_link *link,
                                  meshsync_bytes content);
void msy_push_received(struct msy_mesh *mesh, const struct msy_mesh_event *event);

/* --- address.c -------------------------------------------------------------------------------- */

meshsync_status msy_mesh_address_add_seed(struct msy_mesh *mesh, const char *text);
meshsync_status msy_mesh_address_remove_seed(struct msy_mesh *mesh, const char *text);
void msy_mesh_address_listening(struct msy_mesh *mesh, const char *text);
/* Dials what is due. */
void msy_mesh_address_due(struct msy_mesh *mesh);
/* The link that was dialled for an address: whom it led to, or how it ended. */
void msy_mesh_address_found(struct msy_mesh *mesh, const struct msy_mesh_link *link);
void msy_mesh_address_self(struct msy_mesh *mesh, const struct msy_mesh_link *link);
void msy_mesh_address_ended(struct msy_mesh *mesh, const struct msy_mesh_link *link,
                            meshsync_status status, const char *words);
/* A session with device ended: its addresses may be dialled again. */
void msy_mesh_address_device_gone(struct msy_mesh *mesh, const uint8_t device[MSY_DEVICE_BYTES]);
void msy_mesh_address_tell(struct msy_mesh *mesh, struct msy_mesh_link *link);
meshsync_status msy_mesh_address_on_told(struct msy_mesh *mesh, struct msy_mesh_link *link,
                                         meshsync_bytes content);
void msy_mesh_address_free(struct msy_mesh *mesh);
/* Somebody of ours may listen there. Dropped when too many like it are known. */
void msy_mesh_address_candidate(struct msy_mesh *mesh, const char *text);
bool msy_mesh_address_known(struct msy_mesh *mesh, const char *text);
/* Texts: the host of "host:port", is it any address, is it of this machine. */
size_t msy_mesh_address_host(const char *text);
bool msy_mesh_address_is_any(const char *text);
bool msy_mesh_address_is_local(const char *text);

/* --- beacon.c --------------------------------------------------------------------------------- */

void msy_beacon_start(struct msy_mesh *mesh);
void msy_beacon_due(struct msy_mesh *mesh);
/* One to be sent from host; nothing when nobody listens there. */
void msy_beacon_make(struct msy_mesh *mesh, const char *host);
void msy_beacon_on(struct msy_mesh *mesh, const char *host, meshsync_bytes bytes);

/* --- digest.c --------------------------------------------------------------------------------- */

void msy_digest_due(struct msy_mesh *mesh, struct msy_mesh_space *space);
meshsync_status msy_digest_on(struct msy_mesh *mesh, struct msy_mesh_link *link,
                              meshsync_bytes content);

#endif
