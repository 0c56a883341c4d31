/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "commands.h"
#include "helpers.h"

static json_t *space_json(const meshsync_space_info *info)
{
    json_t *line = json_object();
    bool good = json_put(line, "name", json_string(info->name)) &&
                json_put(line, "id", json_of_hex(info->id, sizeof info->id)) &&
                json_put(line, "founder", json_of_hex(info->founder, sizeof info->founder)) &&
                json_put(line, "changes", json_of_u64(info->changes)) &&
                json_put(line, "entries", json_of_u64(info->entries)) &&
                json_put(line, "tips", json_of_u64(info->tips)) &&
                json_put(line, "heads", json_of_u64(info->heads)) &&
                json_put(line, "members", json_of_u64(info->members)) &&
                json_put(line, "joined", json_boolean(info->joined != 0)) &&
                json_put(line, "left", json_boolean(info->left != 0));
    if (!good) {
        json_decref(line);
        return NULL;
    }
    return line;
}

static int space_get_info(struct cli_context *ctx, meshsync_space *space, meshsync_space_info *info)
{
    meshsync_error error = {.status = MESHSYNC_OK};
    *info = (meshsync_space_info){.size = sizeof *info};
    meshsync_status status = meshsync_space_get_info(space, info, &error);
    return status == MESHSYNC_OK ? CLI_EXIT_DONE : cli_error(ctx, status, &error);
}

/* What create and join answer: {"name","id"}. */
static int space_answer(struct cli_context *ctx, meshsync_space *space, const char *verb)
{
    meshsync_space_info info;
    int code = space_get_info(ctx, space, &info);
    if (code != CLI_EXIT_DONE) {
        return code;
    }
    if (!ctx->json) {
        io_printf(&ctx->io, "%s space '%s', id ", verb, info.name);
        print_hex(ctx, info.id, sizeof info.id);
        io_text(&ctx->io, "\n");
        return CLI_EXIT_DONE;
    }
    json_t *line = json_object();
    if (!json_put(line, "name", json_string(info.name)) ||
        !json_put(line, "id", json_of_hex(info.id, sizeof info.id))) {
        json_decref(line);
        return no_memory(ctx);
    }
    return json_line(ctx, line) ? CLI_EXIT_DONE : no_memory(ctx);
}

int cmd_space_create(struct cli_context *ctx, int argc, char **argv)
{
    (void)argc;
    meshsync_error error = {.status = MESHSYNC_OK};
    meshsync_space *space = NULL;
    meshsync_status status = meshsync_space_create(ctx->node, argv[0], &space, &error);
    if (status == MESHSYNC_E_EXISTS) {
        return cli_fail(ctx, status, "there is a space '%s' here already", argv[0]);
    }
    return status == MESHSYNC_OK ? space_answer(ctx, space, "created")
                                 : cli_error(ctx, status, &error);
}

int cmd_space_list(struct cli_context *ctx, int argc, char **argv)
{
    (void)argc;
    (void)argv;
    for (uint32_t i = 0;; i++) {
        meshsync_space *space = NULL;
        meshsync_status status = meshsync_space_at(ctx->node, i, &space);
        if (status == MESHSYNC_E_END) {
            return CLI_EXIT_DONE;
        }
        if (status != MESHSYNC_OK) {
            return cli_error(ctx, status, NULL);
        }
        meshsync_space_info info;
        int code = space_get_info(ctx, space, &info);
        if (code != CLI_EXIT_DONE) {
            return code;
        }
        if (ctx->json && !json_line(ctx, space_json(&info))) {
            return no_memory(ctx);
        }
        if (!ctx->json) {
            io_printf(&ctx->io,
                      "%s: %" PRIu64 " changes, %" PRIu64 " entries, %" PRIu64 " members%s%s\n",
                      info.name, info.changes, info.entries, info.members,
                      info.joined ? "" : ", not admitted yet", info.left ? ", left" : "");
        }
    }
}

static void space_print(struct cli_context *ctx, const meshsync_space_info *info)
{
    io_printf(&ctx->io, "name     %s%s%s\nid       ", info->name,
              info->joined ? "" : " (not admitted yet)", info->left ? " (left)" : "");
    print_hex(ctx, info->id, sizeof info->id);
    io_text(&ctx->io, "\nfounder  ");
    print_hex(ctx, info->founder, sizeof info->founder);
    io_printf(&ctx->io,
              "\nchanges  %" PRIu64 "\nentries  %" PRIu64 "\nmembers  %" PRIu64
              "\ntips     %" PRIu64 "\nheads    %" PRIu64 "\n",
              info->changes, info->entries, info->members, info->tips, info->heads);
}

