#include "outbound/attempt.h"

#include "base/clock.h"
#include "dns/dns_name.h"
#include "outbound/bypass.h"
#include "outbound/question.h"
#include "proto/replay.h"
#include "uplink/uplink.h"
#include "uplink/uplink_health.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct egress *egress_of(const struct attempt *a)
{
    return a->direct ? &EGRESS_DIRECT : &a->lease.uplink->egress;
}

static void attempt_finish(struct attempt *a, enum fault fault, int fd)
{
    a->running = false;
    resolver_cancel(&a->query);    /* later addresses are not needed any more */
    a->events->done(a, fault, fd); /* a may be freed by now */
}

/* --- through a parent proxy
 * ------------------------------------------------------------------------------ */

static void parent_end(struct attempt *a)
{
    if (a->parent)
        parent_cancel(a->parent);
    free(a->parent);
    free(a->asked);
    a->parent = NULL;
    a->asked = NULL;
}

/* If the parent proxy itself is unreachable, that is not the destination's fault. */
static enum fault of_parent(enum fault fault)
{
    bool ours = fault == FAULT_TIMEOUT || fault == FAULT_BIND || fault == FAULT_RESOURCES;

    return ours ? fault : FAULT_PARENT;
}

static void on_parent(struct parent *u, enum fault fault, int fd)
{
    struct attempt *a = u->owner;

    a->dial.family = u->dial.family;
    a->dial.connect_s = u->took_s; /* measure the whole way, not only the dial to the parent proxy */
    fault = u->reached ? fault : of_parent(fault);
    parent_end(a);
    attempt_finish(a, fault, fd);
}

/* Seconds that are left; at least enough for a timer. */
static double left_of(const struct attempt *a)
{
    return fmax((a->direct ? a->left_s : a->timeout_s) - (clock_coarse_s() - a->since_s), 0.01);
}

static void dial_parent(struct attempt *a)
{
    const struct uplink *u = a->lease.uplink;
    const struct target *target = a->asked ? a->asked : a->target;

    if (loops_are_too_many(&a->shared->loops, u->parent, target)) {
        static const char why[] =
            "too many requests for this destination wait for this parent proxy: is it a loop?";
        loops_tell(&a->shared->loops, u->name, why);
        a->events->refused(a, why);
        return attempt_finish(a, FAULT_DENIED, -1);
    }
    a->parent = calloc(1, sizeof *a->parent);
    if (!a->parent)
        return attempt_finish(a, FAULT_RESOURCES, -1);
    a->parent->owner = a;
    parent_start(a->parent, a->shared->loop,
                 &(struct parent_request){.spec = u->parent,
                                          .target = target,
                                          .egress = &u->egress,
                                          .resolver = u->names.resolver,
                                          .loops = &a->shared->loops,
                                          .uplink = u->name,
                                          .timeout_s = left_of(a)},
                 on_parent);
}

/* --- waiting for the peer ------------------------------------------------------------------------------- */

static void await_end(struct attempt *a)
{
    if (a->await)
        await_cancel(a->await);
    free(a->await);
    a->await = NULL;
}

/* Rules for ports are about services, and do not hold for the ports that peers come from. */
static bool on_peer(struct await *w, const struct addr *peer)
{
    struct attempt *a = w->owner;
    struct addr ip = *peer;
    char why[REACH_WHY_MAX] = "it is not the peer that the client named";

    addr_set_port(&ip, 0);
    if (await_expects(w, &ip) && reach_allows(&a->shared->settings.reach, a->client, a->user, &ip, why))
        return true;
    a->events->turned_away(a, peer, why);
    return false;
}

static void on_awaited(struct await *w, enum fault fault, int fd)
{
    attempt_finish(w->owner, fault, fd);
}

static void await_by(struct attempt *a, const struct addr *peers, size_t n, const struct egress *egress)
{
    resolver_cancel(&a->query);
    a->await = calloc(1, sizeof *a->await);
    if (!a->await)
        return attempt_finish(a, FAULT_RESOURCES, -1);
    a->await->owner = a;
    a->await->admits = on_peer;
    a->await->done = on_awaited;
    enum fault fault =
        await_start(a->await, a->shared->loop, egress, peers, n, a->shared->settings.bind_timeout_s);
    if (fault != FAULT_NONE) {
        await_end(a);
        return attempt_finish(a, fault, -1);
    }
    a->dial.family = addr_family(&a->await->listener.addr);
    a->events->listening(a, &a->await->listener.addr); /* a may be freed by now */
}

