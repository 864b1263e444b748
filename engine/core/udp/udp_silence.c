/* Lines that take datagrams and answer none. TCP notices a dead line by its acknowledgements, and UDP has
 * none: so mappings that were answered before, and wait for an answer now, count as witnesses.
 *
 * One-way traffic condemns nothing: a mapping that was never answered only asks for a check, and the check
 * decides. So does any other answer by the line, for all that were silent before it.
 *
 * A question for a name has a mapping of its own, and often nothing else is sent before it is answered. It is
 * a witness, too, if the line's name server has answered others. Many resolvers ask again after five seconds.
 */
#include "udp/udp_state.h"

#include "base/clock.h"
#include "base/counters.h"
#include "health/checks.h"
#include "health/health_note.h"
#include "outbound/candidates.h"
#include "uplink/uplink.h"
#include "uplink/uplink_health.h"
#include "uplink/uplink_set.h"

#include <math.h>

/* Nothing came by the uplink for so long, though its mappings send: ask for a check. A call or a game expects
 * an answer many times a second, a DNS server within one. */
static const double ASK_S = 2;
/* The same with one witness. */
static const double ASK_ALONE_S = 2.5;
/* Nor was the check answered until then: three looks at such a line make it a suspect. */
static const double SUSPECT_S = 4;
/* A mapping leaves a suspect after so long. By then the check has waited for longer than a slow line's round
 * trips take. */
static const double LEAVE_S = 5.5;
/* Both take so much longer where no check can tell. */
static const double UNCHECKED_S = 2;
/* A check has failed, or the line was a suspect when the mapping began, which is here to try it. */
static const double LEAVE_SOON_S = 2;
/* A mapping that sent its latest datagram before that waits for nothing. */
static const double SENDS_S = 3;

enum { FAMILIES = 2 };

struct witnesses {
    size_t silent;   /* mappings that send, and that nothing answers */
    size_t answered; /* those of them that were answered before */
};

static int family_of(const struct udp_way *w)
{
    return w->has4 || !w->has6 ? AF_INET : AF_INET6;
}

/* A parent proxy is one line for both families. */
static size_t index_of(const struct uplink *u, int family)
{
    return family == AF_INET6 && !u->parent;
}

static struct udp_line *line_of(struct udp *u, const struct uplink *by, int family)
{
    return &u->lines[by->view.id - 1][index_of(by, family)];
}

static void note_bytes(struct udp_way *w, double now)
{
    uint64_t tx = counters_get(&w->mapping.counters.tx), rx = counters_get(&w->mapping.counters.rx);

    if (tx != w->tx)
        w->tx_s = now;
    if (rx != w->rx)
        w->rx_s = now;
    /* Silence begins with the first datagram after an answer. */
    if (rx != w->rx || (tx != w->tx && w->unanswered_s <= 0))
        w->unanswered_s = rx != w->rx ? 0 : now;
    if (tx != w->tx || rx != w->rx)
        udp_limit_use(w);
    w->tx = tx;
    w->rx = rx;
}

/* What was silent before the line's latest answer to anybody says nothing against it. Without this, a mapping
 * that sends one way would make the line a suspect again after each check that it passes. */
static bool is_silent(struct udp *u, const struct udp_way *w, double now)
{
    const struct uplink *by = w->account->lease.uplink;
    bool sends = now - w->tx_s < SENDS_S || w->mapping.hears;

    return by && w->unanswered_s > 0 && now - w->unanswered_s >= ASK_S && sends &&
           w->unanswered_s >= line_of(u, by, family_of(w))->answered_s;
}

/* What has come by a line since the last look. */
static void hear(struct udp *u, struct uplink *by, int family, double now)
{
    struct udp_line *l = line_of(u, by, family);
    double received = uplink_received(by, family), answers = uplink_health(by, family)->answers;

    if (received != l->received || l->heard_s <= 0)
        l->heard_s = now;
    if (answers != l->answers)
        l->answered_s = now;
    l->received = received;
    l->answers = answers;
    health_note_bytes(by, family);
}

