/* What can be seen of uplinks and machine without sending anything. */
#ifndef STEERWAY_DOCTOR_LOOK_H
#define STEERWAY_DOCTOR_LOOK_H

#include "control/config.h"
#include "doctor/diagnosis.h"
#include "uplink/uplink.h"

/** Link, addresses, router and routes of one uplink. */
void look_at_uplink(struct diagnosis *r, const struct uplink *u, const struct machine *m);

/** Whether two of them are the same line, or get into each other's way. */
void look_at_pairs(struct diagnosis *r, const struct uplink_set *set, const struct machine *m);

/** Where it would listen, and what it may do. */
void look_at_machine(struct diagnosis *r, const struct config *c, const struct uplink_set *set,
                     const struct machine *m);

/** The MAC address of a neighbour as the kernel knows it. @return false for one that has not answered, or
 * that is not known; then *ret_asked tells whether it was asked in vain */
bool look_up_neighbour(const struct addr *a, const char *interface, char ret[32], bool *ret_asked);

#endif
