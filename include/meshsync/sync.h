/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file sync.h
 * @brief Peers and versions: where to listen, whom to dial, who has what, waiting.
 *
 * Threads: any function here may be called from any thread.
 */
#ifndef MESHSYNC_SYNC_H
#define MESHSYNC_SYNC_H

#include <meshsync/types.h>

MESHSYNC_BEGIN_DECLS

/** Longest address text, "host:port", "[v6]:port" or "unix:/path", with its final zero. */
#define MESHSYNC_ADDRESS_BYTES_MAX 300

/**
 * Listen on an address. Port 0 lets the system choose. The node must have been started.
 *
 * @param[out] bound  May be NULL; the caller's, MESHSYNC_ADDRESS_BYTES_MAX bytes: the address with
 *                    its real port.
 *
 * @retval MESHSYNC_OK
 * @retval MESHSYNC_E_INVALID   No address, or a name that nobody knows.
 * @retval MESHSYNC_E_STATE     Not started.
 * @retval MESHSYNC_E_RESOURCE  The system refused; @p error says why.
 * @threads Any. Blocks while a host's name is looked up; numbers need no look.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_node_listen(meshsync_node *node,
                                                                     const char *address,
                                                                     char *bound,
                                                                     meshsync_error *error);

/** Where nodes of a local network look for each other, unless told otherwise. */
#define MESHSYNC_LAN_GROUP "239.255.77.83:17483"

/**
 * Look for nodes of the same spaces on the local network, by IPv4 multicast, from now on. Beacons
 * tell where this node listens; only who knows a space in common can read that, others see random
 * bytes and a rounded number of spaces. Nodes that are found are dialled while there are few
 * peers. Off unless this is called; ends with the node. The node must have been started.
 *
 * @param[in] group      "a.b.c.d:port", a multicast group; NULL: MESHSYNC_LAN_GROUP.
 * @param[in] interface  The address of the one interface to use; NULL: all that can multicast,
 *                       those that come later included, and not loopback.
 *
 * @retval MESHSYNC_OK
 * @retval MESHSYNC_E_INVALID   No group, or no address.
 * @retval MESHSYNC_E_STATE     Not started, closing, or done already.
 * @retval MESHSYNC_E_RESOURCE  The system refused; @p error says why.
 * @threads Any. Does not block.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_node_lan(meshsync_node *node,
                                                                  const char *group,
                                                                  const char *interface,
                                                                  meshsync_error *error);

/**
 * Dial a peer, and again whenever it is not there, with jittered back-off. Addresses at which a
 * peer was reached are remembered in the folder, and dialled again after a restart.
 *
 * @threads Any. Does not block.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_peer_add(meshsync_node *node,
                                                                  const char *address,
                                                                  meshsync_error *error);

/**
 * Stop dialling an address and end the session made through it.
 *
 * @retval MESHSYNC_OK
 * @retval MESHSYNC_E_NOT_FOUND  It is not dialled.
 * @threads Any. Does not block: the session ends a little later.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_peer_remove(meshsync_node *node,
                                                                     const char *address,
                                                                     meshsync_error *error);

/** State of a peer. */
typedef enum meshsync_peer_state {
    MESHSYNC_PEER_IDLE = 0,     /**< Not connected; will be tried again. */
    MESHSYNC_PEER_DIALING = 1,  /**< Connecting. */
    MESHSYNC_PEER_GREETING = 2, /**< Handshake. */
    MESHSYNC_PEER_SYNCING = 3,  /**< In session, fetching. */
    MESHSYNC_PEER_LIVE = 4      /**< In session, nothing left to fetch. */
} meshsync_peer_state;

/** What is known of a peer. Begin with size. */
typedef struct meshsync_peer_info {
    size_t size;                              /**< sizeof, set by the caller. */
    uint64_t rtt_us;                          /**< Smoothed round-trip time; 0: unknown. */
    uint64_t lag_changes;                     /**< Changes here that it does not hold durably. */
    uint64_t behind_changes;                  /**< Changes it has that are not here, as known. */
    uint64_t last_heard_ms;                   /**< Unix ms; 0: never. */
    uint64_t bytes_in;                        /**< From it, in this session. */
    uint64_t bytes_out;                       /**< To it, in this session. */
    uint64_t spaces;                          /**< In common. */
    int32_t state;                            /**< enum meshsync_peer_state. */
    int32_t outbound;                         /**< 1: we dialled. */
    meshsync_status last_error;               /**< Why the last try or session ended. */
    int32_t has_id;                           /**< 1: id is known. */
    uint8_t id[MESHSYNC_NODE_ID_BYTES];       /**< Its node id. */
    char address[MESHSYNC_ADDRESS_BYTES_MAX]; /**< Where it is, zero-terminated. */
    char last_error_text[MESHSYNC_ERROR_MESSAGE_BYTES_MAX]; /**< In words. */
    uint8_t reserved[4];                                    /**< 0. */
} meshsync_peer_info;

/**
 * The peers by index, 0 up; E_END past the last. The list may change between calls.
 *
 * @threads Any. Does not block.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_peer_at(meshsync_node *node,
                                                                 uint32_t index,
                                                                 meshsync_peer_info *info);

/**
 * The version of now: a token for everything that is here, good at any node of the space. With
 * more than ten concurrent heads there is no such token: MESHSYNC_E_LIMIT.
 *
 * @threads Any. Reads the store.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_space_version(meshsync_space *space,
                                                                       meshsync_token *token,
                                                                       meshsync_error *error);

/**
 * Wait until a version is here and durable, and, with k of 1 or more, each of its changes durable
 * at k peers.
 *
 * @param[in] token  NULL or empty: the version of now.
 *
 * @retval MESHSYNC_OK
 * @retval MESHSYNC_E_TIMEOUT      Not yet; the token stays valid.
 * @retval MESHSYNC_E_UNREACHABLE  k of 1 or more and the node is not started.
 * @retval MESHSYNC_E_INVALID      Not a token of this space.
 * @threads Any but the network thread. Blocks up to timeout_ms.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_wait(meshsync_space *space,
                                                              const meshsync_token *token,
                                                              uint32_t k, uint64_t timeout_ms,
                                                              meshsync_error *error);

/**
 * Text of a token and back: base64url. out has room for 2 * MESHSYNC_TOKEN_BYTES_MAX bytes.
 *
 * @threads Any.
 * @since 0.1
 */
MESHSYNC_API void meshsync_token_format(const meshsync_token *token, char *out);
/**
 * The token of a text.
 *
 * @retval MESHSYNC_OK
 * @retval MESHSYNC_E_INVALID  No token.
 * @threads Any.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_token_parse(const char *text,
                                                                     meshsync_token *token,
                                                                     meshsync_error *error);

MESHSYNC_END_DECLS

#endif
