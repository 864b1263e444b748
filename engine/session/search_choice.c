#include "base/clock.h"
#include "session/health_note.h"
#include "session/search_state.h"

#include <string.h>

/* No request wanders through more uplinks than this. */
enum { ATTEMPTS_MAX = 8 };

/* The share of the dial timeout one uplink gets while others are left to try: a silent one must not use up
 * the client's patience alone. */
static const double PATIENCE_WITH_OTHERS = 0.5;

static bool was_tried(const struct search *s, const struct uplink *u)
{
    return s->tried >> (u->view.id - 1) & 1;
}

static bool is_captive(const struct uplink *u, int family)
{
    return family == AF_UNSPEC ? u->health4.captive || u->health6.captive
                               : uplink_health_state(u, family) == HEALTH_CAPTIVE;
}

/* Those that answer; and only when there is none, those that do not. Behind a captive portal somebody else
 * answers: what failed elsewhere would be told a lie there, so that such an uplink is for those who have no
 * other from the beginning. */
static size_t candidates(const struct search *s, struct uplink *ret[UPLINK_MAX])
{
    const struct outbound *o = s->outbound;
    const struct uplink_set *set = o->proxy->uplinks;
    struct uplink *unfit[UPLINK_MAX], *captive[UPLINK_MAX];
    size_t n = 0, n_unfit = 0, n_captive = 0;
    int family = health_family(&o->target);
    double now = clock_coarse_s();

    for (size_t i = 0; i < set->n; i++) {
        struct uplink *u = set->items[i];
        bool speaks =
            o->target.kind == TARGET_NAME || (o->target.kind == TARGET_IPV4 ? u->view.ipv4 : u->view.ipv6);
        if (!u->view.up || !speaks || was_tried(s, u))
            continue;
        if (uplink_is_fit(u, family, now))
            ret[n++] = u;
        else if (is_captive(u, family))
            captive[n_captive++] = u;
        else
            unfit[n_unfit++] = u;
    }
    if (n > 0)
        return n;
    if (n_unfit > 0 || o->attempts > 0) {
        memcpy(ret, unfit, n_unfit * sizeof *ret);
        return n_unfit;
    }
    memcpy(ret, captive, n_captive * sizeof *ret);
    return n_captive;
}

enum search_found search_choose(struct search *s, struct uplink **ret)
{
    struct outbound *o = s->outbound;
    struct uplink *usable[UPLINK_MAX];
    size_t n = candidates(s, usable);

    if (n == 0 || o->attempts >= ATTEMPTS_MAX)
        return SEARCH_FOUND_NOBODY;
    while (s->next_choice < s->choice.n) {
        struct uplink *u = s->choice.order[s->next_choice++];
        if (u->view.up && !was_tried(s, u) &&
            !(o->attempts > 0 && is_captive(u, health_family(&o->target)))) {
            *ret = u;
            return SEARCH_FOUND;
        }
    }
    struct policy_conn conn;
    char client[ADDR_TEXT_MAX];
    outbound_conn(o, o->attempts + 1, fault_policy_name(s->last), &conn, client);
    policy_pick(o->proxy->policy, &conn, usable, n, &s->choice);
    s->next_choice = 1;
    if (s->choice.verdict == POLICY_REFUSE)
        return SEARCH_FOUND_REFUSAL;
    *ret = s->choice.order[0];
    return SEARCH_FOUND;
}

static bool others_left(const struct search *s)
{
    const struct uplink_set *set = s->outbound->proxy->uplinks;
    for (size_t i = 0; i < set->n; i++)
        if (set->items[i]->view.up && !was_tried(s, set->items[i]))
            return true;
    return false;
}

double search_dial_timeout(const struct search *s)
{
    double configured = s->outbound->proxy->settings.dial_timeout_s;
    if (s->choice.timeout_s > 0)
        return s->choice.timeout_s;
    return others_left(s) ? configured * PATIENCE_WITH_OTHERS : configured;
}

double search_hedge_after(const struct proxy_settings *settings, const struct policy_choice *choice,
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