bool attempt_listens_at(const struct attempt *a, struct addr *ret, int *ret_link)
{
    return a->await && a->await->listener.open && egress_source_of(a->await->listener.io.fd, ret, ret_link);
}

/* --- the dial ------------------------------------------------------------------------------------------- */

static bool by_parent(const struct attempt *a)
{
    return a->lease.uplink && a->lease.uplink->parent;
}

/* One of several servers has answered. */
static void note_server(struct attempt *a, int fd)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof sa;
    struct addr peer;

    if (getpeername(fd, (struct sockaddr *)&sa, &len) == 0 &&
        addr_from_sockaddr(&peer, (struct sockaddr *)&sa, len) == 0)
        a->server = peer;
}

static void on_dialed(struct dial *d, enum fault fault, int fd)
{
    struct attempt *a = container_of(d, struct attempt, dial);

    if (fault == FAULT_NONE && addr_family(&a->server) != AF_UNSPEC)
        note_server(a, fd);
    attempt_finish(a, fault, fd);
}

static void dial_by(struct attempt *a, const struct addr *addrs, size_t n, const struct egress *egress)
{
    if (a->awaits)
        return await_by(a, addrs, n, egress);
    dial_start(&a->dial, a->shared->loop, addrs, n, egress, left_of(a), on_dialed);
    dial_note_ends(&a->dial, a->shared->own_ends);
    if (resolver_awaits_more(&a->query))
        dial_expect(&a->dial);
    if (!a->direct && a->early && replay_is_safe(buf_slice(a->early)))
        dial_early(&a->dial, a->early, a->early->len);
}

/* Addresses of the other family may still come and fit.
 * @param unfit  all addresses so far are of a family that does not answer */
static void note_unfit(struct attempt *a, bool unfit)
{
    a->unfit = unfit && a->target->kind == TARGET_NAME;
    if (a->unfit && !resolver_awaits_more(&a->query))
        a->events->doubtful(a);
}

/* Dial families that do not answer last. */
static void dial_routed(struct attempt *a, const struct addr *addrs, size_t n)
{
    struct uplink *u = a->lease.uplink;
    struct addr order[DIAL_ADDRS_MAX];
    double now = clock_coarse_s();
    size_t n_order = 0;

    for (size_t i = 0; i < n; i++)
        if (uplink_family_is_fit(u, addr_family(&addrs[i]), now))
            order[n_order++] = addrs[i];
    bool unfit = n_order == 0;
    for (size_t i = 0; i < n; i++)
        if (!uplink_family_is_fit(u, addr_family(&addrs[i]), now))
            order[n_order++] = addrs[i];
    for (size_t i = 0; i < n; i++)
        uplink_note_tried(u, addr_family(&order[i]), now);
    dial_by(a, order, n_order, egress_of(a));
    note_unfit(a, unfit);
}

/* Addresses, sorted by the way to reach them. */
struct sorted {
    struct addr local[DIAL_ADDRS_MAX], direct[DIAL_ADDRS_MAX], routed[DIAL_ADDRS_MAX];
    size_t n_local, n_direct, n_routed;
};

/* @param why  the reason, when an address may not be reached */
static void sort(const struct attempt *a, const struct addr *addrs, size_t n, struct sorted *ret,
                 char why[REACH_WHY_MAX])
{
    const struct outbound_settings *settings = &a->shared->settings;

    ret->n_local = ret->n_direct = ret->n_routed = 0;
    for (size_t i = 0; i < n && i < DIAL_ADDRS_MAX; i++) {
        struct addr to = addrs[i];
        if (a->family != AF_UNSPEC && addr_family(&to) != a->family)
            continue;
        if (a->awaits)
            addr_set_port(&to, 0); /* see on_peer */
        if (!reach_allows(&settings->reach, a->client, a->user, &to, why))
            continue;
        addr_name_this_machine(&to);
        if (a->unasked && loops_hear(&a->shared->loops, &to, true)) {
            (void)snprintf(why, REACH_WHY_MAX, "loop: the destination is a listener of this proxy");
            continue;
        }
        enum bypass b = bypass_of_address(settings, &to);
        if (b == BYPASS_LISTED)
            ret->direct[ret->n_direct++] = to;
        else if (b == BYPASS_LOCAL)
            ret->local[ret->n_local++] = to;
        else
            ret->routed[ret->n_routed++] = to;
    }
}

