/* Where to listen: an address, and, for a link-local one, its link, which may appear after the start. */
#ifndef STEERWAY_NET_LISTEN_PLACE_H
#define STEERWAY_NET_LISTEN_PLACE_H

#include "machine/machine.h"

enum { LISTEN_TEXT_MAX = ADDR_TEXT_MAX + MACHINE_NAME_SIZE };

struct listen_place {
    struct addr addr;             /* without a scope while its link is missing */
    char link[MACHINE_NAME_SIZE]; /* the link's name or alternative name as given; "" for none */
    bool proxy_protocol;          /* a balancer connects there, with headers of the PROXY protocol */
};

/** Parse "192.0.2.1", "[2001:db8::1]" or "fe80::1%eth0". Only the link of a link-local address may be
 * missing.
 *  @return 0, -EINVAL */
MUST_CHECK int listen_place_parse(struct listen_place *ret, struct slice host);

/** Such as "[fe80::1%eth0]:1080". @return out */
const char *listen_place_text(const struct listen_place *p, char out[LISTEN_TEXT_MAX]);

bool listen_place_same(const struct listen_place *a, const struct listen_place *b);

/** Whether its link is still missing, so that the address cannot be bound. */
bool listen_place_is_awaited(const struct listen_place *p);

/** Whether clients can connect to it. */
bool listen_place_is_there(const struct listen_place *p, const struct machine *m);

/** Look for its link again. @return whether the scope changed: the link appeared, or came back with another
 * index */
bool listen_place_find(struct listen_place *p);

#endif
