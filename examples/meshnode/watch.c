/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "helpers.h"

enum { WATCH_NAMES_MAX = 16 };

struct watch_run {
    struct cli_context *ctx;
    const char *space_name;
    meshsync_space *space;
    meshsync_feed *feed; /* Owned. */
    struct {
        char name[MESHSYNC_NAME_BYTES_MAX + 1];
        int32_t type;
    } known[WATCH_NAMES_MAX]; /* Types of collections met so far. */
    uint32_t known_count;
};

/* Type of a collection, 0 when it is not known (yet). */
static int32_t watch_type(struct watch_run *run, const char *name)
{
    for (uint32_t i = 0; i < run->known_count; i++) {
        if (strcmp(run->known[i].name, name) == 0) {
            return run->known[i].type;
        }
    }
    meshsync_error error;
    for (uint32_t i = 0;; i++) {
        meshsync_collection_info info = {.size = sizeof info};
        if (meshsync_collection_at(run->space, i, &info, &error) != MESHSYNC_OK) {
            return 0;
        }
        if (strcmp(info.name, name) != 0) {
            continue;
        }
        if (run->known_count < WATCH_NAMES_MAX) {
            memcpy(run->known[run->known_count].name, info.name, sizeof info.name);
            run->known[run->known_count].type = info.type;
            run->known_count++;
        }
        return info.type;
    }
}

/* The word that 'txn' takes for the same op. */
static const char *watch_word(int32_t event, int32_t type, bool fields)
{
    switch (event) {
    case MESHSYNC_EVENT_PUT: return type == MESHSYNC_MAP ? "mset" : "put";
    case MESHSYNC_EVENT_ADD: return "incr";
    case MESHSYNC_EVENT_SET_ADD: return "add";
    case MESHSYNC_EVENT_TOUCH: return "touch";
    case MESHSYNC_EVENT_DELETE:
    case MESHSYNC_EVENT_CLEAR:
        if (!fields) {
            return "del";
        }
        return type == MESHSYNC_SET ? "remove" : "mdel";
    case MESHSYNC_EVENT_RESET: return "del";
    }
    return "other";
}

/* What of the line depends on the kind of the op. */
static bool watch_set_content(json_t *line, const meshsync_event *event, int32_t type)
{
    bool element = event->type == MESHSYNC_EVENT_SET_ADD || type == MESHSYNC_SET;
    json_t *parts = json_of_parts(event->key, 1);
    bool good = parts != NULL;
    if (good && json_array_size(parts) > 0) {
        good = element ? json_object_set(line, "value", json_array_get(parts, 0)) == 0
                       : json_object_set(line, "field", parts) == 0;
    }
    json_decref(parts);
    if (event->type == MESHSYNC_EVENT_PUT) {
        return good && json_set_value(line, &event->value);
    }
    if (event->type == MESHSYNC_EVENT_ADD) {
        return good && json_put(line, "delta", json_of_i64(event->value.integer));
    }
    return good;
}

static json_t *watch_json(struct watch_run *run, const meshsync_event *event)
{
    uint8_t part[MESHSYNC_PATH_BYTES_MAX];
    size_t len = 0;
    const char *collection = event->collection != NULL ? event->collection : "";
    int32_t type = watch_type(run, collection);
    bool fields = meshsync_entry_part(event->key, 1, part, &len) == MESHSYNC_OK;
    json_t *line = json_object();
    bool good = json_put(line, "space", json_string(run->space_name)) &&
                json_put(line, "collection", json_string(collection)) &&
                json_put(line, "op", json_string(watch_word(event->type, type, fields))) &&
                json_put(line, "key", json_of_part(event->key, 0)) &&
                watch_set_content(line, event, type) &&
                json_put(line, "actor", json_of_hex(event->actor, sizeof event->actor)) &&
                json_put(line, "hlc", json_of_stamp(event->hlc)) &&
                json_put(line, "version", json_of_token(&event->version)) &&
                json_put(line, "cursor", json_of_b64(event->cursor.bytes, event->cursor.len));
    if (!good) {
        json_decref(line);
        return NULL;
    }
    return line;
}

