#include "parent/loops.h"

#include "base/clock.h"
#include "parent/parent.h"

#include <assert.h>
#include <string.h>

void loops_init(struct loops *l, const struct own_addresses *own)
{
    *l = (struct loops){.own = own};
    list_init(&l->talks);
}

void loops_listen(struct loops *l, const struct addr *at, bool unasked)
{
    assert(l->n_listening < LOOPS_LISTENERS_MAX);
    l->listening[l->n_listening++] = (struct loops_listener){at, unasked};
}

void loops_unlisten(struct loops *l, const struct addr *at)
{
    size_t i = 0;

    while (i < l->n_listening && l->listening[i].at != at)
        i++;
    if (i < l->n_listening)
        l->listening[i] = l->listening[--l->n_listening];
}

void loops_enter(struct loops *l, struct parent *u)
{
    list_push_back(&l->talks, &u->under_way);
    l->n++;
}

void loops_leave(struct loops *l, struct parent *u)
{
    list_remove(&u->under_way);
    l->n--;
}

bool loops_is_heard_at(const struct addr *listening, const struct addr *to, const struct own_addresses *own)
{
    bool any = addr_family(listening) == AF_INET ? listening->in4.sin_addr.s_addr == htonl(INADDR_ANY)
                                                 : IN6_IS_ADDR_UNSPECIFIED(&listening->in6.sin6_addr);
    bool unspecified = addr_family(to) == AF_INET ? to->in4.sin_addr.s_addr == htonl(INADDR_ANY)
                                                  : IN6_IS_ADDR_UNSPECIFIED(&to->in6.sin6_addr);

    if (addr_port(listening) != addr_port(to) || addr_family(listening) != addr_family(to))
        return false;
    if (any)
        return addr_is_loopback(to) || own_addresses_have(own, to);
    /* Linux connects the unspecified address to loopback. */
    return addr_same_ip(listening, to) || (unspecified && addr_is_loopback(listening));
}

bool loops_hear(const struct loops *l, const struct addr *to, bool unasked)
{
    for (size_t i = 0; i < l->n_listening; i++)
        if ((l->listening[i].unasked || !unasked) && loops_is_heard_at(l->listening[i].at, to, l->own))
            return true;
    return false;
}

size_t loops_leave_out(const struct loops *l, const struct addr *addrs, size_t n, struct addr *ret,
                       size_t max)
{
    size_t left = 0;

    for (size_t i = 0; i < n && left < max; i++)
        if (!loops_hear(l, &addrs[i], false))
            ret[left++] = addrs[i];
    return left;
}

const char *loops_uplink_of(const struct loops *l, const struct addr *client)
{
    if (l->n == 0)
        return NULL;
    LIST_EACH(&l->talks, node, next) {
        const struct parent *u = container_of(node, struct parent, under_way);
        if (addr_port(&u->local) == addr_port(client) && addr_same_ip(&u->local, client))
            return u->request.uplink;
    }
    return NULL;
}

bool loops_are_too_many(const struct loops *l, const struct parent_spec *spec, const struct target *target)
{
    size_t same = 0;

    if (l->n < LOOPS_SAME_MAX)
        return false;
    LIST_EACH(&l->talks, node, next) {
        const struct parent *u = container_of(node, struct parent, under_way);
        same += u->request.spec == spec && u->request.target->port == target->port &&
                strcmp(u->request.target->host, target->host) == 0;
    }
    return same >= LOOPS_SAME_MAX;
}

void loops_tell(struct loops *l, const char *uplink, const char *why)
{
    struct log_line line;
    uint32_t hidden;

    if (!log_limit_pass(&l->limit, clock_now_s(), 1, &hidden))
        return;
    log_begin(&line, EVENT_PARENT_LOOP);
    log_str(&line, "uplink", uplink);
    log_str(&line, "why", why);
    log_hidden(&line, hidden);
    log_end(&line);
}
