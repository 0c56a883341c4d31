/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whom to dial and when (docs/protocol.md, section 10): seeds for ever, learnt addresses while
 * there are few sessions; and what peers are told of one another.
 */
#include <stdio.h>
#include <string.h>

#include "mesh/machine.h"

enum { ADDRESS_DIAL_MS_MAX = 2 * MSY_HANDSHAKE_MS_MAX, ADDRESS_SHIFT_MAX = 16 };

/* --- texts ----------------------------------------------------------------------------------- */

size_t msy_mesh_address_host(const char *text)
{
    const char *colon = strrchr(text, ':');
    if (strncmp(text, "unix:", 5) == 0 || colon == NULL) {
        return 0;
    }
    return (size_t)(colon - text);
}

static bool address_host_is(const char *text, const char *host)
{
    size_t len = msy_mesh_address_host(text);
    return len == strlen(host) && memcmp(text, host, len) == 0;
}

bool msy_mesh_address_is_any(const char *text)
{
    return address_host_is(text, "0.0.0.0") || address_host_is(text, "[::]") ||
           address_host_is(text, "*");
}

bool msy_mesh_address_is_local(const char *text)
{
    return strncmp(text, "unix:", 5) == 0 || strncmp(text, "127.", 4) == 0 ||
           address_host_is(text, "[::1]") || address_host_is(text, "localhost");
}

/* --- the book -------------------------------------------------------------------------------- */

