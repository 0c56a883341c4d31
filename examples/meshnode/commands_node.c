/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commands.h"
#include "helpers.h"

static const char *const peer_states[] = {
    [MESHSYNC_PEER_IDLE] = "idle",         [MESHSYNC_PEER_DIALING] = "dialing",
    [MESHSYNC_PEER_GREETING] = "greeting", [MESHSYNC_PEER_SYNCING] = "syncing",
    [MESHSYNC_PEER_LIVE] = "live",
};

static const char *peer_state_name(int32_t state)
{
    return state >= MESHSYNC_PEER_IDLE && state <= MESHSYNC_PEER_LIVE ? peer_states[state]
                                                                      : "unknown";
}

static int node_id(struct cli_context *ctx, uint8_t id[MESHSYNC_NODE_ID_BYTES])
{
    meshsync_status status = meshsync_node_id(ctx->node, id);
    return status == MESHSYNC_OK ? CLI_EXIT_DONE : cli_error(ctx, status, NULL);
}

/* {"id", "path"} and one member more. */
static int node_answer(struct cli_context *ctx, const uint8_t *id, const char *name, json_t *more)
{
    json_t *line = json_object();
    bool good = json_put(line, "id", json_of_hex(id, MESHSYNC_NODE_ID_BYTES));
    char *path = realpath(ctx->dir, NULL);
    good =
        json_put(line, "path", json_of_bytes(meshsync_bytes_of(path != NULL ? path : ctx->dir))) &&
        good;
    free(path);
    good = json_put(line, name, more) && good;
    if (!good) {
        json_decref(line);
        return no_memory(ctx);
    }
    return json_line(ctx, line) ? CLI_EXIT_DONE : no_memory(ctx);
}

int cmd_init(struct cli_context *ctx, int argc, char **argv)
{
    (void)argc;
    (void)argv;
    uint8_t id[MESHSYNC_NODE_ID_BYTES];
    int code = node_id(ctx, id);
    if (code != CLI_EXIT_DONE) {
        return code;
    }
    if (ctx->json) {
        return node_answer(ctx, id, "created", json_boolean(ctx->created));
    }
    io_printf(&ctx->io, "%s in %s, id ", ctx->created ? "a new node" : "there is a node already",
              ctx->dir);
    print_hex(ctx, id, sizeof id);
    io_text(&ctx->io, "\n");
    return CLI_EXIT_DONE;
}

int cmd_id(struct cli_context *ctx, int argc, char **argv)
{
    (void)argc;
    (void)argv;
    uint8_t id[MESHSYNC_NODE_ID_BYTES];
    int code = node_id(ctx, id);
    if (code != CLI_EXIT_DONE) {
        return code;
    }
    if (ctx->json) {
        return node_answer(ctx, id, "running", json_boolean(ctx->running));
    }
    print_hex(ctx, id, sizeof id);
    io_text(&ctx->io, "\n");
    return CLI_EXIT_DONE;
}

struct stat_row {
    const char *name;
    size_t offset; /* In meshsync_stats. */
};

#define STAT_ROW(name)                                                                             \
    {                                                                                              \
#name, offsetof(meshsync_stats, name)                                                      \
    }

static const struct stat_row stat_rows[] = {
    STAT_ROW(changes_local),
    STAT_ROW(changes_in),
    STAT_ROW(changes_out),
    STAT_ROW(changes_duplicate),
    STAT_ROW(changes_rejected),
    STAT_ROW(changes_pending),
    STAT_ROW(changes_held),
    STAT_ROW(ops_local),
    STAT_ROW(ops_in),
    STAT_ROW(conflicts),
    STAT_ROW(commits),
    STAT_ROW(bytes_in),
    STAT_ROW(bytes_out),
    STAT_ROW(sessions),
    STAT_ROW(handshakes_failed),
    STAT_ROW(alarms),
    STAT_ROW(store_map_bytes),
    STAT_ROW(store_used_bytes),
    STAT_ROW(store_bytes_max),
    STAT_ROW(store_readers),
    STAT_ROW(snapshot_oldest_ms),
    STAT_ROW(memory_bytes),
    STAT_ROW(lsn),
};

static uint64_t stat_value(const meshsync_stats *stats, const struct stat_row *row)
{
    uint64_t value = 0;
    memcpy(&value, (const char *)stats + row->offset, sizeof value);
    return value;
}

