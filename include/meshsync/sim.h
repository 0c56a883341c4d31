/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file sim.h
 * @brief A whole mesh in one thread: virtual time, network, clocks and stores, from one seed.
 *
 * The nodes are the objects that production runs; only sockets, disks and clocks are virtual. The
 * same seed and the same calls give the same run, byte for byte: compare meshsync_sim_trace(). For
 * testing the library, and applications on top of it. Its own library: libmeshsync-sim.
 *
 * Threads: a simulation is used by one thread at a time and starts none. No call blocks.
 */
#ifndef MESHSYNC_SIM_H
#define MESHSYNC_SIM_H

#include <meshsync/options.h>
#include <meshsync/read.h>
#include <meshsync/space.h>

MESHSYNC_BEGIN_DECLS

/** Most nodes of one simulation, clones included. */
#define MESHSYNC_SIM_NODES_MAX 64
/** Most spaces of one simulation. */
#define MESHSYNC_SIM_SPACES_MAX 8

/** A simulated mesh: its nodes share one space, or several (meshsync_sim_space_select()). */
typedef struct meshsync_sim meshsync_sim;
/** A transaction being built for a node of a simulation. */
typedef struct meshsync_sim_txn meshsync_sim_txn;

/** What a simulation is made of. Begin with meshsync_sim_options_init(). */
typedef struct meshsync_sim_options {
    size_t size;                 /**< Set by meshsync_sim_options_init(), never by hand. */
    uint64_t seed;               /**< Everything that is drawn comes from it. Default 1. */
    uint64_t nodes_count;        /**< 1 to MESHSYNC_SIM_NODES_MAX. Default 3. */
    uint64_t latency_us_min;     /**< Of a link, one way. Default 100. */
    uint64_t latency_us_max;     /**< And at most. Default 20000. */
    uint64_t commit_us_max;      /**< Longest time that a store takes to commit. Default 5000. */
    uint64_t unix_ms;            /**< Wall clock of all nodes at the start. */
    uint64_t clock_ahead_ms_max; /**< As meshsync_options.clock_ahead_ms_max. Default 60000. */
    meshsync_log_fn log;         /**< May be NULL; component is "node N". */
    void *log_user;              /**< Given to log. */
    uint64_t keepalive_ms;       /**< As meshsync_options.keepalive_ms. Default 2000. */
} meshsync_sim_options;

/** Fill in the defaults; size is sizeof(meshsync_sim_options). @threads Any. @since 0.1 */
MESHSYNC_API void meshsync_sim_options_init(meshsync_sim_options *options, size_t size);

/**
 * Make a simulation: nodes with empty stores, running, that nobody told of each other.
 *
 * @param[out] sim  Release with meshsync_sim_free(); NULL on failure.
 *
 * @retval MESHSYNC_OK
 * @retval MESHSYNC_E_INVALID    An option is out of range; @p error names it.
 * @retval MESHSYNC_E_NO_MEMORY
 * @threads Any.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status
meshsync_sim_new(const meshsync_sim_options *options, meshsync_sim **sim, meshsync_error *error);

/**
 * Release everything. NULL is allowed. Commits that were not answered get no answer.
 *
 * @threads The one.
 * @since 0.1
 */
MESHSYNC_API void meshsync_sim_free(meshsync_sim *sim);

/* --- time --------------------------------------------------------------------------------- */

/**
 * Let the next thing happen: one packet, one timer, one commit.
 *
 * @retval MESHSYNC_OK
 * @retval MESHSYNC_E_END       Nothing is left to happen.
 * @retval MESHSYNC_E_INTERNAL  A node broke a rule of its own; the simulation cannot go on.
 * @threads The one.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_sim_step(meshsync_sim *sim);

/** Let everything happen that happens within ms of virtual time. @threads The one. @since 0.1 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_sim_run_for(meshsync_sim *sim,
                                                                     uint64_t ms);

/** Virtual microseconds since the beginning. @threads The one. @since 0.1 */
MESHSYNC_API uint64_t meshsync_sim_now_us(const meshsync_sim *sim);

/** Hash of everything that happened so far. @threads The one. @since 0.1 */
MESHSYNC_API void meshsync_sim_trace(meshsync_sim *sim, uint8_t hash[MESHSYNC_DIGEST_BYTES]);

