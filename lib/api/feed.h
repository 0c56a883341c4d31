/* SPDX-License-Identifier: Apache-2.0 */
/* Feeds, as pull iterators, watches and queues use them. */
#ifndef MSY_API_FEED_H
#define MSY_API_FEED_H

#include "replica/read.h"
#include "shell/node.h"

/* The reader is empty when it fails. */
meshsync_status msy_feed_begin(meshsync_space *space, const meshsync_feed_options *options,
                               struct msy_feed_reader *reader, meshsync_error *error);
/* E_END when there is nothing new. */
meshsync_status msy_feed_try(meshsync_space *space, struct msy_feed_reader *reader,
                             meshsync_event *event, meshsync_error *error);

#endif