static bool watch_is_op(const meshsync_event *event)
{
    return event->type >= MESHSYNC_EVENT_PUT && event->type <= MESHSYNC_EVENT_OTHER;
}

static int watch_loop(struct watch_run *run, uint64_t limit, uint64_t timeout_ms)
{
    struct cli_context *ctx = run->ctx;
    uint64_t begin_ms = monotonic_ms();
    uint64_t lines = 0;
    while (lines < limit) {
        meshsync_event event = {.size = sizeof event};
        meshsync_error error = {.status = MESHSYNC_OK};
        meshsync_status status = meshsync_feed_next(run->feed, 0, &event, &error);
        if (status == MESHSYNC_E_TIMEOUT) {
            io_flush(&ctx->io); /* Nothing more at once: show what there is. */
            uint64_t spent_ms = monotonic_ms() - begin_ms;
            if (!io_alive(&ctx->io)) {
                return CLI_EXIT_DONE; /* Nobody looks any more. */
            }
            if (spent_ms >= timeout_ms) {
                return cli_fail(ctx, MESHSYNC_E_TIMEOUT, "no more ops came in time");
            }
            uint64_t left_ms = timeout_ms - spent_ms;
            status = meshsync_feed_next(
                run->feed, left_ms < HELPERS_SLICE_MS ? left_ms : HELPERS_SLICE_MS, &event, &error);
        }
        if (status == MESHSYNC_E_TIMEOUT || (status == MESHSYNC_OK && !watch_is_op(&event))) {
            continue;
        }
        if (status != MESHSYNC_OK) {
            return cli_error(ctx, status, &error);
        }
        if (!json_line(ctx, watch_json(run, &event))) {
            return no_memory(ctx);
        }
        lines++;
    }
    return CLI_EXIT_DONE;
}

/* --from and --collection. */
static int watch_options(struct cli_context *ctx, meshsync_feed_options *options)
{
    const char *from = cli_text(&ctx->args, CLI_OPT_FROM_CURSOR);
    options->collection = cli_text(&ctx->args, CLI_OPT_COLLECTION);
    options->from_now = from == NULL;
    if (from == NULL || strcmp(from, "start") == 0) {
        return CLI_EXIT_DONE;
    }
    uint8_t *bytes = NULL;
    size_t len = 0;
    bool good = base64_parse(from, strlen(from), &bytes, &len) && len > 0 &&
                len <= MESHSYNC_CURSOR_BYTES_MAX;
    if (good) {
        memcpy(options->from.bytes, bytes, len);
        options->from.len = (uint32_t)len;
    }
    free(bytes);
    return good ? CLI_EXIT_DONE
                : cli_usage(ctx, "'%.48s' is no cursor as watch prints it, and not 'start'", from);
}

int cmd_watch(struct cli_context *ctx, int argc, char **argv)
{
    (void)argc;
    struct watch_run run = {.ctx = ctx, .space_name = argv[0]};
    meshsync_feed_options options = {.size = sizeof options};
    const char *limit_text = cli_text(&ctx->args, CLI_OPT_LIMIT);
    uint64_t limit = UINT64_MAX;
    uint64_t timeout_ms = UINT64_MAX;
    if (limit_text != NULL && (!parse_u64(limit_text, UINT64_MAX, &limit) || limit == 0)) {
        return cli_usage(ctx, "--limit takes a number from 1, not '%s'", limit_text);
    }
    int code = read_timeout(ctx, UINT64_MAX, &timeout_ms);
    if (code == CLI_EXIT_DONE) {
        code = watch_options(ctx, &options);
    }
    if (code == CLI_EXIT_DONE) {
        code = find_space(ctx, argv[0], &run.space);
    }
    if (code != CLI_EXIT_DONE) {
        return code;
    }
    meshsync_error error = {.status = MESHSYNC_OK};
    meshsync_status status = meshsync_feed_open(run.space, &options, &run.feed, &error);
    if (status != MESHSYNC_OK) {
        return cli_error(ctx, status, &error);
    }
    code = watch_loop(&run, limit, timeout_ms);
    meshsync_feed_close(run.feed);
    return code;
}
