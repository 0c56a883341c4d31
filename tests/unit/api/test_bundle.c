/* SPDX-License-Identifier: Apache-2.0 */
/* Changes travel as files between nodes that never meet; damaged and foreign files do nothing. */
#include "unit/api/api_kit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "secure/crypto.h"
#include "wire/message.h"

enum { BUNDLE_HEADER_BYTES = 128, BUNDLE_MANY = 3000 };

/* Two nodes on one space, and files for bundles. */
struct pair {
    char folder[API_PATH_BYTES_MAX];
    char file[API_PATH_BYTES_MAX];
    char back[API_PATH_BYTES_MAX];
    char third[API_PATH_BYTES_MAX];
    meshsync_node *a, *b;
    meshsync_space *in_a, *in_b;
};

static void pair_open(struct pair *pair)
{
    char path[API_PATH_BYTES_MAX];
    char ticket[MESHSYNC_TICKET_TEXT_BYTES_MAX];
    meshsync_error error = {0};
    api_folder(pair->folder);
    api_join(pair->file, pair->folder, "bundle");
    api_join(pair->back, pair->folder, "back");
    api_join(pair->third, pair->folder, "third");
    api_join(path, pair->folder, "a");
    pair->a = api_open(path);
    pair->in_a = api_space(pair->a);
    api_join(path, pair->folder, "b");
    pair->b = api_open(path);
    API_OK(meshsync_space_invite(pair->in_a, 0, ticket, &error));
    API_OK(meshsync_space_join(pair->b, ticket, NULL, &pair->in_b, &error));
}

static void pair_close(struct pair *pair)
{
    assert_int_equal(meshsync_node_close(pair->a), MESHSYNC_OK);
    assert_int_equal(meshsync_node_close(pair->b), MESHSYNC_OK);
    api_remove(pair->folder);
}

static meshsync_bundle_info create(meshsync_space *space, const char *file, const char *base)
{
    meshsync_error error = {0};
    struct stat about;
    meshsync_bundle_info info = {.size = sizeof info};
    API_OK(meshsync_bundle_create(space, file, base, &info, &error));
    assert_int_equal(stat(file, &about), 0);
    assert_int_equal(about.st_mode & 0777, 0600);
    assert_int_equal((uint64_t)about.st_size, info.bytes);
    return info;
}

static meshsync_bundle_info apply(meshsync_node *node, const char *file)
{
    meshsync_error error = {0};
    meshsync_bundle_info info = {.size = sizeof info};
    API_OK(meshsync_bundle_apply(node, file, &info, &error));
    assert_int_equal(info.rejected, 0);
    assert_int_equal(info.accepted + info.duplicate + info.pending, info.changes);
    return info;
}

/* A new bundle at file, instead of what was there. */
static meshsync_bundle_info create_anew(meshsync_space *space, const char *file, const char *base)
{
    (void)unlink(file);
    return create(space, file, base);
}

static void same_digest(struct pair *pair)
{
    meshsync_error error = {0};
    meshsync_digest ours = {.size = sizeof ours};
    meshsync_digest theirs = {.size = sizeof theirs};
    API_OK(meshsync_space_digest(pair->in_a, &ours, &error));
    API_OK(meshsync_space_digest(pair->in_b, &theirs, &error));
    assert_memory_equal(ours.digest, theirs.digest, sizeof ours.digest);
}

