#include "machine/own_addresses.h"

#include "machine/rtnl_route.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int by_ip(const void *a_arg, const void *b_arg)
{
    const struct cidr *a = a_arg, *b = b_arg;

    return a->ip_len != b->ip_len ? a->ip_len - b->ip_len : memcmp(a->ip, b->ip, a->ip_len);
}

static int add(struct own_addresses *o, const struct cidr *c)
{
    if (c->ip_len == 0)
        return 0;
    if (c->bits < c->ip_len * 8)
        return cidr_set_add(&o->ranges, c);
    struct cidr *lone = reallocarray(o->lone, o->n_lone + 1, sizeof *lone);
    if (!lone)
        return -ENOMEM;
    lone[o->n_lone++] = *c;
    o->lone = lone;
    return 0;
}

static int on_route(const struct nlmsghdr *nlh, void *data)
{
    const struct rtmsg *info = mnl_nlmsg_get_payload(nlh);
    const struct nlattr *table[RTA_MAX + 1];
    struct cidr range = {.ip_len = 0};

    if (nlh->nlmsg_type != RTM_NEWROUTE || mnl_nlmsg_get_payload_len(nlh) < sizeof *info ||
        info->rtm_table != RT_TABLE_LOCAL || (info->rtm_type != RTN_LOCAL && info->rtm_type != RTN_ANYCAST))
        return MNL_CB_OK;
    rtnl_message_table(nlh, sizeof *info, table, RTA_MAX);
    const struct addr to = rtnl_route_addr(table[RTA_DST], 0);
    if (info->rtm_dst_len == 0)
        range.ip_len = info->rtm_family == AF_INET ? 4 : 16;
    else
        cidr_from_addr(&range, &to, info->rtm_dst_len);
    if (add(data, &range) == 0)
        return MNL_CB_OK;
    errno = ENOMEM;
    return MNL_CB_ERROR;
}

/* A table that cannot be read is left out; the addresses of the links are there already. */
static int read_table(struct own_addresses *o, int family)
{
    int r = rtnl_dump_table(RT_TABLE_LOCAL, family, on_route, o);

    return r == -ENOMEM ? r : 0;
}

int own_addresses_init(struct own_addresses *ret, const struct machine *m)
{
    struct own_addresses o = {.n_lone = 0};
    int r = 0;

    for (size_t i = 0; r == 0 && i < m->n_addrs; i++) {
        struct cidr one;
        cidr_from_addr(&one, &m->addrs[i].addr, UINT8_MAX);
        r = add(&o, &one);
    }
    if (r == 0)
        r = read_table(&o, AF_INET);
    if (r == 0)
        r = read_table(&o, AF_INET6);
    if (r < 0) {
        own_addresses_done(&o);
        return r;
    }
    if (o.n_lone > 0)
        qsort(o.lone, o.n_lone, sizeof *o.lone, by_ip);
    *ret = o;
    return 0;
}

bool own_addresses_have(const struct own_addresses *o, const struct addr *a)
{
    struct cidr wanted;

    cidr_from_addr(&wanted, a, UINT8_MAX);
    if (o->n_lone > 0 && bsearch(&wanted, o->lone, o->n_lone, sizeof wanted, by_ip))
        return true;
    return cidr_set_contains(&o->ranges, a);
}

void own_addresses_done(struct own_addresses *o)
{
    free(o->lone);
    cidr_set_done(&o->ranges);
    *o = (struct own_addresses){.n_lone = 0};
}
