/* SPDX-License-Identifier: Apache-2.0 */
/* The acts of the demo. Amber and birch can be dialled; cedar only dials, as behind a router. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "demo.h"

enum demo_who { AMBER, BIRCH, CEDAR };

enum {
    DEMO_POLL_US = 20000,
    DEMO_QUIET_MS = 1000, /* A cut that holds so long is one. */
    DEMO_CUT_MS_MAX = 20000,
    DEMO_KILLED_PUTS = 40,
    DEMO_AMBER_ADDS = 19,
    DEMO_BIRCH_ADDS = 4,
    DEMO_CEDAR_ADDS = 7
};

static const char demo_languages[] = "/usr/share/iso-codes/json/iso_639-3.json";
static const char demo_countries[] = "/usr/share/iso-codes/json/iso_3166-1.json";
static const char demo_regions[] = "/usr/share/iso-codes/json/iso_3166-2.json";

/* A member of the first line of an answer. */
static json_t *demo_member(const json_t *lines, const char *name)
{
    return json_object_get(json_array_get(lines, 0), name);
}

/* Digest of a node's space; "" when it could not be read. */
static void demo_digest(struct demo *demo, const struct demo_node *node, char out[128],
                        uint64_t *entries)
{
    json_t *lines = DEMO_RUN(demo, node, "digest", "world");
    const char *digest = json_string_value(demo_member(lines, "digest"));
    (void)snprintf(out, 128, "%s", digest != NULL ? digest : "");
    *entries = (uint64_t)json_integer_value(demo_member(lines, "entries"));
    json_decref(lines);
}

bool demo_converge(struct demo *demo, uint64_t *ms)
{
    uint64_t begin_ms = monotonic_ms();
    char digests[DEMO_NODES][128];
    for (;;) {
        bool equal = true;
        for (size_t i = 0; i < DEMO_NODES; i++) {
            demo_digest(demo, &demo->nodes[i], digests[i], &demo->entries);
            equal = equal && digests[i][0] != '\0' && strcmp(digests[0], digests[i]) == 0;
        }
        *ms = monotonic_ms() - begin_ms;
        if (equal) {
            return true;
        }
        if (demo->failed || *ms > DEMO_CONVERGE_MS_MAX || demo_interrupted()) {
            return demo_fail(demo, "the nodes did not come to one digest in %u s",
                             DEMO_CONVERGE_MS_MAX / 1000);
        }
        (void)usleep(DEMO_POLL_US);
    }
}

static bool demo_join(struct demo *demo, struct demo_node *node, const char *ticket,
                      const char *listen, const char *const peers[2])
{
    return DEMO_DO(demo, node, "init") && DEMO_DO(demo, node, "space", "join", ticket) &&
           demo_node_start(demo, node, listen, peers);
}

static void demo_introduce(struct demo *demo, const struct demo_node *node)
{
    json_t *lines = DEMO_RUN(demo, node, "id");
    const char *id = json_string_value(demo_member(lines, "id"));
    demo_say(demo, "%-6s process %-7d %-22s id %.12s...", node->name, (int)node->pid,
             node->address[0] != '\0' ? node->address : "(only dials others)",
             id != NULL ? id : "");
    json_decref(lines);
}

static bool demo_make_space(struct demo *demo)
{
    static const char *const collections[][2] = {
        {"languages", "register"}, {"countries", "register"}, {"regions", "register"},
        {"visits", "counter"},     {"tags", "set"},           {"profiles", "map"}};
    struct demo_node *amber = &demo->nodes[AMBER];
    if (!DEMO_DO(demo, amber, "space", "create", "world")) {
        return false;
    }
    for (size_t i = 0; i < sizeof collections / sizeof collections[0]; i++) {
        if (!DEMO_DO(demo, amber, "collection", "world", collections[i][0], "--type",
                     collections[i][1])) {
            return false;
        }
    }
    return true;
}

