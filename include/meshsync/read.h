/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file read.h
 * @brief Consistent reads on the caller's own thread: snapshots, gets, scans, conflicts.
 *
 * Threads: a snapshot is used by one thread at a time. What a call lends (values, keys, contexts)
 * points into the store itself and is valid until the next call on that snapshot or its scans. A
 * snapshot older than options.snapshot_ms_max is released by its next call, which returns
 * MESHSYNC_E_EXPIRED, so that no reader holds old pages for ever.
 */
#ifndef MESHSYNC_READ_H
#define MESHSYNC_READ_H

#include <meshsync/write.h>

MESHSYNC_BEGIN_DECLS

/** One of the concurrent values of a path. */
typedef struct meshsync_sibling {
    meshsync_value value;                   /**< Lent. */
    uint64_t hlc;                           /**< Stamp of its change. */
    uint64_t seq;                           /**< Of its change, at its actor. */
    uint64_t lsn;                           /**< Place of its change in this node's log. */
    uint8_t actor[MESHSYNC_ACTOR_ID_BYTES]; /**< Who wrote it, in which epoch. */
    uint8_t device[MESHSYNC_NODE_ID_BYTES]; /**< On which device. */
} meshsync_sibling;

/** What a path holds. */
typedef struct meshsync_entry {
    meshsync_bytes key;      /**< Path as given, or as found by a scan: encoded, see
                                   meshsync_entry_part(). Lent. */
    meshsync_value value;    /**< As the collection's view shows it; a counter's sum. Lent. */
    meshsync_bytes context;  /**< Opaque: what was seen; for conditions. Lent. */
    uint32_t siblings_count; /**< Values that live here; over 1 is a conflict. */
    int32_t kind;            /**< 0: a value; 1: a counter; 2: a set element; 3: a map or set that
                                   exists (marker, or something below). */
} meshsync_entry;

/**
 * Pin the state of now.
 *
 * @retval MESHSYNC_OK
 * @retval MESHSYNC_E_RESOURCE  All reader slots are taken.
 * @threads Any. Does not block.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_snapshot_open(meshsync_space *space,
                                                                       meshsync_snapshot **snapshot,
                                                                       meshsync_error *error);

/** Release it and its scans. NULL is allowed. @threads One at a time per snapshot. @since 0.1 */
MESHSYNC_API void meshsync_snapshot_close(meshsync_snapshot *snapshot);

/**
 * Read a register, a counter, a map's field, or ask whether a set or map exists.
 *
 * @retval MESHSYNC_OK
 * @retval MESHSYNC_E_NOT_FOUND      Nothing lives there, or no such collection; *entry still has a
 *                                   context (of nothing seen).
 * @retval MESHSYNC_E_EXPIRED
 * @retval MESHSYNC_E_STORE_CORRUPT  The record is damaged: never shown as not found.
 * @threads One at a time per snapshot. Reads the store.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_get(meshsync_snapshot *snapshot,
                                                             const char *collection,
                                                             const meshsync_path *path,
                                                             meshsync_entry *entry,
                                                             meshsync_error *error);

/**
 * The index-th sibling of the entry that the last get, scan or conflict step on this snapshot
 * gave, in ascending (HLC, actor, seq, index): the last is the LWW winner. E_END past the last.
 *
 * @threads One at a time per snapshot.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_sibling_at(meshsync_snapshot *snapshot,
                                                                    uint32_t index,
                                                                    meshsync_sibling *sibling,
                                                                    meshsync_error *error);

/**
 * Is an element in a set? MESHSYNC_OK or MESHSYNC_E_NOT_FOUND.
 *
 * @threads One at a time per snapshot.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_set_contains(meshsync_snapshot *snapshot,
                                                                      const char *collection,
                                                                      meshsync_bytes key,
                                                                      meshsync_bytes element,
                                                                      meshsync_error *error);

/** Which way a scan goes. */
typedef enum meshsync_direction {
    MESHSYNC_ASCENDING = 0, /**< From the smallest. */
    MESHSYNC_DESCENDING = 1 /**< From the largest. */
} meshsync_direction;

/** Range of a scan. Begin with size; zeros mean everything, ascending. */
typedef struct meshsync_scan_options {
    size_t size;           /**< sizeof, set by the caller. */
    meshsync_path below;   /**< Only what is below this path: a set's elements, a map's fields. */
    meshsync_bytes prefix; /**< The next part begins with these bytes. */
    meshsync_bytes from;   /**< The next part is at or after this; descending: at or before. */
    meshsync_bytes until;  /**< The next part is before this; descending: after. */
    uint64_t limit;        /**< Most entries; 0: no limit. */
    int32_t direction;     /**< enum meshsync_direction. */
    int32_t deep;          /**< 1: every leaf below, with its whole path; 0: each next part once (a
                               map of a million fields is one entry, found in one step). */
} meshsync_scan_options;

/**
 * Begin an ordered walk. Entries come with meshsync_scan_next(); the scan ends with its snapshot.
 *
 * @param[in] options  NULL: all keys, ascending.
 * @threads One at a time per snapshot.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_scan_open(
    meshsync_snapshot *snapshot, const char *collection, const meshsync_scan_options *options,
    meshsync_scan **scan, meshsync_error *error);

/**
 * The next entry. E_END past the last.
 *
 * @threads One at a time per snapshot.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_scan_next(meshsync_scan *scan,
                                                                   meshsync_entry *entry,
                                                                   meshsync_error *error);

/**
 * Release a scan before its snapshot. NULL is allowed.
 *
 * @threads One at a time per snapshot.
 * @since 0.1
 */
MESHSYNC_API void meshsync_scan_close(meshsync_scan *scan);

/**
 * Begin a walk over every path of the space that has more than one sibling.
 *
 * Steps with meshsync_scan_next(); meshsync_scan_collection() names the collection.
 *
 * @threads One at a time per snapshot.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_conflicts_open(meshsync_snapshot *snapshot,
                                                                        meshsync_scan **scan,
                                                                        meshsync_error *error);

/**
 * Collection of the entry that the scan gave last; zero-terminated, lent.
 *
 * @threads One at a time per snapshot.
 * @since 0.1
 */
MESHSYNC_API const char *meshsync_scan_collection(const meshsync_scan *scan);

/**
 * The index-th part of an encoded path such as meshsync_entry.key, decoded into out.
 *
 * @param[out] out      Room for MESHSYNC_PATH_BYTES_MAX bytes.
 * @param[out] out_len  Bytes written.
 *
 * @retval MESHSYNC_OK
 * @retval MESHSYNC_E_END  It has no such part.
 * @threads Any.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_entry_part(meshsync_bytes key,
                                                                    uint32_t index, uint8_t *out,
                                                                    size_t *out_len);

MESHSYNC_END_DECLS

#endif
