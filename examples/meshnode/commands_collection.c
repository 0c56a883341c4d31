/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "commands.h"
#include "helpers.h"

static json_t *collection_json(const meshsync_collection_info *info)
{
    json_t *line = json_object();
    bool good = json_put(line, "name", json_string(info->name)) &&
                json_put(line, "type", json_string(collection_type_name(info->type))) &&
                json_put(line, "view", json_string(collection_view_name(info->view))) &&
                json_put(line, "entries", json_of_u64(info->entries)) &&
                json_put(line, "digest", json_of_hex(info->digest, sizeof info->digest));
    if (good && info->merge_name[0] != '\0') {
        good = json_put(line, "merge", json_string(info->merge_name)) &&
               json_put(line, "merge_version", json_integer(info->merge_version));
    }
    if (!good) {
        json_decref(line);
        return NULL;
    }
    return line;
}

static int collection_list(struct cli_context *ctx, meshsync_space *space)
{
    meshsync_error error = {.status = MESHSYNC_OK};
    for (uint32_t i = 0;; i++) {
        meshsync_collection_info info = {.size = sizeof info};
        meshsync_status status = meshsync_collection_at(space, i, &info, &error);
        if (status == MESHSYNC_E_END) {
            return CLI_EXIT_DONE;
        }
        if (status != MESHSYNC_OK) {
            return cli_error(ctx, status, &error);
        }
        if (ctx->json && !json_line(ctx, collection_json(&info))) {
            return no_memory(ctx);
        }
        if (!ctx->json) {
            io_printf(&ctx->io, "%s: %s (%s), %" PRIu64 " entries\n", info.name,
                      collection_type_name(info.type), collection_view_name(info.view),
                      info.entries);
        }
    }
}

/* The view that a collection has, LWW when there is no such collection yet. */
static int collection_view_now(struct cli_context *ctx, meshsync_space *space, const char *name,
                               meshsync_view *view)
{
    meshsync_error error = {.status = MESHSYNC_OK};
    *view = MESHSYNC_VIEW_LWW;
    for (uint32_t i = 0;; i++) {
        meshsync_collection_info info = {.size = sizeof info};
        meshsync_status status = meshsync_collection_at(space, i, &info, &error);
        if (status == MESHSYNC_E_END) {
            return CLI_EXIT_DONE;
        }
        if (status != MESHSYNC_OK) {
            return cli_error(ctx, status, &error);
        }
        if (strcmp(info.name, name) == 0) {
            bool known = info.view >= MESHSYNC_VIEW_LWW && info.view <= MESHSYNC_VIEW_MIN;
            *view = known ? (meshsync_view)info.view : MESHSYNC_VIEW_LWW;
            return CLI_EXIT_DONE;
        }
    }
}

static int collection_make(struct cli_context *ctx, meshsync_space *space, const char *name)
{
    const char *type_text = cli_text(&ctx->args, CLI_OPT_TYPE);
    const char *view_text = cli_text(&ctx->args, CLI_OPT_VIEW);
    if (type_text == NULL) {
        return cli_usage(ctx, "--type register, counter, set or map is needed");
    }
    int32_t type = collection_type_by_name(type_text);
    if (type == 0) {
        return cli_usage(ctx, "--type takes register, counter, set or map, not '%s'", type_text);
    }
    meshsync_view view = MESHSYNC_VIEW_LWW;
    if (view_text != NULL) {
        int32_t number = collection_view_by_name(view_text);
        if (number == 0 || number == MESHSYNC_VIEW_CUSTOM) {
            return cli_usage(ctx, "--view takes lww, mv, max or min, not '%s'", view_text);
        }
        view = (meshsync_view)number;
    } else {
        int code = collection_view_now(ctx, space, name, &view);
        if (code != CLI_EXIT_DONE) {
            return code;
        }
    }
    meshsync_error error = {.status = MESHSYNC_OK};
    meshsync_status status = meshsync_collection_create(space, name, (meshsync_collection_type)type,
                                                        view, NULL, 0, &error);
    if (status != MESHSYNC_OK) {
        return cli_error(ctx, status, &error);
    }
    if (!ctx->json) {
        io_printf(&ctx->io, "collection '%s': %s (%s)\n", name, collection_type_name(type),
                  collection_view_name((int32_t)view));
        return CLI_EXIT_DONE;
    }
    meshsync_collection_info info;
    int code = find_collection(ctx, space, name, &info);
    if (code != CLI_EXIT_DONE) {
        return code;
    }
    return json_line(ctx, collection_json(&info)) ? CLI_EXIT_DONE : no_memory(ctx);
}

int cmd_collection(struct cli_context *ctx, int argc, char **argv)
{
    meshsync_space *space = NULL;
    int code = find_space(ctx, argv[0], &space);
    if (code != CLI_EXIT_DONE) {
        return code;
    }
    return argc == 1 ? collection_list(ctx, space) : collection_make(ctx, space, argv[1]);
}

