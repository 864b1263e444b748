/* A router of one's own for marked packets: a routing table with a default route by it, and a rule that sends
 * packets with the mark there. Needs CAP_NET_ADMIN. */
#ifndef STEERWAY_MACHINE_GATEWAY_RULE_H
#define STEERWAY_MACHINE_GATEWAY_RULE_H

#include "addr/addr.h"

struct gateway_rule {
    struct addr gateway; /* its family is the rule's */
    int link;            /* by which it is reached; 0 to drop the rule, whichever it was */
    uint32_t mark;       /* of the packets; > 0 */
    uint32_t table;      /* for the route; > 255, so that it is nobody else's */
    uint32_t priority;   /* of the rule; below 32766 it comes before the main table's */
};

/** Have it, in place of one with the same table. @return 0, -EPERM, -ENETUNREACH for a gateway that is no
 *  neighbour there, or another negative errno */
MUST_CHECK int gateway_rule_set(const struct gateway_rule *r);
/** Those of the machine's rules whose table lies in a range, whoever made them; their gateway is an
 * unspecified address of the rule's family. @return how many are in ret, or negative errno */
MUST_CHECK int gateway_rules_find(uint32_t first_table, uint32_t last_table, struct gateway_rule *ret,
                                  size_t max);

/** Remove a rule that was found, and what its table has for a default route.
 *  @return 0, also when its owner took it back since, -EPERM, … */
MUST_CHECK int gateway_rule_remove(const struct gateway_rule *r);

/** Have it no more; harmless when it is not there. */
void gateway_rule_drop(const struct gateway_rule *r);

#endif
