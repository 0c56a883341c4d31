/* SPDX-License-Identifier: Apache-2.0 */
#include "secure/ticket.h"

#include <string.h>

#include "base/error.h"

enum {
    TICKET_VERSION = 1,
    TICKET_CHECK_BYTES = 4,
    TICKET_FIXED_BYTES = 1 + MESHSYNC_SPACE_ID_BYTES + MSY_SIGN_PUBLIC_BYTES +
                         MSY_SPACE_NONCE_BYTES + MSY_SPACE_SECRET_BYTES + MSY_SIGN_SEED_BYTES + 8 +
                         4 + 4,
    TICKET_BYTES_MAX = TICKET_FIXED_BYTES + 2 + MESHSYNC_NAME_BYTES_MAX + 1 +
                       MSY_TICKET_ADDRESSES_MAX * (2 + MSY_TICKET_ADDRESS_BYTES_MAX - 1) +
                       TICKET_CHECK_BYTES,
    JOIN_BYTES = MESHSYNC_SPACE_ID_BYTES + MSY_SIGN_PUBLIC_BYTES
};

static const char ticket_prefix[] = "mst1";
static const char join_words[] = "meshsync join 1";
_Static_assert(TICKET_FIXED_BYTES == 145, "the layout in docs/ticket.md");
_Static_assert(sizeof ticket_prefix + (TICKET_BYTES_MAX + 2) / 3 * 4 <= MSY_TICKET_TEXT_BYTES_MAX,
               "every ticket that is allowed fits");

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

static void ticket_checksum(meshsync_bytes content, uint8_t check[16])
{
    static const char words[] = "meshsync ticket 1";
    const meshsync_bytes parts[] = {{(const uint8_t *)words, sizeof words - 1}, content};
    msy_hash(check, 16, parts, 2);
}

/* ---- What is allowed, for writing and for reading ---- */

static const char *ticket_name_wrong(meshsync_bytes name)
{
    return msy_utf8_valid(name) && (name.len == 0 || memchr(name.data, 0, name.len) == NULL)
               ? NULL
               : "its name is not UTF-8 without zero bytes";
}

/* An address goes into logs and to the resolver: no control characters. */
static const char *ticket_address_wrong(meshsync_bytes address)
{
    bool good = address.len > 0 && msy_utf8_valid(address);
    for (size_t i = 0; good && i < address.len; i++) {
        good = address.data[i] >= 0x20 && address.data[i] != 0x7f;
    }
    return good ? NULL : "an address is empty or not UTF-8 without control characters";
}

/* The id is derived, so a ticket cannot name a space and another founder. */
static const char *ticket_space_wrong(const struct msy_ticket *ticket)
{
    uint8_t space[MESHSYNC_SPACE_ID_BYTES];
    msy_space_id(space, ticket->founder, ticket->nonce);
    return memcmp(space, ticket->space, sizeof space) == 0
               ? NULL
               : "its space id is not that of its founder and nonce";
}

/* ---- Writing, into memory of the right size: no secret is left where a buffer grew ---- */

static void ticket_put(uint8_t *bytes, size_t *len, const void *data, size_t n)
{
    memcpy(bytes + *len, data, n);
    *len += n;
}

static const char *ticket_put_text(uint8_t *bytes, size_t *len, const char *text, size_t max,
                                   const char *(*wrong)(meshsync_bytes))
{
    size_t n = strnlen(text, max);
    if (n == max) {
        return "a text in it has no end";
    }
    const char *words = wrong((meshsync_bytes){(const uint8_t *)text, n});
    if (words == NULL) {
        msy_put_be16(bytes + *len, (uint16_t)n);
        *len += 2;
        ticket_put(bytes, len, text, n);
    }
    return words;
}

/* NULL, or what is wrong with the ticket. */
static const char *ticket_write(const struct msy_ticket *ticket, uint8_t bytes[TICKET_BYTES_MAX],
                                size_t *len)
{
    uint8_t check[16];
    *len = 0;
    bytes[(*len)++] = TICKET_VERSION;
    ticket_put(bytes, len, ticket->space, sizeof ticket->space);
    ticket_put(bytes, len, ticket->founder, sizeof ticket->founder);
    ticket_put(bytes, len, ticket->nonce, sizeof ticket->nonce);
    ticket_put(bytes, len, ticket->discovery, sizeof ticket->discovery);
    ticket_put(bytes, len, ticket->invite_seed, sizeof ticket->invite_seed);
    msy_put_be64(bytes + *len, ticket->expires_ms);
    msy_put_be32(bytes + *len + 8, ticket->role);
    msy_put_be32(bytes + *len + 12, ticket->uses_max);
    *len += 16;
    const char *words = ticket_space_wrong(ticket);
    if (words == NULL) {
        words = ticket_put_text(bytes, len, ticket->name, sizeof ticket->name, ticket_name_wrong);
    }
    bytes[(*len)++] = (uint8_t)ticket->addresses_count;
    for (uint32_t i = 0; words == NULL && i < ticket->addresses_count; i++) {
        words = ticket_put_text(bytes, len, ticket->addresses[i], sizeof ticket->addresses[i],
                                ticket_address_wrong);
    }
    ticket_checksum((meshsync_bytes){bytes, *len}, check);
    ticket_put(bytes, len, check, TICKET_CHECK_BYTES);
    return words;
}