/** A number below bound from the seed, for choices of the test. @threads The one. @since 0.1 */
MESHSYNC_API uint64_t meshsync_sim_draw(meshsync_sim *sim, uint64_t bound);

/* --- nodes and the space ------------------------------------------------------------------- */

/** An ordered pair of nodes: what goes from one to the other. */
typedef struct meshsync_sim_pair {
    uint32_t from; /**< Number of a node. */
    uint32_t to;   /**< Number of another. */
} meshsync_sim_pair;

/** How many nodes there are. They are numbered from 0. @threads The one. @since 0.1 */
MESHSYNC_API uint32_t meshsync_sim_nodes_count(const meshsync_sim *sim);

/** Is a node running? 1 or 0. @threads The one. @since 0.1 */
MESHSYNC_API int32_t meshsync_sim_node_is_up(const meshsync_sim *sim, uint32_t node);

/** A node's id. @threads The one. @since 0.1 */
MESHSYNC_API meshsync_status meshsync_sim_node_id(const meshsync_sim *sim, uint32_t node,
                                                  uint8_t id[MESHSYNC_NODE_ID_BYTES]);

/**
 * Tell a node to dial another, for ever, also after restarts.
 *
 * @retval MESHSYNC_OK
 * @retval MESHSYNC_E_INVALID  No such node.
 * @threads The one.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_sim_dial(meshsync_sim *sim,
                                                                  meshsync_sim_pair pair);

/**
 * Let a node look at the local network, as meshsync_node_lan() does, also after restarts. All that
 * look are on one network; a beacon passes where a connection would.
 *
 * @retval MESHSYNC_OK
 * @retval MESHSYNC_E_INVALID  No such node.
 * @threads The one.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_sim_lan(meshsync_sim *sim, uint32_t node);

/**
 * Make one more node, with an empty store, running, that nobody was told of.
 *
 * @param[out] node  Its number.
 *
 * @retval MESHSYNC_OK
 * @retval MESHSYNC_E_LIMIT  MESHSYNC_SIM_NODES_MAX are there.
 * @threads The one.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_sim_node_add(meshsync_sim *sim,
                                                                      uint32_t *node,
                                                                      meshsync_error *error);
/**
 * End a node for ever: it is gone without a word and never starts again.
 *
 * @retval MESHSYNC_OK
 * @retval MESHSYNC_E_INVALID  No such node.
 * @threads The one.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_sim_retire(meshsync_sim *sim,
                                                                    uint32_t node);
/**
 * Choose the space that every other function speaks of: 0 (at the beginning) to
 * MESHSYNC_SIM_SPACES_MAX - 1. meshsync_sim_converged() and meshsync_sim_settle() always look at
 * all of them. Founded with meshsync_sim_space_create(), joined node by node.
 *
 * @retval MESHSYNC_OK
 * @retval MESHSYNC_E_INVALID  Out of range.
 * @threads The one.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_sim_space_select(meshsync_sim *sim,
                                                                          uint32_t space);
/** Is a node in the chosen space? 1 or 0. @threads The one. @since 0.1 */
MESHSYNC_API int32_t meshsync_sim_space_has(const meshsync_sim *sim, uint32_t node);
/**
 * Let a node leave the space, and erase what it has of it.
 *
 * @retval MESHSYNC_OK
 * @retval MESHSYNC_E_STATE  The node is down or not in the space.
 * @threads The one. Commits at once.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_sim_space_leave(meshsync_sim *sim,
                                                                         uint32_t node,
                                                                         meshsync_error *error);

/**
 * Found the space at a node.
 *
 * @retval MESHSYNC_OK
 * @retval MESHSYNC_E_STATE  There is one.
 * @threads The one. Commits at once.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_sim_space_create(meshsync_sim *sim,
                                                                          uint32_t node,
                                                                          meshsync_error *error);

/**
 * Let a node join the space, by a ticket that the founder made. Also after it lost its disk.
 *
 * @retval MESHSYNC_OK
 * @retval MESHSYNC_E_EXISTS  It has the space.
 * @retval MESHSYNC_E_STATE   There is no space, or the node is down.
 * @threads The one. Commits at once.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_sim_space_join(meshsync_sim *sim,
                                                                        uint32_t node,
                                                                        meshsync_error *error);

/** A collection of a simulation. */
typedef struct meshsync_sim_collection {
    const char *name; /**< Zero-terminated. */
    int32_t type;     /**< enum meshsync_collection_type. */
    int32_t view;     /**< enum meshsync_view, but for CUSTOM. */
} meshsync_sim_collection;

