#include "net/listen_place.h"

#include "base/host_port.h"
#include "netlink/link_index.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static bool is_link_local(const struct addr *a)
{
    return addr_family(a) == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&a->in6.sin6_addr);
}

/* A name that a link can have. */
static bool is_link_name(struct slice s)
{
    return s.len > 0 && s.len < MACHINE_NAME_SIZE && !memchr(s.data, '/', s.len) &&
           !memchr(s.data, '\0', s.len);
}

int listen_place_parse(struct listen_place *ret, struct slice host)
{
    struct listen_place p = {.link = ""};
    bool bracketed = host_port_unbracket(&host);
    const char *percent = host.len ? memchr(host.data, '%', host.len) : NULL;
    struct slice ip = slice_of(host.data, percent ? (size_t)(percent - host.data) : host.len);
    struct slice link = percent ? slice_of(percent + 1, host.len - ip.len - 1) : slice_of(NULL, 0);
    if (addr_parse_ip(&p.addr, ip, 0) < 0 || ((bracketed || percent) && addr_family(&p.addr) != AF_INET6))
        return -EINVAL;
    if (percent) {
        bool found = addr_parse_ip(&p.addr, host, 0) == 0;
        if (!is_link_name(link) || !(found || is_link_local(&p.addr)))
            return -EINVAL;
        if (is_link_local(&p.addr))
            memcpy(p.link, link.data, link.len);
    }
    *ret = p;
    return 0;
}

const char *listen_place_text(const struct listen_place *p, char out[LISTEN_TEXT_MAX])
{
    char ip[ADDR_TEXT_MAX], host[LISTEN_TEXT_MAX];

    if (!listen_place_is_awaited(p))
        return addr_format(&p->addr, out);
    (void)snprintf(host, sizeof host, "%s%%%s", addr_format_ip(&p->addr, ip), p->link);
    return host_port_format(out, LISTEN_TEXT_MAX, slice_str(host), addr_port(&p->addr));
}

bool listen_place_same(const struct listen_place *a, const struct listen_place *b)
{
    if (!addr_same_ip(&a->addr, &b->addr) || addr_port(&a->addr) != addr_port(&b->addr))
        return false;
    return strcmp(a->link, b->link) == 0 || !(listen_place_is_awaited(a) || listen_place_is_awaited(b));
}

bool listen_place_is_awaited(const struct listen_place *p)
{
    return p->link[0] && p->addr.in6.sin6_scope_id == 0;
}

bool listen_place_is_there(const struct listen_place *p, const struct machine *m)
{
    return !listen_place_is_awaited(p) && machine_can_listen(m, &p->addr);
}

bool listen_place_find(struct listen_place *p)
{
    uint32_t index = p->link[0] ? (uint32_t)link_index(p->link) : 0;

    if (index == 0 || index == p->addr.in6.sin6_scope_id)
        return false;
    p->addr.in6.sin6_scope_id = index;
    return true;
}
