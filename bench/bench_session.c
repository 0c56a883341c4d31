/* SPDX-License-Identifier: Apache-2.0 */
/* Bulk over an encrypted connection: what the records of a session cost against the same cipher,
 * socket and sizes used directly; and large values from node to node, with everything that a
 * replica does for them. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <sodium.h>
#include <uv.h>

#include "mesh.h"
#include "secure/noise.h"

enum {
    SESSION_PLAIN_BYTES = MSY_NOISE_PAYLOAD_BYTES_MAX,
    SESSION_RECORD_BYTES_MAX = 2 + MSY_NOISE_MESSAGE_BYTES_MAX,
    SESSION_VALUE_BYTES = 64 << 10,
    SESSION_ROUNDS = 5
};

/* One way of sealing and opening records. */
struct session_way {
    size_t (*seal)(void *state, const uint8_t *plain, uint8_t *record);
    void (*open)(void *state, const uint8_t *record, size_t len);
    void *sending;
    void *receiving;
};

struct session_run {
    const struct session_way *way;
    int sockets[2];
    uint64_t records;
};

static void session_write(int socket, const uint8_t *bytes, size_t len)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = send(socket, bytes + done, len - done, MSG_NOSIGNAL);
        if (n <= 0) {
            kit_fail("send", "failed");
        }
        done += (size_t)n;
    }
}

static void session_read(int socket, uint8_t *bytes, size_t len)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = recv(socket, bytes + done, len - done, 0);
        if (n <= 0) {
            kit_fail("recv", "failed");
        }
        done += (size_t)n;
    }
}

static void session_receive(void *user)
{
    const struct session_run *run = user;
    uint8_t *record = malloc(SESSION_RECORD_BYTES_MAX);
    if (record == NULL) {
        kit_fail("malloc", "no memory");
    }
    for (uint64_t i = 0; i < run->records; i++) {
        uint8_t head[2];
        session_read(run->sockets[1], head, sizeof head);
        size_t len = (size_t)head[0] << 8 | head[1];
        session_read(run->sockets[1], record, len);
        run->way->open(run->way->receiving, record, len);
    }
    free(record);
}

/* MB of plain bytes per second, from the first record until the last is open. */
static double session_through(const struct session_way *way, uint64_t records)
{
    struct session_run run = {.way = way, .records = records};
    uint8_t *plain = calloc(1, SESSION_PLAIN_BYTES);
    uint8_t *record = malloc(SESSION_RECORD_BYTES_MAX);
    uv_thread_t receiver;
    if (plain == NULL || record == NULL || uv_socketpair(SOCK_STREAM, 0, run.sockets, 0, 0) != 0 ||
        uv_thread_create(&receiver, session_receive, &run) != 0) {
        kit_fail("a pair of sockets", "failed");
    }
    double start_s = kit_now_s();
    for (uint64_t i = 0; i < records; i++) {
        plain[i % SESSION_PLAIN_BYTES] ^= (uint8_t)i;
        size_t len = way->seal(way->sending, plain, record + 2);
        record[0] = (uint8_t)(len >> 8);
        record[1] = (uint8_t)len;
        session_write(run.sockets[0], record, len + 2);
    }
    (void)uv_thread_join(&receiver);
    double seconds = kit_now_s() - start_s;
    (void)close(run.sockets[0]);
    (void)close(run.sockets[1]);
    free(record);
    free(plain);
    return (double)records * SESSION_PLAIN_BYTES / seconds / 1e6;
}

/* ---- The cipher alone ---- */

struct session_bare {
    uint8_t key[crypto_aead_chacha20poly1305_ietf_KEYBYTES];
    uint64_t nonce;
    uint8_t plain[SESSION_PLAIN_BYTES];
};

static void session_nonce(struct session_bare *bare, uint8_t nonce[12])
{
    memset(nonce, 0, 12);
    memcpy(nonce + 4, &bare->nonce, sizeof bare->nonce);
    bare->nonce += 1;
}

static size_t session_bare_seal(void *state, const uint8_t *plain, uint8_t *record)
{
    struct session_bare *bare = state;
    uint8_t nonce[12];
    unsigned long long len = 0;
    session_nonce(bare, nonce);
    (void)crypto_aead_chacha20poly1305_ietf_encrypt(record, &len, plain, SESSION_PLAIN_BYTES, NULL,
                                                    0, NULL, nonce, bare->key);
    return (size_t)len;
}