static uint32_t address_lower(const struct msy_mesh *mesh, const char *text)
{
    uint32_t low = 0;
    uint32_t high = mesh->addresses_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (strcmp(mesh->addresses[middle]->text, text) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static struct msy_mesh_address *address_find(struct msy_mesh *mesh, const char *text)
{
    uint32_t at = address_lower(mesh, text);
    if (at < mesh->addresses_count && strcmp(mesh->addresses[at]->text, text) == 0) {
        return mesh->addresses[at];
    }
    return NULL;
}

static struct msy_mesh_address *address_of_link(struct msy_mesh *mesh, uint32_t link)
{
    for (uint32_t i = 0; i < mesh->addresses_count; i++) {
        if (mesh->addresses[i]->link == link) {
            return mesh->addresses[i];
        }
    }
    return NULL;
}

static void address_remove(struct msy_mesh *mesh, struct msy_mesh_address *address)
{
    uint32_t at = address_lower(mesh, address->text);
    mesh->addresses_count -= 1;
    memmove(&mesh->addresses[at], &mesh->addresses[at + 1],
            (mesh->addresses_count - at) * sizeof *mesh->addresses);
    msy_free(mesh->alloc, address, sizeof *address);
}

void msy_mesh_address_free(struct msy_mesh *mesh)
{
    for (uint32_t i = 0; i < mesh->addresses_count; i++) {
        msy_free(mesh->alloc, mesh->addresses[i], sizeof *mesh->addresses[i]);
    }
    msy_free(mesh->alloc, mesh->addresses, mesh->addresses_cap * sizeof *mesh->addresses);
    mesh->addresses = NULL;
    mesh->addresses_count = 0;
}

static void address_wake(struct msy_mesh *mesh, uint64_t at_ms)
{
    mesh->addresses_at_ms = msy_min_u64(mesh->addresses_at_ms, at_ms);
}

/* The one with that text, made when it is new; NULL: too many, or no memory. */
static struct msy_mesh_address *address_make(struct msy_mesh *mesh, const char *text)
{
    struct msy_mesh_address *address = address_find(mesh, text);
    uint32_t at = address_lower(mesh, text);
    void *array = mesh->addresses;
    if (address != NULL || mesh->addresses_count >= MSY_ADDRESSES_MAX) {
        return address;
    }
    bool room = msy_array_room(mesh->alloc, &array, &mesh->addresses_cap, mesh->addresses_count,
                               sizeof *mesh->addresses);
    mesh->addresses = array;
    address = room ? msy_new(mesh->alloc, sizeof *address) : NULL;
    if (address == NULL) {
        return NULL;
    }
    memcpy(address->text, text, strlen(text) + 1);
    address->retry_at_ms = mesh->now_ms;
    memmove(&mesh->addresses[at + 1], &mesh->addresses[at],
            (mesh->addresses_count - at) * sizeof *mesh->addresses);
    mesh->addresses[at] = address;
    mesh->addresses_count += 1;
    return address;
}

meshsync_status msy_mesh_address_add_seed(struct msy_mesh *mesh, const char *text)
{
    if (text == NULL || text[0] == '\0' || strlen(text) >= MSY_ADDRESS_BYTES_MAX) {
        return MESHSYNC_E_INVALID;
    }
    struct msy_mesh_address *address = address_make(mesh, text);
    if (address == NULL) {
        return mesh->addresses_count >= MSY_ADDRESSES_MAX ? MESHSYNC_E_LIMIT : MESHSYNC_E_NO_MEMORY;
    }
    address->seed = true;
    if (address->link == 0) {
        address->retry_at_ms = mesh->now_ms;
        address_wake(mesh, mesh->now_ms);
    }
    return MESHSYNC_OK;
}

bool msy_mesh_address_known(struct msy_mesh *mesh, const char *text)
{
    return address_find(mesh, text) != NULL;
}

meshsync_status msy_mesh_address_remove_seed(struct msy_mesh *mesh, const char *text)
{
    struct msy_mesh_address *address = text == NULL ? NULL : address_find(mesh, text);
    if (address == NULL || !address->seed) {
        return MESHSYNC_E_NOT_FOUND;
    }
    struct msy_mesh_link *link =
        address->link == 0 ? NULL : msy_mesh_link_find(mesh, address->link);
    address_remove(mesh, address);
    if (link != NULL) {
        msy_mesh_link_close(mesh, link, MESHSYNC_E_CANCELLED, "its address was removed");
    }
    return MESHSYNC_OK;
}

/* --- dialling -------------------------------------------------------------------------------- */

/* Half of the wait is fixed, half is chance, so that nodes do not come all at once. */
static uint64_t address_backoff(struct msy_mesh *mesh, uint32_t failures)
{
    uint64_t wait_ms = (uint64_t)MSY_DIAL_BACKOFF_MS_MIN
                       << (failures < ADDRESS_SHIFT_MAX ? failures : ADDRESS_SHIFT_MAX);
    uint64_t most_ms =
        mesh->retry_ms_max > MSY_DIAL_BACKOFF_MS_MIN ? mesh->retry_ms_max : MSY_DIAL_BACKOFF_MS_MIN;
    wait_ms = msy_min_u64(wait_ms, most_ms);
    return wait_ms / 2 + msy_prng_below(&mesh->prng, wait_ms / 2 + 1);
}

void msy_mesh_address_candidate(struct msy_mesh *mesh, const char *text)
{
    uint32_t count = 0;
    if (text == NULL || text[0] == '\0' || strlen(text) >= MSY_ADDRESS_BYTES_MAX ||
        address_find(mesh, text) != NULL) {
        return;
    }
    for (uint32_t i = 0; i < mesh->addresses_count; i++) {
        count += mesh->addresses[i]->seed || mesh->addresses[i]->has_device ? 0 : 1;
    }
    struct msy_mesh_address *address = count < MSY_CANDIDATES_MAX ? address_make(mesh, text) : NULL;
    if (address != NULL) {
        address->retry_at_ms = mesh->now_ms + address_backoff(mesh, 0);
        address_wake(mesh, address->retry_at_ms);
    }
}

static void address_dial(struct msy_mesh *mesh, struct msy_mesh_address *address)
{
    struct msy_mesh_link *link = msy_mesh_link_new(mesh, mesh->link_next, false);
    struct msy_mesh_effect *effect = link != NULL ? msy_effect_add(mesh, MSY_MESH_DIAL) : NULL;
    const char *text = effect != NULL ? msy_effect_text(mesh, address->text) : NULL;
    address->retry_at_ms = mesh->now_ms + address_backoff(mesh, address->failures + 1);
    if (link == NULL) {
        return;
    }
    mesh->link_next += 2;
    memcpy(link->remote, address->text, sizeof link->remote);
    link->greet_by_ms = mesh->now_ms + ADDRESS_DIAL_MS_MAX;
    msy_mesh_link_wake(mesh, &link->beat_at_ms, link->greet_by_ms);
    address->link = link->number;
    if (text == NULL) {
        if (effect != NULL) {
            mesh->effects->count -= 1; /* A call without a number to call. */
        }
        link->lost = true; /* Nobody outside knows of it. */
        msy_mesh_link_close(mesh, link, MESHSYNC_E_NO_MEMORY, "no memory to dial");
        return;
    }
    effect->link = link->number;
    effect->text = text;
}

/* Is whom it leads to here already? For a seed only the same run of the device counts: the other
 * may be a clone that must be reached too. */
static bool address_is_met(const struct msy_mesh *mesh, const struct msy_mesh_address *address)
{
    for (uint32_t i = 0; i < mesh->links_count && address->has_device; i++) {
        const struct msy_mesh_link *link = mesh->links[i];
        if (link->state == MSY_LINK_LIVE &&
            memcmp(link->device, address->device, sizeof link->device) == 0 &&
            (!address->seed ||
             memcmp(link->instance, address->instance, sizeof link->instance) == 0)) {
            return true;
        }
    }
    return false;
}

/* When the address is to be dialled: MSY_NEVER while there is no need. */
static uint64_t address_wants(const struct msy_mesh *mesh, const struct msy_mesh_address *address,
                              bool few)
{
    if (address->self || address->link != 0 || mesh->stopping || (!address->seed && !few) ||
        address_is_met(mesh, address)) {
        return MSY_NEVER;
    }
    return address->retry_at_ms;
}

static uint32_t address_busy(const struct msy_mesh *mesh)
{
    uint32_t count = msy_session_count(mesh);
    for (uint32_t i = 0; i < mesh->links_count; i++) {
        count += mesh->links[i]->state == MSY_LINK_DIALING ? 1 : 0;
    }
    return count;
}

void msy_mesh_address_due(struct msy_mesh *mesh)
{
    uint32_t busy = address_busy(mesh);
    uint64_t next_ms = MSY_NEVER;
    for (uint32_t i = 0; i < mesh->addresses_count; i++) {
        struct msy_mesh_address *address = mesh->addresses[i];
        uint64_t at_ms = address_wants(mesh, address, busy < MSY_LEARNT_SESSIONS_MAX);
        if (at_ms <= mesh->now_ms) {
            address_dial(mesh, address);
            busy += 1;
            at_ms = address_wants(mesh, address, busy < MSY_LEARNT_SESSIONS_MAX);
        }
        next_ms = msy_min_u64(next_ms, at_ms);
    }
    mesh->addresses_at_ms = next_ms;
}

void msy_mesh_address_found(struct msy_mesh *mesh, const struct msy_mesh_link *link)
{
    struct msy_mesh_address *address = address_of_link(mesh, link->number);
    if (address == NULL) {
        return;
    }
    if (!address->has_device ||
        memcmp(address->device, link->device, sizeof address->device) != 0) {
        address->has_device = true;
        address->own_word = false;
        memcpy(address->device, link->device, sizeof address->device);
    }
    memcpy(address->instance, link->instance, sizeof address->instance);
    address->heard_unix_ms = mesh->unix_ms;
    address->last_error = MESHSYNC_OK;
    address->last_words[0] = '\0';
}

void msy_mesh_address_self(struct msy_mesh *mesh, const struct msy_mesh_link *link)
{
    struct msy_mesh_address *address = address_of_link(mesh, link->number);
    if (address != NULL) {
        address->self = true;
    }
}

void msy_mesh_address_ended(struct msy_mesh *mesh, const struct msy_mesh_link *link,
                            meshsync_status status, const char *words)
{
    struct msy_mesh_address *address = address_of_link(mesh, link->number);
    uint64_t good_ms = mesh->keepalive_ms * MSY_SILENT_KEEPALIVES;
    mesh->addresses_at_ms = mesh->now_ms; /* One session less: others may be dialled. */
    if (address == NULL) {
        return;
    }
    bool lasted = link->live_ms != 0 && mesh->now_ms - link->live_ms >= good_ms;
    address->link = 0;
    address->heard_unix_ms =
        link->heard_unix_ms != 0 ? link->heard_unix_ms : address->heard_unix_ms;
    if (status != MESHSYNC_E_EXISTS) {
        address->failures = lasted ? 0 : address->failures + 1;
        address->last_error = status;
        (void)snprintf(address->last_words, sizeof address->last_words, "%s", words);
    }
    if (status == MESHSYNC_E_PROTOCOL || status == MESHSYNC_E_AUTH) {
        address->failures += 3; /* It will not be better in a moment. */
    }
    address->retry_at_ms = mesh->now_ms + address_backoff(mesh, address->failures);
    if (!address->seed && !address->self && address->failures >= MSY_LEARNT_FAILURES_MAX) {
        address_remove(mesh, address);
    }
}

void msy_mesh_address_device_gone(struct msy_mesh *mesh, const uint8_t device[MSY_DEVICE_BYTES])
{
    for (uint32_t i = 0; i < mesh->addresses_count; i++) {
        struct msy_mesh_address *address = mesh->addresses[i];
        if (address->has_device && address->link == 0 && address->retry_at_ms <= mesh->now_ms &&
            memcmp(address->device, device, MSY_DEVICE_BYTES) == 0) {
            address->retry_at_ms = mesh->now_ms + address_backoff(mesh, address->failures);
        }
    }
    mesh->addresses_at_ms = mesh->now_ms;
}

/* --- telling peers of one another ------------------------------------------------------------ */

void msy_mesh_address_listening(struct msy_mesh *mesh, const char *text)
{
    if (text == NULL || text[0] == '\0' || strlen(text) >= MSY_ADDRESS_BYTES_MAX ||
        mesh->listening_count >= MSY_LISTENING_MAX) {
        return;
    }
    for (uint32_t i = 0; i < mesh->listening_count; i++) {
        if (strcmp(mesh->listening[i], text) == 0) {
            return;
        }
    }
    memcpy(mesh->listening[mesh->listening_count], text, strlen(text) + 1);
    mesh->listening_count += 1;
    for (uint32_t i = 0; i < mesh->links_count; i++) {
        if (mesh->links[i]->state == MSY_LINK_LIVE) {
            msy_mesh_link_wake(mesh, &mesh->links[i]->tell_at_ms, mesh->now_ms + MSY_TELL_MS);
        }
    }
}

static bool address_has_open(const struct msy_mesh_link *link)
{
    for (uint32_t i = 0; i < link->channels_count; i++) {
        if (link->channels[i]->state == MSY_CHANNEL_OPEN) {
            return true;
        }
    }
    return false;
}

/* May the peer know of a device: do both have a session with us in one space? */
static bool address_shares(struct msy_mesh *mesh, const struct msy_mesh_link *link,
                           const uint8_t device[MSY_DEVICE_BYTES])
{
    const struct msy_mesh_link *other = msy_session_with(mesh, device, link);
    for (uint32_t i = 0; other != NULL && i < link->channels_count; i++) {
        const struct msy_channel *mine = link->channels[i];
        const struct msy_channel *its = msy_channel_find(other, mine->space);
        if (mine->state == MSY_CHANNEL_OPEN && its != NULL && its->state == MSY_CHANNEL_OPEN) {
            return true;
        }
    }
    return false;
}

/* Calls for each entry that the peer is to be told, in a fixed order; out NULL: only counts. */
static meshsync_status address_entries(struct msy_mesh *mesh, const struct msy_mesh_link *link,
                                       struct msy_buf *out, uint32_t *count)
{
    bool local = msy_mesh_address_is_local(link->remote);
    meshsync_status status = MESHSYNC_OK;
    *count = 0;
    for (uint32_t i = 0; i < mesh->listening_count && status == MESHSYNC_OK; i++) {
        if (local || !msy_mesh_address_is_local(mesh->listening[i])) {
            *count += 1;
            status = out == NULL ? MESHSYNC_OK
                                 : msy_message_put_address(out, mesh->device, mesh->listening[i]);
        }
    }
    for (uint32_t i = 0; i < mesh->addresses_count && status == MESHSYNC_OK; i++) {
        const struct msy_mesh_address *address = mesh->addresses[i];
        if (!address->own_word || *count >= MSY_MESSAGE_ENTRIES_MAX ||
            memcmp(address->device, link->device, sizeof address->device) == 0 ||
            (!local && msy_mesh_address_is_local(address->text)) ||
            !address_shares(mesh, link, address->device)) {
            continue;
        }
        *count += 1;
        status = out == NULL ? MESHSYNC_OK
                             : msy_message_put_address(out, address->device, address->text);
    }
    return status;
}

void msy_mesh_address_tell(struct msy_mesh *mesh, struct msy_mesh_link *link)
{
    uint8_t hash[sizeof link->told_hash];
    uint32_t count = 0;
    size_t start = link->plain.len;
    if (!address_has_open(link)) {
        return;
    }
    (void)address_entries(mesh, link, NULL, &count);
    meshsync_status status = msy_message_begin_addresses(&link->plain, count);
    if (status == MESHSYNC_OK) {
        status = address_entries(mesh, link, &link->plain, &count);
    }
    if (status == MESHSYNC_OK) {
        msy_message_end(&link->plain, start);
        const meshsync_bytes part = {link->plain.data + start, link->plain.len - start};
        msy_hash(hash, sizeof hash, &part, 1);
        if (memcmp(hash, link->told_hash, sizeof hash) != 0) {
            memcpy(link->told_hash, hash, sizeof hash);
            msy_session_wrote(mesh, link, MESHSYNC_OK);
            return;
        }
    }
    link->plain.len = start; /* Nothing new, or no memory for it: it can wait. */
}

/* The text as we can use it: "any" becomes the host that we see. False: of no use. */
static bool address_translate(const struct msy_mesh_link *link, bool own, meshsync_bytes told,
                              char text[MSY_ADDRESS_BYTES_MAX])
{
    char plain[MSY_ADDRESS_BYTES_MAX];
    memcpy(plain, told.data, told.len);
    plain[told.len] = '\0';
    if (msy_mesh_address_is_local(plain) && !msy_mesh_address_is_local(link->remote)) {
        return false;
    }
    if (!msy_mesh_address_is_any(plain)) {
        memcpy(text, plain, told.len + 1);
        return true;
    }
    size_t host = msy_mesh_address_host(link->remote);
    const char *port = plain + msy_mesh_address_host(plain);
    if (!own || host == 0 || host + strlen(port) >= MSY_ADDRESS_BYTES_MAX) {
        return false;
    }
    memcpy(text, link->remote, host);
    memcpy(text + host, port, strlen(port) + 1);
    return true;
}

/* Is the device somebody to know: in a space that we share with who tells of it? */
static meshsync_status address_vouched(struct msy_mesh *mesh, struct msy_store_txn *txn,
                                       const struct msy_mesh_link *link, const uint8_t *device,
                                       bool *good)
{
    meshsync_status status = MESHSYNC_OK;
    *good = memcmp(device, link->device, MSY_DEVICE_BYTES) == 0;
    for (uint32_t i = 0; i < link->channels_count && status == MESHSYNC_OK && !*good; i++) {
        const struct msy_channel *channel = link->channels[i];
        const struct msy_mesh_space *space = msy_space_find(mesh, channel->space);
        if (channel->state != MSY_CHANNEL_OPEN || space == NULL) {
            continue;
        }
        *good = space->joining; /* It cannot know the members yet. */
        if (!*good) {
            status = mesh->ports.is_member(mesh->ports.user, txn, channel->space, device, good);
        }
    }
    return status;
}

/* Enters an address of a device; true: others should hear of it. */
static bool address_learn(struct msy_mesh *mesh, const char *text, const uint8_t *device,
                          bool own_word)
{
    uint32_t known = 0;
    for (uint32_t i = 0; i < mesh->addresses_count; i++) {
        const struct msy_mesh_address *address = mesh->addresses[i];
        known += address->has_device && strcmp(address->text, text) != 0 &&
                         memcmp(address->device, device, MSY_DEVICE_BYTES) == 0
                     ? 1
                     : 0;
    }
    struct msy_mesh_address *address = address_find(mesh, text);
    if (address == NULL && known < MSY_DEVICE_ADDRESSES_MAX) {
        address = address_make(mesh, text);
        if (address != NULL) {
            address->retry_at_ms = mesh->now_ms + address_backoff(mesh, 0);
            address_wake(mesh, address->retry_at_ms);
        }
    }
    if (address == NULL || address->self) {
        return false;
    }
    bool same = address->has_device && memcmp(address->device, device, MSY_DEVICE_BYTES) == 0;
    if (address->has_device && !same && !own_word) {
        return false; /* Hearsay does not overrule what was seen. */
    }
    bool news = own_word && !(same && address->own_word);
    address->has_device = true;
    address->own_word = own_word || (same && address->own_word);
    memcpy(address->device, device, MSY_DEVICE_BYTES);
    return news;
}

meshsync_status msy_mesh_address_on_told(struct msy_mesh *mesh, struct msy_mesh_link *link,
                                         meshsync_bytes content)
{
    struct msy_addresses addresses;
    struct msy_store_txn *txn = NULL;
    const uint8_t *device = NULL;
    meshsync_bytes told;
    bool news = false;
    if (!msy_message_get_addresses(content, &addresses)) {
        return MESHSYNC_E_PROTOCOL;
    }
    if (!address_has_open(link)) {
        return MESHSYNC_OK;
    }
    meshsync_status status = msy_store_begin(mesh->store, MSY_TXN_READ, &txn);
    while (status == MESHSYNC_OK && msy_addresses_next(&addresses, &device, &told)) {
        char text[MSY_ADDRESS_BYTES_MAX];
        bool own = memcmp(device, link->device, MSY_DEVICE_BYTES) == 0;
        bool good = false;
        if (memcmp(device, mesh->device, MSY_DEVICE_BYTES) == 0 ||
            !address_translate(link, own, told, text)) {
            continue;
        }
        status = address_vouched(mesh, txn, link, device, &good);
        if (status == MESHSYNC_OK && good) {
            news = address_learn(mesh, text, device, own) || news;
        }
    }
    msy_store_abort(txn);
    for (uint32_t i = 0; news && i < mesh->links_count; i++) {
        if (mesh->links[i] != link && mesh->links[i]->state == MSY_LINK_LIVE) {
            msy_mesh_link_wake(mesh, &mesh->links[i]->tell_at_ms, mesh->now_ms + MSY_TELL_MS);
        }
    }
    return status;
}