/* Wait this long for the other family, even if it never answers, before the client is refused. */
static const double OTHER_FAMILY_S = 0.5;

/* Addresses of the other family may still come, and the client may be allowed to reach those. */
static void attempt_refuse(struct attempt *a, const char *why)
{
    a->held = resolver_awaits_more(&a->query);
    if (a->held)
        resolver_limit(&a->query, OTHER_FAMILY_S);
    if (why[0]) {
        a->denied = true;
        a->events->refused(a, why);
    }
    if (!a->held)
        attempt_finish(a, a->denied ? FAULT_DENIED : FAULT_UNREACHABLE, -1);
}

static void dial_addrs(struct attempt *a, const struct addr *addrs, size_t n)
{
    struct sorted s;
    char why[REACH_WHY_MAX] = "";

    a->held = false;
    sort(a, addrs, n, &s, why);
    if (s.n_local == 0 && s.n_direct == 0 && s.n_routed == 0)
        return attempt_refuse(a, why);
    if (s.n_local + s.n_direct > 0 && !a->direct) {
        /* the address shows that the name is local */
        uplink_release(&a->lease);
        a->direct = true;
        a->events->local(a);
    }
    /* A direct attempt may only use addresses that are listed as direct: a name must not bypass the
     * uplinks by itself. */
    if (a->direct && s.n_local + s.n_direct == 0)
        return attempt_finish(a, FAULT_DENIED, -1);
    if (s.n_local > 0)
        dial_by(a, s.local, s.n_local, &EGRESS_ON_LINK);
    else if (a->direct)
        dial_by(a, s.direct, s.n_direct, &EGRESS_DIRECT);
    else if (by_parent(a))
        dial_parent(a);
    else if (a->awaits)
        await_by(a, s.routed, s.n_routed, egress_of(a));
    else
        dial_routed(a, s.routed, s.n_routed);
}

/* Add addresses of the other family while the first ones are dialled. The first ones have decided the way;
 * addresses for another way are skipped. */
static void add_addrs(struct attempt *a, const struct addr *addrs, size_t n)
{
    struct uplink *u = a->lease.uplink;
    double now = clock_coarse_s();
    struct sorted s;
    char why[REACH_WHY_MAX];

    sort(a, addrs, n, &s, why);
    if (a->dial.egress.on_link)
        return dial_add(&a->dial, s.local, s.n_local, false);
    if (a->direct)
        return dial_add(&a->dial, s.direct, s.n_direct, false);
    bool fit = s.n_routed == 0 || uplink_family_is_fit(u, addr_family(&s.routed[0]), now);
    for (size_t i = 0; i < s.n_routed; i++)
        uplink_note_tried(u, addr_family(&s.routed[i]), now);
    dial_add(&a->dial, s.routed, s.n_routed, !fit);
    note_unfit(a, a->unfit && (s.n_routed == 0 || !fit));
}

static void dial_name_parent(struct attempt *a)
{
    char why[REACH_WHY_MAX];

    if (!reach_allows_name(&a->shared->settings.reach, a->client, a->user, a->target->port, why))
        return attempt_refuse(a, why);
    dial_parent(a);
}

bool attempt_asks_uplink(const struct attempt *a)
{
    return a->lease.uplink && !a->lease.uplink->parent && a->target->kind == TARGET_NAME &&
           !dns_name_is_local(slice_str(a->target->host));
}

/* Anybody may connect. Only rules for every address can be checked before someone does. */
static void await_anybody(struct attempt *a, const struct addr *unspecified)
{
    char why[REACH_WHY_MAX];

    if (!reach_allows_name(&a->shared->settings.reach, a->client, a->user, 0, why))
        return attempt_refuse(a, why);
    await_by(a, unspecified, 1, egress_of(a));
}

static void on_resolved(struct resolver_query *q, enum fault fault, const struct addr *addrs, size_t n)
{
    struct attempt *a = container_of(q, struct attempt, query);

    /* Servers cannot be blamed for silence if a late attempt had too little time. */
    bool hurried = a->timeout_s < a->shared->settings.dial_timeout_s / 4;
    if (attempt_asks_uplink(a) && !(q->news == RESOLVER_SILENCE && hurried))
        a->news = q->news;
    if (fault != FAULT_NONE)
        return attempt_finish(a, fault, -1);
    dial_addrs(a, addrs, n);
}

