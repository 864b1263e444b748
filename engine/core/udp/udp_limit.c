#include "udp/udp_state.h"

#include "base/clock.h"

#include <math.h>

/* A mapping that was silent for that time may go, where no client has more mappings than the one that asks.
 * Programs that must stay reachable send every 15 or 20 seconds (RFC 8445 section 11, RFC 3948 section 4). */
static const double SILENT_S = 60;
enum {
    ENDING_PART = 4, /* of the limit: mappings that end have descriptors still, and may be beyond it */
    /* With fewer mappings, a third of them (shares.h) is less than what each client address may have. */
    WAITS_FROM = 3 * UDP_CLIENT_LEAST
};

static double used_s(const struct udp_way *w)
{
    return fmax(w->given_s, fmax(w->tx_s, w->rx_s));
}

/* Of the client with the most mappings: the one used longest ago. @return NULL: all have to stay */
static struct udp_way *to_displace(const struct udp *u, const struct share *mine)
{
    bool owed;
    struct list *node = shares_choose(&u->mappings, mine, &owed);
    struct udp_way *w = node ? container_of(node, struct udp_way, in_share) : NULL;

    return w && (owed || clock_coarse_s() - used_s(w) > SILENT_S) ? w : NULL;
}

static bool is_full(const struct udp *u)
{
    return u->mappings.all.n > u->settings.mappings_max;
}

/* It has entered its share. */
static bool is_within(const struct udp *u, const struct share *mine)
{
    const size_t max = u->settings.mappings_max;

    return mine->n <= u->settings.client_max && u->n_ways <= max + max / ENDING_PART &&
           (max < WAITS_FROM || share_may_wait(mine, max)) && (!is_full(u) || to_displace(u, mine));
}

bool udp_limit_enter(struct udp_way *w)
{
    struct udp *u = w->port->udp;
    struct share *mine = shares_enter(&u->mappings, &w->mapping.client);

    if (mine && !is_within(u, mine)) {
        shares_leave(&u->mappings, mine);
        mine = NULL;
    }
    w->share = mine;
    return mine;
}

struct udp_way *udp_limit_displaced(const struct udp_way *w)
{
    const struct udp *u = w->port->udp;

    return is_full(u) ? to_displace(u, w->share) : NULL;
}

void udp_limit_give(struct udp_way *w)
{
    w->given_s = clock_coarse_s();
    if (w->given)
        return udp_limit_use(w);
    w->given = true;
    share_settle(w->share, &w->in_share);
}

void udp_limit_use(struct udp_way *w)
{
    if (w->given && w->share)
        share_touch(w->share, &w->in_share);
}

void udp_limit_leave(struct udp_way *w)
{
    if (!w->share)
        return;
    if (w->given)
        share_unsettle(w->share, &w->in_share);
    shares_leave(&w->port->udp->mappings, w->share);
    w->share = NULL;
}
