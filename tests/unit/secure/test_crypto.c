/* SPDX-License-Identifier: Apache-2.0 */
/* Shows that the primitives are the published ones, that the homomorphic digest adds up, and which
 * signatures every replica accepts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "secure/identity.h"
#include "secure/verified.h"
#include "unit/secure/secure_kit.h"

static int start(void **state)
{
    (void)state;
    return msy_crypto_init() == MESHSYNC_OK && msy_crypto_init() == MESHSYNC_OK ? 0 : -1;
}

static meshsync_bytes bytes_of(const char *text)
{
    return (meshsync_bytes){(const uint8_t *)text, strlen(text)};
}

static void assert_hex(const uint8_t *bytes, size_t n, const char *hex)
{
    uint8_t wanted[64];
    assert_int_equal(kit_hex(hex, wanted, sizeof wanted), n);
    assert_memory_equal(bytes, wanted, n);
}

/* RFC 7693, appendix A, and values of another implementation. */
static void hashes_are_blake2b(void **state)
{
    (void)state;
    uint8_t out[64];
    uint8_t key[32];
    meshsync_bytes abc = bytes_of("abc");
    meshsync_bytes none = {NULL, 0};
    for (size_t i = 0; i < sizeof key; i++) {
        key[i] = (uint8_t)i;
    }
    msy_hash(out, 64, &abc, 1);
    assert_hex(out, 64,
               "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d1"
               "7d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923");
    msy_hash(out, 32, &abc, 1);
    assert_hex(out, 32, "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
    msy_hash(out, 16, &none, 1);
    assert_hex(out, 16, "cae66941d9efbd404e4d88758ea67670");
    msy_hash(out, 16, NULL, 0);
    assert_hex(out, 16, "cae66941d9efbd404e4d88758ea67670");
    msy_hash_keyed(out, 32, (meshsync_bytes){key, sizeof key}, &abc, 1);
    assert_hex(out, 32, "d63a32d3e44738d7907f964316c241adaba0abfeabc32349677578a15a203f7f");
}

/* The short, the copied and the streamed way: 256 bytes is where the second ends. */
static void hashes_do_not_depend_on_how_bytes_are_parted(void **state)
{
    (void)state;
    uint8_t text[600];
    uint8_t whole[32];
    uint8_t parted[32];
    static const size_t lens[] = {0, 1, 2, 127, 128, 129, 255, 256, 257, 384, 600};
    for (size_t i = 0; i < sizeof text; i++) {
        text[i] = (uint8_t)(i % 251);
    }
    const meshsync_bytes all = {text, sizeof text};
    const meshsync_bytes most = {text, 257};
    msy_hash(whole, sizeof whole, &all, 1);
    assert_hex(whole, 32, "3b43465dedfd4d6c36300512e565e92ff0721a9e39d6407968557b6ca2f98336");
    msy_hash(whole, sizeof whole, &most, 1);
    assert_hex(whole, 32, "227e15ed64ee8e93eb7bc53828f76eed974f2c4ab1408c3d08f212b7f8d69904");
    const meshsync_bytes key = {text + 3, 32};
    for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
        const meshsync_bytes one = {text, lens[i]};
        msy_hash(whole, sizeof whole, &one, 1);
        for (size_t cut = 0; cut <= lens[i]; cut++) {
            const meshsync_bytes parts[] = {
                {text, cut},
                {NULL, 0},
                {text + cut, (lens[i] - cut) / 2},
                {text + cut + (lens[i] - cut) / 2, lens[i] - cut - (lens[i] - cut) / 2}};
            msy_hash(parted, sizeof parted, parts, 4);
            assert_memory_equal(parted, whole, sizeof whole);
        }
        const meshsync_bytes halves[] = {{text, lens[i] / 3},
                                         {text + lens[i] / 3, lens[i] - lens[i] / 3}};
        msy_hash_keyed(whole, sizeof whole, key, &one, 1);
        msy_hash_keyed(parted, sizeof parted, key, halves, 2);
        assert_memory_equal(parted, whole, sizeof whole);
    }
}

/* The first and the sixteenth of the vectors in SipHash's paper. */
static void the_short_hash_is_siphash(void **state)
{
    (void)state;
    uint8_t key[16];
    uint8_t text[16];
    for (size_t i = 0; i < 16; i++) {
        key[i] = (uint8_t)i;
        text[i] = (uint8_t)i;
    }
    assert_true(msy_hash_short(key, (meshsync_bytes){text, 0}) == UINT64_C(0x726fdb47dd0e0e31));
    assert_true(msy_hash_short(key, (meshsync_bytes){text, 15}) == UINT64_C(0xa129ca6149be45e5));
}

