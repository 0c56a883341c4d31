/* SPDX-License-Identifier: Apache-2.0 */
/* Rows that import reads back: {"key","value","type","field"} as JSON lines or CSV. */
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "inputs.h"
#include "reading.h"

struct export_run {
    struct reading reading;
    const char *collection;
    int32_t type; /* enum meshsync_collection_type. */
};

static bool export_jsonl(struct export_run *run, const meshsync_entry *entry)
{
    json_t *line = json_object();
    bool good = json_put(line, "key", json_of_part(entry->key, 0));
    if (run->type == MESHSYNC_MAP && good) {
        good = json_put(line, "field", json_of_parts(entry->key, 1));
    }
    if (entry->kind == ENTRY_ELEMENT) {
        good = good && json_put(line, "value", json_of_part(entry->key, 1));
    } else if (entry->kind != ENTRY_CONTAINER) {
        good = good && json_set_value(line, &entry->value);
    }
    if (!good) {
        json_decref(line);
        return false;
    }
    return json_line(run->reading.ctx, line);
}

/* Text as it is; what is no text, or would be taken for base64url, as "b64:" and base64url. */
static bool export_cell(struct io *io, meshsync_bytes bytes, bool first)
{
    bool marked = bytes.len >= 4 && memcmp(bytes.data, "b64:", 4) == 0;
    if (!marked && utf8_valid(bytes.data, bytes.len)) {
        csv_write_field(io, (const char *)bytes.data, bytes.len, first);
        return true;
    }
    char *text = base64_text(bytes.data, bytes.len);
    if (text == NULL) {
        return false;
    }
    io_printf(io, "%sb64:%s", first ? "" : ",", text);
    free(text);
    return true;
}

static bool export_cell_value(struct io *io, const meshsync_value *value)
{
    const char *implied = NULL;
    if (value->type == MESHSYNC_VALUE_STRING || value->type == MESHSYNC_VALUE_BYTES ||
        value->type == MESHSYNC_VALUE_JSON) {
        return export_cell(io, value->bytes, false);
    }
    if (value->type == MESHSYNC_VALUE_MSGPACK || value->type == MESHSYNC_VALUE_OPAQUE) {
        char *encoded = base64_text(value->bytes.data, value->bytes.len);
        io_printf(io, ",b64:%s", encoded != NULL ? encoded : "");
        free(encoded);
        return encoded != NULL;
    }
    json_t *json = json_of_value(value, &implied);
    char *text =
        json_is_string(json) ? strdup(json_string_value(json)) : json_dumps(json, JSON_ENCODE_ANY);
    json_decref(json);
    if (text == NULL) {
        return false;
    }
    csv_write_field(io, text, strlen(text), false);
    free(text);
    return true;
}

static bool export_csv(struct export_run *run, const meshsync_entry *entry)
{
    struct io *io = &run->reading.ctx->io;
    uint8_t part[MESHSYNC_PATH_BYTES_MAX];
    size_t len = 0;
    if (meshsync_entry_part(entry->key, 0, part, &len) != MESHSYNC_OK ||
        !export_cell(io, (meshsync_bytes){part, len}, true)) {
        return false;
    }
    if (run->type == MESHSYNC_MAP) {
        struct owned_bytes field = field_dotted(entry->key, 1);
        bool good = field.memory != NULL && export_cell(io, field.bytes, false);
        owned_bytes_fini(&field);
        if (!good) {
            return false;
        }
    }
    const char *type = value_type_name(entry->value.type);
    bool good = true;
    if (entry->kind == ENTRY_CONTAINER) {
        csv_write_field(io, "", 0, false);
        type = "empty";
    } else if (entry->kind == ENTRY_ELEMENT) {
        good = meshsync_entry_part(entry->key, 1, part, &len) == MESHSYNC_OK &&
               export_cell(io, (meshsync_bytes){part, len}, false);
        type = "element";
    } else {
        good = export_cell_value(io, &entry->value);
    }
    io_printf(io, ",%s\r\n", type);
    return good;
}

static int export_all(struct export_run *run, bool csv)
{
    struct cli_context *ctx = run->reading.ctx;
    const meshsync_scan_options options = {.size = sizeof options, .deep = 1};
    meshsync_scan *scan = NULL;
    int code = CLI_EXIT_DONE;
    meshsync_status status = meshsync_scan_open(run->reading.snapshot, run->collection, &options,
                                                &scan, &run->reading.error);
    if (csv) {
        io_text(&ctx->io,
                run->type == MESHSYNC_MAP ? "key,field,value,type\r\n" : "key,value,type\r\n");
    }
    while (status == MESHSYNC_OK && code == CLI_EXIT_DONE && io_alive(&ctx->io)) {
        meshsync_entry entry;
        status = meshsync_scan_next(scan, &entry, &run->reading.error);
        if (status == MESHSYNC_OK && !(csv ? export_csv(run, &entry) : export_jsonl(run, &entry))) {
            code = no_memory(ctx);
        }
    }
    meshsync_scan_close(scan);
    return status == MESHSYNC_OK || status == MESHSYNC_E_END ? code
                                                             : reading_fail(&run->reading, status);
}

int cmd_export(struct cli_context *ctx, int argc, char **argv)
{
    (void)argc;
    const char *format = cli_text(&ctx->args, CLI_OPT_FORMAT_OUT);
    bool csv = format != NULL && strcmp(format, "csv") == 0;
    if (format != NULL && !csv && strcmp(format, "jsonl") != 0) {
        return cli_usage(ctx, "--format takes jsonl or csv, not '%s'", format);
    }
    struct export_run run = {.collection = argv[1]};
    meshsync_collection_info info = {.size = sizeof info};
    int code = reading_open(&run.reading, ctx, argv[0]);
    if (code == CLI_EXIT_DONE) {
        code = find_collection(ctx, run.reading.space, argv[1], &info);
    }
    if (code == CLI_EXIT_DONE) {
        run.type = info.type;
        code = export_all(&run, csv);
    }
    reading_close(&run.reading);
    return code;
}
