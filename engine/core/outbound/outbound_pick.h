/* An uplink for datagrams: chosen as for a connection, but nothing is raced. Only a parent proxy is asked
 * before its use, by the caller; if it fails, another uplink is chosen for the same account. */
#ifndef STEERWAY_OUTBOUND_OUTBOUND_PICK_H
#define STEERWAY_OUTBOUND_OUTBOUND_PICK_H

#include "outbound/outbound.h"

/** Choose an uplink, and lease it for o. Then call outbound_opened. But ask a parent proxy first, and call
 * outbound_associated, or outbound_pick_failed and this function again.
 *  @param ret_per  what the policy says of further destinations
 *  @return FAULT_NONE; FAULT_NO_UPLINK; FAULT_DENIED: the policy refused, and o->reason says why; the most
 *  telling fault, if uplinks have failed and no other one may serve */
MUST_CHECK enum fault outbound_pick(struct outbound *o, enum policy_per *ret_per);

/** The uplink is in use: o is connected, and the policy is told. */
void outbound_opened(struct outbound *o);

/** Seconds that the parent proxy may take, of those that all uplinks have together. */
double outbound_pick_timeout(const struct outbound *o);
/** The parent proxy relays datagrams. As outbound_opened, and its time is counted. */
void outbound_associated(struct outbound *o, double took_s);

enum outbound_pick_failure {
    OUTBOUND_PICK_FAILED, /* it is counted for the uplink, as for connections */
    OUTBOUND_PICK_LOST,   /* the uplink has lost its link or addresses, so its health does not change */
    OUTBOUND_PICK_UNABLE, /* the parent proxy answers, but carries no datagrams: it is not asked for a while
                           */
};
/** The parent proxy has failed: end the lease. */
void outbound_pick_failed(struct outbound *o, enum fault fault, enum outbound_pick_failure failure);

/** It goes direct, without the policy. */
void outbound_go_direct(struct outbound *o);

#endif
