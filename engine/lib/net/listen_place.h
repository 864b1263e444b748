/* Where to listen: an address, and the link of a link-local one, which may come later than the program. */
#ifndef STEERWAY_NET_LISTEN_PLACE_H
#define STEERWAY_NET_LISTEN_PLACE_H

#include "machine/machine.h"

enum { LISTEN_TEXT_MAX = ADDR_TEXT_MAX + MACHINE_NAME_SIZE };

struct listen_place {
    struct addr addr;             /* without a scope while its link is not there */
    char link[MACHINE_NAME_SIZE]; /* its name as it was given, perhaps an alternative one; "" for none */
};

/** "192.0.2.1", "[2001:db8::1]", "fe80::1%eth0". Only the link of a link-local address may be absent.
 *  @return 0, -EINVAL */
MUST_CHECK int listen_place_parse(struct listen_place *ret, struct slice host);

/** "[fe80::1%eth0]:1080". @return out */
const char *listen_place_text(const struct listen_place *p, char out[LISTEN_TEXT_MAX]);

bool listen_place_same(const struct listen_place *a, const struct listen_place *b);

/** Whether its link is awaited: the address cannot be bound yet. */
bool listen_place_is_awaited(const struct listen_place *p);

/** Whether clients can come to it. */
bool listen_place_is_there(const struct listen_place *p, const struct machine *m);

/** Look for its link again. @return whether the address is another one now: the link has come, or has come
 *  back with another number */
bool listen_place_find(struct listen_place *p);

#endif