static void test_there_and_back(void **state)
{
    struct pair pair;
    meshsync_error error = {0};
    char text[64];
    meshsync_space_info about = {.size = sizeof about};
    (void)state;
    pair_open(&pair);
    api_put(pair.in_a, "k", "from a");
    meshsync_bundle_info made = create(pair.in_a, pair.file, NULL);
    assert_true(made.changes >= 3);
    meshsync_bundle_info got = apply(pair.b, pair.file);
    assert_int_equal(got.accepted, made.changes);
    assert_memory_equal(got.space, made.space, sizeof got.space);
    assert_memory_equal(got.maker, made.maker, sizeof got.maker);
    api_get(pair.in_b, "k", text);
    assert_string_equal(text, "from a");
    assert_int_equal(apply(pair.b, pair.file).duplicate, made.changes);
    /* The founding came with it, so b is let in by its ticket and may write. */
    API_OK(meshsync_space_get_info(pair.in_b, &about, &error));
    assert_int_equal(about.joined, 1);
    api_put(pair.in_b, "k", "from b");
    got = create(pair.in_b, pair.back, pair.file);
    assert_int_equal(got.changes, 2); /* Its joining and the put; nothing of a's. */
    assert_int_equal(apply(pair.a, pair.back).accepted, 2);
    api_get(pair.in_a, "k", text);
    assert_string_equal(text, "from b");
    same_digest(&pair);
    /* Nobody lacks anything: a bundle without changes, which is what a request is. */
    assert_int_equal(create_anew(pair.in_a, pair.file, pair.back).changes, 0);
    assert_int_equal(apply(pair.b, pair.file).changes, 0);
    pair_close(&pair);
}

static void test_request(void **state)
{
    struct pair pair;
    meshsync_error error = {0};
    char text[64];
    (void)state;
    pair_open(&pair);
    (void)create(pair.in_a, pair.file, NULL);
    (void)apply(pair.b, pair.file);
    for (uint32_t i = 0; i < 200; i++) {
        (void)snprintf(text, sizeof text, "%u", (unsigned)i);
        api_put(pair.in_a, text, text);
    }
    /* b asks, a answers with the difference, however much there is besides. */
    API_OK(meshsync_bundle_request(pair.in_b, pair.back, &error));
    meshsync_bundle_info made = create_anew(pair.in_a, pair.file, pair.back);
    assert_int_equal(made.changes, 200);
    api_put(pair.in_a, "one", "more");
    API_FAILS(MESHSYNC_E_EXISTS, meshsync_bundle_request(pair.in_a, pair.file, &error));
    /* One way: what was sent last is the base of what is sent next. */
    made = create(pair.in_a, pair.third, pair.file);
    assert_int_equal(made.changes, 1);
    meshsync_bundle_info got = apply(pair.b, pair.third);
    assert_int_equal(got.pending, 1); /* The one before it is not here. */
    got = apply(pair.b, pair.file);
    assert_int_equal(got.accepted, 200);
    api_get(pair.in_b, "one", text);
    assert_string_equal(text, "more");
    (void)create_anew(pair.in_b, pair.back, pair.third);
    (void)apply(pair.a, pair.back);
    same_digest(&pair);
    pair_close(&pair);
}

/* More than fits one message, and more than is handed to the writer at once. */
static void test_many(void **state)
{
    struct pair pair;
    meshsync_error error = {0};
    static char value[2048];
    char key[32];
    (void)state;
    pair_open(&pair);
    memset(value, 'v', sizeof value - 1);
    for (uint32_t i = 0; i < BUNDLE_MANY; i++) {
        meshsync_txn *txn = NULL;
        API_OK(meshsync_txn_begin(pair.in_a, &txn, &error));
        (void)snprintf(key, sizeof key, "%u", (unsigned)i);
        api_put_in(txn, key, value);
        meshsync_commit_options options = {.size = sizeof options, .ack = MESHSYNC_ACK_QUEUED};
        API_OK(meshsync_txn_commit(txn, &options, NULL, &error));
    }
    api_put(pair.in_a, "last", "durable, and so all before it");
    meshsync_bundle_info made = create(pair.in_a, pair.file, NULL);
    assert_true(made.bytes > 5u << 20);
    assert_int_equal(apply(pair.b, pair.file).accepted, made.changes);
    (void)create(pair.in_b, pair.back, pair.file);
    (void)apply(pair.a, pair.back);
    same_digest(&pair);
    meshsync_verify_report report = {.size = sizeof report};
    API_OK(meshsync_space_verify(pair.in_b, &report, &error));
    pair_close(&pair);
}

/* ---- Files that are not what they should be ---- */

struct content {
    uint8_t *bytes;
    size_t len;
};

