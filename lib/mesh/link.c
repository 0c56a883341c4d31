/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Links: from bytes to records and back (docs/protocol.md, sections 1 and 2).
 *
 *                 LINK_UP                 authenticated
 *   DIALING ------------------> GREETING ---------------> LIVE
 *      |  (accepted: at once)       |                       |
 *      +----------------------------+-----------------------+----> GONE
 *            LINK_DOWN, deadline, broken protocol, BYE, stop
 */
#include <string.h>

#include "base/error.h"
#include "mesh/machine.h"

enum { LINK_PREAMBLE_BYTES = 4, LINK_LENGTH_BYTES = 2 };

static const uint8_t link_preamble[LINK_PREAMBLE_BYTES] = {'m', 's', 'y', 1};

static const struct msy_sm_row link_rows[MSY_LINK_STATE_COUNT] = {
    [MSY_LINK_DIALING] = {"dialing", MSY_SM_BIT(MSY_LINK_GREETING) | MSY_SM_BIT(MSY_LINK_GONE)},
    [MSY_LINK_GREETING] = {"greeting", MSY_SM_BIT(MSY_LINK_LIVE) | MSY_SM_BIT(MSY_LINK_GONE)},
    [MSY_LINK_LIVE] = {"live", MSY_SM_BIT(MSY_LINK_GONE)},
    [MSY_LINK_GONE] = {"gone", 0},
};

void msy_mesh_link_move(struct msy_mesh_link *link, enum msy_mesh_link_state next)
{
    MSY_ASSERT(msy_sm_allows(link_rows, link->state, next));
    link->state = next;
}

/* --- the table ------------------------------------------------------------------------------- */

