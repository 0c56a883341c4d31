/* SPDX-License-Identifier: Apache-2.0 */
/* Peers, versions, waiting. */
#include <meshsync/sync.h>

#include <string.h>

#include "api/check.h"
#include "base/buf.h"
#include "shell/clock.h"
#include "shell/wait.h"

enum { SYNC_TOKEN_TIPS_MAX = 10 };

meshsync_status meshsync_node_listen(meshsync_node *node, const char *address, char *bound,
                                     meshsync_error *error)
{
    meshsync_status status = msy_check_node(node, error);
    if (status == MESHSYNC_OK) {
        status = msy_check_given(address, "address", error);
    }
    return status == MESHSYNC_OK ? msy_network_listen(&node->network, address, bound, error)
                                 : status;
}

meshsync_status meshsync_node_lan(meshsync_node *node, const char *group, const char *interface,
                                  meshsync_error *error)
{
    meshsync_status status = msy_check_node(node, error);
    return status == MESHSYNC_OK
               ? msy_network_lan(&node->network, group != NULL ? group : MESHSYNC_LAN_GROUP,
                                 interface, error)
               : status;
}

static meshsync_status peer_check(meshsync_node *node, const char *address, meshsync_error *error)
{
    meshsync_status status = msy_check_node(node, error);
    if (status == MESHSYNC_OK) {
        status = msy_check_given(address, "address", error);
    }
    return status == MESHSYNC_OK ? msy_node_may_write(node, error) : status;
}

meshsync_status meshsync_peer_add(meshsync_node *node, const char *address, meshsync_error *error)
{
    meshsync_status status = peer_check(node, address, error);
    return status == MESHSYNC_OK ? msy_network_dial(&node->network, address, error) : status;
}

meshsync_status meshsync_peer_remove(meshsync_node *node, const char *address,
                                     meshsync_error *error)
{
    meshsync_status status = peer_check(node, address, error);
    return status == MESHSYNC_OK ? msy_network_undial(&node->network, address, error) : status;
}

meshsync_status meshsync_peer_at(meshsync_node *node, uint32_t index, meshsync_peer_info *info)
{
    meshsync_peer_info full;
    meshsync_status status = msy_check_node(node, NULL);
    if (status == MESHSYNC_OK) {
        status = msy_check_given(info, "info", NULL);
    }
    if (status != MESHSYNC_OK) {
        return status;
    }
    memset(&full, 0, sizeof full);
    full.size = sizeof full;
    status = msy_network_peer_at(&node->network, index, &full);
    return status == MESHSYNC_OK ? msy_check_write_sized(info, &full, sizeof full, "info", NULL)
                                 : status;
}

meshsync_status meshsync_space_version(meshsync_space *space, meshsync_token *token,
                                       meshsync_error *error)
{
    struct msy_vector heads;
    meshsync_status status = msy_check_space(space, error);
    if (status == MESHSYNC_OK) {
        status = msy_check_given(token, "token", error);
    }
    if (status != MESHSYNC_OK) {
        return status;
    }
    token->len = 0;
    msy_vector_init(&heads, &space->node->alloc);
    status = msy_wait_heads(space, &heads, error);
    if (status == MESHSYNC_OK && heads.count > SYNC_TOKEN_TIPS_MAX) {
        status = msy_fail(error, MESHSYNC_E_LIMIT,
                          "\"%s\" has %u concurrent heads, a token names at most %d", space->name,
                          (unsigned)heads.count, SYNC_TOKEN_TIPS_MAX);
    }
    if (status == MESHSYNC_OK && heads.count > 0 &&
        msy_token_make(heads.tips, heads.count, token) != MESHSYNC_OK) {
        status = msy_fail(error, MESHSYNC_E_LIMIT, "the heads of \"%s\" do not fit a token",
                          space->name);
    }
    msy_vector_fini(&heads);
    return status;
}

meshsync_status meshsync_wait(meshsync_space *space, const meshsync_token *token, uint32_t k,
                              uint64_t timeout_ms, meshsync_error *error)
{
    struct msy_tip tips[SYNC_TOKEN_TIPS_MAX];
    uint32_t count = 0;
    meshsync_status status = msy_check_space(space, error);
    if (status == MESHSYNC_OK && token != NULL && token->len > 0 &&
        (token->len > MESHSYNC_TOKEN_BYTES_MAX ||
         msy_token_read(token, tips, &count) != MESHSYNC_OK)) {
        status = msy_fail(error, MESHSYNC_E_INVALID, "token: it is malformed");
    }
    if (status == MESHSYNC_OK) {
        status = msy_node_may_block(space->node, true, error);
    }
    uint64_t deadline_ms = msy_clock_after(msy_clock_mono_ms(), timeout_ms);
    return status == MESHSYNC_OK ? msy_wait_for(space, tips, count, k, deadline_ms, error) : status;
}

void meshsync_token_format(const meshsync_token *token, char *out)
{
    if (token == NULL || out == NULL) {
        return;
    }
    size_t len = token->len <= MESHSYNC_TOKEN_BYTES_MAX ? token->len : 0;
    (void)msy_base64url_encode(out, token->bytes, len);
}

meshsync_status meshsync_token_parse(const char *text, meshsync_token *token, meshsync_error *error)
{
    struct msy_tip tips[SYNC_TOKEN_TIPS_MAX];
    uint32_t count = 0;
    size_t len = 0;
    meshsync_status status = msy_check_given(text, "text", error);
    if (status == MESHSYNC_OK) {
        status = msy_check_given(token, "token", error);
    }
    if (status != MESHSYNC_OK) {
        return status;
    }
    memset(token, 0, sizeof *token);
    size_t text_len = strnlen(text, (size_t)2 * MESHSYNC_TOKEN_BYTES_MAX);
    bool good = msy_base64url_decode(text, text_len, token->bytes, sizeof token->bytes, &len);
    token->len = good ? (uint32_t)len : 0;
    if (!good || (len > 0 && msy_token_read(token, tips, &count) != MESHSYNC_OK)) {
        memset(token, 0, sizeof *token);
        return msy_fail(error, MESHSYNC_E_INVALID, "\"%.64s\" is no version token", text);
    }
    return MESHSYNC_OK;
}
