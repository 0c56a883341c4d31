/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file export.h
 * @brief Symbol visibility, version numbers and the markers used by the other headers.
 *
 * Threads: nothing here has state.
 */
#ifndef MESHSYNC_EXPORT_H
#define MESHSYNC_EXPORT_H

#define MESHSYNC_VERSION_MAJOR 0
#define MESHSYNC_VERSION_MINOR 1
#define MESHSYNC_VERSION_PATCH 0
#define MESHSYNC_VERSION_STRING "0.1.0"

#if defined(__GNUC__)
#define MESHSYNC_API __attribute__((visibility("default")))
#define MESHSYNC_NODISCARD __attribute__((warn_unused_result))
#else
#define MESHSYNC_API
#define MESHSYNC_NODISCARD
#endif

#ifdef __cplusplus
#define MESHSYNC_BEGIN_DECLS extern "C" {
#define MESHSYNC_END_DECLS }
#else
#define MESHSYNC_BEGIN_DECLS
#define MESHSYNC_END_DECLS
#endif

#endif
