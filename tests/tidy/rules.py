# SPDX-License-Identifier: Apache-2.0
"""The tables that tidy.py holds the tree to."""

CORE = ("base", "clock", "crdt", "wire", "secure", "store", "replica", "mesh")
EVENTS = ("replica/replica.h", "replica/request.h", "replica/read.h", "replica/verify.h",
          "mesh/mesh.h")

# Which folders of lib/, or single headers of them, a folder may include besides its own.
MAY_INCLUDE = {
    "base": (),
    "clock": ("base",),
    "crdt": ("base", "clock"),
    "wire": ("base", "clock"),
    "secure": ("base", "clock", "wire"),
    # Records of the log are changes: reading the history takes reading their headers.
    "store": ("base", "clock", "wire/change.h"),
    "replica": ("base", "clock", "crdt", "wire", "secure", "store/store.h", "store/schema.h",
                "store/history.h"),
    "mesh": ("base", "clock", "wire", "secure", "store/store.h", "store/history.h"),
    "shell": CORE,
    "api": ("base", "shell") + EVENTS,
    "sim": CORE,
    "ext": CORE,
}

# Headers of other libraries, and the one folder that knows each.
FOREIGN = {
    "uv.h": "shell", "uv": "shell",
    "lmdb.h": "store",
    "msgpack.h": "wire", "msgpack": "wire", "zstd.h": "wire", "zstd_errors.h": "wire",
    "sodium.h": "secure", "sodium": "secure",
    "signal.h": "shell",  # To keep the host's signals out of our own threads.
}
# What is never included in lib/ at all, and what is only below the core.
FOREIGN_NEVER = ("jansson.h", "cmocka.h", "assert.h", "locale.h", "alloca.h")
NOT_IN_CORE = ("pthread.h", "threads.h", "time.h", "sys/time.h", "sys/socket.h", "netinet/in.h",
               "arpa/inet.h", "poll.h", "sys/epoll.h", "netdb.h")
# Files of the core that are ports to the system, or guard it, and why.
CORE_PORTS = {
    "lib/base/entropy.c": "the entropy port",
    "lib/store/lmdb_store.h": "readers of many threads share one environment",
    "lib/store/store_memory.c": "readers of many threads share one map",
}
PUBLIC_MAY_INCLUDE = ("stddef.h", "stdint.h")

FILE_LINES_MAX = 800
TEST_LINES_MAX = 1000
LINE_COLUMNS_MAX = 100
FUNCTION_LINES_MAX = 70
PARAMETERS_MAX = 6
LEVELS_MAX = 4

# Calls that nothing in the tree makes, in any folder.
BANNED_ANYWHERE = {
    "gets": "has no bound", "sprintf": "has no bound", "vsprintf": "has no bound",
    "strcpy": "has no bound", "strcat": "has no bound", "alloca": "has no bound",
    "strtok": "keeps global state", "tmpnam": "races", "mktemp": "races",
}
# Calls that the library does not make, for it is a guest in its process.
BANNED_IN_LIB = {
    "malloc": "memory comes from base/alloc", "calloc": "memory comes from base/alloc",
    "realloc": "memory comes from base/alloc", "free": "memory goes to base/alloc",
    "strdup": "memory comes from base/alloc", "strndup": "memory comes from base/alloc",
    "aligned_alloc": "memory comes from base/alloc",
    "posix_memalign": "memory comes from base/alloc",
    "printf": "the library never prints", "vprintf": "the library never prints",
    "fprintf": "the library never prints", "vfprintf": "the library never prints",
    "puts": "the library never prints", "fputs": "the library never prints",
    "putchar": "the library never prints", "perror": "the library never prints",
    "dprintf": "the library never prints", "syslog": "the library never prints",
    "abort": "the library never ends its host", "exit": "the library never ends its host",
    "_exit": "the library never ends its host", "assert": "a bug is MSY_ASSERT",
    "atexit": "belongs to the host", "signal": "belongs to the host",
    "sigaction": "belongs to the host", "raise": "belongs to the host",
    "setlocale": "belongs to the host", "setenv": "belongs to the host",
    "uv_replace_allocator": "belongs to the host",
    "randombytes_set_implementation": "belongs to the host",
    "getenv": "options are the only input", "system": "belongs to the host",
    "rand": "randomness is base/prng or the entropy port",
    "random": "randomness is base/prng or the entropy port",
    "srand": "randomness is base/prng or the entropy port",
    "strerror": "is not safe among threads", "localtime": "is not safe among threads",
    "gmtime": "is not safe among threads",
    "msgpack_unpack_next": "believes lengths that nothing has checked",
}
# Calls that would make the core depend on something besides its events.
BANNED_IN_CORE = {
    "time": "time comes in the event", "clock_gettime": "time comes in the event",
    "gettimeofday": "time comes in the event", "clock": "time comes in the event",
    "nanosleep": "the core never waits", "usleep": "the core never waits",
    "sleep": "the core never waits", "qsort_r": "order must be total: use qsort",
}
# Where a banned call is the point.
MAY_CALL = {
    "lib/base/alloc.c": ("free", "realloc"),
    # Reached in test and simulator builds alone.
    "lib/base/error.c": ("fprintf", "abort"),
}
# Variables that outlive a call, in the core; each is said to be harmless.
MAY_KEEP = {
    "lib/base/error.c": ("assert_failures",),
    # LMDB may be opened once per process and file: this is where it is known what is open.
    "lib/store/lmdb_open.c": ("registry_lock", "registry_first"),
}
# Names of the implementation that the language or the compilers give us.
RESERVED_OK = (r"__(atomic|builtin|sync)_\w+", r"__attribute__", r"__FILE__", r"__LINE__",
               r"__func__", r"__cplusplus", r"__GNUC__", r"__clang__", r"__linux__", r"__x86_64__",
               r"__aarch64__", r"__SSE4_2__", r"__AES__", r"__has_\w+", r"__SANITIZE_\w+__",
               r"__ATOMIC_\w+", r"__BYTE_ORDER__", r"__ORDER_\w+", r"__VA_ARGS__", r"__extension__",
               r"__int128", r"_Static_assert", r"_Bool", r"_Alignas", r"_Alignof", r"_Atomic",
               r"_Noreturn", r"_Thread_local", r"_Generic", r"_GNU_SOURCE", r"_FORTIFY_SOURCE",
               r"_mm\d*_\w+", r"__m\d+i?", r"_exit", r"_SC_\w+", r"_IO\w*", r"__SIZEOF_\w+__",
               r"__typeof__", r"__thread")