/** Make a collection at a node. @threads The one. Commits at once. @since 0.1 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status
meshsync_sim_collection_create(meshsync_sim *sim, uint32_t node,
                               const meshsync_sim_collection *collection, meshsync_error *error);

/**
 * The usual beginning in one call: node 0 founds the space and makes the collections, the others
 * join, everybody dials everybody of a lower number, and time runs until all have all.
 *
 * @retval MESHSYNC_OK
 * @retval MESHSYNC_E_TIMEOUT  They did not come together; @p error says who lacks what.
 * @threads The one.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status
meshsync_sim_begin(meshsync_sim *sim, const meshsync_sim_collection *collections,
                   size_t collections_count, meshsync_error *error);

/* --- writing and reading ------------------------------------------------------------------- */

/**
 * Begin a transaction at a node.
 *
 * @param[out] txn  End it with meshsync_sim_txn_commit() or meshsync_sim_txn_abort().
 *
 * @retval MESHSYNC_OK
 * @retval MESHSYNC_E_STATE  The node is down or not in the space.
 * @threads The one.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_sim_txn_begin(meshsync_sim *sim,
                                                                       uint32_t node,
                                                                       meshsync_sim_txn **txn);
/** As meshsync_txn_put(); what is wrong is told at the commit. @threads The one. @since 0.1 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status
meshsync_sim_txn_put(meshsync_sim_txn *txn, const char *collection, const meshsync_path *path,
                     const meshsync_value *value, const meshsync_condition *condition);
/** As meshsync_txn_delete(). @threads The one. @since 0.1 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status
meshsync_sim_txn_delete(meshsync_sim_txn *txn, const char *collection, const meshsync_path *path,
                        const meshsync_condition *condition);
/** As meshsync_txn_add(). @threads The one. @since 0.1 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_sim_txn_add(meshsync_sim_txn *txn,
                                                                     const char *collection,
                                                                     const meshsync_path *path,
                                                                     int64_t delta);
/** As meshsync_txn_set_add(); the path is key, element. @threads The one. @since 0.1 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_sim_txn_set_add(meshsync_sim_txn *txn,
                                                                         const char *collection,
                                                                         const meshsync_path *path);
/** As meshsync_txn_set_remove(); the path is key, element. @threads The one. @since 0.1 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_sim_txn_set_remove(
    meshsync_sim_txn *txn, const char *collection, const meshsync_path *path);
/** As meshsync_txn_touch(). @threads The one. @since 0.1 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_sim_txn_touch(meshsync_sim_txn *txn,
                                                                       const char *collection,
                                                                       const meshsync_path *path);

/** What committing does with others that wait. */
typedef enum meshsync_sim_grouping {
    MESHSYNC_SIM_PLAIN = 0,   /**< May share a change with others. */
    MESHSYNC_SIM_EXPLICIT = 1 /**< A change of its own. */
} meshsync_sim_grouping;

/**
 * Outcome of a commit, when it is durable at its node, or could not be. MESHSYNC_E_CANCELLED: the
 * node crashed first and the outcome is unknown. token is lent. May call anything but
 * meshsync_sim_free(), meshsync_sim_step() and meshsync_sim_run_for().
 */
typedef void (*meshsync_sim_commit_fn)(void *user, meshsync_status status,
                                       const meshsync_token *token);

/**
 * Hand a transaction to its node's writer; time must go on for it to be answered. The transaction
 * is gone whatever is returned.
 *
 * @param[in] callback  May be NULL. Comes exactly once when MESHSYNC_OK is returned.
 *
 * @retval MESHSYNC_OK
 * @retval MESHSYNC_E_STATE  The node went down since the transaction began.
 * @threads The one.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status
meshsync_sim_txn_commit(meshsync_sim_txn *txn, meshsync_sim_grouping grouping,
                        meshsync_sim_commit_fn callback, void *user);
/** Forget a transaction. NULL is allowed. @threads The one. @since 0.1 */
MESHSYNC_API void meshsync_sim_txn_abort(meshsync_sim_txn *txn);

