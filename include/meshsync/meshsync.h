/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file meshsync.h
 * @brief Everything but the loop and simulator headers: peer-to-peer mesh replication in C.
 *
 * Threads: see each header.
 */
#ifndef MESHSYNC_MESHSYNC_H
#define MESHSYNC_MESHSYNC_H

#include <meshsync/bundle.h>
#include <meshsync/export.h>
#include <meshsync/merge.h>
#include <meshsync/node.h>
#include <meshsync/options.h>
#include <meshsync/queue.h>
#include <meshsync/read.h>
#include <meshsync/space.h>
#include <meshsync/status.h>
#include <meshsync/sync.h>
#include <meshsync/types.h>
#include <meshsync/watch.h>
#include <meshsync/write.h>

#endif
