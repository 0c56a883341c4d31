/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "commands.h"

#define WRITE_OPTIONS (CLI_BIT(CLI_OPT_ACK) | CLI_BIT(CLI_OPT_TIMEOUT))
#define VALUE_OPTIONS                                                                              \
    (CLI_BIT(CLI_OPT_FILE) | CLI_BIT(CLI_OPT_JSON_VALUE) | CLI_BIT(CLI_OPT_MSGPACK))
#define CONDITION_OPTIONS                                                                          \
    (CLI_BIT(CLI_OPT_CONTEXT) | CLI_BIT(CLI_OPT_IF_ABSENT) | CLI_BIT(CLI_OPT_IF_CONTEXT))

static const char value_details[] =
    "A value is text where it is valid UTF-8, otherwise bytes; with --json-value a JSON number is\n"
    "an integer or float, true, false and null are themselves, a JSON string is text, and an\n"
    "array or object is kept as JSON. --file takes the bytes of a file ('-': standard input).\n";

static const char txn_details[] =
    "Each line of standard input is an object\n"
    "  {\"op\":\"put|del|incr|add|remove|mset|mdel\",\"collection\":C,\"key\":K,\n"
    "   \"field\":[PART,...],\"value\":V,\"delta\":N}\n"
    "All lines become visible at once, here and at every other node, or none of them does.\n";

static const char import_details[] =
    "jsonl: one object per line, as export writes it, or with --key any object: the value of its\n"
    "member FIELD is the key. json: an array of objects, an object that holds one array, or one\n"
    "object of keys and values. csv: with a header line. FILE '-' is standard input. Rows are\n"
    "committed in transactions of 1,000; after an error the rows before it are there.\n";

static const char watch_details[] =
    "One JSON line per op, from now on; --from CURSOR goes on after the line that had this "
    "cursor,\n"
    "--from start begins with the first op. Ends by itself only with --limit or --timeout.\n";

static const char run_details[] =
    "Port 0 lets the system choose. Without --listen this node dials others but nobody can dial\n"
    "it. --lan finds nodes of the same spaces on the local network, by multicast; others cannot "
    "read\n"
    "which spaces are told. SIGTERM and SIGINT finish what is being written and stop. -v logs one\n"
    "line per event on standard error.\n";

static const char bundle_details[] =
    "Without --since everything is written. --since names a bundle that the other node made (with\n"
    "'bundle request' or 'bundle create'), or for a one-way link the last one sent. A bundle is\n"
    "not encrypted.\n";

static const char repair_details[] =
    "A store that opens and verifies is left alone. Any other becomes data.mdb.damaged-N; nothing\n"
    "is deleted, and the node keeps its key and id. Then join each space again with a ticket from\n"
    "a peer ('space join'): what the peers have comes back, what this node wrote included. Where "
    "a\n"
    "backup is newer than what the peers have, restore that instead.\n";

