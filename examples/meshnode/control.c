/* SPDX-License-Identifier: Apache-2.0 */
#include "control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static const char control_name[] = "control.sock";

void control_head_write(uint8_t head[CONTROL_HEAD_BYTES], enum control_type type, uint32_t len)
{
    head[0] = (uint8_t)type;
    for (int i = 0; i < 4; i++) {
        head[1 + i] = (uint8_t)(len >> (8 * i) & 0xffu);
    }
}

uint32_t control_head_len(const uint8_t head[CONTROL_HEAD_BYTES])
{
    return (uint32_t)head[1] | (uint32_t)head[2] << 8 | (uint32_t)head[3] << 16 |
           (uint32_t)head[4] << 24;
}

/*
 * Binds or connects by way of the folder's descriptor: an address has room for 107 bytes only, and
 * changing the working folder would change it for every thread.
 */
static bool control_attach(int fd, int dir_fd, bool listening)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", dir_fd,
                   control_name);
    const struct sockaddr *plain = (const struct sockaddr *)&address;
    if (!listening) {
        return connect(fd, plain, sizeof address) == 0;
    }
    /* The store's lock is ours, so a socket that is there was left by a node that is gone. */
    if (unlinkat(dir_fd, control_name, 0) != 0 && errno != ENOENT) {
        return false;
    }
    /* Nobody can connect before listen(), so the mode is set in time. */
    return bind(fd, plain, sizeof address) == 0 && chmod(address.sun_path, 0600) == 0 &&
           listen(fd, 64) == 0;
}

int control_socket(const char *dir, bool listening)
{
    int dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0) {
        return -1;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && !control_attach(fd, dir_fd, listening)) {
        int error = errno;
        (void)close(fd);
        fd = -1;
        errno = error;
    }
    int error = errno;
    (void)close(dir_fd);
    errno = error;
    return fd;
}

void control_remove(const char *dir)
{
    int dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd >= 0) {
        (void)unlinkat(dir_fd, control_name, 0); /* A socket left there does no harm. */
        (void)close(dir_fd);
    }
}

bool control_request_read(char *frame, size_t len, struct control_request *request)
{
    *request = (struct control_request){.words = NULL};
    if (len < 3 || frame[0] != CONTROL_VERSION || frame[len - 1] != '\0') {
        return false;
    }
    int count = 0;
    for (size_t i = 2; i < len; i++) {
        count += frame[i] == '\0' ? 1 : 0;
        if (count > CONTROL_WORDS_MAX) {
            return false;
        }
    }
    request->flags = (uint8_t)frame[1];
    request->words = calloc((size_t)count + 1, sizeof *request->words);
    if (request->words == NULL) {
        return false;
    }
    char *at = frame + 2;
    while (request->words_count < count) {
        request->words[request->words_count++] = at;
        at += strlen(at) + 1;
    }
    return true;
}
