/* SPDX-License-Identifier: Apache-2.0 */
/* Tells the service manager how far this process is, where NOTIFY_SOCKET names its socket. */
#ifndef MESHNODE_NOTIFY_H
#define MESHNODE_NOTIFY_H

#include <stdbool.h>

/* Sends a state such as "READY=1". True when it was sent, or when nobody wants to know. */
bool notify_send(const char *state);

#endif
