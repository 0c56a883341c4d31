/* SPDX-License-Identifier: Apache-2.0 */
#include "bare.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <msgpack.h>
#include <uv.h>

#include "base/buf.h"

/* ---- LMDB alone ---- */

static void bare_ok(int result, const char *what)
{
    if (result != 0) {
        kit_fail(what, mdb_strerror(result));
    }
}

static void bare_open_env(struct bare_store *store)
{
    MDB_txn *txn = NULL;
    bare_ok(mdb_env_create(&store->env), "mdb_env_create");
    bare_ok(mdb_env_set_mapsize(store->env, (size_t)32 << 30), "mdb_env_set_mapsize");
    bare_ok(mdb_env_set_maxdbs(store->env, 1), "mdb_env_set_maxdbs");
    bare_ok(mdb_env_open(store->env, store->folder, MDB_NOTLS, 0600), "mdb_env_open");
    bare_ok(mdb_txn_begin(store->env, NULL, 0, &txn), "mdb_txn_begin");
    bare_ok(mdb_dbi_open(txn, "data", MDB_CREATE, &store->table), "mdb_dbi_open");
    bare_ok(mdb_txn_commit(txn), "mdb_txn_commit");
}

void bare_open(struct bare_store *store)
{
    kit_folder(store->folder);
    bare_open_env(store);
}

void bare_reopen(struct bare_store *store)
{
    mdb_env_close(store->env);
    bare_open_env(store);
}

void bare_close(struct bare_store *store)
{
    mdb_env_close(store->env);
    kit_remove(store->folder);
}

void bare_begin(struct bare_store *store, MDB_txn **txn)
{
    bare_ok(mdb_txn_begin(store->env, NULL, 0, txn), "mdb_txn_begin");
}

void bare_put(struct bare_store *store, MDB_txn *txn, const char *key, const void *value,
              size_t value_len)
{
    MDB_val k = {strlen(key), (void *)(uintptr_t)key};
    MDB_val v = {value_len, (void *)(uintptr_t)value};
    bare_ok(mdb_put(txn, store->table, &k, &v, 0), "mdb_put");
}

void bare_commit(MDB_txn *txn)
{
    bare_ok(mdb_txn_commit(txn), "mdb_txn_commit");
}

void bare_begin_read(struct bare_store *store, MDB_txn **txn)
{
    bare_ok(mdb_txn_begin(store->env, NULL, MDB_RDONLY, txn), "mdb_txn_begin");
}

void bare_put_checked(struct bare_store *store, MDB_txn *txn, const char *key, const void *value,
                      size_t value_len)
{
    uint8_t checked[4 + KIT_VALUE_BYTES];
    uint32_t crc = msy_crc32c(msy_crc32c(0, (const uint8_t *)key, strlen(key)),
                              (const uint8_t *)value, value_len);
    memcpy(checked, &crc, sizeof crc);
    memcpy(checked + sizeof crc, value, value_len);
    bare_put(store, txn, key, checked, sizeof crc + value_len);
}

static void bare_check(const MDB_val *key, const MDB_val *value)
{
    uint32_t crc = 0;
    const uint8_t *bytes = value->mv_data;
    memcpy(&crc, bytes, sizeof crc);
    if (msy_crc32c(msy_crc32c(0, key->mv_data, key->mv_size), bytes + sizeof crc,
                   value->mv_size - sizeof crc) != crc) {
        kit_fail("a checksum", "differs");
    }
}

void bare_get_checked(struct bare_store *store, MDB_txn *txn, const char *key)
{
    MDB_val k = {strlen(key), (void *)(uintptr_t)key};
    MDB_val v = {0, NULL};
    bare_ok(mdb_get(txn, store->table, &k, &v), "mdb_get");
    bare_check(&k, &v);
}

uint64_t bare_scan_checked(struct bare_store *store)
{
    MDB_txn *txn = NULL;
    MDB_cursor *cursor = NULL;
    MDB_val k;
    MDB_val v;
    uint64_t count = 0;
    bare_begin_read(store, &txn);
    bare_ok(mdb_cursor_open(txn, store->table, &cursor), "mdb_cursor_open");
    while (mdb_cursor_get(cursor, &k, &v, MDB_NEXT) == 0) {
        bare_check(&k, &v);
        count++;
    }
    mdb_cursor_close(cursor);
    mdb_txn_abort(txn);
    return count;
}

uint64_t bare_disk_bytes(const char *folder)
{
    char path[KIT_PATH_BYTES_MAX + 16];
    struct stat file;
    (void)snprintf(path, sizeof path, "%s/data.mdb", folder);
    if (stat(path, &file) != 0) {
        kit_fail(path, "cannot be looked at");
    }
    return (uint64_t)file.st_size;
}

