/* SPDX-License-Identifier: Apache-2.0 */
#include "helpers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *const collection_types[] = {
    [MESHSYNC_REGISTER] = "register",
    [MESHSYNC_COUNTER] = "counter",
    [MESHSYNC_SET] = "set",
    [MESHSYNC_MAP] = "map",
};
static const char *const collection_views[] = {
    [MESHSYNC_VIEW_LWW] = "lww", [MESHSYNC_VIEW_MV] = "mv",         [MESHSYNC_VIEW_MAX] = "max",
    [MESHSYNC_VIEW_MIN] = "min", [MESHSYNC_VIEW_CUSTOM] = "custom",
};

int find_space(struct cli_context *ctx, const char *name, meshsync_space **space)
{
    meshsync_error error = {.status = MESHSYNC_OK};
    meshsync_status status = meshsync_space_find(ctx->node, name, space, &error);
    if (status == MESHSYNC_E_NOT_FOUND) {
        return cli_fail(ctx, status,
                        "there is no space '%s' here; 'meshnode space list' lists them", name);
    }
    return status == MESHSYNC_OK ? CLI_EXIT_DONE : cli_error(ctx, status, &error);
}

int find_collection(struct cli_context *ctx, meshsync_space *space, const char *name,
                    meshsync_collection_info *info)
{
    meshsync_error error = {.status = MESHSYNC_OK};
    for (uint32_t i = 0;; i++) {
        *info = (meshsync_collection_info){.size = sizeof *info};
        meshsync_status status = meshsync_collection_at(space, i, info, &error);
        if (status == MESHSYNC_E_END) {
            return cli_fail(ctx, MESHSYNC_E_NOT_FOUND,
                            "there is no collection '%s' in this space; 'meshnode collection list' "
                            "lists them",
                            name);
        }
        if (status != MESHSYNC_OK) {
            return cli_error(ctx, status, &error);
        }
        if (strcmp(info->name, name) == 0) {
            return CLI_EXIT_DONE;
        }
    }
}

static int32_t name_index(const char *const *names, size_t count, const char *name)
{
    for (size_t i = 1; i < count; i++) {
        if (strcmp(names[i], name) == 0) {
            return (int32_t)i;
        }
    }
    return 0;
}

const char *collection_type_name(int32_t type)
{
    return type >= MESHSYNC_REGISTER && type <= MESHSYNC_MAP ? collection_types[type] : "unknown";
}

const char *collection_view_name(int32_t view)
{
    return view >= MESHSYNC_VIEW_LWW && view <= MESHSYNC_VIEW_CUSTOM ? collection_views[view]
                                                                     : "unknown";
}

int32_t collection_type_by_name(const char *name)
{
    return name_index(collection_types, sizeof collection_types / sizeof collection_types[0], name);
}

int32_t collection_view_by_name(const char *name)
{
    return name_index(collection_views, sizeof collection_views / sizeof collection_views[0], name);
}

int read_timeout(struct cli_context *ctx, uint64_t default_ms, uint64_t *timeout_ms)
{
    const char *text = cli_text(&ctx->args, CLI_OPT_TIMEOUT);
    *timeout_ms = default_ms;
    if (text != NULL && !parse_seconds(text, timeout_ms)) {
        return cli_usage(ctx, "--timeout takes seconds such as 5 or 0.5, not '%s'", text);
    }
    return CLI_EXIT_DONE;
}

int read_ack(struct cli_context *ctx, struct write_ack *ack)
{
    const char *text = cli_text(&ctx->args, CLI_OPT_ACK);
    uint64_t peers = 0;
    *ack = (struct write_ack){.ack = MESHSYNC_ACK_DURABLE};
    if (text != NULL && strcmp(text, "queued") == 0) {
        ack->ack = MESHSYNC_ACK_QUEUED;
    } else if (text != NULL && strcmp(text, "durable") != 0) {
        if (!parse_u64(text, 1000000, &peers) || peers == 0) {
            return cli_usage(ctx, "--ack takes queued, durable or a number of peers, not '%s'",
                             text);
        }
        ack->peers = (uint32_t)peers;
    }
    if (ack->peers > 0 && !ctx->running) {
        return cli_fail(ctx, MESHSYNC_E_UNREACHABLE,
                        "no node runs on this folder, so no peer can confirm; nothing was written");
    }
    return read_timeout(ctx, 30000, &ack->timeout_ms);
}

int commit_only(struct cli_context *ctx, meshsync_txn *txn, const struct write_ack *ack,
                meshsync_token *token)
{
    meshsync_error error = {.status = MESHSYNC_OK};
    const meshsync_commit_options options = {
        .size = sizeof options, .timeout_ms = ack->timeout_ms, .ack = ack->ack};
    meshsync_status status = meshsync_txn_commit(txn, &options, token, &error);
    return status == MESHSYNC_OK ? CLI_EXIT_DONE : cli_error(ctx, status, &error);
}

