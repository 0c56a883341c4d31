/* SPDX-License-Identifier: Apache-2.0 */
/* 'meshnode run': the node on the network, until a signal ends it. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "commands.h"
#include "control.h"
#include "helpers.h"
#include "notify.h"

enum { RUN_SNAPSHOT_MS_MAX = 600 * 1000 }; /* So that an export may be slow. */

struct run_log {
    bool json;
    bool verbose;
};

static const char *const run_levels[] = {
    [MESHSYNC_LOG_ERROR] = "error",
    [MESHSYNC_LOG_WARN] = "warn",
    [MESHSYNC_LOG_INFO] = "info",
    [MESHSYNC_LOG_DEBUG] = "debug",
};

/* Called from any thread: one write for the whole line keeps lines apart. */
static void run_on_log(void *user, int32_t level, const char *component, const char *message)
{
    const struct run_log *log = user;
    bool known = level >= MESHSYNC_LOG_ERROR && level <= MESHSYNC_LOG_DEBUG;
    const char *level_name = known ? run_levels[level] : "debug";
    struct timespec now = {.tv_sec = 0};
    struct tm utc = {.tm_mday = 1};
    char when[64];
    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &utc);
    if (strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &utc) == 0) {
        when[0] = '\0';
    }
    char *line = NULL;
    int len = -1;
    if (log->json) {
        json_t *object = json_object();
        char stamp[80];
        (void)snprintf(stamp, sizeof stamp, "%s.%03ldZ", when, now.tv_nsec / 1000000);
        bool good = json_put(object, "time", json_string(stamp)) &&
                    json_put(object, "level", json_string(level_name)) &&
                    json_put(object, "component", json_string(component)) &&
                    json_put(object, "message", json_of_bytes(meshsync_bytes_of(message)));
        char *text = good ? json_dumps(object, JSON_COMPACT) : NULL;
        len = text != NULL ? asprintf(&line, "%s\n", text) : -1;
        free(text);
        json_decref(object);
    } else {
        len = asprintf(&line, "%s.%03ldZ %-5s %s: %s\n", when, now.tv_nsec / 1000000, level_name,
                       component, message);
    }
    if (len > 0) {
        (void)io_write_all(STDERR_FILENO, line, (size_t)len); /* Nobody to tell otherwise. */
        free(line);
    }
}

/* A line of our own, with -v. */
__attribute__((format(printf, 2, 3))) static void run_note(struct run_log *log, const char *format,
                                                           ...)
{
    char words[512];
    va_list list;
    if (!log->verbose) {
        return;
    }
    va_start(list, format);
    (void)vsnprintf(words, sizeof words, format, list);
    va_end(list);
    run_on_log(log, MESHSYNC_LOG_INFO, "node", words);
}

/* How fast it may send. */
static int run_rates(struct cli_context *ctx, meshsync_options *options)
{
    static const struct {
        enum cli_option given;
        const char *name;
    } rates[] = {{CLI_OPT_RATE, "send_bytes_per_s"},
                 {CLI_OPT_PEER_RATE, "send_peer_bytes_per_s"},
                 {CLI_OPT_BURST, "send_burst_bytes"}};
    meshsync_error error = {.status = MESHSYNC_OK};
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        const char *text = cli_text(&ctx->args, rates[i].given);
        meshsync_status status =
            text != NULL ? meshsync_options_set(options, rates[i].name, text, &error) : MESHSYNC_OK;
        if (status != MESHSYNC_OK) {
            return cli_error(ctx, status, &error);
        }
    }
    return CLI_EXIT_DONE;
}

