/* SPDX-License-Identifier: Apache-2.0 */
#include "shell/address.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"

static const char address_unix[] = "unix:";
enum { ADDRESS_UNIX_LEN = sizeof address_unix - 1 };

static meshsync_status address_parse_unix(const char *path, struct msy_address *address,
                                          meshsync_error *error)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    size_t len = strlen(path);
    if (len == 0 || len >= sizeof name.sun_path) {
        return msy_fail(error, MESHSYNC_E_INVALID,
                        "address: the path of a unix socket has 1 to %zu bytes, this has %zu",
                        sizeof name.sun_path - 1, len);
    }
    memcpy(name.sun_path, path, len + 1);
    address->is_unix = true;
    address->numeric = true;
    memcpy(address->host, path, len + 1);
    memcpy(&address->sockaddr, &name, sizeof name);
    address->sockaddr_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
    return MESHSYNC_OK;
}

static bool address_port(const char *text, uint16_t *port)
{
    uint32_t number = 0;
    size_t len = strlen(text);
    if (len == 0 || len > 5) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
        number = number * 10 + (uint32_t)(text[i] - '0');
    }
    *port = (uint16_t)number;
    return number <= UINT16_MAX;
}

/* Fills the socket address when the host is a number. */
static void address_number(struct msy_address *address)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(address->port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(address->port)};
    if (inet_pton(AF_INET, address->host, &v4.sin_addr) == 1) {
        memcpy(&address->sockaddr, &v4, sizeof v4);
        address->sockaddr_len = sizeof v4;
        address->numeric = true;
    } else if (inet_pton(AF_INET6, address->host, &v6.sin6_addr) == 1) {
        memcpy(&address->sockaddr, &v6, sizeof v6);
        address->sockaddr_len = sizeof v6;
        address->numeric = true;
    }
}

meshsync_status msy_address_parse(const char *text, struct msy_address *address,
                                  meshsync_error *error)
{
    memset(address, 0, sizeof *address);
    size_t len = text == NULL ? 0 : strlen(text);
    if (len == 0 || len >= MESHSYNC_ADDRESS_BYTES_MAX) {
        return msy_fail(error, MESHSYNC_E_INVALID, "address: it has 1 to %d bytes, this has %zu",
                        MESHSYNC_ADDRESS_BYTES_MAX - 1, len);
    }
    if (strncmp(text, address_unix, ADDRESS_UNIX_LEN) == 0) {
        return address_parse_unix(text + ADDRESS_UNIX_LEN, address, error);
    }
    const char *colon = strrchr(text, ':');
    if (colon == NULL || !address_port(colon + 1, &address->port)) {
        return msy_fail(error, MESHSYNC_E_INVALID,
                        "address \"%.120s\": it ends with a colon and a port of 0 to 65535", text);
    }
    const char *host = text;
    size_t host_len = (size_t)(colon - text);
    bool bracketed = host_len >= 2 && host[0] == '[' && host[host_len - 1] == ']';
    if (bracketed) {
        host++;
        host_len -= 2;
    }
    if (host_len == 0) {
        return msy_fail(error, MESHSYNC_E_INVALID, "address \"%.120s\": it has no host", text);
    }
    memcpy(address->host, host, host_len);
    address->host[host_len] = '\0';
    address_number(address);
    bool v6 = address->numeric && address->sockaddr.ss_family == AF_INET6;
    if (bracketed != v6) {
        return msy_fail(error, MESHSYNC_E_INVALID,
                        "address \"%.120s\": an IPv6 host, and nothing else, stands in brackets",
                        text);
    }
    return MESHSYNC_OK;
}

meshsync_status msy_address_resolve(struct msy_address *address, meshsync_error *error)
{
    struct addrinfo *found = NULL;
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    char port[8];
    if (address->numeric) {
        return MESHSYNC_OK;
    }
    (void)snprintf(port, sizeof port, "%u", (unsigned)address->port);
    int result = getaddrinfo(address->host, port, &hints, &found);
    if (result != 0) {
        return msy_fail(error, MESHSYNC_E_UNREACHABLE, "address \"%.120s\": %s", address->host,
                        gai_strerror(result));
    }
    memcpy(&address->sockaddr, found->ai_addr, found->ai_addrlen);
    address->sockaddr_len = found->ai_addrlen;
    freeaddrinfo(found);
    return MESHSYNC_OK;
}

static void address_format_v4(const struct in_addr *host, uint16_t port, char *text)
{
    char words[INET_ADDRSTRLEN] = "";
    (void)inet_ntop(AF_INET, host, words, sizeof words);
    (void)snprintf(text, MESHSYNC_ADDRESS_BYTES_MAX, "%s:%u", words, (unsigned)ntohs(port));
}

