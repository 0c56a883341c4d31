/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The messages of a session (docs/protocol.md): framing, encoding, and decoding of foreign bytes.
 * A decoder checks a whole message before it returns, allocates nothing and lends from the bytes.
 */
#ifndef MSY_WIRE_MESSAGE_H
#define MSY_WIRE_MESSAGE_H

#include "base/buf.h"
#include "base/limits.h"
#include "clock/dot.h"

enum msy_message_type {
    MSY_MESSAGE_HELLO = 1,
    MSY_MESSAGE_SPACES = 2,
    MSY_MESSAGE_OPEN = 3,
    MSY_MESSAGE_SHUT = 4,
    MSY_MESSAGE_VECTOR = 5,
    MSY_MESSAGE_NOTE = 6,
    MSY_MESSAGE_WANT = 7,
    MSY_MESSAGE_CHANGES = 8,
    MSY_MESSAGE_CREDIT = 9,
    MSY_MESSAGE_END = 10,
    MSY_MESSAGE_PRUNE = 11,
    MSY_MESSAGE_DIGEST = 12,
    MSY_MESSAGE_ADDRESSES = 13,
    MSY_MESSAGE_PING = 14,
    MSY_MESSAGE_PONG = 15,
    MSY_MESSAGE_BYE = 16,
    MSY_MESSAGE_CLOCK = 17,
    MSY_MESSAGE_ASK = 18,
    MSY_MESSAGE_PACKED = 19,
    MSY_MESSAGE_SEEK = 29,
    MSY_MESSAGE_SKETCH = 30,
    MSY_MESSAGE_SWAP = 31
};

/* Bits of a greeting's features: what both sides have may be used. */
enum msy_feature {
    MSY_FEATURE_CLOCK = 1,  /* CLOCK and ASK. */
    MSY_FEATURE_PACKED = 2, /* PACKED. */
    MSY_FEATURE_SKETCH = 16 /* SEEK, SKETCH and SWAP. */
};

/* What an ASK may ask for. */
enum msy_clock_rung { MSY_CLOCK_RUNG_VECTOR = 0 };

/* Types from here on are skipped by who does not know them; unknown lower ones are an error. */
enum { MSY_MESSAGE_TYPE_OPTIONAL = 128 };

enum {
    MSY_MESSAGE_HEAD_BYTES = 5, /* u8 type, be32 length of what follows. */
    MSY_BLIND_BYTES = 16,       /* A space's blinded id. */
    MSY_TIP_PREFIX_BYTES = 8,   /* Of a change hash, in messages. */
    MSY_CLOCK_BYTES = 16,       /* Digest of a vector in a session. */
    MSY_DEVICE_BYTES = 32,
    MSY_INSTANCE_BYTES = 16,
    MSY_CHANGES_HEAD_BYTES = 5,    /* u8 flags, be32 channel. */
    MSY_MESSAGE_TIPS_MAX = 8192,   /* In one message. */
    MSY_MESSAGE_ENTRIES_MAX = 256, /* In one ADDRESSES. */
    MSY_MESSAGE_WORDS_MAX = 128    /* In one BYE, bytes. */
};

enum msy_changes_flag {
    MSY_CHANGES_STREAM = 1,      /* Part of what a WANT asked for, counted against its credit. */
    MSY_CHANGES_DURABLE = 2,     /* The sender holds them durably. */
    MSY_CHANGES_INTRODUCTION = 4 /* The one change by which the sender joined. */
};

/* What the two sides tell in the encrypted handshake payloads. */
struct msy_greeting {
    uint64_t version_min;
    uint64_t version_max;
    uint64_t features;
    uint8_t device[MSY_DEVICE_BYTES];
    uint8_t instance[MSY_INSTANCE_BYTES]; /* Random per run, so that a clone is not taken for us. */
};

struct msy_open {
    uint64_t channel;
    bool grant;            /* The sender lets the receiver in. */
    const uint8_t *id;     /* MSY_BLIND_BYTES */
    const uint8_t *invite; /* Public key 32, or NULL. */
    const uint8_t *proof;  /* 64, with invite. */
};

/* VECTOR: number is 1 when another part follows, else 0. WANT: its serial number. NOTE: 0. */
struct msy_tips {
    uint64_t channel;
    uint64_t number;
    uint32_t count;
    struct msy_cursor at; /* Already checked. */
};