/* ---- The copy loop ---- */

struct bare_end {
    struct bare_pair *pair;
    struct bare_store store;
    uv_loop_t loop;
    uv_tcp_t tcp;
    msgpack_unpacker unpacker;
};

struct bare_pair {
    struct bare_end from, to;
    uv_tcp_t listener;
    uv_thread_t thread;
    uv_sem_t ready;
    int port;
    uint64_t sent, acknowledged; /* Batches; of the sending side's loop. */
};

struct bare_write {
    uv_write_t request;
    msgpack_sbuffer bytes;
};

static void pair_uv(int result, const char *what)
{
    if (result < 0) {
        kit_fail(what, uv_strerror(result));
    }
}

static void pair_written(uv_write_t *request, int status)
{
    struct bare_write *write = request->data;
    pair_uv(status, "uv_write");
    msgpack_sbuffer_destroy(&write->bytes);
    free(write);
}

static struct bare_write *pair_new_write(void)
{
    struct bare_write *write = calloc(1, sizeof *write);
    if (write == NULL) {
        kit_fail("a write", "no memory");
    }
    write->request.data = write;
    msgpack_sbuffer_init(&write->bytes);
    return write;
}

static void pair_send(struct bare_end *end, struct bare_write *write)
{
    uv_buf_t bytes = uv_buf_init(write->bytes.data, (unsigned)write->bytes.size);
    pair_uv(uv_write(&write->request, (uv_stream_t *)&end->tcp, &bytes, 1, pair_written),
            "uv_write");
}

static void pair_room(uv_handle_t *handle, size_t suggested, uv_buf_t *bytes)
{
    struct bare_end *end = handle->data;
    if (!msgpack_unpacker_reserve_buffer(&end->unpacker, suggested)) {
        kit_fail("a buffer", "no memory");
    }
    *bytes = uv_buf_init(msgpack_unpacker_buffer(&end->unpacker),
                         (unsigned)msgpack_unpacker_buffer_capacity(&end->unpacker));
}

/* A batch: an array of keys and values. Durable here, then acknowledged. */
static void pair_store(struct bare_end *end, const msgpack_object *batch)
{
    MDB_txn *txn = NULL;
    char key[KIT_KEY_BYTES + 1] = "";
    bare_begin(&end->store, &txn);
    for (uint32_t i = 0; i + 1 < batch->via.array.size; i += 2) {
        const msgpack_object *at = &batch->via.array.ptr[i];
        memcpy(key, at[0].via.str.ptr, KIT_KEY_BYTES);
        bare_put(&end->store, txn, key, at[1].via.bin.ptr, at[1].via.bin.size);
    }
    bare_commit(txn);
    struct bare_write *write = pair_new_write();
    msgpack_packer packer;
    msgpack_packer_init(&packer, &write->bytes, msgpack_sbuffer_write);
    (void)msgpack_pack_nil(&packer);
    pair_send(end, write);
}

static void pair_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *bytes)
{
    struct bare_end *end = stream->data;
    msgpack_unpacked unpacked;
    (void)bytes;
    if (got == UV_EOF) {
        uv_close((uv_handle_t *)stream, NULL);
        return;
    }
    pair_uv((int)got, "uv_read");
    msgpack_unpacker_buffer_consumed(&end->unpacker, (size_t)got);
    msgpack_unpacked_init(&unpacked);
    while (msgpack_unpacker_next(&end->unpacker, &unpacked) == MSGPACK_UNPACK_SUCCESS) {
        if (unpacked.data.type == MSGPACK_OBJECT_ARRAY) {
            pair_store(end, &unpacked.data);
        } else {
            end->pair->acknowledged += 1;
        }
    }
    msgpack_unpacked_destroy(&unpacked);
}

static void pair_begin(struct bare_end *end)
{
    pair_uv(uv_tcp_nodelay(&end->tcp, 1), "uv_tcp_nodelay");
    end->tcp.data = end;
    pair_uv(uv_read_start((uv_stream_t *)&end->tcp, pair_room, pair_read), "uv_read_start");
}

static void pair_accepted(uv_stream_t *listener, int status)
{
    struct bare_pair *pair = listener->data;
    pair_uv(status, "uv_listen");
    pair_uv(uv_tcp_init(&pair->to.loop, &pair->to.tcp), "uv_tcp_init");
    pair_uv(uv_accept(listener, (uv_stream_t *)&pair->to.tcp), "uv_accept");
    pair_begin(&pair->to);
    uv_close((uv_handle_t *)listener, NULL);
}