static const struct cli_command commands[] = {
    {"demo", "", "Three nodes, real data, cuts and kills: see it work", NULL, CLI_BIT(CLI_OPT_KEEP),
     CLI_LOCAL, 0, 0, cmd_demo},
    {"init", "", "Make a node in the data folder", NULL, 0, CLI_WRITES | CLI_CREATES, 0, 0,
     cmd_init},
    {"id", "", "Print the id of the node", NULL, 0, 0, 0, 0, cmd_id},
    {"status", "", "Print what the node holds and did, and its peers", NULL, 0, 0, 0, 0,
     cmd_status},
    {"version", "", "Print the versions of meshnode and its parts", NULL, 0, CLI_LOCAL, 0, 0,
     cmd_version},
    {"run", "", "Put the node on the network until it is told to stop", run_details,
     CLI_BIT(CLI_OPT_LISTEN) | CLI_BIT(CLI_OPT_PEER) | CLI_BIT(CLI_OPT_LAN) |
         CLI_BIT(CLI_OPT_LAN_GROUP) | CLI_BIT(CLI_OPT_RATE) | CLI_BIT(CLI_OPT_PEER_RATE) |
         CLI_BIT(CLI_OPT_BURST) | CLI_BIT(CLI_OPT_VERBOSE),
     CLI_LOCAL, 0, 0, cmd_run},
    {"peers", "", "Each peer: id, address, state, round-trip time, lag", NULL, 0, CLI_RUNNING, 0, 0,
     cmd_peers},
    {"space create", "NAME", "Found a space", NULL, 0, CLI_WRITES | CLI_CREATES, 1, 1,
     cmd_space_create},
    {"space list", "", "The spaces of this node", NULL, 0, 0, 0, 0, cmd_space_list},
    {"space info", "NAME", "Facts about a space", NULL, 0, 0, 1, 1, cmd_space_info},
    {"space join", "TICKET", "Join a space by a ticket ('-': read it from standard input)", NULL,
     CLI_BIT(CLI_OPT_AS), CLI_WRITES | CLI_CREATES | CLI_STDIN, 1, 1, cmd_space_join},
    {"space leave", "NAME", "Stop taking part in a space; its data stays", NULL,
     CLI_BIT(CLI_OPT_ERASE), CLI_WRITES, 1, 1, cmd_space_leave},
    {"space invite", "NAME", "Print a ticket: a secret that lets its holder join", NULL,
     CLI_BIT(CLI_OPT_EXPIRES), CLI_WRITES, 1, 1, cmd_space_invite},
    {"collection list", "SPACE", "The collections of a space", NULL, 0, 0, 1, 1, cmd_collection},
    {"collection", "SPACE NAME", "Make a collection, or change its view", NULL,
     CLI_BIT(CLI_OPT_TYPE) | CLI_BIT(CLI_OPT_VIEW), CLI_WRITES, 2, 2, cmd_collection},
    {"peer add", "ADDR:PORT", "Dial a peer from now on", NULL, 0, CLI_RUNNING, 1, 1, cmd_peer_add},
    {"peer remove", "ADDR:PORT", "Stop dialling a peer and end its session", NULL, 0, CLI_RUNNING,
     1, 1, cmd_peer_remove},
    {"put", "SPACE COLLECTION KEY [VALUE]", "Set a register", value_details,
     WRITE_OPTIONS | VALUE_OPTIONS | CONDITION_OPTIONS, CLI_WRITES | CLI_STDIN, 3, 4, cmd_put},
    {"get", "SPACE COLLECTION KEY", "Print a register or counter", NULL, 0, 0, 3, 3, cmd_get},
    {"del", "SPACE COLLECTION KEY", "Remove what is at a key", NULL,
     WRITE_OPTIONS | CLI_BIT(CLI_OPT_CONTEXT) | CLI_BIT(CLI_OPT_IF_CONTEXT), CLI_WRITES, 3, 3,
     cmd_del},
    {"scan", "SPACE COLLECTION", "List keys and values in order", NULL,
     CLI_BIT(CLI_OPT_PREFIX) | CLI_BIT(CLI_OPT_FROM_KEY) | CLI_BIT(CLI_OPT_LIMIT) |
         CLI_BIT(CLI_OPT_REVERSE),
     0, 2, 2, cmd_scan},
    {"incr", "SPACE COLLECTION KEY [N]", "Add to a counter: 1, or N, which may be negative", NULL,
     WRITE_OPTIONS, CLI_WRITES, 3, 4, cmd_incr},
    {"add", "SPACE COLLECTION KEY ELEMENT...", "Put elements into a set", NULL, WRITE_OPTIONS,
     CLI_WRITES | CLI_ANY_ARGS, 4, 4, cmd_add},
    {"remove", "SPACE COLLECTION KEY ELEMENT...", "Take elements out of a set", NULL, WRITE_OPTIONS,
     CLI_WRITES | CLI_ANY_ARGS, 4, 4, cmd_remove},
    {"members", "SPACE COLLECTION KEY [ELEMENT...]", "List a set, or ask for some elements", NULL,
     0, CLI_ANY_ARGS, 3, 3, cmd_members},
    {"mset", "SPACE COLLECTION KEY FIELD[.FIELD...] [VALUE]", "Set a field of a map", value_details,
     WRITE_OPTIONS | VALUE_OPTIONS | CONDITION_OPTIONS, CLI_WRITES | CLI_STDIN, 4, 5, cmd_mset},
    {"mget", "SPACE COLLECTION KEY [FIELD[.FIELD...]]", "Print a field of a map, or all of it",
     NULL, 0, 0, 3, 4, cmd_mget},
    {"mdel", "SPACE COLLECTION KEY FIELD[.FIELD...]", "Remove a field of a map and what is below",
     NULL, WRITE_OPTIONS, CLI_WRITES, 4, 4, cmd_mdel},
    {"txn", "SPACE", "Apply JSON lines from standard input as one transaction", txn_details,
     WRITE_OPTIONS, CLI_WRITES | CLI_STDIN, 1, 1, cmd_txn},
    {"import", "SPACE COLLECTION FILE", "Read rows from a file into a collection", import_details,
     WRITE_OPTIONS | CLI_BIT(CLI_OPT_FORMAT_IN) | CLI_BIT(CLI_OPT_KEY) | CLI_BIT(CLI_OPT_VERBOSE),
     CLI_WRITES | CLI_STDIN, 3, 3, cmd_import},
    {"export", "SPACE COLLECTION", "Write a collection so that import can read it", NULL,
     CLI_BIT(CLI_OPT_FORMAT_OUT), 0, 2, 2, cmd_export},
    {"watch", "SPACE", "Follow what is written, here and elsewhere", watch_details,
     CLI_BIT(CLI_OPT_FROM_CURSOR) | CLI_BIT(CLI_OPT_COLLECTION) | CLI_BIT(CLI_OPT_LIMIT) |
         CLI_BIT(CLI_OPT_TIMEOUT),
     0, 1, 1, cmd_watch},
    {"conflicts", "SPACE", "List every place that holds more than one value", NULL, 0, 0, 1, 1,
     cmd_conflicts},
    {"wait", "SPACE", "Wait until a version is here, or at K peers", NULL,
     CLI_BIT(CLI_OPT_VERSION) | CLI_BIT(CLI_OPT_PEERS) | CLI_BIT(CLI_OPT_TIMEOUT), 0, 1, 1,
     cmd_wait},
    {"digest", "SPACE", "Print the digest, which is equal where the data is", NULL, 0, 0, 1, 1,
     cmd_digest},
    {"verify", "SPACE", "Rebuild the state from the log and compare; check every signature", NULL,
     0, 0, 1, 1, cmd_verify},
    {"backup", "FILE", "Write a consistent copy of the whole node, its identity included", NULL, 0,
     CLI_WRITES | CLI_FILE_0, 1, 1, cmd_backup},
    {"bundle create", "SPACE FILE", "Write changes to a file, for a node that no network reaches",
     bundle_details, CLI_BIT(CLI_OPT_SINCE), CLI_FILE_1, 2, 2, cmd_bundle_create},
    {"bundle request", "SPACE FILE", "Write what this node holds, to make a bundle for it from",
     NULL, 0, CLI_FILE_1, 2, 2, cmd_bundle_request},
    {"bundle apply", "FILE", "Take in the changes of a bundle, checked as from the network", NULL,
     0, CLI_WRITES | CLI_FILE_0, 1, 1, cmd_bundle_apply},
    {"restore", "FILE", "Make a node from a backup, in an empty or missing data folder", NULL, 0,
     CLI_LOCAL, 1, 1, cmd_restore},
    {"repair", "", "Move a store that is damaged aside, to begin anew from its peers",
     repair_details, 0, CLI_LOCAL, 0, 0, cmd_repair},
};

