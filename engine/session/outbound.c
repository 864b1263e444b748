#include "session/outbound.h"

#include "base/clock.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* No request wanders through more uplinks than this. */
enum { ATTEMPTS_MAX = 8 };

/* The share of the dial timeout one uplink gets while others are left to try: a silent one must not use up
 * the client's patience alone. */
static const double PATIENCE_WITH_OTHERS = 0.5;

/* What is needed only until the connection stands. */
struct outbound_search {
    struct outbound *outbound;
    struct resolver_query query;
    struct dial dial;
    bool tried[UPLINK_MAX];      /* by id - 1 */
    struct policy_choice choice; /* the order of preference being worked through */
    size_t next_choice;
    enum fault last;   /* the latest attempt's fault */
    enum fault worst;  /* the most telling of the attempts' faults */
    ev_timer deferred; /* delivers a failure that was known at once */
};

static void try_next(struct outbound_search *s);

static void search_free(struct outbound_search *s)
{
    if (!s)
        return;
    resolver_cancel(&s->query);
    dial_cancel(&s->dial);
    ev_timer_stop(s->outbound->proxy->loop, &s->deferred);
    free(s);
}

static void search_end(struct outbound_search *s, enum fault fault, int fd)
{
    struct outbound *o = s->outbound;

    o->fault = fault;
    o->search = NULL;
    search_free(s);
    o->done(o, fault, fd); /* o may be gone */
}

static void conn_of(const struct outbound *o, struct policy_conn *ret, char client[ADDR_TEXT_MAX])
{
    *ret = (struct policy_conn){
        .id = o->id,
        .host = o->target.host,
        .port = o->target.port,
        .is_domain = o->target.kind == TARGET_NAME,
        .is_ipv6 = o->target.kind == TARGET_IPV6,
        .proto = o->proto,
        .client = addr_format_ip(&o->client, client),
        .user = o->user,
        .listener = o->listener,
        .attempt = o->attempt,
        .last_error = o->search ? fault_policy_name(o->search->last) : NULL,
    };
}

/* --- one attempt: resolve, dial ------------------------------------------------------------------------- */

static const struct egress *egress_of(const struct outbound *o)
{
    return o->direct ? &EGRESS_DIRECT : &o->lease.uplink->egress;
}

/* Tells of the failures of all attempts the one that helps the client most: an answer of the destination
 * before a silence, a silence before a fault of ours. */
static enum fault more_telling(enum fault a, enum fault b)
{
    static const uint8_t rank[] = {
        [FAULT_REFUSED] = 9,     [FAULT_RESET] = 8, [FAULT_NAME] = 7,
        [FAULT_TIMEOUT] = 6,     [FAULT_DNS] = 5,   [FAULT_DENIED] = 4,
        [FAULT_UNREACHABLE] = 3, [FAULT_BIND] = 2,  [FAULT_RESOURCES] = 1,
    };
    unsigned rank_a = (size_t)a < ARRAY_LEN(rank) ? rank[a] : 0;
    unsigned rank_b = (size_t)b < ARRAY_LEN(rank) ? rank[b] : 0;
    return rank_b > rank_a ? b : a;
}

static void attempt_failed(struct outbound_search *s, enum fault fault)
{
    struct outbound *o = s->outbound;

    s->last = fault;
    s->worst = more_telling(s->worst, fault);
    if (o->lease.uplink) {
        struct uplink *u = o->lease.uplink;
        const char *word = fault_policy_name(fault);
        if (word && fault != FAULT_NAME) {
            struct policy_conn conn;
            char client[ADDR_TEXT_MAX];
            if (fault != FAULT_REFUSED) /* an answer: the uplink did its work */
                uplink_note_failed(u);
            conn_of(o, &conn, client);
            conn.last_error = word;
            policy_failed(o->proxy->policy, &conn, u, word);
        }
        struct log_line l;
        log_begin(&l, LOG_DEBUG, "attempt failed");
        log_u64(&l, "conn", o->id);
        log_str(&l, "uplink", u->name);
        log_str(&l, "fault", fault_name(fault));
        log_end(&l);
        uplink_release(&o->lease);
    }
    if (o->direct || !fault_worth_retry(fault))
        return search_end(s, s->worst, -1);
    try_next(s);
}

