/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that meshnode imports, and lines of a transaction: no bytes make the readers of CSV, JSON
 * and JSON lines, or the code that makes writes of their rows, go wrong; what a reader of CSV took
 * is the same after being written and read again. The first byte says which, the second how many
 * bytes come at a time.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz/kit.h"
#include "meshnode/inputs.h"
#include "meshnode/rows.h"

enum { PATH_BYTES = 256, MAP_BYTES = 16 << 20, AGAIN_BYTES_MAX = 8 << 20, ROWS_MAX = 2000 };

/* Standard input and output of a command, in memory. */
struct memory_io {
    struct kit_input input;
    size_t part; /* Bytes given at a time. */
    struct msy_buf *out;
};

static bool memory_write(void *self, enum io_stream stream, const void *data, size_t len)
{
    struct memory_io *memory = (struct memory_io *)self;
    (void)stream;
    return memory->out == NULL || msy_buf_append(memory->out, data, len) == MESHSYNC_OK;
}

static ssize_t memory_read(void *self, void *data, size_t len)
{
    struct memory_io *memory = (struct memory_io *)self;
    meshsync_bytes taken = kit_take(&memory->input, len < memory->part ? len : memory->part);
    if (taken.len > 0) {
        memcpy(data, taken.data, taken.len);
    }
    return (ssize_t)taken.len;
}

static bool memory_alive(void *self)
{
    (void)self;
    return true;
}

static const struct io_ops memory_ops = {memory_write, memory_read, memory_alive};

/* ---- A node whose transactions are never committed ---- */

static struct {
    meshsync_node *node;
    meshsync_space *space;
    char folder[PATH_BYTES];
} fuzz;

static void fuzz_end(void)
{
    static const char *const names[] = {"data.mdb", "lock.mdb", "writer.lock", "identity.key",
                                        "clean"};
    char path[2 * PATH_BYTES];
    (void)meshsync_node_close(fuzz.node); /* The process ends anyway. */
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", fuzz.folder, names[i]);
        (void)unlink(path);
    }
    (void)rmdir(fuzz.folder);
}

static void prepare(void)
{
    meshsync_options options;
    if (fuzz.node != NULL) {
        return;
    }
    const char *tmp = getenv("TMPDIR");
    (void)snprintf(fuzz.folder, sizeof fuzz.folder, "%s/meshsync-fuzz-XXXXXX",
                   tmp != NULL ? tmp : "/tmp");
    kit_must(mkdtemp(fuzz.folder) != NULL);
    meshsync_options_init(&options, sizeof options);
    options.path = fuzz.folder;
    options.store_map_bytes = MAP_BYTES;
    options.store_bytes_max = MAP_BYTES;
    kit_must(meshsync_node_open(&options, &fuzz.node, NULL) == MESHSYNC_OK);
    kit_must(meshsync_space_create(fuzz.node, "s", &fuzz.space, NULL) == MESHSYNC_OK);
    (void)atexit(fuzz_end);
}

/* ---- CSV ---- */

/* Reads records and writes them again; how many there were. */
static int csv_copy(struct io *io, struct io *to)
{
    struct byte_reader bytes;
    struct csv_reader reader;
    const char *wrong = NULL;
    int records = 0;
    kit_must(byte_reader_init(&bytes, io));
    csv_reader_init(&reader, &bytes);
    int result = csv_reader_next(&reader, &wrong);
    while (result > 0) {
        kit_must(reader.fields_count <= CSV_FIELDS_MAX);
        for (size_t i = 0; i < reader.fields_count; i++) {
            csv_write_field(to, reader.fields[i].data != NULL ? reader.fields[i].data : "",
                            reader.fields[i].len, i == 0);
        }
        io_text(to, "\r\n");
        records += 1;
        result = csv_reader_next(&reader, &wrong);
    }
    kit_must(result == 0 || wrong != NULL);
    csv_reader_fini(&reader);
    byte_reader_fini(&bytes);
    return result == 0 ? records : -1;
}

