#include "inbound/gate.h"

#include "base/clock.h"
#include "machine/own_addresses.h"
#include "proto/proxy_header.h"
#include "uplink/uplink.h"

static void log_refused(struct log_limit *limit, enum log_event event, const struct addr *client)
{
    char text[ADDR_TEXT_MAX];
    struct log_line l;
    uint32_t hidden;

    if (!log_limit_pass(limit, clock_now_s(), PROXY_LINES_IN_WINDOW, &hidden))
        return;
    log_begin(&l, event);
    log_str(&l, "client", addr_format_ip(client, text));
    log_hidden(&l, hidden);
    log_end(&l);
}

/* A front of a listener asks for no login. */
static bool is_allowed(const struct proxy_listener *l, const struct addr *client)
{
    struct proxy *p = l->proxy;
    const struct access *access = p->settings.access;

    if (l->use.front && p->settings.unasked)
        access = p->settings.unasked;
    if (access_client_allowed(access, client))
        return true;
    log_refused(&p->refusal_limit, EVENT_CLIENT_REFUSED, client);
    return false;
}

bool gate_lets_in(struct proxy_listener *l, const struct addr *from)
{
    struct proxy *p = l->proxy;

    if (l->use.own_clients && own_addresses_have(p->outbounds.settings.reach.own, from))
        return true;
    if (!l->use.proxy_header)
        return is_allowed(l, from);
    if (p->settings.balancers && cidr_set_contains(p->settings.balancers, from))
        return true;
    log_refused(&p->balancer_limit, EVENT_BALANCER_REFUSED, from);
    return false;
}

/* "127.0.0.1" from a balancer on another machine is a program there. It must not get what only programs of
 * this machine may have (access/reach.h), so the balancer counts as the client. */
static bool is_elsewhere(const struct session *s, const struct addr *client)
{
    const struct own_addresses *own = s->proxy->outbounds.settings.reach.own;

    return addr_is_loopback(client) && !addr_is_loopback(&s->peer) && !own_addresses_have(own, &s->peer);
}

enum parse gate_read_header(struct session *s)
{
    struct slice in = buf_slice(&s->in);
    struct proxy_header h;
    struct addr client;
    enum parse p = proxy_header_parse(&h, in.data, in.len);

    if (p == PARSE_BAD)
        log_refused(&s->proxy->header_limit, EVENT_NO_PROXY_HEADER, &s->peer);
    if (p != PARSE_OK)
        return p;
    if (h.ip_len > 0 && addr_from_ip(&client, h.ip, h.ip_len, h.port) == 0 && !is_elsewhere(s, &client))
        s->peer = client;
    if (!is_allowed(s->listener, &s->peer))
        return PARSE_BAD;
    buf_consume(&s->in, h.consumed);
    s->awaits_header = false;
    return PARSE_OK;
}

/* --- limits --------------------------------------------------------------------------------------------- */

static uint64_t now_ns(void)
{
    return (uint64_t)(clock_coarse_s() * 1e9);
}

static void log_limit_reached(struct session *s, enum limit which)
{
    struct proxy *p = s->proxy;
    char text[ADDR_TEXT_MAX];
    struct log_line l;
    uint32_t hidden;

    if (!log_limit_pass(&p->limit_lines[which], clock_now_s(), PROXY_LINES_IN_WINDOW, &hidden))
        return;
    log_begin(&l, EVENT_LIMIT_REACHED);
    log_str(&l, "client", addr_format_ip(&s->peer, text));
    log_str(&l, "limit", limits_name(which));
    log_u64(&l, "most", limits_most(&p->limits, which));
    log_hidden(&l, hidden);
    log_end(&l);
}

bool gate_enter(struct session *s)
{
    struct limits *l = &s->proxy->limits;

    s->client = limits_client(l, &s->peer, now_ns());
    enum limit reached = limits_begin_handshake(l, s->client);
    s->handshakes = s->client && reached == LIMIT_NONE;
    if (reached != LIMIT_NONE)
        log_limit_reached(s, reached);
    return reached == LIMIT_NONE;
}

void gate_end_handshake(struct session *s)
{
    if (s->handshakes)
        limits_end_handshake(s->client);
    s->handshakes = false;
}

enum fault gate_serves(struct session *s)
{
    if (s->counts)
        return FAULT_NONE;
    enum limit reached = limits_begin(&s->proxy->limits, s->client, now_ns());
    s->counts = reached == LIMIT_NONE;
    if (s->counts)
        return FAULT_NONE;
    log_limit_reached(s, reached);
    return reached == LIMIT_CLIENTS || reached == LIMIT_CONNECTIONS ? FAULT_BUSY : FAULT_LIMIT;
}

void gate_end_check(struct session *s)
{
    if (!s->check)
        return;
    verifier_cancel(s->proxy->verifier, s->check);
    s->check = NULL;
    if (s->client)
        s->client->checks--;
}

struct pace_caps gate_caps(const struct session *s)
{
    struct pace_caps caps = {.n = 0};
    struct uplink *u = s->outbound->lease.uplink;
    struct cap *user = limits_cap_of(&s->proxy->limits, s->user);

    if (s->client && cap_rate(&s->client->cap) > 0)
        caps.shared[caps.n++] = &s->client->cap;
    if (user)
        caps.shared[caps.n++] = user;
    if (u && cap_rate(&u->cap) > 0)
        caps.shared[caps.n++] = &u->cap;
    return caps;
}

void gate_leave(struct session *s)
{
    struct limits *l = &s->proxy->limits;

    if (s->counts)
        limits_end(l, s->client);
    s->counts = false;
    limits_leave(l, s->client);
    s->client = NULL;
}
