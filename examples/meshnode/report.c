/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli.h"

struct report_row {
    meshsync_status status;
    enum cli_exit code;
};

/* Statuses that are not here are errors of the store or of this machine. */
static const struct report_row report_rows[] = {
    {MESHSYNC_OK, CLI_EXIT_DONE},
    {MESHSYNC_E_NOT_FOUND, CLI_EXIT_FINDING},
    {MESHSYNC_E_CONFLICT, CLI_EXIT_FINDING},
    {MESHSYNC_E_TIMEOUT, CLI_EXIT_FINDING},
    {MESHSYNC_E_END, CLI_EXIT_FINDING},
    {MESHSYNC_E_INVALID, CLI_EXIT_USAGE},
    {MESHSYNC_E_LIMIT, CLI_EXIT_USAGE},
    {MESHSYNC_E_TYPE, CLI_EXIT_USAGE},
    {MESHSYNC_E_UNREACHABLE, CLI_EXIT_UNREACHABLE},
    {MESHSYNC_E_CANCELLED, CLI_EXIT_UNREACHABLE},
    {MESHSYNC_E_PROTOCOL, CLI_EXIT_UNREACHABLE},
    {MESHSYNC_E_REFUSED, CLI_EXIT_REFUSED},
    {MESHSYNC_E_EXISTS, CLI_EXIT_REFUSED},
    {MESHSYNC_E_PERMISSION, CLI_EXIT_REFUSED},
    {MESHSYNC_E_AUTH, CLI_EXIT_REFUSED},
    {MESHSYNC_E_STATE, CLI_EXIT_REFUSED},
    {MESHSYNC_E_BUSY, CLI_EXIT_REFUSED},
    {MESHSYNC_E_READ_ONLY, CLI_EXIT_REFUSED},
    {MESHSYNC_E_UNSUPPORTED, CLI_EXIT_REFUSED},
    {MESHSYNC_E_CLOCK, CLI_EXIT_REFUSED},
    {MESHSYNC_E_RESOURCE, CLI_EXIT_REFUSED},
};

int cli_exit_code(meshsync_status status)
{
    for (size_t i = 0; i < sizeof report_rows / sizeof report_rows[0]; i++) {
        if (report_rows[i].status == status) {
            return (int)report_rows[i].code;
        }
    }
    return CLI_EXIT_STORE;
}

static void report_json(struct cli_context *ctx, meshsync_status status, const char *message,
                        const meshsync_token *token)
{
    json_t *words = json_string(message);
    if (words == NULL) {
        words = json_string(meshsync_strerror(status)); /* The message quotes bytes of no text. */
    }
    json_t *error = json_object();
    (void)json_object_set_new(error, "code", json_integer(status));
    (void)json_object_set_new(error, "name", json_string(meshsync_status_name(status)));
    (void)json_object_set_new(error, "message", words);
    if (token != NULL) {
        char text[2 * MESHSYNC_TOKEN_BYTES_MAX];
        meshsync_token_format(token, text);
        (void)json_object_set_new(error, "version", json_string(text));
    }
    json_t *top = json_object();
    (void)json_object_set_new(top, "error", error);
    char *line = json_dumps(top, JSON_COMPACT);
    io_err(&ctx->io, line != NULL ? line : "{\"error\":{\"code\":-100}}");
    io_err(&ctx->io, "\n");
    free(line);
    json_decref(top);
}

int cli_error_token(struct cli_context *ctx, meshsync_status status, const char *message,
                    const meshsync_token *token)
{
    if (ctx->json) {
        io_discard(&ctx->io); /* Standard output stays empty. */
        report_json(ctx, status, message, token);
        return cli_exit_code(status);
    }
    io_flush(&ctx->io);
    char *line = NULL;
    if (asprintf(&line, "meshnode: %s: %s\n", ctx->command != NULL ? ctx->command->name : "usage",
                 message) >= 0) {
        io_err(&ctx->io, line);
        free(line);
    }
    return cli_exit_code(status);
}

__attribute__((format(printf, 3, 0))) static int
report_va(struct cli_context *ctx, meshsync_status status, const char *format, va_list list)
{
    char *message = NULL;
    if (vasprintf(&message, format, list) < 0) {
        message = NULL;
    }
    int code =
        cli_error_token(ctx, status, message != NULL ? message : meshsync_strerror(status), NULL);
    free(message);
    return code;
}

int cli_fail(struct cli_context *ctx, meshsync_status status, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    int code = report_va(ctx, status, format, list);
    va_end(list);
    return code;
}

int cli_usage(struct cli_context *ctx, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    int code = report_va(ctx, MESHSYNC_E_INVALID, format, list);
    va_end(list);
    if (!ctx->json && ctx->command != NULL) {
        char hint[128];
        (void)snprintf(hint, sizeof hint, "meshnode: 'meshnode %s --help' says how\n",
                       ctx->command->name);
        io_err(&ctx->io, hint);
    }
    return code;
}

int cli_error(struct cli_context *ctx, meshsync_status status, const meshsync_error *error)
{
    bool worded = error != NULL && error->status == status && error->message[0] != '\0';
    return cli_error_token(ctx, status, worded ? error->message : meshsync_strerror(status), NULL);
}
