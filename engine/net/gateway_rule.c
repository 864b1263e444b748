#include "net/gateway_rule.h"

#include "net/rtnl.h"

#include <errno.h>
#include <linux/fib_rules.h>

static int change(struct nlmsghdr *nlh)
{
    return rtnl_ask(nlh, NULL, NULL);
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
    info->rtm_table = RT_TABLE_UNSPEC; /* it is in RTA_TABLE */
    info->rtm_protocol = RTPROT_STATIC;
    info->rtm_scope = RT_SCOPE_UNIVERSE;
    info->rtm_type = RTN_UNICAST;
    mnl_attr_put_u32(nlh, RTA_TABLE, r->table);
    if (r->link != 0)
        mnl_attr_put_u32(nlh, RTA_OIF, (uint32_t)r->link);
    mnl_attr_put(nlh, RTA_GATEWAY, len, ip);
    return change(nlh);
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
    mnl_attr_put_u32(nlh, FRA_FWMASK, UINT32_MAX);
    return change(nlh);
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
