/* SPDX-License-Identifier: Apache-2.0 */
#include "shell/build.h"

#include <pthread.h>
#include <stdio.h>

#include <meshsync/export.h>

#include <uv.h>

/* Numbers that other files have as constants of the language, which the preprocessor cannot print,
 * are repeated here; the asserts keep them equal. */
#include "secure/crypto.h"
#include "store/schema.h"
#include "store/store.h"
#include "wire/change.h"
#include "wire/msgpack_check.h"

#define BUILD_TEXT(x) #x
#define BUILD_NUMBER(x) BUILD_TEXT(x)
#define BUILD_STORE 2
#define BUILD_CHANGE 1
#define BUILD_PROTOCOL 1
#define BUILD_STORE_TEXT BUILD_NUMBER(BUILD_STORE)
#define BUILD_CHANGE_TEXT BUILD_NUMBER(BUILD_CHANGE)
#define BUILD_PROTOCOL_TEXT BUILD_NUMBER(BUILD_PROTOCOL)

_Static_assert((int)MSY_SCHEMA_VERSION == BUILD_STORE, "the store's format moved on");
_Static_assert((int)MSY_CHANGE_VERSION == BUILD_CHANGE, "the change format moved on");

static pthread_once_t build_once = PTHREAD_ONCE_INIT;
static char build_text[512];

/* Of libraries that are linked dynamically: the version that runs, not that of the headers. */
static void build_compose(void)
{
    int major = 0;
    int minor = 0;
    int patch = 0;
    msy_store_library(&major, &minor, &patch);
    (void)snprintf(build_text, sizeof build_text,
                   "{\"library\":\"" MESHSYNC_VERSION_STRING "\""
                   ",\"store_format\":" BUILD_STORE_TEXT ",\"change_format\":" BUILD_CHANGE_TEXT
                   ",\"protocol\":" BUILD_PROTOCOL_TEXT ",\"libuv\":\"%s\",\"lmdb\":\"%d.%d.%d\""
                   ",\"libsodium\":\"%s\",\"msgpack_c\":\"%s\"}",
                   uv_version_string(), major, minor, patch, msy_crypto_library(),
                   msy_mp_library());
}

const char *msy_build_info(void)
{
    (void)pthread_once(&build_once, build_compose); /* Fails for a bad argument only. */
    return build_text;
}
