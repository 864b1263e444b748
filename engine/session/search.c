#include "session/search.h"

#include "base/clock.h"
#include "net/soon.h"
#include "session/attempt.h"
#include "session/checks.h"
#include "session/health_note.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* No request wanders through more uplinks than this. */
enum { ATTEMPTS_MAX = 8 };

/* The share of the dial timeout one uplink gets while others are left to try: a silent one must not use up
 * the client's patience alone. */
static const double PATIENCE_WITH_OTHERS = 0.5;

struct racer {
    struct attempt attempt;
    struct search *search;
    int number; /* of its pick, from 1; 0 for direct */
    bool raced; /* sent after another that was slow */
    char reason[POLICY_REASON_MAX + 1];
};

_Static_assert((int)UPLINK_MAX <= 64, "an uplink has its bit in tried");

struct search {
    struct outbound *outbound;
    struct racer one, *another;  /* NULL until two are tried at once, which few connections come to */
    uint64_t tried;              /* bit id - 1 */
    struct policy_choice choice; /* the order of preference being worked through */
    size_t next_choice;
    enum fault last;   /* the latest failure */
    enum fault worst;  /* the most telling of the attempts' faults */
    bool hopeless;     /* what failed would fail by any uplink */
    bool racing;       /* the latest start was that of a second one */
    ev_timer hedge;    /* until a second one is raced */
    ev_timer deferred; /* the beginning, out of the caller's stack */
};

/* --- the end -------------------------------------------------------------------------------------------- */

void search_free(struct search *s)
{
    if (!s)
        return;
    attempt_cancel(&s->one.attempt);
    if (s->another)
        attempt_cancel(&s->another->attempt);
    free(s->another);
    ev_timer_stop(s->outbound->proxy->loop, &s->hedge);
    ev_timer_stop(s->outbound->proxy->loop, &s->deferred);
    free(s);
}

static void search_end(struct search *s, enum fault fault, int fd)
{
    struct outbound *o = s->outbound;

    o->fault = fault;
    o->search = NULL;
    search_free(s);
    o->done(o, fault, fd); /* o may be gone */
}

/* --- what became of an attempt -------------------------------------------------------------------------- */

static void try_next(struct search *s);
static void try_beside(struct search *s);

/* Who else is under way; NULL for nobody. */
static struct racer *rival_of(struct racer *r)
{
    struct search *s = r->search;
    struct racer *rival = r == &s->one ? s->another : &s->one;

    return rival && rival->attempt.running ? rival : NULL;
}

/* A check tells sooner than the next connections whether it is the uplink or a destination. */
static void hurry_if_silent(const struct proxy *p, const struct uplink *u)
{
    if (u && (u->health4.silences > 0 || u->health6.silences > 0))
        checks_hurry(p->checks, u);
}

/* What came to nothing because another one was there first: its uplink, or its name servers, are silent. Part
 * of the time that it had may have gone to the names. */
static void note_outrun(struct attempt *a)
{
    if (a->query.resolver) {
        if (attempt_asks_uplink(a))
            health_note_names(a->lease.uplink, RESOLVER_SILENCE);
        return;
    }
    dial_cancel(&a->dial);
    if (health_note_dial(a->lease.uplink, &a->dial, health_usual_s(a->lease.uplink) / 2))
        uplink_note_failed(a->lease.uplink);
    hurry_if_silent(a->proxy, a->lease.uplink);
}

/* @param outrun  by one that came later */
static void cancel_rival(struct racer *r, bool outrun)
{
    struct racer *rival = rival_of(r);

    ev_timer_stop(r->search->outbound->proxy->loop, &r->search->hedge);
    if (!rival)
        return;
    if (outrun && r->raced)
        note_outrun(&rival->attempt);
    attempt_cancel(&rival->attempt);
}

