/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a node remembers of addresses over a restart, in DIR/addresses.txt: peers that it reached or
 * was invited by, newest first, and where it listened. A convenience: losing it loses no data, so
 * it is replaced by renaming but not synced.
 */
#ifndef MSY_SHELL_REMEMBER_H
#define MSY_SHELL_REMEMBER_H

#include <pthread.h>
#include <stdbool.h>

#include <meshsync/sync.h>

#include "base/alloc.h"
#include "shell/bounds.h"

struct msy_remember {
    pthread_mutex_t lock; /* Guards the rest, and the file. */
    char path[4096];
    char path_new[4096]; /* What is written before it takes the name. */
    uint32_t peers_count;
    uint32_t listens_count;
    char peers[MSY_REMEMBER_PEERS_MAX][MESHSYNC_ADDRESS_BYTES_MAX];
    char listens[MSY_REMEMBER_LISTENS_MAX][MESHSYNC_ADDRESS_BYTES_MAX];
};

/* Reads the file; what is malformed in it is left out. NULL: no memory. */
struct msy_remember *msy_remember_new(struct msy_alloc *alloc, const char *folder);
void msy_remember_free(struct msy_remember *remember, struct msy_alloc *alloc);
/* To the front; writes the file when that changes which are kept. */
void msy_remember_peer(struct msy_remember *remember, const char *text);
void msy_remember_forget(struct msy_remember *remember, const char *text);
/* first: forgets where it listened before. */
void msy_remember_listen(struct msy_remember *remember, const char *text, bool first);
/* The index-th; false past the last. text has MESHSYNC_ADDRESS_BYTES_MAX bytes. */
bool msy_remember_peer_at(struct msy_remember *remember, uint32_t index, char *text);
bool msy_remember_listen_at(struct msy_remember *remember, uint32_t index, char *text);

#endif
