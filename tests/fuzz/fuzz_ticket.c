/* SPDX-License-Identifier: Apache-2.0 */
/* Shows that no text makes the ticket decoder read or write where it must not, and that whatever it
 * takes is exactly what the encoder writes. The first byte of an input says whether the rest is a
 * text as it is, or content that gets the right checksum and id, so that it comes further. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "secure/ticket.h"

enum {
    PREFIX_BYTES = 4,
    CHECK_BYTES = 4,
    CONTENT_BYTES_MAX = 3000,
    SPACE_AT = 1,
    FOUNDER_AT = 17,
    NONCE_AT = 49,
    IDS_END = 65
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int good)
{
    if (!good) {
        abort();
    }
}

static void take(const char *text, size_t len)
{
    static const struct msy_ticket zeros;
    struct msy_ticket ticket;
    char again[MSY_TICKET_TEXT_BYTES_MAX];
    meshsync_error error;
    memset(&error, 0, sizeof error);
    meshsync_status status = msy_ticket_decode(text, len, &ticket, &error);
    if (status == MESHSYNC_OK) {
        must(msy_ticket_encode(&ticket, again, &error) == MESHSYNC_OK);
        must(strlen(again) == len && memcmp(again, text, len) == 0);
        return;
    }
    must(status == MESHSYNC_E_INVALID || status == MESHSYNC_E_UNSUPPORTED);
    must(error.status == status && error.message[0] != 0);
    must(memcmp(&ticket, &zeros, sizeof ticket) == 0);
}

static void take_content(const uint8_t *data, size_t size)
{
    static const char words[] = "meshsync ticket 1";
    uint8_t bytes[CONTENT_BYTES_MAX + CHECK_BYTES];
    uint8_t check[16];
    char text[2 * CONTENT_BYTES_MAX] = "mst1";
    size_t len = size < CONTENT_BYTES_MAX ? size : CONTENT_BYTES_MAX;
    memcpy(bytes, data, len);
    if (len >= IDS_END) {
        msy_space_id(bytes + SPACE_AT, bytes + FOUNDER_AT, bytes + NONCE_AT);
    }
    const meshsync_bytes parts[] = {{(const uint8_t *)words, sizeof words - 1}, {bytes, len}};
    msy_hash(check, sizeof check, parts, 2);
    memcpy(bytes + len, check, CHECK_BYTES);
    size_t n = msy_base64url_encode(text + PREFIX_BYTES, bytes, len + CHECK_BYTES);
    take(text, PREFIX_BYTES + n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || msy_crypto_init() != MESHSYNC_OK) {
        return 0;
    }
    if (data[0] % 2 == 0) {
        char *text = malloc(size); /* Of its own size, so that reading behind it is seen. */
        if (text != NULL) {
            memcpy(text, data + 1, size - 1);
            take(text, size - 1);
            free(text);
        }
    } else {
        take_content(data + 1, size - 1);
    }
    return 0;
}
