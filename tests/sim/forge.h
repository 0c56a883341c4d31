/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A faulty member: it holds a node's key and writes whatever changes it likes, without a replica
 * that would keep it honest, and hands them to whom it likes.
 */
#ifndef TESTS_SIM_FORGE_H
#define TESTS_SIM_FORGE_H

#include "sim/cluster.h"
#include "wire/change.h"

enum { FORGE_BYTES_MAX = 1 << 20 };

struct forge {
    struct meshsync_sim *sim;
    const struct msy_sim_node *key; /* Whose key it is. */
    struct msy_change_builder builder;
    struct msy_change change;
    struct msy_buf hashes;
    struct msy_change_header header; /* Of the change that comes next. */
    struct msy_prng prng;
    uint64_t hlc;
};

/* A finished change. */
struct forged {
    uint8_t bytes[4096];
    size_t len;
    struct msy_tip tip;
};

/* A new epoch of node's device, without predecessor. */
void forge_init(struct forge *forge, struct meshsync_sim *sim, uint32_t node);
void forge_fini(struct forge *forge);
/* Names a cause of the next change. */
void forge_cause(struct forge *forge, const struct msy_tip *cause);
/* Kills op `index` of another change with the next op. */
void forge_kill(struct forge *forge, const struct msy_tip *victim, uint32_t index);
/* Adds an op at a path of up to two parts (second NULL: one). */
void forge_op(struct forge *forge, const char *collection, uint32_t kind, const char *first,
              const char *second, meshsync_bytes payload);
/* A value op with a text. */
void forge_put(struct forge *forge, const char *collection, const char *key, const char *text);
/* Signs the change; the next one follows it. */
void forge_finish(struct forge *forge, struct forged *out);
/* Goes back: the next change follows `before` (NULL: is the first) in place of what did. */
void forge_fork(struct forge *forge, const struct forged *before);

/* What a node answered to a delivery. */
struct forge_answer {
    meshsync_status status;
    uint32_t accepted, duplicate, pending, rejected, missing, alarms;
};
/* Hands changes to a node in one delivery, as if a peer had brought them. */
struct forge_answer forge_deliver(struct meshsync_sim *sim, uint32_t node,
                                  const struct forged *const *changes, uint32_t count);
/* The change that wrote last at a node's own hand, copied from its log. */
void forge_last_local(struct meshsync_sim *sim, uint32_t node, struct forged *out);

#endif
