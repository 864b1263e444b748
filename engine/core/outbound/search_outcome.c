#include "base/clock.h"
#include "health/checks.h"
#include "health/health_note.h"
#include "net/defer.h"
#include "outbound/bypass.h"
#include "outbound/search_state.h"
#include "uplink/uplink.h"
#include "uplink/uplink_lease.h"
#include "uplink/uplink_note.h"

#include <stdio.h>

/* The other running attempt; NULL for none. */
static struct racer *rival_of(struct racer *r)
{
    struct search *s = r->search;
    struct racer *rival = r == &s->one ? s->another : &s->one;

    return rival && rival->attempt.running ? rival : NULL;
}

/* A check shows sooner than the next connections whether the uplink or the destination is silent. */
static void hurry_if_silent(const struct outbounds *shared, const struct uplink *u)
{
    if (u && (u->four.health.silences > 0 || u->six.health.silences > 0))
        checks_hurry(shared->checks, u, AF_UNSPEC);
}

/* A later attempt connected before this one. If this one had waited suspiciously long without an answer,
 * its uplink (or its name servers) is silent, which counts as a failure. Part of that time may have gone
 * to names. */
static void note_outrun(struct attempt *a)
{
    if (resolver_awaits_answer(&a->query)) {
        if (attempt_asks_uplink(a))
            health_note_names(a->lease.uplink, resolver_unanswered(&a->query));
        return;
    }
    dial_cancel(&a->dial);
    if (health_note_dial(a->lease.uplink, &a->dial, health_usual_s(a->lease.uplink) / 2))
        uplink_note_failed(a->lease.uplink);
    hurry_if_silent(a->shared, a->lease.uplink);
}

/* Losing a race is not a failure by itself. */
static void note_lost(struct racer *r)
{
    struct outbound *o = r->search->outbound;
    struct uplink *u = r->attempt.lease.uplink;
    struct policy_conn conn;
    char client[ADDR_TEXT_MAX];

    if (!u)
        return;
    uplink_note_race_lost(u);
    outbound_conn(o, (struct policy_attempt){r->number, r->race, fault_policy_name(r->search->last)}, &conn,
                  client);
    policy_lost_race(o->shared->policy, &conn, u);
}

/* @param lost  the rival has lost against r; else the whole search is over */
static void cancel_rival(struct racer *r, bool lost)
{
    struct racer *rival = rival_of(r);

    ev_timer_stop(r->search->outbound->shared->loop, &r->search->hedge);
    if (!rival)
        return;
    if (lost && r->raced)
        note_outrun(&rival->attempt);
    if (lost)
        note_lost(rival);
    attempt_cancel(&rival->attempt);
}

static void on_local(struct attempt *a)
{
    struct racer *r = container_of(a, struct racer, attempt);
    struct outbound *o = r->search->outbound;

    cancel_rival(r, false); /* the rival has the same destination */
    r->search->racing = false;
    o->direct = true;
    o->race = OUTBOUND_NO_RACE;
    outbound_because(o, BYPASS_REASON);
    (void)snprintf(r->reason, sizeof r->reason, "%s", BYPASS_REASON);
}

static void on_refused(struct attempt *a, const char *why)
{
    outbound_because(container_of(a, struct racer, attempt)->search->outbound, why);
}

void search_note_fault(struct search *s, enum fault fault)
{
    const struct outbound *o = s->outbound;

    s->last = fault;
    s->worst = fault_more_telling(s->worst, fault);
    /* Once the client knows the address of one uplink, no other can serve. */
    s->hopeless = s->hopeless || o->direct || o->listens || !fault_worth_retry(fault);
}

/* Whether it is counted for its uplink. That nobody came to a listening socket says nothing about it. */
static bool is_counted(const struct outbound *o, enum fault fault)
{
    bool nobody_came = o->listens && fault == FAULT_TIMEOUT;

    return fault_policy_name(fault) && fault != FAULT_NAME && !nobody_came;
}

void search_count_failure(struct search *s, struct uplink *u, enum fault fault, const struct failure *f)
{
    struct outbound *o = s->outbound;
    const char *word = fault_policy_name(fault);

    if (is_counted(o, fault)) {
        struct policy_conn conn;
        char client[ADDR_TEXT_MAX];
        if (!f->lost)
            health_note_parent(u, fault);
        hurry_if_silent(o->shared, u);
        if (fault != FAULT_REFUSED)
            uplink_note_failed(u);
        outbound_conn(o, (struct policy_attempt){f->number, f->race, word}, &conn, client);
        policy_failed(o->shared->policy, &conn, u, word);
    }
    struct log_line l;
    log_begin(&l, EVENT_ATTEMPT_FAILED);
    log_u64(&l, "conn", o->id);
    log_str(&l, "uplink", u->name);
    log_str(&l, "fault", fault_name(fault));
    log_end(&l);
}

