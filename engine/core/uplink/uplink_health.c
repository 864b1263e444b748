#include "uplink/uplink_health.h"

#include "dns/resolver.h"
#include "uplink/uplink.h"

#include <string.h>

/* A parent proxy is one uplink for both families. */
static bool is_six(const struct uplink *u, int family)
{
    return family == AF_INET6 && !u->parent;
}

struct health *uplink_health(struct uplink *u, int family)
{
    return is_six(u, family) ? &u->six.health : &u->four.health;
}

double uplink_received(const struct uplink *u, int family)
{
    return is_six(u, family) ? u->six.received : u->four.received;
}

double uplink_names_heard(const struct uplink *u)
{
    return u->names.resolver ? (double)resolver_answers(u->names.resolver) : 0;
}

enum health_state uplink_health_state(const struct uplink *u, int family)
{
    return health_state(is_six(u, family) ? &u->six.health : &u->four.health, uplink_received(u, family));
}

bool uplink_family_is_fit(const struct uplink *u, int family, double now)
{
    return health_is_fit(is_six(u, family) ? &u->six.health : &u->four.health, uplink_received(u, family),
                         now);
}

/* Whether a family counts for the whole uplink. Many uplinks have addresses of a family that is never used:
 * it does not count once the other family is known. */
static bool counts(const struct uplink *u, int family)
{
    bool is4 = family == AF_INET, speaks = is4 ? u->view.ipv4 : u->view.ipv6;
    bool known = is4 || u->parent ? u->four.health.known : u->six.health.known;
    bool any_known = (u->view.ipv4 && u->four.health.known) || (u->view.ipv6 && u->six.health.known);

    return speaks && (known || !any_known);
}

bool uplink_leads_on(const struct uplink *u, double now)
{
    return (counts(u, AF_INET) && uplink_family_is_fit(u, AF_INET, now)) ||
           (counts(u, AF_INET6) && uplink_family_is_fit(u, AF_INET6, now));
}

bool uplink_is_fit(const struct uplink *u, int family, double now)
{
    if (family != AF_UNSPEC)
        return uplink_family_is_fit(u, family, now);
    return health_is_fit(&u->names.health, uplink_names_heard(u), now) && uplink_leads_on(u, now);
}

bool uplink_is_captive(const struct uplink *u, int family)
{
    return family == AF_UNSPEC ? u->four.health.captive || u->six.health.captive
                               : uplink_health_state(u, family) == HEALTH_CAPTIVE;
}

bool uplink_is_portal(const struct uplink *u, const char *host)
{
    size_t len = strlen(host);

    for (const char *at = u->portal; at && *at;) {
        size_t n = strcspn(at, ",");
        if (n <= len && memcmp(host + len - n, at, n) == 0 && (n == len || host[len - n - 1] == '.'))
            return true;
        at += n + (at[n] == ',');
    }
    return false;
}

void uplink_note_tried(struct uplink *u, int family, double now)
{
    health_tried(family == AF_UNSPEC ? &u->names.health : uplink_health(u, family), now);
}

static bool lets_try(const struct health *h, double received, bool costs_little, double now)
{
    return health_is_fit(h, received, 0) || health_lets_datagrams_try(h, costs_little, now);
}

bool uplink_lets_datagrams_try(const struct uplink *u, int family, bool costs_little, double now)
{
    bool four = lets_try(&u->four.health, u->four.received, costs_little, now);
    bool six = u->parent ? four : lets_try(&u->six.health, u->six.received, costs_little, now);

    if (family != AF_UNSPEC)
        return is_six(u, family) ? six : four;
    return lets_try(&u->names.health, uplink_names_heard(u), costs_little, now) &&
           ((counts(u, AF_INET) && four) || (counts(u, AF_INET6) && six));
}

void uplink_note_tried_by_datagrams(struct uplink *u, int family, double now)
{
    uplink_note_tried(u, family, now);
    if (family != AF_UNSPEC)
        return health_tried_by_datagrams(uplink_health(u, family), uplink_received(u, family), now);
    health_tried_by_datagrams(&u->names.health, uplink_names_heard(u), now);
    health_tried_by_datagrams(&u->four.health, u->four.received, now);
    health_tried_by_datagrams(&u->six.health, u->six.received, now);
}

/* The better state of the families that count. */
static enum health_state state_of(const struct uplink *u)
{
    enum health_state four = uplink_health_state(u, AF_INET), six = uplink_health_state(u, AF_INET6);

    if (!counts(u, AF_INET6) || (counts(u, AF_INET) && four < six))
        return four;
    return six;
}

const char *uplink_state_name(const struct uplink *u)
{
    static const char *const names[] = {"up", "suspect", "down", "captive"};
    static const char *const bars[] = {[UPLINK_BAR_REMOVED] = "removed",
                                       [UPLINK_BAR_DRAINING] = "draining",
                                       [UPLINK_BAR_NO_LINK] = "down",
                                       [UPLINK_BAR_SPENT] = "used up"};
    enum uplink_bar bar = uplink_bar(u);

    if (bar != UPLINK_BAR_NONE)
        return bars[bar];
    enum health_state state = state_of(u);
    if (state == HEALTH_UP && health_is_suspect(&u->names.health, uplink_names_heard(u)))
        state = HEALTH_SUSPECT;
    return names[state];
}
