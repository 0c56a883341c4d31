/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file options.h
 * @brief How a node is opened: folder, caps, hooks. As a struct, or by string keys for bindings.
 *
 * Threads: options belong to their caller; use one from one thread at a time.
 */
#ifndef MESHSYNC_OPTIONS_H
#define MESHSYNC_OPTIONS_H

#include <meshsync/types.h>

MESHSYNC_BEGIN_DECLS

/** How the folder is opened. */
typedef enum meshsync_mode {
    MESHSYNC_MODE_WRITE = 0, /**< The one writer of the folder; makes what is missing. */
    MESHSYNC_MODE_READ = 1   /**< Beside a running writer, in any process: reads only. */
} meshsync_mode;

/** Severity of a log message. */
typedef enum meshsync_log_level {
    MESHSYNC_LOG_ERROR = 1, /**< Something was lost or stopped. */
    MESHSYNC_LOG_WARN = 2,  /**< Something is wrong but handled. */
    MESHSYNC_LOG_INFO = 3,  /**< One line per event of interest. */
    MESHSYNC_LOG_DEBUG = 4  /**< For finding faults. */
} meshsync_log_level;

/**
 * Receives log messages; called from any thread of the node, several at once. Must not call the
 * library. component and message are zero-terminated, without user data, lent for the call.
 */
typedef void (*meshsync_log_fn)(void *user, int32_t level, const char *component,
                                const char *message);

/**
 * Replaces the C library's allocator for one node: new_size 0 frees and returns NULL, ptr NULL
 * allocates, old_size is exact. Called from any thread.
 */
typedef void *(*meshsync_realloc_fn)(void *user, void *ptr, size_t old_size, size_t new_size);

/** Compression of what is sent; 1 to 3 are levels of zstd, everywhere. */
typedef enum meshsync_compression {
    MESHSYNC_COMPRESS_AUTO = 0, /**< Level 1, but over loopback and Unix sockets none. */
    MESHSYNC_COMPRESS_NONE = 4  /**< And nothing compressed is taken. */
} meshsync_compression;

/** Options of a node. Begin with meshsync_options_init(). */
typedef struct meshsync_options {
    size_t size;                    /**< Set by meshsync_options_init(), never by hand. */
    const char *path;               /**< Folder of the node, UTF-8. Required. */
    meshsync_log_fn log;            /**< NULL: silent. */
    void *log_user;                 /**< First argument of log. */
    meshsync_realloc_fn allocate;   /**< NULL: the C library's. */
    void *allocate_user;            /**< First argument of allocate. */
    uint64_t store_map_bytes;       /**< Address space reserved: 1 MiB to 16 TiB, default 64 GiB. */
    uint64_t store_bytes_max;       /**< Cap on the store on disk; default and most: the map. */
    uint64_t memory_bytes_max;      /**< Cap on this node's allocations; 0, the default: none. */
    uint64_t snapshot_ms_max;       /**< Age at which a snapshot is released; default 60000. */
    uint64_t busy_wait_ms;          /**< How long opening waits for another writer; default 0. */
    uint64_t keepalive_ms;          /**< Between signs of life to a peer: 100 to 60000, 2000. */
    uint64_t retry_ms_max;          /**< Longest pause between dials: 100 to 3600000, 15000. */
    uint64_t clock_ahead_ms_max;    /**< Stamps further ahead are held, and a clock
                                       further ahead of peers' commits nothing; default 60000. */
    uint32_t readers_max;           /**< Reader slots, all processes: 8 to 4096, default 1024. */
    int32_t mode;                   /**< enum meshsync_mode; default MESHSYNC_MODE_WRITE. */
    int32_t log_level;              /**< Most verbose level that is logged; default INFO. */
    int32_t create;                 /**< 0: the folder must hold a node already. Default 1. */
    uint64_t compression;           /**< 1 to 3, or enum meshsync_compression; default AUTO. */
    uint64_t send_bytes_per_s;      /**< Of changes, to all peers: 16 KiB to 1 TiB; 0: no bound. */
    uint64_t send_peer_bytes_per_s; /**< The same, to one peer. */
    uint64_t send_burst_bytes;      /**< At once after rest: 4 KiB to 1 TiB; 0: a second's worth. */
} meshsync_options;

/**
 * Fills options with the defaults.
 *
 * @param[out] options  The caller's memory.
 * @param[in]  size     sizeof(meshsync_options) as the caller was compiled.
 *
 * @threads Any. Does not block.
 * @since 0.1
 */
MESHSYNC_API void meshsync_options_init(meshsync_options *options, size_t size);

/**
 * Sets one option by its name in this struct, from text. Numbers are decimal, bytes may end in
 * KiB, MiB, GiB or TiB. path is lent: the text must live until the node is opened.
 *
 * @retval MESHSYNC_OK
 * @retval MESHSYNC_E_NOT_FOUND  No option has that name.
 * @retval MESHSYNC_E_INVALID    The text is no value for it; @p error says which are.
 *
 * @threads Any. Does not block.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_options_set(meshsync_options *options,
                                                                     const char *key,
                                                                     const char *value,
                                                                     meshsync_error *error);

MESHSYNC_END_DECLS

#endif
