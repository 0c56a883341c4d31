/* SPDX-License-Identifier: Apache-2.0 */
/* Bounds of the threads, queues and sockets of a node, each with its unit and its reason. */
#ifndef MSY_SHELL_BOUNDS_H
#define MSY_SHELL_BOUNDS_H

#include "base/limits.h"

/* Writer: what waits for it. Asynchronous commits over either are E_BUSY, blocking ones wait. */
#define MSY_INBOX_BYTES_MAX (64u << 20)
#define MSY_INBOX_COUNT_MAX 65536u
/* Writer: with this much waiting the links are not read, and again when it is down to the half. */
#define MSY_INBOX_BYTES_HIGH (16u << 20)
/* Writer: what one store transaction takes in, beside MSY_BATCH_OPS_MAX ops. */
#define MSY_BATCH_COUNT_MAX 4096u
#define MSY_BATCH_BYTES_MAX (32u << 20)
/* Writer: after a batch of so many, the next waits a little for as many as half of them: those who
 * were just answered are about to come back. At most an eighth of what the batch took, and this. */
#define MSY_GATHER_COUNT_MIN 8u
#define MSY_GATHER_US_MAX 2000
/* Writer: between ticks of the replica machine, and between sweeps of dead readers, in ms. */
#define MSY_WRITER_TICK_MS 1000
#define MSY_WRITER_SWEEP_MS 10000
/* Transactions kept for reuse, and the largest buffer that one of them keeps, in bytes. */
#define MSY_TXN_IDLE_MAX 4096u
#define MSY_TXN_KEEP_BYTES_MAX (256u << 10)
/* Collections whose type a transaction remembers. */
#define MSY_TXN_TYPES_MAX 8u
/* Asynchronous commits that wait for peers. */
#define MSY_WAITS_MAX 65536u
/* Links: sockets at once, accepted ones included; more are closed at once. */
#define MSY_LINKS_MAX (2 * MSY_SESSIONS_MAX)
#define MSY_LINK_BUCKETS 256u
/* Links: unsent bytes at which a link is given up; the mesh machine stops long before. */
#define MSY_LINK_OUT_BYTES_MAX (256u << 20)
/* Links: bytes read at once, and how often in one turn of the loop, so that none starves others. */
#define MSY_LINK_READ_BYTES (64u << 10)
#define MSY_LINK_READS_MAX 4
/* Links: a connection must be made, and a closed one be gone, after these, in ms. */
#define MSY_LINK_CONNECT_MS_MAX 5000
#define MSY_LINK_LINGER_MS_MAX 1000
/* Listeners at once, connections taken in one turn, and the pause, in ms, when there are no more
 * descriptors. */
#define MSY_LISTENERS_MAX 16u
#define MSY_ACCEPTS_MAX 16
#define MSY_LISTEN_PAUSE_MS 200
/* Interfaces whose local network is looked at. */
#define MSY_LAN_HOSTS_MAX 16u
/* Names of peers are looked up again after, in ms; names at once, and addresses taken of one. */
#define MSY_NAMES_MS 30000
#define MSY_NAMES_AT_ONCE_MAX 16u
#define MSY_NAME_ADDRESSES_MAX 64u
/* Machine of the mesh: when the store takes no more, or when it fails again within the longer of
 * these after it failed, it begins anew after a wait that doubles from and up to these, in ms: it
 * dials all its peers each time, and they send all again. It doubles from the start when the last
 * one sent changes or got some into the store. */
#define MSY_ANEW_MS_MIN 200u
#define MSY_ANEW_MS_MAX 30000u
/* Loop: rounds of work in one turn before the loop gets its say again. */
#define MSY_SETTLE_ROUNDS_MAX 16
/* Watches: events given in one turn to one of them. */
#define MSY_WATCH_EVENTS_MAX 256
/* Closing a node: how long goodbyes may take, in ms. */
#define MSY_CLOSE_MS_MAX 2000
/* Proofs of membership that were verified and are remembered, 32 bytes each; a power of two. */
#define MSY_VERIFIED_SLOTS 4096u
/* Addresses that are remembered over a restart: of peers, and of our own. */
#define MSY_REMEMBER_PEERS_MAX 64u
#define MSY_REMEMBER_LISTENS_MAX 8u
/* Bundles: bytes of one message of changes, and of what is handed to the writer at once. */
#define MSY_BUNDLE_MESSAGE_BYTES_GOOD (256u << 10)
#define MSY_BUNDLE_BATCH_BYTES_GOOD (4u << 20)
/* Bundles: epochs before the tips that are told too. */
#define MSY_BUNDLE_EPOCHS_MAX 4096u
/* Opening a store that was not closed in order: with more records and leaves its log is not
 * replayed, only its pages are checked. */
#define MSY_CHECK_ENTRIES_MAX 20000u
/* A reader beside a writer looks for news this often, in ms. */
#define MSY_READER_POLL_MS 20

#endif
