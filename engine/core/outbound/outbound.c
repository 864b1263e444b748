#include "outbound/outbound.h"

#include "base/clock.h"
#include "base/counters.h"
#include "health/checks.h"
#include "health/health_note.h"
#include "outbound/candidates.h"
#include "outbound/question.h"
#include "outbound/search.h"
#include "uplink/uplink.h"
#include "uplink/uplink_note.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool outbound_is_question(const struct outbound *o)
{
    return question_is(o->captured, o->target.port);
}

/* A network's own name server may have an IPv6 address where no uplink has IPv6. The reverse is rare, and
 * there the health of IPv4 alone tells more. */
int outbound_family(const struct outbound *o)
{
    int family = health_family(&o->target);

    return family == AF_INET6 && outbound_is_question(o) ? AF_UNSPEC : family;
}

const char *outbound_host(const struct outbound *o)
{
    return o->named ? o->named->host : o->target.host;
}

const char *outbound_uplink_name(const struct outbound *o)
{
    return o->direct ? "direct" : o->tried ? o->tried->name : "none";
}

void outbound_by(struct outbound *o, struct uplink *u)
{
    struct uplink *before = o->tried;

    o->tried = uplink_hold(u);
    uplink_let_go(before);
}

void outbound_because(struct outbound *o, const char *reason)
{
    if (o->reason && strcmp(o->reason, reason) == 0)
        return;
    free(o->reason);
    o->reason = strdup(reason); /* without memory, the account has no reason */
}

void outbound_describe(const struct outbound_request *r, uint64_t id, struct policy_attempt at,
                       struct policy_conn *ret, char client[ADDR_TEXT_MAX])
{
    const struct policy_origin from = {.proto = r->proto,
                                       .client = addr_format_ip(r->client, client),
                                       .user = r->user,
                                       .listener = r->listener,
                                       .bind = r->listening};

    const struct policy_destination to = {.host = r->name ? r->name : r->target->host,
                                          .address = r->name ? r->target->host : NULL,
                                          .port = r->target->port};

    policy_conn_init(ret, id, &to, &from, &at);
}

void outbound_conn(const struct outbound *o, struct policy_attempt at, struct policy_conn *ret,
                   char client[ADDR_TEXT_MAX])
{
    const struct outbound_request r = {.target = &o->target,
                                       .name = o->named ? o->named->host : NULL,
                                       .proto = o->proto,
                                       .client = o->client,
                                       .user = o->user,
                                       .listener = o->listener,
                                       .listening = o->listening};

    outbound_describe(&r, o->id, at, ret, client);
}

/* --- life of a connection ------------------------------------------------------------------------------- */

static struct target *name_target(const struct outbound_request *r)
{
    struct target *t = malloc(sizeof *t);

    if (t && target_set(t, slice_str(r->name), r->target->port) == PARSE_OK)
        return t;
    free(t);
    return NULL;
}

int outbound_open(struct outbound **ret, struct outbounds *shared, const struct outbound_request *request)
{
    const size_t head_size = offsetof(struct outbound, target), target_len = target_size(request->target);
    struct outbound *o = malloc(head_size + target_len);
    char *user = request->user ? strdup(request->user) : NULL;
    struct target *named = request->name ? name_target(request) : NULL;

    if (!o || (request->user && !user) || (request->name && !named))
        goto fail;
    memset(o, 0, head_size);
    o->shared = shared;
    o->listening = request->listening;
    o->id = ++shared->last_id;
    memcpy(&o->target, request->target, target_len);
    o->proto = request->proto;
    o->captured = request->captured || request->proto == POLICY_TRANSPARENT;
    o->client = request->client;
    o->user = user;
    o->named = named;
    o->listener = request->listener;
    o->early = shared->settings.fast_open ? request->early : NULL;
    o->started_s = clock_now_s();
    live_add(&shared->live, o);
    *ret = o;
    return 0;
fail:
    free(user);
    free(named);
    free(o);
    return -ENOMEM;
}

void outbound_discard(struct outbound *o)
{
    if (!o)
        return;
    live_remove(&o->shared->live, o);
    uplink_release(&o->lease);
    policy_forget(o->shared->policy, o->id);
    search_free(o->search);
    uplink_let_go(o->tried);
    free(o->reason);
    free(o->user);
    free(o->named);
    free(o);
}

int outbound_new(struct outbound **ret, struct outbounds *shared, const struct outbound_request *request,
                 outbound_done_fn *done, void *owner)
{
    struct outbound *o;
    int err = outbound_open(&o, shared, request);

    if (err < 0)
        return err;
    o->done = done;
    o->owner = owner;
    err = search_start(o);
    if (err < 0) {
        outbound_discard(o);
        return err;
    }
    *ret = o;
    return 0;
}

void outbound_note_rtt(struct outbound *o, double rtt_s)
{
    if (o->lease.uplink && rtt_s > 0)
        uplink_note_rtt(o->lease.uplink, rtt_s);
}

void outbound_note_reset(struct outbound *o)
{
    struct uplink *u = o->lease.uplink;

    if (!u || o->rx > 0 || o->tx == 0)
        return; /* it has served, or was not asked yet */
    uplink_note_failed(u);
    health_note_reset(u, o->lease.family);
    checks_hurry(o->shared->checks, u, o->lease.family);
}

void outbound_note_unacked(struct outbound *o)
{
    struct uplink *u = o->lease.uplink;

    if (!u)
        return;
    uplink_note_failed(u);
    health_note_silence(u, o->lease.family);
    checks_hurry(o->shared->checks, u, o->lease.family);
}

void outbound_note(struct outbound *o, uint64_t tx, uint64_t rx)
{
    o->tx += tx;
    o->rx += rx;
    if (rx > 0 && o->first_byte_s <= 0)
        o->first_byte_s = clock_now_s();
    uplink_note_bytes(&o->lease, tx, rx);
}

