/* SPDX-License-Identifier: Apache-2.0 */
#include "shell/board.h"

#include <errno.h>

#include "shell/clock.h"
#include "shell/thread.h"

meshsync_status msy_board_init(struct msy_board *board)
{
    board->version = 1;
    board->inside = 0;
    board->closing = false;
    if (pthread_mutex_init(&board->lock, NULL) != 0) {
        return MESHSYNC_E_RESOURCE;
    }
    meshsync_status status = msy_cond_init(&board->changed);
    if (status != MESHSYNC_OK) {
        (void)pthread_mutex_destroy(&board->lock);
    }
    return status;
}

void msy_board_fini(struct msy_board *board)
{
    (void)pthread_cond_destroy(&board->changed);
    (void)pthread_mutex_destroy(&board->lock);
}

void msy_board_raise(struct msy_board *board)
{
    (void)pthread_mutex_lock(&board->lock);
    board->version += 1;
    if (board->inside > 0) {
        (void)pthread_cond_broadcast(&board->changed);
    }
    (void)pthread_mutex_unlock(&board->lock);
}

uint64_t msy_board_version(struct msy_board *board)
{
    (void)pthread_mutex_lock(&board->lock);
    uint64_t version = board->version;
    (void)pthread_mutex_unlock(&board->lock);
    return version;
}

meshsync_status msy_board_wait(struct msy_board *board, uint64_t version, uint64_t deadline_ms)
{
    struct timespec at = msy_clock_timespec(deadline_ms);
    meshsync_status status = MESHSYNC_OK;
    (void)pthread_mutex_lock(&board->lock);
    while (board->version == version && !board->closing && status == MESHSYNC_OK) {
        if (pthread_cond_timedwait(&board->changed, &board->lock, &at) == ETIMEDOUT) {
            status = MESHSYNC_E_TIMEOUT;
        }
    }
    if (board->closing) {
        status = MESHSYNC_E_CANCELLED;
    } else if (board->version != version) {
        status = MESHSYNC_OK;
    }
    (void)pthread_mutex_unlock(&board->lock);
    return status;
}

meshsync_status msy_board_enter(struct msy_board *board)
{
    (void)pthread_mutex_lock(&board->lock);
    meshsync_status status = board->closing ? MESHSYNC_E_CANCELLED : MESHSYNC_OK;
    if (status == MESHSYNC_OK) {
        board->inside += 1;
    }
    (void)pthread_mutex_unlock(&board->lock);
    return status;
}

void msy_board_leave(struct msy_board *board)
{
    (void)pthread_mutex_lock(&board->lock);
    board->inside -= 1;
    if (board->inside == 0 && board->closing) {
        (void)pthread_cond_broadcast(&board->changed);
    }
    (void)pthread_mutex_unlock(&board->lock);
}

void msy_board_close(struct msy_board *board)
{
    (void)pthread_mutex_lock(&board->lock);
    board->closing = true;
    board->version += 1;
    (void)pthread_cond_broadcast(&board->changed);
    (void)pthread_mutex_unlock(&board->lock);
}

void msy_board_drain(struct msy_board *board)
{
    (void)pthread_mutex_lock(&board->lock);
    while (board->inside > 0) {
        (void)pthread_cond_wait(&board->changed, &board->lock);
    }
    (void)pthread_mutex_unlock(&board->lock);
}

bool msy_board_closing(struct msy_board *board)
{
    (void)pthread_mutex_lock(&board->lock);
    bool closing = board->closing;
    (void)pthread_mutex_unlock(&board->lock);
    return closing;
}
