#include "outbound/offer.h"

static bool was_tried(const struct uplink *u, const struct offer_request *r)
{
    return r->tried >> (u->view.id - 1) & 1;
}

static bool speaks(const struct uplink *u, int family)
{
    return family == AF_UNSPEC || (family == AF_INET ? u->view.ipv4 : u->view.ipv6);
}

bool offer_is_dear(const struct uplink *u, const struct uplink *chosen)
{
    return u->view.tier > chosen->view.tier || uplink_is_metered(u);
}

enum offer_rank offer_rank(const struct uplink *u, const struct offer_request *r)
{
    if (!u->view.up || !speaks(u, r->family) || was_tried(u, r))
        return OFFER_NEVER;
    if (r->against && offer_is_dear(u, r->against))
        return OFFER_NEVER;
    if (uplink_is_fit(u, r->family, r->now))
        return OFFER_FIT;
    if (!uplink_is_captive(u, r->family))
        return OFFER_SILENT;
    if (r->host && uplink_is_portal(u, r->host))
        return OFFER_PORTAL;
    return r->tried ? OFFER_NEVER : OFFER_CAPTIVE;
}

/* Whether it is the host of a portal that some uplink is behind, be that tried already or not to be raced:
 * what has the same address elsewhere is another machine, and must not be told a password. */
static bool is_for_a_portal(const struct uplink_set *set, const struct offer_request *r)
{
    const struct offer_request first = {.host = r->host, .family = r->family, .now = r->now};

    for (size_t i = 0; r->host && i < set->n; i++)
        if (set->items[i]->portal && offer_rank(set->items[i], &first) == OFFER_PORTAL)
            return true;
    return false;
}

size_t offer_all(const struct uplink_set *set, const struct offer_request *r, struct uplink *ret[UPLINK_MAX])
{
    enum offer_rank best = is_for_a_portal(set, r) ? OFFER_PORTAL : OFFER_CAPTIVE;
    size_t n = 0;

    for (size_t i = 0; i < set->n; i++) {
        enum offer_rank rank = offer_rank(set->items[i], r);
        if (rank > best) {
            best = rank;
            n = 0;
        }
        if (rank == best)
            ret[n++] = set->items[i];
    }
    return n;
}

bool offer_holds(const struct uplink_set *set, const struct uplink *u, int family,
                 const struct offer_request *r)
{
    struct offer_request of_this = *r;

    of_this.now = 0; /* before any suspect's next try */
    if (family != AF_UNSPEC)
        of_this.family = family;
    enum offer_rank own = offer_rank(u, &of_this);
    if (own == OFFER_NEVER)
        return false;
    for (size_t i = 0; i < set->n; i++)
        if (set->items[i] != u && offer_rank(set->items[i], r) > own)
            return false;
    return true;
}
