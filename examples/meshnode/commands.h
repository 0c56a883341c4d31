/* SPDX-License-Identifier: Apache-2.0 */
/* The handlers of the command table. Each returns an exit code. */
#ifndef MESHNODE_COMMANDS_H
#define MESHNODE_COMMANDS_H

#include "cli.h"

/* commands_node.c */
int cmd_init(struct cli_context *ctx, int argc, char **argv);
int cmd_id(struct cli_context *ctx, int argc, char **argv);
int cmd_status(struct cli_context *ctx, int argc, char **argv);
int cmd_version(struct cli_context *ctx, int argc, char **argv);
int cmd_peers(struct cli_context *ctx, int argc, char **argv);
int cmd_peer_add(struct cli_context *ctx, int argc, char **argv);
int cmd_peer_remove(struct cli_context *ctx, int argc, char **argv);
int cmd_backup(struct cli_context *ctx, int argc, char **argv);
int cmd_repair(struct cli_context *ctx, int argc, char **argv);
int cmd_restore(struct cli_context *ctx, int argc, char **argv);

/* commands_space.c */
int cmd_space_create(struct cli_context *ctx, int argc, char **argv);
int cmd_space_list(struct cli_context *ctx, int argc, char **argv);
int cmd_space_info(struct cli_context *ctx, int argc, char **argv);
int cmd_space_invite(struct cli_context *ctx, int argc, char **argv);
int cmd_space_join(struct cli_context *ctx, int argc, char **argv);
int cmd_space_leave(struct cli_context *ctx, int argc, char **argv);
int cmd_collection(struct cli_context *ctx, int argc, char **argv);
int cmd_digest(struct cli_context *ctx, int argc, char **argv);
int cmd_verify(struct cli_context *ctx, int argc, char **argv);
int cmd_wait(struct cli_context *ctx, int argc, char **argv);

/* commands_write.c */
int cmd_put(struct cli_context *ctx, int argc, char **argv);
int cmd_del(struct cli_context *ctx, int argc, char **argv);
int cmd_incr(struct cli_context *ctx, int argc, char **argv);
int cmd_add(struct cli_context *ctx, int argc, char **argv);
int cmd_remove(struct cli_context *ctx, int argc, char **argv);
int cmd_mset(struct cli_context *ctx, int argc, char **argv);
int cmd_mdel(struct cli_context *ctx, int argc, char **argv);

/* commands_read.c */
int cmd_get(struct cli_context *ctx, int argc, char **argv);
int cmd_scan(struct cli_context *ctx, int argc, char **argv);
int cmd_members(struct cli_context *ctx, int argc, char **argv);
int cmd_mget(struct cli_context *ctx, int argc, char **argv);
int cmd_conflicts(struct cli_context *ctx, int argc, char **argv);

/* commands_bundle.c */
int cmd_bundle_create(struct cli_context *ctx, int argc, char **argv);
int cmd_bundle_request(struct cli_context *ctx, int argc, char **argv);
int cmd_bundle_apply(struct cli_context *ctx, int argc, char **argv);

/* One file each. */
int cmd_txn(struct cli_context *ctx, int argc, char **argv);
int cmd_import(struct cli_context *ctx, int argc, char **argv);
int cmd_export(struct cli_context *ctx, int argc, char **argv);
int cmd_watch(struct cli_context *ctx, int argc, char **argv);
int cmd_run(struct cli_context *ctx, int argc, char **argv);
int cmd_demo(struct cli_context *ctx, int argc, char **argv);

#endif
