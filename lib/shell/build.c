/* SPDX-License-Identifier: Apache-2.0 */
#include "shell/build.h"

#include <meshsync/export.h>

#include <uv.h>

/* Numbers that other files have as constants of the language, which the preprocessor cannot print,
 * are repeated here; the asserts keep them equal. */
#include "store/schema.h"
#include "wire/change.h"

#define BUILD_TEXT(x) #x
#define BUILD_NUMBER(x) BUILD_TEXT(x)
#define BUILD_STORE 2
#define BUILD_CHANGE 1
#define BUILD_PROTOCOL 1
#define BUILD_STORE_TEXT BUILD_NUMBER(BUILD_STORE)
#define BUILD_CHANGE_TEXT BUILD_NUMBER(BUILD_CHANGE)
#define BUILD_PROTOCOL_TEXT BUILD_NUMBER(BUILD_PROTOCOL)
#define BUILD_UV_MAJOR BUILD_NUMBER(UV_VERSION_MAJOR)
#define BUILD_UV_MINOR BUILD_NUMBER(UV_VERSION_MINOR)
#define BUILD_UV_PATCH BUILD_NUMBER(UV_VERSION_PATCH)

_Static_assert((int)MSY_SCHEMA_VERSION == BUILD_STORE, "the store's format moved on");
_Static_assert((int)MSY_CHANGE_VERSION == BUILD_CHANGE, "the change format moved on");

const char *msy_build_info(void)
{
    return "{\"library\":\"" MESHSYNC_VERSION_STRING "\""
           ",\"store_format\":" BUILD_STORE_TEXT ",\"change_format\":" BUILD_CHANGE_TEXT
           ",\"protocol\":" BUILD_PROTOCOL_TEXT ",\"libuv\":\"" BUILD_UV_MAJOR "." BUILD_UV_MINOR
           "." BUILD_UV_PATCH "\"}";
}
