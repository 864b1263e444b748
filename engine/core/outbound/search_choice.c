#include "base/clock.h"
#include "health/health_note.h"
#include "outbound/search_state.h"
#include "uplink/uplink_set.h"

#include "outbound/candidates.h"
#include <math.h>

/* Limit of uplinks tried for one request. */
enum { ATTEMPTS_MAX = 8 };

/* One uplink's share of the remaining time while others are left to try, so that a silent uplink does not
 * use it all. */
static const double PATIENCE_WITH_OTHERS = 0.5;

static bool is_among(const struct uplink *u, struct uplink *const *usable, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (usable[i] == u)
            return true;
    return false;
}

/* A reply of SOCKS4 has room for an IPv4 address only. */
int search_family(const struct search *s)
{
    const struct outbound *o = s->outbound;

    return o->listening && o->proto == POLICY_SOCKS4 ? AF_INET : AF_UNSPEC;
}

/* @param against  uplink to race against; NULL: no race */
static struct candidates_request request_of(const struct search *s, const struct uplink *against)
{
    int family = outbound_family(s->outbound);
    bool datagrams = s->outbound->proto == POLICY_UDP;
    double now = clock_coarse_s();

    /* A mapping has no second attempt, and stays on a dead line for seconds: it seldom tries a suspect. */
    return (struct candidates_request){.host = outbound_host(s->outbound),
                                       .family = family == AF_UNSPEC ? search_family(s) : family,
                                       .awaits = s->outbound->listening,
                                       .tried = s->tried,
                                       .now = datagrams ? 0 : now,
                                       .datagrams = datagrams,
                                       .try_at = datagrams ? now : 0,
                                       .costs_little = s->outbound->costs_little,
                                       .against = s->choice.race_any ? NULL : against};
}

/* The uplinks that the next attempt may use. @return their number */
static size_t left_to_try(const struct search *s, const struct uplink *against,
                          struct uplink *ret[UPLINK_MAX])
{
    const struct candidates_request r = request_of(s, against);

    if (s->outbound->attempts >= ATTEMPTS_MAX)
        return 0;
    return candidates_find(s->outbound->shared->uplinks, &r, ret, NULL);
}

/* The next uplink on the policy's list that is still usable. The list is void when another policy was
 * loaded. @return NULL: ask the policy again */
static struct uplink *next_of_list(struct search *s, struct uplink *const *usable, size_t n)
{
    if (s->generation != policy_generation(s->outbound->shared->policy))
        return NULL;
    while (s->next_choice < s->choice.n) {
        struct uplink *u = s->choice.order[s->next_choice++];
        if (is_among(u, usable, n))
            return u;
    }
    return NULL;
}

enum search_found search_choose(struct search *s, const struct uplink *against, struct uplink **ret)
{
    struct outbound *o = s->outbound;
    struct uplink *usable[UPLINK_MAX];
    size_t n = left_to_try(s, against, usable);

    if (n == 0)
        return SEARCH_FOUND_NOBODY;
    *ret = next_of_list(s, usable, n);
    if (*ret)
        return SEARCH_FOUND;
    struct policy_conn conn;
    char client[ADDR_TEXT_MAX];
    const struct policy_attempt at = {o->attempts + 1, against, fault_policy_name(s->last)};
    outbound_conn(o, at, &conn, client);
    policy_pick(o->shared->policy, &conn, usable, n, &s->choice);
    s->next_choice = 1;
    s->generation = policy_generation(o->shared->policy);
    if (s->choice.verdict == POLICY_REFUSE)
        return SEARCH_FOUND_REFUSAL;
    *ret = s->choice.order[0];
    return SEARCH_FOUND;
}

enum search_others search_others(const struct search *s, const struct uplink *u)
{
    struct uplink *others[UPLINK_MAX];
    size_t n = left_to_try(s, NULL, others);

    for (size_t i = 0; i < n; i++)
        if (!candidates_is_dear(others[i], u))
            return SEARCH_OTHERS_ALIKE;
    return n > 0 ? SEARCH_OTHERS_DEAR : SEARCH_OTHERS_NONE;
}

double search_left_s(const struct search *s)
{
    const struct outbound *o = s->outbound;
    return o->shared->settings.dial_timeout_s - (clock_now_s() - o->started_s);
}

double search_dial_timeout(const struct search *s, enum search_others others)
{
    double left_s = search_left_s(s);
    if (s->choice.timeout_s > 0)
        return fmin(s->choice.timeout_s, left_s);
    return others == SEARCH_OTHERS_ALIKE ? left_s * PATIENCE_WITH_OTHERS : left_s;
}

double search_patience(const struct search *s, enum search_others others)
{
    return others == SEARCH_OTHERS_DEAR && s->choice.timeout_s <= 0 ? search_left_s(s) * PATIENCE_WITH_OTHERS
                                                                    : 0;
}

double search_hedge_after(const struct outbound_settings *settings, const struct policy_choice *choice,
                          const struct uplink *u)
{
    if (choice->hedge_s < 0)
        return 0;
    if (choice->hedge_s > 0)
        return choice->hedge_s;
    if (settings->hedge_s >= 0)
        return settings->hedge_s;
    return health_usual_s(u);
}
