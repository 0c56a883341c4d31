/* SPDX-License-Identifier: Apache-2.0 */
/* Shows that the validator takes exactly the canonical forms: of the published msgpack test suite,
 * of random values, and of random damage, with msgpack-c as the judge. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>
#include <msgpack.h>

#include "base/entropy.h"
#include "base/limits.h"
#include "wire/msgpack_check.h"

enum { BYTES_MAX = 4096, ROUNDS = 200000 };

/* Does the value keep to what canonical msgpack asks beyond the shortest forms? */
static bool judge_object(const msgpack_object *object, uint32_t depth)
{
    if (object->type == MSGPACK_OBJECT_FLOAT32) {
        return false;
    }
    if (object->type == MSGPACK_OBJECT_FLOAT64) {
        double number = object->via.f64;
        uint64_t bits = 0;
        memcpy(&bits, &number, sizeof bits);
        return number == number || bits == UINT64_C(0x7ff8000000000000);
    }
    if (object->type == MSGPACK_OBJECT_STR) {
        return msy_utf8_valid(
            (meshsync_bytes){(const uint8_t *)object->via.str.ptr, object->via.str.size});
    }
    if (object->type == MSGPACK_OBJECT_ARRAY) {
        bool good = depth < MSY_MSGPACK_DEPTH_MAX;
        for (uint32_t i = 0; i < object->via.array.size && good; i++) {
            good = judge_object(&object->via.array.ptr[i], depth + 1);
        }
        return good;
    }
    if (object->type == MSGPACK_OBJECT_MAP) {
        bool good = depth < MSY_MSGPACK_DEPTH_MAX;
        meshsync_bytes before = {NULL, 0};
        for (uint32_t i = 0; i < object->via.map.size && good; i++) {
            const msgpack_object *key = &object->via.map.ptr[i].key;
            meshsync_bytes text = {(const uint8_t *)key->via.str.ptr, key->via.str.size};
            good = key->type == MSGPACK_OBJECT_STR && judge_object(key, depth + 1) &&
                   (i == 0 || msy_bytes_compare(before, text) < 0) &&
                   judge_object(&object->via.map.ptr[i].val, depth + 1);
            before = text;
        }
        return good;
    }
    return true;
}

/* The judge: msgpack-c reads one value that fills the bytes, and writes the same bytes again. */
static bool judge(const uint8_t *bytes, size_t len)
{
    msgpack_unpacked unpacked;
    msgpack_sbuffer again;
    size_t end = 0;
    msgpack_unpacked_init(&unpacked);
    msgpack_sbuffer_init(&again);
    bool good =
        msgpack_unpack_next(&unpacked, (const char *)bytes, len, &end) == MSGPACK_UNPACK_SUCCESS &&
        end == len;
    if (good) {
        msgpack_packer packer;
        msgpack_packer_init(&packer, &again, msgpack_sbuffer_write);
        good = msgpack_pack_object(&packer, unpacked.data) == 0 && again.size == len &&
               memcmp(again.data, bytes, len) == 0 && judge_object(&unpacked.data, 0);
    }
    msgpack_sbuffer_destroy(&again);
    msgpack_unpacked_destroy(&unpacked);
    return good;
}

static size_t from_hex(const char *text, uint8_t *out)
{
    size_t len = 0;
    for (; *text != '\0'; text += text[2] == '-' ? 3 : 2) {
        char pair[3] = {text[0], text[1], '\0'};
        out[len++] = (uint8_t)strtoul(pair, NULL, 16);
    }
    return len;
}

static void test_published_suite(void **state)
{
    const char *folder = getenv("MESHSYNC_VECTORS_DIR");
    char path[1024];
    (void)state;
    (void)snprintf(path, sizeof path, "%s/msgpack-test-suite.json",
                   folder == NULL ? "../shared/vectors" : folder);
    json_t *suite = json_load_file(path, 0, NULL);
    if (suite == NULL) {
        print_message("no %s: this part is left out\n", path);
        skip();
    }
    const char *name;
    json_t *group;
    unsigned forms = 0;
    unsigned taken = 0;
    json_object_foreach(suite, name, group)
    {
        size_t i;
        json_t *entry;
        json_array_foreach(group, i, entry)
        {
            size_t k;
            json_t *form;
            unsigned here = 0;
            json_array_foreach(json_object_get(entry, "msgpack"), k, form)
            {
                uint8_t bytes[BYTES_MAX];
                size_t len = from_hex(json_string_value(form), bytes);
                bool accepted = msy_msgpack_check((meshsync_bytes){bytes, len}) == len;
                if (accepted != judge(bytes, len)) {
                    fail_msg("%s: %s is %s", name, json_string_value(form),
                             accepted ? "taken" : "refused");
                }
                forms += 1;
                here += accepted ? 1 : 0;
            }
            assert_true(here <= 2); /* One form; a number may stand as integer and as float. */
            taken += here;
        }
    }
    print_message("%u forms, %u canonical\n", forms, taken);
    assert_true(taken > 50);
    json_decref(suite);
}

