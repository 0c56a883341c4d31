/* SPDX-License-Identifier: Apache-2.0 */
/* The processes of the demo: this same program, in folders of its own. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "demo.h"

enum { DEMO_OUTPUT_BYTES_MAX = 16 << 20, DEMO_LINE_BYTES_MAX = 1024 };

static volatile sig_atomic_t demo_signal;

static void demo_on_signal(int number)
{
    demo_signal = number;
}

bool demo_interrupted(void)
{
    return demo_signal != 0;
}

bool demo_folder_make(struct demo *demo)
{
    const char *base = getenv("TMPDIR");
    struct sigaction action = {.sa_handler = demo_on_signal};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    int len = snprintf(demo->folder, sizeof demo->folder, "%s/meshnode-demo-XXXXXX",
                       base != NULL && base[0] != '\0' ? base : "/tmp");
    bool good = len > 0 && (size_t)len < sizeof demo->folder - 32;
    if (!good || mkdtemp(demo->folder) == NULL) {
        int error = good ? errno : ENAMETOOLONG;
        demo->folder[0] = '\0';
        return demo_fail(demo, "a temporary folder: %s", strerror(error));
    }
    for (size_t i = 0; i < DEMO_NODES; i++) {
        struct demo_node *node = &demo->nodes[i];
        len = snprintf(node->dir, sizeof node->dir, "%s/%s", demo->folder, node->name);
        if (len < 0 || (size_t)len >= sizeof node->dir) {
            return demo_fail(demo, "the name of the temporary folder is too long");
        }
    }
    return true;
}

static int demo_remove_one(const char *path, const struct stat *about, int type, struct FTW *place)
{
    (void)about;
    (void)type;
    (void)place;
    (void)remove(path); /* What cannot be removed shows at its folder. */
    return 0;
}

void demo_folder_end(struct demo *demo)
{
    for (size_t i = 0; i < DEMO_NODES; i++) {
        demo_node_kill(&demo->nodes[i]);
    }
    if (demo->folder[0] == '\0') {
        return;
    }
    if (cli_given(&demo->ctx->args, CLI_OPT_KEEP)) {
        demo_say(demo, "the data folders are in %s", demo->folder);
        return;
    }
    (void)nftw(demo->folder, demo_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* In the child: becomes meshnode with the words and -d DIR --json. */
static void demo_become(const struct demo_node *node, const char *const *words)
{
    char program[] = "meshnode";
    char option_dir[] = "-d";
    char option_json[] = "--json";
    char *argv[DEMO_WORDS_MAX + 6] = {program};
    char dir[DEMO_PATH_BYTES];
    size_t count = 1;
    (void)snprintf(dir, sizeof dir, "%s", node->dir);
    for (size_t i = 0; words[i] != NULL && i < DEMO_WORDS_MAX; i++) {
        argv[count] = strdup(words[i]);
        if (argv[count++] == NULL) {
            _exit(CLI_EXIT_STORE);
        }
    }
    argv[count++] = option_dir;
    argv[count++] = dir;
    argv[count++] = option_json;
    argv[count] = NULL;
    (void)execv("/proc/self/exe", argv);
    _exit(CLI_EXIT_STORE);
}

bool demo_spawn(struct demo *demo, const struct demo_node *node, const char *const *words,
                struct demo_child *child)
{
    int out[2];
    int err[2];
    *child = (struct demo_child){.out_fd = -1, .err_fd = -1};
    if (pipe2(out, O_CLOEXEC) != 0) {
        return demo_fail(demo, "a pipe: %s", strerror(errno));
    }
    if (pipe2(err, O_CLOEXEC) != 0) {
        (void)close(out[0]);
        (void)close(out[1]);
        return demo_fail(demo, "a pipe: %s", strerror(errno));
    }
    const pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        /* Nothing that the demo started may outlive it. */
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)setpgid(0, 0); /* Ctrl-C is for the demo, which ends its children itself. */
        if (getppid() != parent || dup2(out[1], STDOUT_FILENO) < 0 ||
            dup2(err[1], STDERR_FILENO) < 0) {
            _exit(CLI_EXIT_STORE);
        }
        demo_become(node, words);
    }
    (void)close(out[1]);
    (void)close(err[1]);
    if (pid < 0) {
        (void)close(out[0]);
        (void)close(err[0]);
        return demo_fail(demo, "a process: %s", strerror(errno));
    }
    *child = (struct demo_child){.pid = pid, .out_fd = out[0], .err_fd = err[0]};
    return true;
}

