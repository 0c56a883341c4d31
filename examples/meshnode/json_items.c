/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Splits one big JSON array or object into its items, so that only one of them is in memory. The
 * items themselves are parsed by jansson, which also judges them.
 */
#include "inputs.h"

void item_reader_init(struct item_reader *reader, struct byte_reader *in, bool inner)
{
    *reader = (struct item_reader){.in = in, .inner = inner, .first = true, .place = ITEMS_START};
}

void item_reader_fini(struct item_reader *reader)
{
    text_fini(&reader->text);
}

static int items_skip(struct item_reader *reader)
{
    int byte = byte_peek(reader->in);
    while (byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n') {
        (void)byte_take(reader->in);
        byte = byte_peek(reader->in);
    }
    return byte;
}

/* Collects the text of one value. Whether it is well formed is seen when it is parsed. */
static const char *items_collect(struct item_reader *reader)
{
    uint64_t depth = 0;
    bool in_string = false;
    reader->text.len = 0;
    reader->line = reader->in->line;
    for (;;) {
        int byte = byte_peek(reader->in);
        if (byte == BYTES_END) {
            return depth > 0 || in_string || reader->text.len == 0 ? "the file ends too early"
                                                                   : NULL;
        }
        bool ends = byte == ',' || byte == ']' || byte == '}' || byte == ':';
        if (!in_string && depth == 0 && ends) {
            return reader->text.len > 0 ? NULL : "a value is missing";
        }
        (void)byte_take(reader->in);
        if (!text_push(&reader->text, (char)byte)) {
            return "the value is longer than 32 MiB, or memory ran out";
        }
        if (in_string && byte == '\\') {
            if (byte_peek(reader->in) != BYTES_END &&
                !text_push(&reader->text, (char)byte_take(reader->in))) {
                return "the value is longer than 32 MiB, or memory ran out";
            }
        } else if (byte == '"') {
            in_string = !in_string;
        } else if (!in_string && (byte == '{' || byte == '[')) {
            depth++;
        } else if (!in_string && (byte == '}' || byte == ']')) {
            depth--;
        }
    }
}

static const char *items_parse(struct item_reader *reader, json_t **json)
{
    const char *wrong = items_collect(reader);
    if (wrong != NULL) {
        return wrong;
    }
    json_error_t error;
    const size_t flags = JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES;
    *json = json_loadb(reader->text.data, reader->text.len, flags, &error);
    if (*json == NULL) {
        reader->line += error.line > 1 ? (uint64_t)error.line - 1 : 0;
        return "no valid JSON (or an integer beyond 64 bits)";
    }
    return NULL;
}

static const char *items_begin(struct item_reader *reader)
{
    int byte = items_skip(reader);
    reader->line = reader->in->line;
    if (byte != '[' && byte != '{') {
        return "the file must hold an array or an object";
    }
    (void)byte_take(reader->in);
    reader->place = byte == '[' ? ITEMS_ARRAY : ITEMS_OBJECT;
    return NULL;
}

/* Comes to the next item of what ends with closing: 1, 0 at its end, -1. */
static int items_step(struct item_reader *reader, int closing, const char **wrong)
{
    int byte = items_skip(reader);
    reader->line = reader->in->line;
    if (byte == closing) {
        (void)byte_take(reader->in);
        return 0;
    }
    if (!reader->first) {
        if (byte != ',') {
            *wrong = byte == BYTES_END ? "the file ends too early" : "a comma is missing";
            return -1;
        }
        (void)byte_take(reader->in);
        (void)items_skip(reader);
    }
    reader->first = false;
    return 1;
}

/* A member of the object: an item of its own, or with inner the way into its array. 2: look
 * again. */
static int items_member(struct item_reader *reader, json_t **item, const char **wrong)
{
    json_t *name = NULL;
    json_t *value = NULL;
    *wrong = items_parse(reader, &name);
    if (*wrong == NULL && (!json_is_string(name) || items_skip(reader) != ':')) {
        *wrong = "a member must be a name, a colon and a value";
    }
    if (*wrong != NULL) {
        json_decref(name);
        return -1;
    }
    (void)byte_take(reader->in);
    if (items_skip(reader) == '[' && reader->inner) {
        (void)byte_take(reader->in);
        json_decref(name);
        reader->place = ITEMS_INNER_ARRAY;
        reader->first = true;
        reader->inner_seen = true;
        return 2;
    }
    *wrong = items_parse(reader, &value);
    if (*wrong != NULL || reader->inner) {
        json_decref(name);
        json_decref(value);
        return *wrong != NULL ? -1 : 2; /* With inner, other members only describe the array. */
    }
    *item = json_object();
    bool good = json_put(*item, "key", name);
    good = json_put(*item, "value", value) && good;
    *wrong = good ? NULL : "out of memory";
    return good ? 1 : -1;
}

/* The end of what is open: 0 when it was the outermost, 2: look again. */
static int items_close(struct item_reader *reader, const char **wrong)
{
    if (reader->place == ITEMS_INNER_ARRAY) {
        reader->place = ITEMS_OBJECT;
        reader->first = false;
        return 2;
    }
    if (reader->place == ITEMS_OBJECT && reader->inner && !reader->inner_seen) {
        *wrong = "the object has no member that is an array of rows";
        return -1;
    }
    reader->place = ITEMS_DONE;
    if (items_skip(reader) != BYTES_END) {
        reader->line = reader->in->line;
        *wrong = "something follows the end of the JSON";
        return -1;
    }
    return 0;
}

static int items_next(struct item_reader *reader, json_t **item, const char **wrong)
{
    if (reader->place == ITEMS_START) {
        *wrong = items_begin(reader);
        if (*wrong != NULL) {
            return -1;
        }
    }
    if (reader->place == ITEMS_DONE) {
        return 0;
    }
    int got = items_step(reader, reader->place == ITEMS_OBJECT ? '}' : ']', wrong);
    if (got <= 0) {
        return got < 0 ? -1 : items_close(reader, wrong);
    }
    if (reader->place == ITEMS_OBJECT) {
        return items_member(reader, item, wrong);
    }
    *wrong = items_parse(reader, item);
    return *wrong == NULL ? 1 : -1;
}

int item_reader_next(struct item_reader *reader, json_t **item, const char **wrong)
{
    int got = 2;
    while (got == 2) {
        *item = NULL;
        *wrong = NULL;
        got = items_next(reader, item, wrong);
    }
    if (got < 0) {
        json_decref(*item);
        *item = NULL;
        *wrong = reader->in->broken ? "the input could not be read" : *wrong;
    }
    return got;
}
