/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "commands.h"
#include "inputs.h"
#include "rows.h"

enum {
    IMPORT_ROWS_MAX = 1000,         /* Of one transaction. */
    IMPORT_OPS_MAX = 16384,         /* The same, for maps of many fields. */
    IMPORT_BYTES_MAX = 1024 * 1024, /* The same, of input. */
    IMPORT_PROGRESS_MS = 250
};

struct import {
    struct cli_context *ctx;
    const char *key; /* --key, or NULL. */
    meshsync_space *space;
    struct row_target target;
    struct write_ack ack;
    meshsync_token token;      /* Of the last transaction. */
    uint64_t rows_pending;     /* In the open transaction. */
    uint64_t bytes_pending_at; /* Input bytes when it was begun. */
    uint64_t line_committed;   /* Everything up to this line is committed. */
    uint64_t line;             /* Of the row at hand. */
    uint64_t rows, txns, bytes;
    uint64_t begin_ms, shown_ms;
};

static void import_progress(struct import *import, bool last)
{
    struct cli_context *ctx = import->ctx;
    bool verbose = cli_given(&ctx->args, CLI_OPT_VERBOSE);
    uint64_t now_ms = monotonic_ms();
    uint64_t every_ms = ctx->io.err_is_tty ? IMPORT_PROGRESS_MS : 4 * IMPORT_PROGRESS_MS;
    if ((!ctx->io.err_is_tty && !verbose) || (!last && now_ms - import->shown_ms < every_ms)) {
        return;
    }
    char rows[32];
    char bytes[32];
    char line[128];
    import->shown_ms = now_ms;
    (void)snprintf(line, sizeof line, "%s%s rows, %s%s%s", ctx->io.err_is_tty ? "\r" : "",
                   group_digits(import->rows + import->rows_pending, rows),
                   show_bytes(import->bytes, bytes), ctx->io.err_is_tty ? "\033[K" : "",
                   ctx->io.err_is_tty && !last ? "" : "\n");
    io_err(&ctx->io, line);
}

/* Reports an error at a line, and how far the import came. */
static int import_fail(struct import *import, meshsync_status status, const char *words)
{
    char rows[32];
    if (import->target.txn != NULL) {
        meshsync_txn_abort(import->target.txn);
        import->target.txn = NULL;
    }
    if (import->rows == 0) {
        return cli_fail(import->ctx, status, "line %" PRIu64 ": %s; no row was committed",
                        import->line, words);
    }
    return cli_fail(import->ctx, status,
                    "line %" PRIu64 ": %s; %s rows, up to line %" PRIu64
                    ", are committed, none after it",
                    import->line, words, group_digits(import->rows, rows), import->line_committed);
}

static int import_commit(struct import *import)
{
    if (import->target.txn == NULL) {
        return CLI_EXIT_DONE;
    }
    const meshsync_commit_options options = {
        .size = sizeof options, .timeout_ms = import->ack.timeout_ms, .ack = import->ack.ack};
    meshsync_error error = {.status = MESHSYNC_OK};
    meshsync_status status =
        meshsync_txn_commit(import->target.txn, &options, &import->token, &error);
    import->target.txn = NULL;
    if (status != MESHSYNC_OK) {
        return import_fail(import, status,
                           error.message[0] != '\0' ? error.message : meshsync_strerror(status));
    }
    import->rows += import->rows_pending;
    import->txns++;
    import->rows_pending = 0;
    import->line_committed = import->line;
    import_progress(import, false);
    if (!io_alive(&import->ctx->io)) {
        return import_fail(import, MESHSYNC_E_CANCELLED, "stopped");
    }
    return CLI_EXIT_DONE;
}

