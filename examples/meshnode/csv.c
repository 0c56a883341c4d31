/* SPDX-License-Identifier: Apache-2.0 */
/* Comma-separated values as RFC 4180 has them; a bare line feed ends a record too. */
#include <stdlib.h>
#include <string.h>

#include "inputs.h"

static const char csv_too_long[] = "the field is longer than 32 MiB, or memory ran out";

void csv_reader_init(struct csv_reader *reader, struct byte_reader *in)
{
    *reader = (struct csv_reader){.in = in};
    static const uint8_t mark[] = {0xef, 0xbb, 0xbf};
    (void)byte_skip(in, mark, sizeof mark); /* A byte order mark, as some programs write it. */
}

void csv_reader_fini(struct csv_reader *reader)
{
    for (size_t i = 0; i < reader->fields_cap; i++) {
        text_fini(&reader->fields[i]);
    }
    free(reader->fields);
    reader->fields = NULL;
}

/* The next field of the record, empty; NULL: no memory, or too many. */
static struct text *csv_field(struct csv_reader *reader)
{
    if (reader->fields_count == reader->fields_cap) {
        size_t cap = reader->fields_cap == 0 ? 16 : reader->fields_cap * 2;
        struct text *fields =
            cap <= CSV_FIELDS_MAX ? realloc(reader->fields, cap * sizeof *fields) : NULL;
        if (fields == NULL) {
            return NULL;
        }
        memset(fields + reader->fields_cap, 0, (cap - reader->fields_cap) * sizeof *fields);
        reader->fields = fields;
        reader->fields_cap = cap;
    }
    struct text *field = &reader->fields[reader->fields_count++];
    field->len = 0;
    if (field->data != NULL) {
        field->data[0] = '\0';
    }
    return field;
}

static bool csv_at_end(int byte)
{
    return byte == ',' || byte == '\n' || byte == '\r' || byte == BYTES_END;
}

/* After the opening quote, up to and with the closing one. */
static const char *csv_quoted(struct csv_reader *reader, struct text *field)
{
    for (;;) {
        int byte = byte_take(reader->in);
        if (byte == BYTES_END) {
            return "the file ends inside a quoted field";
        }
        if (byte == '"' && byte_peek(reader->in) != '"') {
            return csv_at_end(byte_peek(reader->in)) ? NULL : "something follows a closing quote";
        }
        if (byte == '"') {
            (void)byte_take(reader->in);
        }
        if (!text_push(field, (char)byte)) {
            return csv_too_long;
        }
    }
}

static const char *csv_bare(struct csv_reader *reader, struct text *field)
{
    while (!csv_at_end(byte_peek(reader->in))) {
        int byte = byte_take(reader->in);
        if (byte == '"') {
            return "there is a quote inside a field that does not begin with one";
        }
        if (!text_push(field, (char)byte)) {
            return csv_too_long;
        }
    }
    return NULL;
}

/* Takes "\n" or "\r\n"; false when something else stands there. */
static bool csv_line_end(struct csv_reader *reader)
{
    if (byte_peek(reader->in) == '\r') {
        (void)byte_take(reader->in);
        if (byte_peek(reader->in) == BYTES_END) {
            return true;
        }
    }
    return byte_take(reader->in) == '\n';
}

static int csv_record(struct csv_reader *reader, const char **wrong)
{
    reader->fields_count = 0;
    for (;;) {
        struct text *field = csv_field(reader);
        if (field == NULL) {
            *wrong = "the record has more than 4,096 fields, or memory ran out";
            return -1;
        }
        if (byte_peek(reader->in) == '"') {
            (void)byte_take(reader->in);
            *wrong = csv_quoted(reader, field);
        } else {
            *wrong = csv_bare(reader, field);
        }
        if (*wrong != NULL) {
            return -1;
        }
        if (byte_peek(reader->in) == BYTES_END) {
            return 1;
        }
        if (byte_peek(reader->in) == ',') {
            (void)byte_take(reader->in);
            continue;
        }
        *wrong = csv_line_end(reader) ? NULL : "a carriage return stands alone";
        return *wrong == NULL ? 1 : -1;
    }
}

int csv_reader_next(struct csv_reader *reader, const char **wrong)
{
    *wrong = NULL;
    while (byte_peek(reader->in) == '\n' || byte_peek(reader->in) == '\r') {
        (void)byte_take(reader->in);
    }
    if (reader->in->broken) {
        *wrong = "the input could not be read";
        return -1;
    }
    if (byte_peek(reader->in) == BYTES_END) {
        return 0;
    }
    reader->line = reader->in->line;
    return csv_record(reader, wrong);
}

void csv_write_field(struct io *io, const char *data, size_t len, bool first)
{
    bool quoted = len == 0 || data[0] == ' ' || data[len - 1] == ' ';
    for (size_t i = 0; i < len && !quoted; i++) {
        quoted = data[i] == ',' || data[i] == '"' || data[i] == '\n' || data[i] == '\r';
    }
    if (!first) {
        io_text(io, ",");
    }
    if (!quoted) {
        io_out(io, data, len);
        return;
    }
    io_text(io, "\"");
    for (size_t i = 0; i < len; i++) {
        if (data[i] == '"') {
            io_text(io, "\"");
        }
        io_out(io, &data[i], 1);
    }
    io_text(io, "\"");
}
