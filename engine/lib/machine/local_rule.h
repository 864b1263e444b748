/* Marked packets to any address, brought to this machine itself. It takes a routing table whose default route
 * is local, and a rule that sends packets with the mark to that table. Changes need CAP_NET_ADMIN. */
#ifndef STEERWAY_MACHINE_LOCAL_RULE_H
#define STEERWAY_MACHINE_LOCAL_RULE_H

#include "base/compiler.h"

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct local_rule {
    int family; /* AF_INET or AF_INET6 */
    uint32_t mark;
    uint32_t table; /* > 255, as the kernel and others use lower numbers */
    uint32_t priority;
    char in[IFNAMSIZ]; /* only packets that come in by this interface; "" for any, and for own packets */
};

/** Whether both are equal in all fields. */
bool local_rule_same(const struct local_rule *a, const struct local_rule *b);

/** @return 0, also if the same rule exists already; -EPERM; -EAFNOSUPPORT or -EOPNOTSUPP on a kernel without
 * the family; or another negative errno */
MUST_CHECK int local_rule_add(const struct local_rule *r);
/** Remove that rule, and no other. @return 0, also if it does not exist; or negative errno */
MUST_CHECK int local_rule_remove(const struct local_rule *r);
/** Find the rules of both families that lead to a table, whoever made them.
 *  @return the number in ret, at most max; or negative errno */
MUST_CHECK int local_rules_find(uint32_t table, struct local_rule *ret, size_t max);

/** Add the local default route of a table. @return as local_rule_add */
MUST_CHECK int local_route_add(int family, uint32_t table);
/** Remove that route, and no other. @return 0, also if it does not exist; or negative errno */
MUST_CHECK int local_route_remove(int family, uint32_t table);

/** What a routing table holds. */
struct local_routes {
    bool ours;    /* the route of local_route_add */
    size_t other; /* the number of other routes */
};
/** @return 0 or negative errno */
MUST_CHECK int local_routes_read(int family, uint32_t table, struct local_routes *ret);

#endif
