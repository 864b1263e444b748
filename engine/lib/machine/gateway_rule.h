/* A separate router for marked packets. It takes a routing table with a default route to the router, and a
 * rule that sends marked packets to that table. Needs CAP_NET_ADMIN. */
#ifndef STEERWAY_MACHINE_GATEWAY_RULE_H
#define STEERWAY_MACHINE_GATEWAY_RULE_H

#include "addr/addr.h"

struct gateway_rule {
    struct addr gateway; /* its family is the rule's */
    int link;            /* the link to the gateway, by index; 0 with gateway_rule_drop: any */
    uint32_t mark;       /* of the packets, > 0 */
    uint32_t mask;       /* the bits of a packet's mark that are compared */
    uint32_t table;      /* of the route, > 255, as the kernel and others use lower numbers */
    uint32_t priority;   /* of the rule; below 32766 it precedes the main table */
};

/** Set route and rule, replacing those with the same table. @return 0, -EPERM, -ENETUNREACH for a gateway
 * that is not a neighbour on that link, or another negative errno */
MUST_CHECK int gateway_rule_set(const struct gateway_rule *r);
/** Find the machine's rules whose table is in a range, whatever program made them. Their gateway is the
 * unspecified address of the rule's family. @return the number in ret, or negative errno */
MUST_CHECK int gateway_rules_find(uint32_t first_table, uint32_t last_table, struct gateway_rule *ret,
                                  size_t max);

/** Remove a rule that gateway_rules_find returned, and the default route in its table. @return 0, also if it
 * is gone already, -EPERM, or another negative errno */
MUST_CHECK int gateway_rule_remove(const struct gateway_rule *r);

/** Remove route and rule; harmless if they do not exist. */
void gateway_rule_drop(const struct gateway_rule *r);

#endif
