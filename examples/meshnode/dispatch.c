/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a command runs. Some need no node. The others run in the node that runs on the folder, by
 * way of its control socket, and on the store itself when none does.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "control.h"
#include "helpers.h"

enum {
    DISPATCH_SLICE_MS = 250,                /* Of waiting for another writer. */
    DISPATCH_SNAPSHOT_MS_MAX = 3600 * 1000, /* Nobody else waits for this process. */
    DISPATCH_FILES_MAX = 2                  /* Names of files in one command. */
};

int cli_run(struct cli_context *ctx)
{
    if ((ctx->command->flags & CLI_RUNNING) != 0 && !ctx->running) {
        return cli_fail(ctx, MESHSYNC_E_UNREACHABLE, "no node runs on '%s'", ctx->dir);
    }
    int code = ctx->command->handler(ctx, ctx->args.argc, ctx->args.argv);
    io_flush(&ctx->io);
    return code;
}

/* Name of the file that the command reads: "-" for standard input, NULL for none. */
static const char *dispatch_input(const struct cli_context *ctx)
{
    const cli_handler handler = ctx->command->handler;
    if (handler == cmd_txn) {
        return "-";
    }
    if (handler == cmd_import) {
        return ctx->args.argv[2];
    }
    if (handler == cmd_space_join) {
        return strcmp(ctx->args.argv[0], "-") == 0 ? "-" : NULL;
    }
    return cli_text(&ctx->args, CLI_OPT_FILE);
}

/* *fd: -1 when the command reads nothing. */
static int dispatch_open_input(struct cli_context *ctx, int *fd)
{
    const char *name = (ctx->command->flags & CLI_STDIN) != 0 ? dispatch_input(ctx) : NULL;
    *fd = -1;
    if (name == NULL) {
        return CLI_EXIT_DONE;
    }
    if (strcmp(name, "-") == 0) {
        *fd = STDIN_FILENO;
        return CLI_EXIT_DONE;
    }
    *fd = open(name, O_RDONLY | O_CLOEXEC);
    if (*fd >= 0) {
        return CLI_EXIT_DONE;
    }
    meshsync_status status = errno == ENOENT   ? MESHSYNC_E_NOT_FOUND
                             : errno == EACCES ? MESHSYNC_E_PERMISSION
                                               : MESHSYNC_E_IO;
    return cli_fail(ctx, status, "'%s': %s", name, strerror(errno));
}

/* The absolute form of a file's name, the caller's to free, or NULL. */
static char *dispatch_absolute_of(const char *name)
{
    char *absolute = NULL;
    char *folder = getcwd(NULL, 0);
    int len = folder != NULL ? asprintf(&absolute, "%s/%s", folder, name) : -1;
    free(folder);
    return len < 0 ? NULL : absolute;
}

/* The running node has another working folder: makes the names of files absolute. owned has room
 * for DISPATCH_FILES_MAX names, freed by the caller. */
static int dispatch_absolute(struct cli_context *ctx, char **owned)
{
    const uint32_t flags = ctx->command->flags;
    struct cli_args *args = &ctx->args;
    int at = (flags & CLI_FILE_0) != 0 ? 0 : 1;
    bool good = true;
    if ((flags & (CLI_FILE_0 | CLI_FILE_1)) != 0 && args->argv[at][0] != '/') {
        owned[0] = dispatch_absolute_of(args->argv[at]);
        good = owned[0] != NULL;
        args->argv[at] = owned[0];
    }
    for (int i = 0; i < args->given_count && good; i++) {
        if (args->given[i].option == CLI_OPT_SINCE && args->given[i].text[0] != '/') {
            free(owned[1]); /* Only the last one counts. */
            owned[1] = dispatch_absolute_of(args->given[i].text);
            good = owned[1] != NULL;
            args->given[i].text = owned[1];
        }
    }
    return good ? CLI_EXIT_DONE
                : cli_fail(ctx, MESHSYNC_E_IO, "the working folder: %s", strerror(errno));
}

