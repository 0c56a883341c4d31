/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "reading.h"

/* One entry as {"key",["field",]…}, or its value for people. key and fields are already in line. */
static int read_show(struct reading *reading, json_t *line, const meshsync_entry *entry)
{
    struct cli_context *ctx = reading->ctx;
    if (ctx->json) {
        meshsync_status status = MESHSYNC_OK;
        if (!reading_set_entry(reading, line, entry, &status)) {
            json_decref(line);
            return reading_fail(reading, status);
        }
        return json_line(ctx, line) ? CLI_EXIT_DONE : no_memory(ctx);
    }
    json_decref(line);
    if (entry->value.type == MESHSYNC_VALUE_BYTES || entry->value.type == MESHSYNC_VALUE_MSGPACK ||
        entry->value.type == MESHSYNC_VALUE_OPAQUE) {
        io_out(&ctx->io, entry->value.bytes.data, entry->value.bytes.len); /* As they are. */
    } else if (entry->value.type == MESHSYNC_VALUE_STRING) {
        io_out(&ctx->io, entry->value.bytes.data, entry->value.bytes.len);
        io_text(&ctx->io, "\n");
    } else {
        print_value(ctx, &entry->value);
        io_text(&ctx->io, "\n");
    }
    if (entry->siblings_count > 1 && entry->kind == ENTRY_VALUE) {
        io_flush(&ctx->io);
        io_err(&ctx->io, "meshnode: this was written concurrently; 'get --json' or 'conflicts' "
                         "shows all values\n");
    }
    return CLI_EXIT_DONE;
}

static int read_missing(struct reading *reading, meshsync_status status, const char *what,
                        const char *collection)
{
    if (status != MESHSYNC_E_NOT_FOUND) {
        return reading_fail(reading, status);
    }
    meshsync_collection_info info = {.size = sizeof info};
    int code = find_collection(reading->ctx, reading->space, collection, &info);
    if (code != CLI_EXIT_DONE) {
        return code; /* That there is no such collection says more. */
    }
    return cli_fail(reading->ctx, MESHSYNC_E_NOT_FOUND, "'%s' is not in collection '%s'", what,
                    collection);
}

int cmd_get(struct cli_context *ctx, int argc, char **argv)
{
    (void)argc;
    struct reading reading;
    const meshsync_bytes key = meshsync_bytes_of(argv[2]);
    const meshsync_path path = {&key, 1};
    meshsync_entry entry;
    int code = reading_open(&reading, ctx, argv[0]);
    if (code == CLI_EXIT_DONE) {
        meshsync_status status =
            meshsync_get(reading.snapshot, argv[1], &path, &entry, &reading.error);
        if (status != MESHSYNC_OK) {
            code = read_missing(&reading, status, argv[2], argv[1]);
        } else if (entry.kind == ENTRY_CONTAINER || entry.kind == ENTRY_ELEMENT) {
            code = cli_fail(ctx, MESHSYNC_E_TYPE,
                            "'%s' holds sets or maps: 'meshnode members' and 'meshnode mget' show "
                            "them",
                            argv[1]);
        } else {
            json_t *line = json_object();
            (void)json_put(line, "key", json_of_bytes(key)); /* A failure shows at the next. */
            code = read_show(&reading, line, &entry);
        }
    }
    reading_close(&reading);
    return code;
}

static json_t *scan_json(const meshsync_entry *entry)
{
    json_t *line = json_object();
    bool good = json_put(line, "key", json_of_part(entry->key, 0));
    if (entry->kind == ENTRY_VALUE || entry->kind == ENTRY_COUNTER) {
        good = good && json_set_value(line, &entry->value) &&
               json_put(line, "conflict",
                        json_boolean(entry->kind == ENTRY_VALUE && entry->siblings_count > 1));
    }
    if (!good) {
        json_decref(line);
        return NULL;
    }
    return line;
}