static void on_local(struct attempt *a)
{
    struct racer *r = container_of(a, struct racer, attempt);
    struct outbound *o = r->search->outbound;

    cancel_rival(r, false); /* it is on its way to the same place */
    r->search->racing = false;
    o->direct = true;
    o->race = OUTBOUND_NO_RACE;
    outbound_because(o, "bypass");
    (void)snprintf(r->reason, sizeof r->reason, "bypass");
}

/* Tells of the failures of all attempts the one that helps the client most: an answer of the destination
 * before a silence, a silence before a fault of ours. */
static enum fault more_telling(enum fault a, enum fault b)
{
    static const uint8_t rank[] = {
        [FAULT_REFUSED] = 9, [FAULT_RESET] = 8,     [FAULT_NAME] = 7,        [FAULT_TIMEOUT] = 6,
        [FAULT_DNS] = 5,     [FAULT_DENIED] = 4,    [FAULT_UNREACHABLE] = 3, [FAULT_UPSTREAM] = 3,
        [FAULT_BIND] = 2,    [FAULT_RESOURCES] = 1,
    };
    unsigned rank_a = (size_t)a < ARRAY_LEN(rank) ? rank[a] : 0;
    unsigned rank_b = (size_t)b < ARRAY_LEN(rank) ? rank[b] : 0;
    return rank_b > rank_a ? b : a;
}

static void note_failure(struct racer *r, enum fault fault)
{
    struct search *s = r->search;
    struct outbound *o = s->outbound;
    struct uplink *u = r->attempt.lease.uplink;
    const char *word = fault_policy_name(fault);

    s->last = fault;
    s->worst = more_telling(s->worst, fault);
    s->hopeless = s->hopeless || o->direct || !fault_worth_retry(fault);
    if (!u)
        return;
    health_note_names(u, r->attempt.news);
    if (word && fault != FAULT_NAME) {
        struct policy_conn conn;
        char client[ADDR_TEXT_MAX];
        /* A family that was tried late had less of the time. */
        (void)health_note_dial(u, &r->attempt.dial, health_usual_s(u) / (fault == FAULT_TIMEOUT ? 2 : 1));
        health_note_upstream(u, fault);
        hurry_if_silent(o->proxy, u);
        if (fault != FAULT_REFUSED)
            uplink_note_failed(u);
        outbound_conn(o, r->number, word, &conn, client);
        policy_failed(o->proxy->policy, &conn, u, word);
    }
    struct log_line l;
    log_begin(&l, LOG_DEBUG, "attempt failed");
    log_u64(&l, "conn", o->id);
    log_str(&l, "uplink", u->name);
    log_str(&l, "fault", fault_name(fault));
    log_end(&l);
    attempt_cancel(&r->attempt);
}

static void on_failed(struct racer *r, enum fault fault)
{
    struct search *s = r->search;

    note_failure(r, fault);
    if (rival_of(r)) { /* which may yet arrive, or fails and comes back here */
        if (!s->hopeless && fault != FAULT_REFUSED && fault != FAULT_RESET)
            try_beside(s);
        return;
    }
    ev_timer_stop(s->outbound->proxy->loop, &s->hedge);
    if (s->hopeless)
        return search_end(s, s->worst, -1);
    try_next(s);
}