static void on_dialed(struct dial *d, enum fault fault, int fd)
{
    struct outbound_search *s = container_of(d, struct outbound_search, dial);
    struct outbound *o = s->outbound;

    if (fault != FAULT_NONE)
        return attempt_failed(s, fault);
    o->connected = true;
    o->connected_s = clock_now_s();
    struct log_line l;
    log_begin(&l, LOG_DEBUG, "connected");
    log_u64(&l, "conn", o->id);
    log_num(&l, "seconds", o->connected_s - o->started_s);
    log_end(&l);
    if (o->lease.uplink) {
        struct policy_conn conn;
        char client[ADDR_TEXT_MAX];
        conn_of(o, &conn, client);
        uplink_note_connected(o->lease.uplink);
        policy_opened(o->proxy->policy, &conn, o->lease.uplink, o->connected_s - o->started_s);
    }
    search_end(s, FAULT_NONE, fd);
}

static bool others_left(const struct outbound_search *s)
{
    const struct uplink_set *set = s->outbound->proxy->uplinks;
    for (size_t i = 0; i < set->n; i++)
        if (set->items[i]->view.up && !s->tried[set->items[i]->view.id - 1])
            return true;
    return false;
}

static double dial_timeout(const struct outbound_search *s)
{
    double configured = s->outbound->proxy->settings.dial_timeout_s;
    if (s->outbound->direct)
        return configured;
    if (s->choice.timeout_s > 0)
        return s->choice.timeout_s;
    return others_left(s) ? configured * PATIENCE_WITH_OTHERS : configured;
}

/* A machine of the household must not reach, through the proxy, what listens on the proxy's own loopback. */
static bool forbidden(const struct outbound *o, const struct addr *to)
{
    return addr_is_loopback(to) && !addr_is_loopback(&o->client);
}

static void dial_addrs(struct outbound_search *s, const struct addr *addrs, size_t n)
{
    struct outbound *o = s->outbound;
    struct addr local[DIAL_ADDRS_MAX], direct[DIAL_ADDRS_MAX], routed[DIAL_ADDRS_MAX];
    size_t n_local = 0, n_direct = 0, n_routed = 0;

    for (size_t i = 0; i < n && i < DIAL_ADDRS_MAX; i++) {
        if (forbidden(o, &addrs[i]))
            continue;
        if (cidr_set_contains(o->proxy->settings.bypass, &addrs[i]))
            direct[n_direct++] = addrs[i];
        else if (cidr_set_contains(o->proxy->settings.local, &addrs[i]))
            local[n_local++] = addrs[i];
        else
            routed[n_routed++] = addrs[i];
    }
    if (n_local == 0 && n_direct == 0 && n_routed == 0)
        return attempt_failed(s, FAULT_DENIED);
    if (n_local + n_direct > 0 && !o->direct) {
        /* A name of the local network, as its address shows. */
        uplink_release(&o->lease);
        o->direct = true;
        (void)snprintf(o->reason, sizeof o->reason, "bypass");
    }
    /* What goes direct must be listed as such: a name cannot talk its way past the uplinks. */
    if (o->direct && n_local + n_direct == 0)
        return attempt_failed(s, FAULT_DENIED);
    if (n_local > 0)
        dial_start(&s->dial, o->proxy->loop, local, n_local, &EGRESS_ON_LINK, dial_timeout(s), on_dialed);
    else if (o->direct)
        dial_start(&s->dial, o->proxy->loop, direct, n_direct, &EGRESS_DIRECT, dial_timeout(s), on_dialed);
    else
        dial_start(&s->dial, o->proxy->loop, routed, n_routed, egress_of(o), dial_timeout(s), on_dialed);
}

static void on_resolved(struct resolver_query *q, enum fault fault, const struct addr *addrs, size_t n)
{
    struct outbound_search *s = container_of(q, struct outbound_search, query);

    if (fault != FAULT_NONE)
        return attempt_failed(s, fault);
    dial_addrs(s, addrs, n);
}

/* The uplink is chosen (or none is needed): go. */
static void attempt(struct outbound_search *s)
{
    struct outbound *o = s->outbound;

    if (o->target.kind == TARGET_NAME)
        return resolver_start(o->proxy->resolver, &s->query, o->target.host, o->target.port, egress_of(o),
                              on_resolved);
    struct addr to;
    if (addr_from_ip(&to, o->target.ip, o->target.kind == TARGET_IPV4 ? 4 : 16, o->target.port) < 0)
        return attempt_failed(s, FAULT_UNREACHABLE);
    dial_addrs(s, &to, 1);
}