static bool scan_print(struct cli_context *ctx, const meshsync_entry *entry)
{
    uint8_t part[MESHSYNC_PATH_BYTES_MAX];
    size_t len = 0;
    if (ctx->json) {
        return json_line(ctx, scan_json(entry));
    }
    if (meshsync_entry_part(entry->key, 0, part, &len) != MESHSYNC_OK) {
        return false;
    }
    print_bytes(ctx, (meshsync_bytes){part, len});
    if (entry->kind == ENTRY_VALUE || entry->kind == ENTRY_COUNTER) {
        io_text(&ctx->io, "\t");
        print_value(ctx, &entry->value);
        io_text(&ctx->io,
                entry->kind == ENTRY_VALUE && entry->siblings_count > 1 ? "\t(conflict)" : "");
    }
    io_text(&ctx->io, "\n");
    return true;
}

static int scan_all(struct reading *reading, const char *collection,
                    const meshsync_scan_options *options)
{
    struct cli_context *ctx = reading->ctx;
    meshsync_scan *scan = NULL;
    int code = CLI_EXIT_DONE;
    meshsync_status status =
        meshsync_scan_open(reading->snapshot, collection, options, &scan, &reading->error);
    while (status == MESHSYNC_OK && code == CLI_EXIT_DONE && io_alive(&ctx->io)) {
        meshsync_entry entry;
        status = meshsync_scan_next(scan, &entry, &reading->error);
        if (status == MESHSYNC_OK && !scan_print(ctx, &entry)) {
            code = no_memory(ctx);
        }
    }
    meshsync_scan_close(scan);
    if (status != MESHSYNC_OK && status != MESHSYNC_E_END) {
        return read_missing(reading, status, collection, collection);
    }
    return code;
}

int cmd_scan(struct cli_context *ctx, int argc, char **argv)
{
    (void)argc;
    const char *prefix = cli_text(&ctx->args, CLI_OPT_PREFIX);
    const char *from = cli_text(&ctx->args, CLI_OPT_FROM_KEY);
    const char *limit = cli_text(&ctx->args, CLI_OPT_LIMIT);
    meshsync_scan_options options = {.size = sizeof options};
    if (limit != NULL && (!parse_u64(limit, UINT64_MAX, &options.limit) || options.limit == 0)) {
        return cli_usage(ctx, "--limit takes a number from 1, not '%s'", limit);
    }
    if (prefix != NULL) {
        options.prefix = meshsync_bytes_of(prefix);
    }
    if (from != NULL) {
        options.from = meshsync_bytes_of(from);
    }
    options.direction =
        cli_given(&ctx->args, CLI_OPT_REVERSE) ? MESHSYNC_DESCENDING : MESHSYNC_ASCENDING;
    struct reading reading;
    meshsync_collection_info info = {.size = sizeof info};
    int code = reading_open(&reading, ctx, argv[0]);
    if (code == CLI_EXIT_DONE) {
        code = find_collection(ctx, reading.space, argv[1], &info);
    }
    if (code == CLI_EXIT_DONE) {
        code = scan_all(&reading, argv[1], &options);
    }
    reading_close(&reading);
    return code;
}

static bool members_print(struct cli_context *ctx, meshsync_bytes element, int member)
{
    if (!ctx->json) {
        print_bytes(ctx, element);
        io_text(&ctx->io, member < 0 ? "\n" : member > 0 ? "\tyes\n" : "\tno\n");
        return true;
    }
    json_t *line = json_object();
    bool good = json_put(line, "element", json_of_bytes(element)) &&
                (member < 0 || json_put(line, "member", json_boolean(member > 0)));
    if (!good) {
        json_decref(line);
        return false;
    }
    return json_line(ctx, line);
}