static uint32_t link_lower(const struct msy_mesh *mesh, uint32_t number)
{
    uint32_t low = 0;
    uint32_t high = mesh->links_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (mesh->links[middle]->number < number) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

struct msy_mesh_link *msy_mesh_link_find(struct msy_mesh *mesh, uint32_t number)
{
    uint32_t at = link_lower(mesh, number);
    if (at < mesh->links_count && mesh->links[at]->number == number) {
        return mesh->links[at];
    }
    return NULL;
}

static void link_init(struct msy_mesh *mesh, struct msy_mesh_link *link)
{
    link->beat_at_ms = MSY_NEVER;
    link->serve_at_ms = MSY_NEVER;
    link->twin_at_ms = MSY_NEVER;
    link->tell_at_ms = MSY_NEVER;
    link->heard_ms = mesh->now_ms;
    link->sent_ms = mesh->now_ms;
    link->message_bytes_max = MSY_MESSAGE_BYTES_MAX;
    msy_buf_init(&link->in, mesh->alloc, LINK_LENGTH_BYTES + MSY_NOISE_MESSAGE_BYTES_MAX);
    msy_buf_init(&link->message, mesh->alloc,
                 MSY_MESSAGE_HEAD_BYTES + MSY_MESSAGE_BYTES_MAX + MSY_NOISE_MESSAGE_BYTES_MAX);
    msy_buf_init(&link->plain, mesh->alloc, MSY_SESSION_OUT_BYTES_HARD);
    /* Each record adds its length and tag; the preamble and the handshake go before. */
    msy_buf_init(&link->out, mesh->alloc,
                 MSY_SESSION_OUT_BYTES_HARD + (MSY_SESSION_OUT_BYTES_HARD >> 10) + 4096);
}

struct msy_mesh_link *msy_mesh_link_new(struct msy_mesh *mesh, uint32_t number, bool accepted)
{
    uint32_t at = link_lower(mesh, number);
    void *array = mesh->links;
    if (mesh->links_count >= MSY_SESSIONS_MAX ||
        (at < mesh->links_count && mesh->links[at]->number == number)) {
        return NULL;
    }
    bool room = msy_array_room(mesh->alloc, &array, &mesh->links_cap, mesh->links_count,
                               sizeof *mesh->links);
    mesh->links = array;
    struct msy_mesh_link *link = room ? msy_new(mesh->alloc, sizeof *link) : NULL;
    if (link == NULL) {
        msy_mesh_note(mesh, MESHSYNC_E_NO_MEMORY);
        return NULL;
    }
    link->number = number;
    link->accepted = accepted;
    link_init(mesh, link);
    memmove(&mesh->links[at + 1], &mesh->links[at], (mesh->links_count - at) * sizeof(void *));
    mesh->links[at] = link;
    mesh->links_count += 1;
    return link;
}

void msy_mesh_link_free(struct msy_mesh *mesh, struct msy_mesh_link *link)
{
    msy_channels_free(mesh, link);
    msy_noise_fini(&link->noise);
    msy_noise_cipher_wipe(&link->sending);
    msy_noise_cipher_wipe(&link->receiving);
    msy_buf_fini(&link->in);
    msy_buf_fini(&link->message);
    msy_buf_fini(&link->plain);
    msy_buf_fini(&link->out);
    msy_free(mesh->alloc, link->expected, link->expected_cap * sizeof *link->expected);
    msy_wipe(link->pad_key, sizeof link->pad_key);
    msy_free(mesh->alloc, link, sizeof *link);
}

void msy_mesh_link_close(struct msy_mesh *mesh, struct msy_mesh_link *link, meshsync_status status,
                         const char *words)
{
    if (link->state == MSY_LINK_GONE) {
        return;
    }
    bool live = link->state == MSY_LINK_LIVE;
    msy_log_write(mesh->log, status == MESHSYNC_E_PROTOCOL ? MSY_LOG_WARN : MSY_LOG_INFO, "mesh",
                  "link %u (%s) ends, %s: %s: %s", link->number, link_rows[link->state].name,
                  link->remote, meshsync_status_name(status), words);
    if (live && !link->lost && !link->bye &&
        msy_message_put_bye(&link->plain, status, words) != MESHSYNC_OK) {
        link->plain.len = 0; /* It is a courtesy: without it the peer sees the link close. */
    }
    if (!live && link->state == MSY_LINK_GREETING && !link->lost) {
        mesh->stats.handshakes_failed += 1;
    }
    link->end_status = status;
    msy_mesh_link_move(link, MSY_LINK_GONE);
    if (live) {
        msy_session_end(mesh, link, status);
    }
    msy_mesh_address_ended(mesh, link, status, words);
    if (live) {
        msy_mesh_address_device_gone(mesh, link->device);
    }
}

/* --- in -------------------------------------------------------------------------------------- */

/* A link that there is no room for is closed without a word. */
static void link_refuse(struct msy_mesh *mesh, uint32_t number)
{
    struct msy_mesh_effect *effect = msy_effect_add(mesh, MSY_MESH_CLOSE);
    if (effect != NULL) {
        effect->link = number;
    }
}

void msy_mesh_link_up(struct msy_mesh *mesh, const struct msy_mesh_event *event)
{
    struct msy_mesh_link *link = msy_mesh_link_find(mesh, event->link);
    const char *remote = event->text != NULL ? event->text : "";
    if (event->accepted != 0 && link == NULL && !mesh->stopping) {
        link = msy_mesh_link_new(mesh, event->link, true);
    } else if (event->accepted != 0 || (link != NULL && link->state != MSY_LINK_DIALING)) {
        link = NULL;
    }
    if (link == NULL) {
        link_refuse(mesh, event->link);
        return;
    }
    msy_mesh_link_move(link, MSY_LINK_GREETING);
    link->heard_ms = mesh->now_ms;
    size_t n = strlen(remote);
    if (n < sizeof link->remote) {
        memcpy(link->remote, remote, n + 1);
    }
    link->greet_by_ms = mesh->now_ms + MSY_HANDSHAKE_MS_MAX;
    msy_mesh_link_wake(mesh, &link->beat_at_ms, link->greet_by_ms);
    meshsync_status status = msy_buf_append(&link->out, link_preamble, sizeof link_preamble);
    if (status != MESHSYNC_OK) {
        msy_mesh_link_close(mesh, link, status, "no memory for a greeting");
        return;
    }
    msy_handshake_start(mesh, link);
    msy_handshake_limit(mesh);
}

/* How many bytes the next unit has: the preamble, a record's length, the record; 0: malformed. */
static size_t link_need(const struct msy_mesh_link *link)
{
    if (!link->greeted) {
        return LINK_PREAMBLE_BYTES;
    }
    if (link->in.len < LINK_LENGTH_BYTES) {
        return LINK_LENGTH_BYTES;
    }
    size_t len = msy_get_be16(link->in.data);
    size_t len_max =
        link->state == MSY_LINK_LIVE ? MSY_NOISE_MESSAGE_BYTES_MAX : MSY_GREETING_BYTES_MAX;
    if (len < MSY_NOISE_TAG_BYTES || len > len_max) {
        return 0;
    }
    return LINK_LENGTH_BYTES + len;
}

/* A whole unit is in link->in. */
static void link_unit(struct msy_mesh *mesh, struct msy_mesh_link *link)
{
    if (!link->greeted) {
        link->greeted = true;
        if (memcmp(link->in.data, link_preamble, 3) != 0) {
            msy_mesh_link_close(mesh, link, MESHSYNC_E_PROTOCOL, "it speaks another protocol");
        } else if (link->in.data[3] != link_preamble[3]) {
            msy_mesh_link_close(mesh, link, MESHSYNC_E_UNSUPPORTED, "it speaks another version");
        }
        msy_buf_reset(&link->in);
        return;
    }
    meshsync_bytes record = {link->in.data + LINK_LENGTH_BYTES, link->in.len - LINK_LENGTH_BYTES};
    if (link->state == MSY_LINK_LIVE) {
        msy_session_record(mesh, link, record);
    } else {
        msy_handshake_record(mesh, link, record);
    }
    msy_buf_reset(&link->in);
}

void msy_mesh_link_bytes(struct msy_mesh *mesh, struct msy_mesh_link *link, meshsync_bytes bytes)
{
    mesh->stats.bytes_in += bytes.len;
    link->bytes_in += bytes.len;
    link->heard_ms = mesh->now_ms;
    link->heard_unix_ms = mesh->unix_ms;
    while (bytes.len > 0 && (link->state == MSY_LINK_GREETING || link->state == MSY_LINK_LIVE)) {
        size_t need = link_need(link);
        if (need == 0) {
            msy_mesh_link_close(mesh, link, MESHSYNC_E_PROTOCOL, "a record of a wrong length");
            return;
        }
        size_t n = need - link->in.len;
        n = n < bytes.len ? n : bytes.len;
        meshsync_status status = msy_buf_append(&link->in, bytes.data, n);
        if (status != MESHSYNC_OK) {
            msy_mesh_link_close(mesh, link, status, "no memory for a record");
            return;
        }
        bytes.data += n;
        bytes.len -= n;
        /* Asked again: the length of a record says how much more it needs. */
        if (link->in.len == need && need != LINK_LENGTH_BYTES) {
            link_unit(mesh, link);
        }
    }
}

/* --- out ------------------------------------------------------------------------------------- */

meshsync_status msy_mesh_link_put_record(struct msy_mesh_link *link, meshsync_bytes sealed)
{
    meshsync_status status = msy_buf_append_be16(&link->out, (uint16_t)sealed.len);
    return status == MESHSYNC_OK ? msy_buf_append(&link->out, sealed.data, sealed.len) : status;
}

/* Seals what was written in this step behind what goes out already. */
static meshsync_status link_seal(struct msy_mesh_link *link)
{
    size_t at = 0;
    meshsync_status status = MESHSYNC_OK;
    while (at < link->plain.len && status == MESHSYNC_OK) {
        size_t n = link->plain.len - at;
        n = n < MSY_RECORD_PLAIN_BYTES_MAX ? n : MSY_RECORD_PLAIN_BYTES_MAX;
        status = msy_buf_append_be16(&link->out, (uint16_t)(n + MSY_NOISE_TAG_BYTES));
        if (status == MESHSYNC_OK) {
            status = msy_noise_seal(&link->sending, (meshsync_bytes){link->plain.data + at, n},
                                    &link->out);
        }
        at += n;
    }
    msy_buf_reset(&link->plain);
    link->changes_start = 0;
    link->changes_end = 0;
    return status;
}

/* Memory that a burst needed is given back when the burst is over. */
static void link_trim(struct msy_buf *buf)
{
    if (buf->len == 0 && buf->cap > MSY_SESSION_KEPT_BYTES_MAX) {
        msy_buf_fini(buf);
    }
}

static void link_flush(struct msy_mesh *mesh, struct msy_mesh_link *link)
{
    meshsync_status status = msy_pack_link(mesh, link);
    if (status == MESHSYNC_OK) {
        status = link_seal(link);
    }
    size_t n = link->out.len;
    uint8_t *room = status == MESHSYNC_OK && n > 0 ? msy_effect_room(mesh, n) : NULL;
    struct msy_mesh_effect *effect = room != NULL ? msy_effect_add(mesh, MSY_MESH_SEND) : NULL;
    if (effect != NULL) {
        memcpy(room, link->out.data, n);
        effect->link = link->number;
        effect->bytes = (meshsync_bytes){room, n};
        link->out_bytes += n;
        link->bytes_out += n;
        link->sent_ms = mesh->now_ms;
        mesh->stats.bytes_out += n;
    } else if (n > 0 || status != MESHSYNC_OK) {
        /* Ciphers and streams went on: without these bytes the peer cannot read what follows. */
        msy_mesh_note(mesh, MESHSYNC_E_NO_MEMORY);
        msy_mesh_link_close(mesh, link, MESHSYNC_E_NO_MEMORY, "no memory for its output");
        msy_buf_reset(&link->plain);
    }
    msy_buf_reset(&link->out);
    link_trim(&link->plain);
    link_trim(&link->out);
    link_trim(&link->message);
    msy_buf_reset(&mesh->packing);
    link_trim(&mesh->packing);
}

void msy_mesh_links_flush(struct msy_mesh *mesh)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < mesh->links_count; i++) {
        struct msy_mesh_link *link = mesh->links[i];
        if (!link->lost && (link->plain.len > 0 || link->out.len > 0)) {
            link_flush(mesh, link);
        }
    }
    for (uint32_t i = 0; i < mesh->links_count; i++) {
        struct msy_mesh_link *link = mesh->links[i];
        if (link->state != MSY_LINK_GONE) {
            mesh->links[kept++] = link;
            continue;
        }
        if (!link->lost) {
            link_refuse(mesh, link->number);
        }
        msy_mesh_link_free(mesh, link);
    }
    mesh->links_count = kept;
}