static void on_arrived(struct racer *r, int fd)
{
    struct search *s = r->search;
    struct outbound *o = s->outbound;

    cancel_rival(r, true); /* first, so that the policy does not count it any more */
    o->connected = true;
    o->connected_s = clock_now_s();
    o->attempt = r->number;
    if (s->racing)
        o->race = r->raced ? OUTBOUND_RACE_WON : OUTBOUND_RACE_LOST;
    outbound_because(o, r->reason);
    uplink_lease_move(&o->lease, &r->attempt.lease);
    struct log_line l;
    log_begin(&l, LOG_DEBUG, "connected");
    log_u64(&l, "conn", o->id);
    log_str(&l, "uplink", o->lease.uplink ? o->lease.uplink->name : "direct");
    log_num(&l, "seconds", o->connected_s - o->started_s);
    log_end(&l);
    if (o->lease.uplink) {
        struct policy_conn conn;
        char client[ADDR_TEXT_MAX];
        o->tried = o->lease.uplink;
        outbound_conn(o, r->number, fault_policy_name(s->last), &conn, client);
        health_note_names(o->lease.uplink, r->attempt.news);
        (void)health_note_dial(o->lease.uplink, &r->attempt.dial, health_usual_s(o->lease.uplink));
        health_note_upstream(o->lease.uplink, FAULT_NONE);
        o->lease.family = r->attempt.dial.family;
        uplink_note_connected(o->lease.uplink, r->attempt.dial.connect_s);
        policy_opened(o->proxy->policy, &conn, o->lease.uplink, o->connected_s - o->started_s);
    }
    if (r->attempt.dial.early_sent > 0) {
        outbound_note(o, r->attempt.dial.early_sent, 0);
        buf_consume(o->early, r->attempt.dial.early_sent);
    }
    search_end(s, FAULT_NONE, fd);
}

static void on_done(struct attempt *a, enum fault fault, int fd)
{
    struct racer *r = container_of(a, struct racer, attempt);

    if (fault != FAULT_NONE)
        return on_failed(r, fault);
    on_arrived(r, fd);
}

/* No need to wait: another uplink is raced at once. */
static void on_doubtful(struct attempt *a)
{
    struct search *s = container_of(a, struct racer, attempt)->search;
    struct ev_loop *loop = s->outbound->proxy->loop;

    if (!ev_is_active(&s->hedge))
        return;
    soon(loop, &s->hedge);
}

static const struct attempt_events events = {.local = on_local, .doubtful = on_doubtful, .done = on_done};

/* --- which uplink --------------------------------------------------------------------------------------- */

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

enum found { FOUND, FOUND_NOBODY, FOUND_REFUSAL };

/* The next uplink of the policy's list, or what it answers to a new question. A refusal leaves the list at
 * its end, with the reason in s->choice. */
static enum found choose(struct search *s, struct uplink **ret)
{
    struct outbound *o = s->outbound;
    struct uplink *usable[UPLINK_MAX];
    size_t n = candidates(s, usable);

    if (n == 0 || o->attempts >= ATTEMPTS_MAX)
        return FOUND_NOBODY;
    while (s->next_choice < s->choice.n) {
        struct uplink *u = s->choice.order[s->next_choice++];
        if (u->view.up && !was_tried(s, u) &&
            !(o->attempts > 0 && is_captive(u, health_family(&o->target)))) {
            *ret = u;
            return FOUND;
        }
    }
    struct policy_conn conn;
    char client[ADDR_TEXT_MAX];
    outbound_conn(o, o->attempts + 1, fault_policy_name(s->last), &conn, client);
    policy_pick(o->proxy->policy, &conn, usable, n, &s->choice);
    s->next_choice = 1;
    if (s->choice.verdict == POLICY_REFUSE)
        return FOUND_REFUSAL;
    *ret = s->choice.order[0];
    return FOUND;
}

static bool others_left(const struct search *s)
{
    const struct uplink_set *set = s->outbound->proxy->uplinks;
    for (size_t i = 0; i < set->n; i++)
        if (set->items[i]->view.up && !was_tried(s, set->items[i]))
            return true;
    return false;
}

static double dial_timeout(const struct search *s)
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

static void log_pick(const struct racer *r, const struct uplink *u)
{
    const struct outbound *o = r->search->outbound;
    struct log_line l;

    log_begin(&l, LOG_DEBUG, r->raced ? "raced" : "picked");
    log_u64(&l, "conn", o->id);
    log_str(&l, "host", o->target.host);
    log_u64(&l, "port", o->target.port);
    log_str(&l, "uplink", u->name);
    log_str(&l, "reason", r->reason);
    log_u64(&l, "attempt", (uint64_t)r->number);
    log_end(&l);
}

