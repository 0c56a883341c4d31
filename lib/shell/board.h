/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The board: where blocked callers learn that something changed (a commit, what peers hold, the
 * node closing), and where closing waits until the last of them has left.
 */
#ifndef MSY_SHELL_BOARD_H
#define MSY_SHELL_BOARD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <meshsync/status.h>

struct msy_board {
    pthread_mutex_t lock; /* Guards the rest. */
    pthread_cond_t changed;
    uint64_t version; /* Raised by every change. */
    uint32_t inside;  /* Calls that may block and have not returned. */
    bool closing;
};

meshsync_status msy_board_init(struct msy_board *board);
void msy_board_fini(struct msy_board *board);
/* Something changed. */
void msy_board_raise(struct msy_board *board);
/* To be read before the condition is looked at, and given to wait. */
uint64_t msy_board_version(struct msy_board *board);
/* Until the version is another one, or the deadline (monotonic ms) came: OK or E_TIMEOUT;
 * E_CANCELLED when the node is closing. */
meshsync_status msy_board_wait(struct msy_board *board, uint64_t version, uint64_t deadline_ms);
/* A call that may block begins and ends. E_CANCELLED when the node is closing. */
meshsync_status msy_board_enter(struct msy_board *board);
void msy_board_leave(struct msy_board *board);
/* Wakes everybody up; close waits until they left. */
void msy_board_close(struct msy_board *board);
void msy_board_drain(struct msy_board *board);
bool msy_board_closing(struct msy_board *board);

#endif