bool demo_part_nodes(struct demo *demo)
{
    struct demo_node *amber = &demo->nodes[AMBER];
    struct demo_node *birch = &demo->nodes[BIRCH];
    struct demo_node *cedar = &demo->nodes[CEDAR];
    demo_title(demo, "1. Three nodes, each a process with a folder and a key of its own");
    if (!DEMO_DO(demo, amber, "init") || !demo_make_space(demo) ||
        !demo_node_start(demo, amber, "127.0.0.1:0", (const char *const[2]){NULL, NULL})) {
        return false;
    }
    json_t *lines = DEMO_RUN(demo, amber, "space", "invite", "world");
    const char *ticket = json_string_value(demo_member(lines, "ticket"));
    bool good = ticket != NULL &&
                demo_join(demo, birch, ticket, "127.0.0.1:0",
                          (const char *const[2]){amber->address, NULL}) &&
                demo_join(demo, cedar, ticket, NULL,
                          (const char *const[2]){amber->address, birch->address});
    json_decref(lines);
    if (!good) {
        return false;
    }
    for (size_t i = 0; i < DEMO_NODES; i++) {
        demo_introduce(demo, &demo->nodes[i]);
    }
    uint64_t ms = 0;
    demo_say(demo, "amber founded the space 'world'; the others joined it by a ticket.");
    return demo_converge(demo, &ms) && demo_check(demo, true, "all three know its six collections");
}

static bool demo_import(struct demo *demo, const struct demo_node *node, const char *collection,
                        const char *file, const char *key)
{
    char rows[32];
    char bytes[32];
    json_t *lines = DEMO_RUN(demo, node, "import", "world", collection, file, "--key", key);
    if (lines == NULL) {
        return false;
    }
    demo_say(demo, "%-6s takes in %6s %-9s %9s of JSON, %.2f s", node->name,
             group_digits((uint64_t)json_integer_value(demo_member(lines, "rows")), rows),
             collection,
             show_bytes((uint64_t)json_integer_value(demo_member(lines, "bytes")), bytes),
             (double)json_integer_value(demo_member(lines, "ms")) / 1000);
    json_decref(lines);
    return true;
}

bool demo_part_data(struct demo *demo)
{
    struct demo_node *nodes = demo->nodes;
    char entries[32];
    uint64_t ms = 0;
    demo_title(demo, "2. Real data, a different part at each node (Debian's iso-codes)");
    if (!demo_import(demo, &nodes[AMBER], "languages", demo_languages, "alpha_3") ||
        !demo_import(demo, &nodes[BIRCH], "countries", demo_countries, "alpha_2") ||
        !demo_import(demo, &nodes[CEDAR], "regions", demo_regions, "code") ||
        !demo_converge(demo, &ms)) {
        return false;
    }
    return demo_check(demo, true, "%.2f s later all three hold the same %s entries",
                      (double)ms / 1000, group_digits(demo->entries, entries));
}

bool demo_part_travel(struct demo *demo)
{
    struct demo_child watch;
    const char *const words[] = {"watch",   "world",     "--limit", "1", "--collection",
                                 "regions", "--timeout", "20",      NULL};
    demo_title(demo, "3. One write travels");
    if (!demo_spawn(demo, &demo->nodes[CEDAR], words, &watch)) {
        return false;
    }
    (void)usleep(300000); /* Until the watch looks. */
    uint64_t begin_ms = monotonic_ms();
    if (!DEMO_DO(demo, &demo->nodes[AMBER], "put", "world", "regions", "DEMO-1",
                 "a region that somebody just made up")) {
        demo_child_kill(&watch);
        return false;
    }
    uint64_t written_ms = monotonic_ms() - begin_ms;
    bool seen = demo_child_speaks(&watch, 20000);
    uint64_t seen_ms = monotonic_ms() - begin_ms;
    int code = 0;
    json_decref(demo_collect(demo, &watch, &code));
    return demo_check(demo, seen && code == 0,
                      "a put at amber took %" PRIu64 " ms with its process and its sync to disk; "
                      "cedar showed it %" PRIu64 " ms after it began",
                      written_ms, seen_ms);
}

/* Takes away every address that the node dials. One that it learnt by itself cannot be removed, so
 * each is made a given one first. */
static bool demo_drop_peers(struct demo *demo, const struct demo_node *node)
{
    json_t *lines = DEMO_RUN(demo, node, "peers");
    json_t *line = NULL;
    size_t i = 0;
    json_array_foreach(lines, i, line)
    {
        const char *address = json_string_value(json_object_get(line, "address"));
        if (address == NULL || !json_is_true(json_object_get(line, "outbound"))) {
            continue;
        }
        if (!DEMO_DO(demo, node, "peer", "add", address) ||
            !DEMO_DO(demo, node, "peer", "remove", address)) {
            break;
        }
    }
    json_decref(lines);
    return lines != NULL && !demo->failed;
}