static struct content load(const char *file)
{
    struct stat about;
    struct content content = {NULL, 0};
    int fd = open(file, O_RDONLY);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &about), 0);
    content.len = (size_t)about.st_size;
    content.bytes = (uint8_t *)malloc(content.len);
    assert_non_null(content.bytes);
    assert_int_equal(read(fd, content.bytes, content.len), content.len);
    (void)close(fd);
    return content;
}

static void save(const char *file, const uint8_t *bytes, size_t len)
{
    (void)unlink(file);
    int fd = open(file, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), len);
    (void)close(fd);
}

/* Gives content a right length and hash again; it is shorter than one block. */
static void seal(struct content *content)
{
    uint8_t zero[MSY_HASH_BYTES] = {0};
    size_t len = content->len - MSY_HASH_BYTES;
    const meshsync_bytes parts[] = {{zero, sizeof zero}, {content->bytes, len}};
    msy_put_be64(content->bytes + 72, len - BUNDLE_HEADER_BYTES);
    msy_hash(content->bytes + len, MSY_HASH_BYTES, parts, 2);
}

static void test_damaged(void **state)
{
    struct pair pair;
    meshsync_error error = {0};
    meshsync_space_info about = {.size = sizeof about};
    (void)state;
    pair_open(&pair);
    api_put(pair.in_a, "k", "v");
    API_OK(meshsync_space_get_info(pair.in_b, &about, &error));
    uint64_t before = about.changes;
    (void)create(pair.in_a, pair.file, NULL);
    struct content good = load(pair.file);
    for (size_t i = 0; i < good.len; i += 1 + good.len / 300) {
        good.bytes[i] ^= 1;
        save(pair.third, good.bytes, good.len);
        good.bytes[i] ^= 1;
        meshsync_status status = meshsync_bundle_apply(pair.b, pair.third, NULL, &error);
        assert_true(status == MESHSYNC_E_STORE_CORRUPT || status == MESHSYNC_E_STORE_VERSION);
        status = meshsync_bundle_create(pair.in_a, pair.back, pair.third, NULL, &error);
        assert_true(status == MESHSYNC_E_STORE_CORRUPT || status == MESHSYNC_E_STORE_VERSION);
        save(pair.third, good.bytes, i);
        API_FAILS(MESHSYNC_E_STORE_CORRUPT,
                  meshsync_bundle_apply(pair.b, pair.third, NULL, &error));
    }
    assert_int_equal(access(pair.back, F_OK), -1);
    API_OK(meshsync_space_get_info(pair.in_b, &about, &error));
    assert_int_equal(about.changes, before);
    (void)apply(pair.b, pair.file);
    free(good.bytes);
    pair_close(&pair);
}

/* Where the changes begin: behind the header and the VECTOR messages. */
static size_t changes_at(const struct content *content)
{
    size_t at = BUNDLE_HEADER_BYTES;
    while (content->bytes[at] == MSY_MESSAGE_VECTOR) {
        uint8_t type = 0;
        uint32_t len = 0;
        msy_message_head(content->bytes + at, &type, &len);
        at += MSY_MESSAGE_HEAD_BYTES + len;
    }
    assert_int_equal(content->bytes[at], MSY_MESSAGE_CHANGES);
    return at;
}

