/* SPDX-License-Identifier: Apache-2.0 */
/* Shows that a ticket says the same on both sides, has one form only, and that whatever was cut,
 * altered or made by others is refused with words that say what is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "secure/ticket.h"
#include "unit/secure/secure_kit.h"

enum {
    NAME_AT = 145, /* Where the fixed fields end. */
    BYTES_MAX = 3072,
    PREFIX_BYTES = 4,
    CHECK_BYTES = 4
};

static void fill(uint8_t *out, size_t n, uint8_t first)
{
    for (size_t i = 0; i < n; i++) {
        out[i] = (uint8_t)(first + i);
    }
}

static void ticket_make(struct msy_ticket *ticket)
{
    memset(ticket, 0, sizeof *ticket);
    fill(ticket->founder, sizeof ticket->founder, 0x10);
    fill(ticket->nonce, sizeof ticket->nonce, 0x40);
    fill(ticket->discovery, sizeof ticket->discovery, 0x60);
    fill(ticket->invite_seed, sizeof ticket->invite_seed, 0x90);
    msy_space_id(ticket->space, ticket->founder, ticket->nonce);
    ticket->expires_ms = UINT64_C(0x0102030405060708);
    ticket->role = 0x0a0b0c0d;
    ticket->uses_max = 3;
    ticket->addresses_count = 2;
    (void)snprintf(ticket->addresses[0], sizeof ticket->addresses[0], "[::1]:7000");
    (void)snprintf(ticket->addresses[1], sizeof ticket->addresses[1], "node.example:1");
    (void)snprintf(ticket->name, sizeof ticket->name, "notes");
}

static size_t ticket_bytes(const struct msy_ticket *ticket, uint8_t bytes[BYTES_MAX])
{
    char text[MSY_TICKET_TEXT_BYTES_MAX];
    size_t len = 0;
    assert_int_equal(msy_ticket_encode(ticket, text, NULL), MESHSYNC_OK);
    assert_memory_equal(text, "mst1", PREFIX_BYTES);
    assert_true(msy_base64url_decode(text + PREFIX_BYTES, strlen(text) - PREFIX_BYTES, bytes,
                                     BYTES_MAX, &len));
    return len;
}

/* What others might make: any content with a checksum that is right. */
static meshsync_status decode_content(const uint8_t *content, size_t len, struct msy_ticket *ticket,
                                      meshsync_error *error)
{
    static const char words[] = "meshsync ticket 1";
    uint8_t bytes[BYTES_MAX];
    uint8_t check[16];
    char text[2 * BYTES_MAX] = "mst1";
    const meshsync_bytes parts[] = {{(const uint8_t *)words, sizeof words - 1}, {content, len}};
    msy_hash(check, sizeof check, parts, 2);
    memcpy(bytes, content, len);
    memcpy(bytes + len, check, CHECK_BYTES);
    (void)msy_base64url_encode(text + PREFIX_BYTES, bytes, len + CHECK_BYTES);
    return msy_ticket_decode(text, strlen(text), ticket, error);
}

static void assert_refused(const uint8_t *content, size_t len, const char *words)
{
    static const struct msy_ticket zeros;
    struct msy_ticket ticket;
    meshsync_error error;
    assert_int_equal(decode_content(content, len, &ticket, &error), MESHSYNC_E_INVALID);
    if (strstr(error.message, words) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", error.message, words);
    }
    assert_memory_equal(&ticket, &zeros, sizeof ticket);
}

static void assert_round_trip(const struct msy_ticket *ticket)
{
    char text[MSY_TICKET_TEXT_BYTES_MAX];
    char again[MSY_TICKET_TEXT_BYTES_MAX];
    struct msy_ticket back;
    meshsync_error error;
    assert_int_equal(msy_ticket_encode(ticket, text, &error), MESHSYNC_OK);
    assert_int_equal(msy_ticket_decode(text, strlen(text), &back, &error), MESHSYNC_OK);
    assert_memory_equal(&back, ticket, sizeof back);
    assert_int_equal(msy_ticket_encode(&back, again, &error), MESHSYNC_OK);
    assert_string_equal(text, again);
}