static int run_open(struct cli_context *ctx, struct run_log *log)
{
    int verbose = 0;
    while (cli_text_at(&ctx->args, CLI_OPT_VERBOSE, verbose) != NULL) {
        verbose++;
    }
    meshsync_options options;
    meshsync_options_init(&options, sizeof options);
    options.path = ctx->dir;
    options.log = run_on_log;
    options.log_user = log;
    options.log_level = verbose > 1   ? MESHSYNC_LOG_DEBUG
                        : verbose > 0 ? MESHSYNC_LOG_INFO
                                      : MESHSYNC_LOG_WARN;
    log->verbose = verbose > 0;
    options.busy_wait_ms = CLI_BUSY_MS_MAX;
    options.snapshot_ms_max = RUN_SNAPSHOT_MS_MAX;
    int code = run_rates(ctx, &options);
    if (code != CLI_EXIT_DONE) {
        return code;
    }
    meshsync_error error = {.status = MESHSYNC_OK};
    meshsync_status status = meshsync_node_open(&options, &ctx->node, &error);
    if (status == MESHSYNC_E_STORE_LOCKED) {
        return cli_fail(ctx, status, "another node runs on '%s'", ctx->dir);
    }
    if (status == MESHSYNC_OK) {
        status = meshsync_node_start(ctx->node, &error);
    }
    return status == MESHSYNC_OK ? CLI_EXIT_DONE : cli_error(ctx, status, &error);
}

static int run_say_listening(struct cli_context *ctx, struct run_log *log, const char *bound)
{
    run_note(log, "listening on %s", bound);
    if (!ctx->json) {
        io_printf(&ctx->io, "listening on %s\n", bound);
        return CLI_EXIT_DONE;
    }
    json_t *line = json_object();
    if (!json_put(line, "listening", json_string(bound))) {
        json_decref(line);
        return no_memory(ctx);
    }
    return json_line(ctx, line) ? CLI_EXIT_DONE : no_memory(ctx);
}

static int run_lan(struct cli_context *ctx, struct run_log *log)
{
    meshsync_error error = {.status = MESHSYNC_OK};
    const char *interface = cli_text(&ctx->args, CLI_OPT_LAN);
    const char *group = cli_text(&ctx->args, CLI_OPT_LAN_GROUP);
    if (interface == NULL) {
        return group == NULL
                   ? CLI_EXIT_DONE
                   : cli_fail(ctx, MESHSYNC_E_INVALID, "--lan-group says nothing without --lan");
    }
    run_note(log, "looking for nodes on the local network");
    bool all = strcmp(interface, "all") == 0;
    meshsync_status status = meshsync_node_lan(ctx->node, group, all ? NULL : interface, &error);
    return status == MESHSYNC_OK ? CLI_EXIT_DONE : cli_error(ctx, status, &error);
}

static int run_connect(struct cli_context *ctx, struct run_log *log)
{
    meshsync_error error = {.status = MESHSYNC_OK};
    const char *address = NULL;
    for (int i = 0; (address = cli_text_at(&ctx->args, CLI_OPT_LISTEN, i)) != NULL; i++) {
        char bound[MESHSYNC_ADDRESS_BYTES_MAX] = "";
        meshsync_status status = meshsync_node_listen(ctx->node, address, bound, &error);
        int code = status == MESHSYNC_OK ? run_say_listening(ctx, log, bound)
                                         : cli_error(ctx, status, &error);
        if (code != CLI_EXIT_DONE) {
            return code;
        }
    }
    for (int i = 0; (address = cli_text_at(&ctx->args, CLI_OPT_PEER, i)) != NULL; i++) {
        run_note(log, "dialling %s from now on", address);
        meshsync_status status = meshsync_peer_add(ctx->node, address, &error);
        if (status != MESHSYNC_OK) {
            return cli_error(ctx, status, &error);
        }
    }
    return run_lan(ctx, log);
}

static void run_say_ready(struct cli_context *ctx)
{
    bool listening = cli_given(&ctx->args, CLI_OPT_LISTEN);
    if (ctx->json) {
        io_text(&ctx->io, "{\"ready\":true}\n");
    } else {
        io_printf(&ctx->io, "ready%s\n",
                  listening ? ""
                            : "; not listening: --listen ADDR:PORT lets others dial this node");
    }
    io_flush(&ctx->io);
    if (!notify_send("READY=1\nSTATUS=Replicating")) {
        io_err(&ctx->io, "meshnode: run: NOTIFY_SOCKET does not take messages\n");
    }
}