/** One put of a string key, handed to the writer. @threads The one. @since 0.1 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_sim_put(meshsync_sim *sim, uint32_t node,
                                                                 const char *collection,
                                                                 const char *key,
                                                                 const meshsync_value *value);
/** One addition to a counter, handed to the writer. @threads The one. @since 0.1 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_sim_incr(meshsync_sim *sim, uint32_t node,
                                                                  const char *collection,
                                                                  const char *key, int64_t delta);

/**
 * Read a path at a node. What is lent lives until the next call on the simulation.
 *
 * @retval MESHSYNC_OK
 * @retval MESHSYNC_E_NOT_FOUND
 * @retval MESHSYNC_E_STATE      The node is down or not in the space.
 * @threads The one.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_sim_get(meshsync_sim *sim, uint32_t node,
                                                                 const char *collection,
                                                                 const meshsync_path *path,
                                                                 meshsync_entry *entry);
/** A sibling of what was read last; E_END past the last. @threads The one. @since 0.1 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_sim_sibling_at(meshsync_sim *sim,
                                                                        uint32_t index,
                                                                        meshsync_sibling *sibling);
/** Does a set have an element? The path is key, element. @threads The one. @since 0.1 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_sim_contains(meshsync_sim *sim,
                                                                      uint32_t node,
                                                                      const char *collection,
                                                                      const meshsync_path *path);
/** The digest of the space at a node, up or down. @threads The one. @since 0.1 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_sim_digest(meshsync_sim *sim,
                                                                    uint32_t node,
                                                                    meshsync_digest *digest);
/** As meshsync_space_verify(). @threads The one. @since 0.1 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_sim_verify(meshsync_sim *sim,
                                                                    uint32_t node,
                                                                    meshsync_verify_report *report,
                                                                    meshsync_error *error);

/* --- faults ------------------------------------------------------------------------------- */

/** What happens to what goes from one node to another. Begin with size; zeros: as the options. */
typedef struct meshsync_sim_link {
    size_t size;             /**< sizeof, set by the caller. */
    uint64_t latency_us_min; /**< 0: of the options. */
    uint64_t latency_us_max; /**< 0: of the options. */
    uint64_t bytes_per_s;    /**< 0: no limit. */
    int32_t cut;             /**< 1: nothing passes; what was sent waits, as with TCP. */
    int32_t reserved;        /**< 0. */
    uint64_t tail_permille;  /**< So many of a thousand pieces are much later. */
    uint64_t tail_us_max;    /**< Than the others, by up to this. */
} meshsync_sim_link;

/** Set one direction between two nodes. @threads The one. @since 0.1 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status
meshsync_sim_link_set(meshsync_sim *sim, meshsync_sim_pair pair, const meshsync_sim_link *link);
/** Cut both directions between two nodes. @threads The one. @since 0.1 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_sim_cut(meshsync_sim *sim,
                                                                 meshsync_sim_pair pair);
/** Let both directions pass again. @threads The one. @since 0.1 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_sim_heal(meshsync_sim *sim,
                                                                  meshsync_sim_pair pair);
/** Break the connections between two nodes: both ends are told. @threads The one. @since 0.1 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_sim_reset(meshsync_sim *sim,
                                                                   meshsync_sim_pair pair);
/** Break the connections between two nodes: nobody is told. @threads The one. @since 0.1 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_sim_half_open(meshsync_sim *sim,
                                                                       meshsync_sim_pair pair);
/** Change one byte of what travels from one to the other next. @threads The one. @since 0.1 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_sim_corrupt(meshsync_sim *sim,
                                                                     meshsync_sim_pair pair);

/** How a node ends. */
typedef enum meshsync_sim_crash_kind {
    MESHSYNC_SIM_KILL = 0,        /**< The process ends; its machine resets the connections. */
    MESHSYNC_SIM_POWER = 1,       /**< The machine ends; nobody is told. */
    MESHSYNC_SIM_KILL_BEFORE = 2, /**< KILL, with what is queued, instead of the next commit. */
    MESHSYNC_SIM_KILL_AFTER = 3   /**< KILL when the next commit is durable and nobody knows. */
} meshsync_sim_crash_kind;

