#include "base/clock.h"
#include "health/checks.h"
#include "health/health_note.h"
#include "net/defer.h"
#include "outbound/bypass.h"
#include "outbound/candidates.h"
#include "outbound/search_state.h"
#include "uplink/uplink.h"
#include "uplink/uplink_health.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- the end -------------------------------------------------------------------------------------------- */

void search_free(struct search *s)
{
    if (!s)
        return;
    attempt_cancel(&s->one.attempt);
    if (s->another)
        attempt_cancel(&s->another->attempt);
    free(s->another);
    ev_timer_stop(s->outbound->shared->loop, &s->hedge);
    ev_timer_stop(s->outbound->shared->loop, &s->patience);
    ev_timer_stop(s->outbound->shared->loop, &s->deferred);
    free(s);
}

void search_end(struct search *s, enum fault fault, int fd)
{
    struct outbound *o = s->outbound;

    o->fault = fault;
    o->search = NULL;
    search_free(s);
    o->done(o, fault, fd); /* o may be freed by now */
}

/* --- attempts ------------------------------------------------------------------------------------------- */

static void log_pick(const struct racer *r, const struct uplink *u)
{
    const struct outbound *o = r->search->outbound;
    struct log_line l;

    log_begin(&l, r->raced ? EVENT_RACED : EVENT_PICKED);
    log_u64(&l, "conn", o->id);
    log_str(&l, "host", outbound_host(o));
    log_u64(&l, "port", o->target.port);
    log_str(&l, "uplink", u->name);
    log_str(&l, "reason", r->reason);
    log_u64(&l, "attempt", (uint64_t)r->number);
    log_end(&l);
}

/* At most two run at a time, so one is free. @return NULL without memory */
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

/* A number that grows with every sign that the uplink works. */
static double heard(const struct uplink *u)
{
    return u->four.received + u->six.received + u->four.health.answers + u->six.health.answers;
}

static void set_patience(struct search *s, double after_s)
{
    struct ev_loop *loop = s->outbound->shared->loop;

    ev_timer_stop(loop, &s->patience);
    ev_now_update(loop);
    ev_timer_set(&s->patience, after_s, 0.);
    ev_timer_start(loop, &s->patience);
}

/* A full line is slow but works; a silent line is left before all of the time is used. If the line has no
 * other traffic, the destination may be silent instead. So a check is started at half of that time. */
static void on_patience(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct search *s = container_of(w, struct search, patience);
    struct attempt *a = &s->one.attempt;

    (void)loop;
    (void)revents;
    if (!a->running || !a->lease.uplink || heard(a->lease.uplink) > s->heard)
        return;
    if (s->patience_left_s <= 0)
        return attempt_give_up(a);
    checks_hurry(s->outbound->shared->checks, a->lease.uplink, AF_UNSPEC);
    set_patience(s, s->patience_left_s);
    s->patience_left_s = 0;
}

static void be_patient(struct search *s, const struct uplink *u, double patience_s)
{
    ev_timer_stop(s->outbound->shared->loop, &s->patience);
    if (patience_s <= 0)
        return;
    s->heard = heard(u);
    s->patience_left_s = patience_s / 2;
    set_patience(s, patience_s / 2);
}

/* The attempt may end at once, and with it the search. */
static void use(struct search *s, struct racer *r, struct uplink *u, const struct racer *beside)
{
    struct outbound *o = s->outbound;

    r->number = ++o->attempts;
    r->raced = s->racing = beside;
    r->race = beside && !s->doubtful;
    memcpy(r->reason, s->choice.reason, sizeof r->reason);
    outbound_because(o, r->reason);
    outbound_by(o, u);
    s->tried |= UINT64_C(1) << (u->view.id - 1);
    uplink_note_tried(u, outbound_family(o), clock_coarse_s());
    log_pick(r, u);
    double hedge_s = beside || o->listening ? 0 : search_hedge_after(&o->shared->settings, &s->choice, u);
    if (hedge_s > 0) {
        ev_now_update(
            o->shared->loop); /* timers count from the loop's time, which a long callback has left behind */
        ev_timer_set(&s->hedge, hedge_s, 0.);
        ev_timer_start(o->shared->loop, &s->hedge);
    }
    enum search_others others = search_others(s, u);
    if (!beside && !o->listening)
        be_patient(s, u, search_patience(s, others));
    attempt_start(&r->attempt,
                  &(struct attempt_request){.shared = o->shared,
                                            .target = s->choice.resolve && o->named ? o->named : &o->target,
                                            .client = o->client,
                                            .user = o->user,
                                            .unasked = policy_proto_is_unasked(o->proto),
                                            .uplink = u,
                                            .early = beside ? NULL : o->early,
                                            .timeout_s = search_dial_timeout(s, others),
                                            .left_s = search_left_s(s),
                                            .question = outbound_is_question(o),
                                            .awaits = o->listening,
                                            .family = search_family(s)},
                  &SEARCH_EVENTS);
}

