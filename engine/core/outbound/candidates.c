#include "outbound/candidates.h"

#include "uplink/uplink.h"
#include "uplink/uplink_health.h"
#include "uplink/uplink_set.h"

const char CANDIDATES_NONE[] = "none is up and speaks this family of addresses";
const char CANDIDATES_NONE_ACCEPTS[] =
    "none is up, speaks this family of addresses, and can accept connections (parent proxies cannot)";

static bool was_tried(const struct uplink *u, const struct candidates_request *r)
{
    return r->tried >> (u->view.id - 1) & 1;
}

static bool speaks(const struct uplink *u, int family)
{
    return family == AF_UNSPEC || (family == AF_INET ? u->view.ipv4 : u->view.ipv6);
}

bool candidates_is_dear(const struct uplink *u, const struct uplink *chosen)
{
    return u->view.tier > chosen->view.tier || uplink_is_metered(u);
}

static enum candidate_absence why_not_up(const struct uplink *u)
{
    static const enum candidate_absence absences[] = {[UPLINK_BAR_NONE] =
                                                          ABSENT_DOWN, /* never: it would be up */
                                                      [UPLINK_BAR_REMOVED] = ABSENT_DRAINING,
                                                      [UPLINK_BAR_DRAINING] = ABSENT_DRAINING,
                                                      [UPLINK_BAR_NO_LINK] = ABSENT_DOWN,
                                                      [UPLINK_BAR_SPENT] = ABSENT_SPENT};
    return absences[uplink_bar(u)];
}

static enum candidate_absence why_no_datagrams(const struct uplink *u)
{
    return uplink_datagrams(u) == UPLINK_DATAGRAMS_REFUSED ? ABSENT_REFUSES_DATAGRAMS : ABSENT_NO_DATAGRAMS;
}

/* @return ABSENT_NOT if the uplink can carry this connection, well or badly */
static enum candidate_absence obstacle(const struct uplink *u, const struct candidates_request *r)
{
    if (!u->view.up)
        return why_not_up(u);
    if (!speaks(u, r->family))
        return ABSENT_OTHER_FAMILY;
    if (r->datagrams && uplink_datagrams(u) != UPLINK_DATAGRAMS)
        return why_no_datagrams(u);
    if (r->awaits && u->parent)
        return ABSENT_ACCEPTS_NOTHING;
    if (was_tried(u, r))
        return ABSENT_TRIED;
    return r->against && candidates_is_dear(u, r->against) ? ABSENT_DEAR : ABSENT_NOT;
}

struct candidate candidates_judge(const struct uplink *u, const struct candidates_request *r)
{
    enum candidate_absence absence = obstacle(u, r);

    if (absence != ABSENT_NOT)
        return (struct candidate){CANDIDATE_NEVER, absence};
    if (uplink_is_fit(u, r->family, r->now) ||
        (r->try_at > 0 && uplink_lets_datagrams_try(u, r->family, r->costs_little, r->try_at)))
        return (struct candidate){CANDIDATE_FIT, ABSENT_NOT};
    if (!uplink_is_captive(u, r->family)) {
        bool names_alone = r->family == AF_UNSPEC && uplink_leads_on(u, r->now);
        return (struct candidate){CANDIDATE_SILENT, names_alone ? ABSENT_RESOLVES_NOTHING : ABSENT_SILENT};
    }
    if (r->host && uplink_is_portal(u, r->host))
        return (struct candidate){CANDIDATE_PORTAL, ABSENT_NOT};
    return (struct candidate){r->tried ? CANDIDATE_NEVER : CANDIDATE_CAPTIVE, ABSENT_CAPTIVE};
}

/* Whether it is the host of a portal in front of some uplink, even one that was tried or may not race. By
 * another uplink, the same address is another machine, which must not receive a password. */
