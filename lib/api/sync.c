/* SPDX-License-Identifier: Apache-2.0 */
/* Peers, versions, waits. */
#include <meshsync/sync.h>

#include "api/enter.h"
#include "api/wait.h"
#include "replica/read.h"
#include "shell/clock.h"

enum { TOKEN_TIPS_MAX = 10 };

static meshsync_status sync_address(meshsync_node *node, const char *address,
                                    meshsync_error *error)
{
    meshsync_status status = msy_enter_node(node, error);
    if (status == MESHSYNC_OK &&
        (address == NULL || strlen(address) >= MESHSYNC_ADDRESS_BYTES_MAX)) {
        status = msy_fail(error, MESHSYNC_E_INVALID, "the address is NULL or too long");
    }
    return status;
}

meshsync_status meshsync_node_listen(meshsync_node *node, const char *address, char *bound,
                                     meshsync_error *error)
{
    char text[MESHSYNC_ADDRESS_BYTES_MAX];
    meshsync_status status = sync_address(node, address, error);
    if (status != MESHSYNC_OK) {
        return status;
    }
    if (!atomic_load(&node->network.started)) {
        return msy_fail(error, MESHSYNC_E_STATE, "the node is not started");
    }
    return msy_network_listen(&node->network, address, bound == NULL ? text : bound, error);
}

meshsync_status meshsync_peer_add(meshsync_node *node, const char *address, meshsync_error *error)
{
    meshsync_status status = sync_address(node, address, error);
    return status == MESHSYNC_OK ? msy_network_dial(&node->network, address, error) : status;
}

meshsync_status meshsync_peer_remove(meshsync_node *node, const char *address,
                                     meshsync_error *error)
{
    meshsync_status status = sync_address(node, address, error);
    return status == MESHSYNC_OK ? msy_network_undial(&node->network, address, error) : status;
}

meshsync_status meshsync_peer_at(meshsync_node *node, uint32_t index, meshsync_peer_info *info)
{
    meshsync_peer_info whole;
    meshsync_status status = msy_enter_node(node, NULL);
    if (status != MESHSYNC_OK || info == NULL) {
        return status == MESHSYNC_OK ? MESHSYNC_E_INVALID : status;
    }
    memset(&whole, 0, sizeof whole);
    whole.size = sizeof whole;
    status = msy_network_peer_at(&node->network, index, &whole);
    return status == MESHSYNC_OK ? msy_give_sized(info, info->size, &whole, sizeof whole)
                                 : status;
}

/* ---- Versions ---- */

static meshsync_status sync_heads(meshsync_space *space, struct msy_vector *heads,
                                  meshsync_error *error)
{
    struct msy_store_txn *txn = NULL;
    meshsync_status status = msy_node_begin_read(space->node, &txn, error);
    if (status != MESHSYNC_OK) {
        return status;
    }
    status = msy_history_heads(txn, space->number, heads);
    msy_node_end_read(txn);
    return status == MESHSYNC_OK ? status
                                 : msy_fail(error, status, "the heads cannot be read");
}

meshsync_status meshsync_space_version(meshsync_space *space, meshsync_token *token,
                                       meshsync_error *error)
{
    struct msy_vector heads;
    meshsync_status status = msy_enter_space(space, error);
    if (status != MESHSYNC_OK) {
        return status;
    }
    msy_vector_init(&heads, &space->node->alloc);
    status = sync_heads(space, &heads, error);
    if (status == MESHSYNC_OK) {
        status = msy_token_make(heads.tips, heads.count, token);
        if (status != MESHSYNC_OK) {
            (void)msy_fail(error, status, "%u concurrent heads are more than a token names",
                           (unsigned)heads.count);
        }
    }
    msy_vector_fini(&heads);
    return status;
}

meshsync_status msy_wait_holders(meshsync_space *space, const struct msy_tip *tip, uint32_t k,
                                 uint64_t deadline_ms, meshsync_error *error)
{
    meshsync_node *node = space->node;
    for (;;) {
        uint64_t version = msy_board_version(&node->board);
        uint32_t count = 0;
        meshsync_status status =
            msy_network_holders(&node->network, space->number, tip, &count);
        if (status == MESHSYNC_OK && count >= k) {
            return MESHSYNC_OK;
        }
        status = msy_board_wait(&node->board, version, deadline_ms);
        if (status == MESHSYNC_E_TIMEOUT) {
            return msy_fail(error, status, "%u of %u peers confirmed in time", (unsigned)count,
                            (unsigned)k);
        }
        if (status != MESHSYNC_OK) {
            return msy_fail(error, status, "the node is closing");
        }
    }
}

