/* Which uplinks may be used for a destination. This is the one place that decides it: the search asks it for
 * a new connection and for each retry, plain HTTP before it uses a kept connection again, and `why` when it
 * explains.
 *
 * Uplinks are ranked, and only those of the best rank that occurs are offered:
 * 0. those behind a captive portal, for the hosts of that portal (the uplink's `portal`): only there somebody
 *    can log in. When these have been tried, nobody is left;
 * 1. those that answer (a suspect counts as such for one try each two seconds, see health.h);
 * 2. those that do not: suspects, and what is down by its checks;
 * 3. those behind a captive portal, and only for a connection that no uplink has failed yet: what failed
 *    elsewhere would get the portal's answer there instead of the truth.
 * An uplink without link or address, of another family, draining, or over its hard quota is never offered.
 *
 * A race must not cost what the choice was meant to spare: for one, an uplink of a higher tier than that
 * which is raced against, or a metered one, is not offered.
 *
 * A connection that is open already gets no tries: a suspect stays one for it. */
#ifndef STEERWAY_OUTBOUND_OFFER_H
#define STEERWAY_OUTBOUND_OFFER_H

#include "uplink/uplink.h"

/** From the last to the best. */
enum offer_rank { OFFER_NEVER, OFFER_CAPTIVE, OFFER_SILENT, OFFER_FIT, OFFER_PORTAL };

struct offer_request {
    const char *host; /* name or address; NULL: not known */
    int family;       /* of the destination: AF_INET, AF_INET6, or AF_UNSPEC for a name */
    uint64_t tried;   /* bits id - 1: uplinks that this connection has tried in vain */
    double now;       /* monotonic seconds */
    const struct uplink
        *against; /* that this one is raced against; NULL: it is no race, or one with anybody */
};

/** Whether the choice of one uplink was meant to spare another: it is of a higher tier, or metered. */
bool offer_is_dear(const struct uplink *u, const struct uplink *chosen);

enum offer_rank offer_rank(const struct uplink *u, const struct offer_request *r);

/** Those that a connection may use, in the set's order. @return how many */
size_t offer_all(const struct uplink_set *set, const struct offer_request *r, struct uplink *ret[UPLINK_MAX]);

/** Whether an open connection may carry something new: a new one would be offered its uplink, and this one's
 *  family answers there.
 *  @param u       whose connection it is
 *  @param family  of that connection; AF_UNSPEC: not known */
bool offer_holds(const struct uplink_set *set, const struct uplink *u, int family,
                 const struct offer_request *r);

#endif
