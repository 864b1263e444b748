#include "machine/local_rule.h"

#include "machine/machine_watch.h"
#include "netlink/link_index.h"
#include "netlink/rtnl.h"

#include <errno.h>
#include <linux/fib_rules.h>
#include <string.h>

static const char LOOPBACK[] = "lo";

bool local_rule_same(const struct local_rule *a, const struct local_rule *b)
{
    return a->family == b->family && a->mark == b->mark && a->table == b->table &&
           a->priority == b->priority && strncmp(a->in, b->in, IFNAMSIZ) == 0;
}

/* --- rules ---------------------------------------------------------------------------------------------- */

static int change_local_rule(const struct local_rule *r, uint16_t type, uint16_t flags)
{
    struct rtnl_request request;
    struct nlmsghdr *nlh = mnl_nlmsg_put_header(request.space);

    nlh->nlmsg_type = type;
    nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
    struct fib_rule_hdr *info = mnl_nlmsg_put_extra_header(nlh, sizeof *info);
    info->family = (unsigned char)r->family;
    info->action = FR_ACT_TO_TBL;
    mnl_attr_put_u32(nlh, FRA_TABLE, r->table);
    mnl_attr_put_u32(nlh, FRA_PRIORITY, r->priority);
    mnl_attr_put_u32(nlh, FRA_FWMARK, r->mark);
    mnl_attr_put_u32(nlh, FRA_FWMASK, UINT32_MAX);
    if (r->in[0])
        mnl_attr_put_strz(nlh, FRA_IIFNAME, r->in);
    return rtnl_ask(nlh, NULL, NULL);
}

int local_rule_add(const struct local_rule *r)
{
    int err = change_local_rule(r, RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL);
    return err == -EEXIST ? 0 : err;
}

struct finding_rules {
    uint32_t table;
    struct local_rule *rules;
    size_t n, max;
};

static int on_local_rule(const struct nlmsghdr *nlh, void *data)
{
    struct finding_rules *f = data;
    const struct nlattr *table[FRA_MAX + 1];
    const struct fib_rule_hdr *info = mnl_nlmsg_get_payload(nlh);

    if (nlh->nlmsg_type != RTM_NEWRULE || mnl_nlmsg_get_payload_len(nlh) < sizeof *info)
        return MNL_CB_OK;
    rtnl_message_table(nlh, sizeof *info, table, FRA_MAX);
    if (rtnl_u32(table[FRA_TABLE]) != f->table || f->n == f->max)
        return MNL_CB_OK;
    struct local_rule *r = &f->rules[f->n++];
    *r = (struct local_rule){.family = info->family,
                             .mark = rtnl_u32(table[FRA_FWMARK]),
                             .table = f->table,
                             .priority = rtnl_u32(table[FRA_PRIORITY])};
    rtnl_text(table[FRA_IIFNAME], r->in, sizeof r->in);
    return MNL_CB_OK;
}

int local_rules_find(uint32_t table, struct local_rule *ret, size_t max)
{
    enum { TRIES = 5 }; /* a change during the dump tears the answer */
    struct finding_rules f = {.table = table, .rules = ret, .max = max};
    int r = -EINTR;

    for (int i = 0; i < TRIES && r == -EINTR; i++) {
        f.n = 0;
        r = rtnl_dump(RTM_GETRULE, sizeof(struct fib_rule_hdr), AF_INET, on_local_rule, &f);
        if (r == 0)
            r = rtnl_dump(RTM_GETRULE, sizeof(struct fib_rule_hdr), AF_INET6, on_local_rule, &f);
    }
    /* A kernel without IPv6 has no IPv6 rules. */
    return r < 0 && r != -EOPNOTSUPP && r != -EAFNOSUPPORT ? r : (int)f.n;
}

/* The kernel removes the first rule that has the attributes of the request. A request without an interface
 * also fits rules that have one, so look first. */
int local_rule_remove(const struct local_rule *r)
{
    enum { RULES_MAX = 256 };
    struct local_rule found[RULES_MAX];
    int n = local_rules_find(r->table, found, RULES_MAX);

    for (int i = 0; i < n; i++) {
        if (!local_rule_same(&found[i], r))
            continue;
        int err = change_local_rule(r, RTM_DELRULE, 0);
        return err == -ENOENT ? 0 : err;
    }
    return n < 0 ? n : 0;
}

/* --- routes --------------------------------------------------------------------------------------------- */

static int change_local_route(int family, uint32_t table, uint16_t type, uint16_t flags)
{
    struct rtnl_request request;
    struct nlmsghdr *nlh = mnl_nlmsg_put_header(request.space);
    unsigned loopback = if_nametoindex(LOOPBACK);

    if (loopback == 0)
        return -ENODEV;
    nlh->nlmsg_type = type;
    nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
    struct rtmsg *info = mnl_nlmsg_put_extra_header(nlh, sizeof *info);
    info->rtm_family = (unsigned char)family;
    info->rtm_table = RT_TABLE_UNSPEC; /* RTA_TABLE has the number */
    info->rtm_protocol = MACHINE_ROUTES_OWN;
    info->rtm_scope = family == AF_INET ? RT_SCOPE_HOST : RT_SCOPE_UNIVERSE;
    info->rtm_type = RTN_LOCAL;
    mnl_attr_put_u32(nlh, RTA_TABLE, table);
    mnl_attr_put_u32(nlh, RTA_OIF, loopback);
    return rtnl_ask(nlh, NULL, NULL);
}

int local_route_add(int family, uint32_t table)
{
    int err = change_local_route(family, table, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL);
    return err == -EEXIST ? 0 : err;
}

int local_route_remove(int family, uint32_t table)
{
    int err = change_local_route(family, table, RTM_DELROUTE, 0);
    return err == -ESRCH || err == -ENOENT ? 0 : err;
}

struct reading_routes {
    uint32_t table;
    struct local_routes found;
};

static int on_local_route(const struct nlmsghdr *nlh, void *data)
{
    struct reading_routes *r = data;
    const struct nlattr *table[RTA_MAX + 1];
    const struct rtmsg *info = mnl_nlmsg_get_payload(nlh);

    if (nlh->nlmsg_type != RTM_NEWROUTE || mnl_nlmsg_get_payload_len(nlh) < sizeof *info)
        return MNL_CB_OK;
    rtnl_message_table(nlh, sizeof *info, table, RTA_MAX);
    if (rtnl_u32(table[RTA_TABLE]) != r->table || info->rtm_flags & RTM_F_CLONED)
        return MNL_CB_OK;
    if (info->rtm_type == RTN_LOCAL && info->rtm_dst_len == 0 && info->rtm_protocol == MACHINE_ROUTES_OWN)
        r->found.ours = true;
    else
        r->found.other++;
    return MNL_CB_OK;
}

int local_routes_read(int family, uint32_t table, struct local_routes *ret)
{
    enum { TRIES = 5 };
    struct reading_routes r = {.table = table};
    int err = -EINTR;

    for (int i = 0; i < TRIES && err == -EINTR; i++) {
        r.found = (struct local_routes){.ours = false};
        err = rtnl_dump(RTM_GETROUTE, sizeof(struct rtmsg), family, on_local_route, &r);
    }
    if (err == 0)
        *ret = r.found;
    return err;
}
