/* SPDX-License-Identifier: Apache-2.0 */
#include "secure/ticket.h"

#include <string.h>

#include "base/error.h"

enum {
    TICKET_VERSION = 1,
    TICKET_CHECK_BYTES = 4,
    TICKET_BYTES_MAX = 3000,
    JOIN_BYTES = MESHSYNC_SPACE_ID_BYTES + MSY_SIGN_PUBLIC_BYTES
};

static const char ticket_prefix[] = "mst1";
static const char join_words[] = "meshsync join 1";

void msy_space_id(uint8_t space[MESHSYNC_SPACE_ID_BYTES],
                  const uint8_t founder[MSY_SIGN_PUBLIC_BYTES],
                  const uint8_t nonce[MSY_SPACE_NONCE_BYTES])
{
    static const char words[] = "meshsync space 1";
    const meshsync_bytes parts[] = {{(const uint8_t *)words, sizeof words - 1},
                                    {founder, MSY_SIGN_PUBLIC_BYTES},
                                    {nonce, MSY_SPACE_NONCE_BYTES}};
    msy_hash(space, MESHSYNC_SPACE_ID_BYTES, parts, 3);
}

static void ticket_check_bytes(const uint8_t *bytes, size_t len, uint8_t check[16])
{
    static const char words[] = "meshsync ticket 1";
    const meshsync_bytes parts[] = {{(const uint8_t *)words, sizeof words - 1}, {bytes, len}};
    msy_hash(check, 16, parts, 2);
}

static meshsync_status ticket_put_text(struct msy_buf *out, const char *text)
{
    size_t len = strlen(text);
    meshsync_status status = msy_buf_append_be16(out, (uint16_t)len);
    return status == MESHSYNC_OK ? msy_buf_append(out, text, len) : status;
}

static meshsync_status ticket_write(const struct msy_ticket *ticket, struct msy_buf *out)
{
    uint8_t check[16];
    meshsync_status status = msy_buf_append_u8(out, TICKET_VERSION);
    const meshsync_bytes parts[] = {
        {ticket->space, sizeof ticket->space},         {ticket->founder, sizeof ticket->founder},
        {ticket->nonce, sizeof ticket->nonce},         {ticket->discovery, sizeof ticket->discovery},
        {ticket->invite_seed, sizeof ticket->invite_seed},
    };
    for (size_t i = 0; i < sizeof parts / sizeof parts[0] && status == MESHSYNC_OK; i++) {
        status = msy_buf_append(out, parts[i].data, parts[i].len);
    }
    if (status == MESHSYNC_OK) {
        status = msy_buf_append_be64(out, ticket->expires_ms);
    }
    if (status == MESHSYNC_OK) {
        status = msy_buf_append_be32(out, ticket->role);
    }
    if (status == MESHSYNC_OK) {
        status = msy_buf_append_be32(out, ticket->uses_max);
    }
    if (status == MESHSYNC_OK) {
        status = ticket_put_text(out, ticket->name);
    }
    if (status == MESHSYNC_OK) {
        status = msy_buf_append_u8(out, (uint8_t)ticket->addresses_count);
    }
    for (uint32_t i = 0; i < ticket->addresses_count && status == MESHSYNC_OK; i++) {
        status = ticket_put_text(out, ticket->addresses[i]);
    }
    if (status == MESHSYNC_OK) {
        ticket_check_bytes(out->data, out->len, check);
        status = msy_buf_append(out, check, TICKET_CHECK_BYTES);
    }
    return status;
}

meshsync_status msy_ticket_encode(const struct msy_ticket *ticket, char *text,
                                  meshsync_error *error)
{
    struct msy_alloc alloc;
    struct msy_buf bytes;
    if (ticket->addresses_count > MSY_TICKET_ADDRESSES_MAX) {
        return msy_fail(error, MESHSYNC_E_LIMIT, "a ticket has at most %d addresses",
                        (int)MSY_TICKET_ADDRESSES_MAX);
    }
    msy_alloc_init(&alloc, NULL, NULL, 0);
    msy_buf_init(&bytes, &alloc, TICKET_BYTES_MAX);
    meshsync_status status = ticket_write(ticket, &bytes);
    if (status == MESHSYNC_OK) {
        memcpy(text, ticket_prefix, sizeof ticket_prefix - 1);
        (void)msy_base64url_encode(text + sizeof ticket_prefix - 1, bytes.data, bytes.len);
    }
    if (bytes.data != NULL) {
        msy_wipe(bytes.data, bytes.cap);
    }
    msy_buf_fini(&bytes);
    return status == MESHSYNC_OK ? status
                                 : msy_fail(error, status, "the ticket would be too long");
}

static bool ticket_get_text(struct msy_cursor *cursor, char *out, size_t max)
{
    uint16_t len = 0;
    meshsync_bytes bytes;
    if (!msy_cursor_be16(cursor, &len) || len >= max || !msy_cursor_bytes(cursor, len, &bytes) ||
        !msy_utf8_valid(bytes) || (len > 0 && memchr(bytes.data, 0, len) != NULL)) {
        return false;
    }
    memset(out, 0, max);
    if (len > 0) {
        memcpy(out, bytes.data, len);
    }
    return true;
}

