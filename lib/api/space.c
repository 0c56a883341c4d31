/* SPDX-License-Identifier: Apache-2.0 */
/* Spaces and collections. */
#include <string.h>

#include "api/check.h"
#include "replica/verify.h"
#include "shell/control.h"

/* For everything that writes and waits: the checks, and that the node stays until the end. */
static meshsync_status space_enter(meshsync_node *node, meshsync_error *error)
{
    meshsync_status status = msy_node_may_write(node, error);
    if (status == MESHSYNC_OK) {
        status = msy_node_may_block(node, false, error);
    }
    if (status == MESHSYNC_OK && msy_board_enter(&node->board) != MESHSYNC_OK) {
        status = msy_fail(error, MESHSYNC_E_CANCELLED, "the node is closing");
    }
    return status;
}

meshsync_status meshsync_space_create(meshsync_node *node, const char *name, meshsync_space **space,
                                      meshsync_error *error)
{
    meshsync_error words;
    meshsync_status status = msy_check_given(space, "space", error);
    if (status != MESHSYNC_OK) {
        return status;
    }
    *space = NULL;
    status = msy_check_node(node, error);
    if (status == MESHSYNC_OK) {
        status = msy_check_name(name, "name of the space", error);
    }
    if (status == MESHSYNC_OK) {
        status = space_enter(node, error);
    }
    if (status == MESHSYNC_OK) {
        status = msy_control_create(node, name, space, msy_check_words(&words));
        status = msy_check_said(status, &words, "making the space", error);
        msy_board_leave(&node->board);
    }
    return status;
}

meshsync_status meshsync_space_find(meshsync_node *node, const char *name, meshsync_space **space,
                                    meshsync_error *error)
{
    meshsync_status status = msy_check_given(space, "space", error);
    if (status != MESHSYNC_OK) {
        return status;
    }
    *space = NULL;
    status = msy_check_node(node, error);
    if (status == MESHSYNC_OK) {
        status = msy_check_name(name, "name of the space", error);
    }
    return status == MESHSYNC_OK ? msy_spaces_by_name(node, name, space, error) : status;
}

meshsync_status meshsync_space_at(meshsync_node *node, uint32_t index, meshsync_space **space)
{
    meshsync_status status = msy_check_given(space, "space", NULL);
    if (status != MESHSYNC_OK) {
        return status;
    }
    *space = NULL;
    status = msy_check_node(node, NULL);
    return status == MESHSYNC_OK ? msy_spaces_at(node, index, space, NULL) : status;
}

meshsync_status meshsync_space_get_info(meshsync_space *space, meshsync_space_info *info,
                                        meshsync_error *error)
{
    meshsync_error words;
    meshsync_space_info full;
    meshsync_status status = msy_check_space(space, error);
    if (status == MESHSYNC_OK) {
        status = msy_check_given(info, "info", error);
    }
    if (status != MESHSYNC_OK) {
        return status;
    }
    memset(&full, 0, sizeof full);
    status = msy_control_info(space, &full, msy_check_words(&words));
    status = msy_check_said(status, &words, "looking at the space", error);
    return status == MESHSYNC_OK ? msy_check_write_sized(info, &full, sizeof full, "info", error)
                                 : status;
}

meshsync_status meshsync_space_invite(meshsync_space *space, uint64_t expires_ms, char *text,
                                      meshsync_error *error)
{
    meshsync_error words;
    meshsync_status status = msy_check_space(space, error);
    if (status == MESHSYNC_OK) {
        status = msy_check_given(text, "text", error);
    }
    if (status == MESHSYNC_OK) {
        status = space_enter(space->node, error);
    }
    if (status == MESHSYNC_OK) {
        status = msy_control_invite(space, expires_ms, text, msy_check_words(&words));
        status = msy_check_said(status, &words, "inviting", error);
        msy_board_leave(&space->node->board);
    }
    return status;
}