/* Reads more into text; false at the end of the stream. */
static bool demo_take(int fd, char **text, size_t *len)
{
    enum { PART = 4096 };
    char *more = *len < DEMO_OUTPUT_BYTES_MAX ? realloc(*text, *len + PART + 1) : NULL;
    if (more == NULL) {
        return false;
    }
    *text = more;
    ssize_t n = read(fd, more + *len, PART);
    *len += n > 0 ? (size_t)n : 0;
    more[*len] = '\0';
    return n > 0 || (n < 0 && errno == EINTR);
}

static void demo_drain(struct demo_child *child, char **out, char **err)
{
    size_t out_len = 0;
    size_t err_len = 0;
    while (child->out_fd >= 0 || child->err_fd >= 0) {
        struct pollfd fds[2] = {{.fd = child->out_fd, .events = POLLIN},
                                {.fd = child->err_fd, .events = POLLIN}};
        if (poll(fds, 2, 500) < 0 && demo_interrupted()) {
            (void)kill(child->pid, SIGKILL);
        }
        if (fds[0].revents != 0 && !demo_take(child->out_fd, out, &out_len)) {
            (void)close(child->out_fd);
            child->out_fd = -1;
        }
        if (fds[1].revents != 0 && !demo_take(child->err_fd, err, &err_len)) {
            (void)close(child->err_fd);
            child->err_fd = -1;
        }
    }
}

static json_t *demo_parse_lines(char *text)
{
    json_t *lines = json_array();
    char *rest = NULL;
    for (char *line = strtok_r(text, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        json_error_t error;
        json_t *json = json_loads(line, JSON_ALLOW_NUL, &error);
        if (json == NULL || json_array_append_new(lines, json) != 0) {
            json_decref(lines);
            return NULL;
        }
    }
    return lines;
}

json_t *demo_collect(struct demo *demo, struct demo_child *child, int *code)
{
    char *out = NULL;
    char *err = NULL;
    int state = 0;
    demo_drain(child, &out, &err);
    while (waitpid(child->pid, &state, 0) < 0 && errno == EINTR) {
    }
    int exit_code = WIFEXITED(state) ? WEXITSTATUS(state) : -1;
    json_t *lines = demo_parse_lines(out != NULL ? out : (char[]){""});
    if (code != NULL) {
        *code = exit_code;
    } else if (exit_code != 0 && !demo_interrupted()) {
        (void)demo_fail(demo, "a command ended with %d: %s", exit_code, err != NULL ? err : "");
    }
    free(out);
    free(err);
    if (lines != NULL && code == NULL && exit_code != 0) {
        json_decref(lines);
        lines = NULL;
    }
    return lines;
}

bool demo_child_speaks(const struct demo_child *child, int timeout_ms)
{
    struct pollfd one = {.fd = child->out_fd, .events = POLLIN};
    return poll(&one, 1, timeout_ms) > 0 && (one.revents & POLLIN) != 0;
}

void demo_child_kill(struct demo_child *child)
{
    if (child->pid > 0) {
        (void)kill(child->pid, SIGKILL);
        while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR) {
        }
    }
    if (child->out_fd >= 0) {
        (void)close(child->out_fd);
    }
    if (child->err_fd >= 0) {
        (void)close(child->err_fd);
    }
    *child = (struct demo_child){.out_fd = -1, .err_fd = -1};
}