meshsync_status msy_ticket_encode(const struct msy_ticket *ticket, char *text,
                                  meshsync_error *error)
{
    uint8_t bytes[TICKET_BYTES_MAX];
    size_t len = 0;
    text[0] = 0;
    if (ticket->addresses_count > MSY_TICKET_ADDRESSES_MAX) {
        return msy_fail(error, MESHSYNC_E_LIMIT, "a ticket has at most %d addresses, not %u",
                        (int)MSY_TICKET_ADDRESSES_MAX, (unsigned)ticket->addresses_count);
    }
    const char *words = ticket_write(ticket, bytes, &len);
    if (words == NULL) {
        memcpy(text, ticket_prefix, sizeof ticket_prefix - 1);
        (void)msy_base64url_encode(text + sizeof ticket_prefix - 1, bytes, len);
    }
    msy_wipe(bytes, sizeof bytes);
    return words == NULL ? MESHSYNC_OK
                         : msy_fail(error, MESHSYNC_E_INVALID, "no ticket: %s", words);
}

/* ---- Reading ---- */

/* False: the bytes ended before the text. */
static bool ticket_get_text(struct msy_cursor *cursor, meshsync_bytes *text)
{
    uint16_t len = 0;
    return msy_cursor_be16(cursor, &len) && msy_cursor_bytes(cursor, len, text);
}

/* Texts stay where they are: what is in them is looked at when the checksum is known to be right.
 * False: the bytes ended too early. */
static bool ticket_read(struct msy_cursor *cursor, struct msy_ticket *ticket, meshsync_bytes *name,
                        meshsync_bytes addresses[MSY_TICKET_ADDRESSES_MAX])
{
    uint8_t count = 0;
    if (!msy_cursor_copy(cursor, ticket->space, sizeof ticket->space) ||
        !msy_cursor_copy(cursor, ticket->founder, sizeof ticket->founder) ||
        !msy_cursor_copy(cursor, ticket->nonce, sizeof ticket->nonce) ||
        !msy_cursor_copy(cursor, ticket->discovery, sizeof ticket->discovery) ||
        !msy_cursor_copy(cursor, ticket->invite_seed, sizeof ticket->invite_seed) ||
        !msy_cursor_be64(cursor, &ticket->expires_ms) || !msy_cursor_be32(cursor, &ticket->role) ||
        !msy_cursor_be32(cursor, &ticket->uses_max) || !ticket_get_text(cursor, name) ||
        !msy_cursor_u8(cursor, &count)) {
        return false;
    }
    ticket->addresses_count = count;
    for (uint32_t i = 0; i < count && i < MSY_TICKET_ADDRESSES_MAX; i++) {
        if (!ticket_get_text(cursor, &addresses[i])) {
            return false;
        }
    }
    return true;
}

/* NULL, or what is wrong. The ticket is all zeros where nothing is put. */
static const char *ticket_keep_texts(struct msy_ticket *ticket, meshsync_bytes name,
                                     const meshsync_bytes addresses[MSY_TICKET_ADDRESSES_MAX])
{
    const char *words = ticket_name_wrong(name);
    if (words != NULL || name.len >= sizeof ticket->name) {
        return words != NULL ? words : "its name is too long";
    }
    if (name.len > 0) {
        memcpy(ticket->name, name.data, name.len);
    }
    for (uint32_t i = 0; i < ticket->addresses_count; i++) {
        words = ticket_address_wrong(addresses[i]);
        if (words != NULL || addresses[i].len >= sizeof ticket->addresses[i]) {
            return words != NULL ? words : "an address is too long";
        }
        memcpy(ticket->addresses[i], addresses[i].data, addresses[i].len);
    }
    return ticket_space_wrong(ticket);
}

static bool ticket_checksum_good(meshsync_bytes bytes)
{
    uint8_t check[16];
    if (bytes.len < TICKET_CHECK_BYTES) {
        return false;
    }
    meshsync_bytes content = {bytes.data, bytes.len - TICKET_CHECK_BYTES};
    ticket_checksum(content, check);
    return msy_secret_equal(check, content.data + content.len, TICKET_CHECK_BYTES);
}

