#include "config/config_ends.h"

#include "base/host_port.h"
#include "config/known_addresses.h"
#include "dns/dns_name.h"
#include "machine/own_addresses.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

/* --- the rule ------------------------------------------------------------------------------------------- */

static bool is_unspecified(const struct addr *a)
{
    return addr_family(a) == AF_INET ? a->in4.sin_addr.s_addr == htonl(INADDR_ANY)
                                     : IN6_IS_ADDR_UNSPECIFIED(&a->in6.sin6_addr);
}

/* All IPv6 sockets of the proxy are IPv6 only, so the families do not meet. */
static bool share_address(const struct listen_place *a, const struct listen_place *b)
{
    struct listen_place one = *a, other = *b;

    if (addr_family(&a->addr) != addr_family(&b->addr))
        return false;
    addr_set_port(&one.addr, 0);
    addr_set_port(&other.addr, 0);
    return is_unspecified(&a->addr) || is_unspecified(&b->addr) || listen_place_same(&one, &other);
}

/* Associations of all listeners share a range of --udp-ports. They find free ports in it, also beside others.
 */
static bool is_range(const struct config_end *e)
{
    return e->kind == CONFIG_END_UDP_PORTS && e->low < e->high;
}

uint16_t config_ends_shared(const struct config_end *a, const struct config_end *b)
{
    const uint16_t low = a->low > b->low ? a->low : b->low, high = a->high < b->high ? a->high : b->high;
    const bool one_option = a->kind == b->kind && a->at == b->at;

    return low > high || one_option || is_range(a) || is_range(b) || a->udp != b->udp ||
                   !share_address(a->place, b->place)
               ? 0
               : low;
}

/* --- circles of forwards -------------------------------------------------------------------------------- */

enum { DESTINATIONS_MAX = 8 };

/* @param hosts  look into the hosts file, too */
static size_t destinations(const struct config_forward *f, bool hosts, struct addr ret[DESTINATIONS_MAX])
{
    const struct target *t = &f->to;
    const struct slice name = slice_of(t->host, dns_name_length(t->host)); /* without a trailing dot */

    if (t->kind != TARGET_NAME)
        return addr_from_ip(&ret[0], t->ip, t->kind == TARGET_IPV4 ? 4 : 16, t->port) == 0;
    if (dns_name_is_localhost(name)) /* as what is dialled (bypass.h) */
        return addr_parse_ip(&ret[0], slice_str("127.0.0.1"), t->port) == 0;
    return hosts ? known_addresses(t->host, t->port, ret, DESTINATIONS_MAX) : 0;
}

/* @param own  NULL: only loopback is known to be this machine's */
static bool listens_at(const struct config_forward *f, const struct addr *to, const struct own_addresses *own)
{
    const struct listen_place at = {.addr = *to};

    for (size_t i = 0; i < f->ports.n_places; i++) {
        const struct listen_place *p = &f->ports.places[i];
        bool here = !is_unspecified(&p->addr) || addr_is_loopback(to) || (own && own_addresses_have(own, to));
        if (here && addr_port(&p->addr) == addr_port(to) && share_address(p, &at))
            return true;
    }
    return false;
}

static bool is_destination(const struct config_forward *f, const struct addr *all, size_t n,
                           const struct own_addresses *own)
{
    for (size_t i = 0; i < n; i++) {
        struct addr to = all[i];
        (void)addr_name_this_machine(&to);
        if (listens_at(f, &to, own))
            return true;
    }
    return false;
}

const struct config_forward *config_ends_next(const struct config *c, const struct config_forward *f)
{
    struct addr all[DESTINATIONS_MAX];
    size_t n = destinations(f, false, all);

    for (size_t i = 0; i < c->n_forwards; i++)
        if (c->forwards[i].udp == f->udp && is_destination(&c->forwards[i], all, n, NULL))
            return &c->forwards[i];
    return NULL;
}

/* Which forward leads to which. */
struct forward_ways {
    bool at_once[CONFIG_LISTEN_MAX][CONFIG_LISTEN_MAX], at_last[CONFIG_LISTEN_MAX][CONFIG_LISTEN_MAX];
};

static void find_ways(const struct config *c, const struct own_addresses *own, struct forward_ways *ret)
{
    const size_t n = c->n_forwards;

    for (size_t i = 0; i < n; i++) {
        struct addr all[DESTINATIONS_MAX];
        size_t known = destinations(&c->forwards[i], own, all);
        for (size_t j = 0; j < n; j++)
            ret->at_once[i][j] =
                c->forwards[i].udp == c->forwards[j].udp && is_destination(&c->forwards[j], all, known, own);
    }
    memcpy(ret->at_last, ret->at_once, sizeof ret->at_last);
    for (size_t by = 0; by < n; by++)
        for (size_t i = 0; i < n; i++)
            for (size_t j = 0; ret->at_last[i][by] && j < n; j++)
                ret->at_last[i][j] = ret->at_last[i][j] || ret->at_last[by][j];
}

/* --- the list ------------------------------------------------------------------------------------------- */

static size_t add(struct config_end *ret, const struct config_end *like, const struct config_ports *ports)
{
    for (size_t i = 0; i < ports->n_places; i++) {
        const uint16_t port = addr_port(&ports->places[i].addr);
        ret[i] = *like;
        ret[i].place = &ports->places[i];
        ret[i].low = ret[i].high = port;
    }
    return ports->n_places;
}

static size_t add_transparent(const struct config *c, size_t at, struct config_end *ret)
{
    const struct config_transparent *t = &c->transparents[at];
    struct config_end like = {.kind = CONFIG_END_TRANSPARENT, .at = at};
    size_t n = add(ret, &like, &t->ports);

    like.udp = true;
    return t->tproxy ? n + add(ret + n, &like, &t->ports) : n;
}

