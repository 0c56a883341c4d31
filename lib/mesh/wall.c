/* SPDX-License-Identifier: Apache-2.0 */
#include "mesh/wall.h"

#include <stdio.h>
#include <string.h>

#include "mesh/machine.h"

enum {
    WALL_RTT_MS_MAX = 5000, /* Votes that a round trip blurs by more are no votes. */
    WALL_JUMP_MS_MIN = 1000 /* Less is no jump, however low the limit is. */
};

static int64_t wall_offset(uint64_t unix_ms, uint64_t now_ms)
{
    unix_ms = unix_ms < MSY_WALL_UNIX_MS_MAX ? unix_ms : MSY_WALL_UNIX_MS_MAX;
    now_ms = now_ms < MSY_WALL_UNIX_MS_MAX ? now_ms : MSY_WALL_UNIX_MS_MAX;
    return (int64_t)unix_ms - (int64_t)now_ms;
}

/* By more than half the limit: a smaller jump does not change the verdict much. */
static bool wall_apart(const struct msy_wall *wall, int64_t a, int64_t b)
{
    uint64_t distance = a > b ? (uint64_t)(a - b) : (uint64_t)(b - a);
    uint64_t half = wall->ahead_ms_max / 2;
    return distance > (half > WALL_JUMP_MS_MIN ? half : WALL_JUMP_MS_MIN);
}

bool msy_wall_hear(struct msy_wall_vote *vote, uint64_t peer_unix_ms, uint64_t unix_ms,
                   uint64_t now_ms, uint64_t rtt_ms)
{
    if (rtt_ms > WALL_RTT_MS_MAX || peer_unix_ms > MSY_WALL_UNIX_MS_MAX) {
        return false;
    }
    vote->known = peer_unix_ms >= MSY_WALL_UNIX_MS_MIN;
    vote->peer_ms = wall_offset(peer_unix_ms, now_ms);
    vote->own_ms = wall_offset(unix_ms, now_ms);
    vote->at_ms = now_ms;
    return true;
}

void msy_wall_count(struct msy_wall *wall, struct msy_wall_vote *votes, uint32_t count,
                    uint64_t unix_ms, uint64_t now_ms)
{
    uint32_t kept = 0;
    wall->own_ms = wall_offset(unix_ms, now_ms);
    for (uint32_t i = 0; i < count; i++) { /* Sorts by insertion: they are few. */
        struct msy_wall_vote vote = votes[i];
        uint32_t at = kept;
        if (!vote.known || wall_apart(wall, vote.own_ms, wall->own_ms)) {
            continue;
        }
        for (; at > 0 && votes[at - 1].peer_ms > vote.peer_ms; at--) {
            votes[at] = votes[at - 1];
        }
        votes[at] = vote;
        kept++;
    }
    wall->votes = kept;
    wall->low_ms = kept > 0 ? votes[(kept - 1) / 2].peer_ms : 0;
    wall->high_ms = kept > 0 ? votes[kept / 2].peer_ms : 0;
}

bool msy_wall_jumped(const struct msy_wall *wall, uint64_t unix_ms, uint64_t now_ms)
{
    return wall_apart(wall, wall_offset(unix_ms, now_ms), wall->own_ms);
}

struct msy_wall_time msy_wall_time(const struct msy_wall *wall, uint64_t unix_ms, uint64_t now_ms)
{
    struct msy_wall_time time = {0, 0};
    if (wall->votes == 0 || msy_wall_jumped(wall, unix_ms, now_ms)) {
        return time;
    }
    /* Of two clocks that differ nobody can tell which is right, unless one was never set. */
    if (wall->votes > 1 || unix_ms < MSY_WALL_UNIX_MS_MIN) {
        time.at_least_ms = (uint64_t)(wall->low_ms + (int64_t)now_ms);
    }
    if (wall->votes > 1) {
        time.at_most_ms = (uint64_t)(wall->high_ms + (int64_t)now_ms);
    }
    return time;
}

int64_t msy_wall_ahead_ms(const struct msy_wall *wall, uint64_t unix_ms, uint64_t now_ms)
{
    int64_t own_ms = wall_offset(unix_ms, now_ms);
    if (wall->votes == 0 || msy_wall_jumped(wall, unix_ms, now_ms)) {
        return 0;
    }
    if (own_ms > wall->high_ms) {
        return own_ms - wall->high_ms;
    }
    return own_ms < wall->low_ms ? own_ms - wall->low_ms : 0;
}

/* ---- In the machine ---- */

