#include "outbound/outbound_pick.h"

#include "base/clock.h"
#include "health/health_note.h"
#include "outbound/bypass.h"
#include "outbound/candidates.h"
#include "outbound/search_state.h"
#include "uplink/uplink.h"
#include "uplink/uplink_health.h"

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

enum fault outbound_pick(struct outbound *o, enum policy_per *ret_per)
{
    struct search s = {.outbound = o};
    struct uplink *u;

    switch (search_choose(&s, NULL, &u)) {
    case SEARCH_FOUND:
        break;
    case SEARCH_FOUND_NOBODY:
        outbound_because(o, CANDIDATES_NONE);
        return o->fault = FAULT_NO_UPLINK;
    case SEARCH_FOUND_REFUSAL:
        o->refused = true;
        outbound_because(o, s.choice.reason);
        return o->fault = FAULT_DENIED;
    }
    o->attempts = o->attempt = 1;
    o->tried = u;
    outbound_because(o, s.choice.reason);
    o->generation = s.generation;
    o->connected = true;
    o->connected_s = clock_now_s();
    uplink_acquire(&o->lease, u);
    uplink_note_tried(u, health_family(&o->target), clock_coarse_s());
    log_pick(o);
    *ret_per = s.choice.per;
    return FAULT_NONE;
}

void outbound_opened(struct outbound *o)
{
    struct policy_conn conn;
    char client[ADDR_TEXT_MAX];

    o->lease.uplink->view.total++;
    outbound_conn(o, POLICY_ATTEMPT_FIRST, &conn, client);
    policy_opened(o->shared->policy, &conn, o->lease.uplink, o->connected_s - o->started_s);
}

void outbound_go_direct(struct outbound *o)
{
    o->direct = true;
    o->connected = true;
    o->connected_s = clock_now_s();
    outbound_because(o, BYPASS_REASON);
}
