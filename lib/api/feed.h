/* SPDX-License-Identifier: Apache-2.0 */
/* Readers of the change feed, as feeds, watches and queues share them. */
#ifndef MSY_API_FEED_H
#define MSY_API_FEED_H

#include "shell/node.h"

/* Checks options (NULL: all defaults) and opens a reader. */
meshsync_status msy_feed_start(struct msy_feed_reader *reader, meshsync_space *space,
                               const meshsync_feed_options *options, meshsync_error *error);
meshsync_status msy_feed_options(const meshsync_feed_options *given, meshsync_feed_options *full,
                                 meshsync_error *error);
/* The next event, E_END when there is none yet. */
meshsync_status msy_feed_step(struct msy_feed_reader *reader, meshsync_space *space,
                              meshsync_event *event, meshsync_error *error);

#endif