/* NULL, or what is wrong. The version is known already. */
static const char *ticket_open(meshsync_bytes bytes, struct msy_ticket *ticket)
{
    struct msy_cursor cursor;
    meshsync_bytes name = {NULL, 0};
    meshsync_bytes addresses[MSY_TICKET_ADDRESSES_MAX] = {{NULL, 0}};
    uint8_t version = 0;
    msy_cursor_init(&cursor, bytes);
    (void)msy_cursor_u8(&cursor, &version);
    bool whole = ticket_read(&cursor, ticket, &name, addresses) &&
                 msy_cursor_left(&cursor) >= TICKET_CHECK_BYTES;
    if (!ticket_checksum_good(bytes)) {
        return whole ? "it was altered: its checksum is wrong"
                     : "it ends too early: it was cut short or altered";
    }
    if (ticket->addresses_count > MSY_TICKET_ADDRESSES_MAX) {
        return "it has too many addresses";
    }
    if (!whole || msy_cursor_left(&cursor) != TICKET_CHECK_BYTES) {
        return "its fields do not fill it";
    }
    return ticket_keep_texts(ticket, name, addresses);
}

/* NULL, or what is wrong with the text. */
static const char *ticket_text_wrong(const char *text, size_t text_len,
                                     uint8_t bytes[TICKET_BYTES_MAX], size_t *len)
{
    size_t prefix = sizeof ticket_prefix - 1;
    if (text_len <= prefix) {
        return "it ends too early: it was cut short";
    }
    if (text_len - prefix > (TICKET_BYTES_MAX * 4 + 2) / 3) {
        return "it is too long";
    }
    return msy_base64url_decode(text + prefix, text_len - prefix, bytes, TICKET_BYTES_MAX, len)
               ? NULL
               : "it is not base64url: it was cut short or altered";
}

meshsync_status msy_ticket_decode(const char *text, size_t text_len, struct msy_ticket *ticket,
                                  meshsync_error *error)
{
    uint8_t bytes[TICKET_BYTES_MAX];
    size_t len = 0;
    size_t common = sizeof ticket_prefix - 2; /* The digit is the version of the text form. */
    memset(ticket, 0, sizeof *ticket);
    if (text_len <= common || memcmp(text, ticket_prefix, common) != 0) {
        return msy_fail(error, MESHSYNC_E_INVALID, "a ticket begins with \"%s\"", ticket_prefix);
    }
    if (text[common] != ticket_prefix[common] && text[common] >= '0' && text[common] <= '9') {
        return msy_fail(error, MESHSYNC_E_UNSUPPORTED, "the ticket's form is \"%.4s\", not \"%s\"",
                        text, ticket_prefix);
    }
    if (text[common] != ticket_prefix[common]) {
        return msy_fail(error, MESHSYNC_E_INVALID, "a ticket begins with \"%s\"", ticket_prefix);
    }
    meshsync_status status = MESHSYNC_OK;
    const char *words = ticket_text_wrong(text, text_len, bytes, &len);
    if (words == NULL && bytes[0] != TICKET_VERSION) {
        status = msy_fail(error, MESHSYNC_E_UNSUPPORTED, "the ticket has version %u, this knows %d",
                          (unsigned)bytes[0], (int)TICKET_VERSION);
    } else if (words == NULL) {
        words = ticket_open((meshsync_bytes){bytes, len}, ticket);
    }
    if (words != NULL) {
        status = msy_fail(error, MESHSYNC_E_INVALID, "the ticket is not good: %s", words);
    }
    if (status != MESHSYNC_OK) {
        msy_ticket_wipe(ticket);
    }
    msy_wipe(bytes, len);
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

void msy_ticket_prove(const struct msy_ticket *ticket, const uint8_t device[MSY_SIGN_PUBLIC_BYTES],
                      uint8_t proof[MSY_SIGN_BYTES])
{
    uint8_t message[sizeof join_words - 1 + JOIN_BYTES];
    msy_sign(proof, ticket_join_bytes(message, ticket->space, device), ticket->invite_seed);
}

bool msy_ticket_check_once(struct msy_verified *verified,
                           const uint8_t space[MESHSYNC_SPACE_ID_BYTES],
                           const uint8_t invite[MSY_SIGN_PUBLIC_BYTES],
                           const uint8_t device[MSY_SIGN_PUBLIC_BYTES],
                           const uint8_t proof[MSY_SIGN_BYTES])
{
    uint8_t message[sizeof join_words - 1 + JOIN_BYTES];
    return msy_verify_once(verified, proof, ticket_join_bytes(message, space, device), invite);
}

bool msy_ticket_check(const uint8_t space[MESHSYNC_SPACE_ID_BYTES],
                      const uint8_t invite[MSY_SIGN_PUBLIC_BYTES],
                      const uint8_t device[MSY_SIGN_PUBLIC_BYTES],
                      const uint8_t proof[MSY_SIGN_BYTES])
{
    return msy_ticket_check_once(NULL, space, invite, device, proof);
}

void msy_ticket_wipe(struct msy_ticket *ticket)
{
    msy_wipe(ticket, sizeof *ticket);
}
