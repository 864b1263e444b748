#include "machine/gateway_rule.h"

#include "machine/machine_watch.h"
#include "netlink/rtnl.h"

#include <errno.h>
#include <linux/fib_rules.h>
#include <string.h>

static int send_change(struct nlmsghdr *nlh)
{
    return rtnl_ask(nlh, NULL, NULL);
}

static bool is_unspecified(const struct addr *a)
{
    static const uint8_t nothing[16];
    size_t len;
    const uint8_t *ip = addr_ip(a, &len);

    return memcmp(ip, nothing, len) == 0;
}

static int change_route(const struct gateway_rule *r, uint16_t type, uint16_t flags)
{
    struct rtnl_request request;
    struct nlmsghdr *nlh = mnl_nlmsg_put_header(request.space);
    size_t len;
    const uint8_t *ip = addr_ip(&r->gateway, &len);

    nlh->nlmsg_type = type;
    nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
    struct rtmsg *info = mnl_nlmsg_put_extra_header(nlh, sizeof *info);
    info->rtm_family = (unsigned char)addr_family(&r->gateway);
    info->rtm_table = RT_TABLE_UNSPEC; /* RTA_TABLE has the number */
    info->rtm_protocol = MACHINE_ROUTES_OWN;
    info->rtm_scope = RT_SCOPE_UNIVERSE;
    info->rtm_type = RTN_UNICAST;
    mnl_attr_put_u32(nlh, RTA_TABLE, r->table);
    if (r->link != 0)
        mnl_attr_put_u32(nlh, RTA_OIF, (uint32_t)r->link);
    if (!is_unspecified(&r->gateway))
        mnl_attr_put(nlh, RTA_GATEWAY, len, ip);
    return send_change(nlh);
}

static int change_rule(const struct gateway_rule *r, uint16_t type, uint16_t flags)
{
    struct rtnl_request request;
    struct nlmsghdr *nlh = mnl_nlmsg_put_header(request.space);

    nlh->nlmsg_type = type;
    nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
    struct fib_rule_hdr *info = mnl_nlmsg_put_extra_header(nlh, sizeof *info);
    info->family = (unsigned char)addr_family(&r->gateway);
    info->action = FR_ACT_TO_TBL;
    mnl_attr_put_u32(nlh, FRA_TABLE, r->table);
    mnl_attr_put_u32(nlh, FRA_PRIORITY, r->priority);
    mnl_attr_put_u32(nlh, FRA_FWMARK, r->mark);
    mnl_attr_put_u32(nlh, FRA_FWMASK, r->mask);
    return send_change(nlh);
}

int gateway_rule_set(const struct gateway_rule *r)
{
    int err = change_route(r, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE);

    if (err < 0)
        return err == -EHOSTUNREACH || err == -EINVAL ? -ENETUNREACH : err;
    err = change_rule(r, RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL);
    return err == -EEXIST ? 0 : err;
}

void gateway_rule_drop(const struct gateway_rule *r)
{
    (void)!change_rule(r, RTM_DELRULE, 0);
    (void)!change_route(r, RTM_DELROUTE, 0);
}

/* --- those that are there ------------------------------------------------------------------------------- */

/* A change of the rules during the dump tears the answer. */
enum { FIND_TRIES = 5 };

struct found {
    uint32_t first, last;
    struct gateway_rule *rules;
    size_t n, max;
};

static int on_rule(const struct nlmsghdr *nlh, void *data)
{
    struct found *f = data;
    const struct nlattr *table[FRA_MAX + 1];
    const struct fib_rule_hdr *info = mnl_nlmsg_get_payload(nlh);

    if (nlh->nlmsg_type != RTM_NEWRULE || mnl_nlmsg_get_payload_len(nlh) < sizeof *info)
        return MNL_CB_OK;
    rtnl_message_table(nlh, sizeof *info, table, FRA_MAX);
    uint32_t number = rtnl_u32(table[FRA_TABLE]);
    if (number < f->first || number > f->last || f->n == f->max)
        return MNL_CB_OK;
    f->rules[f->n++] = (struct gateway_rule){.gateway.sa.sa_family = info->family,
                                             .mark = rtnl_u32(table[FRA_FWMARK]),
                                             .mask = rtnl_u32(table[FRA_FWMASK]),
                                             .table = number,
                                             .priority = rtnl_u32(table[FRA_PRIORITY])};
    return MNL_CB_OK;
}

int gateway_rules_find(uint32_t first_table, uint32_t last_table, struct gateway_rule *ret, size_t max)
{
    struct found f = {.first = first_table, .last = last_table, .rules = ret, .max = max};
    int r = -EINTR;

    for (int i = 0; i < FIND_TRIES && r == -EINTR; i++) {
        f.n = 0;
        r = rtnl_dump(RTM_GETRULE, sizeof(struct fib_rule_hdr), AF_INET, on_rule, &f);
        if (r == 0)
            r = rtnl_dump(RTM_GETRULE, sizeof(struct fib_rule_hdr), AF_INET6, on_rule, &f);
    }
    /* A kernel without IPv6 has no IPv6 rules. */
    return r < 0 && r != -EOPNOTSUPP && r != -EAFNOSUPPORT ? r : (int)f.n;
}

int gateway_rule_remove(const struct gateway_rule *r)
{
    int err = change_rule(r, RTM_DELRULE, 0);

    (void)!change_route(r, RTM_DELROUTE, 0);
    return err == -ENOENT ? 0 : err;
}