/* --- which uplink --------------------------------------------------------------------------------------- */

static size_t candidates(const struct outbound_search *s, struct uplink *ret[UPLINK_MAX])
{
    const struct outbound *o = s->outbound;
    const struct uplink_set *set = o->proxy->uplinks;
    size_t n = 0;

    for (size_t i = 0; i < set->n; i++) {
        struct uplink *u = set->items[i];
        bool speaks =
            o->target.kind == TARGET_NAME || (o->target.kind == TARGET_IPV4 ? u->view.ipv4 : u->view.ipv6);
        if (u->view.up && speaks && !s->tried[u->view.id - 1])
            ret[n++] = u;
    }
    return n;
}

static void log_pick(const struct outbound *o, const struct uplink *u)
{
    struct log_line l;

    log_begin(&l, LOG_DEBUG, "picked");
    log_u64(&l, "conn", o->id);
    log_str(&l, "host", o->target.host);
    log_u64(&l, "port", o->target.port);
    log_str(&l, "uplink", u->name);
    log_str(&l, "reason", o->reason);
    log_u64(&l, "attempt", (uint64_t)o->attempt);
    log_end(&l);
}

static void use(struct outbound_search *s, struct uplink *u)
{
    struct outbound *o = s->outbound;

    o->attempt++;
    s->tried[u->view.id - 1] = true;
    uplink_acquire(&o->lease, u);
    o->tried = u;
    (void)snprintf(o->reason, sizeof o->reason, "%s", s->choice.reason);
    log_pick(o, u);
    attempt(s);
}

/* The next uplink of the policy's list, or a new question to the policy, or the end. */
static void try_next(struct outbound_search *s)
{
    struct outbound *o = s->outbound;
    struct uplink *usable[UPLINK_MAX];
    size_t n = candidates(s, usable);

    if (n == 0 || o->attempt >= ATTEMPTS_MAX)
        return search_end(s, s->worst == FAULT_NONE ? FAULT_NO_UPLINK : s->worst, -1);
    while (s->next_choice < s->choice.n) {
        struct uplink *u = s->choice.order[s->next_choice++];
        if (u->view.up && !s->tried[u->view.id - 1])
            return use(s, u);
    }
    struct policy_conn conn;
    char client[ADDR_TEXT_MAX];
    conn_of(o, &conn, client);
    conn.attempt = o->attempt + 1;
    policy_pick(o->proxy->policy, &conn, usable, n, &s->choice);
    s->next_choice = 1;
    if (s->choice.verdict == POLICY_REFUSE) {
        (void)snprintf(o->reason, sizeof o->reason, "%s", s->choice.reason);
        return search_end(s, FAULT_DENIED, -1);
    }
    use(s, s->choice.order[0]);
}

static bool named_localhost(const struct target *t)
{
    static const char suffix[] = ".localhost";
    size_t n = strlen(t->host), tail = sizeof suffix - 1;

    return t->kind == TARGET_NAME &&
           (strcmp(t->host, suffix + 1) == 0 || (n > tail && strcmp(t->host + n - tail, suffix) == 0));
}

bool outbound_bypasses(const struct proxy *p, const struct target *t)
{
    struct addr to;

    if (named_localhost(t)) {
        const uint8_t loopback[] = {127, 0, 0, 1};
        if (addr_from_ip(&to, loopback, sizeof loopback, t->port) < 0)
            return false;
    } else if (t->kind == TARGET_NAME) {
        return false;
    } else if (addr_from_ip(&to, t->ip, t->kind == TARGET_IPV4 ? 4 : 16, t->port) < 0) {
        return false;
    }
    return cidr_set_contains(p->settings.bypass, &to) || cidr_set_contains(p->settings.local, &to);
}

/* Out of the caller's stack, so that done never comes from within outbound_new. */
static void on_deferred(struct ev_loop *loop, ev_timer *w, int events)
{
    struct outbound_search *s = container_of(w, struct outbound_search, deferred);
    struct outbound *o = s->outbound;

    (void)loop;
    (void)events;
    o->direct = outbound_bypasses(o->proxy, &o->target);
    if (!o->direct)
        return try_next(s);
    (void)snprintf(o->reason, sizeof o->reason, "bypass");
    attempt(s);
}

