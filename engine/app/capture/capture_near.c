#include "capture/capture_near.h"

#include <linux/rtnetlink.h>

static int add(struct cidr_set *set, const struct addr *a, uint8_t bits)
{
    struct cidr range;

    if (addr_family(a) == AF_UNSPEC)
        return 0;
    cidr_from_addr(&range, a, bits);
    return cidr_set_add(set, &range);
}

int capture_near_find(const struct machine *m, struct cidr_set *ret)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < m->n_addrs; i++)
        if (m->addrs[i].prefix > 0 &&
            !addr_is_loopback(&m->addrs[i].addr)) /* the plan has loopback already */
            r = add(ret, &m->addrs[i].addr, m->addrs[i].prefix);
    for (size_t i = 0; r == 0 && i < m->n_links; i++) {
        r = add(ret, &m->links[i].gateway4, UINT8_MAX);
        if (r == 0)
            r = add(ret, &m->links[i].gateway6, UINT8_MAX);
    }
    return r;
}

bool capture_near_has_ipv6(const struct machine *m)
{
    for (size_t i = 0; i < m->n_addrs; i++)
        if (addr_family(&m->addrs[i].addr) == AF_INET6 && m->addrs[i].scope == RT_SCOPE_UNIVERSE)
            return true;
    return false;
}