static void count(struct udp *u, struct witnesses of[UPLINK_MAX][FAMILIES], double now)
{
    LIST_EACH(&u->ports, port, next_port) {
        LIST_EACH(&container_of(port, struct udp_port, node)->ways, node, next) {
            struct udp_way *w = container_of(node, struct udp_way, node);
            const struct uplink *by = w->account->lease.uplink;
            note_bytes(w, now);
            if (by && w->mapping.hears && w->rx > 0)
                u->names_answered[by->view.id - 1] = true;
            if (!is_silent(u, w, now))
                continue;
            struct witnesses *mine = &of[by->view.id - 1][index_of(by, family_of(w))];
            mine->silent++;
            if (w->rx > 0 || (w->mapping.hears && u->names_answered[by->view.id - 1]))
                mine->answered++;
        }
    }
}

/* Seconds since a byte came, of UDP or TCP. Without a check to judge the family, bytes of both count: those
 * of a mapping that uses both are counted for one of them. */
static double silent_for(struct udp *u, struct uplink *by, int family, double now)
{
    double heard_s = line_of(u, by, family)->heard_s;

    if (!uplink_health(by, family)->checked)
        heard_s = fmax(line_of(u, by, AF_INET)->heard_s, line_of(u, by, AF_INET6)->heard_s);
    return now - heard_s;
}

static void judge(struct udp *u, struct uplink *by, int family, const struct witnesses *of, double now)
{
    double silent_s = silent_for(u, by, family, now);
    double suspect_s = SUSPECT_S + (uplink_health(by, family)->checked ? 0 : UNCHECKED_S);
    bool several = of->silent >= 2 && silent_s >= ASK_S;
    bool alone = of->answered >= 1 && silent_s >= ASK_ALONE_S;

    if (several || alone)
        checks_hurry(u->outbounds->checks, by, family);
    if (of->answered >= 1 && silent_s >= suspect_s)
        health_note_silence(by, family);
}

/* --- leaving dead lines --------------------------------------------------------------------------------- */

static bool has_elsewhere(const struct udp *u, const struct udp_way *w)
{
    const struct uplink_set *set = u->outbounds->uplinks;
    const struct candidates_request r = {
        .family = outbound_family(w->account), .now = 0, .datagrams = true}; /* suspects do not count */

    for (size_t i = 0; i < set->n; i++)
        if (set->items[i] != w->account->lease.uplink &&
            candidates_judge(set->items[i], &r).rank == CANDIDATE_FIT)
            return true;
    return false;
}

/* How long a mapping on a suspect waits for an answer. */
static double patience_s(const struct udp_way *w, const struct health *h)
{
    if (h->failed_checks > 0 || (w->account->on_trial && w->rx == 0))
        return LEAVE_SOON_S;
    return h->checked ? LEAVE_S : LEAVE_S + UNCHECKED_S;
}

static bool is_dead(const struct udp_way *w, double now)
{
    struct uplink *by = w->account->lease.uplink;
    int family = family_of(w);

    if (!by->view.ipv4 && !by->view.ipv6)
        return true;
    switch (uplink_health_state(by, family)) {
    case HEALTH_DOWN:
        return true;
    case HEALTH_SUSPECT:
        return w->unanswered_s > 0 && now - w->unanswered_s >= patience_s(w, uplink_health(by, family));
    case HEALTH_UP:
    case HEALTH_CAPTIVE:
        return false;
    }
    return false;
}

static void leave_dead_lines(struct udp *u, double now)
{
    LIST_EACH(&u->ports, port, next_port) {
        LIST_EACH(&container_of(port, struct udp_port, node)->ways, node, next) {
            struct udp_way *w = container_of(node, struct udp_way, node);
            if (!w->outcome && w->account->lease.uplink && is_dead(w, now) && has_elsewhere(u, w))
                udp_way_cut(w);
        }
    }
}

void udp_silence_look(struct udp *u)
{
    static const int families[FAMILIES] = {AF_INET, AF_INET6};
    struct uplink_set *set = u->outbounds->uplinks;
    struct witnesses of[UPLINK_MAX][FAMILIES] = {{{0}}};
    double now = clock_now_s();

    for (size_t i = 0; i < set->n; i++)
        for (size_t k = 0; k < FAMILIES; k++)
            hear(u, set->items[i], families[k], now);
    count(u, of, now);
    for (size_t i = 0; i < set->n; i++)
        for (size_t k = 0; k < FAMILIES; k++)
            judge(u, set->items[i], families[k], &of[set->items[i]->view.id - 1][k], now);
    leave_dead_lines(u, now);
}
