/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

/* First value that getopt_long returns for a long option; above every letter. */
enum { PARSE_CODE_FIRST = 256 };
/* Stands before a negative number so that getopt does not take it for options. */
enum { PARSE_NUMBER_MARK = '\001' };

struct parse_option {
    const char *name;
    const char *argument; /* NULL: takes none. */
    const char *help;
    char letter; /* Or 0. */
};

static const struct parse_option parse_options[CLI_OPT_COUNT] = {
    [CLI_OPT_DIR] = {"dir", "DIR", "data folder (default $MESHNODE_DIR, else ./meshnode-data)",
                     'd'},
    [CLI_OPT_JSON] = {"json", NULL, "answer and report errors as JSON", 0},
    [CLI_OPT_HELP] = {"help", NULL, "print this text", 'h'},
    [CLI_OPT_VERBOSE] = {"verbose", NULL, "say what is going on; twice: in detail", 'v'},
    [CLI_OPT_LISTEN] = {"listen", "ADDR:PORT", "listen here; may be repeated", 0},
    [CLI_OPT_PEER] = {"peer", "ADDR:PORT", "dial this peer; may be repeated", 0},
    [CLI_OPT_LAN] = {"lan", "ADDR", "look for nodes on the network of this interface, or 'all'", 0},
    [CLI_OPT_LAN_GROUP] = {"lan-group", "GROUP:PORT",
                           "multicast group for --lan (default " MESHSYNC_LAN_GROUP ")", 0},
    [CLI_OPT_RATE] = {"rate", "BYTES", "send at most so many bytes of changes per second", 0},
    [CLI_OPT_PEER_RATE] = {"peer-rate", "BYTES", "the same, to one peer", 0},
    [CLI_OPT_BURST] = {"burst", "BYTES", "after rest, so many at once (default: one second's)", 0},
    [CLI_OPT_AS] = {"as", "NAME", "local name of the space (default: as in the ticket)", 0},
    [CLI_OPT_ERASE] = {"erase", NULL, "remove its data from this node too", 0},
    [CLI_OPT_EXPIRES] = {"expires", "S", "the ticket is good for S seconds (default: for ever)", 0},
    [CLI_OPT_TYPE] = {"type", "TYPE", "register, counter, set or map", 0},
    [CLI_OPT_VIEW] = {"view", "VIEW", "lww, mv, max or min: what a read shows of concurrent values",
                      0},
    [CLI_OPT_FILE] = {"file", "FILE", "the value is the bytes of FILE", 0},
    [CLI_OPT_JSON_VALUE] = {"json-value", NULL, "the value is JSON", 0},
    [CLI_OPT_MSGPACK] = {"msgpack", NULL, "the value is one msgpack object (with --file)", 0},
    [CLI_OPT_CONTEXT] = {"context", "C", "replace only what a read with context C saw", 0},
    [CLI_OPT_IF_ABSENT] = {"if-absent", NULL, "only if nothing is there", 0},
    [CLI_OPT_IF_CONTEXT] = {"if-context", "C", "only if nothing changed since context C was read",
                            0},
    [CLI_OPT_ACK] = {"ack", "A", "answer when queued, durable (default), or durable at K peers", 0},
    [CLI_OPT_TIMEOUT] = {"timeout", "S", "seconds to wait (default 30; watch: for ever)", 0},
    [CLI_OPT_PREFIX] = {"prefix", "P", "only keys that begin with P", 0},
    [CLI_OPT_FROM_KEY] = {"from", "K", "begin at key K", 0},
    [CLI_OPT_FROM_CURSOR] = {"from", "CURSOR", "go on after this cursor; 'start': the first op", 0},
    [CLI_OPT_LIMIT] = {"limit", "N", "at most N lines", 0},
    [CLI_OPT_REVERSE] = {"reverse", NULL, "from the last key down", 0},
    [CLI_OPT_FORMAT_IN] = {"format", "FORMAT", "jsonl, json or csv (default: by the file's name)",
                           0},
    [CLI_OPT_FORMAT_OUT] = {"format", "FORMAT", "jsonl (default) or csv", 0},
    [CLI_OPT_KEY] = {"key", "FIELD", "member or column that is the key", 0},
    [CLI_OPT_COLLECTION] = {"collection", "C", "only this collection", 0},
    [CLI_OPT_VERSION] = {"version", "TOKEN", "version to wait for (default: that of now)", 0},
    [CLI_OPT_PEERS] = {"peers", "K", "until K peers hold it durably", 0},
    [CLI_OPT_SINCE] = {"since", "BUNDLE", "leave out what the maker of this bundle held", 0},
    [CLI_OPT_KEEP] = {"keep", NULL, "leave the data folders there at the end", 0},
};

/* getopt keeps its place in globals, and a running node parses for several clients at once. */
static pthread_mutex_t parse_lock = PTHREAD_MUTEX_INITIALIZER;

