/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/secure/secure_kit.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#if defined(__has_include)
#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#define KIT_VALGRIND 1
#endif
#endif

static uint8_t kit_digit(char digit)
{
    return (uint8_t)(digit <= '9' ? digit - '0' : digit - 'a' + 10);
}

size_t kit_hex(const char *text, uint8_t *out, size_t max)
{
    size_t len = 0;
    for (; text[0] != 0 && text[1] != 0 && len < max; text += 2) {
        out[len++] = (uint8_t)(kit_digit(text[0]) << 4 | kit_digit(text[1]));
    }
    return len;
}

bool kit_folder_make(char *path, size_t max)
{
    const char *base = getenv("TMPDIR");
    int len = snprintf(path, max, "%s/meshsync-secure.XXXXXX", base == NULL ? "/tmp" : base);
    return len > 0 && (size_t)len < max && mkdtemp(path) != NULL;
}

/* Calls what is asked for each name in the folder; returns how many there are. */
static int kit_each(const char *path, int (*visit)(const char *))
{
    char name[1024];
    int count = 0;
    DIR *folder = opendir(path);
    if (folder == NULL) {
        return -1;
    }
    const struct dirent *entry;
    while ((entry = readdir(folder)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        count += 1;
        int len = snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        if (visit != NULL && len > 0 && (size_t)len < sizeof name) {
            (void)visit(name);
        }
    }
    (void)closedir(folder);
    return count;
}

void kit_folder_remove(const char *path)
{
    (void)chmod(path, 0700);
    (void)kit_each(path, remove);
    (void)rmdir(path);
}

int kit_folder_count(const char *path)
{
    return kit_each(path, NULL);
}

#ifdef KIT_VALGRIND
bool kit_watched(void)
{
    return RUNNING_ON_VALGRIND != 0;
}

void kit_mark_secret(void *secret, size_t n)
{
    (void)VALGRIND_MAKE_MEM_UNDEFINED(secret, n);
}

void kit_mark_public(void *bytes, size_t n)
{
    (void)VALGRIND_MAKE_MEM_DEFINED(bytes, n);
}

unsigned kit_errors_count(void)
{
    return (unsigned)VALGRIND_COUNT_ERRORS;
}
#else
bool kit_watched(void)
{
    return false;
}

void kit_mark_secret(void *secret, size_t n)
{
    (void)secret;
    (void)n;
}

void kit_mark_public(void *bytes, size_t n)
{
    (void)bytes;
    (void)n;
}

unsigned kit_errors_count(void)
{
    return 0;
}
#endif
