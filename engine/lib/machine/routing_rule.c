#include "machine/routing_rule.h"

#include "netlink/rtnl.h"

#include <linux/fib_rules.h>

struct barrier {
    bool found;
    uint32_t priority;
};

static int on_rule(const struct nlmsghdr *nlh, void *data)
{
    struct barrier *b = data;
    const struct nlattr *table[FRA_MAX + 1];
    const struct fib_rule_hdr *info = mnl_nlmsg_get_payload(nlh);

    if (nlh->nlmsg_type != RTM_NEWRULE || mnl_nlmsg_get_payload_len(nlh) < sizeof *info)
        return MNL_CB_OK;
    if (info->action != FR_ACT_BLACKHOLE && info->action != FR_ACT_UNREACHABLE &&
        info->action != FR_ACT_PROHIBIT)
        return MNL_CB_OK;
    rtnl_message_table(nlh, sizeof *info, table, FRA_MAX);
    uint32_t priority = rtnl_u32(table[FRA_PRIORITY]);
    if (!b->found || priority < b->priority)
        *b = (struct barrier){.found = true, .priority = priority};
    return MNL_CB_OK;
}

bool routing_rule_barrier(int family, uint32_t *ret_priority)
{
    struct barrier b = {.found = false};

    if (rtnl_dump(RTM_GETRULE, sizeof(struct fib_rule_hdr), family, on_rule, &b) < 0 || !b.found)
        return false;
    *ret_priority = b.priority;
    return true;
}