static void what_goes_in_comes_out(void **state)
{
    (void)state;
    struct msy_ticket ticket;
    ticket_make(&ticket);
    assert_round_trip(&ticket);
    memset(ticket.addresses, 0, sizeof ticket.addresses);
    memset(ticket.name, 0, sizeof ticket.name);
    ticket.addresses_count = 0;
    ticket.expires_ms = 0;
    ticket.role = 0;
    ticket.uses_max = 0;
    assert_round_trip(&ticket);
    memset(ticket.name, 'n', sizeof ticket.name - 1);
    ticket.addresses_count = MSY_TICKET_ADDRESSES_MAX;
    for (size_t i = 0; i < MSY_TICKET_ADDRESSES_MAX; i++) {
        memset(ticket.addresses[i], 'a', sizeof ticket.addresses[i] - 1);
    }
    ticket.role = UINT32_MAX;
    ticket.uses_max = UINT32_MAX;
    ticket.expires_ms = UINT64_MAX;
    assert_round_trip(&ticket);
}

/* The layout of docs/ticket.md, byte by byte. */
static void the_bytes_are_as_documented(void **state)
{
    (void)state;
    static const uint8_t numbers[] = {1,  2,  3,  4,  5, 6, 7, 8, /* expires_ms */
                                      10, 11, 12, 13, 0, 0, 0, 3};
    static const char texts[] = "\000\005notes\002\000\012[::1]:7000\000\016node.example:1";
    static const char words[] = "meshsync ticket 1";
    struct msy_ticket ticket;
    uint8_t bytes[BYTES_MAX];
    uint8_t check[16];
    ticket_make(&ticket);
    size_t len = ticket_bytes(&ticket, bytes);
    assert_int_equal(len, NAME_AT + sizeof texts - 1 + CHECK_BYTES);
    assert_int_equal(bytes[0], 1);
    assert_memory_equal(bytes + 1, ticket.space, 16);
    assert_memory_equal(bytes + 17, ticket.founder, 32);
    assert_memory_equal(bytes + 49, ticket.nonce, 16);
    assert_memory_equal(bytes + 65, ticket.discovery, 32);
    assert_memory_equal(bytes + 97, ticket.invite_seed, 32);
    assert_memory_equal(bytes + 129, numbers, 16);
    assert_memory_equal(bytes + NAME_AT, texts, sizeof texts - 1);
    const meshsync_bytes parts[] = {{(const uint8_t *)words, sizeof words - 1},
                                    {bytes, len - CHECK_BYTES}};
    msy_hash(check, sizeof check, parts, 2);
    assert_memory_equal(bytes + len - CHECK_BYTES, check, CHECK_BYTES);
}

/* Pinned: a ticket that was printed once has to open for ever. */
static void a_ticket_of_this_version_still_opens(void **state)
{
    (void)state;
    static const char text[] =
        "mst1Ab8x3BuGoN64pfIQJfTl7WEQERITFBUWFxgZGhscHR4fICEiIyQlJicoKSorLC0uL0BBQkNE"
        "RUZHSElKS0xNTk9gYWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXp7fH1-f5CRkpOUlZaXmJmam5yd"
        "np-goaKjpKWmp6ipqqusra6vAQIDBAUGBwgKCwwNAAAAAwAFbm90ZXMCAApbOjoxXTo3MDAwAA5u"
        "b2RlLmV4YW1wbGU6MXMV0ZI";
    struct msy_ticket wanted;
    struct msy_ticket ticket;
    meshsync_error error;
    ticket_make(&wanted);
    assert_int_equal(msy_ticket_decode(text, sizeof text - 1, &ticket, &error), MESHSYNC_OK);
    assert_memory_equal(&ticket, &wanted, sizeof ticket);
}

/* H(16; "meshsync space 1", founder, nonce), worked out by another implementation. */
static void the_id_of_a_space_is_as_documented(void **state)
{
    (void)state;
    struct msy_ticket ticket;
    uint8_t wanted[MESHSYNC_SPACE_ID_BYTES];
    ticket_make(&ticket);
    assert_int_equal(kit_hex("bf31dc1b86a0deb8a5f21025f4e5ed61", wanted, sizeof wanted),
                     sizeof wanted);
    assert_memory_equal(ticket.space, wanted, sizeof wanted);
}

