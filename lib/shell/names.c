/* SPDX-License-Identifier: Apache-2.0 */
#include "shell/names.h"

#include <netdb.h>
#include <stdio.h>

#include "shell/address.h"
#include "shell/clock.h"
#include "shell/node.h"

struct names_look {
    uv_getaddrinfo_t request;
    struct msy_network *net;
};

static void names_found(uv_getaddrinfo_t *request, int status, struct addrinfo *found)
{
    struct names_look *look = (struct names_look *)request->data;
    struct msy_network *net = look->net;
    uint32_t count = 0;
    /* A name with one address is dialled by itself. */
    for (const struct addrinfo *at = found;
         status == 0 && found->ai_next != NULL && at != NULL && count < MSY_NAME_ADDRESSES_MAX;
         at = at->ai_next) {
        char text[MESHSYNC_ADDRESS_BYTES_MAX];
        struct msy_mesh_event event = {.type = MSY_MESH_FOUND, .text = text};
        msy_address_format(at->ai_addr, at->ai_addrlen, text);
        msy_network_step(net, &event);
        count += 1;
    }
    uv_freeaddrinfo(found);
    msy_free(&net->node->alloc, look, sizeof *look);
    net->names_running -= 1;
    msy_network_settle(net);
    msy_network_handle_gone(net);
}

static void names_look_up(struct msy_network *net, const struct msy_address *address)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    char port[8];
    struct names_look *look = (struct names_look *)msy_new(&net->node->alloc, sizeof *look);
    if (look == NULL) {
        return; /* The next time, perhaps. */
    }
    look->net = net;
    look->request.data = look;
    (void)snprintf(port, sizeof port, "%u", (unsigned)address->port);
    if (uv_getaddrinfo(net->loop, &look->request, names_found, address->host, port, &hints) != 0) {
        msy_free(&net->node->alloc, look, sizeof *look);
        return;
    }
    net->names_running += 1;
    net->handles += 1;
}

void msy_names_due(struct msy_network *net)
{
    char text[MESHSYNC_ADDRESS_BYTES_MAX];
    bool names = false;
    if (net->names_running > 0) { /* A server of names that does not answer is not asked more. */
        net->names_at_ms = msy_clock_mono_ms() + MSY_NAMES_MS;
        return;
    }
    for (uint32_t i = 0; msy_network_dial_at(net, i, text); i++) {
        struct msy_address address;
        meshsync_error error;
        if (msy_address_parse(text, &address, &error) == MESHSYNC_OK && !address.numeric &&
            net->names_running < MSY_NAMES_AT_ONCE_MAX) {
            names = true;
            names_look_up(net, &address);
        }
    }
    net->names_at_ms = names ? msy_clock_mono_ms() + MSY_NAMES_MS : UINT64_MAX;
}
