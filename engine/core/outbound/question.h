/* Captured questions for names (DNS, port 53, by UDP or TCP): which server is asked. Only this file decides
 * it.
 *
 * The client asks some server, often one of its own network. A name server of the chosen uplink is asked in
 * its place, so that no question leaves by another link. The client believes that its own server has
 * answered.
 *
 * A parent proxy is asked for the client's own server, as that question leaves by the chosen uplink, too. It
 * is asked for the uplink's name server in these cases:
 * - the client's server is private: it is in the client's network, where the parent proxy is not;
 * - the client may not reach it (access/reach.h), or it is known by name only.
 * The parent proxy is elsewhere. So of the uplink's servers it is never asked for one on loopback, and for a
 * private one only where the user has named it (--dns): this machine's own resolver is in its own network.
 *
 * The uplink's servers are the user's or the network's choice, so --deny does not hold for them, as it does
 * not where the proxy itself resolves a name. */
#ifndef STEERWAY_OUTBOUND_QUESTION_H
#define STEERWAY_OUTBOUND_QUESTION_H

#include "access/reach.h"
#include "dns/dns_servers.h"

struct uplink;

struct question_request {
    const struct addr *asked; /* the server that the client asks; NULL: it is known by name only */
    const struct addr *client;
    const char *user; /* NULL for none */
    const struct reach *reach;
};

/** Whether what goes to this port is a question. @param captured  on its way, without being asked for */
bool question_is(bool captured, uint16_t port);

/** The servers to ask by this uplink, the best first: of families that it allows, with ports.
 *  @return their number; 0: it has none */
size_t question_servers(const struct question_request *q, const struct uplink *u,
                        struct addr ret[DNS_SERVERS_MAX]);

/** The reason in the log where there is none. */
extern const char QUESTION_NO_SERVER[];

#endif