static bool ticket_read(struct msy_cursor *cursor, struct msy_ticket *ticket)
{
    uint8_t count = 0;
    if (!msy_cursor_copy(cursor, ticket->space, sizeof ticket->space) ||
        !msy_cursor_copy(cursor, ticket->founder, sizeof ticket->founder) ||
        !msy_cursor_copy(cursor, ticket->nonce, sizeof ticket->nonce) ||
        !msy_cursor_copy(cursor, ticket->discovery, sizeof ticket->discovery) ||
        !msy_cursor_copy(cursor, ticket->invite_seed, sizeof ticket->invite_seed) ||
        !msy_cursor_be64(cursor, &ticket->expires_ms) ||
        !msy_cursor_be32(cursor, &ticket->role) || !msy_cursor_be32(cursor, &ticket->uses_max) ||
        !ticket_get_text(cursor, ticket->name, sizeof ticket->name) ||
        !msy_cursor_u8(cursor, &count) || count > MSY_TICKET_ADDRESSES_MAX) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!ticket_get_text(cursor, ticket->addresses[i], sizeof ticket->addresses[i])) {
            return false;
        }
    }
    ticket->addresses_count = count;
    return msy_cursor_left(cursor) == 0;
}

static meshsync_status ticket_open(meshsync_bytes bytes, struct msy_ticket *ticket,
                                   meshsync_error *error)
{
    struct msy_cursor cursor;
    uint8_t check[16];
    uint8_t space[MESHSYNC_SPACE_ID_BYTES];
    uint8_t version = 0;
    if (bytes.len < 1 + TICKET_CHECK_BYTES) {
        return msy_fail(error, MESHSYNC_E_INVALID, "the ticket is cut short");
    }
    if (bytes.data[0] != TICKET_VERSION) {
        return msy_fail(error, MESHSYNC_E_UNSUPPORTED, "the ticket has version %u",
                        (unsigned)bytes.data[0]);
    }
    meshsync_bytes content = {bytes.data, bytes.len - TICKET_CHECK_BYTES};
    ticket_check_bytes(content.data, content.len, check);
    if (memcmp(check, bytes.data + content.len, TICKET_CHECK_BYTES) != 0) {
        return msy_fail(error, MESHSYNC_E_INVALID,
                        "the ticket's checksum is wrong: it was altered or cut short");
    }
    msy_cursor_init(&cursor, content);
    (void)msy_cursor_u8(&cursor, &version);
    if (!ticket_read(&cursor, ticket)) {
        return msy_fail(error, MESHSYNC_E_INVALID, "the ticket's content is malformed");
    }
    msy_space_id(space, ticket->founder, ticket->nonce);
    return memcmp(space, ticket->space, sizeof space) == 0
               ? MESHSYNC_OK
               : msy_fail(error, MESHSYNC_E_INVALID, "the ticket names no space of its founder");
}

meshsync_status msy_ticket_decode(const char *text, size_t text_len, struct msy_ticket *ticket,
                                  meshsync_error *error)
{
    uint8_t bytes[TICKET_BYTES_MAX];
    size_t len = 0;
    size_t prefix = sizeof ticket_prefix - 1;
    memset(ticket, 0, sizeof *ticket);
    if (text_len < prefix || memcmp(text, ticket_prefix, prefix) != 0) {
        return msy_fail(error, MESHSYNC_E_INVALID, "a ticket begins with \"%s\"", ticket_prefix);
    }
    if (!msy_base64url_decode(text + prefix, text_len - prefix, bytes, sizeof bytes, &len)) {
        return msy_fail(error, MESHSYNC_E_INVALID, "the ticket is not base64url, or too long");
    }
    meshsync_status status = ticket_open((meshsync_bytes){bytes, len}, ticket, error);
    if (status != MESHSYNC_OK) {
        msy_ticket_wipe(ticket);
    }
    msy_wipe(bytes, sizeof bytes);
    return status;
}

static meshsync_bytes ticket_join_bytes(uint8_t out[sizeof join_words - 1 + JOIN_BYTES],
                                        const uint8_t *space, const uint8_t *device)
{
    size_t words = sizeof join_words - 1;
    memcpy(out, join_words, words);
    memcpy(out + words, space, MESHSYNC_SPACE_ID_BYTES);
    memcpy(out + words + MESHSYNC_SPACE_ID_BYTES, device, MSY_SIGN_PUBLIC_BYTES);
    return (meshsync_bytes){out, words + JOIN_BYTES};
}

void msy_ticket_prove(const struct msy_ticket *ticket,
                      const uint8_t device[MSY_SIGN_PUBLIC_BYTES], uint8_t proof[MSY_SIGN_BYTES])
{
    uint8_t message[sizeof join_words - 1 + JOIN_BYTES];
    msy_sign(proof, ticket_join_bytes(message, ticket->space, device), ticket->invite_seed);
}

bool msy_ticket_check(const uint8_t space[MESHSYNC_SPACE_ID_BYTES],
                      const uint8_t invite[MSY_SIGN_PUBLIC_BYTES],
                      const uint8_t device[MSY_SIGN_PUBLIC_BYTES],
                      const uint8_t proof[MSY_SIGN_BYTES])
{
    uint8_t message[sizeof join_words - 1 + JOIN_BYTES];
    return msy_verify(proof, ticket_join_bytes(message, space, device), invite);
}

void msy_ticket_wipe(struct msy_ticket *ticket)
{
    msy_wipe(ticket, sizeof *ticket);
}