static void on_more(struct resolver_query *q, const struct addr *addrs, size_t n)
{
    struct attempt *a = container_of(q, struct attempt, query);

    if (a->held)
        return dial_addrs(a, addrs, n);
    if (a->dial.running)
        add_addrs(a, addrs, n);
}

static void ask_parent_for(struct attempt *a, const struct addr *server)
{
    size_t len;
    const uint8_t *ip = addr_ip(server, &len);

    a->asked = malloc(sizeof *a->asked);
    if (!a->asked)
        return attempt_finish(a, FAULT_RESOURCES, -1);
    if (target_set_ip(a->asked, ip, len, addr_port(server)) != PARSE_OK)
        return attempt_finish(a, FAULT_UNREACHABLE, -1);
    dial_parent(a);
}

static void ask_name_server(struct attempt *a)
{
    const struct target *t = a->target;
    struct addr asked, servers[DNS_SERVERS_MAX];
    bool known =
        t->kind != TARGET_NAME && addr_from_ip(&asked, t->ip, t->kind == TARGET_IPV4 ? 4 : 16, t->port) == 0;
    const struct question_request q = {.asked = known ? &asked : NULL,
                                       .client = a->client,
                                       .user = a->user,
                                       .reach = &a->shared->settings.reach};
    size_t n = question_servers(&q, a->lease.uplink, servers);

    if (n == 0) {
        a->events->refused(a, QUESTION_NO_SERVER);
        return attempt_finish(a, FAULT_DNS, -1);
    }
    a->server = servers[0];
    if (by_parent(a))
        return ask_parent_for(a, &servers[0]);
    dial_routed(a, servers, n);
}

void attempt_start(struct attempt *a, const struct attempt_request *request,
                   const struct attempt_events *events)
{
    const struct target *t = request->target;

    assert(!a->running);
    *a = (struct attempt){
        .shared = request->shared,
        .target = t,
        .client = request->client,
        .user = request->user,
        .events = events,
        .early = request->early,
        .unasked = request->unasked,
        .running = true,
        .awaits = request->awaits,
        .family = request->family,
        .direct = !request->uplink,
        .since_s = clock_coarse_s(),
        .timeout_s = request->timeout_s,
        .left_s = request->left_s,
    };
    if (request->uplink)
        uplink_acquire(&a->lease, request->uplink);
    if (request->question && request->uplink)
        return ask_name_server(a);
    /* A parent proxy resolves names, except those of the local network. */
    if (by_parent(a) && t->kind == TARGET_NAME && !dns_name_is_local(slice_str(t->host)))
        return dial_name_parent(a);
    if (t->kind == TARGET_NAME) {
        resolver_start_for(attempt_asks_uplink(a) ? request->uplink->names.resolver : a->shared->resolver,
                           &a->query, a->client, t->host, t->port, on_resolved, on_more);
        return resolver_limit(&a->query, left_of(a));
    }
    struct addr to;
    if (addr_from_ip(&to, t->ip, t->kind == TARGET_IPV4 ? 4 : 16, t->port) < 0)
        return attempt_finish(a, FAULT_UNREACHABLE, -1);
    if (a->awaits && target_is_unspecified(t))
        return await_anybody(a, &to);
    dial_addrs(a, &to, 1);
}

void attempt_give_up(struct attempt *a)
{
    bool names = resolver_awaits_answer(&a->query);

    if (names && !attempt_asks_uplink(a))
        return;
    if (names)
        a->news = resolver_unanswered(&a->query);
    resolver_cancel(&a->query);
    dial_cancel(&a->dial);
    parent_end(a);
    attempt_finish(a, names ? FAULT_DNS : FAULT_TIMEOUT, -1);
}

void attempt_lose_uplink(struct attempt *a)
{
    resolver_cancel(&a->query);
    dial_cancel(&a->dial);
    await_end(a);
    parent_end(a);
    a->lost = true;
    attempt_finish(a, FAULT_UNREACHABLE, -1);
}

void attempt_cancel(struct attempt *a)
{
    a->running = false;
    resolver_cancel(&a->query);
    dial_cancel(&a->dial);
    await_end(a);
    parent_end(a);
    uplink_release(&a->lease);
}
