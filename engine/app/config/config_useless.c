#include "config/config_useless.h"

#include "base/host_port.h"
#include "config/config_ends.h"

#include <stdarg.h>
#include <stdio.h>

PRINTF_LIKE(2, 3) static void tell(struct config_useless *ret, const char *fmt, ...)
{
    va_list args;

    if (ret->n == CONFIG_USELESS_MAX)
        return;
    va_start(args, fmt);
    (void)vsnprintf(ret->lines[ret->n++], CONFIG_USELESS_TEXT_MAX, fmt, args);
    va_end(args);
}

/* Whether an address by which this machine connects to its own loopback is in the set. */
static bool has_loopback(const struct cidr_set *set, int family)
{
    static const struct addr loopback6 = {
        .in6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT}};

    if (family == AF_INET6)
        return cidr_set_contains(set, &loopback6);
    for (size_t i = 0; i < set->n; i++) {
        const struct cidr *r = &set->items[i];
        int differ = r->ip[0] ^ IN_LOOPBACKNET;
        if (r->ip_len == 4 && (r->bits >= 8 ? differ == 0 : differ >> (8 - r->bits) == 0))
            return true;
    }
    return false;
}

/* To a listener at a loopback address, only this machine can connect. */
static bool can_be_used(const struct listen_place *p, const struct cidr_set *by)
{
    struct addr a = p->addr;

    return addr_name_this_machine(&a) || !addr_is_loopback(&p->addr) ||
           has_loopback(by, addr_family(&p->addr));
}

/* Of the listeners for clients, or of those for balancers: is there one, and can none of them be used? */
static bool are_closed(const struct config *c, bool balancers, const struct cidr_set *by)
{
    size_t n = 0;

    for (size_t i = 0; i < c->n_listen; i++) {
        if (c->listen[i].proxy_protocol != balancers)
            continue;
        if (can_be_used(&c->listen[i], by))
            return false;
        n++;
    }
    return n > 0;
}

static void find_closed(struct config_useless *ret, const struct config *c)
{
    const bool others = c->n_forwards + c->n_transparents > 0; /* clients may be meant for these only */

    if (!others && are_closed(c, false, &c->access.clients))
        tell(ret,
             "no client can connect: the proxy listens on loopback addresses, and --allow has none of them");
    if (are_closed(c, true, &c->balancers))
        tell(ret, "no balancer can connect: the proxy listens for them on loopback addresses, and "
                  "--proxy-protocol-from has none of them");
}

static void find_readable(struct config_useless *ret, const struct config *c)
{
    if (c->access.readable)
        tell(ret, "%s: others on this machine can read the passwords; take that right away (chmod 600)",
             c->access.readable);
}

static bool listens(const struct config *c, int family)
{
    for (size_t i = 0; i < c->n_listen; i++)
        if (addr_family(&c->listen[i].addr) == family)
            return true;
    return false;
}

static void find_advertised(struct config_useless *ret, const struct config *c)
{
    const struct addr *const told[] = {&c->udp.advertise4, &c->udp.advertise6};
    char text[ADDR_TEXT_MAX];

    for (size_t i = 0; i < ARRAY_LEN(told); i++) {
        int family = addr_family(told[i]);
        if (family != AF_UNSPEC && !listens(c, family))
            tell(ret, "--udp-advertise %s has no effect: no client connects by IPv%d",
                 addr_format_ip(told[i], text), family == AF_INET ? 4 : 6);
    }
}

static bool differ(double a, double b)
{
    return a < b || a > b;
}

static void find_captured(struct config_useless *ret, const struct config *c, const struct config *usual)
{
    bool peeks = c->peek_timeout_s > 0, learns = false;

    for (size_t i = 0; i < c->n_transparents; i++)
        learns = learns || c->transparents[i].tproxy; /* names of captured DNS */
    if (c->transparent_resolve && c->n_transparents == 0)
        tell(ret, "--transparent-resolve has no effect without --transparent");
    else if (c->transparent_resolve && !peeks && !learns)
        tell(ret,
             "--transparent-resolve has no effect: with --peek-timeout 0 no client's name is looked for");
    if (c->n_transparents == 0 && differ(c->peek_timeout_s, usual->peek_timeout_s))
        tell(ret, "--peek-timeout has no effect without --transparent");
}

static void find_times(struct config_useless *ret, const struct config *c, const struct config *usual)
{
    if (c->bind_from.n == 0 && differ(c->bind_timeout_s, usual->bind_timeout_s))
        tell(ret, "--bind-timeout has no effect: --bind-from lets no client use BIND");
    if (c->hedge_s >= c->dial_timeout_s)
        tell(ret, "--hedge %g has no effect: --dial-timeout ends after %g seconds", c->hedge_s,
             c->dial_timeout_s);
}

/* Rules for some clients or users only leave the forward to the others. */
static void find_denied(struct config_useless *ret, const struct config *c)
{
    static const struct addr nobody = {.sa = {.sa_family = AF_UNSPEC}};

    for (size_t i = 0; i < c->n_forwards; i++) {
        const struct target *t = &c->forwards[i].to;
        struct addr to = nobody;
        char host[TARGET_HOST_MAX + 16], rule[DENY_TEXT_MAX];
        if (t->kind != TARGET_NAME && addr_from_ip(&to, t->ip, t->kind == TARGET_IPV4 ? 4 : 16, t->port) < 0)
            continue;
        const struct deny_place *p = deny_find(&c->deny, &nobody, NULL, &to, t->port);
        if (p)
            tell(ret, "a forward has no effect: --deny %s refuses its destination, %s",
                 deny_place_format(p, rule),
                 host_port_format(host, sizeof host, slice_str(t->host), t->port));
    }
}

/* What came without a login may not go on to such a listener (loops.h, udp_decide.c). */
static void find_forwarded(struct config_useless *ret, const struct config *c)
{
    char host[TARGET_HOST_MAX + 16];

    for (size_t i = 0; i < c->n_forwards; i++) {
        const struct config_forward *f = &c->forwards[i];
        if (config_ends_next(c, f))
            tell(ret, "a forward has no effect: another one listens at its destination, %s, and refuses it",
                 host_port_format(host, sizeof host, slice_str(f->to.host), f->to.port));
    }
}

void config_useless_find(struct config_useless *ret, const struct config *c)
{
    struct config usual;

    config_init(&usual);
    ret->n = 0;
    find_readable(ret, c);
    find_closed(ret, c);
    find_advertised(ret, c);
    find_captured(ret, c, &usual);
    find_times(ret, c, &usual);
    find_denied(ret, c);
    find_forwarded(ret, c);
}