static uint64_t parse_options_of(const struct cli_command *command)
{
    return command->options | CLI_BIT(CLI_OPT_DIR) | CLI_BIT(CLI_OPT_JSON) | CLI_BIT(CLI_OPT_HELP);
}

/* Copies all words into one block; negative numbers get their mark. */
static bool parse_copy(struct cli_args *args, const char *name, int argc, char **argv)
{
    size_t bytes = strlen(name) + 1;
    for (int i = 0; i < argc; i++) {
        bytes += strlen(argv[i]) + 2;
    }
    args->words = malloc(bytes);
    args->argv = calloc((size_t)argc + 2, sizeof *args->argv);
    if (args->words == NULL || args->argv == NULL) {
        return false;
    }
    char *at = args->words;
    args->argv[0] = at;
    at = stpcpy(at, name) + 1;
    bool options = true;
    for (int i = 0; i < argc; i++) {
        const char *word = argv[i];
        options = options && strcmp(word, "--") != 0;
        args->argv[i + 1] = at;
        if (options && word[0] == '-' && word[1] >= '0' && word[1] <= '9') {
            *at++ = PARSE_NUMBER_MARK;
        }
        at = stpcpy(at, word) + 1;
    }
    args->argc = argc + 1;
    return true;
}

static char *parse_unmark(char *word)
{
    return word != NULL && word[0] == PARSE_NUMBER_MARK ? word + 1 : word;
}

/* Fills the tables of getopt_long from the options that the command takes. */
static void parse_tables(uint64_t options, struct option longs[CLI_OPT_COUNT + 1],
                         char letters[2 * CLI_OPT_COUNT + 2])
{
    int count = 0;
    char *letter = letters;
    *letter++ = ':';
    for (int i = 0; i < CLI_OPT_COUNT; i++) {
        const struct parse_option *option = &parse_options[i];
        if ((options & CLI_BIT(i)) == 0) {
            continue;
        }
        longs[count++] =
            (struct option){.name = option->name,
                            .has_arg = option->argument ? required_argument : no_argument,
                            .val = PARSE_CODE_FIRST + i};
        if (option->letter != 0) {
            *letter++ = option->letter;
            if (option->argument != NULL) {
                *letter++ = ':';
            }
        }
    }
    longs[count] = (struct option){.name = NULL};
    *letter = '\0';
}

static int parse_by_code(int code)
{
    if (code >= PARSE_CODE_FIRST) {
        return code - PARSE_CODE_FIRST;
    }
    for (int i = 0; i < CLI_OPT_COUNT; i++) {
        if (parse_options[i].letter != 0 && parse_options[i].letter == code) {
            return i;
        }
    }
    return CLI_OPT_COUNT;
}

static bool parse_words(uint64_t options, struct cli_args *args,
                        char message[CLI_MESSAGE_BYTES_MAX])
{
    struct option longs[CLI_OPT_COUNT + 1];
    char letters[2 * CLI_OPT_COUNT + 2];
    parse_tables(options, longs, letters);
    optind = 0;
    opterr = 0;
    int code = 0;
    while ((code = getopt_long(args->argc, args->argv, letters, longs, NULL)) != -1) {
        const char *word = args->argv[optind > 1 ? optind - 1 : 1];
        int option = code == '?' || code == ':' ? CLI_OPT_COUNT : parse_by_code(code);
        if (code == ':') {
            (void)snprintf(message, CLI_MESSAGE_BYTES_MAX, "option '%.64s' needs an argument",
                           word);
            return false;
        }
        if (option == CLI_OPT_COUNT) {
            (void)snprintf(message, CLI_MESSAGE_BYTES_MAX, "unknown option '%.64s'", word);
            return false;
        }
        if (args->given_count == CLI_GIVEN_MAX) {
            (void)snprintf(message, CLI_MESSAGE_BYTES_MAX, "more than %d options", CLI_GIVEN_MAX);
            return false;
        }
        args->given[args->given_count].option = (enum cli_option)option;
        args->given[args->given_count].text = parse_unmark(optarg);
        args->given_count++;
    }
    int words = args->argc - optind;
    for (int i = 0; i < words; i++) {
        args->argv[i] = parse_unmark(args->argv[optind + i]);
    }
    args->argv[words] = NULL;
    args->argc = words;
    return true;
}