static uint64_t demo_stat(struct demo *demo, const struct demo_node *node, const char *name)
{
    json_t *lines = DEMO_RUN(demo, node, "status");
    uint64_t value =
        (uint64_t)json_integer_value(json_object_get(demo_member(lines, "stats"), name));
    json_decref(lines);
    return value;
}

static bool demo_cut(struct demo *demo, const struct demo_node *node)
{
    uint64_t begin_ms = monotonic_ms();
    uint64_t quiet_ms = 0;
    while (quiet_ms < DEMO_QUIET_MS) {
        uint64_t now_ms = monotonic_ms();
        if (!demo_drop_peers(demo, node) || now_ms - begin_ms > DEMO_CUT_MS_MAX) {
            return demo_fail(demo, "the link could not be cut");
        }
        (void)usleep(100000);
        bool quiet = demo_stat(demo, node, "sessions") == 0;
        quiet_ms = quiet ? quiet_ms + (monotonic_ms() - now_ms) : 0;
    }
    return true;
}

static bool demo_add_many(struct demo *demo, const struct demo_node *node, int count)
{
    char text[16];
    (void)snprintf(text, sizeof text, "%d", count - 1);
    return DEMO_DO(demo, node, "incr", "world", "visits", "FR") &&
           DEMO_DO(demo, node, "incr", "world", "visits", "FR", text);
}

/* What is the same on both sides before the cut. */
static bool demo_before_cut(struct demo *demo)
{
    const struct demo_node *birch = &demo->nodes[BIRCH];
    uint64_t ms = 0;
    return DEMO_DO(demo, birch, "add", "world", "tags", "FR", "europe", "coast", "wine") &&
           DEMO_DO(demo, birch, "mset", "world", "profiles", "FR", "capital.name", "Paris") &&
           DEMO_DO(demo, birch, "mset", "world", "profiles", "FR", "drives", "right") &&
           demo_add_many(demo, birch, DEMO_BIRCH_ADDS) && demo_converge(demo, &ms);
}

static bool demo_write_amber(struct demo *demo)
{
    const struct demo_node *amber = &demo->nodes[AMBER];
    return DEMO_DO(demo, amber, "put", "world", "languages", "fra", "French (said amber)") &&
           DEMO_DO(demo, amber, "put", "world", "languages", "deu", "German (said amber)") &&
           DEMO_DO(demo, amber, "remove", "world", "tags", "FR", "coast", "wine") &&
           DEMO_DO(demo, amber, "add", "world", "tags", "FR", "cheese") &&
           DEMO_DO(demo, amber, "mdel", "world", "profiles", "FR", "capital") &&
           DEMO_DO(demo, amber, "del", "world", "regions", "DEMO-1") &&
           demo_add_many(demo, amber, DEMO_AMBER_ADDS);
}

static bool demo_write_cedar(struct demo *demo)
{
    const struct demo_node *cedar = &demo->nodes[CEDAR];
    return DEMO_DO(demo, cedar, "put", "world", "languages", "fra", "fran\u00e7ais (said cedar)") &&
           DEMO_DO(demo, cedar, "put", "world", "languages", "deu", "Deutsch (said cedar)") &&
           DEMO_DO(demo, cedar, "add", "world", "tags", "FR", "coast", "bread") &&
           DEMO_DO(demo, cedar, "mset", "world", "profiles", "FR", "capital.people", "--json-value",
                   "2102650") &&
           demo_add_many(demo, cedar, DEMO_CEDAR_ADDS);
}

bool demo_part_cut(struct demo *demo)
{
    demo_title(demo, "4. Cedar loses its links; both sides go on writing");
    if (!demo_before_cut(demo)) {
        return false;
    }
    uint64_t begin_ms = monotonic_ms();
    if (!demo_cut(demo, &demo->nodes[CEDAR])) {
        return false;
    }
    demo_say(demo, "after %.1f s of taking its peers away cedar is alone. Meanwhile, concurrently:",
             (double)(monotonic_ms() - begin_ms) / 1000);
    if (!demo_write_amber(demo) || !demo_write_cedar(demo)) {
        return false;
    }
    demo_say(demo,
             "amber  names French and German, counts %d visits to FR, takes 'coast' and "
             "'wine' off",
             DEMO_AMBER_ADDS);
    demo_say(demo, "       its tags, adds 'cheese', removes the capital's whole subtree, deletes a "
                   "region");
    demo_say(demo,
             "cedar  names the same two languages otherwise, counts %d visits, adds 'coast' "
             "again",
             DEMO_CEDAR_ADDS);
    demo_say(demo, "       and 'bread', and writes how many people live in the capital");
    char here[128];
    char there[128];
    uint64_t entries = 0;
    demo_digest(demo, &demo->nodes[AMBER], here, &entries);
    demo_digest(demo, &demo->nodes[CEDAR], there, &entries);
    return demo_check(demo, here[0] != '\0' && there[0] != '\0' && strcmp(here, there) != 0,
                      "the digests of the two sides differ now, as they must");
}

