#include "outbound/outbound_pick.h"

#include "base/clock.h"
#include "health/health_note.h"
#include "outbound/bypass.h"
#include "outbound/candidates.h"
#include "outbound/search.h"
#include "outbound/search_state.h"
#include "uplink/uplink.h"
#include "uplink/uplink_health.h"
#include "uplink/uplink_note.h"

#include <stdlib.h>

static void log_pick(const struct outbound *o)
{
    struct log_line l;

    log_begin(&l, EVENT_PICKED);
    log_u64(&l, "conn", o->id);
    log_str(&l, "host", outbound_host(o));
    log_u64(&l, "port", o->target.port);
    log_str(&l, "uplink", o->tried->name);
    log_str(&l, "reason", o->reason ? o->reason : "none");
    log_u64(&l, "attempt", (uint64_t)o->attempts);
    log_end(&l);
}

static void connected(struct outbound *o)
{
    o->connected = true;
    o->connected_s = clock_now_s();
}

static enum fault choose(struct outbound *o, struct search *s, enum policy_per *ret_per)
{
    struct uplink *u;
    int family = outbound_family(o);

    switch (search_choose(s, NULL, &u)) {
    case SEARCH_FOUND:
        break;
    case SEARCH_FOUND_NOBODY:
        if (o->attempts == 0)
            outbound_because(o, CANDIDATES_NONE);
        return s->worst == FAULT_NONE ? FAULT_NO_UPLINK : s->worst;
    case SEARCH_FOUND_REFUSAL:
        o->refused = true;
        outbound_because(o, s->choice.reason);
        return FAULT_DENIED;
    }
    o->attempt = ++o->attempts;
    outbound_by(o, u);
    s->tried |= UINT64_C(1) << (u->view.id - 1);
    outbound_because(o, s->choice.reason);
    o->generation = s->generation;
    uplink_acquire(&o->lease, u);
    o->on_trial = !uplink_is_fit(u, family, 0);
    uplink_note_tried_by_datagrams(u, family, clock_coarse_s());
    log_pick(o);
    *ret_per = s->choice.per;
    return FAULT_NONE;
}

/* For another choice, if this one fails. Without memory, there is none. */
static void keep(struct search *s)
{
    struct outbound *o = s->outbound;

    o->search = malloc(sizeof *o->search);
    if (o->search)
        *o->search = *s;
}

enum fault outbound_pick(struct outbound *o, enum policy_per *ret_per)
{
    struct search first = {.outbound = o};
    struct search *s = o->search ? o->search : &first;
    bool again = o->attempts > 0;

    if (again && (!o->search || s->hopeless || search_left_s(s) <= 0))
        return o->fault;
    o->fault = choose(o, s, ret_per);
    if (o->fault == FAULT_NONE && o->lease.uplink->parent && !again)
        keep(s);
    else if (o->fault == FAULT_NONE && !o->lease.uplink->parent)
        connected(o);
    return o->fault;
}

/* --- parent proxies ------------------------------------------------------------------------------------- */

double outbound_pick_timeout(const struct outbound *o)
{
    const struct search *s = o->search;

    return s ? search_dial_timeout(s, search_others(s, o->lease.uplink)) : o->shared->settings.dial_timeout_s;
}

static void note_unable(const struct outbound *o)
{
    struct uplink *u = o->lease.uplink;
    struct log_line l;

    uplink_note_no_datagrams(u);
    health_note_parent(u, FAULT_NONE); /* it answers */
    log_begin(&l, EVENT_PARENT_NO_DATAGRAMS);
    log_str(&l, "uplink", u->name);
    log_end(&l);
}

void outbound_pick_failed(struct outbound *o, enum fault fault, enum outbound_pick_failure failure)
{
    struct search lone = {.outbound = o};
    struct search *s = o->search ? o->search : &lone;
    const struct failure f = {.number = o->attempt, .lost = failure == OUTBOUND_PICK_LOST};

    search_note_fault(s, fault);
    o->fault = s->worst;
    if (failure == OUTBOUND_PICK_UNABLE)
        note_unable(o);
    else
        search_count_failure(s, o->lease.uplink, fault, &f);
    uplink_release(&o->lease);
}

/* --- the use of an uplink ------------------------------------------------------------------------------- */

static void tell_opened(struct outbound *o)
{
    const char *last = o->search ? fault_policy_name(o->search->last) : NULL;
    struct policy_conn conn;
    char client[ADDR_TEXT_MAX];

    search_free(o->search);
    o->search = NULL;
    outbound_conn(o, (struct policy_attempt){o->attempt, false, last}, &conn, client);
    policy_opened(o->shared->policy, &conn, o->lease.uplink, o->connected_s - o->started_s);
}

void outbound_opened(struct outbound *o)
{
    o->lease.uplink->view.total++;
    tell_opened(o);
}

void outbound_associated(struct outbound *o, double took_s)
{
    connected(o);
    health_note_parent(o->lease.uplink, FAULT_NONE);
    uplink_note_connected(o->lease.uplink, took_s);
    tell_opened(o);
}

void outbound_go_direct(struct outbound *o)
{
    o->direct = true;
    connected(o);
    outbound_because(o, BYPASS_REASON);
}