static void test_malicious(void **state)
{
    struct pair pair;
    meshsync_error error = {0};
    meshsync_bundle_info info = {.size = sizeof info};
    char text[64];
    (void)state;
    pair_open(&pair);
    (void)create(pair.in_a, pair.file, NULL);
    (void)apply(pair.b, pair.file);
    api_put(pair.in_a, "k", "v");
    (void)create_anew(pair.in_a, pair.file, NULL);
    struct content bad = load(pair.file);
    size_t at = changes_at(&bad);
    bad.bytes[bad.len - MSY_HASH_BYTES - 1] ^= 1; /* In the last change; the file is sealed anew. */
    seal(&bad);
    save(pair.third, bad.bytes, bad.len);
    API_FAILS(MESHSYNC_E_PROTOCOL, meshsync_bundle_apply(pair.b, pair.third, &info, &error));
    assert_int_equal(info.rejected, 1);
    assert_int_equal(info.duplicate, info.changes - 1);
    api_get(pair.in_b, "k", text);
    assert_string_equal(text, "");
    bad.bytes[at] = MSY_MESSAGE_HELLO; /* Not a message of bundles. */
    seal(&bad);
    save(pair.third, bad.bytes, bad.len);
    API_FAILS(MESHSYNC_E_PROTOCOL, meshsync_bundle_apply(pair.b, pair.third, NULL, &error));
    bad.bytes[at] = 200; /* Of a later version, to be skipped. */
    seal(&bad);
    save(pair.third, bad.bytes, bad.len);
    API_OK(meshsync_bundle_apply(pair.b, pair.third, NULL, &error));
    bad.bytes[at + 1] = 0xff; /* Longer than the file. */
    seal(&bad);
    save(pair.third, bad.bytes, bad.len);
    API_FAILS(MESHSYNC_E_PROTOCOL, meshsync_bundle_apply(pair.b, pair.third, NULL, &error));
    bad.bytes[BUNDLE_HEADER_BYTES + MSY_MESSAGE_HEAD_BYTES] ^= 0xff; /* No vector. */
    seal(&bad);
    save(pair.third, bad.bytes, bad.len);
    API_FAILS(MESHSYNC_E_PROTOCOL,
              meshsync_bundle_create(pair.in_b, pair.back, pair.third, NULL, &error));
    free(bad.bytes);
    (void)apply(pair.b, pair.file);
    api_get(pair.in_b, "k", text);
    assert_string_equal(text, "v");
    pair_close(&pair);
}

static void test_refused(void **state)
{
    struct pair pair;
    meshsync_error error = {0};
    meshsync_space *other = NULL;
    meshsync_bundle_info none = {0};
    (void)state;
    pair_open(&pair);
    API_OK(meshsync_space_create(pair.a, "other", &other, &error));
    (void)create(other, pair.file, NULL);
    API_FAILS(MESHSYNC_E_NOT_FOUND, meshsync_bundle_apply(pair.b, pair.file, NULL, &error));
    API_FAILS(MESHSYNC_E_INVALID,
              meshsync_bundle_create(pair.in_a, pair.back, pair.file, NULL, &error));
    API_FAILS(MESHSYNC_E_NOT_FOUND, meshsync_bundle_apply(pair.b, pair.third, NULL, &error));
    API_FAILS(MESHSYNC_E_NOT_FOUND,
              meshsync_bundle_create(pair.in_a, pair.back, pair.third, NULL, &error));
    API_FAILS(MESHSYNC_E_EXISTS, meshsync_bundle_create(other, pair.file, NULL, NULL, &error));
    API_FAILS(MESHSYNC_E_INVALID, meshsync_bundle_create(NULL, pair.back, NULL, NULL, &error));
    API_FAILS(MESHSYNC_E_INVALID, meshsync_bundle_create(other, NULL, NULL, NULL, &error));
    API_FAILS(MESHSYNC_E_INVALID, meshsync_bundle_create(other, pair.back, NULL, &none, &error));
    API_FAILS(MESHSYNC_E_INVALID, meshsync_bundle_apply(NULL, pair.file, NULL, &error));
    API_FAILS(MESHSYNC_E_INVALID, meshsync_bundle_apply(pair.a, NULL, NULL, &error));
    API_FAILS(MESHSYNC_E_INVALID, meshsync_bundle_apply(pair.a, pair.file, &none, &error));
    API_FAILS(MESHSYNC_E_INVALID, meshsync_bundle_request(NULL, pair.file, &error));
    API_OK(meshsync_space_leave(other, MESHSYNC_LEAVE_KEEP, &error));
    API_FAILS(MESHSYNC_E_STATE, meshsync_bundle_apply(pair.a, pair.file, NULL, &error));
    assert_int_equal(access(pair.back, F_OK), -1);
    pair_close(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_and_back), cmocka_unit_test(test_request),
        cmocka_unit_test(test_many),           cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_malicious),      cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