const struct cli_command *cli_command_at(size_t index)
{
    return index < sizeof commands / sizeof commands[0] ? &commands[index] : NULL;
}

/* How many of the words the name takes up: 1 or 2; 0: it is not this name. */
static int table_match(const char *name, int argc, char **argv)
{
    size_t len = strlen(argv[0]);
    if (strncmp(name, argv[0], len) != 0) {
        return 0;
    }
    if (name[len] == '\0') {
        return 1;
    }
    return name[len] == ' ' && argc > 1 && strcmp(name + len + 1, argv[1]) == 0 ? 2 : 0;
}

/* "collection list X --type T" makes a collection X in a space that is called "list". */
static bool table_has_type(int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--type") == 0 || strncmp(argv[i], "--type=", 7) == 0) {
            return true;
        }
    }
    return false;
}

const struct cli_command *cli_find(int argc, char **argv, int *used)
{
    const struct cli_command *command = NULL;
    *used = 0;
    for (size_t i = 0; argc > 0 && (command = cli_command_at(i)) != NULL; i++) {
        *used = table_match(command->name, argc, argv);
        bool list = command->handler == cmd_collection && *used == 2;
        if (*used > 0 && !(list && table_has_type(argc, argv))) {
            return command;
        }
    }
    return NULL;
}
