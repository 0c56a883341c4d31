/* SPDX-License-Identifier: Apache-2.0 */
/* Shows that every kept input of a fuzz target still goes through it: stands in for the fuzzer, so
 * that any compiler and sanitizer can run them. Arguments are files, or folders of files. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* What the fuzzer offers to custom mutators; nothing is mutated here. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max)
{
    (void)data;
    (void)max;
    return size;
}

enum { REPLAY_BYTES_MAX = 1 << 20 };

static int replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *whole = malloc(REPLAY_BYTES_MAX);
    if (file == NULL || whole == NULL) {
        (void)fprintf(stderr, "%s: cannot be read\n", path);
        exit(1);
    }
    size_t len = fread(whole, 1, REPLAY_BYTES_MAX, file);
    (void)fclose(file);
    uint8_t *data = malloc(len + 1); /* Hardly more than it needs: reading behind it is seen. */
    if (data != NULL) {
        memcpy(data, whole, len);
        (void)LLVMFuzzerTestOneInput(data, len);
    }
    free(data);
    free(whole);
    return 1;
}

static int replay(const char *path)
{
    DIR *folder = opendir(path);
    int count = 0;
    if (folder == NULL) {
        return replay_file(path);
    }
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        char name[1024];
        if (entry->d_name[0] != '.') {
            (void)snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
            count += replay_file(name);
        }
    }
    (void)closedir(folder);
    return count;
}

int main(int argc, char **argv)
{
    int count = 0;
    for (int i = 1; i < argc; i++) {
        count += replay(argv[i]);
    }
    printf("%d inputs\n", count);
    return count > 0 || argc < 2 ? 0 : 1;
}
