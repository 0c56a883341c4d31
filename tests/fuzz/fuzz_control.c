/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a client may say to the control socket of a running node: a frame with the words of a
 * command, and standard input behind it. The frame is read, the words are parsed, and commands that
 * neither touch files nor wait are run on a node. The first two bytes are the length of the frame.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz/kit.h"
#include "meshnode/commands.h"
#include "meshnode/control.h"

enum { PATH_BYTES = 256, MAP_BYTES = 64 << 20, OUT_BYTES_MAX = 64 << 20 };

static struct {
    meshsync_node *node;
    char folder[PATH_BYTES];
    struct kit_input input;
    uint64_t out_bytes;
} fuzz;

static bool memory_write(void *self, enum io_stream stream, const void *data, size_t len)
{
    (void)self;
    (void)stream;
    (void)data;
    fuzz.out_bytes += len;
    return fuzz.out_bytes < OUT_BYTES_MAX;
}

static ssize_t memory_read(void *self, void *data, size_t len)
{
    meshsync_bytes taken = kit_take(&fuzz.input, len);
    (void)self;
    if (taken.len > 0) {
        memcpy(data, taken.data, taken.len);
    }
    return (ssize_t)taken.len;
}

/* Nobody listens: what follows for ever ends. */
static bool memory_alive(void *self)
{
    (void)self;
    return false;
}

static const struct io_ops memory_ops = {memory_write, memory_read, memory_alive};

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
    meshsync_space *space = NULL;
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
    kit_must(meshsync_space_create(fuzz.node, "s", &space, NULL) == MESHSYNC_OK);
    (void)atexit(fuzz_end);
}

/* Commands that do nothing outside the node, and end by themselves. */
static bool may_run(const struct cli_command *command)
{
    static const cli_handler never[] = {cmd_backup,        cmd_restore,        cmd_wait,
                                        cmd_watch,         cmd_peer_add,       cmd_peer_remove,
                                        cmd_bundle_create, cmd_bundle_request, cmd_bundle_apply,
                                        cmd_space_create,  cmd_space_join,     cmd_space_leave};
    for (size_t i = 0; i < sizeof never / sizeof never[0]; i++) {
        if (command->handler == never[i]) {
            return false;
        }
    }
    return (command->flags & (CLI_LOCAL | CLI_FILE_0 | CLI_FILE_1)) == 0;
}

static void run(struct control_request *request)
{
    char message[CLI_MESSAGE_BYTES_MAX] = "";
    int used = 0;
    struct cli_context ctx = {.command = cli_find(request->words_count, request->words, &used),
                              .node = fuzz.node,
                              .dir = fuzz.folder,
                              .running = true};
    if (ctx.command == NULL || !may_run(ctx.command)) {
        return;
    }
    kit_must(used > 0 && used <= request->words_count && io_init(&ctx.io, &memory_ops, NULL));
    bool good = cli_parse(ctx.command, request->words_count - used, request->words + used,
                          &ctx.args, message);
    kit_must(good || message[0] != 0);
    if (good && !cli_given(&ctx.args, CLI_OPT_FILE) && !cli_given(&ctx.args, CLI_OPT_ACK)) {
        ctx.json = cli_given(&ctx.args, CLI_OPT_JSON);
        int code = cli_run(&ctx);
        kit_must(code >= CLI_EXIT_DONE && code <= CLI_EXIT_REFUSED);
    }
    cli_args_fini(&ctx.args);
    io_fini(&ctx.io);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct control_request request = {.words = NULL};
    fuzz.input = (struct kit_input){data, data + size};
    fuzz.out_bytes = 0;
    prepare();
    meshsync_bytes part = kit_take(&fuzz.input, kit_u16(&fuzz.input));
    char *frame = (char *)malloc(part.len + 1);
    kit_must(frame != NULL);
    if (part.len > 0) {
        memcpy(frame, part.data, part.len);
    }
    if (control_request_read(frame, part.len, &request)) {
        kit_must(request.words_count >= 0 && request.words_count <= CONTROL_WORDS_MAX);
        if (request.words_count > 0) {
            run(&request);
        }
    }
    free(request.words);
    free(frame);
    return 0;
}
