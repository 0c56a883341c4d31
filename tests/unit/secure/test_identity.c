/* SPDX-License-Identifier: Apache-2.0 */
/* Shows that an identity is kept for its owner alone, is made once whoever is first, and that a
 * damaged file is refused instead of becoming somebody else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "secure/identity.h"
#include "unit/secure/secure_kit.h"

enum { FILE_BYTES = 48, VERSION_AT = 6, NOBODY = 65534, MAKERS = 8 };

static const uint8_t seed_one[MSY_SIGN_SEED_BYTES] = {1, 2, 3};

struct place {
    char folder[512];
    char file[600];
};

static int place_make(void **state)
{
    static struct place place;
    if (msy_crypto_init() != MESHSYNC_OK || !kit_folder_make(place.folder, sizeof place.folder)) {
        return -1;
    }
    int len = snprintf(place.file, sizeof place.file, "%s/identity.key", place.folder);
    *state = &place;
    return len > 0 && (size_t)len < sizeof place.file ? 0 : -1;
}

static int place_remove(void **state)
{
    const struct place *place = *state;
    kit_folder_remove(place->folder);
    return 0;
}

static meshsync_status load(const struct place *place, bool create, struct msy_identity **identity,
                            meshsync_error *error)
{
    return msy_identity_load(place->folder, create, msy_crypto_entropy(), identity, error);
}

static size_t file_get(const struct place *place, uint8_t bytes[FILE_BYTES + 1])
{
    int fd = open(place->file, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    ssize_t got = read(fd, bytes, FILE_BYTES + 1);
    assert_true(got >= 0);
    assert_int_equal(close(fd), 0);
    return (size_t)got;
}

static void file_put(const struct place *place, const uint8_t *bytes, size_t len)
{
    int fd = open(place->file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), (ssize_t)len);
    assert_int_equal(close(fd), 0);
}

/* ---- In memory ---- */

/* RFC 8032, 7.1, test 1; the X25519 form was worked out by another implementation. */
static void keys_are_those_of_the_seed(void **state)
{
    (void)state;
    struct msy_identity *identity = NULL;
    uint8_t seed[32];
    uint8_t wanted[32];
    uint8_t dh_public[32];
    uint8_t dh_secret[32];
    uint8_t from_public[32];
    uint8_t again[32];
    uint8_t signature[64];
    uint8_t signed_by_seed[64];
    static const uint8_t message[] = {1, 2, 3};
    const meshsync_bytes said = {message, sizeof message};
    (void)kit_hex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", seed, 32);
    (void)kit_hex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", wanted, 32);
    assert_int_equal(msy_identity_new(seed, &identity, NULL), MESHSYNC_OK);
    assert_memory_equal(msy_identity_public(identity), wanted, 32);
    msy_identity_dh(identity, dh_public, dh_secret);
    (void)kit_hex("d85e07ec22b0ad881537c2f44d662d1a143cf830c57aca4305d85c7a90f6b62e", wanted, 32);
    assert_memory_equal(dh_public, wanted, 32);
    (void)kit_hex("307c83864f2833cb427a2ef1c00a013cfdff2768d980c0a3a520f006904de94f", wanted, 32);
    assert_memory_equal(dh_secret, wanted, 32);
    assert_true(msy_identity_dh_public(msy_identity_public(identity), from_public));
    assert_memory_equal(from_public, dh_public, 32);
    msy_identity_seed(identity, again);
    assert_memory_equal(again, seed, 32);
    msy_identity_sign(identity, said, signature);
    msy_sign(signed_by_seed, said, seed);
    assert_memory_equal(signature, signed_by_seed, sizeof signature);
    msy_identity_free(identity);
    msy_identity_free(NULL);
}

/* Small order, off the curve, not in the main subgroup, and not written canonically. */
static void keys_that_are_no_points_have_no_other_form(void **state)
{
    (void)state;
    static const char *wrong[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000080",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0200000000000000000000000000000000000000000000000000000000000000",
        "b92a93362fa97ad845f2cb4efef8509ec28f8fe9c74ea9942ec53028860b6cb7",
        "f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        uint8_t point[32];
        uint8_t out[32];
        assert_int_equal(kit_hex(wrong[i], point, sizeof point), sizeof point);
        if (msy_identity_dh_public(point, out)) {
            fail_msg("taken as a key: %s", wrong[i]);
        }
    }
}