void msy_address_format(const struct sockaddr *sockaddr, socklen_t len, char *text)
{
    text[0] = '\0';
    if (sockaddr->sa_family == AF_INET && len >= sizeof(struct sockaddr_in)) {
        struct sockaddr_in v4;
        memcpy(&v4, sockaddr, sizeof v4);
        address_format_v4(&v4.sin_addr, v4.sin_port, text);
    } else if (sockaddr->sa_family == AF_INET6 && len >= sizeof(struct sockaddr_in6)) {
        struct sockaddr_in6 v6;
        char words[INET6_ADDRSTRLEN] = "";
        memcpy(&v6, sockaddr, sizeof v6);
        if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
            struct in_addr host;
            memcpy(&host, v6.sin6_addr.s6_addr + 12, sizeof host);
            address_format_v4(&host, v6.sin6_port, text);
            return;
        }
        (void)inet_ntop(AF_INET6, &v6.sin6_addr, words, sizeof words);
        (void)snprintf(text, MESHSYNC_ADDRESS_BYTES_MAX, "[%s]:%u", words,
                       (unsigned)ntohs(v6.sin6_port));
    } else if (sockaddr->sa_family == AF_UNIX) {
        struct sockaddr_un name = {0};
        size_t path_at = offsetof(struct sockaddr_un, sun_path);
        memcpy(&name, sockaddr, len < sizeof name ? len : sizeof name);
        name.sun_path[sizeof name.sun_path - 1] = '\0';
        (void)snprintf(text, MESHSYNC_ADDRESS_BYTES_MAX, "%s%s", address_unix,
                       len > path_at ? name.sun_path : "");
    }
}

bool msy_address_is_any(const struct sockaddr *sockaddr)
{
    if (sockaddr->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, sockaddr, sizeof v4);
        return v4.sin_addr.s_addr == htonl(INADDR_ANY);
    }
    if (sockaddr->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, sockaddr, sizeof v6);
        return IN6_IS_ADDR_UNSPECIFIED(&v6.sin6_addr);
    }
    return false;
}

static uint16_t address_port_of(const struct sockaddr *sockaddr)
{
    if (sockaddr->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, sockaddr, sizeof v6);
        return v6.sin6_port;
    }
    struct sockaddr_in v4;
    memcpy(&v4, sockaddr, sizeof v4);
    return v4.sin_port;
}

/* The address of one interface with a port, when it is one that others can use. */
static bool address_of_interface(const struct ifaddrs *interface, uint16_t port, bool v6_too,
                                 char *text)
{
    if (interface->ifa_addr == NULL || (interface->ifa_flags & IFF_UP) == 0) {
        return false;
    }
    if (interface->ifa_addr->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, interface->ifa_addr, sizeof v4);
        v4.sin_port = port;
        msy_address_format((const struct sockaddr *)&v4, sizeof v4, text);
        return true;
    }
    if (interface->ifa_addr->sa_family == AF_INET6 && v6_too) {
        struct sockaddr_in6 v6;
        memcpy(&v6, interface->ifa_addr, sizeof v6);
        v6.sin6_port = port;
        if (IN6_IS_ADDR_LINKLOCAL(&v6.sin6_addr)) {
            return false; /* It means nothing without the other side's own interface. */
        }
        msy_address_format((const struct sockaddr *)&v6, sizeof v6, text);
        return true;
    }
    return false;
}

uint32_t msy_address_expand(const struct sockaddr *sockaddr, socklen_t len,
                            char (*texts)[MESHSYNC_ADDRESS_BYTES_MAX], uint32_t texts_max)
{
    uint32_t count = 0;
    struct ifaddrs *interfaces = NULL;
    if (texts_max == 0) {
        return 0;
    }
    if (!msy_address_is_any(sockaddr)) {
        msy_address_format(sockaddr, len, texts[0]);
        return 1;
    }
    if (getifaddrs(&interfaces) != 0) {
        return 0; /* Peers will learn of us by our dialling them. */
    }
    for (uint32_t loopback = 0; loopback < 2 && count == 0; loopback++) {
        for (const struct ifaddrs *at = interfaces; at != NULL && count < texts_max;
             at = at->ifa_next) {
            if (((at->ifa_flags & IFF_LOOPBACK) != 0) == (loopback == 1) &&
                address_of_interface(at, address_port_of(sockaddr), sockaddr->sa_family == AF_INET6,
                                     texts[count])) {
                count += 1;
            }
        }
    }
    freeifaddrs(interfaces);
    return count;
}