meshsync_status meshsync_space_join(meshsync_node *node, const char *ticket, const char *name,
                                    meshsync_space **space, meshsync_error *error)
{
    meshsync_error words;
    meshsync_status status = msy_check_given(space, "space", error);
    if (status != MESHSYNC_OK) {
        return status;
    }
    *space = NULL;
    status = msy_check_node(node, error);
    if (status == MESHSYNC_OK) {
        status = msy_check_given(ticket, "ticket", error);
    }
    if (status == MESHSYNC_OK &&
        strnlen(ticket, MESHSYNC_TICKET_TEXT_BYTES_MAX) == MESHSYNC_TICKET_TEXT_BYTES_MAX) {
        status = msy_fail(error, MESHSYNC_E_INVALID, "ticket: it has over %d bytes",
                          MESHSYNC_TICKET_TEXT_BYTES_MAX - 1);
    }
    if (status == MESHSYNC_OK && name != NULL) {
        status = msy_check_name(name, "name of the space", error);
    }
    if (status == MESHSYNC_OK) {
        status = space_enter(node, error);
    }
    if (status == MESHSYNC_OK) {
        status = msy_control_join(node, ticket, name == NULL ? "" : name, space,
                                  msy_check_words(&words));
        status = msy_check_said(status, &words, "joining", error);
        msy_board_leave(&node->board);
    }
    return status;
}

meshsync_status meshsync_space_leave(meshsync_space *space, meshsync_leave what,
                                     meshsync_error *error)
{
    meshsync_error words;
    meshsync_status status = msy_check_space(space, error);
    if (status == MESHSYNC_OK && what != MESHSYNC_LEAVE_KEEP && what != MESHSYNC_LEAVE_ERASE) {
        status =
            msy_fail(error, MESHSYNC_E_INVALID, "what: %d is neither KEEP nor ERASE", (int)what);
    }
    if (status == MESHSYNC_OK) {
        status = space_enter(space->node, error);
    }
    if (status == MESHSYNC_OK) {
        meshsync_node *node = space->node;
        status = msy_control_leave(space, what == MESHSYNC_LEAVE_ERASE, msy_check_words(&words));
        status = msy_check_said(status, &words, "leaving", error);
        msy_board_leave(&node->board);
    }
    return status;
}

/* ---- Collections ---- */

static meshsync_status collection_check(const char *collection, meshsync_collection_type type,
                                        meshsync_view view, const char *merge_name,
                                        meshsync_error *error)
{
    meshsync_status status = msy_check_name(collection, "name of the collection", error);
    if (status != MESHSYNC_OK) {
        return status;
    }
    if (type < MESHSYNC_REGISTER || type > MESHSYNC_MAP) {
        return msy_fail(error, MESHSYNC_E_INVALID, "type: %d is not %d to %d", (int)type,
                        (int)MESHSYNC_REGISTER, (int)MESHSYNC_MAP);
    }
    if (view < MESHSYNC_VIEW_LWW || view > MESHSYNC_VIEW_CUSTOM) {
        return msy_fail(error, MESHSYNC_E_INVALID, "view: %d is not %d to %d", (int)view,
                        (int)MESHSYNC_VIEW_LWW, (int)MESHSYNC_VIEW_CUSTOM);
    }
    if (view != MESHSYNC_VIEW_LWW && type != MESHSYNC_REGISTER && type != MESHSYNC_MAP) {
        return msy_fail(error, MESHSYNC_E_INVALID,
                        "view: %d is for registers and maps, not for type %d", (int)view,
                        (int)type);
    }
    if (view == MESHSYNC_VIEW_CUSTOM) {
        return msy_check_name(merge_name, "name of the merge function", error);
    }
    if (merge_name != NULL && merge_name[0] != '\0') {
        return msy_fail(error, MESHSYNC_E_INVALID, "a merge function is named, but the view is %d",
                        (int)view);
    }
    return MESHSYNC_OK;
}

meshsync_status meshsync_collection_create(meshsync_space *space, const char *collection,
                                           meshsync_collection_type type, meshsync_view view,
                                           const char *merge_name, uint32_t merge_version,
                                           meshsync_error *error)
{
    meshsync_error words;
    const struct msy_collection_wish wish = {.name = collection,
                                             .merge_name = merge_name == NULL ? "" : merge_name,
                                             .type = (int32_t)type,
                                             .view = (int32_t)view,
                                             .merge_version = merge_version};
    meshsync_status status = msy_check_space(space, error);
    if (status == MESHSYNC_OK) {
        status = collection_check(collection, type, view, merge_name, error);
    }
    if (status == MESHSYNC_OK) {
        status = space_enter(space->node, error);
    }
    if (status == MESHSYNC_OK) {
        status = msy_control_collection(space, &wish, msy_check_words(&words));
        status = msy_check_said(status, &words, "making the collection", error);
        msy_board_leave(&space->node->board);
    }
    return status;
}

