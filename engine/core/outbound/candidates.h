/* The uplinks that may serve a destination, and why each other one may not. Only this file decides it. The
 * search asks for a new connection and for each retry. Plain HTTP asks before it uses a kept connection
 * again, dead_lines.c before it resets an open one, and `why` for its explanation.
 *
 * Uplinks are ranked, and only those of the best rank present are candidates:
 * 0. those behind a captive portal, for the hosts of that portal (the uplink's `portal`): only there can
 * the user log in. When these were tried, there are no candidates;
 * 1. those that answer (a suspect counts as one for one try every two seconds, and for datagrams more rarely,
 * see health.h);
 * 2. those that do not: suspects, and those whose checks failed;
 * 3. those behind a captive portal, if no uplink has failed this connection yet. After a failure, the
 * portal's answer would hide the truth.
 * An uplink without link or address, of another family, draining, or over its hard quota is never a
 * candidate. A parent proxy is none where a peer is to connect (SOCKS BIND).
 *
 * The simulation has a simpler rule (simulate/model.c): each uplink that is up and was not tried. Simulated
 * uplinks have no families, health or portals.
 *
 * A race must not use an uplink that the choice was meant to spare. So an uplink in a higher tier than the
 * first one, or a metered one, is not a candidate for the race.
 *
 * An open connection has no tries: a suspect stays a suspect for it. It carries nothing new once its uplink's
 * quota is used up. The same holds once an uplink is back that would spare its own (in a lower tier, or not
 * metered). */
#ifndef STEERWAY_OUTBOUND_CANDIDATES_H
#define STEERWAY_OUTBOUND_CANDIDATES_H

#include "uplink/uplink_view.h"

#include <stddef.h>

struct uplink;
struct uplink_set;

/** From worst to best. */
enum candidate_rank { CANDIDATE_NEVER, CANDIDATE_CAPTIVE, CANDIDATE_SILENT, CANDIDATE_FIT, CANDIDATE_PORTAL };

/** Why an uplink is left out, or ranked behind others. */
enum candidate_absence {
    ABSENT_NOT,
    ABSENT_DRAINING,
    ABSENT_SPENT,
    ABSENT_DOWN,
    ABSENT_OTHER_FAMILY,
    ABSENT_NO_DATAGRAMS,
    ABSENT_REFUSES_DATAGRAMS,
    ABSENT_ACCEPTS_NOTHING,
    ABSENT_TRIED,
    ABSENT_DEAR,
    ABSENT_RESOLVES_NOTHING,
    ABSENT_SILENT,
    ABSENT_CAPTIVE,
    ABSENT_NOT_THE_PORTALS, /* it would serve, but the host belongs to the portal of another uplink */
    N_ABSENT
};

struct candidates_request {
    const char *host;             /* name or address; NULL: unknown */
    int family;                   /* of the destination: AF_INET, AF_INET6, or AF_UNSPEC for a name */
    uint64_t tried;               /* bits id - 1: uplinks that failed for this connection */
    double now;                   /* monotonic seconds */
    bool datagrams;               /* UDP, which not every parent proxy carries */
    double try_at;                /* for datagrams that may try a suspect: `now`; 0: they may not */
    bool costs_little;            /* such a try (health.h) */
    bool awaits;                  /* a peer is to connect, which no parent proxy lets it do */
    const struct uplink *against; /* uplink to race against; NULL: no race, or a race with any uplink */
};

/** Whether choosing `chosen` was meant to spare u, which is in a higher tier or metered. */
bool candidates_is_dear(const struct uplink *u, const struct uplink *chosen);

/** The rank of one uplink for a connection, without regard to the others. */
struct candidate {
    enum candidate_rank rank;
    enum candidate_absence absence; /* ABSENT_NOT for the two best ranks */
};
struct candidate candidates_judge(const struct uplink *u, const struct candidates_request *r);

/** Find the candidates for a connection, in the set's order.
 *  @param absence  receives the reason for each uplink of the set, ABSENT_NOT for those in ret; NULL: not
 * wanted
 *  @return the number of candidates */
size_t candidates_find(const struct uplink_set *set, const struct candidates_request *r,
                       struct uplink *ret[UPLINK_MAX], enum candidate_absence absence[UPLINK_MAX]);

/** Whether an open connection may carry a new request: its uplink would be a candidate, and its family
 * answers there.
 *  @param u       the connection's uplink
 *  @param family  of the connection; AF_UNSPEC: unknown */
bool candidates_hold(const struct uplink_set *set, const struct uplink *u, int family,
                     const struct candidates_request *r);

/** Why a new connection might avoid u. Bits id - 1 of the answering uplinks whose use would spare u, and
 * u's own bit when its quota is used up. */
uint64_t candidates_objections(const struct uplink_set *set, const struct uplink *u,
                               const struct candidates_request *r);

/** Completes "The uplink …", such as "is behind a captive portal". */
const char *candidates_absence_text(enum candidate_absence absence);

/** The messages if no uplink may serve and none was tried: for a destination, and for a peer to connect. */
extern const char CANDIDATES_NONE[], CANDIDATES_NONE_ACCEPTS[];

#endif