int cmd_space_info(struct cli_context *ctx, int argc, char **argv)
{
    (void)argc;
    meshsync_space *space = NULL;
    meshsync_space_info info;
    int code = find_space(ctx, argv[0], &space);
    if (code == CLI_EXIT_DONE) {
        code = space_get_info(ctx, space, &info);
    }
    if (code != CLI_EXIT_DONE) {
        return code;
    }
    if (!ctx->json) {
        space_print(ctx, &info);
        return CLI_EXIT_DONE;
    }
    meshsync_error error = {.status = MESHSYNC_OK};
    meshsync_token token = {.len = 0};
    meshsync_status status = meshsync_space_version(space, &token, &error);
    if (status != MESHSYNC_OK && status != MESHSYNC_E_LIMIT) {
        return cli_error(ctx, status, &error);
    }
    json_t *line = space_json(&info);
    json_t *version = status == MESHSYNC_OK ? json_of_token(&token) : json_null();
    if (line == NULL || !json_put(line, "version", version)) {
        json_decref(line);
        return no_memory(ctx);
    }
    return json_line(ctx, line) ? CLI_EXIT_DONE : no_memory(ctx);
}

/* Prints {"NAME":text}, or the bare text. */
static int space_print_text(struct cli_context *ctx, const char *name, const char *text)
{
    if (!ctx->json) {
        io_printf(&ctx->io, "%s\n", text);
        return CLI_EXIT_DONE;
    }
    json_t *line = json_object();
    if (!json_put(line, name, json_string(text))) {
        json_decref(line);
        return no_memory(ctx);
    }
    return json_line(ctx, line) ? CLI_EXIT_DONE : no_memory(ctx);
}

int cmd_space_invite(struct cli_context *ctx, int argc, char **argv)
{
    (void)argc;
    meshsync_space *space = NULL;
    int code = find_space(ctx, argv[0], &space);
    if (code != CLI_EXIT_DONE) {
        return code;
    }
    const char *expires = cli_text(&ctx->args, CLI_OPT_EXPIRES);
    uint64_t expires_ms = 0;
    if (expires != NULL) {
        if (!parse_seconds(expires, &expires_ms) || expires_ms == 0) {
            return cli_usage(ctx, "--expires takes seconds from now, not '%s'", expires);
        }
        expires_ms += (uint64_t)time(NULL) * 1000;
    }
    char *text = calloc(1, MESHSYNC_TICKET_TEXT_BYTES_MAX);
    if (text == NULL) {
        return no_memory(ctx);
    }
    meshsync_error error = {.status = MESHSYNC_OK};
    meshsync_status status = meshsync_space_invite(space, expires_ms, text, &error);
    code = status == MESHSYNC_OK ? space_print_text(ctx, "ticket", text)
                                 : cli_error(ctx, status, &error);
    explicit_bzero(text, MESHSYNC_TICKET_TEXT_BYTES_MAX); /* A secret. */
    free(text);
    return code;
}

/* A ticket from standard input, its line end taken off. */
static int space_read_ticket(struct cli_context *ctx, char **ticket)
{
    uint8_t *data = NULL;
    size_t len = 0;
    int code = read_input(ctx, MESHSYNC_TICKET_TEXT_BYTES_MAX, &data, &len);
    if (code == CLI_EXIT_DONE) {
        *ticket = strndup((const char *)data, len);
        code = *ticket != NULL ? CLI_EXIT_DONE : no_memory(ctx);
    }
    free(data);
    if (*ticket != NULL) {
        (*ticket)[strcspn(*ticket, " \t\r\n")] = '\0';
    }
    return code;
}

int cmd_space_join(struct cli_context *ctx, int argc, char **argv)
{
    (void)argc;
    char *read_ticket = NULL;
    const char *ticket = argv[0];
    if (strcmp(ticket, "-") == 0) {
        int code = space_read_ticket(ctx, &read_ticket);
        if (code != CLI_EXIT_DONE) {
            free(read_ticket);
            return code;
        }
        ticket = read_ticket;
    }
    meshsync_error error = {.status = MESHSYNC_OK};
    meshsync_space *space = NULL;
    meshsync_status status =
        meshsync_space_join(ctx->node, ticket, cli_text(&ctx->args, CLI_OPT_AS), &space, &error);
    free(read_ticket);
    return status == MESHSYNC_OK ? space_answer(ctx, space, "joined")
                                 : cli_error(ctx, status, &error);
}

int cmd_space_leave(struct cli_context *ctx, int argc, char **argv)
{
    (void)argc;
    meshsync_space *space = NULL;
    int code = find_space(ctx, argv[0], &space);
    if (code != CLI_EXIT_DONE) {
        return code;
    }
    bool erase = cli_given(&ctx->args, CLI_OPT_ERASE);
    meshsync_error error = {.status = MESHSYNC_OK};
    meshsync_status status =
        meshsync_space_leave(space, erase ? MESHSYNC_LEAVE_ERASE : MESHSYNC_LEAVE_KEEP, &error);
    if (status != MESHSYNC_OK) {
        return cli_error(ctx, status, &error);
    }
    if (!ctx->json) {
        io_printf(&ctx->io, "left space '%s'; its data %s\n", argv[0],
                  erase ? "is erased here" : "stays readable here");
        return CLI_EXIT_DONE;
    }
    json_t *line = json_object();
    if (!json_put(line, "name", json_string(argv[0])) ||
        !json_put(line, "erased", json_boolean(erase))) {
        json_decref(line);
        return no_memory(ctx);
    }
    return json_line(ctx, line) ? CLI_EXIT_DONE : no_memory(ctx);
}