/* Puts one after another while the node is killed; *acknowledged: how many it confirmed. */
static bool demo_put_and_kill(struct demo *demo, struct demo_node *node, int *acknowledged)
{
    char key[32];
    for (int i = 0; i < DEMO_KILLED_PUTS; i++) {
        struct demo_child child;
        int code = 0;
        (void)snprintf(key, sizeof key, "DEMO-KILL-%02d", i);
        const char *const words[] = {"put", "world", "regions", key, "written before the kill",
                                     NULL};
        if (!demo_spawn(demo, node, words, &child)) {
            return false;
        }
        if (i + 1 == DEMO_KILLED_PUTS) {
            (void)usleep(2000); /* In the middle of the last. */
            demo_node_kill(node);
        }
        json_decref(demo_collect(demo, &child, &code));
        *acknowledged += code == 0 ? 1 : 0;
        if (code != 0 && i + 1 < DEMO_KILLED_PUTS) {
            return demo_fail(demo, "a put ended with %d", code);
        }
    }
    return true;
}

static int demo_count_prefix(struct demo *demo, const struct demo_node *node, const char *prefix)
{
    json_t *lines = DEMO_RUN(demo, node, "scan", "world", "regions", "--prefix", prefix);
    int count = (int)json_array_size(lines);
    json_decref(lines);
    return count;
}

bool demo_part_kill(struct demo *demo)
{
    struct demo_node *birch = &demo->nodes[BIRCH];
    char listen[MESHSYNC_ADDRESS_BYTES_MAX];
    int acknowledged = 0;
    demo_title(demo, "5. Birch is killed with SIGKILL while it writes, and started again");
    (void)snprintf(listen, sizeof listen, "%s", birch->address);
    if (!demo_put_and_kill(demo, birch, &acknowledged)) {
        return false;
    }
    uint64_t begin_ms = monotonic_ms();
    const char *const peers[2] = {demo->nodes[AMBER].address, NULL};
    if (!demo_node_start(demo, birch, listen, peers)) {
        return false;
    }
    demo_say(demo, "birch is back after %" PRIu64 " ms, as process %d", monotonic_ms() - begin_ms,
             (int)birch->pid);
    int found = demo_count_prefix(demo, birch, "DEMO-KILL-");
    return demo_check(demo, found >= acknowledged && found <= acknowledged + 1,
                      "it had acknowledged %d of %d puts; %d are there", acknowledged,
                      DEMO_KILLED_PUTS, found);
}

bool demo_part_heal(struct demo *demo)
{
    const struct demo_node *cedar = &demo->nodes[CEDAR];
    char in[32];
    uint64_t ms = 0;
    demo_title(demo, "6. The links are there again");
    uint64_t bytes_before = demo_stat(demo, cedar, "bytes_in");
    uint64_t changes_before = demo_stat(demo, cedar, "changes_in");
    if (!DEMO_DO(demo, cedar, "peer", "add", demo->nodes[AMBER].address) ||
        !DEMO_DO(demo, cedar, "peer", "add", demo->nodes[BIRCH].address) ||
        !demo_converge(demo, &ms)) {
        return false;
    }
    demo_say(demo, "cedar took in %" PRIu64 " changes with %s",
             demo_stat(demo, cedar, "changes_in") - changes_before,
             show_bytes(demo_stat(demo, cedar, "bytes_in") - bytes_before, in));
    return demo_check(demo, true, "the digests are equal again after %.2f s", (double)ms / 1000);
}

static bool demo_check_conflicts(struct demo *demo, const struct demo_node *node)
{
    json_t *lines = DEMO_RUN(demo, node, "conflicts", "world");
    json_t *line = NULL;
    size_t i = 0;
    json_array_foreach(lines, i, line)
    {
        json_t *sibling = NULL;
        size_t k = 0;
        demo_say(demo, "%s %s holds:", json_string_value(json_object_get(line, "collection")),
                 json_string_value(json_object_get(line, "key")));
        json_array_foreach(json_object_get(line, "siblings"), k, sibling)
        {
            const char *text = json_string_value(json_object_get(sibling, "value"));
            const char *shown = json_string_value(json_object_get(line, "value"));
            bool is_shown = text != NULL && shown != NULL && strcmp(text, shown) == 0;
            demo_say(demo, "    %s%s", text != NULL ? text : "(no text)",
                     is_shown ? "   <- what a read shows" : "");
        }
    }
    bool good = json_array_size(lines) == 2;
    json_decref(lines);
    return demo_check(demo, good, "nothing was lost: both values of both languages are kept");
}

