/* SPDX-License-Identifier: Apache-2.0 */
/* Readers of the formats that import knows: one row at a time, of inputs of any length. */
#ifndef MESHNODE_INPUTS_H
#define MESHNODE_INPUTS_H

#include "helpers.h"

/* Bytes of an input, one by one, with the number of the line. */
struct byte_reader {
    struct io *io;
    uint8_t *chunk; /* Owned. */
    size_t len, at; /* Of chunk. */
    uint64_t bytes; /* Given so far. */
    uint64_t line;  /* Of the next byte, from 1. */
    bool ended;
    bool broken; /* The input could not be read, or no memory. */
};
enum { BYTES_END = -1 };
bool byte_reader_init(struct byte_reader *reader, struct io *io);
void byte_reader_fini(struct byte_reader *reader);
/* The next byte without taking it, or BYTES_END. */
int byte_peek(struct byte_reader *reader);
int byte_take(struct byte_reader *reader);
/* Takes the mark when it comes next, and nothing otherwise. It has no line feed. */
bool byte_skip(struct byte_reader *reader, const uint8_t *mark, size_t len);

/* A text that grows. */
struct text {
    char *data; /* Owned; zero-terminated when not NULL. */
    size_t len, cap;
};
enum { TEXT_BYTES_MAX = 32 << 20 };
/* False: no memory, or longer than TEXT_BYTES_MAX. */
bool text_push(struct text *text, char byte);
void text_fini(struct text *text);

/* csv.c: RFC 4180, also with bare line feeds. */
struct csv_reader {
    struct byte_reader *in;
    struct text *fields; /* Owned, fields_cap of them; the first fields_count are of this record. */
    size_t fields_count, fields_cap;
    uint64_t line; /* On which the record begins. */
};
enum { CSV_FIELDS_MAX = 4096 };
void csv_reader_init(struct csv_reader *reader, struct byte_reader *in);
void csv_reader_fini(struct csv_reader *reader);
/* 1: a record; 0: the end; -1: wrong says why. Empty lines are skipped. */
int csv_reader_next(struct csv_reader *reader, const char **wrong);
/* Writes one field, quoted where it must be. */
void csv_write_field(struct io *io, const char *data, size_t len, bool first);

/* json_items.c: the elements of an array, or the members of an object, that may be huge. */
enum item_place { ITEMS_START, ITEMS_ARRAY, ITEMS_OBJECT, ITEMS_INNER_ARRAY, ITEMS_DONE };
struct item_reader {
    struct byte_reader *in;
    struct text text; /* Of the item at hand. */
    bool inner;       /* Members of an object that are arrays hold the items. */
    bool first;       /* No item of the array or object at hand was read yet. */
    bool inner_seen;  /* The object had an array. */
    enum item_place place;
    uint64_t line; /* On which the item begins. */
};
void item_reader_init(struct item_reader *reader, struct byte_reader *in, bool inner);
void item_reader_fini(struct item_reader *reader);
/* 1: an item, a new reference; members of an object come as {"key","value"}; 0: the end;
 * -1: wrong says why. */
int item_reader_next(struct item_reader *reader, json_t **item, const char **wrong);

#endif
