/* SPDX-License-Identifier: Apache-2.0 */
#include "shell/lan.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <unistd.h>

#include "base/error.h"
#include "shell/node.h"

enum { LAN_DATAGRAM_BYTES = 2048, LAN_READS_MAX = 16 };

/* ---- Making it ---- */

static meshsync_status lan_parse(const char *group, const char *interface, struct msy_lan *lan,
                                 meshsync_error *error)
{
    struct msy_address address;
    meshsync_status status = msy_address_parse(group, &address, error);
    if (status != MESHSYNC_OK) {
        return status;
    }
    memcpy(&lan->group, &address.sockaddr, sizeof lan->group);
    if (address.is_unix || !address.numeric || address.sockaddr.ss_family != AF_INET ||
        address.port == 0 || !IN_MULTICAST(ntohl(lan->group.sin_addr.s_addr))) {
        return msy_fail(error, MESHSYNC_E_INVALID,
                        "\"%.120s\" is no IPv4 multicast group with a port, as 239.1.2.3:4567",
                        group);
    }
    if (interface != NULL && inet_pton(AF_INET, interface, &lan->only) != 1) {
        return msy_fail(error, MESHSYNC_E_INVALID, "\"%.120s\" is no IPv4 address of an interface",
                        interface);
    }
    return MESHSYNC_OK;
}

