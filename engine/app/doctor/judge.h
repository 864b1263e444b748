/* Turns what was seen into findings, with the reason and the repair. It reads and sends nothing. */
#ifndef STEERWAY_DOCTOR_JUDGE_H
#define STEERWAY_DOCTOR_JUDGE_H

#include "capture/capture_apply.h"
#include "config/config.h"
#include "doctor/diagnosis.h"
#include "doctor/sight.h"

/** Judge an uplink's link, addresses, settings and routes (judge_ways). */
void judge_uplink(struct diagnosis *d, const struct sight *s);

/** Judge the routes of an uplink whose link exists: packets out, and the answers back in. */
void judge_ways(struct diagnosis *d, const struct sight *s);

/** Judge a router that was asked for and has not answered. Call it after packets were sent. */
void judge_router(struct diagnosis *d, const struct sight *s);

/** Report that small packets arrive and full-size packets do not. */
void judge_large_lost(struct diagnosis *d, const struct sight *s);

/** Judge whether two uplinks are one line, or disturb each other. */
void judge_pair(struct diagnosis *d, const struct sight *a, const struct sight *b);

/** Report that the policy was refused, with the reason that `start` would print. */
void judge_policy(struct diagnosis *d, const char *why);

/** Judge the listening addresses, and this process's rights and limits. */
void judge_machine(struct diagnosis *d, const struct sight_self *self, const struct config *c,
                   const struct machine *m);

/** Judge a capture of this machine's traffic that its proxy has left, or that others have damaged.
 *  @param proxy  whether the proxy runs that it leads to */
void judge_capture(struct diagnosis *d, const struct capture_sight *s, bool proxy);

/** Judge whether this process may mark the uplink's packets. */
void judge_mark(struct diagnosis *d, const struct sight_self *self, const struct uplink *u);

#endif