/* A random canonical value. */
static void make_value(struct msy_prng *prng, struct msy_buf *out, uint32_t depth)
{
    uint8_t data[300];
    uint64_t kind = msy_prng_below(prng, depth > 4 ? 7 : 9);
    size_t len = (size_t)msy_prng_below(prng, msy_prng_below(prng, 8) == 0 ? 300 : 20);
    uint64_t number = msy_prng_next(prng) >> msy_prng_below(prng, 64);
    for (size_t i = 0; i < len; i++) {
        data[i] = (uint8_t)('a' + msy_prng_below(prng, 26));
    }
    switch (kind) {
    case 0: assert_int_equal(msy_mp_put_nil(out), MESHSYNC_OK); break;
    case 1: assert_int_equal(msy_mp_put_bool(out, (number & 1) != 0), MESHSYNC_OK); break;
    case 2: assert_int_equal(msy_mp_put_uint(out, number), MESHSYNC_OK); break;
    case 3: assert_int_equal(msy_mp_put_int(out, -(int64_t)(number >> 1)), MESHSYNC_OK); break;
    case 4: assert_int_equal(msy_mp_put_str(out, (meshsync_bytes){data, len}), MESHSYNC_OK); break;
    case 5: assert_int_equal(msy_mp_put_bin(out, (meshsync_bytes){data, len}), MESHSYNC_OK); break;
    case 6:
        assert_int_equal(msy_mp_put_ext(out, (int8_t)(number & 0x7f), (meshsync_bytes){data, len}),
                         MESHSYNC_OK);
        break;
    default:
        len = (size_t)msy_prng_below(prng, 5);
        if (kind == 7) {
            assert_int_equal(msy_mp_put_array(out, (uint32_t)len), MESHSYNC_OK);
        } else {
            assert_int_equal(msy_mp_put_map(out, (uint32_t)len), MESHSYNC_OK);
        }
        for (size_t i = 0; i < len; i++) {
            uint8_t key[2] = {'k', (uint8_t)('a' + i)};
            if (kind == 8) {
                assert_int_equal(msy_mp_put_str(out, (meshsync_bytes){key, 2}), MESHSYNC_OK);
            }
            make_value(prng, out, depth + 1);
        }
        break;
    }
}

static void test_random_values_and_damage(void **state)
{
    struct msy_prng prng;
    struct msy_alloc alloc;
    struct msy_buf value;
    unsigned taken = 0;
    (void)state;
    msy_prng_init(&prng, 7);
    msy_alloc_init(&alloc, NULL, NULL, 0);
    msy_buf_init(&value, &alloc, 1 << 20);
    for (uint32_t round = 0; round < ROUNDS / 10; round++) {
        msy_buf_reset(&value);
        make_value(&prng, &value, 0);
        assert_int_equal(msy_msgpack_check(msy_buf_bytes(&value)), value.len);
        assert_true(judge(value.data, value.len));
        for (uint32_t k = 0; k < 10 && value.len > 0; k++) {
            size_t at = (size_t)msy_prng_below(&prng, value.len);
            uint8_t old = value.data[at];
            value.data[at] = (uint8_t)msy_prng_next(&prng);
            bool accepted = msy_msgpack_check(msy_buf_bytes(&value)) == value.len;
            assert_int_equal(accepted, judge(value.data, value.len));
            taken += accepted ? 1 : 0;
            value.data[at] = old;
        }
    }
    assert_true(taken > 100); /* Damage within strings and numbers leaves canonical values. */
    msy_buf_fini(&value);
}

/* A count that the bytes cannot hold, at any depth, costs nothing and is refused. */
static void test_claims_without_bytes(void **state)
{
    static const uint8_t claims[][6] = {
        {0xdd, 0xff, 0xff, 0xff, 0xff, 0xc0}, {0xdf, 0xff, 0xff, 0xff, 0xff, 0xc0},
        {0xdb, 0xff, 0xff, 0xff, 0xff, 'a'},  {0xc6, 0xff, 0xff, 0xff, 0xff, 'a'},
        {0xc9, 0xff, 0xff, 0xff, 0xff, 1},
    };
    uint8_t deep[MSY_MSGPACK_DEPTH_MAX + 2];
    (void)state;
    for (size_t i = 0; i < sizeof claims / sizeof claims[0]; i++) {
        assert_int_equal(msy_msgpack_check((meshsync_bytes){claims[i], 6}), 0);
    }
    memset(deep, 0x91, sizeof deep);
    deep[MSY_MSGPACK_DEPTH_MAX] = 0xc0;
    assert_int_equal(msy_msgpack_check((meshsync_bytes){deep, MSY_MSGPACK_DEPTH_MAX + 1}),
                     MSY_MSGPACK_DEPTH_MAX + 1);
    deep[MSY_MSGPACK_DEPTH_MAX] = 0x91;
    deep[MSY_MSGPACK_DEPTH_MAX + 1] = 0xc0;
    assert_int_equal(msy_msgpack_check((meshsync_bytes){deep, sizeof deep}), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published_suite),
        cmocka_unit_test(test_random_values_and_damage),
        cmocka_unit_test(test_claims_without_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
