/* The settings of datagrams. */
#ifndef STEERWAY_UDP_UDP_SETTINGS_H
#define STEERWAY_UDP_UDP_SETTINGS_H

#include "addr/addr.h"
#include "datagram/contacts.h"

#include <stddef.h>
#include <stdint.h>

/* RFC 4787 REQ-5: two minutes or more. The default leaves some room to programs that send every two minutes.
 */
#define UDP_IDLE_S 150.
#define UDP_IDLE_MIN_S 120.

/* Mappings that each client address may have, however few there are in all. */
enum { UDP_CLIENT_LEAST = 16 };

struct udp_settings {
    enum udp_filter filter;
    double idle_s;       /* silence after which a mapping ends */
    size_t mappings_max; /* in all; 0: a quarter of the descriptors */
    size_t client_max; /* mappings, and associations, for each client address; 0: an eighth of these, at least
                          16 */
    uint16_t port_low, port_high;       /* of associations; 0: any free port */
    struct addr advertise4, advertise6; /* told to clients in place of the real address; AF_UNSPEC: not */
};

#endif