void search_try_next(struct search *s)
{
    struct uplink *u;

    if (search_left_s(s) <= 0)
        return search_end(s, s->worst == FAULT_NONE ? FAULT_TIMEOUT : s->worst, -1);
    switch (search_choose(s, NULL, &u)) {
    case SEARCH_FOUND:
        s->doubtful = false;
        return use(s, &s->one, u, NULL);
    case SEARCH_FOUND_NOBODY:
        if (s->outbound->attempts == 0)
            outbound_because(s->outbound, s->outbound->listening ? CANDIDATES_NONE_ACCEPTS : CANDIDATES_NONE);
        return search_end(s, s->worst == FAULT_NONE ? FAULT_NO_UPLINK : s->worst, -1);
    case SEARCH_FOUND_REFUSAL:
        s->outbound->refused = true;
        outbound_because(s->outbound, s->choice.reason);
        return search_end(s, FAULT_DENIED, -1);
    }
}

void search_try_beside(struct search *s, const struct racer *r)
{
    struct racer *second = idle_racer(s);
    const struct uplink *against = s->doubtful ? NULL : r->attempt.lease.uplink;
    struct uplink *u;

    if (!second || search_left_s(s) <= 0 || search_choose(s, against, &u) != SEARCH_FOUND)
        return;
    s->outbound->race = OUTBOUND_RACE_OPEN;
    use(s, second, u, r);
}

/* The first attempt has not connected in time. */
static void on_hedge(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop;
    (void)revents;
    struct search *s = container_of(w, struct search, hedge);
    search_try_beside(s, &s->one);
}

bool search_lose_uplink(struct search *s, const struct uplink *u)
{
    struct racer *const both[] = {&s->one, s->another};

    for (size_t i = 0; i < ARRAY_LEN(both); i++) {
        if (!both[i] || !both[i]->attempt.running || both[i]->attempt.lease.uplink != u)
            continue;
        attempt_lose_uplink(&both[i]->attempt);
        return true;
    }
    return false;
}

bool search_listens_at(const struct search *s, struct addr *ret, int *ret_link)
{
    return attempt_listens_at(&s->one.attempt, ret, ret_link);
}

/* --- the beginning -------------------------------------------------------------------------------------- */

static void go_direct(struct search *s)
{
    struct outbound *o = s->outbound;
    struct racer *r = &s->one;

    o->direct = true;
    outbound_because(o, BYPASS_REASON);
    (void)snprintf(r->reason, sizeof r->reason, "%s", BYPASS_REASON);
    attempt_start(&r->attempt,
                  &(struct attempt_request){.shared = o->shared,
                                            .target = &o->target,
                                            .client = o->client,
                                            .user = o->user,
                                            .unasked = policy_proto_is_unasked(o->proto),
                                            .left_s = search_left_s(s),
                                            .awaits = o->listening,
                                            .family = search_family(s)},
                  &SEARCH_EVENTS);
}

/* The client is one of our own connections to that uplink's parent proxy. */
static void refuse_loop(struct search *s, const char *uplink)
{
    char why[UPLINK_NAME_MAX + 64];

    (void)snprintf(why, sizeof why, "loop: the request came back from the parent proxy of %s", uplink);
    loops_tell(&s->outbound->shared->loops, uplink, "a connection to it has arrived here");
    outbound_because(s->outbound, why);
    search_end(s, FAULT_DENIED, -1);
}

static void on_deferred(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct search *s = container_of(w, struct search, deferred);

    (void)loop;
    (void)revents;
    const struct outbound *o = s->outbound;
    const char *came_by = loops_uplink_of(&o->shared->loops, o->client);
    if (came_by)
        return refuse_loop(s, came_by);
    bool anybody = o->listening && target_is_unspecified(&o->target); /* elsewhere that is this machine */
    if (!anybody && !outbound_is_question(o) && bypass_of(&o->shared->settings, &o->target) != BYPASS_NOT)
        return go_direct(s);
    search_try_next(s);
}

int search_start(struct outbound *o)
{
    struct search *s = malloc(
        sizeof *s); /* not calloc, which does not use memory that this thread has freed (glibc before 2.41) */

    if (!s)
        return -ENOMEM;
    *s = (struct search){.outbound = o, .one = {.search = s}};
    ev_timer_init(&s->hedge, on_hedge, 0., 0.);
    ev_init(&s->patience, on_patience);
    ev_timer_init(&s->deferred, on_deferred, 0., 0.);
    defer(o->shared->loop, &s->deferred);
    o->search = s;
    return 0;
}