static bool is_for_a_portal(const struct uplink_set *set, const struct candidates_request *r)
{
    const struct candidates_request first = {.host = r->host, .family = r->family, .now = r->now};

    for (size_t i = 0; r->host && i < set->n; i++)
        if (set->items[i]->portal && candidates_judge(set->items[i], &first).rank == CANDIDATE_PORTAL)
            return true;
    return false;
}

/* For an uplink below the best rank. */
static enum candidate_absence why_behind(struct candidate c)
{
    return c.absence == ABSENT_NOT ? ABSENT_NOT_THE_PORTALS : c.absence;
}

size_t candidates_find(const struct uplink_set *set, const struct candidates_request *r,
                       struct uplink *ret[UPLINK_MAX], enum candidate_absence absence[UPLINK_MAX])
{
    enum candidate_rank best = is_for_a_portal(set, r) ? CANDIDATE_PORTAL : CANDIDATE_CAPTIVE;
    size_t n = 0;

    for (size_t i = 0; i < set->n; i++) {
        struct candidate c = candidates_judge(set->items[i], r);
        if (absence)
            absence[i] = why_behind(c);
        if (c.rank > best) {
            best = c.rank;
            n = 0;
        }
        if (c.rank == best)
            ret[n++] = set->items[i];
    }
    for (size_t i = 0, k = 0; absence && k < n; i++)
        if (set->items[i] == ret[k]) {
            absence[i] = ABSENT_NOT;
            k++;
        }
    return n;
}

bool candidates_hold(const struct uplink_set *set, const struct uplink *u, int family,
                     const struct candidates_request *r)
{
    struct candidates_request of_this = *r;

    of_this.now = 0; /* before a suspect's next try */
    if (family != AF_UNSPEC)
        of_this.family = family;
    enum candidate_rank own = candidates_judge(u, &of_this).rank;
    if (own == CANDIDATE_NEVER)
        return false;
    for (size_t i = 0; i < set->n; i++)
        if (set->items[i] != u && candidates_judge(set->items[i], r).rank > own)
            return false;
    return true;
}

const char *candidates_absence_text(enum candidate_absence absence)
{
    static const char *const texts[N_ABSENT] = {
        [ABSENT_NOT] = "may serve",
        [ABSENT_DRAINING] = "draining",
        [ABSENT_SPENT] = "its quota is used up",
        [ABSENT_DOWN] = "down",
        [ABSENT_OTHER_FAMILY] = "does not speak this family of addresses",
        [ABSENT_NO_DATAGRAMS] = "is a parent proxy whose protocol carries no datagrams",
        [ABSENT_REFUSES_DATAGRAMS] =
            "is a parent proxy that refuses datagrams (UDP ASSOCIATE), and is asked again in a few minutes",
        [ABSENT_ACCEPTS_NOTHING] = "is a parent proxy, which accepts no connections",
        [ABSENT_TRIED] = "was tried and failed",
        [ABSENT_DEAR] = "costs more than the uplink that it would race",
        [ABSENT_RESOLVES_NOTHING] = "resolves no names",
        [ABSENT_SILENT] = "does not answer",
        [ABSENT_CAPTIVE] = "is behind a captive portal",
        [ABSENT_NOT_THE_PORTALS] = "does not lead to the captive portal",
    };
    return texts[absence];
}

uint64_t candidates_objections(const struct uplink_set *set, const struct uplink *u,
                               const struct candidates_request *r)
{
    struct candidates_request of_open = *r;
    bool spent = quota_is_set(&u->quota) && u->view.quota_left <= 0;
    uint64_t found = spent ? UINT64_C(1) << (u->view.id - 1) : 0;

    of_open.now = 0; /* before a suspect's next try */
    for (size_t i = 0; i < set->n; i++)
        if (candidates_is_dear(u, set->items[i]) && set->items[i] != u &&
            candidates_judge(set->items[i], &of_open).rank == CANDIDATE_FIT)
            found |= UINT64_C(1) << (set->items[i]->view.id - 1);
    return found;
}