bool cli_parse(const struct cli_command *command, int argc, char **argv, struct cli_args *args,
               char message[CLI_MESSAGE_BYTES_MAX])
{
    *args = (struct cli_args){.argc = 0};
    message[0] = '\0';
    if (!parse_copy(args, command->name, argc, argv)) {
        (void)snprintf(message, CLI_MESSAGE_BYTES_MAX, "out of memory");
        args->argc = 0;
        return false;
    }
    (void)pthread_mutex_lock(&parse_lock);
    bool good = parse_words(parse_options_of(command), args, message);
    (void)pthread_mutex_unlock(&parse_lock);
    if (!good || cli_given(args, CLI_OPT_HELP)) {
        return good;
    }
    if (args->argc < command->args_min) {
        (void)snprintf(message, CLI_MESSAGE_BYTES_MAX, "too few arguments: %s %s", command->name,
                       command->arguments);
        return false;
    }
    if (args->argc > command->args_max && (command->flags & CLI_ANY_ARGS) == 0) {
        (void)snprintf(message, CLI_MESSAGE_BYTES_MAX, "too many arguments, from '%.64s' on",
                       args->argv[command->args_max]);
        return false;
    }
    return true;
}

void cli_args_fini(struct cli_args *args)
{
    free(args->argv);
    free(args->words);
    args->argv = NULL;
    args->words = NULL;
}

const char *cli_text(const struct cli_args *args, enum cli_option option)
{
    for (int i = args->given_count; i-- > 0;) {
        if (args->given[i].option == option) {
            return args->given[i].text;
        }
    }
    return NULL;
}

bool cli_given(const struct cli_args *args, enum cli_option option)
{
    for (int i = 0; i < args->given_count; i++) {
        if (args->given[i].option == option) {
            return true;
        }
    }
    return false;
}

const char *cli_text_at(const struct cli_args *args, enum cli_option option, int index)
{
    for (int i = 0; i < args->given_count; i++) {
        if (args->given[i].option == option && index-- == 0) {
            return args->given[i].text != NULL ? args->given[i].text : "";
        }
    }
    return NULL;
}

bool cli_words(const struct cli_command *command, const struct cli_args *args, char **words,
               size_t *len)
{
    FILE *out = open_memstream(words, len);
    if (out == NULL) {
        return false;
    }
    for (const char *at = command->name; *at != '\0'; at++) {
        (void)fputc(*at == ' ' ? '\0' : *at, out); /* Errors show when it is closed. */
    }
    (void)fputc('\0', out);
    for (int i = 0; i < args->given_count; i++) {
        const struct parse_option *option = &parse_options[args->given[i].option];
        if (args->given[i].option == CLI_OPT_DIR) {
            continue;
        }
        (void)fprintf(out, "--%s", option->name);
        if (option->argument != NULL) {
            (void)fprintf(out, "=%s", args->given[i].text);
        }
        (void)fputc('\0', out);
    }
    (void)fputs("--", out);
    (void)fputc('\0', out);
    for (int i = 0; i < args->argc; i++) {
        (void)fputs(args->argv[i], out);
        (void)fputc('\0', out);
    }
    bool failed = ferror(out) != 0;
    if (fclose(out) != 0 || failed) {
        free(*words);
        *words = NULL;
        return false;
    }
    return true;
}

void cli_help(const struct cli_command *command, struct io *io)
{
    io_printf(io, "usage: meshnode %s%s%s [options]\n\n%s.\n", command->name,
              command->arguments[0] != '\0' ? " " : "", command->arguments, command->summary);
    if (command->details != NULL) {
        io_printf(io, "%s", command->details);
    }
    io_text(io, "\noptions:\n");
    uint64_t options = parse_options_of(command);
    for (int i = 0; i < CLI_OPT_COUNT; i++) {
        const struct parse_option *option = &parse_options[i];
        if ((options & CLI_BIT(i)) == 0) {
            continue;
        }
        char name[64];
        (void)snprintf(name, sizeof name, "--%s%s%s", option->name,
                       option->argument != NULL ? " " : "",
                       option->argument != NULL ? option->argument : "");
        io_printf(io, "  %c%c%s %-20s %s\n", option->letter != 0 ? '-' : ' ',
                  option->letter != 0 ? option->letter : ' ', option->letter != 0 ? "," : " ", name,
                  option->help);
    }
}

void cli_help_all(struct io *io)
{
    io_text(io, "usage: meshnode [-d DIR] [--json] COMMAND [arguments] [options]\n\n");
    const struct cli_command *command = NULL;
    for (size_t i = 0; (command = cli_command_at(i)) != NULL; i++) {
        char name[80];
        (void)snprintf(name, sizeof name, "%s %s", command->name, command->arguments);
        if (strlen(name) > 40) {
            io_printf(io, "  %s\n  %-40s  %s\n", name, "", command->summary);
        } else {
            io_printf(io, "  %-40s  %s\n", name, command->summary);
        }
    }
    io_text(io, "\n'meshnode COMMAND --help' says more. Exit codes: 0 done, 1 a finding (not\n"
                "found, differs, not in sync), 2 usage, 3 node or peer not reachable, 4 store\n"
                "error, 5 refused. docs/cli.md describes every form of JSON.\n");
}