meshsync_status msy_lan_bind(struct msy_alloc *alloc, const char *group, const char *interface,
                             struct msy_lan **lan, meshsync_error *error)
{
    const int one = 1;
    const unsigned char link_only = 1;
    struct sockaddr_in here = {.sin_family = AF_INET};
    struct msy_lan *made = (struct msy_lan *)msy_new(alloc, sizeof *made);
    *lan = NULL;
    if (made == NULL) {
        return msy_fail(error, MESHSYNC_E_NO_MEMORY, "lan: no memory");
    }
    made->fd = -1;
    meshsync_status status = lan_parse(group, interface, made, error);
    if (status == MESHSYNC_OK) {
        made->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        here.sin_port = made->group.sin_port;
        /* Several nodes of one machine share the port, and each gets every datagram. */
        if (made->fd < 0 || setsockopt(made->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
            setsockopt(made->fd, IPPROTO_IP, IP_MULTICAST_TTL, &link_only, sizeof link_only) != 0 ||
            bind(made->fd, (const struct sockaddr *)&here, sizeof here) != 0) {
            status =
                msy_fail_errno(error, MESHSYNC_E_RESOURCE, errno, "lan: socket of %.60s", group);
        }
    }
    if (status != MESHSYNC_OK) {
        msy_lan_drop(alloc, made);
        return status;
    }
    *lan = made;
    return MESHSYNC_OK;
}

void msy_lan_drop(struct msy_alloc *alloc, struct msy_lan *lan)
{
    if (lan != NULL && lan->fd >= 0) {
        (void)close(lan->fd);
    }
    msy_free(alloc, lan, sizeof *lan);
}

/* ---- Interfaces ---- */

static bool lan_has(const struct in_addr *hosts, uint32_t count, struct in_addr host)
{
    for (uint32_t i = 0; i < count; i++) {
        if (hosts[i].s_addr == host.s_addr) {
            return true;
        }
    }
    return false;
}

static bool lan_wants(const struct msy_lan *lan, const struct ifaddrs *interface,
                      struct in_addr *host)
{
    struct sockaddr_in name;
    if (interface->ifa_addr == NULL || interface->ifa_addr->sa_family != AF_INET ||
        (interface->ifa_flags & IFF_UP) == 0) {
        return false;
    }
    memcpy(&name, interface->ifa_addr, sizeof name);
    *host = name.sin_addr;
    if (lan->only.s_addr != 0) {
        return host->s_addr == lan->only.s_addr;
    }
    return (interface->ifa_flags & IFF_MULTICAST) != 0 &&
           (interface->ifa_flags & IFF_LOOPBACK) == 0;
}

/* Joins the group at interfaces that are new; the kernel forgets those that went. */
static void lan_look(struct msy_lan *lan)
{
    struct ifaddrs *interfaces = NULL;
    struct in_addr hosts[MSY_LAN_HOSTS_MAX];
    uint32_t count = 0;
    if (getifaddrs(&interfaces) != 0) {
        return; /* It goes on with those of the last round. */
    }
    for (const struct ifaddrs *at = interfaces; at != NULL && count < MSY_LAN_HOSTS_MAX;
         at = at->ifa_next) {
        struct in_addr host;
        if (!lan_wants(lan, at, &host) || lan_has(hosts, count, host)) {
            continue;
        }
        const struct ip_mreq member = {.imr_multiaddr = lan->group.sin_addr, .imr_interface = host};
        if (lan_has(lan->hosts, lan->hosts_count, host) ||
            setsockopt(lan->fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &member, sizeof member) == 0 ||
            errno == EADDRINUSE) {
            hosts[count++] = host;
        }
    }
    freeifaddrs(interfaces);
    memcpy(lan->hosts, hosts, count * sizeof hosts[0]);
    lan->hosts_count = count;
}

/* ---- Sending and receiving ---- */

void msy_lan_round(struct msy_network *net)
{
    struct msy_lan *lan = net->lan;
    lan->due = false;
    lan_look(lan);
    for (uint32_t i = 0; i < lan->hosts_count; i++) {
        char host[INET_ADDRSTRLEN] = "";
        struct msy_mesh_event event = {.type = MSY_MESH_BEACON_FROM, .text = host};
        (void)inet_ntop(AF_INET, &lan->hosts[i], host, sizeof host);
        lan->sending = i;
        msy_network_step(net, &event);
    }
}

void msy_lan_send(struct msy_lan *lan, meshsync_bytes bytes)
{
    const struct in_addr *host = &lan->hosts[lan->sending];
    if (setsockopt(lan->fd, IPPROTO_IP, IP_MULTICAST_IF, host, sizeof *host) == 0) {
        /* One that is lost is followed by another. */
        (void)sendto(lan->fd, bytes.data, bytes.len, MSG_NOSIGNAL | MSG_DONTWAIT,
                     (const struct sockaddr *)&lan->group, sizeof lan->group);
    }
}

static void lan_polled(uv_poll_t *poll, int status, int events)
{
    struct msy_lan *lan = (struct msy_lan *)poll->data;
    struct msy_network *net = lan->net;
    uint8_t bytes[LAN_DATAGRAM_BYTES];
    (void)status; /* Reading takes an error from the socket. */
    (void)events;
    for (int i = 0; i < LAN_READS_MAX; i++) {
        struct sockaddr_in from = {0};
        socklen_t from_len = sizeof from;
        char host[INET_ADDRSTRLEN] = "";
        ssize_t got = recvfrom(lan->fd, bytes, sizeof bytes, MSG_DONTWAIT, (struct sockaddr *)&from,
                               &from_len);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            break;
        }
        (void)inet_ntop(AF_INET, &from.sin_addr, host, sizeof host);
        struct msy_mesh_event event = {
            .type = MSY_MESH_BEACON_IN, .text = host, .bytes = msy_bytes(bytes, (size_t)got)};
        msy_network_step(net, &event);
    }
    msy_network_settle(net);
}

/* ---- On the loop ---- */

bool msy_lan_open(struct msy_network *net, struct msy_lan *lan)
{
    struct msy_mesh_event event = {.type = MSY_MESH_LAN};
    if (net->lan != NULL || uv_poll_init_socket(net->loop, &lan->poll, lan->fd) != 0) {
        return false;
    }
    lan->net = net;
    lan->poll.data = lan;
    net->lan = lan;
    net->handles += 1;
    net->armed = true;
    (void)uv_poll_start(&lan->poll, UV_READABLE, lan_polled); /* Only bad flags fail. */
    msy_network_step(net, &event);
    return true;
}

static void lan_closed(uv_handle_t *handle)
{
    struct msy_lan *lan = (struct msy_lan *)handle->data;
    struct msy_network *net = lan->net;
    msy_free(&net->node->alloc, lan, sizeof *lan);
    msy_network_handle_gone(net);
}

void msy_lan_close(struct msy_network *net)
{
    struct msy_lan *lan = net->lan;
    net->lan = NULL;
    if (lan != NULL) {
        uv_close((uv_handle_t *)&lan->poll, lan_closed);
        (void)close(lan->fd);
        lan->fd = -1;
    }
}
