/* SPDX-License-Identifier: Apache-2.0 */
/* 'meshnode demo': a story in seven acts, each of which proves something. */
#include <inttypes.h>
#include <stdlib.h>

#include "commands.h"
#include "demo.h"
#include "helpers.h"

typedef bool (*demo_part_fn)(struct demo *demo);

static const demo_part_fn demo_parts[] = {
    demo_part_nodes, demo_part_data, demo_part_travel, demo_part_cut,
    demo_part_kill,  demo_part_heal, demo_part_verify,
};

static int demo_end(struct demo *demo)
{
    struct cli_context *ctx = demo->ctx;
    char entries[32];
    const uint64_t spent_ms = monotonic_ms() - demo->begin_ms;
    if (demo->failed) {
        return cli_fail(ctx, MESHSYNC_E_INTERNAL,
                        "the demo did not come to its end after %u checks", demo->checks);
    }
    if (!ctx->json) {
        io_printf(&ctx->io, "\n%u checks held, %s entries at each of three nodes, %.1f s in all.\n",
                  demo->checks, group_digits(demo->entries, entries), (double)spent_ms / 1000);
        return CLI_EXIT_DONE;
    }
    json_t *line = json_object();
    if (!json_put(line, "verified", json_true()) ||
        !json_put(line, "checks", json_integer(demo->checks)) ||
        !json_put(line, "entries", json_of_u64(demo->entries)) ||
        !json_put(line, "ms", json_of_u64(spent_ms))) {
        json_decref(line);
        return no_memory(ctx);
    }
    return json_line(ctx, line) ? CLI_EXIT_DONE : no_memory(ctx);
}

int cmd_demo(struct cli_context *ctx, int argc, char **argv)
{
    (void)argc;
    (void)argv;
    struct demo demo = {.ctx = ctx, .begin_ms = monotonic_ms()};
    const char *no_colour = getenv("NO_COLOR");
    demo.colour = ctx->io.out_is_tty && (no_colour == NULL || no_colour[0] == '\0');
    demo.nodes[0] = (struct demo_node){.name = "amber", .out_fd = -1};
    demo.nodes[1] = (struct demo_node){.name = "birch", .out_fd = -1};
    demo.nodes[2] = (struct demo_node){.name = "cedar", .out_fd = -1};
    if (!demo_has_data(&demo)) {
        return ctx->json ? cli_fail(ctx, MESHSYNC_E_NOT_FOUND, "the package iso-codes is missing")
                         : CLI_EXIT_FINDING;
    }
    if (demo_folder_make(&demo)) {
        for (size_t i = 0; i < sizeof demo_parts / sizeof demo_parts[0] && !demo.failed; i++) {
            if (!demo_parts[i](&demo) || demo_interrupted()) {
                demo.failed = true;
            }
        }
    }
    demo_folder_end(&demo);
    return demo_end(&demo);
}