/* Writes one row; input_bytes: how much of the input was read with it. */
static int import_row(struct import *import, json_t *row, uint64_t line, uint64_t input_bytes)
{
    struct row_error error = {.status = MESHSYNC_OK};
    import->line = line;
    import->bytes = input_bytes;
    if (import->target.txn == NULL) {
        meshsync_error failure = {.status = MESHSYNC_OK};
        meshsync_status status = meshsync_txn_begin(import->space, &import->target.txn, &failure);
        if (status != MESHSYNC_OK) {
            return import_fail(import, status, failure.message);
        }
        import->target.ops_count = 0;
        import->bytes_pending_at = input_bytes;
    }
    bool good = import->key != NULL ? row_apply_keyed(&import->target, row, import->key, &error)
                                    : row_apply_exported(&import->target, row, &error);
    if (!good) {
        return import_fail(import, error.status, error.words);
    }
    import->rows_pending++;
    bool full = import->rows_pending >= IMPORT_ROWS_MAX ||
                import->target.ops_count >= IMPORT_OPS_MAX ||
                input_bytes - import->bytes_pending_at >= IMPORT_BYTES_MAX;
    return full ? import_commit(import) : CLI_EXIT_DONE;
}

static int import_jsonl(struct import *import)
{
    struct line_reader reader;
    char *line = NULL;
    size_t len = 0;
    const char *wrong = NULL;
    int code = CLI_EXIT_DONE;
    int got = 0;
    line_reader_init(&reader, &import->ctx->io);
    while (code == CLI_EXIT_DONE && (got = line_reader_next(&reader, &line, &len, &wrong)) > 0) {
        if (strspn(line, " \t") == len) {
            continue;
        }
        json_error_t parse_error;
        json_t *row = json_loadb(line, len, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &parse_error);
        import->line = reader.number;
        if (row == NULL) {
            char words[JSON_ERROR_TEXT_LENGTH + 32];
            (void)snprintf(words, sizeof words, "no valid JSON: %s", parse_error.text);
            code = import_fail(import, MESHSYNC_E_INVALID, words);
            break;
        }
        uint64_t unread = reader.len - reader.at;
        code = import_row(import, row, reader.number, reader.bytes - unread);
        json_decref(row);
    }
    if (got < 0) {
        import->line = reader.number;
        code = import_fail(import, MESHSYNC_E_INVALID, wrong);
    }
    line_reader_fini(&reader);
    return code;
}

static int import_json(struct import *import)
{
    struct byte_reader bytes;
    struct item_reader items;
    json_t *row = NULL;
    const char *wrong = NULL;
    int code = CLI_EXIT_DONE;
    int got = 0;
    if (!byte_reader_init(&bytes, &import->ctx->io)) {
        return no_memory(import->ctx);
    }
    item_reader_init(&items, &bytes, import->key != NULL);
    while (code == CLI_EXIT_DONE && (got = item_reader_next(&items, &row, &wrong)) > 0) {
        code = import_row(import, row, items.line, bytes.bytes);
        json_decref(row);
    }
    if (code == CLI_EXIT_DONE && got < 0) {
        import->line = items.line;
        code = import_fail(import, MESHSYNC_E_INVALID, wrong);
    }
    item_reader_fini(&items);
    byte_reader_fini(&bytes);
    return code;
}

/* The columns of the header, and whether it is one that export writes. */
struct import_header {
    char **names; /* Owned, also each. */
    size_t count;
    bool exported;
};

static void import_header_fini(struct import_header *header)
{
    for (size_t i = 0; i < header->count; i++) {
        free(header->names[i]);
    }
    free(header->names);
}

static const char *import_header_read(const struct csv_reader *csv, struct import_header *header)
{
    header->names = calloc(csv->fields_count, sizeof *header->names);
    if (header->names == NULL) {
        return "out of memory";
    }
    for (size_t i = 0; i < csv->fields_count; i++) {
        const char *name = csv->fields[i].data != NULL ? csv->fields[i].data : "";
        for (size_t k = 0; k < i; k++) {
            if (strcmp(name, header->names[k]) == 0) {
                return "the header names a column twice";
            }
        }
        header->names[i] = strdup(name);
        if (header->names[i] == NULL) {
            return "out of memory";
        }
        header->count++;
    }
    size_t last = header->count - 1;
    bool fields = header->count == 4 && strcmp(header->names[1], "field") == 0;
    header->exported = (header->count == 3 || fields) && strcmp(header->names[0], "key") == 0 &&
                       strcmp(header->names[last - 1], "value") == 0 &&
                       strcmp(header->names[last], "type") == 0;
    return NULL;
}

static json_t *import_text(const struct text *field)
{
    return field->len > 0 ? json_stringn(field->data, field->len) : json_string("");
}

