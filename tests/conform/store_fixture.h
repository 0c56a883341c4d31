/* SPDX-License-Identifier: Apache-2.0 */
/* A store of either kind for a test, LMDB in a folder of its own that goes with it. */
#ifndef TESTS_CONFORM_STORE_FIXTURE_H
#define TESTS_CONFORM_STORE_FIXTURE_H

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/store.h"

enum fixture_kind { FIXTURE_LMDB = 0, FIXTURE_MEMORY = 1 };

struct fixture {
    struct msy_alloc alloc;
    struct msy_store *store;
    struct msy_store_options options;
    char path[512]; /* Empty for memory. */
};

static inline meshsync_bytes fixture_text(const char *words)
{
    return (meshsync_bytes){(const uint8_t *)words, strlen(words)};
}

static inline void fixture_make_folder(char *path, size_t path_size)
{
    const char *base = getenv("TMPDIR");
    int wrote = snprintf(path, path_size, "%s/msy-store-XXXXXX",
                         base == NULL || *base == '\0' ? "/tmp" : base);
    assert_true(wrote > 0 && (size_t)wrote < path_size);
    assert_non_null(mkdtemp(path));
}

/* The folder holds files only. */
static inline void fixture_remove_folder(const char *path)
{
    DIR *dir = opendir(path);
    assert_non_null(dir);
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            assert_int_equal(unlinkat(dirfd(dir), entry->d_name, 0), 0);
        }
    }
    assert_int_equal(closedir(dir), 0);
    assert_int_equal(rmdir(path), 0);
}

static inline void fixture_open(struct fixture *fixture)
{
    meshsync_error error;
    memset(&error, 0, sizeof error);
    meshsync_status status = fixture->path[0] == '\0'
                                 ? msy_store_open_memory(&fixture->alloc, &fixture->store, &error)
                                 : msy_store_open_lmdb(&fixture->options, &fixture->store, &error);
    if (status != MESHSYNC_OK) {
        fail_msg("open: %s", error.message);
    }
}

static inline void fixture_close(struct fixture *fixture)
{
    msy_store_close(fixture->store);
    fixture->store = NULL;
}

static inline void fixture_init(struct fixture *fixture, enum fixture_kind kind)
{
    memset(fixture, 0, sizeof *fixture);
    msy_alloc_init(&fixture->alloc, NULL, NULL, 0);
    if (kind == FIXTURE_LMDB) {
        fixture_make_folder(fixture->path, sizeof fixture->path);
        fixture->options.alloc = &fixture->alloc;
        fixture->options.path = fixture->path;
        fixture->options.map_bytes = 256u << 20;
        fixture->options.readers_max = 64;
    }
}

static inline void fixture_fini(struct fixture *fixture)
{
    fixture_close(fixture);
    assert_int_equal(fixture->alloc.bytes_used, 0);
    if (fixture->path[0] != '\0') {
        fixture_remove_folder(fixture->path);
    }
}

static inline struct msy_store_txn *fixture_begin(struct fixture *fixture, enum msy_txn_mode mode)
{
    struct msy_store_txn *txn = NULL;
    assert_int_equal(msy_store_begin(fixture->store, mode, &txn), MESHSYNC_OK);
    assert_non_null(txn);
    return txn;
}

static inline void fixture_put(struct msy_store_txn *txn, const char *key, const char *value)
{
    assert_int_equal(
        msy_store_put(txn, MSY_TABLE_STATE, fixture_text(key), fixture_text(value), MSY_PUT_ANY),
        MESHSYNC_OK);
}

/* In a transaction of its own. */
static inline void fixture_put_one(struct fixture *fixture, const char *key, const char *value)
{
    struct msy_store_txn *txn = fixture_begin(fixture, MSY_TXN_WRITE);
    fixture_put(txn, key, value);
    assert_int_equal(msy_store_commit(txn), MESHSYNC_OK);
}

/* value NULL: the key must not be there. */
static inline void fixture_expect(struct msy_store_txn *txn, const char *key, const char *value)
{
    meshsync_bytes found;
    meshsync_status status = msy_store_get(txn, MSY_TABLE_STATE, fixture_text(key), &found);
    if (value == NULL) {
        assert_int_equal(status, MESHSYNC_E_NOT_FOUND);
        return;
    }
    assert_int_equal(status, MESHSYNC_OK);
    assert_int_equal(found.len, strlen(value));
    assert_memory_equal(found.data, value, found.len);
}

static inline void fixture_expect_one(struct fixture *fixture, const char *key, const char *value)
{
    struct msy_store_txn *txn = fixture_begin(fixture, MSY_TXN_READ);
    fixture_expect(txn, key, value);
    msy_store_abort(txn);
}

#endif