meshsync_status wait_in_slices(struct cli_context *ctx, meshsync_space *space,
                               const meshsync_token *token, uint32_t peers, uint64_t timeout_ms,
                               meshsync_error *error)
{
    const uint64_t begin_ms = monotonic_ms();
    for (;;) {
        uint64_t spent_ms = monotonic_ms() - begin_ms;
        uint64_t left_ms = timeout_ms > spent_ms ? timeout_ms - spent_ms : 0;
        uint64_t slice_ms = left_ms < HELPERS_SLICE_MS ? left_ms : HELPERS_SLICE_MS;
        meshsync_status status = meshsync_wait(space, token, peers, slice_ms, error);
        if (status != MESHSYNC_E_TIMEOUT || left_ms <= HELPERS_SLICE_MS) {
            return status;
        }
        if (!io_alive(&ctx->io)) {
            return MESHSYNC_E_CANCELLED;
        }
    }
}

int await_peers(struct cli_context *ctx, meshsync_space *space, const struct write_ack *ack,
                const meshsync_token *token)
{
    if (ack->peers == 0) {
        return CLI_EXIT_DONE;
    }
    meshsync_error error = {.status = MESHSYNC_OK};
    meshsync_status status = wait_in_slices(ctx, space, token, ack->peers, ack->timeout_ms, &error);
    if (status == MESHSYNC_OK) {
        return CLI_EXIT_DONE;
    }
    char message[128];
    (void)snprintf(message, sizeof message,
                   "written here, but not confirmed by %u peers in time: its outcome there is "
                   "unknown",
                   ack->peers);
    return cli_error_token(ctx, status, status == MESHSYNC_E_TIMEOUT ? message : error.message,
                           token);
}

int commit_write(struct cli_context *ctx, meshsync_space *space, meshsync_txn *txn,
                 const struct write_ack *ack)
{
    meshsync_token token = {.len = 0};
    int code = commit_only(ctx, txn, ack, &token);
    if (code == CLI_EXIT_DONE) {
        code = await_peers(ctx, space, ack, &token);
    }
    if (code != CLI_EXIT_DONE || !ctx->json) {
        return code;
    }
    json_t *line = json_object();
    if (!json_put(line, "version", json_of_token(&token))) {
        json_decref(line);
        return no_memory(ctx);
    }
    return json_line(ctx, line) ? CLI_EXIT_DONE : no_memory(ctx);
}

int no_memory(struct cli_context *ctx)
{
    return cli_fail(ctx, MESHSYNC_E_NO_MEMORY, "out of memory");
}

int read_input(struct cli_context *ctx, size_t max, uint8_t **data, size_t *len)
{
    size_t cap = 0;
    *data = NULL;
    *len = 0;
    for (;;) {
        if (*len == cap) {
            cap = cap == 0 ? 16384 : cap * 2;
            uint8_t *more = realloc(*data, cap);
            if (more == NULL) {
                return no_memory(ctx);
            }
            *data = more;
        }
        ssize_t n = io_read(&ctx->io, *data + *len, cap - *len);
        if (n < 0) {
            return cli_fail(ctx, MESHSYNC_E_IO, "the input could not be read");
        }
        if (n == 0) {
            return CLI_EXIT_DONE;
        }
        *len += (size_t)n;
        if (*len > max) {
            return cli_fail(ctx, MESHSYNC_E_LIMIT, "the input is larger than %zu bytes", max);
        }
    }
}

void print_bytes(struct cli_context *ctx, meshsync_bytes bytes)
{
    bool plain = utf8_valid(bytes.data, bytes.len);
    for (size_t i = 0; i < bytes.len && plain; i++) {
        plain = bytes.data[i] >= ' ' && bytes.data[i] != 0x7f;
    }
    if (plain) {
        io_out(&ctx->io, bytes.data, bytes.len);
        return;
    }
    json_t *json = json_of_bytes(bytes);
    char *text = json != NULL ? json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    io_text(&ctx->io, text != NULL ? text : "(out of memory)");
    free(text);
    json_decref(json);
}

void print_value(struct cli_context *ctx, const meshsync_value *value)
{
    if (value->type == MESHSYNC_VALUE_STRING || value->type == MESHSYNC_VALUE_BYTES ||
        value->type == MESHSYNC_VALUE_JSON) {
        print_bytes(ctx, value->bytes);
        return;
    }
    const char *type = NULL;
    json_t *json = json_of_value(value, &type);
    char *text = NULL;
    if (json_is_string(json)) {
        io_text(&ctx->io, json_string_value(json)); /* A number beyond 2^53, nan. */
    } else {
        text = json != NULL ? json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
        io_text(&ctx->io, text != NULL ? text : "(out of memory)");
    }
    free(text);
    json_decref(json);
}

void print_stamp(struct cli_context *ctx, uint64_t hlc)
{
    const uint64_t ms = hlc >> 16;
    const time_t seconds = (time_t)(ms / 1000);
    struct tm utc;
    char text[64];
    if (gmtime_r(&seconds, &utc) == NULL ||
        strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &utc) == 0) {
        io_text(&ctx->io, "?");
        return;
    }
    io_printf(&ctx->io, "%s.%03u UTC", text, (unsigned)(ms % 1000));
}

void print_hex(struct cli_context *ctx, const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        io_printf(&ctx->io, "%02x", data[i]);
    }
}