/**
 * Crash a node, now or at its next commit. What was not committed is lost.
 *
 * @threads The one.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_sim_crash(meshsync_sim *sim, uint32_t node,
                                                                   meshsync_sim_crash_kind kind);
/**
 * Kill a node at one of the next actions of its store: at a put, a removal, or the commit itself.
 *
 * @param[in] actions  1: the very next one. 0: not any more.
 *
 * @retval MESHSYNC_OK
 * @retval MESHSYNC_E_STATE    It is down.
 * @retval MESHSYNC_E_INVALID  No such node.
 * @threads The one.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_sim_crash_at(meshsync_sim *sim,
                                                                      uint32_t node,
                                                                      uint64_t actions);
/** Start a node that is down. @threads The one. @since 0.1 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_sim_restart(meshsync_sim *sim,
                                                                     uint32_t node,
                                                                     meshsync_error *error);

/** What is wrong with a node's store. */
typedef enum meshsync_sim_store_kind {
    MESHSYNC_SIM_STORE_GOOD = 0, /**< Nothing. */
    MESHSYNC_SIM_STORE_FULL = 1, /**< It takes no more. */
    MESHSYNC_SIM_STORE_IO = 2    /**< Commits fail and change nothing. */
} meshsync_sim_store_kind;

/** Set what is wrong with a node's store. @threads The one. @since 0.1 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status
meshsync_sim_store_set(meshsync_sim *sim, uint32_t node, meshsync_sim_store_kind kind);

/** Longest time of a node's commits, in us; 0: as the options. @threads The one. @since 0.1 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_sim_store_slow(meshsync_sim *sim,
                                                                        uint32_t node,
                                                                        uint64_t commit_us_max);
/**
 * Let a node's two machines have only so much more memory than they use now.
 *
 * @param[in] more_bytes  UINT64_MAX: no limit.
 *
 * @retval MESHSYNC_OK
 * @retval MESHSYNC_E_INVALID  No such node.
 * @threads The one.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_sim_memory_set(meshsync_sim *sim,
                                                                        uint32_t node,
                                                                        uint64_t more_bytes);

/** What a node says of the protocol that it speaks. Begin with size. */
typedef struct meshsync_sim_protocol {
    size_t size;          /**< sizeof, set by the caller. */
    uint64_t version_min; /**< 0: as it is. */
    uint64_t version_max; /**< 0: as it is. */
    uint64_t features;    /**< Feature bits offered beside those that it has. */
    uint64_t unknown;     /**< 1: it sends kinds and elements that only later versions know. */
    uint64_t lacks;       /**< Feature bits of ours that it does not know, as an earlier version. */
} meshsync_sim_protocol;

/** Set it; from the node's next start on. @threads The one. @since 0.1 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status
meshsync_sim_protocol_set(meshsync_sim *sim, uint32_t node, const meshsync_sim_protocol *protocol);

/** What a node that lost its disk has left. */
typedef enum meshsync_sim_disk_kind {
    MESHSYNC_SIM_KEY_KEPT = 0, /**< Its key: the device comes back without its past. */
    MESHSYNC_SIM_KEY_LOST = 1  /**< Nothing: a new device. */
} meshsync_sim_disk_kind;

/**
 * Take the disk of a node away, and start it over on an empty one. It has to join again.
 *
 * @threads The one.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_sim_disk_lose(meshsync_sim *sim,
                                                                       uint32_t node,
                                                                       meshsync_sim_disk_kind kind,
                                                                       meshsync_error *error);
/**
 * Keep a copy of what is durable at a node, in place of an earlier one.
 *
 * @threads The one.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_sim_backup(meshsync_sim *sim,
                                                                    uint32_t node);
/** Start a node over on its backup. E_NOT_FOUND without one. @threads The one. @since 0.1 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_sim_restore(meshsync_sim *sim,
                                                                     uint32_t node,
                                                                     meshsync_error *error);
/**
 * Run a copy of a node's folder beside it: the same device twice.
 *
 * @param[out] clone  Number of the new node.
 *
 * @retval MESHSYNC_OK
 * @retval MESHSYNC_E_LIMIT  MESHSYNC_SIM_NODES_MAX are there.
 * @threads The one.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_sim_clone(meshsync_sim *sim, uint32_t node,
                                                                   uint32_t *clone,
                                                                   meshsync_error *error);

/** Move a node's wall clock by ms, forward or back. @threads The one. @since 0.1 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_sim_clock_jump(meshsync_sim *sim,
                                                                        uint32_t node, int64_t ms);
/** Let a node's wall clock go wrong by ppm millionths from now on. @threads The one. @since 0.1 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_sim_clock_drift(meshsync_sim *sim,
                                                                         uint32_t node,
                                                                         int32_t ppm);
/** How far a node's wall clock is from true. @threads The one. @since 0.1 */
MESHSYNC_API int64_t meshsync_sim_clock_offset(const meshsync_sim *sim, uint32_t node);

