/* SPDX-License-Identifier: Apache-2.0 */
/* Commands of one write each. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "helpers.h"

/* What every write has: a space, a transaction, a path, how it is acknowledged. */
struct write_run {
    struct cli_context *ctx;
    const char *collection;
    meshsync_space *space;
    meshsync_txn *txn; /* Owned until it is committed. */
    struct write_ack ack;
    struct field_path path;
    meshsync_condition condition;
    uint8_t *context; /* Memory of the condition's context; owned. */
    meshsync_error error;
};

/* argv: space, collection, key. */
static int write_begin(struct write_run *run, struct cli_context *ctx, char **argv)
{
    *run = (struct write_run){.ctx = ctx, .collection = argv[1]};
    field_path_init(&run->path, meshsync_bytes_of(argv[2]));
    int code = read_ack(ctx, &run->ack);
    if (code == CLI_EXIT_DONE) {
        code = find_space(ctx, argv[0], &run->space);
    }
    if (code != CLI_EXIT_DONE) {
        return code;
    }
    meshsync_status status = meshsync_txn_begin(run->space, &run->txn, &run->error);
    return status == MESHSYNC_OK ? CLI_EXIT_DONE : cli_error(ctx, status, &run->error);
}

/* Reports a write that the transaction refused, in the user's words where they say more. */
static int write_check(struct write_run *run, meshsync_status status)
{
    if (status == MESHSYNC_OK) {
        return CLI_EXIT_DONE;
    }
    if (status == MESHSYNC_E_NOT_FOUND) {
        return cli_fail(run->ctx, status,
                        "there is no collection '%s' in this space; make it with 'meshnode "
                        "collection SPACE %s --type TYPE'",
                        run->collection, run->collection);
    }
    return cli_error(run->ctx, status, &run->error);
}

static int write_end(struct write_run *run, int code)
{
    if (code == CLI_EXIT_DONE) {
        code = commit_write(run->ctx, run->space, run->txn, &run->ack);
    } else {
        meshsync_txn_abort(run->txn);
    }
    field_path_fini(&run->path);
    free(run->context);
    return code;
}

/* --context, --if-absent, --if-context. */
static int write_condition(struct write_run *run)
{
    struct cli_context *ctx = run->ctx;
    const char *with = cli_text(&ctx->args, CLI_OPT_CONTEXT);
    const char *when = cli_text(&ctx->args, CLI_OPT_IF_CONTEXT);
    bool absent = cli_given(&ctx->args, CLI_OPT_IF_ABSENT);
    if ((with != NULL) + (when != NULL) + (absent ? 1 : 0) > 1) {
        return cli_usage(ctx, "only one of --context, --if-context and --if-absent can hold");
    }
    if (absent) {
        run->condition.kind = MESHSYNC_IF_ABSENT;
        return CLI_EXIT_DONE;
    }
    const char *text = with != NULL ? with : when;
    if (text == NULL) {
        run->condition.kind = MESHSYNC_IF_ANY;
        return CLI_EXIT_DONE;
    }
    size_t len = 0;
    if (!base64_parse(text, strlen(text), &run->context, &len)) {
        return cli_usage(ctx, "'%.32s' is no context as 'get --json' prints it", text);
    }
    run->condition.context = (meshsync_bytes){run->context, len};
    run->condition.kind = with != NULL ? MESHSYNC_WITH_CONTEXT : MESHSYNC_IF_CONTEXT;
    return CLI_EXIT_DONE;
}

/* The value of put and mset: text is the argument, or NULL. */
static int write_value(struct cli_context *ctx, const char *text, struct owned_value *out)
{
    bool file = cli_given(&ctx->args, CLI_OPT_FILE);
    bool json = cli_given(&ctx->args, CLI_OPT_JSON_VALUE);
    bool msgpack = cli_given(&ctx->args, CLI_OPT_MSGPACK);
    *out = (struct owned_value){.memory = NULL};
    if (file == (text != NULL)) {
        return cli_usage(ctx, "give either a VALUE or --file FILE");
    }
    if (msgpack && (json || !file)) {
        return cli_usage(ctx, "--msgpack goes with --file, and not with --json-value");
    }
    uint8_t *data = NULL;
    size_t len = text != NULL ? strlen(text) : 0;
    if (file) {
        int code = read_input(ctx, MESHSYNC_VALUE_BYTES_MAX, &data, &len);
        if (code != CLI_EXIT_DONE) {
            free(data);
            return code;
        }
    }
    if (!json) {
        out->memory = data;
        out->value = text != NULL ? value_from_text(text, len) : meshsync_value_bytes(data, len);
        out->value.type = msgpack ? MESHSYNC_VALUE_MSGPACK : out->value.type;
        return CLI_EXIT_DONE;
    }
    const char *wrong = value_from_json_text(data != NULL ? (char *)data : text, len, out);
    free(data);
    return wrong == NULL ? CLI_EXIT_DONE : cli_usage(ctx, "the value %s", wrong);
}

