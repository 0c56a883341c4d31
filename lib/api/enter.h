/* SPDX-License-Identifier: Apache-2.0 */
/* What every function of the ABI looks at first. */
#ifndef MSY_API_ENTER_H
#define MSY_API_ENTER_H

#include "shell/node.h"

/* The handle is there, belongs to this process, and its space was not erased. */
static inline meshsync_status msy_enter_node(const meshsync_node *node, meshsync_error *error)
{
    if (node == NULL) {
        return msy_fail(error, MESHSYNC_E_INVALID, "the node is NULL");
    }
    return msy_node_check(node, error);
}

static inline meshsync_status msy_enter_space(const meshsync_space *space, meshsync_error *error)
{
    if (space == NULL) {
        return msy_fail(error, MESHSYNC_E_INVALID, "the space is NULL");
    }
    meshsync_status status = msy_node_check(space->node, error);
    if (status == MESHSYNC_OK && atomic_load(&space->gone)) {
        status = msy_fail(error, MESHSYNC_E_NOT_FOUND, "the space \"%s\" was left and erased",
                          space->name);
    }
    return status;
}

/* The same for calls that write and block. */
static inline meshsync_status msy_enter_writing(const meshsync_node *node, meshsync_error *error)
{
    meshsync_status status = msy_enter_node(node, error);
    if (status == MESHSYNC_OK) {
        status = msy_node_may_write(node, error);
    }
    return status == MESHSYNC_OK ? msy_node_may_block(node, false, error) : status;
}

/* A size-tagged struct that the library fills: copies what the caller knows. */
static inline meshsync_status msy_give_sized(void *out, size_t out_size, const void *whole,
                                             size_t whole_size)
{
    if (out_size < sizeof(size_t)) {
        return MESHSYNC_E_INVALID;
    }
    size_t known = out_size < whole_size ? out_size : whole_size;
    memset(out, 0, out_size);
    memcpy(out, whole, known);
    memcpy(out, &out_size, sizeof out_size); /* size is the first member. */
    return MESHSYNC_OK;
}

/* A size-tagged struct that the caller fills: an unknown tail must be zero. */
static inline meshsync_status msy_take_sized(void *whole, size_t whole_size, const void *in,
                                             size_t in_size, meshsync_error *error)
{
    const uint8_t *bytes = (const uint8_t *)in;
    if (in_size < sizeof(size_t)) {
        return msy_fail(error, MESHSYNC_E_INVALID, "the options' size is not set");
    }
    for (size_t i = whole_size; i < in_size; i++) {
        if (bytes[i] != 0) {
            return msy_fail(error, MESHSYNC_E_UNSUPPORTED,
                            "an option of a later version is set");
        }
    }
    memset(whole, 0, whole_size);
    memcpy(whole, in, in_size < whole_size ? in_size : whole_size);
    memcpy(whole, &whole_size, sizeof whole_size);
    return MESHSYNC_OK;
}

#endif
