/* What a plan of capture depends on, as it is now: the proxy's listeners and mark, and the machine's
 * networks. */
#ifndef STEERWAY_CONTROL_CAPTURE_PLACE_H
#define STEERWAY_CONTROL_CAPTURE_PLACE_H

#include "capture/capture_plan.h"

struct proxy;
struct proxy_listener;
struct uplink;

struct capture_place {
    struct capture_ground ground; /* borrows near */
    struct cidr_set near;
    const char *obstacle; /* why this proxy cannot take captured traffic, and what to do; NULL: it can */
    const struct uplink
        *lan_uplinks[CAPTURE_LANS_MAX]; /* whose device is also that LAN of the request; or NULL */
};

/** Read the machine with its routes. @param ret  release it also after an error @return 0 or negative errno
 */
MUST_CHECK int capture_place_find(struct capture_place *ret, const struct proxy *p,
                                  const struct capture_request *request);
void capture_place_done(struct capture_place *c);

/** The first listener of each family. @param ret  to4 and to6 are set
 *  @param ret_udp  whether all of them take datagrams, too */
void capture_place_listeners(const struct proxy *p, struct capture_ground *ret, bool *ret_udp);

/** Whether it takes captured traffic. */
bool capture_place_takes(const struct proxy_listener *l);

#endif