/* Runs a check in a process of its own, since it gives up rights or memory; 0 is good. */
static int in_child(int (*check)(const struct place *), const struct place *place)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        _exit(check(place));
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

/* The answer has to be the system's, whatever that is here. */
static int locking_is_reported(const struct place *place)
{
    (void)place;
    struct msy_identity *identity = NULL;
    uint8_t signature[64];
    static const uint8_t message[] = {9};
    uint8_t *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED || msy_identity_new(seed_one, &identity, NULL) != MESHSYNC_OK) {
        return 1;
    }
    bool lockable = mlock(page, 4096) == 0;
    int wrong = msy_identity_locked(identity) == lockable ? 0 : 2;
    msy_identity_sign(identity, (meshsync_bytes){message, 1}, signature);
    if (!msy_verify(signature, (meshsync_bytes){message, 1}, msy_identity_public(identity))) {
        wrong = 3;
    }
    msy_identity_free(identity);
    (void)munmap(page, 4096);
    return wrong;
}

static int without_locking(const struct place *place)
{
    const struct rlimit none = {0, 0};
    if (setrlimit(RLIMIT_MEMLOCK, &none) != 0 || (getuid() == 0 && setuid(NOBODY) != 0)) {
        return 0; /* Not to be had here. */
    }
    return locking_is_reported(place);
}

static void memory_is_locked_where_the_system_allows_it(void **state)
{
    assert_int_equal(locking_is_reported(*state), 0);
    assert_int_equal(in_child(without_locking, *state), 0);
}

/* ---- On disk ---- */

