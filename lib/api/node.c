/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes: open, start, close, loops of the caller's. */
#include <meshsync/loop.h>

#include <string.h>

#include "api/check.h"
#include "api/options.h"

meshsync_status meshsync_node_open(const meshsync_options *options, meshsync_node **node,
                                   meshsync_error *error)
{
    meshsync_options full;
    meshsync_error words;
    meshsync_status status = msy_check_given(node, "node", error);
    if (status != MESHSYNC_OK) {
        return status;
    }
    *node = NULL;
    status = msy_options_complete(options, &full, error);
    if (status == MESHSYNC_OK) {
        status = msy_node_open(&full, node, msy_check_words(&words));
        status = msy_check_said(status, &words, "opening the node", error);
    }
    return status;
}

static meshsync_status node_start(meshsync_node *node, enum msy_net_mode mode,
                                  struct uv_loop_s *loop, meshsync_error *error)
{
    meshsync_error words;
    meshsync_status status = msy_check_node(node, error);
    if (status == MESHSYNC_OK) {
        status = msy_node_start(node, mode, loop, msy_check_words(&words));
        status = msy_check_said(status, &words, "starting the node", error);
    }
    return status;
}

meshsync_status meshsync_node_start(meshsync_node *node, meshsync_error *error)
{
    return node_start(node, MSY_NET_THREAD, NULL, error);
}

meshsync_status meshsync_node_start_on_loop(meshsync_node *node, struct uv_loop_s *loop,
                                            meshsync_error *error)
{
    meshsync_status status = msy_check_given(loop, "loop", error);
    return status == MESHSYNC_OK ? node_start(node, MSY_NET_LOOP, loop, error) : status;
}

meshsync_status meshsync_node_start_external(meshsync_node *node, meshsync_error *error)
{
    return node_start(node, MSY_NET_EXTERNAL, NULL, error);
}

int meshsync_node_fd(const meshsync_node *node)
{
    return msy_check_node(node, NULL) == MESHSYNC_OK ? msy_network_fd(&node->network) : -1;
}

int meshsync_node_timeout_ms(const meshsync_node *node)
{
    return msy_check_node(node, NULL) == MESHSYNC_OK ? msy_network_timeout_ms(&node->network) : -1;
}

meshsync_status meshsync_node_process(meshsync_node *node)
{
    meshsync_status status = msy_check_node(node, NULL);
    if (status == MESHSYNC_OK && node->network.mode != MSY_NET_EXTERNAL) {
        status = MESHSYNC_E_STATE;
    }
    if (status == MESHSYNC_OK && !msy_network_here(&node->network)) {
        status = MESHSYNC_E_STATE; /* Two that turn one loop would break it. */
    }
    if (status == MESHSYNC_OK && node->network.in_callback) {
        status = MESHSYNC_E_IN_CALLBACK;
    }
    if (status == MESHSYNC_OK) {
        msy_network_process(&node->network); /* The node may be gone after it. */
    }
    return status;
}

meshsync_status meshsync_node_close(meshsync_node *node)
{
    if (node == NULL) {
        return MESHSYNC_OK;
    }
    meshsync_status status = msy_node_check(node, NULL);
    return status == MESHSYNC_OK ? msy_node_close(node) : status;
}

meshsync_status meshsync_node_close_async(meshsync_node *node, meshsync_close_fn callback,
                                          void *user)
{
    meshsync_status status = msy_check_node(node, NULL);
    return status == MESHSYNC_OK ? msy_node_close_async(node, callback, user) : status;
}

meshsync_status meshsync_node_id(const meshsync_node *node, uint8_t id[MESHSYNC_NODE_ID_BYTES])
{
    meshsync_status status = msy_check_node(node, NULL);
    if (status == MESHSYNC_OK) {
        status = msy_check_given(id, "id", NULL);
    }
    if (status == MESHSYNC_OK) {
        memcpy(id, node->id, sizeof node->id);
    }
    return status;
}