struct msy_addresses {
    uint32_t count;
    struct msy_cursor at; /* Already checked. */
};

/* Type and length of a message's content from its first MSY_MESSAGE_HEAD_BYTES. */
void msy_message_head(const uint8_t *head, uint8_t *type, uint32_t *len);

/*
 * Encoding: each appends one whole message, or fails and leaves out as it was.
 */
meshsync_status msy_message_put_numbers(struct msy_buf *out, enum msy_message_type type,
                                        const uint64_t *numbers, uint32_t count);
/* ids: count times MSY_BLIND_BYTES, strictly ascending. */
meshsync_status msy_message_put_spaces(struct msy_buf *out, const uint8_t *ids, uint32_t count);
meshsync_status msy_message_put_open(struct msy_buf *out, const struct msy_open *open);
/* tips ascend by actor, at most MSY_MESSAGE_TIPS_MAX. */
meshsync_status msy_message_put_tips(struct msy_buf *out, enum msy_message_type type,
                                     uint64_t channel, uint64_t number, const struct msy_tip *tips,
                                     uint32_t count);
/* PRUNE and DIGEST: channel and count times 32 bytes. */
meshsync_status msy_message_put_hashes(struct msy_buf *out, enum msy_message_type type,
                                       uint64_t channel, const uint8_t (*hashes)[32],
                                       uint32_t count);
meshsync_status msy_message_put_clock(struct msy_buf *out, uint64_t channel,
                                      const uint8_t digest[MSY_CLOCK_BYTES]);
/* Starts ADDRESSES of count entries at the end of out; each is then given by put_address, and end
 * completes the message that began at start. */
meshsync_status msy_message_begin_addresses(struct msy_buf *out, uint32_t count);
meshsync_status msy_message_put_address(struct msy_buf *out, const uint8_t device[MSY_DEVICE_BYTES],
                                        const char *text);
/* Sets the length of the message that starts at start and ends where out ends. */
void msy_message_end(struct msy_buf *out, size_t start);
meshsync_status msy_message_put_bye(struct msy_buf *out, meshsync_status reason, const char *words);
/* The head of a PACKED: without anything behind it its stream ends. */
meshsync_status msy_message_begin_packed(struct msy_buf *out, uint32_t channel);
/* Starts CHANGES without changes; put_change adds one behind it and corrects the length. */
meshsync_status msy_message_begin_changes(struct msy_buf *out, uint32_t channel, uint32_t flags);
meshsync_status msy_message_put_change(struct msy_buf *out, size_t start, meshsync_bytes change);
/* Without a message head: the payload of a handshake message. */
meshsync_status msy_greeting_put(struct msy_buf *out, const struct msy_greeting *greeting);

/*
 * Decoding the content of a message: false when it is malformed.
 */
bool msy_message_get_numbers(meshsync_bytes content, uint64_t *numbers, uint32_t count);
/* *ids lends count times MSY_BLIND_BYTES, strictly ascending. */
bool msy_message_get_spaces(meshsync_bytes content, const uint8_t **ids, uint32_t *count);
bool msy_message_get_open(meshsync_bytes content, struct msy_open *open);
bool msy_message_get_tips(meshsync_bytes content, struct msy_tips *tips);
/* The next of count tips; the hash beyond the prefix is zero. */
bool msy_tips_next(struct msy_tips *tips, struct msy_tip *tip);
bool msy_message_get_hashes(meshsync_bytes content, uint64_t *channel, uint8_t (*hashes)[32],
                            uint32_t count);
bool msy_message_get_clock(meshsync_bytes content, uint64_t *channel,
                           uint8_t digest[MSY_CLOCK_BYTES]);
bool msy_message_get_addresses(meshsync_bytes content, struct msy_addresses *addresses);
bool msy_addresses_next(struct msy_addresses *addresses, const uint8_t **device,
                        meshsync_bytes *text);
bool msy_message_get_bye(meshsync_bytes content, meshsync_status *reason, meshsync_bytes *words);
/* *list lends the changes, each after its be32 length: at least one, each well framed. */
bool msy_message_get_changes(meshsync_bytes content, uint32_t *channel, uint32_t *flags,
                             meshsync_bytes *list);
bool msy_changes_next(struct msy_cursor *list, meshsync_bytes *change);
bool msy_greeting_get(meshsync_bytes payload, struct msy_greeting *greeting);

#endif
