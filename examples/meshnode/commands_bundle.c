/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>

#include "commands.h"
#include "helpers.h"

int cmd_bundle_create(struct cli_context *ctx, int argc, char **argv)
{
    (void)argc;
    meshsync_space *space = NULL;
    meshsync_error error = {.status = MESHSYNC_OK};
    meshsync_bundle_info info = {.size = sizeof info};
    int code = find_space(ctx, argv[0], &space);
    if (code != CLI_EXIT_DONE) {
        return code;
    }
    meshsync_status status =
        meshsync_bundle_create(space, argv[1], cli_text(&ctx->args, CLI_OPT_SINCE), &info, &error);
    if (status != MESHSYNC_OK) {
        return cli_error(ctx, status, &error);
    }
    char bytes[32];
    if (!ctx->json) {
        io_printf(&ctx->io, "%s: %" PRIu64 " changes, %s; readable by whoever has it\n", argv[1],
                  info.changes, show_bytes(info.bytes, bytes));
        return CLI_EXIT_DONE;
    }
    json_t *line = json_object();
    if (!json_put(line, "file", json_of_bytes(meshsync_bytes_of(argv[1]))) ||
        !json_put(line, "changes", json_of_u64(info.changes)) ||
        !json_put(line, "bytes", json_of_u64(info.bytes))) {
        json_decref(line);
        return no_memory(ctx);
    }
    return json_line(ctx, line) ? CLI_EXIT_DONE : no_memory(ctx);
}

int cmd_bundle_request(struct cli_context *ctx, int argc, char **argv)
{
    (void)argc;
    meshsync_space *space = NULL;
    meshsync_error error = {.status = MESHSYNC_OK};
    int code = find_space(ctx, argv[0], &space);
    if (code != CLI_EXIT_DONE) {
        return code;
    }
    meshsync_status status = meshsync_bundle_request(space, argv[1], &error);
    if (status != MESHSYNC_OK) {
        return cli_error(ctx, status, &error);
    }
    if (!ctx->json) {
        io_printf(&ctx->io, "%s: give it to 'bundle create --since' at another node\n", argv[1]);
        return CLI_EXIT_DONE;
    }
    json_t *line = json_object();
    if (!json_put(line, "file", json_of_bytes(meshsync_bytes_of(argv[1])))) {
        json_decref(line);
        return no_memory(ctx);
    }
    return json_line(ctx, line) ? CLI_EXIT_DONE : no_memory(ctx);
}

static json_t *bundle_counts(const meshsync_bundle_info *info)
{
    json_t *line = json_object();
    if (!json_put(line, "space", json_of_hex(info->space, sizeof info->space)) ||
        !json_put(line, "maker", json_of_hex(info->maker, sizeof info->maker)) ||
        !json_put(line, "changes", json_of_u64(info->changes)) ||
        !json_put(line, "accepted", json_of_u64(info->accepted)) ||
        !json_put(line, "duplicate", json_of_u64(info->duplicate)) ||
        !json_put(line, "pending", json_of_u64(info->pending)) ||
        !json_put(line, "rejected", json_of_u64(info->rejected))) {
        json_decref(line);
        return NULL;
    }
    return line;
}

int cmd_bundle_apply(struct cli_context *ctx, int argc, char **argv)
{
    (void)argc;
    meshsync_error error = {.status = MESHSYNC_OK};
    meshsync_bundle_info info = {.size = sizeof info};
    meshsync_status status = meshsync_bundle_apply(ctx->node, argv[0], &info, &error);
    if (status != MESHSYNC_OK) {
        return cli_error(ctx, status, &error);
    }
    if (ctx->json) {
        return json_line(ctx, bundle_counts(&info)) ? CLI_EXIT_DONE : no_memory(ctx);
    }
    io_printf(&ctx->io, "%" PRIu64 " changes: %" PRIu64 " new, %" PRIu64 " were here already",
              info.changes, info.accepted, info.duplicate);
    if (info.pending > 0) {
        io_printf(&ctx->io, "; %" PRIu64 " wait for others that are not in this bundle",
                  info.pending);
    }
    io_text(&ctx->io, "\n");
    return CLI_EXIT_DONE;
}