static meshsync_status dispatch_try_open(struct cli_context *ctx, int create, meshsync_error *error)
{
    meshsync_options options;
    meshsync_options_init(&options, sizeof options);
    options.path = ctx->dir;
    options.create = create;
    options.mode =
        (ctx->command->flags & CLI_WRITES) != 0 ? MESHSYNC_MODE_WRITE : MESHSYNC_MODE_READ;
    options.busy_wait_ms = DISPATCH_SLICE_MS;
    options.snapshot_ms_max = DISPATCH_SNAPSHOT_MS_MAX;
    return meshsync_node_open(&options, &ctx->node, error);
}

/* Opens the store, making it when the command does that. */
static meshsync_status dispatch_open(struct cli_context *ctx, meshsync_error *error)
{
    meshsync_status status = dispatch_try_open(ctx, 0, error);
    if (status == MESHSYNC_E_NOT_FOUND && (ctx->command->flags & CLI_CREATES) != 0) {
        status = dispatch_try_open(ctx, 1, error);
        ctx->created = status == MESHSYNC_OK;
    }
    return status;
}

static int dispatch_on_store(struct cli_context *ctx)
{
    int code = cli_run(ctx);
    meshsync_status status = meshsync_node_close(ctx->node);
    ctx->node = NULL;
    return code != CLI_EXIT_DONE || status == MESHSYNC_OK ? code : cli_error(ctx, status, NULL);
}

static int dispatch_open_failed(struct cli_context *ctx, meshsync_status status,
                                const meshsync_error *error)
{
    if (status == MESHSYNC_E_NOT_FOUND) {
        return cli_fail(ctx, status, "there is no node in '%s'; 'meshnode init -d DIR' makes one",
                        ctx->dir);
    }
    if (status == MESHSYNC_E_STORE_LOCKED) {
        return cli_fail(ctx, status, "another process writes to '%s', and did not end within 5 s",
                        ctx->dir);
    }
    return cli_error(ctx, status, error);
}

/* Asks the running node, or opens the store; while another process holds it, both by turns. */
static int dispatch_to_node(struct cli_context *ctx, int in_fd)
{
    const uint64_t begin_ms = monotonic_ms();
    for (;;) {
        int fd = control_socket(ctx->dir, false);
        if (fd >= 0) {
            int code = control_ask(ctx, fd, in_fd);
            (void)close(fd);
            return code;
        }
        if (errno == EACCES || errno == EPERM) {
            return cli_fail(ctx, MESHSYNC_E_PERMISSION, "'%s': %s", ctx->dir, strerror(errno));
        }
        if ((ctx->command->flags & CLI_RUNNING) != 0) {
            return cli_run(ctx); /* Says that no node runs. */
        }
        meshsync_error error = {.status = MESHSYNC_OK};
        meshsync_status status = dispatch_open(ctx, &error);
        if (status == MESHSYNC_OK) {
            return dispatch_on_store(ctx);
        }
        if (status != MESHSYNC_E_STORE_LOCKED || monotonic_ms() - begin_ms >= CLI_BUSY_MS_MAX) {
            return dispatch_open_failed(ctx, status, &error);
        }
    }
}

int cli_dispatch(struct cli_context *ctx)
{
    struct io_process *process = ctx->io.self;
    char *absolute[DISPATCH_FILES_MAX] = {NULL};
    if ((ctx->command->flags & CLI_LOCAL) != 0) {
        return cli_run(ctx);
    }
    int code = dispatch_open_input(ctx, &process->in_fd);
    if (code == CLI_EXIT_DONE) {
        code = dispatch_absolute(ctx, absolute);
    }
    if (code == CLI_EXIT_DONE) {
        code = dispatch_to_node(ctx, process->in_fd);
    }
    for (size_t i = 0; i < DISPATCH_FILES_MAX; i++) {
        free(absolute[i]);
    }
    if (process->in_fd > STDERR_FILENO) {
        (void)close(process->in_fd);
    }
    return code;
}
