/* SPDX-License-Identifier: Apache-2.0 */
/* Bundles: the checks; lib/shell does the work. */
#include "shell/bundle.h"

#include "api/check.h"

static meshsync_status bundle_write(meshsync_space *space, const char *file, const char *base,
                                    enum msy_bundle_content content, meshsync_bundle_info *info,
                                    meshsync_error *error)
{
    meshsync_error words;
    meshsync_bundle_info full = {.size = sizeof full};
    meshsync_status status = msy_check_space(space, error);
    if (status == MESHSYNC_OK) {
        status = msy_check_given(file, "file", error);
    }
    if (status == MESHSYNC_OK && info != NULL) {
        status = msy_check_write_sized(info, &full, sizeof full, "info", error);
    }
    if (status == MESHSYNC_OK) {
        status = msy_bundle_write(space, file, base, content, &full, msy_check_words(&words));
        status = msy_check_said(status, &words, "bundle", error);
    }
    if (status == MESHSYNC_OK && info != NULL) {
        status = msy_check_write_sized(info, &full, sizeof full, "info", error);
    }
    return status;
}

meshsync_status meshsync_bundle_create(meshsync_space *space, const char *file, const char *base,
                                       meshsync_bundle_info *info, meshsync_error *error)
{
    return bundle_write(space, file, base, MSY_BUNDLE_CHANGES, info, error);
}

meshsync_status meshsync_bundle_request(meshsync_space *space, const char *file,
                                        meshsync_error *error)
{
    return bundle_write(space, file, NULL, MSY_BUNDLE_VERSION_ALONE, NULL, error);
}

meshsync_status meshsync_bundle_apply(meshsync_node *node, const char *file,
                                      meshsync_bundle_info *info, meshsync_error *error)
{
    meshsync_error words;
    meshsync_bundle_info full = {.size = sizeof full};
    meshsync_status status = msy_check_node(node, error);
    if (status == MESHSYNC_OK) {
        status = msy_check_given(file, "file", error);
    }
    if (status == MESHSYNC_OK && info != NULL) {
        status = msy_check_write_sized(info, &full, sizeof full, "info", error);
    }
    if (status == MESHSYNC_OK) {
        status = msy_node_may_write(node, error);
    }
    if (status == MESHSYNC_OK) {
        status = msy_node_may_block(node, false, error);
    }
    if (status != MESHSYNC_OK) {
        return status;
    }
    status = msy_bundle_apply(node, file, &full, msy_check_words(&words));
    status = msy_check_said(status, &words, "bundle", error);
    if (info != NULL) {
        (void)msy_check_write_sized(info, &full, sizeof full, "info", NULL); /* Was good before. */
    }
    return status;
}