static void an_identity_is_made_once_and_kept(void **state)
{
    const struct place *place = *state;
    struct msy_identity *made = NULL;
    struct msy_identity *kept = NULL;
    struct stat info;
    meshsync_error error;
    assert_int_equal(load(place, false, &made, &error), MESHSYNC_E_NOT_FOUND);
    assert_null(made);
    mode_t mask = umask(0);
    assert_int_equal(load(place, true, &made, &error), MESHSYNC_OK);
    (void)umask(mask);
    assert_int_equal(stat(place->file, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
    assert_int_equal(info.st_size, FILE_BYTES);
    assert_int_equal(info.st_nlink, 1);
    assert_int_equal(kit_folder_count(place->folder), 1);
    assert_int_equal(load(place, true, &kept, &error), MESHSYNC_OK);
    assert_memory_equal(msy_identity_public(made), msy_identity_public(kept), 32);
    msy_identity_free(kept);
    assert_int_equal(load(place, false, &kept, &error), MESHSYNC_OK);
    assert_memory_equal(msy_identity_public(made), msy_identity_public(kept), 32);
    msy_identity_free(kept);
    msy_identity_free(made);
}

/* The file of docs/identity.md, byte by byte. */
static void the_file_is_as_documented(void **state)
{
    const struct place *place = *state;
    uint8_t bytes[FILE_BYTES + 1];
    uint8_t check[16];
    meshsync_error error;
    assert_int_equal(msy_identity_store(place->folder, seed_one, &error), MESHSYNC_OK);
    assert_int_equal(file_get(place, bytes), FILE_BYTES);
    assert_memory_equal(bytes, "MSYKEY\001\000", 8);
    assert_memory_equal(bytes + 8, seed_one, 32);
    const meshsync_bytes part = {bytes, 40};
    msy_hash(check, sizeof check, &part, 1);
    assert_memory_equal(bytes + 40, check, 8);
}

static void an_identity_is_never_overwritten(void **state)
{
    const struct place *place = *state;
    static const uint8_t seed_two[MSY_SIGN_SEED_BYTES] = {2};
    uint8_t before[FILE_BYTES + 1];
    uint8_t after[FILE_BYTES + 1];
    meshsync_error error;
    assert_int_equal(msy_identity_store(place->folder, seed_one, &error), MESHSYNC_OK);
    (void)file_get(place, before);
    assert_int_equal(msy_identity_store(place->folder, seed_two, &error), MESHSYNC_E_EXISTS);
    (void)file_get(place, after);
    assert_memory_equal(before, after, FILE_BYTES);
    assert_int_equal(kit_folder_count(place->folder), 1);
}

static int load_and_tell(const struct place *place, int fd)
{
    struct msy_identity *identity = NULL;
    if (load(place, true, &identity, NULL) != MESHSYNC_OK) {
        return 1;
    }
    bool told = write(fd, msy_identity_public(identity), 32) == 32;
    msy_identity_free(identity);
    return told ? 0 : 1;
}

static void those_who_make_it_at_once_agree(void **state)
{
    const struct place *place = *state;
    int ends[2];
    uint8_t first[32];
    uint8_t next[32];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    for (int i = 0; i < MAKERS; i++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            _exit(load_and_tell(place, ends[1]));
        }
    }
    assert_int_equal(close(ends[1]), 0);
    for (int i = 0; i < MAKERS; i++) {
        int status = 1;
        assert_true(wait(&status) > 0);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        assert_int_equal(read(ends[0], i == 0 ? first : next, 32), 32);
        assert_memory_equal(i == 0 ? first : next, first, 32);
    }
    assert_int_equal(close(ends[0]), 0);
    assert_int_equal(kit_folder_count(place->folder), 1);
}

static void a_file_that_others_have_rights_on_is_refused(void **state)
{
    const struct place *place = *state;
    struct msy_identity *identity = NULL;
    meshsync_error error;
    assert_int_equal(msy_identity_store(place->folder, seed_one, &error), MESHSYNC_OK);
    for (mode_t bit = 1; bit < 0100; bit <<= 1) {
        assert_int_equal(chmod(place->file, 0600 | bit), 0);
        assert_int_equal(load(place, true, &identity, &error), MESHSYNC_E_PERMISSION);
        assert_non_null(strstr(error.message, "0600"));
        assert_null(identity);
    }
    assert_int_equal(chmod(place->file, 0400), 0);
    assert_int_equal(load(place, true, &identity, &error), MESHSYNC_OK);
    msy_identity_free(identity);
}

static void a_damaged_file_is_refused_and_kept(void **state)
{
    const struct place *place = *state;
    struct msy_identity *identity = NULL;
    meshsync_error error;
    uint8_t good[FILE_BYTES + 2] = {0};
    uint8_t bytes[FILE_BYTES + 1];
    assert_int_equal(msy_identity_store(place->folder, seed_one, &error), MESHSYNC_OK);
    assert_int_equal(file_get(place, good), FILE_BYTES);
    for (size_t at = 0; at < FILE_BYTES; at++) {
        memcpy(bytes, good, FILE_BYTES);
        bytes[at] ^= (uint8_t)(1u << at % 8);
        file_put(place, bytes, FILE_BYTES);
        assert_int_equal(load(place, true, &identity, &error),
                         at == VERSION_AT ? MESHSYNC_E_STORE_VERSION : MESHSYNC_E_STORE_CORRUPT);
        assert_null(identity);
        uint8_t still[FILE_BYTES + 1];
        assert_int_equal(file_get(place, still), FILE_BYTES);
        assert_memory_equal(still, bytes, FILE_BYTES);
    }
    for (size_t len = 0; len < FILE_BYTES + 3; len++) {
        file_put(place, good, len < sizeof good ? len : sizeof good);
        assert_int_equal(load(place, true, &identity, &error),
                         len == FILE_BYTES ? MESHSYNC_OK : MESHSYNC_E_STORE_CORRUPT);
        msy_identity_free(identity);
        identity = NULL;
    }
}

/* Links lead where somebody else wants; a pipe would keep us waiting. */
static void only_a_file_is_an_identity(void **state)
{
    const struct place *place = *state;
    struct msy_identity *identity = NULL;
    meshsync_error error;
    char target[600];
    (void)snprintf(target, sizeof target, "%s/elsewhere", place->folder);
    assert_int_equal(symlink(target, place->file), 0);
    assert_int_equal(load(place, true, &identity, &error), MESHSYNC_E_IO);
    assert_int_equal(error.system_errno, ELOOP);
    assert_int_equal(msy_identity_store(place->folder, seed_one, &error), MESHSYNC_E_EXISTS);
    assert_int_equal(access(target, F_OK), -1);
    assert_int_equal(unlink(place->file), 0);
    assert_int_equal(mkfifo(place->file, 0600), 0);
    assert_int_equal(load(place, true, &identity, &error), MESHSYNC_E_STORE_CORRUPT);
    assert_int_equal(unlink(place->file), 0);
    assert_int_equal(mkdir(place->file, 0700), 0);
    assert_int_equal(load(place, true, &identity, &error), MESHSYNC_E_STORE_CORRUPT);
    assert_int_equal(rmdir(place->file), 0);
    assert_null(identity);
}

static void a_folder_that_is_none_is_told(void **state)
{
    (void)state;
    struct msy_identity *identity = NULL;
    meshsync_error error;
    char far[2000];
    memset(far, 'x', sizeof far);
    far[sizeof far - 1] = 0;
    assert_int_equal(msy_identity_load(far, true, msy_crypto_entropy(), &identity, &error),
                     MESHSYNC_E_INVALID);
    assert_int_equal(msy_identity_store(far, seed_one, &error), MESHSYNC_E_INVALID);
    assert_int_equal(
        msy_identity_load("no/such/folder", true, msy_crypto_entropy(), &identity, &error),
        MESHSYNC_E_IO);
    assert_int_equal(error.system_errno, ENOENT);
    assert_null(identity);
}

static int without_rights(const struct place *place)
{
    struct msy_identity *identity = NULL;
    if (getuid() == 0 && setuid(NOBODY) != 0) {
        return 0;
    }
    if (load(place, true, &identity, NULL) != MESHSYNC_E_PERMISSION) {
        return 1;
    }
    return identity == NULL ? 0 : 2;
}

static void a_folder_without_rights_is_told(void **state)
{
    const struct place *place = *state;
    assert_int_equal(chmod(place->folder, 0500), 0);
    assert_int_equal(in_child(without_rights, place), 0);
    assert_int_equal(chmod(place->folder, 0700), 0);
    assert_int_equal(kit_folder_count(place->folder), 0);
}

static int without_space(const struct place *place)
{
    const struct rlimit few = {20, 20};
    meshsync_error error;
    (void)signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &few) != 0) {
        return 0;
    }
    if (msy_identity_store(place->folder, seed_one, &error) != MESHSYNC_E_IO) {
        return 1;
    }
    return error.system_errno == EFBIG ? 0 : 2;
}

/* A write that ends in the middle leaves no half of an identity behind. */
static void a_failed_write_leaves_nothing(void **state)
{
    const struct place *place = *state;
    assert_int_equal(in_child(without_space, place), 0);
    assert_int_equal(kit_folder_count(place->folder), 0);
    assert_int_equal(msy_identity_store(place->folder, seed_one, NULL), MESHSYNC_OK);
}

#define ON_DISK(test) cmocka_unit_test_setup_teardown(test, place_make, place_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_DISK(keys_are_those_of_the_seed),
        ON_DISK(keys_that_are_no_points_have_no_other_form),
        ON_DISK(memory_is_locked_where_the_system_allows_it),
        ON_DISK(an_identity_is_made_once_and_kept),
        ON_DISK(the_file_is_as_documented),
        ON_DISK(an_identity_is_never_overwritten),
        ON_DISK(those_who_make_it_at_once_agree),
        ON_DISK(a_file_that_others_have_rights_on_is_refused),
        ON_DISK(a_damaged_file_is_refused_and_kept),
        ON_DISK(only_a_file_is_an_identity),
        ON_DISK(a_folder_that_is_none_is_told),
        ON_DISK(a_folder_without_rights_is_told),
        ON_DISK(a_failed_write_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
