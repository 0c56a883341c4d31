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
#define BUILD_STORE_FORMAT 1
#define BUILD_CHANGE_FORMAT 1
#define BUILD_PROTOCOL 1

_Static_assert((int)MSY_SCHEMA_VERSION == BUILD_STORE_FORMAT, "the store's format moved on");
_Static_assert((int)MSY_CHANGE_VERSION == BUILD_CHANGE_FORMAT, "the change format moved on");

const char *msy_build_info(void)
{
    return "{\"library\":\"" MESHSYNC_VERSION_STRING "\""
           ",\"store_format\":" BUILD_NUMBER(BUILD_STORE_FORMAT) ",\"change_format\":" BUILD_NUMBER(BUILD_CHANGE_FORMAT) ",\"protocol\":" BUILD_NUMBER(
               BUILD_PROTOCOL) ",\"libuv\":"
                               "\"" BUILD_NUMBER(UV_VERSION_MAJOR) "." BUILD_NUMBER(
                                   UV_VERSION_MINOR) "." BUILD_NUMBER(UV_VERSION_PATCH) "\"}";
}