static void note_failure(struct racer *r, enum fault fault)
{
    struct attempt *a = &r->attempt;
    struct uplink *u = a->lease.uplink;

    search_note_fault(r->search, fault);
    if (!u)
        return;
    health_note_names(u, a->news);
    /* A family that was tried later had less time. */
    if (is_counted(r->search->outbound, fault) && !a->lost)
        (void)health_note_dial(u, &a->dial, health_usual_s(u) / (fault == FAULT_TIMEOUT ? 2 : 1));
    search_count_failure(r->search, u, fault,
                         &(struct failure){.number = r->number, .race = r->race, .lost = a->lost});
    attempt_cancel(a);
}

static void on_failed(struct racer *r, enum fault fault)
{
    struct search *s = r->search;

    note_failure(r, fault);
    if (r == &s->one)
        ev_timer_stop(s->outbound->shared->loop, &s->patience);
    if (rival_of(r)) { /* the rival may still connect; if it fails, it comes here too */
        if (!s->hopeless && fault != FAULT_REFUSED && fault != FAULT_RESET)
            search_try_beside(s, rival_of(r));
        return;
    }
    ev_timer_stop(s->outbound->shared->loop, &s->hedge);
    if (s->hopeless)
        return search_end(s, s->worst, -1);
    search_try_next(s);
}

static void on_arrived(struct racer *r, int fd)
{
    struct search *s = r->search;
    struct outbound *o = s->outbound;

    cancel_rival(r, true); /* first, so that the policy does not count the rival any more */
    o->connected = true;
    o->connected_s = clock_now_s();
    o->attempt = r->number;
    o->generation = s->generation;
    o->by_race = r->race;
    if (s->racing)
        o->race = r->raced ? OUTBOUND_RACE_WON : OUTBOUND_RACE_LOST;
    outbound_because(o, r->reason);
    uplink_lease_move(&o->lease, &r->attempt.lease);
    if (o->listening)
        o->peer = r->attempt.await->peer;
    struct log_line l;
    log_begin(&l, EVENT_CONNECTED);
    log_u64(&l, "conn", o->id);
    log_str(&l, "uplink", o->lease.uplink ? o->lease.uplink->name : "direct");
    log_num(&l, "seconds", o->connected_s - o->started_s);
    log_end(&l);
    if (o->lease.uplink) {
        struct policy_conn conn;
        char client[ADDR_TEXT_MAX];
        outbound_by(o, o->lease.uplink);
        outbound_conn(o, (struct policy_attempt){r->number, r->race, fault_policy_name(s->last)}, &conn,
                      client);
        health_note_names(o->lease.uplink, r->attempt.news);
        (void)health_note_dial(o->lease.uplink, &r->attempt.dial, health_usual_s(o->lease.uplink));
        health_note_parent(o->lease.uplink, FAULT_NONE);
        o->lease.family = r->attempt.dial.family;
        uplink_note_connected(o->lease.uplink, r->attempt.dial.connect_s);
        policy_opened(o->shared->policy, &conn, o->lease.uplink, o->connected_s - o->started_s);
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

    if (outbound_is_question(r->search->outbound))
        r->search->outbound->peer = a->server;
    if (fault != FAULT_NONE)
        return on_failed(r, fault);
    on_arrived(r, fd);
}

static void on_listening(struct attempt *a, const struct addr *at)
{
    struct outbound *o = container_of(a, struct racer, attempt)->search->outbound;
    struct log_line l;
    char text[ADDR_TEXT_MAX];

    o->listens = true;
    log_begin(&l, EVENT_AWAITING);
    log_u64(&l, "conn", o->id);
    log_str(&l, "uplink", o->direct ? "direct" : o->tried->name);
    log_str(&l, "address", addr_format(at, text));
    log_end(&l);
    o->listening(o, at); /* o may be freed by now */
}

static void on_turned_away(struct attempt *a, const struct addr *peer, const char *why)
{
    struct log_line l;
    char text[ADDR_TEXT_MAX];

    log_begin(&l, EVENT_PEER_TURNED_AWAY);
    log_u64(&l, "conn", container_of(a, struct racer, attempt)->search->outbound->id);
    log_str(&l, "peer", addr_format(peer, text));
    log_str(&l, "why", why);
    log_end(&l);
}

/* Do not wait for the timer: start the race now. */
static void on_doubtful(struct attempt *a)
{
    struct search *s = container_of(a, struct racer, attempt)->search;
    struct ev_loop *loop = s->outbound->shared->loop;

    if (!ev_is_active(&s->hedge))
        return;
    s->doubtful = true;
    defer(loop, &s->hedge);
}

const struct attempt_events SEARCH_EVENTS = {.local = on_local,
                                             .doubtful = on_doubtful,
                                             .refused = on_refused,
                                             .listening = on_listening,
                                             .turned_away = on_turned_away,
                                             .done = on_done};
