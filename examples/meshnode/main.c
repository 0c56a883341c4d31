/* SPDX-License-Identifier: Apache-2.0 */
/* meshnode: a node of a mesh, and every command on it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"

/* Options that stand before the command are moved behind it. */
struct main_words {
    char **argv; /* Owned; the texts are main's. */
    int argc;
};

/* How many words at the front are options with their arguments; -1: one is no option for here. */
static int main_leading(int argc, char **argv)
{
    int at = 0;
    while (at < argc && argv[at][0] == '-') {
        bool dir = strcmp(argv[at], "-d") == 0 || strcmp(argv[at], "--dir") == 0;
        bool one = strcmp(argv[at], "--json") == 0 || strncmp(argv[at], "--dir=", 6) == 0 ||
                   (argv[at][0] == '-' && argv[at][1] == 'd' && argv[at][2] != '\0');
        if (!dir && !one) {
            return -1;
        }
        at += dir ? 2 : 1;
    }
    return at;
}

/* The words with the command first. */
static bool main_order(int argc, char **argv, int leading, struct main_words *words)
{
    words->argv = calloc((size_t)argc + 1, sizeof *words->argv);
    if (words->argv == NULL) {
        return false;
    }
    int command_words = 0;
    if (cli_find(argc - leading, argv + leading, &command_words) == NULL) {
        command_words = 0;
    }
    for (int i = leading; i < leading + command_words; i++) {
        words->argv[words->argc++] = argv[i];
    }
    for (int i = 0; i < leading; i++) {
        words->argv[words->argc++] = argv[i];
    }
    for (int i = leading + command_words; i < argc; i++) {
        words->argv[words->argc++] = argv[i];
    }
    return true;
}

static const char *main_dir(const struct cli_args *args)
{
    const char *dir = cli_text(args, CLI_OPT_DIR);
    if (dir == NULL || dir[0] == '\0') {
        dir = getenv("MESHNODE_DIR");
    }
    return dir != NULL && dir[0] != '\0' ? dir : "./meshnode-data";
}

static bool main_wants_json(int argc, char **argv)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            return true;
        }
    }
    return false;
}

static int main_run(struct cli_context *ctx, const struct main_words *words)
{
    char message[CLI_MESSAGE_BYTES_MAX];
    int used = 0;
    ctx->json = main_wants_json(words->argc, words->argv);
    ctx->command = cli_find(words->argc, words->argv, &used);
    if (ctx->command == NULL) {
        return cli_usage(ctx, "there is no command '%s'; 'meshnode --help' lists them",
                         words->argc > 0 ? words->argv[0] : "");
    }
    if (!cli_parse(ctx->command, words->argc - used, words->argv + used, &ctx->args, message)) {
        return cli_usage(ctx, "%s", message);
    }
    ctx->json = cli_given(&ctx->args, CLI_OPT_JSON);
    ctx->dir = main_dir(&ctx->args);
    if (cli_given(&ctx->args, CLI_OPT_HELP)) {
        cli_help(ctx->command, &ctx->io);
        return CLI_EXIT_DONE;
    }
    return cli_dispatch(ctx);
}

static int main_start(struct cli_context *ctx, int argc, char **argv)
{
    if (argc == 0) {
        cli_help_all(&ctx->io);
        return CLI_EXIT_USAGE;
    }
    if (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0 ||
        strcmp(argv[0], "help") == 0) {
        cli_help_all(&ctx->io);
        return CLI_EXIT_DONE;
    }
    if (strcmp(argv[0], "--version") == 0) {
        io_printf(&ctx->io, "meshnode %s\n", meshsync_version());
        return CLI_EXIT_DONE;
    }
    int leading = main_leading(argc, argv);
    if (leading < 0 || leading >= argc) {
        return cli_usage(ctx, "a command is needed; 'meshnode --help' lists them");
    }
    struct main_words words = {.argc = 0};
    if (!main_order(argc, argv, leading, &words)) {
        return cli_fail(ctx, MESHSYNC_E_NO_MEMORY, "out of memory");
    }
    int code = main_run(ctx, &words);
    free(words.argv);
    return code;
}

int main(int argc, char **argv)
{
    struct io_process process = {.in_fd = -1};
    struct cli_context ctx = {.command = NULL};
    if (!io_init(&ctx.io, &io_process_ops, &process)) {
        (void)fputs("meshnode: out of memory\n", stderr);
        return CLI_EXIT_STORE;
    }
    ctx.io.err_is_tty = isatty(STDERR_FILENO) == 1;
    ctx.io.out_is_tty = isatty(STDOUT_FILENO) == 1;
    int code = main_start(&ctx, argc - 1, argv + 1);
    io_flush(&ctx.io);
    if (ctx.io.broken && code == CLI_EXIT_DONE) {
        code = CLI_EXIT_STORE; /* Output was lost: a full disk, say. */
    }
    cli_args_fini(&ctx.args);
    io_fini(&ctx.io);
    return code;
}
