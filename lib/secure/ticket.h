/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Invitation tickets: what a newcomer needs to find a space and to be let in. The text form is
 * "mst1" and base64url of canonical fields with a checksum; docs/ticket.md has it byte by byte.
 */
#ifndef MSY_SECURE_TICKET_H
#define MSY_SECURE_TICKET_H

#include "base/buf.h"
#include "secure/crypto.h"
#include "secure/verified.h"

enum {
    MSY_TICKET_ADDRESSES_MAX = 8,
    MSY_TICKET_ADDRESS_BYTES_MAX = 300,
    MSY_TICKET_TEXT_BYTES_MAX = 4096,
    MSY_SPACE_SECRET_BYTES = 32,
    MSY_SPACE_NONCE_BYTES = 16
};

struct msy_ticket {
    uint8_t space[MESHSYNC_SPACE_ID_BYTES];
    uint8_t founder[MSY_SIGN_PUBLIC_BYTES]; /* With nonce: hashes to the space id. */
    uint8_t nonce[MSY_SPACE_NONCE_BYTES];
    uint8_t discovery[MSY_SPACE_SECRET_BYTES]; /* Finds the space; grants nothing. */
    uint8_t invite_seed[MSY_SIGN_SEED_BYTES];  /* Secret key whose public part is on record. */
    uint64_t expires_ms;                       /* Unix ms; 0: never. */
    uint32_t role;                             /* 0: full member. Others reserved. */
    uint32_t uses_max;                         /* 0: any number. Reserved. */
    uint32_t addresses_count;
    char addresses[MSY_TICKET_ADDRESSES_MAX][MSY_TICKET_ADDRESS_BYTES_MAX]; /* "host:port" */
    char name[MESHSYNC_NAME_BYTES_MAX + 1]; /* Suggested local name. */
};

/* BLAKE2b-128 of "meshsync space 1" || founder || nonce. */
void msy_space_id(uint8_t space[MESHSYNC_SPACE_ID_BYTES],
                  const uint8_t founder[MSY_SIGN_PUBLIC_BYTES],
                  const uint8_t nonce[MSY_SPACE_NONCE_BYTES]);
/* text has MSY_TICKET_TEXT_BYTES_MAX bytes; zero-terminated, empty on failure. E_LIMIT and
 * E_INVALID: the decoder would refuse it, too. It is a secret; the caller wipes it. */
meshsync_status msy_ticket_encode(const struct msy_ticket *ticket, char *text,
                                  meshsync_error *error);
/* Checks version, checksum, lengths, UTF-8, and that the id is that of founder and nonce. Exactly
 * what msy_ticket_encode writes is taken; the caller judges role, uses_max and expires_ms.
 * E_UNSUPPORTED for another version, E_INVALID for all else; the ticket is then all zeros. */
meshsync_status msy_ticket_decode(const char *text, size_t text_len, struct msy_ticket *ticket,
                                  meshsync_error *error);
/* What the invite key signs so that device may join: shown in sessions and in member records. */
void msy_ticket_prove(const struct msy_ticket *ticket, const uint8_t device[MSY_SIGN_PUBLIC_BYTES],
                      uint8_t proof[MSY_SIGN_BYTES]);
bool msy_ticket_check(const uint8_t space[MESHSYNC_SPACE_ID_BYTES],
                      const uint8_t invite[MSY_SIGN_PUBLIC_BYTES],
                      const uint8_t device[MSY_SIGN_PUBLIC_BYTES],
                      const uint8_t proof[MSY_SIGN_BYTES]);
/* The same, looked up first among what was verified; NULL: not. */
bool msy_ticket_check_once(struct msy_verified *verified,
                           const uint8_t space[MESHSYNC_SPACE_ID_BYTES],
                           const uint8_t invite[MSY_SIGN_PUBLIC_BYTES],
                           const uint8_t device[MSY_SIGN_PUBLIC_BYTES],
                           const uint8_t proof[MSY_SIGN_BYTES]);
void msy_ticket_wipe(struct msy_ticket *ticket);

#endif
