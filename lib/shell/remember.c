/* SPDX-License-Identifier: Apache-2.0 */
#include "shell/remember.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shell/address.h"

#define REMEMBER_NAME "addresses.txt"

static const char remember_peer_word[] = "peer ";
static const char remember_listen_word[] = "listen ";

typedef char remember_text[MESHSYNC_ADDRESS_BYTES_MAX];

static bool remember_good(const char *text)
{
    struct msy_address address;
    return msy_address_parse(text, &address, NULL) == MESHSYNC_OK;
}

static uint32_t remember_find(remember_text *texts, uint32_t count, const char *text)
{
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(texts[i], text) == 0) {
            return i;
        }
    }
    return count;
}

static void remember_append(remember_text *texts, uint32_t *count, uint32_t max, const char *text)
{
    if (*count < max && remember_good(text) && remember_find(texts, *count, text) == *count) {
        (void)snprintf(texts[*count], sizeof texts[*count], "%s", text);
        *count += 1;
    }
}

static void remember_line(struct msy_remember *remember, const char *line)
{
    if (strncmp(line, remember_peer_word, sizeof remember_peer_word - 1) == 0) {
        remember_append(remember->peers, &remember->peers_count, MSY_REMEMBER_PEERS_MAX,
                        line + sizeof remember_peer_word - 1);
    } else if (strncmp(line, remember_listen_word, sizeof remember_listen_word - 1) == 0) {
        remember_append(remember->listens, &remember->listens_count, MSY_REMEMBER_LISTENS_MAX,
                        line + sizeof remember_listen_word - 1);
    }
}

static void remember_read(struct msy_remember *remember)
{
    char line[MESHSYNC_ADDRESS_BYTES_MAX + 32];
    FILE *file = fopen(remember->path, "re");
    uint32_t lines_left = 4 * MSY_REMEMBER_PEERS_MAX;
    if (file == NULL) {
        return;
    }
    while (lines_left > 0 && fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\r\n")] = '\0';
        remember_line(remember, line);
        lines_left -= 1;
    }
    (void)fclose(file); /* Nothing was written. */
}

struct msy_remember *msy_remember_new(struct msy_alloc *alloc, const char *folder)
{
    struct msy_remember *remember = msy_new(alloc, sizeof *remember);
    if (remember == NULL) {
        return NULL;
    }
    if (pthread_mutex_init(&remember->lock, NULL) != 0) {
        msy_free(alloc, remember, sizeof *remember);
        return NULL;
    }
    (void)snprintf(remember->path, sizeof remember->path, "%s/" REMEMBER_NAME, folder);
    int len =
        snprintf(remember->path_new, sizeof remember->path_new, "%s/" REMEMBER_NAME ".new", folder);
    if (len < 0 || (size_t)len >= sizeof remember->path_new) {
        remember->path[0] = '\0'; /* Too long a path: nothing is remembered. */
    } else {
        remember_read(remember);
    }
    return remember;
}

void msy_remember_free(struct msy_remember *remember, struct msy_alloc *alloc)
{
    if (remember != NULL) {
        (void)pthread_mutex_destroy(&remember->lock);
        msy_free(alloc, remember, sizeof *remember);
    }
}

static bool remember_write_lines(int fd, const char *word, const remember_text *texts,
                                 uint32_t count)
{
    char line[MESHSYNC_ADDRESS_BYTES_MAX + 16];
    bool good = true;
    for (uint32_t i = 0; i < count && good; i++) {
        int len = snprintf(line, sizeof line, "%s%s\n", word, texts[i]);
        good = len > 0 && write(fd, line, (size_t)len) == (ssize_t)len;
    }
    return good;
}

static void remember_write(const struct msy_remember *remember)
{
    if (remember->path[0] == '\0') {
        return;
    }
    int fd = open(remember->path_new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return; /* The next change tries again. */
    }
    bool good =
        remember_write_lines(fd, remember_listen_word, remember->listens,
                             remember->listens_count) &&
        remember_write_lines(fd, remember_peer_word, remember->peers, remember->peers_count);
    good = close(fd) == 0 && good;
    if (!good || rename(remember->path_new, remember->path) != 0) {
        (void)unlink(remember->path_new); /* The old file stays. */
    }
}

/* Takes out the entry at index. */
static void remember_drop(remember_text *texts, uint32_t *count, uint32_t index)
{
    memmove(texts[index], texts[index + 1], (*count - index - 1) * sizeof texts[0]);
    *count -= 1;
}

void msy_remember_peer(struct msy_remember *remember, const char *text)
{
    if (!remember_good(text)) {
        return;
    }
    (void)pthread_mutex_lock(&remember->lock);
    uint32_t found = remember_find(remember->peers, remember->peers_count, text);
    bool is_new = found == remember->peers_count;
    if (!is_new) {
        remember_drop(remember->peers, &remember->peers_count, found);
    } else if (remember->peers_count == MSY_REMEMBER_PEERS_MAX) {
        remember->peers_count -= 1; /* The oldest. */
    }
    memmove(remember->peers[1], remember->peers[0],
            remember->peers_count * sizeof remember->peers[0]);
    (void)snprintf(remember->peers[0], sizeof remember->peers[0], "%s", text);
    remember->peers_count += 1;
    if (is_new) {
        remember_write(remember);
    }
    (void)pthread_mutex_unlock(&remember->lock);
}

void msy_remember_forget(struct msy_remember *remember, const char *text)
{
    (void)pthread_mutex_lock(&remember->lock);
    uint32_t found = remember_find(remember->peers, remember->peers_count, text);
    if (found < remember->peers_count) {
        remember_drop(remember->peers, &remember->peers_count, found);
        remember_write(remember);
    }
    (void)pthread_mutex_unlock(&remember->lock);
}

void msy_remember_listen(struct msy_remember *remember, const char *text, bool first)
{
    (void)pthread_mutex_lock(&remember->lock);
    if (first) {
        remember->listens_count = 0;
    }
    remember_append(remember->listens, &remember->listens_count, MSY_REMEMBER_LISTENS_MAX, text);
    remember_write(remember);
    (void)pthread_mutex_unlock(&remember->lock);
}

static bool remember_copy(struct msy_remember *remember, remember_text *from, const uint32_t *count,
                          uint32_t index, char *text)
{
    (void)pthread_mutex_lock(&remember->lock);
    bool there = index < *count;
    if (there) {
        memcpy(text, from[index], sizeof from[index]);
    }
    (void)pthread_mutex_unlock(&remember->lock);
    return there;
}

bool msy_remember_peer_at(struct msy_remember *remember, uint32_t index, char *text)
{
    return remember_copy(remember, remember->peers, &remember->peers_count, index, text);
}

bool msy_remember_listen_at(struct msy_remember *remember, uint32_t index, char *text)
{
    return remember_copy(remember, remember->listens, &remember->listens_count, index, text);
}
