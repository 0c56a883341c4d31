/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shows that every public function, on nodes over LMDB with their threads and a peer, when the n-th
 * allocation fails, of our allocator or of LMDB's own, once or from then on, for every n, says that
 * there is no memory, works when it is called again, leaks nothing and loses nothing that was
 * acknowledged. A function that is new fails the test until it has a case.
 */
#include "fault/api_world.h"

#include <errno.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STRIDE_DEFAULT = 5 };

static struct fail_memory ours;
static struct fail_memory lmdb;
static uintptr_t lmdb_first, lmdb_last;

/* ---- malloc below LMDB ---- */

/* Sanitizers have a malloc of their own, which must not be replaced. */
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define REPLACES_MALLOC 1
/* By the libraries, which else would go on with the C library's. */
#define SEEN __attribute__((visibility("default")))

void *libc_malloc(size_t size) __asm__("__libc_malloc");
void *libc_calloc(size_t count, size_t size) __asm__("__libc_calloc");
void *libc_realloc(void *ptr, size_t size) __asm__("__libc_realloc");
void *libc_memalign(size_t alignment, size_t size) __asm__("__libc_memalign");
void libc_free(void *ptr) __asm__("__libc_free");

static bool is_lmdb(const void *caller)
{
    return (uintptr_t)caller >= lmdb_first && (uintptr_t)caller < lmdb_last;
}

/* libuv aborts when it gets none, and others have their own ways: LMDB alone is made to fail. */
static bool refuses(const void *caller)
{
    return is_lmdb(caller) && fail_memory_refuses(&lmdb);
}

/* What LMDB got and nobody gave back yet, by address. Only the giver is told by who calls: LMDB
 * jumps into free() where it is the last that a function does. */
enum { LIVE_SLOTS = 1 << 16, LIVE_PROBES = 16 };
static _Atomic(void *) live[LIVE_SLOTS];

static size_t live_slot(const void *ptr)
{
    return ((uintptr_t)ptr >> 4) * 0x9e3779b1u % LIVE_SLOTS;
}

static void *counted(void *ptr, const void *caller)
{
    if (ptr == NULL || !is_lmdb(caller)) {
        return ptr;
    }
    for (size_t i = 0, at = live_slot(ptr); i < LIVE_PROBES; i++, at = (at + 1) % LIVE_SLOTS) {
        void *none = NULL;
        if (atomic_compare_exchange_strong(&live[at], &none, ptr)) {
            (void)atomic_fetch_add(&lmdb.blocks, 1);
            return ptr;
        }
    }
    return ptr; /* Too many at one place: not counted. */
}

static bool uncounted(void *ptr)
{
    for (size_t i = 0, at = live_slot(ptr); i < LIVE_PROBES; i++, at = (at + 1) % LIVE_SLOTS) {
        void *mine = ptr;
        if (ptr != NULL && live[at] == ptr &&
            atomic_compare_exchange_strong(&live[at], &mine, NULL)) {
            (void)atomic_fetch_sub(&lmdb.blocks, 1);
            return true;
        }
    }
    return false;
}

SEEN void *malloc(size_t size)
{
    const void *caller = __builtin_return_address(0);
    return refuses(caller) ? NULL : counted(libc_malloc(size), caller);
}

SEEN void *calloc(size_t count, size_t size)
{
    const void *caller = __builtin_return_address(0);
    return refuses(caller) ? NULL : counted(libc_calloc(count, size), caller);
}

SEEN void *realloc(void *ptr, size_t size)
{
    const void *caller = __builtin_return_address(0);
    if (refuses(caller)) {
        return NULL;
    }
    (void)uncounted(ptr);
    void *out = libc_realloc(ptr, size);
    return counted(out != NULL ? out : ptr, caller) == NULL ? NULL : out;
}

SEEN int posix_memalign(void **ptr, size_t alignment, size_t size)
{
    const void *caller = __builtin_return_address(0);
    *ptr = refuses(caller) ? NULL : counted(libc_memalign(alignment, size), caller);
    return *ptr == NULL ? ENOMEM : 0;
}

SEEN char *strdup(const char *text)
{
    const void *caller = __builtin_return_address(0);
    size_t size = strlen(text) + 1;
    char *copy = refuses(caller) ? NULL : counted(libc_malloc(size), caller);
    return copy == NULL ? NULL : memcpy(copy, text, size);
}