static void csv(struct memory_io *memory)
{
    static struct msy_alloc alloc;
    struct msy_buf once;
    struct msy_buf twice;
    struct io in;
    struct io out;
    msy_alloc_init(&alloc, NULL, NULL, 0);
    msy_buf_init(&once, &alloc, AGAIN_BYTES_MAX);
    msy_buf_init(&twice, &alloc, AGAIN_BYTES_MAX);
    struct memory_io to = {.part = 1, .out = &once};
    kit_must(io_init(&in, &memory_ops, memory) && io_init(&out, &memory_ops, &to));
    int records = csv_copy(&in, &out);
    io_flush(&out);
    /* A field that begins with a byte order mark is taken for one when it comes first. */
    bool marked = once.len > 0 && once.data[0] == 0xef;
    if (records > 0 && !out.broken && !marked) {
        struct memory_io again = {
            .input = {once.data, once.data + once.len}, .part = 7, .out = &twice};
        struct io second;
        kit_must(io_init(&second, &memory_ops, &again));
        kit_must(csv_copy(&second, &second) == records);
        io_flush(&second);
        kit_must(once.len == twice.len && memcmp(once.data, twice.data, once.len) == 0);
        io_fini(&second);
    }
    io_fini(&in);
    io_fini(&out);
    msy_buf_fini(&once);
    msy_buf_fini(&twice);
}

/* ---- JSON ---- */

static void row(json_t *item, uint32_t number)
{
    struct row_error error = {.status = MESHSYNC_OK};
    meshsync_txn *txn = NULL;
    kit_must(meshsync_txn_begin(fuzz.space, &txn, NULL) == MESHSYNC_OK);
    struct row_target target = {
        .txn = txn, .collection = "c", .type = MESHSYNC_REGISTER + (int32_t)(number % 4)};
    bool good = true;
    switch (number % 3) {
    case 0: good = row_apply_exported(&target, item, &error); break;
    case 1: good = row_apply_op(txn, item, &error); break;
    case 2: good = !json_is_object(item) || row_apply_keyed(&target, item, "key", &error); break;
    }
    kit_must(good || (error.status != MESHSYNC_OK && error.words[0] != 0));
    meshsync_txn_abort(txn);
}

static void items(struct memory_io *memory, bool inner)
{
    struct byte_reader bytes;
    struct item_reader reader;
    struct io io;
    const char *wrong = NULL;
    json_t *item = NULL;
    uint32_t rows = 0;
    kit_must(io_init(&io, &memory_ops, memory) && byte_reader_init(&bytes, &io));
    item_reader_init(&reader, &bytes, inner);
    int result = item_reader_next(&reader, &item, &wrong);
    while (result > 0 && rows < ROWS_MAX) {
        row(item, rows);
        json_decref(item);
        rows += 1;
        result = item_reader_next(&reader, &item, &wrong);
    }
    if (result > 0) {
        json_decref(item);
    }
    kit_must(result >= 0 || wrong != NULL);
    item_reader_fini(&reader);
    byte_reader_fini(&bytes);
    io_fini(&io);
}

static void lines(struct memory_io *memory, uint8_t first)
{
    size_t left = (size_t)(memory->input.end - memory->input.at);
    meshsync_bytes text = kit_take(&memory->input, left);
    json_t *item = json_loadb((const char *)text.data, text.len, JSON_DECODE_ANY, NULL);
    if (item != NULL) {
        row(item, first / 4u);
        json_decref(item);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct memory_io memory = {.input = {data, data + size}};
    uint8_t which = kit_u8(&memory.input);
    memory.part = 1u + kit_u8(&memory.input);
    prepare();
    switch (which % 4) {
    case 0: csv(&memory); break;
    case 1: items(&memory, false); break;
    case 2: items(&memory, true); break;
    case 3: lines(&memory, which); break;
    }
    return 0;
}