/* RFC 8439, A.1, first vector. */
static void the_stream_is_chacha20(void **state)
{
    (void)state;
    static const uint8_t key[32];
    static const uint8_t nonce[12];
    uint8_t out[64];
    msy_stream(out, sizeof out, key, nonce);
    assert_hex(out, 64,
               "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7"
               "da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586");
}

static void element_of(uint32_t number, uint8_t key[32], uint8_t nonce[12])
{
    const meshsync_bytes part = {(const uint8_t *)&number, sizeof number};
    msy_hash(key, 32, &part, 1);
    memset(nonce, 0, 12);
    nonce[0] = (uint8_t)(number % 5);
}

/* The definition, word by word. */
static void lthash_by_words(struct msy_lthash *sum, uint32_t number, bool add)
{
    uint8_t key[32];
    uint8_t nonce[12];
    uint8_t stream[MSY_LTHASH_BYTES];
    element_of(number, key, nonce);
    msy_stream(stream, sizeof stream, key, nonce);
    for (size_t i = 0; i < MSY_LTHASH_BYTES; i += 2) {
        unsigned left = sum->sums[i] + 256u * sum->sums[i + 1];
        unsigned right = stream[i] + 256u * stream[i + 1];
        unsigned value = (add ? left + right : left + 65536u - right) % 65536u;
        sum->sums[i] = (uint8_t)(value % 256u);
        sum->sums[i + 1] = (uint8_t)(value / 256u);
    }
}

static void lthash_change(struct msy_lthash *sum, uint32_t number, bool add)
{
    uint8_t key[32];
    uint8_t nonce[12];
    element_of(number, key, nonce);
    if (add) {
        msy_lthash_add(sum, key, nonce);
    } else {
        msy_lthash_remove(sum, key, nonce);
    }
}

static void the_digest_is_the_sum_of_what_is_in_it(void **state)
{
    (void)state;
    struct msy_lthash sum = {{0}};
    struct msy_lthash model = {{0}};
    struct msy_lthash backwards = {{0}};
    static const struct msy_lthash zero;
    for (uint32_t i = 0; i < 40; i++) {
        lthash_change(&sum, i, true);
        lthash_by_words(&model, i, true);
        assert_memory_equal(&sum, &model, sizeof sum);
    }
    for (uint32_t i = 40; i > 0; i--) {
        lthash_change(&backwards, i - 1, true);
    }
    assert_memory_equal(&sum, &backwards, sizeof sum);
    lthash_change(&sum, 7, true); /* Twice is not once. */
    assert_memory_not_equal(&sum, &backwards, sizeof sum);
    lthash_change(&sum, 7, false);
    for (uint32_t i = 0; i < 40; i++) {
        lthash_change(&sum, i, false);
        lthash_by_words(&model, i, false);
        assert_memory_equal(&sum, &model, sizeof sum);
    }
    assert_memory_equal(&sum, &zero, sizeof sum);
}