static int members_list(struct reading *reading, const char *collection, const char *key_text)
{
    const meshsync_bytes key = meshsync_bytes_of(key_text);
    const meshsync_scan_options options = {.size = sizeof options, .below = {&key, 1}};
    struct cli_context *ctx = reading->ctx;
    meshsync_scan *scan = NULL;
    meshsync_entry entry;
    int code = CLI_EXIT_DONE;
    meshsync_status status =
        meshsync_get(reading->snapshot, collection, &options.below, &entry, &reading->error);
    if (status != MESHSYNC_OK) {
        return read_missing(reading, status, key_text, collection);
    }
    status = meshsync_scan_open(reading->snapshot, collection, &options, &scan, &reading->error);
    while (status == MESHSYNC_OK && code == CLI_EXIT_DONE && io_alive(&ctx->io)) {
        uint8_t part[MESHSYNC_PATH_BYTES_MAX];
        size_t len = 0;
        status = meshsync_scan_next(scan, &entry, &reading->error);
        if (status == MESHSYNC_OK &&
            (meshsync_entry_part(entry.key, 1, part, &len) != MESHSYNC_OK ||
             !members_print(ctx, (meshsync_bytes){part, len}, -1))) {
            code = no_memory(ctx);
        }
    }
    meshsync_scan_close(scan);
    return status == MESHSYNC_OK || status == MESHSYNC_E_END ? code : reading_fail(reading, status);
}

static int members_ask(struct reading *reading, char **argv, int argc)
{
    const meshsync_bytes key = meshsync_bytes_of(argv[2]);
    int code = CLI_EXIT_DONE;
    for (int i = 3; i < argc; i++) {
        const meshsync_bytes element = meshsync_bytes_of(argv[i]);
        meshsync_status status =
            meshsync_set_contains(reading->snapshot, argv[1], key, element, &reading->error);
        if (status != MESHSYNC_OK && status != MESHSYNC_E_NOT_FOUND) {
            return reading_fail(reading, status);
        }
        if (!members_print(reading->ctx, element, status == MESHSYNC_OK)) {
            return no_memory(reading->ctx);
        }
        code = status == MESHSYNC_OK ? code : CLI_EXIT_FINDING;
    }
    return code;
}

int cmd_members(struct cli_context *ctx, int argc, char **argv)
{
    struct reading reading;
    meshsync_collection_info info = {.size = sizeof info};
    int code = reading_open(&reading, ctx, argv[0]);
    if (code == CLI_EXIT_DONE) {
        code = find_collection(ctx, reading.space, argv[1], &info);
    }
    if (code == CLI_EXIT_DONE && info.type != MESHSYNC_SET) {
        code = cli_fail(ctx, MESHSYNC_E_TYPE, "collection '%s' holds no sets but is a %s", argv[1],
                        collection_type_name(info.type));
    }
    if (code == CLI_EXIT_DONE) {
        code =
            argc > 3 ? members_ask(&reading, argv, argc) : members_list(&reading, argv[1], argv[2]);
    }
    reading_close(&reading);
    return code;
}

static int mget_nested(struct reading *reading, const char *collection, json_t *line,
                       const meshsync_path *path)
{
    struct cli_context *ctx = reading->ctx;
    meshsync_status status = MESHSYNC_OK;
    uint64_t conflicts = 0;
    json_t *nested = reading_nested(reading, collection, path, &conflicts, &status);
    if (nested == NULL) {
        json_decref(line);
        return status == MESHSYNC_E_NO_MEMORY ? no_memory(ctx) : reading_fail(reading, status);
    }
    if (ctx->json) {
        if (!json_put(line, "value", nested) ||
            !json_put(line, "conflicts", json_of_u64(conflicts))) {
            json_decref(line);
            return no_memory(ctx);
        }
        return json_line(ctx, line) ? CLI_EXIT_DONE : no_memory(ctx);
    }
    json_decref(line);
    char *text = json_dumps(nested, JSON_INDENT(2));
    json_decref(nested);
    if (text == NULL) {
        return no_memory(ctx);
    }
    io_printf(&ctx->io, "%s\n", text);
    free(text);
    return CLI_EXIT_DONE;
}

static int mget_path(struct reading *reading, const char *collection, struct field_path *fields,
                     const char *text)
{
    const meshsync_path path = field_path_get(fields);
    meshsync_entry entry;
    meshsync_status status =
        meshsync_get(reading->snapshot, collection, &path, &entry, &reading->error);
    if (status != MESHSYNC_OK) {
        return read_missing(reading, status, text, collection);
    }
    json_t *line = json_object();
    bool good = json_put(line, "key", json_of_bytes(path.parts[0]));
    json_t *field = json_array();
    for (size_t i = 1; i < path.parts_count; i++) {
        good = json_array_append_new(field, json_of_bytes(path.parts[i])) == 0 && good;
    }
    good = json_put(line, "field", field) && good;
    if (!good) {
        json_decref(line);
        return no_memory(reading->ctx);
    }
    if (entry.kind == ENTRY_CONTAINER) {
        return mget_nested(reading, collection, line, &path);
    }
    return read_show(reading, line, &entry);
}