SEEN void free(void *ptr)
{
    (void)uncounted(ptr);
    libc_free(ptr);
}
#else
#define REPLACES_MALLOC 0
#endif

/* Where the library lies in memory. */
static int find_lmdb(struct dl_phdr_info *info, size_t size, void *user)
{
    (void)size;
    (void)user;
    if (strstr(info->dlpi_name, "liblmdb") == NULL) {
        return 0;
    }
    for (int i = 0; i < info->dlpi_phnum; i++) {
        uintptr_t first = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
        uintptr_t last = first + info->dlpi_phdr[i].p_memsz;
        if (info->dlpi_phdr[i].p_type == PT_LOAD) {
            lmdb_first = lmdb_first == 0 || first < lmdb_first ? first : lmdb_first;
            lmdb_last = last > lmdb_last ? last : lmdb_last;
        }
    }
    return 1;
}

/* ---- Sources of failures ---- */

static bool may_memory(meshsync_status status)
{
    return status == MESHSYNC_E_NO_MEMORY;
}

static void ours_arm(uint64_t n, bool stays)
{
    fail_memory_at(&ours, n, stays);
}

static void ours_off(void)
{
    fail_memory_off(&ours);
}

static bool ours_fired(void)
{
    return ours.fired;
}

static void lmdb_arm(uint64_t n, bool stays)
{
    fail_memory_at(&lmdb, n, stays);
}

static void lmdb_off(void)
{
    fail_memory_off(&lmdb);
}

static bool lmdb_fired(void)
{
    return lmdb.fired;
}

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL && text[0] != '\0' ? strtoull(text, NULL, 10) : otherwise;
}

static void try_source(const struct api_source *source)
{
    struct api_world world;
    api_world_open(&world, &ours);
    uint64_t count = api_world_try(&world, source, number_of("MESHSYNC_STRIDE", STRIDE_DEFAULT));
    uint64_t added = world.added;
    api_world_close(&world);
    assert_int_equal(ours.blocks, 0);
    assert_int_equal(ours.bytes, 0);
    print_message("%s: %llu failures, %llu acknowledged adds all there, nothing leaked\n",
                  source->name, (unsigned long long)count, (unsigned long long)added);
    assert_true(count > 10);
}

static void test_our_allocations(void **state)
{
    static const struct api_source source = {.name = "our allocation",
                                             .arm = ours_arm,
                                             .off = ours_off,
                                             .fired = ours_fired,
                                             .may = may_memory};
    (void)state;
    try_source(&source);
}

static void test_allocations_of_lmdb(void **state)
{
    static const struct api_source source = {.name = "allocation of LMDB",
                                             .arm = lmdb_arm,
                                             .off = lmdb_off,
                                             .fired = lmdb_fired,
                                             .may = may_memory};
    (void)state;
    if (!REPLACES_MALLOC) {
        print_message("a sanitizer has the malloc: LMDB's is not made to fail\n");
        skip();
    }
    (void)dl_iterate_phdr(find_lmdb, NULL);
    assert_true(lmdb_first != 0);
    try_source(&source);
    assert_int_equal(lmdb.blocks, 0);
}

/* ---- The table of cases is whole ---- */

static bool has_case(const char *name)
{
    size_t len = strlen(name);
    for (uint32_t i = 0; i < api_cases_count; i++) {
        const char *at = api_cases[i].functions;
        while ((at = strstr(at, name)) != NULL) {
            if (at[len] == ' ' || at[len] == '\0') {
                return true;
            }
            at += len;
        }
    }
    return false;
}

static void test_every_function_has_a_case(void **state)
{
    char name[128];
    uint32_t count = 0;
    FILE *symbols = fopen("tests/abi/symbols.golden", "r");
    (void)state;
    if (symbols == NULL) {
        skip(); /* Not run from the root of the tree. */
    }
    while (fgets(name, sizeof name, symbols) != NULL) {
        name[strcspn(name, "\n")] = '\0';
        if (name[0] != '\0' && !has_case(name)) {
            fail_msg("%s has no case in tests/fault/api_cases.c", name);
        }
        count += 1;
    }
    (void)fclose(symbols);
    assert_true(count > 70);
    print_message("%u public functions, %u cases\n", count, api_cases_count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_function_has_a_case),
                                       cmocka_unit_test(test_our_allocations),
                                       cmocka_unit_test(test_allocations_of_lmdb)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