static json_t *status_stats(const meshsync_stats *stats)
{
    json_t *object = json_object();
    for (size_t i = 0; i < sizeof stat_rows / sizeof stat_rows[0]; i++) {
        if (!json_put(object, stat_rows[i].name, json_of_u64(stat_value(stats, &stat_rows[i])))) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

/* The last error of a peer, null when there was none. */
static json_t *peer_error(const meshsync_peer_info *info)
{
    if (info->last_error == MESHSYNC_OK) {
        return json_null();
    }
    const char *words = info->last_error_text[0] != '\0' ? info->last_error_text
                                                         : meshsync_strerror(info->last_error);
    json_t *error = json_object();
    if (!json_put(error, "code", json_integer(info->last_error)) ||
        !json_put(error, "name", json_string(meshsync_status_name(info->last_error))) ||
        !json_put(error, "message", json_of_bytes(meshsync_bytes_of(words)))) {
        json_decref(error);
        return NULL;
    }
    return error;
}

static json_t *peer_json(const meshsync_peer_info *info)
{
    json_t *line = json_object();
    bool good =
        json_put(line, "id", info->has_id ? json_of_hex(info->id, sizeof info->id) : json_null()) &&
        json_put(line, "address", json_string(info->address)) &&
        json_put(line, "state", json_string(peer_state_name(info->state))) &&
        json_put(line, "outbound", json_boolean(info->outbound != 0)) &&
        json_put(line, "rtt_us", json_of_u64(info->rtt_us)) &&
        json_put(line, "lag", json_of_u64(info->lag_changes)) &&
        json_put(line, "behind", json_of_u64(info->behind_changes)) &&
        json_put(line, "spaces", json_of_u64(info->spaces)) &&
        json_put(line, "bytes_in", json_of_u64(info->bytes_in)) &&
        json_put(line, "bytes_out", json_of_u64(info->bytes_out)) &&
        json_put(line, "last_heard_ms", json_of_u64(info->last_heard_ms)) &&
        json_put(line, "error", peer_error(info));
    if (!good) {
        json_decref(line);
        return NULL;
    }
    return line;
}

static void peer_print(struct cli_context *ctx, const meshsync_peer_info *info)
{
    io_printf(&ctx->io, "%-24s ", info->address);
    if (info->has_id) {
        print_hex(ctx, info->id, 8);
    } else {
        io_text(&ctx->io, "?               ");
    }
    io_printf(&ctx->io, "  %-8s  %s", peer_state_name(info->state),
              info->outbound ? "dialled " : "accepted");
    if (info->rtt_us > 0) {
        io_printf(&ctx->io, "  %.2f ms", (double)info->rtt_us / 1000);
    }
    io_printf(&ctx->io, "  lag %" PRIu64 "  behind %" PRIu64, info->lag_changes,
              info->behind_changes);
    if (info->last_error != MESHSYNC_OK) {
        io_printf(&ctx->io, "  last error: %s",
                  info->last_error_text[0] != '\0' ? info->last_error_text
                                                   : meshsync_strerror(info->last_error));
    }
    io_text(&ctx->io, "\n");
}

/* Each peer as a line, or appended to array when it is not NULL. */
static int peers_each(struct cli_context *ctx, json_t *array)
{
    meshsync_peer_info info;
    for (uint32_t i = 0;; i++) {
        info = (meshsync_peer_info){.size = sizeof info};
        meshsync_status status = meshsync_peer_at(ctx->node, i, &info);
        if (status == MESHSYNC_E_END) {
            return CLI_EXIT_DONE;
        }
        if (status != MESHSYNC_OK) {
            return cli_error(ctx, status, NULL);
        }
        bool good = true;
        if (array != NULL) {
            good = json_array_append_new(array, peer_json(&info)) == 0;
        } else if (ctx->json) {
            good = json_line(ctx, peer_json(&info));
        } else {
            peer_print(ctx, &info);
        }
        if (!good) {
            return no_memory(ctx);
        }
    }
}

int cmd_peers(struct cli_context *ctx, int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return peers_each(ctx, NULL);
}

static int status_spaces(struct cli_context *ctx, json_t *array)
{
    for (uint32_t i = 0;; i++) {
        meshsync_space *space = NULL;
        meshsync_space_info info = {.size = sizeof info};
        meshsync_error error = {.status = MESHSYNC_OK};
        meshsync_status status = meshsync_space_at(ctx->node, i, &space);
        if (status == MESHSYNC_E_END) {
            return CLI_EXIT_DONE;
        }
        if (status == MESHSYNC_OK) {
            status = meshsync_space_get_info(space, &info, &error);
        }
        if (status != MESHSYNC_OK) {
            return cli_error(ctx, status, &error);
        }
        json_t *item = json_object();
        if (!json_put(item, "name", json_string(info.name)) ||
            !json_put(item, "changes", json_of_u64(info.changes)) ||
            !json_put(item, "entries", json_of_u64(info.entries)) ||
            !json_put(item, "joined", json_boolean(info.joined != 0)) ||
            json_array_append(array, item) != 0) {
            json_decref(item);
            return no_memory(ctx);
        }
        if (!ctx->json) {
            io_printf(&ctx->io, "space %s: %" PRIu64 " changes, %" PRIu64 " entries%s\n", info.name,
                      info.changes, info.entries, info.joined ? "" : ", not admitted yet");
        }
        json_decref(item);
    }
}

static int status_json(struct cli_context *ctx, const uint8_t *id, const meshsync_stats *stats)
{
    json_t *line = json_object();
    json_t *spaces = json_array();
    json_t *peers = json_array();
    int code = status_spaces(ctx, spaces);
    if (code == CLI_EXIT_DONE && ctx->running) {
        code = peers_each(ctx, peers);
    }
    if (code != CLI_EXIT_DONE) {
        json_decref(line);
        json_decref(spaces);
        json_decref(peers);
        return code;
    }
    uint64_t up_ms = ctx->running ? monotonic_ms() - ctx->started_ms : 0;
    bool good = json_put(line, "id", json_of_hex(id, MESHSYNC_NODE_ID_BYTES)) &&
                json_put(line, "running", json_boolean(ctx->running)) &&
                json_put(line, "pid", ctx->running ? json_integer(getpid()) : json_null()) &&
                json_put(line, "up_ms", json_of_u64(up_ms)) &&
                json_put(line, "stats", status_stats(stats));
    good = json_put(line, "spaces", spaces) && good;
    good = json_put(line, "peers", peers) && good;
    if (!good) {
        json_decref(line);
        return no_memory(ctx);
    }
    return json_line(ctx, line) ? CLI_EXIT_DONE : no_memory(ctx);
}

static int status_print(struct cli_context *ctx, const uint8_t *id, const meshsync_stats *stats)
{
    io_text(&ctx->io, "id     ");
    print_hex(ctx, id, MESHSYNC_NODE_ID_BYTES);
    if (ctx->running) {
        io_printf(&ctx->io, "\nstate  running, process %d, for %" PRIu64 " s\n", (int)getpid(),
                  (monotonic_ms() - ctx->started_ms) / 1000);
    } else {
        io_text(&ctx->io, "\nstate  not running\n");
    }
    json_t *unused = json_array();
    int code = status_spaces(ctx, unused);
    json_decref(unused);
    for (size_t i = 0; i < sizeof stat_rows / sizeof stat_rows[0]; i++) {
        io_printf(&ctx->io, "%-20s %" PRIu64 "\n", stat_rows[i].name,
                  stat_value(stats, &stat_rows[i]));
    }
    if (code == CLI_EXIT_DONE && ctx->running) {
        code = peers_each(ctx, NULL);
    }
    return code;
}

int cmd_status(struct cli_context *ctx, int argc, char **argv)
{
    (void)argc;
    (void)argv;
    uint8_t id[MESHSYNC_NODE_ID_BYTES];
    meshsync_stats stats = {.size = sizeof stats};
    meshsync_status status = meshsync_node_stats(ctx->node, &stats);
    if (status != MESHSYNC_OK) {
        return cli_error(ctx, status, NULL);
    }
    int code = node_id(ctx, id);
    if (code != CLI_EXIT_DONE) {
        return code;
    }
    return ctx->json ? status_json(ctx, id, &stats) : status_print(ctx, id, &stats);
}

int cmd_version(struct cli_context *ctx, int argc, char **argv)
{
    (void)argc;
    (void)argv;
    if (!ctx->json) {
        io_printf(&ctx->io, "meshnode %s\n", meshsync_version());
        return CLI_EXIT_DONE;
    }
    json_error_t error;
    json_t *line = json_object();
    json_t *build = json_loads(meshsync_build_info(), 0, &error);
    bool good = json_put(line, "version", json_string(meshsync_version()));
    good = json_put(line, "build", build != NULL ? build : json_null()) && good;
    if (!good) {
        json_decref(line);
        return no_memory(ctx);
    }
    return json_line(ctx, line) ? CLI_EXIT_DONE : no_memory(ctx);
}

/* {NAME:text} where a command has little to say. */
static int node_say(struct cli_context *ctx, const char *name, const char *text, const char *words)
{
    if (!ctx->json) {
        io_printf(&ctx->io, "%s %s\n", words, text);
        return CLI_EXIT_DONE;
    }
    json_t *line = json_object();
    if (!json_put(line, name, json_of_bytes(meshsync_bytes_of(text)))) {
        json_decref(line);
        return no_memory(ctx);
    }
    return json_line(ctx, line) ? CLI_EXIT_DONE : no_memory(ctx);
}

int cmd_peer_add(struct cli_context *ctx, int argc, char **argv)
{
    (void)argc;
    meshsync_error error = {.status = MESHSYNC_OK};
    meshsync_status status = meshsync_peer_add(ctx->node, argv[0], &error);
    return status == MESHSYNC_OK ? node_say(ctx, "added", argv[0], "dialling")
                                 : cli_error(ctx, status, &error);
}

int cmd_peer_remove(struct cli_context *ctx, int argc, char **argv)
{
    (void)argc;
    meshsync_error error = {.status = MESHSYNC_OK};
    meshsync_status status = meshsync_peer_remove(ctx->node, argv[0], &error);
    if (status == MESHSYNC_E_NOT_FOUND) {
        return cli_fail(ctx, status, "'%s' is not dialled", argv[0]);
    }
    return status == MESHSYNC_OK ? node_say(ctx, "removed", argv[0], "no longer dialling")
                                 : cli_error(ctx, status, &error);
}

int cmd_backup(struct cli_context *ctx, int argc, char **argv)
{
    (void)argc;
    meshsync_error error = {.status = MESHSYNC_OK};
    meshsync_status status = meshsync_node_backup(ctx->node, argv[0], &error);
    if (status != MESHSYNC_OK) {
        return cli_error(ctx, status, &error);
    }
    struct stat about;
    if (stat(argv[0], &about) != 0) {
        return cli_fail(ctx, MESHSYNC_E_IO, "the backup '%s' is not there", argv[0]);
    }
    char bytes[32];
    if (!ctx->json) {
        io_printf(&ctx->io, "%s: %s; it holds the node's secret key\n", argv[0],
                  show_bytes((uint64_t)about.st_size, bytes));
        return CLI_EXIT_DONE;
    }
    json_t *line = json_object();
    if (!json_put(line, "file", json_of_bytes(meshsync_bytes_of(argv[0]))) ||
        !json_put(line, "bytes", json_of_u64((uint64_t)about.st_size))) {
        json_decref(line);
        return no_memory(ctx);
    }
    return json_line(ctx, line) ? CLI_EXIT_DONE : no_memory(ctx);
}

int cmd_restore(struct cli_context *ctx, int argc, char **argv)
{
    (void)argc;
    meshsync_error error = {.status = MESHSYNC_OK};
    meshsync_status status = meshsync_restore(argv[0], ctx->dir, &error);
    if (status != MESHSYNC_OK) {
        return cli_error(ctx, status, &error);
    }
    return node_say(ctx, "path", ctx->dir, "restored to");
}

/* Does every space verify? */
static bool repair_sound(meshsync_node *node)
{
    meshsync_error error = {.status = MESHSYNC_OK};
    meshsync_status status = MESHSYNC_OK;
    for (uint32_t i = 0; status == MESHSYNC_OK; i++) {
        meshsync_space *space = NULL;
        meshsync_verify_report report = {.size = sizeof report};
        status = meshsync_space_at(node, i, &space);
        if (status == MESHSYNC_OK) {
            status = meshsync_space_verify(space, &report, &error);
        }
    }
    return status != MESHSYNC_E_STORE_CORRUPT;
}

int cmd_repair(struct cli_context *ctx, int argc, char **argv)
{
    (void)argc;
    (void)argv;
    meshsync_error error = {.status = MESHSYNC_OK};
    meshsync_options options;
    meshsync_node *node = NULL;
    meshsync_options_init(&options, sizeof options);
    options.path = ctx->dir;
    options.create = 0;
    meshsync_status status = meshsync_node_open(&options, &node, &error);
    bool sound = status == MESHSYNC_OK && repair_sound(node);
    if (node != NULL) {
        (void)meshsync_node_close(node); /* It wrote nothing that could fail. */
    }
    if (sound) {
        return node_say(ctx, "sound", ctx->dir, "nothing to repair in");
    }
    if (status != MESHSYNC_OK && status != MESHSYNC_E_STORE_CORRUPT) {
        return cli_error(ctx, status, &error);
    }
    status = meshsync_set_aside(ctx->dir, &error);
    return status == MESHSYNC_OK ? node_say(ctx, "aside", ctx->dir,
                                            "join each space again; the store was moved aside in")
                                 : cli_error(ctx, status, &error);
}
