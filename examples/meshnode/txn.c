/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "commands.h"
#include "rows.h"

/* Reads all lines into the transaction; nothing is committed here. */
static int txn_read(struct cli_context *ctx, meshsync_txn *txn, uint64_t *ops_count)
{
    struct line_reader reader;
    char *line = NULL;
    size_t len = 0;
    const char *wrong = NULL;
    int code = CLI_EXIT_DONE;
    int got = 0;
    line_reader_init(&reader, &ctx->io);
    while (code == CLI_EXIT_DONE && (got = line_reader_next(&reader, &line, &len, &wrong)) > 0) {
        if (strspn(line, " \t") == len) {
            continue;
        }
        json_error_t parse_error;
        struct row_error error = {.status = MESHSYNC_OK};
        json_t *json = json_loadb(line, len, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &parse_error);
        if (json == NULL) {
            code = cli_fail(ctx, MESHSYNC_E_INVALID,
                            "line %" PRIu64 ": no valid JSON: %s; nothing was written",
                            reader.number, parse_error.text);
        } else if (!row_apply_op(txn, json, &error)) {
            code = cli_fail(ctx, error.status, "line %" PRIu64 ": %s; nothing was written",
                            reader.number, error.words);
        }
        json_decref(json);
        *ops_count += 1;
    }
    if (code == CLI_EXIT_DONE && got < 0) {
        code = cli_fail(ctx, MESHSYNC_E_INVALID, "line %" PRIu64 ": %s; nothing was written",
                        reader.number, wrong);
    }
    line_reader_fini(&reader);
    return code;
}

static int txn_answer(struct cli_context *ctx, const meshsync_token *token, uint64_t ops_count)
{
    if (!ctx->json) {
        return CLI_EXIT_DONE;
    }
    json_t *line = json_object();
    if (!json_put(line, "version", json_of_token(token)) ||
        !json_put(line, "ops", json_of_u64(ops_count))) {
        json_decref(line);
        return no_memory(ctx);
    }
    return json_line(ctx, line) ? CLI_EXIT_DONE : no_memory(ctx);
}

int cmd_txn(struct cli_context *ctx, int argc, char **argv)
{
    (void)argc;
    struct write_ack ack;
    meshsync_space *space = NULL;
    meshsync_txn *txn = NULL;
    meshsync_token token = {.len = 0};
    uint64_t ops_count = 0;
    int code = read_ack(ctx, &ack);
    if (code == CLI_EXIT_DONE) {
        code = find_space(ctx, argv[0], &space);
    }
    if (code != CLI_EXIT_DONE) {
        return code;
    }
    meshsync_error error = {.status = MESHSYNC_OK};
    meshsync_status status = meshsync_txn_begin(space, &txn, &error);
    if (status != MESHSYNC_OK) {
        return cli_error(ctx, status, &error);
    }
    code = txn_read(ctx, txn, &ops_count);
    if (code == CLI_EXIT_DONE && !io_alive(&ctx->io)) {
        code = cli_fail(ctx, MESHSYNC_E_CANCELLED, "stopped; nothing was written");
    }
    if (code != CLI_EXIT_DONE) {
        meshsync_txn_abort(txn);
        return code;
    }
    code = commit_only(ctx, txn, &ack, &token);
    if (code == CLI_EXIT_DONE) {
        code = await_peers(ctx, space, &ack, &token);
    }
    return code == CLI_EXIT_DONE ? txn_answer(ctx, &token, ops_count) : code;
}
