/* Requests to the kernel over rtnetlink, and the attributes of its answers. */
#ifndef STEERWAY_NETLINK_RTNL_H
#define STEERWAY_NETLINK_RTNL_H

#include "base/compiler.h"

#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>

enum { RTNL_REQUEST_MAX = 256 };

struct rtnl_request {
    _Alignas(struct nlmsghdr) char space[RTNL_REQUEST_MAX];
};

/** Send a request and call cb for each message of the answer. The request must ask for a dump or an
 * acknowledgement, so that the answer has an end. Waits for 2 s at most for each part of it.
 *  @return 0, or negative errno: the kernel's, -EAGAIN without an answer in time, or -EINTR when a change
 *  during a dump, or a signal, tore the answer */
MUST_CHECK int rtnl_ask(struct nlmsghdr *request, mnl_cb_t cb, void *data);

/** Dump all objects of a type. The request's header is zero but for the family.
 *  @param type  RTM_GETLINK, RTM_GETRULE, …
 *  @param head  size of that header, which begins with the family, in bytes
 *  @return as rtnl_ask */
MUST_CHECK int rtnl_dump(uint16_t type, size_t head, int family, mnl_cb_t cb, void *data);

/** Dump the routes of one table. @return as rtnl_ask; -EOPNOTSUPP before Linux 4.20, which dumps all tables
 * only */
MUST_CHECK int rtnl_dump_table(uint8_t table, int family, mnl_cb_t cb, void *data);

/** Index attributes by type, 0 to max: table has max + 1 entries. NULL means absent; types above max are
 * ignored. */
void rtnl_table(const void *attrs, size_t len, const struct nlattr *table[], size_t max);
/** The same for the attributes of a message, after its header of `head` bytes. */
void rtnl_message_table(const struct nlmsghdr *nlh, size_t head, const struct nlattr *table[], size_t max);

/** Iterate over nested attributes; *at is 0 at first. @return NULL after the last */
const struct nlattr *rtnl_next(const struct nlattr *nested, size_t *at);

/* Values of an attribute. attr may be NULL, which reads as 0 or "". */

/** 0 for an attribute that is too short. */
uint32_t rtnl_u32(const struct nlattr *attr);
/** Cut to size - 1 characters, and NUL-terminated. */
void rtnl_text(const struct nlattr *attr, char *out, size_t size);

#endif