/* --- the end -------------------------------------------------------------------------------- */

/**
 * Do all nodes that are up and in the space hold the same? Those that are down do not count.
 *
 * @retval MESHSYNC_OK
 * @retval MESHSYNC_E_STATE  Not yet; @p error names two that differ.
 * @threads The one.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_sim_converged(meshsync_sim *sim,
                                                                       meshsync_error *error);
/**
 * The quiet phase: links heal, stores and clocks are good, crashed nodes start, and time runs until
 * all hold the same.
 *
 * @param[in] ms_max  Virtual time that it may take.
 *
 * @retval MESHSYNC_OK
 * @retval MESHSYNC_E_TIMEOUT  They still differ; @p error says who.
 * @threads The one.
 * @since 0.1
 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_sim_settle(meshsync_sim *sim,
                                                                    uint64_t ms_max,
                                                                    meshsync_error *error);

/** What happened so far. Begin with size. */
typedef struct meshsync_sim_stats {
    size_t size;              /**< sizeof, set by the caller. */
    uint64_t events;          /**< Steps made. */
    uint64_t bytes;           /**< Carried by the network. */
    uint64_t connections;     /**< Made. */
    uint64_t cuts;            /**< Directions cut. */
    uint64_t resets;          /**< Connections broken with notice. */
    uint64_t half_opens;      /**< And without. */
    uint64_t corruptions;     /**< Bytes changed. */
    uint64_t crashes;         /**< Nodes that ended. */
    uint64_t crashes_before;  /**< Of these, in place of a commit. */
    uint64_t crashes_after;   /**< And right after one. */
    uint64_t powers;          /**< And without notice to peers. */
    uint64_t restarts;        /**< Nodes started again. */
    uint64_t store_full;      /**< Batches that found the store full. */
    uint64_t store_io;        /**< Batches whose commit failed. */
    uint64_t disks_lost;      /**< Nodes that started over empty. */
    uint64_t restores;        /**< Nodes that started over from a backup. */
    uint64_t clones;          /**< Nodes that ran twice. */
    uint64_t clock_jumps;     /**< Wall clocks moved. */
    uint64_t commits;         /**< Batches committed. */
    uint64_t commits_refused; /**< Commits answered with an error. */
    uint64_t commits_unknown; /**< Commits whose outcome nobody heard. */
    uint64_t changes_in;      /**< Changes accepted from peers. */
    uint64_t duplicates;      /**< Changes received that were there. */
    uint64_t pending;         /**< Changes received before their causes. */
    uint64_t rejected;        /**< Changes refused. */
    uint64_t missing;         /**< Causes asked for. */
    uint64_t held;            /**< Most changes held for their stamp at once. */
    uint64_t alarms;          /**< Alarms of nodes. */
    uint64_t conflicts;       /**< Ops that left siblings. */
    uint64_t crashes_at;      /**< Of the crashes, in the middle of a transaction or a start. */
    uint64_t memory_out;      /**< Steps that had no memory; the machine began anew. */
    uint64_t reordered;       /**< Pieces that came after later ones of other connections. */
    uint64_t tails;           /**< Pieces that were much later than others. */
    uint64_t drifts;          /**< Wall clocks that began to go wrong. */
    uint64_t slow_commits;    /**< Batches of a slow store. */
    uint64_t nodes_added;     /**< Nodes that came later. */
    uint64_t nodes_retired;   /**< Nodes that went for ever. */
    uint64_t spaces_left;     /**< Spaces left. */
    uint64_t strangers;       /**< Starts of nodes of another version of the protocol. */
} meshsync_sim_stats;

/** Fill in the statistics. @threads The one. @since 0.1 */
MESHSYNC_API MESHSYNC_NODISCARD meshsync_status meshsync_sim_get_stats(meshsync_sim *sim,
                                                                       meshsync_sim_stats *stats);

MESHSYNC_END_DECLS

#endif
