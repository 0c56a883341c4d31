/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every bound of the library that is not part of the public interface, with unit and reason. The
 * public ones are in meshsync/types.h and meshsync/options.h; docs/limits.md lists them all.
 */
#ifndef MSY_BASE_LIMITS_H
#define MSY_BASE_LIMITS_H

#include <meshsync/types.h>

/* Wire: one change with its header, tables and framing; the transaction cap plus its overhead. */
#define MSY_CHANGE_BYTES_MAX (MESHSYNC_TXN_BYTES_MAX + (1u << 20))
/* Wire: causes named by one change; above it a merge change comes first. */
#define MSY_CHANGE_HEADS_MAX 64
/* Wire: collections touched by one change. */
#define MSY_CHANGE_COLLECTIONS_MAX 256
/* Wire: actors and foreign changes named in the tables of one change. */
#define MSY_CHANGE_REFS_MAX 65536
/* Wire: ops, and dots killed, by one change. */
#define MSY_CHANGE_OPS_MAX MESHSYNC_TXN_OPS_MAX
#define MSY_CHANGE_KILLS_MAX (1u << 18)
/* Wire: the largest seq that a change can have. */
#define MSY_SEQ_MAX (UINT64_C(1) << 53)
/* Wire: nesting of msgpack values, empty ones included. */
#define MSY_MSGPACK_DEPTH_MAX 32
/* Wire: lineage carried by one change, in bytes. */
#define MSY_CHANGE_META_BYTES_MAX 4096
/* Commit: plain commits that wait together become one change up to these. */
#define MSY_GROUP_OPS_MAX 4096
#define MSY_GROUP_BYTES_MAX 65536
/* Commit: ops that one LMDB transaction takes in, so that its dirty pages stay bounded. */
#define MSY_BATCH_OPS_MAX 131072
/* Clock: stamps further ahead than this are held, in ms. */
#define MSY_HLC_AHEAD_MS_MAX 60000
/* Pending: changes that wait for causes or proof, bytes in all and per actor. */
#define MSY_PENDING_BYTES_MAX (32u << 20)
#define MSY_PENDING_ACTOR_BYTES_MAX (8u << 20)
/* Leaf: siblings of one path; concurrent writers beyond it are an alarm, not a loss. */
#define MSY_LEAF_ENTRIES_WARN 1000
/* Leaf: payloads up to this many bytes live in the leaf, larger ones in the log only. */
#define MSY_LEAF_INLINE_BYTES_MAX 256
/* Network: one message, and what one session may hold of outgoing bytes. */
#define MSY_MESSAGE_BYTES_MAX (MSY_CHANGE_BYTES_MAX + 64u)
#define MSY_SESSION_OUT_BYTES_MAX (4u << 20)
/* Network: sessions, spaces in one session, addresses remembered. */
#define MSY_SESSIONS_MAX 512
#define MSY_SESSION_SPACES_MAX 4096
#define MSY_ADDRESSES_MAX 1024
#define MSY_ADDRESS_BYTES_MAX 300
/* Network: a handshake must end, and a silent peer be given up, after these, in ms. */
#define MSY_HANDSHAKE_MS_MAX 5000
#define MSY_KEEPALIVE_MS 2000
#define MSY_PEER_SILENT_MS_MAX 8000
/* Network: back-off between tries to reach a peer, in ms. */
#define MSY_DIAL_BACKOFF_MS_MIN 100
#define MSY_DIAL_BACKOFF_MS_MAX 15000
/* Network: credit of one catch-up stream in bytes, and what one turn reads from the store. */
#define MSY_STREAM_CREDIT_BYTES (1u << 20)
#define MSY_SERVE_TURN_BYTES (256u << 10)

#endif
