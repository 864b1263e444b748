#include "config/config_ends.h"

#include "base/host_port.h"

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

uint16_t config_ends_shared(const struct config_end *a, const struct config_end *b)
{
    const uint16_t low = a->low > b->low ? a->low : b->low, high = a->high < b->high ? a->high : b->high;
    /* Associations of all listeners share --udp-ports, and find free ones among them. */
    const bool one_option = a->kind == b->kind && a->at == b->at;

    return low > high || one_option || a->udp != b->udp || !share_address(a->place, b->place) ? 0 : low;
}

static bool listens_at(const struct config_forward *f, const struct listen_place *at)
{
    for (size_t i = 0; i < f->ports.n_places; i++) {
        const struct listen_place *p = &f->ports.places[i];
        /* At every address, only loopback is known to be this machine's. */
        bool here = is_unspecified(&p->addr) ? addr_is_loopback(&at->addr) : true;
        if (here && addr_port(&p->addr) == addr_port(&at->addr) && share_address(p, at))
            return true;
    }
    return false;
}

const struct config_forward *config_ends_next(const struct config *c, const struct config_forward *f)
{
    const struct target *t = &f->to;
    struct listen_place to = {.link = ""};

    if (t->kind == TARGET_NAME || addr_from_ip(&to.addr, t->ip, t->kind == TARGET_IPV4 ? 4 : 16, t->port) < 0)
        return NULL;
    for (size_t i = 0; i < c->n_forwards; i++)
        if (c->forwards[i].udp == f->udp && listens_at(&c->forwards[i], &to))
            return &c->forwards[i];
    return NULL;
}

/* One datagram in a circle of forwards would use up all mappings. */
static bool is_in_circle(const struct config *c, const struct config_forward *f)
{
    const struct config_forward *at = f;

    for (size_t i = 0; at && i < c->n_forwards; i++) {
        at = config_ends_next(c, at);
        if (at == f)
            return true;
    }
    return false;
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

static int check_circle(const struct config *c, const struct config_end *e, char *err)
{
    const struct config_forward *f = e->kind == CONFIG_END_FORWARD ? &c->forwards[e->at] : NULL;
    char text[WORDS_MAX];

    if (!f || !is_in_circle(c, f))
        return 0;
    return config_refuse(err, "%.400s leads to itself%s", say(c, e, text),
                         config_ends_next(c, f) == f ? "" : ", by other forwards");
}

int config_ends_check(const struct config *c, char *err)
{
    struct config_end ends[CONFIG_ENDS_MAX];
    size_t n = config_ends(c, ends);
    int r = 0;

    for (size_t i = 0; r == 0 && i < n; i++) {
        r = check_circle(c, &ends[i], err);
        for (size_t j = i + 1; r == 0 && j < n; j++) {
            const uint16_t port = config_ends_shared(&ends[i], &ends[j]);
            r = port > 0 ? refuse(c, &ends[i], &ends[j], port, err) : 0;
        }
    }
    return r;
}
