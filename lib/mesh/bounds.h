/* SPDX-License-Identifier: Apache-2.0 */
/* Bounds of the mesh machine that nobody else needs, with unit and reason; others are in
 * base/limits.h. */
#ifndef MSY_MESH_BOUNDS_H
#define MSY_MESH_BOUNDS_H

#include "base/limits.h"

/* Accepted links that have not proved who they are; beyond it one of them, at random, goes. */
#define MSY_HALF_OPEN_MAX 64
/* One handshake message with its payload, bytes. */
#define MSY_GREETING_BYTES_MAX 1024
/* A message before any space is open: its largest is the list of spaces. */
#define MSY_CLOSED_MESSAGE_BYTES_MAX (2u * MSY_SESSION_SPACES_MAX * 16u + 64u)
/* Plain bytes of one record of ours: what Noise can seal at once. */
#define MSY_RECORD_PLAIN_BYTES_MAX 65519u
/* Changes share a message up to this size, so that others get their turn between messages. */
#define MSY_CHANGES_BYTES_GOOD 65536u
/* Unsent bytes of a session from which on changes are announced only, not pushed. */
#define MSY_PUSH_OUT_BYTES_MAX (1u << 20)
/* Unsent bytes of a session below which serving goes on. */
#define MSY_SERVE_OUT_BYTES_LOW (256u << 10)
/* A peer that takes nothing in but makes us answer is given up at this many unsent bytes. */
#define MSY_SESSION_OUT_BYTES_HARD (MSY_SESSION_OUT_BYTES_MAX + MSY_MESSAGE_BYTES_MAX)
/* Buffers of a session that grew beyond this are given back when they are empty. */
#define MSY_SESSION_KEPT_BYTES_MAX (256u << 10)
/* Batches of changes that the replica has not answered: all, and pushed bytes of one session.
 * Pushes beyond are dropped: they are announced too. */
#define MSY_SUBMITS_MAX 16384u
#define MSY_SUBMIT_PUSH_BYTES_MAX (8u << 20)
/* Credit that one peer may hold, bytes. */
#define MSY_CREDIT_BYTES_HELD_MAX (16u << 20)
/* Tips remembered of one peer in one space, and tips wanted in one space. */
#define MSY_PEER_TIPS_MAX 65536u
#define MSY_WANTS_MAX 65536u
/* A cause that nobody has after so many tries is no longer asked for: a tip will name it. */
#define MSY_WANT_TRIES_MAX 10
/* Peers, and spaces of one, whose durable vectors are kept when no session is there. */
#define MSY_KNOWN_MAX 1024u
#define MSY_KNOWN_SPACES_MAX 64u
/* Devices whose changes a peer asked not to be pushed, per channel. */
#define MSY_LAZY_MAX 1024u
/* Learnt addresses are dialled up to this many sessions, and forgotten after so many failures. */
#define MSY_LEARNT_SESSIONS_MAX 8u
#define MSY_LEARNT_FAILURES_MAX 5u
/* Addresses of one device, and addresses we are reachable at. */
#define MSY_DEVICE_ADDRESSES_MAX 4u
#define MSY_LISTENING_MAX 8u
/* Addresses whose device is not known yet: from beacons and names. */
#define MSY_CANDIDATES_MAX 64u
/* Between beacons on the local network, doubling: at first, while nobody was found, at most, ms. */
#define MSY_BEACON_MS_MIN 500u
#define MSY_BEACON_LONELY_MS_MAX 5000u
#define MSY_BEACON_MS_MAX 60000u
/* Beacons of unknown senders that are looked at in one second. */
#define MSY_BEACONS_PER_S_MAX 50u
/* Notes are gathered this long, ms. */
#define MSY_NOTE_MS 5u
/* A vector of fewer tips is not longer than its digest, and is told as it is. */
#define MSY_CLOCK_TIPS_MIN 2u
/* Compression: level; a message that starts a stream, and one that uses it, in bytes; streams of
 * each direction in a session, sessions that may have some, and how long an unused one is kept. */