json_t *demo_run(struct demo *demo, const struct demo_node *node, const char *const *words)
{
    struct demo_child child;
    if (demo_interrupted()) {
        (void)demo_fail(demo, "interrupted");
        return NULL;
    }
    return demo_spawn(demo, node, words, &child) ? demo_collect(demo, &child, NULL) : NULL;
}

bool demo_do(struct demo *demo, const struct demo_node *node, const char *const *words)
{
    json_t *lines = demo_run(demo, node, words);
    json_decref(lines);
    return lines != NULL;
}

/* One line of a node's output. */
static json_t *demo_read_line(struct demo_node *node, uint64_t deadline_ms)
{
    char line[DEMO_LINE_BYTES_MAX];
    size_t len = 0;
    while (len + 1 < sizeof line && monotonic_ms() < deadline_ms && !demo_interrupted()) {
        struct pollfd one = {.fd = node->out_fd, .events = POLLIN};
        if (poll(&one, 1, 100) <= 0) {
            continue;
        }
        ssize_t n = read(node->out_fd, &line[len], 1);
        if (n <= 0) {
            return NULL;
        }
        if (line[len] == '\n') {
            json_error_t error;
            return json_loadb(line, len, 0, &error);
        }
        len++;
    }
    return NULL;
}

/* Waits for {"listening"} and {"ready"}. */
static bool demo_await_ready(struct demo_node *node)
{
    uint64_t deadline_ms = monotonic_ms() + DEMO_START_MS_MAX;
    for (;;) {
        json_t *line = demo_read_line(node, deadline_ms);
        if (line == NULL) {
            return false;
        }
        const char *listening = json_string_value(json_object_get(line, "listening"));
        bool ready = json_is_true(json_object_get(line, "ready"));
        if (listening != NULL) {
            (void)snprintf(node->address, sizeof node->address, "%s", listening);
        }
        json_decref(line);
        if (ready) {
            return true;
        }
    }
}

bool demo_node_start(struct demo *demo, struct demo_node *node, const char *listen,
                     const char *const peers[2])
{
    const char *words[DEMO_WORDS_MAX] = {"run"};
    size_t count = 1;
    if (listen != NULL) {
        words[count++] = "--listen";
        words[count++] = listen;
    }
    for (int i = 0; i < 2 && peers[i] != NULL; i++) {
        words[count++] = "--peer";
        words[count++] = peers[i];
    }
    struct demo_child child;
    if (!demo_spawn(demo, node, words, &child)) {
        return false;
    }
    node->pid = child.pid;
    node->out_fd = child.out_fd;
    if (demo_await_ready(node)) {
        (void)close(child.err_fd); /* A node that runs is heard through its commands. */
        return true;
    }
    child.out_fd = -1;
    (void)kill(child.pid, SIGKILL);
    node->pid = 0;
    (void)close(node->out_fd);
    node->out_fd = -1;
    int code = 0;
    json_decref(demo_collect(demo, &child, &code));
    return demo_fail(demo, "node %s did not start", node->name);
}

static int demo_reap(struct demo_node *node, int number)
{
    int state = 0;
    if (node->pid <= 0) {
        return -1;
    }
    (void)kill(node->pid, number);
    while (waitpid(node->pid, &state, 0) < 0 && errno == EINTR) {
    }
    (void)close(node->out_fd);
    node->pid = 0;
    node->out_fd = -1;
    return state;
}

bool demo_node_stop(struct demo *demo, struct demo_node *node)
{
    int state = demo_reap(node, SIGTERM);
    if (!WIFEXITED(state) || WEXITSTATUS(state) != 0) {
        return demo_fail(demo, "node %s did not stop cleanly", node->name);
    }
    return true;
}

void demo_node_kill(struct demo_node *node)
{
    (void)demo_reap(node, SIGKILL);
}
