/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands of meshnode: one table says their names, arguments, options and handlers; parsing,
 * --help and the decision where a command runs all come from it.
 */
#ifndef MESHNODE_CLI_H
#define MESHNODE_CLI_H

#include <meshsync/meshsync.h>

#include "io.h"

/* What a process ends with. */
enum cli_exit {
    CLI_EXIT_DONE = 0,
    CLI_EXIT_FINDING = 1, /* Not found, differs, not in sync. */
    CLI_EXIT_USAGE = 2,
    CLI_EXIT_UNREACHABLE = 3, /* No node, or a peer does not answer. */
    CLI_EXIT_STORE = 4,
    CLI_EXIT_REFUSED = 5
};

enum cli_option {
    CLI_OPT_DIR,
    CLI_OPT_JSON,
    CLI_OPT_HELP,
    CLI_OPT_VERBOSE,
    CLI_OPT_LISTEN,
    CLI_OPT_PEER,
    CLI_OPT_LAN,
    CLI_OPT_LAN_GROUP,
    CLI_OPT_RATE,
    CLI_OPT_PEER_RATE,
    CLI_OPT_BURST,
    CLI_OPT_AS,
    CLI_OPT_ERASE,
    CLI_OPT_EXPIRES,
    CLI_OPT_TYPE,
    CLI_OPT_VIEW,
    CLI_OPT_FILE,
    CLI_OPT_JSON_VALUE,
    CLI_OPT_MSGPACK,
    CLI_OPT_CONTEXT,
    CLI_OPT_IF_ABSENT,
    CLI_OPT_IF_CONTEXT,
    CLI_OPT_ACK,
    CLI_OPT_TIMEOUT,
    CLI_OPT_PREFIX,
    CLI_OPT_FROM_KEY,
    CLI_OPT_FROM_CURSOR,
    CLI_OPT_LIMIT,
    CLI_OPT_REVERSE,
    CLI_OPT_FORMAT_IN,
    CLI_OPT_FORMAT_OUT,
    CLI_OPT_KEY,
    CLI_OPT_COLLECTION,
    CLI_OPT_VERSION,
    CLI_OPT_PEERS,
    CLI_OPT_KEEP,
    CLI_OPT_SINCE,
    CLI_OPT_COUNT
};

/* How long a second writer waits for the first, in ms. */
enum { CLI_BUSY_MS_MAX = 5000 };

#define CLI_BIT(option) (UINT64_C(1) << (option))

enum cli_flag {
    CLI_WRITES = 1,    /* Opens the store for writing when no node runs. */
    CLI_CREATES = 2,   /* Makes the node when there is none. */
    CLI_LOCAL = 4,     /* Runs here, without a node being opened for it. */
    CLI_RUNNING = 8,   /* Needs a running node. */
    CLI_STDIN = 16,    /* Reads standard input, or the file that --file or FILE names. */
    CLI_ANY_ARGS = 32, /* args_max does not count. */
    CLI_FILE_0 = 64,   /* The first argument is the name of a file. */
    CLI_FILE_1 = 128   /* The second is. */
};

struct cli_context;
typedef int (*cli_handler)(struct cli_context *ctx, int argc, char **argv);

struct cli_command {
    const char *name;      /* One or two words. */
    const char *arguments; /* As --help shows them. */
    const char *summary;
    const char *details; /* More lines of --help, or NULL. */
    uint64_t options;    /* CLI_BIT() of each; -d, --json and --help go without saying. */
    uint32_t flags;      /* enum cli_flag. */
    int args_min;
    int args_max;
    cli_handler handler;
};

enum { CLI_GIVEN_MAX = 64 };

/* A parsed command line. */
struct cli_args {
    char **argv; /* The words after the command, options taken out; owned. */
    int argc;
    int given_count;
    struct {
        enum cli_option option;
        const char *text; /* Its argument, or NULL; points into words. */
    } given[CLI_GIVEN_MAX];
    char *words; /* Memory of all texts; owned. */
};

/* One run of a command. */
struct cli_context {
    const struct cli_command *command;
    struct cli_args args;
    struct io io;
    meshsync_node *node; /* NULL for local commands. */
    const char *dir;     /* Data folder. */
    uint64_t started_ms; /* Of the running node, monotonic; 0: no node runs. */
    bool running;        /* node is on the network. */
    bool created;        /* The node did not exist before this command. */
    bool json;
};

/* table.c */
/* The command that words name; *used says how many words did. NULL: none. */
const struct cli_command *cli_find(int argc, char **argv, int *used);
const struct cli_command *cli_command_at(size_t index); /* NULL past the last. */

/* parse.c */
enum { CLI_MESSAGE_BYTES_MAX = 256 };
/* False with a message. args is to be released either way. */
bool cli_parse(const struct cli_command *command, int argc, char **argv, struct cli_args *args,
               char message[CLI_MESSAGE_BYTES_MAX]);
void cli_args_fini(struct cli_args *args);
/* The last text given for an option, NULL when it was not given. */
const char *cli_text(const struct cli_args *args, enum cli_option option);
bool cli_given(const struct cli_args *args, enum cli_option option);
/* The index-th text of an option that may be repeated; NULL past the last. */
const char *cli_text_at(const struct cli_args *args, enum cli_option option, int index);
/* The command and its arguments again, each word ended by a zero, without --dir: what a running
 * node is asked. *words is the caller's to free. False: no memory. */
bool cli_words(const struct cli_command *command, const struct cli_args *args, char **words,
               size_t *len);
void cli_help(const struct cli_command *command, struct io *io);
void cli_help_all(struct io *io);

/* report.c */
int cli_exit_code(meshsync_status status);
/* Says what failed, in words or as JSON, and returns the exit code. */
int cli_fail(struct cli_context *ctx, meshsync_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same for a failed call of the library. */
int cli_error(struct cli_context *ctx, meshsync_status status, const meshsync_error *error);
/* The same with a version token that stays valid; token may be NULL. */
int cli_error_token(struct cli_context *ctx, meshsync_status status, const char *message,
                    const meshsync_token *token);
int cli_usage(struct cli_context *ctx, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* numbers.c: text to numbers; false when it is none, or out of range. */
bool parse_i64(const char *text, int64_t *number);
bool parse_u64(const char *text, uint64_t max, uint64_t *number);
/* Decimal seconds, such as 0.5, to ms. */
bool parse_seconds(const char *text, uint64_t *ms);
uint64_t monotonic_ms(void);
/* 1234567 as "1,234,567"; out has room for 32 bytes. */
const char *group_digits(uint64_t number, char out[32]);
/* 1234567 as "1.2 MB"; out has room for 32 bytes. */
const char *show_bytes(uint64_t bytes, char out[32]);

/* dispatch.c: runs the handler, whose node is open. Returns the exit code. */
int cli_run(struct cli_context *ctx);
/* dispatch.c: runs the parsed command where it belongs: here, in the running node, or on the
 * store. */
int cli_dispatch(struct cli_context *ctx);

#endif