/* The index-th schema in order of name. */
static meshsync_status collection_find(struct msy_store_txn *txn, uint32_t space, uint32_t index,
                                       struct msy_schema *schema)
{
    char name[MESHSYNC_NAME_BYTES_MAX + 1] = "";
    meshsync_status status = MESHSYNC_OK;
    for (uint32_t i = 0; i <= index && status == MESHSYNC_OK; i++) {
        const meshsync_bytes after = {(const uint8_t *)name, strlen(name)};
        status = msy_schema_next(txn, space, after, schema);
        if (status == MESHSYNC_OK) {
            memcpy(name, schema->name, sizeof name);
        }
    }
    return status;
}

meshsync_status meshsync_collection_at(meshsync_space *space, uint32_t index,
                                       meshsync_collection_info *info, meshsync_error *error)
{
    meshsync_collection_info full;
    struct msy_schema schema;
    struct msy_store_txn *txn = NULL;
    meshsync_status status = msy_check_space(space, error);
    if (status == MESHSYNC_OK) {
        status = msy_check_given(info, "info", error);
    }
    if (status == MESHSYNC_OK) {
        status = msy_node_begin_read(space->node, &txn, error);
    }
    if (status != MESHSYNC_OK) {
        return status;
    }
    memset(&full, 0, sizeof full);
    status = collection_find(txn, space->number, index, &schema);
    if (status == MESHSYNC_OK) {
        full.type = schema.type;
        full.view = schema.view;
        full.merge_version = schema.merge_version;
        memcpy(full.name, schema.name, sizeof full.name);
        memcpy(full.merge_name, schema.merge_name, sizeof full.merge_name);
        status = msy_collection_digest(txn, space->number, schema.collection, &full.entries,
                                       full.digest);
    }
    msy_node_end_read(txn);
    if (status == MESHSYNC_OK) {
        return msy_check_write_sized(info, &full, sizeof full, "info", error);
    }
    return status == MESHSYNC_E_END ? msy_fail(error, status, "there are not that many collections")
                                    : msy_fail(error, status, "collection %u: %s", (unsigned)index,
                                               meshsync_strerror(status));
}

/* ---- Digest and verification ---- */

meshsync_status meshsync_space_digest(meshsync_space *space, meshsync_digest *digest,
                                      meshsync_error *error)
{
    meshsync_digest full;
    struct msy_store_txn *txn = NULL;
    meshsync_status status = msy_check_space(space, error);
    if (status == MESHSYNC_OK) {
        status = msy_check_given(digest, "digest", error);
    }
    if (status == MESHSYNC_OK) {
        status = msy_node_begin_read(space->node, &txn, error);
    }
    if (status != MESHSYNC_OK) {
        return status;
    }
    memset(&full, 0, sizeof full);
    full.size = sizeof full;
    status = msy_space_digest(txn, space->number, &full);
    msy_node_end_read(txn);
    return status == MESHSYNC_OK
               ? msy_check_write_sized(digest, &full, sizeof full, "digest", error)
               : msy_fail(error, status, "digest of \"%s\": %s", space->name,
                          meshsync_strerror(status));
}

meshsync_status meshsync_space_verify(meshsync_space *space, meshsync_verify_report *report,
                                      meshsync_error *error)
{
    meshsync_error words;
    meshsync_verify_report full;
    struct msy_store_txn *txn = NULL;
    meshsync_status status = msy_check_space(space, error);
    if (status == MESHSYNC_OK) {
        status = msy_check_given(report, "report", error);
    }
    if (status == MESHSYNC_OK) {
        status = msy_node_begin_read(space->node, &txn, error);
    }
    if (status != MESHSYNC_OK) {
        return status;
    }
    memset(&full, 0, sizeof full);
    full.size = sizeof full;
    status =
        msy_verify_space(&space->node->alloc, txn, space->number, &full, msy_check_words(&words));
    status = msy_check_said(status, &words, "verifying", error);
    msy_node_end_read(txn);
    meshsync_status copied = msy_check_write_sized(report, &full, sizeof full, "report", error);
    return status == MESHSYNC_OK ? copied : status;
}
