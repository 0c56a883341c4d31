/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file status.h
 * @brief Status codes and the error text that goes with one call.
 *
 * Threads: every function here may be called from any thread.
 */
#ifndef MESHSYNC_STATUS_H
#define MESHSYNC_STATUS_H

#include <stdint.h>

#include <meshsync/export.h>

MESHSYNC_BEGIN_DECLS

/**
 * Outcome of a call: 0 is success, everything else is negative. The range says who can help:
 * -1 to -99 the caller, -100 to -199 this machine, -200 to -299 a peer, -900 and below us.
 */
typedef int32_t meshsync_status;

/** Every status: X(name, number, words). Numbers are never reused (tests/abi/status.golden). */
#define MESHSYNC_STATUS_MAP(X)                                                                     \
    X(MESHSYNC_OK, 0, "success")                                                                   \
    X(MESHSYNC_E_INVALID, -1, "invalid argument")                                                  \
    X(MESHSYNC_E_NOT_FOUND, -2, "not found")                                                       \
    X(MESHSYNC_E_EXISTS, -3, "already exists")                                                     \
    X(MESHSYNC_E_LIMIT, -4, "over a documented limit")                                             \
    X(MESHSYNC_E_STATE, -5, "not possible in this state")                                          \
    X(MESHSYNC_E_CONFLICT, -6, "condition of the write does not hold")                             \
    X(MESHSYNC_E_UNSUPPORTED, -7, "not supported by this version")                                 \
    X(MESHSYNC_E_FORKED, -8, "handle belongs to the parent process")                               \
    X(MESHSYNC_E_IN_CALLBACK, -9, "would deadlock in a callback")                                  \
    X(MESHSYNC_E_BUSY, -10, "too much in flight, try again")                                       \
    X(MESHSYNC_E_TIMEOUT, -11, "time ran out, outcome unknown")                                    \
    X(MESHSYNC_E_CANCELLED, -12, "cancelled by closing")                                           \
    X(MESHSYNC_E_EXPIRED, -13, "snapshot is over its maximum age")                                 \
    X(MESHSYNC_E_TYPE, -14, "wrong type for this collection")                                      \
    X(MESHSYNC_E_END, -15, "no more items")                                                        \
    X(MESHSYNC_E_READ_ONLY, -16, "opened for reading only")                                        \
    X(MESHSYNC_E_NO_MEMORY, -100, "out of memory")                                                 \
    X(MESHSYNC_E_IO, -101, "input or output error")                                                \
    X(MESHSYNC_E_DISK_FULL, -102, "disk full")                                                     \
    X(MESHSYNC_E_STORE_FULL, -103, "cap of the store reached")                                     \
    X(MESHSYNC_E_STORE_CORRUPT, -104, "store is damaged")                                          \
    X(MESHSYNC_E_STORE_LOCKED, -105, "store is open for writing elsewhere")                        \
    X(MESHSYNC_E_STORE_VERSION, -106, "store has a newer format")                                  \
    X(MESHSYNC_E_PERMISSION, -107, "permission denied by the system")                              \
    X(MESHSYNC_E_CLOCK, -108, "clock of this machine is implausible")                              \
    X(MESHSYNC_E_RESOURCE, -109, "out of descriptors, threads or reader slots")                    \
    X(MESHSYNC_E_UNREACHABLE, -200, "peer cannot be reached")                                      \
    X(MESHSYNC_E_PROTOCOL, -201, "peer broke the protocol")                                        \
    X(MESHSYNC_E_AUTH, -202, "peer could not be authenticated")                                    \
    X(MESHSYNC_E_REFUSED, -203, "refused")                                                         \
    X(MESHSYNC_E_INTERNAL, -900, "internal error, the node has stopped")

/** The codes of MESHSYNC_STATUS_MAP as constants. Users skip codes that they do not know. */
enum meshsync_status_code {
#define MESHSYNC_STATUS_ENUM(name, number, words) name = number,
    MESHSYNC_STATUS_MAP(MESHSYNC_STATUS_ENUM)
#undef MESHSYNC_STATUS_ENUM
};

/** Longest message in a meshsync_error, in bytes with its final zero. */
#define MESHSYNC_ERROR_MESSAGE_BYTES_MAX 248

/** What went wrong in one call, in words. Written only on failure. The caller's memory. */
typedef struct meshsync_error {
    meshsync_status status;                         /**< The same as the call returned. */
    int32_t system_errno;                           /**< errno behind it, or 0. */
    char message[MESHSYNC_ERROR_MESSAGE_BYTES_MAX]; /**< UTF-8, zero-terminated, no secrets. */
} meshsync_error;

/**
 * Fixed words for a status, never NULL.
 *
 * @threads Any. Does not block.
 * @since 0.1
 */
MESHSYNC_API const char *meshsync_strerror(meshsync_status status);

/**
 * The constant's name for a status, such as "MESHSYNC_E_LIMIT", never NULL.
 *
 * @threads Any. Does not block.
 * @since 0.1
 */
MESHSYNC_API const char *meshsync_status_name(meshsync_status status);

MESHSYNC_END_DECLS

#endif