static void session_bare_open(void *state, const uint8_t *record, size_t len)
{
    struct session_bare *bare = state;
    uint8_t nonce[12];
    unsigned long long plain_len = 0;
    session_nonce(bare, nonce);
    if (crypto_aead_chacha20poly1305_ietf_decrypt(bare->plain, &plain_len, NULL, record, len, NULL,
                                                  0, nonce, bare->key) != 0) {
        kit_fail("a record", "does not open");
    }
}

/* ---- As a session does it ---- */

struct session_own {
    struct msy_noise_cipher cipher;
    struct msy_buf buf;
};

static size_t session_own_seal(void *state, const uint8_t *plain, uint8_t *record)
{
    struct session_own *own = state;
    msy_buf_reset(&own->buf);
    if (msy_noise_seal(&own->cipher, (meshsync_bytes){plain, SESSION_PLAIN_BYTES}, &own->buf) !=
        MESHSYNC_OK) {
        kit_fail("a record", "cannot be sealed");
    }
    memcpy(record, own->buf.data, own->buf.len);
    return own->buf.len;
}

static void session_own_open(void *state, const uint8_t *record, size_t len)
{
    struct session_own *own = state;
    msy_buf_reset(&own->buf);
    if (msy_noise_open(&own->cipher, (meshsync_bytes){record, len}, &own->buf) != MESHSYNC_OK) {
        kit_fail("a record", "does not open");
    }
}

static void session_report(const char *what, const char *against, uint64_t n,
                           struct kit_figures *bare, struct kit_figures *own)
{
    const struct kit_report report = {.bench = "session",
                                      .what = what,
                                      .unit = "MB/s",
                                      .against = against,
                                      .n = n,
                                      .larger_is_better = true,
                                      .bare = bare,
                                      .meshsync = own};
    kit_print(&report);
}

/* ---- From node to node ---- */

/* Large values that are there before the second node meets the first; MB per second. */
static double session_values(uint64_t values, uint64_t round)
{
    static uint8_t bytes[SESSION_VALUE_BYTES];
    struct mesh_node nodes[2];
    meshsync_error error = {0};
    mesh_open_all(nodes, 2);
    mesh_offline(&nodes[1]);
    for (uint64_t i = 0; i < values; i++) {
        char key[KIT_KEY_BYTES + 1];
        kit_key(round, i, key);
        memset(bytes, (int)i, sizeof bytes);
        meshsync_bytes part = {(const uint8_t *)key, KIT_KEY_BYTES};
        meshsync_value value = meshsync_value_bytes(bytes, sizeof bytes);
        kit_ok(meshsync_put(nodes[0].space, "data", part, &value, NULL, &error), &error, "put");
    }
    double start_s = kit_now_s();
    mesh_online(&nodes[1]);
    mesh_wait(&nodes[1], &nodes[0]);
    double seconds = kit_now_s() - start_s;
    mesh_close_all(nodes, 2);
    return (double)values * SESSION_VALUE_BYTES / seconds / 1e6;
}

int main(int argc, char **argv)
{
    static struct session_bare bare[2];
    static struct session_own own[2];
    static struct kit_figures figures[3];
    struct kit_options options = {.puts = 10000, .batch = 1000, .single = 100, .rounds = 5};
    struct msy_alloc alloc;
    kit_options(argc, argv, &options);
    if (sodium_init() < 0) {
        kit_fail("libsodium", "does not start");
    }
    msy_alloc_init(&alloc, NULL, NULL, 0);
    for (int i = 0; i < 2; i++) {
        msy_buf_init(&own[i].buf, &alloc, SESSION_RECORD_BYTES_MAX);
        own[i].cipher.has_key = true;
    }
    const struct session_way ways[2] = {
        {session_bare_seal, session_bare_open, &bare[0], &bare[1]},
        {session_own_seal, session_own_open, &own[0], &own[1]},
    };
    for (uint64_t i = 0; i < SESSION_ROUNDS; i++) {
        kit_add(&figures[0], session_through(&ways[0], options.puts / 2));
        kit_add(&figures[1], session_through(&ways[1], options.puts / 2));
        kit_add(&figures[2], session_values(options.puts / 10, i));
    }
    for (int i = 0; i < 2; i++) {
        msy_buf_fini(&own[i].buf);
    }
    session_report("records in bulk", "libsodium over the same socket", options.puts / 2,
                   &figures[0], &figures[1]);
    session_report("values of 64 KiB, node to node", "libsodium over the same socket, kept nowhere",
                   options.puts / 10, &figures[0], &figures[2]);
    return 0;
}
