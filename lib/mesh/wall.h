/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What time it is by the peers' clocks. Peers show theirs in every PONG; each member of a space in
 * common has one vote. A wall clock is kept as its distance to our monotonic clock, so that a jump
 * of our own wall clock does not move the others'.
 */
#ifndef MSY_MESH_WALL_H
#define MSY_MESH_WALL_H

#include <stdbool.h>
#include <stdint.h>

/* One peer's wall clock, when it was seen last. */
struct msy_wall_vote {
    bool known;
    int64_t peer_ms; /* Its wall clock less our monotonic clock. */
    int64_t own_ms;  /* The same of our wall clock, at that moment. */
    uint64_t at_ms;  /* Monotonic. */
};

/* The middle of the votes. All zeros: nothing is known. */
struct msy_wall {
    uint32_t votes;
    int64_t low_ms;  /* Of an even number of votes the lower of the two in the middle, */
    int64_t high_ms; /* and the higher. */
    int64_t own_ms;
    uint64_t ahead_ms_max;
};

/* Peers' time as the replica takes it, Unix ms; 0: not known, or not sure enough. */
struct msy_wall_time {
    uint64_t at_least_ms; /* Stamps up to here are not of the future, whatever our clock says. */
    uint64_t at_most_ms;  /* A clock far beyond is wrong. */
};

/* A clock that shows less is not set: the library is younger. 2020-01-01. */
#define MSY_WALL_UNIX_MS_MIN UINT64_C(1577836800000)
/* A clock that shows more is no clock: the year 9999. */
#define MSY_WALL_UNIX_MS_MAX UINT64_C(253402300799999)

/* Takes a vote; rtt_ms is how old it may be. False: it tells nothing. */
bool msy_wall_hear(struct msy_wall_vote *vote, uint64_t peer_unix_ms, uint64_t unix_ms,
                   uint64_t now_ms, uint64_t rtt_ms);
/* The middle of votes (reordered). Those taken before our own clock jumped do not count. */
void msy_wall_count(struct msy_wall *wall, struct msy_wall_vote *votes, uint32_t count,
                    uint64_t unix_ms, uint64_t now_ms);
/* Did our wall clock jump since the votes were counted? */
bool msy_wall_jumped(const struct msy_wall *wall, uint64_t unix_ms, uint64_t now_ms);
struct msy_wall_time msy_wall_time(const struct msy_wall *wall, uint64_t unix_ms, uint64_t now_ms);
/* How far our clock is ahead of the votes' middle, ms; below 0: behind; 0 when nothing is known. */
int64_t msy_wall_ahead_ms(const struct msy_wall *wall, uint64_t unix_ms, uint64_t now_ms);

#endif