/* A cell of an exported file: text, or "b64:" and base64url. */
static json_t *import_cell(const struct text *field)
{
    if (field->len < 4 || memcmp(field->data, "b64:", 4) != 0) {
        return import_text(field);
    }
    json_t *object = json_object();
    if (!json_put(object, "b64", json_stringn(field->data + 4, field->len - 4))) {
        json_decref(object);
        return NULL;
    }
    return object;
}

/* The field column: dotted, to an array of parts. */
static json_t *import_field(const struct text *field)
{
    json_t *cell = import_cell(field);
    struct owned_bytes dotted = {.memory = NULL};
    struct field_path path;
    field_path_init(&path, (meshsync_bytes){NULL, 0});
    json_t *parts = json_array();
    const char *wrong = cell != NULL ? bytes_from_json(cell, &dotted) : "";
    if (wrong == NULL && dotted.bytes.len > 0) {
        wrong = field_path_add_dotted(&path, (const char *)dotted.bytes.data, dotted.bytes.len);
    }
    bool good = wrong == NULL;
    for (size_t i = 1; i < path.count && good; i++) {
        good = json_array_append_new(parts, json_of_bytes(path.parts[i])) == 0;
    }
    field_path_fini(&path);
    owned_bytes_fini(&dotted);
    json_decref(cell);
    if (!good) {
        json_decref(parts);
        return NULL;
    }
    return parts;
}

/* The value column by the type column. */
static bool import_value(json_t *row, const struct text *field, const char *type)
{
    if (strcmp(type, "empty") == 0) {
        return true; /* A map or set with nothing in it. */
    }
    json_t *value = strcmp(type, "bool") == 0
                        ? json_boolean(field->len > 0 && strcmp(field->data, "true") == 0)
                        : import_cell(field);
    bool implied = strcmp(type, "element") == 0 || strcmp(type, "bool") == 0;
    return json_put(row, "value", value) && (implied || json_put(row, "type", json_string(type)));
}

static json_t *import_record(const struct import *import, const struct csv_reader *csv,
                             const struct import_header *header)
{
    json_t *row = json_object();
    bool good = row != NULL;
    if (header->exported && import->key == NULL) {
        const struct text *type = &csv->fields[header->count - 1];
        good = json_put(row, "key", import_cell(&csv->fields[0])) &&
               (header->count == 3 || json_put(row, "field", import_field(&csv->fields[1]))) &&
               import_value(row, &csv->fields[header->count - 2],
                            type->len > 0 ? type->data : "string");
    } else {
        for (size_t i = 0; i < header->count && good; i++) {
            good = json_put(row, header->names[i], import_text(&csv->fields[i]));
        }
    }
    if (!good) {
        json_decref(row);
        return NULL;
    }
    return row;
}

static int import_records(struct import *import, struct csv_reader *csv,
                          const struct import_header *header)
{
    const char *wrong = NULL;
    int code = CLI_EXIT_DONE;
    int got = 0;
    while (code == CLI_EXIT_DONE && (got = csv_reader_next(csv, &wrong)) > 0) {
        char words[128];
        import->line = csv->line;
        if (csv->fields_count != header->count) {
            (void)snprintf(words, sizeof words, "the record has %zu fields, the header %zu",
                           csv->fields_count, header->count);
            return import_fail(import, MESHSYNC_E_INVALID, words);
        }
        json_t *row = import_record(import, csv, header);
        if (row == NULL) {
            return import_fail(import, MESHSYNC_E_INVALID,
                               "a field is no valid UTF-8, base64url or dotted path");
        }
        code = import_row(import, row, csv->line, csv->in->bytes);
        json_decref(row);
    }
    if (code == CLI_EXIT_DONE && got < 0) {
        import->line = csv->line;
        code = import_fail(import, MESHSYNC_E_INVALID, wrong);
    }
    return code;
}

