/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses as text: "host:port", "[v6]:port", "unix:/path". */
#ifndef MSY_SHELL_ADDRESS_H
#define MSY_SHELL_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <meshsync/sync.h>

struct msy_address {
    bool is_unix;
    bool numeric;                          /* sockaddr is set. */
    uint16_t port;                         /* Not for unix. */
    char host[MESHSYNC_ADDRESS_BYTES_MAX]; /* Or the path of the socket. */
    struct sockaddr_storage sockaddr;
    socklen_t sockaddr_len;
};

/* E_INVALID with words: what is wrong with the text. */
meshsync_status msy_address_parse(const char *text, struct msy_address *address,
                                  meshsync_error *error);
/* Looks a name up, blocking; numeric ones and sockets of the file system need no look. First
 * result. E_UNREACHABLE. */
meshsync_status msy_address_resolve(struct msy_address *address, meshsync_error *error);
/* Text of a socket address; text has MESHSYNC_ADDRESS_BYTES_MAX bytes. Addresses of version 4 in
 * version 6 are written as version 4. */
void msy_address_format(const struct sockaddr *sockaddr, socklen_t len, char *text);
/* Bound to all interfaces? */
bool msy_address_is_any(const struct sockaddr *sockaddr);
/* The addresses under which others can reach a socket that is bound as sockaddr says: itself, or,
 * when it is bound to all interfaces, one for each, those of the machine alone only when there is
 * no other. */
uint32_t msy_address_expand(const struct sockaddr *sockaddr, socklen_t len,
                            char (*texts)[MESHSYNC_ADDRESS_BYTES_MAX], uint32_t texts_max);

#endif