void outbound_follow(struct outbound *o, struct counters *counters, uint64_t rx_counted)
{
    o->rx -= rx_counted;
    o->counters = counters;
    uplink_lease_follow(&o->lease, counters, rx_counted);
}

void outbound_wake(struct outbound *o)
{
    uplink_lease_collect(&o->lease);
}

void outbound_settle(struct outbound *o, const struct counters *counters, double first_rx_s)
{
    o->tx += counters_get(&counters->tx);
    o->rx += counters_get(&counters->rx);
    o->counters = NULL;
    if (o->first_byte_s <= 0)
        o->first_byte_s = first_rx_s;
    uplink_lease_settle(&o->lease);
}

void account_of(const struct outbound *o, struct account *ret)
{
    *ret = (struct account){
        .id = o->id,
        .client = *o->client,
        .user = o->user,
        .host = outbound_host(o),
        .address = o->named ? o->target.host : NULL,
        .proto = policy_proto_name(o->proto),
        .uplink = outbound_uplink_name(o),
        .reason = o->reason,
        .listener = o->listener,
        .port = o->target.port,
        .tx = o->tx + (o->counters ? counters_get(&o->counters->tx) : 0),
        .rx = o->rx + (o->counters ? counters_get(&o->counters->rx) : 0),
        .started_s = o->started_s,
    };
}

static void write_account(const struct outbound *o, const char *outcome)
{
    static const char *const races[] = {
        [OUTBOUND_RACE_OPEN] = "undecided", [OUTBOUND_RACE_WON] = "won", [OUTBOUND_RACE_LOST] = "lost"};
    struct log_line l;
    char client[ADDR_TEXT_MAX];

    if (!log_enabled(LOG_INFO))
        return; /* do not format texts that are not logged */
    log_begin(&l, EVENT_CONNECTION);
    log_str(&l, "client", addr_format(o->client, client));
    log_str(&l, "proto", policy_proto_name(o->proto));
    if (o->user)
        log_str(&l, "user", o->user);
    log_str(&l, "host", outbound_host(o));
    if (o->named)
        log_str(&l, "address", o->target.host);
    log_u64(&l, "port", o->target.port);
    if (o->listening)
        log_str(&l, "peer", addr_format(&o->peer, client));
    else if (addr_family(&o->peer) != AF_UNSPEC)
        log_str(&l, "server", addr_format(&o->peer, client));
    log_str(&l, "uplink", outbound_uplink_name(o));
    log_str(&l, "reason", o->reason ? o->reason : "none");
    if (o->attempts > 1)
        log_u64(&l, "attempts", (uint64_t)o->attempts);
    if (o->race != OUTBOUND_NO_RACE)
        log_str(&l, "hedge", races[o->race]);
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
        .client = addr_format_ip(o->client, client),
        .host = outbound_host(o),
        .proto = policy_proto_name(o->proto),
        .user = o->user,
        .uplink = o->lease.uplink ? o->lease.uplink->name : NULL,
        .port = o->target.port,
        .tx = o->tx,
        .rx = o->rx,
        .duration_s = clock_now_s() - o->started_s,
    };
    recorder_note(&o->shared->recorder, &c);
}

static void note_recent(const struct outbound *o, const char *outcome)
{
    struct account a;

    account_of(o, &a);
    a.outcome = outcome;
    a.ended_s = clock_now_s();
    recent_note(&o->shared->recent, &a);
}

void outbound_finish(struct outbound *o, const char *outcome)
{
    if (!o)
        return;
    if (!outcome)
        outcome = o->fault == FAULT_NONE ? "aborted" : fault_name(o->fault);
    write_account(o, outcome);
    note_recent(o, outcome);
    /* A simulation makes connections, and awaits none. */
    if (recorder_is_on(&o->shared->recorder) && o->connected && !o->direct && !o->listening)
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
        outbound_conn(o, (struct policy_attempt){o->attempt, o->by_race, NULL}, &conn, client);
        policy_closed(o->shared->policy, &conn, o->lease.uplink, &stats);
    }
    outbound_discard(o);
}

const struct uplink *outbound_uplink(const struct outbound *o)
{
    return o->connected ? o->lease.uplink : o->listens && !o->direct ? o->tried : NULL;
}

bool outbound_listens_at(const struct outbound *o, struct addr *ret, int *ret_link)
{
    return o->search && search_listens_at(o->search, ret, ret_link);
}

static struct candidates_request request_of(const struct outbound *o)
{
    return (struct candidates_request){.host = outbound_host(o),
                                       .family = outbound_family(o),
                                       .now = clock_coarse_s(),
                                       .datagrams = o->proto == POLICY_UDP};
}

uint64_t outbound_objections(const struct outbound *o)
{
    const struct candidates_request r = request_of(o);

    return o->lease.uplink ? candidates_objections(o->shared->uplinks, o->lease.uplink, &r) : 0;
}

static bool may_go_on(const struct outbound *o)
{
    const struct candidates_request r = request_of(o);

    return o->generation == policy_generation(o->shared->policy) &&
           candidates_hold(o->shared->uplinks, o->lease.uplink, o->lease.family, &r);
}

bool outbound_serves(const struct outbound *o, const struct target *target, const char *user,
                     uint64_t *objections)
{
    uint64_t before = *objections;

    if (strcmp(user ? user : "", o->user ? o->user : "") != 0)
        return false;
    if (o->target.port != target->port || strcmp(o->target.host, target->host) != 0)
        return false;
    *objections = outbound_objections(o);
    return !o->lease.uplink || ((*objections & ~before) == 0 && may_go_on(o));
}
