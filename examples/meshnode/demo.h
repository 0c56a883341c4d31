/* SPDX-License-Identifier: Apache-2.0 */
/* 'meshnode demo': the nodes that it runs, and how it talks. */
#ifndef MESHNODE_DEMO_H
#define MESHNODE_DEMO_H

#include <jansson.h>

#include "cli.h"

enum {
    DEMO_NODES = 3,
    DEMO_PATH_BYTES = 256,
    DEMO_WORDS_MAX = 16,
    DEMO_CONVERGE_MS_MAX = 60000,
    DEMO_START_MS_MAX = 15000
};

/* A node process of the demo. */
struct demo_node {
    const char *name;
    char dir[DEMO_PATH_BYTES];
    char address[MESHSYNC_ADDRESS_BYTES_MAX]; /* Where it listens. */
    pid_t pid;                                /* 0: it does not run. */
    int out_fd;                               /* Its standard output; -1: none. */
};

struct demo {
    struct cli_context *ctx;
    char folder[DEMO_PATH_BYTES]; /* "": not made yet. */
    struct demo_node nodes[DEMO_NODES];
    bool colour;
    bool failed;     /* Something was not as it should be; it was said. */
    uint32_t checks; /* Comparisons that held. */
    uint64_t begin_ms;
    uint64_t entries; /* At the end. */
};

/* A process of the demo and what it said. */
struct demo_child {
    pid_t pid;
    int out_fd;
    int err_fd;
};

/* demo_nodes.c. Those that return bool say what failed and set demo->failed. */
bool demo_folder_make(struct demo *demo);
/* Ends what still runs and removes the folder, unless --keep. */
void demo_folder_end(struct demo *demo);
/* Starts a node; listen NULL: it does not listen; peers: up to two that it dials. */
bool demo_node_start(struct demo *demo, struct demo_node *node, const char *listen,
                     const char *const peers[2]);
bool demo_node_stop(struct demo *demo, struct demo_node *node);
void demo_node_kill(struct demo_node *node);
/* Runs 'meshnode WORDS... -d DIR --json' and returns its lines as an array, or NULL. words ends
 * with NULL. */
json_t *demo_run(struct demo *demo, const struct demo_node *node, const char *const *words);
/* The same for commands whose answer does not matter. */
bool demo_do(struct demo *demo, const struct demo_node *node, const char *const *words);
/* The same in two steps. code and lines may be NULL. */
bool demo_spawn(struct demo *demo, const struct demo_node *node, const char *const *words,
                struct demo_child *child);
json_t *demo_collect(struct demo *demo, struct demo_child *child, int *code);
/* Waits for a first byte of output, at most timeout_ms. */
bool demo_child_speaks(const struct demo_child *child, int timeout_ms);
void demo_child_kill(struct demo_child *child);
bool demo_interrupted(void);

/* demo_say.c */
void demo_title(struct demo *demo, const char *text);
void demo_say(struct demo *demo, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Says what held, or what did not and sets failed. Returns holds. */
bool demo_check(struct demo *demo, bool holds, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool demo_fail(struct demo *demo, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* demo_parts.c: the acts of the story. */
bool demo_has_data(struct demo *demo);
bool demo_part_nodes(struct demo *demo);
bool demo_part_data(struct demo *demo);
bool demo_part_travel(struct demo *demo);
bool demo_part_cut(struct demo *demo);
bool demo_part_kill(struct demo *demo);
bool demo_part_heal(struct demo *demo);
bool demo_part_verify(struct demo *demo);
/* Waits until all nodes have one digest; *ms: how long that took. */
bool demo_converge(struct demo *demo, uint64_t *ms);

#define DEMO_RUN(demo, node, ...) demo_run(demo, node, (const char *const[]){__VA_ARGS__, NULL})
#define DEMO_DO(demo, node, ...) demo_do(demo, node, (const char *const[]){__VA_ARGS__, NULL})

#endif