/* The signals that end the node, held back in every thread. */
static void run_hold_signals(sigset_t *set)
{
    (void)sigemptyset(set);
    (void)sigaddset(set, SIGTERM);
    (void)sigaddset(set, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, set, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
}

static void run_note_event(struct run_log *log, const meshsync_event *event)
{
    meshsync_space_info info = {.size = sizeof info};
    meshsync_error error;
    if (event->type == MESHSYNC_EVENT_ALARM) {
        run_note(log, "alarm: two nodes differ, a clock is off, or something is damaged");
    }
    if (event->type != MESHSYNC_EVENT_SYNCED || event->space == NULL ||
        meshsync_space_get_info(event->space, &info, &error) != MESHSYNC_OK) {
        return; /* Sessions are logged by the library itself. */
    }
    run_note(log,
             "space '%s' is in sync with %02x%02x%02x%02x: %" PRIu64 " changes, %" PRIu64
             " entries",
             info.name, event->device[0], event->device[1], event->device[2], event->device[3],
             info.changes, info.entries);
}

/* Until a signal comes; with -v the node's events are logged meanwhile. */
static int run_until_signal(struct cli_context *ctx, struct run_log *log, const sigset_t *signals)
{
    meshsync_queue *queue = NULL;
    meshsync_error error = {.status = MESHSYNC_OK};
    if (log->verbose) {
        meshsync_status status = meshsync_queue_open(ctx->node, NULL, NULL, &queue, &error);
        if (status != MESHSYNC_OK) {
            return cli_error(ctx, status, &error);
        }
    }
    int fd = signalfd(-1, signals, SFD_CLOEXEC);
    struct pollfd fds[2] = {
        {.fd = fd, .events = POLLIN},
        {.fd = queue != NULL ? meshsync_queue_fd(queue) : -1, .events = POLLIN}};
    while (fd >= 0 && (poll(fds, 2, -1) < 0 || (fds[0].revents & POLLIN) == 0)) {
        meshsync_event event = {.size = sizeof event};
        while (queue != NULL && meshsync_queue_next(queue, 0, &event, &error) == MESHSYNC_OK) {
            run_note_event(log, &event);
        }
    }
    meshsync_queue_close(queue);
    if (fd < 0) {
        return cli_fail(ctx, MESHSYNC_E_RESOURCE, "signals: %s", strerror(errno));
    }
    struct signalfd_siginfo taken;
    ssize_t n = read(fd, &taken, sizeof taken); /* So that it does not come again below. */
    (void)close(fd);
    run_note(log, "stopping by signal %u", n == (ssize_t)sizeof taken ? taken.ssi_signo : 0);
    return CLI_EXIT_DONE;
}

static int run_serve(struct cli_context *ctx, struct run_log *log, const sigset_t *signals)
{
    struct control_server server;
    int code = run_connect(ctx, log);
    if (code != CLI_EXIT_DONE) {
        return code;
    }
    if (!control_server_start(&server, ctx->node, ctx->dir)) {
        return cli_fail(ctx, MESHSYNC_E_RESOURCE, "the control socket in '%s': %s", ctx->dir,
                        strerror(errno));
    }
    run_say_ready(ctx);
    code = run_until_signal(ctx, log, signals);
    /* A second signal ends the process at once. */
    (void)pthread_sigmask(SIG_UNBLOCK, signals, NULL);
    (void)notify_send("STOPPING=1"); /* Nothing to do about it. */
    control_server_stop(&server);
    return code;
}

int cmd_run(struct cli_context *ctx, int argc, char **argv)
{
    (void)argc;
    (void)argv;
    struct run_log log = {.json = ctx->json};
    sigset_t signals;
    run_hold_signals(&signals);
    int code = run_open(ctx, &log);
    if (code == CLI_EXIT_DONE) {
        code = run_serve(ctx, &log, &signals);
    }
    meshsync_status status = meshsync_node_close(ctx->node);
    ctx->node = NULL;
    return code != CLI_EXIT_DONE || status == MESHSYNC_OK ? code : cli_error(ctx, status, NULL);
}