/* RFC 8032, 7.1, tests 1 to 3. */
static void signatures_are_ed25519(void **state)
{
    (void)state;
    static const struct {
        const char *seed, *public_key, *message, *signature;
    } rows[] = {
        {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
         "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
         "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
         "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"},
        {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
         "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
         "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
         "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"},
        {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
         "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
         "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
         "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t seed[32];
        uint8_t public_key[32];
        uint8_t message[2];
        uint8_t signature[64];
        (void)kit_hex(rows[i].seed, seed, sizeof seed);
        size_t len = kit_hex(rows[i].message, message, sizeof message);
        msy_sign_public(public_key, seed);
        assert_hex(public_key, 32, rows[i].public_key);
        msy_sign(signature, (meshsync_bytes){message, len}, seed);
        assert_hex(signature, 64, rows[i].signature);
        assert_true(msy_verify(signature, (meshsync_bytes){message, len}, public_key));
    }
}

static void a_signature_holds_for_its_bytes_alone(void **state)
{
    (void)state;
    static const uint8_t seed[32] = {9};
    uint8_t message[] = "what was said";
    uint8_t public_key[32];
    uint8_t signature[64];
    const meshsync_bytes said = {message, sizeof message};
    msy_sign_public(public_key, seed);
    msy_sign(signature, said, seed);
    assert_true(msy_verify(signature, said, public_key));
    assert_false(msy_verify(signature, (meshsync_bytes){message, sizeof message - 1}, public_key));
    for (size_t bit = 0; bit < 8 * sizeof signature; bit++) {
        signature[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(msy_verify(signature, said, public_key));
        signature[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t bit = 0; bit < 8 * sizeof public_key; bit++) {
        public_key[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(msy_verify(signature, said, public_key));
        public_key[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t i = 0; i < sizeof message; i++) {
        message[i] ^= 1u;
        assert_false(msy_verify(signature, said, public_key));
        message[i] ^= 1u;
    }
}

/* Made with another implementation. Where verifiers of this world differ, replicas must not: a
 * library that judges one of these otherwise would split a mesh. */
static const struct {
    const char *what, *public_key, *signature;
    bool good;
} acceptance[] = {
    {"an honest signature", "b1d2e5e06ed34615dff319908ebe471bfa72c67a9bf1315b23a9cf5e9c800971",
     "fd5f3bfbf7d9af384600b91617b255d7496899d79bdaacc7e095eb48f7e638eae5ed7a3c2220b517f7a3d01f94d79"
     "f601f5680543de24d4394ce0b0f5fb7e705",
     true},
    {"S is not reduced", "b1d2e5e06ed34615dff319908ebe471bfa72c67a9bf1315b23a9cf5e9c800971",
     "fd5f3bfbf7d9af384600b91617b255d7496899d79bdaacc7e095eb48f7e638ead2c170993c83c76fcd40c8c272d17"
     "e751f5680543de24d4394ce0b0f5fb7e715",
     false},
    {"R is the identity", "b1d2e5e06ed34615dff319908ebe471bfa72c67a9bf1315b23a9cf5e9c800971",
     "010000000000000000000000000000000000000000000000000000000000000071a8d5d1c6b93089e95a50806a752"
     "76e2e47a9e273d6e98a61278327a657c70d",
     false},
    {"A and R of mixed order, torsion cancels",
     "b92a93362fa97ad845f2cb4efef8509ec28f8fe9c74ea9942ec53028860b6cb7",
     "271ffeb76e763f51f6d6392a42c6fe5461e5cf71eb2b1f0318bec725fb812e2e7ff09f3b27234f715c847b3dda2d7"
     "3d820a8670545415e88c8f614db81a27403",
     true},
    {"A of mixed order, torsion is left",
     "b92a93362fa97ad845f2cb4efef8509ec28f8fe9c74ea9942ec53028860b6cb7",
     "8231958b6566b96f9b7a042584893d7f4f1a3b7686e9b17dd02d41a0030f588f202c7e265f2f0ce9968ab88f21794"
     "1d958caff797190d02646837e008206aa08",
     false},
    {"A of mixed order, torsion cancels",
     "b92a93362fa97ad845f2cb4efef8509ec28f8fe9c74ea9942ec53028860b6cb7",
     "24f8b9d2a60f907871e98ffcca67514a1d5aee39dd8a0656baf52029d973d7ef302c93ccd541931f8c876fca41f83"
     "cb8ab48244a57cfa98598321835d9a44704",
     true},
    {"R of mixed order", "b1d2e5e06ed34615dff319908ebe471bfa72c67a9bf1315b23a9cf5e9c800971",
     "09b71d9da5c47ca9682a5c2289c1e5698279208e8ae62c4bbffe94d4475cd11d57e102729f4fc41ea72b4fa13bc24"
     "3cd00f5c9ce814c9d6412f1f97c4303a108",
     false},
    {"A is small: T times 0", "0100000000000000000000000000000000000000000000000000000000000000",
     "f1c98e35735889dddb6ec399728f36516df15c4d98234619d9a120350aa92015036d156c52f288bae902dc141e00a"
     "f879c30d62567f0da9ce2536d7b5fc31c05",
     false},
    {"A is small: T times 1", "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
     "b0d891ec151a7962087b03bb2bd481941502952508e1ef1af8c87d5b3a4a8461ff372cdd5ae6fd58e5d17f81c721a"
     "5887a5d865f6a565a056c28d9c26670870d",
     false},
    {"A is small: T times 2", "0000000000000000000000000000000000000000000000000000000000000080",
     "cca4bf28973cb303e71ef4e00d27be09937114bf021e6c1b6fc639de3c3c4e7d37c4873f7c4991187ed09a488efe3"
     "1fb18f644fd3db9bbcb857f5b7661482908",
     false},
    {"A is small: T times 3", "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
     "ca1dd3ff6414d8b6bed8f31780066dc3da3b3f8f7fd5ddebe5d2379e46b0d13abc4044ddacf32eac7221b9d7dd0d9"
     "984caed5245b0971200ad92ad1c3e4b570b",
     false},
    {"A is small: T times 4", "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
     "40c85c8d7561c606b4d3c34886282e9fb3b1eba504be7c030e7ec4b226363c043affb3556452b80f62eddd4fad9c4"
     "24fd8d0321b4df1878f0f104b65fa702208",
     false},
    {"A is small: T times 5", "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
     "097f05f4579b442c93824f22ba273727a8a060037bd509bf060ac8b0731596dd4f89e5fce244decae009ad3c60f6d"
     "ec5e0d3d561c746a468858cd75ca38d380b",
     false},
    {"A is small: T times 6", "0000000000000000000000000000000000000000000000000000000000000000",
     "132d686c3fcfb3ad0589c3440618ebb4dcc3cc817dc36102b4a7ae7b9b04f252f317322db785d046d23691de74351"
     "78b4d6944e619f546da8b745975e1bfab01",
     false},
    {"A is small: T times 7", "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
     "b6e72fb3430496e8c614d6f92c6268bfc66b46eefe14bf5fdd645e33d6279001b9e8895ec3011575655ea68c6c017"
     "1a9fc33fd22a5d668efe77e8aee16031005",
     false},
    {"A is the identity written as p + 1",
     "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
     "977d333415d9b0a08083ab6bad87de64e4ca42a30c42186df1d067ff0239224b05da65057e3e583aa4af804a4f266"
     "4fe5eba5217dcc3f1ba99e425f145e13a0f",
     false},
    {"A is the identity written as -0",
     "0100000000000000000000000000000000000000000000000000000000000080",
     "67d2b135f0c9f30c9f485178e842d1ed6860d1f98300362f61bb1e0ad2b44eac116b957c71d519c0dd53d86e28bf3"
     "cefcbb4c08c3fd95c5b49cd11c41cf3b804",
     false},
    {"R is the identity written as p + 1",
     "b1d2e5e06ed34615dff319908ebe471bfa72c67a9bf1315b23a9cf5e9c800971",
     "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7ffb6abd7a5499724013b94b59f5072"
     "3b6dd7afc704bd856dd49de8486d3889a0b",
     false},
};

static void every_replica_accepts_the_same_signatures(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof acceptance / sizeof acceptance[0]; i++) {
        uint8_t public_key[32];
        uint8_t signature[64];
        assert_int_equal(kit_hex(acceptance[i].public_key, public_key, 32), 32);
        assert_int_equal(kit_hex(acceptance[i].signature, signature, 64), 64);
        bool good = msy_verify(signature, bytes_of("meshsync acceptance"), public_key);
        if (good != acceptance[i].good) {
            fail_msg("%s: %s", acceptance[i].what, good ? "accepted" : "refused");
        }
    }
}

static void secrets_are_equal_when_every_byte_is(void **state)
{
    (void)state;
    uint8_t a[32];
    uint8_t b[32];
    memset(a, 0x5a, sizeof a);
    memcpy(b, a, sizeof b);
    assert_true(msy_secret_equal(a, b, sizeof a));
    assert_true(msy_secret_equal(a, b, 0));
    for (size_t bit = 0; bit < 8 * sizeof b; bit++) {
        b[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(msy_secret_equal(a, b, sizeof a));
        b[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    msy_wipe(a, sizeof a);
    memset(b, 0, sizeof b);
    assert_true(msy_secret_equal(a, b, sizeof a));
}

/* Valgrind follows bytes that are marked as undefined: no branch and no address may depend on a
 * secret, only the answer does. */
static void secrets_steer_no_branch(void **state)
{
    (void)state;
    uint8_t seed[32] = {3};
    uint8_t a[32] = {1};
    uint8_t b[32] = {1};
    uint8_t public_key[32];
    uint8_t signature[64];
    if (!kit_watched()) {
        print_message("not run by valgrind: branches on secrets are not looked for\n");
        skip();
    }
    unsigned before = kit_errors_count();
    kit_mark_secret(a, sizeof a);
    kit_mark_secret(seed, sizeof seed);
    bool equal = msy_secret_equal(a, b, sizeof a);
    kit_mark_public(&equal, sizeof equal);
    msy_sign_public(public_key, seed);
    msy_sign(signature, bytes_of("a message"), seed);
    assert_int_equal(kit_errors_count(), before);
    kit_mark_public(a, sizeof a);
    kit_mark_public(seed, sizeof seed);
    kit_mark_public(public_key, sizeof public_key);
    kit_mark_public(signature, sizeof signature);
    assert_true(equal);
    assert_true(msy_verify(signature, bytes_of("a message"), public_key));
}

static void the_system_gives_different_bytes(void **state)
{
    (void)state;
    uint8_t a[32] = {0};
    uint8_t b[32] = {0};
    struct msy_entropy entropy = msy_crypto_entropy();
    entropy.fill(entropy.user, a, sizeof a);
    entropy.fill(entropy.user, b, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
}

/* What is remembered is the whole of key, signature and message, and only when it was good. */
static void a_signature_is_verified_once(void **state)
{
    (void)state;
    struct msy_alloc alloc;
    uint8_t seed[MSY_SIGN_SEED_BYTES] = {7};
    uint8_t public_key[MSY_SIGN_PUBLIC_BYTES];
    uint8_t other_key[MSY_SIGN_PUBLIC_BYTES];
    uint8_t signature[MSY_SIGN_BYTES];
    meshsync_bytes message = bytes_of("the message");
    msy_alloc_init(&alloc, NULL, NULL, 0);
    struct msy_verified *verified = msy_verified_new(&alloc, 4);
    assert_non_null(verified);
    msy_sign_public(public_key, seed);
    msy_sign(signature, message, seed);
    seed[0] = 8;
    msy_sign_public(other_key, seed);
    for (uint32_t i = 0; i < 3; i++) {
        assert_true(msy_verify_once(verified, signature, message, public_key));
        assert_int_equal(msy_verified_hits(verified), i);
    }
    for (uint32_t i = 0; i < 2; i++) { /* A refusal is not remembered as anything. */
        assert_false(msy_verify_once(verified, signature, bytes_of("the messagf"), public_key));
        assert_false(msy_verify_once(verified, signature, message, other_key));
        signature[40] ^= 1;
        assert_false(msy_verify_once(verified, signature, message, public_key));
        signature[40] ^= 1;
    }
    assert_int_equal(msy_verified_hits(verified), 2);
    for (uint8_t i = 0; i < 64; i++) { /* More than there are slots. */
        message = (meshsync_bytes){&i, 1};
        seed[0] = 7;
        msy_sign(signature, message, seed);
        assert_true(msy_verify_once(verified, signature, message, public_key));
        assert_true(msy_verify_once(verified, signature, message, public_key));
        assert_true(msy_verify_once(NULL, signature, message, public_key));
    }
    assert_int_equal(msy_verified_hits(verified), 66);
    assert_int_equal(msy_verified_hits(NULL), 0);
    struct msy_identity *identity = NULL;
    uint8_t form[MSY_DH_BYTES];
    uint8_t secret[MSY_DH_BYTES];
    assert_int_equal(msy_identity_new(seed, &identity, NULL), MESHSYNC_OK);
    msy_identity_dh(identity, form, secret);
    for (uint32_t i = 0; i < 2; i++) {
        assert_true(msy_dh_public_once(verified, public_key, form));
        assert_true(msy_dh_public_once(NULL, public_key, form));
        assert_int_equal(msy_verified_hits(verified), 66 + i);
        assert_false(msy_dh_public_once(verified, other_key, form));
        assert_false(msy_dh_public_once(verified, public_key, secret));
    }
    /* What was just signed needs no look; what differs in a bit does, and is refused. */
    message = bytes_of("own");
    msy_sign(signature, message, seed);
    msy_verified_note(verified, signature, message, public_key);
    msy_verified_note(NULL, signature, message, public_key);
    assert_true(msy_verify_once(verified, signature, message, public_key));
    assert_int_equal(msy_verified_hits(verified), 68);
    signature[40] ^= 1;
    assert_false(msy_verify_once(verified, signature, message, public_key));
    msy_identity_free(identity);
    msy_verified_free(verified);
    msy_verified_free(NULL);
    assert_int_equal(alloc.bytes_used, 0);
    alloc.fail_at = 1;
    assert_null(msy_verified_new(&alloc, 4));
    alloc.fail_at = 2;
    assert_null(msy_verified_new(&alloc, 4));
    assert_int_equal(alloc.bytes_used, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes_are_blake2b),
        cmocka_unit_test(a_signature_is_verified_once),
        cmocka_unit_test(hashes_do_not_depend_on_how_bytes_are_parted),
        cmocka_unit_test(the_short_hash_is_siphash),
        cmocka_unit_test(the_stream_is_chacha20),
        cmocka_unit_test(the_digest_is_the_sum_of_what_is_in_it),
        cmocka_unit_test(signatures_are_ed25519),
        cmocka_unit_test(a_signature_holds_for_its_bytes_alone),
        cmocka_unit_test(every_replica_accepts_the_same_signatures),
        cmocka_unit_test(secrets_are_equal_when_every_byte_is),
        cmocka_unit_test(secrets_steer_no_branch),
        cmocka_unit_test(the_system_gives_different_bytes),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
