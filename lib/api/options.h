/* SPDX-License-Identifier: Apache-2.0 */
/* The one table of options: defaults, ranges, words and the documentation come from it. */
#ifndef MSY_API_OPTIONS_H
#define MSY_API_OPTIONS_H

#include <stdbool.h>

#include <meshsync/options.h>

enum msy_option_kind {
    MSY_OPTION_TEXT = 1,  /* const char *, lent. */
    MSY_OPTION_U64 = 2,   /* A number. */
    MSY_OPTION_BYTES = 3, /* uint64_t; text may end in KiB, MiB, GiB, TiB. */
    MSY_OPTION_U32 = 4,
    MSY_OPTION_I32 = 5
};

struct msy_option {
    const char *name;
    enum msy_option_kind kind;
    size_t offset; /* In meshsync_options. */
    uint64_t preset;
    uint64_t min;
    uint64_t max;
    bool zero; /* 0 is allowed too, with a meaning of its own. */
};

/* Without the hooks, which have no text form. */
const struct msy_option *msy_options_table(size_t *count);
/* Takes what the application gave over the defaults and checks every option. */
meshsync_status msy_options_complete(const meshsync_options *given, meshsync_options *full,
                                     meshsync_error *error);

#endif
