/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of an input of any length, each of bounded length. */
#include <stdlib.h>
#include <string.h>

#include "helpers.h"

enum { LINES_READ_BYTES = 64 * 1024 };

void line_reader_init(struct line_reader *reader, struct io *io)
{
    *reader = (struct line_reader){.io = io};
}

void line_reader_fini(struct line_reader *reader)
{
    free(reader->data);
    reader->data = NULL;
}

/* Moves what is left to the front and reads more behind it. Words on failure. */
static const char *lines_fill(struct line_reader *reader)
{
    if (reader->data != NULL && reader->at > 0) {
        memmove(reader->data, reader->data + reader->at, reader->len - reader->at);
        reader->len -= reader->at;
        reader->at = 0;
    }
    if (reader->len > LINE_BYTES_MAX) {
        return "the line is longer than 32 MiB";
    }
    if (reader->cap - reader->len < LINES_READ_BYTES) {
        size_t cap = reader->cap == 0 ? 2 * LINES_READ_BYTES : reader->cap * 2;
        char *data = realloc(reader->data, cap);
        if (data == NULL) {
            return "out of memory";
        }
        reader->data = data;
        reader->cap = cap;
    }
    /* One byte stays free for the zero behind the last line. */
    ssize_t n = io_read(reader->io, reader->data + reader->len, reader->cap - reader->len - 1);
    if (n < 0) {
        return "the input could not be read";
    }
    reader->ended = n == 0;
    reader->len += (size_t)n;
    reader->bytes += (uint64_t)n;
    return NULL;
}

int line_reader_next(struct line_reader *reader, char **line, size_t *len, const char **wrong)
{
    size_t searched = 0;
    for (;;) {
        char *from = reader->data != NULL ? reader->data + reader->at : NULL;
        size_t left = reader->len - reader->at;
        char *end =
            from != NULL && left > searched ? memchr(from + searched, '\n', left - searched) : NULL;
        if (end == NULL && reader->ended && left > 0) {
            end = from + left;
        }
        if (end != NULL) {
            *line = from;
            *len = (size_t)(end - from);
            reader->at += *len + (end < reader->data + reader->len ? 1 : 0);
            reader->number++;
            *end = '\0';
            if (*len > 0 && from[*len - 1] == '\r') {
                from[--*len] = '\0';
            }
            return 1;
        }
        if (reader->ended) {
            return 0;
        }
        searched = left;
        *wrong = lines_fill(reader);
        if (*wrong != NULL) {
            reader->number++;
            return -1;
        }
    }
}