int cmd_mget(struct cli_context *ctx, int argc, char **argv)
{
    struct field_path path;
    field_path_init(&path, meshsync_bytes_of(argv[2]));
    if (argc > 3) {
        const char *wrong = field_path_add_dotted(&path, argv[3], strlen(argv[3]));
        if (wrong != NULL) {
            field_path_fini(&path);
            return cli_usage(ctx, "FIELD '%s' %s", argv[3], wrong);
        }
    }
    struct reading reading;
    meshsync_collection_info info = {.size = sizeof info};
    int code = reading_open(&reading, ctx, argv[0]);
    if (code == CLI_EXIT_DONE) {
        code = find_collection(ctx, reading.space, argv[1], &info);
    }
    if (code == CLI_EXIT_DONE && info.type != MESHSYNC_MAP) {
        code = cli_fail(ctx, MESHSYNC_E_TYPE, "collection '%s' holds no maps but is a %s", argv[1],
                        collection_type_name(info.type));
    }
    if (code == CLI_EXIT_DONE) {
        code = mget_path(&reading, argv[1], &path, argc > 3 ? argv[3] : argv[2]);
    }
    reading_close(&reading);
    field_path_fini(&path);
    return code;
}

static json_t *conflict_json(struct reading *reading, const meshsync_scan *scan,
                             const meshsync_entry *entry, meshsync_status *status)
{
    json_t *line = json_object();
    json_t *field = json_of_parts(entry->key, 1);
    bool good = json_put(line, "collection", json_string(meshsync_scan_collection(scan))) &&
                json_put(line, "key", json_of_part(entry->key, 0)) &&
                (json_array_size(field) == 0 || json_object_set(line, "field", field) == 0);
    json_decref(field);
    *status = good ? MESHSYNC_OK : MESHSYNC_E_NO_MEMORY;
    if (!good || !reading_set_entry(reading, line, entry, status)) {
        json_decref(line);
        return NULL;
    }
    return line;
}

static meshsync_status conflict_print(struct reading *reading, const meshsync_scan *scan,
                                      const meshsync_entry *entry)
{
    struct cli_context *ctx = reading->ctx;
    if (ctx->json) {
        meshsync_status status = MESHSYNC_OK;
        json_t *line = conflict_json(reading, scan, entry, &status);
        return line == NULL ? status : json_line(ctx, line) ? MESHSYNC_OK : MESHSYNC_E_NO_MEMORY;
    }
    struct owned_bytes path = field_dotted(entry->key, 0);
    if (path.memory == NULL) {
        return MESHSYNC_E_NO_MEMORY;
    }
    io_printf(&ctx->io, "%s ", meshsync_scan_collection(scan));
    print_bytes(ctx, path.bytes);
    io_printf(&ctx->io, ": %" PRIu32 " values\n", entry->siblings_count);
    owned_bytes_fini(&path);
    return reading_print_siblings(reading, entry->siblings_count);
}

int cmd_conflicts(struct cli_context *ctx, int argc, char **argv)
{
    (void)argc;
    struct reading reading;
    int code = reading_open(&reading, ctx, argv[0]);
    if (code != CLI_EXIT_DONE) {
        return code;
    }
    meshsync_scan *scan = NULL;
    meshsync_status status = meshsync_conflicts_open(reading.snapshot, &scan, &reading.error);
    while (status == MESHSYNC_OK && io_alive(&ctx->io)) {
        meshsync_entry entry;
        status = meshsync_scan_next(scan, &entry, &reading.error);
        if (status == MESHSYNC_OK) {
            status = conflict_print(&reading, scan, &entry);
        }
    }
    meshsync_scan_close(scan);
    if (status != MESHSYNC_OK && status != MESHSYNC_E_END) {
        code = reading_fail(&reading, status);
    }
    reading_close(&reading);
    return code;
}