/* One vote per device, and only of members: a stranger's clock is nothing to us. */
static bool wall_votes(struct msy_mesh *mesh, const struct msy_mesh_link *link)
{
    bool member = false;
    if (link->state != MSY_LINK_LIVE || !link->wall.known ||
        memcmp(link->device, mesh->device, sizeof mesh->device) == 0 ||
        msy_session_with(mesh, link->device, NULL) != link) {
        return false;
    }
    for (uint32_t i = 0; i < link->channels_count && !member; i++) {
        const struct msy_mesh_space *space = msy_space_find(mesh, link->channels[i]->space);
        member = space != NULL && !space->joining && msy_channel_is(link->channels[i], MSY_WAY_OUT);
        /* Who joins sees whether the others agree among themselves. */
        member = member ||
                 (space != NULL && space->joining && msy_channel_is(link->channels[i], MSY_WAY_IN));
    }
    return member;
}

static void wall_collect(struct msy_mesh *mesh)
{
    struct msy_wall_vote votes[MSY_WALL_VOTES_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < mesh->links_count && count < MSY_WALL_VOTES_MAX; i++) {
        if (wall_votes(mesh, mesh->links[i])) {
            votes[count] = mesh->links[i]->wall;
            count++;
        }
    }
    msy_wall_count(&mesh->wall, votes, count, mesh->unix_ms, mesh->now_ms);
}

static void wall_judge(struct msy_mesh *mesh)
{
    char words[128];
    int64_t ahead_ms = msy_wall_ahead_ms(&mesh->wall, mesh->unix_ms, mesh->now_ms);
    uint64_t off_ms = ahead_ms < 0 ? (uint64_t)-ahead_ms : (uint64_t)ahead_ms;
    if (mesh->wall.votes == 0) {
        return;
    }
    if (mesh->wall_off && off_ms <= mesh->wall.ahead_ms_max / 2) {
        mesh->wall_off = false;
        msy_log_write(mesh->log, MSY_LOG_INFO, "mesh", "this machine's clock is right again");
    } else if (!mesh->wall_off && off_ms > mesh->wall.ahead_ms_max) {
        mesh->wall_off = true;
        (void)snprintf(words, sizeof words, MSY_WALL_WORDS " is %llu s %s %s%s",
                       (unsigned long long)(off_ms / 1000), ahead_ms < 0 ? "behind" : "ahead of",
                       mesh->wall.votes > 1 ? "its peers'" : "its only peer's",
                       ahead_ms > 0 && mesh->wall.votes > 1 ? ": it commits nothing" : "");
        msy_effect_alarm(mesh, 0, words);
    }
}

/* Our own clock jumped, or the machine slept: what is known of the others' is not sure. */
static void wall_ask_all(struct msy_mesh *mesh)
{
    for (uint32_t i = 0; i < mesh->links_count; i++) {
        if (mesh->links[i]->state == MSY_LINK_LIVE) {
            msy_session_ping(mesh, mesh->links[i]);
        }
    }
}

void msy_wall_look(struct msy_mesh *mesh)
{
    bool jumped = msy_wall_jumped(&mesh->wall, mesh->unix_ms, mesh->now_ms);
    if (mesh->wall.ahead_ms_max == 0 || (!jumped && mesh->now_ms < mesh->wall_at_ms)) {
        return;
    }
    mesh->wall_at_ms = mesh->now_ms + MSY_WALL_COUNT_MS;
    wall_collect(mesh);
    if (jumped) {
        wall_ask_all(mesh);
    }
    wall_judge(mesh);
}

bool msy_wall_asks(const struct msy_mesh *mesh, const struct msy_mesh_link *link)
{
    const struct msy_wall_vote *vote = &link->wall;
    return mesh->wall.ahead_ms_max > 0 &&
           (vote->at_ms == 0 || mesh->now_ms - vote->at_ms >= MSY_WALL_ASK_MS ||
            wall_apart(&mesh->wall, vote->own_ms, wall_offset(mesh->unix_ms, mesh->now_ms)));
}

void msy_wall_on_pong(struct msy_mesh *mesh, struct msy_mesh_link *link, uint64_t peer_unix_ms)
{
    if (msy_wall_hear(&link->wall, peer_unix_ms, mesh->unix_ms, mesh->now_ms,
                      mesh->now_ms - link->ping_ms)) {
        mesh->wall_at_ms = 0;
    }
}

void msy_mesh_get_wall(const struct msy_mesh *mesh, struct msy_wall *wall)
{
    *wall = mesh->wall;
}