static void every_altered_character_is_found(void **state)
{
    (void)state;
    static const char alphabet[] = "Ab0-_=+ \n";
    static const struct msy_ticket zeros;
    struct msy_ticket ticket;
    char text[MSY_TICKET_TEXT_BYTES_MAX];
    meshsync_error error;
    ticket_make(&ticket);
    assert_int_equal(msy_ticket_encode(&ticket, text, &error), MESHSYNC_OK);
    size_t len = strlen(text);
    for (size_t at = 0; at < len; at++) {
        for (size_t i = 0; i < sizeof alphabet; i++) { /* Its final zero is tried, too. */
            char was = text[at];
            if (was == alphabet[i]) {
                continue;
            }
            text[at] = alphabet[i];
            meshsync_status status = msy_ticket_decode(text, len, &ticket, &error);
            bool version = at >= PREFIX_BYTES - 1 && at < PREFIX_BYTES + 2;
            assert_true(status == MESHSYNC_E_INVALID ||
                        (version && status == MESHSYNC_E_UNSUPPORTED));
            assert_memory_equal(&ticket, &zeros, sizeof ticket);
            text[at] = was;
        }
    }
}

static void every_flipped_bit_is_found(void **state)
{
    (void)state;
    struct msy_ticket ticket;
    uint8_t bytes[BYTES_MAX];
    ticket_make(&ticket);
    size_t len = ticket_bytes(&ticket, bytes);
    for (size_t bit = 0; bit < 8 * len; bit++) {
        char text[MSY_TICKET_TEXT_BYTES_MAX] = "mst1";
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        (void)msy_base64url_encode(text + PREFIX_BYTES, bytes, len);
        assert_int_equal(msy_ticket_decode(text, strlen(text), &ticket, NULL),
                         bit < 8 ? MESHSYNC_E_UNSUPPORTED : MESHSYNC_E_INVALID);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

static void a_ticket_that_is_cut_short_says_so(void **state)
{
    (void)state;
    struct msy_ticket ticket;
    char text[MSY_TICKET_TEXT_BYTES_MAX];
    meshsync_error error;
    ticket_make(&ticket);
    assert_int_equal(msy_ticket_encode(&ticket, text, &error), MESHSYNC_OK);
    size_t len = strlen(text);
    for (size_t keep = 0; keep < len; keep++) {
        assert_int_equal(msy_ticket_decode(text, keep, &ticket, &error), MESHSYNC_E_INVALID);
        const char *words = keep < PREFIX_BYTES ? "begins with" : "cut short";
        if (strstr(error.message, words) == NULL) {
            fail_msg("%zu characters: \"%s\"", keep, error.message);
        }
    }
    text[len] = 'A';
    assert_int_equal(msy_ticket_decode(text, len + 1, &ticket, &error), MESHSYNC_E_INVALID);
    text[len + 1] = 'A';
    assert_int_equal(msy_ticket_decode(text, len + 2, &ticket, &error), MESHSYNC_E_INVALID);
}

static void other_versions_are_told_apart_from_damage(void **state)
{
    (void)state;
    struct msy_ticket ticket;
    uint8_t bytes[BYTES_MAX];
    char text[MSY_TICKET_TEXT_BYTES_MAX];
    char most[MSY_TICKET_TEXT_BYTES_MAX];
    meshsync_error error;
    ticket_make(&ticket);
    size_t len = ticket_bytes(&ticket, bytes) - CHECK_BYTES;
    bytes[0] = 2;
    assert_int_equal(decode_content(bytes, len, &ticket, &error), MESHSYNC_E_UNSUPPORTED);
    assert_non_null(strstr(error.message, "version 2"));
    ticket_make(&ticket);
    assert_int_equal(msy_ticket_encode(&ticket, text, NULL), MESHSYNC_OK);
    text[3] = '2';
    assert_int_equal(msy_ticket_decode(text, strlen(text), &ticket, &error),
                     MESHSYNC_E_UNSUPPORTED);
    assert_non_null(strstr(error.message, "mst2"));
    assert_int_equal(msy_ticket_decode("mst2", 4, &ticket, NULL), MESHSYNC_E_UNSUPPORTED);
    assert_int_equal(msy_ticket_decode("http://x", 8, &ticket, &error), MESHSYNC_E_INVALID);
    assert_non_null(strstr(error.message, "mst1"));
    assert_int_equal(msy_ticket_decode("mst1", 4, &ticket, NULL), MESHSYNC_E_INVALID);
    assert_int_equal(msy_ticket_decode(NULL, 0, &ticket, NULL), MESHSYNC_E_INVALID);
    memset(most, 'A', sizeof most);
    memcpy(most, "mst1", PREFIX_BYTES);
    assert_int_equal(msy_ticket_decode(most, sizeof most, &ticket, &error), MESHSYNC_E_INVALID);
    assert_non_null(strstr(error.message, "too long"));
}

/* Content that only somebody who can compute a checksum makes. */
static void fields_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    struct msy_ticket ticket;
    uint8_t bytes[BYTES_MAX];
    ticket_make(&ticket);
    size_t len = ticket_bytes(&ticket, bytes) - CHECK_BYTES;
    size_t count_at = NAME_AT + 2 + strlen(ticket.name);
    assert_int_equal(decode_content(bytes, len, &ticket, NULL), MESHSYNC_OK);
    bytes[1] ^= 1u;
    assert_refused(bytes, len, "space id");
    bytes[1] ^= 1u;
    bytes[17] ^= 1u;
    assert_refused(bytes, len, "space id");
    bytes[17] ^= 1u;
    bytes[NAME_AT + 2] = 0;
    assert_refused(bytes, len, "name");
    bytes[NAME_AT + 2] = 0xff;
    assert_refused(bytes, len, "name");
    bytes[NAME_AT + 2] = 'n';
    bytes[count_at] = MSY_TICKET_ADDRESSES_MAX + 1;
    assert_refused(bytes, len, "too many addresses");
    bytes[count_at] = 1;
    assert_refused(bytes, len, "do not fill");
    bytes[count_at] = 3;
    assert_refused(bytes, len, "do not fill");
    bytes[count_at] = 2;
    bytes[count_at + 3] = '\n';
    assert_refused(bytes, len, "address");
    bytes[count_at + 3] = 0x7f;
    assert_refused(bytes, len, "address");
    bytes[count_at + 3] = '[';
    assert_refused(bytes, len + 1, "do not fill");
    assert_refused(bytes, len - 1, "do not fill");
    assert_refused(bytes, 1, "do not fill");
}

static void texts_of_wrong_lengths_are_refused(void **state)
{
    (void)state;
    struct msy_ticket ticket;
    uint8_t bytes[BYTES_MAX];
    ticket_make(&ticket);
    ticket.addresses_count = 0;
    memset(ticket.addresses, 0, sizeof ticket.addresses);
    (void)ticket_bytes(&ticket, bytes);
    memset(bytes + NAME_AT, 'n', 100);
    msy_put_be16(bytes + NAME_AT, MESHSYNC_NAME_BYTES_MAX + 1);
    bytes[NAME_AT + 2 + MESHSYNC_NAME_BYTES_MAX + 1] = 0;
    assert_refused(bytes, NAME_AT + 2 + MESHSYNC_NAME_BYTES_MAX + 2, "name is too long");
    msy_put_be16(bytes + NAME_AT, 0);
    bytes[NAME_AT + 2] = 1;
    msy_put_be16(bytes + NAME_AT + 3, 0);
    assert_refused(bytes, NAME_AT + 5, "empty");
    msy_put_be16(bytes + NAME_AT + 3, MSY_TICKET_ADDRESS_BYTES_MAX);
    memset(bytes + NAME_AT + 5, 'a', MSY_TICKET_ADDRESS_BYTES_MAX);
    assert_refused(bytes, NAME_AT + 5 + MSY_TICKET_ADDRESS_BYTES_MAX, "address is too long");
}

static void assert_not_encoded(const struct msy_ticket *ticket, meshsync_status wanted)
{
    char text[MSY_TICKET_TEXT_BYTES_MAX] = "before";
    meshsync_error error;
    assert_int_equal(msy_ticket_encode(ticket, text, &error), wanted);
    assert_string_equal(text, "");
    assert_true(error.message[0] != 0);
}

/* What encoding lets through, decoding takes: so encoding refuses the same. */
static void what_could_not_be_read_is_not_written(void **state)
{
    (void)state;
    struct msy_ticket ticket;
    ticket_make(&ticket);
    ticket.addresses_count = MSY_TICKET_ADDRESSES_MAX + 1;
    assert_not_encoded(&ticket, MESHSYNC_E_LIMIT);
    ticket_make(&ticket);
    ticket.space[0] ^= 1u;
    assert_not_encoded(&ticket, MESHSYNC_E_INVALID);
    ticket_make(&ticket);
    memset(ticket.name, 'n', sizeof ticket.name);
    assert_not_encoded(&ticket, MESHSYNC_E_INVALID);
    ticket_make(&ticket);
    ticket.name[0] = (char)0xc0;
    assert_not_encoded(&ticket, MESHSYNC_E_INVALID);
    ticket_make(&ticket);
    memset(ticket.addresses[1], 'a', sizeof ticket.addresses[1]);
    assert_not_encoded(&ticket, MESHSYNC_E_INVALID);
    ticket_make(&ticket);
    ticket.addresses[1][0] = 0;
    assert_not_encoded(&ticket, MESHSYNC_E_INVALID);
    ticket_make(&ticket);
    ticket.addresses[0][3] = '\r';
    assert_not_encoded(&ticket, MESHSYNC_E_INVALID);
}

/* The proof is for one device in one space by one invitation. */
static void a_proof_lets_in_whom_it_names(void **state)
{
    (void)state;
    struct msy_ticket ticket;
    uint8_t invite[MSY_SIGN_PUBLIC_BYTES];
    uint8_t device[MSY_SIGN_PUBLIC_BYTES] = {5};
    uint8_t proof[MSY_SIGN_BYTES];
    ticket_make(&ticket);
    msy_sign_public(invite, ticket.invite_seed);
    msy_ticket_prove(&ticket, device, proof);
    assert_true(msy_ticket_check(ticket.space, invite, device, proof));
    device[0] ^= 1u;
    assert_false(msy_ticket_check(ticket.space, invite, device, proof));
    device[0] ^= 1u;
    ticket.space[0] ^= 1u;
    assert_false(msy_ticket_check(ticket.space, invite, device, proof));
    ticket.space[0] ^= 1u;
    proof[0] ^= 1u;
    assert_false(msy_ticket_check(ticket.space, invite, device, proof));
    proof[0] ^= 1u;
    ticket.invite_seed[0] ^= 1u;
    msy_sign_public(invite, ticket.invite_seed);
    assert_false(msy_ticket_check(ticket.space, invite, device, proof));
    static const struct msy_ticket zeros;
    msy_ticket_wipe(&ticket);
    assert_memory_equal(&ticket, &zeros, sizeof ticket);
}

static int start(void **state)
{
    (void)state;
    return msy_crypto_init() == MESHSYNC_OK ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_goes_in_comes_out),
        cmocka_unit_test(the_bytes_are_as_documented),
        cmocka_unit_test(a_ticket_of_this_version_still_opens),
        cmocka_unit_test(the_id_of_a_space_is_as_documented),
        cmocka_unit_test(every_altered_character_is_found),
        cmocka_unit_test(every_flipped_bit_is_found),
        cmocka_unit_test(a_ticket_that_is_cut_short_says_so),
        cmocka_unit_test(other_versions_are_told_apart_from_damage),
        cmocka_unit_test(fields_that_make_no_sense_are_refused),
        cmocka_unit_test(texts_of_wrong_lengths_are_refused),
        cmocka_unit_test(what_could_not_be_read_is_not_written),
        cmocka_unit_test(a_proof_lets_in_whom_it_names),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