static bool demo_check_counter(struct demo *demo, const struct demo_node *node)
{
    json_t *lines = DEMO_RUN(demo, node, "get", "world", "visits", "FR");
    int sum = (int)json_integer_value(demo_member(lines, "value"));
    json_decref(lines);
    return demo_check(demo, sum == DEMO_AMBER_ADDS + DEMO_BIRCH_ADDS + DEMO_CEDAR_ADDS,
                      "%s: visits to FR = %d + %d + %d = %d", node->name, DEMO_AMBER_ADDS,
                      DEMO_BIRCH_ADDS, DEMO_CEDAR_ADDS, sum);
}

static bool demo_check_set(struct demo *demo, const struct demo_node *node)
{
    static const char *const expected[] = {"bread", "cheese", "coast", "europe"};
    const size_t count = sizeof expected / sizeof expected[0];
    json_t *lines = DEMO_RUN(demo, node, "members", "world", "tags", "FR");
    bool good = json_array_size(lines) == count;
    for (size_t i = 0; i < count && good; i++) {
        const char *element =
            json_string_value(json_object_get(json_array_get(lines, i), "element"));
        good = element != NULL && strcmp(element, expected[i]) == 0;
    }
    json_decref(lines);
    return demo_check(demo, good,
                      "%s: tags of FR are bread, cheese, coast, europe: the new 'coast' won, "
                      "'wine' is gone",
                      node->name);
}

static bool demo_check_map(struct demo *demo, const struct demo_node *node)
{
    json_t *lines = DEMO_RUN(demo, node, "mget", "world", "profiles", "FR");
    json_t *wanted = json_pack("{s:{s:i},s:s}", "capital", "people", 2102650, "drives", "right");
    bool good = wanted != NULL && json_equal(demo_member(lines, "value"), wanted) == 1;
    json_decref(wanted);
    json_decref(lines);
    return demo_check(demo, good,
                      "%s: the capital's name is gone, its people, written meanwhile, stayed",
                      node->name);
}

bool demo_part_verify(struct demo *demo)
{
    char digest[128];
    char changes[32];
    char entries[32];
    demo_title(demo, "7. What came of it, at every node");
    bool good = demo_check_conflicts(demo, &demo->nodes[CEDAR]);
    for (size_t i = 0; i < DEMO_NODES; i++) {
        const struct demo_node *node = &demo->nodes[i];
        bool counter = demo_check_counter(demo, node);
        bool set = demo_check_set(demo, node);
        bool map = demo_check_map(demo, node);
        good = good && counter && set && map;
    }
    for (size_t i = 0; i < DEMO_NODES && !demo_interrupted(); i++) {
        const struct demo_node *node = &demo->nodes[i];
        uint64_t begin_ms = monotonic_ms();
        json_t *lines = DEMO_RUN(demo, node, "verify", "world");
        uint64_t spent_ms = monotonic_ms() - begin_ms;
        demo_digest(demo, node, digest, &demo->entries);
        good = demo_check(demo, lines != NULL,
                          "%s: rebuilt from its log of %s changes in %.2f s: every hash and "
                          "signature holds",
                          node->name,
                          group_digits((uint64_t)json_integer_value(demo_member(lines, "changes")),
                                       changes),
                          (double)spent_ms / 1000) &&
               good;
        demo_say(demo, "       %s entries, digest %.24s...", group_digits(demo->entries, entries),
                 digest);
        json_decref(lines);
    }
    for (size_t i = 0; i < DEMO_NODES; i++) {
        good = demo_node_stop(demo, &demo->nodes[i]) && good;
    }
    return good;
}

bool demo_has_data(struct demo *demo)
{
    static const char *const files[] = {demo_languages, demo_countries, demo_regions};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        if (access(files[i], R_OK) != 0) {
            return demo_fail(demo,
                             "'%s' is missing: it is part of the package iso-codes; 'apt-get "
                             "install iso-codes' brings it",
                             files[i]);
        }
    }
    return true;
}
