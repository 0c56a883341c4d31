/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The socket for beacons on the local network (mesh/beacon.c): one for all interfaces, joined to an
 * IPv4 multicast group. What interfaces there are is looked up before each round of beacons.
 */
#ifndef MSY_SHELL_LAN_H
#define MSY_SHELL_LAN_H

#include <netinet/in.h>

#include <uv.h>

#include "shell/address.h"
#include "shell/network.h"

struct msy_lan {
    struct msy_network *net; /* NULL until the loop's thread has it. */
    int fd;
    uv_poll_t poll;
    struct sockaddr_in group;
    struct in_addr only; /* The one interface to use; 0: all that can multicast. */
    struct in_addr hosts[MSY_LAN_HOSTS_MAX]; /* Whose group is joined. */
    uint32_t hosts_count;
    uint32_t sending; /* Index of the host whose beacon is made. */
    bool due;         /* The machine wants beacons sent. */
};

/* A socket that is bound to the group's port. group: "a.b.c.d:port"; interface: an address of one,
 * or NULL. E_INVALID, E_RESOURCE. */
meshsync_status msy_lan_bind(struct msy_alloc *alloc, const char *group, const char *interface,
                             struct msy_lan **lan, meshsync_error *error);
/* Before the loop has it. */
void msy_lan_drop(struct msy_alloc *alloc, struct msy_lan *lan);
/* On the loop's thread. */
bool msy_lan_open(struct msy_network *net, struct msy_lan *lan);
/* Sends what is due: a beacon from each interface. */
void msy_lan_round(struct msy_network *net);
void msy_lan_send(struct msy_lan *lan, meshsync_bytes bytes);
void msy_lan_close(struct msy_network *net);

#endif