static int import_csv(struct import *import)
{
    struct byte_reader bytes;
    struct csv_reader csv;
    struct import_header header = {.names = NULL};
    const char *wrong = NULL;
    int code = CLI_EXIT_DONE;
    if (!byte_reader_init(&bytes, &import->ctx->io)) {
        return no_memory(import->ctx);
    }
    csv_reader_init(&csv, &bytes);
    int got = csv_reader_next(&csv, &wrong);
    if (got > 0) {
        wrong = import_header_read(&csv, &header);
        got = wrong == NULL ? 1 : -1;
    } else if (got == 0) {
        wrong = "a line that names the columns is missing";
        got = -1;
    }
    import->line = 1;
    code = got > 0 ? import_records(import, &csv, &header)
                   : import_fail(import, MESHSYNC_E_INVALID, wrong);
    import_header_fini(&header);
    csv_reader_fini(&csv);
    byte_reader_fini(&bytes);
    return code;
}

static int import_answer(struct import *import)
{
    struct cli_context *ctx = import->ctx;
    uint64_t spent_ms = monotonic_ms() - import->begin_ms;
    if (!ctx->json) {
        char rows[32];
        char txns[32];
        char bytes[32];
        io_printf(&ctx->io, "%s rows in %s transactions, %s, %.2f s\n",
                  group_digits(import->rows, rows), group_digits(import->txns, txns),
                  show_bytes(import->bytes, bytes), (double)spent_ms / 1000);
        return CLI_EXIT_DONE;
    }
    json_t *line = json_object();
    bool good = json_put(line, "rows", json_of_u64(import->rows)) &&
                json_put(line, "transactions", json_of_u64(import->txns)) &&
                json_put(line, "bytes", json_of_u64(import->bytes)) &&
                json_put(line, "ms", json_of_u64(spent_ms)) &&
                json_put(line, "version", json_of_token(&import->token));
    if (!good) {
        json_decref(line);
        return no_memory(ctx);
    }
    return json_line(ctx, line) ? CLI_EXIT_DONE : no_memory(ctx);
}

/* "jsonl", "json" or "csv": from --format, or from the end of the file's name. NULL: neither. */
static const char *import_format(const struct cli_context *ctx, const char *file)
{
    static const char *const ends[][2] = {
        {".jsonl", "jsonl"}, {".ndjson", "jsonl"}, {".json", "json"}, {".csv", "csv"}};
    const char *format = cli_text(&ctx->args, CLI_OPT_FORMAT_IN);
    if (format != NULL) {
        bool known = strcmp(format, "jsonl") == 0 || strcmp(format, "json") == 0 ||
                     strcmp(format, "csv") == 0;
        return known ? format : NULL;
    }
    const char *dot = strrchr(file, '.');
    for (size_t i = 0; dot != NULL && i < sizeof ends / sizeof ends[0]; i++) {
        if (strcasecmp(dot, ends[i][0]) == 0) {
            return ends[i][1];
        }
    }
    return strcmp(file, "-") == 0 ? "jsonl" : NULL;
}

int cmd_import(struct cli_context *ctx, int argc, char **argv)
{
    (void)argc;
    struct import import = {.ctx = ctx, .key = cli_text(&ctx->args, CLI_OPT_KEY)};
    meshsync_collection_info info = {.size = sizeof info};
    const char *format = import_format(ctx, argv[2]);
    if (format == NULL) {
        return cli_usage(ctx, "--format jsonl, json or csv is needed for '%s'", argv[2]);
    }
    int code = read_ack(ctx, &import.ack);
    if (code == CLI_EXIT_DONE) {
        code = find_space(ctx, argv[0], &import.space);
    }
    if (code == CLI_EXIT_DONE) {
        code = find_collection(ctx, import.space, argv[1], &info);
    }
    if (code != CLI_EXIT_DONE) {
        return code;
    }
    import.target.collection = argv[1];
    import.target.type = info.type;
    import.begin_ms = monotonic_ms();
    if (strcmp(format, "csv") == 0) {
        code = import_csv(&import);
    } else {
        code = strcmp(format, "json") == 0 ? import_json(&import) : import_jsonl(&import);
    }
    if (code == CLI_EXIT_DONE) {
        code = import_commit(&import);
    }
    import_progress(&import, true);
    if (code == CLI_EXIT_DONE) {
        code = await_peers(ctx, import.space, &import.ack, &import.token);
    }
    return code == CLI_EXIT_DONE ? import_answer(&import) : code;
}
