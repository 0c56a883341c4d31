/* SPDX-License-Identifier: Apache-2.0 */
/* The bare limits: LMDB alone, and a loop that copies between two of them by libuv and msgpack. */
#ifndef BENCH_BARE_H
#define BENCH_BARE_H

#include <lmdb.h>

#include "kit.h"

struct bare_store {
    char folder[KIT_PATH_BYTES_MAX];
    MDB_env *env;
    MDB_dbi table;
};

void bare_open(struct bare_store *store);
void bare_reopen(struct bare_store *store);
void bare_close(struct bare_store *store);
void bare_begin(struct bare_store *store, MDB_txn **txn);
void bare_put(struct bare_store *store, MDB_txn *txn, const char *key, const void *value,
              size_t value_len);
void bare_commit(MDB_txn *txn);
/* With the value's checksum in front of it, which the two below compute again and compare. */
void bare_put_checked(struct bare_store *store, MDB_txn *txn, const char *key, const void *value,
                      size_t value_len);
void bare_get_checked(struct bare_store *store, MDB_txn *txn, const char *key);
/* All entries in order; how many. */
uint64_t bare_scan_checked(struct bare_store *store);
void bare_begin_read(struct bare_store *store, MDB_txn **txn);
/* Bytes of the file that holds the data. */
uint64_t bare_disk_bytes(const char *folder);

/* Two stores: what is put into the first is sent to the second, which commits and acknowledges. */
struct bare_pair;
struct bare_pair *bare_pair_open(void);
void bare_pair_close(struct bare_pair *pair);
/* Commits puts first to first + count - 1 of a round here, and sends them. */
void bare_pair_put(struct bare_pair *pair, uint64_t round, uint64_t first, uint64_t count);
/* Until everything that was sent is durable there. */
void bare_pair_wait(struct bare_pair *pair);

#endif