/* --- from birth to account ------------------------------------------------------------------------------ */

int outbound_new(struct outbound **ret, struct proxy *proxy, const struct outbound_request *request,
                 outbound_done_fn *done, void *owner)
{
    struct outbound *o = calloc(1, sizeof *o);
    struct outbound_search *s = calloc(1, sizeof *s);
    char *user = request->user ? strdup(request->user) : NULL;

    if (!o || !s || (request->user && !user))
        goto fail;
    o->proxy = proxy;
    o->done = done;
    o->owner = owner;
    o->id = ++proxy->last_id;
    o->target = *request->target;
    o->proto = request->proto;
    o->client = *request->client;
    o->user = user;
    o->listener = request->listener;
    o->started_s = clock_now_s();
    o->search = s;
    s->outbound = o;
    ev_timer_init(&s->deferred, on_deferred, 0., 0.);
    ev_timer_start(proxy->loop, &s->deferred);
    *ret = o;
    return 0;
fail:
    free(user);
    free(s);
    free(o);
    return -ENOMEM;
}

void outbound_note(struct outbound *o, uint64_t tx, uint64_t rx)
{
    o->tx += tx;
    o->rx += rx;
    if (rx > 0 && o->first_byte_s <= 0)
        o->first_byte_s = clock_now_s();
    if (o->lease.uplink)
        uplink_note_bytes(o->lease.uplink, tx, rx);
}

static void write_account(const struct outbound *o, const char *outcome)
{
    struct log_line l;
    char client[ADDR_TEXT_MAX];

    log_begin(&l, LOG_INFO, "connection");
    log_str(&l, "client", addr_format(&o->client, client));
    log_str(&l, "proto", policy_proto_name(o->proto));
    log_str(&l, "host", o->target.host);
    log_u64(&l, "port", o->target.port);
    log_str(&l, "uplink", o->direct ? "direct" : o->tried ? o->tried->name : "none");
    log_str(&l, "reason", o->reason[0] ? o->reason : "none");
    if (o->attempt > 1)
        log_u64(&l, "attempts", (uint64_t)o->attempt);
    log_u64(&l, "tx", o->tx);
    log_u64(&l, "rx", o->rx);
    log_num(&l, "duration", clock_now_s() - o->started_s);
    log_str(&l, "outcome", outcome);
    log_end(&l);
}

static void record(const struct outbound *o)
{
    char client[ADDR_TEXT_MAX];
    const struct recorded c = {
        .started_s = o->started_s,
        .client = addr_format_ip(&o->client, client),
        .host = o->target.host,
        .proto = policy_proto_name(o->proto),
        .user = o->user,
        .uplink = o->lease.uplink ? o->lease.uplink->name : NULL,
        .port = o->target.port,
        .tx = o->tx,
        .rx = o->rx,
        .duration_s = clock_now_s() - o->started_s,
    };
    recorder_note(&o->proxy->recorder, &c);
}

void outbound_finish(struct outbound *o, const char *outcome)
{
    if (!o)
        return;
    if (!outcome)
        outcome = o->fault == FAULT_NONE ? "aborted" : fault_name(o->fault);
    write_account(o, outcome);
    if (recorder_is_on(&o->proxy->recorder) && o->connected && !o->direct)
        record(o);
    if (o->connected && o->lease.uplink) {
        struct policy_conn conn;
        char client[ADDR_TEXT_MAX];
        const struct policy_stats stats = {
            .tx = o->tx,
            .rx = o->rx,
            .duration_s = clock_now_s() - o->connected_s,
            .first_byte_s = o->first_byte_s > 0 ? o->first_byte_s - o->connected_s : -1,
            .reason = outcome,
        };
        conn_of(o, &conn, client);
        policy_closed(o->proxy->policy, &conn, o->lease.uplink, &stats);
    }
    uplink_release(&o->lease);
    policy_forget(o->proxy->policy, o->id);
    search_free(o->search);
    free(o->user);
    free(o);
}

bool outbound_serves(const struct outbound *o, const struct target *target, const char *user)
{
    if (strcmp(user ? user : "", o->user ? o->user : "") != 0)
        return false;
    if (o->lease.uplink && !o->lease.uplink->view.up)
        return false;
    return o->target.port == target->port && strcmp(o->target.host, target->host) == 0;
}
