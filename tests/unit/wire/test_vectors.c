/* SPDX-License-Identifier: Apache-2.0 */
/* Shows that changes come out byte for byte as tests/vectors/changes.json has them, that these are
 * what docs/format.md says of them, and that every damaged one is refused. With --write the file is
 * made anew. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/buf.h"
#include "base/path.h"
#include "secure/crypto.h"
#include "store/schema.h"
#include "wire/change.h"
#include "wire/msgpack_check.h"

#define VECTORS_FILE "tests/vectors/changes.json"

enum { BYTES_MAX = 1 << 20, HEX_MAX = 2 * 65536 + 1, STAMP = 1 << 30 };

static const struct msy_hasher hasher = {.hash = msy_hash, .stream = msy_stream};
static struct msy_alloc alloc;

/* One device that writes a chain of changes with secrets counted up. */
struct author {
    uint8_t seed[MSY_SIGN_SEED_BYTES];
    struct msy_change_builder builder;
    struct msy_change change;
    struct msy_buf hashes;
    struct msy_change_header header;
    uint8_t hash[MSY_CHANGE_HASH_BYTES];
    uint8_t secret[MSY_CHANGE_SECRET_BYTES];
};

static void author_sign(void *user, meshsync_bytes message,
                        uint8_t signature[MSY_CHANGE_SIGNATURE_BYTES])
{
    const struct author *author = user;
    msy_sign(signature, message, author->seed);
}

static void author_init(struct author *author, uint8_t name)
{
    memset(author, 0, sizeof *author);
    memset(author->seed, name, sizeof author->seed);
    memset(author->secret, name, sizeof author->secret);
    msy_builder_init(&author->builder, &alloc);
    msy_change_init(&author->change, &alloc);
    msy_buf_init(&author->hashes, &alloc, BYTES_MAX);
    memset(author->header.space, 0x5a, sizeof author->header.space);
    author->header.seq = 1;
    author->header.ordinal = 1;
    author->header.hlc = (uint64_t)STAMP << 16;
    memset(author->header.tag, name, sizeof author->header.tag);
    msy_sign_public(author->header.device, author->seed);
}

static void author_fini(struct author *author)
{
    msy_builder_fini(&author->builder);
    msy_change_fini(&author->change);
    msy_buf_fini(&author->hashes);
}

static void author_op(struct author *author, const char *collection, uint32_t kind,
                      const char *const parts[2], meshsync_bytes payload)
{
    uint8_t path[MESHSYNC_PATH_BYTES_MAX];
    size_t path_len = 0;
    uint32_t index = 0;
    for (size_t i = 0; i < 2 && parts[i] != NULL; i++) {
        assert_true(msy_path_append(path, &path_len, sizeof path,
                                    msy_bytes((const uint8_t *)parts[i], strlen(parts[i]))));
    }
    assert_int_equal(msy_builder_op(&author->builder,
                                    msy_bytes((const uint8_t *)collection, strlen(collection)),
                                    kind, msy_bytes(path, path_len), payload, &index),
                     MESHSYNC_OK);
}

/* Finishes the change, and makes the header of the one that follows. */
static void author_finish(struct author *author)
{
    meshsync_error error = {0};
    const struct msy_change_seal seal = {
        .secret = author->secret, .hasher = &hasher, .sign = author_sign, .user = author};
    const struct msy_built built = {
        .change = &author->change, .hashes = &author->hashes, .hash = author->hash};
    msy_buf_reset(&author->hashes);
    if (msy_builder_finish(&author->builder, &author->header, &seal, &built, &error) !=
        MESHSYNC_OK) {
        fail_msg("%s", error.message);
    }
}

static void author_next(struct author *author)
{
    struct msy_change_header *header = &author->header;
    struct msy_actor actor = header->actor;
    uint64_t seq = header->seq + 1;
    uint64_t hlc = header->hlc + 1;
    uint8_t space[MESHSYNC_SPACE_ID_BYTES];
    memcpy(space, header->space, sizeof space);
    memset(header, 0, sizeof *header);
    memcpy(header->space, space, sizeof space);
    header->actor = actor;
    header->seq = seq;
    header->hlc = hlc;
    memcpy(header->prev, author->hash, sizeof header->prev);
    author->secret[0]++;
    msy_builder_reset(&author->builder);
}

static json_t *hex(const void *data, size_t len)
{
    static char text[HEX_MAX];
    assert_true(2 * len < sizeof text);
    msy_hex_encode(text, data, len);
    return json_string(text);
}