size_t config_ends(const struct config *c, struct config_end ret[CONFIG_ENDS_MAX])
{
    size_t n = 0;

    for (size_t i = 0; i < c->n_forwards; i++) {
        const struct config_end like = {.kind = CONFIG_END_FORWARD, .at = i, .udp = c->forwards[i].udp};
        n += add(ret + n, &like, &c->forwards[i].ports);
    }
    for (size_t i = 0; i < c->n_transparents; i++)
        n += add_transparent(c, i, ret + n);
    for (size_t i = 0; i < c->n_listen; i++) {
        const uint16_t port = addr_port(&c->listen[i].addr);
        ret[n++] = (struct config_end){
            .kind = CONFIG_END_LISTENER, .at = i, .place = &c->listen[i], .low = port, .high = port};
    }
    /* An association binds the address that its client has connected to. */
    for (size_t i = 0; i < c->n_listen; i++)
        ret[n++] = (struct config_end){.kind = CONFIG_END_UDP_PORTS,
                                       .udp = true,
                                       .place = &c->listen[i],
                                       .low = c->udp.port_low,
                                       .high = c->udp.port_high};
    return n;
}

/* --- the words ------------------------------------------------------------------------------------------ */

enum { WORDS_MAX = 512 };

static void say_forward(const struct config *c, const struct config_end *e, const char *place, char *out)
{
    const struct target *to = &c->forwards[e->at].to;
    char text[TARGET_HOST_MAX + 16];

    (void)snprintf(out, WORDS_MAX, "--forward %s:%s=%s", e->udp ? "udp" : "tcp", place,
                   host_port_format(text, sizeof text, slice_str(to->host), to->port));
}

static const char *say(const struct config *c, const struct config_end *e, char out[WORDS_MAX])
{
    const uint16_t low = e->low, high = e->high;
    char place[LISTEN_TEXT_MAX];

    (void)listen_place_text(e->place, place);
    switch (e->kind) {
    case CONFIG_END_LISTENER:
        (void)snprintf(out, WORDS_MAX,
                       e->at < c->n_listen_given ? "--listen %s" : "the listener %s (of --host and --port)",
                       place);
        break;
    case CONFIG_END_FORWARD:
        say_forward(c, e, place, out);
        break;
    case CONFIG_END_TRANSPARENT:
        (void)snprintf(out, WORDS_MAX, "--transparent %s:%s",
                       c->transparents[e->at].tproxy ? "tproxy" : "redirect", place);
        break;
    case CONFIG_END_UDP_PORTS:
        (void)snprintf(out, WORDS_MAX, low == high ? "--udp-ports %u" : "--udp-ports %u-%u", low, high);
        break;
    }
    return out;
}

static int refuse(const struct config *c, const struct config_end *a, const struct config_end *b,
                  uint16_t port, char *err)
{
    char one[WORDS_MAX], other[WORDS_MAX];

    if (strcmp(say(c, a, one), say(c, b, other)) == 0)
        return config_refuse(err, "%s is given twice", one);
    return config_refuse(err, "%.400s and %.400s both use %s port %u: give one another port, or leave it out",
                         one, other, a->udp ? "UDP" : "TCP", port);
}

int config_ends_check_circles(const struct config *c, const struct own_addresses *own, char *err)
{
    struct forward_ways ways = {.at_once = {{false}}};
    char text[WORDS_MAX];

    find_ways(c, own, &ways);
    for (size_t i = 0; i < c->n_forwards; i++) {
        const struct config_forward *f = &c->forwards[i];
        const struct config_end e = {
            .kind = CONFIG_END_FORWARD, .at = i, .udp = f->udp, .place = &f->ports.places[0]};
        if (ways.at_last[i][i])
            return config_refuse(err, "%.400s leads to itself%s", say(c, &e, text),
                                 ways.at_once[i][i] ? "" : ", by other forwards");
    }
    return 0;
}

static bool is_taken(const struct config_end *ends, size_t n, const struct listen_place *at, uint16_t port)
{
    for (size_t i = 0; i < n; i++)
        if (ends[i].udp && ends[i].kind != CONFIG_END_UDP_PORTS && ends[i].low == port &&
            share_address(ends[i].place, at))
            return true;
    return false;
}

/* An association takes a free port of the range: there has to be one. */
static int check_range(const struct config *c, const struct config_end *ends, size_t n,
                       const struct config_end *range, char *err)
{
    char text[WORDS_MAX], place[LISTEN_TEXT_MAX];

    for (unsigned port = range->low; port <= range->high; port++)
        if (!is_taken(ends, n, range->place, (uint16_t)port))
            return 0;
    return config_refuse(err, "%s: other options take all of these UDP ports at %s; give a larger range",
                         say(c, range, text), listen_place_text(range->place, place));
}

int config_ends_check(const struct config *c, char *err)
{
    struct config_end ends[CONFIG_ENDS_MAX];
    size_t n = config_ends(c, ends);
    int r = 0;

    for (size_t i = 0; r == 0 && i < n; i++) {
        if (is_range(&ends[i]))
            r = check_range(c, ends, n, &ends[i], err);
        for (size_t j = i + 1; r == 0 && j < n; j++) {
            const uint16_t port = config_ends_shared(&ends[i], &ends[j]);
            r = port > 0 ? refuse(c, &ends[i], &ends[j], port, err) : 0;
        }
    }
    return r == 0 ? config_ends_check_circles(c, NULL, err) : r;
}
