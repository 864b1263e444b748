#include "netlink/link_index.h"

#include "netlink/rtnl.h"

#include <net/if.h>
#include <string.h>

static int on_index(const struct nlmsghdr *nlh, void *data)
{
    const struct ifinfomsg *info = mnl_nlmsg_get_payload(nlh);

    if (nlh->nlmsg_type == RTM_NEWLINK && mnl_nlmsg_get_payload_len(nlh) >= sizeof *info)
        *(int *)data = info->ifi_index;
    return MNL_CB_OK;
}

int link_index(const char *name)
{
    struct rtnl_request request;
    struct nlmsghdr *nlh = mnl_nlmsg_put_header(request.space);
    int index = 0;

    if (strlen(name) >= LINK_NAME_SIZE)
        return 0;
    nlh->nlmsg_type = RTM_GETLINK;
    nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
    (void)mnl_nlmsg_put_extra_header(nlh, sizeof(struct ifinfomsg));
    /* The kernel searches both kinds of names; the attributes differ only in their maximal length. */
    mnl_attr_put_strz(nlh, strlen(name) < IFNAMSIZ ? IFLA_IFNAME : IFLA_ALT_IFNAME, name);
    return rtnl_ask(nlh, on_index, &index) == 0 ? index : 0;
}