/* The members of the object are in the order in which a reader computes them. */
static json_t *vector_of(const char *name, const struct author *author)
{
    const struct msy_change *change = &author->change;
    json_t *vector = json_object();
    json_t *ops = json_array();
    json_object_set_new(vector, "name", json_string(name));
    json_object_set_new(vector, "signing_seed", hex(author->seed, sizeof author->seed));
    json_object_set_new(vector, "secret", hex(author->secret, sizeof author->secret));
    json_object_set_new(vector, "actor", hex(author->header.actor.id, MESHSYNC_ACTOR_ID_BYTES));
    json_object_set_new(vector, "seq", json_integer((json_int_t)author->header.seq));
    json_object_set_new(vector, "hlc", json_integer((json_int_t)author->header.hlc));
    for (uint32_t i = 0; i < change->ops_count; i++) {
        json_t *op = json_object();
        const struct msy_op *at = &change->ops[i];
        json_object_set_new(op, "collection",
                            json_stringn((const char *)change->collections[at->collection].data,
                                         change->collections[at->collection].len));
        json_object_set_new(op, "kind", json_integer(at->kind));
        json_object_set_new(op, "path", hex(at->path.data, at->path.len));
        json_object_set_new(op, "payload", hex(at->payload.data, at->payload.len));
        json_object_set_new(
            op, "op_hash",
            hex(author->hashes.data + (size_t)i * MSY_CHANGE_HASH_BYTES, MSY_CHANGE_HASH_BYTES));
        json_array_append_new(ops, op);
    }
    json_object_set_new(vector, "ops", ops);
    json_object_set_new(vector, "root", hex(author->header.root, MSY_CHANGE_HASH_BYTES));
    json_object_set_new(vector, "header", hex(change->header_bytes.data, change->header_bytes.len));
    json_object_set_new(vector, "signature", hex(change->signature, MSY_CHANGE_SIGNATURE_BYTES));
    json_object_set_new(vector, "body", hex(change->body_bytes.data, change->body_bytes.len));
    json_object_set_new(vector, "hash", hex(author->hash, sizeof author->hash));
    json_object_set_new(vector, "change", hex(change->bytes.data, change->bytes.len));
    return vector;
}

static meshsync_bytes raw(const char *text, size_t len)
{
    return msy_bytes((const uint8_t *)text, len);
}

/* Value ops of every simple type. */
static void make_values(struct author *author)
{
    static const struct {
        const char *key, *payload;
        size_t len;
    } values[] = {{"nil", "\xc0", 1},
                  {"true", "\xc3", 1},
                  {"minus", "\xd1\x80\x00", 3},
                  {"big", "\xcf\xff\xff\xff\xff\xff\xff\xff\xff", 9},
                  {"half", "\xcb\x3f\xe0\x00\x00\x00\x00\x00\x00", 9},
                  {"text", "\xa6h\xc3\xa9llo", 7},
                  {"bytes", "\xc4\x02\x00\xff", 4},
                  {"json", "\xd5\x01{}", 4},
                  {"msgpack", "\xd4\x02\x90", 3}};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        const char *const parts[2] = {values[i].key, NULL};
        author_op(author, "notes", MSY_OP_VALUE, parts, raw(values[i].payload, values[i].len));
    }
    author_finish(author);
}

/* A second author builds on the first, kills one of its ops and one of its own, in two commits. */
static void make_kills(struct author *author, const struct author *first)
{
    static const char *const set[2] = {"fruit", "apple"};
    static const char *const counter[2] = {"hits", NULL};
    struct msy_tip *head = &author->header.heads[author->header.heads_count++];
    head->actor = first->header.actor;
    head->seq = first->header.seq;
    memcpy(head->hash, first->hash, sizeof head->hash);
    struct msy_ref ref = {
        .actor = head->actor, .seq = head->seq, .hash_prefix = msy_get_be64(first->hash)};
    static const char *const note[2] = {"text", NULL};
    msy_builder_kill(&author->builder, &ref, 5);
    author_op(author, "notes", MSY_OP_ERASE, note, raw("\xc0", 1));
    author_op(author, "sets", MSY_OP_MEMBER, set, raw("\xc0", 1));
    msy_builder_bound(&author->builder);
    author_op(author, "counters", MSY_OP_ADD, counter, raw("\xd0\x80", 2));
    msy_builder_kill_own(&author->builder, 1);
    author_op(author, "sets", MSY_OP_MEMBER, set, raw("\xc0", 1));
    msy_builder_bound(&author->builder);
    author_finish(author);
}

/* A reset of the second author's counter, in an explicit transaction. */
static void make_reset(struct author *author, const struct author *second)
{
    static const char *const counter[2] = {"hits", NULL};
    uint8_t payload[64] = {0x91, 0x94, 0xc4, 0x10};
    size_t len = 4;
    memcpy(payload + len, second->header.actor.id, MESHSYNC_ACTOR_ID_BYTES);
    len += MESHSYNC_ACTOR_ID_BYTES;
    payload[len++] = 0x01; /* seq */
    payload[len++] = 0x00; /* plus */
    payload[len++] = 0xcc; /* minus: 128 */
    payload[len++] = 0x80;
    struct msy_tip *head = &author->header.heads[author->header.heads_count++];
    head->actor = second->header.actor;
    head->seq = second->header.seq;
    memcpy(head->hash, second->hash, sizeof head->hash);
    author->header.flags = MSY_CHANGE_EXPLICIT;
    author_op(author, "counters", MSY_OP_RESET, counter, msy_bytes(payload, len));
    author_finish(author);
}

