/* An uplink for datagrams: chosen as for a connection, but nothing is dialed or raced. */
#ifndef STEERWAY_OUTBOUND_OUTBOUND_PICK_H
#define STEERWAY_OUTBOUND_OUTBOUND_PICK_H

#include "outbound/outbound.h"

/** Choose an uplink. On success o counts as connected, and o->lease has the uplink; call outbound_opened
 * next.
 *  @param ret_per  what the policy says of further destinations
 *  @return FAULT_NONE; FAULT_NO_UPLINK; FAULT_DENIED: the policy refused, and o->reason says why */
MUST_CHECK enum fault outbound_pick(struct outbound *o, enum policy_per *ret_per);

/** Tell the policy that the uplink is in use. */
void outbound_opened(struct outbound *o);

/** It goes direct, without the policy. */
void outbound_go_direct(struct outbound *o);

#endif