int cmd_digest(struct cli_context *ctx, int argc, char **argv)
{
    (void)argc;
    meshsync_space *space = NULL;
    int code = find_space(ctx, argv[0], &space);
    if (code != CLI_EXIT_DONE) {
        return code;
    }
    meshsync_error error = {.status = MESHSYNC_OK};
    meshsync_digest digest = {.size = sizeof digest};
    meshsync_status status = meshsync_space_digest(space, &digest, &error);
    if (status != MESHSYNC_OK) {
        return cli_error(ctx, status, &error);
    }
    if (!ctx->json) {
        io_text(&ctx->io, "clock    ");
        print_hex(ctx, digest.clock, sizeof digest.clock);
        io_text(&ctx->io, "\ndigest   ");
        print_hex(ctx, digest.digest, sizeof digest.digest);
        io_printf(&ctx->io, "\nentries  %" PRIu64 "\nchanges  %" PRIu64 "\n", digest.entries,
                  digest.changes);
        return CLI_EXIT_DONE;
    }
    json_t *line = json_object();
    bool good = json_put(line, "space", json_string(argv[0])) &&
                json_put(line, "clock", json_of_hex(digest.clock, sizeof digest.clock)) &&
                json_put(line, "digest", json_of_hex(digest.digest, sizeof digest.digest)) &&
                json_put(line, "entries", json_of_u64(digest.entries)) &&
                json_put(line, "changes", json_of_u64(digest.changes));
    if (!good) {
        json_decref(line);
        return no_memory(ctx);
    }
    return json_line(ctx, line) ? CLI_EXIT_DONE : no_memory(ctx);
}

static json_t *verify_json(const char *space, const meshsync_verify_report *report)
{
    json_t *line = json_object();
    bool good = json_put(line, "space", json_string(space)) &&
                json_put(line, "changes", json_of_u64(report->changes)) &&
                json_put(line, "signatures", json_of_u64(report->signatures)) &&
                json_put(line, "ops", json_of_u64(report->ops)) &&
                json_put(line, "leaves", json_of_u64(report->leaves)) &&
                json_put(line, "damaged_changes", json_of_u64(report->damaged_changes)) &&
                json_put(line, "damaged_leaves", json_of_u64(report->damaged_leaves)) &&
                json_put(line, "damaged_indexes", json_of_u64(report->damaged_indexes));
    if (!good) {
        json_decref(line);
        return NULL;
    }
    return line;
}

int cmd_verify(struct cli_context *ctx, int argc, char **argv)
{
    (void)argc;
    meshsync_space *space = NULL;
    int code = find_space(ctx, argv[0], &space);
    if (code != CLI_EXIT_DONE) {
        return code;
    }
    meshsync_error error = {.status = MESHSYNC_OK};
    meshsync_verify_report report = {.size = sizeof report};
    meshsync_status status = meshsync_space_verify(space, &report, &error);
    if (status == MESHSYNC_E_STORE_CORRUPT) {
        return cli_fail(ctx, status,
                        "space '%s' is damaged: %" PRIu64 " changes (the first is LSN %" PRIu64
                        "), %" PRIu64 " leaves, %" PRIu64 " index entries: %s",
                        argv[0], report.damaged_changes, report.first_damaged_lsn,
                        report.damaged_leaves, report.damaged_indexes, error.message);
    }
    if (status != MESHSYNC_OK) {
        return cli_error(ctx, status, &error);
    }
    if (!ctx->json) {
        io_printf(&ctx->io,
                  "space '%s' is sound: %" PRIu64 " changes, %" PRIu64 " signatures, %" PRIu64
                  " ops, %" PRIu64 " leaves\n",
                  argv[0], report.changes, report.signatures, report.ops, report.leaves);
        return CLI_EXIT_DONE;
    }
    return json_line(ctx, verify_json(argv[0], &report)) ? CLI_EXIT_DONE : no_memory(ctx);
}

int cmd_wait(struct cli_context *ctx, int argc, char **argv)
{
    (void)argc;
    meshsync_error error = {.status = MESHSYNC_OK};
    meshsync_space *space = NULL;
    uint64_t timeout_ms = 0;
    uint64_t peers = 0;
    const char *peers_text = cli_text(&ctx->args, CLI_OPT_PEERS);
    const char *version_text = cli_text(&ctx->args, CLI_OPT_VERSION);
    if (peers_text != NULL && !parse_u64(peers_text, 1000000, &peers)) {
        return cli_usage(ctx, "--peers takes a number, not '%s'", peers_text);
    }
    int code = read_timeout(ctx, 30000, &timeout_ms);
    if (code == CLI_EXIT_DONE) {
        code = find_space(ctx, argv[0], &space);
    }
    if (code != CLI_EXIT_DONE) {
        return code;
    }
    if (peers > 0 && !ctx->running) {
        return cli_fail(ctx, MESHSYNC_E_UNREACHABLE,
                        "no node runs on this folder, so no peer can confirm");
    }
    meshsync_token token = {.len = 0};
    meshsync_status status = version_text != NULL
                                 ? meshsync_token_parse(version_text, &token, &error)
                                 : meshsync_space_version(space, &token, &error);
    if (status == MESHSYNC_OK) {
        status = wait_in_slices(ctx, space, &token, (uint32_t)peers, timeout_ms, &error);
    }
    if (status == MESHSYNC_E_TIMEOUT) {
        return cli_error_token(ctx, status, "not in sync yet when the time was over", &token);
    }
    if (status != MESHSYNC_OK) {
        return cli_error(ctx, status, &error);
    }
    if (!ctx->json) {
        return CLI_EXIT_DONE;
    }
    json_t *line = json_object();
    if (!json_put(line, "space", json_string(argv[0])) ||
        !json_put(line, "version", json_of_token(&token)) ||
        !json_put(line, "peers", json_of_u64(peers))) {
        json_decref(line);
        return no_memory(ctx);
    }
    return json_line(ctx, line) ? CLI_EXIT_DONE : no_memory(ctx);
}
