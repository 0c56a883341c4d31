/* SPDX-License-Identifier: Apache-2.0 */
/* Versions of the parts that this library was built of and with. */
#ifndef MSY_SHELL_BUILD_H
#define MSY_SHELL_BUILD_H

/* One line of JSON. */
const char *msy_build_info(void);

#endif