/* Two at most are under way: one of them is free. @return NULL without memory */
static struct racer *idle_racer(struct search *s)
{
    if (!s->one.attempt.running)
        return &s->one;
    if (!s->another)
        s->another = calloc(1, sizeof *s->another);
    if (s->another)
        s->another->search = s;
    return s->another;
}

/* The end of what it calls may be the end of the search. */
static void use(struct search *s, struct racer *r, struct uplink *u, bool raced)
{
    struct outbound *o = s->outbound;

    r->number = ++o->attempts;
    r->raced = s->racing = raced;
    memcpy(r->reason, s->choice.reason, sizeof r->reason);
    outbound_because(o, r->reason);
    o->tried = u;
    s->tried |= UINT64_C(1) << (u->view.id - 1);
    uplink_note_tried(u, health_family(&o->target), clock_coarse_s());
    log_pick(r, u);
    double hedge_s = raced ? 0 : search_hedge_after(&o->proxy->settings, &s->choice, u);
    if (hedge_s > 0) {
        ev_now_update(o->proxy->loop); /* timers count from there, and a callback may have run for long */
        ev_timer_set(&s->hedge, hedge_s, 0.);
        ev_timer_start(o->proxy->loop, &s->hedge);
    }
    attempt_start(&r->attempt,
                  &(struct attempt_request){.proxy = o->proxy,
                                            .target = &o->target,
                                            .client = o->client,
                                            .uplink = u,
                                            .early = raced ? NULL : o->early,
                                            .timeout_s = dial_timeout(s)},
                  &events);
}

/* Nobody is under way. */
static void try_next(struct search *s)
{
    struct uplink *u;

    switch (choose(s, &u)) {
    case FOUND:
        return use(s, &s->one, u, false);
    case FOUND_NOBODY:
        return search_end(s, s->worst == FAULT_NONE ? FAULT_NO_UPLINK : s->worst, -1);
    case FOUND_REFUSAL:
        outbound_because(s->outbound, s->choice.reason);
        return search_end(s, FAULT_DENIED, -1);
    }
}

/* One is under way. It goes on alone if there is nobody to race it, or no memory, or the policy refuses. */
static void try_beside(struct search *s)
{
    struct racer *r = idle_racer(s);
    struct uplink *u;

    if (!r || choose(s, &u) != FOUND)
        return;
    s->outbound->race = OUTBOUND_RACE_OPEN;
    use(s, r, u, true);
}

/* The first has not arrived in time. */
static void on_hedge(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop;
    (void)revents;
    try_beside(container_of(w, struct search, hedge));
}

/* --- the beginning -------------------------------------------------------------------------------------- */

static void go_direct(struct search *s)
{
    struct outbound *o = s->outbound;
    struct racer *r = &s->one;

    o->direct = true;
    outbound_because(o, "bypass");
    (void)snprintf(r->reason, sizeof r->reason, "bypass");
    attempt_start(&r->attempt,
                  &(struct attempt_request){.proxy = o->proxy, .target = &o->target, .client = o->client},
                  &events);
}

static void on_deferred(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct search *s = container_of(w, struct search, deferred);

    (void)loop;
    (void)revents;
    if (outbound_bypasses(s->outbound->proxy, &s->outbound->target))
        return go_direct(s);
    try_next(s);
}

int search_start(struct outbound *o)
{
    struct search *s =
        malloc(sizeof *s); /* as calloc passes by what this thread has freed (glibc until 2.41) */

    if (!s)
        return -ENOMEM;
    *s = (struct search){.outbound = o, .one = {.search = s}};
    ev_timer_init(&s->hedge, on_hedge, 0., 0.);
    ev_timer_init(&s->deferred, on_deferred, 0., 0.);
    soon(o->proxy->loop, &s->deferred);
    o->search = s;
    return 0;
}