static json_t *vectors_make(void)
{
    struct author first, second;
    json_t *all = json_array();
    author_init(&first, 0x11);
    author_init(&second, 0x22);
    make_values(&first);
    json_array_append_new(all, vector_of("values of every type", &first));
    make_kills(&second, &first);
    json_array_append_new(all,
                          vector_of("two commits, kills of another's and of an own op", &second));
    author_next(&first);
    make_reset(&first, &second);
    json_array_append_new(all, vector_of("a counter's reset, an explicit transaction", &first));
    author_fini(&second);
    author_fini(&first);
    json_t *file = json_object();
    json_object_set_new(file, "format", json_string("docs/format.md, version 1"));
    json_object_set_new(file, "changes", all);
    return file;
}

static void test_same_bytes(void **state)
{
    json_error_t error;
    json_t *kept = json_load_file(VECTORS_FILE, 0, &error);
    json_t *made = vectors_make();
    (void)state;
    if (kept == NULL) {
        fail_msg("%s: %s", VECTORS_FILE, error.text);
    }
    assert_true(json_equal(kept, made));
    json_decref(made);
    json_decref(kept);
}

static size_t bytes_of(const json_t *vector, const char *name, uint8_t *out, size_t cap)
{
    const char *text = json_string_value(json_object_get(vector, name));
    size_t len = 0;
    assert_non_null(text);
    assert_true(strlen(text) / 2 <= cap);
    len = strlen(text) / 2;
    for (size_t i = 0; i < len; i++) {
        const char digits[3] = {text[2 * i], text[2 * i + 1], '\0'};
        out[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
    return len;
}

/* Parses as a receiver does, up to the signature of the device that `seed` is of. */
static bool accepted(struct msy_change *change, meshsync_bytes bytes, const uint8_t *device)
{
    struct msy_buf message;
    uint8_t root[MSY_CHANGE_HASH_BYTES];
    meshsync_error error = {0};
    if (msy_change_parse(change, bytes, &error) != MESHSYNC_OK) {
        return false;
    }
    uint8_t *hashes = malloc((size_t)change->ops_count * MSY_CHANGE_HASH_BYTES);
    assert_non_null(hashes);
    msy_buf_init(&message, &alloc, BYTES_MAX);
    bool good = msy_change_op_hashes(&hasher, change, hashes, root) == MESHSYNC_OK &&
                memcmp(root, change->header.root, sizeof root) == 0 &&
                msy_change_signed_bytes(change->header_bytes, &message) == MESHSYNC_OK &&
                msy_verify(change->signature, msy_buf_bytes(&message), device);
    msy_buf_fini(&message);
    free(hashes);
    return good;
}

/* Every byte of every change, altered in one bit, makes a change that nobody accepts. */
static void test_damage_is_refused(void **state)
{
    static uint8_t bytes[65536];
    uint8_t seed[MSY_SIGN_SEED_BYTES], device[MSY_SIGN_PUBLIC_BYTES];
    json_t *made = vectors_make();
    const json_t *all = json_object_get(made, "changes");
    struct msy_change change;
    (void)state;
    msy_change_init(&change, &alloc);
    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *vector = json_array_get(all, i);
        size_t len = bytes_of(vector, "change", bytes, sizeof bytes);
        assert_int_equal(bytes_of(vector, "signing_seed", seed, sizeof seed), sizeof seed);
        msy_sign_public(device, seed);
        assert_true(accepted(&change, msy_bytes(bytes, len), device));
        for (size_t at = 0; at < len; at++) {
            uint8_t bit = (uint8_t)(1U << (at % 8));
            bytes[at] ^= bit;
            if (accepted(&change, msy_bytes(bytes, len), device)) {
                fail_msg("change %zu is accepted with byte %zu altered", i, at);
            }
            bytes[at] ^= bit;
            assert_false(accepted(&change, msy_bytes(bytes, at), device));
        }
    }
    msy_change_fini(&change);
    json_decref(made);
}

static int vectors_write(void)
{
    json_t *made = vectors_make();
    int failed = json_dump_file(made, VECTORS_FILE, JSON_INDENT(1) | JSON_PRESERVE_ORDER);
    json_decref(made);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_same_bytes),
                                       cmocka_unit_test(test_damage_is_refused)};
    msy_alloc_init(&alloc, NULL, NULL, 0);
    if (msy_crypto_init() != MESHSYNC_OK) {
        return EXIT_FAILURE;
    }
    if (argc == 2 && strcmp(argv[1], "--write") == 0) {
        return vectors_write();
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
