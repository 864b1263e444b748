/* Which uplinks may be used for a destination, and why each other one is left out. This is the one place that
 * decides it: the search asks it for a new connection and for each retry, plain HTTP before it uses a kept
 * connection again, dead_lines.c before it resets an open one, and `why` when it explains.
 *
 * Uplinks are ranked, and only those of the best rank that occurs are candidates:
 * 0. those behind a captive portal, for the hosts of that portal (the uplink's `portal`): only there somebody
 *    can log in. When these have been tried, nobody is left;
 * 1. those that answer (a suspect counts as such for one try each two seconds, see health.h);
 * 2. those that do not: suspects, and what is down by its checks;
 * 3. those behind a captive portal, and only for a connection that no uplink has failed yet: what failed
 *    elsewhere would get the portal's answer there instead of the truth.
 * An uplink without link or address, of another family, draining, or over its hard quota is never a
 * candidate.
 *
 * A race must not cost what the choice was meant to spare: for one, an uplink of a higher tier than that
 * which is raced against, or a metered one, is not a candidate.
 *
 * A connection that is open already gets no tries: a suspect stays one for it. It carries nothing new once
 * its uplink's quota has been used up, or an uplink has come back that would spare its own (of a lower tier,
 * or not metered). */
#ifndef STEERWAY_OUTBOUND_CANDIDATES_H
#define STEERWAY_OUTBOUND_CANDIDATES_H

#include "uplink/uplink_view.h"

#include <stddef.h>

struct uplink;
struct uplink_set;

/** From the last to the best. */
enum candidate_rank { CANDIDATE_NEVER, CANDIDATE_CAPTIVE, CANDIDATE_SILENT, CANDIDATE_FIT, CANDIDATE_PORTAL };

/** Why an uplink is left out, or comes behind others. */
enum candidate_absence {
    ABSENT_NOT,
    ABSENT_DRAINING,
    ABSENT_SPENT,
    ABSENT_DOWN,
    ABSENT_OTHER_FAMILY,
    ABSENT_TRIED,
    ABSENT_DEAR,
    ABSENT_RESOLVES_NOTHING,
    ABSENT_SILENT,
    ABSENT_CAPTIVE,
    ABSENT_NOT_THE_PORTALS, /* it would serve, but the host is of a portal that another uplink is behind */
    N_ABSENT
};

struct candidates_request {
    const char *host; /* name or address; NULL: not known */
    int family;       /* of the destination: AF_INET, AF_INET6, or AF_UNSPEC for a name */
    uint64_t tried;   /* bits id - 1: uplinks that this connection has tried in vain */
    double now;       /* monotonic seconds */
    const struct uplink
        *against; /* that this one is raced against; NULL: it is no race, or one with anybody */
};

/** Whether the choice of one uplink was meant to spare another: it is of a higher tier, or metered. */
bool candidates_is_dear(const struct uplink *u, const struct uplink *chosen);

/** What one uplink is for a connection, whatever the others are. */
struct candidate {
    enum candidate_rank rank;
    enum candidate_absence absence; /* ABSENT_NOT for the two best ranks */
};
struct candidate candidates_judge(const struct uplink *u, const struct candidates_request *r);

/** Those that a connection may use, in the set's order.
 *  @param absence  of each uplink of the set, ABSENT_NOT for those in ret; NULL: it is not asked for
 *  @return how many */
size_t candidates_find(const struct uplink_set *set, const struct candidates_request *r,
                       struct uplink *ret[UPLINK_MAX], enum candidate_absence absence[UPLINK_MAX]);

/** Whether an open connection may carry something new: for a new one its uplink would be a candidate, and
 *  this one's family answers there.
 *  @param u       whose connection it is
 *  @param family  of that connection; AF_UNSPEC: not known */
bool candidates_hold(const struct uplink_set *set, const struct uplink *u, int family,
                     const struct candidates_request *r);

/** What a new connection may have against u: bits id - 1 of those that answer, and whose use would spare u,
 * which is dear beside them; and its own when its quota is used up. */
uint64_t candidates_objections(const struct uplink_set *set, const struct uplink *u,
                               const struct candidates_request *r);

/** What completes "The uplink …", such as "is behind a captive portal". */
const char *candidates_absence_text(enum candidate_absence absence);

/** What is told where no uplink is a candidate and none was tried. */
extern const char CANDIDATES_NONE[];

#endif
