/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding nodes of the same local network (docs/protocol.md, section 11): datagrams that say, to
 * who knows the discovery secret of a space and to nobody else, that a member listens here.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mesh/machine.h"

enum {
    BEACON_NONCE_BYTES = 16,
    BEACON_COUNT_AT = 4 + BEACON_NONCE_BYTES + 2,
    BEACON_HEAD_BYTES = BEACON_COUNT_AT + 1,
    BEACON_MARKS_MIN = 8,
    BEACON_MARKS_MAX = 32,
    BEACON_BYTES_MAX = BEACON_HEAD_BYTES + BEACON_MARKS_MAX * MSY_BLIND_BYTES
};

static const uint8_t beacon_magic[4] = {'m', 's', 'b', 1};
static const char beacon_label[] = "meshsync beacon 1";

/* The mark of a space in a beacon with this head (magic, nonce, port) that is sent from host. */
static void beacon_mark(const struct msy_mesh_space *space, const uint8_t *head, const char *host,
                        uint8_t mark[MSY_BLIND_BYTES])
{
    const meshsync_bytes parts[3] = {
        {(const uint8_t *)beacon_label, sizeof beacon_label - 1},
        {head, BEACON_COUNT_AT},
        {(const uint8_t *)host, strlen(host)},
    };
    msy_hash_keyed(mark, MSY_BLIND_BYTES,
                   (meshsync_bytes){space->discovery, sizeof space->discovery}, parts, 3);
}

/* The port at which a host's listeners take links; 0: none does. */
static uint16_t beacon_port(const struct msy_mesh *mesh, const char *host)
{
    for (uint32_t i = 0; i < mesh->listening_count; i++) {
        const char *text = mesh->listening[i];
        size_t len = msy_mesh_address_host(text);
        const unsigned long port = len > 0 ? strtoul(text + len + 1, NULL, 10) : 0;
        if (len > 0 && port <= UINT16_MAX &&
            (msy_mesh_address_is_any(text) ||
             (len == strlen(host) && memcmp(text, host, len) == 0))) {
            return (uint16_t)port;
        }
    }
    return 0;
}

void msy_beacon_start(struct msy_mesh *mesh)
{
    mesh->beacon_wait_ms = MSY_BEACON_MS_MIN;
    mesh->beacon_at_ms = mesh->now_ms;
}

void msy_beacon_due(struct msy_mesh *mesh)
{
    uint64_t most_ms = msy_session_count(mesh) > 0 ? MSY_BEACON_MS_MAX : MSY_BEACON_LONELY_MS_MAX;
    uint64_t wait_ms = msy_min_u64(mesh->beacon_wait_ms, most_ms);
    if (mesh->stopping) {
        mesh->beacon_at_ms = MSY_NEVER;
        return;
    }
    mesh->entropy.fill(mesh->entropy.user, mesh->beacon_nonce, sizeof mesh->beacon_nonce);
    mesh->beacon_cursor += BEACON_MARKS_MAX; /* With very many spaces they take turns. */
    mesh->beacon_wait_ms = wait_ms * 2;
    mesh->beacon_at_ms = mesh->now_ms + wait_ms / 2 + msy_prng_below(&mesh->prng, wait_ms);
    (void)msy_effect_add(mesh, MSY_MESH_BEACON_DUE);
}

static int beacon_compare(const void *a, const void *b)
{
    return memcmp(a, b, MSY_BLIND_BYTES);
}

void msy_beacon_make(struct msy_mesh *mesh, const char *host)
{
    uint32_t count = mesh->spaces_count < BEACON_MARKS_MAX ? mesh->spaces_count : BEACON_MARKS_MAX;
    uint32_t padded = BEACON_MARKS_MIN;
    uint16_t port = beacon_port(mesh, host);
    if (port == 0 || count == 0) {
        return; /* Others find nothing here; we still find them. */
    }
    while (padded < count) {
        padded *= 2;
    }
    size_t len = BEACON_HEAD_BYTES + (size_t)padded * MSY_BLIND_BYTES;
    struct msy_mesh_effect *effect = msy_effect_add(mesh, MSY_MESH_BEACON);
    uint8_t *bytes = effect != NULL ? msy_effect_room(mesh, len) : NULL;
    if (bytes == NULL) {
        mesh->effects->count -= effect != NULL ? 1 : 0;
        return;
    }
    memcpy(bytes, beacon_magic, sizeof beacon_magic);
    memcpy(bytes + sizeof beacon_magic, mesh->beacon_nonce, BEACON_NONCE_BYTES);
    msy_put_be16(bytes + BEACON_COUNT_AT - 2, port);
    bytes[BEACON_COUNT_AT] = (uint8_t)padded;
    uint8_t *marks = bytes + BEACON_HEAD_BYTES;
    mesh->entropy.fill(mesh->entropy.user, marks, (size_t)padded * MSY_BLIND_BYTES);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = mesh->spaces_count > BEACON_MARKS_MAX
                          ? (mesh->beacon_cursor + i) % mesh->spaces_count
                          : i;
        beacon_mark(mesh->spaces[at], bytes, host, marks + (size_t)i * MSY_BLIND_BYTES);
    }
    qsort(marks, padded, MSY_BLIND_BYTES, beacon_compare);
    effect->bytes = (meshsync_bytes){bytes, len};
}

/* Looking at a beacon costs a hash for each space: a flood of them must not cost more. */
static bool beacon_in_time(struct msy_mesh *mesh)
{
    if (mesh->now_ms - mesh->beacons_since_ms >= 1000) {
        mesh->beacons_since_ms = mesh->now_ms;
        mesh->beacons_count = 0;
    }
    mesh->beacons_count += 1;
    return mesh->beacons_count <= MSY_BEACONS_PER_S_MAX;
}

static bool beacon_is_ours(const struct msy_mesh *mesh, meshsync_bytes bytes, const char *host)
{
    uint8_t mark[MSY_BLIND_BYTES];
    for (uint32_t i = 0; i < mesh->spaces_count; i++) {
        beacon_mark(mesh->spaces[i], bytes.data, host, mark);
        for (size_t at = BEACON_HEAD_BYTES; at < bytes.len; at += MSY_BLIND_BYTES) {
            if (msy_secret_equal(mark, bytes.data + at, sizeof mark)) {
                return true;
            }
        }
    }
    return false;
}

void msy_beacon_on(struct msy_mesh *mesh, const char *host, meshsync_bytes bytes)
{
    char text[MSY_ADDRESS_BYTES_MAX];
    if (bytes.len < BEACON_HEAD_BYTES || bytes.len > BEACON_BYTES_MAX ||
        memcmp(bytes.data, beacon_magic, sizeof beacon_magic) != 0 ||
        bytes.len != BEACON_HEAD_BYTES + (size_t)bytes.data[BEACON_COUNT_AT] * MSY_BLIND_BYTES ||
        memcmp(bytes.data + sizeof beacon_magic, mesh->beacon_nonce, BEACON_NONCE_BYTES) == 0) {
        return; /* Anybody may send anything here; our own come back, too. */
    }
    int len = snprintf(text, sizeof text, "%s:%u", host,
                       (unsigned)msy_get_be16(bytes.data + BEACON_COUNT_AT - 2));
    if (len <= 0 || (size_t)len >= sizeof text || msy_mesh_address_known(mesh, text) ||
        !beacon_in_time(mesh) || !beacon_is_ours(mesh, bytes, host)) {
        return;
    }
    msy_log_write(mesh->log, MSY_LOG_INFO, "mesh", "a beacon of %s", text);
    msy_mesh_address_candidate(mesh, text);
}
