/* What is wrong with what was seen, why it matters, and what repairs it. Decides by the sights alone: nothing
 * is read or sent. */
#ifndef STEERWAY_DOCTOR_JUDGE_H
#define STEERWAY_DOCTOR_JUDGE_H

#include "config/config.h"
#include "doctor/diagnosis.h"
#include "doctor/sight.h"

/** Link, addresses and settings of one uplink, and its ways (judge_ways). */
void judge_uplink(struct diagnosis *d, const struct sight *s);

/** Whether the packets of an uplink, whose link is there, find a way out, and the answers one in. */
void judge_ways(struct diagnosis *d, const struct sight *s);

/** A router that was asked for, and has not said that it is there. To be seen after packets were sent. */
void judge_router(struct diagnosis *d, const struct sight *s);

/** Small packets come through, and full ones do not. */
void judge_large_lost(struct diagnosis *d, const struct sight *s);

/** Whether two uplinks are the same line, or get into each other's way. */
void judge_pair(struct diagnosis *d, const struct sight *a, const struct sight *b);

/** The policy was refused, for the reason that start would tell. */
void judge_policy(struct diagnosis *d, const char *why);

/** Where it would listen, and what it may do. */
void judge_machine(struct diagnosis *d, const struct sight_self *self, const struct config *c,
                   const struct machine *m);

/** Whether the uplink's packets may be marked as it wants. */
void judge_mark(struct diagnosis *d, const struct sight_self *self, const struct uplink *u);

#endif