#define MSY_PACK_LEVEL 1
#define MSY_PACK_START_BYTES 4096u
#define MSY_PACK_BYTES_MIN 128u
#define MSY_PACK_STREAMS_MAX 4u
#define MSY_PACK_SESSIONS_MAX 16u
#define MSY_PACK_IDLE_MS 10000u
/* Vectors of fewer tips are told whole: sketches would save little, and take longer. */
#define MSY_SKETCH_TIPS_MIN 64u
/* Symbols asked for at first: one for so many tips, between these. */
#define MSY_SKETCH_TIPS_PER_FIRST 64u
#define MSY_SKETCH_FIRST_MIN 8u
#define MSY_SKETCH_FIRST_MAX 64u
/* How often symbols of one sketch are asked for before the vector is; each costs a walk over it. */
#define MSY_SKETCH_ROUNDS_MAX 12u
/* How long a vector is kept for a peer that compares, and how long a peer is waited for, ms. */
#define MSY_SKETCH_KEPT_MS 30000u
/* How long a push may come after its note, between two round trips and these, ms. */
#define MSY_PUSH_WAIT_MS_MIN 20u
#define MSY_PUSH_WAIT_MS_MAX 200u
/* A pushed change that is not durable here after is asked for, ms. */
#define MSY_PUSH_LANDS_MS 1000u
/* A peer is asked again not to push, at most once in, ms. */
#define MSY_PRUNE_MS 1000u
/* A wanted tip without progress of its stream is asked for elsewhere after, ms. */
#define MSY_WANT_PROGRESS_MS 3000u
/* Back-off of a wanted tip that did not come, ms. */
#define MSY_WANT_BACKOFF_MS_MIN 50u
#define MSY_WANT_BACKOFF_MS_MAX 30000u
/* A space is compared after so long without a change, and not more often, ms. */
#define MSY_DIGEST_MS 2000u
/* A second session with one peer is judged after, ms: the first has had time to answer. */
#define MSY_TWIN_MS 500u
/* A refused peer is looked at again after news of its space, ms. */
#define MSY_RECHECK_MS 50u
/* Addresses are told this long after news of them, ms. */
#define MSY_TELL_MS 200u
/* Peers that are silent for this many keep-alives are given up. */
#define MSY_SILENT_KEEPALIVES 4u
/* Peers whose clocks are looked at; how often they are counted, and how old a peer's may get
 * before it is asked for again, ms. */
#define MSY_WALL_VOTES_MAX 64u
#define MSY_WALL_COUNT_MS 1000u
#define MSY_WALL_ASK_MS 10000u
/* Highest rate, bytes per second, and burst: their products with times stay in 64 bits. */
#define MSY_RATE_BYTES_MAX ((uint64_t)1 << 40)
/* Sending that waits for its rate waits so much longer, so that changes share messages, ms. */
#define MSY_RATE_REST_MS 20u
/* Where a round trip is shorter than the clock can tell, microseconds. */
#define MSY_RTT_US_MIN 500u
/* Neighbours in a large mesh: fewer are made more, up to as many others are let in. */
#define MSY_NEAR_ACTIVE_MIN 5u
#define MSY_NEAR_ACTIVE_MAX 8u
/* Others known beside them, and devices that the node was told to join by. */
#define MSY_NEAR_PASSIVE_MAX 30u
#define MSY_NEAR_CONTACTS_MAX 8u
/* Steps of a walk or shuffle; a walk with so many left is remembered where it is. */
#define MSY_NEAR_HOPS_MAX 6u
#define MSY_NEAR_HOPS_PASSIVE 3u
/* Walks that lead one newcomer on, and newcomers led on in a second. */
#define MSY_NEAR_WALKS_MAX 4u
#define MSY_NEAR_JOINS_PER_S_MAX 50u
/* Devices in one shuffle: the sender, some of its neighbours, some others. */
#define MSY_NEAR_SHOWN_MAX 8u
#define MSY_NEAR_SHOWN_ACTIVE_MAX 3u
/* Devices asked at once to be neighbours, how long they have to answer, ms, and how often one may
 * fail to: a third of a mesh may be dead while nobody knows it yet. */
#define MSY_NEAR_ASKS_MAX 3u
#define MSY_NEAR_ANSWER_MS 1000u
#define MSY_NEAR_FAILS_MAX 2u
/* Who refused, or let us go, is not asked again for, ms. */
#define MSY_NEAR_REFUSED_MS 10000u
/* Neighbours make room for newcomers at most once in, ms: a crowd must not turn all away. */
#define MSY_NEAR_EVICT_MS 200u
/* Between shuffles, doubling from the start on, ms; in the place of each of these many a walk goes
 * by a contact, so that two halves that forgot each other meet again. */
#define MSY_NEAR_SHUFFLE_MS_MIN 1000u
#define MSY_NEAR_SHUFFLE_MS_MAX 30000u
#define MSY_NEAR_SHUFFLES_CONTACT 8u
/* Of the walks of those who have neighbours, one of these displaces another's neighbour. */
#define MSY_NEAR_DISPLACE_ONE_OF 16u
/* Between tries to join by a contact, doubling, ms. */
#define MSY_NEAR_JOIN_MS_MIN 1000u
#define MSY_NEAR_JOIN_MS_MAX 30000u
/* What one step can bring: a newcomer's walks, a farewell, and questions. */
#define MSY_NEAR_EFFECTS_MAX 32u

#endif