static meshsync_status sync_is_here(meshsync_space *space, const struct msy_tip *tip, bool *here)
{
    struct msy_store_txn *txn = NULL;
    uint64_t lsn = 0;
    meshsync_status status = msy_node_begin_read(space->node, &txn, NULL);
    if (status != MESHSYNC_OK) {
        return status;
    }
    status = msy_history_find(txn, space->number, &tip->actor, tip->seq, NULL, &lsn);
    msy_node_end_read(txn);
    *here = status == MESHSYNC_OK;
    return status == MESHSYNC_E_NOT_FOUND ? MESHSYNC_OK : status;
}

/* Here and durable: what a read transaction sees is. */
static meshsync_status sync_wait_here(meshsync_space *space, const struct msy_tip *tip,
                                      uint64_t deadline_ms, meshsync_error *error)
{
    for (;;) {
        uint64_t version = msy_board_version(&space->node->board);
        uint64_t until_ms = deadline_ms;
        bool here = false;
        meshsync_status status = sync_is_here(space, tip, &here);
        if (status != MESHSYNC_OK || here) {
            return status == MESHSYNC_OK ? status
                                         : msy_fail(error, status, "the log cannot be read");
        }
        if (space->node->read_only) { /* Nobody tells a reader of commits. */
            uint64_t soon_ms = msy_clock_after(msy_clock_mono_ms(), MSY_READER_POLL_MS);
            until_ms = soon_ms < deadline_ms ? soon_ms : deadline_ms;
        }
        status = msy_board_wait(&space->node->board, version, until_ms);
        if (status == MESHSYNC_E_CANCELLED) {
            return msy_fail(error, status, "the node is closing");
        }
        if (msy_clock_mono_ms() >= deadline_ms) {
            return msy_fail(error, MESHSYNC_E_TIMEOUT, "the version is not here yet");
        }
    }
}

static meshsync_status sync_wait(meshsync_space *space, const struct msy_tip *tips,
                                 uint32_t count, uint32_t k, uint64_t deadline_ms,
                                 meshsync_error *error)
{
    meshsync_status status = msy_board_enter(&space->node->board);
    if (status != MESHSYNC_OK) {
        return msy_fail(error, status, "the node is closing");
    }
    for (uint32_t i = 0; i < count && status == MESHSYNC_OK; i++) {
        status = sync_wait_here(space, &tips[i], deadline_ms, error);
        if (status == MESHSYNC_OK && k >= 1) {
            status = msy_wait_holders(space, &tips[i], k, deadline_ms, error);
        }
    }
    msy_board_leave(&space->node->board);
    return status;
}

meshsync_status meshsync_wait(meshsync_space *space, const meshsync_token *token, uint32_t k,
                              uint64_t timeout_ms, meshsync_error *error)
{
    struct msy_tip tips[TOKEN_TIPS_MAX];
    struct msy_vector heads;
    uint32_t count = 0;
    uint64_t deadline_ms = msy_clock_after(msy_clock_mono_ms(), timeout_ms);
    meshsync_status status = msy_enter_space(space, error);
    if (status == MESHSYNC_OK) {
        status = msy_node_may_block(space->node, true, error);
    }
    if (status == MESHSYNC_OK && k >= 1 && !atomic_load(&space->node->network.started)) {
        status = msy_fail(error, MESHSYNC_E_UNREACHABLE,
                          "peers are asked for, and the node is not started");
    }
    if (status != MESHSYNC_OK) {
        return status;
    }
    if (token != NULL && token->len > 0) {
        status = msy_token_read(token, tips, &count);
        return status == MESHSYNC_OK
                   ? sync_wait(space, tips, count, k, deadline_ms, error)
                   : msy_fail(error, status, "the token is malformed");
    }
    msy_vector_init(&heads, &space->node->alloc);
    status = sync_heads(space, &heads, error);
    if (status == MESHSYNC_OK) {
        status = sync_wait(space, heads.tips, heads.count, k, deadline_ms, error);
    }
    msy_vector_fini(&heads);
    return status;
}

void meshsync_token_format(const meshsync_token *token, char *out)
{
    size_t len = token->len <= MESHSYNC_TOKEN_BYTES_MAX ? token->len : 0;
    (void)msy_base64url_encode(out, token->bytes, len);
}

meshsync_status meshsync_token_parse(const char *text, meshsync_token *token,
                                     meshsync_error *error)
{
    struct msy_tip tips[TOKEN_TIPS_MAX];
    uint32_t count = 0;
    size_t len = 0;
    memset(token, 0, sizeof *token);
    if (text == NULL || !msy_base64url_decode(text, strlen(text), token->bytes,
                                              sizeof token->bytes, &len)) {
        return msy_fail(error, MESHSYNC_E_INVALID, "the token is not base64url, or too long");
    }
    token->len = (uint32_t)len;
    return msy_token_read(token, tips, &count) == MESHSYNC_OK
               ? MESHSYNC_OK
               : msy_fail(error, MESHSYNC_E_INVALID, "the token is malformed");
}