static int write_put(struct write_run *run, const char *text)
{
    struct owned_value value;
    int code = write_condition(run);
    if (code == CLI_EXIT_DONE) {
        code = write_value(run->ctx, text, &value);
    }
    if (code != CLI_EXIT_DONE) {
        return code;
    }
    const meshsync_path path = field_path_get(&run->path);
    code = write_check(run, meshsync_txn_put(run->txn, run->collection, &path, &value.value,
                                             &run->condition, &run->error));
    owned_value_fini(&value);
    return code;
}

static int write_delete(struct write_run *run)
{
    int code = write_condition(run);
    if (code != CLI_EXIT_DONE) {
        return code;
    }
    const meshsync_path path = field_path_get(&run->path);
    return write_check(
        run, meshsync_txn_delete(run->txn, run->collection, &path, &run->condition, &run->error));
}

static int write_fields(struct write_run *run, const char *text)
{
    const char *wrong = field_path_add_dotted(&run->path, text, strlen(text));
    return wrong == NULL ? CLI_EXIT_DONE : cli_usage(run->ctx, "FIELD '%s' %s", text, wrong);
}

int cmd_put(struct cli_context *ctx, int argc, char **argv)
{
    struct write_run run;
    int code = write_begin(&run, ctx, argv);
    if (code == CLI_EXIT_DONE) {
        code = write_put(&run, argc > 3 ? argv[3] : NULL);
    }
    return write_end(&run, code);
}

int cmd_del(struct cli_context *ctx, int argc, char **argv)
{
    (void)argc;
    struct write_run run;
    int code = write_begin(&run, ctx, argv);
    if (code == CLI_EXIT_DONE) {
        code = write_delete(&run);
    }
    return write_end(&run, code);
}

int cmd_incr(struct cli_context *ctx, int argc, char **argv)
{
    int64_t delta = 1;
    if (argc > 3 && !parse_i64(argv[3], &delta)) {
        return cli_usage(ctx, "N is a whole number of 64 bits, not '%s'", argv[3]);
    }
    struct write_run run;
    int code = write_begin(&run, ctx, argv);
    if (code == CLI_EXIT_DONE) {
        const meshsync_path path = field_path_get(&run.path);
        code =
            write_check(&run, meshsync_txn_add(run.txn, run.collection, &path, delta, &run.error));
    }
    return write_end(&run, code);
}

typedef meshsync_status (*write_set_fn)(meshsync_txn *txn, const char *collection,
                                        meshsync_bytes key, meshsync_bytes element,
                                        meshsync_error *error);

static int write_elements(struct cli_context *ctx, int argc, char **argv, write_set_fn change)
{
    struct write_run run;
    int code = write_begin(&run, ctx, argv);
    for (int i = 3; i < argc && code == CLI_EXIT_DONE; i++) {
        code = write_check(&run, change(run.txn, run.collection, run.path.parts[0],
                                        meshsync_bytes_of(argv[i]), &run.error));
    }
    return write_end(&run, code);
}

int cmd_add(struct cli_context *ctx, int argc, char **argv)
{
    return write_elements(ctx, argc, argv, meshsync_txn_set_add);
}

int cmd_remove(struct cli_context *ctx, int argc, char **argv)
{
    return write_elements(ctx, argc, argv, meshsync_txn_set_remove);
}

int cmd_mset(struct cli_context *ctx, int argc, char **argv)
{
    struct write_run run;
    int code = write_begin(&run, ctx, argv);
    if (code == CLI_EXIT_DONE) {
        code = write_fields(&run, argv[3]);
    }
    if (code == CLI_EXIT_DONE) {
        code = write_put(&run, argc > 4 ? argv[4] : NULL);
    }
    return write_end(&run, code);
}

int cmd_mdel(struct cli_context *ctx, int argc, char **argv)
{
    (void)argc;
    struct write_run run;
    int code = write_begin(&run, ctx, argv);
    if (code == CLI_EXIT_DONE) {
        code = write_fields(&run, argv[3]);
    }
    if (code == CLI_EXIT_DONE) {
        code = write_delete(&run);
    }
    return write_end(&run, code);
}
