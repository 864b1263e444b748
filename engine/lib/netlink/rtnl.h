/* A question to the kernel over rtnetlink, and the attributes of its answers. For the machine's files alone.
 */
#ifndef STEERWAY_NETLINK_RTNL_H
#define STEERWAY_NETLINK_RTNL_H

#include "base/compiler.h"

#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>

enum { RTNL_REQUEST_MAX = 256 };

struct rtnl_request {
    _Alignas(struct nlmsghdr) char space[RTNL_REQUEST_MAX];
};

/** Send a request and hand each message of its answer to cb. The request asks for a dump or an
 * acknowledgement, so that the answer has an end.
 *  @return 0, or negative errno: the kernel's, or -EINTR when the answer is torn because something changed
 *          meanwhile, or a signal came */
MUST_CHECK int rtnl_ask(struct nlmsghdr *request, mnl_cb_t cb, void *data);

/** Have all of a kind, with the header of its questions zero but for the family.
 *  @param type  RTM_GETLINK, RTM_GETRULE, …  @param head  octets of that header, which begins with the family
 *  @return as rtnl_ask */
MUST_CHECK int rtnl_dump(uint16_t type, size_t head, int family, mnl_cb_t cb, void *data);

/** Have the routes of one table. @return as rtnl_ask; -EOPNOTSUPP before Linux 4.20, which tells all or none
 */
MUST_CHECK int rtnl_dump_table(uint8_t table, int family, mnl_cb_t cb, void *data);

/** Sort attributes into a table by type; NULL for those that are absent, types over max are passed over. */
void rtnl_table(const void *attrs, size_t len, const struct nlattr *table[], size_t max);
/** The same of the attributes behind a message's header of that size. */
void rtnl_message_table(const struct nlmsghdr *nlh, size_t head, const struct nlattr *table[], size_t max);

/** Step through what is nested in an attribute; *at is 0 at first. @return NULL when there are no more */
const struct nlattr *rtnl_next(const struct nlattr *nested, size_t *at);

/* The value of an attribute, which may be NULL. */

/** 0 for one that is too short. */
uint32_t rtnl_u32(const struct nlattr *attr);
/** Cut to size, always ended by a NUL. */
void rtnl_text(const struct nlattr *attr, char *out, size_t size);

#endif