static void pair_receive(void *user)
{
    struct bare_pair *pair = user;
    struct sockaddr_in address;
    int len = sizeof address;
    pair_uv(uv_loop_init(&pair->to.loop), "uv_loop_init");
    pair_uv(uv_tcp_init(&pair->to.loop, &pair->listener), "uv_tcp_init");
    pair->listener.data = pair;
    pair_uv(uv_ip4_addr("127.0.0.1", 0, &address), "uv_ip4_addr");
    pair_uv(uv_tcp_bind(&pair->listener, (const struct sockaddr *)&address, 0), "uv_tcp_bind");
    pair_uv(uv_listen((uv_stream_t *)&pair->listener, 1, pair_accepted), "uv_listen");
    pair_uv(uv_tcp_getsockname(&pair->listener, (struct sockaddr *)&address, &len),
            "uv_tcp_getsockname");
    pair->port = ntohs(address.sin_port);
    uv_sem_post(&pair->ready);
    (void)uv_run(&pair->to.loop, UV_RUN_DEFAULT); /* Until the other side closes. */
    (void)uv_loop_close(&pair->to.loop);
}

static void pair_connected(uv_connect_t *request, int status)
{
    struct bare_pair *pair = request->data;
    pair_uv(status, "uv_tcp_connect");
    pair_begin(&pair->from);
    pair->sent = 0;
    pair->acknowledged = 0;
}

struct bare_pair *bare_pair_open(void)
{
    struct bare_pair *pair = calloc(1, sizeof *pair);
    struct sockaddr_in address;
    uv_connect_t connect;
    if (pair == NULL || !msgpack_unpacker_init(&pair->from.unpacker, 1 << 16) ||
        !msgpack_unpacker_init(&pair->to.unpacker, 1 << 16)) {
        kit_fail("a pair", "no memory");
    }
    pair->from.pair = pair;
    pair->to.pair = pair;
    bare_open(&pair->from.store);
    bare_open(&pair->to.store);
    pair_uv(uv_sem_init(&pair->ready, 0), "uv_sem_init");
    pair_uv(uv_thread_create(&pair->thread, pair_receive, pair), "uv_thread_create");
    uv_sem_wait(&pair->ready);
    pair_uv(uv_loop_init(&pair->from.loop), "uv_loop_init");
    pair_uv(uv_tcp_init(&pair->from.loop, &pair->from.tcp), "uv_tcp_init");
    pair_uv(uv_ip4_addr("127.0.0.1", pair->port, &address), "uv_ip4_addr");
    connect.data = pair;
    pair->sent = 1;
    pair_uv(uv_tcp_connect(&connect, &pair->from.tcp, (const struct sockaddr *)&address,
                           pair_connected),
            "uv_tcp_connect");
    bare_pair_wait(pair);
    return pair;
}

void bare_pair_put(struct bare_pair *pair, uint64_t round, uint64_t first, uint64_t count)
{
    MDB_txn *txn = NULL;
    char key[KIT_KEY_BYTES + 1];
    uint8_t value[KIT_VALUE_BYTES];
    struct bare_write *write = pair_new_write();
    msgpack_packer packer;
    msgpack_packer_init(&packer, &write->bytes, msgpack_sbuffer_write);
    (void)msgpack_pack_array(&packer, (size_t)count * 2);
    bare_begin(&pair->from.store, &txn);
    for (uint64_t i = first; i < first + count; i++) {
        kit_key(round, i, key);
        kit_value(i, value);
        bare_put(&pair->from.store, txn, key, value, sizeof value);
        (void)msgpack_pack_str_with_body(&packer, key, KIT_KEY_BYTES);
        (void)msgpack_pack_bin_with_body(&packer, value, sizeof value);
    }
    bare_commit(txn);
    pair_send(&pair->from, write);
    pair->sent += 1;
    (void)uv_run(&pair->from.loop, UV_RUN_NOWAIT);
}

void bare_pair_wait(struct bare_pair *pair)
{
    while (pair->acknowledged < pair->sent) {
        (void)uv_run(&pair->from.loop, UV_RUN_ONCE);
    }
}

void bare_pair_close(struct bare_pair *pair)
{
    uv_close((uv_handle_t *)&pair->from.tcp, NULL);
    (void)uv_run(&pair->from.loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&pair->from.loop);
    (void)uv_thread_join(&pair->thread);
    uv_sem_destroy(&pair->ready);
    msgpack_unpacker_destroy(&pair->from.unpacker);
    msgpack_unpacker_destroy(&pair->to.unpacker);
    bare_close(&pair->from.store);
    bare_close(&pair->to.store);
    free(pair);
}
