/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file types.h
 * @brief The handles, byte views, values and documented limits that the other headers share.
 *
 * Threads: nothing here has state.
 */
#ifndef MESHSYNC_TYPES_H
#define MESHSYNC_TYPES_H

#include <stddef.h>
#include <stdint.h>

#include <meshsync/export.h>
#include <meshsync/status.h>

MESHSYNC_BEGIN_DECLS

/** One replica of a mesh with its identity, store and network. */
typedef struct meshsync_node meshsync_node;
/** A shared dataset held by a node. Owned by the node; valid until the node is closed. */
typedef struct meshsync_space meshsync_space;
/** A transaction being built. */
typedef struct meshsync_txn meshsync_txn;
/** A pinned, consistent view of one space. */
typedef struct meshsync_snapshot meshsync_snapshot;
/** An ordered walk over a snapshot. */
typedef struct meshsync_scan meshsync_scan;
/** A pull iterator over the change feed. */
typedef struct meshsync_feed meshsync_feed;
/** A callback registration on the change feed. */
typedef struct meshsync_watch meshsync_watch;
/** A bounded queue of events with a file descriptor. */
typedef struct meshsync_queue meshsync_queue;

/** Bytes that somebody else owns. Frozen: never grows. */
typedef struct meshsync_bytes {
    const uint8_t *data; /**< May be NULL when len is 0. */
    size_t len;          /**< In bytes. */
} meshsync_bytes;

/** Longest name of a space or collection, in bytes of UTF-8. */
#define MESHSYNC_NAME_BYTES_MAX 64
/** Longest key, and longest path of key and fields together, in encoded bytes (docs/format.md). */
#define MESHSYNC_PATH_BYTES_MAX 480
/** Most parts of a path: the key and the fields below it. */
#define MESHSYNC_PATH_PARTS_MAX 32
/** Largest single value, in bytes. */
#define MESHSYNC_VALUE_BYTES_MAX (4u << 20)
/** Most ops in one transaction. */
#define MESHSYNC_TXN_OPS_MAX 65536
/** Largest transaction, in encoded bytes. */
#define MESHSYNC_TXN_BYTES_MAX (8u << 20)
/** Bytes of a space id, an actor id, a node id, a digest. */
#define MESHSYNC_SPACE_ID_BYTES 16
#define MESHSYNC_ACTOR_ID_BYTES 16
#define MESHSYNC_NODE_ID_BYTES 32
#define MESHSYNC_DIGEST_BYTES 32

/** Type tag of a value. */
typedef enum meshsync_value_type {
    MESHSYNC_VALUE_NIL = 0,     /**< No content. */
    MESHSYNC_VALUE_BYTES = 1,   /**< Bytes of no further meaning. */
    MESHSYNC_VALUE_STRING = 2,  /**< UTF-8 text. */
    MESHSYNC_VALUE_INT = 3,     /**< Signed 64-bit number in `integer`. */
    MESHSYNC_VALUE_FLOAT = 4,   /**< IEEE 754 double in `real`. */
    MESHSYNC_VALUE_BOOL = 5,    /**< 0 or 1 in `integer`. */
    MESHSYNC_VALUE_JSON = 6,    /**< JSON text, UTF-8. */
    MESHSYNC_VALUE_MSGPACK = 7, /**< One canonical msgpack value. */
    MESHSYNC_VALUE_OPAQUE = 8   /**< Of a later version: bytes as they came, read only. */
} meshsync_value_type;

/** A value: its tag and its content. `bytes` is set for BYTES, STRING, JSON, MSGPACK, OPAQUE. */
typedef struct meshsync_value {
    meshsync_bytes bytes; /**< Who owns it is said where a value is passed. */
    int64_t integer;      /**< INT and BOOL. */
    double real;          /**< FLOAT. */
    int32_t type;         /**< enum meshsync_value_type. */
    int32_t reserved;     /**< 0. */
} meshsync_value;

/** Type of a collection. */
typedef enum meshsync_collection_type {
    MESHSYNC_REGISTER = 1, /**< One value per key. */
    MESHSYNC_COUNTER = 2,  /**< A sum per key that any node adds to. */
    MESHSYNC_SET = 3,      /**< A set of byte strings per key; adding wins over removing. */
    MESHSYNC_MAP = 4       /**< Nested fields per key. */
} meshsync_collection_type;

/** How the siblings of a register or map field become the value that a read shows. */
typedef enum meshsync_view {
    MESHSYNC_VIEW_LWW = 1,   /**< The last writer by (HLC, actor, seq, index). The default. */
    MESHSYNC_VIEW_MV = 2,    /**< All siblings; the value shown is the last writer's. */
    MESHSYNC_VIEW_MAX = 3,   /**< The largest, in the order of docs/format.md. */
    MESHSYNC_VIEW_MIN = 4,   /**< The smallest, in the same order. */
    MESHSYNC_VIEW_CUSTOM = 5 /**< An application's function, by name and version. */
} meshsync_view;

/** When a commit is answered. A number k of 1 or more asks for k peers that hold it durably. */
typedef enum meshsync_ack {
    MESHSYNC_ACK_DURABLE = 0, /**< After it is synced to disk here and visible. */
    MESHSYNC_ACK_QUEUED = -1  /**< When its place in the history is fixed. */
} meshsync_ack;

/** Largest version token, in bytes. Tokens are opaque; their text form is base64url. */
#define MESHSYNC_TOKEN_BYTES_MAX 252
/** Names one committed change, or up to ten heads, hence a version: they and all their causes. */
typedef struct meshsync_token {
    uint32_t len;                            /**< Used bytes; 0 names the empty version. */
    uint8_t bytes[MESHSYNC_TOKEN_BYTES_MAX]; /**< Opaque. */
} meshsync_token;

MESHSYNC_END_DECLS

#endif
