/* SPDX-License-Identifier: Apache-2.0 */
#include "inputs.h"

#include <stdlib.h>
#include <string.h>

enum { INPUTS_CHUNK_BYTES = 64 * 1024 };

bool byte_reader_init(struct byte_reader *reader, struct io *io)
{
    *reader = (struct byte_reader){.io = io, .line = 1};
    reader->chunk = malloc(INPUTS_CHUNK_BYTES);
    return reader->chunk != NULL;
}

void byte_reader_fini(struct byte_reader *reader)
{
    free(reader->chunk);
    reader->chunk = NULL;
}

int byte_peek(struct byte_reader *reader)
{
    if (reader->at < reader->len) {
        return reader->chunk[reader->at];
    }
    if (reader->ended) {
        return BYTES_END;
    }
    ssize_t n = io_read(reader->io, reader->chunk, INPUTS_CHUNK_BYTES);
    reader->at = 0;
    reader->len = n > 0 ? (size_t)n : 0;
    reader->ended = n <= 0;
    reader->broken = n < 0;
    return n > 0 ? reader->chunk[0] : BYTES_END;
}

bool byte_skip(struct byte_reader *reader, const uint8_t *mark, size_t len)
{
    while (reader->len - reader->at < len && !reader->ended) {
        size_t left = reader->len - reader->at;
        memmove(reader->chunk, reader->chunk + reader->at, left);
        ssize_t n = io_read(reader->io, reader->chunk + left, INPUTS_CHUNK_BYTES - left);
        reader->at = 0;
        reader->len = left + (n > 0 ? (size_t)n : 0);
        reader->ended = n <= 0;
        reader->broken = n < 0;
    }
    if (reader->len - reader->at < len || memcmp(reader->chunk + reader->at, mark, len) != 0) {
        return false;
    }
    reader->at += len;
    reader->bytes += len;
    return true;
}

int byte_take(struct byte_reader *reader)
{
    int byte = byte_peek(reader);
    if (byte != BYTES_END) {
        reader->at++;
        reader->bytes++;
        reader->line += byte == '\n' ? 1 : 0;
    }
    return byte;
}

bool text_push(struct text *text, char byte)
{
    if (text->len + 2 > text->cap) {
        size_t cap = text->cap == 0 ? 64 : text->cap * 2;
        char *data = cap <= TEXT_BYTES_MAX ? realloc(text->data, cap) : NULL;
        if (data == NULL) {
            return false;
        }
        text->data = data;
        text->cap = cap;
    }
    text->data[text->len++] = byte;
    text->data[text->len] = '\0';
    return true;
}

void text_fini(struct text *text)
{
    free(text->data);
    *text = (struct text){.data = NULL};
}
