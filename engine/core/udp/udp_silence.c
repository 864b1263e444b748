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

/* Nothing came by the uplink for so long, though its mappings send. A call or a game expects an answer many
 * times a second, a DNS server within one. */
static const double SILENT_S = 3;
/* The same with one witness. */
static const double SILENT_ALONE_S = 5;
/* Without checks, a mapping leaves a suspect after so long. */
static const double GIVE_UP_S = 8;

struct witnesses {
    size_t silent;   /* mappings that send, and that nothing answers */
    size_t answered; /* those of them that were answered before */
    int family;      /* of one of these */
};

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
    w->tx = tx;
    w->rx = rx;
}

/* What was silent before the line's latest answer to anybody says nothing against it. Without this, a mapping
 * that sends one way would make the line a suspect again after each check that it passes. */
static bool is_silent(const struct udp *u, const struct udp_way *w, double now)
{
    const struct uplink *by = w->account->lease.uplink;
    bool sends = now - w->tx_s < SILENT_S || w->mapping.hears;

    return by && w->unanswered_s > 0 && now - w->unanswered_s >= SILENT_S && sends &&
           w->unanswered_s >= u->answered_s[by->view.id - 1];
}

static void note_answers(struct udp *u, const struct uplink *by, double now)
{
    size_t i = (size_t)by->view.id - 1;
    double answers = by->four.health.answers + by->six.health.answers;

    if (answers != u->answers[i])
        u->answered_s[i] = now;
    u->answers[i] = answers;
}

static void count(struct udp *u, struct witnesses of[UPLINK_MAX], double now)
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
            struct witnesses *mine = &of[by->view.id - 1];
            mine->silent++;
            if (w->rx > 0 || (w->mapping.hears && u->names_answered[by->view.id - 1])) {
                mine->answered++;
                mine->family = w->has4 ? AF_INET : AF_INET6;
            }
        }
    }
}

/* Seconds since a byte came by the uplink, of UDP or TCP. */
static double silent_for(struct udp *u, const struct uplink *by, double now)
{
    size_t i = (size_t)by->view.id - 1;
    double heard = by->view.rx_bytes;

    if (heard != u->heard[i] || u->heard_s[i] <= 0) {
        u->heard[i] = heard;
        u->heard_s[i] = now;
    }
    return now - u->heard_s[i];
}

static void judge(struct udp *u, struct uplink *by, const struct witnesses *of, double now)
{
    double silent_s = silent_for(u, by, now);
    bool several = of->silent >= 2 && silent_s >= SILENT_S;
    bool alone = of->answered >= 1 && silent_s >= SILENT_ALONE_S;

    if (!several && !alone)
        return;
    if (of->answered > 0)
        health_note_silence(by, of->family);
    checks_hurry(u->outbounds->checks, by);
}

/* --- leaving dead lines --------------------------------------------------------------------------------- */

static bool has_elsewhere(const struct udp *u, const struct udp_way *w)
{
    const struct uplink_set *set = u->outbounds->uplinks;
    const struct candidates_request r = {.family = health_family(&w->account->target),
                                         .now = 0,
                                         .datagrams = true}; /* suspects do not count */

    for (size_t i = 0; i < set->n; i++)
        if (set->items[i] != w->account->lease.uplink &&
            candidates_judge(set->items[i], &r).rank == CANDIDATE_FIT)
            return true;
    return false;
}

static bool is_dead(const struct udp_way *w, double now)
{
    const struct uplink *by = w->account->lease.uplink;
    int family = w->has4 || !w->has6 ? AF_INET : AF_INET6;

    if (!by->view.ipv4 && !by->view.ipv6)
        return true;
    switch (uplink_health_state(by, family)) {
    case HEALTH_DOWN:
        return true;
    case HEALTH_SUSPECT:
        return w->unanswered_s > 0 && now - w->unanswered_s >= GIVE_UP_S;
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
    struct uplink_set *set = u->outbounds->uplinks;
    struct witnesses of[UPLINK_MAX] = {{0}};
    double now = clock_now_s();

    for (size_t i = 0; i < set->n; i++)
        note_answers(u, set->items[i], now);
    count(u, of, now);
    for (size_t i = 0; i < set->n; i++)
        judge(u, set->items[i], &of[set->items[i]->view.id - 1], now);
    leave_dead_lines(u, now);
}
